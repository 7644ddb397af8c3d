"""What a reconstruction is given: projections and CT, from files or as values, of one patient and one nuclide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hepatica.core import InputFile
from hepatica.core.context import DicomContext
from hepatica.core.image import Image
from hepatica.core.message import Message, unique
from hepatica.core.options.stated import require_unstated
from hepatica.errors import InputError, TimeError
from hepatica.imaging.spect.options import AcquisitionOptions, SpectInputOptions
from hepatica.imaging.spect.projections import Projections
from hepatica.nuclides import Nuclide, nuclide
from hepatica.workflow.sources import ImageSource, as_image

ProjectionSource = Path | str | Projections
"""Projections: an NM TOMO file or folder, or `Projections`."""


@dataclass(frozen=True, slots=True, eq=False)
class SpectInputs:
    """Projections and CT of one patient.

    Attributes
    ----------
    projections : Projections
        Counts of all windows.
    hu : Image or None
        CT; None where there is none.
    nuclide : Nuclide
        What emits.
    context : DicomContext or None
        Whose they are, where that is known.
    sources : tuple of InputFile
        Projections and CT, for the provenance.
    messages : tuple of Message
        What was assumed or looks wrong.
    """

    projections: Projections
    hu: Image | None
    nuclide: Nuclide
    context: DicomContext | None
    sources: tuple[InputFile, ...]
    messages: tuple[Message, ...]


def read_spect(
    projections: ProjectionSource,
    ct: ImageSource | None,
    stated: AcquisitionOptions,
    inputs: SpectInputOptions = SpectInputOptions(),
) -> SpectInputs:
    """Projections and CT.

    Raises
    ------
    InputError
        If one is neither a path nor a value, the patients differ, or the nuclide is not known or another one.
    TimeError
        If the projections have no instant.
    """
    if isinstance(projections, Projections):
        require_unstated(inputs, why="only of projections in a folder", only=("series",))
        hu = _ct(ct, inputs)
        source = projections.source
        chosen, notes = _nuclide_of(projections, stated.nuclide, inputs, source.path)
        if hu is None:
            return SpectInputs(projections, None, chosen, None, (source,), notes)
        return SpectInputs(projections, hu, chosen, hu.context, (source, hu.source), unique(hu.messages, notes))
    if not isinstance(projections, str | Path):
        raise InputError(
            f"projections are a path or hepatica.Projections, not {type(projections).__name__}",
            remedy="give the NM TOMO file, or Projections of an array of counts",
        )
    from hepatica.io.dicom.images.projections import read_projections

    file = read_projections(projections, series=inputs.series, radius_mm=stated.radius_mm, sum_gates=stated.sum_gates)
    hu = _ct(ct, inputs)
    if (
        hu is not None
        and hu.context is not None
        and file.context is not None
        and file.context.patient_id != hu.context.patient_id
    ):
        raise InputError(
            f"{file.source.path} is of patient {file.context.patient_id!r}, {hu.source.path} of "
            f"{hu.context.patient_id!r}; projections and CT must be of one patient"
        )
    if file.projections.start is None:
        raise TimeError(
            f"{file.source.path}: AcquisitionDate and AcquisitionTime are missing: the image would have no instant"
        )
    chosen, notes = _nuclide_of(file.projections, stated.nuclide, inputs, file.source.path)
    messages = unique(file.messages, () if hu is None else hu.messages, notes)
    sources = (file.source,) if hu is None else (file.source, hu.source)
    return SpectInputs(file.projections, hu, chosen, file.context, sources, messages)


def _ct(ct: ImageSource | None, inputs: SpectInputOptions) -> Image | None:
    if ct is not None:
        return as_image(ct, role="ct", series=inputs.ct_series)
    if inputs.ct_series is not None:
        raise InputError("`ct_series` is of a CT; there is none", remedy="leave it out")
    return None


def _nuclide_of(
    projections: Projections, stated: str | None, inputs: SpectInputOptions, where: str
) -> tuple[Nuclide, tuple[Message, ...]]:
    """What emits, and that the header's nuclide is overridden, where it is."""
    wanted, found = stated, projections.nuclide
    if wanted is None and found is None:
        raise InputError(f"{where}: names no nuclide; state it", remedy="state `nuclide`")
    chosen = nuclide(wanted or found or "")
    if found in (None, chosen.name):
        return chosen, ()
    if not inputs.accept_nuclide:
        raise InputError(
            f"{where}: the header says {found}, asked for is {chosen.name}",
            remedy="use the right projections, or state `accept_nuclide` if the header is wrong",
        )
    text = f"the header's {found} is overridden by {chosen.name}"
    return chosen, (Message("nuclide-overridden", text),)
