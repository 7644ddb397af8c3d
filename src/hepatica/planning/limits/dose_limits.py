"""Limits and targets by guideline, label and trial, and how a plan stands to each: met, near or violated."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from hepatica.core.document import INLINE
from hepatica.core.message import Message
from hepatica.core.numbers.compare import above, below
from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides import Agent
from hepatica.nuclides.agents import Indication, Intent
from hepatica.nuclides.dose_limits import limit_table

Status = Literal["met", "near", "violated", "not evaluated"]

NEAR = 0.10
"""A value within 10 % of its limit, on the right side of it, is "near"."""

SEEN_WHOLE = 0.95
"""Share of a structure's volume in the image from which on its mean dose is judged: what is missed of the rest is
within the uncertainty that the activity has anyway."""

OF_LUNGS = ("lung_gy", "lung_cumulative_gy", "lung_activity_gbq", "lung_shunt_fraction")
"""Quantities that nobody knows without a lung shunt."""

INTENTS: tuple[str, ...] = get_args(Intent)
ONE_DOSE = ("segmentectomy", "lobectomy")
"""Intents for which a guideline states a dose to aim at; for the others labels state a range, whose end is no aim."""

INDICATIONS: tuple[str, ...] = get_args(Indication)
QUANTITIES = (
    "lung_gy",
    "lung_cumulative_gy",
    "normal_liver_gy",
    "perfused_normal_gy",
    "perfused_gy",
    "tumour_gy",
    "lung_activity_gbq",
    "lung_shunt_fraction",
    "marrow_gy",
)


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of the table; see ``nuclides/tables/limits.toml`` for the meaning of each field."""

    id: str
    quantity: str
    bound: Literal["min", "max"]
    limit: float
    agents: tuple[str, ...]
    intents: tuple[str, ...]
    text: str
    source: str
    confidence: str
    condition: str = ""
    indications: tuple[str, ...] = ("*",)
    bilirubin_above_mg_dl: float | None = None
    bilirubin_below_mg_dl: float | None = None
    reserve_below: float | None = None
    compromised: bool | None = None
    period: Literal["treatment", "lifetime"] = "treatment"
    weight: Literal["limit", "range", "preferred"] = "limit"

    def status(self, value: float) -> Status:
        """How `value` stands: "violated" past the limit, "near" within 10 % of it, else "met"."""
        if self.bound == "max":
            return "violated" if above(value, self.limit) else "near" if value > self.limit * (1 - NEAR) else "met"
        return "violated" if below(value, self.limit) else "near" if value < self.limit * (1 + NEAR) else "met"


@dataclass(frozen=True, slots=True)
class LimitContext:
    """What decides which limits apply; None where it is not known.

    Attributes
    ----------
    agent : str
        Name of the agent ("glass", "resin", "ho166-plla", ...); general limits apply to all.
    intent : str or None
        One of `INTENTS`; targets are shown only for a stated intent.
    indication : str or None
        One of `INDICATIONS`.
    bilirubin_mg_dl, hepatic_reserve : float or None
        Total bilirubin; share of normal liver that is spared.
    compromised : bool or None
        Cirrhotic, pretreated by chemotherapy or otherwise of low tolerance.
    """

    agent: str
    intent: str | None = None
    indication: str | None = None
    bilirubin_mg_dl: float | None = None
    hepatic_reserve: float | None = None
    compromised: bool | None = None

    def __post_init__(self) -> None:
        if self.intent is not None and self.intent not in INTENTS:
            raise UnknownNameError("intent", self.intent, INTENTS)
        if self.indication is not None and self.indication not in INDICATIONS:
            raise UnknownNameError("indication", self.indication, INDICATIONS)
        if self.bilirubin_mg_dl is not None and not 0 < self.bilirubin_mg_dl < 60:
            raise InputError(
                f"bilirubin {self.bilirubin_mg_dl:g} mg/dL is not plausible; check the unit (umol/L / 17.1)"
            )


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """A limit, the plan's value, and how it stands to it.

    Attributes
    ----------
    limit : Limit
        The row of the table.
    value : float or None
        The plan's; None where it is not known.
    status : str
        "met", "near", "violated", or "not evaluated" where the value is not known.
    applies_if : str
        What is not known and would decide whether the limit applies; empty if it applies.
    where : str
        Territory that the value is of; empty where it is of the whole plan.
    earlier : float or None
        Of a lifetime's value, what earlier treatments gave; None for a single treatment.
    waived : str
        Reason for which the plan goes past the limit; empty if it does not.
    """

    limit: Limit = field(metadata=INLINE)
    value: float | None
    status: Status
    applies_if: str
    where: str = ""
    earlier: float | None = None
    waived: str = ""

    @property
    def exceeded(self) -> bool:
        """Whether something that must not be exceeded is."""
        return self.status == "violated" and self.limit.bound == "max"

    def message(self, whose: str = "") -> Message:
        """What a reader must know of a limit that is exceeded: a stop, unless it may not apply or is waived.

        `whose` names the activity where it is not the one that the plan gives.
        """
        row = self.limit
        unit = next((f" {word}" for word in ("Gy", "GBq") if row.quantity.endswith(f"_{word.lower()}")), "")
        place = f" in {self.where}" if self.where else ""
        value = "not known" if self.value is None else f"{self.value:.3g}{unit}"
        text = f"{whose}{row.text}{place}: {value}, the limit is {row.limit:.3g}{unit}"
        if self.earlier is not None:
            text += f" ({self.earlier:.3g}{unit} of it from earlier treatments)"
        text += f" [{row.id}; {row.source}]"
        if self.waived:
            return Message("limit-waived", f"{text}; waived: {self.waived}")
        if self.applies_if:
            return Message("limit-may-be-exceeded", f"{text}, if {self.applies_if}", "find out, and state it")
        stops = row.weight == "limit"
        return Message("limit-exceeded", text, "lower the activity", "critical" if stops else "warning")


@functools.cache
def limits() -> tuple[Limit, ...]:
    """All rows of the table."""
    return tuple(_limit(row) for row in limit_table())


def _limit(row: Mapping[str, Any]) -> Limit:
    plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}
    return Limit(**plain)


def limit(name: str) -> Limit:
    """One row by id."""
    for row in limits():
        if row.id == name:
            return row
    raise UnknownNameError("limit", name, (row.id for row in limits()))


def intent_target(agent: str, intent: str, indication: str | None = None) -> Limit:
    """The dose to the perfused volume that a guideline asks for with an intent: segmentectomy, lobectomy.

    Parameters
    ----------
    agent : str
        Name of the agent.
    intent, indication : str
        See `INTENTS` and `INDICATIONS`; without an indication the first target of that intent.

    Raises
    ------
    InputError
        If no guideline in the table states a dose to the perfused volume for that agent and intent.
    """
    context = LimitContext(agent, intent, indication)
    for row in limits() if intent in ONE_DOSE else ():
        fits = agent in row.agents and intent in row.intents and row.quantity == "perfused_gy" and row.bound == "min"
        known = context.indication is None or "*" in row.indications or context.indication in row.indications
        if fits and known:
            return row
    raise InputError(
        f"no guideline here states a dose to the perfused volume for {agent} and {intent}", remedy="state `dose_gy`"
    )


def upper_limits(context: LimitContext) -> tuple[Limit, ...]:
    """Every limit that applies, or may, and must not be exceeded; those that are only preferred are left out."""
    return tuple(
        row
        for row in limits()
        if row.bound == "max" and row.weight != "preferred" and _applies(row, context) is not None
    )


def not_judged(agent: Agent, structures: Iterable[str]) -> tuple[Message, ...]:
    """A note that lists upper limits of structures that have no dose, so that nobody takes them as met."""
    there = set(structures)
    missing: dict[str, list[str]] = {}
    for row in agent.limits:
        if row.comparison == "<=" and row.structure not in there:
            missing.setdefault(row.structure.replace("_", " "), []).append(f"{row.dose_gy:g}")
    if not missing:
        return ()
    listed = "; ".join(f"{name} {', '.join(doses)} Gy" for name, doses in missing.items())
    text = f"limits of {agent.name} that are not judged, as no structure has that dose: {listed}"
    return (Message("limits-not-judged", text, "draw these structures to have them judged", "note"),)


def worst_first(checks: Iterable[LimitCheck]) -> tuple[LimitCheck, ...]:
    """Violated ones first, then those that could not be evaluated, then those that are near."""
    order = {"violated": 0, "not evaluated": 1, "near": 2, "met": 3}
    return tuple(sorted(checks, key=lambda check: order[check.status]))


def check_limits(
    values: Mapping[str, float | None], context: LimitContext, *, where: str = "", earlier: Mapping[str, float] = {}
) -> tuple[LimitCheck, ...]:
    """Every limit that applies (or may) to the plan's values, violated ones first.

    Parameters
    ----------
    values : mapping
        Keys of `QUANTITIES`; None where the plan does not know.
    context : LimitContext
        Agent, intent, liver function.
    where : str
        Territory that the values are of; empty for the whole plan.
    earlier : mapping
        What earlier treatments gave, of those quantities that are of a lifetime.
    """
    if unknown := set(values) - set(QUANTITIES):
        raise UnknownNameError("quantity", sorted(unknown)[0], QUANTITIES)
    out = []
    for row in limits():
        value = values.get(row.quantity)
        if value is None:
            continue
        applies = _applies(row, context)
        if applies is not None:
            out.append(LimitCheck(row, value, row.status(value), applies, where, earlier.get(row.quantity)))
    return worst_first(out)


def without_lungs(checks: Iterable[LimitCheck]) -> tuple[LimitCheck, ...]:
    """Checks of a plan whose lung shunt is not known: those of the lungs are not evaluated.

    One that earlier treatments have violated already stays violated.
    """
    return worst_first(
        replace(check, value=None, status="not evaluated")
        if check.limit.quantity in OF_LUNGS and not check.exceeded
        else check
        for check in checks
    )


def _applies(row: Limit, context: LimitContext) -> str | None:
    """None if the row does not apply, else the unknown conditions in words (empty if none)."""
    if "*" not in row.agents and context.agent not in row.agents:
        return None
    open_conditions = []
    for known, allowed, word in (
        (context.intent, row.intents, "intent"),
        (context.indication, row.indications, "indication"),
    ):
        if "*" in allowed or known in allowed:
            continue
        if known is not None or (row.bound == "min" and word == "intent"):
            return None
        open_conditions.append(f"{word} is {' or '.join(allowed)}")
    known_of_liver = _if_liver(row, context)
    if known_of_liver is None:
        return None
    return "; ".join((*open_conditions, *known_of_liver))


def _if_liver(row: Limit, context: LimitContext) -> tuple[str, ...] | None:
    """None if what is known of the liver excludes the row, else what is not known of it and would decide."""
    tests: tuple[tuple[float | None, float | None, Callable[[float, float], bool], str], ...] = (
        (row.bilirubin_above_mg_dl, context.bilirubin_mg_dl, lambda a, b: b > a, "bilirubin above {} mg/dL"),
        (row.bilirubin_below_mg_dl, context.bilirubin_mg_dl, lambda a, b: b <= a, "bilirubin at most {} mg/dL"),
        (row.reserve_below, context.hepatic_reserve, lambda a, b: b < a, "hepatic reserve below {}"),
        (row.compromised, context.compromised, lambda a, b: a == b, "liver compromised: {}"),
    )
    asked = [(bound, known, holds, words) for bound, known, holds, words in tests if bound is not None]
    if not all(holds(bound, known) for bound, known, holds, _ in asked if known is not None):
        return None
    return tuple(words.format(bound) for bound, known, _, words in asked if known is None)


def ruled_out(context: LimitContext) -> tuple[str, ...]:
    """Ids of the agent's limits that do not hold for this patient, by bilirubin, hepatic reserve or a healthy liver."""
    return tuple(row.id for row in limits() if context.agent in row.agents and _if_liver(row, context) is None)
