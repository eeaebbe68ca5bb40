#!/usr/bin/env bash
# A pipeline gives the same bits as cooks that carry their chunks through everything, whatever the
# stages, and survives what goes wrong in any of them.
. "$(dirname "$0")/cli.bash"

check "a film" $banquet make field film.h5 --size 12x100x90 --gzip 1 --quiet
cat >film.yaml <<'EOF'
kernel: blur
border: wrap
input: film.h5:/field
output: film_out.h5:/field
chunk: [1, 40, 90]
pipeline: {read: 1, kernel: 2, encode: 1, write: 1}
EOF
want=$(digest $banquet run film.yaml --set pipeline=off)
same "there is a digest" "${want:+yes}" yes
/usr/bin/python3 -c 'import h5py; h5py.File("want.npy.h5", "w")["x"] = h5py.File("film_out.h5")["field"][:]'
for compress in none gzip:1 zstd:1 lz4; do
    for pipeline in read:1,kernel:1,encode:1,write:1 read:2,kernel:3,encode:2,write:2 kernel:4; do
        same "$compress through $pipeline" \
            "$(digest $banquet run film.yaml --force --set output.compress=$compress --set pipeline=$pipeline)" "$want"
    done
    same "$compress in kitchens" "$(digest $banquet run film.yaml --force --set output.compress=$compress -n 3)" "$want"
done
same "served" "$(digest $banquet run film.yaml --force --set delivery=coordinator -n 3)" "$want"
same "sharded" "$(digest $banquet run film.yaml --force --set output.compress=gzip:1 --set output.layout=sharded -n 3)" "$want"
check "what is written is the same" /usr/bin/python3 -c 'import h5py
assert (h5py.File("film_out.h5")["field"][:] == h5py.File("want.npy.h5")["x"][:]).all()'
slow_storage
same "slow storage" "$(SLOW_MS=1 slow digest $banquet run film.yaml --force)" "$want"
for more in "" "-n 3" "--set output.compress=gzip:1"; do
    same "in the order of reading ($more)" "$(digest $banquet run film.yaml --force --set pipeline=read:1,kernel:3,encode:2,order:kept $more)" "$want"
done
refused 2 "order can be kept by one thread that reads and one that writes" $banquet run film.yaml --force --set pipeline=write:2,order:kept
refused 2 "pipeline's order must be any or kept, not 'keep'" $banquet run film.yaml --force --set pipeline=order:keep
want=$(digest $banquet run "$root/jobs/stats.yaml" --input film.h5:/field)
same "a reduction" "$(digest $banquet run "$root/jobs/stats.yaml" --input film.h5:/field --set pipeline=kernel:2)" "$want"
check "the bounding stage is named" bash -c "'$banquet' run film.yaml --force --set output.compress=gzip:9 | grep -q \"what bounds it: the stage '\""
check "the stages are in the report" bash -c "'$banquet' run film.yaml --force --json - | grep -q '\"stage\":\"encode\"'"

refused 2 "pipeline's stage must be" $banquet run film.yaml --force --set pipeline=cook:1
refused 2 "pipeline's read must be" $banquet run film.yaml --force --set pipeline=read:0
refused 2 "given twice" $banquet run film.yaml --force --set pipeline=read:1,read:2
refused 2 "pipeline must be off" $banquet run film.yaml --force --set pipeline=
refused 2 "leave out 'pipeline'" $banquet run "$root/jobs/oven.yaml" --set pipeline=kernel:2
refused 2 "memory" $banquet run film.yaml --force --memory 1MiB

# A damaged chunk, and a disk that is full.
cp film.h5 bad.h5
damage bad.h5 field 3
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do # what the stages have made by then is given back, or nothing would end
    refused 1 "stored chunk" timeout 60 $banquet run film.yaml --force --input bad.h5:/field
done
refused 3 "given up" $banquet run film.yaml --force --input bad.h5:/field --set on_error=skip
check "a long film" $banquet make field long.h5 --size 400x512x512 --quiet
$banquet run film.yaml --force --input long.h5:/field --set output.compress=gzip:9 -q >out 2>err &
pid=$!
until_there '.film_out.h5.banquet-*'
kill -INT $pid
wait $pid
same "a pipeline is stopped" $? 75
same "nothing is left" "$(ls -A | grep -c '^\.')" 0
finish
