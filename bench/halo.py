#!/usr/bin/env python3
"""A map with margins: the kernel blur against the same formula in a hand-written OpenMP loop.

8192 x 8192 uint8 and float32, radius 3, from the page cache into a folder in memory. All outputs
must have the same bits, scipy's and dask's nearly so.
"""
import functools

import common
import data
import forms
from common import PEERS, WORKERS
from data import Goal, Row, one

CONTIGUOUS, CHUNKED = "banquet, contiguous", "banquet, chunks of 512 x 512"
MEMORY = "OpenMP, in memory, computing alone"
FILES, FROM_CHUNKS = "OpenMP, pread and pwrite", "OpenMP, pread and pwrite, chunked"
SCIPY, DASK = "scipy.ndimage, in memory, 1 thread", "dask with scipy.ndimage, 2 threads"
BANDS = 64, 256
LIMIT = 1.15  # times the hand-written loop: the goal
ROUNDING = {"uint8": 0, "float32": 1e-4}  # of scipy, which adds in another order; of 255


def job(source, out):
    return (f"kernel: blur\nparams: {{radius: 3}}\nborder: clamp\n"
            f"input: {{file: {source}, dataset: /d}}\n"
            f"output: {{file: {out}, dataset: /d, compress: none}}\n")


def fresh(out, function, *words):
    forms.remove(out)
    return function(*words)


def python(out, how, source):
    loop = forms.run_loop([*forms.PEER, "blur", how, source, out], out)
    return data.Sample(loop.loop, loop.whole)


def rows_of(contiguous, chunked, out):
    def ours(name, source):
        return one(name, fresh, out(name), data.run_banquet, job(source, out(name)),
                   "--cooks", str(WORKERS))

    def theirs(name, how, source):
        return Row(name, {f"bands of {band}": functools.partial(
            fresh, out(name), data.run_peer,
            [PEERS / "blur_omp", how, source, out(name), str(band)]) for band in BANDS})

    return [theirs(MEMORY, "memory", contiguous), theirs(FILES, "files", contiguous),
            theirs(FROM_CHUNKS, "files", chunked), ours(CONTIGUOUS, contiguous),
            ours(CHUNKED, chunked), one(SCIPY, python, out(SCIPY), "plain", contiguous),
            one(DASK, python, out(DASK), "dask", chunked)]


def goals(kind, rows):
    rows = {row.name: row for row in rows}
    for ours, base in ((CONTIGUOUS, MEMORY), (CONTIGUOUS, FILES), (CHUNKED, MEMORY),
                       (CHUNKED, FROM_CHUNKS)):
        if ours in rows and base in rows:
            yield Goal(f"{kind}: {ours} / {base}", rows[ours], rows[base], ("loop",), most=LIMIT)


def main():
    options = data.arguments(__doc__.splitlines()[0], 5)
    since = common.cpu_use()
    edge = 1024 if options.quick else 8192
    met, failures = [], {}
    for kind, code in (("uint8", "u1"), ("float32", "f4")):
        contiguous, chunked = (
            forms.made("photo", f"{edge}x{edge}", f"photo-{name}-{code}-{edge}", layout, code)
            for name, layout in (("contiguous", "contiguous"), ("chunked", "512x512")))

        def warm():
            data.warm(contiguous)
            data.warm(chunked)

        with forms.Outputs() as out:
            rows = [row for row in rows_of(contiguous, chunked, out)
                    if options.only in f"{kind} {row.name}"]
            failures |= data.measure(rows, options.rounds, kind, warm)
            paths = {row.name: out(row.name) for row in rows}
            loose = [row for row in rows if row.name in (SCIPY, DASK)]
            exact = [row for row in rows if row not in loose]
            failures |= forms.same_outputs(exact, paths, MEMORY, contiguous, kind, 0)
            failures |= forms.same_outputs(loose, paths, MEMORY, contiguous, kind, ROUNDING[kind])
        forms.print_rows(f"Blur of {edge} x {edge} {kind}, medians of {options.rounds}", rows, MEMORY)
        met += goals(kind, rows)
    data.print_goals("Blur: the goals", met)
    common.finish(failures, since)


if __name__ == "__main__":
    main()
