"""Where frames and readings come from: a file to be replayed, or a folder, a table, a serial line, a listener."""

from __future__ import annotations

import math
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from hepatica.core import InputFile
from hepatica.errors import HepaticaError, InputError
from hepatica.io.dicom.images.dynamic import DynamicFile, read_dynamic, stated_order
from hepatica.io.dicom.mr.dynamic import MrSeries
from hepatica.io.monitoring.folder import ArrivingFiles, by_number
from hepatica.io.monitoring.listener import listening
from hepatica.io.monitoring.readings import GrowingReadings, MeterLine, SerialReadings, read_readings
from hepatica.monitoring.feed import Frame, Reading
from hepatica.monitoring.options import FrameOptions
from hepatica.monitoring.prepared import Prepared
from hepatica.nuclides import nuclide

POLL_S = 0.1

SILENCE_S = 0.5
"""Between two states while nothing comes."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing came up to now, seconds after the last frame."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Something came that cannot be used; it is said, and watched on.

    Attributes
    ----------
    text : str
        What is wrong with it.
    name : str
        Of the file, if it is one: what is wrong with many is said once.
    """

    text: str
    name: str = ""


Event = Frame | Reading | Silence | Fault


@dataclass(slots=True)
class Arrived:
    """What the frames said of themselves, gathered while they came.

    Attributes
    ----------
    inputs : list of InputFile
        Files that were read, the first hundred.
    corrected, nuclide : tuple of str, str
        Of the first file.
    pixel_mm : tuple of float
        Of the first file.
    prepared : Prepared or None
        What frames must fit.
    patient_id : str or None
        Of the first file.
    patient_ids : tuple of str
        Of whom frames may be, where a case knows; a file that names nobody may be.
    said : list of str
        About the order of files.
    unchecked : dict of str to int
        What could not be held against the setup, since a file says nothing of it, and of how many files.
    """

    inputs: list[InputFile] = field(default_factory=list)
    corrected: tuple[str, ...] = ()
    nuclide: str = ""
    pixel_mm: tuple[float, float] = (0.0, 0.0)
    prepared: Prepared | None = None
    patient_id: str | None = None
    patient_ids: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)
    unchecked: dict[str, int] = field(default_factory=dict)

    def note(self, file: DynamicFile) -> None:
        """Add a file.

        Raises
        ------
        InputError
            If its pixels, its energy windows or its patient are not those of the setup and of the files before.
        """
        if self.patient_id is not None and file.patient_id != self.patient_id:
            raise InputError(f"{file.source.path}: is of another patient than the frames before; it is not used")
        if self.patient_ids and file.patient_id not in ("", *self.patient_ids):
            raise InputError(f"{file.source.path}: is of another patient than the case; it is not used")
        if self.prepared is not None:
            require_fit(file, self.prepared)
            for what in unstated(file, self.prepared):
                self.unchecked[what] = self.unchecked.get(what, 0) + 1
        self.patient_id = file.patient_id
        if not self.inputs:
            self.corrected, self.nuclide, self.pixel_mm = file.corrected, file.nuclide, file.pixel_mm
        if len(self.inputs) < MOST_INPUTS:
            self.inputs.append(file.source)

    def note_mr(self, series: MrSeries) -> None:
        """Add a series of MR.

        Raises
        ------
        InputError
            If it is of another patient than the case.
        """
        if self.patient_ids and series.patient_id not in ("", *self.patient_ids):
            raise InputError(f"{series.source.path}: is of another patient than the case; it is not used")
        self.patient_id, self.nuclide = series.patient_id, "Ho-166"
        self.inputs.append(series.source)


MOST_INPUTS = 100

PIXEL_OFF = 0.02
"""Relative difference of the pixels from the setup's."""

STRONG, HARD_KEV = 0.01, 30.0
"""Yield and energy of a line that a window could be set on."""


def require_fit(file: DynamicFile, prepared: Prepared) -> None:
    """Refuse frames that the setup's masks and response do not describe.

    Raises
    ------
    InputError
        If pixels have another size, frames are of another head or stand otherwise, or no line of
        the nuclide lies in an energy window.
    """
    if max(abs(edge / prepared.pixel_mm - 1) for edge in file.pixel_mm) > PIXEL_OFF:
        edges = " x ".join(f"{edge:g}" for edge in file.pixel_mm)
        raise InputError(
            f"{file.source.path}: pixels of {edges} mm (PixelSpacing), the masks are drawn on {prepared.pixel_mm:g} mm"
        )
    stands = (
        ("head", prepared.head or None, file.view or None),
        ("direction of rows (ImageOrientationPatient)", prepared.row_to_left, file.row_to_left),
        ("direction of columns (ImageOrientationPatient)", prepared.column_to_head, file.column_to_head),
    )
    for what, wanted, found in stands:
        if wanted is not None and found is not None and wanted != found:
            raise InputError(
                f"{file.source.path}: the {what} is {found}, that of the setup's masks is {wanted}",
                remedy="make the setup from a frame of this head as it stands",
            )
    lines = [
        line.energy_kev for line in nuclide(prepared.nuclide).photons
        if line.yield_per_decay > STRONG and line.energy_kev > HARD_KEV
    ]  # fmt: skip
    windows = file.windows_kev
    if lines and windows and not any(low <= line <= high for low, high in windows for line in lines):
        stated = ", ".join(f"{low:g} to {high:g}" for low, high in windows)
        raise InputError(
            f"{file.source.path}: the energy window ({stated} keV) holds no line of {prepared.nuclide}",
            remedy="the response of the setup is that of another window; take its protocol",
        )


def unstated(file: DynamicFile, prepared: Prepared) -> tuple[str, ...]:
    """What `require_fit` and the nuclide's test could not hold against the setup: the file does not say it."""
    out = []
    if not file.nuclide:
        out.append(f"the nuclide (that it is {prepared.nuclide})")
    if not file.windows_kev:
        out.append(f"the energy window (that it holds a line of {prepared.nuclide})")
    if not file.patient_id:
        out.append("the patient")
    return tuple(out)


def replayed(
    path: Path, readings: Path | None, chosen: FrameOptions, arrived: Arrived, made: Iterator[Event] | None = None
) -> Iterator[Event]:
    """Frames of a file, or of all files of a folder, in their order, with the readings between them by their time.

    Frames that were made of something else (MR) are given as `made`.
    """
    waiting = [] if readings is None else [_reading(line) for line in read_readings(readings)]
    waiting.sort(key=lambda one: one.at_s)
    n, first_s = 0, None
    for event in _stored(path, readings, chosen, arrived) if made is None else made:
        if isinstance(event, Frame):
            # Before the first frame nothing is known of the clock but what was read of the full vial.
            until = 0.0 if first_s is None else event.start_s + event.duration_s - first_s
            first_s = event.start_s if first_s is None else first_s
            while n < len(waiting) and waiting[n].at_s <= until:
                yield replace(waiting[n], at_s=waiting[n].at_s + first_s)
                n += 1
        yield event
    # Readings that go on after the last frame tell that the camera stopped first.
    yield from (replace(one, at_s=one.at_s + (first_s or 0.0)) for one in waiting[n:])
    if readings is not None:
        arrived.inputs.append(InputFile.of("readings", readings))


def _stored(path: Path, readings: Path | None, chosen: FrameOptions, arrived: Arrived) -> Iterator[Event]:
    """Frames of one file; or of a folder, where what is no series of frames is said."""
    if path.is_dir():
        frames = LiveFrames(chosen, arrived)
        files = [one for one in path.iterdir() if one.is_file() and not one.name.startswith(".") and one != readings]
        named = sorted(files, key=by_number)
        for one in in_time(named, arrived):
            yield from frames.of([one], None)
        return
    file = read_dynamic(path, energy_window=chosen.energy_window, detector=chosen.detector)
    arrived.note(file)
    for number, (counts, start, duration) in enumerate(zip(file.counts, file.start_s, file.duration_s, strict=True)):
        yield Frame(counts, float(start), float(duration), number, file.nuclide)


def in_time(named: list[Path], arrived: Arrived) -> list[Path]:
    """Files in the order of their times, where that is not the order of their names and no clock was set back.

    What is no DICOM file comes last. Where InstanceNumber follows the names, the clock was set: the names are right.
    """
    stated: list[tuple[float | None, int | None, Path]] = []
    other = []
    for path in named:
        try:
            stated.append((*stated_order(path), path))
        except HepaticaError:
            other.append(path)
    times = [at for at, _, _ in stated if at is not None]
    if len(times) < len(stated):
        if times != sorted(times):
            arrived.said.append("files that say no time are among the frames: they are taken in the order of names")
        return named
    numbers = [number for _, number, _ in stated if number is not None]
    is_numbered = len(set(numbers)) == len(stated)
    if times == sorted(times) or (is_numbered and numbers == sorted(numbers)):
        return named
    arrived.said.append("names of the files are not in the order of their times: they are taken by their times")
    places = sorted(range(len(stated)), key=lambda n: times[n])
    return [*(stated[n][2] for n in places), *other]


def _reading(line: MeterLine) -> Reading:
    assert line.at_s is not None
    return Reading(line.kind, line.at_s, line.value)


def live(
    folder: Path, readings: Path | None, chosen: FrameOptions, arrived: Arrived, *, idle_s: float | None,
    clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:  # fmt: skip
    """Frames as they arrive in a folder, and readings as they are written; a silence where nothing comes.

    Ends after `idle_s` without a frame; else whoever reads it stops it. A frame waits `WAIT_S` at most for the
    reading of its end, so that it is not held against an earlier one; the watch keeps readings ahead of frames.
    """
    with ExitStack() as stack:
        if chosen.listen_port is not None:
            stack.enter_context(listening(folder, port=chosen.listen_port))
        files = ArrivingFiles(folder, is_wanted=lambda path: not path.name.startswith(".") and path != readings)
        meter = _meter(readings)
        if isinstance(meter, SerialReadings):
            stack.callback(meter.close)
        began = last = said = clock()
        frames, queue = LiveFrames(chosen, arrived, files.unread), Queue(isinstance(meter, GrowingReadings))
        while True:
            now = clock()
            # A reading without a time counts from the last frame on.
            queue.add_lines([] if meter is None else meter.new(), frames.end_s + (now - last))
            yield from queue.add_frames(frames.of(files.new(), now))
            for event in queue.ready(now, frames.first_s):
                if isinstance(event, Frame):
                    last = said = now
                yield event
            while meter is not None and meter.faults:
                yield Fault(meter.faults.pop(0))
            if now - last > SILENCE_S and now - said >= SILENCE_S:
                said = now
                yield Silence(now - last)
            if files.are_coming:
                began = now
            if idle_s is not None and now - max(last, began) > idle_s and not queue.frames:
                return
            sleep(POLL_S)


WAIT_S = 2.0
"""For which a frame waits for the reading of its end."""


@dataclass(slots=True)
class Queue:
    """Frames and readings in the order of their times, the slower source waited for.

    Attributes
    ----------
    has_meter : bool
        Whether readings with times are to come.
    frames, lines, untimed : deque
        That wait; readings without a time of their own wait for nothing.
    """

    has_meter: bool
    frames: deque[Frame] = field(default_factory=deque)
    lines: deque[MeterLine] = field(default_factory=deque)
    untimed: deque[Reading] = field(default_factory=deque)
    _read_until_s: float = -math.inf
    _has_begun: bool = False

    def add_lines(self, lines: Iterable[MeterLine], now_s: float) -> None:
        """Readings that have come; `now_s` is the time of those that have none."""
        for line in lines:
            if line.at_s is None:
                self.untimed.append(Reading(line.kind, now_s, line.value))
            else:
                self.lines.append(line)

    def add_frames(self, events: Iterable[Event]) -> Iterator[Event]:
        """Frames that have come; what is none is given back."""
        for event in events:
            if isinstance(event, Frame):
                self.frames.append(event)
            else:
                yield event

    def ready(self, now: float, first_s: float) -> Iterator[Frame | Reading]:
        """What may be used now; readings count from the first frame, which goes before them."""
        while self.untimed:
            yield self.untimed.popleft()
        self._read_until_s = max([self._read_until_s, *(first_s + (line.at_s or 0.0) for line in self.lines)])
        if self.frames and not self._has_begun and (self.lines or self._is_due(self.frames[0], now)):
            self._has_begun = True
            yield self.frames.popleft()
        while self._has_begun and self.lines:
            line = self.lines.popleft()
            yield Reading(line.kind, first_s + (line.at_s or 0.0), line.value)
        while self._has_begun and self.frames and self._is_due(self.frames[0], now):
            yield self.frames.popleft()

    def _is_due(self, frame: Frame, now: float) -> bool:
        has_waited = frame.received_s is None or now - frame.received_s >= WAIT_S
        return not self.has_meter or has_waited or self._read_until_s >= frame.start_s + frame.duration_s - 1e-6


def _meter(readings: Path | None) -> GrowingReadings | SerialReadings | None:
    if readings is None:
        return None
    if readings.exists() and stat.S_ISCHR(readings.stat().st_mode):
        return SerialReadings(readings)
    return GrowingReadings(readings)


@dataclass(slots=True)
class LiveFrames:
    """Files that arrive, turned into frames on one clock."""

    chosen: FrameOptions
    arrived: Arrived
    unread: Callable[[Path], None] = lambda _: None
    first_s: float = 0.0
    end_s: float = 0.0
    _count: int = 0

    def of(self, paths: list[Path], now: float | None) -> Iterator[Event]:
        """Frames of new files; what is no series of frames is said."""
        read = []
        for path in paths:
            try:
                file = read_dynamic(path, energy_window=self.chosen.energy_window, detector=self.chosen.detector)
                self.arrived.note(file)
                read.append(file)
            except HepaticaError as error:
                self.unread(path)
                yield Fault(str(error).removeprefix(f"{path}: "), path.name)
        if all(file.clock_s is not None for file in read):
            # Files that were there at one look: their names need not be in the order of time.
            numbers = [file.instance for file in read if file.instance is not None]
            if len(set(numbers)) < len(read) or numbers != sorted(numbers):
                read.sort(key=lambda file: file.clock_s or 0.0)
        for file in read:
            alone = len(file.counts) == 1
            base = self.end_s if file.clock_s is None else file.clock_s
            if self._count == 0:
                self.first_s = base
            for counts, start, duration in zip(file.counts, file.start_s, file.duration_s, strict=True):
                number = file.instance if alone else None
                self._count += 1
                self.end_s = base + float(start) + float(duration)
                yield Frame(counts, base + float(start), float(duration), number, file.nuclide, now)
