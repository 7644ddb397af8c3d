"""The first page: what a tumour board reads of one treatment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hepatica.case.report.course import CourseStep
from hepatica.case.report.goals import Goal
from hepatica.case.report.histograms import histograms_of
from hepatica.case.report.material import CaseMaterial
from hepatica.case.report.room import FULL, Room
from hepatica.case.report.summary import StructureDose, TreatmentSummary, shown_structures
from hepatica.case.report.warnings import open_warnings
from hepatica.case.steps.course import step_named
from hepatica.core.message import Message
from hepatica.core.numbers.estimate import Estimate
from hepatica.core.numbers.wording import percent, three, with_uncertainty
from hepatica.core.tables.table import Cell, Table
from hepatica.planning.limits.dose_limits import SEEN_WHOLE
from hepatica.report.document import (
    Banner,
    Block,
    Facts,
    Notices,
    Paragraph,
    Picture,
    Section,
    TableBlock,
)
from hepatica.report.dose_report import LimitRow
from hepatica.report.figures.course import planned_and_delivered_figure
from hepatica.report.figures.dosimetry.dose import png
from hepatica.report.pdf import is_printable

Steps = Mapping[str, CourseStep]

NO_BREAK, MINUS = "\u00a0", "\u2212"
CHANCES_SHOWN = 2
GIVEN_RELATIVE = 0.20
"""Given and planned activity that differ by as much: 10 CFR 35.3045 has it reported as a medical event."""
STATE_MARKS = {"done": "met", "out of date": "violated", "changed": "violated", "failed": "violated", "ready": "near"}
STATE_WORDS = {"waiting": "not done", "ready": "not done, may be run", "changed": "result was changed"}
REASON_LETTERS = 80
STANDING = {
    "Not up to date": ("out of date", "changed", "failed"),
    "Left out": ("skipped",),
    "Not done": ("waiting", "ready"),
}
"""How the list of steps names those that have no result to show, in its order."""

DOSE_COLUMNS = (
    "Structure", "Volume\nmL", "Planned\nGy", "Delivered\nGy", "±\nGy", "D95\nGy", "Goal or limit", "Verdict",
)  # fmt: skip


def front_sections(
    material: CaseMaterial, treatment: TreatmentSummary, room: Room, histograms: Picture | None, *, first: bool
) -> list[Section]:
    """Of one treatment; `first` is the first page of the report, others begin a page of their own."""
    steps = material.of_treatment(treatment.number)
    heading = f"Treatment {treatment.number}{f': {treatment.name}' if treatment.name else ''}"
    many = len(material.treatments) > 1
    key = _key(steps)
    facts, activity = _disease(material, treatment, room), _activity(treatment, steps, room)
    of_treatment = heading if first and many else "Disease and treatment"
    if key is not None:
        top = [_half(of_treatment, Facts((*facts.facts, *activity.facts))), _half("Delivered dose", key)]
    else:
        top = [_half(of_treatment, facts), _half("Activity and scout", activity)]
    asked = _questions(treatment, room)
    effect, open_ = (*_chances(treatment, steps), *asked), _open(material, treatment, room)
    if histograms is not None and room.histograms:
        below = [_half("Dose-volume histograms", histograms), _half("Predicted effect", *effect, open_)]
    else:
        below = [_half("Predicted effect", *effect), _half("", open_)]
    return [
        Section("", (banner(material),)) if first else Section(heading, page=True),
        *([_not_usable(material, room)] if first and (material.stale or _about(material)) else []),
        *top,
        _doses(treatment, steps, room),
        *below,
        *([_other_treatments(material, treatment)] if first and many else []),
        _standing(material, steps, room),
    ]


def carried_sections(
    material: CaseMaterial, treatment: TreatmentSummary, room: Room, histograms: Picture | None, *, first: bool
) -> list[Section]:
    """What the page of a treatment had no room for, in full; nothing where it had."""
    steps = material.of_treatment(treatment.number)
    name = f" of treatment {treatment.number}" if len(material.treatments) > 1 else ""
    note = Paragraph(f"What the page{name} had no room for stands here in full.", note=True)
    found: list[Section] = [Section(f"Carried over from the page{name}", (note,), page=True)]
    if first and (material.stale or _about(material)) and _count_notices(material) > room.notices:
        found.append(_not_usable(material, FULL))
    found.append(_doses(treatment, steps, FULL))
    if histograms is not None and not room.histograms:
        found.append(Section("Dose-volume histograms", (histograms,), tight=True))
    boxes = (*_questions(treatment, FULL), _open(material, treatment, FULL))
    found += [Section("", (block,), tight=True) for block in boxes]
    found.append(_standing(material, steps, FULL))
    return found


def _half(heading: str, *blocks: Block) -> Section:
    return Section(heading, blocks, half=True, tight=True)


def banner(material: CaseMaterial) -> Banner:
    """Whose case it is."""
    person = material.person
    pairs = (
        ("Patient", person.shown_name or "not stated"),
        ("Patient ID", person.patient_id or "not stated"),
        ("Born", person.birth_date),
        ("Sex", person.sex),
    )
    return Banner(Facts.of([(label, value) for label, value in pairs if value]).facts)


def _count_notices(material: CaseMaterial) -> int:
    return len(material.stale) + len(_about(material))


def _not_usable(material: CaseMaterial, room: Room) -> Section:
    """What must be known before any number is read."""
    words = {"out of date": "is out of date", "failed": "failed", "changed": "has a result that was changed"}
    stale = [
        Message(
            f"step-{step.state.replace(' ', '-')}",
            f"{step.title} ({step.name}) {words[step.state]}{_why(step)}: its numbers are not shown",
            severity="critical",
        )
        for step in material.stale
    ]
    heading = "Not up to date" if stale else "To be put right"
    every = (*_about(material), *stale)
    left = len(every) - room.notices
    note = f"{left} more are carried over to the next page." if left > 0 else ""
    shown = tuple(Message(m.code, _short(m.text, room.notice_letters), m.remedy, m.severity) for m in every)
    return Section("", (Notices(heading, shown[: room.notices], "violated", note),), tight=True)


def _about(material: CaseMaterial) -> tuple[Message, ...]:
    """What is wrong with the case itself, and with its print."""
    given = tuple(message for one in material.treatments for message in about_given(one))
    if is_printable(material.person.shown_name):
        return (*given, *material.messages)
    text = "the PDF cannot print every letter of the patient's name; the HTML report does"
    return (*given, *material.messages, Message("name-not-printable", text, "go by the patient's ID on paper"))


def _why(step: CourseStep) -> str:
    why = "; ".join(part for part in (*step.reasons, step.said) if part)
    return f" ({_short(why)})" if why else ""


def _short(text: str, most: int = REASON_LETTERS) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _disease(material: CaseMaterial, treatment: TreatmentSummary, room: Room) -> Facts:
    disease = material.disease
    pairs = (
        ("Indication", disease.indication or "not stated"),
        ("Disease", _short(_joined(disease.description, disease.stage), 3 * room.name_letters)),
        ("Agent, intent", f"{_agent(treatment)}, {treatment.intent or 'intent not stated'}"),
        ("Administered at", treatment.stated_at.replace("T", " ")),
        ("Plan", _plan_verdict(treatment)),
        ("Best response", " ".join(filter(None, (treatment.response, treatment.response_on)))),
    )
    return Facts.of([(label, value) for label, value in pairs if value])


def _joined(description: str, stage: str) -> str:
    """Both, the stage once."""
    return description if stage in description else ", ".join(filter(None, (description, stage)))


def _agent(treatment: TreatmentSummary) -> str:
    nuclide = f" ({treatment.nuclide})" if treatment.nuclide else ""
    return f"{treatment.agent or 'agent not stated'}{nuclide}"


def _plan_verdict(treatment: TreatmentSummary) -> str:
    words = {"stop": "breaks a limit of its own", "warn": "with warnings", "ok": "within all limits"}
    verdict = words.get(treatment.plan_verdict, treatment.plan_verdict)
    return ", ".join(filter(None, (treatment.planned_method and f"by {treatment.planned_method}", verdict)))


def _activity(treatment: TreatmentSummary, steps: Steps, room: Room) -> Facts:
    def value(kind: str, text: str) -> str:
        return text or _absent(steps, kind)

    t = treatment
    planned = "" if t.planned_gbq is None else f"{three(t.planned_gbq)} GBq"
    if t.planned_administered_gbq is not None and t.planned_gbq != t.planned_administered_gbq:
        planned += f", {three(t.planned_administered_gbq)} GBq to the patient"
    vial = "" if t.vial_at_injection_gbq is None else f" of {three(t.vial_at_injection_gbq)} GBq in the vial"
    given = "" if t.administered_gbq is None else f"{_with_sd(t.administered_gbq)} GBq{vial}{_of_planned(t)}"
    if given and t.given_as_watched:
        given += f", by {t.given_as_watched}"
    if t.administered_gbq is None and t.imaged_gbq is not None:
        given = f"{three(t.imaged_gbq)} GBq as the dose has it{_of_planned(t)}"
    elif t.administered_gbq is None and t.watched_gbq is not None:
        given = f"not worked out; {_with_sd(t.watched_gbq)} GBq by the watched injection"
    shunt = "" if t.lung_shunt is None else f"{_percent(t.lung_shunt)}, {t.lung_shunt_method}"
    normal = "" if t.tumour_to_normal is None else _with_sd(t.tumour_to_normal)
    pairs = [
        ("Planned", value("plan", planned)),
        ("Delivered", value("delivery", given)),
        ("Residual", value("delivery", "" if t.residual_fraction is None else _percent(t.residual_fraction))),
        ("Lung shunt", value("lung-shunt", shunt)),
        ("Tumour to normal", value("uptake", normal)),
        ("Perfused volume", value("uptake", _short(_perfused(t), 4 * room.name_letters))),
    ]
    by_mr = [
        "" if t.mri_found_share is None else f"{_percent(t.mri_found_share)} of what was given",
        "" if t.mri_tumour_to_normal is None else f"tumour to normal {_with_sd(t.mri_tumour_to_normal)}",
        "" if t.spect_mri_correlation is None else f"r = {t.spect_mri_correlation:.2f} with SPECT",
    ]
    # What was taken of it for "delivered" stands there, with the uncertainty of the vial's calibration in it.
    if t.watched and not t.given_as_watched:
        pairs.append(("By the injection", t.watched))
    if any(by_mr):
        pairs.append(("Holmium by MR", "; ".join(filter(None, by_mr))))
    if t.energy_ratio is not None:
        went = "distributed unlike the scout" if t.catheter_moved else "distributed as the scout"
        but = "but another amount: " if t.energy_differs and not t.catheter_moved else ""
        pairs.append(("Scout and therapy", f"{went}; {but}energy in the liver {three(t.energy_ratio)} of planned"))
    if t.dose_from:
        pairs.append(("Dose made from", _short(t.dose_from, 2 * room.name_letters)))
    return Facts.of(pairs)


def _given_gbq(treatment: TreatmentSummary) -> float | None:
    """What reached the patient: as it was measured, else as the dose has it."""
    return treatment.imaged_gbq if treatment.administered_gbq is None else treatment.administered_gbq.value


def _given_ratio(treatment: TreatmentSummary) -> float | None:
    """Given over planned activity, both as they reach the patient; None where one is not known."""
    planned, given = treatment.planned_administered_gbq, _given_gbq(treatment)
    return None if not planned or given is None else given / planned


def _signed(percents: float) -> str:
    return f"{'+' if percents >= 0 else MINUS}{percent(abs(percents))}"


def _of_planned(treatment: TreatmentSummary) -> str:
    ratio = _given_ratio(treatment)
    return "" if ratio is None else f", {_signed(100 * (ratio - 1))} % against planned"


def about_given(treatment: TreatmentSummary) -> tuple[Message, ...]:
    """What must be seen first where another activity was given than planned, or another one seen to arrive."""
    given, watched = _given_gbq(treatment), treatment.watched_gbq
    planned = treatment.planned_administered_gbq
    out = []
    if planned and given is not None and abs(given / planned - 1) >= GIVEN_RELATIVE:
        out.append(_unlike(treatment.number, "given against planned", given, planned))
    if treatment.given_as_watched:
        return tuple(out)
    if planned and watched is not None and abs(watched.value / planned - 1) >= GIVEN_RELATIVE:
        what = "seen to arrive by the watched injection against planned"
        out.append(_unlike(treatment.number, what, watched.value, planned))
    elif given and watched is not None and abs(watched.value / given - 1) >= GIVEN_RELATIVE:
        out.append(_unlike(treatment.number, "seen to arrive by the watched injection against given",
                           watched.value, given))  # fmt: skip
    return tuple(out)


def _unlike(number: int, what: str, found_gbq: float, wanted_gbq: float) -> Message:
    change = _signed(100 * (found_gbq / wanted_gbq - 1))
    text = f"treatment {number}: {change} % activity {what} ({three(found_gbq)} for {three(wanted_gbq)} GBq)"
    return Message("given-unlike-planned", text, "look at unit, instants and readings", severity="critical")


def _absent(steps: Steps, kind: str) -> str:
    """Why a value is not shown."""
    step = steps.get(kind)
    if step is None or step.is_current:
        return "–"
    return STATE_WORDS.get(step.state, step.state) + (f" ({_short(step.said, 40)})" if step.said else "")


def _perfused(treatment: TreatmentSummary) -> str:
    if not treatment.perfused:
        return ""
    listed = ", ".join(f"{p.name} {three(p.volume_ml)} mL" for p in treatment.perfused)
    if treatment.perfused_share is not None:
        listed += f" ({percent(100 * treatment.perfused_share)} % of the liver)"
    if treatment.tumour_outside_territories_ml is not None:
        listed += f"; tumour outside of it {three(treatment.tumour_outside_territories_ml)} mL"
    return listed


def _with_sd(value: Estimate) -> str:
    text = with_uncertainty(value.value, value.sd)
    return text if value.sd else f"{text} (uncertainty not known)"


def _percent(value: Estimate) -> str:
    """A fraction in percent."""
    scaled = Estimate(100 * value.value, None if value.sd is None else 100 * value.sd)
    return f"{_with_sd(scaled)} %" if scaled.sd else f"{three(scaled.value)} % (uncertainty not known)"


def _doses(treatment: TreatmentSummary, steps: Steps, room: Room) -> Section:
    shown = shown_structures(treatment.structures, room.lesions)
    left: list[Goal] = [goal for one in treatment.structures if one not in shown for goal in one.goals]
    rows: list[list[Cell]] = []
    marks, continued = [], []
    for one in shown:
        ranked = sorted(one.goals, key=lambda goal: goal.gravity)
        goals = [goal for n, goal in enumerate(ranked) if n < room.goals or goal.stays]
        left += [goal for goal in ranked if goal not in goals]
        for n, goal in enumerate(goals or [None]):
            numbers = _numbers(one, room) if n == 0 else ("", None, None, None, None, None)
            rows.append([*numbers, *_goal(one, goal)])
            marks.append("" if goal is None else goal.status)
            continued += [len(rows) - 1] if n else []
    table = TableBlock(
        Table.of(DOSE_COLUMNS, rows),
        _dose_note(treatment, len(treatment.structures) - len(shown), left, steps),
        prose=True,
        shares=(2.2, 0.4, 0.4, 0.4, 0.4, 0.4, 5.0, 1.0),
        marks=tuple(marks),
        marked=7,
        continued=tuple(continued),
    )
    if not rows:
        absent = f"No dose: plan {_absent(steps, 'plan')}; absorbed dose {_absent(steps, 'dose')}."
        return Section("Planned against delivered", (Paragraph(absent),))
    return Section("Planned against delivered", (table,), tight=True)


def _numbers(one: StructureDose, room: Room) -> tuple[Cell, ...]:
    sd = one.delivered_known_sd_gy
    is_part = one.seen_share < SEEN_WHOLE
    uncertain = None if sd is None else f"≥{NO_BREAK}{three(sd)}" if one.not_known or is_part else three(sd)
    name = _short(one.name, room.name_letters)
    if is_part:
        name += f" ({100 * one.seen_share:.0f}{NO_BREAK}% seen)"
    if not one.voxels_supported:
        name += f" (mean{NO_BREAK}alone)"
    return (name, one.volume_ml, one.planned_dose_gy, one.delivered_dose_gy, uncertain, one.d95_gy)


def _goal(one: StructureDose, goal: Goal | None) -> tuple[str, str]:
    if goal is None:
        return "", ""
    doses = (goal.judged_gy, one.delivered_dose_gy, one.planned_dose_gy)
    judged = next((dose for dose in doses if dose is not None), None)
    sign = {">=": "≥", "<=": "≤"}[goal.comparison]
    asked = f"{sign} {three(goal.limit_gy)} Gy: {goal.condition}"
    if judged is None:
        return (asked, goal.not_judged) if goal.not_judged else ("", "")
    row = LimitRow(
        one.name,
        goal.comparison,
        goal.limit_gy,
        judged,
        not_judged=goal.not_judged,
        low_gy=goal.low_gy,
        high_gy=goal.high_gy,
        qualifier=goal.qualifier,
    )
    long = goal.not_judged or goal.qualifier
    verdict = row.verdict if long else row.verdict.replace(" ", NO_BREAK)
    return asked, verdict


def _dose_note(treatment: TreatmentSummary, lesions: int, left: Sequence[Goal], steps: Steps) -> str:
    parts = ["Mean absorbed doses, ± standard uncertainty (k = 1); planned by the method that the plan chose."]
    lungs = [one for one in treatment.structures if one.role == "lung"]
    if any(one.not_known or one.seen_share < SEEN_WHOLE for one in treatment.structures):
        parts.append("≥ before an uncertainty: parts of it are not known and not in it.")
    if any(one.delivered_dose_gy is not None for one in treatment.structures):
        if not treatment.goals_are_judged:
            parts.append(_no_goal(treatment))
        if treatment.lungs_by_image and any(one.planned_dose_gy is not None for one in lungs):
            parts.append("Lungs: planned by the shunt, delivered by the image.")
    else:
        parts.append(f"Delivered dose: {_absent(steps, 'dose')}; goals and limits are judged by the planned dose.")
    if any(one.seen_share < SEEN_WHOLE for one in treatment.structures):
        parts.append("Of what the activity image cuts off, volume and dose are those of the share seen.")
    if not all(one.voxels_supported for one in treatment.structures):
        parts.append("Mean alone: the image does not determine the dose of single voxels there.")
    if lesions > 0:
        parts.append(f"{lesions} smaller lesions are on the page of the absorbed dose.")
    if left:
        missed = sum(goal.status == "violated" for goal in left)
        graver = f"{missed} of them missed or exceeded" if missed else "none of them missed or exceeded"
        parts.append(f"{len(left)} goals and limits, {graver}, are carried over to the next page.")
    return " ".join(parts)


def _no_goal(treatment: TreatmentSummary) -> str:
    if treatment.is_indicated:
        return "The agent has no published goal or limit for this indication and intent that could be judged."
    return "No published goal applies: indication or intent is not stated."


def _key(steps: Steps) -> Picture | None:
    """The fused picture that the dose step drew."""
    dose = steps.get("dose")
    key = None if dose is None else dose.picture("key")
    caption = "Delivered dose on CT through the largest lesion; numbers on the lines are Gy."
    return None if key is None else Picture("", caption, key.png)


def histograms_picture(treatment: TreatmentSummary, steps: Steps) -> Picture | None:
    """Histograms planned and delivered; None where there is neither."""
    histograms = histograms_of(shown_structures(treatment.structures), steps)
    caption = "By volume; planned as the dose map of the scout predicts it."
    return Picture("", caption, png(planned_and_delivered_figure(histograms), dpi=220)) if histograms else None


def _open(material: CaseMaterial, treatment: TreatmentSummary, room: Room) -> Block:
    # Both share a column: what one takes the other lacks.
    valid = sum(chance.within_validity for chance in treatment.chances)
    steps = material.of_treatment(treatment.number).values()
    messages, left = open_warnings(steps, max(1, room.warnings - (1 if valid else 0)), room.critical)
    note = f"{left} more stand at the steps." if left else ""
    return Notices("Open warnings", messages, "near", note) if messages else Paragraph("No open warnings.")


ASKED = {
    "no top-up": "goal missed, and a limit is passed already: no top-up",
    "untreated": "not reached: fed by another artery?",
    "top-up": "top-up to be considered?",
    "watch": "to be watched?",
    "aim": "published goal; the plan states another aim",
    "open": "goal inside of the interval, nothing follows",
}
"""Kind of a question -> what the first page asks; the gravest first."""

QUESTIONS = tuple(ASKED)


def _questions(treatment: TreatmentSummary, room: Room) -> tuple[Block, ...]:
    """What verification asks of the team, a line for each lesion and organ; the rest stands at its part."""
    lines: dict[str, str] = {}
    for one in sorted(treatment.questions, key=lambda one: QUESTIONS.index(one.kind) if one.kind in ASKED else 0):
        what = ASKED.get(one.kind)
        if what is None or ", " in one.structure or (one.kind == "top-up" and one.limit_gy is None):
            continue
        if one.top_up_gbq is not None:
            most = (
                "; no limit of the liver is known"
                if one.allowed_gbq is None
                else f"; {three(one.allowed_gbq)} GBq keep every limit for certain"
                if one.allowed_gbq < one.top_up_gbq
                else ""
            )
            what = f"top-up of {three(one.top_up_gbq)} GBq?{most}"
        lines.setdefault(one.structure, f"{one.structure}, {one.finding}: {what}")
    if not lines:
        return ()
    shown = [Message("question", text, severity="note") for text in list(lines.values())[: room.questions]]
    left = len(treatment.questions) - len(shown)
    note = "Questions, no orders; sources" + (f" and {left} more" if left else "") + " at planned against delivered."
    return (Notices("Questions for the team", tuple(shown), "", note),)


def _chances(treatment: TreatmentSummary, steps: Steps) -> tuple[Block, ...]:
    valid = [chance for chance in treatment.chances if chance.within_validity]
    if not treatment.chances:
        return (Paragraph(f"Not predicted: {_absent(steps, 'prediction')}.".replace(": –", "")),)
    if not valid:
        text = f"None of {len(treatment.chances)} published models was fitted on this agent at such doses."
        return (Paragraph(text),)
    rows = [
        (
            f"{one.structure}: {one.endpoint}",
            f"{percent(100 * one.probability)} %"
            + (
                f" ({percent(100 * one.probability_low)} to {percent(100 * one.probability_high)} %)"
                if one.probability_low is not None and one.probability_high is not None
                else ""
            ),
        )
        for one in valid[:CHANCES_SHOWN]
    ]
    note = f"Of {len(treatment.chances)} models those fitted on this agent and at such doses; 95 % intervals."
    return (Facts.of(rows), Paragraph(note, note=True))


def _other_treatments(material: CaseMaterial, shown: TreatmentSummary) -> Section:
    rows = []
    for one in material.treatments:
        normal = next((s.delivered_dose_gy for s in one.structures if s.role == "normal_liver"), None)
        tumours = [s.delivered_dose_gy for s in one.structures if s.role in ("tumour", "all_tumours")]
        rows.append(
            (
                f"{one.number}{' (this page)' if one.number == shown.number else ''}",
                one.stated_at.replace("T", " "),
                one.agent,
                one.planned_gbq,
                None if one.administered_gbq is None else one.administered_gbq,
                tumours[-1] if tumours else None,
                normal,
            )
        )
    columns = (
        "Treatment", "Administered at", "Agent", "Planned\nGBq", "Delivered\nGBq", "Tumours\nGy", "Normal liver\nGy",
    )  # fmt: skip
    return Section("All treatments", (TableBlock(Table.of(columns, rows), prose=True),), tight=True)


def _standing(material: CaseMaterial, steps: Steps, room: Room) -> Section:
    """Who checked what and when, what nobody checked, and what there is no result of."""
    current = [step for step in steps.values() if step.is_current]
    named = [step for step in steps.values() if not (step.state == "skipped" and step_named(step.kind).is_rare)]
    checked = [f"{step.title} by {step.checked_by} on {step.checked_on}" for step in current if step.checked_on]
    open_ = [step.title for step in current if not step.checked_on]
    others = {
        label: [f"{step.title}{_because(step, room)}" for step in named if step.state in states]
        for label, states in STANDING.items()
    }
    pairs = {"Checked": checked, "Done, checked by nobody": open_, **others}
    facts = Facts.of([(label, "; ".join(texts)) for label, texts in pairs.items() if texts])
    log = (
        "A check is a claim: there is no log-in. "
        f"Log of the case: {material.log_lines} lines, the last hash is {material.log_hash}."
    )
    return Section("Steps and checks", (facts, Paragraph(log, note=True)), tight=True)


def _because(step: CourseStep, room: Room) -> str:
    why = "; ".join(part for part in (*step.reasons, step.said) if part)
    return f" ({_short(why, room.reason_letters)})" if why and room.reason_letters else ""
