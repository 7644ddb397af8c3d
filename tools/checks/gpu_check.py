"""What a machine with an NVIDIA GPU is asked for: the dose transport's answers and its speed, in under five minutes.

Run: ``python tools/checks/gpu_check.py`` (pip install -e '.[test]' before; nvidia-smi must list the GPU). It prints one
line for each check and ends with exit code 1 if one fails:

- the kernels compile for the GPU;
- CPU and GPU follow the same histories: emitted energy alike to 1e-6, energy conserved, doses of layers of bone, liver
  and lung alike within four standard uncertainties of either run;
- the transport's tests, with the GPU in place of the CPU;
- decays a second of 90Y in water, and seconds to 1 % in the voxels above half the maximum, on both.

``--device cpu`` runs the script itself on a machine without a GPU; ``--without-suite`` leaves the tests out.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.nuclides import nuclide
from hepatica.transport.runner.launch import check_device, load_warp
from hepatica.transport.runner.montecarlo import MonteCarloResult, simulate
from hepatica.transport.runner.settings import MonteCarloSettings

ROOT = Path(__file__).resolve().parents[2]
SUITE = (
    "tests/physics/transport/test_montecarlo_exact.py", "tests/physics/transport/test_montecarlo_control.py",
    "tests/physics/transport/test_montecarlo_uncertainty.py", "tests/physics/transport/test_montecarlo_reference.py",
    "tests/physics/dosimetry/test_iodised_oil.py", "tests/unit/transport/test_scoring.py",
)  # fmt: skip
LAYERS = {"bone": slice(4, 6), "liver": slice(6, 16), "lung": slice(16, 19)}


def slab() -> tuple[Volume, Volume]:
    """90Y in liver between bone and lung, 4 mm."""
    grid = Grid.axial((16, 16, 24), spacing_mm=(4.0, 4.0, 4.0))
    decays = np.zeros(grid.shape)
    decays[2:14, 2:14, 6:16] = 1e9
    density = np.broadcast_to(np.repeat([1.92, 1.06, 0.26], [6, 10, 8]), grid.shape)
    return Volume(grid, decays, Kind.DECAYS), Volume(grid, density.copy(), Kind.DENSITY)


def water(size: int) -> tuple[Volume, Volume]:
    """A cube of water (with the noise of a CT, so that its twin is not itself) of 4 mm voxels, active in its middle."""
    grid = Grid.axial((size,) * 3, spacing_mm=(4.0,) * 3)
    decays = np.zeros(grid.shape)
    inner = slice(size // 3, size - size // 3)
    decays[inner, inner, inner] = 1e9
    return Volume(grid, decays, Kind.DECAYS), Volume(
        grid, np.random.default_rng(1).normal(1, 0.03, grid.shape), Kind.DENSITY
    )


def closure(found: MonteCarloResult) -> float:
    """Energy found over energy emitted, minus 1."""
    return (found.deposited_j + found.escaped_electrons_j + found.escaped_photons_j) / found.emitted_j - 1


class Checks:
    """Lines printed, and whether all is well."""

    def __init__(self) -> None:
        self.well = True

    def say(self, what: str, well: bool, numbers: str) -> None:
        """One line."""
        self.well &= well
        print(f"{'ok  ' if well else 'FAIL'} {what}: {numbers}", flush=True)


def same_answers(checks: Checks, device: str) -> None:
    """Doses of CPU and device, histories by histories and layer by layer."""
    for name in ("Y-90", "I-131"):
        volumes = slab()
        cpu, other = (
            simulate(*volumes, nuclide(name), MonteCarloSettings(histories=200_000, seed=4, device=where))  # type: ignore[arg-type]
            for where in ("cpu", device)
        )
        emitted = other.emitted_j / cpu.emitted_j - 1
        checks.say(f"{name}, energy emitted by the same histories", abs(emitted) < 1e-6, f"{emitted:.1e}")
        checks.say(f"{name}, energy conserved", abs(closure(other)) < 1e-6, f"{closure(other):.1e}")
        for layer, where in LAYERS.items():
            inside = np.zeros(volumes[0].grid.shape, np.float32)
            inside[3:13, 3:13, where] = 1
            region = Region.from_coverage(layer, volumes[0].grid, inside)
            a, b = cpu.region_mean(region), other.region_mean(region)
            off = abs(a.value - b.value) / max(np.hypot(a.sd or 0.0, b.sd or 0.0), 1e-30)
            checks.say(f"{name}, {layer}", off < 4, f"{b.value / a.value:.5f} ({off:.1f} standard uncertainties)")


def speeds(checks: Checks, device: str) -> None:
    """Decays a second, and seconds to 1 %."""
    volumes = water(64)
    for where, histories in (("cpu", 1_000_000), (device, 1_000_000 if device == "cpu" else 40_000_000)):
        settings: dict[str, Any] = {"device": where, "media": ((np.inf, "water"),)}
        simulate(*volumes, nuclide("Y-90"), MonteCarloSettings(histories=1000, **settings))
        for control in (False, True):
            chosen = MonteCarloSettings(histories=histories, control_variate=control, **settings)
            found = simulate(*volumes, nuclide("Y-90"), chosen)
            rate = found.histories / found.elapsed_s
            to_1 = found.elapsed_s * (found.relative_uncertainty / 0.01) ** 2
            what = f"{where}, {'with' if control else 'without'} twin"
            checks.say(what, rate > 0, f"{rate:.3g} decays/s, {to_1:.2g} s to 1 % above half the maximum")


class OnDevice:
    """pytest plugin: every Monte Carlo runs on a device."""

    def __init__(self, device: str) -> None:
        self.device = device

    def pytest_configure(self) -> None:
        """Exchange the device of all settings, once they are checked."""
        checked, device = MonteCarloSettings.__post_init__, self.device

        def moved(self: MonteCarloSettings) -> None:
            checked(self)
            object.__setattr__(self, "device", device)

        MonteCarloSettings.__post_init__ = moved  # type: ignore[method-assign]


def main() -> int:
    """Run the checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--without-suite", action="store_true")
    asked = parser.parse_args()
    check_device(asked.device)
    started, checks = time.monotonic(), Checks()
    warp = load_warp()
    print(f"warp {warp.config.version}, {warp.get_device(asked.device)}, {os.cpu_count()} CPU threads")
    small = water(8)
    simulate(*small, nuclide("Y-90"), MonteCarloSettings(histories=1000, device=asked.device))
    checks.say("compiled", True, f"{time.monotonic() - started:.1f} s")
    same_answers(checks, asked.device)
    speeds(checks, asked.device)
    if not asked.without_suite:
        import pytest

        code = pytest.main(["-q", "-n0", "-p", "no:cacheprovider", *SUITE], plugins=[OnDevice(asked.device)])
        checks.say("tests of the transport", code == 0, f"exit code {int(code)}")
    print(f"{time.monotonic() - started:.0f} s in all")
    return 0 if checks.well else 1


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
