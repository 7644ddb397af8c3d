"""What makes two Monte Carlo runs the same run: a hash of everything that their histories depend on."""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import resources
from importlib.resources.abc import Traversable
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
    """SHA-256 of activity, density and iodised oil, grids, labels, nuclide, seed, parts, step model, media, code."""
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
    digest.update(json.dumps([nuclide_name, plain, __version__, code()], sort_keys=True).encode())
    return digest.hexdigest()


@functools.cache
def code() -> str:
    """SHA-256 of the transport's source and tables: a checkpoint of other physics is of another run."""
    digest = hashlib.sha256()
    for file in sorted(_files(resources.files("hepatica.transport")), key=str):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _files(folder: Traversable) -> list[Traversable]:
    found = []
    for one in folder.iterdir():
        if one.is_dir():
            found += _files(one)
        elif one.name.endswith((".py", ".txt", ".csv")):
            found.append(one)
    return found
