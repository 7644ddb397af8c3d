"""``hepatica kernel``: voxel S values of a nuclide for any voxel size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hepatica.nuclides import Nuclide
    from hepatica.transport.kernels.voxel import PointKernel, VoxelKernel

ROWS_SHOWN = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1), (2, 0, 0), (3, 0, 0), (5, 0, 0))
MGY_PER_MBQ_S = 1e9
"""mGy/(MBq s) in one Gy per decay."""


def kernel(
    nuclide: Annotated[str, typer.Option(help="Nuclide, such as Ho-166 or 90Y.")],
    spacing: Annotated[tuple[float, float, float], typer.Option(help="Voxel edges in mm, three numbers.")],
    medium: Annotated[str, typer.Option(help="water, soft_tissue, lung or bone.")] = "water",
    density: Annotated[float | None, typer.Option(help="Density in g/mL; the medium's own by default.")] = None,
    extent: Annotated[int, typer.Option(min=0, help="Largest voxel offset along each axis.")] = 6,
    plot: Annotated[Path | None, typer.Option(help="Write a figure (PNG, PDF or SVG) of S against distance.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Voxel S values: dose per decay around a voxel with uniform activity, in a uniform medium."""
    from hepatica.nuclides import nuclide as nuclide_named
    from hepatica.transport.kernels.voxel import point_kernel, voxel_kernel

    n = nuclide_named(nuclide)
    table = point_kernel(n.name, medium)
    values = voxel_kernel(
        n,
        spacing,
        half_shape=(extent + 1,) * 3,
        medium=medium,
        density_g_ml=table.density_g_ml if density is None else density,
    )
    document = _document(n, table, values)
    if plot is not None:
        _draw(plot, document)
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
        return
    _print(document)


def _document(n: Nuclide, table: PointKernel, values: VoxelKernel) -> dict[str, Any]:
    import numpy as np

    from hepatica.core.constants import MEV_TO_J

    s = values.gy_per_decay.astype(np.float64) * MGY_PER_MBQ_S
    edges = values.spacing_mm
    voxel_kg = float(np.prod(edges)) * 1e-6 * values.density_g_ml
    images = np.ones(s.shape)
    for axis in range(3):
        images[tuple(slice(1, None) if a == axis else slice(None) for a in range(3))] *= 2
    emitted_mev = n.electron_energy_mev + n.photon_energy_mev
    to_mev = voxel_kg / MEV_TO_J / MGY_PER_MBQ_S
    return {
        "nuclide": n.name,
        "medium": values.medium,
        "density_g_ml": values.density_g_ml,
        "spacing_mm": list(edges),
        "extent_voxels": s.shape[0] - 1,
        "energy_emitted_mev": emitted_mev,
        "energy_sum_mev": float((s * images).sum()) * to_mev,
        "self_fraction": float(s[0, 0, 0]) * to_mev / emitted_mev,
        "integration_rel_error": values.integration_rel_error,
        "source": table.source,
        "s_mgy_per_mbq_s": s.tolist(),
        "s_electrons_mgy_per_mbq_s": (values.electron_gy_per_decay.astype(np.float64) * MGY_PER_MBQ_S).tolist(),
        "s_photons_mgy_per_mbq_s": (values.photon_gy_per_decay.astype(np.float64) * MGY_PER_MBQ_S).tolist(),
    }


def _print(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    i, j, k = document["spacing_mm"]
    console.print(
        f"{document['nuclide']} in {document['medium']} of {document['density_g_ml']:g} g/mL, "
        f"voxels {i:g} x {j:g} x {k:g} mm"
    )
    table = Table("offset", box=None)
    for head in ("S, mGy/(MBq s)", "electrons", "photons"):
        table.add_column(head, justify="right")
    for at in ROWS_SHOWN:
        if max(at) > document["extent_voxels"]:
            continue
        keys = ("s_mgy_per_mbq_s", "s_electrons_mgy_per_mbq_s", "s_photons_mgy_per_mbq_s")
        cells = [f"{document[key][at[0]][at[1]][at[2]]:.4g}" for key in keys]
        table.add_row(f"({at[0]}, {at[1]}, {at[2]})", *cells)
    console.print(table)
    share = document["energy_sum_mev"] / document["energy_emitted_mev"]
    console.print(
        f"{100 * document['self_fraction']:.2f} % of the {document['energy_emitted_mev']:.4g} MeV emitted per decay "
        f"stays in the source voxel, {100 * share:.2f} % within {document['extent_voxels']} voxels. All values: --json."
    )
    console.print(f"From: {document['source']}")


def _draw(path: Path, document: dict[str, Any]) -> None:
    import numpy as np

    from hepatica.errors import OutputError

    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError("--plot needs matplotlib") from error
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    s = {key: np.array(document[key]) for key in ("s_electrons_mgy_per_mbq_s", "s_photons_mgy_per_mbq_s")}
    offsets = np.indices(next(iter(s.values())).shape)
    distance = np.sqrt(sum((offsets[a] * document["spacing_mm"][a]) ** 2 for a in range(3)))
    for (_, values), label in zip(s.items(), ("electrons", "photons"), strict=True):
        if (values > 0).any():
            axes.plot(distance[values > 0], values[values > 0], ".", label=label)
    axes.set(
        yscale="log",
        xlabel="distance of voxel centres, mm",
        ylabel="S, mGy/(MBq s)",
        title=f"{document['nuclide']} in {document['medium']}",
    )
    axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"figure {path}: cannot be written ({error})") from error
