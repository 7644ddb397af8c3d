"""One patient's whole course with a file at every joint: the shared value is one number, or the difference is said."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hepatica
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.io.dicom.images.write import write_ct
from hepatica.io.dicom.seg import write_seg
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image

CONTEXT = DicomContext.invented(patient_id="JOINT-1")
GRID = Grid.axial((26, 20, 30), spacing_mm=(8.0, 8.0, 8.0)).with_frame_of_reference(CONTEXT.frame_of_reference)
BOXES = {
    "Liver": (slice(3, 19), slice(4, 18), slice(3, 15)),
    "Tumour 1": (slice(5, 9), slice(7, 11), slice(6, 10)),
    "Perfused right": (slice(3, 12), slice(4, 18), slice(3, 15)),
    "Lungs": (slice(3, 23), slice(4, 18), slice(17, 28)),
}
SHUNT, RATIO = 0.05, 4.0
CALIBRATED = datetime.fromisoformat("2026-03-08T12:00-04:00")
INJECTED = datetime.fromisoformat("2026-03-12T10:00+01:00")
SCANNED = datetime(2026, 3, 13, 10)
HALF_LIFE_H = 64.05


def mask(name: str) -> np.ndarray:
    found = np.zeros(GRID.shape, dtype=bool)
    found[BOXES[name]] = True
    return found


def uptake() -> np.ndarray:
    """Share of the activity in every voxel: T/N 4 in the right lobe, and what is shunted to the lungs."""
    liver = np.where(mask("Tumour 1"), RATIO, np.where(mask("Perfused right"), 1.0, 0.0))
    return (1 - SHUNT) * liver / liver.sum() + SHUNT * mask("Lungs") / mask("Lungs").sum()


PLAN = """
[plan]
agent = "glass"
intent = "unilobar"
indication = "HCC"
residual = "2 %"
[aims]
perfused = "100 Gy"
method = "mird"
[measured]
lung_shunt = "lsf"
tumour_to_normal = "tn"
[images]
scout = "scout.nii.gz"
ct = "ct"
structures = "structures.dcm"
engine = "local"
activity_unit = "counts"
[images.territories]
right = "Perfused right"
[[territory]]
name = "right"
[[territory.lesion]]
name = "Tumour 1"
"""


@dataclass(frozen=True)
class Course:
    """Folder of all results, and the results that the tests look at."""

    folder: Path
    plan: hepatica.PlanResult
    order: hepatica.VialOrderResult
    delivered: hepatica.DeliveredResult
    dose: hepatica.DoseResult
    concordance: hepatica.ConcordanceResult
    left: hepatica.ToleranceResult
    document: dict[str, Any]

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


def readings(vial_gbq: float, **changes: Any) -> hepatica.VialReadingOptions:
    """A vial of which 1 % stays behind, read an hour before and after the injection."""
    hour = timedelta(hours=1)
    stated = {
        "vial_gbq": (vial_gbq,), "calibrated_at": (CALIBRATED,), "administered_at": (INJECTED,),
        "reading_before_usv_per_h": (1000.0,), "reading_before_at": (INJECTED - hour,),
        "reading_after_usv_per_h": (10.0,), "reading_after_at": (INJECTED + hour,),
    }  # fmt: skip
    return hepatica.VialReadingOptions(**stated | changes)


def dose_of(folder: Path, *, nuclide: str = "Y-90", agent: str = "glass", **stated: Any) -> hepatica.DoseResult:
    options = hepatica.DoseOptions(
        images=hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=(SCANNED,)),
        quantification=hepatica.QuantificationOptions(**stated),
        clinical=hepatica.StructureOptions(agent=agent, indication="HCC", intent="unilobar"),
    )
    return hepatica.absorbed_dose(
        folder / "pet.nii.gz", ct=folder / "ct", nuclide=nuclide, structures=folder / "structures.dcm", engine="local",
        options=options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    folder = tmp_path_factory.mktemp("course")
    write_ct(folder / "ct", Volume(GRID, np.where(mask("Lungs"), -700.0, 40.0).astype(np.float32), Kind.HU), CONTEXT)
    write_itk(Volume(GRID, (1e6 * uptake()).astype(np.float32), Kind.COUNTS), folder / "scout.nii.gz")
    regions = [Region.from_coverage(name, GRID, mask(name)) for name in BOXES]
    context = read_image(folder / "ct", role="ct").context
    assert context is not None
    write_seg(folder / "structures.dcm", regions, context, image_grid=GRID)
    reading = hepatica.ScoutOptions(ct=folder / "ct", activity_unit="counts")
    drawn = folder / "structures.dcm"
    hepatica.lung_shunt(folder / "scout.nii.gz", structures=drawn, reading=reading).save(folder / "lsf")
    inside = hepatica.UptakeOptions(territory="Perfused right")
    hepatica.tumour_to_normal(folder / "scout.nii.gz", structures=drawn, reading=reading, uptake=inside).save(
        folder / "tn"
    )
    (folder / "plan.toml").write_text(PLAN)
    plan = hepatica.plan(folder / "plan.toml")
    plan.save(folder / "plan")
    order = hepatica.order_vial(administered_at=INJECTED, planned_result=folder / "plan")
    order.save(folder / "order")
    planned = hepatica.DeliveryOptions(planned_result=folder / "plan")
    delivered = hepatica.delivered_activity("Y-90", readings(order.order.vials[0].nominal_gbq), planned=planned)
    delivered.save(folder / "delivered")
    bq = delivered.delivery.total.administered_gbq.value * 1e9 * 0.5 ** (24 / HALF_LIFE_H)
    activity = Volume(GRID, (bq * uptake() / GRID.voxel_volume_ml).astype(np.float32), Kind.ACTIVITY_CONCENTRATION)
    write_itk(activity, folder / "pet.nii.gz")
    dose = dose_of(folder, administered_result=folder / "delivered")
    dose.save(folder / "dose")
    concordance = hepatica.scout_concordance(folder / "plan", folder / "dose", structures=drawn)
    left = remaining(folder / "dose")
    left.save(folder / "next")
    document = json.loads((folder / "dose" / "result.json").read_text())
    return Course(folder, plan, order, delivered, dose, concordance, left, document)


def remaining(*results: Path, **changes: Any) -> hepatica.ToleranceResult:
    coming = hepatica.NextTreatment(
        next_at=datetime(2026, 9, 1, 10), normal_dose_gy_per_gbq=20.0, tumour_dose_gy_per_gbq=80.0,
        lung_dose_gy_per_gbq=3.0, agent="glass",
    )  # fmt: skip
    given = hepatica.DoseResultOptions(dose_results=results)
    return hepatica.remaining_tolerance(
        **{"coming": coming, "tolerance_bed_gy": 400.0, "territory": "right", "results": given} | changes
    )


def codes(messages: Iterable[Message]) -> list[str]:
    return [m.code for m in messages]


def text_of(result: hepatica.Result, code: str) -> str:
    found = [m.text for m in result.messages if m.code == code]
    assert len(found) == 1, codes(result.messages)
    return found[0]
