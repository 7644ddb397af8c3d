"""What changes a case is done once, although it is asked twice: an answer that was lost on its way is given again.

A page whose connection broke cannot know whether its change was done. It sends the change again under the same number,
and what was done under that number is answered from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from hepatica.web.gate import SAFE, Application, Receive, Scope, Send

HEADER = b"x-hepatica-request"
"""Number of a change, the same whenever it is sent again."""

MOST_NUMBER = 64
MOST_KEPT = 256
MOST_BYTES = 16 << 20
"""Answers that are kept, and their bytes together: a page sends its changes one after the other, so that the last few
of every open page are enough."""

Message = MutableMapping[str, Any]
Answer = tuple[Message, ...]


class Once:
    """ASGI: gives a change that was done before its answer again.

    Parameters
    ----------
    inner : callable
        The application behind it.
    """

    def __init__(self, inner: Application) -> None:
        self._inner = inner
        self._answers: dict[str, asyncio.Future[Answer]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a second one of the same number waits for the first."""
        number = next((value for name, value in scope.get("headers", ()) if name == HEADER), b"")
        if scope["type"] != "http" or scope["method"] in SAFE or not 0 < len(number) <= MOST_NUMBER:
            await self._inner(scope, receive, send)
            return
        key = f"{scope['path']} {number.decode('latin-1')}"
        if key not in self._answers:
            self._answers[key] = asyncio.ensure_future(self._done(key, scope, receive))
        for message in await asyncio.shield(self._answers[key]):
            await send(dict(message))

    async def _done(self, key: str, scope: Scope, receive: Receive) -> Answer:
        """Do it to its end, whoever still waits for the answer."""
        found: list[Message] = []

        async def take(message: Message) -> None:
            found.append(message)

        try:
            await self._inner(scope, receive, take)
        except BaseException:
            del self._answers[key]  # nothing was answered: what broke is tried anew
            raise
        self._forget_old(sum(_size(message) for message in found))
        return tuple(found)

    def _forget_old(self, coming: int) -> None:
        """Let the oldest answers go."""
        kept = {key: _bytes_of(one) for key, one in self._answers.items() if one.done()}
        held = coming + sum(kept.values())
        for key, size in kept.items():
            if held <= MOST_BYTES and len(self._answers) <= MOST_KEPT:
                return
            del self._answers[key]
            held -= size


def _size(message: Message) -> int:
    return len(message.get("body", b""))


def _bytes_of(answer: asyncio.Future[Answer]) -> int:
    return sum(_size(message) for message in answer.result())
