"""Who may ask the workbench, and what it never says."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest

from hepatica.web.desk import Desk


def test_without_the_token_nothing_is_answered(bench: Any) -> None:
    for path in ("/", "/app.js", "/api/cases"):
        assert bench.answer("GET", path, Cookie="")[0] == 401
        assert bench.answer("GET", path, Cookie=f"{bench.server.keys.cookie}=wrong")[0] == 401
    assert bench.answer("GET", "/login?t=wrong", Cookie="")[0] == 401


def test_the_token_gives_a_cookie_of_this_port_alone(bench: Any) -> None:
    status, _, headers = bench.answer("GET", f"/login?t={bench.server.keys.token}", Cookie="")
    cookie = headers["set-cookie"]
    assert (status, headers["location"]) == (303, "/")
    assert str(bench.server.keys.port) in cookie.split("=")[0]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_what_a_browser_is_started_with_holds_once(bench: Any) -> None:
    path = bench.server.keys.address_once.removeprefix(bench.base)
    assert [bench.answer("GET", path, Cookie="")[0] for _ in range(2)] == [303, 401]


def test_a_link_to_a_case_elsewhere_is_no_case(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(bench.folder / "oblique")
    shutil.copytree(bench.folder / "oblique", tmp_path / "here")
    assert [path.name for path in Desk(tmp_path).folders().values()] == ["here"]


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Host": "evil.example"}, 421),
        ("GET", {"Host": ""}, 400),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {"Origin": ""}, 403),
        ("POST", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "null"}, 403),
    ],
)
def test_other_pages_and_names_are_refused(bench: Any, method: str, headers: dict[str, str], status: int) -> None:
    path = "/api/cases" if method == "GET" else f"/api/cases/{bench.key('oblique')}/close"
    assert bench.answer(method, path, **headers)[0] == status
    assert bench.answer(method, path)[0] in (200, 422)  # the same request as the page sends it


@pytest.mark.parametrize(
    "path",
    [
        "/../application.py",
        "/..%2fapplication.py",
        "/%2e%2e/%2e%2e/gate.py",
        "/vendor/..%2f..%2f..%2fgate.py",
        "/docs",
        "/openapi.json",
        "/api/cases/..%2f..",
        "/api/cases/{case}/steps/plan/files/..%2fdose%2fdose.dcm",
        "/api/cases/{case}/steps/..%2f..%2fpersonal.key/files/x.csv",
        "/api/cases/{case}/steps/plan/files/step.json%00.csv",
    ],
)
def test_nothing_outside_is_reached(bench: Any, path: str) -> None:
    status, content, _ = bench.answer("GET", path.format(case=bench.key("course")))
    assert status in (404, 422)
    assert b"import" not in content


def test_every_answer_has_the_strict_policy(bench: Any) -> None:
    for path in ("/", "/style.css", "/api/cases"):
        policy = bench.answer("GET", path)[2]["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    report = bench.answer("GET", f"/api/cases/{bench.key('course')}/report.html")[2]["content-security-policy"]
    assert "sandbox" in report
    assert "script-src" not in report


def test_no_name_in_addresses_or_logs(bench: Any, capsys: pytest.CaptureFixture[str], caplog: Any) -> None:
    key = bench.key("oblique")
    listed = bench.json("GET", f"/api/cases/{key}/images")
    assert listed["images"]
    status, content, _ = bench.answer("GET", f"/api/cases/{key}/images/Secret")
    assert status == 404
    assert "Secret^Name" not in content.decode()
    out, err = capsys.readouterr()
    for word in ("OBLIQUE", "Secret"):
        assert word not in out + err + caplog.text
    assert "oblique" not in json.dumps(listed)


def test_a_case_is_let_go(bench: Any) -> None:
    key = bench.key("oblique")
    name = next(one["key"] for one in bench.json("GET", f"/api/cases/{key}/images")["images"] if one["role"] == "ct")
    bench.json("GET", f"/api/cases/{key}/images/{name}")
    one = bench.server.desk[key]
    assert one.kept("image")
    voxels = [weakref.ref(one.held(held, dict).volume.values) for held in one.kept("image")]
    bench.json("POST", f"/api/cases/{key}/close")
    assert not bench.server.desk[key].kept("")
    gc.collect()
    assert not [one for one in voxels if one() is not None]  # nobody else holds them
