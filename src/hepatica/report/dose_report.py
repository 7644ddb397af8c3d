"""What the report of a dose calculation says: a plain value that figures, document and tables are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from hepatica.core import Kind, Region, Volume
from hepatica.core.document import reported
from hepatica.core.message import Message
from hepatica.core.numbers.compare import above, below
from hepatica.core.numbers.wording import three
from hepatica.core.tables.table import Cell
from hepatica.dosimetry.metrics.region_dose import RegionDose
from hepatica.errors import InputError
from hepatica.nuclides.dose_limits import DoseLimit
from hepatica.report.document import Fact, Picture

Status = Literal["met", "near", "open", "violated", "unjudged"]

NEAR = 0.10
"""A dose that meets its limit by less than this fraction of the limit is shown as near. Our choice, for attention."""

LESIONS = frozenset({"tumour"})
"""Structures that get their own slices."""


class ImageUsed(NamedTuple):
    """One image that went into the result, as it is to be printed."""

    role: str
    description: str
    unit: str
    time: str
    grid: str


class FurtherTable(NamedTuple):
    """A table: heading, columns, rows (the first cell is a name), and what the columns mean."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class ReportRegion:
    """A structure of the report.

    Attributes
    ----------
    region : Region
        Voxels, on any grid in the dose's frame of reference.
    dose : RegionDose
        Its numbers.
    structure : str
        What it is ("tumour", "normal_liver", "lung", ...; `dosimetry.regions.Structure`): decides colour and slices.
    interval_gy : tuple of float or None
        Of 95 % of its mean dose, where limits are judged by one.
    interval_from : str
        Where that comes from.
    not_judged : str
        Why no limit judges it; empty where they do.
    qualifier : str
        What is said beside a limit that its mean keeps: what of it is in view, and what of its noise is not known.
    voxels_supported : bool
        Whether the image determines the dose of its single voxels, and so its histogram.
    """

    region: Region
    dose: RegionDose
    structure: str = "other"
    interval_gy: tuple[float, float] | None = None
    interval_from: str = ""
    not_judged: str = ""
    qualifier: str = ""
    voxels_supported: bool = True

    @property
    def is_lesion(self) -> bool:
        """Whether it gets its own slices."""
        return self.structure in LESIONS


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A mean dose against a limit or goal.

    Attributes
    ----------
    structure : str
        Its name.
    comparison : {">=", "<="}
        A goal to reach, or a limit to keep.
    limit_gy, dose_mean_gy : float
        Limit, and mean dose of the structure, Gy.
    condition, source : str
        When the limit holds, and where it comes from.
    applies : bool or None
        Whether it is for this patient's indication and intent; None where they are not stated and would decide.
    not_judged : str
        Why it is not judged ("lungs by the shunt is judged", an unknown mass); empty where it is.
    limit_id : str
        Of its row in the table of limits, by which a plan names it too.
    low_gy, high_gy : float or None
        95 % interval of the mean dose, where one is known by which the limit is judged.
    interval_from : str
        Where it comes from; after a semicolon what it lacks.
    qualifier : str
        What keeps "kept" and "reached" from being plain: a part in view alone, noise that is not known.
    """

    structure: str
    comparison: str
    limit_gy: float
    dose_mean_gy: float
    condition: str = ""
    source: str = ""
    applies: bool | None = True
    not_judged: str = ""
    limit_id: str = ""
    low_gy: float | None = None
    high_gy: float | None = None
    interval_from: str = ""
    qualifier: str = ""

    @property
    @reported
    def status(self) -> Status:
        """One of "met", "near" (met by less than 10 % of the limit), "open", "violated", and "unjudged".

        Open is what the mean meets and the far end of its 95 % interval does not; a mean past its limit is violated
        wherever the interval lies.
        """
        if self.not_judged:
            return "unjudged"
        spare = self.dose_mean_gy - self.limit_gy if self.comparison == ">=" else self.limit_gy - self.dose_mean_gy
        passed = below if self.comparison == ">=" else above
        if passed(self.dose_mean_gy, self.limit_gy):
            return "violated"
        far = self.low_gy if self.comparison == ">=" else self.high_gy
        if far is not None and passed(far, self.limit_gy):
            return "open"
        return "near" if spare < NEAR * self.limit_gy else "met"

    @property
    def verdict(self) -> str:
        """The status in words: a goal is reached or missed, a limit kept or exceeded."""
        if self.not_judged:
            return f"not judged: {self.not_judged}"
        words = {
            ">=": ("reached", "just reached", "may be missed", "missed"),
            "<=": ("kept", "nearly reached", "may be exceeded", "exceeded"),
        }
        word = words[self.comparison][("met", "near", "open", "violated").index(self.status)]
        return f"{word}, {self.qualifier}" if self.qualifier and self.status in ("met", "near") else word

    @property
    def interval(self) -> str:
        """The interval in words, with what it lacks; empty where none is known."""
        if self.low_gy is None or self.high_gy is None:
            return ""
        lacking = self.interval_from.partition("; ")[2]
        ends = f"95 %: {three(self.low_gy)} to {three(self.high_gy)} Gy"
        return f"{ends}, {lacking}" if lacking else ends


@dataclass(frozen=True, slots=True, eq=False)
class DoseReport:
    """Everything that a report prints.

    Attributes
    ----------
    dose : Volume
        Absorbed dose, Gy.
    regions : tuple of ReportRegion
        In the order to print.
    ct : Volume or None
        CT in HU in the same frame of reference, on any grid; slices are drawn on black without it.
    decays : Volume or None
        Decays per voxel, for the overview of the activity.
    title : str
        Heading.
    patient, treatment, method : tuple of Fact
        Facts to print, in order.
    conventions : tuple of Fact
        Choices on which the field disagrees, and what was chosen.
    images : tuple of ImageUsed
        Images used.
    limits : tuple of LimitRow
        See `limit_rows`.
    messages : tuple of Message
        Printed first.
    provenance : mapping
        `Provenance.as_document()`; printed as an appendix.
    further : tuple of FurtherTable
        More tables of numbers by structure, printed after the doses.
    states_uncertainty : bool
        Whether the engine states uncertainties of mean doses, so that one without is too badly known.
    places : Picture or None
        Where activity was found outside liver and lungs.
    isodose_levels_gy : tuple of float
        Lines to draw; chosen from the dose if empty.
    created : datetime or None
        When; printed in the head.

    Raises
    ------
    InputError
        If there is no structure, or two have one name.
    """

    dose: Volume
    regions: tuple[ReportRegion, ...]
    ct: Volume | None = None
    decays: Volume | None = None
    title: str = "Absorbed-dose report"
    patient: tuple[Fact, ...] = ()
    treatment: tuple[Fact, ...] = ()
    states_uncertainty: bool = False
    method: tuple[Fact, ...] = ()
    conventions: tuple[Fact, ...] = ()
    images: tuple[ImageUsed, ...] = ()
    limits: tuple[LimitRow, ...] = ()
    messages: tuple[Message, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    further: tuple[FurtherTable, ...] = ()
    places: Picture | None = None
    isodose_levels_gy: tuple[float, ...] = ()
    created: datetime | None = None

    def __post_init__(self) -> None:
        self.dose.require_kind(Kind.DOSE)
        if self.ct is not None:
            self.ct.require_kind(Kind.HU)
            self.dose.grid.require_shared_frame(self.ct.grid, "dose and CT")
        if self.decays is not None:
            self.decays.require_kind(Kind.DECAYS)
            self.dose.grid.require_shared_frame(self.decays.grid, "dose and activity")
        if not self.regions:
            raise InputError("a report needs at least one structure")
        names = [item.dose.name for item in self.regions]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"two structures of the report have the same name: {', '.join(twice)}")
        for item in self.regions:
            self.dose.grid.require_shared_frame(item.region.grid, f"dose and region {item.region.name!r}")

    @property
    def lesions(self) -> tuple[ReportRegion, ...]:
        """The structures that get their own slices; the first structure but the body where there is no lesion."""
        found = tuple(item for item in self.regions if item.is_lesion)
        if found:
            return found
        inner = [item for item in self.regions if item.structure != "body"]
        return tuple(inner[:1]) or self.regions[:1]


class OtherDose(NamedTuple):
    """A mean dose that no dose map gives: of the lungs by their shunt."""

    name: str
    structure: str
    dose_mean_gy: float
    judged: bool = True
    interval_gy: tuple[float, float] | None = None
    interval_from: str = ""


def limit_rows(
    limits: Sequence[DoseLimit],
    regions: Sequence[ReportRegion],
    others: Sequence[OtherDose] = (),
    unknown: Mapping[str, str] | None = None,
    *,
    indication: str | None = None,
    intent: str | None = None,
) -> tuple[LimitRow, ...]:
    """Every limit of an agent against every structure that it is about; what has no dose has no row.

    Where another dose of the same kind of structure is judged, that of the map is shown and not judged, and the other
    way round; `unknown` says of a kind of structure why the dose of the map is not judged. Limits of the patient's
    indication and intent come first, those of others last (`LimitRow.applies`).
    """
    rows = []
    for limit in limits:
        of_map = [item for item in regions if item.structure == limit.structure]
        more = [other for other in others if other.structure == limit.structure]
        first = next((f"{other.name} is judged" for other in more if other.judged), "")
        first = first or (unknown or {}).get(limit.structure, "")
        instead = f"{of_map[0].dose.name} by the image is judged" if of_map else ""
        found = [
            (
                one.dose.name,
                one.dose.dose_mean_gy,
                first or one.not_judged,
                one.interval_gy or (None, None),
                one.interval_from,
                one.qualifier,
            )
            for one in of_map
        ]
        found += [
            (
                other.name,
                other.dose_mean_gy,
                "" if other.judged else instead,
                other.interval_gy or (None, None),
                other.interval_from,
                "",
            )
            for other in more
        ]
        rows += [
            LimitRow(
                structure=name,
                comparison=limit.comparison,
                limit_gy=limit.dose_gy,
                dose_mean_gy=dose,
                condition=limit.condition,
                source=limit.source,
                applies=limit.applies(indication, intent),
                not_judged=reason,
                limit_id=limit.id,
                low_gy=low,
                high_gy=high,
                interval_from=source,
                qualifier=qualifier,
            )
            for name, dose, reason, (low, high), source, qualifier in found
        ]
    return tuple(sorted(rows, key=lambda row: row.applies is False))
