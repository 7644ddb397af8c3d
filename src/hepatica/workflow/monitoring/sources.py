"""Where frames and readings come from: a file to be replayed, or a folder, a table, a serial line, a listener."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hepatica.core import InputFile
from hepatica.errors import DicomError, InputError
from hepatica.io.dicom.images.dynamic import DynamicFile, read_dynamic
from hepatica.io.monitoring.folder import ArrivingFiles
from hepatica.io.monitoring.listener import listening
from hepatica.io.monitoring.readings import GrowingReadings, MeterLine, SerialReadings, read_readings
from hepatica.monitoring.feed import Frame, Reading
from hepatica.monitoring.options import FrameOptions

POLL_S = 0.1

SILENCE_S = 0.5
"""Between two states while nothing comes."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing came up to now, seconds after the last frame."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Something came that cannot be used; it is said, and watched on."""

    text: str


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
    """

    inputs: list[InputFile] = field(default_factory=list)
    corrected: tuple[str, ...] = ()
    nuclide: str = ""
    pixel_mm: tuple[float, float] = (0.0, 0.0)

    def note(self, file: DynamicFile) -> None:
        """Add a file."""
        if not self.inputs:
            self.corrected, self.nuclide, self.pixel_mm = file.corrected, file.nuclide, file.pixel_mm
        if len(self.inputs) < MOST_INPUTS:
            self.inputs.append(file.source)


MOST_INPUTS = 100


def replayed(path: Path, readings: Path | None, chosen: FrameOptions, arrived: Arrived) -> Iterator[Event]:
    """Frames of a file in their order, with the readings between them by their time."""
    file = read_dynamic(path, energy_window=chosen.energy_window, detector=chosen.detector)
    arrived.note(file)
    waiting = [] if readings is None else [_reading(line) for line in read_readings(readings)]
    if readings is not None:
        arrived.inputs.append(InputFile.of("readings", readings))
    waiting.sort(key=lambda one: one.at_s)
    n = 0
    for number, (counts, start, duration) in enumerate(zip(file.counts, file.start_s, file.duration_s, strict=True)):
        while n < len(waiting) and waiting[n].at_s <= start + duration:
            yield waiting[n]
            n += 1
        yield Frame(counts, float(start), float(duration), number, file.nuclide)


def _reading(line: MeterLine) -> Reading:
    assert line.at_s is not None
    return Reading(line.kind, line.at_s, line.value)


def live(
    folder: Path, readings: Path | None, chosen: FrameOptions, arrived: Arrived, *, idle_s: float | None,
    clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:  # fmt: skip
    """Frames as they arrive in a folder, and readings as they are written; a silence where nothing comes.

    Ends after `idle_s` without a frame; else whoever reads it stops it.
    """
    with ExitStack() as stack:
        if chosen.listen_port is not None:
            stack.enter_context(listening(folder, port=chosen.listen_port))
        files = ArrivingFiles(folder, is_wanted=lambda path: not path.name.startswith(".") and path != readings)
        meter = _meter(readings)
        if isinstance(meter, SerialReadings):
            stack.callback(meter.close)
        began = last = said = clock()
        frames = LiveFrames(chosen, arrived)
        while True:
            now = clock()
            for event in frames.of(files.new(), now):
                last = said = now if isinstance(event, Frame) else last
                yield event
            if meter is not None:
                # A reading without a time counts from the last frame on.
                for line in meter.new():
                    at = frames.end_s + (now - last) if line.at_s is None else frames.first_s + line.at_s
                    yield Reading(line.kind, at, line.value)
                while meter.faults:
                    yield Fault(meter.faults.pop(0))
            if now - last > SILENCE_S and now - said >= SILENCE_S:
                said = now
                yield Silence(now - last)
            if idle_s is not None and now - max(last, began) > idle_s:
                return
            sleep(POLL_S)


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
    first_s: float = 0.0
    end_s: float = 0.0
    _count: int = 0

    def of(self, paths: list[Path], now: float) -> Iterator[Event]:
        """Frames of new files; what is no series of frames is said."""
        read = []
        for path in paths:
            try:
                read.append(read_dynamic(path, energy_window=self.chosen.energy_window, detector=self.chosen.detector))
            except (DicomError, InputError) as error:
                yield Fault(str(error))
        for file in read:
            self.arrived.note(file)
            alone = len(file.counts) == 1
            base = self.end_s if file.clock_s is None else file.clock_s
            if self._count == 0:
                self.first_s = base
            for counts, start, duration in zip(file.counts, file.start_s, file.duration_s, strict=True):
                number = file.instance if alone else None
                self._count += 1
                self.end_s = base + float(start) + float(duration)
                yield Frame(counts, base + float(start), float(duration), number, file.nuclide, now)
