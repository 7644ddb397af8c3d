"""Organs are proposed where they are, whatever the grid; what is no CT of a trunk, or shows no liver, is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepatica.anatomy.segmentation.propose import PROPOSED, Proposed, SegmentationOptions, propose
from hepatica.anatomy.structures.kinds import Structure
from hepatica.anatomy.structures.roles import structure_of
from hepatica.anatomy.virtual_patient import AnatomyOptions, PatientSettings, VirtualCtOptions, virtual_patient
from hepatica.anatomy.virtual_patient.patient import VirtualPatient
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.resample import resample
from hepatica.errors import GeometryError, InputError, NothingDrawnError, UnitError

LIVER = SegmentationOptions(structures=("liver",))


def settings(contrast: str = "none") -> PatientSettings:
    return PatientSettings(
        seed=23,
        tumours=2,
        anatomy=AnatomyOptions(terminals=24),
        ct=VirtualCtOptions(spacing_mm=(3.0, 3.0, 4.0), noise_hu=15.0, contrast=contrast),  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def patient() -> VirtualPatient:
    return virtual_patient(settings("portal"))


@pytest.fixture(scope="module")
def everything(patient: VirtualPatient) -> Proposed:
    return propose(patient.ct, SegmentationOptions(structures=("body", "lungs", "liver", "spleen", "spine", "kidneys")))


def dice(first: Region, second: Region) -> float:
    a, b = first.mask(), second.mask()
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def cut(volume: Volume, low_mm: float, high_mm: float) -> Volume:
    """Slices between two heights."""
    z = volume.grid.to_mm([[0, 0, k] for k in range(volume.grid.shape[2])])[:, 2]
    kept = np.flatnonzero((z > low_mm) & (z < high_mm))
    window = (slice(0, volume.grid.shape[0]), slice(0, volume.grid.shape[1]), slice(int(kept[0]), int(kept[-1]) + 1))
    return Volume(volume.grid.crop(window), volume.values[window], volume.kind, None, volume.name)


# Least Dice: the for the liver; for spleen and kidneys what half a voxel (1.75 mm) all round a ball of 40 mm
# costs, 2 x 0.76 / 1.76 = 0.86.
@pytest.mark.parametrize(
    ("name", "least"),
    [("liver", 0.93), ("spleen", 0.85), ("kidney left", 0.85), ("kidney right", 0.85), ("lung left", 0.95)],
)
def test_organs_are_where_they_are(patient: VirtualPatient, everything: Proposed, name: str, least: float) -> None:
    (found,) = (region for region in everything.regions if region.name == name)
    assert dice(found, patient.regions[name]) > least


def test_every_structure_says_what_it_is_and_how_good(everything: Proposed) -> None:
    kinds = {region.name: structure_of(region) for region in everything.regions}
    assert kinds["spine"] is Structure.SPINE
    assert kinds["kidney left"] is Structure.KIDNEY
    assert [item.structure for item in everything.quality] == list(kinds)
    assert all(region.origin.startswith(PROPOSED) for region in everything.regions)
    quality = {item.structure: item for item in everything.quality}
    assert quality["liver"].verdict == "plausible"
    # Liver of the portal phase, tables/hounsfield.csv: 112 HU.
    assert quality["liver"].mean_hu == pytest.approx(112, abs=4)
    assert quality["body"].verdict == "plausible"


def test_no_voxel_is_claimed_twice(everything: Proposed) -> None:
    claimed = sum(region.full() for region in everything.regions if region.name != "body")
    assert float(claimed.max()) <= 1.001


def test_tumours_are_part_of_the_liver(patient: VirtualPatient, everything: Proposed) -> None:
    liver = next(region for region in everything.regions if region.name == "liver").mask()
    for n in (1, 2):
        tumour = patient.regions[f"tumour {n}"].mask()
        assert (tumour & liver).sum() > 0.8 * tumour.sum()


def test_the_grid_does_not_matter(patient: VirtualPatient) -> None:
    """Feet first, turned and tilted, another order of axes: the same liver."""
    turn, tilt = np.deg2rad(8.0), np.deg2rad(-6.0)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    low, high = patient.grid.corners_mm().min(axis=0), patient.grid.corners_mm().max(axis=0)
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([1.0, -1.0, -1.0])[:, [2, 0, 1]] * [4.0, 3.0, 3.5]
    shape = np.array([104, 128, 92])
    affine[:3, 3] = (low + high) / 2 - affine[:3, :3] @ ((shape - 1) / 2)
    grid = Grid((104, 128, 92), affine)
    turned = resample(patient.ct, grid, "linear", outside=-1000.0)
    (liver,) = propose(turned, LIVER).regions
    true = resample(Volume(patient.grid, patient.regions["liver"].full(), Kind.FRACTION), grid, "linear")
    assert dice(liver, Region.from_coverage("liver", grid, true.values)) > 0.93


def test_a_fatty_liver_is_found_and_said() -> None:
    """Of the CT numbers of the duodenum (24 HU): place keeps them apart, and the verdict says that they are alike."""
    made = virtual_patient(settings())
    liver = made.regions["liver"]
    values = np.array(made.ct.values)
    values[liver.window] -= 36.0 * liver.coverage
    found = propose(made.ct.with_values(values), LIVER)
    assert dice(found.regions[0], liver) > 0.93
    assert "HU (fatty)" in " ".join(found.quality[0].reasons)


def test_uptake_of_a_lobe_finds_the_whole_liver(patient: VirtualPatient) -> None:
    activity = resample(patient.activity(), patient.grid.with_spacing((6.0, 6.0, 6.0)), "total")
    (liver,) = propose(patient.ct, LIVER, uptake=activity).regions
    assert "uptake" in liver.origin
    assert dice(liver, patient.regions["liver"]) > 0.93


def test_uptake_elsewhere_is_said_and_not_used(patient: VirtualPatient) -> None:
    elsewhere = np.zeros(patient.grid.shape, np.float32)
    elsewhere[-30:-25, 40:45, 10:15] = 100.0
    found = propose(patient.ct, LIVER, uptake=Volume(patient.grid, elsewhere, Kind.COUNTS, None, "scout"))
    assert "uptake-not-used" in {message.code for message in found.messages}
    assert "uptake" not in found.regions[0].origin


def test_uptake_of_another_frame_is_refused(patient: VirtualPatient) -> None:
    ct = patient.ct.in_frame("1.2.3")
    uptake = patient.activity().in_frame("1.2.4")
    with pytest.raises(GeometryError, match="frames of reference differ"):
        propose(ct, LIVER, uptake=uptake)


def test_a_ct_is_no_uptake(patient: VirtualPatient) -> None:
    with pytest.raises(UnitError, match="needed: counts or activity"):
        propose(patient.ct, LIVER, uptake=patient.ct)


def test_a_cropped_liver_is_said(patient: VirtualPatient) -> None:
    found = propose(cut(patient.ct, -20.0, 300.0), LIVER)
    (quality,) = found.quality
    assert quality.verdict == "doubtful"
    assert quality.cut_cm2 > 20
    assert "a part is missing" in " ".join(quality.reasons)
    assert "structure-doubtful" in {message.code for message in found.messages}


def test_a_chest_without_liver_is_said(patient: VirtualPatient) -> None:
    chest = cut(patient.ct, 110.0, 300.0)
    with pytest.raises(NothingDrawnError, match="no liver is proposed") as raised:
        propose(chest, LIVER)
    assert raised.value.names == ("liver",)
    found = propose(chest, SegmentationOptions(structures=("lungs", "liver")))
    assert found.not_found == ("liver",)
    assert "structure-not-found" in {message.code for message in found.messages}


def test_a_head_is_no_trunk() -> None:
    grid = Grid.axial((70, 80, 60), spacing_mm=(3.0, 3.0, 3.0))
    x, y, z = (np.arange(n) for n in grid.shape)
    r = np.sqrt(((x[:, None, None] - 35) / 25) ** 2 + ((y[:, None] - 40) / 32) ** 2 + ((z - 30) / 28) ** 2)
    hu = np.where(r < 0.9, 35.0, np.where(r < 1, 900.0, -1000.0))
    with pytest.raises(InputError, match="no CT of a trunk"):
        propose(Volume(grid, hu, Kind.HU, None, "head"), LIVER)


def test_an_mr_is_no_ct(patient: VirtualPatient) -> None:
    mr = Volume(patient.grid, np.clip(patient.ct.values + 1000, 0, None) / 2, Kind.HU, None, "MR")
    with pytest.raises(InputError, match="is it an MR"):
        propose(mr, LIVER)
    with pytest.raises(UnitError):
        propose(Volume(patient.grid, patient.ct.values, Kind.UNKNOWN, None, "MR"), LIVER)


def test_air_is_no_patient(patient: VirtualPatient) -> None:
    with pytest.raises(InputError):
        propose(Volume(patient.grid, np.full(patient.grid.shape, -1000.0), Kind.HU, None, "air"), LIVER)


def test_an_undefined_voxel_is_refused(patient: VirtualPatient) -> None:
    values = np.array(patient.ct.values)
    values[3, 3, 3] = np.nan
    with pytest.raises(UnitError, match="NaN"):
        propose(replace(patient.ct, values=values), LIVER)


def test_nothing_asked_for_is_refused() -> None:
    with pytest.raises(InputError, match="no structure is asked for"):
        SegmentationOptions(structures=())
