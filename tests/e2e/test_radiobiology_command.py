"""What doses do to tissue, by the command as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name
from command_line import answer, hepatica, said


def test_radiobiology_of_numbers(tmp_path: Path) -> None:
    figure = tmp_path / "bed.svg"
    found = answer(
        "radiobiology", "--dose", "52 Gy", "--tissue", "liver", "--half-life", "64.2 h", "--agent", "resin",
        "--figure", str(figure),
    )  # fmt: skip
    assert found["bed_gy"] == pytest.approx(92.5, abs=0.05)
    assert {n["nuclide"] for n in found["nuclides"]} >= {"Y-90", "I-131", "Re-188", "Ho-166", "Lu-177"}
    strigari = next(m for m in found["models"] if m["name"] == "strigari-2010-liver")
    assert strigari["probability"] == pytest.approx(0.5)
    assert strigari["probability_low"] < 0.5 < strigari["probability_high"]
    assert "<svg" in figure.read_text()


def test_radiobiology_refuses_units_and_names() -> None:
    for arguments in (["--dose", "52"], ["--dose", "52 kg"], ["--dose", "52 Gy", "--tissue", "bone"]):
        done = hepatica("radiobiology", *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("hepatica: ")
        assert done.stdout == ""


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
        "radiobiology", "--map", str(tmp_path / "dose.nii.gz"), "--structures", str(tmp_path / "labels.nii.gz"),
        "--agent", "glass", "--out", str(tmp_path / "bed"), "--figure", str(tmp_path / "bed.svg"),
    )  # fmt: skip
    assert "BED, Gy" in (tmp_path / "bed.svg").read_text()
    regions = {r["name"]: r for r in found["regions"]}
    # Uniform doses: EUD is the dose; BED = D (1 + G D / (alpha/beta)).
    assert regions["tumour"]["eud_gy"] == pytest.approx(200.0)
    assert regions["tumour"]["bed_mean_gy"] == pytest.approx(200 * (1 + 200 * 1.5 / (1.5 + 64.05) / 10))
    assert regions["normal liver"]["bed_mean_gy"] == pytest.approx(40 * (1 + 40 * 2.5 / (2.5 + 64.05) / 2.5))
    bed = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "bed" / "bed-tumour.nii.gz")))
    assert bed[7, 10, 12] == pytest.approx(regions["tumour"]["bed_mean_gy"], rel=1e-5)
    assert any("fitted on resin, used here for glass" in w for m in found["models"] for w in m["warnings"])


def test_radiobiology_of_spheres(tmp_path: Path) -> None:
    figure = tmp_path / "spheres.svg"
    found = answer(
        "radiobiology", "--dose", "60 Gy", "--spheres", "--seed", "3", "--figure", str(figure),
        "--sphere", "lutetium glass, Lu-177, 900 Bq",
    )  # fmt: skip
    agents = {a["name"]: a for a in found["agents"]}
    glass, resin, holmium, own = (agents[name] for name in ("glass", "resin", "ho166-plla", "lutetium glass"))
    assert glass["spheres_per_ml"] == pytest.approx(resin["spheres_per_ml"] / 50)
    assert glass["relative_sd"] > resin["relative_sd"]
    assert glass["mean_dose_with_eud_of_resin_gy"] > 60
    # 300 Bq of 166Ho give 60 Gy with 50 x 49.70 / (300 x 15.52) of the number of resin spheres.
    assert holmium["spheres_per_ml"] == pytest.approx(resin["spheres_per_ml"] * 50 * 49.699 / (300 * 15.516), rel=1e-3)
    # 177Lu reaches a fifth as far as 90Y: the dose is less even although its spheres are as many as those of 2500 Bq.
    assert own["relative_sd"] > glass["relative_sd"]
    assert any(w.startswith("Lu-177: 14 % of the electron energy stays") for w in found["warnings"])
    assert "lutetium glass" in figure.read_text()
    done = hepatica("radiobiology", "--dose", "60 Gy", "--spheres", "--sphere", "mine, Re-188")
    assert "write name, nuclide and activity of one sphere" in done.stderr
