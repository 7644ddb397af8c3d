"""Tumour-to-normal ratio from a scout, with masses and volumes."""

from __future__ import annotations

from dataclasses import field

from hepatica.core import Provenance
from hepatica.core.document import INLINE
from hepatica.core.message import unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.planning.scout.scan import ScoutOptions
from hepatica.planning.scout.uptake import ScoutUptake, UptakeOptions, scout_uptake
from hepatica.workflow.planning.scout import read_scout
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource


@result
class UptakeResult(Result):
    """T/N per lesion and overall, masses, volumes."""

    verb = "tumour_to_normal"

    uptake: ScoutUptake = field(metadata=INLINE)

    def title(self) -> str:
        """Normal liver and involvement."""
        normal, v = self.uptake.masses_kg["normal liver"], self.uptake.volumes
        return f"Normal liver {normal:.3f} kg; liver {v.liver_ml:.0f} mL, involvement {v.involvement:.1%}"

    def table(self) -> Table:
        """Each lesion and all together, by both definitions."""
        rows = []
        for row in (*self.uptake.lesions, self.uptake.overall):
            mass, interval = self.uptake.masses_kg.get(row.name), row.interval_95
            low, high = (None, None) if interval is None else interval.as_document()
            grams = None if mass is None else 1000 * mass
            rows.append((row.name, grams, row.tumour_to_normal, low, high, row.activity_ratio, row.expected_recovery))
        columns = ("lesion", "g", "T/N", "95 % from", "95 % to", "A_T/A_N", "expected recovery")
        return Table.of(columns, rows, "Tumour to normal liver", "tumour-to-normal")

    def tables(self) -> tuple[Table, ...]:
        """T/N, and the territories if there are any."""
        territories = self.uptake.volumes.territories
        rows = [(t.name, t.volume_ml, t.tumour_ml, t.normal_ml, 100 * t.involvement) for t in territories]
        columns = ("territory", "mL", "tumour, mL", "normal, mL", "involvement, %")
        return (self.table(), *([Table.of(columns, rows, "Territories", "territories")] if rows else []))


@verb
def tumour_to_normal(
    scout: ImageSource,
    *,
    structures: StructureSource,
    reading: ScoutOptions = ScoutOptions(),
    uptake: UptakeOptions = UptakeOptions(),
    progress: Progress | None = None,
) -> UptakeResult:
    """Tumour-to-normal ratio of each lesion and overall, by both definitions.

    Parameters
    ----------
    scout : path or Image
        SPECT or PET: DICOM, NIfTI, MetaImage.
    structures : path or regions
        Liver and tumours: RTSTRUCT, SEG or label map.
    reading : ScoutOptions
        The CT, and what the files do not say.
    uptake : UptakeOptions
        How T/N is taken.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    UptakeResult
        Ratio by activity per mass and of activities, per lesion and overall; masses and volumes.

    Raises
    ------
    InputError
        If there is no liver or no tumour, or one of them holds nothing.
    UnknownNameError
        If the territory is not among the perfused structures.

    Examples
    --------
    >>> answer = hepatica.tumour_to_normal(scout, structures=[liver, tumour])  # doctest: +SKIP
    >>> round(answer.uptake.overall.tumour_to_normal.value, 2)  # doctest: +SKIP
    4.0
    """
    report_progress = progress or silent
    report_progress("reading the scout")
    found = read_scout(scout, structures, reading, report_progress)
    report_progress("measuring uptake")
    (liver,) = found.need("liver")
    answer = scout_uptake(
        found.image, liver, found.tumours,
        density=found.density, territories=found.territories, on_ct=found.on_ct, options=uptake,
        position_sd_mm=found.position_sd_mm,
    )  # fmt: skip
    return UptakeResult(
        uptake=answer,
        messages=unique(found.messages, answer.messages),
        provenance=Provenance(
            found.inputs,
            parameters=parameters(uptake, reading, ct=None),
            steps=(
                *found.steps,
                "T/N from contents and masses of the structures",
            ),
        ),
    )
