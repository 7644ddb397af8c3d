from __future__ import annotations

from datetime import timedelta

import pytest

from hepatica.core.privacy.secret import MAX_WEEKS, MIN_WEEKS, Secret

KEY = Secret(bytes(range(32)))
OTHER = Secret(bytes(range(1, 33)))


def test_the_same_key_makes_the_same_of_the_same() -> None:
    for make in (Secret.uid, Secret.pseudonym, Secret.shift, Secret.hash):
        assert make(KEY, "1.2.3") == make(KEY, "1.2.3")
        assert make(KEY, "1.2.3") != make(KEY, "1.2.4")
        assert make(KEY, "1.2.3") != make(OTHER, "1.2.3")


def test_a_uid_is_a_uuid_of_dicom() -> None:
    """PS3.5, B.2: a UUID as a decimal number under 2.25; RFC 9562: version 8, variant 10."""
    for n in range(200):
        uid = KEY.uid(f"1.2.3.{n}")
        root, _, number = uid.rpartition(".")
        assert root == "2.25"
        assert number == str(int(number))
        assert len(uid) <= 64
        assert int(number) >> 76 & 0xF == 8
        assert int(number) >> 62 & 0x3 == 2


def test_uids_of_the_standard_stay() -> None:
    assert KEY.uid("1.2.840.10008.5.1.4.1.1.2") == "1.2.840.10008.5.1.4.1.1.2"


def test_a_shift_is_whole_weeks_back_and_differs() -> None:
    shifts = [KEY.shift(str(n)) for n in range(300)]
    assert all(-timedelta(weeks=MAX_WEEKS) <= shift <= -timedelta(weeks=MIN_WEEKS) for shift in shifts)
    assert all(shift.days % 7 == 0 for shift in shifts)
    assert len(set(shifts)) > 150


def test_spaces_around_a_number_do_not_matter() -> None:
    assert KEY.pseudonym(" 123 ") == KEY.pseudonym("123")
    assert KEY.shift("123 ") == KEY.shift("123")


def test_the_key_is_not_shown() -> None:
    assert KEY.key.hex() not in repr(KEY) + KEY.name
    assert KEY.name != OTHER.name
    with pytest.raises(ValueError, match="at least 32"):
        Secret(b"short")
