#!/usr/bin/env bash
# `-n RANKS`: the launcher stays, brings rank 0's exit code home, starts a run again that died, and leaves nothing.
. "$(dirname "$0")/cli.bash"
mkdir tmp shm && export TMPDIR=$folder/tmp OMPI_MCA_btl_vader_backing_directory=$folder/shm

nothing_left() { # nothing_left AFTER-WHAT: no process of a run, no file, no shared memory
    local i
    for i in $(seq 500); do # mpirun that lost its launcher ends by itself
        [ -z "$(pgrep -f "run $folder/")$(ls -A tmp shm | grep -v :)" ] && break
        sleep 0.02
    done
    same "$1: no process is left" "$(pgrep -af "run $folder/")" ""
    same "$1: no file is left" "$(ls -A tmp)" ""
    same "$1: no shared memory is left" "$(ls -A shm)" ""
}

until_rank0() { # until_rank0 [NOT-THIS-PID]: waits for rank 0 of the job in $folder/two.yaml, as $rank0
    local i
    for i in $(seq 1000); do
        rank0=$(sed 's/ .*//;q' .a.h5.banquet-resume-lock 2>/dev/null)
        [ -n "$rank0" ] && [ "$rank0" != "${1:-}" ] && kill -0 "$rank0" 2>/dev/null && return
        sleep 0.01
    done
}

check "a photo" $banquet make photo photo.h5 --size 300x400 --quiet -n 3
same "no code but 0 was seen" "$(grep -c 'banquet:' err)" 0
cat >two.yaml <<'EOF'
steps:
  - {name: first, kernel: copy, input: "photo.h5:/photo", output: "a.h5:/photo"}
  - {name: pause, kernel: oven, params: {n: 200, wait_ms: 10, cook_ms: 0}, input: }
  - {name: last, kernel: brighten, input: "a.h5:/photo", output: "b.h5:/photo"}
EOF
sed -i 's/, input: }/}/' two.yaml
run="$banquet run $folder/two.yaml -q --cooks 1 --at-once 1"

# -- exit codes
want=$(digest $run --set pause.params.n=1)
rm a.h5 b.h5
same "0 comes through, with the same digests" "$(digest $run --set pause.params.n=1 -n 3)" "$want"
refused 2 "already exists" $run -n 3
refused 1 "/dev/full" $run --set pause.params.n=1 --force -n 3 --json /dev/full
same "what rank 0 said itself is not tried again" "$(grep -c 'starting again' err)" 0
check "cells" $banquet make cells cells.h5 --size 40x40 --quiet
printf '{name: life, kernel: life, border: wrap, input: "cells.h5:/cells", output: "l.h5:/cells", next: {input: life}, repeat: 2, until: died < 0}\n' >life.yaml
refused 3 "before its condition was true" $banquet run life.yaml -q -n 3
same "3 is not tried again" "$(grep -c 'starting again' err)" 0
nothing_left "runs that end by themselves"
rm -f a.h5 b.h5

# -- signals: rank 0 is asked, once, and stops in order
for signal in INT TERM USR1; do
    $run -n 3 --set pause.params.n=5000 >out 2>err &
    launcher=$!
    until_there a.h5
    kill -$signal $launcher
    wait $launcher
    same "$signal stops the run" "$?" 75
    same "as rank 0 stops" "$(grep -c 'goes on from what is finished' err)$(grep -c 'run died' err)" 10
    nothing_left "$signal"
    rm -f a.h5 .a.h5*
done

# -- rank 0 is killed: the run starts again, and goes on behind the first step
$run -n 3 >out 2>err &
launcher=$!
until_there a.h5
until_rank0
inode=$(stat -c %i a.h5)
kill -KILL $rank0
wait $launcher
same "a run whose rank 0 is killed succeeds" "$?" 0
same "it says what happened" "$(grep -c 'rank 0 ended before its time' err)" 1
same "and that it starts again" "$(grep -c 'starting again (1 of 3)' err)" 1
same "the first step is not done twice" "$(stat -c %i a.h5)" "$inode"
same "mpirun's riddle is not shown" "$(grep -c 'PMIX ERROR: BAD-PARAM' err)" 0
check "and the bytes are the same" $banquet run two.yaml --force --set last.output=other.h5:/photo --set pause.params.n=1
same "as in one process" "$(h5dump -d /photo -y -b LE -o one b.h5 >out && h5dump -d /photo -y -b LE -o two other.h5 >out && cmp one two && echo same)" same
nothing_left "a killed rank 0"
rm -f a.h5 b.h5 other.h5

$run -n 3 --restarts 0 >out 2>err &
launcher=$!
until_there a.h5
until_rank0
kill -KILL $rank0
wait $launcher
same "without a restart it fails" "$?" 1
same "and says so" "$(grep -c 'run died' err)$(grep -c 'starting again' err)" 10
nothing_left "a run that failed"
refused 2 "--restarts must be" $run -n 3 --restarts -1

rm -f a.h5 .a.h5*

# -- mpirun is killed, and the launcher is
$run -n 3 --restarts 0 --set pause.params.n=5000 >out 2>err &
launcher=$!
until_rank0 "$rank0"
sleep 0.2
pkill -KILL -P $launcher mpirun
wait $launcher
same "without mpirun it fails" "$?$(grep -c 'mpirun was ended by signal 9' err)" 11
nothing_left "a killed mpirun"
$run -n 3 --set pause.params.n=5000 >out 2>err &
launcher=$!
until_rank0 "$rank0"
sleep 0.2
kill -KILL $launcher
wait $launcher 2>/dev/null
nothing_left "a killed launcher"
rm -f a.h5 .a.h5*

# -- what cannot start is not tried again
mkdir none && ln -s "$(command -v env)" none/
refused 1 "cannot start mpirun" env PATH="$folder/none" $run -n 3
TMPDIR=$folder/no refused 1 "no folder can be made" $run -n 3
printf '#!/bin/sh\nexit 5\n' >none/mpirun && chmod +x none/mpirun
refused 1 "mpirun could not start the ranks" env PATH="$folder/none" $run -n 3
same "it was tried once" "$(grep -c 'starting again' err)" 0
finish
