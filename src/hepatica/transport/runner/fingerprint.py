"""What makes two Monte Carlo runs the same run: a hash of everything that their histories depend on."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from hepatica.core import Grid, Volume
from hepatica.transport.runner.settings import MonteCarloSettings
from hepatica.version import __version__

MAY_DIFFER = ("device", "target_uncertainty", "time_limit_s")
"""Between runs that share a checkpoint, besides threads and number of histories."""


def fingerprint(
    decays: Volume, density: Volume, nuclide_name: str, settings: MonteCarloSettings, dose_grid: Grid | None = None
) -> str:
    """SHA-256 of activity, density, grids, nuclide, seed, parts, step model, media and version."""
    digest = hashlib.sha256()
    for volume in (decays, density):
        digest.update(np.ascontiguousarray(volume.values, dtype=np.float32).data)
        digest.update(np.ascontiguousarray(volume.grid.affine).tobytes())
    if dose_grid is not None:
        digest.update(np.ascontiguousarray(dose_grid.affine).tobytes() + str(dose_grid.shape).encode())
    plain = {name: value for name, value in settings.parameters().items() if name not in MAY_DIFFER}
    digest.update(json.dumps([nuclide_name, plain, __version__], sort_keys=True).encode())
    return digest.hexdigest()
