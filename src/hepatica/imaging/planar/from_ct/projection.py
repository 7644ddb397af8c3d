"""Structures of a CT as the camera sees them from the front and from behind: one template for each view.

A template is what a view counts of one becquerel that is even in the structure, per unit of the camera's sensitivity in
air: its voxels, each attenuated by all that lies between it and the head, added along the line of sight and blurred.
Self-attenuation is in it, whatever the shape; of a slab in even matter it is that of `conjugate.self_attenuation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Region, Volume
from hepatica.core.resample import resample_region
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.spect.attenuation import attenuation_map

FloatArray = NDArray[np.float64]

DEPTH_MM = 5.0
"""Step along the line of sight: with one of 1.5 mm the sum of a template differs by less than a thousandth at 140 keV.
Our choice."""

LEAST_EXPLAINED = 0.5
"""Share of the views below which no place of a CT is one: of virtual patients 0.93 to 0.98 is explained, of a CT of
another patient laid where it fits best 0.8 and more, so that this finds other anatomies alone. Our choice."""

FWHM_PER_SD = 2.3548200450309493
REST = "rest of body"


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """Structures of a CT in views.

    Attributes
    ----------
    names : tuple of str
        Of the structures; they do not overlap.
    templates : ndarray, shape (structures, views, x, z)
        See the top of this file; views anterior and posterior.
    thickness_mm : ndarray, shape (structures, x, z)
        Along the line of sight.
    body_mm, mu_body : ndarray, shape (x, z)
        Thickness of the body and the integral of its attenuation coefficient along the line of sight.
    place_mm : tuple of float
        LPS x of the first column and z of the first row.
    pixel_mm : tuple of float
        Along x and z.
    other : ndarray or None, shape (structures, views, x, z)
        What the views count beside: scattered, or through lead; None where it is taken off the counts.
    """

    names: tuple[str, ...]
    templates: FloatArray
    thickness_mm: FloatArray
    body_mm: FloatArray
    mu_body: FloatArray
    place_mm: tuple[float, float]
    pixel_mm: tuple[float, float]
    other: FloatArray | None = None

    @property
    def total(self) -> FloatArray:
        """All that the views count of one becquerel in each structure."""
        return self.templates if self.other is None else self.templates + self.other


@dataclass(frozen=True, slots=True, eq=False)
class BodyModel:
    """A CT with structures in the camera's columns, ready to be projected at any scale of attenuation.

    Attributes
    ----------
    names : tuple of str
        Structures; the last is the rest of the body.
    shares : ndarray of float32, shape (structures, x, depth, z)
        Of each voxel; z towards the feet.
    mu_per_mm : ndarray of float32, shape (x, depth, z)
        Attenuation coefficient.
    grid : Grid
        Of the voxels, z towards the head.
    """

    names: tuple[str, ...]
    shares: NDArray[np.float32]
    mu_per_mm: NDArray[np.float32]
    grid: Grid

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Along x and z."""
        return self.grid.spacing_mm[0], self.grid.spacing_mm[2]

    @property
    def place_mm(self) -> tuple[float, float]:
        """LPS x of the first column and z of the first row."""
        first = self.grid.to_mm((0, 0, self.grid.shape[2] - 1))
        return float(first[0]), float(first[2])

    @classmethod
    def of(
        cls,
        hu: Volume,
        body: Region,
        regions: Mapping[str, Region],
        *,
        energy_kev: float,
        pixel_mm: tuple[float, float],
        mu_scale: float = 1.0,
        margin_mm: float = 0.0,
    ) -> BodyModel:
        """Of a CT.

        Parameters
        ----------
        hu : Volume
            CT in HU, in the patient's axes.
        body : Region
            The body on the CT.
        regions : mapping of str to Region
            Structures; where they overlap, the earlier one holds the voxel.
        energy_kev : float
            Of the photons.
        pixel_mm : tuple of float
            Of the views, along x and z.
        mu_scale : float
            Times the coefficient of a narrow beam.
        margin_mm : float
            Of air around the CT, across and along the body.

        Raises
        ------
        InputError
            If a structure lies outside the CT.
        """
        grid = _columns(hu.grid, pixel_mm, margin_mm)
        mu = attenuation_map(hu, grid, energy_kev) * np.float32(mu_scale)
        free = np.ones(grid.shape, np.float32)
        shares = []
        for name, region in regions.items():
            covered = np.minimum(resample_region(region, grid).full(), free)
            if not covered.any():
                raise InputError(f"structure {name!r} lies outside the CT that is projected")
            free -= covered
            shares.append(covered)
        shares.append(np.minimum(resample_region(body, grid).full(), free))
        return cls((*regions, REST), np.stack(shares)[:, :, :, ::-1], np.ascontiguousarray(mu[:, :, ::-1]), grid)

    def projected(self, *, mu_scale: float = 1.0, fwhm_mm: float = 0.0) -> Projected:
        """Templates of all structures, blurred."""
        step = self.mu_per_mm * np.float32(mu_scale * self.grid.spacing_mm[1])
        before = np.cumsum(step, axis=1)
        whole = before[:, -1:]
        # The middle of a voxel sees half of itself.
        seen = [np.exp(-(before - step / 2)), np.exp(-(whole - before + step / 2))]
        found = []
        for share in self.shares:
            total = float(share.sum(dtype=np.float64)) or 1.0
            views = [(share * factor).sum(axis=1, dtype=np.float64) / total for factor in seen]
            found.append([blurred(view, self.pixel_mm, fwhm_mm) for view in views])
        thickness = self.shares.sum(axis=2, dtype=np.float64) * self.grid.spacing_mm[1]
        return Projected(
            self.names, np.array(found), thickness, thickness.sum(axis=0), whole[:, 0].astype(np.float64),
            self.place_mm, self.pixel_mm,
        )  # fmt: skip


def blurred(image: FloatArray, pixel_mm: tuple[float, float], fwhm_mm: float) -> FloatArray:
    """An image blurred by a Gaussian; counts that leave its edge are lost."""
    if not fwhm_mm:
        return image
    from scipy import ndimage

    sigma = [fwhm_mm / FWHM_PER_SD / pixel for pixel in pixel_mm]
    return np.asarray(ndimage.gaussian_filter(image, sigma, mode="constant"))


def _columns(ct: Grid, pixel_mm: tuple[float, float], margin_mm: float) -> Grid:
    """Grid over a CT, and a margin around it, with the views' pixels along x and z."""
    corners = ct.corners_mm()
    margin = np.array([margin_mm, 0.0, margin_mm])
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    spacing = (pixel_mm[0], DEPTH_MM, pixel_mm[1])
    shape = tuple(max(int(np.ceil((b - a) / s - 1e-6)), 1) for a, b, s in zip(low, high, spacing, strict=True))
    middle = (low + high) / 2
    origin = tuple(float(m - (n - 1) / 2 * s) for m, n, s in zip(middle, shape, spacing, strict=True))
    return Grid.axial(
        (shape[0], shape[1], shape[2]), spacing_mm=spacing, origin_mm=origin, frame_of_reference=ct.frame_of_reference
    )


def moved(image: FloatArray, columns: float, rows: float) -> FloatArray:
    """An image (or several) moved by pixels along its last two axes, with zeros from outside."""
    if not columns and not rows:
        return image
    from scipy import ndimage

    shift = (*(0.0,) * (image.ndim - 2), columns, rows)
    return np.asarray(ndimage.shift(image, shift, order=1, mode="constant"))


def placed(image: FloatArray, shape: tuple[int, int], columns: float, rows: float) -> FloatArray:
    """An image (or several) on another matrix, with its first pixel at (columns, rows)."""
    whole = (int(np.floor(columns)), int(np.floor(rows)))
    out = np.zeros((*image.shape[:-2], *shape))
    spans = []
    for start, size, room in zip(whole, image.shape[-2:], shape, strict=True):
        low, high = max(start, 0), min(start + size, room)
        if high <= low:
            raise GeometryError("the CT lies wholly outside the planar views", remedy="check `offset_mm`")
        spans.append((slice(low, high), slice(low - start, high - start)))
    out[..., spans[0][0], spans[1][0]] = image[..., spans[0][1], spans[1][1]]
    return moved(out, columns - whole[0], rows - whole[1])


def on_views(found: Projected, shape: tuple[int, int], offset: tuple[float, float]) -> Projected:
    """The same on the views' matrix, with the CT's first pixel at `offset` (columns and rows)."""
    return Projected(
        found.names,
        placed(found.templates, shape, *offset),
        placed(found.thickness_mm, shape, *offset),
        placed(found.body_mm, shape, *offset),
        placed(found.mu_body, shape, *offset),
        found.place_mm,
        found.pixel_mm,
        None if found.other is None else placed(found.other, shape, *offset),
    )


def place_of_ct(net: FloatArray, found: Projected, likely: Sequence[str] = ()) -> tuple[tuple[float, float], float]:
    """Where a CT lies on views: columns and rows of its first pixel, and what share of the views it explains.

    At every place the views' mean (geometric, smoothed) is fitted by the structures' templates; the place that leaves
    least is taken, by correlations, and refined to a fraction of a pixel by a parabola.

    Raises
    ------
    GeometryError
        If the structures explain less than half (`LEAST_EXPLAINED`) of what the views show at any place.
    """
    from scipy import signal

    image = np.sqrt(np.prod(np.maximum(net, 0), axis=0)) if len(net) == 2 else np.maximum(net[0], 0)
    wanted = [n for n, name in enumerate(found.names) if name in likely] or list(range(len(found.names)))
    templates = found.total[wanted].mean(axis=1)
    gram = np.einsum("kxz,lxz->kl", templates, templates)
    maps = np.stack([signal.fftconvolve(image, template[::-1, ::-1], mode="full") for template in templates])
    explained = np.einsum("kxz,kl,lxz->xz", maps, np.linalg.pinv(gram), maps) / float((image**2).sum())
    best = np.unravel_index(int(np.argmax(explained)), explained.shape)
    share = float(explained[best])
    if share < LEAST_EXPLAINED:
        raise GeometryError(
            f"the CT's structures explain {100 * share:.0f} % of the planar views at the best place: are they of one "
            "patient and one treatment?",
            remedy="state `offset_mm`, or draw the regions on the views",
        )
    fine = [
        float(b) + _vertex(np.moveaxis(explained, axis, 0)[:, best[1 - axis]], int(b)) for axis, b in enumerate(best)
    ]
    return (fine[0] - templates.shape[1] + 1, fine[1] - templates.shape[2] + 1), share


def _vertex(line: FloatArray, at: int) -> float:
    if not 0 < at < len(line) - 1:
        return 0.0
    low, middle, high = line[at - 1 : at + 2]
    curve = low - 2 * middle + high
    return float(0.5 * (low - high) / curve) if curve < 0 else 0.0


def explained_at(net: FloatArray, found: Projected, offset: tuple[float, float]) -> float:
    """Share of the views that a CT's structures explain at a place, as `place_of_ct` has it at the best one."""
    image = np.sqrt(np.prod(np.maximum(net, 0), axis=0)) if len(net) == 2 else np.maximum(net[0], 0)
    templates = found.total.mean(axis=1)
    gram = np.einsum("kxz,lxz->kl", templates, templates)
    here = placed(templates, (image.shape[0], image.shape[1]), *offset)
    held = np.einsum("kxz,xz->k", here, image)
    return float(held @ np.linalg.pinv(gram) @ held / (image**2).sum())


def stated_place(
    offset_mm: tuple[float, float], views: tuple[int, int], ct: tuple[int, int], pixel_mm: tuple[float, float]
) -> tuple[float, float]:
    """Columns and rows of the CT's first pixel, its middle so far to the left and to the head of the views' middle."""
    return (views[0] - ct[0]) / 2 + offset_mm[0] / pixel_mm[0], (views[1] - ct[1]) / 2 - offset_mm[1] / pixel_mm[1]
