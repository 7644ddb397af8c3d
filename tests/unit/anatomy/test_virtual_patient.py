from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from hepatica.anatomy.virtual_patient import (
    AnatomyOptions,
    FlowOptions,
    PatientSettings,
    Treatment,
    Tumour,
    VirtualCtOptions,
    VirtualPatient,
    cohort,
    cohort_settings,
    patient_truth,
    ranges,
    virtual_patient,
)
from hepatica.anatomy.virtual_patient.settings import (
    VARIANTS,
    agent_for,
    catheters_from_texts,
    reflux_from_texts,
    tumours_from_texts,
)
from hepatica.core import Grid, Kind
from hepatica.core.document import document
from hepatica.errors import InputError, TimeError, UnknownNameError

GIVEN = datetime(2026, 3, 2, 10, 15)


@pytest.fixture(scope="module")
def patient() -> VirtualPatient:
    tumours = (Tumour(48, 8, necrosis=0.2), Tumour(26, 6), Tumour(20, 3))
    return virtual_patient(PatientSettings(seed=7, tumours=tumours, ct=VirtualCtOptions(spacing_mm=6)))


def normal_voxels(patient: VirtualPatient) -> np.ndarray:
    """Voxels full of segment 7, none of a tumour in them."""
    tumours = sum(patient.regions[t.name].full() for t in patient.tumours)
    return np.asarray(patient.regions["segment 7"].full() - tumours >= 1)


def test_what_it_says_of_itself(patient: VirtualPatient) -> None:
    assert "3 tumours (48 mm in segment 8, 26 mm in segment 6, 20 mm in segment 3)" in repr(patient)
    assert "2.6 GBq Y-90 glass through right hepatic" in repr(patient)
    assert patient.hu.kind is Kind.HU
    assert patient.activity().time == GIVEN
    assert {
        "body",
        "skin",
        "ribs",
        "spine",
        "lung left",
        "heart",
        "liver",
        "segment 1",
        "segment 8",
        "portal vein",
    } <= set(patient.regions)
    truth = patient_truth(patient)
    assert truth.arteries.tree.end_branches == len(patient.tree.ends)
    assert truth.structures["liver"].mass_g == pytest.approx(1800, rel=0.03)
    assert document(truth)["arteries"]["end_branches"] == len(patient.tree.ends)


def test_parts_nest_and_organs_share_no_voxel(patient: VirtualPatient) -> None:
    regions = patient.regions
    for inner, outer in (
        ("tumour 1", "liver"),
        ("tumour 1 necrosis", "tumour 1"),
        ("segment 8", "lobe right"),
        ("liver", "body"),
        ("skin", "body"),
    ):
        assert (regions[inner] - regions[outer]).volume_ml < 1e-3
    organs = ("liver", "spleen", "stomach", "kidney left", "kidney right", "heart", "lung left", "lung right", "spine")
    claimed = np.zeros(patient.grid.shape)
    for name in organs:
        claimed += regions[name].full()
    assert claimed.max() <= 1 + 1e-5
    segments = sum(regions[f"segment {n}"].full() for n in range(1, 9))
    np.testing.assert_allclose(segments, regions["liver"].full(), atol=1e-6)


def test_tumours_are_where_and_as_large_as_asked(patient: VirtualPatient) -> None:
    for placed in patient.tumours:
        sphere_ml = np.pi / 6 * placed.tumour.diameter_mm**3 / 1000
        # 6 mm voxels: the covered fractions of a 20 mm sphere are good to a few percent.
        assert patient.regions[placed.name].volume_ml == pytest.approx(sphere_ml, rel=0.06)
        index = tuple(np.rint(patient.grid.to_index(placed.centre_mm)).astype(int))
        assert patient.regions[f"segment {placed.tumour.segment}"].full()[index] > 0.5
    share = patient.regions["tumour 1 necrosis"].volume_ml / patient.regions["tumour 1"].volume_ml
    assert share == pytest.approx(0.2, rel=0.06)


def test_one_seed_one_patient() -> None:
    settings = PatientSettings(
        seed=3, tumours=2, anatomy=AnatomyOptions(terminals=24), ct=VirtualCtOptions(spacing_mm=12)
    )
    a, b, other = (
        virtual_patient(settings),
        virtual_patient(settings),
        virtual_patient(replace(settings, seed=4)),
    )
    np.testing.assert_array_equal(a.ct.values, b.ct.values)
    np.testing.assert_array_equal(a.activity().values, b.activity().values)
    np.testing.assert_array_equal(a.tree.end_mm, b.tree.end_mm)
    assert not np.array_equal(a.tree.end_mm, other.tree.end_mm)


def test_the_anatomy_does_not_hang_on_the_grid(patient: VirtualPatient) -> None:
    # Oblique, anisotropic, feet first.
    turn, tilt = np.deg2rad(17.0), np.deg2rad(-9.0)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine, shape = np.eye(4), np.array([58, 48, 50])
    affine[:3, :3] = about_z @ about_x @ np.diag([-1.0, 1.0, -1.0]) * [7.5, 8.0, 9.0]
    affine[:3, 3] = [0.0, 0.0, 20.0] - affine[:3, :3] @ ((shape - 1) / 2)
    oblique = virtual_patient(patient.settings, Grid(tuple(shape.tolist()), affine, "1.2.3"))
    np.testing.assert_array_equal(oblique.tree.end_mm, patient.tree.end_mm)
    for name in ("liver", "segment 5", "tumour 1", "spleen", "kidney left", "lung right"):
        # Both count the same solid; on voxels of 6 to 8 mm segments' flat borders are good to a few percent.
        assert oblique.regions[name].volume_ml == pytest.approx(patient.regions[name].volume_ml, rel=0.05), name
        centre = [p.grid.to_mm(np.argwhere(p.regions[name].mask())).mean(axis=0) for p in (oblique, patient)]
        np.testing.assert_allclose(centre[0], centre[1], atol=2.5)
    assert oblique.activity().total == pytest.approx(2.6e9, rel=1e-5)


def test_a_small_field_holds_its_part_of_the_activity(patient: VirtualPatient, oblique_grid: Grid) -> None:
    oblique_grid = oblique_grid.with_spacing((9.0, 11.0, 12.0))
    part = virtual_patient(patient.settings, oblique_grid)
    assert 0 < part.activity().total < 0.2 * 2.6e9
    assert sum(part.balance().values()) == pytest.approx(2.6e9, rel=1e-6)
    assert part.hu.grid == oblique_grid
    assert "kidney left" not in part.regions


def test_activity_is_conserved_and_decays(patient: VirtualPatient) -> None:
    assert patient.activity().total == pytest.approx(2.6e9, rel=1e-6)
    later = patient.activity(GIVEN + timedelta(hours=64.05))
    assert later.total == pytest.approx(1.3e9, rel=1e-6)
    mean_life_s = 64.05 * 3600 / np.log(2)
    assert patient.time_integrated_activity().total == pytest.approx(2.6e9 * mean_life_s, rel=1e-6)
    balance = patient.balance()
    assert balance["lungs"] == pytest.approx(0.05 * 2.6e9, rel=1e-6)
    assert balance["excreted"] == 0
    with pytest.raises(TimeError, match="before the administration"):
        patient.activity(GIVEN - timedelta(hours=1))


@pytest.mark.parametrize("spheres", [True, False])
def test_shunt_reflux_and_ratio_are_what_was_asked(patient: VirtualPatient, spheres: bool) -> None:
    treatment = Treatment(
        catheters=("right hepatic", "segment 3"),
        lung_shunt=0.1,
        tumour_to_normal=5.0,
        flow=FlowOptions(reflux={"gastroduodenal": 0.02, "right gastric": 0.01, "cystic": 0.005}, spheres=spheres),
    )
    treated = patient.treated(treatment)
    balance = treated.balance()
    assert balance["lungs"] == pytest.approx(0.1 * 2.6e9, rel=1e-6)
    assert balance["reflux"] == pytest.approx(0.035 * 2.6e9, rel=1e-6)
    assert sum(balance.values()) == pytest.approx(2.6e9, rel=1e-6)
    # Exact within each territory; pooled over two catheters, whose activity goes by volume, nearly so.
    assert treated.tumour_to_normal() == pytest.approx(5.0, rel=0.05)
    assert patient.tumour_to_normal() == pytest.approx(4.0, rel=1e-5)
    values = treated.activity().values
    assert values[treated.regions["segment 2"].mask()].sum() < 1e-3 * 2.6e9
    assert values[treated.regions["duodenum"].mask()].sum() > 0


def test_without_spread_and_spheres_uptake_is_uniform(patient: VirtualPatient) -> None:
    treated = patient.treated(
        Treatment(lung_shunt=0.0, tumour_to_normal=3.0, flow=FlowOptions(spread=0.0, spheres=False))
    )
    values = treated.activity().values
    normal = normal_voxels(treated)
    assert values[normal].std() / values[normal].mean() < 1e-5
    inside = treated.regions["tumour 2"].full() >= 1
    assert values[inside].mean() / values[normal].mean() == pytest.approx(3.0, rel=1e-5)
    dead = treated.regions["tumour 1 necrosis"].full() >= 1
    assert values[dead].max() == 0


def test_clusters_make_it_grainier(patient: VirtualPatient) -> None:
    def grain(cluster: float) -> float:
        values = patient.treated(Treatment(flow=FlowOptions(spread=0.0, cluster=cluster))).activity().values
        inside = values[normal_voxels(patient)]
        return float(inside.std() / inside.mean())

    # Clusters of 5 and 50 spheres in voxels that hold (2470 MBq / 1.1 L) / 2.5 kBq = 190 spheres: a Poisson number.
    assert grain(cluster=50.0) == pytest.approx(grain(cluster=5.0) * np.sqrt(10), rel=0.15)


def test_lipiodol_leaves(patient: VirtualPatient) -> None:
    treated = patient.treated(Treatment(nuclide="Re-188", agent="re188-hdd-lipiodol", administered_bq=4e9))
    start, later = treated.balance(), treated.balance(GIVEN + timedelta(hours=12.5))
    # Effective half-lives in tumour and lungs: 12.5 and 12.0 h (Esquinas et al. 2018).
    assert later["tumour"] / start["tumour"] == pytest.approx(0.5, rel=2e-3)
    assert later["lungs"] / start["lungs"] == pytest.approx(2 ** (-12.5 / 12.0), rel=2e-3)
    assert later["excreted"] > 0
    decayed = 4e9 * 2 ** (-12.5 / 17.005)
    assert sum(later.values()) == pytest.approx(decayed, rel=1e-3)
    assert later["tumour"] + later["liver"] + later["lungs"] == pytest.approx(
        treated.activity(GIVEN + timedelta(hours=12.5)).total, rel=1e-6
    )


def test_territories(patient: VirtualPatient) -> None:
    liver = patient.regions["liver"].full()
    ends = sum(patient.territory(f"segment {n}").full() for n in range(1, 9))
    np.testing.assert_allclose(ends, liver, atol=1e-6)
    right, left = patient.territory("right hepatic"), patient.territory("left hepatic")
    np.testing.assert_allclose(right.full() + left.full(), liver, atol=1e-6)
    np.testing.assert_allclose(patient.territory("segment 6").full(), patient.regions["segment 6"].full(), atol=1e-6)
    assert patient.territory("Segment 6 artery").volume_ml == patient.territory("segment 6").volume_ml
    assert patient.perfused().volume_ml == pytest.approx(right.volume_ml)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(variant: str) -> None:
    normal = variant == "normal"
    source = "replaced right hepatic" if variant in ("replaced right", "replaced both") else "right hepatic"
    settings = PatientSettings(
        tumours=0,
        treatment=Treatment(catheters=source),
        anatomy=AnatomyOptions(terminals=24, variant=variant),
        ct=VirtualCtOptions(spacing_mm=12),
    )
    patient = virtual_patient(settings)
    tree = patient.tree
    whole = patient.territory("common hepatic").volume_ml
    liver = patient.regions["liver"].volume_ml
    assert whole == pytest.approx(liver, rel=1e-5) if normal else whole < 0.99 * liver
    if not normal:
        name = next(n for n in tree.names if n.startswith(variant.split(maxsplit=1)[0]))
        assert patient.territory(name).volume_ml > 0.02 * liver
        # Its trunk leaves another artery.
        assert tree.parent[tree.branch(name)] == -1


def test_cirrhosis_sexes_contrast_and_neck() -> None:
    sick = virtual_patient(
        PatientSettings(
            tumours=0,
            anatomy=AnatomyOptions(terminals=40, cirrhosis=True),
            ct=VirtualCtOptions(spacing_mm=8, contrast="portal"),
        )
    )
    assert sick.regions["liver"].volume_ml < 1400
    assert sick.regions["spleen"].volume_ml > 350
    assert np.median(sick.hu.values[sick.regions["liver"].mask()]) == pytest.approx(112, abs=1)
    # What it weighs does not hang on the contrast medium.
    assert sick.regions["liver"].mass_g(sick.density) == pytest.approx(0.78 * 1800, rel=0.03)
    woman = virtual_patient(
        PatientSettings(
            tumours=0, anatomy=AnatomyOptions(terminals=40, sex="female"), ct=VirtualCtOptions(spacing_mm=8, neck=True)
        )
    )
    assert woman.regions["thyroid"].mass_g(woman.density) == pytest.approx(17, rel=0.1)
    assert woman.grid.shape[0] < sick.grid.shape[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PatientSettings(spacing_mm=2), "has no option `spacing_mm`"),
        (lambda: VirtualCtOptions(spacing_mm=(2, 2)), "is 3 numbers, not 2"),
        (lambda: Treatment(activity_bq=1e9), "has no option `activity_bq`"),
        (lambda: Treatment(nuclide="Lu-177").activity_bq, "no administered activity of Lu-177"),
        (lambda: PatientSettings(ct=VirtualCtOptions(spacing_mm=0)), "`spacing_mm` must be from 0.5 to 12, not 0"),
        (
            lambda: PatientSettings(ct=VirtualCtOptions(spacing_mm=(2, 2, 30))),
            "`spacing_mm` must be from 0.5 to 12, not 30",
        ),
        (lambda: PatientSettings(anatomy=AnatomyOptions(sex="other")), "known: female, male"),
        (lambda: PatientSettings(anatomy=AnatomyOptions(variant="double")), "known: accessory left"),
        (lambda: PatientSettings(tumours=-1), "tumours"),
        (lambda: PatientSettings(anatomy=AnatomyOptions(liver_ml=50)), "`liver_ml` must be from 700 to 3500, not 50"),
        (lambda: PatientSettings(seed=-1), "seed"),
        (lambda: PatientSettings(anatomy=AnatomyOptions(terminals=3)), "`terminals` must be"),
        (lambda: Tumour(3), "between 5 and 200 mm"),
        (lambda: Tumour(30, 9), "Couinaud"),
        (lambda: Tumour(30, 2, 1.5), "necrotic"),
        (lambda: Treatment(lung_shunt=-0.1), "`lung_shunt` must be from 0 to 1"),
        (lambda: Treatment(lung_shunt=0.7, flow=FlowOptions(reflux={"cystic": 0.4})), "add up to 1.1"),
        (lambda: Treatment(catheters={"right hepatic": 0.4, "left hepatic": 0.4}), "add up to 0.8"),
        (lambda: Treatment(catheters=()), "no catheter"),
        (lambda: Treatment(flow=FlowOptions(reflux={"splenic": 0.1})), "known: cystic"),
        (lambda: Treatment(nuclide="Xx-1"), "unknown nuclide"),
        (lambda: Treatment(agent="sand"), "unknown agent"),
        (lambda: Treatment(nuclide="Ho-166", agent="glass"), "glass carries Y-90, not Ho-166"),
        (lambda: Treatment(administered_bq=0), "`administered_bq` must be positive"),
        (lambda: Treatment(tumour_to_normal=-1), "`tumour_to_normal`"),
        (lambda: Treatment(flow=FlowOptions(spread=9)), "spread"),
        (lambda: Treatment(flow=FlowOptions(cluster=0)), "cluster"),
    ],
)
def test_refusals_at_the_door(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]


def test_refusals_that_need_the_patient(patient: VirtualPatient) -> None:
    with pytest.raises(UnknownNameError, match=r"hepatic artery 'segment 9' .*known: .*segment 8"):
        patient.treated(Treatment(catheters="segment 9"))
    with pytest.raises(UnknownNameError, match="splenic"):
        patient.territory("splenic")
    with pytest.raises(InputError, match=r"larger than segment 1 of this liver"):
        virtual_patient(
            PatientSettings(
                tumours=[Tumour(80, 1)], anatomy=AnatomyOptions(terminals=24), ct=VirtualCtOptions(spacing_mm=12)
            )
        )
    with pytest.raises(InputError, match="more than 70 % of the liver"):
        virtual_patient(
            PatientSettings(
                tumours=[Tumour(140)], anatomy=AnatomyOptions(terminals=24), ct=VirtualCtOptions(spacing_mm=12)
            )
        )
    with pytest.raises(InputError, match="finds no room"):
        virtual_patient(
            PatientSettings(
                tumours=[Tumour(66, 8), Tumour(60, 8), Tumour(60, 8)],
                anatomy=AnatomyOptions(terminals=24),
                ct=VirtualCtOptions(spacing_mm=12),
            )
        )
    with pytest.raises(InputError, match="too far from the body"):
        virtual_patient(
            PatientSettings(anatomy=AnatomyOptions(terminals=24)),
            Grid.axial((9, 9, 9), spacing_mm=(1, 1, 1), origin_mm=(9e4, 0, 0)),
        )


def test_a_cohort_is_the_same_however_long() -> None:
    like = PatientSettings(anatomy=AnatomyOptions(terminals=24), ct=VirtualCtOptions(spacing_mm=12))
    three, five = cohort_settings(3, seed=2, like=like), cohort_settings(5, seed=2, like=like)
    assert three == five[:3]
    assert len({s.seed for s in five}) == 5
    patients = list(cohort(2, seed=2, like=like))
    assert [p.settings for p in patients] == list(three[:2])
    assert all(row.source and row.confidence in ("read at the source", "fitted", "assumption") for row in ranges())
    with pytest.raises(InputError, match="at least 1"):
        cohort_settings(0)


def test_a_cohort_stays_within_its_ranges() -> None:
    table = {row.quantity: row for row in ranges()}
    settings = cohort_settings(200, seed=5)
    shunts = [s.treatment.lung_shunt for s in settings]
    assert table["lung_shunt"].low <= min(shunts) <= max(shunts) <= table["lung_shunt"].high
    # Median of 200 draws of a log-normal with 0.75: standard error 1.25 * 0.75 / sqrt(200) = 7 %.
    assert np.median(shunts) == pytest.approx(table["lung_shunt"].a, rel=0.2)
    normal = sum(s.anatomy.variant == "normal" for s in settings) / 200
    assert normal == pytest.approx(0.722, abs=4 * np.sqrt(0.72 * 0.28 / 200))


def test_tumours_catheters_and_reflux_as_text() -> None:
    assert tumours_from_texts(["3"]) == 3
    assert tumours_from_texts(["45 mm, segment 8, necrosis 20 %", "2.8 cm"]) == (Tumour(45, 8, 0.2), Tumour(28))
    assert catheters_from_texts(["right hepatic", "segment 3"]) == ("right hepatic", "segment 3")
    assert catheters_from_texts(["segment 5 = 60 %", "segment 6 = 0.4"]) == {"segment 5": 0.6, "segment 6": 0.4}
    assert reflux_from_texts(["cystic = 1 %"]) == {"cystic": 0.01}
    for read, texts, message in (
        (tumours_from_texts, ["45 mm, lobe left"], "'lobe left' should be 'segment 8' or 'necrosis 20 %'"),
        (tumours_from_texts, ["45", "30 mm"], "no unit"),
        (catheters_from_texts, ["segment 5 = 60 %", "segment 6"], "a share for every catheter"),
        (catheters_from_texts, ["segment 5 ="], "should be a branch, or 'branch = share'"),
        (reflux_from_texts, ["cystic"], "not a fraction"),
    ):
        with pytest.raises(InputError, match=message):
            read(texts)  # type: ignore[operator]


def test_what_is_not_said_of_a_treatment() -> None:
    assert Treatment().agent == agent_for("Y-90")
    assert Treatment(agent="re188-hdd-lipiodol").nuclide == "Re-188"
    assert (Treatment(nuclide="Ho-166").administered_bq, Treatment(nuclide="I-131").activity_bq) == (6e9, 2.22e9)
