"""Doses against the limits of the agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hepatica.dosimetry.metrics import RegionDose
from hepatica.dosimetry.regions import ClinicalRegion
from hepatica.nuclides import DoseLimit, agent

NEAR = 0.1
"""A limit that is met by less than this share of itself is called near."""


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """One limit and the dose that it is held against.

    Attributes
    ----------
    region : str
        Name of the structure.
    dose_gy : float
        Mean dose of the structure.
    limit : DoseLimit
        What is asked, under which condition, by whom.
    status : str
        "met", "near" (met by less than 10 %) or "not met".
    """

    region: str
    dose_gy: float
    limit: DoseLimit
    status: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "region": self.region,
            "dose_mean_gy": self.dose_gy,
            "comparison": self.limit.comparison,
            "limit_gy": self.limit.dose_gy,
            "condition": self.limit.condition,
            "status": self.status,
            "source": self.limit.source,
            "confidence": self.limit.confidence,
        }


def check_limits(
    agent_name: str | None, structures: Sequence[ClinicalRegion], doses: Sequence[RegionDose]
) -> tuple[LimitCheck, ...]:
    """Every limit of the agent against every structure it speaks of, by mean dose.

    Limits for tumours are those of single lesions. A limit holds under its condition (intent, liver function, tumour
    type), which the software does not know: all are shown, and the reader picks the one that applies.

    Raises
    ------
    UnknownNameError
        If there is no such agent.
    """
    if agent_name is None:
        return ()
    checks = []
    for limit in agent(agent_name).limits:
        for item, found in zip(structures, doses, strict=True):
            if item.structure.value == limit.structure:
                checks.append(LimitCheck(found.name, found.dose_mean_gy, limit, _status(limit, found.dose_mean_gy)))
    return tuple(checks)


def _status(limit: DoseLimit, dose_gy: float) -> str:
    if not limit.is_met(dose_gy):
        return "not met"
    return "near" if abs(dose_gy - limit.dose_gy) < NEAR * limit.dose_gy else "met"
