"""A small injection with known response, frames of it, and boundaries from few rehearsals."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.monitoring.feed import Frame, Reading
from hepatica.monitoring.judging.boundaries import Boundaries, calibrated
from hepatica.monitoring.setup import ROLES, Setup
from hepatica.monitoring.simulation.flow import Flow, FlowSettings

RESPONSE = np.array([
    [0.75, 0.12, 0.02, 0.10, 0.02], [0.08, 0.62, 0.05, 0.08, 0.02], [0.02, 0.05, 0.75, 0.01, 0.02],
    [0.03, 0.06, 0.01, 0.70, 0.03], [0.07, 0.10, 0.12, 0.06, 0.50],
])  # fmt: skip
SHARES = np.array([0.72, 0.20, 0.05, 0.0, 0.03])
SIDE = 16
PLANNED = 150e6


def setup_of(cps: float = 13e3, infusion_s: float = 60.0, **more: Any) -> Setup:
    """Five regions; `cps` in the whole field when all has arrived."""
    response = RESPONSE * cps / PLANNED / float((RESPONSE @ SHARES).sum())
    given = {"goal_bq": 0.6 * PLANNED, "limits_bq": {"lungs": 0.1 * PLANNED}, **more}
    roles = given.pop("roles", ROLES)
    return Setup(ROLES, roles, response, np.full(5, cps / 500), 21636.0, PLANNED, infusion_s, SHARES, **given)


@functools.cache
def boundaries() -> Boundaries:
    """Of the usual setup."""
    return calibrated(setup_of(), FlowSettings(), injections=1000, seed=5)


def mask() -> NDArray[np.int64]:
    """Blobs in a square frame: no region lies in one row or column alone, and it is not symmetric."""
    found = np.full((SIDE, SIDE), 4)
    found[6:12, 1:6], found[5:9, 6:10], found[0:4, 2:12], found[9:12, 7:13] = 0, 1, 2, 3
    return found


def spread(counts: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """A frame whose masks hold given counts."""
    where = mask()
    out = np.zeros((SIDE, SIDE))
    for n, count in enumerate(counts):
        rows, columns = np.nonzero(where == n)
        np.add.at(out, (rows, columns), random.multinomial(int(count), np.full(len(rows), 1 / len(rows))))
    return out


def injection(
    setup: Setup, event: str = "none", *, seed: int = 3, frame_s: float = 0.5, seconds: float = 80.0
) -> Iterator[tuple[Frame, tuple[Reading, ...], NDArray[np.float64]]]:
    """Frames, readings and the truth of one injection; nothing of the setup is wrong."""
    random = np.random.default_rng(seed)
    flow = Flow(setup, FlowSettings(event=event), 1, np.random.default_rng(seed + 1))
    for number in range(round(seconds / frame_s)):
        there = flow.step(frame_s)[0]
        decayed = 2 ** (-(number + 0.5) * frame_s / setup.half_life_s)
        rate = setup.response_cps_per_bq @ there * decayed + setup.background_cps
        frame = Frame(spread(random.poisson(rate * frame_s).astype(float), random), number * frame_s, frame_s, number)
        left = 1 - float(flow.infused_bq[0]) / PLANNED
        at = (number + 1) * frame_s
        value = 1000 * (left + setup.doubts.meter * random.standard_normal())
        full = [
            Reading("vial", n * frame_s, 1000 * (1 + setup.doubts.meter * random.standard_normal()))
            for n in (range(-30, 0) if number == 0 else ())
        ]
        readings = (
            *full,
            Reading("vial", at, round(value, 3)),
            Reading("pushed", at, min(flow.pushed_bq[0] / PLANNED, 1.0)),
        )
        yield frame, readings, flow.arrived_bq[0].copy()
