#!/usr/bin/env python3
"""Isolation: what it costs that the cooks are in a process of their own (`isolate: process`), beside
cooks that are threads of the rank (`none`), and how long a process takes to be there again.

Tiny tasks as in metg.py, by the kernel `spin`; a map and a reduction of 256 MiB; start-up; and jobs of a
kernel that crashes (tests/crash_kernel.c) at so many chunks, tried once: what they take longer than
the same job without a crash, by their number.
"""
import argparse
import os
import pathlib
import tempfile

import common
import metg
from common import BANQUET, ROOT, banquet

HOW = "none", "process"
GRAINS = [0, 0.2, 0.5, 1, 2, 5, 10, 20, 100, 1000]
SHOWN = [10, 100, 1000]


def isolate(how):
    return "--set", f"isolate={how}"


# -- tiny tasks -----------------------------------------------------------------------------------




def from_report(launch, cooks, *options):
    def seconds(grain, n_tasks):
        sets = {"us": f"{grain:g}", "n": n_tasks}
        command = banquet(common.BENCH / "spin.yaml", *options, "--cooks", str(cooks), sets=sets)
        return common.report(launch(command))["makespan_s"]

    return seconds


def tasks_table(rounds, grains):
    peers = {}
    for how in HOW:
        for policy in ("guided", "dynamic:1"):
            options = [*isolate(how), "--schedule", policy]
            peers[f"{policy}, 2 kitchens: {how}"] = metg.Peer(
                from_report(metg.under_mpirun, 1, *options))
            peers[f"{policy}, 1 kitchen: {how}"] = metg.Peer(
                from_report(list, common.WORKERS, *options))
    failures = metg.sweep(peers, grains, rounds)
    rows = []
    for name in sorted(peers):
        if name in failures:
            continue
        peer = peers[name]
        relation, us = metg.metg50(peer)
        rows.append([name, common.number(common.WORKERS * 1e6 / peer.granularity(0)),
                     *(metg.percent(peer.efficiency(grain)) for grain in SHOWN),
                     f"{relation.replace('=', '')} {common.number(us)}".strip()])
    common.table(f"Small tasks: 2 workers, medians of {rounds}",
                 ["isolate", "empty tasks/s", *(f"at {grain} us" for grain in SHOWN), "METG50 us"],
                 rows)
    return failures


# -- data -----------------------------------------------------------------------------------------


def pairs_table(title, jobs, rounds, seconds):
    """jobs: {name: command without isolate}. Ratios are of the samples of one round."""
    samplers = {(name, how): lambda command=[*command, *isolate(how)]: seconds(command)
                for name, command in jobs.items() for how in HOW}
    samples, failures = common.interleave(samplers, rounds)
    rows = []
    for name in jobs:
        if (name, "none") not in samples or (name, "process") not in samples:
            continue
        none, process = samples[name, "none"], samples[name, "process"]
        ratio = common.median([b / a for a, b in zip(none, process)])
        rows.append([name, common.number(1000 * common.median(none)),
                     common.number(1000 * common.median(process)), f"{ratio:.2f}"])
    common.table(f"{title}, medians of {rounds}", ["job", "none, ms", "process, ms", "ratio"], rows)
    return {f"{name}, {how}": why for (name, how), why in failures.items()}


def makespan(command):
    return common.report(command)["makespan_s"]


def pairs_of_tasks(rounds):
    """The same tasks, so many for each grain, in pairs: a machine that others use, too, slows both."""
    jobs = {}
    for us, n in ((0, 2_000_000), (10, 40_000), (1000, 400)):
        for policy in ("guided", "dynamic:1"):
            command = banquet(common.BENCH / "spin.yaml", "--schedule", policy,
                              sets={"us": us, "n": n})
            jobs[f"{us} us, {policy}, 2 kitchens"] = [*command, "--cooks", "1", "-n", 3]
            jobs[f"{us} us, {policy}, 1 kitchen"] = [*command, "--cooks", "2"]
    return pairs_table("Tasks in pairs: makespan", jobs, rounds, makespan)


def data_table(rounds, folder, size):
    photo = folder / "photo.h5"
    common.run([BANQUET, "make", "photo", photo, "--size", f"{size}x{size}", "--quiet"])
    job = folder / "map.yaml"
    job.write_text(f"kernel: brighten\ninput: {photo}:/photo\noutput: {folder}/out.h5:/photo\n")
    stats = folder / "stats.yaml"
    stats.write_text(f"kernel: stats\ninput: {photo}:/photo\n")
    gzip = ["--set", "output.compress=gzip:1"]
    jobs = {
        "reduce": banquet(stats),
        "map, written by the cooks": banquet(job, "--force"),
        "map, gzip:1, by the coordinator": banquet(job, "--force", *gzip),
        "the same, 2 kitchens": banquet(job, "--force", *gzip, "-n", 3, "--cooks", 1),
    }
    return pairs_table(f"{size} x {size} bytes in {folder.parent}", jobs, rounds, makespan)


def start_table(rounds):
    jobs = {"start to end of a tiny job": banquet("jobs/primes.yaml", sets={"b": 10})}
    return pairs_table("Start-up: wall time", jobs, rounds, common.wall)


# -- restarts -------------------------------------------------------------------------------------


def restart_table(rounds, folder):
    photo = folder / "small.h5"
    common.run([BANQUET, "make", "photo", photo, "--size", "2048x2048", "--quiet"])
    job = folder / "crash.yaml"
    job.write_text(f"kernel: {ROOT}/tests/crash_kernel.c:bad\ninput: {photo}:/photo\n"
                   "chunk: [64, 64]\nattempts: 1\n")
    n_crashes = len(range(3, 1024, 10))

    def run(mode, *options):
        path = folder / "report.json"
        command = banquet(job, *options, "--json", path, sets={"mode": mode, "every": 10})
        process = common.start(command, stdout=common.subprocess.DEVNULL,
                               stderr=common.subprocess.DEVNULL)
        try:
            process.wait(120)
        finally:
            common.stop(process)
        report = common.json.loads(path.read_text())
        if report["n_given_up"] != (0 if mode == "none" else n_crashes):
            raise common.Failed(f"{report['n_given_up']} chunks were given up")
        return report["makespan_s"]

    ways = {"SIGSEGV, one cook": ("segv", "--cooks", 1), "SIGSEGV, two cooks": ("segv", "--cooks", 2),
            "kill -9, one cook": ("kill", "--cooks", 1), "kill -9, two cooks": ("kill", "--cooks", 2)}
    samples, failures = common.interleave(
        {name: lambda way=way: (run(*way) - run("none", *way[1:])) / n_crashes
         for name, way in ways.items()}, rounds)
    rows = [[name, common.number(1000 * common.median(values)), common.number(1000 * min(values)),
             common.number(1000 * max(values))] for name, values in samples.items()]
    common.table(f"From a crash to where it was, ms: {n_crashes} in a job, medians of {rounds}",
                 ["crash", "ms", "least", "most"], rows)
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--rounds", type=int, default=5, help="samples of each point")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one sample of each")
    options = parser.parse_args()
    since = common.cpu_use()
    rounds = 1 if options.quick else options.rounds
    shm = "/dev/shm" if os.path.isdir("/dev/shm") else None
    failures = tasks_table(rounds, [0, *SHOWN] if options.quick else GRAINS)
    with tempfile.TemporaryDirectory(prefix="banquet-bench-", dir=shm) as folder:
        common.ENVIRONMENT["XDG_CACHE_HOME"] = folder
        for table in (lambda: pairs_of_tasks(rounds),
                      lambda: data_table(rounds, pathlib.Path(folder), 4096 if options.quick else 16384),
                      lambda: start_table(rounds),
                      lambda: restart_table(rounds, pathlib.Path(folder))):
            try:
                failures.update(table())
            except common.Failed as error:
                failures["data"] = str(error)
    common.finish(failures, since)


if __name__ == "__main__":
    main()
