"""Lesions before and after from SEG and RTSTRUCT, on an oblique grid with unequal voxels."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.errors import InputError
from hepatica.io.dicom.images.write import write_ct
from hepatica.io.dicom.rtstruct import write_rtstruct
from hepatica.io.dicom.seg import write_seg
from hepatica.outcome.response.segmentations import (
    lesions_and_others,
    patient_responses,
    segmented_remnant,
    segmented_retention,
)
from hepatica.workflow.outcome.segmented import segmented_response

CENTRE = np.array([20.0, 18.0, 10.0])


def grid_of(context: DicomContext) -> Grid:
    a, b = np.cos(0.3), np.sin(0.3)
    turn = np.array([[a, -b, 0], [b, a, 0], [0, 0, 1.0]]) @ np.array([[1, 0, 0], [0, a, -b], [0, b, a]])
    affine = np.eye(4)
    affine[:3, :3] = turn * (1.5, 2.0, 3.0)
    affine[:3, 3] = (-40.0, 12.0, 90.0)
    return Grid((40, 36, 20), affine, context.frame_of_reference)


def context_of(patient: str) -> DicomContext:
    return DicomContext.invented(patient_id=patient, patient_name="T^R", when=datetime(2026, 3, 1, 10))


def ball(grid: Grid, name: str, radius_mm: float) -> Region:
    indices = np.moveaxis(np.indices(grid.shape), 0, -1) - CENTRE
    inside = ((indices * grid.spacing_mm) ** 2).sum(axis=-1) < radius_mm**2
    return Region.from_coverage(name, grid, inside.astype(np.float32))


def files(folder: Path, patient: str, radius_mm: float) -> tuple[Path, Path, Path]:
    """SEG, RTSTRUCT and CT folder."""
    folder.mkdir()
    context = context_of(patient)
    grid = grid_of(context)
    hu = Volume(grid, np.zeros(grid.shape, np.float32), Kind.HU)
    ct = write_ct(folder / "ct", hu, context)
    regions = [ball(grid, "lesion 1", radius_mm)]
    write_seg(folder / "seg.dcm", regions, ct, image_grid=grid)
    write_rtstruct(folder / "rtstruct.dcm", regions, ct, image_grid=grid)
    return folder / "seg.dcm", folder / "rtstruct.dcm", folder / "ct"


def test_seg_needs_no_image_and_rtstruct_does(tmp_path: Path) -> None:
    seg, drawn, ct = files(tmp_path / "before", "A", 21.0)
    later_seg, later_drawn, later_ct = files(tmp_path / "after", "A", 12.0)
    by_seg = segmented_response(seg, later_seg).lesions[0]
    by_contour = segmented_response(drawn, later_drawn, before_image=ct, after_image=later_ct).lesions[0]
    on_image = segmented_response(seg, later_seg, before_image=ct, after_image=later_ct).lesions[0]
    assert on_image.before.longest_mm == pytest.approx(by_seg.before.longest_mm)
    assert on_image.before.volume_ml == pytest.approx(by_seg.before.volume_ml)
    for found in (by_seg, by_contour):
        # Diameters err by up to a voxel (2.5 mm across); the volume of voxels by their surface, under 5 %.
        assert found.before.longest_mm == pytest.approx(42, abs=2.5)
        assert found.before.volume_ml == pytest.approx(4 / 3 * np.pi * 2.1**3, rel=0.05)
        assert found.relative_volume_change == pytest.approx((12 / 21) ** 3 - 1, abs=0.03)
        assert set(found.responses.values()) == {"PR"}
        assert set(patient_responses([found]).values()) == {"PR"}
    with pytest.raises(InputError, match=r"an RTSTRUCT has no voxels; name the image .* with `before_image`"):
        segmented_response(drawn, later_drawn)


def test_regions_are_as_good_as_files(tmp_path: Path) -> None:
    seg, _, _ = files(tmp_path / "before", "A", 21.0)
    later, _, _ = files(tmp_path / "after", "A", 12.0)
    grid = grid_of(context_of("A"))
    by_file, by_region = (
        segmented_response(*sources)
        for sources in ((seg, later), ([ball(grid, "lesion 1", 21.0)], [ball(grid, "lesion 1", 12.0)]))
    )
    one, other = by_region.lesions[0], by_file.lesions[0]
    assert one.responses == other.responses
    # The SEG's own grid is that of the image to rounding.
    assert one.after.volume_ml == pytest.approx(other.after.volume_ml)
    assert one.before.longest_mm == pytest.approx(other.before.longest_mm)
    assert by_region.provenance.inputs == ()


def test_two_patients_are_refused(tmp_path: Path) -> None:
    first, _, _ = files(tmp_path / "before", "A", 21.0)
    second, _, _ = files(tmp_path / "after", "B", 12.0)
    with pytest.raises(InputError, match=r"is of patient 'A', .* of 'B'"):
        segmented_response(first, second)
    with pytest.raises(InputError, match="no such file"):
        segmented_response(first, tmp_path / "absent.dcm")


def test_lipiodol_is_a_share_of_each_lesion() -> None:
    grid = grid_of(context_of("A"))
    lesion, inner = ball(grid, "lesion 1", 18.0), ball(grid, "lipiodol", 9.0)
    far = Region.from_coverage("lipiodol", grid, np.pad(np.ones((2, 2, 2), np.float32), ((0, 38), (0, 34), (0, 18))))
    row = segmented_retention([lesion], inner)[0]
    assert row.retained_share == pytest.approx(inner.volume_ml / lesion.volume_ml)
    # (9 / 18)^3 = 12.5 % of a ball's volume, within the voxels' surface.
    assert row.retained_share == pytest.approx(0.125, abs=0.02)
    assert row.retention == "low"
    assert segmented_retention([lesion], None) == ()
    with pytest.raises(InputError, match="covers no lesion; in a label map structures cannot overlap"):
        segmented_retention([lesion], far)
    lesions, roles = lesions_and_others([lesion, inner.renamed("FLR"), far.renamed("Whole_liver"), far])
    assert [r.name for r in lesions] == ["lesion 1"]
    assert sorted(roles) == ["lipiodol", "liver", "remnant"]
    with pytest.raises(InputError, match="are both the lipiodol"):
        lesions_and_others([inner, far])
    with pytest.raises(InputError, match="needs the structure 'liver'"):
        segmented_remnant({"remnant": inner}, {"remnant": inner}, [], days=None)
