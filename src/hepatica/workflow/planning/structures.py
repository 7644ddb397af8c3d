"""Structures of a verb, from a file or as regions, on the voxels of its image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hepatica.anatomy.structures.clinical import Structure, structure_of
from hepatica.core import Grid, InputFile, Region
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.errors import InputError, UnknownNameError
from hepatica.io.regions import read_structures
from hepatica.workflow.sources import StructureSource

LUNGS = (Structure.LUNG, Structure.LUNG_LEFT, Structure.LUNG_RIGHT)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnStructures:
    """Structures by name, what each is, and where they came from.

    Attributes
    ----------
    regions : mapping of str to Region
        None of them is empty; those of a file lie on the image's voxels, others on their own.
    roles : mapping of str to Structure
        What each is.
    messages : tuple of Message
        From reading.
    inputs : tuple of InputFile
        The file, with its hash; empty where regions were given.
    """

    regions: Mapping[str, Region]
    roles: Mapping[str, Structure]
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()

    def of(self, *roles: Structure) -> list[Region]:
        """Those of a role."""
        return [region for name, region in self.regions.items() if self.roles[name] in roles]

    def liver(self) -> Region | None:
        """The one liver, if there is one; InputError if several are called so."""
        livers = self.of(Structure.LIVER)
        if len(livers) > 1:
            names = ", ".join(region.name for region in livers)
            raise InputError(f"several structures are called liver: {names}", remedy="state `structure_roles`")
        return livers[0] if livers else None


def sources_of(structures: StructureSource | Sequence[StructureSource]) -> list[StructureSource]:
    """Each file, or set of regions, of what may be one or several."""
    if isinstance(structures, str | Path):
        return [structures]
    regions = [item for item in structures if isinstance(item, Region)]
    if len(regions) < len(structures):
        return [item for item in structures if not isinstance(item, Region)]
    return [regions] if regions else []


def drawn_structures(
    source: StructureSource, image: Grid | Image, roles: Mapping[str, str] | None = None, *, all_here: bool = True
) -> DrawnStructures:
    """Structures of a file on the voxels of an image, or the regions that were given.

    With `all_here` every structure that is given a role must be there, else it may be in another file.

    Raises
    ------
    InputError
        If it is neither a path nor regions; otherwise as `hepatica.io.regions.read_structures`.
    UnknownNameError
        If `roles` names a structure that is not there, or gives an unknown role.
    """
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()
    if isinstance(source, str | Path):
        path = Path(source)
        found = read_structures(path, image)
        given: Sequence[Region] = found.regions
        messages = found.messages
        files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else None
        inputs = (InputFile.of("structures", path, files),)
    else:
        given = [item for item in source if isinstance(item, Region)] if isinstance(source, Sequence) else ()
        if not given or len(given) < len(source):
            raise InputError("structures are a file (RTSTRUCT, SEG, label map) or a list of regions")
    regions = {region.name: region for region in given if not region.is_empty}
    known = [region.name for region in given]
    absent = [name for name in roles or {} if name not in known]
    if all_here and absent:
        raise UnknownNameError("structure", absent[0], known)
    return DrawnStructures(regions, {name: structure_of(name, roles) for name in regions}, messages, inputs)
