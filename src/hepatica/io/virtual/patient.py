"""A virtual patient in files: DICOM as scanners write it, and the truth beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.named import DRAWN, SEGMENTED, drawn, label_map
from hepatica.anatomy.virtual_patient.patient import VirtualPatient
from hepatica.core.context import DicomContext
from hepatica.io.dicom.images.write import Emission, write_ct, write_nm, write_pet
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.io.itk import write_itk
from hepatica.io.virtual.tree import write_tree_csv, write_tree_vtk
from hepatica.nuclides import agent, nuclide

SCAN_S = 1800.0


def write_patient_dicom(folder: Path, patient: VirtualPatient, context: DicomContext, scanned_at: datetime) -> None:
    """Write ``ct/``, ``emission/`` (PET for 90Y, else a reconstructed NM image), ``rtstruct.dcm`` and ``seg.dcm``."""
    t, concentration = patient.treatment, patient.concentration(scanned_at)
    hu = patient.ct.with_values(patient.ct.values, time=scanned_at)
    ct_context = write_ct(folder / "ct", hu, context, description="Virtual CT")
    windows = [mode for mode in nuclide(t.nuclide).imaging if mode.mode.startswith("spect") and mode.windows_kev]
    emission = Emission(
        nuclide=t.nuclide,
        start=scanned_at,
        frame_duration_s=SCAN_S,
        administered_bq=t.activity_bq,
        administered_at=t.administered_at,
        agent=agent(t.agent).product,
        energy_window_kev=windows[0].windows_kev[0] if windows else (0.0, 0.0),
    )
    if t.nuclide == "Y-90":
        write_pet(folder / "emission", concentration, context, emission, description="True activity")
    else:
        (folder / "emission").mkdir()
        write_nm(
            folder / "emission" / "NM.dcm", concentration, context, emission, description="True activity",
            comment="True activity concentration, made by hepatica, not acquired.",
        )  # fmt: skip
    write_rtstruct(
        folder / "rtstruct.dcm", drawn(patient, DRAWN), ct_context, image_grid=patient.grid, drawn_at=scanned_at
    )
    write_seg(folder / "seg.dcm", drawn(patient, SEGMENTED), ct_context, image_grid=patient.grid)


def write_patient_truth(folder: Path, patient: VirtualPatient, scanned_at: datetime) -> None:
    """Write ``truth/`` with activity (Bq), decays (Bq s), density, CT and labels as NIfTI, and the arteries."""
    tree = patient.tree
    (folder / "truth").mkdir()
    for name, volume in (
        ("ct", patient.hu),
        ("activity", patient.activity()),
        ("activity-at-scan", patient.activity(scanned_at)),
        ("decays", patient.time_integrated_activity()),
        ("density", patient.density),
        ("labels", label_map(patient)),
    ):
        write_itk(volume, folder / "truth" / f"{name}.nii.gz")
    columns: dict[str, Sequence[Any] | NDArray[Any]] = {
        "parent": tree.parent,
        "radius_mm": tree.radius_mm,
        "flow": tree.flow,
        "segment": tree.segment,
        "is_end": np.isin(np.arange(len(tree.parent)), tree.ends).astype(int),
        "name": tree.labels,
    }
    write_tree_csv(folder / "arteries.csv", tree.start_mm, tree.end_mm, columns)
    write_tree_vtk(folder / "arteries.vtk", tree.start_mm, tree.end_mm, columns, title="hepatic arteries")
