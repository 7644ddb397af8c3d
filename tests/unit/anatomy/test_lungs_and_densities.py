"""Lungs that an image cuts off, masses from the CT's voxels, densities that the CT number does not give."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.anatomy.ct.lung_field import lungs_in_field, one_sided
from hepatica.anatomy.ct.lung_mass import whole_lung_mass
from hepatica.anatomy.ct.tissue_density import DensityOptions, structure_densities, tissue_density
from hepatica.anatomy.ct.uniform import hu_of_density, outline_of, uniform_patient
from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure
from hepatica.anatomy.structures.masses import mass_of, partial_density
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.resample import resample_region
from hepatica.errors import GeometryError, InputError, UnitError, UnknownNameError
from hepatica.transport.matter.media import density_from_hu


def box(grid: Grid, name: str, *window: slice) -> Region:
    values = np.zeros(grid.shape)
    values[window] = 1
    return Region.from_coverage(name, grid, values)


def test_lungs_at_an_edge_are_cut_off_and_the_edge_is_named(oblique_grid: Grid) -> None:
    inner = slice(6, 16), slice(5, 13)
    assert lungs_in_field(box(oblique_grid, "lungs", *inner, slice(3, 9))).whole
    # Feet-first: k grows towards the feet, i towards the right.
    for window, side in (((*inner, slice(0, 6)), "head"), ((*inner, slice(9, 15)), "feet"),
                         ((slice(18, 24), slice(5, 13), slice(4, 10)), "right")):  # fmt: skip
        found = lungs_in_field(box(oblique_grid, "lungs", *window))
        assert [name for name, _ in found.cut_cm2] == [side]
        assert not found.whole
        assert side in found.how
    section = dict(lungs_in_field(box(oblique_grid, "lungs", *inner, slice(0, 6))).cut_cm2)["head"]
    assert section == pytest.approx(10 * 2.5 * 8 * 3.5 / 100)


def test_an_apex_that_just_touches_the_edge_is_whole(oblique_grid: Grid) -> None:
    assert lungs_in_field(box(oblique_grid, "lungs", slice(8, 11), slice(8, 12), slice(0, 6))).whole  # 1 cm2


def test_a_drawing_that_stops_inside_the_lung_is_seen(oblique_grid: Grid) -> None:
    window = slice(4, 20), slice(3, 15)
    hu = np.zeros(oblique_grid.shape)
    hu[(*window, slice(2, 13))] = -800
    ct = Volume(oblique_grid, hu, Kind.HU)
    assert lungs_in_field(box(oblique_grid, "lungs", *window, slice(2, 13)), ct).whole
    found = lungs_in_field(box(oblique_grid, "lungs", *window, slice(7, 13)), ct)
    assert found.drawing_ends == ("head",)
    assert "CT shows more lung" in found.how


def test_one_lung_alone_is_not_the_lungs() -> None:
    assert one_sided([Structure.LUNG_LEFT]).how == "only the left lung is drawn"
    assert not one_sided([Structure.LUNG_RIGHT]).whole
    for both in ([Structure.LUNG], [Structure.LUNG_LEFT, Structure.LUNG_RIGHT]):
        assert one_sided(both).whole


def test_lung_mass_by_model() -> None:
    assert whole_lung_mass().mass_kg == 1.0
    assert [whole_lung_mass(sex=sex).mass_kg for sex in ("male", "female")] == [1.2, 0.95]
    # The reference height gives the reference mass; ICRP 89, table 2.8.
    assert whole_lung_mass(sex="female", height_m=1.63).mass_kg == pytest.approx(0.95)
    assert whole_lung_mass(1.4, "male", 1.8).origin == "stated"
    with pytest.raises(InputError, match="patient_sex"):
        whole_lung_mass(height_m=1.8)
    with pytest.raises(InputError, match=r"1\.45 to 1\.95"):
        whole_lung_mass(sex="male", height_m=1.20)


def test_mass_is_that_of_the_ct_whatever_the_other_grid(oblique_grid: Grid) -> None:
    """A lung beside tissue: on twice as wide voxels its border is a mixture that weighs more."""
    lungs = box(oblique_grid, "lungs", slice(5, 16), slice(5, 14), slice(3, 12))
    density = Volume(oblique_grid, np.where(lungs.mask(), 0.25, 1.05), Kind.DENSITY)
    true = 0.25 * lungs.volume_ml
    coarse = oblique_grid.with_spacing((5.0, 7.0, 10.0))
    assert mass_of(lungs, density) == pytest.approx(true)
    assert mass_of(lungs, density, coarse) == pytest.approx(true, rel=1e-5)
    assert resample_region(lungs, coarse).volume_ml == pytest.approx(lungs.volume_ml, rel=1e-5)
    # Of a grid that holds half of it, half counts.
    half = oblique_grid.crop((slice(0, 24), slice(0, 18), slice(0, 6)))
    assert mass_of(lungs, density, half) == pytest.approx(true * 3 / 9, rel=1e-5)
    with pytest.raises(GeometryError):
        partial_density(lungs, density, coarse.with_frame_of_reference("1.2.3"))


LIVER = slice(2, 22), slice(2, 16), slice(2, 13)
LESION = slice(8, 12), slice(8, 12), slice(5, 9)


def patient(grid: Grid, liver_hu: float, lesion_hu: float = 60) -> tuple[Volume, Volume, list[ClinicalRegion]]:
    hu = np.full(grid.shape, -50.0)
    hu[LIVER], hu[LESION] = liver_hu, lesion_hu
    ct = Volume(grid, hu, Kind.HU)
    liver, lesion = box(grid, "Liver", *LIVER), box(grid, "Tumour", *LESION)
    drawn = [
        ClinicalRegion(liver, Structure.LIVER),
        ClinicalRegion(lesion, Structure.TUMOUR),
        ClinicalRegion(liver - lesion, Structure.NORMAL_LIVER, derived=True),
    ]
    return density_from_hu(ct), ct, drawn


def test_contrast_is_recognised_by_organ_and_by_header(oblique_grid: Grid) -> None:
    density, ct, drawn = patient(oblique_grid, 141)
    found = tissue_density(density, ct, drawn)
    assert [message.code for message in found.messages] == ["contrast-enhanced-ct"]
    assert "141 HU" in found.messages[0].text
    assert found.density.values[LIVER] == pytest.approx(1.06)  # ICRU 46
    assert (found.density.values[0] == density.values[0]).all()
    assert found.origin("Liver") == found.origin("Tumour") == found.origin("Liver minus Tumour") == "reference"
    density, ct, drawn = patient(oblique_grid, 60)
    assert tissue_density(density, ct, drawn).density is density
    by_header = tissue_density(density, ct, drawn, contrast_agent="Iomeron")
    assert "Iomeron" in by_header.messages[0].text
    assert by_header.density.values[LIVER] == pytest.approx(1.06)


def test_iodised_oil_in_a_tumour_is_no_contrast_and_stays_as_it_is(oblique_grid: Grid) -> None:
    density, ct, drawn = patient(oblique_grid, 60, lesion_hu=250)
    oil = tissue_density(density, ct, drawn)
    assert oil.density is density
    (said,) = (message for message in oil.messages if message.code == "dense-structure")
    # Dose is energy over mass: at tissue's 1.06 g/mL it is larger by the CT's density over that.
    assert f"about {float(density.values[LESION].mean()) / 1.06:.3g} times" in said.text
    assert said.remedy is not None
    assert "iodised_oil" in said.remedy
    density, ct, drawn = patient(oblique_grid, 120, lesion_hu=600)
    found = tissue_density(density, ct, drawn)
    assert (found.density.values[LESION] == density.values[LESION]).all()
    assert {message.code for message in found.messages} == {"contrast-enhanced-ct", "dense-structure"}


def test_stated_iodised_oil_is_oil_in_tissue_and_no_bone(oblique_grid: Grid) -> None:
    """1255 HU are 1200 above tissue: 48 mg iodine, a tenth of a mL of oil of 480 mg and 1.28 g."""
    density, ct, drawn = patient(oblique_grid, 60, lesion_hu=1255)
    assert float(density.values[LESION].min()) > 1.6  # bone, by the CT numbers
    found = tissue_density(density, ct, drawn, DensityOptions(iodised_oil=("Tumour",)))
    assert found.density.values[LESION] == pytest.approx(0.9 * 1.06 + 0.1 * 1.28, rel=1e-5)
    assert found.oil is not None
    assert found.oil.values[LESION] == pytest.approx(0.128, rel=1e-5)
    elsewhere = np.ones(oblique_grid.shape, bool)
    elsewhere[LESION] = False
    assert not found.oil.values[elsewhere].any()
    assert (found.density.values[elsewhere] == density.values[elsewhere]).all()
    assert (found.origin("Tumour"), found.origin("Liver")) == ("oil", "ct")
    (said,) = found.messages
    assert said.code == "iodised-oil"
    assert f"{0.1 * drawn[1].region.volume_ml:.2g} mL of oil" in said.text
    # in an enhanced liver the liver is tissue and the tumour oil; pure oil is the end
    density, ct, drawn = patient(oblique_grid, 141, lesion_hu=20_000)
    both = tissue_density(density, ct, drawn, DensityOptions(iodised_oil=("Tumour",)))
    assert both.density.values[LESION] == pytest.approx(1.28)
    # pure oil: 55 HU and 25 HU for each of 480 mg/mL of iodine
    (metal,) = (message.text for message in both.messages if message.code == "brighter-than-oil")
    assert "brighter than oil alone (12055 HU; highest 20000 HU)" in metal
    assert both.density.values[3, 3, 3] == pytest.approx(1.06)
    with pytest.raises(UnknownNameError, match="spleen"):
        tissue_density(density, ct, drawn, DensityOptions(iodised_oil=("spleen",)))
    with pytest.raises(InputError, match="state one of the two"):
        DensityOptions(iodised_oil=("Tumour",), structure_density={"Tumour": 1.06})


def test_of_two_statements_the_inner_one_holds(oblique_grid: Grid) -> None:
    """Oil in a tumour of a liver of stated density, and the other way round: 1255 HU are a tenth of oil (above)."""
    density, ct, drawn = patient(oblique_grid, 60, lesion_hu=1255)
    oil_inside = DensityOptions(iodised_oil=("Tumour",), structure_density={"Liver": 1.1})
    found = tissue_density(density, ct, drawn, oil_inside)
    assert found.density.values[LESION] == pytest.approx(0.9 * 1.06 + 0.1 * 1.28, rel=1e-5)
    assert found.oil is not None
    assert found.oil.values[LESION] == pytest.approx(0.128, rel=1e-5)
    assert found.density.values[3, 3, 3] == pytest.approx(1.1)
    assert [found.origin(item.region.name) for item in drawn] == ["stated", "oil", "stated"]
    assert [one.code for one in found.messages] == ["density-stated", "iodised-oil"]
    assert "but for what it shares with 'Tumour'" in found.messages[0].text
    stated_inside = DensityOptions(iodised_oil=("Liver",), structure_density={"Tumour": 1.2})
    found = tissue_density(density, ct, drawn, stated_inside)
    assert found.density.values[LESION] == pytest.approx(1.2)
    assert found.oil is not None
    assert not found.oil.values[LESION].any()
    assert [found.origin(item.region.name) for item in drawn] == ["oil", "stated", "oil"]
    # of the tumour alone a density is stated: the rest of an enhanced liver has that of tissue
    density, ct, drawn = patient(oblique_grid, 141, lesion_hu=60)
    found = tissue_density(density, ct, drawn, DensityOptions(structure_density={"Tumour": 1.2}))
    assert [found.origin(item.region.name) for item in drawn] == ["reference", "stated", "reference"]


def test_dense_parts_are_those_that_keep_the_density_of_the_ct(oblique_grid: Grid) -> None:
    density, ct, drawn = patient(oblique_grid, 141, lesion_hu=1255)
    both = tissue_density(density, ct, drawn[:1])
    assert "dense-structure" in {one.code for one in both.messages}
    stated = tissue_density(density, ct, drawn, DensityOptions(structure_density={"Tumour": 1.06}))
    assert "dense-structure" not in {one.code for one in stated.messages}


def test_a_stated_density_leaves_what_liver_and_lung_share(oblique_grid: Grid) -> None:
    density, ct, _ = patient(oblique_grid, 60)
    whole = np.zeros(oblique_grid.shape)
    whole[LIVER] = 1
    border = np.zeros(oblique_grid.shape)
    border[LIVER[0], LIVER[1], 12] = 0.4
    liver = Region.from_coverage("Liver", oblique_grid, whole - border)
    lung = Region.from_coverage("Lung", oblique_grid, border)
    drawn = [ClinicalRegion(liver, Structure.LIVER), ClinicalRegion(lung, Structure.LUNG_RIGHT)]
    found = tissue_density(density, ct, drawn, DensityOptions(structure_density={"Liver": 1.2}))
    assert found.density.values[5, 5, 5] == pytest.approx(1.2)
    assert mass_of(lung, found.density) == pytest.approx(mass_of(lung, density))


def test_a_tumour_alone_may_be_enhanced(oblique_grid: Grid) -> None:
    """Late arterial phase: the tumour's 130 HU beside a liver of 80 HU; 90 HU say nothing."""
    for hu, denied, codes in ((130, "auto", ["contrast-possible"]), (90, "auto", []), (130, "no", [])):
        density, ct, drawn = patient(oblique_grid, 80, lesion_hu=hu)
        found = tissue_density(density, ct, drawn, DensityOptions(contrast_enhanced=denied))
        assert [message.code for message in found.messages] == codes
        assert found.density is density


def test_contrast_can_be_stated_and_denied(oblique_grid: Grid) -> None:
    density, ct, drawn = patient(oblique_grid, 60)
    assert tissue_density(density, ct, drawn, DensityOptions(contrast_enhanced="yes")).density.values[
        5, 5, 5
    ] == pytest.approx(1.06)
    density, ct, drawn = patient(oblique_grid, 141)
    denied = tissue_density(density, ct, drawn, DensityOptions(contrast_enhanced="no"))
    assert denied.density is density
    assert [message.code for message in denied.messages] == ["contrast-against-statement"]


def test_a_stated_density_goes_before_all(oblique_grid: Grid) -> None:
    density, ct, drawn = patient(oblique_grid, 141)
    stated = DensityOptions(structure_density={"Liver": 1.08, "Tumour": 1.02})
    found = tissue_density(density, ct, drawn, stated)
    assert found.density.values[3, 3, 3] == pytest.approx(1.08)
    assert found.density.values[LESION] == pytest.approx(1.02)
    assert [message.code for message in found.messages].count("density-stated") == 2
    with pytest.raises(UnknownNameError, match="spleen"):
        tissue_density(density, ct, drawn, DensityOptions(structure_density={"spleen": 1.06}))


@pytest.mark.parametrize(
    ("texts", "error"),
    [(["Liver"], InputError), (["Liver=1.06"], UnitError), (["Liver=1 g/mL", "Liver=2 g/mL"], InputError)],
)
def test_densities_that_are_none(texts: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        structure_densities(texts)


def test_a_density_in_the_wrong_unit_is_refused() -> None:
    with pytest.raises(UnitError, match="not that of a tissue"):
        DensityOptions(structure_density={"Liver": 1060.0})
    assert structure_densities(["Liver=1.06 kg/L"]) == {"Liver": pytest.approx(1.06)}


def test_a_uniform_patient_has_the_density_stated(oblique_grid: Grid) -> None:
    made = uniform_patient(oblique_grid, 1.05)
    assert density_from_hu(made.volume).values == pytest.approx(1.05, rel=1e-5)
    activity = np.zeros(oblique_grid.shape)
    activity[6:18, 5:13, 4:11] = 10
    outline = outline_of(Volume(oblique_grid, activity, Kind.COUNTS), 0.3)
    values = density_from_hu(uniform_patient(oblique_grid, 1.05, outline).volume).values
    assert values[12, 9, 7] == pytest.approx(1.05)
    assert values[0, 0, 0] < 0.01
    assert hu_of_density(1.0525) == pytest.approx(60, abs=0.1)
    with pytest.raises(GeometryError, match="outline"):
        outline_of(Volume(oblique_grid, np.zeros(oblique_grid.shape), Kind.COUNTS), 0.3)
