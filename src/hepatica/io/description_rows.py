"""Descriptions of images as rows of a table: what each says of itself, in words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from hepatica.io.describe import Description, ProjectionsDescription


def description_rows(item: Description) -> Iterator[tuple[str, str]]:
    """Rows about one series, those that say something."""
    facts = (
        ("patient", " / ".join(filter(None, (item.patient_name, item.patient_id)))),
        ("date", _day(item.date)),
        ("scanner", item.acquisition.scanner if item.acquisition else ""),
        ("series", item.series or ""),
        ("part", item.part or ""),
        ("images", _count(item)),
        ("structures", ", ".join(item.structures)),
        ("unit", _unit(item)),
        ("values", "" if item.minimum is None else f"{item.minimum:.6g} to {item.maximum:.6g}"),
        ("in the image", _total(item)),
        ("refers to", clock(item)),
        ("decay correction", item.acquisition.time_rule if item.acquisition else ""),
        ("acquired", _acquired(item)),
        ("nuclide", _nuclide(item)),
        ("administered", _administered(item)),
        ("frames", _frames(item)),
        *_projections(item.projections),
        ("grid", _grid(item)),
        ("orientation", item.orientation or ""),
        *(("cannot be used", text) for text in item.problems),
        *(("missing", text) for text in item.missing),
        *((message.severity, str(message)) for message in item.messages),
    )
    yield from ((name, text) for name, text in facts if text)
    if item.kind and not item.missing and not item.problems:
        yield "missing", "nothing"


def state(item: Description) -> str:
    """Whether it is complete for dosimetry; empty for what is no image."""
    if item.problems:
        return "cannot be used"
    if item.kind is None and not item.missing:
        return ""
    if is_critical(item):
        return "critical, see below"
    count = len(item.missing)
    return f"{count} fact{'s' if count > 1 else ''} missing" if count else "complete"


def is_critical(item: Description) -> bool:
    """Whether it must not be used as it is."""
    return any(message.severity == "critical" for message in item.messages)


def _count(item: Description) -> str:
    if item.images is None or item.files is None:
        return ""
    return f"{item.images} in {item.files} file{'s' if item.files > 1 else ''}"


def _day(text: str | None) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text and len(text) == 8 else text or ""


def clock(item: Description) -> str:
    """Instant that the values refer to; empty where there is none to know."""
    if item.kind in (None, "hu", "label"):
        return ""
    return "unknown" if item.time is None else str(item.time)


def _unit(item: Description) -> str:
    written = item.acquisition.unit_in_file if item.acquisition else ""
    return f"{item.unit} (in the file: {written})" if item.unit and written not in ("", item.unit) else item.unit or ""


def _total(item: Description) -> str:
    if item.activity_in_image_mbq is not None:
        return f"{item.activity_in_image_mbq:.5g} MBq"
    return "" if item.counts_in_image is None else f"{item.counts_in_image:.6g} counts"


def _acquired(item: Description) -> str:
    facts = item.acquisition
    if facts is None or facts.start is None:
        return ""
    parts = [str(facts.start)]
    if facts.frame_duration_s:
        parts.append(f"{facts.frame_duration_s:g} s {'a projection' if facts.projections else 'a frame'}")
    if facts.projections:
        parts.append(f"{facts.projections} projections")
    return ", ".join([*parts, *(f"{low:g}-{high:g} keV" for low, high in facts.energy_windows_kev)])


def _frames(item: Description) -> str:
    """Numbers and durations of the frames of a dynamic acquisition, those of one duration together."""
    durations, starts = item.frame_durations_s, item.frame_starts_s
    if not durations:
        return ""
    runs = [f"{len(list(same))} of {seconds:g} s" for seconds, same in groupby(durations)]
    end = max(start + duration for start, duration in zip(starts, durations, strict=True))
    return f"{', '.join(runs)}, from {min(starts):g} to {end:g} s after the start"


def _projections(item: ProjectionsDescription | None) -> Iterator[tuple[str, str]]:
    """Rows about how projections were acquired."""
    if item is None:
        return
    yield "energy windows", ", ".join(item.energy_windows)
    turn = "clockwise" if item.step_deg < 0 else "anticlockwise"
    each = " for each head" if len(item.heads) > 1 else ""
    yield (
        "views",
        f"{item.views} of {item.view_s:g} s{each}, {abs(item.step_deg):g}° apart, {turn} over {item.arc_deg:g}°",
    )
    for number, head in enumerate(item.heads, start=1):
        radius = "radius not stated"
        if head.nearest_mm is not None and head.farthest_mm is not None:
            same = head.nearest_mm == head.farthest_mm
            radius = f"radius {head.nearest_mm:g}{'' if same else f' to {head.farthest_mm:g}'} mm"
        yield f"head {number}", f"from {head.start_deg:g}°, {radius}, {head.collimator or 'collimator not stated'}"
    yield "pixels", " x ".join(f"{size:.4g}" for size in item.pixel_mm) + " mm"
    if item.axis_mm is None:
        yield "axis", "not known"
    else:
        x, y, z = item.axis_mm
        yield "axis", f"x {x:.1f}, y {y:.1f} mm, lowest row at z {z:.1f} mm"
    yield "gates", "not gated" if item.gates == 1 else str(item.gates)


def _nuclide(item: Description) -> str:
    facts = item.acquisition
    if facts is None or not facts.nuclide:
        return ""
    half_life = f"half-life {facts.half_life_s / 3600:.4g} h in the header" if facts.half_life_s else ""
    return ", ".join(filter(None, (facts.nuclide, facts.radiopharmaceutical, half_life)))


def _administered(item: Description) -> str:
    facts = item.acquisition
    if facts is None or not facts.administered_bq:
        return ""
    weight = f", patient of {facts.weight_kg:g} kg" if facts.weight_kg else ""
    when = f" at {facts.administered_at}" if facts.administered_at else ""
    return f"{facts.administered_bq / 1e6:.5g} MBq{when}{weight}"


def _grid(item: Description) -> str:
    if item.grid is None:
        return ""
    size = " x ".join(map(str, item.grid.shape))
    spacing = " x ".join(f"{s:.4g}" for s in item.grid.spacing_mm)
    return f"{size} voxels of {spacing} mm{'' if item.grid.frame_of_reference else ', no frame of reference'}"
