#!/usr/bin/env python3
"""Compute-bound work: the mandelbrot kernel under banquet and in a hand-written OpenMP loop.

Both run the same function on two cores; the comparison is of seconds of work, without start-up, and
holds only when both report the same numbers.
"""
import argparse

import common
from common import BENCH, PEERS, WORKERS, banquet, mpirun

JOB = BENCH / "mandelbrot.yaml"
PARAMS = {"rows": 2048, "columns": 2048, "centre_x": -0.75, "centre_y": 0, "height": 2.5,
          "iterations": 1000}  # all of them, so that both draw the same
OPENMP = "OpenMP, by hand"


def sampler(program):
    """Wraps a program that returns (seconds, results) and remembers the results in .results."""

    def sample():
        seconds, sample.results = program()
        return seconds

    return sample


def openmp():
    words = [f"{name}={value}" for name, value in PARAMS.items()]
    printed = common.run([PEERS / "mandelbrot_omp", *words])
    lines = dict(line.split() for line in printed.splitlines())
    return float(lines.pop("seconds")), {name: float(value) for name, value in lines.items()}


def from_report(command):
    def program():
        report = common.report(command)
        scalars = {name: value for name, value in report["results"].items()
                   if isinstance(value, (int, float))}
        return report["makespan_s"], scalars

    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--rounds", type=int, default=5, help="samples of each program")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one sample")
    options = parser.parse_args()
    since = common.cpu_use()
    rounds = 1 if options.quick else options.rounds

    one = banquet(JOB, "--cooks", str(WORKERS), sets=PARAMS)
    two = mpirun(WORKERS + 1, *banquet(JOB, "--cooks", "1", sets=PARAMS))
    samplers = {
        OPENMP: sampler(openmp),
        "banquet, 1 kitchen x 2 cooks": sampler(from_report(one)),
        "banquet, 2 kitchens x 1 cook": sampler(from_report(two)),
    }
    samples, failures = common.interleave(samplers, rounds)

    for name in list(samples):
        if OPENMP in samples and samplers[name].results != samplers[OPENMP].results:
            failures[name] = (f"other work than by hand: {samplers[name].results}, "
                              f"not {samplers[OPENMP].results}")
            del samples[name]
    base = common.median(samples[OPENMP]) if OPENMP in samples else None
    rows = [[name, f"{common.median(values):.3f}", f"{min(values):.3f}", f"{max(values):.3f}",
             common.ratio(common.median(values), base)] for name, values in samples.items()]
    common.table(f"Compute-bound: mandelbrot, {WORKERS} cores, medians of {rounds}",
                 ["program", "seconds", "least", "most", "x OpenMP"], rows)
    common.finish(failures, since)


if __name__ == "__main__":
    main()
