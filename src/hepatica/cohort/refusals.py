"""A statistic that the data refuse names the table and its columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hepatica.errors import EvidenceError
from hepatica.io.tables import Table


@contextmanager
def refusals_of(table: Table, *columns: str) -> Iterator[None]:
    """Name table and columns in a refusal raised inside the block."""
    try:
        yield
    except EvidenceError as refusal:
        raise EvidenceError(f"{table.name}, columns {', '.join(columns)}: {refusal}") from refusal
