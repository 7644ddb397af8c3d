"""Lung shunt fraction from planar views or SPECT/CT, with its uncertainty taken apart.

LSF = L / (L + V) with L what the lungs hold and V what the liver holds. Uncertainty has three sources: counting, where
the borders are drawn, and scatter from the liver into the lungs. The interval is Fieller's, exact for normal L and V.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Literal

import numpy as np

from hepatica.anatomy.ct.lung_mass import LungMass, Sex, require_lung_mass
from hepatica.anatomy.registration.quality.position import position_covariance, shifted_images
from hepatica.anatomy.structures.clinical import without_margin
from hepatica.core import Estimate, Kind, Region, Volume
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.core.options import Fraction, Limits, NonNegative, Positive, Unit, options
from hepatica.errors import InputError
from hepatica.imaging.planar.conjugate import geometric_mean, net_counts, view_scale
from hepatica.planning.intervals import Interval, NormalPair

PLANAR_BIAS = Message(
    "planar-shunt-high", "planar lung shunt overestimates against SPECT/CT (scatter and breathing are not corrected)"
)
NO_ATTENUATION = Message(
    "no-attenuation-correction",
    "no attenuation correction: lungs attenuate less than the liver, so the lung shunt reads high",
)

Transmission = Annotated[float, Unit("fraction"), Limits(above=0, high=1)]
"""Factor by which attenuation lowers a geometric mean."""


@dataclass(frozen=True, slots=True)
class LungShunt:
    """Fraction of the administered activity that reaches the lungs.

    Attributes
    ----------
    lung_shunt : Estimate
        Lungs over lungs plus liver, 0 to 1, with its standard uncertainty (k = 1; None where a source of it is
        unknown).
    interval_95 : Interval or None
        Fieller's 95 % interval, cut to 0..1.
    method : str
        "planar" or "spect".
    lungs, liver : float
        What was counted, after all corrections: of planar views counts per second of one head in air, of counts that
        were read off their geometric mean, else in the image's unit.
    components_sd : mapping of str to float
        Standard uncertainty of the fraction by source: "counts", "border", "scatter", "completion" (the mass of lungs
        that were cut off), "position" (the transform that brought scout and structures together); of planar views
        those of a biodistribution.
    details : mapping of str to float
        Effects of options: fraction without the dome margin, extrapolated share of the lungs, ...
    messages : tuple of Message
        What a reader must know.

    References
    ----------
    .. [1] Weber et al., Eur J Nucl Med Mol Imaging 2022;49:1682.
    """

    lung_shunt: Estimate
    interval_95: Interval | None
    method: Literal["planar", "spect"]
    lungs: float
    liver: float
    components_sd: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, float] = field(default_factory=dict)
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)


@dataclass(frozen=True, slots=True)
class PlanarView:
    """Counts of one view (anterior or posterior) in regions drawn by the user.

    Attributes
    ----------
    lung_counts, liver_counts : float
        Counts in the regions, background still in them.
    lung_pixels, liver_pixels : float
        Sizes of the regions in pixels.
    background_counts, background_pixels : float
        A region outside the organs; 0 pixels for no background correction.
    start : datetime or None
        Start of the view, for the decay between views.
    duration_s : float or None
        In s; views of different durations need it.
    """

    lung_counts: float
    liver_counts: float
    lung_pixels: float
    liver_pixels: float
    background_counts: float = 0.0
    background_pixels: float = 0.0
    start: datetime | None = None
    duration_s: float | None = None

    def __post_init__(self) -> None:
        values = (self.lung_counts, self.liver_counts, self.background_counts, self.background_pixels)
        if not all(math.isfinite(v) and v >= 0 for v in values):
            raise InputError("counts and sizes of a planar view must be zero or more")
        if not (self.lung_pixels > 0 and self.liver_pixels > 0):
            raise InputError("the lung and liver regions of a planar view must not be empty")
        if self.background_counts > 0 and not self.background_pixels:
            raise InputError("background counts without the size of the background region")
        if self.duration_s is not None and not self.duration_s > 0:
            raise InputError(f"duration of a planar view must be positive, not {self.duration_s} s")

    def net(self, organ: str) -> tuple[float, float]:
        """Net counts of "lungs" or "liver" and their Poisson variance, background taken off by area."""
        counts, pixels = (
            (self.lung_counts, self.lung_pixels) if organ == "lungs" else (self.liver_counts, self.liver_pixels)
        )
        return net_counts(counts, pixels, self.background_counts, self.background_pixels)


@options
class PlanarShuntOptions:
    """How planar counts that were read off elsewhere are corrected.

    Attributes
    ----------
    half_life_s : float or None
        Physical half-life, for the decay between views that start apart; the header's nuclide if not stated.
    lung_transmission : float
        Factor sqrt(exp(-mu t)) by which attenuation lowers the lungs' geometric mean; 1 corrects nothing, as the
        labels assume.
    liver_transmission : float
        The same for the liver.
    scatter_fraction : float
        Liver counts that appear in the lungs, as a fraction of the liver's.
    scatter_fraction_sd : float
        Standard uncertainty of that fraction.
    border_relative_sd : float or None
        Relative uncertainty of each organ's counts from drawing its border; without it the lung shunt has no
        uncertainty. Repeated drawings of one person differ by some 5 %.
    """

    half_life_s: Positive | None = None
    lung_transmission: Transmission = 1.0
    liver_transmission: Transmission = 1.0
    scatter_fraction: Annotated[float, Unit("fraction"), Limits(low=0, below=1)] = 0.0
    scatter_fraction_sd: Fraction = 0.0
    border_relative_sd: Fraction | None = None


def planar_lung_shunt(
    anterior: PlanarView, posterior: PlanarView, options: PlanarShuntOptions = PlanarShuntOptions()
) -> LungShunt:
    """Lung shunt from anterior and posterior views by the geometric mean.

    Raises
    ------
    InputError
        If nothing is left after background correction.
    TimeError
        If the views start apart and no half-life is given, or one has a time and the other none.

    Notes
    -----
    GM = sqrt(A P) of the net counts, the posterior view decay-corrected to the start of the anterior and scaled to its
    duration. Attenuation: GM over the organ's transmission.
    """
    starts, durations = (anterior.start, posterior.start), (anterior.duration_s, posterior.duration_s)
    scale = view_scale(starts, durations, options.half_life_s)
    lungs, lungs_var = geometric_mean("lungs", anterior.net("lungs"), posterior.net("lungs"), scale)
    liver, liver_var = geometric_mean("liver", anterior.net("liver"), posterior.net("liver"), scale)
    lungs, lungs_var = lungs / options.lung_transmission, lungs_var / options.lung_transmission**2
    liver, liver_var = liver / options.liver_transmission, liver_var / options.liver_transmission**2
    raw = lungs / (lungs + liver)
    s = options.scatter_fraction
    lungs_net, lungs_net_var = lungs - s * liver, lungs_var + s**2 * liver_var
    if lungs_net < 0:
        raise InputError(
            f"scatter correction of {s:.1%} of the liver's counts leaves less than nothing in the lungs; "
            "the scatter fraction is too high for this image"
        )
    border = options.border_relative_sd
    parts = _Parts(
        counts=(math.sqrt(lungs_net_var), math.sqrt(liver_var), -s * liver_var),
        border=None
        if border is None
        else (border * math.hypot(lungs, s * liver), border * liver, -s * (border * liver) ** 2),
        scatter=(options.scatter_fraction_sd * liver, 0.0, 0.0),
    )
    uncorrected = options.lung_transmission == options.liver_transmission == 1
    messages = (PLANAR_BIAS, NO_ATTENUATION) if uncorrected else (PLANAR_BIAS,)
    found = _shunt(lungs_net, liver, parts, "planar", messages)
    return replace(found, details={"fraction_without_scatter_correction": raw})


@dataclass(frozen=True, slots=True)
class _Parts:
    """Standard uncertainties of lungs and liver and their covariance, by source; None where unknown."""

    counts: tuple[float, float, float] | None
    border: tuple[float, float, float] | None
    scatter: tuple[float, float, float]
    completion: tuple[float, float, float] | None = None
    position: tuple[float, float, float] | None = (0.0, 0.0, 0.0)


def _shunt(
    lungs: float,
    liver: float,
    parts: _Parts,
    method: Literal["planar", "spect"],
    messages: tuple[Message, ...],
) -> LungShunt:
    """Fraction, its uncertainty by source, and Fieller's interval."""
    if not liver > 0:
        raise InputError("the liver holds no activity: check the liver region and that image and regions fit")
    total = lungs + liver
    fraction = lungs / total
    sources = {"counts": parts.counts, "border": parts.border, "scatter": parts.scatter}
    if parts.completion is not None:
        sources["completion"] = parts.completion
    if parts.position is None or any(parts.position):
        sources["position"] = parts.position
    components: dict[str, float] = {}
    for name, part in sources.items():
        if part is None:
            continue
        a, b, covariance = part
        variance = (liver * a) ** 2 + (lungs * b) ** 2 - 2 * lungs * liver * covariance
        components[name] = math.sqrt(max(0.0, variance)) / total**2
    if any(part is None for part in sources.values()):
        missing = ", ".join(name for name, part in sources.items() if part is None)
        text = f"the uncertainty of the lung shunt is unknown: {missing} not stated"
        messages = (*messages, Message("shunt-uncertainty-unknown", text, _remedy(method, parts)))
        return LungShunt(Estimate(fraction), None, method, lungs, liver, components, messages=messages)
    known = [part for part in sources.values() if part is not None]
    a_sd, b_sd = (math.sqrt(math.fsum(part[n] ** 2 for part in known)) for n in (0, 1))
    covariance = math.fsum(part[2] for part in known)
    # Fieller on lungs / liver; the odds map monotonically onto the fraction.
    odds = NormalPair(lungs, liver, a_sd, b_sd, covariance).ratio_interval()
    interval = Interval(*(min(1.0, max(0.0, _fraction_of_odds(x))) for x in (odds.low, odds.high)))
    sd = math.hypot(*components.values())
    return LungShunt(Estimate(fraction, sd), interval, method, lungs, liver, components, messages=messages)


def _remedy(method: Literal["planar", "spect"], parts: _Parts) -> str:
    if method == "planar":
        return "state `border_relative_sd`"
    counts = ["`lung_count_relative_sd` and `liver_count_relative_sd`"] if parts.counts is None else []
    position = ["`transform_uncertainty_mm`"] if parts.position is None else []
    return "state " + " and ".join(counts + (["`border_mm`"] if parts.border is None else []) + position)


def _fraction_of_odds(odds: float) -> float:
    if odds <= 0:
        return 0.0
    return 1.0 if math.isinf(odds) else odds / (1 + odds)


def region_sum(image: Volume, region: Region) -> float:
    """What the region holds: extensive kinds are summed, concentrations integrated over volume."""
    region.grid.require_match(image.grid, f"region {region.name!r} and {image.name or 'image'}")
    scale = 1.0 if image.kind.extensive else image.grid.voxel_volume_ml
    weighted = region.coverage * image.values[region.window]
    return float(weighted.sum(dtype=np.float64)) * scale


@dataclass(frozen=True, slots=True)
class LungMasses:
    """What the CT says of the lungs' mass.

    Attributes
    ----------
    in_view_kg : float or None
        Of the lungs that the activity image shows, on the CT's own voxels, or by volume; None where it is not known.
    whole : LungMass or None
        Of the whole lungs, where they are cut off; None where nothing is.
    nothing_cut : bool
        Whether image and CT show them whole, so that a stated mass completes nothing.
    """

    in_view_kg: float | None = None
    whole: LungMass | None = None
    nothing_cut: bool = False


@options
class SpectShuntOptions:
    """How the lung shunt of a SPECT/CT is taken.

    Attributes
    ----------
    dome_margin_mm : float
        Lung nearer to the liver is replaced by the mean of the other lung, since breathing blurs the dome into the
        lung base; the effect is reported.
    lung_mass_kg : float or None
        Mass of the complete lungs: completes lungs that the image cuts off (this needs the CT), and is the mass of
        the lung dose.
    patient_sex : {"female", "male"} or None
        Lungs that are cut off are completed to ICRP's reference mass; without it to 1 kg, as labels assume.
    patient_height_m : float or None
        Scales that mass by lung capacity.
    cut_lungs : {"complete", "as-seen"}
        Lungs that the image cuts off are completed by mass, at the uptake per gram of what is seen, or left as seen.
    border_mm : float or None
        Standard uncertainty of where borders lie.
    lung_count_relative_sd, liver_count_relative_sd : float or None
        Relative standard uncertainty of what the organ holds, from noise.
    residual_scatter_sd : float
        Scatter from liver into lungs that is left after correction, as a fraction of what the liver holds (k = 1).
    """

    dome_margin_mm: NonNegative = 0.0
    lung_mass_kg: Positive | None = None
    patient_sex: Sex | None = None
    patient_height_m: Positive | None = None
    cut_lungs: Literal["complete", "as-seen"] = "complete"
    border_mm: NonNegative | None = None
    lung_count_relative_sd: Fraction | None = None
    liver_count_relative_sd: Fraction | None = None
    residual_scatter_sd: Fraction = 0.0

    def __post_init__(self) -> None:
        require_lung_mass(self.lung_mass_kg)
        if (self.lung_count_relative_sd is None) != (self.liver_count_relative_sd is None):
            raise InputError("give both `lung_count_relative_sd` and `liver_count_relative_sd`, or neither")
        if self.cut_lungs == "as-seen" and (self.patient_sex or self.patient_height_m):
            raise InputError(
                "lungs that are left as seen are not completed: `patient_sex` and `patient_height_m` have no effect",
                remedy="leave them out, or state `cut_lungs` complete",
            )

    @property
    def count_relative_sd(self) -> tuple[float, float] | None:
        """Of lungs and liver; None if unknown."""
        lungs, liver = self.lung_count_relative_sd, self.liver_count_relative_sd
        return None if lungs is None or liver is None else (lungs, liver)


def spect_lung_shunt(
    image: Volume,
    lungs: Region,
    liver: Region,
    *,
    density: Volume | None = None,
    options: SpectShuntOptions = SpectShuntOptions(),
    masses: LungMasses = LungMasses(),
    position_sd_mm: float | None = 0.0,
) -> LungShunt:
    """Lung shunt from an attenuation- and scatter-corrected SPECT (or PET).

    Parameters
    ----------
    image : Volume
        Counts, Bq or Bq/mL per voxel.
    lungs, liver : Region
        On the image's grid. Voxels of both count once, for the liver.
    density : Volume, optional
        g/mL on the same grid; with it, lung that is left out is extrapolated by mass, else by volume.
    options : SpectShuntOptions
        Margin, truncation, uncertainties.
    masses : LungMasses
        Mass of the lungs in view from the CT's own voxels, and of the whole lungs where they are cut off.
    position_sd_mm : float or None
        Standard uncertainty along each axis of where the image lies on the structures, by the transform that brought
        them together; 0 where there was none, None where it is not known.

    Raises
    ------
    InputError
        If the lungs are empty, or truncated lungs weigh less than what the image shows.
    """
    image.require_finite()
    image.require_kind(Kind.COUNTS, Kind.COUNT_RATE, Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION, Kind.DECAYS)
    own = lungs - liver
    if own.is_empty or liver.is_empty:
        raise InputError("lungs and liver must not be empty (after the overlap went to the liver)")
    liver_total = liver.total(image)
    completion = _completion(own, density, options, masses)
    lung_total, details = _lung_content(image, own, liver, density, options, completion)
    messages = [Message("shunt-below-zero", "lung shunt below zero set to zero")] if lung_total < 0 else []
    overlap = (lungs & liver).volume_ml
    details |= {"overlap_counted_for_liver_ml": overlap}
    if (extra := details.get("extrapolated_share_of_lungs", 0.0)) > 0.3:
        messages.append(
            Message(
                "lungs-extrapolated",
                f"{extra:.0%} of the lungs is extrapolated",
                "image more of the lungs if the lung shunt decides",
            )
        )
    border = _border_effect(image, lungs, liver, density, options, completion)
    relative = completion.relative_sd if extra > 0 else None
    counts = options.count_relative_sd
    parts = _Parts(
        counts=None if counts is None else (counts[0] * abs(lung_total), counts[1] * liver_total, 0.0),
        border=border,
        scatter=(options.residual_scatter_sd * liver_total, 0.0, 0.0),
        completion=None if relative is None else (relative * abs(lung_total), 0.0, 0.0),
        position=None if position_sd_mm is None else (0.0, 0.0, 0.0),
    )
    if position_sd_mm:
        moved = [
            (_lung_content(shifted, own, liver, density, options, completion)[0], liver.total(shifted))
            for shifted in shifted_images(image, position_sd_mm)
        ]
        parts = replace(parts, position=position_covariance((lung_total, liver_total), moved))
    found = _shunt(max(0.0, lung_total), liver_total, parts, "spect", tuple(messages))
    return replace(found, details=details)


@dataclass(frozen=True, slots=True)
class _Completion:
    """Grams of the whole lungs (None: nothing is cut off), and grams by the CT over the size on the image's voxels."""

    whole_g: float | None = None
    per_size: float = 1.0
    relative_sd: float | None = None


def _completion(own: Region, density: Volume | None, options: SpectShuntOptions, masses: LungMasses) -> _Completion:
    """To what the lungs in view are completed: the stated mass, else that of the model where they are cut off."""
    size = _size(own, density)
    per_size = 1.0 if masses.in_view_kg is None else 1000 * masses.in_view_kg / size
    weighed = density is not None or masses.in_view_kg is not None
    if options.lung_mass_kg is not None:
        if not weighed:
            raise InputError("extrapolating truncated lungs by mass needs the CT's density", remedy="give `ct`")
        if options.lung_mass_kg * 1000 < size * per_size * 0.98:
            raise InputError(
                f"the lungs in the image weigh {size * per_size / 1000:.3g} kg, more than the stated "
                f"{options.lung_mass_kg:g} kg"
            )
        if masses.nothing_cut:
            return _Completion(None, per_size)
        return _Completion(options.lung_mass_kg * 1000, per_size)
    if masses.whole is None or not weighed or options.cut_lungs == "as-seen":
        return _Completion(None, per_size)
    return _Completion(masses.whole.mass_kg * 1000, per_size, masses.whole.relative_sd)


def _lung_content(
    image: Volume,
    own: Region,
    liver: Region,
    density: Volume | None,
    options: SpectShuntOptions,
    completion: _Completion,
) -> tuple[float, dict[str, float]]:
    """What the complete lungs hold, and how it came about."""
    seen = own.total(image)
    liver_total = liver.total(image)
    details = {"fraction_as_drawn": max(0.0, seen) / (max(0.0, seen) + liver_total) if liver_total else math.nan}
    used = own
    if options.dome_margin_mm:
        used = without_margin(own, liver, options.dome_margin_mm)
        if used.is_empty:
            raise InputError(f"a dome margin of {options.dome_margin_mm:g} mm leaves no lung")
    own_size, used_size = (completion.per_size * _size(region, density) for region in (own, used))
    complete = own_size if completion.whole_g is None else max(own_size, completion.whole_g)
    content = used.total(image) * complete / used_size
    if options.dome_margin_mm:
        whole = used.total(image) * own_size / used_size
        details["fraction_with_dome_margin"] = max(0.0, whole) / (max(0.0, whole) + liver_total)
    details["extrapolated_share_of_lungs"] = 1 - used_size / complete
    return content, details


def _size(region: Region, density: Volume | None) -> float:
    """Mass in g, or volume in mL without a density."""
    return region.volume_ml if density is None else region.mass_g(density)


def _border_effect(
    image: Volume,
    lungs: Region,
    liver: Region,
    density: Volume | None,
    options: SpectShuntOptions,
    completion: _Completion,
) -> tuple[float, float, float] | None:
    """Standard uncertainties of lungs and liver and their covariance, from moving each border by its uncertainty."""
    if options.border_mm is None:
        return None
    if not options.border_mm:
        return 0.0, 0.0, 0.0
    plain = replace(options, border_mm=None)

    def contents(lungs_by: float, liver_by: float) -> tuple[float, float]:
        moved_liver = moved(liver, liver_by)
        moved_lungs = moved(lungs, lungs_by) - moved_liver
        if moved_lungs.is_empty or moved_liver.is_empty:
            raise InputError(f"an uncertainty of {options.border_mm} mm of the borders leaves nothing of an organ")
        held = _lung_content(image, moved_lungs, moved_liver, density, plain, completion)[0]
        return held, moved_liver.total(image)

    b = options.border_mm
    lungs_up, lungs_down = contents(b, 0)[0], contents(-b, 0)[0]
    (l_up, v_up), (l_down, v_down) = contents(0, b), contents(0, -b)
    from_lungs, l_from_liver, v_from_liver = (lungs_up - lungs_down) / 2, (l_up - l_down) / 2, (v_up - v_down) / 2
    return math.hypot(from_lungs, l_from_liver), abs(v_from_liver), l_from_liver * v_from_liver


def grown(region: Region, margin_mm: float) -> Region:
    """Region grown by a distance in mm in all directions; a shrunken one for a negative distance.

    A voxel belongs to the result if its centre lies within the margin of a voxel that is at least half covered, so the
    new border has whole voxels.
    """
    from scipy import ndimage

    if not margin_mm:
        return region
    inside = region.mask()
    distance = ndimage.distance_transform_edt(inside if margin_mm < 0 else ~inside, sampling=region.grid.spacing_mm)
    mask = distance > -margin_mm if margin_mm < 0 else distance <= margin_mm
    name = f"{region.name} {margin_mm:+g} mm"
    return Region.from_coverage(name, region.grid, mask & inside if margin_mm < 0 else mask, origin=name)


def moved(region: Region, shift_mm: float) -> Region:
    """Region with its border shifted outwards by a fraction of a voxel; opposite shifts differ by area times shift.

    The distance to the border comes from the coverage smoothed by a Gaussian: across a plane the smoothed coverage is
    the normal distribution of the distance, whose width its gradient tells.
    """
    from scipy import ndimage
    from scipy.special import ndtri

    if not shift_mm:
        return region
    full = region.full().astype(np.float64)
    slopes = [
        ndimage.gaussian_filter(full, 1.0, order=[int(a == axis) for a in range(3)]) / region.grid.spacing_mm[axis]
        for axis in range(3)
    ]
    steepness = np.sqrt(sum(slope**2 for slope in slopes))
    smooth = np.clip(ndimage.gaussian_filter(full, 1.0), 1e-6, 1 - 1e-6)
    quantile = ndtri(smooth)
    sigma = np.exp(-(quantile**2) / 2) / math.sqrt(2 * math.pi) / np.maximum(steepness, 1e-9)
    signed = quantile * sigma
    width = float(max(region.grid.spacing_mm))
    coverage = np.clip((signed + shift_mm) / width + 0.5, 0, 1).astype(np.float32)
    name = f"{region.name} {shift_mm:+g} mm"
    return Region.from_coverage(name, region.grid, coverage, origin=region.origin)
