"""Agents compared at the scale of single spheres, at one mean dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.core.numbers.units import parse_quantity
from hepatica.core.options.values import value_class
from hepatica.core.progress import Progress, silent
from hepatica.dosimetry.radiobiology.sphere_model import (
    RadialKernel,
    SphereAgent,
    equivalent_mean_dose_gy,
    simulate_spheres,
)
from hepatica.errors import InputError
from hepatica.nuclides import AGENT_NAMES, agent, nuclide
from hepatica.transport.kernels.voxel import point_kernel

REFERENCE = "resin"
"""With whose EUD the others are compared."""
KERNEL_REACH_MM = 12.0
LIVER_DENSITY_G_ML = 1.06
OWN_VOXEL_MM = 0.031
"""Radius of a ball of the volume of a 50 um voxel."""
MAX_IN_OWN_VOXEL = 0.05
"""Share of the electron energy within the sphere's own voxel above which the dose between cells is not resolved."""


@value_class
@dataclass(frozen=True, slots=True)
class Spheres:
    """An agent of spheres: name, nuclide, activity of one in Bq, and where that is from."""

    name: str
    nuclide: str
    activity_per_sphere_bq: float
    source: str = "given by the user"

    @classmethod
    def parse(cls, text: str) -> Spheres:
        """From "lutetium glass, Lu-177, 900 Bq".

        Raises
        ------
        InputError
            If it is not name, nuclide and activity.
        """
        parts = [part.strip() for part in str(text).split(",")]
        if len(parts) != 3 or not parts[0]:
            raise InputError(f"{text!r}: write name, nuclide and activity of one sphere: 'NAME, Re-188, 900 Bq'")
        return cls(parts[0], nuclide(parts[1]).name, parse_quantity(parts[2], "Bq", f"spheres {parts[0]!r}"))


@dataclass(frozen=True, slots=True)
class SphereEffect:
    """Dose of one agent at the scale of its spheres.

    Attributes
    ----------
    name, nuclide, source : str
        Agent, nuclide, where the activity per sphere is from.
    activity_per_sphere_bq, spheres_per_ml : float
        Activity of one sphere; how many give the mean dose.
    relative_sd : float
        Standard deviation of the voxel dose over its mean.
    percentiles_gy : mapping of int to float
        Percentile (5, 25, 50, 75, 95) -> dose.
    eud_gy, mean_dose_with_eud_of_resin_gy : float
        Uniform dose of the same cell survival; mean dose that has the EUD of resin.
    dose_gy : ndarray
        Voxel doses of the block.
    """

    name: str
    nuclide: str
    activity_per_sphere_bq: float
    source: str
    spheres_per_ml: float
    relative_sd: float
    percentiles_gy: Mapping[int, float]
    eud_gy: float
    mean_dose_with_eud_of_resin_gy: float
    dose_gy: NDArray[np.float64] = field(metadata=HIDDEN)


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


def sphere_effects(
    mean_dose_gy: float,
    *,
    alpha_per_gy: float,
    seed: int,
    others: Sequence[Spheres] = (),
    progress: Progress | None = None,
) -> tuple[tuple[SphereEffect, ...], tuple[Message, ...]]:
    """Every agent with known spheres, and `others`, at 50 um in liver lobules at the same mean dose; what to know.

    The dose is that of the electrons; photons carry theirs out of the block.
    """
    report_progress = progress or silent
    spheres = (*known_spheres(), *others)
    kernels = {s.nuclide: tissue_kernel(s.nuclide) for s in spheres}
    agents = [SphereAgent(s.name, s.activity_per_sphere_bq) for s in spheres]
    doses = []
    for a, s in zip(agents, spheres, strict=True):
        report_progress(f"spheres: {s.name}")
        doses.append(simulate_spheres(a, mean_dose_gy, kernels[s.nuclide], alpha_per_gy=alpha_per_gy, seed=seed))
    wanted = next(d.eud_gy for d, s in zip(doses, spheres, strict=True) if s.name == REFERENCE)
    effects = []
    for a, s, d in zip(agents, spheres, doses, strict=True):
        report_progress(f"equal effect: {s.name}")
        same = mean_dose_gy
        if s.name != REFERENCE:
            same = equivalent_mean_dose_gy(a, wanted, kernels[s.nuclide], alpha_per_gy=alpha_per_gy, seed=seed)
        effects.append(
            SphereEffect(
                s.name, s.nuclide, s.activity_per_sphere_bq, s.source, d.spheres_per_ml, d.relative_sd,
                d.percentiles_gy, d.eud_gy, same, d.dose_gy,
            )
        )  # fmt: skip
    return tuple(effects), tuple(_messages(kernels))


def _messages(kernels: Mapping[str, RadialKernel]) -> list[Message]:
    found = []
    for name, kernel in kernels.items():
        share = float(kernel.within(np.array([OWN_VOXEL_MM]))[0])
        if share > MAX_IN_OWN_VOXEL:
            text = (
                f"{name}: {100 * share:.0f} % of the electron energy stays in the sphere's own voxel; what cells "
                "beside it get is not resolved"
            )
            found.append(Message("spheres-not-resolved", text))
    if len(kernels) > 1:
        text = "the EUD compares doses of different nuclides in Gy; their dose rates differ (see BED)"
        found.append(Message("dose-rates-differ", text))
    return found


@cache
def tissue_kernel(name: str) -> RadialKernel:
    """Electron kernel of a nuclide in liver, kept: shells of the soft-tissue table shrunk by the density.

    Beyond 12 mm there is only bremsstrahlung (under 1 % of the energy), which is even over the block and is taken up by
    the scaling to the mean dose. Within the first shell the energy is taken to grow in proportion to the radius; of the
    conversion and Auger electrons, a twelfth of the energy of 166Ho, more stays by the sphere.
    """
    found = point_kernel(name, "soft_tissue")
    near = found.r_mm[1:] <= KERNEL_REACH_MM
    edges = found.r_mm[: int(near.sum()) + 1] * (found.density_g_ml / LIVER_DENSITY_G_ML)
    return RadialKernel(edges, found.electron_fraction[near], nuclide(name).dose_constant_j_per_gbq() * 1e-9)
