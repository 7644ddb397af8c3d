"""hepatica: open software for transarterial radioembolization. Research software, not a medical device.

::

    import hepatica

    result = hepatica.absorbed_dose("pet/", ct="ct/", regions="rtstruct.dcm", nuclide="Y-90")
    print(result)
    result.save("report")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hepatica.version import __version__

if TYPE_CHECKING:
    from hepatica.errors import HepaticaError
    from hepatica.io.read import read_image, scan
    from hepatica.io.regions import read_regions
    from hepatica.nuclides import agent, nuclide
    from hepatica.workflow.dose.absorbed_dose import absorbed_dose
    from hepatica.workflow.dose.options import DoseOptions
    from hepatica.workflow.dose.result import DoseResult

_HOMES = {
    "DoseOptions": "hepatica.workflow.dose.options",
    "DoseResult": "hepatica.workflow.dose.result",
    "HepaticaError": "hepatica.errors",
    "absorbed_dose": "hepatica.workflow.dose.absorbed_dose",
    "agent": "hepatica.nuclides",
    "nuclide": "hepatica.nuclides",
    "read_image": "hepatica.io.read",
    "read_regions": "hepatica.io.regions",
    "scan": "hepatica.io.read",
}

__all__ = [
    "DoseOptions",
    "DoseResult",
    "HepaticaError",
    "__version__",
    "absorbed_dose",
    "agent",
    "nuclide",
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
