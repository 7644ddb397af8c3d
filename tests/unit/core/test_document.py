"""Documents, their schemas, and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import jsonschema
import numpy as np
import pytest

from hepatica.core import Estimate
from hepatica.core.document import HIDDEN, INLINE, document, document_schema, reported
from hepatica.core.message import Message, unique
from hepatica.core.tables.table import Table


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner:
    name: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Outer:
    colour: Colour
    dose_gy: Estimate
    place: tuple[float, float, float]
    inner: Inner = field(metadata=INLINE)
    several: tuple[Inner, ...]
    by_name: Mapping[str, float]
    kind: Literal["a", "b"]
    when: datetime | None
    path: Path
    voxels: Any = field(metadata=HIDDEN)

    @property
    @reported
    def twice(self) -> float:
        """Computed."""
        return 2 * self.dose_gy.value

    @property
    def private(self) -> float:
        """Not in the document."""
        return 0.0


def _outer(value: float = 1.0) -> Outer:
    return Outer(
        Colour.RED, Estimate(np.float64(3.0), None), (1.0, 2.0, 3.0), Inner("x", value), (Inner("y", None),),
        {"z": float("inf")}, "a", datetime(2026, 1, 2), Path("a/b"), np.zeros(3),
    )  # fmt: skip


def test_a_document_is_plain_and_finite() -> None:
    found = document(_outer(float("nan")))
    assert found == {
        "colour": "red", "dose_gy": 3.0, "dose_gy_sd": None, "place": [1.0, 2.0, 3.0], "name": "x", "value": None,
        "several": [{"name": "y", "value": None}], "by_name": {"z": None}, "kind": "a", "when": "2026-01-02T00:00:00",
        "path": "a/b", "twice": 6.0,
    }  # fmt: skip


def test_its_schema_holds_it_and_nothing_else() -> None:
    schema = document_schema(Outer)
    found = document(_outer())
    jsonschema.validate(found, schema)
    for wrong in (found | {"kind": "c"}, found | {"new": 1}, {k: v for k, v in found.items() if k != "twice"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="has no form in JSON"):
        document({"a": object()})


def test_numpy_becomes_plain() -> None:
    found = document({"n": np.int64(3), "f": np.float32(0.5), "b": np.bool_(True), "a": np.array([[1.0, np.nan]])})
    assert found == {"n": 3, "f": 0.5, "b": True, "a": [[1.0, None]]}


def test_a_table_shows_itself_and_keeps_its_numbers() -> None:
    table = Table.of(("what", "Gy"), [("liver", Estimate(40.123, 0.5)), ("lung", None)], "Doses", "doses")
    assert str(table).splitlines()[0] == "Doses"
    assert "40.12 ± 0.50" in str(table)
    assert "<td" in table._repr_html_()
    assert table.csv() == "what,Gy,Gy sd\nliver,40.123,0.5\nlung,,\n"


def test_a_message_is_worded_by_its_front_end() -> None:
    message = Message("frames-differ", "frames differ", "state `registered` if they lie together")
    assert str(message) == "frames differ; state `registered` if they lie together"
    assert message.worded(lambda name: f"--{name}").endswith("state --registered if they lie together")
    assert message.plain_text == "frames differ; state registered if they lie together"
    assert unique([message], [message]) == (message,)
