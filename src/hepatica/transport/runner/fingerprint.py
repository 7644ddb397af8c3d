"""What makes two Monte Carlo runs the same run: a hash of everything that their histories depend on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from hepatica.core import Volume
from hepatica.transport.runner.settings import MonteCarloSettings
from hepatica.version import __version__

if TYPE_CHECKING:
    from hepatica.transport.runner.scoring import Scoring

MAY_DIFFER = ("device", "target_uncertainty", "time_limit_s")
"""Between runs that share a checkpoint, besides threads and number of histories."""


def fingerprint(
    decays: Volume,
    matter: tuple[Volume, Volume | None],
    nuclide_name: str,
    settings: MonteCarloSettings,
    scoring: Scoring | None = None,
) -> str:
    """SHA-256 of activity, density and iodised oil, grids, labels, nuclide, seed, parts, step model, media, version."""
    digest = hashlib.sha256()
    density, oil = matter
    for volume in (decays, density) if oil is None else (decays, density, oil):
        digest.update(np.ascontiguousarray(volume.values, dtype=np.float32).data)
        digest.update(np.ascontiguousarray(volume.grid.affine).tobytes())
    if scoring is not None:
        grid = scoring.grid
        digest.update(np.ascontiguousarray(grid.affine).tobytes() + str(grid.shape).encode())
        digest.update(np.ascontiguousarray(scoring.labels).data)
    plain = {name: value for name, value in settings.parameters().items() if name not in MAY_DIFFER}
    digest.update(json.dumps([nuclide_name, plain, __version__], sort_keys=True).encode())
    return digest.hexdigest()
