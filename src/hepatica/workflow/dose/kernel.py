"""Voxel S values of a nuclide for any voxel size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Provenance
from hepatica.core.options import Limits, Positive, verb
from hepatica.core.tables.table import Cell, Table
from hepatica.nuclides import Nuclide
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.report.figures.dosimetry.kernel import draw_kernel
from hepatica.report.figures.outcome import save
from hepatica.transport.kernels.voxel import energy_within_mev, in_mgy_per_mbq_s, point_kernel
from hepatica.transport.kernels.voxel import voxel_kernel as compute_kernel
from hepatica.workflow.result import Result, result

OFFSETS_SHOWN = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1), (2, 0, 0), (3, 0, 0), (5, 0, 0))

MAX_EXTENT = 100


@result
class VoxelKernelResult(Result):
    """Dose per decay in the voxels around a voxel with uniform activity, in a uniform medium.

    The arrays hold the octant of offsets i, j, k >= 0; the kernel is even in each.
    """

    verb = "voxel_kernel"

    nuclide: str
    medium: str
    density_g_ml: float
    spacing_mm: tuple[float, float, float]
    extent_voxels: int
    energy_emitted_mev: float
    energy_sum_mev: float
    self_fraction: float
    integration_rel_error: float
    source: str
    s_mgy_per_mbq_s: NDArray[np.float64]
    s_electrons_mgy_per_mbq_s: NDArray[np.float64]
    s_photons_mgy_per_mbq_s: NDArray[np.float64]

    def title(self) -> str:
        """Nuclide, medium and voxel; how much of the energy stays."""
        i, j, k = self.spacing_mm
        share = self.energy_sum_mev / self.energy_emitted_mev
        return (
            f"{self.nuclide} in {self.medium} of {self.density_g_ml:g} g/mL, voxels {i:g} x {j:g} x {k:g} mm: "
            f"{100 * self.self_fraction:.2f} % of the {self.energy_emitted_mev:.4g} MeV emitted per decay stays in the "
            f"source voxel, {100 * share:.2f} % within {self.extent_voxels} voxels (from {self.source})"
        )

    def table(self) -> Table:
        """S at a few offsets; the document holds all."""
        parts = (self.s_mgy_per_mbq_s, self.s_electrons_mgy_per_mbq_s, self.s_photons_mgy_per_mbq_s)
        rows: list[tuple[Cell, ...]] = [
            (", ".join(map(str, at)), *(float(values[at]) for values in parts))
            for at in OFFSETS_SHOWN
            if max(at) <= self.extent_voxels
        ]
        columns = ("offset i, j, k", "S, mGy/(MBq s)", "electrons", "photons")
        return Table.of(columns, rows, "Voxel S values", "kernel", formats=(".4g",) * len(columns))

    def write(self, folder: Path) -> None:
        """Write ``kernel.svg``: S against distance."""
        parts = {"electrons": self.s_electrons_mgy_per_mbq_s, "photons": self.s_photons_mgy_per_mbq_s}
        save(draw_kernel(parts, self.spacing_mm, f"{self.nuclide} in {self.medium}"), folder / "kernel.svg")


@verb
def voxel_kernel(
    nuclide: str | Nuclide,
    spacing_mm: tuple[float, float, float] | float,
    *,
    medium: str = "water",
    density_g_ml: Positive | None = None,
    extent: Annotated[int, Limits(low=0, high=MAX_EXTENT)] = 6,
) -> VoxelKernelResult:
    """Voxel S values: dose per decay around a voxel with uniform activity.

    Parameters
    ----------
    nuclide : str or Nuclide
        Nuclide, such as Ho-166 or 90Y.
    spacing_mm : tuple of float, or float
        Edges of a voxel along i, j, k: "4.42,4.42,3 mm", or one number for a cube.
    medium : str
        Uniform medium: water, soft_tissue, lung or bone.
    density_g_ml : float or None
        Density of the medium; its own if not given.
    extent : int
        Largest offset from the source along each axis, voxels.

    Returns
    -------
    VoxelKernelResult
        S of every offset; ``save`` draws it too.

    Raises
    ------
    UnknownNameError
        For an unknown nuclide, or a medium without a point kernel of it.
    InputError
        If an edge is not positive.

    Examples
    --------
    >>> round(hepatica.voxel_kernel("Y-90", (4, 4, 4)).self_fraction, 2)
    0.37
    """
    n = find_nuclide(nuclide)
    source = point_kernel(n.name, medium)
    found = compute_kernel(
        n,
        (spacing_mm,) * 3 if isinstance(spacing_mm, int | float) else spacing_mm,
        half_shape=(extent + 1,) * 3,
        medium=medium,
        density_g_ml=source.density_g_ml if density_g_ml is None else density_g_ml,
    )
    energy_sum_mev, self_mev = energy_within_mev(found)
    emitted_mev = n.electron_energy_mev + n.photon_energy_mev
    return VoxelKernelResult(
        nuclide=n.name,
        medium=found.medium,
        density_g_ml=found.density_g_ml,
        spacing_mm=found.spacing_mm,
        extent_voxels=extent,
        energy_emitted_mev=emitted_mev,
        energy_sum_mev=energy_sum_mev,
        self_fraction=self_mev / emitted_mev,
        integration_rel_error=found.integration_rel_error,
        source=source.source,
        s_mgy_per_mbq_s=in_mgy_per_mbq_s(found.gy_per_decay),
        s_electrons_mgy_per_mbq_s=in_mgy_per_mbq_s(found.electron_gy_per_decay),
        s_photons_mgy_per_mbq_s=in_mgy_per_mbq_s(found.photon_gy_per_decay),
        provenance=Provenance(
            parameters={"spacing_mm": found.spacing_mm, "density_g_ml": found.density_g_ml, "extent": extent},
            tables={f"transport/dpk_{n.name}_{medium}.csv": source.source},
        ),
    )
