"""A virtual patient as values and as files: DICOM as scanners write it, and the truth beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from hepatica.anatomy.virtual_patient import (
    AnatomyOptions,
    PatientSettings,
    PatientTruth,
    Treatment,
    VirtualCtOptions,
    VirtualPatient,
    default_grid,
    patient_truth,
)
from hepatica.anatomy.virtual_patient import virtual_patient as make_patient
from hepatica.anatomy.virtual_patient.named import DRAWN, drawn, labelled
from hepatica.anatomy.virtual_patient.settings import Tumours
from hepatica.core import Provenance, Region
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN, INLINE, document
from hepatica.core.image import Image
from hepatica.core.options import Limits, NonNegative, parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Cell, Table
from hepatica.version import __version__
from hepatica.workflow.result import Result, result

SCAN_AFTER_H = 20.0

SHOWN = (
    "liver", "lobe left", "lobe right", *(f"segment {n}" for n in range(1, 9)), "lung left", "lung right", "spleen",
)  # fmt: skip
"""Structures of the table, besides tumours."""

TRUTH_UNITS = {
    "ct": "HU", "activity": "Bq", "activity-at-scan": "Bq", "decays": "Bq s", "density": "g/mL", "labels": "",
}  # fmt: skip
"""Images of the folder ``truth`` and their units."""


@result
class VirtualPatientResult(Result):
    """A virtual patient: images, structures, arteries and activity, and every number that is known of them.

    Attributes
    ----------
    patient : VirtualPatient
        CT, density, regions, arteries, activity at any time, as arrays on a grid.
    context : DicomContext
        Patient and study of the files.
    truth : PatientTruth
        Settings, structures, tumours, balance of the activity, arteries.
    scanned_at : datetime
        Instant of the emission image.
    balance_at_scan_bq : mapping of str to float
        Where the activity is then.
    truth_units : mapping of str to str
        Units of the images in ``truth``.
    labels : mapping of str to str
        Numbers of the label map.
    """

    verb = "virtual_patient"

    patient: VirtualPatient = field(metadata=HIDDEN)
    context: DicomContext = field(metadata=HIDDEN)
    truth: PatientTruth = field(metadata=INLINE)
    scanned_at: datetime
    balance_at_scan_bq: Mapping[str, float]
    truth_units: Mapping[str, str]
    labels: Mapping[str, str]

    @property
    def ct(self) -> Image:
        """The CT, with noise, in HU."""
        return Image.from_array(self.patient.ct.values, unit="HU", grid=self.patient.grid, name="virtual CT")

    @property
    def emission(self) -> Image:
        """The true activity concentration at the scan, Bq/mL."""
        concentration = self.patient.concentration(self.scanned_at)
        return Image.from_array(
            concentration.values,
            unit="Bq/mL",
            grid=concentration.grid,
            time=self.scanned_at,
            nuclide=self.patient.treatment.nuclide,
            name="true activity",
        )

    @property
    def structures(self) -> tuple[Region, ...]:
        """Organs, perfused volume and tumours, as in the RTSTRUCT."""
        return tuple(drawn(self.patient, DRAWN))

    def title(self) -> str:
        """Who it is and what was given."""
        return repr(self.patient).strip("<>")

    def table(self) -> Table:
        """Volume, mass and activity of liver, lobes, segments, lungs, spleen and tumours."""
        names = [name for name in (*SHOWN, *(t.name for t in self.truth.tumours)) if name in self.truth.structures]
        rows = [
            (name, s.volume_ml, s.mass_g, s.activity_bq / 1e6, 100 * s.activity_share)
            for name, s in ((name, self.truth.structures[name]) for name in names)
        ]
        return Table.of(("structure", "mL", "g", "MBq", "% of activity"), rows, "The truth", "structures")

    def tables(self) -> tuple[Table, ...]:
        """Structures; where the agent lodged; arteries."""
        arteries = self.truth.arteries
        rows: list[tuple[str, Cell]] = [
            ("variant", arteries.variant),
            ("ends", arteries.tree.end_branches),
            ("named branches", ", ".join(self.patient.tree.names)),
        ]
        return self.table(), self._balance(), Table.of(("what", "value"), rows, "Arteries", "named-arteries")

    def _balance(self) -> Table:
        """Activity at the scan by where the agent lodged, whatever voxel it fell into."""
        held = {name: bq for name, bq in self.balance_at_scan_bq.items() if bq > 0}
        body = sum(bq for name, bq in held.items() if name != "excreted")
        rows = [
            (name, bq / 1e6, None if name == "excreted" or not body else 100 * bq / body) for name, bq in held.items()
        ]
        title = "Where the agent lodged, at the scan (voxels at a border hold some of it outside the structure)"
        return Table.of(("in", "MBq", "% of the body's"), rows, title, "balance")

    def write(self, folder: Path) -> None:
        """Write the patient's files.

        ``ct/`` (DICOM CT), ``emission/`` (DICOM, the true activity concentration at the scan: PET for 90Y, else a
        reconstructed NM image), ``rtstruct.dcm``, ``seg.dcm``; ``truth/`` with activity (Bq), decays (Bq s), density,
        CT and labels as NIfTI; ``arteries.csv``, ``arteries.vtk``; ``patient.json``; ``patient.png``.
        """
        from hepatica.io.virtual.patient import write_patient_dicom, write_patient_truth
        from hepatica.report.figures.images.anatomy import patient_png

        write_patient_dicom(folder, self.patient, self.context, self.scanned_at)
        write_patient_truth(folder, self.patient, self.scanned_at)
        truth = {"software": "hepatica", "version": __version__, **document(self)}
        (folder / "patient.json").write_text(json.dumps(truth, indent=1), encoding="utf-8")
        (folder / "patient.png").write_bytes(patient_png(self.patient))


@verb
def virtual_patient(
    *,
    seed: Annotated[int, Limits(low=0)] = 7,
    tumours: Tumours = 3,
    anatomy: AnatomyOptions = AnatomyOptions(),
    ct: VirtualCtOptions = VirtualCtOptions(),
    treatment: Treatment = Treatment(),
    scan_after_h: NonNegative = SCAN_AFTER_H,
    progress: Progress | None = None,
) -> VirtualPatientResult:
    """A virtual patient with known anatomy, arteries and activity, as DICOM and NIfTI.

    Parameters
    ----------
    seed : int
        Seed of everything random; one seed, one patient.
    tumours : int or sequence of Tumour
        How many, placed at random; or each of them.
    anatomy : AnatomyOptions
        Body, liver and arteries.
    ct : VirtualCtOptions
        Voxels and CT.
    treatment : Treatment
        What was administered.
    scan_after_h : float
        Time from the administration to the emission image.
    progress : callable, optional
        Called with each step.

    Returns
    -------
    VirtualPatientResult
        Arrays in ``patient``, images in ``ct`` and ``emission``; ``save`` writes DICOM, NIfTI and the truth.

    Raises
    ------
    InputError
        If the patient cannot be made.
    UnknownNameError
        For an unknown nuclide, agent or artery.

    Examples
    --------
    >>> made = hepatica.virtual_patient(seed=7, ct=VirtualCtOptions(spacing_mm=8), tumours=1)
    >>> round(made.patient.activity().total / 1e9, 6)
    2.6
    """
    settings = PatientSettings(seed=seed, tumours=tumours, anatomy=anatomy, ct=ct, treatment=treatment)
    return made_patient(settings, scan_after_h, progress or silent)


def made_patient(settings: PatientSettings, scan_after_h: float, report_progress: Progress) -> VirtualPatientResult:
    """One patient and the truth about it."""
    report_progress("making the patient")
    at = settings.treatment.administered_at + timedelta(hours=scan_after_h)
    context = DicomContext.invented(
        patient_id=f"HEPATICA-{settings.seed}", patient_name=f"Virtual^Patient {settings.seed}", when=at
    )
    patient = make_patient(settings, default_grid(settings, context.frame_of_reference))
    return VirtualPatientResult(
        patient=patient,
        context=context,
        truth=patient_truth(patient),
        scanned_at=at,
        balance_at_scan_bq=patient.balance(at),
        truth_units=TRUTH_UNITS,
        labels={str(number): name for number, name in enumerate(labelled(patient), start=1)},
        provenance=Provenance(
            parameters=parameters(settings, scan_after_h=scan_after_h),
            tables={"reference masses": "ICRP Publication 89", "Hounsfield units": "anatomy/virtual_patient/tables"},
            steps=("A virtual patient was made of the settings; the same settings give the same patient.",),
        ),
    )
