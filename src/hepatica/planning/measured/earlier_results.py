"""Lung shunt and T/N of a plan from the results of the verbs that measured them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hepatica.core import Estimate
from hepatica.core.message import Message
from hepatica.core.options import options
from hepatica.core.text.files import json_file
from hepatica.errors import InputError
from hepatica.planning.guardrails import Situation
from hepatica.planning.measured.compared import Compared
from hepatica.planning.measured.values import (
    MASS_RELATIVE_SD,
    RATIO_RELATIVE_SD,
    SHUNT_SD,
    Measured,
    MeasuredLesion,
    MeasuredTerritory,
)
from hepatica.planning.planner.prescribe import MassOptions

NORMAL = "normal liver"
BIODISTRIBUTION = "biodistribution"


@options
class EarlierOptions:
    """Results of earlier steps; what they hold need not be stated, and is used where it is stated too.

    Attributes
    ----------
    lung_shunt_result : path or None
        Result of the lung shunt: its shunt, and the lungs' mass where it was measured; or of the biodistribution.
    uptake_result : path or None
        Result of tumour-to-normal: masses of tumours and normal liver, and T/N.
    """

    lung_shunt_result: Path | None = None
    uptake_result: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files themselves."""
        given = [path for path in (self.lung_shunt_result, self.uptake_result) if path is not None]
        return tuple(document_of(path) for path in given)


def with_results(
    masses: MassOptions, earlier: EarlierOptions
) -> tuple[MassOptions, tuple[Compared, ...], float | None]:
    """Masses and uptake with what earlier results hold, stated values beside them, and the shunt's uncertainty.

    Raises
    ------
    InputError
        If a result holds other tumours than are stated.
    """
    compared: list[Compared] = []
    shunt_sd = None
    if earlier.lung_shunt_result is not None:
        found = shunt_of_result(earlier.lung_shunt_result)
        if found.lung_shunt is None:
            raise InputError(found.messages[0].text, remedy=found.messages[0].remedy)
        shunt, shunt_sd = found.lung_shunt.value, found.lung_shunt.sd
        if masses.lung_shunt is not None:
            sd = SHUNT_SD if shunt_sd is None else shunt_sd
            compared.append(Compared("lung_shunt", "", masses.lung_shunt, shunt, "", sd, "measured", found.source))
        masses = replace(masses, lung_shunt=shunt)
        if found.lung_mass_kg is not None:
            if masses.lung_mass_kg is not None:
                compared.append(_mass("lung_mass", "", masses.lung_mass_kg, found.lung_mass_kg, found.source))
            masses = replace(masses, lung_mass_kg=found.lung_mass_kg)
    if earlier.uptake_result is not None:
        masses = _with_uptake(masses, uptake_of_results([earlier.uptake_result], {"": None}), compared)
    return masses, tuple(compared), shunt_sd


def _with_uptake(masses: MassOptions, found: Measured, compared: list[Compared]) -> MassOptions:
    here = found.territories[""]
    normal_kg = here.normal_mass_kg
    weights = [(one.name, one.mass_kg, one.tumour_to_normal) for one in here.lesions]
    if masses.normal_mass_kg is not None and normal_kg is not None:
        compared.append(_mass("normal_mass", "", masses.normal_mass_kg, normal_kg, found.source))
    for stated in (masses.tumour_mass_kg, masses.tumour_to_normal):
        if stated and len(stated) != len(weights):
            raise InputError(f"{len(stated)} tumours are stated, {found.source} holds {len(weights)}")
    for stated_kg, (name, kg, _) in zip(masses.tumour_mass_kg, weights, strict=False):
        compared.append(_mass("mass", name, stated_kg, kg or 0.0, found.source))
    for ratio, (name, _, measured) in zip(masses.tumour_to_normal, weights, strict=False):
        value = measured or 0.0
        sd = RATIO_RELATIVE_SD * max(ratio, value)
        compared.append(Compared("tumour_to_normal", name, ratio, value, "", sd, "measured", found.source))
    return replace(
        masses,
        normal_mass_kg=normal_kg,
        tumour_mass_kg=tuple(kg for _, kg, _ in weights if kg is not None),
        tumour_to_normal=tuple(ratio for _, _, ratio in weights if ratio is not None),
    )


def _mass(quantity: str, where: str, stated: float, measured: float, source: str) -> Compared:
    sd = MASS_RELATIVE_SD * max(stated, measured)
    return Compared(quantity, where, stated, measured, "kg", sd, "measured", source)


def document_of(path: Path) -> Path:
    """The ``result.json`` of a folder, or the file itself."""
    return path / "result.json" if path.is_dir() else path


def result_file(path: Path, *verbs: str) -> Mapping[str, Any]:
    """The document of a result, or the ``result.json`` of a folder, of one of some verbs.

    Raises
    ------
    InputError
        If it cannot be read, or is of none of the verbs.
    """
    path = document_of(path)
    document = json_file(path)
    if not is_result(path, *verbs):
        schema = document.get("schema") if isinstance(document, dict) else None
        raise InputError(f"{path}: no result of {' or '.join(verbs)}; its schema is {schema!r}")
    return dict(document)


def is_result(path: Path, *verbs: str) -> bool:
    """Whether a file is a result of one of some verbs; a file that is none of any verb is not.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    document = json_file(path)
    schema = document.get("schema") if isinstance(document, dict) else None
    return isinstance(schema, str) and schema.startswith(tuple(f"hepatica/{verb}/" for verb in verbs))


def shunt_of_result(path: Path) -> Measured:
    """Lung shunt, and the lungs' mass where the result has it, of a result of `lung_shunt` or `biodistribution`.

    That of a biodistribution is of its first time; one without lungs and liver has none, which is said.
    """
    document = result_file(path, "lung_shunt", BIODISTRIBUTION)
    if str(document["schema"]).startswith(f"hepatica/{BIODISTRIBUTION}/"):
        return _shunt_of_views(path, document)
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


def _shunt_of_views(path: Path, document: Mapping[str, Any]) -> Measured:
    """Lung shunt of a result of `biodistribution`."""
    try:
        first = document["times"][0]
        shunt, sd = first["lung_shunt"], first.get("lung_shunt_sd")
        if shunt is None:
            text = f"{path}: the biodistribution holds no lung shunt: its views do not show lungs and liver whole"
            remedy = "measure it with structures of lungs and liver, or state `lung_shunt`"
            return Measured(source=str(path), messages=(Message("no-shunt-in-result", text, remedy),))
        return Measured(
            source=str(path),
            lung_shunt=Estimate(float(shunt), None if sd is None else float(sd)),
            facts=Situation(lung_shunt_method="planar"),
        )
    except (IndexError, KeyError, TypeError, ValueError) as error:
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
