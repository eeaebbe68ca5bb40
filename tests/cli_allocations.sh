#!/usr/bin/env bash
# No large allocation per chunk: as many for 256 chunks as for 16, on every way of data.
. "$(dirname "$0")/cli.bash"

check "the counter compiles" cc -D_GNU_SOURCE -shared -fPIC -o count.so "$root/tests/count_large.c" -ldl
for n in 16 256; do
    check "$n chunks of 128 KiB" $banquet make field f$n.h5 --size ${n}x128x256 --chunk 1x128x256 --gzip 1 --quiet
done
count() { # count FILE ARGUMENTS..: large allocations of a run
    local file=$1
    shift
    COUNT_FILE=count LD_PRELOAD=$PWD/count.so "$banquet" run job.yaml --force --quiet --cooks 2 --input "$file:/field" "$@" >out 2>err || tail -n 3 err
    cat count
}
for way in "sum" "sum delivery=coordinator" "copy output.compress=gzip:1" "copy output.compress=zstd:3" "copy output.compress=lz4" \
    "copy output.compress=none" "copy output.layout=sharded"; do
    set -- $way
    printf 'kernel: %s\ninput: f16.h5:/field\nchunk: [1, 128, 256]\n' "$1" >job.yaml
    [ "$1" = sum ] || echo "output: out.h5:/field" >>job.yaml
    few=$(count f16.h5 ${2:+--set $2})
    many=$(count f256.h5 ${2:+--set $2})
    [ "$few" -gt 0 ] && [ "$many" -le $((few + 4)) ]
    same "$way: $few large allocations for 16 chunks, $many for 256" $? 0
done
finish
