"""The activity with the best chance: highest P(tumour reached) that keeps normal liver and lungs under their limits.

What is uncertain (lung shunt, T/N, masses, how far the therapy differs from its scout, calibration) is sampled once;
every question is then answered on the same samples. In one direction of activities (shares of the territories) doses
are linear in the total activity, so the largest allowed total and the chance at any total are quantiles. Only the
direction is searched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from hepatica.core.document import INLINE
from hepatica.core.numbers.compare import ROUNDING
from hepatica.core.options import Limits, Unit, options
from hepatica.errors import InputError
from hepatica.planning.intervals import Interval
from hepatica.planning.limits.nominal import NominalLimit
from hepatica.planning.prescriptions.compartments import LUNGS, NORMAL, Partition, require_positive
from hepatica.planning.prescriptions.dose_constants import DoseConstant

FloatArray = NDArray[np.float64]

SAMPLES = 8192
TIE = 0.002
"""Chances that differ by less than this share of themselves count as equal; then the lowest activity is taken."""


Relative = Annotated[float, Unit("fraction"), Limits(low=0, below=2)]


@options
class Uncertainty:
    """Standard uncertainties (k = 1) of what a plan rests on; all but the shunt's are relative. Independent.

    Attributes
    ----------
    lung_shunt : float
        Of the fraction itself; logit-normal.
    tumour_to_normal : float
        Of each lesion's ratio as measured on the scout; log-normal.
    discordance : float
        How far a lesion's ratio in the therapy differs from the scout's; log-normal. Ratios of 1.3 to 1.5 are usual.
    mass : float
        Of each lesion's and normal liver's mass; log-normal.
    lung_mass : float
        Log-normal.
    calibration : float
        Of the activity, common to all territories; log-normal.
    """

    lung_shunt: Relative = 0.0
    tumour_to_normal: Relative = 0.0
    discordance: Relative = 0.0
    mass: Relative = 0.0
    lung_mass: Relative = 0.0
    calibration: Relative = 0.0


@dataclass(frozen=True, slots=True)
class Aim:
    """What is wanted and what must be kept.

    Attributes
    ----------
    tumour_gy : float
        Target of D_x of every lesion.
    normal_limit_gy, normal_probability : float
        P(mean of the whole normal liver > limit) <= probability.
    lung_limit_gy, lung_probability : float
        The same for the lungs.
    volume_percent : float or None
        x of D_x; None for the mean dose.
    heterogeneity : float
        Standard deviation of the logarithm of the dose inside a lesion, which ties D_x to the mean (log-normal).
    perfused_normal_limit_gy : float or None
        The same limit per territory, on perfused normal liver, with `normal_probability`.
    lung_lifetime_limit_gy, normal_lifetime_limit_gy : float
        Limits of this treatment and all earlier ones together, with the same probabilities; of the normal liver its
        limit of a treatment is taken if it is None.
    """

    tumour_gy: float
    normal_limit_gy: float
    normal_probability: float = 0.05
    lung_limit_gy: float = 30.0
    lung_probability: float = 0.05
    volume_percent: float | None = None
    heterogeneity: float = 0.0
    perfused_normal_limit_gy: float | None = None
    lung_lifetime_limit_gy: float = 50.0
    normal_lifetime_limit_gy: float | None = None

    def __post_init__(self) -> None:
        for name in ("tumour_gy", "normal_limit_gy", "lung_lifetime_limit_gy"):
            require_positive(getattr(self, name), name, "Gy")
        if self.lung_limit_gy != 0:
            require_positive(self.lung_limit_gy, "lung_limit_gy", "Gy")
        if self.perfused_normal_limit_gy is not None:
            require_positive(self.perfused_normal_limit_gy, "limit of perfused normal liver", "Gy")
        for name in ("normal_probability", "lung_probability"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} must lie between 0 and 1, not {getattr(self, name):g}")
        if self.volume_percent is not None and not 0 < self.volume_percent < 100:
            raise InputError(f"x of D_x must lie between 0 and 100 %, not {self.volume_percent:g}")
        if self.heterogeneity < 0:
            raise InputError("heterogeneity cannot be negative")

    @property
    def normal_lifetime_gy(self) -> float:
        """Limit of the normal liver over all treatments."""
        return self.normal_limit_gy if self.normal_lifetime_limit_gy is None else self.normal_lifetime_limit_gy

    @property
    def dx_over_mean(self) -> float:
        """D_x over the mean dose of a lesion, for a log-normal dose distribution."""
        if self.volume_percent is None:
            return 1.0
        from scipy.special import ndtri

        z = float(ndtri(self.volume_percent / 100))
        return math.exp(-z * self.heterogeneity - self.heterogeneity**2 / 2)


@dataclass(frozen=True, slots=True)
class Problem:
    """A patient for the planner.

    Attributes
    ----------
    territories : mapping of str to Partition
        Each injection's masses, T/N, lung shunt; one lung mass for all.
    constant : DoseConstant
        Energy per activity.
    uncertainty : Uncertainty
        What is not known exactly.
    aim : Aim
        Target and limits.
    unperfused_normal_kg : float
        Normal liver that no territory perfuses; it lowers the mean of the whole.
    previous_lung_gy, previous_normal_gy : float
        Doses of earlier treatments; they are taken off the limits of a lifetime, not off those of a treatment.
    territory_limits_gy : mapping of str to float
        Limits of perfused normal liver of single territories, with the aim's `normal_probability`.
    constants : mapping of str to DoseConstant
        Of territories that carry another nuclide or constant.
    nominal_limits : tuple of NominalLimit
        Of labels and guidelines, on the plan's own numbers.
    """

    territories: Mapping[str, Partition]
    constant: DoseConstant
    uncertainty: Uncertainty
    aim: Aim
    unperfused_normal_kg: float = 0.0
    previous_lung_gy: float = 0.0
    previous_normal_gy: float = 0.0
    territory_limits_gy: Mapping[str, float] = field(default_factory=dict)
    constants: Mapping[str, DoseConstant] = field(default_factory=dict)
    nominal_limits: tuple[NominalLimit, ...] = ()

    def __post_init__(self) -> None:
        if not self.territories:
            raise InputError("the planner needs at least one territory")
        if not any(target.lesions for target in self.territories.values()):
            raise InputError("the planner needs at least one lesion with mass and T/N")
        if len({target.lung_mass_kg for target in self.territories.values()}) > 1:
            raise InputError("the territories state different lung masses; one patient has one")
        if self.unperfused_normal_kg < 0:
            raise InputError("the mass of unperfused normal liver cannot be negative")
        for organ, earlier, limit in (
            ("lungs", self.previous_lung_gy, self.aim.lung_lifetime_limit_gy),
            ("normal liver", self.previous_normal_gy, self.aim.normal_lifetime_gy),
        ):
            if earlier >= limit:
                raise InputError(
                    f"earlier treatments gave the {organ} {earlier:g} Gy, the limit over a lifetime is {limit:g} Gy: "
                    "no activity is allowed"
                )


@dataclass(frozen=True, slots=True)
class Chances:
    """Probabilities at given activities.

    Attributes
    ----------
    probability_tumour_reached : float
        That every lesion reaches the target.
    probability_normal_liver_exceeded : float
        That a limit is passed.
    probability_lung_exceeded : float or None
        The same of the lungs; None in a plan whose lung shunt is not known.
    probability_by_lesion : mapping of str to float
        Chance of each lesion alone.
    """

    probability_tumour_reached: float
    probability_normal_liver_exceeded: float
    probability_lung_exceeded: float | None
    probability_by_lesion: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TradeOff:
    """Chances at one total activity (administered, GBq)."""

    administered_total_gbq: float
    probability_tumour_reached: float
    probability_normal_liver_exceeded: float
    probability_lung_exceeded: float | None


@dataclass(frozen=True, slots=True)
class ValueOfKnowing:
    """What halving one uncertainty would change.

    Attributes
    ----------
    probability_tumour_reached : float
        Chance then.
    gain_in_probability : float
        Over the chance now.
    largest_allowed_total_gbq, change_of_total_gbq : float
        Largest total activity then, and its difference from the best one now.
    """

    probability_tumour_reached: float
    gain_in_probability: float
    largest_allowed_total_gbq: float
    change_of_total_gbq: float


@dataclass(frozen=True, slots=True)
class Optimum:
    """The planner's answer.

    Attributes
    ----------
    administered_gbq : mapping of str to float
        Activity to each territory.
    chances : Chances
        At these activities.
    binding_limit : str
        The limit that stops a higher activity, by what it limits or by its id; "none" where the target is reached
        before.
    largest_allowed_total_gbq : float
        Largest total that every limit allows in this direction.
    trade_off : tuple of TradeOff
        Chances along the direction.
    value_of_halving : mapping of str to ValueOfKnowing
        By uncertainty, the largest gain first.
    dose_interval_95_gy : mapping of str to Interval
        What each dose will be with a probability of 95 %: lesions by name (D_x if the aim asks for it), "normal liver"
        (whole), "lungs".
    samples, seed : int
        Of the Monte Carlo.
    """

    administered_gbq: Mapping[str, float]
    chances: Chances = field(metadata=INLINE)
    binding_limit: str
    largest_allowed_total_gbq: float
    trade_off: tuple[TradeOff, ...]
    value_of_halving: Mapping[str, ValueOfKnowing]
    dose_interval_95_gy: Mapping[str, Interval]
    samples: int
    seed: int

    def without_lungs(self) -> Optimum:
        """The same of a plan whose lung shunt is not known: nothing is said of the lungs."""
        return replace(
            self,
            chances=replace(self.chances, probability_lung_exceeded=None),
            trade_off=tuple(replace(point, probability_lung_exceeded=None) for point in self.trade_off),
            dose_interval_95_gy={name: one for name, one in self.dose_interval_95_gy.items() if name != LUNGS},
        )


@dataclass(frozen=True, slots=True)
class _Sampled:
    """Dose per administered GBq in each territory, per sample."""

    lesions: Mapping[str, FloatArray]  # name -> (samples, territories); D_x per GBq
    limits: tuple[tuple[str, FloatArray, float, float], ...]  # name, (samples, territories), limit, probability
    target_gy: float


def optimise(problem: Problem, *, samples: int = SAMPLES, seed: int = 20260302) -> Optimum:
    """Activities with the highest chance under the limits, the trade-off, and what better knowledge would buy.

    Parameters
    ----------
    problem : Problem
        Patient, uncertainties, aims.
    samples, seed : int
        The same seed gives the same answer.

    Returns
    -------
    Optimum
        Where several activities have the same chance (within 0.2 % of it), the one with the lowest total.
    """
    if samples < 100:
        raise InputError("the planner needs at least 100 samples")
    draws = _Draws(seed, samples)
    sampled = _sample(problem, draws)
    direction, chance, largest, binding = _best(sampled, len(problem.territories))
    needed = _needed_total(sampled, direction)
    total = largest
    if chance > 0:
        # Lowest total whose chance is the best one within the tie.
        total = min(largest, _upper_quantile(needed, chance * (1 - TIE)))
    # Dose rises with activity in every sample, so that below certainty more activity would always help.
    reached = chance >= 1 - TIE and total < largest * 0.98
    names = list(problem.territories)
    return Optimum(
        administered_gbq={name: float(total * share) for name, share in zip(names, direction, strict=True)},
        chances=_chances(sampled, total * direction),
        binding_limit="none" if reached else binding,
        largest_allowed_total_gbq=float(largest),
        trade_off=_trade_off(sampled, direction, largest),
        value_of_halving=_value_of_halving(problem, draws, (direction, chance, float(total))),
        dose_interval_95_gy=_intervals(sampled, total * direction, 0.95),
        samples=samples,
        seed=seed,
    )


def chances(
    problem: Problem, administered_gbq: Mapping[str, float], *, samples: int = SAMPLES, seed: int = 20260302
) -> Chances:
    """Probabilities at activities chosen by hand (administered, GBq per territory)."""
    return _chances(_sample(problem, _Draws(seed, samples)), _values(problem, administered_gbq))


def dose_intervals(
    problem: Problem,
    administered_gbq: Mapping[str, float],
    *,
    probability: float = 0.95,
    samples: int = SAMPLES,
    seed: int = 20260302,
) -> dict[str, Interval]:
    """Central interval of every dose that activities (administered, GBq per territory) will give, in Gy.

    Returns
    -------
    dict of str to Interval
        Lesions by name (D_x if the aim asks for it), "normal liver" (whole), "lungs".
    """
    if not 0 < probability < 1:
        raise InputError(f"the probability of an interval must lie between 0 and 1, not {probability:g}")
    return _intervals(_sample(problem, _Draws(seed, samples)), _values(problem, administered_gbq), probability)


def _values(problem: Problem, administered_gbq: Mapping[str, float]) -> FloatArray:
    """Activities in the order of the territories."""
    if set(administered_gbq) != set(problem.territories):
        raise InputError(f"give an activity for each of {', '.join(problem.territories)}")
    return np.array([administered_gbq[name] for name in problem.territories])


def _intervals(sampled: _Sampled, values: FloatArray, probability: float) -> dict[str, Interval]:
    doses = {name: per @ values for name, per in sampled.lesions.items()}
    doses |= {name: per @ values for name, per, _, _ in sampled.limits if name in (NORMAL, LUNGS)}
    tails = ((1 - probability) / 2, (1 + probability) / 2)
    return {name: Interval(*(float(q) for q in np.quantile(dose, tails))) for name, dose in doses.items()}


class _Draws:
    """Standard normal numbers by name: the same for every question asked of one problem."""

    def __init__(self, seed: int, samples: int) -> None:
        self.seed, self.samples = seed, samples
        self._known: dict[str, FloatArray] = {}

    def __call__(self, name: str) -> FloatArray:
        if name not in self._known:
            key = [self.seed, *name.encode()]
            self._known[name] = np.random.Generator(np.random.Philox(np.random.SeedSequence(key))).standard_normal(
                self.samples
            )
        return self._known[name]


def _lognormal(draws: _Draws, name: str, relative_sd: float) -> FloatArray:
    """Factors with median 1 and the relative standard deviation given."""
    sigma = math.sqrt(math.log1p(relative_sd**2))
    return np.asarray(np.exp(sigma * draws(name)))


def _shunt(draws: _Draws, name: str, target: Partition, sd: float) -> FloatArray:
    f = target.lung_shunt
    if not f or not sd:
        return np.full(draws.samples, f)
    logit = math.log(f / (1 - f)) + sd / (f * (1 - f)) * draws(name)
    return np.asarray(1 / (1 + np.exp(-logit)))


def _sample(problem: Problem, draws: _Draws) -> _Sampled:
    """Dose per GBq of every compartment, for every sample and territory."""
    u, aim = problem.uncertainty, problem.aim
    n, names = draws.samples, list(problem.territories)
    calibration = _lognormal(draws, "calibration", u.calibration)
    lesions: dict[str, FloatArray] = {}
    mass_of_lesion: dict[str, FloatArray] = {}
    liver_energy, lungs, perfused = (np.zeros((n, len(names))) for _ in range(3))
    normal_mass = np.full(n, problem.unperfused_normal_kg) * _lognormal(draws, "mass rest", u.mass)
    lung_mass = next(iter(problem.territories.values())).lung_mass_kg * _lognormal(draws, "lung mass", u.lung_mass)
    for t, name in enumerate(names):
        target = problem.territories[name]
        j = problem.constants.get(name, problem.constant).j_per_gbq * calibration
        # One patient has one shunt error: the same draw for all territories.
        shunt = _shunt(draws, "shunt", target, u.lung_shunt)
        normal = target.normal_mass_kg * _lognormal(draws, f"mass {name}", u.mass)
        weight = normal.copy()
        ratios: dict[str, tuple[FloatArray, FloatArray]] = {}
        for lesion in target.lesions:
            ratio = lesion.tumour_to_normal * _lognormal(draws, f"ratio {lesion.name}", u.tumour_to_normal)
            ratio = ratio * _lognormal(draws, f"discordance {name} {lesion.name}", u.discordance)
            mass = lesion.mass_kg * _lognormal(draws, f"mass {lesion.name}", u.mass)
            ratios[lesion.name] = (ratio, mass)
            weight = weight + ratio * mass
        per_normal = j * (1 - shunt) / weight
        perfused[:, t] = per_normal if target.normal_mass_kg else 0.0
        liver_energy[:, t] = per_normal * normal
        lungs[:, t] = j * shunt / lung_mass
        normal_mass = normal_mass + normal
        for lesion_name, (ratio, mass) in ratios.items():
            energy = lesions.setdefault(lesion_name, np.zeros((n, len(names))))
            energy[:, t] += per_normal * ratio * mass
            mass_of_lesion[lesion_name] = mass_of_lesion.get(lesion_name, np.zeros(n)) + mass
    dx = {name: energy / mass_of_lesion[name][:, None] * aim.dx_over_mean for name, energy in lesions.items()}
    doses = _Doses(dx, liver_energy / normal_mass[:, None] if normal_mass.any() else None, lungs, perfused)
    return _Sampled(dx, _limits_of(problem, doses), aim.tumour_gy)


@dataclass(frozen=True, slots=True)
class _Doses:
    """Dose per GBq by sample and territory: lesions, whole normal liver (None without any), lungs, perfused normal."""

    lesions: Mapping[str, FloatArray]
    normal: FloatArray | None
    lungs: FloatArray
    perfused: FloatArray


def _limits_of(problem: Problem, doses: _Doses) -> tuple[tuple[str, FloatArray, float, float], ...]:
    """Name, dose per GBq by sample and territory, limit, and the probability with which it may be passed."""
    aim, names = problem.aim, list(problem.territories)
    p_normal, p_lung = aim.normal_probability, aim.lung_probability
    limits: list[tuple[str, FloatArray, float, float]] = []
    if doses.normal is not None:
        limits.append((NORMAL, doses.normal, aim.normal_limit_gy, p_normal))
        if problem.previous_normal_gy > 0:
            left = aim.normal_lifetime_gy - problem.previous_normal_gy
            limits.append((f"{NORMAL} over a lifetime", doses.normal, left, p_normal))
    limits.append((LUNGS, doses.lungs, aim.lung_limit_gy, p_lung))
    if problem.previous_lung_gy > 0:
        left = aim.lung_lifetime_limit_gy - problem.previous_lung_gy
        limits.append((f"{LUNGS} over a lifetime", doses.lungs, left, p_lung))
    for t, name in enumerate(names):
        known = (aim.perfused_normal_limit_gy, problem.territory_limits_gy.get(name))
        if least := [limit for limit in known if limit is not None]:
            alone = np.zeros_like(doses.perfused)
            alone[:, t] = doses.perfused[:, t]
            limits.append((f"{NORMAL} in {name}", alone, min(least), p_normal))
    for row in problem.nominal_limits:
        # One sample: the plan's own numbers. A probability below one half makes it hold.
        per = np.array([[row.per_gbq.get(name, 0.0) for name in names]])
        limits.append((row.name, per, row.limit, 0.05))
    return tuple(limits)


def _upper_quantile(values: FloatArray, probability: float) -> float:
    """Smallest of `values` that at least the share `probability` of them do not exceed."""
    rank = max(0, math.ceil(probability * values.size - 1e-9) - 1)
    return float(np.partition(values, rank)[rank])


def _largest_total(sampled: _Sampled, direction: FloatArray) -> tuple[float, str]:
    """Largest total activity in a direction that every limit allows, and the limit that stops it."""
    best, binding = math.inf, "none"
    for name, per, limit, probability in sampled.limits:
        quantile = _upper_quantile(per @ direction, 1 - probability)
        if quantile > 0 and limit / quantile < best:
            best, binding = limit / quantile, name
    if math.isinf(best):
        raise InputError("no limit binds: nothing but tumour is perfused and no activity reaches the lungs")
    return best, binding


def _needed_total(sampled: _Sampled, direction: FloatArray) -> FloatArray:
    """Per sample, the total activity at which every lesion has reached the target; infinite if one gets none."""
    lowest = np.min([per @ direction for per in sampled.lesions.values()], axis=0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(lowest > 0, sampled.target_gy / np.maximum(lowest, 1e-300), np.inf))


def _best(sampled: _Sampled, territories: int, start: FloatArray | None = None) -> tuple[FloatArray, float, float, str]:
    """Direction with the best chance, that chance, the largest total and its binding limit."""

    def chance(direction: FloatArray) -> tuple[float, float]:
        largest, _ = _largest_total(sampled, direction)
        lowest = np.min([per @ direction for per in sampled.lesions.values()], axis=0) * (largest / sampled.target_gy)
        # The mean shortfall breaks ties where no direction reaches anything.
        return float(np.mean(lowest >= 1)), -float(np.mean(np.maximum(0.0, 1 - lowest)))

    direction = np.ones(1)
    if territories > 1:
        first = start if start is not None else max(_scan(territories), key=chance)
        direction = _climb(chance, first, step=0.1 if start is None else 0.02)
    largest, binding = _largest_total(sampled, direction)
    return direction, chance(direction)[0], largest, binding


def _scan(territories: int) -> list[FloatArray]:
    """Points spread over the simplex of activity shares: corners, middle, and a Kronecker sequence."""
    count = 16 * 2**territories if territories < 5 else 512
    golden = np.sqrt([2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0, 23.0, 29.0, 31.0, 37.0])
    if territories > golden.size:
        raise InputError(f"the planner takes at most {golden.size} territories")
    uniform = np.mod(np.arange(1, count + 1)[:, None] * golden[:territories], 1.0)
    spacings = -np.log(np.clip(uniform, 1e-6, 1.0))
    points = [row / row.sum() for row in spacings if row.sum() > 0]
    return [*points, *np.eye(territories), np.full(territories, 1 / territories)]


def _climb(chance: Callable[[FloatArray], tuple[float, float]], start: FloatArray, *, step: float) -> FloatArray:
    """Best direction near `start`, by steps along each share that shrink when none helps."""
    best, value = start, chance(start)
    while step > 0.002:
        moved = False
        for t in range(start.size):
            for sign in (+1, -1):
                trial = best.copy()
                trial[t] = max(0.0, trial[t] + sign * step)
                if not trial.sum():
                    continue
                trial /= trial.sum()
                if (new := chance(trial)) > value:
                    best, value, moved = trial, new, True
        step = step if moved else step / 2
    return np.asarray(best)


def _chances(sampled: _Sampled, activity: FloatArray) -> Chances:
    reached = {name: per @ activity >= sampled.target_gy * (1 - ROUNDING) for name, per in sampled.lesions.items()}
    exceeded = {name: float(np.mean(per @ activity > limit * (1 + ROUNDING))) for name, per, limit, _ in sampled.limits}
    normal = max((p for name, p in exceeded.items() if name.startswith(NORMAL)), default=0.0)
    lungs = max(p for name, p in exceeded.items() if name.startswith(LUNGS))
    return Chances(
        probability_tumour_reached=float(np.mean(np.all(list(reached.values()), axis=0))),
        probability_normal_liver_exceeded=normal,
        probability_lung_exceeded=lungs,
        probability_by_lesion={name: float(np.mean(hit)) for name, hit in reached.items()},
    )


def _trade_off(sampled: _Sampled, direction: FloatArray, largest: float) -> tuple[TradeOff, ...]:
    points = []
    for share in np.linspace(0.05, 1.5, 30):
        at = _chances(sampled, largest * share * direction)
        points.append(
            TradeOff(
                float(largest * share),
                at.probability_tumour_reached,
                at.probability_normal_liver_exceeded,
                at.probability_lung_exceeded,
            )
        )
    return tuple(points)


def _value_of_halving(
    problem: Problem, draws: _Draws, now: tuple[FloatArray, float, float]
) -> dict[str, ValueOfKnowing]:
    """Each uncertainty halved in turn: chance, total activity allowed, gain; the largest gain first."""
    direction, chance, total = now
    out = {}
    for part in fields(Uncertainty):
        value = getattr(problem.uncertainty, part.name)
        if not value:
            continue
        better = replace(problem, uncertainty=replace(problem.uncertainty, **{part.name: value / 2}))
        sampled = _sample(better, draws)
        _, new, largest, _ = _best(sampled, len(problem.territories), direction)
        out[part.name] = ValueOfKnowing(new, new - chance, largest, largest - total)
    return dict(sorted(out.items(), key=lambda item: -item[1].gain_in_probability))
