"""The verbs of planar views: shares back from simulated views, several times, doses, drawn regions, refusals."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hepatica
from command_line import hepatica as command
from hepatica.core import Estimate, Grid, Region
from hepatica.core.image import Image
from hepatica.errors import HepaticaError, InputError
from hepatica.imaging.planar.views import PlanarViews
from planar_makers import SHARES, WHEN, BoxPatient, box_patient

SCAN = hepatica.PlanarScanOptions(pixel_mm=8.0, columns=44, frame_duration_s=60.0)


@pytest.fixture(scope="module")
def patient() -> BoxPatient:
    return box_patient()


def simulated(patient: BoxPatient, **scan: Any) -> Any:
    asked = hepatica.PlanarSimulationOptions(scan=replace(SCAN, **scan))
    return hepatica.simulate_planar(patient.activity, ct=patient.ct, nuclide="I-131", options=asked)


@pytest.fixture(scope="module")
def views(patient: BoxPatient) -> PlanarViews:
    found: PlanarViews = simulated(patient).views
    return found


def options(**groups: Any) -> Any:
    reading = groups.pop("reading", hepatica.PlanarReadingOptions(nuclide="I-131"))
    counts = groups.pop("counts", hepatica.PlanarCountsOptions(planar_scatter="none"))
    absorption = groups.pop("absorption", hepatica.PlanarAttenuationOptions(beam="narrow"))
    return hepatica.BiodistributionOptions(reading=reading, counts=counts, absorption=absorption, **groups)


def test_shares_come_back(patient: BoxPatient, views: PlanarViews) -> None:
    """Analytic views of boxes: only counting noise, borders of 8 mm pixels and one width for all depths remain."""
    found = hepatica.biodistribution(views, structures=patient.regions, ct=patient.ct, options=options())
    shares = {organ.name: organ for organ in found.times[0].organs}
    assert shares["tumour"].share.value == pytest.approx(SHARES["tumour"], abs=0.03)
    assert shares["liver"].share.value == pytest.approx(SHARES["tumour"] + SHARES["liver"], abs=0.02)
    assert shares["lungs"].share.value == pytest.approx(0.16, abs=0.02)
    for name, true in (("liver", 0.84), ("lungs", 0.16), ("tumour", 0.45)):
        low, high = shares[name].share_95
        assert low < true < high
    time = found.times[0]
    assert time.lung_shunt is not None
    assert time.lung_shunt_not_corrected is not None
    assert time.lung_shunt.value == pytest.approx(0.16, abs=0.02)
    # Lungs of 160 mm let more through than a liver of 150 mm in soft tissue: the shunt reads high without correction.
    assert time.lung_shunt_not_corrected > 1.25 * time.lung_shunt.value
    assert {organ.activity_mbq for organ in time.organs} == {None}
    assert found.organ_doses == ()


def test_absolute_activities_by_the_camera_factor(patient: BoxPatient) -> None:
    made = simulated(patient)
    factor = made.energy_windows[0].sensitivity_cps_per_mbq
    calibration = hepatica.CameraCalibration(Estimate(factor, 0.0), "planar", hepatica_conditions(), (), WHEN, 10.0)
    found = hepatica.biodistribution(
        made.views, structures=patient.regions, ct=patient.ct,
        options=options(
            organs=hepatica.PlanarOrganOptions(normalise="camera"),
            given=hepatica.PlanarGivenOptions(calibration=calibration),
        ),
    )  # fmt: skip
    held = {organ.name: organ.activity_mbq for organ in found.times[0].organs}
    assert held["liver"] is not None
    assert held["lungs"] is not None
    assert held["liver"].value == pytest.approx(840, rel=0.03)
    assert held["lungs"].value == pytest.approx(160, rel=0.1)


def hepatica_conditions() -> Any:
    from hepatica.imaging.quantify.acquisition_conditions import Conditions

    return Conditions("I-131", "siemens-hegp", None)


def test_several_times_give_half_lives_residence_times_and_doses(patient: BoxPatient, views: PlanarViews) -> None:
    """What the lungs hold leaves them with 100 h biologically; liver and tumour keep theirs."""
    physical = hepatica.nuclide("I-131").half_life_h
    late = []
    for hours in (0.0, 72.0, 168.0):
        later = box_patient(1e9 * 2 ** (-hours / physical), WHEN + timedelta(hours=hours))
        kept = later.activity.volume.values.copy()
        for region in later.regions:
            if region.name.startswith("lung"):
                kept[region.window][region.coverage > 0] *= 2 ** (-hours / 100)
        image = Image.from_array(kept, unit="Bq/mL", grid=later.activity.grid, time=WHEN + timedelta(hours=hours))
        late.append(simulated(replace(later, activity=image)).views)
    found = hepatica.biodistribution(
        late, structures=patient.regions, ct=patient.ct,
        options=options(given=hepatica.PlanarGivenOptions(
            administered_bq=1e9, administered_at=WHEN, patient_sex="male", organ_mass_kg=(("tumour", 0.1),),
        )),
    )  # fmt: skip
    curves = {curve.organ: curve for curve in found.curves}
    effective = 1 / (1 / physical + 1 / 100)
    # Shares of lungs and liver are known to a few per cent; three of them over a week give the half-life as well.
    assert curves["lungs"].effective_half_life_h.value == pytest.approx(effective, rel=0.05)
    assert curves["liver"].effective_half_life_h.value == pytest.approx(physical, rel=0.03)
    assert curves["liver"].residence_time_h.value == pytest.approx(0.84 * physical / np.log(2), rel=0.04)
    assert found.excreted == pytest.approx(0.16 * (1 - 2**-1.68), abs=0.015)
    doses = {dose.organ: dose.dose_gy.value for dose in found.organ_doses}
    # The liver's own, self-dose alone: 840 MBq decaying physically, S of the table scaled to the mass of the CT.
    assert doses["liver"] > 10 * doses["kidneys"] > 0
    assert {one.tumour: one.dose_gy.value for one in found.tumour_doses}["tumour"] == pytest.approx(
        0.45e9 * physical * 3600 / np.log(2) * 0.192e6 * 1.602e-19 / 0.1, rel=0.08
    )
    assert found.administered_mbq == 1000.0


def drawn(views: PlanarViews, tmp_path: Path, patient: BoxPatient) -> tuple[Path, tuple[Region, ...]]:
    """Files of the views, and regions drawn on the anterior one."""
    made = simulated(patient)
    folder = made.save(tmp_path / "s")
    x, z = np.indices(views.shape)
    place = views.place_mm
    assert place is not None
    x_mm, z_mm = place[0] + 8 * x, place[1] - 8 * z
    boxes = {
        "liver": (x_mm > -135) & (x_mm < 45) & (z_mm > -115) & (z_mm < 15),
        "lungs": ((x_mm > 25) & (x_mm < 135) & (z_mm > 20) & (z_mm < 135))
        | ((x_mm > -135) & (x_mm < -20) & (z_mm > 20) & (z_mm < 135)),
    }
    frames = from_file(folder / "planar.dcm")
    regions = []
    for name, mask in boxes.items():
        full = np.zeros(frames.shape, np.float32)
        full[:, :, 0] = mask
        regions.append(Region.from_coverage(name, frames, full))
    return folder / "planar.dcm", tuple(regions)


def from_file(path: Path) -> Grid:
    from hepatica.io.dicom.images.planar import read_planar

    return read_planar([path], all_windows=True)[0].image.grid


def test_regions_drawn_on_the_views(patient: BoxPatient, views: PlanarViews, tmp_path: Path) -> None:
    path, regions = drawn(views, tmp_path, patient)
    thick = hepatica.PlanarAttenuationOptions(
        attenuation="thickness", beam="narrow", body_thickness_mm=210.0,
        organ_thickness_mm=(("liver", 150.0), ("lungs", 160.0)),
    )  # fmt: skip
    found = hepatica.biodistribution(
        path,
        structures=regions,
        options=options(absorption=thick, organs=hepatica.PlanarOrganOptions(normalise="organs")),
    )
    shares = {organ.name: organ.share.value for organ in found.times[0].organs}
    # One thickness of soft tissue for lungs too: they attenuate less, so the share stays as high as uncorrected.
    assert 0.16 < shares["lungs"] < 0.30
    with_ct = hepatica.biodistribution(
        path, structures=regions, ct=patient.ct,
        options=options(organs=hepatica.PlanarOrganOptions(drawn_on="views", normalise="organs", offset_mm=(0.0, 0.0)),
                        absorption=hepatica.PlanarAttenuationOptions(
                            beam="narrow", organ_thickness_mm=(("liver", 150.0), ("lungs", 160.0)))),
    )  # fmt: skip
    by_ct = {organ.name: organ.share.value for organ in with_ct.times[0].organs}
    assert by_ct["lungs"] == pytest.approx(0.16, abs=0.05)
    codes = {message.code for message in found.messages}
    assert {"no-background", "structures-carried-over"} <= codes


def test_a_missing_posterior_view_is_said(patient: BoxPatient) -> None:
    alone = simulated(patient, sides="anterior").views
    found = hepatica.biodistribution(alone, structures=patient.regions, ct=patient.ct, options=options())
    assert found.times[0].sides == ("anterior",)
    assert "single-view" in {message.code for message in found.messages}
    assert {o.name: o.share.value for o in found.times[0].organs}["lungs"] == pytest.approx(0.16, abs=0.03)


def region_outside(patient: BoxPatient, views: PlanarViews, tmp_path: Path) -> Any:
    path, regions = drawn(views, tmp_path, patient)
    other = np.zeros(regions[0].grid.shape, np.float32)
    other[:, :, 2] = 1
    odd = (regions[0], Region.from_coverage("lungs", regions[0].grid, other))
    return path, odd


def regions_on_both(region: Region) -> np.ndarray:
    """A box on frames 1 and 2, the two views of the first window."""
    full = np.zeros(region.grid.shape, np.float32)
    full[5:12, 5:12, :2] = 1
    return full


def test_a_region_outside_the_views_is_refused(patient: BoxPatient, views: PlanarViews, tmp_path: Path) -> None:
    path, odd = region_outside(patient, views, tmp_path)
    thick = hepatica.PlanarAttenuationOptions(attenuation="thickness", body_thickness_mm=210.0)
    found = hepatica.biodistribution(path, structures=odd[:1], options=options(absorption=thick))
    assert [organ.name for organ in found.times[0].organs] == ["liver", "rest of body"]
    both = np.array(regions_on_both(odd[0]))
    here = Region.from_coverage("lungs", odd[0].grid, both)
    with pytest.raises(InputError, match="'liver' covers no pixel of the posterior view"):
        hepatica.biodistribution(path, structures=(odd[0], here), options=options(absorption=thick))
    with pytest.raises(InputError, match="no structures are drawn"):
        hepatica.biodistribution(path, structures=odd[1:], options=options(absorption=thick))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"absorption": hepatica.PlanarAttenuationOptions(attenuation="transmission")}, "with its own attenuation"),
        ({"reading": hepatica.PlanarReadingOptions()}, "do not name the nuclide"),
        ({"organs": hepatica.PlanarOrganOptions(planar_organs=("knee",))}, "knee"),
        ({"reading": hepatica.PlanarReadingOptions(nuclide="I-131", energy_window=4)}, "there is no energy window 4"),
        ({"counts": hepatica.PlanarCountsOptions(dead_time_s=1e-3)}, "above the largest"),
        ({"given": hepatica.PlanarGivenOptions(administered_at=WHEN + timedelta(days=1))}, "before the administration"),
    ],
)
def test_what_cannot_be(patient: BoxPatient, views: PlanarViews, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(HepaticaError, match=words):
        hepatica.biodistribution(views, structures=patient.regions, ct=patient.ct, options=options(**asked))


def test_another_nuclide_or_patient_is_refused(patient: BoxPatient, views: PlanarViews, tmp_path: Path) -> None:
    path, regions = drawn(views, tmp_path, patient)
    thick = hepatica.PlanarAttenuationOptions(attenuation="thickness", beam="narrow", body_thickness_mm=210.0)
    other = hepatica.PlanarReadingOptions(nuclide="Lu-177")
    with pytest.raises(InputError, match="the header says I-131, asked for is Lu-177"):
        hepatica.biodistribution(path, structures=regions, options=options(absorption=thick, reading=other))
    from hepatica.core.context import DicomContext
    from hepatica.io.dicom.images.write import write_ct

    write_ct(tmp_path / "ct", patient.ct.volume, DicomContext.invented(patient_id="P2", slices=56), description="CT")
    onto = hepatica.PlanarOrganOptions(drawn_on="views")
    with pytest.raises(InputError, match="must be of one patient"):
        hepatica.biodistribution(path, structures=regions, ct=tmp_path / "ct", options=options(organs=onto))


def test_attenuation_needs_something_to_know_it_from(views: PlanarViews, patient: BoxPatient, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a transmission scan or the thickness"):
        hepatica.biodistribution(views, structures=patient.regions, options=options())


def test_the_command_gives_the_same(patient: BoxPatient, tmp_path: Path) -> None:
    """Files in, JSON and a report out; the report shows both views."""
    made = simulated(patient)
    folder = made.save(tmp_path / "s")
    from hepatica.core.context import DicomContext
    from hepatica.io.dicom.images.write import write_ct
    from hepatica.io.dicom.structures.rtstruct import write_rtstruct

    context = write_ct(tmp_path / "ct", patient.ct.volume, DicomContext.invented(slices=56), description="CT")
    write_rtstruct(tmp_path / "rtstruct.dcm", list(patient.regions), context)
    done = command(
        "biodistribution", folder / "planar.dcm", "--structures", tmp_path / "rtstruct.dcm", "--ct", tmp_path / "ct",
        "--planar-scatter", "none", "--beam", "narrow", "--administered", "1 GBq", "--patient-sex", "female", "--out",
        tmp_path / "b", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    shares = {organ["name"]: organ["share"] for organ in found["times"][0]["organs"]}
    assert shares["lungs"] == pytest.approx(0.16, abs=0.03)
    assert found["organ_doses"]
    assert found["patient_sex"] == "female"
    names = {path.name for path in (tmp_path / "b").iterdir()}
    assert {"biodistribution.pdf", "biodistribution.html", "organs.csv", "result.json", "organ-doses.csv"} <= names
