"""A transform that a verb was given, and images, doses and structures that it brings over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hepatica.core import Grid, InputFile, Kind, Volume
from hepatica.core.image import Acquisition, Image, is_activity
from hepatica.core.message import Message, unique
from hepatica.core.tables.sources import TransformSource
from hepatica.core.transform import How, Transform, Warped, warp
from hepatica.core.transform.ends import brought_ends, slice_ends
from hepatica.core.transform.options import TransformOptions
from hepatica.core.transform.place import covering_grid, placed_grid
from hepatica.core.transform.transform import NOT_FOR_USE
from hepatica.errors import InputError
from hepatica.io.files import restore
from hepatica.io.registration.read import MAX_FILES, read_transform

AIR_HU = -1000.0


@dataclass(frozen=True, slots=True, eq=False)
class GivenTransform:
    """A transform from the fixed to the moving frame, as a verb was given it.

    Attributes
    ----------
    transform : Transform
        Checked; with both frames of reference where images state them.
    messages : tuple of Message
        Of its files.
    inputs : tuple of InputFile
        Its files.
    quality : str
        How well a registration that found it lies, in a line; empty of one that was given.
    """

    transform: Transform
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()
    quality: str = ""

    def words(self) -> str:
        """Kind, origin and uncertainty, for messages and the provenance."""
        sure = self.transform.uncertainty_mm
        unsure = "uncertainty not known" if sure is None else f"uncertainty {sure:.3g} mm along each axis (k = 1)"
        residual = f", inverse good to {self.transform.residual_mm:.2g} mm" if self.transform.residual_mm else ""
        origin = f" ({self.transform.method})" if self.transform.method else ""
        return f"{self.transform.kind} transform{origin}, {unsure}{residual}"

    def step(self, text: str) -> str:
        """A step of the provenance with the registration behind it, where there was one."""
        return f"{self.quality}; {text}" if self.quality else text


def given_transform(stated: TransformOptions, fixed: Grid, moving: Grid, *, registered: bool = False) -> GivenTransform:
    """The transform that was stated, from a fixed image's frame of reference to a moving one's.

    Raises
    ------
    InputError
        If none was stated, `registered` was stated too, or a file cannot be read.
    GeometryError
        If it is of other frames of reference, or folds.
    """
    if registered:
        raise InputError("`registered` says that images lie together, `transform` that they do not", remedy="state one")
    sources = _listed(stated.transform)
    if not 0 < len(sources) <= MAX_FILES:
        raise InputError(f"`transform` was given {len(sources)} times; 1 to {MAX_FILES} follow one another")
    whole: Transform | None = None
    notes: list[Message] = []
    files: list[InputFile] = []
    for number, source in enumerate(sources):
        here = fixed.frame_of_reference if whole is None else whole.moving_frame
        there = moving.frame_of_reference if number == len(sources) - 1 else None
        if isinstance(source, Transform):
            step = source.checked()
        else:
            restore(source)
            step, said = read_transform(source, fixed=here, moving=there)
            notes += said
            files.append(InputFile.of("transform", Path(source)))
        whole = step if whole is None else whole.then(step)
    assert whole is not None
    whole.require_frames(fixed, moving, "`transform`")
    whole = replace(
        whole.simplified(),
        fixed_frame=whole.fixed_frame or fixed.frame_of_reference,
        moving_frame=whole.moving_frame or moving.frame_of_reference,
    )
    if stated.transform_uncertainty_mm is not None:
        whole = replace(whole, uncertainty_mm=stated.transform_uncertainty_mm)
    if NOT_FOR_USE in whole.method:
        text = "the registration behind `transform` says of itself that it must not be used: mirrored, or not alike"
        notes.append(Message("transform-not-for-use", text, "register the images anew", "critical"))
    return GivenTransform(whole, unique(notes), tuple(files))


def _listed(source: TransformSource | Sequence[TransformSource] | None) -> tuple[TransformSource, ...]:
    if source is None:
        raise InputError("no `transform` was given")
    if isinstance(source, str | Path | Transform):
        return (source,)
    found = tuple(source)
    if wrong := [item for item in found if not isinstance(item, str | Path | Transform)]:
        raise InputError(f"`transform` is a path or a hepatica.Transform, not {type(wrong[0]).__name__}")
    return found


def how_for(kind: Kind) -> How:
    """What is conserved of a kind, where nothing else is said."""
    if kind is Kind.LABEL:
        return "labels"
    if kind.extensive or kind is Kind.ACTIVITY_CONCENTRATION:
        return "activity"
    return "density" if kind in (Kind.DENSITY, Kind.FRACTION) else "values"


def outside_of(kind: Kind) -> float:
    """Value of a kind where nothing was imaged: air around a CT."""
    return AIR_HU if kind is Kind.HU else 0.0


def moved_volume(volume: Volume, transform: Transform, like: Grid, how: How | None = None) -> Warped:
    """A volume in the fixed frame on voxels of its own size, with all of it in view.

    A rigid transform only places its grid anew: no value changes. Otherwise the target has the axes of `like`.

    Raises
    ------
    HepaticaError
        As `core.transform.warp`.
    """
    chosen = how or how_for(volume.kind)
    grid = placed_grid(volume.grid, transform)
    if grid is None:
        grid = covering_grid(volume.grid, transform, like)
    return warp(volume, transform, grid.with_frame_of_reference(like.frame_of_reference), chosen,
                outside=outside_of(volume.kind))  # fmt: skip


def moved_image(image: Image, given: GivenTransform, like: Grid) -> tuple[Image, tuple[Message, ...], str]:
    """An image in the frame of `like`, what must be said of it, and the step for the provenance."""
    found = moved_volume(image.volume, given.transform, like)
    text = f"{image.name} was brought to the frame of reference of the CT by a {given.words()}"
    note = Message("image-moved", text, "look at image and CT together", severity="note")
    facts = brought_facts(image, given.transform, found.volume.grid)
    moved = replace(image, volume=replace(found.volume, name=image.volume.name), acquisition=facts)
    return moved, unique([note], given.messages, found.messages), given.step(text)


def brought_facts(image: Image, transform: Transform, grid: Grid) -> Acquisition:
    """What is known of an image after it was brought over: all of it, the ends that it sees where they lie now.

    An image of activity that states none sees as far as its slices go: on other voxels nothing else says it.
    """
    facts = image.acquisition
    stated, seen_along = facts.seen_z_mm, facts.seen_along
    if stated is None:
        if not is_activity(image.volume.kind):
            return facts
        stated, seen_along = slice_ends(image.grid)
    ends, along = brought_ends(stated, seen_along, transform, grid)
    return replace(facts, seen_z_mm=ends, seen_along=along)


@dataclass(frozen=True, slots=True, eq=False)
class BroughtDose:
    """A dose map on another one's voxels, looked up by value; NaN where it says nothing.

    Attributes
    ----------
    volume : Volume
        In Gy.
    uncertainty_mm : float or None
        Of the transform, along each axis.
    messages : tuple of Message
        What was moved, how surely.
    step : str
        For the provenance.
    inputs : tuple of InputFile
        Files of the transform.
    transform : Transform
        By which it was brought over.
    """

    volume: Volume
    uncertainty_mm: float | None
    messages: tuple[Message, ...]
    step: str
    inputs: tuple[InputFile, ...]
    transform: Transform


def brought_dose(dose: Volume, given: GivenTransform, grid: Grid, *, name: str) -> BroughtDose:
    """A dose map brought over by value.

    Raises
    ------
    HepaticaError
        As `core.transform.warp`.
    """
    found = warp(dose, given.transform, grid, "values", outside=float("nan"))
    text = f"{name} was brought over, by value, by a {given.words()}"
    note = Message("dose-moved", text, "look at both images together", severity="note")
    beyond = [message for message in found.messages if message.code == "field-not-reaching"]
    return BroughtDose(
        found.volume,
        given.transform.uncertainty_mm,
        unique([note], given.messages, beyond),
        given.step(text),
        given.inputs,
        given.transform,
    )
