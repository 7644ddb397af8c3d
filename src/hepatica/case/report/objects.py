"""The report as DICOM: the PDF, and for each treatment a Radiopharmaceutical Radiation Dose report."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from hepatica.case.report.course import CourseStep
from hepatica.case.report.material import CaseMaterial
from hepatica.case.report.summary import TreatmentSummary
from hepatica.case.steps.shown import at
from hepatica.core.numbers.wording import percent, three
from hepatica.io.dicom.dose_sr import Administration, OrganDose, write_dose_sr
from hepatica.io.dicom.encapsulated_pdf import write_encapsulated_pdf
from hepatica.io.dicom.images.write import NUCLIDE_CODES
from hepatica.nuclides import agent, nuclide

REPORT = "report"
DOSE_SR = "radiation-dose"

GRAMS_PER_KG, BQ_PER_GBQ = 1e3, 1e9


def write_objects(folder: Path, material: CaseMaterial, title: str) -> None:
    """Write ``report.dcm`` with the PDF that is there, and ``radiation-dose-1.dcm``, ...; none without a DICOM image.

    Raises
    ------
    DicomError
        If a value does not fit DICOM.
    OutputError
        If a file cannot be written.
    """
    if material.context is None:
        return
    pdf = (folder / f"{REPORT}.pdf").read_bytes()
    write_encapsulated_pdf(folder / f"{REPORT}.dcm", pdf, title, material.context)
    for treatment in material.treatments:
        found = administration(treatment, material.of_treatment(treatment.number).get("dose"))
        if found is not None:
            write_dose_sr(folder / f"{DOSE_SR}-{treatment.number}.dcm", found, material.context)


def administration(treatment: TreatmentSummary, dose: CourseStep | None) -> Administration | None:
    """What was administered; None where delivery is not up to date, or the instant or the nuclide's code is missing."""
    given, name = treatment.administered_gbq, treatment.nuclide
    try:
        started_at = datetime.fromisoformat(treatment.stated_at)
    except ValueError:
        return None
    if given is None or name not in NUCLIDE_CODES:
        return None
    parts = [f"Standard uncertainty of the activity (k = 1) {three(given.sd)} GBq." if given.sd else ""]
    if treatment.residual_fraction is not None:
        parts.append(f"Residual {percent(100 * treatment.residual_fraction.value)} %.")
    return Administration(
        agent=agent(treatment.agent).product if treatment.agent else f"{name} microspheres",
        nuclide=name,
        half_life_s=nuclide(name).half_life_s,
        activity_bq=given.value * BQ_PER_GBQ,
        started_at=started_at,
        doses=() if dose is None else _organs(dose),
        comment=" ".join(filter(None, parts)),
    )


def _organs(dose: CourseStep) -> tuple[OrganDose, ...]:
    """Liver as drawn, and the lung dose that is judged."""
    found = [
        OrganDose(
            "liver",
            item["dose_mean_gy"],
            item["mass_g"] / GRAMS_PER_KG,
            f"mean over the voxels of {item['name']}, engine {dose.document['engine']}",
        )
        for item in dose.document.get("structures", ())
        if item["role"] == "liver"
    ]
    lungs = dose.document.get("lung_doses") or {}
    if lungs.get("judged"):
        method = {"shunt": "lung shunt and mass of the whole lungs"}.get(lungs["judged"], "image of the therapy")
        mass = at(lungs, "by_shunt.lung_mass_kg") if lungs["judged"] == "shunt" else None
        found.append(OrganDose("lungs", lungs["dose_judged_gy"], mass, method))
    return tuple(found)
