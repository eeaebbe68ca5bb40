#!/usr/bin/env bash
# The commands as a user types them.
. "$(dirname "$0")/cli.bash"

check "help" $banquet --help
check "version" bash -c "'$banquet' --version | grep -qE '^banquet [0-9]+\.[0-9]+\.[0-9]+$'"
for command in run join plan make kernels demo view; do
    check "$command --help" $banquet $command --help
    check "help is within 80 columns" bash -c "! '$banquet' $command --help | grep -qE '.{81}'"
done
check "kernels" $banquet kernels
for kernel in brighten copy stats sum histogram primes mandelbrot spin oven; do
    check "kernels has $kernel" bash -c "'$banquet' kernels $kernel | grep -q '^$kernel  '"
done

check "make" $banquet make photo photo.h5 --size 300x200 --chunk 64x50 --gzip 4 --quiet
check "make, other seed" $banquet make photo other.h5 --size 300x200 --chunk 64x50 --seed 2 --quiet
check "a seed makes a difference" bash -c "! h5diff -q photo.h5 other.h5 /photo /photo"
check "make in kitchens" $banquet make photo many.h5 --size 300x200 --chunk 64x50 --quiet -n 3
check "makes the same" h5diff photo.h5 many.h5 /photo /photo
check "other tools read it" bash -c "h5dump -pH photo.h5 | grep -q 'COMPRESSION DEFLATE'"

cat >job.yaml <<END
kernel: brighten
input: photo.h5:/photo
output: out.h5:/bright/photo
END
check "plan" $banquet plan job.yaml -n 4
same "plan writes nothing" "$(ls out.h5 2>/dev/null)" ""
check "plan says how many chunks" bash -c "'$banquet' plan job.yaml | grep -q 'chunks  *[0-9]'"
check "run" $banquet run job.yaml --json report.json
for key in concurrency parallelism makespan_s digest; do
    check "the report has $key" grep -q "\"$key\"" report.json
done
same "every chunk was counted" "$(number report.json n_chunks)" "$($banquet plan job.yaml | awk '$1 == "chunks" {print $2}')"
check "summary is within 80 columns" bash -c "! '$banquet' run job.yaml --force | grep -qE '.{81}'"
check "the output says how it was made" bash -c "h5dump -a /bright/photo/banquet_digest out.h5 | grep -q $(number report.json digest)"
check "json on standard output" bash -c "'$banquet' run job.yaml --force --json - | head -n 1 | grep -q '^{'"
check "view" $banquet view photo.h5:/photo out.h5:/bright/photo -o view.png
check "a picture is a PNG" bash -c "head -c 8 view.png | od -An -c | grep -q 'P   N   G'"

cat >steps.yaml <<END
steps:
  - {name: bright, kernel: brighten, input: photo.h5:/photo, output: s1.h5:/photo}
  - {name: measure, kernel: stats, input: s1.h5:/photo}
END
check "a job of steps" $banquet run steps.yaml
check "a job of steps, in kitchens" $banquet run steps.yaml --force -n 3
check "overrides reach a step" $banquet run steps.yaml --force --set bright.params.gain=2

printf 'kernel: oven\nparams: {n: 6, wait_ms: 5, cook_ms: 1}\n' >oven.yaml
check "waits" $banquet run oven.yaml --json oven.json --open 6 --cooks 1
check "waits are called simulated" bash -c "'$banquet' run oven.yaml | grep -q simulated"
same "one cook had six chunks open" "$(number oven.json open_max)" 6
check "a team" $banquet run oven.yaml --set team=true --cooks 2
refused 2 "team" $banquet run steps.yaml --force --set measure.team=true

printf 'kernel: spin\nparams: {n: 100, us: 100000}\n' >long.yaml
for signal in TERM HUP; do
    $banquet run long.yaml --quiet >stopped 2>&1 &
    pid=$!
    sleep 0.5
    kill -$signal $pid
    wait $pid
    same "SIG$signal stops with 75" $? 75
    check "and says how far it was" grep -q "stopped after" stopped
done
printf 'kernel: spin\nparams: {n: 100, us: 10000}\n' >long.yaml
(trap '' HUP; exec "$banquet" run long.yaml --quiet) >stopped 2>&1 &
pid=$!
sleep 0.3
kill -HUP $pid
wait $pid
same "unless it was to be ignored, as nohup has it" $? 0
finish
