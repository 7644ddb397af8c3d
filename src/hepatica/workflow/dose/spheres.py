"""Agents compared at the scale of single spheres, at one mean dose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from hepatica.core import Provenance
from hepatica.core.options import Positive, Text, verb
from hepatica.core.progress import Progress
from hepatica.core.tables.table import Cell, Table
from hepatica.dosimetry.radiobiology.response_models import AlphaChoice, alpha_value
from hepatica.dosimetry.radiobiology.sphere_agents import LIVER_DENSITY_G_ML, SphereEffect, Spheres, sphere_effects
from hepatica.report.figures.outcome import draw_spheres, save
from hepatica.workflow.result import Result, result


@result
class SpheresResult(Result):
    """Agents at one mean dose, in lobules of 50 um voxels."""

    verb = "compare_spheres"

    mean_dose_gy: float
    alpha_per_gy: float
    agents: tuple[SphereEffect, ...]

    def title(self) -> str:
        """Mean dose and radiosensitivity."""
        return (
            f"{self.mean_dose_gy:g} Gy of microspheres in liver lobules, 50 um voxels, alpha {self.alpha_per_gy:g} "
            "per Gy"
        )

    def table(self) -> Table:
        """Spread of the dose of each agent, and its mean dose with the EUD of resin."""
        columns = (
            "agent", "nuclide", "Bq/sphere", "spheres/mL", "spread, %", "5 %, Gy", "50 %, Gy", "95 %, Gy", "EUD, Gy",
            "as resin, Gy",
        )  # fmt: skip
        rows: list[tuple[Cell, ...]] = [
            (
                a.name, a.nuclide, a.activity_per_sphere_bq, a.spheres_per_ml, 100 * a.relative_sd,
                *(a.percentiles_gy[p] for p in (5, 50, 95)), a.eud_gy, a.mean_dose_with_eud_of_resin_gy,
            )
            for a in self.agents
        ]  # fmt: skip
        return Table.of(columns, rows, "Agents", "spheres")

    def write(self, folder: Path) -> None:
        """Write ``spheres.svg``."""
        save(draw_spheres([(a.name, a.dose_gy) for a in self.agents], self.mean_dose_gy), folder / "spheres.svg")


@verb
def compare_spheres(
    dose_gy: Positive,
    *,
    own_spheres: Annotated[tuple[Spheres, ...], Text(Spheres.parse, "NAME, NUCLIDE, ACTIVITY")] = (),
    alpha_per_gy: AlphaChoice = "unified",
    seed: int = 1,
    progress: Progress | None = None,
) -> SpheresResult:
    """Agents at the scale of single spheres, at one mean dose.

    Parameters
    ----------
    dose_gy : float
        Mean dose.
    own_spheres : tuple of Spheres
        Spheres of your own beside those of the table, such as 'mine, Re-188, 900 Bq'.
    alpha_per_gy : {"unified", "external-beam", "resin", "glass"} or float
        Radiosensitivity of the EUD.
    seed : int
        Seed of the places of the spheres.
    progress : callable, optional
        Called with one sentence at each step.

    Returns
    -------
    SpheresResult
        Spread, EUD and equivalent dose of each agent; ``save`` draws the doses.

    Raises
    ------
    PhysicsError
        If the dose is too little for a sphere to fall into the block.

    Examples
    --------
    >>> hepatica.compare_spheres(60.0).agents[0].nuclide
    'Y-90'
    """
    alpha = alpha_value(alpha_per_gy)
    agents, messages = sphere_effects(dose_gy, alpha_per_gy=alpha, seed=seed, others=own_spheres, progress=progress)
    return SpheresResult(
        mean_dose_gy=dose_gy,
        alpha_per_gy=alpha,
        agents=agents,
        messages=messages,
        provenance=Provenance(
            parameters={"seed": seed, "alpha_per_gy": alpha, "voxel_um": 50, "density_g_ml": LIVER_DENSITY_G_ML},
            tables={a.name: a.source for a in agents},
            conventions={"lobule": "hexagon of 0.7 mm side, single spheres in the portal tracts (our assumption)"},
        ),
    )
