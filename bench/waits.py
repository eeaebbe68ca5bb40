#!/usr/bin/env python3
"""Waits: one cook that keeps many chunks open, beside an event loop and beside threads.

The first table is 1000 waits of 10 ms (kernel oven, without cooking), `open` of them at a time, as
times of the ideal, 10 ms x 1000 / open. The others fetch 1000 small files from nginx on loopback
(tests/nginx.bash), which answers at once or after 10 ms.
"""
import argparse
import os
import pathlib
import subprocess
import tempfile

import common
from common import PEERS, ROOT, banquet

N = 1000
WAIT_MS = 10
LIMIT = 3  # times the ideal: the goal
OPEN = 1, 10, 100, 1000
PYTHON = ["/usr/bin/python3", ROOT / "bench/waits_python.py"]


def seconds(command):
    return float(common.run(command))


def makespan(command):
    return common.report(command)["makespan_s"]


# -- timers ---------------------------------------------------------------------------------------


def waits_table(rounds, widths):
    samplers = {}
    for n_open in widths:
        oven = banquet("jobs/oven.yaml", "--cooks", "1", "--open", n_open,
                       sets={"n": N, "wait_ms": WAIT_MS, "cook_ms": 0})
        loop = [*PYTHON, "asyncio", N, WAIT_MS, n_open]
        threads = [PEERS / "waits_threads", N, WAIT_MS, n_open]
        samplers["banquet, one cook", n_open] = lambda command=oven: makespan(command)
        samplers["asyncio.sleep", n_open] = lambda command=loop: seconds(command)
        samplers["a thread for each", n_open] = lambda command=threads: seconds(command)
    samples, failures = common.interleave(samplers, rounds)
    rows, too_long = [], {}
    for n_open in widths:
        ideal = WAIT_MS / 1000 * N / n_open
        for name in ("banquet, one cook", "asyncio.sleep", "a thread for each"):
            if (name, n_open) not in samples:
                continue
            took = common.median(samples[name, n_open])
            rows.append([f"open {n_open}: {name}", common.number(1000 * took),
                         f"{took / ideal:.2f}"])
            if name.startswith("banquet") and took > LIMIT * ideal:
                too_long[f"{name}, open {n_open}"] = f"{took / ideal:.2f} times the ideal"
    common.table(f"Waits: {N} of {WAIT_MS} ms, medians of {rounds}",
                 ["program", "ms", "x ideal"], rows)
    return {**{" ".join(map(str, key)): why for key, why in failures.items()}, **too_long}


# -- transfers ------------------------------------------------------------------------------------


class Server:
    """nginx with N files, until the end of the block."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        script = ('. tests/nginx.bash; nginx_has && nginx_start "$1" "$2" || exit 1; '
                  'echo "$site"; read -r _; nginx_stop')
        self.process = subprocess.Popen(
            ["bash", "-c", script, "nginx", self.folder, str(N)], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.site = self.process.stdout.readline().strip()
        if not self.site:
            self.process.wait()
            raise common.Failed("nginx is missing or did not start")
        return self

    def __exit__(self, *_):
        self.process.communicate("\n")


def write_lists(folder, site, way):
    """The list, and the same as a configuration of curl."""
    urls = [f"{site}/{way}/f{i}" for i in range(1, N + 1)]
    paths = pathlib.Path(folder) / f"{way}.txt", pathlib.Path(folder) / f"{way}.curl"
    paths[0].write_text("".join(f"{url}\n" for url in urls))
    paths[1].write_text("".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in urls))
    return paths


def fetch_table(rounds, folder, site, way, title):
    urls, config = write_lists(folder, site, way)
    output = pathlib.Path(folder) / "rows.h5"
    samplers = {}

    def ours(n_open, cooks=1):
        command = banquet("jobs/fetch.yaml", "--open", n_open, "--cooks", cooks, "--force",
                          "--output", f"{output}:/rows", sets={"list": urls})
        return lambda: makespan(command)

    def curl(*options):
        command = ["curl", "-s", "--no-progress-meter", *options, "-K", config]
        return lambda: common.wall(command)

    samplers["banquet, one at a time"] = ours(1)
    samplers["curl, one at a time"] = curl()
    for n_open in (16, 200):
        samplers[f"banquet, one cook, open {n_open}"] = ours(n_open)
        samplers[f"aiohttp, {n_open} at a time"] = (
            lambda n=n_open: seconds([*PYTHON, "aiohttp", urls, n]))
        samplers[f"urllib, {n_open} threads"] = (
            lambda n=n_open: seconds([*PYTHON, "threads", urls, n]))
        samplers[f"curl --parallel-max {n_open}"] = curl("-Z", "--parallel-max", str(n_open))
    samplers["banquet, 16 cooks, open 1"] = ours(1, 16)
    samples, failures = common.interleave(samplers, rounds)
    base = samples.get("banquet, one cook, open 200")
    rows = [[name, common.number(1000 * common.median(values)),
             common.number(N / common.median(values)),
             common.ratio(common.median(values), base and common.median(base))]
            for name, values in samples.items()]
    common.table(f"{title}, medians of {rounds}",
                 ["program", "ms", "files/s", "x banquet open 200"], rows)
    return {f"{way}: {name}": why for name, why in failures.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--rounds", type=int, default=5, help="samples of each program")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one sample")
    options = parser.parse_args()
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            common.ENVIRONMENT.pop(name, None)
    since = common.cpu_use()
    rounds = 1 if options.quick else options.rounds
    failures = waits_table(rounds, OPEN[1:] if options.quick else OPEN)
    with tempfile.TemporaryDirectory(prefix="banquet-bench-") as folder:
        try:
            with Server(folder) as server:
                for way, title in (("files", f"Fetching {N} files from nginx on loopback"),
                                   ("late", f"The same, answered after {WAIT_MS} ms")):
                    failures.update(fetch_table(rounds, folder, server.site, way, title))
        except common.Failed as error:
            failures["fetching"] = str(error)
    common.finish(failures, since)


if __name__ == "__main__":
    main()
