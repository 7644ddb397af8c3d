"""The house rules that no linter holds."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hepatica

SOURCE = Path(hepatica.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
GEOMETRY_TAGS = re.compile(
    r"\b(PixelSpacing|ImageOrientationPatient|ImagePositionPatient|SpacingBetweenSlices|GridFrameOffsetVector)\b"
)


def test_there_is_something_to_check() -> None:
    assert len(FILES) > 10


def test_only_geometry_knows_the_geometry_tags() -> None:
    guilty = []
    for path in FILES:
        if path.relative_to(SOURCE).as_posix() == "io/dicom/geometry.py":
            continue
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        if any(GEOMETRY_TAGS.fullmatch(name) for name in names):
            guilty.append(path)
    assert not guilty


def test_the_geometry_rule_would_catch_one() -> None:
    tree = ast.parse("spacing = dataset.PixelSpacing")
    names = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert any(GEOMETRY_TAGS.fullmatch(name) for name in names)


def test_files_stay_readable() -> None:
    long = {path.name: n for path in FILES if (n := len(path.read_text().splitlines())) > 600}
    assert not long


@pytest.mark.parametrize("path", [f for f in FILES if f.name == "__init__.py"], ids=lambda p: p.parent.name)
def test_declared_names_exist(path: Path) -> None:
    parts = path.parent.relative_to(SOURCE.parent).parts
    module = importlib.import_module(".".join(parts))
    for name in getattr(module, "__all__", []):
        assert hasattr(module, name), f"{module.__name__}.__all__ names {name}, which is not there"


HEAVY = ("scipy", "pydicom", "SimpleITK", "matplotlib", "warp", "pint", "highdicom", "reportlab", "pandas", "rich")


@pytest.mark.parametrize("arguments", [["-c", "import hepatica"], ["-m", "hepatica", "--help"]])
def test_heavy_libraries_load_only_where_they_are_used(arguments: list[str]) -> None:
    # Wall time is too noisy to test; what makes it slow is not.
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "hepatica" in loaded
    assert not loaded & set(HEAVY)


def test_nothing_half_said_in_the_library() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno}: bare except"
                swallowed = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
                broad = isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
                assert not (swallowed and broad), f"{path}:{node.lineno}: swallowed error"
