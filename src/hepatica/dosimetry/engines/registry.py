"""The dose engines by name.

>>> dose_engine("local").name
'local'
"""

from __future__ import annotations

from typing import Literal

from hepatica.dosimetry.engines.dose_map import DoseEngine, DoseMap, DoseSettings, EnergyBalance
from hepatica.dosimetry.engines.kernel import KernelEngine
from hepatica.dosimetry.engines.local import LocalEngine
from hepatica.dosimetry.engines.montecarlo import MonteCarloEngine
from hepatica.errors import UnknownNameError

__all__ = ["ENGINE_NAMES", "DoseEngine", "DoseMap", "DoseSettings", "EnergyBalance", "EngineName", "dose_engine"]

EngineName = Literal["kernel", "local", "montecarlo"]

_ENGINES: dict[str, type[DoseEngine[DoseMap]]] = {
    "local": LocalEngine,
    "kernel": KernelEngine,
    "montecarlo": MonteCarloEngine,
}

ENGINE_NAMES: tuple[str, ...] = tuple(_ENGINES)


def dose_engine(name: str) -> DoseEngine[DoseMap]:
    """Dose engine of that name.

    Raises
    ------
    UnknownNameError
        If there is none; the message lists the names. Nothing is chosen in its place.
    """
    try:
        return _ENGINES[name]()
    except KeyError:
        raise UnknownNameError("dose engine", name, ENGINE_NAMES) from None
