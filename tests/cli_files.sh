#!/usr/bin/env bash
# Files by h5py, by the C library and by netCDF-4, copied in many ways: the copy is the input, with
# all that belongs to it, for h5py, netCDF-4, h5dump and ncdump; and the digest is the same for all.
. "$(dirname "$0")/cli.bash"
# Plug-ins are loaded only where they are asked for; h5py looks in the standard folder anyway.
plugins=$(find /usr/lib -name libh5bz2.so 2>/dev/null | head -n 1)
[ -n "$plugins" ] && HDF5_PLUGIN_PATH=$(dirname "$plugins") && export HDF5_PLUGIN_PATH
helper=$root/tests/cli_files.py
python=/usr/bin/python3

$python -c 'import h5py, numpy' 2>/dev/null || {
    echo "SKIPPED everything: python3-h5py is not installed"
    exit 77
}
command -v h5dump >/dev/null || echo "SKIPPED h5dump: hdf5-tools is not installed"
command -v ncdump >/dev/null || echo "SKIPPED ncdump: netcdf-bin is not installed"
echo 'kernel: copy' >copy.yaml
mkdir made
check "files are made" $python -W ignore "$helper" make
grep SKIPPED err
mv out files

copy() { # copy INPUT OUTPUT COMPRESS LAYOUT DELIVERY CHUNK: run options; prints the digest
    digest ${launch:-} "$banquet" run copy.yaml --quiet -i "$1" -o "$2" --chunk "$6" \
        --set output.compress="$3" --set output.layout="$4" --set delivery="$5" </dev/null
}

note() { # note FILE DATASET OUTPUT COMPRESS LAYOUT CHUNK: to be compared with the input
    echo "$1|$2|$3|compress=$4 layout=$5 chunk=$6" >>copies
}

# One way: makes a file, expects the digest, and leaves a line for the comparison.
way() { # way CUT COMPRESS LAYOUT DELIVERY
    local cut=$1 compress=$2 layout=$3 delivery=$4 got output=made/$((++n_made)).h5 back=
    local where=$dataset
    [ "${dataset#*.}" = "$dataset" ] || where=/field
    got=$(copy "$file:$dataset" "$output:$where" "$compress" "$layout" "$delivery" "${cuts[$cut]}")
    if [ "$layout" = sharded ] && grep -q 'choose `layout: single`' err; then # and nothing is made
        same "only unusual numbers cannot be sharded" "${reader##*: }" "its numbers are of an unusual form"
        shown=
        return
    fi
    [ -n "${want[$cut]:-}" ] || want[$cut]=$got
    [ ${#got} = 32 ] || cat err
    same "$file:$dataset, $cut, $compress, $layout, $delivery${launch:+, mpirun}: digest" "$got" "${want[$cut]}"
    [ -z "$launch" ] && [ -d $output.d ] && same "$output: who wrote its shards" "$(ls $output.d)" 1.h5
    if [ "${compress%:*}" = zstd ]; then # h5py has no plug-in for it: what banquet makes of it
        back=made/$n_made-back.h5
        same "$output, back from zstd: digest" \
            "$(copy "$output:$where" "$back:$where" none single auto "${cuts[$cut]}")" "$got"
        note "$file" "$dataset" "$back" none single lost # what a virtual dataset does not tell
    else
        note "$file" "$dataset" "$output" "$compress" "$layout" "$cut"
    fi
    shown=$output
}

show() { # the last output in other programs' eyes
    [ -n "$shown" ] || return
    command -v h5dump >/dev/null && check "h5dump shows $shown of $file:$dataset" h5dump -H "$shown"
    command -v ncdump >/dev/null && [ "${file%.nc}" != "$file" ] &&
        check "ncdump shows $shown of $file:$dataset" ncdump -h "$shown"
}

all=(none gzip:1 zstd:3 lz4 gzip:6 lzf)
deliveries=(auto coordinator shared)
n=0 n_made=0
declare -A cuts want
while IFS='|' read -r file dataset cuts[same] cuts[odd] reader; do
    cuts[auto]=auto want=()
    $banquet plan copy.yaml -i "$file:$dataset" -o "made/planned.h5:/x" >out 2>err
    same "how $file:$dataset is read" "$(grep -cF -- "$reader" out)" 1
    # Every compression and delivery comes by with every kind of input, not with every one.
    a=${all[n % 6]} b=${all[(n + 1 + n / 6) % 6]} c=${all[(n + 2 + n / 6) % 6]}
    delivery=${deliveries[n % 3]}
    launch=
    way same "$a" single "$delivery"
    show
    way same "$b" sharded shared
    show
    case $((n % 2)) in
    0) way odd "$c" single auto ;;
    1) way auto "$c" single auto ;;
    esac
    launch="mpirun --oversubscribe -n 3"
    case $((n % 8)) in
    0) way same "$c" single coordinator ;;
    2) way same "$c" sharded coordinator ;;
    3) way odd "$b" single coordinator ;;
    5) way same "$a" single shared ;;
    7) way same "$b" sharded shared ;;
    esac
    n=$((n + 1))
done <files
[ $n -gt 40 ] || fail "only $n inputs were made"

n_checks=$((n_checks + 1))
$python -W ignore "$helper" compare <copies || fail "copies are as their inputs"
finish
