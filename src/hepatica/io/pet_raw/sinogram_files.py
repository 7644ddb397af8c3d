"""Interfile sinograms of a PET as raw data: every count laid on a line of crystals, randoms as singles of crystals.

A list of coincidences and the bins that they fill have the same likelihood where a bin is one line: sums over bins with
their counts are sums over the events. So a sinogram becomes a list, and all that follows is that of a list
(docs/pet.md says what a bin of several lines costs).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.core.privacy.identity import Identity
from hepatica.errors import HepaticaError, InputError
from hepatica.imaging.pet.acquisition.raw import Bed, PetRawData
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.randoms import singles_from_fans
from hepatica.imaging.pet.scanner import Scanner, TimeOfFlight, scanner
from hepatica.imaging.pet.sinogram import SEED, Bins, Lines, Segment, SinogramLayout
from hepatica.io.interfile.images import data_file, header_of, is_interfile, read_header
from hepatica.io.interfile.sinograms import LIVE_KEY, SinogramFile, holds_sinograms, read_sinogram

FloatArray = NDArray[np.float64]

PROMPTS, RANDOMS = "prompts.hs", "randoms.hs"
"""Names of a pair of sinograms in a folder."""
WHOLE = 1e-3
"""By which a number that is stored as a float may miss a whole one."""
MOST_COUNTS = 500_000_000
SAME_RADIUS, SAME_SPACING = 0.02, 0.02
"""Tables of the same scanner differ by so much: radius of the face, or of a mean depth."""
TURNED_PLACES = 0.02
SAME_TIMES = 0.02


@dataclass(frozen=True, slots=True)
class Beside:
    """What a sinogram does not say of itself.

    Attributes
    ----------
    randoms : Path or None
        Sinogram of delayed coincidences or of expected randoms.
    bed_mm : float or None
        LPS z of the scanner's middle.
    axis_mm : tuple of float or None
        LPS x and y of the scanner's axis.
    """

    randoms: Path | None = None
    bed_mm: float | None = None
    axis_mm: tuple[float, float] | None = None

    @property
    def stated(self) -> tuple[str, ...]:
        """Names of what is stated."""
        return tuple(name for name in ("randoms", "bed_mm", "axis_mm") if getattr(self, name) is not None)


NOTHING_BESIDE = Beside()
_MIDDLE = Segment(0, 0)


def is_sinogram(path: Path) -> bool:
    """Whether the name is that of an Interfile."""
    return is_interfile(path)


def sinogram_facts(path: Path) -> dict[str, Any] | None:
    """Scanner, nuclide, start, frame of reference and patient of a sinogram, its counts left unread; None of another.

    Raises
    ------
    InputError
        As `read_sinogram`, or if it does not say when it began.
    """
    if not holds_sinograms(path):
        return None
    file = read_sinogram(path)
    # data and randoms that are missing are said here, where nobody has taken the header for raw data yet
    sinogram_files(path)
    return {
        "scanner": file.scanner_name, "nuclide": file.nuclide, "start": _start(file), "frame_of_reference": "",
        "patient_id": file.header.text("patient id"),
    }  # fmt: skip


def sinogram_files(path: Path) -> tuple[Path, ...]:
    """Header and data of prompts, and of the randoms beside them."""
    prompts = read_header(path)
    files = [prompts.path, data_file(prompts)]
    if (other := _randoms_beside(prompts.path, NOTHING_BESIDE)) is not None:
        files += [other, data_file(read_header(other))]
    return tuple(files)


def is_beside(path: Path) -> bool:
    """Whether a file is the randoms of prompts, or the data of a header, that lie beside it."""
    if path.name.lower() == RANDOMS and path.with_name(PROMPTS).is_file():
        return True
    return header_of(path) != path and header_of(path).is_file()


def read_sinograms(
    path: Path, known: Scanner | None = None, beside: Beside = NOTHING_BESIDE
) -> tuple[PetRawData, tuple[Message, ...]]:
    """Raw data of a sinogram of prompts, and of one of randoms beside it.

    Parameters
    ----------
    path : Path
        Header or data of the prompts.
    known : Scanner or None
        Whose crystals they are; by default the shipped one of the header's name.
    beside : Beside
        What the header does not say.

    Raises
    ------
    InputError
        If headers or data cannot be read or are not supported, are of another scanner, hold what is no count, or do
        not say when the frame began or where the scanner lay.
    """
    file = read_sinogram(path)
    start = _start(file)
    axis, bed_mm = _place(file, beside)
    lines = Lines(layout := _layout(file, known), layout.measured())
    prompts, notes = _prompts(file, lines, bed_mm)
    singles = np.zeros(layout.scanner.crystals)
    source = file.source
    if (other := _randoms_beside(file.path, beside)) is not None:
        randoms = read_sinogram(other)
        singles = _singles(randoms, file, known)
        source = replace(source, files=source.files + randoms.source.files, sha256=_both(source.sha256, randoms))
        notes.append(_about_randoms(other))
    person = file.header.text("patient id")
    # what randoms were counted stands in their sums: singles of the list are those before dead time
    live = 1.0 if file.live_fraction is None else file.live_fraction
    if not 0 < live <= 1:
        raise file.header.error(LIVE_KEY, f"{live:g} is no share")
    bed = Bed(Frame(prompts, singles / np.sqrt(live)), live_fraction=live)
    if person:
        source = replace(source, identity=Identity(patient_id=person))
    raw = PetRawData(
        scanner=lines.machine,
        beds=(bed,),
        nuclide=file.nuclide,
        start=start,
        axis_mm=axis,
        patient_id=person,
        simulated=file.simulated,
        source=source,
    )
    return raw, (*notes, *_about(file, layout))


def _start(file: SinogramFile) -> datetime:
    if file.start is None:
        raise file.header.error(
            "study date", "or study time is missing: the image would have no instant",
            remedy="write both into the header, such as 2026:03:02 and 10:15:00 (the start of the study)",
        )  # fmt: skip
    return file.start


def _both(digest: str, other: SinogramFile) -> str:
    return hashlib.sha256((digest + other.source.sha256).encode()).hexdigest()


def _place(file: SinogramFile, beside: Beside) -> tuple[tuple[float, float], float]:
    """Where the scanner's axis and middle lay in the patient."""
    own = file.middle_mm
    axis = beside.axis_mm or (None if own is None else own[:2])
    bed_mm = beside.bed_mm if beside.bed_mm is not None else None if own is None else own[2]
    if axis is None or bed_mm is None:
        raise InputError(
            f"{file.path}: a header of STIR does not say where the scanner lay in the patient",
            remedy="state `bed_mm` (LPS z of the scanner's middle) and `axis_mm` (x and y of its axis): the middle of "
            "the vendor's own image of this bed, by its ImagePositionPatient",
        )
    return axis, bed_mm


def _randoms_beside(path: Path, beside: Beside) -> Path | None:
    if beside.randoms is not None:
        return beside.randoms
    other = path.with_name(RANDOMS)
    return other if path.name.lower() == PROMPTS and other.is_file() else None


def _layout(file: SinogramFile, known: Scanner | None) -> SinogramLayout:
    """Layout of a file for its scanner; InputError where both differ."""
    machine = known or _named(file)
    try:
        layout = SinogramLayout(
            _with_times(file, machine), file.views, file.tangential, file.segments, file.view_offset_deg,
            file.position or "HFS",
        )  # fmt: skip
        own = SinogramLayout(machine.untimed, 1, 1, (_MIDDLE,))
    except HepaticaError as error:
        raise InputError(f"{file.path}: {error}") from error
    for key, found, wanted in (
        ("number of rings", file.rings, own.rings), ("number of detectors per ring", file.detectors, own.detectors)
    ):  # fmt: skip
        if found != wanted:
            raise file.header.error(
                key, f"{found}; {machine.name} has {wanted}, the places without a crystal between modules counted",
                remedy="state the `scanner` that it is, by name or as a TOML file; bin the list with STIR's virtual "
                "crystals",
            )  # fmt: skip
    for key, mm, own_mm, same in (
        ("inner ring diameter (cm)", file.radius_mm, machine.radius_mm, SAME_RADIUS),
        ("distance between rings (cm)", file.ring_spacing_mm, machine.pitch_mm[1], SAME_SPACING),
    ):
        if mm is not None and abs(mm / own_mm - 1) > same:
            raise file.header.error(
                key, f"{mm:.4g} mm as radius or spacing; {machine.name} has {own_mm:.4g} mm",
                remedy="state the `scanner` that it is, by name or as a TOML file",
            )  # fmt: skip
    return layout


def _named(file: SinogramFile) -> Scanner:
    try:
        return scanner(file.scanner_name)
    except HepaticaError as error:
        raise file.header.error(
            "originating system", f"{file.scanner_name!r} is no scanner that hepatica knows",
            remedy="state `scanner`: one of its names, or a TOML file that describes it",
        ) from error  # fmt: skip


def _with_times(file: SinogramFile, machine: Scanner) -> Scanner:
    """The scanner with the timing positions of the file."""
    if file.timings is None or file.timing_ps is None:
        return machine.untimed
    tof, key = machine.time_of_flight, "matrix size [5]"
    if tof is None:
        raise file.header.error(key, f"{file.timings} timing positions; {machine.name} has no time of flight")
    if file.timings % 2 == 0:
        raise file.header.error(key, f"{file.timings} timing positions; an odd number, with a middle one, is read")
    covered, whole = file.timings * file.timing_ps, tof.bins * tof.bin_ps
    if abs(covered / whole - 1) > SAME_TIMES:
        raise file.header.error(
            key, f"{file.timings} timing positions of {file.timing_ps:g} ps cover {covered:g} ps; {machine.name} "
            f"counts within {whole:g} ps",
            remedy="give all timing positions, mashed so that they cover the window",
        )  # fmt: skip
    if file.timings == tof.bins:
        return machine
    times = TimeOfFlight(file.timings, file.timing_ps, tof.fwhm_ps)
    return replace(machine, time_of_flight=times, coincidence_window_ns=covered / 1000)


def _prompts(file: SinogramFile, lines: Lines, bed_mm: float) -> tuple[Coincidences, list[Message]]:
    """The counts as a list, and what was left out."""
    rng = np.random.default_rng(SEED)
    parts, total = [], 0
    for timing, segment, values in file.blocks():
        bins, counts = _counts(file, values, timing)
        total += int(counts.sum())
        if total > MOST_COUNTS:
            raise file.header.error("name of data file", f"holds more than {MOST_COUNTS} counts, which no list takes")
        first, second, tof_bin, nowhere = lines.laid(segment, bins, counts, rng)
        if nowhere:
            raise file.header.error(
                "name of data file",
                f"{nowhere} counts of ring differences {segment.low} to {segment.high} lie in bins of places without a "
                f"crystal of {lines.machine.name}: gaps were filled, or the crystals lie otherwise",
                remedy="give the sinogram without gap filling; check `scanner` and view offset",
            )
        parts.append((first, second, tof_bin))
    first, second, tof_bin = (np.concatenate(x) for x in zip(*parts, strict=True))
    found = Coincidences(lines.machine, first, second, tof_bin, file.duration_s, bed_mm)
    notes = []
    if left := total - len(found):
        text = (
            f"{file.path.name}: {left} of {total} counts lie on lines of which the sinogram holds a part: ring "
            f"differences above {lines.machine.ring_difference}, or farther than {lines.machine.field_mm / 2:.0f} mm "
            "from the axis; they are left out, and the sensitivity without them"
        )
        notes.append(Message("sinogram-lines-left-out", text, severity="note"))
    return found, notes


def _counts(file: SinogramFile, values: FloatArray, timing: int) -> tuple[Bins, NDArray[np.int64]]:
    """Bins that counted; InputError for what is no count."""
    key = "name of data file"
    if values.size and values.min() < 0:
        raise file.header.error(
            key, f"holds {values.min():g} in a bin: prompts are not negative",
            remedy="give the prompts themselves, not with the delayed coincidences taken off",
        )  # fmt: skip
    view, axial, tangential = np.nonzero(values)
    found = values[view, axial, tangential]
    whole = np.rint(found)
    if found.size and np.abs(found - whole).max() > WHOLE * max(1.0, float(found.max()) * 1e-4):
        worst = found[np.abs(found - whole).argmax()]
        raise file.header.error(
            key, f"holds {worst:.6g} in a bin: prompts are whole numbers",
            remedy="give the prompts as counted: not scaled, normalised, rebinned or smoothed",
        )  # fmt: skip
    if found.size and float(whole.sum()) > MOST_COUNTS:
        raise file.header.error(key, f"holds more than {MOST_COUNTS} counts, which no list takes")
    return Bins(view, tangential, axial, np.full(len(view), timing)), whole.astype(np.int64)


def _singles(randoms: SinogramFile, prompts: SinogramFile, known: Scanner | None) -> FloatArray:
    """Singles of each crystal that explain a sinogram of randoms."""
    for what in ("rings", "detectors"):
        if getattr(randoms, what) != getattr(prompts, what):
            raise InputError(f"{randoms.path}: {what} of another scanner than those of {prompts.path}")
    if abs(randoms.duration_s / prompts.duration_s - 1) > WHOLE:
        raise InputError(
            f"{randoms.path}: lasts {randoms.duration_s:g} s, the prompts {prompts.duration_s:g} s",
            remedy="give the randoms of the same frame",
        )
    layout = _layout(randoms, known)
    lines = Lines(layout, layout.measured())
    fans = np.zeros(layout.scanner.crystals)
    for _, segment, values in randoms.blocks():
        if values.size and values.min() < 0:
            raise randoms.header.error(
                "name of data file", f"holds {values.min():g} in a bin: randoms are not negative"
            )
        if values.any():
            fans += lines.fan(segment, values)
    try:
        return singles_from_fans(fans, lines.machine, randoms.duration_s)
    except InputError as error:
        raise InputError(f"{randoms.path}: {error}") from error


def _about_randoms(other: Path) -> Message:
    text = f"{other.name}: the randoms rest on its sums over the lines of each crystal, as products of singles"
    return Message("randoms-from-sinogram", text, severity="note")


def _about(file: SinogramFile, layout: SinogramLayout) -> list[Message]:
    """What is taken without being known."""
    name, found = file.path.name, []
    if file.position is None:
        text = f"{name}: does not say how the patient lies; head first and supine are taken"
        found.append(
            Message("position-assumed", text, "write patient orientation and patient rotation into the header")
        )
    span = max(one.high - one.low + 1 for one in layout.segments)
    if span > 1 or layout.mashing > 1:
        text = (
            f"{name}: a bin is {layout.mashing} views of up to {span} ring differences; each count lies on the middle "
            "line of its bin, which blurs the image away from the middle"
        )
        found.append(Message("sinogram-compressed", text, severity="note"))
    if abs(layout.off_places) > TURNED_PLACES:
        degrees = 360 * layout.off_places / layout.detectors
        text = (
            f"{name}: by its view offset the detectors lie {abs(layout.off_places):.2f} of a crystal beside those of "
            f"{layout.scanner.name}: the image is turned by {abs(degrees):.2f} degrees, "
            f"{100 * abs(np.radians(degrees)):.1f} mm at 10 cm from the axis"
        )
        found.append(Message("sinogram-turned", text, "describe the scanner in a TOML file if it is another", "note"))
    if file.live_fraction is None:
        text = f"{name}: says nothing of dead time; none is taken"
        found.append(Message("sinogram-without-dead-time", text, severity="note"))
    return found
