"""Uptake outside liver and lungs on the scout: where, how much, and what dose it would mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.kinds import Structure
from hepatica.anatomy.structures.names import organ_of
from hepatica.core import Kind, Region, Volume
from hepatica.core.message import Message
from hepatica.core.options import NonNegative, Positive, options
from hepatica.errors import InputError
from hepatica.planning.prescriptions.dose_constants import DoseConstant
from hepatica.planning.scout.lung_shunt import grown

FREE_PERTECHNETATE_SITES = frozenset(
    {
        Structure.THYROID,
        Structure.SALIVARY,
        Structure.STOMACH,
        Structure.KIDNEY,
        Structure.BLADDER,
        Structure.SMALL_BOWEL,
        Structure.COLON,
        Structure.BOWEL,
    }
)
MAX_SHARE_ELSEWHERE = 0.1
"""Share of the image outside liver and lungs above which the reader is told."""

PERTECHNETATE = Message(
    "free-pertechnetate",
    "uptake in thyroid, stomach wall, salivary glands, kidneys or bladder may be free 99mTc-pertechnetate instead of "
    "particles",
    "check the time since injection, the labelling yield, and whether an artery explains the site",
)


@dataclass(frozen=True, slots=True)
class ExtrahepaticUptake:
    """One connected blob outside liver and lungs.

    Attributes
    ----------
    site : str
        The named region that holds most of it, or "unnamed".
    centre_lps_mm : tuple of float
        Centre of activity, LPS mm.
    volume_ml : float
        Of voxels above the threshold.
    activity_share : float
        Of everything in the image.
    dose_gy : float or None
        Mean dose in the blob at the planned activity, local deposition at 1.04 g/mL; None without a planned activity.
    may_be_free_pertechnetate : bool
        Whether the site is one where free pertechnetate goes.
    """

    site: str
    centre_lps_mm: tuple[float, float, float]
    volume_ml: float
    activity_share: float
    dose_gy: float | None
    may_be_free_pertechnetate: bool


@options
class SearchOptions:
    """What counts as a blob.

    Attributes
    ----------
    threshold_of_liver_mean : float
        Voxels above this fraction of the liver's mean concentration count.
    margin_mm : float
        Skin around liver and lungs that is left out (spill-out).
    minimum_ml : float
        Smaller blobs are noise.
    """

    threshold_of_liver_mean: Positive = 0.2
    margin_mm: NonNegative = 10.0
    minimum_ml: NonNegative = 1.0


def extrahepatic_uptake(
    image: Volume,
    liver: Region,
    lungs: Region,
    *,
    organs: Mapping[str, Region] | None = None,
    planned: tuple[float, DoseConstant] | None = None,
    options: SearchOptions = SearchOptions(),
) -> tuple[ExtrahepaticUptake, ...]:
    """Blobs above a stated threshold outside liver and lungs, largest share of activity first.

    Parameters
    ----------
    image : Volume
        Counts, Bq or Bq/mL.
    liver, lungs : Region
        On the image's grid.
    organs : mapping of str to Region
        Named regions that give a blob its site.
    planned : (float, DoseConstant)
        Activity that will reach the patient (GBq) and its constant, for the dose.
    options : SearchOptions
        Threshold, margin, smallest volume.
    """
    from scipy import ndimage

    image.require_kind(Kind.COUNTS, Kind.COUNT_RATE, Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION)
    image.require_finite()
    for region in (liver, lungs):
        region.grid.require_match(image.grid, f"region {region.name!r} and {image.name or 'image'}")
    values = image.values.astype(np.float64)
    inside = float((liver.coverage * values[liver.window]).sum()) / max(float(liver.coverage.sum()), 1e-12)
    total = float(values.sum())
    if not (inside > 0 and total > 0):
        raise InputError("the liver holds no activity: nothing to compare extrahepatic uptake with")
    excluded = grown(liver, options.margin_mm).mask() | grown(lungs, options.margin_mm).mask()
    hot = (values > options.threshold_of_liver_mean * inside) & ~excluded
    labels, count = ndimage.label(hot, structure=np.ones((3, 3, 3)))
    blobs = []
    for window, label in zip(ndimage.find_objects(labels), range(1, count + 1), strict=True):
        mask = labels[window] == label
        volume = float(mask.sum()) * image.grid.voxel_volume_ml
        if volume < options.minimum_ml:
            continue
        weights = np.where(mask, values[window], 0.0)
        index = [float(c) + s.start for c, s in zip(ndimage.center_of_mass(weights), window, strict=True)]
        x, y, z = image.grid.to_mm(index).tolist()
        share = float(weights.sum()) / total
        dose = None if planned is None else planned[0] * planned[1].j_per_gbq * share / (volume * 1.04e-3)
        site = _site(mask, window, organs or {})
        free = organ_of(site) in FREE_PERTECHNETATE_SITES
        blobs.append(ExtrahepaticUptake(site, (x, y, z), volume, share, dose, free))
    return tuple(sorted(blobs, key=lambda blob: -blob.activity_share))


def _site(mask: NDArray[np.bool_], window: tuple[slice, ...], organs: Mapping[str, Region]) -> str:
    best, most = "unnamed", 0.0
    for name, region in organs.items():
        overlap = float((region.full()[window] * mask).sum())
        if overlap > most:
            best, most = name, overlap
    return best


def share_elsewhere(image: Volume, liver: Region, lungs: Region, *, margin_mm: float = 10.0) -> float:
    """Share of the image's content outside liver and lungs (grown by a margin), 0 to 1; above 0.1 is a warning."""
    values = image.values.astype(np.float64)
    inside = grown(liver, margin_mm).mask() | grown(lungs, margin_mm).mask()
    total = float(values.sum())
    if not total > 0:
        raise InputError("the image holds no activity")
    return float(np.clip(values[~inside].sum() / total, 0, 1)) if math.isfinite(total) else math.nan


def about_uptake_elsewhere(found: Sequence[ExtrahepaticUptake], share: float) -> tuple[Message, ...]:
    """What a reader must know about uptake outside liver and lungs."""
    messages = []
    if share > MAX_SHARE_ELSEWHERE:
        text = f"{share:.0%} of the image lies outside liver and lungs"
        messages.append(Message("uptake-elsewhere", text, "find it before planning"))
    if any(blob.may_be_free_pertechnetate for blob in found):
        messages.append(PERTECHNETATE)
    return tuple(messages)
