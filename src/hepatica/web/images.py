"""Images of a case that the viewer can show: which there are, and each with its voxels once it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.case.layout import STEPS
from hepatica.case.state import Situation
from hepatica.core.image import Image, Stated
from hepatica.core.volume import Kind, Volume
from hepatica.errors import InputError, UnknownNameError
from hepatica.io.dicom.mr.read import read_mr_image
from hepatica.io.itk import is_itk_file
from hepatica.io.read import read_image
from hepatica.web.desk import OpenCase
from hepatica.workflow.sources import as_dose

ACTIVITY_ROLES = ("scout-spect", "therapy-pet", "therapy-spect")
ANATOMY_ROLES = ("scout-ct", "therapy-ct", "baseline-ct", "follow-up-ct", "baseline-mr", "follow-up-mr", "therapy-mr")
SHOWN_ROLES = (*ANATOMY_ROLES, *ACTIVITY_ROLES, "dose")

RESULT_IMAGES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "scout-reconstruction": (("spect.dcm", "activity", "Scout SPECT, reconstructed"),),
    "reconstruction": (("spect.dcm", "activity", "Therapy SPECT, reconstructed"),),
    "plan": (("planned-dose.nii.gz", "dose", "Planned dose"),),
    "dose": (("dose.dcm", "dose", "Delivered dose"),),
}
"""Step -> files of its result: name, what it is read as, title."""

TITLES = {
    "scout-ct": "Scout CT", "therapy-ct": "Therapy CT", "baseline-ct": "Baseline CT", "follow-up-ct": "Follow-up CT",
    "baseline-mr": "Baseline MR", "follow-up-mr": "Follow-up MR", "therapy-mr": "Therapy MR",
    "scout-spect": "Scout SPECT", "therapy-pet": "Therapy PET", "therapy-spect": "Therapy SPECT",
    "dose": "Dose of another program",
}  # fmt: skip

WHOLE_NUMBERS = (-32768, 32767)

MANY_FILES = 60
"""An image of so many files is shown by one of them first."""

FIRST = "@first"
"""Behind the key of an image: one slice of it."""

EDITED_IMAGE = "edited-"
"""Before the key of a dose map that an edited plan gives: it is in memory alone, and nowhere in the case."""

SLAB_BYTES = 8 << 20
"""Voxels are sent in parts of about so many bytes."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An image that can be shown.

    Attributes
    ----------
    key : str
        Its name in addresses: an item ("ct-1") or a step with its file ("dose:dose.dcm").
    title : str
        For people, with the date where there is one.
    role : str
        "ct", "mr", "activity" or "dose".
    path : Path
        What is read.
    state : str
        "" or what is wrong with it: "out of date", "changed".
    treatment : int
        From 1; 0 where it belongs to all.
    first : Path or None
        One file out of many, which can be read long before all of them; None where there are few.
    unit : str or None
        What a voxel holds, as the case states it for the steps that read the image.
    """

    key: str
    title: str
    role: str
    path: Path
    state: str = ""
    treatment: int = 0
    first: Path | None = None
    unit: str | None = None

    def as_document(self) -> dict[str, Any]:
        """For the page."""
        return {
            "key": self.key, "title": self.title, "role": self.role, "state": self.state, "treatment": self.treatment,
            "first": None if self.first is None else self.key + FIRST,
        }  # fmt: skip


def shown_images(situation: Situation) -> tuple[Shown, ...]:
    """All of a case, in the order of the course."""
    found = []
    for role in SHOWN_ROLES:
        for item in situation.catalogue.of(role):
            altered = "changed since it was added" if item.name in situation.altered else ""
            title = f"{TITLES[role]}, {item.date}" if item.date else TITLES[role]
            files = sorted(file.path for file in item.files)
            first = situation.folder / files[len(files) // 2] if len(files) >= MANY_FILES and item.series else None
            path = item.path(situation.folder)
            unit = _stated_unit(situation, role, item.treatment)
            found.append(Shown(item.name, title, _kind_of(role), path, altered, item.treatment, first, unit))
    for name, state in situation.steps.items():
        plain = name.removesuffix(f"-{state.treatment}") if state.treatment > 1 else name
        for file, role, title in RESULT_IMAGES.get(plain, ()):
            path = situation.folder / STEPS / name / file
            if name in situation.records and path.is_file():
                number = f" {state.treatment}" if state.treatment > 1 else ""
                told = "" if state.state == "done" else state.state
                found.append(Shown(f"{name}:{file}", title + number, role, path, told, state.treatment))
    return tuple(found)


READ_BY: Mapping[str, tuple[str, ...]] = {
    "scout-spect": ("uptake", "lung-shunt", "images"),
    "therapy-pet": ("dose", "verification"),
    "therapy-spect": ("dose", "verification"),
}
"""Role -> tables of a treatment that may state `activity_unit` for it."""


def _stated_unit(situation: Situation, role: str, treatment: int) -> str | None:
    """What the case says that a voxel of an image without a unit of its own holds; None where it says nothing."""
    treatments = situation.facts.treatments
    for one in treatments if treatment == 0 else treatments[treatment - 1 : treatment]:
        for name in READ_BY.get(role, ()):
            table = one.get(name)
            if isinstance(table, Mapping) and table.get("activity_unit"):
                return str(table["activity_unit"])
    return None


def _kind_of(role: str) -> str:
    return "activity" if role in ACTIVITY_ROLES else role.rsplit("-", 1)[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """An image with its voxels.

    Attributes
    ----------
    shown : Shown
        What it is.
    volume : Volume
        Voxels in the file's own grid.
    is_whole : bool
        Whether every voxel is a whole number of 16 bits, and can be sent as one.
    low, high : float
        Smallest and largest value.
    """

    shown: Shown
    volume: Volume
    is_whole: bool
    low: float
    high: float

    @property
    def unit(self) -> str:
        """Of a voxel; the signal of MR has none."""
        return "signal" if self.volume.kind is Kind.UNKNOWN else self.volume.kind.unit

    @property
    def dtype(self) -> str:
        """Of the voxels as they are sent, little-endian."""
        return "int16" if self.is_whole else "float32"

    def as_document(self) -> dict[str, Any]:
        """What the page needs before the first voxel."""
        grid = self.volume.grid
        return {
            **self.shown.as_document(),
            "shape": list(grid.shape),
            "affine": grid.affine.tolist(),
            "frame": grid.frame_of_reference,
            "unit": self.unit,
            "kind": self.volume.kind.name,
            "meaning": self.volume.kind.meaning,
            "dtype": self.dtype,
            "low": self.low,
            "high": self.high,
        }

    def slab(self, first: int, last: int) -> bytes:
        """Voxels of slices `first` to `last` (not with it), i fastest, then j, then k."""
        part = self.volume.values[:, :, first:last].transpose(2, 1, 0)
        return np.ascontiguousarray(part, dtype=f"<{'i2' if self.is_whole else 'f4'}").tobytes()

    def slabs(self) -> Iterator[bytes]:
        """All voxels, in parts."""
        i, j, k = self.volume.grid.shape
        step = max(1, SLAB_BYTES // (i * j * (2 if self.is_whole else 4)))
        for first in range(0, k, step):
            yield self.slab(first, min(k, first + step))

    def coarse(self, most: int = 128) -> Volume:
        """The same with at most so many voxels along an axis, along the patient's axes: for the 3-D tile."""
        from hepatica.core.grid import Grid
        from hepatica.core.resample import values_at

        corners = self.volume.grid.corners_mm()
        low, extent = corners.min(axis=0), np.ptp(corners, axis=0)
        spacing = np.maximum(extent / most, 1.0)
        i, j, k = (int(n) for n in np.maximum(1, np.ceil(extent / spacing)))
        grid = Grid.axial((i, j, k), spacing_mm=spacing.tolist(), origin_mm=(low + spacing / 2).tolist())
        values = np.empty(grid.shape, np.float32)
        index = np.stack(np.meshgrid(np.arange(i), np.arange(j), indexing="ij"), axis=-1)
        for n in range(k):
            here = np.concatenate([index, np.full((*index.shape[:-1], 1), n)], axis=-1)
            values[:, :, n] = values_at(self.volume, grid.to_mm(here))
        return Volume(grid, np.nan_to_num(values, nan=self.low), self.volume.kind)


def loaded(one: OpenCase, key: str) -> Loaded:
    """An image of an open case, read once.

    Raises
    ------
    UnknownNameError
        If the case has no such image.
    InputError
        If it cannot be read.
    """
    known = {shown.key: shown for shown in shown_images(one.recent())}
    known |= {shown.key + FIRST: _first(shown) for shown in known.values() if shown.first is not None}
    if key.startswith(EDITED_IMAGE):
        return one.held(f"image {key}", lambda: _not_kept(key, known))
    if key not in known:
        raise UnknownNameError("image", key, known)
    shown = known[key]
    return one.held(f"image {key} {_stamp(shown.path)} {shown.unit or ''}", lambda: _read(shown))


def _not_kept(key: str, known: Mapping[str, Shown]) -> Loaded:
    """What is said of a dose map that is not among the last few any more."""
    raise UnknownNameError("image", key, known)


def _first(shown: Shown) -> Shown:
    """One slice of an image, at its own place: what is seen until all of it was read."""
    assert shown.first is not None
    return replace(shown, key=shown.key + FIRST, path=shown.first, first=None)


def _stamp(path: Path) -> str:
    """Changes when the file does: a result that was made anew is read anew."""
    return str(path.stat().st_mtime_ns)


def _read(shown: Shown) -> Loaded:
    is_dose = shown.role == "dose"
    volume = as_dose(shown.path, role="dose").volume if is_dose else image_of(shown).volume
    values = volume.values
    low, high = float(np.min(values)), float(np.max(values))
    if not np.isfinite((low, high)).all():
        raise InputError(f"{shown.title}: holds voxels that are no numbers")
    return Loaded(shown, volume, volume.kind is Kind.HU and _is_whole(values, low, high), low, high)


def image_of(shown: Shown) -> Image:
    """The image with its facts; one whose header does not say what a voxel holds is shown in its own units."""
    if shown.role == "ct":
        return read_image(shown.path, role="ct")
    if shown.role == "activity":
        return read_image(
            shown.path, role="activity", stated=Stated(unit=shown.unit if is_itk_file(shown.path) else None)
        )
    if shown.role == "mr" and not is_itk_file(shown.path):
        return read_mr_image(shown.path)
    return read_image(shown.path, role="image")


def _is_whole(values: NDArray[Any], low: float, high: float) -> bool:
    if low < WHOLE_NUMBERS[0] or high > WHOLE_NUMBERS[1]:
        return False
    return all(bool(np.array_equal(np.rint(part), part)) for part in np.moveaxis(values, -1, 0))
