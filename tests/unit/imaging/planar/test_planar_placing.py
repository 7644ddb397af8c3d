"""A CT that does not lie where the patient lay for the views: what is explained is said of the place that is used."""

from typing import Any

import numpy as np
import pytest

from hepatica.imaging.planar.measure import CtModel, Measured, ct_model, measure_on_ct
from hepatica.imaging.planar.options import PlanarUncertaintyOptions
from hepatica.imaging.planar.organs import organs_of
from planar_makers import HELD, PIXEL, ROLES, box_patient, even_rates

SURE = PlanarUncertaintyOptions()


@pytest.fixture(scope="module")
def model() -> CtModel:
    patient = box_patient()
    regions = {region.name: region for region in patient.regions}
    body = regions.pop("body")
    return ct_model(patient.ct.volume, body, regions, ROLES, energy_kev=364.5, pixel_mm=PIXEL, mu_scale=1.0)


def measured(model: CtModel, **place: Any) -> Measured:
    plain = model.body.projected(fwhm_mm=12.0)
    net = np.einsum("k,kvxz->vxz", [HELD[name] for name in plain.names], plain.templates)
    asked = {"place_mm": None, "offset_mm": None} | place
    return measure_on_ct(even_rates(net), model, fwhm_mm=12.0, uncertainty=SURE, **asked)


def lungs(found: Measured) -> tuple[float, float, float]:
    share = {o.name: o for o in organs_of(found.rates, found.roles, found.whole)}["lungs"]
    return (share.share_95[0], share.share.value, share.share_95[1])


def test_a_patient_who_moved_is_measured_where_the_structures_fit(model: CtModel) -> None:
    """By the frame of reference the CT lies 24 mm too high: lungs of 12 % come back from where it fits."""
    x, z = model.body.place_mm
    there = measured(model, place_mm=(x, z))
    assert "ct-off-the-views" not in {m.code for m in there.messages}
    off = measured(model, place_mm=(x, z - 24.0))
    told = {m.code: m for m in off.messages}["ct-off-the-views"]
    assert told.severity == "critical"
    assert "the place that fits is taken" in told.text
    assert lungs(off)[1] == pytest.approx(0.12, abs=0.01)
    assert off.explained == pytest.approx(there.explained, abs=0.002)


def test_a_stated_place_is_kept_and_explains_less(model: CtModel) -> None:
    fit, off = measured(model), measured(model, offset_mm=(0.0, 24.0))
    told = {m.code: m for m in off.messages}["ct-off-the-views"]
    assert told.severity == "critical"
    assert "lung" in told.text
    assert "the stated place is kept" in told.text
    assert fit.explained is not None
    assert off.explained is not None
    assert off.explained < fit.explained - 0.03
    low, _, high = lungs(off)
    assert not low < 0.12 < high
