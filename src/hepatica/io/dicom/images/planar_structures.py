"""Structures on planar views, and from one view onto the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from hepatica.anatomy.structures.clinical import Structure, union
from hepatica.anatomy.structures.drawn import LUNGS
from hepatica.core import InputFile, Region
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.tables.sources import StructureSource
from hepatica.errors import GeometryError, InputError
from hepatica.io.dicom.images.planar import VIEWS, PlanarFile, PlanarView
from hepatica.io.structures.regions import drawn_structures
from hepatica.io.structures.structures import onto_grid

PlanarSource = Path | str | Image | PlanarFile
"""Planar views: an NM file or a folder of them, an image with one plane for each view, or what `read_planar` gives."""

CLEARLY = 0.1
"""Difference of correlation coefficients above which the other orientation fits the anterior view better; uncertain."""

Drawn = tuple[Region, Region, Region | None]
"""Lungs, liver and background on one view."""


def drawn_on(
    view: PlanarView, file: PlanarFile, source: StructureSource, roles: Mapping[str, str] | None
) -> tuple[Drawn | None, tuple[InputFile, ...]]:
    """The structures on a view (None if none is drawn on it), and the file they are from."""
    found = drawn_structures(source, file.image, roles, all_here=False)
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


def carry_over(views: tuple[PlanarView, PlanarView], drawn: list[Drawn | None], stated: str | None) -> list[Message]:
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
