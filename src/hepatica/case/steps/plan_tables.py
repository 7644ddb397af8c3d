"""The plan file of a treatment, made of what the case states, its images and earlier steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

from hepatica.case.facts import PLAN_TABLES
from hepatica.case.steps.inputs import Given, ImageOf, Input, View, folder_of
from hepatica.case.steps.projections import SCOUT_IMAGE

HEAD = ("agent", "convention", "residual", "effective_half_life", "intent")
PATIENT = ("bilirubin", "height", "weight", "hepatic_reserve", "compromised")
BODY = ("height", "weight")
WHOLE_LIVER = "whole liver"

SCOUT: tuple[Input, ...] = (
    SCOUT_IMAGE,
    ImageOf("ct", ("scout-ct",)),
    ImageOf("structures", ("scout-structures",)),
)

UPTAKE = "uptake"

MEASURED = {"lung_shunt": ("lung-shunt", "scout-biodistribution"), "tumour_to_normal": (UPTAKE,)}
"""Key of ``[measured]`` -> the steps that measure it, in order of preference."""


@dataclass(frozen=True, slots=True)
class PlanTables(Input):
    """All tables of the plan file, each as one input of the step."""

    def given(self, view: View) -> tuple[Given, ...]:
        """Tables that hold anything."""
        tables = {"plan": self._head(view), "patient": self._patient(view), **self._stated(view)}
        where = f"treatment {view.treatment}"
        found = [Given(name, f"{where}: {name}", view.digest(table), table) for name, table in tables.items() if table]
        images = [given for one in SCOUT for given in one.given(view)]
        if len(images) == len(SCOUT):
            table = self._own(view) | {given.word: given.text for given in images}
            sources = ", ".join(given.source for given in images)
            found.append(Given("images", sources, view.digest([i.digest for i in images] + [self._own(view)]), table))
        return (*found, *self._results(view))

    def missing(self, view: View) -> str:
        """Which keys a plan cannot do without."""
        left = [f"treatment.{key}" for key in ("agent", "aims") if view.fact("treatment", key) in (None, {})]
        if left:
            return f"state {', '.join(left)}"
        stated = view.fact("treatment", "territory") or [{}]
        has_masses = all(isinstance(one, Mapping) and "normal_mass" in one for one in stated)
        if not has_masses and (lacking := [one for one in SCOUT if not one.given(view)]):
            said = ", ".join(filter(None, (one.missing(view) for one in lacking))) or "add the scout's images"
            return f"{said}, or state treatment.territory.normal_mass"
        return ""

    def fed_by(self, treatment: int) -> Iterator[str]:
        """Steps of the scout, and what the treatment before left."""
        for one in SCOUT:
            yield from one.fed_by(treatment)
        for step in chain.from_iterable(MEASURED.values()):
            yield from folder_of(step, treatment)
        yield from folder_of("next", treatment - 1)

    @staticmethod
    def _own(view: View) -> dict[str, Any]:
        """What is stated of the images beside their paths; a territory is the structure of its name."""
        names = [str(table.get("name")) for table in view.fact("treatment", "territory") or ()]
        stated = dict(view.section("images"))
        if names:
            stated["territories"] = {name: name for name in names} | dict(stated.get("territories", {}))
        return stated

    @staticmethod
    def _head(view: View) -> dict[str, Any]:
        found = {key: value for key in HEAD if (value := view.fact("treatment", key)) is not None}
        title = view.fact("treatment", "name")
        indication = view.fact("disease", "indication")
        return (
            found
            | ({} if title is None else {"title": title})
            | ({} if indication is None else {"indication": indication})
        )

    @staticmethod
    def _patient(view: View) -> dict[str, Any]:
        found = {key: value for key in PATIENT if (value := view.fact("patient", key)) is not None}
        if not set(BODY) <= found.keys():
            found = {key: value for key, value in found.items() if key not in BODY}  # the BSA rule needs both
        return found

    @staticmethod
    def _stated(view: View) -> dict[str, Any]:
        stated = {name: view.fact("treatment", name) for name in PLAN_TABLES if name != "images"}
        stated["facts"] = _ages(view) | _identity(view) | dict(stated["facts"] or {})
        return {"territory": [{"name": WHOLE_LIVER}]} | {name: table for name, table in stated.items() if table}

    @staticmethod
    def _results(view: View) -> tuple[Given, ...]:
        found = []
        is_of_parts = len(view.fact("treatment", "territory") or ()) > 1
        for key, steps in MEASURED.items():
            if UPTAKE in steps and is_of_parts:
                continue  # it is of the whole liver: the plan measures each territory in the images by itself
            if (result := next(filter(None, map(view.result, steps)), None)) is not None:
                path = str(result[0] / "result.json")
                found.append(Given(f"measured.{key}", f"steps/{result[0].name}", result[1], path))
        if (earlier := view.result("next", earlier=True)) is not None:
            paths = [str(earlier[0] / "result.json")]
            found.append(Given("course.remaining_tolerance", f"steps/{earlier[0].name}", earlier[1], paths))
        return tuple(found)


AGES = {"scout_to_therapy_days": ("scout-spect", "scout-projections", "scout-planar"), "ct_age_days": ("scout-ct",)}
"""Fact of a guardrail -> roles of the image whose age at the treatment it is, in order of preference."""


def _ages(view: View) -> dict[str, float]:
    """How old scout and CT are at the stated treatment, as far as dates are known; what is stated beats it."""
    treated = _day(view.fact("treatment", "at"))
    found = {}
    for fact, roles in AGES.items():
        items = next((items for role in roles if (items := view.images(role))), ())
        taken = _day(items[0].date) if items else None
        if treated is not None and taken is not None:
            found[fact] = float((treated - taken).days)
    return found


OF_SCOUT = ("scout-spect", "scout-projections", "scout-planar", "scout-ct", "scout-structures")


def _identity(view: View) -> dict[str, bool]:
    """Whether the scout's images are of one patient, the stated one; nothing where one of them names nobody."""
    items = [item for role in OF_SCOUT for item in view.images(role) if item.series]
    if not items or not all(item.patient for item in items):
        return {}
    stated = view.fact("patient", "id")
    numbers = {item.patient for item in items} | ({str(stated)} if stated is not None else set())
    others = [{str(item.facts[key]) for item in items if item.facts.get(key)} for key in ("name", "birth_date")]
    return {"patient_identity_matches": len(numbers) == 1 and all(len(found) <= 1 for found in others)}


def _day(instant: Any) -> date | None:
    try:
        return date.fromisoformat(str(instant or "")[:10])
    except ValueError:
        return None  # no date: the guardrail says that it could not be asked


def plan_arguments(texts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments of `plan` from the tables: keys with a dot stand below their table.

    The verb reads them as it reads a plan file, with what the images hold: what is not stated is measured there.
    """
    return {"plan": plan_document_of(texts)}


def plan_document_of(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of the plan file from what the step was given."""
    document: dict[str, Any] = {}
    for key, value in texts.items():
        table, _, inside = key.partition(".")
        if inside:
            document.setdefault(table, {})[inside] = value
        else:
            document[table] = value
    return document
