"""Typed values from whatever a tag holds, and names of nuclides from whatever a header writes."""

from __future__ import annotations

import warnings
from datetime import datetime, time, timedelta, timezone
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from hepatica.errors import DicomError, TimeError
from hepatica.io.dicom.images.radiopharmaceutical import nuclide_name
from hepatica.io.dicom.tags import Header

PATH = Path("file.dcm")


def header(**values: object) -> Header:
    dataset = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
    return Header(dataset, PATH)


def test_absent_and_empty_are_none() -> None:
    empty = header(PatientWeight=None, PatientID="")
    for keyword in ("PatientWeight", "PatientID", "StudyID"):
        assert keyword not in empty
        assert empty.text(keyword) == ""
    assert empty.number("PatientWeight") is None
    assert empty.items("RotationInformationSequence") == []
    for call in (empty.required_text, empty.required_number, empty.required_integer):
        with pytest.raises(DicomError, match=r"file\.dcm: PatientWeight: is missing"):
            call("PatientWeight")


@pytest.mark.parametrize("number", [1e31, -1e300, 1.7e308])
def test_a_number_out_of_all_proportion_is_refused(number: float) -> None:
    assert header(DoubleFloatRealWorldValueFirstValueMapped=1e30).number("DoubleFloatRealWorldValueFirstValueMapped")
    with pytest.raises(DicomError, match=r"ValueFirstValueMapped: .* is out of all proportion"):
        header(DoubleFloatRealWorldValueFirstValueMapped=number).number("DoubleFloatRealWorldValueFirstValueMapped")


def test_text_holds_nothing_that_commands_a_terminal() -> None:
    shown = header(SeriesDescription="a\x1b[31mb\x9b2Jc\x07\x00").text("SeriesDescription")
    assert shown == "a\ufffd[31mb\ufffd2Jc\ufffd"
    assert header(PatientComments="one\ntwo\tthree").text("PatientComments") == "one\ntwo\tthree"


def test_numbers() -> None:
    full = header(PatientWeight="70.5", ImageType=["A", "B"], Rows=5, NumberOfFrames="7")
    assert full.number("PatientWeight") == 70.5
    assert full.integer("NumberOfFrames") == 7
    with pytest.raises(DicomError, match="not a whole number"):
        full.integer("PatientWeight")
    with pytest.raises(DicomError, match="is not a number"):
        full.numbers("ImageType")
    with pytest.raises(DicomError, match="not a sequence"):
        full.items("Rows")
    with pytest.raises(DicomError, match="expected one"):
        header(EchoTime=["1", "2"]).number("EchoTime")
    with pytest.raises(DicomError, match="not finite"):
        header(ScreeningForFetalAbnormality=0, RealWorldValueSlope=float("nan")).number("RealWorldValueSlope")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10", time(10)), ("1030", time(10, 30)), ("103015.25", time(10, 30, 15, 250000)), ("10:30:15", time(10, 30, 15))],
)
def test_times_of_day(text: str, expected: time) -> None:
    assert header(StudyTime=text).clock("StudyTime") == expected


@pytest.mark.parametrize("text", ["1", "25", "106000", "noon", "103015.1234567"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(TimeError, match="StudyTime"):
        header(StudyTime=text).clock("StudyTime")


def test_instants_and_zones() -> None:
    full = header(AcquisitionDateTime="20260302103015.5+0130", StudyDate="20260302", StudyTime="08")
    zone = timezone(timedelta(hours=1, minutes=30))
    assert full.instant("AcquisitionDateTime") == datetime(2026, 3, 2, 10, 30, 15, 500000, tzinfo=zone)
    assert full.date_and_time("StudyDate", "StudyTime") == datetime(2026, 3, 2, 8)
    assert full.date_and_time("StudyDate", "SeriesTime") is None
    with pytest.raises(TimeError, match="not a date with a time"):
        header(AcquisitionDateTime="20260302").instant("AcquisitionDateTime")
    with pytest.raises(TimeError, match="StudyDate"):
        header(StudyDate="20260231", StudyTime="08").date_and_time("StudyDate", "StudyTime")
    with pytest.raises(TimeError, match="offset from UTC"):
        header(TimezoneOffsetFromUTC="CET").zone()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("^90^Yttrium", "Y-90"),
        ("^99m^Technetium", "Tc-99m"),
        ("Y-90", "Y-90"),
        ("90Y", "Y-90"),
        ("Y90", "Y-90"),
        ("Ho-166", "Ho-166"),
        ("Holmium 166", "Ho-166"),
        ("Lutetium [177]", "Lu-177"),
        ("188-Re", "Re-188"),
        ("Fluorine^18^", "F-18"),
        ("F-18 FDG", "F-18"),
        ("Tc99m MAA", "Tc-99m"),
        ("Iodine 131", "I-131"),
        ("In-111", "In-111"),
        ("Ge68", "Ge-68"),
        ("", None),
        ("water", None),
        ("Solution 5", None),
        ("FDG", None),
    ],
)
def test_nuclide_names(text: str, name: str | None) -> None:
    assert nuclide_name(text) == name


def test_pydicom_warnings_are_kept_not_shown() -> None:
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    dataset = Dataset()
    tag = Tag("StudyID")
    dataset[tag] = RawDataElement(tag, "SH", 40, b"x" * 40, 0, is_implicit_VR=False, is_little_endian=True, is_raw=True)
    full = Header(dataset, PATH)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert full.text("StudyID") == "x" * 40
    assert any("exceeds the maximum length" in problem for problem in full.problems)
