"""Replicates of a reconstruction in a file: with them the noise of a structure's counts reaches its dose."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from hepatica.core import Grid
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.reconstruct.resampling import Ensemble
from hepatica.io.arrays import Wanted, read_arrays

FILE_NAME = "spect_replicates.npz"

_ARRAYS = {"images": Wanted("f", 4), "affine": Wanted("f", 2), "seed": Wanted("iu", 0)}


def save_replicates(path: Path, ensemble: Ensemble, grid: Grid) -> None:
    """Write the images with the place of their voxels; OSError if it cannot be.

    As `numpy.savez_compressed` does, but without the time of writing: the same images give the same bytes.
    """
    arrays = {"images": ensemble.images, "affine": grid.affine, "seed": np.array(ensemble.seed, dtype=np.int64)}
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        for name, array in arrays.items():
            # With a fixed name and time of its own: ZipInfo begins with 1980.
            member = ZipInfo(f"{name}.npy")
            member.compress_type = ZIP_DEFLATED
            with file.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)


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
