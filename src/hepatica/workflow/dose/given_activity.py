"""The administration of a dose from the result that measured it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from hepatica.core import InputFile
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.imaging.quantify.options import QuantificationOptions
from hepatica.nuclides import Nuclide
from hepatica.planning.measured.earlier_results import document_of
from hepatica.planning.measured.treatment_results import (
    GivenActivity,
    about_instant,
    beside,
    differing,
    given_activity,
    require_same_agent,
    require_same_nuclide,
)
from hepatica.planning.measured.values import SHUNT_SD
from hepatica.workflow.sources import ImageSource


def with_given(
    stated: QuantificationOptions,
    nuclide: Nuclide,
    *,
    agent: str | None = None,
    sources: ImageSource | Sequence[ImageSource] = (),
    activity_at: Sequence[datetime] = (),
) -> tuple[QuantificationOptions, tuple[Message, ...], tuple[InputFile, ...]]:
    """What was given by the result of `delivered_activity` that is named, what is said of it, and its file.

    Activity, residual and lung shunt are the result's; typed ones beside them are compared. As the result's activity
    has its residual taken off, none is taken off again. Without a named result the options stay as they are.

    Raises
    ------
    InputError
        If the result is of another nuclide or agent, or cannot be read.
    """
    if stated.administered_result is None:
        return stated, (), ()
    path = Path(stated.administered_result)
    found = given_activity(path)
    require_same_nuclide(nuclide.name, found.nuclide, found.source)
    require_same_agent(agent, found.agent, found.source)
    at, about_time = _instant(found, stated.administered_at, _has_zone(sources, activity_at))
    value = found.administered_bq
    used = replace(
        stated,
        administered_bq=value.value,
        administered_sd_bq=value.sd,
        administered_at=at,
        residual=0.0,
        lung_shunt=found.lung_shunt or stated.lung_shunt,
        # that of another shunt is not that of this one
        lung_shunt_sd=stated.lung_shunt_sd
        if stated.lung_shunt in (0.0, found.lung_shunt or stated.lung_shunt)
        else None,
    )
    compared = []
    if stated.administered_bq is not None:
        typed = stated.administered_bq / 1e9
        compared.append(beside("administered_activity", typed, value.value / 1e9, "GBq", found.source))
    if stated.lung_shunt and found.lung_shunt:
        compared.append(beside("lung_shunt", stated.lung_shunt, found.lung_shunt, "", found.source, SHUNT_SD))
    said = (*found.messages, *differing(tuple(compared)), *about_time, *_about_residual(found, stated.residual))
    return used, said, (InputFile.of("administered", document_of(path)),)


def _about_residual(found: GivenActivity, stated: float) -> tuple[Message, ...]:
    if not stated:
        return ()
    text = (
        f"a residual of {100 * stated:.3g} % is stated, and the activity in {found.source} has its own of "
        f"{100 * found.residual:.3g} % taken off; none is taken off again"
    )
    return (Message("residual-taken-off-once", text, "leave `residual` out"),)


def _has_zone(sources: ImageSource | Sequence[ImageSource], activity_at: Sequence[datetime]) -> bool:
    """Whether the images' instants are known to have a time zone."""
    values = [sources] if isinstance(sources, Image) else sources if isinstance(sources, Sequence) else []
    instants = [*activity_at, *(one.volume.time for one in values if isinstance(one, Image))]
    return any(instant is not None and instant.tzinfo is not None for instant in instants)


def _instant(found: GivenActivity, stated: datetime | None, zoned: bool) -> tuple[datetime, tuple[Message, ...]]:
    """Instant of the administration, with a zone where the images have one, else by the clock of its own zone."""
    at = found.administered_at
    clock = at.replace(tzinfo=None)
    if stated is None:
        if zoned:
            return at, ()
        text = (
            f"the images state no time zone: the administration at {at.isoformat()} ({found.source}) is taken as "
            f"{clock.isoformat(sep=' ')} of the scanner's clock"
        )
        return clock, (Message("administration-zone", text, "state `administered_at` by the scanner's clock", "note"),)
    # Without a zone it is what the scanner's clock showed, which only the user can know.
    return stated if stated.tzinfo is None else at, about_instant(found, stated)
