"""Runs banquet's kernels on files and compares what they make with numpy and scipy.

cli_kernels.py BANQUET    in the current folder. Each case runs in one process with the file's own
chunks and in two kitchens with odd ones: the outputs must be equal, and what scipy makes of it.
"""
import json
import subprocess
import sys

import h5py
import numpy as np
from scipy import ndimage

SEED = 20260941
rng = np.random.default_rng(SEED)
banquet = sys.argv[1]
TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
# banquet's border: scipy's mode
MODES = {"clamp": "nearest", "wrap": "wrap", "reflect": "reflect", "constant:7": "constant"}
PADS = {"nearest": "edge", "wrap": "wrap", "reflect": "symmetric", "constant": "constant"}
n_cases = 0


def numbers(shape, dtype):
    """All of a type's range, but what a double holds."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(100, 60, shape).astype(dtype)
    info = np.iinfo(dtype)
    low, high = max(info.min, -2**50), min(info.max, 2**50)
    return rng.integers(low, high, shape, dtype=np.int64, endpoint=True).astype(dtype)


def run(kernel, data, params="", border="", chunk="", launch=(), has_output=True):
    """Runs a kernel over an array; returns its output and its results."""
    with h5py.File("in.h5", "w") as file:
        file["x"] = data
    with open("job.yaml", "w") as job:
        job.write(f"kernel: {kernel}\ninput: in.h5:/x\n")
        job.write("output: out.h5:/y\n" if has_output else "")
        job.write(f"params: {{{params}}}\n" if params else "")
        job.write(f"border: {border}\n" if border else "")
        job.write(f"chunk: [{chunk}]\n" if chunk else "")
    command = [banquet, "run", "job.yaml", "--force", "--json", "report.json", "--quiet", *launch]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{kernel} {params}: {done.stderr}"
    with open("report.json") as report:
        results = json.load(report)["results"]
    if not has_output:
        return None, results
    with h5py.File("out.h5") as file:
        return file["y"][:], results


def both(kernel, data, params="", border="", chunk="", has_output=True, same_results=True):
    """One process, and other chunks: of every fourth case in two kitchens."""
    global n_cases
    n_cases += 1
    launch = ("-n", "3") if n_cases % 4 == 1 else ("--cooks", "3")
    out, results = run(kernel, data, params, border, "", (), has_output)
    again, more = run(kernel, data, params, border, chunk, launch, has_output)
    name = f"{kernel} {{{params}}} {border} of {data.dtype} {data.shape}"
    if has_output:
        assert out.dtype == again.dtype and out.tobytes() == again.tobytes(), f"{name}: chunks show"
    if same_results:
        assert results == more, f"{name}: {results} is not {more}"
    return name, out, results


def stored(values, dtype):
    """Rounded to the nearest, halves to even, and clamped."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return values.astype(dtype)
    info = np.iinfo(dtype)
    return np.clip(np.rint(values), info.min, info.max).astype(dtype)


def equal(name, got, want):
    wrong = np.argwhere(got != want)
    assert len(wrong) == 0, (f"{name}: {len(wrong)} differ, the first at {wrong[0]}: "
                             f"{got[tuple(wrong[0])]} is not {want[tuple(wrong[0])]}")


def close(name, got, want, dtype):
    """Within rounding: one unit of the last digit of integers, a few of floats."""
    assert got.dtype == dtype, f"{name}: {got.dtype}"
    if np.dtype(dtype).kind != "f":
        off = np.abs(got.astype(np.longdouble) - want.astype(np.longdouble))
        n_off = np.count_nonzero(off)
        some = got.size // 100 if np.dtype(dtype).itemsize < 8 else got.size
        assert off.max() <= 1 and n_off <= some, f"{name}: {n_off} differ, by {off.max()}"
        return
    size = np.abs(want).max()
    off = np.abs(got.astype("f8") - want.astype("f8")).max()
    assert off <= 16 * np.finfo(dtype).eps * size, f"{name}: {off} of {size}"


def frames(data, function):
    """What a function of pictures makes of a stack of them."""
    flat = data.reshape((-1,) + data.shape[-2:]).astype("f8")
    return np.stack([function(frame) for frame in flat]).reshape(data.shape)


# -- filters ---------------------------------------------------------------------------------------

def pascal(radius):
    weights = np.array([1.0])
    for _ in range(2 * radius):
        weights = np.convolve(weights, [0.5, 0.5])
    return weights


def filters():
    modes = list(MODES.items())
    for i, dtype in enumerate(TYPES):
        border, mode = modes[i % 4]
        data = numbers((2, 37, 300) if i % 2 else (61, 83), dtype)
        chunk = "1, 17, 111" if i % 2 else "30, 7"
        radius = [1, 2, 5, 16][i // 2 % 4]
        how = {"mode": mode, "cval": 7}

        def blurred(x):
            for axis in (0, 1):
                x = ndimage.correlate1d(x, pascal(radius), axis, **how)
            return x
        name, out, _ = both("blur", data, f"radius: {radius}", border, chunk)
        close(name, out, stored(frames(data, blurred), dtype), dtype)

        def slope(x, axis):  # scipy takes the constant for what lies beyond the derivative, too
            edge = {"constant_values": 7} if mode == "constant" else {}
            return ndimage.sobel(np.pad(x, 1, PADS[mode], **edge), axis)[1:-1, 1:-1]

        def steep(x):
            return 0.2 * np.hypot(slope(x, -1), slope(x, -2))
        name, out, _ = both("sobel", data, "scale: 0.2", border, chunk)
        close(name, out, stored(frames(data, steep), dtype), dtype)
        for axis in (1, 2):
            name, out, _ = both("sobel", data, f"axis: {axis}", border, chunk)
            want = frames(data, lambda x: slope(x, axis - 3))
            close(name, out, stored(want, dtype), dtype)

        side = 2 * (i % 5) + 3
        name, out, _ = both("median", data, f"radius: {i % 5 + 1}", border, chunk)
        want = frames(data, lambda x: ndimage.median_filter(x, side, **how))
        equal(name, out, want.astype(dtype))

        weights = np.round(rng.normal(0, 1, (3, 5)), 3)
        rows = ", ".join(str(w) for w in weights.ravel())
        name, out, _ = both("convolve", data, f"weights: [{rows}], columns: 5, scale: 0.1, offset: 3",
                            border, chunk)
        want = frames(data, lambda x: 0.1 * ndimage.correlate(x, weights, **how) + 3)
        close(name, out, stored(want, dtype), dtype)
    signal = numbers((5000,), "f8")
    name, out, _ = both("blur", signal, "radius: 3", "wrap", "333")
    close(name, out, ndimage.correlate1d(signal, pascal(3), mode="wrap"), "f8")


# -- grids -----------------------------------------------------------------------------------------

def grids():
    apart = np.abs(np.indices((3, 3, 3)) - 1).sum(0)
    cube = np.array([0.3, 0.07, 0.02, 0.01])[apart]
    for i, (border, mode) in enumerate(MODES.items()):
        dtype = ["f4", "f8"][i % 2]
        for shape, chunk in (((900,), "77"), ((40, 333), "7, 100"), ((9, 20, 30), "4, 20, 11")):
            data = numbers(shape, dtype)
            rank = len(shape)
            axes = ndimage.generate_binary_structure(rank, 1).astype("f8")
            axes[(1,) * rank] = -2 * rank
            step = ndimage.correlate(data.astype("f8"), 0.1 * axes, mode=mode, cval=7)
            name, out, results = both("heat", data, "r: 0.1", border, chunk)
            close(name, out, (data + step).astype(dtype), dtype)
            change = np.abs(out - data).max()
            assert results["change"] == float(change), f"{name}: {results} is not {change}"
            assert results["nan"] == 0
        name, out, _ = both("stencil3d", data, "centre: 0.3, face: 0.07, edge: 0.02, corner: 0.01",
                            border, chunk)
        want = ndimage.correlate(data.astype("f8"), cube, mode=mode, cval=7)
        close(name, out, want.astype(dtype), dtype)
        world = (rng.random((70, 90)) < 0.3).astype("u1")
        name, out, results = both("life", world, "", border, "16, 31")
        near = ndimage.correlate(world.astype(int), np.ones((3, 3), int), mode=mode, cval=1) - world
        want = ((near == 3) | ((near == 2) & (world == 1))).astype("u1")
        equal(name, out, want)
        counts = {"alive": want.sum(), "born": (want > world).sum(), "died": (want < world).sum()}
        assert all(results[key] == count for key, count in counts.items()), f"{name}: {results}"


# -- points ----------------------------------------------------------------------------------------

def points():
    for dtype in TYPES:
        data = numbers((50, 77), dtype)
        if data.dtype.kind == "f":
            data = np.abs(data) / 100
            low, high = 0.0, 1.0
        else:
            info = np.iinfo(dtype)
            low, high = float(info.min), float(info.max)
        for gamma in (0.45, 2.2):
            t = np.clip((data.astype("f8") - low) / (high - low), 0, 1)
            want = stored(low + (high - low) * t**gamma, dtype) if data.itemsize < 8 else None
            name, out, _ = both("gamma", data, f"gamma: {gamma}", chunk="33, 7")
            if data.dtype.kind != "f" and data.itemsize < 4:
                equal(name, out, want)
            elif data.itemsize < 8 or data.dtype.kind == "f":
                close(name, out, (low + (high - low) * t**gamma).astype(dtype)
                      if want is None else want, dtype)
        name, out, _ = both("zscore", data, "mean: 12.5, deviation: 3.7", chunk="11, 40")
        narrow = data.itemsize <= 2 or dtype == "f4"
        equal(name, out, ((data.astype("f8") - 12.5) / 3.7).astype("f4" if narrow else "f8"))
    for dtype, bins, low, high in (("u1", 256, 0, 256), ("u2", 1024, 0, 65536), ("f4", 200, -1, 3)):
        data = stored(np.abs(rng.normal(0.3, 0.1, (200, 133))) * (high - low) + low, dtype)
        edges = f"low: {low}, high: {high}"
        _, results = run("histogram", data, f"bins: {bins}, {edges}", has_output=False)
        counts = np.array(results["counts"])
        equal("histogram", counts, np.histogram(data, bins, (low, high))[0])
        name, out, _ = both("equalize", data, f"counts: {results['counts']}, {edges}", chunk="50, 50")
        below = np.cumsum(counts)
        least = counts[counts > 0][0]
        first, last = (low, high) if dtype == "f4" else (low, high - 1)
        table = first + (last - first) * np.clip((below - least) / (below[-1] - least), 0, 1)
        bin_ = np.clip(((data.astype("f8") - low) * (bins / (high - low))).astype(int), 0, bins - 1)
        close(name, out, stored(np.where(data >= high, last, table[bin_]), dtype), dtype)


# -- tables ----------------------------------------------------------------------------------------

def listed(values):
    return ", ".join(repr(float(v)) for v in np.ravel(values))


def tables():
    for dtype in ("f4", "f8"):
        groups = rng.normal(0, 20, (4, 5))
        table = (groups[rng.integers(0, 4, 3000)] + rng.normal(0, 1, (3000, 5))).astype(dtype)
        table[17, 3] = np.nan
        kept = np.delete(table, 17, 0).astype("f8")
        name, _, results = both("kmeans_start", table, "k: 4", chunk="100, 5", has_output=False)
        centres = np.reshape(results["centres"], (4, 5))
        equal(name, centres, table[results["rows"]].astype("f8"))
        assert results["skipped"] == 1
        moved = inertia = np.inf
        for step in range(12):
            if step == 6:  # from centres near the right ones it comes to rest soon
                centres, inertia = groups, np.inf
            _, results = run("kmeans", table, f"k: 4, centres: [{listed(centres)}]",
                             chunk="100, 5", has_output=False, launch=("--cooks", "2"))
            distance = ((kept[:, None, :] - centres) ** 2).sum(2)
            label = distance.argmin(1)
            counts = np.bincount(label, minlength=4)
            want = np.array([kept[label == k].mean(0) if counts[k] else centres[k]
                             for k in range(4)])
            assert results["counts"] == counts.tolist(), f"kmeans: {results['counts']}"
            assert np.allclose(np.reshape(results["centres"], (4, 5)), want, 1e-12, 1e-12)
            assert np.isclose(results["inertia"], distance.min(1).sum(), 1e-12)
            moved = np.sqrt(((np.reshape(results["centres"], (4, 5)) - centres) ** 2).sum(1)).max()
            assert np.isclose(results["moved"], moved, 1e-9, 1e-9)
            assert results["inertia"] <= inertia * (1 + 1e-12), "kmeans goes down"
            inertia = results["inertia"]
            centres = np.reshape(results["centres"], (4, 5))
        assert moved == 0, "kmeans comes to rest"
        params = f"k: 4, centres: [{listed(centres)}]"
        one = run("kmeans", table, params, chunk="64, 5", has_output=False)[1]
        two = run("kmeans", table, params, chunk="64, 5", has_output=False, launch=("-n", "4"))[1]
        assert one == two, "kmeans: kitchens show"

        features = rng.normal(0, 1, (2000, 6))
        label = (features @ [1, -2, 0.5, 0, 3, 1] + rng.normal(0, 1, 2000) > 0.3).astype("f8")
        table = np.column_stack([features, label]).astype(dtype)
        x = np.column_stack([table[:, :-1].astype("f8"), np.ones(2000)])
        weights, ridge = np.zeros(7), 0.01
        for step in range(5):
            given = f", weights: [{listed(weights)}]" if step else ""
            _, results = run("logistic", table, f"rate: 0.9, ridge: {ridge}{given}",
                             chunk="300, 7", has_output=False)
            p = 1 / (1 + np.exp(-(x @ weights)))
            held = np.append(weights[:-1], 0)
            gradient = x.T @ (p - label) / 2000 + ridge * held
            loss = (np.logaddexp(0, x @ weights) - label * (x @ weights)).mean()
            assert np.isclose(results["loss"], loss + ridge / 2 * held @ held, 1e-12)
            assert np.isclose(results["gradient"], np.linalg.norm(gradient), 1e-12)
            assert results["accuracy"] == ((p >= 0.5) == (label > 0)).mean()
            assert np.allclose(results["weights"], weights - 0.9 * gradient, 1e-12, 1e-13)
            weights = np.array(results["weights"])


def picture():
    """The same picture from any number of kitchens, and one that is not of one colour."""
    global n_cases
    n_cases += 1
    pictures = []
    for launch in (("--cooks", "1"), ("-n", "3")):
        with open("job.yaml", "w") as job:
            job.write("kernel: render\nparams: {rows: 90, columns: 160}\noutput: out.h5:/y\n")
        subprocess.run([banquet, "run", "job.yaml", "--force", "--quiet", *launch], check=True,
                       capture_output=True)
        with h5py.File("out.h5") as file:
            pictures.append(file["y"][:])
    assert pictures[0].shape == (90, 160, 3) and pictures[0].dtype == "u1"
    equal("render", *pictures)
    assert len(np.unique(pictures[0].reshape(-1, 3), axis=0)) > 1000, "render draws something"


print(f"seed {SEED}")
for part in (filters, grids, points, tables, picture):
    part()
print(f"{n_cases} cases agree")
