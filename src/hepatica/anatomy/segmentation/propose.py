"""All structures that are asked for on one CT, as proposals for a person to check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hepatica.anatomy.segmentation.body_and_lungs.body import body_region
from hepatica.anatomy.segmentation.body_and_lungs.lungs import lung_regions
from hepatica.anatomy.segmentation.contours.conflicts import without_conflicts
from hepatica.anatomy.segmentation.organs.growing import Grown
from hepatica.anatomy.segmentation.organs.liver import find_liver
from hepatica.anatomy.segmentation.organs.refine import refined
from hepatica.anatomy.segmentation.organs.spine import find_spine
from hepatica.anatomy.segmentation.organs.spleen_and_kidneys import find_kidney, find_spleen
from hepatica.anatomy.segmentation.organs.uptake import LiverUptake, liver_uptake
from hepatica.anatomy.segmentation.quality import (
    StructureQuality,
    kidney_doubt,
    lung_doubt,
    quality_of,
    with_kidneys_compared,
)
from hepatica.anatomy.segmentation.trunk.coarse import Mask, grown
from hepatica.anatomy.segmentation.trunk.torso import Torso, require_trunk_orientation, torso_of
from hepatica.anatomy.structures.codes import with_codes
from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Kind, Region, Volume
from hepatica.core.message import Message
from hepatica.core.options import options
from hepatica.core.resample import resample
from hepatica.errors import InputError, NothingDrawnError

Wanted = Literal["body", "lungs", "liver", "spleen", "spine", "kidneys"]

KINDS = {
    "body": Structure.BODY,
    "lung left": Structure.LUNG_LEFT,
    "lung right": Structure.LUNG_RIGHT,
    "liver": Structure.LIVER,
    "spleen": Structure.SPLEEN,
    "spine": Structure.SPINE,
    "kidney left": Structure.KIDNEY,
    "kidney right": Structure.KIDNEY,
}
"""What each proposed structure is, by its name."""

NO_UPTAKE = LiverUptake(None)

PROPOSED = "proposed by hepatica, not checked"

KEEP_OFF_MM = 2.0
"""The next organ begins this far from one that was found."""

LUNG_LESS_HU = -200.0
"""A CT whose lowest numbers are above this holds no air, and is no CT in HU."""


@options
class SegmentationOptions:
    """What is looked for.

    Attributes
    ----------
    structures : tuple of {"body", "lungs", "liver", "spleen", "spine", "kidneys"}
        Structures to propose.
    """

    structures: tuple[Wanted, ...] = ("body", "lungs", "liver")

    def __post_init__(self) -> None:
        if not self.structures:
            raise InputError("no structure is asked for", remedy="name one in `structures`")


@dataclass(frozen=True, slots=True, eq=False)
class Proposed:
    """Structures proposed on one CT.

    Attributes
    ----------
    regions : tuple of Region
        On the grid of the CT; without overlaps but for the body.
    quality : tuple of StructureQuality
        One for each.
    not_found : tuple of str
        Names of what was asked for and is not proposed.
    messages : tuple of Message
        What the reader must know.
    """

    regions: tuple[Region, ...]
    quality: tuple[StructureQuality, ...]
    not_found: tuple[str, ...]
    messages: tuple[Message, ...]


@dataclass(slots=True)
class _Search:
    """Found so far."""

    ct: Volume
    found: dict[str, tuple[Region, Mask | None, Grown | None]]
    not_found: list[str]
    messages: list[Message]

    def keep(self, region: Region, mask: Mask | None = None, grown_organ: Grown | None = None) -> None:
        if region.is_empty:
            self.miss(region.name, "nothing of it is left on the CT's own voxels")
            return
        coded = with_codes(region, KINDS[region.name])
        self.found[region.name] = (coded, mask, grown_organ)

    def miss(self, name: str, why: str) -> None:
        self.not_found.append(name)
        self.messages.append(Message("structure-not-found", f"no {name} is proposed: {why}", "draw it by hand"))


def propose(
    ct: Volume,
    options: SegmentationOptions | None = None,
    *,
    uptake: Volume | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Proposed:
    """Propose structures on a CT.

    Parameters
    ----------
    ct : Volume
        CT in HU, any orientation, with or without contrast agent.
    options : SegmentationOptions
        What is looked for.
    uptake : Volume, optional
        SPECT or PET in the frame of reference of the CT whose uptake shows (a part of) the liver.
    progress : callable
        Told what is being looked for.

    Raises
    ------
    UnitError
        If the CT is not in HU, the uptake is no uptake, or a voxel is undefined.
    GeometryError
        If nothing is a body, or the frames of reference differ.
    InputError
        If the image is no CT of a trunk.
    NothingDrawnError
        If nothing that was asked for is found.
    """
    wanted = (options or SegmentationOptions()).structures
    require_ct(ct)
    search = _Search(ct, {}, [], [])
    if {"body", "lungs"} & set(wanted):
        progress("body and lungs")
        _add_body_and_lungs(search, wanted)
    if set(wanted) - {"body", "lungs"}:
        require_trunk_orientation(ct)
        torso = torso_of(ct)
        _add_organs(search, torso, wanted, uptake, progress)
    else:
        torso = None
        if uptake is not None:
            text = "the uptake was not looked at: it shows the liver, which was not asked for"
            search.messages.append(Message("uptake-not-used", text, severity="note"))
    if not search.found:
        raise NothingDrawnError(
            f"{ct.name or 'CT'}: nothing that was asked for is found; {'; '.join(m.text for m in search.messages)}",
            names=search.not_found,
        )
    regions, overlaps = without_conflicts([region for region, _, _ in search.found.values()])
    quality = []
    for region in regions:
        _, mask, grown_organ = search.found[region.name]
        brightness = None if grown_organ is None else grown_organ.brightness
        quality.append(quality_of(region, KINDS[region.name], torso=torso, mask=mask, brightness=brightness))
    judged = with_kidneys_compared(quality)
    doubts = [message for item in judged for message in item.messages()]
    return Proposed(regions, judged, tuple(search.not_found), (*search.messages, *overlaps, *doubts))


def require_ct(ct: Volume) -> None:
    """UnitError or InputError unless values are those of a CT: in HU, with air.

    Raises
    ------
    UnitError
        If the volume is not in HU or holds undefined voxels.
    InputError
        If nothing in it is as dark as air, or nearly all is: an MR, or a CT not in HU.
    """
    ct.require_kind(Kind.HU)
    ct.require_finite()
    # Every fourth voxel along each axis tells as much, in a sixty-fourth of the time.
    some = ct.values[::4, ::4, ::4]
    low, high = (float(v) for v in np.percentile(some, [1, 99.9]))
    if low > LUNG_LESS_HU or high < -300 or high > 20000:
        raise InputError(
            f"{ct.name or 'CT'}: values run from {low:.0f} to {high:.0f}; a CT in Hounsfield units has air "
            "(about -1000) and tissue (about 0 to 100): is it an MR, or not in Hounsfield units?",
            remedy="give the CT; register an MR to it and draw there",
        )


def _add_body_and_lungs(search: _Search, wanted: Sequence[str]) -> None:
    body = body_region(search.ct)
    if "body" in wanted:
        search.keep(_proposed(body))
    if "lungs" in wanted:
        lungs = lung_regions(search.ct, body)
        for name in ("lung left", "lung right"):
            found = next((lung for lung in lungs if lung.name == name), None)
            if found is None:
                search.miss(name, "no large pocket of lung inside the body")
            elif doubt := lung_doubt(found, search.ct):
                search.miss(name, doubt)
            else:
                search.keep(_proposed(found))


def _add_organs(
    search: _Search, torso: Torso, wanted: Sequence[str], uptake: Volume | None, progress: Callable[[str], None]
) -> None:
    if not torso.has_diaphragm:
        text = (
            "no lung ends in the image: without the diaphragm the liver's upper border, and what is liver, is less sure"
        )
        search.messages.append(Message("no-diaphragm", text, "look at the contours, or give a CT that shows the lungs"))
    progress("liver")
    seed = NO_UPTAKE if uptake is None else _seed(search, torso, uptake)
    # The liver is looked for in any case: its neighbours end where it begins.
    liver = find_liver(torso, seed.mask, seed.evidence)
    taken = np.zeros(torso.grid.shape, dtype=bool)
    if liver is not None:
        taken |= grown(liver.mask, KEEP_OFF_MM, torso.grid.spacing_mm[0])
        if "liver" in wanted:
            how = "CT and uptake" if seed.mask is not None else "CT"
            _keep_refined(search, torso, "liver", (liver.probability, liver.mask, liver.grown), how)
    elif "liver" in wanted:
        search.miss("liver", "no tissue like liver in its place below the right lung")
    spine = find_spine(torso)
    if spine is not None:
        taken |= spine
    if "spine" in wanted:
        if spine is None:
            search.miss("spine", "no bone in its place")
        else:
            covered = Volume(torso.grid, spine.astype(np.float32), Kind.FRACTION)
            search.keep(_region("spine", search.ct, resample(covered, search.ct.grid, "linear"), "CT"), spine)
    _add_soft_organs(search, torso, wanted, taken, progress)


def _add_soft_organs(
    search: _Search, torso: Torso, wanted: Sequence[str], taken: Mask, progress: Callable[[str], None]
) -> None:
    """Spleen and kidneys beside what is `taken`; the spleen is looked for before kidneys, which end where it begins."""
    soft = (["spleen"] if "spleen" in wanted or "kidneys" in wanted else []) + (
        ["kidney left", "kidney right"] if "kidneys" in wanted else []
    )
    for name in soft:
        progress(name)
        organ = find_spleen(torso, taken) if name == "spleen" else find_kidney(torso, name.split()[1], taken)
        if organ is not None:
            taken = taken | grown(organ.mask, KEEP_OFF_MM, torso.grid.spacing_mm[0])
        if name == "spleen" and "spleen" not in wanted:
            continue
        if organ is None:
            search.miss(name, "nothing in its place stands out from what is around it")
            continue
        if name != "spleen" and (doubt := kidney_doubt(torso, organ.mask, organ.grown.brightness)):
            search.miss(name, doubt)
            continue
        probability = np.where(organ.mask, np.maximum(organ.grown.probability, np.float32(0.6)), np.float32(0))
        _keep_refined(search, torso, name, (probability, organ.mask, organ.grown), "CT")


def _keep_refined(search: _Search, torso: Torso, name: str, found: tuple[np.ndarray, Mask, Grown], how: str) -> None:
    probability, mask, grown_organ = found
    fine = refined(search.ct, torso.grid, probability, grown_organ.brightness)
    search.keep(_region(name, search.ct, fine, how), mask, grown_organ)


def _region(name: str, ct: Volume, fraction: Volume, how: str) -> Region:
    return _proposed(Region.from_coverage(name, ct.grid, fraction.values > 0.5, origin=how))


def _proposed(region: Region) -> Region:
    """The same, its origin saying that nobody has checked it."""
    return replace(region, origin=f"{PROPOSED}; from {region.origin}")


def _seed(search: _Search, torso: Torso, uptake: Volume) -> LiverUptake:
    shown = liver_uptake(uptake, torso)
    if shown.mask is None:
        text = f"the uptake is no help to find the liver: {shown.why_not}; it is looked for on the CT alone"
        search.messages.append(Message("uptake-not-used", text, "check that image and CT lie together"))
    return shown
