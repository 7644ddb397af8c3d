"""A change is done once under its number, whoever asks again, and what is remembered is bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hepatica.web.once import MOST_BYTES, MOST_KEPT, Once


class Counting:
    """An application that counts what it did, and answers with the count after a moment."""

    def __init__(self, size: int = 0) -> None:
        self.done, self.size, self.breaks = 0, size, False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.done += 1
        body = str(self.done).encode().ljust(self.size)
        await asyncio.sleep(0)
        if self.breaks:
            raise RuntimeError("broke")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


async def asked(once: Once, number: str, path: str = "/change", method: str = "POST") -> str:
    """Body of the answer."""
    found: list[Any] = []

    async def send(message: Any) -> None:
        found.append(message)

    headers = [(b"x-hepatica-request", number.encode())] if number else []
    await once({"type": "http", "method": method, "path": path, "headers": headers}, None, send)  # type: ignore[arg-type]
    return str(found[-1]["body"].decode().strip())


def test_one_number_is_done_once() -> None:
    async def go() -> None:
        once = Once(Counting())
        assert list(await asyncio.gather(asked(once, "a"), asked(once, "a"))) == [
            "1",
            "1",
        ]  # the second waits for the first
        assert await asked(once, "a") == "1"
        assert await asked(once, "b") == "2"
        assert await asked(once, "a", path="/another") == "3"
        assert [await asked(once, "") for _ in range(2)] == ["4", "5"]
        assert await asked(once, "a", method="GET") == "6"
        assert await asked(once, "n" * 65) == "7"

    asyncio.run(go())


def test_what_broke_is_tried_anew() -> None:
    async def go() -> None:
        app = Counting()
        once = Once(app)
        app.breaks = True
        for _ in range(2):
            with pytest.raises(RuntimeError, match="broke"):
                await asked(once, "a")
        app.breaks = False
        assert await asked(once, "a") == "3"

    asyncio.run(go())


@pytest.mark.parametrize(("size", "most"), [(0, MOST_KEPT), (MOST_BYTES // 8, 8)])
def test_the_oldest_answers_are_forgotten(size: int, most: int) -> None:
    async def go() -> None:
        app = Counting(size)
        once = Once(app)
        for number in range(most + 3):
            await asked(once, str(number))
        before = app.done
        await asked(once, str(most + 2))
        assert app.done == before  # the last is known
        await asked(once, "0")
        assert app.done == before + 1  # the first is not

    asyncio.run(go())
