#!/usr/bin/env python3
"""Empty and small tasks: the least task length at which half of the ideal throughput is kept.

METG(50 %) as in Task Bench (Slaughter et al., SC'20). When W workers take t us for n tasks of g us:
efficiency = n g / (W t). METG is the granularity W t / n at the smallest g whose efficiency is one
half, found between two grains on a logarithmic scale; at one half it is 2 g.
"""
import argparse
import dataclasses
import math

import common
from common import BENCH, PEERS, WORKERS, banquet, mpirun

GRAINS = [0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]
QUICK_GRAINS = [0, 100]
SHOWN = [10, 100, 1000]  # grains whose efficiency gets a column
SAMPLE_S = 0.3
MOST_TASKS = 20_000_000
BASE = "banquet guided"


@dataclasses.dataclass
class Peer:
    """One way to hand out tasks. seconds(grain_us, n_tasks) runs them once."""

    seconds: object
    overhead_us: float = 1000.0  # guess, then what the last sample showed: per task and worker
    points: dict = dataclasses.field(default_factory=dict)  # grain: [granularity of each sample]

    def sample(self, grain):
        """(granularity, seconds) of about SAMPLE_S; n_tasks follows from the sample before."""
        n_tasks = round(SAMPLE_S * 1e6 * WORKERS / (grain + self.overhead_us))
        n_tasks = min(max(n_tasks, 4 * WORKERS), MOST_TASKS)
        seconds = self.seconds(grain, n_tasks)
        granularity = seconds * 1e6 * WORKERS / n_tasks
        self.overhead_us = max(granularity - grain, 1e-3)
        return granularity, seconds

    def settle(self):
        """Learns what an empty task costs, until a sample is long enough to believe."""
        for _ in range(6):
            if self.sample(0)[1] > SAMPLE_S / 3:
                break

    def granularity(self, grain):
        return common.median(self.points[grain]) if grain in self.points else None

    def efficiency(self, grain):
        granularity = self.granularity(grain)
        return None if granularity is None else grain / granularity


def metg50(peer):
    """(relation, us): "=" for a crossing between two grains, "<" or ">" where the sweep ends."""
    below = None
    for grain in sorted(peer.points):
        if peer.efficiency(grain) < 0.5:
            below = grain
        elif not below:
            return "<", peer.granularity(grain)
        else:
            low, high = peer.efficiency(below), peer.efficiency(grain)
            return "=", 2 * math.exp(
                math.log(below) + (0.5 - low) / (high - low) * math.log(grain / below)
            )
    return ">", peer.granularity(max(peer.points))


def from_line(command):
    """A peer that prints the line of peer.h. GRAIN and TASKS in its command stand for the load."""

    def seconds(grain, n_tasks):
        load = {"GRAIN": f"{grain:g}", "TASKS": str(n_tasks)}
        words = [load.get(str(word), word) for word in command]
        try:
            return float(common.run(words).split()[2])
        except (IndexError, ValueError):
            raise common.Failed("printed no GRAIN_US TASKS SECONDS") from None

    return seconds


def from_report(launch, *options):
    """banquet: `launch` turns its command line into the one to run."""

    def seconds(grain, n_tasks):
        sets = {"us": f"{grain:g}", "n": n_tasks}
        command = launch(banquet(BENCH / "spin.yaml", *options, "--cooks", "1", sets=sets))
        report = common.report(command)
        if report["n_chunks"] != n_tasks:
            raise common.Failed(f"{report['n_chunks']} chunks were done, not {n_tasks}")
        return report["makespan_s"]

    return seconds


def under_mpirun(command):
    return mpirun(WORKERS + 1, *command)


def by_launcher(command):
    return [*command, "-n", str(WORKERS + 1)]


def all_peers():
    load = ["GRAIN", "TASKS"]
    manager = PEERS / "mpi_manager"
    futures = ["/usr/bin/python3", "-m", "mpi4py.futures", BENCH / "mpi4py_futures.py", *load]
    return {
        BASE: from_report(under_mpirun),
        "banquet guided, its launcher": from_report(by_launcher),
        "banquet dynamic:1": from_report(under_mpirun, "--schedule", "dynamic:1"),
        "OpenMP dynamic,1 (one process)": from_line([PEERS / "omp_dynamic", *load]),
        "MPI_Fetch_and_op, no manager": from_line(
            mpirun(WORKERS, PEERS / "mpi_counter", *load, osc="sm")
        ),
        "MPI manager, 2 in flight": from_line(mpirun(WORKERS + 1, manager, *load, "2")),
        "MPI manager, textbook": from_line(mpirun(WORKERS + 1, manager, *load)),
        "mpi4py.futures, 32 batches": from_line(mpirun(WORKERS + 1, *futures, "32")),
        "mpi4py.futures": from_line(mpirun(WORKERS + 1, *futures)),
    }


def sweep(peers, grains, rounds):
    """Measures all peers, A B C A B C at each grain. Returns {name: why} of those that failed."""
    _, failures = common.interleave({name: peer.settle for name, peer in peers.items()}, 1)
    for grain in grains:
        samplers = {
            name: lambda peer=peer: peer.sample(grain)[0]
            for name, peer in peers.items()
            if name not in failures
        }
        samples, failed = common.interleave(samplers, rounds)
        failures.update(failed)
        for name, values in samples.items():
            peers[name].points[grain] = values
    return failures


def percent(efficiency):
    return "-" if efficiency is None else f"{100 * efficiency:.1f} %"


def compare(metg, base):
    """metg / base as text. Either may be a bound: then so is the ratio, or there is none."""
    if base is None:
        return "-"
    side = {"<": -1, "=": 0, ">": 1}
    upper, lower = side[metg[0]], side[base[0]]
    if upper and upper == lower:
        return "-"
    sign = "<" if upper < lower else ">" if upper > lower else ""
    return f"{sign} {common.ratio(metg[1], base[1])}".strip()


def print_table(peers, grains, rounds):
    base = metg50(peers[BASE]) if BASE in peers else None
    rows = []
    for name, peer in peers.items():
        metg = relation, us = metg50(peer)
        rows.append([
            name,
            common.number(WORKERS * 1e6 / peer.granularity(0)),
            *(percent(peer.efficiency(grain)) for grain in SHOWN),
            f"{relation.replace('=', '')} {common.number(us)}".strip(),
            compare(metg, base),
        ])
    shown = [f"at {grain} us" for grain in SHOWN]
    common.table(
        f"Small tasks: {WORKERS} workers, {len(grains)} grains, medians of {rounds}",
        ["peer", "empty tasks/s", *shown, "METG50 us", "x banquet"],
        rows,
    )


def print_curves(peers, grains):
    rows = [[f"{grain:g}", *(percent(peer.efficiency(grain)) for peer in peers.values())]
            for grain in grains if grain]
    names = [chr(ord("A") + i) for i in range(len(peers))]
    common.table("Efficiency by grain (us)", ["grain", *names], rows)
    print("\n" + "\n".join(f"{letter}  {name}" for letter, name in zip(names, peers)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--rounds", type=int, default=3, help="samples of each point")
    parser.add_argument("--quick", action="store_true", help="a smoke test: few grains, one sample")
    parser.add_argument("--only", help="peers whose name holds this text", default="")
    options = parser.parse_args()
    since = common.cpu_use()
    grains = QUICK_GRAINS if options.quick else GRAINS
    rounds = 1 if options.quick else options.rounds

    peers = {name: Peer(seconds) for name, seconds in all_peers().items() if options.only in name}
    failures = sweep(peers, grains, rounds)
    measured = {name: peer for name, peer in peers.items() if name not in failures}
    print_table(measured, grains, rounds)
    if not options.quick:
        print_curves(measured, grains)
    common.finish(failures, since)


if __name__ == "__main__":
    main()
