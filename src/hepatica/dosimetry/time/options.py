"""How activity goes on in time, as far as a user says it."""

from __future__ import annotations

from typing import Literal

from hepatica.core.options import Positive, options


@options
class TimeOptions:
    """How activity goes on in time.

    Attributes
    ----------
    effective_half_life_s : float or None
        Effective half-life of one image's agent. Without it the agent stays where it is and decays physically.
    time_model : {"mono", "bi"}
        Curve through several time points: one exponential or two.
    tail : {"fit", "physical"}
        After the last time point: as fitted, or physical decay alone (never less dose).
    """

    effective_half_life_s: Positive | None = None
    time_model: Literal["mono", "bi"] = "mono"
    tail: Literal["fit", "physical"] = "fit"
