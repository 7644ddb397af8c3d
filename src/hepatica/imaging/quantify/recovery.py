"""Recovery: what share of its concentration an object keeps in the image, by size, measured on spheres.

``R(v) = 1 / (1 + (a / v)^b)``: the curve through the spheres of a phantom against their volume v, with a the volume of
which half is recovered. Its two parameters and their covariance give recovery and uncertainty at any volume between
the smallest and the largest sphere (Gear et al., EANM guidance on uncertainty, Eur J Nucl Med Mol Imaging
2018;45:2456). Against the diameter the curve is the same with three times the exponent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatica.core import Estimate, Kind, Region, Volume
from hepatica.core.document import reported
from hepatica.errors import EvidenceError, GeometryError, InputError, PhysicsError
from hepatica.imaging.quantify.acquisition_conditions import Conditions, deviation, number, numbers, required
from hepatica.imaging.quantify.blurred.sphere import sphere_diameter_mm, sphere_volume_ml

MAX_RECOVERY = 1.3
"""A mean recovery above this is no recovery: the calibration or the activity filled in is wrong. Our choice."""

MIN_SPHERES = 3
"""Two parameters leave one degree of freedom with three spheres."""

VOLUME_DISAGREEMENT = 0.10
"""Region and nominal sphere may differ by this share of the volume."""

UNSEEN = 0.2
"""By so much of their contrast the smallest spheres may read below the background and count as not seen: noise of a
sphere of 10 mm in 90Y. One that reads lower lies elsewhere. Our choice."""

EXTRAPOLATION_TOLERANCE = 1e-3

KIND = "hepatica recovery curve"
"""How a file of a curve names itself."""

MIN_PARTS = 4
"""Fewer parts of a region say too little of its noise."""


POSSIBLE_BACKGROUND = (0.7, 1.4)
"""Recovery of the background, far from walls, beyond which a curve is refused: nothing is lost or gained by blur there,
and a camera factor is known within some per cent. Our choice."""
GOOD_BACKGROUND = 0.1
"""Difference of that recovery from 1 from which on it is said. Our choice."""


@dataclass(frozen=True, slots=True)
class SphereRecovery:
    """What one sphere kept.

    Attributes
    ----------
    volume_ml : float
        True volume.
    mean : Estimate
        Mean in the sphere, less the background, over the true contrast (background 0: over the true concentration).
    maximum : float or None
        The same of the highest voxel; None if not measured.
    """

    volume_ml: float
    mean: Estimate
    maximum: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.volume_ml < math.inf:
            raise InputError(f"a sphere's volume must be positive, not {self.volume_ml} mL")
        if not 0 < self.mean.value <= MAX_RECOVERY:
            raise InputError(
                f"the sphere of {self.volume_ml:.3g} mL recovers {self.mean.value:.3g}, outside 0 to {MAX_RECOVERY}: "
                "check calibration factor, activities, their times, and that regions lie on the spheres"
            )

    @property
    def diameter_mm(self) -> float:
        """Of a sphere of this volume."""
        return sphere_diameter_mm(self.volume_ml)

    def as_document(self) -> Mapping[str, float | None]:
        """Plain values for JSON; `RecoveryCurve.from_dict` reads them."""
        return {
            "diameter_mm": self.diameter_mm,
            "volume_ml": self.volume_ml,
            "mean_recovery": self.mean.value,
            "mean_recovery_sd": self.mean.sd,
            "maximum_recovery": self.maximum,
        }

    @classmethod
    def document_schema(cls) -> Mapping[str, Any]:
        """JSON schema of `as_document`."""
        number = {"type": ["number", "null"]}
        names = ("diameter_mm", "volume_ml", "mean_recovery", "mean_recovery_sd", "maximum_recovery")
        return {"type": "object", "properties": dict.fromkeys(names, number), "required": list(names)}


@dataclass(frozen=True, slots=True)
class RecoveryCurve:
    """A fitted recovery curve, R(v) = 1 / (1 + (half_volume / v)^exponent).

    Attributes
    ----------
    half_volume_ml, exponent : float
        Parameters.
    covariance : tuple of tuple of float
        Of (half_volume_ml, exponent).
    spheres : tuple of SphereRecovery
        The points, by rising volume.
    conditions : Conditions
        For which images it holds.
    background_recovery : Estimate or None
        Mean of the background over its true concentration: 1 if calibration and scatter correction are right; None in a
        cold phantom.
    source : str
        Where the points come from.
    """

    half_volume_ml: float
    exponent: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    spheres: tuple[SphereRecovery, ...]
    conditions: Conditions
    background_recovery: Estimate | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if not (0 < self.half_volume_ml < math.inf and 0 < self.exponent < math.inf):
            raise InputError(
                f"a recovery curve needs positive parameters, not {self.half_volume_ml} mL and {self.exponent}"
            )
        matrix = np.asarray(self.covariance, dtype=float)
        symmetric = matrix.shape == (2, 2) and bool(np.isfinite(matrix).all()) and matrix[0, 1] == matrix[1, 0]
        if not symmetric or np.linalg.eigvalsh(matrix).min() < -1e-9 * max(matrix.max(), 1e-300):
            raise InputError(
                "the covariance of a recovery curve must be a symmetric 2x2 matrix without negative variance"
            )
        if not self.spheres:
            raise InputError("a recovery curve needs the spheres it was fitted to")
        seen = self.background_recovery
        if seen is not None and not POSSIBLE_BACKGROUND[0] <= seen.value <= POSSIBLE_BACKGROUND[1]:
            raise InputError(
                f"the background of the phantom recovers {seen.value:.3g} of its true concentration, and 1 is right: "
                "activities, their instants, camera factor or scatter correction are wrong, and so is the curve",
                remedy="check when and what was filled, the camera factor, and that scatter was corrected",
            )

    @property
    def range_ml(self) -> tuple[float, float]:
        """Smallest and largest sphere."""
        volumes = [sphere.volume_ml for sphere in self.spheres]
        return min(volumes), max(volumes)

    def at(self, volume_ml: float, *, extrapolate: bool = False) -> Estimate:
        """Recovery of a volume with the standard uncertainty of the fit (that of the volume is not in it).

        Raises
        ------
        PhysicsError
            If the volume lies outside the phantom's spheres and `extrapolate` is not set.
        """
        self._require_inside(volume_ml, extrapolate=extrapolate)
        value = self._value(volume_ml)
        gradient = self._gradient(volume_ml)
        variance = float(gradient @ np.asarray(self.covariance) @ gradient)
        return Estimate(value, math.sqrt(max(variance, 0.0)))

    def log_slope(self, volume_ml: float) -> float:
        """Slope of ln R against ln v: percent of recovery per percent of volume, ``exponent (1 - R)``."""
        return self.exponent * (1 - self._value(volume_ml))

    def _value(self, volume_ml: float) -> float:
        return 1 / (1 + math.pow(self.half_volume_ml / volume_ml, self.exponent))

    def _gradient(self, volume_ml: float) -> Any:
        value = self._value(volume_ml)
        spread = value * (1 - value)
        by_half = -spread * self.exponent / self.half_volume_ml
        by_exponent = -spread * math.log(self.half_volume_ml / volume_ml)
        return np.array([by_half, by_exponent])

    def _require_inside(self, volume_ml: float, *, extrapolate: bool) -> None:
        if not 0 < volume_ml < math.inf:
            raise InputError(f"a volume must be positive, not {volume_ml} mL")
        low, high = self.range_ml
        slack = 1 + EXTRAPOLATION_TOLERANCE
        if not extrapolate and not low / slack <= volume_ml <= high * slack:
            raise PhysicsError(
                f"a volume of {volume_ml:.3g} mL lies outside the spheres of the recovery curve, {low:.3g} to "
                f"{high:.3g} mL",
                remedy="extrapolate only on purpose (`recovery_extrapolate`)",
            )

    @property
    @reported
    def kind(self) -> str:
        """What a file says that it holds."""
        return KIND

    @property
    @reported
    def form(self) -> str:
        """Formula of the curve."""
        return "R(v) = 1 / (1 + (half_volume_ml / v)^exponent)"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RecoveryCurve:
        """From its document.

        Raises
        ------
        InputError
            If it is no recovery curve, or a number is missing or impossible.
        """
        if data.get("kind") != KIND:
            raise InputError(f"not a recovery curve (kind {data.get('kind')!r})")
        rows = data.get("covariance")
        if not isinstance(rows, Sequence) or len(rows) != 2:
            raise InputError("covariance: expected two rows of two numbers")
        first, second = (numbers(row, 2, "covariance") for row in rows)
        background = number(data, "background_recovery", optional=True)
        points = data.get("spheres")
        if not isinstance(points, Sequence) or not all(isinstance(point, Mapping) for point in points):
            raise InputError("spheres: expected a list of tables")
        return cls(
            required(data, "half_volume_ml"),
            required(data, "exponent"),
            ((first[0], first[1]), (second[0], second[1])),
            tuple(
                SphereRecovery(
                    required(point, "volume_ml"),
                    Estimate(required(point, "mean_recovery"), deviation(point, "mean_recovery_sd")),
                    number(point, "maximum_recovery", optional=True),
                )
                for point in points
            ),
            Conditions.from_dict(data.get("conditions") or {}),
            None if background is None else Estimate(background, deviation(data, "background_recovery_sd")),
            str(data.get("source", "")),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Filling:
    """What a sphere phantom truly held at the image's instant.

    Attributes
    ----------
    spheres : mapping of str to Region
        The true spheres on the image's grid.
    diameters_mm : mapping of str to float
        Their nominal inner diameters.
    concentration_bq_ml : mapping of str to float
        True concentration of each sphere.
    background : Region or None
        Part of the background far from everything; None for a cold one.
    background_bq_ml : float
        Its true concentration; 0 for cold.
    """

    spheres: Mapping[str, Region]
    diameters_mm: Mapping[str, float]
    concentration_bq_ml: Mapping[str, float]
    background: Region | None = None
    background_bq_ml: float = 0.0

    def __post_init__(self) -> None:
        names = set(self.spheres)
        if not names or names != set(self.diameters_mm) or names != set(self.concentration_bq_ml):
            raise InputError(
                f"spheres do not match: regions {_list(self.spheres)}; diameters {_list(self.diameters_mm)}; "
                f"concentrations {_list(self.concentration_bq_ml)}"
            )
        if (self.background is None) != (self.background_bq_ml == 0):
            raise InputError(
                "a warm background needs its concentration and a region to measure it in, a cold one neither"
            )
        for name, value in (*self.concentration_bq_ml.items(), ("background", self.background_bq_ml)):
            if not 0 <= value < math.inf or (value == 0 and name != "background"):
                raise InputError(f"{name}: a true concentration of {value} Bq/mL is impossible")
        for name, region in self.spheres.items():
            nominal = sphere_volume_ml(self.diameters_mm[name])
            if abs(region.volume_ml / nominal - 1) > VOLUME_DISAGREEMENT:
                raise GeometryError(
                    f"{name}: the region holds {region.volume_ml:.3g} mL, a sphere of {self.diameters_mm[name]:g} mm "
                    f"{nominal:.3g} mL: region and diameter do not belong together, or the field cuts it off"
                )


def measure_recovery(image: Volume, filling: Filling) -> tuple[tuple[SphereRecovery, ...], Estimate | None]:
    """Recovery of every sphere, and that of the background.

    Parameters
    ----------
    image : Volume
        Bq/mL (or Bq per voxel) of the phantom.
    filling : Filling
        The truth at the image's instant.

    Returns
    -------
    spheres : tuple of SphereRecovery
        By rising volume; their uncertainty is not known from one image (None). The smallest ones are left out where
        they do not rise above the background, as few counts make it (`UNSEEN`).
    background : Estimate or None
        Mean over truth; the uncertainty is the standard error between equal parts of the region.

    Raises
    ------
    UnitError, GeometryError
        If the image holds something else, or regions lie on another grid.
    InputError
        If a recovery lies outside 0 to 1.3.
    """
    image.require_kind(Kind.ACTIVITY_CONCENTRATION, Kind.ACTIVITY)
    image.require_finite()
    scale = 1.0 if image.kind is Kind.ACTIVITY_CONCENTRATION else 1 / image.grid.voxel_volume_ml
    level, found = 0.0, None
    if filling.background is not None:
        mean = parts_mean(image, filling.background)
        level = mean.value * scale
        found = Estimate(
            level / filling.background_bq_ml, None if mean.sd is None else mean.sd * scale / filling.background_bq_ml
        )
    spheres: list[SphereRecovery] = []
    for name, region in sorted(filling.spheres.items(), key=lambda item: -filling.diameters_mm[item[0]]):
        image.grid.require_match(region.grid, f"image and {name}")
        contrast = filling.concentration_bq_ml[name] - filling.background_bq_ml
        if contrast == 0:
            raise InputError(f"{name}: sphere and background hold the same concentration; nothing is to recover")
        values = image.values[region.window].astype(np.float64)
        mean_in = float((values * region.coverage).sum() / region.coverage.sum(dtype=np.float64))
        recovered = (mean_in * scale - level) / contrast
        if len(spheres) >= MIN_SPHERES and -UNSEEN < recovered <= 0:
            break
        inside = values[region.coverage >= 0.5]
        highest = float(inside.max()) if inside.size and contrast > 0 else None
        spheres.append(
            SphereRecovery(
                sphere_volume_ml(filling.diameters_mm[name]),
                Estimate(recovered),
                None if highest is None else (highest * scale - level) / contrast,
            )
        )
    return tuple(reversed(spheres)), found


def fit_recovery(
    spheres: Sequence[SphereRecovery],
    conditions: Conditions,
    *,
    background_recovery: Estimate | None = None,
    source: str = "",
) -> RecoveryCurve:
    """Least squares through the mean recoveries, weighted with their uncertainties where all are known.

    Without uncertainties the scatter of the points about the curve gives the covariance.

    Raises
    ------
    EvidenceError
        If there are fewer than three spheres of different size, recovery does not rise with size, or the fit fails.
    """
    from scipy.optimize import least_squares

    ordered = sorted(spheres, key=lambda sphere: sphere.volume_ml)
    volume = np.array([sphere.volume_ml for sphere in ordered])
    value = np.array([sphere.mean.value for sphere in ordered])
    if len(np.unique(volume)) < MIN_SPHERES:
        raise EvidenceError(
            f"a recovery curve needs at least {MIN_SPHERES} spheres of different size, not {len(ordered)}"
        )
    known = [sphere.mean.sd for sphere in ordered if sphere.mean.sd is not None and sphere.mean.sd > 0]
    weighted = len(known) == len(ordered)
    sd = np.array(known) if weighted else np.ones(len(ordered))

    def residual(parameters: Any) -> Any:
        return (1 / (1 + np.exp(parameters[1] * (parameters[0] - np.log(volume)))) - value) / sd

    fit = least_squares(residual, (float(np.log(volume).mean()), 0.8), method="trf", x_scale=(1.0, 0.5))
    log_half, exponent = (float(p) for p in fit.x)
    if not fit.success or exponent <= 0 or not abs(log_half) < 50:
        raise EvidenceError("the recoveries do not rise with the size of the spheres: no curve fits them")
    information = fit.jac.T @ fit.jac
    if np.linalg.cond(information) > 1e12:
        raise EvidenceError("the recoveries of these spheres do not determine a curve (all near 0 or near 1)")
    covariance = np.linalg.inv(information)
    if not weighted:
        covariance *= float(np.square(fit.fun).sum()) / (len(ordered) - 2)
    half = math.exp(log_half)
    jacobian = np.diag([half, 1.0])
    final = jacobian @ covariance @ jacobian
    cross = float(final[0, 1] + final[1, 0]) / 2
    return RecoveryCurve(
        half,
        exponent,
        ((float(final[0, 0]), cross), (cross, float(final[1, 1]))),
        tuple(ordered),
        conditions,
        background_recovery,
        source,
    )


def parts_mean(image: Volume, region: Region, *, parts: int = 8) -> Estimate:
    """Mean over a region, with the standard error between equal slabs of it along the longest axis.

    Noise of a reconstruction is correlated over a few voxels, so slabs tell more than single voxels. Slow trends are
    in it as well. There are at most `parts` slabs, each of two layers or more; None where not even four can be cut.
    """
    image.grid.require_match(region.grid, f"image and {region.name}")
    if region.is_empty:
        raise GeometryError(f"{region.name}: covers nothing of the image")
    values = image.values[region.window].astype(np.float64)
    weight = region.coverage.astype(np.float64)
    mean = float((values * weight).sum() / weight.sum())
    axis = int(np.argmax(np.array(weight.shape) * image.grid.spacing_mm))
    others = tuple(a for a in range(3) if a != axis)
    along, sums = weight.sum(axis=others), (values * weight).sum(axis=others)
    parts = min(parts, len(along) // 2)
    if parts < MIN_PARTS:
        return Estimate(mean)
    part = np.minimum((np.cumsum(along) - along / 2) / along.sum() * parts, parts - 1e-9).astype(int)
    shares = np.bincount(part, weights=along, minlength=parts)
    means = np.bincount(part, weights=sums, minlength=parts) / np.where(shares > 0, shares, 1)
    return Estimate(mean, float(means[shares > 0].std(ddof=1) / math.sqrt(int((shares > 0).sum()))))


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"
