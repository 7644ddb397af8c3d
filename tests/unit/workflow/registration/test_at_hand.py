"""Verbs that register by themselves: the CT drives it, activity, doses and structures follow."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.anatomy.registration.register import Registration, register_volumes
from hepatica.anatomy.registration.settings import RegistrationOptions
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.message import Message
from hepatica.core.transform import Transform, warp_region, warp_volume
from hepatica.errors import GeometryError, InputError, UnknownNameError
from hepatica.planning.measured.values import Measured
from hepatica.planning.planner.plan_file import TEMPLATE, read_plan
from hepatica.workflow.registration import at_hand

FIXED, MOVING = "1.2.826.0.1.3680043.8.498.11111111", "1.2.826.0.1.3680043.8.498.22222222"
GRID = Grid.axial((40, 30, 34), spacing_mm=(6, 6, 6), origin_mm=(-117, -87, -99), frame_of_reference=FIXED)
OWN = Grid.axial((50, 40, 44), spacing_mm=(5.3, 5.1, 5.6), origin_mm=(-127, -98, -109), frame_of_reference=MOVING)
SHIFT = Transform.translation((8.0, -5.0, 13.0), fixed_frame=FIXED, moving_frame=MOVING)


def ellipsoid(name: str, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Region:
    points = GRID.to_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))
    return Region.from_coverage(name, GRID, (((points - centre) / radii) ** 2).sum(axis=-1) < 1)


BODY = ellipsoid("Body", (0, 0, 0), (105, 72, 400))
LIVER = ellipsoid("Liver", (-35, -5, -15), (55, 45, 48))
TUMOUR = ellipsoid("Tumour", (-50, -5, -10), (18, 18, 18))
LUNG = ellipsoid("Lungs", (-5, 0, 75), (75, 50, 38))


def made_ct() -> hepatica.Image:
    hu = np.where(BODY.mask(), -80.0, -1000.0)
    for region, value in (
        (ellipsoid("muscle", (0, 0, 0), (92, 60, 400)), 45.0),
        (LUNG, -780.0),
        (LIVER, 110.0),
        (TUMOUR, 60.0),
        (ellipsoid("spine", (4, 45, 0), (16, 14, 400)), 350.0),
        (ellipsoid("kidney", (55, 25, -60), (24, 20, 34)), 180.0),
        (ellipsoid("spleen", (65, 10, 5), (22, 26, 26)), 140.0),
    ):
        hu[region.mask()] = value
    return hepatica.Image.from_array(hu, unit="HU", grid=GRID, name="planning CT")


CT = made_ct()


def elsewhere(volume: Volume, outside: float = 0.0) -> Volume:
    """What a scanner sees of it in the other frame."""
    how = "activity" if volume.kind.extensive or volume.kind is Kind.ACTIVITY_CONCENTRATION else "values"
    return warp_volume(volume, SHIFT.inverse(), OWN, how, outside=outside)


# Noise of its own: two images with one noise lie on each other best where their voxels do.
NOISE = np.random.default_rng(3).normal(0, 10, OWN.shape)
MOVING_CT = hepatica.Image.from_array(
    elsewhere(CT.volume, -1000.0).values + NOISE, unit="HU", grid=OWN, name="low-dose CT"
)
COUNTS = LIVER.full() * 100.0 + TUMOUR.full() * 300.0 + LUNG.full() * 10.0
SCOUT_HERE = hepatica.Image.from_array(COUNTS, unit="counts", grid=GRID, nuclide="Tc-99m", name="scout")
SCOUT = replace(SCOUT_HERE, volume=elsewhere(SCOUT_HERE.volume))


@pytest.fixture(scope="module")
def found() -> Registration:
    """One real registration of the two CTs."""
    return register_volumes(CT.volume, MOVING_CT.volume)


class Registered:
    """Stands for `register_volumes`: keeps what it was given, answers with the one real registration."""

    def __init__(self, answer: Registration) -> None:
        self.answer = answer
        self.given: list[tuple[Volume, Volume, Region | None]] = []

    def __call__(self, fixed: Volume, moving: Volume, options: object, *, within: Region | None, **_: object) -> object:
        self.given.append((fixed, moving, within))
        return self.answer


@pytest.fixture
def registered(found: Registration, monkeypatch: pytest.MonkeyPatch) -> Registered:
    stand_in = Registered(found)
    monkeypatch.setattr(at_hand, "register_volumes", stand_in)
    return stand_in


def test_a_scout_comes_to_the_ct_by_the_ct_that_was_acquired_with_it(registered: Registered) -> None:
    drawn = [LIVER, TUMOUR]
    known = hepatica.ScoutOptions(ct=CT, transform=SHIFT)
    truth = hepatica.tumour_to_normal(SCOUT, structures=drawn, reading=known)
    reading = hepatica.ScoutOptions(ct=CT, register="rigid", moving_ct=MOVING_CT)
    answer = hepatica.tumour_to_normal(SCOUT, structures=drawn, reading=reading)
    assert registered.given[0][:2] == (CT.volume, MOVING_CT.volume)
    # Off by 1 mm, a tumour of 18 mm radius loses 3/4 x 1 / 18 = 4 % of its voxels to tissue a quarter as hot.
    one, other = (a.uptake.overall.tumour_to_normal.value for a in (truth, answer))
    assert other == pytest.approx(one, rel=0.04)
    said = {message.code: message for message in answer.messages}
    assert "counting in Liver" in said["registered-here"].text
    assert "uncertainty" in said["registered-here"].text
    assert "inverse consistency" in said["registered-here"].text
    assert any("was registered to planning CT (rigid" in step for step in answer.provenance.steps)
    assert answer.as_dict()["provenance"]["parameters"]["register"] == "rigid"


def test_the_registration_is_good_to_a_quarter_of_a_voxel(found: Registration) -> None:
    points = GRID.to_mm(np.argwhere(LIVER.mask()))
    missed = np.linalg.norm(found.transform.points_mm(points) - SHIFT.points_mm(points), axis=1)
    assert missed.mean() < 1.5


def test_a_dose_is_that_of_the_registration_and_the_cts_drive_it(registered: Registered) -> None:
    concentration = hepatica.Image.from_array(
        COUNTS * 1e3, unit="Bq/mL", grid=GRID, nuclide="Y-90", time=datetime(2026, 3, 4, 10), name="PET"
    )
    activity = replace(concentration, volume=elsewhere(concentration.volume))

    def dose(**registration: object) -> hepatica.DoseResult:
        return hepatica.absorbed_dose(
            activity, ct=CT, nuclide="Y-90", structures=[LIVER, TUMOUR, LUNG], engine="local",
            options=hepatica.DoseOptions(
                quantification=hepatica.QuantificationOptions(administered_at=datetime(2026, 3, 4, 10)),
                registration=hepatica.TransformOptions(**registration),  # type: ignore[arg-type]
            ),
        )  # fmt: skip

    with pytest.raises(InputError, match="uptake must not drive"):
        dose(register="rigid")
    answer = dose(register="rigid", moving_ct=MOVING_CT)
    same = dose(transform=registered.answer.transform)
    assert answer["Tumour"].dose_mean_gy == pytest.approx(same["Tumour"].dose_mean_gy, rel=1e-9)
    (fixed, moving, within), *more = registered.given
    assert not more
    assert fixed.kind is moving.kind is Kind.HU
    assert within is not None
    assert within.volume_ml == pytest.approx((LIVER | TUMOUR).volume_ml)
    assert "registered-here" in {message.code for message in answer.messages}
    with pytest.raises(UnknownNameError, match="spleen"):
        dose(register="rigid", moving_ct=MOVING_CT, within=("spleen",))
    with pytest.raises(GeometryError, match="`moving_ct`"):
        dose(register="rigid", moving_ct=CT)


def test_a_registration_that_a_person_must_look_at_is_not_used(registered: Registered) -> None:
    mirrored = Message("moving-image-mirrored", "the moving image fits better as a mirror image", severity="critical")
    registered.answer = replace(registered.answer, messages=(mirrored,))
    reading = hepatica.ScoutOptions(ct=CT, register="rigid", moving_ct=MOVING_CT)
    with pytest.raises(GeometryError, match="not used: the moving image fits better as a mirror image"):
        hepatica.tumour_to_normal(SCOUT, structures=[LIVER, TUMOUR], reading=reading)


def test_planned_and_delivered_dose_by_their_cts(registered: Registered) -> None:
    planned = Volume(GRID, COUNTS / 10, Kind.DOSE)
    delivered = elsewhere(planned)
    drawn = [LIVER, TUMOUR]
    asked = hepatica.TransformOptions(register="rigid", moving_ct=MOVING_CT)
    with pytest.raises(InputError, match="no image to `register` to"):
        hepatica.scout_concordance(planned, delivered, structures=drawn, registration=asked)
    with pytest.raises(InputError, match="`planned_ct` is for a registration"):
        hepatica.scout_concordance(planned, delivered, structures=drawn, planned_ct=CT)
    answer = hepatica.scout_concordance(planned, delivered, structures=drawn, planned_ct=CT, registration=asked)
    known = hepatica.TransformOptions(transform=SHIFT)
    truth = hepatica.scout_concordance(planned, delivered, structures=drawn, registration=known)
    one, other = (found.concordance.structures[0].delivered_dose_mean_gy for found in (truth, answer))
    # Off by 1 mm, a tumour of 18 mm radius loses 3/4 x 1 / 18 = 4 % of its voxels to tissue a quarter as hot.
    assert other == pytest.approx(one, rel=0.04)
    assert len(registered.given) == 1
    sums = [
        hepatica.accumulated_dose(
            planned, delivered, structures=[LIVER], second_ct=MOVING_CT, registration=asked, **fixed
        )
        for asked, fixed in ((known, {}), (hepatica.TransformOptions(register="rigid"), {"first_ct": CT}))
    ]  # fmt: skip
    assert {found.moved_by for found in sums} == {"energy and mass"}
    one, other = (found.course.structures[0].second_dose_mean_gy for found in sums)
    assert other == pytest.approx(one, rel=0.02)


def test_an_even_organ_without_its_border_is_said() -> None:
    """The middle of a liver of one value shows nothing of where it lies."""
    even = ellipsoid("Middle", (-20, -5, -20), (14, 22, 16))
    found = register_volumes(
        CT.volume, MOVING_CT.volume, RegistrationOptions(checks=False, count_rim_mm=0.0), within=even
    )
    assert "nothing-alike-within" in [message.code for message in found.messages if message.severity == "critical"]


def test_structures_follow_a_ct(registered: Registered) -> None:
    there = [warp_region(region, SHIFT.inverse(), OWN) for region in (LIVER, TUMOUR)]
    asked = hepatica.TransformOptions(register="rigid", moving_ct=MOVING_CT)
    answer = hepatica.warp_image(there, to=CT, registration=asked, options=hepatica.WarpOptions(content="structures"))
    found, drawn = (GRID.to_mm(np.argwhere(region.mask()).mean(axis=0)) for region in (answer.regions[0], LIVER))
    np.testing.assert_allclose(found, drawn, atol=1.0)
    # An image that is a CT itself drives its own registration.
    hepatica.warp_image(MOVING_CT, to=CT, registration=hepatica.TransformOptions(register="rigid"))
    assert registered.given[-1][1] is MOVING_CT.volume


def test_lesions_are_matched_where_the_transform_puts_them(registered: Registered, tmp_path: Path) -> None:
    second = ellipsoid("L2", (-20, -15, -35), (14, 14, 14))
    before = [warp_region(r, SHIFT.inverse(), OWN) for r in (LIVER, TUMOUR.renamed("L1"), second)]
    # Other names afterwards, the first one smaller; one that is new.
    small = ellipsoid("A", (-50, -5, -10), (12, 12, 12))
    after = [LIVER, small, second.renamed("B"), ellipsoid("C", (-60, -10, 15), (10, 10, 10))]
    roles = dict.fromkeys(("L1", "L2", "A", "B", "C"), "tumour")
    apart = hepatica.segmented_response(before, after, structure_roles=roles)
    assert {lesion.name for lesion in apart.new_lesions} == {"A", "B", "C"}
    for asked, images in (
        (hepatica.TransformOptions(transform=SHIFT), {}),
        (hepatica.TransformOptions(register="rigid"), {"before_image": MOVING_CT, "after_image": CT}),
    ):
        answer = hepatica.segmented_response(before, after, structure_roles=roles, registration=asked, **images)
        assert [lesion.name for lesion in answer.new_lesions] == ["C"]
        one, other = answer.lesions
        assert one.after is not None
        # Sizes are those of the drawings, not of what was brought over.
        assert one.after.volume_ml == pytest.approx(small.volume_ml)
        assert one.before.volume_ml == pytest.approx(before[1].volume_ml)
        assert other.relative_volume_change == pytest.approx(0, abs=0.02)
        assert {"lesion-matched-by-place", "structures-moved"} <= {message.code for message in answer.messages}
    answer.save(tmp_path)
    assert (tmp_path / "propagated.nii.gz").is_file()
    assert answer.as_dict()["transform"]["kind"] == "rigid"
    with pytest.raises(InputError, match=r"`before_image` and `after_image` not given"):
        hepatica.segmented_response(before, after, structure_roles=roles, registration=asked)


def test_a_lesion_of_one_name_elsewhere_is_said() -> None:
    here = [warp_region(r, SHIFT.inverse(), OWN) for r in (LIVER, TUMOUR)]
    far = ellipsoid("Tumour", (-5, 5, -30), (12, 12, 12))
    answer = hepatica.segmented_response(here, [LIVER, far], registration=hepatica.TransformOptions(transform=SHIFT))
    assert "lesion-lies-elsewhere" in {message.code for message in answer.messages}


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(InputError, match="state one of them"):
        hepatica.TransformOptions(transform=SHIFT, register="rigid")
    with pytest.raises(InputError, match="`moving_ct` is for a registration"):
        hepatica.TransformOptions(moving_ct=MOVING_CT)
    with pytest.raises(InputError, match="`within` is for a registration"):
        hepatica.ScoutOptions(ct=CT, within=("liver",))
    with pytest.raises(InputError, match="`register` brings the scout to the CT"):
        hepatica.ScoutOptions(register="rigid", moving_ct=MOVING_CT)
    counts = hepatica.PlanarViewOptions(lung_counts=(5000, 5000), liver_counts=(45000, 45000))
    with pytest.raises(InputError, match="only of a SPECT/CT"):
        hepatica.lung_shunt(views=counts, reading=hepatica.ScoutOptions(ct=CT, register="rigid", moving_ct=MOVING_CT))
    reading = hepatica.ScoutOptions(ct=CT, register="rigid", moving_ct=MOVING_CT, registered=True)
    with pytest.raises(InputError, match="`registered` says"):
        hepatica.tumour_to_normal(SCOUT, structures=[LIVER, TUMOUR], reading=reading)


def test_a_plan_file_asks_for_it_too(tmp_path: Path) -> None:
    body = TEMPLATE.split("# [images]")[0].split("[uncertainty]")[0]
    body += '[images]\nscout = "spect"\nct = "ct"\nstructures = "rois.dcm"\nregister = "rigid"\n'
    body += 'moving_ct = "scout-ct"\nwithin = ["liver", "Tumour"]\n'
    path = tmp_path / "plan.toml"
    path.write_text(body)
    seen: list[hepatica.PlanImages] = []

    class SeenError(Exception):
        """Stops the plan once its images are known."""

    def measure(images: hepatica.PlanImages, *_: object) -> Measured:
        seen.append(images)
        raise SeenError

    with pytest.raises(SeenError):
        read_plan(path, measure)
    reading = seen[0].reading
    assert (reading.register, reading.within) == ("rigid", ("liver", "Tumour"))
    assert reading.moving_ct == tmp_path / "scout-ct"
    path.write_text(body.replace('["liver", "Tumour"]', "[3]"))
    with pytest.raises(InputError, match=r"images\.within"):
        read_plan(path, measure)
