"""Gamma camera images: reconstructed SPECT volumes, and planar images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.image import NOTHING_STATED, Acquisition, Image, Stated, other_nuclide
from hepatica.core.message import Message
from hepatica.errors import DicomError, TimeError, UnitError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.images.phases import frame_times
from hepatica.io.dicom.images.radiopharmaceutical import (
    implausible_administration,
    radiopharmaceutical_of,
    with_stated_administration,
)
from hepatica.io.dicom.pixels import rescale, stored_values
from hepatica.io.dicom.private import read_certainty, read_doubts, read_lung_mean
from hepatica.io.dicom.real_world import RealWorld, meaning, only, real_worlds, same_line
from hepatica.io.dicom.series import Series, SeriesKind, acquisition_start, common_facts, frame_of_reference, noted
from hepatica.io.dicom.tags import Header, shared_text


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
    headers = list(series.headers) if series.kind is SeriesKind.NM_RECON else [one_file(series)]
    if series.kind is SeriesKind.NM_PROJECTIONS:
        raise DicomError(
            "these are projections, not a reconstructed volume; choose the reconstruction (ImageType RECON TOMO)",
            path=headers[0].path,
        )
    if len(headers) > 1:
        grid, values, kind, unit_in_file, notes, headers = _stacked(headers)
        header = headers[0]
    else:
        header = headers[0]
        grid, values, kind, unit_in_file, notes = _in_one_file(header, series.kind, stated)
    if series.kind is SeriesKind.NM_RECON:
        notes += corrections_missing(header)
    facts, more, missing = facts_of(header, kind, unit_in_file, stated.administered_at)
    notes += more
    if stated.nuclide and facts.nuclide not in (None, stated.nuclide):
        if not stated.override_nuclide:
            raise other_nuclide(facts.nuclide or "", stated.nuclide, str(header.path))
        notes.append(_overridden(header, facts, stated.nuclide))
        facts = replace(facts, nuclide=stated.nuclide, certainty=facts.certainty.with_scale(None))
    if stated.time is not None:
        text = f"reference time {stated.time.isoformat()} as stated by the user"
        notes.append(Message("reference-time-stated", text))
    reference = facts.administered_at if facts.decay_correction == "ADMIN" else facts.start
    name = f"NM {series.description}".strip()
    volume = Volume(grid, values.transpose(2, 1, 0), kind, stated.time or reference, name)
    return Image(
        volume,
        context_of(headers),
        facts,
        series.source(role),
        messages=(*notes, *noted(headers)),
        missing=missing,
    )


def _in_one_file(
    header: Header, series: SeriesKind, stated: Stated
) -> tuple[Grid, NDArray[np.float32], Kind, str, list[Message]]:
    """Grid, values by frame, kind, unit as written, and messages of a multi-frame file."""
    frame = header.text("FrameOfReferenceUID") or None
    stored = stored_values(header)
    kind, scaled, unit_in_file, more = values_of(header, stored)
    notes = list(more)
    if series is SeriesKind.NM_RECON:
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
    values[place] = scaled
    return grid, values, kind, unit_in_file, notes


def _stacked(
    headers: Sequence[Header],
) -> tuple[Grid, NDArray[np.float32], Kind, str, list[Message], list[Header]]:
    """The same of a volume that stands in one file for each slice; the files in the order of their slices."""
    stack = geometry.series_stack(headers, frame_of_reference=frame_of_reference(headers))
    ordered = [headers[n] for n in stack.order]
    for keyword in ("CorrectedImage", "DecayCorrection", "Units", "ActualFrameDuration", "AcquisitionDate"):
        shared_text(ordered, keyword)
    text = f"the volume stands in {len(ordered)} files of one slice each: stacked by their positions"
    notes = [*stack.messages, Message("slices-in-files", text, severity="note")]
    slices, kinds = [], {}
    for header in ordered:
        stored = stored_values(header)
        if len(stored) != 1:
            raise header.error("NumberOfFrames", f"{len(stored)} frames in a file of a series of single images")
        kind, scaled, unit, more = values_of(header, stored)
        kinds[kind, unit] = header
        notes += more
        slices.append(scaled[0])
    if len(kinds) > 1:
        (_, first), (_, other) = list(kinds)[:2]
        raise UnitError(
            f"{list(kinds.values())[1].path}: its unit, {other!r}, is not that of the other slices, {first!r}"
        )
    (kind, unit) = next(iter(kinds))
    return stack.grid, np.asarray(slices, dtype=np.float32), kind, unit, list(dict.fromkeys(notes)), ordered


def corrections_missing(header: Header) -> list[Message]:
    """What CorrectedImage of a SPECT volume leaves out, and what that does; nothing where it is not stated."""
    corrected = header.texts("CorrectedImage")
    if not corrected:
        return []
    found = "/".join(corrected)
    notes = []
    if "ATTN" not in corrected:
        text = (
            f"CorrectedImage ({found}) has no ATTN: the counts were not corrected for attenuation; deep in the body, "
            "as in the liver, they are several times too low and the dose with them, and a lung shunt too high"
        )
        notes.append(Message("not-attenuation-corrected", text, "reconstruct the SPECT with attenuation correction"))
    if "SCAT" not in corrected:
        text = (
            f"CorrectedImage ({found}) has no SCAT: scattered photons are counted as activity where there is none; the "
            "dose around the uptake and a lung shunt come out too high, contrast and the dose to tumours too low"
        )
        notes.append(Message("not-scatter-corrected", text, "reconstruct the SPECT with scatter correction"))
    return notes


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


def values_of(header: Header, stored: NDArray[Any]) -> tuple[Kind, NDArray[np.float64], str, tuple[Message, ...]]:
    """Kind, values, unit as written, and messages, of the stored values of a gamma camera's file.

    A real-world mapping to Bq/mL beats one to counts, which beats RescaleSlope; without any a stored value is a count.

    Raises
    ------
    UnitError
        If the unit is neither counts nor Bq/mL, or slopes contradict each other.
    """
    worlds = real_worlds(header)
    unit = header.text("Units")
    for kind in (Kind.ACTIVITY_CONCENTRATION, Kind.COUNTS, Kind.COUNT_RATE):
        world = only(worlds, kind)
        if world is None:
            continue
        _require_one_scale(header, world, unit)
        values, notes = world.apply(stored)
        return kind, values, world.unit, notes
    slope, intercept = rescale(header, required=False)
    # "1" is a mapping to plain numbers.
    refused = [w for w in worlds if w.unit != "1" or not same_line(w.line, (slope, intercept))]
    if refused:
        raise UnitError(
            f"{refused[0].where}: {meaning(refused[0].unit)} is neither activity (Bq/mL, kBq/mL) nor counts",
            remedy="export the image in Bq/mL or in counts",
        )
    if unit not in ("", "CNTS", "BQML"):
        raise UnitError(f"{header.path}: Units: {unit!r} is neither counts (CNTS) nor Bq/mL (BQML)")
    kind = Kind.ACTIVITY_CONCENTRATION if unit == "BQML" else Kind.COUNTS
    return kind, stored * slope + intercept, unit or "counts", ()


def _require_one_scale(header: Header, world: RealWorld, unit: str) -> None:
    """UnitError if RescaleSlope, in the same unit, gives other values than the real-world mapping."""
    slope, intercept = rescale(header, required=False)
    in_activity = unit == "BQML"
    if in_activity is not (world.kind is Kind.ACTIVITY_CONCENTRATION) or (
        not in_activity and (slope, intercept) == (1, 0)
    ):
        return
    if len(world.ranges) > 1 or not same_line(world.line, (slope, intercept)):
        raise UnitError(
            f"{world.where}: gives {world.kind.unit} that differ from those of RescaleSlope, {slope:g}: the file "
            "contradicts itself",
            remedy="export the image again",
        )


def facts_of(
    header: Header, kind: Kind, unit_in_file: str, administered_at: datetime | None = None
) -> tuple[Acquisition, tuple[Message, ...], tuple[str, ...]]:
    """How it was acquired, messages, and what is missing for dosimetry."""
    start = acquisition_start(header)
    agent = with_stated_administration(radiopharmaceutical_of(header, first_acquisition=start), administered_at)
    wrong = implausible_administration(agent, start)
    if wrong is not None and wrong.code == "administration-long-ago":
        agent = replace(agent, start=None)
    rotation = header.item("RotationInformationSequence")
    duration_ms = (rotation.number("ActualFrameDuration") if rotation else None) or header.number("ActualFrameDuration")
    phases = frame_times(header, header.integer("NumberOfFrames") or 1)
    if duration_ms is None and phases is not None and phases.alike_s is not None:
        duration_ms = phases.alike_s * 1000
    projections, notes = _projections(rotation)
    lung, unread = read_lung_mean(header)
    certainty, unreadable = read_certainty(header)
    doubts = read_doubts(header)
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
    if kind is not Kind.ACTIVITY_CONCENTRATION:
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
        lung=lung,
        certainty=certainty,
    )
    return facts, (*notes, *unread, *unreadable, *doubts, *agent.messages, *((wrong,) if wrong else ())), tuple(missing)


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


_VECTORS = {
    "EnergyWindowVector": "energy windows",
    "TimeSlotVector": "time slots of a gated study",
    "TimeSliceVector": "time slices",
    "PhaseVector": "phases",
    "RRIntervalVector": "R-R intervals",
    "DetectorVector": "detectors",
    "RotationVector": "rotations",
}
"""What may tell frames apart that are not slices of one volume."""

_COUNTS = {
    "NumberOfEnergyWindows": "energy windows",
    "NumberOfTimeSlots": "time slots of a gated study",
    "NumberOfTimeSlices": "time slices",
    "NumberOfPhases": "phases",
    "NumberOfRRIntervals": "R-R intervals",
    "NumberOfRotations": "rotations",
}


def _one_volume(header: Header, frames: int) -> list[int]:
    """Slice number of every frame, from SliceVector; DicomError if the frames are not one volume."""
    slices = header.integer("NumberOfSlices")
    vector = [int(n) for n in header.numbers("SliceVector")]
    remedy = "export each of them as an image of its own"
    for keyword, what in _VECTORS.items():
        if (count := len(set(header.numbers(keyword)))) > 1:
            raise header.error(
                keyword,
                f"the {frames} frames are {count} volumes of about {frames // count} slices ({what})",
                remedy=remedy,
            )
    if slices is not None and slices != frames:
        raise header.error(
            "NumberOfSlices", f"{slices} slices in {frames} frames: several volumes (windows, gates or times) in a file"
        )
    if vector and sorted(vector) != list(range(1, frames + 1)):
        raise header.error("SliceVector", f"does not number the {frames} frames as slices of one volume")
    if vector:
        return [n - 1 for n in vector]
    for keyword, what in _COUNTS.items():
        count = header.integer(keyword) or 1
        if slices is None and count > 1 and frames > 1:
            raise header.error(
                keyword,
                f"{count} {what}, and neither SliceVector nor NumberOfSlices says that {frames} frames are one volume",
                remedy=remedy,
            )
    return list(range(frames))
