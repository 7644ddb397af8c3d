"""A decorator that says in one sentence what is wrong with the arguments of a value's class or of its maker."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, ParamSpec, TypeVar

from hepatica.core.options.declare import forms_of, require_given, require_known
from hepatica.errors import InputError

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


def value_class(cls: type[T]) -> type[T]:
    """Dataclass whose arguments are checked by name, type, choice and range when one is made.

    Raises
    ------
    InputError
        When it is made with an unknown or a missing field, a wrong choice, or a number out of its limits.
    """
    made: Any = cls
    assert is_dataclass(cls)
    inner = made.__init__
    order = [item.name for item in fields(cls) if item.init]

    @functools.wraps(inner)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        given = dict(zip(order, args, strict=False)) | kwargs
        _check_call(made.__name__, inner, (self, *args), kwargs)
        forms = forms_of(made)
        for name, value in given.items():
            if name in forms:
                forms[name].check(value, name)
        inner(self, *args, **kwargs)

    made.__init__ = checked
    return cls


def maker(function: Callable[P, R]) -> Callable[P, R]:
    """Function whose call with unknown or missing names is an InputError that names the near ones."""
    words = function.__qualname__

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        _check_call(words, function, args, kwargs)
        return function(*args, **kwargs)

    return checked


def _check_call(name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """InputError if a function cannot be called so."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        plain = [p for p in signature.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        own = [p.name for p in plain if p.name not in ("self", "cls")]
        require_known(name, kwargs, own)
        placed = [p.name for p in plain][: len(args)]
        needed = [p.name for p in plain if p.default is p.empty]
        require_given(name, {**dict.fromkeys(placed), **kwargs}, needed)
        raise InputError(f"{name}: {error}") from None
