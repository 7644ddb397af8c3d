"""What a series says of itself, and what it is taken for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from hepatica.io.dicom.series import SeriesKind

ONE_SCAN = timedelta(minutes=45)
"""Images of one nuclide that began within it are one scan, reconstructed twice; time points lie hours apart."""

MULTI_ECHO = "multi-echo MR"
"""How what is said of an MR of several echoes begins."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a series says of itself.

    Attributes
    ----------
    kind : SeriesKind
        What it is.
    what : str
        In words.
    at : datetime or None
        When it was acquired or drawn; local time without zone.
    nuclide : str or None
        "Tc-99m".
    administered_bq : float or None
        Activity that its header states.
    tracer, description : str
        Radiopharmaceutical and series description.
    frame : str
        Frame of reference.
    refers_to : tuple of str
        Frames of reference that structures were drawn in, or that a registration links.
    has_contrast : bool
        A contrast agent is named.
    patient : str
        PatientID.
    name, birth_date : str
        PatientName in capitals without signs, PatientBirthDate; empty where the header has none.
    series_uids : tuple of str
        Of an MR whose echoes are several series, all of them.
    is_derived : bool
        Made from other images: a reformat.
    lacks_attenuation : bool
        Its header lists corrections, and that for attenuation is not among them.
    """

    kind: SeriesKind
    what: str
    at: datetime | None = None
    nuclide: str | None = None
    administered_bq: float | None = None
    tracer: str = ""
    description: str = ""
    frame: str = ""
    refers_to: tuple[str, ...] = ()
    has_contrast: bool = False
    patient: str = ""
    is_derived: bool = False
    lacks_attenuation: bool = False
    name: str = ""
    birth_date: str = ""
    series_uids: tuple[str, ...] = ()

    @property
    def is_multi_echo(self) -> bool:
        """Whether it is an MR of several echoes, of which R2* is found."""
        return self.kind is SeriesKind.MR and self.what.startswith(MULTI_ECHO)

    def facts(self) -> dict[str, Any]:
        """As plain values, to be kept."""
        at = None if self.at is None else self.at.isoformat()
        plain = asdict(self) | {"kind": self.kind.name, "at": at, "refers_to": list(self.refers_to)}
        # Of most images there is none, and an older hepatica does not know it.
        uids = list(plain.pop("series_uids"))
        return plain | ({"series_uids": uids} if uids else {})

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Seen:
        """From what `facts` kept."""
        at = facts["at"]
        changed = {
            "kind": SeriesKind[facts["kind"]],
            "at": None if at is None else datetime.fromisoformat(at),
            "refers_to": tuple(facts["refers_to"]),
            "series_uids": tuple(facts.get("series_uids", ())),
        }
        return cls(**{**facts, **changed})


@dataclass(frozen=True, slots=True)
class Guess:
    """What a series is taken for.

    Attributes
    ----------
    role : str
        One of `roles.ROLES`.
    treatment : int
        From 1; 0 for all.
    why : str
        By what.
    doubts : tuple of str
        Why it could be something else; a person should say.
    """

    role: str
    treatment: int = 0
    why: str = ""
    doubts: tuple[str, ...] = ()
