"""Planar biodistributions of a virtual patient with the literature's truths, and S values of organs.

Truth: 131I-lipiodol with 61 % in tumours, 23 % in the rest of the liver, 16 % in the lungs (Becker). The whole study,
with 188Re-SSS (Delaunay), the Monte Carlo camera, several patients and its coverage, is
``tools/studies/planar_study.py``; here one patient, analytic camera, coarse voxels.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Estimate
from hepatica.dosimetry.organs.organ_dose import organ_doses, sphere_dose_gy
from hepatica.dosimetry.organs.s_values import (
    reference_masses_g,
    s_value,
    scaled_s_value,
    sources,
    targets,
)
from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.planar.from_ct.projection import place_of_ct
from hepatica.imaging.planar.options import PlanarCountsOptions, PlanarUncertaintyOptions
from hepatica.imaging.planar.organs import STILL
from hepatica.imaging.planar.rates import count_rates
from hepatica.imaging.planar.views import frozen
from hepatica.nuclides import nuclide

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools" / "studies"))
import planar_study as study

RAD_PER_UCI_H = 1e-2 / (3.7e4 * 3600) * 1e9
"""mGy/(MBq s) in one rad/(uCi h)."""


def test_shares_of_a_virtual_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked: liver and lungs within 5 points, tumour within 15; the shunt reads 30 % or more too high uncorrected.

    Of the 24 intervals over noise and moved inputs 95 % would hold the truth: 22.8 +- 1.1; organs of one patient move
    together (two of three are free), so 19 is three of these below.
    """
    monkeypatch.setattr(study, "PIXEL_MM", 8.0)
    agent, seed = "lipiodol", 3
    patient = study.patient_of(agent, seed)
    seen = study.views_of(patient, agent, "analytic", 0)
    chosen = nuclide(study.AGENTS[agent][0])
    regions, roles = study.organs_in(patient)
    energy = study.photon_energy_kev(chosen, seen.views.windows[0])
    body, pixel = patient.regions["body"], seen.views.pixel_mm
    model = study.ct_model(patient.ct, body, regions, roles, energy_kev=energy, pixel_mm=pixel, mu_scale=1.0)
    truth, held, uncertainty = study.truth_of(patient), [], PlanarUncertaintyOptions()
    draw = np.random.default_rng(seed)
    for repeat in range(9):
        noisy = frozen(seen.views, draw.poisson(seen.views.counts).astype(float))
        rates = count_rates(noisy, 0, PlanarCountsOptions(planar_scatter="none"), half_life_s=chosen.half_life_s)
        offset, explained = place_of_ct(rates.net, model.body.projected())
        base = STILL if repeat == 0 else study.random_move(draw, model.body.names, uncertainty)
        found, bare, _ = study.measured(model, rates, offset, base, uncertainty)
        if repeat == 0:
            assert explained > 0.9
            for name, limit in (("liver", 0.05), ("lungs", 0.05), ("all tumours", 0.15)):
                assert found[name].share.value == pytest.approx(truth[name], abs=limit)
            assert bare / (truth["lungs"] / (truth["lungs"] + truth["liver"])) > 1.30
            continue
        held += [found[n].share_95[0] <= truth[n] <= found[n].share_95[1] for n in study.ORGANS]
    assert sum(held) >= 19


def test_s_values_of_99mtc_are_those_of_mird_11() -> None:
    """MIRD Pamphlet 11 (1975), 99mTc, rad/(uCi h), from memory: liver to itself 4.6e-5, spleen 3.3e-4, kidneys 1.9e-4.

    Organs of the same mass (liver 1.81 kg) but another phantom: photons of the self-dose differ by shape, 5 to 10 %.
    Spleen and kidneys are scaled to that phantom's masses (174 g, 284 g).
    """
    for organ, mass, published in (("liver", 1810, 4.6e-5), ("spleen", 174, 3.3e-4), ("kidneys", 284, 1.9e-4)):
        found = scaled_s_value("male", "Tc-99m", organ, organ, {organ: mass}).total.value
        assert found == pytest.approx(published * RAD_PER_UCI_H, rel=0.12), organ


def test_photons_obey_reciprocity() -> None:
    """S(a <- b) = S(b <- a) of photons in even matter; lungs and liver differ by build-up at their border, a few %."""
    for one, other in (("liver", "lungs"), ("liver", "kidneys"), ("spleen", "lungs")):
        there, back = s_value("female", "I-131", one, other).photons, s_value("female", "I-131", other, one).photons
        assert there.value == pytest.approx(back.value, rel=0.05), (one, other)


@pytest.mark.parametrize("name", ["I-131", "Y-90", "Re-188", "Ho-166", "Lu-177", "Sm-153", "Re-186", "Tc-99m"])
@pytest.mark.parametrize("sex", ["female", "male"])
def test_electrons_stay_where_they_are_and_energy_is_kept(name: str, sex: str) -> None:
    """The liver absorbs nearly all of its electrons' energy; the body no more than is emitted.

    A beta of 90Y leaves the liver's rim: 11 mm at most of a radius of 70; 0.9 is its lowest share.
    """
    emitter, masses = nuclide(name), reference_masses_g(sex)  # type: ignore[arg-type]
    kev = sum(b.mean_kev * b.yield_per_decay for b in emitter.betas)
    kev += sum(e.energy_kev * e.yield_per_decay for e in emitter.electrons if e.kind != "pair")
    whole = kev * 1.602176634e-16 / (masses["liver"] / 1000) * 1e9
    own = s_value(sex, name, "liver", "liver").electrons  # type: ignore[arg-type]
    assert 0.9 < own.value / whole < 1.01
    body = s_value(sex, name, "total_body", "liver")  # type: ignore[arg-type]
    photons = sum(p.energy_kev * p.yield_per_decay for p in emitter.photons)
    most = (kev + photons) * 1.602176634e-16 / (masses["total_body"] / 1000) * 1e9
    assert body.total.value <= most * 1.02
    assert own.sd is not None
    assert own.sd < 0.02 * own.value


def test_131i_in_the_thyroid() -> None:
    """MIRD Pamphlet 11, 131I, thyroid of 19.6 g to itself, from memory: 2.2e-2 rad/(uCi h), two digits; 5 %."""
    found = scaled_s_value("male", "I-131", "thyroid", "thyroid", {"thyroid": 19.6}).total.value
    assert found == pytest.approx(2.2e-2 * RAD_PER_UCI_H, rel=0.05)


def test_organ_doses_add_up_and_scale() -> None:
    decays = {"liver": Estimate(1e15, 1e13), "lungs": Estimate(2e14, 0.0)}
    found = {dose.organ: dose for dose in organ_doses(decays, "I-131", "male")}
    by_hand = 1e6 * s_value("male", "I-131", "liver", "liver").total.value
    by_hand += 2e5 * s_value("male", "I-131", "liver", "lungs").total.value
    assert found["liver"].dose_gy.value == pytest.approx(by_hand)
    own = s_value("male", "I-131", "liver", "liver")
    assert found["liver"].dose_gy.sd == pytest.approx(0.01 * 1e6 * own.total.value, rel=0.05)
    light = {dose.organ: dose for dose in organ_doses(decays, "I-131", "male", masses_g={"liver": 900.0})}
    ratio = reference_masses_g("male")["liver"] / 900
    assert light["liver"].self_gy == pytest.approx(
        1e6 * (own.electrons.value * ratio + own.photons.value * ratio ** (2 / 3))
    )
    assert light["kidneys"].dose_gy.value == found["kidneys"].dose_gy.value
    assert sphere_dose_gy(Estimate(1e14, 0.0), 191.8, 100.0).value == pytest.approx(
        1e14 * 191.8 * 1.602e-16 / 0.1, rel=1e-3
    )


def test_rest_of_the_body_gives_no_electrons_to_a_source() -> None:
    """S of the remainder: of electrons nothing reaches the liver, which is not in it (within counting noise)."""
    decays = {"liver": Estimate(0.0, 0.0), "remainder": Estimate(1e15, 0.0)}
    found = {dose.organ: dose for dose in organ_doses(decays, "I-131", "male")}
    electrons = found["liver"].dose_gy.value - found["liver"].photons_gy
    assert 0 <= electrons < 0.02 * found["total_body"].dose_gy.value
    with pytest.raises(InputError, match="at least one"):
        organ_doses({}, "I-131", "male")
    with pytest.raises(UnknownNameError):
        s_value("male", "I-131", "knee", "liver")
    with pytest.raises(UnknownNameError):
        s_value("male", "F-18", "liver", "liver")
    assert "liver" in sources("male", "I-131")
    assert "red_marrow" in targets("female", "Y-90")
