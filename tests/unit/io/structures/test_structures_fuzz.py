"""Damaged structure and dose files: a HepaticaError or an answer, never another exception, never a hang."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.errors import HepaticaError
from hepatica.io.dicom.rtdose import read_rtdose, write_rtdose
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.io.structures.regions import read_structures

GRID = Grid.axial((16, 14, 8), spacing_mm=(3, 4, 5), frame_of_reference="1.2.3.4")

edits = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["set", "drop", "insert", "cut"]), st.integers(0, 255)),
    min_size=1,
    max_size=6,
)


def damaged(data: bytes, what: list[tuple[float, str, int]]) -> bytes:
    for place, kind, byte in what:
        at = 132 + int(place * max(0, len(data) - 133))
        if kind == "set":
            data = data[:at] + bytes([byte]) + data[at + 1 :]
        elif kind == "drop":
            data = data[:at] + data[at + 1 + byte % 8 :]
        elif kind == "insert":
            data = data[:at] + bytes([byte]) * (1 + byte % 4) + data[at:]
        elif byte < 64:
            data = data[:at]
    return data


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("fuzz")
    context = DicomContext.invented(slices=8)
    grid = GRID.with_frame_of_reference(context.frame_of_reference)
    values = np.zeros(grid.shape)
    values[4:10, 3:9, 2:6] = 1
    regions = [Region.from_coverage("Liver", grid, values), Region.from_coverage("Lung", grid, np.roll(values, 3, 0))]
    write_rtstruct(folder / "rs", regions, context, image_grid=grid)
    write_seg(folder / "seg", regions, context)
    write_seg(folder / "fractional", regions, context, fractional=True)
    write_rtdose(folder / "dose", Volume(grid, values, Kind.DOSE), context)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["rs", "seg", "fractional", "dose"])
@settings(
    max_examples=60,
    deadline=5000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(what=edits)
def test_damage(originals: dict[str, bytes], tmp_path: Path, kind: str, what: list[tuple[float, str, int]]) -> None:
    path = tmp_path / "damaged.dcm"
    path.write_bytes(damaged(originals[kind], what))
    grid = GRID.with_frame_of_reference(None)
    with contextlib.suppress(HepaticaError):
        if kind == "dose":
            assert np.isfinite(read_rtdose(path).volume.values).all()
        else:
            for region in read_structures(path, grid).regions:
                assert region.volume_ml >= 0
