"""What blur left in the image, a filter or a prior take from the overshoot of a small sphere, and from its recovery.

As ``tools/studies/response_study.py`` (whose exact data it takes), 30 views, OSEM of 6 subsets, default response, no
noise. Run: ``python tools/studies/filter_study.py siemens-hegp 364.5 0.125 22``: camera, keV, background over sphere,
diameter in mm. Prints, by iterations, the middle and the mean of the sphere over the truth for each blur that is left
and each filter; then the same of BSREM with the relative-difference prior of several strengths, after 40 iterations
(not with ``--blur-only``). A minute of one processor.
"""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage

import response_study as study
from hepatica.core.constants import FWHM_PER_SD
from hepatica.imaging.reconstruct.algorithms import IterationOptions, reconstruct
from hepatica.imaging.spect.camera.cameras import gamma_camera
from hepatica.imaging.spect.camera.hole_response import hole_response
from hepatica.imaging.spect.options import REMAINING_BLUR_SHARE
from hepatica.imaging.spect.projections import Orbit
from hepatica.imaging.spect.projector import SpectProjector

VIEWS, SHARES, FILTERS_MM = 30, (0.0, 0.5, REMAINING_BLUR_SHARE, 0.85), (0.0, 5.0, 8.0, 10.0, 12.0)
PRIORS = (0.0003, 0.003, 0.01, 0.03, 0.07)
"""Strength over the counts that a unit of a voxel makes in all views: 1 weighs a step between neighbours as much as all
their counts."""


def main(name: str, energy_kev: float, background: float, diameter_mm: float, *, blur_only: bool) -> None:
    """Print the rows of one case."""
    study.SPHERE_MM = diameter_mm
    camera = gamma_camera(name)
    response = hole_response(camera, [energy_kev])
    seen = study.exact_view(camera, response, background)
    counts = np.repeat(seen[None].astype(np.float32), VIEWS, axis=0)
    orbit = Orbit.circular(VIEWS, radius_mm=study.RADIUS_MM)
    projector = SpectProjector(study.GRID, orbit, columns=study.SIZE, response=response, threads=1)
    places = np.moveaxis(np.indices(study.GRID.shape), 0, -1)
    steps = (np.arange(4) - 1.5) / 4
    offsets = [(a, b, c) for a in steps for b in steps for c in steps]
    squares = [(study.GRID.to_mm(places + np.array(offset)) ** 2).sum(axis=-1) for offset in offsets]
    share = np.mean([square < (diameter_mm / 2) ** 2 for square in squares], axis=0)

    whole_mm = FWHM_PER_SD * float(response.sd_mm(study.RADIUS_MM))
    for left_mm in (round(share_left * whole_mm, 1) for share_left in SHARES):
        undone = replace(response, left_sd_mm=left_mm / FWHM_PER_SD)
        blurred = SpectProjector(study.GRID, orbit, columns=study.SIZE, response=undone, threads=1)

        def tell(update: Any, left_mm: float = left_mm) -> None:
            if update.subset < update.subsets or update.iteration not in (5, 10, 20):
                return
            for filter_mm in FILTERS_MM if not left_mm and not blur_only else (0.0,):
                image = ndimage.gaussian_filter(update.image, filter_mm / FWHM_PER_SD / study.PIXEL_MM)
                mean = float((image * share).sum() / share.sum())
                text = f"{update.iteration} iterations, {left_mm:g} mm left, filter of {filter_mm:g} mm"
                print(f"{text}: {study.middle(image):.2f} / {mean:.2f}", flush=True)

        reconstruct(counts, blurred, IterationOptions(iterations=20, subsets=6), on_update=tell)
    for prior in () if blur_only else PRIORS:
        options = IterationOptions(method="bsrem", iterations=40, subsets=6, prior_strength=prior * VIEWS)
        found = reconstruct(counts, projector, options).image
        mean = float((found * share).sum() / share.sum())
        print(f"prior {prior:g}: {study.middle(found):.2f} / {mean:.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs=4, metavar=("CAMERA", "KEV", "BACKGROUND", "DIAMETER"))
    parser.add_argument("--blur-only", action="store_true")
    asked = parser.parse_args()
    main(asked.case[0], *(float(word) for word in asked.case[1:]), blur_only=asked.blur_only)
