#!/usr/bin/env bash
# Every job in jobs/ runs as its comment says, on the data that its comment says how to make.
. "$(dirname "$0")/cli.bash"

check "a photo" $banquet make photo photo.h5 --size 512x512 --quiet
check "a field" $banquet make field field.h5 --size 4x64x64 --quiet
check "a film" $banquet make field film.h5 --size 3x512x512 --gzip 1 --quiet
check "a plate" $banquet make field plate.h5 --size 1x64x64 --quiet
check "clusters" $banquet make clusters clusters.h5 --size 20000x9 --quiet
check "cells" $banquet make cells cells.h5 --size 128x128 --quiet
printf '%s\n' "$root"/jobs/*.yaml >urls.txt

# Steps that are under way at the same time are reported as they end.
digests() { digest "$@" | sort | tr '\n' ' '; }

n_jobs=0
for job in "$root"/jobs/*.yaml; do
    name=$(basename "$job" .yaml)
    less=() # only to be quick
    case $name in
    mandelbrot) less=(--set params.rows=256 --set params.columns=256) ;;
    render) less=(--set params.rows=90 --set params.columns=160) ;;
    oven) less=(--set params.n=8 --set params.wait_ms=5 --set params.cook_ms=1) ;;
    life | logistic) less=(--set repeat=200) ;;
    esac
    check "plan $name" $banquet plan "$job"
    one=$(digests $banquet run "$job" "${less[@]}")
    same "$name in kitchens" "$(digests $banquet run "$job" "${less[@]}" --force -n 3)" "${one:-no digest}"
    n_jobs=$((n_jobs + 1))
done
check "there are jobs" test $n_jobs -ge 21
finish
