"""The data benchmark's Python peer.

    data_h5py.py read FILE BLOCK CACHE   read_direct and numpy's sum; BLOCK: 512x512, or 512 (rows);
                                         CACHE: cache or nocache. Prints "SECONDS SUM"
    data_h5py.py index FILE PROBES       prints the seconds of one get_chunk_info, and n of chunks
"""
import sys
import time

import h5py
import numpy


def read(path, block, cache):
    settings = {} if cache == "cache" else {"rdcc_nbytes": 0}
    with h5py.File(path, "r", **settings) as file:
        data = file["/d"]
        rows, columns = (int(n) for n in (block.split("x") + [data.shape[1]])[:2])
        buffer = numpy.empty((rows, columns), data.dtype)
        total = 0.0
        start = time.monotonic()
        for row in range(0, data.shape[0], rows):
            for column in range(0, data.shape[1], columns):
                data.read_direct(buffer, numpy.s_[row:row + rows, column:column + columns])
                total += float(buffer.sum())
        print(time.monotonic() - start, total)


def index(path, n_probes):
    with h5py.File(path, "r") as file:
        data = file["/d"].id
        n_chunks = data.get_num_chunks()
        start = time.monotonic()
        for i in range(n_probes):
            data.get_chunk_info(i * n_chunks // n_probes)
        print((time.monotonic() - start) / n_probes, n_chunks)


if sys.argv[1] == "read":
    read(*sys.argv[2:])
else:
    index(sys.argv[2], int(sys.argv[3]))
