"""When a patient may go home, and how to keep others safe."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated

from hepatica.core import InputFile
from hepatica.core.document import HIDDEN, INLINE
from hepatica.core.message import Message, unique
from hepatica.core.options import Limits, Positive, options, verb
from hepatica.core.privacy.identity import withheld
from hepatica.core.tables.table import Table
from hepatica.errors import InputError
from hepatica.nuclides import Nuclide
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.planning.measured.earlier_results import document_of
from hepatica.planning.measured.treatment_results import (
    about_instant,
    beside,
    differing,
    given_activity,
    require_same_agent,
    require_same_nuclide,
)
from hepatica.report.figures.outcome import draw_dose_rates, save
from hepatica.report.page import write_page
from hepatica.safety.plan import ContactOptions, DoseRateOptions, ReleasePlan, release_plan
from hepatica.safety.release import FrameworkName
from hepatica.safety.sheet import patient_sheet, sheet_texts
from hepatica.workflow.result import Result, result


@options
class SheetOptions:
    """What is printed on the patient's sheet.

    Attributes
    ----------
    language : str
        Language of the sheet: "en", or a translated .toml file.
    patient : str
        Name or number of the patient.
    hospital : str
        Whom the patient may call.
    framework : {"nrc", "euratom", "france", "germany", "ireland", "australia"}
        Rule by which going home is stated.
    """

    language: str = "en"
    patient: str = ""
    hospital: str = field(default="", metadata=withheld())
    framework: FrameworkName = "nrc"


@result
class ReleaseResult(Result):
    """Everything about going home after one treatment, and the sheet that the patient takes along."""

    verb = "release"

    plan: ReleasePlan = field(metadata=INLINE)
    sheet: SheetOptions = field(metadata=HIDDEN)

    def title(self) -> str:
        """Activity, dose rate and half-life."""
        plan, constant = self.plan, self.plan.dose_rate_constant
        return (
            f"{plan.administered_gbq:.4g} GBq {plan.nuclide} {plan.agent or ''}: {constant.usv_m2_per_gbq_h:.3g} uSv/h "
            f"per GBq at 1 m ({constant.convention}), half-life {plan.half_life_h:.4g} h"
        )

    def table(self) -> Table:
        """What each rule says about going home."""
        rows = [(v.framework.name, _yes_no(v.may_go), v.wait_h, v.reason) for v in self.plan.frameworks]
        return Table.of(("rule", "now", "wait, h", "why"), rows, "Going home", "release")

    def tables(self) -> tuple[Table, ...]:
        """Going home, dose rates, the NRC guide, contact, what stays and leaves, staff."""
        plan, nrc = self.plan, self.plan.nrc
        rates = [(r.hours, r.at_0_3_m_usv_per_h, r.at_1_m_usv_per_h, r.at_2_m_usv_per_h) for r in plan.dose_rates]
        guide = (
            nrc.dose_msv, "due" if nrc.instructions_due else "not due", nrc.activity_limit_gbq,
            nrc.table_activity_limit_gbq, nrc.rate_limit_usv_per_h,
        )  # fmt: skip
        contacts = [
            (r.pattern.text, r.pattern.constraint_msv, r.days, r.until, r.dose_without_msv, r.dose_with_msv)
            for r in plan.restrictions
        ]
        staff = [(t.task, t.hours, t.distance_m, t.after_h, t.dose_usv) for t in plan.staff]
        return (
            self.table(),
            Table.of(("hours", "0.3 m, uSv/h", "1 m, uSv/h", "2 m, uSv/h"), rates, "Dose rate", "dose-rates"),
            Table.of(
                ("dose, mSv", "instructions", "activity limit, GBq", "RG 8.39 table, GBq", "limit at 1 m, uSv/h"),
                [guide], f"NRC: {nrc.basis}", "nrc",
            ),
            Table.of(
                ("contact", "constraint, mSv", "days", "until", "without, mSv", "with, mSv"), contacts, "Keep away",
                "contact",
            ),
            Table.of(("what", "value"), _afterwards(plan), "Excreta, waste, afterwards", "afterwards"),
            Table.of(
                ("task", "hours", "distance, m", "after, h", "dose, uSv"), staff,
                "Staff (our planning times; external radiation from the patient only)", "staff",
            ),
        )  # fmt: skip

    def write(self, folder: Path) -> None:
        """Write ``dose-rates.svg`` and the patient's sheet as ``sheet.html`` and ``sheet.pdf``."""
        plan, words = self.plan, self.sheet
        hours = [h / 4 for h in range(int(4 * 12 * plan.half_life_h) + 1)]
        curves = {f"{d:g} m": [plan.source.rate_usv_per_h(d, h) for h in hours] for d in (0.3, 1.0, 2.0)}
        title = f"{plan.nuclide}, {plan.administered_gbq:.3g} GBq"
        save(draw_dose_rates(hours, curves, title), folder / "dose-rates.svg")
        texts = sheet_texts(words.language)
        page = patient_sheet(
            plan, texts=texts, patient=words.patient, contact=words.hospital, framework=words.framework
        )
        for ending in ("html", "pdf"):
            write_page(page, folder / f"sheet.{ending}")


@verb
def release(  # noqa: PLR0913 - what one administration was, all but the first two by keyword
    nuclide: str | Nuclide | None = None,
    administered_gbq: Positive | None = None,
    *,
    agent: str = "",
    administered_at: datetime | None = None,
    administered_result: Path | None = None,
    effective_half_life_h: Annotated[float, Limits(above=0)] | None = None,
    dose_rate: DoseRateOptions = DoseRateOptions(),
    contact: ContactOptions = ContactOptions(),
    sheet: SheetOptions = SheetOptions(),
) -> ReleaseResult:
    """Dose rates, release rules, contact restrictions, waste and the patient sheet.

    Parameters
    ----------
    nuclide : str, Nuclide or None
        Radionuclide, such as I-131.
    administered_gbq : float or None
        Administered activity.
    agent : str
        Carrier: glass, resin, PLLA, lipiodol.
    administered_at : datetime or None
        Instant of the administration; without it only durations are given.
    administered_result : path or None
        Result of the delivered activity: nuclide, agent, activity and instant come from it.
    effective_half_life_h : float or None
        Half-life in the patient; the physical one, on the safe side, if not given.
    dose_rate : DoseRateOptions
        How the dose rate is found.
    contact : ContactOptions
        With whom the patient lives.
    sheet : SheetOptions
        What is printed on the patient's sheet.

    Returns
    -------
    ReleaseResult
        Rules, restrictions, waste and staff; ``save`` writes the sheet too.

    Raises
    ------
    UnknownNameError
        For an unknown nuclide, convention or set of patterns.
    InputError
        If the language is neither shipped nor a whole translation, or neither activity nor a result is given.
    PhysicsError
        If the effective half-life is longer than the physical one.

    Examples
    --------
    >>> hepatica.release("I-131", 2.2, agent="lipiodol").plan.nrc.may_go
    False
    """
    sheet_texts(sheet.language)  # raises for a language that is none, before the work
    given = _given(nuclide, administered_gbq, agent, administered_at, administered_result)
    plan = release_plan(
        given.nuclide,
        given.administered_gbq,
        agent=given.agent,
        administered_at=given.administered_at,
        effective_half_life_h=effective_half_life_h,
        dose_rate=dose_rate,
        contact=contact,
    )
    provenance = plan.provenance.adding(inputs=given.inputs)
    return ReleaseResult(plan=plan, sheet=sheet, messages=unique(given.messages, plan.messages), provenance=provenance)


@dataclass(frozen=True, slots=True)
class _Given:
    """One administration, and what is to be said of how it is known."""

    nuclide: str
    administered_gbq: float
    agent: str
    administered_at: datetime | None
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()


def _given(
    nuclide: str | Nuclide | None, activity_gbq: float | None, agent: str, at: datetime | None, result: Path | None
) -> _Given:
    """The administration as stated, or of a result of the delivered activity with stated values compared."""
    if result is None:
        if nuclide is None or activity_gbq is None:
            raise InputError("`nuclide` and `administered_gbq` are needed", remedy="or give `administered_result`")
        return _Given(find_nuclide(nuclide).name, activity_gbq, agent, at)
    path = Path(result)
    found = given_activity(path)
    if nuclide is not None:
        require_same_nuclide(find_nuclide(nuclide).name, found.nuclide, found.source)
    require_same_agent(agent, found.agent, found.source)
    measured_gbq = found.administered_bq.value / 1e9
    said = list(found.messages)
    if activity_gbq is not None:
        said += differing((beside("administered_activity", activity_gbq, measured_gbq, "GBq", found.source),))
    if at is not None:
        said += about_instant(found, at)
    inputs = (InputFile.of("administered", document_of(path)),)
    return _Given(
        found.nuclide, measured_gbq, agent or found.agent or "", found.administered_at, tuple(said), inputs
    )  # fmt: skip


def _yes_no(answer: bool | None) -> str:
    return {True: "yes", False: "no", None: "by contact"}[answer]


def _afterwards(plan: ReleasePlan) -> list[tuple[str, str]]:
    w, e = plan.waste, plan.excretion
    rows = [("excreta", e.advice)]
    if e.percent_48h_max is not None:
        rows.append(("excreted in 48 h, highest published", f"{e.percent_48h_max:g} % of injected ({e.source})"))
    if e.thyroid_block:
        rows.append(("thyroid block", e.thyroid_block))
    rows.append(("waste, ten half-lives", f"{w.days_ten_half_lives:.0f} days"))
    if w.exempt_bq_per_g is not None:
        rows.append(("exempt concentration", f"{w.exempt_bq_per_g:g} Bq/g"))
    if w.impurity:
        text = f"{w.impurity}, half-life {w.impurity_half_life_d:g} d"
        if w.impurity_overtakes_days is not None:
            text += f"; at {w.impurity_fraction:g} it overtakes after {w.impurity_overtakes_days:.0f} d"
        else:
            text += "; its share must be measured"
        rows.append(("long-lived impurity", text))
    if plan.cremation is not None:
        c = plan.cremation
        rows.append(("cremation without precaution", f"after {c.days:.1f} d ({c.limit_mbq:g} MBq; {c.source})"))
    rows.append(("4 h of surgery at 0.3 m under 100 uSv", f"after {plan.surgery_days:.1f} d"))
    return rows
