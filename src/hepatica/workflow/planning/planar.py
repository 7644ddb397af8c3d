"""Lung shunt from planar files: which view is which, and where the regions lie on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hepatica.anatomy.structures.clinical import Structure, structure_of, union
from hepatica.core import InputFile, Region
from hepatica.errors import GeometryError, InputError
from hepatica.io.dicom.images.planar import VIEWS, PlanarFile, PlanarView, anterior_and_posterior, read_planar
from hepatica.io.regions import read_structures
from hepatica.planning.scout.lung_shunt import PlanarOptions, planar_lung_shunt, view_counts
from hepatica.workflow.planning.scout import LUNG_KINDS, ShuntAnswer

POSTERIOR = ("as-seen", "mirrored")
"""How a posterior view is stored: as the camera sees it from behind, or already flipped onto the anterior view."""

CLEARLY = 0.1
"""Difference of correlation coefficients above which the other orientation fits the anterior view better; uncertain."""

Drawn = tuple[Region, Region, Region | None]
"""Lungs, liver and background on one view."""


@dataclass(frozen=True, slots=True)
class PlanarFiles:
    """What a planar lung shunt is taken from.

    Attributes
    ----------
    images : sequence of Path
        Files of the views, or a folder of them.
    regions : sequence of Path
        One file with structures on the frames of the first image, or one per image.
    views : sequence of str or None
        "ant" or "post" per frame, where the header does not say.
    posterior : str or None
        "as-seen" or "mirrored"; needed where regions are drawn on one view only and the header does not say.
    energy_window : int or None
        From 1, where the files hold several.
    unit : str or None
        Of a NIfTI or MetaImage.
    kinds : mapping
        What a structure is, where its name does not say.
    """

    images: Sequence[Path]
    regions: Sequence[Path]
    views: Sequence[str] | None = None
    posterior: str | None = None
    energy_window: int | None = None
    unit: str | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)


def planar_shunt(given: PlanarFiles, options: PlanarOptions | None = None) -> ShuntAnswer:
    """Lung shunt from an anterior and a posterior view.

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
    if given.posterior not in (None, *POSTERIOR):
        raise InputError(f"posterior {given.posterior!r}: write {' or '.join(POSTERIOR)}")
    files = read_planar(given.images, unit=given.unit, energy_window=given.energy_window)
    views = anterior_and_posterior(files, given.views)
    drawn = [_drawn_on(view, files, given) for view in views]
    warnings = [str(m) for file in files for m in file.image.messages]
    if drawn[0] is None and drawn[1] is None:
        raise InputError("the planar regions must name the lungs and one liver on at least one of the two views")
    for n in (0, 1):
        source = drawn[1 - n]
        if drawn[n] is None and source is not None:
            flip, said = _flip(views, given.posterior)
            drawn[n] = _carried(source, views[n], flip=flip)
            warnings += [f"regions of the other view are carried over to the {VIEWS[n]} view, {said}"]
            warnings += _misfit(views, flip=flip)
    if views[0].file != views[1].file and views[0].duration_s is None and views[1].duration_s is None:
        warnings += ["the views are two files without ActualFrameDuration: they are taken to have lasted equally long"]
    counted = [
        view_counts(view.image, *on, duration_s=view.duration_s)
        for view, on in zip(views, drawn, strict=True)
        if on is not None
    ]
    options = options or PlanarOptions()
    if options.half_life_s is None and views[0].half_life_s is not None:
        options = replace(options, half_life_s=views[0].half_life_s)
    shunt = planar_lung_shunt(counted[0], counted[1], options)
    inputs = (*(f.image.source for f in files), *(InputFile.of("regions", path) for path in given.regions))
    return ShuntAnswer(shunt, None, None, (), tuple(warnings), inputs)


def _drawn_on(view: PlanarView, files: Sequence[PlanarFile], given: PlanarFiles) -> Drawn | None:
    """The structures on a view; None if none is drawn on it."""
    if len(given.regions) not in (1, len(files)):
        raise InputError(f"{len(given.regions)} files of regions for {len(files)} planar files: give one, or one each")
    if view.file >= len(given.regions):
        return None
    found = {r.name: r for r in read_structures(given.regions[view.file], files[view.file].image).regions}
    on = {name: _plane(region, view.frame) for name, region in found.items()}
    on = {name: region for name, region in on.items() if not region.is_empty}
    kinds = {name: structure_of(name, given.kinds) for name in on}
    lungs = [on[name] for name, kind in kinds.items() if kind in LUNG_KINDS]
    livers = [on[name] for name, kind in kinds.items() if kind is Structure.LIVER]
    if not lungs and not livers:
        return None
    if not lungs or len(livers) != 1:
        raise InputError(
            f"{given.regions[view.file]}: the regions on frame {view.frame + 1} must name the lungs and one liver"
        )
    background = [on[name] for name in on if name.lower().startswith("background")]
    if len(background) > 1:
        raise InputError(f"several backgrounds are drawn: {', '.join(region.name for region in background)}")
    return union(lungs), livers[0], background[0] if background else None


def _plane(region: Region, k: int) -> Region:
    window = (slice(0, region.grid.shape[0]), slice(0, region.grid.shape[1]), slice(k, k + 1))
    return Region.from_coverage(region.name, region.grid.crop(window), region.full()[window])


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
        "the regions are drawn on one view, and DetectorInformationSequence/ImageOrientationPatient does not say how "
        "the posterior view is stored; draw them on both views, or state --posterior as-seen (from behind) or mirrored"
    )


def _carried(source: Drawn, onto: PlanarView, *, flip: bool) -> Drawn:
    grid = onto.image.grid
    if source[0].grid.shape != grid.shape or not np.allclose(source[0].grid.spacing_mm, grid.spacing_mm, rtol=1e-3):
        raise GeometryError("the two planar views have different matrices or pixel sizes: draw the regions on both")

    def moved(region: Region) -> Region:
        coverage = region.full()
        return Region.from_coverage(region.name, grid, coverage[::-1] if flip else coverage)

    lungs, liver, background = source
    return moved(lungs), moved(liver), None if background is None else moved(background)


def _misfit(views: tuple[PlanarView, PlanarView], *, flip: bool) -> list[str]:
    """A warning if the posterior view looks more like the anterior one the other way round."""
    a, p = (view.image.values[:, :, 0].astype(np.float64) for view in views)
    if a.std() == 0 or p.std() == 0:
        return []
    same, flipped = (float(np.corrcoef(a.ravel(), other.ravel())[0, 1]) for other in (p, p[::-1]))
    taken, other = (flipped, same) if flip else (same, flipped)
    if other - taken <= CLEARLY:
        return []
    text = (
        f"the posterior view fits the anterior one better the other way round (correlation {other:.2f} against "
        f"{taken:.2f}): check whether it is stored as seen from behind or mirrored"
    )
    return [text]
