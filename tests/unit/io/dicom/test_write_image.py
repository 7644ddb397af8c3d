"""CT, PET and SPECT that we write are read back by our readers, and are valid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from hepatica.core import Grid, Kind, Provenance, Volume, decay_factor
from hepatica.core.context import DicomContext, Instance
from hepatica.errors import GeometryError, OutputError, TimeError, UnitError
from hepatica.io.dicom.images.write import Emission, write_ct, write_nm, write_pet
from hepatica.io.read import Image, read_image
from hepatica.nuclides import nuclide

START = datetime(2026, 3, 3, 9, 30)
ADMINISTERED = datetime(2026, 3, 2, 15, 0)
Errors = Callable[[Path], list[str]]


@pytest.fixture
def hu(oblique_grid: Grid) -> Volume:
    return Volume(oblique_grid, np.random.default_rng(2).integers(-1024, 2000, oblique_grid.shape), Kind.HU)


@pytest.fixture
def concentration(oblique_grid: Grid) -> Volume:
    values = np.random.default_rng(3).gamma(1.0, 1e5, oblique_grid.shape)
    values[:, :, 4] = 0
    return Volume(oblique_grid, values, Kind.ACTIVITY_CONCENTRATION, START)


def mirrored(volume: Volume) -> Volume:
    """The same patient on a left-handed grid."""
    affine = np.array(volume.grid.affine)
    affine[:3, 3] = volume.grid.to_mm([0, 0, volume.grid.shape[2] - 1])
    affine[:3, 2] *= -1
    grid = Grid(volume.grid.shape, affine, volume.grid.frame_of_reference)
    return Volume(grid, volume.values[:, :, ::-1], volume.kind, volume.time)


def same_place(image: Image, volume: Volume, atol: float) -> None:
    image.grid.require_shared_frame(volume.grid, "read and written")
    at = np.stack(np.meshgrid(*(np.arange(0, n, 3) for n in volume.grid.shape), indexing="ij"), -1).reshape(-1, 3)
    found = image.grid.to_index(volume.grid.to_mm(at))
    np.testing.assert_allclose(found, np.rint(found), atol=1e-4)
    there = image.volume.values[tuple(np.rint(found).astype(int).T)]
    np.testing.assert_allclose(there, volume.values[tuple(at.T)], atol=atol)


@pytest.mark.parametrize("turn", [lambda v: v, mirrored], ids=["right-handed", "left-handed"])
def test_ct(
    tmp_path: Path, hu: Volume, context: DicomContext, dciodvfy: Errors, turn: Callable[[Volume], Volume]
) -> None:
    volume = turn(hu)
    written = write_ct(tmp_path / "ct", volume, context, description="Abdomen")
    image = read_image(tmp_path / "ct", role="ct")
    assert image.volume.kind is Kind.HU
    assert not image.messages
    same_place(image, volume, atol=0)
    assert image.context is not None
    assert image.context.study_uid == context.study_uid
    assert image.context.series_uid == written.series_uid != context.series_uid
    # The instances come back in the order of the written volume's slices.
    last = pydicom.dcmread(tmp_path / "ct" / Path(written.instances[-1].path or "").name)
    np.testing.assert_allclose(last.ImagePositionPatient, volume.grid.to_mm([0, 0, 14]), atol=1e-4)
    assert last.SOPInstanceUID == written.instances[-1].sop_instance_uid
    assert "not acquired" in last.ImageComments
    assert dciodvfy(tmp_path / "ct" / "CT_0003.dcm") == []


@pytest.mark.parametrize("name", ["Y-90"])
def test_pet_at_start(
    tmp_path: Path, concentration: Volume, context: DicomContext, dciodvfy: Errors, name: str
) -> None:
    emission = Emission(name, START, 1200.0, 2.1e9, ADMINISTERED)
    write_pet(tmp_path / "pet", concentration, context, emission)
    image = read_image(tmp_path / "pet", role="activity")
    # Half of the largest value over 32767.
    same_place(image, concentration, atol=float(concentration.values.max()) / 32767 * 0.51)
    assert image.volume.time == START
    assert image.acquisition.nuclide == name
    assert image.acquisition.administered_bq == pytest.approx(2.1e9)
    assert image.acquisition.administered_at == ADMINISTERED
    assert "confirmed by DecayFactor" in image.acquisition.time_rule
    assert not image.messages
    assert not image.missing
    assert dciodvfy(tmp_path / "pet" / "PT_0003.dcm") == []


def test_pet_at_administration(tmp_path: Path, concentration: Volume, context: DicomContext, dciodvfy: Errors) -> None:
    emission = Emission("Y-90", START, 1200.0, 2.1e9, ADMINISTERED, "ADMIN")
    back = decay_factor((ADMINISTERED - START).total_seconds(), nuclide("Y-90").half_life_s)
    volume = concentration.with_values(concentration.values * back, time=ADMINISTERED)
    write_pet(tmp_path / "pet", volume, context, emission)
    image = read_image(tmp_path / "pet", role="activity")
    same_place(image, volume, atol=float(volume.values.max()) / 32767 * 0.51)
    assert image.volume.time == ADMINISTERED
    assert image.acquisition.start == START
    assert not image.messages
    assert dciodvfy(tmp_path / "pet" / "PT_0003.dcm") == []


@pytest.mark.parametrize("turn", [lambda v: v, mirrored], ids=["right-handed", "left-handed"])
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_spect_counts(
    tmp_path: Path,
    oblique_grid: Grid,
    context: DicomContext,
    dciodvfy: Errors,
    scale: float,
    turn: Callable[[Volume], Volume],
) -> None:
    counts = np.random.default_rng(4).poisson(40, oblique_grid.shape) * scale
    volume = turn(Volume(oblique_grid, counts, Kind.COUNTS, START))
    emission = Emission("Tc-99m", START, 20.0, 1.5e8, ADMINISTERED, projections=60, agent="Tc-99m MAA")
    write_nm(tmp_path / "nm.dcm", volume, context, emission)
    image = read_image(tmp_path / "nm.dcm", role="activity")
    assert image.volume.kind is Kind.COUNTS
    assert image.volume.time == START
    same_place(image, volume, atol=0 if scale == 1.0 else float(counts.max()) / 65535 * 0.51)
    assert image.acquisition.projections == 60
    assert image.acquisition.frame_duration_s == 20.0
    assert image.acquisition.radiopharmaceutical == "Tc-99m MAA"
    assert image.acquisition.administered_bq == pytest.approx(1.5e8)
    assert image.acquisition.administered_at == ADMINISTERED
    assert dciodvfy(tmp_path / "nm.dcm") == []


def test_quantitative_spect(tmp_path: Path, concentration: Volume, context: DicomContext, dciodvfy: Errors) -> None:
    emission = Emission("Lu-177", START, 20.0, more_windows_kev=((101.7, 124.2),), corrected=("DECY", "ATTN", "DTIM"))
    source = Instance("1.2.840.10008.5.1.4.1.1.20", "1.2.3.4", tmp_path / "tomo.dcm", 60)
    made = Provenance(parameters={"method": "osem", "long": "x" * 2000}, steps=("projected", "reconstructed"))
    write_nm(tmp_path / "nm.dcm", concentration, replace(context, instances=(source,)), emission, provenance=made)
    image = read_image(tmp_path / "nm.dcm", role="activity")
    assert image.volume.kind is Kind.ACTIVITY_CONCENTRATION
    assert image.volume.time == START
    same_place(image, concentration, atol=float(concentration.values.max()) / 65535 * 0.51)
    assert dciodvfy(tmp_path / "nm.dcm") == []
    dataset = pydicom.dcmread(tmp_path / "nm.dcm")
    assert len(dataset.EnergyWindowInformationSequence[0].EnergyWindowRangeSequence) == 2
    assert list(dataset.CorrectedImage) == ["DECY", "ATTN", "DTIM"]
    assert dataset.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert "left out for length" in dataset.DerivationDescription
    assert "x" * 2000 in dataset.ImageComments
    assert dataset.ContributingEquipmentSequence[0].ContributionDescription == "projected; reconstructed"


def test_what_does_not_fit_is_refused(tmp_path: Path, hu: Volume, concentration: Volume, context: DicomContext) -> None:
    emission = Emission("Y-90", START, 1200.0)
    with pytest.raises(UnitError, match="do not fit"):
        write_ct(tmp_path / "a", hu.with_values(hu.values - 500), context)
    with pytest.raises(UnitError):
        write_ct(tmp_path / "a", concentration, context)
    with pytest.raises(UnitError):
        write_pet(tmp_path / "a", hu, context, emission)
    with pytest.raises(TimeError, match="correct it first"):
        write_pet(tmp_path / "a", concentration.with_values(concentration.values, time=ADMINISTERED), context, emission)
    with pytest.raises(TimeError, match="ADMIN"):
        write_pet(tmp_path / "a", concentration, context, Emission("Y-90", START, 1.0, decay_correction="ADMIN"))
    with pytest.raises(UnitError, match="negative"):
        write_nm(tmp_path / "a", concentration.with_values(-concentration.values), context, emission)
    with pytest.raises(TimeError, match="start"):
        write_nm(tmp_path / "a", concentration.with_values(concentration.values, time=ADMINISTERED), context, emission)
    elsewhere = Volume(hu.grid.with_frame_of_reference("1.2.3"), hu.values, Kind.HU)
    with pytest.raises(GeometryError, match="frame of reference"):
        write_ct(tmp_path / "a", elsewhere, context)
    assert not list(tmp_path.iterdir())
    write_ct(tmp_path / "a", hu, context)
    with pytest.raises(OutputError, match="not empty"):
        write_ct(tmp_path / "a", hu, context)
