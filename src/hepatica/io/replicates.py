"""Replicates of a reconstruction in a file: with them the noise of a structure's counts reaches its dose."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from hepatica.core import Grid
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.reconstruct.resampling import Ensemble

FILE_NAME = "spect_replicates.npz"


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
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            images, affine, seed = data["images"], data["affine"], int(data["seed"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: is no file of replicates of a reconstruction ({error})") from error
    if images.ndim != 4 or len(images) < 2 or not np.isfinite(images).all():
        raise InputError(f"{path}: needs at least two finite images")
    i, j, k = images.shape[1:]
    own = Grid((int(i), int(j), int(k)), affine)
    if not own.matches(grid):
        raise GeometryError(f"{path}: its voxels ({own}) are not those of the activity image ({grid})")
    return Ensemble(images, seed)
