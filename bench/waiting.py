#!/usr/bin/env python3
"""Waiting: what ranks cost that have nothing to do, and what the coordinator costs a full machine.

The first table is the CPU time of each rank while every chunk waits (kernel oven, without cooking),
against a textbook MPI program whose ranks wait in MPI_Recv. The second is three ranks on two cores
that compute in chunks of 1 ms: what is lost.
"""
import argparse
import os
import pathlib
import subprocess
import time

import common
from common import BENCH, PEERS, WORKERS, banquet, mpirun

RANKS = WORKERS + 1
WINDOW_S = 1.5, 4.5  # since the start: start-up is over, the end has not begun
QUICK_WINDOW_S = 1.0, 2.0
CHUNK_US = 1000


# -- what the ranks of a running mpirun use -------------------------------------------------------


def descendants(pid):
    """Pids below a process, from /proc."""
    found = []
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += [int(child), *descendants(child)]
    return found


def find_ranks(pid):
    """{rank: pid} of the MPI processes below mpirun."""
    ranks = {}
    for child in descendants(pid):
        try:
            entries = pathlib.Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        for entry in entries:
            name, _, value = entry.partition(b"=")
            if name == b"OMPI_COMM_WORLD_RANK":
                ranks.setdefault(int(value), child)
    return ranks


def cpu_seconds(pid):
    """Seconds that a process has run, user and system, all threads: in ns from schedstat, where
    /proc/PID/stat would count in ticks of 10 ms, half a per cent of what is measured here."""
    folder = pathlib.Path(f"/proc/{pid}/task")
    return sum(int((folder / thread / "schedstat").read_text().split()[0])
               for thread in os.listdir(folder)) / 1e9


def usage(command, window):
    """Per cent of a core that each rank uses in a window of time."""
    first, second = window
    process = common.start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(first)
        if process.poll() is not None:
            raise common.Failed(f"ended with {process.returncode} before {first} s")
        ranks = find_ranks(process.pid)
        if sorted(ranks) != list(range(RANKS)):
            raise common.Failed(f"has ranks {sorted(ranks)} after {first} s, not {RANKS}")
        begin = time.monotonic()
        before = {rank: cpu_seconds(pid) for rank, pid in ranks.items()}
        time.sleep(second - first)
        after = {rank: cpu_seconds(pid) for rank, pid in ranks.items()}
        seconds = time.monotonic() - begin
    except OSError:
        raise common.Failed(f"ended before {second} s") from None
    finally:
        common.stop(process)
    return [100 * (after[rank] - before[rank]) / seconds for rank in range(RANKS)]


# -- the two tables -------------------------------------------------------------------------------


def oven(wait_ms, seconds):
    """Two kitchens, each with one chunk at a time, which waits."""
    sets = {"n": round(WORKERS * seconds * 1000 / wait_ms), "wait_ms": wait_ms, "cook_ms": 0}
    return mpirun(RANKS, *banquet("jobs/oven.yaml", "--cooks", "1", "--open", "1", sets=sets))


def idle_table(rounds, window):
    seconds = window[1] + 1
    commands = {
        "banquet, each chunk waits 1 s": oven(1000, seconds),
        "banquet, each chunk waits 10 ms": oven(10, seconds),
        "textbook MPI, rank 1 computes": mpirun(
            RANKS, PEERS / "mpi_manager", f"{seconds * 1e6:g}", "1"),
    }
    samples, failures = common.interleave(
        {name: lambda command=command: usage(command, window)
         for name, command in commands.items()}, rounds)
    rows = [[name, *(f"{common.median(column):.2f}" for column in zip(*values))]
            for name, values in samples.items()]
    common.table(f"Waiting: per cent of a core, 3 ranks on 2 cores, medians of {rounds}",
                 ["program", "rank 0", "rank 1", "rank 2"], rows)
    return failures


def spin_report(n_chunks):
    """(seconds, CPU seconds of the coordinator) of banquet."""
    command = banquet(BENCH / "spin.yaml", "--cooks", "1", sets={"us": CHUNK_US, "n": n_chunks})
    report = common.report(mpirun(RANKS, *command))
    return report["makespan_s"], report["coordinator"]["cpu_s"]


def manager_seconds(n_chunks, **mca):
    command = mpirun(RANKS, PEERS / "mpi_manager", str(CHUNK_US), str(n_chunks), "2", **mca)
    return float(common.run(command).split()[2]), None


def full_table(rounds, seconds):
    n_chunks = round(seconds * WORKERS * 1e6 / CHUNK_US)
    samples, failures = common.interleave({
        "banquet on a full machine": lambda: spin_report(n_chunks),
        "MPI manager, yields": lambda: manager_seconds(n_chunks),
        "MPI manager, spins": lambda: manager_seconds(n_chunks, mpi_yield_when_idle=0),
    }, rounds)
    took = {name: common.median([seconds for seconds, _ in values])
            for name, values in samples.items()}
    rows = []
    for name, values in samples.items():
        shares = [100 * cpu / seconds for seconds, cpu in values if cpu is not None]
        rows.append([
            name,
            f"{100 * n_chunks * CHUNK_US / 1e6 / (WORKERS * took[name]):.1f} %",
            f"{common.median(shares):.2f}" if shares else "-",
            common.ratio(took[name], took.get("banquet on a full machine")),
        ])
    common.table(
        f"Full machine: 3 ranks on 2 cores, chunks of {CHUNK_US / 1000:g} ms, medians of {rounds}",
        ["program", "efficiency", "coordinator, % of a core", "time x banquet"], rows)
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--rounds", type=int, default=3, help="samples of each program")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one sample")
    options = parser.parse_args()
    since = common.cpu_use()
    rounds = 1 if options.quick else options.rounds

    failures = idle_table(rounds, QUICK_WINDOW_S if options.quick else WINDOW_S)
    failures.update(full_table(rounds, 0.5 if options.quick else 2))
    common.finish(failures, since)


if __name__ == "__main__":
    main()
