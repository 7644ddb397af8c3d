"""BED, EUD and published models for the structures of a dose map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatica.core import InputFile, Kind, Provenance, Volume
from hepatica.dosimetry.metrics.dvh import DvhCurve, dose_volume_histogram
from hepatica.dosimetry.radiobiology import (
    LIVER,
    TUMOUR,
    DoseRate,
    Prediction,
    RegionRadiobiology,
    Tissue,
    bed_volume,
    predict,
    region_radiobiology,
    response_models,
)
from hepatica.dosimetry.radiobiology.summary import prediction_dict
from hepatica.errors import InputError, UnitError
from hepatica.io.itk import is_itk_file, read_itk
from hepatica.io.regions import read_structures
from hepatica.nuclides import nuclide


@dataclass(frozen=True, slots=True)
class MapRadiobiology:
    """Radiobiology of a dose map.

    Attributes
    ----------
    regions : tuple of RegionRadiobiology
        One per structure.
    predictions : tuple of (str, Prediction)
        (structure, model).
    histograms : tuple of (str, DvhCurve, DvhCurve)
        (structure, cumulative histogram of dose, of BED).
    bed : tuple of (str, Volume)
        ("liver" or "tumour", BED of every voxel with that tissue's parameters).
    warnings : tuple of str
        What was assumed.
    provenance : Provenance
        Inputs and parameters.
    """

    regions: tuple[RegionRadiobiology, ...]
    predictions: tuple[tuple[str, Prediction], ...]
    histograms: tuple[tuple[str, DvhCurve, DvhCurve], ...]
    bed: tuple[tuple[str, Volume], ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys."""
        return {
            "regions": [
                {
                    "name": r.name,
                    "tissue": r.tissue.name,
                    "alpha_beta_gy": r.tissue.alpha_beta_gy,
                    "alpha_per_gy": r.alpha_per_gy,
                    "volume_ml": r.volume_ml,
                    "dose_mean_gy": r.dose_mean_gy,
                    "bed_mean_gy": r.bed_mean_gy,
                    "bed_of_mean_dose_gy": r.bed_of_mean_gy,
                    "eqd2_mean_gy": r.eqd2_mean_gy,
                    "eud_gy": r.eud_gy,
                    "eubed_gy": r.eubed_gy,
                    "lea_catcheside_factor": r.lea_catcheside,
                }
                for r in self.regions
            ],
            "models": [{"region": name, **prediction_dict(p)} for name, p in self.predictions],
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }


def read_dose(path: Path) -> Volume:
    """A dose map in Gy: RTDOSE, NIfTI or MetaImage.

    Raises
    ------
    InputError
        If it does not exist or cannot be read.
    UnitError
        If an RTDOSE is not in Gy.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if is_itk_file(path):
        volume, _ = read_itk(path, Kind.DOSE, name=path.name)
    else:
        from hepatica.io.dicom.rtdose import read_rtdose

        volume = read_rtdose(path).volume
    volume.require_finite()
    if float(volume.values.min()) < 0:
        raise UnitError(f"{path}: a dose is negative; this is no map of absorbed dose in Gy")
    return volume


def map_radiobiology(
    dose_path: Path,
    structures_path: Path,
    *,
    nuclide_name: str,
    agent: str,
    alpha_per_gy: float,
    half_life_h: float | None = None,
) -> MapRadiobiology:
    """Radiobiology of every structure of a dose map.

    A structure whose name says tumour or lesion takes tumour parameters, one that says liver or normal those of liver;
    others are left out with a warning.
    """
    dose = read_dose(dose_path)
    found = read_structures(structures_path, dose.grid)
    source = nuclide(nuclide_name)
    rate = DoseRate.exponential(source.half_life_h if half_life_h is None else half_life_h)
    warnings = [str(message) for message in found.messages]
    regions: list[RegionRadiobiology] = []
    predictions: list[tuple[str, Prediction]] = []
    histograms = []
    bed: dict[str, Volume] = {}
    for region in found.regions:
        tissue = _tissue(region.name)
        if tissue is None:
            warnings.append(f"{region.name!r}: neither tumour nor liver by its name; no radiobiology")
            continue
        kind_of_tissue = "tumour" if tissue is TUMOUR else "liver"
        if kind_of_tissue not in bed:
            bed[kind_of_tissue] = bed_volume(dose, rate, tissue)
        result = region_radiobiology(dose, region, rate, tissue, alpha_per_gy=alpha_per_gy)
        regions.append(result)
        kind = "tcp" if tissue is TUMOUR else "ntcp"
        histogram = dose_volume_histogram(dose, region)
        metrics = {"mean_dose": result.dose_mean_gy, "bed": result.bed_mean_gy, "eud": result.eud_gy}
        of_bed = dose_volume_histogram(bed[kind_of_tissue], region)
        histograms.append((region.name, histogram.cumulative(), of_bed.cumulative()))
        metrics |= {f"d{x}": histogram.d_percent(x) for x in (95, 30)}
        for model in response_models().values():
            value = metrics.get(model.metric)
            if model.kind == kind and model.nuclide != "external" and value is not None:
                predictions.append((region.name, predict(model, value, nuclide=source.name, agent=agent)))
    if not regions:
        raise InputError(f"{structures_path}: no structure is a tumour or liver by its name; {'; '.join(warnings)}")
    return MapRadiobiology(
        tuple(regions),
        tuple(predictions),
        tuple(histograms),
        tuple(bed.items()),
        tuple(warnings),
        Provenance(
            inputs=(InputFile.of("dose", dose_path), InputFile.of("structures", structures_path)),
            parameters={"nuclide": source.name, "half_life_h": rate.half_lives_h[0], "alpha_per_gy": alpha_per_gy},
            conventions={"EUD": "Niemierko 1997", "EUBED": "Jones and Hoban 2000, same alpha"},
        ),
    )


def _tissue(name: str) -> Tissue | None:
    low = name.lower()
    if any(word in low for word in ("tumour", "tumor", "lesion", "gtv", "hcc", "metasta")):
        return TUMOUR
    if any(word in low for word in ("liver", "normal", "parenchyma")):
        return LIVER
    return None
