"""MR repeated in time: files of one acquisition, sorted by their instants, each with the same echoes and slices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, InputFile
from hepatica.core.context import DicomContext
from hepatica.errors import DicomError, InputError
from hepatica.imaging.mri.echoes import SAME_ECHO_S
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.mr.components import MAGNITUDE
from hepatica.io.dicom.mr.read import (
    MrStated,
    chosen_of,
    field_of,
    grouped,
    images_of,
    require_gradient_echoes,
    require_single,
    source_of,
    values_of,
)
from hepatica.io.dicom.mr.scales import Frame, one_scale
from hepatica.io.dicom.scan import scan
from hepatica.io.dicom.series import SeriesKind, acquisition_start, frame_of_reference
from hepatica.io.dicom.tags import Header

FEWEST = 5
"""Instants of a series in time."""


@dataclass(frozen=True, slots=True, eq=False)
class MrSeries:
    """One acquisition repeated.

    Attributes
    ----------
    grid : Grid
        Of all instants.
    echo_times_s : tuple of float
        s; of one echo or several.
    field_t : float
        T.
    instants : tuple of Instant
        In time.
    context : DicomContext
        Patient and study.
    source : InputFile
        The files.
    patient_id : str
        Of all of them.
    """

    grid: Grid
    echo_times_s: tuple[float, ...]
    field_t: float
    instants: tuple[Instant, ...]
    context: DicomContext
    source: InputFile
    patient_id: str

    def magnitudes(self) -> Iterator[tuple[Instant, NDArray[np.float32] | None, str]]:
        """Each instant with its images, shape (echoes, i, j, k), read as they are asked for.

        None, and why, where an instant has not the echoes or slices of the others.
        """
        for one in self.instants:
            images, why = _images(one.images, self.grid.frame_of_reference)
            wanted = {round(time / SAME_ECHO_S) for time in self.echo_times_s}
            if why or set(images) != wanted or any(not grid.matches(self.grid) for grid, _ in images.values()):
                missing = ", ".join(f"{1000 * SAME_ECHO_S * n:.4g} ms" for n in sorted(wanted - set(images)))
                text = f"echoes at {missing} are missing" if missing else why or "its echoes or slices are not those"
                yield one, None, f"the MR at {one.at:%H:%M:%S}: {text} of the other instants; it is not used"
            else:
                yield one, np.stack([images[n][1] for n in sorted(wanted)]), ""


@dataclass(frozen=True, slots=True, eq=False)
class Instant:
    """Images of one instant.

    Attributes
    ----------
    at : datetime
        When its acquisition began.
    images : tuple of Frame
        Magnitudes of all echoes and slices.
    """

    at: datetime
    images: tuple[Frame, ...]


def read_mr_series(path: Path | str, *, stated: MrStated = MrStated()) -> MrSeries:
    """A repeated gradient-echo acquisition from a DICOM file or folder.

    Instants are told by TemporalPositionIdentifier (or TemporalPositionIndex of a multi-frame file), else by
    AcquisitionNumber, else by the time of acquisition.

    Parameters
    ----------
    path : Path
        File, or folder that is searched to any depth.
    stated : MrStated
        Series to take, field strength.

    Raises
    ------
    DicomError
        If there is no MR, it is no gradient echo, or an instant has no time or the same as another.
    InputError
        If it holds fewer than five instants.
    """
    found = scan(path)
    chosen = chosen_of(found.of_kind(SeriesKind.MR), stated.series, Path(path), [repr(one) for one in found.series])
    headers = [header for one in chosen for header in one.headers]
    require_gradient_echoes(headers)
    patients = {header.text("PatientID") for header in headers}
    if len(patients) > 1:
        raise DicomError(f"{path}: files of {len(patients)} patients", tag="PatientID", remedy="name one series")
    field_t, _ = field_of(headers, stated.field_t)
    images = one_scale([one for header in headers for one in images_of(header) if one.component == MAGNITUDE])
    if not images:
        raise DicomError(f"{path}: no magnitude images among the MR", tag="ImageType")
    instants = _instants(images, Path(path))
    if len(instants) < FEWEST:
        raise InputError(f"{path}: MR of {len(instants)} instants; {FEWEST} at least are a series in time")
    first, why = _images(instants[0].images, frame_of_reference(headers))
    if why:
        raise DicomError(f"{path}: the first instant: {why}")
    grid = next(iter(first.values()))[0]
    times = tuple(round(n * SAME_ECHO_S, 9) for n in sorted(first))
    return MrSeries(grid, times, field_t, instants, context_of([one.header for one in instants[0].images[:1]]),
                    source_of("frames", Path(path), headers), patients.pop())  # fmt: skip


def _instants(images: Sequence[Frame], path: Path) -> tuple[Instant, ...]:
    groups: dict[object, list[Frame]] = {}
    by = _ways(images)
    for one in images:
        groups.setdefault(by(one), []).append(one)
    out = []
    for members in groups.values():
        at = [time for one in members if (time := _time_of(one)) is not None]
        if not at:
            raise DicomError("an MR image says no time of acquisition", path=members[0].header.path,
                             tag="AcquisitionTime")  # fmt: skip
        out.append(Instant(min(at), tuple(members)))
    out.sort(key=lambda one: one.at)
    for earlier, later in itertools.pairwise(out):
        if earlier.at == later.at:
            raise DicomError(f"{path}: two instants of the MR have the same time, {later.at}", tag="AcquisitionTime",
                             remedy="name one series")  # fmt: skip
    return tuple(out)


def _ways(images: Sequence[Frame]) -> Callable[[Frame], object]:
    """What tells instants apart in these files."""
    ways: tuple[Callable[[Frame], object], ...] = (_position, lambda one: one.header.integer("AcquisitionNumber"))
    for way in ways:
        known = {way(one) for one in images}
        if None not in known and len(known) > 1:
            return way
    return _time_of


def _position(image: Frame) -> int | None:
    content = _own_group(image)
    index = None if content is None else content.integer("TemporalPositionIndex")
    return image.header.integer("TemporalPositionIdentifier") if index is None else index


def _own_group(image: Frame) -> Header | None:
    frames = image.header.items("PerFrameFunctionalGroupsSequence")
    return frames[image.number].item("FrameContentSequence") if frames else None


def _time_of(image: Frame) -> datetime | None:
    content = _own_group(image)
    own = None if content is None else content.instant("FrameAcquisitionDateTime", image.header.zone())
    return own or acquisition_start(image.header)


def _images(members: Sequence[Frame], frame_uid: str | None) -> tuple[dict[int, tuple[Grid, NDArray[np.float32]]], str]:
    """Grid and values of each echo, by its time in steps of `SAME_ECHO_S`; and what is wrong with them."""
    out = {}
    try:
        for (_, echo), some in grouped(members).items():
            require_single(some)
            stack = geometry.stack_planes([one.plane for one in some], frame_of_reference=frame_uid)
            out[echo] = stack.grid, values_of(some, stack)
    except DicomError as error:
        return out, str(error)
    return out, ""
