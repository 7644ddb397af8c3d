"""What the main job gives back, with its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hepatica.anatomy.structures.codes import with_codes
from hepatica.core import Region
from hepatica.io.dicom.objects import dicom_names
from hepatica.io.dicom.rtdose import DoseText, write_rtdose
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.io.itk import write_itk
from hepatica.report.files import report_files
from hepatica.workflow.dose.numbers import DoseNumbers, StructureResult
from hepatica.workflow.dose.report import dose_report
from hepatica.workflow.result import result
from hepatica.workflow.sources import dicom_context


@result
class DoseResult(DoseNumbers):
    """Absorbed dose of one treatment; ``save`` writes report, DICOM, NIfTI, histograms and figures too."""

    def write(self, folder: Path) -> None:
        """Write what belongs to a dose.

        ``report.html``, ``report.pdf``, their figures, ``metrics.csv``, ``dvh.csv``; ``dose.dcm`` (RTDOSE),
        ``dose.nii.gz``, ``dose-sd.nii.gz`` where there is one; ``structures.dcm`` (RTSTRUCT, on the CT's slices) and
        ``structures-seg.dcm`` (SEG, likewise, where the CT is DICOM). Negative voxels, where they are kept, are zero in
        the RTDOSE alone, which says so; whoever reads the folder as a dose reads ``dose.nii.gz``.
        """
        _write_images(self, folder)
        for name, content in report_files(dose_report(self), self.given.output.dvh_bin_gy).items():
            (folder / name).write_bytes(content)


def _write_images(found: DoseNumbers, folder: Path) -> None:
    """Write RTDOSE, RTSTRUCT, SEG and NIfTI into a folder."""
    context = found.context or dicom_context(found.patient.ct)
    remark = unsupported_voxels(found.structures)
    write_itk(found.dose, folder / "dose.nii.gz", notes=remark)
    if found.dose_map.dose_sd is not None:
        write_itk(found.dose_map.dose_sd, folder / "dose-sd.nii.gz", notes=remark)
    provenance = found.provenance
    # On the CT's voxels: structures that went through the dose's coarse ones would lose their edges.
    ct_grid = found.patient.ct.grid
    clinical = found.patient.drawn.clinical
    alone = {one.dose.name for one in found.structures if not one.voxels_supported}
    drawn = _solid(
        [_described(with_codes(item.region, item.structure, derived=item.derived), alone, remark) for item in clinical]
    )
    names = dicom_names([region.name for region in drawn])
    drawn = [region.renamed(name) for region, name in zip(drawn, names, strict=True)]
    # beside a CT that is no DICOM the context is the activity's: its slices are those of the CT on one grid alone
    own = found.patient.ct.context is not None or ct_grid.matches(found.activity[0].grid)
    structure_set = None
    if drawn:
        structure_set = write_rtstruct(
            folder / "structures.dcm", drawn, context if own else replace(context, instances=()),
            image_grid=ct_grid, provenance=provenance,
        )  # fmt: skip
        # A SEG refers to images frame by frame; an NM volume, the only DICOM beside a NIfTI CT, is not on these voxels.
        if context.instances and not context.is_multiframe:
            write_seg(
                folder / "structures-seg.dcm", drawn, context, image_grid=ct_grid if own else None,
                provenance=provenance,
            )  # fmt: skip
    in_water = found.engine == "kernel" and found.dose_map.settings.density == "none"
    text = DoseText(
        label=f"{found.nuclide} {found.engine}"[:16],
        heterogeneity="WATER" if in_water else "IMAGE",
        structure_set=structure_set,
        provenance=provenance,
        zero_below=True,
        remark=remark,
    )
    write_rtdose(folder / "dose.dcm", found.dose, context, text=text, bits=found.given.output.rtdose_bits)


def unsupported_voxels(structures: Sequence[StructureResult]) -> str:
    """That the lungs have no dose of single voxels, where they have none, for DICOM; empty else."""
    return "" if all(one.voxels_supported for one in structures) else "lungs: mean dose, not single voxels"


def _described(region: Region, names: set[str], remark: str) -> Region:
    """A region whose description begins with a remark, if it is one of these names."""
    return (
        region.renamed(region.name, "; ".join(filter(None, (remark, region.origin))))
        if region.name in names
        else region
    )


def _solid(regions: Sequence[Region]) -> list[Region]:
    """Regions that fill at least one voxel by half: a contour or a binary mask of others would be empty."""
    return [region for region in regions if (region.coverage >= 0.5).any()]
