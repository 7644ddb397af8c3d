"""One prescription from its numbers."""

from __future__ import annotations

from dataclasses import field, replace

from hepatica.core import InputFile
from hepatica.core.document import INLINE
from hepatica.core.message import unique
from hepatica.core.options import parameters, verb
from hepatica.core.tables.table import Table
from hepatica.planning.limits.assess import Assessed, Patient
from hepatica.planning.measured.compared import Compared
from hepatica.planning.measured.earlier_results import EarlierOptions, with_results
from hepatica.planning.planner.prescribe import (
    AimOptions,
    Asked,
    MassOptions,
    Method,
    PerfusedOptions,
    RuleOptions,
    SubstanceOptions,
    prescription,
)
from hepatica.planning.planner.tables import GBQ, doses_table, limits_table
from hepatica.workflow.result import Result, result


@result
class PrescriptionResult(Result):
    """An activity by one method, its doses, limits and guardrails."""

    verb = "prescribe"

    assessed: Assessed = field(metadata=INLINE)
    compared: tuple[Compared, ...] = ()

    def title(self) -> str:
        """Method, agent, dose constant and source."""
        made = self.assessed.prescription
        return f"{made.method}, {self.assessed.carrier.name} ({made.constant.text})\n{made.source}"

    def table(self) -> Table:
        """Activity in the vial and to the patient."""
        made = self.assessed.prescription
        row = (made.planned_gbq, made.administered_gbq, made.residual)
        columns = ("in the vial, GBq", "to the patient, GBq", "residual")
        return Table.of(columns, [row], "Activity at administration", "activity", formats=(GBQ, GBQ, ".1%"))

    def tables(self) -> tuple[Table, ...]:
        """Activity, doses, limits."""
        found = (self.table(), doses_table(self.assessed.prescription.doses), limits_table(self.assessed.limits))
        return tuple(table for table in found if table.rows)


@verb
def prescribe(
    method: Method,
    *,
    substance: SubstanceOptions = SubstanceOptions(),
    perfused: PerfusedOptions = PerfusedOptions(),
    masses: MassOptions = MassOptions(),
    aim: AimOptions = AimOptions(),
    rule: RuleOptions = RuleOptions(),
    patient: Patient = Patient(),
    earlier: EarlierOptions = EarlierOptions(),
) -> PrescriptionResult:
    """One prescription from its numbers, beside the limits of its agent.

    Parameters
    ----------
    method : {"mird", "bsa", "empiric", "partition", "activity-ratio", "holmium", "lipiodol"}
        Rule by which the activity is found.
    substance : SubstanceOptions
        What is given.
    perfused : PerfusedOptions
        What is perfused, as one mass or volume.
    masses : MassOptions
        Normal liver, tumours with their uptake, lungs.
    aim : AimOptions
        What the activity is to reach.
    rule : RuleOptions
        What single rules need besides.
    patient : Patient
        What decides which limits apply.
    earlier : EarlierOptions
        Results that hold the lung shunt, masses and T/N.

    Returns
    -------
    PrescriptionResult
        Activity, doses, limits and what the guardrails say.

    Raises
    ------
    InputError
        If the method lacks an option, or one is stated that it does not use.
    UnknownNameError
        For an unknown agent, nuclide or convention.

    Examples
    --------
    >>> aim, perfused = AimOptions(dose_gy=120.0), PerfusedOptions(mass_kg=1.5)
    >>> found = hepatica.prescribe("mird", substance=SubstanceOptions(agent="glass"), perfused=perfused, aim=aim)
    """
    stated = parameters(substance, perfused, masses, aim, rule, patient, method=method)
    masses, compared, shunt_sd = with_results(masses, earlier)
    if patient.lung_shunt_sd is None and shunt_sd is not None:
        patient = replace(patient, lung_shunt_sd=shunt_sd)
    found = prescription(method, Asked(substance, perfused, masses, aim, rule, patient))
    differing = [one.message() for one in compared if one.differs]
    provenance = found.provenance.adding(
        parameters=stated, inputs=tuple(InputFile.of("earlier", path) for path in earlier.files)
    )
    return PrescriptionResult(
        assessed=found, compared=compared, messages=unique(differing, found.messages), provenance=provenance
    )
