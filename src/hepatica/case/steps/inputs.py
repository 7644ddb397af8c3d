"""What a step can be fed with: facts that people state, images of the case, results of earlier steps."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from hepatica.case.catalogue import Item
from hepatica.case.layout import folder_name
from hepatica.case.sorting.seen import ONE_SCAN
from hepatica.nuclides import agent


@dataclass(frozen=True, slots=True)
class Given:
    """One input of a step as it is now.

    Attributes
    ----------
    word : str
        Option of the verb that it fills.
    source : str
        Where it comes from: "treatment 1: agent", "images/scout-spect-1", "steps/plan".
    digest : str
        Of its content.
    text : object
        What the verb is given: a text, a path, a list of them.
    """

    word: str
    source: str
    digest: str
    text: Any = field(compare=False)


class View(Protocol):
    """What an input looks at."""

    @property
    def folder(self) -> Path:
        """Of the case."""

    @property
    def treatment(self) -> int:
        """Number of the treatment, from 1."""

    def fact(self, table: str, key: str) -> Any:
        """Value that is stated, or None; `table` is "patient", "disease" or "treatment"."""

    def following(self, key: str) -> Any:
        """Value that the treatment after this one states, or None."""

    def section(self, step: str) -> Mapping[str, Any]:
        """What the treatment states for a step by its name."""

    def images(self, role: str) -> Sequence[Item]:
        """Items of a role that belong to this treatment, by date."""

    def result(self, step: str, *, earlier: bool = False) -> tuple[Path, str] | None:
        """Folder and digest of the result of a step that is done; None where there is none.

        Of this treatment, or (`earlier`) of the one before it.
        """

    def results(self, step: str) -> Sequence[tuple[Path, str]]:
        """The same of each treatment up to this one that has it, in order."""

    def accepted(self, step: str) -> bool:
        """Whether somebody checked the result of a step as it is now."""

    def left_out(self, step: str) -> bool:
        """Whether a person said that a step is left out."""

    def digest(self, value: Any) -> str:
        """Hash of a stated value."""


class Input(ABC):
    """One thing that feeds a step."""

    __slots__ = ()

    @abstractmethod
    def given(self, view: View) -> tuple[Given, ...]:
        """What there is of it now; empty where there is nothing."""

    def missing(self, view: View) -> str:
        """What to do about it where a step cannot do without it and it is not there; empty otherwise."""
        return ""

    def fed_by(self, treatment: int) -> Iterator[str]:
        """Folders of the steps whose results it takes, for a treatment: "delivery", "dose-2"."""
        yield from ()


def folder_of(step: str, treatment: int) -> Iterator[str]:
    """Folder of the result of a step; none before the first treatment."""
    if treatment > 0:
        yield folder_name(step, treatment)


@dataclass(frozen=True, slots=True)
class Fact(Input):
    """A value of ``case.toml``."""

    word: str
    table: str
    key: str
    needed: bool = False

    def given(self, view: View) -> tuple[Given, ...]:
        """The value, if it is stated."""
        value = view.fact(self.table, self.key)
        if value is None:
            return ()
        where = f"treatment {view.treatment}" if self.table == "treatment" else self.table
        return (Given(self.word, f"{where}: {self.key}", view.digest(value), value),)

    def missing(self, view: View) -> str:
        """Which key to state."""
        if not self.needed or view.fact(self.table, self.key) is not None:
            return ""
        return f"state {self.table}.{self.key}"


@dataclass(frozen=True, slots=True)
class ImageOf(Input):
    """Images of the first of some roles that the case has.

    Attributes
    ----------
    word : str
        Option.
    roles : tuple of str
        In order of preference.
    needed : bool
        Whether the step cannot do without.
    several : bool
        All of the role are given (time points); else there must be one.
    """

    word: str
    roles: tuple[str, ...]
    needed: bool = False
    several: bool = False

    def given(self, view: View) -> tuple[Given, ...]:
        """Items, as one input."""
        items = self._items(view)
        if not items or self.is_ambiguous(view):
            return ()
        paths = [str(item.path(view.folder)) for item in items]
        source = ", ".join(f"images/{item.name}" for item in items)
        digest = items[0].digest if len(items) == 1 else view.digest([item.digest for item in items])
        return (Given(self.word, source, digest, paths if self.several else paths[0]),)

    def missing(self, view: View) -> str:
        """What to add, or which of several to choose."""
        items = self._items(view)
        if self.is_ambiguous(view):
            names = ", ".join(item.name for item in items)
            return f"several images are {items[0].role} ({names}): keep one and take the others for unused"
        return f"add {' or '.join(self.roles)}" if self.needed and not items else ""

    def is_ambiguous(self, view: View) -> bool:
        """Whether a person must choose one of several, or of two images of one scan."""
        items = self._items(view)
        if not self.several:
            return len(items) > 1
        starts = sorted(datetime.fromisoformat(str(item.facts["at"])) for item in items if item.facts.get("at"))
        return any(later - earlier < ONE_SCAN for earlier, later in pairwise(starts))

    def _items(self, view: View) -> Sequence[Item]:
        return next((found for role in self.roles if (found := view.images(role))), ())


@dataclass(frozen=True, slots=True)
class ResultOf(Input):
    """The result of an earlier step, or (`earlier`) of a step of the treatment before; of its folder one `file`."""

    word: str
    step: str
    needed: bool = False
    earlier: bool = False
    file: str = ""

    def given(self, view: View) -> tuple[Given, ...]:
        """Its folder or file, if it is done."""
        found = view.result(self.step, earlier=self.earlier)
        if found is None:
            return ()
        return (Given(self.word, f"steps/{found[0].name}", found[1], str(found[0] / self.file)),)

    def missing(self, view: View) -> str:
        """Which step to run."""
        return f"run {self.step}" if self.needed and view.result(self.step, earlier=self.earlier) is None else ""

    def fed_by(self, treatment: int) -> Iterator[str]:
        """Its step."""
        yield from folder_of(self.step, treatment - self.earlier)


@dataclass(frozen=True, slots=True)
class ResultsOf(Input):
    """The results of a step of all treatments up to this one."""

    word: str
    step: str
    needed: bool = False

    def given(self, view: View) -> tuple[Given, ...]:
        """Their folders, as one input."""
        found = view.results(self.step)
        if not found:
            return ()
        source = ", ".join(f"steps/{folder.name}" for folder, _ in found)
        digest = view.digest([digest for _, digest in found])
        return (Given(self.word, source, digest, [str(folder) for folder, _ in found]),)

    def missing(self, view: View) -> str:
        """Which step to run."""
        return f"run {self.step}" if self.needed and not view.results(self.step) else ""

    def fed_by(self, treatment: int) -> Iterator[str]:
        """Its step, of each treatment up to this one."""
        for number in range(1, treatment + 1):
            yield from folder_of(self.step, number)


@dataclass(frozen=True, slots=True)
class FirstOf(Input):
    """The first of several inputs for one option that there is."""

    inputs: tuple[Input, ...]
    needed: bool = False

    def given(self, view: View) -> tuple[Given, ...]:
        """Of the first that has anything; nothing where that is several images of which a person must keep one."""
        for one in self.inputs:
            if (found := one.given(view)) or (isinstance(one, ImageOf) and one.is_ambiguous(view)):
                return found
        return ()

    def missing(self, view: View) -> str:
        """What to do for each of them."""
        if self.given(view):
            return ""
        for one in self.inputs:
            if isinstance(one, ImageOf) and one.is_ambiguous(view):
                return one.missing(view)
        said = [text for one in self.inputs if (text := one.missing(view))]
        return " or ".join(dict.fromkeys(said)) if self.needed or said else ""

    def fed_by(self, treatment: int) -> Iterator[str]:
        """The steps of each of them."""
        for one in self.inputs:
            yield from one.fed_by(treatment)


@dataclass(frozen=True, slots=True)
class NuclideOfAgent(Input):
    """The nuclide that is stated, else that of the agent."""

    word: str = "nuclide"
    needed: bool = True

    def given(self, view: View) -> tuple[Given, ...]:
        """Its name."""
        stated, named = view.fact("treatment", "nuclide"), view.fact("treatment", "agent")
        if stated is None and named is None:
            return ()
        name = str(stated if stated is not None else agent(str(named)).nuclide.name)
        key = "nuclide" if stated is not None else "agent"
        return (Given(self.word, f"treatment {view.treatment}: {key}", view.digest(name), name),)

    def missing(self, view: View) -> str:
        """Which key to state."""
        return "" if not self.needed or self.given(view) else "state treatment.agent"


def stated_words(section: Mapping[str, Any]) -> dict[str, Any]:
    """What is stated for a step, its words as options spell them."""
    return {key.replace("-", "_"): value for key, value in section.items()}


@dataclass(frozen=True, slots=True)
class Section(Input):
    """What the treatment states for the step itself: options of its verb by their words."""

    step: str
    needed: tuple[str, ...] = ()

    def given(self, view: View) -> tuple[Given, ...]:
        """Each entry."""
        return tuple(
            Given(key.replace("-", "_"), f"treatment {view.treatment}: {self.step}.{key}", view.digest(value), value)
            for key, value in view.section(self.step).items()
        )

    def missing(self, view: View) -> str:
        """Which entries to state."""
        stated = stated_words(view.section(self.step))
        left = [f"treatment.{self.step}.{key}" for key in self.needed if key not in stated]
        return f"state {', '.join(left)}" if left else ""

    def words_needed(self, view: View) -> tuple[str, ...]:
        """Which entries the step cannot do without now, stated or not."""
        return self.needed


_ZONE = re.compile(r"(:\d\d(?:\.\d+)?)\s*(?:Z|[+-]\d\d:?\d\d)$")

OFFSET_AT_END = re.compile(r":\d\d(?:\.\d+)?\s*(Z|[+-]\d\d:?\d\d)$")
"""The zone of an instant."""

ACTIVITY = ("therapy-pet", "therapy-spect", "therapy-projections", "therapy-coincidences")
"""Roles of images of what was given."""


@dataclass(frozen=True, slots=True)
class StatedInstant(Input):
    """The stated administration where no delivery says it: what is stated beats the header, which the dose then says.

    Where no image states a zone it is the clock of its own zone, as the scanner's clock shows it. A PET of raw data is
    reconstructed in that zone, and the instant keeps it, also beside a delivery.
    """

    word: str = "administered_at"

    def given(self, view: View) -> tuple[Given, ...]:
        """The instant; nothing where the delivery was worked out, which has it, or none is stated."""
        stated = view.fact("treatment", "at")
        zoned = _is_of_coincidences(view) and OFFSET_AT_END.search(str(stated or "")) is not None
        if stated is None or (view.result("delivery") is not None and not zoned):
            return ()
        text = str(stated)
        seen = [str(item.facts.get("at") or "") for role in ACTIVITY for item in view.images(role)]
        if not zoned and not any(datetime.fromisoformat(one).tzinfo for one in seen if one):
            text = _ZONE.sub(r"\1", text)
        return (Given(self.word, f"treatment {view.treatment}: at", view.digest(text), text),)


def _is_of_coincidences(view: View) -> bool:
    """Whether the activity is that of a PET which the case reconstructs."""
    return bool(view.images("therapy-coincidences")) and not any(
        view.images(r) for r in ("therapy-pet", "therapy-spect")
    )


@dataclass(frozen=True, slots=True)
class StatedTerritory(Input):
    """Name of the one territory of the treatment, which is that of its structure."""

    word: str = "territory"

    def given(self, view: View) -> tuple[Given, ...]:
        """The name; nothing where none is stated, or several."""
        if (name := one_territory(view.fact("treatment", "territory"))) is None:
            return ()
        return (Given(self.word, f"treatment {view.treatment}: territory", view.digest(name), name),)


def one_territory(tables: Any) -> str | None:
    """Name of the one territory that is stated; None where there is none, or several."""
    names = [str(table.get("name")) for table in tables or () if isinstance(table, Mapping)]
    return names[0] if len(names) == 1 else None
