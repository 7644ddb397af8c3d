"""The verb that brings an image, a dose or structures over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

import hepatica
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.errors import GeometryError, InputError, UnitError
from hepatica.io.dicom.images.write import Emission, write_ct, write_pet
from hepatica.io.dicom.rtdose import read_rtdose, write_rtdose
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.io.itk import write_itk
from hepatica.io.registration.dicom_write import write_registration

FIXED, MOVING = "1.2.826.0.1.3680043.8.498.11111111", "1.2.826.0.1.3680043.8.498.22222222"
SHIFT = (6.0, -4.0, 15.0)
"""A fixed point plus this is the moving point."""


@dataclass(frozen=True)
class Case:
    """A fixed CT, and a PET, a dose and structures in another frame of reference, with the registration."""

    root: Path
    ct: Path
    registration: Path
    moving: DicomContext
    grid: Grid
    activity: NDArray[np.float64]


def ball(grid: Grid, centre: tuple[float, float, float], radius: float) -> NDArray[np.bool_]:
    return np.linalg.norm(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - centre, axis=-1) < radius


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    root = tmp_path_factory.mktemp("warp")
    target = Grid.axial((30, 28, 24), spacing_mm=(4, 4, 5), origin_mm=(-58, -54, -58), frame_of_reference=FIXED)
    hu = np.where(ball(target, (0, 0, 0), 45), 40.0, -1000.0)
    context = replace(DicomContext.invented(patient_id="P1"), frame_of_reference=FIXED)
    fixed = write_ct(root / "ct", Volume(target, hu, Kind.HU), context)
    own = Grid.axial((34, 34, 34), spacing_mm=(4, 4, 4), origin_mm=(-66, -66, -51), frame_of_reference=MOVING)
    activity = np.where(ball(own, SHIFT, 20), 1e5, 0.0)
    pet = Volume(own, activity, Kind.ACTIVITY_CONCENTRATION, datetime(2026, 3, 4, 10))
    emission = Emission("Y-90", datetime(2026, 3, 4, 10), 900.0, decay_correction="START")
    moving = replace(DicomContext.invented(patient_id="P1"), frame_of_reference=MOVING)
    moving = write_pet(root / "pet", pet, moving, emission)
    write_rtdose(root / "dose.dcm", Volume(own, activity / 1e3, Kind.DOSE), moving)
    region = Region.from_coverage("Tumour 1", own, ball(own, SHIFT, 20))
    write_rtstruct(root / "rois.dcm", [region], moving, image_grid=own)
    write_seg(root / "seg.dcm", [region], moving, image_grid=own)
    write_itk(Volume(own, ball(own, SHIFT, 20).astype(np.int16), Kind.LABEL), root / "labels.nii.gz")
    transform = hepatica.Transform.translation(SHIFT, uncertainty_mm=1.5)
    registration = write_registration(root / "reg.dcm", transform, fixed, moving)
    return Case(root, root / "ct", registration, moving, own, activity)


def by(case: Case) -> hepatica.TransformOptions:
    return hepatica.TransformOptions(transform=case.registration)


def middle(volume: Volume) -> NDArray[np.float64]:
    weights = volume.values / volume.values.sum(dtype=np.float64)
    points = volume.grid.to_mm(np.moveaxis(np.indices(volume.grid.shape), 0, -1))
    return np.asarray((points * weights[..., None]).sum((0, 1, 2)))


def test_an_activity_keeps_its_total_and_goes_where_the_transform_says(case: Case, tmp_path: Path) -> None:
    found = hepatica.warp_image(case.root / "pet", to=case.ct, registration=by(case))
    assert found.how == "activity"
    assert found.volume is not None
    assert found.account is not None
    before = case.activity.sum() * case.grid.voxel_volume_ml
    assert found.account.total_after == pytest.approx(before, rel=1e-3)
    assert np.allclose(middle(found.volume), 0, atol=0.1)
    assert found.volume.grid.frame_of_reference == FIXED
    assert {"moved-by-transform", "total-conserved"} <= {message.code for message in found.messages}
    assert any("1.5 mm" in message.text for message in found.messages)
    assert [item.role for item in found.provenance.inputs] == ["image", "fixed", "transform"]
    found.save(tmp_path / "out")
    again = hepatica.read_image(tmp_path / "out" / "pet", role="activity")
    assert again.volume.total == pytest.approx(before, rel=2e-3)
    assert again.grid.frame_of_reference == FIXED


def test_the_same_by_a_displacement_field_in_a_file(case: Case, tmp_path: Path) -> None:
    from hepatica.core.transform import DisplacementField
    from hepatica.io.registration.fields import write_displacement_field

    grid = Grid.axial((20, 20, 20), spacing_mm=(10, 10, 10), origin_mm=(-95, -95, -95))
    field = DisplacementField(grid, np.broadcast_to(np.asarray(SHIFT, np.float32), (20, 20, 20, 3)))
    path = write_displacement_field(tmp_path / "field.nii.gz", field)
    options = hepatica.TransformOptions(transform=path, transform_uncertainty_mm=2.0)
    found = hepatica.warp_image(case.root / "pet", to=case.ct, registration=options)
    assert found.transform.uncertainty_mm == 2.0
    assert found.volume is not None
    assert np.allclose(middle(found.volume), 0, atol=0.1)


def test_a_dose_goes_by_value(case: Case, tmp_path: Path) -> None:
    options = hepatica.WarpOptions(content="dose")
    found = hepatica.warp_image(case.root / "dose.dcm", to=case.ct, registration=by(case), options=options)
    assert found.how == "values"
    assert found.volume is not None
    assert float(found.volume.values.max()) == pytest.approx(100.0, rel=1e-3)
    found.save(tmp_path / "out")
    again = read_rtdose(tmp_path / "out" / "dose.dcm").volume
    assert again.grid.frame_of_reference == FIXED
    assert np.allclose(again.values, found.volume.values, atol=0.01)


@pytest.mark.parametrize(("name", "sop"), [("rois.dcm", "481.3"), ("seg.dcm", "66.4"), ("labels.nii.gz", "")])
def test_structures_come_back_as_what_they_were(case: Case, tmp_path: Path, name: str, sop: str) -> None:
    options = hepatica.WarpOptions(content="structures")
    found = hepatica.warp_image(case.root / name, to=case.ct, registration=by(case), options=options)
    (row,) = found.structures
    expected = float(ball(case.grid, SHIFT, 20).sum()) * case.grid.voxel_volume_ml
    assert row.volume_before_ml == pytest.approx(expected, rel=0.03)
    assert row.volume_after_ml == pytest.approx(row.volume_before_ml, rel=0.01)
    assert row.jacobian_mean == pytest.approx(1)
    (region,) = found.regions
    assert np.allclose(middle(Volume(found.grid, region.full(), Kind.FRACTION)), 0, atol=0.6)
    found.save(tmp_path / "out")
    if sop:
        assert str(pydicom.dcmread(tmp_path / "out" / "structures.dcm").SOPClassUID).endswith(sop)
    written = tmp_path / "out" / ("structures.dcm" if sop else "structures.nii.gz")
    again = hepatica.read_structures(written, hepatica.read_image(case.ct, role="ct"))
    assert row.volume_written_ml is not None
    assert again.regions[0].volume_ml == pytest.approx(row.volume_written_ml, rel=5e-3)
    # 418 voxels: contours hold the volume to 0.2 %, whole ones to half of those whose shares tie, by symmetry up to 16.
    assert row.volume_written_ml == pytest.approx(row.volume_after_ml, rel=0.02)
    assert again.regions[0].name == row.name


def test_what_does_not_fit_is_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no `transform`"):
        hepatica.warp_image(case.root / "pet", to=case.ct)
    swapped = hepatica.Transform.translation(SHIFT, fixed_frame=MOVING, moving_frame=FIXED)
    far = hepatica.Transform.translation((9000, 0, 0))
    for transform, match in ((swapped, "other direction: invert it"), (far, "nothing of it lies where")):
        given = hepatica.TransformOptions(transform=transform)
        with pytest.raises(GeometryError, match=match):
            hepatica.warp_image(case.root / "pet", to=case.ct, registration=given)
    wrong = hepatica.WarpOptions(content="dose", how="activity")
    with pytest.raises(UnitError, match="no total to conserve"):
        hepatica.warp_image(case.root / "dose.dcm", to=case.ct, registration=by(case), options=wrong)
    wrong = hepatica.WarpOptions(content="structures", how="values")
    with pytest.raises(InputError, match="structures are brought over as labels"):
        hepatica.warp_image(case.root / "rois.dcm", to=case.ct, registration=by(case), options=wrong)
    other = replace(case.moving, patient_id="P2")
    dose = Volume(case.grid, case.activity / 1e3, Kind.DOSE)
    write_rtdose(tmp_path / "other.dcm", dose, other)
    with pytest.raises(InputError, match="one patient"):
        hepatica.warp_image(
            tmp_path / "other.dcm", to=case.ct, registration=by(case), options=hepatica.WarpOptions(content="dose")
        )
