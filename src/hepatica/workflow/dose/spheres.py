"""Agents compared at the scale of single spheres, at one mean dose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatica.core import Provenance
from hepatica.dosimetry.radiobiology.sphere_model import (
    RadialKernel,
    SphereAgent,
    SphereDose,
    equivalent_mean_dose_gy,
    simulate_spheres,
)
from hepatica.nuclides import AGENT_NAMES, agent, nuclide
from hepatica.transport.kernels.voxel import point_kernel

REFERENCE = "resin"
"""With whose EUD the others are compared."""
KERNEL_REACH_MM = 12.0
LIVER_DENSITY_G_ML = 1.06
OWN_VOXEL_MM = 0.031
"""Radius of a ball of the volume of a 50 um voxel."""
MOST_IN_OWN_VOXEL = 0.05
"""Share of the electron energy within the sphere's own voxel above which the dose between cells is not resolved."""


@dataclass(frozen=True, slots=True)
class Spheres:
    """An agent of spheres: name, nuclide, activity of one in Bq, and where that is from."""

    name: str
    nuclide_name: str
    activity_bq: float
    source: str


def known_spheres() -> tuple[Spheres, ...]:
    """Every therapeutic agent whose activity per sphere is in the table; the middle of a published range."""
    found = []
    for name in AGENT_NAMES:
        a = agent(name)
        fact = a.facts.get("activity_per_sphere_bq")
        if a.form != "microspheres" or a.purpose != "therapy" or fact is None or fact.value is None:
            continue
        values = fact.value if isinstance(fact.value, tuple) else (fact.value,)
        activity = sum(float(v) for v in values) / len(values)
        found.append(Spheres(name, a.nuclide_name, activity, fact.source))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class SphereComparison:
    """Agents at one mean dose; the mean dose of each with the EUD of resin; nuclides, warnings."""

    mean_dose_gy: float
    spheres: tuple[Spheres, ...]
    doses: tuple[SphereDose, ...]
    equivalent_gy: tuple[float, ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys."""
        return {
            "mean_dose_gy": self.mean_dose_gy,
            "agents": [
                {
                    "name": s.name,
                    "nuclide": s.nuclide_name,
                    "activity_per_sphere_bq": s.activity_bq,
                    "spheres_per_ml": d.spheres_per_ml,
                    "relative_sd": d.relative_sd,
                    "percentiles_gy": {str(k): v for k, v in d.percentiles_gy.items()},
                    "eud_gy": d.eud_gy,
                    "mean_dose_with_eud_of_resin_gy": same,
                }
                for s, d, same in zip(self.spheres, self.doses, self.equivalent_gy, strict=True)
            ],
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }


def compare_spheres(
    mean_dose_gy: float, *, alpha_per_gy: float, seed: int, others: Sequence[Spheres] = ()
) -> SphereComparison:
    """Every agent with known spheres, and `others`, at 50 um in liver lobules at the same mean dose.

    The dose is that of the electrons; photons carry theirs out of the block.
    """
    spheres = (*known_spheres(), *others)
    kernels = {s.nuclide_name: tissue_kernel(s.nuclide_name) for s in spheres}
    agents = [SphereAgent(s.name, s.activity_bq) for s in spheres]
    doses = tuple(
        simulate_spheres(a, mean_dose_gy, kernels[s.nuclide_name], alpha_per_gy=alpha_per_gy, seed=seed)
        for a, s in zip(agents, spheres, strict=True)
    )
    wanted = next(d.eud_gy for d, s in zip(doses, spheres, strict=True) if s.name == REFERENCE)
    equivalent = tuple(
        mean_dose_gy
        if s.name == REFERENCE
        else equivalent_mean_dose_gy(a, wanted, kernels[s.nuclide_name], alpha_per_gy=alpha_per_gy, seed=seed)
        for a, s in zip(agents, spheres, strict=True)
    )
    warnings = [
        f"{name}: {100 * share:.0f} % of the electron energy stays in the sphere's own voxel; what cells beside it get "
        "is not resolved"
        for name, k in kernels.items()
        if (share := float(k.within(np.array([OWN_VOXEL_MM]))[0])) > MOST_IN_OWN_VOXEL
    ]
    if len(kernels) > 1:
        warnings.append("the EUD compares doses of different nuclides in Gy; their dose rates differ (see BED)")
    return SphereComparison(
        mean_dose_gy,
        spheres,
        doses,
        equivalent,
        tuple(warnings),
        Provenance(
            parameters={
                "seed": seed,
                "alpha_per_gy": alpha_per_gy,
                "voxel_um": 50,
                "density_g_ml": LIVER_DENSITY_G_ML,
            },
            tables={s.name: s.source for s in spheres},
            conventions={"lobule": "hexagon of 0.7 mm side, single spheres in the portal tracts (our assumption)"},
        ),
    )


def tissue_kernel(name: str) -> RadialKernel:
    """Electron kernel of a nuclide in liver: shells of the soft-tissue table shrunk by the density.

    Beyond 12 mm there is only bremsstrahlung (under 1 % of the energy), which is even over the block and is taken up by
    the scaling to the mean dose. Within the first shell the energy is taken to grow in proportion to the radius; of the
    conversion and Auger electrons, a twelfth of the energy of 166Ho, more stays by the sphere.
    """
    found = point_kernel(name, "soft_tissue")
    near = found.r_mm[1:] <= KERNEL_REACH_MM
    edges = found.r_mm[: int(near.sum()) + 1] * (found.density_g_ml / LIVER_DENSITY_G_ML)
    return RadialKernel(edges, found.electron_fraction[near], nuclide(name).dose_constant_j_per_gbq() * 1e-9)
