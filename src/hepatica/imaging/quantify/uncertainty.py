"""From the uncertainty of outline, calibration and recovery to that of a region's activity and absorbed dose.

After Gear et al., EANM practical guidance on uncertainty analysis for molecular radiotherapy absorbed dose
calculations, Eur J Nucl Med Mol Imaging 2018;45:2456. Everything is a standard uncertainty (k = 1) and first order.

Counts, recovery and mass of a region all depend on where its outline was drawn. The guidance carries this by
covariances; the same is said by adding the three dependences before squaring:

    u(D)^2 / D^2 = (e - s - c)^2 (u(v) / v)^2 + (u(R) / R)^2 + (u(Q) / Q)^2 + (u(t) / t)^2 + (u(n) / n)^2

and, where a transform brought image and outline together, the square of what a shift by its standard uncertainty does,
with e = d ln counts / d ln v (value at the edge over the mean inside; phi / 2R of the guidance), s = d ln R / d ln v,
c = -d ln S / d ln v (the exponent of the mass in the dose per decay), u(R) that of the fit of the recovery curve, Q the
camera factor, t the time integration and n the counts themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate, Kind, Region, Volume
from hepatica.core.document import HIDDEN, reported
from hepatica.errors import InputError
from hepatica.imaging.quantify.blurred.sphere import sphere_diameter_mm
from hepatica.imaging.quantify.recovery import RecoveryCurve


@dataclass(frozen=True, slots=True)
class Outline:
    """How well the surface of a region is known.

    Attributes
    ----------
    voxel_mm : float
        Size of the voxels it was drawn on.
    resolution_fwhm_mm : float
        Resolution of the image it was drawn on; 0 leaves it out.
    drawing_sd_mm : float
        Spread of the surface between observers, each side; 0 leaves it out.

    Raises
    ------
    InputError
        If a number is negative or not finite.
    """

    voxel_mm: float
    resolution_fwhm_mm: float = 0.0
    drawing_sd_mm: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.voxel_mm, self.resolution_fwhm_mm, self.drawing_sd_mm)
        if not all(0 <= n < math.inf for n in numbers):
            raise InputError(
                f"an outline's voxel, resolution and drawing in mm must be finite and not negative: {numbers}"
            )

    @property
    def diameter_sd_mm(self) -> float:
        """Standard uncertainty of a diameter.

        Two edges, each known to a voxel (a rectangle, a^2 / 12), to the resolution's standard deviation
        (FWHM^2 / (8 ln 2)) and to the observer.
        """
        one_edge = self.voxel_mm**2 / 12 + self.resolution_fwhm_mm**2 / (8 * math.log(2)) + self.drawing_sd_mm**2
        return math.sqrt(2 * one_edge)

    def volume_relative_sd(self, volume_ml: float) -> float:
        """Relative standard uncertainty of a volume: three times that of the diameter of a sphere that large."""
        if not 0 < volume_ml < math.inf:
            raise InputError(f"a volume must be positive, not {volume_ml} mL")
        return 3 * self.diameter_sd_mm / sphere_diameter_mm(volume_ml)


@dataclass(frozen=True, slots=True)
class RegionUncertainty:
    """Relative standard uncertainties of a region, k = 1.

    Attributes
    ----------
    volume_ml : Estimate
        With the outline's uncertainty.
    edge_exponent, recovery_exponent, mass_exponent : float
        e, s and c: percent of counts, recovery and 1 / dose per decay for one percent of volume.
    recovery : Estimate or None
        Recovery coefficient applied; None if none was.
    recovery_relative_sd, calibration_relative_sd, time_relative_sd, counting_relative_sd : float or None
        u(R)/R of the fit, u(Q)/Q, u(t)/t, u(n)/n; None if not known (the totals are then without it).
    contrast_share : float
        Share of the activity that is contrast to the background; recovery acts on this alone.
    position_relative_sd : float or None
        Of the region's content, from the transform that brought image and outline together; 0 where there was none,
        None where its uncertainty is not known.
    """

    volume_ml: Estimate
    edge_exponent: float
    recovery_exponent: float
    mass_exponent: float
    recovery: Estimate | None
    recovery_relative_sd: float | None = field(metadata=HIDDEN)
    calibration_relative_sd: float | None = field(metadata=HIDDEN)
    time_relative_sd: float | None = field(metadata=HIDDEN)
    counting_relative_sd: float | None = field(metadata=HIDDEN)
    contrast_share: float = 1.0
    position_relative_sd: float | None = field(default=0.0, metadata=HIDDEN)

    @property
    @reported
    def not_known(self) -> tuple[str, ...]:
        """Components that are not known and not in the totals."""
        named = {
            "calibration": self.calibration_relative_sd,
            "time integration": self.time_relative_sd,
            "counting statistics": self.counting_relative_sd,
            "position by the transform": self.position_relative_sd,
        }
        missing = [name for name, value in named.items() if value is None]
        if self.recovery is None:
            missing.append("recovery (not corrected)")
        elif self.recovery_relative_sd is None:
            missing.append("recovery")
        return tuple(missing)

    @property
    def volume_relative_sd(self) -> float:
        """u(v)/v."""
        return self.volume_ml.relative_sd or 0.0

    @property
    def activity_relative_sd(self) -> float:
        """Of the activity in the region."""
        share = self.contrast_share
        outline = (self.edge_exponent - share * self.recovery_exponent) * self.volume_relative_sd
        return self._total(outline, with_time=False)

    @property
    def decays_relative_sd(self) -> float:
        """Of the time-integrated activity in the region."""
        share = self.contrast_share
        outline = (self.edge_exponent - share * self.recovery_exponent) * self.volume_relative_sd
        return self._total(outline, with_time=True)

    @property
    def dose_relative_sd(self) -> float:
        """Of the mean absorbed dose."""
        share = self.contrast_share
        slope = self.edge_exponent - share * self.recovery_exponent - self.mass_exponent
        return self._total(slope * self.volume_relative_sd, with_time=True)

    def _total(self, outline: float, *, with_time: bool) -> float:
        rest = [self.calibration_relative_sd, self.counting_relative_sd, self.position_relative_sd]
        if with_time:
            rest.append(self.time_relative_sd)
        recovery = (self.recovery_relative_sd or 0.0) * self.contrast_share
        return math.sqrt(outline**2 + recovery**2 + sum(value**2 for value in rest if value is not None))

    @property
    @reported
    def volume_sd_percent(self) -> float:
        """u(v)/v in percent."""
        return 100 * self.volume_relative_sd

    @property
    @reported
    def recovery_sd_percent(self) -> float | None:
        """u(R)/R of the fit in percent."""
        return _percent(self.recovery_relative_sd)

    @property
    @reported
    def calibration_sd_percent(self) -> float | None:
        """u(Q)/Q in percent."""
        return _percent(self.calibration_relative_sd)

    @property
    @reported
    def time_integration_sd_percent(self) -> float | None:
        """u(t)/t in percent."""
        return _percent(self.time_relative_sd)

    @property
    @reported
    def counting_sd_percent(self) -> float | None:
        """u(n)/n in percent."""
        return _percent(self.counting_relative_sd)

    @property
    @reported
    def position_sd_percent(self) -> float | None:
        """Of the content by the position that a transform gives, in percent."""
        return _percent(self.position_relative_sd)

    @property
    @reported
    def activity_sd_percent(self) -> float:
        """Of the activity in the region, in percent."""
        return 100 * self.activity_relative_sd

    @property
    @reported
    def decays_sd_percent(self) -> float:
        """Of the time-integrated activity in the region, in percent."""
        return 100 * self.decays_relative_sd

    @property
    @reported
    def dose_sd_percent(self) -> float:
        """Of the mean absorbed dose, in percent."""
        return 100 * self.dose_relative_sd


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


@dataclass(frozen=True, slots=True)
class OtherUncertainties:
    """Relative standard uncertainties of what is common to all regions or known from elsewhere; None: not known.

    Attributes
    ----------
    calibration : float or None
        Of the camera factor, u(Q)/Q.
    time : float or None
        Of the time integration, u(t)/t; 0 where the agent stays and only decays.
    counting : float or None
        Of the counts in the region, u(n)/n.
    position : float or None
        Of its content by the position that a transform gives; 0 where there was none.

    Raises
    ------
    InputError
        If one is negative or not finite.
    """

    calibration: float | None = None
    time: float | None = None
    counting: float | None = None
    position: float | None = 0.0

    def __post_init__(self) -> None:
        given = (self.calibration, self.time, self.counting, self.position)
        if not all(value is None or 0 <= value < math.inf for value in given):
            raise InputError("a relative uncertainty must be finite and not negative")


NOTHING_ELSE = OtherUncertainties()


def region_uncertainty(
    volume_ml: float,
    outline: Outline,
    *,
    edge_exponent: float,
    recovery: RecoveryCurve | None = None,
    extrapolate: bool = False,
    mass_exponent: float = 1.0,
    contrast_share: float = 1.0,
    other: OtherUncertainties = NOTHING_ELSE,
) -> RegionUncertainty:
    """The chain for one region.

    Parameters
    ----------
    volume_ml : float
        Of the region as drawn.
    outline : Outline
        How well it is drawn.
    edge_exponent : float
        Image at the region's edge over its mean: `edge_over_mean` of an image, `blurred_sphere.edge_over_mean` of a
        sphere.
    recovery : RecoveryCurve, optional
        Where the activity was corrected with it.
    extrapolate : bool
        As for `RecoveryCurve.at`.
    mass_exponent : float
        c of the dose per decay, S ~ m^-c; 1 where the energy stays in the region.
    contrast_share : float
        (mean - background) / mean of the corrected activity; 1 without background.
    other : OtherUncertainties
        What is known of calibration, time integration and counts.

    Raises
    ------
    InputError
        If a number is negative or not finite.
    PhysicsError
        If the volume lies outside the recovery curve.
    """
    given = (edge_exponent, mass_exponent, contrast_share)
    if not all(math.isfinite(v) for v in given):
        raise InputError("exponents and contrast share must be finite")
    spread = outline.volume_relative_sd(volume_ml)
    found = None if recovery is None else recovery.at(volume_ml, extrapolate=extrapolate)
    return RegionUncertainty(
        volume_ml=Estimate(volume_ml, spread * volume_ml),
        edge_exponent=edge_exponent,
        recovery_exponent=0.0 if recovery is None else recovery.log_slope(volume_ml),
        mass_exponent=mass_exponent,
        recovery=found,
        recovery_relative_sd=None if found is None else found.relative_sd,
        calibration_relative_sd=other.calibration,
        time_relative_sd=other.time,
        counting_relative_sd=other.counting,
        contrast_share=contrast_share,
        position_relative_sd=other.position,
    )


def edge_over_mean(image: Volume, region: Region) -> float:
    """Image at the surface of a region over its mean inside: d ln counts / d ln volume when the outline moves.

    The surface is taken as the voxels that the region covers in part and those on either side of its half level.

    Raises
    ------
    UnitError, GeometryError
        If the image holds no activity or lies on another grid.
    InputError
        If the region's mean is not positive.
    """
    image.require_kind(Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION, Kind.COUNTS, Kind.COUNT_RATE, Kind.DECAYS)
    image.grid.require_match(region.grid, f"image and region {region.name!r}")
    window = tuple(slice(max(s.start - 2, 0), s.stop + 2) for s in region.window)
    full = region.full()[window].astype(np.float64)
    values = image.values[window].astype(np.float64)
    total = full.sum()
    mean = float((values * full).sum() / total) if total else 0.0
    if not mean > 0:
        raise InputError(f"region {region.name!r} holds no activity: nothing is known of its uncertainty")
    # Beyond the field there is no image: what is cut off there does not count as surface.
    steep = _steepness(full, image.grid.spacing_mm)
    return float((values * steep).sum() / steep.sum()) / mean if steep.any() else 1.0


def _steepness(coverage: NDArray[np.float64], spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Area of the region's surface in each voxel: the gradient of the coverage."""
    padded = np.pad(coverage, 1, mode="edge")
    parts = [g[1:-1, 1:-1, 1:-1] / s for g, s in zip(np.gradient(padded), spacing_mm, strict=True)]
    return np.asarray(np.sqrt(sum(np.square(part) for part in parts)))
