"""The forms of work as one would write them in Python, and what their benchmarks need of HDF5.

    forms_python.py store FROM DATASET TO LAYOUT TYPE   as /d; LAYOUT: contiguous, ROWSxCOLUMNS, or
                                                        ROWSxCOLUMNS:gzip; frames of one go away
    forms_python.py difference ONE OTHER LIKE           the largest difference of two outputs
    forms_python.py blur|equalize HOW FILE OUT          HOW: plain (numpy, scipy) or dask
    forms_python.py kmeans HOW FILE STARTS ROUNDS
    forms_python.py heat HOW FILE OUT R ROUNDS

Programs that are measured print "SECONDS ROUNDS" and then their results; plain ones load the data
before the time and write it after that, as they compute in memory; dask reads and writes HDF5 in it.
"""
import sys
import time

import h5py
import numpy

RADIUS = 3
WEIGHTS = numpy.array([1, 6, 15, 20, 15, 6, 1]) / 64
BLOCK = 1024  # rows and columns of dask's blocks: 512, 1024 and 2048 were tried


def load(path):
    with h5py.File(path, "r") as file:
        return file["/d"][...]


def store(source, dataset, path, layout, kind):
    with h5py.File(source, "r") as file:
        numbers = file[dataset][...]
    numbers = numbers.reshape([n for n in numbers.shape if n > 1]).astype(kind)
    shape, _, codec = layout.partition(":")
    how = {} if shape == "contiguous" else {"chunks": tuple(map(int, shape.split("x")))}
    if codec:
        how |= {"compression": codec, "compression_opts": 4, "shuffle": True}
    with h5py.File(path, "w") as file:
        file.create_dataset("/d", data=numbers, **how)


def difference(one, other, like):
    """Of two outputs; the type of plain numbers is that of `like`, a dataset of the same extent."""
    with h5py.File(like, "r") as file:
        kind = file["/d"].dtype
    a, b = (load(path).ravel() if h5py.is_hdf5(path) else numpy.fromfile(path, kind)
            for path in (one, other))
    print(numpy.abs(a.astype(float) - b).max() if a.shape == b.shape else "inf")


def report(seconds, rounds=1, results=()):
    print(seconds, rounds)
    for number in results:
        print(repr(float(number)))


# -- dask: blocks of HDF5 datasets, two threads -----------------------------------------------------


class Blocks:
    """A dataset as a dask array, and back into a new one. HDF5 has a lock of its own in h5py."""

    def __init__(self, path, block):
        import dask
        import dask.array

        dask.config.set(scheduler="threads", num_workers=2)
        self.file = h5py.File(path, "r")
        self.array = dask.array.from_array(self.file["/d"], chunks=block, lock=True)

    @staticmethod
    def save(array, path):
        import dask.array

        with h5py.File(path, "w") as file:
            to = file.create_dataset("/d", array.shape, array.dtype)
            dask.array.store(array, to, lock=True)


# -- the jobs ---------------------------------------------------------------------------------------


def blur_block(x):
    from scipy.ndimage import correlate1d

    y = correlate1d(x, WEIGHTS, 0, numpy.float64, "nearest")
    y = correlate1d(y, WEIGHTS, 1, numpy.float64, "nearest")
    return (numpy.rint(y) if x.dtype.kind == "u" else y).astype(x.dtype)


def blur(how, path, out):
    if how == "plain":
        x = load(path)
        start = time.monotonic()
        y = blur_block(x)
        report(time.monotonic() - start)
        y.tofile(out)
        return
    start = time.monotonic()
    x = Blocks(path, (BLOCK, BLOCK)).array
    Blocks.save(x.map_overlap(blur_block, depth=RADIUS, boundary="nearest", dtype=x.dtype), out)
    report(time.monotonic() - start)


def equalize_table(counts):
    """What becomes of each value of a uint8 picture: src/kernels/equalize.c."""
    below = numpy.cumsum(counts)
    least = counts[counts > 0][0]
    share = (numpy.maximum(below, least) - least) / (below[-1] - least)
    return numpy.rint(255 * share).astype("u1")


def equalize(how, path, out):
    if how == "plain":
        x = load(path)
        start = time.monotonic()
        y = equalize_table(numpy.bincount(x.ravel(), minlength=256))[x]
        report(time.monotonic() - start)
        y.tofile(out)
        return
    import dask.array

    start = time.monotonic()
    x = Blocks(path, (BLOCK, BLOCK)).array
    counts = x.map_blocks(lambda b: numpy.bincount(b.ravel(), minlength=256)[None, None, :],
                          new_axis=2, chunks=((1,) * x.numblocks[0], (1,) * x.numblocks[1], (256,)),
                          dtype="i8").sum((0, 1)).compute()
    table = equalize_table(counts)
    Blocks.save(dask.array.map_blocks(lambda b: table[b], x, dtype="u1"), out)
    report(time.monotonic() - start)


def kmeans_sums(rows, centres):
    """Counts and sums of the clusters of some rows; squared distances by a matrix product."""
    rows = rows.astype(numpy.float64)
    distance = (centres * centres).sum(1) - 2 * (rows @ centres.T)
    nearest = distance.argmin(1)
    k = len(centres)
    sums = numpy.stack([numpy.bincount(nearest, rows[:, c], k) for c in range(rows.shape[1])], 1)
    return numpy.concatenate([numpy.bincount(nearest, minlength=k)[:, None], sums], 1)


def moved(sums, centres):
    n = sums[:, :1]
    return numpy.where(n > 0, sums[:, 1:] / numpy.maximum(n, 1), centres)


def kmeans(how, path, starts, rounds):
    rounds = int(rounds)
    with h5py.File(path, "r") as file:
        columns = file["/d"].shape[1]
    centres = numpy.loadtxt(starts).reshape(-1, columns)
    if how == "plain":
        x = load(path)
        start = time.monotonic()
        for _ in range(rounds):
            centres = moved(kmeans_sums(x, centres), centres)
        report(time.monotonic() - start, rounds, centres.ravel())
        return
    x = Blocks(path, (65536, columns)).array.persist()  # loaded once, as the others do
    start = time.monotonic()
    for _ in range(rounds):
        sums = x.map_blocks(lambda b, c: kmeans_sums(b, c)[None], centres, dtype="f8", new_axis=2,
                            chunks=((1,) * x.numblocks[0], (len(centres),), (columns + 1,)))
        centres = moved(sums.sum(0).compute(), centres)
    report(time.monotonic() - start, rounds, centres.ravel())


def heat_step(x, r):
    """x with a margin of one on each side; float32 all the way."""
    middle = x[1:-1, 1:-1]
    around = (x[1:-1, :-2] + x[1:-1, 2:]) + (x[:-2, 1:-1] + x[2:, 1:-1])
    return middle + r * (around - numpy.float32(4) * middle)


def heat(how, path, out, r, rounds):
    rounds, r = int(rounds), numpy.float32(r)
    x = load(path)
    if how == "plain":
        start = time.monotonic()
        for _ in range(rounds):
            y = heat_step(numpy.pad(x, 1, "edge"), r)
            change = numpy.abs(y - x).max()
            x = y
        report(time.monotonic() - start, rounds, [change])
        x.tofile(out)
        return
    x = Blocks(path, (BLOCK, BLOCK)).array.persist()
    start = time.monotonic()
    for _ in range(rounds):
        import dask

        y = x.map_overlap(heat_step, r=r, depth=1, boundary="nearest", trim=False, dtype="f4",
                          meta=numpy.empty((0, 0), "f4"), chunks=x.chunks)
        y, change = dask.persist(y, abs(y - x).max())
        x = y
    change = change.compute()
    report(time.monotonic() - start, rounds, [change])
    x.compute().tofile(out)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
