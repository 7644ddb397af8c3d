"""The commands that answer from a table of patients or lesions, run as a user runs them."""

from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from command_line import answer, hepatica, message_texts
from hepatica.cohort.accuracy import diagnostic_accuracy
from hepatica.cohort.agreement import measurement_agreement
from hepatica.cohort.dose_response import dose_response
from hepatica.cohort.survival import survival
from hepatica.errors import InputError
from hepatica.outcome.analyses.dose_response import CurveOptions
from hepatica.outcome.analyses.survival_table import SurvivalColumns, SurvivalModels


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


def test_survival(patients: Path, tmp_path: Path) -> None:
    out = tmp_path / "km"
    found = answer(
        "survival", str(patients), "--time", "os_months", "--event", "dead", "--by", "dose_ge_205",
        "--covariates", "albi", "--patient-ids", "patient", "--out", str(out),
    )  # fmt: skip
    assert found["time_unit"] == "months"
    assert {g["name"] for g in found["groups"]} == {"dose_gy >= 205", "dose_gy < 205"}
    assert found["cox"]["covariates"][0]["hazard_ratio"] > 0
    assert found["log_rank"]["degrees_of_freedom"] == 1
    assert "number at risk" in (out / "survival.svg").read_text()
    assert (out / "curves.csv").read_text().startswith("group,time_months,at_risk,survival,low,high\n")
    assert (out / "cox.csv").read_text().startswith("covariate,hazard ratio,from,to,p")
    by_python = survival(
        pd.read_csv(patients),
        time="os_months",
        event="dead",
        by="dose_ge_205",
        columns=SurvivalColumns(patient_ids="patient"),
        models=SurvivalModels(covariates=("albi",)),
    ).as_dict()
    assert {**by_python, "provenance": None} == {**found, "provenance": None}


def test_rows_that_are_lesions_are_clustered(lesions: Path) -> None:
    rows = pd.read_csv(lesions)
    rows["months"], rows["gone"] = np.random.default_rng(2).exponential(10, len(rows)), rows["cr"]
    plain, clustered = (
        survival(
            rows,
            time="months",
            event="gone",
            by="tumour_gy>=250",
            columns=SurvivalColumns(clusters=cluster),
        ).cox
        for cluster in (None, "patient")
    )
    assert plain is not None
    assert clustered is not None
    assert clustered.robust_standard_errors
    assert clustered.covariates[0].coefficient == pytest.approx(plain.covariates[0].coefficient)
    assert clustered.covariates[0].standard_error != pytest.approx(plain.covariates[0].standard_error)


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
    done = hepatica("survival", str(path), "--time", "os_months", "--event", "dead", "--patient-ids", "patient")
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
    path, out = tmp_path / "p.csv", tmp_path / "out"
    path.write_text("os_months,tumour_death,other_death,dose,centre\n" + "\n".join(rows) + "\n")
    found = answer(
        "survival", str(path), "--time", "os_months", "--event", "tumour_death", "--competing", "other_death",
        "--by", "dose", "--strata", "centre", "--out", str(out),
    )  # fmt: skip
    ratio = found["fine_gray"]["covariates"][0]
    assert ratio["name"] == "low against high"
    assert ratio["low"] < ratio["subdistribution_hazard_ratio"] < ratio["high"]
    assert found["fine_gray"]["competing_events"] == sum(int(r.split(",")[2]) for r in rows)
    assert any("takes no strata" in text for text in message_texts(found))
    assert found["log_rank"]["degrees_of_freedom"] == found["gray_test"]["degrees_of_freedom"] == 1
    assert "Gray p" in (out / "incidence.svg").read_text()
    assert (out / "curves.csv").read_text().startswith("group,time_months,at_risk,survival,low,high\nhigh,")


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
        "survival", str(path), "--time", "os_months", "--event", "dead", "--by", "arm", "--covariates", "lesions"
    )
    assert done.returncode == 2
    assert "row 11, column 'arm': 'b' is the group of this patient alone" in done.stderr
    assert "column 'lesions': is 3 in all 10 rows; leave it out" in done.stderr


def test_dose_response(lesions: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = answer(
        "dose-response", str(lesions), "--doses", "tumour_gy", "--responders", "cr", "--patient-ids", "patient",
        "--threshold", "205 Gy", "--out", str(out),
    )  # fmt: skip
    curve = found["curve"]
    assert curve["d50_low_gy"] < curve["d50_gy"] < curve["d50_high_gy"]
    assert curve["patients"] == 30
    assert [t["chosen"] for t in found["thresholds"]] == ["prespecified", "optimal (Youden)"]
    assert found["thresholds"][0]["value_gy"] == 205
    assert 0.5 < found["roc"]["auc"] < 1
    assert "D50" in (out / "dose-response.svg").read_text()
    assert (out / "curve.csv").read_text().startswith("dose_gy,probability,low,high\n")
    fit = CurveOptions(threshold_gy=205.0)
    by_python = dose_response(lesions, doses="tumour_gy", responders="cr", patient_ids="patient", fit=fit).as_dict()
    assert {**by_python, "provenance": None} == {**found, "provenance": None}


def test_dose_response_compares_a_second_predictor(lesions: Path) -> None:
    rows = pd.read_csv(lesions)
    rows["noise"] = np.random.default_rng(1).normal(size=len(rows))
    fit = CurveOptions(second_predictor="noise", samples=20)
    found = dose_response(rows, doses="tumour_gy", responders="cr", fit=fit)
    assert found.roc is not None
    assert found.roc_comparison is not None
    assert found.roc_comparison.auc_first == pytest.approx(found.roc.auc)
    assert found.roc_comparison.difference > 0.1
    assert any("noise ranks" in line for line in found.reading)


def test_dose_response_refuses_in_one_sentence(lesions: Path) -> None:
    columns = ("dose-response", str(lesions), "--doses", "tumour_gy", "--responders", "cr")
    for arguments, text in (
        (["--threshold", "205"], "has no unit"),
        (["--scale", "loge"], "did you mean log"),
        (["--samples", "3"], "at least 10"),
        (["--treshold", "205 Gy"], "--threshold"),
    ):
        done = hepatica(*columns, *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert text in done.stderr
    done = hepatica(*columns[:4])
    assert "--responders" in done.stderr
    with pytest.raises(InputError, match="CurveOptions has no option `treshold_gy`; did you mean `threshold_gy`"):
        CurveOptions(treshold_gy=205.0)  # type: ignore[call-arg]


def test_dose_response_names_lesions_without_patients(tmp_path: Path) -> None:
    path = tmp_path / "lesions.csv"
    path.write_text("patient,tumour_gy,cr\nA,120,0\n,300,1\nB,30000 cGy,1\n")
    columns = ("--doses", "tumour_gy", "--responders", "cr", "--patient-ids", "patient")
    done = hepatica("dose-response", str(path), *columns)
    assert done.returncode == 2
    assert "row 3, column 'patient': is empty" in done.stderr
    assert "row 4, column 'tumour_gy': '30000 cGy' carries a unit" in done.stderr


def test_dose_response_refuses_a_separated_fit(tmp_path: Path) -> None:
    path = tmp_path / "separated.csv"
    path.write_text("tumour_gy,cr\n" + "\n".join(f"{20 * n},{int(n > 10)}" for n in range(1, 21)) + "\n")
    found = answer("dose-response", str(path), "--doses", "tumour_gy", "--responders", "cr")
    assert found["curve"] is None
    # Rows count as in a spreadsheet: 200 Gy stands in row 11, 220 Gy in row 12.
    assert any("separate them completely" in text and "rows 11 and 12" in text for text in message_texts(found))


def test_agreement(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    rng = np.random.default_rng(2)
    scout = rng.uniform(60, 300, 30)
    therapy = scout + 10 + rng.normal(0, 12, 30)
    rows = "\n".join(f"P{n},{a:.2f},{b:.2f}" for n, (a, b) in enumerate(zip(scout, therapy, strict=True)))
    path.write_text("patient,scout_gy,therapy_gy\n" + rows + "\n")
    columns = ("measurement-agreement", str(path), "--first", "scout_gy", "--second", "therapy_gy")
    out = tmp_path / "out"
    found = answer(*columns, "--patient-ids", "patient", "--out", str(out))
    assert [line.split(",")[0] for line in (out / "agreement.csv").read_text().splitlines()][:3] == [
        "quantity", "bias", "lower limit of agreement",
    ]  # fmt: skip
    a, b = (np.round(v, 2) for v in (scout, therapy))
    ba = found["bland_altman"]
    assert ba["bias"] == pytest.approx((b - a).mean())
    assert ba["upper_limit"] - ba["lower_limit"] == pytest.approx(2 * 1.959964 * (b - a).std(ddof=1), rel=1e-6)
    assert 0.9 < found["lin"]["low"] < found["lin"]["coefficient"] < found["lin"]["high"] < 1
    assert found["passing_bablok"]["slope_low"] < 1 < found["passing_bablok"]["slope_high"]
    assert "limits of agreement" in (out / "bland-altman.svg").read_text()
    assert any("Whether that is close enough is a clinical question" in line for line in found["reading"])
    assert "Whether that is close enough" in hepatica(*columns).stdout
    by_python = measurement_agreement(path, first="scout_gy", second="therapy_gy", patient_ids="patient").as_dict()
    assert {**by_python, "provenance": None} == {**found, "provenance": None}
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
    out = tmp_path / "out"
    columns = ("diagnostic-accuracy", str(path), "--test", "spect", "--truth", "deposition")
    found = answer(*columns, "--out", str(out))
    assert "13 of 15" in (out / "accuracy.svg").read_text()
    by_python = diagnostic_accuracy(path, test="spect", truth="deposition").as_dict()
    assert {**by_python, "provenance": None} == {**found, "provenance": None}
    assert (out / "accuracy.csv").read_text().splitlines()[1].startswith("sensitivity,13,15,0.8666666666666667,0.595")
    assert found["sensitivity"]["low"] == pytest.approx(0.5954, abs=5e-5)
    assert found["sensitivity"]["high"] == pytest.approx(0.9834, abs=5e-5)
    assert found["accuracy"]["value"] == pytest.approx(91 / 95)
    assert any("15 rows with deposition" in text for text in message_texts(found))
    done = hepatica(*columns)
    assert "87 % (13 of 15; 95 % interval 60 to 98 %)" in done.stdout
    path.write_text("spect,deposition\n1,0\n0,0\n")
    done = hepatica(*columns)
    assert "no row with deposition: sensitivity cannot be judged" in done.stderr
    assert "finds" not in done.stdout
    path.write_text("patient,spect,deposition\nA,1,1\nA,maybe,0\n")
    done = hepatica(*columns, "--patient-ids", "patient")
    assert "row 3, column 'spect': 'maybe' is not yes or no" in done.stderr
    assert "row 3, column 'patient': 'A' is already in row 2" in done.stderr
