"""Decay data, beta spectra and agents, each number with its source.

>>> nuclide("Y-90").half_life_h
64.05
"""

from hepatica.nuclides.agents import (
    AGENT_NAMES,
    Agent,
    Fact,
    agent,
    is_same_agent,
    require_carried,
    spheres_per_mg,
)
from hepatica.nuclides.dose_limits import DoseLimit
from hepatica.nuclides.generator import Generator, generator
from hepatica.nuclides.nuclide import (
    NUCLIDE_NAMES,
    BetaBranch,
    ConventionName,
    DoseConvention,
    ImagingMode,
    Line,
    Nuclide,
    RangeFact,
    nuclide,
)

__all__ = [
    "AGENT_NAMES",
    "NUCLIDE_NAMES",
    "Agent",
    "BetaBranch",
    "ConventionName",
    "DoseConvention",
    "DoseLimit",
    "Fact",
    "Generator",
    "ImagingMode",
    "Line",
    "Nuclide",
    "RangeFact",
    "agent",
    "generator",
    "is_same_agent",
    "nuclide",
    "require_carried",
    "spheres_per_mg",
]
