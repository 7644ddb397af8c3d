"""A transmission scan with a flood source: read, and held against the views whose patient it must show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.planar.attenuation import narrow_mu_per_cm, transmission_mu_t
from hepatica.imaging.planar.options import PlanarAttenuationOptions
from hepatica.imaging.planar.rates import PlanarRates
from hepatica.imaging.planar.views import SPACING_TOLERANCE
from hepatica.imaging.planar.whole_body import outline_of
from hepatica.io.dicom.images.planar import PlanarFile, PlanarView, read_planar
from hepatica.workflow.planar.given import TransmissionOptions
from hepatica.workflow.planar.reading import TimeOfViews
from hepatica.workflow.sources import require_one_patient

FloatArray = NDArray[np.float64]

IN_THE_WAY_MM = 30.0
"""Of soft tissue, from which on the flood shows a body: a tenth of a trunk, and beyond the noise of a usual flood (a
thousand counts in nine pixels know it to 2 mm at 122 keV). Our choice."""

MOST_BESIDE = 0.03
"""Share of the views' counts, within the outline that they show, where the flood shows no body. Of four virtual
patients (131I, 188Re, high-energy collimator) below 0.001; of a body moved across by 30, 60 and 90 mm up to 0.008, 0.09
and 0.41. Our choice between them."""


def transmission_of(
    flood: TransmissionOptions,
    time: TimeOfViews,
    rates: PlanarRates,
    absorption: PlanarAttenuationOptions,
    *,
    energy_kev: float,
    known: Sequence[InputFile],
) -> tuple[FloatArray, tuple[InputFile, ...]]:
    """Integral of the coefficient along the line of sight, shape (x, z), and the files of both scans.

    Parameters
    ----------
    flood : TransmissionOptions
        Scan and blank.
    time : TimeOfViews
        The views that it belongs to.
    rates : PlanarRates
        Of these views.
    absorption : PlanarAttenuationOptions
        Energy of the flood.
    energy_kev : float
        Of the views' photons.
    known : sequence of InputFile
        Of the views and structures.

    Raises
    ------
    InputError
        If the scan is of another patient, its time is not known, or the activity lies where it shows no body.
    GeometryError
        If matrix, pixel size or place are not those of the views.
    """
    blank, through = (_flat(source, time, absorption) for source in (flood.blank, flood.transmission_scan))
    # A blank has no patient; what its header names is the camera's quality control.
    require_one_patient([*known, through[2]])
    mu_t = transmission_mu_t(
        blank[0], through[0], from_kev=absorption.flood_kev, to_kev=energy_kev, times=(blank[1], through[1])
    )
    _require_alike(mu_t, rates, energy_kev, through[2].path)
    return mu_t, (blank[2], through[2])


def _require_alike(mu_t: FloatArray, rates: PlanarRates, energy_kev: float, name: str) -> None:
    """InputError where much of what the views count lies beside the body that the flood shows."""
    from scipy import ndimage

    outline = outline_of(rates)
    counted = np.maximum(rates.net - outline.level[:, None, None], 0) * outline.coverage
    body = mu_t > narrow_mu_per_cm(energy_kev) / 10 * IN_THE_WAY_MM
    # A border that is blurred by some pixels is no other place.
    body = ndimage.binary_dilation(body, iterations=max(1, round(12.0 / max(rates.pixel_mm))))
    beside = float((counted * ~body).sum() / max(float(counted.sum()), 1e-30))
    if beside > MOST_BESIDE:
        raise InputError(
            f"{name}: {100 * beside:.0f} % of what the views count lies where the transmission scan shows no body: the "
            "patient lay elsewhere, or it is another one",
            remedy="take a transmission scan in the position of the views, or state `attenuation` thickness",
        )


def _flat(source: Any, time: TimeOfViews, absorption: PlanarAttenuationOptions) -> tuple[FloatArray, float, InputFile]:
    """Counts of a flood image as the anterior view is seen, its time, and its file."""
    file = read_planar([source], all_windows=True)[0]
    view = _of_flood(file, absorption.flood_kev)
    if view.duration_s is None:
        raise InputError(f"{file.path}: ActualFrameDuration is missing: how long the flood was counted is not known")
    image = view.image.values[:, :, 0].astype(np.float64)
    if image.shape != time.views.shape:
        raise GeometryError(
            f"{file.path}: the transmission scan has {image.shape} pixels, the views {time.views.shape}",
            remedy="acquire it with the matrix of the views",
        )
    pixel = file.image.grid.spacing_mm[:2]
    if not np.allclose(pixel, time.views.pixel_mm, rtol=SPACING_TOLERANCE):
        raise GeometryError(
            f"{file.path}: the transmission scan has pixels of {pixel[0]:.4g} x {pixel[1]:.4g} mm, the views "
            f"{time.views.pixel_mm[0]:.4g} x {time.views.pixel_mm[1]:.4g} mm",
            remedy="acquire it with the zoom of the views",
        )
    turned = view.row_to_left == -1 or (view.row_to_left is None and view.view == "posterior")
    _require_one_place(file, view, time, turned=turned)
    image = image[::-1] if turned else image
    return (image[:, ::-1] if view.column_to_head else image), view.duration_s, file.image.source


def _of_flood(file: PlanarFile, flood_kev: float) -> PlanarView:
    """The view whose energy window holds the flood's photons; the first of a file that states no windows."""
    limits = file.image.acquisition.energy_windows_kev
    if not limits:
        return file.views[0]
    fitting = [v for v in file.views if v.window <= len(limits) and _holds(limits[v.window - 1], flood_kev)]
    if not fitting:
        stated = ", ".join(f"{low:g}-{high:g} keV" for low, high in limits)
        raise InputError(
            f"{file.path}: no energy window ({stated}) holds the flood's photons of {flood_kev:g} keV",
            remedy="state `flood_kev`, or give the flood's own window",
        )
    return fitting[0]


def _holds(window: tuple[float, float], kev: float) -> bool:
    return window[0] <= kev <= window[1]


def _require_one_place(file: PlanarFile, view: PlanarView, time: TimeOfViews, *, turned: bool) -> None:
    """GeometryError where scan and views state places in one frame of reference, more than a pixel apart."""
    frame = None if time.read is None else time.read.frame_of_reference
    own = file.image.grid.frame_of_reference
    if view.place_mm is None or time.views.place_mm is None or frame is None or frame != own:
        return
    pixel, shape = time.views.pixel_mm, time.views.shape
    x = view.place_mm[0] - ((shape[0] - 1) * pixel[0] if turned else 0.0)
    z = view.place_mm[1] + ((shape[1] - 1) * pixel[1] if view.column_to_head else 0.0)
    apart = (x - time.views.place_mm[0], z - time.views.place_mm[1])
    if any(abs(a) > p for a, p in zip(apart, pixel, strict=True)):
        raise GeometryError(
            f"{file.path}: the transmission scan lies {apart[0]:.0f} mm across and {apart[1]:.0f} mm along the body "
            "from the views (ImagePositionPatient)",
            remedy="give the transmission scan of these views",
        )
