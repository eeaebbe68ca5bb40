#!/usr/bin/env bash
# The same bits at any number of ranks, cooks, policy and transport; and the right ones.
. "$(dirname "$0")/cli.bash"

check "a photo is made" $banquet make photo photo.h5 --size 1000x700 --chunk 64x64 --quiet
check "a field is made" $banquet make field field.h5 --size 3x200x333 --quiet
cat >brighten.yaml <<END
kernel: brighten
params: {gain: 1.5, offset: -3}
input: photo.h5:/photo
output: bright.h5:/photo
END
for kernel in stats sum histogram; do
    printf 'kernel: %s\ninput: field.h5:/field\nchunk: [1, 17, 50]\n' $kernel >$kernel.yaml
done
printf 'params: {exact: true}\n' | cat stats.yaml - >exact.yaml
printf 'kernel: primes\nparams: {b: 1000003, per_chunk: 3333}\n' >primes.yaml
printf 'kernel: mandelbrot\nparams: {rows: 200, columns: 123, iterations: 200}\noutput: m.h5:/m\n' >mandelbrot.yaml

for job in brighten stats sum histogram exact primes mandelbrot; do
    one=$(digest $banquet run $job.yaml --force --cooks 1)
    [ ${#one} = 32 ] || { fail "$job prints a digest"; cat err; }
    for cooks in 2 3; do
        same "$job, $cooks cooks" "$(digest $banquet run $job.yaml --force --cooks $cooks)" "$one"
    done
    for ranks in 1 2 3 5; do
        same "$job, mpirun -n $ranks" \
            "$(digest mpirun --oversubscribe -n $ranks "$banquet" run $job.yaml --force --quiet --cooks 2)" "$one"
    done
    for policy in static cyclic dynamic guided factoring dynamic:3 cyclic:2; do
        same "$job, $policy" "$(digest $banquet run $job.yaml --force -n 3 --schedule $policy)" "$one"
    done
done

# The output is the same file content, and what numpy computes.
cp bright.h5 many.h5
check "one process again" $banquet run brighten.yaml --force
check "the outputs are equal" h5diff bright.h5 many.h5 /photo /photo
check "exact sums do not depend on the chunks" $banquet run exact.yaml --json a.json
check "exact sums do not depend on the chunks" $banquet run exact.yaml --json b.json --chunk 3x50x333
check "there is a variance" grep -q '"variance"' a.json
same "exact variance in other chunks" "$(number a.json variance)" "$(number b.json variance)"
if /usr/bin/python3 -c 'import h5py, numpy' 2>/dev/null; then
    cat >check.py <<'END'
import h5py, json, numpy as np
photo = h5py.File("photo.h5")["photo"][:].astype(float)
bright = h5py.File("bright.h5")["photo"][:]
assert (bright == np.clip(np.rint(photo * 1.5 - 3), 0, 255)).all(), "brighten"
field = h5py.File("field.h5")["field"][:].astype(float)
results = json.load(open("a.json"))["results"]
assert results["count"] == field.size
assert results["min"] == field.min() and results["max"] == field.max()
assert abs(results["mean"] / field.mean() - 1) < 1e-12
assert abs(results["variance"] / field.var() - 1) < 1e-9
END
    check "numpy agrees" /usr/bin/python3 check.py
    cat >signed.py <<'END'
import h5py, json, numpy as np, subprocess, sys
values = [-2**63, 5, 2**63 - 1, -2**62 - 1]
with h5py.File("signed.h5", "w") as file:
    file["x"] = np.array(values, dtype=">i8")
out = subprocess.run([sys.argv[1], "run", "stats.yaml", "-i", "signed.h5:/x", "--chunk", "3", "--json", "-"],
                     capture_output=True, check=True).stdout
results = json.loads(out)["results"]
assert (results["min"], results["max"], results["sum"]) == (min(values), max(values), sum(values)), results
END
    check "signed integers are exact" /usr/bin/python3 signed.py "$banquet"
else
    echo "SKIPPED comparison with numpy: python3-h5py is not installed"
fi
primes=$($banquet run primes.yaml 2>&1 | awk '$1 == "count" {print $2}')
same "pi(1000003 - 1)" "$primes" "78,498"
finish
