"""What partial-volume correction and the uncertainty chain say about the activity of every structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from hepatica.anatomy.registration.quality.dose_effect import dose_effects
from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure
from hepatica.core import Estimate, Provenance, Region, Volume
from hepatica.core.message import Message
from hepatica.core.options import Limits, Positive, options
from hepatica.core.resample import resample_region
from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.quantify.blurred.sphere import recovery_log_slope, sphere_diameter_mm
from hepatica.imaging.quantify.partial_volume import (
    PartShares,
    geometric_transfer_matrix,
    iterative_yang,
    partition,
    recover,
)
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

METHODS = {
    "region": "mean of each tumour by recovery curve: background + (mean - background) / recovery",
    "gtm": "means of all structures by geometric transfer matrix (Rousset et al. 1998)",
    "yang": "activity image by iterative Yang (Erlandsson et al. 2012)",
}

Method = Literal["none", "region", "gtm", "yang"]


@options
class PartialVolumeOptions:
    """Partial-volume correction and the uncertainty of every structure.

    Attributes
    ----------
    partial_volume : {"none", "region", "gtm", "yang"} or None
        Correction of tumours by a recovery curve ("region"), of the means of all structures by the geometric transfer
        matrix ("gtm"), or of the activity image itself by iterative Yang ("yang"). Without it: "region" where a
        recovery curve is given, else "none".
    recovery : Path or RecoveryCurve or None
        Recovery curve (recovery.json of a calibration), for "region".
    recovery_extrapolate : bool
        Use the curve beyond the sizes of its spheres as well.
    response_mm : float or None
        Width (FWHM) of the response in the image, for "gtm" and "yang".
    response_sd_mm : float or None
        Standard uncertainty of that width.
    contour_sd_mm : float
        Standard uncertainty of where a surface was drawn, beyond the voxels it was drawn on.
    replicates : Path or Ensemble or None
        Replicates of the one activity image, which its reconstruction wrote: the noise of its counts is then part of
        the uncertainty.
    """

    partial_volume: Method | None = None
    recovery: Path | RecoveryCurve | None = None
    recovery_extrapolate: bool = False
    response_mm: Positive | None = None
    response_sd_mm: Annotated[float, Limits(low=0, below=100)] | None = None
    contour_sd_mm: Annotated[float, Limits(low=0, below=100)] = 0.0
    replicates: Path | Ensemble | None = None

    @property
    def method(self) -> Method:
        """The correction in force."""
        return self.partial_volume or ("none" if self.recovery is None else "region")

    def __post_init__(self) -> None:
        if self.recovery_extrapolate and self.recovery is None:
            raise InputError(
                "`recovery_extrapolate` is of a recovery curve", remedy="state `recovery`, or leave it out"
            )
        if self.response_sd_mm is not None and self.response_mm is None:
            raise InputError("`response_sd_mm` is of the response's width", remedy="state `response_mm`")
        if (self.method == "region") is (self.recovery is None):
            raise InputError(
                f"partial-volume correction 'region' and a recovery curve need each other; got {self.method!r} and "
                f"{'no' if self.recovery is None else 'a'} curve",
                remedy="state `partial_volume` and `recovery` together",
            )
        if (self.method in ("gtm", "yang")) is (self.response_mm is None):
            width = "no width" if self.response_mm is None else f"{self.response_mm:g} mm"
            raise InputError(
                f"partial-volume correction 'gtm' or 'yang' and the width of the response need each other; got "
                f"{self.method!r} and {width}",
                remedy="state `partial_volume` and `response_mm` together",
            )


@dataclass(frozen=True, slots=True)
class StructureActivity:
    """Activity of one structure.

    Attributes
    ----------
    name : str
        Of the structure.
    decays : float
        In the structure, before any correction.
    uncertainty : RegionUncertainty or None
        The chain; None where the structure holds no activity.
    factor : Estimate or None
        Corrected over seen mean; None where nothing was corrected.
    in_image : bool
        Whether the image holds the correction already ("yang"), or a mean is to be multiplied with it.
    background : str
        Structure that gave the background of a region recovery; empty for none.
    decays_sd : float or None
        Standard uncertainty of `decays` by counting, of a structure without a chain: what is relative to a mean that
        noise brought to zero or below says nothing.
    """

    name: str
    decays: float
    uncertainty: RegionUncertainty | None
    factor: Estimate | None = None
    in_image: bool = False
    background: str = ""
    decays_sd: float | None = None

    def corrected_dose(self, mean: Estimate) -> Estimate:
        """Mean dose with the correction, and the known parts of its uncertainty: the chain and that of the engine."""
        value = mean.value
        if self.factor is not None and not self.in_image:
            value *= self.factor.value
        if self.uncertainty is None:
            return Estimate(value)
        engine = 0.0 if mean.sd is None or not mean.value else mean.sd / mean.value
        return Estimate(value, abs(value) * math.hypot(self.uncertainty.dose_relative_sd, engine))


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedImage:
    """An activity image after a correction of all its voxels, and what was done."""

    image: Volume
    provenance: Provenance
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class StructureActivities:
    """All structures, in the order given, and what was done."""

    activities: tuple[StructureActivity, ...]
    provenance: Provenance
    messages: tuple[Message, ...]


def yang_corrected(
    decays: Volume, structures: Sequence[ClinicalRegion], options: PartialVolumeOptions
) -> CorrectedImage:
    """Decays corrected voxel by voxel, from structures on their own grid.

    Raises
    ------
    PhysicsError
        If the response blurs structures into each other beyond repair.
    """
    found = iterative_yang(decays, partition(_drawn(structures)), _response(options))
    gained = found.image.total / decays.total - 1
    parameters = {
        "yang_iterations": found.iterations,
        "yang_last_change": found.change,
        "transfer_matrix_condition": found.condition,
    }
    text = f"partial-volume correction changed the decays in the image by {100 * gained:+.2g} %"
    steps = Provenance(parameters=parameters, conventions={"partial volume": METHODS["yang"]})
    notes = (Message("partial-volume-changes-total", text),) if abs(gained) > 1e-3 else ()
    return CorrectedImage(found.image, steps, notes)


def structure_activities(
    seen: Volume,
    used: Volume,
    structures: Sequence[ClinicalRegion],
    *,
    outline: Outline,
    common: OtherUncertainties,
    options: PartialVolumeOptions,
    position_sd_mm: float | None = 0.0,
) -> StructureActivities:
    """Correction and uncertainty of every structure.

    Parameters
    ----------
    seen : Volume
        Decays before any partial-volume correction.
    used : Volume
        Decays on the same grid that the dose was computed from: corrected ones with "yang".
    structures : sequence of ClinicalRegion
        On any grid in the same frame.
    outline : Outline
        How well they are drawn.
    common : OtherUncertainties
        What is known of calibration and time integration.
    options : PartialVolumeOptions
        Method and numbers; recovery curve and replicates as values, not as paths.
    position_sd_mm : float or None
        Standard uncertainty along each axis of the transform that brought image and structures together; 0 where there
        was none, None where it is not known.

    Raises
    ------
    PhysicsError
        If a tumour lies outside the recovery curve, or structures cannot be told apart.
    InputError
        If there is no tumour to recover.
    """
    on = [replace(item, region=resample_region(item.region, seen.grid)) for item in structures]
    corrections = _corrections(seen, on, options)
    ensemble = options.replicates if isinstance(options.replicates, Ensemble) else None
    found = []
    for item in on:
        factor, background, contrast = corrections.factors.get(item.region.name, (None, "", 1.0))
        if options.method == "yang" and factor is not None:
            factor = _in_image(factor, item.region.mean(used) / item.region.mean(seen))
        counting = None if ensemble is None else counting_relative_sd(ensemble, item.region)
        position = position_relative_sd(seen, item.region, position_sd_mm)
        chain = _chain(seen, item.region, outline, replace(common, counting=counting, position=position))
        if chain is not None and factor is not None:
            chain = _with_correction(chain, factor, contrast, options)
        found.append(
            StructureActivity(
                item.region.name, item.region.total(seen), chain, factor, options.method == "yang", background
            )
        )
    return StructureActivities(tuple(found), corrections.provenance, corrections.messages)


def position_relative_sd(seen: Volume, region: Region, sd_mm: float | None) -> float | None:
    """Relative standard uncertainty of a region's content where its position is known to `sd_mm` along each axis.

    None where that is not known, or the region holds nothing.
    """
    if not sd_mm or region.is_empty:
        return sd_mm
    (effect,) = dose_effects(seen, [region], (sd_mm,) * 3)
    return None if effect.relative_sd_percent is None else effect.relative_sd_percent / 100


def counting_relative_sd(ensemble: Ensemble, region: Region) -> float | None:
    """Relative standard uncertainty of a region's content between replicates; None if it holds nothing."""
    if region.is_empty:
        return None
    parts = ensemble.images[(slice(None), *region.window)].astype(np.float64)
    held = (parts * region.coverage).sum(axis=(1, 2, 3))
    mean = float(held.mean())
    return float(held.std(ddof=1)) / mean if mean > 0 else None


# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Corrections:
    """Structure -> corrected over seen mean, background structure, share of the corrected mean that is contrast."""

    factors: dict[str, tuple[Estimate, str, float]]
    provenance: Provenance = field(default_factory=Provenance)
    messages: tuple[Message, ...] = ()


def _corrections(seen: Volume, on: Sequence[ClinicalRegion], options: PartialVolumeOptions) -> _Corrections:
    if options.method == "none":
        return _Corrections({})
    return _by_recovery(seen, on, options) if options.method == "region" else _by_matrix(seen, on, options)


def _by_recovery(seen: Volume, on: Sequence[ClinicalRegion], options: PartialVolumeOptions) -> _Corrections:
    """Tumours by the recovery curve; the normal liver, where it is delineated, is their background."""
    curve = _curve(options)
    around = next((item.region for item in on if item.structure is Structure.NORMAL_LIVER), None)
    background = 0.0 if around is None else around.mean(seen)
    factors: dict[str, tuple[Estimate, str, float]] = {}
    for item in on:
        if item.structure is not Structure.TUMOUR or not (mean := item.region.mean(seen)) > 0:
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
        raise InputError(
            "no structure is a tumour: there is nothing to recover", remedy="say which ones are: `structure_roles`"
        )
    notes: tuple[Message, ...] = ()
    if options.recovery_extrapolate:
        low, high = curve.range_ml
        text = f"the recovery curve is used beyond its spheres of {low:.3g} to {high:.3g} mL where tumours need it"
        notes = (Message("recovery-extrapolated", text),)
    steps = Provenance(
        parameters={"recovery_half_volume_ml": curve.half_volume_ml, "recovery_exponent": curve.exponent},
        conventions={
            "partial volume": METHODS["region"],
            "background of tumours": "none" if around is None else f"mean of {around.name!r}",
        },
    )
    return _Corrections(factors, steps, notes)


def _curve(options: PartialVolumeOptions) -> RecoveryCurve:
    if not isinstance(options.recovery, RecoveryCurve):
        raise InputError("a recovery curve is needed as a value, not as a path", remedy="read it first")
    return options.recovery


def _response(options: PartialVolumeOptions, wider_mm: float = 0.0) -> GaussianPsf:
    assert options.response_mm is not None
    return GaussianPsf(options.response_mm + wider_mm)


def _recovery_of(region: Region, curve: RecoveryCurve, options: PartialVolumeOptions) -> Estimate:
    try:
        return curve.at(region.volume_ml, extrapolate=options.recovery_extrapolate)
    except PhysicsError as error:
        raise PhysicsError(f"tumour {region.name!r}: {error}") from error


def _by_matrix(seen: Volume, on: Sequence[ClinicalRegion], options: PartialVolumeOptions) -> _Corrections:
    """All structures by the transfer matrix; the other width of the response gives the uncertainty."""
    parts = partition(_drawn(on))
    wider = [0.0] + ([options.response_sd_mm] if options.response_sd_mm else [])
    solved = [geometric_transfer_matrix(seen, parts, _response(options, more)) for more in wider]
    shares = PartShares.of_parts(parts)
    factors: dict[str, tuple[Estimate, str, float]] = {}
    for item in on:
        mean = item.region.mean(seen)
        if not mean > 0:
            continue
        share = shares(item.region)
        values = [float(np.dot(share, found.corrected)) / mean for found in solved]
        sd = abs(values[1] - values[0]) if len(values) > 1 else None
        factors[item.region.name] = (Estimate(values[0], sd), "", 1.0)
    steps = Provenance(
        parameters={"transfer_matrix_condition": solved[0].condition, "parts": list(solved[0].names)},
        conventions={"partial volume": METHODS[options.method]},
    )
    negative = [name for name, (factor, _, _) in factors.items() if factor.value <= 0]
    text = f"partial-volume correction turns the mean of {', '.join(negative)} negative"
    notes = (Message("partial-volume-negative", text, severity="critical"),) if negative else ()
    return _Corrections(factors, steps, notes)


def _chain(seen: Volume, region: Region, outline: Outline, other: OtherUncertainties) -> RegionUncertainty | None:
    if region.is_empty or not region.mean(seen) > 0:
        return None
    return region_uncertainty(region.volume_ml, outline, edge_exponent=edge_over_mean(seen, region), other=other)


def _in_image(factor: Estimate, ratio: float) -> Estimate:
    """What Yang did to a region in the image, with the relative uncertainty of the matrix.

    Both agree but for voxels on the border, which hold the content of both sides.
    """
    relative = factor.relative_sd
    return Estimate(ratio, None if relative is None else relative * ratio)


def _with_correction(
    chain: RegionUncertainty, factor: Estimate, contrast: float, options: PartialVolumeOptions
) -> RegionUncertainty:
    """The chain with the recovery that was applied.

    Matrix and Yang recover more of a smaller outline as a curve does; how much is taken from a sphere of the region's
    volume in the same response.
    """
    volume, curve = chain.volume_ml.value, options.recovery
    if not isinstance(curve, RecoveryCurve):
        assert options.response_mm is not None
        return replace(
            chain,
            recovery=Estimate(1.0, 0.0) / factor,
            recovery_relative_sd=factor.relative_sd,
            recovery_exponent=recovery_log_slope(sphere_diameter_mm(volume), options.response_mm),
            contrast_share=contrast,
        )
    recovery = curve.at(volume, extrapolate=options.recovery_extrapolate)
    return replace(
        chain,
        recovery=recovery,
        recovery_relative_sd=recovery.relative_sd,
        recovery_exponent=curve.log_slope(volume),
        contrast_share=contrast,
    )


def _drawn(structures: Sequence[ClinicalRegion]) -> list[Region]:
    """What was drawn, not what follows from it."""
    return [item.region for item in structures if not item.derived and not item.region.is_empty]
