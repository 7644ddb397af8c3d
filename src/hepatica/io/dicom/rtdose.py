"""Absorbed dose as DICOM RT Dose (PS3.3 C.8.8.3), written and read.

DoseSummationType must be one of a list, and each value asks for its own reference: PLAN and its kin for an RT Plan,
RECORD for a treatment record. A radioembolization dose computed from an image has neither. PLAN_OVERVIEW asks for a
Plan Overview Sequence inside the object, which says what was planned and names the structure set: that is what exists,
so that is what is written. (dciodvfy of Debian 12 does not know the term and warns; PLAN without an RT Plan is an
error to it.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Provenance, Volume
from hepatica.core.context import DicomContext, Instance
from hepatica.core.message import Message
from hepatica.errors import DicomError, UnitError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.objects import (
    code,
    frame_of_reference,
    new_object,
    open_object,
    provenance_text,
    references,
    save_object,
)
from hepatica.io.dicom.pixels import stored_values
from hepatica.io.dicom.tags import Header, pydicom_door

RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"

MAX_DOSE_GY = 1e6
"""Largest absorbed dose of a voxel. A tumour voxel at a cluster of microspheres reaches some 1e4 Gy."""

MIN_LARGEST_DOSE_GY = 1e-9
"""A dose whose largest voxel has less was scaled wrongly: a day of natural background is a thousand times more."""

PLAIN = "Absorbed dose by hepatica; research use only, no medical device"

REMARKED = "hepatica, research use only; "
ZERO_BELOW = "by hepatica, research use only; negative voxels are ZERO here"
CLIPPED = "Absorbed dose, zero below 0"
"""DoseComment of a dose whose voxels below zero were written as zero."""

HETEROGENEITY = ("IMAGE", "ROI_OVERRIDE", "WATER")
"""TissueHeterogeneityCorrection: densities from the image, stated for regions, or water everywhere."""


@dataclass(frozen=True, slots=True, eq=False)
class RtDose:
    """A dose read from RT Dose.

    Attributes
    ----------
    volume : Volume
        Kind.DOSE in Gy.
    context : DicomContext
        Patient, study and series of the file.
    summation : str
        DoseSummationType.
    heterogeneity : tuple of str
        TissueHeterogeneityCorrection; empty where not stated.
    comment : str
        DoseComment.
    structure_set_uid : str
        SOP Instance UID of the structure set referred to; empty where none is.
    messages : tuple of Message
        What a reader of the dose must know.
    """

    volume: Volume
    context: DicomContext
    summation: str
    heterogeneity: tuple[str, ...] = ()
    comment: str = ""
    structure_set_uid: str = ""
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class DoseText:
    """What an RT Dose says about itself beside its voxels.

    Attributes
    ----------
    label : str
        Short name of the treatment ("Y-90 kernel"), at most 16 characters.
    heterogeneity : str
        How tissue density entered: one of `HETEROGENEITY`.
    structure_set : Instance or None
        The structure set that the dose was evaluated with.
    provenance : Provenance or None
        Written as JSON into ImageComments.
    zero_below : bool
        Whether voxels below zero, noise of an unbiased image, are written as zero; the object then says so.
    remark : str
        What a reader of the voxels must know, in DoseComment; at most 35 characters.
    """

    label: str = "TARE"
    heterogeneity: str = "IMAGE"
    structure_set: Instance | None = None
    provenance: Provenance | None = None
    zero_below: bool = False
    remark: str = ""


def write_rtdose(
    path: Path | str, dose: Volume, context: DicomContext, *, text: DoseText | None = None, bits: int = 16
) -> Instance:
    """Write a dose.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    dose : Volume
        Kind.DOSE in Gy, on any grid (a left-handed one is turned round).
    context : DicomContext
        Of the CT or the image that the dose belongs to: same patient, study and frame of reference; its instances are
        referred to.
    text : DoseText, optional
        Label, heterogeneity, structure set, provenance.
    bits : {16, 32}
        Of a stored value. The largest error by rounding is 7.6e-6 (16) or 1.2e-10 (32) of the largest dose.

    Returns
    -------
    Instance
        Class and UID of the object written.

    Raises
    ------
    UnitError
        If it is no dose, or a voxel is NaN, infinite, or negative where `text` does not let it be zero.
    GeometryError
        If the dose and the context are in different frames of reference.
    OutputError
        If the file cannot be written.
    """
    text = text or DoseText()
    below = text.zero_below and float(dose.values.min()) < 0
    dose = dose.with_values(np.maximum(dose.values, 0)) if below else dose
    _require_writable(dose, text, bits)
    grid, turned = geometry.right_handed(dose.grid)
    values = dose.values[:, :, ::-1] if turned else dose.values
    stored, scaling = _scaled(values, bits)
    with pydicom_door(Path(path), "cannot be written as DICOM"):
        dataset = new_object(context, RT_DOSE, "RTDOSE", description=CLIPPED if below else "Absorbed dose")
        dataset.FrameOfReferenceUID = frame_of_reference(grid, context)
        dataset.PositionReferenceIndicator = ""
        dataset.OperatorsName = ""
        geometry.write_dose_planes(dataset, grid.with_frame_of_reference(dataset.FrameOfReferenceUID))
        _write_pixels(dataset, stored, bits)
        dataset.DoseUnits, dataset.DoseType = "GY", "PHYSICAL"
        dataset.DoseSummationType = "PLAN_OVERVIEW"
        dataset.PlanOverviewSequence = [_plan_overview(context, text)]
        dataset.DoseGridScaling = scaling
        dataset.DoseComment = f"{REMARKED}{text.remark}" if text.remark else ZERO_BELOW if below else PLAIN
        dataset.TissueHeterogeneityCorrection = text.heterogeneity
        if context.instances:
            dataset.ReferencedImageSequence = references(context.instances)
        dataset.ImageComments = provenance_text(text.provenance, 10240)
    save_object(dataset, path)
    return Instance(RT_DOSE, dataset.SOPInstanceUID, Path(path), grid.shape[2])


def read_rtdose(path: Path | str) -> RtDose:
    """Read the dose of an RT Dose object.

    Raises
    ------
    DicomError
        If it is no RT Dose, or geometry, scaling or pixel data are missing, damaged or contradictory.
    UnitError
        If it is not an absorbed dose in Gy (a relative, biologically effective or difference dose), is negative, or is
        scaled to what is no dose.
    """
    header = open_object(path, (RT_DOSE,), "an RT Dose (RTDOSE)")
    units, dose_type = header.text("DoseUnits"), header.text("DoseType")
    if units != "GY":
        raise UnitError(f"{path}: DoseUnits: {units or 'not stated'}; an absorbed dose in GY is needed")
    if dose_type != "PHYSICAL":
        raise UnitError(f"{path}: DoseType: {dose_type or 'not stated'}; a PHYSICAL (absorbed) dose is needed")
    if "Rows" not in header:
        raise header.error("Rows", "is missing: the object holds no dose grid (only histograms or points)")
    scaling = header.required_number("DoseGridScaling")
    if not scaling > 0:
        raise header.error("DoseGridScaling", f"must be positive, not {scaling:g}")
    stack = geometry.dose_stack(header, frame_of_reference=header.text("FrameOfReferenceUID") or None)
    stored = stored_values(header)
    if len(stored) != len(stack.slice_of):
        raise header.error("NumberOfFrames", f"{len(stored)} frames of pixels for {len(stack.slice_of)} positions")
    if int(stored.min()) < 0:
        raise UnitError(f"{path}: PixelData: holds negative doses (a dose difference?); they are not read as a dose")
    largest = int(stored.max()) * scaling
    if largest > MAX_DOSE_GY or 0 < largest < MIN_LARGEST_DOSE_GY or (largest == 0 and stored.any()):
        raise UnitError(
            f"{path}: DoseGridScaling: {scaling:g} gives a largest dose of {largest:.3g} Gy, which no treatment has"
        )
    # float32 keeps 7 digits: enough for 16 bits, not for 32.
    precision = np.float64 if stored.dtype.itemsize > 2 else np.float32
    values = (stored[list(stack.order)] * np.float64(scaling)).astype(precision)
    volume = Volume(stack.grid, values.transpose(2, 1, 0), Kind.DOSE, name=header.text("SeriesDescription") or "RTDOSE")
    notes = list(stack.messages)
    if (transform := header.text("SpatialTransformOfDose")) not in ("", "NONE"):
        text = f"{path}: SpatialTransformOfDose: {transform}: the dose was moved by a registration"
        notes.append(Message("dose-was-moved", text))
    if header.text("DoseComment") == ZERO_BELOW or header.text("SeriesDescription") == CLIPPED:
        notes.append(below_zero_lost(str(path)))
    return RtDose(
        volume,
        context_of([header]),
        header.text("DoseSummationType"),
        header.texts("TissueHeterogeneityCorrection"),
        header.text("DoseComment"),
        _structure_set(header),
        (*notes, *header.messages()),
    )


def below_zero_lost(name: str) -> Message:
    """What is said of a dose whose voxels below zero were made zero."""
    text = (
        f"{name}: voxels below zero, noise of the activity image, were written as zero, which RT Dose asks for: means "
        "of structures read from it are too high, those of little dose many times"
    )
    return Message("dose-zero-below", text, "give the folder of *dose*, or its dose.nii.gz, which keep them")


def _require_writable(dose: Volume, text: DoseText, bits: int) -> None:
    dose.require_kind(Kind.DOSE)
    dose.require_finite()
    if float(dose.values.min()) < 0:
        raise UnitError(f"{dose.name or 'dose'}: {int((dose.values < 0).sum())} voxels are negative; a dose is not")
    if bits not in (16, 32):
        raise DicomError(f"an RT Dose holds 16 or 32 bits, not {bits}", tag="BitsAllocated")
    if text.heterogeneity not in HETEROGENEITY:
        raise DicomError(
            f"{text.heterogeneity!r} is not one of {', '.join(HETEROGENEITY)}", tag="TissueHeterogeneityCorrection"
        )


def _scaled(values: NDArray[Any], bits: int) -> tuple[NDArray[Any], Any]:
    """Stored integers and the scaling (as written, 16 characters) that turns them to Gy."""
    top = 2**bits - 1
    largest = float(values.max())
    scaling = geometry.decimal_strings([largest / top if largest else 1.0])[0]
    # Computed with the scaling as written, so that its own rounding does not add up.
    stored = np.rint(values.astype(np.float64) / float(scaling))
    return np.minimum(stored, top).astype(f"<u{bits // 8}"), scaling


def _write_pixels(dataset: Any, stored: NDArray[Any], bits: int) -> None:
    from pydicom.tag import Tag

    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    dataset.FrameIncrementPointer = Tag("GridFrameOffsetVector")
    dataset.PixelData = np.ascontiguousarray(stored.transpose(2, 1, 0)).tobytes()
    dataset["PixelData"].VR = "OW"


def _plan_overview(context: DicomContext, text: DoseText) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.PlanOverviewIndex = 1
    item.RTPlanLabel = text.label[:16]
    item.NumberOfFractionsIncluded = 1
    item.TreatmentSite = "Liver"
    item.TreatmentSiteCodeSequence = [code("10200004", "SCT", "Liver")]
    item.PrescriptionOverviewSequence = []
    if text.structure_set is not None:
        item.ReferencedStructureSetSequence = references([text.structure_set])
    elif context.instances:
        item.ReferencedImageSequence = references(context.instances)
    return item


def _structure_set(header: Header) -> str:
    for place in (header, *header.items("PlanOverviewSequence")):
        if (referred := place.item("ReferencedStructureSetSequence")) is not None:
            return referred.text("ReferencedSOPInstanceUID")
    return ""
