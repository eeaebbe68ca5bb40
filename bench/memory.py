#!/usr/bin/env python3
"""Memory: the most that banquet ever held of a dataset much larger than its budget.

Peak memory is the process's ru_maxrss. Without a budget it is shown too.
"""
import os
import pathlib
import subprocess
import tempfile
import time

import common
import data
from common import WORKERS, Failed
from data import one

FULL, QUICK = (32768, 256), (8192, 64)  # rows of the dataset, MiB of the budget
REDUCE, MAP = "kernel sum", "kernel copy, compress gzip:1"


def run(job, *options):
    """Runs banquet and asks the kernel how much memory it ever had."""
    with tempfile.TemporaryDirectory(prefix="banquet-bench-") as place:
        path = pathlib.Path(place) / "job.yaml"
        path.write_text(job)
        with open(pathlib.Path(place) / "errors", "w+") as errors:
            begin = time.monotonic()
            process = common.start([common.BANQUET, "run", path, "--quiet", "--cooks",
                                    str(WORKERS), *options],
                                   stdout=subprocess.DEVNULL, stderr=errors)
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.monotonic() - begin
            process.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            said = (errors.read().strip().splitlines() or ["no message"])[0]
        if process.returncode != 0:
            soft = "refused, so not supported yet? " if process.returncode == 2 else ""
            raise Failed(f"{soft}exit {process.returncode}: {said}")
    return data.Sample(seconds, seconds, stored=used.ru_maxrss * 1024)


def main():
    options = data.arguments(__doc__.splitlines()[0], 1)
    since = common.cpu_use()
    n_rows, budget = QUICK if options.quick else FULL
    source = data.made("tiled", n_rows)
    out = data.folder() / f"banquet-bench-memory-{os.getpid()}.h5"
    read = f"kernel: sum\ninput: {{file: {source}, dataset: /d}}\n"
    write = (f"kernel: copy\ninput: {{file: {source}, dataset: /d}}\n"
             f"output: {{file: {out}, dataset: /d, compress: \"gzip:1\"}}\n")
    limited = ("--memory", f"{budget}MiB")
    rows = [one(f"{REDUCE}, no budget", run, read), one(REDUCE, run, read, *limited),
            one(f"{MAP}, no budget", run, write), one(MAP, run, write, *limited)]
    rows = [row for row in rows if options.only in row.name]
    failures = data.measure(rows, options.rounds, "memory", lambda: out.unlink(missing_ok=True))
    out.unlink(missing_ok=True)

    lines = []
    for row in rows:
        if row.samples:
            peak = max(row.values("stored")) / data.MIB
            verdict = "met" if peak <= budget else "NOT met"
            lines.append([row.name, f"{row.median('whole'):.2f}", f"{peak:,.0f}",
                          f"<= {budget} {verdict}" if row.name in (REDUCE, MAP) else "-"])
    common.table(f"Memory: {4 * n_rows * n_rows // data.MIB:,} MiB, gzip, the most of "
                 f"{options.rounds} runs", ["job", "s", "peak, MiB", "budget, MiB"], lines)
    common.finish(failures, since)


if __name__ == "__main__":
    main()
