"""What verbs that answer from a table share."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.table import Table


def reading_table(sentences: Sequence[str]) -> tuple[Table, ...]:
    """What the numbers say, one sentence a row; no table without any."""
    if not sentences:
        return ()
    return (Table.of(("what it says",), [(sentence,) for sentence in sentences], "", "reading"),)
