"""The commands of tumour response and liver function, run as a user runs them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name

from command_line import answer, hepatica, message_texts
from hepatica.errors import InputError, TableError
from hepatica.workflow.outcome.response import tumour_response

MEASURED = """patient,lesion,date,diameter_mm,viable_mm,new
A,1,2026-01-01,50,50,
A,2,2026-01-01,30,30,
A,1,2026-03-01,45,20,
A,2,2026-03-01,30,0,
A,1,2026-04-10,44,0,
A,2,2026-04-10,30,0,
B,1,2026-01-01,40,40,
B,1,2026-03-01,40,50,
"""


def test_response_of_a_table(tmp_path: Path) -> None:
    path, out = tmp_path / "measured.csv", tmp_path / "out"
    path.write_text(MEASURED)
    found = answer("response", str(path), "--criterion", "mrecist", "--out", str(out))
    overall = {(v["patient"], v["date"]): v["overall_response"] for v in found["visits"]}
    assert overall == {("A", "2026-03-01"): "PR", ("A", "2026-04-10"): "CR", ("B", "2026-03-01"): "PD"}
    best = {b["patient"]: (b["response"], b["confirmed"]) for b in found["best"]}
    assert best == {"A": ("PR", True), "B": ("PD", False)}
    size = answer("response", str(path), "--criterion", "recist")
    assert {v["overall_response"] for v in size["visits"]} == {"SD"}
    assert "<svg" in (out / "waterfall.svg").read_text()
    assert (out / "visits.csv").read_text().startswith("patient,date,sum,")
    assert json.loads((out / "result.json").read_text())["best"] == found["best"]


def test_response_is_the_same_from_python_and_from_rows(tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    path.write_text(MEASURED)
    by_command = answer("response", str(path), "--criterion", "recist", "--unconfirmed")
    header, *lines = (line.split(",") for line in MEASURED.splitlines())
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    for row in rows:
        row["diameter_mm"] = float(row["diameter_mm"])
    frame = pd.DataFrame(rows)
    for source in (path, str(path), rows, frame):
        by_python = tumour_response(source, criterion="recist", unconfirmed=True).as_dict()
        for key in ("criterion", "unit", "lesions", "visits", "best", "messages"):
            assert by_python[key] == by_command[key], key
    rows[2]["diameter_mm"] = "4.5 cm"
    with pytest.raises(TableError, match=r"table: row 3, column 'diameter_mm': '4\.5 cm' carries a unit"):
        tumour_response(rows, criterion="recist")
    with pytest.raises(InputError, match="a table is a CSV or Excel file, a pandas DataFrame or a list of rows"):
        tumour_response(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no option `criterium`; did you mean `criterion`"):
        tumour_response(rows, criterium="recist")  # type: ignore[call-arg]


def test_response_refuses_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    path.write_text(MEASURED)
    for arguments, text in (
        (["--criterion", "recits"], "did you mean recist"),
        (["--criterium", "recist"], "--criterion"),
        (["--confirmation", "28"], "has no unit"),
        (["--sheet"], "--sheet"),
    ):
        done = hepatica("response", str(path), *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert text in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_response_names_what_cannot_be_measured(tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    path.write_text(
        MEASURED.replace("B,1,2026-01-01,40,40", "B,1,2026-01-01,40,6").replace("A,2,2026-04-10,30,0,\n", "")
        + "A,3,2026-04-10,20,20,\nA,1,2026-04-10,44,1,\n"
    )
    done = hepatica("response", str(path))
    assert done.returncode == 2
    assert "column 'viable_mm': 6 at baseline is not measurable by mrecist (at least 10)" in done.stderr
    assert "target lesion '2' is missing on 2026-04-10" in done.stderr
    assert "'3' has no baseline; mark it new=1" in done.stderr
    assert "'1' on 2026-04-10 is already in row 6" in done.stderr


def test_percist_checks_the_least_uptake(tmp_path: Path) -> None:
    path = tmp_path / "pet.csv"
    path.write_text(
        "patient,lesion,date,sul_peak,liver_sul_mean,liver_sul_sd\n"
        "A,1,2026-01-01,6.0,1.6,0.3\nA,1,2026-04-01,3.0,2.1,0.3\n"
    )
    found = answer("response", str(path), "--criterion", "percist", "--unconfirmed")
    assert found["visits"][0]["overall_response"] == "PR"
    assert any("liver SUL 2.1 on 2026-04-01, 1.6 at baseline: scans do not compare" in w for w in message_texts(found))
    path.write_text(path.read_text().replace("01,6.0", "01,2.9"))
    done = hepatica("response", str(path), "--criterion", "percist")
    assert done.returncode == 2
    assert "row 2, column 'sul_peak': 2.9 at baseline is not measurable by percist (at least 3)" in done.stderr
    path.write_text("patient,lesion,date,sul_peak\nA,1,2026-01-01,6.0\nA,1,2026-04-01,3.0\n")
    done = hepatica("response", str(path), "--criterion", "percist")
    assert "is checked only where columns liver_sul_mean and liver_sul_sd are filled" in done.stderr


def test_liver_function(tmp_path: Path) -> None:
    path = tmp_path / "labs.csv"
    path.write_text(
        "patient,date,bilirubin_umol_l,albumin_g_l,inr,ascites,encephalopathy,creatinine_mg_dl,treated,progression,alt_u_l,alt_uln_u_l\n"
        "A,2026-01-01,17.1,40,1.1,none,none,0.9,2026-01-05,0,30,40\n"
        "A,2026-02-20,60,30,1.4,moderate,none,1.0,2026-01-05,0,90,40\n"
    )
    rows = answer("liver-function", str(path))["rows"]
    assert rows[0]["albi"] == pytest.approx(-2.594, abs=5e-4)
    assert (rows[0]["child_pugh"], rows[0]["child_pugh_class"]) == (5, "A")
    assert rows[1]["reild"].startswith("suspected")
    assert rows[1]["ctcae_grades"] == {"bilirubin": 2, "alt": 1, "inr": 1}
    path.write_text("patient,date,bilirubin_mg_dl,albumin_g_dl\nA,2026-01-01,1.0,40\n")
    done = hepatica("liver-function", str(path))
    assert done.returncode == 2
    assert "row 2, column 'albumin_g_dl': albumin of 40 g/dL: wrong unit?" in done.stderr


def test_response_of_two_segmentations(tmp_path: Path) -> None:
    z, y, x = np.indices((20, 40, 40))
    for name, reach in (("before", 14.0), ("after", 8.0)):
        inside = (x - 20) ** 2 + (y - 20) ** 2 + (2 * (z - 10)) ** 2 < reach**2
        image = sitk.GetImageFromArray(inside.astype(np.uint8))
        image.SetSpacing((1.5, 1.5, 3.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
        (tmp_path / f"{name}.json").write_text('{"1": "lesion 1"}')
    found = answer("segmented-response", str(tmp_path / "before.nii.gz"), str(tmp_path / "after.nii.gz"))
    lesion = found["lesions"][0]
    # Diameters 42 and 24 mm; volume falls by the cube of 8/14.
    assert lesion["before"]["longest_mm"] == pytest.approx(42, abs=3)
    assert lesion["relative_volume_change"] == pytest.approx((8 / 14) ** 3 - 1, abs=0.03)
    assert [lesion["responses"][name] for name in ("recist", "mrecist", "easl", "volume")] == ["PR"] * 4
    assert found["all_lesions"] == dict.fromkeys(("recist", "mrecist", "easl", "volume"), "PR")


def test_response_of_lipiodol_and_remnant(tmp_path: Path) -> None:
    path, out = tmp_path / "lipiodol.csv", tmp_path / "out"
    path.write_text("patient,lesion,date,retained_ml,tumour_ml\nA,1,2026-01-01,12,20\nA,2,2026-01-01,0.5,10\n")
    found = answer("lipiodol-retention", str(path), "--out", str(out))
    assert [(r["retained_share"], r["retention"]) for r in found["lesions"]] == [(0.6, "high"), (0.05, "none or poor")]
    assert "moderate" in (out / "lipiodol.svg").read_text()
    assert (out / "lipiodol.csv").read_text().startswith('patient,lesion,date,"retained, mL","tumour, mL"')
    path.write_text("patient,lesion,date,retained_ml,tumour_ml\nA,1,2026-01-01,25,20\n")
    done = hepatica("lipiodol-retention", str(path))
    assert "row 2, column 'retained_ml': 25 mL is more than the tumour's 20 mL" in done.stderr
    path.write_text(
        "patient,date,remnant_ml,liver_ml,tumour_ml\nA,2026-01-01,400,1800,200\nA,2026-02-26,520,,\nB,2026-01-01,300,,\n"
    )
    done = hepatica("remnant-growth", str(path))
    assert done.returncode == 2
    assert "row 4, column 'liver_ml': is empty; B's first date needs it" in done.stderr
    path.write_text("patient,date,remnant_ml,liver_ml,tumour_ml\nA,2026-02-26,520,,\nA,2026-01-01,400,1800,200\n")
    row = answer("remnant-growth", str(path), "--out", str(tmp_path / "remnant"))["patients"][0]
    assert "<svg" in (tmp_path / "remnant" / "remnant.svg").read_text()
    # 400 of 1600 mL become 520 of 1600 mL in 8 weeks: 25 to 32.5 %, growth of 30 %.
    assert (row["share_before"], row["share_after"]) == (0.25, 0.325)
    assert row["degree_of_hypertrophy"] == pytest.approx(0.075)
    assert row["growth"]["relative_per_week"] == pytest.approx(0.3 / 8)


def test_response_of_segmented_remnant(tmp_path: Path) -> None:
    for name, cut in (("before", 10), ("after", 13)):
        labels = np.ones((10, 20, 40), np.uint8)
        labels[:, :, :cut] = 2
        labels[2:6, 5:15, 25:35] = 3
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing((4.0, 5.0, 6.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
        (tmp_path / f"{name}.json").write_text('{"1": "liver", "2": "FLR", "3": "lesion 8"}')
    files = ("segmented-response", str(tmp_path / "before.nii.gz"), str(tmp_path / "after.nii.gz"))
    found = answer(*files, "--interval", "8 weeks", "--out", str(tmp_path / "out"))
    # 2000 and 2600 of 8000 - 400 voxels; labels exclude each other, so the liver is all of them together.
    remnant = found["remnant"]
    assert (remnant["share_before"], remnant["share_after"]) == pytest.approx((2000 / 7600, 2600 / 7600))
    assert remnant["growth"]["relative_per_week"] == pytest.approx(0.3 / 8)
    assert [s["name"] for s in found["lesions"]] == ["lesion 8"]
    assert "future remnant" in (tmp_path / "out" / "change.svg").read_text()
    assert "Future liver remnant" in hepatica(*files).stdout


def test_liver_function_with_bclc_and_figure(tmp_path: Path) -> None:
    path, out = tmp_path / "labs.csv", tmp_path / "out"
    path.write_text(
        "patient,date,bilirubin_mg_dl,albumin_g_dl,inr,ascites,encephalopathy,performance_status,lesions,largest_mm,"
        "vascular_invasion,extrahepatic_spread\n"
        "A,2026-01-01,0.8,4.1,1.0,none,none,0,1,45,0,0\nB,2026-01-01,1.0,3.9,1.3,none,none,0,5,40,0,0\n"
        "C,2026-01-01,1.0,3.9,1.3,none,none,0,5,40,1,0\nD,2026-01-01,1.0,3.9,1.3,none,none,,5,40,1,0\n"
    )
    rows = answer("liver-function", str(path), "--out", str(out))["rows"]
    assert [r["bclc"] for r in rows] == [
        "A: one lesion", "B: 5 lesions, largest 4 cm", "C: vascular invasion", None,
    ]  # fmt: skip
    assert rows[1]["ctcae_grades"] == {"bilirubin": 0, "inr": 1}
    assert "REILD" in (out / "liver-function.svg").read_text()
    assert (out / "liver-function.csv").read_text().splitlines()[1].startswith("A,2026-01-01,-2.74")
    path.write_text(
        path.read_text().replace("A,2026-01-01,0.8,4.1,1.0,none,none,0,1", "A,2026-01-01,0.8,4.1,0,none,none,7,0")
    )
    done = hepatica("liver-function", str(path))
    for text in ("column 'performance_status': 7 is not 0, 1, 2, 3 or 4", "column 'lesions': 0 is not", "'inr': is 0"):
        assert text in done.stderr
