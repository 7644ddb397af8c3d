"""What is in a folder: kinds, parts, damaged files, two patients, ambiguity."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom_makers import ROOT, base, changed, ct_series, nm_volume, pet_series, ramp, save, small_grid
from hepatica.errors import AmbiguousSeriesError, DicomError, InputError
from hepatica.io.dicom.series import SeriesKind
from hepatica.io.read import read_image, scan

GRID = small_grid()
HU = ramp(GRID, -1000, 1000)


def test_sorts_by_what_they_are_whatever_the_names(tmp_path: Path) -> None:
    save(ct_series(GRID, HU), tmp_path / "a")
    for path in save(pet_series(GRID, ramp(GRID)), tmp_path / "a" / "deep"):
        path.rename(path.with_suffix(".txt"))
    save(nm_volume(GRID, ramp(GRID)), tmp_path)
    save(nm_volume(GRID, ramp(GRID), series=4, ImageType=["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]), tmp_path)
    save(nm_volume(GRID, ramp(GRID), series=5, ImageType=["ORIGINAL", "PRIMARY", "STATIC"]), tmp_path)
    save(base("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", series=6), tmp_path)
    save(base("1.2.840.10008.5.1.4.1.1.104.1", "OT", series=7), tmp_path)
    found = scan(tmp_path)
    assert [(s.kind, s.images) for s in found] == [
        (SeriesKind.CT, 6),
        (SeriesKind.PET, 6),
        (SeriesKind.NM_RECON, 6),
        (SeriesKind.NM_PROJECTIONS, 6),
        (SeriesKind.NM_PLANAR, 6),
        (SeriesKind.RTSTRUCT, 1),
        (SeriesKind.OTHER, 1),
    ]
    assert "Encapsulated PDF" in found[-1].what
    assert not found.skipped


def test_localizer_and_dose_report_are_not_the_ct(tmp_path: Path) -> None:
    save(ct_series(GRID, HU), tmp_path)
    scout = ct_series(GRID, HU, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], InstanceNumber=50)[0]
    report = ct_series(GRID, HU, ImagePositionPatient=None, ImageOrientationPatient=None, InstanceNumber=51)[1]
    changed([scout], SOPInstanceUID=f"{ROOT}.1.50", ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    changed([report], SOPInstanceUID=f"{ROOT}.1.51")
    save([scout, report], tmp_path)
    assert [s.kind for s in scan(tmp_path)] == [SeriesKind.CT, SeriesKind.CT_LOCALIZER, SeriesKind.OTHER]
    assert read_image(tmp_path, role="ct").grid.shape == GRID.shape


def test_files_that_are_not_used_are_listed(tmp_path: Path) -> None:
    save(ct_series(GRID, HU), tmp_path)
    (tmp_path / "notes.dcm").write_text("not DICOM at all, whatever its name; " * 10)
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "CT1-003.dcm").read_bytes())
    (tmp_path / ".hidden").write_text("x")
    found = scan(tmp_path)
    assert {s.path.name: s.reason.split(":")[0] for s in found.skipped} == {
        "notes.dcm": "is not a DICOM file",
        "empty.dcm": "is empty",
        "copy.dcm": f"is a copy of {tmp_path / 'CT1-003.dcm'}",
    } or {s.path.name for s in found.skipped} == {"notes.dcm", "empty.dcm", "CT1-003.dcm"}
    image = read_image(tmp_path, role="ct")
    assert image.grid.shape == GRID.shape
    assert any("notes.dcm" in str(message) for message in image.messages)


@pytest.mark.parametrize("keep", [0.97, 0.6])
def test_truncated_slice_makes_the_series_unusable(tmp_path: Path, keep: float) -> None:
    # The last slice: without this check the volume would silently be one slice shorter.
    last = save(ct_series(GRID, HU), tmp_path)[-1]
    last.write_bytes(last.read_bytes()[: int(last.stat().st_size * keep)])
    found = scan(tmp_path)
    assert [s.path for s in found.skipped] == [last]
    with pytest.raises(DicomError, match=r"1 files .* damaged .*CT1-006"):
        read_image(tmp_path, role="ct")


def test_two_patients_are_both_named(tmp_path: Path) -> None:
    save(ct_series(GRID, HU), tmp_path)
    save(changed(pet_series(GRID, ramp(GRID)), PatientID="PAT2", PatientName="Other^One"), tmp_path)
    with pytest.raises(DicomError, match=r"TEST\^PAT1 \(ID PAT1.*OTHER\^ONE \(ID PAT2"):
        scan(tmp_path)
    assert "two patients" in scan(tmp_path, several_patients=True).messages[0].text


def test_an_anonymous_series_fits_with_a_warning(tmp_path: Path) -> None:
    save(ct_series(GRID, HU), tmp_path)
    save(changed(pet_series(GRID, ramp(GRID)), PatientID="", PatientName=""), tmp_path)
    assert "name no patient" in scan(tmp_path).messages[0].text


def test_ambiguity_lists_the_candidates_and_how_to_choose(tmp_path: Path) -> None:
    save(ct_series(GRID, HU), tmp_path)
    save(ct_series(GRID, HU, series=8, SeriesDescription="thin, lung"), tmp_path)
    with pytest.raises(AmbiguousSeriesError) as caught:
        read_image(tmp_path, role="ct")
    message = str(caught.value)
    for part in ("2 series can be the ct", "thin, lung", "6 images", "20260302", f"series {ROOT}.200.8"):
        assert part in message
    image = read_image(tmp_path, role="ct", series=f"{ROOT}.200.8")
    assert image.acquisition.description == "thin, lung"


def test_nothing_that_fits_says_what_there_is(tmp_path: Path) -> None:
    save(ct_series(GRID, HU), tmp_path)
    with pytest.raises(DicomError, match=r"no PET or NM .* for the activity; found:\n  CT: test CT 1, 6 images"):
        read_image(tmp_path, role="activity")
    with pytest.raises(DicomError, match=r"with the UID 1\.2\.3"):
        read_image(tmp_path, role="ct", series="1.2.3")
    with pytest.raises(InputError, match="no such file"):
        scan(tmp_path / "nowhere")
    with pytest.raises(InputError, match="unknown role"):
        read_image(tmp_path, role="cat")
    (tmp_path / "void").mkdir()
    with pytest.raises(DicomError, match="no DICOM series was found"):
        read_image(tmp_path / "void", role="ct")


def test_two_acquisitions_in_one_series_become_parts(tmp_path: Path) -> None:
    second = ct_series(GRID, HU + 5)
    for number, dataset in enumerate(second, start=11):
        changed([dataset], AcquisitionNumber=2, InstanceNumber=number, SOPInstanceUID=f"{ROOT}.1.{number}")
    save([*ct_series(GRID, HU, AcquisitionNumber=1), *second], tmp_path)
    assert [s.part for s in scan(tmp_path)] == ["part 1: AcquisitionNumber 1", "part 2: AcquisitionNumber 2"]
    with pytest.raises(AmbiguousSeriesError, match=r"AcquisitionNumber 2, series .*:2"):
        read_image(tmp_path, role="ct")
    image = read_image(tmp_path, role="ct", series=f"{ROOT}.200.1:2")
    assert float(image.volume.values.max()) == HU.max() + 5


def test_two_orientations_in_one_series_become_parts(tmp_path: Path) -> None:
    other = ct_series(GRID, HU)
    for number, dataset in enumerate(other, start=11):
        changed([dataset], InstanceNumber=number, SOPInstanceUID=f"{ROOT}.1.{number}")
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        dataset.ImagePositionPatient = [0, 4 * number, 0]
    save([*ct_series(GRID, HU), *other], tmp_path)
    with pytest.raises(AmbiguousSeriesError, match="another orientation"):
        read_image(tmp_path, role="ct")


def test_repeated_positions_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    extra = changed(ct_series(GRID, HU)[2:3], InstanceNumber=11, SOPInstanceUID=f"{ROOT}.1.11", WindowCenter=3)
    save([*ct_series(GRID, HU), *extra], tmp_path)
    with pytest.raises(DicomError, match="lie at the same position"):
        read_image(tmp_path, role="ct")


def test_emptied_uids_still_make_a_series(tmp_path: Path) -> None:
    empty = dict.fromkeys(("SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID"), "")
    save(ct_series(GRID, HU, **empty), tmp_path)
    image = read_image(tmp_path, role="ct")
    assert image.grid.shape == GRID.shape
    assert any("StudyInstanceUID is missing" in str(message) for message in image.messages)


def test_a_file_without_preamble_is_dicom(tmp_path: Path) -> None:
    for path in save(ct_series(GRID, HU), tmp_path):
        whole = path.read_bytes()
        path.write_bytes(whole[132:])
    assert read_image(tmp_path, role="ct").grid.shape == GRID.shape
