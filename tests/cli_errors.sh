#!/usr/bin/env bash
# Wrong jobs and wrong input: exit 2, where, what, the nearest right name; nothing is written.
. "$(dirname "$0")/cli.bash"

check "a photo is made" $banquet make photo photo.h5 --size 100x100 --quiet
job() { # job LINE..: writes job.yaml
    printf '%s\n' "$@" >job.yaml
}
good=('kernel: brighten' 'params: {gain: 2}' 'input: {file: photo.h5, dataset: /photo}' 'output: {file: out.h5, dataset: /photo}')

job 'kernel: brightn' "${good[@]:1}"
refused 2 "job.yaml:1: kernel 'brightn' is not known; did you mean 'brighten'?" $banquet run job.yaml
job "${good[0]}" 'params: {gian: 2}' "${good[@]:2}"
refused 2 "did you mean 'gain'?" $banquet run job.yaml
refused 2 "job.yaml:2:" $banquet run job.yaml
job "${good[@]}" 'cook: 3'
refused 2 "did you mean 'cooks'?" $banquet run job.yaml
job "${good[@]}" 'cooks: many'
refused 2 "job.yaml:5: cooks must be a whole number, not 'many'" $banquet run job.yaml
job "${good[@]:0:2}" 'input: {file: nothing.h5, dataset: /photo}' "${good[3]}"
refused 2 "job.yaml:3: nothing.h5:" $banquet run job.yaml
job "${good[@]:0:2}" 'input: {file: photo.h5, dataset: /foto}' "${good[3]}"
refused 2 "did you mean '/photo'?" $banquet run job.yaml
refused 2 "job.yaml:3:" $banquet run job.yaml -n 3
refused 2 "job.yaml:3:" mpirun --oversubscribe -n 2 "$banquet" run job.yaml
job "${good[@]:0:3}"
refused 2 "writes a dataset: the job needs \`output:" $banquet run job.yaml
job "${good[@]}" 'chunk: [10, 10, 10]'
refused 2 "job.yaml:5: chunk has 3 extents, the dataset has 2 dimensions" $banquet run job.yaml
job "${good[@]}" 'schedule: guded'
refused 2 "did you mean 'guided'?" $banquet run job.yaml
job 'kernel: [brighten'
refused 2 "job.yaml:" $banquet run job.yaml
refused 2 "none.yaml" $banquet run none.yaml
job "${good[@]}"
refused 2 "did you mean 'gain'?" $banquet run job.yaml --set params.gian=1
refused 2 "--cooks" $banquet run job.yaml --cooks few
refused 2 "did you mean 'dynamic'?" $banquet run job.yaml --schedule dinamic
refused 2 "out.h5" $banquet run job.yaml --output nowhere/out.h5:/photo
refused 2 "photo.h5" $banquet run job.yaml --force --output photo.h5:/photo
printf 'no HDF5' >text.h5
refused 2 "text.h5" $banquet run job.yaml --input text.h5:/photo
printf '\0' >empty.yaml
refused 2 "empty.yaml" $banquet run empty.yaml
same "nothing was written" "$(ls -A | tr '\n' ' ')" "empty.yaml err job.yaml out photo.h5 text.h5 "

check "the good job runs" $banquet run job.yaml
refused 2 "out.h5 already exists; --force replaces it" $banquet run job.yaml
refused 2 "out.h5 already exists; --force replaces it" $banquet run job.yaml -n 3
check "unless forced" $banquet run job.yaml --force
refused 2 "did you mean 'run'?" $banquet rum job.yaml
refused 2 "" $banquet
refused 2 "which job?" $banquet run
refused 2 "cannot make 'foto'; did you mean 'photo'?" $banquet make foto x.h5
refused 2 "2 dimensions" $banquet make photo x.h5 --size 10x10x10
refused 2 "--gzip 11" $banquet make photo x.h5 --gzip 11
refused 2 "did you mean 'stats'?" $banquet kernels stat
same "no file is left" "$(ls -A x.h5 2>&1 | grep -c 'No such')" 1

# Disk full: a small file size limit stands for it (SIGXFSZ is ignored, write says EFBIG).
check "a job can fail while writing" bash -c "! (trap '' XFSZ; ulimit -f 20; '$banquet' make photo big.h5 --size 2000x2000 --quiet)"
same "no half-written file is left" "$(ls -A | grep -c big)" 0
finish
