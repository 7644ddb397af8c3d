"""The camera factor: counts per second for a megabecquerel, from a source of known activity, with its uncertainty.

Four kinds of source, of which each holds for its own use:

- *planar*: a flat dish in air before the collimator, and *point*: a small source in air, also turned round in a TOMO
  acquisition. The geometric factor; for reconstructions that correct attenuation and scatter and are told it.
- *sphere* and *cylinder*: a sphere in water, a large cylinder, both reconstructed. The factor of camera and
  reconstruction together; for images of the same reconstruction.

The uncertainty is that of GUM (JCGM 100:2008): relative contributions of counting, background, activity meter, volume,
half-life, clock and dead time, added in squares (`CameraCalibration.budget`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from hepatica.core import (
    Estimate,
    Kind,
    Region,
    Volume,
    acquisition_decay_factor,
    decay_factor,
    seconds_between,
)
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message, Severity
from hepatica.errors import InputError, TimeError, UnknownNameError
from hepatica.imaging.quantify.acquisition_conditions import Conditions, deviation, numbers, required
from hepatica.imaging.quantify.activity import BQ_PER_MBQ, Administration
from hepatica.imaging.quantify.dead_time import DeadTimeModel, live_fraction
from hepatica.imaging.quantify.recovery import parts_mean

KIND = "hepatica camera calibration"
"""How a file of a calibration names itself."""

Source = Literal["planar", "point", "sphere", "cylinder", "known-activity"]

MAX_HALF_LIVES = 20.0
"""A source measured so many half-lives before or after the image (a factor of 1e6) is a wrong date. Our choice."""

MAX_DIFFERENCE_OF_HEADS = 0.05
"""Exposures whose factors differ by more than this are worth a warning. Our choice."""


@dataclass(frozen=True, slots=True)
class Component:
    """A contribution to the uncertainty: its name, relative standard uncertainty (None: not known), and basis."""

    name: str
    relative_sd: float | None = field(metadata=HIDDEN)
    basis: str

    @property
    @reported
    def sd_percent(self) -> float | None:
        """Relative standard uncertainty in percent."""
        return None if self.relative_sd is None else 100 * self.relative_sd


@dataclass(frozen=True, slots=True)
class KnownActivity:
    """What the source holds.

    Parameters
    ----------
    activity : Estimate
        Bq at `time`; uncertainty of the activity meter (None: not known).
    time : datetime
        Of the measurement.
    half_life : Estimate
        Physical half-life in s.
    residual_bq : float
        Left in the syringe, at `residual_time` (default `time`).
    residual_time : datetime or None
        When that was measured.
    clock_sd_s : float
        Standard uncertainty of the time between activity meter and camera.

    Raises
    ------
    InputError
        If the activity is not positive, or the residual or the clock's uncertainty is negative or impossible.
    """

    activity: Estimate
    time: datetime
    half_life: Estimate
    residual_bq: float = 0.0
    residual_time: datetime | None = None
    clock_sd_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.activity.value < math.inf:
            raise InputError(f"the activity of the source must be positive, not {self.activity.value} Bq")
        if not 0 < self.half_life.value < math.inf:
            raise InputError(f"the half-life must be positive, not {self.half_life.value} s")
        if not 0 <= self.residual_bq < math.inf or not 0 <= self.clock_sd_s < math.inf:
            raise InputError("the residual and the uncertainty of the clock cannot be negative")
        if not self.net_bq > 0:
            raise InputError(f"a residual of {self.residual_bq} Bq leaves nothing of {self.activity.value} Bq")

    @property
    def net_bq(self) -> float:
        """Becquerels in the source at `time`."""
        if not self.residual_bq:
            return self.activity.value
        when = self.residual_time or self.time
        return self.activity.value - self.residual_bq / decay_within_reason(self.time, when, self.half_life.value)

    def at(self, instant: datetime) -> float:
        """Becquerels in the source at another instant; TimeError if it is more than 20 half-lives away."""
        return self.net_bq * decay_within_reason(self.time, instant, self.half_life.value)

    def components(self, instant: datetime) -> tuple[Component, ...]:
        """Contributions of activity meter, half-life and clock at an instant."""
        rate = math.log(2) / self.half_life.value
        elapsed = seconds_between(self.time, instant)
        relative = self.half_life.relative_sd
        meter = None if self.activity.sd is None else self.activity.sd / self.net_bq
        decay = None if relative is None else abs(rate * elapsed) * relative
        return (
            Component("activity meter", meter, "as stated, over the net activity"),
            Component("half-life", decay, f"decay over {elapsed / SECONDS_PER_HOUR:.3g} h"),
            Component("clock", rate * self.clock_sd_s, f"{self.clock_sd_s:g} s"),
        )


def decay_within_reason(measured: datetime, instant: datetime, half_life_s: float) -> float:
    """Decay factor from one instant to another; TimeError if they lie more than 20 half-lives apart."""
    elapsed = seconds_between(measured, instant)
    if abs(elapsed) > MAX_HALF_LIVES * half_life_s:
        raise TimeError(
            f"activity measured at {measured.isoformat(sep=' ')}, the image is of {instant.isoformat(sep=' ')}: "
            f"{abs(elapsed) / half_life_s:.3g} half-lives apart; one of the dates is wrong"
        )
    return decay_factor(elapsed, half_life_s)


@dataclass(frozen=True, slots=True)
class DeadTime:
    """Dead time of a head, for counts that were not corrected: its value and relative uncertainty, and the model."""

    tau: Estimate
    model: DeadTimeModel = "paralysable"


@dataclass(frozen=True, slots=True)
class Exposure:
    """One head looking at the source.

    Attributes
    ----------
    counts : float
        In the region and the energy window.
    duration_s : float
        How long.
    start : datetime
        When it began.
    background_counts, background_duration_s : float
        The same region without the source, and how long; 0 where it was not measured.
    all_counts : float or None
        In all windows and the whole field, which is what keeps the head busy; `counts` where unknown.
    name : str
        For messages ("head 1").
    """

    counts: float
    duration_s: float
    start: datetime
    background_counts: float = 0.0
    background_duration_s: float = 0.0
    all_counts: float | None = None
    name: str = "exposure"

    def __post_init__(self) -> None:
        if not (0 < self.counts < math.inf and 0 < self.duration_s < math.inf):
            raise InputError(
                f"{self.name}: counts and duration must be positive, not {self.counts}, {self.duration_s} s"
            )
        if not (0 <= self.background_counts < math.inf and 0 <= self.background_duration_s < math.inf):
            raise InputError(f"{self.name}: background counts and their duration cannot be negative")
        if self.background_counts and not self.background_duration_s:
            raise InputError(f"{self.name}: background counts need the time in which they were collected")
        if not self.counts - self.background > 0:
            raise InputError(f"{self.name}: the background holds all of its counts; there is no source in it")

    @property
    def background(self) -> float:
        """Background counts within `duration_s`."""
        if not self.background_counts:
            return 0.0
        return self.background_counts * self.duration_s / self.background_duration_s


@dataclass(frozen=True, slots=True)
class CameraCalibration:
    """A camera factor, where it comes from and for what it holds.

    Attributes
    ----------
    factor : Estimate
        Counts per second and MBq of **one head** (for SPECT: counts over the time of all views added up).
    source : {"planar", "point", "sphere", "cylinder", "known-activity"}
        What it was measured with.
    conditions : Conditions
        For what it holds.
    budget : tuple of Component
        Contributions to the uncertainty.
    measured_at : datetime
        Start of the (first) exposure.
    activity_mbq : float
        Of the source then.
    heads : int
        Heads of the camera that count at once.
    messages : tuple of Message
        What a user of the factor must know.
    penetration : Estimate or None
        Counts through lead over those of the camera's model, fitted from sources in air and in water.
    kept_in_air : tuple of float or None
        Shares of the counts through holes and through lead that the source's own water and the field left, by the
        model, of a source in air whose size was stated; the factor is without these losses.
    """

    factor: Estimate = field(metadata=HIDDEN)
    source: Source
    conditions: Conditions
    budget: tuple[Component, ...]
    measured_at: datetime
    activity_mbq: float
    heads: int = 1
    messages: tuple[Message, ...] = ()
    penetration: Estimate | None = None
    kept_in_air: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.source not in get_args(Source):
            raise UnknownNameError("calibration source", self.source, get_args(Source))
        if not 0 < self.factor.value < math.inf or not (self.factor.sd is None or 0 <= self.factor.sd < math.inf):
            raise InputError(f"a camera factor must be positive, not {self.factor.value} ± {self.factor.sd} cps/MBq")
        if self.heads < 1:
            raise InputError(f"a camera has at least one head, not {self.heads}")
        if self.kept_in_air is not None and not all(0 < share < math.inf for share in self.kept_in_air):
            raise InputError(f"kept_in_air: shares of counts must be positive, not {self.kept_in_air}")

    @property
    def all_heads(self) -> Estimate:
        """Counts per second of scan time and MBq of all heads together."""
        sd = None if self.factor.sd is None else self.factor.sd * self.heads
        return Estimate(self.factor.value * self.heads, sd)

    @property
    @reported
    def kind(self) -> str:
        """What a file says that it holds."""
        return KIND

    @property
    @reported
    def factor_cps_per_mbq(self) -> float:
        """Counts per second and MBq of one head."""
        return self.factor.value

    @property
    @reported
    def factor_sd_cps_per_mbq(self) -> float | None:
        """Standard uncertainty of the factor; None if not known."""
        return self.factor.sd

    @property
    @reported
    def factor_sd_percent(self) -> float | None:
        """The same in percent."""
        relative = self.factor.relative_sd
        return None if relative is None else 100 * relative

    @property
    @reported
    def basis(self) -> str:
        """What the factor counts."""
        return "one head: counts over the time of all views added up"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CameraCalibration:
        """From its document.

        Raises
        ------
        InputError
            If it is no calibration, or something is missing or impossible.
        """
        if data.get("kind") != KIND:
            raise InputError(f"not a camera calibration (kind {data.get('kind')!r})")
        try:
            when = datetime.fromisoformat(str(data.get("measured_at")))
        except ValueError:
            raise InputError(f"measured_at: {data.get('measured_at')!r} is no instant") from None
        parts, said = data.get("budget") or [], data.get("messages") or []
        for key, items in (("budget", parts), ("messages", said)):
            if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
                raise InputError(f"{key}: expected a list of tables")
        percents = [deviation(part, "sd_percent") for part in parts]
        heads, activity = required(data, "heads"), required(data, "activity_mbq")
        if heads != int(heads) or activity <= 0:
            raise InputError(
                f"heads {heads:g} and activity_mbq {activity:g}: expected a whole number and a positive one"
            )
        return cls(
            Estimate(required(data, "factor_cps_per_mbq"), deviation(data, "factor_sd_cps_per_mbq")),
            data.get("source"),  # type: ignore[arg-type]  # checked in __post_init__
            Conditions.from_dict(data.get("conditions") or {}),
            tuple(
                Component(str(part.get("name")), None if value is None else value / 100, str(part.get("basis", "")))
                for part, value in zip(parts, percents, strict=True)
            ),
            when,
            activity,
            int(heads),
            tuple(_stored_message(item) for item in said),
            None
            if data.get("penetration") is None
            else Estimate(required(data, "penetration"), deviation(data, "penetration_sd")),
            None if data.get("kept_in_air") is None else _pair(data, "kept_in_air"),
        )


def _pair(data: Mapping[str, Any], key: str) -> tuple[float, float]:
    first, second = numbers(data[key], 2, key)
    return first, second


def calibrate_exposures(
    exposures: Sequence[Exposure],
    known: KnownActivity,
    *,
    source: Source,
    conditions: Conditions,
    dead_time: DeadTime | None = None,
    heads: int = 1,
) -> CameraCalibration:
    """Geometric factor of a planar or point source in air: net counts of all exposures over all becquerel-seconds.

    ``F = sum (N / live - B t / t_B) / sum A(start) t f``, with f the mean decay during an exposure. The mean of
    the heads if each is an exposure; of a TOMO acquisition every view is one.

    Raises
    ------
    InputError
        If there is no exposure, or the source is one that is reconstructed.
    PhysicsError
        If the count rate is above what the dead time allows.
    TimeError
        If only one of source and camera has a time zone.
    """
    if source not in ("planar", "point"):
        raise InputError(f"source {source!r} is calibrated from a reconstruction, not from exposures")
    if not exposures:
        raise InputError("a calibration needs at least one exposure")
    half_life_s = known.half_life.value
    net, exposed, variance, lost = [], [], 0.0, 0.0
    for exposure in exposures:
        seen = exposure.counts if exposure.all_counts is None else exposure.all_counts
        live = _live(seen, exposure.duration_s, dead_time)
        background = exposure.background
        net.append(exposure.counts / live - background)
        mean = known.at(exposure.start) * acquisition_decay_factor(exposure.duration_s, half_life_s)
        exposed.append(mean / BQ_PER_MBQ * exposure.duration_s)
        ratio = exposure.duration_s / exposure.background_duration_s if exposure.background_duration_s else 0.0
        variance += exposure.counts / live**2 + ratio**2 * exposure.background_counts
        lost += exposure.counts * _dead_time_slope(seen / exposure.duration_s, live, dead_time)
    value = sum(net) / sum(exposed)
    budget = (
        Component("counting and background", math.sqrt(variance) / sum(net), f"Poisson, {sum(net):.4g} net counts"),
        *known.components(exposures[0].start),
        *_dead_time_component(lost / sum(net), dead_time),
    )
    single = [n / e for n, e in zip(net, exposed, strict=True)]
    start = exposures[0].start
    return _calibration(
        value, source, conditions, budget, (start, known.at(start)), heads, _differences(exposures, single)
    )


@dataclass(frozen=True, slots=True, eq=False)
class ReconstructedSource:
    """A source of known activity in a SPECT in counts.

    Attributes
    ----------
    image : Volume
        Kind.COUNTS; ``image.time`` is the start of the scan.
    head_time_s : float
        Time of all views of all heads added up.
    decay_corrected : bool
        Whether the counts are corrected to the start of the scan.
    region : Region or None
        "sphere": holds the whole blurred sphere (its diameter and some FWHM), all counts in it are the source's.
        "cylinder": well inside the cylinder, where nothing is lost or gained by blur.
    background : Region or None
        "sphere": where the background per voxel is taken from.
    volume_ml : Estimate or None
        "cylinder": of the liquid.
    heads : int
        Heads that counted at once.
    """

    image: Volume
    head_time_s: float
    decay_corrected: bool
    region: Region | None = None
    background: Region | None = None
    volume_ml: Estimate | None = None
    heads: int = 1

    def __post_init__(self) -> None:
        self.image.require_kind(Kind.COUNTS)
        self.image.require_finite()
        if not 0 < self.head_time_s < math.inf or self.heads < 1:
            raise InputError(f"the time of all views must be positive, not {self.head_time_s} s, and heads 1 or more")

    @property
    def start(self) -> datetime:
        """Start of the scan; TimeError if the image has none."""
        if self.image.time is None:
            raise TimeError("the SPECT refers to no instant; state when its acquisition began")
        return self.image.time

    def mean_decay(self, half_life_s: float) -> float:
        """Mean activity during the scan over that at its start; 1 if the counts are corrected for it."""
        return 1.0 if self.decay_corrected else acquisition_decay_factor(self.head_time_s / self.heads, half_life_s)


def calibrate_reconstruction(
    seen: ReconstructedSource, known: KnownActivity, *, source: Source, conditions: Conditions
) -> CameraCalibration:
    """Factor of camera and reconstruction together, from a sphere or a cylinder in water.

    Parameters
    ----------
    seen : ReconstructedSource
        The SPECT and the region to count in.
    known : KnownActivity
        In the whole source.
    source : {"sphere", "cylinder"}
        Which of the two.
    conditions : Conditions
        For what the factor will hold.

    Raises
    ------
    GeometryError
        If the region lies on another grid.
    InputError
        If something is missing, not positive, or the region is larger than the source.
    TimeError
        If the image has no instant.
    """
    if source not in ("sphere", "cylinder") or seen.region is None:
        raise InputError(f"source {source!r}: a sphere or a cylinder is calibrated in a region of a reconstruction")
    held = known.at(seen.start) / BQ_PER_MBQ
    if source == "sphere":
        counts, parts = _sphere_counts(seen.image, seen.region, seen.background)
    else:
        counts, parts, share = _cylinder_counts(seen.image, seen.region, seen.volume_ml)
        held *= share
    value = counts / (held * seen.head_time_s * seen.mean_decay(known.half_life.value))
    budget = (*parts, *known.components(seen.start))
    return _calibration(value, source, conditions, budget, (seen.start, known.at(seen.start)), seen.heads)


def calibrate_known_activity(
    seen: ReconstructedSource, administration: Administration, *, half_life: Estimate, conditions: Conditions
) -> CameraCalibration:
    """Factor from the patient's own image: all counts are those of the activity administered that is in view.

    Of use where later images of the same patient, camera and reconstruction are to be quantified with it; for the one
    image alone `quantify.activity_by_administration` says the same. Errors as for `calibrate_reconstruction`.
    """
    if administration.time is None:
        raise TimeError("the time of the administration is not known; state it")
    total = seen.image.total
    if not total > 0:
        raise InputError(f"the image holds {total:.4g} counts: there is no activity in it")
    known = KnownActivity(administration.in_view, administration.time, half_life)
    value = total / (known.at(seen.start) / BQ_PER_MBQ * seen.head_time_s * seen.mean_decay(half_life.value))
    parts = (Component("counting", 1 / math.sqrt(total), "Poisson of all counts"), *known.components(seen.start))
    return _calibration(value, "known-activity", conditions, parts, (seen.start, known.at(seen.start)), seen.heads)


# ---------------------------------------------------------------------------------------------------------------------


def _calibration(
    value: float,
    source: Source,
    conditions: Conditions,
    budget: tuple[Component, ...],
    held: tuple[datetime, float],
    heads: int,
    messages: tuple[Message, ...] = (),
) -> CameraCalibration:
    parts = [part.relative_sd for part in budget]
    sd = None if None in parts else value * math.sqrt(sum(part**2 for part in parts if part is not None))
    missing = ", ".join(part.name for part in budget if part.relative_sd is None)
    text = f"the uncertainty of the factor is not known: that of {missing} is not stated"
    unknown = (Message("calibration-uncertainty-unknown", text),) if missing else ()
    start, activity_bq = held
    return CameraCalibration(
        Estimate(value, sd), source, conditions, budget, start, activity_bq / BQ_PER_MBQ, heads, messages + unknown
    )


def _sphere_counts(image: Volume, region: Region, background: Region | None) -> tuple[float, tuple[Component, ...]]:
    """Net counts in the region and their contributions."""
    image.grid.require_match(region.grid, "image and region of the sphere")
    gross = region.total(image)
    net, spread = gross, 0.0
    if background is not None:
        level = parts_mean(image, background)
        voxels = region.voxels
        net, spread = gross - level.value * voxels, (level.sd or 0.0) * voxels
    if not net > 0:
        raise InputError(f"region {region.name!r} holds {net:.4g} net counts: there is no source in it")
    counting = Component(
        "counting", math.sqrt(gross) / net, "Poisson of the sum; correlated noise of the reconstruction is not in it"
    )
    around = (Component("background", spread / net, "between parts of the region around"),) if background else ()
    return net, (counting, *around)


def _cylinder_counts(
    image: Volume, region: Region, volume_ml: Estimate | None
) -> tuple[float, tuple[Component, ...], float]:
    """Counts in the region, their contributions, and the share of the source that lies in the region."""
    if volume_ml is None or not 0 < volume_ml.value < math.inf:
        raise InputError("a cylinder needs the volume of its liquid")
    if region.volume_ml > volume_ml.value:
        raise InputError(
            f"region {region.name!r} is larger ({region.volume_ml:.4g} mL) than the cylinder ({volume_ml.value:.4g} mL)"
        )
    mean = parts_mean(image, region)
    if not mean.value > 0:
        raise InputError(f"region {region.name!r} holds no counts: there is no source in it")
    voxels = region.voxels
    parts = (
        Component("counting", mean.relative_sd, "between parts of the region"),
        Component("volume", volume_ml.relative_sd, "of the liquid"),
    )
    return mean.value * voxels, parts, region.volume_ml / volume_ml.value


def _live(counts: float, duration_s: float, dead_time: DeadTime | None) -> float:
    if dead_time is None or not dead_time.tau.value:
        return 1.0
    return float(live_fraction(counts, duration_s, tau_s=dead_time.tau.value, model=dead_time.model))


def _dead_time_slope(rate_cps: float, live: float, dead_time: DeadTime | None) -> float:
    """Slope of ln(true rate) against ln(tau): x = n tau of a non-paralysable head, x / (1 - x) of a paralysable one."""
    if dead_time is None or not dead_time.tau.value:
        return 0.0
    busy = rate_cps / live * dead_time.tau.value
    return (busy if dead_time.model == "non-paralysable" else busy / (1 - busy)) / live


def _dead_time_component(slope: float, dead_time: DeadTime | None) -> tuple[Component, ...]:
    if dead_time is None:
        return ()
    relative = dead_time.tau.relative_sd if dead_time.tau.value else 0.0
    return (Component("dead time", None if relative is None else slope * relative, "of tau, through the model"),)


def _differences(exposures: Sequence[Exposure], factors: Sequence[float]) -> tuple[Message, ...]:
    """A message if exposures differ by more than noise and 5 %."""
    noise = math.sqrt(max(1 / exposure.counts for exposure in exposures))
    low, high = min(factors), max(factors)
    if high / low - 1 <= max(MAX_DIFFERENCE_OF_HEADS, 4 * noise):
        return ()
    first, last = exposures[factors.index(low)].name, exposures[factors.index(high)].name
    text = f"the exposures differ by {100 * (high / low - 1):.0f} %: {first} {low:.4g}, {last} {high:.4g} cps/MBq"
    return (Message("exposures-differ", text),)


def _stored_message(item: Mapping[str, Any]) -> Message:
    """A message of a file."""
    code, text, remedy = (
        str(item.get(key, usual)) for key, usual in (("code", "calibration"), ("text", ""), ("remedy", ""))
    )
    severity = item.get("severity", "warning")
    if severity not in get_args(Severity):
        raise InputError(f"messages: severity {severity!r} is none of {', '.join(get_args(Severity))}")
    return Message(code, text, remedy, severity)
