"""Coincidences of a PET scanner as a list: which two crystals, and which of them first."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.pet.scanner import Scanner

Integers = NDArray[np.int32]
Bins = NDArray[np.int16]

SECTORS, SORTED_ACROSS_MM, SORTED_ALONG_MM = 48, 16.0, 64.0
"""By which lines are sorted: directions of half a turn, bands across them, pieces along them."""


@dataclass(frozen=True, slots=True, eq=False)
class Coincidences:
    """Pairs of crystals with a bin of time of flight.

    Attributes
    ----------
    scanner : Scanner
        Whose crystals they are.
    first, second : ndarray of int32, shape (n,)
        Crystals, numbered as `Scanner` says.
    tof_bin : ndarray of int16, shape (n,)
        From 0 (the pair came from nearest to `second`) to bins - 1 (nearest to `first`); 0 without time of flight.
    duration_s : float
        Of the frame.
    bed_mm : float
        Where the scanner's middle lay along the patient's head-feet axis (LPS z).

    Raises
    ------
    InputError
        If lengths differ, a crystal or a bin does not exist, or the frame has no duration.
    """

    scanner: Scanner
    first: Integers
    second: Integers
    tof_bin: Bins
    duration_s: float
    bed_mm: float = 0.0

    def __post_init__(self) -> None:
        if not self.first.shape == self.second.shape == self.tof_bin.shape or self.first.ndim != 1:
            raise InputError(
                "coincidences need one row of first crystals, of second ones and of bins, all of one length, not "
                f"{self.first.shape}, {self.second.shape}, {self.tof_bin.shape}"
            )
        if not (np.isfinite(self.duration_s) and self.duration_s > 0 and np.isfinite(self.bed_mm)):
            raise InputError(f"coincidences of a frame of {self.duration_s:g} s at {self.bed_mm:g} mm are none")
        self._require_range("crystal", np.concatenate([self.first, self.second]), self.scanner.crystals)
        self._require_range("bin of time of flight", self.tof_bin, self.bins)
        same = np.flatnonzero(self.first == self.second)
        if same.size:
            raise InputError(f"coincidence {same[0]}: a crystal ({self.first[same[0]]}) coincides with itself")
        for values in (self.first, self.second, self.tof_bin):
            values.setflags(write=False)

    def _require_range(self, what: str, values: NDArray[np.integer], count: int) -> None:
        if values.size and (values.min() < 0 or values.max() >= count):
            worst = int(values.min()) if values.min() < 0 else int(values.max())
            raise InputError(f"coincidences: {what} {worst} does not exist; {self.scanner.name} has 0 to {count - 1}")

    def __len__(self) -> int:
        return len(self.first)

    @property
    def bins(self) -> int:
        """Bins of time of flight, 1 where the scanner has none."""
        return 1 if self.scanner.time_of_flight is None else self.scanner.time_of_flight.bins

    def taken(self, which: NDArray[np.bool_] | NDArray[np.integer] | slice) -> Coincidences:
        """Some of them."""
        return replace(self, first=self.first[which], second=self.second[which], tof_bin=self.tof_bin[which])

    def without_time_of_flight(self) -> Coincidences:
        """The same pairs as of a scanner that has no time of flight."""
        return replace(self, scanner=self.scanner.untimed, tof_bin=np.zeros(len(self), np.int16))

    def order(self) -> NDArray[np.intp]:
        """An order in which lines that follow each other lie near each other, for the caches of the processor.

        By direction across the axis, distance from it, place along the line and place along the axis: what a few
        hundred lines in a row touch of an image is some hundred kilobytes.
        """
        ends = self.scanner.positions_mm().astype(np.float32)
        start = ends[self.first]
        along = ends[self.second] - start
        across = np.hypot(along[:, 0], along[:, 1])
        middle = np.full(len(self), 0.5, np.float32)
        tof = self.scanner.time_of_flight
        if tof is not None:
            length = np.hypot(across, along[:, 2])
            middle -= (self.tof_bin - tof.bins // 2) * np.float32(tof.bin_mm) / length
        place = start + along * middle[:, None]
        along *= np.where(along[:, 1] < 0, -1, 1)[:, None]
        turned = along[:, :2] / across[:, None]
        x, y, across_x, across_y = place[:, 0], place[:, 1], turned[:, 0], turned[:, 1]
        parts = (
            np.arctan2(along[:, 1], along[:, 0]) * np.float32(SECTORS / np.pi),
            (x * across_y - y * across_x) / SORTED_ACROSS_MM,
            (x * across_x + y * across_y) / SORTED_ALONG_MM,
        )
        # One number to sort by instead of four: ten bits for each part, and the bits of the place along the axis turned
        # so that they ascend with it.
        key = np.zeros(len(self), np.int64)
        for part in parts:
            key = (key << 10) | np.clip(np.floor(part).astype(np.int64) + 512, 0, 1023)
        bits = (place[:, 2] + np.float32(0)).view(np.uint32)
        ascending = bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
        return np.argsort((key << 32) | ascending, kind="stable")
