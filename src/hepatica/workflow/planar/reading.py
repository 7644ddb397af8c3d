"""Planar views of one or several times, and the structures that are drawn on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.clinical import STRUCTURE_ROLES_TEXT, Structure, require_roles
from hepatica.core import InputFile, Region
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.options import Limits, options
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.planar.views import PlanarViews
from hepatica.imaging.spect.camera.cameras import window_sets
from hepatica.imaging.spect.projections import Window
from hepatica.io.dicom.images.planar import PlanarFile, read_planar
from hepatica.io.dicom.planar.overlays import overlay_regions
from hepatica.io.dicom.planar.views import ReadViews, ViewOptions, opposed_views
from hepatica.io.dicom.tags import open_dicom
from hepatica.io.itk import is_itk_file
from hepatica.io.structures.regions import drawn_structures
from hepatica.io.structures.structures import onto_grid
from hepatica.nuclides import Nuclide
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.workflow.sources import StructureSource

FloatArray = NDArray[np.float64]
PlanarInput = Path | str | Image | PlanarFile | PlanarViews
"""Planar NM file or a folder of them, an image with one plane for each view, or views as values."""

BACKGROUND = "background"

LEAST_ADDED = 0.01
"""Of a drawn body, what other regions add to it, from which on it is said: less is a border. Our choice."""


@options
class PlanarReadingOptions:
    """What planar files do not say.

    Attributes
    ----------
    nuclide : str or None
        Where the files do not name it.
    accept_nuclide : bool
        Take the stated nuclide although the header names another one.
    view_order : tuple of {"anterior", "posterior"}
        What each view is, in the order of files and frames of one time, where ViewCodeSequence does not say.
    posterior : {"as-seen", "mirrored"} or None
        How the posterior view is stored: as the camera sees it from behind, or flipped onto the anterior view.
    energy_window : int or None
        The photopeak's window, from 1; the nuclide's usual one if not given.
    structure_roles : mapping of str to str or None
        What a structure is, where its name does not say: liver, tumour, lung, kidney.
    ct_series : str or None
        SeriesInstanceUID of the CT, if a folder holds several.
    """

    nuclide: str | None = None
    accept_nuclide: bool = False
    view_order: tuple[Literal["anterior", "posterior"], ...] = ()
    posterior: Literal["as-seen", "mirrored"] | None = None
    energy_window: Annotated[int, Limits(low=1)] | None = None
    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None
    ct_series: str | None = None

    def __post_init__(self) -> None:
        require_roles(self.structure_roles)


@dataclass(frozen=True, slots=True, eq=False)
class TimeOfViews:
    """Views of one time: as values, and as they were read where they are from files.

    `named` holds the place of each file among those that were named, in whatever order they were acquired.
    """

    views: PlanarViews
    read: ReadViews | None = None
    named: tuple[int, ...] = ()

    @property
    def inputs(self) -> tuple[InputFile, ...]:
        """Files."""
        return () if self.read is None else self.read.inputs


def usual_window(nuclide: Nuclide) -> Window:
    """The photopeak in which a nuclide is usually counted."""
    return window_sets(nuclide)[0].peaks[0]


def times_of(
    planar: PlanarInput | Sequence[PlanarInput],
    reading: PlanarReadingOptions,
    dwell_s: float | None,
    *,
    unit: str | None = None,
    window: Window | None = None,
    shares_alone: bool = False,
) -> list[TimeOfViews]:
    """Views by time, the first first.

    A file with both views is a time; files of one view each are paired in the order of their acquisition.

    Parameters
    ----------
    planar : path, Image, views, or several
        Files, or values.
    reading : PlanarReadingOptions
        What files do not say.
    dwell_s : float or None
        Time for which a point of a scan was in view, where it is stated.
    unit : str, optional
        What a pixel of a file that is no DICOM holds.
    window : Window, optional
        Energy window of files that state none; that of the nuclide in their header goes before it.
    shares_alone : bool
        Whether only shares within each time count; see `ViewOptions`.

    Raises
    ------
    InputError
        If there are none, or views are of several patients.
    """
    several: Any = planar if isinstance(planar, Sequence) and not isinstance(planar, str) else [planar]
    values = [item for item in several if isinstance(item, PlanarViews)]
    if values:
        if len(values) < len(several):
            raise InputError("planar views are all values, or all files")
        return _apart([TimeOfViews(value) for value in values])
    files = read_planar(list(several), unit=unit, all_windows=True)
    if shares_alone and window is None:
        names = {file.image.acquisition.nuclide for file in files} - {None}
        if not names:
            raise InputError("the planar files do not name the nuclide of the views", remedy="state `imaged_nuclide`")
        window = usual_window(find_nuclide(str(*names))) if len(names) == 1 else None
    ordered = sorted(
        enumerate(files), key=lambda one: (one[1].image.volume.time is not None, str(one[1].image.volume.time))
    )
    groups: list[list[PlanarFile]] = []
    named: list[tuple[int, ...]] = []
    for place, file in ordered:
        if groups and _single(file) and _completes(groups[-1], file):
            groups[-1].append(file)
            named[-1] += (place,)
        else:
            groups.append([file])
            named.append((place,))
    asked = ViewOptions(reading.view_order, reading.posterior, dwell_s, window, shares_alone)
    found = [opposed_views(group, asked) for group in groups]
    if not found:
        raise InputError("there are no planar views")
    return _apart([TimeOfViews(one.views, one, places) for one, places in zip(found, named, strict=True)])


def _apart(times: list[TimeOfViews]) -> list[TimeOfViews]:
    """Times as they are; InputError where two began at one instant."""
    for first, second in pairwise(times):
        if first.views.time is not None and first.views.time == second.views.time:
            names = [", ".join(f.path.name for f in one.read.files) if one.read else "views" for one in (first, second)]
            raise InputError(
                f"{names[0]} and {names[1]} both began at {first.views.time}: they are one time, or one file twice",
                remedy="give each time once; files of one view each need ViewCodeSequence, or `view_order`",
            )
    return times


def nuclide_of(views: Sequence[TimeOfViews], reading: PlanarReadingOptions) -> tuple[Nuclide, tuple[Message, ...]]:
    """What emits, and that the headers' nuclide is overridden, where it is.

    Raises
    ------
    InputError
        If neither files nor user name one, or they contradict each other.
    """
    named = {one.read.nuclide: one.read.files[0].path for one in views if one.read is not None and one.read.nuclide}
    if len(named) > 1:
        raise InputError(f"the planar views are of several nuclides: {', '.join(sorted(map(str, named)))}")
    found, where = next(iter(named.items()), (None, None))
    wanted = reading.nuclide or found
    if wanted is None:
        raise InputError("the planar files do not name the nuclide", remedy="state `nuclide`")
    chosen = find_nuclide(wanted)
    if found in (None, chosen.name):
        return chosen, ()
    if not reading.accept_nuclide:
        raise InputError(
            f"{where}: the header says {found}, asked for is {chosen.name}",
            remedy="use the right views, or state `accept_nuclide` if the header is wrong",
        )
    return chosen, (Message("nuclide-overridden", f"the header's {found} is overridden by {chosen.name}"),)


def _single(file: PlanarFile) -> bool:
    return len([v for v in file.views if v.window == file.views[0].window]) == 1


def _completes(group: Sequence[PlanarFile], file: PlanarFile) -> bool:
    """Whether a file of one view is the other view of a group."""
    if len(group) != 1 or not _single(group[0]):
        return False
    first, other = group[0].views[0].view, file.views[0].view
    return first is None or other is None or first != other


def photopeak(views: PlanarViews, nuclide: Nuclide, stated: int | None) -> int:
    """Number (from 0) of the photopeak's window.

    Raises
    ------
    InputError
        If there is no such window, or several or none could be it.
    """
    listed = ", ".join(f"{n}: {w}" for n, w in enumerate(views.windows, start=1))
    if stated is not None:
        if stated > len(views.windows):
            raise InputError(f"there is no energy window {stated}; the views have {listed}")
        return stated - 1
    if len(views.windows) == 1:
        return 0
    peaks = [peak for one in window_sets(nuclide) for peak in one.peaks]
    near = [n for peak in peaks for n, w in enumerate(views.windows) if w.is_near(peak)]
    if near:
        return near[0]
    around = [n for n, w in enumerate(views.windows) if w.low_kev < peaks[0].centre_kev < w.high_kev]
    if len(around) != 1:
        raise InputError(
            f"{len(around)} energy windows hold {peaks[0].centre_kev:.0f} keV, the peak of {nuclide.name}; the views "
            f"have {listed}",
            remedy="choose one (`energy_window`)",
        )
    return around[0]


@dataclass(frozen=True, slots=True, eq=False)
class DrawnOnViews:
    """Structures drawn on planar views, both views as the anterior one is seen, arrays (views, x, z)."""

    regions: Mapping[str, FloatArray]
    roles: Mapping[str, Structure]
    background: FloatArray | None
    body: FloatArray | None = None
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()


def drawn_on_views(
    time: TimeOfViews, sources: Sequence[StructureSource], roles: Mapping[str, str] | None
) -> DrawnOnViews:
    """What is drawn on the views of a time: on both, or on one and carried over to the other; overlays of the files.

    Raises
    ------
    InputError
        If nothing is drawn, or the views are values.
    """
    read = time.read
    if read is None:
        raise InputError("structures drawn on views belong to files", remedy="give the planar files, or a CT")
    found, what, notes, inputs = _planes(read, time.named, sources, roles)
    if not found:
        raise InputError(
            "no structures are drawn on the planar views", remedy="give `structures` drawn on them, or a `ct` with its"
        )
    sides = time.views.sides
    _require_on_both(found, sides)
    carried = sorted({side for by in found.values() for side in sides if side not in by})
    if carried:
        text = f"structures of one view are carried over to the {' and '.join(carried)} view"
        notes.append(Message("structures-carried-over", text, severity="note"))
    stacked = {name: np.stack([by.get(side, next(iter(by.values()))) for side in sides]) for name, by in found.items()}
    background = [name for name in stacked if name.lower().startswith(BACKGROUND)]
    if len(background) > 1:
        raise InputError(f"several backgrounds are drawn: {', '.join(background)}")
    organs = {name: planes for name, planes in stacked.items() if name not in background and _is_organ(what[name])}
    if not organs:
        raise InputError(f"none of the structures is an organ: {', '.join(stacked)}", remedy="state `structure_roles`")
    beside = stacked[background[0]] if background else None
    body, more = _body(stacked, what)
    return DrawnOnViews(organs, {n: what[n] for n in organs}, beside, body, (*notes, *more), tuple(inputs))


def _planes(
    read: ReadViews, named: Sequence[int], sources: Sequence[StructureSource], roles: Mapping[str, str] | None
) -> tuple[dict[str, dict[str, FloatArray]], dict[str, Structure], list[Message], list[InputFile]]:
    """What is drawn on each view by name and side, what each is, what must be known, and the files."""
    if len(sources) > 1 and len(sources) != len(read.files):
        raise InputError(
            f"{len(sources)} sets of structures for {len(read.files)} planar files",
            remedy="give one set of `structures`, or one for each file",
        )
    found: dict[str, dict[str, FloatArray]] = {}
    what: dict[str, Structure] = {}
    notes: list[Message] = []
    inputs: list[InputFile] = []
    for number, file in enumerate(read.files):
        place = sorted(named).index(named[number])
        source: Any = _source_of(place, len(read.files), sources) if sources else _overlays(file)
        if source is None:
            continue
        drawn = drawn_structures(source, file.image, roles, all_here=False)
        notes += drawn.messages
        inputs += drawn.inputs
        what |= drawn.roles
        for side, (at, frame, flipped, upwards) in read.sources.items():
            if at != number:
                continue
            for name, region in drawn.regions.items():
                plane = onto_grid(region, file.image.grid)[0].full()[:, :, frame].astype(np.float64)
                if plane.any():
                    turned = plane[::-1] if flipped else plane
                    found.setdefault(name, {})[side] = turned[:, ::-1] if upwards else turned
    return found, what, notes, inputs


def _body(
    stacked: Mapping[str, FloatArray], what: Mapping[str, Structure]
) -> tuple[FloatArray | None, tuple[Message, ...]]:
    """The whole body with all that is drawn in it, and what must be known.

    A label map holds one label in each pixel: its body is what the organs leave.
    """
    bodies = [name for name in stacked if what[name] is Structure.BODY]
    if len(bodies) > 1:
        raise InputError(f"several regions are the whole body: {', '.join(bodies)}", remedy="leave one")
    if not bodies:
        return None, ()
    drawn = stacked[bodies[0]]
    whole = np.clip(np.maximum(drawn, sum(stacked.values()) - drawn), 0.0, 1.0)
    if float((whole - drawn).sum()) <= LEAST_ADDED * float(drawn.sum()):
        return whole, ()
    text = (
        f"the region {bodies[0]!r} leaves out what is drawn inside it, as in a label map, where labels cannot overlap: "
        "the whole body is taken as that region with all others"
    )
    return whole, (Message("body-with-organs", text, severity="note"),)


def _require_on_both(found: Mapping[str, Mapping[str, FloatArray]], sides: Sequence[str]) -> None:
    """InputError where some structures are drawn on both views and one is not: it lies outside the other view."""
    if not any(len(by) == len(sides) for by in found.values()):
        return
    for name, by in found.items():
        missing = [side for side in sides if side not in by]
        if missing:
            raise InputError(
                f"structure {name!r} covers no pixel of the {missing[0]} view, where others are drawn",
                remedy="draw it inside both views, or all structures on one view",
            )


def _source_of(number: int, files: int, sources: Sequence[StructureSource]) -> StructureSource | None:
    """Structures of the file that was named at a place: its own where each has some, else the first file's."""
    if len(sources) == files:
        return sources[number]
    return sources[0] if number == 0 else None


def _is_organ(role: Structure) -> bool:
    return role not in (Structure.BODY, Structure.ALL_TUMOURS, Structure.NORMAL_LIVER, Structure.PERFUSED)


def _overlays(file: PlanarFile) -> list[Region] | None:
    """Overlay planes of an NM file; None where there are none, or the views are no DICOM."""
    if not file.path.is_file() or is_itk_file(file.path):
        return None
    return list(overlay_regions(open_dicom(file.path), file.image.grid)) or None


def like_first(drawn: DrawnOnViews, first: TimeOfViews, other: TimeOfViews) -> DrawnOnViews:
    """The structures of the first time on another one of the same matrix.

    Raises
    ------
    GeometryError
        If matrix, pixel size or views differ.
    """
    same = first.views.shape == other.views.shape and np.allclose(first.views.pixel_mm, other.views.pixel_mm, rtol=1e-3)
    if not same or first.views.sides != other.views.sides:
        raise GeometryError(
            "the views of a later time have another matrix, pixel size or number of views than those that the "
            "structures are drawn on",
            remedy="draw structures on the views of each time",
        )
    text = "structures of the first time are taken for the later ones: the patient is taken to lie alike"
    return DrawnOnViews(
        drawn.regions,
        drawn.roles,
        drawn.background,
        drawn.body,
        (Message("structures-of-first-time", text, severity="note"),),
    )
