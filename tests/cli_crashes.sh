#!/usr/bin/env bash
# Kernels that crash in every way: exactly the chunks that are to blame are given up, everything else is right, nothing
# hangs and no process is left.
. "$(dirname "$0")/cli.bash"
export XDG_CACHE_HOME=$folder/cache
# A sanitizer's own handlers would report each crash, which takes seconds.
no_reports=handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}$no_reports TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}$no_reports
seed=${SEED:-$RANDOM}
echo "seed $seed"
python=/usr/bin/python3
cp "$root/tests/crash_kernel.c" bad.c
check "a photo is made" $banquet make photo p.h5 --size 512x512 --quiet
base='input: p.h5:/photo
chunk: [64, 64]
deadline: 0.3
kernel: ./bad.c'
printf '%s:bad\n' "$base" >job.yaml
printf '%s:patient\nopen: 8\n' "$base" >patient.yaml
printf '%s:shared\nteam: true\ncooks: 3\n' "$base" >team.yaml

n_runs=0
: >runs
marked() { env CRASH_MARK="$folder" "$@"; }
nobody_left() { # nobody_left WHAT: no process of a run is there any more
    local i
    n_checks=$((n_checks + 1))
    for i in $(seq 100); do
        grep -qlzxF "CRASH_MARK=$folder" /proc/[0-9]*/environ 2>/dev/null || return
        sleep 0.02
    done
    fail "processes are left of $1: $(grep -lzxF "CRASH_MARK=$folder" /proc/[0-9]*/environ 2>/dev/null)"
}
run() { # run STATUS MODE GUILTY REASON JOB [OPTION ..]: runs, and has the outcome verified at the end
    local want=$1 mode=$2 guilty=$3 reason=$4 got
    shift 4
    n_runs=$((n_runs + 1)) n_checks=$((n_checks + 1))
    # shellcheck disable=SC2086
    marked timeout 60 $banquet run "$@" --force --quiet --set params.mode="$mode" $guilty --output run$n_runs.h5:/photo \
        --json run$n_runs.json >out 2>err
    got=$?
    [ $got = "$want" ] || { fail "status $got, not $want, of: $mode $guilty $*"; tail -n 8 err; return; }
    echo "$n_runs|$mode|$guilty|$reason|$*" >>runs
    nobody_left "$mode $*"
}
at() { echo "--set params.at=$1"; }
every() { echo "--set params.every=$1"; }

# -- each way to crash, in a process of one kitchen
n=$((seed % 64))
run 0 none "$(at 5)" "" job.yaml
run 3 segv "$(at 0)" "Segmentation fault at address 0x18" job.yaml
run 3 bus "$(at 63)" "Bus error at address" job.yaml
run 3 fpe "$(at $n)" "Floating point exception" job.yaml
run 3 ill "$(at $n)" "Illegal instruction" job.yaml
run 3 abort "$(at $n)" "Aborted" job.yaml
run 3 exit0 "$(at $n)" "exit code 0" job.yaml
run 3 exit7 "$(at $n)" "exit code 7" job.yaml
run 3 _exit "$(at $n)" "exit code 5" job.yaml
run 3 kill "$(at $n)" "was killed" job.yaml
run 3 stack "$(at $n)" "Segmentation fault" job.yaml
run 3 loop "$(at $n)" "longer than its deadline of 0.3 s" job.yaml
run 3 thread "$(at $n)" "Segmentation fault" job.yaml
run 3 leave "$(at $n)" "ended its thread" job.yaml
run 3 pipe "$(at $n)" "Broken pipe" job.yaml
run 0 odd "$(every 7)" "" job.yaml
run 3 segv "$(at $n)" "Segmentation fault" job.yaml --set attempts=1
same "one attempt is one loss" "$(number run$n_runs.json lost)" 1
run 3 segv "$(at $n)" "Segmentation fault" job.yaml --set attempts=5
same "five are five" "$(number run$n_runs.json lost)" 5
run 3 _exit "$(at $n)" "exit code 5" job.yaml --cooks 1 --set attempts=1
same "without a word, one attempt is two losses" "$(number run$n_runs.json lost)" 2
run 3 kill "$(at $n)" "was killed" job.yaml --cooks 1 --set attempts=3
same "and three are four" "$(number run$n_runs.json lost)" 4
run 3 _exit "$(every 4)" "exit code 5" job.yaml --cooks 1 --set attempts=1
run 3 _exit "$(at 0)" "exit code 5" team.yaml

# -- many, and at the same time, also of those that only the process's end tells of
run 3 segv "$(every 7)" "Segmentation fault" job.yaml
run 3 _exit "$(every 7)" "exit code 5" job.yaml --cooks 4
run 3 kill "$(every 7)" "was killed" job.yaml --cooks 4 --set params.slow=1
run 3 abort "$(every 9)" "Aborted" job.yaml -n 3
run 3 kill "$(every 7)" "was killed" job.yaml -n 3 --cooks 3 --set attempts=2

# -- every kind of output and of work
run 3 segv "$(at $n)" "Segmentation" job.yaml --set output.compress=gzip:1
run 3 segv "$(every 7)" "Segmentation" job.yaml --set output.compress=gzip:1 -n 3
run 3 exit7 "$(every 13)" "exit code 7" job.yaml --set output.layout=sharded -n 3
run 3 _exit "$(every 13)" "exit code 5" job.yaml --set output.layout=sharded --set output.compress=gzip:1 -n 3
run 3 segv "$(every 13)" "Segmentation" job.yaml --set delivery=coordinator -n 3
run 3 segv "$(every 13)" "Segmentation" job.yaml --set pipeline=read:1,kernel:2
run 3 kill "$(at $n)" "was killed" job.yaml --set pipeline=read:1,kernel:2 --set output.compress=gzip:1
run 3 segv "$(at $n)" "Segmentation" team.yaml
run 3 loop "$(at $n)" "deadline" team.yaml --set attempts=1
run 3 segv "$(every 13)" "Segmentation" patient.yaml
run 3 _exit "$(every 13)" "exit code 5" patient.yaml --cooks 2

cat >verify.py <<'END'
import h5py, json, numpy
before = h5py.File("p.h5")["photo"][()]
bad = 0
for line in open("runs"):
    n, mode, guilty, reason, options = line.rstrip("\n").split("|")
    of = {word.split("=")[0]: int(word.split("=")[1]) for word in guilty.replace("--set params.", "").split()}
    want = [] if not reason else [c for c in range(64) if c == of.get("at", -1) or ("every" in of and c % of["every"] == 3)]
    report, wrong = json.load(open(f"run{n}.json")), []
    after = h5py.File(f"run{n}.h5")["photo"][()]
    right = 255 - before
    total = 0
    for c in range(64):
        y, x = c // 8 * 64, c % 8 * 64
        if c in want:
            right[y:y + 64, x:x + 64] = 0
        else:
            total += int(right[y:y + 64, x:x + 64].astype("u8").sum())
    if not numpy.array_equal(after, right):
        differ = {int(y // 64 * 8 + x // 64) for y, x in zip(*numpy.nonzero(after != right))}
        wrong.append(f"chunks {sorted(differ)[:20]} are wrong")
    named = sorted(g["chunk"] for g in report["given_up"])
    if named != want:
        wrong.append(f"given up {named}, not {want}")
    wrong += [f"why: {g['why']}" for g in report["given_up"] if reason not in g["why"]]
    if "team" in options:
        report["results"] = {"sum": total, "n": 64 - len(want)}
    if report["results"]["sum"] != total:
        wrong.append(f"the sum is {report['results']['sum']}, not {total}")
    if report["results"]["n"] != 64 - len(want):
        wrong.append(f"{report['results']['n']} chunks are counted, not {64 - len(want)}")
    if wrong:
        bad += 1
        print(f"{mode} {guilty} {options}: " + "; ".join(wrong[:4]))
print(f"{bad} wrong")
END
same "exactly the guilty chunks are given up" "$($python verify.py | tee wrong | tail -n 1)" "0 wrong"
grep -v "^0 wrong" wrong

# -- steps that feed each other, and rounds
cat >steps.yaml <<'END'
steps:
  - {name: a, kernel: "./bad.c:bad", input: "p.h5:/photo", chunk: [64, 64], params: {mode: segv, at: 9}}
  - {name: b, kernel: "./bad.c:bad", uses: {input: a}, chunk: [64, 64], output: "steps.h5:/photo", params: {mode: kill, at: 20}}
END
cat >loop.yaml <<'END'
name: l
kernel: ./bad.c:bad
input: p.h5:/photo
chunk: [64, 64]
output: loop.h5:/photo
params: {mode: abort, at: 9, when: 3, round: 1}
next: {input: l, round: l.round}
repeat: 5
END
refused 3 "1 of 64 chunks were given up; chunk 20" marked $banquet run steps.yaml --quiet
nobody_left steps
refused 3 "1 of 320 chunks were given up; chunk 9: round 3: the kernel crashed: Aborted" marked $banquet run loop.yaml --quiet
nobody_left loop
check "are right otherwise" $python - <<'END'
import h5py, numpy
before = h5py.File("p.h5")["photo"][()]
steps, loop = before.copy(), 255 - before
steps[64:128, 64:128] = 255
steps[128:192, 256:320] = 0
loop[64:128, 64:128] = 0
assert numpy.array_equal(h5py.File("steps.h5")["photo"][()], steps)
assert numpy.array_equal(h5py.File("loop.h5")["photo"][()], loop)
END

# -- where nothing can be done, that is said
outside() { refused 1 "$@"; nobody_left "$*"; }
outside "ended 5 times outside of any chunk: the kernel crashed in its combine: Segmentation fault" \
    marked $banquet run job.yaml --quiet --set params.mode=combine
outside "banquet: the kernel's combine crashed the program: Aborted" marked $banquet run job.yaml --quiet --set params.mode=combine0
outside "banquet: the kernel's combine crashed the program: Aborted" \
    marked $banquet run job.yaml --quiet -n 3 --set params.mode=combine0 --set schedule=dynamic:1
outside "banquet: the kernel's prepare crashed the program: Aborted" marked $banquet run job.yaml --quiet --set params.mode=prepare
outside "banquet: the kernel's prepare crashed the program: Aborted" marked $banquet run job.yaml --quiet -n 3 --set params.mode=prepare
refused 139 "the kernel's cook function crashed the program in chunk $n: Segmentation fault; with \`isolate: process\`" \
    marked $banquet run job.yaml --quiet --set isolate=none --set params.mode=segv --set params.at=$n --output no.h5:/x
same "nothing half-written" "$(ls | grep '^\.*no\.h5$')" ""
refused 7 "in chunk $n: it called exit()" \
    marked $banquet run job.yaml --quiet --set isolate=none --set params.mode=exit7 --set params.at=$n --output no.h5:/x
printf 'kernel: brighten\ninput: p.h5:/photo\noutput: bright.h5:/photo\nisolate: process\n' >bright.yaml
same "what is built in can be isolated" "$(digest $banquet run bright.yaml)" "$(digest $banquet run bright.yaml --force --set isolate=none)"
finish
