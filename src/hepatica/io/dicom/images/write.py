"""CT, PET and SPECT as DICOM images, for the demo and the virtual patient: what our readers read, and any other.

The images are made, not acquired: each says so in ImageComments and names hepatica as its equipment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Provenance, Volume, acquisition_decay_factor, decay_factor, seconds_between
from hepatica.core.certainty import NOT_STATED, ImageCertainty
from hepatica.core.context import DicomContext, Instance, new_uid
from hepatica.core.lung_mean import LungMean
from hepatica.core.message import Message
from hepatica.errors import TimeError, UnitError
from hepatica.imaging.spect.projections import Window
from hepatica.io.dicom import geometry
from hepatica.io.dicom.objects import (
    MANUFACTURER,
    RESEARCH_ONLY,
    code,
    frame_of_reference,
    new_object,
    provenance_text,
    references,
    save_object,
)
from hepatica.io.dicom.private import ALONG_Z, write_certainty, write_doubts, write_lung_mean, write_seen
from hepatica.io.dicom.tags import pydicom_door
from hepatica.io.files import output_folder
from hepatica.nuclides import Nuclide, nuclide
from hepatica.version import __version__

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
NM_IMAGE = "1.2.840.10008.5.1.4.1.1.20"

MADE = "Made by hepatica, not acquired."

CT_INTERCEPT = -1024
CT_HIGHEST_HU = 65535 + CT_INTERCEPT

NUCLIDE_CODES = {
    "Y-90": ("14691008", "SCT", "^90^Yttrium"),
    "Tc-99m": ("72454006", "SCT", "^99m^Technetium"),
    "I-131": ("1368003", "SCT", "^131^Iodine"),
    "Re-188": ("423578007", "SCT", "^188^Rhenium"),
    "Lu-177": ("447553000", "SCT", "^177^Lutetium"),
    "Sm-153": ("419804008", "SCT", "^153^Samarium"),
    "Re-186": ("395865006", "SCT", "^186^Rhenium"),
    "Ho-166": ("HO166", "99HEPATICA", "^166^Holmium"),
    "F-18": ("77004003", "SCT", "^18^Fluorine"),
    "Ga-68": ("35337001", "SCT", "^68^Gallium"),
    "Cu-64": ("3932008", "SCT", "^64^Copper"),
    "C-11": ("40565003", "SCT", "^11^Carbon"),
}
"""DICOM PS3.16 CID 18 and 4020; they have no code for 166Ho."""


@dataclass(frozen=True, slots=True)
class Emission:
    """How an emission image was acquired.

    Attributes
    ----------
    nuclide : str or Nuclide
        In hepatica's form ("Y-90"); one of PET alone as itself.
    start : datetime
        Start of the acquisition.
    frame_duration_s : float
        PET: of the one bed position. SPECT: of one projection.
    administered_bq, administered_at : float, datetime or None
        Activity administered, and when.
    decay_correction : {"START", "ADMIN"}
        What the PET values refer to.
    projections : int
        SPECT: angular views over 360 degrees.
    energy_window_kev : tuple of float
        SPECT: lower and upper limit.
    more_windows_kev : tuple
        SPECT: limits of further windows that the image was made of.
    agent : str
        Radiopharmaceutical in words; by default microspheres.
    corrected : tuple of str or None
        CorrectedImage; None for all corrections of an image in Bq/mL, and no word of a SPECT in counts.
    methods : mapping of str to str
        PET: how it was corrected and reconstructed, by DICOM keyword ("ScatterCorrectionMethod").
    seen_z_mm : tuple of float or None
        PET: LPS z between which its planes are seen well; written to private attributes.
    seen_along : tuple of float
        Unit vector in LPS along which they are measured.
    certainty : ImageCertainty
        How well the becquerels are known; written to private attributes.
    lung : LungMean or None
        SPECT: how well the mean of its lungs is known; written to private attributes.
    said : tuple of Message or None
        SPECT: messages of its reconstruction, of which those against the image are written to private attributes; None
        of an image that was not reconstructed.
    """

    nuclide: str | Nuclide
    start: datetime
    frame_duration_s: float
    administered_bq: float | None = None
    administered_at: datetime | None = None
    decay_correction: str = "START"
    projections: int = 120
    energy_window_kev: tuple[float, float] = (126.0, 154.0)
    more_windows_kev: tuple[tuple[float, float], ...] = ()
    agent: str = ""
    corrected: tuple[str, ...] | None = None
    methods: Mapping[str, str] = field(default_factory=dict)
    lung: LungMean | None = None
    said: tuple[Message, ...] | None = None
    seen_z_mm: tuple[float, float] | None = None
    seen_along: tuple[float, float, float] = ALONG_Z
    certainty: ImageCertainty = NOT_STATED

    @property
    def reference_time(self) -> datetime:
        """The instant that decay-corrected values refer to; TimeError if it is the administration, and unknown."""
        if self.decay_correction == "START":
            return self.start
        if self.decay_correction != "ADMIN" or self.administered_at is None:
            raise TimeError(
                f"decay correction {self.decay_correction!r}: START, or ADMIN with the time of administration"
            )
        return self.administered_at


def write_ct(folder: Path | str, hu: Volume, context: DicomContext, *, description: str = "CT") -> DicomContext:
    """Write a CT series, one file per slice.

    Parameters
    ----------
    folder : Path
        New or empty folder.
    hu : Volume
        Kind.HU; rounded to whole Hounsfield units.
    context : DicomContext
        Patient, study and frame of reference; a new series is made.
    description : str
        SeriesDescription.

    Returns
    -------
    DicomContext
        Of the series written, its instances in the order of the volume's slices.

    Raises
    ------
    UnitError
        If the values are not finite HU between -1024 and 64511.
    GeometryError
        If volume and context are in different frames of reference.
    OutputError
        If the folder holds anything, or cannot be written.
    """
    hu.require_kind(Kind.HU)
    hu.require_finite()
    low, high = float(hu.values.min()), float(hu.values.max())
    if low < CT_INTERCEPT or high > CT_HIGHEST_HU:
        raise UnitError(f"HU from {low:g} to {high:g} do not fit a CT file ({CT_INTERCEPT} to {CT_HIGHEST_HU})")

    def fill(dataset: Any, values: NDArray[Any], k: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.KVP, dataset.PatientPosition = "", ""
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = str(CT_INTERCEPT), "1", "HU"
        stored = np.rint(values - CT_INTERCEPT).astype("<u2")
        write_pixels(dataset, stored, signed=False)

    return _write_series(folder, hu, _series(context, "CT", description), CT_IMAGE, fill, hu.time)


def write_pet(
    folder: Path | str,
    activity: Volume,
    context: DicomContext,
    emission: Emission,
    *,
    description: str = "PET",
    comment: str = MADE,
    provenance: Provenance | None = None,
) -> DicomContext:
    """Write a PET series in Bq/mL, one file per slice.

    Parameters
    ----------
    folder, context, description
        As for `write_ct`.
    activity : Volume
        Kind.ACTIVITY_CONCENTRATION at the instant that `emission` refers to. Kept to 1.6e-5 of a slice's maximum.
    emission : Emission
        Nuclide, times and decay correction.
    comment, provenance
        As for `write_nm`.

    Raises
    ------
    UnitError
        If it is not a finite activity concentration.
    TimeError
        If the volume refers to another instant than the decay correction says.
    GeometryError, OutputError
        As for `write_ct`.
    """
    activity.require_kind(Kind.ACTIVITY_CONCENTRATION)
    activity.require_finite()
    if activity.time != emission.reference_time:
        raise TimeError(
            f"the activity refers to {activity.time}, decay correction {emission.decay_correction} to "
            f"{emission.reference_time}; correct it first"
        )
    half_life_s = nuclide(emission.nuclide).half_life_s
    within = acquisition_decay_factor(emission.frame_duration_s, half_life_s)
    to_reference = decay_factor(seconds_between(emission.start, emission.reference_time), half_life_s)

    def fill(dataset: Any, values: NDArray[Any], k: int) -> None:
        _fill_pet_series(dataset, emission, activity.grid.shape[2])
        dataset.ImageType = ["ORIGINAL", "PRIMARY"]
        dataset.ImageIndex = k + 1
        dataset.ActualFrameDuration = str(round(emission.frame_duration_s * 1000))
        # Time from the start at which the activity equals its mean over the frame (PS3.3 C.8.9.4.1.5).
        mean_s = -half_life_s * np.log2(within)
        dataset.FrameReferenceTime = geometry.decimal_strings([mean_s * 1000])[0]
        dataset.DecayFactor = geometry.decimal_strings([to_reference / within])[0]
        slope = geometry.decimal_strings([float(np.abs(values).max()) / 32767 or 1.0])[0]
        dataset.RescaleIntercept, dataset.RescaleSlope = "0", slope
        stored = np.clip(np.rint(values.astype(np.float64) / float(slope)), -32767, 32767)
        write_pixels(dataset, stored.astype("<i2"), signed=True)
        dataset.ImageComments = f"{comment} {RESEARCH_ONLY}"
        if emission.seen_z_mm is not None:
            write_seen(dataset, emission.seen_z_mm, emission.seen_along)
        write_certainty(dataset, emission.certainty)
        if provenance is not None:
            _fill_provenance(dataset, provenance, context, comment)

    return _write_series(folder, activity, _series(context, "PT", description), PET_IMAGE, fill, emission.start)


def write_nm(
    path: Path | str,
    volume: Volume,
    context: DicomContext,
    emission: Emission,
    *,
    description: str = "SPECT",
    comment: str = MADE,
    provenance: Provenance | None = None,
) -> DicomContext:
    """Write a reconstructed SPECT volume (NM RECON TOMO), one file.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    volume : Volume
        Kind.COUNTS, or Kind.ACTIVITY_CONCENTRATION (written with a real-world value mapping to Bq/mL). Whole counts up
        to 65535 are exact, others are kept to 7.6e-6 of the maximum by a rescale slope.
    context, emission, description
        As for `write_pet`.
    comment : str
        What ImageComments says of its origin.
    provenance : Provenance, optional
        How the image came about: written to DerivationDescription (what fits), ImageComments (all of it) and
        ContributingEquipmentSequence, with the instances of `context` as its sources.

    Raises
    ------
    UnitError
        If the values are of another kind, negative or not finite.
    TimeError
        If the volume refers to another instant than the start of the acquisition.
    GeometryError
        If volume and context are in different frames of reference.
    OutputError
        If the file cannot be written.
    """
    volume.require_kind(Kind.COUNTS, Kind.ACTIVITY_CONCENTRATION)
    volume.require_finite()
    if float(volume.values.min()) < 0:
        raise UnitError(f"{volume.name or 'SPECT'}: {int((volume.values < 0).sum())} voxels are negative")
    if volume.time not in (None, emission.start):
        raise TimeError(f"the SPECT refers to {volume.time}, not to the start of its acquisition, {emission.start}")
    new = _series(context, "NM", description)
    frame = frame_of_reference(volume.grid, new)
    with pydicom_door(Path(path), "cannot be written as DICOM"):
        dataset = _image(new, NM_IMAGE, frame, emission.start)
        dataset.SOPInstanceUID = new_uid()
        dataset.InstanceNumber = 1
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
        dataset.ImageComments = f"{comment} {RESEARCH_ONLY}"
        geometry.write_nuclear_planes(dataset, volume.grid.with_frame_of_reference(frame))
        _fill_nm(dataset, emission, volume)
        if emission.lung is not None:
            write_lung_mean(dataset, emission.lung)
        if emission.said is not None:
            write_doubts(dataset, emission.said)
        write_certainty(dataset, emission.certainty)
        if provenance is not None:
            _fill_provenance(dataset, provenance, context, comment)
    save_object(dataset, path)
    instance = Instance(NM_IMAGE, dataset.SOPInstanceUID, Path(path), volume.grid.shape[2])
    return replace(new, frame_of_reference=frame, instances=(instance,))


# ---------------------------------------------------------------------------------------------------------------------


def _series(context: DicomContext, modality: str, description: str) -> DicomContext:
    return context.with_new_series(modality=modality, description=description)


def _image(context: DicomContext, sop_class_uid: str, frame: str, start: datetime | None) -> Any:
    """Data set with everything that all images of the series share."""
    dataset = new_object(context, sop_class_uid, context.modality, description=context.series_description)
    dataset.SeriesInstanceUID = context.series_uid
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = frame, ""
    dataset.BodyPartExamined = "ABDOMEN"
    dataset.AcquisitionNumber = 1
    dataset.ImageComments = f"{MADE} {RESEARCH_ONLY}"
    if start is not None:
        day, clock = start.strftime("%Y%m%d"), start.strftime("%H%M%S.%f")
        dataset.SeriesDate, dataset.SeriesTime = day, clock
        dataset.AcquisitionDate, dataset.AcquisitionTime = day, clock
        dataset.ContentDate, dataset.ContentTime = day, clock
    return dataset


def _write_series(
    folder: Path | str,
    volume: Volume,
    context: DicomContext,
    sop_class_uid: str,
    fill: Callable[[Any, NDArray[Any], int], None],
    start: datetime | None = None,
) -> DicomContext:
    """One file per slice; `fill(dataset, values, k)` adds what is particular, values of shape (columns, rows)."""
    frame = frame_of_reference(volume.grid, context)
    grid, turned = geometry.right_handed(volume.grid.with_frame_of_reference(frame))
    values = volume.values[:, :, ::-1] if turned else volume.values
    folder = Path(folder)
    instances = []
    with output_folder(folder, listed=False) as new:
        for k in range(grid.shape[2]):
            with pydicom_door(folder, "cannot be written as DICOM"):
                dataset = _image(context, sop_class_uid, frame, start)
                dataset.SOPInstanceUID = new_uid()
                dataset.InstanceNumber = k + 1
                geometry.write_plane(dataset, grid, k)
                fill(dataset, values[:, :, k], k)
            name = f"{context.modality}_{k + 1:04d}.dcm"
            save_object(dataset, new / name)
            instances.append(Instance(sop_class_uid, dataset.SOPInstanceUID, folder / name))
    ordered: Sequence[Instance] = instances[::-1] if turned else instances
    return replace(context, frame_of_reference=frame, instances=tuple(ordered))


def write_pixels(dataset: Any, stored: NDArray[Any], *, signed: bool) -> None:
    """Pixels of one slice (columns, rows), or of all (columns, rows, slices)."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(signed)
    dataset.PixelData = np.ascontiguousarray(stored.T).tobytes()
    dataset["PixelData"].VR = "OW"


def write_counts(dataset: Any, values: NDArray[Any], *, most: int) -> None:
    """Write counts (columns, rows, frames) as they are where they are whole and at most `most`, else by a slope."""
    largest = float(values.max())
    whole = largest <= most and bool((values == np.rint(values)).all())
    slope = geometry.decimal_strings([1.0 if whole or not largest else largest / most])[0]
    stored = np.minimum(np.rint(values.astype(np.float64) / float(slope)), most).astype("<u2")
    write_pixels(dataset, stored, signed=False)
    dataset.CountsAccumulated = min(int(stored.sum(dtype=np.int64)), 2**31 - 1)
    if not whole:
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, "0"


def energy_windows(windows: Sequence[Window]) -> list[Any]:
    """Items of EnergyWindowInformationSequence, each with one range."""
    from pydicom.dataset import Dataset

    found = []
    for window in windows:
        item, limits = Dataset(), Dataset()
        limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = geometry.decimal_strings(
            [window.low_kev, window.high_kev]
        )
        item.EnergyWindowRangeSequence = [limits]
        if window.name:
            item.EnergyWindowName = window.name[:16]
        found.append(item)
    return found


def parallel_head(camera: str) -> Any:
    """An item of DetectorInformationSequence with parallel holes, and the camera's name where it fits (SH)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CollimatorType, item.FocalDistance = "PARA", "0"
    item.XFocusCenter = item.YFocusCenter = "0"
    if camera and len(camera) <= 16:
        item.CollimatorGridName = camera
    return item


def _fill_pet_series(dataset: Any, emission: Emission, slices: int) -> None:
    dataset.SeriesType = ["STATIC", "IMAGE"]
    dataset.Units, dataset.CountsSource = "BQML", "EMISSION"
    dataset.CollimatorType = "NONE"
    dataset.CorrectedImage = ["DECY", "ATTN", "SCAT", "RAN", "NORM"]
    if emission.corrected is not None:
        dataset.CorrectedImage = list(emission.corrected)
    dataset.RandomsCorrectionMethod = "SING" if "RAN" in dataset.CorrectedImage else "NONE"
    for keyword, text in emission.methods.items():
        setattr(dataset, keyword, text[:64])
    dataset.DecayCorrection = emission.decay_correction
    dataset.NumberOfSlices = slices
    dataset.RadiopharmaceuticalInformationSequence = [agent_item(emission, in_mbq=False)]
    dataset.PatientOrientationCodeSequence, dataset.PatientGantryRelationshipCodeSequence = [], []


def _fill_nm(dataset: Any, emission: Emission, volume: Volume) -> None:
    from pydicom.dataset import Dataset
    from pydicom.tag import Tag

    slices = volume.grid.shape[2]
    dataset.FrameIncrementPointer = Tag("SliceVector")
    dataset.SliceVector = list(range(1, slices + 1))
    dataset.NumberOfEnergyWindows = dataset.NumberOfDetectors = dataset.NumberOfRotations = 1
    dataset.PatientOrientationCodeSequence, dataset.PatientGantryRelationshipCodeSequence = [], []
    window = Dataset()
    window.EnergyWindowRangeSequence = []
    for low, high in (emission.energy_window_kev, *emission.more_windows_kev):
        limits = Dataset()
        limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = geometry.decimal_strings([low, high])
        window.EnergyWindowRangeSequence.append(limits)
    dataset.EnergyWindowInformationSequence = [window]
    dataset.RadiopharmaceuticalInformationSequence = [agent_item(emission, in_mbq=True)]
    detector = dataset.DetectorInformationSequence[0]
    detector.CollimatorType, detector.FocalDistance = "PARA", "0"
    detector.XFocusCenter = detector.YFocusCenter = "0"
    rotation = Dataset()
    rotation.StartAngle, rotation.ScanArc, rotation.RotationDirection = "0", "360", "CW"
    rotation.AngularStep = geometry.decimal_strings([360.0 / emission.projections])[0]
    rotation.NumberOfFramesInRotation = emission.projections
    rotation.ActualFrameDuration = str(round(emission.frame_duration_s * 1000))
    dataset.RotationInformationSequence = [rotation]
    values = volume.values.astype(np.float64)
    largest = float(values.max())
    whole = volume.kind is Kind.COUNTS and largest <= 65535 and bool((values == np.rint(values)).all())
    slope = geometry.decimal_strings([1.0 if whole or not largest else largest / 65535])[0]
    stored = np.minimum(np.rint(values / float(slope)), 65535).astype("<u2")
    write_pixels(dataset, stored, signed=False)
    dataset.CountsAccumulated = min(int(stored.sum(dtype=np.int64)), 2**31 - 1)
    if emission.corrected is not None:
        dataset.CorrectedImage = list(emission.corrected)
    elif volume.kind is Kind.ACTIVITY_CONCENTRATION:
        dataset.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    if volume.kind is Kind.ACTIVITY_CONCENTRATION:
        mapping = Dataset()
        mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, 65535
        mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = float(slope), 0.0
        mapping.LUTExplanation, mapping.LUTLabel = "Activity concentration", "BQML"
        mapping.MeasurementUnitsCodeSequence = [code("Bq/ml", "UCUM", "Becquerels/milliliter")]
        dataset.RealWorldValueMappingSequence = [mapping]
    elif not whole:
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, "0"


def _fill_provenance(dataset: Any, provenance: Provenance, context: DicomContext, comment: str) -> None:
    """What a reconstructed NM image may say of its making (PS3.3 C.7.6.1, C.12.1)."""
    from pydicom.dataset import Dataset

    dataset.DerivationDescription = provenance_text(provenance, 1024)
    dataset.ImageComments = f"{comment} {provenance_text(provenance, 10000)}"
    if context.instances:
        dataset.SourceImageSequence = references(context.instances)
        for item in dataset.SourceImageSequence:
            purpose = code("121322", "DCM", "Source image for image processing operation")
            item.PurposeOfReferenceCodeSequence = [purpose]
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [code("109102", "DCM", "Processing Equipment")]
    equipment.Manufacturer, equipment.ManufacturerModelName = MANUFACTURER, MANUFACTURER
    equipment.SoftwareVersions = __version__
    equipment.ContributionDescription = "; ".join(provenance.steps)[:1024]
    dataset.ContributingEquipmentSequence = [equipment]


def agent_item(emission: Emission, *, in_mbq: bool) -> Any:
    """Item of RadiopharmaceuticalInformationSequence; the activity is in Bq in PET, in MBq in NM (PS3.3)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    found = nuclide(emission.nuclide)
    item.RadionuclideCodeSequence = [code(*NUCLIDE_CODES[found.name])]
    item.Radiopharmaceutical = emission.agent or f"{found.name} microspheres"
    item.RadiopharmaceuticalRoute = "Intra-arterial"
    if not in_mbq:
        item.RadionuclideHalfLife = geometry.decimal_strings([found.half_life_s])[0]
        if found.positron_yield:
            item.RadionuclidePositronFraction = geometry.decimal_strings([found.positron_yield])[0]
    if emission.administered_bq is not None:
        total = emission.administered_bq / 1e6 if in_mbq else emission.administered_bq
        item.RadionuclideTotalDose = geometry.decimal_strings([total])[0]
    if emission.administered_at is not None:
        item.RadiopharmaceuticalStartTime = emission.administered_at.strftime("%H%M%S.%f")
        item.RadiopharmaceuticalStartDateTime = emission.administered_at.strftime("%Y%m%d%H%M%S.%f%z")
    return item
