#!/usr/bin/env bash
# A step that is killed, stopped or runs out of disk goes on chunk by chunk: the same bits, nothing
# twice, damage found and done again, other jobs refused, nothing left.
. "$(dirname "$0")/cli.bash"
seed=${SEED:-$RANDOM}
echo "seed $seed"
RANDOM=$seed
n_kills=${KILLS:-8} # of each kind; many more by hand

cat >slow.c <<'END'
#define _GNU_SOURCE
#include <banquet/kernel.h>
#include <stdlib.h>
#include <time.h>

struct acc { double sum; uint64_t n; };
static int prepare(struct bq_setup *setup)
{
    setup->acc_size = sizeof(struct acc);
    return 0;
}
static enum bq_answer cook(struct bq_call *call)
{
    struct acc *acc = call->acc;
    const uint8_t *in = call->in->data;
    uint8_t *out = call->out->data;
    nanosleep(&(struct timespec){.tv_nsec = 1000 * call->params[0].i}, NULL);
    for (uint64_t i = 0; i < call->in->n; i++) {
        out[i] = (uint8_t)(255 - in[i]);
        acc->sum += in[i] * 0.1;
    }
    acc->n += call->in->n;
    return BQ_DONE;
}
static void combine(const union bq_value *params, void *into, const void *next)
{
    (void)params;
    ((struct acc *)into)->sum += ((const struct acc *)next)->sum;
    ((struct acc *)into)->n += ((const struct acc *)next)->n;
}
static void present(const union bq_value *params, const void *acc, struct bq_sink *sink)
{
    (void)params;
    sink->real(sink, "sum", ((const struct acc *)acc)->sum);
    sink->integer(sink, "elements", ((const struct acc *)acc)->n);
}
static const struct bq_param params[] = {
    {"us", BQ_INT, {.i = 6000}, 0, 1e6, "us", "how long a chunk takes"}};
BQ_KERNEL(slow) = {.abi = BQ_KERNEL_ABI, .name = "slow", .summary = "inverts, slowly",
                   .flags = BQ_READS | BQ_WRITES, .params = params, .n_params = 1,
                   .prepare = prepare, .cook = cook, .combine = combine, .present = present};
END
check "a photo" $banquet make photo photo.h5 --size 640x512 --quiet
job() { # job OUTPUT: to job.yaml
    cat >job.yaml <<END
kernel: ./slow.c
input: photo.h5:/photo
output: $1
chunk: [32, 32]
cooks: 2
END
}
digests() { digest "$@"; }
sums() { /usr/bin/python3 -c 'import json; r = json.load(open("r.json")); print(r["results"])'; }
pixels() { /usr/bin/python3 -c 'import h5py, hashlib, sys; print(hashlib.sha256(h5py.File("out.h5")["photo"][()].tobytes()).hexdigest())'; }
left() { ls -A | grep -cE 'banquet-(journal|resume|......$|......-)'; }

# begin SIGNAL ARGUMENT..: starts the job, and sends the signal a random time after chunks are recorded.
begin() {
    local signal=$1 pid
    shift
    $banquet run job.yaml --checkpoint 0 -q "$@" >out 2>err &
    pid=$!
    until_there '.*.banquet-journal-0'
    sleep 0.$(printf %03d $((RANDOM % 500 + 60)))
    kill -"$signal" $pid
    wait $pid 2>/dev/null
    code=$?
}

for output in "out.h5:/photo" "{file: out.h5, dataset: /photo, compress: gzip:1}" "{file: out.h5, dataset: /photo, compress: szip}"; do
    job "$output"
    rm -f out.h5
    want=$(digests $banquet run job.yaml --set params.us=0 --json r.json 2>/dev/null)
    [ -n "$want" ] || continue # not all can be written everywhere
    want_sums=$(sums) want_pixels=$(pixels)
    rm -f out.h5
    n_resumed=0
    for i in $(seq "$n_kills"); do
        begin KILL
        same "killed ($output)" $code 137
        if [ $((RANDOM % 3)) = 0 ]; then
            begin KILL
            [ $code = 0 ] && rm -f out.h5 # it was nearly done
        fi
        case $((RANDOM % 3)) in
        0) how=(--cooks 1) ;;
        1) how=(--cooks 3 --schedule dynamic:2) ;;
        2) how=(-n 3) ;;
        esac
        same "the same digest after a kill ($output, ${how[*]})" "$(digests $banquet run job.yaml --json r.json "${how[@]}")" "$want"
        n_resumed=$((n_resumed + $(grep -c '^resuming: [1-9]' err)))
        same "nothing twice" "$(sums)" "$want_sums"
        same "the same pixels" "$(pixels)" "$want_pixels"
        same "nothing is left ($output)" "$(left)" 0
        rm -f out.h5
    done
    same "most runs were resumed ($output): $n_resumed of $n_kills" $((n_resumed * 4 > n_kills)) 1
done

# What kitchens write themselves is kept from the first second on, with the standard --checkpoint.
job "out.h5:/photo"
sed -i '/^cooks/s/2/1/' job.yaml
rm -f out.h5
want=$(digests $banquet run job.yaml --set params.us=0)
rm -f out.h5
$banquet run job.yaml -q >out 2>err &
pid=$!
sleep 1.6
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
same "an output that kitchens write goes on" "$(digests $banquet run job.yaml)" "$want"
same "from its first second on" "$(grep -cE '^resuming: [1-9]' err)" 1
same "nothing is left of it" "$(left)" 0
rm -f out.h5

# Of kernels that only reduce, the journal is all there is.
cat >job.yaml <<'END'
kernel: oven
params: {n: 120, wait_ms: 1, cook_ms: 6}
END
want=$(digests $banquet run job.yaml --set params.wait_ms=0 --set params.cook_ms=0)
n_resumed=0
for i in 1 2 3; do
    begin KILL
    same "a reduction goes on" "$(digests $banquet run job.yaml)" "$want"
    n_resumed=$((n_resumed + $(grep -cE '^resuming: [0-9]+ of 120 chunks are done' err)))
    same "nothing is left of a reduction" "$(left)" 0
done
same "it says how far it was: $n_resumed times" $((n_resumed > 0)) 1

# Several steps: the first is done, the second goes on in its middle.
cat >job.yaml <<'END'
steps:
  - {name: first, kernel: ./slow.c, params: {us: 0}, input: photo.h5:/photo, output: first.h5:/photo, chunk: [32, 32]}
  - {name: second, kernel: ./slow.c, input: photo.h5:/photo, output: "{file: out.h5, dataset: /photo, compress: gzip:1}", chunk: [32, 32], uses: {us: first.elements}}
END
sed -i 's/, uses: {us: first.elements}//; s/output: "{/output: {/; s/}", chunk/}, chunk/' job.yaml
want=$(digests $banquet run job.yaml --at-once 1)
rm -f out.h5 first.h5
$banquet run job.yaml --at-once 1 --checkpoint 0 -q >out 2>err &
pid=$!
until_there '.*.banquet-journal-1'
sleep 0.4
kill -KILL $pid
wait $pid 2>/dev/null
same "steps go on" "$(digests $banquet run job.yaml --at-once 1)" "$want"
same "both are told" "$(grep -c '^resuming: ' err)" 2
same "nothing is left of steps" "$(left)" 0

# A stop in order, and what is refused.
job "{file: out.h5, dataset: /photo, compress: gzip:1}"
rm -f out.h5
want=$(digests $banquet run job.yaml --set params.us=0)
rm -f out.h5
for signal in INT TERM USR1; do
    begin $signal
    same "stopped by $signal" $code 75
    same "it says how to go on" "$(grep -c 'the same command goes on' err)" 1
    same "$signal leaves a journal" "$(ls -A | grep -c banquet-journal)" 1
done
mkdir saved && cp -p .*.banquet-journal-0 .out.h5.banquet-?????? .out.h5.banquet-??????* saved/ 2>/dev/null
cp -p photo.h5 slow.c saved/
refused 2 "the job (or the program) is another now; --fresh begins anew" $banquet run job.yaml --set params.us=1
sed -i "s/\* 0.1/* 0.2/" slow.c
refused 2 "a kernel of its own was changed since" $banquet run job.yaml
cp -p saved/slow.c .
touch photo.h5
refused 2 "an input was changed since" $banquet run job.yaml
same "what was refused stays" "$(ls -A | grep -c banquet-journal)" 1
same "a fresh run" "$(digests $banquet run job.yaml --fresh)" "$want"
same "it does not resume" "$(grep -c '^resuming' err)" 0
same "nothing is left of what was not wanted" "$(left)" 0
cp -p saved/photo.h5 .

# Damage: a torn tail, flipped bits in the journal, in the output; files that are not ours.
again() { # as it was left
    rm -f out.h5 .*.banquet-journal-0 .out.h5.banquet-*
    cp -p saved/.* . 2>/dev/null
    journal=$(echo .*.banquet-journal-0)
    work=$(ls -A | grep -E '^.out.h5.banquet-.{6}$')
}
flip() { # flip FILE PLACE
    /usr/bin/python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); b = f.read(1); f.seek(-1, 1); f.write(bytes([b[0] ^ (1 << int(sys.argv[2]) % 8)]))' "$@"
}
again
same "there is something to damage" "$([ -s "$journal" ] && [ -s "$work" ] && echo yes)" yes
size=$(stat -c %s "$journal")
for i in 1 2 3 4; do
    again
    truncate -s $((size - RANDOM % 200)) "$journal"
    same "a torn tail" "$(digests $banquet run job.yaml)" "$want"
    again
    flip "$journal" $((512 + RANDOM % (size - 512)))
    same "a flipped bit in the journal" "$(digests $banquet run job.yaml)" "$want"
    again
    bytes=$(stat -c %s "$work")
    flip "$work" $((bytes / 4 + RANDOM * 7 % (bytes / 2)))
    same "a flipped bit in the output" "$(digests $banquet run job.yaml)" "$want"
    same "the output is right then" "$(pixels)" "$want_pixels"
done
again
flip "$journal" 100
refused 2 "is damaged; --fresh begins anew" $banquet run job.yaml
same "--fresh" "$(digests $banquet run job.yaml --fresh)" "$want"
again
rm "$work"
same "the work file is gone" "$(digests $banquet run job.yaml)" "$want"
same "then all is done again" "$(grep -c 'is done again' err)" 1
again
echo important >other
rm "$work"
ln -s other "$work"
same "the work file is a link" "$(digests $banquet run job.yaml)" "$want"
same "what it names is not touched" "$(cat other)" important
again
rm "$journal"
ln -s other "$journal"
"$banquet" run job.yaml --fresh -q >out 2>err
same "the journal is a link" "$(cat other)" important
rm -rf saved out.h5 .*.banquet-*

# The disk is full; then there is room.
if mkdir small && mount -t tmpfs -o size=160k none small 2>/dev/null; then
    trap 'umount small 2>/dev/null; rm -rf "$folder"' EXIT
    job "{file: small/out.h5, dataset: /photo, compress: gzip:1}"
    refused 1 "No space left" $banquet run job.yaml --checkpoint 0
    same "it says how to go on" "$(grep -c 'the same command goes on' err)" 1
    mount -o remount,size=8m small
    same "then there is room" "$(digests $banquet run job.yaml)" "$want"
    same "and it is used" "$(grep -c '^resuming: [1-9]' err)" 1
    umount small
else
    echo "skipped: a disk that is full (no right to mount)"
fi
finish
