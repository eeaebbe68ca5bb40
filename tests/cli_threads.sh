#!/usr/bin/env bash
# The threads of one process at their busiest; the build with ThreadSanitizer runs this too.
. "$(dirname "$0")/cli.bash"

check "many cooks make a photo" $banquet make photo photo.h5 --size 500x500 --chunk 20x20 --cooks 8 --quiet
printf 'kernel: brighten\ninput: photo.h5:/photo\noutput: out.h5:/photo\n' >map.yaml
printf 'kernel: stats\ninput: photo.h5:/photo\nchunk: [10, 10]\n' >reduce.yaml
printf 'kernel: spin\nparams: {n: 300000, us: 0}\n' >spin.yaml
printf 'kernel: oven\nparams: {n: 40, wait_ms: 2, cook_ms: 0.1}\n' >oven.yaml
for cooks in 1 3 8; do
    check "map, $cooks cooks" $banquet run map.yaml --force --cooks $cooks
    check "reduce, $cooks cooks" $banquet run reduce.yaml --cooks $cooks
    check "tiny chunks, $cooks cooks" $banquet run spin.yaml --cooks $cooks --json spin.json
    same "every tiny chunk was cooked" "$(grep -o '"chunks":[0-9]*' spin.json | head -n 1)" '"chunks":300000'
    check "waits, $cooks cooks" $banquet run oven.yaml --cooks $cooks --open 5
    check "a team of $cooks" $banquet run oven.yaml --cooks $cooks --set team=true
done

# The ways of data: encoded, decoded, shared among cooks, sharded.
check "a compressed field" $banquet make field z.h5 --size 6x128x256 --gzip 1 --cooks 3 --quiet
printf 'kernel: copy\ninput: z.h5:/field\noutput: out.h5:/field\n' >copy.yaml
for way in "" "--chunk 1x50x100" "--set output.layout=sharded" "--set output.compress=lz4" "--set output.compress=none"; do
    check "copy $way" $banquet run copy.yaml --force --cooks 4 $way
done
printf 'kernel: copy\ninput: c.h5:/rows\noutput: out.h5:/rows\nchunk: [32, 16]\n' >thin.yaml
if /usr/bin/python3 -c 'import h5py, numpy; h5py.File("c.h5", "w").create_dataset("rows", data=numpy.arange(1 << 18).reshape(512, 512))' 2>/dev/null; then
    check "thin blocks of a contiguous dataset" $banquet run thin.yaml --force --cooks 4
else
    echo "SKIPPED thin blocks: python3-h5py is not installed"
fi
slow_storage
SLOW_MS=2 check "copy from slow storage" slow $banquet run copy.yaml --force --cooks 3

# Stages with threads of their own, steps under way together, and rounds.
check "a film" $banquet make field film.h5 --size 6x64x64 --gzip 1 --quiet
check "cells" $banquet make cells cells.h5 --size 64x64 --quiet
cat >film.yaml <<'EOF'
steps:
  - {name: soft, kernel: blur, border: wrap, input: "film.h5:/field", pipeline: {read: 2, kernel: 2, encode: 2, write: 2}}
  - {name: out, kernel: copy, uses: {input: soft}, output: {file: film_out.h5, dataset: /x, compress: gzip:1}, pipeline: {kernel: 2}}
  - {name: all, kernel: stats, input: "film.h5:/field"}
  - {name: life, kernel: life, border: wrap, input: "cells.h5:/cells", next: {input: life}, output: "grown.h5:/cells", chunk: [16, 64], repeat: 5}
EOF
check "a graph of pipelines and rounds" $banquet run film.yaml
check "the same again" $banquet run film.yaml --force --cooks 4
finish
