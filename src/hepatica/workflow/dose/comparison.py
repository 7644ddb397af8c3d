"""Two dose maps from files, side by side: by structure, gamma index, profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import ClassVar

from hepatica.anatomy.structures.clinical import threshold_region
from hepatica.core import Provenance, Region, Volume
from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.sources import regions_of
from hepatica.core.tables.table import Table
from hepatica.dosimetry.metrics.comparison import DoseComparison, RegionComparison
from hepatica.dosimetry.metrics.comparison import compare_doses as compare_volumes
from hepatica.dosimetry.metrics.gamma import GammaMap, gamma_index
from hepatica.dosimetry.metrics.gamma_criteria import GammaOptions
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.itk import write_itk
from hepatica.io.structures.regions import read_structures
from hepatica.report.figures.dosimetry.dose import comparison_figure, png
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import DoseSource, StructureSource, as_dose


@result
class DoseComparisonResult(Result):
    """Second dose map against the first, the reference.

    Attributes
    ----------
    first, second : str
        What the maps are called.
    gamma : GammaMap
        Of the second against the first.
    comparison : DoseComparison
        By structure, and the difference map.
    """

    verb: ClassVar[str] = "compare_doses"

    first: str
    second: str
    gamma: GammaMap
    comparison: DoseComparison = field(metadata=HIDDEN)

    @property
    @reported
    def structures(self) -> tuple[RegionComparison, ...]:
        """One for each structure."""
        return self.comparison.regions

    def title(self) -> str:
        """Names and gamma index."""
        gamma = self.gamma
        return (
            f"first: {self.first}; second: {self.second}; gamma {gamma.dose_percent:g} %/{gamma.distance_mm:g} mm "
            f"{gamma.criterion}: {gamma.pass_percent:.4g} % of {gamma.voxels} voxels pass, mean {gamma.gamma_mean:.3f}"
        )

    def table(self) -> Table:
        """Means and differences by structure."""
        heads = (
            "structure", "first, Gy", "second, Gy", "second/first", "SD of difference, Gy", "largest difference, Gy",
            "Lin",
        )  # fmt: skip
        rows = [
            (
                row.name, row.mean_first_gy, row.mean_second_gy, row.ratio_of_means, row.difference_sd_gy,
                row.difference_max_gy, row.lin_ccc,
            )
            for row in self.structures
        ]  # fmt: skip
        return Table.of(heads, rows, "", "comparison")

    def write(self, folder: Path) -> None:
        """Write ``comparison.png`` (slices, difference, profiles) and ``difference.nii.gz``."""
        found = self.comparison
        figure = comparison_figure(
            found.first, found.second.filled(), found.hottest_mm, names=(self.first, self.second)
        )
        (folder / "comparison.png").write_bytes(png(figure))
        write_itk(found.difference.filled(), folder / "difference.nii.gz")


@verb
def compare_doses(
    first: DoseSource,
    second: DoseSource,
    *,
    structures: StructureSource | None = None,
    criteria: GammaOptions = GammaOptions(),
    progress: Progress | None = None,
) -> DoseComparisonResult:
    """Two dose maps of one patient side by side: structures, gamma index, profiles.

    Parameters
    ----------
    first : path or Volume
        Reference: RTDOSE, NIfTI in Gy, or the folder of a saved dose or plan.
    second : path or Volume
        Dose map compared with it.
    structures : path, sequence of Region, or None
        RTSTRUCT, SEG or label map. Without it: where the first map has at least a tenth of its maximum.
    criteria : GammaOptions
        When two doses agree.
    progress : callable, optional
        Called with one sentence at each step.

    Returns
    -------
    DoseComparisonResult
        Numbers of each structure and gamma index; ``save`` writes figure and difference map.

    Raises
    ------
    HepaticaError
        As `as_dose`, `io.regions.read_structures`, `dosimetry.metrics.comparison.compare_doses` and
        `dosimetry.metrics.gamma.gamma_index`.

    Examples
    --------
    >>> hepatica.compare_doses("planned", "delivered").gamma.pass_percent  # doctest: +SKIP
    97.2
    """
    report_progress = progress or silent
    report_progress("reading dose maps")
    one, other = as_dose(first, role="first"), as_dose(second, role="second")
    a, b = one.volume, other.volume
    report_progress("comparing structures")
    regions, notes = _regions_of(a, structures)
    compared = compare_volumes(a, b, regions)
    report_progress("gamma index")
    gamma = gamma_index(a, b, dose_percent=criteria.gamma[0], distance_mm=criteria.gamma[1], local=criteria.local)
    names = _names(one.name, other.name)
    inputs = (*one.inputs, *other.inputs)
    if isinstance(structures, str | Path):
        inputs += (input_file("structures", Path(structures)),)
    return DoseComparisonResult(
        first=names[0],
        second=names[1],
        gamma=gamma,
        comparison=compared,
        messages=unique(one.messages, other.messages, notes),
        provenance=Provenance(inputs=inputs, parameters=parameters(criteria)),
    )


def _regions_of(dose: Volume, given: StructureSource | None) -> tuple[Sequence[Region], tuple[Message, ...]]:
    if given is None:
        level = 0.1 * float(dose.values.max())
        return [threshold_region(dose, level, name="above 10 % of the maximum")], ()
    if isinstance(given, str | Path):
        found = read_structures(given, dose.grid)
        return [region for region in found.regions if not region.is_empty], found.messages
    return regions_of(given), ()


def _names(first: str, second: str) -> tuple[str, str]:
    """Short names that tell the two apart."""
    a, b = Path(first), Path(second)
    if a.name != b.name:
        return a.name, b.name
    return f"{a.parent.name}/{a.name}", f"{b.parent.name}/{b.name}"
