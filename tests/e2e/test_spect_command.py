"""``hepatica simulate`` and ``hepatica reconstruct`` on files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hepatica.io.dicom.images.projections import read_projections
from hepatica.io.read import Stated, read_image

SIMULATE = ("--nuclide", "Tc-99m", "--total", "150 MBq", "--views", "24", "--pixel", "9 mm", "--matrix", "48")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hepatica", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hepatica.workflow.demo import write_demo_patient

    folder = tmp_path_factory.mktemp("spect")
    write_demo_patient(folder / "patient", ct_spacing_mm=(6.0, 6.0, 6.0))
    done = run(
        "simulate", *SIMULATE, "--activity", folder / "patient/pet", "--ct", folder / "patient/ct",
        "--out", folder / "scan", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["activity_mbq"] == pytest.approx(150)
    return folder


def test_a_simulated_scan_gives_back_its_activity(patient: Path) -> None:
    sensitivity = json.loads((patient / "scan/scan.json").read_text())["windows"][0]["sensitivity_cps_per_mbq"]
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
        "--method", "bsrem", "--prior", "0.1", "--iterations", "2", "--out", patient / "counts",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "counts in the image" in done.stdout
    assert read_image(patient / "counts/spect.dcm", role="activity").volume.kind.unit == "counts"


def test_an_interrupted_run_goes_on(patient: Path, tmp_path: Path) -> None:
    from hepatica.errors import InputError
    from hepatica.imaging.reconstruct.algorithms import IterationOptions
    from hepatica.workflow.spect.reconstruct import SpectOptions, reconstruct_files

    options = SpectOptions(
        "siemens-lehr", IterationOptions(method="bsrem", iterations=3, subsets=4, prior_strength=0.1)
    )
    files, keep = {"ct": patient / "patient/ct", "options": options}, tmp_path / "run.npz"
    whole = reconstruct_files(patient / "scan", **files).volume.values
    seen: list[str] = []

    def interrupt(step: str) -> None:
        seen.append(step)
        if "pass 2 of 3, subset 3" in step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct_files(patient / "scan", **files, checkpoint=keep, tell=interrupt)
    other = SpectOptions("ge-lehr", options.settings)
    with pytest.raises(InputError, match="belongs to other"):
        reconstruct_files(patient / "scan", ct=files["ct"], options=other, checkpoint=keep)
    seen.clear()
    result = reconstruct_files(patient / "scan", **files, checkpoint=keep, tell=seen.append)
    assert not any("pass 1" in step for step in seen)
    np.testing.assert_allclose(result.volume.values, whole, rtol=1e-3, atol=1e-3 * whole.max())
    assert not keep.exists()


def test_dead_time_is_given_back(patient: Path) -> None:
    from hepatica.imaging.reconstruct.algorithms import IterationOptions
    from hepatica.workflow.spect.reconstruct import SpectOptions, reconstruct_files

    files = {"ct": patient / "patient/ct"}
    without = SpectOptions("siemens-lehr", IterationOptions(iterations=1, subsets=4))
    lost = SpectOptions(
        "siemens-lehr",
        IterationOptions(iterations=1, subsets=4),
        dead_time_s=2e-5,
        dead_time_model="non-paralysable",
    )
    first, second = (reconstruct_files(patient / "scan", **files, options=o).volume.total for o in (without, lost))
    counts = read_projections(patient / "scan").projections.counts.sum(axis=(0, 2, 3), dtype=float)
    true = counts / (1 - counts / 20.0 * 2e-5)
    assert second / first == pytest.approx(true.sum() / counts.sum(), rel=0.005)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--camera", "siemens-xyz"), "unknown camera 'siemens-xyz'; known: ge-hegp"),
        (("--scatter", "tew"), "windows on either side"),
        (("--nuclide", "Lu-177"), "the header says Tc-99m, asked for is Lu-177"),
        (("--subsets", "25"), "25 subsets of 24 views"),
        (("--windows", "#3"), "there is no window #3"),
        (("--windows", "208"), "0 windows hold 208 keV; windows are #1: 126.5-154.6 keV"),
        (("--sensitivity", "91 cps/MBq, 90 cps/MBq"), "2 sensitivities for 1 main windows"),
        (("--scatter", "mc", "--mc-uncertainty", "5"), "if you mean percent, write '5 %'"),
        (("--uncertainty", "2"), "at least 4 runs"),
        (("--uncertainty", "fast"), "neither a number of resamplings nor 'quick'"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said(patient: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = run(
        "reconstruct", patient / "scan", "--ct", patient / "patient/ct", "--camera", "siemens-lehr", *words,
        "--out", tmp_path / "spect",
    )  # fmt: skip
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
        "simulate", "--nuclide", "Y-90", "--method", "montecarlo", "--camera", "siemens-hegp", "--response", "holes",
        "--activity", patient / "patient/pet", "--ct", patient / "patient/ct", "--total", "3 GBq", "--views", "6",
        "--pixel", "16 mm", "--matrix", "28", "--orbit", "auto", "--uncertainty", "20 %", "--dead-time", "5 us",
        "--scatter-window", "300-400", "--out", tmp_path / "scan", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "montecarlo: " in done.stderr
    facts = json.loads(done.stdout)
    assert facts == json.loads((tmp_path / "scan/scan.json").read_text())
    assert facts["montecarlo"]["reached_uncertainty"] <= 0.2
    assert [w["low_kev"] for w in facts["windows"]] == [105.0, 300.0]
    assert len(set(facts["radius_mm"])) > 1
    assert 0.5 < min(facts["live_fraction"]) < 1
    assert {item["role"] for item in facts["provenance"]["inputs"]} == {"activity", "ct"}
    file = read_projections(tmp_path / "scan/projections.dcm")
    np.testing.assert_allclose(file.projections.orbit.radius_mm, facts["radius_mm"], atol=0.1)
    assert file.projections.counts[0].sum() == pytest.approx(facts["windows"][0]["counts"], rel=1e-4)
    lines = (tmp_path / "scan/spectrum.csv").read_text().splitlines()
    assert lines[0].startswith("low_kev,high_kev,primary_cps")
    assert (tmp_path / "scan/spectrum.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--uncertainty", "4 %"), "--uncertainty: only with --method montecarlo"),
        (("--method", "montecarlo", "--windows", "300-400"), "unknown window of Tc-99m"),
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
