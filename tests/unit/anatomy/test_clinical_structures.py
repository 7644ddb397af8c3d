import numpy as np
import pytest

from hepatica.anatomy.structures.clinical import (
    Structure,
    about_whole_liver,
    clinical_regions,
    structure_of,
    structure_roles,
    threshold_region,
    union,
    without_margin,
)
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.errors import GeometryError, InputError, UnknownNameError


def box(grid: Grid, name: str, low: tuple[int, int, int], high: tuple[int, int, int]) -> Region:
    coverage = np.zeros(grid.shape)
    coverage[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 1
    return Region.from_coverage(name, grid, coverage)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Liver", "liver"), ("Lung_L", "lung_left"), ("right lung", "lung_right"), ("Lungs", "lung"),
        ("GTVp", "tumour"), ("GTV2", "tumour"), ("Tumour 1", "tumour"), ("tumor_3", "tumour"), ("Lesion-4", "tumour"),
        ("HCC seg 8", "tumour"), ("Liver-GTV", "normal_liver"), ("liver minus tumours", "normal_liver"),
        ("Normal Liver", "normal_liver"), ("perfused volume", "perfused"), ("liver tumour", "tumour"),
        ("Liver_GTV", "tumour"), ("tumour-free liver", "normal_liver"), ("tumour minus necrosis", "tumour"),
        ("right lobe without lesions", "liver_lobe"), ("lung minus tumours", "lung"), ("all tumours", "all_tumours"),
        ("Perfused minus tumours", "perfused_normal"),
        ("lobe left", "liver_lobe"), ("Segment VIII", "liver_lobe"), ("tumour 2 necrosis", "necrosis"),
        ("External", "body"), ("SmallBowel", "small_bowel"), ("PTV", "other"),
        ("lungs beyond 20 mm of the liver", "lung_less_dome"), ("Couch", "other"), ("", "other"),
    ],
)  # fmt: skip
def test_names(name: str, kind: str) -> None:
    assert structure_of(name) == Structure(kind)


def test_the_user_has_the_last_word() -> None:
    assert structure_of("PTV", {"PTV": "perfused"}) is Structure.PERFUSED
    assert structure_of("ROI 3", {"ROI 3": "lungs"}) is Structure.LUNG
    with pytest.raises(UnknownNameError, match=r"unknown structure role 'tumuor' \(did you mean tumour\?\)"):
        structure_of("PTV", {"PTV": "tumuor"})


@pytest.mark.parametrize("given", [["ROI 3=lungs", "a=b = tumor"], [{"ROI 3": "lung", "a=b": "tumour"}]])
def test_roles_from_text_and_from_toml(given: list[str | dict[str, str]]) -> None:
    assert structure_roles(given) == {"ROI 3": "lung", "a=b": "tumour"}


@pytest.mark.parametrize("given", ["lungs", "=lungs", "ROI 3="])
def test_a_role_without_name_or_word_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="is not NAME=ROLE"):
        structure_roles([given])


def test_one_name_has_one_role() -> None:
    with pytest.raises(InputError, match="two roles: lung and liver"):
        structure_roles(["ROI 3=lungs", "ROI 3=liver"])


def test_what_follows_from_what_was_drawn(oblique_grid: Grid) -> None:
    liver = box(oblique_grid, "Liver", (2, 2, 2), (20, 14, 8))
    first, second = box(oblique_grid, "GTV1", (3, 3, 3), (6, 6, 6)), box(oblique_grid, "GTV2", (10, 5, 3), (13, 8, 7))
    perfused = box(oblique_grid, "perfused", (2, 2, 2), (9, 14, 8))
    left, right = (
        box(oblique_grid, "Lung_L", (1, 1, 10), (9, 12, 15)),
        box(oblique_grid, "Lung_R", (12, 1, 10), (20, 12, 15)),
    )
    result = clinical_regions([liver, first, second, perfused, left, right], dome_margin_mm=12.0)
    by_kind = {item.structure: item for item in result if item.structure is not Structure.TUMOUR}
    voxel = oblique_grid.voxel_volume_ml
    volume = {kind: item.region.volume_ml / voxel for kind, item in by_kind.items()}
    assert volume[Structure.ALL_TUMOURS] == pytest.approx(27 + 36)
    assert volume[Structure.NORMAL_LIVER] == pytest.approx(18 * 12 * 6 - 63)
    assert volume[Structure.PERFUSED_NORMAL] == pytest.approx(7 * 12 * 6 - 27)
    assert volume[Structure.LUNG] == pytest.approx(2 * 8 * 11 * 5)
    # The liver's last plane is k = 7, its surface at 7.5; voxel k lies (k - 7.5) * 5 mm away: 12.5 mm for k = 10.
    assert 0 < volume[Structure.LUNG_LESS_DOME] < volume[Structure.LUNG]
    assert [item.derived for item in result] == [False] * 6 + [True] * 5
    assert by_kind[Structure.NORMAL_LIVER].region.name == "liver minus tumours"


def test_nothing_is_made_twice_or_guessed(oblique_grid: Grid) -> None:
    liver, gtv = box(oblique_grid, "liver", (2, 2, 2), (20, 14, 8)), box(oblique_grid, "GTV", (3, 3, 3), (6, 6, 6))
    normal = box(oblique_grid, "normal liver", (7, 2, 2), (20, 14, 8))
    assert clinical_regions([liver, gtv, normal])[-1].region is normal
    with pytest.raises(InputError, match="same name: GTV"):
        clinical_regions([gtv, gtv])
    with pytest.raises(InputError, match="taken as liver: liver, Liver 2"):
        clinical_regions([liver, liver.renamed("Liver 2")])
    with pytest.raises(InputError, match="not there: Leber"):
        clinical_regions([liver], roles={"Leber": "liver"})
    with pytest.raises(InputError, match="dome"):
        clinical_regions([liver], dome_margin_mm=10)


def test_a_liver_without_its_tumours_is_said(oblique_grid: Grid) -> None:
    whole, gtv = box(oblique_grid, "liver", (2, 2, 2), (20, 14, 8)), box(oblique_grid, "GTV", (3, 3, 3), (6, 6, 6))
    assert about_whole_liver(clinical_regions([whole, gtv])) == ()
    (message,) = about_whole_liver(clinical_regions([(whole - gtv).renamed("liver"), gtv]))
    assert message.code == "liver-without-tumours"
    assert about_whole_liver(clinical_regions([whole])) == ()


@pytest.mark.parametrize("margin_mm", [4.0, 9.0, 15.0])
def test_margin_around_a_sphere(oblique_grid: Grid, margin_mm: float) -> None:
    fine = oblique_grid.with_spacing((1.8, 2.2, 2.6))
    middle = fine.to_mm((np.asarray(fine.shape) - 1) / 2)
    distance = np.linalg.norm(fine.to_mm(np.moveaxis(np.indices(fine.shape), 0, -1)) - middle, axis=-1)
    organ = Region.from_coverage("organ", fine, distance <= 12)
    rest = Region.from_coverage("rest", fine, distance <= 30)
    kept = without_margin(rest, organ, margin_mm)
    # Volume of what is left tells the radius of what was cut; right to half a voxel (1.1 mm).
    cut_ml = rest.volume_ml - kept.volume_ml
    assert (cut_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3) == pytest.approx(12 + margin_mm, abs=1.1)
    assert not (kept & organ).coverage.any()


def test_margin_edges(oblique_grid: Grid) -> None:
    near, far = box(oblique_grid, "a", (0, 0, 0), (3, 3, 3)), box(oblique_grid, "b", (20, 14, 12), (24, 18, 15))
    assert without_margin(far, near, 5.0) is far
    with pytest.raises(InputError, match="negative"):
        without_margin(far, near, -1.0)
    thin = Region.from_coverage("thin", oblique_grid, near.full() * 0.3)
    with pytest.raises(GeometryError, match="thin"):
        without_margin(far, thin, 5.0)
    with pytest.raises(InputError):
        union([])


def test_threshold(oblique_grid: Grid) -> None:
    values = np.arange(oblique_grid.size, dtype=np.float32).reshape(oblique_grid.shape)
    dose = Volume(oblique_grid, values, Kind.DOSE)
    region = threshold_region(dose, 6000.0, name="hot")
    assert region.volume_ml == pytest.approx((oblique_grid.size - 6000) * oblique_grid.voxel_volume_ml)
    within = box(oblique_grid, "part", (0, 0, 0), (24, 18, 7))
    assert threshold_region(dose, 6000.0, name="hot", within=within).volume_ml < region.volume_ml
    assert "6000 Gy in part" in threshold_region(dose, 6000.0, name="hot", within=within).origin
