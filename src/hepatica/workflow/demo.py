"""The main job on a treated patient that hepatica makes itself, beside the truth."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from hepatica.anatomy.structures.clinical import StructureOptions
from hepatica.core.document import HIDDEN, reported
from hepatica.core.options import verb
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.progress import Progress, silent
from hepatica.core.table import Table
from hepatica.dosimetry.engines.montecarlo import MonteCarloEngine
from hepatica.dosimetry.engines.registry import EngineName, dose_engine
from hepatica.dosimetry.metrics.region_dose import region_dose
from hepatica.dosimetry.time.one_image import permanent_trapping
from hepatica.imaging.quantify.options import QuantificationOptions
from hepatica.io.dicom.identity.profile import deidentified_file
from hepatica.io.virtual.demo import (
    ADMINISTERED_AT,
    AGENT,
    LUNG_SHUNT,
    NUCLIDE,
    PET_FWHM_MM,
    DemoPatient,
    write_demo_patient,
)
from hepatica.nuclides import nuclide
from hepatica.transport.matter.media import density_from_hu
from hepatica.transport.runner.settings import MonteCarloSettings
from hepatica.workflow.dose.absorbed_dose import absorbed_dose
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.dose.result import DoseResult
from hepatica.workflow.result import Result, result

STRUCTURES = "patient/rtstruct.dcm"
TRUE_HISTORIES = 4_000_000
"""With the Monte Carlo engine; mean doses of the structures are then known to about 0.3 %."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean dose of a structure from the image and in truth."""

    structure: str
    dose_gy: float
    true_dose_gy: float

    @property
    @reported
    def difference_percent(self) -> float | None:
        """Relative difference of the dose from the image; None where there is truly no dose."""
        return 100 * (self.dose_gy / self.true_dose_gy - 1) if self.true_dose_gy else None


def true_doses(patient: DemoPatient, found: DoseResult) -> tuple[Comparison, ...]:
    """Dose of each structure from the image beside the dose that the true activity gives.

    The truth is the same dose engine on the true activity (no blur, no noise), density and structures, on the CT's
    voxels: what differs comes from the image.
    """
    n = nuclide(NUCLIDE)
    decays = permanent_trapping(patient.activity, n.half_life_s, since=ADMINISTERED_AT).decays
    engine = dose_engine(found.engine)
    if isinstance(engine, MonteCarloEngine):
        engine = MonteCarloEngine(MonteCarloSettings(histories=TRUE_HISTORIES))
    truth = engine.compute(decays, density_from_hu(patient.hu), n, found.given.settings)
    return tuple(
        Comparison(name, found[name].dose_mean_gy, region_dose(truth, region).dose_mean_gy)
        for name, region in patient.regions.items()
    )


def demo_dose(patient: DemoPatient, *, engine: EngineName, progress: Progress | None = None) -> DoseResult:
    """The main job on the files of the demonstration patient."""
    return absorbed_dose(
        patient.folder / "pet",
        ct=patient.folder / "ct",
        structures=patient.folder / "rtstruct.dcm",
        nuclide=NUCLIDE,
        engine=engine,
        options=DoseOptions(
            quantification=QuantificationOptions(lungs_in_image=True, lung_shunt=LUNG_SHUNT),
            clinical=StructureOptions(agent=AGENT),
        ),
        progress=progress,
    )


class DemoFiles(dict[str, bytes]):
    """Files of a patient by path below the folder."""

    def anonymised(self, anonymiser: Anonymiser) -> DemoFiles:
        """The same DICOM files without identity."""
        return DemoFiles({name: deidentified_file(content, anonymiser) for name, content in self.items()})


@result
class DemoResult(Result):
    """Dose of a patient that hepatica made, beside the truth.

    Attributes
    ----------
    structures : tuple of Comparison
        Mean dose of each structure from the PET and in truth.
    dose : DoseResult
        The dose calculation.
    picture : bytes
        The patient as PNG.
    files : DemoFiles
        CT, PET and RTSTRUCT by path.
    """

    verb: ClassVar[str] = "demo"

    structures: tuple[Comparison, ...]
    dose: DoseResult = field(metadata=HIDDEN)
    picture: bytes = field(metadata=HIDDEN)
    files: DemoFiles = field(metadata=HIDDEN)

    def title(self) -> str:
        """What it is, and why it differs from the truth."""
        return (
            f"{self.dose.title()}. The PET is blurred to {PET_FWHM_MM:g} mm and noisy: small and hot structures lose "
            "dose to their surroundings."
        )

    def table(self) -> Table:
        """Mean doses beside the truth."""
        rows = [(row.structure, row.dose_gy, row.true_dose_gy, row.difference_percent) for row in self.structures]
        heads = ("structure", "mean dose from the PET, Gy", "true mean dose, Gy", "difference, %")
        return Table.of(heads, rows, "", "truth")

    def write(self, folder: Path) -> None:
        """Write the patient as DICOM (``patient/``) and picture (``patient.png``), and the dose (``report/``)."""
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        (folder / "patient.png").write_bytes(self.picture)
        # The structures are read again for the CT's voxels, now from where they lie.
        drawn = replace(self.dose.drawn, given=folder / STRUCTURES)
        replace(self.dose, drawn=drawn).save(folder / "report")


@verb
def demo(*, engine: EngineName = "kernel", progress: Progress | None = None) -> DemoResult:
    """The main job on a patient that hepatica makes itself, compared with the truth.

    Parameters
    ----------
    engine : {"kernel", "local", "montecarlo"}
        Dose engine.
    progress : callable, optional
        Called with one sentence at each step.

    Returns
    -------
    DemoResult
        Doses beside the truth; ``save`` writes the patient as DICOM and the report.

    Examples
    --------
    >>> hepatica.demo(engine="local").save("demo-output")  # doctest: +SKIP
    PosixPath('demo-output')
    """
    from hepatica.report.figures.anatomy import patient_png

    report_progress = progress or silent
    with tempfile.TemporaryDirectory() as place:
        report_progress("making the patient")
        patient = write_demo_patient(Path(place) / "patient")
        report_progress("drawing the patient")
        picture = patient_png(patient.virtual)
        dose = demo_dose(patient, engine=engine, progress=progress)
        report_progress("dose of the true activity")
        compared = true_doses(patient, dose)
        files = {
            path.relative_to(place).as_posix(): path.read_bytes()
            for path in sorted(patient.folder.rglob("*"))
            if path.is_file()
        }
        inputs = tuple(
            replace(item, path=Path(item.path).relative_to(place).as_posix()) for item in dose.provenance.inputs
        )
    provenance = replace(dose.provenance, inputs=inputs)
    return DemoResult(
        structures=compared,
        dose=replace(dose, provenance=provenance),
        picture=picture,
        files=DemoFiles(files),
        messages=dose.messages,
        provenance=provenance,
    )
