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
refused 2 "--chunk: chunk has 1 extent, the dataset has 2 dimensions" $banquet run job.yaml --chunk 5
refused 2 "shuffle: true without compression makes nothing smaller" $banquet run job.yaml --chunk 9x9 --set output.shuffle=true
refused 2 "--memory of 977 KiB is too little" $banquet run job.yaml --chunk 9x9 --memory 1e6
job "${good[@]}" 'schedule: guded'
refused 2 "did you mean 'guided'?" $banquet run job.yaml
job 'kernel: [brighten'
refused 2 "job.yaml:" $banquet run job.yaml
refused 2 "none.yaml" $banquet run none.yaml
job "${good[@]}"
refused 2 "did you mean 'gain'?" $banquet run job.yaml --set params.gian=1
refused 2 "--cooks" $banquet run job.yaml --cooks few
refused 2 "did you mean 'dynamic'?" $banquet run job.yaml --schedule dinamic
refused 2 "--memory lots: memory must be a size such as 512MiB" $banquet run job.yaml --memory lots
refused 2 "--memory 20EiB" $banquet plan job.yaml --memory 20EiB
refused 2 "did you mean 'gzip'?" $banquet run job.yaml --set output.compress=gzp
refused 2 "gzip's level must be from 1 to 9, not '10'" $banquet run job.yaml --set output.compress=gzip:10
refused 2 "on_error must be stop or skip" $banquet run job.yaml --set on_error=never
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
refused 2 "--size must be at most 8 extents, whole numbers of at least 1" $banquet make photo x.h5 --size 0x5
refused 2 "such as 8192x8192, not 'abc'" $banquet make photo x.h5 --size abc
refused 2 "--gzip 11" $banquet make photo x.h5 --gzip 11
refused 2 "did you mean 'stats'?" $banquet kernels stat
same "no file is left" "$(ls -A x.h5 2>&1 | grep -c 'No such')" 1

# All steps are looked at before the first begins.
steps() { # steps INPUT OUTPUT: of the second step
    printf 'steps:\n  - {name: a, kernel: brighten, input: photo.h5:/photo, output: s1.h5:/x}\n  - {name: b, kernel: brighten, input: "%s", output: "%s"}\n' "$1" "$2" >steps.yaml
}
steps s1.h5:/typo s2.h5:/x
refused 2 "steps.yaml:3: step 'a' writes /x into s1.h5, not /typo" $banquet run steps.yaml
steps nothing.h5:/x s2.h5:/x
refused 2 "steps.yaml:3: nothing.h5" $banquet run steps.yaml
steps s1.h5:/x s1.h5:/y
refused 2 "both write s1.h5" $banquet run steps.yaml --force
steps s1.h5:/x out.h5:/x
refused 2 "out.h5 already exists" $banquet run steps.yaml
check "plan knows what comes" $banquet plan steps.yaml
refused 2 "out.h5 already exists" $banquet run steps.yaml -n 3
same "nothing was written" "$(ls s1.h5 s2.h5 2>/dev/null)" ""
refused 2 "--json nowhere/x.json" $banquet run job.yaml --force --json nowhere/x.json
refused 2 "leave out -n 3" mpirun --oversubscribe -n 2 "$banquet" run job.yaml --force -n 3
refused 2 "from 1 to 1024" $banquet run job.yaml -n 1000000
SLURM_STEP_NUM_TASKS=2 refused 2 "srun needs --mpi=pmix" $banquet run job.yaml --force
refused 1 "No space left" bash -c "'$banquet' run job.yaml --force >/dev/full"
if /usr/bin/python3 -c 'import h5py' 2>/dev/null; then
    check "odd data" /usr/bin/python3 -c "
import h5py, numpy
with h5py.File('odd.h5', 'w') as file:
    file['scalar'] = 1.5
    file['complex'] = numpy.zeros(4, 'c8')"
    refused 2 "--chunk: chunk has 2 extents, the dataset has 0 dimensions" $banquet run job.yaml --force --input odd.h5:/scalar --chunk 5x5
    refused 2 "name a field of them: /complex.r, /complex.i" $banquet run job.yaml --force --input odd.h5:/complex
    # bzip2 comes with a plug-in, and we do not know it: with its plug-in the library reads it.
    check "a bzip2 dataset" /usr/bin/python3 -c "import h5py, numpy; h5py.File('bz2.h5', 'w').create_dataset('x', data=numpy.zeros((9, 9), 'u1'), chunks=(9, 9), compression=307, compression_opts=(9,))"
    HDF5_PLUGIN_PATH=/nowhere refused 2 "is compressed with filter 307" $banquet run job.yaml --force --input bz2.h5:/x
    refused 2 "set HDF5_PLUGIN_PATH" $banquet run job.yaml --force --input bz2.h5:/x # nothing is loaded unasked
    plugins=$(dirname "$(find /usr/lib -name libh5bz2.so 2>/dev/null | head -n 1)")
    HDF5_PLUGIN_PATH=$plugins check "with its plug-in it is read" $banquet run job.yaml --force --input bz2.h5:/x
else
    echo "SKIPPED a filter that is missing: python3-h5py is not installed"
fi

# A kitchen that sees another file, or none.
mkdir elsewhere
here=$PWD
shared="--force --quiet --set delivery=shared"
refused 1 "kitchen 1 cannot work: photo.h5" mpirun --oversubscribe -n 1 "$banquet" run job.yaml $shared : \
    -wdir "$here/elsewhere" -n 1 "$banquet" run job.yaml $shared
check "another photo" $banquet make photo elsewhere/photo.h5 --size 100x100 --seed 7 --quiet
refused 1 "is not the file that the coordinator sees" mpirun --oversubscribe -n 1 "$banquet" run job.yaml $shared : \
    -wdir "$here/elsewhere" -n 1 "$banquet" run job.yaml $shared

# Disk full: a small file size limit stands for it (SIGXFSZ is ignored, write says EFBIG).
check "a job can fail while writing" bash -c "! (trap '' XFSZ; ulimit -f 20; '$banquet' make photo big.h5 --size 2000x2000 --quiet)"
same "no half-written file is left" "$(ls -A | grep -c "big\|banquet-")" 0
finish
