#!/usr/bin/env bash
# Runs that are stopped or killed, and go on: the same bits, nothing done twice, nothing left; and what is refused.
. "$(dirname "$0")/cli.bash"
seed=${SEED:-$RANDOM}
echo "seed $seed"
RANDOM=$seed

check "a photo" $banquet make photo photo.h5 --size 300x257 --quiet
check "clusters" $banquet make clusters clusters.h5 --size 20000x5 --quiet
digests() { digest "$@" | sort | tr '\n' ' '; }
checkpoint=.bright.h5.banquet-resume
left() { ls -A | grep -c banquet-resume; } # kill -9 leaves a hidden work file

cat >job.yaml <<'EOF'
steps:
  - {name: all, kernel: stats, input: "photo.h5:/photo"}
  - {name: bright, kernel: brighten, params: {gain: 1.3}, input: "photo.h5:/photo", output: "bright.h5:/photo"}
  - name: two
    repeat: 120
    steps:
      - {name: soft, kernel: blur, border: reflect, input: "photo.h5:/photo", next: {input: light}}
      - {name: light, kernel: brighten, params: {gain: 1.1}, uses: {input: soft}, output: {file: two.h5, dataset: /photo, compress: gzip:1}}
      - {name: pause, kernel: oven, params: {n: 1, wait_ms: 10, cook_ms: 0}}
  - {name: score, kernel: zscore, input: "two.h5:/photo", uses: {mean: all, deviation: all}, output: "score.h5:/photo"}
  - {name: start, kernel: kmeans_start, params: {k: 5}, input: "clusters.h5:/clusters"}
  - {name: assign, kernel: kmeans, params: {k: 5}, input: "clusters.h5:/clusters", uses: {centres: start}, next: {centres: assign}, repeat: 200, until: moved < 1e-9}
EOF
want=$(digests $banquet run job.yaml)
same "it has digests" "${want:+yes}" yes
rm -f bright.h5 two.h5 score.h5

# begin SIGNAL ARGUMENT..: starts the job, waits for a checkpoint, and a little more, and sends the signal.
begin() {
    local signal=$1
    shift
    $banquet run job.yaml --checkpoint 0 -q "$@" >out 2>err &
    local pid=$!
    until_there $checkpoint
    sleep 0.$((RANDOM % 30 + 10))
    kill -"$signal" $pid
    wait $pid 2>/dev/null
    code=$?
}

for signal in INT KILL TERM KILL; do
    begin $signal
    case $signal in
    KILL) same "killed" $code 137 ;;
    *) same "stopped by $signal" $code 75 ;;
    esac
    same "there is a checkpoint after $signal" "$([ -e $checkpoint ] && echo yes)" yes
    made=$(stat -c %Y.%i bright.h5 2>/dev/null)
    same "resumed after $signal" "$(digests $banquet run job.yaml --json r.json)" "$want"
    same "it says so" "$(grep -c '^resuming: ' err)" 1
    [ -z "$made" ] || same "what was there was not made again" "$(stat -c %Y.%i bright.h5)" "$made"
    same "nothing is left after $signal" "$(left)" 0
    rm -f bright.h5 two.h5 score.h5 .*.banquet-??????
done
begin INT -n 3
same "stopped in kitchens" $code 75
same "resumed by one process" "$(digests $banquet run job.yaml)" "$want"
rm -f bright.h5 two.h5 score.h5
begin KILL
same "resumed by kitchens" "$(digests $banquet run job.yaml -n 4 --schedule dynamic:1)" "$want"
same "nothing is left" "$(left)" 0
rm -f bright.h5 two.h5 score.h5

# Stopped again and again; the last one tells what all of them did.
for i in 1 2 3; do begin INT --set two.repeat=300; done
check "the rest" $banquet run job.yaml --set two.repeat=300 --json r.json
check "JSON has all steps, and which were done before" /usr/bin/python3 -c '
import json
steps = {s["step"]: s for s in json.load(open("r.json"))["steps"]}
assert sorted(steps) == sorted("all bright soft light pause score start assign".split()), steps.keys()
assert steps["all"]["earlier"] and steps["bright"]["earlier"] and "earlier" not in steps["score"]
assert steps["all"]["results"]["count"] == 300 * 257
assert "resumed after round" in steps["light"]["loop"] and steps["light"]["rounds"] == 300'
rm -f bright.h5 two.h5 score.h5

# -- what does not fit is refused, by its name; --fresh begins anew
begin INT
cp $checkpoint saved
refused 2 "the job (or the program) is another now; --fresh begins anew" $banquet run job.yaml --set bright.params.gain=1.4
refused 2 "the job (or the program) is another now" $banquet run job.yaml -n 3 --set bright.params.gain=1.4
touch photo.h5
refused 2 "an input was changed since" $banquet run job.yaml
touch -d @0 photo.h5
check "fresh" $banquet run job.yaml --fresh --force -q
same "nothing is left" "$(left)" 0
begin INT --force
touch bright.h5
refused 2 "bright.h5 was changed since an earlier run of this job made it" $banquet run job.yaml
rm -f bright.h5 two.h5 score.h5
check "fresh again" $banquet run job.yaml --fresh -q
rm -f bright.h5 two.h5 score.h5

flip() { # flip FILE: one bit, somewhere
    /usr/bin/python3 - "$1" $RANDOM <<'EOF'
import os, random, sys
random.seed(int(sys.argv[2]))
with open(sys.argv[1], "r+b") as f:
    data = f.read()
    at = random.randrange(len(data))
    f.seek(at)
    f.write(bytes([data[at] ^ 1 << random.randrange(8)]))
EOF
}
begin INT
cp $checkpoint saved
flip $checkpoint
refused 2 "is damaged; --fresh begins anew" $banquet run job.yaml
head -c 100 saved >$checkpoint
refused 2 "is damaged" $banquet run job.yaml
: >$checkpoint
refused 2 "is damaged" $banquet run job.yaml
cp saved $checkpoint
state=$(ls -A | grep banquet-resume- | head -n 1)
cp "$state" state
flip "$state"
refused 2 "is damaged" $banquet run job.yaml
rm "$state"
refused 2 "is damaged" $banquet run job.yaml
cp state "$state"
rm $checkpoint
ln -s saved $checkpoint
refused 2 "cannot be read" $banquet run job.yaml
rm $checkpoint
cp saved $checkpoint
same "whole again, it goes on" "$(digests $banquet run job.yaml)" "$want"
rm -f bright.h5 two.h5 score.h5

# -- while it is under way, nobody else goes on from it
$banquet run job.yaml --checkpoint 0 -q --force --set two.repeat=100000 >/dev/null 2>&1 &
pid=$!
until_there $checkpoint
refused 2 "this job is under way already, as process $pid" $banquet run job.yaml --set two.repeat=100000
refused 2 "this job is under way already, as process $pid" $banquet run job.yaml --fresh
kill -INT $pid
wait $pid
same "that one is stopped" $? 75
refused 2 "bright.h5 already exists" $banquet run job.yaml --fresh
check "and fresh" $banquet run job.yaml --fresh --force -q
rm -f bright.h5 two.h5 score.h5

# -- killed long before the first ten seconds are over: what was made is known all the same
printf 'steps:\n  - {name: a, kernel: copy, input: "photo.h5:/photo", output: "first.h5:/x"}\n  - {name: pause, kernel: oven, params: {n: 500, wait_ms: 10, cook_ms: 0}}\n' >early.yaml
$banquet run early.yaml --at-once 1 -q >/dev/null 2>&1 &
pid=$!
until_there .first.h5.banquet-resume
kill -KILL $pid
wait $pid 2>/dev/null
check "the output of a killed run is not in the way" $banquet run early.yaml --set pause.params.n=500
rm first.h5

# -- loops: more rounds, fewer rounds, and no checkpoint
printf '{name: life, kernel: life, border: wrap, input: "cells.h5:/cells", output: "grown.h5:/cells", next: {input: life}, repeat: 100000}\n' >life.yaml
check "cells" $banquet make cells cells.h5 --size 97x130 --quiet
rounds() { sed -n 's/.*round \([0-9]*\) of.*/\1/p' out | head -n 1; }
timeout -s INT 1 $banquet run life.yaml -q >out 2>err
same "a loop is stopped" "$(grep -c 'the same command goes on' err)" 1
refused 2 "is another now" $banquet run life.yaml --set life.repeat=1
done_rounds=$($banquet run life.yaml --set life.repeat=100001 --checkpoint off 2>&1 >/dev/null & pid=$!; sleep 0.5; kill -INT $pid; wait $pid) 
n=$(echo "$done_rounds" | sed -n "s/.*'life' has \([0-9]*\) rounds.*/\1/p")
check "more rounds" $banquet run life.yaml --set life.repeat=$((n + 5)) --json r.json
same "go on" "$(number r.json rounds)" $((n + 5))
same "and give the same" "$(number r.json digest)" "$(digest $banquet run life.yaml --set life.repeat=$((n + 5)) --force)"
rm grown.h5
timeout -s INT 0.7 $banquet run life.yaml -q --checkpoint off >out 2>err
same "nothing is saved when nothing is wanted" "$(left)" 0
refused 2 "--checkpoint must be a number of seconds, or off" $banquet run life.yaml --checkpoint often

# Beside another job that goes on, and would save in the same place, a job saves nothing.
printf '{name: assign, kernel: kmeans, params: {k: 2, centres: [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]}, input: "clusters.h5:/clusters", next: {centres: assign}, repeat: 1000000}\n' >means.yaml
$banquet run means.yaml --checkpoint 0 -q >/dev/null 2>&1 &
pid=$!
until_there .means.yaml.banquet-resume
check "another k runs beside it" $banquet run means.yaml --set params.k=1 --set params.centres=0,0,0,0,0 --set assign.repeat=30 --checkpoint 0
check "and the same, as nobody writes" $banquet run means.yaml --set assign.repeat=30 --checkpoint 0 --fresh
same "what is saved is the first one's" "$([ -e .means.yaml.banquet-resume ] && echo yes)" yes
kill -INT $pid
wait $pid
same "which is stopped" $? 75
refused 2 "is another now" $banquet run means.yaml --set params.k=1 --set params.centres=0,0,0,0,0
check "and goes on" $banquet run means.yaml --set assign.repeat=1 --fresh
same "nothing is left" "$(left)" 0

# What was given up stays known.
/usr/bin/python3 - <<'EOF'
import h5py, numpy
with h5py.File("nan.h5", "w") as file:
    numbers = numpy.ones((300, 400), "f8")
    numbers[250, 17] = numpy.nan
    file.create_dataset("x", data=numbers, chunks=(100, 100))
EOF
printf '{name: heat, kernel: heat, chunk: [100, 100], input: "nan.h5:/x", output: {file: h.h5, dataset: /x, nan: refuse}, next: {input: heat}, repeat: 1000000}\n' >heat.yaml
timeout -s INT 1 $banquet run heat.yaml -q >out 2>err
n=$($banquet run heat.yaml --checkpoint off 2>&1 >/dev/null & pid=$!; sleep 0.3; kill -INT $pid; wait $pid)
n=$(echo "$n" | sed -n "s/.*'heat' has \([0-9]*\) rounds.*/\1/p")
refused 3 "chunk 8: round 1: it writes NaN" $banquet run heat.yaml --set heat.repeat=$((n + 2)) --json r.json
same "once" "$(number r.json n_given_up)" 1

# -- a loop that is over, and steps behind it -----------------------------------------------------
stop_when() { # stop_when FILE SECONDS JOB ARGUMENT..: stops the job by SIGINT when the file is there, and some time is over
    local file=$1 seconds=$2
    shift 2
    $banquet run "$@" --checkpoint 0 -q >out 2>err &
    local pid=$!
    until_there "$file"
    sleep "$seconds"
    kill -INT $pid
    wait $pid
}
cat >over.yaml <<'EOF'
steps:
  - {name: life, kernel: life, border: wrap, input: "cells.h5:/cells", output: "over.h5:/cells", next: {input: life}, repeat: 5, until: died < 0}
  - {name: pause, kernel: oven, params: {n: 300, wait_ms: 10, cook_ms: 0}}
  - {name: late, kernel: stats, input: "over.h5:/cells"}
EOF
want=$(digests $banquet run over.yaml --set pause.params.n=1)
rm over.h5
stop_when over.h5 0.2 over.yaml --at-once 1
same "stopped behind a loop" $? 75
refused 3 "the loop ended before its condition was true" $banquet run over.yaml --set pause.params.n=300 --json r.json
check "what is known of the loop" /usr/bin/python3 -c '
import json
steps = {s["step"]: s for s in json.load(open("r.json"))["steps"]}
assert steps["life"]["earlier"] and steps["life"]["rounds"] == 5'
rm over.h5
stop_when over.h5 0.2 over.yaml --at-once 1
refused 2 "is another now" $banquet run over.yaml --set life.repeat=3
refused 3 "" $banquet run over.yaml --set life.repeat=8 --json r.json
check "more rounds of a loop that was over begin anew" /usr/bin/python3 -c '
import json
steps = {s["step"]: s for s in json.load(open("r.json"))["steps"]}
assert "earlier" not in steps["life"] and steps["life"]["rounds"] == 8'
same "nothing is left" "$(left)" 0

# -- groups of three, stopped again and again ------------------------------------------------------
cat >three.yaml <<'EOF'
steps:
  - name: three
    repeat: 60
    steps:
      - {name: pause, kernel: oven, params: {n: 1, wait_ms: 10, cook_ms: 0}}
      - {name: life, kernel: life, border: wrap, input: "cells.h5:/cells", output: "three.h5:/cells", next: {input: life}}
      - {name: end, kernel: oven, params: {n: 50, wait_ms: 10, cook_ms: 0}}
      - {name: other, kernel: life, border: wrap, input: "cells.h5:/cells", output: "other.h5:/cells", next: {input: other}}
EOF
want=$(digests $banquet run three.yaml --set end.params.n=1)
rm three.h5 other.h5
for i in 1 2 3 4; do
    stop_when .three.h5.banquet-resume 0.2 three.yaml --set end.params.n=1
    same "three steps are stopped ($i)" "$?$(grep -c 'no checkpoint can be' err)" 750
done
same "and go on to the same" "$(digests $banquet run three.yaml --set end.params.n=1)" "$want"
rm three.h5 other.h5
# In the last round outputs are written to their places, one before the other.
stop_when three.h5 0.1 three.yaml --set three.repeat=2
same "stopped between two outputs" "$?$(ls three.h5)$(ls other.h5 2>&1 | grep -c 'No such')" "75three.h51" || true
check "goes on" $banquet run three.yaml --set three.repeat=2
same "nothing is left" "$(left)" 0
rm -f three.h5 other.h5

# -- from the start: what is there already, who is at work; and --fresh that is refused
echo data >grown.h5
refused 2 "grown.h5 already exists" timeout 2 $banquet run life.yaml
rm grown.h5
$banquet run life.yaml -q >/dev/null 2>&1 &
pid=$!
until_there .grown.h5.banquet-resume-lock
refused 2 "this job is under way already, as process $pid" $banquet run life.yaml --force
sleep 0.3
shm=$(grep '^/dev/shm/' .grown.h5.banquet-resume-lock)
same "it works in memory" "$(ls -d "$shm")" "$shm"
kill -KILL $pid
wait $pid 2>/dev/null
timeout -s INT 0.7 $banquet run life.yaml -q >out 2>err
same "what was killed has left nothing there" "$(ls -d "$shm" 2>/dev/null)" ""
refused 2 "memory" $banquet run life.yaml --fresh --memory 1
same "what is saved stays when --fresh is refused" "$([ -e .grown.h5.banquet-resume ] && echo yes)" yes
$banquet run life.yaml -q >/dev/null 2>&1 &
pid=$!
until_there .grown.h5.banquet-resume-lock
sleep 0.3
same "who goes on works in memory" "$(grep -c '^/dev/shm/' .grown.h5.banquet-resume-lock)" 1
kill -INT $pid
wait $pid
rm -f .grown*
mkfifo .grown.h5.banquet-resume
refused 2 "it is not a file of yours" timeout 5 $banquet run life.yaml
rm -f .grown*

# -- a job of one step: who is at work, and what kill -9 leaves
check "a long film" $banquet make field long.h5 --size 100x512x512 --quiet
printf '{kernel: copy, input: "long.h5:/field", output: {file: copy.h5, dataset: /x, compress: "gzip:9"}}\n' >copy.yaml
until_held() { # until_held PID: it has the lock, and is at work (what one that was killed left may be there before)
    for _ in $(seq 1000); do
        grep -qs "^$1 " .copy.h5.banquet-resume-lock && grep -qs "^/" .copy.h5.banquet-resume-lock && return
        sleep 0.01
    done
}
for signal in KILL INT; do
    $banquet run copy.yaml -q >/dev/null 2>&1 &
    pid=$!
    until_held $pid
    refused 2 "this job is under way already, as process $pid" $banquet run copy.yaml --force
    refused 2 "this job is under way already, as process $pid" $banquet run copy.yaml -n 3
    kill -$signal $pid
    wait $pid 2>/dev/null
done
same "the next run removes what one that was killed has left, and stops in order" "$(ls -A | grep -c 'copy.h5')" 0
for signal in INT KILL; do
    $banquet run copy.yaml --set output.layout=sharded -n 3 --restarts 0 -q >/dev/null 2>&1 &
    pid=$!
    until_there '.copy.h5.d.banquet-??????'
    sleep 0.1
    kill -$signal "$(sed 's/ .*//;q' .copy.h5.banquet-resume-lock)" # rank 0
    wait $pid 2>/dev/null
done
same "shards stay behind when they are killed" "$(ls -d .copy.h5.d.banquet-?????? | wc -l)" 1
$banquet run copy.yaml -q >/dev/null 2>&1 &
pid=$!
until_held $pid
same "and go with the next run" "$(ls -d .copy.h5.d.banquet-?????? 2>/dev/null | wc -l)" 0
kill -KILL $pid
wait $pid 2>/dev/null
echo precious >.other.banquet-abcdef
mkdir -m 755 d && echo "$PWD/.other.banquet-abcdefg" >>.copy.h5.banquet-resume-lock && echo "$PWD/copy.yaml" >>.copy.h5.banquet-resume-lock
echo "$PWD/d" >>.copy.h5.banquet-resume-lock
check "a small one in its place" $banquet run copy.yaml --input photo.h5:/photo
same "nothing else is removed" "$(ls -A | grep -c 'copy.h5')$(ls -d d copy.yaml .other.banquet-abcdef | tr '\n' ' ')" "1.other.banquet-abcdef copy.yaml d "
rm -rf d .other.banquet-abcdef copy.h5

# -- a file that a kernel reads by its own, and one behind a virtual dataset, or beside it
echo "$folder/cells.h5" >list.txt
printf 'steps:\n  - {name: get, kernel: fetch, params: {list: list.txt}, output: "get.h5:/x"}\n  - {name: pause, kernel: oven, params: {n: 500, wait_ms: 10, cook_ms: 0}}\n' >get.yaml
stop_when get.h5 0.1 get.yaml --at-once 1
echo "$folder/photo.h5" >>list.txt
refused 2 "an input was changed since" $banquet run get.yaml
check "anew" $banquet run get.yaml --fresh --force --set pause.params.n=1
printf 'steps:\n  - {name: a, kernel: copy, input: "photo.h5:/photo", output: {file: a.h5, dataset: /x, layout: sharded}}\n  - {name: pause, kernel: oven, params: {n: 500, wait_ms: 10, cook_ms: 0}}\n' >shards.yaml
stop_when a.h5 0.1 shards.yaml --at-once 1
rm a.h5.d/*
refused 2 "a.h5 was changed since" $banquet run shards.yaml
rm -rf a.h5 a.h5.d .a.h5*

# -- a full disk: the run goes on without a checkpoint, and what it began of one is gone
if mount -t tmpfs -o size=3m tmpfs small 2>/dev/null || { mkdir small && mount -t tmpfs -o size=3m tmpfs small 2>/dev/null; }; then
    check "larger cells" $banquet make cells large.h5 --size 1000x1200 --quiet
    printf '{name: life, kernel: life, border: wrap, input: "large.h5:/cells", output: {file: small/o.h5, dataset: /cells}, next: {input: life}, repeat: 40}\n' >full.yaml
    head -c 900000 /dev/zero >small/fill
    check "a run whose checkpoint has no room" $banquet run full.yaml --checkpoint 0
    same "says so" "$(grep -c 'no checkpoint can be written' err)" 1
    same "and leaves nothing" "$(ls -A small | tr '\n' ' ')" "fill o.h5 "
    umount small
else
    echo "SKIPPED the full disk: mounting is not allowed"
fi
finish
