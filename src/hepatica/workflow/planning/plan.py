"""A plan as a TOML file that a human writes: read, checked, answered, written out."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hepatica.core import InputFile, Provenance
from hepatica.core.units import parse_fraction, parse_quantity
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.guardrails import Situation
from hepatica.planning.limits.allowance import Allowance
from hepatica.planning.limits.assess import Patient
from hepatica.planning.planner.best_activity import Uncertainty
from hepatica.planning.planner.course import Aims, Course, CoursePlan, Territory, plan_course
from hepatica.planning.planner.territories import PreviousTreatment
from hepatica.planning.prescriptions.compartments import Lesion, Partition
from hepatica.workflow.planning.plan_voxel import PlanImages, predict

TEMPLATE = """\
# A hepatica plan. Every quantity is text with its unit; a fraction is 0.05 or "5 %". Remove what you do not know:
# nothing is assumed silently, and what needs a missing fact is left out and named.
# Research software, not a medical device.

[plan]
title = "right lobe, HCC"
agent = "glass"                  # `hepatica agents` lists them
# convention = "label"           # dose constant: label, mird, ensdf; each method's own if left out
residual = "2 %"                 # stays in vial and tubing
intent = "unilobar"              # segmentectomy, lobectomy, unilobar, bilobar, whole-liver
indication = "HCC"               # HCC, ICC, mCRC, other

[aims]
perfused = "120 Gy"              # single compartment (MIRD), holmium rule
normal_limit = "75 Gy"           # partition: mean of perfused normal liver; planner: of the whole normal liver
tumour = "205 Gy"                # partition: mean of all tumours
lung_limit = "30 Gy"
# method = "partition-normal"    # whose activity is given: mird, holmium, partition-normal, partition-tumour, bsa, ...

[patient]
bilirubin = "0.9 mg/dL"
# height = "1.75 m"              # for BSA (resin)
# weight = "75 kg"
# hepatic_reserve = "40 %"       # normal liver that no territory reaches
# compromised = false

[lungs]
shunt = "5 %"
shunt_sd = "1 %"                 # standard uncertainty, `hepatica lsf`
mass = "0.95 kg"                 # left out: 1 kg is assumed and said so

[liver]
unperfused_normal_mass = "0.6 kg"

[[territory]]
name = "right lobe"
normal_mass = "0.9 kg"           # normal liver in the territory, without tumour
# agent = "resin"                # if another than the plan's
# lung_shunt = "4 %"             # if measured for this injection alone

[[territory.lesion]]
name = "segment 8"
mass = "120 g"
tn = 4.0                         # activity per mass in tumour over normal liver, `hepatica tn`

[[territory.lesion]]
name = "segment 6"
mass = "35 g"
tn = 3.0

# [course]                       # what earlier treatments leave, in place of [[previous]]
# adaptive = ["next-right.json"] # written by `hepatica adaptive ... --json > next-right.json`

# [[previous]]                   # earlier treatments
# name = "2025-06 left lobe"
# lung = "4 Gy"
# normal_liver = "12 Gy"

[uncertainty]                    # standard uncertainties; with them the planner looks for the best chance
lung_shunt = "1 %"               # of the fraction itself; all others are relative
uptake_ratio = "15 %"
discordance = "30 %"             # therapy against scout, per lesion
mass = "8 %"
lung_mass = "10 %"
calibration = "5 %"
normal_probability = "5 %"       # P(normal liver above its limit) allowed
lung_probability = "5 %"

# [images]                       # voxel-based prediction: the scout scaled to the activities chosen
# scout = "scout-spect"          # DICOM file or folder, NIfTI, MetaImage; paths are relative to this file
# ct = "ct"
# regions = "structures.dcm"     # RTSTRUCT, SEG or label map
# method = "kernel"              # dose engine
# unit = "counts"                # of a NIfTI or MetaImage
# territories = { "right lobe" = "perfused right" }
# kinds = { "ROI 3" = "tumour" } # what a structure is, where its name does not say

[facts]                          # anything else for the guardrails; `hepatica plan guardrails` lists the names
share_elsewhere = 0.03
scout_to_therapy_days = 12
"""

_TABLES: dict[str, set[str]] = {
    "plan": {"title", "agent", "convention", "residual", "intent", "indication"},
    "aims": {"perfused", "normal_limit", "tumour", "lung_limit", "method"},
    "patient": {"height", "weight", "bilirubin", "hepatic_reserve", "compromised"},
    "lungs": {"shunt", "shunt_sd", "mass"},
    "liver": {"unperfused_normal_mass"},
    "territory": {"name", "normal_mass", "agent", "method", "lung_shunt", "lesion"},
    "lesion": {"name", "mass", "tn"},
    "previous": {"name", "lung", "normal_liver"},
    "course": {"adaptive"},
    "images": {"scout", "ct", "regions", "method", "unit", "territories", "kinds", "registered"},
    "uncertainty": {
        "lung_shunt",
        "uptake_ratio",
        "discordance",
        "mass",
        "lung_mass",
        "calibration",
        "normal_probability",
        "lung_probability",
    },
}


def read_plan(path: Path) -> Course:
    """A plan from its TOML file.

    Raises
    ------
    InputError
        If the file is missing, is no TOML, has an unknown key, or lacks a needed one; the message names file and key.
    UnitError
        If a quantity has no unit or a wrong one.
    """
    return plan_from(_document(path), str(path))


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error})") from error


def allowances_from(document: Mapping[str, Any], where: Path) -> tuple[Allowance, ...]:
    """The files of ``course.adaptive``, paths relative to the plan file; empty without.

    Raises
    ------
    InputError
        If a file is missing or is not what ``hepatica adaptive --json`` writes; the message names file and key.
    """
    table = _Reader(str(where)).table(document, "course")
    names = table.get("adaptive", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f'{where}: course.adaptive must be a list of files, ["next-right.json"]')
    return tuple(_allowance(where.parent, name) for name in names)


def _allowance(folder: Path, name: str) -> Allowance:
    path = folder / name
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["for_plan"]
        return Allowance(
            territory=found["territory"],
            **{key: float(found[key]) for key in _ALLOWANCE},
            nuclide=str(found["nuclide"]),
            treatments=int(found["treatments"]),
            cautions=tuple(map(str, found["cautions"])),
            source=name,
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not written by `hepatica adaptive --json` ({error!r})") from error


_ALLOWANCE = ("normal_gy", "lung_gy", "lung_so_far_gy", "delivered_bed_gy", "tolerance_bed_gy")


def plan_from(document: Mapping[str, Any], where: str = "plan") -> Course:
    """A plan from a document of TOML's shape; `where` is its file, or names it in messages."""
    reader = _Reader(where)
    reader.only(document, {*_TABLES, "facts"} - {"lesion"}, "")
    head = reader.table(document, "plan", needed=True)
    aims = reader.table(document, "aims", needed=True)
    patient = reader.table(document, "patient")
    lungs = reader.table(document, "lungs", needed=True)
    spread = reader.table(document, "uncertainty")
    rows = reader.rows(document, "territory")
    shunt = reader.fraction(lungs, "shunt", "lungs.shunt")
    lung_kg = reader.optional(lungs, "mass", "kg", "lungs.mass")
    reserve = patient.get("hepatic_reserve")
    return Course(
        title=str(head.get("title", "plan")),
        agent=reader.text(head, "agent", "plan.agent"),
        territories=tuple(reader.territory(row, shunt, 1.0 if lung_kg is None else lung_kg) for row in rows),
        aims=Aims(
            reader.optional(aims, "perfused", "Gy", "aims.perfused"),
            reader.optional(aims, "normal_limit", "Gy", "aims.normal_limit"),
            reader.optional(aims, "tumour", "Gy", "aims.tumour"),
            reader.optional(aims, "lung_limit", "Gy", "aims.lung_limit") or 30.0,
            reader.maybe_text(aims, "method", "aims.method"),
        ),
        patient=Patient(
            intent=reader.maybe_text(head, "intent", "plan.intent"),
            indication=reader.maybe_text(head, "indication", "plan.indication"),
            bilirubin_mg_dl=reader.optional(patient, "bilirubin", "mg/dL", "patient.bilirubin"),
            hepatic_reserve=None
            if reserve is None
            else reader.fraction(patient, "hepatic_reserve", "patient.hepatic_reserve"),
            compromised=reader.flag(patient, "compromised", "patient.compromised"),
            lung_mass_measured=lung_kg is not None,
            previous_lung_doses_gy=(),
            lung_shunt_sd=reader.fraction(lungs, "shunt_sd", "lungs.shunt_sd") if "shunt_sd" in lungs else None,
        ),
        convention=reader.maybe_text(head, "convention", "plan.convention"),
        residual=reader.fraction(head, "residual", "plan.residual") if "residual" in head else 0.0,
        unperfused_normal_kg=reader.optional(
            reader.table(document, "liver"), "unperfused_normal_mass", "kg", "liver.unperfused_normal_mass"
        )
        or 0.0,
        height_m=reader.optional(patient, "height", "m", "patient.height"),
        weight_kg=reader.optional(patient, "weight", "kg", "patient.weight"),
        previous=tuple(reader.previous(row) for row in reader.rows(document, "previous", needed=False)),
        uncertainty=reader.uncertainty(spread) if spread else None,
        normal_probability=reader.fraction(spread, "normal_probability", "uncertainty.normal_probability", "0.05"),
        lung_probability=reader.fraction(spread, "lung_probability", "uncertainty.lung_probability", "0.05"),
        facts=reader.facts(document.get("facts", {})),
        allowances=allowances_from(document, Path(where)),
    )


def images_from(document: Mapping[str, Any], where: Path) -> PlanImages | None:
    """The table [images] of a plan document, paths relative to the plan file; None without one."""
    if "images" not in document:
        return None
    reader = _Reader(str(where))
    table = reader.table(document, "images", needed=True)

    def words(name: str) -> dict[str, str]:
        value = table.get(name, {})
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise InputError(f"{where}: images.{name} must be a table of text")
        return value

    paths = {name: where.parent / reader.text(table, name, f"images.{name}") for name in ("scout", "ct", "regions")}
    territories = words("territories")
    named = {row.get("name") for row in reader.rows(document, "territory")}
    if unknown := sorted(set(territories) - named):
        raise UnknownNameError(f"territory in {where}, images.territories", unknown[0], map(str, named))
    return PlanImages(
        **paths,
        territories=territories,
        unit=reader.maybe_text(table, "unit", "images.unit"),
        kinds=words("kinds"),
        method=reader.maybe_text(table, "method", "images.method") or "kernel",
        registered=bool(reader.flag(table, "registered", "images.registered")),
    )


class _Reader:
    """Takes values out of tables and says file and key when one is wrong."""

    def __init__(self, where: str) -> None:
        self.where = where

    def only(self, table: Mapping[str, Any], known: set[str], name: str) -> None:
        if unknown := sorted(set(table) - known):
            raise UnknownNameError(f"key in {self.where}{f', [{name}]' if name else ''}", unknown[0], known)

    def table(self, document: Mapping[str, Any], name: str, *, needed: bool = False) -> Mapping[str, Any]:
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise InputError(f"{self.where}: [{name}] must be a table")
        if needed and not table:
            raise InputError(f"{self.where}: the table [{name}] is missing")
        self.only(table, _TABLES[name], name)
        return table

    def rows(self, document: Mapping[str, Any], name: str, *, needed: bool = True) -> list[Mapping[str, Any]]:
        rows = document.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{self.where}: write each as [[{name}]]")
        if needed and not rows:
            raise InputError(f"{self.where}: at least one [[{name}]] is needed")
        for row in rows:
            self.only(row, _TABLES[name], name)
        return rows

    def text(self, table: Mapping[str, Any], key: str, name: str) -> str:
        if not isinstance(table.get(key), str):
            raise InputError(f"{self.where}: {name} is missing or not text")
        return str(table[key])

    def maybe_text(self, table: Mapping[str, Any], key: str, name: str) -> str | None:
        return self.text(table, key, name) if key in table else None

    def quantity(self, table: Mapping[str, Any], key: str, unit: str, name: str) -> float:
        if key not in table:
            raise InputError(f"{self.where}: {name} is missing; write for example '1 {unit}'")
        return parse_quantity(str(table[key]), unit, f"{self.where}: {name}")

    def optional(self, table: Mapping[str, Any], key: str, unit: str, name: str) -> float | None:
        return self.quantity(table, key, unit, name) if key in table else None

    def fraction(self, table: Mapping[str, Any], key: str, name: str, default: str | None = None) -> float:
        if key not in table and default is None:
            raise InputError(f"{self.where}: {name} is missing; write 0.05 or '5 %'")
        return parse_fraction(str(table.get(key, default)), f"{self.where}: {name}")

    def flag(self, table: Mapping[str, Any], key: str, name: str) -> bool | None:
        value = table.get(key)
        if value is not None and not isinstance(value, bool):
            raise InputError(f"{self.where}: {name} must be true or false")
        return value

    def number(self, table: Mapping[str, Any], key: str, name: str) -> float:
        value = table.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{self.where}: {name} must be a number")
        return float(value)

    def territory(self, row: Mapping[str, Any], shunt: float, lung_kg: float) -> Territory:
        name = self.text(row, "name", "territory.name")
        lesions = []
        for lesion in self.rows(row, "lesion", needed=False):
            called = self.text(lesion, "name", f"name of a lesion in {name}")
            mass = self.quantity(lesion, "mass", "kg", f"mass of {called}")
            lesions.append(Lesion(called, mass, self.number(lesion, "tn", f"tn of {called}")))
        own = self.fraction(row, "lung_shunt", f"lung_shunt of {name}") if "lung_shunt" in row else shunt
        normal = self.quantity(row, "normal_mass", "kg", f"normal_mass of {name}")
        agent, method = (self.maybe_text(row, key, f"{key} of {name}") for key in ("agent", "method"))
        return Territory(name, Partition(normal, tuple(lesions), own, lung_kg), agent, method)

    def previous(self, row: Mapping[str, Any]) -> PreviousTreatment:
        return PreviousTreatment(
            self.text(row, "name", "previous.name"),
            self.optional(row, "normal_liver", "Gy", "previous.normal_liver") or 0.0,
            self.optional(row, "lung", "Gy", "previous.lung") or 0.0,
        )

    def uncertainty(self, table: Mapping[str, Any]) -> Uncertainty:
        names = [field.name for field in fields(Uncertainty)]
        return Uncertainty(**{name: self.fraction(table, name, f"uncertainty.{name}", "0") for name in names})

    def facts(self, table: Any) -> Situation:
        if not isinstance(table, dict):
            raise InputError(f"{self.where}: [facts] must be a table")
        types = {field.name: str(field.type) for field in fields(Situation)}
        self.only(table, set(types), "facts")
        for name, value in table.items():
            wanted = types[name].split(" |", maxsplit=1)[0]
            numeric = isinstance(value, int | float) and not isinstance(value, bool)
            fits = {"bool": isinstance(value, bool), "str": isinstance(value, str), "int": numeric, "float": numeric}
            if not fits[wanted]:
                raise InputError(f"{self.where}: facts.{name} must be of type {wanted}, not {value!r}")
        return Situation(**table)


def plan_provenance(path: Path, plan: CoursePlan) -> Provenance:
    """Where the plan came from and what it rests on."""
    constants = {t.given.prescription.constant.text for t in plan.territories}
    return Provenance(
        inputs=(
            InputFile.of("plan", path),
            *(InputFile.of("adaptive", path.parent / a.source) for a in plan.course.allowances),
        ),
        parameters={"planner_samples": plan.optimum.samples, "planner_seed": plan.optimum.seed} if plan.optimum else {},
        tables={"limits": "planning/tables/limits.toml", "agents": "nuclides/tables/agents"},
        conventions={"dose constant": "; ".join(sorted(constants)), "deposition": "local, all decays in place"},
        steps=tuple(f"{t.territory.name}: {t.given.prescription.source}" for t in plan.territories),
    )


def run_plan(path: Path, out: Path | None = None, *, force: bool = False) -> tuple[CoursePlan, dict[str, Any]]:
    """Read a plan file, answer it, and write plan.json, plan.html and plan.pdf into a folder if one is given.

    With a table [images] the predicted dose map is made too, and written as planned-dose.nii.gz.

    Raises
    ------
    OutputError
        If the folder exists and `force` is not set; nothing is half-written.
    """
    source = _document(path)
    images = images_from(source, path)
    plan = plan_course(plan_from(source, str(path)))
    voxel = predict(plan, images) if images is not None else None
    document = plan.as_dict() | {
        "voxel_plan": voxel.as_dict() if voxel else None,
        "provenance": plan_provenance(path, plan).as_dict(),
    }
    if out is not None:
        from hepatica.io.files import output_folder
        from hepatica.io.itk import write_itk
        from hepatica.workflow.planning.plan_page import plan_html, write_plan_pdf

        with output_folder(out, force=force) as folder:
            (folder / "plan.json").write_text(json.dumps(document, indent=2, allow_nan=False), encoding="utf-8")
            pictures = voxel.pictures() if voxel is not None else ()
            (folder / "plan.html").write_text(plan_html(plan, document, pictures), encoding="utf-8")
            write_plan_pdf(plan, document, folder / "plan.pdf", pictures)
            if voxel is not None:
                write_itk(voxel.dose_map.dose, folder / "planned-dose.nii.gz")
    return plan, document
