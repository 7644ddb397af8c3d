"""What the main job gives back, with its files."""

from __future__ import annotations

from pathlib import Path

from hepatica.report.files import report_files
from hepatica.workflow.dose.numbers import DoseNumbers
from hepatica.workflow.dose.output import write_images
from hepatica.workflow.dose.report import dose_report
from hepatica.workflow.result import result


@result
class DoseResult(DoseNumbers):
    """Absorbed dose of one treatment; ``save`` writes report, DICOM, NIfTI, histograms and figures too."""

    def write(self, folder: Path) -> None:
        """Write what belongs to a dose.

        ``report.html``, ``report.pdf``, their figures, ``metrics.csv``, ``dvh.csv``; ``dose.dcm`` (RTDOSE),
        ``dose.nii.gz``, ``dose-sd.nii.gz`` where there is one; ``structures.dcm`` (RTSTRUCT, on the CT's slices) and
        ``structures-seg.dcm`` (SEG, likewise, where the CT is DICOM).
        """
        write_images(self, folder)
        for name, content in report_files(dose_report(self), self.given.output.dvh_bin_gy).items():
            (folder / name).write_bytes(content)
