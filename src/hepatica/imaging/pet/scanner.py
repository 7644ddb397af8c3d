"""PET scanners as data: where the crystals are, what coincides, how well time and energy are told."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.tables.shipped import toml_table
from hepatica.errors import InputError, UnknownNameError

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int32]

HALF_LIGHT_MM_PER_PS = 0.299792458 / 2
"""A photon pair's difference in time of 1 ps is so many mm along its line (SI: speed of light)."""

ANNIHILATION_KEV = 510.99895

CRYSTALS = ("lso", "lyso", "bgo")

ROUNDED = 0.01
"""Crystals and rings are published to a tenth of a millimetre: so much may they overlap."""
FITS = 0.05
"""Modules may be so much wider than their flat places in the ring: a published pitch is often that at a depth."""
PLAUSIBLE_WINDOW_NS = (1.0, 30.0)
"""Whole coincidence windows: 4 ns (time of flight) to 12 ns (BGO), block detectors before them up to 24 ns."""
SAME_WINDOW = 0.02
"""Bins of time of flight cover the window of every shipped scanner within 1.1 %."""


@dataclass(frozen=True, slots=True)
class TimeOfFlight:
    """How the difference of two arrival times is told.

    Attributes
    ----------
    bins : int
        Number of bins, odd; the middle one is at equal times.
    bin_ps : float
        Width of a bin in ps.
    fwhm_ps : float
        Resolution of the difference.
    """

    bins: int
    bin_ps: float
    fwhm_ps: float

    def __post_init__(self) -> None:
        if self.bins < 1 or self.bins % 2 == 0 or not self.bin_ps > 0 or not self.fwhm_ps > 0:
            raise InputError(
                f"time of flight needs an odd number of bins, a width and a resolution above 0, not {self.bins} bins "
                f"of {self.bin_ps:g} ps with {self.fwhm_ps:g} ps"
            )

    @property
    def bin_mm(self) -> float:
        """Width of a bin along the line."""
        return self.bin_ps * HALF_LIGHT_MM_PER_PS

    @property
    def sd_mm(self) -> float:
        """Standard deviation of the place along the line."""
        return self.fwhm_ps * HALF_LIGHT_MM_PER_PS / FWHM_PER_SD


@dataclass(frozen=True, slots=True)
class Scanner:
    """A cylinder of crystals in flat modules; its axis is the patient's head-feet axis.

    Crystals are numbered ring by ring from the feet (lowest z of LPS), around the ring from the patient's left (+x)
    towards the back (+y). Places between modules that hold no crystal have no number.

    Attributes
    ----------
    name : str
        Maker's name.
    crystal : str
        "lso", "lyso" or "bgo"; the first two hold 176Lu.
    radius_mm, depth_mm : float
        Axis to the crystals' front face; mean depth of interaction beyond it, where lines begin.
    modules_around, module_crystals, module_gap : int
        Flat modules of a ring, crystals of each, empty places between two.
    modules_along, module_rings, module_ring_gap : int
        The same along the axis.
    pitch_mm : tuple of float
        Of the crystals, around the ring and along the axis.
    crystal_mm : tuple of float
        A crystal around the ring, along the axis, in depth.
    energy_window_kev : tuple of float
        Accepted energies.
    energy_resolution : float
        FWHM over energy at 511 keV.
    coincidence_window_ns : float
        Whole width, 2 tau.
    time_of_flight : TimeOfFlight or None
        None where the scanner has none.
    ring_difference : int
        Largest difference of rings of a coincidence.
    field_mm : float
        Diameter about the axis that a line must cross.
    sensitivity_cps_per_kbq : float or None
        NEMA NU 2 at the centre.
    sources : tuple of str
        Where geometry, time of flight and sensitivity were taken from.
    block : tuple of int
        Crystals of a block around the ring and along the axis: those whose light is added up to one energy. (0, 0)
        for the whole module.
    counted_share : float
        Measured: of the photons that the model counts, those that the scanner counts, from its NEMA sensitivity. It
        holds what no geometry says: housing and covers, light lost at borders of crystals and blocks, trigger losses.
    adds_blocks : bool
        Whether a photon that scattered from one block into another is put together again.
    dead_time_ns : float
        Of a block, for each photon in its energy window (paralysable), effective: from the place of the peak of the
        noise-equivalent rate; 0 where it is not known.
    """

    name: str
    crystal: str
    radius_mm: float
    depth_mm: float
    modules_around: int
    module_crystals: int
    module_gap: int
    modules_along: int
    module_rings: int
    module_ring_gap: int
    pitch_mm: tuple[float, float]
    crystal_mm: tuple[float, float, float]
    energy_window_kev: tuple[float, float]
    energy_resolution: float
    coincidence_window_ns: float
    time_of_flight: TimeOfFlight | None
    ring_difference: int
    field_mm: float
    sensitivity_cps_per_kbq: float | None = None
    sources: tuple[str, ...] = ()
    block: tuple[int, int] = (0, 0)
    counted_share: float = 1.0
    adds_blocks: bool = False
    dead_time_ns: float = 0.0

    def __post_init__(self) -> None:
        lengths = (self.radius_mm, *self.pitch_mm, *self.crystal_mm, self.field_mm, self.coincidence_window_ns)
        counts = (self.modules_around, self.module_crystals, self.modules_along, self.module_rings)
        if min(lengths) <= 0 or min(counts) < 1 or min(self.depth_mm, self.module_gap, self.module_ring_gap) < 0:
            raise InputError(f"scanner {self.name}: radius, pitch, crystals, modules and window must be above zero")
        if self.depth_mm > self.crystal_mm[2]:
            raise InputError(
                f"scanner {self.name}: interactions at a mean depth of {self.depth_mm:g} mm are behind crystals of "
                f"{self.crystal_mm[2]:g} mm"
            )
        if self.field_mm >= 2 * self.radius_mm:
            raise InputError(f"scanner {self.name}: a field of {self.field_mm:g} mm does not lie within the ring")
        low, high = self.energy_window_kev
        if not 0 < low < ANNIHILATION_KEV < high or not 0 < self.energy_resolution < 1:
            raise InputError(
                f"scanner {self.name}: the energy window must hold 511 keV and the resolution lie between 0 and 1, not "
                f"{low:g} to {high:g} keV, {self.energy_resolution:g}"
            )

        whole = (self.module_crystals, self.module_rings)
        if any(part < 0 or (part and total % part) for part, total in zip(self.block, whole, strict=True)):
            raise InputError(
                f"scanner {self.name}: a module of {whole[0]} x {whole[1]} crystals does not consist of blocks of "
                f"{self.block[0]} x {self.block[1]}"
            )
        self._require_built()
        self._require_times()
        if not 0 < self.counted_share <= 1:
            raise InputError(f"scanner {self.name}: {self.counted_share:g} of the photons counted is no share")
        if not (np.isfinite(self.dead_time_ns) and self.dead_time_ns >= 0):
            raise InputError(f"scanner {self.name}: a dead time of {self.dead_time_ns:g} ns is none")

    def _require_built(self) -> None:
        """InputError where crystals overlap, modules do not fit into the ring, or the ring difference is too large."""
        places = zip(self.crystal_mm, self.pitch_mm, ("around the ring", "along the axis"), strict=False)
        for size, pitch, where in places:
            if size > pitch * (1 + ROUNDED):
                raise InputError(
                    f"scanner {self.name}: crystals of {size:g} mm overlap at a pitch of {pitch:g} mm {where}",
                    remedy="correct `size` or `pitch`: both in mm, around the ring first",
                )
        width = (self.module_crystals - 1) * self.pitch_mm[0] + self.crystal_mm[0]
        side = 2 * self.radius_mm * math.tan(math.pi / self.modules_around) if self.modules_around > 2 else math.inf
        if width > side * (1 + FITS):
            raise InputError(
                f"scanner {self.name}: {self.modules_around} modules of {width:.1f} mm do not fit into a ring of a "
                f"radius of {self.radius_mm:g} mm, where each has {side:.1f} mm",
                remedy="correct `radius`, `blocks`, `crystals` or `pitch`",
            )
        if not 0 <= self.ring_difference < self.rings:
            raise InputError(
                f"scanner {self.name}: a ring difference of {self.ring_difference} is not one of {self.rings} rings; 0 "
                f"to {self.rings - 1}",
                remedy="correct `ring_difference`",
            )

    def _require_times(self) -> None:
        """InputError where the window is none, or is not what the bins of time of flight cover."""
        low, high = PLAUSIBLE_WINDOW_NS
        window, tof = self.coincidence_window_ns, self.time_of_flight
        if not low <= window <= high:
            raise InputError(
                f"scanner {self.name}: a coincidence window of {window:g} ns is none; {low:g} to {high:g} ns",
                remedy="state `window` in ns, its whole width (2 tau)",
            )
        if tof is None:
            return
        covered = tof.bins * tof.bin_ps / 1000
        if abs(covered / window - 1) > SAME_WINDOW:
            raise InputError(
                f"scanner {self.name}: {tof.bins} bins of time of flight of {tof.bin_ps:g} ps cover {covered:.3g} ns, "
                f"the coincidence window is {window:g} ns: what coincides outside of the bins would be lost, or bins "
                "would stay empty",
                remedy="correct `tof_bins`, `tof_bin_ps` or `window`, so that the bins cover the window",
            )

    @property
    def block_crystals(self) -> tuple[int, int]:
        """Crystals of a block around the ring and along the axis."""
        return self.block[0] or self.module_crystals, self.block[1] or self.module_rings

    @property
    def blocks(self) -> int:
        """Blocks of the scanner."""
        around, along = self.block_crystals
        return self.crystals // (around * along)

    @property
    def untimed(self) -> Scanner:
        """The same without time of flight; its window is what the bins held, so that randoms stay as many."""
        tof = self.time_of_flight
        if tof is None:
            return self
        return replace(self, time_of_flight=None, coincidence_window_ns=tof.bins * tof.bin_ps / 1000)

    @property
    def crystals_per_ring(self) -> int:
        """Crystals around a ring."""
        return self.modules_around * self.module_crystals

    @property
    def rings(self) -> int:
        """Rings along the axis."""
        return self.modules_along * self.module_rings

    @property
    def crystals(self) -> int:
        """All crystals."""
        return self.rings * self.crystals_per_ring

    @property
    def length_mm(self) -> float:
        """Along the axis, from border to border of the outermost crystals."""
        z = self.ring_z_mm
        return float(z[-1] - z[0] + self.pitch_mm[1])

    @property
    def ring_z_mm(self) -> FloatArray:
        """Middle of each ring from the middle of the scanner, shape (rings,)."""
        return _places(self.modules_along, self.module_rings, self.module_ring_gap, self.pitch_mm[1])

    def module_angle(self, module: int) -> float:
        """Direction of a module's middle seen from the axis, radians."""
        return 2 * math.pi * module / self.modules_around

    def positions_mm(self, depth_mm: float | None = None) -> FloatArray:
        """Points of the crystals at a depth (the mean depth if None) from the scanner's middle, shape (crystals, 3)."""
        apothem = self.radius_mm + (self.depth_mm if depth_mm is None else depth_mm)
        along = (np.arange(self.module_crystals) - (self.module_crystals - 1) / 2) * self.pitch_mm[0]
        angle = 2 * np.pi * np.arange(self.modules_around) / self.modules_around
        x = apothem * np.cos(angle)[:, None] - along * np.sin(angle)[:, None]
        y = apothem * np.sin(angle)[:, None] + along * np.cos(angle)[:, None]
        ring = np.stack([x.ravel(), y.ravel()], axis=1)
        found = np.empty((self.rings, self.crystals_per_ring, 3))
        found[..., :2] = ring
        found[..., 2] = self.ring_z_mm[:, None]
        return found.reshape(-1, 3)

    def normals(self) -> FloatArray:
        """Unit vectors from the crystals towards the axis, shape (crystals, 3)."""
        module = np.arange(self.crystals_per_ring) // self.module_crystals
        angle = 2 * np.pi * module / self.modules_around
        ring = np.stack([-np.cos(angle), -np.sin(angle), np.zeros_like(angle)], axis=1)
        return np.tile(ring, (self.rings, 1))

    def accepts(self, first: Integers, second: Integers) -> NDArray[np.bool_]:
        """Whether pairs of crystals may coincide: rings near enough to each other, line across the field."""
        difference = np.abs(first // self.crystals_per_ring - second // self.crystals_per_ring)
        return np.asarray((difference <= self.ring_difference) & (self.distance_mm(first, second) <= self.field_mm / 2))

    def distance_mm(self, first: Integers, second: Integers) -> FloatArray:
        """Least distance of lines from the axis."""
        ring = self.positions_mm()[: self.crystals_per_ring, :2]
        a, b = ring[first % self.crystals_per_ring], ring[second % self.crystals_per_ring]
        across = np.hypot(*(b - a).T)
        area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
        return np.asarray(np.divide(area, across, out=np.full_like(area, np.inf), where=across > 0))


def _places(modules: int, each: int, gap: int, pitch_mm: float) -> FloatArray:
    """Middles of `each` places in each of `modules`, with `gap` empty ones between them, about 0."""
    place = (np.arange(modules)[:, None] * (each + gap) + np.arange(each)).ravel()
    return np.asarray((place - place.mean()) * pitch_mm)


@functools.cache
def scanner_names() -> tuple[str, ...]:
    """Names under which scanners are shipped."""
    return tuple(toml_table(__package__, "scanners.toml"))


@functools.cache
def scanner(name: str) -> Scanner:
    """A shipped scanner by its name or the maker's, whatever the case, blanks and strokes.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    table = toml_table(__package__, "scanners.toml")
    wanted = _plain(name)
    for key, row in table.items():
        if wanted in {_plain(key), _plain(row["name"]), *map(_plain, row.get("aliases", ()))}:
            return _from_row({**table[row["like"]], **row} if "like" in row else row)
    raise UnknownNameError("PET scanner", name, tuple(table))


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def scanner_from_table(row: Mapping[str, Any], where: str) -> Scanner:
    """A scanner that a user describes, with the keys of the shipped ones.

    ``like`` names a shipped scanner whose keys hold where none is given.

    Parameters
    ----------
    row : mapping
        As an entry of ``tables/scanners.toml``.
    where : str
        File, for the messages.

    Raises
    ------
    InputError
        If a key is unknown, missing or of the wrong kind, or the numbers make no scanner.
    """
    shipped = toml_table(__package__, "scanners.toml")
    base: dict[str, Any] = {}
    if "like" in row:
        like = next((key for key in shipped if _plain(key) == _plain(str(row["like"]))), None)
        if like is None:
            raise UnknownNameError("PET scanner", str(row["like"]), tuple(shipped))
        base = dict(shipped[like])
        base = {**shipped[base["like"]], **base} if "like" in base else base
    unknown = set(row) - KEYS - {"like"}
    if unknown:
        raise InputError(f"{where}: {', '.join(sorted(unknown))}: unknown; a scanner has {', '.join(sorted(KEYS))}")
    whole = {**base, **row}
    missing = NEEDED - set(whole)
    if missing:
        raise InputError(
            f"{where}: {', '.join(sorted(missing))}: missing", remedy="name a shipped scanner with the key like"
        )
    try:
        return _from_row(whole)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"{where}: is no scanner ({error})") from error


def scanner_table(scanner: Scanner) -> dict[str, Any]:
    """The table of which `scanner_from_table` makes the same scanner."""
    tof = scanner.time_of_flight
    found = {key: getattr(scanner, field) for key, field in FIELDS.items()}
    found = {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
    if tof is not None:
        found |= {"tof_bins": tof.bins, "tof_bin_ps": tof.bin_ps, "tof_fwhm_ps": tof.fwhm_ps}
    if scanner.sensitivity_cps_per_kbq is None:
        found.pop("sensitivity")
    return found | dict(zip(SOURCES, scanner.sources, strict=False))


FIELDS = {
    "name": "name", "crystal": "crystal", "radius": "radius_mm", "depth": "depth_mm", "blocks": "modules_around",
    "crystals": "module_crystals", "gap": "module_gap", "modules": "modules_along", "module_rings": "module_rings",
    "module_gap": "module_ring_gap", "pitch": "pitch_mm", "size": "crystal_mm", "energy": "energy_window_kev",
    "resolution": "energy_resolution", "window": "coincidence_window_ns", "ring_difference": "ring_difference",
    "field": "field_mm", "sensitivity": "sensitivity_cps_per_kbq", "block": "block", "adds_blocks": "adds_blocks",
    "counted": "counted_share",
    "dead_time": "dead_time_ns",
}  # fmt: skip
"""Key of a scanner's table -> field."""
SOURCES = ("geometry_source", "tof_source", "nema_source")
OPTIONAL = frozenset({"sensitivity", "block", "adds_blocks", "counted", "dead_time", "crystal"})
NEEDED = frozenset(FIELDS) - OPTIONAL
KEYS = (
    frozenset(FIELDS) | {"tof_bins", "tof_bin_ps", "tof_fwhm_ps", "aliases", "sure", "dead_time_source", "nema"}
    | frozenset(SOURCES)
)  # fmt: skip


def _from_row(row: dict[str, Any]) -> Scanner:
    tof = None
    if "tof_fwhm_ps" in row:
        tof = TimeOfFlight(int(row["tof_bins"]), float(row["tof_bin_ps"]), float(row["tof_fwhm_ps"]))
    crystal = str(row.get("crystal", "lso"))
    if crystal not in CRYSTALS:
        raise UnknownNameError("crystal", crystal, CRYSTALS)
    return Scanner(
        name=str(row["name"]),
        crystal=crystal,
        radius_mm=float(row["radius"]),
        depth_mm=float(row["depth"]),
        modules_around=int(row["blocks"]),
        module_crystals=int(row["crystals"]),
        module_gap=int(row["gap"]),
        modules_along=int(row["modules"]),
        module_rings=int(row["module_rings"]),
        module_ring_gap=int(row["module_gap"]),
        pitch_mm=_numbers(row["pitch"], 2),
        crystal_mm=_numbers(row["size"], 3),
        energy_window_kev=_numbers(row["energy"], 2),
        energy_resolution=float(row["resolution"]),
        coincidence_window_ns=float(row["window"]),
        time_of_flight=tof,
        ring_difference=int(row["ring_difference"]),
        field_mm=float(row["field"]),
        sensitivity_cps_per_kbq=row.get("sensitivity"),
        sources=tuple(str(row[of]) for of in SOURCES if of in row),
        block=_numbers(row.get("block", (0, 0)), 2, int),
        counted_share=float(row.get("counted", 1.0)),
        adds_blocks=bool(row.get("adds_blocks", False)),
        dead_time_ns=float(row.get("dead_time", 0.0)),
    )


def _numbers(values: Any, count: int, kind: type = float) -> tuple[Any, ...]:
    found = tuple(kind(value) for value in values)
    if len(found) != count:
        raise ValueError(f"{count} numbers are needed, not {len(found)}")
    return found
