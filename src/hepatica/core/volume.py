"""A grid, the numbers in it, what they measure, and the instant they refer to."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.grid import Grid
from hepatica.core.numbers.units import unit_factor
from hepatica.errors import GeometryError, UnitError


class Kind(Enum):
    """What the voxels of a volume measure, with its unit.

    An extensive kind (counts, becquerels or decays per voxel) is summed when voxels merge; an intensive one
    (a concentration, a density, a dose) is averaged.
    """

    HU = ("Hounsfield units", "HU", False)
    COUNTS = ("counts per voxel", "counts", True)
    COUNT_RATE = ("count rate per voxel", "cps", True)
    ACTIVITY = ("activity per voxel", "Bq", True)
    ACTIVITY_CONCENTRATION = ("activity concentration", "Bq/mL", False)
    DECAYS = ("time-integrated activity per voxel", "Bq s", True)
    ENERGY = ("energy per voxel", "J", True)
    DENSITY = ("mass density", "g/mL", False)
    DOSE = ("absorbed dose", "Gy", False)
    DOSE_SD = ("standard uncertainty of absorbed dose", "Gy", False)
    LABEL = ("integer labels", "", False)
    FRACTION = ("fraction of the voxel", "", False)
    UNKNOWN = ("not stated", "unknown", False)

    def __init__(self, meaning: str, unit: str, extensive: bool) -> None:
        self.meaning = meaning
        self.unit = unit
        self.extensive = extensive


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Voxel values on a grid.

    Parameters
    ----------
    grid : Grid
        Where the voxels are.
    values : array_like, shape ``grid.shape``
        Value of voxel [i, j, k]; kept as given if float32 or float64 (integers for labels), otherwise as float32.
        Made read-only.
    kind : Kind
        What the values measure, with unit.
    time : datetime or None
        Instant the values refer to (for an activity: the instant it is decay-corrected to); None if it has none.
    name : str
        For messages and reports ("PET series 4").

    Raises
    ------
    GeometryError
        If the array's shape is not the grid's.
    """

    grid: Grid
    values: NDArray[Any]
    kind: Kind
    time: datetime | None = None
    name: str = ""

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.shape != self.grid.shape:
            raise GeometryError(f"array of shape {values.shape} does not fit {self.grid}")
        if self.kind is not Kind.LABEL and values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float32)
        values = values.view()
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def with_values(self, values: ArrayLike, kind: Kind | None = None, **changes: Any) -> Volume:
        """Same grid, new values; `kind`, `time` and `name` stay unless given."""
        changes = {"time": self.time, "name": self.name} | changes
        return Volume(self.grid, np.asarray(values), kind or self.kind, **changes)

    def filled(self, value: float = 0.0) -> Volume:
        """Same volume with a value where it is NaN."""
        return self.with_values(np.nan_to_num(self.values, nan=value))

    def in_frame(self, frame_of_reference: str | None) -> Volume:
        """The same voxels in another frame of reference, that was checked or stated to be the same."""
        grid = self.grid.with_frame_of_reference(frame_of_reference)
        return Volume(grid, self.values, self.kind, self.time, self.name)

    def require_kind(self, *kinds: Kind) -> None:
        """Raise UnitError unless the values measure one of `kinds`."""
        if self.kind not in kinds:
            wanted = " or ".join(f"{kind.meaning} ({kind.unit})" for kind in kinds)
            raise UnitError(f"{self.name or 'volume'}: holds {self.kind.meaning}; needed: {wanted}")

    def require_finite(self) -> None:
        """Raise UnitError if a voxel is NaN or infinite, naming how many and the first."""
        if (bad := ~np.isfinite(self.values)).any():
            first = tuple(int(n[0]) for n in np.nonzero(bad))
            raise UnitError(f"{self.name or 'volume'}: {int(bad.sum())} voxels are NaN or infinite, first at {first}")

    @property
    def total(self) -> float:
        """Sum over all voxels; an intensive kind is first multiplied by the voxel's volume in mL."""
        scale = 1.0 if self.kind.extensive else self.grid.voxel_volume_ml
        return float(self.values.sum(dtype=np.float64)) * scale

    def __repr__(self) -> str:
        low, high = float(np.min(self.values)), float(np.max(self.values))
        when = f" at {self.time.isoformat(sep=' ', timespec='seconds')}" if self.time else ""
        label = f"{self.name}: " if self.name else ""
        return f"<Volume {label}{self.kind.meaning}, {low:.4g} to {high:.4g} {self.kind.unit}{when} on {self.grid}>"


class RecomputedVolume(Volume):
    """A volume whose values are made again when they are asked for, unless somebody still holds them.

    Values and densities of a clinical CT are 400 MB each, needed while a dose is computed and hardly ever after.
    Whoever reads several parts of them holds `values` meanwhile.

    Parameters
    ----------
    made : Volume
        The volume as it is now; it is not kept.
    make : callable
        Makes the very same values again.
    """

    __slots__ = ("_kept", "_make")
    _kept: weakref.ref[NDArray[Any]]
    _make: Callable[[], NDArray[Any]]

    def __init__(self, made: Volume, make: Callable[[], NDArray[Any]]) -> None:
        for name, value in (("grid", made.grid), ("kind", made.kind), ("time", made.time), ("name", made.name)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_make", make)
        object.__setattr__(self, "_kept", weakref.ref(made.values))

    @classmethod
    def packed(cls, volume: Volume) -> Volume:
        """A volume of whole numbers, as CT numbers are, kept in two bytes each; any other as it is."""
        small = np.empty_like(volume.values, dtype=np.int16)
        # Plane by plane as they lie in memory: no second volume beside it.
        slowest = int(np.argmax(np.abs(volume.values.strides)))
        for plane, out in zip(np.moveaxis(volume.values, slowest, 0), np.moveaxis(small, slowest, 0), strict=True):
            limits = np.iinfo(np.int16)
            if not (plane.min() >= limits.min and plane.max() <= limits.max):  # NaN is neither
                return volume
            out[...] = plane
            if not np.array_equal(out, plane):
                return volume
        dtype = volume.values.dtype
        return cls(volume, lambda: small.astype(dtype))

    @property
    def values(self) -> NDArray[Any]:
        """Value of voxel [i, j, k], read-only."""
        found = self._kept()
        if found is None:
            found = Volume(self.grid, self._make(), self.kind).values
            object.__setattr__(self, "_kept", weakref.ref(found))
        return found

    def in_frame(self, frame_of_reference: str | None) -> RecomputedVolume:
        """As of any volume; nothing is made again for it."""
        moved = object.__new__(RecomputedVolume)
        for name in ("kind", "time", "name", "_make", "_kept"):
            object.__setattr__(moved, name, getattr(self, name))
        object.__setattr__(moved, "grid", self.grid.with_frame_of_reference(frame_of_reference))
        return moved

    def __reduce__(self) -> tuple[Any, ...]:
        return Volume, (self.grid, self.values, self.kind, self.time, self.name)


_TARGETS: tuple[tuple[Kind, str], ...] = (
    (Kind.ACTIVITY_CONCENTRATION, "Bq/mL"),
    (Kind.ACTIVITY, "Bq"),
    (Kind.DECAYS, "Bq s"),
    (Kind.DENSITY, "g/mL"),
    (Kind.DOSE, "Gy"),
)

_WORDS = {
    "hu": Kind.HU,
    "counts": Kind.COUNTS,
    "count": Kind.COUNTS,
    "cps": Kind.COUNT_RATE,
    "label": Kind.LABEL,
    "labels": Kind.LABEL,
    "fraction": Kind.FRACTION,
    "decays": Kind.DECAYS,
    "unknown": Kind.UNKNOWN,
}


def whole_labels(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Labels as integers; UnitError if they are no whole numbers. Integers stay as they are."""
    if np.issubdtype(values.dtype, np.integer):
        return values.copy()
    whole = np.rint(values)
    if not np.isfinite(values).all() or not np.array_equal(whole, values) or np.abs(whole).max() > 2**31 - 1:
        raise UnitError(f"{name}: labels must be whole numbers")
    return np.asarray(whole.astype(np.int32))


def voxel_unit(text: str) -> tuple[Kind, float]:
    """What a voxel holds, and the factor to hepatica's unit of that kind.

    >>> voxel_unit("MBq h")
    (<Kind.DECAYS: ('time-integrated activity per voxel', 'Bq s', True)>, 3600000000.0)

    Raises
    ------
    UnitError
        If the unit is unknown.
    """
    if (kind := _WORDS.get(text.strip().lower())) is not None:
        return kind, 1.0
    for kind, unit in _TARGETS:
        try:
            return kind, unit_factor(text, unit, "voxel unit")
        except UnitError:
            continue
    known = ", ".join([unit for _, unit in _TARGETS] + sorted({"HU", "counts", "cps", "label", "fraction"}))
    raise UnitError(f"voxel unit {text!r} is not known; expected one like {known}")
