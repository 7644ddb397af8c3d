"""Two decorators that check at run time what mypy checks before it: a class of options, and a verb."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, dataclass_transform, get_type_hints

from hepatica.core.options.kinds import Form, form_of, is_options
from hepatica.core.text.quiet import quiet_libraries
from hepatica.errors import InputError

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def options(cls: type[T]) -> type[T]:
    """Frozen, keyword-only dataclass whose fields are options: checked for type, choice and range when it is made.

    Raises
    ------
    InputError
        When it is made with an unknown field (the message names the near ones), a wrong choice, or a number out of its
        limits.
    """
    made: Any = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.__options__ = True
    inner = made.__init__

    @functools.wraps(inner)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        declared = fields(made)
        known = [item.name for item in declared]
        require_known(made.__name__, kwargs, known)
        needed = [f.name for f in declared if f.default is MISSING and f.default_factory is MISSING]
        require_given(made.__name__, kwargs, needed)
        forms = forms_of(made)
        for name, value in kwargs.items():
            if name in forms:
                forms[name].check(value, name)
                kwargs[name] = forms[name].settled(value)
        inner(self, *args, **kwargs)

    made.__init__ = checked
    return made  # type: ignore[no-any-return]


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Check the arguments of a verb before it runs: unknown and missing names, choices, kinds of options.

    Raises
    ------
    InputError
        By the call, with the near names or the choices.
    """
    signature = inspect.signature(function)
    name = function.__name__

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        require_known(name, kwargs, signature.parameters)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            bound_names = list(signature.parameters)[: len(args)]
            needed = [p.name for p in signature.parameters.values() if p.default is p.empty]
            require_given(name, {**dict.fromkeys(bound_names), **kwargs}, needed)
            raise InputError(f"{name}: {error}") from None
        hints = hints_of(function)
        for key, value in bound.arguments.items():
            bound.arguments[key] = _checked(name, key, hints[key], value)
        with quiet_libraries():
            return function(*bound.args, **bound.kwargs)

    return checked


def _checked(verb_name: str, key: str, hint: Any, value: Any) -> Any:
    """An argument of a verb as it is kept.

    Images, structures and tables are checked where they are read; what a text could say is checked here.
    """
    if is_options(hint):
        if not isinstance(value, hint):
            raise InputError(f"{verb_name}: `{key}` is {hint.__name__}(...), not {value!r}")
        return value
    form = form_of(key, hint)
    sources = form.base in (Path, object) or form.text is not None or form.words_too
    if sources or (form.mixed and not isinstance(value, str | int | float)):
        return value
    form.check(value, key)
    return form.settled(value)


def require_known(where: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    """InputError that names the near ones if a name is not among the known."""
    names = list(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
            hint = f"; did you mean {' or '.join(f'`{item}`' for item in near)}?" if near else ""
            raise InputError(f"{where} has no option `{name}`{hint or '; it has ' + ', '.join(names)}")


def require_given(where: str, given: Mapping[str, Any], needed: Iterable[str]) -> None:
    """InputError that names what is missing."""
    missing = [f"`{name}`" for name in needed if name not in given]
    if missing:
        raise InputError(f"{where} needs {' and '.join(missing)}")


@functools.cache
def hints_of(thing: Any) -> dict[str, Any]:
    """Annotations of a verb or a class of options, with `Annotated` kept."""
    return get_type_hints(
        inspect.unwrap(thing) if callable(thing) and not isinstance(thing, type) else thing, include_extras=True
    )


@functools.cache
def forms_of(cls: type) -> dict[str, Form]:
    """Form of each field of a class of options; fields that are options themselves are left out."""
    hints = hints_of(cls)
    return {item.name: form_of(item.name, hints[item.name]) for item in fields(cls) if not is_options(hints[item.name])}
