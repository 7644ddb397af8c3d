"""Typed columns of a table and what is wrong with them."""

import math
from datetime import date

import pytest

from hepatica.core.tables.input_table import InputTable
from hepatica.errors import HepaticaError

TABLE = InputTable(
    None, {"start": ("2025-01-01", "2025-03-01", "2025-01-01"), "end": ("2026-01-01", "2025-02-01", "")}, (2, 3, 4)
)


def test_months_between_two_dates() -> None:
    check = TABLE.check()
    months = check.months_between("start", "end")
    # 365 days are 365 / 30.4375 = 11.99179 months; 28 days before the start are a fault
    assert months[0] == pytest.approx(11.99179, rel=1e-6)
    assert math.isnan(months[2])
    assert check.faults == [
        "row 4, column 'end': is empty",
        "row 3, column 'end': 2025-02-01 is before 2025-03-01 in column 'start'",
    ]
    with pytest.raises(HepaticaError, match="is before"):
        check.done()


def test_a_missing_date_is_a_fault_unless_it_may_be_missing() -> None:
    check = TABLE.check()
    assert check.dates("end", optional=True) == [date(2026, 1, 1), date(2025, 2, 1), None]
    check.done()
    check.dates("end")
    assert check.faults == ["row 4, column 'end': is empty"]
