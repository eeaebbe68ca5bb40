#!/usr/bin/env bash
# Steps that use each other, and loops: against numpy, at any number of kitchens and cooks, and wrong.
. "$(dirname "$0")/cli.bash"

check "a photo" $banquet make photo photo.h5 --size 300x257 --quiet
check "cells" $banquet make cells cells.h5 --size 97x130 --quiet
check "clusters" $banquet make clusters clusters.h5 --size 20000x5 --quiet
digests() { digest "$@" | sort | tr '\n' ' '; }

cat >graph.yaml <<'EOF'
steps:
  - {name: score, kernel: zscore, input: "photo.h5:/photo", uses: {mean: all, deviation: all}, output: "score.h5:/photo"}
  - {name: equal, kernel: equalize, input: "photo.h5:/photo", uses: {counts: bins.counts}, output: "equal.h5:/photo"}
  - {name: sharp, kernel: sobel, uses: {input: smooth}, output: "sharp.h5:/photo"}
  - {name: smooth, kernel: blur, border: wrap, input: "photo.h5:/photo"}
  - {name: again, kernel: sum, input: "sharp.h5:/photo"}
  - {name: all, kernel: stats, input: "photo.h5:/photo"}
  - {name: bins, kernel: histogram, input: "photo.h5:/photo"}
EOF
cat >loops.yaml <<'EOF'
steps:
  - {name: life, kernel: life, border: wrap, input: "cells.h5:/cells", output: {file: grown.h5, dataset: /cells, compress: gzip:1}, next: {input: life}, repeat: 30}
  - {name: start, kernel: kmeans_start, params: {k: 5}, input: "clusters.h5:/clusters"}
  - name: two
    repeat: 4
    steps:
      - {name: soft, kernel: blur, border: reflect, input: "photo.h5:/photo", next: {input: light}}
      - {name: light, kernel: brighten, params: {gain: 1.1}, uses: {input: soft}, output: "two.h5:/photo"}
  - {name: assign, kernel: kmeans, params: {k: 5}, input: "clusters.h5:/clusters", uses: {centres: start}, next: {centres: assign}, repeat: 50, until: moved < 1e-9}
EOF
cat >chain.yaml <<'EOF'
steps:
  - {name: a, kernel: blur, border: reflect, input: "photo.h5:/photo", chunk: [50, 70]}
  - {name: b, kernel: median, border: reflect, uses: {input: a}, chunk: [33, 90], pipeline: {kernel: 2}}
  - {name: c, kernel: sobel, border: wrap, uses: {input: b}, output: {file: chain.h5, dataset: /photo, compress: gzip:1}}
  - {name: d, kernel: stats, uses: {input: b}, schedule: "dynamic:1"}
  - {name: e, kernel: zscore, uses: {input: b, mean: d}, output: "chain_e.h5:/photo", schedule: static}
EOF
for job in graph loops chain; do
    want=$(digests $banquet run $job.yaml)
    same "$job has digests" "${want:+yes}" yes
    same "$job in kitchens" "$(digests $banquet run $job.yaml --force -n 3)" "$want"
    same "$job with one cook" "$(digests $banquet run $job.yaml --force --cooks 1)" "$want"
    same "$job one step at a time" "$(digests $banquet run $job.yaml --force --at-once 1)" "$want"
    same "$job dealt one by one" "$(digests $banquet run $job.yaml --force -n 3 --schedule dynamic:1)" "$want"
    same "$job handed over on the disk" "$(BANQUET_SCRATCH=$folder digests $banquet run $job.yaml --force -n 2)" "$want"
done
same "nothing is left" "$(ls -A | grep -c '^\.')" 0

/usr/bin/python3 - <<'EOF' || fail "numpy agrees"
import h5py, numpy as np
photo = h5py.File("photo.h5")["photo"][:]
score = h5py.File("score.h5")["photo"][:]
assert np.allclose(score, (photo - photo.mean()) / photo.std(), atol=1e-5), "score"
cells = h5py.File("cells.h5")["cells"][:]
for _ in range(30):
    n = sum(np.roll(np.roll(cells, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1)) - cells
    cells = ((n == 3) | ((cells == 1) & (n == 2))).astype("u1")
grown = h5py.File("grown.h5")["cells"]
assert (grown[:] == cells).all(), "life"
assert grown.compression == "gzip"
def soft(a):  # binomial of radius 2, mirrored at the edge, as the kernel's comment has it
    w = np.array([1, 4, 6, 4, 1])
    p = np.pad(a.astype(np.int64), 2, mode="symmetric")
    p = sum(w[i] * p[i:i + a.shape[0]] for i in range(5))
    p = sum(w[i] * p[:, i:i + a.shape[1]] for i in range(5))
    return p / 256
two = photo
for _ in range(4):
    two = np.clip(np.rint(np.rint(soft(two)) * 1.1), 0, 255).astype("u1")
got = h5py.File("two.h5")["photo"][:].astype(int)
assert abs(got - two).max() <= 2, abs(got - two).max() # halves are rounded in another way
EOF
n_checks=$((n_checks + 1))

check "a report of all steps" $banquet run graph.yaml --force --json steps.json
check "it has each of them" /usr/bin/python3 -c 'import json
assert sorted(s["step"] for s in json.load(open("steps.json"))["steps"]) == sorted("score equal sharp smooth again all bins".split())'

cat >bad.yaml <<'EOF'
steps:
  - {name: all, kernel: stats, input: "photo.h5:/photo"}
  - {name: score, kernel: zscore, input: "photo.h5:/photo", uses: {mean: all.median}, output: "bad.h5:/photo"}
EOF
refused 2 "bad.yaml:3: step 'all' has no result 'median'; it has: " $banquet run bad.yaml
cat >early.yaml <<'EOF'
steps:
  - {name: grow, kernel: life, input: "cells.h5:/cells", output: "late.h5:/cells"}
  - {name: score, kernel: zscore, input: "photo.h5:/photo", uses: {mean: grow.alve}, output: "bad.h5:/photo"}
EOF
refused 2 "early.yaml:3: step 'grow' has no result 'alve'; it has: alive, born, died" $banquet run early.yaml
printf '{name: grow, kernel: life, input: "cells.h5:/cells", output: "late.h5:/cells", next: {input: grow}, repeat: 2, until: alve < 9}\n' >until.yaml
refused 2 "until.yaml:1: step 'grow' has no result 'alve'" $banquet run until.yaml
same "both were found before anything was cooked" "$(ls late.h5 2>/dev/null)" ""
sed -i 's/mean: all.median/deviation: all.min/' bad.yaml
sed -i 's/kernel: stats/kernel: histogram/; s/deviation: all.min/mean: all.counts/' bad.yaml
refused 2 "bad.yaml:3: from step 'all': mean wants one number, and 'counts' has 256" $banquet run bad.yaml
same "nothing is half-written" "$(ls -A | grep -c bad.h5)" 0

cat >never.yaml <<'EOF'
{name: assign, kernel: kmeans, params: {k: 2, centres: [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]}, input: "clusters.h5:/clusters", next: {centres: assign}, repeat: 3, until: moved < -1}
EOF
check "a loop that is never over is told" bash -c "'$banquet' run never.yaml -q; [ \$? = 3 ]"
check "a loop that is never over is told" bash -c "'$banquet' run never.yaml -q | tr -s ' \n' ' ' | grep -q 'round 3 of at most 3.*not yet < -1'"
# A loop over compressed rows decodes them once, where memory allows, and gets the same.
check "compressed clusters" $banquet make clusters packed.h5 --size 20000x5 --gzip 4 --quiet
cat >rows.yaml <<'EOF'
{name: assign, kernel: kmeans, params: {k: 2, centres: [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]}, input: "clusters.h5:/clusters", next: {centres: assign}, repeat: 50, until: moved < 1e-9}
EOF
want=$(digest $banquet run rows.yaml)
same "it has a digest" "${want:+yes}" yes
for more in "" "-n 3" "--memory 40MiB" "--cooks 1" "--set delivery=coordinator -n 2" "--schedule dynamic:1 -n 3"; do
    same "the same clusters of compressed rows ($more)" "$(digest $banquet run rows.yaml --input packed.h5:/clusters $more)" "$want"
done
refused 2 "until's value must be a number, not 'nan'" $banquet run rows.yaml --set until='moved < nan'
refused 2 "'k' is given by params and by uses" bash -c "sed 's/params: {k: 5}, input: .clusters.h5:.clusters.,/&/; s/uses: {centres: start}/uses: {centres: start, k: start}/' loops.yaml >both.yaml; $banquet run both.yaml --force"
check "wide halos are cut" $banquet make cells tiny.h5 --size 3x3 --quiet
refused 2 "margin" $banquet run "$root/jobs/median.yaml" --input tiny.h5:/cells --output x.h5:/x --set params.radius=5
refused 2 "does not look beyond" $banquet run "$root/jobs/gamma.yaml" --input photo.h5:/photo --output x.h5:/x --set border=wrap
refused 2 "axis 1 in one piece" $banquet run never.yaml --chunk 100x2
refused 2 "border: 300 is no uint8" $banquet run "$root/jobs/median.yaml" --input photo.h5:/photo --output x.h5:/x --set border=constant:300

# A damaged chunk in the middle of a chain: skipped and filled, the same every time; or the end of all.
check "a compressed photo" $banquet make photo z.h5 --size 300x257 --chunk 50x70 --gzip 1 --quiet
damage z.h5 photo 4
sed -i 's/photo.h5/z.h5/' chain.yaml
refused 1 "stored chunk" $banquet run chain.yaml --force
same "nothing is left" "$(ls -A | grep -c '^\.')" 0
want=$(digests $banquet run chain.yaml --force --at-once 1 --set a.on_error=skip)
refused 3 "given up" $banquet run chain.yaml --force --set a.on_error=skip
for i in 1 2 3; do
    same "what is given up is the same ($i)" "$(digests $banquet run chain.yaml --force --set a.on_error=skip)" "$want"
done

# A loop that is stopped leaves what it goes on from, and nothing else (cli_resume.sh).
$banquet run loops.yaml --force --set life.repeat=1000000 --checkpoint 0 -q >out 2>err &
pid=$!
until_there .grown.h5.banquet-resume
kill -INT $pid
wait $pid
same "a loop is stopped" $? 75
same "nothing else is left" "$(ls -A | grep '^\.' | grep -vc banquet-resume)" 0
finish
