"""Response criteria and liver scores: thresholds exactly at, just above and just below."""

import math
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pytest

from hepatica.core import Grid, Region
from hepatica.errors import EvidenceError, InputError, UnknownNameError
from hepatica.outcome.liver_scores import albi, bclc, child_pugh, ctcae_albumin, ctcae_grade, ctcae_inr, meld, reild
from hepatica.outcome.response.criteria import (
    Response,
    Visit,
    best_response,
    change_response,
    choi_response,
    overall_response,
    rule,
)
from hepatica.outcome.response.lesions import lesion_size
from hepatica.outcome.response.segmentations import compare_segmentations, patient_responses
from hepatica.outcome.response.volumes import future_remnant, retained_share, volume_change


@pytest.mark.parametrize(
    ("criterion", "baseline", "nadir", "now", "expected"),
    [
        # RECIST 1.1: -30 % of the sum; +20 % and 5 mm over the nadir.
        ("recist", [60, 40], 100, [42, 28], "PR"),
        ("recist", [60, 40], 100, [42, 28.1], "SD"),
        ("recist", [60, 40], 50, [30, 30], "PD"),
        ("recist", [60, 40], 50, [30, 29.9], "PR"),
        ("recist", [20], 20, [24.9], "SD"),
        ("recist", [20], 20, [25], "PD"),
        ("recist", [20], 15, [18.5], "SD"),
        ("recist", [20], 0, [3], "PD"),
        ("recist", [60, 40], 100, [0, 0], "CR"),
        # mRECIST on the viable part: no 5 mm rule.
        ("mrecist", [20], 15, [18], "PD"),
        ("mrecist", [50], 50, [35], "PR"),
        # EASL: half of the sum of areas; one lesion 25 % larger is progression.
        ("easl", [400, 600], 1000, [300, 200], "PR"),
        ("easl", [400, 600], 1000, [500, 0], "PD"),
        ("easl", [400, 600], 1000, [300, 300], "SD"),
        # qEASL: 65.7 % less volume, 72.8 % more.
        ("qeasl", [100], 100, [34.3], "PR"),
        ("qeasl", [100], 100, [34.4], "SD"),
        ("qeasl", [100], 100, [172.8], "PD"),
        ("qeasl", [100], 100, [172.7], "SD"),
        # PERCIST: 30 % and 0.8 SUL, from baseline.
        ("percist", [5.0], 5.0, [3.5], "PR"),
        ("percist", [2.5], 2.5, [1.75], "SD"),
        ("percist", [5.0], 3.0, [5.9], "SD"),
        ("percist", [5.0], 3.0, [6.5], "PD"),
        ("eortc", [8.0], 8.0, [6.0], "PR"),
    ],
)
def test_criteria_at_their_limits(
    criterion: str, baseline: list[float], nadir: float, now: list[float], expected: str
) -> None:
    assert change_response(baseline, nadir, now, rule(criterion))[0] == expected


def test_choi() -> None:
    def choi(size: float, density: float) -> str:
        return choi_response(size_before_mm=100, size_now_mm=size, density_before_hu=80, density_now_hu=density)

    assert choi(90, 80) == "PR"
    assert choi(91, 80) == "SD"
    assert choi(105, 68) == "PR"
    assert choi(110, 80) == "PD"
    assert choi(0, 0) == "CR"


@pytest.mark.parametrize(
    ("target", "other", "new", "expected"),
    [
        ("CR", "none", False, "CR"),
        ("CR", "CR", False, "CR"),
        ("CR", "non-CR/non-PD", False, "PR"),
        ("CR", "NE", False, "PR"),
        ("PR", "non-CR/non-PD", False, "PR"),
        ("SD", "PD", False, "PD"),
        ("CR", "CR", True, "PD"),
        ("NE", "non-CR/non-PD", False, "NE"),
    ],
)
def test_overall_response(target: str, other: str, new: bool, expected: str) -> None:
    assert overall_response(Response(target), other, new) == expected


START = date(2026, 1, 1)


def visits(*pairs: tuple[int, str]) -> list[Visit]:
    return [Visit(START + timedelta(days=d), Response(r)) for d, r in pairs]


@pytest.mark.parametrize(
    ("course", "expected", "confirmed"),
    [
        ([(60, "CR"), (90, "CR")], "CR", True),
        ([(60, "CR"), (80, "CR")], "SD", False),
        ([(60, "PR"), (90, "CR")], "PR", True),
        ([(60, "PR"), (90, "SD"), (120, "PR")], "SD", False),
        ([(60, "PR"), (75, "NE"), (95, "PR")], "PR", True),
        ([(60, "CR"), (90, "PD")], "SD", False),
        ([(30, "SD"), (60, "PD")], "PD", False),
        ([(60, "SD"), (90, "PD")], "SD", False),
        ([(30, "SD")], "NE", False),
        ([(90, "PD"), (120, "CR"), (150, "CR")], "PD", False),
    ],
)
def test_best_response(course: list[tuple[int, str]], expected: str, confirmed: bool) -> None:
    found = best_response(START, visits(*course))
    assert (found.response, found.confirmed) == (expected, confirmed)


def test_best_response_without_confirmation() -> None:
    assert best_response(START, visits((60, "CR"), (90, "PD")), confirm=False).response == "CR"


def test_albi_checks() -> None:
    # Reference facts, section 5: 17.1/40 -> -2.594 grade 2; 10/42 -> -2.918 grade 1; 34/30 -> -1.545 grade 2.
    for bilirubin, albumin, score, grade in ((17.1, 40, -2.594, 2), (10, 42, -2.918, 1), (34, 30, -1.545, 2)):
        found = albi(bilirubin_umol_l=bilirubin, albumin_g_l=albumin)
        assert found[0] == pytest.approx(score, abs=5e-4)
        assert found[1] == grade
    assert albi(bilirubin_umol_l=100, albumin_g_l=25)[1] == 3


@pytest.mark.parametrize(
    ("bilirubin", "albumin", "inr", "ascites", "encephalopathy", "points", "letter"),
    [
        (1.0, 4.0, 1.1, "none", "none", 5, "A"),
        (2.0, 3.5, 1.7, "slight", "grade 1-2", 10, "C"),
        (1.99, 3.51, 1.69, "none", "none", 5, "A"),
        (3.0, 2.8, 2.3, "none", "none", 8, "B"),
        (3.01, 2.79, 2.31, "moderate", "grade 3-4", 15, "C"),
        (2.5, 4.0, 1.1, "none", "none", 6, "A"),
    ],
)
def test_child_pugh(
    bilirubin: float, albumin: float, inr: float, ascites: str, encephalopathy: str, points: int, letter: str
) -> None:
    found = child_pugh(
        bilirubin_mg_dl=bilirubin, albumin_g_dl=albumin, inr=inr, ascites=ascites, encephalopathy=encephalopathy
    )
    assert found == (points, letter)


def test_meld() -> None:
    # 3.78 ln 1.9 + 11.2 ln 1.2 + 9.57 ln 1.3 + 6.43 = 13.41; all normal is 6; sodium 130 adds 1.32 x 7 - 0.033 x 91.
    assert meld(bilirubin_mg_dl=1.9, inr=1.2, creatinine_mg_dl=1.3) == 13
    assert meld(bilirubin_mg_dl=0.5, inr=0.9, creatinine_mg_dl=0.7) == 6
    assert meld(bilirubin_mg_dl=1.9, inr=1.2, creatinine_mg_dl=1.3, sodium_mmol_l=130) == round(13 + 9.24 - 3.003)
    assert meld(bilirubin_mg_dl=50, inr=9, creatinine_mg_dl=9) == 40
    assert meld(bilirubin_mg_dl=1, inr=1, creatinine_mg_dl=1, dialysis=True) == round(9.57 * math.log(4) + 6.43)


def test_bclc() -> None:
    def stage(**changes: object) -> str:
        base: dict[str, object] = {
            "performance_status": 0,
            "child_pugh_class": "A",
            "lesions": 1,
            "largest_cm": 1.5,
            "vascular_invasion": False,
            "extrahepatic_spread": False,
        }
        return bclc(**(base | changes)).stage  # type: ignore[arg-type]

    assert stage() == "0"
    assert stage(largest_cm=8.0) == "A"
    assert stage(lesions=3, largest_cm=3.0) == "A"
    assert stage(lesions=3, largest_cm=3.1) == "B"
    assert stage(lesions=4) == "B"
    assert stage(vascular_invasion=True) == "C"
    assert stage(performance_status=1) == "C"
    assert stage(performance_status=3) == "D"
    assert stage(child_pugh_class="C") == "D"


def test_ctcae() -> None:
    # Bilirubin, upper limit 1.0: up to 1.5, 3, 10 times.
    assert [ctcae_grade("bilirubin", v, 1.0) for v in (1.0, 1.01, 1.5, 1.51, 3.0, 3.01, 10.0, 10.1)] == [
        0, 1, 1, 2, 2, 3, 3, 4,
    ]  # fmt: skip
    assert [ctcae_grade("alt", v, 40.0) for v in (40, 120, 121, 201, 801)] == [0, 1, 2, 3, 4]
    assert [ctcae_grade("alp", v, 100.0) for v in (100, 250, 251, 501)] == [0, 1, 2, 3]
    assert ctcae_grade("ast", 130.0, 40.0, baseline=80.0) == 1
    assert [ctcae_albumin(v, lower_limit_g_l=35) for v in (35, 34, 29, 19)] == [0, 1, 2, 3]
    assert [ctcae_inr(v) for v in (1.2, 1.3, 1.6, 2.6)] == [0, 1, 2, 3]


def test_reild() -> None:
    def flag(days: int = 45, bilirubin: float = 3.1, ascites: bool = True, progression: bool = False) -> bool:
        return reild(
            days_after_treatment=days, bilirubin_mg_dl=bilirubin, ascites=ascites, progression=progression
        ).suspected

    assert flag()
    assert not flag(bilirubin=3.0)
    assert not flag(ascites=False)
    assert not flag(progression=True)
    assert not flag(days=120)


def test_volumes() -> None:
    assert volume_change(100, 30, days=70).relative_per_week == pytest.approx(-0.07)
    found = future_remnant(remnant_before_ml=400, remnant_after_ml=600, liver_ml=1700, tumour_ml=200, days=42)
    assert found.degree_of_hypertrophy == pytest.approx(200 / 1500)
    assert retained_share(30, 100) == (0.3, "moderate")


def ellipsoid(grid: Grid, radii_mm: tuple[float, float, float], name: str) -> Region:
    middle = (np.array(grid.shape) - 1) / 2
    offsets = (np.moveaxis(np.indices(grid.shape), 0, -1) - middle) * grid.spacing_mm
    return Region.from_coverage(name, grid, ((offsets / radii_mm) ** 2).sum(axis=-1) <= 1)


def test_lesion_size_on_an_oblique_grid(oblique_grid: Grid) -> None:
    # Half axes 25, 18, 30 mm along i, j, k; voxels of 2.5 x 3.5 x 5 mm: diameters err by up to a voxel's diagonal
    # (4.3 mm) and the chord's tilt, volume by 3 %.
    size = lesion_size(ellipsoid(oblique_grid, (25.0, 18.0, 30.0), "a"))
    assert size.longest_mm == pytest.approx(50, abs=4.3)
    assert size.perpendicular_mm == pytest.approx(36, abs=5)
    assert size.volume_ml == pytest.approx(4 / 3 * math.pi * 25 * 18 * 30 / 1000, rel=0.03)


def test_two_segmentations(oblique_grid: Grid) -> None:
    before = [ellipsoid(oblique_grid, (25.0, 25.0, 30.0), "a"), ellipsoid(oblique_grid, (20.0, 20.0, 20.0), "b")]
    after = [ellipsoid(oblique_grid, (15.0, 15.0, 18.0), "a")]
    a, b = compare_segmentations(before, after).lesions
    assert a.responses["recist"] == "PR"
    assert a.responses["volume"] == "PR"
    assert a.relative_volume_change == pytest.approx(0.6**3 - 1, abs=0.04)
    assert b.responses["volume"] == "CR"
    later = compare_segmentations(after, before)
    assert [lesion.name for lesion in later.new] == ["b"]
    assert set(patient_responses(later.lesions, later.new).values()) == {"PD"}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: rule("mrecits"),
        lambda: change_response([1], 1, [1, 2], rule("recist")),
        lambda: choi_response(size_before_mm=0, size_now_mm=1, density_before_hu=1, density_now_hu=1),
        lambda: overall_response(Response.CR, "maybe", False),
        lambda: best_response(START, visits((-5, "CR"))),
        lambda: best_response(START, visits((5, "CR"), (5, "SD"))),
        lambda: albi(bilirubin_umol_l=10, albumin_g_l=4.0),
        lambda: child_pugh(bilirubin_mg_dl=1, albumin_g_dl=40, inr=1, ascites="none", encephalopathy="none"),
        lambda: child_pugh(bilirubin_mg_dl=1, albumin_g_dl=4, inr=1, ascites="much", encephalopathy="none"),
        lambda: meld(bilirubin_mg_dl=0, inr=1, creatinine_mg_dl=1),
        lambda: ctcae_grade("lipase", 1, 1),
        lambda: retained_share(2, 1),
        lambda: volume_change(0, 1),
        lambda: future_remnant(remnant_before_ml=900, remnant_after_ml=1, liver_ml=1000, tumour_ml=200),
    ],
)
def test_nonsense_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises((InputError, EvidenceError, UnknownNameError)):
        wrong()
