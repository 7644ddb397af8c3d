"""``hepatica simulate`` and ``hepatica reconstruct`` on files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from command_line import hepatica as run
from hepatica.core.image import Stated
from hepatica.errors import InputError
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.options import AcquisitionOptions, NoiseOptions
from hepatica.imaging.spect.scan import ScanOptions
from hepatica.imaging.spect.scan_facts import ScannedActivityOptions, SimulationOptions
from hepatica.imaging.spect.scan_model import SpectOptions
from hepatica.io.dicom.images.projections import read_projections
from hepatica.io.read import read_image
from hepatica.workflow.spect.reconstruct import reconstruct_spect
from hepatica.workflow.spect.simulate import simulate_spect

SIMULATE = ("--nuclide", "Tc-99m", "--total", "150 MBq", "--views", "24", "--pixel", "9 mm", "--columns", "48")


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hepatica.io.virtual.demo import write_demo_patient

    folder = tmp_path_factory.mktemp("spect")
    write_demo_patient(folder / "patient", ct_spacing_mm=(8.0, 8.0, 6.0), pet_spacing_mm=(6.0, 6.0, 6.0))
    done = run(
        "simulate", *SIMULATE, "--activity", folder / "patient/pet", "--ct", folder / "patient/ct",
        "--out", folder / "scan", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["activity_mbq"] == pytest.approx(150)
    return folder


def test_a_simulated_scan_gives_back_its_activity(patient: Path) -> None:
    sensitivity = json.loads((patient / "scan/result.json").read_text())["energy_windows"][0]["sensitivity_cps_per_mbq"]
    done = run(
        "reconstruct", patient / "scan/projections.dcm", "--ct", patient / "patient/ct", "--camera", "siemens-lehr",
        "--iterations", "6", "--subsets", "4", "--sensitivity", f"{sensitivity} cps/MBq",
        "--out", patient / "spect", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "scatter was not corrected" in done.stderr
    facts = json.loads(done.stdout)
    # 2e6 counts; voxels of 9 mm against a simulation on 4.5 mm leave 1 to 2 %.
    assert facts["total_activity_mbq"] == pytest.approx(150, rel=0.03)
    assert facts["provenance"]["inputs"][0]["role"] == "projections"
    image = read_image(patient / "spect/spect.dcm", role="activity")
    assert image.acquisition.nuclide == "Tc-99m"
    assert image.volume.total / 1e6 == pytest.approx(facts["total_activity_mbq"], rel=1e-3)
    truth = read_image(patient / "scan/truth.nii.gz", stated=Stated(unit="Bq/mL"))
    np.testing.assert_allclose(image.grid.affine, truth.grid.affine, atol=1e-3)
    hot = truth.volume.values > 0.5 * truth.volume.values.max()
    assert np.corrcoef(image.volume.values.ravel(), truth.volume.values.ravel())[0, 1] > 0.9
    assert image.volume.values[hot].mean() > 0.6 * truth.volume.values[hot].mean()


def test_counts_with_a_window_below(patient: Path) -> None:
    done = run(
        "reconstruct", patient / "scan", "--ct", patient / "patient/ct", "--camera", "siemens-lehr", "--scatter", "dew",
        "--method", "bsrem", "--prior-strength", "0.1", "--iterations", "2", "--out", patient / "counts",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "counts in the image" in done.stdout
    assert read_image(patient / "counts/spect.dcm", role="activity").volume.kind.unit == "counts"


def test_an_interrupted_run_goes_on(patient: Path, tmp_path: Path) -> None:
    files, keep = {"ct": patient / "patient/ct"}, tmp_path / "run.npz"
    iteration = IterationOptions(method="bsrem", iterations=3, subsets=4, prior_strength=0.1)
    whole = reconstruct_spect(
        patient / "scan", **files, camera="siemens-lehr", options=SpectOptions(iteration=iteration)
    ).volume.values
    kept = replace(iteration, checkpoint=keep)
    seen: list[str] = []

    def interrupt(step: str) -> None:
        seen.append(step)
        if "iteration 2 of 3, subset 3" in step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct_spect(
            patient / "scan", **files, camera="siemens-lehr", options=SpectOptions(iteration=kept), progress=interrupt
        )
    with pytest.raises(InputError, match="belongs to other"):
        reconstruct_spect(patient / "scan", **files, camera="ge-lehr", options=SpectOptions(iteration=kept))
    seen.clear()
    result = reconstruct_spect(
        patient / "scan", **files, camera="siemens-lehr", options=SpectOptions(iteration=kept), progress=seen.append
    )
    assert not any("iteration 1 of" in step for step in seen)
    np.testing.assert_allclose(result.volume.values, whole, rtol=1e-3, atol=1e-3 * whole.max())
    assert not keep.exists()


def test_dead_time_is_given_back(patient: Path) -> None:
    once = IterationOptions(iterations=1, subsets=4)
    lost = AcquisitionOptions(dead_time_s=2e-5, dead_time_model="non-paralysable")
    first, second = (
        reconstruct_spect(
            patient / "scan",
            ct=patient / "patient/ct",
            camera="siemens-lehr",
            options=SpectOptions(iteration=once, acquisition=stated),
        ).volume.total
        for stated in (AcquisitionOptions(), lost)
    )
    counts = read_projections(patient / "scan").projections.counts.sum(axis=(0, 2, 3), dtype=float)
    true = counts / (1 - counts / 20.0 * 2e-5)
    assert second / first == pytest.approx(true.sum() / counts.sum(), rel=0.005)


def test_python_and_command_give_one_document(patient: Path) -> None:
    """From objects in one process, without a file between: the same as both commands."""
    pet, ct = read_image(patient / "patient/pet", role="activity"), read_image(patient / "patient/ct", role="ct")
    scan = simulate_spect(
        pet,
        ct=ct,
        nuclide="Tc-99m",
        options=SimulationOptions(
            scan=ScanOptions(views=24, pixel_mm=9.0, columns=48), stated=ScannedActivityOptions(total_bq=150e6)
        ),
    )
    assert same(scan.as_dict()) == same(json.loads((patient / "scan/result.json").read_text()))
    done = run(
        "reconstruct", patient / "scan", "--ct", patient / "patient/ct", "--camera", "siemens-lehr",
        "--iterations", "2", "--subsets", "4", "--sensitivity", "model", "--samples", "4", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spect = reconstruct_spect(
        scan.projections,
        ct=ct,
        camera="siemens-lehr",
        options=SpectOptions(
            iteration=IterationOptions(iterations=2, subsets=4),
            acquisition=AcquisitionOptions(sensitivity_cps_per_mbq="model"),
            noise=NoiseOptions(samples=4),
        ),
    )
    assert same(spect.as_dict()) == same(json.loads(done.stdout))


def same(document: dict[str, object]) -> dict[str, object]:
    """What does not depend on file or clock."""
    return {key: value for key, value in document.items() if key != "provenance"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--camera", "siemens-xyz"), "unknown camera 'siemens-xyz' (did you mean siemens-megp"),
        (("--scatter", "tew"), "windows on either side"),
        (("--nuclide", "Lu-177"), "the header says Tc-99m, asked for is Lu-177"),
        (("--subsets", "25"), "25 subsets of 24 views"),
        (("--energy-windows", "#3"), "there is no window #3"),
        (("--energy-windows", "208"), "0 windows hold 208 keV; windows are #1: 126.5-154.6 keV"),
        (
            ("--sensitivity", "91 cps/MBq", "--sensitivity", "90 cps/MBq"),
            "2 sensitivities for 1 main windows; state one for each",
        ),
        (("--scatter", "mc", "--target-uncertainty", "5"), "if you mean percent, write '5 %'"),
        (("--samples", "2"), "--samples must be at least 4, not 2"),
        (("--samples", "fast"), "--samples: 'fast' is not a number"),
        (("--samples", "4", "--quick-uncertainty"), "--quick-uncertainty stands instead of --samples"),
        (("--itterations", "4"), "reconstruct has no option --itterations; did you mean --iterations"),
        (("--sensitivity", "91"), "'91' has no unit"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said(patient: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    camera = () if "--camera" in words else ("--camera", "siemens-lehr")
    done = run(
        "reconstruct", patient / "scan", "--ct", patient / "patient/ct", *camera, *words, "--out", tmp_path / "spect"
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "spect").exists()


def test_bremsstrahlung_is_not_simulated_analytically(patient: Path, tmp_path: Path) -> None:
    done = run(
        "simulate", "--nuclide", "Y-90", "--activity", patient / "patient/pet", "--ct", patient / "patient/ct",
        "--out", tmp_path / "scan",
    )  # fmt: skip
    assert done.returncode == 2
    assert "bremsstrahlung" in done.stderr
    assert not (tmp_path / "scan").exists()


def test_a_bremsstrahlung_scan_by_monte_carlo(patient: Path, tmp_path: Path) -> None:
    done = run(
        "simulate", "--nuclide", "Y-90", "--method", "montecarlo", "--camera", "siemens-hegp",
        "--detector-response", "holes", "--activity", patient / "patient/pet", "--ct", patient / "patient/ct",
        "--total", "3 GBq", "--views", "6",
        "--pixel", "16 mm", "--columns", "28", "--orbit", "auto", "--target-uncertainty", "20 %", "--dead-time", "5 us",
        "--extra-energy-windows", "300-400", "--out", tmp_path / "scan", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "montecarlo: " in done.stderr
    facts = json.loads(done.stdout)
    assert facts == json.loads((tmp_path / "scan/result.json").read_text())
    assert facts["montecarlo"]["run"]["reached_uncertainty"] <= 0.2
    assert [w["low_kev"] for w in facts["energy_windows"]] == [105.0, 300.0]
    assert len(set(facts["radius_mm"])) > 1
    assert 0.5 < min(facts["montecarlo"]["live_fraction"]) < 1
    assert {item["role"] for item in facts["provenance"]["inputs"]} == {"activity", "ct"}
    file = read_projections(tmp_path / "scan/projections.dcm")
    np.testing.assert_allclose(file.projections.orbit.radius_mm, facts["radius_mm"], atol=0.1)
    assert file.projections.counts[0].sum() == pytest.approx(facts["energy_windows"][0]["counts"], rel=1e-4)
    lines = (tmp_path / "scan/spectrum.csv").read_text().splitlines()
    assert lines[0].startswith("low_kev,high_kev,primary_cps")
    assert (tmp_path / "scan/spectrum.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--target-uncertainty", "4 %"), "--target-uncertainty: only with --method montecarlo"),
        (("--method", "montecarlo", "--energy-windows", "300-400"), "unknown window of Tc-99m"),
    ],
)
def test_what_no_scan_can_be_told(patient: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = run(
        "simulate", "--nuclide", "Tc-99m", "--total", "150 MBq", "--activity", patient / "patient/pet",
        "--ct", patient / "patient/ct", "--out", tmp_path / "scan", *words,
    )  # fmt: skip
    assert done.returncode == 2
    assert message in done.stderr.lower() or message in done.stderr
    assert not (tmp_path / "scan").exists()
