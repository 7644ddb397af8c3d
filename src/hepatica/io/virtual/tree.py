"""Vascular trees as text that other programs read: a table, and VTK polydata (ParaView, 3D Slicer)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.text.visible import csv_text
from hepatica.errors import GeometryError, OutputError
from hepatica.io.files import atomic_output, write_text

Columns = Mapping[str, Sequence[Any] | NDArray[Any]]


def write_tree_csv(path: Path | str, start_mm: ArrayLike, end_mm: ArrayLike, columns: Columns) -> Path:
    """One row a branch: number, start and end in LPS mm, then the columns given.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    start_mm, end_mm : array_like, shape (n, 3)
        Ends of the branches, LPS mm.
    columns : mapping of str to sequence
        Further values, one a branch; names carry the unit.

    Raises
    ------
    GeometryError
        If a column has another length than there are branches.
    OutputError
        If the file cannot be written.
    """
    start, end = _checked(start_mm, end_mm, columns)
    names = [f"{which}_{axis}_mm" for which in ("start", "end") for axis in "xyz"]
    rows: list[list[Any]] = [["branch", *names, *columns]]
    for n, (a, b) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        row = [values[n] for values in columns.values()]
        rows.append([n, *(f"{c:.4f}" for c in (*a, *b)), *(_cell(value) for value in row)])
    with atomic_output(path) as temporary:
        write_text(temporary, csv_text(rows))
    return Path(path)


def write_tree_vtk(
    path: Path | str, start_mm: ArrayLike, end_mm: ArrayLike, columns: Columns, *, title: str = "arteries"
) -> Path:
    """Legacy VTK polydata in text: a line a branch, numeric columns as cell data; LPS mm, as DICOM.

    Parameters
    ----------
    path, start_mm, end_mm, columns
        As for `write_tree_csv`; columns of text are left out.
    title : str
        Second line of the file.

    Raises
    ------
    GeometryError
        If a column has another length than there are branches.
    OutputError
        If the name does not end in .vtk, or the file cannot be written.
    """
    start, end = _checked(start_mm, end_mm, columns)
    if Path(path).suffix.lower() != ".vtk":
        raise OutputError(f"{path}: the name must end in .vtk")
    number = len(start)
    points = np.stack([start, end], axis=1).reshape(-1, 3)
    lines = ["# vtk DataFile Version 3.0", f"{title} (LPS, mm)"[:256], "ASCII", "DATASET POLYDATA"]
    lines.append(f"POINTS {2 * number} double")
    lines.extend(" ".join(f"{c:.4f}" for c in point) for point in points.tolist())
    lines.append(f"LINES {number} {3 * number}")
    lines.extend(f"2 {2 * n} {2 * n + 1}" for n in range(number))
    lines.append(f"CELL_DATA {number}")
    for name, values in columns.items():
        array = np.asarray(values)
        if array.dtype.kind in "biuf":
            lines.extend([f"SCALARS {name} double 1", "LOOKUP_TABLE default"])
            lines.extend(f"{value:.9g}" for value in array.astype(float).tolist())
    with atomic_output(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")
    return Path(path)


def _checked(
    start_mm: ArrayLike, end_mm: ArrayLike, columns: Columns
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    start, end = np.asarray(start_mm, dtype=np.float64), np.asarray(end_mm, dtype=np.float64)
    if start.ndim != 2 or start.shape != end.shape or start.shape[1] != 3:
        raise GeometryError(f"a tree needs starts and ends of shape (n, 3), not {start.shape} and {end.shape}")
    for name, values in columns.items():
        if len(values) != len(start):
            raise GeometryError(f"column {name!r} has {len(values)} values for {len(start)} branches")
    return start, end


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
