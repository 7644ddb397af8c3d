"""What makes two Monte Carlo runs the same run: a hash of everything that their histories depend on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from hepatica.core import Volume
from hepatica.version import __version__

if TYPE_CHECKING:
    from hepatica.transport.runner.montecarlo import MonteCarloSettings


def fingerprint(decays: Volume, density: Volume, nuclide_name: str, settings: MonteCarloSettings) -> str:
    """SHA-256 of activity, density, grid, nuclide, seed, parts, step model, media and version."""
    digest = hashlib.sha256()
    for volume in (decays, density):
        digest.update(np.ascontiguousarray(volume.values, dtype=np.float32).data)
        digest.update(np.ascontiguousarray(volume.grid.affine).tobytes())
    # device, threads and the stopping rule may differ between the runs that share a checkpoint
    plain = {k: v for k, v in settings.as_dict().items() if k not in ("device", "target_uncertainty", "time_limit_s")}
    digest.update(json.dumps([nuclide_name, plain, __version__], sort_keys=True).encode())
    return digest.hexdigest()
