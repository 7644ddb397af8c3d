"""What a PET reconstruction is given: raw data and CT, from files or as values, of one patient."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.pet.acquisition.raw import PetRawData
from hepatica.imaging.pet.scanner import Scanner
from hepatica.io.files import restore
from hepatica.io.pet_raw.read import read_pet_raw
from hepatica.io.pet_raw.sinogram_files import NOTHING_BESIDE, Beside
from hepatica.workflow.sources import UNKNOWN, ImageSource, as_image

RawSource = Path | str | PetRawData
"""Raw data of a PET: hepatica's or a PETSIRD file, an Interfile sinogram, or `PetRawData`."""


@dataclass(frozen=True, slots=True, eq=False)
class PetInputs:
    """Raw data and CT of one patient, in one frame of reference."""

    raw: PetRawData
    hu: Image
    messages: tuple[Message, ...]


def read_pet(
    raw: RawSource,
    ct: ImageSource,
    *,
    scanner: Scanner | None,
    series: str | None,
    registered: bool,
    beside: Beside = NOTHING_BESIDE,
) -> PetInputs:
    """Raw data and CT; `beside` is what a sinogram does not say of itself.

    Raises
    ------
    InputError
        If the raw data are neither a path nor a value, or of another patient than the CT.
    GeometryError
        If the frames of reference differ and nobody states that they are registered.
    """
    if isinstance(raw, str | Path):
        restore(raw)
        found, notes = read_pet_raw(raw, scanner=scanner, beside=beside)
    elif isinstance(raw, PetRawData):
        if beside.stated:
            raise InputError(
                f"raw data in memory say themselves what is stated: {', '.join(f'`{name}`' for name in beside.stated)}",
                remedy="leave it out: it is for Interfile sinograms",
            )
        found, notes = raw, ()
    else:
        raise InputError(
            f"raw data are a path or hepatica.PetRawData, not {type(raw).__name__}",
            remedy="give coincidences.npz, a PETSIRD file or an Interfile sinogram",
        )
    for number, bed in enumerate(found.beds, start=1):
        if not len(bed.frame.prompts):
            raise InputError(
                f"{found.source.path}: bed {number} holds no coincidences: there is nothing to reconstruct",
                remedy="check the export, or leave the bed out",
            )
    hu = as_image(ct, role="ct", series=series)
    whose = "" if hu.context is None else hu.context.patient_id
    named = {person for person in (found.patient_id, whose) if person not in ("", UNKNOWN)}
    if len(named) > 1:
        raise InputError(
            f"{found.source.path} is of patient {found.patient_id!r}, {hu.source.path} of {whose!r}; raw data and CT "
            "must be of one patient"
        )
    frames = {frame for frame in (found.frame_of_reference, hu.grid.frame_of_reference) if frame}
    if len(frames) > 1 and not registered:
        raise GeometryError(
            f"{found.source.path} and {hu.name} have different frames of reference",
            remedy="give the CT of the same examination, or state `registered` if they lie together",
        )
    return PetInputs(found, hu, (*hu.messages, *notes))
