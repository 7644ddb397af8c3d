"""Values without input or output: grid, volume, region, decay, uncertainty, provenance."""

from hepatica.core.decay import acquisition_decay_factor, decay_factor, decays_per_becquerel, seconds_between
from hepatica.core.grid import Grid
from hepatica.core.numbers.estimate import Estimate
from hepatica.core.provenance import InputFile, Provenance
from hepatica.core.region import Region
from hepatica.core.volume import Kind, Volume

__all__ = [
    "Estimate",
    "Grid",
    "InputFile",
    "Kind",
    "Provenance",
    "Region",
    "Volume",
    "acquisition_decay_factor",
    "decay_factor",
    "decays_per_becquerel",
    "seconds_between",
]
