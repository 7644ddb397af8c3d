"""Sums over batches of histories: mean, uncertainty, groups for the uncertainty of regions, and checkpoints.

A batch of n histories leaves the energy t in a voxel. With sums of t and of t^2/n over the batches the variance of one
history is estimated as ``(sum t^2/n - T^2/N) / (batches - 1)`` whatever the sizes of the batches, and the variance of
the mean is that over N. Voxels that share histories are correlated; for regions the energies of a few groups of batches
are kept (in half precision, scaled: only their spread is used).
"""

from __future__ import annotations

import contextlib
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError, OutputError

FloatArray = NDArray[np.float64]

MAX_GROUPS = 20
MIN_GROUPS = 7
GROUP_BYTES = 200 * 2**20
SLAB = 2**18
FEW_GROUPS = 4.0
"""Groups of batches that must hold what a mean varies by (a third of them, where they are fewer than 12), or its spread
over them is not known: about five rare events. n groups of Gaussian deviations count as 0.64 n."""
Window = tuple[slice | NDArray[np.integer[Any]], ...]
LARGEST_HALF = np.float32(60000)
"""Close to the largest number in half precision; a voxel far hotter than in the first batch is cut to it."""


@dataclass(slots=True, eq=False)
class BatchSums:
    """Running sums; `add` changes them in place.

    Attributes
    ----------
    total : ndarray of float64
        Energy per voxel, keV.
    squares : ndarray of float32
        Sum over batches of energy squared over histories.
    groups : ndarray of float16, shape (groups, *total.shape)
        Energy per voxel and history in each group of batches, over `group_scale`.
    group_histories : ndarray of int64, shape (groups,)
        Histories in each group.
    group_scale : float
        Unit of `groups`, keV per history; 0 before the first batch.
    counters : ndarray of float64, shape (5,)
        Energy emitted, escaped with electrons, with photons, lost, deposited.
    histories, batches : int
        So far.
    known_kev : ndarray of float32 or float64, or None
        Energy per history that is known beside what the batches say, in each voxel: the part of a control variate that
        has no noise.
    reached_kev : ndarray of float32, or None
        Energy per history that all decays would leave in each voxel in uniform matter; None where that is not known.
    parts : BatchSums or None
        Of parts of some of the voxels, from the same batches.
    watched : ndarray of float64, shape (2, watched)
        Energy in each of the regions that a run looks at, and sum of its square over histories.
    coefficient : ndarray of float64 or None
        Of a control variate, that these batches were made with.
    """

    total: FloatArray
    squares: NDArray[np.float32]
    groups: NDArray[np.float16]
    group_histories: NDArray[np.int64]
    group_scale: float
    counters: FloatArray
    histories: int = 0
    batches: int = 0
    known_kev: NDArray[np.floating[Any]] | None = None
    reached_kev: NDArray[np.float32] | None = None
    parts: BatchSums | None = None
    watched: FloatArray = field(default_factory=lambda: np.zeros((2, 0)))
    coefficient: FloatArray | None = None

    @classmethod
    def empty(cls, shape: tuple[int, ...], groups: int | None = None) -> BatchSums:
        """Nothing yet; that many groups, or as many as fit into 200 MB of half-precision numbers, 7 to 20."""
        count = groups or int(np.clip(GROUP_BYTES // (2 * max(math.prod(shape), 1)), MIN_GROUPS, MAX_GROUPS))
        return cls(
            total=np.zeros(shape),
            squares=np.zeros(shape, np.float32),
            groups=np.zeros((count, *shape), np.float16),
            group_histories=np.zeros(count, np.int64),
            group_scale=0.0,
            counters=np.zeros(5),
        )

    @property
    def shape_size(self) -> int:
        """Number of voxels."""
        return self.total.size

    def add(
        self, tally: FloatArray, counters: FloatArray, histories: int, watched: FloatArray | tuple[()] = ()
    ) -> None:
        """Add a batch: energy per voxel (keV, any shape of the right size), counters, histories, watched energies."""
        energy = tally.reshape(self.total.shape)
        self.watched += np.stack([np.asarray(watched), np.square(watched) / histories])
        self.counters += counters
        if self.group_scale == 0.0:
            largest = max(float(energy.max(initial=0.0)), -float(energy.min(initial=0.0)))
            self.group_scale = largest / histories / 64 or 1.0
        n = int(np.argmin(self.group_histories))
        before = int(self.group_histories[n])
        after = before + histories
        for slab in _slabs(self.total.shape):
            self.total[slab] += energy[slab]
            part = energy[slab].astype(np.float32)
            self.squares[slab] += part * part / np.float32(histories)
            part *= np.float32(1 / (after * self.group_scale))
            if before:
                part += self.groups[n][slab].astype(np.float32) * np.float32(before / after)
            self.groups[n][slab] = np.clip(part, -LARGEST_HALF, LARGEST_HALF, out=part)
        self.group_histories[n] = after
        self.histories += histories
        self.batches += 1

    def scaled_mean_and_sd(self, unit: Windowed) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Energy per history in each voxel times `unit`, and its standard uncertainty; NaN with one batch."""
        mean = np.empty(self.total.shape, np.float32)
        sd = np.full(self.total.shape, np.nan, np.float32)
        for slab in _slabs(self.total.shape):
            average = self.total[slab] / self.histories
            whole = average if self.known_kev is None else average + self.known_kev[slab]
            mean[slab] = whole * unit[slab]
            if self.batches > 1:
                spread = self.squares[slab] - self.total[slab] * average
                variance = np.maximum(spread, 0) / ((self.batches - 1) * self.histories)
                sd[slab] = np.sqrt(variance) * unit[slab]
        return mean, sd

    def mean_kev(self, window: Window = ()) -> FloatArray:
        """Energy per history in a window of voxels (slices, or indices; all)."""
        mean = np.asarray(self.total[window] / self.histories)
        return mean if self.known_kev is None else mean + self.known_kev[window]

    def group_sums(self, window: Window, weights: FloatArray) -> FloatArray:
        """Weighted sum over a window (slices, or indices) of energy per history, for each group that has histories."""
        return self.group_residuals(window, weights) + self.known_sum(window, weights)

    def group_residuals(self, window: Window, weights: FloatArray) -> FloatArray:
        """As `group_sums` without what is known beside the batches: all that varies."""
        used = np.flatnonzero(self.group_histories)
        sums = [float((self.groups[n][window].astype(np.float64) * weights).sum()) for n in used]
        return np.array(sums) * self.group_scale

    def known_sum(self, window: Window, weights: FloatArray) -> float:
        """Weighted sum over a window (slices, or indices) of energy per history that is known beside the batches."""
        return 0.0 if self.known_kev is None else float((self.known_kev[window] * weights).sum())

    def reached_sum(self, window: Window, weights: FloatArray) -> float | None:
        """Weighted sum over a window of energy per history that uniform matter would get; None where not known."""
        return None if self.reached_kev is None else float((self.reached_kev[window] * weights).sum())

    def sd_of_groups(self, sums: FloatArray) -> float | None:
        """Standard uncertainty of the mean of what `group_sums` gives, groups weighted by their histories; None of one.

        With weights n of N in all, ``sum n (x - mean)^2 / ((groups - 1) N)``: groups that hold more batches say more
        (taken alike, 27 batches in 20 groups would overstate it by 7 %).
        """
        histories = self.group_histories[self.group_histories > 0].astype(np.float64)
        if len(sums) < 2:
            return None
        mean = np.average(sums, weights=histories)
        return float(np.sqrt(histories @ (sums - mean) ** 2 / ((len(sums) - 1) * histories.sum())))

    def rests_on_few(self, residuals: FloatArray) -> bool:
        """Whether few groups (`FEW_GROUPS`), by (sum n |x|)^2 / (N sum n x^2), hold nearly all of `group_residuals`.

        Then their spread is no uncertainty: it is 0 where nothing was found.
        """
        histories = self.group_histories[self.group_histories > 0].astype(np.float64)
        squares = float(histories @ residuals**2)
        share = float(histories @ np.abs(residuals)) ** 2 / (float(histories.sum()) * squares) if squares > 0 else 0.0
        return share < min(FEW_GROUPS / max(len(residuals), 1), 1 / 3)


class Windowed(Protocol):
    """Anything that gives the values of a window of voxels: an array, or values made when asked for."""

    def __getitem__(self, window: Any, /) -> NDArray[np.float32]:
        """Values in the window."""
        ...


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of the first axis of about SLAB voxels, so that no temporary is as large as the volume."""
    step = max(1, SLAB * shape[0] // max(math.prod(shape), 1))
    for start in range(0, shape[0], step):
        yield slice(start, start + step)


def save_checkpoint(path: Path, sums: BatchSums, mark: str, elapsed_s: float) -> None:
    """Write to a temporary name, put it on the disk, then rename: an interrupted write leaves the earlier checkpoint.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        stored = _stored(sums, "") | ({} if sums.parts is None else _stored(sums.parts, "parts_"))
        with _locked_part(part) as stream:
            np.savez(stream, mark=np.array(mark), elapsed_s=np.array(elapsed_s), **stored)  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
            if os.name == "nt":
                stream.close()  # Windows renames no open file
            part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OutputError(f"checkpoint {path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _locked_part(part: Path) -> Iterator[IO[bytes]]:
    """The empty file that becomes a checkpoint; another run that writes the same one is waited for."""
    from filelock import lock_descriptor

    while True:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b") as stream:
            lock_descriptor(stream.fileno())
            # What was locked may have got its final name while it was waited for.
            if part.exists() and os.path.samestat(os.fstat(stream.fileno()), part.stat()):
                stream.truncate(0)
                yield stream
                return


def _stored(sums: BatchSums, prefix: str) -> dict[str, NDArray[Any]]:
    named: dict[str, NDArray[Any]] = {
        "total": sums.total,
        "squares": sums.squares,
        "groups": sums.groups,
        "group_histories": sums.group_histories,
        "group_scale": np.array(sums.group_scale),
        "counters": sums.counters,
        "numbers": np.array([sums.histories, sums.batches]),
        "watched": sums.watched,
    }
    if sums.coefficient is not None:
        named["coefficient"] = sums.coefficient
    return {prefix + name: values for name, values in named.items()}


def _restored(stored: Mapping[str, NDArray[Any]], prefix: str) -> BatchSums:
    return BatchSums(
        total=stored[prefix + "total"],
        squares=stored[prefix + "squares"],
        groups=stored[prefix + "groups"],
        group_histories=stored[prefix + "group_histories"],
        group_scale=float(stored[prefix + "group_scale"]),
        counters=stored[prefix + "counters"],
        histories=int(stored[prefix + "numbers"][0]),
        batches=int(stored[prefix + "numbers"][1]),
        watched=stored[prefix + "watched"],
        coefficient=stored.get(prefix + "coefficient"),
    )


def load_checkpoint(path: Path, mark: str) -> tuple[BatchSums, float]:
    """Sums and elapsed seconds of the run with that fingerprint.

    Raises
    ------
    InputError
        If the file is no checkpoint, or one of another run.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["mark"]) != mark:
                raise InputError(
                    f"checkpoint {path}: belongs to another run (activity, density, nuclide, seed, step model or "
                    "version differ)",
                    remedy="give the inputs it was made from, or another file as `checkpoint`",
                )
            sums = _restored(stored, "")
            if "parts_total" in stored:
                sums.parts = _restored(stored, "parts_")
            return sums, float(stored["elapsed_s"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"checkpoint {path}: cannot be read as one ({error})", remedy="remove it to start anew"
        ) from error
