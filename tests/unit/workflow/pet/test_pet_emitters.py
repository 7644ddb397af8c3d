"""18F, 68Ga and their like through the verbs of PET; and what is refused, with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

import hepatica
from hepatica.core import Grid, Kind, Volume
from hepatica.errors import PhysicsError
from hepatica.imaging.pet.followed import CoincidenceSimulator, positrons_per_decay
from hepatica.imaging.pet.run import Run
from hepatica.imaging.pet.scanner import scanner
from hepatica.imaging.spect.montecarlo.patient import patient_from_density
from hepatica.nuclides import NUCLIDE_NAMES
from hepatica.nuclides.positron_emitters import (
    pet_nuclide,
    positron_branches,
    positron_emitters,
    positron_spectrum,
)
from hepatica.nuclides.spectrum import positron_shape


@pytest.mark.parametrize("name", positron_emitters())
def test_the_computed_spectrum_has_the_evaluated_mean(name: str) -> None:
    # The evaluations use the same theory (LOGFT), with screening and its own finite size: within 0.8 %.
    found = pet_nuclide(name)
    for branch in positron_branches(found):
        energy = np.linspace(0, branch.endpoint_kev, 4001)
        shape = positron_shape(energy, branch.endpoint_kev, found.z - 1, found.mass_number)
        mean = np.trapezoid(shape * energy, energy) / np.trapezoid(shape, energy)
        assert mean == pytest.approx(branch.mean_kev, rel=0.008)
    energy, density = positron_spectrum(found)
    assert np.trapezoid(density, energy) == pytest.approx(found.positron_yield, rel=1e-3)


def off_line_mm2(name: str) -> float:
    """Mean square distance of true lines across the axis from a point of activity in water, shape (1,)."""
    machine = scanner("biograph_vision_600")
    water = Grid.axial((9, 9, 9), spacing_mm=(6.0, 6.0, 6.0), origin_mm=(-24.0, -24.0, -24.0))
    patient = patient_from_density(Volume(water, np.ones(water.shape, np.float32), Kind.DENSITY), voxel_mm=6.0)
    point = Grid.axial((1, 1, 1), spacing_mm=(0.1, 0.1, 0.1), origin_mm=(0.0, 0.0, 0.0))
    nuclide = pet_nuclide(name)
    decays = Volume(point, np.full((1, 1, 1), 60_000 / nuclide.positron_yield), Kind.DECAYS)
    seen = CoincidenceSimulator(machine, patient, nuclide, run=Run(seed=4, threads=1)).frame(decays, 1.0)
    true = seen.events.taken(~seen.scattered)
    ends = machine.positions_mm()
    a, b = ends[true.first], ends[true.second]
    d = b - a
    off = (a[:, 0] * d[:, 1] - a[:, 1] * d[:, 0]) / np.hypot(d[:, 0], d[:, 1])
    return float((off[np.abs(off) < 12] ** 2).mean())


def test_positrons_of_68ga_go_farther_than_those_of_18f() -> None:
    # The crystals' blur is the same in both and drops out. Mean range in water 2.2 to 3.5 mm (68Ga, published values)
    # against 0.6 mm; the mean square is 1.4 times the square of the mean, and a third of it lies across a line.
    assert 1.8 < off_line_mm2("Ga-68") - off_line_mm2("F-18") < 6.5


def test_18f_from_the_scan_to_its_image(tmp_path: Path) -> None:
    asked = hepatica.PetSimulationOptions(
        scan=hepatica.PetScanOptions(bed_duration_s=20.0, matter_mm=14.0, petsird=True),
        phantom=hepatica.PetPhantomOptions(phantom="cylinder", phantom_voxel_mm=10.0),
        stated=hepatica.ScannedActivityOptions(total_bq=60e3),
    )
    scan = hepatica.simulate_pet(nuclide="18F", scanner="discovery_st", options=asked).save(tmp_path / "scan")
    coarse = hepatica.PetOptions(
        iteration=hepatica.PetIterationOptions(method="osem", iterations=8, subsets=2),
        corrections=hepatica.PetCorrectionOptions(scatter_positrons=50_000),
        uncertainty=hepatica.PetUncertaintyOptions(skip_uncertainty=True),
        image=hepatica.PetImageOptions(voxel_mm=(14, 14, 14), matter_mm=14.0),
    )
    found = hepatica.reconstruct_pet(scan / "coincidences.petsird", ct=scan / "ct", options=coarse)
    assert (found.nuclide, found.time.utcoffset().total_seconds()) == ("F-18", 0)  # type: ignore[union-attr]
    volume = found.volume
    x, y, z = np.meshgrid(*(volume.grid.origin_mm[a] + 14.0 * np.arange(n) for a, n in enumerate(volume.grid.shape)),
                          indexing="ij")  # fmt: skip
    inside = (np.hypot(x, y) < 70) & (np.abs(z) < 45)
    # 60 kBq in 6283 mL; twenty thousand coincidences: 1 % of counting, 3 % of the scatter (from beyond the field)
    assert volume.values[inside].mean() == pytest.approx(60e3 / (np.pi * 10**2 * 20), rel=0.08)
    header = pydicom.dcmread(next((found.save(tmp_path / "image") / "pet").glob("*.dcm")))
    item = header.RadiopharmaceuticalInformationSequence[0]
    assert item.RadionuclideCodeSequence[0].CodeValue == "77004003"
    assert (float(item.RadionuclidePositronFraction), header.TimezoneOffsetFromUTC) == (0.9686, "+0000")


@pytest.mark.parametrize("name", [name for name in NUCLIDE_NAMES if name != "Y-90"])
def test_what_emits_no_positron_is_refused(name: str) -> None:
    with pytest.raises(PhysicsError, match=f"{name} emits no positrons, so there is no PET of it"):
        positrons_per_decay(pet_nuclide(name))


@pytest.mark.parametrize("name", ["89Zr", "I-124", "rb82"])
def test_gammas_beside_the_positron_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(PhysicsError, match=r"is not modelled: .* keV .*take one of Y-90, F-18"):
        pet_nuclide(name)


def test_a_nuclide_of_pet_alone_is_refused_by_the_others_with_the_reason() -> None:
    with pytest.raises(
        hepatica.UnknownNameError, match="F-18 is known to the simulation and reconstruction of PET alone"
    ):
        hepatica.nuclide("18F")
