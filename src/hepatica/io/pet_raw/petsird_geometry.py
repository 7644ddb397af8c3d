"""Crystals of a scanner as PETSIRD describes them, and which of ours each of a file's is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.pet.scanner import HALF_LIGHT_MM_PER_PS, Scanner
from hepatica.transport.matter.composition import medium

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int64]

RADIAL_TOLERANCE_MM = 6.0
"""Of a crystal's middle: tables of one scanner differ by some millimetres in radius."""


@dataclass(frozen=True, slots=True, eq=False)
class Crystals:
    """Which crystal of hepatica's numbering each detecting element of a file is, and the other way round.

    Attributes
    ----------
    crystal_of : ndarray of int, shape (elements,)
    bin_of : ndarray of int, shape (crystals,)
        Detection bin of a crystal in its first energy window.
    energies : int
        Energy windows of an event.
    """

    crystal_of: Integers
    bin_of: Integers
    energies: int = 1

    @property
    def elements(self) -> int:
        """Detecting elements of the scanner."""
        return len(self.crystal_of)

    @classmethod
    def of_own(cls, scanner: Scanner) -> Crystals:
        """Of a file that hepatica writes: module by module around the ring, then along the axis."""
        number = np.arange(scanner.crystals).reshape(
            scanner.modules_along, scanner.module_rings, scanner.modules_around, scanner.module_crystals
        )
        order = number.transpose(0, 2, 1, 3).ravel()
        return cls(order, np.argsort(order))

    @classmethod
    def found(cls, path: Path, information: Any, scanner: Scanner) -> Crystals:
        """Of a file: each element is the crystal at whose place it is.

        Raises
        ------
        InputError
            If there are several types of modules, or an element lies where the scanner has no crystal.
        """
        from scipy.spatial import cKDTree

        types = information.scanner_geometry.replicated_modules
        if len(types) != 1:
            raise InputError(f"{path}: has {len(types)} types of modules; one is supported")
        points = _element_middles(types[0])
        ours = scanner.positions_mm(scanner.crystal_mm[2] / 2)
        if len(points) != len(ours):
            raise InputError(f"{path}: has {len(points)} crystals, {scanner.name} has {len(ours)}")
        radius = np.hypot(*points.T[:2])
        scaled = points.copy()
        mine = np.hypot(*ours.T[:2])
        # compared on one cylinder: only angle and place along the axis tell crystals apart
        scaled[:, :2] *= (float(mine.mean()) / radius)[:, None]
        flat = ours.copy()
        flat[:, :2] *= (float(mine.mean()) / mine)[:, None]
        distance, nearest = cKDTree(flat).query(scaled)
        apart = float(np.abs(radius - mine[nearest]).max())
        taken = np.bincount(nearest, minlength=len(ours)).max()
        if taken > 1 or distance.max() > 0.5 * min(scanner.pitch_mm) or apart > RADIAL_TOLERANCE_MM:
            raise InputError(
                f"{path}: its crystals are not those of {scanner.name}: they lie up to {distance.max():.1f} mm beside "
                f"and {apart:.1f} mm in front of or behind them",
                remedy="describe the scanner in a TOML file and state `scanner`",
            )
        energies = max(len(information.event_energy_bin_edges[0].edges) - 1, 1)
        return cls(nearest.astype(np.int64), np.argsort(nearest) * energies, energies)


def _element_middles(modules: Any) -> FloatArray:
    """Middles of all detecting elements in the order of their detection bins, shape (elements, 3)."""
    box = modules.object.detecting_elements
    middle = np.mean([np.asarray(corner.c, np.float64) for corner in box.object.shape.corners], axis=0)
    within = np.array([np.asarray(t.matrix, np.float64) for t in box.transforms])
    inside = within[:, :, :3] @ middle + within[:, :, 3]
    outer = np.array([np.asarray(t.matrix, np.float64) for t in modules.transforms])
    placed = np.einsum("mij,ej->mei", outer[:, :, :3], inside) + outer[:, None, :, 3]
    return np.asarray(placed.reshape(-1, 3))


def bin_efficiencies(path: Path, information: Any, crystals: Crystals) -> NDArray[np.float32] | None:
    """Efficiency of each crystal over the mean; None where the file has none.

    Raises
    ------
    InputError
        If there is not one for each detection bin, or one is below zero.
    """
    kept = information.detection_efficiencies.detection_bin_efficiencies
    if not kept or not len(kept[0]):
        return None
    values = np.asarray(kept[0], np.float64)
    if values.size != crystals.elements * crystals.energies or not np.isfinite(values).all() or values.min() < 0:
        raise InputError(
            f"{path}: {values.size} efficiencies for {crystals.elements * crystals.energies} detection bins, or one "
            "that is none"
        )
    found = np.zeros(crystals.elements)
    found[crystals.crystal_of] = values.reshape(crystals.elements, -1).mean(axis=1)
    if not found.mean() > 0:
        raise InputError(f"{path}: the efficiencies of all crystals are zero")
    return np.asarray(found / found.mean(), np.float32)


def scanner_information(petsird: Any, scanner: Scanner, efficiencies: NDArray[np.float32] | None = None) -> Any:
    """`petsird.ScannerInformation` of a scanner: one type of module, its crystals ring by ring."""
    crystal = medium(scanner.crystal)
    tof = scanner.time_of_flight
    if tof is None:
        half = scanner.coincidence_window_ns * 1000 * HALF_LIGHT_MM_PER_PS / 2
        edges, resolution = np.array([-half, half]), 0.0
    else:
        edges = (np.arange(tof.bins + 1) - tof.bins / 2) * tof.bin_mm
        resolution = tof.fwhm_ps * HALF_LIGHT_MM_PER_PS
    window = petsird.BinEdges(edges=np.array(scanner.energy_window_kev, np.float32))
    return petsird.ScannerInformation(
        model_name=scanner.name,
        scanner_geometry=petsird.ScannerGeometry(replicated_modules=[_modules(petsird, scanner)]),
        bulk_materials=[petsird.BulkMaterial(id=1, name=scanner.crystal.upper(), density=crystal.density_g_ml)],
        collimator_type="NONE",
        tof_bin_edges=[[petsird.BinEdges(edges=edges.astype(np.float32))]],
        tof_resolution=[[float(resolution)]],
        event_energy_bin_edges=[window],
        energy_resolution_at_511=[scanner.energy_resolution],
        singles_histogram_level=petsird.SinglesHistogramLevelType.ALL,
        singles_histogram_energy_bin_edges=[window],
        prompt_event_policy=petsird.CoincidencePolicy.REJECT_HIGHER_MULTIPLES,
        detection_efficiencies=_efficiencies(petsird, scanner, efficiencies),
    )


def _efficiencies(petsird: Any, scanner: Scanner, found: NDArray[np.float32] | None) -> Any:
    if found is None:
        return petsird.DetectionEfficiencies(method_description="none: hepatica models them", calibration_factor=1.0)
    of_bins = found[Crystals.of_own(scanner).crystal_of].astype(float).tolist()
    return petsird.DetectionEfficiencies(
        method_description="of each crystal over the mean", calibration_factor=1.0, detection_bin_efficiencies=[of_bins]
    )


def _modules(petsird: Any, scanner: Scanner) -> Any:
    around, along, deep = scanner.crystal_mm
    corners = [
        petsird.Coordinate(c=np.array((x, y, z), np.float32))
        for x, y, z in (
            (0, 0, 0), (0, 0, along), (0, around, along), (0, around, 0),
            (deep, 0, 0), (deep, 0, along), (deep, around, along), (deep, around, 0),
        )
    ]  # fmt: skip
    box = petsird.BoxSolidVolume(shape=petsird.BoxShape(corners=corners), material_id=1)
    # a module at angle 0: depth along x, around along y
    y = (np.arange(scanner.module_crystals) - (scanner.module_crystals - 1) / 2) * scanner.pitch_mm[0] - around / 2
    z = (np.arange(scanner.module_rings) - (scanner.module_rings - 1) / 2) * scanner.pitch_mm[1] - along / 2
    places = [_moved(petsird, 0.0, (scanner.radius_mm, b, c)) for c in z for b in y]
    crystals = petsird.ReplicatedBoxSolidVolume(object=box, transforms=places)
    rings = scanner.ring_z_mm.reshape(scanner.modules_along, scanner.module_rings).mean(axis=1)
    turned = [
        _moved(petsird, scanner.module_angle(module), (0.0, 0.0, float(ring)))
        for ring in rings
        for module in range(scanner.modules_around)
    ]
    module = petsird.DetectorModule(detecting_elements=crystals)
    return petsird.ReplicatedDetectorModule(object=module, transforms=turned)


def _moved(petsird: Any, angle: float, by_mm: tuple[float, float, float]) -> Any:
    cosine, sine = math.cos(angle), math.sin(angle)
    matrix = np.array(((cosine, -sine, 0, by_mm[0]), (sine, cosine, 0, by_mm[1]), (0, 0, 1, by_mm[2])), np.float32)
    return petsird.RigidTransformation(matrix=matrix)
