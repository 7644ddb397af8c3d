"""A dose from an activity that lies in another frame of reference than the CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

import hepatica
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.transform import Transform, warp_volume
from hepatica.core.transform.reach import led_back
from hepatica.errors import GeometryError, InputError
from hepatica.io.registration.itk_transform import write_itk_transform
from hepatica.workflow.dose.numbers import StructureResult

FIXED, MOVING = "1.2.826.0.1.3680043.8.498.11111111", "1.2.826.0.1.3680043.8.498.22222222"
GRID = Grid.axial((36, 34, 30), spacing_mm=(4, 4, 4), origin_mm=(-70, -66, -58), frame_of_reference=FIXED)
AT = datetime(2026, 3, 4, 10)
GIVEN = hepatica.QuantificationOptions(administered_at=AT)


def distance(grid: Grid, centre: tuple[float, float, float]) -> np.ndarray:
    return np.linalg.norm(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - centre, axis=-1)


CT = hepatica.Image.from_array(np.where(distance(GRID, (0, 0, 0)) < 58, 40.0, -1000.0), unit="HU", grid=GRID, name="CT")
LIVER = Region.from_coverage("Liver", GRID, distance(GRID, (0, 0, 0)) < 45)
TUMOUR = Region.from_coverage("Tumour", GRID, distance(GRID, (12, 0, 0)) < 14)
UPTAKE = np.exp(-(distance(GRID, (12, 0, 0)) ** 2) / 2 / 15**2) * 1e6
HERE = hepatica.Image.from_array(UPTAKE, unit="Bq/mL", grid=GRID, time=AT, nuclide="Y-90", name="PET")


def turned(degrees: float, shift: tuple[float, float, float]) -> np.ndarray:
    turn = np.deg2rad(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix[:3, 3] = shift
    return matrix


def elsewhere(transform: Transform) -> hepatica.Image:
    """The activity as a scanner would see it in the moving frame."""
    own = Grid.axial((44, 44, 38), spacing_mm=(4, 4, 4), origin_mm=(-86, -86, -74), frame_of_reference=MOVING)
    seen = warp_volume(HERE.volume, transform.inverse(), own, "activity")
    return replace(HERE, volume=seen)


THERE = replace(HERE, volume=HERE.volume.in_frame(MOVING))
SAME_PLACE = Transform.translation((0, 0, 0), fixed_frame=FIXED, moving_frame=MOVING)


def dose(activity: hepatica.Image, **options: object) -> hepatica.DoseResult:
    asked = hepatica.DoseOptions(quantification=GIVEN, **options)  # type: ignore[arg-type]
    return hepatica.absorbed_dose(
        activity, ct=CT, nuclide="Y-90", structures=[LIVER, TUMOUR], engine="local", options=asked
    )


def test_a_rigid_transform_gives_the_dose_of_images_that_lie_together(tmp_path: Path) -> None:
    transform = Transform.affine(
        turned(10, (9, -6, 12)), fixed_frame=FIXED, moving_frame=MOVING, uncertainty_mm=2.0, method="made"
    )
    moved = elsewhere(transform)
    with pytest.raises(GeometryError, match=r"different frames of reference.*`transform`"):
        dose(moved)
    path = write_itk_transform(tmp_path / "t.tfm", transform)
    found = dose(moved, registration=hepatica.TransformOptions(transform=path))
    truth = dose(HERE)
    # Interpolated twice at 4 mm: h^2/8 of the second derivative of a Gaussian of 15 mm, 16/8/225 x 3 axes x 2 = 5 %
    # at the very top, less over a structure.
    for name in ("Liver", "Tumour"):
        assert found[name].dose_mean_gy == pytest.approx(truth[name].dose_mean_gy, rel=0.03)
    assert found.dose.total == pytest.approx(truth.dose.total, rel=5e-3)
    codes = {message.code: message.text for message in found.messages}
    assert "uncertainty 2 mm" in codes["image-moved"]
    assert any("rigid transform" in step for step in found.provenance.steps)
    assert any(item.role == "transform" and item.path == str(path) for item in found.provenance.inputs)
    assert found.as_dict()["provenance"]["parameters"]["transform"] == [str(path)]


def tumour_of(found: hepatica.DoseResult) -> StructureResult:
    return next(item for item in found.structures if item.dose.name == "Tumour")


def test_a_dose_on_an_array_that_states_its_frame_is_saved_in_it(tmp_path: Path) -> None:
    folder = dose(THERE, registration=hepatica.TransformOptions(transform=SAME_PLACE)).save(tmp_path / "dose")
    assert pydicom.dcmread(folder / "dose.dcm").FrameOfReferenceUID == FIXED


def test_the_position_is_in_the_uncertainty_of_the_dose() -> None:
    """Of 2 mm along each axis, against the doses of images that lie 2 mm off; said not to be known where it is not."""

    def tumour(by_mm: Sequence[float], sd_mm: float | None) -> StructureResult:
        transform = Transform.translation(by_mm, fixed_frame=FIXED, moving_frame=MOVING, uncertainty_mm=sd_mm)
        return tumour_of(dose(THERE, registration=hepatica.TransformOptions(transform=transform)))

    here = tumour((0, 0, 0), 2.0)
    sides = [(side * 2.0 * np.eye(3)[axis]).tolist() for axis in range(3) for side in (-1, 1)]
    means = np.array([tumour(by_mm, None).dose.dose_mean_gy for by_mm in sides])
    expected = np.sqrt(np.square(means / here.dose.dose_mean_gy - 1).sum() / 2)
    chain = here.uncertainty
    assert chain is not None
    # The local dose follows the activity, up to the change of mass of a voxel of 4 mm at the border.
    assert chain.position_relative_sd == pytest.approx(expected, rel=0.1)
    assert chain.dose_relative_sd > chain.position_relative_sd > 0
    unknown, together = tumour((0, 0, 0), None).uncertainty, tumour_of(dose(HERE)).uncertainty
    assert unknown is not None
    assert "position by the transform" in unknown.not_known
    assert together is not None
    assert together.position_relative_sd == 0
    assert "position by the transform" not in together.not_known


def test_a_deformation_keeps_the_activity() -> None:
    # Looked up between voxels and averaged over them: a blur of h^2/6 + h^2/12 along each axis; the structure, drawn on
    # the CT's voxels, is shared out to those of the dose: h^2/6 more. Of 4 mm together 6.7 mm2, which takes
    # 1.5 x 6.7 / 225 = 4.5 % off the top of a Gaussian of 15 mm, and less off the mean of a structure.
    points = GRID.to_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))
    field = np.exp(-(points**2).sum(-1) / 2 / 25**2)[..., None] * np.array([2.0, -3.0, 9.0])
    transform = Transform.field(GRID, field, moving_frame=MOVING).checked()
    # What a scanner sees of tissue that moved: at each of its points the concentration of the fixed point, thinned out
    # by the determinant.
    own = Grid.axial((44, 44, 38), spacing_mm=(4, 4, 4), origin_mm=(-86, -86, -74), frame_of_reference=MOVING)
    back = led_back(transform, own.to_mm(np.moveaxis(np.indices(own.shape), 0, -1)).reshape(-1, 3))
    seen = np.exp(-(np.linalg.norm(back - (12, 0, 0), axis=-1) ** 2) / 2 / 15**2) * 1e6 / transform.determinants(back)
    moved = replace(HERE, volume=replace(HERE.volume, grid=own, values=seen.reshape(own.shape)))
    found = dose(moved, registration=hepatica.TransformOptions(transform=transform))
    truth = dose(HERE)
    assert found.activity[0].volume.total == pytest.approx(moved.volume.total, rel=1e-3)
    assert found["Tumour"].dose_mean_gy == pytest.approx(truth["Tumour"].dose_mean_gy, rel=0.045)
    assert found["Liver"].dose_mean_gy == pytest.approx(truth["Liver"].dose_mean_gy, rel=0.01)
    assert found.as_dict()["provenance"]["parameters"]["transform"]["kind"] == "deformable"


def test_what_contradicts_itself_is_refused() -> None:
    transform = Transform.translation((1, 2, 3))
    moved = elsewhere(transform)
    both = {"scanner": hepatica.CtOptions(registered=True)}
    with pytest.raises(InputError, match="`registered` says that images lie together"):
        dose(moved, registration=hepatica.TransformOptions(transform=transform), **both)
    with pytest.raises(InputError, match="none was given"):
        dose(HERE, registration=hepatica.TransformOptions(transform_uncertainty_mm=2.0))
    wrong = Transform.translation((1, 2, 3), fixed_frame=MOVING, moving_frame=FIXED)
    with pytest.raises(GeometryError, match="other direction"):
        dose(moved, registration=hepatica.TransformOptions(transform=wrong))
    other = replace(moved, volume=moved.volume.in_frame("1.2.826.0.1.3680043.8.498.33333333"))
    asked = hepatica.DoseOptions(quantification=GIVEN, registration=hepatica.TransformOptions(transform=transform))
    with pytest.raises(InputError, match="2 frames of reference"):
        hepatica.absorbed_dose([moved, other], ct=CT, nuclide="Y-90", engine="local", options=asked)


def test_a_concordance_brings_the_delivered_dose_over_and_counts_the_uncertainty() -> None:
    transform = Transform.affine(turned(6, (5, -3, 8)), fixed_frame=FIXED, moving_frame=MOVING, uncertainty_mm=12.0)
    planned = Volume(GRID, (UPTAKE / 1e4).astype(np.float64), Kind.DOSE)
    own = Grid.axial((44, 44, 38), spacing_mm=(4, 4, 4), origin_mm=(-86, -86, -74), frame_of_reference=MOVING)
    delivered = warp_volume(planned, transform.inverse(), own)
    structures = [LIVER, TUMOUR]
    with pytest.raises(GeometryError, match="`transform`"):
        hepatica.scout_concordance(planned, delivered, structures=structures)
    sure = hepatica.TransformOptions(transform=transform, transform_uncertainty_mm=0.0)
    found = hepatica.scout_concordance(planned, delivered, structures=structures, registration=sure)
    # Interpolated twice at 4 mm: two times h^2/6 of blur, 1.5 x 5.3 / 225 = 3.6 % off the top.
    tumour = found.concordance.structures[0]
    assert tumour.delivered_dose_mean_gy == pytest.approx(tumour.planned_dose_mean_gy, rel=0.036)
    assert {"dose-moved"} <= {message.code for message in found.messages}
    assert any("brought over, by value" in step for step in found.provenance.steps)
    unsure = hepatica.TransformOptions(transform=transform)
    less = hepatica.scout_concordance(planned, delivered, structures=structures, registration=unsure)
    both = [answer.concordance.structures[0].difference_sd_gy for answer in (found, less)]
    assert both[1] > 1.5 * both[0]
    registered = hepatica.ConcordanceOptions(registered=True)
    with pytest.raises(InputError, match="`registered`"):
        hepatica.scout_concordance(planned, delivered, structures=structures, registration=sure, comparison=registered)
