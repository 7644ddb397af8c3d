"""A made export of 22 series: every one placed right, or asked for; none wrong in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from heap_makers import EXPECTED, TREATED_AT, heap
from hepatica.case.case import Case
from hepatica.case.catalogue import Item


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return heap(tmp_path_factory.mktemp("export") / "pacs")


def sorted_case(folder: Path, export: Path, **facts: str) -> dict[str, Item]:
    case = Case.new(folder)
    if facts:
        case.set(**{f"treatment.{key}": value for key, value in facts.items()})
    case.add(export, reference=True)
    return {item.description: item for item in case.situation().catalogue}


def test_every_series_is_placed_and_nothing_is_in_doubt(export: Path, tmp_path: Path) -> None:
    found = sorted_case(tmp_path / "case", export, agent="glass", at=TREATED_AT)
    assert {name: item.role for name, item in found.items()} == EXPECTED
    assert {name: item.doubts for name, item in found.items() if item.doubts} == {}


def test_without_the_treatment_what_needs_its_date_is_asked_for(export: Path, tmp_path: Path) -> None:
    found = sorted_case(tmp_path / "case", export)
    wrong = {name for name, item in found.items() if item.role != EXPECTED[name]}
    assert wrong <= {name for name, item in found.items() if item.doubts}


def test_another_nuclide_than_the_treatments_is_asked_for(export: Path, tmp_path: Path) -> None:
    found = sorted_case(tmp_path / "case", export, agent="QuiremSpheres", at=TREATED_AT)
    assert "but treatment 1 is with Ho-166" in "; ".join(found["PET AC"].doubts)


def test_a_comparison_sees_a_series_that_is_wrong(export: Path, tmp_path: Path) -> None:
    """The check itself: a treatment a year earlier makes the scout one after it, and that is said."""
    found = sorted_case(tmp_path / "case", export, agent="glass", at="2025-03-02T10:00+01:00")
    wrong = {name for name, item in found.items() if (item.role, item.treatment) != (EXPECTED[name], 1)}
    assert "PET AC" not in {name for name in wrong if not found[name].doubts and found[name].role == "therapy-pet"}
    assert "days after the treatment" in "; ".join(found["PET AC"].doubts)
