"""Where a scout, or another image of uptake, certainly shows liver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.coarse import Mask, blurred, coarse_volume, grown, largest_part, shrunk
from hepatica.anatomy.segmentation.growing import logistic
from hepatica.anatomy.segmentation.liver import liver_place
from hepatica.anatomy.segmentation.torso import STEP_MM, Torso
from hepatica.core import Kind, Volume
from hepatica.core.resample import resample
from hepatica.errors import UnitError

Array = NDArray[np.float32]

HALF = 0.5
"""A blurred border lies where the uptake has fallen to half."""

BACKGROUND_SHARE = 0.25
"""Tissue with less than this share of the strongest uptake is not counted when the usual uptake is looked for. Where
lesions are much hotter than the rest, the seed is the lesions alone."""

INSIDE_MM = 8.0
"""Depth below that border that certainly is liver: about the shift of breathing between CT and SPECT."""

EVIDENCE = {"with": 2.0, "without": -0.6}
"""Logarithm of the likelihood ratio for liver of a voxel with uptake and of one without. Without: where treatment is
lobar, half of the liver shows none, and nearly all that is no liver, log(0.53 / 0.97); with: blur and breathing
carry uptake beyond the border, log(0.6 / 0.08). Our choice."""

EVIDENCE_FROM, EVIDENCE_WIDTH = 0.35, 0.08
"""Share of the usual uptake at which a voxel counts as having it, and the width of that step."""

MIN_SEED_ML = 20.0
"""Less is a lesion or noise, and no seed."""

MIN_CONTRAST = 3.0
"""Uptake of the seed over that of the rest of the trunk; below it the image shows no liver."""


@dataclass(frozen=True, slots=True, eq=False)
class LiverUptake:
    """Uptake as a seed.

    Attributes
    ----------
    mask : ndarray of bool or None
        Coarse voxels that certainly are liver; None where the image shows none.
    evidence : ndarray or None
        Logarithm of the likelihood ratio for liver in each coarse voxel, from `EVIDENCE`.
    why_not : str
        Why there is none, in words.
    """

    mask: Mask | None
    evidence: Array | None = None
    why_not: str = ""


def liver_uptake(image: Volume, torso: Torso) -> LiverUptake:
    """Inner part of the uptake in the liver's place.

    Tissue without uptake speaks only weakly against liver: a lobe that was not treated has none.

    Parameters
    ----------
    image : Volume
        SPECT or PET (any unit, per voxel or per mL) in the frame of reference of the CT.
    torso : Torso
        CT and landmarks.

    Raises
    ------
    UnitError
        If it is a CT, a label map or a dose, or a voxel is undefined.
    GeometryError
        If the frames of reference differ.
    """
    if image.kind in (Kind.HU, Kind.LABEL, Kind.DENSITY, Kind.FRACTION):
        raise UnitError(f"{image.name or 'uptake'}: holds {image.kind.meaning}; needed: counts or activity")
    image.require_finite()
    image.grid.require_shared_frame(torso.grid, f"{image.name or 'uptake'} and CT")
    shown = resample(
        coarse_volume(image.with_values(image.values, Kind.UNKNOWN), STEP_MM, outside=0.0), torso.grid, "linear"
    )
    values = blurred(shown.values, 3.0, STEP_MM)
    # The lungs hold activity too, and blur it into the dome.
    there = torso.soft & (torso.inside_ribs_mm > 4) & (torso.below_diaphragm_mm > 4) & (liver_place(torso) > 0.02)
    there &= ~grown(torso.lungs, 8.0, STEP_MM)
    if not there.any() or float(values[there].max()) <= 0:
        return LiverUptake(None, None, "it shows no uptake below the right lung")
    peak = float(np.percentile(values[there], 95))  # single hot voxels do not set it
    usual = float(np.median(values[there & (values > BACKGROUND_SHARE * peak)]))
    seed = largest_part(shrunk(values > HALF * usual, INSIDE_MM, STEP_MM) & there)
    if torso.volume_ml(seed) < MIN_SEED_ML:
        return LiverUptake(None, None, f"its uptake below the right lung fills {torso.volume_ml(seed):.0f} mL")
    rest = torso.body & ~grown(seed, 30.0, STEP_MM)
    contrast = float(values[seed].mean()) / max(float(np.abs(values[rest]).mean()), 1e-12 * peak)
    if contrast < MIN_CONTRAST:
        return LiverUptake(None, None, f"its uptake there is only {contrast:.2g} times that of the rest of the trunk")
    shown_share = logistic((values / max(usual, 1e-12 * peak) - EVIDENCE_FROM) / EVIDENCE_WIDTH)
    evidence = EVIDENCE["without"] + (EVIDENCE["with"] - EVIDENCE["without"]) * shown_share
    return LiverUptake(seed, np.asarray(evidence, np.float32))
