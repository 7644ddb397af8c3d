"""When a Monte Carlo stops, and with which random numbers: one set of rules for dose and for projections."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from hepatica.core.options import Limits, Positive, Unit, options

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
        Wall time.
    seed : int
        Of the random numbers; the same seed gives the same result on any number of threads.
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
