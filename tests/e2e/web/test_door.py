"""What cannot be is refused at the door, what was left out is said, and what is odd is seen before it is kept."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hepatica import Case
from web_seen import ct_of, until

LABS = ["patient", "date", "bilirubin_mg_dl", "albumin_g_dl"]
SIZES = ["patient", "lesion", "date", "diameter_mm", "viable_mm"]


def refused(bench: Any, path: str, body: Any) -> str:
    """What a request is refused with."""
    status, content, _ = bench.answer("POST", path, body)
    assert status == 422, content
    return str(json.loads(content)["error"])


def test_a_table_that_its_step_refuses_does_not_take_the_place_of_a_good_one(bench: Any, copied: str) -> None:
    place = f"/api/cases/{copied}/tables"
    good = {"heads": LABS, "rows": [["OBLIQUE", "2026-03-01", "0.9", "4.0"]]}
    kept = bench.json("POST", f"{place}/labs", good)["items"]
    for row, said in (
        (
            ["OBLIQUE", "2026-03-02", "zero point nine", "4.0"],
            "row 1, column 'bilirubin_mg_dl': 'zero point",
        ),
        (["OBLIQUE", "2026-02-30", "0.9", "4.0"], "not a date"),
        (["OBLIQUE", "2126-03-01", "0.9", "4.0"], "has not come yet"),
        (["OBLIQUE", "2026-03-02", "0.9", "390"], "wrong unit"),
        (["OBLIQUE", "2026-03-02", "-4", "4.0"], "-4"),
        (["SOMEONE-ELSE", "2026-03-02", "0.9", "4.0"], "a case is one patient's"),
    ):
        text = refused(bench, f"{place}/labs", {"heads": LABS, "rows": [row]})
        assert said in text
        assert "/" not in text.replace("mg/dL", "").replace("g/dL", "")  # no place on this machine
    text = refused(bench, f"{place}/labs", {"heads": [*LABS[:2], "patient", LABS[2]], "rows": good["rows"]})
    assert "there twice" in text
    for row in (["OBLIQUE", "1", "2026-03-01", "-30", "20"], ["OBLIQUE", "1", "2026-03-01", "30", "abc"]):
        refused(bench, f"{place}/measurements", {"heads": SIZES, "rows": [row]})
    catalogue = Case.open(bench.folder / "copied").situation().catalogue
    assert [item.name for item in catalogue.of("labs")] == kept
    assert not catalogue.of("measurements")


def test_an_image_is_registered_to_another_one_that_it_meets(bench: Any) -> None:
    key = bench.key("course")
    place = f"/api/cases/{key}/registrations"
    images = {one["title"][:7]: one["key"] for one in bench.json("GET", f"/api/cases/{key}/images")["images"]}
    who = {"by": "A. Physicist", "reason": "tried"}
    before = [item.name for item in Case.open(bench.folder / "course").situation().catalogue.of("registration")]
    one = {"fixed": images["Therapy"], "moving": images["Therapy"]}
    for path, more in (("begin", {}), ("keep", who | {"matrix": np.eye(4).tolist()})):
        assert "to itself" in refused(bench, f"{place}/{path}", one | more)
    far = np.eye(4)
    far[0, 3] = 1e6
    pair = {"fixed": images["Therapy"], "moving": images["Scout C"]}
    assert "no part" in refused(bench, f"{place}/keep", pair | who | {"matrix": far.tolist()})
    catalogue = Case.open(bench.folder / "course").situation().catalogue
    assert [item.name for item in catalogue.of("registration")] == before


def test_what_speaks_against_a_registration_stands_beside_it(seen: Any) -> None:
    page = seen.open("course", "registration")
    odd = page.get_by_text("no patient lies so")
    assert odd.count() == 0
    page.get_by_label("turn about head-foot, °, as a number").fill("170")
    page.get_by_label("turn about head-foot, °, as a number").press("Tab")
    odd.wait_for()
    page.get_by_role("button", name="Take the nudge back").click()
    odd.wait_for(state="detached")
    page.evaluate(
        """() => { workbench.landmarks = [[0, 0, 0], [50, 0, 0], [0, 50, 0]].map((fixed, n) => ({ name: String(n),
        fixed, moving: fixed.map((part) => part + 40 * (n === 0)) })); workbench.draw() }"""
    )
    page.get_by_text("The landmarks are off by up to").wait_for()
    page.get_by_role("button", name="Keep this registration").click()
    assert "are they the same tissue" in page.locator("dialog").inner_text()
    page.keyboard.press("Escape")
    page.get_by_label("Is laid over it").select_option(page.evaluate("workbench.pair.fixed"))
    page.get_by_text("an image needs no registration to itself").wait_for()
    assert page.get_by_role("button", name="Keep this registration").is_disabled()


def test_slices_in_between_in_every_kind_of_plane_and_what_is_left_out(bench: Any, copied: str) -> None:
    """Discs of 15 mm in patient planes of the oblique CT, 42 mm apart; tolerance as in the unit test of the shape."""
    place = f"/api/cases/{copied}/drawing"
    bench.json("POST", place, {"on": ct_of(bench, copied)})
    for name, normal in (("axial", [0, 0, 1]), ("sagittal", [1, 0, 0])):
        bench.json("POST", f"{place}/new", {"name": name})
        for far in (-20.0, 22.0):
            point = (np.array([5.0, 2.0, 12.0]) + far * np.array(normal)).tolist()
            stroke = {"name": name, "kind": "brush", "points": [point], "radius_mm": 15, "normal": normal}
            bench.json("POST", f"{place}/stroke", stroke)
        other = [normal[1], normal[2], normal[0]]
        assert "no slice lies" in refused(bench, f"{place}/shape", {"name": name, "how": "between", "normal": other})
        found = bench.json("POST", f"{place}/shape", {"name": name, "how": "between", "normal": normal})
        volume = next(one["volume_ml"] for one in found["structures"] if one["name"] == name)
        thick = 4.2 if name == "axial" else 2.5
        assert volume == pytest.approx(np.pi * 15**2 * (42 + thick) / 1000, rel=0.05)
    bench.json("POST", f"{place}/new", {"name": "nothing"})
    saved = bench.json("POST", f"{place}/save", {"by": "A. Physicist", "reason": "tried"})
    assert saved["left_out"] == ["nothing"]


def test_guardrails_that_are_not_judged_stand_on_the_page_of_the_plan(seen: Any, bench: Any) -> None:
    place = f"/api/cases/{bench.key('course')}/plans/1"
    opened = bench.json("GET", place)
    codes = {one["code"] for one in opened["plan"]["messages"]}
    assert {"guardrails-not-evaluated", "patient-not-evaluated"} <= codes
    wide = bench.json("POST", place, {"edits": {"uncertainty.lung_shunt": "60 %", "lungs.lung_shunt": "7 %"}})
    assert "shunt-uncertainty-large" in {one["code"] for one in wide["plan"]["messages"]}
    page = seen.open("course", "plan")
    text = page.inner_text("main")
    assert "lack a fact and are NOT judged" in text
    assert "pregnant" in text
    limits = page.get_by_role("table", name="Limits").inner_text()
    assert " Gy" in limits
    margin = page.locator('[data-name="margin"]')
    for value in ("-5", "500"):
        margin.fill(value)
        margin.press("Tab")
        page.get_by_text(f"between 0 and 50 mm, not {value}").wait_for()


def test_bands_levels_and_windows_are_seen_as_they_are(new_seen: Any) -> None:
    page = new_seen().open("course", "histograms")
    until(page, "workbench.plot")
    reach = page.evaluate(
        """() => { const curves = workbench.curves().filter(({ curve }) => curve.relative_sd)
        const last = ({ curve }) => curve.dose_gy.at(-1) * (1 + curve.relative_sd)
        return [curves.length, workbench.plot.scales.x.max - Math.max(0, ...curves.map(last))] }"""
    )
    assert reach[0] > 0
    assert reach[1] >= -1e-9
    page = new_seen().open("oblique", "viewer")
    until(page, "workbench.stages[0].doses.length")
    colours = page.evaluate(
        "[1, 2, 5, 10, 20, 50, 100, 205, 400].map((one) => workbench.stages[0].doses[0].colourOf(one))"
    )
    assert len(set(colours)) == 9
    page.locator('[data-name="window-0-0"]').fill("900")
    page.locator('[data-name="window-0-0"]').press("Tab")
    page.get_by_text("INVERTED: high values are dark").wait_for()
    assert "INVERTED" in page.evaluate("workbench.description()")
    page.locator('[data-name="range-0-1"]').fill("1")
    page.locator('[data-name="range-0-1"]').press("Tab")
    page.get_by_text("colours run from a lower value to a higher one").wait_for()
    assert float(page.locator('[data-name="range-0-1"]').input_value()) > 1
    page.set_viewport_size({"width": 768, "height": 900})
    assert page.get_by_text("Research software, not a medical device").is_visible()
