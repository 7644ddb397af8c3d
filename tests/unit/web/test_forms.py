"""A table of the forms that is sent again, because a server that was killed had done it and could not say so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from case_makers import stated_case
from hepatica.errors import OutputError
from hepatica.web.routes.forms import Rows, keep_table

HEADS = ["patient", "date", "bilirubin_mg_dl", "albumin_g_dl"]


def labs(bilirubin: str, instead_of: str) -> Rows:
    return Rows(heads=HEADS, rows=[["Erika Mustermann", "2026-03-01", bilirubin, "4.0"]], instead_of=instead_of)


def test_a_table_sent_again_after_its_answer_was_lost_is_no_conflict(tmp_path: Path) -> None:
    case = stated_case(tmp_path / "case")
    bench: Any = SimpleNamespace(desk={"k": SimpleNamespace(case=case, situation=case.situation)})

    def used() -> list[str]:
        return [item.name for item in case.situation().catalogue.of("labs")]

    (first,) = keep_table("k", "labs", labs("0.9", ""), bench)["items"]
    (second,) = keep_table("k", "labs", labs("1.1", first), bench)["items"]
    assert keep_table("k", "labs", labs("1.1", first), bench) == {"items": [], "known": [second]}
    assert used() == [second]
    # The server was killed before the table that was used had been set aside.
    case.take(first, "labs", treatment=0)
    assert used() == [first, second]
    assert keep_table("k", "labs", labs("1.1", first), bench) == {"items": [], "known": [second]}
    assert used() == [second]
    with pytest.raises(OutputError, match="changed elsewhere"):
        keep_table("k", "labs", labs("1.2", first), bench)
