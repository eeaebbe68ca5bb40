#!/usr/bin/env bash
# Data that is slow, larger than memory, damaged, or changed while it is read; disks that fill up.
. "$(dirname "$0")/cli.bash"
python=/usr/bin/python3
$python -c 'import h5py' 2>/dev/null || { echo "SKIPPED all: python3-h5py is not installed"; exit 77; }

slow_storage
cat >make.py <<'END'
import h5py, numpy, sys
numbers = numpy.add.outer(numpy.arange(2048) * 3, numpy.arange(4096)).astype("f4")
with h5py.File("in.h5", "w") as file:
    file.create_dataset("plain", data=numbers, chunks=(128, 512))
    file.create_dataset("z", data=numbers, chunks=(128, 512), compression="gzip", shuffle=True, fletcher32=True, fillvalue=-1)
    file.create_dataset("rows", data=numbers)
    file.create_dataset("vast", shape=(2**20, 2**20), chunks=(1024, 1024), dtype="f4")
END
check "data" $python make.py
job() { printf 'kernel: %s\ninput: %s\n%s\n' "$1" "$2" "${3:-}" >job.yaml; }
left() { find . -name '*banquet-*' | wc -l; } # work files that stayed

# -- slow storage ----------------------------------------------------------------------------
for dataset in z plain rows; do
    job sum in.h5:/$dataset
    want=$(digest $banquet run job.yaml)
    same "slow reading of $dataset gives the same" "$(digest slow $banquet run job.yaml --cooks 2 --json slow.json)" "$want"
    [ "$(number slow.json open_max)" -gt 2 ]
    same "two cooks keep more than two chunks of $dataset under way" $? 0
    same "where nobody can say whether it would wait, too" "$(SLOW_ERRNO=95 digest slow $banquet run job.yaml --cooks 2 --json slow.json)" "$want"
    [ "$(number slow.json open_max)" -gt 2 ]
    same "and chunks of $dataset are fetched ahead" $? 0
done
job sum in.h5:/z
check "fast reading" $banquet run job.yaml --cooks 2 --json fast.json
[ "$(number fast.json open_max)" -le 2 ]
same "what is in memory is not fetched ahead" $? 0
# Thin blocks of contiguous rows are fetched several at once.
for chunk in 100x130 2048x7 33x4096 1x1024; do
    job copy in.h5:/plain "output: out.h5:/x"
    want=$(digest $banquet run job.yaml --force --chunk $chunk)
    job copy in.h5:/rows "output: out.h5:/x"
    same "blocks of $chunk of rows" "$(digest $banquet run job.yaml --force --chunk $chunk --cooks 3)" "$want"
    check "the numbers are right" $python -c "import h5py, numpy; assert numpy.array_equal(h5py.File('in.h5')['rows'][...], h5py.File('out.h5')['x'][...])"
done
same "with too little memory for it, too" "$(digest $banquet run job.yaml --force --chunk 100x130 --memory 30MiB)" \
    "$(digest $banquet run job.yaml --force --chunk 100x130)"
job copy in.h5:/z "output: out.h5:/z"
same "slow, in kitchens, with a budget" "$(SLOW_MS=3 digest slow $banquet run job.yaml --force -n 3 --memory 100MiB)" \
    "$(digest $banquet run job.yaml --force)"

# -- memory ----------------------------------------------------------------------------------
check "a large dataset" $banquet make field large.h5 --size 12x4096x2048 --quiet # 384 MiB
peak() { # peak JSON: the largest of all kitchens, MiB
    grep -o '"memory_peak": *[0-9]*' "$1" | awk -F: '$2 > most {most = $2} END {print int(most / 1048576)}'
}
for how in "sum" "copy none" "copy gzip:1"; do
    set -- $how
    job "$1" large.h5:/field "${2:+output: {file: out.h5, dataset: /field, compress: $2\}}"
    check "$how in 64 MiB" $banquet run job.yaml --force --memory 64MiB --json r.json
    [ "$(peak r.json)" -le 64 ]
    same "$how of 384 MiB stays within 64 MiB (it took $(peak r.json))" $? 0
    check "$how in 64 MiB, slowly" env SLOW_MS=1 LD_PRELOAD="$PWD/slow.so" "$banquet" run job.yaml --force --memory 64MiB --json r.json
    [ "$(peak r.json)" -le 64 ]
    same "so it does when it fetches ahead (it took $(peak r.json))" $? 0
done
for delivery in shared coordinator; do
    job sum large.h5:/field "delivery: $delivery"
    check "kitchens of 96 MiB, $delivery" $banquet run job.yaml -n 3 --memory 96MiB --json r.json
    [ "$(peak r.json)" -le 96 ]
    same "they stay within it (they took $(peak r.json))" $? 0
done
job sum large.h5:/field "chunk: [12, 4096, 2048]"
refused 2 "--memory of 64 MiB is too little" $banquet run job.yaml --memory 64MiB
refused 2 "give it more, or choose a smaller" $banquet run job.yaml --memory 64MiB -n 2
refused 2 "--memory of 64 MiB is too little" $banquet plan job.yaml --memory 64MiB
rm -f large.h5 out.h5

# Thin blocks over large compressed chunks: each is decoded once where memory keeps those side by side.
check "wide data" $python -c 'import h5py, numpy; h5py.File("wide.h5", "w").create_dataset("x", data=numpy.arange(2**23, dtype="f4").reshape(512, 16384), chunks=(512, 512), compression="gzip", compression_opts=1)'
printf 'kernel: sum\ninput: wide.h5:/x\nchunk: [64, 16384]\nmemory: 1MiB\n' >job.yaml
refused 2 "job.yaml:4: memory of 1 MiB is too little: one cook and the program need" $banquet run job.yaml
refused 2 "job.yaml:4: memory of 1 MiB is too little" $banquet plan job.yaml
least=$(sed -n 's/.*program need \([0-9]*\) MiB.*/\1/p' err)
check "a plan with little memory" $banquet plan job.yaml --memory $((least + 4))MiB
cp out said
check "says how often chunks are decoded" grep -q "WARNING each stored chunk is decoded about 9 times" said
check "and for how many cooks there is memory" grep -q "1 of 1 cook" said
enough=$(sed -n 's/.* or `memory` of \([0-9]*\) MiB/\1/p' said)
[ "$enough" -gt $((least + 20)) ]
same "and what would do ($enough)" $? 0
want=$(digest $banquet run job.yaml --memory auto)
same "with little memory the result is the same" "$(digest $banquet run job.yaml --memory $((least + 12))MiB)" "$want"
check "a run with little memory" $banquet run job.yaml --memory $((least + 12))MiB --json r.json
check "says it" grep -q "each stored chunk is decoded about 9 times: choose a" r.json
check "with enough" $banquet run job.yaml --memory $((enough + 12))MiB --json r.json
same "nothing is to be said" "$(grep -c "is decoded about" r.json)" 0
check "nor to be planned" $banquet plan job.yaml --memory $((enough + 4))MiB
same "nothing is to be said" "$(grep -c "WARNING" out)" 0

# -- damage ----------------------------------------------------------------------------------
cat >damage.py <<'END'
import h5py, shutil, sys
source, target, dataset, chunk, at = sys.argv[1:]
shutil.copy(source, target)
with h5py.File(source) as file:
    info = file[dataset].id.get_chunk_info_by_coord(tuple(int(x) for x in chunk.split(",")))
with open(target, "r+b") as file:
    where = info.byte_offset + (info.size - 2 if at == "sum" else info.size // 2)
    file.seek(where)
    old = file.read(1)
    file.seek(where)
    file.write(bytes([old[0] ^ 0x55]))
END
check "a damaged file" $python damage.py in.h5 bad.h5 z 256,1024 middle
check "another" $python damage.py in.h5 sum.h5 z 256,1024 sum
job copy bad.h5:/z "output: out.h5:/z"
refused 1 "bad.h5:/z: stored chunk at (256, 1024)" $banquet run job.yaml
same "nothing stays of it" "$(ls out.h5 2>/dev/null)$(left)" 0
refused 1 "checksum" $banquet run job.yaml --input sum.h5:/z
refused 1 "stored chunk at (256, 1024)" $banquet run job.yaml -n 3
refused 1 "stored chunk at (256, 1024)" $banquet run job.yaml -n 3 --set delivery=coordinator
for more in "" "-n 3" "-n 3 --set delivery=coordinator" "-n 2 --set output.layout=sharded" "--set output.compress=none"; do
    refused 3 "" $banquet run job.yaml --force --set on_error=skip --json r.json $more
    same "one chunk is named ($more)" "$(number r.json n_given_up)" 1
    same "it holds the fill value, the others their numbers ($more)" "$($python -c '
import h5py, numpy
a, b = h5py.File("in.h5")["z"][...], h5py.File("out.h5")["z"][...]
a[256:384, 1024:1536] = -1
print(numpy.array_equal(a, b))')" True
    same "the output says which ($more)" "$($python -c 'import h5py; print(h5py.File("out.h5")["z"].attrs["banquet_incomplete"])')" \
        "1 chunk was given up and holds the fill value: 18 at (256, 1024)"
    rm -rf out.h5 out.h5.d
done

# -- NaN where none is allowed -----------------------------------------------------------------
$python - <<'END'
import h5py, numpy
with h5py.File("nan.h5", "w") as file:
    numbers = numpy.ones((300, 400), "f8")
    numbers[250, 17] = numbers[251, 3] = numpy.nan
    file.create_dataset("x", data=numbers, chunks=(100, 100))
END
job copy nan.h5:/x "output: {file: out.h5, dataset: /x, nan: refuse}
chunk: [100, 100]"
for more in "" "-n 3" "--set output.compress=gzip:1" "--set output.layout=sharded -n 2" "--set pipeline=off" "-n 2 --set delivery=coordinator"; do
    refused 3 "writes NaN where \`nan: refuse\` allows none, at [250, 17]" $banquet run job.yaml --force --json r.json $more
    same "that chunk is given up, no other ($more)" "$($python -c '
import h5py, numpy
a, b = h5py.File("nan.h5")["x"][...], h5py.File("out.h5")["x"][...]
a[200:300, 0:100] = 0
print(numpy.array_equal(a, b))')" True
    rm -rf out.h5 out.h5.d
done
check "allowed, NaN is a number like any other" $banquet run job.yaml --set output.nan=allow
rm out.h5
job heat nan.h5:/x "output: {file: out.h5, dataset: /x, nan: refuse}
chunk: [100, 100]
next: {input: heat}
name: heat
repeat: 3"
for more in "" "-n 3"; do
    refused 3 "of 36 chunks were given up; chunk 8: round 1: it writes NaN" $banquet run job.yaml --force $more
    same "the output of a loop says what was given up on the way ($more)" \
        "$($python -c 'import h5py; print("given up on the way: 8, round 1:" in h5py.File("out.h5")["x"].attrs["banquet_incomplete"])')" True
done
refused 2 "nan must be allow or refuse, not 'never'" $banquet run job.yaml --force --set output.nan=never
rm -f out.h5

# -- files that change -----------------------------------------------------------------------
job copy moving.h5:/z "output: out.h5:/z"
during() { # during COMMAND: while a slow run of the job is under way
    cp in.h5 moving.h5
    SLOW_MS=50 slow "$banquet" run job.yaml --force --cooks 1 --memory 48MiB >out 2>said &
    local pid=$!
    for _ in $(seq 200); do
        [ "$(left)" = 0 ] || break
        sleep 0.01
    done
    eval "$1"
    wait $pid
    echo $?
}
same "a file that vanishes is still open" "$(during 'rm moving.h5')" 0
same "one that is replaced is still the old one" "$(during 'cp in.h5 other.h5; mv other.h5 moving.h5')" 0
same "one that is cut is an error" "$(during 'truncate -s 200000 moving.h5')" 1
check "and says so" grep -q "moving.h5:/z: " said # HDF5 may be the first to see it
same "one that is written to is an error" "$(during 'printf x >>moving.h5')" 1
check "and says so" grep -q "moving.h5:/z: the file was changed while it was read" said
same "nothing stays of them" "$(left)" 0

# -- what cannot be ----------------------------------------------------------------------------
head -c 3000000 in.h5 >short.h5
job sum short.h5:/z
refused 2 "truncated" $banquet run job.yaml
job sum in.h5:/vast
check "2^40 elements are planned" timeout 20 $banquet plan job.yaml
for output in "compress: none" "compress: gzip:1" "layout: sharded"; do
    job copy in.h5:/rows "output: {file: full.h5, dataset: /x, $output}"
    refused 1 "full.h5" bash -c "trap '' XFSZ; ulimit -f 60; '$banquet' run job.yaml --force --quiet"
    same "nothing stays when the disk is full ($output)" "$(ls -d full* 2>/dev/null)$(left)" 0
done

# -- what failed leaves the old result -----------------------------------------------------------
job copy in.h5:/rows "output: {file: old.h5, dataset: /x, layout: sharded}"
check "a sharded result" $banquet run job.yaml
cp -r old.h5.d kept.d
check "its joining file is large enough to fail" test "$(stat -c %s old.h5)" -gt 1024
refused 1 "old.h5" bash -c "trap '' XFSZ; ulimit -f 1; '$banquet' run job.yaml --force --quiet --cooks 1"
check "a new one that failed changed nothing" diff -r old.h5.d kept.d
same "and nothing else stays" "$(left)" 0
if mkdir -p small && mount -t tmpfs -o size=12m none small 2>/dev/null; then
    for layout in "compress: none" "layout: sharded"; do
        for more in "" "-n 3 --set delivery=coordinator"; do
            job copy in.h5:/rows "output: {file: small/full.h5, dataset: /x, $layout}"
            head -c 11500000 /dev/zero >small/filler
            refused 1 "No space left" timeout 60 $banquet run job.yaml --force --quiet $more
            rm -f small/filler
            same "a disk that is full ($layout $more)" "$(ls -A small)" ""
        done
    done
    umount small
else
    echo "SKIPPED a disk that is full in the middle: no tmpfs can be mounted here"
fi
finish
