"""Projections of a gamma camera (NM TOMO): read as `hepatica.imaging.spect.projections.Projections`, and written.

Frames are sorted by the vectors of PS3.3 C.8.4.8 (energy window, detector, rotation, angular view, time slot). Angles
follow C.8.4.12: 0 degrees behind the patient's back, growing towards the left side; RotationDirection CC grows, CW
falls. Rows of a frame run to the patient's feet unless the detector's orientation says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile, Kind
from hepatica.core.context import DicomContext, Instance, new_uid
from hepatica.core.message import Message
from hepatica.errors import InputError, UnitError
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.images.camera_heads import OWN_MAKER, Head, find_axis, read_heads, view_seconds
from hepatica.io.dicom.images.nm import one_file
from hepatica.io.dicom.images.radiopharmaceutical import radiopharmaceutical_of
from hepatica.io.dicom.images.write import NM_IMAGE, Emission, agent_item, energy_windows, parallel_head, write_counts
from hepatica.io.dicom.objects import RESEARCH_ONLY, frame_of_reference, new_object, save_object
from hepatica.io.dicom.pixels import rescale, stored_values
from hepatica.io.dicom.real_world import meaning, only, real_worlds
from hepatica.io.dicom.series import Series, SeriesKind, acquisition_start, noted
from hepatica.io.dicom.tags import Header
from hepatica.io.interfile.images import is_interfile
from hepatica.io.interfile.projections import read_interfile_projections


@dataclass(frozen=True, slots=True, eq=False)
class ProjectionFile:
    """What a file of projections holds.

    Attributes
    ----------
    projections : Projections
        Counts, orbit, windows and times.
    context : DicomContext or None
        Patient and study; None for what is no DICOM.
    source : InputFile
        The file with its hash.
    detectors : tuple of Head
        Those that took the views at once, with their angles, radii and collimators.
    messages : tuple of Message
        What was assumed or looks wrong.
    """

    projections: Projections
    context: DicomContext | None
    source: InputFile
    detectors: tuple[Head, ...]
    messages: tuple[Message, ...] = ()

    @property
    def heads(self) -> int:
        """Number of detectors."""
        return len(self.detectors)


def read_projections(
    path: Path | str,
    *,
    series: str | None = None,
    radius_mm: float | None = None,
    sum_gates: bool = False,
) -> ProjectionFile:
    """Read the projections in a DICOM file or folder, or in an Interfile.

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

    if is_interfile(Path(path)):
        found, head, source, messages = read_interfile_projections(Path(path), radius_mm=radius_mm)
        return ProjectionFile(found, None, source, (head,), messages)
    chosen = scan(Path(path)).choose("projections", (SeriesKind.NM_PROJECTIONS,), series)
    return read_projection_series(chosen, radius_mm=radius_mm, sum_gates=sum_gates)


def read_projection_series(
    series: Series, *, radius_mm: float | None = None, sum_gates: bool = False
) -> ProjectionFile:
    """Read one series that `scan` found; parameters and errors as `read_projections`."""
    series.require_whole()
    header = one_file(series)
    stored = stored_values(header)
    windows = _windows(header)
    heads = read_heads(header, radius_mm)
    frames = _Frames.of(header, len(stored), windows=len(windows), heads=len(heads), sum_gates=sum_gates)
    values, notes = _counts(header, stored)
    counts = _sorted(header, values, frames, heads, len(windows))
    axis = find_axis(header, heads, counts.shape[2:])
    if axis.rows_to_feet:
        counts = counts[..., ::-1]
    orbit = Orbit(np.concatenate([h.angle_deg for h in heads]), np.concatenate([h.radius_mm for h in heads]))
    start = acquisition_start(header)
    agent = radiopharmaceutical_of(header, first_acquisition=start)
    view_s = view_seconds(header, heads[0].views)
    found = Projections(
        counts.astype(np.float32),
        orbit,
        windows,
        geometry.pixel_size_of(header),
        view_s,
        axis_mm=axis.place_mm,
        start=start,
        nuclide=agent.nuclide,
        frame_of_reference=header.text("FrameOfReferenceUID") or None,
        view_start_s=np.concatenate([np.arange(h.views) * view_s for h in heads]),
        camera=_own_camera(header),
    )
    notes += [*axis.messages, *agent.messages, *noted([header])]
    if radius_mm is not None and heads[0].stated_radius:
        text = f"the file states the radius of each view; {radius_mm:g} mm is not used"
        notes.append(Message("radius-not-used", text))
    return ProjectionFile(found, context_of([header]), series.source("projections"), tuple(heads), tuple(notes))


def _own_camera(header: Header) -> str | None:
    """Modelled camera that a file of hepatica names as its collimators; other makers' names are not hepatica's."""
    if header.text("Manufacturer") != OWN_MAKER:
        return None
    names = {item.text("CollimatorGridName").strip() for item in header.items("DetectorInformationSequence")}
    return next(iter(names)) or None if len(names) == 1 else None


def gates_of(header: Header) -> int:
    """Number of gates (time slots) of an acquisition; 1 if it was not gated."""
    return max(1, len({int(n) for n in header.numbers("TimeSlotVector")}))


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
        if (gates := gates_of(header)) > 1 and not sum_gates:
            raise header.error(
                "TimeSlotVector", f"a gated acquisition with {gates} gates", remedy="ask for their sum (`sum_gates`)"
            )
        return cls(
            vector("EnergyWindowVector", windows), vector("DetectorVector", heads), vector("AngularViewVector", None)
        )


def _counts(header: Header, stored: NDArray[Any]) -> tuple[NDArray[np.float64], list[Message]]:
    """Counts of stored values, by the real-world mapping or the rescale slope.

    Raises
    ------
    UnitError
        If the file maps its values to something else than counts, or two statements contradict each other.
    """
    slope, intercept = rescale(header, required=False)
    if header.text("Units") not in ("", "CNTS"):
        raise UnitError(f"{header.path}: Units: {header.text('Units')!r} is not counts (CNTS)")
    worlds = real_worlds(header)
    mapping = only(worlds, Kind.COUNTS)
    if mapping is None:
        if worlds:
            units = ", ".join(meaning(world.unit) for world in worlds)
            raise UnitError(
                f"{header.path}: RealWorldValueMappingSequence maps the projections to {units}, not to counts",
                remedy="export the projections in counts",
            )
        return stored * np.float64(slope) + intercept, []
    values, notes = mapping.apply(stored)
    if (slope, intercept) != (1.0, 0.0) and not np.allclose(values, stored * slope + intercept, rtol=1e-3):
        raise UnitError(
            f"{header.path}: RealWorldValueMappingSequence and RescaleSlope give the projections different counts",
            remedy="correct the file, or export it again",
        )
    return values, list(notes)


def _sorted(
    header: Header, values: NDArray[np.float64], frames: _Frames, heads: list[Head], windows: int
) -> NDArray[np.float64]:
    """Counts by window, view, column and row, rows as in the file; gates added up."""
    start_of_head = np.cumsum([0] + [head.views for head in heads])
    views = int(start_of_head[-1])
    counts = np.zeros((windows, views, values.shape[2], values.shape[1]), dtype=np.float64)
    seen = np.zeros((windows, views), dtype=int)
    for number, (window, head, view) in enumerate(zip(frames.window, frames.head, frames.view, strict=True)):
        if view >= heads[head].views:
            raise header.error("AngularViewVector", f"view {view + 1} of {heads[head].views} in frame {number + 1}")
        place = start_of_head[head] + view
        counts[window, place] += values[number].T
        seen[window, place] += 1
    if seen.min() != seen.max():
        raise header.error("AngularViewVector", "windows, detectors and views are not all there, or some are twice")
    return counts


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
    write_counts(dataset, values, most=65535)


def _fill_geometry(
    dataset: Any, projections: Projections, turns: list[tuple[float, float, NDArray[np.float64]]]
) -> None:
    from pydicom.dataset import Dataset

    dataset.EnergyWindowInformationSequence = energy_windows(projections.windows)
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
        item = parallel_head(projections.camera or "")
        item.StartAngle = geometry.decimal_strings([start % 360])[0]
        item.RadialPosition = geometry.decimal_strings(radius)
        sine, cosine = np.sin(np.deg2rad(start)), np.cos(np.deg2rad(start))
        row = np.array([-cosine, sine, 0.0])
        middle = np.array([x, y, 0.0]) + radius[0] * np.array([sine, cosine, 0.0])
        first = middle - row * pu * (columns - 1) / 2 + [0.0, 0.0, z + (rows - 1) * pv]
        geometry.write_projection_plane(dataset, item, first_mm=first.tolist(), row=row.tolist(), pixel_mm=(pu, pv))
        detectors.append(item)
    dataset.DetectorInformationSequence = detectors
