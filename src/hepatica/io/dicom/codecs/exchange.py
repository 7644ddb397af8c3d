"""What the two processes send each other: a JSON object with its length in front, then as many bytes as it names."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, Protocol

MAX_HEAD_BYTES = 1 << 20
"""A longer head is no answer of the worker."""


class RawStream(Protocol):
    """An unbuffered binary file."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Read into a buffer; how many bytes."""

    def write(self, data: Any, /) -> int | None:
        """Write; how many bytes."""


def send(stream: RawStream, head: Mapping[str, Any], data: Any = b"") -> None:
    """Send an object, and the bytes that belong to it."""
    text = json.dumps({**head, "bytes": len(data)}).encode("ascii")
    for part in (struct.pack("<I", len(text)) + text, data):
        view = memoryview(part)
        while view:
            view = view[stream.write(view) or 0 :]


def receive(stream: RawStream, *, most: int) -> tuple[dict[str, Any], bytearray]:
    """An object and its bytes.

    Raises
    ------
    EOFError
        If the other side has ended.
    ValueError
        If what comes is no such object, or has more than `most` bytes.
    """
    (length,) = struct.unpack("<I", _exactly(stream, 4))
    if length > MAX_HEAD_BYTES:
        raise ValueError(f"a head of {length} bytes")
    head: dict[str, Any] = json.loads(_exactly(stream, length))
    if not 0 <= head["bytes"] <= most:
        raise ValueError(f"{head['bytes']} bytes, at most {most} were expected")
    return head, _exactly(stream, head["bytes"])


def _exactly(stream: RawStream, size: int) -> bytearray:
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        read = stream.readinto(view[filled:])
        if not read:
            raise EOFError("the other side has ended")
        filled += read
    return buffer
