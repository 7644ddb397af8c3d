"""What is known before an injection is watched: regions, what the camera sees of each, the plan, and its doubts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError, UnknownNameError

Array = NDArray[np.float64]

ROLES = ("target", "liver", "lungs", "guard", "outside")
"""What a region of the frame is: the tissue to be treated, the other liver, the lungs, an organ that must get nothing,
and the rest of the field."""


ALREADY_THERE = ("unknown", "apart", "counts")

LEAST_PLANNED_BQ = 1e6
"""Less is a plan in another unit."""

MOST_PLANNED_BQ = 1e13
"""Five hundred times the largest vial."""

MOST_RESPONSE = 1e3
"""A camera counts less than once per decay; a signal that stands for counts has its own unit."""

MOST_CPS = 1e9

MOST_SECONDS, MOST_DOUBT = 3600.0, 100.0
"""No injection lasts longer than an hour, and a hundredfold doubt knows nothing: more is a slip of the unit."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """How wrong what is known may be, each a standard deviation (k = 1).

    Attributes
    ----------
    camera : float
        Of the camera factor, common to all regions, as a fraction.
    region : float
        Of each region's sensitivity beside it (depth, attenuation), as a fraction.
    cross_talk : float
        Of each element of the cross-talk between regions, as a fraction of it.
    motion : float
        Of cross-talk within one injection, by breathing and small movements, as a fraction of it.
    share_drift : float
        Of the share of the flow that a region gets, within one injection, absolute.
    background : float
        Of the background's rate, as a fraction.
    meter : float
        Of one reading of the meter on vial or line, as a fraction of the planned activity.
    meter_scale : float
        Of the meter's factor, as a fraction: a vial that empties changes its geometry.
    lag_s : float
        Of the time from vial to tissue.
    dispersion_s : float
        Of the spread on the way.
    clock_s : float
        Of the time by which readings of the meter are stamped late by the camera's clock; 2 s are what two clocks that
        a person sets by sight differ by (assumption), and with it 4.5 s, up to which clocks are followed, is 2.25 sd.
    """

    camera: float = 0.02
    region: float = 0.015
    cross_talk: float = 0.08
    motion: float = 0.04
    share_drift: float = 0.03
    background: float = 0.03
    meter: float = 0.01
    meter_scale: float = 0.02
    lag_s: float = 0.5
    dispersion_s: float = 0.5
    clock_s: float = 2.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            most = MOST_SECONDS if name.endswith("_s") else MOST_DOUBT
            if not 0 <= value <= most:
                raise InputError(f"the doubt of {name} must lie between 0 and {most:g}, not {value}")


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """Everything that a watched injection rests on.

    Attributes
    ----------
    regions : tuple of str
        Names of the regions, in the order of all arrays; the masks in the frame have the same names.
    roles : tuple of str
        What each is, one of `ROLES`.
    response_cps_per_bq : ndarray, shape (regions, regions)
        Counts per second in the mask of row k from one becquerel in the region of column r, attenuation, scatter and
        the camera's blur included: the diagonal is sensitivity, the rest cross-talk.
    background_cps : ndarray, shape (regions,)
        Counts per second in each mask without the agent.
    half_life_s : float
        Of the nuclide.
    planned_bq : float
        Activity in vial or syringe at the start.
    infusion_s : float
        How long the infusion is meant to take.
    expected_shares : ndarray, shape (regions,)
        Share of the activity that each region is to get, together 1.
    tau_s : float
        Dead time per event counted in the window, paralysable; 0 where the camera has corrected it.
    goal_bq : float or None
        Activity in the target at which it has what it needs.
    limits_bq : mapping of str to float
        Largest activity that a region may hold at completion.
    residual : float
        Share of the activity that is expected to stay behind in vial and line.
    lag_s, dispersion_s : float
        From vial to tissue, and how far it spreads on the way (exponential).
    has_meter : bool
        Whether a meter tells what has left the vial. Without one the planned infusion stands in its place.
    already_there : str
        What activity in the field at the first frame is: "apart" (of an earlier injection, not delivered by this one),
        "counts" (frames began late: it is part of this one), "unknown" (then what was delivered is not measured).
    doubts : Doubts
        How wrong all this may be.
    signal_sd_bq : ndarray, shape (regions,), or None
        Standard deviation of each region's value in one frame, where frames are no counts (MR); None for counts.

    Raises
    ------
    InputError
        If shapes, shares or numbers contradict each other, or the regions cannot be told apart by the camera.
    UnknownNameError
        If a role or a region with a limit is not known.
    """

    regions: tuple[str, ...]
    roles: tuple[str, ...]
    response_cps_per_bq: Array
    background_cps: Array
    half_life_s: float
    planned_bq: float
    infusion_s: float
    expected_shares: Array
    tau_s: float = 0.0
    goal_bq: float | None = None
    limits_bq: Mapping[str, float] = field(default_factory=dict)
    residual: float = 0.01
    lag_s: float = 3.0
    dispersion_s: float = 1.5
    has_meter: bool = True
    already_there: str = "unknown"
    doubts: Doubts = Doubts()
    signal_sd_bq: Array | None = None

    def __post_init__(self) -> None:
        self._check_arrays()
        self._check_names()
        for name in ("half_life_s", "planned_bq", "infusion_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} must be positive and finite, not {getattr(self, name)}")
        if not LEAST_PLANNED_BQ <= self.planned_bq <= MOST_PLANNED_BQ:
            raise InputError(
                f"planned_bq is {self.planned_bq:g} Bq, which nobody injects",
                remedy="state activities in becquerels, not in MBq or GBq",
            )
        if self.already_there not in ALREADY_THERE:
            raise UnknownNameError("meaning of activity already there", self.already_there, ALREADY_THERE)
        for name in ("dispersion_s", "tau_s", "lag_s"):
            if not 0 <= getattr(self, name) <= MOST_SECONDS:
                raise InputError(f"{name} must lie between 0 and {MOST_SECONDS:g} s, not {getattr(self, name)}")
        if not isinstance(self.limits_bq, Mapping):
            raise InputError("limits_bq holds an activity for each region that has a limit, by its name")
        for what, value in (("goal_bq", self.goal_bq), *self.limits_bq.items()):
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"goal and limits are positive and finite, not {value} ({what})")
        if not 0 <= self.residual < 1:
            raise InputError(f"the residual is a share from 0 to below 1, not {self.residual}")
        if abs(float(self.expected_shares.sum()) - 1) > 1e-6:
            raise InputError(f"the expected shares add up to {self.expected_shares.sum():.6g}, not 1")

    def _check_arrays(self) -> None:
        count = len(self.regions)
        for name in ("response_cps_per_bq", "background_cps", "expected_shares"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
            if array.shape != ((count, count) if name == "response_cps_per_bq" else (count,)):
                raise InputError(f"{name} has shape {array.shape}, but there are {count} regions")
            if not np.isfinite(array).all() or (array < 0).any():
                raise InputError(f"{name} must be finite and not negative")
        if self.signal_sd_bq is not None and self.signal_sd_bq.shape != (count,):
            raise InputError(f"signal_sd_bq has shape {self.signal_sd_bq.shape} for {count} regions")
        for name, most in (("response_cps_per_bq", MOST_RESPONSE), ("background_cps", MOST_CPS)):
            if (largest := float(getattr(self, name).max(initial=0.0))) > most:
                raise InputError(f"{name} holds {largest:g}, which no camera counts")
        scaled = self.response_cps_per_bq / np.maximum(np.diag(self.response_cps_per_bq), 1e-300)
        if not (np.diag(self.response_cps_per_bq) > 0).all() or np.linalg.cond(scaled) > MOST_CONDITION:
            raise InputError(
                "the camera does not tell the regions apart: their masks see the same counts",
                remedy="draw masks that overlap less, or join regions",
            )

    def _check_names(self) -> None:
        count = len(self.regions)
        if len(self.roles) != count or len(set(self.regions)) != count:
            raise InputError(f"{count} regions need {count} different names and {count} roles, not {len(self.roles)}")
        for role in self.roles:
            if role not in ROLES:
                raise UnknownNameError("role of a region", role, ROLES)
        for name in self.limits_bq:
            self.index(name)
        if "target" not in self.roles:
            raise InputError("no region is the target")

    def index(self, name: str) -> int:
        """Place of a region.

        Raises
        ------
        UnknownNameError
            If there is none of that name.
        """
        if name not in self.regions:
            raise UnknownNameError("region", name, self.regions)
        return self.regions.index(name)

    def of_role(self, *roles: str) -> Array:
        """1 for each region of some roles, 0 for the others, shape (regions,)."""
        return np.array([float(role in roles) for role in self.roles])

    def changed(self, **changes: object) -> Setup:
        """Same with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def complete_cps(self) -> float:
        """True rate in all masks when everything has arrived as expected, background included."""
        return float(
            (self.response_cps_per_bq @ self.expected_shares).sum() * self.planned_bq + self.background_cps.sum()
        )


MOST_CONDITION = 1e3
"""Of the response, columns scaled to their sensitivity: above it noise and errors of cross-talk are blown up so far
that no estimate means anything."""
