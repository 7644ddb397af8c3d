"""By which clock a PET of raw data tells its start: UTC of PETSIRD, the zone of a CT, or what is stated."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from hepatica.core.context import DicomContext
from hepatica.errors import InputError, TimeError
from hepatica.workflow.pet.clock import clock_of

START = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
LOCAL = timezone(timedelta(hours=1))


def ct(zone: str = "", *, dated: bool = True) -> DicomContext:
    made = DicomContext.invented(when=datetime(2026, 3, 2, 10) if dated else None)
    return replace(made, timezone=zone)


def test_a_start_in_utc_is_told_by_the_clock_of_the_ct() -> None:
    found = clock_of(START, ct("+0100"), None, "scan.petsird")
    assert found.start == START
    assert found.start.isoformat() == "2026-03-02T10:15:00+01:00"
    assert found.context.timezone == "+0100"


@pytest.mark.parametrize(("stated", "clock", "written"), [("+01:00", 10, "+0100"), ("-0530", 3, "-0530")])
def test_or_by_the_zone_that_is_stated(stated: str, clock: int, written: str) -> None:
    found = clock_of(START, ct(), stated, "scan.petsird")
    assert (found.start, found.start.hour, found.context.timezone) == (START, clock, written)


def test_without_either_it_is_refused_with_what_to_give() -> None:
    with pytest.raises(TimeError, match=r"scan\.petsird.*no TimezoneOffsetFromUTC.*`time_zone`.*\+01:00"):
        clock_of(START, ct(), None, "scan.petsird")


def test_beside_a_ct_without_dates_it_stays_in_utc_and_says_so() -> None:
    found = clock_of(START, ct(dated=False), None, "scan.petsird")
    assert (found.start.hour, found.context.timezone) == (9, "+0000")


def test_a_clock_without_a_zone_is_that_of_the_ct() -> None:
    plain = START.replace(tzinfo=None)
    assert clock_of(plain, ct("+0100"), None, "scan.npz").start == datetime(2026, 3, 2, 9, 15, tzinfo=LOCAL)
    assert clock_of(plain, ct(), None, "scan.npz").start == plain


def test_the_zone_of_the_ct_is_taken_before_another_that_is_stated() -> None:
    found = clock_of(START, ct("+0100"), "+02:00", "scan.petsird")
    assert found.context.timezone == "+0100"
    assert [m.code for m in found.messages] == ["time-zone-of-ct"]


@pytest.mark.parametrize("text", ["1", "+1:00", "+15:00", "+01:60", "CET"])
def test_what_is_no_offset_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no offset from UTC"):
        clock_of(START, ct(), text, "scan.petsird")
