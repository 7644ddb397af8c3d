"""Replicates of a reconstruction in a file: with them the noise of a structure's counts reaches its dose."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hepatica.core import Grid
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.reconstruct.resampling import Ensemble
from hepatica.io.arrays import Wanted, read_arrays

FILE_NAME = "spect_replicates.npz"

_ARRAYS = {"images": Wanted("f", 4), "affine": Wanted("f", 2), "seed": Wanted("iu", 0)}


def save_replicates(path: Path, ensemble: Ensemble, grid: Grid) -> None:
    """Write the images with the place of their voxels; OSError if it cannot be."""
    np.savez_compressed(path, images=ensemble.images, affine=grid.affine, seed=np.int64(ensemble.seed))


def load_replicates(path: Path, grid: Grid) -> Ensemble:
    """Replicates of an image.

    Parameters
    ----------
    path : Path
        As ``hepatica reconstruct`` wrote it.
    grid : Grid
        Of the image that they are replicates of.

    Raises
    ------
    InputError
        If it is no such file.
    GeometryError
        If its voxels are not those of the image.
    """
    try:
        found = read_arrays(path, _ARRAYS)
        images, affine = found["images"], found["affine"]
        i, j, k = images.shape[1:]
        own = Grid((int(i), int(j), int(k)), affine)
    except (InputError, GeometryError, ValueError) as error:
        raise InputError(f"{path}: is no file of replicates of a reconstruction ({error})") from error
    if len(images) < 2:
        raise InputError(f"{path}: needs at least two finite images")
    if not own.matches(grid):
        raise GeometryError(f"{path}: its voxels ({own}) are not those of the activity image ({grid})")
    return Ensemble(images, int(found["seed"]))
