#!/usr/bin/env python3
"""Start-up: the wall time of a tiny job in one process, which must stay under 50 ms."""
import argparse

import common
from common import banquet

LIMIT_MS = 50
BANQUET = "banquet run, one process"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--rounds", type=int, default=20, help="samples of each program")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 5 samples")
    options = parser.parse_args()
    since = common.cpu_use()
    rounds = 5 if options.quick else options.rounds

    commands = {
        BANQUET: banquet("jobs/primes.yaml", sets={"b": 10}),
        "mpirun -n 1 true": ["mpirun", "-n", "1", "true"],
        "python3, import h5py": ["/usr/bin/python3", "-c", "import h5py"],
    }
    samples, failures = common.interleave(
        {name: lambda command=command: 1000 * common.wall(command)
         for name, command in commands.items()}, rounds)

    base = common.median(samples[BANQUET]) if BANQUET in samples else None
    rows = [[name, f"{common.median(values):.1f}", f"{min(values):.1f}", f"{max(values):.1f}",
             common.ratio(common.median(values), base)] for name, values in samples.items()]
    common.table(f"Start-up: wall time, medians of {rounds}",
                 ["program", "ms", "least", "most", "x banquet"], rows)
    if base and base >= LIMIT_MS:
        failures[BANQUET] = f"{base:.1f} ms, the limit is {LIMIT_MS} ms"
    common.finish(failures, since)


if __name__ == "__main__":
    main()
