"""Limits: published values, how a plan stands to them, and which apply."""

import pytest

import hepatica
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.limits.dose_limits import QUANTITIES, LimitContext, check_limits, intent_target, limit, limits


def test_the_table_says_what_eanm_2022_says() -> None:
    # Worked example D9 (Weber 2022, Tables 2 and 3), D7 (HEPAR Primary), D8 (DOSISPHERE-01).
    expected = {
        "glass-segmentectomy-400": 400, "glass-tumour-205": 205, "glass-normal-75": 75, "glass-normal-50-bilirubin": 50,
        "glass-normal-90-bilirubin": 90, "glass-perfused-normal-120-low-reserve": 120, "resin-segmentectomy-150": 150,
        "resin-tumour-100": 100, "resin-tumour-120-preferred": 120, "resin-normal-40": 40,
        "resin-normal-30-compromised": 30, "resin-lobectomy-normal-70": 70, "ho166-tumour-155": 155, "lung-30": 30,
        "lung-50-cumulative": 50,
    }  # fmt: skip
    assert {name: limit(name).limit for name in expected} == expected
    ids = [row.id for row in limits()]
    assert len(set(ids)) == len(ids) > 25
    assert {row.quantity for row in limits()} <= set(QUANTITIES)
    assert all(row.source and row.confidence for row in limits())


@pytest.mark.parametrize(("value", "status"), [(20, "met"), (28, "near"), (30, "near"), (30.1, "violated")])
def test_status_of_a_maximum(value: float, status: str) -> None:
    assert limit("lung-30").status(value) == status


@pytest.mark.parametrize(("value", "status"), [(204, "violated"), (205, "near"), (226, "met")])
def test_status_of_a_target(value: float, status: str) -> None:
    assert limit("glass-tumour-205").status(value) == status


def test_liver_function_decides_which_limit_applies() -> None:
    values = {"normal_liver_gy": 60.0}
    high = check_limits(values, LimitContext("glass", "bilobar", "HCC", bilirubin_mg_dl=1.5))
    assert {c.limit.id: c.status for c in high} == {"glass-normal-50-bilirubin": "violated"}
    low = check_limits(values, LimitContext("glass", "bilobar", "HCC", bilirubin_mg_dl=0.8))
    assert {c.limit.id: c.status for c in low} == {"glass-normal-90-bilirubin": "met"}
    unknown = check_limits(values, LimitContext("glass", "bilobar", "HCC"))
    assert all("bilirubin" in c.applies_if for c in unknown)
    assert len(unknown) == 2


def test_targets_need_an_intent_and_violations_come_first() -> None:
    values = {"tumour_gy": 150.0, "lung_gy": 35.0, "perfused_gy": 100.0}
    without = check_limits(values, LimitContext("glass"))
    assert not [c for c in without if c.limit.bound == "min" and "*" not in c.limit.intents]
    out = check_limits(values, LimitContext("glass", "unilobar", "HCC"))
    assert out[0].status == "violated"
    assert out[-1].status == "met"
    assert "glass-segmentectomy-400" not in {c.limit.id for c in out}


def test_general_limits_hold_for_any_agent() -> None:
    out = check_limits({"lung_gy": 40.0}, LimitContext("lu177-microspheres"))
    assert [c.limit.id for c in out] == ["lung-30"]


def test_bad_context() -> None:
    with pytest.raises(UnknownNameError, match="segmentectomy"):
        LimitContext("glass", intent="segment")
    with pytest.raises(InputError, match="umol"):
        LimitContext("glass", bilirubin_mg_dl=85.0)
    with pytest.raises(UnknownNameError):
        check_limits({"kidney_gy": 1.0}, LimitContext("glass"))
    with pytest.raises(UnknownNameError):
        limit("lung-31")


def test_intents_have_doses() -> None:
    assert intent_target("glass", "segmentectomy", "HCC").limit == 400
    assert intent_target("resin", "segmentectomy").limit == 150
    assert intent_target("glass", "lobectomy").limit == 140
    with pytest.raises(InputError, match="state `dose_gy`"):
        intent_target("ho166-plla", "segmentectomy")
    with pytest.raises(InputError, match="state `dose_gy`"):
        intent_target("glass", "segmentectomy", "mCRC")


def test_a_shunt_of_nought_that_is_stated_is_not_one_that_nobody_stated() -> None:
    aim, perfused = hepatica.AimOptions(dose_gy=120.0), hepatica.PerfusedOptions(mass_kg=1.5)
    glass = hepatica.SubstanceOptions(agent="glass")
    for shunt, status, lung_gy in ((None, "not evaluated", None), (0.0, "met", 0.0)):
        masses = hepatica.MassOptions(lung_shunt=shunt)
        found = hepatica.prescribe("mird", substance=glass, perfused=perfused, masses=masses, aim=aim).assessed
        doses = found.prescription.doses
        assert doses is not None
        assert doses.lung_gy == lung_gy
        assert {row.status for row in found.limits if row.limit.quantity.startswith("lung_")} == {status}
