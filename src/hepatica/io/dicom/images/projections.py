"""Projections of a gamma camera (NM TOMO): read as `hepatica.imaging.spect.projections.Projections`, and written.

Frames are sorted by the vectors of PS3.3 C.8.4.8 (energy window, detector, rotation, angular view, time slot). Angles
follow C.8.4.12: 0 degrees behind the patient's back, growing towards the left side; RotationDirection CC grows, CW
falls. Rows of a frame run to the patient's feet unless the detector's orientation says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile
from hepatica.core.context import DicomContext, Instance, new_uid
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.images.nm import one_file
from hepatica.io.dicom.images.radiopharmaceutical import radiopharmaceutical_of
from hepatica.io.dicom.images.write import NM_IMAGE, Emission, agent_item, write_pixels
from hepatica.io.dicom.objects import RESEARCH_ONLY, frame_of_reference, new_object, save_object
from hepatica.io.dicom.pixels import rescale, stored_values
from hepatica.io.dicom.series import Series, SeriesKind, acquisition_start, noted
from hepatica.io.dicom.tags import Header

ORIENTATION_TOLERANCE = 0.02
"""Largest difference between a detector's direction in the patient and the one its angle means (1 degree)."""


@dataclass(frozen=True, slots=True, eq=False)
class ProjectionFile:
    """What a file of projections holds.

    Attributes
    ----------
    projections : Projections
        Counts, orbit, windows and times.
    context : DicomContext
        Patient and study.
    source : InputFile
        The file with its hash.
    heads : int
        Detectors that took the views at once.
    messages : tuple of Message
        What was assumed or looks wrong.
    """

    projections: Projections
    context: DicomContext
    source: InputFile
    heads: int
    messages: tuple[Message, ...] = ()


def read_projections(
    path: Path | str,
    *,
    series: str | None = None,
    radius_mm: float | None = None,
    sum_gates: bool = False,
) -> ProjectionFile:
    """Read the projections in a file or folder.

    Parameters
    ----------
    path : Path
        File or folder.
    series : str or None
        SeriesInstanceUID where there are several.
    radius_mm : float or None
        From the axis to the collimator, where the file has no RadialPosition; it does not replace one.
    sum_gates : bool
        Add up the time slots of a gated acquisition.

    Raises
    ------
    DicomError
        If there are no projections or several, or a tag is missing or contradictory; the tag is named.
    InputError
        If counts are negative, or a view has none.
    """
    from hepatica.io.dicom.scan import scan

    chosen = scan(Path(path)).choose("projections", (SeriesKind.NM_PROJECTIONS,), series)
    return read_projection_series(chosen, radius_mm=radius_mm, sum_gates=sum_gates)


def read_projection_series(
    series: Series, *, radius_mm: float | None = None, sum_gates: bool = False
) -> ProjectionFile:
    """Read one series that `scan` found; parameters and errors as `read_projections`."""
    series.require_whole()
    header = one_file(series)
    slope, intercept = rescale(header, required=False)
    stored = stored_values(header)
    windows = _windows(header)
    heads = _heads(header, radius_mm)
    frames = _Frames.of(header, len(stored), windows=len(windows), heads=len(heads), sum_gates=sum_gates)
    views = sum(head.views for head in heads)
    counts = np.zeros((len(windows), views, stored.shape[2], stored.shape[1]), dtype=np.float64)
    seen = np.zeros((len(windows), views), dtype=int)
    start_of_head = np.cumsum([0] + [head.views for head in heads])
    for number, (window, head, view) in enumerate(zip(frames.window, frames.head, frames.view, strict=True)):
        if view >= heads[head].views:
            raise header.error("AngularViewVector", f"view {view + 1} of {heads[head].views} in frame {number + 1}")
        place = start_of_head[head] + view
        counts[window, place] += stored[number].T.astype(np.float64) * slope + intercept
        seen[window, place] += 1
    if seen.min() != seen.max():
        raise header.error("AngularViewVector", "windows, detectors and views are not all there, or some are twice")
    plane_of_head = [geometry.detector_plane(header, head.item) for head in heads if head.item is not None]
    down, axis, notes = _axis(header, heads[0], plane_of_head[0] if plane_of_head else None, counts.shape[2:])
    if down:
        counts = counts[..., ::-1]
    orbit = Orbit(np.concatenate([h.angle_deg for h in heads]), np.concatenate([h.radius_mm for h in heads]))
    start = acquisition_start(header)
    agent = radiopharmaceutical_of(header, first_acquisition=start)
    view_s = _view_seconds(header, heads[0])
    found = Projections(
        counts.astype(np.float32),
        orbit,
        windows,
        geometry.pixel_size_of(header),
        view_s,
        axis_mm=axis,
        start=start,
        nuclide=agent.nuclide,
        frame_of_reference=header.text("FrameOfReferenceUID") or None,
        view_start_s=np.concatenate([np.arange(h.views) * view_s for h in heads]),
    )
    notes += [*agent.messages, *noted([header])]
    if radius_mm is not None and heads[0].stated_radius:
        text = f"the file states the radius of each view; {radius_mm:g} mm is not used"
        notes.append(Message("radius-not-used", text))
    return ProjectionFile(found, context_of([header]), series.source("projections"), len(heads), tuple(notes))


def write_projections(
    path: Path | str,
    projections: Projections,
    context: DicomContext,
    emission: Emission,
    *,
    heads: int = 1,
    description: str = "SPECT projections",
) -> DicomContext:
    """Write simulated projections as NM TOMO.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    projections : Projections
        Whole counts up to 65535 are exact, others kept by a rescale slope. The views of head 1 come first, then head
        2; each head turns in even steps. `axis_mm` must be known.
    context : DicomContext
        Patient and study.
    emission : Emission
        Nuclide and administration; its start is that of the acquisition.
    heads : int
        Number of heads.
    description : str
        SeriesDescription.

    Raises
    ------
    InputError
        If the steps of a head are uneven, or the axis is not known.
    OutputError
        If the file cannot be written.
    """
    if projections.axis_mm is None:
        raise InputError("projections are written with the place of the axis of rotation; state axis_mm")
    turns = _even_turns(projections.orbit, heads)
    new = context.with_new_series(modality="NM", description=description)
    frame = frame_of_reference(projections.grid(), new)
    dataset = new_object(new, NM_IMAGE, "NM", description=description)
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = new.series_uid, new_uid()
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = frame, ""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]
    dataset.ImageComments = f"Made by hepatica, not acquired. {RESEARCH_ONLY}"
    dataset.BodyPartExamined = "ABDOMEN"
    dataset.AcquisitionNumber = 1
    day, clock = emission.start.strftime("%Y%m%d"), emission.start.strftime("%H%M%S.%f")
    for what in ("Series", "Acquisition", "Content"):
        setattr(dataset, f"{what}Date", day)
        setattr(dataset, f"{what}Time", clock)
    _fill_frames(dataset, projections, heads)
    _fill_geometry(dataset, projections, turns)
    dataset.RadiopharmaceuticalInformationSequence = [agent_item(emission, in_mbq=True)]
    dataset.PatientOrientationCodeSequence, dataset.PatientGantryRelationshipCodeSequence = [], []
    save_object(dataset, path)
    instance = Instance(NM_IMAGE, dataset.SOPInstanceUID, Path(path), int(dataset.NumberOfFrames))
    return replace(new, frame_of_reference=frame, instances=(instance,))


# ---------------------------------------------------------------------------------------------------------------------
# Reading


@dataclass(frozen=True, slots=True, eq=False)
class _Head:
    angle_deg: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    stated_radius: bool
    item: Header | None
    rotation: Header

    @property
    def views(self) -> int:
        return int(self.angle_deg.size)


@dataclass(frozen=True, slots=True)
class _Frames:
    """Number of the window, head and view of each frame, from 0."""

    window: list[int]
    head: list[int]
    view: list[int]

    @classmethod
    def of(cls, header: Header, frames: int, *, windows: int, heads: int, sum_gates: bool) -> _Frames:
        def vector(keyword: str, count: int | None) -> list[int]:
            numbers = [int(n) for n in header.numbers(keyword)]
            if not numbers and count == 1:
                return [0] * frames
            if not numbers:
                raise header.error(keyword, "is missing: which frame is which cannot be known")
            if len(numbers) != frames or min(numbers) < 1 or (count is not None and max(numbers) > count):
                limit = "" if count is None else f" from 1 to {count}"
                raise header.error(keyword, f"does not give each of the {frames} frames a number{limit}")
            return [n - 1 for n in numbers]

        rotations = header.integer("NumberOfRotations") or 1
        if rotations != 1:
            raise header.error("NumberOfRotations", f"{rotations} rotations in a file; export one of them")
        slots = {int(n) for n in header.numbers("TimeSlotVector")}
        if len(slots) > 1 and not sum_gates:
            raise header.error("TimeSlotVector", f"a gated acquisition with {len(slots)} gates; ask for their sum")
        return cls(
            vector("EnergyWindowVector", windows), vector("DetectorVector", heads), vector("AngularViewVector", None)
        )


def _windows(header: Header) -> tuple[Window, ...]:
    found = []
    for number, item in enumerate(header.items("EnergyWindowInformationSequence"), start=1):
        limits = item.items("EnergyWindowRangeSequence")
        if len(limits) != 1:
            raise item.error("EnergyWindowRangeSequence", f"window {number} has {len(limits)} ranges; one is needed")
        low = limits[0].required_number("EnergyWindowLowerLimit")
        high = limits[0].required_number("EnergyWindowUpperLimit")
        if not 0 < low < high:
            raise item.error("EnergyWindowLowerLimit", f"window {number} from {low:g} to {high:g} keV is none")
        found.append(Window(low, high, item.text("EnergyWindowName")))
    if not found:
        raise header.error("EnergyWindowInformationSequence", "is missing: which photons were counted is not known")
    return tuple(found)


def _heads(header: Header, radius_mm: float | None) -> list[_Head]:
    rotation = header.item("RotationInformationSequence")
    if rotation is None:
        raise header.error("RotationInformationSequence", "is missing: the angles of the views are not known")
    views = rotation.required_integer("NumberOfFramesInRotation")
    if views < 1:
        raise rotation.error("NumberOfFramesInRotation", f"is {views}")
    step = rotation.required_number("AngularStep")
    turn = rotation.text("RotationDirection")
    if turn not in ("CW", "CC"):
        raise rotation.error("RotationDirection", f"{turn!r} is neither CW nor CC: the direction is not known")
    detectors: Sequence[Header | None] = header.items("DetectorInformationSequence") or [None]
    heads = []
    for number, item in enumerate(detectors, start=1):
        start = item.number("StartAngle") if item is not None else None
        if start is None and len(detectors) == 1:
            start = rotation.number("StartAngle")
        if start is None:
            raise header.error("StartAngle", f"is missing for detector {number}: its angles are not known")
        angle = start + (1 if turn == "CC" else -1) * abs(step) * np.arange(views)
        radii = (item.numbers("RadialPosition") if item is not None else ()) or rotation.numbers("RadialPosition")
        stated = bool(radii)
        if not radii and radius_mm is not None:
            radii = (radius_mm,)
        if not radii:
            raise header.error(
                "RadialPosition", "is missing: how far the head was from the axis is not known; state the radius"
            )
        if len(radii) not in (1, views):
            raise header.error("RadialPosition", f"has {len(radii)} values for {views} views of detector {number}")
        if min(radii) <= 0:
            raise header.error("RadialPosition", f"holds {min(radii):g} mm: a radius is positive; state it")
        heads.append(
            _Head(
                np.asarray(angle, dtype=np.float64),
                np.broadcast_to(np.asarray(radii, float), (views,)),
                stated,
                item,
                rotation,
            )
        )
    return heads


def _view_seconds(header: Header, head: _Head) -> float:
    duration_ms = head.rotation.number("ActualFrameDuration") or header.number("ActualFrameDuration")
    if not duration_ms or duration_ms < 0:
        raise header.error("ActualFrameDuration", "is missing: how long a view took is not known")
    return duration_ms / 1000


def _axis(
    header: Header, head: _Head, plane: geometry.Plane | None, size: tuple[int, ...]
) -> tuple[bool, tuple[float, float, float] | None, list[Message]]:
    """Whether rows run to the feet, the axis and first slice in the patient (None if the file does not say), messages.

    A detector whose direction contradicts its angle does not say where it stood: makers disagree on what they write
    there, and a guess would put the attenuation in the wrong place.
    """
    unknown = "where the axis of rotation lies in the patient is not known"
    position = header.text("PatientPosition")
    notes: list[Message] = []
    if position not in ("", "HFS"):
        text = (
            f"PatientPosition is {position}: angles are taken as DICOM defines them, from the patient's back to the "
            "left side, and rows as running to the feet"
        )
        notes.append(Message("patient-position", text, "check the image's orientation"))
    if plane is None:
        return True, None, [*notes, Message("axis-unknown", f"the detector has no ImagePositionPatient: {unknown}")]
    angle = np.deg2rad(head.angle_deg[0])
    expected = np.array([-np.cos(angle), np.sin(angle), 0.0])
    tilt = abs(abs(plane.column[2]) - 1)
    if np.abs(plane.row - expected).max() > ORIENTATION_TOLERANCE or tilt > ORIENTATION_TOLERANCE:
        text = (
            f"ImageOrientationPatient: the detector's rows run along {np.round(plane.row, 3).tolist()}, but at "
            f"{head.angle_deg[0]:g} degrees they run along {np.round(expected, 3).tolist()} (seen from outside, head "
            f"up): {unknown}"
        )
        notes.append(Message("axis-unknown", text))
        return True, None, notes
    columns, rows = size
    pu, pv = plane.spacing_mm
    middle = plane.position_mm + plane.row * pu * (columns - 1) / 2
    outward = np.array([np.sin(angle), np.cos(angle), 0.0])
    x, y, _ = (middle - outward * head.radius_mm[0]).tolist()
    down = bool(plane.column[2] < 0)
    z = float(plane.position_mm[2] - (rows - 1) * pv if down else plane.position_mm[2])
    return down, (x, y, z), notes


# ---------------------------------------------------------------------------------------------------------------------
# Writing


def _even_turns(orbit: Orbit, heads: int) -> list[tuple[float, float, NDArray[np.float64]]]:
    """Start, signed step and radii of each head."""
    if heads < 1 or orbit.views % heads:
        raise InputError(f"{orbit.views} views cannot be shared by {heads} heads")
    turns = []
    for angle, radius in zip(np.split(orbit.angle_deg, heads), np.split(orbit.radius_mm, heads), strict=True):
        steps = np.diff(angle)
        if steps.size and np.ptp(steps) > 1e-6:
            raise InputError("DICOM projections need even angular steps; these are uneven")
        turns.append((float(angle[0]), float(steps[0]) if steps.size else 360.0, radius))
    if len({round(step, 6) for _, step, _ in turns}) > 1:
        raise InputError("DICOM projections need the same angular step for all heads")
    return turns


def _fill_frames(dataset: Any, projections: Projections, heads: int) -> None:
    from pydicom.tag import Tag

    windows, views, columns, rows = projections.counts.shape
    per_head = views // heads
    frames = [(w, h, v) for w in range(windows) for h in range(heads) for v in range(per_head)]
    names = ("EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector")
    dataset.FrameIncrementPointer = [Tag(name) for name in names]
    dataset.NumberOfFrames = len(frames)
    dataset.EnergyWindowVector = [w + 1 for w, _, _ in frames]
    dataset.DetectorVector = [h + 1 for _, h, _ in frames]
    dataset.RotationVector = [1] * len(frames)
    dataset.AngularViewVector = [v + 1 for _, _, v in frames]
    dataset.NumberOfEnergyWindows, dataset.NumberOfDetectors, dataset.NumberOfRotations = windows, heads, 1
    dataset.Rows, dataset.Columns = rows, columns
    # (u, v) with v upwards; write_pixels takes (columns, rows, frames) with rows downwards.
    values = projections.counts.reshape(windows * views, columns, rows)[:, :, ::-1].transpose(1, 2, 0)
    largest = float(values.max())
    whole = largest <= 65535 and bool((values == np.rint(values)).all())
    slope = geometry.decimal_strings([1.0 if whole or not largest else largest / 65535])[0]
    stored = np.minimum(np.rint(values.astype(np.float64) / float(slope)), 65535).astype("<u2")
    write_pixels(dataset, stored, signed=False)
    dataset.CountsAccumulated = min(int(stored.sum(dtype=np.int64)), 2**31 - 1)
    if not whole:
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, "0"


def _fill_geometry(
    dataset: Any, projections: Projections, turns: list[tuple[float, float, NDArray[np.float64]]]
) -> None:
    from pydicom.dataset import Dataset

    windows = []
    for window in projections.windows:
        item, limits = Dataset(), Dataset()
        limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = geometry.decimal_strings(
            [window.low_kev, window.high_kev]
        )
        item.EnergyWindowRangeSequence = [limits]
        if window.name:
            item.EnergyWindowName = window.name[:16]
        windows.append(item)
    dataset.EnergyWindowInformationSequence = windows
    views, columns, rows = projections.shape
    per_head = views // len(turns)
    _, step, _ = turns[0]
    rotation = Dataset()
    rotation.StartAngle = geometry.decimal_strings([turns[0][0] % 360])[0]
    rotation.AngularStep, rotation.ScanArc = geometry.decimal_strings([abs(step), abs(step) * per_head])
    rotation.RotationDirection = "CC" if step > 0 else "CW"
    rotation.NumberOfFramesInRotation = per_head
    rotation.ActualFrameDuration = str(round(projections.view_s * 1000))
    rotation.RadialPosition = geometry.decimal_strings(turns[0][2])
    dataset.RotationInformationSequence = [rotation]
    assert projections.axis_mm is not None
    x, y, z = projections.axis_mm
    pu, pv = projections.pixel_mm
    detectors = []
    for start, _, radius in turns:
        item = Dataset()
        item.CollimatorType, item.FocalDistance = "PARA", "0"
        item.XFocusCenter = item.YFocusCenter = "0"
        item.StartAngle = geometry.decimal_strings([start % 360])[0]
        item.RadialPosition = geometry.decimal_strings(radius)
        sine, cosine = np.sin(np.deg2rad(start)), np.cos(np.deg2rad(start))
        row = np.array([-cosine, sine, 0.0])
        middle = np.array([x, y, 0.0]) + radius[0] * np.array([sine, cosine, 0.0])
        first = middle - row * pu * (columns - 1) / 2 + [0.0, 0.0, z + (rows - 1) * pv]
        geometry.write_projection_plane(dataset, item, first_mm=first.tolist(), row=row.tolist(), pixel_mm=(pu, pv))
        detectors.append(item)
    dataset.DetectorInformationSequence = detectors
