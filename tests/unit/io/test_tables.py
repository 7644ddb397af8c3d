"""Tables: delimiters, Excel, faults with row and column."""

from datetime import date, datetime
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from hepatica.core.tables.table import Table
from hepatica.errors import InputError, TableError
from hepatica.io.tables import as_table, read_table


def test_semicolons_mean_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1,5;x\n2.5;y\n", encoding="utf-8-sig")
    check = read_table(path).check()
    assert check.numbers("a") == [1.5, 2.5]
    assert check.texts("b") == ["x", "y"]
    check.done()


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.200", "3,5"], [1200.0, 3.5]),
        (["1.234.567", "0,25"], [1234567.0, 0.25]),
        (["1.200,5", "1.100"], [1200.5, 1100.0]),
        (["1.200", "2.5"], [1.2, 2.5]),
        (["0.125", "1.200"], [0.125, 1.2]),
        (["1200", "900"], [1200.0, 900.0]),
        (["12.000.000", "1"], [12e6, 1.0]),
    ],
)
def test_points_between_thousands(tmp_path: Path, cells: list[str], expected: list[float]) -> None:
    path = tmp_path / "t.csv"
    path.write_text("days;event\n" + "".join(f"{cell};1\n" for cell in cells))
    check = read_table(path).check()
    assert check.numbers("days") == expected
    check.done()


@pytest.mark.parametrize("cells", [["1.200", "900"], ["1.200", "2.5", "3,5"]])
def test_points_that_may_be_either_are_refused(tmp_path: Path, cells: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text("days;event\n" + "".join(f"{cell};1\n" for cell in cells))
    check = read_table(path).check()
    check.numbers("days")
    with pytest.raises(TableError, match=r"row 2, column 'days': '1.*' may be 1\d+ or have a decimal point"):
        check.done()


def test_row_numbers_count_the_header_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n\nx\n")
    check = read_table(path).check()
    check.numbers("a")
    with pytest.raises(TableError, match=r"t\.csv: row 4, column 'a': 'x' is not a number"):
        check.done()


def test_excel(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["dose_gy", "cr"])
    book.active.append([120.5, True])
    book.active.append([3, 0])
    path = tmp_path / "t.xlsx"
    book.save(path)
    check = read_table(path).check()
    assert check.numbers("dose_gy") == [120.5, 3.0]
    assert check.yes_no("cr") == [1.0, 0.0]
    book.create_sheet("more")
    book.save(path)
    with pytest.raises(InputError, match=r"has sheets Sheet, more; name one of them \(`?sheet`?\)"):
        read_table(path)
    with pytest.raises(InputError, match="has no sheet 'x'"):
        read_table(path, sheet="x")
    assert len(read_table(path, sheet="Sheet")) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "header row"),
        ("a,b\n", "header row"),
        ("a,a\n1,2\n", "'a' is there twice"),
        ("a,,b\n1,2,3\n", "column 2 has no name"),
        ("a,b\n1,2,3\n", "row 2: has more cells"),
    ],
)
def test_broken_tables(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_table(path)


@pytest.mark.parametrize("cell", ["1e308", "-1e16", "1e-80", "5e-324"])
def test_a_number_out_of_all_proportion_is_named(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"dose_gy\n0\n{cell}\n-1e15\n")
    check = read_table(path).check()
    check.numbers("dose_gy")
    with pytest.raises(TableError, match=f"row 3, column 'dose_gy': '{cell}' is out of all proportion"):
        check.done()


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(InputError, match=r"not \.json"):
        read_table(tmp_path / "t.json")
    (tmp_path / "t.xlsx").write_text("no zip")
    with pytest.raises(InputError, match="is not an Excel workbook"):
        read_table(tmp_path / "t.xlsx")
    (tmp_path / "t.csv").write_bytes(b"a\n\xff\xfe\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_table(tmp_path / "t.csv")


def test_written_table_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(Table.of(("a", "b"), [(1.5, None), (2, "x, y")]).csv(), encoding="utf-8")
    check = read_table(path).check()
    assert check.numbers("a") == [1.5, 2.0]
    assert check.table.columns["b"] == ("", "x, y")


def test_a_value_is_as_good_as_a_file(tmp_path: Path) -> None:
    rows = [
        {"patient": "A", "dose_gy": 0.1 + 0.2, "dead": True, "seen": datetime(2026, 3, 1, 9), "n": np.int64(3)},
        {"patient": "B", "dose_gy": np.float32(2.5), "dead": 0, "seen": date(2026, 3, 2), "n": None},
    ]
    for source in (rows, tuple(rows), pd.DataFrame(rows), as_table(rows)):
        table = as_table(source)
        assert (table.path, table.name, table.inputs, table.rows) == (None, "table", (), (1, 2))
        check = table.check()
        assert check.numbers("dose_gy") == [0.1 + 0.2, 2.5]
        assert check.yes_no("dead") == [1.0, 0.0]
        assert check.dates("seen") == [date(2026, 3, 1), date(2026, 3, 2)]
        assert check.numbers("n", optional=True) == pytest.approx([3.0, float("nan")], nan_ok=True)
        check.done()
        check.numbers("n")
        with pytest.raises(TableError, match="table: row 2, column 'n': is empty"):
            check.done()
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    assert as_table(path).inputs[0].path == str(path)


def test_what_is_no_table_is_refused() -> None:
    for wrong, message in (
        ([], "list without rows"),
        ([1, 2], "not list"),
        (3, "not int"),
        (np.zeros(3), "not ndarray"),
        ({"a": [1]}, "not dict"),
    ):
        with pytest.raises(InputError, match=message):
            as_table(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="this table is no file"):
        as_table([{"a": 1}], sheet="x")
    with pytest.raises(TableError, match="column 'a' is there twice"):
        as_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))
