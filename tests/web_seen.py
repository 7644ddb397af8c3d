"""A page of the workbench in a real browser, and everything wrong that is noticed on it."""

from __future__ import annotations

import re
from typing import Any


class Seen:
    """A page of the workbench, and everything wrong that was noticed on it."""

    def __init__(self, browser: Any, bench: Any, *, dark: bool = False, script: str = "") -> None:
        self.bench = bench
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 800}, color_scheme="dark" if dark else "light", service_workers="block"
        )
        self.page = self.context.new_page()
        if script:
            self.page.add_init_script(script)
        self.page.add_init_script(
            "window.violations = []; addEventListener('securitypolicyviolation', (e) =>"
            " violations.push(`${e.violatedDirective} ${e.blockedURI}`))"
        )
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self._outside)
        self.page.goto(bench.server.keys.address)

    def _outside(self, request: Any) -> None:
        if not re.match(rf"(?:{re.escape(self.bench.base)}/|data:|blob:)", request.url):
            self.wrong.append(f"asked outside: {request.url}")

    def open(self, name: str, view: str) -> Any:
        """A view of the case in a folder, once it is there."""
        self.page.goto(f"{self.bench.base}/#/case/{self.bench.key(name)}/{view}")
        self.page.locator(f'nav a[aria-current="page"][href$="/{view}"]').wait_for(state="attached")
        self.page.locator("html[data-state=ready],html[data-state=error]").wait_for(state="attached")
        assert self.page.locator("html[data-state=ready]").count(), self.page.inner_text("main")
        return self.page

    def close(self) -> None:
        """Nothing may have gone wrong."""
        self.wrong += self.page.evaluate("violations")
        self.context.close()
        assert not self.wrong


def until(page: Any, holds: str) -> None:
    """Wait until an expression holds on the page (`wait_for_function` needs `eval`, which the policy forbids)."""
    script = (
        f"async () => {{ for (let n = 0; n < 500 && !({holds}); n++) await new Promise((go) => setTimeout(go, 20));"
    )
    assert page.evaluate(script + f" return Boolean({holds}) }}"), holds


def ct_of(bench: Any, key: str) -> str:
    """The CT of a case."""
    images = bench.json("GET", f"/api/cases/{key}/images")["images"]
    return next(str(one["key"]) for one in images if one["role"] == "ct")


def draw(page: Any, name: str) -> None:
    """Make a structure, and one stroke of it in the axial plane."""
    page.get_by_role("button", name="New structure").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("radio", name=name).wait_for()
    box = page.get_by_role("img", name="axial plane").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"] + 30, box["y"] + 0.5 * box["height"], steps=3)
    page.mouse.up()
    page.get_by_text(f"{name}, 0 mL").wait_for(state="detached")
