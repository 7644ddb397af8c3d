"""What people do on the page: state, run, check, plan, draw; what fails; and what a screen reader needs."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatica import Case
from hepatica.case.pictures import kept_pictures
from hepatica.errors import OutputError
from hepatica.io.dicom.structures.seg import read_seg
from hepatica.io.read import read_image
from hepatica.report.html import html_page
from hepatica.workflow.sources import as_dose
from web_makers import DOSE_MIDDLE
from web_seen import until

VIEWS = ("case", "viewer", "histograms", "plan", "structures", "registration", "monitoring", "forms", "report", "log")
AXE = "axe-core@4.14.1"


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checker of accessibility (MPL-2.0), which is not shipped: fetched where there is npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm to fetch axe-core")
    place = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        [npm, "pack", AXE, "--silent"], cwd=place, capture_output=True, text=True, check=False, timeout=60
    )
    packed = next(iter(place.glob("*.tgz")), None)
    if done.returncode or packed is None:
        pytest.skip("axe-core cannot be fetched")
    with tarfile.open(packed) as archive:
        found = archive.extractfile("package/axe.min.js")
        assert found is not None
        return found.read().decode()


FOCUSED = """() => {
  const wrong = []
  const kinds = 'a[href], button, input, select, textarea, summary, canvas[tabindex], [tabindex="0"]'
  for (const one of [...document.querySelectorAll(kinds)].filter((each) => !each.disabled && each.checkVisibility())) {
    one.focus()
    const { outlineStyle, outlineWidth } = getComputedStyle(one)
    const name = one.outerHTML.slice(0, 90)
    if (document.activeElement !== one) wrong.push(`takes no focus: ${name}`)
    else if (outlineStyle === 'none' || parseFloat(outlineWidth) < 2) wrong.push(`focus is not seen: ${name}`)
    if (one.tabIndex > 0) wrong.push(`out of its order: ${name}`)
  }
  document.activeElement.blur()
  return wrong
}"""
"""Every control takes the focus, shows that it has it, and stands in the order of the page."""


def test_every_view_can_be_used_by_keys_and_screen_readers_in_both_colours(seen: Any, axe: str) -> None:
    faults: list[Any] = []
    for view in VIEWS:
        page = seen.open("course", view)
        page.wait_for_timeout(150)
        # What is still computed is faded on purpose: its contrast is that of nothing to read yet.
        page.wait_for_function("() => !document.querySelector('[data-state=waiting], .dimmed')")
        page.evaluate(axe + ";void 0")
        for rules in ("['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']", "['cat.color']"):  # light, dark
            found = page.evaluate(f"axe.run(document, {{runOnly: {rules}, iframes: false}})")
            faults += [
                (view, one["id"], one["nodes"][0]["html"][:120], one["nodes"][0].get("failureSummary", "")[:300])
                for one in found["violations"]
                if one["impact"] in ("serious", "critical")
            ]
            assert found["passes"]
            page.locator("#theme").click()
        page.keyboard.press("Tab")
        faults += [(view, one) for one in page.evaluate(FOCUSED)]
        wide = "() => document.documentElement.scrollWidth > innerWidth"
        faults += [(view, "wider than the screen")] if page.evaluate(wide) else []
    assert not faults


def test_the_viewer_is_walked_through_by_tab_and_says_its_keys(seen: Any) -> None:
    page = seen.open("oblique", "viewer")
    page.keyboard.press("?")
    assert "the cursor is the next point of what is measured" in page.get_by_role("dialog").inner_text()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    walked = []
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
        )
        if here in walked[:1]:
            break
        walked.append(here)
    # To the content, the views, then the planes before their controls
    assert walked[0] == "To the content"
    assert (
        walked.index("Log")
        < walked.index("Use dark colours")
        < walked.index("axial plane")
        < walked.index("coronal plane")
    )
    assert walked.index("sagittal plane") < walked.index("Cursor") < walked.index("Angle") < walked.index("Download")


def test_a_case_that_cannot_be_changed_can_be_looked_at(seen: Any, bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What writes refuses with its place and reason; the head of every view says so before."""

    def locked(*args: Any, **kwargs: Any) -> Any:
        raise OutputError("course: cannot be changed (Read-only file system)")

    monkeypatch.setattr("hepatica.web.routes.cases.os.access", lambda path, mode: False)
    monkeypatch.setattr(Case, "check", locked)
    page = seen.open("course", "case")
    assert "cannot be changed: everything can be looked at" in page.inner_text("#who")
    page.get_by_role("row", name="Absorbed dose").get_by_role("button", name="Check").click()
    page.get_by_label("Who checked it").fill("A. Physicist")
    page.get_by_role("button", name="I checked it").click()
    page.get_by_role("alert").filter(has_text="Read-only file system").wait_for()


def test_the_course_can_be_seen_stated_and_checked(seen: Any, bench: Any) -> None:
    page = seen.open("course", "case")
    row = page.get_by_role("row", name="Absorbed dose")
    assert "done" in row.inner_text()
    row.get_by_role("button", name="Check").click()
    page.get_by_label("Who checked it").fill("A. Physicist")
    page.get_by_role("button", name="I checked it").click()
    page.get_by_role("cell", name="A. Physicist").wait_for()
    page.get_by_role("button", name="Correct treatment.1.aims.perfused").click()
    page.get_by_label("Value with its unit").fill("nonsense")
    page.get_by_role("button", name="State it").click()
    # What cannot be is refused where it is stated, with the value that is wrong.
    page.get_by_role("alert").filter(has_text="nonsense").first.wait_for()
    bench.json("POST", f"/api/cases/{bench.key('course')}/facts", {"values": {"treatment.1.aims.perfused": "100 Gy"}})


def test_a_run_says_where_it_stands_and_can_be_stopped(bench: Any) -> None:
    key = bench.key("course")
    bench.json("POST", f"/api/cases/{key}/facts", {"values": {"treatment.1.aims.perfused": "101 Gy"}})
    assert bench.json("POST", f"/api/cases/{key}/run", {"steps": ["plan"]})["state"] == "running"
    status, content, _ = bench.answer("POST", f"/api/cases/{key}/run", {"steps": []})
    assert (status, "wait for it" in json.loads(content)["remedy"]) == (422, True)
    bench.json("POST", f"/api/cases/{key}/run/stop")
    bench.server._workbench.runs.of(key).process.wait(20)  # the run is of this process
    for _ in range(100):
        if (run := bench.json("GET", f"/api/cases/{key}/run"))["state"] != "running":
            break
    assert run["state"] == "stopped"
    assert not bench.server.desk[key].case.history().problem
    bench.json("POST", f"/api/cases/{key}/facts", {"values": {"treatment.1.aims.perfused": "100 Gy"}})


def test_an_edited_plan_has_the_numbers_of_the_plan_itself(seen: Any, cases: Path, tmp_path: Path) -> None:
    """Aim, shunt (which the images hold too), residual and activity are edited, written, and run by the step."""
    before = Case.open(cases / "course").situation().facts.flat()
    page = seen.open("course", "plan")
    page.locator('[data-name="aims.perfused"]').fill("125 Gy")
    page.locator('[data-name="lungs.lung_shunt"]').fill("8 %")
    page.locator('[data-name="plan.residual"]').fill("3 %")
    page.get_by_role("columnheader", name="edited").wait_for()
    until(page, "!workbench.isOpen && workbench.plan.residual_fraction !== 0")
    page.locator('[data-name="activity-1"]').fill("1.5")
    page.locator('[data-name="activity-1"]').press("Tab")
    until(page, "!workbench.isOpen && workbench.plan.administered_gbq === 1.5")
    edited = page.evaluate("workbench.plan")
    page.locator('[data-name="margin"]').fill("10")
    page.locator('[data-name="margin"]').press("Tab")
    page.locator('section[data-state="ready"]').wait_for()
    voxels = page.evaluate("workbench.voxels.found")
    shown = page.evaluate("workbench.voxels.stage.overlay.high")
    aim = page.locator('[data-name="aims.perfused"]').input_value()
    page.locator('[data-name="aims.perfused"]').fill("nonsense")
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("columnheader", name="edited").count() == 0  # numbers of another input are not shown
    assert page.get_by_role("button", name="Write into the case").is_disabled()
    assert page.evaluate("workbench.voxels.stage.overlay") is None
    page.locator('[data-name="aims.perfused"]').fill(aim)
    page.get_by_role("columnheader", name="edited").wait_for()
    until(page, "!workbench.isOpen")
    page.get_by_role("button", name="Write into the case").click()
    page.get_by_label("Why").fill("tumour board")
    page.get_by_role("button", name="Write it", exact=True).click()
    page.get_by_text("It is in the case").wait_for()
    assert "overrules" not in page.inner_text("main")
    situation = Case.open(cases / "course").situation()
    facts = situation.facts.flat()
    assert facts["treatment.1.lungs.lung_shunt"] == "8 %"
    assert facts["treatment.1.images.keep_stated.lung_shunt"] == "edited in the workbench: tumour board"
    (entry,) = situation.history.entries[-1:]
    assert situation.personal[entry.personal]["reason"] == "tumour board"
    copy = tmp_path / "copy"
    shutil.copytree(cases / "course", copy)
    Case.open(copy).run("plan")
    stored = json.loads((copy / "steps" / "plan" / "result.json").read_text())
    for part in ("administered_gbq", "planned_gbq", "doses"):
        assert edited[part] == stored[part]
    assert [one["status"] for one in edited["limits"]] == [one["status"] for one in stored["limits"]]
    assert stored["administered_gbq"] == 1.5
    # The dose map too is the one that the step writes, structure by structure; a margin is looked at besides.
    by_name = {row["name"]: row for row in voxels["structures"]}
    for row in stored["voxel_plan"]["structures"]:
        assert {key: by_name[row["name"]][key] for key in row} == row
    written = as_dose(copy / "steps" / "plan" / "planned-dose.nii.gz", role="dose").volume
    assert shown == pytest.approx(float(written.values.max()), rel=1e-6)
    (margin,) = [row for name, row in by_name.items() if name.endswith("with 10 mm of liver")]
    tumour = by_name[margin["name"].removesuffix(" with 10 mm of liver")]
    assert margin["volume_ml"] > tumour["volume_ml"]
    assert margin["dose_mean_gy"] < tumour["dose_mean_gy"]
    added = {key: before.get(key) for key in facts if facts[key] != before.get(key)}
    Case.open(cases / "course").state(added)


def test_a_nuclide_of_several_agents_asks_for_one(seen: Any) -> None:
    page = seen.open("course", "plan")
    page.locator('[data-name="nuclide"]').select_option("Ho-166")
    page.get_by_text("Several agents carry Ho-166: choose one").wait_for()
    assert "is missing" not in page.inner_text("main")
    assert page.get_by_role("columnheader", name="edited").count() == 0
    page.locator('[data-name="plan.agent"]').select_option(index=1)
    page.get_by_role("columnheader", name="edited").wait_for()


def test_edits_are_kept_while_the_connection_is_lost(seen: Any, bench: Any) -> None:
    page = seen.open("oblique", "forms")
    page.route("**/api/**", lambda route: route.abort())
    page.locator('[name="patient.weight"]').fill("71 kg")
    page.locator('[name="patient.height"]').fill("1.71 m")
    page.get_by_role("form", name="Patient, disease, treatments").get_by_role("button", name="Keep").click()
    page.get_by_text("2 edits are kept and will be sent").wait_for()
    page.unroute("**/api/**")
    page.get_by_text("Stated: patient.height, patient.weight").first.wait_for()
    facts = Case.open(bench.folder / "oblique").situation().facts.flat()
    assert facts["patient.weight"] == "71 kg"
    assert page.locator("#connection").is_hidden()


def test_what_is_drawn_is_saved_as_seg_and_rtstruct(seen: Any, bench: Any, cases: Path) -> None:
    page = seen.open("oblique", "structures")
    page.get_by_role("button", name="Begin with Therapy structures").click()
    page.get_by_role("button", name="New structure").click()
    page.get_by_label("Name").fill("Tumour 2")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("radio", name="Tumour 2").wait_for()
    box = page.get_by_role("img", name="axial plane").bounding_box()
    middle = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 40, middle[1] + 5, steps=4)
    page.mouse.up()
    page.get_by_text("Tumour 2, 0 mL").wait_for(state="detached")
    key = bench.key("oblique")
    drawn = bench.json("GET", f"/api/cases/{key}/drawing")["structures"][1]["volume_ml"]
    assert drawn > 0
    bench.json("POST", f"/api/cases/{key}/drawing/shape", {"name": "Tumour 2", "how": "margin", "margin_mm": 6})
    grown = bench.json("GET", f"/api/cases/{key}/drawing")["structures"][1]["volume_ml"]
    assert grown > drawn
    undone = bench.json("POST", f"/api/cases/{key}/drawing/undo")
    assert undone["structures"][1]["volume_ml"] == drawn
    ct = next(one["key"] for one in bench.json("GET", f"/api/cases/{key}/images")["images"] if one["role"] == "ct")
    seeded = {"name": "Tumour 2", "how": "grow", "image": "dose-1", "low": 150, "high": 1000, "seed": DOSE_MIDDLE}
    bench.json("POST", f"/api/cases/{key}/drawing/shape", seeded)
    saved = bench.json("POST", f"/api/cases/{key}/drawing/save", {"by": "A. Physicist", "reason": "second lesion"})
    case = Case.open(cases / "oblique")
    situation = case.situation()
    items = {item.name: item for item in situation.catalogue}
    assert [items[name].role for name in saved["items"]] == ["therapy-structures", "unused"]
    image = read_image(items[ct].path(case.folder), role="ct")
    read = read_seg(case.folder / items[saved["items"][0]].files[0].path, image.grid)
    assert [region.name for region in read.regions] == ["Tumour 1", "Tumour 2"]
    (entry,) = situation.history.about("drawn")
    kept = situation.personal[entry.personal]
    assert kept["by"] == "A. Physicist"
    assert read["Tumour 2"].volume_ml == pytest.approx(kept["volumes_ml"]["Tumour 2"], abs=1e-3)
    assert np.isclose(read["Tumour 1"].volume_ml, kept["volumes_ml"]["Tumour 1"], rtol=3e-3)  # fractions in 255 steps


def test_landmarks_give_the_registration_that_is_kept(bench: Any, cases: Path) -> None:
    """Points moved by a known shift: the scout of the boxes lies (16, -8, 8) mm elsewhere."""
    key = bench.key("course")
    images = {one["title"][:7]: one["key"] for one in bench.json("GET", f"/api/cases/{key}/images")["images"]}
    fixed = {"a": [0, 0, 0], "b": [50, 0, 10], "c": [0, 40, -20], "d": [-30, 10, 40]}
    moving = {name: [x + 16, y - 8, z + 8] for name, (x, y, z) in fixed.items()}
    found = bench.json("POST", f"/api/cases/{key}/registrations/landmarks", {"fixed": fixed, "moving": moving})
    assert np.allclose(np.asarray(found["matrix"])[:3, 3], (16, -8, 8), atol=1e-9)
    assert max(found["residual_mm"].values()) < 1e-9
    pair = {"fixed": images["Therapy"], "moving": images["Scout C"]}
    kept = {"matrix": found["matrix"], "by": "A. Physicist", "reason": "by landmarks"}
    item = bench.json("POST", f"/api/cases/{key}/registrations/keep", pair | kept)["items"][0]
    link = bench.json("GET", f"/api/cases/{key}/links?here={pair['fixed']}&there={pair['moving']}")
    assert np.allclose(link["matrix"], found["matrix"], atol=1e-6)
    assert link["accepted"]
    history = Case.open(cases / "course").history()
    assert history.about("registered")[0].about["items"] == [item]
    crooked = np.asarray(found["matrix"]) * 1.1
    status, _, _ = bench.answer(
        "POST", f"/api/cases/{key}/registrations/keep", pair | kept | {"matrix": crooked.tolist()}
    )
    assert status == 422


def test_a_picture_that_is_kept_stands_in_the_report(seen: Any, cases: Path) -> None:
    page = seen.open("oblique", "viewer")
    page.get_by_role("button", name="Picture").click()
    page.get_by_label("What it shows").fill("the bar on the left")
    page.get_by_label("Who keeps it").fill("A. Physicist")
    page.get_by_role("button", name="Into the report").click()
    page.get_by_text("picture-1.png is in the case").wait_for()
    case = Case.open(cases / "oblique")
    (kept,) = kept_pictures(case.situation())
    width, height = struct.unpack(">II", kept.png[16:24])
    assert min(width, height) > 1000  # three times the pixels of the screen
    assert "the bar on the left (kept by A. Physicist" in html_page(case.report().document())
    assert "the bar on the left" not in html_page(case.report().anonymous().document())
