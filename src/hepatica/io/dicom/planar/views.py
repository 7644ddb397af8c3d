"""Planar files as opposed views on one frame: which frame is which view and window, how each is stored, how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile, seconds_between
from hepatica.core.message import Message
from hepatica.errors import DicomError, InputError, TimeError
from hepatica.imaging.planar.orientation import alike, upside_down
from hepatica.imaging.planar.views import OneView, PlanarViews, opposed
from hepatica.imaging.spect.projections import Window
from hepatica.io.dicom.images.planar import VIEW_TAG, PlanarFile, PlanarView

Stored = Literal["as-seen", "mirrored"]

CLEARLY = 0.1
"""Difference of correlation coefficients above which the other orientation fits the anterior view better; uncertain."""

OPPOSITE_DEG = 45.0
"""From the place of the other view, within which a detector's angle contradicts its view code. Our choice."""

SPEED_TOLERANCE = 1.25
"""Factor between what a couch travels by its speed in the view's time and the length of the scan, give or take the
field; acceleration and waiting take some per cent. Our choice."""

LONGEST_BETWEEN_S, LONG_BETWEEN_S = 3 * 3600.0, 3600.0
"""Between the views of one time: what moves in between is not told from depth. A scan lasts half an hour; ours."""


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What the files do not say.

    Attributes
    ----------
    order : tuple of str
        "anterior" or "posterior" of every frame of one window, in the order of files and frames.
    posterior : str or None
        How the posterior view is stored: "as-seen" from behind, or "mirrored" onto the anterior one.
    dwell_s : float or None
        Time for which a point of a whole-body scan is in view.
    window : Window or None
        Energy window of files that state none.
    shares_alone : bool
        Only shares within these views count: views that do not say how long they lasted are taken to have lasted
        equally long.
    """

    order: tuple[str, ...] = ()
    posterior: Stored | None = None
    dwell_s: float | None = None
    window: Window | None = None
    shares_alone: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ReadViews:
    """Views of one time, and how each lies in its file.

    Attributes
    ----------
    views : PlanarViews
        On one frame.
    files : tuple of PlanarFile
        As read.
    sources : dict
        Of each side the file, the frame of the photopeak's window, and whether its columns and its rows are turned
        round.
    frame_of_reference : str or None
        In which `views.place_mm` stands.
    nuclide : str or None
        By the headers.
    messages, inputs
        From reading.
    """

    views: PlanarViews
    files: tuple[PlanarFile, ...]
    sources: dict[str, tuple[int, int, bool, bool]]
    frame_of_reference: str | None
    nuclide: str | None
    messages: tuple[Message, ...]
    inputs: tuple[InputFile, ...]


def opposed_views(files: Sequence[PlanarFile], options: ViewOptions = ViewOptions()) -> ReadViews:
    """Anterior and posterior view, in all windows, from the files of one time.

    Raises
    ------
    DicomError
        If the header does not say which view is which, and neither does the user.
    InputError, GeometryError
        If there is not one view of each side, they do not belong together, or a time is not known.
    """
    files = [replace(f, views=tuple(replace(v, file=n) for v in f.views)) for n, f in enumerate(files)]
    by_side = _by_side(files, options.order)
    windows = {side: _windows(files, views, options.window) for side, views in by_side.items()}
    flips, notes = _flips(by_side, options.posterior)
    notes += _about_turned(by_side, flips)
    if not options.order:
        notes += _about_codes(by_side)
    first = min((v.image.time for views in by_side.values() for v in views if v.image.time), default=None)
    dwells, more = _dwells(by_side, files, options)
    notes += more
    built: dict[str, OneView] = {}
    for side, views in by_side.items():
        view, file = views[0], files[views[0].file]
        turned = (slice(None, None, -1 if flips[side] else 1), slice(None, None, -1 if view.column_to_head else 1))
        counts = np.stack([v.image.values[(*turned, 0)].astype(np.float64) for v in views])
        time = view.image.time
        if (time is None) != (first is None):
            raise TimeError(f"{file.path}: one planar view has a time and the other none")
        start = 0.0 if time is None or first is None else seconds_between(first, time)
        if not 0 <= start <= LONGEST_BETWEEN_S:
            raise InputError(
                f"{file.path}: the {side} view was taken {start / 3600:.1f} h after the other",
                remedy="give the views of each time apart; one view alone is measured by the organs' depth",
            )
        if start > LONG_BETWEEN_S:
            text = (
                f"the {side} view was taken {start / 3600:.1f} h after the other: only decay is put back, no excretion"
            )
            notes.append(Message("views-apart", text))
        patient = None if file.image.context is None else file.image.context.patient_id
        dwell = dwells[side]
        spacing = file.image.grid.spacing_mm
        built[side] = OneView(
            counts, windows[side], (spacing[0], spacing[1]), dwell, start, f"{file.path.name}", patient, view.limit
        )
    place, frame = _place(by_side, files, flips)
    whole_body = any(views[0].scan is not None for views in by_side.values())
    if whole_body and any(views[0].scan is None for views in by_side.values()):
        raise InputError("one planar view is a scan of the whole body and the other a static one")
    found = opposed(built, time=first, place_mm=place, whole_body=whole_body)
    nuclides = {f.image.acquisition.nuclide for f in files} - {None}
    if len(nuclides) > 1:
        raise InputError(f"the planar views are of several nuclides: {', '.join(sorted(map(str, nuclides)))}")
    return ReadViews(
        found,
        tuple(files),
        {side: (v[0].file, v[0].frame, flips[side], v[0].column_to_head) for side, v in by_side.items()},
        frame,
        next(iter(nuclides), None),
        (*(m for f in files for m in f.image.messages), *dict.fromkeys(notes)),
        tuple(f.image.source for f in files),
    )


def _by_side(files: Sequence[PlanarFile], order: Sequence[str]) -> dict[str, list[PlanarView]]:
    """Views of each side, one for each window, windows in the files' order."""
    views = [view for file in files for view in file.views]
    firsts = [v for v in views if v.window == min(w.window for w in files[v.file].views)]
    if order and len(order) != len(firsts):
        raise InputError(f"{len(order)} `view_order` are stated, but the files hold {len(firsts)} views")
    found: dict[str, list[PlanarView]] = {}
    for number, first in enumerate(firsts):
        stated = order[number] if order else None
        where = f"{files[first.file].path}, frame {first.frame + 1}"
        if stated and first.view not in (None, stated):
            raise InputError(f"{where}: stated as {stated}, but {VIEW_TAG} says {first.view}")
        side = stated or first.view
        if side is None:
            raise DicomError(
                f"{VIEW_TAG} (with DetectorVector) does not say which view is anterior and which posterior "
                f"({files[first.file].path.name} frame {first.frame + 1})",
                path=files[first.file].path,
                remedy="state it, one word per view (`view_order` anterior posterior)",
            )
        if side in found:
            raise InputError(
                f"{where}: a second {side} view; views of several times are given one time after the other",
                remedy="give the views of each time apart",
            )
        own = [v for v in files[first.file].views if v.frame == first.frame or _same_head(first, v, files[first.file])]
        found[side] = sorted(own, key=lambda v: v.window)
    return {side: found[side] for side in ("anterior", "posterior") if side in found}


def _same_head(first: PlanarView, other: PlanarView, file: PlanarFile) -> bool:
    """Whether a frame of another window is of the same head: by its view, else by its place among the frames."""
    if other.window == first.window:
        return False
    if first.view is not None and other.view is not None:
        return first.view == other.view
    own = [v.frame for v in file.views if v.window == first.window]
    others = [v.frame for v in file.views if v.window == other.window]
    return len(own) == len(others) and own.index(first.frame) == others.index(other.frame)


def _windows(
    files: Sequence[PlanarFile], views: Sequence[PlanarView], usual: Window | None = None
) -> tuple[Window, ...]:
    limits = files[views[0].file].image.acquisition.energy_windows_kev
    numbers = [view.window for view in views]
    if len(set(numbers)) != len(numbers):
        raise InputError(f"{files[views[0].file].path}: several frames of one view and energy window; export one")
    if limits and max(numbers) <= len(limits):
        return tuple(Window(*limits[n - 1]) for n in numbers)
    if not limits and usual is not None and len(views) == 1:
        return (usual,)
    if len(views) > 1 or not limits:
        raise InputError(
            f"{files[views[0].file].path}: EnergyWindowInformationSequence does not say the limits of "
            f"{len(views)} energy windows",
            remedy="correct the file, or export one window",
        )
    return (Window(*limits[0]),)


def _flips(by_side: dict[str, list[PlanarView]], stated: Stored | None) -> tuple[dict[str, bool], list[Message]]:
    """Which views are stored with the patient's left at the start of a row, and who says so."""
    ways = {side: views[0].row_to_left for side, views in by_side.items()}
    if len(ways) == 1:
        side, way = next(iter(ways.items()))
        if way is not None:
            return {side: way < 0}, []
        return {side: side == "posterior" and stated != "mirrored"}, []
    opposite = None not in ways.values() and ways["anterior"] != ways["posterior"]
    if stated == "mirrored" and opposite:
        raise InputError(
            "the posterior view is stated as mirrored, but the detectors' orientation says that its rows run against "
            "those of the anterior view (as seen from behind)"
        )
    turned = ways["anterior"] == -1 and opposite
    if stated is not None or opposite:
        other = opposite or stated == "as-seen"
        return {"anterior": turned, "posterior": turned != other}, []
    images = _as_stored(by_side)
    same, flipped = alike(images[0], images[1]), alike(images[0], images[1][::-1])
    if abs(same - flipped) <= CLEARLY:
        raise InputError(
            "how the posterior view is stored is not said by DetectorInformationSequence, and the images do not show "
            f"it (correlation {same:.2f} as it is, {flipped:.2f} turned round)",
            remedy="state `posterior`: as-seen (from behind) or mirrored",
        )
    text = (
        f"the posterior view is taken as {'seen from behind' if flipped > same else 'mirrored'}: so it fits the "
        f"anterior one (correlation {max(same, flipped):.2f} against {min(same, flipped):.2f})"
    )
    return {"anterior": False, "posterior": flipped > same}, [
        Message("posterior-by-image", text, "state `posterior` if it is not so")
    ]


def _as_stored(by_side: dict[str, list[PlanarView]]) -> list[NDArray[np.float64]]:
    """Anterior and posterior image (x, z) towards the feet, rows as they are stored."""
    firsts = [by_side[side][0] for side in ("anterior", "posterior")]
    return [v.image.values[:, :: -1 if v.column_to_head else 1, 0].astype(np.float64) for v in firsts]


def _about_codes(by_side: dict[str, list[PlanarView]]) -> list[Message]:
    """A critical message where orientation or angle of every detector is that of the other side."""
    firsts = {side: views[0] for side, views in by_side.items()}
    pair = len(firsts) == 2
    by_rows = [v.from_front is not None and v.from_front != (side == "anterior") for side, v in firsts.items()]
    by_angle = [v.angle_deg is not None and _is_opposite(v.angle_deg, side) for side, v in firsts.items()]
    against = ["ImageOrientationPatient"] if pair and all(by_rows) else []
    against += ["StartAngle"] if all(by_angle) else []
    if not against:
        return []
    text = (
        f"{VIEW_TAG} says {' and '.join(firsts)}, and {' and '.join(against)} of the detectors the opposite: front and "
        "back may be changed over, and with them their attenuation"
    )
    remedy = "find out which view is which, and state it (`view_order`)"
    return [Message("view-codes-contradicted", text, remedy, "critical")]


def _is_opposite(angle_deg: float, side: str) -> bool:
    """Whether a detector's angle (0 behind the patient) is within `OPPOSITE_DEG` of that of the other side."""
    other = 0.0 if side == "anterior" else 180.0
    return abs((angle_deg - other + 180.0) % 360.0 - 180.0) <= OPPOSITE_DEG


def _about_turned(by_side: dict[str, list[PlanarView]], flips: dict[str, bool]) -> list[Message]:
    """What must be said where the two views fit each other better another way round than they are taken."""
    if len(by_side) < 2:
        return []
    a, p = (image[:: -1 if flips[side] else 1] for side, image in zip(("anterior", "posterior"), _as_stored(by_side),
                                                                     strict=True))  # fmt: skip
    found = upside_down(a, p)
    here, other = alike(a, p), alike(a, p[::-1])
    if other - here > CLEARLY:
        text = (
            f"the posterior view fits the anterior one better the other way round (correlation {other:.2f} against "
            f"{here:.2f})"
        )
        remedy = "check whether it is stored as seen from behind or mirrored (`posterior`)"
        found.append(Message("posterior-the-other-way", text, remedy))
    return found


def _dwells(
    by_side: dict[str, list[PlanarView]], files: Sequence[PlanarFile], options: ViewOptions
) -> tuple[dict[str, float], list[Message]]:
    """Time for which a pixel of each view was in view, and what must be known."""
    firsts = {side: views[0] for side, views in by_side.items()}
    if not options.shares_alone or options.dwell_s is not None:
        return {side: _dwell(files[view.file], view, options.dwell_s) for side, view in firsts.items()}, []
    known = {side: (None if view.scan is None else view.scan.dwell_s) or view.duration_s
             for side, view in firsts.items()}  # fmt: skip
    if None not in known.values():
        return {side: seconds for side, seconds in known.items() if seconds is not None}, []
    if any(known.values()):
        raise TimeError("one planar view has a duration and the other none")
    if len({view.file for view in firsts.values()}) < 2:
        return dict.fromkeys(known, 1.0), []
    text = "the views are two files without ActualFrameDuration: they are taken to have lasted equally long"
    return dict.fromkeys(known, 1.0), [Message("view-durations-unknown", text)]


def _dwell(file: PlanarFile, view: PlanarView, stated: float | None) -> float:
    """Time for which a pixel was in view."""
    if view.scan is None:
        if stated is not None:
            raise InputError(f"{file.path}: a static view lasts as long as its file says; `dwell_s` is of a scan")
        if view.duration_s is None:
            raise InputError(f"{file.path}: ActualFrameDuration is missing: how long the view lasted is not known")
        return view.duration_s
    if stated is not None:
        return stated
    if view.scan.dwell_s is not None:
        _require_speed(file, view)
        return view.scan.dwell_s
    raise InputError(
        f"{file.path}: ScanVelocity and FieldOfViewDimensions do not say for how long a point was in view",
        remedy="state `dwell_s`: length of the field over the speed",
    )


def _require_speed(file: PlanarFile, view: PlanarView) -> None:
    """InputError where a couch at the stated speed does not travel the length of the scan in the time of the view."""
    scan, seconds = view.scan, view.duration_s
    if scan is None or scan.speed_mm_s is None or seconds is None or not scan.one_pass:
        return
    travelled, field = scan.speed_mm_s * seconds, scan.field_mm or 0.0
    grid = file.image.grid
    length = scan.length_mm or grid.shape[1] * grid.spacing_mm[1]
    # A matrix may be longer than what was scanned: without ScanLength only the longest is known.
    least = 0.0 if scan.length_mm is None else max(length - field, length / 3) / SPEED_TOLERANCE
    if least <= travelled <= SPEED_TOLERANCE * (length + field):
        return
    raise InputError(
        f"{file.path}: ScanVelocity {scan.speed_mm_s:g} mm/s over ActualFrameDuration {seconds:.4g} s is "
        f"{travelled:.4g} mm, {'ScanLength' if scan.length_mm else 'the image'} {length:.4g} mm: one of them is in "
        "another unit",
        remedy="correct the file (mm/s, ms, mm), or state `dwell_s`: length of the field over the speed",
    )


def _place(
    by_side: dict[str, list[PlanarView]], files: Sequence[PlanarFile], flips: dict[str, bool]
) -> tuple[tuple[float, float] | None, str | None]:
    """LPS x of the first column and z of the first row, where the files give a place, and the frame of reference."""
    for side, views in by_side.items():
        place, way = views[0].place_mm, views[0].row_to_left
        if place is None or way is None:
            continue
        grid = files[views[0].file].image.grid
        x = place[0] - (grid.shape[0] - 1) * grid.spacing_mm[0] if flips[side] else place[0]
        upwards = (grid.shape[1] - 1) * grid.spacing_mm[1] if views[0].column_to_head else 0.0
        return (x, place[1] + upwards), grid.frame_of_reference
    return None, None
