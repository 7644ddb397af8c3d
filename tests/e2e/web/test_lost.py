"""A connection that breaks: nothing is done twice, no old value stands for a new one, what was typed is done after."""

from __future__ import annotations

import json
from typing import Any

from hepatica import Case
from web_seen import ct_of, draw, until


def lost_after(page: Any, part: str) -> list[str]:
    """Let the server do the next change whose address holds a part, and lose its answer; what was sent."""
    sent: list[str] = []

    def lose(route: Any) -> None:
        if part in route.request.url:
            sent.append(route.request.url)
        if part in route.request.url and len(sent) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/api/**", lose)
    return sent


def test_an_edit_whose_answer_is_lost_is_done_once(seen: Any, bench: Any, copied: str) -> None:
    page = seen.open("copied", "structures")
    page.get_by_role("button", name="Begin with nothing").click()
    draw(page, "Tumour 7")
    before = bench.json("GET", f"/api/cases/{copied}/drawing")["changes"]
    sent = lost_after(page, "/drawing/shape")
    page.get_by_role("button", name="Margin", exact=True).click()
    for _ in range(200):
        page.wait_for_timeout(50)
        if len(sent) == 2 and page.locator("#connection").is_hidden():
            break
    assert len(sent) == 2
    assert bench.json("GET", f"/api/cases/{copied}/drawing")["changes"] == before + 1
    page.unroute("**/api/**")
    # What was done is not called refused: it is saved, once.
    sets = len(bench.json("GET", f"/api/cases/{copied}/images")["structures"])
    sent = lost_after(page, "/drawing/save")
    page.get_by_role("button", name="Save into the case").click()
    page.get_by_label("Who drew it").fill("A. Physicist")
    page.locator("dialog").get_by_role("button", name="Save").click()
    page.get_by_text("Saved as therapy-structures").wait_for()
    assert len(sent) == 2
    assert "refused" not in page.inner_text("body")
    assert len(bench.json("GET", f"/api/cases/{copied}/images")["structures"]) == sets


def test_a_change_of_one_number_is_answered_again_and_not_done_again(bench: Any, fresh: str) -> None:
    place = f"/api/cases/{fresh}/drawing"
    bench.json("POST", place, {"on": ct_of(bench, fresh)})
    made = [bench.answer("POST", f"{place}/new", {"name": "A"}, **{"x-hepatica-request": n}) for n in ("1", "1", "2")]
    assert [status for status, _, _ in made] == [200, 200, 422]  # the third is another change: there is an A already
    assert made[0][1] == made[1][1]
    stroke = {"name": "A", "kind": "brush", "points": [[0, 0, 0]], "radius_mm": 9}
    grow = {"name": "A", "how": "margin", "margin_mm": 9}
    bench.json("POST", f"{place}/stroke", stroke)
    volumes = [
        json.loads(bench.answer("POST", f"{place}/shape", grow, **{"x-hepatica-request": "3"})[1])["structures"][0][
            "volume_ml"
        ]
        for _ in range(2)
    ]
    assert volumes[0] == volumes[1] == bench.json("GET", place)["structures"][0]["volume_ml"] > 0
    bench.server.desk.release(fresh)  # as where hepatica was killed and started anew before its answer came
    bench.server._server.config.app._inner._answers.clear()
    again = json.loads(bench.answer("POST", f"{place}/shape", grow, **{"x-hepatica-request": "3"})[1])
    assert again["structures"][0]["volume_ml"] == volumes[0]
    wrong = [bench.answer("POST", f"{place}/new", {"name": ""}, **{"x-hepatica-request": "4"})[0] for _ in range(2)]
    assert wrong == [422, 422]


def test_values_of_a_place_that_was_left_do_not_stay(seen: Any) -> None:
    page = seen.open("oblique", "viewer")
    table = page.get_by_role("table", name="At the cursor").first
    table.wait_for()
    page.route("**/api/**", lambda route: route.abort())
    page.evaluate("workbench.stages[0].moveTo([6, -4, 11])")
    page.get_by_text("are not known: the connection is lost").first.wait_for()
    assert page.get_by_role("table", name="At the cursor").count() == 0
    page.locator(".tile.about").filter(has_text="6.0, -4.0, 11.0 mm").wait_for()
    page.unroute("**/api/**")
    table.wait_for()
    until(page, "workbench.answer?.point.join() === '6,-4,11'")
    # The isodose lines of the plane that came meanwhile are asked for too
    planes = "[...workbench.stages[0].lines.kept.keys()]"
    until(page, f"{planes}.some((one) => one.startsWith('axial 11.00'))")
    assert "connection" not in page.inner_text("main")


def test_a_plan_that_was_typed_while_the_connection_was_lost_is_planned_after(seen: Any, bench: Any) -> None:
    page = seen.open("course", "plan")
    aim = Case.open(bench.folder / "course").situation().facts.flat()["treatment.1.aims.perfused"]
    page.route("**/api/**", lambda route: route.abort())
    page.locator('[data-name="aims.perfused"]').fill("112 Gy")
    page.get_by_role("alert").filter(has_text="the connection to hepatica is lost").wait_for()
    assert page.get_by_role("button", name="Write into the case").is_disabled()
    page.unroute("**/api/**")
    page.get_by_role("columnheader", name="edited").wait_for()
    until(page, "!workbench.isOpen")
    assert "connection" not in page.inner_text("main")
    assert Case.open(bench.folder / "course").situation().facts.flat()["treatment.1.aims.perfused"] == aim
