"""Proposals that a person accepts: where a step needs one, where it does not, and what is to be done about it.

A registration or structures that a program found are used only once somebody has checked them; what a person added
himself goes before any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hepatica.case.steps.inputs import Given, ImageOf, Input, View, folder_of, stated_words

SCOUT_FRAME = ("scout-ct", "scout-spect")
THERAPY_FRAME = ("therapy-ct", "therapy-pet", "therapy-spect")
"""Roles that tell in which frame of reference the scout and the therapy lie, in order of preference."""


def frame_of(view: View, roles: Sequence[str]) -> str:
    """Frame of reference of the first image of some roles that states one; empty where none does."""
    return next((item.frame for role in roles for item in view.images(role) if item.frame), "")


def lie_apart(view: View) -> bool:
    """Whether scout and therapy both state their frame of reference, and it is not the same."""
    scout, therapy = frame_of(view, SCOUT_FRAME), frame_of(view, THERAPY_FRAME)
    return bool(scout and therapy and scout != therapy)


@dataclass(frozen=True, slots=True)
class FirstImageOf(Input):
    """The first image, by date, of the first of some roles that the case has.

    Attributes
    ----------
    word : str
        Option.
    roles : tuple of str
        In order of preference.
    """

    word: str
    roles: tuple[str, ...]

    def given(self, view: View) -> tuple[Given, ...]:
        """One item."""
        items = next((found for role in self.roles if (found := view.images(role))), ())
        if not items:
            return ()
        return (Given(self.word, f"images/{items[0].name}", items[0].digest, str(items[0].path(view.folder))),)


@dataclass(frozen=True, slots=True)
class Proposed(Input):
    """A file of a step's result that may be used once somebody has checked it.

    Attributes
    ----------
    word : str
        Option that the file fills.
    step : str
        Of the proposal.
    file : str
        In its folder.
    said : str
        What it is, for people: "the proposed structures".
    """

    word: str
    step: str
    file: str
    said: str

    def given(self, view: View) -> tuple[Given, ...]:
        """The file, whether or not it was checked: `missing` keeps the step waiting until it was."""
        found = view.result(self.step)
        if found is None:
            return ()
        return (Given(self.word, f"steps/{found[0].name}", found[1], str(found[0] / self.file)),)

    def missing(self, view: View) -> str:
        """To run it, or to check it."""
        if view.result(self.step) is None:
            return f"run {self.step}"
        return "" if view.accepted(self.step) else f"check {self.said}"

    def fed_by(self, treatment: int) -> Iterator[str]:
        """Its step."""
        yield from folder_of(self.step, treatment)


PROPOSED_STRUCTURES = Proposed("structures", "structures", "structures.dcm", "the proposed structures")
PROPOSED_REGISTRATION = Proposed("transform", "registration", "registration.dcm", "the proposed registration")


DRAWN = ImageOf("structures", ("therapy-structures",))
ADDED = ImageOf("transform", ("registration",))
TOGETHER = ImageOf("structures", ("therapy-structures", "scout-structures"), needed=True)
APART = ImageOf("structures", ("scout-structures",), needed=True)


@dataclass(frozen=True, slots=True)
class TherapyStructures(Input):
    """Structures of the therapy: those that were drawn, else the proposal on its CT, else none.

    There is none where there is no CT, or the proposal was left out by a person.

    Attributes
    ----------
    needed : bool
        Whether the step cannot do without.
    """

    needed: bool = False
    proposal: Proposed = PROPOSED_STRUCTURES
    drawn: ImageOf = DRAWN

    def given(self, view: View) -> tuple[Given, ...]:
        """What was drawn, else the proposal."""
        return self.proposal.given(view) if self._is_proposed(view) else self.drawn.given(view)

    def missing(self, view: View) -> str:
        """Which of several to keep, or what to do about the proposal."""
        said = self.proposal.missing(view) if self._is_proposed(view) else self.drawn.missing(view)
        return said or ("add therapy-structures" if self.needed and not self.given(view) else "")

    def fed_by(self, treatment: int) -> Iterator[str]:
        """The step of the proposal."""
        yield from self.proposal.fed_by(treatment)

    def _is_proposed(self, view: View) -> bool:
        wanted = bool(view.images("therapy-ct")) and not any(view.images(role) for role in self.drawn.roles)
        return wanted and not view.left_out(self.proposal.step) and "structures" not in view.section("dose")


@dataclass(frozen=True, slots=True)
class ScoutToTherapy(Input):
    """The transform between scout and therapy where they lie apart: one that was added, else the proposal.

    None where a person states for the step that they are `registered`, another `transform`, or to `register`.

    Attributes
    ----------
    step : str
        Step that needs it.
    """

    step: str
    proposal: Proposed = PROPOSED_REGISTRATION
    added: ImageOf = ADDED

    def given(self, view: View) -> tuple[Given, ...]:
        """What was added, else the proposal."""
        if not self._is_needed(view):
            return ()
        return self.added.given(view) if view.images("registration") else self.proposal.given(view)

    def missing(self, view: View) -> str:
        """To add or to run one, or to check the proposal."""
        if not self._is_needed(view):
            return ""
        if view.images("registration"):
            return self.added.missing(view)
        said = self.proposal.missing(view)
        return f"{said} or add registration" if said.startswith("run") else said

    def fed_by(self, treatment: int) -> Iterator[str]:
        """The step of the proposal."""
        yield from self.proposal.fed_by(treatment)

    def _is_needed(self, view: View) -> bool:
        stated = stated_words(view.section(self.step))
        return lie_apart(view) and not stated.get("registered") and not {"transform", "register"} & set(stated)


@dataclass(frozen=True, slots=True)
class StructuresOfBoth(Input):
    """Structures for planned against delivered, which are read on the planned dose.

    Where scout and therapy lie apart only those of the scout fit it.
    """

    together: ImageOf = TOGETHER
    apart: ImageOf = APART

    def given(self, view: View) -> tuple[Given, ...]:
        """Those that fit."""
        return (self.apart if lie_apart(view) else self.together).given(view)

    def missing(self, view: View) -> str:
        """Which to add."""
        return (self.apart if lie_apart(view) else self.together).missing(view)


def registration_not_needed(view: View) -> str:
    """Why scout and therapy need no registration; empty where they may."""
    if view.images("registration"):
        return "a registration was added"
    scout, therapy = frame_of(view, SCOUT_FRAME), frame_of(view, THERAPY_FRAME)
    return "scout and therapy share their frame of reference" if scout and scout == therapy else ""


def structures_not_needed(view: View) -> str:
    """Why no structures need be proposed; empty where they may."""
    return "structures of the therapy were added" if view.images("therapy-structures") else ""
