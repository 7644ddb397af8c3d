"""R2* before the treatment, on the voxels of the scan after it, with what of its uncertainty voxels share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.message import Message
from hepatica.core.transform import Transform, warp
from hepatica.errors import InputError
from hepatica.imaging.mri.fitting.fit import DecayFit

Array = NDArray[np.float32]

BaselineMethod = Literal["voxel", "structure", "stated"]

TISSUE_SPREAD = 5.0
"""By what R2* of neighbours differs, 1/s: a voxel weighs less where it is known less well than that."""

HALF = 0.5
"""A voxel has a baseline where at least this much of its neighbourhood in the scan before was measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """R2* without holmium; NaN where it is not known.

    Attributes
    ----------
    r2star_per_s : ndarray, grid's shape
        1/s.
    sd_per_s : ndarray
        Standard uncertainty of each voxel by itself: noise, spread within its structure.
    common_sd_per_s : ndarray
        Standard uncertainty that all voxels of a structure (or all) share.
    method : {"voxel", "structure", "stated"}
        Where it comes from.
    messages : tuple of Message
        What must be said of it.
    shift_per_s : tuple of ndarray
        For each axis by how much each voxel is off if the transform is off by its standard uncertainty along it: the
        whole scan is off together. Empty where there is none.
    """

    r2star_per_s: Array
    sd_per_s: Array
    common_sd_per_s: Array
    method: BaselineMethod
    messages: tuple[Message, ...] = ()
    shift_per_s: tuple[Array, ...] = ()


def stated_baseline(grid: Grid, r2star_per_s: float, sd_per_s: float) -> Baseline:
    """One number for every voxel, whose uncertainty they all share."""
    value = np.full(grid.shape, r2star_per_s, dtype=np.float32)
    common = np.full(grid.shape, sd_per_s, dtype=np.float32)
    text = (
        f"the baseline is one number for all tissue, {r2star_per_s:g} +- {sd_per_s:g} 1/s; tumour and liver differ "
        "before treatment, so a ratio of tumour to normal may be off"
    )
    note = Message("baseline-single", text, "scan the patient before treatment")
    return Baseline(value, np.zeros_like(value), common, "stated", (note,))


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """A quantity of the scan before on the voxels of the scan after; NaN where it is not known.

    Attributes
    ----------
    values, sd : ndarray, grid's shape
        Mean around each voxel and its standard uncertainty by noise.
    shift : tuple of ndarray
        For each axis by how much it is off if the transform is off by its standard uncertainty along that axis.
    """

    values: Array
    sd: Array
    shift: tuple[Array, ...]


def voxel_baseline(before: DecayFit, grid: Grid, transform: Transform | None) -> Baseline:
    """Each voxel's own R2* of the scan before, brought over by a transform.

    Parameters
    ----------
    before : DecayFit
        Of the scan before.
    grid : Grid
        Of the scan after.
    transform : Transform or None
        From the frame of the scan after to that of the scan before; None where they share one.

    Raises
    ------
    GeometryError
        If the frames are not the transform's (without one: differ), or nothing of the scan before lies there.
    """
    found = _brought_over(before, (before.r2star_per_s, before.r2star_sd_per_s), grid, transform)
    notes = []
    if transform is not None and transform.uncertainty_mm is None:
        text = "the uncertainty of the registration is not known and not in that of the baseline"
        notes.append(Message("registration-uncertainty-unknown", text, "state `transform_uncertainty_mm`"))
    return Baseline(found.values, found.sd, np.zeros_like(found.values), "voxel", tuple(notes), found.shift)


def s0_before(before: DecayFit, grid: Grid, transform: Transform | None) -> tuple[Array, Array]:
    """Log S0 of the scan before on the voxels of the scan after, and its standard uncertainty, registration included.

    Raises
    ------
    GeometryError
        As `voxel_baseline`.
    """
    # The fit keeps the uncertainty of R2*; S0 is known at least as well as R2* over the time to the middle echo.
    time_s = float(np.mean(before.echo_times_s))
    found = _brought_over(before, (before.log_s0, before.r2star_sd_per_s * np.float32(time_s)), grid, transform)
    squares = found.sd**2 + sum(part**2 for part in found.shift)
    return found.values, np.asarray(np.sqrt(squares), dtype=np.float32)


def _brought_over(before: DecayFit, quantity: tuple[Array, Array], grid: Grid, transform: Transform | None) -> Moved:
    """A quantity of the scan before and its uncertainty on another grid; what is badly known weighs little."""
    measured = before.is_measured
    # What is badly known (lung beside the liver, vessels in the noise) must not be mixed into its neighbours.
    unsure = np.nan_to_num(before.r2star_sd_per_s, nan=1e6) ** 2 + TISSUE_SPREAD**2
    weight = np.where(measured, (TISSUE_SPREAD**2 / unsure) ** 2, 0)
    parts = [
        np.where(measured, weight * np.nan_to_num(quantity[0]), 0),
        np.where(measured, weight * np.nan_to_num(quantity[1], nan=1e6) ** 2, 0),
        weight,
        measured.astype(np.float32),
    ]
    moved = [np.asarray(part, dtype=np.float64) for part in parts]
    if transform is not None or not before.grid.matches(grid):
        if transform is None:
            grid.require_shared_frame(before.grid, "scan after and scan before")
        way = transform or Transform.translation((0.0, 0.0, 0.0))
        source = before.grid if transform is not None else before.grid.with_frame_of_reference(grid.frame_of_reference)
        moved = [
            np.asarray(warp(Volume(source, part, Kind.UNKNOWN, name="R2* before"), way, grid, "values").volume.values)
            for part in moved
        ]
    there = (moved[3] >= HALF) & (moved[2] > 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(there, moved[0] / moved[2], np.nan).astype(np.float32)
        spread = np.where(there, moved[1] / moved[2], np.nan)
    reach_mm = 0.0 if transform is None else transform.uncertainty_mm or 0.0
    shift: tuple[Array, ...] = ()
    if reach_mm:
        shift = tuple(
            np.asarray(reach_mm * s, dtype=np.float32) for s in _slopes(np.where(there, mean, 0), there, grid)
        )
    return Moved(mean, np.sqrt(spread).astype(np.float32), shift)


def structure_baseline(voxels: Baseline, regions: Sequence[Region]) -> Baseline:
    """The mean of each structure for its voxels, where a voxel's own is too noisy or moved too far.

    Parameters
    ----------
    voxels : Baseline
        By voxel.
    regions : sequence of Region
        On the same grid, the innermost last: a tumour after the liver that holds it.

    Raises
    ------
    InputError
        If there are no structures, or one has no voxel that was measured before.
    """
    if not regions:
        raise InputError("a baseline by structure needs structures", remedy="give `structures` with liver and tumours")
    mean = np.full(voxels.r2star_per_s.shape, np.nan, dtype=np.float32)
    sd, common = mean.copy(), mean.copy()
    shift = tuple(np.zeros_like(mean) for _ in voxels.shift_per_s)
    taken = np.zeros(mean.shape, dtype=int)
    for number, region in enumerate(regions, start=1):
        taken[region.full() > HALF] = number
    for number, region in enumerate(regions, start=1):
        place = taken == number
        known = place & np.isfinite(voxels.r2star_per_s)
        if not place.any():
            continue
        if known.sum() < 2:
            raise InputError(f"structure {region.name!r} has no voxel that was measured before treatment")
        values, sds = voxels.r2star_per_s[known], voxels.sd_per_s[known]
        spread = float(values.std(ddof=1))
        own = max(spread**2 - float(np.mean(sds**2)), 0.0)
        mean[place] = values.mean()
        # Tissue differs from voxel to voxel by what noise does not explain; the mean is known to its own error.
        sd[place] = np.sqrt(own)
        common[place] = spread / np.sqrt(known.sum())
        for part, of_voxels in zip(shift, voxels.shift_per_s, strict=True):
            part[place] = float(np.mean(of_voxels[known]))
    return Baseline(mean, sd, common, "structure", voxels.messages, shift)


def _slopes(values: Array, known: NDArray[np.bool_], grid: Grid) -> list[NDArray[np.float64]]:
    """Gradient of a smoothed map along each axis, per mm: what a displacement changes."""
    from scipy import ndimage

    sigma = [4.0 / h for h in grid.spacing_mm]
    total = np.maximum(ndimage.gaussian_filter(known.astype(np.float32), sigma), 1e-6)
    smooth = ndimage.gaussian_filter(values, sigma) / total
    return [np.gradient(smooth, grid.spacing_mm[n], axis=n) for n in range(3) if values.shape[n] > 1]
