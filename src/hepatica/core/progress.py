"""How long work says where it stands: a callable that is handed in from above."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Called with one sentence at each step; work that counts repeats a topic before a colon: "montecarlo: 3e6 decays"."""


def silent(step: str) -> None:
    """Progress that nobody sees."""
