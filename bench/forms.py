"""What the parts about the forms of work share (graph.py, halo.py, loops.py): their files, samples
of loops, and results that are compared before times are."""
import dataclasses
import json
import pathlib
import re
import shutil
import tempfile
import time

import common
import data
from common import BANQUET, BENCH, Failed

PEER = [data.PYTHON, BENCH / "forms_python.py"]


def made(kernel, size, name, *how):
    """A dataset /d of `banquet make`, stored by forms_python.py as `how` says; kept."""

    def make(path):
        with tempfile.TemporaryDirectory(prefix="banquet-bench-", dir=data.folder()) as place:
            source = pathlib.Path(place) / "made.h5"
            common.run([BANQUET, "make", kernel, source, "--size", size, "--quiet"], data.TIMEOUT)
            common.run([*PEER, "store", source, kernel, path, *how], data.TIMEOUT)

    return data.kept(f"{name}.h5", make)


class Outputs:
    """A folder in memory for what the programs write, until the end of the block."""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="banquet-bench-",
                                                    dir=data.memory_folder()))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def __call__(self, name):
        return self.folder / re.sub(r"\W+", "-", name)


def difference(one, other, like):
    """The largest difference of two outputs: HDF5 files with /d, or plain numbers like those of the
    file `like`."""
    return float(common.run([*PEER, "difference", one, other, like], data.TIMEOUT))


@dataclasses.dataclass
class Loop:
    """One run of a loop. loop: seconds of a round; own: those that banquet itself counts as the
    round's; whole: of the process with all its rounds; results: numbers to be compared."""

    loop: float
    whole: float
    own: float = None
    results: list = None


def run_loop(command, output=None):
    """A program that prints "SECONDS ROUNDS" and then its results."""
    remove(output)
    begin = time.monotonic()
    printed = common.run(command, data.TIMEOUT)
    whole = time.monotonic() - begin
    try:
        seconds, rounds, *results = (float(word) for word in printed.split())
        return Loop(seconds / rounds, whole, results=results)
    except (ValueError, ZeroDivisionError):
        raise Failed("printed no SECONDS ROUNDS") from None


def remove(output):
    if output is not None:
        output.unlink(missing_ok=True)


def run_rounds(job, rounds, *options, launch=lambda command: command, output=None):
    """banquet over job(rounds), and over job(1): a round takes what the others add to the process.
    So nothing that happens between rounds is left out."""
    wholes = []
    with tempfile.TemporaryDirectory(prefix="banquet-bench-") as place:
        path, report = pathlib.Path(place) / "job.yaml", pathlib.Path(place) / "report.json"
        for n in (1, rounds):
            remove(output)
            path.write_text(job(n))
            begin = time.monotonic()
            common.run(launch([BANQUET, "run", path, *options, "--quiet", "--json", report]),
                       data.TIMEOUT)
            wholes.append(time.monotonic() - begin)
        said = json.loads(report.read_text())
    own = float(re.search(r"([\d.]+) s in all", said["loop"]).group(1))
    results = [number for value in said["results"].values()
               for number in (value if isinstance(value, list) else [value])]
    named = said["results"].get("centres", results)
    return Loop((wholes[1] - wholes[0]) / (rounds - 1), wholes[1], own / rounds, named)


def same_results(rows, base, kind, margin):
    """Takes out the rows whose results are not those of the row `base`, relative to the largest."""
    want = next((row.samples[0].results for row in rows if row.name == base and row.samples), None)
    failures = {}
    for row in rows:
        if want is None or not row.samples or row.samples[0].results is None:
            continue
        got = row.samples[0].results
        scale = max(abs(number) for number in want)
        worst = max((abs(a - b) for a, b in zip(got, want)), default=0) / scale
        if len(got) != len(want) or not worst <= margin:
            failures[f"{kind}: {row.name}"] = f"other results than {base}: {worst:.3g} of {scale:g}"
            row.samples = []
    return failures


def same_outputs(rows, paths, base, like, kind, margin):
    """Takes out the rows whose output is not that of the row `base`. paths: {name: file}"""
    failures = {}
    if base not in paths or not paths[base].exists():
        return failures
    for row in rows:
        if not row.samples or row.name not in paths or row.name == base:
            continue
        worst = difference(paths[row.name], paths[base], like)
        if not worst <= margin:
            failures[f"{kind}: {row.name}"] = f"another output than {base}: {worst:g} apart"
            row.samples = []
    return failures


def print_rows(title, rows, base, unit="loop"):
    """One line a row, with its times of the row `base`."""
    rows = [row for row in rows if row.samples]
    has_own = any(getattr(sample, "own", None) for row in rows for sample in row.samples)
    of_base = next((row.median("loop") for row in rows if row.name == base), None)
    lines = []
    for row in rows:
        loops = row.values("loop")
        cells = [fine(value) for value in (common.median(loops), min(loops), max(loops))]
        if has_own:
            cells.append(fine(row.median("own")))
        if unit != "process":
            cells.append(data.milliseconds(row.median("whole")))
        lines.append([row.label(), *cells, common.ratio(row.median("loop"), of_base)])
    more = (["as reported"] if has_own else []) + (["process, ms"] if unit != "process" else [])
    common.table(title, ["program", f"{unit}, ms", "least", "most", *more, "x the first"], lines)


def fine(seconds):
    """Milliseconds of a short round."""
    return "-" if seconds is None else common.number(1000 * seconds)
