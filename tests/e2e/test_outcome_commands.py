"""The commands of radiobiology, response and outcome, run as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name


def hepatica(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hepatica", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def answer(*arguments: str) -> dict:
    done = hepatica(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    dose = np.round(rng.uniform(80, 400, 64))
    time, end = rng.exponential(np.where(dose >= 205, 33, 15)), rng.uniform(6, 50, 64)
    path = tmp_path_factory.mktemp("tables") / "patients.csv"
    lines = ["patient,dose_gy,os_months,dead,albi"]
    lines += [
        f"P{n},{dose[n]},{min(time[n], end[n]):.1f},{int(time[n] <= end[n])},{rng.normal(-2.4, 0.4):.2f}"
        for n in range(64)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def lesions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(5)
    dose = np.round(rng.uniform(40, 520, 90), 1)
    cr = rng.random(90) < 1 / (1 + np.exp(-4.4 * (dose / 292 - 1)))
    path = tmp_path_factory.mktemp("tables") / "lesions.csv"
    rows = [f"P{n // 3},{dose[n]},{int(cr[n])}" for n in range(90)]
    path.write_text("patient,tumour_gy,cr\n" + "\n".join(rows) + "\n")
    return path


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


def test_survival(patients: Path, tmp_path: Path) -> None:
    figure, out = tmp_path / "km.svg", tmp_path / "km.csv"
    found = answer(
        "survival", str(patients), "--time", "os_months", "--event", "dead", "--by", "dose_ge_205",
        "--covariate", "albi", "--patient", "patient", "--figure", str(figure), "--out", str(out),
    )  # fmt: skip
    assert found["time_unit"] == "months"
    assert {g["name"] for g in found["groups"]} == {"dose_gy >= 205", "dose_gy < 205"}
    assert found["cox"]["covariates"][0]["hazard_ratio"] > 0
    assert found["log_rank"]["degrees_of_freedom"] == 1
    assert "number at risk" in figure.read_text()
    assert out.read_text().startswith("group,time_months,at_risk,survival,low,high\n")


def test_survival_with_landmark_weights_and_competing_event(patients: Path, tmp_path: Path) -> None:
    found = answer(
        "survival", str(patients), "--time", "os_months", "--event", "dead", "--by", "dose_gy>=205",
        "--landmark", "3", "--balance", "albi",
    )  # fmt: skip
    assert sum(g["n"] for g in found["groups"]) < 64
    assert found["reading"][0].startswith("Landmark at 3 months")
    assert abs(found["propensity"]["balance"][0]["after"]) < 1e-6
    assert found["weighted_cox"]["robust_standard_errors"]
    path = tmp_path / "competing.csv"
    rows = [line.split(",") for line in patients.read_text().splitlines()[1:]]
    lines = [f"{r[2]},{r[3]},{int(r[3] == '0' and n % 2)}" for n, r in enumerate(rows)]
    path.write_text("os_months,dead,transplant\n" + "\n".join(lines) + "\n")
    found = answer("survival", str(path), "--time", "os_months", "--event", "dead", "--competing", "transplant")
    assert 0 < found["cumulative_incidence"][0]["incidence"][-1] < 1
    assert found["gray_test"] is None
    lines = [f"{r[2]},{r[3]},{int(r[3] == '0' and n % 2)},{int(float(r[1]) >= 205)}" for n, r in enumerate(rows)]
    path.write_text("os_months,dead,transplant,dose_ge_205\n" + "\n".join(lines) + "\n")
    found = answer(
        "survival",
        str(path),
        "--time",
        "os_months",
        "--event",
        "dead",
        "--competing",
        "transplant",
        "--by",
        "dose_ge_205",
    )
    assert 0 <= found["gray_test"]["p"] <= 1
    # A column of 0 and 1 keeps its name in the groups: "hazard ratio of 1 against 0" says nothing.
    assert found["cox"]["covariates"][0]["name"] == "dose_ge_205 = 1 against dose_ge_205 = 0"
    path.write_text("os_months,dead,transplant\n3,1,1\n4,0,0\n")
    done = hepatica("survival", str(path), "--time", "os_months", "--event", "dead", "--competing", "transplant")
    assert "row 2, column 'transplant': both the event and the competing event" in done.stderr
    done = hepatica("survival", str(patients), "--time", "os_months", "--event", "dead", "--by", "dose_gy")
    assert "Write a cut, such as 'dose_gy>=205'" in done.stderr


def test_survival_from_excel_and_dates(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["patient", "treated", "last_seen", "dead"])
    for n in range(12):
        sheet.append([f"P{n}", f"2025-01-{n + 1:02d}", f"2025-{n % 6 + 3:02d}-15", n % 2])
    path = tmp_path / "dates.xlsx"
    book.save(path)
    found = answer("survival", str(path), "--event", "dead", "--start-date", "treated", "--end-date", "last_seen")
    assert found["groups"][0]["n"] == 12
    assert found["time_unit"] == "months"


def test_survival_names_every_bad_cell(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text('patient,os_months,dead\nA,3,1\nB,,1\nA,4 mo,2\nC,-1,0\nD,"3,5",1\n')
    done = hepatica("survival", str(path), "--time", "os_months", "--event", "dead", "--patient", "patient")
    assert done.returncode == 2
    assert done.stdout == ""
    for text in (
        "row 3, column 'os_months': event without a time",
        "row 4, column 'os_months': '4 mo' carries a unit",
        "row 4, column 'dead': '2' is not yes or no",
        "row 5, column 'os_months': -1 is below 0",
        "row 6, column 'os_months': '3,5' has a comma",
        "row 4, column 'patient': 'A' is already in row 2",
    ):
        assert text in done.stderr
    done = hepatica("survival", str(path), "--time", "months", "--event", "dead")
    assert "there is no column 'months'; columns: patient, os_months, dead" in done.stderr


def test_contradictory_dates(tmp_path: Path) -> None:
    path = tmp_path / "dates.csv"
    path.write_text("treated,last,dead\n2025-01-10,2025-03-01,1\n2025-02-10,2025-01-01,0\n2025-13-01,,1\n")
    done = hepatica("survival", str(path), "--event", "dead", "--start-date", "treated", "--end-date", "last")
    assert done.returncode == 2
    assert "row 3, column 'last': 2025-01-01 is before 2025-02-10" in done.stderr
    assert "row 4, column 'treated': '2025-13-01' is not a date" in done.stderr
    assert "row 4, column 'last': is empty" in done.stderr


def test_survival_leaves_out_what_the_data_cannot_carry(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    rows = "\n".join(f"{n + 1},{int(n < 3)},{'a' if n % 2 else 'b'}" for n in range(10))
    path.write_text("os_months,dead,arm\n" + rows + "\n")
    done = hepatica("survival", str(path), "--time", "os_months", "--event", "dead", "--by", "arm")
    assert done.returncode == 0
    assert "log-rank test: 3 events; at least 5 are needed" in done.stderr
    assert "Log-rank p" not in done.stdout


def test_competing_risks_by_centre(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = []
    for n in range(160):
        high = rng.random() < 0.5
        death, other, end = rng.exponential(12 if high else 8), rng.exponential(25), rng.uniform(6, 40)
        time = min(death, other, end)
        rows.append(f"{time:.2f},{int(time == death)},{int(time == other)},{'high' if high else 'low'},{'NM'[n % 2]}")
    path, figure, out = tmp_path / "p.csv", tmp_path / "i.svg", tmp_path / "c.csv"
    path.write_text("os_months,tumour_death,other_death,dose,centre\n" + "\n".join(rows) + "\n")
    found = answer(
        "survival", str(path), "--time", "os_months", "--event", "tumour_death", "--competing", "other_death",
        "--by", "dose", "--strata", "centre", "--figure", str(figure), "--out", str(out),
    )  # fmt: skip
    ratio = found["fine_gray"]["covariates"][0]
    assert ratio["name"] == "low against high"
    assert ratio["low"] < ratio["subdistribution_hazard_ratio"] < ratio["high"]
    assert found["fine_gray"]["competing_events"] == sum(int(r.split(",")[2]) for r in rows)
    assert any("takes no strata" in w for w in found["warnings"])
    assert found["log_rank"]["degrees_of_freedom"] == found["gray_test"]["degrees_of_freedom"] == 1
    assert "Gray p" in figure.read_text()
    assert out.read_text().startswith("group,time_months,at_risk,survival,low,high\nhigh,")


def test_survival_of_three_groups(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    path = tmp_path / "p.csv"
    rows = [f"{rng.exponential(10):.2f},{int(rng.random() < 0.8)},{'abc'[n % 3]}" for n in range(90)]
    path.write_text("os_months,dead,arm\n" + "\n".join(rows) + "\n")
    found = answer("survival", str(path), "--time", "os_months", "--event", "dead", "--by", "arm")
    assert found["log_rank"]["degrees_of_freedom"] == 2
    assert [c["name"] for c in found["cox"]["covariates"]] == ["b against a", "c against a"]


def test_survival_names_what_no_model_can_use(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    rows = "\n".join(f"{n + 1},{n % 2},{'a' if n < 9 else 'b'},3" for n in range(10))
    path.write_text("os_months,dead,arm,lesions\n" + rows + "\n")
    done = hepatica(
        "survival", str(path), "--time", "os_months", "--event", "dead", "--by", "arm", "--covariate", "lesions"
    )
    assert done.returncode == 2
    assert "row 11, column 'arm': 'b' is the group of this patient alone" in done.stderr
    assert "column 'lesions': is 3 in all 10 rows; leave it out" in done.stderr


def test_dose_response(lesions: Path, tmp_path: Path) -> None:
    figure = tmp_path / "dr.png"
    found = answer(
        "dose-response", str(lesions), "--dose", "tumour_gy", "--response", "cr", "--patient", "patient",
        "--threshold", "205 Gy", "--figure", str(figure),
    )  # fmt: skip
    curve = found["curve"]
    assert curve["d50_low_gy"] < curve["d50_gy"] < curve["d50_high_gy"]
    assert curve["patients"] == 30
    assert [t["chosen"] for t in found["thresholds"]] == ["prespecified", "optimal (Youden)"]
    assert found["thresholds"][0]["value_gy"] == 205
    assert 0.5 < found["roc"]["auc"] < 1
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_dose_response_names_lesions_without_patients(tmp_path: Path) -> None:
    path = tmp_path / "lesions.csv"
    path.write_text("patient,tumour_gy,cr\nA,120,0\n,300,1\nB,30000 cGy,1\n")
    done = hepatica("dose-response", str(path), "--dose", "tumour_gy", "--response", "cr", "--patient", "patient")
    assert done.returncode == 2
    assert "row 3, column 'patient': is empty" in done.stderr
    assert "row 4, column 'tumour_gy': '30000 cGy' carries a unit" in done.stderr


def test_dose_response_refuses_a_separated_fit(tmp_path: Path) -> None:
    path = tmp_path / "separated.csv"
    path.write_text("tumour_gy,cr\n" + "\n".join(f"{20 * n},{int(n > 10)}" for n in range(1, 21)) + "\n")
    found = answer("dose-response", str(path), "--dose", "tumour_gy", "--response", "cr")
    assert found["curve"] is None
    # Rows count as in a spreadsheet: 200 Gy stands in row 11, 220 Gy in row 12.
    assert any("separate them completely" in w and "rows 11 and 12" in w for w in found["warnings"])


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
    path, figure = tmp_path / "measured.csv", tmp_path / "waterfall.svg"
    path.write_text(MEASURED)
    found = answer("response", str(path), "--criterion", "mrecist", "--figure", str(figure))
    overall = {(v["patient"], v["date"]): v["overall_response"] for v in found["visits"]}
    assert overall == {("A", "2026-03-01"): "PR", ("A", "2026-04-10"): "CR", ("B", "2026-03-01"): "PD"}
    best = {b["patient"]: (b["response"], b["confirmed"]) for b in found["best"]}
    assert best == {"A": ("PR", True), "B": ("PD", False)}
    size = answer("response", str(path), "--criterion", "recist")
    assert {v["overall_response"] for v in size["visits"]} == {"SD"}
    assert "<svg" in figure.read_text()


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
    found = answer("response", str(path), "--criterion", "percist", "--no-confirm")
    assert found["visits"][0]["overall_response"] == "PR"
    assert any("liver SUL 2.1 on 2026-04-01, 1.6 at baseline: scans do not compare" in w for w in found["warnings"])
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
    rows = answer("response", "--labs", str(path))["liver_function"]["rows"]
    assert rows[0]["albi"] == pytest.approx(-2.594, abs=5e-4)
    assert (rows[0]["child_pugh"], rows[0]["child_pugh_class"]) == (5, "A")
    assert rows[1]["reild"].startswith("suspected")
    assert rows[1]["ctcae_grades"] == {"bilirubin": 2, "alt": 1, "inr": 1}
    path.write_text("patient,date,bilirubin_mg_dl,albumin_g_dl\nA,2026-01-01,1.0,40\n")
    done = hepatica("response", "--labs", str(path))
    assert done.returncode == 2
    assert "row 2, column 'albumin_g_dl': albumin of 40 g/dL: wrong unit?" in done.stderr


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


def test_response_of_two_segmentations(tmp_path: Path) -> None:
    z, y, x = np.indices((20, 40, 40))
    for name, reach in (("before", 14.0), ("after", 8.0)):
        inside = (x - 20) ** 2 + (y - 20) ** 2 + (2 * (z - 10)) ** 2 < reach**2
        image = sitk.GetImageFromArray(inside.astype(np.uint8))
        image.SetSpacing((1.5, 1.5, 3.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
        (tmp_path / f"{name}.json").write_text('{"1": "lesion 1"}')
    found = answer("response", "--before", str(tmp_path / "before.nii.gz"), "--after", str(tmp_path / "after.nii.gz"))
    lesion = found["segmented_lesions"][0]
    # Diameters 42 and 24 mm; volume falls by the cube of 8/14.
    assert lesion["longest_before_mm"] == pytest.approx(42, abs=3)
    assert lesion["relative_volume_change"] == pytest.approx((8 / 14) ** 3 - 1, abs=0.03)
    assert [lesion[name] for name in ("recist", "mrecist", "easl", "volume")] == ["PR"] * 4
    assert found["segmented_patient"] == dict.fromkeys(("recist", "mrecist", "easl", "volume"), "PR")


def test_response_of_lipiodol_and_remnant(tmp_path: Path) -> None:
    path, figure, out = tmp_path / "lipiodol.csv", tmp_path / "l.svg", tmp_path / "l.csv"
    path.write_text("patient,lesion,date,retained_ml,tumour_ml\nA,1,2026-01-01,12,20\nA,2,2026-01-01,0.5,10\n")
    found = answer("response", str(path), "--criterion", "lipiodol", "--figure", str(figure), "--out", str(out))
    assert [(r["retained_share"], r["retention"]) for r in found["lipiodol"]] == [(0.6, "high"), (0.05, "none or poor")]
    assert "moderate" in figure.read_text()
    assert out.read_text().startswith("patient,lesion,date,retained_ml,tumour_ml,retained_share,retention")
    path.write_text("patient,lesion,date,retained_ml,tumour_ml\nA,1,2026-01-01,25,20\n")
    done = hepatica("response", str(path), "--criterion", "lipiodol")
    assert "row 2, column 'retained_ml': 25 mL is more than the tumour's 20 mL" in done.stderr
    path.write_text(
        "patient,date,remnant_ml,liver_ml,tumour_ml\nA,2026-01-01,400,1800,200\nA,2026-02-26,520,,\nB,2026-01-01,300,,\n"
    )
    done = hepatica("response", str(path), "--criterion", "remnant")
    assert done.returncode == 2
    assert "row 4, column 'liver_ml': is empty; B's first date needs it" in done.stderr
    path.write_text("patient,date,remnant_ml,liver_ml,tumour_ml\nA,2026-02-26,520,,\nA,2026-01-01,400,1800,200\n")
    row = answer("response", str(path), "--criterion", "remnant", "--figure", str(figure))["remnant"][0]
    # 400 of 1600 mL become 520 of 1600 mL in 8 weeks: 25 to 32.5 %, growth of 30 %.
    assert (row["share_before"], row["share_after"]) == (0.25, 0.325)
    assert row["degree_of_hypertrophy"] == pytest.approx(0.075)
    assert row["relative_growth_per_week"] == pytest.approx(0.3 / 8)


def test_response_of_segmented_remnant(tmp_path: Path) -> None:
    for name, cut in (("before", 10), ("after", 13)):
        labels = np.ones((10, 20, 40), np.uint8)
        labels[:, :, :cut] = 2
        labels[2:6, 5:15, 25:35] = 3
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing((4.0, 5.0, 6.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
        (tmp_path / f"{name}.json").write_text('{"1": "liver", "2": "FLR", "3": "segment 8"}')
    files = ("response", "--before", str(tmp_path / "before.nii.gz"), "--after", str(tmp_path / "after.nii.gz"))
    figure = tmp_path / "change.svg"
    found = answer(*files, "--days", "56", "--figure", str(figure))
    # 2000 and 2600 of 8000 - 400 voxels; labels exclude each other, so the liver is all of them together.
    remnant = found["remnant"]
    assert (remnant["share_before"], remnant["share_after"]) == pytest.approx((2000 / 7600, 2600 / 7600))
    assert remnant["relative_growth_per_week"] == pytest.approx(0.3 / 8)
    assert [s["name"] for s in found["segmented_lesions"]] == ["segment 8"]
    assert "future remnant" in figure.read_text()
    assert "Future liver remnant" in hepatica(*files).stdout


def test_liver_function_with_bclc_and_figure(tmp_path: Path) -> None:
    path, figure, out = tmp_path / "labs.csv", tmp_path / "labs.png", tmp_path / "scores.csv"
    path.write_text(
        "patient,date,bilirubin_mg_dl,albumin_g_dl,inr,ascites,encephalopathy,performance_status,lesions,largest_mm,"
        "vascular_invasion,extrahepatic_spread\n"
        "A,2026-01-01,0.8,4.1,1.0,none,none,0,1,45,0,0\nB,2026-01-01,1.0,3.9,1.3,none,none,0,5,40,0,0\n"
        "C,2026-01-01,1.0,3.9,1.3,none,none,0,5,40,1,0\nD,2026-01-01,1.0,3.9,1.3,none,none,,5,40,1,0\n"
    )
    rows = answer("response", "--labs", str(path), "--figure", str(figure), "--out", str(out))["liver_function"]["rows"]
    assert [r["bclc"] for r in rows] == [
        "A: one lesion", "B: 5 lesions, largest 4 cm", "C: vascular invasion", None,
    ]  # fmt: skip
    assert rows[1]["ctcae_grades"] == {"bilirubin": 0, "inr": 1}
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert out.read_text().splitlines()[1].startswith("A,2026-01-01,0.8,4.1")
    path.write_text(
        path.read_text().replace("A,2026-01-01,0.8,4.1,1.0,none,none,0,1", "A,2026-01-01,0.8,4.1,0,none,none,7,0")
    )
    done = hepatica("response", "--labs", str(path))
    for text in ("column 'performance_status': 7 is not 0, 1, 2, 3 or 4", "column 'lesions': 0 is not", "'inr': is 0"):
        assert text in done.stderr


def test_agreement(tmp_path: Path) -> None:
    path, figure = tmp_path / "pairs.csv", tmp_path / "ba.svg"
    rng = np.random.default_rng(2)
    scout = rng.uniform(60, 300, 30)
    therapy = scout + 10 + rng.normal(0, 12, 30)
    rows = "\n".join(f"P{n},{a:.2f},{b:.2f}" for n, (a, b) in enumerate(zip(scout, therapy, strict=True)))
    path.write_text("patient,scout_gy,therapy_gy\n" + rows + "\n")
    columns = ("agreement", str(path), "--first", "scout_gy", "--second", "therapy_gy")
    out = tmp_path / "numbers.csv"
    found = answer(*columns, "--patient", "patient", "--figure", str(figure), "--out", str(out))
    assert [line.split(",")[0] for line in out.read_text().splitlines()][:3] == [
        "quantity", "bias", "lower limit of agreement",
    ]  # fmt: skip
    a, b = (np.round(v, 2) for v in (scout, therapy))
    ba = found["bland_altman"]
    assert ba["bias"] == pytest.approx((b - a).mean())
    assert ba["upper_limit"] - ba["lower_limit"] == pytest.approx(2 * 1.959964 * (b - a).std(ddof=1), rel=1e-6)
    assert 0.9 < found["lin"]["low"] < found["lin"]["coefficient"] < found["lin"]["high"] < 1
    assert found["passing_bablok"]["slope_low"] < 1 < found["passing_bablok"]["slope_high"]
    assert "limits of agreement" in figure.read_text()
    assert "Whether that is close enough is a clinical question" in hepatica(*columns).stdout
    path.write_text("scout_gy,therapy_gy\n100,\n120 Gy,130\n")
    done = hepatica(*columns)
    assert done.returncode == 2
    assert "row 2, column 'therapy_gy': is empty" in done.stderr
    assert "row 3, column 'scout_gy': '120 Gy' carries a unit" in done.stderr
    path.write_text("scout_gy,therapy_gy\n100,110\n120,130\n")
    done = hepatica(*columns)
    assert (done.returncode, done.stdout) == (2, "")
    assert "2 pairs; at least 5 are needed" in done.stderr


def test_accuracy(tmp_path: Path) -> None:
    # 13 of 15 found, 78 of 80 cleared; exact intervals: R's binom.test(13, 15), as in outcome.roc.
    path = tmp_path / "extrahepatic.csv"
    rows = [*["1,1"] * 13, *["0,1"] * 2, *["0,0"] * 78, *["1,0"] * 2]
    path.write_text("spect,deposition\n" + "\n".join(rows) + "\n")
    figure, out = tmp_path / "accuracy.svg", tmp_path / "accuracy.csv"
    found = answer(
        "accuracy", str(path), "--test", "spect", "--truth", "deposition", "--figure", str(figure), "--out", str(out)
    )
    assert "13 of 15" in figure.read_text()
    assert out.read_text().splitlines()[1].startswith("sensitivity,13,15,0.8666666666666667,0.595")
    assert found["sensitivity"]["low"] == pytest.approx(0.5954, abs=5e-5)
    assert found["sensitivity"]["high"] == pytest.approx(0.9834, abs=5e-5)
    assert found["accuracy"]["value"] == pytest.approx(91 / 95)
    assert any("15 rows with deposition" in w for w in found["warnings"])
    done = hepatica("accuracy", str(path), "--test", "spect", "--truth", "deposition")
    assert "87 % (13 of 15; 95 % interval 60 to 98 %)" in done.stdout
    path.write_text("spect,deposition\n1,0\n0,0\n")
    done = hepatica("accuracy", str(path), "--test", "spect", "--truth", "deposition")
    assert "no row with deposition: sensitivity cannot be judged" in done.stderr
    assert "finds" not in done.stdout
    path.write_text("patient,spect,deposition\nA,1,1\nA,maybe,0\n")
    done = hepatica("accuracy", str(path), "--test", "spect", "--truth", "deposition", "--patient", "patient")
    assert "row 3, column 'spect': 'maybe' is not yes or no" in done.stderr
    assert "row 3, column 'patient': 'A' is already in row 2" in done.stderr
