"""How far a proposed structure can be trusted: its volume, its border, what the image cuts off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hepatica.anatomy.segmentation.coarse import Mask, grown
from hepatica.anatomy.segmentation.growing import Brightness
from hepatica.anatomy.segmentation.torso import STEP_MM, Torso
from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Region
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
        if share > MAX_OPEN_BORDER:
            reasons.append(f"tissue of its CT numbers goes on beyond {100 * share:.0f} % of its border")
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
