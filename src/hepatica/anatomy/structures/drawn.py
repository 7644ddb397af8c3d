"""Structures by name, with what each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hepatica.anatomy.structures.kinds import LUNGS, Structure
from hepatica.core import InputFile, Region
from hepatica.core.message import Message
from hepatica.errors import InputError

__all__ = ["LUNGS", "DrawnStructures"]


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
