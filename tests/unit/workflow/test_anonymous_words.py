"""What a person types may be a name: it is taken out of results that no image belongs to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

import hepatica
from identifying import found_in
from marked_patient import instant, numbers


def test_a_name_in_the_title_of_a_plan_is_looked_for_in_its_territories(tmp_path: Path) -> None:
    plan = (Path(__file__).parents[3] / "docs" / "examples" / "plan.toml").read_text()
    plan = plan.replace('title = "right lobe, HCC"', 'title = "Quastenflosser, right lobe, HCC"')
    plan = plan.replace('name = "segment 6"', 'name = "segment 6 of quastenflosser"')
    (tmp_path / "plan.toml").write_text(plan)
    result = hepatica.plan(tmp_path / "plan.toml")
    plain, saved = result.save(tmp_path / "plain"), result.save(tmp_path / "saved", anonymous=True)
    assert set(found_in(plain, {"quastenflosser"}))
    assert found_in(saved, {"quastenflosser"}) == {}
    assert "right" in (saved / "result.json").read_text()


def test_a_number_given_for_its_dates_stands_nowhere(tmp_path: Path) -> None:
    options = {
        "administered_at": instant(10),
        "sheet": hepatica.SheetOptions(patient="Doe", hospital="", language="en"),
    }
    result = hepatica.release("I-131", 2.2, agent="lipiodol", **options)
    result = replace(result, provenance=result.provenance.adding("for MRN55123"))
    assert found_in(result.anonymous(patient="MRN55123").save(tmp_path / "saved"), {"MRN55123", "Doe"}) == {}


@pytest.mark.parametrize("offset", ["-04:00", "+02:00"])
def test_an_order_does_not_tell_the_season(offset: str) -> None:
    ordered = hepatica.order_vial("glass", 2.4, administered_at=datetime.fromisoformat(f"2026-07-14T10:00{offset}"))
    anonymous = ordered.anonymous()
    text = str(anonymous) + json.dumps(anonymous.as_dict())
    for told in ("-04:00", "-0400", "+02:00", "+0200"):
        assert told not in text
    assert numbers(anonymous.as_dict()) == numbers(ordered.as_dict())
