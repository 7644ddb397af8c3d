"""Multi-echo gradient-echo MR from DICOM: one series of all echoes, several of one each, or enhanced files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, InputFile, Kind, Volume
from hepatica.core.image import Acquisition, Image
from hepatica.core.message import Message, unique
from hepatica.errors import DicomError, InputError
from hepatica.imaging.mri.echoes import SAME_ECHO_S, MultiEcho
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.identity.profile import identity_of
from hepatica.io.dicom.mr.components import IMAGINARY, MAGNITUDE, PHASE, REAL, component_of, radians
from hepatica.io.dicom.mr.scales import Frame, one_scale, private_slope
from hepatica.io.dicom.pixels import file_of, rescale, stored_values
from hepatica.io.dicom.scan import scan
from hepatica.io.dicom.series import Series, SeriesKind, acquisition_start, frame_of_reference, noted
from hepatica.io.dicom.tags import Header

SAME_FIELD = 0.05
GAUSS_ABOVE = 100.0
"""A field strength above this is written in gauss, as old scanners do."""

LONGEST_S = 3600.0
"""Time from the first to the last image of one acquisition: echoes of several breath-holds are minutes apart."""

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MrStated:
    """What the user states of MR files.

    Attributes
    ----------
    series : tuple of str
        SeriesInstanceUIDs to take; empty for all MR of the folder.
    field_t : float or None
        Field strength where the files do not say it, T.
    phase_half_turn : float or None
        Value of half a turn in phase images of an unknown unit.
    """

    series: tuple[str, ...] = ()
    field_t: float | None = None
    phase_half_turn: float | None = None


def read_multi_echo(path: Path | str, *, role: str, stated: MrStated = MrStated()) -> MultiEcho:
    """A multi-echo acquisition from a DICOM file or folder.

    Parameters
    ----------
    path : Path
        File, or folder that is searched to any depth.
    role : str
        What it is used as, for the provenance.
    stated : MrStated
        What the files do not say.

    Raises
    ------
    InputError
        If there is no such path, or there are fewer than two echo times.
    DicomError
        If there is no MR, a series named is not there, echo times are missing or equal, slices of echoes lie at
        different places, or the phase's unit is not known.
    """
    found = scan(path)
    chosen = chosen_of(found.of_kind(SeriesKind.MR), stated.series, Path(path), [repr(one) for one in found.series])
    for one in chosen:
        one.require_whole()
    headers = [header for one in chosen for header in one.headers]
    require_gradient_echoes(headers)
    _require_one_time(headers)
    frames = one_scale([frame for header in headers for frame in images_of(header)])
    frame_uid = frame_of_reference(headers)
    groups = grouped(frames)
    images: dict[str, dict[int, Float]] = {}
    grid: Grid | None = None
    notes: list[Message] = [*found.messages, *noted(headers)]
    for (component, echo), members in groups.items():
        require_single(members)
        stack = geometry.stack_planes([f.plane for f in members], frame_of_reference=frame_uid)
        notes += stack.messages
        if grid is not None and not grid.matches(stack.grid):
            raise DicomError(
                f"the images at {echo * SAME_ECHO_S * 1000:.4g} ms ({component}) lie on {stack.grid}, others on "
                f"{grid}: they are no echoes of one acquisition",
                path=members[0].header.path,
                remedy="name the series of one acquisition",
            )
        grid = stack.grid
        images.setdefault(component, {})[echo] = values_of(members, stack)
    assert grid is not None
    magnitude, phase, times, said = _parts(images, headers[0], stated)
    field_t, about_field = field_of(headers, stated.field_t)
    ordered = _first_echo(groups)
    thickness = ordered[0].plane.thickness_mm
    spacing = grid.spacing_mm
    return MultiEcho(
        grid,
        times,
        magnitude,
        phase,
        field_t,
        _started(headers),
        (spacing[0], spacing[1], thickness if thickness and thickness > 0 else spacing[2]),
        str(path),
        context_of(_unique_headers(ordered)),
        source_of(role, Path(path), headers),
        " ".join(filter(None, (headers[0].text("Manufacturer"), headers[0].text("ManufacturerModelName")))),
        unique(notes, said, about_field, _about_series(chosen)),
    )


def read_mr_image(path: Path | str) -> Image:
    """Signal of an MR image to look at: the magnitude of its first echo, whatever its sequence.

    Parameters
    ----------
    path : Path
        DICOM file, or folder that is searched to any depth.

    Returns
    -------
    Image
        In the scanner's own unit, which means nothing from one scan to another (`Kind.UNKNOWN`).

    Raises
    ------
    InputError
        If there is no such path.
    DicomError
        If there is no MR, or its images make no volume.
    """
    found = scan(path)
    chosen = chosen_of(found.of_kind(SeriesKind.MR), (), Path(path), [repr(one) for one in found.series])
    for one in chosen:
        one.require_whole()
    headers = [header for one in chosen for header in one.headers]
    members = _first_echo(grouped(one_scale([frame for header in headers for frame in images_of(header)])))
    require_single(members)
    stack = geometry.stack_planes([f.plane for f in members], frame_of_reference=frame_of_reference(headers))
    volume = Volume(stack.grid, values_of(members, stack), Kind.UNKNOWN, name=str(path))
    shown = _unique_headers(members)
    return Image(volume, context_of(shown), Acquisition(), source_of("mr", Path(path), shown), stack.messages)


def chosen_of(series: Sequence[Series], wanted: tuple[str, ...], path: Path, all_found: Sequence[str]) -> list[Series]:
    """The MR series named, or all; DicomError where there is none."""
    if not series:
        listed = "\n  ".join(all_found)
        raise DicomError(f"{path}: no MR series" + (f"; found:\n  {listed}" if listed else ""))
    if not wanted:
        return list(series)
    uids = {one.uid for one in series}
    if absent := [uid for uid in wanted if uid not in uids]:
        listed = "\n  ".join(repr(one) for one in series)
        raise DicomError(f"{path}: no MR series {', '.join(absent)}; there are:\n  {listed}")
    return [one for one in series if one.uid in wanted]


def images_of(header: Header) -> list[Frame]:
    """The images of a file, one or many."""
    per_frame = header.items("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        echo = _echo_time(header, "EchoTime", header)
        plane = geometry.plane_of(header)
        return [
            Frame(header, 0, plane, echo, component_of(header), rescale(header, required=False), private_slope(header))
        ]
    shared = header.item("SharedFunctionalGroupsSequence")
    planes = geometry.multiframe_planes(header)
    out = []
    for number, (frame, plane) in enumerate(zip(per_frame, planes, strict=True)):

        def group(keyword: str, frame: Header = frame) -> Header | None:
            return frame.item(keyword) or (shared.item(keyword) if shared else None)

        timing = group("MREchoSequence")
        if timing is None:
            raise header.error("MREchoSequence", f"frame {number + 1} has no echo time")
        kind = group("MRImageFrameTypeSequence")
        scaling = group("PixelValueTransformationSequence")
        out.append(
            Frame(
                header, number, plane, _echo_time(timing, "EffectiveEchoTime", header),
                component_of(header if kind is None else kind, header),
                (1.0, 0.0) if scaling is None else rescale(scaling, required=False), private_slope(frame, header),
            )
        )  # fmt: skip
    return out


def require_gradient_echoes(headers: Sequence[Header]) -> None:
    """DicomError where the files say that they are spin echoes: those decay by R2, which holmium hardly changes."""
    for header in headers:
        words = [word.upper() for word in header.texts("ScanningSequence")]
        if "SE" in words:
            raise header.error("ScanningSequence", f"is {'/'.join(words)}: spin echoes; R2* needs gradient echoes")
        if header.text("EchoPulseSequence").upper() in ("SPIN", "BOTH"):
            raise header.error("EchoPulseSequence", "tells of spin echoes; R2* needs gradient echoes")


def _require_one_time(headers: Sequence[Header]) -> None:
    """DicomError where images were acquired so far apart that they are of two acquisitions."""
    times = [(time, header) for header in headers if (time := acquisition_start(header)) is not None]
    if not times:
        return
    (first, one), (last, other) = min(times, key=lambda t: t[0]), max(times, key=lambda t: t[0])
    if (last - first).total_seconds() > LONGEST_S:
        raise DicomError(
            f"{one.path} was acquired at {first}, {other.path} at {last}: they are no echoes of one acquisition",
            path=other.path, tag="AcquisitionDate", remedy="name the series of one acquisition",
        )  # fmt: skip


def _echo_time(place: Header, keyword: str, header: Header) -> float:
    time_ms = place.number(keyword)
    if time_ms is None:
        raise header.error(keyword, "is missing: R2* cannot be found without echo times")
    if time_ms <= 0:
        raise header.error(keyword, f"{time_ms:g} ms is no echo time")
    return time_ms / 1000


def grouped(frames: Sequence[Frame]) -> dict[tuple[str, int], list[Frame]]:
    """Images by what they show and their echo time, which is rounded to ten microseconds."""
    groups: dict[tuple[str, int], list[Frame]] = {}
    for frame in frames:
        groups.setdefault((frame.component, round(frame.echo_s / SAME_ECHO_S)), []).append(frame)
    return groups


def require_single(members: Sequence[Frame]) -> None:
    """DicomError if two images of one kind and echo time lie at one place."""
    seen: dict[tuple[float, ...], Frame] = {}
    for frame in members:
        place = tuple(np.round([*frame.plane.position_mm, *frame.plane.normal], 2).tolist())
        if place in seen:
            raise DicomError(
                f"{seen[place].plane.name} and {frame.plane.name} are two images of one place with the same echo time, "
                f"{1000 * frame.echo_s:g} ms: two acquisitions, or echo times that are wrong",
                tag="EchoTime",
                remedy="name the series of one acquisition",
            )
        seen[place] = frame


def values_of(members: Sequence[Frame], stack: geometry.Stack) -> Float:
    """Rescaled values, shape (columns, rows, slices)."""
    shape = stack.grid.shape
    out = np.empty((shape[2], shape[1], shape[0]), dtype=np.float32)
    kept: dict[int, NDArray[np.generic]] = {}
    for frame, k in zip(members, stack.slice_of, strict=True):
        many = (frame.header.integer("NumberOfFrames") or 1) > 1
        key = id(frame.header.dataset)
        if key not in kept:
            kept = {**(kept if many else {}), key: stored_values(frame.header)}
        slope, intercept = frame.scale
        out[k] = kept[key][frame.number].astype(np.float64) * slope + intercept
    return np.ascontiguousarray(out.transpose(2, 1, 0))


def _parts(
    images: dict[str, dict[int, Float]], header: Header, stated: MrStated
) -> tuple[Float, Float | None, tuple[float, ...], list[Message]]:
    """Magnitude, phase in rad, echo times and what must be said of them."""
    notes: list[Message] = []
    if MAGNITUDE in images:
        echoes = sorted(images[MAGNITUDE])
        magnitude = np.stack([images[MAGNITUDE][n] for n in echoes])
        phase = None
        if PHASE in images:
            if sorted(images[PHASE]) != echoes:
                of_both = sorted(set(images[PHASE]) ^ set(echoes))
                times = ", ".join(f"{1000 * SAME_ECHO_S * n:.4g}" for n in of_both)
                text = f"only one of magnitude and phase has images at {times} ms: the phase is left out"
                notes.append(Message("phase-left-out", text, "give all phase images of the acquisition"))
            else:
                phase = radians(np.stack([images[PHASE][n] for n in echoes]), header, stated.phase_half_turn)
    elif REAL in images and sorted(images[REAL]) == sorted(images.get(IMAGINARY, {})):
        echoes = sorted(images[REAL])
        both = np.stack([images[REAL][n] + 1j * images[IMAGINARY][n] for n in echoes])
        magnitude, phase = np.abs(both).astype(np.float32), np.angle(both).astype(np.float32)
    else:
        raise DicomError(f"no magnitude images; there are {', '.join(images)}", path=header.path, tag="ImageType")
    if len(echoes) < 2:
        raise InputError(
            f"{header.path}: one echo time, {1000 * SAME_ECHO_S * echoes[0]:g} ms, in all MR series; R2* needs two",
            remedy="give the folder with all series of the acquisition",
        )
    for part in (magnitude, phase):
        if part is not None:
            part.setflags(write=False)
    return magnitude, phase, tuple(round(n * SAME_ECHO_S, 9) for n in echoes), notes


def field_of(headers: Sequence[Header], stated_t: float | None) -> tuple[float, list[Message]]:
    """Field strength of the files (T), or as stated; DicomError where they contradict each other or say none."""
    known = {value for header in headers if (value := header.number("MagneticFieldStrength")) is not None}
    if len(known) > 1:
        raise headers[0].error("MagneticFieldStrength", f"the files are of several field strengths: {sorted(known)}")
    if not known:
        if stated_t is None:
            raise headers[0].error(
                "MagneticFieldStrength", "is missing: relaxivity depends on it", remedy="state `field_strength`"
            )
        return stated_t, []
    (value,) = known
    notes = []
    if value > GAUSS_ABOVE:
        value /= 1e4
        notes.append(Message("field-in-gauss", f"field strength taken as {value:g} T, written in gauss"))
    if stated_t is not None and abs(stated_t / value - 1) > SAME_FIELD:
        raise headers[0].error("MagneticFieldStrength", f"is {value:g} T; {stated_t:g} T was stated")
    return value, notes


def _first_echo(groups: dict[tuple[str, int], list[Frame]]) -> list[Frame]:
    """Images of the first echo in the order of their slices."""
    component = MAGNITUDE if any(part == MAGNITUDE for part, _ in groups) else REAL
    first = min(echo for part, echo in groups if part == component)
    members = groups[component, first]
    return sorted(members, key=lambda f: float(f.plane.position_mm @ members[0].plane.normal))


def _unique_headers(frames: Sequence[Frame]) -> list[Header]:
    seen: dict[int, Header] = {}
    for frame in frames:
        seen.setdefault(id(frame.header.dataset), frame.header)
    return list(seen.values())


def _started(headers: Sequence[Header]) -> datetime | None:
    times = [time for header in headers if (time := acquisition_start(header)) is not None]
    return min(times) if times else None


def source_of(role: str, path: Path, headers: Sequence[Header]) -> InputFile:
    """The files, for the provenance."""
    files = [file_of(header) for header in headers]
    found = InputFile.of(role, files[0]) if len(files) == 1 else InputFile.of(role, path, files)
    return replace(found, identity=identity_of(headers[0]))


def _about_series(chosen: Sequence[Series]) -> list[Message]:
    uids = {one.uid for one in chosen if component_of(one.headers[0]) == MAGNITUDE}
    if len(uids) < 2:
        return []
    text = f"{len(uids)} MR series of magnitude were taken as one acquisition"
    remedy = "see that they are of one breath and one scaling; name them if the folder holds others"
    return [Message("several-mr-series", text, remedy, "note")]
