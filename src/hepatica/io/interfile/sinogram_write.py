"""Sinograms of a PET written as STIR reads them: prompts as they were counted, and the randoms that are expected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import OutputError
from hepatica.imaging.pet.acquisition.raw import Bed, PetRawData
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.randoms import window_s
from hepatica.imaging.pet.sinogram import Lines, SinogramLayout
from hepatica.io.dicom.images.write import NUCLIDE_CODES
from hepatica.io.files import atomic_output
from hepatica.io.interfile.sinograms import (
    AXIAL,
    LIVE_KEY,
    MIDDLE_KEY,
    SEGMENT,
    SIMULATED_KEY,
    TANGENTIAL,
    TIMING,
    VIEW,
)

CHUNK = 1 << 24


def write_sinograms(folder: Path, raw: PetRawData, bed: Bed, layout: SinogramLayout) -> None:
    """Write ``prompts.hs``, ``randoms.hs`` and their data of one bed.

    Prompts are stored in as many bytes as the fullest bin needs, expected randoms as floats.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    lines = Lines(layout, layout.scanner)
    prompts = bed.frame.prompts
    bins = prompts if layout.timings > 1 or prompts.bins == 1 else prompts.without_time_of_flight()
    bins = _mashed(bins, layout)
    most = max((int(block.max(initial=0)) for block in _counted(lines, bins, np.dtype("<u4"))), default=0)
    width = next(n for n in (1, 2, 4) if most < 256**n)
    folder.mkdir(parents=True, exist_ok=True)
    seconds = window_s(layout.scanner) * bed.duration_s
    singles = bed.counted.singles_cps
    expected = (np.asarray(lines.expected(segment, singles) * seconds, "<f4") for segment in layout.segments)
    parts: tuple[tuple[str, str, int, Iterator[NDArray[np.generic]]], ...] = (
        ("prompts", "unsigned integer", width, _counted(lines, bins, np.dtype(f"<u{width}"))),
        ("randoms", "float", 4, expected),
    )
    for name, words, size, blocks in parts:
        header = "".join(
            f"{key} := {value}".rstrip() + "\n" for key, value in _header(name, words, size, raw, bed, layout)
        )
        try:
            with atomic_output(folder / f"{name}.s") as new, new.open("wb") as stream:
                for block in blocks:
                    stream.write(block.tobytes())
                if name == "randoms":
                    stream.flush()
                    _repeated(new, stream, layout.timings - 1)
            with atomic_output(folder / f"{name}.hs") as new:
                new.write_text(header, encoding="ascii", errors="replace")
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error


def _repeated(path: Path, stream: BinaryIO, times: int) -> None:
    """What was written so far, so many times more: randoms come at all times alike."""
    size = path.stat().st_size
    for _ in range(times):
        with path.open("rb") as before:
            for start in range(0, size, CHUNK):
                stream.write(before.read(min(CHUNK, size - start)))


def _mashed(events: Coincidences, layout: SinogramLayout) -> Coincidences:
    """The coincidences with the timing positions of the layout."""
    together = events.bins // layout.timings
    bins = (events.tof_bin // together).astype(np.int16)
    return Coincidences(layout.scanner, events.first, events.second, bins, events.duration_s, events.bed_mm)


def _counted(lines: Lines, events: Coincidences, kind: np.dtype[np.generic]) -> Iterator[NDArray[np.generic]]:
    """Counts of one timing position and segment after the other, shape (views, axials, tangential)."""
    layout = lines.layout
    segment, bins = lines.binned(events)
    order = np.lexsort((segment, bins.timing))
    keys = (bins.timing * len(layout.segments) + segment)[order]
    for timing in range(layout.timings):
        for number, one in enumerate(layout.segments):
            key = timing * len(layout.segments) + number
            here = order[np.searchsorted(keys, key) : np.searchsorted(keys, key, "right")]
            shape = (layout.views, one.axials(layout.rings), layout.tangential)
            flat = np.ravel_multi_index((bins.view[here], bins.axial[here], bins.tangential[here]), shape)
            yield np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(kind)


def _header(
    name: str, words: str, width: int, raw: PetRawData, bed: Bed, layout: SinogramLayout
) -> Iterator[tuple[str, object]]:
    """Keys and values in the order in which STIR writes them."""
    timed, machine = layout.scanner.time_of_flight, layout.scanner
    yield "!INTERFILE", ""
    yield "!imaging modality", "PT"
    yield "name of data file", f"{name}.s"
    yield "originating system", machine.name
    yield "!version of keys", "STIR6.0"
    yield "!GENERAL DATA", ""
    yield "patient orientation", "head_in"
    yield "patient rotation", "supine"
    yield "!GENERAL IMAGE DATA", ""
    yield "!type of data", "PET"
    yield "study date", raw.start.strftime("%Y:%m:%d")
    yield "study time", raw.start.strftime("%H:%M:%S") + raw.start.strftime("%z")
    yield "imagedata byte order", "LITTLEENDIAN"
    yield "!PET STUDY (General)", ""
    yield "!PET data type", "Emission"
    yield "applied corrections", "{None}"
    if raw.nuclide:
        yield "number of radionuclides", 1
        yield "radionuclide name[1]", NUCLIDE_CODES[raw.nuclide][2]
    yield "!number format", words
    yield "!number of bytes per pixel", width
    yield from _axes(layout)
    yield "Scanner parameters", ""
    yield "Scanner type", machine.name
    yield "Number of rings", layout.rings
    yield "Number of detectors per ring", layout.detectors
    yield "Inner ring diameter (cm)", f"{machine.radius_mm / 5:.6g}"
    yield "Average depth of interaction (cm)", f"{machine.depth_mm / 10:.6g}"
    yield "Distance between rings (cm)", f"{machine.pitch_mm[1] / 10:.6g}"
    yield "Default bin size (cm)", f"{np.pi * (machine.radius_mm + machine.depth_mm) / layout.detectors / 10:.6g}"
    yield "View offset (degrees)", f"{layout.view_offset_deg:.8g}"
    yield "Maximum number of non-arc-corrected bins", layout.tangential
    yield "Default number of arc-corrected bins", layout.tangential
    yield "Energy resolution", f"{machine.energy_resolution:g}"
    yield "Reference energy (in keV)", 511
    if timed is not None:
        yield "Maximum number of (unmashed) TOF time bins", timed.bins
        yield "Size of unmashed TOF time bins (ps)", f"{timed.bin_ps:.8g}"
        yield "TOF timing resolution (ps)", f"{timed.fwhm_ps:.8g}"
    yield "End scanner parameters", ""
    yield "number of time frames", 1
    yield "image duration (sec)[1]", f"{bed.duration_s:.10g}"
    yield "image relative start time (sec)[1]", f"{bed.start_s:.10g}"
    yield "number of energy windows", 1
    yield "energy window lower level[1]", f"{machine.energy_window_kev[0]:g}"
    yield "energy window upper level[1]", f"{machine.energy_window_kev[1]:g}"
    middle = (*raw.axis_mm, bed.bed_mm)
    yield MIDDLE_KEY, "{ " + ", ".join(f"{mm:.10g}" for mm in middle) + " }"
    yield LIVE_KEY, f"{bed.live_fraction:.10g}"
    yield SIMULATED_KEY, int(raw.simulated)
    yield "!END OF INTERFILE", ""


def _axes(layout: SinogramLayout) -> Iterator[tuple[str, object]]:
    timings = layout.scanner.time_of_flight is not None
    yield "number of dimensions", 5 if timings else 4
    if timings:
        yield "matrix axis label [5]", TIMING
        yield "!matrix size [5]", layout.timings
    yield "matrix axis label [4]", SEGMENT
    yield "!matrix size [4]", len(layout.segments)
    yield "matrix axis label [3]", VIEW
    yield "!matrix size [3]", layout.views
    yield "matrix axis label [2]", AXIAL
    yield "!matrix size [2]", _listed(one.axials(layout.rings) for one in layout.segments)
    yield "matrix axis label [1]", TANGENTIAL
    yield "!matrix size [1]", layout.tangential
    if timings:
        yield "TOF mashing factor", 1
    yield "minimum ring difference per segment", _listed(one.low for one in layout.segments)
    yield "maximum ring difference per segment", _listed(one.high for one in layout.segments)


def _listed(values: Iterator[int]) -> str:
    return "{ " + ", ".join(map(str, values)) + " }"
