#!/usr/bin/env python3
"""Chaos: runs of the program whose processes are killed, stopped and crashed at random moments.

    chaos.py BANQUET RUNS [SEED]

Each run has a seed, which is printed and gives kitchens, transport, output and faults. It must end with
the right digest and numbers, in time, and leave no process, no file beside its output and nothing in
shared memory. Where the whole run dies, the same command is given again. Exit 0: all did."""
import json, os, random, re, shutil, signal, subprocess, sys, tempfile, time

KERNEL = r'''
#define _GNU_SOURCE
#include <banquet/kernel.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

struct acc { double sum; uint64_t n; };
static int prepare(struct bq_setup *setup)
{
    setup->acc_size = sizeof(struct acc);
    return 0;
}
/* Does harm once in `harm` calls, anew each time: no chunk is to blame twice. */
static void do_harm(int64_t harm)
{
    uint32_t dice[2];
    if (harm == 0 || getrandom(dice, sizeof dice, 0) != sizeof dice || dice[0] % (uint64_t)harm)
        return;
    switch (dice[1] % 5) {
    case 0: raise(SIGSEGV); break;
    case 1: abort();
    case 2: _exit(3);
    case 3: kill(getpid(), SIGKILL); break;
    default: for (;;) ;
    }
}
static enum bq_answer cook(struct bq_call *call)
{
    struct acc *acc = call->acc;
    const uint8_t *in = call->in->data;
    uint8_t *out = call->out->data;
    nanosleep(&(struct timespec){.tv_nsec = 1000 * call->params[0].i}, NULL);
    do_harm(call->params[1].i);
    for (uint64_t i = 0; i < call->in->n; i++) {
        if (out)
            out[i] = (uint8_t)(255 - in[i]);
        acc->sum += in[i] * 0.1;
    }
    acc->n += call->in->n;
    return BQ_DONE;
}
static void combine(const union bq_value *params, void *into, const void *next)
{
    (void)params;
    ((struct acc *)into)->sum += ((const struct acc *)next)->sum;
    ((struct acc *)into)->n += ((const struct acc *)next)->n;
}
static void present(const union bq_value *params, const void *acc, struct bq_sink *sink)
{
    (void)params;
    sink->real(sink, "sum", ((const struct acc *)acc)->sum);
    sink->integer(sink, "elements", ((const struct acc *)acc)->n);
}
static const struct bq_param params[] = {{"us", BQ_INT, {.i = 0}, 0, 1e6, "us", "how long a chunk takes"},
                                         {"harm", BQ_INT, {.i = 0}, 0, 1e9, "", "1 in so many calls"}};
BQ_KERNEL(harm) = {.abi = BQ_KERNEL_ABI, .name = "harm", .summary = "inverts, mostly",
                   .flags = BQ_READS | BQ_WRITES, .params = params, .n_params = 2,
                   .prepare = prepare, .cook = cook, .combine = combine, .present = present};
'''
OUTPUTS = ["out.h5:/photo", "{file: out.h5, dataset: /photo, compress: gzip:1}",
           "{file: out.h5, dataset: /photo, layout: sharded, compress: gzip:1}"]
LIMIT = 180  # seconds of a run with all its resumes: beyond, it hangs


def job(output, us, harm, isolate):
    return f"""kernel: ./harm.c
input: photo.h5:/photo
output: {output}
chunk: [32, 32]
params: {{us: {us}, harm: {harm}}}
isolate: {isolate}
deadline: 2
attempts: 50
"""


def processes(marker):
    """Pids that have the marker in their environment, with rank and kind."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            env = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
            if marker not in env:
                continue
            stat = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            comm = open(f"/proc/{pid}/comm").read().strip()
        except OSError:
            continue
        if stat[0] in "ZX":
            continue
        rank = next((int(e[21:]) for e in env if e.startswith(b"OMPI_COMM_WORLD_RANK=")), None)
        found.append({"pid": int(pid), "parent": int(stat[1]), "comm": comm, "rank": rank})
    by_pid = {p["pid"]: p for p in found}
    for p in found:
        parent = by_pid.get(p["parent"])
        grand = by_pid.get(parent["parent"]) if parent else None
        if p["rank"] is None:
            p["kind"] = "launcher" if p["comm"].startswith("banquet") else p["comm"]
        elif parent and parent["rank"] is not None:
            p["kind"] = "cooks" if grand and grand["rank"] is not None else "zygote"
        else:
            p["kind"] = "coordinator" if p["rank"] == 0 else "kitchen"
    return found


def hit(rng, marker, log, kinds):
    victims = [p for p in processes(marker) if p["kind"] in kinds]
    if not victims:
        return
    victim = rng.choice(victims)
    what = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP, signal.SIGTERM])
    if what == signal.SIGTERM and victim["kind"] != "kitchen":
        what = signal.SIGKILL
    log.append(f"{what.name} to {victim['kind']} {victim['rank']}")
    try:
        os.kill(victim["pid"], what)
        if what == signal.SIGSTOP and rng.random() < 0.7:
            time.sleep(rng.uniform(0.05, 1.5))
            log[-1] += ", continued"
            os.kill(victim["pid"], signal.SIGCONT)
    except ProcessLookupError:
        log[-1] += ", which had ended"


def left(folder, marker, shm_before, is_launcher_dead):
    wrong = [f"process {p['pid']} ({p['kind']})" for p in processes(marker)]
    allowed = {"harm.c", "photo.h5", "job.yaml", "out.h5", "out.h5.d", "r.json", "err", "tmp"}
    wrong += [f"file {f}" for f in os.listdir(folder) if f not in allowed]
    if not is_launcher_dead:  # nobody is there to remove what ranks made that had not yet met
        wrong += [f"temporary file {f}" for f in os.listdir(os.path.join(folder, "tmp"))]
    wrong += [f"shared memory {f}" for f in set(os.listdir("/dev/shm")) - shm_before
              if re.fullmatch(r"banquet-[A-Za-z0-9]{6}", f)]
    return wrong


def once(banquet, base, seed):
    rng = random.Random(seed)
    folder = os.path.join(base, str(seed))
    os.makedirs(os.path.join(folder, "tmp"))
    for name in ("photo.h5", "harm.c"):
        os.link(os.path.join(base, name), os.path.join(folder, name))
    ranks = rng.randint(3, 6)
    btl = rng.choice(["vader,self", "vader,self", "tcp,self"])
    output = rng.choice(OUTPUTS)
    isolate = rng.choice(["process", "process", "none"])
    harm = rng.choice([0, 0, 400, 1000]) if isolate == "process" else 0
    open(os.path.join(folder, "job.yaml"), "w").write(job(output, rng.choice([3000, 6000, 12000]), harm, isolate))
    marker = f"BANQUET_CHAOS={os.getpid()}.{seed}"
    env = dict(os.environ, BANQUET_CHAOS=marker.split("=")[1], OMPI_MCA_btl=btl, TMPDIR=os.path.join(folder, "tmp"),
               BANQUET_START_SECONDS="8", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    command = [banquet, "run", "job.yaml", "-n", str(ranks), "-q", "--checkpoint", "0.2", "--restarts", "5",
               "--silence", "3", "--json", "r.json"]
    kinds = ["kitchen", "cooks", "zygote"] + (["coordinator"] if rng.random() < 0.4 else [])
    n_faults, log, begun, n_runs = rng.randint(1, 5), [], time.time(), 0
    shm_before = set(os.listdir("/dev/shm"))
    code = None
    while code != 0 and n_runs < 8:
        n_runs += 1
        with open(os.path.join(folder, "err"), "a") as err:
            run = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=err, text=True,
                                   start_new_session=True)
        if rng.random() < 0.15 and n_runs == 1:
            kinds.append("launcher")
        while run.poll() is None and time.time() - begun < LIMIT:
            time.sleep(rng.uniform(0.05, 1.0))
            if n_faults > 0 and run.poll() is None:
                n_faults -= 1
                hit(rng, marker.encode(), log, kinds)
        if run.poll() is None:
            log.append("it hangs")
            break
        code = run.returncode
        text = run.stdout.read()
        if code != 0 and "launcher" not in " ".join(log):  # the launcher is to heal everything else
            break
        if code != 0:  # what was killed from outside may take a moment to go
            end = time.time() + 15
            while processes(marker.encode()) and time.time() < end:
                time.sleep(0.1)
    wrong = []
    if code != 0:
        wrong.append(f"exit code {code}")
    else:
        digest = [l.split()[1] for l in text.splitlines() if l.startswith("digest ")]
        report = json.load(open(os.path.join(folder, "r.json")))
        if digest != [WANT["digest"]]:
            wrong.append(f"digest {digest}")
        if report["results"] != WANT["results"]:
            wrong.append(f"results {report['results']}")
    end = time.time() + 5
    is_dead = "launcher" in " ".join(log)
    while left(folder, marker.encode(), shm_before, is_dead) and time.time() < end:
        time.sleep(0.1)
    wrong += left(folder, marker.encode(), shm_before, is_dead)
    how = f"seed {seed}: {ranks} ranks, {btl}, {OUTPUTS.index(output)}, isolate {isolate}, harm {harm}; " \
          f"{', '.join(log) or 'no fault'}; {n_runs} runs, {time.time() - begun:.1f} s"
    print(("FAILED " if wrong else "ok     ") + how, flush=True)
    if wrong:
        print("  " + "\n  ".join(wrong))
        print("".join("  | " + l for l in open(os.path.join(folder, "err")).readlines()[-25:]))
        for p in processes(marker.encode()):
            os.kill(p["pid"], signal.SIGKILL)
        return False
    shutil.rmtree(folder)
    return True


def main():
    global WANT
    banquet, n = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(10**6)
    base = tempfile.mkdtemp(prefix="banquet-chaos-")
    open(os.path.join(base, "harm.c"), "w").write(KERNEL)
    subprocess.run([banquet, "make", "photo", "photo.h5", "--size", "640x512", "--quiet"], cwd=base, check=True,
                   stdout=subprocess.DEVNULL)
    open(os.path.join(base, "job.yaml"), "w").write(job(OUTPUTS[0], 0, 0, "none"))
    text = subprocess.run([banquet, "run", "job.yaml", "-q", "--json", "r.json"], cwd=base, check=True,
                          capture_output=True, text=True).stdout
    WANT = {"digest": next(l.split()[1] for l in text.splitlines() if l.startswith("digest ")),
            "results": json.load(open(os.path.join(base, "r.json")))["results"]}
    n_failed = sum(not once(banquet, base, seed + i) for i in range(n))
    print(f"{n} runs, {n_failed} failed")
    if not n_failed:
        shutil.rmtree(base)
    return 1 if n_failed else 0


sys.exit(main())
