"""``hepatica simulate`` and ``hepatica reconstruct`` on files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hepatica.io.read import Stated, read_image

SIMULATE = ("--nuclide", "Tc-99m", "--total", "150 MBq", "--views", "24", "--pixel", "9 mm", "--matrix", "48")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hepatica", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hepatica.case.demo import write_demo_patient

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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--camera", "siemens-xyz"), "unknown camera 'siemens-xyz'; known: ge-hegp"),
        (("--scatter", "tew"), "windows on either side"),
        (("--nuclide", "Lu-177"), "the header says Tc-99m, asked for is Lu-177"),
        (("--subsets", "25"), "25 subsets of 24 views"),
        (("--window", "3"), "there is no window 3"),
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
