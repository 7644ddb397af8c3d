"""A multi-echo gradient-echo acquisition: magnitude, and phase where there is one, at several echo times."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core import Grid, InputFile, Kind, Volume
from hepatica.core.context import DicomContext
from hepatica.core.image import Acquisition, Image
from hepatica.core.message import Message
from hepatica.core.options.values import maker
from hepatica.errors import GeometryError, InputError, UnitError

Echoes = NDArray[np.float32]

SAME_ECHO_S = 1e-5
"""Echo times closer than ten microseconds are one and the same: headers round to that."""

LONGEST_ECHO_S = 1.0
"""An echo time above a second is another unit."""

FIELDS_T = (0.05, 14.0)
"""Field strengths of scanners for people and animals."""


@dataclass(frozen=True, slots=True, eq=False)
class MultiEcho:
    """Images of one slab of the patient at several echo times.

    Attributes
    ----------
    grid : Grid
        Voxels.
    echo_times_s : tuple of float
        Rising, s.
    magnitude : ndarray of float32, shape (echoes, i, j, k)
        Not negative, of the scanner's own unit.
    phase : ndarray of float32 or None
        Same shape, rad; None where none was kept.
    field_t : float
        Field strength, T.
    time : datetime or None
        Start of the acquisition.
    slice_mm : tuple of float
        Thickness of what a voxel sees along i, j, k; the spacing unless the slice is thicker or thinner.
    name : str
        For messages.
    context : DicomContext or None
        Patient and study; None for what is no DICOM.
    source : InputFile
        Files and hash, for the provenance.
    scanner : str
        Manufacturer and model.
    messages : tuple of Message
        What was assumed.
    """

    grid: Grid
    echo_times_s: tuple[float, ...]
    magnitude: Echoes
    phase: Echoes | None
    field_t: float
    time: datetime | None
    slice_mm: tuple[float, float, float]
    name: str
    context: DicomContext | None = None
    source: InputFile = field(default_factory=lambda: InputFile("mr", "array", "", files=0))
    scanner: str = ""
    messages: tuple[Message, ...] = ()

    def __post_init__(self) -> None:
        _require_times(self.echo_times_s, self.name)
        if not FIELDS_T[0] <= self.field_t <= FIELDS_T[1]:
            raise InputError(f"{self.name}: a field strength of {self.field_t:g} T is none of an MR scanner (T)")
        for part, values in (("magnitude", self.magnitude), ("phase", self.phase)):
            if values is None:
                continue
            wanted = (len(self.echo_times_s), *self.grid.shape)
            if values.shape != wanted:
                raise GeometryError(f"{self.name}: {part} of shape {values.shape}; {wanted} fits echo times and grid")
            if not np.isfinite(values).all():
                raise UnitError(f"{self.name}: {int((~np.isfinite(values)).sum())} voxels of the {part} are no numbers")
        if float(self.magnitude.min()) < 0:
            raise UnitError(f"{self.name}: the magnitude is negative in places: this is another kind of MR image")

    @classmethod
    @maker
    def from_arrays(
        cls,
        magnitude: ArrayLike,
        *,
        echo_times_s: Sequence[float],
        field_t: float,
        grid: Grid,
        phase: ArrayLike | None = None,
        time: datetime | None = None,
        slice_mm: tuple[float, float, float] | None = None,
        name: str = "array",
    ) -> MultiEcho:
        """A multi-echo acquisition of arrays; echoes in any order.

        Parameters
        ----------
        magnitude : array_like, shape (echoes, i, j, k)
            One image for each echo time.
        echo_times_s : sequence of float
            Of each, s.
        field_t : float
            T.
        grid : Grid
            Voxels.
        phase : array_like or None
            Same shape, rad.
        time : datetime or None
            Of the acquisition.
        slice_mm : tuple of float or None
            What a voxel sees along i, j, k; by default the spacing.
        name : str
            For messages.

        Raises
        ------
        InputError
            If echo times are fewer than two, not positive, or equal, or the field strength is none.
        GeometryError, UnitError
            If the arrays do not fit the grid, are not finite, or the magnitude is negative.
        """
        values = np.asarray(magnitude, dtype=np.float32)
        if values.ndim != 4 or len(values) != len(echo_times_s):
            raise GeometryError(
                f"{name}: magnitude of shape {values.shape} for {len(echo_times_s)} echo times; "
                "one three-dimensional image for each is needed"
            )
        order = np.argsort(np.asarray(echo_times_s, dtype=float), kind="stable")
        values = np.ascontiguousarray(values[order])
        values.setflags(write=False)
        turned = None
        if phase is not None:
            turned = np.asarray(phase, dtype=np.float32)
            if turned.shape != values.shape:
                raise GeometryError(f"{name}: phase of shape {turned.shape}, magnitude of {values.shape}")
            turned = np.ascontiguousarray(turned[order])
            turned.setflags(write=False)
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        return cls(
            grid, tuple(float(echo_times_s[n]) for n in order), values, turned, float(field_t), time,
            slice_mm or grid.spacing_mm, name, source=InputFile("mr", name, digest, files=0),
        )  # fmt: skip

    @property
    def echoes(self) -> int:
        """How many."""
        return len(self.echo_times_s)

    @property
    def first_image(self) -> Image:
        """The image of the first echo, without a unit, as what structures are read onto."""
        volume = Volume(self.grid, self.magnitude[0], Kind.UNKNOWN, self.time, self.name)
        facts = Acquisition(modality="MR", scanner=self.scanner, start=self.time)
        return Image(volume, self.context, facts, self.source, messages=self.messages)

    def used_as(self, role: str) -> MultiEcho:
        """Same acquisition, named in the provenance by what it is used as."""
        return replace(self, source=replace(self.source, role=role))

    def __repr__(self) -> str:
        times = ", ".join(f"{1000 * t:.3g}" for t in self.echo_times_s)
        with_phase = "with phase" if self.phase is not None else "magnitude alone"
        return f"<MultiEcho {self.name}: {self.field_t:g} T, echoes at {times} ms, {with_phase}, {self.grid}>"


def _require_times(times: tuple[float, ...], name: str) -> None:
    if len(times) < 2:
        raise InputError(
            f"{name}: {len(times)} echo time{'' if len(times) == 1 else 's'}; R2* needs at least two",
            remedy="give all series of the acquisition: each holds one echo",
        )
    if not all(np.isfinite(times)) or min(times) <= 0:
        raise InputError(f"{name}: echo times must be positive, not {list(times)} s")
    if max(times) > LONGEST_ECHO_S:
        raise InputError(f"{name}: an echo time of {max(times):g} s is above {LONGEST_ECHO_S:g} s: in another unit?")
    for one, other in itertools.pairwise(times):
        if other - one < SAME_ECHO_S:
            raise InputError(
                f"{name}: two images have the same echo time, {1000 * one:g} ms: they are no echoes of one decay",
                remedy="give one acquisition, echo times rising",
            )
