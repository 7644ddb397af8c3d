"""Planar gamma camera images, view by view: which is anterior and which posterior, as the header says it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hepatica.core import Kind, Volume
from hepatica.core.image import Image, Stated
from hepatica.errors import DicomError, InputError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.images.phases import frame_times
from hepatica.io.dicom.pixels import rescale
from hepatica.io.dicom.scan import scan
from hepatica.io.dicom.series import SeriesKind
from hepatica.io.dicom.tags import Header

VIEWS = ("anterior", "posterior")

VIEW_TAG = "DetectorInformationSequence/ViewCodeSequence"

_CODES = {
    "399321004": "anterior",
    "G-5215": "anterior",
    "399001007": "posterior",
    "G-5216": "posterior",
}
"""SNOMED CT and SNOMED-RT codes of CID 26 "Nuclear Medicine Projections" (DICOM PS3.16)."""

_MEANING = re.compile(r"(ant|post)(erior)?(\s+(projection|view))?", re.IGNORECASE)

FASTEST_MM_S = 200.0
"""A couch that moves faster is in another unit: clinical scans run at 0.8 to 5 mm/s."""

LARGEST_FIELD_MM = 1000.0
"""Fields of heads are 400 to 600 mm long; more is another unit, or the length of the scan. Our choice."""

FEWEST_BITS, PLATEAU_PIXELS = 8, 4
"""A largest count of all bits set, from so many bits on, in so many pixels is a limit: noise puts one or two pixels at
the largest count of a view, and that is all bits set once in some hundred views. Our choice."""

MOST_BITS = 16
"""Files of more bits hold any count."""

_ACROSS = 0.7
"""A row that points to the patient's left or right by at least this cosine is one of a frontal view."""


@dataclass(frozen=True, slots=True)
class WholeBodyScan:
    """How a view was scanned along the body: speed in mm/s, lengths of field and scan in mm, None where not stated."""

    speed_mm_s: float | None
    field_mm: float | None
    length_mm: float | None = None
    one_pass: bool = True

    @property
    def dwell_s(self) -> float | None:
        """Time for which a point is in the field."""
        return None if not self.speed_mm_s or not self.field_mm else self.field_mm / self.speed_mm_s


@dataclass(frozen=True, slots=True, eq=False)
class PlanarView:
    """One planar image as stored, and what its header says about it.

    Attributes
    ----------
    image : Volume
        Counts, one voxel thick; pixels in the order of the file, nothing flipped.
    file, frame : int
        Which file, and which frame of it, from 0.
    view : str or None
        "anterior" or "posterior"; None where the header does not say.
    row_to_left : int or None
        1 if a row runs from the patient's right to the left, -1 if from left to right, by ImageOrientationPatient of
        the detector; None where the header does not say.
    duration_s : float or None
        Of the view.
    half_life_s : float or None
        Of the nuclide, if the header names it.
    window : int
        Number of the energy window in the file, from 1.
    scan : WholeBodyScan or None
        Speed and field where the view was scanned along the body.
    collimator : str
        Serial number or name of the head's collimator, by which heads are told apart; empty where not stated.
    place_mm : tuple of float or None
        x and z (LPS) of the first pixel, where the header states a place in the patient.
    limit : float
        Largest count that a pixel of the file can hold, or at which its pixels stand as at a limit.
    column_to_head : bool
        Whether a column runs from feet to head (ImageOrientationPatient of the detector); else from head to feet.
    angle_deg : float or None
        StartAngle of the detector: 0 behind the patient, 180 before it.
    """

    image: Volume
    file: int
    frame: int
    view: str | None
    row_to_left: int | None
    duration_s: float | None
    half_life_s: float | None
    window: int = 1
    scan: WholeBodyScan | None = None
    collimator: str = ""
    place_mm: tuple[float, float] | None = None
    limit: float = math.inf
    column_to_head: bool = False
    angle_deg: float | None = None

    @property
    def from_front(self) -> bool | None:
        """Whether rows run as a head before the patient sees them; None where the header has none.

        None of an image stored feet up too: it is turned about, or upside down, and rows tell nothing.
        """
        return None if self.row_to_left is None or self.column_to_head else self.row_to_left > 0


@dataclass(frozen=True, slots=True, eq=False)
class PlanarFile:
    """All views of one file on one grid (k counts frames), and its views in the energy window wanted."""

    path: Path
    image: Image
    views: tuple[PlanarView, ...]


def read_planar(
    sources: Sequence[Path | str | Image | PlanarFile],
    *,
    unit: str | None = None,
    energy_window: int | None = None,
    all_windows: bool = False,
    one_patient: bool = True,
) -> list[PlanarFile]:
    """Planar files with their views.

    Parameters
    ----------
    sources : sequence of Path, Image or PlanarFile
        NM files (static or whole-body), one folder of them, or NIfTI and MetaImage files of one plane per view; an
        image in counts with one plane per view; or what this function gave before.
    unit : str, optional
        What a pixel of a NIfTI or MetaImage holds ("counts").
    energy_window : int, optional
        Which window to take where a file holds several, from 1.
    all_windows : bool
        Take all windows; else a file with several is refused unless one is chosen.
    one_patient : bool
        Refuse files of several patients.

    Raises
    ------
    InputError
        If there is none, or it does not hold counts.
    DicomError
        If a tag is missing or contradictory, or a file holds several energy windows and none is chosen.
    """
    files: list[PlanarFile] = []
    for source in sources:
        if isinstance(source, PlanarFile):
            files.append(replace(source, views=tuple(replace(view, file=len(files)) for view in source.views)))
            continue
        for image, header in _images(source, unit):
            if image.volume.kind is not Kind.COUNTS:
                raise InputError(
                    f"{image.name}: holds {image.volume.kind.meaning}; planar lung shunts are taken from counts"
                )
            frames = _frames(header, image, energy_window, all_windows=all_windows)
            views = tuple(_view(header, image, len(files), n) for n in frames)
            files.append(PlanarFile(Path(image.name if header is None else header.path or image.name), image, views))
    if one_patient:
        _require_one_patient(files)
    return files


def _images(source: Path | str | Image, unit: str | None) -> Iterator[tuple[Image, Header | None]]:
    """Planar images of a source, each with its header if it has one."""
    from hepatica.io.itk import is_itk_file, read_itk_image
    from hepatica.io.read import read_series

    if isinstance(source, Image):
        yield source.used_as("planar"), None
    elif not isinstance(source, str | Path):
        raise InputError(f"planar views are a path, an Image or a PlanarFile, not {type(source).__name__}")
    elif is_itk_file(path := Path(source)):
        yield read_itk_image(path, role="planar", stated=Stated(unit=unit)), None
    else:
        series = scan(path).of_kind(SeriesKind.NM_PLANAR)
        if not series:
            raise DicomError("no planar NM image (ImageType STATIC or WHOLE BODY)", path=path)
        yield from ((read_series(s, role="planar"), s.headers[0]) for s in series)


def _frames(header: Header | None, image: Image, energy_window: int | None, *, all_windows: bool) -> list[int]:
    """Numbers of the frames in the energy window wanted, or of all."""
    count = image.grid.shape[2]
    if header is None or "EnergyWindowVector" not in header:
        if energy_window not in (None, 1):
            raise InputError(f"energy window {energy_window} is wanted, but no EnergyWindowVector tells windows apart")
        return list(range(count))
    vector = [int(n) for n in header.numbers("EnergyWindowVector")]
    if len(vector) != count:
        raise header.error("EnergyWindowVector", f"numbers {len(vector)} frames of {count}")
    if all_windows:
        return list(range(count))
    windows = sorted(set(vector))
    if energy_window is None and len(windows) > 1:
        limits = ", ".join(f"{low:g}-{high:g} keV" for low, high in image.acquisition.energy_windows_kev)
        raise header.error(
            "EnergyWindowVector",
            f"the file holds energy windows {', '.join(map(str, windows))} ({limits or 'limits not stated'})",
            remedy="choose one (`energy_window`)",
        )
    wanted = windows[0] if energy_window is None else energy_window
    if wanted not in windows:
        raise header.error("EnergyWindowVector", f"there is no energy window {wanted}")
    return [n for n, window in enumerate(vector) if window == wanted]


def _view(header: Header | None, image: Image, file: int, frame: int) -> PlanarView:
    whole = image.volume
    window = (slice(0, whole.grid.shape[0]), slice(0, whole.grid.shape[1]), slice(frame, frame + 1))
    one = Volume(whole.grid.crop(window), whole.values[window], whole.kind, whole.time, whole.name)
    detector = None if header is None else _detector(header, frame, whole.grid.shape[2])
    times = None if header is None else frame_times(header, whole.grid.shape[2])
    facts = image.acquisition
    return PlanarView(
        one,
        file,
        frame,
        None if detector is None else _said_view(detector),
        None if detector is None else _row_to_left(detector),
        facts.frame_duration_s if times is None else float(times.duration_s[frame]),
        facts.half_life_s or _half_life_of(facts.nuclide),
        1 if header is None else _window_of(header, frame, whole.grid.shape[2]),
        None if header is None else _scan_of(header, detector),
        "" if detector is None else detector.text("CollimatorGridName").strip(),
        None if detector is None or header is None else _place(header, detector),
        math.inf if header is None else _limit(header, one),
        detector is not None and _column_to_head(detector),
        None if detector is None else detector.number("StartAngle"),
    )


def stands_of(header: Header, frame: int, frames: int) -> tuple[str, int | None, bool | None]:
    """How a frame stands to the patient: view (empty if not stated), how rows run, and how columns run.

    The directions are `row_to_left` and `column_to_head` of `PlanarView`.
    Both are None where the header states none.
    """
    detector = _detector(header, frame, frames)
    if detector is None:
        return "", None, None
    row = _row_to_left(detector)
    return _said_view(detector) or "", row, None if row is None else _column_to_head(detector)


def _limit(header: Header, view: Volume) -> float:
    """Largest count that a pixel can hold: all bits set, rescaled; of fewer bits where pixels stand at such a limit."""
    bits = header.integer("BitsStored")
    if bits is None or bits > MOST_BITS:
        return math.inf
    used = bits - 1 if header.integer("PixelRepresentation") else bits
    slope, intercept = rescale(header, required=False)
    top = float(view.values.max())
    stored = round((top - intercept) / slope) + 1 if slope else 0
    if stored >= 1 << FEWEST_BITS and not stored & (stored - 1) and int((view.values >= top).sum()) >= PLATEAU_PIXELS:
        # A word of the acquisition that is shorter than that of the file: several pixels at one full word of bits.
        return top
    return float((1 << used) - 1) * slope + intercept


def _window_of(header: Header, frame: int, frames: int) -> int:
    vector = [int(n) for n in header.numbers("EnergyWindowVector")] if "EnergyWindowVector" in header else []
    return vector[frame] if len(vector) == frames else 1


def _scan_of(header: Header, detector: Header | None) -> WholeBodyScan | None:
    """Speed and field of a whole-body scan (PS3.3 C.8.4.9: ScanVelocity in mm/s); None of a static view."""
    if "WHOLE BODY" not in [word.strip() for word in header.texts("ImageType")]:
        return None
    speed = header.number("ScanVelocity")
    if speed is not None and not 0 < speed < FASTEST_MM_S:
        raise header.error("ScanVelocity", f"{speed:g} mm/s is no speed of a scan", remedy="correct the file (mm/s)")
    field = detector.numbers("FieldOfViewDimensions") if detector and "FieldOfViewDimensions" in detector else ()
    along = float(field[-1]) if field and 0 < field[-1] < LARGEST_FIELD_MM else None
    length, technique = header.number("ScanLength"), header.text("WholeBodyTechnique").strip()
    return WholeBodyScan(speed, along, length if length and length > 0 else None, technique in ("", "1PS"))


def _place(header: Header, detector: Header) -> tuple[float, float] | None:
    """X and z of the first pixel of a frontal view; None where the header gives no place."""
    if not detector.numbers("ImagePositionPatient"):
        return None
    plane = geometry.detector_plane(header, detector)
    if plane is None or abs(float(plane.row[0])) < _ACROSS:
        return None
    return float(plane.position_mm[0]), float(plane.position_mm[2])


def _half_life_of(name: str | None) -> float | None:
    from hepatica.errors import UnknownNameError
    from hepatica.nuclides import nuclide

    if name is None:
        return None
    try:
        return nuclide(name).half_life_s
    except UnknownNameError:
        # Nothing is lost: the user is asked for the half-life where one is needed.
        return None


def _detector(header: Header, frame: int, frames: int) -> Header | None:
    """Item of DetectorInformationSequence that a frame belongs to; None if there are no such items."""
    detectors = header.items("DetectorInformationSequence")
    if not detectors:
        return None
    vector = [int(n) for n in header.numbers("DetectorVector")] if "DetectorVector" in header else []
    if not vector:
        # Without the vector only one detector leaves no choice.
        return detectors[0] if len(detectors) == 1 and frames == 1 else None
    if len(vector) != frames:
        raise header.error("DetectorVector", f"numbers {len(vector)} frames of {frames}")
    if not 1 <= vector[frame] <= len(detectors):
        raise header.error(
            "DetectorVector", f"frame {frame + 1} is of detector {vector[frame]}, but {len(detectors)} are described"
        )
    return detectors[vector[frame] - 1]


def _said_view(detector: Header) -> str | None:
    """View of a detector by code, or by the code's meaning where the code is another scheme's."""
    code = detector.item("ViewCodeSequence")
    if code is None:
        return None
    meaning = _MEANING.fullmatch(code.text("CodeMeaning").strip())
    by_meaning = None if meaning is None else VIEWS[meaning.group(1).lower() == "post"]
    by_code = _CODES.get(code.text("CodeValue").strip())
    if by_code and by_meaning and by_code != by_meaning:
        raise code.error("CodeMeaning", f"{code.text('CodeMeaning')!r} contradicts the code of the {by_code} view")
    return by_code or by_meaning


def _row_to_left(detector: Header) -> int | None:
    """Direction of rows across the patient by ImageOrientationPatient; +x is the patient's left in DICOM."""
    direction = detector.numbers("ImageOrientationPatient") if "ImageOrientationPatient" in detector else ()
    if len(direction) != 6 or abs(direction[0]) < _ACROSS:
        return None
    return 1 if direction[0] > 0 else -1


def _column_to_head(detector: Header) -> bool:
    """Whether columns run towards the head by ImageOrientationPatient; +z is the head in DICOM."""
    direction = detector.numbers("ImageOrientationPatient") if "ImageOrientationPatient" in detector else ()
    return len(direction) == 6 and direction[5] > _ACROSS


def _require_one_patient(files: Sequence[PlanarFile]) -> None:
    patients = {f.image.context.patient_id for f in files if f.image.context is not None}
    if len(patients) > 1:
        raise InputError(f"the planar views are of several patients: {', '.join(sorted(map(repr, patients)))}")
