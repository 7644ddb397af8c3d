"""PET series to Bq/mL at a known instant, or a refusal that says what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from hepatica.core import Kind, Volume, decay_factor, seconds_between
from hepatica.core.certainty import ImageCertainty
from hepatica.core.image import NOTHING_STATED, Acquisition, Image, Stated, other_nuclide
from hepatica.core.message import Message
from hepatica.errors import DicomError, HepaticaError, TimeError, UnitError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.images.pet_doubts import coincidences_wrong, positron_note, require_imaged_by_pet
from hepatica.io.dicom.images.pet_time import (
    Reference,
    acquisition_starts,
    decay_from_frame,
    frames_of,
    reference_of,
)
from hepatica.io.dicom.images.radiopharmaceutical import (
    HALF_LIFE_TOLERANCE,
    Radiopharmaceutical,
    implausible_administration,
    radiopharmaceutical_of,
    table_half_life_s,
    with_stated_administration,
)
from hepatica.io.dicom.pixels import rescale
from hepatica.io.dicom.private import read_certainty, read_seen
from hepatica.io.dicom.real_world import meaning, only, real_worlds, same_line
from hepatica.io.dicom.series import (
    HEAVIEST_KG,
    LIGHTEST_KG,
    Series,
    common_facts,
    frame_of_reference,
    noted,
    slice_values,
)
from hepatica.io.dicom.tags import Header, shared_text

PHILIPS = "Philips PET Private Group"
PHILIPS_SUV_FACTOR, PHILIPS_ACTIVITY_FACTOR = 0x00, 0x09

ADMINISTRATION = (
    "RadionuclideHalfLife",
    "RadionuclideTotalDose",
    "RadiopharmaceuticalStartDateTime",
    "RadiopharmaceuticalStartTime",
)
"""What every slice of one scan says alike."""

_UNITS = {
    "CPS": "counts per second",
    "PROPCPS": "values proportional to counts per second",
    "PROPCNTS": "values proportional to counts",
    "CM2ML": "SUV by body surface",
    "PCNT": "per cent",
    "NONE": "no unit",
}

BELOW_ZERO = re.compile(r"\b(NEG-?ML|AB?ML|P?WLS)\b", re.IGNORECASE)
"""Methods in ReconstructionMethod that let voxels be negative, for means without bias where few are counted."""


def read_pet(series: Series, stated: Stated = NOTHING_STATED, *, role: str = "activity") -> Image:
    """PET in Bq/mL, every slice referred to one instant.

    Parameters
    ----------
    series : Series
        A PET series.
    stated : Stated
        What the user states: a reference time, the nuclide asked for, whether the header's nuclide is overridden.
    role : str
        For the provenance.

    Raises
    ------
    UnitError
        If the values are not, and cannot be made, Bq/mL.
    TimeError
        If the instant they refer to is unknown or contradictory.
    DicomError
        If the geometry is uneven, a tag is missing or contradictory, or the header names another nuclide.
    """
    series.require_whole()
    if "PerFrameFunctionalGroupsSequence" in series.headers[0]:
        from hepatica.io.dicom.images.pet_enhanced import read_enhanced_pet

        return read_enhanced_pet(series, stated, role=role)
    stack = geometry.series_stack(series.headers, frame_of_reference=frame_of_reference(series.headers))
    ordered = [series.headers[n] for n in stack.order]
    first = ordered[0]
    unit = unit_of(ordered)
    _require_one_administration(ordered)
    started, notes = _first_acquisition(ordered, stated)
    agent, more = administered(first, started, stated)
    reference = _reference(ordered, agent, stated)
    scales, factors, converted = _unit_factors(ordered, unit, agent, reference)
    notes = (*notes, *more, *converted)
    replaced_by = None
    if stated.nuclide and (found := _contradicts(agent, stated.nuclide)):
        if not stated.override_nuclide:
            raise other_nuclide(found, stated.nuclide, str(first.path))
        replaced, more = _other_nuclide_factors(ordered, agent, reference, stated.nuclide)
        factors = [a * b for a, b in zip(factors, replaced, strict=True)]
        notes, replaced_by = (*notes, *more), stated.nuclide
    elif agent.nuclide and agent.positron_fraction:
        notes = (*notes, *positron_note(agent.nuclide, agent.positron_fraction))
    require_imaged_by_pet(replaced_by or agent.nuclide)
    certainty, unreadable = read_certainty(ordered[0])
    facts = _facts(ordered, unit, agent, reference, started, certainty)
    if replaced_by is not None:
        facts = replace(facts, nuclide=replaced_by, certainty=facts.certainty.with_scale(None))
    values = slice_values(
        ordered,
        [a * b for a, b in zip(factors, reference.factors, strict=True)],
        rescale_required=True,
        scales=scales,
    )
    volume = Volume(
        stack.grid, values, Kind.ACTIVITY_CONCENTRATION, reference.time, name=f"PET {series.description}".strip()
    )
    return Image(
        volume,
        context_of(ordered),
        facts,
        series.source(role),
        messages=(
            *stack.messages,
            *unreadable,
            *_completeness(ordered),
            *corrections_missing(ordered),
            *coincidences_wrong(ordered, replaced_by or agent.nuclide),
            *agent.messages,
            *reference.messages,
            *notes,
            *noted(ordered),
        ),
        missing=missing_facts(agent),
    )


def unit_of(headers: Sequence[Header]) -> str:
    """Units of a PET series that can become Bq/mL: "BQML", "CNTS" with Philips' factor, or "GML" with SUV type BW.

    A series in another unit whose slices all map their stored values to Bq/mL (RealWorldValueMappingSequence) counts
    as "RWVM".

    Raises
    ------
    UnitError
        If it is missing or another one; the message says what it is.
    """
    first = headers[0]
    unit = shared_text(headers, "Units")
    where = f"{first.path}: Units:"
    if unit == "BQML":
        return unit
    if all(only(real_worlds(header), Kind.ACTIVITY_CONCENTRATION) for header in headers):
        return "RWVM"
    if not unit:
        others = [world for header in headers for world in real_worlds(header)]
        hint = f" (RealWorldValueMappingSequence maps them to {meaning(others[0].unit)})" if others else ""
        raise UnitError(f"{where} missing, so the values are not known to be activity{hint}; export with Units BQML")
    if unit == "CNTS":
        if all(_philips(header, PHILIPS_ACTIVITY_FACTOR) for header in headers):
            return unit
        hint = (
            " (Philips gives an SUV factor, (7053,xx00), but no activity factor, (7053,xx09))"
            if _philips(first, PHILIPS_SUV_FACTOR)
            else ""
        )
        raise UnitError(f"{where} CNTS, the values are counts without a calibration to Bq/mL{hint}; export with BQML")
    if unit == "GML":
        kind = first.text("SUVType")
        if kind == "BW":
            return unit
        found = f"SUVType is {kind!r}" if kind else "SUVType is missing: body weight or lean mass?"
        raise UnitError(f"{where} GML (SUV) and {found}; it cannot be turned back into Bq/mL; export with BQML")
    named = f" ({_UNITS[unit]})" if unit in _UNITS else ""
    raise UnitError(f"{where} {unit}{named} is not activity; export with BQML")


def administered(
    header: Header, started: datetime | None, stated: Stated
) -> tuple[Radiopharmaceutical, tuple[Message, ...]]:
    """What was administered, and what is odd about its time.

    Raises
    ------
    TimeError
        If it was so long before the scan that nothing would be left.
    """
    agent = with_stated_administration(
        radiopharmaceutical_of(header, first_acquisition=started), stated.administered_at
    )
    odd = implausible_administration(agent, started)
    if odd is not None and odd.code == "administration-long-ago":
        raise TimeError(f"{header.path}: {odd.text}", remedy=odd.remedy)
    return agent, (odd,) if odd else ()


def corrections_missing(headers: Sequence[Header]) -> tuple[Message, ...]:
    """What CorrectedImage of a PET leaves out, and what that does to the dose; nothing where it is not stated."""
    corrected = headers[0].texts("CorrectedImage")
    if not corrected:
        return ()
    found = f"CorrectedImage ({'/'.join(corrected)})"
    return uncorrected(found, attenuation="ATTN" in corrected, scatter="SCAT" in corrected)


def uncorrected(found: str, *, attenuation: bool, scatter: bool) -> tuple[Message, ...]:
    """The messages for a PET without one of these corrections; `found` is what says so."""
    notes: tuple[Message, ...] = ()
    if not attenuation:
        text = (
            f"{found} has no ATTN: the PET was not corrected for attenuation; deep in the body, as in the liver, its "
            "activity is several times too low and the dose with it"
        )
        notes += (Message("not-attenuation-corrected", text, "use the series with attenuation correction", "critical"),)
    if not scatter:
        text = (
            f"{found} has no SCAT: scattered coincidences are counted as activity; the dose comes out too high, most "
            "where there is little uptake"
        )
        notes += (Message("not-scatter-corrected", text, "use the series with scatter correction"),)
    return notes


def refusals(series: Series, stated: Stated = NOTHING_STATED) -> list[str]:
    """Everything that keeps a PET from being read as activity, not only what `read_pet` meets first."""
    headers = series.headers
    found: list[str] = []
    agent = Radiopharmaceutical()
    if "PerFrameFunctionalGroupsSequence" in headers[0]:
        return found
    try:
        agent, _ = administered(headers[0], _first_acquisition(headers, stated)[0], stated)
    except HepaticaError as error:
        found.append(str(error))
    checks: tuple[Callable[[], object], ...] = (
        lambda: unit_of(headers),
        lambda: _require_one_administration(headers),
        lambda: _reference(headers, agent, stated),
        lambda: geometry.series_stack(headers, frame_of_reference=frame_of_reference(headers)),
    )
    for check in checks:
        try:
            check()
        except HepaticaError as error:
            found.append(str(error))
    return found


def missing_facts(agent: Radiopharmaceutical) -> tuple[str, ...]:
    """What dosimetry may need and the header does not say."""
    missing = []
    if agent.nuclide is None:
        missing.append("RadionuclideCodeSequence: which nuclide it is")
    if agent.half_life_s is None:
        missing.append("RadionuclideHalfLife: what the scanner corrected with")
    if agent.activity_bq is None:
        missing.append("RadionuclideTotalDose: the activity administered (to compare with the image)")
    return tuple(missing)


def _require_one_administration(headers: Sequence[Header]) -> None:
    """DicomError if slices differ in what was given, when, or the half-life that they were corrected with."""
    items = [header.item("RadiopharmaceuticalInformationSequence") for header in headers]
    for keyword in ADMINISTRATION:
        first = items[0].text(keyword) if items[0] else ""
        for header, item in zip(headers, items, strict=True):
            if (other := item.text(keyword) if item else "") != first:
                raise header.error(
                    keyword, f"{other!r} differs from {first!r} in {headers[0].path} of the same series: two scans?"
                )


def _contradicts(agent: Radiopharmaceutical, wanted: str) -> str:
    """What the header says, if it is not the nuclide wanted; by half-life where it names none. Empty if it agrees."""
    if agent.nuclide is not None:
        return agent.nuclide if agent.nuclide != wanted else ""
    table_s = table_half_life_s(wanted)
    if agent.half_life_s and table_s and abs(agent.half_life_s / table_s - 1) > HALF_LIFE_TOLERANCE:
        return f"a half-life of {agent.half_life_s:g} s"
    return ""


def _first_acquisition(headers: Sequence[Header], stated: Stated) -> tuple[datetime | None, tuple[Message, ...]]:
    found, notes = acquisition_starts(headers, strict=stated.time is None)
    starts = [start for start in found if start is not None]
    return (min(starts) if starts else None), notes


def _reference(headers: Sequence[Header], agent: Radiopharmaceutical, stated: Stated) -> Reference:
    if stated.time is None:
        return reference_of(headers, agent)
    rule = f"stated by the user: {stated.time.isoformat()}"
    correction = headers[0].text("DecayCorrection")
    if correction == "NONE":
        raise TimeError(
            f"{headers[0].path}: DecayCorrection: NONE, each slice has its own time; "
            "a stated reference time does not fit"
        )
    text = (
        f"reference time stated by the user takes the place of the header's (DecayCorrection {correction or 'missing'})"
    )
    message = Message("reference-time-stated", text)
    return Reference(stated.time, rule, correction, (1.0,) * len(headers), (message,))


def _unit_factors(
    headers: Sequence[Header], unit: str, agent: Radiopharmaceutical, reference: Reference
) -> tuple[list[tuple[float, float]] | None, list[float], tuple[Message, ...]]:
    """Slope and intercept of each slice where they are not those of the rescale, what then takes it to Bq/mL, messages.

    Raises
    ------
    UnitError
        If a real-world mapping to Bq/mL contradicts RescaleSlope, or an SUV cannot be turned back.
    """
    nothing = [1.0] * len(headers)
    if unit == "BQML":
        for header in headers:
            _require_one_scale(header)
        return None, nothing, ()
    if unit == "RWVM":
        worlds = [only(real_worlds(header), Kind.ACTIVITY_CONCENTRATION) for header in headers]
        text = f"Bq/mL by RealWorldValueMappingSequence ({worlds[0].unit if worlds[0] else ''}), not by RescaleSlope"
        return (
            [world.line for world in worlds if world],
            nothing,
            (Message("real-world-mapping", text, severity="note"),),
        )
    if unit == "CNTS":
        text = "Units CNTS: turned into Bq/mL by Philips' private activity factor (7053,xx09)"
        factors = [_philips(header, PHILIPS_ACTIVITY_FACTOR) or 0.0 for header in headers]
        return None, factors, (Message("counts-converted", text),)
    first = headers[0]
    weight = first.number("PatientWeight")
    needed = {
        "PatientWeight": weight,
        "RadionuclideTotalDose": agent.activity_bq,
        "RadiopharmaceuticalStartDateTime": agent.start,
        "RadionuclideHalfLife": agent.half_life_s,
    }
    absent = [name for name, value in needed.items() if not value]
    if absent or not weight or not agent.activity_bq or not agent.start or not agent.half_life_s:
        raise UnitError(
            f"{first.path}: Units: GML (SUV); to turn it back into Bq/mL, {', '.join(absent)} must be known"
        )
    if not LIGHTEST_KG <= weight <= HEAVIEST_KG:
        hint = f"; in grams it would be {weight / 1000:g} kg" if LIGHTEST_KG <= weight / 1000 <= HEAVIEST_KG else ""
        raise UnitError(
            f"{first.path}: PatientWeight: {weight:g} kg is no patient's{hint}, and Units GML (SUV) is turned back "
            "into Bq/mL with it",
            remedy="correct the weight, or export with Units BQML",
        )
    at_reference = agent.activity_bq * decay_factor(seconds_between(agent.start, reference.time), agent.half_life_s)
    text = (
        f"Units GML: SUV by body weight turned into Bq/mL with {at_reference / 1e6:.4g} MBq at the reference time "
        f"and {weight:g} kg"
    )
    return None, [at_reference / (weight * 1000)] * len(headers), (Message("suv-converted", text),)


def _require_one_scale(header: Header) -> None:
    """UnitError if a real-world mapping to Bq/mL gives other values than the rescale of a series in BQML."""
    world = only(real_worlds(header), Kind.ACTIVITY_CONCENTRATION)
    if world is None:
        return
    own = rescale(header, required=True)
    if len(world.ranges) > 1 or not same_line(world.line, own):
        raise UnitError(
            f"{world.where}: gives other Bq/mL than RescaleSlope, {own[0]:g}: the file contradicts itself",
            remedy="export the series again",
        )


def _philips(header: Header, element: int) -> float | None:
    value = header.private(0x7053, PHILIPS, element)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise DicomError(f"private factor (7053,xx{element:02x}) {value!r} is not a number", path=header.path) from None
    return number if 0 < number < float("inf") else None


def _other_nuclide_factors(
    headers: Sequence[Header], agent: Radiopharmaceutical, reference: Reference, wanted: str
) -> tuple[list[float], tuple[Message, ...]]:
    """Per slice: undo the decay correction and positron fraction of the header's nuclide, do those of the true one."""
    from hepatica.nuclides import nuclide

    true = nuclide(wanted)
    if not true.positron.value > 0:
        raise DicomError(f"{wanted} emits no positrons; a PET of it is not possible", path=headers[0].path)
    if agent.half_life_s is None or agent.positron_fraction is None:
        raise headers[0].error(
            "RadiopharmaceuticalInformationSequence",
            f"to put {wanted} in its place, RadionuclideHalfLife and RadionuclidePositronFraction "
            "that the scanner used must be in the header",
        )
    positrons = agent.positron_fraction / true.positron.value
    frames = frames_of(headers)
    true_half_life_s = table_half_life_s(wanted) or 0.0
    decay = [
        decay_from_frame(frame, reference.time, true_half_life_s)
        / decay_from_frame(frame, reference.time, agent.half_life_s)
        for frame in frames
    ]
    text = (
        f"the header's {agent.nuclide or 'nuclide'} is overridden by {wanted}: decay correction redone "
        f"(factors {min(decay):.4f} to {max(decay):.4f}), positron fraction {agent.positron_fraction:g} replaced by "
        f"{true.positron.value:g} (values times {positrons:.5g})"
    )
    return [positrons * factor for factor in decay], (Message("nuclide-overridden", text),)


def _completeness(headers: Sequence[Header]) -> tuple[Message, ...]:
    stated = headers[0].integer("NumberOfSlices")
    if stated is None or stated == len(headers):
        return ()
    text = f"NumberOfSlices says {stated}, {len(headers)} are here: activity outside them is not in the image"
    return (Message("slices-missing", text),)


def _facts(
    headers: Sequence[Header],
    unit: str,
    agent: Radiopharmaceutical,
    reference: Reference,
    started: datetime | None,
    certainty: ImageCertainty,
) -> Acquisition:
    ends, along = read_seen(headers[0])
    durations = {header.number("ActualFrameDuration") for header in headers}
    duration_ms = durations.pop() if len(durations) == 1 else None
    return replace(
        common_facts(headers[0]),
        unit_in_file=unit,
        nuclide=agent.nuclide,
        half_life_s=agent.half_life_s,
        positron_fraction=agent.positron_fraction,
        radiopharmaceutical=agent.name,
        decay_correction=reference.correction,
        time_rule=reference.rule,
        start=started,
        frame_duration_s=None if duration_ms is None else duration_ms / 1000,
        administered_bq=agent.activity_bq,
        administered_at=agent.start,
        below_zero=BELOW_ZERO.search(headers[0].text("ReconstructionMethod")) is not None,
        seen_z_mm=ends,
        seen_along=along,
        certainty=certainty,
    )
