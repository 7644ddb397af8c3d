"""What the main job gives back: the dose map, the numbers of every structure, and where they come from."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatica.core import Provenance, Volume
from hepatica.core.document import document
from hepatica.core.image import Image
from hepatica.core.numbers import percent, three, with_uncertainty
from hepatica.dosimetry.engines.dose_map import DoseMap
from hepatica.dosimetry.metrics.region_dose import RegionDose
from hepatica.dosimetry.time.curves import CurveFit
from hepatica.errors import UnknownNameError
from hepatica.report import LimitRow
from hepatica.report.document import NOT_A_DEVICE
from hepatica.workflow.dose.decays import DecayCount
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.dose.region_activity import RegionActivity, activity_rows
from hepatica.workflow.dose.structures import StructureSet

if TYPE_CHECKING:
    from hepatica.core.context import DicomContext

SHOWN_PERCENTS = (95.0, 70.0, 50.0, 5.0)


@dataclass(frozen=True, slots=True, eq=False)
class DoseResult:
    """Absorbed dose of one treatment.

    Attributes
    ----------
    dose_map : DoseMap
        Dose, density and decays on one grid, with provenance.
    activity : tuple of Image
        The activity images.
    ct : Image
        The CT.
    structures : StructureSet
        Structures on the dose grid, and what each one is.
    region_doses : tuple of RegionDose
        One for each structure.
    quantified : DecayCount
        Activity in the image, against what was administered.
    options : DoseOptions
        What the user said.
    warnings : tuple of str
        What the reader of the numbers must know.
    region_activities : tuple of RegionActivity
        Partial-volume correction and uncertainty of each structure, in the same order.
    """

    dose_map: DoseMap
    activity: tuple[Image, ...]
    ct: Image
    structures: StructureSet
    region_doses: tuple[RegionDose, ...]
    quantified: DecayCount
    options: DoseOptions
    warnings: tuple[str, ...]
    region_activities: tuple[RegionActivity, ...] = ()

    @property
    def dose(self) -> Volume:
        """Absorbed dose in Gy."""
        return self.dose_map.dose

    @property
    def provenance(self) -> Provenance:
        """Inputs, parameters, tables, conventions and steps."""
        return self.dose_map.provenance

    @property
    def activity_in_image_mbq(self) -> float:
        """Activity that the image holds at the administration, MBq."""
        return self.quantified.activity_in_image_bq / 1e6

    @property
    def limits(self) -> tuple[LimitRow, ...]:
        """Mean doses against the limits of the agent; empty where no agent was named."""
        from hepatica.workflow.dose.report import limits_of

        return limits_of(self)

    @property
    def context(self) -> DicomContext | None:
        """Whose images they are; of the CT, else of the activity image."""
        return self.ct.context or self.activity[0].context

    def __getitem__(self, name: str) -> RegionDose:
        """Numbers of the structure of that name.

        Raises
        ------
        UnknownNameError
            If there is none; the message lists the names.
        """
        for found in self.region_doses:
            if found.name == name:
                return found
        raise UnknownNameError("structure", name, [found.name for found in self.region_doses])

    def _activity_at(self) -> str | None:
        """Instant of `activity_in_image_mbq`: the administration, else the image's own."""
        image = self.activity[0]
        when = self.options.administered_at or image.acquisition.administered_at or image.volume.time
        return None if when is None else when.isoformat()

    def as_dict(self) -> dict[str, Any]:
        """Everything but the voxels, plain values for JSON with units in the keys."""
        expected = self.quantified.expected_bq
        return {
            "notice": NOT_A_DEVICE,
            "method": self.dose_map.method,
            "nuclide": self.dose_map.nuclide,
            "activity_in_image_mbq": self.activity_in_image_mbq,
            "activity_expected_mbq": None if expected is None else expected / 1e6,
            "activity_scale_relative_sd": self.quantified.scale_relative_sd,
            "activity_in_image_at": self._activity_at(),
            "time_activity_curve": _curve(self.quantified.curve),
            "decays": self.dose_map.decays.total,
            "energy_balance": self.dose_map.energy_balance.as_dict(),
            "grid": self.dose.grid.as_dict(),
            "regions": [
                {"structure": item.structure.value, "derived": item.derived} | found.as_dict() | self._activity_of(n)
                for n, (item, found) in enumerate(zip(self.structures.clinical, self.region_doses, strict=True))
            ],
            "limits": [_limit(row) for row in self.limits],
            "images": {"activity": document(self.activity), "ct": document(self.ct)},
            "options": self.options.as_dict(),
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }

    def _activity_of(self, number: int) -> dict[str, Any]:
        """Partial volume and uncertainty of a structure."""
        return self.region_activities[number].as_dict(self.region_doses[number]) if self.region_activities else {}

    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Write report, RTDOSE, RTSTRUCT, SEG, NIfTI, CSV and JSON into a new folder; whole or not at all.

        Raises
        ------
        OutputError
            If the folder exists and is not empty (without `force`), or cannot be written.
        """
        from hepatica.workflow.dose.output import write_result

        return write_result(self, Path(folder), force=force)

    @property
    def dose_unit(self) -> str:
        """Unit of the printed table: "Gy", or "mGy" where no structure's near-maximum reaches 1 Gy."""
        return "Gy" if max(found.d_percent_gy[2.0] for found in self.region_doses) >= 1 else "mGy"

    def rows(self) -> list[tuple[str, ...]]:
        """Table of the structures as text, doses in `dose_unit`; the first row is the header."""
        scale = 1.0 if self.dose_unit == "Gy" else 1e3
        header = ("structure", "mL", "g", "mean", "SD", "D95", "D70", "D50", "D5", "act. %")
        body = [
            (
                found.name,
                three(found.volume_ml),
                three(found.mass_g),
                with_uncertainty(scale * found.dose_mean_gy, _scaled(found.dose_mean_uncertainty_gy, scale)),
                *(three(scale * dose) for dose in (found.dose_sd_gy, *(found.d_percent_gy[n] for n in SHOWN_PERCENTS))),
                percent(100 * found.activity_share),
            )
            for found in self.region_doses
        ]
        return [header, *body]

    def activity_rows(self) -> list[list[str]]:
        """Correction and uncertainty of each structure as text, below `region_activity.ACTIVITY_COLUMNS`.

        Empty where neither a correction was asked for nor calibration or contours have a known uncertainty: the size of
        the voxels alone says too little.
        """
        options = self.options
        known = self.quantified.calibration_relative_sd is not None or options.contour_sd_mm > 0
        asked = options.pvc != "none" or options.replicates_file is not None
        if not self.region_activities or not (known or asked):
            return []
        return activity_rows(self.region_activities, self.region_doses)

    def title(self) -> str:
        """One line: nuclide, engine, activity."""
        return (
            f"Absorbed dose, {self.dose_map.nuclide}, engine {self.dose_map.method}; "
            f"activity in the image {three(self.activity_in_image_mbq)} MBq; doses in {self.dose_unit}"
        )

    def __repr__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        lines = [
            "  ".join(
                cell.ljust(width) if n == 0 else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        lines.insert(1, "-" * len(lines[0]))
        warnings = [f"! {warning}" for warning in self.warnings]
        return "\n".join([self.title(), "", *lines, *([""] if warnings else []), *warnings, NOT_A_DEVICE])

    def _repr_html_(self) -> str:
        header, *body = self.rows()
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
        warnings = "".join(f"<li>{html.escape(warning)}</li>" for warning in self.warnings)
        return (
            f"<p><b>{html.escape(self.title())}</b></p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            f"<ul>{warnings}</ul><p><small>{NOT_A_DEVICE}</small></p>"
        )


def _scaled(number: float | None, scale: float) -> float | None:
    return None if number is None else scale * number


def _curve(curve: CurveFit | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    sds = curve.half_life_sds_s
    return {
        "model": curve.model,
        "half_lives_h": [half_life / 3600 for half_life in curve.half_lives_s],
        "half_life_sds_h": None if sds is None else [sd / 3600 for sd in sds],
        "decays": curve.decays.value,
        "decays_sd": curve.decays.sd,
        "chi_squared": curve.chi_squared,
        "degrees_of_freedom": curve.degrees_of_freedom,
    }


def _limit(row: LimitRow) -> dict[str, Any]:
    return {
        "region": row.region,
        "dose_mean_gy": row.dose_gy,
        "comparison": row.comparison,
        "limit_gy": row.limit_gy,
        "condition": row.condition,
        "status": row.status,
        "source": row.source,
    }
