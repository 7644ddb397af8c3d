"""A workbench that runs in this process, and a real browser that looks at it."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from hepatica.web.desk import Desk
from hepatica.web.serving import Server
from web_makers import course_case, oblique_case
from web_seen import Seen

CHROMIUM = shutil.which("chromium")


@dataclass
class Bench:
    """A running workbench with two cases."""

    server: Server
    folder: Path

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.keys.port}"

    def key(self, name: str) -> str:
        """Key of the case in a folder."""
        return next(key for key, path in self.server.desk.folders().items() if path.name == name)

    def answer(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """What the server says to one request with the cookie; a header given as "" is left out."""
        keys = self.server.keys
        sent = {"Host": f"127.0.0.1:{keys.port}", "Cookie": f"{keys.cookie}={keys.session}"}
        if method != "GET":
            sent["Origin"] = self.base
        sent = {name: value for name, value in (sent | headers).items() if value}
        connection = HTTPConnection("127.0.0.1", keys.port, timeout=20)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        content = b"" if body is None else json.dumps(body).encode()
        if content:
            sent |= {"Content-Type": "application/json"}
        if method != "GET":
            sent["Content-Length"] = str(len(content))
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(content or None)
        found = connection.getresponse()
        told = found.status, found.read(), dict(found.getheaders())
        connection.close()
        return told

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The same, where it must work."""
        status, content, _ = self.answer(method, path, body)
        assert status == 200, content
        return json.loads(content)


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("cases")
    for name, make in (("oblique", oblique_case), ("course", course_case)):
        scratch = tmp_path_factory.mktemp(name)
        make(place / name, scratch)
    return place


@pytest.fixture(scope="session")
def bench(cases: Path) -> Iterator[Bench]:
    server = Server(Desk(cases))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.is_up:
        time.sleep(0.02)
    yield Bench(server, cases)
    server.stop()
    thread.join(timeout=20)
    assert not thread.is_alive(), "the server did not end"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def seen(browser: Any, bench: Bench) -> Iterator[Seen]:
    found = Seen(browser, bench)
    yield found
    found.close()


@pytest.fixture
def new_seen(browser: Any, bench: Bench) -> Iterator[Any]:
    made: list[Seen] = []

    def make(**how: Any) -> Seen:
        made.append(Seen(browser, bench, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def fresh(bench: Any) -> Iterator[str]:
    """The oblique case with no drawing, before and after."""

    def clear() -> str:
        key = str(bench.key("oblique"))
        bench.server.desk.release(key)
        for one in bench.json("GET", f"/api/cases/{key}/drawing/drafts"):
            bench.json("POST", f"/api/cases/{key}/drawing/discard", {"on": one["on"], "start": one["start"]})
        return key

    yield clear()
    clear()


@pytest.fixture
def copied(bench: Bench) -> Iterator[str]:
    """A copy of the oblique case, under the name "copied", that may be changed and is gone afterwards."""
    place = bench.folder / "copied"
    shutil.copytree(bench.folder / "oblique", place)
    shutil.rmtree(place / "drafts", ignore_errors=True)
    key = bench.key("copied")
    yield key
    bench.server.desk.release(key)
    shutil.rmtree(place)
