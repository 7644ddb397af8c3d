"""Docstrings call the package by its name, as a user does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

import hepatica


@pytest.fixture(autouse=True)
def _name_of_the_package(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(hepatica=hepatica, np=np, datetime=datetime, UTC=UTC)
