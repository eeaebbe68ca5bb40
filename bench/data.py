"""What the parts about data share (read.py, write.py, plan.py, memory.py): the files, samples of
peers that print "SECONDS SUM" and of banquet, and goals printed beside what was measured."""
import argparse
import dataclasses
import functools
import json
import os
import pathlib
import sys
import tempfile
import time

import common
from common import PEERS, Failed

MIB = 1 << 20
# HDF5 allocates a buffer for every chunk; with these, glibc keeps them instead of mapping new ones.
TUNED = ["env", "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=33554432:"
                "glibc.malloc.trim_threshold=1073741824"]
PYTHON = "/usr/bin/python3"
TIMEOUT = 900
MALLOCS = {"": [], "malloc tuned": TUNED}
CACHES = {"": "cache", "cache off": "nocache"}


def folder():
    """Where the files are kept between runs."""
    named = os.environ.get("BANQUET_BENCH_DATA")
    path = pathlib.Path(named or f"{tempfile.gettempdir()}/banquet-bench-data-{os.getuid()}")
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def memory_folder():
    """A folder in memory, where a sync costs nothing; without one, that of the files."""
    shm = pathlib.Path("/dev/shm")
    return shm if os.access(shm, os.W_OK) else folder()


def kept(name, make):
    """The path of a file that make(path) makes. Made once, then known by its size."""
    path = folder() / name
    known_path = folder() / "sizes.json"
    known = json.loads(known_path.read_text()) if known_path.exists() else {}
    if not path.exists() or known.get(path.name) != path.stat().st_size:
        print(f"making {path}", file=sys.stderr)
        try:
            make(path)
        except Failed as why:
            sys.exit(f"{path} cannot be made: {why}")
        known[path.name] = path.stat().st_size
        known_path.write_text(json.dumps(known, indent=1))
    return path


def made(layout, rows):
    """The path of a file as data_make.c makes it."""
    return kept(f"{layout.replace(':', '-')}-{rows}.h5", lambda path: common.run(
        [PEERS / "data_make", path, layout, str(rows)], TIMEOUT))


def warm(path):
    """Brings a file into the page cache: idle pages may have left it since the last sample."""
    buffer = bytearray(MIB)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


@dataclasses.dataclass
class Sample:
    """One run. loop: what a peer says of its loop, or banquet's makespan; whole: of the process;
    synced: until the output is on the disk; all in seconds. stored: bytes of the output file."""

    loop: float
    whole: float
    synced: float = None
    sum: float = None
    stored: int = None


def run_peer(command):
    """A program that prints "SECONDS SUM"."""
    begin = time.monotonic()
    out = common.run(command, TIMEOUT)
    whole = time.monotonic() - begin
    try:
        loop, total = (float(word) for word in out.split())
    except ValueError:
        raise Failed("printed no SECONDS SUM") from None
    return Sample(loop, whole, sum=total)


def run_plain(command):
    """A program that prints nothing of use: its loop is all of it."""
    whole = common.wall(command)
    return Sample(whole, whole)


def run_banquet(job, *options, launch=lambda command: command):
    """banquet over a job given as text. What this version does not know yet fails softly."""
    with tempfile.TemporaryDirectory(prefix="banquet-bench-") as place:
        path, report = pathlib.Path(place) / "job.yaml", pathlib.Path(place) / "report.json"
        path.write_text(job)
        command = launch([common.BANQUET, "run", path, *options, "--quiet", "--json", report])
        begin = time.monotonic()
        try:
            common.run(command, TIMEOUT)
        except Failed as why:
            raise (Failed(f"refused, so not supported yet? {why}")
                   if "exit 2" in str(why) else why) from None
        whole = time.monotonic() - begin
        said = json.loads(report.read_text())
    return Sample(said["makespan_s"], whole, sum=said["results"].get("sum"))


@dataclasses.dataclass
class Row:
    """One peer and its samples. variants: {settings: function}; the first sample is the fastest of
    all of them, and decides whose samples follow: each peer is at its best settings."""

    name: str
    variants: dict
    chosen: str = None
    samples: list = dataclasses.field(default_factory=list)

    def sample(self):
        if self.chosen is not None:
            return self.variants[self.chosen]()
        tried = {settings: take() for settings, take in self.variants.items()}
        self.chosen = min(tried, key=lambda settings: tried[settings].loop)
        return tried[self.chosen]

    def values(self, measure):
        return [getattr(sample, measure) for sample in self.samples]

    def median(self, measure):
        values = self.values(measure)
        return common.median(values) if values and None not in values else None

    def label(self):
        return f"{self.name} ({self.chosen})" if self.chosen else self.name


def one(name, function, *words, **options):
    """A row without variants."""
    return Row(name, {"": functools.partial(function, *words, **options)})


def several(name, function, commands):
    """A row with a command for each of several settings."""
    return Row(name, {settings: functools.partial(function, command)
                      for settings, command in commands.items()})


def both(*settings):
    """Two names of settings as one: "cache off, malloc tuned"."""
    return ", ".join(name for name in settings if name)


def measure(rows, rounds, kind, before=lambda: None):
    """Fills the rows, A B C, A B C; before() comes before every sample. Returns {name: why}."""

    def prepared(row):
        def sample():
            before()
            return row.sample()

        return sample

    samples, failures = common.interleave({row.name: prepared(row) for row in rows}, rounds)
    for row in rows:
        row.samples = samples.get(row.name, [])
    return {f"{kind}: {name}": why for name, why in failures.items()}


def same_sums(rows, kind):
    """Takes out the rows with another sum than the last of the peers. h5py sums in float32, hence
    the margin."""
    sums = {row.name: row.samples[0].sum for row in rows if row.samples}
    want = [value for name, value in sums.items() if not name.startswith("banquet")]
    failures = {}
    for row in rows:
        if row.name in sums and want and abs(sums[row.name] - want[-1]) > 1e-6 * abs(want[-1]):
            failures[f"{kind}: {row.name}"] = f"its sum is {sums[row.name]}, not {want[-1]}"
            row.samples = []
    return failures


def milliseconds(seconds):
    return "-" if seconds is None else f"{1000 * seconds:,.0f}" if seconds > 0.1 else \
        f"{1000 * seconds:.1f}"


def spread(row):
    """Three cells: median, least and most of the loop."""
    loops = row.values("loop")
    return [milliseconds(value) for value in (common.median(loops), min(loops), max(loops))]


MEASURES = {"loop": "loop", "whole": "process", "synced": "process + sync", "stored": "size"}


@dataclasses.dataclass
class Goal:
    """ours and base are rows; the goal is base / ours >= least, or ours / base <= most."""

    text: str
    ours: Row
    base: Row
    measures: tuple
    least: float = None
    most: float = None

    def needs(self):
        return f">= {self.least:g}" if self.least else f"<= {self.most:g}"

    def verdict(self, measure):
        ours, base = self.ours.median(measure), self.base.median(measure)
        if not ours or not base:
            return "not measured"
        ratio = base / ours if self.least else ours / base
        is_met = ratio >= self.least if self.least else ratio <= self.most
        return f"{ratio:.3g} {'met' if is_met else 'NOT met'}"


def print_goals(title, goals):
    """One line a goal; each is judged by the measures that it names."""
    rows = []
    for goal in goals:
        verdicts = [f"{MEASURES[measure]} {goal.verdict(measure)}" for measure in goal.measures]
        rows.append([goal.text, goal.needs(), "   ".join(verdicts)])
    common.table(title, ["goal", "needs", "measured"], rows)


def arguments(description, rounds):
    """The options of every part; --quick is a smoke test."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("-r", "--rounds", type=int, default=rounds, help="samples of each row")
    parser.add_argument("--quick", action="store_true", help="a smoke test: small files, one round")
    parser.add_argument("--only", help="rows whose table and name hold this text", default="")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    return options
