"""How much of the photons of a planar view the patient absorbs: coefficients, thicknesses, transmission scans."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.core.tables.shipped import table_text
from hepatica.errors import InputError
from hepatica.imaging.planar.options import PlanarAttenuationOptions
from hepatica.imaging.spect.camera.cameras import GammaCamera
from hepatica.imaging.spect.projections import Window
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.photons import coefficients

FloatArray = NDArray[np.float64]

MOST_TRANSMITTED = 0.05
"""Excess of a transmission above 1, and share of the pixels that have it, from which on the two scans do not belong
together. Our choice."""

SOFT_TISSUE_G_ML = 1.05
"""Mean of the trunk without the lungs, as ICRU Report 46 gives for average soft tissue (1.03 to 1.06)."""


def narrow_mu_per_cm(energy_kev: float) -> float:
    """Coefficient of soft tissue for photons that do not scatter, 1/cm (photoelectric, incoherent, coherent)."""
    return float(coefficients(medium("soft_tissue"), np.array([energy_kev])).sum()) * SOFT_TISSUE_G_ML


def broad_share(nuclide: Nuclide) -> float:
    """Coefficient of counts with their scatter over that of a narrow beam, by our own Monte Carlo.

    Raises
    ------
    InputError
        If the nuclide is not in the table.
    """
    known = _broad_shares()
    if nuclide.name not in known:
        raise InputError(
            f"there is no coefficient of counts of {nuclide.name} with their scatter; of {', '.join(known)} there is",
            remedy="give a CT with structures and `camera`, for scatter by Monte Carlo, or state "
            "`attenuation_coefficient`",
        )
    return known[nuclide.name]


def tabulated_broad_share(nuclide: Nuclide) -> float | None:
    """The same; None where the nuclide is not in the table."""
    return _broad_shares().get(nuclide.name)


def _broad_shares() -> dict[str, float]:
    rows = [line.split(",") for line in table_text("hepatica.imaging.planar", "broad_beam.csv").splitlines()
            if line and not line.startswith("#")][1:]  # fmt: skip
    return {row[0]: float(row[3]) for row in rows}


def photon_energy_kev(nuclide: Nuclide, window: Window, camera: GammaCamera | None = None) -> float:
    """Mean energy of the lines in a window: by the camera, or weighted by yield alone.

    Raises
    ------
    InputError
        If no line falls into the window.
    """
    from hepatica.errors import PhysicsError

    if camera is not None:
        try:
            return camera.mean_energy_kev(nuclide, window)
        except PhysicsError:
            return window.centre_kev
    lines = [p for p in nuclide.photons if window.low_kev <= p.energy_kev <= window.high_kev]
    number = sum(line.yield_per_decay for line in lines)
    if number > 0:
        return sum(line.energy_kev * line.yield_per_decay for line in lines) / number
    if any(mode.mode == "spect-bremsstrahlung" for mode in nuclide.imaging):
        return window.centre_kev
    raise InputError(
        f"no photon line of {nuclide.name} lies in the window {window}",
        remedy="choose the photopeak with `energy_window`, or state the nuclide",
    )


def mu_scale(options: PlanarAttenuationOptions, nuclide: Nuclide, energy_kev: float, *, scatter: bool) -> float:
    """Factor on the coefficient of narrow beams: 1, that of broad beams, or what a stated coefficient makes it."""
    if options.attenuation_coefficient is not None:
        return options.attenuation_coefficient / narrow_mu_per_cm(energy_kev)
    beam = options.beam if options.beam != "auto" else ("narrow" if scatter else "broad")
    return 1.0 if beam == "narrow" else broad_share(nuclide)


def transmission_mu_t(
    blank: FloatArray, transmission: FloatArray, *, from_kev: float, to_kev: float, times: tuple[float, float]
) -> FloatArray:
    """Integral of the coefficient along the line of sight from a transmission scan, at another photon energy.

    Parameters
    ----------
    blank, transmission : ndarray, shape (x, z)
        Counts of the flood source without and with the patient.
    from_kev, to_kev : float
        Photon energies of the flood source and of the views.
    times : tuple of float
        Of both, s.

    Raises
    ------
    InputError
        If the matrices differ, the blank holds no counts, or the patient lets more through than there is.
    """
    from scipy import ndimage

    if blank.shape != transmission.shape:
        raise InputError(
            f"transmission scan: the blank has {blank.shape} pixels, the scan with the patient {transmission.shape}"
        )
    if not blank.sum() > 0:
        raise InputError("transmission scan: the blank holds no counts")
    open_, through = (
        ndimage.uniform_filter(image / time, 3) for image, time in zip((blank, transmission), times, strict=True)
    )
    seen = open_ > 0.1 * np.percentile(open_, 95)
    # Of a mean of nine pixels, three standard uncertainties of the scan with the patient.
    more = seen & (through > open_ * (1 + MOST_TRANSMITTED) + np.sqrt(through / times[1]))
    if through[seen].sum() >= open_[seen].sum() or more.sum() > MOST_TRANSMITTED * seen.sum():
        raise InputError(
            f"transmission scan: {100 * more.sum() / seen.sum():.0f} % of its pixels count more with the patient than "
            f"without ({through[seen].sum():.3g} against {open_[seen].sum():.3g} counts per second in all)",
            remedy="check that `blank` and `transmission_scan` are not swapped, and their durations",
        )
    least = 0.5 / times[1]
    mu_t = np.where(seen, np.log(np.maximum(open_, least) / np.maximum(through, least)), 0.0)
    return np.maximum(mu_t, 0.0) * narrow_mu_per_cm(to_kev) / narrow_mu_per_cm(from_kev)
