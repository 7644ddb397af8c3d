"""What an activity image shows of the lungs, held against what is stated of the lung shunt."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.core import Region, Volume
from hepatica.core.image import Acquisition
from hepatica.core.lung_mean import LungMean
from hepatica.core.message import Message

SHOWN_OVER_STATED = 0.1
"""Lungs that hold less than this share of the stated shunt are not shown by the image (masked, or never acquired). Our
choice: no error of scatter or registration makes a tenth of a shunt."""

MAX_RELATIVE_DIFFERENCE = 0.20
"""Seen and stated shunt may differ by this, relative, before it is said: planar shunts repeat no better."""

MIN_DIFFERENCE = 0.01
"""Differences of less than one percentage point are not said."""


MAX_SHARE_DIFFERENCE = 0.15
"""Of what the lungs hold as drawn, and as the CT showed them to the reconstruction, relative. Our choice: a
voxel's edge of either is 5 to 10 %."""


@dataclass(frozen=True, slots=True)
class LungsInView:
    """The lungs that were drawn, or found in the CT, in an activity image.

    Attributes
    ----------
    share : float
        Of the activity in the image, 0 to 1; what liver and lungs both claim is the liver's.
    whole : bool
        Whether neither image, CT nor drawing cut them off.
    part : float
        Mass of lung in view over that of the whole lungs, 0 to 1; 1 for whole lungs.
    """

    share: float
    whole: bool
    part: float = 1.0

    def shows(self, lung_shunt: float) -> bool:
        """Whether the image holds activity in the lungs at all, against a stated shunt."""
        return self.share > 0 and self.share >= SHOWN_OVER_STATED * lung_shunt

    @property
    def completed_share(self) -> float:
        """Share of all activity in the whole lungs, if the part out of view holds as much per gram."""
        lungs = self.share / self.part
        return lungs / (lungs + 1 - self.share) if lungs else 0.0


def share_of_lungs(image: Volume, lungs: Region, liver: Region | None) -> float:
    """Share of everything in the image that the lungs hold; regions on the image's grid."""
    own = lungs if liver is None else lungs - liver
    total = image.total
    return max(0.0, own.total(image) / total) if total > 0 else 0.0


def shunt_messages(lungs: LungsInView | None, lung_shunt: float, lungs_in_image: bool) -> tuple[Message, ...]:
    """What is said where the stated shunt, or that the lungs are in the image, does not fit what is seen.

    Parameters
    ----------
    lungs : LungsInView or None
        None where no lungs are drawn or found in the image.
    lung_shunt : float
        As stated; 0 where it is not.
    lungs_in_image : bool
        As stated.
    """
    if lungs is None:
        if not lungs_in_image:
            return ()
        text = "the lungs are stated to be in the image, but no structure there is the lungs: it could not be checked"
        return (Message("lungs-not-seen", text, "draw the lungs, or state `structure_roles`: 'NAME=lungs'"),)
    seen = f"the lungs drawn hold {100 * lungs.share:.1f} % of the activity in the image"
    notes = []
    if lungs_in_image and not lungs.shows(lung_shunt):
        text = f"the lungs are stated to be in the image, but {seen}"
        notes.append(Message("lungs-not-seen", text, "leave out `lungs_in_image` if they lie outside"))
    elif lungs_in_image and not lungs.whole:
        part = f"only {100 * lungs.part:.0f} % of their mass is drawn and in view"
        text = f"the lungs are stated to be in the image, but {part}"
        notes.append(Message("lungs-partly-in-view", text, "leave out `lungs_in_image`"))
    if not lung_shunt:
        return tuple(notes)
    compared = lungs.completed_share
    if abs(compared - lung_shunt) <= max(MIN_DIFFERENCE, MAX_RELATIVE_DIFFERENCE * lung_shunt):
        return tuple(notes)
    whole = (
        ""
        if lungs.whole or not lungs.share
        else f" ({100 * compared:.1f} % of all, if lung that is not drawn, or out of view, holds as much per gram)"
    )
    then = _taken_off(lungs, lung_shunt, lungs_in_image)
    text = f"{seen}{whole}; the lung shunt stated is {100 * lung_shunt:.1f} %: {then}"
    notes.append(Message("shunt-against-image", text, "find out which is right before the dose is used"))
    return tuple(notes)


def _taken_off(lungs: LungsInView, lung_shunt: float, lungs_in_image: bool) -> str:
    if lungs_in_image or (lungs.whole and lungs.shows(lung_shunt)):
        return "the lungs are in view, so that nothing is taken off for the shunt"
    if lungs.shows(lung_shunt):
        return "the part of the shunt that is in lung not drawn, or out of view, is taken off"
    return "the image is taken as not holding it, and all of it is taken off"


def drawn_otherwise(lungs: LungsInView | None, told: LungMean) -> tuple[Message, ...]:
    """What is said where the lungs of a dose are not those of which the image says how well their mean is known.

    Parameters
    ----------
    lungs : LungsInView or None
        As drawn; None where none are in the image.
    told : LungMean
        Of the image.
    """
    if lungs is None or not told.share_of_image:
        return ()
    if abs(lungs.share / told.share_of_image - 1) <= MAX_SHARE_DIFFERENCE:
        return ()
    text = (
        f"the lungs as drawn hold {100 * lungs.share:.2g} % of the activity in the image, those of its reconstruction "
        f"{100 * told.share_of_image:.2g} %: the interval that it states of their mean is not that of the lungs drawn"
    )
    return (Message("lungs-drawn-otherwise", text, "draw both lungs as far as the CT shows them"),)


VOXELS_UNSUPPORTED = "lung-by-voxel-unsupported"
"""Code of the message that the lungs have a mean dose and no dose of single voxels."""


def voxel_dose_messages(facts: Acquisition, lungs: str | None) -> tuple[Message, ...]:
    """What is said of the dose to single voxels of a lung that the image does not determine.

    Parameters
    ----------
    facts : Acquisition
        Of the image: a SPECT of 90Y, of whatever program, or one whose lungs were found as levels.
    lungs : str or None
        Name of the lungs among the structures; None where there are none.

    Notes
    -----
    Bremsstrahlung SPECT counts ten scattered photons for one that comes straight from the lung: without a prior the
    mean over a lung found voxel by voxel has a standard deviation of 5 to 9 %, growing with the iterations, and single
    voxels have more than the lung holds; a few levels are known to 1 % (docs/spect-study.md).
    """
    bremsstrahlung = facts.modality == "NM" and facts.nuclide == "Y-90" and bool(facts.projections)
    if lungs is None or not (bremsstrahlung or facts.lung):
        return ()
    how = "this SPECT does not say how its lungs were found"
    if facts.lung:
        how = f"in this SPECT the lungs were found as {facts.lung.levels} levels"
    text = (
        f"{lungs}: {how}; the counts support a mean dose, not that of single voxels: "
        "the dose-volume histogram of the lungs is not to be used"
    )
    return (Message(VOXELS_UNSUPPORTED, text, "judge the lungs by their mean dose"),)
