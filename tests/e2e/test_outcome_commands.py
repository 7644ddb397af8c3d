"""The commands of safety and of the next treatment, run as a user runs them."""

from pathlib import Path

import numpy as np
import pytest

from command_line import answer, hepatica


def test_adaptive(tmp_path: Path) -> None:
    path, figure = tmp_path / "course.csv", tmp_path / "next.svg"
    path.write_text(
        "date,territory,nuclide,normal_gy,lung_gy\n2026-01-05,right,Y-90,30,12\n2026-02-05,left,Y-90,25,8\n"
    )
    asked = (
        "adaptive", str(path), "--next", "2026-06-05T10:00", "--normal-gy-per-gbq", "15", "--tumour-gy-per-gbq", "60",
        "--lung-gy-per-gbq", "2", "--tolerance", "93 Gy", "--agent", "resin",
    )  # fmt: skip
    out = tmp_path / "options.csv"
    found = answer(
        *asked, "--territory", "right", "--figure", str(figure), "--bilirubin-mg-dl", "2.5", "--out", str(out)
    )
    assert out.read_text().startswith(
        "activity_gbq,tumour_gy,normal_gy,lung_gy,normal_bed_of_all_gy,within,probability_"
    )
    # Months apart the BEDs add up: D (1 + k D) = 93 - BED(30 Gy), k = G / (2.5 Gy); the left lobe counts for the lungs.
    k = 2.5 / (2.5 + 64.05) / 2.5
    left = 93.0 - 30 * (1 + 30 * k)
    assert found["remaining_bed_gy"] == pytest.approx(left, abs=1e-3)
    assert found["normal_dose_gy"] == pytest.approx((np.sqrt(1 + 4 * k * left) - 1) / (2 * k), abs=1e-3)
    assert found["lung_dose_so_far_gy"] == 20
    assert found["lung_dose_gy"] == 30
    assert found["days_since_last"] == pytest.approx(120.4, abs=0.1)
    assert found["activity_gbq"] == pytest.approx(found["normal_dose_gy"] / 15)
    within = [o["within"] for o in found["options"]]
    assert (within[0], within[-1]) == (True, False)
    ntcp = [o["ntcp"][0]["probability"] for o in found["options"]]
    assert ntcp == sorted(ntcp)
    assert found["cautions"] == ["bilirubin 2.5 mg/dL is above 2 mg/dL"]
    assert "tolerance (BED)" in figure.read_text()
    done = hepatica(*asked, "--territory", "right", "--activity", "1 GBq")
    assert "limited by normal liver" in done.stdout
    done = hepatica(*asked)
    assert (done.returncode, done.stdout) == (2, "")
    assert "has territories left, right; name one with --territory" in done.stderr


def test_adaptive_names_every_bad_cell(tmp_path: Path) -> None:
    path = tmp_path / "course.csv"
    path.write_text("date,half_life_h,normal_gy,lung_gy\n2026-07-05,64,30,\n2026-01-05,0,-3,12\n")
    asked = (
        "adaptive", str(path), "--next", "2026-06-05T10:00", "--normal-gy-per-gbq", "15", "--tumour-gy-per-gbq", "60",
        "--lung-gy-per-gbq", "2", "--tolerance", "93 Gy",
    )  # fmt: skip
    done = hepatica(*asked)
    assert done.returncode == 2
    for text in (
        "row 2, column 'date': 2026-07-05 is not before the next treatment",
        "row 2, column 'lung_gy': is empty",
        "row 3, column 'half_life_h': 0 is not positive",
        "row 3, column 'normal_gy': -3 is below 0",
    ):
        assert text in done.stderr
    path.write_text("date,nuclide,normal_gy,lung_gy\n2026-01-05,Y-91,30,12\n")
    assert "row 2, column 'nuclide': unknown nuclide 'Y-91'" in hepatica(*asked).stderr
    path.write_text("date,nuclide,normal_gy,lung_gy\n2026-01-05,Y-90,90,12\n")
    found = answer(*asked)
    assert found["activity_gbq"] == 0
    assert not found["options"][0]["within"]
    assert "nothing is left" in found["reading"][0]


def test_the_planner_reads_what_earlier_treatments_leave(tmp_path: Path) -> None:
    course = tmp_path / "course.csv"
    course.write_text(
        "date,territory,nuclide,normal_gy,lung_gy\n2026-01-05,right,Y-90,35,12\n2026-02-05,left,Y-90,25,8\n"
    )
    done = hepatica(
        "adaptive", str(course), "--next", "2026-06-05T10:00", "--normal-gy-per-gbq", "15", "--tumour-gy-per-gbq", "60",
        "--lung-gy-per-gbq", "2", "--tolerance", "93 Gy", "--agent", "resin", "--territory", "right", "--json",
    )  # fmt: skip
    (tmp_path / "next.json").write_text(done.stdout)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[plan]\nagent = "resin"\n[aims]\nnormal_limit = "40 Gy"\n[lungs]\nshunt = "5 %"\n'
        '[course]\nadaptive = ["next.json"]\n'
        '[[territory]]\nname = "right"\nnormal_mass = "0.9 kg"\n'
        '[[territory.lesion]]\nname = "segment 8"\nmass = "120 g"\ntn = 4.0\n'
    )
    assert "53.41 of 93 Gy" in " ".join(hepatica("plan", str(plan)).stdout.split())
