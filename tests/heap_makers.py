"""A made PACS export of one patient's course: 21 series of every kind, in one folder, under names that say nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from dicom_makers import (
    ROOT,
    base,
    changed,
    ct_series,
    fluorine,
    nm_volume,
    pet_series,
    save,
    small_grid,
)

TREATED_AT = "2026-03-02T10:00+01:00"

EXPECTED = {
    "arterial": "baseline-ct",
    "venous": "baseline-ct",
    "localizer": "unused",
    "planar": "scout-planar",
    "scout AC": "scout-spect",
    "scout NAC": "unused",
    "scout raw": "scout-projections",
    "scout CT": "scout-ct",
    "scout MPR": "unused",
    "scout drawn": "scout-structures",
    "PET AC": "therapy-pet",
    "PET NAC": "unused",
    "PET CT": "therapy-ct",
    "PET drawn": "therapy-structures",
    "REG scout": "registration",
    "REG baseline": "unused",
    "later CT": "follow-up-ct",
    "later drawn": "follow-up-structures",
    "later MR": "follow-up-mr",
    "screenshot": "unused",
    "report": "unused",
    "FDG": "unused",
}
"""Series description -> what it is."""

A, B, C, D, E = (f"{ROOT}.9.{number}" for number in range(11, 16))
"""Frames of reference: before, scout, therapy, follow-up CT and MR."""


def _on(day: str, clock: str = "103000", **more: Any) -> dict[str, Any]:
    dates = dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate"), day)
    return dates | dict.fromkeys(("SeriesTime", "AcquisitionTime"), clock) | more


def _named(datasets: Sequence[Dataset] | Dataset, name: str, frame: str | None, **changes: Any) -> list[Dataset]:
    rows = [datasets] if isinstance(datasets, Dataset) else list(datasets)
    return changed(rows, SeriesDescription=name, FrameOfReferenceUID=frame, **changes)


def _structures(number: int, name: str, frame: str, **changes: Any) -> list[Dataset]:
    dataset = base("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", series=number)
    item = Dataset()
    item.FrameOfReferenceUID = frame
    dataset.ReferencedFrameOfReferenceSequence = [item]
    dataset.StructureSetROISequence = []
    return _named(dataset, name, None, **changes)


def _registration(number: int, name: str, fixed: str, moving: str) -> list[Dataset]:
    dataset = base("1.2.840.10008.5.1.4.1.1.66.1", "REG", series=number)
    dataset.RegistrationSequence = [changed([Dataset()], FrameOfReferenceUID=frame)[0] for frame in (fixed, moving)]
    return _named(dataset, name, fixed)


def heap(folder: Path) -> Path:
    """Write the series in random order."""
    grid = small_grid()
    hu, counts = np.full(grid.shape, 40), np.arange(grid.size).reshape(grid.shape)
    agent = changed([nm_volume(grid, counts).RadiopharmaceuticalInformationSequence[0]], Radiopharmaceutical="MAA")[0]
    tracer = {"RadiopharmaceuticalInformationSequence": [agent]}
    kinds = {"screenshot": ("7", "OT", 30), "report": ("88.11", "SR", 31)}
    other = {name: base(f"1.2.840.10008.5.1.4.1.1.{uid}", kind, series=n) for name, (uid, kind, n) in kinds.items()}
    before, scout, therapy, later = "20260210", "20260216", "20260303", "20260504"
    spect = {"CorrectedImage": ["DECY", "ATTN", "SCAT"], **tracer}
    bare = spect | {"CorrectedImage": ["DECY"]}
    raw = {"ImageType": ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]}
    static = {"ImageType": ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]}
    series = [
        _named(ct_series(grid, hu, series=1), "arterial", A, ContrastBolusAgent="iodine", **_on(before)),
        _named(ct_series(grid, hu, series=2), "venous", A, ContrastBolusAgent="iodine", **_on(before, "103100")),
        _named(ct_series(grid, hu, series=3)[:1], "localizer", B, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
               **_on(scout)),
        _named(nm_volume(grid, counts, series=4), "planar", None, **_on(scout), **static, **tracer),
        _named(nm_volume(grid, counts, series=5), "scout AC", B, **_on(scout), **spect),
        _named(nm_volume(grid, counts, series=6), "scout NAC", B, **_on(scout), **bare),
        _named(nm_volume(grid, counts, series=7), "scout raw", B, **_on(scout), **raw, **tracer),
        _named(ct_series(grid, hu, series=8), "scout CT", B, **_on(scout)),
        _named(ct_series(grid, hu, series=9), "scout MPR", B, ImageType=["DERIVED", "SECONDARY", "MPR"], **_on(scout)),
        _structures(10, "scout drawn", B, **_on("20260217")),
        _named(pet_series(grid, counts, series=11), "PET AC", C, **_on(therapy)),
        _named(pet_series(grid, counts, series=12), "PET NAC", C, **_on(therapy, CorrectedImage=["DECY"])),
        _named(ct_series(grid, hu, series=13), "PET CT", C, **_on(therapy)),
        _structures(14, "PET drawn", C, **_on("20260304")),
        _registration(15, "REG scout", C, B),
        _registration(16, "REG baseline", C, A),
        _named(ct_series(grid, hu, series=17), "later CT", D, **_on(later)),
        _structures(18, "later drawn", D, **_on(later)),
        _named(changed(ct_series(grid, hu, series=19), SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR"),
               "later MR", E, **_on(later)),
        _named(other["screenshot"], "screenshot", None, **_on(therapy)),
        _named(other["report"], "report", None, **_on(therapy)),
        _named(pet_series(grid, counts, series=20, item=_glucose()), "FDG", A, **_on(before)),
    ]  # fmt: skip
    flat = [dataset for one in series for dataset in one]
    random.Random(3).shuffle(flat)
    folder.mkdir(parents=True)
    for number, dataset in enumerate(flat):
        (path,) = save(dataset, folder / "new")
        path.rename(folder / f"IM{number:05d}")
    (folder / "new").rmdir()
    return folder


def _glucose() -> Dataset:
    return changed([fluorine()], Radiopharmaceutical="FDG")[0]
