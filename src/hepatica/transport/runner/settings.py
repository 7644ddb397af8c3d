"""When a Monte Carlo stops, and with which random numbers: one set of rules for dose and for projections."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from hepatica.core.options import Limits, Positive, Text, Unit, options
from hepatica.errors import InputError
from hepatica.transport.matter.composition import MEDIA_BY_DENSITY
from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.source import Parts

MIN_HISTORIES = 100
MAX_HISTORIES = 10**13
"""Beyond, the sums of squares lose the digits that the uncertainty is made of."""


@options
class StoppingOptions:
    """When a Monte Carlo run stops; the first rule that is reached ends it.

    Attributes
    ----------
    histories : int or None
        Histories to follow, such as 1e7: decays, or photons of a projection.
    target_uncertainty : float or None
        Relative standard uncertainty to reach.
    time_limit_s : float or None
        Wall time after which the run ends.
    seed : int
        Seed of the random numbers; the same seed gives the same result on any number of threads.
    """

    histories: Annotated[int, Limits(low=MIN_HISTORIES, high=MAX_HISTORIES)] | None = None
    target_uncertainty: Annotated[float, Unit("fraction"), Limits(above=0, below=1)] | None = None
    time_limit_s: Positive | None = None
    seed: Annotated[int, Limits(low=0, below=2**63)] = 1

    @property
    def has_rule(self) -> bool:
        """Whether anything ends a run."""
        return self.histories is not None or self.target_uncertainty is not None or self.time_limit_s is not None

    def with_default(self, target_uncertainty: float) -> StoppingOptions:
        """These rules, or this target where none is given."""
        return self if self.has_rule else replace(self, target_uncertainty=target_uncertainty)

    def require_rule(self) -> None:
        """InputError unless something ends a run."""
        if not self.has_rule:
            raise InputError(
                "a Monte Carlo run must know when to stop",
                remedy="say when to stop: `histories`, `target_uncertainty` or `time_limit_s`",
            )


Threads = Annotated[int, Limits(low=1)]


def media_from_text(text: str) -> tuple[float, str]:
    """Upper density in g/mL and name of a medium: "1.1 = soft_tissue"; "inf = bone" for all above."""
    bound, _, name = (part.strip() for part in text.partition("="))
    try:
        return float(bound), name
    except ValueError:
        raise InputError(f"medium {text!r}: 'DENSITY = NAME' is expected, such as '0.5 = lung'") from None


@options
class MonteCarloSettings(StoppingOptions):
    """How long a run of the dose goes on, on what, and with which random numbers.

    At least one stopping rule must be given; the first that is reached ends the run (but not before 20 batches, without
    which there is no uncertainty). The target uncertainty is the root mean square over the voxels above half the
    maximum dose, and then that of the mean dose of every structure of `dose_voxels` (of 1 Gy where the mean is less,
    and for no more than ten times the decays); or that of `target_region` alone (arguments of `simulate`).

    Attributes
    ----------
    threads : int or None
        CPU threads; None for all.
    device : {"cpu", "cuda"}
        Never exchanged silently.
    parts : {"all", "beta", "photon"}
        All emissions, electrons with their bremsstrahlung, or gamma and X rays.
    step : StepModel
        How finely electrons are followed, and the cut-offs.
    control_variate : bool
        Follow every decay in uniform matter too, where its mean is known: the same dose with much less noise.
    media : tuple of (float, str)
        Upper density in g/mL and name of medium, see `composition.MEDIA_BY_DENSITY`.
    checkpoint : Path or None
        File in which an interrupted run is kept and from which it goes on.
    checkpoint_every_s : float
        Time between checkpoints.

    Raises
    ------
    InputError
        If a number is out of range or no stopping rule is given.
    """

    threads: Threads | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    parts: Parts = "all"
    step: StepModel = StepModel()
    control_variate: bool = True
    media: Annotated[tuple[tuple[float, str], ...], Text(media_from_text, "DENSITY = NAME")] = MEDIA_BY_DENSITY
    checkpoint: Path | None = None
    checkpoint_every_s: Positive = 60.0

    def __post_init__(self) -> None:
        self.require_rule()

    def parameters(self) -> Mapping[str, object]:
        """Plain values for the provenance, cut-offs included."""
        return {
            "seed": self.seed,
            "device": self.device,
            "parts": self.parts,
            "control_variate": self.control_variate,
            "target_uncertainty": self.target_uncertainty,
            "time_limit_s": self.time_limit_s,
            "electron_cutoff_kev": self.step.cutoff_kev,
            "photon_cutoff_kev": self.step.photon_cutoff_kev,
            "energy_ratio_per_step": self.step.ratio,
            "hard_collision_fraction": self.step.hard_fraction,
            "media_below_density_g_ml": [
                *([bound, name] for bound, name in self.media if math.isfinite(bound)), ["above", self.media[-1][1]],
            ],
        }  # fmt: skip
