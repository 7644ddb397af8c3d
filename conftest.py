"""Docstrings call the package by its name, as a user does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hepatica


@pytest.fixture(autouse=True)
def _name_of_the_package(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(hepatica=hepatica, np=np, datetime=datetime, UTC=UTC)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Modules of the package without an example in a docstring are not searched for one, by each worker anew."""
    if collection_path.suffix == ".py" and Path(__file__).parent / "src" in collection_path.parents:
        return True if ">>>" not in collection_path.read_text(encoding="utf-8") else None
    return None
