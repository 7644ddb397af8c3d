"""Two dose maps from files, side by side: by structure, gamma index, profiles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.structures.clinical import threshold_region
from hepatica.core import Kind, Region, Volume
from hepatica.dosimetry.metrics.comparison import DoseComparison, compare_doses
from hepatica.dosimetry.metrics.gamma import GammaMap, gamma_index
from hepatica.errors import InputError
from hepatica.io.dicom.rtdose import read_rtdose
from hepatica.io.files import output_folder
from hepatica.io.itk import is_itk_file, read_itk, write_itk

DOSE_FILE = "dose.dcm"


@dataclass(frozen=True, slots=True, eq=False)
class DoseMapsCompared:
    """Result of `compare_dose_maps`.

    Attributes
    ----------
    comparison : DoseComparison
        By structure, and the difference map.
    gamma : GammaMap
        Of the second against the first.
    names : tuple of str
        What the maps are called.
    """

    comparison: DoseComparison
    gamma: GammaMap
    names: tuple[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "first": self.names[0],
            "second": self.names[1],
            "regions": [region.as_dict() for region in self.comparison.regions],
            "gamma": self.gamma.as_dict(),
        }

    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Write ``comparison.png`` (slices, difference, profiles), ``difference.nii.gz`` and ``comparison.json``.

        Raises
        ------
        OutputError
            If the folder exists and is not empty (without `force`), or cannot be written.
        """
        from hepatica.report.figures.dose import comparison_figure, png

        first, second = self.comparison.first, self.comparison.second
        hottest = np.unravel_index(int(np.argmax(first.values)), first.grid.shape)
        known = second.with_values(np.nan_to_num(second.values, nan=0.0))
        figure = comparison_figure(first, known, first.grid.to_mm(hottest).tolist(), names=self.names)
        with output_folder(folder, force=force) as new:
            (new / "comparison.png").write_bytes(png(figure))
            difference = self.comparison.difference
            write_itk(difference.with_values(np.nan_to_num(difference.values, nan=0.0)), new / "difference.nii.gz")
            (new / "comparison.json").write_text(json.dumps(self.as_dict(), indent=1), encoding="utf-8")
        return Path(folder)


def read_dose(path: Path | str) -> Volume:
    """Dose map from an RTDOSE file, a NIfTI or MetaImage in Gy, or a folder that ``hepatica dose`` wrote.

    Raises
    ------
    InputError
        If there is no such file.
    DicomError
        If it is no RTDOSE that hepatica reads.
    """
    path = Path(path)
    if path.is_dir():
        path = path / DOSE_FILE
    if not path.exists():
        raise InputError(f"{path}: no such dose map")
    if is_itk_file(path):
        return read_itk(path, Kind.DOSE, name=path.name)[0]
    return read_rtdose(path).volume


def compare_dose_maps(
    first: Path | str,
    second: Path | str,
    *,
    regions: Path | str | None = None,
    dose_percent: float = 3.0,
    distance_mm: float = 3.0,
    local: bool = False,
) -> DoseMapsCompared:
    """Compare two dose maps of one patient.

    Parameters
    ----------
    first, second : path
        See `read_dose`; the first is the reference.
    regions : path or None
        RTSTRUCT, SEG or label map; None: where the first map has at least a tenth of its maximum.
    dose_percent, distance_mm : float
        Criteria of the gamma index.
    local : bool
        Dose criterion as a share of the local dose, not of the maximum.

    Raises
    ------
    HepaticaError
        As `read_dose`, `io.regions.read_structures`, `dosimetry.compare.compare_doses`, `dosimetry.gamma.gamma_index`.
    """
    a, b = read_dose(first), read_dose(second)
    compared = compare_doses(a, b, _regions_of(a, regions))
    gamma = gamma_index(a, b, dose_percent=dose_percent, distance_mm=distance_mm, local=local)
    return DoseMapsCompared(compared, gamma, _names(Path(first), Path(second)))


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Short names that tell the two apart."""
    if first.name != second.name:
        return first.name, second.name
    return f"{first.parent.name}/{first.name}", f"{second.parent.name}/{second.name}"


def _regions_of(dose: Volume, regions: Path | str | None) -> Sequence[Region]:
    if regions is None:
        level = 0.1 * float(dose.values.max())
        return [threshold_region(dose, level, name="above 10 % of the maximum")]
    from hepatica.io.regions import read_structures

    return [region for region in read_structures(regions, dose.grid).regions if not region.is_empty]
