"""Who may ask the workbench anything: this machine's browser with the token, from the workbench's own page.

A page on the loopback address can be asked by any page that the same browser has open, and by any program of this
machine. So a request needs the cookie that the token was exchanged for, the right Host (against DNS rebinding), the
right Origin where it changes something, and no ``Sec-Fetch-Site`` of another site.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

MOST_BODY = 64 << 20
"""Bytes of a request: a picture of the viewer in base 64 is the largest that the page sends."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Of the page: scripts, styles and data from this server alone; ``data:`` for the font of the 3-D tile, ``blob:`` for
screenshots."""

DOCUMENT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""Of a report that a step or the case wrote: pictures and styles stand in it, it runs nothing."""

HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

SAFE = ("GET", "HEAD")
LOGIN = "/login"

log = logging.getLogger("hepatica.web")


@dataclass(frozen=True, slots=True)
class Keys:
    """The token of one run of the server, and the cookie that it is exchanged for.

    Attributes
    ----------
    port : int
        That the server listens on.
    token : str
        In the address that is printed; it holds as long as the server runs.
    once : str
        In the address that a browser is started with, which other users of the machine may see among the arguments of
        programs: it holds for one exchange.
    session : str
        Value of the cookie.
    """

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    once: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def cookie(self) -> str:
        """Name of the cookie: ports of one host share their cookies, so the port is in it."""
        return f"hepatica-{self.port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host headers that name this server."""
        return (f"127.0.0.1:{self.port}", f"localhost:{self.port}")

    @property
    def address(self) -> str:
        """What a person opens."""
        return f"http://127.0.0.1:{self.port}{LOGIN}?t={self.token}"

    @property
    def address_once(self) -> str:
        """What a browser is started with."""
        return f"http://127.0.0.1:{self.port}{LOGIN}?t={self.once}"


class Gate:
    """ASGI: refuses what is not the workbench's own page, and adds the policies to every answer.

    Parameters
    ----------
    inner : callable
        The application behind it.
    keys : Keys
        Token and cookie.
    asked : callable
        Called at every request that was let in, so that an idle server can close.
    """

    def __init__(self, inner: Application, keys: Keys, asked: Callable[[], None]) -> None:
        self._inner, self._keys, self._asked = inner, keys, asked
        self._unused = {keys.once}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refusal(scope, headers)
        if refused is not None:
            status, text = refused
            await _answer(send, status, {"error": text, "remedy": ""})
            return
        if scope["path"] == LOGIN:
            await self._log_in(scope, send)
            return
        self._asked()
        await self._guarded(scope, receive, send)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        if headers.get("host") not in self._keys.hosts:
            return 421, "this server answers to its own name alone"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "asked from another page"
        origins = tuple(f"http://{host}" for host in self._keys.hosts)
        if scope["method"] not in SAFE and headers.get("origin") not in origins:
            return 403, "asked from another page"
        if scope["path"] == LOGIN:
            return None
        if not hmac.compare_digest(self._shown(headers.get("cookie", "")), self._keys.session):
            return 401, "open the workbench by the address that it printed when it started"
        size = headers.get("content-length", "0")
        if not size.isdecimal() or int(size) > MOST_BODY or "transfer-encoding" in headers:
            return 413, f"more than {MOST_BODY >> 20} MB at once, or of unknown size"
        return None

    def _shown(self, header: str) -> str:
        """The cookie of this server in a header; empty where it has none."""
        try:
            found = SimpleCookie(header).get(self._keys.cookie)
        except CookieError:
            return ""
        return "" if found is None else found.value

    async def _log_in(self, scope: Scope, send: Send) -> None:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("t", [""])[0]
        right = hmac.compare_digest(given.encode(), self._keys.token.encode())
        if not right and given in self._unused:
            self._unused.discard(given)
            right = True
        if scope["method"] not in SAFE or not right:
            await _answer(send, 401, {"error": "wrong token", "remedy": ""})
            return
        cookie = f"{self._keys.cookie}={self._keys.session}; HttpOnly; SameSite=Strict; Path=/"
        await _answer(send, 303, {}, {"location": "/", "set-cookie": cookie})

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def with_policies(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = _with_defaults(message.get("headers", []))
            await send(message)

        try:
            await self._inner(scope, receive, with_policies)
        except Exception as error:  # noqa: BLE001 - the last line: what it says may hold a name, so only its place is kept
            log.error("%s at %s", type(error).__name__, _place(error))
            if begun:
                raise ConnectionAbortedError("the answer was cut off") from None
            text = f"something in hepatica broke ({type(error).__name__} at {_place(error)})"
            await _answer(send, 500, {"error": text, "remedy": "report it; the case is as it was"})


def _place(error: Exception) -> str:
    """File and line of hepatica where an error came from, without what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if "hepatica" in frame.filename] or list(frames)
    return f"{Path(inside[-1].filename).name}:{inside[-1].lineno}" if inside else "?"


def _with_defaults(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    there = {name.lower() for name, _ in given}
    defaults = HEADERS | {"content-security-policy": PAGE_POLICY}
    return [*given, *((n.encode(), v.encode()) for n, v in defaults.items() if n.encode() not in there)]


async def _answer(send: Send, status: int, content: dict[str, str], headers: dict[str, str] | None = None) -> None:
    body = json.dumps(content).encode()
    told = {"content-type": "application/json", "content-length": str(len(body))} | (headers or {})
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": _with_defaults([(name.encode(), value.encode()) for name, value in told.items()]),
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
