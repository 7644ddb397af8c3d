"""A phase-space file (IAEA format) of decays, so that `ompmc` (EGSnrc physics, GPL, no dependency) can be compared.

Used by the optional test and by benchmarks/bench_montecarlo.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hepatica.nuclides import nuclide
from hepatica.transport.runner.source import emission

HEADER = """$IAEA_INDEX:
0
$TITLE:
decays
$FILE_TYPE:
0
$CHECKSUM:
{size}
$RECORD_CONTENTS:
 1 // X is stored ?
 1 // Y is stored ?
 1 // Z is stored ?
 1 // U is stored ?
 1 // V is stored ?
 1 // W is stored ?
 0 // Weight is stored ?
 0 // Extra floats stored ?
 0 // Extra longs stored ?
$RECORD_CONSTANT:
 1.0000 // Constant Weight
$RECORD_LENGTH:
25
$BYTE_ORDER:
1234
$ORIG_HISTORIES:
{count}
$PARTICLES:
{count}
$ELECTRONS:
{count}
"""


def write_decays(path: Path, name: str, low_cm: np.ndarray, high_cm: np.ndarray, count: int, seed: int = 5) -> float:
    """Beta particles of a nuclide, uniform in a box, isotropic; returns their mean energy in MeV."""
    rng = np.random.default_rng(seed)
    edges = emission(nuclide(name), "beta").beta_kev
    bins = rng.integers(0, len(edges) - 1, count)
    energy = (edges[bins] + rng.random(count) * (edges[bins + 1] - edges[bins])) / 1000
    cosine = rng.uniform(-1, 1, count)
    azimuth = rng.uniform(0, 2 * np.pi, count)
    sine = np.sqrt(1 - cosine**2)
    fields = ["e", "x", "y", "z", "u", "v"]
    record = np.zeros(count, dtype=[("type", "i1"), *((field, "<f4") for field in fields)])
    record["type"] = np.where(cosine < 0, -2, 2)  # 2: electron; the sign is that of w
    record["e"] = -energy  # negative: each one a new history
    position = low_cm + rng.random((count, 3)) * (high_cm - low_cm)
    for axis, field in enumerate("xyz"):
        record[field] = position[:, axis]
    record["u"], record["v"] = sine * np.cos(azimuth), sine * np.sin(azimuth)
    path.with_suffix(".IAEAphsp").write_bytes(record.tobytes())
    path.with_suffix(".IAEAheader").write_text(HEADER.format(size=record.nbytes, count=count))
    return float(energy.mean())


def ompmc_dose(
    path: Path,
    bounds_cm: list[np.ndarray],
    density: np.ndarray,
    material: np.ndarray,
    media: list[str],
    histories: int,
    **options: Any,
) -> np.ndarray:
    """Dose per history in Gy from a phase-space file, cut-offs 10 keV for electrons (kinetic) and photons."""
    import ompmc

    geometry = ompmc.Geometry(
        *bounds_cm, media, np.asfortranarray(density, dtype=np.float64), np.asfortranarray(material, dtype=np.int32)
    )
    root = ompmc.data_path()
    physics = ompmc.Physics(
        pegs_file=root / "pegs4" / "521icru.pegs4dat", global_ecut=0.521, global_pcut=0.01, n_split=1, **options
    )
    source = ompmc.PhaseSpaceSource(path)
    dose, _, _ = ompmc.calc_forward_phsp(geometry, source, physics, n_histories=histories, n_batches=10)
    return np.asarray(dose)
