"""Lung shunt and T/N of a plan from the results of the verbs that measured them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hepatica.core import Estimate
from hepatica.errors import InputError
from hepatica.planning.guardrails import Situation
from hepatica.planning.planner.measured import Measured, MeasuredLesion, MeasuredTerritory

NORMAL = "normal liver"


def result_file(path: Path, verb: str) -> Mapping[str, Any]:
    """The document of a result, or the ``result.json`` of a folder.

    Raises
    ------
    InputError
        If it cannot be read, or is of another verb.
    """
    path = path / "result.json" if path.is_dir() else path
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith(f"hepatica/{verb}/"):
        raise InputError(f"{path}: no result of {verb}; its schema is {schema!r}")
    return dict(document)


def shunt_of_result(path: Path) -> Measured:
    """Lung shunt, and the lungs' mass where the result has it, of a result of `lung_shunt`."""
    document = result_file(path, "lung_shunt")
    try:
        sd, lungs = document.get("lung_shunt_sd"), document.get("whole_lung_mass") or {}
        mass = lungs.get("mass_kg") if lungs.get("origin") in ("ct", "stated") else None
        return Measured(
            source=str(path),
            lung_shunt=Estimate(float(document["lung_shunt"]), None if sd is None else float(sd)),
            lung_mass_kg=None if mass is None else float(mass),
            facts=Situation(lung_shunt_method=str(document["method"]), share_elsewhere=document.get("share_elsewhere")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no lung shunt in it ({error!r})") from error


def uptake_of_results(paths: Sequence[Path], territories: Mapping[str, str | None]) -> Measured:
    """Masses and T/N of results of `tumour_to_normal`, each of one territory.

    Parameters
    ----------
    paths : sequence of path
        Of the results.
    territories : mapping of str to str or None
        Territory of the plan -> name of its structure, by which a result says where it was taken.

    Raises
    ------
    InputError
        If a result does not say which of several territories it is of, or two are of one.
    """
    found: dict[str, MeasuredTerritory] = {}
    for path in paths:
        document = result_file(path, "tumour_to_normal")
        try:
            taken_in = document["provenance"]["parameters"].get("territory")
            masses = {str(name): float(mass) for name, mass in document["masses_kg"].items()}
            lesions = tuple(
                MeasuredLesion(str(row["name"]), masses[row["name"]], float(row["tumour_to_normal"]))
                for row in document["lesions"]
            )
            measured = MeasuredTerritory(masses[NORMAL], lesions)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: no T/N in it ({error!r})") from error
        name = _territory(path, taken_in, territories)
        if name in found:
            raise InputError(f"{path}: is of {name!r}, as another result is")
        found[name] = measured
    return Measured(source=", ".join(map(str, paths)), territories=found)


def _territory(path: Path, taken_in: str | None, territories: Mapping[str, str | None]) -> str:
    """Territory of the plan that a result is of."""
    for name, structure in territories.items():
        if taken_in is not None and taken_in in (name, structure):
            return name
    if len(territories) == 1:
        return next(iter(territories))
    raise InputError(
        f"{path}: was taken in {taken_in or 'the whole liver'}, which is none of the plan's territories: "
        f"{', '.join(territories)}"
    )
