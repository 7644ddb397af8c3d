"""Sinograms of a PET: which pairs of crystals each of their bins holds, in the order of STIR.

A bin has a view v and a tangential position t across the axis, a segment and an axial position along it, and with time
of flight a timing position k (STIR developers' and users' guides; Thielemans et al., Phys Med Biol 2012;57:867). With N
detectors in a ring, numbered from the front (towards the ceiling of a patient who lies on the back), and no view
mashed, v and t are the detectors

    d1 = v + floor(t / 2),        d2 = v - floor((t + 1) / 2) + N / 2        (modulo N);

m mashed views are m such pairs. A segment holds ring differences ring2 - ring1 from a lowest to a highest; of one
difference alone its axial positions are ring pairs one after the other, of several all pairs of one ring1 + ring2. A
timing position above zero lies nearer to d1.

Rings and detectors count the places without a crystal between modules too (STIR's virtual crystals).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.scanner import Scanner

Integers = NDArray[np.int32]
FloatArray = NDArray[np.float64]
Position = Literal["HFS", "HFP", "FFS", "FFP"]

TURNED: dict[str, tuple[int, int, int]] = {
    "HFS": (1, 1, -1), "HFP": (-1, -1, -1), "FFS": (-1, 1, 1), "FFP": (1, -1, 1)
}  # fmt: skip
"""Signs by which STIR's axes (right and down as seen from the bed, out of the gantry) are LPS of a patient so laid."""
SEED = 18
"""Of the coin between the two middle lines of a bin, and of counts of bins of which the scanner sees a part."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Ring differences (ring2 - ring1) that are put together."""

    low: int
    high: int

    @property
    def least(self) -> int:
        """Smallest without its sign."""
        return 0 if self.low <= 0 <= self.high else min(abs(self.low), abs(self.high))

    def axials(self, rings: int) -> int:
        """Axial positions that hold a pair of rings."""
        return rings - self.least if self.low == self.high else 2 * rings - 1 - 2 * self.least

    def ring_pairs(self, axial: int, rings: int) -> list[tuple[int, int]]:
        """Ring 1 and ring 2 of each pair of an axial position, by their difference."""
        total = self.least + (2 * axial if self.low == self.high else axial)
        pairs = [((total - d) // 2, (total + d) // 2) for d in range(self.low, self.high + 1) if (total + d) % 2 == 0]
        return [pair for pair in pairs if min(pair) >= 0 and max(pair) < rings]


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Some bins of a sinogram: one row each."""

    view: NDArray[np.integer]
    tangential: NDArray[np.integer]
    axial: NDArray[np.integer]
    timing: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class SinogramLayout:
    """Bins of a sinogram of one scanner.

    Attributes
    ----------
    scanner : Scanner
        Whose crystals they are, with the bins of time of flight of the sinogram.
    views, tangential : int
        Bins across the axis; the middle tangential position is number ``tangential // 2``.
    segments : tuple of Segment
        In any order.
    view_offset_deg : float
        By which detector 0 is turned from the front towards the patient's left.
    position : {"HFS", "HFP", "FFS", "FFP"}
        How the patient lies.

    Raises
    ------
    InputError
        If the views do not part the detectors, or ring differences are missing or twice.
    """

    scanner: Scanner
    views: int
    tangential: int
    segments: tuple[Segment, ...]
    view_offset_deg: float = 0.0
    position: Position = "HFS"

    def __post_init__(self) -> None:
        if self.detectors % 2 or (self.detectors // 2) % self.views or not 0 < self.tangential < self.detectors:
            raise InputError(
                f"{self.views} views of {self.tangential} tangential positions are none of a ring of {self.detectors} "
                f"detectors: the views part {self.detectors // 2}, and there are fewer positions than detectors"
            )
        covered = sorted(d for one in self.segments for d in range(one.low, one.high + 1))
        most = max(map(abs, covered), default=0)
        if covered != list(range(-most, most + 1)) or most >= self.rings:
            raise InputError(
                f"the segments hold ring differences {covered[:1]} to {covered[-1:]} with gaps, twice, more of one "
                f"sign, or beyond {self.rings} rings: every one from -n to n is needed once"
            )

    @property
    def detectors(self) -> int:
        """Places around a ring, those without a crystal too."""
        return self.scanner.modules_around * (self.scanner.module_crystals + self.scanner.module_gap)

    @property
    def rings(self) -> int:
        """Places along the axis."""
        one = self.scanner
        return one.modules_along * (one.module_rings + one.module_ring_gap) - one.module_ring_gap

    @property
    def mashing(self) -> int:
        """Views put together."""
        return self.detectors // 2 // self.views

    @property
    def timings(self) -> int:
        """Timing positions."""
        return 1 if self.scanner.time_of_flight is None else self.scanner.time_of_flight.bins

    @property
    def largest_difference(self) -> int:
        """Of the rings of a bin, in places."""
        return max(one.high for one in self.segments)

    @property
    def off_places(self) -> float:
        """By what share of a place the detectors are turned from the nearest crystals of the scanner."""
        at = self._place_of_detector(np.zeros(1))[0]
        return float(at - round(at))

    def _place_of_detector(self, detector: FloatArray) -> FloatArray:
        """Place around the ring, from that of crystal 0 on, of detectors."""
        right, down, _ = TURNED[self.position]
        psi = 2 * np.pi * detector / self.detectors + math.radians(self.view_offset_deg)
        angle = np.arctan2(-down * np.cos(psi), right * np.sin(psi))
        return np.asarray(angle * self.detectors / (2 * np.pi) + (self.scanner.module_crystals - 1) / 2)

    @cached_property
    def crystal_of_detector(self) -> Integers:
        """Crystal in its ring of each detector; -1 where there is none, shape (detectors,)."""
        step = np.rint(self._place_of_detector(np.zeros(1)))[0]
        right, down, _ = TURNED[self.position]
        place = (int(step) + right * down * np.arange(self.detectors)) % self.detectors
        module, within = np.divmod(place, self.scanner.module_crystals + self.scanner.module_gap)
        found = module * self.scanner.module_crystals + within
        return np.where(within < self.scanner.module_crystals, found, -1).astype(np.int32)

    @cached_property
    def ring_of_ring(self) -> Integers:
        """Ring of crystals, from the feet, of each ring of the sinogram; -1 where there is none, shape (rings,)."""
        place = np.arange(self.rings) if TURNED[self.position][2] > 0 else np.arange(self.rings)[::-1]
        module, within = np.divmod(place, self.scanner.module_rings + self.scanner.module_ring_gap)
        found = module * self.scanner.module_rings + within
        return np.where(within < self.scanner.module_rings, found, -1).astype(np.int32)

    @cached_property
    def across(self) -> tuple[Integers, Integers]:
        """Detectors 1 and 2 of each bin across the axis, shape (views, tangential, mashing) each."""
        t = np.arange(self.tangential)[None, :, None] - self.tangential // 2
        v = np.arange(self.detectors // 2).reshape(self.views, 1, self.mashing)
        one = (v + t // 2) % self.detectors
        two = (v - (t + 1) // 2 + self.detectors // 2) % self.detectors
        return one.astype(np.int32), two.astype(np.int32)

    def along(self, segment: Segment) -> tuple[Integers, Integers]:
        """Rings 1 and 2 of the pairs of each axial position, shape (axials, most pairs) each; -1 beyond the last."""
        pairs = [segment.ring_pairs(axial, self.rings) for axial in range(segment.axials(self.rings))]
        most = max(len(one) for one in pairs)
        table = np.full((len(pairs), most, 2), -1, np.int32)
        for row, one in zip(table, pairs, strict=True):
            row[: len(one)] = one
        return table[..., 0], table[..., 1]

    def measured(self) -> Scanner:
        """The scanner with the lines that the sinogram holds all of: nearer rings, a narrower field.

        Ring differences are of crystals here, of places there: the gaps that a pair may have between its rings are
        taken off. Pairs that lie farther from the axis than the nearest line that no bin holds are left out.
        """
        real = np.flatnonzero(self.ring_of_ring >= 0)
        far = np.abs(real[:, None] - real) > self.largest_difference
        rings = np.abs(self.ring_of_ring[real][:, None] - self.ring_of_ring[real])
        near = int(rings[far].min()) - 1 if far.any() else self.scanner.rings - 1
        around = self.scanner.crystals_per_ring
        held = np.zeros((around, around), np.bool_)
        one, two = (self.crystal_of_detector[d] for d in self.across)
        kept = (one >= 0) & (two >= 0)
        held[one[kept], two[kept]] = held[two[kept], one[kept]] = True
        first, second = (index.astype(np.int32) for index in np.nonzero(~held))
        field = self.scanner.field_mm
        missed = 2 * float(self.scanner.distance_mm(first, second).min(initial=np.inf)) if len(first) else np.inf
        field = min(field, missed * (1 - 1e-9))
        return replace(self.scanner, ring_difference=min(self.scanner.ring_difference, near), field_mm=field)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs that make up bins: along the last axis those that are seen come first.

    Attributes
    ----------
    one, two : ndarray of int32, shape (..., pairs)
        Crystals, or rings of crystals.
    there, counted, seen : ndarray of int, shape (...)
        How many are there, how many of them the scanner counts, how many of these are seen through the sinogram.
    """

    one: Integers
    two: Integers
    there: NDArray[np.int64]
    counted: NDArray[np.int64]
    seen: NDArray[np.int64]

    @classmethod
    def of(
        cls, one: Integers, two: Integers, there: NDArray[np.bool_], counted: NDArray[np.bool_], seen: NDArray[np.bool_]
    ) -> Pairs:
        """Pairs in any order, of which those that are seen keep theirs."""
        order = np.argsort(~seen, axis=-1, kind="stable")
        sorted_one, sorted_two = (np.take_along_axis(x, order, -1).astype(np.int32) for x in (one, two))
        return cls(sorted_one, sorted_two, *(x.sum(axis=-1) for x in (there, counted, seen)))

    @property
    def held(self) -> NDArray[np.bool_]:
        """Whether each is seen."""
        return np.asarray(np.arange(self.one.shape[-1]) < self.seen[..., None])


@dataclass(frozen=True, eq=False)
class Lines:
    """Pairs of crystals that the bins of a layout hold, and which of them are seen through it.

    Attributes
    ----------
    layout : SinogramLayout
    machine : Scanner
        `SinogramLayout.measured`.
    """

    layout: SinogramLayout
    machine: Scanner

    @cached_property
    def across(self) -> Pairs:
        """Crystals of each bin across the axis, shape (views, tangential)."""
        one, two = (self.layout.crystal_of_detector[d] for d in self.layout.across)
        there = (one >= 0) & (two >= 0)
        counted, seen = (there & _in_field(machine, one, two) for machine in (self.layout.scanner, self.machine))
        return Pairs.of(one, two, there, counted, seen)

    def along(self, segment: Segment) -> Pairs:
        """Rings of crystals of each axial position of a segment, shape (axials,)."""
        one, two = (np.where(r >= 0, self.layout.ring_of_ring[r], -1) for r in self.layout.along(segment))
        there, apart = (one >= 0) & (two >= 0), np.abs(one - two)
        counted, seen = (there & (apart <= machine.ring_difference) for machine in (self.layout.scanner, self.machine))
        return Pairs.of(one, two, there, counted, seen)

    def laid(
        self, segment: Segment, bins: Bins, counts: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Integers, Integers, NDArray[np.int16], int]:
        """Every count on a line: the middle one of those of its bin, of the two middle ones one by a coin.

        Of a bin of which a part of the lines that are counted is seen, that part of the counts is kept.

        Returns
        -------
        first, second : ndarray of int32
            Crystals, the lower number first.
        tof_bin : ndarray of int16
        nowhere : int
            Counts of bins that hold no pair of crystals at all.
        """
        across, along = self.across, self.along(segment)
        v, t, a = (np.repeat(x, counts) for x in (bins.view, bins.tangential, bins.axial))
        k = np.repeat(bins.timing, counts)
        nowhere = int(((across.there[v, t] == 0) | (along.there[a] == 0)).sum())
        kept = rng.random(len(v)) * (across.counted[v, t] * along.counted[a]) < across.seen[v, t] * along.seen[a]
        v, t, a, k = (x[kept] for x in (v, t, a, k))
        n, m = (_middle(x, rng) for x in (across.seen[v, t], along.seen[a]))
        around = self.machine.crystals_per_ring
        one = along.one[a, m] * around + across.one[v, t, n]
        two = along.two[a, m] * around + across.two[v, t, n]
        turned = one > two
        tof_bin = np.where(turned, self.layout.timings - 1 - k, k).astype(np.int16)
        return np.minimum(one, two), np.maximum(one, two), tof_bin, nowhere

    def fan(self, segment: Segment, values: FloatArray) -> FloatArray:
        """Sums of the values of bins over the lines of each crystal, shape (crystals,).

        Parameters
        ----------
        values : ndarray, shape (views, axials, tangential)
            Each is parted evenly among the lines of its bin.
        """
        along = self.along(segment)
        each = values.transpose(0, 2, 1).reshape(-1, len(along.seen)) / np.maximum(along.counted, 1)
        one, two = (shares @ each for shares in self._shares)
        found = np.zeros((self.machine.rings, self.machine.crystals_per_ring))
        for axial, number in enumerate(along.seen):
            for m in range(int(number)):
                found[along.one[axial, m]] += one[:, axial]
                found[along.two[axial, m]] += two[:, axial]
        return found.ravel()

    @cached_property
    def _shares(self) -> tuple[Any, Any]:
        """Share of each bin across the axis on the lines of crystal 1, and 2: sparse, (crystals of a ring, bins)."""
        from scipy.sparse import csr_array

        pairs = self.across
        held = pairs.held
        bins = np.nonzero(held.reshape(-1, held.shape[2]))[0]
        weight = 1 / pairs.counted.ravel()[bins]
        shape = (self.machine.crystals_per_ring, pairs.seen.size)
        one, two = (csr_array((weight, (d[held], bins)), shape=shape) for d in (pairs.one, pairs.two))
        return one, two

    def expected(self, segment: Segment, of_crystal: FloatArray) -> FloatArray:
        """Sum over the accepted lines of each bin of the product of two crystals' values.

        Returns
        -------
        ndarray, shape (views, axials, tangential)
        """
        across, along = self.across, self.along(segment)
        r1, r2 = along.one, along.two
        by_ring = of_crystal.astype(np.float32).reshape(self.machine.rings, self.machine.crystals_per_ring)
        rings = np.unique(np.concatenate([r1[r1 >= 0], r2[r2 >= 0]]))
        number = np.searchsorted(rings, np.arange(self.machine.rings))
        one, two = (by_ring[rings][:, np.maximum(d, 0)] for d in (across.one, across.two))
        one *= across.held
        found = np.zeros((len(r1), self.layout.views, self.layout.tangential))
        for axial, pairs in enumerate(along.seen):
            for m in range(int(pairs)):
                found[axial] += (one[number[r1[axial, m]]] * two[number[r2[axial, m]]]).sum(axis=2)
        return found.transpose(1, 0, 2)

    def binned(self, events: Coincidences) -> tuple[NDArray[np.intp], Bins]:
        """Segment and bin of each coincidence.

        Raises
        ------
        InputError
            If a line lies in no bin.
        """
        layout = self.layout
        n, around = layout.detectors, self.machine.crystals_per_ring
        one, two = layout.across
        index = np.arange(one.size // layout.mashing).repeat(layout.mashing)
        cell, turned = np.full((n, n), -1, np.int32), np.zeros((n, n), np.bool_)
        cell[two.ravel(), one.ravel()], turned[two.ravel(), one.ravel()] = index, True
        cell[one.ravel(), two.ravel()], turned[one.ravel(), two.ravel()] = index, False
        detector = np.argsort(np.where(layout.crystal_of_detector < 0, around, layout.crystal_of_detector))[:around]
        ring = np.argsort(np.where(layout.ring_of_ring < 0, self.machine.rings, layout.ring_of_ring))
        d1, d2 = detector[events.first % around], detector[events.second % around]
        ring1, ring2 = ring[events.first // around], ring[events.second // around]
        swapped = turned[d1, d2]
        difference = np.where(swapped, ring1 - ring2, ring2 - ring1)
        of_difference = np.full(2 * layout.rings + 1, -1)
        for number, one_segment in enumerate(layout.segments):
            of_difference[layout.rings + one_segment.low : layout.rings + one_segment.high + 1] = number
        segment, place = of_difference[layout.rings + difference], cell[d1, d2]
        if (segment < 0).any() or (place < 0).any():
            missed = int(((segment < 0) | (place < 0)).sum())
            raise InputError(f"{missed} coincidences lie in no bin of the sinogram")
        least = np.array([one_segment.least for one_segment in layout.segments])[segment]
        step = np.array([2 if one_segment.low == one_segment.high else 1 for one_segment in layout.segments])[segment]
        axial = (ring1 + ring2 - least) // step
        timing = np.where(swapped, layout.timings - 1 - events.tof_bin, events.tof_bin)
        view, tangential = np.divmod(place, layout.tangential)
        return segment, Bins(view, tangential, axial, timing)


def _in_field(scanner: Scanner, one: Integers, two: Integers) -> NDArray[np.bool_]:
    """Whether lines between crystals of a ring cross the field, of the crystals' shape."""
    far = scanner.distance_mm(one.ravel(), two.ravel()).reshape(one.shape)
    return np.asarray(far <= scanner.field_mm / 2)


def _middle(number: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Middle of so many, of an even number one of the two middle ones."""
    coin = rng.integers(0, 2, len(number))
    return np.asarray((number - coin) // 2)


def sinogram_layout(
    scanner: Scanner, *, span: int = 1, mashing: int = 1, timings_mashed: int | None = 1
) -> SinogramLayout:
    """Layout that holds all lines of a scanner.

    Parameters
    ----------
    span : int
        Ring differences of a segment, odd.
    mashing : int
        Views put together.
    timings_mashed : int or None
        Bins of time of flight put together; None for all, which leaves none.

    Raises
    ------
    InputError
        If the span is even, or views or bins cannot be put together so.
    """
    if span < 1 or span % 2 == 0:
        raise InputError(f"an axial span of {span} is none: 1, 3, 5, ...")
    timed = _timed(scanner, timings_mashed)
    whole = SinogramLayout(timed, 1, 1, (Segment(0, 0),))
    half = whole.detectors // 2
    if half % mashing:
        raise InputError(f"{half} views cannot be mashed by {mashing}: a divisor is needed")
    # the view offset that lays detectors on crystals
    offset = (0.0 - whole.off_places) * 360 / whole.detectors
    real = np.flatnonzero(whole.ring_of_ring >= 0)
    near = np.abs(whole.ring_of_ring[real][:, None] - whole.ring_of_ring[real]) <= scanner.ring_difference
    most = int(np.abs(real[:, None] - real)[near].max())
    edge = span // 2
    segments = [Segment(-min(edge, most), min(edge, most))]
    for low in range(edge + 1, most + 1, span):
        high = min(low + span - 1, most)
        segments += [Segment(low, high), Segment(-high, -low)]
    widest = SinogramLayout(timed, half, 2 * half - 1, tuple(segments), offset)
    one, two = (widest.crystal_of_detector[d] for d in widest.across)
    near = (one >= 0) & (two >= 0) & _in_field(scanner, one, two)
    used = np.flatnonzero(near.any(axis=(0, 2))) - widest.tangential // 2
    return replace(widest, views=half // mashing, tangential=2 * int(np.abs(used).max()) + 1)


def _timed(scanner: Scanner, together: int | None) -> Scanner:
    """The scanner with so many bins of time of flight put together."""
    tof = scanner.time_of_flight
    if tof is None or together == 1:
        return scanner
    if together is None:
        return scanner.untimed
    if tof.bins % together or (tof.bins // together) % 2 == 0:
        raise InputError(
            f"{tof.bins} bins of time of flight cannot be put together by {together} so that an odd number is left"
        )
    return replace(scanner, time_of_flight=replace(tof, bins=tof.bins // together, bin_ps=tof.bin_ps * together))
