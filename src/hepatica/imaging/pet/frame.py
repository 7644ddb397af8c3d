"""One frame of a PET: what was acquired, or what a simulation says would have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Volume
from hepatica.core.decay import acquisition_decay_factor
from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.followed import CoincidenceSimulator, Followed
from hepatica.imaging.pet.randoms import drawn_randoms, own_singles_cps
from hepatica.imaging.pet.run import PLAIN, Run
from hepatica.imaging.pet.scanner import Scanner
from hepatica.imaging.spect.montecarlo.patient import Patient
from hepatica.nuclides import Nuclide

FloatArray = NDArray[np.float64]
Kinds = NDArray[np.uint8]

TRUE, SCATTERED, RANDOM = 0, 1, 2
ELECTRONS = 400_000
"""Beta particles followed for their bremsstrahlung; all crystals together then count some ten thousand photons."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Prompt coincidences of a frame and the singles beside them.

    Attributes
    ----------
    prompts : Coincidences
    singles_cps : ndarray, shape (crystals,)
        In the energy window, per second.
    kinds : ndarray of uint8, shape (prompts,), or None
        0 true, 1 scattered, 2 random; None where nobody knows, in a scan of a patient.
    """

    prompts: Coincidences
    singles_cps: FloatArray
    kinds: Kinds | None = None

    def __post_init__(self) -> None:
        if self.singles_cps.shape != (self.prompts.scanner.crystals,):
            raise InputError(
                f"singles of {len(self.singles_cps)} crystals do not belong to {self.prompts.scanner.name} with "
                f"{self.prompts.scanner.crystals}"
            )
        if self.kinds is not None and self.kinds.shape != (len(self.prompts),):
            raise InputError(f"{len(self.prompts)} prompts need one kind each, not {self.kinds.shape}")

    @property
    def scanner(self) -> Scanner:
        """Whose crystals they are."""
        return self.prompts.scanner

    def number(self, kind: int) -> int | None:
        """How many prompts are of a kind; None where nobody knows."""
        return None if self.kinds is None else int((self.kinds == kind).sum())


def simulated_frame(
    scanner: Scanner,
    patient: Patient,
    nuclide: Nuclide,
    activity: Volume,
    duration_s: float,
    *,
    bed_mm: float = 0.0,
    run: Run = PLAIN,
) -> Frame:
    """What a scanner would acquire of a patient: trues, scatter, randoms of all singles.

    Singles come from the annihilation photons, from the bremsstrahlung of the beta particles, and from the 176Lu of
    the crystals. Dead time is not simulated: after a radioembolization with 90Y a crystal counts some tens of photons
    a second.

    Parameters
    ----------
    activity : Volume
        Kind.ACTIVITY, at the start of the frame.
    duration_s : float

    Raises
    ------
    PhysicsError
        If the nuclide emits no positrons.
    UnitError, InputError
        If the activity is none, or empty.
    """
    activity.require_kind(Kind.ACTIVITY)
    seconds = duration_s * acquisition_decay_factor(duration_s, nuclide.half_life_s)
    decays = activity.with_values(activity.values * seconds, Kind.DECAYS, name="decays in the frame")
    seed = run.seed
    simulator = CoincidenceSimulator(scanner, patient, nuclide, bed_mm=bed_mm, run=run)
    followed = simulator.frame(decays, duration_s)
    run.progress("coincidences: singles of bremsstrahlung")
    singles = followed.singles_cps + own_singles_cps(scanner)
    singles += simulator.bremsstrahlung_cps(decays, duration_s, electrons=ELECTRONS)
    randoms = drawn_randoms(scanner, singles, duration_s, bed_mm=bed_mm, seed=seed)
    return mixed([followed], randoms, singles, seed=seed)[0]


def mixed(
    followed: Sequence[Followed], randoms: Coincidences, singles_cps: FloatArray, *, seed: int
) -> tuple[Frame, Kinds]:
    """One frame of what was followed in one or several phases, and of randoms, in no order of kind or phase.

    Returns
    -------
    frame : Frame
    phase : ndarray of uint8, shape (prompts,)
        Of each prompt; randoms are dealt out evenly.
    """
    rng = np.random.default_rng([seed, 2])
    kinds = [part.scattered.astype(np.uint8) for part in followed] + [np.full(len(randoms), RANDOM, np.uint8)]
    phases = [np.full(len(part.events), n, np.uint8) for n, part in enumerate(followed)]
    phases.append(rng.integers(0, len(followed), len(randoms), np.uint8))
    parts = [_lists(part.events) for part in followed] + [_lists(randoms)]
    kind, phase = np.concatenate(kinds), np.concatenate(phases)
    order = rng.permutation(len(kind))
    first, second, tof_bin = (np.concatenate(values)[order] for values in zip(*parts, strict=True))
    prompts = Coincidences(randoms.scanner, first, second, tof_bin, randoms.duration_s, randoms.bed_mm)
    return Frame(prompts, singles_cps, kind[order]), phase[order]


def _lists(events: Coincidences) -> tuple[NDArray[np.integer], ...]:
    return events.first, events.second, events.tof_bin
