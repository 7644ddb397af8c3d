"""A small patient for planar views: boxes of liver, tumour and lungs in a body, its activity, CT and structures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.image import Image
from hepatica.imaging.planar.rates import PlanarRates
from hepatica.imaging.spect.projections import Window

WHEN = datetime(2026, 3, 3, 10)
SHARES = {"tumour": 0.45, "liver": 0.39, "lung left": 0.07, "lung right": 0.09}
SPACING = (8.0, 10.0, 6.0)

PIXEL = (8.0, 6.0)
HELD = {"tumour": 400.0, "liver": 300.0, "lung left": 60.0, "lung right": 60.0, "rest of body": 180.0}
"""Counts per second in air of the parts of a body with 1000."""
ROLES = {"tumour": Structure.TUMOUR, "liver": Structure.LIVER, "lung left": Structure.LUNG_LEFT,
         "lung right": Structure.LUNG_RIGHT}  # fmt: skip


def even_rates(net: np.ndarray, pixel_mm: tuple[float, float] = PIXEL) -> PlanarRates:
    """Rates of both views of 131I without scatter, counted for 100 s."""
    return PlanarRates(net, np.zeros_like(net), np.abs(net) / 100, Window(328.1, 400.9), ("anterior", "posterior"),
                       pixel_mm, (1.0, 1.0))  # fmt: skip


@dataclass(frozen=True)
class BoxPatient:
    """Truth, CT, activity image and regions."""

    ct: Image
    activity: Image
    regions: tuple[Region, ...]
    total_bq: float


def box_patient(total_bq: float = 1e9, when: datetime = WHEN) -> BoxPatient:
    """The patient: x to the left, the liver on the right below the right lung, a tumour in it."""
    shape = (44, 24, 56)
    origin = tuple(-(n - 1) / 2 * s for n, s in zip(shape, SPACING, strict=True))
    grid = Grid.axial(shape, spacing_mm=SPACING, origin_mm=origin)
    x, y, z = np.moveaxis(grid.to_mm(np.moveaxis(np.indices(shape), 0, -1)), -1, 0)

    def box(low: tuple[float, ...], high: tuple[float, ...]) -> np.ndarray:
        inside = np.ones(shape, bool)
        for place, a, b in zip((x, y, z), low, high, strict=True):
            inside &= (place > a) & (place < b)
        return inside

    body = box((-160, -105, -165), (160, 105, 165))
    masks = {
        "tumour": box((-90, -40, -70), (-45, 10, -25)),
        "liver": box((-130, -80, -110), (40, 70, 10)),
        "lung right": box((-130, -80, 0), (-25, 80, 130)),
        "lung left": box((30, -80, 15), (130, 80, 130)),
    }
    masks["lung right"] &= ~masks["liver"]
    hu = np.full(shape, -1000.0)
    hu[body] = 20.0
    for name in ("lung left", "lung right"):
        hu[masks[name]] = -740.0
    hu[masks["liver"]] = 55.0
    held = np.zeros(shape)
    for name, share in SHARES.items():
        own = masks[name] & ~masks["tumour"] if name == "liver" else masks[name]
        held[own] += share * total_bq / own.sum()
    activity = Volume(grid, (held / grid.voxel_volume_ml).astype(np.float32), Kind.ACTIVITY_CONCENTRATION, when)
    regions = tuple(Region.from_coverage(name, grid, mask) for name, mask in {"body": body, **masks}.items())
    return BoxPatient(
        Image.from_array(hu, unit="HU", grid=grid),
        Image.from_array(activity.values, unit="Bq/mL", grid=grid, time=when),
        regions,
        total_bq,
    )
