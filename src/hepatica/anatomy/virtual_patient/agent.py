"""Where the agent goes: down the arterial tree from the catheters, into voxels, and out again with time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.sampling import LUNG_NAMES, Sampled
from hepatica.anatomy.virtual_patient.settings import Treatment
from hepatica.anatomy.virtual_patient.vessels.arteries import ArterialTree
from hepatica.core import decay_factor, seconds_between
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.region import Window
from hepatica.core.tables.shipped import csv_rows
from hepatica.errors import InputError, TimeError
from hepatica.nuclides import agent, nuclide

Array = NDArray[np.float32]

REFLUX_ORGANS: Mapping[str, tuple[str, ...]] = {
    "gastroduodenal": ("wall of duodenum", "wall of stomach"),
    "right gastric": ("wall of stomach",),
    "cystic": ("wall of gallbladder",),
}
DUODENAL_SHARE = 0.7
"""Of what flows into the gastroduodenal artery; the rest goes to the stomach (assumption)."""

COMPARTMENTS = ("tumour", "liver", "lungs", "reflux")


@dataclass(frozen=True, slots=True, eq=False)
class Deposit:
    """Activity in one compartment.

    Attributes
    ----------
    compartment : str
        "tumour", "liver" (all that is not viable tumour), "lungs" or "reflux".
    window : tuple of slice
        Voxels of the grid.
    activity_bq : ndarray of float32
        Per voxel at the administration.
    biological_half_life_s : float or None
        Of its way out; None if it stays.
    """

    compartment: str
    window: Window
    activity_bq: Array
    biological_half_life_s: float | None

    @property
    def total_bq(self) -> float:
        """Activity at the administration."""
        return float(self.activity_bq.sum(dtype=np.float64))

    def left_at(self, at: datetime, treatment: Treatment) -> float:
        """Share of it that is there at an instant, by decay and biological clearance.

        Raises
        ------
        TimeError
            If the instant is before the administration.
        """
        elapsed_s = seconds_between(treatment.administered_at, at)
        if elapsed_s < 0:
            raise TimeError(f"{at} is before the administration at {treatment.administered_at}")
        left = decay_factor(elapsed_s, nuclide(treatment.nuclide).half_life_s)
        if self.biological_half_life_s is not None:
            left *= decay_factor(elapsed_s, self.biological_half_life_s)
        return left

    def decays_per_bq(self, treatment: Treatment) -> float:
        """Decays in place per becquerel at the administration: effective half-life / ln 2."""
        rate = math.log(2) / nuclide(treatment.nuclide).half_life_s
        if self.biological_half_life_s is not None:
            rate += math.log(2) / self.biological_half_life_s
        return 1 / rate


def biological_half_life_s(agent_name: str, compartment: str) -> float | None:
    """From the table of kinetics; None where the agent stays (microspheres, and agents that are not listed)."""
    for row in csv_rows(__package__, "kinetics.csv"):
        if row["agent"] == agent_name and row["compartment"] == compartment:
            return float(row["biological_half_life_h"]) * SECONDS_PER_HOUR if row["biological_half_life_h"] else None
    return None


def distribute(
    treatment: Treatment,
    tree: ArterialTree,
    territory: NDArray[np.int32],
    sampled: Sampled,
    tumours: tuple[str, ...],
    random: np.random.Generator,
) -> tuple[Deposit, ...]:
    """Activity of each compartment at the administration; together exactly what was administered.

    Parameters
    ----------
    treatment : Treatment
        What was given.
    tree : ArterialTree
        Of the patient.
    territory : ndarray of int32, shape of the liver's window
        End branch that each voxel of the liver belongs to, -1 outside.
    sampled : Sampled
        The organs, on a grid that holds liver, lungs, stomach, duodenum and gallbladder whole.
    tumours : tuple of str
        Names of the tumours.
    random : numpy.random.Generator
        Of the uneven spread and the microspheres.

    Notes
    -----
    In a catheter's territory every voxel takes up in proportion to its perfused tissue (viable tumour counted
    `tumour_to_normal` times, necrosis not at all), times a factor of its end branch: at every bifurcation the log odds
    of the two ways are shifted by a normal number of standard deviation `spread`. Microspheres then arrive in clusters,
    a Poisson number of them in each voxel. Last, viable tumour and normal tissue of the territory are each scaled to
    their share, so that the ratio of their mean concentrations is the one asked for.
    """
    window, liver = sampled.parts["liver"]
    viable, normal = tissues(sampled, tumours)
    shares = _shares(treatment, tree, territory, viable + normal)
    extrahepatic = treatment.lung_shunt + math.fsum(treatment.flow.reflux.values())
    hepatic_bq = treatment.activity_bq * max(0.0, 1 - extrahepatic)
    out = {"tumour": np.zeros(liver.shape), "liver": np.zeros(liver.shape)}
    for name, share in shares.items():
        reached = _uneven(tree, name, treatment.flow.spread, random)[territory]
        reached[territory < 0] = 0
        ratio = treatment.tumour_to_normal
        weights = {"tumour": ratio * viable * (reached > 0), "liver": normal * (reached > 0)}
        total = sum(float(w.sum(dtype=np.float64)) for w in weights.values())
        if not total > 0:
            raise InputError(f"the {name} artery feeds no tissue that takes the agent up")
        for compartment, weight in weights.items():
            part_bq = hepatic_bq * share * float(weight.sum(dtype=np.float64)) / total
            out[compartment] += _seeded(weight * reached, part_bq, treatment, random)
    deposits = [_deposit(name, window, values, treatment) for name, values in out.items()]
    deposits.extend(_extrahepatic(treatment, sampled, random))
    return tuple(d for d in deposits if d.total_bq > 0)


def territories(sampled: Sampled, tree: ArterialTree) -> NDArray[np.int32]:
    """End branch (place in `tree.ends`) nearest to each voxel of the liver in its own segment; -1 outside the liver."""
    from scipy.spatial import cKDTree

    window, liver = sampled.parts["liver"]
    out = np.full(liver.shape, -1, dtype=np.int32)
    ends, fed = tree.end_mm[tree.ends], tree.segment[tree.ends]
    for segment in range(1, 9):
        here = np.argwhere((sampled.segment == segment) & (liver > 0))
        if not len(here):
            continue
        mine = np.flatnonzero(fed == segment)
        mine = mine if len(mine) else np.arange(len(ends))
        start = [s.start for s in window]
        nearest = cKDTree(ends[mine]).query(sampled.grid.to_mm(here + start))[1]
        out[tuple(here.T)] = mine[nearest]
    return out


def tissues(sampled: Sampled, tumours: tuple[str, ...]) -> tuple[Array, Array]:
    """Coverage by viable tumour, and by liver that is no tumour."""
    _, liver = sampled.parts["liver"]
    viable, tumour = np.zeros_like(liver), np.zeros_like(liver)
    for name in tumours:
        whole = sampled.parts[name][1]
        tumour += whole
        viable += whole - (sampled.parts[f"{name} necrosis"][1] if f"{name} necrosis" in sampled.parts else 0)
    return viable, np.maximum(liver - tumour, 0)


def _shares(treatment: Treatment, tree: ArterialTree, territory: NDArray[np.int32], tissue: Array) -> dict[str, float]:
    """Share of the hepatic activity given through each branch."""
    if isinstance(treatment.catheters, Mapping):
        for name in treatment.catheters:
            tree.branch(name)
        return {name: share for name, share in treatment.catheters.items() if share > 0}
    held = np.bincount(territory[territory >= 0], weights=tissue[territory >= 0], minlength=len(tree.ends))
    volumes = {name: float(held[tree.ends_of(name)].sum()) for name in treatment.catheters}
    total = sum(volumes.values())
    return {name: volume / total for name, volume in volumes.items()} if total > 0 else dict.fromkeys(volumes, 0.0)


def _uneven(tree: ArterialTree, name: str, spread: float, random: np.random.Generator) -> NDArray[np.float64]:
    """By how much each end branch gets more or less than its tissue's share, 0 for those not fed; and a 0 for -1."""
    children = tree.children()
    top = tree.branch(name)
    factor = np.zeros(len(tree.parent))
    factor[top] = 1.0
    order = [top]
    for n in order:
        below = [c for c in children.get(n, ()) if tree.segment[c] or tree.labels[c] not in REFLUX_ORGANS]
        if len(below) == 2:
            first, second = below
            shift = math.exp(spread * float(random.standard_normal()))
            odds = tree.flow[first], tree.flow[second]
            mean = (shift * odds[0] + odds[1]) / (odds[0] + odds[1])
            factor[first], factor[second] = factor[n] * shift / mean, factor[n] / mean
        else:
            factor[below] = factor[n]
        order.extend(below)
    return np.append(factor[tree.ends], 0.0)


def _seeded(
    weight: NDArray[np.float64], total_bq: float, treatment: Treatment, random: np.random.Generator
) -> NDArray[np.float64]:
    """Activity per voxel that adds up to `total_bq`: in proportion to the weights, or in clusters of spheres."""
    whole = float(weight.sum(dtype=np.float64))
    if not whole or not total_bq:
        return np.zeros(weight.shape)
    expected = np.asarray(weight, dtype=np.float64) * (total_bq / whole)
    sphere_bq = _activity_per_sphere_bq(treatment) if treatment.flow.spheres else None
    if sphere_bq is None:
        return expected
    clusters = random.poisson(expected / (sphere_bq * treatment.flow.cluster)).astype(np.float64)
    return clusters * (total_bq / clusters.sum()) if clusters.any() else expected


def _activity_per_sphere_bq(treatment: Treatment) -> float | None:
    """Activity of one microsphere; None for agents without spheres, or where it is not known."""
    facts = agent(treatment.agent).facts
    value = facts["activity_per_sphere_bq"].value if "activity_per_sphere_bq" in facts else None
    if isinstance(value, tuple):
        return float(np.mean(value))
    return value if isinstance(value, float) else None


def _extrahepatic(treatment: Treatment, sampled: Sampled, random: np.random.Generator) -> list[Deposit]:
    out = []
    places: list[tuple[str, float, tuple[str, ...]]] = [("lungs", treatment.lung_shunt, LUNG_NAMES)]
    for name, share in treatment.flow.reflux.items():
        organs = REFLUX_ORGANS[name]
        parts = (DUODENAL_SHARE, 1 - DUODENAL_SHARE) if len(organs) == 2 else (1.0,)
        places.extend(("reflux", share * part, (organ,)) for organ, part in zip(organs, parts, strict=True))
    for compartment, share, organs in places:
        held = {organ: float(sampled.parts[organ][1].sum(dtype=np.float64)) for organ in organs}
        for organ, volume in held.items():
            if share > 0 and volume > 0:
                window, covered = sampled.parts[organ]
                part_bq = treatment.activity_bq * share * volume / sum(held.values())
                values = _seeded(np.asarray(covered, dtype=np.float64), part_bq, treatment, random)
                out.append(_deposit(compartment, window, values, treatment))
    return out


def _deposit(compartment: str, window: Window, values: NDArray[np.float64], treatment: Treatment) -> Deposit:
    kinetics = "liver" if compartment == "reflux" else compartment
    half_life_s = biological_half_life_s(treatment.agent, kinetics)
    return Deposit(compartment, window, values.astype(np.float32), half_life_s)
