"""Every prescription: the formula, what it refuses, energy, inversions."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepatica.errors import HepaticaError, InputError, UnknownNameError
from hepatica.planning.planner.territories import Injection, PreviousTreatment, course_doses
from hepatica.planning.prescriptions import lipiodol
from hepatica.planning.prescriptions import microspheres as rx
from hepatica.planning.prescriptions.compartments import (
    LUNGS,
    NORMAL,
    ActivityRatioPartition,
    Lesion,
    Partition,
    lesions_from,
)
from hepatica.planning.prescriptions.dose_constants import DoseConstant

LABEL = DoseConstant(50.0, "Y-90", "label", 64.05 * 3600)
MIRD = DoseConstant(49.67, "Y-90", "mird", 64.05 * 3600)
HOLMIUM = DoseConstant(15.87, "Ho-166", "label", 26.824 * 3600)
IODINE = DoseConstant(30.746, "I-131", "ensdf", 8.0252 * 86400)

masses = st.floats(1e-3, 5.0)
ratios = st.floats(0.05, 50.0)
shares = st.floats(0.0, 0.95)
doses = st.floats(1.0, 1000.0)


@st.composite
def partitions(draw: st.DrawFn, lesions: int | None = None) -> Partition:
    n = draw(st.integers(1, 4)) if lesions is None else lesions
    return Partition(
        draw(masses),
        lesions_from([draw(masses) for _ in range(n)], [draw(ratios) for _ in range(n)]),
        draw(shares),
        draw(st.floats(0.3, 2.0)),
    )


def energy_j(target: Partition, gy: rx.Doses) -> float:
    lesions = math.fsum(gy.lesions_gy[t.name] * t.mass_kg for t in target.lesions)
    return lesions + (gy.normal_liver_gy or 0) * target.normal_mass_kg + (gy.lung_gy or 0) * target.lung_mass_kg


@given(partitions(), st.floats(0.01, 20.0))
def test_energy_closes(target: Partition, activity: float) -> None:
    assert energy_j(target, target.doses(activity, MIRD)) == pytest.approx(activity * 49.67, rel=1e-9)
    assert math.fsum(target.shares().values()) == pytest.approx(1, rel=1e-12)
    d = target.doses(activity, MIRD)
    assert d.tumour_gy == pytest.approx(
        math.fsum(d.lesions_gy[t.name] * t.mass_kg for t in target.lesions) / target.tumour_mass_kg, rel=1e-9
    )


@given(partitions(), doses)
def test_inversions_round_trip(target: Partition, dose: float) -> None:
    normal = target.activity_for_normal_dose(dose, MIRD)
    assert target.doses(normal, MIRD).normal_liver_gy == pytest.approx(dose, rel=1e-9)
    tumour = target.activity_for_tumour_dose(dose, MIRD)
    assert target.doses(tumour, MIRD).tumour_gy == pytest.approx(dose, rel=1e-9)
    first = target.lesions[0].name
    one = target.activity_for_tumour_dose(dose, MIRD, first)
    assert target.doses(one, MIRD).lesions_gy[first] == pytest.approx(dose, rel=1e-9)
    if target.lung_shunt > 1e-6:
        lungs = target.activity_for_lung_dose(dose, MIRD)
        assert target.doses(lungs, MIRD).lung_gy == pytest.approx(dose, rel=1e-9)


@given(masses, masses, shares, doses)
def test_partition_with_equal_uptake_is_mird(normal: float, tumour: float, lsf: float, dose: float) -> None:
    split = Partition(normal, (Lesion("tumour", tumour, 1.0),), lsf)
    whole = Partition(normal + tumour, (), lsf)
    a = rx.partition(split, MIRD, normal_limit_gy=dose, residual=0.02)
    b = rx.mird(dose, whole, MIRD, residual=0.02)
    assert a.planned_gbq == pytest.approx(b.planned_gbq, rel=1e-9)


@given(partitions(lesions=1), doses)
def test_one_lesion_is_the_two_compartment_formula(target: Partition, dose: float) -> None:
    # van Roekel p. 30 / Gulec 2006: A = D_N (T/N m_T + m_N) / (49.67 (1 - LSF)).
    lesion = target.lesions[0]
    expected = dose * (lesion.tumour_to_normal * lesion.mass_kg + target.normal_mass_kg)
    expected /= 49.67 * (1 - target.lung_shunt)
    out = rx.partition(target, MIRD, normal_limit_gy=dose)
    assert out.administered_gbq == pytest.approx(expected, rel=1e-12)


@given(masses, shares, shares, doses, st.floats(1.001, 3.0))
def test_activity_rises_with_dose_mass_shunt_and_residual(
    mass: float, lsf: float, residual: float, dose: float, factor: float
) -> None:
    def activity(m: float = mass, f: float = lsf, r: float = residual, d: float = dose) -> float:
        return rx.mird(d, Partition(m, (), f), LABEL, residual=r).planned_gbq

    base = activity()
    assert activity(d=dose * factor) == pytest.approx(base * factor, rel=1e-9)
    assert activity(m=mass * factor) == pytest.approx(base * factor, rel=1e-9)
    assert activity(f=lsf + 0.04) > base
    assert activity(r=residual + 0.04) > base


@given(partitions(), st.floats(0.01, 10.0), st.floats(1.1, 5.0))
def test_dose_is_linear_in_activity(target: Partition, activity: float, factor: float) -> None:
    one, more = target.doses(activity, MIRD), target.doses(activity * factor, MIRD)
    for a, b in zip(one.lesions_gy.values(), more.lesions_gy.values(), strict=True):
        assert b == pytest.approx(a * factor, rel=1e-9)


def test_mird_divides_by_what_reaches_the_liver() -> None:
    out = rx.mird(120, Partition(1.5, (), 0.05), LABEL, residual=0.02)
    assert out.planned_gbq == pytest.approx(120 * 1.5 / (50 * 0.95 * 0.98), rel=1e-12)
    assert out.administered_gbq == pytest.approx(120 * 1.5 / (50 * 0.95), rel=1e-12)
    assert out.doses is not None
    assert out.doses.perfused_gy == pytest.approx(120)
    assert out.doses.normal_liver_gy is None
    assert out.doses.tumour_gy is None
    assert out.doses.lung_gy == pytest.approx(out.administered_gbq * 0.05 * 50)


def test_mird_with_lesions_shares_the_dose_out() -> None:
    target = Partition(1.3, (Lesion("tumour", 0.2, 4.0),), 0.05)
    out = rx.mird(120, target, LABEL)
    assert out.doses is not None
    mean = (out.doses.normal_liver_gy * 1.3 + out.doses.tumour_gy * 0.2) / 1.5  # type: ignore[operator]
    assert mean == pytest.approx(120, rel=1e-9)
    assert out.doses.tumour_gy == pytest.approx(4 * out.doses.normal_liver_gy)  # type: ignore[operator]


def test_bsa_and_its_reductions() -> None:
    out = rx.bsa(1.75, 75, 0.2, LABEL)
    assert out.planned_gbq == pytest.approx(1.9031, abs=1e-4)
    assert rx.bsa(1.75, 75, 0.2, LABEL, lung_shunt=0.12).planned_gbq == pytest.approx(1.9031 * 0.8, abs=1e-4)
    assert rx.bsa(1.75, 75, 0.2, LABEL, lung_shunt=0.16).planned_gbq == pytest.approx(1.9031 * 0.6, abs=1e-4)
    none = rx.bsa(1.75, 75, 0.2, LABEL, lung_shunt=0.21)
    assert none.planned_gbq == 0
    assert "do not treat" in str(none.messages[0])


def test_lobar_bsa_of_the_whole_liver_is_bsa() -> None:
    whole = rx.bsa_lobar(1.75, 75, rx.LobeVolumes(300, 1500, 1500), LABEL)
    assert whole.planned_gbq == pytest.approx(rx.bsa(1.75, 75, 0.2, LABEL).planned_gbq, rel=1e-12)
    lobe = rx.bsa_lobar(1.75, 75, rx.LobeVolumes(200, 900, 1500), LABEL)
    expected = (rx.body_surface_area_m2(1.75, 75) - 0.2 + 200 / 900) * 900 / 1500
    assert lobe.planned_gbq == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("involvement", "activity"), [(0.1, 2.0), (0.25, 2.5), (0.5, 2.5), (0.6, 3.0)])
def test_empiric(involvement: float, activity: float) -> None:
    assert rx.empiric(involvement, LABEL).planned_gbq == activity
    assert rx.empiric(involvement, LABEL, lung_shunt=0.12).planned_gbq == pytest.approx(0.8 * activity)


def test_a_rule_without_masses_gets_doses_in_a_patient() -> None:
    target = Partition(1.4, (Lesion("tumour", 0.1, 5.0),), 0.03)
    out = rx.with_doses(rx.bsa(1.75, 75, 0.07, MIRD, residual=0.05), target)
    assert out.doses is not None
    assert energy_j(target, out.doses) == pytest.approx(out.administered_gbq * 49.67, rel=1e-9)


def test_partition_by_activity_takes_the_residual_off() -> None:
    target = Partition(1.0, (Lesion("tumour", 0.2, 5.0),), 0.05)
    out = rx.partition(target, MIRD, planned_gbq=2.0, residual=0.1)
    assert out.planned_gbq == pytest.approx(2.0)
    assert out.administered_gbq == pytest.approx(1.8)


def test_the_lung_limit_caps_partition() -> None:
    target = Partition(1.0, (Lesion("tumour", 0.2, 5.0),), 0.2)
    out = rx.partition(target, MIRD, normal_limit_gy=80, lung_limit_gy=30)
    assert out.doses is not None
    assert out.doses.lung_gy == pytest.approx(30)
    assert "lung limit" in out.messages[0].text


@given(st.floats(0.1, 50), shares, masses, masses, st.floats(0.01, 10))
def test_activity_ratio_model_closes_and_keeps_its_own_definitions(
    ratio: float, tlsf: float, tumour: float, normal: float, activity: float
) -> None:
    model = ActivityRatioPartition(ratio, tlsf, tumour, normal)
    target = model.partition()
    shares_of = target.shares()
    assert shares_of["tumour"] / shares_of[NORMAL] == pytest.approx(ratio, rel=1e-9)
    assert shares_of[LUNGS] / (shares_of[LUNGS] + shares_of["tumour"]) == pytest.approx(tlsf, rel=1e-9, abs=1e-15)
    assert energy_j(target, target.doses(activity, MIRD)) == pytest.approx(activity * 49.67, rel=1e-9)


def test_activity_ratio_is_not_the_concentration_ratio() -> None:
    ratio = rx.activity_ratio(ActivityRatioPartition(3.0, 0.0, 0.2, 1.0), MIRD, normal_limit_gy=40)
    concentration = rx.partition(Partition(1.0, (Lesion("tumour", 0.2, 3.0),)), MIRD, normal_limit_gy=40)
    assert ratio.method == "activity-ratio"
    assert ratio.planned_gbq == pytest.approx(40 * 4 * 1.0 / 49.67)
    assert ratio.planned_gbq > 2 * concentration.planned_gbq


def test_holmium() -> None:
    out = rx.holmium(60, Partition(1.5), HOLMIUM)
    assert out.planned_gbq == pytest.approx(5.67, rel=1e-3)
    with pytest.raises(InputError, match="Ho-166"):
        rx.holmium(60, Partition(1.5), LABEL)


def test_fixed_lipiodol_gives_the_cohorts_lung_dose() -> None:
    # Monsieurs 2003: 1.9 GBq, lungs 6.8 Gy; 16 % in 1 kg implies T_eff 5.84 d (worked example F3).
    # Becker 2008, 131I-lipiodol on day 7: tumour 61 %, normal liver 23 %, lungs 16 %.
    shares = {"tumour": (0.61, 0.1), NORMAL: (0.23, 1.6), LUNGS: (0.16, 1.0)}
    organs = [lipiodol.OrganUptake(name, *pair, 5.84 * 86400) for name, pair in shares.items()]
    out = lipiodol.fixed_activity(organs, IODINE, administered_gbq=1.9)
    assert out.doses is not None
    assert out.doses.lung_gy == pytest.approx(6.8, rel=0.005)
    assert lipiodol.fixed_activity((), IODINE).planned_gbq == 2.22


def test_organ_limit_takes_the_tightest_organ() -> None:
    rhenium = DoseConstant(11.028, "Re-188", "ensdf", 17.005 * 3600)
    organs = (
        lipiodol.OrganUptake("tumour", 0.6, 0.2),
        lipiodol.OrganUptake(NORMAL, 0.25, 1.5, 12.6 * 3600, 30.0),
        lipiodol.OrganUptake(LUNGS, 0.08, 1.0, 12.0 * 3600, 12.0),
    )
    out = lipiodol.organ_limited(organs, rhenium)
    caps = [30 * 1.5 / (11.028 * 12.6 / 17.005 * 0.25), 12 * 1.0 / (11.028 * 12 / 17.005 * 0.08)]
    assert out.administered_gbq == pytest.approx(min(caps))
    assert "lungs" in out.messages[0].text
    with pytest.raises(InputError, match="add up"):
        lipiodol.organ_limited((*organs, lipiodol.OrganUptake("gut", 0.5, 1.0)), rhenium)
    with pytest.raises(InputError, match="no answer"):
        lipiodol.organ_limited(organs[:1], rhenium)


def test_territories_add_up_and_energy_closes() -> None:
    right = Injection("right", Partition(0.8, (Lesion("a", 0.1, 4.0), Lesion("b", 0.02, 2.0)), 0.05), 1.5, MIRD)
    left = Injection("left", Partition(0.3, (Lesion("b", 0.03, 3.0),), 0.02), 0.5, MIRD)
    earlier = PreviousTreatment("2025-01", normal_liver_gy=10, lung_gy=4)
    out = course_doses([right, left], whole_normal_liver_kg=1.4, previous=[earlier])
    assert out.energy_j == pytest.approx(2.0 * 49.67, rel=1e-9)
    right_d, left_d = right.target.doses(1.5, MIRD), left.target.doses(0.5, MIRD)
    assert out.lesions_gy["b"] == pytest.approx((right_d.lesions_gy["b"] * 0.02 + left_d.lesions_gy["b"] * 0.03) / 0.05)
    assert out.lung_cumulative_gy == pytest.approx(right_d.lung_gy + left_d.lung_gy + 4)
    expected = (right_d.normal_liver_gy * 0.8 + left_d.normal_liver_gy * 0.3) / 1.4  # type: ignore[operator]
    assert out.normal_liver_gy == pytest.approx(expected)
    with pytest.raises(InputError, match="overlap or leave"):
        course_doses([right, left], whole_normal_liver_kg=1.0)
    with pytest.raises(InputError, match="share a name"):
        course_doses([right, right], whole_normal_liver_kg=3.0)


BAD = {
    "negative mass": lambda: Partition(-1.0),
    "zero mass": lambda: Partition(0.0),
    "LSF of 1": lambda: Partition(1.0, (), 1.0),
    "LSF in percent": lambda: Partition(1.0, (), 5.0),
    "negative LSF": lambda: Partition(1.0, (), -0.01),
    "T/N of 0": lambda: Lesion("tumour", 0.1, 0.0),
    "NaN mass": lambda: Partition(math.nan),
    "residual of 1": lambda: rx.mird(120, Partition(1.0), LABEL, residual=1.0),
    "negative dose": lambda: rx.mird(-1, Partition(1.0), LABEL),
    "no aim": lambda: rx.partition(Partition(1.0, (Lesion("t", 0.1, 2),)), MIRD),
    "two aims": lambda: rx.partition(Partition(1.0), MIRD, normal_limit_gy=40, planned_gbq=1),
    "tumour aim without tumour": lambda: rx.partition(Partition(1.0), MIRD, tumour_dose_gy=100),
    "height in cm": lambda: rx.bsa(175, 75, 0.2, LABEL),
    "involvement in percent": lambda: rx.bsa(1.75, 75, 20, LABEL),
    "tumour larger than lobe": lambda: rx.LobeVolumes(1000, 900, 1500),
    "lobe larger than liver": lambda: rx.LobeVolumes(100, 1900, 1500),
    "T/N missing for a tumour": lambda: lesions_from([0.1, 0.2], [3.0]),
    "lesions of one name": lambda: Partition(1.0, (Lesion("t", 0.1, 2), Lesion("t", 0.1, 3))),
    "TLSF of 1": lambda: ActivityRatioPartition(2.0, 1.0, 0.1, 1.0),
    "zero activity": lambda: rx.partition(Partition(1.0), MIRD, planned_gbq=0.0),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(case: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        case()


def test_unknown_lesion_lists_the_choices() -> None:
    with pytest.raises(UnknownNameError, match="tumour"):
        Partition(1.0, lesions_from([0.1], [3])).activity_for_tumour_dose(100, MIRD, "metastasis")


def test_effective_half_life_cannot_exceed_the_physical_one() -> None:
    assert IODINE.retained(None) == 30.746
    with pytest.raises(HepaticaError, match="longer"):
        IODINE.retained(9 * 86400)
