"""What feeds holmium by MR: scans of several echoes before and after, their structures, and where its activity goes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatica.case.catalogue import Item
from hepatica.case.sorting.seen import MULTI_ECHO
from hepatica.case.steps.inputs import ACTIVITY, Given, Input, NuclideOfAgent, View, folder_of, stated_words
from hepatica.errors import UnknownNameError

HOLMIUM, HOLMIUM_MRI = "Ho-166", "holmium-mri"
AFTER, BEFORE = "therapy-mr", "baseline-mr"
ACTIVITY_FILE, RESULT = "activity.nii.gz", "result.json"


def multi_echo(view: View, role: str) -> tuple[Item, ...]:
    """Scans of several echoes of a role; what a person named without a header counts as one."""
    return tuple(item for item in view.images(role) if str(item.facts.get("what", MULTI_ECHO)).startswith(MULTI_ECHO))


def is_holmium(view: View) -> bool:
    """Whether the treatment is one with 166Ho."""
    try:
        return any(given.text == HOLMIUM for given in NuclideOfAgent().given(view))
    except UnknownNameError:
        return False


@dataclass(frozen=True, slots=True)
class EchoesOf(Input):
    """A scan of several echoes, and its series where they lie among others.

    Attributes
    ----------
    word, series_word : str
        Options.
    role : str
        Of the image.
    needed : bool
        Whether the step cannot do without.
    """

    word: str
    series_word: str
    role: str
    needed: bool = False

    def given(self, view: View) -> tuple[Given, ...]:
        """The one of its role."""
        items = multi_echo(view, self.role)
        if len(items) != 1:
            return ()
        item = items[0]
        source = f"images/{item.name}"
        found = [Given(self.word, source, item.digest, str(item.path(view.folder)))]
        uids = list(item.facts.get("series_uids", ()))
        if uids and any(Path(file.path).is_absolute() for file in item.files):
            found.append(Given(self.series_word, source, view.digest(uids), uids))
        return tuple(found)

    def missing(self, view: View) -> str:
        """Which to add, or which of several to keep."""
        items = multi_echo(view, self.role)
        if len(items) > 1:
            names = ", ".join(item.name for item in items)
            return f"several scans are {self.role} ({names}): keep one and take the others for unused"
        if self.needed and not items:
            others = ", ".join(item.name for item in view.images(self.role))
            said = f" ({others}: not three echoes of one acquisition)" if others else ""
            return f"add {self.role} of several echoes{said}"
        return ""


@dataclass(frozen=True, slots=True)
class StructuresOnMr(Input):
    """Structures in the frame of reference of the MR after treatment, or of the therapy where both share one."""

    word: str = "structures"

    def given(self, view: View) -> tuple[Given, ...]:
        """Those that fit."""
        items = self._items(view)
        if len(items) != 1:
            return ()
        return (Given(self.word, f"images/{items[0].name}", items[0].digest, str(items[0].path(view.folder))),)

    def missing(self, view: View) -> str:
        """To draw them, or to keep one."""
        items = self._items(view)
        if len(items) > 1:
            return f"several structures lie on the {AFTER} ({', '.join(i.name for i in items)}): keep one"
        return "" if items else f"add therapy-structures drawn in the frame of reference of the {AFTER}"

    @staticmethod
    def _items(view: View) -> Sequence[Item]:
        frames = {item.frame for item in multi_echo(view, AFTER) if item.frame}
        drawn = view.images("therapy-structures")
        return [item for item in drawn if not frames or item.frame in frames]


@dataclass(frozen=True, slots=True)
class BeforeOntoAfter(Input):
    """The registration of the MR before to the MR after, where their frames of reference differ."""

    def given(self, view: View) -> tuple[Given, ...]:
        """One that was added."""
        items = view.images("mr-registration")
        if len(items) != 1 or not self._is_needed(view):
            return ()
        return (Given("transform", f"images/{items[0].name}", items[0].digest, str(items[0].path(view.folder))),)

    def missing(self, view: View) -> str:
        """To add it, or to state that they lie together."""
        if not self._is_needed(view) or self.given(view):
            return ""
        return f"add mr-registration, or state treatment.{HOLMIUM_MRI}.registered"

    @staticmethod
    def _is_needed(view: View) -> bool:
        before, after = ({item.frame for item in multi_echo(view, role)} for role in (BEFORE, AFTER))
        stated = stated_words(view.section(HOLMIUM_MRI))
        told = stated.get("registered") or stated.keys() & {"transform", "baseline_r2star"}
        return bool(before and after and before != after and not told)


@dataclass(frozen=True, slots=True)
class CalibrationOfVial(Input):
    """The instant of the specific activity: that of the vial, where nobody states another one."""

    def given(self, view: View) -> tuple[Given, ...]:
        """The instant; nothing without a specific activity."""
        stated = stated_words(view.section(HOLMIUM_MRI))
        at = stated_words(view.section("delivery")).get("calibrated_at")
        asked = "specific_activity" in stated
        if not asked or "calibrated_at" in stated or at is None:
            return ()
        source = f"treatment {view.treatment}: delivery.calibrated_at"
        return (Given("calibrated_at", source, view.digest(at), at),)


@dataclass(frozen=True, slots=True)
class HolmiumActivity(Input):
    """Activity by MR, where no camera saw the treatment: of all of the liver, with its unit and instant."""

    def given(self, view: View) -> tuple[Given, ...]:
        """The image and what its file does not say."""
        found = view.result(HOLMIUM_MRI)
        if found is None or _is_seen(view) or not (found[0] / ACTIVITY_FILE).is_file():
            return ()
        source = f"steps/{found[0].name}"
        texts: dict[str, Any] = {"activity": [str(found[0] / ACTIVITY_FILE)], "activity_unit": "Bq/mL"}
        # For unbiased means the negative voxels of the noise stay; of the engines the local one takes them.
        texts |= {"negatives": "keep", "engine": "local"}
        if (at := _scanned_at(found[0])) is not None:
            texts["activity_at"] = [at]
        return tuple(Given(word, source, found[1], text) for word, text in texts.items())

    def missing(self, view: View) -> str:
        """To run it, where it may be run."""
        found = view.result(HOLMIUM_MRI)
        if _is_seen(view) or not (is_holmium(view) and multi_echo(view, AFTER)):
            return ""
        if found is None:
            return f"run {HOLMIUM_MRI}"
        if (found[0] / ACTIVITY_FILE).is_file():
            return ""
        return f"{HOLMIUM_MRI} holds no activity of all of the liver: state treatment.{HOLMIUM_MRI}.specific_activity"

    def fed_by(self, treatment: int) -> Iterator[str]:
        """The step."""
        yield from folder_of(HOLMIUM_MRI, treatment)


def _is_seen(view: View) -> bool:
    """Whether a camera saw the treatment."""
    return any(view.images(role) for role in ACTIVITY)


def _scanned_at(folder: Path) -> str | None:
    try:
        document = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # the dose then says that the image has no instant
    at = document.get("scanned_at")
    return None if at is None else str(at)


def holmium_not_asked(view: View) -> str:
    """Why holmium by MR is not asked for; empty where it may be."""
    if not is_holmium(view):
        return "no holmium was given"
    return "" if view.images(AFTER) else "no MR after the treatment was added"


def agreement_not_asked(view: View) -> str:
    """Why MR and SPECT are not compared; empty where they may be."""
    if why := holmium_not_asked(view):
        return why
    there = view.images("therapy-spect") or view.images("therapy-projections")
    return "" if there else "no SPECT after the treatment was added"
