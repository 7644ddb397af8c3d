"""Exposures of a source in air: planar images, or the views of a TOMO scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from hepatica.core import InputFile, Kind, Volume
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.errors import GeometryError, InputError, TimeError
from hepatica.imaging.calibration.options import CameraExposureOptions, SourceImageOptions
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.camera_factor import Exposure
from hepatica.imaging.quantify.source_regions import pixels_about_source
from hepatica.imaging.spect.projections import Projections
from hepatica.imaging.spect.windows import main_windows
from hepatica.nuclides import nuclide


@dataclass(frozen=True, slots=True)
class Exposures:
    """The exposures, for what they hold, and where they come from."""

    exposures: tuple[Exposure, ...]
    conditions: Conditions
    sources: tuple[InputFile, ...]
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One planar image, how long it took, and by which head: number or name of its collimator, empty if unknown."""

    image: Volume
    duration_s: float | None
    head: str = ""


def tomographic_exposures(
    data: Projections,
    source: InputFile,
    exposure: CameraExposureOptions,
    stated: SourceImageOptions,
    messages: tuple[Message, ...] = (),
) -> Exposures:
    """Exposures of one head, one for each view of a point source in air.

    Raises
    ------
    InputError, TimeError
        If the options are for planar images, or the nuclide or the instant is not known.
    """
    if exposure.blank is not None or exposure.circle_mm is not None:
        raise InputError(
            "`blank` and `circle_mm` are for planar images; of a tomographic scan the whole field is taken"
        )
    if exposure.frame_duration_s is not None or exposure.head_time_s is not None:
        raise InputError(
            "`frame_duration_s` and `head_time_s` have no effect: projections say how long each view took "
            f"({data.view_s:g} s)",
            remedy="leave them out",
        )
    assert data.view_start_s is not None
    at_once = int(np.unique(data.view_start_s, return_counts=True)[1].max())
    if exposure.heads not in (1, at_once):
        raise InputError(
            f"`heads` is {exposure.heads}, but in the projections {at_once} counted at once",
            remedy="leave it out, or correct it",
        )
    if data.camera is not None and stated.camera not in (None, data.camera):
        text = f"the projections are of camera {data.camera}, stated is {stated.camera}; what is stated is used"
        said = Message("camera-overruled", text, f"state {data.camera}, unless the file is wrong", "critical")
        messages = (*messages, said)
    name = _nuclide_of(stated, data.nuclide, source.path)
    if data.start is None:
        raise TimeError(f"{source.path}: AcquisitionDate and AcquisitionTime are missing: it has no instant")
    wanted = () if exposure.energy_window is None else (f"#{exposure.energy_window}",)
    main = main_windows(data, nuclide(name), wanted)[0]
    exposures = tuple(
        Exposure(
            float(data.counts[main, view].sum(dtype=np.float64)),
            data.view_s,
            data.start + timedelta(seconds=float(data.view_start_s[view])),
            all_counts=float(data.counts[:, view].sum(dtype=np.float64)),
            name=f"view {view + 1}",
        )
        for view in range(data.orbit.views)
    )
    window = data.windows[main]
    conditions = Conditions(name, stated.camera, (window.low_kev, window.high_kev))
    return Exposures(exposures, conditions, (source,), messages)


@dataclass(frozen=True, slots=True)
class PlanarImages:
    """Planar images with all their views in one energy window."""

    images: tuple[Image, ...]
    views: tuple[View, ...]

    @classmethod
    def of(cls, image: Image) -> PlanarImages:
        """Each plane of an image of counts is a view."""
        image.volume.require_kind(Kind.COUNTS)
        duration = image.acquisition.frame_duration_s
        return cls((image,), tuple(View(view, duration) for view in _planes(image.volume)))


def planar_exposures(
    planar: PlanarImages, blank: PlanarImages | None, exposure: CameraExposureOptions, stated: SourceImageOptions
) -> Exposures:
    """Exposures of one head, one for each view of planar images.

    Raises
    ------
    InputError, TimeError, DicomError
        If something is missing or contradicts the images.
    GeometryError
        If the circle about the source does not fit the field, or the blank is of another matrix.
    """
    images, views, without = planar.images, planar.views, () if blank is None else blank.views
    blanks = () if blank is None else blank.images
    if blank is not None:
        without = _same_heads(views, without, blanks[0].name, images[0].name)
    facts = images[0].acquisition
    name = _nuclide_of(stated, facts.nuclide, images[0].name)
    exposures = tuple(
        _exposure(view, without[number] if blanks else None, f"view {number + 1}", exposure, stated)
        for number, view in enumerate(views)
    )
    windows, chosen = facts.energy_windows_kev, exposure.energy_window or 1
    window = windows[chosen - 1] if chosen <= len(windows) else None
    every = (*images, *blanks)
    return Exposures(
        exposures,
        Conditions(name, stated.camera, window),
        tuple(one.source for one in every),
        tuple(message for one in every for message in one.messages),
    )


def _same_heads(views: Sequence[View], blanks: Sequence[View], blank: str, image: str) -> tuple[View, ...]:
    """The blank of each view's own head; in order where the files do not tell heads apart.

    Each head has its own background, and a file of both may hold them beside a source seen by one.

    Raises
    ------
    InputError
        If a head has no blank, or the numbers of views differ and heads are not told apart.
    """
    if all(view.head for view in (*views, *blanks)):
        by_head = {view.head: view for view in reversed(blanks)}
        missing = [view.head for view in views if view.head not in by_head]
        if missing:
            raise InputError(
                f"{blank}: holds heads with collimators {', '.join(sorted(by_head))}, {image} is of {missing[0]}",
                remedy="give the blank of the same head",
            )
        return tuple(by_head[view.head] for view in views)
    if len(blanks) != len(views):
        raise InputError(f"{blank}: holds {len(blanks)} views, {image} {len(views)}", remedy="give the same views")
    return tuple(blanks)


def _planes(volume: Volume) -> Sequence[Volume]:
    """Each plane of a stack of views by itself."""
    planes = []
    for n in range(volume.grid.shape[2]):
        window = (slice(None), slice(None), slice(n, n + 1))
        planes.append(Volume(volume.grid.crop(window), volume.values[window], volume.kind, volume.time, volume.name))
    return planes


def _exposure(
    view: View, blank: View | None, name: str, exposure: CameraExposureOptions, stated: SourceImageOptions
) -> Exposure:
    duration, start = view.duration_s or exposure.frame_duration_s, view.image.time or stated.activity_at
    if duration is None or start is None:
        raise TimeError(
            f"{name}: the file does not say when it began or how long it took",
            remedy="state `activity_at` and `frame_duration_s`",
        )
    if blank is not None and blank.image.grid.shape != view.image.grid.shape:
        raise GeometryError(f"the blank: {name} has another matrix than that of the source")
    inside = pixels_about_source(view.image, exposure.circle_mm)
    return Exposure(
        float(view.image.values[inside].sum(dtype=np.float64)),
        duration,
        start,
        0.0 if blank is None else float(blank.image.values[inside].sum(dtype=np.float64)),
        0.0 if blank is None else (blank.duration_s or duration),
        all_counts=float(view.image.values.sum(dtype=np.float64)),
        name=name,
    )


def _nuclide_of(stated: SourceImageOptions, found: str | None, where: str) -> str:
    name = stated.nuclide or found
    if name is None:
        raise InputError(f"{where}: names no nuclide", remedy="state `nuclide`")
    chosen = nuclide(name).name
    if found not in (None, chosen) and not stated.accept_nuclide:
        raise InputError(
            f"{where}: the header says {found}, asked for is {chosen}",
            remedy="use the right image, or state `accept_nuclide` if the header is wrong",
        )
    return chosen
