"""What becomes of a refused statistic: a warning beside the others, or an error that names file and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hepatica.errors import EvidenceError


def unless_refused(compute: Callable[[], Any], warnings: list[str]) -> Any:
    """Result, or None with the refusal as a warning."""
    try:
        return compute()
    except EvidenceError as refusal:
        warnings.append(str(refusal))
        return None


@contextmanager
def refusals_of(path: Path, *columns: str) -> Iterator[None]:
    """Name file and columns in a refusal raised inside the block."""
    try:
        yield
    except EvidenceError as refusal:
        raise EvidenceError(f"{path}, columns {', '.join(columns)}: {refusal}") from refusal
