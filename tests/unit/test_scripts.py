"""What no test runs, benchmarks and tools, still finds what it imports after a move in the package."""

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path for folder in ("benchmarks", "tools") for path in (ROOT / folder).rglob("*.py"))
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OWN = SETTINGS["tool"]["pytest"]["ini_options"]["pythonpath"]
"""Folders whose modules scripts import by their bare names."""


def imported(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of everything that is imported, wherever in the file; the name is empty for a module.

    What stands after ``except ImportError`` is for an older checkout, with which two benchmarks compare this one.
    """
    front_door = set()
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    handlers = [node for node in handlers if isinstance(node.type, ast.Name) and node.type.id == "ImportError"]
    older = {id(node) for handler in handlers for node in ast.walk(handler)}
    for node in ast.walk(tree):
        if id(node) in older:
            continue
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
            front_door |= {alias.asname or alias.name for alias in node.names if alias.name == "hepatica"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in front_door:
            yield node.lineno, "hepatica", node.attr


def is_there(module: str, name: str) -> bool:
    """Whether the package has the module, and the module the name (or a module of that name)."""
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name and not missing.name.startswith("hepatica"):
            raise  # a library that is not installed is no stale import
        return False
    return not name or hasattr(found, name) or (hasattr(found, "__path__") and is_there(f"{module}.{name}", ""))


def own_file(module: str) -> Path | None:
    """File of a module of this project outside the package."""
    parts = module.replace(".", "/")
    places = [ROOT / folder / (parts + end) for folder in OWN for end in (".py", "/__init__.py")]
    return next((path for path in places if path.is_file()), None)


def names_of(path: Path) -> set[str]:
    """What a file has at its top level, and the modules beside it if it is a package."""
    found = {other.stem for other in path.parent.iterdir()} if path.name == "__init__.py" else set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return found


def stale(tree: ast.Module) -> list[str]:
    """Imports of this project that lead nowhere."""
    found = []
    for line, module, name in imported(tree):
        if module.partition(".")[0] == "hepatica":
            good = is_there(module, name)
        elif (path := own_file(module)) is not None:
            good = not name or name in names_of(path)
        else:
            continue
        if not good:
            found.append(f"line {line}: {module} {name}".rstrip())
    return found


def test_there_are_scripts_that_import_the_package() -> None:
    seen = [module for path in SCRIPTS for _, module, _ in imported(ast.parse(path.read_text(encoding="utf-8")))]
    assert len(SCRIPTS) > 50
    assert sum(module.startswith("hepatica") for module in seen) > 200


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_script_imports_is_there(path: Path) -> None:
    assert not stale(ast.parse(path.read_text(encoding="utf-8")))


def test_a_stale_import_would_be_seen() -> None:
    text = """
import hepatica
import hepatica.moved_away
from hepatica.core import Grid, Gird
from hepatica.core.grid_of_old import Grid
from command_line import hepatica as entry_point, nothing
def main():
    from hepatica.workflow import dose
    hepatica.absorbed_dose, hepatica.absorbed_dosis
try:
    from hepatica.core import Grid
except ImportError:
    from hepatica.core import OlderGrid
"""
    assert stale(ast.parse(text)) == [
        "line 3: hepatica.moved_away", "line 4: hepatica.core Gird", "line 5: hepatica.core.grid_of_old Grid",
        "line 6: command_line nothing", "line 9: hepatica absorbed_dosis",
    ]  # fmt: skip


def test_scripts_that_are_named_are_there() -> None:
    """A page, the Makefile or a table's source that names a script names one that is there."""
    named = re.compile(r"\b(?:tools|benchmarks)/[\w/]+\.(?:py|toml)\b")
    pages = [*ROOT.glob("*.md"), ROOT / "Makefile", *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.toml")]
    pages = [page for page in pages if page.name != "CHANGELOG.md"]
    gone = {
        f"{page.relative_to(ROOT)}: {script}"
        for page in pages
        for script in named.findall(page.read_text(encoding="utf-8"))
        if not (ROOT / script).is_file()
    }
    assert not gone
