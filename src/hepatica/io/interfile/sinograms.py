"""Interfile sinograms of a PET as STIR writes them (.hs/.s): header checked key by key, numbers in a stream.

Keys and their meaning are those of STIR's documentation and samples (examples/samples/PET_Interfile_header.hs). A
sinogram with time of flight has 500 million places: it is read segment by segment, and never lies in memory whole.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile
from hepatica.errors import InputError
from hepatica.imaging.pet.sinogram import Position, Segment
from hepatica.io.dicom.images.radiopharmaceutical import nuclide_name
from hepatica.io.interfile.images import Header, data_file, read_header

FloatArray = NDArray[np.float64]

TANGENTIAL, AXIAL, VIEW, SEGMENT, TIMING = (
    "tangential coordinate", "axial coordinate", "view", "segment", "timing positions"
)  # fmt: skip
MOST_BINS = 10**11
POSITIONS: dict[tuple[str, str], Position] = {
    ("head in", "supine"): "HFS", ("head in", "prone"): "HFP", ("feet in", "supine"): "FFS", ("feet in", "prone"): "FFP"
}  # fmt: skip
MIDDLE_KEY = "hepatica middle of scanner (LPS mm)"
"""Where the scanner's middle lay in the patient, which no key of STIR says."""
LIVE_KEY, SIMULATED_KEY = "hepatica live fraction", "hepatica simulated"
"""Share of the coincidences that dead time left, and 1 where no patient was ever in the scanner."""


@dataclass(frozen=True, slots=True, eq=False)
class SinogramFile:
    """What the header of a sinogram says.

    Attributes
    ----------
    header : Header
    scanner_name : str
        "originating system"; empty where it is not there.
    rings, detectors : int
        Places along the axis and around, those without a crystal too.
    radius_mm, ring_spacing_mm : float or None
        Of the crystals' face; of the rings.
    view_offset_deg : float
    views, tangential : int
    segments : tuple of Segment
        In the order of the file.
    timings : int or None
        Timing positions; None without time of flight.
    timing_ps, resolution_ps : float or None
        Width of a timing position, mashed as it is; FWHM.
    by_view : bool
        Whether views lie outside of axial positions.
    position : {"HFS", "HFP", "FFS", "FFP"} or None
        How the patient lies; None where nobody says.
    duration_s : float
    start : datetime or None
    nuclide : str
        Empty where it is not named.
    middle_mm : tuple of float or None
        LPS of the scanner's middle, where hepatica wrote the file.
    live_fraction : float or None
        Share that dead time left, where hepatica wrote the file.
    simulated : bool
    """

    header: Header
    scanner_name: str
    rings: int
    detectors: int
    radius_mm: float | None
    ring_spacing_mm: float | None
    view_offset_deg: float
    views: int
    tangential: int
    segments: tuple[Segment, ...]
    timings: int | None
    timing_ps: float | None
    resolution_ps: float | None
    by_view: bool
    position: Position | None
    duration_s: float
    start: datetime | None
    nuclide: str
    middle_mm: tuple[float, float, float] | None
    live_fraction: float | None
    simulated: bool

    @property
    def path(self) -> Path:
        """Of the header."""
        return self.header.path

    @property
    def source(self) -> InputFile:
        """Header and data with their hash."""
        return InputFile.of("raw", self.path, [self.path, data_file(self.header)])

    def blocks(self) -> Iterator[tuple[int, Segment, FloatArray]]:
        """Timing position, segment and values, shape (views, axials, tangential), of one after the other.

        Raises
        ------
        InputError
            If the data are not as many as the header says, or hold what is no finite number.
        """
        kind, scale = _number_kind(self.header), _scale(self.header)
        with _opened(self.header) as stream:
            for timing in range(self.timings or 1):
                for segment in self.segments:
                    axials = segment.axials(self.rings)
                    shape = (self.views, axials, self.tangential)
                    stored = _numbers(self.header, stream, kind, shape if self.by_view else (axials, *shape[::2]))
                    values = stored if self.by_view else stored.transpose(1, 0, 2)
                    yield timing, segment, values.astype(np.float64) * scale
            if stream.read(1):
                raise self.header.error("name of data file", "holds more than the header says: it is of something else")


def holds_sinograms(path: Path) -> bool:
    """Whether an Interfile holds sinograms of a PET."""
    return read_header(path).text("matrix axis label [1]").lower() == TANGENTIAL


def read_sinogram(path: Path | str) -> SinogramFile:
    """Header of a sinogram whose data are counts as they were measured.

    Raises
    ------
    InputError
        If it cannot be read, a key is missing, contradicts another or says what is not supported.
    """
    header = read_header(Path(path))
    _require_counts(header)
    by_view, segments, views, timings = _axes(header)
    rings, detectors = header.count("number of rings"), header.count("number of detectors per ring")
    _require_sizes(header, segments, rings, by_view)
    geometry = header.text("scanner geometry", "scanner geometry (blocksoncylindrical/cylindrical/generic)")
    if geometry.lower() not in ("", "cylindrical"):
        raise header.error(
            "scanner geometry", f"{geometry!r} is not read; Cylindrical is",
            remedy="bin the list mode with a cylindrical scanner, whose virtual crystals stand for the gaps",
        )  # fmt: skip
    width, resolution = _times(header, timings)
    return SinogramFile(
        header=header,
        scanner_name=header.text("originating system", "scanner type"),
        rings=rings,
        detectors=detectors,
        radius_mm=_length(header, "inner ring diameter (cm)", 5.0),
        ring_spacing_mm=_length(header, "distance between rings (cm)", 10.0),
        view_offset_deg=header.number("view offset (degrees)") or 0.0,
        views=views,
        tangential=header.count("matrix size [1]"),
        segments=segments,
        timings=timings,
        timing_ps=width,
        resolution_ps=resolution,
        by_view=by_view,
        position=_position(header),
        duration_s=_duration(header),
        start=_start(header),
        nuclide=_nuclide(header),
        middle_mm=_middle(header),
        live_fraction=header.number(LIVE_KEY),
        simulated=header.number(SIMULATED_KEY) == 1,
    )


def _require_counts(header: Header) -> None:
    """InputError unless the data are emission counts that nobody corrected."""
    if header.text("matrix axis label [1]").lower() != TANGENTIAL:
        raise header.error("matrix axis label [1]", f"is not {TANGENTIAL!r}: these are no sinograms of STIR's dialect")
    kind = header.text("pet data type")
    if kind.lower() not in ("", "emission"):
        raise header.error(
            "pet data type", f"{kind!r} is not read; Emission is",
            remedy="attenuation comes from the CT; normalisation and scatter are hepatica's own",
        )  # fmt: skip
    text = header.text("applied corrections")
    if not text:
        raise header.error(
            "applied corrections", "is missing, and STIR takes such data as arc-corrected",
            remedy="write {None} if the bins are those of the crystals and the counts are as measured",
        )  # fmt: skip
    done = [word for part in text.strip("{} ").split(",") if (word := part.strip().lower()) not in ("", "none")]
    if any(word.startswith("arc") for word in done):
        raise header.error(
            "applied corrections", f"{text!r}: arc-corrected bins are no lines of crystals any more",
            remedy="export the sinogram without arc correction",
        )  # fmt: skip
    if done:
        raise header.error(
            "applied corrections", f"{text!r}: corrected numbers are no counts",
            remedy="give the prompts as they were measured; hepatica corrects them",
        )  # fmt: skip
    for key in ("number of time frames", "number of energy windows", "number of detector layers"):
        if (several := header.number(key)) is not None and several > 1:
            raise header.error(key, f"{several:g} in one file; 1 is read", remedy="export one of them")


def _axes(header: Header) -> tuple[bool, tuple[Segment, ...], int, int | None]:
    """Order, segments, views and timing positions."""
    dimensions = header.count("number of dimensions")
    if dimensions not in (4, 5):
        raise header.error("number of dimensions", f"{dimensions}; 4 are read, or 5 with time of flight")
    labels = [header.text(f"matrix axis label [{n}]").lower() for n in range(1, dimensions + 1)]
    orders = ([TANGENTIAL, AXIAL, VIEW, SEGMENT], [TANGENTIAL, VIEW, AXIAL, SEGMENT])
    if labels[:4] not in orders or labels[4:] not in ([], [TIMING]):
        raise header.error(
            "matrix axis label",
            f"{', '.join(labels)}: the order is not read; {', '.join(orders[0])} is, or with view and axial "
            f"coordinate exchanged, and {TIMING} as the fifth",
        )
    by_view = labels == orders[0] or labels[:4] == orders[0]
    count = header.count("matrix size [4]")
    low, high = (_whole(header, f"{end} ring difference per segment", count) for end in ("minimum", "maximum"))
    if any(a > b for a, b in zip(low, high, strict=True)):
        raise header.error("minimum ring difference per segment", "is above the maximum of the same segment")
    segments = tuple(Segment(a, b) for a, b in zip(low, high, strict=True))
    views = header.count(f"matrix size [{3 if by_view else 2}]")
    return by_view, segments, views, header.count("matrix size [5]") if dimensions == 5 else None


def _require_sizes(header: Header, segments: tuple[Segment, ...], rings: int, by_view: bool) -> None:
    """InputError unless every segment has the axial positions of all its rings, and all are of a size that there is."""
    key = f"matrix size [{2 if by_view else 3}]"
    stated = _whole(header, key, len(segments))
    for number, (segment, axials) in enumerate(zip(segments, stated, strict=True), start=1):
        reach = max(abs(segment.low), abs(segment.high))
        if reach >= rings:
            raise header.error(
                "maximum ring difference per segment", f"{reach} of segment {number} is none of {rings} rings"
            )
        if axials != segment.axials(rings):
            raise header.error(
                key,
                f"segment {number} (ring differences {segment.low} to {segment.high}) has {axials} axial positions; "
                f"{rings} rings make {segment.axials(rings)}",
                remedy="give the sinogram of all rings, not trimmed",
            )


def _whole(header: Header, key: str, count: int) -> list[int]:
    found = header.numbers(key)
    if len(found) != count or any(value != round(value) or abs(value) > 1e6 for value in found):
        raise header.error(key, f"{header.text(key)[:80]!r}; {count} whole numbers, one for each segment, are needed")
    return [round(value) for value in found]


def _times(header: Header, timings: int | None) -> tuple[float | None, float | None]:
    """Width of a timing position as it is mashed, and resolution, ps; None without time of flight."""
    if timings is None:
        return None, None
    mashing = header.number("tof mashing factor", "%tof mashing factor") or 1.0
    width = header.required("size of unmashed tof time bins (ps)", "size of timing bin (ps)")
    bins = header.number("maximum number of (unmashed) tof time bins", "number of tof time bins")
    if mashing != round(mashing) or mashing < 1 or not width > 0:
        raise header.error("tof mashing factor", f"{mashing:g} bins of {width:g} ps put together make none")
    if bins is not None and timings > -(-bins // mashing) + 1:
        raise header.error(
            "matrix size [5]", f"{timings} timing positions; {bins:g} bins mashed by {mashing:g} make fewer"
        )
    return mashing * width, header.number("tof timing resolution (ps)", "timing resolution (ps)")


def _length(header: Header, key: str, mm: float) -> float | None:
    found = header.number(key)
    return None if found is None or found <= 0 else mm * found


def _position(header: Header) -> Position | None:
    plain = tuple(header.text(f"patient {key}").lower().replace("_", " ") for key in ("orientation", "rotation"))
    if not all(plain) or "unknown" in plain or "other" in plain:
        return None
    words = (plain[0].replace("headin", "head in"), plain[1])
    if words not in POSITIONS:
        raise header.error(
            "patient orientation", f"{plain[0]!r} with rotation {plain[1]!r} is not read; head_in or feet_in, supine "
            "or prone",
        )  # fmt: skip
    return POSITIONS[words]


def _duration(header: Header) -> float:
    found = header.number("image duration (sec) [1]", "image duration (sec)")
    if found is None or not found > 0:
        raise header.error(
            "image duration (sec) [1]", "is missing" if found is None else f"{found:g} s is none",
            remedy="write how long the frame lasted: counts are becquerels through it",
        )  # fmt: skip
    return found


def _start(header: Header) -> datetime | None:
    """Start of the frame; with a zone where the header states one."""
    day, clock = header.text("study date"), header.text("study time")
    if not day or not clock:
        return None
    match = re.fullmatch(r"(\d{1,2}:\d\d:\d\d)(?:\.\d*)?\s*(Z|[+-]\d\d:?\d\d)?", clock)
    for form in ("%Y:%m:%d", "%Y-%m-%d", "%Y/%m/%d", "%d:%m:%Y"):
        try:
            if match:
                zone = (match[2] or "").replace(":", "")
                pattern = f"{form} %H:%M:%S{'%z' if zone else ''}"
                told = datetime.strptime(f"{day} {match[1]}{zone}", pattern)  # noqa: DTZ007
                return told + timedelta(seconds=header.number("image relative start time (sec) [1]") or 0.0)
        except (ValueError, OverflowError):
            continue
    raise header.error("study date", f"{day!r} with {clock!r} is no instant (yyyy:mm:dd and hh:mm:ss)")


def _nuclide(header: Header) -> str:
    text = header.text("radionuclide name [1]", "isotope name", "isotope name [1]", "radionuclide")
    if not text or text.lower() == "unknown":
        return ""
    found = nuclide_name(text)
    if found is None:
        raise header.error("radionuclide name [1]", f"{text!r} is no nuclide that is known")
    return found


def _middle(header: Header) -> tuple[float, float, float] | None:
    found = header.numbers(MIDDLE_KEY.lower())
    if not found:
        return None
    if len(found) != 3:
        raise header.error(MIDDLE_KEY.lower(), "x, y and z are needed")
    return found[0], found[1], found[2]


def _number_kind(header: Header) -> np.dtype[Any]:
    width, words = header.count("number of bytes per pixel"), header.text("number format").lower()
    letter = next((code for word, code in (("unsigned", "u"), ("signed", "i"), ("float", "f")) if word in words), None)
    if letter is None or width not in ({"f": (4, 8)}.get(letter, (1, 2, 4))):
        raise header.error("number format", f"{words or 'nothing'!r} of {width} bytes is not read")
    order = header.text("imagedata byte order").upper().replace(" ", "")
    if order not in ("LITTLEENDIAN", "BIGENDIAN") and width > 1:
        raise header.error("imagedata byte order", f"{order or 'nothing'!r} is neither LITTLEENDIAN nor BIGENDIAN")
    return np.dtype(f"{'<' if order == 'LITTLEENDIAN' else '>'}{letter}{width}")


def _scale(header: Header) -> float:
    found = set(header.numbers("image scaling factor [1]")) or {1.0}
    if len(found) > 1 or not min(found) > 0:
        raise header.error("image scaling factor [1]", "one factor above zero for all segments is read")
    return found.pop()


def _opened(header: Header) -> BinaryIO:
    """The data from their first number on."""
    path = data_file(header)
    offset = header.number("data offset in bytes", "data offset in bytes [1]") or 0.0
    if offset != round(offset) or not 0 <= offset <= MOST_BINS:
        raise header.error("data offset in bytes", f"{offset:g} is none")
    try:
        stream: Any = gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # noqa: SIM115
        stream.seek(round(offset))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return stream  # type: ignore[no-any-return]


def _numbers(header: Header, stream: BinaryIO, kind: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The next numbers of a stream."""
    count = int(np.prod(np.asarray(shape, dtype=object)))
    there = data_file(header).stat().st_size * (1032 if data_file(header).suffix.lower() == ".gz" else 1)
    if count * kind.itemsize > there:
        raise header.error("name of data file", f"is cut short: {' x '.join(map(str, shape))} numbers are not in it")
    try:
        data = stream.read(count * kind.itemsize)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{data_file(header)}: cannot be read ({error})") from error
    if len(data) < count * kind.itemsize:
        raise header.error(
            "name of data file", "is cut short: it ends before the last segment and timing position of the header"
        )
    found = np.frombuffer(data, kind).reshape(shape)
    if kind.kind == "f" and not np.isfinite(found).all():
        raise header.error("name of data file", "holds a bin that is not finite")
    return found
