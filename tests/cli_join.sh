#!/usr/bin/env bash
# Kitchens join a job that runs: they work, leave, crash and are killed, and every bit stays the same.
# Strangers at the door get nothing, and the run goes on.
. "$(dirname "$0")/cli.bash"

# Each process says that it has begun a chunk (began.PID), and waits for a file named `gate`, or
# gate.PID. A file named `crash` takes one process with it.
cat >gated.c <<'EOF'
#define _GNU_SOURCE
#include <banquet/kernel.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static enum bq_answer cook(struct bq_call *call)
{
    char name[64], gate[64];
    const uint8_t *in = call->in->data;
    uint8_t *out = call->out->data;
    snprintf(name, sizeof name, "began.%d", (int)getpid());
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    if (fd >= 0)
        close(fd);
    snprintf(gate, sizeof gate, "gate.%d", (int)getpid());
    while (access("gate", F_OK) != 0 && access(gate, F_OK) != 0)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    if (unlink("crash") == 0)
        abort();
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    for (uint64_t i = 0; i < call->in->n; i++)
        out[i] = (uint8_t)(255 - in[i]);
    return BQ_DONE;
}
BQ_KERNEL(gated) = {.abi = BQ_KERNEL_ABI, .name = "gated", .summary = "inverts, behind a gate",
                    .flags = BQ_READS | BQ_WRITES, .cook = cook};
EOF
check "a photo" $banquet make photo photo.h5 --size 512x512 --quiet
job() { # job OUTPUT [LINE..]
    printf 'kernel: ./gated.c\ninput: photo.h5:/photo\noutput: %s\nchunk: [32, 32]\ncooks: 1\n' "$1" >job.yaml
    shift
    printf '%s\n' "$@" >>job.yaml
}
rest() { ls -A | grep -cE '^door|banquet-(journal|......$)'; }
pixels() { h5diff -q alone.h5 out.h5 /photo /photo && echo same; }
until_says() { # until_says FILE TEXT [TIMES]: ten seconds at most
    local i
    for i in $(seq 1000); do
        [ "$(grep -cF -- "$2" "$1" 2>/dev/null)" -ge "${3:-1}" ] && return
        sleep 0.01
    done
}
until_begun() { # until_begun N: so many processes have begun a chunk
    local i
    for i in $(seq 1000); do
        [ "$(compgen -G 'began.*' | wc -l)" -ge "$1" ] && return
        sleep 0.01
    done
}
begin() { # begin ARGUMENT..: the run behind its door, in the background, as $run
    rm -rf gate gate.* crash began.* out.h5* r.json
    "${launch[@]}" $banquet run job.yaml --door door --json r.json --fresh "$@" >run.out 2>run.err &
    run=$!
    until_there door
}
launch=()
join() { # join NUMBER: in the background, as ${guest[NUMBER]}
    $banquet join door >"join$1.out" 2>"join$1.err" &
    guest[$1]=$!
    until_says run.err "has joined" $(($1 + 1))
}
ended() { # ended SENTENCE PID STATUS
    wait "$2"
    same "$1" $? "$3"
}
kitchens() { /usr/bin/python3 -c 'import json; print(*sorted(k["rank"] for k in json.load(open("r.json"))["kitchens"]))'; }
finish_run() { # finish_run SENTENCE: opens the gate, and looks at what the run has made
    touch gate
    ended "$1: the run ends well" $run 0
    [ "$(number r.json digest)" = "$want" ] || { fail "$1: the digest"; tail -n 5 run.err; }
    same "$1: the pixels" "$(pixels)" "$want_pixels"
    same "$1: nothing is left" "$(rest)" 0
}

# -- what is to be the same, and what no door changes
job out.h5:/photo
touch gate
check "alone" $banquet run job.yaml --json r.json
want=$(number r.json digest) want_pixels=same
cp out.h5 alone.h5
begin
touch gate
ended "with a door and no guest" $run 0
same "with a door and no guest: the digest" "$(number r.json digest)" "$want"
same "empty seats are no kitchens" "$(kitchens)" "1"
same "the door's file is removed" "$(rest)" 0

# -- guests of one process
begin
same "the key is for its owner" "$(stat -c %a door)" 600
join 0
join 1
until_begun 3
finish_run "two guests"
ended "a guest leaves when the job is over" ${guest[0]} 0
ended "and the other" ${guest[1]} 0
same "all are in the report" "$(kitchens)" "1 2 3"
same "and in the text" "$(grep -oE '^  k[0-9]+ [a-z]' run.out | grep -oE 'k[0-9]+' | sort -u | tr '\n' ' ')" "k1 k2 k3 "
refused 2 "is over, or not begun" $banquet join door

begin
join 0
until_begun 2
kill -9 ${guest[0]}
wait ${guest[0]} 2>/dev/null
until_says run.err "is lost; the others do its work"
finish_run "a guest that is killed"

for signal in TERM INT USR2; do
    begin
    join 0
    until_begun 2
    kill -$signal ${guest[0]}
    touch gate
    ended "a guest is asked to leave by SIG$signal" ${guest[0]} 0
    finish_run "a guest that leaves"
    same "who left is in the report" "$(kitchens)" "1 2"
done

# One leaves, another takes its seat, shards and all.
for output in "out.h5:/photo" "{file: out.h5, dataset: /photo, compress: gzip:1}" \
    "{file: out.h5, dataset: /photo, layout: sharded}"; do
    job "$output"
    begin --schedule dynamic:4
    until_begun 1
    mv began.* began.first
    join 0
    until_begun 2
    kill -TERM ${guest[0]}
    for began in began.[0-9]*; do touch "gate.${began#began.}"; done
    ended "the first leaves, $output" ${guest[0]} 0
    join 1
    join 2
    kill -9 ${guest[2]}
    wait ${guest[2]} 2>/dev/null
    finish_run "a seat taken again, $output"
    ended "the second, $output" ${guest[1]} 0
    [ -d out.h5.d ] && same "no half shards" "$(ls -A out.h5.d | grep -cvE '^[0-9]+\.h5$')" 0
done

# -- crashing kernels, and kernels in the guest's own process
job out.h5:/photo
begin
join 0
until_begun 2
touch crash
finish_run "a crash somewhere"
ended "the guest of a crash" ${guest[0]} 0
job out.h5:/photo "isolate: none"
begin
join 0
until_begun 2
finish_run "cooks in the guest's own process"
ended "a guest that is its own kitchen" ${guest[0]} 0

# -- steps of which one follows the other chunk by chunk, and rounds
cat >job.yaml <<'EOF'
steps:
  - {name: one, kernel: ./gated.c, input: "photo.h5:/photo", chunk: [32, 32], cooks: 1}
  - {name: two, kernel: copy, uses: {input: one}, output: "out.h5:/photo", chunk: [32, 32], cooks: 1}
EOF
steps_digest() { /usr/bin/python3 -c 'import json; print(json.load(open("r.json"))["steps"][-1]["digest"])'; }
touch gate
check "two steps alone" $banquet run job.yaml --json r.json --force
want_steps=$(steps_digest)
begin
join 0
until_begun 2
touch gate
ended "two steps and a guest" $run 0
ended "a guest of two steps" ${guest[0]} 0
same "two steps and a guest: the digest" "$(steps_digest)" "$want_steps"
cp job.yaml steps.yaml

printf 'name: rounds\nkernel: ./gated.c\ninput: photo.h5:/photo\noutput: out.h5:/photo\nchunk: [128, 128]\ncooks: 1\nnext: {input: rounds}\nrepeat: 41\n' >job.yaml
touch gate
check "rounds alone" $banquet run job.yaml --json r.json --force
want_rounds=$(number r.json digest)
begin
join 0
join 1
until_begun 3
kill -TERM ${guest[1]}
touch gate
ended "a guest of rounds that leaves" ${guest[1]} 0
ended "rounds and guests" $run 0
ended "a guest of rounds" ${guest[0]} 0
same "rounds and guests: the digest" "$(number r.json digest)" "$want_rounds"

# -- a guest on another machine, which sees neither the input nor the output
far=$(mktemp -d)
trap 'rm -rf "$folder" "$far"' EXIT
mkdir $far/nothing
touch $far/gate
if unshare -u -m true 2>/dev/null; then
    far_join() {
        cp -p door $far/door
        unshare -u -m sh -c 'hostname elsewhere && cd "$1" && mount --bind nothing "$2" && exec "$3" join door' \
            sh $far "$folder" $banquet >join0.out 2>join0.err &
        guest[0]=$!
        until_says run.err "has joined"
    }
    for output in "out.h5:/photo" "{file: out.h5, dataset: /photo, compress: gzip:1}" \
        "{file: out.h5, dataset: /photo, layout: sharded}"; do
        rm -f $far/began.*
        job "$output"
        begin
        far_join
        until_there "$far/began.*"
        finish_run "a guest elsewhere, $output"
        ended "a guest elsewhere" ${guest[0]} 0
        same "it is on a machine of its own" "$(number r.json n_machines)" 2
        same "the coordinator serves it" "$(grep -c "does not see the coordinator's photo.h5" run.out)" 1
    done
    rm -f $far/began.*
    cp steps.yaml job.yaml
    begin
    far_join
    touch gate
    ended "two steps and a guest elsewhere" $run 0
    ended "a guest elsewhere of two steps" ${guest[0]} 0
    same "two steps and a guest elsewhere: the digest" "$(steps_digest)" "$want_steps"
else
    echo "SKIPPED guests elsewhere: no other machine can be played here"
fi

# -- with MPI
if command -v mpirun >/dev/null; then
    for output in "out.h5:/photo" "{file: out.h5, dataset: /photo, layout: sharded}"; do
        job "$output"
        begin -n 3
        join 0
        until_begun 3
        finish_run "-n 3 and a guest, $output"
        ended "a guest of -n 3" ${guest[0]} 0
        same "the guest comes behind the ranks" "$(kitchens)" "1 2 3"
    done
    job out.h5:/photo
    launch=(mpirun -n 3 --bind-to none --oversubscribe --enable-recovery)
    begin
    launch=()
    join 0
    until_begun 3
    for pid in $(pgrep -P $run); do
        grep -qzE '^OMPI_COMM_WORLD_RANK=[12]$' /proc/$pid/environ && kill -9 $pid
    done
    until_says run.err "its process ended" 2
    touch gate
    ended "the guest of a run whose kitchens were killed" ${guest[0]} 0
    wait $run
    same "all other kitchens are killed: the digest" "$(number r.json digest)" "$want"
    same "all other kitchens are killed: the pixels" "$(pixels)" "$want_pixels"
else
    echo "SKIPPED -n: there is no mpirun here"
fi

# -- files and keys
job out.h5:/photo
echo mine >door
refused 2 "already exists" $banquet run job.yaml --door door --force
refused 2 "already exists" $banquet run job.yaml --door door --force -n 2
same "what was there stays" "$(cat door)" mine
chmod 600 door job.yaml
refused 2 "no file that this build" $banquet join door
refused 2 "no file that this build" $banquet join job.yaml
refused 2 "no file that" $banquet join .
rm door
ln -s nowhere door
refused 2 "already exists" $banquet run job.yaml --door door --force
same "no link is followed" "$(ls nowhere 2>/dev/null)" ""
rm door
refused 2 "--door" $banquet run job.yaml --door none/door --force
refused 2 "cannot listen" $banquet run job.yaml --door door --door-address 192.0.2.1 --force
refused 2 "--door-address" $banquet run job.yaml --door door --door-address no..name --force
refused 2 "needs --door" $banquet run job.yaml --door-address ::1 --force
same "nothing is left of doors that were not opened" "$(rest)" 0

begin --door-address localhost
cp -p door stale
cp -p door open
chmod 640 open
refused 2 "can be read by others" $banquet join open
sed 's/^key ..../key 0000/' door >wrong
sed 's/^wire .*/wire 1/' door >other
chmod 600 wrong other
refused 1 "does not take the key" $banquet join wrong
refused 2 "must be of one build" $banquet join other
refused 2 "belongs to somebody else" bash -c '[ $(id -u) = 0 ] && cp door theirs && chmod 600 theirs && chown 65534 theirs && exec "$0" join theirs; echo belongs to somebody else >&2; exit 2' $banquet
port=$(sed -n 's/^port //p' door)

# Strangers: a hundred that say nothing, and some that say too much.
/usr/bin/python3 - "$port" <<'EOF' >strangers.out 2>&1 &
import os, socket, sys, time
open_ones = []
for i in range(100):
    s = socket.create_connection(("localhost", int(sys.argv[1])))
    open_ones.append(s)
    if i % 3 == 1:
        s.sendall(os.urandom(i))
    if i % 3 == 2:
        try:
            s.sendall(os.urandom(1 << 16))
        except OSError:
            pass
print("there", flush=True)
got = []
for s in open_ones:
    s.settimeout(30)
    all = b""
    try:
        while True:
            some = s.recv(4096)
            if not some:
                break
            all += some
    except ConnectionError:
        pass
    got.append(len(all))
print("most bytes", max(got))
EOF
strangers=$!
until_says strangers.out there
join 0
until_begun 2
finish_run "strangers at the door"
ended "a guest beside strangers" ${guest[0]} 0
wait $strangers
same "a stranger gets a random number and no more" "$(sed -n 's/^most bytes //p' strangers.out)" 32

refused 1 "no run can be reached" $banquet join stale
refused 1 "not there" $banquet join stale --host 127.0.0.2
begin
kill -9 $run
wait $run 2>/dev/null
refused 1 "it is over" $banquet join door
rm -f door .*.banquet-*

finish
