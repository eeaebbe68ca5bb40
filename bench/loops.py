#!/usr/bin/env python3
"""Loops over the same data: kmeans and heat, round by round, against MPI with threads in memory.

A round of banquet takes what (rounds - 1) more of them add to its process, so that what happens
between rounds counts. `as reported` is the mean of the makespans alone. Peers load once, keep their
rows in memory and tell the time of their loop. All must find the same centres and the same plate.
"""
import functools
import json
import sys

import common
import data
import forms
from common import PEERS, WORKERS, mpirun
from data import Goal, Row, one

KITCHEN, KITCHENS = "banquet, 1 kitchen x 2 cooks", "banquet, 2 kitchens x 1 cook"
RANKS, THREADS = "MPI, 2 ranks x 1 thread", "MPI, 1 rank x 2 threads"
NUMPY, DASK = "numpy, in memory", "dask, 2 threads"
LIMIT = 1.1  # times the better peer of the two: the goal
R = 0.1


def launch_ranks(command):
    return mpirun(WORKERS + 1, *command)


def ours(job, rounds, out):
    def path(name):
        return out(name) if out else None

    return [one(KITCHEN, forms.run_rounds, functools.partial(job, path(KITCHEN)), rounds,
                "--cooks", str(WORKERS), output=path(KITCHEN)),
            one(KITCHENS, forms.run_rounds, functools.partial(job, path(KITCHENS)), rounds,
                "--cooks", "1", launch=launch_ranks, output=path(KITCHENS))]


def theirs(name, n_ranks, n_threads, program, *words, output=None):
    """A rank that waits spins or yields: what is better here is found by trying."""
    return Row(name, {how: functools.partial(
        forms.run_loop, mpirun(n_ranks, PEERS / program, *words, str(n_threads),
                               mpi_yield_when_idle=yields), output)
        for how, yields in (("spins", 0), ("yields", 1))})


# -- kmeans -----------------------------------------------------------------------------------------


def starts_of(table, k):
    """Centres to begin with, from banquet's kernel kmeans_start."""
    with forms.Outputs() as out:
        path = out("start") / "job.yaml"
        path.parent.mkdir()
        path.write_text(f"kernel: kmeans_start\nparams: {{k: {k}}}\n"
                        f"input: {{file: {table}, dataset: /d}}\n")
        return common.report([common.BANQUET, "run", path, "--quiet"])["results"]["centres"]


def kmeans_rows(table, k, rounds, starts, centres):
    def job(_, n):
        return (f"kernel: kmeans\nname: kmeans\nparams: {{k: {k}, centres: {json.dumps(centres)}}}\n"
                f"input: {{file: {table}, dataset: /d}}\n"
                f"next: {{centres: kmeans}}\nrepeat: {n}\n")

    words = table, starts, str(rounds)
    return [theirs(THREADS, 1, WORKERS, "kmeans_mpi", *words),
            theirs(RANKS, WORKERS, 1, "kmeans_mpi", *words),
            *ours(job, rounds, None),
            one(NUMPY, forms.run_loop, [*forms.PEER, "kmeans", "plain", *words]),
            one(DASK, forms.run_loop, [*forms.PEER, "kmeans", "dask", *words])]


def run_kmeans(options, k):
    rows, rounds = (100_000, 4) if options.quick else (1_000_000, 20)
    title = f"kmeans, k = {k}"
    table = forms.made("clusters", f"{rows}x9", f"clusters-{rows}", "7282x9", "f4")
    centres = starts_of(table, k)
    with forms.Outputs() as out:
        starts = out("starts")
        starts.write_text("\n".join(map(repr, centres)))
        peers = [row for row in kmeans_rows(table, k, rounds, starts, centres)
                 if options.only in f"{title} {row.name}"]
        failures = data.measure(peers, options.rounds, title, lambda: data.warm(table))
    failures |= forms.same_results(peers, THREADS, title, 1e-9)
    forms.print_rows(f"{title}, {rows:,} x 9, {rounds} rounds, medians of {options.rounds}", peers,
                     THREADS, "a round")
    return title, peers, failures


# -- heat -------------------------------------------------------------------------------------------


def heat_rows(plate, rounds, out):
    def job(path, n):
        return (f"kernel: heat\nname: heat\nparams: {{r: {R}}}\nborder: clamp\n"
                f"input: {{file: {plate}, dataset: /d}}\n"
                f"output: {{file: {path}, dataset: /d, compress: none}}\n"
                f"next: {{input: heat}}\nrepeat: {n}\n")

    def peer(name, n_ranks, n_threads):
        return theirs(name, n_ranks, n_threads, "heat_mpi", plate, out(name), str(R), str(rounds),
                      output=out(name))

    def python(name, how):
        return one(name, forms.run_loop, [*forms.PEER, "heat", how, plate, out(name), str(R),
                                          str(rounds)], out(name))

    return [peer(THREADS, 1, WORKERS), peer(RANKS, WORKERS, 1), *ours(job, rounds, out),
            python(NUMPY, "plain"), python(DASK, "dask")]


def run_heat(options, edge):
    rounds = (10 if options.quick else 200) * (5 if edge < 256 else 1)
    title = f"heat, {edge} x {edge}"
    plate = forms.made("field", f"1x{edge}x{edge}", f"plate-{edge}", "256x256" if edge > 256 else
                       "contiguous", "f4")
    with forms.Outputs() as out:
        peers = [row for row in heat_rows(plate, rounds, out)
                 if options.only in f"{title} {row.name}"]
        failures = data.measure(peers, options.rounds, title, lambda: data.warm(plate))
        paths = {row.name: out(row.name) for row in peers}
        failures |= forms.same_outputs(peers, paths, THREADS, plate, title, 1e-3)
    forms.print_rows(f"{title} float32, {rounds} rounds, medians of {options.rounds}", peers,
                     THREADS, "a round")
    return title, peers, failures


# -- dask beside banquet: a map with a need ---------------------------------------------------------


def run_equalize(options):
    edge = 1024 if options.quick else 8192
    picture = forms.made("photo", f"{edge}x{edge}", f"photo-chunked-u1-{edge}", "512x512", "u1")
    place = f"input: {{file: {picture}, dataset: /d}}"
    name, plain, dask = "banquet, 1 kitchen x 2 cooks", "numpy, in memory", "dask, 2 threads"
    with forms.Outputs() as out:
        job = (f"steps:\n  - {{name: measure, kernel: histogram, {place}}}\n"
               f"  - {{name: equalize, kernel: equalize, {place}, uses: {{counts: measure}}, "
               f"output: {{file: {out(name)}, dataset: /d, compress: none}}}}\n")

        path = out("job")
        path.write_text(job)

        def banquet():
            forms.remove(out(name))
            whole = common.wall([common.BANQUET, "run", path, "--cooks", str(WORKERS), "--quiet"])
            return forms.Loop(whole, whole)

        rows = [one(name, banquet)] + [one(label, forms.run_loop, [
            *forms.PEER, "equalize", how, picture, out(label)], out(label))
            for label, how in ((plain, "plain"), (dask, "dask"))]
        rows = [row for row in rows if options.only in f"equalize {row.name}"]
        failures = data.measure(rows, options.rounds, "equalize", lambda: data.warm(picture))
        paths = {row.name: out(row.name) for row in rows}
        failures |= forms.same_outputs(rows, paths, name, picture, "equalize", 0)
    forms.print_rows(f"equalize, {edge} x {edge} uint8, medians of {options.rounds} "
                     "(banquet: its whole process)", rows, name)
    return failures


def goals(title, rows):
    rows = {row.name: row for row in rows if row.samples}
    peers = [rows[name] for name in (THREADS, RANKS) if name in rows]
    best = min(peers, key=lambda row: row.median("loop"), default=None)
    for name in (KITCHEN, KITCHENS):
        if name in rows and best:
            yield Goal(f"{title}: {name} / {best.name}", rows[name], best, ("loop",), most=LIMIT)


def main():
    options = data.arguments(__doc__.splitlines()[0], 3)
    since = common.cpu_use()
    met, failures = [], {}
    for run, size in ((run_kmeans, 5), (run_kmeans, 8), (run_heat, 64), (run_heat, 2048)):
        title, rows, failed = run(options, size)
        sys.stdout.flush()
        failures |= failed
        met += goals(title, rows)
    failures |= run_equalize(options)
    data.print_goals("Loops: the goals", met)
    common.finish(failures, since)


if __name__ == "__main__":
    main()
