"""Confidence intervals of ratios."""

from __future__ import annotations

import math
from dataclasses import dataclass

NORMAL_975 = 1.959963984540054
"""97.5 % point of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval, `low` to `high`; either end may be infinite."""

    low: float
    high: float

    def as_document(self) -> list[float]:
        """[low, high] for JSON."""
        return [self.low, self.high]

    @classmethod
    def document_schema(cls) -> dict[str, object]:
        """JSON schema of `as_document`: an end is null where it is infinite."""
        return {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 2, "maxItems": 2}


@dataclass(frozen=True, slots=True)
class NormalPair:
    """Two jointly normal numbers with standard uncertainties and covariance."""

    a: float
    b: float
    a_sd: float
    b_sd: float
    covariance: float = 0.0

    def ratio_sd(self) -> float:
        """Standard uncertainty of a/b to first order."""
        ratio = self.a / self.b
        variance = self.a_sd**2 + ratio**2 * self.b_sd**2 - 2 * ratio * self.covariance
        return math.sqrt(max(0.0, variance)) / abs(self.b)

    def ratio_interval(self, z: float = NORMAL_975) -> Interval:
        """Fieller's interval of a/b, exact for normal a and b; unbounded where b is not significantly above zero.

        References
        ----------
        .. [1] Fieller, J R Stat Soc B 1954;16:175.
        """
        leading = self.b**2 - z**2 * self.b_sd**2
        middle = self.a * self.b - z**2 * self.covariance
        last = self.a**2 - z**2 * self.a_sd**2
        root = middle**2 - leading * last
        if leading <= 0 or root < 0:
            return Interval(-math.inf, math.inf)
        return Interval((middle - math.sqrt(root)) / leading, (middle + math.sqrt(root)) / leading)


def root_sum_square(*sds: float | None) -> float | None:
    """Independent standard uncertainties together; None if one is unknown."""
    known = [sd for sd in sds if sd is not None]
    return math.hypot(*known) if len(known) == len(sds) else None
