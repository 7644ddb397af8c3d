"""An image as read: the volume, whose it is, how it was acquired, and what was assumed or is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hepatica.core import Grid, InputFile, Kind, Volume
from hepatica.core.message import Message
from hepatica.errors import DicomError
from hepatica.io.dicom.context import DicomContext


@dataclass(frozen=True, slots=True)
class Stated:
    """What the user states about a file, where it does not say or is wrong.

    Attributes
    ----------
    unit : str or None
        What a voxel of a NIfTI or MetaImage holds ("HU", "Bq/mL", "MBq h", "counts", "label", ...).
    time : datetime or None
        Instant the values refer to. For DICOM it takes the place of the file's, with a warning.
    nuclide : str or None
        The nuclide that was really in the patient; a DICOM header that names another one is an error.
    override_nuclide : bool
        Accept a header that names another nuclide: the scanner's decay correction and positron fraction are then
        replaced by those of `nuclide`, with a warning.
    slice_spacing_mm : float or None
        Distance between slices of an NM volume that states none; negative to stack against row x column.
    """

    unit: str | None = None
    time: datetime | None = None
    nuclide: str | None = None
    override_nuclide: bool = False
    slice_spacing_mm: float | None = None


NOTHING_STATED = Stated()


@dataclass(frozen=True, slots=True)
class Acquisition:
    """How an image came about, as far as its file says; None or empty where it does not.

    Attributes
    ----------
    modality, description, scanner : str
        "PT"; series description; manufacturer and model.
    unit_in_file : str
        Unit as the file writes it ("BQML").
    nuclide : str or None
        In hepatica's form ("Y-90").
    half_life_s : float or None
        As the file states it; what the scanner corrected with.
    positron_fraction : float or None
        Positrons per decay as the file states it; what the scanner divided by.
    radiopharmaceutical : str
        As the file writes it.
    decay_correction : str
        "START", "ADMIN" or "NONE" as the file says; empty where it does not.
    time_rule : str
        How the instant that the values refer to was found, one sentence.
    start : datetime or None
        Start of the acquisition (the earliest of all slices).
    frame_duration_s : float or None
        PET: duration of a bed position. NM: of a projection or a planar image.
    projections : int or None
        NM tomography: number of angular views.
    energy_windows_kev : tuple of (float, float)
        NM: lower and upper limits.
    administered_bq : float or None
        Activity administered.
    administered_at : datetime or None
        When.
    weight_kg : float or None
        Of the patient.
    """

    modality: str = ""
    description: str = ""
    scanner: str = ""
    unit_in_file: str = ""
    nuclide: str | None = None
    half_life_s: float | None = None
    positron_fraction: float | None = None
    radiopharmaceutical: str = ""
    decay_correction: str = ""
    time_rule: str = ""
    start: datetime | None = None
    frame_duration_s: float | None = None
    projections: int | None = None
    energy_windows_kev: tuple[tuple[float, float], ...] = ()
    administered_bq: float | None = None
    administered_at: datetime | None = None
    weight_kg: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A volume and where it comes from.

    Attributes
    ----------
    volume : Volume
        Values with grid, kind (unit) and the instant they refer to.
    context : DicomContext or None
        Patient, study and instances; None for NIfTI and MetaImage.
    acquisition : Acquisition
        How it was acquired.
    source : InputFile
        Files and their hash, for the provenance.
    warnings : tuple of str
        What was assumed or looks wrong.
    missing : tuple of str
        What absorbed dose needs and the image does not say.
    """

    volume: Volume
    context: DicomContext | None
    acquisition: Acquisition
    source: InputFile
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def grid(self) -> Grid:
        """Grid of the volume."""
        return self.volume.grid

    @property
    def messages(self) -> tuple[Message, ...]:
        """What was assumed or looks wrong."""
        return tuple(Message("image", warning) for warning in self.warnings)

    def require_nuclide(self, name: str) -> None:
        """Raise DicomError if the header names another nuclide than `name` ("Y-90").

        A header that names none passes: the nuclide is then what the user says.
        """
        if self.acquisition.nuclide not in (None, name):
            raise other_nuclide(self.acquisition.nuclide or "", name, self.source.path)

    def with_warning(self, *warnings: str) -> Image:
        """Same image with more warnings."""
        return replace(self, warnings=self.warnings + warnings)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return facts_as_dict(self.acquisition) | {
            "kind": self.volume.kind.name.lower(),
            "unit": self.volume.kind.unit,
            "time": iso(self.volume.time),
            "grid": self.grid.as_dict(),
            "warnings": list(self.warnings),
            "missing": list(self.missing),
        }

    def __repr__(self) -> str:
        return f"<Image {self.acquisition.modality} {self.volume!r}>"


def other_nuclide(found: str, wanted: str, where: str) -> DicomError:
    """The error for a header that names another nuclide than the one asked for."""
    return DicomError(
        f"{where}: the header says {found}, asked for is {wanted}; use the right image, or state that the header is "
        f"wrong (--accept-nuclide): decay correction and positron fraction are then replaced by those of {wanted}"
    )


def facts_as_dict(facts: Acquisition) -> dict[str, Any]:
    """Plain values for JSON, units in the keys."""
    return {
        "modality": facts.modality,
        "description": facts.description,
        "scanner": facts.scanner,
        "unit_in_file": facts.unit_in_file,
        "nuclide": facts.nuclide,
        "half_life_s": facts.half_life_s,
        "positron_fraction": facts.positron_fraction,
        "radiopharmaceutical": facts.radiopharmaceutical,
        "decay_correction": facts.decay_correction or None,
        "time_rule": facts.time_rule or None,
        "acquisition_start": iso(facts.start),
        "frame_duration_s": facts.frame_duration_s,
        "projections": facts.projections,
        "energy_windows_kev": [list(window) for window in facts.energy_windows_kev],
        "administered_mbq": None if facts.administered_bq is None else facts.administered_bq / 1e6,
        "administered_at": iso(facts.administered_at),
        "weight_kg": facts.weight_kg,
    }


def iso(when: datetime | None) -> str | None:
    """ISO 8601 text of an instant; None stays None."""
    return None if when is None else when.isoformat()


def is_activity(kind: Kind) -> bool:
    """Whether a kind can become absorbed dose by calibration or integration."""
    return kind in (Kind.COUNTS, Kind.COUNT_RATE, Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION, Kind.DECAYS)
