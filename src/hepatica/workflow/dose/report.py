"""A dose result as the report prints it."""

from __future__ import annotations

from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.numbers.wording import percent, three
from hepatica.dosimetry.time.curves import CurveFit
from hepatica.nuclides import agent, nuclide
from hepatica.planning.extrahepatic.described import test_note
from hepatica.report import DoseReport, Fact, FurtherTable, ImageUsed
from hepatica.report.facts import image_used, patient_facts, stated_facts
from hepatica.workflow.dose.numbers import DoseNumbers

UNCERTAINTY_NOTE = (
    "Standard uncertainties (k = 1) by the EANM guidance (Gear et al. 2018); outline, recovery, camera factor, time "
    "integration and the transform, as far as they are known; a dash is what is not known and not in the totals."
)

LUNG_NOTE = (
    "By the shunt: activity that reached the patient times lung shunt, all decays in the mass of the whole lungs. By "
    "the image: absorbed energy over mass of the lung in view. The larger of both is judged. The 95 % interval is that "
    "of the reconstruction of a SPECT with levels, widened by what is known of calibration, outline, time and engine; "
    "the mean need not lie in its middle."
)


def dose_report(result: DoseNumbers) -> DoseReport:
    """Everything that HTML, PDF and CSV print."""
    return DoseReport(
        dose=result.dose,
        regions=result.report_regions(),
        ct=None if result.ct is None else result.ct.volume,
        decays=result.dose_map.decays,
        patient=patient_facts(result.context),
        treatment=_treatment(result),
        method=_method(result),
        conventions=tuple(Fact(name, text) for name, text in result.provenance.conventions.items()),
        images=tuple(
            [image_used("Activity", image) for image in result.activity]
            + ([image_used("CT", result.ct)] if result.ct is not None else [])
            + ([ImageUsed("Structures", result.drawn.source.path, "", "", "")] if result.drawn.source else [])
        ),
        limits=result.limits,
        states_uncertainty=result.states_uncertainty,
        further=_further(result),
        places=None if result.elsewhere is None else result.elsewhere.picture(),
        messages=result.messages,
        provenance=result.provenance.as_document(),
        created=result.provenance.now().astimezone(),
    )


def _further(result: DoseNumbers) -> tuple[FurtherTable, ...]:
    found = (
        (result.lung_table(), LUNG_NOTE),
        (result.deposits_table(), "" if result.elsewhere is None else test_note(result.elsewhere.test)),
        (result.uncertainty_table(), UNCERTAINTY_NOTE),
    )
    return tuple(
        FurtherTable(table.title, tuple(column.replace(", ", "\n") for column in table.columns), table.rows, note)
        for table, note in found
        if table is not None
    )


def _treatment(result: DoseNumbers) -> tuple[Fact, ...]:
    facts, options, count = result.activity[0].acquisition, result.given.quantification, result.count
    name = result.given.clinical.agent
    given = options.administered_bq or facts.administered_bq
    when = options.administered_at or facts.administered_at
    found = f"{three(result.activity_in_image_mbq)} MBq"
    if count.expected_bq:
        found += f" ({percent(100 * count.activity_in_image_bq / count.expected_bq)} % of what should be in view)"
    return stated_facts(
        ("Nuclide", nuclide(result.nuclide).label),
        ("Agent", "" if name is None else agent(name).name),
        ("Administered", "" if given is None else f"{three(given / 1e6)} MBq"),
        ("Administered at", "" if when is None else f"{when:%Y-%m-%d %H:%M}"),
        ("Activity in the image", found),
        ("Lung shunt", f"{percent(100 * options.lung_shunt)} %" if options.lung_shunt else ""),
        ("Residual", f"{percent(100 * options.residual)} %" if options.residual else ""),
    )


def _density(result: DoseNumbers) -> str:
    """What is not the CT's: stated or reference densities of structures, or a uniform patient."""
    if result.ct is None:
        return result.patient.ct.name
    tables = {"stated": [], "reference": []}  # type: dict[str, list[str]]
    for found in result.structures:
        if found.density_from in tables and not found.derived:
            density = found.dose.mass_g / found.dose.volume_ml
            tables[found.density_from].append(f"{found.dose.name} {three(density)} g/mL")
    words = {"stated": "stated", "reference": "reference for enhanced soft tissue"}
    listed = [f"{words[origin]}: {', '.join(names)}" for origin, names in tables.items() if names]
    return "; ".join(["from the CT", *listed])


def _method(result: DoseNumbers) -> tuple[Fact, ...]:
    balance = result.dose_map.energy_balance
    share = 100 / balance.emitted_j
    curve = result.count.curve
    if isinstance(curve, CurveFit) and len(result.activity) > 1:
        fitted = ", ".join(f"{three(value / SECONDS_PER_HOUR)} h" for value in curve.half_lives_s)
        integration = f"{curve.model}-exponential curve through {len(result.activity)} images, half-life {fitted}"
    else:
        integration = result.provenance.conventions.get("time integration", "decays as the image holds them")
        if half_life_s := result.given.time.effective_half_life_s:
            integration += f", {three(half_life_s / SECONDS_PER_HOUR)} h"
    energy = (
        f"{three(balance.emitted_j)} J: {percent(balance.deposited_j * share)} % deposited, "
        f"{percent(balance.in_air_j * share)} % in air, {percent(balance.outside_j * share)} % left the image, "
        f"{percent(balance.left_out_j * share)} % left out"
    )
    return stated_facts(
        ("Dose engine", result.engine),
        ("Dose grid", repr(result.dose.grid)),
        ("Density", _density(result)),
        ("Time integration", integration),
        ("Highest voxel dose", str(result.highest_dose)),
        ("Energy emitted", energy),
    )
