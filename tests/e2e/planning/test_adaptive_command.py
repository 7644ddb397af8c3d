"""``hepatica adaptive`` as a user runs it, and what the planner reads of it."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import answer, hepatica
from hepatica.errors import EvidenceError, InputError
from hepatica.outcome.adaptive import NextTreatment, PastTreatment, PatientStatus
from hepatica.workflow.planning.adaptive import remaining_tolerance

COMING = (
    "--next-at", "2026-06-05T10:00", "--normal-dose", "15 Gy/GBq", "--tumour-dose", "60 Gy/GBq", "--lung-dose",
    "2 Gy/GBq", "--tolerance-bed", "93 Gy",
)  # fmt: skip


def coming(**more: Any) -> NextTreatment:
    doses = {"normal_dose_gy_per_gbq": 15.0, "tumour_dose_gy_per_gbq": 60.0, "lung_dose_gy_per_gbq": 2.0}
    return NextTreatment(**{"next_at": datetime(2026, 6, 5, 10), "agent": "resin", **doses, **more})


@pytest.fixture
def course(tmp_path: Path) -> Path:
    path = tmp_path / "course.csv"
    path.write_text(
        "date,territory,nuclide,normal_gy,lung_gy\n2026-01-05,right,Y-90,30,12\n2026-02-05,left,Y-90,25,8\n"
    )
    return path


def test_numbers_and_files(course: Path, tmp_path: Path) -> None:
    asked = ("adaptive", course, *COMING, "--agent", "resin", "--indication", "HCC")
    out = tmp_path / "next"
    found = answer(*asked, "--territory", "right", "--bilirubin", "2.5 mg/dL", "--out", out)
    assert (out / "activities.csv").read_text().startswith('GBq,"tumour, Gy","normal, Gy",')
    # Months apart the BEDs add up: D (1 + k D) = 93 - BED(30 Gy), k = G / (2.5 Gy); the left lobe counts for the lungs.
    k = 2.5 / (2.5 + 64.05) / 2.5
    left = 93.0 - 30 * (1 + 30 * k)
    assert found["remaining_bed_gy"] == pytest.approx(left, abs=1e-3)
    assert found["normal_dose_gy"] == pytest.approx((np.sqrt(1 + 4 * k * left) - 1) / (2 * k), abs=1e-3)
    assert found["lung_dose_so_far_gy"] == 20
    assert found["lung_dose_gy"] == 30
    assert found["days_since_last"] == pytest.approx(120.4, abs=0.1)
    assert found["activity_gbq"] == pytest.approx(found["normal_dose_gy"] / 15)
    within = [a["within"] for a in found["activities"]]
    assert (within[0], within[-1]) == (True, False)
    ntcp = [a["ntcp"][0]["probability"] for a in found["activities"]]
    assert ntcp == sorted(ntcp)
    assert found["for_plan"]["cautions"] == ["bilirubin 2.5 mg/dL is above 2 mg/dL"]
    assert "bilirubin-high" in [message["code"] for message in found["messages"]]
    (folded,) = [m["text"] for m in found["messages"] if m["code"] == "models-of-other-diseases"]
    assert "eanm-2022-resin-mcrc" in folded
    assert "garin-review-resin" in json.dumps(found["activities"][0]["tcp"])
    assert "tolerance (BED)" in (out / "next.svg").read_text()
    result = remaining_tolerance(
        course,
        coming=coming(),
        tolerance_bed_gy=93.0,
        territory="right",
        status=PatientStatus(bilirubin_mg_dl=2.5, indication="HCC"),
    )
    document = json.loads(json.dumps(result.as_dict()))
    assert {k: v for k, v in document.items() if k != "provenance"} == {
        k: v for k, v in found.items() if k != "provenance"
    }
    done = hepatica(*asked, "--territory", "right", "--planned", "1 GBq")
    assert "limited by normal liver" in done.stdout
    done = hepatica(*asked)
    assert (done.returncode, done.stdout) == (2, "")
    assert "territories left, right; name one (--territory)" in done.stderr
    bare = [word.replace("15 Gy/GBq", "15") for word in COMING]
    assert "--normal-dose: '15' has no unit" in hepatica("adaptive", course, *bare).stderr


def test_treatments_are_as_good_as_a_table(course: Path) -> None:
    half_life = 64.05
    past = [
        PastTreatment(datetime(2026, 1, 5), 30.0, 12.0, half_life, "right"),
        PastTreatment(datetime(2026, 2, 5), 25.0, 8.0, half_life, "left"),
    ]
    by_value = remaining_tolerance(past, coming=coming(), tolerance_bed_gy=93.0, territory="right")
    by_file = remaining_tolerance(course, coming=coming(), tolerance_bed_gy=93.0, territory="right")
    assert by_value.prospect.remaining.normal_dose_gy == pytest.approx(
        by_file.prospect.remaining.normal_dose_gy, rel=1e-4
    )
    assert by_value.prospect.treatments == 2
    elsewhere = remaining_tolerance(past, coming=coming(), tolerance_bed_gy=93.0, territory="caudate")
    assert elsewhere.prospect.remaining.delivered_bed_gy == 0
    assert "territory-not-treated" in [message.code for message in elsewhere.messages]
    unnamed = [PastTreatment(datetime(2026, 1, 5), 30.0, 12.0, half_life)]
    with pytest.raises(InputError, match="state no territory"):
        remaining_tolerance(unnamed, coming=coming(), tolerance_bed_gy=93.0, territory="right")


def test_every_bad_cell_is_named(tmp_path: Path) -> None:
    path = tmp_path / "course.csv"
    path.write_text("date,half_life_h,normal_gy,lung_gy\n2026-07-05,64,30,\n2026-01-05,0,-3,12\n")
    done = hepatica("adaptive", path, *COMING)
    assert done.returncode == 2
    for text in (
        "row 2, column 'date': 2026-07-05 is not before the next treatment",
        "row 2, column 'lung_gy': is empty",
        "row 3, column 'half_life_h': 0 is not positive",
        "row 3, column 'normal_gy': -3 is below 0",
    ):
        assert text in done.stderr
    path.write_text("date,nuclide,normal_gy,lung_gy\n2026-01-05,Y-91,30,12\n")
    with pytest.raises(InputError, match="row 2, column 'nuclide': unknown nuclide 'Y-91'"):
        remaining_tolerance(path, coming=coming(), tolerance_bed_gy=93.0)
    path.write_text("date,nuclide,normal_gy,lung_gy\n2026-01-05,Y-90,90,12\n")
    found = remaining_tolerance(path, coming=coming(agent=""), tolerance_bed_gy=93.0)
    assert found.prospect.remaining.activity_gbq == 0
    assert not found.prospect.activities[0].within
    assert "nothing is left" in found.prospect.remaining.reading
    harmless = coming(normal_dose_gy_per_gbq=0.0, lung_dose_gy_per_gbq=0.0)
    with pytest.raises(EvidenceError, match="`planned_gbq`"):
        remaining_tolerance(path, coming=harmless, tolerance_bed_gy=93.0)
    with pytest.raises(InputError, match="did you mean `next_at`"):
        coming(nextat=datetime(2026, 6, 5, 10))
    with pytest.raises(InputError, match="`child_pugh_points` must be"):
        PatientStatus(child_pugh_points=3)


def test_the_planner_reads_what_earlier_treatments_leave(tmp_path: Path) -> None:
    course = tmp_path / "course.csv"
    course.write_text(
        "date,territory,nuclide,normal_gy,lung_gy\n2026-01-05,right,Y-90,35,12\n2026-02-05,left,Y-90,25,8\n"
    )
    done = hepatica("adaptive", course, *COMING, "--agent", "resin", "--territory", "right", "--json")
    (tmp_path / "next.json").write_text(done.stdout)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[plan]\nagent = "resin"\n[aims]\nnormal_limit = "40 Gy"\n[lungs]\nlung_shunt = "5 %"\n'
        '[course]\nremaining_tolerance = ["next.json"]\n'
        '[[territory]]\nname = "right"\nnormal_mass = "0.9 kg"\n'
        '[[territory.lesion]]\nname = "segment 8"\nmass = "120 g"\ntumour_to_normal = 4.0\n'
    )
    assert "(53.41 of 93 Gy BED used)" in hepatica("plan", plan, "--json").stdout
