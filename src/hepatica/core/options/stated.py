"""Which options were stated, and their refusal where what was chosen has no use for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from hepatica.core.options.kinds import is_options
from hepatica.errors import InputError


def stated_names(*given: Any) -> Iterator[str]:
    """Names of the options that differ from their defaults, those of nested classes after a class's own."""
    for value in given:
        inner = []
        for item in fields(value):
            held = getattr(value, item.name)
            if is_options(type(held)):
                inner.append(held)
                continue
            usual = item.default if item.default_factory is MISSING else item.default_factory()
            if held != usual:
                yield item.name
        yield from stated_names(*inner)


def require_unstated(*given: Any, why: str, but: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> None:
    """Refuse options that would have no effect: those `only`, or all, those `but` aside.

    Raises
    ------
    InputError
        If one is stated; the message names all of them and ends with `why`.
    """
    wrong = [f"`{name}`" for name in stated_names(*given) if name not in but and (not only or name in only)]
    if wrong:
        raise InputError(f"{', '.join(wrong)}: {why}")
