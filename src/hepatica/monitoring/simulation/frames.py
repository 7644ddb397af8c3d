"""Frames and readings of one simulated injection, with the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hepatica.imaging.quantify.dead_time import observed_rate
from hepatica.monitoring.feed import Frame, Reading
from hepatica.monitoring.setup import Array
from hepatica.monitoring.simulation.flow import Flow, FlowSettings
from hepatica.monitoring.simulation.scenes import Scene

BASELINE = 30
"""Readings of the full vial before the first frame."""

VIAL_USV_H = 1000.0
"""Dose rate at the full vial (assumption; only the ratio counts)."""


@dataclass(frozen=True, slots=True, eq=False)
class Instant:
    """One frame with the reading beside it and the truth at its end.

    Attributes
    ----------
    frame : Frame
        Of the camera.
    readings : tuple of Reading
        Of the meters during it.
    true_bq : ndarray, shape (regions,)
        Activity in each region, decay taken back to the start.
    infused_bq : float
        Truly out of the vial.
    """

    frame: Frame
    readings: tuple[Reading, ...]
    true_bq: Array
    infused_bq: float


def instants(
    scene: Scene, settings: FlowSettings, *, frame_s: float = 0.5, seconds: float | None = None, seed: int = 1,
    moved: tuple[float, Array] | None = None,
) -> Iterator[Instant]:  # fmt: skip
    """One injection, frame by frame.

    Parameters
    ----------
    scene : Scene
        Patient and camera.
    settings : FlowSettings
        How it runs; its event begins at a random instant, which is the same for the same seed (`onset_of`).
    frame_s : float
        Exposure of a frame.
    seconds : float, optional
        How long; by default 1.3 times the infusion and 10 s.
    seed : int
        Of everything random.
    moved : tuple of float and ndarray, optional
        Instant from which the patient lies elsewhere, and the images of the regions then, shape (regions, 128, 128).
    """
    setup = scene.setup
    random = np.random.default_rng((seed, 7))
    flow = Flow(setup, settings, 1, np.random.default_rng((seed, 8)))
    background = (setup.background_cps / np.maximum(np.bincount(scene.mask.ravel(), minlength=len(setup.regions)), 1))[
        scene.mask
    ]
    long = 1.3 * setup.infusion_s + 10.0 if seconds is None else seconds
    for number in range(round(long / frame_s)):
        at = number * frame_s
        there = flow.step(frame_s)[0]
        images = scene.images if moved is None or at < moved[0] else moved[1]
        rate = np.tensordot(there * 2 ** (-(at + frame_s / 2) / setup.half_life_s), images, axes=1) + background
        total = float(rate.sum())
        kept = float(observed_rate(total, tau_s=setup.tau_s, model="paralysable")) / total if total > 0 else 1.0
        frame = Frame(random.poisson(rate * kept * frame_s).astype(np.float64), at, frame_s, number)
        left = 1 - float(flow.infused_bq[0]) / setup.planned_bq
        dose_rate = VIAL_USV_H * (left + setup.doubts.meter * float(random.standard_normal()))
        before = range(-BASELINE, 0) if number == 0 else range(0)
        full = tuple(
            Reading("vial", n * frame_s, VIAL_USV_H * (1 + setup.doubts.meter * float(random.standard_normal())))
            for n in before
        )
        readings = (
            *full,
            Reading("vial", at + frame_s, max(round(dose_rate, 1), 0.0)),
            Reading("pushed", at + frame_s, min(float(flow.pushed_bq[0]) / setup.planned_bq, 1.0)),
        )
        yield Instant(frame, readings, flow.arrived_bq[0].copy(), float(flow.infused_bq[0]))


def onset_of(scene: Scene, settings: FlowSettings, seed: int) -> float:
    """Instant of the event of `instants`, s; infinite where there is none."""
    return float(Flow(scene.setup, settings, 1, np.random.default_rng((seed, 8))).onset_s[0])
