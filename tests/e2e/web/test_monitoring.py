"""The monitoring view: what the monitor writes is shown with its interval, and nothing old as if it were now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

LIVE: dict[str, Any] = {
    "schema": 1,
    "state": "running",
    "source": "replay of frames",
    "agent": "glass",
    "elapsed_s": 75.0,
    "watching": "watching",
    "notes": [],
    "silent_s": 0.0,
    "is_measured": True,
    "not_measured": [],
    "delivered_mbq": {"value": 820.0, "low": 760.0, "high": 880.0},
    "planned_mbq": 1500.0,
    "regions": [
        {"name": "right lobe", "kind": "target", "mbq": 790.0, "low": 730.0, "high": 850.0, "limit_mbq": 1600.0},
        {"name": "stomach", "kind": "organ", "mbq": 9.0, "low": 6.0, "high": 12.0, "limit_mbq": 5.0},
        {"name": "lungs", "kind": "organ", "mbq": 21.0, "low": 14.0, "high": 28.0, "limit_mbq": 25.0},
        {"name": "left lobe", "kind": "organ", "mbq": 3.0, "low": None, "high": None, "limit_mbq": None},
        {
            "name": "gallbladder",
            "kind": "organ",
            "mbq": 5.8,
            "low": 5.0,
            "high": 6.6,
            "limit_mbq": 9.5,
            "held": {"mbq": 10.9, "low": 10.1, "high": 11.7},
        },
    ],
    "alarms": [
        {
            "time_s": 62.0,
            "kind": "extrahepatic",
            "severity": "critical",
            "sentence": "activity arrives in the stomach",
            "certainty": 0.98,
            "ifu": "stop the injection and look at the catheter",
        }
    ],
    "frames": {"seen": 75, "lost": 1, "doubled": 0, "out_of_order": 0},
    "curve": {"time_s": [0, 30, 75], "delivered_mbq": [0, 350, 820], "low": [0, 300, 760], "high": [5, 400, 880]},
}


@pytest.fixture
def live(cases: Path) -> Iterator[Any]:
    """Writes the file of the monitor, as old as it is asked to be."""
    place = cases / "oblique" / "monitoring"
    place.mkdir()

    def write(age_s: float = 0.0, **changes: Any) -> None:
        at = datetime.now(UTC) - timedelta(seconds=age_s)
        (place / "new").write_text(json.dumps(LIVE | {"updated": at.isoformat()} | changes))
        (place / "new").replace(place / "live.json")

    yield write
    for path in place.iterdir():
        path.unlink()
    place.rmdir()


def test_delivered_stands_against_planned_and_old_words_are_called_lost(seen: Any, live: Any, cases: Path) -> None:
    page = seen.open("oblique", "monitoring")
    page.get_by_text("Nothing is monitored in this case").wait_for()
    live(-3600)  # a clock that is ahead: the file itself is new
    page.locator('html[data-monitoring="running"]').wait_for(state="attached")
    assert "820 MBq (760 to 880) of 1500 MBq planned" in page.inner_text("main")
    rows = {row.split("\t")[0]: row for row in page.inner_text('[aria-label="By region"]').splitlines() if "\t" in row}
    assert rows["stomach"].endswith("above")
    assert rows["lungs"].endswith("may be above")
    assert rows["right lobe"].endswith("below")
    assert "uncertainty not known" in rows["left lobe"]
    assert "above by 10.9 MBq" in rows["gallbladder"]  # the limit is of the whole, not of the second part alone
    assert "with what was there before" in rows["gallbladder"]
    alarms = page.inner_text('[aria-label="Alarms"]')
    assert "activity arrives in the stomach" in alarms
    assert "stop the injection and look at the catheter" in alarms
    assert page.get_by_text("Research and replay only").is_visible()
    live(watching="rehearsing", delivered_mbq=None, is_measured=False, not_measured=["no frame has come"])
    page.locator("main").get_by_text("REHEARSING. Nothing is judged yet").wait_for()
    assert "Running" not in page.inner_text("main")
    live(5.5)
    page.locator('html[data-monitoring="lost"]').wait_for(state="attached")
    assert "CONNECTION LOST" in page.inner_text("main")
    live()
    page.locator('html[data-monitoring="running"]').wait_for(state="attached")
    page.route("**/monitoring", lambda route: route.abort())  # the server is gone: the page says so by itself
    page.locator('html[data-monitoring="lost"]').wait_for(state="attached")
    page.unroute("**/monitoring")
    live(state="lost")
    page.locator('[aria-label="Delivered against planned"]').filter(has_text="Last estimate, not measured").wait_for()
    assert "Watched: glass" in page.inner_text('[aria-label="Delivered against planned"]')
    page.get_by_role("alert").filter(has_text="CONNECTION LOST").wait_for()
    live()
    page.locator('html[data-watch="note"]').wait_for(state="attached")
    assert not page.locator(".monitor.old").count()
    why = ["the last frames are missing"]
    live(watching="blind", notes=["no data for 18 s"], silent_s=18.4, is_measured=False, not_measured=why)
    page.get_by_role("alert").filter(has_text="BLIND").filter(has_text="no data for 18 s").wait_for()
    assert page.locator(".monitor.old").count() == 1
    assert "Running" not in page.inner_text("main")
    assert "not measured" in page.inner_text('[aria-label="Delivered against planned"]')
    live(state="ended", age_s=4000, is_measured=False, not_measured=why)
    page.get_by_role("alert").filter(has_text="NOT MEASURED").filter(has_text=why[0]).wait_for()
    assert "estimate" in page.inner_text('[aria-label="By region"]')
    (cases / "oblique" / "monitoring" / "live.json").unlink()
    page.get_by_role("alert").filter(has_text="not there any more").wait_for()
    assert page.locator(".monitor.old").is_visible()
    live(state="ended", age_s=4000)
    page.locator('html[data-monitoring="ended"]').wait_for(state="attached")
    assert "Ended after 1 min 15 s" in page.inner_text("main")


@pytest.mark.parametrize(
    ("changes", "severity", "is_current"),
    [
        ({}, "note", True),
        ({"watching": "degraded", "notes": ["the meter is silent"]}, "warning", True),
        ({"watching": "blind", "notes": ["no data for 18 s"], "silent_s": 18.4}, "critical", False),
        ({"watching": "degraded", "silent_s": 9.0}, "critical", False),  # renewed each second, but nothing comes
        ({"watching": None}, "critical", False),
        ({"silent_s": None}, "critical", False),
        ({"watching": "waiting", "silent_s": 60.0}, "note", True),
        ({"watching": "rehearsing", "silent_s": 0.0}, "warning", True),
    ],
)
def test_a_watch_that_does_not_see_is_said_although_its_file_is_new(
    bench: Any, live: Any, changes: dict[str, Any], severity: str, is_current: bool
) -> None:
    live(**changes)
    found = bench.json("GET", f"/api/cases/{bench.key('oblique')}/monitoring")
    assert found["connection"] == "running"
    assert (found["watch"]["severity"], found["watch"]["is_current"]) == (severity, is_current)
    assert set(changes.get("notes", ())) <= set(found["watch"]["why"])
    assert bool(found["watch"]["title"]) == (severity != "note" or "watching" in changes)


def test_an_estimate_is_no_measured_value(bench: Any, live: Any) -> None:
    for changes, expected in (({}, True), ({"is_measured": False}, False), ({"is_measured": None}, False)):
        live(state="ended", age_s=4000, **changes)
        watch = bench.json("GET", f"/api/cases/{bench.key('oblique')}/monitoring")["watch"]
        assert watch["is_measured"] is expected
        assert bool(watch["not_measured"]) is not expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"delivered_mbq": {"value": 1600.0, "low": 1700.0, "high": 1500.0}}, "from 1700 to 1500"),
        ({"alarms": [LIVE["alarms"][0] | {"certainty": 1.7}]}, "170 %"),
        ({"planned_mbq": -5.0}, "-5 MBq"),
    ],
)
def test_what_no_monitor_can_mean_is_not_shown(bench: Any, live: Any, changes: dict[str, Any], said: str) -> None:
    live(**changes)
    found = bench.json("GET", f"/api/cases/{bench.key('oblique')}/monitoring")
    assert (found["live"], found["connection"]) == (None, "lost")
    assert said in found["error"]


def test_another_agent_or_activity_than_the_case_has_is_said(bench: Any, cases: Path) -> None:
    """The course is of glass, and its plan is in its folder."""
    key, place = bench.key("course"), cases / "course" / "monitoring"
    planned = json.loads((cases / "course" / "steps" / "plan" / "result.json").read_text())["planned_gbq"] * 1000
    place.mkdir()
    try:
        for agent, mbq, count in (("glass", planned, 0), ("resin", planned, 1), ("glass", 0.8 * planned, 1)):
            now = {"updated": datetime.now(UTC).isoformat(), "agent": agent, "planned_mbq": mbq}
            (place / "live.json").write_text(json.dumps(LIVE | now))
            found = bench.json("GET", f"/api/cases/{key}/monitoring")
            assert len(found["watch"]["contradicts"]) == count, (agent, mbq)
    finally:
        (place / "live.json").unlink()
        place.rmdir()


@pytest.mark.parametrize("content", ["{", '{"schema": 2}', '{"schema": 1, "state": "fine", "updated": "now"}', "[]"])
def test_a_file_that_cannot_be_read_is_a_lost_connection(bench: Any, live: Any, cases: Path, content: str) -> None:
    (cases / "oblique" / "monitoring" / "live.json").write_text(content)
    found = bench.json("GET", f"/api/cases/{bench.key('oblique')}/monitoring")
    assert (found["live"], found["connection"]) == (None, "lost")
    assert found["error"]


def test_a_link_out_of_the_case_is_not_followed(bench: Any, live: Any, cases: Path, tmp_path: Path) -> None:
    (tmp_path / "live.json").write_text(json.dumps(LIVE))
    (cases / "oblique" / "monitoring" / "live.json").symlink_to(tmp_path / "live.json")
    status, _, _ = bench.answer("GET", f"/api/cases/{bench.key('oblique')}/monitoring")
    assert status == 422
