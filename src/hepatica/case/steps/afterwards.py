"""What feeds the steps after a treatment: follow-up beside what was before, and the next treatment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatica.case.catalogue import Item
from hepatica.case.steps.inputs import Given, Input, View, one_territory
from hepatica.core.options import from_texts
from hepatica.errors import InputError
from hepatica.front_door import verb_named
from hepatica.nuclides import agent

if TYPE_CHECKING:
    from hepatica.planning.measured.treatment_results import AbsorbedDose

BEFORE = ("baseline", "therapy", "scout")
AFTER = ("follow-up",)
"""Stages whose structures are compared, in order of preference."""

IMAGES = ("ct", "mr")

TUMOURS = ("all_tumours", "tumour")
"""Roles of a structure from which the tumour dose per activity is taken, in order of preference."""


@dataclass(frozen=True, slots=True)
class StageOf(Input):
    """Structures of a stage, the latest, and the image on which they were drawn.

    Attributes
    ----------
    word, image_word : str
        Options.
    stages : tuple of str
        In order of preference.
    """

    word: str
    image_word: str
    stages: tuple[str, ...]

    def given(self, view: View) -> tuple[Given, ...]:
        """Structures, and their image where the case has it."""
        for stage in self.stages:
            if drawn := view.images(f"{stage}-structures"):
                structures = drawn[-1]
                images = [item for kind in IMAGES for item in view.images(f"{stage}-{kind}")]
                fitting = [item for item in images if item.frame == structures.frame]
                found = [_given(self.word, structures, view)]
                return (*found, *(_given(self.image_word, item, view) for item in (fitting or images)[:1]))
        return ()

    def missing(self, view: View) -> str:
        """Which to add."""
        roles = " or ".join(f"{stage}-structures" for stage in self.stages)
        return "" if self.given(view) else f"add {roles}"


def _given(word: str, item: Item, view: View) -> Given:
    return Given(word, f"images/{item.name}", item.digest, str(item.path(view.folder)))


@dataclass(frozen=True, slots=True)
class CarrierOfAgent(Input):
    """The agent by the name under which published models know it: "glass" of TheraSphere."""

    word: str = "agent"

    def given(self, view: View) -> tuple[Given, ...]:
        """Its name."""
        named = view.fact("treatment", "agent")
        if named is None:
            return ()
        name = agent(str(named)).name
        return (Given(self.word, f"treatment {view.treatment}: agent", view.digest(name), name),)


FOLLOWING = ("agent", "intent", "at", "aims", "territory")
"""Keys of which a treatment that is in the case states one."""


@dataclass(frozen=True, slots=True)
class NextAt(Input):
    """When the next treatment is: its own instant, else what is stated for the step."""

    def given(self, view: View) -> tuple[Given, ...]:
        """The instant, and the territory where both treatments are of the same one.

        Where the next treatment is not in the case yet it is taken to be of this one's.
        """
        source = f"treatment {view.treatment + 1}"
        found = []
        if (at := view.following("at")) is not None:
            found.append(Given("next_at", f"{source}: at", view.digest(at), at))
        here, there = one_territory(view.fact("treatment", "territory")), one_territory(view.following("territory"))
        is_there = any(view.following(key) is not None for key in FOLLOWING)
        if here is not None and (here == there or not is_there):
            said = source if is_there else f"treatment {view.treatment}"
            found.append(Given("territory", f"{said}: territory", view.digest(here), here))
        return tuple(found)

    def missing(self, view: View) -> str:
        """What to state."""
        if view.following("at") is not None or {"next_at", "next-at"} & view.section("next").keys():
            return ""
        return "state treatment.next.next_at, or the next treatment with its instant"


def next_arguments(texts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments of `remaining_tolerance`; doses per activity that nobody states are those of the last treatment."""
    from hepatica.planning.measured.treatment_results import absorbed_dose_of  # the status of a case needs none of it

    given = dict(texts)
    paths = given["dose_results"]
    last = absorbed_dose_of(Path(paths[-1]))
    role = "normal_liver" if given.get("territory") is None else "perfused_normal"
    doses: dict[str, Callable[[], float]] = {
        "normal_dose": lambda: last.normal_dose_gy(role, given.get("normal_structure")),
        "tumour_dose": lambda: _tumour_dose_gy(last),
        "lung_dose": lambda: last.lung_dose_gy or 0.0,
    }
    for word, dose in doses.items():
        if word not in given:
            if not last.administered_gbq:
                raise InputError(
                    f"{last.source}: does not know the administered activity", remedy=f"state treatment.next.{word}"
                )
            given[word] = f"{dose() / last.administered_gbq:.6g} Gy/GBq"
    return from_texts(verb_named("remaining_tolerance").load(), given, command="next")


def _tumour_dose_gy(found: AbsorbedDose) -> float:
    for wanted in TUMOURS:
        doses = [dose for role, dose in found.structures.values() if role == wanted]
        if len(doses) == 1:
            return doses[0]
    raise InputError(f"{found.source}: holds no one dose of the tumours", remedy="state treatment.next.tumour_dose")
