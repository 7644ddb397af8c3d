"""How far the edge of a small sphere overshoots, by the response that the projector takes; noise-free, exact data.

A sphere of 22 mm, alone and in a cylinder with an eighth of its concentration, is seen without attenuation, noise or
scatter. Its projections are made by another way than the projector's: discs 0.6 mm fine, blurred in two dimensions
with the overlap of hexagons averaged over azimuth and the crystal's Gaussian, and added up over each pixel. The
mean of the sphere's middle over the truth is written as a table for docs/spect-study.md.

Run: ``python tools/studies/response_study.py``. Twenty minutes of one processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.core.constants import FWHM_PER_SD
from hepatica.imaging.reconstruct.algorithms import IterationOptions, reconstruct
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.camera.detector import hexagon_transmission
from hepatica.imaging.spect.camera.hole_response import hole_response
from hepatica.imaging.spect.projections import Orbit
from hepatica.imaging.spect.projector import Response, SpectProjector

Array = NDArray[Any]
PIXEL_MM, FINE = 4.8, 8
SIZE, ROWS, VIEWS, RADIUS_MM = 48, 21, 60, 200.0
SPHERE_MM, CYLINDER_MM = 22.0, 190.0
CASES = (("siemens-lehr", 140.5), ("siemens-hegp", 364.5))
ITERATIONS = (10, 20, 40)
GRID = Grid.axial(
    (SIZE, SIZE, ROWS), spacing_mm=(PIXEL_MM,) * 3, origin_mm=tuple(-PIXEL_MM * (n - 1) / 2 for n in (SIZE, SIZE, ROWS))
)


def point_spread(camera: GammaCamera, response: Response, distance_mm: float, step_mm: float, size: int) -> Array:
    """Image of a point in two dimensions on a grid of odd size; adds up to 1."""
    x = (np.arange(size) - size // 2) * step_mm
    depth = response.offset_mm / response.slope
    tangent = np.hypot(x[:, None], x) / (distance_mm + depth)
    holes = hexagon_transmission(camera.collimator, tangent) * (1 + tangent**2) ** -1.5
    blur = np.exp(-0.5 * (np.hypot(x[:, None], x) / response.intrinsic_sd_mm) ** 2)
    return convolved(holes / holes.sum(), blur / blur.sum())


def convolved(image: Array, kernel: Array) -> Array:
    """Same-size convolution over the last two axes with kernels of odd size."""
    shape = [a + b - 1 for a, b in zip(image.shape[-2:], kernel.shape[-2:], strict=True)]
    full = np.fft.irfft2(np.fft.rfft2(image, shape) * np.fft.rfft2(kernel, shape), shape)
    low = [(n - 1) // 2 for n in kernel.shape[-2:]]
    return full[..., low[0] : low[0] + image.shape[-2], low[1] : low[1] + image.shape[-1]]


def exact_view(camera: GammaCamera, response: Response, background: float) -> Array:
    """One view of the sphere on the axis, shape (SIZE, ROWS): all views are alike."""
    step = PIXEL_MM / FINE
    u = (np.arange(SIZE * FINE) + 0.5) * step - SIZE * PIXEL_MM / 2
    v = (np.arange(ROWS * FINE) + 0.5) * step - ROWS * PIXEL_MM / 2
    total = np.zeros((u.size, v.size))
    for depth in np.arange(-CYLINDER_MM / 2 + 1.2, CYLINDER_MM / 2, 2.4):
        fine = depth + (np.arange(6) - 2.5) * 0.4
        around = (np.abs(u) < np.sqrt(max((CYLINDER_MM / 2) ** 2 - depth**2, 0)))[:, None] * background
        inside = np.mean([u[:, None] ** 2 + v**2 + d**2 < (SPHERE_MM / 2) ** 2 for d in fine], axis=0)
        layer = around * (np.abs(v) < ROWS * PIXEL_MM / 2 - 12) + inside * (1 - background)
        if layer.any():
            total += convolved(layer, point_spread(camera, response, RADIUS_MM - depth, step, 151)) * 2.4
    # Fourier transforms leave rounding errors on either side of nought.
    return np.maximum(total.reshape(SIZE, FINE, ROWS, FINE).mean(axis=(1, 3)) / PIXEL_MM, 0.0)


class ExactProjector(SpectProjector):
    """The projector with the response in two dimensions, not as a product of two line spreads."""

    def __init__(self, camera: GammaCamera, response: Response, orbit: Orbit) -> None:
        super().__init__(GRID, orbit, columns=SIZE, response=response, threads=2)
        fine = 5
        kernels = []
        for distance in RADIUS_MM - self._depth:
            spread = point_spread(camera, response, float(distance), PIXEL_MM / fine, 19 * fine)
            # Read off at the middles of pixels, as the projector does with its line spreads.
            at = spread[fine // 2 :: fine, fine // 2 :: fine]
            kernels.append(at / at.sum())
        self._kernels = np.array(kernels)

    def _project_cells(self, cells: Array, view: int) -> Array:
        layers = cells.reshape(len(self._depth), SIZE, ROWS)
        return np.asarray(convolved(layers, self._kernels).sum(axis=0), dtype=np.float32)

    def _back_one(self, projection: Array, view: int) -> Array:
        layers = convolved(np.broadcast_to(projection, (len(self._depth), SIZE, ROWS)), self._kernels)
        return np.asarray(self._turn_back(view) @ layers.reshape(-1, ROWS).astype(np.float32))


def middle(image: Array, filter_mm: float = 0.0) -> float:
    """Mean of the 8 voxels about the sphere's centre in the plane of the middle row, over the truth."""
    if filter_mm:
        from scipy import ndimage

        image = ndimage.gaussian_filter(image, filter_mm / FWHM_PER_SD / PIXEL_MM)
    half, row = SIZE // 2, ROWS // 2
    return float(image[half - 1 : half + 1, half - 1 : half + 1, row].mean())


def main() -> None:
    """Print the table."""
    orbit = Orbit.circular(VIEWS, radius_mm=RADIUS_MM)
    print("| camera | around | response | 10 it. | 20 | 40 | 10, 5 mm filter | 40, 5 mm filter |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, energy in CASES:
        camera = gamma_camera(name)
        lines = hole_response(camera, [energy])
        collimator, intrinsic = camera.geometric_fwhm_mm, camera.intrinsic_fwhm_at(energy)
        near, far = (collimator(z, energy) / FWHM_PER_SD for z in (0.0, 1.0))
        gaussians = {
            "Gaussian of Anger's width (before)": Response(intrinsic / FWHM_PER_SD, near, far - near),
            "Gaussian of the exact rms width": Response(lines.intrinsic_sd_mm, lines.offset_mm, lines.slope),
            "line spreads of the holes": lines,
        }
        projectors: dict[str, SpectProjector] = {
            text: SpectProjector(GRID, orbit, columns=SIZE, response=one, threads=2) for text, one in gaussians.items()
        }
        projectors["exact, in two dimensions"] = ExactProjector(camera, lines, orbit)
        for background in (0.0, 0.125):
            seen = exact_view(camera, lines, background)
            counts = np.repeat(seen[None].astype(np.float32), VIEWS, axis=0)
            around = "8 : 1" if background else "nothing"
            for text, projector in projectors.items():
                images: dict[int, Array] = {}

                def keep(update: Any, images: dict[int, Array] = images) -> None:
                    if update.subset == update.subsets and update.iteration in ITERATIONS:
                        images[update.iteration] = update.image.copy()

                reconstruct(counts, projector, IterationOptions(iterations=40, subsets=6), on_update=keep)
                found = [middle(images[n]) for n in ITERATIONS] + [middle(images[n], 5.0) for n in (10, 40)]
                print(f"| {name} | {around} | {text} | " + " | ".join(f"{x:.2f}" for x in found) + " |", flush=True)


if __name__ == "__main__":
    main()
