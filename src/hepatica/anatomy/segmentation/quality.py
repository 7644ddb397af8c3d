"""How far a proposed structure can be trusted: its volume, its border, what the image cuts off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hepatica.anatomy.segmentation.body_and_lungs.lungs import lung_regions
from hepatica.anatomy.segmentation.organs.growing import Brightness
from hepatica.anatomy.segmentation.trunk.coarse import Mask, grown
from hepatica.anatomy.segmentation.trunk.torso import STEP_MM, Torso
from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Region, Volume
from hepatica.core.message import Message

Verdict = Literal["plausible", "doubtful"]

USUAL_ML: dict[Structure, tuple[float, float]] = {
    Structure.LIVER: (800.0, 2800.0),
    Structure.SPLEEN: (60.0, 500.0),
    Structure.KIDNEY: (80.0, 320.0),
    Structure.LUNG_LEFT: (700.0, 4200.0),
    Structure.LUNG_RIGHT: (800.0, 4800.0),
}
"""Volumes between which nearly all adults lie, mL. Liver: 18.5 mL/kg + 192 mL for 45 to 120 kg (Vauthey et al., Liver
Transpl 2002;8:233), widened by a quarter for shrunken and enlarged livers. Spleen: 107 to 315 mL (Prassopoulos et al.,
Eur Radiol 1997;7:246), widened since portal hypertension enlarges it. Kidney: 154 and 202 mL on average in women and
men with a standard deviation of 35 mL (Cheong et al., Clin J Am Soc Nephrol 2007;2:38), three of them and a pelvis.
Lungs: from expiration to full inspiration, our choice. All from memory of the publications."""

MAX_OPEN_BORDER = 0.25
"""Share of a border beyond which tissue goes on with the organ's own CT numbers: where it is larger the contour follows
our expectation of place more than the image. Our choice."""

MAX_SPLEEN_OPEN_BORDER = 0.13
"""A spleen ends at lung, fat, stomach and wall of other CT numbers: on virtual patients at most 0.12 of its border is
open where Dice is above 0.9; 0.14 where a part of one was drawn on a real low-dose CT."""

MAX_KIDNEY_OPEN_BORDER = 0.10
"""A kidney lies in fat: with more of its border open it is not drawn. On virtual patients those found well (Dice above
0.9) have up to 0.09, parts of kidneys 0.13 (Dice 0.74), parts of kidneys and bowel 0.17 to 0.50."""

MAX_KIDNEY_RATIO = 1.4
"""Volume of the larger kidney over that of the smaller: healthy ones differ by some 10 %; more is a part not drawn,
something drawn besides, or a shrunken kidney. Our choice."""

FATTY_BELOW_HU = 40.0
"""A liver below it without contrast agent is fatty (Kodama et al., AJR 2007;188:1307, from memory): bile, bowel and
kidney (0 to 40 HU) then come close to it."""

MIN_LUNG_ML, LUNG_BELOW_HU = 400.0, -550.0
"""A whole lung holds more, shrunken ones too, and is darker; bowel filled with gas and stool is not. Our choice: gas in
the colon of a real CT had 249 and 119 mL."""

EDGE_MM, WIDE_AT_EDGE = 12.0, 0.7
"""A lung's section grows from its base: one that the image's upper edge cuts reaches to within so many millimetres of
it, and has there at least this share of its largest section."""

NOISY_SD_HU = 6.0
"""Spread within spleen and kidney, after smoothing, from which they come out too small: on virtual patients it is 7.6
HU at a noise of 40 HU, where Dice is 0.84 to 0.86, and 4 HU at up to 20, where it is 0.93."""

MIN_CUT_CM2 = 3.0
"""Section on the image's first or last slice that counts as cut off; the tip of an organ ends in less."""


@dataclass(frozen=True, slots=True)
class StructureQuality:
    """What is known of one proposed structure.

    Attributes
    ----------
    structure : str
        Its name.
    volume_ml : float
        Its volume.
    mean_hu, sd_hu : float or None
        CT number of its own tissue without lesions, and its spread; None where a threshold drew it.
    open_border : float or None
        Share of its surface, outside lung and fat, beyond which tissue goes on with the same CT numbers: where a
        contour may leak or stop short. None where a threshold drew it.
    cut_cm2 : float
        Section that the first or last slice of the image cuts.
    usual_ml : tuple of float or None
        Volumes between which nearly all adults lie.
    verdict : {"plausible", "doubtful"}
        Whether anything speaks against it; no verdict takes the place of looking at it.
    reasons : tuple of str
        What speaks against it.
    """

    structure: str
    volume_ml: float
    mean_hu: float | None
    sd_hu: float | None
    open_border: float | None
    cut_cm2: float
    usual_ml: tuple[float, float] | None
    verdict: Verdict
    reasons: tuple[str, ...] = ()

    def messages(self) -> tuple[Message, ...]:
        """A warning where it is doubtful."""
        if self.verdict == "plausible":
            return ()
        text = f"{self.structure!r} ({self.volume_ml:.0f} mL) is doubtful: {'; '.join(self.reasons)}"
        return (Message("structure-doubtful", text, "look at every slice and correct it, or draw it by hand"),)


def quality_of(
    region: Region,
    structure: Structure,
    *,
    torso: Torso | None = None,
    mask: Mask | None = None,
    brightness: Brightness | None = None,
) -> StructureQuality:
    """Quality of one structure.

    Parameters
    ----------
    region : Region
        As it is proposed, on the grid of the CT.
    structure : Structure
        What it is.
    torso, mask, brightness : Torso, ndarray of bool and Brightness, optional
        The image in which it was found, its coarse voxels and what it looks like; without them its border is not
        judged.
    """
    reasons = []
    usual = USUAL_ML.get(structure)
    volume, cut = region.volume_ml, cut_section_cm2(region)
    if cut > MIN_CUT_CM2 and structure not in (Structure.BODY, Structure.SPINE):  # every CT of a trunk cuts them
        reasons.append(f"the image's edge cuts it ({cut:.0f} cm2), so that a part is missing")
    if usual and not usual[0] <= volume <= usual[1]:
        reasons.append(f"adults have {usual[0]:g} to {usual[1]:g} mL")
    share = None
    if torso is not None and mask is not None and brightness is not None:
        share = open_border(torso, mask, brightness)
        if share > (MAX_SPLEEN_OPEN_BORDER if structure is Structure.SPLEEN else MAX_OPEN_BORDER):
            reasons.append(f"tissue of its CT numbers goes on beyond {100 * share:.0f} % of its border")
    if structure is Structure.LIVER and brightness is not None and brightness.mean_hu < FATTY_BELOW_HU:
        reasons.append(
            f"its tissue has {brightness.mean_hu:.0f} HU (fatty), about as bile, bowel and kidney have: parts of them "
            "may be taken in"
        )
    if structure in (Structure.SPLEEN, Structure.KIDNEY) and brightness is not None and brightness.sd_hu > NOISY_SD_HU:
        reasons.append(f"noise leaves {brightness.sd_hu:.0f} HU in it, so that its border is drawn too far inside")
    return StructureQuality(
        structure=region.name,
        volume_ml=volume,
        mean_hu=None if brightness is None else brightness.mean_hu,
        sd_hu=None if brightness is None else brightness.sd_hu,
        open_border=share,
        cut_cm2=cut,
        usual_ml=usual,
        verdict="doubtful" if reasons else "plausible",
        reasons=tuple(reasons),
    )


def kidney_doubt(torso: Torso, mask: Mask, brightness: Brightness) -> str:
    """Why what was found in a kidney's place is none, or not all of one; empty where nothing speaks against it."""
    share = open_border(torso, mask, brightness)
    if share > MAX_KIDNEY_OPEN_BORDER:
        return (
            f"tissue of the same CT numbers goes on beyond {100 * share:.0f} % of the border of what lies in its place"
        )
    volume, (low, high) = torso.volume_ml(mask), USUAL_ML[Structure.KIDNEY]
    if not low <= volume <= high:
        return f"what lies in its place has {volume:.0f} mL; kidneys of adults have {low:g} to {high:g} mL"
    return ""


def with_kidneys_compared(quality: Sequence[StructureQuality]) -> tuple[StructureQuality, ...]:
    """The same, both kidneys doubtful where one is much larger than the other."""
    volumes = {item.structure: item.volume_ml for item in quality if item.structure.startswith("kidney ")}
    if len(volumes) < 2 or max(volumes.values()) < MAX_KIDNEY_RATIO * min(volumes.values()):
        return tuple(quality)
    (one, one_ml), (other, other_ml) = volumes.items()
    reason = f"{one} has {one_ml:.0f} mL and {other} {other_ml:.0f} mL: a part is missing, or more is drawn"
    return tuple(
        replace(item, verdict="doubtful", reasons=(*item.reasons, reason)) if item.structure in volumes else item
        for item in quality
    )


def lung_doubt(lung: Region, ct: Volume) -> str:
    """Why what was found is no lung, but bowel with gas and stool; empty where nothing speaks against it.

    A lung is whole, or the upper edge of the image cuts it about where it is widest.
    """
    from scipy import ndimage

    # Every third millimetre tells as much; the outermost voxels are mixed with tissue.
    i, j, k = (slice(None, None, max(1, round(3 / spacing))) for spacing in lung.grid.spacing_mm)
    inner = ndimage.binary_erosion(lung.coverage[i, j, k] > 0.5)
    mean = float(ct.values[lung.window][i, j, k][inner].mean()) if inner.any() else 0.0
    if mean > LUNG_BELOW_HU:
        return f"what holds air there has {mean:.0f} HU on average, as bowel with gas and stool"
    if lung.volume_ml > MIN_LUNG_ML:
        return ""
    along = lung.grid.direction[2]
    axis = int(np.abs(along).argmax())
    sections = lung.coverage.sum(axis=tuple(a for a in range(3) if a != axis))
    window, last = lung.window[axis], lung.grid.shape[axis] - 1
    if along[axis] < 0:  # from here on the last section is the highest
        sections, gap = sections[::-1], window.start
    else:
        gap = last - (window.stop - 1)
    near = gap * lung.grid.spacing_mm[axis] <= EDGE_MM
    highest = int(np.flatnonzero(sections)[-1])
    if near and sections[max(0, highest - 1)] > WIDE_AT_EDGE * sections.max():
        return ""
    return (
        f"what holds air there has {lung.volume_ml:.0f} mL and does not go on beyond the image's upper edge: "
        "bowel, most likely"
    )


def believed_lungs(ct: Volume) -> tuple[Region, ...]:
    """Lungs on a CT as `lung_regions` finds them, without what is bowel more likely.

    Raises
    ------
    GeometryError
        If nothing on the CT is a body.
    """
    return tuple(lung for lung in lung_regions(ct) if not lung_doubt(lung, ct))


def open_border(torso: Torso, mask: Mask, brightness: Brightness) -> float:
    """Share of the shell of two voxels around a mask, lungs left out, that has the organ's own CT numbers."""
    shell = grown(mask, 2 * STEP_MM, STEP_MM) & ~grown(mask, STEP_MM, STEP_MM) & torso.body & ~torso.lungs
    if not shell.any():
        return 0.0
    near = np.abs(torso.smooth - brightness.mean_hu) < max(1.5 * brightness.sd_hu, 6.0)
    return float((shell & near).sum() / shell.sum())


def cut_section_cm2(region: Region) -> float:
    """Area of a region on the first and last slice along the patient, cm2, the larger of both."""
    if region.is_empty:
        return 0.0
    axis = int(np.abs(region.grid.direction[2]).argmax())
    window, last = region.window[axis], region.grid.shape[axis] - 1
    pixel_cm2 = region.grid.voxel_volume_ml * 10 / region.grid.spacing_mm[axis]
    ends = [0.0]
    if window.start == 0:
        ends.append(float(np.take(region.coverage, 0, axis).sum()))
    if window.stop - 1 == last:
        ends.append(float(np.take(region.coverage, -1, axis).sum()))
    return max(ends) * pixel_cm2
