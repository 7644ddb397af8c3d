"""Which structures of a virtual patient are drawn, segmented and numbered, by name."""

from __future__ import annotations

import numpy as np

from hepatica.anatomy.virtual_patient.patient import VirtualPatient
from hepatica.core import Kind, Region, Volume

PERFUSED = "perfused volume"

DRAWN = (
    "liver", "lobe left", "lobe right", *(f"segment {n}" for n in range(1, 9)), "lung left", "lung right", "heart",
    "spleen", "stomach", "duodenum", "gallbladder", "kidney left", "kidney right", "thyroid",
)  # fmt: skip
"""Structures of the RTSTRUCT, besides tumours and perfused volume."""

SEGMENTED = (*DRAWN, "body", "spine", "ribs", "pancreas", "aorta", "vena cava", "portal vein", "hepatic veins")
LABELLED = (
    "spine", "ribs", "vena cava", "aorta", "gallbladder", *(f"segment {n}" for n in range(1, 9)), "kidney left",
    "kidney right", "spleen", "stomach", "duodenum", "pancreas", "heart", "lung left", "lung right", "trachea",
    "thyroid",
)  # fmt: skip
"""Structures of the label map, in the order of their numbers; tumours follow, their necrosis after them."""


def drawn(patient: VirtualPatient, names: tuple[str, ...]) -> list[Region]:
    """Structures of those names, perfused volume and tumours; none that fills no voxel by half."""
    organs = [patient.regions[name] for name in names if name in patient.regions]
    perfused = patient.perfused().renamed(PERFUSED)
    return [r for r in (*organs, perfused, *_tumour_regions(patient)) if (r.coverage >= 0.5).any()]


def labelled(patient: VirtualPatient) -> list[str]:
    """Structures of the label map in the order of their numbers, from 1."""
    organs = [name for name in LABELLED if name in patient.regions]
    return [*organs, *(region.name for region in _tumour_regions(patient))]


def label_map(patient: VirtualPatient) -> Volume:
    """Number of the structure that fills most of each voxel (at least half of it)."""
    values = np.zeros(patient.grid.shape, dtype=np.uint8)
    for number, name in enumerate(labelled(patient), start=1):
        region = patient.regions[name]
        values[region.window][region.coverage >= 0.5] = number
    return Volume(patient.grid, values, Kind.LABEL, name="labels")


def _tumour_regions(patient: VirtualPatient) -> list[Region]:
    """Tumours and their necrotic cores, as far as they lie in the field."""
    names = [name for t in patient.tumours for name in (t.name, f"{t.name} necrosis")]
    return [patient.regions[name] for name in names if name in patient.regions]
