"""What `hepatica` names is what it has, what its verbs take and give, and nothing else."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hepatica
from hepatica.core.options.declare import hints_of
from hepatica.core.options.kinds import is_options
from hepatica.front_door import GROUPS, VERBS, Verb, verb_named
from hepatica.workflow.schema import result_class

INIT = Path(hepatica.__file__)


def named_for_type_checkers() -> set[str]:
    """Names that mypy and editors see: those imported under ``if TYPE_CHECKING``."""
    (block,) = (
        node
        for node in ast.parse(INIT.read_text()).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )
    return {
        alias.asname or alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def options_within(hint: Any) -> Iterator[type]:
    """Classes of options that an annotation names, and those within them."""
    for inner in typing.get_args(hint):
        yield from options_within(inner)
    if is_options(hint):
        yield hint
        for item in dataclasses.fields(hint):
            yield from options_within(hints_of(hint)[item.name])


def test_every_name_is_there_and_listed_once() -> None:
    assert sorted(hepatica.__all__) == sorted(set(hepatica.__all__))
    for name in hepatica.__all__:
        assert getattr(hepatica, name) is not None, name


def test_dir_is_what_is_named() -> None:
    assert dir(hepatica) == sorted(hepatica.__all__)


def test_type_checkers_see_the_same_names() -> None:
    assert named_for_type_checkers() | {"__version__"} == set(hepatica.__all__) | {"__version__"}


def test_every_class_comes_from_where_its_name_says() -> None:
    for name in hepatica.__all__:
        thing = getattr(hepatica, name)
        if inspect.isclass(thing):
            assert thing.__name__ == name
            assert getattr(importlib.import_module(thing.__module__), name) is thing


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.function)
def test_a_verb_is_a_function_a_command_and_one_line(verb: Verb) -> None:
    function = verb.load()
    assert getattr(hepatica, verb.function) is function
    assert verb.function in hepatica.__all__
    assert (inspect.getdoc(function) or "").partition("\n")[0] == verb.summary
    assert len(verb.summary) < 112
    assert verb.group in GROUPS
    assert verb_named(verb.command) is verb_named(verb.function) is verb


def test_no_function_and_no_command_is_named_twice() -> None:
    assert len({verb.function for verb in VERBS}) == len({verb.command for verb in VERBS}) == len(VERBS)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.function)
def test_what_a_verb_gives_and_takes_is_named(verb: Verb) -> None:
    given = result_class(verb.load())
    assert given.verb == verb.function
    assert getattr(hepatica, given.__name__) is given
    hints = hints_of(verb.load())
    for cls in (cls for name, hint in hints.items() if name != "return" for cls in options_within(hint)):
        assert cls.__name__ in hepatica.__all__
        assert getattr(hepatica, cls.__name__) is cls


def test_functions_that_are_no_verbs_are_few() -> None:
    functions = {name for name in hepatica.__all__ if inspect.isroutine(getattr(hepatica, name))}
    others = functions - {verb.function for verb in VERBS}
    assert others == {"agent", "gamma_camera", "nuclide", "read_image", "read_structures", "scan", "schema"}


def test_a_misspelt_name_gives_the_near_ones() -> None:
    with pytest.raises(AttributeError, match="no attribute 'absorbed_doze'; did you mean absorbed_dose"):
        _ = hepatica.absorbed_doze
    with pytest.raises(AttributeError, match=r"no attribute 'xyzzy'$"):
        _ = hepatica.xyzzy


def test_what_is_not_named_is_not_there() -> None:
    with pytest.raises(AttributeError):
        _ = hepatica.DoseEngine


def test_importing_loads_no_heavy_library() -> None:
    heavy = ("numpy", "scipy", "SimpleITK", "pydicom", "matplotlib", "warp", "cyclopts", "rich", "pint")
    code = f"import sys, hepatica; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_type_checker_finds_a_misspelt_name_and_option(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import hepatica\n"
        "hepatica.absorbd_dose('x')\n"
        "hepatica.release('I-131', 2.2, agnet='lipiodol')\n"
        "hepatica.QuantificationOptions(administred_bq=1e9)\n"
        "hepatica.release('I-131', 2.2, agent='lipiodol')\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
    lines = [int(line.split(":")[1]) for line in done.stdout.splitlines() if line.startswith(str(script.name))]
    assert sorted(set(lines)) == [2, 3, 4], done.stdout
