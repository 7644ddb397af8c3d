"""Numbers of a table: three significant digits on the screen, all of them in the file."""

import pytest

from hepatica.core import Estimate
from hepatica.core.tables.table import Cell, Table, Unstated


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0.2583, "0.258"),
        (0.99951, "1.00"),
        (0.9951, "0.995"),
        (1.0, "1.00"),
        (0.0123456, "0.0123"),
        (-0.2583, "-0.258"),
        (12.345, "12.3"),
        (1234.5, "1234"),
        (0.0, "0"),
        (float("nan"), "–"),
        (Estimate(0.2583), "0.258"),
        (Estimate(0.2583, 0.012), "0.258 ± 0.012"),
        (3, "3"),
        (None, "–"),
    ],
)
def test_a_cell_shows_three_significant_digits(cell: Cell, text: str) -> None:
    table = Table.of(("activity, GBq",), [(cell,)])
    assert table.shown() == ((text,),)
    if isinstance(cell, float) and text != "–":
        assert table.csv().splitlines()[1] == repr(cell)


def test_a_value_whose_uncertainty_is_not_stated_is_no_bare_number() -> None:
    table = Table.of(("dose, Gy",), [[Estimate(62.0, 1.5)], [Unstated(0.448)]])
    assert "0.448 ± not stated" in str(table)
    assert table.numeric() == (True,)
    assert table.csv().splitlines()[1:] == ["62.0,1.5", "0.448,not stated"]
