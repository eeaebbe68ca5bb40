"""What the benchmark scripts share: where things are, how to run them, medians, tables."""
import json
import os
import pathlib
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
BUILD = pathlib.Path(os.environ.get("BANQUET_BUILD", ROOT / "build")).resolve()
PEERS = BUILD / "bench"
BANQUET = BUILD / "banquet"
QUIET = 0.05  # of the machine for other programs: above this a sample is repeated
MOST_TRIES = 5
WORKERS = 2  # every comparison here is of two workers on two cores

ENVIRONMENT = dict(
    os.environ,
    OMPI_ALLOW_RUN_AS_ROOT="1",
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
    OMPI_MCA_rmaps_base_oversubscribe="1",
    OMP_NUM_THREADS=str(WORKERS),
    SPIN_LIBRARY=str(PEERS / "libspin.so"),
    NO_COLOR="1",
)


class Failed(Exception):
    """A program was missing, failed, took too long, or did not say what it should."""


def mpirun(n_ranks, *command, **mca):
    """The command line for n ranks that share this machine's cores; a rank that waits yields."""
    mca = {"mpi_yield_when_idle": 1, **mca}
    settings = [word for name, value in mca.items() for word in ("--mca", name, str(value))]
    shared = ["--oversubscribe", "--bind-to", "none"]
    return ["mpirun", *shared, *settings, "-n", str(n_ranks), *command]


def start(command, **options):
    """Starts a command in a process group of its own, so that stop() ends it with all its ranks."""
    command = [str(word) for word in command]
    program = next((word for word in command if word.startswith(str(BUILD))), command[0])
    if program.startswith("/") and not os.path.exists(program):
        raise Failed(f"missing: {os.path.relpath(program, ROOT)}")
    try:
        return subprocess.Popen(
            command, env=ENVIRONMENT, cwd=ROOT, start_new_session=True, text=True,
            stdin=subprocess.DEVNULL, **options,
        )
    except FileNotFoundError:
        raise Failed(f"missing: {program}") from None


def stop(process):
    """Ends a process group that start() made, and nothing else."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(command, timeout=120):
    """Runs a command and returns what it printed."""
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failed(f"no end after {timeout} s: {' '.join(map(str, command))}") from None
    finally:
        stop(process)
    if process.returncode != 0:
        lines = [line for line in err.splitlines() if line.strip(" -")]
        raise Failed(f"exit {process.returncode}: {lines[0] if lines else 'no message'}")
    return out


def wall(command):
    """Seconds from starting a command to its end."""
    begin = time.monotonic()
    run(command)
    return time.monotonic() - begin


def banquet(job, *options, sets=None):
    """The command line of `banquet run` without its --json."""
    params = [f"params.{name}={value}" for name, value in (sets or {}).items()]
    return [BANQUET, "run", job, *(word for param in params for word in ("--set", param)), *options]


def report(command, timeout=120):
    """Runs a command line that holds `banquet run`; returns the report that it wrote."""
    with tempfile.TemporaryDirectory(prefix="banquet-bench-") as folder:
        path = pathlib.Path(folder) / "report.json"
        run([*command, "--json", path], timeout)
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise Failed(f"banquet wrote no report: {error}") from None


def cpu_use():
    """(now, CPU seconds of everybody on this machine, those of this script and its programs)."""
    line = pathlib.Path("/proc/stat").read_text().splitlines()[0]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
    ticks = user + nice + system + irq + softirq + steal
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own_s = sum(used.ru_utime + used.ru_stime for used in own)
    return time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), own_s


def others_share(since):
    """Part of the machine that other programs, and the host, have used since a cpu_use()."""
    elapsed, everybody, own = (after - before for after, before in zip(cpu_use(), since))
    return max(0.0, (everybody - own) / elapsed / os.cpu_count())


def quietest(sample, most_tries):
    """Repeats a sample while other programs disturb it; the least disturbed one counts, whatever
    its value."""
    tries = []
    while len(tries) < most_tries:
        since = cpu_use()
        value = sample()
        tries.append((others_share(since), value))
        if tries[-1][0] < QUIET:
            break
    return min(tries, key=lambda one: one[0])[1]


def interleave(samplers, rounds):
    """Calls each sampler once a round, A B C A B C, so that a noisy minute hits all of them alike.

    samplers: {name: function}. Returns {name: [samples]} and {name: why it failed}; one that failed
    is not asked again. A single round is a smoke test: it takes what comes.
    """
    most_tries = MOST_TRIES if rounds > 1 else 1
    samples = {name: [] for name in samplers}
    failures = {}
    for _ in range(rounds):
        for name, sample in samplers.items():
            if name in failures:
                continue
            try:
                samples[name].append(quietest(sample, most_tries))
            except Failed as error:
                failures[name] = str(error)
    for name in failures:
        del samples[name]
    return samples, failures


def median(values):
    return statistics.median(values)


def ratio(value, base):
    """value / base as text; "-" when there is nothing to compare with."""
    return f"{value / base:.3g}" if value is not None and base else "-"


def number(value, digits=3):
    """A number as a person writes it: three digits that count, no exponents."""
    if value is None:
        return "-"
    if value >= 10 ** (digits - 1):
        return f"{float(f'{value:.{digits}g}'):,.0f}"
    return f"{value:.{digits}g}"


def table(title, head, rows):
    """Prints rows of text under a title, columns aligned; numbers stand to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    print(f"\n{title}\n")
    for row in [head, ["-" * width for width in widths], *rows]:
        numbers = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join([row[0].ljust(widths[0]), *numbers]).rstrip())


def finish(failures, since):
    """Says how quiet the machine was and what is missing or failed; exit 1 when anything is."""
    print(f"\nother programs used {100 * others_share(since):.0f} % of the machine meanwhile")
    for name, why in failures.items():
        print(f"{name}: {why}")
    sys.exit(1 if failures else 0)
