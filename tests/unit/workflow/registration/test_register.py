"""The verb that lays one image onto another."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import hepatica
from hepatica.anatomy.registration.prepared import coarse
from hepatica.anatomy.registration.quality.measures import structure_agreement
from hepatica.core import Grid, Kind, Volume
from hepatica.core.transform import Transform
from hepatica.errors import InputError, UnknownNameError
from hepatica.io.registration.read import read_transform
from hepatica.report.figures.images.registration import outline_colours
from hepatica.workflow.registration.transforms import given_transform
from registration_truth import Scene, scene

NAMES = ("liver", "spleen")


@pytest.fixture(scope="module")
def case() -> Scene:
    return scene(seed=7, moving="ct", breath_mm=12.0)


def image(volume: Volume, name: str) -> hepatica.Image:
    return hepatica.Image.from_array(volume.values, unit="HU", grid=volume.grid, name=name)


def landmarks(case: Scene) -> dict[str, dict[str, tuple[float, ...]]]:
    points = case.points_mm()[::5000]
    there = case.true.points_mm(points)
    return {
        key: {f"vessel {n}": tuple(point) for n, point in enumerate(found.tolist())}
        for key, found in (("landmarks", points), ("moving_landmarks", there))
    }


@pytest.fixture(scope="module")
def laid(case: Scene) -> hepatica.RegistrationResult:
    dose = Volume(case.fixed.grid, 40.0 * case.region().full(), Kind.DOSE)
    known = hepatica.KnownPlaces(
        structures=[case.region(name) for name in NAMES],
        moving_structures=[case.moving_region(name) for name in NAMES],
        within=("liver",),
        dose_map=dose,
        **landmarks(case),
    )
    return hepatica.register(image(case.moving, "later"), image(case.fixed, "first"), known=known)


def test_quality_is_measured(case: Scene, laid: hepatica.RegistrationResult) -> None:
    """Landmarks without error: the target error is the registration's own, and the structures say the same."""
    target = laid.quality.target_error
    assert target is not None
    assert target.mean_mm == pytest.approx(np.mean(list(target.each_mm.values())))
    assert target.mean_mm < 3 < target.mean_before_mm
    liver = next(s for s in laid.quality.structures if s.name == "liver")
    assert liver.dice > 0.94 > liver.dice_before
    assert liver.mean_distance_mm < 2
    assert {mark.verdict for mark in laid.quality.marks} <= {"pass", "look"}
    effect = next(e for e in laid.quality.dose_effects if e.name == "liver")
    assert effect.lowest < effect.mean <= effect.highest <= 40.0
    assert laid.transform.uncertainty_mm is not None
    assert 0.2 < laid.transform.uncertainty_mm < 4


def test_it_saves_what_reads_back(laid: hepatica.RegistrationResult, tmp_path: Path) -> None:
    folder = laid.save(tmp_path / "laid")
    again, _ = read_transform(folder / "transform.tfm")
    np.testing.assert_allclose(again.matrix, laid.transform.matrix, atol=1e-6)
    assert (folder / "registration.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "moved.nii.gz").is_file()
    document = json.loads((folder / "result.json").read_text())
    assert document["similarity_after"] > document["similarity_before"]
    assert document["transform"]["kind"] == "rigid"


def test_the_moved_image_lies_on_the_fixed_one(case: Scene, laid: hepatica.RegistrationResult) -> None:
    liver = case.region().mask()
    assert laid.moved.grid.matches(case.fixed.grid)
    assert float(laid.moved.values[liver].mean()) == pytest.approx(float(case.fixed.values[liver].mean()), abs=8)


def test_landmarks_alone(case: Scene, tmp_path: Path) -> None:
    """Four points of a liver that bends: the fit is theirs, whatever the images show, and says what it leaves."""
    options = hepatica.RegistrationOptions(landmarks_only=True)
    known = hepatica.KnownPlaces(structures=[case.region("liver")], within=("liver",), **landmarks(case))
    found = hepatica.register(image(case.moving, "later"), image(case.fixed, "first"), known=known, options=options)
    fit = found.registration.landmark_fit
    assert fit is not None
    assert found.registration.starts == ()
    np.testing.assert_array_equal(found.transform.matrix, fit.transform.matrix)
    assert fit.leave_one_out_mm is not None
    assert fit.leave_one_out_mm > fit.fiducial_error_mm > 0
    target = found.quality.target_error
    assert target is not None
    assert list(target.each_mm.values()) == list(fit.left_out_mm)
    codes = {message.code for message in found.messages}
    assert "target-error-left-out" in codes
    # The fit the other way round is the inverse of this one, whatever the landmarks are worth.
    assert found.registration.inverse is None
    assert "landmarks-were-start" not in codes
    shown = {row[0]: row[1] for row in found.table().rows}
    assert shown["error of landmarks left out, mm"] == fit.leave_one_out_mm
    # What the uncertainty says is what the liver's bending leaves, within a factor of two and a half: the breath is no
    # noise of landmarks.
    error = np.sqrt((case.error_mm(found.transform) ** 2).mean())
    assert found.transform.uncertainty_mm is not None
    assert 0.4 < error / found.transform.uncertainty_mm < 2.5
    with pytest.raises(InputError, match="do not bend"):
        hepatica.register(
            image(case.moving, "later"), image(case.fixed, "first"), known=known,
            options=hepatica.RegistrationOptions(landmarks_only=True, model="deformable"),
        )  # fmt: skip
    with pytest.raises(InputError, match="needs landmarks"):
        hepatica.register(image(case.moving, "later"), image(case.fixed, "first"), options=options)


def test_before_may_show_nothing(case: Scene, laid: hepatica.RegistrationResult, tmp_path: Path) -> None:
    """Headers that place the images 2 m apart: there is no picture of before, and everything is written."""
    moved = np.array(case.moving.grid.affine)
    moved[2, 3] += 2000.0
    grid = Grid(case.moving.grid.shape, moved)
    away = Transform.translation((0, 0, 2000.0))
    apart = replace(
        laid,
        moving=image(Volume(grid, case.moving.values, Kind.HU), "far away"),
        registration=replace(laid.registration, transform=laid.transform.then(away)),
        moving_structures=tuple(replace(region, grid=grid) for region in laid.moving_structures),
    )
    agreement = structure_agreement(apart.fixed_structures[0], apart.moving_structures[0], apart.transform)
    assert agreement is not None
    assert agreement.dice > 0.9
    assert agreement.dice_before == 0
    assert (apart.save(tmp_path / "apart") / "registration.png").read_bytes().startswith(b"\x89PNG")


def test_each_of_many_structures_has_a_colour_of_its_own() -> None:
    names = ["liver", *(f"segment {n}" for n in range(1, 9)), *(f"organ {n}" for n in range(15))]
    colours = outline_colours(names)
    assert len(set(colours)) == len(names) == 24
    assert all(len(colour) == 7 and int(colour[1:], 16) >= 0 for colour in colours)


def test_a_mirrored_pair_is_nothing_to_use(case: Scene, tmp_path: Path) -> None:
    """No uncertainty, no mark that passes, and the word in the file and in what reads it."""
    small = coarse(case.fixed, 12.0)
    mirrored = small.with_values(small.values[::-1].copy())
    found = hepatica.register(image(mirrored, "mirrored"), image(small, "first"))
    assert not found.registration.usable
    assert found.transform.uncertainty_mm is None
    assert {mark.verdict for mark in found.quality.marks} == {"fail"}
    folder = found.save(tmp_path / "mirrored")
    assert "DO NOT USE" in (folder / "transform.tfm").read_text()
    stated = hepatica.TransformOptions(transform=folder / "transform.tfm")
    said = given_transform(stated, small.grid, small.grid).messages
    assert ("transform-not-for-use", "critical") in [(message.code, message.severity) for message in said]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"landmarks": {"a": (0, 0, 0)}}, "one image alone"),
        ({"within": ("liver",)}, "none were given"),
        ({"landmarks": {"a": (0, 0, 0)}, "moving_landmarks": {"a": (0, 0, 1)}}, "needs 3"),
    ],
)
def test_what_is_known_must_fit(case: Scene, known: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        hepatica.register(image(case.moving, "later"), image(case.fixed, "first"), known=hepatica.KnownPlaces(**known))


def test_an_unknown_structure_to_count_in(case: Scene) -> None:
    known = hepatica.KnownPlaces(structures=[case.region()], within=("lever",))
    with pytest.raises(UnknownNameError, match="liver"):
        hepatica.register(image(case.moving, "later"), image(case.fixed, "first"), known=known)
