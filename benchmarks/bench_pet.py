"""Lines of a PET scanner with time of flight, on two threads: hepatica's pair beside a plain one in numba.

Run: ``python benchmarks/bench_pet.py [lines] [rounds]``; by default 400 000 and 5. Both follow Joseph's method with the
same weights of time of flight within 3 standard deviations, in single precision: the mCT (13 bins of 312 ps, 527.5 ps
FWHM), 200 x 200 x 109 voxels of 4.07 x 4.07 x 2.03 mm, lines drawn evenly among those that cross the field of 700 mm,
in the order in which hepatica keeps its list. An image has an empty voxel around it in both. The rounds of both take
turns, so that what else the machine does hits both; the medians of wall and of processor time are printed.
``python benchmarks/bench_pet.py patient`` reconstructs a list of a 90Y patient's size instead: 0.2 M trues, 0.8 M
randoms, 3 iterations of 12 subsets with point spread and time of flight.
"""

import resource
import sys
import time
from collections.abc import Callable

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange, set_num_threads

from hepatica.core import Grid
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import Efficiency
from hepatica.imaging.pet.lines import LineProjector, time_weights
from hepatica.imaging.pet.list_mode import ListData, ListIterations, reconstruct_list
from hepatica.imaging.pet.reconstruct.model_lines import drawn_model_lines
from hepatica.imaging.pet.scanner import Scanner, scanner

THREADS = 2
STEPS_PER_SD = 32


def drawn(of: Scanner, count: int, seed: int = 1) -> Coincidences:
    """Lines drawn evenly, in the order of hepatica's lists."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, of.crystals, (2, 4 * count)).astype(np.int32)
    kept = np.flatnonzero(of.accepts(first, second) & (first != second))[:count]
    bins = rng.integers(0, of.time_of_flight.bins, len(kept)).astype(np.int16)
    found = Coincidences(of, first[kept], second[kept], bins, 1.0)
    return found.taken(found.order())


# ruff: noqa: ANN001, ANN201, PLR0913, PLR0917 - numba finds the types


def grid_of() -> Grid:
    """Voxels of the benchmark."""
    shape, spacing = (200, 200, 109), (4.07, 4.07, 2.03)
    origin = tuple(-(n - 1) / 2 * mm for n, mm in zip(shape, spacing, strict=True))
    return Grid.axial(shape, spacing_mm=spacing, origin_mm=origin)


@njit(inline="always")
def track(a, b, tof_bin, shape, origin, spacing, bin_mm, middle_bin, reach):
    """Axis, first and last layer, places across and mm from the middle of the bin with their growth, mm per layer."""
    p, d = np.empty(3, np.float32), np.empty(3, np.float32)
    length = np.float32(0)
    for n in range(3):
        p[n] = (a[n] - origin[n]) / spacing[n]
        d[n] = (b[n] - a[n]) / spacing[n]
        length += (b[n] - a[n]) ** 2
    length = np.sqrt(length)
    middle = np.float32(0.5) * length - np.float32(tof_bin - middle_bin) * bin_mm
    low, high = max((middle - reach) / length, np.float32(0)), min((middle + reach) / length, np.float32(1))
    for n in range(3):
        if abs(d[n]) < 1e-9:
            if p[n] < 0 or p[n] > shape[n] - 1:
                high = np.float32(-1)
        else:
            s, e = -p[n] / d[n], (shape[n] - 1 - p[n]) / d[n]
            low, high = max(low, min(s, e)), min(high, max(s, e))
    main = 0
    for n in range(1, 3):
        if abs(d[n]) > abs(d[main]):
            main = n
    one, two = (1 if main == 0 else 0), (1 if main == 2 else 2)
    start, end = p[main] + low * d[main], p[main] + high * d[main]
    first, last = int(np.ceil(min(start, end))), int(np.floor(max(start, end)))
    if low >= high:
        last = first - 1
    gone, going = d[one] / d[main], d[two] / d[main]
    ahead = length / d[main]
    return (
        main, first, last, p[one] - p[main] * gone, gone, p[two] - p[main] * going, going,
        -p[main] * ahead - middle, ahead, length / abs(d[main]),
    )  # fmt: skip


@njit(parallel=True, fastmath=True)
def forward(image, ends, first, second, tof_bin, origin, spacing, bin_mm, middle_bin, reach, per_mm, weights, found):
    """Integrals along lines."""
    nx, ny, nz = image.shape
    flat = image.reshape(-1)
    strides, shape = (ny * nz, nz, 1), (nx, ny, nz)
    for n in prange(first.size):
        main, low, high, s0, ds, v0, dv, far, step, mm = track(
            ends[first[n]], ends[second[n]], tof_bin[n], shape, origin, spacing, bin_mm, middle_bin, reach
        )
        one, two = (1 if main == 0 else 0), (1 if main == 2 else 2)
        a, b, c, most, top = strides[main], strides[one], strides[two], shape[one] - 1, shape[two] - 1
        total = np.float32(0)
        for layer in range(low, high + 1):
            at = np.float32(layer)
            s, v = s0 + at * ds, v0 + at * dv
            i, j = min(max(int(s), 0), most - 1), min(max(int(v), 0), top - 1)
            fs, fv = s - np.float32(i), v - np.float32(j)
            k = layer * a + i * b + j * c
            left = flat[k] + fv * (flat[k + c] - flat[k])
            right = flat[k + b] + fv * (flat[k + b + c] - flat[k + b])
            place = abs(far + at * step) * per_mm
            m = int(place)
            total += (left + fs * (right - left)) * (
                weights[m] + (place - np.float32(m)) * (weights[m + 1] - weights[m])
            )
        found[n] = total * mm


@njit(parallel=True, fastmath=True)
def back(values, ends, first, second, tof_bin, origin, spacing, bin_mm, middle_bin, reach, per_mm, weights, images):
    """Values laid along lines, into an image of each thread."""
    nx, ny, nz = images.shape[1:]
    strides, shape = (ny * nz, nz, 1), (nx, ny, nz)
    for n in prange(first.size):
        flat = images[get_thread_id()].reshape(-1)
        main, low, high, s0, ds, v0, dv, far, step, mm = track(
            ends[first[n]], ends[second[n]], tof_bin[n], shape, origin, spacing, bin_mm, middle_bin, reach
        )
        one, two = (1 if main == 0 else 0), (1 if main == 2 else 2)
        a, b, c, most, top = strides[main], strides[one], strides[two], shape[one] - 1, shape[two] - 1
        value = values[n] * mm
        for layer in range(low, high + 1):
            at = np.float32(layer)
            s, v = s0 + at * ds, v0 + at * dv
            i, j = min(max(int(s), 0), most - 1), min(max(int(v), 0), top - 1)
            fs, fv = s - np.float32(i), v - np.float32(j)
            k = layer * a + i * b + j * c
            place = abs(far + at * step) * per_mm
            m = int(place)
            amount = value * (weights[m] + (place - np.float32(m)) * (weights[m + 1] - weights[m]))
            right = amount * fs
            left = amount - right
            flat[k] += left - left * fv
            flat[k + c] += left * fv
            flat[k + b] += right - right * fv
            flat[k + b + c] += right * fv


def timed(work: Callable[[], np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Wall and processor seconds of a call, and what it gave."""
    wall, processor = time.perf_counter(), time.process_time()
    found = work()
    return time.perf_counter() - wall, time.process_time() - processor, found


def main() -> None:
    """Both pairs by turns."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    set_num_threads(THREADS)
    mct = scanner("biograph_mct")
    grid = grid_of()
    shape, spacing, origin = grid.shape, grid.spacing_mm, grid.origin_mm
    events = drawn(mct, lines)
    rng = np.random.default_rng(2)
    image, values = rng.random(shape, np.float32), rng.random(len(events), np.float32)
    projector = LineProjector(mct, grid, threads=THREADS)
    tof = mct.time_of_flight
    reach, weights = time_weights(tof)
    given = (
        mct.positions_mm().astype(np.float32), events.first, events.second, events.tof_bin,
        np.subtract(origin, spacing, dtype=np.float32), np.array(spacing, np.float32), np.float32(tof.bin_mm),
        tof.bins // 2, np.float32(reach), np.float32(STEPS_PER_SD / tof.sd_mm), weights,
    )  # fmt: skip

    def plain_forward() -> np.ndarray:
        found = np.empty(len(events), np.float32)
        forward(np.pad(image, 1), *given, found)
        return found

    def plain_back() -> np.ndarray:
        images = np.zeros((get_num_threads(), *(n + 2 for n in shape)), np.float32)
        back(values, *given, images)
        return images.sum(axis=0)[1:-1, 1:-1, 1:-1]

    work = {
        "forward, hepatica": lambda: projector.forward(image, events),
        "forward, numba": plain_forward,
        "back, hepatica": lambda: projector.back(values, events),
        "back, numba": plain_back,
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    results = {name: call() for name, call in work.items()}
    for _ in range(rounds):
        for name, call in work.items():
            wall, processor, results[name] = timed(call)
            taken[name].append((wall, processor))
    speed = {}
    for name, times in taken.items():
        wall, processor = np.median(times, axis=0)
        speed[name] = processor
        print(f"{name}: {wall:.2f} s, {lines / wall / 1e6:.2f} M lines/s, {processor:.2f} s of processor")
    for way in ("forward", "back"):
        ours, theirs = results[f"{way}, hepatica"].astype(float), results[f"{way}, numba"].astype(float)
        faster, differ = speed[f"{way}, numba"] / speed[f"{way}, hepatica"], abs(ours - theirs).max() / theirs.max()
        print(f"{way}: {faster:.2f} times as fast as numba by processor time; the results differ by {differ:.1e}")
    pair = sum(speed[n] for n in speed if "numba" in n) / sum(speed[n] for n in speed if "hepatica" in n)
    print(f"the pair: {pair:.2f} times as fast")
    there = float(results["forward, hepatica"].astype(float) @ values)
    again = float((results["back, hepatica"].astype(float) * image).sum())
    print(f"adjoint: {abs(there / again - 1):.1e}")


def patient(trues: int = 200_000, randoms: int = 800_000) -> None:
    """A list of a 90Y patient, one bed: seconds and memory of its image, on two threads."""
    mct = scanner("biograph_mct")
    grid = grid_of()
    x, y, _ = (o + s * np.arange(n) for o, s, n in zip(grid.origin_mm, grid.spacing_mm, grid.shape, strict=True))
    body = np.broadcast_to((((x / 180)[:, None]) ** 2 + ((y / 120)[None, :]) ** 2 < 1)[:, :, None], grid.shape)
    liver = body & ((x < -20)[:, None, None])
    projector = LineProjector(mct, grid, point_spread_mm=4.5, threads=THREADS)
    drawn_lines = drawn(mct, 8 * trues, seed=3)
    shown = projector.forward(liver.astype(np.float32), drawn_lines).astype(float)
    rng = np.random.default_rng(4)
    chosen = np.flatnonzero(rng.random(len(shown)) < shown * trues / shown.sum())
    events = drawn_lines.taken(np.concatenate([chosen, rng.integers(0, len(shown), randoms)]))
    background = np.full(len(events), 4 * shown.mean(), np.float32)
    del drawn_lines, shown
    seen = np.where(body, np.float32(0.01), np.float32(0.005))
    wall, processor, lines = timed(
        lambda: drawn_model_lines(
            Efficiency.modelled(mct), projector, lambda e: np.ones(len(e), np.float32), within=body, seen=seen,
            duration_s=1.0,
        )
    )  # fmt: skip
    print(f"{len(lines.lines)} lines of the model: {wall:.1f} s, {processor:.1f} s of processor")
    # speed and memory only: efficiencies and sensitivity are not of one scanner
    data = ListData(
        events, background, seen, lines.with_background(np.full(len(lines.lines), background[0]) * lines.able)
    )
    for settings in (ListIterations(3, 12), ListIterations(8, 1, "wls")):
        method = settings.method
        wall, processor, image = timed(lambda s=settings: reconstruct_list(data, projector, s, within=body))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(
            f"{method}: {len(events)} events, {wall:.1f} s, {processor:.1f} s of processor; the process held "
            f"{peak:.2f} GB at most; in the liver {100 * image[liver].sum() / image.sum():.0f} %"
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["patient"]:
        patient()
    else:
        main()
