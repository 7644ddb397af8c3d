"""Enhanced (multi-frame) PET to Bq/mL: geometry, values and corrections stand in functional groups."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Volume
from hepatica.core.image import Image, Stated, other_nuclide
from hepatica.core.message import Message, unique
from hepatica.errors import DicomError, TimeError, UnitError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.images.pet import administered, missing_facts, uncorrected
from hepatica.io.dicom.images.pet_doubts import coincidences_wrong
from hepatica.io.dicom.pixels import stored_values
from hepatica.io.dicom.real_world import KEYWORD, meaning, only, real_worlds
from hepatica.io.dicom.series import Series, common_facts, frame_of_reference, noted
from hepatica.io.dicom.tags import Header


def read_enhanced_pet(series: Series, stated: Stated, *, role: str) -> Image:
    """Volume of an enhanced PET whose frames map to Bq/mL and were decay-corrected to one instant.

    Raises
    ------
    UnitError
        If a frame has no real-world mapping to Bq/mL.
    TimeError
        If the values are not decay-corrected to one instant, and the user states none.
    DicomError
        If the series has several files, the frames are several volumes, or the header names another nuclide.
    """
    if len(series.headers) != 1:
        raise DicomError(f"{len(series.headers)} enhanced PET files in one series; choose one", path=series.files[0])
    header = series.headers[0]
    _require_one_time(header)
    stack = geometry.stack_planes(
        geometry.multiframe_planes(header), frame_of_reference=frame_of_reference(series.headers)
    )
    values, unit, notes = _values(header, stack)
    started = _started(header)
    agent, more = administered(header, started, stated)
    if stated.nuclide and agent.nuclide not in (None, stated.nuclide):
        if stated.override_nuclide:
            raise DicomError("of an enhanced PET another nuclide cannot be put in place", path=header.path)
        raise other_nuclide(agent.nuclide or "", stated.nuclide, str(header.path))
    time, rule, timed = _reference(header, started, stated)
    facts = replace(
        common_facts(header),
        unit_in_file=unit,
        nuclide=agent.nuclide,
        half_life_s=agent.half_life_s,
        positron_fraction=agent.positron_fraction,
        radiopharmaceutical=agent.name,
        decay_correction="START" if time == started else "ADMIN" if time == agent.start else "",
        time_rule=rule,
        start=started,
        administered_bq=agent.activity_bq,
        administered_at=agent.start,
    )
    volume = Volume(stack.grid, values, Kind.ACTIVITY_CONCENTRATION, time, name=f"PET {series.description}".strip())
    return Image(
        volume,
        context_of([header]),
        facts,
        series.source(role),
        messages=unique(stack.messages, notes, agent.messages, more, timed, _corrections(header), noted([header])),
        missing=missing_facts(agent),
    )


def _require_one_time(header: Header) -> None:
    """DicomError if the frames are of several times or gates: several volumes."""
    contents = [frame.item("FrameContentSequence") for frame in header.items("PerFrameFunctionalGroupsSequence")]
    times = {content.text("TemporalPositionIndex") if content else "" for content in contents}
    if len(times) > 1:
        raise header.error(
            "TemporalPositionIndex", f"the frames are {len(times)} volumes of different times; export one of them"
        )


def _values(header: Header, stack: geometry.Stack) -> tuple[NDArray[np.float32], str, list[Message]]:
    shared = header.item("SharedFunctionalGroupsSequence")
    stored = stored_values(header)
    values = np.empty(stored.shape, dtype=np.float32)
    notes: list[Message] = []
    units = set()
    for n, frame in enumerate(header.items("PerFrameFunctionalGroupsSequence")):
        group = next((g for g in (frame, shared, header) if g is not None and g.items(KEYWORD)), None)
        worlds = () if group is None else real_worlds(group)
        world = only(worlds, Kind.ACTIVITY_CONCENTRATION)
        if world is None:
            found = f"maps to {meaning(worlds[0].unit)}, which is not activity" if worlds else "is missing"
            raise UnitError(f"{header.path}: {KEYWORD}: of frame {n + 1} {found}", remedy="export the series in Bq/mL")
        scaled, more = world.apply(stored[n])
        values[stack.slice_of[n]] = scaled
        units.add(world.unit)
        notes += more
    return values.transpose(2, 1, 0), "/".join(sorted(units)), notes


def _started(header: Header) -> datetime | None:
    """The earliest start of a frame, or else of the acquisition."""
    zone = header.zone()
    starts = []
    for frame in header.items("PerFrameFunctionalGroupsSequence"):
        content = frame.item("FrameContentSequence")
        if content is not None and (at := content.instant("FrameAcquisitionDateTime", zone)) is not None:
            starts.append(at)
    return min(starts) if starts else header.instant("AcquisitionDateTime", zone)


def _reference(header: Header, started: datetime | None, stated: Stated) -> tuple[datetime, str, tuple[Message, ...]]:
    if stated.time is not None:
        text = "reference time stated by the user takes the place of DecayCorrectionDateTime"
        rule = f"stated by the user: {stated.time.isoformat()}"
        return stated.time, rule, (Message("reference-time-stated", text),)
    corrected = header.text("DecayCorrected")
    at = header.instant("DecayCorrectionDateTime", header.zone())
    if corrected != "YES" or at is None:
        what = f"DecayCorrected: {corrected or 'missing'}" if corrected != "YES" else "DecayCorrectionDateTime: missing"
        raise TimeError(
            f"{header.path}: {what}, so the instant that the values refer to is not known",
            remedy="export the series with decay correction, or state the instant (`activity_at`)",
        )
    return at, "DecayCorrectionDateTime of an enhanced PET", ()


def _corrections(header: Header) -> tuple[Message, ...]:
    attenuation, scatter = header.text("AttenuationCorrected"), header.text("ScatterCorrected")
    found = f"AttenuationCorrected {attenuation or 'missing'}, ScatterCorrected {scatter or 'missing'}: the PET"
    notes = uncorrected(found, attenuation=attenuation != "NO", scatter=scatter != "NO")
    return (*notes, *coincidences_wrong([header], None))
