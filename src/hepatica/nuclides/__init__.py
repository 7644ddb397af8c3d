"""Decay data, beta spectra and agents, each number with its source.

>>> nuclide("Y-90").half_life_h
64.05
"""

from hepatica.nuclides.nuclide import (
    MEV_TO_J,
    NUCLIDE_NAMES,
    BetaBranch,
    DoseConvention,
    ImagingMode,
    Line,
    Nuclide,
    RangeFact,
    nuclide,
)

__all__ = [
    "MEV_TO_J",
    "NUCLIDE_NAMES",
    "BetaBranch",
    "DoseConvention",
    "ImagingMode",
    "Line",
    "Nuclide",
    "RangeFact",
    "nuclide",
]
