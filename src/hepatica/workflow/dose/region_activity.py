"""What partial-volume correction and the uncertainty chain say about every structure of a dose calculation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure
from hepatica.core import Estimate, Grid, Provenance, Region, Volume
from hepatica.core.image import Image
from hepatica.core.numbers import three, with_uncertainty
from hepatica.core.resample import resample_region
from hepatica.dosimetry.metrics.region_dose import RegionDose
from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.quantify.blurred_sphere import recovery_log_slope, sphere_diameter_mm
from hepatica.imaging.quantify.partial_volume import geometric_transfer_matrix, iterative_yang, partition, recover
from hepatica.imaging.quantify.recovery import RecoveryCurve
from hepatica.imaging.quantify.response import GaussianPsf
from hepatica.imaging.quantify.uncertainty import (
    OtherUncertainties,
    Outline,
    RegionUncertainty,
    edge_over_mean,
    region_uncertainty,
)
from hepatica.imaging.reconstruct.resampling import Ensemble
from hepatica.nuclides import Nuclide
from hepatica.workflow.dose.calibration_files import conditions_of, load_recovery
from hepatica.workflow.dose.decays import DecayCount
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.dose.replicates import counting_relative_sd, load_replicates

METHODS = {
    "region": "mean of each tumour by recovery curve: background + (mean - background) / recovery",
    "gtm": "means of all structures by geometric transfer matrix (Rousset et al. 1998)",
    "yang": "activity image by iterative Yang (Erlandsson et al. 2012)",
}


@dataclass(frozen=True, slots=True)
class RegionActivity:
    """One structure.

    Attributes
    ----------
    name : str
        Of the structure.
    decays : float
        In the structure, as the dose was computed from.
    uncertainty : RegionUncertainty or None
        The chain; None where the structure holds no activity.
    factor : Estimate or None
        Corrected over seen mean; None where nothing was corrected.
    in_dose : bool
        Whether the dose map holds the correction already ("yang"), or the mean dose is to be multiplied with it.
    background : str
        Structure that gave the background of a region recovery; empty for none.
    """

    name: str
    decays: float
    uncertainty: RegionUncertainty | None
    factor: Estimate | None = None
    in_dose: bool = False
    background: str = ""

    def dose_mean_gy(self, dose: RegionDose) -> Estimate:
        """Mean dose with the correction, and the known parts of its uncertainty: the chain and the engine's own."""
        value = dose.dose_mean_gy
        if self.factor is not None and not self.in_dose:
            value *= self.factor.value
        if self.uncertainty is None:
            return Estimate(value)
        engine = 0.0
        if dose.dose_mean_uncertainty_gy is not None and dose.dose_mean_gy:
            engine = dose.dose_mean_uncertainty_gy / dose.dose_mean_gy
        return Estimate(value, abs(value) * math.hypot(self.uncertainty.dose_relative_sd, engine))

    def as_dict(self, dose: RegionDose) -> dict[str, Any]:
        """Plain values for JSON, beside those of the structure's dose."""
        mean, corrected = self.dose_mean_gy(dose), None
        if self.factor is not None:
            corrected = {
                "factor": self.factor.value,
                "factor_sd": self.factor.sd,
                "in_dose_map": self.in_dose,
                "background": self.background or None,
                "dose_mean_corrected_gy": mean.value,
            }
        return {
            "decays": self.decays,
            "partial_volume": corrected,
            "dose_mean_known_sd_gy": mean.sd,
            "uncertainty": None if self.uncertainty is None else self.uncertainty.as_dict(),
        }


ACTIVITY_COLUMNS = (
    "Structure",
    "Recovery",
    "Mean, corrected\nGy",
    "u(volume)\n%",
    "u(recovery)\n%",
    "u(calibration)\n%",
    "u(time)\n%",
    "u(counts)\n%",
    "u(activity)\n%",
    "u(dose)\n%",
)

ACTIVITY_NOTE = (
    "Standard uncertainties (k = 1) by the EANM guidance (Gear et al. 2018); outline, recovery, camera factor and time "
    "integration, as far as they are known; a dash is what is not known and not in the totals."
)


def activity_rows(activities: Sequence[RegionActivity], doses: Sequence[RegionDose]) -> list[list[str]]:
    """Text of `ACTIVITY_COLUMNS` for every structure that holds activity."""
    rows = []
    for item, dose in zip(activities, doses, strict=True):
        chain = item.uncertainty
        if chain is None:
            continue
        mean = item.dose_mean_gy(dose)
        recovery = chain.recovery
        relative = (
            chain.volume_relative_sd,
            chain.recovery_relative_sd,
            chain.calibration_relative_sd,
            chain.time_relative_sd,
            chain.counting_relative_sd,
            chain.activity_relative_sd,
            chain.dose_relative_sd,
        )
        rows.append(
            [
                item.name,
                "–" if recovery is None else with_uncertainty(recovery.value, recovery.sd),
                with_uncertainty(mean.value, mean.sd),
                *(three(None if value is None else 100 * value) for value in relative),
            ]
        )
    return rows


def yang_corrected(
    decays: Volume, structures: Sequence[ClinicalRegion], options: DoseOptions
) -> tuple[Volume, Provenance, tuple[str, ...]]:
    """Decays corrected voxel by voxel, from structures on their own grid.

    Raises
    ------
    PhysicsError
        If the response blurs structures into each other beyond repair.
    """
    assert options.psf_mm is not None
    parts = partition(_drawn(structures))
    found = iterative_yang(decays, parts, GaussianPsf(options.psf_mm))
    gained = found.image.total / decays.total - 1
    parameters = {
        "yang_iterations": found.iterations,
        "yang_last_change": found.change,
        "transfer_matrix_condition": found.condition,
    }
    warnings = (f"partial-volume correction changed the decays in the image by {100 * gained:+.2g} %",)
    steps = Provenance(parameters=parameters, conventions={"partial volume": METHODS["yang"]})
    return found.image, steps, warnings if abs(gained) > 1e-3 else ()


def region_activities(
    seen: Volume,
    used: Volume,
    structures: Sequence[ClinicalRegion],
    images: Sequence[Image],
    ct: Image,
    count: DecayCount,
    nuclide: Nuclide,
    options: DoseOptions,
) -> tuple[tuple[RegionActivity, ...], Provenance, tuple[str, ...]]:
    """Correction and uncertainty of every structure.

    Parameters
    ----------
    seen : Volume
        Decays before any partial-volume correction.
    used : Volume
        Decays on the same grid that the dose was computed from: corrected ones with "yang".
    structures : sequence of ClinicalRegion
        On any grid in the same frame.
    images : sequence of Image
        The activity images, for their conditions.
    ct : Image
        On whose voxels structures were drawn.
    count : DecayCount
        What is known of calibration and time integration.
    nuclide : Nuclide
        In the patient.
    options : DoseOptions
        Method, files and numbers.

    Returns
    -------
    activities : tuple of RegionActivity
        In the order of `structures`.
    provenance : Provenance
        Method and numbers.
    warnings : tuple of str
        What must be said.

    Raises
    ------
    InputError
        If the recovery curve is of other conditions than the image.
    PhysicsError
        If a tumour lies outside the recovery curve, or structures cannot be told apart.
    """
    on = [replace(item, region=resample_region(item.region, seen.grid)) for item in structures]
    factors, provenance, warnings = _factors(seen, on, images, nuclide, options)
    outline = Outline(_voxel_mm(ct.grid), 0.0, options.contour_sd_mm)
    ensemble = _replicates(images, options)
    curve = None if options.recovery_file is None else load_recovery(options.recovery_file)
    found = []
    for item in on:
        factor, background, contrast = factors.get(item.region.name, (None, "", 1.0))
        if options.pvc == "yang" and factor is not None:
            factor = _in_image(factor, _mean(used, item.region) / _mean(seen, item.region))
        counting = None if ensemble is None else counting_relative_sd(ensemble, item.region)
        other = OtherUncertainties(count.calibration_relative_sd, count.time_relative_sd, counting)
        chain = _chain(seen, item.region, outline, other)
        if chain is not None and factor is not None:
            chain = _with_correction(chain, factor, contrast, curve, options)
        held = float((seen.values[item.region.window] * item.region.coverage).sum(dtype=np.float64))
        found.append(RegionActivity(item.region.name, held, chain, factor, options.pvc == "yang", background))
    return tuple(found), provenance, warnings


# ---------------------------------------------------------------------------------------------------------------------


def _replicates(images: Sequence[Image], options: DoseOptions) -> Ensemble | None:
    if options.replicates_file is None:
        return None
    if len(images) > 1:
        raise InputError("replicates are those of one activity image; several were given")
    return load_replicates(options.replicates_file, images[0].grid)


Factors = dict[str, tuple[Estimate, str, float]]
"""Structure -> corrected over seen mean, background structure, share of the corrected mean that is contrast."""


def _factors(
    seen: Volume, on: Sequence[ClinicalRegion], images: Sequence[Image], nuclide: Nuclide, options: DoseOptions
) -> tuple[Factors, Provenance, tuple[str, ...]]:
    if options.pvc == "none":
        return {}, Provenance(), ()
    if options.pvc == "region":
        return _by_recovery(seen, on, images, nuclide, options)
    return _by_matrix(seen, on, options)


def _by_recovery(
    seen: Volume, on: Sequence[ClinicalRegion], images: Sequence[Image], nuclide: Nuclide, options: DoseOptions
) -> tuple[Factors, Provenance, tuple[str, ...]]:
    """Tumours by the recovery curve; the normal liver, where it is delineated, is their background."""
    assert options.recovery_file is not None
    curve = load_recovery(options.recovery_file)
    warnings: list[str] = []
    for image in images:
        made = conditions_of(image, nuclide_name=nuclide.name)
        warnings += curve.conditions.require_fit(made, f"recovery curve {options.recovery_file.name}")
    around = next((item.region for item in on if item.structure is Structure.NORMAL_LIVER), None)
    background = 0.0 if around is None else _mean(seen, around)
    factors: Factors = {}
    for item in on:
        if item.structure is not Structure.TUMOUR or not (mean := _mean(seen, item.region)) > 0:
            continue
        recovery = _recovery_of(item.region, curve, options)
        corrected = recover(mean, recovery, background=background)
        if not corrected.value > 0:
            raise InputError(
                f"tumour {item.region.name!r}: the recovery turns its mean negative; it is colder than the liver"
            )
        share = (corrected.value - background) / corrected.value
        factors[item.region.name] = (corrected / mean, "" if around is None else around.name, share)
    if not factors:
        raise InputError("no structure is a tumour: there is nothing to recover; say which ones are with --kind")
    if options.recovery_extrapolate:
        low, high = curve.range_ml
        warnings.append(
            f"the recovery curve is used beyond its spheres of {low:.3g} to {high:.3g} mL where tumours need it"
        )
    steps = Provenance(
        parameters={"recovery_half_volume_ml": curve.half_volume_ml, "recovery_exponent": curve.exponent},
        conventions={
            "partial volume": METHODS["region"],
            "background of tumours": "none" if around is None else f"mean of {around.name!r}",
        },
    )
    return factors, steps, tuple(dict.fromkeys(warnings))


def _recovery_of(region: Region, curve: RecoveryCurve, options: DoseOptions) -> Estimate:
    try:
        return curve.at(region.volume_ml, extrapolate=options.recovery_extrapolate)
    except PhysicsError as error:
        raise PhysicsError(f"tumour {region.name!r}: {error} (--recovery-extrapolate)") from error


def _by_matrix(
    seen: Volume, on: Sequence[ClinicalRegion], options: DoseOptions
) -> tuple[Factors, Provenance, tuple[str, ...]]:
    """All structures by the transfer matrix; the other width of the response gives the uncertainty."""
    assert options.psf_mm is not None
    parts = partition(_drawn(on))
    widths = [options.psf_mm] + ([options.psf_mm + options.psf_sd_mm] if options.psf_sd_mm else [])
    solved = [geometric_transfer_matrix(seen, parts, GaussianPsf(width)) for width in widths]
    shares = _Shares.of(parts)
    factors: Factors = {}
    for item in on:
        mean = _mean(seen, item.region)
        if not mean > 0:
            continue
        share = shares(item.region)
        values = [float(np.dot(share, found.corrected)) / mean for found in solved]
        sd = abs(values[1] - values[0]) if len(values) > 1 else None
        factors[item.region.name] = (Estimate(values[0], sd), "", 1.0)
    steps = Provenance(
        parameters={"transfer_matrix_condition": solved[0].condition, "parts": list(solved[0].names)},
        conventions={"partial volume": METHODS[options.pvc]},
    )
    negative = [name for name, (factor, _, _) in factors.items() if factor.value <= 0]
    warnings = (f"partial-volume correction turns the mean of {', '.join(negative)} negative",) if negative else ()
    return factors, steps, warnings


@dataclass(frozen=True, slots=True, eq=False)
class _Shares:
    """Of how much of each part (and of the rest, last) a region is made, by volume."""

    flat: NDArray[np.float64]
    normal: NDArray[np.float64]

    @classmethod
    def of(cls, parts: Sequence[Region]) -> _Shares:
        flat = np.stack([part.full().ravel() for part in parts]).astype(np.float64)
        flat = np.vstack([flat, np.maximum(1 - flat.sum(axis=0), 0)])
        return cls(flat, flat @ flat.T)

    def __call__(self, region: Region) -> NDArray[np.float64]:
        """Least squares over the voxels: exact for a union of parts, whatever their borders cover of a voxel."""
        taken = np.clip(np.linalg.solve(self.normal, self.flat @ region.full().ravel()), 0, 1)
        volumes = taken * self.flat.sum(axis=1)
        return np.asarray(volumes / volumes.sum())


def _chain(seen: Volume, region: Region, outline: Outline, other: OtherUncertainties) -> RegionUncertainty | None:
    if region.is_empty or not _mean(seen, region) > 0:
        return None
    return region_uncertainty(region.volume_ml, outline, edge_exponent=edge_over_mean(seen, region), other=other)


def _in_image(factor: Estimate, ratio: float) -> Estimate:
    """What Yang did to a region in the image, with the relative uncertainty of the matrix.

    Both agree but for voxels on the border, which hold the content of both sides.
    """
    relative = factor.relative_sd
    return Estimate(ratio, None if relative is None else relative * ratio)


def _with_correction(
    chain: RegionUncertainty,
    factor: Estimate,
    contrast: float,
    curve: RecoveryCurve | None,
    options: DoseOptions,
) -> RegionUncertainty:
    """The chain with the recovery that was applied.

    Matrix and Yang recover more of a smaller outline as a curve does; how much is taken from a sphere of the region's
    volume in the same response.
    """
    volume = chain.volume_ml.value
    if curve is None:
        assert options.psf_mm is not None
        slope = recovery_log_slope(sphere_diameter_mm(volume), options.psf_mm)
        seen_share = Estimate(1.0, 0.0) / factor
        return replace(
            chain, recovery=seen_share, recovery_relative_sd=factor.relative_sd, recovery_exponent=slope,
            contrast_share=contrast,
        )  # fmt: skip
    recovery = curve.at(volume, extrapolate=options.recovery_extrapolate)
    return replace(
        chain,
        recovery=recovery,
        recovery_relative_sd=recovery.relative_sd,
        recovery_exponent=curve.log_slope(volume),
        contrast_share=contrast,
    )


def _mean(volume: Volume, region: Region) -> float:
    size = float(region.coverage.sum(dtype=np.float64))
    return float((volume.values[region.window] * region.coverage).sum(dtype=np.float64)) / size if size else 0.0


def _drawn(structures: Sequence[ClinicalRegion]) -> list[Region]:
    """What was drawn, not what follows from it."""
    return [item.region for item in structures if not item.derived and not item.region.is_empty]


def _voxel_mm(grid: Grid) -> float:
    """Edge of a cube of the voxel's volume."""
    return math.cbrt(1000 * grid.voxel_volume_ml)
