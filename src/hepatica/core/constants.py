"""Physical constants and factors between units, each once.

CODATA 2018 (Tiesinga et al., Rev Mod Phys 2021;93:025010); those of the SI of 2019 are exact.
"""

from __future__ import annotations

import math

ELECTRON_REST_KEV = 510.99895
"""Rest energy of the electron, keV (CODATA 2018: 510.99895000(15))."""

AVOGADRO = 6.02214076e23
"""Avogadro constant, 1/mol, exact."""

FINE_STRUCTURE = 1 / 137.035999
"""Fine-structure constant."""

KEV_ANGSTROM = 12.39841984
"""Planck constant times speed of light, keV Angstrom: energy of a photon times its wavelength."""

MEV_TO_J = 1.602176634e-13
"""Joules per MeV, exact."""

KEV_TO_J = 1.602176634e-16
"""Joules per keV, exact."""

FWHM_PER_SD = math.sqrt(8 * math.log(2))
"""Full width at half maximum of a Gaussian over its standard deviation."""

SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86400.0
HOURS_PER_DAY = 24.0
