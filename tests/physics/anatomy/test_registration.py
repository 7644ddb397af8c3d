"""Registration against motion that is known: virtual patients in other poses, breaths, machines and orientations."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hepatica.anatomy.registration.landmarks import closed_form
from hepatica.anatomy.registration.linear import MIDDLE, Pair
from hepatica.anatomy.registration.optimise import climb
from hepatica.anatomy.registration.orientation import CLEARLY_BETTER, oriented, tried_orientations
from hepatica.anatomy.registration.prepared import patient_alone, prepare
from hepatica.anatomy.registration.register import leaves_less, register_volumes
from hepatica.anatomy.registration.settings import RegistrationOptions
from hepatica.anatomy.registration.uncertainty import uncertainty
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.transform import DisplacementField, Transform
from hepatica.errors import GeometryError, InputError, UnitError
from registration_truth import Scene, pose, scene, seen_from

QUICK = RegistrationOptions(checks=False)


@pytest.fixture(scope="module")
def ct() -> Scene:
    return scene(seed=7, moving="ct", breath_mm=12.0)


@pytest.fixture(scope="module")
def mr() -> Scene:
    return scene(seed=7, moving="mr", breath_mm=12.0)


def mean_error_mm(made: Scene, found: Transform, name: str = "liver") -> float:
    return float(np.linalg.norm(made.error_mm(found, name), axis=1).mean())


def test_liver_of_a_ct_in_another_breath_with_arms_down(ct: Scene) -> None:
    """2 mm: what a breath of 12 mm leaves to any rigid transform is 1.25 mm; voxels of 4.4 x 4.4 x 5 mm."""
    found = register_volumes(ct.fixed, ct.moving, QUICK, within=ct.region())
    assert mean_error_mm(ct, found.transform) < 2.0
    assert found.kept
    assert found.similarity_before is not None
    assert found.similarity_after > 3 * found.similarity_before


def test_bending_brings_the_liver_of_a_breathing_patient(ct: Scene) -> None:
    """2.5 mm, half of a voxel of 5 mm, where the whole trunk counts; rigidly half of the breath stays."""
    found = register_volumes(ct.fixed, ct.moving, RegistrationOptions(model="deformable", checks=False))
    assert found.transform.kind == "deformable"
    assert mean_error_mm(ct, found.transform) < 2.5
    assert found.volumes.lowest > 0.44
    assert found.volumes.highest < 1.88


def test_liver_of_an_mr_and_bending_that_makes_images_no_more_alike_is_not_kept(mr: Scene) -> None:
    """Across modalities, with noise and a bias field of 25 %: 2 mm rigidly. A field is not determined and not kept."""
    found = register_volumes(
        mr.fixed, mr.moving, RegistrationOptions(model="deformable", checks=False), within=mr.region()
    )
    assert mean_error_mm(mr, found.transform) < 2.0
    assert "bending-not-kept" in [message.code for message in found.messages]
    assert found.transform.kind == "rigid"


def test_halves_tell_a_field_that_is_right_from_one_that_is_not(ct: Scene) -> None:
    """The true motion leaves less to the halves of the liver than the nearest rigid transform, a wrong field more."""
    points = ct.points_mm()
    matrix, _ = closed_form(points, ct.true.points_mm(points), scaled=False)
    rigid = Transform.affine(matrix)
    pair = Pair.of(ct.fixed, ct.moving, ct.region(), 5.0, 1)
    # A field of 5 mm that turns its sign within the liver.
    nodes = ct.fixed.grid.with_spacing((20.0, 20.0, 20.0))
    at = nodes.to_mm(np.moveaxis(np.indices(nodes.shape), 0, -1)) - points.mean(axis=0)
    vectors = np.zeros((*nodes.shape, 3))
    vectors[..., 2] = 5.0 * np.sin(at[..., 0] / 40.0)
    wrong = Transform((DisplacementField(nodes, vectors), *rigid.steps))
    assert mean_error_mm(ct, wrong) > mean_error_mm(ct, rigid) > mean_error_mm(ct, ct.true)
    right, words = leaves_less(pair, wrong, ct.true)
    assert right, words
    left = uncertainty(pair, rigid)
    assert left is not None
    worse, better = (float(word.split()[0]) for word in words.split(", "))
    assert worse > left.mean_mm > better


def test_a_pose_alone_is_found_to_a_fraction_of_a_voxel(ct: Scene) -> None:
    """Oblique, flipped, anisotropic voxels; no breath: a tenth of a voxel of 5 mm."""
    step = pose((4, -3, 8), (22, -15, 37))
    grid = seen_from(ct.fixed.grid, step)
    moving = ct.posed(step, grid)
    found = register_volumes(ct.fixed, moving)
    points = ct.points_mm()
    error = found.transform.points_mm(points) - step.points_mm(points)
    assert np.linalg.norm(error, axis=1).mean() < 0.5
    # The whole patient counted: what that says of an organ is not known, and that is said.
    assert found.uncertainty is None
    assert "uncertainty-not-known" in [message.code for message in found.messages]
    assert found.inverse is not None
    assert found.inverse.mean_mm < 1.0
    assert not [m for m in found.messages if m.severity == "critical"]


@pytest.mark.parametrize(("low", "high"), [(0, 45)])
def test_scans_of_different_parts_of_the_body(ct: Scene, low: int, high: int) -> None:
    """The moving image shows half of the fixed one's height, and its frame begins 300 mm away."""
    step = pose((0, 0, 4), (20, -8, 300))
    whole = ct.fixed.grid
    affine = np.array(whole.affine)
    affine[:3, 3] = whole.to_mm([0, 0, low]) + np.array([20, -8, 300])
    moving = ct.posed(step, Grid((86, 65, high - low), affine))
    found = register_volumes(ct.fixed, moving, QUICK)
    points = whole.to_mm(np.argwhere(ct.fixed.values > -300)[::50])
    error = np.linalg.norm(found.transform.points_mm(points) - step.points_mm(points), axis=1)
    assert error.mean() < 1.0
    assert found.similarity_before is None


def test_mirrored_and_upside_down_images(ct: Scene) -> None:
    """Each orientation is told from the others, and brings the matrix that undoes it."""
    for flips, name in (((-1, 1, 1), "mirrored"), ((-1, 1, -1), "upside down and left for right")):
        window = tuple(slice(None, None, step) for step in flips)
        pair = Pair.of(ct.fixed, replace(ct.fixed, values=ct.fixed.values[window].copy()), None, 0.0, 1)
        (best, matrix), (second, _), *_ = tried_orientations(pair, np.eye(4))
        assert (best.name, best.mirrored) == (name, name == "mirrored")
        assert best.similarity > CLEARLY_BETTER * second.similarity
        middle = ct.fixed.grid.corners_mm().mean(axis=0)
        top = middle + np.array([30, 20, 50])
        np.testing.assert_allclose(
            Transform.affine(matrix).points_mm(top), middle + np.multiply(flips, top - middle), atol=2
        )


def test_a_turned_image_is_turned_back_and_said(ct: Scene) -> None:
    pair = Pair.of(ct.fixed, replace(ct.fixed, values=ct.fixed.values[::-1, :, ::-1].copy()), None, 0.0, 1)
    _, _, notes = oriented(pair, np.eye(4))
    assert [m.code for m in notes if m.severity == "critical"] == ["moving-image-turned"]
    pair = Pair.of(ct.fixed, replace(ct.fixed, values=ct.fixed.values[::-1].copy()), None, 0.0, 1)
    _, _, notes = oriented(pair, np.eye(4))
    assert [m.code for m in notes] == ["moving-image-mirrored"]


def test_the_same_seed_gives_the_same_transform(mr: Scene) -> None:
    pair = Pair.of(mr.fixed, mr.moving, None, 0.0, 1)
    first, second = (climb(pair.fixed, pair.moving, np.eye(4), "rigid", MIDDLE, 3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_what_is_registered_already_is_left(ct: Scene) -> None:
    found = register_volumes(ct.fixed, ct.fixed, QUICK)
    assert not found.kept
    assert found.uncertainty is None
    assert found.transform.kind == "identity"
    assert [m.code for m in found.messages] == ["registered-already"]


def test_affine_finds_a_scale(ct: Scene) -> None:
    """A patient 4 % larger: the liver's mean error is below a fifth of a voxel."""
    step = pose((0, 0, 0), (5, 5, 5))
    matrix = np.array(step.matrix)
    matrix[:3, :3] *= 1.04
    step = replace(step, matrix=matrix)
    found = register_volumes(ct.fixed, ct.posed(step, ct.fixed.grid), RegistrationOptions(model="affine", checks=False))
    points = ct.points_mm()
    assert np.linalg.norm(found.transform.points_mm(points) - step.points_mm(points), axis=1).mean() < 0.8
    assert found.volumes.highest == pytest.approx(1.04**3, rel=0.02)


def test_an_outlier_in_the_air_leaves_no_step_around_the_patient(mr: Scene) -> None:
    """The lowest voxel of an image is no background: one at -5 changes nothing of what is bent."""
    values = mr.moving.values.copy()
    values[0, 0, 0] = -5.0
    plain, odd = (
        patient_alone(prepare(volume, "moving"), volume).values
        for volume in (mr.moving, replace(mr.moving, values=values))
    )
    assert np.abs(plain - odd).max() < 0.02
    assert odd.min() >= 0


def test_couch_and_arms_are_no_trunk(ct: Scene) -> None:
    """The couch is taken out of the image: nothing of it is in the body that counts."""
    ready = prepare(ct.moving, "moving")
    below = ready.points_mm()[:, 1]
    assert below.max() < 175


def test_images_without_anything(ct: Scene) -> None:
    air = Volume(ct.fixed.grid, np.full(ct.fixed.grid.shape, -1000, dtype=np.float32), Kind.HU)
    with pytest.raises(GeometryError, match="no patient"):
        register_volumes(ct.fixed, air)
    label = Volume(ct.fixed.grid, np.ones(ct.fixed.grid.shape, dtype=np.uint8), Kind.LABEL)
    with pytest.raises(UnitError, match="cannot be registered"):
        register_volumes(label, ct.fixed)


def test_images_that_never_overlap(ct: Scene) -> None:
    """40 mm of a leg two metres below: less than 60 mm of height to share, and laid anywhere it covers too little."""
    values = np.full((50, 50, 20), -1000.0)
    values[10:40, 10:40, 3:17] = 40
    leg = Volume(Grid.axial((50, 50, 20), spacing_mm=(3, 3, 3), origin_mm=(0, 0, -2000)), values, Kind.HU)
    with pytest.raises(GeometryError, match="do not overlap"):
        register_volumes(ct.fixed, leg, QUICK)


def test_a_mask_elsewhere(ct: Scene) -> None:
    coverage = np.zeros(ct.fixed.grid.shape)
    coverage[:2, :2, :2] = 1
    away = Region.from_coverage("liver", ct.fixed.grid, coverage)
    with pytest.raises(GeometryError, match="outside of the patient"):
        register_volumes(ct.fixed, ct.moving, QUICK, within=away)
    other = Region.from_coverage("liver", ct.fixed.grid.with_frame_of_reference("1.2.3"), coverage)
    framed = ct.fixed.in_frame("1.2.4")
    with pytest.raises(GeometryError, match="frames of reference differ"):
        register_volumes(framed, ct.moving, QUICK, within=other)


def test_uptake_does_not_bend(ct: Scene) -> None:
    counts = ct.fixed.with_values(np.abs(ct.fixed.values), Kind.COUNTS)
    with pytest.raises(InputError, match="uptake must not bend"):
        register_volumes(ct.fixed, counts, RegistrationOptions(model="deformable"))
