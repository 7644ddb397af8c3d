"""Planar gamma camera images, view by view: which is anterior and which posterior, as the header says it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hepatica.core import Kind, Volume
from hepatica.core.image import Image, Stated
from hepatica.errors import DicomError, InputError
from hepatica.io.dicom.images.phases import frame_times
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

_ACROSS = 0.7
"""A row that points to the patient's left or right by at least this cosine is one of a frontal view."""


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
    """

    image: Volume
    file: int
    frame: int
    view: str | None
    row_to_left: int | None
    duration_s: float | None
    half_life_s: float | None


@dataclass(frozen=True, slots=True, eq=False)
class PlanarFile:
    """All views of one file on one grid (k counts frames), and its views in the energy window wanted."""

    path: Path
    image: Image
    views: tuple[PlanarView, ...]


def read_planar(
    sources: Sequence[Path | str | Image | PlanarFile], *, unit: str | None = None, energy_window: int | None = None
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
            frames = _frames(header, image, energy_window)
            views = tuple(_view(header, image, len(files), n) for n in frames)
            files.append(PlanarFile(Path(image.name if header is None else header.path or image.name), image, views))
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


def _frames(header: Header | None, image: Image, energy_window: int | None) -> list[int]:
    """Numbers of the frames in the energy window wanted."""
    count = image.grid.shape[2]
    if header is None or "EnergyWindowVector" not in header:
        if energy_window not in (None, 1):
            raise InputError(f"energy window {energy_window} is wanted, but no EnergyWindowVector tells windows apart")
        return list(range(count))
    vector = [int(n) for n in header.numbers("EnergyWindowVector")]
    if len(vector) != count:
        raise header.error("EnergyWindowVector", f"numbers {len(vector)} frames of {count}")
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
    )


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


def _require_one_patient(files: Sequence[PlanarFile]) -> None:
    patients = {f.image.context.patient_id for f in files if f.image.context is not None}
    if len(patients) > 1:
        raise InputError(f"the planar views are of several patients: {', '.join(sorted(map(repr, patients)))}")


def anterior_and_posterior(
    files: Sequence[PlanarFile], stated: Sequence[str] | None = None
) -> tuple[PlanarView, PlanarView]:
    """The two views, by their tags or as stated, never by their order alone.

    Parameters
    ----------
    files : sequence of PlanarFile
        As `read_planar` gives them.
    stated : sequence of str, optional
        "anterior" or "posterior" for every view, in the order of files and frames.

    Raises
    ------
    DicomError
        If the header does not say which view is which, and neither does the user.
    InputError
        If what is stated contradicts the header, or there is not one view of each.
    """
    views = [view for file in files for view in file.views]
    if stated is not None:
        if len(stated) != len(views):
            raise InputError(f"{len(stated)} `view_order` are stated, but the files hold {len(views)}")
        for view, word in zip(views, stated, strict=True):
            if view.view not in (None, word):
                where = f"{files[view.file].path}, frame {view.frame + 1}"
                raise InputError(f"{where}: stated as {word}, but {VIEW_TAG} says {view.view}")
        named = list(stated)
    else:
        unknown = [view for view in views if view.view is None]
        if unknown:
            where = ", ".join(f"{files[v.file].path.name} frame {v.frame + 1}" for v in unknown)
            raise DicomError(
                f"{VIEW_TAG} (with DetectorVector) does not say which view is anterior and which posterior ({where})",
                path=files[unknown[0].file].path,
                remedy=(
                    "state it, one word per frame (`view_order` anterior posterior), and name the files one by one "
                    "(`planar`) if there are several"
                ),
            )
        named = [view.view or "" for view in views]
    picked = [[view for view, word in zip(views, named, strict=True) if word == name] for name in VIEWS]
    for name, found in zip(VIEWS, picked, strict=True):
        if len(found) != 1:
            raise InputError(f"a planar lung shunt needs one {name} view; the files hold {len(found)} of {len(views)}")
    return picked[0][0], picked[1][0]
