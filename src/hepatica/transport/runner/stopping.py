"""When a run ends and where it stands: the same rules for every Monte Carlo."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hepatica.transport.runner.settings import StoppingOptions

PROGRESS_EVERY_S = 2.0
"""The uncertainty that progress shows is renewed this often; the stopping rule looks at every batch."""


class Sums(Protocol):
    """Anything that adds up batches."""

    histories: int
    batches: int


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Where a run stands.

    Attributes
    ----------
    histories, histories_wanted : int, int or None
        Followed and to follow; None where the end is open.
    elapsed_s, histories_per_s : float
        Time, those of the runs that it continues included; rate of this run.
    relative_uncertainty : float or None
        Present uncertainty of what the run aims at; None before there is one.
    """

    histories: int
    histories_wanted: int | None
    elapsed_s: float
    histories_per_s: float
    relative_uncertainty: float | None

    def __str__(self) -> str:
        reached = "" if self.relative_uncertainty is None else f", uncertainty {100 * self.relative_uncertainty:.2g} %"
        return f"montecarlo: {self.histories:.3g} histories, {self.histories_per_s:.3g} a second{reached}"


RunReport = Callable[[RunProgress], None]
"""Called after every batch; ``str`` of what it gets is one sentence."""


class RunClock:
    """Clock of one run, which knows when it is over.

    Parameters
    ----------
    stopping : StoppingOptions
        Its rules.
    uncertainty : callable
        Present relative uncertainty of what the run aims at, None before there is one.
    min_batches : int
        Not ended before, by any rule but the number of histories.
    elapsed_s : float
        Time of the runs that it continues.
    histories : int
        Those they followed.
    """

    def __init__(
        self,
        stopping: StoppingOptions,
        uncertainty: Callable[[], float | None],
        *,
        min_batches: int,
        elapsed_s: float = 0.0,
        histories: int = 0,
    ) -> None:
        self._stopping, self._uncertainty, self._min_batches = stopping, uncertainty, min_batches
        self._before_s, self._histories_before = elapsed_s, histories
        self._started = time.monotonic()
        self._shown_at = -math.inf
        self._shown: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Time, with that of the runs before."""
        return self._before_s + time.monotonic() - self._started

    def finished(self, sums: Sums) -> bool:
        """Whether a rule is reached."""
        rules = self._stopping
        if rules.histories is not None and sums.histories >= rules.histories:
            return True
        if sums.batches < self._min_batches:
            return False
        if rules.time_limit_s is not None and self.elapsed_s >= rules.time_limit_s:
            return True
        if rules.target_uncertainty is None:
            return False
        present = self._uncertainty()
        return present is not None and present <= rules.target_uncertainty

    def progress(self, sums: Sums) -> RunProgress:
        """Where the run stands."""
        now = time.monotonic()
        rate = (sums.histories - self._histories_before) / max(now - self._started, 1e-9)
        if now - self._shown_at > PROGRESS_EVERY_S:
            self._shown, self._shown_at = self._uncertainty(), time.monotonic()
        return RunProgress(sums.histories, self._stopping.histories, self.elapsed_s, rate, self._shown)
