"""What each series is in the course: by its kind, nuclide and frame of reference, and its date around treatments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

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

Stage = Literal["scout", "therapy", "baseline", "follow-up"]

_NUCLEAR: Mapping[SeriesKind, str] = {
    SeriesKind.PET: "pet",
    SeriesKind.NM_RECON: "spect",
    SeriesKind.NM_PROJECTIONS: "projections",
    SeriesKind.NM_PLANAR: "planar",
}

_STRUCTURES = (SeriesKind.RTSTRUCT, SeriesKind.SEG)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a series says of itself.

    Attributes
    ----------
    kind : SeriesKind
        What it is.
    what : str
        In words.
    at : datetime or None
        When it was acquired or drawn; local time without zone.
    nuclide : str or None
        "Tc-99m".
    administered_bq : float or None
        Activity that its header states.
    tracer, description : str
        Radiopharmaceutical and series description.
    frame : str
        Frame of reference.
    refers_to : tuple of str
        Frames of reference that structures were drawn in.
    has_contrast : bool
        A contrast agent is named.
    patient : str
        PatientID.
    """

    kind: SeriesKind
    what: str
    at: datetime | None = None
    nuclide: str | None = None
    administered_bq: float | None = None
    tracer: str = ""
    description: str = ""
    frame: str = ""
    refers_to: tuple[str, ...] = ()
    has_contrast: bool = False
    patient: str = ""

    def facts(self) -> dict[str, Any]:
        """As plain values, to be kept."""
        at = None if self.at is None else self.at.isoformat()
        return asdict(self) | {"kind": self.kind.name, "at": at, "refers_to": list(self.refers_to)}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Seen:
        """From what `facts` kept."""
        at = facts["at"]
        changed = {
            "kind": SeriesKind[facts["kind"]],
            "at": None if at is None else datetime.fromisoformat(at),
            "refers_to": tuple(facts["refers_to"]),
        }
        return cls(**{**facts, **changed})


@dataclass(frozen=True, slots=True)
class Guess:
    """What a series is taken for.

    Attributes
    ----------
    role : str
        One of `roles.ROLES`.
    treatment : int
        From 1; 0 for all.
    why : str
        By what.
    doubts : tuple of str
        Why it could be something else; a person should say.
    """

    role: str
    treatment: int = 0
    why: str = ""
    doubts: tuple[str, ...] = ()


def guesses(
    seen: Sequence[Seen], treatments: Sequence[datetime | None], known: Mapping[str, Guess] | None = None
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

    Returns
    -------
    list of Guess
        In the same order.
    """
    found: list[Guess | None] = [_nuclear(one, treatments) if one.kind in _NUCLEAR else None for one in seen]
    stages: dict[str, Guess] = dict(known or {})
    for one, guess in zip(seen, found, strict=True):
        if guess is not None and guess.role != "unused" and one.frame:
            stages.setdefault(one.frame, guess)
    for number, one in enumerate(seen):
        if found[number] is None and one.kind not in _STRUCTURES:
            found[number] = _anatomical(one, stages, treatments)
    for one, guess in zip(seen, found, strict=True):
        if guess is not None and guess.role != "unused" and one.frame:
            stages.setdefault(one.frame, guess)
    settled = [_structures(one, stages) if guess is None else guess for one, guess in zip(seen, found, strict=True)]
    return _rivals(seen, settled)


def _nuclear(one: Seen, treatments: Sequence[datetime | None]) -> Guess:
    ending = _NUCLEAR[one.kind]
    stage, why, doubts = _stage_of_activity(one, treatments)
    if stage is None:
        return Guess("unused", 0, why, doubts)
    if stage == "scout" and ending == "pet":
        ending, doubts = "spect", (*doubts, "a PET as scout")
    number, more = _treatment_of(stage, one.at, treatments)
    return Guess(f"{stage}-{ending}", number, why, (*doubts, *more))


def _stage_of_activity(one: Seen, treatments: Sequence[datetime | None]) -> tuple[Stage | None, str, tuple[str, ...]]:
    text = f"{one.tracer} {one.description}".lower()
    if one.nuclide == SCOUT_NUCLIDE:
        if any(word in text for word in LIVER_TRACERS):
            return None, f"{SCOUT_NUCLIDE}, but {one.tracer or one.description}: no scout", ()
        return "scout", f"{SCOUT_NUCLIDE}", ()
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
    if one.what.startswith("registration"):
        return Guess("registration", 0, "a registration")
    return Guess("unused", 0, one.what)


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
    return Guess(f"{stage}-structures", beside.treatment, f"drawn in the frame of reference of {beside.role}", doubts)


def _stage_of(role: str) -> str:
    return "follow-up" if role.startswith("follow-up") else role.split("-", maxsplit=1)[0]


def _rivals(seen: Sequence[Seen], found: Sequence[Guess]) -> list[Guess]:
    """Two images of a role of which a treatment has one are said."""
    alone = ("scout-spect", "scout-planar", "scout-ct", "therapy-ct", "scout-structures", "therapy-structures")
    out = []
    for number, guess in enumerate(found):
        same = [
            other
            for other, one in enumerate(found)
            if other != number and (one.role, one.treatment) == (guess.role, guess.treatment)
        ]
        if guess.role in alone and same:
            names = ", ".join(f"{seen[other].description or seen[other].what!r}" for other in same)
            guess = Guess(guess.role, guess.treatment, guess.why, (*guess.doubts, f"so is {names}: keep one"))  # noqa: PLW2901
        out.append(guess)
    return out


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
    if since > THERAPY_IMAGING:
        return after, (f"{since.days} days after the treatment",)
    return after, ()
