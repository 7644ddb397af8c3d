"""Interfile projections (.hs/.s of STIR): read as `hepatica.imaging.spect.projections.Projections`.

STIR's own converter writes start angle and direction of a DICOM file as they stand there, and its frames row by row, so
angles and rows are taken as DICOM's: 0 degrees behind the patient's back, growing to the left side, rows to the feet.
The header does not say where the axis lies in the patient.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import numpy as np

from hepatica.core import InputFile
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.io.dicom.images.camera_heads import Head, radius_problem, view_time_problem
from hepatica.io.dicom.images.radiopharmaceutical import nuclide_name
from hepatica.io.interfile.images import Header, data_file, read_header, read_numbers, scale_of, scaled


def read_interfile_projections(
    path: Path, *, radius_mm: float | None = None
) -> tuple[Projections, Head, InputFile, tuple[Message, ...]]:
    """Projections, the head that took them, the files, and what was assumed.

    Parameters
    ----------
    path : Path
        Header or data.
    radius_mm : float or None
        From the axis to the collimator, where the header has no radius.

    Raises
    ------
    InputError
        If header or data cannot be read, a key is missing, or no camera has such a number.
    """
    header = read_header(path)
    if not header.text("number of projections"):
        raise header.error("number of projections", "is missing: these are no projections")
    views = header.count("number of projections")
    columns, rows = header.count("matrix size [1]"), header.count("matrix size [2]")
    stored, notes = read_numbers(header, (columns, rows, views))
    counts = scaled(stored.transpose(0, 2, 1)[None, :, :, ::-1], scale_of(header))
    if not np.isfinite(counts).all():
        raise header.error("name of data file", "holds counts that are not finite")
    head = _head(header, views, radius_mm)
    view_s = _view_seconds(header, views)
    nuclide = _nuclide(header)
    found = Projections(
        counts,
        Orbit(head.angle_deg, head.radius_mm),
        (_window(header),),
        (header.required("scaling factor (mm/pixel) [1]"), header.required("scaling factor (mm/pixel) [2]")),
        view_s,
        start=_start(header),
        nuclide=nuclide,
    )
    text = (
        f"{header.path}: start angle and direction of rotation are taken as DICOM defines them (0 degrees behind the "
        "patient's back, growing to the left side), and rows as running to the feet"
    )
    notes.append(Message("angles-assumed", text, "check the image's orientation"))
    text = f"{header.path}: an Interfile does not say where the axis of rotation lies in the patient"
    remedy = "state `axis_mm`, x and y of the axis and z of the lowest row in the CT"
    notes.append(Message("axis-unknown", text, remedy))
    source = InputFile.of("projections", header.path, [header.path, data_file(header)])
    return found, head, source, tuple(notes)


def _head(header: Header, views: int, radius_mm: float | None) -> Head:
    """Angles and radii of all views; heads are not told apart."""
    turn = header.text("direction of rotation").upper()
    if turn not in ("CW", "CCW", "CC"):
        raise header.error("direction of rotation", f"{turn or 'nothing'!r} is neither CW nor CCW")
    arc = header.required("extent of rotation")
    if not 0 < arc <= 720:
        raise header.error("extent of rotation", f"{arc:g} degrees is none")
    start = header.required("start angle")
    radii = header.numbers("radius", "radii")
    stated = bool(radii)
    if not radii:
        if radius_mm is None:
            raise header.error("radius", "is missing", remedy="state `radius_mm`")
        radii = (radius_mm,)
    if len(radii) not in (1, views):
        raise header.error("radius", f"has {len(radii)} values for {views} views")
    if stated and (problem := radius_problem(radii)):
        raise header.error("radius", problem, remedy="correct it in the header (millimetres)")
    radius = np.broadcast_to(np.asarray(radii, dtype=np.float64), (views,))
    angle = start + (-1 if turn == "CW" else 1) * arc / views * np.arange(views, dtype=np.float64)
    return Head(1, np.asarray(angle, dtype=np.float64), radius, stated, "", None)


def _view_seconds(header: Header, views: int) -> float:
    """Time of a view, of its own or from the duration of all."""
    one = header.number("time per projection (sec)", "time per projection (sec) [1]")
    whole = header.number("image duration (sec) [1]", "image duration (sec)", "study duration (sec)")
    if not one and not whole:
        raise header.error("image duration (sec) [1]", "is missing: how long a view took is not known")
    seconds = one or (whole or 0.0) / views
    if problem := view_time_problem(seconds, views):
        raise header.error("image duration (sec) [1]", problem, remedy="correct it in the header (seconds)")
    return seconds


def _window(header: Header) -> Window:
    low, high = (header.number(f"energy window {end} level [1]") for end in ("lower", "upper"))
    if low is None or high is None:
        raise header.error("energy window lower level [1]", "is missing: which photons were counted is not known")
    if not 0 < low < high:
        raise header.error("energy window lower level [1]", f"a window from {low:g} to {high:g} keV is none")
    return Window(low, high)


def _nuclide(header: Header) -> str | None:
    """Nuclide by its name; None if the header names none."""
    text = header.text("isotope name", "isotope name [1]", "radionuclide", "nuclide")
    if not text:
        return None
    found = nuclide_name(text)
    if found is None:
        raise header.error("isotope name", f"{text!r} is no nuclide that is known")
    return found


def _start(header: Header) -> datetime | None:
    """Start of the acquisition; None if day or time is not stated."""
    day, clock = (
        header.text("study date", "study date (dd:mm:yyyy)"),
        header.text("study time", "study time (hh:mm:ss)"),
    )
    if not day or not clock:
        return None
    for form in ("%Y:%m:%d", "%d:%m:%Y", "%Y-%m-%d", "%Y/%m/%d"):
        try:
            return datetime.strptime(f"{day} {re.split(r'[.+Z]', clock)[0]}", f"{form} %H:%M:%S")  # noqa: DTZ007
        except ValueError:
            continue
    raise InputError(f"{header.path}: study date: {day!r} with {clock!r} is no instant (yyyy:mm:dd and hh:mm:ss)")
