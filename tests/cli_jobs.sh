#!/usr/bin/env bash
# Every job in jobs/ runs as its comment says, on the data that its comment says how to make.
. "$(dirname "$0")/cli.bash"

check "a photo" $banquet make photo photo.h5 --size 512x512 --quiet
check "a field" $banquet make field field.h5 --size 2x64x64 --quiet
n_jobs=0
for job in "$root"/jobs/*.yaml; do
    name=$(basename "$job" .yaml)
    less=() # only to be quick
    case $name in
    mandelbrot) less=(--set params.rows=256 --set params.columns=256) ;;
    oven) less=(--set params.n=8 --set params.wait_ms=5 --set params.cook_ms=1) ;;
    esac
    check "plan $name" $banquet plan "$job"
    one=$(digest $banquet run "$job" "${less[@]}")
    same "$name in kitchens" "$(digest $banquet run "$job" "${less[@]}" --force -n 3)" "${one:-no digest}"
    n_jobs=$((n_jobs + 1))
done
check "there are jobs" test $n_jobs -ge 9
finish
