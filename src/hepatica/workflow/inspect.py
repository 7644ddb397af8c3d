"""What an image is, before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.image import Image, Stated
from hepatica.core.options import verb
from hepatica.core.tables.table import Table
from hepatica.errors import InputError
from hepatica.io.describe import NOT_RECONSTRUCTED, Description, describe, describe_image
from hepatica.io.description_rows import clock, description_rows, is_critical, state
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

    @property
    def is_usable(self) -> bool:
        """Whether there is a series or file that can be used, at least once what is missing is stated."""
        return any(
            item.holds_something and set(item.problems) <= {NOT_RECONSTRUCTED} and not is_critical(item)
            for item in self.series
        )

    def title(self) -> str:
        """Path and number of series."""
        return f"{self.path}: {len(self.series)} series, {len(self.skipped)} files not used"

    def table(self) -> Table:
        """One row for each series."""
        rows = [(i.what, i.description, i.date, i.images, i.unit, clock(i), i.nuclide, state(i)) for i in self.series]
        columns = ("what", "description", "date", "images", "unit", "refers to", "nuclide", "for dosimetry")
        return Table.of(columns, rows, "Series", "series")

    def tables(self) -> tuple[Table, ...]:
        """The overview, each series in full, and the files that are not used."""
        found = []
        for n, item in enumerate(self.series, start=1):
            title = f"{item.what}: {item.description or '(no description)'}"
            found.append(Table.of(("what", "it says"), list(description_rows(item)), title, f"series-{n}"))
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
        If the unit is unknown, or is not that of an image's voxels.

    Examples
    --------
    >>> hepatica.inspect_images("demo-output/patient").series[0].unit  # doctest: +SKIP
    'HU'
    """
    if isinstance(image, Image):
        image = image.stating(Stated(unit=voxel_unit))
        return InspectResult(
            path=image.name, series=(describe_image(image),), provenance=Provenance(inputs=(image.source,))
        )
    if not isinstance(image, str | Path):
        raise InputError(
            f"an image is a path or a hepatica.Image, not {type(image).__name__}",
            remedy="make one with hepatica.Image.from_array, which needs unit and voxel size",
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
