"""What earlier treatments leave for the next one, as `remaining_tolerance` finds it, and how a plan stands to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.core.numbers.compare import above
from hepatica.errors import InputError
from hepatica.planning.limits.dose_limits import Limit, LimitCheck
from hepatica.planning.planner.territories import PreviousTreatment


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one territory, or all of them, may still receive.

    Attributes
    ----------
    territory : str or None
        Its name; None for every territory.
    normal_gy : float
        Largest further mean dose to the territory's normal liver, Gy.
    lung_gy : float
        Largest further dose to the lungs, Gy.
    lung_so_far_gy : float
        From all earlier treatments.
    delivered_bed_gy, tolerance_bed_gy : float
        BED of the normal liver so far, and what it may reach in all.
    nuclide : str
        Of the next treatment: the dose left depends on its half-life.
    treatments : int
        Earlier treatments.
    cautions : tuple of str
        What speaks against treating.
    normal_liver_so_far_gy : float or None
        Mean dose of the whole normal liver by all earlier treatments; None where that is not known.
    normal_surely_gy, lung_surely_gy : float or None
        What is left if earlier doses lay at the upper ends of their 95 % intervals; None where none has one.
    source : str
        File it was read from.
    """

    territory: str | None
    normal_gy: float
    lung_gy: float
    lung_so_far_gy: float
    delivered_bed_gy: float
    tolerance_bed_gy: float
    nuclide: str
    treatments: int
    cautions: tuple[str, ...] = ()
    normal_liver_so_far_gy: float | None = None
    normal_surely_gy: float | None = None
    lung_surely_gy: float | None = None
    source: str = field(default="", metadata=HIDDEN)

    @property
    def shown_source(self) -> str:
        """The file with its folder, without where that lies: a report is read elsewhere."""
        return "/".join(PurePath(self.source).parts[-2:])

    @property
    def certain_normal_gy(self) -> float:
        """For whoever keeps a limit with a chance: what is left for certain, where that is known."""
        return self.normal_gy if self.normal_surely_gy is None else min(self.normal_gy, self.normal_surely_gy)

    @property
    def certain_lung_gy(self) -> float:
        """The same of the lungs."""
        return self.lung_gy if self.lung_surely_gy is None else min(self.lung_gy, self.lung_surely_gy)

    def __post_init__(self) -> None:
        numbers = [self.normal_gy, self.lung_gy, self.lung_so_far_gy, self.delivered_bed_gy, self.tolerance_bed_gy]
        more = (self.normal_liver_so_far_gy, self.normal_surely_gy, self.lung_surely_gy)
        numbers += [value for value in more if value is not None]
        if not all(math.isfinite(v) and v >= 0 for v in numbers):
            raise InputError(f"{self.source}: doses of an allowance must be zero or more")


def allowance_for(allowances: Sequence[Allowance], territory: str) -> Allowance | None:
    """The allowance of a territory, or that of all; None where there is none."""
    named = [a for a in allowances if a.territory == territory]
    return next(iter(named or [a for a in allowances if a.territory is None]), None)


def require_fitting(
    allowances: Sequence[Allowance], territories: Sequence[str], previous: Sequence[PreviousTreatment]
) -> None:
    """Refuse allowances that contradict the plan or one another.

    Raises
    ------
    InputError
        If a territory is unknown or named twice, two files tell different lung doses of the same patient, lung doses
        are stated a second time as earlier treatments, or nothing is left for a territory or the lungs.
    """
    named = [a.territory for a in allowances]
    if len(set(named)) != len(named):
        raise InputError("two files of what is left are of the same territory")
    for a in allowances:
        if a.territory is not None and a.territory not in territories:
            raise InputError(f"{a.source}: is of territory {a.territory!r}; the plan has {', '.join(territories)}")
        if a.normal_gy == 0:
            raise InputError(
                f"{a.source}: nothing is left for {a.territory or 'the liver'}: {a.delivered_bed_gy:.4g} of "
                f"{a.tolerance_bed_gy:g} Gy BED are used up, no activity is allowed"
            )
        if a.lung_gy == 0:
            raise InputError(f"{a.source}: the lungs have had {a.lung_so_far_gy:g} Gy; no activity is allowed")
    if len({round(a.lung_so_far_gy, 6) for a in allowances}) > 1:
        raise InputError(
            "the files of what is left state different lung doses so far; one patient has one pair of lungs"
        )
    if allowances and any(p.lung_gy or p.normal_liver_gy for p in previous):
        raise InputError("earlier treatments are stated twice, as doses and as what is left; leave one of them out")


def as_previous(allowances: Sequence[Allowance]) -> tuple[PreviousTreatment, ...]:
    """Doses of lungs and whole normal liver so far, for the sums; 0 of a liver whose dose is not known, which is said.

    The normal liver is judged by its BED; in Gy only against a limit of a lifetime that is stated.
    """
    if not allowances:
        return ()
    known = [a.normal_liver_so_far_gy for a in allowances if a.normal_liver_so_far_gy is not None]
    return (PreviousTreatment("earlier treatments", max(known, default=0.0), allowances[0].lung_so_far_gy),)


def about_sums(allowances: Sequence[Allowance]) -> tuple[Message, ...]:
    """What is said where the dose of the whole normal liver so far is not known: the sums lack it."""
    if not allowances or any(a.normal_liver_so_far_gy is not None for a in allowances):
        return ()
    text = (
        "the dose of the whole normal liver by earlier treatments is not known: what stands as its sum of all "
        "treatments is of this one alone"
    )
    return (Message("earlier-liver-dose-unknown", text, "find what is left again, from results of the absorbed dose"),)


def used_up(allowances: Sequence[Allowance]) -> str:
    """Why no activity keeps what is left with a chance: the upper ends of earlier doses use it up; empty else."""
    for a in allowances:
        if not (a.certain_normal_gy > 0 and a.certain_lung_gy > 0):
            return f"nothing is left if earlier doses lay at the upper ends of their intervals ({a.shown_source})"
    return ""


def check_allowances(
    allowances: Sequence[Allowance], perfused_normal_gy: dict[str, float], lung_gy: float
) -> list[LimitCheck]:
    """How the plan's doses stand to what is left: near it where only the interval of an earlier dose decides."""
    found = []
    for territory, dose in perfused_normal_gy.items():
        a = allowance_for(allowances, territory)
        if a is not None:
            text = (
                f"normal liver in {territory}: what earlier treatments leave ({a.delivered_bed_gy:.4g} of "
                f"{a.tolerance_bed_gy:g} Gy BED used)"
            )
            most = (a.normal_gy, a.certain_normal_gy)
            found.append(_checked("perfused_normal_gy", most, dose, text, a.shown_source))
    if allowances:
        least = min(allowances, key=lambda a: a.lung_gy)
        most = (least.lung_gy, min(a.certain_lung_gy for a in allowances))
        text = f"lungs: what earlier treatments leave ({least.lung_so_far_gy:.3g} Gy so far)"
        found.append(_checked("lung_gy", most, lung_gy, text, least.shown_source))
    return found


def _checked(quantity: str, most: tuple[float, float], value: float, text: str, source: str) -> LimitCheck:
    left, surely = most
    if surely < left:
        text = f"{text}; {surely:.4g} Gy if earlier doses lay at the upper ends of their intervals"
    row = Limit(f"remaining-{quantity}", quantity, "max", left, ("*",), ("*",), text, source, "given")
    found = row.status(value)
    return LimitCheck(row, value, "near" if found == "met" and above(value, surely) else found, "")
