"""Dynamic MR of holmium, turned into frames of activities: one value and one variance for each region and instant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.clinical import StructureOptions
from hepatica.core import Region, decay_factor, seconds_between
from hepatica.core.image import Acquisition, Image
from hepatica.core.message import Message
from hepatica.core.volume import Kind, Volume
from hepatica.errors import InputError
from hepatica.imaging.mri.dynamic import Arrived as Seen
from hepatica.imaging.mri.dynamic import Before, arrived, before_beads
from hepatica.imaging.mri.options import HolmiumOptions
from hepatica.imaging.mri.relaxivity import Relaxivity, relaxivity_for
from hepatica.io.dicom.mr.dynamic import MrSeries, read_mr_series
from hepatica.monitoring.feed import Frame
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.setup import Array, Setup
from hepatica.nuclides import nuclide
from hepatica.workflow.dose.patient.structures import structures_on
from hepatica.workflow.monitoring.sources import Fault

HOLMIUM = "Ho-166"

AGENT = "ho166-plla"

UNEVEN = 0.25
"""Of the middle time between two instants, by which another one may differ."""

OFFSET = 10.0
"""Floors that are added to every value and taken off as background: so the floor is part of each interval."""

WORTHLESS = 1e4
"""By which the variance of an instant with a fault is larger."""


@dataclass(frozen=True, slots=True, eq=False)
class MrSource:
    """A dynamic series with what it is held against.

    Attributes
    ----------
    series : MrSeries
        The files.
    before : Before
        Mean and noise before the first beads.
    prepared : Prepared
        The setup for what MR sees: its regions, a response of one, the noise that was measured.
    period_s : float
        From instant to instant.
    bq_per_r2star : float
        Activity at the first instant for an increase of R2* over a volume, Bq per mL/s.
    floor_bq : ndarray, shape (regions,)
        Standard deviation that all instants share by the noise of the mean before.
    messages : tuple of Message
        What was left out, what noise and floor are.
    """

    series: MrSeries
    before: Before
    prepared: Prepared
    period_s: float
    bq_per_r2star: float
    floor_bq: Array
    messages: tuple[Message, ...]

    @property
    def pace(self) -> tuple[float, float]:
        """Time from instant to instant, and when the first beads may come, s."""
        return self.period_s, self.period_s * self.before.instants

    def events(self) -> Iterator[Frame | Fault]:
        """A frame for each instant; one that lacks an echo is said instead."""
        began, half_life_s = self.series.instants[0].at, nuclide(HOLMIUM).half_life_s
        for number, (instant, magnitude, why) in enumerate(self.series.magnitudes()):
            if magnitude is None:
                yield Fault(why)
                continue
            seen = arrived(magnitude, self.before)
            start_s = (instant.at - began).total_seconds()
            scale = self.bq_per_r2star * 2 ** (-(start_s + self.period_s / 2) / half_life_s)
            values = scale * seen.r2star_ml_per_s + OFFSET * self.floor_bq
            variance = scale**2 * seen.variance * (WORTHLESS if seen.fault else 1.0)
            yield Frame(values[None], start_s, self.period_s, number, HOLMIUM, None, variance[None], seen.fault)


def mr_source(
    path: Path, structures: Path, prepared: Prepared, holmium: HolmiumOptions, *, before_beads_count: int
) -> MrSource:
    """Read a dynamic series and what it needs.

    Parameters
    ----------
    path : Path
        Files of the MR.
    structures : Path
        RTSTRUCT, SEG or label map in its frame of reference, with structures named as the setup's regions.
    prepared : Prepared
        Of the injection; its response and masks are a camera's and not used.
    holmium : HolmiumOptions
        Relaxivity, specific activity.
    before_beads_count : int
        Instants before the first beads.

    Raises
    ------
    InputError
        If the setup is of another nuclide, no specific activity is stated, no structure is that of a target, instants
        do not come evenly, or something arrives among those before the first beads.
    DicomError
        As `read_mr_series`.
    """
    if prepared.nuclide != HOLMIUM:
        raise InputError(f"the setup is of {prepared.nuclide}; MR shows holmium alone")
    if holmium.specific_activity_mbq_mg is None or holmium.calibrated_at is None:
        raise InputError("MR shows masses; for activities the specific activity is needed",
                         remedy="state `specific_activity_mbq_mg` and `calibrated_at`")  # fmt: skip
    series = read_mr_series(path)
    period_s, uneven = _period(series)
    early: list[NDArray[np.float32]] = []
    for _, magnitude, why in series.magnitudes():
        if len(early) == before_beads_count:
            break
        if magnitude is None:
            raise InputError(f"before the first beads: {why}")
        early.append(magnitude)
    if not early:
        raise InputError("no instant before the first beads was asked for")
    names, regions = _regions(series, structures, prepared.setup, early[0])
    before = before_beads(early, series.grid, series.echo_times_s, regions)
    seen = [arrived(one, before) for one in early]
    _require_sound(seen)
    r2, about_r2 = relaxivity_for(
        AGENT, series.field_t, stated=holmium.stated_relaxivity, stated_field_t=holmium.relaxivity_field,
        holmium_share=holmium.holmium_share,
    )  # fmt: skip
    began = series.instants[0].at
    calibrated = holmium.calibrated_at if began.tzinfo else holmium.calibrated_at.replace(tzinfo=None)
    factor = decay_factor(seconds_between(calibrated, began), nuclide(HOLMIUM).half_life_s)
    scale = 1e6 * holmium.specific_activity_mbq_mg * factor / r2.ml_per_mg_s.value
    noise = scale * np.sqrt(np.mean([one.variance for one in seen], axis=0))
    floor = scale * np.sqrt(np.mean([one.floor_variance for one in seen], axis=0))
    setup, lost = _setup_of(prepared.setup, names, noise, floor, _scale_sd(r2, holmium), before.outline_relative_sd())
    made = replace(prepared, setup=setup, mask=np.arange(len(names))[None])
    said = _said(names, noise, floor, before, lost, uneven)
    return MrSource(series, before, made, period_s, scale, floor, (*about_r2, *said))


def _period(series: MrSeries) -> tuple[float, int]:
    """Middle time between instants, and how many differ from it."""
    began = series.instants[0].at
    steps = np.diff([(one.at - began).total_seconds() for one in series.instants])
    middle = float(np.median(steps))
    return middle, int((np.abs(steps / middle - 1) > UNEVEN).sum())


def _regions(
    series: MrSeries, structures: Path, setup: Setup, first: NDArray[np.float32]
) -> tuple[list[str], list[Region]]:  # fmt: skip
    """Regions of the setup that are drawn, and that MR measures: lungs are dark."""
    volume = Volume(series.grid, first[0], Kind.UNKNOWN, series.instants[0].at, str(series.source.path))
    image = Image(volume, series.context, Acquisition(modality="MR"), series.source)
    drawn = structures_on(series.grid, structures, image, StructureOptions())
    found = {one.name.casefold(): one for one in drawn.regions}
    pairs = [(name, role) for name, role in zip(setup.regions, setup.roles, strict=True) if role != "lungs"]
    names = [name for name, _ in pairs if name.casefold() in found]
    if not any(role == "target" and name in names for name, role in pairs):
        wanted = ", ".join(name for name, _ in pairs)
        raise InputError(
            f"{structures}: no structure is that of a target; there are {', '.join(found)}",
            remedy=f"name structures as the setup names its regions: {wanted}",
        )
    # An organ at risk or the target lies within what is drawn around it: the smaller one has the voxel.
    order = sorted(names, key=lambda name: found[name.casefold()].volume_ml)
    return order, [found[name.casefold()] for name in order]


def _require_sound(seen: list[Seen]) -> None:
    for one in seen:
        if one.fault:
            raise InputError(f"before the first beads: {one.fault}", remedy="leave out instants in which nothing holds")


def _scale_sd(r2: Relaxivity, holmium: HolmiumOptions) -> float:
    return float(np.hypot(r2.ml_per_mg_s.relative_sd or 0.0, holmium.specific_activity_relative_sd))


def _setup_of(
    setup: Setup, names: list[str], noise: Array, floor: Array, scale_sd: float, outline_sd: float
) -> tuple[Setup, float]:
    """The setup of what MR sees, and the share of the plan that it does not see."""
    keep = [setup.index(name) for name in names]
    shares = setup.expected_shares[keep]
    kept = float(shares.sum())
    if not kept > 0:
        raise InputError("by the plan nothing arrives in the regions that are drawn")
    doubts = replace(setup.doubts, camera=scale_sd, region=max(outline_sd, 1e-3), cross_talk=0.0, motion=0.0,
                     background=1 / OFFSET)  # fmt: skip
    limits = {name: bq for name, bq in setup.limits_bq.items() if name in names}
    made = replace(
        setup, regions=tuple(names), roles=tuple(setup.roles[n] for n in keep), response_cps_per_bq=np.eye(len(names)),
        background_cps=OFFSET * floor, expected_shares=shares / kept, planned_bq=setup.planned_bq * kept, tau_s=0.0,
        limits_bq=limits, doubts=doubts, signal_sd_bq=noise,
    )  # fmt: skip
    return made, 1 - kept


def _said(
    names: list[str], noise: Array, floor: Array, before: Before, lost: float, uneven: int
) -> tuple[Message, ...]:
    each = "; ".join(
        f"{name} {one / 1e6:.3g} and {other / 1e6:.3g} MBq"
        for name, one, other in zip(names, noise, floor, strict=True)
    )
    out = [Message("mr-noise", f"standard deviation of one instant, and of what all share by the baseline: {each}",
                   severity="note")]  # fmt: skip
    if lost > 0.001:
        text = (
            f"by the plan {100 * lost:.2g} % go where MR sees nothing (lungs, what is not drawn): not in what arrived"
        )
        out.append(Message("mr-unseen", text, "draw what can be drawn; lungs are dark in MR"))
    if not before.tells_moves:
        out.append(Message("mr-moves-unseen", "too little tissue outside the regions: a move is not seen",
                           "take a larger field of view"))  # fmt: skip
    if uneven:
        out.append(Message("mr-uneven", f"{uneven} instants do not follow the one before evenly"))
    return tuple(out)
