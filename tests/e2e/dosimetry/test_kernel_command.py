"""``hepatica kernel`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from command_line import Done, hepatica
from hepatica.workflow.dose.kernel import VoxelKernelResult, voxel_kernel


def _run(*arguments: str) -> Done:
    return hepatica("kernel", *arguments)


def test_json_of_an_anisotropic_voxel(tmp_path: Path) -> None:
    done = _run("Ho-166", "--spacing", "4.42,4.42,3 mm", "--extent", "4", "--out", str(tmp_path / "kernel"), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    s = np.array(document["s_mgy_per_mbq_s"])
    assert s.shape == (5, 5, 5)
    assert s[0, 0, 1] > s[1, 0, 0] == pytest.approx(s[0, 1, 0], rel=0.01)
    assert 0.3 < document["self_fraction"] < 0.9
    # the electrons (0.695 MeV) stay within 12 mm, the photons (0.030 MeV) mostly leave
    assert 0.68 < document["energy_sum_mev"] < 0.725
    assert (tmp_path / "kernel/kernel.svg").stat().st_size > 1000
    assert json.loads((tmp_path / "kernel/result.json").read_text())["s_mgy_per_mbq_s"] == document["s_mgy_per_mbq_s"]
    ours = voxel_kernel("Ho-166", (4.42, 4.42, 3.0), extent=4)
    assert {k: v for k, v in ours.as_dict().items() if k != "provenance"} == {
        k: v for k, v in document.items() if k != "provenance"
    }
    jsonschema.validate(document, VoxelKernelResult.schema())


def test_table_for_lung_at_its_own_density() -> None:
    done = _run("--nuclide", "90Y", "--spacing", "4 mm", "--medium", "lung")
    assert done.returncode == 0, done.stderr
    assert "lung of 0.26 g/mL" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Xx-1", "--spacing", "4 mm"], "Xx-1"),
        (["Y-90", "--spacing", "4 mm", "--medium", "cheese"], "Y-90 in cheese"),
        (["Y-90", "--spacing", "4,0,4 mm"], "voxels of 4 x 0 x 4 mm"),
        (["Y-90", "--spacing", "4,4 mm"], "--spacing: '4,4 mm' holds 2 numbers; 3 are needed"),
        (["Y-90", "--spacing", "4 Gy"], "--spacing"),
        (["Y-90"], "needs --spacing"),
        (["Y-90", "--spacing", "4 mm", "--extent", "-1"], "--extent must be from 0 to 100"),
        (["Y-90", "--spacing", "4 mm", "--out", "/proc/there"], "/proc/there"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str) -> None:
    done = _run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
