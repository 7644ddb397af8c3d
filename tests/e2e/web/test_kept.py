"""Nothing that a person drew or typed is lost, nothing old is taken for new, and every view says whose case it is."""

from __future__ import annotations

import json
import shutil
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from hepatica import Case
from hepatica.case.drafts import ABOUT, Draft, drafts_of
from hepatica.case.protect.erase import erase
from hepatica.errors import OutputError
from web_seen import ct_of, draw


def test_a_drawing_outlives_tabs_reload_and_server(new_seen: Any, bench: Any, fresh: str) -> None:
    page = new_seen().open("oblique", "structures")
    page.get_by_role("button", name="Begin with nothing").click()
    draw(page, "Tumour 3")
    draw(page, "Tumour 4")
    page.get_by_role("radio", name="Tumour 3").click()
    volumes = [one["volume_ml"] for one in bench.json("GET", f"/api/cases/{fresh}/drawing")["structures"]]
    assert all(volume > 0 for volume in volumes)

    other = new_seen().open("oblique", "structures")
    other.get_by_text("It is drawn in another tab").first.wait_for()
    assert other.get_by_role("button", name="Save into the case").is_disabled()
    tab = {"x-hepatica-tab": "another"}
    status, content, _ = bench.answer("POST", f"/api/cases/{fresh}/drawing/undo", {}, **tab)
    assert (status, "another tab" in json.loads(content)["error"]) == (409, True)
    bench.answer("POST", f"/api/cases/{fresh}/close", {}, **tab)  # the last word of a tab that is closed
    assert bench.server.desk[fresh].kept("sketch")

    bench.server.desk.release(fresh)  # as after 90 s without a sign, or where the server was killed
    page.reload()
    page.get_by_text("What was drawn and not saved is here again").wait_for()
    assert page.get_by_role("radio", name="Tumour 3").is_checked()  # the one that was chosen
    page.get_by_role("button", name="Begin with nothing").click()
    page.get_by_text("To begin anew, discard it first").wait_for()
    found = bench.json("GET", f"/api/cases/{fresh}/drawing")["structures"]
    assert [one["volume_ml"] for one in found] == volumes
    # The steps back outlive it too: both strokes are taken back, and done again after one more end of the server.
    tab = {"x-hepatica-tab": page.evaluate("sessionStorage.getItem('hepatica-tab')")}
    for _ in range(2):
        bench.answer("POST", f"/api/cases/{fresh}/drawing/undo", {}, **tab)
    found = bench.json("GET", f"/api/cases/{fresh}/drawing")
    assert [one["volume_ml"] for one in found["structures"]] == [0, 0]
    assert found["undo"] == ""
    bench.server.desk.release(fresh)
    for _ in range(2):
        bench.answer("POST", f"/api/cases/{fresh}/drawing/redo", {}, **tab)
    found = bench.json("GET", f"/api/cases/{fresh}/drawing")
    assert [one["volume_ml"] for one in found["structures"]] == volumes
    assert found["redo"] == ""
    page.get_by_role("button", name="Discard", exact=True).click()
    page.get_by_role("button", name="Discard it for good").click()
    page.get_by_role("radio", name="Tumour 3").wait_for(state="detached")
    assert bench.json("GET", f"/api/cases/{fresh}/drawing/drafts") == []


def test_erasing_a_patient_takes_unsaved_drawings_away(bench: Any, fresh: str, tmp_path: Path) -> None:
    ct = ct_of(bench, fresh)
    bench.json("POST", f"/api/cases/{fresh}/drawing", {"on": ct})
    copy = tmp_path / "copy"
    shutil.copytree(bench.folder / "oblique", copy)
    assert len(drafts_of(copy)) == 1
    erase(copy, "asked for")
    assert not (copy / "drafts").exists()
    with pytest.raises(OutputError, match="erased"):
        Draft(copy, ct, "").keep({}, {})


def test_edits_wait_for_a_new_login(seen: Any, bench: Any) -> None:
    page = seen.open("oblique", "forms")
    page.route("**/api/**", lambda route: route.fulfill(status=401, json={"error": "open it anew", "remedy": ""}))
    page.locator('[name="patient.height"]').fill("171 cm")
    page.get_by_role("form", name="Patient, disease, treatments").get_by_role("button", name="Keep").click()
    page.get_by_text("1 edit is kept and will be sent after that").wait_for()
    page.unroute("**/api/**")
    page.get_by_text("Stated: patient.height").first.wait_for()
    assert Case.open(bench.folder / "oblique").situation().facts.flat()["patient.height"] == "171 cm"


def test_every_view_says_whose_case_it_is(seen: Any, bench: Any) -> None:
    for view in ("viewer", "log"):
        page = seen.open("oblique", view)
        page.locator("#who:not([hidden])").wait_for()
        assert "Secret Name" in page.title()
        assert "Secret Name, OBLIQUE" in page.inner_text("#who")
    page.goto(f"{bench.base}/#/")
    page.get_by_role("heading", name="Secret Name, OBLIQUE").wait_for()


def test_a_dose_that_is_out_of_date_says_so_everywhere(seen: Any, bench: Any) -> None:
    page = seen.open("course", "viewer")
    page.get_by_role("table", name="At the cursor").first.wait_for()
    key = bench.key("course")
    bench.json("POST", f"/api/cases/{key}/facts", {"values": {"treatment.1.dose.administered": "1.9 GBq"}})
    try:
        page.get_by_text("Delivered dose (OUT OF DATE): not to be used").first.wait_for()
        page.get_by_role("rowheader", name="Delivered dose (OUT OF DATE)").first.wait_for()
        assert "OUT OF DATE" in page.evaluate("workbench.description()")
        red = """() => { workbench.stages[0].drawNow(); const { canvas, context } = workbench.stages[0].tiles[0]
          const { data } = context.getImageData(0, 0, canvas.width, canvas.height)
          let count = 0
          for (let n = 0; n < data.length; n += 4) {
            if (data[n] === 0x8f && data[n + 1] === 0x10 && data[n + 2] === 0x20) count++
          }
          return count }"""
        assert page.evaluate(red) > 500  # the band is in the pixels, so it is in every picture
    finally:
        bench.json("POST", f"/api/cases/{key}/facts", {"values": {"treatment.1.dose.administered": "2 GBq"}})


def test_the_course_follows_what_is_done_elsewhere(seen: Any, bench: Any) -> None:
    page = seen.open("oblique", "case")
    Case.open(bench.folder / "oblique").set(**{"disease.stage": "told by the command line"})
    page.get_by_role("cell", name="told by the command line").wait_for(timeout=10000)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("treatment.1.dose.ct", "/etc/passwd"),
        ("treatment.1.lung-shunt.structures", "../elsewhere"),
        ("treatment.1.images.transform", '["/etc/hosts"]'),
        ("treatment.1.dose.calibration", "/etc/passwd"),
        ("treatment.1.images", "/etc/passwd"),
    ],
)
def test_a_page_states_no_file_outside_the_case(bench: Any, key: str, value: str) -> None:
    case = bench.key("course")
    status, content, _ = bench.answer("POST", f"/api/cases/{case}/facts", {"values": {key: value}})
    assert (status, key in json.loads(content)["error"]) == (422, True)
    assert key not in Case.open(bench.folder / "course").situation().facts.flat()


def test_a_request_that_is_too_large_is_refused(bench: Any) -> None:
    keys = bench.server.keys
    connection = HTTPConnection("127.0.0.1", keys.port, timeout=20)
    connection.putrequest("POST", f"/api/cases/{bench.key('course')}/facts", skip_host=True)
    sent = {"Host": f"127.0.0.1:{keys.port}", "Cookie": f"{keys.cookie}={keys.session}", "Origin": bench.base}
    for name, value in (sent | {"Content-Length": str(10**10)}).items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_names_that_a_reader_takes_for_one_are_refused(bench: Any, fresh: str) -> None:
    bench.json("POST", f"/api/cases/{fresh}/drawing", {"on": ct_of(bench, fresh)})
    bench.json("POST", f"/api/cases/{fresh}/drawing/new", {"name": "Tumour 1"})
    for name in ("tumour 1", "Tumour  1", "Tumour1", "tumour \u202e2", "tumour\n2"):
        status, _, _ = bench.answer("POST", f"/api/cases/{fresh}/drawing/new", {"name": name})
        assert status == 422, name
    stroke = {"name": "Tumour 1", "kind": "brush", "points": [[0, 0, 0]], "radius_mm": 1e6}
    assert bench.answer("POST", f"/api/cases/{fresh}/drawing/stroke", stroke)[0] == 400


def test_a_drawing_that_somebody_went_on_with_is_not_discarded_unseen(bench: Any, fresh: str) -> None:
    place, ct = f"/api/cases/{fresh}/drawing", ct_of(bench, fresh)
    bench.json("POST", place, {"on": ct})
    bench.json("POST", f"{place}/new", {"name": "A"})
    (seen,) = bench.json("GET", f"{place}/drafts")
    bench.json("POST", f"{place}/stroke", {"name": "A", "kind": "brush", "points": [[0, 0, 0]], "radius_mm": 9})
    what = {"on": ct, "start": "", "version": seen["version"]}
    status, content, _ = bench.answer("POST", f"{place}/discard", what)
    assert (status, b"drawn on since" in content) == (409, True)
    assert bench.json("GET", place)["structures"][0]["volume_ml"] > 0
    # Another hepatica drew on it: what this one holds is not all that would be lost
    other = Draft(bench.folder / "oblique", ct, "")
    about = json.loads((other.place / ABOUT).read_text())
    (other.place / ABOUT).write_text(json.dumps(about | {"version": "of another one"}))
    assert bench.answer("POST", f"{place}/discard", what | {"version": ""})[0] == 409
    bench.server.desk.release(fresh)
    (seen,) = bench.json("GET", f"{place}/drafts")
    bench.json("POST", f"{place}/discard", what | {"version": seen["version"]})
    assert bench.json("GET", f"{place}/drafts") == []
