"""Agents: every one complete, every fact with a source, limits usable."""

from __future__ import annotations

import json

import jsonschema
import pytest

from hepatica.core.document import document, document_schema
from hepatica.core.numbers.confidence import MEANING
from hepatica.errors import UnknownNameError
from hepatica.nuclides import AGENT_NAMES, Agent, agent, spheres_per_mg

NEEDED = {
    "carrier",
    "sphere_diameter_um",
    "density_g_ml",
    "activity_per_sphere_bq",
    "vials_gbq",
    "calibration",
    "approval",
}
CONFIDENCE = set(MEANING)
EMPTY = {"not found", "not applicable"}


@pytest.mark.parametrize("name", AGENT_NAMES)
def test_every_agent_is_complete(name: str) -> None:
    a = agent(name)
    assert a.name == name
    assert set(a.facts) >= NEEDED
    for fact in a.facts.values():
        assert fact.source
        assert fact.confidence in CONFIDENCE
        assert (fact.value is None) == (fact.confidence in EMPTY)
    for limit in a.limits:
        assert limit.comparison in {">=", "<="}
        assert limit.structure in {"tumour", "normal_liver", "perfused", "perfused_normal", "lung", "marrow"}
        assert limit.dose_gy > 0
        assert limit.source
        assert limit.confidence in CONFIDENCE - EMPTY
    assert set(a.imaging) <= {mode.mode for mode in a.nuclide.imaging}
    assert a.status in {"approved", "investigational", "pre-clinical", "withdrawn"}
    found = json.loads(json.dumps(document(a), allow_nan=False))
    assert found["nuclide_name"] == a.nuclide_name
    jsonschema.validate(found, document_schema(Agent))
    assert name in a._repr_html_()
    assert a.product in repr(a)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("theraSphere", "glass"),
        ("TheraSphere", "glass"),
        ("90Y glass", "glass"),
        ("SIR-Spheres", "resin"),
        ("QuiremSpheres", "ho166-plla"),
        ("QuiremScout", "ho166-scout"),
        ("Lipiocis", "i131-lipiodol"),
        ("Milican", "ho166-chitosan"),
        ("99mTc-MAA", "maa"),
    ],
)
def test_names_products_and_aliases(spelling: str, name: str) -> None:
    assert agent(spelling) is agent(name)


def test_unknown_agent_and_unknown_fact_list_the_choices() -> None:
    with pytest.raises(UnknownNameError, match=r"glass.*resin"):
        agent("plastic")
    with pytest.raises(UnknownNameError, match="density_g_ml"):
        agent("glass").fact("colour")


# Read at the sources named in the tables.
PUBLISHED = [
    ("glass", "sphere_diameter_range_um", (20.0, 30.0)),  # package insert USA v12
    ("glass", "vials_gbq", (3.0, 5.0, 7.0, 10.0, 15.0, 20.0)),  # package insert USA v12
    ("glass", "activity_per_sphere_bq", 2500.0),  # PMC6095426 Table 3
    ("glass", "label_half_life_h", 64.1),  # package insert USA v12
    ("resin", "sphere_diameter_um", 32.5),  # WJH 2015;7:738
    ("resin", "density_g_ml", 1.6),  # PMC6095426 Table 3
    ("resin", "activity_standard_bias", 0.26),  # Selwyn 2008
    ("ho166-plla", "density_g_ml", 1.4),  # PMC8583383 Table 4
    ("ho166-plla", "activity_per_sphere_bq", (200.0, 400.0)),  # PMC8583383 Table 4
    ("ho166-scout", "mass_per_treatment_mg", 60.0),  # Vente 2010
    ("ho166-chitosan", "activity_per_cm_gbq", 0.74),  # Cho 2005: 20 mCi per cm
    ("re188-hdd-lipiodol", "activity_per_treatment_gbq", (4.8, 7.0)),  # Lambert 2005
]


@pytest.mark.parametrize(("name", "fact", "value"), PUBLISHED)
def test_facts_as_published(name: str, fact: str, value: object) -> None:
    assert agent(name).fact(fact).value == value


def test_facts_print_with_their_unit() -> None:
    facts = agent("glass").facts
    assert str(facts["density_g_ml"]) == "3.3 g/mL"
    assert str(facts["sphere_diameter_range_um"]) == "20–30 um"
    assert str(facts["vials_gbq"]) == "3, 5, 7, 10, 15, 20 GBq"
    assert str(agent("i131-lipiodol").fact("sphere_diameter_um")) == "not applicable"
    assert str(agent("lu177-microspheres").fact("density_g_ml")) == "not found"


@pytest.mark.parametrize(
    ("diameter_um", "expected", "label"), [(20.0, 72343, 73000), (25.0, 37040, None), (30.0, 21435, 22000)]
)
def test_spheres_per_mg_worked_example_a5(diameter_um: float, expected: int, label: int | None) -> None:
    """Example A5: glass at 3.3 g/mL; the package insert's range is 22 000 to 73 000 per mg."""
    density = agent("glass").fact("density_g_ml").value
    assert isinstance(density, float)
    number = spheres_per_mg(diameter_um, density)
    assert number == pytest.approx(expected, abs=1)
    if label:
        assert number == pytest.approx(label, rel=0.03)


def _doses(a: Agent, structure: str, comparison: str) -> list[float]:
    return sorted(x.dose_gy for x in a.limits_for(structure) if x.comparison == comparison)


def test_limits_of_the_eanm_2022_tables() -> None:
    """Weber 2022, Tables 2 (glass) and 3 (resin); lung 30 Gy per treatment and 50 Gy cumulative."""
    glass, resin = agent("glass"), agent("resin")
    assert _doses(glass, "tumour", ">=") == [189, 205, 250, 260]
    assert _doses(glass, "normal_liver", "<=") == [50, 75, 90]
    assert _doses(glass, "perfused", ">=") == [80, 140, 400]
    assert _doses(glass, "lung", "<=") == [30, 50]
    assert _doses(resin, "tumour", ">=") == [40, 100, 100, 120]
    assert _doses(agent("ho166-plla"), "tumour", ">=") == [155, 184.5]
    assert _doses(resin, "normal_liver", "<=") == [30, 40, 70, 80]
    assert _doses(resin, "lung", "<=") == [25, 30, 50]
    assert _doses(agent("ho166-plla"), "perfused", "<=") == [60]
    assert _doses(agent("i131-lipiodol"), "tumour", ">=") == [180]


def test_a_limit_knows_whether_it_is_met() -> None:
    goal = next(x for x in agent("glass").limits_for("tumour") if x.dose_gy == 205)
    limit = next(x for x in agent("glass").limits_for("lung") if x.dose_gy == 30)
    assert goal.is_met(205)
    assert not goal.is_met(204.9)
    assert limit.is_met(30)
    assert not limit.is_met(30.1)
