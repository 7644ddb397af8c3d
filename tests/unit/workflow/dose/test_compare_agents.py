"""Agents compared on one patient."""

import math
from pathlib import Path

import pytest
from jsonschema import validate

from hepatica.dosimetry.radiobiology.bed import LIVER, DoseRate, bed_gy
from hepatica.errors import InputError, OutputError, UnknownNameError
from hepatica.nuclides import agent, nuclide
from hepatica.planning.planner.agent_comparison import CompareAim
from hepatica.planning.planner.prescribe import MassOptions
from hepatica.workflow.planning.compare_agents import AgentComparisonResult, compare_agents

PATIENT = MassOptions(normal_mass_kg=1.3, tumour_mass_kg=(0.2,), tumour_to_normal=(4.0,), lung_shunt=0.05)


def compared(*names: str, **aim: float) -> AgentComparisonResult:
    return compare_agents(names, masses=PATIENT, aim=CompareAim(**aim))


def test_the_same_aim_is_reached_by_all() -> None:
    out = compare_agents(masses=PATIENT, aim=CompareAim(normal_dose_gy=40)).agents
    for row in out:
        c = row.column
        assert c.doses.normal_liver_gy == pytest.approx(40)
        assert c.doses.tumour_gy == pytest.approx(160)
        energy = 40 * 1.3 + 160 * 0.2 + (c.doses.lung_gy or 0) * 1.0
        assert energy == pytest.approx(c.administered_gbq * c.carrier.constant.j_per_gbq, rel=1e-9)
    assert [row.column.nuclide for row in out] == ["Y-90", "Y-90", "Ho-166", "Re-188", "I-131", "Lu-177"]


def test_what_an_agents_limits_forbid_is_said() -> None:
    out = compared("QuiremSpheres", "glass", dose_gy=100)
    exceeded = {row.column.agent: [c.limit.id for c in row.column.exceeded] for row in out.agents}
    assert "ho166-perfused-60" in exceeded["ho166-plla"]
    assert any(m.text.startswith("ho166-plla: ") and "60 Gy" in m.text for m in out.messages)


def test_activity_ratios_are_those_of_the_energies() -> None:
    # Reference facts, section 1.1: GBq for equal dose against 90Y.
    names = ["Y-90", "I-131", "Re-188", "Ho-166", "Lu-177", "Sm-153", "Re-186"]
    out = {r.column.agent: r.column.administered_gbq for r in compared(*names, dose_gy=60).agents}
    for name, ratio in zip(names, (1, 1.62, 4.51, 3.21, 2.54, 4.77, 1.99), strict=True):
        assert out[name] / out["Y-90"] == pytest.approx(ratio, rel=0.01)


def test_particles_dose_rate_bed_and_release() -> None:
    glass, resin = compared("glass", "resin", dose_gy=60).agents
    assert glass.column.spheres_million == pytest.approx(glass.column.administered_gbq * 0.4)
    assert (resin.column.spheres_per_ml or 0) > 20 * (glass.column.spheres_per_ml or 0)
    volume = (glass.column.spheres_million or 0) * 1e6 * math.pi / 6 * 25e-4**3
    assert glass.column.embolic_volume_ml == pytest.approx(volume, rel=1e-6)
    hours = nuclide("Y-90").half_life_h
    assert glass.column.initial_dose_rate_gy_h == pytest.approx(60 * math.log(2) / hours)
    normal = glass.column.doses.normal_liver_gy or 0.0
    assert glass.column.bed_normal_liver_gy == pytest.approx(bed_gy(normal, DoseRate.exponential(hours), LIVER))
    assert glass.nrc_may_go_at_once
    assert glass.dose_rate_1m_usv_h > 0


def test_lipiodol_gives_its_dose_with_the_effective_half_life() -> None:
    (out,) = compared("i131-lipiodol", dose_gy=60).agents
    assert "effective" in out.column.trapping
    assert out.column.carrier.constant.j_per_gbq < 0.8 * nuclide("I-131").dose_constant_j_per_gbq()
    assert agent("i131-lipiodol").form == "lipiodol"


def test_the_figure_is_saved(tmp_path: Path) -> None:
    out = compared("glass", "lu177-microspheres", dose_gy=60)
    out.save(tmp_path / "compared")
    assert {p.name for p in (tmp_path / "compared").iterdir()} - {".hepatica.sha256"} == {
        "result.json",
        "agents.csv",
        "agents.svg",
    }
    text = (tmp_path / "compared" / "agents.svg").read_text()
    assert "not known" in text
    assert "glass" in text
    with pytest.raises(OutputError):
        out.save(tmp_path / "compared")
    validate(out.as_dict(), type(out).schema())
    assert "does not show" in str(out)


def test_bad_comparisons() -> None:
    with pytest.raises(InputError, match="exactly one"):
        CompareAim(dose_gy=60, normal_dose_gy=40)
    with pytest.raises(InputError, match="exactly one"):
        compare_agents(masses=PATIENT)
    with pytest.raises(InputError, match="normal_mass_kg"):
        compare_agents(aim=CompareAim(dose_gy=60))
    with pytest.raises(InputError, match="twice"):
        compared("glass", "glass", dose_gy=60)
    with pytest.raises(UnknownNameError):
        compared("marbles", dose_gy=60)
    with pytest.raises(InputError, match="surrogate"):
        compared("maa", dose_gy=60)
