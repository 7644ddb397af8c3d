"""A transform for a verb that needs one: the one that was given, or the registration of the images at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hepatica.anatomy.registration.prepared import holds_uptake
from hepatica.anatomy.registration.register import Registration, register_volumes
from hepatica.anatomy.registration.settings import RegistrationOptions
from hepatica.anatomy.structures.kinds import Structure
from hepatica.anatomy.structures.roles import identified
from hepatica.core import Grid, Region
from hepatica.core.image import Image
from hepatica.core.message import Message, unique
from hepatica.core.progress import Progress, silent
from hepatica.core.transform.options import TransformOptions
from hepatica.errors import GeometryError, InputError, UnknownNameError
from hepatica.io.structures.regions import drawn_structures
from hepatica.workflow.registration.transforms import GivenTransform, given_transform
from hepatica.workflow.sources import StructureSource, as_image, require_one_patient


@dataclass(frozen=True, slots=True)
class AtHand:
    """What a verb has to register by.

    Attributes
    ----------
    fixed : Image or None
        CT or MR that stays; None where the verb was given none.
    fixed_option : str
        Option that gives it.
    moving : Image or None
        CT or MR in the moving frame of reference, where the verb has one itself; else `TransformOptions.moving_ct`.
    structures : path, sequence of Region, or None
        Drawn on the fixed image; the liver among them counts unless others are named.
    structure_roles : mapping of str to str or None
        What structures are, where their names do not say.
    """

    fixed: Image | None
    fixed_option: str = "ct"
    moving: Image | None = None
    structures: StructureSource | None = None
    structure_roles: Mapping[str, str] | None = None


def transform_for(
    stated: TransformOptions,
    grids: tuple[Grid, Grid],
    at_hand: AtHand,
    *,
    registered: bool = False,
    progress: Progress = silent,
) -> GivenTransform:
    """The transform from a fixed frame of reference to a moving one: as given, or by registration.

    Parameters
    ----------
    stated : TransformOptions
        A transform, or the model of the registration.
    grids : pair of Grid
        Of what stays and of what is brought over, whose frames of reference are checked.
    at_hand : AtHand
        Images to register by.
    registered : bool
        Whether the user states that the images lie together, which contradicts both.
    progress : callable
        Called with one sentence at each step of a registration.

    Raises
    ------
    InputError
        If there is no pair of images to register, or only uptake.
    GeometryError
        If the images lie in other frames of reference, or the registration says of itself that a person must look at it
        first (mirrored, turned by half, not alike); otherwise as `given_transform` and
        `anatomy.registration.register.register_volumes`.
    """
    if stated.register is None:
        return given_transform(stated, *grids, registered=registered)
    if registered:
        raise InputError("`registered` says that images lie together, `register` that they do not", remedy="state one")
    fixed, moving = _pair(stated, at_hand)
    for image, grid, role in ((fixed, grids[0], at_hand.fixed_option), (moving, grids[1], "moving_ct")):
        if not image.grid.shares_frame(grid):
            raise GeometryError(
                f"`{role}` ({image.name}) has the frame of reference {image.grid.frame_of_reference}, what it belongs "
                f"to has {grid.frame_of_reference}",
                remedy="give the CT that was acquired with it",
            )
    require_one_patient((fixed.source, moving.source))
    progress(f"registering {moving.name} to {fixed.name}")
    region, counted = _counted(stated, at_hand, fixed)
    found = register_volumes(
        fixed.volume, moving.volume, RegistrationOptions(model=stated.register), within=region, progress=progress
    )
    if critical := [message for message in found.messages if message.severity == "critical"]:
        # Nobody has looked at it: a number that rests on it would pass for a sound one.
        raise GeometryError(
            f"{moving.name} was registered to {fixed.name}, and not used: {critical[0].text}",
            remedy="register them by the verb register, look at its figure, and give its `transform`",
        )
    frames = (grids[0].frame_of_reference, grids[1].frame_of_reference)
    transform = replace(
        found.transform,
        fixed_frame=found.transform.fixed_frame or frames[0],
        moving_frame=found.transform.moving_frame or frames[1],
    )
    if stated.transform_uncertainty_mm is not None:
        transform = replace(transform, uncertainty_mm=stated.transform_uncertainty_mm)
    text = f"{moving.name} was registered to {fixed.name} ({stated.register}, {counted}): {quality_words(found)}"
    remedy = "look at both together; the verb register draws them and measures more"
    said = Message("registered-here", text, remedy, "note")
    # A moving CT is a file of this answer; images that the verb was given itself are its inputs already.
    files = (moving.source,) if at_hand.moving is None else ()
    return GivenTransform(transform, unique([said], found.messages), files, text)


def quality_words(found: Registration) -> str:
    """Likeness, uncertainty, inverse consistency and volumes of a registration in one line."""
    before = "not comparable" if found.similarity_before is None else f"{found.similarity_before:.3f}"
    parts = [f"likeness {before} as the headers place them, {found.similarity_after:.3f} registered"]
    if not found.kept:
        parts.append("the headers' placing was kept")
    if found.uncertainty is not None:
        x, y, z = found.uncertainty.per_axis_mm
        parts.append(f"uncertainty {x:.1f}, {y:.1f} and {z:.1f} mm along x, y and z (k = 1)")
    else:
        parts.append("uncertainty not known")
    if found.inverse is not None:
        parts.append(f"inverse consistency {found.inverse.mean_mm:.1f} mm")
    if not found.transform.is_affine:
        parts.append(f"Jacobian determinant {found.volumes.lowest:.2f} to {found.volumes.highest:.2f}")
    return ", ".join(parts)


def _pair(stated: TransformOptions, at_hand: AtHand) -> tuple[Image, Image]:
    if at_hand.fixed is None:
        raise InputError(
            "there is no image to `register` to", remedy=f"give `{at_hand.fixed_option}`, or a `transform`"
        )
    if at_hand.moving is not None and stated.moving_ct is not None:
        raise InputError("`moving_ct` stands for an image that was given already", remedy="leave it out")
    moving = at_hand.moving
    if moving is None:
        if stated.moving_ct is None:
            raise InputError(
                "there is nothing to `register` by: uptake must not drive a registration",
                remedy="give `moving_ct`, the CT acquired with what is brought over, or a `transform`",
            )
        moving = as_image(stated.moving_ct, role="ct").used_as("moving_ct")
    for image, role in ((at_hand.fixed, at_hand.fixed_option), (moving, "moving_ct")):
        if holds_uptake(image.volume):
            raise InputError(
                f"{image.name} shows uptake, which must not drive a registration",
                remedy=f"give the CT or MR that was acquired with it as `{role}`",
            )
    return at_hand.fixed, moving


def _counted(stated: TransformOptions, at_hand: AtHand, fixed: Image) -> tuple[Region | None, str]:
    """Where the registration counts, and that in words."""
    if at_hand.structures is None:
        if stated.within:
            raise InputError("`within` names structures, and none were given", remedy="give `structures`")
        return None, "the whole patient counting"
    drawn = drawn_structures(at_hand.structures, fixed, at_hand.structure_roles, all_here=False)
    regions = tuple(drawn.regions.values())
    if stated.within:
        return counted_region(regions, stated.within, drawn.roles), f"counting in {', '.join(stated.within)}"
    livers = [name for name, role in drawn.roles.items() if role is Structure.LIVER]
    if not livers:
        return None, "the whole patient counting, for no liver is drawn"
    # In a label map the liver is what its tumours leave, and the tumours are what shows where it lies.
    tumours = [name for name, role in drawn.roles.items() if role is Structure.TUMOUR]
    return counted_region(regions, [*livers, *tumours], drawn.roles), f"counting in {', '.join(livers)}"


def counted_region(
    drawn: Sequence[Region], names: Sequence[str], roles: Mapping[str, Structure] | None = None
) -> Region:
    """The union of the structures of these names or roles, in which a registration counts.

    Raises
    ------
    UnknownNameError
        If there is none of a name.
    """
    known = identified(drawn).roles if roles is None else roles
    whole: Region | None = None
    for name in names:
        found = [r for r in drawn if r.name == name] or [r for r in drawn if known[r.name].value == name]
        if not found:
            raise UnknownNameError("structure", name, [region.name for region in drawn])
        for region in found:
            whole = region if whole is None else whole | region
    if whole is None:
        raise InputError("no structure to count in was named")
    return whole
