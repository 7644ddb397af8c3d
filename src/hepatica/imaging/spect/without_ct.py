"""Attenuation of a patient of whom there is no CT: one density, everywhere or inside an outline of the activity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hepatica.anatomy.ct.uniform import outline_of, uniform_patient
from hepatica.core import Volume
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.progress import Progress
from hepatica.errors import InputError
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.camera.cameras import GammaCamera
from hepatica.imaging.spect.options import NoiseOptions, ScatterOptions, WithoutCtOptions
from hepatica.imaging.spect.projections import Projections
from hepatica.imaging.spect.reconstruction import reconstruct_scan
from hepatica.imaging.spect.scan_model import SpectOptions, scan_model
from hepatica.imaging.spect.system import window_model
from hepatica.imaging.spect.windows import main_windows
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.composition import media_by_density
from hepatica.transport.matter.photons import coefficients

OUTLINE_ITERATIONS = 2
"""Of the first image, from which an outline is taken: it shows a body, not lesions."""

THIN_G_ML = 0.05
"""Density with which the first image is made: nothing is attenuated noticeably, and no voxel counts as air."""


def require_known_patient(has_ct: bool, stated: WithoutCtOptions) -> None:
    """InputError if there is neither a CT nor a density, or both."""
    if has_ct and stated.stated:
        raise InputError(
            "`uniform_density_g_ml`, `uniform_attenuation` and `outline_fraction` are of a patient without `ct`; "
            "there is one",
            remedy="leave them out",
        )
    if not has_ct and stated.uniform_density_g_ml is None and stated.uniform_attenuation is None:
        raise InputError(
            "without a CT the attenuation in the patient is not known",
            remedy="give `ct`, or state `uniform_density_g_ml` or `uniform_attenuation`, and `outline_fraction`",
        )
    if not has_ct and stated.outline_fraction is None:
        raise InputError(
            "a patient that fills the whole image attenuates far too much: its outline is needed",
            remedy="state `outline_fraction`, such as 5 %",
        )


def placed_without_ct(projections: Projections) -> Projections:
    """Projections with an axis: where there is no CT, its place in space is free, and is the origin."""
    return projections if projections.axis_mm is not None else projections.placed((0.0, 0.0, 0.0))


def patient_without_ct(
    projections: Projections, camera: GammaCamera, nuclide: Nuclide, options: SpectOptions, progress: Progress
) -> Image:
    """What stands for a CT: a uniform patient on the voxels of the SPECT.

    Raises
    ------
    GeometryError
        If an outline is asked for and the image holds nothing.
    """
    stated = options.without_ct
    density = stated.uniform_density_g_ml
    at = ""
    if density is None:
        number = main_windows(projections, nuclide, options.acquisition.energy_windows)[0]
        model = window_model(
            camera, nuclide, projections.windows[number], energy_kev=options.acquisition.photon_energy_kev
        )
        assert stated.uniform_attenuation is not None
        density = density_of_attenuation(stated.uniform_attenuation, model.mean_energy_kev)
        at = f" ({stated.uniform_attenuation:g} 1/cm at {model.mean_energy_kev:.0f} keV)"
    assert stated.outline_fraction is not None
    progress("outline of the body from a first image without attenuation")
    outline = outline_of(_first_image(projections, camera, nuclide, options), stated.outline_fraction)
    where = f"where a first, smoothed image exceeds {100 * stated.outline_fraction:g} % of its maximum"
    made = uniform_patient(projections.grid(), density, outline)
    text = (
        f"no CT: attenuation is that of a uniform patient of {density:.3g} g/mL{at}, {where}; activity in and behind "
        "lung and bone is wrong, and that of the lungs too high"
    )
    return made.used_as("ct").with_messages(Message("no-ct", text, "give `ct`"))


def density_of_attenuation(attenuation_per_cm: float, energy_kev: float) -> float:
    """Density of soft tissue that has a linear attenuation coefficient (1/cm) at an energy.

    Examples
    --------
    >>> round(density_of_attenuation(0.15, 140.5), 2)
    0.99
    """
    _, (tissue,) = media_by_density(np.array([1.0]))
    return attenuation_per_cm / float(coefficients(tissue, np.array([energy_kev])).sum())


def _first_image(projections: Projections, camera: GammaCamera, nuclide: Nuclide, options: SpectOptions) -> Volume:
    plain = replace(
        options,
        iteration=IterationOptions(iterations=OUTLINE_ITERATIONS),
        scatter=ScatterOptions(),
        noise=NoiseOptions(),
        without_ct=WithoutCtOptions(),
    )
    thin = uniform_patient(projections.grid(), THIN_G_ML)
    return reconstruct_scan(scan_model(projections, thin.volume, camera, nuclide, plain), plain).volume
