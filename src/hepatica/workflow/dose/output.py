"""A dose result in the formats that other programs read, in one folder, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hepatica.core import Region
from hepatica.core.context import DicomContext
from hepatica.io.dicom.rtdose import DoseText, write_rtdose
from hepatica.io.dicom.rtstruct import write_rtstruct
from hepatica.io.dicom.seg import write_seg
from hepatica.io.files import output_folder
from hepatica.io.itk import write_itk
from hepatica.report.files import report_files
from hepatica.workflow.dose.report import dose_report
from hepatica.workflow.dose.structures import structures_on

if TYPE_CHECKING:
    from hepatica.workflow.dose.result import DoseResult


def write_result(result: DoseResult, folder: Path, *, force: bool) -> Path:
    """Write everything.

    ``report.html``, ``report.pdf``; ``dose.dcm`` (RTDOSE), ``dose.nii.gz``, ``dose-sd.nii.gz`` where there is one;
    ``regions.dcm`` (RTSTRUCT, on the CT's slices), ``regions-seg.dcm`` (SEG, likewise, where the CT is DICOM);
    ``metrics.csv``, ``dvh.csv``; ``result.json``.

    Raises
    ------
    OutputError
        If the folder exists and is not empty (without `force`) or cannot be written; nothing is left behind then.
    """
    with output_folder(folder, force=force) as new:
        _write_images(result, new)
        _write_report(result, new)
        (new / "result.json").write_text(json.dumps(result.as_dict(), indent=1, ensure_ascii=False), encoding="utf-8")
    return folder


def _write_images(result: DoseResult, folder: Path) -> None:
    context = result.context or DicomContext.invented(patient_id="UNKNOWN", patient_name="Unknown^Patient")
    write_itk(result.dose, folder / "dose.nii.gz")
    if result.dose_map.dose_sd is not None:
        write_itk(result.dose_map.dose_sd, folder / "dose-sd.nii.gz")
    provenance = result.provenance
    # Made again from what was given: regions that went through the dose's coarse voxels would lose their edges.
    ct_grid = result.ct.grid.with_frame_of_reference(result.dose.grid.frame_of_reference)
    drawn = solid(structures_on(ct_grid, result.structures.given, result.ct, result.options).regions)
    structure_set = None
    if drawn:
        structure_set = write_rtstruct(
            folder / "regions.dcm", drawn, context, image_grid=ct_grid, provenance=provenance
        )
        # A SEG refers to images frame by frame; an NM volume, the only DICOM beside a NIfTI CT, is not on these voxels.
        if context.instances and not context.is_multiframe:
            write_seg(folder / "regions-seg.dcm", drawn, context, image_grid=ct_grid, provenance=provenance)
    text = DoseText(
        label=f"{result.dose_map.nuclide} {result.dose_map.method}"[:16],
        heterogeneity="WATER" if _in_water(result) else "IMAGE",
        structure_set=structure_set,
        provenance=provenance,
    )
    write_rtdose(folder / "dose.dcm", result.dose, context, text=text, bits=result.options.rtdose_bits)


def _in_water(result: DoseResult) -> bool:
    return result.dose_map.method == "kernel" and result.dose_map.settings.density == "none"


def solid(regions: list[Region] | tuple[Region, ...]) -> list[Region]:
    """Regions that fill at least one voxel by half: a contour or a binary mask of others would be empty."""
    return [region for region in regions if (region.coverage >= 0.5).any()]


def _write_report(result: DoseResult, folder: Path) -> None:
    for name, content in report_files(dose_report(result), result.options.bin_gy).items():
        (folder / name).write_bytes(content)
