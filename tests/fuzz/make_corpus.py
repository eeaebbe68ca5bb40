#!/usr/bin/env python3
"""Writes the seeds of fuzz_file: make_corpus.py FOLDER.

Every layout, index of chunks, filter and kind of number that the store tells apart, each in a file of
its own with the dataset "/d", as small as HDF5 makes it. Needs h5py and hdf5plugin.
"""
import ctypes
import os
import sys

import h5py
import hdf5plugin  # noqa: F401 (registers the filters)
import numpy
from h5py import h5d, h5f, h5p, h5s, h5t, h5z

DEFLATE, SHUFFLE, FLETCHER32 = h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32
LZF, BLOSC, BZIP2, LZ4, BITSHUFFLE, ZSTD = 32000, 32001, 307, 32004, 32008, 32015

hdf5 = ctypes.CDLL(h5p.__file__)  # the calls that h5py has not


def new_file(path, latest=False):
    creation, access = h5p.create(h5p.FILE_CREATE), h5p.create(h5p.FILE_ACCESS)
    creation.set_obj_track_times(False)
    hdf5.H5Pset_sym_k(ctypes.c_int64(creation.id), 1, 1)
    hdf5.H5Pset_istore_k(ctypes.c_int64(creation.id), 1)
    hdf5.H5Pset_meta_block_size(ctypes.c_int64(access.id), ctypes.c_uint64(0))  # no room ahead
    access.set_libver_bounds(h5f.LIBVER_LATEST if latest else h5f.LIBVER_EARLIEST, h5f.LIBVER_LATEST)
    return h5f.create(path.encode(), h5f.ACC_TRUNC, creation, access)


def numbers(shape, dtype):
    return (numpy.arange(int(numpy.prod(shape))) % 97).reshape(shape).astype(dtype)


def make(folder, name, shape=(30, 7), dtype="<f4", chunk=None, filters=(), most=None, latest=False, layout=None,
         fill=None, fill_time=None, early=None, write=True, edges=False, stored=None, attribute=False):
    """filters: (id, values) or (id, values, flags). stored: the type in the file. write: what is written: all,
    nothing, or some rows."""
    path = os.path.join(folder, name + ".h5")
    file = new_file(path, latest)
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)
    if chunk:
        creation.set_chunk(chunk)
    if layout is not None:
        creation.set_layout(layout)
    for filter_ in filters:
        number, values, flags = (*filter_, h5z.FLAG_OPTIONAL)[:3]
        if number == "scaleoffset":
            creation.set_scaleoffset(*values)
        elif number == "szip":
            creation.set_szip(*values)
        else:
            creation.set_filter(number, flags, tuple(values))
    if edges:
        hdf5.H5Pset_chunk_opts(ctypes.c_int64(creation.id), 2)  # H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS
    if fill is not None:
        creation.set_fill_value(numpy.array(fill, dtype))
    if fill_time is not None:
        creation.set_fill_time(fill_time)
    if early is not None:
        creation.set_alloc_time(early)
    kind = stored or h5t.py_create(numpy.dtype(dtype), logical=True)
    space = h5s.create_simple(shape, most) if shape else h5s.create(h5s.SCALAR)
    dataset = h5d.create(file, b"d", kind, space, creation)
    if write:
        data = numbers(shape, dtype)
        if write is True:
            dataset.write(h5s.ALL, h5s.ALL, data, h5t.py_create(numpy.dtype(dtype), logical=True))
        else:
            h5py.Dataset(dataset)[:write] = data[:write]
    if attribute:
        h5py.Dataset(dataset).attrs["units"] = "K"
    file.close()


def zstd_frame(data):
    """Of one block that is not compressed: h5py need not know how to."""
    return (b"\x28\xb5\x2f\xfd\x60" + (len(data) - 256).to_bytes(2, "little") +
            (len(data) << 3 | 1).to_bytes(3, "little") + data)


def zstd(folder):
    make(folder, "zstd", chunk=(16, 7), filters=[(ZSTD, [3])], write=False)
    with h5py.File(os.path.join(folder, "zstd.h5"), "r+") as file:
        for row in (0, 16):
            file["d"].id.write_direct_chunk((row, 0), zstd_frame(numbers((16, 7), "<f4").tobytes()))


def records(folder):
    kind = numpy.dtype([("a", "<i2"), ("f", ">f8"), ("g", [("x", "<f4"), ("y", "<i4")])])
    for chunk in (None, (4,)):
        with h5py.File(os.path.join(folder, f"records{'-chunked' if chunk else ''}.h5"), "w") as file:
            data = numpy.zeros(10, kind)
            data["f"] = numpy.arange(10)
            file.create_dataset("d", data=data, chunks=chunk)


def others(folder):
    """What is no dataset of numbers, or not in this file."""
    def path(name):
        return os.path.join(folder, name + ".h5")

    with h5py.File(path("text"), "w") as file:
        file["d"] = numpy.array([b"one", b"two"])
    with h5py.File(path("lists"), "w") as file:
        file.create_dataset("d", (3,), h5py.vlen_dtype("i4"))[0] = [1, 2, 3]
    with h5py.File(path("null"), "w") as file:
        file["d"] = h5py.Empty("f4")
    with h5py.File(path("group"), "w") as file:
        file.create_group("d")["e"] = numpy.arange(3)
    with h5py.File(path("group-latest"), "w", libver="latest") as file:
        for i in range(12):  # more than fit the object header: a fractal heap and a B-tree
            file[f"d/name-{i}"] = i
    with h5py.File(path("named-type"), "w") as file:
        file["d"] = numpy.dtype("f4")
    with h5py.File(path("empty"), "w"):
        pass
    with h5py.File(path("soft-link"), "w") as file:
        file["e"] = numpy.arange(5)
        file["d"] = h5py.SoftLink("/e")
    with h5py.File(path("dangling"), "w") as file:
        file["d"] = h5py.SoftLink("/nothing")
    with h5py.File(path("external-link"), "w") as file:
        file["d"] = h5py.ExternalLink("no-such-file.h5", "/d")
    with h5py.File(path("virtual"), "w", libver="latest") as file:
        file["a"] = numpy.arange(6, dtype="i2")
        layout = h5py.VirtualLayout((9,), "i2")
        layout[2:8] = h5py.VirtualSource(".", "a", (6,))
        file.create_virtual_dataset("d", layout, fillvalue=-1)
    with h5py.File(path("external-data"), "w") as file:
        file.create_dataset("d", (4,), "f4", external=[("no-such-file.raw", 0, 16)])
    with h5py.File(path("user-block"), "w", userblock_size=512) as file:
        file["d"] = numpy.arange(9, dtype="f4")
    with h5py.File(path("attributes"), "w", libver="latest") as file:
        file["d"] = numpy.arange(5)
        for i in range(10):  # dense storage
            file["d"].attrs[f"name-{i}"] = i
    with h5py.File(path("attributes-of-all-kinds"), "w") as file:
        dataset = file.create_dataset("d", data=numpy.arange(5, dtype="f4"))
        dataset.attrs["text"] = "of varying length"
        dataset.attrs["texts"] = numpy.array([b"a", b"bcd"])
        dataset.attrs["lists"] = numpy.array([numpy.arange(2), numpy.arange(3)], h5py.vlen_dtype("i4"))
        dataset.attrs["record"] = numpy.zeros(2, numpy.dtype([("a", "<i2"), ("b", ">f8", (2,))]))
        dataset.attrs["enum"] = numpy.array(True)
        dataset.attrs["reference"] = dataset.ref
        dataset.attrs["nothing"] = h5py.Empty("f4")
        dataset.attrs["_FillValue"] = numpy.float32(-1)
        file.attrs["Conventions"] = "CF-1.8"
    with h5py.File(path("scales"), "w") as file:
        file["d"] = numpy.zeros((4, 3), "f4")
        file["x"] = numpy.arange(3.0)
        file["x"].make_scale("x")
        file["d"].dims[1].attach_scale(file["x"])
    with h5py.File(path("pages"), "w", fs_strategy="page", fs_page_size=512) as file:
        file["d"] = numpy.arange(9, dtype="f4")
    with open(os.path.join(folder, "classic-netcdf"), "wb") as file:
        file.write(b"CDF\x01" + bytes(28))
    with open(os.path.join(folder, "signature"), "wb") as file:
        file.write(b"\x89HDF\r\n\x1a\n")


def main(folder):
    def each(name, **wish):
        make(folder, name, **wish)

    # Layouts, and the indices of chunks.
    each("contiguous")
    each("contiguous-early", early=h5d.ALLOC_TIME_EARLY, write=False)
    each("contiguous-unwritten", write=False, fill=7)
    each("compact", shape=(5, 3), layout=h5d.COMPACT)
    each("scalar", shape=())
    each("no-elements", shape=(0, 3), chunk=(4, 3), most=(h5s.UNLIMITED, 3))
    each("attribute", attribute=True)
    for latest in (False, True):
        version = "-latest" if latest else ""
        wish = {"latest": latest, "chunk": (8, 4)}
        each("chunked" + version, **wish)
        each("chunked-unwritten" + version, **wish, write=False, fill=-2.5)
        each("chunked-partly" + version, **wish, write=9, fill=3)
        each("chunked-no-fill" + version, **wish, write=9, fill_time=h5d.FILL_TIME_NEVER)
        each("chunked-early" + version, **wish, early=h5d.ALLOC_TIME_EARLY, write=9)
        each("growing" + version, **wish, most=(h5s.UNLIMITED, 7))
        each("growing-both" + version, **wish, most=(h5s.UNLIMITED, h5s.UNLIMITED))
        each("filtered" + version, **wish, filters=[(DEFLATE, [4])])
        each("filtered-growing" + version, **wish, filters=[(DEFLATE, [4])], most=(h5s.UNLIMITED, 7))
        each("filtered-growing-both" + version, **wish, filters=[(DEFLATE, [4])], most=(h5s.UNLIMITED,) * 2)
    each("single-chunk", chunk=(30, 7), latest=True)
    each("single-chunk-filtered", chunk=(30, 7), latest=True, filters=[(SHUFFLE, [4]), (DEFLATE, [4])])
    each("raw-edges", chunk=(8, 4), filters=[(DEFLATE, [4])], latest=True, edges=True)
    each("rank-1", shape=(200,), chunk=(64,), filters=[(DEFLATE, [1])])
    each("rank-4", shape=(3, 2, 3, 4), chunk=(2, 2, 2, 4), filters=[(DEFLATE, [1])])
    each("rank-8", shape=(2, 1) * 4, dtype="u1", chunk=(2, 1, 1, 1) * 2)
    each("rank-9", shape=(1,) * 9, dtype="u1")
    each("large-chunk", shape=(10,), most=(h5s.UNLIMITED,), chunk=(1 << 20,), filters=[(DEFLATE, [9])])
    each("sparse", shape=(1 << 40, 1 << 20), chunk=(16, 16), write=False, fill=1)

    # Filters.
    for name, filters in {
            "shuffle": [(SHUFFLE, [4])],
            "fletcher32": [(FLETCHER32, [])],
            "shuffle-deflate-fletcher32": [(SHUFFLE, [4]), (DEFLATE, [6]), (FLETCHER32, [])],
            "lzf": [(LZF, [])],
            "lz4": [(LZ4, [])],
            "lz4-blocks": [(LZ4, [64])],
            "bitshuffle": [(BITSHUFFLE, [0, 0])],
            "bitshuffle-lz4": [(BITSHUFFLE, [0, 2])],
            "deflate-twice": [(DEFLATE, [4]), (DEFLATE, [4])],
            "seven": [(SHUFFLE, [4])] * 6 + [(DEFLATE, [1])],
            "bzip2": [(BZIP2, [9])],
            "blosc": [(BLOSC, [0, 0, 0, 0, 5, 1, 0])],
            "szip": [("szip", (h5z.SZIP_NN_OPTION_MASK, 8))],
            "nbit": [(h5z.FILTER_NBIT, [])],
            "scale-offset-float": [("scaleoffset", (h5z.SO_FLOAT_DSCALE, 2))]}.items():
        each(name, chunk=(16, 7), filters=filters)
    each("scale-offset", dtype="<i4", chunk=(16, 7), filters=[("scaleoffset", (h5z.SO_INT, 0))])

    zstd(folder)

    # Numbers.
    for dtype in ("u1", "i1", "<u2", ">u2", "<i4", ">i4", "<i8", ">u8", "<f2", ">f2", "<f8", ">f8", "?"):
        each("number-" + dtype.strip("<").replace(">", "big-").replace("?", "bool"), shape=(6, 5), dtype=dtype,
             chunk=(4, 5), fill=1)
    each("big-contiguous", dtype=">i2")
    wide = h5t.STD_I32LE.copy()
    wide.set_size(3)
    wide.set_precision(24)
    each("number-24-bits", dtype="<i4", stored=wide, chunk=(8, 4), filters=[(DEFLATE, [4])])
    odd = h5t.STD_U16LE.copy()
    odd.set_precision(12)
    odd.set_offset(2)
    each("number-12-bits", dtype="<u2", stored=odd, chunk=(8, 4))
    each("number-enum", dtype=h5py.enum_dtype({"A": 1, "B": 2}, basetype="i2"), shape=(6,))
    records(folder)
    others(folder)


if __name__ == "__main__":
    main(sys.argv[1])
