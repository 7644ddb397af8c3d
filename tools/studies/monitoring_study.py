"""How often monitoring cries wolf, how fast it sees an event, and whether its intervals hold, on simulated injections.

::

    python tools/studies/monitoring_study.py run maa --out study          # one source; repeat for each
    python tools/studies/monitoring_study.py show study                   # the tables of docs/monitoring.md
    python tools/studies/monitoring_study.py pixels maa                   # the same statistics from whole frames
    python tools/studies/monitoring_study.py doubts maa  # false alarms where truth is wronger than stated
    python tools/studies/monitoring_study.py unmeasured maa               # how often "not measured" comes, and why
    python tools/studies/monitoring_study.py latency                      # 128 x 128 frames, 10 a second

Boundaries come from injections of one block of seeds, all reported numbers from another one. The response of each
source is that of a virtual patient before its camera; counts are drawn region by region, and `pixels` checks that
whole frames give the same.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.monitoring.feed import Frame, Reading
from hepatica.monitoring.judging.boundaries import AFTER_S, LENGTH, Boundaries, Watched, batches, calibrated
from hepatica.monitoring.judging.sequential import KINDS
from hepatica.monitoring.simulation.counts import Recording
from hepatica.monitoring.simulation.flow import EVENTS
from hepatica.monitoring.simulation.frames import BASELINE, instants
from hepatica.monitoring.simulation.scenes import SOURCES, Scene, Source, scene, source_named
from hepatica.monitoring.state import State
from hepatica.monitoring.watch import Watch

CALIBRATION, EVALUATION = 12, 23
"""Seeds of the boundaries and of the numbers."""

LOOK_S = 0.5


def look_of(source: Source) -> float:
    """Time between looks: 0.5 s, and 1 s where the infusion takes minutes and calculation counts."""
    return LOOK_S if source.infusion_s < 300 or source.name == "ho-scout" else 2 * LOOK_S


SHOWS = {
    "off-target": "off-target", "reflux": "reflux", "stasis": "stasis", "slip": "catheter-moved",
    "clogging": "no-delivery", "spasm": "no-delivery",
}  # fmt: skip
"""Which alarm an event should raise."""


def boundaries_of(source: Source, setup: Any, injections: int, folder: Path) -> Boundaries:
    """Boundaries, kept in a file: they are the longest part."""
    kept = folder / f"boundaries-{source.name}{'' if setup.has_meter else NO_METER}-{injections}.npz"
    if kept.is_file():
        with np.load(kept) as held:
            return Boundaries(0.01, {kind: held[kind] for kind in KINDS}, CALIBRATION)
    found = calibrated(setup, source.flow, look_s=look_of(source), injections=injections, seed=CALIBRATION)
    np.savez(kept, **found.largest)
    return found


NO_METER = "-without-meter"


def uneventful(source: Source, setup: Any, limits: Boundaries, injections: int) -> dict[str, Any]:
    """False alarms of each kind, coverage, delivered activity."""
    false = dict.fromkeys(KINDS, 0)
    inside, there, finals, errors, reached = [], [], [], [], []
    for number, size in enumerate(batches(injections)):
        run = Watched.of(setup, source.flow, look_s=look_of(source), injections=size, seed=(EVALUATION, 2, number))
        for kind, largest in run.largest_while_false().items():
            false[kind] += int((largest >= limits.of(kind)).sum())
        within = (run.low_bq <= run.true_bq) & (run.true_bq <= run.high_bq)
        present = run.true_bq > 0.001 * setup.planned_bq
        inside.append((within & present).sum(axis=(0, 1)))
        there.append(present.sum(axis=(0, 1)))
        finals.append(within[-1].sum(axis=0))
        errors.append(np.abs(run.delivered_bq[-1] / run.true_bq[-1, :, -1] - 1))
        reached.append((run.values["target-reached"] >= limits.of("target-reached")).any(axis=0))
    error = np.concatenate(errors)
    names = [*setup.regions, "body"]
    share = np.sum(inside, axis=0) / np.maximum(np.sum(there, axis=0), 1)
    return {
        "injections": injections,
        "false_alarms": {kind: count / injections for kind, count in false.items()},
        "coverage": {n: float(s) for n, s, t in zip(names, share, np.sum(there, axis=0), strict=True) if t},
        "coverage_at_end": dict(zip(names, (np.sum(finals, axis=0) / injections).tolist(), strict=True)),
        "delivered_error_median": float(np.median(error)),
        "delivered_error_95": float(np.quantile(error, 0.95)),
        "delivered_within_5": float((error <= 0.05).mean()),
        "target_reached_said": float(np.concatenate(reached).mean()),
    }


def eventful(source: Source, setup: Any, limits: Boundaries, event: str, injections: int) -> dict[str, Any]:
    """Detection and delay of one event, counted from the true onset; an alarm before it does not count."""
    kind = SHOWS[event]
    delays, early = [], 0
    settings = replace(source.flow, event=event)
    first: dict[str, int] = {}
    for number, size in enumerate(batches(injections)):
        run = Watched.of(
            setup, settings, look_s=look_of(source), injections=size, seed=(EVALUATION, 3 + EVENTS.index(event), number)
        )
        crossed = run.values[kind] >= limits.of(kind)
        when = np.where(crossed.any(axis=0), run.time_s[crossed.argmax(axis=0)], np.inf)
        early += int((when < run.onset_s).sum())
        after = crossed & (run.time_s[:, None] >= run.onset_s)
        when = np.where(after.any(axis=0), run.time_s[after.argmax(axis=0)], np.inf)
        delays.append(when - run.onset_s)
        for other in ("off-target", "reflux", "stasis", "no-delivery", "catheter-moved"):
            hit = (run.values[other] >= limits.of(other)) & (run.time_s[:, None] >= run.onset_s)
            first[other] = first.get(other, 0) + int(hit.any(axis=0).sum())
    delay = np.concatenate(delays)
    return {
        "injections": injections,
        "alarm": kind,
        "detected": float(np.isfinite(delay).mean()),
        "delay_median_s": _finite(np.quantile(delay, 0.5, method="lower")),
        "delay_90_s": _finite(np.quantile(delay, 0.9, method="lower")),
        "before_the_event": early / injections,
        "alarms_of_each_kind": {other: count / injections for other, count in first.items()},
    }


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def run(arguments: argparse.Namespace) -> None:
    """One source, all numbers."""
    source = source_named(arguments.source)
    arguments.out.mkdir(parents=True, exist_ok=True)
    setup = scene(source).setup.changed(has_meter=not arguments.without_meter)
    name = source.name + NO_METER * arguments.without_meter
    started = time.process_time()
    limits = boundaries_of(source, setup, arguments.calibration, arguments.out)
    found: dict[str, Any] = {
        "source": name, "title": source.title + ", no meter" * arguments.without_meter,
        "calibration_injections": arguments.calibration,
        "look_s": look_of(source), "boundaries": {kind: limits.of(kind) for kind in KINDS},
        "uneventful": uneventful(source, setup, limits, arguments.uneventful), "events": {},
    }  # fmt: skip
    for event in ("stasis",) if arguments.without_meter else SHOWS:
        found["events"][event] = eventful(source, setup, limits, event, arguments.events)
    found["processor_s"] = time.process_time() - started
    (arguments.out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def show(arguments: argparse.Namespace) -> None:
    """The tables."""
    runs = [json.loads(p.read_text()) for s in SOURCES if (p := arguments.folder / f"{s.name}.json").is_file()]
    print("| false alarms per injection, % | " + " | ".join(KINDS) + " |\n|" + "---|" * (len(KINDS) + 1))
    for one in runs:
        quiet = one["uneventful"]
        print(f"| {one['title']} | " + " | ".join(f"{100 * quiet['false_alarms'][kind]:.2f}" for kind in KINDS) + " |")
    print("\n| delay, median (90 %), s; detected | " + " | ".join(SHOWS) + " |\n|" + "---|" * (len(SHOWS) + 1))
    for one in runs:
        cells = [
            f"{_s(e['delay_median_s'])} ({_s(e['delay_90_s'])}); {100 * e['detected']:.0f} %"
            for e in one["events"].values()
        ]
        print(f"| {one['title']} | " + " | ".join(cells) + " |")
    names = list(runs[0]["uneventful"]["coverage_at_end"])
    print("\n| interval holds the truth, % | " + " | ".join(names) + " | delivered within 5 %, % | error, median, % |")
    print("|" + "---|" * (len(names) + 3))
    for one in runs:
        quiet = one["uneventful"]
        cells = [f"{100 * quiet['coverage'][n]:.1f}" if n in quiet["coverage"] else "–" for n in names]
        last = f"{100 * quiet['delivered_within_5']:.1f} | {100 * quiet['delivered_error_median']:.1f}"
        print(f"| {one['title']} | " + " | ".join(cells) + f" | {last} |")


def latency(arguments: argparse.Namespace) -> None:
    """Processor time for each frame of 128 x 128 pixels, ten a second, as the monitor takes them."""
    source = source_named("maa")
    table = scene(source)
    limits = calibrated(table.setup, source.flow, look_s=LOOK_S, injections=1000, seed=CALIBRATION)
    watch = Watch(table.setup, table.mask, limits, LOOK_S, source.nuclide, table.pixel_mm)
    took = []
    for one in instants(table, source.flow, frame_s=0.1, seconds=arguments.seconds, seed=EVALUATION):
        started = time.process_time()
        for reading in one.readings:
            watch.reading(reading)
        watch.frame(one.frame)
        took.append(1000 * (time.process_time() - started))
    slow = f"99 % {np.quantile(took, 0.99):.1f} ms, most {max(took):.1f} ms"
    print(f"{len(took)} frames: median {np.median(took):.2f} ms, {slow}")


def pixels(arguments: argparse.Namespace) -> None:
    """Largest statistics of uneventful injections from whole frames, beside those of the region-level shortcut."""
    source = source_named(arguments.source)
    table = scene(source)
    shortcut = calibrated(table.setup, source.flow, look_s=LOOK_S, injections=2000, seed=CALIBRATION).largest
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in range(arguments.injections):
        watch = Watch(table.setup, table.mask, None, LOOK_S, source.nuclide, table.pixel_mm)
        largest = dict.fromkeys(KINDS, -np.inf)
        for one in instants(table, source.flow, frame_s=LOOK_S, seed=1000 + seed):
            for reading in one.readings:
                watch.reading(reading)
            for test in watch.frame(one.frame).tests:
                if test.statistic is not None:
                    largest[test.kind] = max(largest[test.kind], test.statistic)
        for kind, value in largest.items():
            found[kind].append(value)
    for kind in ("off-target", "reflux", "stasis", "no-delivery", "catheter-moved"):
        here, there = np.median(found[kind]), np.median(shortcut[kind])
        beyond = float((np.array(found[kind]) >= np.quantile(shortcut[kind], 0.99)).mean())
        both = f"{here:.2f} from frames, {there:.2f} by regions"
        print(f"{kind}: median of the largest {both}; beyond the boundary {beyond:.3f}")


WRONGER = ("cross_talk", "motion", "share_drift", "lag_s", "dispersion_s")
"""Doubts that a setup may understate without anybody noticing."""


def doubts(arguments: argparse.Namespace) -> None:
    """False alarms and coverage where what is true is wronger than the setup says, or the camera factor is unknown."""
    source = source_named(arguments.source)
    setup = scene(source).setup
    if arguments.camera is not None:
        setup = setup.changed(doubts=replace(setup.doubts, camera=arguments.camera))
    limits = calibrated(
        setup, source.flow, look_s=look_of(source), injections=arguments.calibration, seed=CALIBRATION
    )  # fmt: skip
    truth = replace(setup.doubts, **{name: arguments.times * getattr(setup.doubts, name) for name in WRONGER})
    # What is drawn is of the truth's doubts, what is judged of the setup's.
    false, injections = dict.fromkeys(KINDS, 0), arguments.uneventful
    for number, size in enumerate(batches(injections)):
        run = Watched.of(
            setup, source.flow, look_s=look_of(source), injections=size, seed=(EVALUATION, 2, number),
            statistics_only=True, truth=setup.changed(doubts=truth),
        )  # fmt: skip
        for kind, largest in run.largest_while_false().items():
            false[kind] += int((largest >= limits.of(kind)).sum())
    found = {
        "source": source.name, "times": arguments.times, "camera": setup.doubts.camera, "injections": injections,
        "calibration": arguments.calibration, "false_alarms": {kind: n / injections for kind, n in false.items()},
    }  # fmt: skip
    print(json.dumps(found, indent=1))


def unmeasured(arguments: argparse.Namespace) -> None:
    """In how many injections what was delivered is no measured value at the end, by reason; and was contradicted."""
    source = source_named(arguments.source)
    table = scene(source)
    table = replace(table, setup=table.setup.changed(has_meter=not arguments.without_meter))
    limits = boundaries_of(source, table.setup, arguments.calibration, arguments.boundaries)
    for event in ("none", "stasis"):
        ends: Counter[str] = Counter()
        for state in ends_of(source, table, limits, event, arguments.injections):
            # The kind of reason: what is said before its numbers.
            ends.update({re.sub(r"[\d.]+", "N", why.split(":")[0]) for why in state.not_measured} or {"measured"})
        print(json.dumps({"source": source.name, "event": event, "injections": arguments.injections, **ends}))


def ends_of(source: Source, table: Scene, limits: Boundaries, event: str, injections: int) -> Iterator[State]:
    """Last states of watched injections, counts drawn with everything that the setup doubts, spread over the masks."""
    setup, look_s = table.setup, look_of(source)
    mask = table.mask[::4, ::4]
    pixels = [np.flatnonzero(mask.ravel() == n) for n in range(len(setup.regions))]
    settings = replace(source.flow, event=event)
    looks = int(np.ceil((LENGTH * setup.infusion_s + AFTER_S) / look_s))
    recording = Recording(setup, settings, injections, (EVALUATION, 40 + EVENTS.index(event)))
    seen = [recording.step(look_s) for _ in range(looks)]
    random = np.random.default_rng(EVALUATION)
    for n in range(injections):
        watch = Watch(setup, mask, limits, look_s, source.nuclide, 4 * table.pixel_mm)
        for before in range(-BASELINE, 0):
            watch.reading(Reading("vial", before * look_s, 1 + setup.doubts.meter * random.standard_normal()))
        for number, one in enumerate(seen):
            values = np.zeros(mask.size)
            for counts, where in zip(one.counts[n], pixels, strict=True):
                values[where] = random.multinomial(int(counts), np.full(len(where), 1 / len(where)))
            at = (number + 1) * look_s
            if setup.has_meter:
                watch.reading(Reading("vial", at, max(1 - float(one.infused_bq[n]) / setup.planned_bq, 0.0)))
                watch.reading(Reading("pushed", at, min(float(one.pushed_bq[n]) / setup.planned_bq, 1.0)))
            watch.frame(Frame(values.reshape(mask.shape), number * look_s, look_s, number))
        yield watch.stop()


def _s(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("run")
    one.add_argument("source", choices=[s.name for s in SOURCES])
    one.add_argument("--out", type=Path, default=Path("monitoring-study"))
    one.add_argument("--calibration", type=int, default=10000)
    one.add_argument("--uneventful", type=int, default=2000)
    one.add_argument("--events", type=int, default=500)
    one.add_argument("--without-meter", action="store_true", help="the planned infusion alone; of events stasis")
    one.set_defaults(call=run)
    table = commands.add_parser("show")
    table.add_argument("folder", type=Path)
    table.set_defaults(call=show)
    frames = commands.add_parser("pixels")
    frames.add_argument("source", choices=[s.name for s in SOURCES])
    frames.add_argument("--injections", type=int, default=40)
    frames.set_defaults(call=pixels)
    wrong = commands.add_parser("doubts")
    wrong.add_argument("source", choices=[s.name for s in SOURCES])
    wrong.add_argument("--times", type=float, default=2.0)
    wrong.add_argument("--camera", type=float, default=None, help="uncertainty of the camera factor instead")
    wrong.add_argument("--calibration", type=int, default=6000)
    wrong.add_argument("--uneventful", type=int, default=2000)
    wrong.set_defaults(call=doubts)
    known = commands.add_parser("unmeasured")
    known.add_argument("source", choices=[s.name for s in SOURCES])
    known.add_argument("--injections", type=int, default=200)
    known.add_argument("--calibration", type=int, default=6000)
    known.add_argument("--boundaries", type=Path, default=Path("monitoring-study"), help="folder of `run`")
    known.add_argument("--without-meter", action="store_true")
    known.set_defaults(call=unmeasured)
    speed = commands.add_parser("latency")
    speed.add_argument("--seconds", type=float, default=60.0)
    speed.set_defaults(call=latency)
    arguments = parser.parse_args()
    arguments.call(arguments)


if __name__ == "__main__":
    main()
