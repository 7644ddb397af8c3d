"""What an image is, before anything is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hepatica.core import Provenance
from hepatica.core.image import Image, Stated
from hepatica.core.options import verb
from hepatica.core.table import Table
from hepatica.errors import InputError
from hepatica.io.describe import Description, describe, describe_image
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource

MAX_SKIPPED_SHOWN = 6
"""More skipped files than this are only counted in the table; the document lists all."""


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is not used, and why."""

    path: str
    reason: str


@result
class InspectResult(Result):
    """Every series or file under a path: unit, reference time, decay correction, geometry, and what is missing."""

    verb = "inspect_images"

    path: str
    series: tuple[Description, ...]
    skipped: tuple[SkippedFile, ...] = ()

    def title(self) -> str:
        """Path and number of series."""
        return f"{self.path}: {len(self.series)} series, {len(self.skipped)} files not used"

    def table(self) -> Table:
        """One row for each series."""
        rows = [(i.what, i.description, i.date, i.images, i.unit, _clock(i), i.nuclide, _state(i)) for i in self.series]
        columns = ("what", "description", "date", "images", "unit", "refers to", "nuclide", "for dosimetry")
        return Table.of(columns, rows, "Series", "series")

    def tables(self) -> tuple[Table, ...]:
        """The overview, each series in full, and the files that are not used."""
        found = []
        for n, item in enumerate(self.series, start=1):
            title = f"{item.what}: {item.description or '(no description)'}"
            found.append(Table.of(("what", "it says"), list(_rows(item)), title, f"series-{n}"))
        if self.skipped:
            shown = [(item.path, item.reason) for item in self.skipped]
            if len(shown) > MAX_SKIPPED_SHOWN:
                left = len(shown) - MAX_SKIPPED_SHOWN + 1
                shown = [*shown[: MAX_SKIPPED_SHOWN - 1], (f"... and {left} more", "all are in the document")]
            found.append(Table.of(("file", "why"), shown, "Not used", "skipped"))
        return (self.table(), *found)


@verb
def inspect_images(image: ImageSource, *, voxel_unit: str | None = None) -> InspectResult:
    """What an image is: unit, reference time, decay correction, geometry, and what is missing.

    Parameters
    ----------
    image : path or Image
        DICOM file or folder, NIfTI or MetaImage file.
    voxel_unit : str or None
        What a voxel of a NIfTI or MetaImage holds, such as "Bq/mL" or "MBq h".

    Returns
    -------
    InspectResult
        One description for each series or file.

    Raises
    ------
    InputError
        If the path does not exist, or holds no image.
    UnitError
        If the unit is unknown.

    Examples
    --------
    >>> hepatica.inspect_images("demo-output/patient").series[0].unit  # doctest: +SKIP
    'HU'
    """
    if isinstance(image, Image):
        return InspectResult(
            path=image.name, series=(describe_image(image),), provenance=Provenance(inputs=(image.source,))
        )
    found = describe(image, stated=Stated(unit=voxel_unit))
    if not found.series:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in found.skipped[:3])
        raise InputError(
            f"{image}: no image was found ({len(found.skipped)} files skipped{f': {reasons}' if reasons else ''})"
        )
    return InspectResult(
        path=str(image),
        series=found.series,
        skipped=tuple(SkippedFile(str(item.path), item.reason) for item in found.skipped),
        messages=found.messages,
        provenance=Provenance(
            inputs=tuple(item.source for item in found.series if item.source is not None),
            parameters={} if voxel_unit is None else {"voxel_unit": voxel_unit},
        ),
    )


def _rows(item: Description) -> Iterator[tuple[str, str]]:
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
        ("refers to", _clock(item)),
        ("decay correction", item.acquisition.time_rule if item.acquisition else ""),
        ("acquired", _acquired(item)),
        ("nuclide", _nuclide(item)),
        ("administered", _administered(item)),
        ("grid", _grid(item)),
        ("orientation", item.orientation or ""),
        *(("cannot be used", text) for text in item.problems),
        *(("missing", text) for text in item.missing),
        *((message.severity, str(message)) for message in item.messages),
    )
    yield from ((name, text) for name, text in facts if text)
    if item.kind and not item.missing and not item.problems:
        yield "missing", "nothing"


def _state(item: Description) -> str:
    if item.problems:
        return "cannot be used"
    if item.kind is None and not item.missing:
        return ""
    count = len(item.missing)
    return f"{count} fact{'s' if count > 1 else ''} missing" if count else "complete"


def _count(item: Description) -> str:
    if item.images is None or item.files is None:
        return ""
    return f"{item.images} in {item.files} file{'s' if item.files > 1 else ''}"


def _day(text: str | None) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text and len(text) == 8 else text or ""


def _clock(item: Description) -> str:
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
