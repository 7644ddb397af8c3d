"""Where the liver ends beyond a PET's field: as it is drawn, or as it is proposed on the CT."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.anatomy.segmentation.propose import SegmentationOptions, propose
from hepatica.anatomy.structures.clinical import ClinicalRegion
from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Region, Volume
from hepatica.core.message import Message
from hepatica.core.progress import Progress
from hepatica.errors import GeometryError, InputError


class LiverBeyond:
    """The liver on the whole CT, looked for when it is asked for.

    Parameters
    ----------
    hu : Volume
        The CT.
    drawn : sequence of ClinicalRegion
        Structures given.
    progress : callable
        Told when the liver is looked for.
    """

    def __init__(self, hu: Volume, drawn: Sequence[ClinicalRegion], progress: Progress) -> None:
        self._hu, self._progress = hu, progress
        self._given = next((item.region for item in drawn if item.structure is Structure.LIVER), None)

    def __call__(self) -> Region | None:
        """The liver; None where none is drawn and none is found on the CT, or what is found is implausible."""
        if self._given is not None:
            return self._given
        self._progress("pet: where the liver ends beyond the field")
        try:
            found = propose(self._hu, SegmentationOptions(structures=("liver",)))
        except (InputError, GeometryError):
            # no CT of a trunk, or nothing like a liver on it: nobody knows where activity ends
            return None
        (quality,) = found.quality
        return found.regions[0] if quality.verdict == "plausible" else None

    def messages(self, *, used: bool) -> tuple[Message, ...]:
        """That the liver's end is a proposal, where it was used."""
        if not used or self._given is not None:
            return ()
        text = (
            "where the liver ends beyond the field was proposed on the CT by hepatica, and nobody has checked it; the "
            "scatter of activity there rests on it"
        )
        return (
            Message("liver-beyond-field-proposed", text, "give `structures` with the liver drawn on all of the CT"),
        )
