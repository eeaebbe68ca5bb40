#!/usr/bin/env python3
"""Reading a dataset and summing it: banquet, HDF5 as it comes, and what the machine allows.

1 GiB of float32 in the page cache, stored in four ways; all rows sum in double and must agree.
"""
import common
import data
from common import BENCH, PEERS, WORKERS, mpirun
from data import CACHES, MALLOCS, Goal, one, several

FULL, QUICK = 16384, 4096  # rows and columns
PIECES_KIB = [512, 1024]
BANQUET, KITCHENS = "banquet", "banquet, 2 kitchens x 1 cook"
HDF5, H5PY = "H5Dread, 1 thread", "h5py read_direct"
INDEPENDENT = "parallel HDF5, 2 ranks, independent"
COLLECTIVE = "parallel HDF5, 2 ranks, collective"
PREAD, TILES = "pread, 2 threads", "pread by tile, 2 threads"
CODEC, DECODED = "codec alone, 2 threads", "codec, unshuffle, sum, 2 threads"


def job(path, chunk=None):
    lines = ["kernel: sum", f"input: {{file: {path}, dataset: /d}}"]
    return "\n".join(lines + ([f"chunk: {chunk}"] if chunk else [])) + "\n"


def banquet_row(path, chunk=None):
    return one(BANQUET, data.run_banquet, job(path, chunk), "--cooks", str(WORKERS))


def launch_ranks(command):
    return mpirun(WORKERS + 1, *command)


def kitchens_row(path):
    return one(KITCHENS, data.run_banquet, job(path), "--cooks", "1", launch=launch_ranks)


def hdf5_row(path, block):
    return several(HDF5, data.run_peer, {
        data.both(cache, malloc): [*words, PEERS / "data_hdf5", "read", path, block, setting]
        for cache, setting in CACHES.items() for malloc, words in MALLOCS.items()})


def h5py_row(path, block):
    return several(H5PY, data.run_peer, {
        data.both(cache, "malloc tuned"): [*data.TUNED, data.PYTHON, BENCH / "data_h5py.py",
                                           "read", path, block, setting]
        for cache, setting in CACHES.items()})


def parallel_rows(path, blocks):
    return [several(name, data.run_peer, {
        f"blocks of {block}": mpirun(WORKERS, *data.TUNED, PEERS / "data_parallel_hdf5", "read",
                                     path, block, how)
        for block in blocks}) for name, how in ((INDEPENDENT, "independent"),
                                                (COLLECTIVE, "collective"))]


def pread_row(path):
    return several(PREAD, data.run_peer, {
        f"{kib} KiB": [PEERS / "data_raw", "read", path, str(kib)] for kib in PIECES_KIB})


def codec_row(name, how, path):
    return one(name, data.run_peer, [PEERS / "data_codec", how, path])


def tables(rows):
    """{title: (path, rows)}"""
    gzip, zstd = data.made("gzip:4", rows), data.made("zstd:3", rows)
    chunked, contiguous = data.made("chunked", rows), data.made("contiguous", rows)
    compressed = ["512x512", "512"]
    return {
        "gzip 4 + shuffle": (gzip, [
            banquet_row(gzip), kitchens_row(gzip), codec_row(CODEC, "decode", gzip),
            codec_row(DECODED, "sum", gzip), hdf5_row(gzip, "512x512"),
            h5py_row(gzip, "512x512"), *parallel_rows(gzip, compressed)]),
        "zstd 3 + shuffle": (zstd, [
            banquet_row(zstd), codec_row(CODEC, "decode", zstd), codec_row(DECODED, "sum", zstd),
            hdf5_row(zstd, "512x512"), *parallel_rows(zstd, compressed)]),
        "uncompressed, chunks of 512 x 512": (chunked, [
            banquet_row(chunked), pread_row(chunked), hdf5_row(chunked, "512x512"),
            h5py_row(chunked, "512x512"), *parallel_rows(chunked, compressed)]),
        "contiguous": (contiguous, [
            banquet_row(contiguous), pread_row(contiguous), hdf5_row(contiguous, "512"),
            h5py_row(contiguous, "512"), *parallel_rows(contiguous, ["512"])]),
        "contiguous, in tiles of 512 x 512": (contiguous, [
            banquet_row(contiguous, [512, 512]), pread_row(contiguous),
            one(TILES, data.run_peer, [PEERS / "data_raw", "tiles", contiguous]),
            one(HDF5, data.run_peer, [PEERS / "data_hdf5", "read", contiguous, "512x512",
                                      "cache"])]),
    }


def print_table(title, rows, n_bytes, rounds):
    base = next((row.median("loop") for row in rows if row.name == HDF5), None)
    lines = []
    for row in rows:
        if not row.samples:
            continue
        loop = row.median("loop")
        lines.append([row.label(), *data.spread(row), data.milliseconds(row.median("whole")),
                      f"{n_bytes / data.MIB / loop:,.0f}", common.ratio(base, loop)])
    common.table(f"Reading and summing {n_bytes // data.MIB} MiB: {title}, medians of {rounds}",
                 ["program", "loop, ms", "least", "most", "process, ms", "MiB/s",
                  "times H5Dread"], lines)


def goals(measured):
    """The goals, of the rows that were measured."""
    wanted = [
        ("gzip 4 + shuffle", HDF5, 5, "times as fast as H5Dread"),
        ("gzip 4 + shuffle", H5PY, 5, "times as fast as h5py"),
        ("gzip 4 + shuffle", INDEPENDENT, 2.6, "times as fast as parallel HDF5, independent"),
        ("gzip 4 + shuffle", COLLECTIVE, 2.6, "times as fast as parallel HDF5, collective"),
        ("gzip 4 + shuffle", CODEC, 0.92, "of the codec alone"),
        ("zstd 3 + shuffle", HDF5, 4.5, "times as fast as H5Dread"),
        ("uncompressed, chunks of 512 x 512", PREAD, 0.85, "of pread"),
        ("contiguous", PREAD, 0.85, "of pread"),
        ("contiguous, in tiles of 512 x 512", TILES, 0.85, "of pread by tile"),
        ("contiguous, in tiles of 512 x 512", PREAD, 0.85, "of pread in large pieces"),
    ]
    for title, base, least, text in wanted:
        rows = {row.name: row for row in measured.get(title, [])}
        if BANQUET in rows and base in rows:
            # The codec's process loads everything first: only its loop means something.
            measures = ("loop",) if base == CODEC else ("loop", "whole")
            yield Goal(f"{title}: {text}", rows[BANQUET], rows[base], measures, least=least)


def main():
    options = data.arguments(__doc__.splitlines()[0], 5)
    since = common.cpu_use()
    n_rows = QUICK if options.quick else FULL
    measured, failures = {}, {}
    for title, (path, rows) in tables(n_rows).items():
        rows = [row for row in rows if options.only in f"{title} {row.name}"]
        if not rows:
            continue
        failures |= data.measure(rows, options.rounds, title, lambda path=path: data.warm(path))
        failures |= data.same_sums(rows, title)
        measured[title] = rows
        print_table(title, rows, 4 * n_rows * n_rows, options.rounds)
    data.print_goals("Reading: the goals", goals(measured))
    common.finish(failures, since)


if __name__ == "__main__":
    main()
