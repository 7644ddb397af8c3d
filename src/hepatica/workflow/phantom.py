"""A virtual patient as files: DICOM as scanners write it, and the truth beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.virtual_patient import (
    PatientSettings,
    VirtualPatient,
    cohort_settings,
    default_grid,
    virtual_patient,
)
from hepatica.core import Kind, Region, Volume
from hepatica.errors import InputError
from hepatica.io.files import output_folder
from hepatica.nuclides import AGENT_NAMES, agent, nuclide
from hepatica.version import __version__

Tell = Callable[[str], None]

SCAN_AFTER = timedelta(hours=20)
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


@dataclass(frozen=True, slots=True)
class PhantomFiles:
    """What was written for one patient.

    Attributes
    ----------
    folder : Path
        Holds all files.
    patient : VirtualPatient
        What they hold.
    truth : dict
        As in ``patient.json``.
    """

    folder: Path
    patient: VirtualPatient
    truth: dict[str, Any]


def agent_for(nuclide_name: str) -> str:
    """Name of the first agent, in the order of the agents' table, that carries a nuclide.

    Raises
    ------
    InputError
        If none does.
    """
    wanted = nuclide(nuclide_name).name
    for name in AGENT_NAMES:
        if agent(name).nuclide_name == wanted:
            return name
    raise InputError(f"no agent carries {wanted}; name one")


def write_patient(
    folder: Path,
    settings: PatientSettings | None = None,
    *,
    scan_after: timedelta = SCAN_AFTER,
    force: bool = False,
    tell: Tell | None = None,
) -> PhantomFiles:
    """Make a virtual patient and write it.

    ``ct/`` (DICOM CT), ``emission/`` (DICOM, the true activity concentration at the scan: PET for 90Y, else a
    reconstructed NM image), ``rtstruct.dcm``, ``seg.dcm``; ``truth/`` with activity (Bq), decays (Bq s), density, CT
    and labels as NIfTI; ``arteries.csv``, ``arteries.vtk``; ``patient.json``; ``patient.png``.

    Parameters
    ----------
    folder : Path
        New folder, or an existing one with `force`.
    settings : PatientSettings or None
        Of the patient.
    scan_after : timedelta
        From the administration to the emission image.
    force : bool
        Replace the folder.
    tell : callable, optional
        Told what is being done.

    Raises
    ------
    InputError
        If the patient cannot be made, or the scan is before the administration.
    OutputError
        If the folder exists and is not empty (without `force`), or cannot be written.
    """
    from hepatica.core.context import DicomContext

    settings = settings or PatientSettings()
    if scan_after < timedelta(0):
        raise InputError("the scan cannot be before the administration")
    say = tell or (lambda step: None)
    with output_folder(folder, force=force) as new:
        at = settings.treatment.administered_at + scan_after
        context = DicomContext.invented(
            patient_id=f"HEPATICA-{settings.seed}", patient_name=f"Virtual^Patient {settings.seed}", when=at
        )
        say("making the patient")
        patient = virtual_patient(settings, default_grid(settings, context.frame_of_reference))
        say("writing DICOM")
        _write_dicom(patient, new, context, at)
        say("writing the truth")
        truth = _write_truth(patient, new, at)
        say("drawing")
        (new / "patient.png").write_bytes(patient_png(patient))
    return PhantomFiles(folder, patient, truth)


def write_cohort(
    folder: Path,
    number: int,
    *,
    seed: int = 1,
    like: PatientSettings | None = None,
    scan_after: timedelta = SCAN_AFTER,
    force: bool = False,
    tell: Tell | None = None,
) -> list[PhantomFiles]:
    """Write a cohort: ``patient-001``, ``patient-002``, ... each as `write_patient`, and ``cohort.csv``.

    Parameters
    ----------
    folder, scan_after, force, tell
        As for `write_patient`.
    number, seed, like
        As for `cohort_settings`.

    Raises
    ------
    InputError
        If the number is not positive.
    OutputError
        If the folder exists and is not empty (without `force`), or cannot be written.
    """
    import csv

    written = []
    with output_folder(folder, force=force) as new:
        for n, settings in enumerate(cohort_settings(number, seed=seed, like=like), start=1):

            def say(step: str, n: int = n) -> None:
                if tell is not None:
                    tell(f"patient {n} of {number}: {step}")

            name = f"patient-{n:03d}"
            made = write_patient(new / name, settings, scan_after=scan_after, tell=say)
            written.append(PhantomFiles(folder / name, made.patient, made.truth))
        rows = [summary(made) for made in written]
        with (new / "cohort.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return written


def summary(made: PhantomFiles) -> dict[str, Any]:
    """One line about a patient, units in the keys."""
    settings, structures = made.patient.settings, made.truth["structures"]
    t = settings.treatment
    tumours = [structures[p.name] for p in made.patient.tumours if p.name in structures]
    return {
        "patient": made.folder.name,
        "seed": settings.seed,
        "sex": settings.sex,
        "cirrhosis": settings.cirrhosis,
        "variant": settings.variant,
        "liver_ml": round(structures["liver"]["volume_ml"], 1),
        "tumours": len(tumours),
        "tumour_ml": round(sum(s["volume_ml"] for s in tumours), 2),
        "largest_tumour_mm": max((p.tumour.diameter_mm for p in made.patient.tumours), default=0.0),
        "nuclide": t.nuclide,
        "agent": t.agent,
        "activity_gbq": t.activity_bq / 1e9,
        "catheters": " + ".join(t.catheters),
        "perfused_ml": round(made.truth["perfused_volume_ml"], 1),
        "lung_shunt": t.lung_shunt,
        "tumour_to_normal": t.tumour_to_normal,
    }


def tumour_regions(patient: VirtualPatient) -> list[Region]:
    """Tumours and their necrotic cores, as far as they lie in the field."""
    names = [name for t in patient.tumours for name in (t.name, f"{t.name} necrosis")]
    return [patient.regions[name] for name in names if name in patient.regions]


def patient_png(patient: VirtualPatient) -> bytes:
    """Picture of a patient: CT, segments, arteries, activity; PNG."""
    from hepatica.report.figures.anatomy import Anatomy, anatomy_figure
    from hepatica.report.figures.dose import png

    regions, tree, t = patient.regions, patient.tree, patient.treatment
    where = " + ".join(t.catheters)
    title = (
        f"Virtual patient {patient.settings.seed}: {patient.settings.sex}, {t.activity_bq / 1e9:.3g} GBq "
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


def _write_dicom(patient: VirtualPatient, folder: Path, context: Any, at: datetime) -> None:
    from hepatica.io.dicom.images.write import Emission, write_ct, write_nm, write_pet
    from hepatica.io.dicom.rtstruct import write_rtstruct
    from hepatica.io.dicom.seg import write_seg
    from hepatica.workflow.dose.output import solid

    ct_context = write_ct(folder / "ct", patient.ct, context, description="Virtual CT")
    t = patient.treatment
    there = patient.activity(at)
    concentration = there.with_values(
        there.values / np.float32(patient.grid.voxel_volume_ml), Kind.ACTIVITY_CONCENTRATION
    )
    windows = [mode for mode in nuclide(t.nuclide).imaging if mode.mode.startswith("spect") and mode.windows_kev]
    emission = Emission(
        nuclide=t.nuclide,
        start=at,
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
        comment = "True activity concentration, made by hepatica, not acquired."
        write_nm(
            folder / "emission" / "NM.dcm",
            concentration,
            context,
            emission,
            description="True activity",
            comment=comment,
        )
    tumours = tumour_regions(patient)
    perfused = patient.perfused().renamed(PERFUSED)
    drawn = [patient.regions[name] for name in DRAWN if name in patient.regions]
    write_rtstruct(folder / "rtstruct.dcm", solid([*drawn, perfused, *tumours]), ct_context, image_grid=patient.grid)
    segmented = [patient.regions[name] for name in SEGMENTED if name in patient.regions]
    write_seg(folder / "seg.dcm", solid([*segmented, perfused, *tumours]), ct_context, image_grid=patient.grid)


def _write_truth(patient: VirtualPatient, folder: Path, at: datetime) -> dict[str, Any]:
    from hepatica.io.itk import write_itk
    from hepatica.io.tree import write_tree_csv, write_tree_vtk

    labels, names = label_map(patient)
    (folder / "truth").mkdir()
    for name, volume in (
        ("ct", patient.hu),
        ("activity", patient.activity()),
        ("activity-at-scan", patient.activity(at)),
        ("decays", patient.time_integrated_activity()),
        ("density", patient.density),
        ("labels", labels),
    ):
        write_itk(volume, folder / "truth" / f"{name}.nii.gz")
    tree = patient.tree
    is_end = np.isin(np.arange(len(tree.parent)), tree.ends)
    columns: dict[str, Any] = {
        "parent": tree.parent,
        "radius_mm": tree.radius_mm,
        "flow": tree.flow,
        "segment": tree.segment,
        "is_end": is_end.astype(int),
        "name": tree.labels,
    }
    write_tree_csv(folder / "arteries.csv", tree.start_mm, tree.end_mm, columns)
    write_tree_vtk(folder / "arteries.vtk", tree.start_mm, tree.end_mm, columns, title="hepatic arteries")
    truth = {
        "software": "hepatica",
        "version": __version__,
        **patient.as_dict(),
        "scanned_at": at.isoformat(),
        "balance_at_scan_bq": patient.balance(at),
        "truth_units": {
            "ct": "HU", "activity": "Bq", "activity-at-scan": "Bq", "decays": "Bq s", "density": "g/mL", "labels": "",
        },
        "labels": {str(number): name for number, name in names.items()},
    }  # fmt: skip
    (folder / "patient.json").write_text(json.dumps(truth, indent=1), encoding="utf-8")
    return truth


def label_map(patient: VirtualPatient) -> tuple[Volume, dict[int, str]]:
    """Number of the structure that fills most of each voxel (at least half of it), and their names."""
    names = [name for name in LABELLED if name in patient.regions]
    values = np.zeros(patient.grid.shape, dtype=np.uint8)
    listed = [*names, *(region.name for region in tumour_regions(patient))]
    for number, name in enumerate(listed, start=1):
        region = patient.regions[name]
        values[region.window][region.coverage >= 0.5] = number
    labels = Volume(patient.grid, values, Kind.LABEL, name="labels")
    return labels, dict(enumerate(listed, start=1))
