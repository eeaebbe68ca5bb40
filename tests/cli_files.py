"""Files for cli_files.sh, made by h5py and netCDF-4, and the comparison of what banquet made of them.

cli_files.py make       makes the inputs; prints for each FILE|DATASET|CHUNK|ODD|READER: two ways to
                        cut it, by its stored chunks and across them, and what a plan says
cli_files.py compare    reads lines INPUT|DATASET|OUTPUT|WISHES from standard input
"""
import shutil
import sys

import h5py
import numpy as np

try:
    import netCDF4
except ImportError:
    netCDF4 = None

rng = np.random.default_rng(20260801)
DECODED = "read and decoded by the cooks, beside the HDF5 library"
READ = "read by the cooks, beside the HDF5 library"
LIBRARY = "read by the HDF5 library, one cook at a time: "
IDS = {"gzip": 1, "shuffle": 2, "fletcher32": 3, "lzf": 32000, "lz4": 32004, "zstd": 32015}


def available(number):
    """Whether the library of h5py reads what a filter wrote: a plug-in may be there and not load."""
    try:
        return h5py.h5z.filter_avail(number)
    except Exception:
        return False


def skipped(what, why):
    print(f"SKIPPED {what}: {why}", file=sys.stderr)


# -- making ------------------------------------------------------------------------------------

def smooth(shape, dtype):
    """Numbers that compress a little and use every byte of a few."""
    n = int(np.prod(shape))
    values = np.cumsum(rng.integers(-3, 4, n)) + rng.integers(0, 2, n) * 257
    return (values % 30000).astype(dtype).reshape(shape)


def floats(shape, dtype):
    values = (smooth(shape, "f8") / 7).astype(dtype)
    flat = values.reshape(-1)
    flat[::17] = np.nan
    flat[1::19] = -np.inf
    flat[2::23] = -0.0
    flat[3::29] = np.finfo(dtype).tiny / 4
    return values


class Files:
    """One file for each dataset, so that an input is small and its name says what it is."""

    def __init__(self):
        self.lines = []

    def add(self, name, reader, dataset="/data", **how):
        """A dataset by h5py's create_dataset, or by how["make"](file)."""
        path, libver = name + ".h5", how.pop("libver", None)
        make, block = how.pop("make", None), how.pop("user_block", 0)
        with h5py.File(path, "w", libver=libver, userblock_size=block) as file:
            file.attrs["title"] = "the file's own: \u00e4\u00f6\u00fc"
            file.attrs["history"] = np.array(["made", "changed"], dtype=h5py.string_dtype())
            file.attrs["version"] = np.array([1, 2, 3], dtype=">i2")
            data = make(file) if make else file.create_dataset(dataset, **how)
            data.attrs["units"] = np.bytes_("K")
            data.attrs["weights"] = np.array([0.5, np.nan, -1e300])
            data.attrs["choice"] = np.array([1, 0], dtype=bool)
            data.attrs["nothing"] = h5py.Empty("f4")
            data.attrs["points at"] = file.ref  # means nothing in another file: not copied
        self.lines.append((path, dataset, reader))


def make_hdf5(files):
    shape, chunk = (61, 47), (16, 20)
    deep, cut = (7, 13, 11), (3, 5, 4)
    add = files.add

    # Filters of every library.
    add("gzip", DECODED, data=smooth(shape, "i4"), chunks=chunk, compression="gzip")
    add("gzip-shuffle", DECODED, data=floats(deep, "f4"), chunks=cut, compression=9, shuffle=True)
    add("shuffle", DECODED, data=smooth(shape, "i8"), chunks=chunk, shuffle=True)
    add("lzf", DECODED, data=smooth(shape, "u2"), chunks=chunk, compression="lzf")
    add("lzf-shuffle", DECODED, data=floats(shape, "f8"), chunks=chunk, compression="lzf",
        shuffle=True)
    add("noise", DECODED, data=rng.integers(0, 2**64, shape, dtype="u8"), chunks=chunk,
        compression="lzf")
    add("fletcher32", DECODED, data=smooth(shape, "u4"), chunks=chunk, fletcher32=True)
    add("all", DECODED, data=smooth(shape, "i2"), chunks=chunk, compression="gzip", shuffle=True,
        fletcher32=True)
    add("scaleoffset", LIBRARY + "filter 6 scaleoffset", data=smooth(shape, "i4"), chunks=chunk,
        scaleoffset=0)
    add("scaleoffset-float", LIBRARY + "filter 6 scaleoffset", data=smooth(shape, "f4") / 8,
        chunks=chunk, scaleoffset=2)
    if available(4) and h5py.h5z.get_filter_info(4) & h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED:
        add("szip", LIBRARY + "filter 4 szip", data=smooth(shape, "i4"), chunks=chunk,
            compression="szip")
    else:
        skipped("szip", "this HDF5 library cannot write it")
    plugins = (("lz4", 32004, (0,), DECODED), ("bzip2", 307, (9,), LIBRARY + "filter 307"),
               ("zstd", 32015, (3,), DECODED), ("bitshuffle", 32008, (0, 2), DECODED),
               ("blosc", 32001, (), LIBRARY + "filter 32001 blosc"))
    for name, number, values, reader in plugins:
        data = smooth(shape, "i4")
        try:
            add(name, reader, data=data, chunks=chunk, compression=number, compression_opts=values)
            with h5py.File(name + ".h5") as file:
                if file["data"].id.get_create_plist().get_filter(0)[2][2:3] == (0,):
                    raise OSError("the plug-in does not fit this HDF5 library")
                if not (file["data"][...] == data).all():
                    raise OSError("h5py does not read what it wrote")
        except Exception as why:
            files.lines = [line for line in files.lines if line[0] != name + ".h5"]
            skipped(name, f"no plug-in that h5py can write with: {why}")

    # Types.
    add("bool", DECODED, data=smooth(shape, "i4") % 2 == 0, chunks=chunk, compression="gzip")
    colours = h5py.enum_dtype({"red": 1, "green": 1000, "blue": -5}, basetype=">i2")
    add("enum", READ, data=np.array([1, 1000, -5], "i2")[smooth(shape, "i8") % 3], dtype=colours)
    add("half", DECODED, data=floats(shape, "f2"), chunks=chunk, compression="gzip")
    add("half-big", READ, data=floats(shape, ">f2"))
    add("big", READ, data=floats(deep, ">f8"))
    add("big-chunked", READ, data=smooth(shape, ">i2"), chunks=chunk)
    add("big-gzip", DECODED, data=smooth(shape, ">u8"), chunks=chunk, compression="gzip",
        shuffle=True)
    add("bytes", DECODED, data=smooth((5, 4, 3, 7, 2), "u1"), chunks=(2, 4, 2, 3, 2),
        compression="gzip")
    add("int24", DECODED, make=make_int24)
    add("int12", LIBRARY + "its numbers are of an unusual form", make=make_int12)
    wind = np.dtype([("u", "<f4"), ("v", ">i2")])
    table = np.zeros(300, np.dtype([("id", "i4"), ("wind", wind), ("name", "S3")]))
    table["wind"]["u"] = floats((300,), "f4")
    table["wind"]["v"] = smooth((300,), "i2")
    for field in ("wind.u", "wind.v", "id"):
        add("table-" + field, LIBRARY + "it is a field of records", dataset="/table." + field,
            make=lambda file: file.create_dataset("table", data=table, chunks=(100,),
                                                  compression="gzip"))

    # Shapes and places.
    add("scalar", READ, data=np.float64(2.5))
    add("empty", LIBRARY + "nothing of it was written", shape=(0, 5), dtype="i4")
    add("empty-growing", READ, shape=(0, 5), maxshape=(None, 5), chunks=(8, 5), dtype="i4")
    add("growing", DECODED, data=smooth((5, 3), "i4"), maxshape=(None, None), chunks=(64, 32),
        compression="gzip")
    add("growing-bare", READ, data=smooth((5, 3), "i4"), maxshape=(None, 90), chunks=(64, 32))
    add("growing-filled", DECODED, data=smooth((50, 30), ">f4"), maxshape=(None, 90),
        chunks=(16, 20), compression="gzip", fillvalue=-3.5)
    add("growing-filled-bare", READ, data=smooth((50, 30), "f2"), maxshape=(50, None),
        chunks=(16, 20), fillvalue=9)
    add("unwritten", LIBRARY + "nothing of it was written", shape=shape, dtype="i4", fillvalue=-9)
    add("holes", DECODED, make=lambda file: make_holes(file, "gzip"))
    add("holes-bare", READ, make=lambda file: make_holes(file, None))
    add("block", DECODED, data=smooth(shape, "i4"), chunks=chunk, compression="gzip",
        user_block=512)
    add("block-bare", READ, data=smooth(shape, "i4"), user_block=1024)
    add("compact", LIBRARY + "its layout is compact", make=make_compact)
    add("outside", LIBRARY + "it lies in external files", make=make_external)
    add("virtual", LIBRARY + "its layout is virtual", make=make_virtual)
    add("deep/er".replace("/", "-"), DECODED, dataset="/a/b/c", data=smooth(shape, "i4"),
        chunks=chunk, compression="gzip")
    for name, most in (("fixed", shape), ("extensible", (None, 47)), ("tree", (None, None))):
        add("latest-" + name, DECODED, libver="latest", data=smooth(shape, "i4"), chunks=chunk,
            compression="gzip", maxshape=most)
    add("latest-single", DECODED, libver="latest", data=smooth(shape, "i4"), chunks=shape,
        compression="gzip")
    add("scales", DECODED, make=make_scales)
    with h5py.File("link.h5", "w") as file:
        file.attrs["title"] = "the link's file"
        file["data"] = h5py.ExternalLink("all.h5", "/data")
    files.lines.append(("link.h5", "/data", DECODED))


def make_low(file, kind, data, chunk):
    """A dataset of a type that numpy has not."""
    space = h5py.h5s.create_simple(data.shape)
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if chunk:
        how.set_chunk(chunk)
        how.set_shuffle()
        how.set_deflate(4)
    made = h5py.h5d.create(file.id, b"data", kind, space, how)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, data, mtype=h5py.h5t.py_create(data.dtype))
    return h5py.Dataset(made)


def make_int24(file):
    kind = h5py.h5t.STD_I32BE.copy()
    kind.set_precision(24)
    kind.set_size(3)
    return make_low(file, kind, smooth((61, 47), "i4") * 250 - 4000000, (16, 20))


def make_int12(file):
    kind = h5py.h5t.STD_U16LE.copy()
    kind.set_precision(12)
    kind.set_offset(2)
    return make_low(file, kind, smooth((61, 47), "u2") % 4096, None)


def make_holes(file, compression):
    data = file.create_dataset("data", (61, 47), "f4", chunks=(16, 20), compression=compression,
                               fillvalue=np.nan)
    data[20:30, 5:44] = smooth((10, 39), "f4")
    data[60, 46] = 7
    return data


def make_compact(file):
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_layout(h5py.h5d.COMPACT)
    data = smooth((11, 13), "i4")
    made = h5py.h5d.create(file.id, b"data", h5py.h5t.STD_I32LE,
                           h5py.h5s.create_simple(data.shape), how)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)
    return h5py.Dataset(made)


def make_external(file):
    return file.create_dataset("data", data=smooth((61, 47), "i4"),
                               external=[("outside.raw", 100, h5py.h5f.UNLIMITED)])


def make_virtual(file):
    layout = h5py.VirtualLayout((61, 60), "i4")
    layout[:, 13:] = h5py.VirtualSource("all.h5", "data", (61, 47))
    return file.create_virtual_dataset("data", layout, fillvalue=-1)


def make_scales(file):
    data = file.create_dataset("sub/data", data=smooth((61, 47), "i4"), chunks=(16, 20),
                               compression="gzip", track_order=True)
    data.attrs["zulu"], data.attrs["alpha"] = 1, 2  # in this order
    file["y"] = np.arange(61) / 2
    file["sub/x"] = np.arange(47, dtype=">i4")
    file["y"].attrs["units"] = "degrees_north"
    file["y"].make_scale("latitude")
    file["sub/x"].make_scale("longitude")
    data.dims[0].attach_scale(file["y"])
    data.dims[1].attach_scale(file["sub/x"])
    data.dims[0].label, data.dims[1].label = "y", "x"
    file["data"] = h5py.SoftLink("/sub/data")
    return data


def make_netcdf(files):
    with netCDF4.Dataset("climate.nc", "w") as nc:
        nc.title, nc.Conventions, nc.count = "A climate", "CF-1.8", np.int32(5)
        nc.createDimension("time", None)
        nc.createDimension("lat", 13)
        nc.createDimension("lon", 17)
        nc.createDimension("bare", 4)  # no variable of that name
        for name, units in (("lat", "degrees_north"), ("lon", "degrees_east"), ("time", "days")):
            nc.createVariable(name, "f8", (name,)).units = units
        nc["lat"][:], nc["lon"][:] = np.linspace(-60, 60, 13), np.linspace(0, 340, 17)
        nc["time"][:] = np.arange(9)
        grid = ("time", "lat", "lon")
        air = nc.createVariable("air", "f4", grid, zlib=True, shuffle=True, fletcher32=True,
                                chunksizes=(4, 5, 6), fill_value=-999.0)
        air.long_name, air.coordinates = "air temperature", "lat lon"
        air[:] = floats((9, 13, 17), "f4")
        packed = nc.createVariable("packed", "i2", grid, zlib=True, fill_value=-32767,
                                   chunksizes=(2, 13, 17))
        packed.scale_factor, packed.add_offset = np.float64(0.01), np.float64(273.15)
        packed[:5] = 260 + smooth((5, 13, 17), "f8") % 40  # four times without values
        big = nc.createVariable("big", "i8", ("lat", "lon"), endian="big", contiguous=True)
        big[:] = smooth((13, 17), "i8") * 10**12
        small = nc.createVariable("small", "u1", ("bare", "lon"), zlib=True)
        small[:] = smooth((4, 17), "u1")
        group = nc.createGroup("model").createGroup("run")
        group.createDimension("level", 6)
        group.note = "of the group"
        deep = group.createVariable("deep", "f8", ("level", "lat"), zlib=True, shuffle=True)
        deep.units = "Pa"
        deep[:] = smooth((6, 13), "f8")
    for variable, reader in (("air", DECODED), ("packed", DECODED), ("big", READ),
                             ("small", DECODED), ("model/run/deep", DECODED), ("lat", READ)):
        files.lines.append(("climate.nc", "/" + variable, reader))


def make():
    files = Files()
    make_hdf5(files)
    if netCDF4:
        make_netcdf(files)
    else:
        skipped("files by netCDF-4", "python3-netcdf4 is not installed")
    for path, dataset, reader in files.lines:
        with h5py.File(path) as file:
            data = file[dataset.partition(".")[0]]
            shape = [max(n, 1) for n in data.shape or (1,)]
            cuts = [[min(n, c) for n, c in zip(shape, data.chunks or [1 + n // 3 for n in shape])],
                    [1 + n * 2 // 5 for n in shape]]
        print(path, dataset, *("x".join(map(str, cut)) for cut in cuts), reader, sep="|")


# -- comparing ---------------------------------------------------------------------------------

class Wrong(Exception):
    pass


def expect(is_right, what, *values):
    if not is_right:
        raise Wrong(what + "".join(f"\n    {value!r}" for value in values))


def same_values(a, b):
    """Bit for bit, but for the payload of a NaN of half precision, which HDF5 drops."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind == "f" and a.dtype.itemsize == 2:
        return ((a == b) & (np.signbit(a) == np.signbit(b)) | np.isnan(a) & np.isnan(b)).all()
    return a.tobytes() == b.tobytes() if a.dtype.kind != "O" else (a == b).all()


def read(file, path):
    """The values of a dataset, or of a field of it; of types that numpy lacks, as int64."""
    name, _, field = path.partition(".")
    data = file[name]
    if field:
        values = data[()]
        for part in field.split("."):
            values = values[part]
        return data, values
    try:
        return data, data[()]
    except TypeError:
        values = np.zeros(data.shape, "i8")
        data.id.read(h5py.h5s.ALL, h5py.h5s.ALL, values, mtype=h5py.h5t.NATIVE_INT64)
        return data, values


def fill_value(data):
    """None for types that numpy lacks."""
    try:
        return data.fillvalue
    except TypeError:
        return None


def grown(path, name, copy):
    """What a file shows when its dataset is made larger."""
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        data = file[name]
        more = [n + 41 for n in data.shape]
        data.resize([n if most is None else min(n, most) for n, most in zip(more, data.maxshape)])
        return data[()]


def attributes(object):
    """Without those that mean nothing in another file. The copy of a scale is none."""
    kept, lost = {}, ("DIMENSION_LIST", "REFERENCE_LIST", "_NCProperties")
    if isinstance(object, h5py.Dataset) and h5py.h5ds.is_scale(object.id):
        lost += ("CLASS", "NAME", "_Netcdf4Coordinates", "_Netcdf4Dimid")
    for name in object.attrs:
        kind = object.attrs.get_id(name).get_type()
        if not isinstance(kind, h5py.h5t.TypeReferenceID) and name not in lost and \
                not name.startswith("banquet_"):
            value = object.attrs[name]
            kept[name] = (value.dtype.str if isinstance(value, np.ndarray) else None,
                          value.shape if isinstance(value, (np.ndarray, h5py.Empty)) else None,
                          repr(value))
    return kept


def compare_scales(a, b):
    for axis in range(len(a.shape)):
        theirs, ours = a.dims[axis], b.dims[axis]
        expect(theirs.label == ours.label, f"label of axis {axis}", theirs.label, ours.label)
        expect([x.name for x in theirs.values()] == [x.name for x in ours.values()],
               f"scales of axis {axis}", theirs.values(), ours.values())
        for x, y in zip(theirs.values(), ours.values()):
            expect(same_values(x[()], y[()]), f"scale {x.name}")
            expect(attributes(x) == attributes(y), f"attributes of scale {x.name}",
                   attributes(x), attributes(y))
            expect(x.maxshape == y.maxshape, f"most of scale {x.name}", x.maxshape, y.maxshape)


def filters(data):
    how = data.id.get_create_plist()
    return [how.get_filter(i)[:3] for i in range(how.get_nfilters())]


def compare_filters(a, b, wishes):
    """What was wished is what is there."""
    name, _, level = wishes["compress"].partition(":")
    got = filters(b)
    if b.shape == () or 0 in b.shape:
        expect(got == [], "filters of what has no chunks", got)
        return
    want = [] if name == "none" else [IDS[name]]
    if want and b.id.get_type().get_size() > 1:
        want = [IDS["shuffle"]] + want
    # The input's checksum is kept; a virtual dataset, of shards in between, has none to tell of.
    has_sum = IDS["fletcher32"] in [number for number, _, _ in filters(a)]
    wants = [want + [IDS["fletcher32"]]] if has_sum else [want]
    if wishes["chunk"] == "lost":
        wants.append(want)
    expect([number for number, _, _ in got] in wants, "filters", got, wants)
    if level:
        of = {number: values for number, _, values in got}
        expect(of[IDS[name]][0] == int(level), "level", got)


def compare(input, path, output, wishes):
    is_field, is_sharded = "." in path, wishes["layout"] == "sharded"
    with h5py.File(input) as there, h5py.File(output) as here:
        a, before = read(there, path)
        b, after = read(here, "/field" if is_field else path)
        expect(before.shape == after.shape, "shape", before.shape, after.shape)
        expect(same_values(before, after), "values differ",
               before.reshape(-1)[:8], after.reshape(-1)[:8])
        is_sharded = is_sharded and before.shape != () and 0 not in before.shape
        expect(b.is_virtual == is_sharded, "virtual", b.is_virtual)
        if is_field:
            kind = a.id.get_type()
            for part in path.partition(".")[2].split("."):
                kind = kind.get_member_type(kind.get_member_index(part.encode()))
            expect(kind == b.id.get_type(), "type", kind.dtype, b.dtype)
        else:
            expect(a.id.get_type() == b.id.get_type(), "type", a.id.get_type(), b.id.get_type())
            expect(same_values(fill_value(a), fill_value(b)), "fill value", fill_value(a),
                   fill_value(b))
            compare_scales(a, b)
        expect(attributes(a) == attributes(b), "attributes", attributes(a), attributes(b))
        title, ours = attributes(there), attributes(here)
        if input == "link.h5":
            title = ours
        expect(title == ours, "attributes of the file", title, ours)
        if list(a.attrs) != sorted(a.attrs):
            order = [name for name in a.attrs if name in ours]
            expect(order == [name for name in b.attrs if name in order], "order of attributes",
                   list(a.attrs), list(b.attrs))
        if a.chunks and 0 not in a.shape and wishes["chunk"] != "lost":
            expect(b.maxshape == a.maxshape, "most", a.maxshape, b.maxshape)
        if not is_sharded:
            compare_filters(a, b, wishes)
            if a.chunks and 0 not in a.shape and wishes["chunk"] != "lost":
                if wishes["chunk"] != "odd" or wishes["compress"] == "none":
                    expect(b.chunks == a.chunks, "chunks", a.chunks, b.chunks)
        can_grow = not is_field and not is_sharded and wishes["chunk"] != "lost" and \
            b.maxshape is not None and a.chunks and a.maxshape != a.shape
    if can_grow and input != "link.h5":
        before, after = grown(input, path, "a.h5"), grown(output, path, "b.h5")
        expect(same_values(before, after), "values when it has grown differ",
               before.reshape(-1)[-8:], after.reshape(-1)[-8:])
    if input.endswith(".nc") and netCDF4:
        compare_netcdf(input, path, output, wishes["chunk"] == "lost")


def compare_netcdf(input, path, output, is_lost):
    with netCDF4.Dataset(input) as there, netCDF4.Dataset(output) as here:
        a, b = there[path], here[path]
        if path == "/lat":  # its copy is no scale
            return
        expect(a.dimensions == b.dimensions, "dimensions", a.dimensions, b.dimensions)
        for x, y in zip(a.get_dims(), b.get_dims()):
            expect((x.name, x.size) == (y.name, y.size), "dimension", x, y)
            expect(x.isunlimited() == y.isunlimited() or is_lost, "unlimited", x, y)
        expect(np.ma.allequal(a[:], b[:]) or np.isnan(np.ma.filled(a[:], 0)).any(), "unpacked")
        expect((np.ma.getmaskarray(a[:]) == np.ma.getmaskarray(b[:])).all(), "masked")
        kept = [name for name in b.ncattrs() if not name.startswith("banquet_")]
        expect(a.ncattrs() == kept, "attributes", a.ncattrs(), kept)
        expect(there.ncattrs() == here.ncattrs(), "global", there.ncattrs(), here.ncattrs())
        expect(a.endian() == b.endian(), "order", a.endian(), b.endian())


def main():
    if sys.argv[1:] == ["make"]:
        return make()
    n_wrong = n = 0
    for line in sys.stdin:
        input, path, output, wishes = line.rstrip("\n").split("|")
        parts = dict(part.split("=", 1) for part in wishes.split())
        n += 1
        try:
            compare(input, path, output, parts)
        except Exception as why:
            n_wrong += 1
            print(f"FAILED {input}:{path} {wishes}: {type(why).__name__ if not isinstance(why, Wrong) else ''} {why}")
    print(f"{n} files compared, {n_wrong} wrong")
    return 1 if n_wrong or not n else 0


if __name__ == "__main__":
    sys.exit(main())
