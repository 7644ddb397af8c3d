"""What camera, meter and plan say against each other: what has lasted a while is said, as long as it lasts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hepatica.monitoring.feed import MeterGate
from hepatica.monitoring.judging.sequential import DISAGREE_S, DISAGREE_SD, Statistics
from hepatica.monitoring.setup import Setup
from hepatica.monitoring.wording import BELOW_ZERO, MISFIT, OVER_METER, OVER_PLAN, UNDER_METER, UNDER_PLAN

SLOWEST = 0.6
"""Of the planned speed at which an infusion by hand still runs as planned: 2.5 standard deviations of the simulated
ones, whose flow varies by 20 % over 15 s, in one of a minute."""

RESUMED = 0.5
"""Of what left the vial after an alarm of stasis: where more has arrived since, no flow stands."""

ENOUGH = 0.1
"""Of the plan that must have left the vial since."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What meter and plan say at a look.

    Attributes
    ----------
    is_metered : bool
        Whether a meter is believed just now.
    is_known : bool
        Whether what is in the field is of this injection, or is set apart.
    planned_s : float
        Since the planned infusion began.
    pushed : float or None
        Share of the infusion that was pushed, where somebody says it.
    """

    is_metered: bool
    is_known: bool
    planned_s: float
    pushed: float | None


@dataclass(slots=True)
class Contradictions:
    """Contradictions of one injection.

    Attributes
    ----------
    setup : Setup
        Plan and doubts.
    never_measured : dict of str to str
        What makes that nothing is measured any more, by its beginning.
    """

    setup: Setup
    never_measured: dict[str, str] = field(default_factory=dict)
    _since_s: dict[str, float] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)
    _stood: tuple[float, float] | None = None

    def look(self, at_s: float, statistics: Statistics, meter: MeterGate, heard: Heard) -> dict[str, str]:
        """What holds for `DISAGREE_S` or longer: each by its beginning, as it was first seen."""
        found = self._found(at_s, statistics, meter, heard)
        self._since_s = {kind: self._since_s.get(kind, at_s) for kind in found}
        self._said = {kind: text for kind, text in self._said.items() if kind in found}
        for kind, since in self._since_s.items():
            if at_s - since >= DISAGREE_S:
                # As it was first seen, as long as it lasts: a note for each look would be a log.
                self._said.setdefault(kind, f"{kind}: {found[kind]}")
                if kind in (BELOW_ZERO, MISFIT):
                    self.never_measured.setdefault(kind, self._said[kind])
        return dict(self._said)

    def _found(self, at_s: float, statistics: Statistics, meter: MeterGate, heard: Heard) -> dict[str, str]:
        setup = self.setup
        delivered, sd = (float(one[0]) for one in statistics.delivered_bq(by_meter=False))
        seen = f"the camera sees {_mbq(delivered)}"
        found: dict[str, str] = {}
        # Where what was there counts it is of this vial too.
        is_of_vial = heard.is_known or setup.already_there == "counts"
        if is_of_vial and delivered - DISAGREE_SD * sd > setup.planned_bq:
            found[OVER_PLAN] = f"{seen}, the vial held {_mbq(setup.planned_bq)}"
        if delivered < -DISAGREE_SD * sd:
            found[BELOW_ZERO] = "there are fewer counts than the background gives"
        if below := statistics.arrival.below_nothing():
            found[MISFIT] = ", ".join(below)
        if setup.has_meter and heard.is_known:
            if against := self._against_meter(at_s, delivered, statistics, meter, is_metered=heard.is_metered):
                found[against[0]] = f"{seen}, {against[1]}"
        elif heard.is_known and delivered + DISAGREE_SD * sd < (least := self._least(heard)):
            found[UNDER_PLAN] = f"{seen}, an infusion at 60 % of the planned speed would have brought {_mbq(least)}"
        return found

    def _least(self, heard: Heard) -> float:
        """What a slow infusion would have brought by now, where no meter says what has left the vial."""
        setup = self.setup
        through = (heard.planned_s - settled_s(setup)) / setup.infusion_s
        if heard.pushed is not None:
            # What was pushed just now is still on its way.
            through = min(through, heard.pushed - settled_s(setup) / setup.infusion_s)
        return setup.planned_bq * (1 - setup.residual) * min(max(SLOWEST * through, 0.0), 1.0)

    def _against_meter(
        self, at_s: float, delivered: float, statistics: Statistics, meter: MeterGate, *, is_metered: bool
    ) -> tuple[str, str] | None:
        """Which of the two shows more, and what the meter says; None where they agree."""
        over, spread = (float(one[0]) for one in statistics.camera_over_meter())
        come = f"by the meter {_mbq(float(statistics.come_bq[0]))} had time to arrive"
        if not is_metered:
            # What had left the vial when the meter fell silent has not vanished since.
            if (last := left_before_silence(self.setup, at_s, meter)) is None:
                return None
            over, spread = min(delivered - last, 0.0), math.hypot(spread, self.setup.doubts.meter * last)
            come = f"by the last reading of the meter {_mbq(last)} had left the vial"
        if abs(over) <= DISAGREE_SD * spread:
            return None
        return (OVER_METER if over > 0 else UNDER_METER), come

    def has_resumed(self, body_bq: float, left_bq: float | None) -> bool:
        """Whether flow went on after an alarm of stasis, called at each look since.

        Parameters
        ----------
        body_bq : float
            In the body by the camera.
        left_bq : float or None
            That by the meter, else by the plan, had time to arrive; None where nothing says it.
        """
        if left_bq is None or self._stood is None:
            self._stood = None if left_bq is None else (body_bq, left_bq)
            return False
        gone = left_bq - self._stood[1]
        return gone > ENOUGH * self.setup.planned_bq and body_bq - self._stood[0] > RESUMED * gone


def settled_s(setup: Setup) -> float:
    """From the vial until all has arrived."""
    return setup.lag_s + 3 * setup.dispersion_s


def left_before_silence(setup: Setup, at_s: float, meter: MeterGate) -> float | None:
    """What had left the vial by the last good reading, once it had time to arrive; None where none is believed."""
    if meter.lost or not meter.has_begun:
        return None
    last_s, left = meter.history[-1]
    return left if at_s - last_s > settled_s(setup) else None


def _mbq(activity_bq: float) -> str:
    return f"{activity_bq / 1e6:.3g} MBq"
