"""The setup of an injection from what the camera is to see of each region, and from the plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hepatica.errors import InputError
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.response import masks_of, response_of
from hepatica.monitoring.setup import Array, Doubts, Setup
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.nuclides import nuclide

BACKGROUND_SHARE = 0.01
"""Of the counts at completion, where no frame of the empty field says it (assumption)."""

ABSENT = {"liver": "target", "lungs": "outside", "outside": "target"}
"""Whose share is counted with whose, where a region is not drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedInjection:
    """What is to be injected.

    Attributes
    ----------
    nuclide, agent : str
        What it is.
    planned_bq : float
        In the vial at the start.
    infusion_s : float
        How long it is meant to take.
    shares : mapping of str to float
        Of what arrives, by role: "liver", "lungs", "outside"; the target gets the rest, guards nothing.
    residual : float
        Share that stays behind in vial and line.
    goal_bq : float or None
        Activity that the target needs.
    limits_bq : mapping of str to float
        Largest activity, by role.
    flow : FlowSettings
        How it runs: pulses.
    """

    nuclide: str
    agent: str
    planned_bq: float
    infusion_s: float
    shares: Mapping[str, float]
    residual: float = 0.01
    goal_bq: float | None = None
    limits_bq: Mapping[str, float] = field(default_factory=dict)
    flow: FlowSettings = field(default_factory=FlowSettings)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """What the camera is to see.

    Attributes
    ----------
    images : mapping of str to ndarray, shape (rows, columns)
        Counts per second and becquerel of each region, in each pixel.
    moved : sequence of mapping
        The same for a patient who lies a standard uncertainty elsewhere, in each direction.
    roles : mapping of str to str
        Of the regions.
    pixel_mm : float
        Edge of a pixel.
    uneven : mapping of str to float
        By what share a region's sensitivity is off where its uptake is not even (k = 1).
    background_cps : ndarray, shape (rows, columns), or None
        Of the empty field in each pixel; None if not measured.
    tau_s : float
        Dead time, paralysable.
    """

    images: Mapping[str, Array]
    moved: tuple[Mapping[str, Array], ...]
    roles: Mapping[str, str]
    pixel_mm: float
    uneven: Mapping[str, float] = field(default_factory=dict)
    background_cps: Array | None = None
    tau_s: float = 0.0


def prepared_injection(sight: Sight, plan: PlannedInjection, doubts: Doubts, *, has_meter: bool = True) -> Prepared:
    """The setup, with masks by what shows most in each pixel, and doubts that the patient's place adds.

    Raises
    ------
    InputError
        If there is no target, the camera does not tell the regions apart, or shares or numbers cannot be.
    """
    names = list(sight.images)
    roles = tuple(sight.roles[name] for name in names)
    if "target" not in roles:
        raise InputError("no region is the target")
    mask = masks_of(sight.images, sight.roles)
    response = response_of(sight.images, mask)
    shares = _shares(roles, plan.shares)
    whole = float((response @ shares).sum()) * plan.planned_bq
    if sight.background_cps is None:
        pixels = np.bincount(mask.ravel(), minlength=len(names)) / mask.size
        background: Array = BACKGROUND_SHARE * whole * pixels
    else:
        seen = np.bincount(mask.ravel(), weights=sight.background_cps.ravel(), minlength=len(names))
        background = np.asarray(seen, np.float64)
    uneven = max((sight.uneven.get(name, 0.0) for name in names), default=0.0)
    region, cross = _by_place(response, [response_of(images, mask) for images in sight.moved])
    found = Doubts(
        **{name: getattr(doubts, name) for name in Doubts.__slots__ if name not in ("region", "cross_talk")},
        region=math.hypot(doubts.region, region, uneven),
        cross_talk=math.hypot(doubts.cross_talk, cross),
    )
    limits = {names[roles.index(role)]: bq for role, bq in plan.limits_bq.items() if role in roles}
    held = nuclide(plan.nuclide)
    setup = Setup(
        tuple(names), roles, response, background, held.half_life_s, plan.planned_bq, plan.infusion_s, shares,
        tau_s=sight.tau_s, goal_bq=plan.goal_bq, limits_bq=limits, residual=plan.residual, has_meter=has_meter,
        doubts=found,
    )  # fmt: skip
    return Prepared(setup, mask, sight.pixel_mm, held.name, plan.agent, plan.flow)


def _shares(roles: tuple[str, ...], by_role: Mapping[str, float]) -> Array:
    """Expected share of each region, together 1."""
    found = dict.fromkeys(roles, 0.0)
    for role, share in by_role.items():
        if not 0 <= share < 1:
            raise InputError(f"the expected share of {role} is from 0 to below 1, not {share}")
        held = role
        while held not in found:
            held = ABSENT[held]
        found[held] += share
    rest = 1 - sum(found.values())
    if rest <= 0:
        raise InputError(f"the expected shares leave {100 * rest:.3g} % for the target")
    found["target"] += rest
    return np.array([found[role] / roles.count(role) for role in roles])


def _by_place(response: Array, moved: list[Array]) -> tuple[float, float]:
    """Relative change of sensitivity and of cross-talk where the patient lies elsewhere, root mean square."""
    if not moved:
        return 0.0, 0.0
    own = np.diag(response)
    change = np.stack([one - response for one in moved])
    region = float(np.sqrt(np.mean((np.stack([np.diag(one) for one in change]) / own) ** 2)))
    off = ~np.eye(len(own), dtype=bool)
    # As a fraction of the cross-talk that there is: small elements count little.
    cross = float(np.sqrt((change[:, off] ** 2).sum() / max(len(moved) * (response[off] ** 2).sum(), 1e-300)))
    return region, cross
