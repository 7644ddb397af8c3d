"""The whole course of a patient that hepatica makes itself, each step beside the truth."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from hepatica.case.demo.course import demo_case
from hepatica.case.demo.truth import Comparison, compared
from hepatica.core import InputFile, Provenance
from hepatica.core.document import HIDDEN
from hepatica.core.options import Limits, verb
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.dosimetry.engines.registry import EngineName
from hepatica.imaging.spect.scan import ScanOptions
from hepatica.io.dicom.identity.profile import deidentified_file
from hepatica.io.virtual.course import write_demo_course
from hepatica.io.virtual.demo import PET_FWHM_MM
from hepatica.workflow.result import Result, result

PATIENT, CASE, REPORT = "patient", "case", "report"
"""Folders of the images as a PACS exports them, of the case, and of its report."""

SCAN_FIELD_MM = 460.0
PIXEL_MM, FINE_PIXEL_MM = 9.6, 4.8
"""Coarse pixels keep the projector quick, the liver is 20 of them wide; by Monte Carlo as clinics take them."""

QUICK_VOXEL_MM = 6.0
"""From such voxels on the demonstration is to be quick, and the scan is coarser still."""


class DemoFolder:
    """A folder that is there as long as somebody holds it."""

    def __init__(self) -> None:
        self._kept = tempfile.TemporaryDirectory(prefix="hepatica-demo-")
        self.path = Path(self._kept.name)

    def write(self, folder: Path) -> None:
        """Copy all of it, with the times of the files, by which a case knows that they are as they were."""
        shutil.copytree(self.path, folder, dirs_exist_ok=True)

    def anonymised(self, anonymiser: Anonymiser) -> DemoImages:
        """The DICOM files of the patient without identity; the case, whose log names people, is left out."""
        files = sorted((self.path / PATIENT).rglob("*.dcm"))
        return DemoImages(
            {path.relative_to(self.path).as_posix(): deidentified_file(path.read_bytes(), anonymiser) for path in files}
        )


class DemoImages(dict[str, bytes]):
    """Files of a patient by path below the folder."""

    def write(self, folder: Path) -> None:
        """Write them."""
        for name, content in self.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    def anonymised(self, anonymiser: Anonymiser) -> DemoImages:
        """Itself: it is without identity."""
        return self


@result
class DemoResult(Result):
    """The course of a patient that hepatica made, beside the truth.

    Attributes
    ----------
    numbers : tuple of Comparison
        What each step found, and what is true.
    sorted_images : tuple of str
        What each image of the heap was taken for.
    picture : bytes
        The patient as PNG.
    files : DemoFolder or DemoImages
        Images and case.
    """

    verb: ClassVar[str] = "demo"
    version: ClassVar[int] = 2

    numbers: tuple[Comparison, ...]
    sorted_images: tuple[str, ...]
    picture: bytes = field(metadata=HIDDEN)
    files: DemoFolder | DemoImages = field(metadata=HIDDEN)

    def title(self) -> str:
        """What it is, and why it differs from the truth."""
        return (
            "Scout, treatment, follow-up and the next plan of a virtual patient, from a heap of "
            f"{len(self.sorted_images)} series and tables. The PET is blurred to {PET_FWHM_MM:g} mm and noisy: small "
            "and hot structures lose dose to their surroundings; the scout's SPECT blurs more."
        )

    def table(self) -> Table:
        """What each step found beside the truth."""
        rows = [
            (row.step, row.quantity, row.unit, row.found_value, row.true_value, row.difference_percent)
            for row in self.numbers
        ]
        heads = ("step", "quantity", "unit", "found", "true", "difference, %")
        return Table.of(heads, rows, "", "truth")

    def write(self, folder: Path) -> None:
        """Write images (``patient/``), the case (``case/``), its report (``report/``), a picture (``patient.png``)."""
        self.files.write(folder)
        (folder / "patient.png").write_bytes(self.picture)


@verb
def demo(
    *,
    engine: EngineName = "kernel",
    scan: Literal["analytic", "montecarlo"] = "analytic",
    voxel_mm: Annotated[float, Limits(low=2.0, high=10.0)] = 3.0,
    progress: Progress | None = None,
) -> DemoResult:
    """The whole course of a patient that hepatica makes itself, each step beside the truth.

    Parameters
    ----------
    engine : {"kernel", "local", "montecarlo"}
        Dose engine.
    scan : {"analytic", "montecarlo"}
        Projections of the scout: of primary photons, or of everything, then with Monte Carlo scatter correction.
    voxel_mm : float
        Voxels of the CTs; larger ones make it quick.
    progress : callable, optional
        Called with one sentence at each step.

    Returns
    -------
    DemoResult
        Numbers beside the truth; ``save`` writes the images as DICOM and the case.

    Examples
    --------
    >>> hepatica.demo(engine="local").save("demo-output")  # doctest: +SKIP
    PosixPath('demo-output')
    """
    from hepatica.report.figures.images.anatomy import patient_png

    report_progress = progress or silent
    place = DemoFolder()
    heap = place.path / PATIENT
    course = write_demo_course(heap, voxel_mm=voxel_mm, scan=_scan(scan, voxel_mm), progress=report_progress)
    report_progress("drawing the patient")
    picture = patient_png(course.treated.virtual)
    case = demo_case(
        place.path / CASE, heap, engine=engine, scatter="mc" if scan == "montecarlo" else "none",
        progress=report_progress,
    )  # fmt: skip
    report_progress("the report of the course")
    case.report().save(place.path / REPORT)
    report_progress("the truth")
    numbers = compared(course, case, engine)
    items = case.situation().catalogue
    inputs = tuple(
        replace(InputFile.of("image", path), path=path.relative_to(place.path).as_posix())
        for path in sorted(heap.rglob("*"))
        if path.is_file() and path.parent == heap
    )
    return DemoResult(
        numbers=numbers,
        sorted_images=tuple(f"{item.what or item.name}: {item.role}" for item in items),
        picture=picture,
        files=place,
        provenance=Provenance(inputs=inputs, parameters={"engine": engine, "scan": scan, "voxel_mm": voxel_mm}),
    )


def _scan(method: Literal["analytic", "montecarlo"], voxel_mm: float) -> ScanOptions:
    """How the scout is imaged."""
    quick = voxel_mm >= QUICK_VOXEL_MM
    pixel_mm = FINE_PIXEL_MM if method == "montecarlo" else PIXEL_MM
    if quick:
        pixel_mm = 1.5 * PIXEL_MM
    columns = 2 * round(SCAN_FIELD_MM / pixel_mm / 2)
    return ScanOptions(method=method, views=24 if quick else 48, pixel_mm=pixel_mm, columns=columns)
