"""One page in plain words for the patient to take home, in any language a table exists for; `report` draws it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from hepatica.core.tables.shipped import toml_table
from hepatica.core.text.files import text_file, toml_text
from hepatica.errors import InputError
from hepatica.nuclides import nuclide
from hepatica.safety.plan import ReleasePlan

LANGUAGES = ("en",)


@dataclass(frozen=True, slots=True)
class PatientSheet:
    """The sheet's text: title, facts (label, value), sections (heading, sentences), footer."""

    language: str
    title: str
    facts: tuple[tuple[str, str], ...]
    intro: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    footer: str


def sheet_texts(language: str | Path = "en") -> dict[str, str]:
    """Sentences of a language: a shipped one by name, or a translated file.

    Raises
    ------
    InputError
        If the file lacks a sentence, has an unknown one, or a sentence has other {names} than the English one.
    """
    english = _shipped("en")
    if isinstance(language, str) and language in LANGUAGES:
        return _shipped(language)
    path = Path(language)
    if not path.is_file():
        raise InputError(f"language {str(language)!r}: neither one of {', '.join(LANGUAGES)} nor a file")
    texts = toml_text(text_file(path, "a TOML file"), path)
    for missing in english.keys() - texts.keys():
        raise InputError(f"{path}: sentence {missing!r} is missing")
    for key, text in texts.items():
        if key not in english:
            raise InputError(f"{path}: sentence {key!r} is not used; known: {', '.join(sorted(english))}")
        if not isinstance(text, str):
            raise InputError(f"{path}: {key}: must be text, not {text!r}")
        if _names(text) != _names(english[key]):
            raise InputError(f"{path}: {key}: must contain {sorted(_names(english[key]) or ())} in braces, no others")
    return texts


def _shipped(language: str) -> dict[str, str]:
    return {key: str(value) for key, value in toml_table(__package__, f"sheet_{language}.toml").items()}


def _names(text: str) -> set[str] | None:
    """Names in braces; None where a brace stands alone, or more than a name stands in them."""
    from string import Formatter

    try:
        parts = [part for part in Formatter().parse(text) if part[1] is not None]
    except ValueError:
        return None
    return (
        None if any(form or conversion for _, _, form, conversion in parts) else {name or "" for _, name, _, _ in parts}
    )


def patient_sheet(
    plan: ReleasePlan,
    *,
    texts: dict[str, str] | None = None,
    patient: str = "",
    contact: str = "",
    framework: str = "nrc",
) -> PatientSheet:
    """Fill the sheet.

    Parameters
    ----------
    plan : ReleasePlan
        What holds for this treatment (contact patterns of Cormack and Shearer).
    texts : dict, optional
        Sentences from `sheet_texts`; English by default.
    patient, contact : str
        Name or number to print, and whom to call; left as a blank line if empty.
    framework : str
        Rule by which going home is stated.
    """
    t = texts or sheet_texts()
    substance = nuclide(plan.nuclide)
    half_life = plan.source.clearance[0][1]
    facts = (
        (t["patient"], patient or "________________"),
        (t["date"], plan.administered_at.strftime("%Y-%m-%d %H:%M") if plan.administered_at else "________________"),
        (t["activity"], f"{substance.label} {plan.agent or ''}, {plan.administered_gbq:.3g} GBq".replace(" ,", ",")),
        (t["hospital"], contact or "________________"),
    )
    intro = t["intro"].format(
        label=substance.label,
        activity=f"{plan.administered_gbq:.3g} GBq",
        half_life=f"{half_life / 24:.1f} d" if half_life > 48 else f"{half_life:.0f} h",
    )
    sections = [
        (t["home"], _home(plan, t, framework)),
        (t["distance"], _distances(plan, t)),
        (
            t["hygiene"],
            (t[f"toilet_{plan.excretion.level}"], *((t["thyroid"],) if plan.excretion.thyroid_block else ())),
        ),
        (t["remember"], _remember(plan, t)),
    ]
    footer = t["footer"].format(source=f"hepatica, {plan.dose_rate_constant.convention} dose rate, {substance.name}")
    return PatientSheet(t["language"], t["title"], facts, intro, tuple(s for s in sections if s[1]), footer)


def _home(plan: ReleasePlan, t: dict[str, str], framework: str) -> tuple[str, ...]:
    for v in plan.frameworks:
        if v.framework.name == framework:
            if v.may_go is None:
                return ()
            place = v.framework.text.split(":")[0]
            if v.may_go:
                return (t["home_yes"].format(framework=place),)
            wait = v.wait_h or 0.0
            return (
                t["home_no"].format(
                    framework=place, wait=f"{math.ceil(wait)} h" if wait < 72 else f"{math.ceil(wait / 24)} d"
                ),
            )
    raise InputError(f"framework {framework!r} is not in the plan")


def _distances(plan: ReleasePlan, t: dict[str, str]) -> tuple[str, ...]:
    lines = []
    for r in plan.restrictions:
        key = r.pattern.name.replace("-", "_")
        if r.days == 0 or key not in t:
            continue
        when = t["one_day"] if r.days == 1 else t["days"].format(days=r.days)
        date = plan.date_after(r.days)
        lines.append(f"{t[key]}: {when}" + (f" ({t['until'].format(date=date)})." if date else "."))
    return tuple(lines) if lines else (t["nobody"] + ".",)


def _remember(plan: ReleasePlan, t: dict[str, str]) -> tuple[str, ...]:
    lines = [t["hospital_stay"].format(days=max(1, round(plan.waste.days_ten_half_lives)))]
    if plan.cremation is not None and plan.cremation.date and plan.cremation.days > 0:
        lines.append(t["cremation"].format(date=plan.cremation.date))
    if plan.dose_rate_constant.photon_part_usv_m2_per_gbq_h or plan.dose_rate_constant.nuclide == "Ho-166":
        lines.append(t["airport"])
    lines.append(t["pregnancy"])
    return tuple(lines)
