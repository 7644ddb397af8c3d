"""What becomes of texts and dates; every rule beside what it must leave alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.identity import Identity
from hepatica.core.privacy.secret import Secret

SECRET = Secret(bytes(range(32)))
WHO = Identity(
    patient_id="7731942",
    people=("Müller^Li^Q", "Gray^Liver", "山田^太郎"),
    codes=("Sankt Florian Spital", "CT"),
    texts=("Kontrolle nach SIRT",),
    dates=("20260302",),
)


@pytest.fixture
def by() -> Anonymiser:
    paths = {"/data/doe_john/ct": "ct", "ct": "ct", "C:\\scans\\doe.nii": "activity"}
    return Anonymiser.of(SECRET, [WHO], paths)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("tumour Müller", "Müller"),
        ("MULLER_tumour", "MULLER"),
        ("structure of Li", "Li"),
        ("patient 7731942: late", "7731942"),
        ("made in sankt florian spital", "florian"),
        ("山田太郎の肝臓", "山田"),
        ("/data/doe_john/ct/a b.dcm: skipped", "a b"),
        ("C:\\scans\\doe.nii: no unit", "scans"),
        ("skipped /home/somebody/x.dcm", "somebody"),
        ("drawn on ~/scans/x/y.nii today", "scans"),
        ("on series 1.3.6.1.4.1.99.12345.77", "12345"),
        (f"hash {'0a' * 32}", "0a0a0a"),
        ("of 12 March 2026", "2026"),
        ("tumour 02.03.2026", "2026"),
        ("tumour 20260302 left", "20260302"),
        ("2025-06 left lobe", "2025"),
        ("before 06/2025", "2025"),
        ("since March 2026", "2026"),
        ("3.Mai 2026", "2026"),
        ("12MAR2026", "2026"),
        ("tumour_20250101", "20250101"),
        ("Kontrolle nach SIRT", "Kontrolle"),
    ],
)
def test_what_names_somebody_goes(by: Anonymiser, text: str, gone: str) -> None:
    assert gone not in by.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "liver minus tumours, 12.5 mL",
        "the CT: 31 slices of 512 x 512",
        "3 Bq/mL of ct and mGy/MBq/s, and/or",
        "1773194 voxels of 77319425",
        "version 1.2.3, SOP class 1.2.840.10008.5.1.4.1.1.2",
        "20250101 voxels",
        "decays 2000 of 1950 counts, junction 2012",
        "2012;39(5):1-9 and 1998-12345",
        "49.67 Gy kg/GBq (doi:10.1000/182)",
        "https://example.org/a/b",
        "",
    ],
)
def test_what_names_nobody_stays(by: Anonymiser, text: str) -> None:
    assert by.text(text) == text


def test_dates_in_a_text_move_like_dates(by: Anonymiser) -> None:
    moved = (date(2026, 3, 2) + SECRET.shift("7731942")).isoformat()
    assert by.text("at 2026-03-02T14:30:00+01:00") == f"at {moved}T14:30:00+01:00"
    assert by.text("20260302143000.000000+0100") == f"{moved.replace('-', '')}143000.000000+0100"
    assert by.text("table of 2026-03-02", dates=False) == "table of 2026-03-02"
    assert by.dicom_date("20260302") == moved.replace("-", "")
    assert by.dicom_date("2026") == ""


def test_intervals_stay_over_a_change_of_clocks_and_a_leap_day(by: Anonymiser) -> None:
    zone = ZoneInfo("Europe/Berlin")
    instants = [
        datetime(2024, 2, 28, 22, tzinfo=zone),
        datetime(2024, 3, 1, 6, tzinfo=zone),
        datetime(2024, 3, 30, 12, tzinfo=zone),
        datetime(2024, 3, 31, 12, tzinfo=zone),
        datetime(2024, 3, 31, 11, tzinfo=UTC),
    ]
    moved = [by.instant(instant) for instant in instants]
    for a, b, c, d in zip(instants, instants[1:], moved, moved[1:], strict=False):
        assert d.astimezone(UTC) - c.astimezone(UTC) == b.astimezone(UTC) - a.astimezone(UTC)
    naive = [datetime(2024, 2, 29, 23, 59, 59), datetime(2024, 3, 1)]
    assert by.instant(naive[1]) - by.instant(naive[0]) == timedelta(seconds=1)
    assert by.day(date(2024, 2, 29)).weekday() == date(2024, 2, 29).weekday()


def test_a_name_that_is_also_an_element_or_a_unit_goes_where_it_is_a_name() -> None:
    by = Anonymiser.of(SECRET, [Identity(people=("Ho^Lu", "Gy", "Anon^Li"))], {})
    assert by.text("Ho-166 and Lu-177 in 3 Gy of ct") == "Ho-166 and Lu-177 in 3 Gy of ct"
    assert by.text(SECRET.pseudonym("1")) == SECRET.pseudonym("1")
    for text in ("tumour Ho", "LU_tumour", "of Li"):
        assert by.text(text) != text


def test_two_names_do_not_become_one(by: Anonymiser) -> None:
    assert by.text("tumour Müller") != by.text("tumour Li")
    assert by.text("tumour 2025-06") != by.text("tumour 2025-07")


def test_a_short_number_goes_only_where_it_is_called_one() -> None:
    by = Anonymiser.of(SECRET, [Identity(patient_id="12")], {})
    assert by.text("12 slices") == "12 slices"
    for text in ("patient 12: late", "12", "'12' is not known"):
        assert "12" not in by.text(text).replace(SECRET.pseudonym("12"), "")


def test_other_patients_have_other_dates_and_the_same_words(by: Anonymiser) -> None:
    other = by.of_patient("someone else")
    assert other.shift != by.shift
    assert other.text("tumour Müller") == by.text("tumour Müller")
