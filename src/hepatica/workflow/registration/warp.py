"""An image, structures or a dose brought over to another image's voxels by a transform."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from hepatica.anatomy.structures.held_volume import Form, drawn_volume_ml, holding_volume
from hepatica.core import Grid, InputFile, Kind, Provenance, Region, Volume
from hepatica.core.certainty import ImageCertainty
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN, reported
from hepatica.core.image import Acquisition, Image, Stated, is_activity
from hepatica.core.lung_mean import LungMean
from hepatica.core.message import Message, unique
from hepatica.core.options import options, parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.sources import regions_of
from hepatica.core.tables.table import Table
from hepatica.core.transform import Account, How, Transform, warp, warp_region
from hepatica.core.transform.options import TransformOptions
from hepatica.errors import GeometryError, InputError
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.dicom.images.write import Emission, write_ct, write_pet
from hepatica.io.dicom.objects import dicom_names
from hepatica.io.dicom.rtdose import DoseText, write_rtdose
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.io.files import write_text
from hepatica.io.itk import is_itk_file, write_itk
from hepatica.io.read import read_image
from hepatica.io.registration.structures import Drawn, read_drawn
from hepatica.workflow.registration.at_hand import AtHand, transform_for
from hepatica.workflow.registration.transforms import brought_facts, how_for, outside_of
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource, as_dose, as_image, require_one_patient

WHOLE_SHARE = 0.99
"""A structure of which less lies in the field of view is said to be cut."""

WRITTEN_SHARE = 0.02
"""Difference between a structure and its drawing that is warned of."""


@options
class WarpOptions:
    """What is brought over, and what of it is kept.

    Attributes
    ----------
    content : {"image", "structures", "dose"}
        What the file is: an image (CT, PET, SPECT, or NIfTI, MetaImage, NRRD), structures (RTSTRUCT, SEG, label map),
        or a map of absorbed dose in Gy.
    unit : str or None
        What a voxel of a NIfTI, MetaImage or NRRD image holds ("HU", "Bq/mL", "counts", ...); DICOM states its own.
    how : {"values", "density", "activity", "labels"} or None
        What is kept: the value at its place; a density, averaged over the voxel; the total, by mass, a concentration
        times the Jacobian determinant; labels. By default what the unit asks for: the total of an activity, the value
        of HU and dose.
    """

    content: Literal["image", "structures", "dose"] = "image"
    unit: str | None = None
    how: Literal["values", "density", "activity", "labels"] | None = None


@dataclass(frozen=True, slots=True)
class WarpedStructure:
    """One structure before and after.

    Attributes
    ----------
    name : str
        Of the structure.
    volume_before_ml, volume_after_ml : float
        On its own and on the target's voxels, by covered fractions.
    volume_written_ml : float or None
        Of the drawing that is saved: planar contours of an RTSTRUCT, whole voxels of a SEG or label map; None where
        nothing of it is in view.
    jacobian_mean : float or None
        Mean of the Jacobian determinant in it, moving volume per fixed volume; None where nothing of it is in view.
    """

    name: str
    volume_before_ml: float
    volume_after_ml: float
    volume_written_ml: float | None
    jacobian_mean: float | None


@result
class WarpResult(Result):
    """What was brought over.

    Attributes
    ----------
    name : str
        Of the image, structures or dose.
    content : {"image", "structures", "dose"}
        What it is.
    how : str
        What was kept.
    transform : Transform
        From the fixed to the moving frame of reference.
    account : Account or None
        Totals and what was cut off; None of structures.
    structures : tuple of WarpedStructure
        Volumes before and after.
    volume : Volume or None
        The image on the target's voxels; None of structures.
    regions : tuple of Region
        The structures there.
    drawings : tuple of Region
        The same as they are saved: shares scaled so that the border at half share holds the volume.
    image : Image or None
        The same with what was known of it, as other verbs take it; None of structures and doses.
    fixed : Image
        Whose voxels it was brought to.
    written_as : {"RTSTRUCT", "SEG", "label map"}
        Form in which structures are saved.
    """

    verb: ClassVar[str] = "warp_image"

    name: str
    content: Literal["image", "structures", "dose"]
    how: str
    transform: Transform
    account: Account | None = None
    structures: tuple[WarpedStructure, ...] = ()
    volume: Volume | None = field(default=None, metadata=HIDDEN)
    regions: tuple[Region, ...] = field(default=(), metadata=HIDDEN)
    drawings: tuple[Region, ...] = field(default=(), metadata=HIDDEN)
    image: Image | None = field(default=None, metadata=HIDDEN)
    fixed: Image = field(metadata=HIDDEN)
    written_as: Literal["RTSTRUCT", "SEG", "label map"] = field(default="label map", metadata=HIDDEN)

    @property
    @reported
    def grid(self) -> Grid:
        """Voxels of the target."""
        return self.fixed.grid

    @property
    @reported
    def image_certainty(self) -> ImageCertainty | None:
        """What is known of the becquerels of an image of activity, as before; None of all else."""
        return self._facts.certainty if self._facts is not None else None

    @property
    @reported
    def below_zero(self) -> bool:
        """Whether the method of such an image lets voxels go below zero."""
        return self._facts is not None and self._facts.below_zero

    @property
    @reported
    def seen_z_mm(self) -> tuple[float, float] | None:
        """Between which ends such an image sees well, mm along `seen_along`; None where that is not known."""
        return self._facts.seen_z_mm if self._facts is not None else None

    @property
    @reported
    def seen_along(self) -> tuple[float, float, float] | None:
        """Unit vector in LPS along which these ends are measured; None of all that is no image of activity."""
        return self._facts.seen_along if self._facts is not None else None

    @property
    @reported
    def lung_mean(self) -> LungMean | None:
        """How well the mean of the lungs of a SPECT is known, as before; None where that is not known."""
        return self._facts.lung if self._facts is not None else None

    @property
    def _facts(self) -> Acquisition | None:
        shown = self.image is not None and is_activity(self.image.volume.kind)
        return self.image.acquisition if self.image is not None and shown else None

    def title(self) -> str:
        """What was moved, and by what."""
        return f"{self.name} ({self.content}) brought over by a {self.transform.kind} transform, kept: {self.how}"

    def table(self) -> Table:
        """Totals, or volumes of structures."""
        if self.structures:
            volumes = [
                (s.name, s.volume_before_ml, s.volume_after_ml, s.volume_written_ml, s.jacobian_mean)
                for s in self.structures
            ]
            heads = ("structure", "before, mL", "after, mL", "as written, mL", "mean Jacobian")
            return Table.of(heads, volumes, "", "volumes")
        assert self.account is not None
        unit = _unit_of_total(self.volume)
        found = self.account
        facts = (
            (f"total before, {unit}", found.total_before),
            (f"total after, {unit}", found.total_after),
            ("beyond the field of view, %", None if found.left_share is None else 100 * found.left_share),
            ("target beyond the image, %", 100 * found.uncovered_share),
            ("target beyond the displacement field, %", 100 * found.beyond_field_share),
        )
        rows = [fact for fact in facts if fact[1] is not None]
        return Table.of(("", ""), rows, "", "account")

    def write(self, folder: Path) -> None:
        """Write it as what it was.

        An image as ``warped.nii.gz``, and as DICOM where the fixed image is: a CT into ``ct``, a PET in Bq/mL whose
        nuclide and times are known into ``pet``; a dose as ``dose.nii.gz`` and ``dose.dcm``; structures as
        ``structures.dcm`` (RTSTRUCT or SEG, as they were) or ``structures.nii.gz`` with their names beside it, their
        borders drawn where they hold the volume.
        """
        context = self.fixed.context
        if self.content == "structures":
            _write_structures(self, folder, context)
            return
        assert self.volume is not None
        if self.content == "dose":
            write_itk(self.volume, folder / "dose.nii.gz")
            if context is not None:
                text = DoseText(label="warped dose", provenance=self.provenance, zero_below=True)
                write_rtdose(folder / "dose.dcm", self.volume, context, text=text)
            return
        write_itk(self.volume, folder / "warped.nii.gz")
        if context is None or self.image is None:
            return
        if self.volume.kind is Kind.HU:
            write_ct(folder / "ct", self.volume, context, description="CT, warped")
        elif (emission := _emission(self.image)) is not None:
            write_pet(folder / "pet", self.volume, context, emission, description="PET, warped")


@verb
def warp_image(
    image: ImageSource | StructureSource,
    *,
    to: ImageSource,
    registration: TransformOptions = TransformOptions(),
    options: WarpOptions = WarpOptions(),
    progress: Progress | None = None,
) -> WarpResult:
    """An image, structures or a dose brought over to another image's voxels by a transform.

    Parameters
    ----------
    image : path, Image, Volume, or regions
        What lies in the moving frame of reference.
    to : path or Image
        The fixed image, whose voxels and frame of reference it gets.
    registration : TransformOptions
        The transform, from the fixed to the moving frame, or how it is found: by `register` a CT that is brought over,
        or `moving_ct`, is registered to the fixed image.
    options : WarpOptions
        What it is, and what is kept.
    progress : callable, optional
        Called with one sentence at each step.

    Returns
    -------
    WarpResult
        It on the fixed image's voxels, totals and volumes before and after; ``save`` writes it as what it was.

    Raises
    ------
    HepaticaError
        InputError or DicomError where a file is damaged; GeometryError if the transform is of other frames of
        reference, folds, or leads away from all of the target; UnitError if `how` does not suit what it holds.

    Examples
    --------
    >>> moved = hepatica.warp_image(  # doctest: +SKIP
    ...     "scout/spect.dcm", to="therapy/ct", registration=hepatica.TransformOptions(transform="reg.dcm")
    ... )
    >>> moved.account.total_after  # doctest: +SKIP
    1.48e+08
    """
    report_progress = progress or silent
    report_progress("reading images")
    fixed = _target(to, registration)
    if options.content == "structures":
        return _structures(image, fixed, registration, options, report_progress)
    moving, name, inputs, notes, source = _moving(image, options)
    alone = source if source is not None and registration.moving_ct is None else None
    at_hand = AtHand(fixed, "to", alone)
    given = transform_for(registration, (fixed.grid, moving.grid), at_hand, progress=report_progress)
    require_one_patient((*inputs, fixed.source))
    how: How = options.how or how_for(moving.kind)
    report_progress("bringing it over")
    found = warp(moving, given.transform, fixed.grid, how, outside=outside_of(moving.kind))
    return WarpResult(
        name=name,
        content=options.content,
        how=how,
        transform=given.transform,
        account=found.account,
        volume=found.volume,
        image=None if source is None else _brought(source, found.volume, given.transform, fixed),
        fixed=fixed,
        messages=unique(notes, given.messages, (_about(given.words()),), found.messages),
        provenance=Provenance(
            (*inputs, fixed.source, *given.inputs),
            parameters=parameters(registration, options),
            steps=(given.step(given.words()),),
        ),
    )


def _brought(source: Image, volume: Volume, transform: Transform, fixed: Image) -> Image:
    facts = brought_facts(source, transform, volume.grid)
    return replace(source, volume=volume, acquisition=facts, context=fixed.context)


def _about(words: str) -> Message:
    text = f"moved by a {words}"
    return Message("moved-by-transform", text, "look at both images together", severity="note")


def _target(to: ImageSource, registration: TransformOptions) -> Image:
    """The fixed image; of a file that states no unit only the voxels matter, unless it is registered to, as a CT."""
    if registration.register is not None and isinstance(to, str | Path) and is_itk_file(Path(to)):
        return as_image(to, role="ct").used_as("fixed")
    if isinstance(to, str | Path) and is_itk_file(Path(to)):
        return read_image(to, role="image", stated=Stated(unit="unknown")).used_as("fixed")
    return as_image(to, role="image").used_as("fixed")


def _moving(
    image: object, stated: WarpOptions
) -> tuple[Volume, str, tuple[InputFile, ...], tuple[Message, ...], Image | None]:
    """Volume, name, inputs, messages, and the image where it is one."""
    if stated.content == "dose":
        if not isinstance(image, str | Path | Volume | Image):
            raise InputError(f"a dose map is a path, a Volume or an Image, not {type(image).__name__}")
        dose = as_dose(image, role="dose")
        return dose.volume, dose.name, dose.inputs, dose.messages, None
    if not isinstance(image, str | Path | Image):
        raise InputError(
            f"an image is a path or a hepatica.Image, not {type(image).__name__}",
            remedy="state `content` structures for regions",
        )
    found = as_image(image, role="image", stated=Stated(unit=stated.unit))
    return found.volume, found.name, (found.source,), found.messages, found


def _structures(
    image: object, fixed: Image, registration: TransformOptions, stated: WarpOptions, report_progress: Progress
) -> WarpResult:
    if stated.how not in (None, "labels"):
        raise InputError(f"structures are brought over as labels, not as {stated.how!r}")
    drawn, inputs = _drawn(image)
    grids = [region.grid for region in drawn.regions]
    at_hand = AtHand(fixed, "to")
    given = transform_for(registration, (fixed.grid, grids[0]), at_hand, progress=report_progress)
    require_one_patient((*inputs, fixed.source))
    report_progress("bringing structures over")
    jacobian = given.transform.jacobian(fixed.grid)
    written_as = _written_as(drawn.form, fixed.context)
    form: Form = "contours" if written_as == "RTSTRUCT" else "voxels"
    regions: list[Region] = []
    drawings: list[Region] = []
    rows: list[WarpedStructure] = []
    notes: list[Message] = []
    for region in drawn.regions:
        moved = warp_region(region, given.transform, fixed.grid)
        inside = None
        if not moved.is_empty:
            weights = moved.coverage.astype(np.float64)
            inside = float((jacobian[moved.window] * weights).sum() / weights.sum())
        expected = region.volume_ml / (inside or 1.0)
        if moved.volume_ml < WHOLE_SHARE * expected:
            lost = 1 - moved.volume_ml / expected
            text = f"structure {region.name!r}: about {lost:.0%} of it lies beyond the target's field of view"
            notes.append(Message("structure-cut-off", text))
        written = None
        if not moved.is_empty:
            regions.append(moved)
            drawings.append(holding_volume(moved, form))
            written = drawn_volume_ml(drawings[-1], form)
            notes += _shrunk(region.name, moved.volume_ml, written)
        rows.append(WarpedStructure(region.name, region.volume_ml, moved.volume_ml, written, inside))
    if not regions:
        raise GeometryError(f"{drawn.name}: no structure lies where the transform leads from {fixed.name}")
    return WarpResult(
        name=drawn.name,
        content="structures",
        how="labels",
        transform=given.transform,
        structures=tuple(rows),
        regions=tuple(regions),
        fixed=fixed,
        drawings=tuple(drawings),
        written_as=written_as,
        messages=unique(drawn.messages, given.messages, (_about(given.words()),), notes),
        provenance=Provenance(
            (*inputs, fixed.source, *given.inputs),
            parameters=parameters(registration, stated),
            steps=(given.step(given.words()),),
        ),
    )


def _drawn(image: object) -> tuple[Drawn, tuple[InputFile, ...]]:
    if isinstance(image, str | Path):
        return read_drawn(Path(image)), (input_file("structures", Path(image)),)
    regions = regions_of(image)
    return Drawn("regions", regions, "label map"), ()


def _unit_of_total(volume: Volume | None) -> str:
    return "Bq" if volume is None or volume.kind is Kind.ACTIVITY_CONCENTRATION else volume.kind.unit


def _emission(image: Image) -> Emission | None:
    """What a PET in Bq/mL must say of itself; None where it is not known."""
    facts, time = image.acquisition, image.volume.time
    if image.volume.kind is not Kind.ACTIVITY_CONCENTRATION or facts.nuclide is None or time is None:
        return None
    if facts.modality != "PT" or facts.frame_duration_s is None:
        return None
    return Emission(
        nuclide=facts.nuclide,
        start=time,
        frame_duration_s=facts.frame_duration_s,
        administered_bq=facts.administered_bq,
        administered_at=facts.administered_at,
        decay_correction="START",
        methods={"ReconstructionMethod": "negative-allowing (WLS, AML), brought over"} if facts.below_zero else {},
        seen_z_mm=facts.seen_z_mm,
        seen_along=facts.seen_along,
        certainty=facts.certainty,
    )


WrittenAs = Literal["RTSTRUCT", "SEG", "label map"]


def _written_as(form: WrittenAs, context: DicomContext | None) -> WrittenAs:
    """As what structures are saved: a label map where the target is no DICOM, or a SEG would refer to no image."""
    if context is None or (form == "SEG" and not context.instances):
        return "label map"
    return form


def _shrunk(name: str, volume_ml: float, written_ml: float) -> list[Message]:
    """A warning where the drawing cannot hold the volume: a few large voxels."""
    if abs(written_ml - volume_ml) <= WRITTEN_SHARE * volume_ml:
        return []
    text = (
        f"structure {name!r}: it is written with {written_ml:.3g} mL, and measures {volume_ml:.3g} mL: the target's "
        "voxels are too large for it"
    )
    return [Message("structure-written-otherwise", text, "bring it over to finer voxels")]


def _write_structures(found: WarpResult, folder: Path, context: DicomContext | None) -> None:
    names = dicom_names([region.name for region in found.drawings])
    drawn = [region.renamed(name) for region, name in zip(found.drawings, names, strict=True)]
    if context is not None and found.written_as == "SEG":
        write_seg(folder / "structures.dcm", drawn, context, image_grid=found.grid, provenance=found.provenance)
    elif context is not None and found.written_as == "RTSTRUCT":
        write_rtstruct(folder / "structures.dcm", drawn, context, image_grid=found.grid, provenance=found.provenance)
    else:
        write_label_map(drawn, folder / "structures.nii.gz")


def write_label_map(regions: Sequence[Region], path: Path) -> None:
    """Regions on one grid as labels from 1 on, and their names in a .json beside them; where two overlap, the last."""
    labels = np.zeros(regions[0].grid.shape, dtype=np.int16)
    for number, region in enumerate(regions, 1):
        inside = region.coverage >= 0.5
        labels[region.window][inside] = number
    write_itk(Volume(regions[0].grid, labels, Kind.LABEL), path)
    named = {str(number): region.name for number, region in enumerate(regions, 1)}
    write_text(path.with_name(path.name.removesuffix(".nii.gz") + ".json"), json.dumps(named, indent=1) + "\n")
