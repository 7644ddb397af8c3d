"""Two treatments added up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.transform import Transform, warp_volume
from hepatica.dosimetry.radiobiology.bed import LIVER, DoseRate, bed_gy
from hepatica.errors import GeometryError, InputError
from hepatica.transport.matter.media import density_from_hu

FIRST, SECOND = "1.2.826.0.1.3680043.8.498.11111111", "1.2.826.0.1.3680043.8.498.22222222"
GRID = Grid.axial((24, 22, 20), spacing_mm=(5, 5, 5), origin_mm=(-57, -52, -47), frame_of_reference=FIRST)
OTHER = Grid.axial((36, 34, 32), spacing_mm=(5, 5, 5), origin_mm=(-87, -82, -77), frame_of_reference=SECOND)


def distance(grid: Grid) -> np.ndarray:
    return np.linalg.norm(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), axis=-1)


DOSE = Volume(GRID, 40 * np.exp(-(distance(GRID) ** 2) / 2 / 40**2), Kind.DOSE, name="first")
BODY = Region.from_coverage("Liver", GRID, distance(GRID) < 35)
REST = Region.from_coverage("stomach", GRID, (distance(GRID) > 36) & (distance(GRID) < 42))
SHIFT = Transform.translation((7.0, -6.0, 4.0), fixed_frame=FIRST, moving_frame=SECOND, uncertainty_mm=2.0)
MOVED = warp_volume(DOSE, SHIFT.inverse(), OTHER)


def test_doses_of_one_frame_add_up_and_bed_is_that_of_the_course(tmp_path: Path) -> None:
    course = hepatica.CourseOptions(interval_days=60)
    found = hepatica.accumulated_dose(DOSE, DOSE, structures=[BODY, REST], course=course)
    assert np.allclose(found.dose.values, 2 * DOSE.values, rtol=1e-6)
    liver, stomach = found.course.structures
    assert liver.dose_mean_gy == pytest.approx(2 * liver.first_dose_mean_gy)
    # Sixty days apart the two effects simply add: twice the mean BED of one.
    rate = DoseRate.exponential(hepatica.nuclide("Y-90").half_life_h)
    once = BODY.total(DOSE.with_values(bed_gy(DOSE.values, rate, LIVER))) / BODY.volume_ml
    assert liver.bed_mean_gy == pytest.approx(2 * once, rel=1e-6)
    assert stomach.bed_mean_gy is None
    together = hepatica.accumulated_dose(DOSE, DOSE, structures=[BODY], course=hepatica.CourseOptions(interval_days=0))
    twice = BODY.total(DOSE.with_values(bed_gy(2 * DOSE.values, rate, LIVER))) / BODY.volume_ml
    assert together.course.structures[0].bed_mean_gy == pytest.approx(twice, rel=1e-6)
    found.save(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"dose.nii.gz", "bed-liver.nii.gz", "result.json"}


def test_means_are_by_mass_where_densities_are_known() -> None:
    """Half of the structure is lung at -750 HU with 10 Gy, half soft tissue with 40 Gy: 25 Gy by volume, 35 by mass."""
    left = np.arange(24)[:, None, None] < 12
    dose = Volume(GRID, np.broadcast_to(np.where(left, 10.0, 40.0), GRID.shape).copy(), Kind.DOSE)
    hu = np.broadcast_to(np.where(left, -750.0, 40.0), GRID.shape).copy()
    ct = hepatica.Image.from_array(hu, unit="HU", grid=GRID)
    plain = hepatica.accumulated_dose(dose, dose, structures=[BODY])
    (row,) = plain.course.structures
    part = float(BODY.full()[:12].sum()) / BODY.voxels
    assert (row.dose_mean_by, row.first_dose_mean_gy) == ("volume", pytest.approx(10 * part + 40 * (1 - part)))
    assert "means-by-volume" in {message.code for message in plain.messages}
    found = hepatica.accumulated_dose(dose, dose, structures=[BODY], first_ct=ct)
    (row,) = found.course.structures
    light, heavy = (float(density_from_hu(ct.volume).values[i, 0, 0]) for i in (0, 23))
    expected = (10 * light * part + 40 * heavy * (1 - part)) / (light * part + heavy * (1 - part))
    assert expected > 33
    assert row.dose_mean_by == "mass"
    assert row.first_dose_mean_gy == pytest.approx(expected, rel=1e-6)
    assert row.dose_mean_gy == pytest.approx(2 * expected, rel=1e-6)
    assert "by mass" in found.table().title


def test_a_transform_brings_the_second_over_by_value_or_by_energy_and_mass() -> None:
    with pytest.raises(GeometryError, match="give the `transform`"):
        hepatica.accumulated_dose(DOSE, MOVED, structures=[BODY])
    by = hepatica.TransformOptions(transform=SHIFT)
    plain = hepatica.accumulated_dose(DOSE, MOVED, structures=[BODY], registration=by)
    hu = np.where(distance(OTHER) < 100, 40.0, -1000.0)
    ct = hepatica.Image.from_array(hu, unit="HU", grid=OTHER)
    mass = hepatica.accumulated_dose(DOSE, MOVED, structures=[BODY], registration=by, second_ct=ct)
    assert (plain.moved_by, mass.moved_by) == ("value", "energy and mass")
    for found in (plain, mass):
        (liver,) = found.course.structures
        # Interpolated twice at 5 mm: 2 x h^2/6 of blur, 1.5 x 8.3 / 40^2 = 0.8 % off the top of 40 mm.
        assert liver.second_dose_mean_gy == pytest.approx(liver.first_dose_mean_gy, rel=0.008)
        assert any("2 mm along each axis" in message.text for message in found.messages)
        assert liver.uncovered_share == 0
    assert "energy and mass" in mass.provenance.steps[0]
    assert plain.as_dict()["transform"]["kind"] == "rigid"


def test_what_the_second_map_does_not_show_is_said() -> None:
    half = Volume(GRID.crop((slice(0, 12), slice(0, 22), slice(0, 20))), DOSE.values[:12], Kind.DOSE)
    found = hepatica.accumulated_dose(DOSE, half, structures=[BODY])
    assert found.course.structures[0].uncovered_share == pytest.approx(0.5, abs=0.05)
    assert "structure-beyond-dose" in {message.code for message in found.messages}
    assert np.isfinite(found.dose.values).all()


def test_what_contradicts_itself_is_refused() -> None:
    ct = hepatica.Image.from_array(np.zeros(GRID.shape), unit="HU", grid=GRID)
    with pytest.raises(InputError, match="`second_ct` is for a dose that a `transform`"):
        hepatica.accumulated_dose(DOSE, DOSE, structures=[BODY], second_ct=ct)
    by = hepatica.TransformOptions(transform=SHIFT)
    with pytest.raises(GeometryError, match="`second_ct` and the second dose"):
        hepatica.accumulated_dose(DOSE, MOVED, structures=[BODY], registration=by, second_ct=ct)
