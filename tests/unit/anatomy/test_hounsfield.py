"""A CT that is not in HU is refused or said, before a density is made of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

import hepatica
from hepatica.anatomy.ct.hounsfield import (
    AIR_NOT_AIR,
    LIVER_NOT_LIVER,
    LUNGS_NOT_LUNG,
    NO_AIR,
    TISSUE_NOT_TISSUE,
    checked_hu,
    structure_doubts,
)
from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure
from hepatica.core import Kind, Region, Volume
from hepatica.errors import UnitError
from hepatica.transport.matter.media import density_from_hu

SHAPE, SPACING_MM = (34, 24, 20), (10.0, 10.0, 10.0)
GRID = hepatica.Grid.axial(SHAPE, spacing_mm=SPACING_MM)
BODY = np.zeros(SHAPE, bool)
BODY[3:-3, 2:-2] = True
ACROSS = np.arange(SHAPE[0])[:, None, None]
LUNGS, LIVER = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
LUNGS[5:15, 5:18, 12:] = True
LIVER[5:18, 5:18, 2:10] = True


def _ct() -> np.ndarray:
    hu = np.where(BODY, 20.0, -1000.0)
    hu[LUNGS], hu[LIVER] = -750.0, 55.0
    return hu


def _volume(values: np.ndarray, grid: hepatica.Grid = GRID) -> Volume:
    return Volume(grid, values.astype(np.float32), Kind.HU)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda hu: hu + 1024, id="stored values"),
        pytest.param(lambda hu: hu + 1000, id="hu-plus-1000"),
        pytest.param(lambda hu: np.where(BODY, hu + 1024, -2000), id="stored values, padded"),
        pytest.param(lambda hu: hu / 1000, id="hu-over-1000"),
        pytest.param(lambda hu: density_from_hu(_volume(hu)).values, id="g/mL"),
    ],
)
def test_numbers_that_are_no_hu_are_refused(wrong: Callable[[np.ndarray], np.ndarray]) -> None:
    with pytest.raises(UnitError, match="not HU"):
        checked_hu(_volume(wrong(_ct())), "ct.nii")


def test_a_ct_in_hu_says_nothing() -> None:
    assert checked_hu(_volume(_ct()), "ct.nii") == ()
    structures = [_structure("lungs", LUNGS, Structure.LUNG), _structure("liver", LIVER, Structure.LIVER)]
    assert structure_doubts(_volume(_ct()), structures, ()) == ()


def test_what_may_well_be_hu_is_not_refused() -> None:
    inside = hepatica.Grid.axial((12, 12, 8), spacing_mm=SPACING_MM)
    assert checked_hu(_volume(_ct()[5:17, 5:17, 2:10], inside), "cut inside the trunk") == ()
    assert checked_hu(_volume(np.zeros(SHAPE)), "water everywhere") == ()
    noisy = np.where(BODY, np.random.default_rng(1).normal(0, 8, SHAPE), -1000)
    assert checked_hu(_volume(noisy), "water phantom") == ()


def test_a_body_sized_field_without_air_is_doubtful() -> None:
    (message,) = checked_hu(_volume(np.where(BODY, 40.0, -100.0)), "ct.nii")
    assert (message.code, message.severity) == (NO_AIR, "critical")


@pytest.mark.parametrize(
    ("wrong", "codes"),
    [
        pytest.param(lambda hu: hu - 100, {TISSUE_NOT_TISSUE, AIR_NOT_AIR}, id="intercept 100 too low"),
        pytest.param(lambda hu: np.maximum(hu - 100, -1024), {TISSUE_NOT_TISSUE}, id="the same, cut at -1024"),
        pytest.param(lambda hu: hu + 100, {AIR_NOT_AIR}, id="100 too high"),
        pytest.param(lambda hu: 0.9 * hu, {AIR_NOT_AIR}, id="slope 10 % too small"),
        pytest.param(lambda hu: np.where(BODY, hu - 100, -3024), {TISSUE_NOT_TISSUE}, id="padded, tissue too low"),
        pytest.param(lambda hu: np.where(BODY, hu, -3024), set(), id="padded"),
        pytest.param(lambda hu: hu - 24, set(), id="air at -1024"),
        pytest.param(lambda hu: np.where((hu == 20) & (ACROSS < 20), -100, hu), set(), id="six tenths of it fat"),
    ],
)
def test_tissue_or_air_that_is_not_where_hu_have_it_is_said(
    wrong: Callable[[np.ndarray], np.ndarray], codes: set[str]
) -> None:
    """Margins are 30 HU below water, 60 around air: 20 - 100 = -80 and -1100 lie beyond, -1024 does not."""
    found = checked_hu(_volume(wrong(_ct())), "ct.nii")
    assert {one.code for one in found} == codes
    assert all(one.severity == "critical" and "RescaleIntercept" in one.remedy for one in found)


def _structure(name: str, mask: np.ndarray, role: Structure) -> ClinicalRegion:
    return ClinicalRegion(Region.from_coverage(name, GRID, mask.astype(float)), role)


def test_heavy_lungs_and_impossible_livers_are_critical_unless_stated() -> None:
    hu = _ct()
    hu[LUNGS], hu[LIVER] = -250.0, 600.0
    structures = [_structure("lungs", LUNGS, Structure.LUNG), _structure("liver", LIVER, Structure.LIVER)]
    found = structure_doubts(_volume(hu), structures, ())
    assert [(one.code, one.severity) for one in found] == [(LUNGS_NOT_LUNG, "critical"), (LIVER_NOT_LIVER, "critical")]
    assert structure_doubts(_volume(hu), structures, ("lungs", "liver")) == ()


@pytest.mark.parametrize(("lung_hu", "judged"), [(-750.0, "image"), (-250.0, None)])
def test_a_lung_limit_is_not_kept_by_lungs_that_are_none(lung_hu: float, judged: str | None) -> None:
    """50 GBq s/mL everywhere in the lungs: with 0.75 g/mL their dose is a third, below a limit that it exceeds."""
    hu = _ct()
    hu[LUNGS] = lung_hu
    at = datetime(2026, 3, 2, 14, 30)
    activity = np.where(LIVER, 1e6, np.where(LUNGS, 1e5, 0.0))
    result = hepatica.absorbed_dose(
        hepatica.Image.from_array(activity, unit="Bq/mL", grid=GRID, time=at, nuclide="Y-90"),
        ct=hepatica.Image.from_array(hu, unit="HU", grid=GRID),
        nuclide="Y-90",
        structures=[
            _structure("liver", LIVER, Structure.LIVER).region,
            _structure("lungs", LUNGS, Structure.LUNG).region,
        ],
        engine="local",
        options=hepatica.DoseOptions(
            quantification=hepatica.QuantificationOptions(administered_at=at),
            clinical=hepatica.StructureOptions(agent="glass"),
        ),
    )
    assert result.lung_doses is not None
    assert result.lung_doses.judged == judged
    rows = [row for row in result.limits if row.structure == "lungs"]
    assert rows
    assert all(bool(row.not_judged) == (judged is None) for row in rows)


@pytest.mark.parametrize(("lung_hu", "believed"), [(-750.0, True), (-250.0, False)])
def test_a_lung_shunt_takes_no_mass_of_lungs_that_are_none(lung_hu: float, believed: bool) -> None:
    hu = _ct()
    hu[LUNGS] = lung_hu
    result = hepatica.lung_shunt(
        hepatica.Image.from_array(
            np.where(LIVER, 100.0, np.where(LUNGS, 1.0, 0.0)), unit="counts", grid=GRID, nuclide="Tc-99m"
        ),
        structures=[
            _structure("liver", LIVER, Structure.LIVER).region,
            _structure("lungs", LUNGS, Structure.LUNG).region,
        ],
        reading=hepatica.ScoutOptions(ct=hepatica.Image.from_array(hu, unit="HU", grid=GRID)),
    )
    assert (result.lung_mass_kg is not None) is believed
    assert (LUNGS_NOT_LUNG in {message.code for message in result.messages}) is not believed
