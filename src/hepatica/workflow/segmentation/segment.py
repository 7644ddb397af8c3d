"""Body, lungs, liver and other organs proposed on a CT, with their quality, as DICOM and label map."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

import numpy as np

from hepatica.anatomy.segmentation.propose import KINDS, PROPOSED, SegmentationOptions, propose
from hepatica.anatomy.segmentation.quality import StructureQuality
from hepatica.core import Grid, Kind, Provenance, Region, Volume
from hepatica.core.document import HIDDEN
from hepatica.core.image import NOTHING_STATED, Image, Stated, require_together
from hepatica.core.message import Message, unique
from hepatica.core.options import options, parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.io.files import write_text
from hepatica.io.itk import write_itk
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, as_image, dicom_context

COARSE_MM = 4.0
"""Voxels from which on organs come out smaller than they are: the grid on which they are looked for."""


@options
class SegmentReading:
    """How the images are read.

    Attributes
    ----------
    ct_series : str or None
        SeriesInstanceUID of the CT, if a folder holds several.
    series : str or None
        SeriesInstanceUID of the uptake, if a folder holds several.
    activity_unit : str or None
        What a voxel of an uptake holds that is a NIfTI or MetaImage: "counts", "Bq/mL", "MBq h".
    registered : bool
        State that images of different frames of reference are registered to each other.
    """

    ct_series: str | None = None
    series: str | None = None
    activity_unit: str | None = None
    registered: bool = False


@result
class SegmentResult(Result):
    """Structures proposed on a CT; nobody has checked them.

    Attributes
    ----------
    status : str
        That they are proposals.
    quality : tuple of StructureQuality
        Volume of each, and what speaks for or against it.
    not_found : tuple of str
        What was asked for and is not proposed.
    labels : mapping of str to str
        Numbers of the label map.
    """

    verb = "segment"

    ct: Image = field(metadata=HIDDEN)
    structures: tuple[Region, ...] = field(metadata=HIDDEN)
    status: str
    quality: tuple[StructureQuality, ...]
    not_found: tuple[str, ...]
    labels: Mapping[str, str]

    def __getitem__(self, name: str) -> Region:
        """The structure of that name; KeyError if it is not proposed."""
        return {region.name: region for region in self.structures}[name]

    def title(self) -> str:
        """How many, and that they are to be checked."""
        return f"{len(self.structures)} structures, {self.status}"

    def table(self) -> Table:
        """One row for each structure."""
        rows = []
        for item in self.quality:
            usual = "" if item.usual_ml is None else f"{item.usual_ml[0]:g} to {item.usual_ml[1]:g}"
            open_percent = None if item.open_border is None else 100 * item.open_border
            rows.append((item.structure, item.volume_ml, usual, item.mean_hu, open_percent, item.cut_cm2, item.verdict))
        columns = ("structure", "mL", "usual, mL", "HU", "border without edge, %", "cut off, cm2", "verdict")
        return Table.of(columns, rows, "Proposed structures", "structures")

    def write(self, folder: Path) -> None:
        """Write the structures.

        ``structures.dcm`` (RTSTRUCT), ``structures-seg.dcm`` (SEG, where the CT is DICOM), ``labels.nii.gz`` with
        ``labels.json`` (body without what lies in it), ``contours.png``.
        """
        from hepatica.report.figures.dosimetry.dose import png
        from hepatica.report.figures.images.segmentation import segmentation_figure

        context, grid = dicom_context(self.ct), self.ct.grid
        drawn = list(self.structures)
        write_rtstruct(folder / "structures.dcm", drawn, context, image_grid=grid, provenance=self.provenance)
        if context.instances and not context.is_multiframe:
            write_seg(folder / "structures-seg.dcm", drawn, context, image_grid=grid, provenance=self.provenance)
        write_itk(self._label_map(), folder / "labels.nii.gz")
        named = {n: {"name": name, "role": KINDS[name].value} for n, name in self.labels.items()}
        for entry in named.values():
            if entry["name"] == "body" and len(named) > 1:
                entry["holds"] = "what the other labels leave of it; the whole body is in structures.dcm"
        write_text(folder / "labels.json", json.dumps(named, indent=1) + "\n")
        figure = segmentation_figure(self.ct.volume, {region.name: region for region in self.structures})
        (folder / "contours.png").write_bytes(png(figure))

    def _label_map(self) -> Volume:
        """Each structure's number; the body is what the others leave of it."""
        values = np.zeros(self.ct.grid.shape, np.uint8)
        order = sorted(self.structures, key=lambda region: region.name != "body")
        numbers = {name: int(number) for number, name in self.labels.items()}
        for region in order:
            values[region.window][region.coverage >= 0.5] = numbers[region.name]
        return Volume(self.ct.grid, values, Kind.LABEL, None, "proposed structures")


def coarse_said(grid: Grid, names: Sequence[str]) -> list[Message]:
    """That organs come out small on large voxels, whatever their verdict says."""
    largest = max(grid.spacing_mm)
    small = [name for name in names if name in {"liver", "spleen"} or name.startswith("kidney")]
    if largest < COARSE_MM or not small:
        return []
    text = (
        f"voxels of {largest:.3g} mm: on virtual patients of 5 mm the liver came out 8 to 10 % small, kidneys and "
        f"spleen 25 to 30 %, all of them plausible ({', '.join(small)})"
    )
    return [Message("organs-small-on-coarse-ct", text, "segment a CT of 3 mm or less, or correct the borders")]


@verb
def segment(
    ct: ImageSource,
    *,
    uptake: ImageSource | None = None,
    wanted: SegmentationOptions = SegmentationOptions(),
    reading: SegmentReading = SegmentReading(),
    progress: Progress | None = None,
) -> SegmentResult:
    """Body, lungs, liver and other organs proposed on a CT, for a person to check.

    Parameters
    ----------
    ct : path or Image
        CT of the trunk: DICOM, NIfTI, MetaImage; with or without contrast agent, low-dose too.
    uptake : path, Image or None
        SPECT or PET that shows the liver, or the treated part of it; lies together with the CT.
    wanted : SegmentationOptions
        What is looked for.
    reading : SegmentReading
        Series, unit, and whether the images are registered.
    progress : callable, optional
        Told what is being looked for.

    Returns
    -------
    SegmentResult
        Regions in ``structures``, which other verbs take as they are; ``save`` writes RTSTRUCT, SEG and label map.

    Raises
    ------
    InputError
        If the image is no CT of a trunk, or the images are of different patients.
    UnitError
        If the CT is not in HU, or the uptake is none.
    GeometryError
        If the images are in different frames of reference and nobody states that they are registered.
    NothingDrawnError
        If nothing that was asked for is found.

    Examples
    --------
    >>> found = hepatica.segment(ct, uptake=scout)  # doctest: +SKIP
    >>> round(found["liver"].volume_ml)  # doctest: +SKIP
    1702
    """
    report_progress = progress or silent
    report_progress("reading")
    image = as_image(ct, role="ct", series=reading.ct_series)
    shown = None
    together: tuple[Message, ...] = ()
    if uptake is not None:
        stated = NOTHING_STATED if reading.activity_unit is None else Stated(unit=reading.activity_unit)
        shown = as_image(uptake, role="activity", series=reading.series, stated=stated)
        together = require_together([shown, image], registered=reading.registered)
    elif reading.series or reading.activity_unit:
        together = (
            Message(
                "option-without-effect", "`series` and `activity_unit` are of an `uptake`; there is none", "", "note"
            ),
        )
    moved = None if shown is None else shown.volume.in_frame(image.grid.frame_of_reference)
    found = propose(image.volume, wanted, uptake=moved, progress=report_progress)
    inputs = [image.source, *([] if shown is None else [shown.source])]
    return SegmentResult(
        ct=image,
        structures=found.regions,
        status=PROPOSED,
        quality=found.quality,
        not_found=found.not_found,
        labels={str(n): region.name for n, region in enumerate(found.regions, start=1)},
        messages=unique(
            image.messages,
            () if shown is None else shown.messages,
            together,
            found.messages,
            coarse_said(image.grid, [region.name for region in found.regions]),
        ),
        provenance=Provenance(
            tuple(inputs),
            parameters=parameters(wanted, reading, uptake=shown is not None),
            steps=(f"Structures were {PROPOSED}.",),
        ),
    )
