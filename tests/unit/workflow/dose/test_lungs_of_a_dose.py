"""Where answers meet at the lungs: lung shunt, dose, limits, and what the image shows."""

from __future__ import annotations

import csv
import gzip
import json
import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

import hepatica
from hepatica.core import Grid, Region
from hepatica.core.certainty import ImageCertainty
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.resample import resample
from hepatica.errors import UnitError
from hepatica.planning.measured.judged_doses import judged_treatment
from hepatica.planning.measured.treatment_results import absorbed_dose_of
from hepatica.report.tables import dose_rows, v_rows
from hepatica.workflow.dose.numbers import LUNGS_BY_SHUNT
from hepatica.workflow.dose.report import dose_report

GIVEN_AT = datetime(2026, 3, 2, 10, 30)
SHAPE = (30, 24, 40)
SPACING = (8.0, 8.0, 8.0)


class Torso:
    """Liver with a tumour below lungs that end below the top of the image, or are cut off by it."""

    def __init__(
        self, lung_share: float = 0.05, *, cut: bool = False, liver_hu: float = 60.0, size: float = 1.0
    ) -> None:
        self.grid = Grid.axial(SHAPE, spacing_mm=SPACING)
        x, y, z = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
        body = ((x - 15) / 13.5) ** 2 + ((y - 12) / 10.5) ** 2 < 1
        lungs = ((abs(x - 15) - 6.5) / 5) ** 2 + ((y - 12) / 8) ** 2 < size**2
        lungs &= (z >= 20) & (z < (40 if cut else 36))
        liver = ((x - 11) / 8) ** 2 + ((y - 12) / 8) ** 2 + ((z - 11) / 7) ** 2 < 1
        tumour = (x - 11) ** 2 + (y - 12) ** 2 + (z - 11) ** 2 < 8
        hu = np.where(body, 0.0, -1000.0)
        hu[lungs], hu[liver], hu[tumour] = -740, liver_hu, 60
        activity = np.where(tumour, 4.0, np.where(liver, 1.0, 0.0))
        activity[lungs] = activity.sum() * lung_share / (1 - lung_share) / lungs.sum()
        self.counts = activity * 1e6 / activity.sum()
        self.ct = Image.from_array(hu, unit="HU", grid=self.grid, name="ct")
        masks = {"Liver": liver, "Tumour": tumour, "Lungs": lungs}
        self.regions = [Region.from_coverage(name, self.grid, mask) for name, mask in masks.items()]

    @property
    def scout(self) -> Image:
        return Image.from_array(self.counts, unit="counts", grid=self.grid, name="scout")

    def in_mbq(self, total: float) -> Image:
        values = self.counts * total * 1e6 / self.counts.sum() / self.grid.voxel_volume_ml
        return Image.from_array(values, unit="Bq/mL", grid=self.grid, time=GIVEN_AT, name="pet")

    def dose(self, image: Image, *, ct: bool = True, **groups: object) -> hepatica.DoseResult:
        shunt, sure = groups.pop("lung_shunt", 0.0), groups.pop("lungs_in_image", False)
        stated = hepatica.QuantificationOptions(
            administered_bq=2e9, administered_at=GIVEN_AT, lung_shunt=shunt, lungs_in_image=sure
        )
        options = hepatica.DoseOptions(
            quantification=stated, clinical=hepatica.StructureOptions(agent="glass"), **groups
        )
        return hepatica.absorbed_dose(
            image, ct=self.ct if ct else None, nuclide="Y-90", structures=self.regions, engine="local", options=options
        )


def codes(messages: tuple[Message, ...]) -> set[str]:
    return {message.code for message in messages}


def lung_limits(result: hepatica.DoseResult) -> dict[str, str]:
    return {row.structure: row.status for row in result.limits if row.limit_gy == 30 and "ung" in row.structure}


def test_the_lung_dose_by_the_shunt_is_judged_where_the_image_has_none() -> None:
    """2 GBq at 40 % are 800 MBq in the lungs, which the image does not hold: 40 Gy in 1 kg, not 0.06 Gy."""
    torso = Torso(lung_share=0.0, cut=True)
    found = torso.dose(torso.in_mbq(1200), lung_shunt=0.4)
    lungs = found.lung_doses
    assert lungs is not None
    assert lungs.by_shunt is not None
    assert lungs.by_image is not None
    # 49.67 Gy kg/GBq (ensdf 49.7) times 0.8 GBq over 1 kg.
    assert lungs.by_shunt.dose_lung_gy.value == pytest.approx(39.7, abs=0.2)
    assert lungs.by_shunt.activity_lung_mbq == pytest.approx(800)
    assert lungs.by_image.dose_mean_gy < 0.01
    assert lungs.judged == "shunt"
    assert lung_limits(found) == {LUNGS_BY_SHUNT: "violated", "Lungs": "unjudged"}
    assert {"lung-doses-differ", "lungs-cut-off"} <= codes(found.messages)
    document = found.as_dict()["lung_doses"]
    assert document["judged"] == "shunt"
    assert document["dose_judged_gy"] == pytest.approx(lungs.by_shunt.dose_lung_gy.value)
    # All of the activity expected is there: the shunt lies outside what the image holds.
    assert found.activity_expected_mbq == pytest.approx(1200)
    assert "lung-doses" in [table.name for table in found.tables()]


def test_the_dose_by_the_shunt_has_an_interval_where_all_of_it_is_known(tmp_path: Path) -> None:
    """Shunt, activity and mass in squares; in table, limit, and what is left for a next treatment."""
    torso = Torso(lung_share=0.0, cut=True)
    stated = hepatica.QuantificationOptions(
        administered_bq=2e9, administered_sd_bq=4e7, administered_at=GIVEN_AT, lung_shunt=0.4, lung_shunt_sd=0.02
    )
    found = hepatica.absorbed_dose(
        torso.in_mbq(1200), ct=torso.ct, nuclide="Y-90", structures=torso.regions, engine="local",
        options=hepatica.DoseOptions(
            quantification=stated, clinical=hepatica.StructureOptions(agent="glass"),
            lungs=hepatica.LungOptions(lung_mass_kg=1.2, lung_mass_relative_sd=0.1),
        ),
    )  # fmt: skip
    assert found.lung_doses is not None
    shunt = found.lung_doses.by_shunt
    assert shunt is not None
    assert shunt.dose_lung_gy.relative_sd == pytest.approx(math.hypot(0.05, 0.02, 0.1))
    low, high = shunt.interval_95_gy
    assert (high - low) / 2 == pytest.approx(1.96 * shunt.dose_lung_gy.sd)
    (row,) = (row for row in found.limits if row.structure == LUNGS_BY_SHUNT and row.limit_gy == 30)
    assert (row.low_gy, row.high_gy) == (low, high)
    saved = found.save(tmp_path / "dose")
    assert absorbed_dose_of(saved).lung_high_gy == pytest.approx(high, rel=1e-6)
    judged = next(one for one in judged_treatment(saved).doses if one.structure == LUNGS_BY_SHUNT)
    assert judged.interval_gy == pytest.approx((low, high), rel=1e-6)
    # A shunt without an uncertainty leaves none of the dose.
    bare = torso.dose(torso.in_mbq(1200), lung_shunt=0.4).lung_doses
    assert bare is not None
    assert bare.by_shunt is not None
    assert bare.by_shunt.interval_95_gy is None
    assert bare.by_shunt.not_known[:2] == ("lung shunt", "activity")
    with pytest.raises(hepatica.InputError, match="a shunt that is not stated"):
        hepatica.QuantificationOptions(lung_shunt_sd=0.01)


def test_shunt_then_dose_then_verdict() -> None:
    """The shunt of the scout, stated to the dose of the same image, gives the same lung dose both ways."""
    torso = Torso(lung_share=0.05)
    scout = hepatica.lung_shunt(
        torso.scout,
        structures=torso.regions,
        reading=hepatica.ScoutOptions(ct=torso.ct),
        dose=hepatica.LungDoseOptions(planned_gbq=2.0),
    )
    assert scout.lungs_whole
    assert scout.lung_dose is not None
    assert scout.shunt.lung_shunt.value == pytest.approx(0.05, rel=1e-4)
    found = torso.dose(torso.scout, lung_shunt=scout.shunt.lung_shunt.value)
    lungs = found.lung_doses
    assert lungs is not None
    assert lungs.by_shunt is not None
    assert lungs.by_image is not None
    # One mass, from the CT's voxels; 0.3 % between the dose constant and the engine's decays and energy.
    assert 1000 * lungs.by_shunt.lung_mass_kg == pytest.approx(lungs.by_image.mass_g)
    assert lungs.by_shunt.dose_lung_gy.value == pytest.approx(scout.lung_dose.dose_lung_gy.value, rel=1e-6)
    assert lungs.by_image.dose_mean_gy == pytest.approx(lungs.by_shunt.dose_lung_gy.value, rel=3e-3)
    # Nothing was taken off: the lungs are in view.
    assert found.activity_in_image_mbq == pytest.approx(2000, rel=1e-4)
    assert not codes(found.messages) & {"lungs-cut-off", "shunt-against-image", "lung-doses-differ"}
    assert set(lung_limits(found).values()) == {"met", "unjudged"}


def test_a_shunt_that_contradicts_lungs_in_view_is_said_with_both_numbers() -> None:
    torso = Torso(lung_share=0.05)
    found = torso.dose(torso.scout, lung_shunt=0.2)
    (message,) = (m for m in found.messages if m.code == "shunt-against-image")
    assert "5.0 %" in message.text
    assert "20.0 %" in message.text
    assert found.activity_in_image_mbq == pytest.approx(2000, rel=1e-4)
    assert found.lung_doses is not None
    assert found.lung_doses.judged == "shunt"


def test_of_lungs_partly_in_view_only_the_part_out_of_view_is_taken_off() -> None:
    """1.6 of 2 GBq are not in the lungs, and 95 % of the image: it holds 1.6 / 0.95 GBq."""
    torso = Torso(lung_share=0.05, cut=True)
    found = torso.dose(torso.scout, lung_shunt=0.2)
    assert found.activity_in_image_mbq == pytest.approx(1600 / 0.95, rel=1e-4)


def test_lungs_stated_to_be_in_the_image_are_looked_for() -> None:
    torso = Torso(lung_share=0.0)
    assert "lungs-not-seen" in codes(torso.dose(torso.scout, lungs_in_image=True).messages)
    torso = Torso(lung_share=0.05, cut=True)
    assert "lungs-partly-in-view" in codes(torso.dose(torso.scout, lungs_in_image=True).messages)
    torso = Torso(lung_share=0.05)
    assert not {c for c in codes(torso.dose(torso.scout, lungs_in_image=True).messages) if c.startswith("lungs-")}
    torso.regions = torso.regions[:2]
    drawn_by_nobody = codes(torso.dose(torso.scout, lungs_in_image=True).messages)
    assert "lungs-from-ct" in drawn_by_nobody
    assert "lungs-not-seen" not in drawn_by_nobody
    hu = np.where(torso.ct.volume.values == -740, 0, torso.ct.volume.values)
    torso.ct = Image.from_array(hu, unit="HU", grid=torso.grid, name="ct")
    assert "lungs-not-seen" in codes(torso.dose(torso.scout, lungs_in_image=True).messages)


def test_the_mass_of_whole_lungs_can_be_stated_or_modelled() -> None:
    torso = Torso(lung_share=0.05, cut=True)
    for options, mass in (
        (hepatica.LungOptions(lung_mass_kg=2.5), 2.5),
        (hepatica.LungOptions(patient_sex="male"), 1.2),
        (hepatica.LungOptions(), 1.0),
    ):
        lungs = torso.dose(torso.scout, lung_shunt=0.2, lungs=options).lung_doses
        assert lungs is not None
        assert lungs.by_shunt is not None
        assert lungs.by_shunt.lung_mass_kg == mass


def test_cut_off_lungs_are_completed_in_the_shunt() -> None:
    torso = Torso(lung_share=0.05, cut=True)
    reading = hepatica.ScoutOptions(ct=torso.ct)
    seen = hepatica.lung_shunt(
        torso.scout, structures=torso.regions, reading=reading, spect=hepatica.SpectShuntOptions(cut_lungs="as-seen")
    )
    assert seen.shunt.lung_shunt.value == pytest.approx(0.05, rel=1e-4)
    assert "lungs-cut-off" in codes(seen.messages)
    assert seen.lungs_whole is False
    part = seen.lung_mass_kg
    assert part is not None
    options = hepatica.SpectShuntOptions(lung_mass_kg=2 * part)
    whole = hepatica.lung_shunt(
        torso.scout, structures=torso.regions, reading=reading, spect=options,
        dose=hepatica.LungDoseOptions(planned_gbq=2.0),
    )  # fmt: skip
    # Twice the lung at the same uptake per gram: 10 against 95.
    assert whole.shunt.lung_shunt.value == pytest.approx(10 / 105, rel=1e-4)
    assert whole.lung_dose is not None
    assert whole.lung_dose.lung_mass_used_kg == pytest.approx(2 * part)
    text = next(m.text for m in whole.messages if m.code == "lungs-cut-off")
    assert f"{1000 * part:.3g} g" in text
    assert "head" in text
    assert "9.52 %" in text
    modelled = hepatica.lung_shunt(
        torso.scout, structures=torso.regions, reading=reading,
        spect=hepatica.SpectShuntOptions(patient_sex="male"), dose=hepatica.LungDoseOptions(planned_gbq=2.0),
    )  # fmt: skip
    assert modelled.whole_lung_mass is not None
    assert modelled.whole_lung_mass.origin == ("sex" if part < 1.2 else "ct")


def test_lungs_that_only_the_activity_image_cuts_off_have_the_mass_of_the_ct() -> None:
    torso = Torso(lung_share=0.05)
    short = torso.grid.crop((slice(0, 30), slice(0, 24), slice(0, 28)))
    scout = Image.from_array(torso.counts[:, :, :28], unit="counts", grid=short, name="scout")
    found = torso.dose(scout, lung_shunt=0.05)
    lungs = found.lung_doses
    assert lungs is not None
    assert lungs.by_shunt is not None
    assert lungs.by_image is not None
    # Half of the lungs, 8 of 16 slices, are in view; the shunt's dose is that of all of them.
    assert 1000 * lungs.by_shunt.lung_mass_kg == pytest.approx(2 * lungs.by_image.mass_g)
    assert lungs.by_shunt.lung_mass_from == "from the CT's voxels"
    text = next(message.text for message in found.messages if message.code == "lungs-cut-off")
    assert f"{lungs.by_image.mass_g:.3g} g" in text
    # The rest of the shunt lies out of view: 95 % of what was given is in the liver.
    assert found["Liver"].activity_share == pytest.approx(0.95 / 0.975, rel=1e-3)
    assert found.activity_in_image_mbq == pytest.approx(2000 * 0.975, rel=1e-3)
    (shunt,) = [hepatica.lung_shunt(scout, structures=torso.regions, reading=hepatica.ScoutOptions(ct=torso.ct)).shunt]
    assert shunt.lung_shunt.value == pytest.approx(0.05, rel=1e-3)


def test_lung_mass_and_dose_do_not_depend_on_the_grid_of_the_dose() -> None:
    """On the camera's 16 mm voxels the border of the lungs weighs more than lung; mass and energy over mass stay."""
    torso = Torso(lung_share=0.05)
    coarse = torso.grid.with_spacing((16.0, 16.0, 16.0))
    seen = resample(torso.scout.volume, coarse, "total")
    scout = Image.from_array(seen.values, unit="counts", grid=coarse, name="scout")
    found = [torso.dose(scout, output=hepatica.OutputOptions(grid=grid))["Lungs"] for grid in ("activity", "ct")]
    assert found[0].mass_g == pytest.approx(found[1].mass_g, rel=1e-4)
    # Decays are uniform in each of the camera's voxels whatever the dose's, so that energy and mass are the same.
    assert found[0].dose_mean_gy == pytest.approx(found[1].dose_mean_gy, rel=0.01)


def test_contrast_is_said_and_corrected_in_dose_scout_and_report() -> None:
    plain, bright = Torso(), Torso(liver_hu=141)
    found = [torso.dose(torso.scout) for torso in (plain, bright)]
    assert "contrast-enhanced-ct" in codes(found[1].messages)
    assert found[1].structure("Liver").density_from == "reference"
    # 1.06 (ICRU 46) against 1.0525 g/mL of the CT number of unenhanced liver: 0.7 %.
    ratio = found[1]["Liver"].dose_mean_gy / found[0]["Liver"].dose_mean_gy
    assert ratio == pytest.approx(1.0525 / 1.06, rel=2e-3)
    kept = bright.dose(bright.scout, density=hepatica.DensityOptions(structure_density={"Liver": 1.055}))
    assert kept.structure("Liver").density_from == "stated"
    assert kept["Liver"].mass_g == pytest.approx(1.055 * kept["Liver"].volume_ml, rel=1e-4)
    reading = hepatica.ScoutOptions(ct=bright.ct)
    tn = hepatica.tumour_to_normal(bright.scout, structures=bright.regions, reading=reading)
    assert "contrast-enhanced-ct" in codes(tn.messages)
    liver = found[1]["liver minus tumours"]
    assert 1000 * tn.uptake.masses_kg["normal liver"] == pytest.approx(liver.mass_g, rel=1e-5)


def test_a_dose_without_ct_needs_a_density_and_says_what_it_does_not_know() -> None:
    torso = Torso()
    with pytest.raises(hepatica.InputError, match="density of the patient is not known"):
        torso.dose(torso.scout, ct=False)
    found = torso.dose(torso.scout, ct=False, density=hepatica.DensityOptions(uniform_density_g_ml=1.05))
    assert found.ct is None
    assert found.structure("Liver").density_from == "uniform"
    assert {"no-ct", "lung-mass-unknown"} <= codes(found.messages)
    assert found["Liver"].mass_g == pytest.approx(1.05 * found["Liver"].volume_ml, rel=1e-4)
    assert lung_limits(found) == {"Lungs": "unjudged"}
    assert found.lung_doses is not None
    assert found.lung_doses.judged is None
    # The density adds its 5 % to what is known of the mean.
    with_ct = torso.dose(torso.scout).structure("Tumour").mean
    without = found.structure("Tumour").mean
    assert without.relative_sd is not None
    assert with_ct.relative_sd is not None
    assert without.relative_sd**2 == pytest.approx(with_ct.relative_sd**2 + 0.05**2, rel=1e-6)
    told = torso.dose(
        torso.scout, ct=False,
        density=hepatica.DensityOptions(uniform_density_g_ml=1.05, structure_density={"Lungs": 0.26}),
    )  # fmt: skip
    assert told.lung_doses is not None
    assert told.lung_doses.judged == "image"
    with pytest.raises(hepatica.InputError, match="without `ct`"):
        torso.dose(torso.scout, density=hepatica.DensityOptions(uniform_density_g_ml=1.05))


def test_quantify_takes_no_shunt_off_for_lungs_in_view() -> None:
    torso = Torso(lung_share=0.05)
    stated = hepatica.QuantificationOptions(administered_bq=2e9, administered_at=GIVEN_AT, lung_shunt=0.2)
    alone = hepatica.quantify(torso.scout, nuclide="Y-90", quantification=stated)
    assert alone.activity_mbq == pytest.approx(1600, rel=1e-4)
    seen = hepatica.quantify(torso.scout, nuclide="Y-90", structures=torso.regions, quantification=stated)
    assert seen.activity_mbq == pytest.approx(2000, rel=1e-4)
    assert "shunt-against-image" in codes(seen.messages)


@pytest.mark.parametrize("drawn", ["none", "right"])
def test_lungs_that_nobody_drew_are_those_of_the_ct(drawn: str) -> None:
    """Whole lungs in view with 20 % of the activity: nothing is taken off, and one lung alone is not the lungs."""
    # Behind a wall of the chest as thick as a patient's.
    torso = Torso(lung_share=0.2, size=0.7)
    whole = torso.dose(torso.scout, lung_shunt=0.2)
    lungs = torso.regions.pop()
    if drawn == "right":
        half = lungs.mask() & (np.arange(SHAPE[0]) < SHAPE[0] // 2)[:, None, None]
        torso.regions.append(Region.from_coverage("Right lung", torso.grid, half))
    found = torso.dose(torso.scout, lung_shunt=0.2)
    assert found["Tumour"].dose_mean_gy == pytest.approx(whole["Tumour"].dose_mean_gy, rel=1e-6)
    (note,) = (m for m in found.messages if m.code == "lungs-from-ct")
    assert ("no lungs are drawn" if drawn == "none" else "the left lung is not drawn") in note.text
    assert not codes(found.messages) & {"lungs-cut-off", "shunt-against-image"}
    assert found.lung_doses is not None
    assert found.lung_doses.by_shunt is not None
    assert found.lung_doses.by_shunt.lung_mass_from == "from the CT's voxels"
    assert found.activity_in_image_mbq == pytest.approx(2000, rel=1e-4)


def test_without_a_shunt_only_what_is_drawn_has_a_dose() -> None:
    torso = Torso()
    torso.regions.pop()
    found = torso.dose(torso.scout)
    assert "lungs on the CT" not in [item.dose.name for item in found.structures]


def test_a_stated_mass_of_the_lungs_is_held_against_the_ct() -> None:
    torso = Torso(lung_share=0.05)
    found = torso.dose(torso.scout, lung_shunt=0.05)
    assert found.lung_doses is not None
    assert found.lung_doses.by_shunt is not None
    seen = found.lung_doses.by_shunt.lung_mass_kg
    for stated, wrong in ((1.4 * seen, False), (1.6 * seen, True), (0.9 * seen, True)):
        lungs = hepatica.LungOptions(lung_mass_kg=stated)
        said = [m for m in torso.dose(torso.scout, lung_shunt=0.05, lungs=lungs).messages if "lung-mass" in m.code]
        against = [m for m in said if m.code == "lung-mass-against-ct"]
        assert bool(against) is wrong
        assert all(f"{seen:.3g} kg" in m.text and m.severity == "critical" for m in against)
    with pytest.raises(UnitError, match=r"9\.5 kg"):
        hepatica.LungOptions(lung_mass_kg=9.5)
    with pytest.raises(UnitError, match="lung_mass_kg"):
        hepatica.SpectShuntOptions(lung_mass_kg=0.00095)


def test_a_stated_mass_completes_no_lungs_that_are_whole() -> None:
    torso = Torso(lung_share=0.05)
    reading = hepatica.ScoutOptions(ct=torso.ct)
    for stated, wrong in ((None, False), (0.7, False), (1.5, True)):
        found = hepatica.lung_shunt(
            torso.scout,
            structures=torso.regions,
            reading=reading,
            spect=hepatica.SpectShuntOptions(lung_mass_kg=stated),
        )
        assert found.shunt.lung_shunt.value == pytest.approx(0.05, rel=1e-4)
        assert ("lung-mass-against-ct" in codes(found.messages)) is wrong


def test_a_90y_spect_says_at_the_lungs_that_their_voxels_have_no_dose() -> None:
    """From the image's facts: of a SPECT of 90Y, whatever program made it; not of a PET."""
    torso = Torso()
    pet = torso.in_mbq(1200)
    values = pet.volume.values
    spect = Image.from_array(
        values, unit="Bq/mL", grid=torso.grid, time=GIVEN_AT, nuclide="Y-90", modality="NM", projections=60
    )
    assert "lung-by-voxel-unsupported" in codes(torso.dose(spect).messages)
    assert "lung-by-voxel-unsupported" not in codes(torso.dose(pet).messages)


def test_every_output_marks_lungs_whose_voxels_have_no_dose(tmp_path: Path) -> None:
    """A mean dose alone: no D95 in the table, and a word in the document, metrics, histograms and the RT Dose."""
    torso = Torso()
    spect = Image.from_array(
        torso.in_mbq(1200).volume.values, unit="Bq/mL", grid=torso.grid, time=GIVEN_AT, nuclide="Y-90", modality="NM",
        projections=60,
    )  # fmt: skip
    found = torso.dose(spect)
    assert {one.dose.name: one.voxels_supported for one in found.structures}["Lungs"] is False
    assert all(one.voxels_supported for one in found.structures if one.dose.name != "Lungs")
    (row,) = [row for row in found.table().rows if row[0] == "Lungs"]
    assert row.count(None) == 5
    folder = found.save(tmp_path / "dose")
    (lungs,) = [one for one in json.loads((folder / "result.json").read_text())["structures"] if one["name"] == "Lungs"]
    assert lungs["voxels_supported"] is False
    remark = "lungs: mean dose, not single voxels"
    assert remark in str(dcmread(folder / "dose.dcm").DoseComment)
    drawn = {
        one.ROIName: one.get("ROIDescription", "") for one in dcmread(folder / "structures.dcm").StructureSetROISequence
    }
    assert {name for name, text in drawn.items() if remark in text} == {"Lungs"}
    assert gzip.decompress((folder / "dose.nii.gz").read_bytes())[148:228].rstrip(b"\0").decode() == remark
    page = (folder / "report.html").read_text()
    assert "Lungs: the image determines the mean dose, not that of single voxels" in page
    (row,) = [row for row in dose_rows(dose_report(found)) if row[0] == "Lungs"]
    assert row.count("–") == 6
    (row,) = [row for row in v_rows(dose_report(found)) if row[0] == "Lungs"]
    assert set(row[1:]) == {"–"}
    assert "Lungs (not supported) volume_percent" in (folder / "dvh.csv").read_text()
    with (folder / "metrics.csv").open() as stream:
        marks = {line["name"]: line["voxels_supported"] for line in csv.DictReader(stream)}
    assert marks.pop("Lungs") == "no"
    assert set(marks.values()) == {"yes"}
    pet = torso.dose(torso.in_mbq(1200))
    assert all(one.voxels_supported for one in pet.structures)


def test_a_dose_is_given_where_liver_and_lungs_leave_no_room_to_search() -> None:
    grid = Grid.axial((8, 8, 12), spacing_mm=(8.0, 8.0, 8.0))
    liver = np.zeros(grid.shape)
    liver[:, :, :6] = 1
    regions = [Region.from_coverage("Liver", grid, liver), Region.from_coverage("Lungs", grid, 1 - liver)]
    found = hepatica.absorbed_dose(
        Image.from_array(1e6 * liver + 1e4, unit="Bq/mL", grid=grid, time=GIVEN_AT, name="pet"),
        ct=Image.from_array(np.where(liver > 0, 60.0, -740.0), unit="HU", grid=grid, name="ct"),
        structures=regions,
        nuclide="Y-90",
        engine="local",
        options=hepatica.DoseOptions(
            quantification=hepatica.QuantificationOptions(administered_bq=2e9, administered_at=GIVEN_AT)
        ),
    )
    assert found["Liver"].dose_mean_gy > 0
    assert found.elsewhere is None
    (said,) = (message for message in found.messages if message.code == "extrahepatic-not-searched")
    assert "fill the image" in said.text


def test_lungs_of_ninety_grams_are_no_whole_lungs() -> None:
    """A stated mass below 0.1 kg is an error; one that was drawn or found is said, and no limit is judged by it."""
    small = Torso(size=0.22)
    found = small.dose(small.in_mbq(2000.0))
    kg = found.lung_doses.by_image.mass_g / 1000
    assert 0 < kg < 0.1
    (said,) = [one for one in found.messages if one.code == "lungs-too-light"]
    assert said.severity == "critical"
    assert found.lung_doses.judged is None
    assert not found.lung_doses.by_image.mass_is_measured
    whole = Torso()
    assert "lungs-too-light" not in codes(whole.dose(whole.in_mbq(2000.0)).messages)


def test_a_lung_by_voxels_may_be_higher_than_it_reads() -> None:
    """A 90Y SPECT whose factor is known to 2 %: its lungs read up to a quarter low, and a limit there is open."""
    torso = Torso(lung_share=0.1)
    spect = Image.from_array(
        torso.in_mbq(2000).volume.values, unit="Bq/mL", grid=torso.grid, time=GIVEN_AT, nuclide="Y-90", modality="NM",
        projections=60,
    )  # fmt: skip
    known_scale = replace(spect.acquisition, certainty=ImageCertainty(0.02, None))
    found = torso.dose(replace(spect, acquisition=known_scale))
    known = {one.dose.name: one for one in found.structures}
    for name, factor in (("Liver", 1.0), ("Lungs", 1 / 0.75)):
        low, high = known[name].dose_mean_interval_95_gy
        mean = known[name].dose.dose_mean_gy
        assert high == pytest.approx((2 * mean - low) * factor, rel=1e-6)
    assert "reads up to 25% low" in known["Lungs"].interval_from
    assert "reads up to" not in known["Liver"].interval_from
