"""The liver's outline, its landmarks, the eight Couinaud segments, portal and hepatic veins.

Segments are cut by the planes that anatomy names. All three vertical planes contain the vena cava: the main portal
fissure (Cantlie) runs from it to the gallbladder along the middle hepatic vein, the right fissure along the right
hepatic vein, the umbilical fissure along the left one. The level of the portal vein's branches divides what lies to the
right (VIII over V, VII over VI); the left hepatic vein divides II from III; segment I lies before the cava.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient import trunk
from hepatica.anatomy.virtual_patient.shapes import (
    Array,
    Points,
    Solid,
    ellipsoid,
    half_space,
    smooth_max,
    smooth_min,
)

Float = NDArray[np.float64]

CENTRE = (-58.0, -12.0, -6.0)
"""About which the liver is scaled to its mass."""

SEGMENT_NAMES = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")


@dataclass(frozen=True, slots=True)
class Fissures:
    """Directions of the planes that part the segments, degrees about the vena cava, to the right from straight ahead.

    Attributes
    ----------
    left_deg : float
        Umbilical fissure with the left hepatic vein, between II, III and IV.
    middle_deg : float
        Main portal fissure (Cantlie) with the middle hepatic vein, between IV and V, VIII.
    right_deg : float
        Right fissure with the right hepatic vein, between V, VIII and VI, VII.
    portal_mm : float
        Height of the plane of the portal branches at the hilum, LPS z.
    """

    left_deg: float
    middle_deg: float
    right_deg: float
    portal_mm: float


HILUM = (-31.0, -13.0, -15.0)
"""Where the portal vein parts, on the visceral surface between gallbladder and cava."""


def cantlie_deg() -> float:
    """Direction of the main portal fissure: from the vena cava to the middle of the gallbladder."""
    gallbladder = np.asarray(trunk.GALLBLADDER).mean(axis=0)
    u, v = gallbladder[:2] - cava_at(gallbladder[2])
    return float(np.degrees(np.arctan2(-u, -v)))


def cava_at(z: float) -> Float:
    """x, y of the vena cava's axis at a height."""
    line = np.asarray(trunk.IVC)
    return np.array([np.interp(z, line[:, 2], line[:, n]) for n in (0, 1)])


def outline(left_lobe: float = 1.0, *, flat_mm: float = 0.0) -> Solid:
    """Liver before its neighbours are taken from it; `left_lobe` stretches the left lobe to the side."""
    right = ellipsoid((-66.0, -5.0, -16.0), (70.0, 90.0, 78.0), power=2.5)
    left = ellipsoid((-8.0, -44.0, 9.0), (84.0 * left_lobe, 48.0, 36.0), power=2.2)

    def field(p: Points) -> Array:
        x, y, z = p
        body = smooth_min(right.field(p), left.field(p), 26)
        # Visceral surface: rises from the right edge to the hilum, flatter under the left lobe.
        lower = smooth_min(-96 + 0.80 * (x + 116), -31 + 0.24 * (x + 20), 20)
        body = smooth_max(body, ((lower - z) / np.float32(1.25)).astype(np.float32), 12)
        # The back of the left lobe runs obliquely from the cava to the left front, further forward lower down.
        behind = 0.83 * x + 0.56 * y - 31 - 0.9 * np.minimum(z - 18, 0)
        body = smooth_max(body, behind.astype(np.float32), 14)
        # The heart rests on the left lobe.
        roof = half_space((0.0, 0.0, 39.0 + flat_mm), (0.18, 0.0, 1.0))(p)
        roof = np.where(x > -60, roof, roof - (-60 - x) * np.float32(1.2))
        return np.asarray(smooth_max(body, roof.astype(np.float32), 18), dtype=np.float32)

    return Solid(field, np.array([-140.0, -98.0, -104.0]), np.array([82.0 * max(left_lobe, 1.0), 92.0, 68.0]))


def segment_of(x: Array, y: Array, z: Array, fissures: Fissures) -> NDArray[np.uint8]:
    """Couinaud segment, 1 to 8, of points in the liver (coordinates of the reference frame, any common shape)."""
    x, y, z = np.broadcast_arrays(x, y, z)
    line = np.asarray(trunk.IVC)
    u = x - np.interp(z, line[:, 2], line[:, 0])
    v = y - np.interp(z, line[:, 2], line[:, 1])
    angle = np.degrees(np.arctan2(-u, -v))
    # Behind the cava on the right the angle goes on past 180 degrees.
    angle = np.where((angle < -120) & (u < 0), angle + 360, angle)
    # The veins converge on the cava under the diaphragm and fan out downwards.
    spread = np.clip((z - fissures.portal_mm) / 60, -1, 1)
    right = angle > fissures.right_deg - 5 * spread
    hemiliver = angle > fissures.middle_deg - 3 * spread
    medial = angle > fissures.left_deg
    # Portal branches rise a little to the side.
    level = fissures.portal_mm + 0.10 * (-31 - x)
    above = z > level
    out = np.where(hemiliver, np.where(right, np.where(above, 7, 6), np.where(above, 8, 5)), 4)
    behind = 0.75 * (y + 45) + 0.66 * (z - 6) > 0
    out = np.where(~hemiliver & ~medial, np.where(behind, 2, 3), out)
    caudate = ((x + 13) / 19) ** 2 + ((y - 8) / 19) ** 2 + ((z - 3) / 34) ** 2 < 1
    paracaval = (np.hypot(u, v) < 20) & (u > -13) & (z < 38)
    return np.asarray(np.where(caudate | paracaval, 1, out), dtype=np.uint8)
