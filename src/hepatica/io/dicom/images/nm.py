"""Gamma camera images: reconstructed SPECT volumes, and planar images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hepatica.core import Kind, Volume
from hepatica.core.image import NOTHING_STATED, Acquisition, Image, Stated, other_nuclide
from hepatica.core.message import Message
from hepatica.errors import DicomError, TimeError, UnitError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.images.phases import frame_times
from hepatica.io.dicom.images.radiopharmaceutical import radiopharmaceutical_of
from hepatica.io.dicom.pixels import rescale, stored_values
from hepatica.io.dicom.series import Series, SeriesKind, acquisition_start, common_facts, noted
from hepatica.io.dicom.tags import Header

BQML_CODES = ("Bq/ml", "Bq/mL", "BQML", "{Bq}/ml")
"""UCUM code and its misspellings for becquerel per millilitre in RealWorldValueMappingSequence."""


def read_nm(series: Series, stated: Stated = NOTHING_STATED, *, role: str = "activity") -> Image:
    """SPECT volume (RECON TOMO) or planar images of a gamma camera.

    Values are counts, or Bq/mL where Units or RealWorldValueMappingSequence say so.

    Raises
    ------
    DicomError
        If it is no such image, its frames are not one volume, or a tag is missing or contradictory.
    UnitError
        If the unit is neither counts nor Bq/mL.
    """
    series.require_whole()
    header = one_file(series)
    if series.kind is SeriesKind.NM_PROJECTIONS:
        raise DicomError(
            "these are projections, not a reconstructed volume; choose the reconstruction (ImageType RECON TOMO)",
            path=header.path,
        )
    frame = header.text("FrameOfReferenceUID") or None
    stored = stored_values(header)
    kind, slope, intercept, unit_in_file = unit_of(header)
    notes: list[Message] = []
    if series.kind is SeriesKind.NM_RECON:
        slice_of_frame = _one_volume(header, len(stored))
        stack = geometry.nuclear_stack(
            header, frame_of_reference=frame, slices=len(stored), spacing_mm=stated.slice_spacing_mm
        )
        grid = stack.grid
        place = [stack.slice_of[n] for n in slice_of_frame]
        notes += stack.messages
    else:
        grid = geometry.planar_grid(header, frame_of_reference=frame, images=len(stored))
        place = list(range(len(stored)))
    values = np.empty(stored.shape, dtype=np.float32)
    values[place] = stored * slope + intercept
    facts, more, missing = facts_of(header, unit_in_file)
    notes += more
    if stated.nuclide and facts.nuclide not in (None, stated.nuclide):
        if not stated.override_nuclide:
            raise other_nuclide(facts.nuclide or "", stated.nuclide, str(header.path))
        notes.append(_overridden(header, facts, stated.nuclide))
        facts = replace(facts, nuclide=stated.nuclide)
    if stated.time is not None:
        text = f"reference time {stated.time.isoformat()} as stated by the user"
        notes.append(Message("reference-time-stated", text))
    reference = facts.administered_at if facts.decay_correction == "ADMIN" else facts.start
    name = f"NM {series.description}".strip()
    volume = Volume(grid, values.transpose(2, 1, 0), kind, stated.time or reference, name)
    return Image(
        volume,
        context_of([header]),
        facts,
        series.source(role),
        messages=(*notes, *noted([header])),
        missing=missing,
    )


def _overridden(header: Header, facts: Acquisition, wanted: str) -> Message:
    """The message for a nuclide that is overridden; DicomError if the scanner corrected for the decay of the other."""
    if facts.decay_correction != "NONE":
        raise header.error(
            "CorrectedImage",
            f"the counts were corrected for the decay of {facts.nuclide}, which cannot be undone for {wanted}; "
            "reconstruct them without decay correction",
        )
    return Message("nuclide-overridden", f"the header's {facts.nuclide} is overridden by {wanted}")


def one_file(series: Series) -> Header:
    """The one file of a multi-frame series; DicomError if there are several."""
    if len(series.headers) != 1:
        names = ", ".join(str(path) for path in series.files[:4])
        raise DicomError(f"the NM series {series.description!r} has {len(series.headers)} files ({names}); choose one")
    return series.headers[0]


def unit_of(header: Header) -> tuple[Kind, float, float, str]:
    """Kind, slope, intercept and unit as written.

    Raises
    ------
    UnitError
        If the unit is neither counts nor Bq/mL.
    """
    for item in header.items("RealWorldValueMappingSequence"):
        code = item.item("MeasurementUnitsCodeSequence")
        text = code.text("CodeValue") if code else ""
        if text in BQML_CODES:
            slope = item.required_number("RealWorldValueSlope")
            return Kind.ACTIVITY_CONCENTRATION, slope, item.number("RealWorldValueIntercept") or 0.0, text
    slope, intercept = rescale(header, required=False)
    unit = header.text("Units")
    if unit == "BQML":
        return Kind.ACTIVITY_CONCENTRATION, slope, intercept, unit
    if unit not in ("", "CNTS"):
        raise UnitError(f"{header.path}: Units: {unit!r} is neither counts (CNTS) nor Bq/mL (BQML)")
    return Kind.COUNTS, slope, intercept, unit or "counts"


def facts_of(header: Header, unit_in_file: str) -> tuple[Acquisition, tuple[Message, ...], tuple[str, ...]]:
    """How it was acquired, messages, and what is missing for dosimetry."""
    start = acquisition_start(header)
    agent = radiopharmaceutical_of(header, first_acquisition=start)
    rotation = header.item("RotationInformationSequence")
    duration_ms = (rotation.number("ActualFrameDuration") if rotation else None) or header.number("ActualFrameDuration")
    phases = frame_times(header, header.integer("NumberOfFrames") or 1)
    if duration_ms is None and phases is not None and phases.alike_s is not None:
        duration_ms = phases.alike_s * 1000
    projections, notes = _projections(rotation)
    corrected = "DECY" in header.texts("CorrectedImage")
    decay = header.text("DecayCorrection") or ("START" if corrected else "NONE")
    if decay not in ("START", "ADMIN", "NONE") or (decay == "NONE") is corrected:
        raise TimeError(
            f"{header.path}: DecayCorrection: {decay!r} contradicts CorrectedImage {header.texts('CorrectedImage')}"
        )
    missing = []
    if start is None:
        missing.append("AcquisitionDate and AcquisitionTime: when the counts were acquired")
    if duration_ms is None and phases is None:
        missing.append("ActualFrameDuration: how long a projection took (for a camera factor)")
    if agent.nuclide is None:
        missing.append("RadionuclideCodeSequence: which nuclide it is")
    if unit_in_file not in BQML_CODES:
        missing.append("calibration: counts need a camera factor or a known activity")
    rule = {
        "NONE": "not decay-corrected: counts as acquired from the acquisition's start on",
        "START": "decay-corrected to the start of the acquisition",
        "ADMIN": "decay-corrected to the administration",
    }[decay]
    facts = replace(
        common_facts(header),
        unit_in_file=unit_in_file,
        nuclide=agent.nuclide,
        half_life_s=agent.half_life_s,
        positron_fraction=agent.positron_fraction,
        radiopharmaceutical=agent.name,
        decay_correction=decay,
        time_rule=rule,
        start=start,
        frame_duration_s=None if duration_ms is None else duration_ms / 1000,
        projections=projections,
        energy_windows_kev=energy_windows_kev(header),
        administered_bq=agent.activity_bq,
        administered_at=agent.start,
    )
    return facts, (*notes, *agent.messages), tuple(missing)


def energy_windows_kev(header: Header) -> tuple[tuple[float, float], ...]:
    """Lower and upper limit of every energy window range that the header states."""
    windows = []
    for window in header.items("EnergyWindowInformationSequence"):
        for limits in window.items("EnergyWindowRangeSequence"):
            low, high = limits.number("EnergyWindowLowerLimit"), limits.number("EnergyWindowUpperLimit")
            if low is not None and high is not None:
                windows.append((low, high))
    return tuple(windows)


def _projections(rotation: Header | None) -> tuple[int | None, tuple[Message, ...]]:
    """Number of angular views from arc and step; a reconstruction often writes its number of slices as views."""
    if rotation is None:
        return None, ()
    arc, step = rotation.number("ScanArc"), rotation.number("AngularStep")
    stated = rotation.integer("NumberOfFramesInRotation")
    if not arc or not step:
        return stated, ()
    by_angle = round(abs(arc / step))
    if stated is not None and stated != by_angle:
        text = f"NumberOfFramesInRotation says {stated} views, ScanArc over AngularStep {by_angle}: {by_angle} is taken"
        return by_angle, (Message("views-contradict", text),)
    return by_angle, ()


def _one_volume(header: Header, frames: int) -> list[int]:
    """Slice number of every frame, from SliceVector; DicomError if the frames are not one volume."""
    slices = header.integer("NumberOfSlices")
    vector = [int(n) for n in header.numbers("SliceVector")]
    if slices is not None and slices != frames:
        raise header.error(
            "NumberOfSlices", f"{slices} slices in {frames} frames: several volumes (windows, gates or times) in a file"
        )
    if not vector:
        return list(range(frames))
    if sorted(vector) != list(range(1, frames + 1)):
        raise header.error("SliceVector", f"does not number the {frames} frames as slices of one volume")
    return [n - 1 for n in vector]
