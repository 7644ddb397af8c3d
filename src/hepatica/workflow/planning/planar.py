"""Planar views for the lung shunt: which is which, and where the structures lie on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from hepatica.core import InputFile
from hepatica.core.message import Message
from hepatica.core.options import Limits, NonNegative, options
from hepatica.errors import InputError
from hepatica.io.dicom.images.planar import PlanarFile, anterior_and_posterior, read_planar
from hepatica.io.dicom.images.planar_structures import Drawn, PlanarSource, carry_over, drawn_on
from hepatica.io.dicom.planar.overlays import overlay_regions
from hepatica.io.dicom.tags import open_dicom
from hepatica.io.itk import is_itk_file
from hepatica.planning.scout.lung_shunt import PlanarShuntOptions, view_counts
from hepatica.planning.scout.lung_shunt import PlanarView as ViewCounts
from hepatica.planning.scout.scan import ScoutOptions
from hepatica.workflow.sources import StructureSource


@options
class PlanarViewOptions:
    """Planar views, or their counts in place of images.

    Attributes
    ----------
    view_order : tuple of {"anterior", "posterior"}
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

    view_order: tuple[Literal["anterior", "posterior"], ...] = ()
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
    liver and, if there is one, a region whose name starts with "background"; without `structures` they are the overlay
    planes of the NM files. Drawn on one view only, they are carried
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
    of_file: Sequence[StructureSource | None] = list(structures) or [_overlays(file) for file in files]
    if structures and len(structures) not in (1, len(files)):
        raise InputError(
            f"{len(structures)} sets of structures for {len(files)} planar files",
            remedy="give one set of `structures`, or one for each file",
        )
    views = anterior_and_posterior(files, given.view_order or None)
    messages = [message for file in files for message in file.image.messages]
    inputs = [file.image.source for file in files]
    drawn: list[Drawn | None] = [None, None]
    for n, view in enumerate(views):
        own = of_file[view.file] if view.file < len(of_file) else None
        if own is not None:
            drawn[n], read = drawn_on(view, files[view.file], own, reading.structure_roles)
            inputs += [file for file in read if file not in inputs]
    messages += carry_over(views, drawn, given.posterior)
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


def _overlays(file: PlanarFile) -> StructureSource | None:
    """Overlay planes of an NM file; None where there are none, or the views are no DICOM."""
    if not file.path.is_file() or is_itk_file(file.path):
        return None
    return overlay_regions(open_dicom(file.path), file.image.grid) or None
