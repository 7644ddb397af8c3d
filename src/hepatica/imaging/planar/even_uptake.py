"""What one head sees of groups of structures that hold one becquerel each, evenly: unscattered counts and scatter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Region
from hepatica.core.resample import resample_region
from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.planar.from_ct.projection import BodyModel, blurred, placed

FloatArray = NDArray[np.float64]

SIDES = ("anterior", "posterior")

SCATTER_FWHM_MM = 120.0
"""Of the spread of scattered counts in the window of the photopeak (assumption, as in the simulated injections)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One head and its frames.

    Attributes
    ----------
    side : str
        "anterior" or "posterior".
    sensitivity_cps_per_bq : float
        Of a source in air.
    fwhm_mm : float
        Of the response at the middle of the patient.
    broad : float
        Coefficient of counts with their scatter over that of a narrow beam.
    shape : tuple of int
        Rows and columns of a frame.
    offset_mm : tuple of float
        Middle of the CT from the middle of the frame: to the patient's left and towards the head.
    mirrored : bool
        Whether a row of the frame runs from the patient's left to the right, as a head behind the patient sees it.
    upwards : bool
        Whether a column runs from feet to head.
    """

    side: str
    sensitivity_cps_per_bq: float
    fwhm_mm: float
    broad: float
    shape: tuple[int, int]
    offset_mm: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False
    upwards: bool = False


def seen_by_head(model: BodyModel, groups: Mapping[str, Sequence[str]], head: Head) -> dict[str, FloatArray]:
    """Expected frame of each group of structures, counts per second and becquerel in each pixel.

    Unscattered counts are those of a narrow beam, blurred by the collimator; what a broad beam counts more is scatter,
    which is spread wide. Uptake is even in a group, by volume.

    Parameters
    ----------
    model : BodyModel
        CT with structures, on the pixels of the frame.
    groups : mapping of str to sequence of str
        Structures of each group; each structure in one group at most.
    head : Head
        Camera head.

    Returns
    -------
    dict of str to ndarray, shape (rows, columns)

    Raises
    ------
    InputError
        If a group holds nothing.
    UnknownNameError
        If the side is none.
    GeometryError
        If the CT lies wholly outside the frame.
    """
    if head.side not in SIDES:
        raise UnknownNameError("side of a head", head.side, SIDES)
    side = SIDES.index(head.side)
    narrow, broad = (model.projected(mu_scale=scale).templates[:, side] for scale in (1.0, head.broad))
    volume = model.shares.sum(axis=(1, 2, 3), dtype=np.float64)
    rows, columns = head.shape
    size = narrow.shape[1:]
    first = (
        (columns - size[0]) / 2 + head.offset_mm[0] / model.pixel_mm[0],
        (rows - size[1]) / 2 - head.offset_mm[1] / model.pixel_mm[1],
    )
    out = {}
    for name, members in groups.items():
        numbers = [model.names.index(member) for member in members]
        weight = volume[numbers]
        if not weight.sum() > 0:
            raise InputError(f"{name}: none of its structures ({', '.join(members)}) holds a voxel of its own")
        share = (weight / weight.sum())[:, None, None]
        straight = (narrow[numbers] * share).sum(axis=0)
        scattered = np.maximum((broad[numbers] * share).sum(axis=0) - straight, 0.0)
        # Placed before it is blurred: what is spread beyond the CT is still in the frame.
        image = blurred(placed(straight, (columns, rows), *first), model.pixel_mm, head.fwhm_mm)
        image = image + blurred(placed(scattered, (columns, rows), *first), model.pixel_mm, SCATTER_FWHM_MM)
        image = image[::-1] if head.mirrored else image
        image = image[:, ::-1] if head.upwards else image
        out[name] = head.sensitivity_cps_per_bq * image.T
    return out


def uneven_uptake(
    model: BodyModel, groups: Mapping[str, Sequence[str]], hot: Sequence[str], head: Head
) -> dict[str, float]:
    """By what share a group may be seen otherwise because its uptake is not even (k = 1).

    Half of the difference between uptake that is even and uptake in the `hot` structures of the group alone.
    """
    side = SIDES.index(head.side)
    seen = model.projected(mu_scale=head.broad).templates[:, side].sum(axis=(1, 2))
    volume = model.shares.sum(axis=(1, 2, 3), dtype=np.float64)
    out = {}
    for group, members in groups.items():
        every = [model.names.index(name) for name in members]
        some = [model.names.index(name) for name in members if name in hot]
        if some and len(some) < len(every) and volume[some].sum() > 0:
            even, peaked = (float((seen[n] * volume[n]).sum() / volume[n].sum()) for n in (every, some))
            out[group] = 0.5 * abs(peaked / even - 1)
    return out


def within(part: Region, whole: Region) -> float:
    """Share of a region that lies in another one."""
    own = part.full()
    total = float(own.sum(dtype=np.float64))
    other = resample_region(whole, part.grid).full()
    return float((own * other).sum(dtype=np.float64)) / total if total else 0.0
