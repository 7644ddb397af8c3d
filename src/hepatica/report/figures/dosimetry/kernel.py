"""Figure of voxel S values against distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.report.figures.outcome import new_figure


def draw_kernel(parts: Mapping[str, NDArray[np.float64]], spacing_mm: tuple[float, float, float], title: str) -> Any:
    """S of each part (mGy/(MBq s), octant of offsets) against the distance of voxel centres."""
    figure, axes = new_figure(6.0, 4.0)
    for label, values in parts.items():
        offsets = np.indices(values.shape)
        distance_mm = np.sqrt(sum((offsets[axis] * spacing_mm[axis]) ** 2 for axis in range(3)))
        if (values > 0).any():
            axes.plot(distance_mm[values > 0], values[values > 0], ".", label=label)
    axes.set(yscale="log", xlabel="distance of voxel centres, mm", ylabel="S, mGy/(MBq s)", title=title)
    axes.legend()
    return figure
