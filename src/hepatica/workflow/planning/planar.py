"""Planar views for the lung shunt: which is which, and where the structures lie on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from hepatica.anatomy.structures.clinical import Structure, union
from hepatica.core import InputFile, Region
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.options import Limits, NonNegative, options
from hepatica.errors import GeometryError, InputError
from hepatica.io.dicom.images.planar import VIEWS, PlanarFile, PlanarView, anterior_and_posterior, read_planar
from hepatica.io.structures import onto_grid
from hepatica.planning.scout.lung_shunt import PlanarShuntOptions, view_counts
from hepatica.planning.scout.lung_shunt import PlanarView as ViewCounts
from hepatica.workflow.planning.scout import ScoutOptions
from hepatica.workflow.planning.structures import LUNGS, drawn_structures
from hepatica.workflow.sources import StructureSource

PlanarSource = Path | str | Image | PlanarFile
"""Planar views: an NM file or a folder of them, an image with one plane for each view, or what `read_planar` gives."""

CLEARLY = 0.1
"""Difference of correlation coefficients above which the other orientation fits the anterior view better; uncertain."""

Drawn = tuple[Region, Region, Region | None]
"""Lungs, liver and background on one view."""


@options
class PlanarViewOptions:
    """Planar views, or their counts in place of images.

    Attributes
    ----------
    views : tuple of {"anterior", "posterior"}
        What each frame is, in the order of files and frames, where ViewCodeSequence does not say.
    posterior : {"as-seen", "mirrored"} or None
        How the posterior view is stored, for structures drawn on one view: as the camera sees it from behind, or
        flipped onto the anterior view.
    energy_window : int or None
        Which of several energy windows, from 1.
    lung_counts : tuple of float or None
        In place of images: counts in the lungs, 'anterior,posterior'.
    liver_counts : tuple of float or None
        The same for the liver.
    corrections : PlanarShuntOptions
        How counts are corrected.
    """

    views: tuple[Literal["anterior", "posterior"], ...] = ()
    posterior: Literal["as-seen", "mirrored"] | None = None
    energy_window: Annotated[int, Limits(low=1)] | None = None
    lung_counts: tuple[NonNegative, NonNegative] | None = None
    liver_counts: tuple[NonNegative, NonNegative] | None = None
    corrections: PlanarShuntOptions = PlanarShuntOptions()

    def __post_init__(self) -> None:
        if (self.lung_counts is None) != (self.liver_counts is None):
            raise InputError("give both `lung_counts` and `liver_counts`, or neither")


@dataclass(frozen=True, slots=True)
class ViewPair:
    """Counts of both views, and how they are to be corrected."""

    anterior: ViewCounts
    posterior: ViewCounts
    corrections: PlanarShuntOptions
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()


def counted_views(given: PlanarViewOptions) -> ViewPair:
    """The two views from counts that were read off elsewhere."""
    pairs = zip(given.lung_counts or (), given.liver_counts or (), strict=True)
    anterior, posterior = (ViewCounts(lungs, liver, 1.0, 1.0) for lungs, liver in pairs)
    return ViewPair(anterior, posterior, given.corrections)


def views_of(
    planar: PlanarSource | Sequence[PlanarSource],
    structures: Sequence[StructureSource],
    reading: ScoutOptions,
    given: PlanarViewOptions,
) -> ViewPair:
    """Counts of an anterior and a posterior view.

    The views are told apart by DetectorInformationSequence/ViewCodeSequence, or as stated. The structures are lungs,
    liver and, if there is one, a region whose name starts with "background". Drawn on one view only, they are carried
    over to the other: flipped left to right where the posterior view is stored as seen from behind, as they are where
    it is stored mirrored. Both heads are then taken to see the same field, centred on each other.

    Raises
    ------
    DicomError
        If the header does not say which view is which and nothing is stated.
    InputError
        If structures are missing, or what is stated contradicts the header.
    """
    several = isinstance(planar, Sequence) and not isinstance(planar, str)
    sources: Sequence[PlanarSource] = planar if several else [planar]  # type: ignore[assignment, list-item]
    files = read_planar(sources, unit=reading.activity_unit, energy_window=given.energy_window)
    if len(structures) not in (1, len(files)):
        raise InputError(
            f"{len(structures)} sets of structures for {len(files)} planar files",
            remedy="give one set of `structures`, or one for each file",
        )
    views = anterior_and_posterior(files, given.views or None)
    messages = [message for file in files for message in file.image.messages]
    inputs = [file.image.source for file in files]
    drawn: list[Drawn | None] = [None, None]
    for n, view in enumerate(views):
        if view.file < len(structures):
            drawn[n], read = _drawn_on(view, files[view.file], structures[view.file], reading)
            inputs += [file for file in read if file not in inputs]
    messages += _carry_over(views, drawn, given.posterior)
    if views[0].file != views[1].file and views[0].duration_s is None and views[1].duration_s is None:
        text = "the views are two files without ActualFrameDuration: they are taken to have lasted equally long"
        messages.append(Message("view-durations-unknown", text))
    anterior, posterior = (
        view_counts(view.image, *on, duration_s=view.duration_s)
        for view, on in zip(views, drawn, strict=True)
        if on is not None
    )
    corrections = given.corrections
    if corrections.half_life_s is None and views[0].half_life_s is not None:
        corrections = replace(corrections, half_life_s=views[0].half_life_s)
    return ViewPair(anterior, posterior, corrections, tuple(messages), tuple(inputs))


def _drawn_on(
    view: PlanarView, file: PlanarFile, source: StructureSource, reading: ScoutOptions
) -> tuple[Drawn | None, tuple[InputFile, ...]]:
    """The structures on a view (None if none is drawn on it), and the file they are from."""
    found = drawn_structures(source, file.image, reading.structure_roles, all_here=False)
    planes = {name: _plane(onto_grid(region, file.image.grid)[0], view.frame) for name, region in found.regions.items()}
    here = replace(found, regions={name: region for name, region in planes.items() if not region.is_empty})
    lungs, livers = here.of(*LUNGS), here.of(Structure.LIVER)
    if not lungs and not livers:
        return None, found.inputs
    if not lungs or len(livers) != 1:
        raise InputError(f"the structures on frame {view.frame + 1} of {file.path} must name the lungs and one liver")
    background = [region for name, region in here.regions.items() if name.lower().startswith("background")]
    if len(background) > 1:
        raise InputError(f"several backgrounds are drawn: {', '.join(region.name for region in background)}")
    return (union(lungs), livers[0], background[0] if background else None), found.inputs


def _plane(region: Region, k: int) -> Region:
    window = (slice(0, region.grid.shape[0]), slice(0, region.grid.shape[1]), slice(k, k + 1))
    return Region.from_coverage(region.name, region.grid.crop(window), region.full()[window])


def _carry_over(views: tuple[PlanarView, PlanarView], drawn: list[Drawn | None], stated: str | None) -> list[Message]:
    """Carry what is drawn on one view only over to the other; what must be known about it."""
    if drawn[0] is None and drawn[1] is None:
        raise InputError("the planar structures must name the lungs and one liver on at least one of the two views")
    messages = []
    for n in (0, 1):
        source = drawn[1 - n]
        if drawn[n] is None and source is not None:
            flip, reason = _flip(views, stated)
            drawn[n] = _carried(source, views[n], flip=flip)
            text = f"structures of the other view are carried over to the {VIEWS[n]} view, {reason}"
            messages += [Message("structures-carried-over", text), *_misfit(views, flip=flip)]
    return messages


def _flip(views: tuple[PlanarView, PlanarView], stated: str | None) -> tuple[bool, str]:
    """Whether left and right change places between the views, and who says so.

    Rows in opposite directions prove a view as seen from behind. Equal directions prove nothing: cameras write the same
    orientation for both heads whatever they store.
    """
    directions = [view.row_to_left for view in views]
    opposite = None not in directions and directions[0] != directions[1]
    if stated == "mirrored" and opposite:
        raise InputError(
            "the posterior view is stated as mirrored, but ImageOrientationPatient of the detectors says that its rows "
            "run against those of the anterior view (as seen from behind)"
        )
    if stated is not None:
        return stated == "as-seen", f"posterior view {stated} as stated"
    if opposite:
        return True, "flipped left to right by ImageOrientationPatient of the detectors"
    raise InputError(
        "the structures are drawn on one view, and DetectorInformationSequence/ImageOrientationPatient does not say "
        "how the posterior view is stored",
        remedy="draw them on both views, or state `posterior`: as-seen (from behind) or mirrored",
    )


def _carried(source: Drawn, onto: PlanarView, *, flip: bool) -> Drawn:
    grid = onto.image.grid
    if source[0].grid.shape != grid.shape or not np.allclose(source[0].grid.spacing_mm, grid.spacing_mm, rtol=1e-3):
        raise GeometryError("the two planar views have different matrices or pixel sizes: draw the structures on both")

    def moved(region: Region) -> Region:
        coverage = region.full()
        return Region.from_coverage(region.name, grid, coverage[::-1] if flip else coverage)

    lungs, liver, background = source
    return moved(lungs), moved(liver), None if background is None else moved(background)


def _misfit(views: tuple[PlanarView, PlanarView], *, flip: bool) -> list[Message]:
    """A message if the posterior view looks more like the anterior one the other way round."""
    a, p = (view.image.values[:, :, 0].astype(np.float64) for view in views)
    if a.std() == 0 or p.std() == 0:
        return []
    same, flipped = (float(np.corrcoef(a.ravel(), other.ravel())[0, 1]) for other in (p, p[::-1]))
    taken, other = (flipped, same) if flip else (same, flipped)
    if other - taken <= CLEARLY:
        return []
    text = (
        f"the posterior view fits the anterior one better the other way round (correlation {other:.2f} against "
        f"{taken:.2f})"
    )
    return [Message("posterior-the-other-way", text, "check whether it is stored as seen from behind or mirrored")]
