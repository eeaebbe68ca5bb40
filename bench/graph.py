#!/usr/bin/env python3
"""Steps that need nothing of each other: all at once, one after the other, a process for each.

jobs/stations.yaml's steps (four reductions of one picture), and a job of one step that waits, one
that computes and one that reads. Times are of whole processes.
"""
import os
import pathlib
import tempfile
import time

import common
import data
import forms
from common import BANQUET, WORKERS
from data import one

AFTER, AT_ONCE, APART = "one after the other", "all at once", "a process for each, at once"


def stations(picture):
    """As in jobs/stations.yaml."""
    place = f"input: {{file: {picture}, dataset: /d}}"
    return [f"{{name: grill, kernel: stats, {place}}}",
            f"{{name: salad, kernel: histogram, {place}}}",
            f"{{name: dessert, kernel: sum, {place}}}",
            f"{{name: drinks, kernel: stats, {place}, params: {{exact: true}}}}"]


def mixed(picture, wait_s, rows):
    waits = 10 * wait_s * 8  # 100 ms each, eight open
    return [f"{{name: waits, kernel: oven, params: {{n: {waits}, wait_ms: 100, cook_ms: 0}}, "
            "cooks: 1, open: 8}",
            f"{{name: computes, kernel: mandelbrot, params: {{rows: {rows}, columns: {rows}, "
            "centre_x: -0.75, height: 2.5, iterations: 1000}}",
            f"{{name: reads, kernel: sum, input: {{file: {picture}, dataset: /d}}}}"]


def job(steps):
    return "steps:\n" + "".join(f"  - {step}\n" for step in steps)


def run(steps, *options):
    with tempfile.TemporaryDirectory(prefix="banquet-bench-") as place:
        path = pathlib.Path(place) / "job.yaml"
        path.write_text(job(steps))
        whole = common.wall([BANQUET, "run", path, "--cooks", str(WORKERS), "--quiet", *options])
    return data.Sample(whole, whole)


def run_apart(steps):
    """What a shell does with &."""
    with tempfile.TemporaryDirectory(prefix="banquet-bench-") as place:
        paths = [pathlib.Path(place) / f"{i}.yaml" for i in range(len(steps))]
        for path, step in zip(paths, steps):
            path.write_text(job([step]))
        begin = time.monotonic()
        started = [common.start([BANQUET, "run", path, "--cooks", str(WORKERS), "--quiet"],
                                stdout=open(os.devnull, "w", encoding="ascii"))
                   for path in paths]
        ended = [process.wait(data.TIMEOUT) for process in started]
        whole = time.monotonic() - begin
    if any(ended):
        raise common.Failed(f"a step ended with {max(ended)}")
    return data.Sample(whole, whole)


def rows_of(steps):
    alone = [one(f"{step[7:step.index(',')]} alone", run, [step]) for step in steps]
    return [one(AFTER, run, steps, "--at-once", "1"), one(AT_ONCE, run, steps),
            one(APART, run_apart, steps), *alone]


def main():
    options = data.arguments(__doc__.splitlines()[0], 5)
    since = common.cpu_use()
    edge = 1024 if options.quick else 4096
    picture = forms.made("photo", f"{edge}x{edge}", f"photo-gzip-{edge}", "512x512:gzip", "u1")
    large = data.made("gzip:4", 4096 if options.quick else 16384)
    failures = {}
    for title, steps, path in (
            (f"Four reductions of {edge} x {edge} bytes, gzip", stations(picture), picture),
            ("A step that waits, one that computes, one that reads",
             mixed(large, 1, 512 if options.quick else 2048), large)):
        rows = [row for row in rows_of(steps) if options.only in f"{title} {row.name}"]
        failures |= data.measure(rows, options.rounds, title, lambda path=path: data.warm(path))
        forms.print_rows(f"{title}, medians of {options.rounds}", rows, AFTER, "process")
    common.finish(failures, since)


if __name__ == "__main__":
    main()
