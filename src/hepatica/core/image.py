"""An image: a volume with its unit and instant, how it was acquired, whose it is, and what was assumed or is missing.

A file is optional: readers make an `Image` of one (`hepatica.read_image`), `Image.from_array` makes one of an array.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from itertools import combinations
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.certainty import NOT_STATED, ImageCertainty
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN, reported
from hepatica.core.grid import Grid
from hepatica.core.lung_mean import LungMean
from hepatica.core.message import Message
from hepatica.core.options.declare import require_known
from hepatica.core.options.values import maker, value_class
from hepatica.core.privacy.identity import withheld
from hepatica.core.provenance import InputFile
from hepatica.core.tables.table import Table
from hepatica.core.volume import Kind, Volume, voxel_unit, whole_labels
from hepatica.errors import DicomError, GeometryError, InputError, TimeError, UnitError


@value_class
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
    administered_at : datetime or None
        Start of the administration; it takes the place of the file's, whose day may be missing.
    """

    unit: str | None = None
    time: datetime | None = None
    nuclide: str | None = None
    override_nuclide: bool = False
    slice_spacing_mm: float | None = None
    administered_at: datetime | None = None


NOTHING_STATED = Stated()

NUCLIDE_MISSING = "which nuclide it is"
TIME_MISSING = "the instant that the values refer to"


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
        In hepatica's form ("Y-90"); that of the user where another one was overridden.
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
    contrast_agent : str
        CT: contrast agent as the file names it; empty where it names none.
    head_time_s : float or None
        Of a SPECT that hepatica reconstructed: time of all views of all heads added up.
    camera : str
        Of that SPECT: camera with its collimator, by name.
    reconstruction : mapping
        Of that SPECT: the settings on which camera factor and recovery depend, plain values.
    lung : LungMean or None
        Of that SPECT: how well the mean of its lungs is known; None where every voxel was found by itself.
    below_zero : bool
        PET: whether its reconstruction lets voxels go below zero (NEGML, AML, ABML, WLS), as the file says.
    seen_z_mm : tuple of float or None
        PET that hepatica reconstructed: LPS z between which its planes are seen well; None where that is not known.
    seen_along : tuple of float
        Unit vector in LPS along which `seen_z_mm` are measured: z of an image that nobody turned.
    certainty : ImageCertainty
        How well its becquerels are known, of an image that hepatica made; of others nothing is known.
    """

    modality: str = ""
    description: str = field(default="", metadata=withheld())
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
    contrast_agent: str = ""
    head_time_s: float | None = field(default=None, metadata=HIDDEN)
    camera: str = field(default="", metadata=HIDDEN)
    reconstruction: Mapping[str, object] = field(default_factory=dict, metadata=HIDDEN)
    lung: LungMean | None = field(default=None, metadata=HIDDEN)
    below_zero: bool = field(default=False, metadata=HIDDEN)
    seen_z_mm: tuple[float, float] | None = field(default=None, metadata=HIDDEN)
    seen_along: tuple[float, float, float] = field(default=(0.0, 0.0, 1.0), metadata=HIDDEN)
    certainty: ImageCertainty = field(default=NOT_STATED, metadata=HIDDEN)


class AcquisitionFacts(TypedDict, total=False):
    """Fields of `Acquisition` that `Image.from_array` takes by name."""

    modality: str
    description: str
    scanner: str
    half_life_s: float
    positron_fraction: float
    radiopharmaceutical: str
    start: datetime
    frame_duration_s: float
    projections: int
    energy_windows_kev: tuple[tuple[float, float], ...]
    administered_bq: float
    administered_at: datetime
    weight_kg: float
    contrast_agent: str


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A volume and where it comes from.

    Attributes
    ----------
    volume : Volume
        Values with grid, kind (unit) and the instant they refer to.
    context : DicomContext or None
        Patient, study and instances; None for what is no DICOM.
    acquisition : Acquisition
        How it was acquired.
    source : InputFile
        Files and their hash, for the provenance; of an array its name and its hash, and no files.
    messages : tuple of Message
        What was assumed or looks wrong.
    missing : tuple of str
        What absorbed dose needs and the image does not say.
    """

    volume: Volume = field(metadata=HIDDEN)
    context: DicomContext | None = field(metadata=HIDDEN)
    acquisition: Acquisition
    source: InputFile = field(metadata=HIDDEN)
    messages: tuple[Message, ...] = ()
    missing: tuple[str, ...] = ()

    @classmethod
    @maker
    def from_array(
        cls,
        values: ArrayLike,
        *,
        unit: str,
        spacing_mm: tuple[float, float, float] | None = None,
        grid: Grid | None = None,
        time: datetime | None = None,
        nuclide: str | None = None,
        name: str = "array",
        **acquired: Unpack[AcquisitionFacts],
    ) -> Image:
        """Image of an array, as good as one that was read from a file.

        Parameters
        ----------
        values : array_like, shape (i, j, k)
            Voxel values in `unit`; i to the patient's left, j to posterior, k to the head, unless `grid` says
            otherwise. Copied.
        unit : str
            What a voxel holds: "Bq/mL", "MBq h", "counts", "HU", "g/mL", "Gy", "label", ...
        spacing_mm : tuple of float
            Size of a voxel along i, j, k; voxel (0, 0, 0) is centred on the origin. In place of `grid`.
        grid : Grid
            Place of the voxels in the patient (LPS mm), and their frame of reference.
        time : datetime
            Instant that an activity refers to.
        nuclide : str
            Such as "Y-90" or "90Y".
        name : str
            How messages and the provenance name it.
        **acquired
            Fields of `Acquisition`: `administered_bq`, `administered_at`, `start`, `frame_duration_s`, `weight_kg`,
            `energy_windows_kev`, ...

        Raises
        ------
        UnitError
            If the unit is unknown, or a voxel is NaN or infinite.
        GeometryError
            If neither or both of `spacing_mm` and `grid` are given, or the array does not fit.
        TimeError
            If `time` or another instant is none.
        InputError
            For an unknown field, a nuclide that is none, or a quantity that is not positive.

        Examples
        --------
        >>> image = Image.from_array(np.ones((2, 3, 4)), unit="kBq/mL", spacing_mm=(4, 4, 5), nuclide="90Y")
        >>> image.volume.total, image.acquisition.nuclide
        (1920.0, 'Y-90')
        """
        require_known("Image.from_array", acquired, AcquisitionFacts.__annotations__)
        _check_facts(acquired, time)
        kind, factor = voxel_unit(unit)
        array = _numbers(values, kind, factor, name)
        if (grid is None) == (spacing_mm is None):
            raise GeometryError(f"{name}: state either `spacing_mm` or `grid`: where its voxels are")
        if grid is None:
            grid = Grid.axial(array.shape, spacing_mm=spacing_mm or ())
        volume = Volume(grid, array, kind, time, name)
        volume.require_finite()
        found = None if nuclide is None else nuclide_form(nuclide)
        facts = Acquisition(
            **{"description": name} | acquired,
            nuclide=found,
            time_rule="stated by the user" if time else "",
        )
        digest = hashlib.sha256(np.ascontiguousarray(volume.values).tobytes()).hexdigest()
        source = InputFile("image", name, digest, files=0)
        return cls(volume, None, facts, source, missing=not_stated(kind, nuclide=found, time=time))

    def with_voxels_of(self, grid: Grid) -> Image:
        """Same patient and facts with other voxels that hold nothing: what structures are read onto."""
        nothing = np.broadcast_to(np.float32(0), grid.shape)
        return replace(self, volume=Volume(grid, nothing, self.volume.kind, name=self.volume.name))

    @property
    @reported
    def grid(self) -> Grid:
        """Grid of the volume."""
        return self.volume.grid

    @property
    def name(self) -> str:
        """How errors name it: the path of its file, or the name of an array."""
        return self.source.path

    @property
    @reported
    def kind(self) -> str:
        """What a voxel holds, in a word."""
        return self.volume.kind.name.lower()

    @property
    @reported
    def unit(self) -> str:
        """Unit of a voxel."""
        return self.volume.kind.unit

    @property
    @reported
    def time(self) -> datetime | None:
        """Instant that the values refer to."""
        return self.volume.time

    def require_nuclide(self, name: str) -> None:
        """Raise DicomError if the header names another nuclide than `name` ("Y-90").

        A header that names none passes: the nuclide is then what the user says.
        """
        if self.acquisition.nuclide not in (None, name):
            raise other_nuclide(self.acquisition.nuclide or "", name, self.name)

    def stating(self, stated: Stated) -> Image:
        """Same image with what the user states of it: checked where it is known, taken where it is not.

        Raises
        ------
        UnitError
            If the unit stated is not that of the voxels.
        DicomError
            If another nuclide is stated, and not that the image's own is overridden.
        InputError
            If it is overridden, but the values hold the decay correction or positron fraction of the other nuclide.
        """
        if stated.unit is not None and voxel_unit(stated.unit) != (self.volume.kind, 1.0):
            raise UnitError(
                f"{self.name}: holds {self.volume.kind.meaning} ({self.unit}); the unit stated, {stated.unit!r}, "
                "contradicts it"
            )
        made = self._of_nuclide(stated.nuclide, override=stated.override_nuclide) if stated.nuclide else self
        if stated.time is None or stated.time == self.time:
            return made
        text = f"reference time {stated.time.isoformat()} as stated by the user"
        notes = () if self.time is None else (Message("reference-time-stated", text),)
        return replace(
            made,
            volume=self.volume.with_values(self.volume.values, time=stated.time),
            acquisition=replace(made.acquisition, time_rule="stated by the user"),
            missing=tuple(item for item in made.missing if item != TIME_MISSING),
        ).with_messages(*notes)

    def _of_nuclide(self, name: str, *, override: bool) -> Image:
        facts = self.acquisition
        if facts.nuclide == name:
            return self
        missing = tuple(item for item in self.missing if item != NUCLIDE_MISSING)
        if facts.nuclide is None:
            return replace(self, acquisition=replace(facts, nuclide=name), missing=missing)
        if not override:
            raise other_nuclide(facts.nuclide, name, self.name)
        if facts.decay_correction not in ("", "NONE"):
            raise InputError(
                f"{self.name}: its values were corrected for the decay of {facts.nuclide}",
                remedy="give its file, so that the correction can be redone",
            )
        if facts.positron_fraction is not None:
            raise InputError(
                f"{self.name}: its values were divided by the positron fraction of {facts.nuclide} "
                f"({facts.positron_fraction:g}), which is not that of {name}",
                remedy=f"give its file, or an image of {name} whose values were divided by that of {name}",
            )
        unsure = facts.certainty.with_scale(None)
        accepted = replace(self, acquisition=replace(facts, nuclide=name, certainty=unsure))
        return accepted.with_messages(
            Message("nuclide-overridden", f"the {facts.nuclide} of {self.name} is overridden by {name}")
        )

    def with_messages(self, *messages: Message) -> Image:
        """Same image with more messages."""
        return replace(self, messages=self.messages + messages)

    def used_as(self, role: str) -> Image:
        """Same image, named in the provenance by what it is used as."""
        return self if self.source.role == role else replace(self, source=replace(self.source, role=role))

    def __repr__(self) -> str:
        return f"<Image {self.acquisition.modality} {self.volume!r}>"

    def _repr_html_(self) -> str:
        shown = [f.name for f in fields(Acquisition) if f.metadata.get("document") != "hidden"]
        shown += ["camera", "seen_z_mm"]
        facts = [(name.replace("_", " "), _told(getattr(self.acquisition, name))) for name in shown]
        low, high = float(np.min(self.volume.values)), float(np.max(self.volume.values))
        rows = [
            ("values", f"{low:.4g} to {high:.4g} {self.unit}"),
            ("refers to", _told(self.time)),
            ("grid", repr(self.grid)),
            *facts,
            *(("note", str(message)) for message in self.messages),
            *(("missing", text) for text in self.missing),
        ]
        return Table.of(("", self.name), [row for row in rows if row[1]])._repr_html_()


def other_nuclide(found: str, wanted: str, where: str) -> DicomError:
    """The error for a header that names another nuclide than the one asked for."""
    return DicomError(
        f"{where}: the header says {found}, asked for is {wanted}",
        remedy=(
            "use the right image, or state `accept_nuclide` if the header is wrong: decay correction and positron "
            f"fraction are then replaced by those of {wanted}"
        ),
    )


def nuclide_form(text: str) -> str:
    """Name of a nuclide in hepatica's form.

    >>> nuclide_form("90Y"), nuclide_form("tc99m")
    ('Y-90', 'Tc-99m')

    Raises
    ------
    InputError
        If it is none.
    """
    plain = re.sub(r"[\s^-]", "", text)
    match = re.fullmatch(r"(\d{1,3}m?)([A-Za-z]{1,2})|([A-Za-z]{1,2})(\d{1,3}m?)", plain)
    if match is None:
        raise InputError(f"`nuclide`: {text!r} is none; write for example Y-90")
    symbol, mass = (match[2], match[1]) if match[1] else (match[3], match[4])
    return f"{symbol.capitalize()}-{mass}"


def not_stated(kind: Kind, *, nuclide: str | None, time: datetime | None) -> tuple[str, ...]:
    """What absorbed dose needs of an image that holds nothing but voxels."""
    missing = [NUCLIDE_MISSING] if is_activity(kind) and nuclide is None else []
    if kind in (Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION, Kind.COUNTS, Kind.COUNT_RATE) and time is None:
        missing.append(TIME_MISSING)
    return tuple(missing)


def require_together(images: Sequence[Image], *, registered: bool) -> tuple[Message, ...]:
    """Same patient, same frame of reference (or the user's word); says what could not be checked.

    Raises
    ------
    InputError
        If images are of different patients.
    GeometryError
        If they are in different frames of reference and nobody states that they are registered.
    """
    *rest, ct = images
    notes = []
    for image in rest:
        ids = [found.context.patient_id for found in (image, ct) if found.context is not None]
        if len(ids) == len((image, ct)) and "" in ids:
            text = f"{image.name} or {ct.name} has no patient ID: it could not be checked that both are of one patient"
            notes.append(Message("patient-not-checked", text))
        elif len(set(ids)) > 1:
            raise InputError(
                f"{image.name} is of patient {ids[0]!r}, {ct.name} of {ids[1]!r}; activity and CT must be of one "
                "patient"
            )
    for image, other in combinations(images, 2):
        if not registered and not image.grid.shares_frame(other.grid):
            raise GeometryError(
                f"{image.name} and {other.name} have different frames of reference ({image.grid.frame_of_reference} "
                f"and {other.grid.frame_of_reference})",
                remedy="register them and give the `transform`, or state with `registered` that they lie together",
            )
    return tuple(notes)


def is_activity(kind: Kind) -> bool:
    """Whether a kind can become absorbed dose by calibration or integration."""
    return kind in (Kind.COUNTS, Kind.COUNT_RATE, Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION, Kind.DECAYS)


def _numbers(values: ArrayLike, kind: Kind, factor: float, name: str) -> NDArray[Any]:
    """A copy of an array in hepatica's unit of its kind."""
    array: NDArray[Any] = np.asarray(values)
    if array.ndim != 3 or not array.size:
        raise GeometryError(f"{name}: a volume has three axes and at least one voxel, not the shape {array.shape}")
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating) or array.dtype == bool):
        raise UnitError(f"{name}: voxels are real numbers, not {array.dtype}")
    if kind is Kind.LABEL:
        return whole_labels(array, name)
    dtype: Any = np.float64 if array.dtype.itemsize > 2 and array.dtype != np.float32 else np.float32
    return np.asarray(array.astype(dtype) * dtype(factor))


def _check_facts(acquired: AcquisitionFacts, time: datetime | None) -> None:
    for key, value in {"time": time, **acquired}.items():
        if value is None:
            continue
        if key in ("time", "start", "administered_at") and not isinstance(value, datetime):
            raise TimeError(f"`{key}` is an instant (datetime), not {value!r}")
        if key.endswith(("_bq", "_s", "_kg", "_fraction")):
            good = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not good or not 0 < float(value) < math.inf:  # type: ignore[arg-type]
                raise InputError(f"`{key}` must be a positive number, not {value!r}")


def _told(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, tuple):
        return ", ".join("-".join(f"{end:g}" for end in one) if isinstance(one, tuple) else _told(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
