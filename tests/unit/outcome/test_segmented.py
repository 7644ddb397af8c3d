"""Lesions before and after from SEG and RTSTRUCT, on an oblique grid with unequal voxels."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from hepatica.anatomy.structures.roles import identified
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.errors import InputError, NothingDrawnError, UnknownNameError
from hepatica.io.dicom.images.write import write_ct
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
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
    drawn = [lesion, inner.renamed("FLR"), far.renamed("Whole_liver"), far]
    lesions, others = lesions_and_others(drawn, identified(drawn).roles)
    assert [r.name for r in lesions] == ["lesion 1"]
    assert sorted(others) == ["lipiodol", "liver", "remnant"]
    with pytest.raises(InputError, match="are both the lipiodol"):
        lesions_and_others([inner, far], identified([inner, far]).roles)
    with pytest.raises(InputError, match="needs the structure 'liver'"):
        segmented_remnant({"remnant": inner}, {"remnant": inner}, [], days=None)


PLAIN = Grid.axial((48, 40, 30), spacing_mm=(2, 2, 3), origin_mm=(0, 0, 0))


def lump(name: str, centre: tuple[int, int, int], radius_mm: float) -> Region:
    indices = np.moveaxis(np.indices(PLAIN.shape), 0, -1) - np.array(centre)
    return Region.from_coverage(name, PLAIN, ((indices * PLAIN.spacing_mm) ** 2).sum(axis=-1) < radius_mm**2)


A, B, FAR = (12, 12, 10), (30, 25, 15), (38, 8, 22)


def test_only_lesions_count() -> None:
    """Clinic case 2: lungs and body counted as lesions and turned a partial response into stable disease."""
    others = [lump("Lungs", (24, 20, 25), 60.0), lump("body", (24, 20, 15), 90.0), lump("foie", (20, 20, 12), 70.0)]
    before = [lump("Tumour 1", A, 16), lump("Läsion 2", B, 14), *others]
    after = [lump("Tumour 1", A, 8), lump("Läsion 2", B, 8), *others]
    everything = (lump("Tumour 1", A, 16) | lump("Läsion 2", B, 14)).renamed("Summe")
    found = segmented_response(
        [*before, everything.renamed("all tumours")], [*after, lump("liver minus tumours", A, 50)]
    )
    assert [lesion.name for lesion in found.lesions] == ["Tumour 1", "Läsion 2"]
    assert set(found.all_lesions.values()) == {"PR"}
    assert found.not_lesions == {
        "Lungs": "lung", "body": "body", "foie": "liver", "all tumours": "all_tumours",
        "liver minus tumours": "normal_liver",
    }  # fmt: skip


def test_a_sum_of_lesions_is_no_lesion_whatever_it_is_called() -> None:
    parts = [lump("Tumour 1", A, 16), lump("Tumour 2", B, 14)]
    whole = (parts[0] | parts[1]).renamed("Tumour X")
    found = segmented_response([*parts, whole], [lump("Tumour 1", A, 8), lump("Tumour 2", B, 8)])
    assert [lesion.name for lesion in found.lesions] == ["Tumour 1", "Tumour 2"]
    assert "structure-is-a-sum" in {message.code for message in found.messages}


def test_all_gone_is_complete_response() -> None:
    before = [lump("Tumour 1", A, 16), lump("Tumour 2", B, 14), lump("liver", (20, 20, 12), 70)]
    found = segmented_response(before, [lump("liver", (20, 20, 12), 70)])
    assert set(found.all_lesions.values()) == {"CR"}
    assert {lesion.in_after for lesion in found.lesions} == {"absent"}
    assert "lesions-absent" in {message.code for message in found.messages}
    found = segmented_response(before, [lump("liver", (20, 20, 12), 70)], absent_lesions="not-evaluated")
    assert set(found.all_lesions.values()) == {"NE"}
    assert found.lesions[0].after is None
    assert found.table().rows[0][2] is None


def test_a_new_lesion_is_progression() -> None:
    found = segmented_response([lump("Tumour 1", A, 16)], [lump("Tumour 1", A, 8), lump("Tumour 9", FAR, 9)])
    assert [lesion.name for lesion in found.new_lesions] == ["Tumour 9"]
    assert set(found.all_lesions.values()) == {"PD"}
    assert set(found.lesions[0].responses.values()) == {"PR"}
    small = segmented_response([lump("Tumour 1", A, 16)], [lump("Tumour 1", A, 8), lump("Tumour 9", FAR, 4)])
    # mRECIST: from 10 mm on.
    assert small.all_lesions == {"recist": "PD", "mrecist": "PR", "easl": "PD", "volume": "PD"}


def test_another_name_in_the_same_place_is_the_same_lesion() -> None:
    found = segmented_response([lump("Tumour 1", A, 16)], [lump("HCC a", A, 8)])
    assert found.new_lesions == ()
    assert set(found.all_lesions.values()) == {"PR"}
    assert "lesion-matched-by-place" in {message.code for message in found.messages}


def test_a_lymph_node_is_read_by_its_short_axis() -> None:
    before, normal = lump("lymph node 1", A, 12), lump("lymph node 1", A, 3.5)
    found = segmented_response([before, lump("Tumour 1", B, 14)], [normal, lump("liver", (20, 20, 12), 70)])
    node, tumour = found.lesions
    assert (node.is_node, tumour.is_node) == (True, False)
    assert node.after is not None
    assert 0 < node.after.perpendicular_mm < 10
    # Below 10 mm a node is normal: nothing is left by RECIST; by volume something is.
    assert (found.all_lesions["recist"], found.all_lesions["volume"]) == ("CR", "PR")


def test_lesions_too_small_to_measure_are_no_targets() -> None:
    before = [lump("Tumour 1", A, 16), lump("Tumour 2", B, 4)]
    left = segmented_response(before, [lump("Tumour 2", B, 4)])
    assert left.all_lesions["recist"] == "PR"
    assert left.all_lesions["volume"] == "PR"
    gone = segmented_response(before, [lump("liver", (20, 20, 12), 70)])
    assert gone.all_lesions["recist"] == "CR"


def test_a_name_that_says_nothing_is_asked_for() -> None:
    regions = [lump("Segment_1", A, 16)], [lump("Segment_1", A, 8)]
    with pytest.raises(InputError, match=r"no lesion to compare; state `structure_roles`"):
        segmented_response(*regions)
    found = segmented_response(*regions, structure_roles={"Segment_1": "tumour"})
    assert set(found.all_lesions.values()) == {"PR"}
    with pytest.raises(UnknownNameError, match="unknown structure 'Segment_2'"):
        segmented_response(*regions, structure_roles={"Segment_2": "tumour"})


def test_a_file_that_holds_nothing_any_more(tmp_path: Path) -> None:

    for name, values in (("before", lump("x", A, 16).full() > 0), ("after", np.zeros(PLAIN.shape))):
        sitk.WriteImage(sitk.GetImageFromArray(values.T.astype(np.uint8)), str(tmp_path / f"{name}.nii.gz"))
        (tmp_path / f"{name}.json").write_text('{"1": "Tumour 1"}')
    found = segmented_response(tmp_path / "before.nii.gz", tmp_path / "after.nii.gz", absent_lesions="not-evaluated")
    assert found.lesions[0].in_after == "empty"
    assert set(found.all_lesions.values()) == {"CR"}
    with pytest.raises(NothingDrawnError):
        segmented_response(tmp_path / "after.nii.gz", tmp_path / "before.nii.gz")


def test_a_lesion_too_small_for_a_target_that_grows_is_progression() -> None:
    shrinking = lump("Tumour 1", A, 16), lump("Tumour 1", A, 8)
    for name, start, end in (("Tumour 2", 4, 20), ("lymph node 1", 6, 20)):
        found = segmented_response([shrinking[0], lump(name, B, start)], [shrinking[1], lump(name, B, end)])
        assert found.lesions[1].responses["recist"] == found.lesions[1].responses["mrecist"] == "PD"
        assert found.all_lesions["recist"] == found.all_lesions["mrecist"] == "PD"
    # From 4 to 6 mm it is still too small to be measured, whatever the ratio.
    small = segmented_response([shrinking[0], lump("Tumour 2", B, 2.1)], [shrinking[1], lump("Tumour 2", B, 3.1)])
    assert (small.lesions[1].responses["recist"], small.all_lesions["recist"]) == ("NE", "PR")
    # No target at all, and another that was not drawn.
    alone = segmented_response(
        [lump("Tumour 2", B, 4), lump("Tumour 3", FAR, 4)], [lump("Tumour 2", B, 20)], absent_lesions="not-evaluated"
    )
    assert alone.all_lesions["recist"] == "PD"


def test_names_swapped_between_two_places_are_critical() -> None:
    before = [lump("Tumour 1", A, 14), lump("Tumour 2", B, 10)]
    swapped = segmented_response(before, [lump("Tumour 1", B, 5), lump("Tumour 2", A, 16)])
    found = [m for m in swapped.messages if m.code == "lesion-names-swapped"]
    assert [m.severity for m in found] == ["critical"] * 2
    assert all(name in found[0].text for name in ("'Tumour 1'", "'Tumour 2'"))
    kept = segmented_response(before, [lump("Tumour 1", A, 5), lump("Tumour 2", B, 16)])
    assert not [m for m in kept.messages if m.code == "lesion-names-swapped"]
