"""hepatica: open software for transarterial radioembolization. Research software, not a medical device.

::

    import hepatica

    result = hepatica.absorbed_dose("pet/", ct="ct/", structures="rtstruct.dcm", nuclide="Y-90")
    print(result)
    result.save("report")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hepatica.version import __version__

if TYPE_CHECKING:
    from hepatica.core import Estimate
    from hepatica.core.image import Image
    from hepatica.dosimetry.engines.dose_map import DoseSettings
    from hepatica.errors import HepaticaError
    from hepatica.imaging.quantify.structure_activity import PartialVolumeOptions
    from hepatica.io.read import read_image, scan
    from hepatica.io.regions import read_regions
    from hepatica.nuclides import agent, nuclide
    from hepatica.transport.runner.settings import StoppingOptions
    from hepatica.workflow.demo import demo
    from hepatica.workflow.dose.absorbed_dose import absorbed_dose
    from hepatica.workflow.dose.comparison import GammaOptions, compare_doses
    from hepatica.workflow.dose.options import (
        CtOptions,
        ImageOptions,
        MonteCarloOptions,
        OutputOptions,
        QuantificationOptions,
        StructureOptions,
        TimeOptions,
    )
    from hepatica.workflow.dose.quantify import quantify
    from hepatica.workflow.dose.result import DoseResult

_HOMES = {
    "CtOptions": "hepatica.workflow.dose.options",
    "DoseResult": "hepatica.workflow.dose.result",
    "DoseSettings": "hepatica.dosimetry.engines.dose_map",
    "Estimate": "hepatica.core",
    "GammaOptions": "hepatica.workflow.dose.comparison",
    "HepaticaError": "hepatica.errors",
    "Image": "hepatica.core.image",
    "ImageOptions": "hepatica.workflow.dose.options",
    "MonteCarloOptions": "hepatica.workflow.dose.options",
    "OutputOptions": "hepatica.workflow.dose.options",
    "PartialVolumeOptions": "hepatica.imaging.quantify.structure_activity",
    "QuantificationOptions": "hepatica.workflow.dose.options",
    "StoppingOptions": "hepatica.transport.runner.settings",
    "StructureOptions": "hepatica.workflow.dose.options",
    "TimeOptions": "hepatica.workflow.dose.options",
    "absorbed_dose": "hepatica.workflow.dose.absorbed_dose",
    "agent": "hepatica.nuclides",
    "compare_doses": "hepatica.workflow.dose.comparison",
    "demo": "hepatica.workflow.demo",
    "nuclide": "hepatica.nuclides",
    "quantify": "hepatica.workflow.dose.quantify",
    "read_image": "hepatica.io.read",
    "read_regions": "hepatica.io.regions",
    "scan": "hepatica.io.read",
}

__all__ = [
    "CtOptions",
    "DoseResult",
    "DoseSettings",
    "Estimate",
    "GammaOptions",
    "HepaticaError",
    "Image",
    "ImageOptions",
    "MonteCarloOptions",
    "OutputOptions",
    "PartialVolumeOptions",
    "QuantificationOptions",
    "StoppingOptions",
    "StructureOptions",
    "TimeOptions",
    "__version__",
    "absorbed_dose",
    "agent",
    "compare_doses",
    "demo",
    "nuclide",
    "quantify",
    "read_image",
    "read_regions",
    "scan",
]


def __getattr__(name: str) -> Any:
    """Load a public name where it is first used, so that ``import hepatica`` stays fast."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hepatica' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
