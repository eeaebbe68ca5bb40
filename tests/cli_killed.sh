#!/usr/bin/env bash
# What comes from outside: kill -9 and SIGSTOP to the process of the cooks and to the one that starts it, memory that ends, and
# signals that ask to stop.
. "$(dirname "$0")/cli.bash"
export XDG_CACHE_HOME=$folder/cache
# A sanitizer's own handlers would report each crash, which takes seconds.
no_reports=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}$no_reports TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}$no_reports
cp "$root/tests/crash_kernel.c" bad.c
check "a photo is made" $banquet make photo p.h5 --size 512x512 --quiet
cat >job.yaml <<'END'
kernel: ./bad.c:bad
input: p.h5:/photo
output: out.h5:/photo
chunk: [64, 64]
cooks: 2
END
want=$(digest $banquet run job.yaml --quiet)
[ ${#want} = 32 ] || fail "a digest: $want"

nobody_left() {
    local i
    n_checks=$((n_checks + 1))
    for i in $(seq 100); do
        grep -qlzxF "CRASH_MARK=$folder" /proc/[0-9]*/environ 2>/dev/null || return
        sleep 0.02
    done
    fail "processes are left of $1: $(grep -lzxF "CRASH_MARK=$folder" /proc/[0-9]*/environ 2>/dev/null)"
}
begin() { # begin [OPTION ..]: a run of a second or two in the background, $run; rank 1's parts are found by find_parts
    rm -f out.h5 run.json
    CRASH_MARK=$folder timeout --foreground 60 $banquet run job.yaml --force --quiet --set params.slow=40 --json run.json "$@" >run.out 2>run.err &
    guard=$!
}
child_of() { # child_of PID: its first child, once it has one
    local found i
    for i in $(seq 500); do
        found=$(tr ' ' '\n' <"/proc/$1/task/$1/children" 2>/dev/null | head -n 1)
        [ -n "$found" ] && echo "$found" && return
        sleep 0.01
    done
}
find_parts() { # of a run in one process: $main, $zygote, $child; of mpirun, rank $1
    local i rank
    main=$(child_of $guard) zygote='' child=''
    [ -n "${1:-}" ] && main=$(child_of "$main") # mpirun, whose parent is the launcher
    for i in $(seq 500); do
        [ -z "${1:-}" ] && break
        for rank in $(cat /proc/"$main"/task/*/children 2>/dev/null); do
            grep -qzxF "OMPI_COMM_WORLD_RANK=$1" /proc/"$rank"/environ 2>/dev/null && main=$rank && break 2
        done
        sleep 0.01
    done
    zygote=$(child_of "$main")
    child=$(child_of "$zygote")
}
ends() { # ends STATUS WHAT: the run in the background ends so
    local got
    wait $guard
    got=$?
    n_checks=$((n_checks + 1))
    [ $got = "$1" ] || { fail "status $got, not $1: $2"; tail -n 5 run.err; }
    nobody_left "$2"
}
right() { same "$1: the same digest" "$(sed -n 's/^digest //p' run.out)" "$want"; }
says() { # says TEXT
    n_checks=$((n_checks + 1))
    grep -qF -- "$1" run.err || { fail "no such message"; printf '  want %s\n' "$1"; cat run.err; }
}

begin
until_there '.out.h5.banquet-??????'
find_parts
kill -9 "$child"
ends 0 "the cooks' process was killed"
right "the cooks' process was killed"
says "was killed (by hand, or memory ran out)"
same "that is in the report" "$(number run.json lost)" 1
same "for people, too" "$(grep -c 'kitchen 1 lost its cooks once' run.out)" 1

# One cook and one attempt: what it was at is not to blame
begin --cooks 1 --set attempts=1
until_there '.out.h5.banquet-??????'
find_parts
sleep 0.2
kill -9 "$child"
ends 0 "the only cook's process was killed"
right "the only cook's process was killed"
same "that is one loss" "$(number run.json lost)" 1

begin --silence 2
until_there '.out.h5.banquet-??????'
find_parts
kill -STOP "$child"
ends 0 "it was stopped"
right "it was stopped"
says "nothing was heard of the kernel's process"

begin
find_parts
kill -SEGV "$child" # before it has said HELLO, or soon after
ends 0 "SIGSEGV from outside"
right "SIGSEGV from outside"

begin
find_parts
kill -9 "$zygote"
ends 1 "the helper was killed, and there is no other kitchen"
says "the helper that starts its cooks' process was killed"

begin
find_parts
kill -9 "$main"
ends 137 "the program was killed"

begin
find_parts
kill -INT "$main"
ends 75 "it was asked to stop"

begin -n 3
find_parts 2
kill -9 "$zygote"
ends 0 "one of two kitchens has no helper"
right "one of two kitchens has no helper"
says "kitchen 2"

for signal in TERM USR2; do
    begin -n 3
    find_parts 1
    sleep 0.2
    kill -$signal "$main"
    ends 0 "a kitchen is drained by $signal"
    right "a kitchen is drained by $signal"
done
sed 's/^input/name: l\nnext: {input: l, round: l.round}\nparams: {round: 1}\nrepeat: 3\ninput/' job.yaml >loop.yaml
loop_want=$(digest $banquet run loop.yaml --quiet --force)
rm -f out.h5
CRASH_MARK=$folder timeout --foreground 60 $banquet run loop.yaml --force --quiet --set params.slow=20 -n 3 >run.out 2>run.err &
guard=$!
find_parts 1
sleep 0.2
kill -TERM "$main"
ends 0 "rounds go on without it"
same "with the same digest" "$(sed -n 's/^digest //p' run.out)" "$loop_want"

# -- memory ends in a kernel that does not look
if (ulimit -v 4000000 && $banquet --version) >/dev/null 2>&1; then
    (ulimit -v 4000000 && exec env CRASH_MARK="$folder" timeout 60 $banquet run job.yaml --force --quiet --set params.mode=leak \
        --set params.at=7 >run.out 2>run.err)
    same "a leak is a crash of that chunk" $? 3
    says "chunk 7: the kernel crashed: Segmentation fault"
    nobody_left "a leak"
else
    echo "SKIPPED memory that ends: this build wants more address space" # sanitizers do
fi

# -- and the rest
CRASH_MARK=$folder timeout 60 $banquet run job.yaml --force --quiet --silence 2 --set params.mode=close --set params.at=7 >run.out 2>run.err
same "descriptors that a kernel closes" $? 1
nobody_left "descriptors that a kernel closes"
refused 2 "--silence must be a number of seconds, at least 0.1, not '0'" $banquet run job.yaml --silence 0
finish
