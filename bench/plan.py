#!/usr/bin/env python3
"""Planning over very many chunks: `banquet plan`, and finding the chunks with h5py.

As it is, banquet merges such small chunks; with --chunk 16x16 they are the engine's chunks too. A
plan needs no addresses, a run does: so it is shown beside it. HDF5 1.10 walks its whole index for
every chunk it is asked for, so h5py is timed over a few chunks, and that of all follows.
"""
import pathlib
import tempfile

import common
import data
from common import BENCH, WORKERS
from data import one

CHUNKS, QUICK_CHUNKS = [100_000, 1_000_000], [100_000]
LIMIT_S = {100_000: 0.1}
PLAN, RUN, H5PY = "banquet plan", "banquet run", "h5py get_chunk_info"
CUTS = {"": (), " --chunk 16x16": ("--chunk", "16x16")}
N_PROBES = 8


def job(path):
    return f"kernel: sum\ninput: {{file: {path}, dataset: /d}}\n"


def plan(path, *cut):
    with tempfile.TemporaryDirectory(prefix="banquet-bench-") as place:
        file = pathlib.Path(place) / "job.yaml"
        file.write_text(job(path))
        return data.run_plain([common.BANQUET, "plan", file, *cut])


def h5py(path):
    """The time for all chunks, from a few."""
    command = [data.PYTHON, BENCH / "data_h5py.py", "index", path, str(N_PROBES)]
    seconds, n_chunks = (float(word) for word in common.run(command, data.TIMEOUT).split())
    return data.Sample(seconds * n_chunks, seconds * n_chunks)


def main():
    options = data.arguments(__doc__.splitlines()[0], 5)
    since = common.cpu_use()
    failures, lines, verdicts = {}, [], []
    for n_chunks in QUICK_CHUNKS if options.quick else CHUNKS:
        path = data.made("tiny", n_chunks // 1000)
        rows = [*(one(PLAN + name, plan, path, *cut) for name, cut in CUTS.items()),
                *(one(RUN + name, data.run_banquet, job(path), "--cooks", str(WORKERS), *cut)
                  for name, cut in CUTS.items()),
                one(H5PY, h5py, path)]
        rows = [row for row in rows if options.only in f"{n_chunks} {row.name}"]
        failures |= data.measure(rows, options.rounds, f"{n_chunks:,} chunks",
                                 lambda path=path: data.warm(path))
        for row in rows:
            if row.samples:
                wholes = row.values("whole")
                lines.append([f"{row.name}, {n_chunks:,} chunks", *(
                    f"{1000 * value:,.1f}" for value in (
                        common.median(wholes), min(wholes), max(wholes)))])
            if row.name.startswith(PLAN) and row.samples and n_chunks in LIMIT_S:
                seconds, limit = row.median("whole"), LIMIT_S[n_chunks]
                verdicts.append([f"{row.name}, {n_chunks:,} chunks", f"< {limit:g} s",
                                 f"{seconds:.3f} s {'met' if seconds < limit else 'NOT met'}"])
    common.table(f"Very many chunks: wall time, medians of {options.rounds}",
                 ["program", "ms", "least", "most"], lines)
    if any(row[0].startswith(H5PY) for row in lines):
        print(f"\n{H5PY}: of all chunks, from {N_PROBES} of them")
    common.table("Planning: the goal", ["goal", "needs", "measured"], verdicts)
    common.finish(failures, since)


if __name__ == "__main__":
    main()
