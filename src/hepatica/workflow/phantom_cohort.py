"""Many virtual patients with everything varied, as values and as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated

from hepatica.anatomy.virtual_patient import (
    FlowOptions,
    PatientSettings,
    PatientSummary,
    Treatment,
    VirtualCtOptions,
    cohort_settings,
    patient_summary,
)
from hepatica.core import Provenance
from hepatica.core.document import HIDDEN
from hepatica.core.options import Limits, NonNegative, parameters, verb
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.values import anonymised
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.io.files import write_text
from hepatica.workflow.phantom import SCAN_AFTER_H, VirtualPatientResult, made_patient
from hepatica.workflow.result import Result, result

MAX_KEPT_VOXELS = 2e7
"""Patients beyond are made a second time when they are written: the same settings give the same patient."""


class CohortPatients(Sequence[VirtualPatientResult]):
    """The patients of a cohort, made when they are asked for; the first ones are kept.

    Parameters
    ----------
    settings : sequence of PatientSettings
        Of each.
    scan_after_h : float
        Time from the administration to the emission image.
    """

    def __init__(self, settings: Sequence[PatientSettings], scan_after_h: float) -> None:
        self._settings, self._scan_after_h = tuple(settings), scan_after_h
        self._kept: dict[int, VirtualPatientResult] = {}
        self._kept_voxels = 0
        self._anonymiser: Anonymiser | None = None

    def anonymised(self, anonymiser: Anonymiser) -> CohortPatients:
        """The same patients, each without identity once it is made."""
        made = CohortPatients(self._settings, self._scan_after_h)
        made._anonymiser = anonymiser
        return made

    def __len__(self) -> int:
        return len(self._settings)

    def __getitem__(self, number: int) -> VirtualPatientResult:  # type: ignore[override]
        if number not in self._kept:
            made = made_patient(self._settings[number], self._scan_after_h, silent)
            if self._anonymiser is not None:
                made = anonymised(made, self._anonymiser.of_patient(made.context.patient_id))
            self._kept_voxels += made.patient.grid.size
            if self._kept_voxels > MAX_KEPT_VOXELS:
                return made
            self._kept[number] = made
        return self._kept[number]

    def named(self) -> Iterator[tuple[str, VirtualPatientResult]]:
        """Each patient with the name of its folder."""
        for number in range(len(self)):
            yield f"patient-{number + 1:03d}", self[number]


@result
class VirtualCohortResult(Result):
    """A cohort of virtual patients.

    Attributes
    ----------
    patients : tuple of PatientSummary
        One line about each.
    made : CohortPatients
        The patients themselves, made when they are asked for.
    """

    verb = "virtual_cohort"

    patients: tuple[PatientSummary, ...]
    made: CohortPatients = field(metadata=HIDDEN)

    def title(self) -> str:
        """How many."""
        return f"Cohort of {len(self.patients)} virtual patients"

    def table(self) -> Table:
        """What differs between them; all of it is in ``cohort.csv``."""
        columns = ("patient", "sex", "arteries", "liver, mL", "tumours", "mL", "GBq", "perfused, mL", "lung shunt")
        rows = [
            (p.patient, p.sex, p.variant, p.liver_ml, p.tumours, p.tumour_ml, p.administered_gbq, p.perfused_ml,
             p.lung_shunt)
            for p in self.patients
        ]  # fmt: skip
        return Table.of(columns, rows, name="patients")

    def write(self, folder: Path) -> None:
        """Write ``patient-001``, ``patient-002``, ... each as `VirtualPatientResult.write`, and ``cohort.csv``."""
        for name, made in self.made.named():
            (folder / name).mkdir()
            made.write(folder / name)
        rows = [list(asdict(patient).values()) for patient in self.patients]
        table = Table.of(list(asdict(self.patients[0])), rows)
        write_text(folder / "cohort.csv", table.csv())


@verb
def virtual_cohort(
    cohort_size: Annotated[int, Limits(low=1)],
    *,
    seed: Annotated[int, Limits(low=0)] = 7,
    nuclide: str = "",
    agent: str = "",
    ct: VirtualCtOptions = VirtualCtOptions(),
    flow: FlowOptions = FlowOptions(),
    scan_after_h: NonNegative = SCAN_AFTER_H,
    progress: Progress | None = None,
) -> VirtualCohortResult:
    """Many virtual patients with everything varied.

    Sex, size, liver, cirrhosis, arteries, tumours, activity, catheters, lung shunt and tumour-to-normal ratio are drawn
    from a table of published ranges.

    Parameters
    ----------
    cohort_size : int
        How many patients.
    seed : int
        Seed of the cohort; patient n is the same whatever the number of patients.
    nuclide : str
        Radionuclide; the agent's if not given, else Y-90.
    agent : str
        Its carrier; the first that carries the nuclide if not given.
    ct : VirtualCtOptions
        Voxels and CT.
    flow : FlowOptions
        How the agent flows and settles.
    scan_after_h : float
        Time from the administration to the emission image.
    progress : callable, optional
        Called with each step.

    Returns
    -------
    VirtualCohortResult
        One line about each patient; ``save`` writes the files of all.

    Raises
    ------
    InputError
        If the number is not positive.
    UnknownNameError
        For an unknown nuclide or agent.

    Examples
    --------
    >>> [patient.sex for patient in hepatica.virtual_cohort(2, ct=VirtualCtOptions(spacing_mm=12)).patients]
    ['male', 'female']
    """
    report_progress = progress or silent
    like = PatientSettings(ct=ct, treatment=Treatment(nuclide=nuclide, agent=agent, flow=flow))
    made = CohortPatients(cohort_settings(cohort_size, seed=seed, like=like), scan_after_h)
    rows = []
    for number, (name, one) in enumerate(made.named(), start=1):
        report_progress(f"patient: {number} of {cohort_size}")
        rows.append(patient_summary(name, one.patient))
    return VirtualCohortResult(
        patients=tuple(rows),
        made=made,
        provenance=Provenance(
            parameters=parameters(ct, flow, cohort_size=cohort_size, seed=seed, nuclide=like.treatment.nuclide,
                                  agent=like.treatment.agent, scan_after_h=scan_after_h),
            tables={"ranges": "anatomy/virtual_patient/tables/cohort.csv"},
            steps=("What differs between patients was drawn from the table of ranges.",),
        ),
    )  # fmt: skip
