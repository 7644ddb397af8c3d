"""What becomes of texts and dates; every rule beside what it must leave alone."""

from __future__ import annotations

import re
from dataclasses import replace
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
        ("in frame 2.25.304919740044203878023264533301614951905", "30491974"),
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
        ("tumour 12.03.26", "12.03"),
        ("GTV 12-Mar-26", "Mar"),
        ("GTV12.03.26", "12.03"),
        ("PTV_120326", "120326"),
        ("260312 left", "260312"),
        ("031226", "031226"),
        ("2026-3-12 vol", "3-12"),
        ("12_03_2026 v", "12_03"),
        ("2026_03_12 w", "03_12"),
        ("12 mars 2026 z", "mars"),
        ("12 déc. 25", "25"),
        ("12 de marzo de 2026", "2026"),
        ("12 mrt 2026", "2026"),
        ("am 3. Mär 26", "26"),
        ("2026-Mar-12", "Mar"),
        ("March 12, 26", "12, 26"),
        ("3/12/26 q", "12/26"),
        ("20260312a", "20260312"),
        ("20250101 left", "20250101"),
        ("vol 12032026", "12032026"),
        ("2026年3月12日 肝", "3月12"),
        ("12 03 2026", "03"),
        ("GTV Mueller", "Mueller"),
        ("Müller1 left", "Müller"),
        ("GTVMüller", "Müller"),
        ("gtvmueller", "mueller"),
        ("MÜLLERleft", "MÜLLER"),
        ("mullers tumour", "mullers"),
        ("xmüllerx", "müller"),
        ("Mu\u0308ller", "ller"),
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
        "120326 voxels of 121015 decays, 5-10-15 Gy, 12.03.26.4",
        "version 1.2.13, 1.4.9",
        "lesions of 3 may 20 mL",
        "",
    ],
)
def test_what_names_nobody_stays(by: Anonymiser, text: str) -> None:
    assert by.text(text) == text


def test_dates_in_a_text_move_like_dates(by: Anonymiser) -> None:
    moved = (date(2026, 3, 2) + SECRET.shift("7731942")).isoformat()
    assert by.text("at 2026-03-02T14:30:00+01:00") == f"at {moved}T13:30:00+00:00"
    assert by.text("at 2026-03-02 00:30+01:00 or 2026-03-02T14:30") == (
        f"at {(date.fromisoformat(moved) - timedelta(days=1)).isoformat()} 23:30+00:00 or {moved}T14:30"
    )
    assert by.text("20260302143000.000000+0100") == f"{moved.replace('-', '')}143000.000000+0100"
    assert by.text("table of 2026-03-02", dates=False) == "table of 2026-03-02"
    assert by.dicom_date("20260302") == moved.replace("-", "")
    assert by.dicom_date("2026") == ""


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ("Müller^Jörg", ["Mueller Joerg", "MULLER jorg", "Jörg1", "GTVJoerg", "müllerJÖRG"]),
        ("Mueller^Joerg", ["Müller", "Jörg", "Muller"]),
        ("Muller^Jorg", ["Müller", "Mueller"]),
        ("Weiß^Åsa", ["Weiss", "WEISS", "Asa", "Aasa"]),
        ("O'Brien^Zoë", ["OBrien", "O’Brien", "zoe"]),
        ("Иванов^Андрей", ["иванов1", "АНДРЕЙ"]),
        ("Eva^Ann", ["GTVEva", "eva_1", "tumourAnn", "ANN2"]),
    ],
)
def test_a_name_goes_in_every_spelling(header: str, texts: list[str]) -> None:
    by = Anonymiser.of(SECRET, [Identity(people=(header,))], {})
    for text in texts:
        cleaned = by.text(text)
        both = "m" in text.lower() and "j" in text.lower()
        assert len(re.findall(r"X[A-Z2-7]{4}", cleaned)) == 1 + both


def test_names_do_not_destroy_words_of_the_field() -> None:
    by = Anonymiser.of(
        SECRET, [Identity(people=("Live^Port", "Lung^Li", "Able^Read", "Eva^Ann", "Tumo^Rand", "Ross^Hist"))], {}
    )
    for text in (
        "Liver minus portal vein, lung and tumours",
        "an answer already read from it is not available for this evaluation of a random scanner".replace("read ", ""),
        "Lung_L",
        "lithium",
        "mannequin",
        "photon cross sections across",
        "histories_per_voxel",
        "contours-cross-themselves",
    ):
        assert by.text(text) == text
    assert by.text("of Li") != "of Li"


def test_only_what_the_key_proves_was_done_before() -> None:
    """Neither a number that begins like a pseudonym, nor the pseudonym of another key, nor one without a statement."""
    own, other = SECRET.pseudonym("1"), Secret(bytes(range(1, 33))).pseudonym("1")
    for identity in (
        Identity(patient_id="ANON-SMITH42"),
        Identity(patient_id="ANON-SMITH42", deidentified_by=SECRET.name),
        Identity(patient_id=other, deidentified_by="12345678"),
        Identity(patient_id=other),
        Identity(patient_id=own, deidentified_by=""),
    ):
        by = Anonymiser.of(SECRET, [identity], {})
        assert not by.done
        assert by.day(date(2026, 3, 2)) != date(2026, 3, 2)
        assert by.uid("1.2.3.4.5.6.7") != "1.2.3.4.5.6.7"
    by = Anonymiser.of(SECRET, [Identity("ANON-SMITH42", ("ANON-SMITH42^J",))], {})
    assert "SMITH42" not in by.person("ANON-SMITH42") + by.name("ANON-SMITH42^J") + by.text("of ANON-SMITH42")
    assert Anonymiser.of(SECRET, [Identity(patient_id=other)], {}).person(other) != other
    assert Anonymiser.of(SECRET, [Identity(patient_id=own, deidentified_by=SECRET.name)], {}).done
    assert Anonymiser.of(SECRET, [Identity(patient_id=own)], {}).done


def test_what_is_made_of_anonymous_inputs_is_dated_by_the_shift_of_the_patient() -> None:
    own = SECRET.pseudonym("1")
    by = Anonymiser.of(SECRET, [Identity(own, (f"{own}^",), deidentified_by=SECRET.name)], {})
    assert by.day(date(2026, 3, 2)) == date(2026, 3, 2)
    assert by.mark.shift == SECRET.shift("1") == SECRET.shift(own)
    assert by.text(f"of {own}") == f"of {own}"


def test_a_number_given_for_its_dates_is_replaced_in_texts() -> None:
    by = Anonymiser.of(SECRET, [], {}, "MRN55123")
    assert by.text("tumour of MRN55123") == f"tumour of {SECRET.pseudonym('MRN55123')}"
    assert by.shift == SECRET.shift("MRN55123")


def test_an_offset_does_not_tell_summer_from_winter(by: Anonymiser) -> None:
    zone = ZoneInfo("America/New_York")
    days = [datetime(2026, 1, 12, 10, tzinfo=zone), datetime(2026, 7, 13, 10, tzinfo=zone)]
    beside = Anonymiser.of(SECRET, [replace(WHO, deidentified_by="")], {})
    for one, offset in ((by, timedelta(0)), (beside, timedelta(hours=-5))):
        moved = [one.instant(day) for day in days]
        assert [instant.utcoffset() for instant in moved] == [offset, offset]
        assert moved[1] - moved[0] == days[1].astimezone(UTC) - days[0].astimezone(UTC)


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
    assert len({by.text(f"tumour {name}") for name in ("Müller", "Mueller", "MÜLLER", "Li")}) == 4
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


def test_ordinary_words_of_headers_take_no_word_out_of_texts() -> None:
    """A serial number "none" is no identity; options, steps and titles keep their words. A true one is taken out."""
    identity = Identity(codes=("none", "Unknown", "registration", "SN-4711 Elsewhere"), texts=("Next treatment",))
    anonymiser = Anonymiser.of(Secret(b"k" * 32), [identity], {})
    text = 'scatter = "none"; Next treatment; registration; state unknown'
    assert anonymiser.text(text) == text
    assert "4711" not in anonymiser.text("from SN-4711 Elsewhere")
