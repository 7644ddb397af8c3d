"""A virtual patient as values and as files: DICOM as scanners write it, and the truth beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

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
from hepatica.anatomy.virtual_patient.settings import Tumours
from hepatica.core import Kind, Provenance, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN, INLINE, document
from hepatica.core.image import Image
from hepatica.core.options import Limits, NonNegative, parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.table import Cell, Table
from hepatica.nuclides import agent, nuclide
from hepatica.version import __version__
from hepatica.workflow.result import Result, result

SCAN_AFTER_H = 20.0
SCAN_S = 1800.0
PERFUSED = "perfused volume"

DRAWN = (
    "liver", "lobe left", "lobe right", *(f"segment {n}" for n in range(1, 9)), "lung left", "lung right", "heart",
    "spleen", "stomach", "duodenum", "gallbladder", "kidney left", "kidney right", "thyroid",
)  # fmt: skip
"""Structures of the RTSTRUCT, besides tumours and perfused volume."""

SEGMENTED = (*DRAWN, "body", "spine", "ribs", "pancreas", "aorta", "vena cava", "portal vein", "hepatic veins")
LABELLED = (
    "spine", "ribs", "vena cava", "aorta", "gallbladder", *(f"segment {n}" for n in range(1, 9)), "kidney left",
    "kidney right", "spleen", "stomach", "duodenum", "pancreas", "heart", "lung left", "lung right", "trachea",
    "thyroid",
)  # fmt: skip
"""Structures of the label map, in the order of their numbers; tumours follow, their necrosis after them."""

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
        concentration = self._concentration()
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
        return tuple(_drawn(self.patient, DRAWN))

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
        """Structures and arteries."""
        arteries = self.truth.arteries
        rows: list[tuple[str, Cell]] = [
            ("variant", arteries.variant),
            ("ends", arteries.tree.end_branches),
            ("named branches", ", ".join(self.patient.tree.names)),
        ]
        return self.table(), Table.of(("what", "value"), rows, "Arteries", "named-arteries")

    def write(self, folder: Path) -> None:
        """Write the patient's files.

        ``ct/`` (DICOM CT), ``emission/`` (DICOM, the true activity concentration at the scan: PET for 90Y, else a
        reconstructed NM image), ``rtstruct.dcm``, ``seg.dcm``; ``truth/`` with activity (Bq), decays (Bq s), density,
        CT and labels as NIfTI; ``arteries.csv``, ``arteries.vtk``; ``patient.json``; ``patient.png``.
        """
        self._write_dicom(folder)
        self._write_truth(folder)
        (folder / "patient.png").write_bytes(patient_png(self.patient))

    def _concentration(self) -> Volume:
        there = self.patient.activity(self.scanned_at)
        return there.with_values(there.values / np.float32(there.grid.voxel_volume_ml), Kind.ACTIVITY_CONCENTRATION)

    def _write_dicom(self, folder: Path) -> None:
        from hepatica.io.dicom.images.write import Emission, write_ct, write_nm, write_pet
        from hepatica.io.dicom.rtstruct import write_rtstruct
        from hepatica.io.dicom.seg import write_seg

        patient, t, concentration = self.patient, self.patient.treatment, self._concentration()
        ct_context = write_ct(folder / "ct", patient.ct, self.context, description="Virtual CT")
        windows = [mode for mode in nuclide(t.nuclide).imaging if mode.mode.startswith("spect") and mode.windows_kev]
        emission = Emission(
            nuclide=t.nuclide,
            start=self.scanned_at,
            frame_duration_s=SCAN_S,
            administered_bq=t.activity_bq,
            administered_at=t.administered_at,
            agent=agent(t.agent).product,
            energy_window_kev=windows[0].windows_kev[0] if windows else (0.0, 0.0),
        )
        if t.nuclide == "Y-90":
            write_pet(folder / "emission", concentration, self.context, emission, description="True activity")
        else:
            (folder / "emission").mkdir()
            write_nm(
                folder / "emission" / "NM.dcm", concentration, self.context, emission, description="True activity",
                comment="True activity concentration, made by hepatica, not acquired.",
            )  # fmt: skip
        write_rtstruct(folder / "rtstruct.dcm", _drawn(patient, DRAWN), ct_context, image_grid=patient.grid)
        write_seg(folder / "seg.dcm", _drawn(patient, SEGMENTED), ct_context, image_grid=patient.grid)

    def _write_truth(self, folder: Path) -> None:
        from hepatica.io.itk import write_itk
        from hepatica.io.tree import write_tree_csv, write_tree_vtk

        patient, tree = self.patient, self.patient.tree
        (folder / "truth").mkdir()
        for name, volume in (
            ("ct", patient.hu),
            ("activity", patient.activity()),
            ("activity-at-scan", patient.activity(self.scanned_at)),
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
        truth = {"software": "hepatica", "version": __version__, **document(self)}
        (folder / "patient.json").write_text(json.dumps(truth, indent=1), encoding="utf-8")


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
        labels={str(number): name for number, name in enumerate(_labelled(patient), start=1)},
        provenance=Provenance(
            parameters=parameters(settings, scan_after_h=scan_after_h),
            tables={"reference masses": "ICRP Publication 89", "Hounsfield units": "anatomy/virtual_patient/tables"},
            steps=("A virtual patient was made of the settings; the same settings give the same patient.",),
        ),
    )


def _tumour_regions(patient: VirtualPatient) -> list[Region]:
    """Tumours and their necrotic cores, as far as they lie in the field."""
    names = [name for t in patient.tumours for name in (t.name, f"{t.name} necrosis")]
    return [patient.regions[name] for name in names if name in patient.regions]


def _drawn(patient: VirtualPatient, names: tuple[str, ...]) -> list[Region]:
    """Structures of those names, perfused volume and tumours; none that fills no voxel by half."""
    organs = [patient.regions[name] for name in names if name in patient.regions]
    perfused = patient.perfused().renamed(PERFUSED)
    return [r for r in (*organs, perfused, *_tumour_regions(patient)) if (r.coverage >= 0.5).any()]


def _labelled(patient: VirtualPatient) -> list[str]:
    """Structures of the label map in the order of their numbers, from 1."""
    organs = [name for name in LABELLED if name in patient.regions]
    return [*organs, *(region.name for region in _tumour_regions(patient))]


def label_map(patient: VirtualPatient) -> Volume:
    """Number of the structure that fills most of each voxel (at least half of it)."""
    values = np.zeros(patient.grid.shape, dtype=np.uint8)
    for number, name in enumerate(_labelled(patient), start=1):
        region = patient.regions[name]
        values[region.window][region.coverage >= 0.5] = number
    return Volume(patient.grid, values, Kind.LABEL, name="labels")


def patient_png(patient: VirtualPatient) -> bytes:
    """Picture of a patient: CT, segments, arteries, activity; PNG."""
    from hepatica.report.figures.anatomy import Anatomy, anatomy_figure
    from hepatica.report.figures.dose import png

    regions, tree, t = patient.regions, patient.tree, patient.treatment
    where = " + ".join(t.catheters)
    title = (
        f"Virtual patient {patient.settings.seed}: {patient.settings.anatomy.sex}, {t.activity_bq / 1e9:.3g} GBq "
        f"{nuclide(t.nuclide).label} {t.agent} through {where}, lung shunt {100 * t.lung_shunt:.3g} %, "
        f"T/N {t.tumour_to_normal:.3g}"
    )
    nowhere = Region("", patient.grid, (slice(0, 0),) * 3, np.zeros((0, 0, 0), np.float32))
    picture = Anatomy(
        title=title,
        ct=patient.ct,
        activity=patient.activity(),
        liver=regions["liver"],
        segments=[regions.get(f"segment {n}", nowhere) for n in range(1, 9)],
        tumours=[regions[p.name] for p in patient.tumours if p.name in regions],
        outlines={name: regions[name] for name in ("body", "lung left", "lung right") if name in regions},
        start_mm=tree.start_mm,
        end_mm=tree.end_mm,
        radius_mm=tree.radius_mm,
        branch_segment=tree.segment,
        catheters={name: tree.start_mm[tree.branch(name)] for name in t.catheters},
    )
    return png(anatomy_figure(picture), dpi=150)
