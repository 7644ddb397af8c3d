"""A scout scan with its structures on its own voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from hepatica.anatomy.structures.clinical import STRUCTURE_ROLES_TEXT, Structure, require_roles, union
from hepatica.anatomy.structures.drawn import LUNGS, DrawnStructures
from hepatica.core import Grid, InputFile, Region, Volume
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.options import options
from hepatica.core.resample import resample, resample_region
from hepatica.core.sources import ImageSource
from hepatica.errors import GeometryError, InputError
from hepatica.planning.scout.lungs import lung_mass_kg
from hepatica.transport.matter.media import density_from_hu


@options
class ScoutOptions:
    """The CT, and what images and structures do not say themselves.

    Attributes
    ----------
    ct : path, Image or None
        CT of the scan, for masses.
    activity_unit : str or None
        What a voxel of a NIfTI or MetaImage holds: counts, Bq/mL.
    structure_roles : mapping of str to str
        What a structure is, where its name does not say: liver, tumour, lung, perfused.
    registered : bool
        Images of different frames of reference lie together.
    series : str or None
        SeriesInstanceUID of the scout, if a folder holds several.
    ct_series : str or None
        SeriesInstanceUID of the CT, if a folder holds several.
    """

    ct: ImageSource | None = None
    activity_unit: str | None = None
    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None
    registered: bool = False
    series: str | None = None
    ct_series: str | None = None

    def __post_init__(self) -> None:
        require_roles(self.structure_roles)


@dataclass(frozen=True, slots=True, eq=False)
class Scout:
    """A scout scan with its structures on its own voxels.

    Attributes
    ----------
    image : Volume
        Counts, rate, Bq or Bq/mL.
    liver, lungs : Region or None
        Tumours belong to the liver; left and right lung are one.
    tumours, territories : mapping of str to Region
        By name.
    others : mapping of str to Region
        Structures that are none of these.
    density : Volume or None
        g/mL on the scout's grid, from the CT.
    ct_lung_mass_kg : float or None
        By densitovolumetry on the CT's own voxels.
    ct : Volume or None
        The CT, for pictures.
    messages : tuple of Message
        From reading.
    inputs : tuple of InputFile
        The files, with hashes.
    """

    image: Volume
    liver: Region | None
    lungs: Region | None
    tumours: Mapping[str, Region]
    territories: Mapping[str, Region]
    others: Mapping[str, Region] = field(default_factory=dict)
    density: Volume | None = None
    ct_lung_mass_kg: float | None = None
    ct: Volume | None = None
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()

    def need(self, *names: str) -> tuple[Region, ...]:
        """The regions called "liver" or "lungs", or InputError that says which is missing."""
        known = {"liver": self.liver, "lungs": self.lungs}
        found = []
        for name in names:
            region = known[name]
            if region is None:
                raise InputError(f"no structure is the {name}", remedy=f"state `structure_roles`: 'NAME={name}'")
            found.append(region)
        return tuple(found)


def scout_scan(image: Image, ct: Image | None, drawn: DrawnStructures, *, registered: bool = False) -> Scout:
    """A scout from its image (in the frame of the CT), CT and structures."""
    if registered:
        drawn = replace(drawn, regions={n: _moved(region, image.grid) for n, region in drawn.regions.items()})
    found = _scout_of(image, drawn)
    inputs = (image.source, *((ct.source,) if ct else ()), *drawn.inputs)
    if ct is None:
        return replace(found, inputs=inputs)
    lungs = [resample_region(region, ct.grid) for region in drawn.of(*LUNGS)]
    return replace(
        found,
        # Air surrounds the CT.
        density=resample(density_from_hu(ct.volume), image.grid, "mean", outside=0.0),
        ct_lung_mass_kg=lung_mass_kg(ct.volume, union(lungs)) if lungs else None,
        ct=ct.volume,
        inputs=inputs,
    )


def _scout_of(image: Image, drawn: DrawnStructures) -> Scout:
    moved = {name: resample_region(region, image.grid) for name, region in drawn.regions.items()}
    here = replace(drawn, regions={name: region for name, region in moved.items() if not region.is_empty})

    def named(*roles: Structure) -> dict[str, Region]:
        return {region.name: region for region in here.of(*roles)}

    liver, lungs, tumours = here.liver(), here.of(*LUNGS), named(Structure.TUMOUR)
    if liver is not None and tumours:
        liver = (liver | union(list(tumours.values()))).renamed("liver")
    known = {Structure.LIVER, Structure.TUMOUR, Structure.PERFUSED, *LUNGS}
    return Scout(
        image=image.volume,
        liver=liver,
        lungs=union(lungs).renamed("lungs") if lungs else None,
        tumours=tumours,
        territories=named(Structure.PERFUSED),
        others={name: region for name, region in moved.items() if drawn.roles[name] not in known},
        messages=(*image.messages, *drawn.messages),
    )


def together_with(image: Image, ct: Image, *, registered: bool) -> Image:
    """The scan in the frame of reference of its CT.

    Raises
    ------
    InputError
        If they are of two patients.
    GeometryError
        If frames of reference differ and they are not registered.
    """
    if image.context is not None and ct.context is not None and image.context.patient_id != ct.context.patient_id:
        raise InputError(
            f"the scout is of patient {image.context.patient_id!r}, the CT of {ct.context.patient_id!r}: "
            "they must be of one patient"
        )
    if not registered and not image.grid.shares_frame(ct.grid):
        raise GeometryError(
            "scout and CT have different frames of reference",
            remedy="register them first, or state `registered` if they lie together",
        )
    frame = ct.grid.frame_of_reference or image.grid.frame_of_reference
    return replace(image, volume=replace(image.volume, grid=image.grid.with_frame_of_reference(frame)))


def _moved(region: Region, grid: Grid) -> Region:
    """A region in the frame of reference of a grid, where it lies by the user's word."""
    own = region.grid.with_frame_of_reference(grid.frame_of_reference)
    return replace(region, grid=own)
