"""A number with its standard uncertainty, propagated to first order (GUM, JCGM 100:2008, section 5.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hepatica.errors import InputError


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its standard uncertainty (k = 1); inputs are taken as independent.

    Parameters
    ----------
    value : float
        Best estimate, in the unit that the name of the variable states.
    sd : float or None
        Standard uncertainty, same unit; None if unknown. An unknown uncertainty stays unknown: a result that depends
        on it has None too.

    Examples
    --------
    >>> (Estimate(10.0, 0.3) * Estimate(2.0, 0.0)).sd
    0.6
    >>> print(Estimate(49.67, 0.05))
    49.670 ± 0.050
    """

    value: float
    sd: float | None = None

    def __post_init__(self) -> None:
        for name, number in (("value", self.value), ("sd", self.sd)):
            if not hasattr(number, "__float__") and not (name == "sd" and number is None):
                raise InputError(f"Estimate: `{name}` is a number, not {number!r}")

    @property
    def relative_sd(self) -> float | None:
        """Standard uncertainty over the value's magnitude; None if unknown or the value is zero."""
        return None if self.sd is None or self.value == 0 else self.sd / abs(self.value)

    def __add__(self, other: Estimate | float) -> Estimate:
        right = _as_estimate(other)
        return Estimate(self.value + right.value, _root_sum_square(self.sd, right.sd))

    def __sub__(self, other: Estimate | float) -> Estimate:
        right = _as_estimate(other)
        return Estimate(self.value - right.value, _root_sum_square(self.sd, right.sd))

    def __mul__(self, other: Estimate | float) -> Estimate:
        right = _as_estimate(other)
        return Estimate(
            self.value * right.value,
            _root_sum_square(_scaled(self.sd, right.value), _scaled(right.sd, self.value)),
        )

    def __truediv__(self, other: Estimate | float) -> Estimate:
        right = _as_estimate(other)
        quotient = self.value / right.value
        return Estimate(
            quotient, _root_sum_square(_scaled(self.sd, 1 / right.value), _scaled(right.sd, quotient / right.value))
        )

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: float) -> Estimate:
        return _as_estimate(other) - self

    def __rtruediv__(self, other: float) -> Estimate:
        return _as_estimate(other) / self

    def __str__(self) -> str:
        if self.sd is None:
            return f"{self.value:.4g} (uncertainty unknown)"
        if self.sd == 0:
            return f"{self.value:.6g}"
        digits = max(0, 1 - math.floor(math.log10(self.sd)))
        return f"{self.value:.{digits}f} ± {self.sd:.{digits}f}"


def _as_estimate(number: Estimate | float) -> Estimate:
    return number if isinstance(number, Estimate) else Estimate(float(number), 0.0)


def _scaled(sd: float | None, factor: float) -> float | None:
    return None if sd is None else abs(sd * factor)


def _root_sum_square(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else math.hypot(a, b)
