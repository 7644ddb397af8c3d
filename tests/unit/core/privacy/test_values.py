"""The walk over a value: what it changes, what it shares, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile, Provenance
from hepatica.core.message import Message
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.identity import Identity, withheld
from hepatica.core.privacy.secret import Secret
from hepatica.core.privacy.values import anonymised, anonymiser_for

SECRET = Secret(bytes(range(32)))


class Kind(StrEnum):
    DOE = "Doe"


class Pair(NamedTuple):
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Row:
    patient: str
    note: str
    when: datetime
    age_years: float = 50.0


@dataclass(frozen=True, slots=True)
class Everything:
    rows: tuple[Row, ...]
    values: NDArray[np.float64]
    kind: Kind
    pairs: Mapping[str, Pair]
    place: Path
    free: str = field(default="", metadata=withheld("nothing"))
    unchanged: tuple[Pair, ...] = ()


def everything() -> Everything:
    when = datetime(2026, 3, 2, 10)
    unchanged = (Pair("liver", 1.5),)
    return Everything(
        (Row("Doe123", "seen by Doe123", when), Row("Roe456", "after Doe123", when, 93.0)),
        np.arange(3.0),
        Kind.DOE,
        {"Doe123": Pair("of Roe456", 2.5)},
        Path("/data/Doe123/x.nii"),
        "Doe123 again",
        unchanged,
    )


def test_every_text_is_reached_and_nothing_else() -> None:
    old = everything()
    new = anonymised(old, anonymiser_for(old, SECRET))
    assert new.values is old.values
    assert new.unchanged is old.unchanged
    assert new.kind is Kind.DOE
    assert new.free == "nothing"
    doe, roe = SECRET.pseudonym("Doe123"), SECRET.pseudonym("Roe456")
    assert [row.patient for row in new.rows] == [doe, roe]
    assert new.rows[0].note == f"seen by {doe}"
    assert dict(new.pairs) == {doe: Pair(f"of {roe}", 2.5)}
    assert "Doe" not in str(new.place)


def test_words_of_programs_stay_whatever_a_patient_is_called() -> None:
    message = Message("warning-late", "Warning came late", severity="warning")
    who = Identity(people=("Warning^Late",))
    new = anonymised(message, Anonymiser.of(SECRET, [who], {}))
    assert (new.code, new.severity) == (message.code, message.severity)
    assert "Warning" not in new.text


def test_each_row_has_the_dates_of_its_patient() -> None:
    old = everything()
    new = anonymised(old, anonymiser_for(old, SECRET))
    for row, before in zip(new.rows, old.rows, strict=True):
        assert row.when - before.when == SECRET.shift(before.patient)


def test_a_great_age_is_one_of_many() -> None:
    old = everything()
    new = anonymised(old, anonymiser_for(old, SECRET))
    assert [row.age_years for row in new.rows] == [50.0, 90.0]


def test_what_is_met_twice_is_made_once() -> None:
    row = everything().rows[0]
    new = anonymised([row, row], anonymiser_for(row, SECRET))
    assert new[0] is new[1]


def test_the_provenance_keeps_published_dates_and_no_paths() -> None:
    old = Provenance(
        inputs=(InputFile("ct", "/data/doe/ct", "0a" * 32, 3),),
        parameters={"at": "2026-03-02T10:00", "file": "/data/doe/ct/1.dcm", "age_years": 95},
        tables={"decay": "ENSDF of 2021-04-05"},
        steps=("read /data/doe/ct",),
    )
    new = anonymised(old, anonymiser_for(old, SECRET))
    document = new.as_document()
    assert document["tables"] == {"decay": "ENSDF of 2021-04-05"}
    assert "doe" not in str(document)
    assert "0a0a" not in str(document)
    assert "2026-03-02" not in str(document)
    assert document["parameters"]["age_years"] == 90
    assert SECRET.name in document["conventions"]["de-identification"]
    assert document["created"] < "2026"


def test_two_keys_that_differ_by_a_name_alone_stay_two() -> None:
    who = Identity(codes=("Sankt Florian", "Kantonsspital"))
    made = anonymised({"of Sankt Florian": 1, "of Kantonsspital": 2}, Anonymiser.of(SECRET, [who], {}))
    assert sorted(made.values()) == [1, 2]
    assert not any("Florian" in key or "Kanton" in key for key in made)
