"""Agents compared on one patient."""

import math
from pathlib import Path

import pytest

from hepatica.cli.compare_nuclides import DEFAULT_AGENTS
from hepatica.dosimetry.radiobiology.bed import LIVER, DoseRate, bed_gy
from hepatica.errors import InputError, OutputError, UnknownNameError
from hepatica.nuclides import agent, nuclide
from hepatica.planning.planner.agent_comparison import CompareAim
from hepatica.planning.prescriptions.compartments import Lesion, Partition
from hepatica.workflow.planning.compare_agents import compare_on_patient, save_figure

PATIENT = Partition(1.3, (Lesion("tumour", 0.2, 4.0),), 0.05)


def test_the_same_aim_is_reached_by_all() -> None:
    out = compare_on_patient(DEFAULT_AGENTS, PATIENT, CompareAim(normal_gy=40))
    for row in out:
        c = row.column
        assert c.doses.normal_liver_gy == pytest.approx(40)
        assert c.doses.tumour_gy == pytest.approx(160)
        energy = 40 * 1.3 + 160 * 0.2 + (c.doses.lung_gy or 0) * 1.0
        assert energy == pytest.approx(c.activity_gbq * c.carrier.constant.j_per_gbq, rel=1e-9)
    assert [row.column.carrier.nuclide.name for row in out] == ["Y-90", "Y-90", "Ho-166", "Re-188", "I-131", "Lu-177"]


def test_activity_ratios_are_those_of_the_energies() -> None:
    # Reference facts, section 1.1: GBq for equal dose against 90Y.
    names = ["Y-90", "I-131", "Re-188", "Ho-166", "Lu-177", "Sm-153", "Re-186"]
    out = {r.column.carrier.name: r.column.activity_gbq for r in compare_on_patient(names, PATIENT, CompareAim(60))}
    for name, ratio in zip(names, (1, 1.62, 4.51, 3.21, 2.54, 4.77, 1.99), strict=True):
        assert out[name] / out["Y-90"] == pytest.approx(ratio, rel=0.01)


def test_particles_dose_rate_bed_and_release() -> None:
    glass, resin = compare_on_patient(["glass", "resin"], PATIENT, CompareAim(perfused_gy=60))
    assert glass.column.spheres_million == pytest.approx(glass.column.activity_gbq * 0.4)
    assert (resin.column.spheres_per_ml or 0) > 20 * (glass.column.spheres_per_ml or 0)
    volume = (glass.column.spheres_million or 0) * 1e6 * math.pi / 6 * 25e-4**3
    assert glass.column.embolic_volume_ml == pytest.approx(volume, rel=1e-6)
    hours = nuclide("Y-90").half_life_h
    assert glass.column.initial_dose_rate_gy_h == pytest.approx(60 * math.log(2) / hours)
    normal = glass.column.doses.normal_liver_gy or 0.0
    assert glass.column.bed_normal_gy == pytest.approx(bed_gy(normal, DoseRate.exponential(hours), LIVER))
    assert glass.may_go_at_once
    assert glass.dose_rate_1m_usv_h > 0


def test_lipiodol_gives_its_dose_with_the_effective_half_life() -> None:
    (out,) = compare_on_patient(["i131-lipiodol"], PATIENT, CompareAim(perfused_gy=60))
    assert "effective" in out.column.trapping
    assert out.column.carrier.constant.j_per_gbq < 0.8 * nuclide("I-131").dose_constant_j_per_gbq()
    assert agent("i131-lipiodol").form == "lipiodol"


def test_the_figure_is_written(tmp_path: Path) -> None:
    out = compare_on_patient(["glass", "lu177-microspheres"], PATIENT, CompareAim(perfused_gy=60))
    save_figure(out, tmp_path / "compare.svg")
    text = (tmp_path / "compare.svg").read_text()
    assert "not known" in text
    assert "glass" in text
    with pytest.raises(OutputError):
        save_figure(out, tmp_path / "compare.bmp")


def test_bad_comparisons() -> None:
    with pytest.raises(InputError, match="exactly one"):
        CompareAim(60, 40)
    with pytest.raises(InputError, match="twice"):
        compare_on_patient(["glass", "glass"], PATIENT, CompareAim(60))
    with pytest.raises(UnknownNameError):
        compare_on_patient(["marbles"], PATIENT, CompareAim(60))
    with pytest.raises(InputError, match="surrogate"):
        compare_on_patient(["maa"], PATIENT, CompareAim(60))
