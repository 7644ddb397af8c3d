"""Refusals of the safety room, its tables, and the patient sheet."""

import itertools
import tomllib
from collections.abc import Callable
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import get_args

import pytest

from hepatica.core.document import document
from hepatica.core.numbers.confidence import MEANING
from hepatica.errors import HepaticaError, InputError, OutputError, PhysicsError, UnknownNameError
from hepatica.nuclides import NUCLIDE_NAMES
from hepatica.report.page import write_page
from hepatica.safety.afterwards import excretion, staff_tasks, storage_days, waste
from hepatica.safety.contact import ContactPattern, PatientSource, contact_patterns
from hepatica.safety.dose_rate import Geometry, dose_rate_constant
from hepatica.safety.plan import ContactOptions, DoseRateOptions, ReleasePlan, release_plan
from hepatica.safety.release import FrameworkName, framework, frameworks
from hepatica.safety.sheet import patient_sheet, sheet_texts
from hepatica.workflow.safety.release import SheetOptions, release


def iodine(**options: object) -> ReleasePlan:
    """131I-lipiodol, 2.2 GBq."""
    at = datetime(2026, 3, 2, 14)
    return release_plan("I-131", 2.2, agent="lipiodol", administered_at=at, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NUCLIDE_NAMES)
def test_every_nuclide_has_an_answer(name: str) -> None:
    plan = release_plan(name, 1.0)
    rates = [row.at_1_m_usv_per_h for row in plan.dose_rates]
    assert all(a > b > 0 for a, b in itertools.pairwise(rates))
    assert plan.nrc.dose_msv > 0
    assert document(plan)["dose_rate_constant"]["source"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: dose_rate_constant("Lu-177", "measured"),
        lambda: dose_rate_constant("I-131", "guess"),
        lambda: dose_rate_constant("Y-90", depth_cm=5.0),
        lambda: dose_rate_constant("I-131", "calculated", depth_cm=-1.0),
        lambda: Geometry("cube"),
        lambda: Geometry("line", 0.0),
        lambda: Geometry().factor(0.0, dose_rate_constant("I-131")),
        lambda: PatientSource(0.0, dose_rate_constant("I-131"), ((1.0, 100.0),), Geometry()),
        lambda: PatientSource(1.0, dose_rate_constant("I-131"), ((0.5, 100.0),), Geometry()),
        lambda: ContactPattern("x", "x", ((8.0, 2.0, 1.0), (9.0, 1.0, 1.0)), 1.0),
        lambda: ContactPattern("x", "x", ((23.0, 2.0, 1.0),), 1.0),
        lambda: ContactPattern("x", "x", ((8.0, 2.0, 0.0),), 1.0),
        lambda: framework("atlantis"),
        lambda: storage_days(0.0, 1.0, 1.0),
        lambda: waste("Y-90", impurity_fraction=0.1),
        lambda: iodine(effective_half_life_h=300.0),
        lambda: ContactOptions(patterns="own"),
        lambda: ContactOptions(public_constraint_msv=0.0),
        lambda: DoseRateOptions(dose_rate_convention="guess"),
        lambda: DoseRateOptions(occupancy=1.1),
        lambda: DoseRateOptions(line_length_mm=3.0),
    ],
)
def test_nonsense_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises((PhysicsError, UnknownNameError, InputError)):
        wrong()


def test_every_table_has_a_source() -> None:
    folder = resources.files("hepatica.safety") / "tables"
    sources = tomllib.loads((folder / "sources.toml").read_text())
    files = {f.name for f in folder.iterdir()} - {"sources.toml"}
    assert files == set(sources)
    for rule in frameworks().values():
        assert rule.source
        assert rule.confidence in MEANING


def test_physical_half_life_is_the_default_and_said() -> None:
    plan = iodine()
    assert plan.source.clearance[0][1] == pytest.approx(192.6, abs=0.1)
    (message,) = (m for m in plan.messages if m.code == "physical-half-life")
    assert "published effective: 140.2 h" in message.text
    assert message.severity == "note"
    shorter = iodine(effective_half_life_h=140.2)
    assert shorter.restrictions[0].days < plan.restrictions[0].days


def test_a_stricter_constraint_for_the_public() -> None:
    usual = {r.pattern.name: r for r in iodine().restrictions}
    strict = {r.pattern.name: r for r in iodine(contact=ContactOptions(public_constraint_msv=0.3)).restrictions}
    assert strict["infant"].days > usual["infant"].days
    assert strict["infant"].dose_with_msv <= 0.3
    assert strict["carer"].days == usual["carer"].days


def test_occupancy_counts_in_the_verdict_too() -> None:
    plan = iodine(dose_rate=DoseRateOptions(occupancy=0.1))
    nrc = next(v for v in plan.frameworks if v.framework.name == "nrc")
    assert plan.nrc.may_go
    assert nrc.may_go
    assert "occupancy 0.1" in nrc.reason


def test_thyroid_block_only_for_iodine() -> None:
    assert "130 mg" in (excretion("I-131", "lipiodol").thyroid_block or "")
    assert excretion("Y-90", "glass").thyroid_block is None
    assert excretion("Y-90", "resin").percent_48h_max == 0.119


def test_staff_dose_is_rate_times_time() -> None:
    source = PatientSource(3.0, dose_rate_constant("Y-90"), ((1.0, 64.05),), Geometry("measured"))
    task = staff_tasks(source)[1]
    # 15 minutes lose 0.3 % by decay.
    assert task.dose_usv == pytest.approx(source.rate_usv_per_h(task.distance_m, task.after_h) * task.hours, rel=0.003)


def test_patterns_fill_one_day_at_most() -> None:
    for pattern in contact_patterns().values():
        assert sum(hours for _, hours, _ in pattern.elements) <= 24


def test_sheet_says_what_the_plan_says() -> None:
    plan = iodine()
    sheet = patient_sheet(plan, patient="Case 12", contact="Nuclear medicine")
    text = " ".join(line for _, lines in sheet.sections for line in lines)
    days = {r.pattern.name: r.days for r in plan.restrictions}
    assert f"Do not hold or care for a baby: for {days['infant']} days" in text
    assert "iodine tablets" in text
    # Never sooner than allowed: 163.6 h are 7 days, rounded up.
    assert "You may go home 7 d after the treatment" in text
    assert ("Patient", "Case 12") in sheet.facts
    assert "{" not in text + sheet.intro + sheet.footer


def test_sheet_without_restrictions() -> None:
    sheet = patient_sheet(release_plan("Y-90", 0.2, agent="resin"))
    assert "No restriction is needed." in [line for _, lines in sheet.sections for line in lines]


def test_sheet_files(tmp_path: Path) -> None:
    sheet = patient_sheet(iodine(), patient="<b>&")
    write_page(sheet, tmp_path / "sheet.html")
    html = (tmp_path / "sheet.html").read_text()
    assert "&lt;b&gt;&amp;" in html
    assert '<html lang="en">' in html
    write_page(sheet, tmp_path / "sheet.pdf")
    data = (tmp_path / "sheet.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page\n") == 1
    with pytest.raises(OutputError, match=r"\.html or \.pdf"):
        write_page(sheet, tmp_path / "sheet.docx")


def test_translation_is_checked(tmp_path: Path) -> None:
    english = resources.files("hepatica.safety") / "tables" / "sheet_en.toml"
    text = english.read_text()
    good = tmp_path / "xx.toml"
    good.write_text(text.replace('language = "en"', 'language = "xx"').replace("After your", "Nach Ihrer"))
    assert sheet_texts(good)["title"].startswith("Nach Ihrer")
    for broken, message in (
        (text.replace("{days}", "{tage}"), "in braces"),
        (text.replace('title = "After your liver treatment"\n', ""), "'title' is missing"),
        (text + '\nextra = "x"\n', "'extra' is not used"),
        ("not toml [", "not a TOML file"),
        (text.replace("{days}", "{days"), "in braces"),
        (text.replace("{days}", "{days:>9999999999}"), "in braces"),
        (text.replace("{days}", "{days.__class__}"), "in braces"),
        (text.replace('title = "After your liver treatment"', "title = 5"), "title: must be text, not 5"),
        ("title = " + "[" * 5000, "nested too deeply"),
    ):
        good.write_text(broken)
        with pytest.raises(InputError, match=message):
            sheet_texts(good)
    with pytest.raises(HepaticaError, match="neither one of en nor a file"):
        sheet_texts("fr")


def test_wrong_words_of_the_sheet_are_refused_before_the_work() -> None:
    assert set(get_args(FrameworkName)) == set(frameworks())
    with pytest.raises(UnknownNameError, match=r"`framework` 'germny' .did you mean germany"):
        SheetOptions(framework="germny")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="language 'xx': neither one of en nor a file"):
        release("Y-90", 2.0, sheet=SheetOptions(language="xx"))


def test_when_an_impurity_overtakes() -> None:
    # Ho-166 (26.824 h, ln 2 * 24 / 26.824 = 0.620173 / d) and 166mHo (1200 years) at a millionth: 13.8155 / 0.620171
    assert waste("Ho-166", impurity_fraction=1e-6).impurity_overtakes_days == pytest.approx(22.277, rel=2e-3)
