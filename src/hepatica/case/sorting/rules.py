"""What each series is in the course: by its kind, nuclide and frame of reference, and its date around treatments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from hepatica.case.sorting.likes import fewer_echoes, reformatted, rivals, twice_reconstructed
from hepatica.case.sorting.seen import Guess, Seen
from hepatica.io.dicom.series import SeriesKind

THERAPY_NUCLIDES = ("Y-90", "Ho-166", "I-131", "Re-188", "Re-186", "Lu-177", "Sm-153")
SCOUT_NUCLIDE = "Tc-99m"

MOST_SCOUT_BQ = 500e6
"""A scout dose of 166Ho is 250 MBq (QuiremScout); a treatment is some GBq."""

FOLLOW_UP = timedelta(days=14)
"""After it an image without activity shows response, not the treatment: response is read from 4 weeks on."""

THERAPY_IMAGING = timedelta(days=14)
"""Within it activity after a treatment is imaged: 90Y has decayed to 3 %, 131I to 30 %."""

SAME_DAY = timedelta(hours=12)
"""An image up to so long before the stated administration may still be after it: the statement may be a plan's."""

LIVER_TRACERS = ("mebrofenin", "hida", "disida", "colloid", "sulesomab")
"""99mTc in the liver that is no scout."""

MAA = (
    "maa",
    "macroagg",
    "makroagg",
    "macro agg",
    "albumin",
    "pulmo",
    "lung shunt",
    "shunt",
    "sirt",
    "tare",
    "y90",
    "y-90",
)
"""What a scout's tracer or description says; another 99mTc tracer is none, and one that is not named is asked for."""

NO_PATIENT = ("phantom", "fantom", "jaszczak", "syringe", "jeringa", "background", "fondo", "flood", "uniform", "blank",
              "line source", "point source", "calibration", "quality control")  # fmt: skip
"""Words of a description that are of a phantom, a source or a control of the camera."""


Stage = Literal["scout", "therapy", "baseline", "follow-up"]

_NUCLEAR: Mapping[SeriesKind, str] = {
    SeriesKind.PET: "pet",
    SeriesKind.PET_RAW: "coincidences",
    SeriesKind.NM_RECON: "spect",
    SeriesKind.NM_PROJECTIONS: "projections",
    SeriesKind.NM_PLANAR: "planar",
}

_STRUCTURES = (SeriesKind.RTSTRUCT, SeriesKind.SEG)


def guesses(
    seen: Sequence[Seen],
    treatments: Sequence[datetime | None],
    known: Mapping[str, Guess] | None = None,
    nuclides: Sequence[str | None] = (),
) -> list[Guess]:
    """What each series is taken for.

    Parameters
    ----------
    seen : sequence of Seen
        All series of the patient, so that a CT is found by the SPECT in its frame of reference.
    treatments : sequence of datetime or None
        Instant of each treatment, local time; None where it is not stated.
    known : mapping of str to Guess, optional
        Frame of reference -> role and treatment of an image that the case has already.
    nuclides : sequence of str or None, optional
        Nuclide of each treatment, where it is stated.

    Returns
    -------
    list of Guess
        In the same order.
    """
    found: list[Guess | None] = [_nuclear(one, treatments, nuclides) if one.kind in _NUCLEAR else None for one in seen]
    found = twice_reconstructed(seen, found)
    stages: dict[str, Guess] = dict(known or {})
    for one, guess in zip(seen, found, strict=True):
        if guess is not None and guess.role != "unused" and one.frame:
            stages.setdefault(one.frame, guess)
    for number, one in enumerate(seen):
        if found[number] is None and not _refers(one):
            found[number] = _anatomical(one, stages, treatments)
    found = reformatted(seen, found)
    # An MR before and one after treatment may share a frame: what was drawn in it is drawn on the treated liver too.
    for one, guess in sorted(zip(seen, found, strict=True), key=lambda pair: not _is_of_therapy(pair[1])):
        if guess is not None and guess.role != "unused" and one.frame:
            stages.setdefault(one.frame, guess)
    settled = [_referring(one, stages) if guess is None else guess for one, guess in zip(seen, found, strict=True)]
    return fewer_echoes(seen, rivals(seen, settled))


def _is_of_therapy(guess: Guess | None) -> bool:
    return guess is not None and guess.role.startswith("therapy")


def _nuclear(one: Seen, treatments: Sequence[datetime | None], nuclides: Sequence[str | None]) -> Guess:
    ending = _NUCLEAR[one.kind]
    if one.kind is SeriesKind.NM_PLANAR and "DYNAMIC" in one.what.upper():
        return Guess("unused", 0, "a dynamic study", ("a dynamic study: say what it is if a step is to use it",))
    stage, why, doubts = _stage_of_activity(one, treatments)
    if stage is None:
        return Guess("unused", 0, why, doubts)
    if stage == "scout" and ending == "pet":
        ending, doubts = "spect", (*doubts, "a PET as scout")
    if word := next((word for word in NO_PATIENT if word in one.description.lower()), None):
        doubts = (*doubts, f"its description says {word!r}: is it of the patient?")
    number, more = _treatment_of(stage, one.at, treatments)
    given = nuclides[number - 1] if 0 < number <= len(nuclides) else None
    if stage == "therapy" and None not in (given, one.nuclide) and given != one.nuclide:
        more = (*more, f"{one.nuclide}, but treatment {number} is with {given}")
    return Guess(f"{stage}-{ending}", number, why, (*doubts, *more))


def _stage_of_activity(one: Seen, treatments: Sequence[datetime | None]) -> tuple[Stage | None, str, tuple[str, ...]]:
    if one.nuclide == SCOUT_NUCLIDE:
        return _technetium(one)
    if one.nuclide == "Ho-166":
        return _holmium(one, treatments)
    if one.nuclide in THERAPY_NUCLIDES:
        return "therapy", f"{one.nuclide}", ()
    if one.nuclide is not None:
        return None, f"{one.nuclide} neither treats nor predicts", ()
    after = _after_which(one.at, treatments)
    if after is None:
        return None, "names no nuclide", ("names no nuclide, and no date tells scout from therapy: say which it is",)
    stage: Stage = "therapy" if after else "scout"
    where = f"after treatment {after}" if after else "before treatment"
    return stage, f"no nuclide; {where}", ("names no nuclide: taken by its date",)


def _technetium(one: Seen) -> tuple[Stage | None, str, tuple[str, ...]]:
    """99mTc is in the scout, and in much else: by its tracer."""
    text = f"{one.tracer} {one.description}".lower()
    if any(word in text for word in LIVER_TRACERS):
        return None, f"{SCOUT_NUCLIDE}, but {one.tracer or one.description}: no scout", ()
    if any(word in text for word in MAA):
        return "scout", f"{SCOUT_NUCLIDE}", ()
    named = f"the tracer {one.tracer!r}" if one.tracer else "no tracer"
    return "scout", f"{SCOUT_NUCLIDE}", (f"{SCOUT_NUCLIDE} with {named}: is it the MAA of the scout?",)


def _holmium(one: Seen, treatments: Sequence[datetime | None]) -> tuple[Stage | None, str, tuple[str, ...]]:
    """166Ho predicts and treats: by activity, else by date."""
    if one.administered_bq is not None:
        small = one.administered_bq <= MOST_SCOUT_BQ
        return "scout" if small else "therapy", f"166Ho, {one.administered_bq / 1e6:.0f} MBq", ()
    after = _after_which(one.at, treatments)
    if after is None:
        return "therapy", "166Ho", ("166Ho without activity or date: scout or therapy?",)
    return "therapy" if after else "scout", "166Ho, by its date", ("166Ho: taken by its date",)


def _anatomical(one: Seen, stages: Mapping[str, Guess], treatments: Sequence[datetime | None]) -> Guess:
    if one.kind is SeriesKind.CT and one.frame in stages and not one.has_contrast:
        beside = stages[one.frame]
        return Guess(f"{beside.role.split('-')[0]}-ct", beside.treatment, "same frame of reference as its activity")
    if one.kind is SeriesKind.CT and one.frame in stages:
        beside = stages[one.frame]
        text = "a contrast-enhanced CT in the frame of reference of an activity"
        return Guess(f"{beside.role.split('-')[0]}-ct", beside.treatment, text)
    if one.kind in (SeriesKind.CT, SeriesKind.MR):
        return _by_date(one, treatments)
    if one.kind is SeriesKind.RTDOSE:
        return Guess("dose", 0, "a dose map")
    return Guess("unused", 0, one.what)


def _refers(one: Seen) -> bool:
    """Whether it is known by the images that it refers to."""
    return one.kind in _STRUCTURES or one.what.startswith("registration")


def _referring(one: Seen, stages: Mapping[str, Guess]) -> Guess:
    return _structures(one, stages) if one.kind in _STRUCTURES else _registration(one, stages)


def _registration(one: Seen, stages: Mapping[str, Guess]) -> Guess:
    """One that links scout and therapy is used; another one is none that a step needs."""
    if not one.refers_to:
        return Guess("registration", 0, "a registration", ("it does not say which frames of reference it links",))
    unknown = [frame for frame in one.refers_to if frame not in stages]
    linked = {_stage_of(stages[frame].role): stages[frame].treatment for frame in one.refers_to if frame in stages}
    if {"scout", "therapy"} <= linked.keys():
        return Guess("registration", linked["therapy"], "links scout and therapy")
    if {"baseline", "therapy"} == linked.keys() and all(stages[frame].role.endswith("-mr") for frame in one.refers_to):
        return Guess("mr-registration", linked["therapy"], "links the MR before and after treatment")
    if unknown:
        text = "links a frame of reference of which the case has no image: add that image"
        return Guess("unused", 0, "a registration", (text,))
    return Guess("unused", 0, f"links {' and '.join(sorted(linked))}: no step needs that")


def _by_date(one: Seen, treatments: Sequence[datetime | None]) -> Guess:
    ending = "ct" if one.kind is SeriesKind.CT else "mr"
    after = _after_which(one.at, treatments)
    if after is None:
        why = "no date of it or of the treatment" if one.at is None else "the treatment's instant is not stated"
        return Guess(f"baseline-{ending}", 0, why, ("before or after treatment? state treatment.at, or say which",))
    if after == 0:
        return Guess(f"baseline-{ending}", 1 if len(treatments) == 1 else 0, "before treatment")
    at = treatments[after - 1]
    assert one.at is not None
    assert at is not None
    since = one.at - at
    if since >= FOLLOW_UP:
        return Guess(f"follow-up-{ending}", after, f"{since.days} days after treatment {after}")
    if ending == "mr":
        return Guess("therapy-mr", after, f"{max(since.days, 0)} days after treatment {after}")
    return Guess(
        "unused",
        after,
        f"{max(since.days, 0)} days after treatment {after}",
        ("a CT around the treatment that shares no frame of reference with an activity: say what it is",),
    )


def _structures(one: Seen, stages: Mapping[str, Guess]) -> Guess:
    frames = one.refers_to or ((one.frame,) if one.frame else ())
    fitting = {stages[frame].role.split("-ct")[0].split("-mr")[0]: stages[frame] for frame in frames if frame in stages}
    on = {_stage_of(guess.role): guess for guess in fitting.values()}
    if not on:
        return Guess("unused", 0, "drawn on no image of the case", ("drawn on no image of the case: add that image",))
    stage, beside = next(iter(on.items()))
    doubts = (f"drawn in the frames of {' and '.join(on)}",) if len(on) > 1 else ()
    if any("say" in text for text in beside.doubts):
        doubts = (*doubts, "drawn on an image that is itself in doubt")
    return Guess(f"{stage}-structures", beside.treatment, f"drawn in the frame of reference of {beside.role}", doubts)


def _stage_of(role: str) -> str:
    return "follow-up" if role.startswith("follow-up") else role.split("-", maxsplit=1)[0]


def _after_which(at: datetime | None, treatments: Sequence[datetime | None]) -> int | None:
    """Number of the last treatment before an instant, 0 for before all; None where that cannot be told."""
    if at is None or not treatments or any(one is None for one in treatments):
        return None
    return sum(one is not None and at >= one - SAME_DAY for one in treatments)


def _treatment_of(
    stage: str, at: datetime | None, treatments: Sequence[datetime | None]
) -> tuple[int, tuple[str, ...]]:
    """The treatment of a scout or a therapy image, and what is odd about their dates."""
    after = _after_which(at, treatments)
    if after is None:
        return (1, ()) if len(treatments) <= 1 else (0, ("which treatment? its date or theirs is not stated",))
    if stage == "scout":
        if after == len(treatments):
            return after, ("a scout after the treatment",)
        return after + 1, ()
    if after == 0:
        return 1, ("taken before the treatment",)
    since = at - treatments[after - 1]  # type: ignore[operator]
    if since < timedelta(0):
        return after, (f"taken {-since / timedelta(hours=1):.1f} h before the stated administration: clock or zone?",)
    if since > THERAPY_IMAGING:
        return after, (f"{since.days} days after the treatment",)
    return after, ()
