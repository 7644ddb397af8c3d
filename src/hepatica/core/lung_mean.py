"""What the maker of an image says of the mean of its lungs, and intervals that other uncertainties widen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.errors import InputError

INCLUDED = ("counts", "scatter", "place of the CT", "spill of the liver", "model")
"""What the interval of a lung holds."""

SD_PER_INTERVAL = 1.96
"""Standard deviations on either side of an interval of 95 %."""


@dataclass(frozen=True, slots=True)
class LungMean:
    """How well an image's mean over both lungs is known: of a SPECT that hepatica reconstructed with levels.

    Without the calibration of the camera, which is common to the whole image.

    Attributes
    ----------
    levels : int
        That the lungs were found as.
    low, high : float or None
        Ends of the 95 % interval of the true mean, over the mean of the image; the mean itself need not lie in its
        middle, nor between them. None where that is not known.
    relative_sd : float or None
        Standard uncertainty of the mean, root mean square about it.
    counting_relative_sd : float or None
        The part of it that is noise of the counts.
    share_of_image : float or None
        Activity in the lungs over that in the image.

    Raises
    ------
    InputError
        If they are no such numbers.
    """

    levels: int
    low: float | None = None
    high: float | None = None
    relative_sd: float | None = None
    counting_relative_sd: float | None = None
    share_of_image: float | None = None

    def __post_init__(self) -> None:
        numbers = (self.low, self.high, self.relative_sd, self.counting_relative_sd, self.share_of_image)
        known = [value for value in numbers if value is not None]
        whole = len(known) == len(numbers) or not known
        if self.levels < 1 or not whole or not all(0 <= value < math.inf for value in known):
            raise InputError(f"no uncertainty of a lung: {self.levels} levels and {numbers}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise InputError(f"the interval of a lung ends at {self.high:g}, below its beginning at {self.low:g}")

    @classmethod
    def of_numbers(cls, levels: int, numbers: Sequence[float]) -> LungMean:
        """From what `numbers` gave; InputError if it is not that."""
        if len(numbers) not in (0, 5):
            raise InputError(f"the uncertainty of a lung is five numbers, not {len(numbers)}")
        return cls(levels, *(float(value) for value in numbers))

    @property
    def numbers(self) -> tuple[float, ...]:
        """Ends, uncertainties and share in the order of the attributes; empty where they are not known."""
        found = (self.low, self.high, self.relative_sd, self.counting_relative_sd, self.share_of_image)
        return tuple(value for value in found if value is not None)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends over the mean; None where they are not known."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def systematic_relative_sd(self) -> float:
        """What the standard uncertainty holds beside noise of the counts."""
        return math.sqrt(max(0.0, (self.relative_sd or 0.0) ** 2 - (self.counting_relative_sd or 0.0) ** 2))


def widest(readings: Sequence[LungMean | None]) -> LungMean | None:
    """Of several images of one patient the widest interval: what is wrong in one is wrong in all.

    None unless every image says its own.
    """
    known = [one for one in readings if one is not None and one.interval is not None]
    if len(known) < len(readings) or not known:
        return readings[0] if len(readings) == 1 else None
    low, high, sd, counting, share = zip(*(one.numbers for one in known), strict=True)
    return LungMean(known[0].levels, min(low), max(high), max(sd), max(counting), share[0])


def widened(interval: tuple[float, float], relative_sd: float) -> tuple[float, float]:
    """An interval of 95 % with another uncertainty that is independent of it, relative to what is true.

    >>> widened((19.0, 31.0), 0.0)
    (19.0, 31.0)
    """
    low, high = interval
    middle, half = (low + high) / 2, (high - low) / 2
    half = math.hypot(half, SD_PER_INTERVAL * relative_sd * middle)
    return max(0.0, middle - half), middle + half
