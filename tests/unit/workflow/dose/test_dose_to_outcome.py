"""What a dose writes is what response and concordance read: the same structures, in one frame of reference."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from hepatica.anatomy.structures.clinical import StructureOptions
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.core.image import Image
from hepatica.io.dicom.images.write import write_ct
from hepatica.workflow.dose.absorbed_dose import absorbed_dose
from hepatica.workflow.dose.comparison import compare_doses
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.dose.result import DoseResult
from hepatica.workflow.outcome.segmented import segmented_response
from hepatica.workflow.planning.concordance import scout_concordance

GRID = Grid.axial((30, 26, 22), spacing_mm=(6, 6, 6), origin_mm=(0, 0, 0))
X, Y, Z = np.indices(GRID.shape) * 6.0


def ball(x: float, y: float, z: float, radius_mm: float) -> np.ndarray:
    return (X - x) ** 2 + (Y - y) ** 2 + (Z - z) ** 2 <= radius_mm**2


MASKS = {
    "Leber": ball(80, 75, 60, 50),
    "Läsion 1": ball(60, 75, 60, 18),
    "Läsion 2": ball(105, 80, 60, 14),
    "Lungs": (Z > 114) & (Y > 20),
    "body": Z > 0,
}


def treated(ct: Path, share: float, *, shrunk: float = 1.0) -> DoseResult:
    """A dose of 90Y with a share of the liver's activity in the second lesion; lesions shrink about their centres."""
    masks = dict(MASKS) | {
        "Läsion 1": ball(60, 75, 60, 18 * shrunk),
        "Läsion 2": ball(105, 80, 60, 14 * shrunk),
    }
    values = 0.2 * masks["Leber"] + (1 - share) * 3 * MASKS["Läsion 1"] + share * 3 * MASKS["Läsion 2"]
    activity = Image.from_array(1e6 * values, unit="Bq/mL", grid=GRID, time=datetime(2026, 3, 2, 10))
    regions = [Region.from_coverage(name, GRID, mask) for name, mask in masks.items()]
    options = DoseOptions(clinical=StructureOptions(agent="glass", indication="ICC", intent="bilobar"))
    return absorbed_dose(activity, ct=ct, nuclide="Y-90", structures=regions, engine="local", options=options)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two treatments on a CT without a frame of reference; after the second the lesions are smaller."""
    folder = tmp_path_factory.mktemp("doses")
    hu = np.where(MASKS["Lungs"], -750.0, 50.0).astype(np.float32)
    context = DicomContext.invented(patient_id="A")
    write_ct(folder / "ct", Volume(GRID.with_frame_of_reference(context.frame_of_reference), hu, Kind.HU), context)
    for path in (folder / "ct").iterdir():
        ds = pydicom.dcmread(path)
        del ds.FrameOfReferenceUID
        ds.save_as(path)
    treated(folder / "ct", 0.5).save(folder / "planned")
    treated(folder / "ct", 0.0, shrunk=0.6).save(folder / "delivered")
    return {name: folder / name for name in ("ct", "planned", "delivered")}


def test_all_dicom_of_two_results_lies_in_one_frame(saved: dict[str, Path]) -> None:
    files = [path for name in ("planned", "delivered") for path in saved[name].glob("*.dcm")]
    assert len(files) == 6
    assert len({pydicom.dcmread(path, stop_before_pixels=True).FrameOfReferenceUID for path in files}) == 1
    found = compare_doses(saved["planned"], saved["delivered"])
    assert found.table().rows


@pytest.mark.parametrize("file", ["structures-seg.dcm", "structures.dcm"])
def test_response_counts_the_lesions_of_a_dose_alone(saved: dict[str, Path], file: str) -> None:
    image = {} if "seg" in file else {"before_image": saved["ct"], "after_image": saved["ct"]}
    found = segmented_response(saved["planned"] / file, saved["delivered"] / file, **image)
    assert [lesion.name for lesion in found.lesions] == ["Läsion 1", "Läsion 2"]
    assert found.new_lesions == ()
    assert set(found.all_lesions.values()) == {"PR"}
    assert found.not_lesions == {
        "Leber": "liver", "Lungs": "lung", "body": "body", "all tumours": "all_tumours",
        "liver minus tumours": "normal_liver",
    }  # fmt: skip


@pytest.mark.parametrize("file", ["structures-seg.dcm", "structures.dcm"])
def test_concordance_reads_what_a_dose_wrote(saved: dict[str, Path], file: str) -> None:
    found = scout_concordance(saved["planned"], saved["delivered"], structures=saved["planned"] / file)
    rows = {row.name: row for row in found.concordance.structures}
    assert list(rows) == ["Läsion 1", "Läsion 2", "normal liver"]
    # Half of it went to each; now the first has twice as much, and the second what the liver has.
    assert rows["Läsion 1"].delivered_dose_mean_gy / rows["Läsion 1"].planned_dose_mean_gy == pytest.approx(
        3.2 / 1.7, rel=0.02
    )
    assert rows["Läsion 2"].verdict == "lost"
    assert found.concordance.catheter_position_changed
    assert "Läsion 2" in found.messages[-1].text


def test_goals_are_those_of_the_patient(saved: dict[str, Path]) -> None:
    found = treated(saved["ct"], 0.5)
    goals = {
        (row.limit_gy, row.applies) for row in found.limits if row.comparison == ">=" and row.structure == "Läsion 1"
    }
    assert goals == {(260.0, True), (205.0, False), (250.0, False), (189.0, False)}
    assert "goals-of-every-indication" not in {message.code for message in found.messages}
