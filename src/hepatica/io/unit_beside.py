"""The unit that a virtual patient's own file states of its images: NIfTI has no place for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hepatica.core.image import Stated
from hepatica.core.text.files import json_file
from hepatica.core.volume import voxel_unit
from hepatica.errors import InputError, UnitError

PATIENT_FILE, UNITS = "patient.json", "truth_units"


def with_unit_beside(path: Path, stated: Stated) -> Stated:
    """What is stated of an image file, with the unit by the virtual patient that it is of.

    Parameters
    ----------
    path : Path
        NIfTI or MetaImage; ``patient.json`` stands beside its folder.
    stated : Stated
        By the user: of another unit it is refused, which in voxels of 6 mm would be a factor of five.

    Raises
    ------
    UnitError
        If the unit stated is another.
    """
    unit = _told(path)
    if not unit:
        return stated
    if stated.unit is None:
        return replace(stated, unit=unit)
    if voxel_unit(stated.unit) != voxel_unit(unit):
        raise UnitError(
            f"{path}: holds {unit} per voxel by the {PATIENT_FILE} of its virtual patient; the unit stated, "
            f"{stated.unit!r}, contradicts it",
            remedy=f"state `activity_unit` {unit!r}, or none",
        )
    return stated


def _told(path: Path) -> str:
    """Unit by the file of the patient; empty where there is none, or it is no such file."""
    beside = path.parent.parent / PATIENT_FILE
    if path.parent.name != "truth" or not beside.is_file():
        return ""
    try:
        units = json_file(beside)
    except InputError:
        return ""
    units = units.get(UNITS) if isinstance(units, Mapping) else None
    unit = units.get(path.name.partition(".")[0]) if isinstance(units, Mapping) else None
    if not isinstance(unit, str):
        return ""
    try:
        voxel_unit(unit)
    except UnitError:
        return ""
    return unit
