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
finish
