"""What persons state of a patient: ``case.toml``, its tables, and how one value of it is changed.

The file holds the patient, the disease, and one ``[[treatment]]`` for each: its agent, intent, aims and territories
(the tables of a plan file), its instant, and the readings and options of its steps under their names. What an image or
an earlier step holds is not stated here.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from hepatica.case.layout import FACTS, VERSION
from hepatica.core.options import toml_file
from hepatica.core.options.declare import require_known
from hepatica.errors import InputError

TEMPLATE = """\
# Facts of one patient that people state. What an image or an earlier step holds is not typed here.
# Every quantity is text with its unit; a fraction is 0.05 or "5 %". Research software, not a medical device.

[case]
version = 1
# retain_until = "2056-03-02"    # last day on which the records are to be kept

[patient]
# id = "1234567"                 # PatientID of the images
# bilirubin = "0.9 mg/dL"
# height = "1.75 m"              # for BSA (resin)
# weight = "75 kg"

[disease]
# indication = "HCC"             # HCC, ICC, mCRC, other
# description = "segment 8, 45 mm, BCLC B"

[[treatment]]
# agent = "glass"                # glass, resin, QuiremSpheres, ...
# intent = "lobectomy"           # segmentectomy, lobectomy, unilobar, bilobar, whole-liver
# at = "2026-03-12T10:00+01:00"  # administration, planned or done

[treatment.aims]
# perfused = "120 Gy"
# tumour = "205 Gy"
# normal_limit = "75 Gy"
# lung_limit = "30 Gy"

# [[treatment.territory]]        # left out: the whole liver
# name = "right lobe"            # as its structure is called

# [treatment.delivery]           # readings of vial and waste, as `hepatica delivered-activity` has them
"""

PATIENT = ("id", "name", "sex", "birth_date", "bilirubin", "height", "weight", "hepatic_reserve", "compromised")

DISEASE = ("indication", "description", "stage")

TREATMENT = ("name", "agent", "nuclide", "intent", "at", "convention", "residual", "effective_half_life")
"""Keys of a treatment itself."""

PLAN_TABLES = ("aims", "lungs", "liver", "territory", "uncertainty", "facts", "waived_limits", "images", "previous")
"""Tables of a plan file, below a treatment."""

_STEP = re.compile(r"[a-z][a-z-]*")


@dataclass(frozen=True, slots=True)
class Facts:
    """What ``case.toml`` holds.

    Attributes
    ----------
    path : Path
        The file.
    content : mapping
        Its tables.
    """

    path: Path
    content: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, steps: frozenset[str]) -> Facts:
        """Read and check the tables and keys; what a step's own table holds is checked by its verb.

        Raises
        ------
        InputError
            If the file cannot be read, is of a newer version, or holds an unknown table or key.
        """
        path = folder / FACTS
        _, content = toml_file(path)
        return cls.of(path, content, steps)

    @classmethod
    def of(cls, path: Path, content: Mapping[str, Any], steps: frozenset[str]) -> Facts:
        """Check what a file holds, or is to hold.

        Raises
        ------
        InputError
            As `read`.
        """
        found = cls(path, content)
        found._check(steps)
        return found

    @property
    def treatments(self) -> tuple[Mapping[str, Any], ...]:
        """Each ``[[treatment]]``, in the order of the file."""
        return tuple(self.content.get("treatment", ()))

    @property
    def retain_until(self) -> date | None:
        """Last day on which the records are to be kept; None where none is stated.

        Raises
        ------
        InputError
            If it is no date.
        """
        stated = dict(self.content.get("case", {})).get("retain_until")
        if stated is None:
            return None
        try:
            return date.fromisoformat(str(stated))
        except ValueError:
            raise InputError(f"{self.path}: case.retain_until is {stated!r}, no date such as 2056-03-02") from None

    def table(self, name: str) -> Mapping[str, Any]:
        """The patient or the disease; empty if the file has none."""
        return dict(self.content.get(name, {}))

    def flat(self) -> dict[str, Any]:
        """Every value by its dotted key, treatments and territories counted from 1."""
        return dict(_flat(self.content, ""))

    def _check(self, steps: frozenset[str]) -> None:
        def known(where: str, table: object, keys: frozenset[str] | tuple[str, ...]) -> None:
            if not isinstance(table, dict):
                raise InputError(f"{self.path}: {where} is a table, not {table!r}")
            try:
                require_known(f"{self.path}: {where}", table, sorted(keys))
            except InputError as error:
                raise InputError(str(error).replace("option", "key")) from None

        known("the file", self.content, ("case", "patient", "disease", "treatment"))
        version = dict(self.content.get("case", {})).get("version")
        if not isinstance(version, int) or isinstance(version, bool):
            raise InputError(f"{self.path}: [case] names no version; this is no case of hepatica")
        if version > VERSION:
            raise InputError(
                f"{self.path}: was written by a newer hepatica (version {version} of a case; this one knows {VERSION})",
                remedy="use that hepatica; nothing was changed",
            )
        known("[case]", self.content["case"], ("version", "retain_until"))
        _ = self.retain_until
        known("[patient]", self.content.get("patient", {}), PATIENT)
        known("[disease]", self.content.get("disease", {}), DISEASE)
        treatments = self.content.get("treatment", [])
        if not isinstance(treatments, list):
            raise InputError(f"{self.path}: a treatment is written [[treatment]], in two brackets")
        for number, treatment in enumerate(treatments, 1):
            known(f"treatment {number}", treatment, frozenset((*TREATMENT, *PLAN_TABLES)) | steps)
        self._require_order()

    def _require_order(self) -> None:
        """Treatments stand in the order in which they are given: what a second one sees is what came before it."""
        instants = [(number, at) for number, one in enumerate(self.treatments, 1) if (at := instant_of(one))]
        for (number, at), (later, after) in itertools.pairwise(instants):
            if after.replace(tzinfo=None) < at.replace(tzinfo=None):
                raise InputError(
                    f"{self.path}: treatment {later} is given on {after.date()}, before treatment {number} on "
                    f"{at.date()}",
                    remedy="number the treatments in the order in which they are given",
                )


def instant_of(treatment: Mapping[str, Any]) -> datetime | None:
    """When a treatment is given, as stated; None where that is no instant."""
    try:
        return datetime.fromisoformat(str(treatment.get("at")))
    except ValueError:
        return None


def _flat(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value, 1):
            yield from _flat(item, f"{where}.{number}")
    else:
        yield where, value


def with_value(text: str, key: str, value: str | None, where: Path) -> str:
    """The text of a case file with one value changed, added or (None) removed; all else, comments too, stays.

    Parameters
    ----------
    text : str
        TOML.
    key : str
        Dotted: "patient.weight", "treatment.2.aims.tumour"; "treatment.agent" is the last treatment's, and the number
        after the last one makes a new one.
    value : str or None
        As typed: a number, true, false or a list in TOML's own spelling, else text.
    where : Path
        The file, for messages.

    Raises
    ------
    InputError
        If the key leads through something that is no table, or there is no such treatment.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise InputError(f"{where}: is no TOML ({error})") from error
    *above, name = _parts(key)
    place: Any = document
    for depth, part in enumerate(above):
        place = _inside(place, part, ".".join(above[: depth + 1]), where, make=value is not None)
    if isinstance(place, list):
        place = _one(place, ".".join(above), where)
    if value is None:
        if name not in place:
            raise InputError(f"{where}: has no {key}")
        del place[name]
    else:
        place[name] = typed_value(value)
    return tomlkit.dumps(document)


def _parts(key: str) -> list[str]:
    parts = key.split(".")
    if len(parts) < 2 or not all(re.fullmatch(r"[A-Za-z0-9_-]+", part) for part in parts):
        raise InputError(f"{key!r} is no key of a case", remedy='write it with its table, such as "patient.weight"')
    return parts


def _inside(place: Any, part: str, so_far: str, where: Path, *, make: bool) -> Any:
    import tomlkit

    if isinstance(place, list):
        if part.isdecimal():
            number = int(part)
            if make and number == len(place) + 1:
                place.append(tomlkit.table())
            if not 1 <= number <= len(place):
                raise InputError(f"{where}: has no {so_far}; there are {len(place)}")
            return place[number - 1]
        place = _one(place, so_far, where)
    if not isinstance(place, dict):
        raise InputError(f"{where}: {so_far} is inside a value, which is no table")
    if part not in place:
        if not make:
            raise InputError(f"{where}: has no {so_far}")
        made: Any = tomlkit.table()
        if part in ("treatment", "territory", "lesion"):
            made = tomlkit.aot()
            made.append(tomlkit.table())
        place[part] = made
    return place[part]


def _one(tables: list[Any], so_far: str, where: Path) -> Any:
    """The last of several tables, which a key without a number means."""
    if not tables:
        raise InputError(f"{where}: {so_far} is empty")
    return tables[-1]


def typed_value(value: str) -> Any:
    """A value as TOML has it, or text where it is none."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, int | float | bool | list) else value
