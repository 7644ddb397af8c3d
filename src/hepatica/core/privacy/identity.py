"""Whom data are about, and what was done about it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """What in a file says whom it is about or where it was made.

    Attributes
    ----------
    patient_id : str
        PatientID; empty where the file has none.
    people : tuple of str
        Names of patient, physicians and operators; every word of them identifies.
    codes : tuple of str
        Other identifiers, institutions and devices; each identifies as a whole.
    texts : tuple of str
        Descriptions and comments, which may hold anything.
    dates : tuple of str
        Dates as YYYYMMDD.
    deidentified_by : str or None
        Name of the key by which a DICOM header says that hepatica took identity out before; empty where it does not,
        None where there is no header.
    """

    patient_id: str = ""
    people: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    deidentified_by: str | None = None


NOBODY = Identity()


@dataclass(frozen=True, slots=True, repr=False)
class Deidentified:
    """That identity was taken out.

    Attributes
    ----------
    key : str
        Name of the key.
    shift : timedelta
        Added to every date.
    """

    key: str
    shift: timedelta


def withheld(replacement: str = "", *, may_name: bool = False) -> Mapping[str, Any]:
    """Metadata of a field of free text that is replaced as a whole when identity is taken out.

    `may_name`: its words of four letters and more that are no words of the field are looked for in other texts too.
    """
    return types.MappingProxyType({"anonymous": replacement, "may_name": may_name})
