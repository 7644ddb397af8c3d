"""A plan as a TOML file that a human writes: its template, and how it is read and checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hepatica.core import InputFile
from hepatica.core.options import toml_file
from hepatica.core.options.declare import forms_of, require_known
from hepatica.core.options.kinds import Form, word_of
from hepatica.core.text.files import json_file
from hepatica.errors import HepaticaError, InputError, UnknownNameError
from hepatica.planning.guardrails import Situation
from hepatica.planning.limits.allowance import Allowance
from hepatica.planning.limits.assess import Patient
from hepatica.planning.limits.assumed import NO_SHUNT
from hepatica.planning.measured.earlier_results import shunt_of_result, uptake_of_results
from hepatica.planning.measured.values import Measured, MeasuredTerritory, reconciled
from hepatica.planning.planner.best_activity import Uncertainty
from hepatica.planning.planner.course import Aims, Course, Territory
from hepatica.planning.planner.prescribe import LUNG_MASS_KG, MassOptions
from hepatica.planning.planner.territories import PreviousTreatment
from hepatica.planning.planner.voxel import PlanImages
from hepatica.planning.prescriptions.compartments import Lesion, Partition
from hepatica.planning.scout.scan import ScoutOptions

TEMPLATE = """\
# A hepatica plan. Every quantity is text with its unit; a fraction is 0.05 or "5 %". Remove what you do not know:
# nothing is assumed silently, and what needs a missing fact is left out and named.
# Research software, not a medical device.

[plan]
title = "right lobe, HCC"
agent = "glass"                  # glass, resin, QuiremSpheres, ...
# convention = "label"           # dose constant: label, mird, ensdf; each method's own if left out
residual = "2 %"                 # stays in vial and tubing
# effective_half_life = "12.5 h"  # of activity that leaves (lipiodol); left out: all decays in place
intent = "unilobar"              # segmentectomy, lobectomy, unilobar, bilobar, whole-liver
indication = "HCC"               # HCC, ICC, mCRC, other

[aims]
perfused = "120 Gy"              # single compartment (MIRD), holmium rule
normal_limit = "75 Gy"           # partition: mean of perfused normal liver; planner: of the whole normal liver
tumour = "205 Gy"                # partition: mean of all tumours
lung_limit = "30 Gy"             # of this treatment
lung_lifetime_limit = "50 Gy"    # of this and all earlier treatments together
# normal_lifetime_limit = "100 Gy" # the same for the whole normal liver; left out: normal_limit, and said so
# method = "partition-normal"    # whose activity is given: mird, holmium, partition-normal, partition-tumour, bsa, ...

[patient]
bilirubin = "0.9 mg/dL"
# height = "1.75 m"              # for BSA (resin)
# weight = "75 kg"
# hepatic_reserve = "40 %"       # normal liver that no territory reaches
# compromised = false

[lungs]
lung_shunt = "5 %"
lung_shunt_sd = "1 %"            # standard uncertainty, as the lung shunt from the scout states it
lung_mass = "0.95 kg"            # left out: 1 kg is assumed and said so

[liver]
unperfused_normal_mass = "0.6 kg"

[[territory]]
name = "right lobe"
normal_mass = "0.9 kg"           # normal liver in the territory, without tumour
# agent = "resin"                # if another than the plan's
# administered = "1.5 GBq"       # activity that reaches the patient, where a person states it
# lung_shunt = "4 %"             # if measured for this injection alone

[[territory.lesion]]
name = "segment 8"
mass = "120 g"
tumour_to_normal = 4.0           # activity per mass in tumour over normal liver, from the scout

[[territory.lesion]]
name = "segment 6"
mass = "35 g"
tumour_to_normal = 3.0

# [course]                       # what earlier treatments leave, in place of [[previous]]
# remaining_tolerance = ["next-right/result.json"] # what hepatica found for each territory, or for all

# [[previous]]                   # earlier treatments
# name = "2025-06 left lobe"
# lung = "4 Gy"
# normal_liver = "12 Gy"

[uncertainty]                    # standard uncertainties; with them the planner looks for the best chance
lung_shunt = "1 %"               # of the fraction itself; all others are relative
tumour_to_normal = "15 %"
discordance = "30 %"             # therapy against scout, per lesion
mass = "8 %"
lung_mass = "10 %"
calibration = "5 %"
normal_probability = "5 %"       # P(normal liver above its limit) allowed
lung_probability = "5 %"

# [measured]                     # earlier results; what they hold need not be stated
# lung_shunt = "lsf/result.json"
# tumour_to_normal = "tn/result.json" # or a list, one for each territory

# [images]                       # voxel-based prediction: the scout scaled to the activities chosen
# scout = "scout-spect"          # DICOM file or folder, NIfTI, MetaImage; paths are relative to this file
# ct = "ct"
# structures = "structures.dcm"  # RTSTRUCT, SEG or label map
# engine = "kernel"              # dose engine
# activity_unit = "counts"       # of a NIfTI or MetaImage
# keep_stated = { lung_shunt = "planar scan of the same day" } # what is used although the images hold another; why
# register = "rigid"             # where scout and CT lie apart, by the CT acquired with the scout
# moving_ct = "scout-ct"
# territories = { "right lobe" = "perfused right" }
# structure_roles = { "ROI 3" = "tumour" } # what a structure is, where its name does not say

# [waived_limits]                # limits, by id, past which the plan goes knowingly, each with its reason
# glass-label-perfused-150 = "EANM 2022 allows more with a reserve above 30 %"

[facts]                          # anything else that the guardrails look at
share_elsewhere = 0.03
scout_to_therapy_days = 12
"""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A plan as a value: what a plan file says.

    Attributes
    ----------
    course : Course
        What is asked: territories, aims, patient.
    images : PlanImages or None
        With them the dose map is predicted.
    inputs : tuple of InputFile
        Files that it was read from.
    """

    course: Course
    images: PlanImages | None = None
    inputs: tuple[InputFile, ...] = field(default=())


def _forms(cls: type, names: str = "") -> dict[str, tuple[str, Form]]:
    """Of fields of a class: word -> (field, what it holds)."""
    known = forms_of(cls)
    return {word_of(name): (name, known[name]) for name in (names.split() or known)}


TABLES: dict[str, dict[str, tuple[str, Form]]] = {
    "plan": _forms(Course, "title agent convention residual effective_half_life_s")
    | _forms(Patient, "intent indication"),
    "aims": _forms(Aims),
    "patient": _forms(Course, "height_m weight_kg") | _forms(Patient, "bilirubin_mg_dl hepatic_reserve compromised"),
    "lungs": _forms(MassOptions, "lung_shunt lung_mass_kg") | _forms(Patient, "lung_shunt_sd"),
    "liver": _forms(Course, "unperfused_normal_mass_kg"),
    "territory": _forms(Territory, "name agent method administered_gbq")
    | _forms(MassOptions, "normal_mass_kg lung_shunt"),
    "lesion": _forms(Lesion),
    "previous": _forms(PreviousTreatment, "name normal_liver_gy lung_gy"),
    "uncertainty": _forms(Uncertainty) | _forms(Course, "normal_probability lung_probability"),
    "images": _forms(PlanImages, "scout structures engine") | _forms(ScoutOptions),
}
"""Keys of each table, from the fields that they fill."""

Measure = Callable[[PlanImages, Mapping[str, str | None], float | None], Measured]
"""Takes images, the structure of each territory and the lung mass that the plan states; gives what they hold."""


def _word(table: str, key: str) -> str:
    """What a key holds, in words."""
    return TABLES[table][key][1].word


_NEEDED = {
    "plan": ("agent",),
    "territory": ("name",),
    "lesion": ("name",),
    "previous": ("name",),
    "images": ("scout", "ct", "structures"),
}

_OWN_KEYS = {"territory": {"lesion"}, "images": {"territories", "keep_stated"}}
"""Keys that hold tables, read by themselves."""


def read_plan(path: Path, measure: Measure | None = None) -> Plan:
    """A plan from its TOML file.

    Parameters
    ----------
    path : Path
        The file.
    measure : callable, optional
        Takes the plan's images, the structure of each territory and the stated lung mass, and gives what they hold;
        with it a plan need not state what its images hold, and what it states is compared. Without it the images are
        left for later.

    Raises
    ------
    InputError
        If the file is missing, is no TOML, has an unknown key, or lacks a needed one; the message names file, line and
        key.
    UnitError
        If a quantity has no unit or a wrong one.
    """
    text, document = toml_file(path)
    return plan_from(document, path, text, measure)


def plan_from(
    document: Mapping[str, Any], path: Path | None = None, text: str = "", measure: Measure | None = None
) -> Plan:
    """A plan from a document of TOML's shape; `path` and `text` are its file, for paths and for messages."""
    reader = _Reader(path, text)
    reader.only(document, {*TABLES, "course", "facts", "waived_limits", "measured"} - {"lesion"}, "")
    images = reader.images(document)
    found = reader.results(document, images)
    if images is not None and measure is not None:
        found = (measure(images, reader.territory_names(document, images), reader.lung_mass_kg(document)), *found)
    reader.known = found
    course, inputs = _course(reader, document)
    for one in reversed(found):
        kept = images.keep_stated if images is not None else {}
        course = reconciled(course, one, kept)
    own = () if path is None or not text else (InputFile.of("plan", path),)
    return Plan(course, images, (*own, *inputs, *reader.result_files))


def aims_from(stated: Mapping[str, Any]) -> Aims | None:
    """Aims of a table ``[aims]``; None where none is stated yet, which a plan asks for.

    Raises
    ------
    InputError
        If a key is unknown, or a value is no dose.
    """
    found = _Reader(None, "").table({"aims": stated}, "aims", needed=True)
    return Aims(**found) if {"perfused_gy", "normal_limit_gy", "tumour_gy"} & found.keys() else None


def table_values(name: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that one table of a plan file fills, each within the limits of what it is; none is needed.

    Raises
    ------
    InputError
        If a key is unknown, or a value is none that it can have.
    """
    reader, known, own = _Reader(None, ""), TABLES[name], _OWN_KEYS.get(name, set())
    require_known(name, stated, sorted({*known, *own}))
    return {
        known[key][0]: reader.value(known[key][1], value, f"{name}.{key}")
        for key, value in stated.items()
        if key not in own
    }


def _course(reader: _Reader, document: Mapping[str, Any]) -> tuple[Course, tuple[InputFile, ...]]:
    """What is asked, as the document states it."""
    head = reader.table(document, "plan", needed=True)
    lungs = reader.lungs(document)
    patient = reader.table(document, "patient")
    spread = reader.table(document, "uncertainty")
    allowances, inputs = reader.allowances(document)
    own = [row.get("lung_shunt") for row in reader.raw_rows(document, "territory")]
    course = Course(
        territories=reader.territories(document, lungs.get("lung_shunt", 0.0), lungs.get("lung_mass_kg", LUNG_MASS_KG)),
        aims=Aims(**reader.table(document, "aims", needed=True)),
        patient=Patient(**_fields_of(Patient, head, patient, lungs)),
        previous=tuple(PreviousTreatment(**row) for row in reader.rows(document, "previous")),
        uncertainty=Uncertainty(**_fields_of(Uncertainty, spread)) if spread else None,
        facts=reader.facts(document.get("facts", {})),
        allowances=allowances,
        lung_mass_measured="lung_mass_kg" in lungs,
        assumptions=(NO_SHUNT,) if "lung_shunt" not in lungs and None in own else (),
        waived_limits=reader.waived(document.get("waived_limits", {})),
        **{
            key: value
            for key, value in _fields_of(Course, head, patient, reader.table(document, "liver"), spread).items()
            if key != "patient"
        },
    )
    return course, inputs


def _fields_of(cls: type, *tables: Mapping[str, Any]) -> dict[str, Any]:
    """Values of tables that are fields of a class."""
    names = {item.name for item in fields(cls)}
    return {key: value for table in tables for key, value in table.items() if key in names}


_TABLE = re.compile(r"\s*\[\[?\s*([\w.\"-]+)\s*\]\]?")

_KEY = re.compile(r'\s*"?([\w-]+)"?\s*=')


def _lines(text: str) -> dict[tuple[str, int, str], int]:
    """Line of each key of a TOML text, by the last part of its table's name and which of its name the table is."""
    found: dict[tuple[str, int, str], int] = {}
    seen: Counter[str] = Counter()
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if head := _TABLE.match(line):
            table = head[1].split(".")[-1]
            seen[table] += 1
        elif key := _KEY.match(line):
            found.setdefault((table, seen[table] - 1, key[1]), number)
    return found


class _Reader:
    """Takes values out of tables and says file, line and key when one is wrong."""

    def __init__(self, path: Path | None, text: str) -> None:
        self.path = path
        self.where = "plan" if path is None else str(path)
        self.lines = _lines(text)
        self.seen: Counter[str] = Counter()
        self.known: tuple[Measured, ...] = ()
        self.result_files: tuple[InputFile, ...] = ()

    def label(self, table: str, key: str, number: int = 0) -> str:
        """Key with file and, where it is known, line."""
        line = self.lines.get((table, number, key))
        return f"{table}.{key} ({self.where}{f', line {line}' if line else ''})"

    def only(self, table: Mapping[str, Any], known: Sequence[str] | set[str], name: str, number: int = 0) -> None:
        for key in table:
            if key not in known:
                what = f"table in {self.where}" if not name else f"key {self.label(name, key, number)}:"
                raise UnknownNameError(what, key, known)

    def table(self, document: Mapping[str, Any], name: str, *, needed: bool = False) -> dict[str, Any]:
        """Fields that a table fills; what it does not hold is left out."""
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise InputError(f"{self.where}: [{name}] must be a table")
        if needed and not table:
            raise InputError(f"{self.where}: the table [{name}] is missing")
        return self.values(table, name) if table else {}

    def rows(self, document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        return [self.values(row, name) for row in self.raw_rows(document, name)]

    def raw_rows(self, document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
        rows = document.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{self.where}: write each as [[{name}]]")
        return rows

    def values(self, table: Mapping[str, Any], name: str) -> dict[str, Any]:
        number = self.seen[name]
        self.seen[name] += 1
        known, own = TABLES[name], _OWN_KEYS.get(name, set())
        self.only(table, {*known, *own}, name, number)
        for key in _NEEDED.get(name, ()):
            if key not in table:
                form = known[key][1].word
                raise InputError(f"{self.where}: {name}.{key} is missing [{form}]")
        return {
            known[key][0]: self.value(known[key][1], value, self.label(name, key, number))
            for key, value in table.items()
            if key not in own
        }

    def value(self, form: Form, given: Any, label: str) -> Any:
        """One value; text that stands for a number without unit, or a number for text, is refused."""
        plain_number = form.base in (int, float) and not form.unit
        numeric = isinstance(given, int | float) and not isinstance(given, bool)
        listed = form.many and isinstance(given, list) and all(isinstance(item, str) for item in given)
        if (plain_number and not numeric) or (form.base in (str, Path) and not (isinstance(given, str) or listed)):
            raise InputError(f"{label}: must be {'a number' if plain_number else 'text'}, not {given!r}")
        if form.base is bool and not isinstance(given, bool):
            raise InputError(f"{label}: must be true or false, not {given!r}")
        if form.text is not None and not isinstance(given, dict):
            raise InputError(f'{label}: must be a table of text, {{ "ROI 3" = "tumour" }}')
        found = form.read(given, label)
        try:
            form.check(found, label.partition(" ")[0])
        except HepaticaError as error:
            raise InputError(f"{label}: {error}") from None
        return found

    def lungs(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The table [lungs]; a shunt that it leaves out is that of a file; without any there is none in it."""
        values = self.table(document, "lungs")
        shunts = [one.lung_shunt.value for one in self.known if one.lung_shunt is not None]
        shunts += [one.lung_shunt_completed.value for one in self.known if one.lung_shunt_completed is not None]
        if "lung_shunt" not in values and shunts:
            values["lung_shunt"] = shunts[0]
        return values

    def lung_mass_kg(self, document: Mapping[str, Any]) -> float | None:
        """The stated mass of the lungs, before the rest of their table is known."""
        table = document.get("lungs", {})
        if not isinstance(table, dict) or "lung_mass" not in table:
            return None
        value = self.value(TABLES["lungs"]["lung_mass"][1], table["lung_mass"], self.label("lungs", "lung_mass"))
        return float(value)

    def territories(self, document: Mapping[str, Any], shunt: float, lung_kg: float) -> tuple[Territory, ...]:
        found = []
        for row in self.raw_rows(document, "territory"):
            values = self.values(row, "territory")
            name = values["name"]
            files = [one.territories[name] for one in self.known if name in one.territories]
            normal = values.get("normal_mass_kg", next((f.normal_mass_kg for f in files), None))
            if normal is None:
                raise InputError(
                    f"{self.where}: territory.normal_mass is missing [{_word('territory', 'normal_mass')}]"
                )
            lesions = tuple(self.lesion(lesion, files) for lesion in self.rows(row, "lesion"))
            target = Partition(normal, lesions, values.get("lung_shunt", shunt), lung_kg)
            own = {key: values.get(key) for key in ("agent", "method", "administered_gbq")}
            found.append(Territory(name, target, **own))
        if not found:
            raise InputError(f"{self.where}: at least one [[territory]] is needed")
        return tuple(found)

    def lesion(self, values: Mapping[str, Any], files: Sequence[MeasuredTerritory]) -> Lesion:
        """A tumour; mass and T/N may be left out where a file holds them."""
        drawn = next((one for f in files if (one := f.lesion(values["name"])) is not None), None)
        known = {} if drawn is None else {"mass_kg": drawn.mass_kg, "tumour_to_normal": drawn.tumour_to_normal}
        whole = {key: value for key, value in known.items() if value is not None} | dict(values)
        for key, word in (("mass_kg", "mass"), ("tumour_to_normal", "tumour_to_normal")):
            if key not in whole:
                raise InputError(f"{self.where}: lesion.{word} is missing [{_word('lesion', word)}]")
        return Lesion(**whole)

    def territory_names(self, document: Mapping[str, Any], images: PlanImages | None) -> dict[str, str | None]:
        """Territory of the plan -> name of its structure; None where it names none."""
        names = [str(row.get("name")) for row in self.raw_rows(document, "territory")]
        return {name: images.territories.get(name) if images is not None else None for name in names}

    def results(self, document: Mapping[str, Any], images: PlanImages | None) -> tuple[Measured, ...]:
        """What the results of the table [measured] hold."""
        table = document.get("measured", {})
        if not isinstance(table, dict):
            raise InputError(f"{self.where}: [measured] must be a table")
        self.only(table, {"lung_shunt", "tumour_to_normal"}, "measured")
        files: dict[str, list[Path]] = {}
        for key, given in table.items():
            names = [given] if isinstance(given, str) else given
            if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
                raise InputError(f"{self.label('measured', key)}: must be a file, or a list of files")
            files[key] = [self.beside(name) for name in names]
        found = []
        if shunts := files.get("lung_shunt"):
            if len(shunts) > 1:
                raise InputError(f"{self.label('measured', 'lung_shunt')}: one patient has one lung shunt")
            found.append(shunt_of_result(shunts[0]))
        if ratios := files.get("tumour_to_normal"):
            found.append(uptake_of_results(ratios, self.territory_names(document, images)))
        every = [path / "result.json" if path.is_dir() else path for paths in files.values() for path in paths]
        self.result_files = tuple(InputFile.of("measured", path) for path in every)
        return tuple(found)

    def facts(self, table: Any) -> Situation:
        if not isinstance(table, dict):
            raise InputError(f"{self.where}: [facts] must be a table")
        types = {item.name: str(item.type).split(" |", maxsplit=1)[0] for item in fields(Situation)}
        self.only(table, set(types), "facts")
        for name, value in table.items():
            numeric = isinstance(value, int | float) and not isinstance(value, bool)
            fits = {"bool": isinstance(value, bool), "str": isinstance(value, str), "int": numeric, "float": numeric}
            if not fits[types[name]]:
                raise InputError(f"{self.label('facts', name)}: must be of type {types[name]}, not {value!r}")
        return Situation(**table)

    def waived(self, table: Any) -> dict[str, str]:
        if not isinstance(table, dict) or not all(isinstance(reason, str) for reason in table.values()):
            raise InputError(f'{self.where}: [waived_limits] must be a table of text: limit id = "reason"')
        return dict(table)

    def images(self, document: Mapping[str, Any]) -> PlanImages | None:
        """The table [images], paths relative to the plan file; None without one."""
        if "images" not in document:
            return None
        values = self.table(document, "images", needed=True)
        territories = document["images"].get("territories", {})
        if not isinstance(territories, dict) or not all(isinstance(v, str) for v in territories.values()):
            raise InputError(f"{self.label('images', 'territories')}: must be a table of text")
        named = {str(row.get("name")) for row in self.raw_rows(document, "territory")}
        if unknown := sorted(set(territories) - named):
            raise UnknownNameError(f"territory in {self.label('images', 'territories')}:", unknown[0], named)
        for name in ("scout", "ct", "structures"):
            values[name] = self.beside(values[name])
        if values.get("transform") is not None:
            values["transform"] = tuple(self.beside(name) for name in values["transform"])
        if values.get("moving_ct") is not None:
            values["moving_ct"] = self.beside(values["moving_ct"])
        reading = ScoutOptions(**_fields_of(ScoutOptions, values))
        kept = document["images"].get("keep_stated", {})
        if not isinstance(kept, dict) or not all(isinstance(reason, str) for reason in kept.values()):
            raise InputError(f"{self.label('images', 'keep_stated')}: must be a table of text, quantity = reason")
        return PlanImages(reading=reading, territories=territories, keep_stated=kept, **_fields_of(PlanImages, values))

    def beside(self, name: str | Path) -> Path:
        """A path, relative to the plan file."""
        return Path(name) if self.path is None else self.path.parent / name

    def allowances(self, document: Mapping[str, Any]) -> tuple[tuple[Allowance, ...], tuple[InputFile, ...]]:
        """The files of ``course.remaining_tolerance``, and what they say; empty without."""
        table = document.get("course", {})
        if not isinstance(table, dict):
            raise InputError(f"{self.where}: [course] must be a table")
        self.only(table, {"remaining_tolerance"}, "course")
        names = table.get("remaining_tolerance", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            label = self.label("course", "remaining_tolerance")
            raise InputError(f'{label}: must be a list of files, ["next-right/result.json"]')
        paths = [self.beside(name) for name in names]
        found = tuple(_allowance(path, name) for path, name in zip(paths, names, strict=True))
        return found, tuple(InputFile.of("remaining_tolerance", path) for path in paths)


def _allowance(path: Path, name: str) -> Allowance:
    """What a result of the verb `remaining_tolerance` says for plans."""
    content = json_file(path)
    stated = content.get("for_plan") if isinstance(content, dict) else None
    if not isinstance(stated, dict):
        raise InputError(f"{path}: no result of remaining_tolerance (it has no for_plan)")
    for key, kinds in _ALLOWANCE.items():
        value = stated.get(key)
        if key not in stated or not isinstance(value, kinds) or isinstance(value, bool):
            raise InputError(f"{path}: no result of remaining_tolerance (for_plan.{key} is {value!r})")
    if not all(isinstance(text, str) for text in stated["cautions"]):
        raise InputError(f"{path}: no result of remaining_tolerance (for_plan.cautions is no list of text)")
    doses = {key: float(stated[key]) for key, kinds in _ALLOWANCE.items() if float in kinds}
    return Allowance(
        territory=stated["territory"],
        **doses,
        nuclide=stated["nuclide"],
        treatments=stated["treatments"],
        cautions=tuple(stated["cautions"]),
        normal_liver_so_far_gy=_optional(path, stated, "normal_liver_so_far_gy"),
        normal_surely_gy=_optional(path, stated, "normal_surely_gy"),
        lung_surely_gy=_optional(path, stated, "lung_surely_gy"),
        source=name,
    )


def _optional(path: Path, stated: Mapping[str, Any], key: str) -> float | None:
    """A number that older results of remaining_tolerance do not hold."""
    value = stated.get(key)
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        raise InputError(f"{path}: no result of remaining_tolerance (for_plan.{key} is {value!r})")
    return None if value is None else float(value)


_ALLOWANCE: dict[str, tuple[type, ...]] = {
    "territory": (str, type(None)), "nuclide": (str,), "treatments": (int,), "cautions": (list,),
    **dict.fromkeys(("normal_gy", "lung_gy", "lung_so_far_gy", "delivered_bed_gy", "tolerance_bed_gy"), (int, float)),
}  # fmt: skip
"""What each key of for_plan holds."""
