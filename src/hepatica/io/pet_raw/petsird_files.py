"""PETSIRD list mode (ETSI, petsird 0.12) in and out; the package is an optional extra, loaded where it is used.

Axes of the gantry are those of the patient (LPS) with the scanner's middle at zero; the bed's movement takes points of
the patient to it. What PETSIRD has no place for (what a coincidence was, its phase of breathing) is not written.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.errors import HepaticaError, InputError, OutputError, TimeError
from hepatica.imaging.pet.acquisition.raw import Bed, PetRawData
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.randoms import singles_from_delayed
from hepatica.imaging.pet.scanner import HALF_LIGHT_MM_PER_PS, Scanner, scanner, scanner_names
from hepatica.io.dicom.images.write import NUCLIDE_CODES
from hepatica.io.files import atomic_output
from hepatica.io.pet_raw.own_format import raw_source
from hepatica.io.pet_raw.petsird_geometry import Crystals, bin_efficiencies, scanner_information

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int64]

SUFFIXES = (".petsird", ".bin")
FILE_NAME = "coincidences.petsird"
MAGIC = b"yardl"
EVENTS_PER_BLOCK = 50_000
TIME_TOLERANCE = 1e-3
"""Bins of time of flight may differ from the scanner's by so much of a bin's width."""

BROKEN = (
    EOFError, RuntimeError, ValueError, struct.error, IndexError, KeyError, TypeError, OverflowError, MemoryError,
    AttributeError, ArithmeticError, BufferError,
)  # fmt: skip
"""What petsird's generated reader raises on bytes that are none of its own."""


def load_petsird() -> Any:
    """The package.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        import petsird
    except ImportError as error:
        raise InputError(
            "PETSIRD files need the package petsird, which is not installed",
            remedy="pip install 'hepatica[raw-pet]', or use hepatica's own coincidences.npz",
        ) from error
    return petsird


def is_petsird(path: Path) -> bool:
    """Whether a file begins as PETSIRD's binary form does."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


# ---------------------------------------------------------------------------------------------------------------------


def write_petsird(path: Path | str, raw: PetRawData) -> None:
    """Write raw data as a PETSIRD file (binary).

    Singles are written as whole counts of each bed, dead time as each crystal's share.

    Raises
    ------
    InputError
        If the package is not installed.
    TimeError
        If the start states no time zone.
    OutputError
        If the file cannot be written.
    """
    petsird, path = load_petsird(), Path(path)
    header = petsird.Header(
        scanner=scanner_information(petsird, raw.scanner, raw.crystal_efficiency), exam=_exam(petsird, raw)
    )
    try:
        with atomic_output(path) as new, new.open("wb") as stream, petsird.BinaryPETSIRDWriter(stream) as writer:
            writer.write_header(header)
            writer.write_time_blocks(_blocks(petsird, raw))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _exam(petsird: Any, raw: PetRawData) -> Any:
    value, scheme, meaning = NUCLIDE_CODES[raw.nuclide]
    code = petsird.DICOMBasicCodeSequence(code_value=value, coding_scheme_designator=scheme, code_meaning=meaning)
    instant = petsird.yardl_types.DateTime.from_datetime(require_utc(raw.start))
    return petsird.ExamInformation(
        modality="PT",
        frame_of_reference_uid=raw.frame_of_reference or "",
        start_of_study=instant,
        start_of_acquisition=instant,
        patient=petsird.DICOMPatientInformation(patient_id=raw.patient_id),
        radiopharmaceuticals=[petsird.DICOMRadiopharmaceuticalInformation(radionuclide_code_sequence=code)],
    )


def require_utc(start: datetime) -> datetime:
    """The start in UTC, in which PETSIRD keeps instants.

    Raises
    ------
    TimeError
        If the start has no zone: hours of error would be becquerels of error.
    """
    if start.tzinfo is None:
        raise TimeError(
            f"PETSIRD keeps instants in UTC, and the start, {start.isoformat()}, states no time zone",
            remedy="state `activity_at` with its zone, such as 2026-03-02T10:00+01:00, or leave `petsird` out",
        )
    return start.astimezone(UTC)


def _blocks(petsird: Any, raw: PetRawData) -> Iterator[Any]:
    kinds = petsird.TimeBlock
    crystals = Crystals.of_own(raw.scanner)
    for bed in raw.beds:
        start, stop = _milliseconds(bed.start_s), _milliseconds(bed.start_s + bed.duration_s)
        whole = petsird.TimeInterval(start=start, stop=stop)
        matrix = np.eye(3, 4, dtype=np.float32)
        matrix[:, 3] = (-raw.axis_mm[0], -raw.axis_mm[1], -bed.bed_mm)
        moved = petsird.RigidTransformation(matrix=matrix)
        yield kinds.BedMovementTimeBlock(petsird.BedMovementTimeBlock(time_interval=whole, transform=moved))
        share = np.full(raw.scanner.crystals, math.sqrt(bed.live_fraction), np.float32)
        alive = petsird.AliveTimeFractions(singles_alive_time_fractions=[share], module_pair_alive_time_fractions=[])
        yield kinds.DeadTimeTimeBlock(petsird.DeadTimeTimeBlock(time_interval=whole, alive_time_fractions=alive))
        counts = np.rint(bed.frame.singles_cps[crystals.crystal_of] * bed.duration_s).astype(np.uint64)
        singles = petsird.SinglesHistogramTimeBlock(
            time_interval=whole, singles_per_singles_unit_histogram=[],
            singles_per_detection_bin_histogram=[[int(n) for n in counts]],
        )  # fmt: skip
        yield kinds.SinglesHistogramTimeBlock(singles)
        yield from _event_blocks(petsird, bed, crystals, start, stop)


def _event_blocks(petsird: Any, bed: Bed, crystals: Crystals, start: int, stop: int) -> Iterator[Any]:
    """The prompts in equal parts of the bed's time: their order is not that of time, and all parts are alike."""
    prompts = bed.frame.prompts
    one, two = crystals.bin_of[prompts.first], crystals.bin_of[prompts.second]
    kept = one >= two
    pairs = np.stack([np.where(kept, one, two), np.where(kept, two, one)], axis=1)
    # PETSIRD counts from where its first detector was first: (t1 - t2) c / 2
    times = np.where(kept, prompts.bins - 1 - prompts.tof_bin, prompts.tof_bin)
    parts = min(max(-(-len(prompts) // EVENTS_PER_BLOCK), 1), max(stop - start, 1))
    edges = np.linspace(0, len(prompts), parts + 1).astype(int)
    clock = np.linspace(start, stop, parts + 1).round().astype(int)
    for n in range(parts):
        some = slice(edges[n], edges[n + 1])
        events = [
            petsird.CoincidenceEvent(detection_bins=pair, tof_idx=time)
            for pair, time in zip(pairs[some].tolist(), times[some].tolist(), strict=True)
        ]
        interval = petsird.TimeInterval(start=int(clock[n]), stop=int(clock[n + 1]))
        yield petsird.TimeBlock.EventTimeBlock(petsird.EventTimeBlock(time_interval=interval, prompt_events=[[events]]))


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


# ---------------------------------------------------------------------------------------------------------------------


def read_petsird(path: Path | str, known: Scanner | None = None) -> tuple[PetRawData, tuple[Message, ...]]:
    """Raw data from a PETSIRD file (binary).

    Parameters
    ----------
    path : Path
    known : Scanner or None
        Whose crystals they are; by default the shipped scanner of the file's model name. The file's geometry must be
        that scanner's.

    Raises
    ------
    InputError
        If the package is not installed, the file is damaged, cut short or of another version, the scanner is not
        known or another one, the gantry moved, or neither singles nor delayed coincidences are there.
    """
    petsird, path = load_petsird(), Path(path)
    if not is_petsird(path):
        raise InputError(f"{path}: is no PETSIRD file")
    try:
        with path.open("rb") as stream, petsird.BinaryPETSIRDReader(stream) as reader:
            header = reader.read_header()
            machine = known or _named(path, header.scanner.model_name)
            crystals = Crystals.found(path, header.scanner, machine)
            _require_bins(path, header.scanner, machine)
            beds = [_OpenBed(np.zeros(3))]
            try:
                beds = _read_beds(path, reader.read_time_blocks(), crystals, beds)
            except BROKEN as error:
                raise _cut_short(path, beds, error) from error
            return _raw(path, header, machine, beds)
    except HepaticaError:
        raise
    except BROKEN as error:
        raise InputError(
            f"{path}: its header cannot be read as PETSIRD: cut short, damaged, or of another "
            f"version than 0.12 ({_cause(error)})",
            remedy="copy or export the file again; a file of another version: write it with petsird 0.12",
        ) from error


def _cause(error: BaseException) -> str:
    """What the package said, in words where its buffer's own would mislead."""
    if isinstance(error, EOFError | BufferError | struct.error):
        return "the file ends where more bytes are due"
    return f"{type(error).__name__}: {error}"


def _cut_short(path: Path, beds: Sequence[_OpenBed], error: BaseException) -> InputError:
    """That a file ends or breaks among its events, and how much of it was sound."""
    sound = [bed for bed in beds if bed.prompts]
    prompts = sum(len(events) for bed in sound for events in bed.prompts)
    seconds = sum(bed.seconds for bed in sound)
    read = f"{prompts} prompts of {len(sound)} beds, {seconds:g} s of events" if sound else "no event"
    return InputError(
        f"{path}: is sound in its header, then broken ({_cause(error)}): {read} could be read before; nothing of a "
        "broken file is reconstructed, since what is missing would be missing becquerels",
        remedy="copy or export the file again and compare its size",
    )


def petsird_facts(path: Path) -> dict[str, Any]:
    """Scanner, nuclide, start, frame of reference and patient of a file, its events left unread.

    Raises
    ------
    InputError
        As `read_petsird`, of the header.
    """
    petsird = load_petsird()
    try:
        with path.open("rb") as stream:
            header = petsird.BinaryPETSIRDReader(stream).read_header()
        exam = header.exam
        return {
            "scanner": header.scanner.model_name,
            "nuclide": _nuclide(exam),
            "start": _instant(exam.start_of_acquisition),
            "frame_of_reference": exam.frame_of_reference_uid,
            "patient_id": exam.patient.patient_id,
        }
    except BROKEN as error:
        raise InputError(f"{path}: its header cannot be read as PETSIRD ({_cause(error)})") from error


def _instant(written: Any) -> datetime:
    return datetime.fromtimestamp(int(written.numpy_value.astype(np.int64)) / 1e9, UTC)


def _named(path: Path, model: str) -> Scanner:
    try:
        return scanner(model)
    except InputError:
        raise InputError(
            f"{path}: is of the scanner {model!r}, which is not shipped; known: {', '.join(scanner_names())}",
            remedy="describe it in a TOML file and state `scanner`",
        ) from None


@dataclass(slots=True)
class _OpenBed:
    """A bed while its blocks come in."""

    place_mm: FloatArray
    start_ms: int | None = None
    stop_ms: int = 0
    prompts: list[NDArray[np.uint32]] = field(default_factory=list)
    delayed: list[NDArray[np.uint32]] = field(default_factory=list)
    singles: FloatArray | None = None
    singles_s: float = 0.0
    alive: float = 1.0

    @property
    def seconds(self) -> float:
        return (self.stop_ms - (self.start_ms or 0)) / 1000


def _read_beds(path: Path, blocks: Iterable[Any], crystals: Crystals, beds: list[_OpenBed]) -> list[_OpenBed]:
    """Beds that hold prompts; `beds` grows while blocks come in, so that a broken file leaves what was sound."""
    for tagged in blocks:
        block, name = tagged.value, type(tagged.value).__name__
        bed = beds[-1]
        if name == "BedMovementTimeBlock":
            matrix = np.asarray(block.transform.matrix, np.float64)
            if not np.allclose(matrix[:, :3], np.eye(3), atol=1e-4):
                raise InputError(f"{path}: the bed is turned against the scanner's axis, which is not supported")
            if bed.prompts and not np.allclose(matrix[:, 3], bed.place_mm, atol=1e-3):
                beds.append(_OpenBed(matrix[:, 3]))
            else:
                bed.place_mm = matrix[:, 3]
        elif name == "EventTimeBlock":
            bed.start_ms = block.time_interval.start if bed.start_ms is None else bed.start_ms
            bed.stop_ms = max(bed.stop_ms, block.time_interval.stop)
            bed.prompts += _events(block.prompt_events)
            bed.delayed += _events(block.delayed_events)
        elif name == "SinglesHistogramTimeBlock":
            _add_singles(path, bed, block, crystals)
        elif name == "DeadTimeTimeBlock":
            bed.alive = _alive(block.alive_time_fractions)
        elif name == "GantryMovementTimeBlock":
            raise InputError(f"{path}: the gantry moves, which is not supported")
    if not any(bed.prompts for bed in beds):
        raise InputError(f"{path}: holds no prompt coincidences; lists of singles alone are not supported")
    return [bed for bed in beds if bed.prompts]


def _events(lists: Sequence[Sequence[Sequence[Any]]]) -> list[NDArray[np.uint32]]:
    """Arrays of (first bin, second bin, time), shape (n, 3)."""
    return [
        np.array([(*event.detection_bins, event.tof_idx) for event in events], np.uint32)
        for row in lists
        for events in row
        if len(events)
    ]


def _add_singles(path: Path, bed: _OpenBed, block: Any, crystals: Crystals) -> None:
    histograms = block.singles_per_detection_bin_histogram
    if len(histograms) != 1:
        return
    counts = np.asarray(histograms[0], np.float64)
    if counts.size % crystals.elements:
        raise InputError(f"{path}: {counts.size} singles for {crystals.elements} crystals")
    by_crystal = np.zeros(crystals.elements)
    by_crystal[crystals.crystal_of] = counts.reshape(crystals.elements, -1).sum(axis=1)
    bed.singles = by_crystal if bed.singles is None else bed.singles + by_crystal
    bed.singles_s += (block.time_interval.stop - block.time_interval.start) / 1000


def _alive(fractions: Any) -> float:
    shares = fractions.singles_alive_time_fractions
    return float(np.mean(np.asarray(shares[0], np.float64))) ** 2 if len(shares) else 1.0


def _require_bins(path: Path, found: Any, machine: Scanner) -> None:
    """InputError where the bins of time of flight are not the scanner's own."""
    edges = np.asarray(found.tof_bin_edges[0][0].edges, np.float64)
    tof = machine.time_of_flight
    bins, width = (1, machine.coincidence_window_ns * 1000 * HALF_LIGHT_MM_PER_PS) if tof is None else (
        tof.bins, tof.bin_mm
    )  # fmt: skip
    wanted = (np.arange(bins + 1) - bins / 2) * width
    if edges.shape != wanted.shape or np.abs(edges - wanted).max() > TIME_TOLERANCE * width:
        raise InputError(
            f"{path}: has {len(edges) - 1} bins of time of flight over {edges[-1] - edges[0]:.1f} mm, "
            f"{machine.name} {bins} over {bins * width:.1f} mm",
            remedy="describe the scanner in a TOML file and state `scanner`",
        )


def _raw(
    path: Path, header: Any, machine: Scanner, open_beds: list[_OpenBed]
) -> tuple[PetRawData, tuple[Message, ...]]:
    exam = header.exam
    if exam is None or exam.start_of_acquisition is None:
        raise InputError(f"{path}: says no start of the acquisition: the image would have no instant")
    notes: list[Message] = []
    crystals = Crystals.found(path, header.scanner, machine)
    beds = tuple(_bed(path, machine, crystals, bed, notes) for bed in open_beds)
    places = np.array([bed.place_mm for bed in open_beds])
    if np.ptp(places[:, :2], axis=0).max() > 1e-2:
        raise InputError(f"{path}: beds lie beside each other, not along the scanner's axis")
    person = exam.patient.patient_id
    pattern = bin_efficiencies(path, header.scanner, crystals)
    if header.scanner.detection_efficiencies.module_pair_efficiencies_vectors:
        text = f"{path.name}: factors of pairs of modules are not taken over; hepatica models geometry"
        notes.append(Message("module-pairs-not-taken", text, "state `calibration_factor` from a known cylinder"))
    raw = PetRawData(
        scanner=machine,
        beds=beds,
        nuclide=_nuclide(exam),
        start=_instant(exam.start_of_acquisition),
        axis_mm=(float(-places[0, 0]), float(-places[0, 1])),
        frame_of_reference=exam.frame_of_reference_uid or None,
        patient_id=person,
        crystal_efficiency=pattern,
        source=raw_source(path, person),
    )
    return raw, tuple(dict.fromkeys(notes))


def _nuclide(exam: Any) -> str:
    codes = [agent.radionuclide_code_sequence.code_value for agent in exam.radiopharmaceuticals]
    return next((name for name, (value, _, _) in NUCLIDE_CODES.items() if value in codes), "")


def _bed(path: Path, machine: Scanner, crystals: Crystals, bed: _OpenBed, notes: list[Message]) -> Bed:
    prompts = _coincidences(path, machine, crystals, bed, bed.prompts)
    if bed.singles is not None and bed.singles_s > 0:
        singles = bed.singles / bed.singles_s
    elif bed.delayed:
        singles = singles_from_delayed(_coincidences(path, machine, crystals, bed, bed.delayed))
        notes.append(
            Message("randoms-from-delayed", f"{path.name}: no singles; the randoms rest on the delayed coincidences")
        )
    else:
        raise InputError(f"{path}: holds neither singles of each crystal nor delayed coincidences: randoms are unknown")
    return Bed(Frame(prompts, singles), (bed.start_ms or 0) / 1000, min(bed.alive, 1.0))


def _coincidences(
    path: Path, machine: Scanner, crystals: Crystals, bed: _OpenBed, lists: list[NDArray[np.uint32]]
) -> Coincidences:
    events = np.concatenate(lists).astype(np.int64)
    elements = events[:, :2] // crystals.energies
    if elements.max(initial=0) >= crystals.elements:
        raise InputError(f"{path}: a coincidence names crystal {elements.max()} of {crystals.elements}")
    one, two = crystals.crystal_of[elements[:, 0]], crystals.crystal_of[elements[:, 1]]
    bins = 1 if machine.time_of_flight is None else machine.time_of_flight.bins
    # to the lower crystal first; PETSIRD's bins begin where its first detector was first
    kept = one < two
    times = np.where(kept, bins - 1 - events[:, 2], events[:, 2])
    first, second = np.where(kept, one, two), np.where(kept, two, one)
    return Coincidences(
        machine, first.astype(np.int32), second.astype(np.int32), times.astype(np.int16), bed.seconds,
        float(-bed.place_mm[2]),
    )  # fmt: skip
