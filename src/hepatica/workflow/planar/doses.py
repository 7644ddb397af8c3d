"""Doses of organs and lesions from the curves of a biodistribution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hepatica.anatomy.structures.kinds import LUNGS, Structure
from hepatica.core import Estimate
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.message import Message
from hepatica.dosimetry.organs.organ_dose import PHANTOM_GEOMETRY, OrganDose, organ_doses, sphere_dose_gy
from hepatica.dosimetry.organs.s_values import REMAINDER, reference_masses_g, sources
from hepatica.dosimetry.time.organ_curve import OrganCurve
from hepatica.dosimetry.time.voiding import bladder_residence_s
from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides import Nuclide
from hepatica.workflow.planar.given import PlanarGivenOptions

SOURCES = {
    "liver": "liver", "lung": "lungs", "spleen": "spleen", "kidney": "kidneys", "thyroid": "thyroid",
    "bladder": "bladder_contents", "remainder": REMAINDER,
}  # fmt: skip
"""Source organ of what an organ is."""

GUT = {"stomach": "stomach", "colon": "colon", "small_bowel": "small_intestine", "bowel": "small_intestine",
       "duodenum": "small_intestine"}  # fmt: skip

BLADDER = SOURCES["bladder"]
LEAST_EXCRETED = 0.01
"""Share of the administered activity from which on it is said that excretion is not in the doses: a dose to the bladder
of less is below that from what decays in the body. Our choice."""

WITHIN_LIVER = (Structure.TUMOUR.value, Structure.NORMAL_LIVER.value, Structure.ALL_TUMOURS.value)
"""Parts of the liver, whose decays are the liver's."""

MASSES = ("liver", "lungs", "kidneys", "spleen", "thyroid")
"""Organs whose self-dose is scaled to the patient's mass."""

MOST_UNLIKE = 10.0
"""Factor on the reference adult's mass beyond which a stated one is a slip of unit or organ. Our choice; goitres of
200 g are inside."""


def doses_of(
    curves: Sequence[OrganCurve],
    roles: Mapping[str, str],
    nuclide: Nuclide,
    given: PlanarGivenOptions,
    ct_masses_g: Mapping[str, float],
    body: Sequence[str] = (),
) -> tuple[tuple[OrganDose, ...], dict[str, Estimate], tuple[Message, ...]]:
    """Doses of organs, of tumours, and what must be known; none without sex and absolute activities.

    Raises
    ------
    InputError
        If a mass is of no organ here, far from a reference adult's, or without effect.
    """
    _require_masses(given, roles)
    if given.patient_sex is None or all(curve.decays_bq_s is None for curve in curves):
        return (), {}, ()
    known = sources(given.patient_sex, nuclide.name)
    has_liver = any(roles[curve.organ] == Structure.LIVER.value for curve in curves)
    decays: dict[str, Estimate] = {}
    tumours: dict[str, Estimate] = {}
    elsewhere: list[str] = []
    unweighed: list[str] = []
    for curve in curves:
        held, role = curve.decays_bq_s, roles[curve.organ]
        if held is None:
            continue
        source = _source(role, given.gut_content)
        if role in WITHIN_LIVER:
            source = None if has_liver or role != Structure.TUMOUR.value else "liver"
        elif source is None or source not in (*known, REMAINDER):
            elsewhere.append(curve.organ)
            source = REMAINDER
        if source is not None:
            decays[source] = decays[source] + held if source in decays else held
        if role in (Structure.TUMOUR.value, Structure.TUMOUR_ELSEWHERE.value):
            mass = given.masses_g.get(curve.organ, ct_masses_g.get(curve.organ))
            if mass is None:
                unweighed.append(curve.organ)
            else:
                tumours[curve.organ] = sphere_dose_gy(held, _electrons_kev(nuclide), mass)
    through, told = _through_bladder([c for c in curves if c.organ in body], roles, nuclide, given)
    if through is not None:
        decays[BLADDER] = through
    notes = (*_notes(elsewhere, unweighed), *told)
    if not decays:
        return (), tumours, notes
    masses = _target_masses(given.masses_g, ct_masses_g)
    found = organ_doses(decays, nuclide.name, given.patient_sex, masses_g=masses)
    return found, tumours, (PHANTOM_GEOMETRY, *notes)


def _through_bladder(
    body: Sequence[OrganCurve], roles: Mapping[str, str], nuclide: Nuclide, given: PlanarGivenOptions
) -> tuple[Estimate | None, tuple[Message, ...]]:
    """Decays in the bladder of what leaves the body, and what must be known; None where it is drawn, or not stated.

    Raises
    ------
    InputError
        If a voiding interval is stated of a bladder that is measured.
    """
    measured = Structure.BLADDER.value in roles.values()
    if measured and given.voiding_interval_s is not None:
        raise InputError("the bladder is drawn, and what it holds is measured: `voiding_interval_s` has no effect")
    if any(curve.effective_half_life_h is None for curve in body):
        if given.voiding_interval_s is not None:
            raise InputError(
                "what passes the bladder is by the curves' half-lives; one time by a formula has none",
                remedy="leave `voiding_interval_s` out, or state `effective_half_life_s`",
            )
        return None, ()
    decay = math.log(2) / nuclide.half_life_s
    excreted = 0.0
    for curve in body:
        parts = [(a, math.log(2) / t) for a, t in zip(curve.amplitudes, curve.half_lives_s, strict=True)]
        excreted += sum(a * max(1 - decay / rate, 0.0) for a, rate in parts)
    # Curves that begin with more than was administered are told elsewhere; what leaves is not more than that.
    excreted = min(excreted, 1.0)
    if measured or excreted < LEAST_EXCRETED:
        return None, ()
    if given.voiding_interval_s is None:
        text = (
            f"{100 * excreted:.0f} % of the administered activity leaves the body before it decays, by its curves; "
            "what bladder and bowel receive on its way is not in the doses"
        )
        remedy = "draw the bladder and measure it (`planar_organs`), or state `voiding_interval_s` and `urine_share`"
        return None, (Message("excretion-not-in-doses", text, remedy),)
    text = (
        f"{100 * excreted:.0f} % of the administered activity leaves the body before it decays, "
        f"{100 * given.urine_share:g} % of it through a bladder that is emptied every "
        f"{given.voiding_interval_s / 3600:g} h; how it fills is a model"
    )
    return _in_bladder(body, nuclide, given), (Message("bladder-by-model", text, severity="note"),)


def _in_bladder(body: Sequence[OrganCurve], nuclide: Nuclide, given: PlanarGivenOptions) -> Estimate:
    """Decays in the bladder of what leaves the body, Bq s.

    Their uncertainty is that of the curves' height and of their half-life, of all organs together; that of the model is
    not known and not in it.
    """
    assert given.voiding_interval_s is not None
    total, spread, known = 0.0, 0.0, True
    for curve in body:
        if curve.decays_bq_s is None:
            continue
        administered = curve.decays_bq_s.value / (SECONDS_PER_HOUR * curve.residence_time_h.value)

        def held(by_s: float, curve: OrganCurve = curve, administered: float = administered) -> float:
            longest = max(curve.half_lives_s)
            half_lives = [t + by_s if t == longest else t for t in curve.half_lives_s]
            return administered * bladder_residence_s(
                curve.amplitudes, half_lives, physical_half_life_s=nuclide.half_life_s,
                interval_s=given.voiding_interval_s or 0.0, urine_share=given.urine_share,
            )  # fmt: skip

        own, height = held(0.0), curve.decays_bq_s.relative_sd
        half_life = curve.effective_half_life_h
        # A stated half-life without an uncertainty has none in the decays either.
        by = 0.0 if half_life is None or half_life.sd is None else half_life.sd * SECONDS_PER_HOUR
        by = min(by, 0.9 * max(curve.half_lives_s))
        known = known and height is not None
        spread += math.hypot(own * (height or 0.0), (held(by) - held(-by)) / 2)
        total += own
    return Estimate(total, spread if known else None)


def _electrons_kev(nuclide: Nuclide) -> float:
    electrons = sum(e.energy_kev * e.yield_per_decay for e in nuclide.electrons if e.kind != "pair")
    return electrons + sum(b.mean_kev * b.yield_per_decay for b in nuclide.betas)


def _notes(elsewhere: Sequence[str], unweighed: Sequence[str]) -> tuple[Message, ...]:
    found = []
    if elsewhere:
        text = (
            f"there are no S values of {', '.join(elsewhere)} as a source: for doses what it holds lies in the rest of "
            "the body, even by mass; its own dose is not given"
        )
        found.append(Message("source-in-remainder", text))
    if unweighed:
        text = f"the dose of {', '.join(unweighed)} is not given: its mass is not known"
        found.append(Message("tumour-mass-unknown", text, "state `organ_mass_kg`, or draw it on a CT"))
    return tuple(found)


def _require_masses(given: PlanarGivenOptions, roles: Mapping[str, str]) -> None:
    for name, mass in given.masses_g.items():
        if name not in (*roles, *MASSES):
            raise UnknownNameError("organ of a stated mass", name, {*roles, *MASSES})
        if given.patient_sex is None:
            raise InputError(f"the mass of {name} has no effect without `patient_sex`: there are no doses")
        usual = reference_masses_g(given.patient_sex).get(name)
        if usual is not None and not usual / MOST_UNLIKE < mass < usual * MOST_UNLIKE:
            raise InputError(
                f"a mass of {mass / 1000:.4g} kg of {name}: the reference adult's is {usual / 1000:.3g} kg",
                remedy="state `organ_mass_kg` in kg",
            )


def _source(role: str, content: str) -> str | None:
    """Source organ of what an organ is; None of what has none."""
    if role in GUT:
        return f"{GUT[role]}_{content}" if content == "contents" or role == "stomach" else f"{GUT[role]}_contents"
    return SOURCES.get("lung" if role in LUNGS else role)


def _target_masses(stated: Mapping[str, float], seen: Mapping[str, float]) -> dict[str, float]:
    """Masses by target organ: stated, else of the CT."""
    found = {}
    for word in MASSES:
        mass = stated.get(word, seen.get(word))
        if mass is not None:
            found[word] = mass
    return found
