"""What every series under a path is, in plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hepatica.core import Grid, InputFile, Kind
from hepatica.core.document import HIDDEN
from hepatica.core.image import NOTHING_STATED, Acquisition, Image, Stated
from hepatica.core.message import Message
from hepatica.core.privacy.identity import withheld
from hepatica.errors import HepaticaError
from hepatica.io.dicom.scan import Skipped, scan
from hepatica.io.dicom.series import Series, SeriesKind
from hepatica.io.input_files import is_file
from hepatica.io.read import read_image, read_series

if TYPE_CHECKING:
    from hepatica.io.dicom.images.projections import ProjectionFile

_AXIS_ENDS = (("left", "right"), ("posterior", "anterior"), ("head", "feet"))

NOT_RECONSTRUCTED = "projections: they must be reconstructed before dosimetry"

NOT_RECONSTRUCTED_PET = "sinograms: they must be reconstructed before dosimetry"

UNKNOWN_RADIUS_MM = 250.0
"""Stands in for a radius that the file does not state while the rest is read; it is not shown."""

_IMAGES = (SeriesKind.CT, SeriesKind.PET, SeriesKind.NM_RECON, SeriesKind.NM_PLANAR)


@dataclass(frozen=True, slots=True)
class HeadDescription:
    """One head of a gamma camera: its first angle, collimator as written, and radii from the axis."""

    start_deg: float
    collimator: str
    nearest_mm: float | None
    farthest_mm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionsDescription:
    """How projections were acquired.

    Attributes
    ----------
    energy_windows : tuple of str
        "126.5-154.6 keV (peak)".
    views : int
        Of one head.
    step_deg : float
        Between two views; negative for a turn clockwise.
    arc_deg : float
        Views times step.
    view_s : float
        Time of a view.
    heads : tuple of HeadDescription
        In the order of the file.
    pixel_mm : tuple of float
        Along columns and rows.
    axis_mm : tuple of float or None
        x and y of the axis and z of the lowest row; None where the file does not say.
    gates : int
        Time slots; 1 if it was not gated.
    """

    energy_windows: tuple[str, ...]
    views: int
    step_deg: float
    arc_deg: float
    view_s: float
    heads: tuple[HeadDescription, ...]
    pixel_mm: tuple[float, float]
    axis_mm: tuple[float, float, float] | None
    gates: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One series or file in words and numbers; None or empty where it does not say.

    Attributes
    ----------
    what : str
        "PET", "CT localizer", "NIfTI or MetaImage volume".
    description, series, part, date, patient_id, patient_name : str or None
        Identity: description, UID, part of the series, date as YYYYMMDD, patient.
    images, files : int or None
        How many.
    acquisition : Acquisition or None
        How it was acquired; None for what is only listed.
    kind, unit : str or None
        What a voxel holds.
    time : datetime or None
        Instant that the values refer to.
    grid : Grid or None
        Where the voxels are.
    minimum, maximum : float or None
        Of the values, in `unit`.
    activity_in_image_mbq, counts_in_image : float or None
        Sum over the image.
    structures : tuple of str
        Names in a structure set or a segmentation.
    dose_type : str or None
        Of an RT Dose.
    orientation : str or None
        Of the grid, in words.
    projections : ProjectionsDescription or None
        Of projections that can be read.
    frame_starts_s, frame_durations_s : tuple of float
        Of each frame of a dynamic acquisition, after its start.
    problems : tuple of str
        Why it cannot be used as it is.
    messages : tuple of Message
        What was assumed or looks wrong.
    missing : tuple of str
        What absorbed dose needs and the image does not say.
    source : InputFile or None
        Files and their hash, of what was read.
    """

    what: str
    description: str = field(metadata=withheld())
    series: str | None = None
    part: str | None = None
    images: int | None = None
    files: int | None = None
    date: str | None = None
    patient_id: str | None = None
    patient_name: str | None = None
    acquisition: Acquisition | None = None
    kind: str | None = None
    unit: str | None = None
    time: datetime | None = None
    grid: Grid | None = None
    minimum: float | None = None
    maximum: float | None = None
    activity_in_image_mbq: float | None = None
    counts_in_image: float | None = None
    structures: tuple[str, ...] = ()
    dose_type: str | None = None
    orientation: str | None = None
    projections: ProjectionsDescription | None = None
    frame_starts_s: tuple[float, ...] = ()
    frame_durations_s: tuple[float, ...] = ()
    problems: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    missing: tuple[str, ...] = ()
    source: InputFile | None = field(default=None, metadata=HIDDEN)

    @property
    def holds_something(self) -> bool:
        """Whether it is an image, projections, a dose or structures: not a dose report, screen save or localizer."""
        return self.grid is not None or self.projections is not None or bool(self.structures)

    @property
    def nuclide(self) -> str | None:
        """Nuclide, if the file names one."""
        return None if self.acquisition is None else self.acquisition.nuclide


@dataclass(frozen=True, slots=True)
class Descriptions:
    """What is under a path: series, files not used, and what concerns the whole folder (two patients mixed)."""

    series: tuple[Description, ...]
    skipped: tuple[Skipped, ...] = ()
    messages: tuple[Message, ...] = ()


def describe(path: Path | str, *, stated: Stated = NOTHING_STATED) -> Descriptions:
    """Describe what is under a path.

    Raises
    ------
    InputError
        If the path does not exist.
    """
    from hepatica.io.interfile.images import is_interfile
    from hepatica.io.itk import is_itk_file

    path = Path(path)
    if is_file(path) and (is_itk_file(path) or is_interfile(path)):
        return Descriptions((describe_itk(path, stated),))
    found = scan(path, several_patients=True)
    series = [describe_series(one, stated) for one in found]
    plain = [item.path for item in found.skipped if is_itk_file(item.path) or is_interfile(item.path)]
    headers = [file for file in plain if header_file(file) == file]
    series += [describe_itk(file, stated) for file in headers]
    # The data of a header are described with it.
    skipped = tuple(item for item in found.skipped if header_file(item.path) not in headers)
    return Descriptions(tuple(series), skipped, found.messages)


def header_file(path: Path) -> Path:
    """The file that is named for an image in two files, of which one holds the voxels; else the file itself."""
    from hepatica.io.interfile.images import header_of, is_interfile
    from hepatica.io.itk import is_itk_file
    from hepatica.io.volumes.nifti import pair_of

    if is_interfile(path):
        return header_of(path)
    return pair_of(path)[0] if is_itk_file(path) else path


def describe_series(series: Series, stated: Stated = NOTHING_STATED) -> Description:
    """Description of one DICOM series; what keeps it from being read is among its problems."""
    listed = Description(
        what=series.what if series.kind is SeriesKind.OTHER else series.kind.value,
        description=series.description,
        series=series.key,
        part=series.part or None,
        images=series.images,
        files=len(series.files),
        date=series.date,
        patient_id=series.patient[0],
        patient_name=series.patient[1],
    )
    if series.kind is SeriesKind.MR:
        return _of_unreadable(listed, series, stated, "an MR holds no quantity that hepatica reads; it is only listed")
    if series.kind is SeriesKind.NM_PROJECTIONS:
        return _of_projections(listed, series)
    if series.kind not in _IMAGES:
        return _with_contents(listed, series)
    try:
        image = read_series(series, stated=stated)
    except HepaticaError as error:
        return _of_unreadable(listed, series, stated, str(error))
    return _with_frames(_of_image(listed, image), series)


def describe_image(image: Image) -> Description:
    """Description of an image that is at hand."""
    modality = image.acquisition.modality
    return _of_image(
        Description(what=f"{modality} image".strip(), description=image.acquisition.description or image.name), image
    )


def describe_itk(path: Path, stated: Stated = NOTHING_STATED) -> Description:
    """Description of a NIfTI, MetaImage, NRRD or Interfile file."""
    from hepatica.io.dicom.images.projections import read_projections
    from hepatica.io.interfile.images import holds_projections, is_interfile, read_interfile
    from hepatica.io.interfile.sinograms import holds_sinograms
    from hepatica.io.itk import read_itk

    interfile = is_interfile(path)
    what = "Interfile volume" if interfile else "NIfTI or MetaImage volume"
    listed = Description(what=what, description=path.name)
    try:
        if interfile and holds_sinograms(path):
            return _of_sinogram(listed, path)
        if interfile and holds_projections(path):
            file = read_projections(path, radius_mm=UNKNOWN_RADIUS_MM)
            listed = replace(listed, what="Interfile projections (not reconstructed)", images=file.projections.shape[0])
            nuclide = Acquisition(description=path.name, nuclide=file.projections.nuclide)
            return _of_projection_file(replace(listed, acquisition=nuclide), file, 1, [NOT_RECONSTRUCTED])
        if stated.unit is not None:
            return _of_image(listed, read_image(path, stated=stated))
        volume, messages = (read_interfile if interfile else read_itk)(path, Kind.UNKNOWN)
    except HepaticaError as error:
        return replace(listed, problems=(str(error),))
    bad = int((~np.isfinite(volume.values)).sum())
    return replace(
        listed,
        grid=volume.grid,
        minimum=float(np.nanmin(volume.values)),
        maximum=float(np.nanmax(volume.values)),
        orientation=orientation_words(volume.grid),
        problems=(f"{bad} voxels are NaN or infinite",) if bad else (),
        messages=tuple(messages),
        missing=("unit: the file does not say what a voxel holds", "time: nor the instant it refers to"),
    )


def _of_sinogram(listed: Description, path: Path) -> Description:
    """Of an Interfile sinogram of a PET by its header."""
    from hepatica.io.interfile.sinograms import read_sinogram

    listed = replace(listed, what="PET sinogram (not reconstructed)", problems=(NOT_RECONSTRUCTED_PET,))
    try:
        found = read_sinogram(path)
    except HepaticaError as error:
        return replace(listed, problems=(NOT_RECONSTRUCTED_PET, str(error)))
    facts = Acquisition(
        description=path.name, scanner=found.scanner_name, nuclide=found.nuclide or None, start=found.start,
        frame_duration_s=found.duration_s,
    )  # fmt: skip
    day = None if found.start is None else found.start.date().isoformat()
    return replace(listed, acquisition=facts, time=found.start, date=day)


def orientation_words(grid: Grid) -> str:
    """Where the axes of a grid run, and how far they are turned from the patient's.

    >>> orientation_words(Grid.axial((2, 2, 2), spacing_mm=(1, 1, 1)))
    'axial: i to left, j to posterior, k to head'
    """
    direction = grid.direction
    ends, main = [], []
    for axis in range(3):
        strongest = int(np.argmax(np.abs(direction[:, axis])))
        main.append(strongest)
        ends.append(_AXIS_ENDS[strongest][0 if direction[strongest, axis] > 0 else 1])
    plane = {2: "axial", 1: "coronal", 0: "sagittal"}[main[2]]
    angle = float(np.degrees(np.arccos(np.clip(np.abs(direction).max(axis=0).min(), -1, 1))))
    turned = f", turned {angle:.1f}° from the patient's axes" if angle > 0.1 else ""
    return f"{plane}: i to {ends[0]}, j to {ends[1]}, k to {ends[2]}{turned}"


def _of_unreadable(listed: Description, series: Series, stated: Stated, problem: str) -> Description:
    """What can still be said of an image that is refused: all that is wrong with it, and its geometry."""
    from hepatica.io.dicom import geometry
    from hepatica.io.dicom.images.pet import missing_facts, refusals
    from hepatica.io.dicom.images.radiopharmaceutical import radiopharmaceutical_of
    from hepatica.io.dicom.series import frame_of_reference

    problems = [problem]
    try:
        if series.kind is SeriesKind.PET:
            problems = refusals(series, stated) or problems
            missing = missing_facts(radiopharmaceutical_of(series.headers[0], first_acquisition=None))
            listed = replace(listed, missing=missing)
        if series.kind in (SeriesKind.PET, SeriesKind.CT, SeriesKind.MR):
            frame = frame_of_reference(series.headers)
            if "PerFrameFunctionalGroupsSequence" in series.headers[0]:
                planes = geometry.multiframe_planes(series.headers[0])
                grid = geometry.stack_planes(planes, frame_of_reference=frame).grid
            else:
                grid = geometry.series_stack(series.headers, frame_of_reference=frame).grid
            listed = replace(listed, grid=grid, orientation=orientation_words(grid))
    except HepaticaError as error:
        if str(error) not in problems:
            problems.append(str(error))
    return replace(listed, problems=tuple(problems))


def _of_image(listed: Description, image: Image) -> Description:
    volume = image.volume
    planar = "planar" in listed.what
    return replace(
        listed,
        acquisition=image.acquisition,
        kind=image.kind,
        unit=image.unit,
        time=image.time,
        grid=image.grid,
        minimum=float(np.nanmin(volume.values)),
        maximum=float(np.nanmax(volume.values)),
        activity_in_image_mbq=volume.total / 1e6 if volume.kind is Kind.ACTIVITY_CONCENTRATION else None,
        counts_in_image=volume.total if volume.kind is Kind.COUNTS else None,
        orientation="planar: no place in the patient" if planar else orientation_words(image.grid),
        messages=image.messages,
        missing=image.missing,
        source=image.source,
    )


def _with_frames(listed: Description, series: Series) -> Description:
    """With the times of the frames of a dynamic acquisition."""
    from hepatica.io.dicom.images.phases import frame_times

    if series.kind is not SeriesKind.NM_PLANAR or len(series.headers) != 1:
        return listed
    times = frame_times(series.headers[0], series.images)
    if times is None:
        return listed
    starts, durations = tuple(times.start_s.tolist()), tuple(times.duration_s.tolist())
    return replace(listed, frame_starts_s=starts, frame_durations_s=durations)


def _of_projections(listed: Description, series: Series) -> Description:
    """How projections were acquired; they are no image yet."""
    from hepatica.io.dicom.images.nm import facts_of
    from hepatica.io.dicom.images.projections import gates_of, read_projection_series

    header = series.headers[0]
    problems = [NOT_RECONSTRUCTED]
    try:
        listed = replace(listed, acquisition=facts_of(header, Kind.COUNTS, "counts")[0])
    except HepaticaError as error:
        problems.append(str(error))
    try:
        # A camera may leave the radius out, which the user states then.
        file = read_projection_series(series, radius_mm=UNKNOWN_RADIUS_MM, sum_gates=True)
        gates = gates_of(header)
    except HepaticaError as error:
        return replace(listed, problems=tuple(dict.fromkeys([*problems, str(error)])))
    return _of_projection_file(listed, file, gates, problems)


def _of_projection_file(listed: Description, file: ProjectionFile, gates: int, problems: Sequence[str]) -> Description:
    if not file.detectors[0].stated_radius:
        # The axis follows from the radius.
        known = tuple(message for message in file.messages if not message.code.startswith("axis-"))
        file = replace(file, projections=replace(file.projections, axis_mm=None), messages=known)
    missing = [] if file.projections.start else ["AcquisitionDate and AcquisitionTime: when the counts were acquired"]
    if file.projections.nuclide is None:
        missing.append("RadionuclideCodeSequence: which nuclide it is")
    if not file.detectors[0].stated_radius:
        missing.append("RadialPosition: how far the heads were from the axis")
    elif file.projections.axis_mm is None:
        missing.append("ImagePositionPatient of the detectors: where the axis of rotation lies")
    counts = file.projections.counts
    return replace(
        listed,
        unit="counts",
        time=file.projections.start,
        minimum=float(counts.min()),
        maximum=float(counts.max()),
        counts_in_image=float(counts.sum(dtype=np.float64)),
        projections=_acquired_as(file, gates),
        problems=tuple(problems),
        messages=tuple(message for message in file.messages if message.code != "radius-not-used"),
        missing=tuple(missing),
        source=file.source,
    )


def _acquired_as(file: ProjectionFile, gates: int) -> ProjectionsDescription:
    data, first = file.projections, file.detectors[0]
    step = float(first.angle_deg[1] - first.angle_deg[0]) if first.views > 1 else 0.0
    return ProjectionsDescription(
        energy_windows=tuple(f"{window}{f' ({window.name})' if window.name else ''}" for window in data.windows),
        views=first.views,
        step_deg=step,
        arc_deg=abs(step) * first.views,
        view_s=data.view_s,
        heads=tuple(
            HeadDescription(
                head.start_deg,
                head.collimator,
                float(head.radius_mm.min()) if head.stated_radius else None,
                float(head.radius_mm.max()) if head.stated_radius else None,
            )
            for head in file.detectors
        ),
        pixel_mm=data.pixel_mm,
        axis_mm=data.axis_mm,
        gates=gates,
    )


def _of_dose(listed: Description, path: Path) -> Description:
    """An RT Dose, read as everything that takes a dose reads it."""
    from hepatica.io.dicom.rtdose import read_rtdose

    dose = read_rtdose(path)
    return replace(
        listed,
        grid=dose.volume.grid,
        minimum=float(dose.volume.values.min()),
        maximum=float(dose.volume.values.max()),
        orientation=orientation_words(dose.volume.grid),
        messages=dose.messages,
    )


def _with_contents(listed: Description, series: Series) -> Description:
    """What a listed object says at a glance: names of structures, type and unit of a dose."""
    header = series.headers[0]
    try:
        if series.kind is SeriesKind.RTSTRUCT:
            names = [item.text("ROIName") for item in header.items("StructureSetROISequence")]
            return replace(listed, structures=tuple(names))
        if series.kind is SeriesKind.SEG:
            return replace(listed, structures=tuple(s.text("SegmentLabel") for s in header.items("SegmentSequence")))
        if series.kind is SeriesKind.RTDOSE:
            # A dose that is refused is still listed with its unit.
            listed = replace(listed, unit=header.text("DoseUnits"), dose_type=header.text("DoseType"))
            return _of_dose(listed, series.files[0])
    except HepaticaError as error:
        return replace(listed, problems=(str(error),))
    return listed
