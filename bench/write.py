#!/usr/bin/env python3
"""Reading a dataset and writing it again: banquet's kernel `copy`, HDF5 as it comes, and cp.

Everyone reads 256 MiB of uncompressed float32 in 512 x 512 chunks and writes them, compressed or
not, into a folder in memory, where a sync costs nothing. Then 1 GiB uncompressed, on the disk,
where banquet always syncs: so cp is shown with and without.
"""
import os
import pathlib
import shutil
import time

import common
import data
from common import PEERS, WORKERS, mpirun
from data import MALLOCS, Goal, one, several

FULL, QUICK = (8192, 16384), (4096, 4096)  # rows of the two inputs
GZIP4, PARALLEL = "H5Dwrite gzip 4", "parallel HDF5, 2 ranks, collective gzip 4"
ZSTD3, PLAIN = "H5Dwrite zstd 3", "H5Dwrite uncompressed"
CP, RAW = "cp", "pread + pwrite, 2 threads"
COPY = "banquet, uncompressed"


def ours(compress, layout="single", ranks=1):
    where = "" if ranks == 1 else f", {ranks - 1} kitchens"
    return f"banquet, compress {compress}{'' if layout == 'single' else ', sharded'}{where}"


class Writer:
    """Runs commands that write a file, and looks at what they wrote."""

    def __init__(self, source, place):
        self.source = source
        self.out = pathlib.Path(place) / f"banquet-bench-out-{os.getpid()}.h5"
        self.shards = pathlib.Path(f"{self.out}.d")
        self.checked = set()

    def sample(self, name, run, *words, is_hdf5=True):
        """One sample, from no output file to one that is on the disk; it is removed after that."""
        self.remove()
        try:
            sample = run(*words)
            begin = time.monotonic()
            files = [self.out, *self.shards.glob("*.h5")]
            for path in files:
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
            sample.synced = sample.whole + time.monotonic() - begin
            sample.stored = sum(path.stat().st_size for path in files)
            if is_hdf5 and name not in self.checked:
                self.check()
                self.checked.add(name)
        finally:
            self.remove()
        return sample

    def check(self):
        sums = [data.run_peer([PEERS / "data_hdf5", "read", path, "512x512", "cache"]).sum
                for path in (self.source, self.out)]
        if sums[0] != sums[1]:
            raise common.Failed(f"the sum of its output is {sums[1]}, not {sums[0]}")

    def remove(self):
        self.out.unlink(missing_ok=True)
        shutil.rmtree(self.shards, ignore_errors=True)

    def row(self, name, run, *words, is_hdf5=True):
        return one(name, self.sample, name, run, *words, is_hdf5=is_hdf5)

    def banquet(self, name, compress="none", layout="single", ranks=1):
        """Two cooks in one process, or as many kitchens of one cook and a coordinator."""
        job = (f"kernel: copy\ninput: {{file: {self.source}, dataset: /d}}\n"
               f"output: {{file: {self.out}, dataset: /d, compress: \"{compress}\", "
               f"layout: {layout}}}\n")
        words = ["--cooks", str(WORKERS)] if ranks == 1 else ["-n", str(ranks), "--cooks", "1"]
        return self.row(name, data.run_banquet, job, *words)

    def hdf5(self, name, layout):
        return several(name, lambda command: self.sample(name, data.run_peer, command), {
            malloc: [*words, PEERS / "data_hdf5", "write", self.source, self.out, layout]
            for malloc, words in MALLOCS.items()})

    def parallel(self):
        return several(PARALLEL, lambda command: self.sample(PARALLEL, data.run_peer, command), {
            f"blocks of {block}": mpirun(
                WORKERS, *data.TUNED, PEERS / "data_parallel_hdf5", "write", self.source, self.out,
                "gzip:4", block)
            for block in ("512x512", "512", "1024")})

    def cp(self):
        return self.row(CP, data.run_plain, ["cp", self.source, self.out])

    def raw(self):
        return self.row(RAW, data.run_peer,
                        [PEERS / "data_raw", "copy", self.source, self.out, "1024"], is_hdf5=False)


def print_table(title, rows, n_bytes, rounds):
    base = next((row.median("loop") for row in rows if row.name == GZIP4), None)
    lines = []
    for row in rows:
        if not row.samples:
            continue
        loop, stored = row.median("loop"), row.median("stored")
        lines.append([row.label(), *data.spread(row), data.milliseconds(row.median("whole")),
                      data.milliseconds(row.median("synced")), f"{n_bytes / data.MIB / loop:,.0f}",
                      f"{stored / data.MIB:,.1f}", f"{n_bytes / stored:.2f}",
                      common.ratio(base, loop)])
    common.table(f"Reading and writing {n_bytes // data.MIB} MiB: {title}, medians of {rounds}",
                 ["program", "loop, ms", "least", "most", "process, ms", "+ sync", "MiB/s",
                  "file, MiB", "smaller by", "times H5Dwrite gzip 4"], lines)


def compressed(writer):
    compressions = ["gzip:1", "gzip:2", "zstd:1"]
    ways = [(compress, "single", 1) for compress in compressions]
    ways += [(compress, layout, ranks) for compress in ("gzip:1", "none")
             for layout, ranks in (("sharded", 1), ("single", 3), ("sharded", 3))]
    return [*(writer.banquet(ours(*way), *way) for way in ways), writer.banquet(COPY), writer.hdf5(GZIP4, "gzip:4"), writer.parallel(),
            writer.hdf5(ZSTD3, "zstd:3"), writer.hdf5(PLAIN, "chunked"), writer.raw(), writer.cp()]


def goals(small, large):
    """small, large: {name: row} of the two tables."""
    faster = [
        (ours("gzip:1"), GZIP4, 15, "compress gzip:1: times as fast as H5Dwrite gzip 4"),
        (ours("gzip:1"), PARALLEL, 8, "compress gzip:1: times as fast as parallel HDF5"),
        (ours("gzip:2"), GZIP4, 6.5, "compress gzip:2: times as fast as H5Dwrite gzip 4"),
        (ours("zstd:1"), GZIP4, 30, "compress zstd:1: times as fast as H5Dwrite gzip 4"),
    ]
    for name, base, least, text in faster:
        if name in small and base in small:
            yield Goal(text, small[name], small[base], ("loop", "synced"), least=least)
    for compress, most in (("gzip:1", 1.05), ("gzip:2", 1.02)):
        if ours(compress) in small and GZIP4 in small:
            yield Goal(f"compress {compress}: size of the file, of H5Dwrite gzip 4's",
                       small[ours(compress)], small[GZIP4], ("stored",), most=most)
    if COPY in large and CP in large:
        yield Goal("uncompressed, on the disk: of the time of cp", large[COPY], large[CP],
                   ("synced", "whole"), most=1.15)


def main():
    options = data.arguments(__doc__.splitlines()[0], 5)
    since = common.cpu_use()
    n_small, n_large = QUICK if options.quick else FULL
    in_memory = Writer(data.made("chunked", n_small), data.memory_folder())
    on_disk = Writer(data.made("chunked", n_large), data.folder())
    parts = {
        f"into {in_memory.out.parent}": (in_memory, compressed(in_memory), n_small),
        f"uncompressed, into {on_disk.out.parent}":
            (on_disk, [on_disk.banquet(COPY), on_disk.cp(), on_disk.raw(),
                       on_disk.hdf5(PLAIN, "chunked")], n_large),
    }
    measured, failures = [], {}
    for title, (writer, rows, n_rows) in parts.items():
        rows = [row for row in rows if options.only in f"{title} {row.name}"]
        failures |= data.measure(rows, options.rounds, title,
                                 lambda writer=writer: data.warm(writer.source))
        measured.append({row.name: row for row in rows})
        if rows:
            print_table(title, rows, 4 * n_rows * n_rows, options.rounds)
    data.print_goals("Writing: the goals", goals(*measured))
    common.finish(failures, since)


if __name__ == "__main__":
    main()
