"""Time-activity curves measured otherwise than by the images, from CSV or Excel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.single_point import MeasuredShape
from hepatica.errors import InputError
from hepatica.io.tables import read_table

COLUMNS = ("time_h", "activity", "sd")


def load_time_curve(path: Path) -> MeasuredShape:
    """Read a curve.

    The columns are time_h (hours after the administration), activity (any unit, not decay-corrected) and, where it is
    known, sd (standard uncertainty in the same unit).

    Raises
    ------
    InputError, TableError
        If the file is no table, a column is missing or unknown, or a number is wrong; names file, row and column.
    """
    table = read_table(path)
    if unknown := set(table.columns) - set(COLUMNS):
        raise InputError(
            f"{path}: column {sorted(unknown)[0]!r} is not known", remedy=f"the columns are {', '.join(COLUMNS)}"
        )
    check = table.check()
    times = check.numbers("time_h", at_least=0)
    values = check.numbers("activity", at_least=0)
    sds = check.numbers("sd", at_least=0) if check.has("sd") else None
    check.done()
    return MeasuredShape(tuple(times), tuple(values), None if sds is None else tuple(sds), Path(path).name)


def with_curve(time: TimeOptions) -> TimeOptions:
    """The options with the curve itself where they name its file."""
    if isinstance(time.time_curve, str | Path):
        return replace(time, time_curve=load_time_curve(Path(time.time_curve)))
    return time
