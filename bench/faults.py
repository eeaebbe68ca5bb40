#!/usr/bin/env python3
"""Faults: what the journal and signs of life cost where nothing goes wrong, and how long it takes until
a fault is known and made good.

Price: a job of chunks of 1 ms (kernel `spin`) with --checkpoint 10 and off, alternating, and a copy of 256 MiB in
small chunks. Faults: under `-n 4`, from the signal to the line that tells of it, or of the new start.
"""
import argparse
import os
import pathlib
import re
import signal
import statistics
import subprocess
import tempfile
import time

import common
from common import BANQUET, banquet


def makespan(*arguments, sets=None):
    return common.report([str(BANQUET), "run", *arguments])["makespan_s"]


def price(samples, quick):
    n = 500 if quick else 8000
    cases = [("spin 1 ms", ["spin.yaml", "--set", "params.us=1000", "--set", f"params.n={n}"]),
             ("spin 0.1 ms", ["spin.yaml", "--set", "params.us=100", "--set", f"params.n={n * 10}"])]
    for name, arguments in cases:
        arguments = [str(common.BENCH / arguments[0]), *arguments[1:]]
        ratios = []
        for _ in range(samples):
            on = makespan(*arguments, "--checkpoint", "10")
            off = makespan(*arguments, "--checkpoint", "off")
            ratios.append(on / off)
        print(f"  {name:24}{statistics.median(ratios):8.4f}   {' '.join(f'{r:.3f}' for r in ratios)}")


def copy_price(samples, folder):
    subprocess.run([BANQUET, "make", "photo", "photo.h5", "--size", "16384x16384", "-q"], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    for name, output in [("copy, single", "out.h5:/photo"),
                         ("copy, gzip:1", "{file: out.h5, dataset: /photo, compress: gzip:1}")]:
        (folder / "job.yaml").write_text(f"kernel: copy\ninput: photo.h5:/photo\noutput: {output}\nchunk: [256, 256]\n")
        ratios = []
        for _ in range(samples):
            times = []
            for how in ("10", "off"):
                begun = time.time()
                subprocess.run([BANQUET, "run", "job.yaml", "--force", "-q", "--checkpoint", how], cwd=folder,
                               check=True, stdout=subprocess.DEVNULL)
                times.append(time.time() - begun)
            ratios.append(times[0] / times[1])
        print(f"  {name:24}{statistics.median(ratios):8.4f}   {' '.join(f'{r:.3f}' for r in ratios)}")


def ranks(launcher):
    """Pids by rank, of the run of this launcher."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            env = open(f"/proc/{pid}/environ", "rb").read()
            stat = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            parent = open(f"/proc/{stat[1]}/comm").read().strip()
            grand = open(f"/proc/{stat[1]}/stat").read().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
        rank = re.search(rb"OMPI_COMM_WORLD_RANK=(\d+)", env)
        if rank and parent == "mpirun" and int(grand) == launcher:
            found[int(rank[1])] = int(pid)
    return found


def fault(folder, rank, what, line, silence="3"):
    """Seconds from the signal until such a line is on stderr."""
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    run = subprocess.Popen([str(BANQUET), "run", str(common.BENCH / "spin.yaml"), "-n", "4", "--set", "params.us=2000",
                            "--set", "params.n=4000", "--checkpoint", "0.2", "--silence", silence, "--force"],
                           cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=env)
    while not re.search(r"\d %", run.stderr.readline()):
        pass
    os.kill(ranks(run.pid)[rank], what)
    begun = time.time()
    took = next((time.time() - begun for text in run.stderr if re.search(line, text)), float("nan"))
    run.stderr.read()
    run.wait()
    return took if run.returncode == 0 else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-r", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="banquet-bench-") as name:
        folder = pathlib.Path(name)
        print("journal kept : not kept, makespan (median; each)")
        price(options.r, options.quick)
        if not options.quick:
            copy_price(options.r, folder)
        print("from a fault until it is told, s (each), -n 4 on this machine")
        for what, rank, sent, line in [
                ("kitchen killed", 2, signal.SIGKILL, "is lost"),
                ("kitchen crashed", 2, signal.SIGSEGV, "is lost"),
                ("kitchen stopped, --silence 3", 2, signal.SIGSTOP, "is lost"),
                ("coordinator killed: goes on", 0, signal.SIGKILL, "resuming"),
                ("coordinator stopped, --silence 3", 0, signal.SIGSTOP, "resuming")]:
            times = [fault(folder, rank, sent, line) for _ in range(1 if options.quick else options.r)]
            print(f"  {what:36}{' '.join(f'{t:.3f}' for t in times)}", flush=True)


if __name__ == "__main__":
    main()
