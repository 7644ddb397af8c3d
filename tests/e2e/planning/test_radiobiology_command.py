"""What doses do to tissue, by the command as a user runs it."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name

from command_line import answer, hepatica, message_texts
from hepatica.core import Kind
from hepatica.dosimetry.radiobiology.dose_map import DoseMapOptions
from hepatica.dosimetry.radiobiology.sphere_agents import Spheres
from hepatica.dosimetry.radiobiology.summary import EarlierTreatment, ExposureOptions, TissueOptions
from hepatica.errors import InputError, UnitError, UnknownNameError
from hepatica.io.itk import read_itk
from hepatica.io.structures.regions import read_regions
from hepatica.workflow.dose.radiobiology import radiobiology
from hepatica.workflow.dose.spheres import compare_spheres


def test_radiobiology_of_numbers(tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = answer(
        "radiobiology", "--dose", "52 Gy", "--tissue", "liver", "--effective-half-life", "64.2 h", "--agent", "resin",
        "--out", str(out),
    )  # fmt: skip
    assert found["bed_gy"] == pytest.approx(92.5, abs=0.05)
    assert {n["nuclide"] for n in found["nuclides"]} >= {"Y-90", "I-131", "Re-188", "Ho-166", "Lu-177"}
    strigari = next(m for m in found["models"] if m["name"] == "strigari-2010-liver")
    assert strigari["probability"] == pytest.approx(0.5)
    assert strigari["probability_low"] < 0.5 < strigari["probability_high"]
    assert "<svg" in (out / "bed.svg").read_text()
    by_python = radiobiology(
        52.0,
        exposure=ExposureOptions(effective_half_life_h=64.2, agent="resin"),
        tissue=TissueOptions(tissue="liver"),
    )
    assert {**by_python.as_dict(), "provenance": None} == {**found, "provenance": None}


def test_earlier_treatments_and_own_repair() -> None:
    found = answer(
        "radiobiology", "120 Gy", "--alpha-beta", "8 Gy", "--repair-half-time", "1 h", "--slow-repair-half-time", "6 h",
        "--slow-repair-share", "40 %", "--earlier", "40 Gy @ 30 d", "--earlier", "20 Gy @ 90 d",
    )  # fmt: skip
    assert found["tissue"]["alpha_beta_gy"] == 8
    assert found["tissue"]["repair"] == {"half_time_h": 1, "second_half_time_h": 6, "second_share": 0.4}
    assert found["course_bed_gy"] > found["bed_gy"] + 60
    tissue = TissueOptions(
        alpha_beta_gy=8.0,
        repair_half_time_h=1.0,
        slow_repair_half_time_h=6.0,
        slow_repair_share=0.4,
        earlier=(EarlierTreatment(40.0, 720.0), EarlierTreatment(20.0, 2160.0)),
    )
    assert radiobiology(120.0, tissue=tissue).as_dict()["course_bed_gy"] == found["course_bed_gy"]


def test_radiobiology_refuses_units_names_and_contradictions() -> None:
    for arguments, text in (
        (["--dose", "52"], "has no unit"),
        (["--dose", "52 kg"], "kg"),
        (["--dose", "52 Gy", "--tissue", "bone"], "unknown --tissue 'bone'"),
        (["--dose", "52 Gy", "--tisue", "liver"], "--tissue"),
        (["--dose", "52 Gy", "--slow-repair-half-time", "6 h"], "--slow-repair-share"),
        (["--dose", "52 Gy", "--earlier", "40 Gy"], "write dose and time before this treatment"),
        (["--dose", "52 Gy", "--alpha", "0.03 1/Gy"], "state --dose-map"),
        ([], "state --dose or --dose-map"),
        (["--dose", "52 Gy", "--dose-map", "a.nii"], "state --dose or --dose-map"),
        (["--dose-map", "a.nii"], "state --structures"),
        (["--dose-map", "a.nii", "--structures", "b.nii", "--tissue", "liver"], "on a map the structures decide"),
    ):
        done = hepatica("radiobiology", *arguments)
        assert done.returncode == 2, arguments
        assert done.stderr.startswith("hepatica: ")
        assert text in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stdout == ""
    with pytest.raises(InputError, match="TissueOptions has no option `alpha_beta`; did you mean `alpha_beta_gy`"):
        TissueOptions(alpha_beta=8.0)  # type: ignore[call-arg]
    with pytest.raises(UnknownNameError, match="known: external-beam, glass, resin, unified"):
        compare_spheres(60.0, alpha_per_gy="unifed")  # type: ignore[arg-type]


def test_radiobiology_of_a_map(tmp_path: Path) -> None:
    z, y, x = np.indices((15, 20, 24))
    radius = np.sqrt((x - 12) ** 2 + (y - 10) ** 2 + (2 * (z - 7)) ** 2)
    labels = ((radius < 9).astype(np.uint8) + (radius < 4)).astype(np.uint8)
    dose = np.where(labels == 2, 200.0, 40.0).astype(np.float32)
    for values, name in ((dose, "dose.nii.gz"), (labels, "labels.nii.gz")):
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((2.0, 2.5, 4.0))
        image.SetOrigin((-30.0, 12.0, 55.0))
        sitk.WriteImage(image, str(tmp_path / name))
    (tmp_path / "labels.json").write_text('{"1": "normal liver", "2": "tumour"}')
    found = answer(
        "radiobiology", "--dose-map", str(tmp_path / "dose.nii.gz"), "--structures", str(tmp_path / "labels.nii.gz"),
        "--agent", "glass", "--out", str(tmp_path / "bed"), "--eud-exponent", "1", "--clonogens", "1e7 1/mL",
    )  # fmt: skip
    assert "BED, Gy" in (tmp_path / "bed" / "bed.svg").read_text()
    regions = {r["name"]: r for r in found["structures"]}
    # Uniform doses: EUD is the dose; BED = D (1 + G D / (alpha/beta)).
    assert regions["tumour"]["eud_gy"] == pytest.approx(200.0)
    assert regions["tumour"]["bed_mean_gy"] == pytest.approx(200 * (1 + 200 * 1.5 / (1.5 + 64.05) / 10))
    assert regions["normal liver"]["bed_mean_gy"] == pytest.approx(40 * (1 + 40 * 2.5 / (2.5 + 64.05) / 2.5))
    bed = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "bed" / "bed-tumour.nii.gz")))
    assert bed[7, 10, 12] == pytest.approx(regions["tumour"]["bed_mean_gy"], rel=1e-5)
    assert any("fitted on resin, used here for glass" in text for text in message_texts(found))
    # An exponent of 1 is the mean; TCP exp(-N exp(-alpha BED)) of the tumour alone.
    assert regions["normal liver"]["generalized_eud_gy"] == pytest.approx(40)
    assert regions["normal liver"]["poisson_tcp"] is None
    cells = 1e7 * regions["tumour"]["volume_ml"]
    expected = np.exp(-cells * np.exp(-0.035 * regions["tumour"]["bed_mean_gy"]))
    assert regions["tumour"]["poisson_tcp"] == pytest.approx(expected)
    volume, _ = read_itk(tmp_path / "dose.nii.gz", Kind.DOSE, name="dose.nii.gz")
    drawn = read_regions(tmp_path / "labels.nii.gz", volume.grid)
    options = DoseMapOptions(eud_exponent=1.0, clonogens_per_ml=1e7)
    by_python = radiobiology(
        dose_map=volume, structures=drawn, exposure=ExposureOptions(agent="glass"), map_options=options
    )
    assert {**by_python.as_dict(), "provenance": None} == {**found, "provenance": None}
    options = DoseMapOptions(structure_roles={"normal liver": "stomach"})
    by_role = radiobiology(dose_map=volume, structures=drawn, map_options=options).as_dict()
    assert [s["name"] for s in by_role["structures"]] == ["tumour"]
    assert any("neither tumour nor liver" in text for text in message_texts(by_role))
    with pytest.raises(UnitError, match="absorbed dose"):
        radiobiology(dose_map=volume.with_values(volume.values, Kind.DENSITY), structures=drawn)
    with pytest.raises(InputError, match=r"a dose map is a path, a Volume or an Image"):
        radiobiology(dose_map=3, structures=drawn)  # type: ignore[arg-type]


def test_radiobiology_of_spheres(tmp_path: Path) -> None:
    out = tmp_path / "out"
    own = Spheres("lutetium glass", "Lu-177", 900.0)
    found = answer(
        "compare-spheres", "60 Gy", "--seed", "3", "--out", str(out), "--own-spheres", "lutetium glass, Lu-177, 900 Bq"
    )
    by_python = compare_spheres(60.0, own_spheres=(own,), seed=3)
    assert {**by_python.as_dict(), "provenance": None} == {**found, "provenance": None}
    agents = {a["name"]: a for a in found["agents"]}
    glass, resin, holmium, own = (agents[name] for name in ("glass", "resin", "ho166-plla", "lutetium glass"))
    assert glass["spheres_per_ml"] == pytest.approx(resin["spheres_per_ml"] / 50)
    assert glass["relative_sd"] > resin["relative_sd"]
    assert glass["mean_dose_with_eud_of_resin_gy"] > 60
    # 300 Bq of 166Ho give 60 Gy with 50 x 49.70 / (300 x 15.52) of the number of resin spheres.
    assert holmium["spheres_per_ml"] == pytest.approx(resin["spheres_per_ml"] * 50 * 49.699 / (300 * 15.516), rel=1e-3)
    # 177Lu reaches a fifth as far as 90Y: the dose is less even although its spheres are as many as those of 2500 Bq.
    assert own["relative_sd"] > glass["relative_sd"]
    assert any(text.startswith("Lu-177: 14 % of the electron energy stays") for text in message_texts(found))
    assert "lutetium glass" in (out / "spheres.svg").read_text()
    done = hepatica("compare-spheres", "60 Gy", "--own-spheres", "mine, Re-188")
    assert done.returncode == 2
    assert "write name, nuclide and activity of one sphere" in done.stderr
