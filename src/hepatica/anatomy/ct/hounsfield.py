"""Whether the numbers of a CT are Hounsfield units: everything that rests on a density asks here.

A CT that holds stored values (HU + 1024), g/mL or HU / 1000 makes densities without a complaint, and lungs that weigh
four times too much get a quarter of their dose. What no patient and no phantom looks like in HU is refused; where doubt
is possible (a CT cut out of the trunk, a phantom, ill lungs) a critical message says so, and no lung limit is judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.clinical import ClinicalRegion
from hepatica.anatomy.structures.kinds import LUNGS, Structure
from hepatica.core import Kind, Region, Volume
from hepatica.core.message import Message
from hepatica.errors import UnitError

NO_AIR, LUNGS_NOT_LUNG, LIVER_NOT_LIVER = "ct-without-air", "lungs-not-of-lung-density", "liver-not-of-liver-hu"
TISSUE_NOT_TISSUE, AIR_NOT_AIR = "tissue-not-of-tissue-hu", "air-not-of-air-hu"
"""Codes of the messages."""
MAY_BE_NO_HU = (NO_AIR, TISSUE_NOT_TISSUE, AIR_NOT_AIR)
"""Those of the whole CT."""

AIR_HU_RANGE = (-1100.0, -500.0)
"""Air and lung; padding outside the scan circle is mostly lower, or no lower than air itself."""

PADDING_BELOW_HU = -1500.0
"""What lies lower is padding of the scanner, not air by a wrong scale."""

LEAST_AIR = 1e-4
"""Share of an image's voxels in `AIR_HU_RANGE` below which it shows none."""

BODY_FIELD_MM = (300.0, 200.0)
"""Two sides of a field in which a trunk of any shape leaves air at a corner, and the lungs or bowel gas lie."""

COMPACT_BONE_HU = 700.0
MOST_COMPACT_BONE = 0.2
"""Share of a field without air above `COMPACT_BONE_HU` that is no bone: 4.4 kg of a 73 kg man are compact bone (ICRP
89), 3 % of his volume. Soft tissue in stored values (HU + 1000, HU + 1024) is a third of a field."""

NO_HU_ABOVE = 10.0
"""Numbers that are neither all alike nor whole, and all smaller than this, are g/mL, HU / 1000 or attenuation."""

HEAVY_LUNG_HU = -300.0
"""Mean of lungs from which on they are no lungs with air, 0.7 g/mL: inflated ones (0.26 g/mL, ICRU 44)
have some -740 HU, exhaled ones half as much again. Our choice; oedema or consolidation of both lungs may reach it."""

LIVER_HU_RANGE = (-50.0, 300.0)
"""Mean of a liver: severe steatosis lies above -40 HU (pure fat -100), contrast agent stays below 250 HU."""

TISSUE_SPAN_HU = (-300.0, 300.0)
TISSUE_HU_RANGE = (-30.0, 150.0)
"""Upper quartile of what lies in `TISSUE_SPAN_HU`. Muscle, liver and water have 0 to 70 HU, enhanced up to 130; even
where fat (-100) is the larger part of a trunk they are more than its upper quarter. Our choice of margins."""
LEAST_TISSUE = 0.01
"""Share of a field in `TISSUE_SPAN_HU` below which nothing is said of tissue."""

AROUND_HU_RANGE = (-1060.0, -940.0)
"""Median of the air at the corners of a field: -1000 HU, and padding of -1024. Our choice of margins."""

SAMPLED = 2_000_000
"""Voxels that are looked at, evenly spread: a clinical CT has fifty times as many."""


def checked_hu(hu: Volume, name: str) -> tuple[Message, ...]:
    """What is said of a CT whose numbers may not be HU; nothing of one that is in another unit.

    Parameters
    ----------
    hu : Volume
        Kind.HU.
    name : str
        Of the image, for a refusal.

    Raises
    ------
    UnitError
        If they cannot be: no air, and a fifth of the field denser than compact bone; or all within 10 of zero.
    """
    if hu.kind is not Kind.HU:
        return ()
    values = _sample(hu.values)
    low, high = float(values.min()), float(values.max())
    if low == high or not np.isfinite(low + high):
        return ()
    air = float(((values > AIR_HU_RANGE[0]) & (values < AIR_HU_RANGE[1])).mean())
    around = _around(hu)
    if air >= LEAST_AIR:
        return _shifted(values, around)
    asked = "give the CT in HU, rescale slope and intercept applied"
    if max(-low, high) < NO_HU_ABOVE and not np.array_equal(values, np.rint(values)):
        raise UnitError(f"{name}: all values lie from {low:.4g} to {high:.4g}: not HU (g/mL, HU / 1000?)", remedy=asked)
    if (bone := float((values > COMPACT_BONE_HU).mean())) > MOST_COMPACT_BONE:
        raise UnitError(
            f"{name}: no voxel is air and {100 * bone:.0f} % lie above {COMPACT_BONE_HU:g} HU, more than any skeleton: "
            f"not HU (stored values, HU + 1000?; lowest {low:.4g}, highest {high:.4g})",
            remedy=asked,
        )
    if around is not None:
        return _shifted(values, around)
    sides = sorted((n * mm for n, mm in zip(hu.grid.shape, hu.grid.spacing_mm, strict=True)), reverse=True)
    if any(side < needed for side, needed in zip(sides, BODY_FIELD_MM, strict=False)):
        return ()
    text = (
        f"the CT is a field of {sides[0]:.0f} x {sides[1]:.0f} mm without a voxel of air or lung (lowest {low:.4g}, "
        f"highest {high:.4g}): the numbers may not be HU, and densities and masses may all be wrong"
    )
    return (Message(NO_AIR, text, "check that the CT is in HU", "critical"),)


def _shifted(values: NDArray[np.float32], around: float | None) -> tuple[Message, ...]:
    """Soft tissue, or air at the corners of the field, that is not where HU have it: a wrong slope or intercept."""
    found = []
    remedy = "check RescaleSlope and RescaleIntercept of the CT, or how it was converted; give it in HU"
    effect = "densities, attenuation and masses may all be wrong"
    tissue = values[(values > TISSUE_SPAN_HU[0]) & (values < TISSUE_SPAN_HU[1])]
    low, high = TISSUE_HU_RANGE
    if tissue.size > LEAST_TISSUE * values.size and not low <= (level := float(np.percentile(tissue, 75))) <= high:
        text = (
            f"soft tissue of the CT has {level:.0f} HU (three quarters of what lies within {TISSUE_SPAN_HU[1]:g} HU of "
            f"water have less), muscle, liver and water 0 to 70: the numbers may not be HU, and {effect}"
        )
        found.append(Message(TISSUE_NOT_TISSUE, text, remedy, "critical"))
    low, high = AROUND_HU_RANGE
    if around is not None and not low <= around <= high:
        text = (
            f"the air around the patient has {around:.0f} HU in the CT, not -1000: the numbers may not be HU, and "
            f"{effect}"
        )
        found.append(Message(AIR_NOT_AIR, text, remedy, "critical"))
    return tuple(found)


def _around(hu: Volume) -> float | None:
    """Median of the four corners of the slices, where at least half of them is air and no padding."""
    across = int(np.argmax(np.abs(hu.grid.affine[2, :3])))
    planes = np.moveaxis(hu.values, across, 0)
    a, b = (max(1, n // 40) for n in planes.shape[1:])
    corners = [planes[:, i, j].ravel() for i in (slice(a), slice(-a, None)) for j in (slice(b), slice(-b, None))]
    values = np.concatenate(corners)
    air = values[(values > PADDING_BELOW_HU) & (values < AIR_HU_RANGE[1])]
    return float(np.median(air)) if 2 * air.size >= values.size else None


def structure_doubts(hu: Volume, structures: Sequence[ClinicalRegion], settled: Iterable[str]) -> tuple[Message, ...]:
    """Critical messages of lungs and livers whose mean is not that of their tissue in HU.

    Parameters
    ----------
    hu : Volume
        Kind.HU.
    structures : sequence of ClinicalRegion
        On the same grid.
    settled : iterable of str
        Structures of which a density or iodised oil is stated: they are not asked.
    """
    found, known = [], set(settled)
    for item in structures:
        mean = None if item.region.name in known else _mean(item.region, hu)
        if mean is None:
            continue
        if item.structure in LUNGS and not item.derived and mean > HEAVY_LUNG_HU:
            found.append(_lungs_message(item.region.name, mean))
    found += _liver_messages(hu, structures, known)
    return tuple(found)


def _lungs_message(name: str, mean: float) -> Message:
    text = (
        f"{name!r} has {mean:.0f} HU on average, some {1 + mean / 1000:.2g} g/mL; lungs with air in them have -900 to "
        "-600 HU: the numbers are no HU, the drawing is not of the lungs, or both are consolidated or full of water; "
        "the lungs' mass is not believed, and limits of their dose by the image are not judged"
    )
    return Message(LUNGS_NOT_LUNG, text, "check CT and drawing, or state `structure_density` of the lungs", "critical")


def _liver_messages(hu: Volume, structures: Sequence[ClinicalRegion], settled: set[str]) -> list[Message]:
    """Of the liver without its tumours where that is known: they may hold oil."""
    of = {role: [item for item in structures if item.structure is role] for role in LIVERS}
    asked = next((items for items in of.values() if items), [])
    oily = any(item.region.name in settled for items in of.values() for item in items)
    low, high = LIVER_HU_RANGE
    found = []
    for item in asked:
        mean = None if oily else _mean(item.region, hu)
        if mean is None or low <= mean <= high:
            continue
        text = (
            f"{item.region.name!r} has {mean:.0f} HU on average; no liver lies outside {low:g} to {high:g} HU unless "
            "iodised oil or metal fills it: the numbers are no HU, or the drawing is not of the liver; its mass and "
            "dose are not to be used as they are"
        )
        remedy = "check CT and drawing, or state `iodised_oil` or `structure_density`"
        found.append(Message(LIVER_NOT_LIVER, text, remedy, "critical"))
    return found


LIVERS = (Structure.NORMAL_LIVER, Structure.LIVER)


def _mean(region: Region, hu: Volume) -> float | None:
    if region.is_empty:
        return None
    at = hu.values[region.window]
    return float((region.coverage * at).sum(dtype=np.float64) / region.coverage.sum(dtype=np.float64))


def is_doubtful(messages: Iterable[Message], settled: Iterable[str], lungs: str) -> bool:
    """Whether messages make the mass that a CT gives to these lungs doubtful; not of those whose density is stated."""
    return lungs not in set(settled) and any(one.code in (*MAY_BE_NO_HU, LUNGS_NOT_LUNG) for one in messages)


def _sample(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Voxels of a volume evenly spread, `SAMPLED` or up to eight times as many."""
    step = max(1, int((values.size / SAMPLED) ** (1 / 3)))
    return np.asarray(values[::step, ::step, ::step], dtype=np.float32)
