"""Simulated planar views as NM STATIC or WHOLE BODY files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core import Provenance
from hepatica.core.context import DicomContext, Instance, new_uid
from hepatica.errors import InputError
from hepatica.imaging.planar.views import PlanarViews
from hepatica.io.dicom import geometry
from hepatica.io.dicom.images.write import (
    NM_IMAGE,
    Emission,
    agent_item,
    energy_windows,
    parallel_head,
    write_counts,
)
from hepatica.io.dicom.objects import RESEARCH_ONLY, code, new_object, save_object
from hepatica.version import __version__

VIEW_CODES = {
    "anterior": ("399321004", "SCT", "Antero-posterior projection"),
    "posterior": ("399001007", "SCT", "Posterior projection"),
}
"""CID 26 (DICOM PS3.16); the meaning is read by its first word."""


def write_planar(
    path: Path | str,
    views: PlanarViews,
    context: DicomContext,
    emission: Emission,
    *,
    scan: tuple[float, float] | None = None,
    camera: str = "",
    description: str = "Planar",
    provenance: Provenance | None = None,
) -> DicomContext:
    """Write planar views as one file, the posterior one as seen from behind.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    views : PlanarViews
        Whole counts up to 65535 are exact, others kept by a rescale slope. `place_mm` must be known.
    context : DicomContext
        Patient and study.
    emission : Emission
        Nuclide and administration; its start is that of the acquisition.
    scan : tuple of float, optional
        Speed in mm/s and length of the field in mm of a whole-body scan.
    camera : str
        CollimatorGridName.
    description : str
        SeriesDescription.

    Raises
    ------
    InputError
        If the views have no place, or a whole-body scan no speed.
    OutputError
        If the file cannot be written.
    """
    if views.place_mm is None:
        raise InputError("planar views are written with their place in the patient; state place_mm")
    if views.whole_body and scan is None:
        raise InputError("a whole-body scan is written with its speed and field")
    new = context.with_new_series(modality="NM", description=description)
    dataset = new_object(new, NM_IMAGE, "NM", description=description)
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = new.series_uid, new_uid()
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = context.frame_of_reference or new_uid(), ""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "WHOLE BODY" if views.whole_body else "STATIC", "EMISSION"]
    dataset.ImageComments = f"Made by hepatica, not acquired. {RESEARCH_ONLY}"
    dataset.BodyPartExamined = "WHOLEBODY" if views.whole_body else "ABDOMEN"
    dataset.AcquisitionNumber = 1
    day, clock = emission.start.strftime("%Y%m%d"), emission.start.strftime("%H%M%S.%f")
    for what in ("Series", "Acquisition", "Content"):
        setattr(dataset, f"{what}Date", day)
        setattr(dataset, f"{what}Time", clock)
    _fill_frames(dataset, views)
    _fill_geometry(dataset, views, camera, scan)
    if views.whole_body and scan is not None:
        length = views.shape[1] * views.pixel_mm[1]
        dataset.ScanVelocity, dataset.ScanLength = geometry.decimal_strings([scan[0]])[0], round(length)
        dataset.WholeBodyTechnique = "1PS"
        dataset.ActualFrameDuration = str(round(1000 * length / scan[0]))
    else:
        dataset.ActualFrameDuration = str(round(1000 * views.dwell_s[0]))
    dataset.RadiopharmaceuticalInformationSequence = [agent_item(emission, in_mbq=True)]
    dataset.PatientOrientationCodeSequence, dataset.PatientGantryRelationshipCodeSequence = [], []
    if provenance is not None:
        dataset.DerivationDescription = f"simulated by hepatica {__version__}: {'; '.join(provenance.steps)}"[:1024]
    save_object(dataset, path)
    instance = Instance(NM_IMAGE, dataset.SOPInstanceUID, Path(path), int(dataset.NumberOfFrames))
    return replace(new, frame_of_reference=str(dataset.FrameOfReferenceUID), instances=(instance,))


def _fill_frames(dataset: Any, views: PlanarViews) -> None:
    from pydicom.tag import Tag

    frames = [(w, v) for w in range(len(views.windows)) for v in range(len(views.sides))]
    dataset.FrameIncrementPointer = [Tag("EnergyWindowVector"), Tag("DetectorVector")]
    dataset.NumberOfFrames = len(frames)
    dataset.EnergyWindowVector = [w + 1 for w, _ in frames]
    dataset.DetectorVector = [v + 1 for _, v in frames]
    dataset.NumberOfEnergyWindows, dataset.NumberOfDetectors = len(views.windows), len(views.sides)
    dataset.Columns, dataset.Rows = views.shape
    images = [views.counts[v, w][:: -1 if views.sides[v] == "posterior" else 1] for w, v in frames]
    values = np.stack(images, axis=2)
    # All bits set would read as saturated.
    write_counts(dataset, values, most=65534)


def _fill_geometry(dataset: Any, views: PlanarViews, camera: str, scan: tuple[float, float] | None) -> None:

    dataset.EnergyWindowInformationSequence = energy_windows(views.windows)
    assert views.place_mm is not None
    x, z = views.place_mm
    last = x + (views.shape[0] - 1) * views.pixel_mm[0]
    detectors = []
    for side in views.sides:
        item = parallel_head(camera)
        behind = side == "posterior"
        item.StartAngle = "0" if behind else "180"
        if scan is not None:
            item.FieldOfViewShape = "RECTANGLE"
            item.FieldOfViewDimensions = [round(views.shape[0] * views.pixel_mm[0]), round(scan[1])]
        item.ViewCodeSequence = [code(*VIEW_CODES[side])]
        row = [-1.0, 0.0, 0.0] if behind else [1.0, 0.0, 0.0]
        geometry.write_projection_plane(
            dataset, item, first_mm=[last if behind else x, 0.0, z], row=row, pixel_mm=views.pixel_mm
        )
        detectors.append(item)
    dataset.DetectorInformationSequence = detectors
