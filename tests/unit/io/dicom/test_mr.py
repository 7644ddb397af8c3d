"""Multi-echo MR from DICOM of every form, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_makers import small_grid
from hepatica.core import Kind
from hepatica.core.context import DicomContext
from hepatica.errors import DicomError, HepaticaError, InputError
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.io.dicom.mr.components import radians
from hepatica.io.dicom.mr.read import MrStated, read_mr_image, read_multi_echo
from hepatica.io.dicom.mr.write import write_multi_echo
from hepatica.io.dicom.tags import Header

TIMES = (0.0012, 0.0024, 0.0047)
ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"


def made(with_phase: bool = True) -> MultiEcho:
    grid = small_grid()
    random = np.random.default_rng(4)
    magnitude = random.uniform(1, 100, size=(3, *grid.shape))
    phase = random.uniform(-3.1, 3.1, size=magnitude.shape) if with_phase else None
    return MultiEcho.from_arrays(magnitude, echo_times_s=TIMES, field_t=1.5, grid=grid, phase=phase, name="made")


def written(folder: Path, scan: MultiEcho) -> Path:
    frame = scan.grid.frame_of_reference
    context = DicomContext.invented(modality="MR")
    assert frame is not None
    from dataclasses import replace

    write_multi_echo(folder, scan, replace(context, frame_of_reference=frame), description="gre")
    return folder


def changed(folder: Path, pattern: str, **tags: Any) -> None:
    """Set (or with None remove) attributes of the files that match."""
    for path in sorted(folder.rglob(pattern)):
        dataset = pydicom.dcmread(path)
        for keyword, value in tags.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(path)


def same(found: MultiEcho, scan: MultiEcho) -> None:
    assert found.grid.matches(scan.grid)
    assert found.echo_times_s == pytest.approx(scan.echo_times_s)
    assert found.field_t == 1.5
    np.testing.assert_allclose(found.magnitude, scan.magnitude, atol=100 / 65535)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    scan = made()
    found = read_multi_echo(written(tmp_path / "mr", scan), role="after")
    same(found, scan)
    assert found.phase is not None
    assert scan.phase is not None
    np.testing.assert_allclose(found.phase, scan.phase, atol=2e-4)
    assert found.source.role == "after"


def test_an_image_to_look_at_is_the_magnitude_of_the_first_echo_of_any_sequence(tmp_path: Path) -> None:
    scan = made()
    folder = written(tmp_path / "mr", scan)
    changed(folder, "*.dcm", ScanningSequence="SE")  # of which R2* cannot be had: it is looked at all the same
    found = read_mr_image(folder)
    assert found.grid.matches(scan.grid)
    assert found.volume.kind is Kind.UNKNOWN
    np.testing.assert_allclose(found.volume.values, scan.magnitude[0], atol=100 / 65535)
    assert found.context is not None
    assert found.context.frame_of_reference == scan.grid.frame_of_reference
    (tmp_path / "none").mkdir()
    with pytest.raises(HepaticaError):
        read_mr_image(tmp_path / "none")


def test_several_series_of_one_echo_each(tmp_path: Path) -> None:
    scan = made(with_phase=False)
    folder = written(tmp_path / "mr", scan)
    for n in range(3):
        changed(folder, f"MR_e{n + 1:02d}_*.dcm", SeriesInstanceUID=f"1.2.3.{n + 1}", EchoNumbers=1)
    found = read_multi_echo(folder, role="after")
    same(found, scan)
    assert "several-mr-series" in {message.code for message in found.messages}
    with pytest.raises(InputError, match="one echo time"):
        read_multi_echo(folder, role="after", stated=MrStated(series=("1.2.3.2",)))
    with pytest.raises(DicomError, match="no MR series"):
        read_multi_echo(folder, role="after", stated=MrStated(series=("1.2.9",)))


def enhanced(folder: Path, scan: MultiEcho, part: str) -> None:
    """One multi-frame file of all echoes, frames in mixed order, with functional groups."""
    paths = sorted((written(folder / "single", scan) / part).iterdir())[::-1]
    slices = [pydicom.dcmread(path) for path in paths]
    out = slices[0]
    out.SOPClassUID = out.file_meta.MediaStorageSOPClassUID = ENHANCED
    frames = []
    for one in slices:
        place, turn, measures, echo, scale, kind = (Dataset() for _ in range(6))
        place.ImagePositionPatient = one.ImagePositionPatient
        turn.ImageOrientationPatient = one.ImageOrientationPatient
        measures.PixelSpacing, measures.SliceThickness = one.PixelSpacing, one.SliceThickness
        echo.EffectiveEchoTime = float(one.EchoTime)
        scale.RescaleSlope, scale.RescaleIntercept = one.RescaleSlope, one.RescaleIntercept
        kind.ComplexImageComponent = "PHASE" if part == "phase" else "MAGNITUDE"
        frame = Dataset()
        frame.PlanePositionSequence, frame.PlaneOrientationSequence = [place], [turn]
        frame.PixelMeasuresSequence, frame.MREchoSequence = [measures], [echo]
        frame.PixelValueTransformationSequence, frame.MRImageFrameTypeSequence = [scale], [kind]
        frames.append(frame)
    pixels = b"".join(one.PixelData for one in slices)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "EchoTime", "EchoNumbers", "RescaleSlope"):
        delattr(out, keyword)
    out.NumberOfFrames = len(frames)
    out.PerFrameFunctionalGroupsSequence, out.SharedFunctionalGroupsSequence = frames, [Dataset()]
    out.PixelData = pixels
    out.save_as(folder / f"{part}.dcm")


def test_enhanced_mr(tmp_path: Path) -> None:
    import shutil

    scan = made()
    enhanced(tmp_path, scan, "magnitude")
    shutil.rmtree(tmp_path / "single")
    found = read_multi_echo(tmp_path, role="before")
    same(found, scan)
    assert found.phase is None


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "no echo time": ("*.dcm", {"EchoTime": None}, "EchoTime"),
    "echo time of zero": ("MR_e01_*.dcm", {"EchoTime": "0"}, "no echo time"),
    "equal echo times": ("*.dcm", {"EchoTime": "2.4"}, "same echo time"),
    "no field strength": ("*.dcm", {"MagneticFieldStrength": None}, "MagneticFieldStrength"),
    "two field strengths": ("MR_e02_*.dcm", {"MagneticFieldStrength": "3"}, "several field strengths"),
    "another frame of reference": ("MR_e02_*.dcm", {"FrameOfReferenceUID": "1.2.3"}, "FrameOfReferenceUID"),
    "a slice elsewhere": ("MR_e02_0003.dcm", {"ImagePositionPatient": ["0", "0", "0"]}, "slices|slice|plane"),
    "spin echoes": ("*.dcm", {"ScanningSequence": "SE"}, "spin echoes"),
    "phase alone": ("*.dcm", {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "no magnitude"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_series_are_refused(case: str, tmp_path: Path) -> None:
    pattern, tags, words = REFUSED[case]
    folder = written(tmp_path / "mr", made(with_phase=False))
    changed(folder, pattern, **tags)
    with pytest.raises(HepaticaError, match=words):
        read_multi_echo(folder, role="after")


def test_a_field_strength_is_stated_or_contradicts(tmp_path: Path) -> None:
    folder = written(tmp_path / "mr", made(with_phase=False))
    with pytest.raises(DicomError, match="was stated"):
        read_multi_echo(folder, role="after", stated=MrStated(field_t=3.0))
    changed(folder, "*.dcm", MagneticFieldStrength="15000")
    found = read_multi_echo(folder, role="after")
    assert found.field_t == 1.5
    assert "field-in-gauss" in {message.code for message in found.messages}


def test_phases_of_makers_become_radians() -> None:
    maker = Dataset()
    maker.Manufacturer = "SIEMENS"
    siemens = Header(maker)
    other = Header(Dataset())
    full = np.array([-4096.0, 0.0, 4094.0], dtype=np.float32)
    np.testing.assert_allclose(radians(full, siemens, None), full / 4096 * np.pi, rtol=1e-6)
    raw = np.array([0.0, 2048.0, 4095.0], dtype=np.float32)
    np.testing.assert_allclose(radians(raw, siemens, None), raw / 4096 * 2 * np.pi - np.pi, rtol=1e-5, atol=1e-6)
    milli = np.array([-3142.0, 0.0, 3141.0], dtype=np.float32)
    np.testing.assert_allclose(radians(milli, other, None), milli / 1000, rtol=1e-6)
    np.testing.assert_allclose(radians(milli / 1000, other, None), milli / 1000, rtol=1e-6)
    odd = np.array([-20000.0, 20000.0], dtype=np.float32)
    with pytest.raises(DicomError, match="half a turn"):
        radians(odd, other, None)
    np.testing.assert_allclose(radians(odd, other, 20000.0), [-np.pi, np.pi], rtol=1e-6)


def with_slopes(folder: Path, slopes: dict[int, float]) -> None:
    """Stored values of each echo by its own slope, which only Philips' private element says."""
    for path in sorted(folder.rglob("*.dcm")):
        dataset = pydicom.dcmread(path)
        number = int(dataset.EchoNumbers)
        if number not in slopes:
            continue
        values = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        dataset.PixelData = np.round(values * slopes[number]).astype("<u2").tobytes()
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"
        block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", slopes[number])
        dataset.save_as(path)


def test_the_scale_slope_of_philips_is_read(tmp_path: Path) -> None:
    scan = made(with_phase=False)
    folder = written(tmp_path / "mr", scan)
    with_slopes(folder, {1: 10.0, 2: 100.0, 3: 500.0})
    found = read_multi_echo(folder, role="after")
    np.testing.assert_allclose(found.magnitude, scan.magnitude, atol=0.06)
    other = written(tmp_path / "other", scan)
    with_slopes(other, {1: 10.0, 2: 100.0})
    with pytest.raises(DicomError, match="scale slope"):
        read_multi_echo(other, role="after")


def test_a_phase_that_is_left_out_names_its_echoes(tmp_path: Path) -> None:
    folder = written(tmp_path / "mr", made())
    for path in sorted((folder / "phase").glob("*_e02_*.dcm")):
        path.unlink()
    found = read_multi_echo(folder, role="after")
    (note,) = (message for message in found.messages if message.code == "phase-left-out")
    assert "2.4 ms" in note.text
    assert note.remedy


def test_echoes_of_two_days_are_no_acquisition(tmp_path: Path) -> None:
    folder = written(tmp_path / "mr", made(with_phase=False))
    changed(folder, "*.dcm", AcquisitionDate="20260303", AcquisitionTime="061500")
    changed(folder, "MR_e02_*.dcm", AcquisitionTime="061900")
    assert read_multi_echo(folder, role="after").time is not None
    changed(folder, "MR_e02_*.dcm", AcquisitionDate="20250101")
    with pytest.raises(DicomError, match="no echoes of one acquisition"):
        read_multi_echo(folder, role="after")
