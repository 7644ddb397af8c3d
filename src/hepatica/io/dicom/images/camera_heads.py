"""Heads of a gamma camera as an NM TOMO states them: collimators, angles, radii, time of a view, and place of the axis.

What a file says twice must agree: steps and arc, angles and directions, and the axis that each head leads to. A number
that no camera has (a radius of 25 mm, a view of 20 ms) is refused with the unit that it was probably written in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.io.dicom import geometry
from hepatica.io.dicom.tags import Header

ORIENTATION_TOLERANCE = 0.02
"""Largest difference between a detector's direction in the patient and the one its angle means (1 degree)."""

ANGLE_TOLERANCE_DEG = 3.0
"""Two heads whose directions and start angles differ by more than this from each other contradict each other."""

RADIUS_LIMITS_MM = (60.0, 700.0)
"""From the axis to the collimator: less leaves no room for a patient, more is wider than any gantry."""

VIEW_LIMITS_S = (0.5, 3600.0)
"""Time of a view: cameras read out no faster in tomography, and no patient lies for longer."""

ROTATION_LIMIT_S = 6 * 3600.0
"""All views of a head one after another; longer means that the time of the whole rotation was written for a view."""

CORNER_NEAR_MM = 30.0
"""A corner of the volume about the axis leads to an axis within this of the origin (GE: 1 to 10 mm)."""

FIRST_PIXEL_NEAR_MM = 100.0
"""A first pixel that leads to an axis farther than this from the origin is doubted if the corner fits."""

OWN_MAKER = "hepatica"
"""Manufacturer that hepatica writes; it keeps to DICOM."""

_PARALLEL = ("", "PARA", "UNKN")
_FOCUSED = re.compile(r"fan|cone|pin.?hole", re.IGNORECASE)
_GE = re.compile(r"\bGE\b|GEMS|general electric", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Angles and radii of one head in its views, and what the file says of it.

    Attributes
    ----------
    number : int
        From 1.
    angle_deg, radius_mm : ndarray, shape (views,)
        Of each view.
    stated_radius : bool
        Whether the file states the radius.
    collimator : str
        Type and name as written.
    plane : Plane or None
        Of the first view in the patient, if the file states it.
    """

    number: int
    angle_deg: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    stated_radius: bool
    collimator: str
    plane: geometry.Plane | None

    @property
    def views(self) -> int:
        """Number of views."""
        return int(self.angle_deg.size)

    @property
    def start_deg(self) -> float:
        """Angle of the first view."""
        return float(self.angle_deg[0])


@dataclass(frozen=True, slots=True)
class Axis:
    """Where the axis of rotation lies.

    Attributes
    ----------
    rows_to_feet : bool
        Whether rows of a frame run to the feet.
    place_mm : tuple of float or None
        x and y of the axis and z of the lowest row; None where the file does not say.
    messages : tuple of Message
        How it was found, or why it is not known.
    """

    rows_to_feet: bool
    place_mm: tuple[float, float, float] | None
    messages: tuple[Message, ...] = ()


def rotation_of(header: Header) -> Header:
    """Item that describes the rotation; DicomError if there is none."""
    rotation = header.item("RotationInformationSequence")
    if rotation is None:
        raise header.error("RotationInformationSequence", "is missing: the angles of the views are not known")
    return rotation


def read_heads(header: Header, radius_mm: float | None) -> list[Head]:
    """Heads of the camera, in the order of DetectorInformationSequence.

    Raises
    ------
    DicomError
        If a tag is missing, no camera has such a number, or tags contradict each other.
    """
    rotation = rotation_of(header)
    views = rotation.required_integer("NumberOfFramesInRotation")
    if views < 1:
        raise rotation.error("NumberOfFramesInRotation", f"is {views}")
    step = rotation.required_number("AngularStep")
    turn = rotation.text("RotationDirection")
    if turn not in ("CW", "CC"):
        raise rotation.error("RotationDirection", f"{turn!r} is neither CW nor CC: the direction is not known")
    detectors: Sequence[Header | None] = header.items("DetectorInformationSequence") or [None]
    _require_arc(rotation, abs(step), views, len(detectors))
    heads = []
    for number, item in enumerate(detectors, start=1):
        collimator = "" if item is None else _parallel(item, number)
        start = item.number("StartAngle") if item is not None else None
        if start is None and len(detectors) == 1:
            start = rotation.number("StartAngle")
        if start is None:
            raise header.error("StartAngle", f"is missing for detector {number}: its angles are not known")
        radii, stated = _radii(header, rotation, item, views, radius_mm, number)
        heads.append(
            Head(
                number,
                np.asarray(start + (1 if turn == "CC" else -1) * abs(step) * np.arange(views), dtype=np.float64),
                np.broadcast_to(np.asarray(radii, dtype=np.float64), (views,)),
                stated,
                collimator,
                None if item is None else geometry.detector_plane(header, item),
            )
        )
    _require_different_places(header, heads)
    return heads


def view_seconds(header: Header, views: int) -> float:
    """Time of a view.

    Raises
    ------
    DicomError
        If it is missing, or no camera has it; the unit that it was probably written in is named.
    """
    rotation = rotation_of(header)
    duration_ms = rotation.number("ActualFrameDuration") or header.number("ActualFrameDuration")
    if not duration_ms or duration_ms < 0:
        raise header.error("ActualFrameDuration", "is missing: how long a view took is not known")
    if problem := view_time_problem(duration_ms / 1000, views):
        raise header.error("ActualFrameDuration", problem, remedy="correct it in the file (milliseconds for one view)")
    return duration_ms / 1000


def view_time_problem(seconds: float, views: int) -> str:
    """Why no camera takes so long for a view, with the unit that was probably meant; empty if one does."""
    shortest, longest = VIEW_LIMITS_S
    if seconds < shortest:
        guess = f"{seconds * 1000:g} s written for milliseconds" if seconds * 1000 <= longest else "another unit"
        return f"{seconds * 1000:g} ms a view is shorter than any camera's ({guess}?)"
    if seconds > longest or seconds * views > ROTATION_LIMIT_S:
        guess = (
            f"{seconds / 1000:g} s written in microseconds"
            if seconds > 1000
            else f"the time of the whole rotation, {seconds / views:.3g} s a view"
        )
        return f"{seconds:g} s a view, {views} views one after another, is longer than any acquisition ({guess}?)"
    return ""


def radius_problem(radii_mm: Sequence[float]) -> str:
    """Why no camera has these radii, with the unit that was probably meant; empty if one has."""
    low, high = RADIUS_LIMITS_MM
    nearest, farthest = min(radii_mm), max(radii_mm)
    if low <= nearest and farthest <= high:
        return ""
    wrong = nearest if nearest < low else farthest
    guesses = [
        f"{wrong * factor:g} mm written in {unit}"
        for factor, unit in ((10.0, "cm"), (1000.0, "m"), (0.1, "tenths of a millimetre"), (0.001, "micrometres"))
        if low <= wrong * factor <= high
    ]
    guess = f" ({guesses[0]}?)" if guesses else ""
    return f"{wrong:g} mm from the axis to the collimator is no camera's{guess}"


def _require_arc(rotation: Header, step: float, views: int, heads: int) -> None:
    """DicomError if steps and views do not make the arc that the file states, of one head or of all together."""
    if views > 1 and step == 0:
        raise rotation.error("AngularStep", f"is 0 for {views} views: their angles are not known")
    arc = abs(rotation.number("ScanArc") or 0.0)
    if not arc or not step:
        return
    # A step written with one decimal is off by 0.05 degrees in every view.
    tolerance = min(step / 2, max(1.0, 0.05 * views))
    possible = (views * step, (views - 1) * step, heads * views * step)
    if min(abs(arc - angle) for angle in possible) > tolerance:
        several = f" ({heads * views * step:g} for {heads} heads)" if heads > 1 else ""
        raise rotation.error(
            "ScanArc",
            f"{arc:g} degrees, but {views} views (NumberOfFramesInRotation) of {step:g} degrees (AngularStep) are "
            f"{views * step:g}{several}: the angles are not known",
            remedy="correct the file, or export it again",
        )


def _parallel(item: Header, number: int) -> str:
    """Collimator of a head as written; DicomError if its holes are not parallel."""
    kind, name = item.text("CollimatorType").strip().upper(), item.text("CollimatorGridName").strip()
    focus = item.number("FocalDistance") or 0.0
    if kind not in _PARALLEL or _FOCUSED.search(name):
        at = f", FocalDistance {focus:g} mm" if focus else ""
        raise item.error(
            "CollimatorType",
            f"{kind or 'not stated'} ({name or 'no name'}{at}) of detector {number}: only parallel holes (PARA) are "
            "modelled",
            remedy="rebin the projections to parallel beams first",
        )
    if focus > 0 and kind != "PARA":
        raise item.error(
            "FocalDistance",
            f"{focus:g} mm of detector {number} means that the holes converge (CollimatorType {kind or 'not stated'}); "
            "only parallel holes are modelled",
            remedy="rebin the projections to parallel beams first",
        )
    return " ".join(filter(None, (kind, name)))


def _radii(
    header: Header, rotation: Header, item: Header | None, views: int, radius_mm: float | None, number: int
) -> tuple[tuple[float, ...], bool]:
    """Radii of a head, one or one for each view, and whether the file states them."""
    radii = (item.numbers("RadialPosition") if item is not None else ()) or rotation.numbers("RadialPosition")
    if not radii and radius_mm is not None:
        return (radius_mm,), False
    if not radii:
        raise header.error(
            "RadialPosition",
            "is missing: how far the head was from the axis is not known",
            remedy="state `radius_mm`",
        )
    if len(radii) not in (1, views):
        raise header.error("RadialPosition", f"has {len(radii)} values for {views} views of detector {number}")
    if (nearest := min(radii)) <= 0:
        raise header.error("RadialPosition", f"holds {nearest:g} mm: a radius is positive", remedy="correct the file")
    if problem := radius_problem(radii):
        raise header.error(
            "RadialPosition", f"{problem} (detector {number})", remedy="correct it in the file (millimetres)"
        )
    return radii, True


def _require_different_places(header: Header, heads: Sequence[Head]) -> None:
    """DicomError if two heads stand at one place, or their directions contradict their start angles."""
    for later, head in enumerate(heads):
        for other in heads[:later]:
            if abs(_turn(head.start_deg - other.start_deg)) < ANGLE_TOLERANCE_DEG:
                against = _contradiction(other, head)
                raise header.error(
                    "StartAngle",
                    f"detectors {other.number} and {head.number} both start at {head.start_deg:g} degrees"
                    + (f", and {against}" if against else ", where two heads cannot be"),
                    remedy="correct the file, or export it again",
                )
            if against := _contradiction(other, head):
                raise header.error("StartAngle", against, remedy="correct the file, or export it again")


def _contradiction(one: Head, other: Head) -> str:
    """What contradicts where ImageOrientationPatient and StartAngle put two heads to each other; empty if nothing.

    A maker may count the angle from another side or the other way round, for both heads alike. Two heads with one
    plane say nothing of the second: it was copied.
    """
    if one.plane is None or other.plane is None or (copied(one, other) and one.start_deg != other.start_deg):
        return ""
    by_plane = _turn(plane_angle(other.plane) - plane_angle(one.plane))
    by_angle = _turn(other.start_deg - one.start_deg)
    if min(abs(_turn(by_plane - by_angle)), abs(_turn(by_plane + by_angle))) <= ANGLE_TOLERANCE_DEG:
        return ""
    return (
        f"the orientation of detector {other.number} contradicts its StartAngle: by ImageOrientationPatient it stands "
        f"{by_plane:.0f} degrees from detector {one.number}, by StartAngle {by_angle:.0f}"
    )


def copied(one: Head, other: Head) -> bool:
    """Whether two heads state one plane."""
    if one.plane is None or other.plane is None:
        return False
    return bool(
        np.abs(one.plane.row - other.plane.row).max() <= ORIENTATION_TOLERANCE
        and np.abs(one.plane.position_mm - other.plane.position_mm).max() <= one.plane.spacing_mm[0] / 2
    )


def plane_angle(plane: geometry.Plane) -> float:
    """Angle of a head by the direction of its rows."""
    return float(np.degrees(np.arctan2(plane.row[1], -plane.row[0])))


def _turn(degrees: float) -> float:
    """The same turn, between -180 and 180 degrees."""
    return float((degrees + 180) % 360 - 180)


# ---------------------------------------------------------------------------------------------------------------------
# The axis


def find_axis(header: Header, heads: Sequence[Head], size: tuple[int, ...]) -> Axis:
    """Place of the axis in the patient, from the planes of all heads.

    ImagePositionPatient of a detector is the first pixel of its first view (DICOM), or the corner of the volume about
    the axis (GE). Two heads tell: a first pixel leads to one axis from each of them. One head is told by the maker and
    by which axis lies near the origin; where they disagree the place is not known.

    Raises
    ------
    DicomError
        If rows of one head run to the feet and those of another to the head.
    """
    notes: list[Message] = []
    position = header.text("PatientPosition")
    if position not in ("", "HFS"):
        text = (
            f"PatientPosition is {position}: angles are taken as DICOM defines them, from the patient's back to the "
            "left side, and rows as running to the feet"
        )
        notes.append(Message("patient-position", text, "check the image's orientation"))
    placed = [head for head in heads if head.plane is not None]
    if not placed:
        return _unknown(True, "the detector has no ImagePositionPatient", notes)
    for head in placed:
        if problem := _direction_problem(
            head, [other for other in placed if other is not head and copied(head, other)]
        ):
            return _unknown(True, problem, notes)
    downs = {bool(head.plane.column[2] < 0) for head in placed if head.plane is not None}
    if len(downs) > 1:
        raise header.error("ImageOrientationPatient", "rows of one detector run to the feet, of another to the head")
    down = downs.pop()
    first = [_from_first_pixel(head, size) for head in placed]
    corner = _from_corner(placed[0], size)
    tolerance = max(5.0, placed[0].plane.spacing_mm[0] if placed[0].plane is not None else 0.0)
    if len(placed) > 1:
        apart = max(float(np.abs(place - first[0]).max()) for place in first)
        if apart <= tolerance:
            return Axis(down, _place(first[0], placed[0], size), tuple(notes))
        positions = [head.plane.position_mm for head in placed if head.plane is not None]
        same = max(float(np.abs(p - positions[0]).max()) for p in positions) <= tolerance
        if not (same and np.hypot(*corner) <= CORNER_NEAR_MM):
            found = ", ".join(f"({x:.0f}, {y:.0f})" for x, y in first)
            return _unknown(down, f"ImagePositionPatient: the detectors lead to axes apart: {found} mm", notes)
        return Axis(down, _place(corner, placed[0], size), (*notes, _corner_note(first[0], corner)))
    return _of_one_head(header, placed[0], first[0], corner, size, notes)


def _of_one_head(
    header: Header,
    head: Head,
    first: NDArray[np.float64],
    corner: NDArray[np.float64],
    size: tuple[int, ...],
    notes: list[Message],
) -> Axis:
    """The axis of a camera of which one plane is known: by its maker, and by which axis lies near the origin."""
    assert head.plane is not None
    down = bool(head.plane.column[2] < 0)
    maker = header.text("Manufacturer")
    by_first = Axis(down, _place(first, head, size), tuple(notes))
    if float(np.abs(first - corner).max()) <= head.plane.spacing_mm[0] / 2:
        return by_first
    first_fits, corner_fits = np.hypot(*first) <= FIRST_PIXEL_NEAR_MM, np.hypot(*corner) <= CORNER_NEAR_MM
    if _GE.search(maker):
        decided = "corner" if corner_fits else "first" if first_fits else ""
    elif not maker:
        decided = "" if first_fits == corner_fits else "corner" if corner_fits else "first"
    else:
        # A maker that writes the first pixel, unless the corner alone makes sense.
        decided = "first" if first_fits or not corner_fits or maker == OWN_MAKER else ""
    if decided == "first":
        return by_first
    if decided == "corner":
        return Axis(down, _place(corner, head, size), (*notes, _corner_note(first, corner)))
    problem = (
        f"ImagePositionPatient is the first pixel (axis at ({first[0]:.0f}, {first[1]:.0f}) mm) or the corner of the "
        f"volume (axis at ({corner[0]:.0f}, {corner[1]:.0f}) mm), which cannot be told of {maker or 'no maker'}"
    )
    return _unknown(down, problem, notes)


def _direction_problem(head: Head, twins: Sequence[Head]) -> str:
    """Why a detector's direction does not say where it stood; empty if it does.

    Makers disagree on what they write there, and a guess would put the attenuation in the wrong place.
    """
    plane = head.plane
    assert plane is not None
    angle = np.deg2rad(head.start_deg)
    expected = np.array([-np.cos(angle), np.sin(angle), 0.0])
    tilt = abs(abs(plane.column[2]) - 1)
    if np.abs(plane.row - expected).max() <= ORIENTATION_TOLERANCE and tilt <= ORIENTATION_TOLERANCE:
        return ""
    return (
        f"ImageOrientationPatient: the rows of detector {head.number} run along {np.round(plane.row, 3).tolist()}, but "
        f"at {head.start_deg:g} degrees they run along {np.round(expected, 3).tolist()} (seen from outside, head up)"
        + (f", and detector {twins[0].number} states the same plane" if twins else "")
    )


def _unknown(down: bool, problem: str, notes: list[Message]) -> Axis:
    text = f"{problem}: where the axis of rotation lies in the patient is not known"
    remedy = "state `axis_mm`, x and y of the axis and z of the lowest row in the CT"
    return Axis(down, None, (*notes, Message("axis-unknown", text, remedy)))


def _corner_note(first: NDArray[np.float64], corner: NDArray[np.float64]) -> Message:
    text = (
        f"ImagePositionPatient of the detector is taken as the corner of the volume about the axis, which lies at "
        f"({corner[0]:.1f}, {corner[1]:.1f}) mm; as the first pixel of view 1 it would be ({first[0]:.1f}, "
        f"{first[1]:.1f}) mm"
    )
    return Message("axis-from-corner", text, "check it on the image, or state `axis_mm`")


def _from_first_pixel(head: Head, size: tuple[int, ...]) -> NDArray[np.float64]:
    """The axis (x, y) if the plane's position is the first pixel of the first view."""
    assert head.plane is not None
    angle = np.deg2rad(head.start_deg)
    middle = head.plane.position_mm + head.plane.row * head.plane.spacing_mm[0] * (size[0] - 1) / 2
    axis: NDArray[np.float64] = (middle - np.array([np.sin(angle), np.cos(angle), 0.0]) * head.radius_mm[0])[:2]
    return axis


def _from_corner(head: Head, size: tuple[int, ...]) -> NDArray[np.float64]:
    """The axis (x, y) if the plane's position is the corner of a square volume about it."""
    assert head.plane is not None
    corner: NDArray[np.float64] = head.plane.position_mm[:2] + head.plane.spacing_mm[0] * (size[0] - 1) / 2
    return corner


def _place(axis: NDArray[np.float64], head: Head, size: tuple[int, ...]) -> tuple[float, float, float]:
    """The axis with z of the lowest row."""
    plane = head.plane
    assert plane is not None
    rows_mm = (size[1] - 1) * plane.spacing_mm[1]
    x, y = axis.tolist()
    return x, y, float(plane.position_mm[2] - rows_mm if plane.column[2] < 0 else plane.position_mm[2])
