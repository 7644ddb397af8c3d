"""From organs at several times to curves and doses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hepatica.core import Estimate, decay_factor, seconds_between
from hepatica.core.message import Message
from hepatica.dosimetry.organs.organ_dose import PHANTOM_GEOMETRY, OrganDose, organ_doses, sphere_dose_gy
from hepatica.dosimetry.organs.s_values import REMAINDER
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.organ_curve import OrganCurve, organ_curve
from hepatica.errors import TimeError
from hepatica.imaging.planar.options import PlanarOrganOptions
from hepatica.imaging.planar.organs import organs_of
from hepatica.imaging.planar.projection import REST
from hepatica.nuclides import Nuclide
from hepatica.workflow.planar.given import KnownAdministration, PlanarGivenOptions
from hepatica.workflow.planar.measuring import MeasuredTime, Study
from hepatica.workflow.planar.shown import TimeOfDistribution

RANDOM = ("counts", "position", "border", "background")
"""Sources of uncertainty that times do not share; the others (attenuation, scatter, thickness, uneven uptake) are of
the patient and the same at every time."""

SOURCES = {
    "liver": "liver", "lung": "lungs", "spleen": "spleen", "kidney": "kidneys", "thyroid": "thyroid",
    "bladder": "bladder_contents", "remainder": REMAINDER,
}  # fmt: skip
"""Source organ of what an organ is."""

GUT = {"stomach": "stomach", "colon": "colon", "small_bowel": "small_intestine", "bowel": "small_intestine",
       "duodenum": "small_intestine"}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Organs of one time as shares of the administered activity."""

    shown: TimeOfDistribution
    elapsed_s: float
    retained: float
    decay: float
    random_sd: Mapping[str, float]
    common_sd: Mapping[str, float]


def retained_of(
    times: Sequence[MeasuredTime], study: Study, known: KnownAdministration, organs: PlanarOrganOptions
) -> list[Point]:
    """Shares of every time; what is left in the body by the count rate of the whole against the first time.

    Raises
    ------
    TimeError
        If views have no time and there are several, or lie before the administration.
    """
    half_life = study.nuclide.half_life_s
    points: list[Point] = []
    first_rate = first_elapsed = 0.0
    for number, one in enumerate(times):
        elapsed = _elapsed(one, known, several=len(times) > 1)
        measured = one.organs
        whole = measured.whole if organs.normalise == "whole-body" else measured.named
        index = {name: n for n, name in enumerate(measured.rates.names)}
        rate = float(sum(measured.rates.cps[index[name]] for name in whole))
        if number == 0:
            first_rate, first_elapsed = rate, elapsed
        decayed = decay_factor(elapsed - first_elapsed, half_life)
        retained = organs.retained * rate / first_rate / decayed
        decay = decay_factor(elapsed, half_life)
        total = None if known.administered_bq is None else known.administered_bq.value / 1e6 * decay * retained
        factor = None if known.calibration is None or organs.normalise != "camera" else known.calibration.factor
        found = organs_of(measured.rates, measured.roles, whole, retained=retained, total_mbq=total, cps_per_mbq=factor)
        shunt = measured.shunt()
        shown = TimeOfDistribution(
            one.time.views.time, elapsed / 3600, one.rates.sides, one.rates.scatter_method, retained, found,
            None if shunt is None else shunt[0], None if shunt is None else shunt[1],
            measured.shunt_uncorrected(), measured.explained,
        )  # fmt: skip
        random = {o.name: math.hypot(*(o.components.get(s, 0.0) for s in RANDOM)) for o in found}
        common = {o.name: math.hypot(*(v for s, v in o.components.items() if s not in RANDOM)) for o in found}
        points.append(Point(shown, elapsed, retained, decay, random, common))
    return points


def _elapsed(one: MeasuredTime, known: KnownAdministration, *, several: bool) -> float:
    start = one.time.views.time
    if start is None or known.administered_at is None:
        if several:
            raise TimeError("views of several times need the instant of each", remedy="correct AcquisitionDateTime")
        return 0.0
    elapsed = seconds_between(known.administered_at, start)
    if elapsed < 0:
        raise TimeError(f"the views at {start} lie {-elapsed / 3600:.3g} h before the administration")
    return elapsed


def curves_of(
    points: Sequence[Point], time: TimeOptions, nuclide: Nuclide, known: KnownAdministration
) -> tuple[OrganCurve, ...]:
    """Curve of every organ that holds something at every time."""
    time.require_used(len(points), integrated=False)
    by_name = [{organ.name: organ for organ in point.shown.organs} for point in points]
    found = []
    for name in by_name[0]:
        if not all(name in organs and organs[name].share.value > 0 for organs in by_name):
            continue
        shares = [organs[name].share.value * p.decay for organs, p in zip(by_name, points, strict=True)]
        random = [p.random_sd[name] * p.decay for p in points]
        common = max(p.common_sd[name] * p.decay / s for p, s in zip(points, shares, strict=True))
        found.append(organ_curve(
            name, [p.elapsed_s for p in points], shares, random, common, time,
            physical_half_life_s=nuclide.half_life_s, administered=known.administered_bq,
        ))  # fmt: skip
    return tuple(found)


def doses_of(
    curves: Sequence[OrganCurve],
    nuclide: Nuclide,
    known: KnownAdministration,
    given: PlanarGivenOptions,
    ct_masses_g: Mapping[str, float],
) -> tuple[tuple[OrganDose, ...], dict[str, Estimate], tuple[Message, ...]]:
    """Doses of organs, of tumours, and what must be known; none without sex and activity."""
    if given.patient_sex is None or known.administered_bq is None:
        return (), {}, ()
    decays: dict[str, Estimate] = {}
    tumours: dict[str, Estimate] = {}
    masses = _target_masses(given.masses_g, ct_masses_g)
    electrons = sum(e.energy_kev * e.yield_per_decay for e in nuclide.electrons if e.kind != "pair")
    electrons += sum(b.mean_kev * b.yield_per_decay for b in nuclide.betas)
    for curve in curves:
        if curve.decays_bq_s is None:
            continue
        source = _source(curve.organ, given.gut_content)
        if source is not None:
            decays[source] = decays[source] + curve.decays_bq_s if source in decays else curve.decays_bq_s
        elif curve.organ in given.masses_g or curve.organ in ct_masses_g:
            mass = given.masses_g.get(curve.organ, ct_masses_g.get(curve.organ, 0.0))
            tumours[curve.organ] = sphere_dose_gy(curve.decays_bq_s, electrons, mass)
    if not decays:
        return (), tumours, ()
    return organ_doses(decays, nuclide.name, given.patient_sex, masses_g=masses), tumours, (PHANTOM_GEOMETRY,)


def _source(organ: str, content: str) -> str | None:
    """Source organ of an organ by its name; None of tumours and parts of the liver."""
    from hepatica.anatomy.structures.clinical import structure_of

    if organ == REST:
        return REMAINDER
    role = structure_of(organ).value
    if role in GUT:
        return f"{GUT[role]}_{content}" if content == "contents" or role == "stomach" else f"{GUT[role]}_contents"
    role = "lung" if role.startswith("lung") else role
    return SOURCES.get(role)


def _target_masses(stated: Mapping[str, float], seen: Mapping[str, float]) -> dict[str, float]:
    """Masses by target organ: stated, else of the CT."""
    found = {}
    for word, target in (("liver", "liver"), ("lungs", "lungs"), ("kidneys", "kidneys"), ("spleen", "spleen"),
                         ("thyroid", "thyroid")):  # fmt: skip
        mass = stated.get(word, seen.get(word))
        if mass is not None:
            found[target] = mass
    return found
