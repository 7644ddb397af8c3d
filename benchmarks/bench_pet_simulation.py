"""Positrons that are followed to a PET scanner, against analytic integrals along as many lines in the same run.

Run as ``python benchmarks/bench_pet_simulation.py [positrons] [threads]``. A positron costs two photons through body
and crystals; a line is one integral through the same voxels (`LineProjector`), in which a reconstruction pays.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from hepatica.core import Grid, Kind, Volume
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.followed import CoincidenceSimulator
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.reconstruction import annihilation_attenuation
from hepatica.imaging.pet.run import Run
from hepatica.imaging.pet.scanner import scanner
from hepatica.imaging.spect.montecarlo.patient import patient_from_density
from hepatica.nuclides import nuclide

STEP_MM = 4.0
SCANNER = "biograph_mct"


def main() -> None:
    """Print rates of one run in processor time: they vary with the load of the machine, their ratio less."""
    positrons = int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    emitter, machine = nuclide("Y-90"), scanner(SCANNER)
    shape = (75, 55, 60)
    origin = tuple(-(n - 1) / 2 * STEP_MM for n in shape)
    grid = Grid.axial(shape, spacing_mm=(STEP_MM,) * 3, origin_mm=origin)
    x, y, z = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * STEP_MM for n in shape], indexing="ij")
    body = (x / 140) ** 2 + (y / 100) ** 2 < 1
    density = Volume(grid, np.where(body, 1.0, 1e-3).astype(np.float32), Kind.DENSITY)
    active = body & (np.abs(z) < 70)
    patient = patient_from_density(density, voxel_mm=STEP_MM)
    run = Run(seed=1, threads=threads)
    simulator = CoincidenceSimulator(machine, patient, emitter, run=run)
    small = Volume(grid, active * (2000 / active.sum() / emitter.positron_yield), Kind.DECAYS)
    simulator.frame(small, 1.0)  # compiles
    decays = Volume(grid, active * (positrons / active.sum() / emitter.positron_yield), Kind.DECAYS)
    start = time.process_time()
    found = simulator.frame(decays, 1.0)
    followed = positrons / (time.process_time() - start)
    random = np.random.default_rng(1)
    first, second = random.integers(0, machine.crystals, (2, positrons)).astype(np.int32)
    kept = machine.accepts(first, second) & (first != second)
    lines = Coincidences(machine.untimed, first[kept], second[kept], np.zeros(kept.sum(), np.int16), 1.0)
    projector = LineProjector(machine.untimed, patient.grid, threads=threads)
    attenuation = annihilation_attenuation(patient)
    projector.forward(attenuation, lines.taken(slice(0, 1000)))  # compiles
    start = time.process_time()
    projector.forward(attenuation, lines)
    along = len(lines) / (time.process_time() - start)
    print(f"{positrons} positrons, {threads} threads: {len(found.events)} coincidences of {machine.name}")
    print(f"positrons a second of a processor: {followed:.3g}; lines: {along:.3g}; ratio {followed / along:.2f}")


if __name__ == "__main__":
    main()
