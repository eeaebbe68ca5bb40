#!/usr/bin/env bash
# What is read is never written: not by another name, behind a link, as a part of what is read, nor by
# an option that writes something else. And what a virtual dataset is made of is there.
. "$(dirname "$0")/cli.bash"
python=/usr/bin/python3
job() { # job LINE..: writes job.yaml
    printf '%s\n' "$@" >job.yaml
}
sums() { find . -type f ! -name out ! -name err -exec md5sum {} + | sort -k 2; }

# -- options that write --------------------------------------------------------------------------
check "a photo" $banquet make photo photo.h5 --size 100x100 --quiet
check "another" $banquet make photo other.h5 --size 100x100 --seed 7 --quiet
job 'kernel: copy' 'input: photo.h5:/photo' 'output: out.h5:/photo'
ln photo.h5 twin.h5
ln -s photo.h5 alias.h5
echo "notes of a week" >notes.txt
mkdir folder
before=$(sums)
refused 2 "--json photo.h5: is an input of the job" $banquet run job.yaml --json photo.h5
refused 2 "--json ./twin.h5: is an input of the job" $banquet run job.yaml --json ./twin.h5
refused 2 "--json alias.h5: is an input of the job" $banquet run job.yaml --json alias.h5
refused 2 "--json job.yaml: is the job file" $banquet run job.yaml --json job.yaml
refused 2 "--json out.h5: is an output of the job" $banquet run job.yaml --json out.h5
refused 2 "--json folder/../out.h5: is an output of the job" $banquet run job.yaml --json folder/../out.h5
refused 2 "--json out.h5.d: is where shards" $banquet run job.yaml --json out.h5.d
refused 2 "--json notes.txt: exists and is not a JSON report" $banquet run job.yaml --json notes.txt
refused 2 "--json other.h5: exists and is not a JSON report" $banquet run job.yaml --json other.h5
refused 2 "--json folder: is a folder" $banquet run job.yaml --json folder
refused 2 "--json folder/: names a folder" $banquet run job.yaml --json folder/
refused 2 "--json photo.h5: is an input of the job" $banquet run job.yaml --json photo.h5 -n 2
refused 2 "--json x.h5: is an output of the job" $banquet make photo x.h5 --size 10x10 --json x.h5
refused 2 "--json x.h5: is an output of the job" $banquet make photo x.h5 --size 10x10 --json x.h5 -n 2
refused 2 "job.yaml: is the job file" $banquet run job.yaml --force --output job.yaml:/photo
refused 2 "job.yaml: is the job file" $banquet plan job.yaml --output job.yaml:/photo
refused 2 "-o photo.h5: exists and is not a PNG picture" $banquet view photo.h5:/photo -o photo.h5
refused 2 "-o notes.txt: exists and is not a PNG picture" $banquet view photo.h5:/photo -o notes.txt
refused 2 "-o folder: is a folder" $banquet view photo.h5:/photo -o folder
refused 2 "-o nowhere/x.png: No such file" $banquet view photo.h5:/photo -o nowhere/x.png
same "nothing was written or changed" "$(sums)" "$before"
: >empty.json
printf '\n {"old": 1}\n' >old.json
check "an empty file becomes a report" $banquet run job.yaml --json empty.json
check "and an old report a new one" $banquet run job.yaml --force --json old.json
same "it is a report" "$(number old.json step)" "step 1"
check "a picture" $banquet view photo.h5:/photo -o x.png
check "and again" $banquet view photo.h5:/photo -o x.png
refused 1 "No space left" $banquet run job.yaml --force --json /dev/full

# -- steps ---------------------------------------------------------------------------------------
steps() { # steps INPUT1 OUTPUT1 INPUT2 OUTPUT2
    printf 'steps:\n  - {name: a, kernel: copy, input: "%s", output: "%s"}\n  - {name: b, kernel: copy, input: "%s", output: "%s"}\n' "$@" >steps.yaml
}
rm -f out.h5
before=$(find . -name '*.h5' -exec md5sum {} + | sort -k 2)
steps photo.h5:/photo s1.h5:/x s1.h5:/x photo.h5:/photo
refused 2 "need each other in a circle" $banquet run steps.yaml --force
steps photo.h5:/photo s1.h5:/x s1.h5:/x folder/../twin.h5:/photo
refused 2 "steps.yaml:3: folder/../twin.h5: is the input photo.h5 of step 'a'; write to another file" $banquet run steps.yaml --force
refused 2 "is the input photo.h5 of step 'a'" $banquet run steps.yaml --force -n 2
steps photo.h5:/photo s1.h5:/x s1.h5:/x ./s1.h5:/y
refused 2 "both write ./s1.h5" $banquet run steps.yaml --force
steps photo.h5:/photo s1.h5:/x s1.h5:/x s2.h5:/x
refused 2 "--json ./s1.h5: is an output of the job" $banquet run steps.yaml --json ./s1.h5
same "nothing was written or changed" "$(find . -name '*.h5' -exec md5sum {} + | sort -k 2)" "$before"
steps photo.h5:/photo s1.h5:/x s1.h5:/x s2.h5:/x
check "a chain of steps is fine" $banquet run steps.yaml
check "twice, too" $banquet run steps.yaml --force

# -- what is replaced --------------------------------------------------------------------------------
rm -f out.h5
check "a result" $banquet run job.yaml
chmod 640 out.h5
[ "$(id -u)" = 0 ] && chown 12:34 out.h5
before=$(stat -c '%a %u %g' out.h5)
check "is replaced" $banquet run job.yaml --force
same "its mode and owner stay" "$(stat -c '%a %u %g' out.h5)" "$before"
rm -f out.h5
check "a sharded one" $banquet run job.yaml --set output.layout=sharded
check "is replaced by a single file" $banquet run job.yaml --force --output out.h5:/other
same "its shards are gone" "$(ls -d out.h5.d 2>&1 | grep -c 'No such')" 1
check "so that a sharded one has room" $banquet run job.yaml --output new.h5:/photo --set output.layout=sharded
mkdir out.h5.d && cp new.h5.d/1.h5 out.h5.d/
check "shards of another file" $banquet run job.yaml --force
same "stay" "$(ls out.h5.d)" 1.h5
rm -r out.h5.d
cp new.h5 out.h5 && mkdir out.h5.d && cp new.h5.d/1.h5 out.h5.d/ # it joins what is in new.h5.d
check "a copy of a sharded file" $banquet run job.yaml --force
same "has none of its own" "$(ls out.h5.d)" 1.h5
rm -r out.h5.d
check "again a sharded one" $banquet run job.yaml --force --set output.layout=sharded
echo "by hand" >out.h5.d/notes.txt
check "with something else beside its shards" $banquet run job.yaml --force
same "leaves that" "$(ls out.h5.d)" notes.txt

# -- links, virtual datasets, raw files ----------------------------------------------------------
$python -c 'import h5py' 2>/dev/null || { echo "SKIPPED links and virtual datasets: no python3-h5py"; finish; }
cat >make.py <<'END'
import h5py, numpy, os
numbers = numpy.arange(64 * 64, dtype="f4").reshape(64, 64)
os.makedirs("parts", exist_ok=True)
for i in range(2):
    with h5py.File(f"parts/{i}.h5", "w") as file:
        file.create_dataset("x", data=numbers[32 * i:32 * i + 32])
with h5py.File("near.h5", "w") as file:
    file["here"] = numbers
with h5py.File("link.h5", "w") as file:
    file["x"] = h5py.ExternalLink("near.h5", "/here")
    file["deep"] = h5py.ExternalLink("joined.h5", "/x")
def joined(name, files, dataset="x"):
    layout = h5py.VirtualLayout((64, 64), "f4")
    for i, source in enumerate(files):
        layout[32 * i:32 * i + 32] = h5py.VirtualSource(source, dataset, (32, 64))
    with h5py.File(name, "w") as file:
        file.create_virtual_dataset("x", layout, fillvalue=-1)
joined("joined.h5", ["parts/0.h5", "parts/1.h5"])
joined("typo.h5", ["parts/0.h5", "parts/1.h5"], "y")
with h5py.File("twice.h5", "w") as file:
    layout = h5py.VirtualLayout((64, 64), "f4")
    layout[:] = h5py.VirtualSource("joined.h5", "x", (64, 64))
    file.create_virtual_dataset("x", layout, fillvalue=-1)
with h5py.File("self.h5", "w") as file:
    file["a"] = numbers
    layout = h5py.VirtualLayout((64, 64), "f4")
    layout[:] = h5py.VirtualSource(".", "a", (64, 64))
    file.create_virtual_dataset("x", layout)
with h5py.File("raw.h5", "w") as file:
    file.create_dataset("x", data=numbers, external=[("raw.bin", 0, h5py.h5f.UNLIMITED)])
# Blocks that are made up as they come: those that are not there are not missing.
dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
dcpl.set_layout(h5py.h5d.VIRTUAL)
space = h5py.h5s.create_simple((64, 64), (h5py.h5s.UNLIMITED, 64))
space.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), (32, 64), (32, 64))
source = h5py.h5s.create_simple((32, 64))
dcpl.set_virtual(space, b"parts/%b.h5", b"x", source)
with h5py.File("blocks.h5", "w") as file:
    h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((64, 64), (h5py.h5s.UNLIMITED, 64)), dcpl)
END
check "files of many kinds" $python make.py
job 'kernel: copy' 'input: near.h5:/here' 'output: out.h5:/x'
rm -f out.h5
want=$(digest $banquet run job.yaml)
before=$(find . -name '*.h5' -o -name '*.bin' | grep -v out.h5 | xargs md5sum | sort -k 2)
for input in link.h5:/x link.h5:/deep joined.h5:/x twice.h5:/x self.h5:/x raw.h5:/x blocks.h5:/x; do
    same "$input is read" "$(digest $banquet run job.yaml --force --input $input)" "$want"
done
for pair in "link.h5:/x near.h5" "link.h5:/deep parts/1.h5" "joined.h5:/x parts/0.h5" "twice.h5:/x parts/1.h5" \
    "twice.h5:/x joined.h5" "raw.h5:/x raw.bin" "blocks.h5:/x parts/1.h5"; do
    set -- $pair
    refused 2 "$2: the input $1 is read from it; write to another file" $banquet run job.yaml --force --input $1 --output $2:/y
    refused 2 "--json $2: is an input of the job" $banquet run job.yaml --force --input $1 --json $2
    steps $1 s1.h5:/x s1.h5:/x $2:/y
    refused 2 "$2: the input $1 is read from it" $banquet run steps.yaml --force
done
check "a sharded result" $banquet run job.yaml --output sharded.h5:/x --set output.layout=sharded
refused 2 "sharded.h5: the input sharded.h5.d/1.h5:/x is read from it" $banquet run job.yaml --force --input sharded.h5.d/1.h5:/x \
    --output sharded.h5:/x --set output.layout=sharded
same "nothing was changed" "$(find . -name '*.h5' -o -name '*.bin' | grep -v 'out.h5\|sharded' | xargs md5sum | sort -k 2)" "$before"

# -- what the input is marked as ---------------------------------------------------------------------
cat >scale.py <<'END'
import h5py, numpy
with h5py.File("scale.h5", "w") as file:
    file["lat"] = numpy.linspace(-90, 90, 19)
    file["lat"].make_scale("latitude")
    file["lat"].attrs["units"] = "degrees_north"
    file.create_dataset("plain", data=numpy.arange(1e5).reshape(100, 1000), chunks=(50, 100), fletcher32=True)
END
check "a scale" $python scale.py
check "is copied" $banquet run job.yaml --input scale.h5:/lat --output lat.h5:/lat
check "and is one still" $python -c 'import h5py; d = h5py.File("lat.h5")["lat"]; assert h5py.h5ds.is_scale(d.id) and d.attrs["NAME"] == b"latitude" and d.attrs["units"] == "degrees_north", dict(d.attrs)'
for how in "" "--set output.compress=gzip:1" "--set output.layout=sharded" "--chunk 30x30" "-n 3 --set delivery=coordinator"; do
    check "a checksum ($how)" $banquet run job.yaml --force --input scale.h5:/plain --output sum.h5:/plain $how
    file=sum.h5
    [ -d sum.h5.d ] && file=sum.h5.d/1.h5
    check "is kept ($how)" $python -c "import h5py; assert h5py.File('$file')['plain'].fletcher32"
    check "and right ($how)" $python -c "import h5py, numpy; assert numpy.array_equal(h5py.File('sum.h5')['plain'][()], h5py.File('scale.h5')['plain'][()])"
done

# -- sources that are missing ----------------------------------------------------------------------
refused 2 "its source 'parts/0.h5' has no dataset 'y'" $banquet run job.yaml --force --input typo.h5:/x
mv sharded.h5.d elsewhere.d
refused 2 "sharded.h5:/x: is a virtual dataset, and its source 'sharded.h5.d/1.h5' is missing" $banquet run job.yaml --force --input sharded.h5:/x
refused 2 "is missing" $banquet view sharded.h5:/x -o y.png
mkdir away && mv parts away/
for input in joined.h5 twice.h5; do
    refused 2 "its source 'parts/0.h5' is missing" $banquet run job.yaml --force --input $input:/x
    refused 2 "its source 'parts/0.h5' is missing" $banquet plan job.yaml --input $input:/x
    same "HDF5_VDS_PREFIX is asked ($input)" "$(HDF5_VDS_PREFIX=nowhere:$PWD/away digest $banquet run job.yaml --force --input $input:/x)" "$want"
done
same "from elsewhere" "$(cd folder && HDF5_VDS_PREFIX='${ORIGIN}/away' digest $banquet run ../job.yaml --force --input ../joined.h5:/x)" "$want"
mv away/parts .
same "the folder of the file counts, not the present one" "$(cd folder && digest $banquet run ../job.yaml --force --input ../joined.h5:/x)" "$want"
rm parts/1.h5
refused 2 "its source 'parts/1.h5' is missing" $banquet run job.yaml --force --input joined.h5:/x
check "blocks that are made up as they come may end" $banquet run job.yaml --force --input blocks.h5:/x
finish
