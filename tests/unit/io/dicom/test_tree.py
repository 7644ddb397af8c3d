import csv
from pathlib import Path

import numpy as np
import pytest

from hepatica.errors import GeometryError, OutputError
from hepatica.io.virtual.tree import write_tree_csv, write_tree_vtk

START = [[0.0, 0.0, 0.0], [1.0, 2.0, 3.5], [1.0, 2.0, 3.5]]
END = [[1.0, 2.0, 3.5], [2.0, 2.0, 4.0], [0.0, 5.0, 4.0]]
COLUMNS = {"parent": np.array([-1, 0, 0]), "radius_mm": np.array([1.5, 1.2, 1.0]), "name": ("proper, hepatic", "", "")}


def test_table(tmp_path: Path) -> None:
    write_tree_csv(tmp_path / "tree.csv", START, END, COLUMNS)
    with (tmp_path / "tree.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["name"] == "proper, hepatic"
    assert [float(rows[2][f"end_{axis}_mm"]) for axis in "xyz"] == END[2]
    assert [int(row["parent"]) for row in rows] == [-1, 0, 0]


def test_polydata(tmp_path: Path) -> None:
    lines = write_tree_vtk(tmp_path / "tree.vtk", START, END, COLUMNS).read_text().splitlines()
    assert lines[:4] == ["# vtk DataFile Version 3.0", "arteries (LPS, mm)", "ASCII", "DATASET POLYDATA"]
    points = np.array([line.split() for line in lines[5:11]], dtype=float)
    np.testing.assert_array_equal(points[1::2], END)
    assert lines[11:13] == ["LINES 3 9", "2 0 1"]
    assert "SCALARS radius_mm double 1" in lines
    assert not any("name" in line for line in lines)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="2 values for 3 branches"):
        write_tree_csv(tmp_path / "tree.csv", START, END, {"flow": [1, 2]})
    with pytest.raises(GeometryError, match=r"shape \(n, 3\)"):
        write_tree_vtk(tmp_path / "tree.vtk", START, END[:2], {})
    with pytest.raises(OutputError, match=r"\.vtk"):
        write_tree_vtk(tmp_path / "tree.obj", START, END, {})
    assert not list(tmp_path.iterdir())
