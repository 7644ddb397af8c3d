"""Scout against therapy from files: two dose maps and the structures in, concordance, table and figures out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.structures.clinical import Structure, structure_of, union
from hepatica.core import InputFile, Provenance, Region, Volume
from hepatica.core.resample import resample
from hepatica.errors import GeometryError, InputError
from hepatica.io.files import output_folder
from hepatica.io.regions import read_structures
from hepatica.planning.delivery.concordance import Concordance, concordance
from hepatica.workflow.dose.comparison import read_dose

PLANNED_FILE = "planned-dose.nii.gz"
"""What ``hepatica plan --out`` writes."""


@dataclass(frozen=True, slots=True, eq=False)
class ConcordanceAnswer:
    """What ``hepatica concordance`` says.

    Attributes
    ----------
    result : Concordance
        Per region and overall.
    isodose_is_mean : bool
        Whether the isodose is the lesions' planned mean because none was stated.
    scout, therapy : Volume
        Both dose maps on the scout's grid.
    lesions : tuple of Region
        On that grid.
    warnings : tuple of str
        From reading.
    inputs : tuple of InputFile
        The files, with hashes.
    """

    result: Concordance
    isodose_is_mean: bool
    scout: Volume
    therapy: Volume
    lesions: tuple[Region, ...]
    warnings: tuple[str, ...]
    inputs: tuple[InputFile, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return self.result.as_dict() | {
            "isodose_is_planned_mean": self.isodose_is_mean,
            "warnings": list(self.warnings),
            "provenance": Provenance(self.inputs, steps=("therapy interpolated onto the scout's voxels",)).as_dict(),
        }

    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Write ``concordance.json``, ``concordance.png`` (voxels, Bland-Altman) and ``slices.png``.

        Raises
        ------
        OutputError
            If the folder exists and is not empty (without `force`), or cannot be written.
        """
        from hepatica.report.figures.dose import agreement_figure, comparison_figure, png
        from hepatica.report.figures.planes import centre_of

        largest = max(self.lesions, key=lambda region: region.volume_ml)
        slices = comparison_figure(self.scout, self.therapy, centre_of(largest).tolist(), names=("scout", "therapy"))
        voxels = {region.name: _voxels(self.scout, self.therapy, region) for region in self.lesions}
        with output_folder(folder, force=force) as new:
            (new / "concordance.png").write_bytes(png(agreement_figure(voxels, names=("scout", "therapy"))))
            (new / "slices.png").write_bytes(png(slices))
            (new / "concordance.json").write_text(json.dumps(self.as_dict(), indent=1), encoding="utf-8")
        return Path(folder)


def compare_scout_and_therapy(
    scout: Path | str,
    therapy: Path | str,
    regions: Path | str,
    *,
    isodose_gy: float | None = None,
    kinds: Mapping[str, str] | None = None,
    registered: bool = False,
) -> ConcordanceAnswer:
    """Planned against delivered dose, per lesion and voxel by voxel.

    Parameters
    ----------
    scout, therapy : path
        Dose maps: RTDOSE, NIfTI or MetaImage in Gy, or a folder that ``hepatica plan`` or ``hepatica dose`` wrote.
    regions : path
        RTSTRUCT, SEG or label map with the tumours; with a liver T/N is given too, with perfused territories (or the
        liver in their place) the catheter is looked at.
    isodose_gy : float, optional
        Level of the Dice overlap; the planned mean over all lesions if left out.
    kinds : mapping, optional
        What a structure is, where its name does not say.
    registered : bool
        The user's word that maps of different frames of reference lie together.

    Raises
    ------
    InputError
        If no structure is a tumour, or a map holds nothing where it is compared.
    GeometryError
        If frames of reference differ, or a structure reaches outside the therapy's map.
    """
    planned, given = (_dose(Path(path)) for path in (scout, therapy))
    if registered:
        grid = given.grid.with_frame_of_reference(planned.grid.frame_of_reference)
        given = Volume(grid, given.values, given.kind, given.time, given.name)
    if not planned.grid.shares_frame(given.grid):
        raise GeometryError(
            "the dose maps have different frames of reference; register them first, or state with --registered that "
            "they lie together"
        )
    found = read_structures(regions, planned.grid)
    named = {region.name: region for region in found.regions if not region.is_empty}
    kind = {name: structure_of(name, kinds) for name in named}

    def of(*wanted: Structure) -> list[Region]:
        return [region for name, region in named.items() if kind[name] in wanted]

    lesions, livers = of(Structure.TUMOUR), of(Structure.LIVER)
    if not lesions:
        raise InputError("no structure among the regions is a tumour; name it with --kind 'NAME=tumour'")
    if len(livers) > 1:
        raise InputError(f"several structures are called liver: {', '.join(r.name for r in livers)}; say with --kind")
    # A label map cannot hold the tumours in the liver too.
    livers = [(liver | union(lesions)).renamed("liver") for liver in livers]
    territories = of(Structure.PERFUSED) or livers
    normal = (livers[0] - union(lesions)).renamed("normal liver") if livers else None
    used = [*lesions, *territories, *([normal] if normal is not None else [])]
    moved = _onto(given, planned, used)
    level = isodose_gy if isodose_gy is not None else _mean(planned, lesions)
    result = concordance(planned, moved, lesions, normal=normal, territories=territories, isodose_gy=level)
    inputs = tuple(
        InputFile.of(role, _file(Path(path)))
        for role, path in (("scout dose", scout), ("therapy dose", therapy), ("regions", regions))
        if _file(Path(path)).is_file()
    )
    notes = tuple(map(str, found.messages))
    return ConcordanceAnswer(result, isodose_gy is None, planned, moved, tuple(lesions), notes, inputs)


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    from hepatica.workflow.dose.comparison import DOSE_FILE

    return path / (PLANNED_FILE if (path / PLANNED_FILE).is_file() else DOSE_FILE)


def _dose(path: Path) -> Volume:
    volume = read_dose(_file(path))
    volume.require_finite()
    return volume


def _onto(therapy: Volume, scout: Volume, regions: Sequence[Region]) -> Volume:
    """Therapy's dose on the scout's voxels; nothing is made up where a structure leaves its field of view."""
    moved = resample(therapy, scout.grid, "linear", outside=np.nan)
    for region in regions:
        outside = np.isnan(moved.values[region.window]) & (region.coverage > 0)
        if outside.any():
            missing = float(region.coverage[outside].sum(dtype=np.float64)) * scout.grid.voxel_volume_ml
            raise GeometryError(f"region {region.name!r}: {missing:.3g} mL of it lie outside the therapy's dose map")
    return moved.with_values(np.nan_to_num(moved.values, nan=0.0))


def _mean(dose: Volume, regions: Sequence[Region]) -> float:
    """Mean dose over all regions by volume."""
    total = math.fsum(float((r.coverage * dose.values[r.window]).sum(dtype=np.float64)) for r in regions)
    mean = total / math.fsum(float(r.coverage.sum(dtype=np.float64)) for r in regions)
    if not mean > 0:
        raise InputError("the plan gives the lesions no dose: there is nothing to compare with")
    return mean


def _voxels(scout: Volume, therapy: Volume, region: Region) -> tuple[Any, Any]:
    """Doses of the voxels that are at least half inside a region (all of them in a region smaller than that)."""
    inside = region.coverage >= min(0.5, float(region.coverage.max()))
    return scout.values[region.window][inside], therapy.values[region.window][inside]
