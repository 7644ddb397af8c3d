"""Gamma cameras as data: collimator, crystal and what follows from them by the formulas of Anger.

Resolution and sensitivity are those of geometry: photons through holes. What penetrates septa is not in them; it is
little for a collimator that suits the energy and much for one that does not (`GammaCamera.messages` says so).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.core.tables.shipped import csv_rows, toml_table
from hepatica.errors import InputError, PhysicsError, UnknownNameError
from hepatica.imaging.spect.projections import Window
from hepatica.nuclides import ImagingMode, Nuclide

LEAD_DENSITY_G_ML = 11.35
REFERENCE_KEV = 140.5
"""Energy at which the tables give intrinsic and energy resolution."""

BEST_SEPTAL_PENETRATION = 0.05
"""Penetration of the shortest septal path below which a collimator counts as made for an energy (Anger; Sorenson and
Phelps, Physics in Nuclear Medicine)."""


MIN_PENETRATION, MAX_PENETRATION = 0.2, 5.0
"""Counts through lead over those of the model that a camera of this collimator can have. Septa a third thinner or
thicker change them by a factor of two to three at 364 keV (exp(-mu t)); beyond, it is another collimator."""


@dataclass(frozen=True, slots=True)
class Collimator:
    """A lead collimator with parallel hexagonal holes.

    Attributes
    ----------
    kind : str
        "LEHR", "LEAP", "MEGP" or "HEGP".
    hole_mm : float
        Across the flats.
    septum_mm, length_mm : float
        Thickness of the walls and length of the holes.
    """

    kind: str
    hole_mm: float
    septum_mm: float
    length_mm: float

    def __post_init__(self) -> None:
        if min(self.hole_mm, self.septum_mm, self.length_mm) <= 0:
            raise InputError(f"collimator {self.kind}: hole, septum and length must be positive")

    def effective_length_mm(self, energy_kev: float) -> float:
        """Length of the holes less two attenuation lengths of lead (their rims let photons through)."""
        length = self.length_mm - 2 / lead_mu_per_mm(energy_kev)
        if length <= self.hole_mm:
            raise PhysicsError(f"a {self.kind} collimator does not collimate {energy_kev:g} keV")
        return length

    def efficiency(self, energy_kev: float) -> float:
        """Photons through holes per photon emitted, whatever the distance.

        ``sqrt(3) / (8 pi) (d^2 / (l (d + t)))^2`` for hexagonal holes of flats d, walls t and effective length l: the
        open share of the face, (d / (d + t))^2, times the mean solid angle of a hole, area / l^2, over 4 pi.
        """
        ratio = self.hole_mm**2 / (self.effective_length_mm(energy_kev) * (self.hole_mm + self.septum_mm))
        return math.sqrt(3) / (8 * math.pi) * ratio**2

    def septal_penetration(self, energy_kev: float) -> float:
        """Share of photons that cross the shortest path through a septum, exp(-mu t l / (2 d + t))."""
        path = self.septum_mm * self.length_mm / (2 * self.hole_mm + self.septum_mm)
        return math.exp(-lead_mu_per_mm(energy_kev) * path)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of the head that photons cross: medium of `transport.composition`, density in g/mL, thickness in mm."""

    medium: str
    density_g_ml: float
    thickness_mm: float


@dataclass(frozen=True, slots=True)
class GammaCamera:
    """A head with its collimator.

    Attributes
    ----------
    name : str
        As in `CAMERA_NAMES`, or of the user's own.
    collimator : Collimator
        What stands in front.
    crystal_mm : float
        Thickness of the NaI(Tl) crystal; 9.525 and 15.875 (3/8 and 5/8 inch) are tabulated.
    gap_mm : float
        From the back of the collimator to the crystal.
    intrinsic_fwhm_mm, energy_resolution : float
        Full width at half maximum of position and relative energy at 140.5 keV; both grow as 1 / sqrt(energy).
    heads : int
        Number of heads.
    source, confidence : str
        Where the numbers come from.
    front, cover, back : tuple of Layer
        What photons cross before the collimator, in the gap before the crystal, and behind the crystal; only the
        detector's response table (`detector`) sees them.
    penetration : float
        What of the response table's counts through lead (septa, scatter in collimator and camera) this head sees: 1 as
        in the table; fitted by `calibrate_camera` from a source in air and one in water.
    """

    name: str
    collimator: Collimator
    crystal_mm: float
    gap_mm: float
    intrinsic_fwhm_mm: float
    energy_resolution: float
    heads: int = 2
    source: str = ""
    confidence: str = ""
    front: tuple[Layer, ...] = field(default=(), metadata=HIDDEN)
    cover: tuple[Layer, ...] = field(default=(), metadata=HIDDEN)
    back: tuple[Layer, ...] = field(default=(), metadata=HIDDEN)
    penetration: float = 1.0

    def __post_init__(self) -> None:
        if not MIN_PENETRATION <= self.penetration <= MAX_PENETRATION:
            raise InputError(
                f"camera {self.name}: counts through lead {self.penetration:g} times those of the table; possible are "
                f"{MIN_PENETRATION:g} to {MAX_PENETRATION:g}"
            )

    def geometric_fwhm_mm(self, distance_mm: float, energy_kev: float) -> float:
        """Width of the collimator's response at a distance from its face: d (l + z + b) / l (Anger 1964).

        b is the distance from the collimator's back to the middle of the crystal, l the effective length.
        """
        length = self.collimator.effective_length_mm(energy_kev)
        return self.collimator.hole_mm * (length + distance_mm + self.gap_mm + self.crystal_mm / 2) / length

    def intrinsic_fwhm_at(self, energy_kev: float) -> float:
        """Intrinsic resolution at an energy: light grows with energy, the width falls with its root."""
        return self.intrinsic_fwhm_mm * math.sqrt(REFERENCE_KEV / energy_kev)

    def system_fwhm_mm(self, distance_mm: float, energy_kev: float) -> float:
        """Geometric and intrinsic width, added in squares."""
        return math.hypot(self.geometric_fwhm_mm(distance_mm, energy_kev), self.intrinsic_fwhm_at(energy_kev))

    def window_fraction(self, energy_kev: float, window: Window) -> float:
        """Share of a line's photopeak inside a window, the peak a Gaussian of the camera's energy resolution."""
        sd = energy_kev * self.energy_resolution * math.sqrt(REFERENCE_KEV / energy_kev) / FWHM_PER_SD
        low, high = ((edge - energy_kev) / (sd * math.sqrt(2)) for edge in (window.low_kev, window.high_kev))
        return (math.erf(high) - math.erf(low)) / 2

    def photopeak_efficiency(self, energy_kev: float) -> float:
        """Photons whose whole energy stays in the crystal, per photon that reaches it.

        Raises
        ------
        InputError
            If the crystal's thickness is not tabulated.
        PhysicsError
            If the energy lies outside the table.
        """
        table = _materials()
        column = f"nai_photopeak_{self.crystal_mm:g}mm"
        if column not in table:
            known = ", ".join(name.split("_")[2] for name in table if name.startswith("nai"))
            raise InputError(
                f"camera {self.name}: no efficiency for a crystal of {self.crystal_mm:g} mm; known: {known}"
            )
        return _interpolated(column, energy_kev)

    def sensitivity_cps_per_bq(self, nuclide: Nuclide, window: Window) -> float:
        """Primary counts per second and becquerel in air, in one window of one head.

        The sum over the nuclide's photon lines of yield, geometric efficiency, photopeak efficiency and the share of
        the peak in the window. Photons scattered anywhere, and those through septa, come on top.

        Raises
        ------
        PhysicsError
            If no photon line falls into the window (bremsstrahlung of a pure beta emitter: needs Monte Carlo).
        """
        lines = self._lines(nuclide, window)
        return math.fsum(rate for _, rate in lines)

    def mean_energy_kev(self, nuclide: Nuclide, window: Window) -> float:
        """Energy of the lines that a window sees, weighted with what they contribute in air; errors as sensitivity."""
        lines = self._lines(nuclide, window)
        return math.fsum(e * rate for e, rate in lines) / math.fsum(rate for _, rate in lines)

    def _lines(self, nuclide: Nuclide, window: Window) -> list[tuple[float, float]]:
        table = _materials()["energy_kev"]
        found = []
        for line in nuclide.photons:
            if line.kind == "annihilation" or not table[0] <= line.energy_kev <= table[-1]:
                continue
            share = self.window_fraction(line.energy_kev, window)
            if share < 1e-6:
                continue
            rate = line.yield_per_decay * share * self.photopeak_efficiency(line.energy_kev)
            found.append((line.energy_kev, rate * self.collimator.efficiency(line.energy_kev)))
        if not math.fsum(rate for _, rate in found) > 0:
            raise PhysicsError(
                f"no photon line of {nuclide.name} falls into {window}; windows of its imaging modes: "
                f"{_windows_text(nuclide.imaging) or 'none with a line'}"
            )
        return found

    def messages(self, energy_kev: float) -> tuple[Message, ...]:
        """What to know before imaging this energy; empty if the collimator suits it."""
        share = self.collimator.septal_penetration(energy_kev)
        if share <= BEST_SEPTAL_PENETRATION:
            return ()
        text = (
            f"camera {self.name}: {share:.0%} of photons of {energy_kev:.0f} keV cross its thinnest septal path; "
            "penetration is not modelled by the analytic projector"
        )
        return (Message("septal-penetration", text, "take a collimator for higher energy"),)


def gamma_camera(name: str | GammaCamera) -> GammaCamera:
    """Camera of that name ("siemens-hegp"); a camera is given back as it is.

    Raises
    ------
    UnknownNameError
        If it is not in the list.

    Examples
    --------
    >>> round(gamma_camera("siemens-lehr").system_fwhm_mm(100.0, 140.5), 1)
    7.2
    """
    if isinstance(name, GammaCamera):
        return name
    key = name.strip().lower()
    if key not in _cameras():
        raise UnknownNameError("camera", name, _cameras())
    return _cameras()[key]


@dataclass(frozen=True, slots=True)
class WindowSet:
    """Windows that are acquired together: those around one peak, and those beside it for scatter."""

    peaks: tuple[Window, ...]
    scatter: tuple[Window, ...]
    collimator: str
    text: str

    def matches(self, wanted: str) -> bool:
        """Whether `wanted` is an energy in a peak window ("113"), or a peak window's limits ("105-195")."""
        numbers = window_numbers(wanted)
        if len(numbers) == 1:
            return any(peak.low_kev <= numbers[0] <= peak.high_kev for peak in self.peaks)
        limits = Window(numbers[0], numbers[1])
        return any(peak.is_near(limits) for peak in self.peaks)


def window_sets(nuclide: Nuclide, mode: str = "spect") -> tuple[WindowSet, ...]:
    """All sets of windows in use for a nuclide, the usual one first.

    Raises
    ------
    UnknownNameError
        If the nuclide has no such imaging mode.
    """
    modes = [found for found in nuclide.imaging if found.mode.startswith(mode)]
    if not modes:
        raise UnknownNameError(f"imaging mode of {nuclide.name}", mode, {m.mode for m in nuclide.imaging})
    return tuple(
        WindowSet(_windows(m.windows_kev, "peak"), _windows(m.scatter_windows_kev, "scatter"), m.collimator, m.text)
        for m in modes
    )


def nuclide_windows(
    nuclide: Nuclide, mode: str = "spect", which: Sequence[str] = ()
) -> tuple[tuple[Window, ...], tuple[Window, ...]]:
    """Main and scatter windows of a nuclide.

    Parameters
    ----------
    nuclide : Nuclide
        What is imaged.
    mode : str
        "spect" or "planar".
    which : sequence of str
        Energies ("113") or limits ("105-195") in keV, each of which chooses a set of windows, also with commas
        between them; "all" takes every set. The usual set by default.

    Raises
    ------
    UnknownNameError
        If the nuclide has no such mode or no such window.
    InputError
        If `which` cannot be read.

    Examples
    --------
    >>> from hepatica.nuclides import nuclide
    >>> peaks, beside = nuclide_windows(nuclide("Lu-177"), which=("208", "113"))
    >>> [str(window) for window in peaks]
    ['187.5-229.2 keV', '101.7-124.2 keV']
    """
    sets = window_sets(nuclide, mode)
    chosen = [] if which else list(sets[:1])
    for wanted in window_texts(which):
        if wanted.lower() == "all":
            chosen += sets
            continue
        found = next((one for one in sets if one.matches(wanted)), None)
        if found is None:
            known = {f"{peak.low_kev:g}-{peak.high_kev:g}" for one in sets for peak in one.peaks}
            raise UnknownNameError(f"window of {nuclide.name}", wanted, known)
        chosen.append(found)
    peaks = dict.fromkeys(window for one in chosen for window in one.peaks)
    return tuple(peaks), tuple(dict.fromkeys(window for one in chosen for window in one.scatter))


def window_texts(given: Sequence[str]) -> tuple[str, ...]:
    """Windows as they were named, each for itself: commas part them too.

    >>> window_texts(("208,113", "#2"))
    ('208', '113', '#2')
    """
    several = [given] if isinstance(given, str) else given
    return tuple(part.strip() for text in several for part in text.split(","))


def window_numbers(text: str) -> tuple[float, ...]:
    """Energy of "113" or limits of "105-195", with or without keV; InputError if it is neither."""
    parts = text.lower().replace("kev", "").split("-")
    try:
        numbers = tuple(float(part) for part in parts)
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 2) or not all(math.isfinite(number) for number in numbers):
        raise InputError(f"{text.strip()!r} is neither an energy nor the limits of a window in keV, low-high")
    return numbers


def lead_mu_per_mm(energy_kev: float) -> float:
    """Linear attenuation coefficient of lead in 1/mm; PhysicsError outside 40 to 795 keV."""
    return _interpolated("lead_cm2_g", energy_kev) * LEAD_DENSITY_G_ML / 10


def _windows(limits: Iterable[tuple[float, float]], name: str) -> tuple[Window, ...]:
    return tuple(Window(low, high, name) for low, high in limits)


def _windows_text(modes: Iterable[ImagingMode]) -> str:
    return ", ".join(f"{low:g}-{high:g} keV ({mode.mode})" for mode in modes for low, high in mode.windows_kev)


@functools.cache
def _materials() -> Mapping[str, tuple[float, ...]]:
    rows = csv_rows(__package__, "camera_materials.csv")
    return MappingProxyType({name: tuple(float(row[name]) for row in rows) for name in rows[0]})


def camera_energies_kev() -> tuple[float, float]:
    """Lowest and highest energy that the tables of lead and crystal hold."""
    table = _materials()["energy_kev"]
    return table[0], table[-1]


def _interpolated(column: str, energy_kev: float) -> float:
    table = _materials()
    low, high = table["energy_kev"][0], table["energy_kev"][-1]
    if not low <= energy_kev <= high:
        raise PhysicsError(f"camera tables hold {low:g} to {high:g} keV, not {energy_kev:g} keV")
    logs = np.interp(math.log(energy_kev), np.log(table["energy_kev"]), np.log(table[column]))
    return float(np.exp(logs))


def _layers(rows: Iterable[Sequence[Any]]) -> tuple[Layer, ...]:
    return tuple(Layer(*row) for row in rows)


@functools.cache
def _cameras() -> Mapping[str, GammaCamera]:
    data = toml_table(__package__, "cameras.toml")
    found = {}
    for name, row in data["collimators"].items():
        head = data["heads"][row["head"]]
        collimator = Collimator(row["kind"], row["hole_mm"], row["septum_mm"], row["length_mm"])
        found[name] = GammaCamera(
            name=name,
            collimator=collimator,
            crystal_mm=head["crystal_mm"],
            gap_mm=head["gap_mm"],
            intrinsic_fwhm_mm=head["intrinsic_fwhm_mm"],
            energy_resolution=head["energy_resolution_percent"] / 100,
            heads=head["heads"],
            source=f"collimator: {row['source']}; head: {head['source']}",
            confidence=f"collimator: {row['confidence']}; head: {head['confidence']}",
            front=_layers(head["front"]),
            cover=_layers(head["cover"]),
            back=_layers(head["back"]),
        )
    return MappingProxyType(found)


CAMERA_NAMES = tuple(_cameras())
"""Cameras in the table."""
