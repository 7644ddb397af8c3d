"""One image laid onto another, with everything that says how well it lies there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from hepatica.anatomy.registration.landmarks import Points
from hepatica.anatomy.registration.orientation import mirror_ratio
from hepatica.anatomy.registration.quality.criteria import Mark, marks
from hepatica.anatomy.registration.quality.dose_effect import DoseEffect, dose_effects
from hepatica.anatomy.registration.quality.measures import (
    StructureAgreement,
    TargetError,
    structure_agreement,
    target_error,
)
from hepatica.anatomy.registration.register import Registration, register_volumes
from hepatica.anatomy.registration.settings import RegistrationOptions
from hepatica.anatomy.structures.kinds import LESIONS, Structure
from hepatica.anatomy.structures.roles import identified
from hepatica.core import InputFile, Kind, Provenance, Region, Volume
from hepatica.core.document import HIDDEN, INLINE
from hepatica.core.image import Image, Stated
from hepatica.core.message import Message, unique
from hepatica.core.options import options, parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.sources import LandmarkSource, regions_of
from hepatica.core.tables.table import Cell, Table
from hepatica.core.transform import Transform, warp, warp_region
from hepatica.errors import InputError, UnitError
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.itk import write_itk
from hepatica.io.registration.dicom_write import write_registration
from hepatica.io.registration.fields import write_displacement_field
from hepatica.io.registration.itk_transform import write_itk_transform
from hepatica.io.registration.landmarks import read_landmarks
from hepatica.io.structures.regions import read_structures
from hepatica.workflow.registration.at_hand import counted_region
from hepatica.workflow.registration.transforms import how_for, outside_of
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import DoseSource, ImageSource, StructureSource, as_dose, as_image, require_one_patient

SEEN_KINDS = (Kind.HU, Kind.UNKNOWN)


@options
class RegisteredImages:
    """What the two images are, where their files do not say.

    Attributes
    ----------
    fixed_unit : str
        What a voxel of a fixed image in NIfTI, MetaImage or NRRD holds: "HU" of a CT, "unknown" of an MR, "Bq/mL", ...
    moving_unit : str
        The same of the moving image.
    fixed_series : str or None
        Series to take, where a folder of the fixed image holds several.
    moving_series : str or None
        The same of the moving image.
    """

    fixed_unit: str | None = None
    moving_unit: str | None = None
    fixed_series: str | None = None
    moving_series: str | None = None


@options
class KnownPlaces:
    """What is known to be the same tissue in both images, and what the registration is for.

    Attributes
    ----------
    structures : path, sequence of Region, or None
        Structures drawn on the fixed image: RTSTRUCT, SEG or label map.
    moving_structures : path, sequence of Region, or None
        The same of the moving image; those of one name are compared.
    landmarks : path, mapping of str to three floats, or None
        Landmarks of the fixed image: CSV, .fcsv or .mrk.json, or LPS mm by name.
    moving_landmarks : path, mapping of str to three floats, or None
        The same of the moving image; those of one name are compared, and three or more are a start.
    within : sequence of str
        Structures of the fixed image to count in, by name or role ("liver"); the whole patient if none.
    dose_map : path, Volume, or None
        Absorbed dose in the fixed image's frame of reference, whose means the uncertainty of the registration blurs.
    """

    structures: StructureSource | None = None
    moving_structures: StructureSource | None = None
    landmarks: LandmarkSource | None = None
    moving_landmarks: LandmarkSource | None = None
    within: tuple[str, ...] = ()
    dose_map: DoseSource | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RegistrationQuality:
    """What was measured of a registration.

    Attributes
    ----------
    target_error : TargetError or None
        Of landmarks.
    structures : tuple of StructureAgreement
        Of structures of one name in both images.
    marks : tuple of Mark
        TG-132.
    dose_effects : tuple of DoseEffect
        What one standard deviation of the registration does to the structures' means of the dose.
    """

    target_error: TargetError | None
    structures: tuple[StructureAgreement, ...]
    marks: tuple[Mark, ...]
    dose_effects: tuple[DoseEffect, ...]


@result
class RegistrationResult(Result):
    """Where the tissue of the fixed image lies in the moving one, and how sure that is.

    Attributes
    ----------
    moving_name, fixed_name : str
        Of the images.
    registration : Registration
        Transform, starts, likeness, uncertainty.
    quality : RegistrationQuality
        Landmarks, structures, marks, effect on a dose.
    moving, fixed : Image
        The images.
    moved : Volume
        The moving image on the fixed one's voxels.
    fixed_structures, moving_structures : tuple of Region
        As given, each on its own image.
    """

    verb: ClassVar[str] = "register"

    moving_name: str
    fixed_name: str
    registration: Registration = field(metadata=INLINE)
    quality: RegistrationQuality = field(metadata=INLINE)
    moving: Image = field(metadata=HIDDEN)
    fixed: Image = field(metadata=HIDDEN)
    moved: Volume = field(metadata=HIDDEN)
    fixed_structures: tuple[Region, ...] = field(default=(), metadata=HIDDEN)
    moving_structures: tuple[Region, ...] = field(default=(), metadata=HIDDEN)

    @property
    def transform(self) -> Transform:
        """From points of the fixed image to points of the moving one, LPS mm."""
        return self.registration.transform

    def title(self) -> str:
        """What was laid onto what."""
        kept = "" if self.registration.kept else ", as its header places it"
        return f"{self.moving_name} laid onto {self.fixed_name}: {self.transform.kind} transform{kept}"

    def table(self) -> Table:
        """Likeness, uncertainty, volumes, the way there and back."""
        found, sure = self.registration, self.registration.uncertainty
        axes = (None, None, None) if sure is None else sure.per_axis_mm
        back = found.inverse
        rows: list[tuple[str, Cell]] = [
            ("likeness as the headers place them, in what counts, 0 to 1", found.similarity_before),
            ("likeness as registered, in what counts", found.similarity_after),
            ("start", next((t.name for t in found.starts if t.taken), "")),
            ("region shown by the moving image, %", 100 * found.shared),
            *((f"uncertainty along {name}, mm", value) for name, value in zip("xyz", axes, strict=True)),
            ("Jacobian determinant, lowest", found.volumes.lowest),
            ("Jacobian determinant, highest", found.volumes.highest),
            ("folded, %", found.volumes.folded_percent),
            ("inverse consistency, mean, mm", None if back is None else back.mean_mm),
            ("inverse consistency, 95 %, mm", None if back is None else back.percentile_95_mm),
        ]
        if (fit := found.landmark_fit) is not None:
            rows += [
                ("fiducial registration error, mm", fit.fiducial_error_mm),
                ("error of landmarks left out, mm", fit.leave_one_out_mm),
            ]
        if (target := self.quality.target_error) is not None:
            rows += [
                ("target registration error, mean, mm", target.mean_mm),
                ("target registration error, SD, mm", target.sd_mm),
                ("target registration error, largest, mm", target.max_mm),
            ]
        return Table.of(("what", "value"), rows, "", "registration")

    def tables(self) -> tuple[Table, ...]:
        """The main one, structures, landmarks, marks, effect on the dose, starts."""
        quality = self.quality
        tables = [self.table()]
        if quality.structures:
            heads = ("structure", "Dice before", "Dice", "mean distance, mm", "HD95, mm", "fixed, mL", "moved, mL")
            rows = [(s.name, s.dice_before, s.dice, s.mean_distance_mm, s.hausdorff_95_mm, s.volume_fixed_ml,
                     s.volume_moved_ml) for s in quality.structures]  # fmt: skip
            tables.append(Table.of(heads, rows, "Structures of both images", "structures"))
        if quality.target_error is not None:
            each = quality.target_error.each_mm.items()
            tables.append(Table.of(("landmark", "error, mm"), list(each), "Landmarks", "landmarks"))
        of_marks = ("criterion", "value", "unit", "passes at", "fails beyond", "mark")
        judged = [(m.criterion, m.value, m.unit, m.accepted_limit, m.failure_limit, m.verdict) for m in quality.marks]
        tables.append(Table.of(of_marks, judged, "Marks after AAPM TG-132", "marks"))
        if quality.dose_effects:
            of_dose = ("structure", "mean", "lowest", "highest", "unit", "SD, %")
            effects = [
                (e.name, e.mean, e.lowest, e.highest, e.unit, e.relative_sd_percent) for e in quality.dose_effects
            ]
            tables.append(
                Table.of(of_dose, effects, "Means shifted by one standard deviation, six ways", "dose-effect")
            )
        heads = (
            "start",
            "shift x, mm",
            "y",
            "z",
            "likeness after its coarse climb, whole patient",
            "shared, %",
            "chosen",
        )
        starts = [(t.name, *t.start_shift_mm, t.similarity, 100 * t.shared, t.taken) for t in self.registration.starts]
        tables.append(Table.of(heads, starts, "Starts", "starts"))
        return tuple(tables)

    def write(self, folder: Path) -> None:
        """Write transform, moved image and figure.

        ``registration.dcm`` (Spatial or Deformable Spatial Registration) where both images are DICOM;
        ``transform.tfm`` (ITK) of a rigid or affine transform, ``displacement.nii.gz`` of a deformable one;
        ``moved.nii.gz``, the moving image on the fixed one's voxels; ``registration.png``, checkerboards and outlines.
        """
        contexts = (self.fixed.context, self.moving.context)
        if contexts[0] is not None and contexts[1] is not None:
            write_registration(folder / "registration.dcm", self.transform, contexts[0], contexts[1])
        if self.transform.is_affine:
            write_itk_transform(folder / "transform.tfm", self.transform)
        else:
            write_displacement_field(
                folder / "displacement.nii.gz",
                self.transform.sampled(self.fixed.grid),
                uncertainty_mm=self.transform.uncertainty_mm,
                warned=not self.registration.usable,
            )
        write_itk(self.moved, folder / "moved.nii.gz")
        (folder / "registration.png").write_bytes(self.picture())

    def picture(self) -> bytes:
        """Checkerboards and outlines before and after, PNG."""
        from hepatica.report.figures.dosimetry.dose import png
        from hepatica.report.figures.images.registration import RegisteredPair, registration_figure, same_place

        grid = self.fixed.grid
        headers = replace(self.transform, steps=())
        common = _common(self.fixed_structures, self.moving_structures)
        shown = tuple(one for one, _ in common) or self.fixed_structures
        at = same_place(grid) if not shown else _middle(shown[0])
        pair = RegisteredPair(
            self.fixed.volume,
            _placed(self.moving.volume, headers, self.fixed.volume),
            _placed(self.moving.volume, self.transform, self.fixed.volume),
            shown,
            [warp_region(other, headers, grid) for _, other in common],
            [warp_region(other, self.transform, grid) for _, other in common],
            at,
        )
        return png(registration_figure(pair), dpi=110)


@verb
def register(
    moving: ImageSource,
    fixed: ImageSource,
    *,
    images: RegisteredImages = RegisteredImages(),
    known: KnownPlaces = KnownPlaces(),
    options: RegistrationOptions = RegistrationOptions(),
    progress: Progress | None = None,
) -> RegistrationResult:
    """One image laid onto another, with its quality: CT, SPECT or PET with CT, MR.

    Parameters
    ----------
    moving : path or Image
        Image that is laid onto the other one.
    fixed : path or Image
        Image that stays where it is.
    images : RegisteredImages
        What the images are, where their files do not say.
    known : KnownPlaces
        Structures, landmarks and a dose by which the registration is judged, and what counts.
    options : RegistrationOptions
        Model, starts and checks.
    progress : callable, optional
        Called with one sentence at each step.

    Returns
    -------
    RegistrationResult
        Transform, its uncertainty and quality; ``save`` writes it as DICOM and for ITK, with moved image and figure.

    Raises
    ------
    HepaticaError
        InputError for landmarks that are too few, GeometryError where the images do not overlap, landmarks lie on a
        line or a structure elsewhere; otherwise as `anatomy.registration.register.register_volumes` and the readers.

    Examples
    --------
    >>> laid = hepatica.register("diagnostic/ct", "spect-ct/ct", known=hepatica.KnownPlaces(  # doctest: +SKIP
    ...     structures="spect-ct/liver.dcm", within=("liver",)))
    >>> laid.transform.uncertainty_mm  # doctest: +SKIP
    1.1
    """
    report_progress = progress or silent
    report_progress("reading images")
    there = _image(moving, "moving", images.moving_series, images.moving_unit)
    here = _image(fixed, "fixed", images.fixed_series, images.fixed_unit)
    require_one_patient((there.source, here.source))
    drawn, about, files = _structures(known.structures, here, "structures")
    others, about_others, more = _structures(known.moving_structures, there, "moving_structures")
    landmarks, listed = _landmarks(known)
    if known.dose_map is not None and not drawn:
        raise InputError("`dose_map` is judged in structures of the fixed image", remedy="give `structures`")
    found = register_volumes(
        here.volume,
        there.volume,
        options,
        within=_within(drawn, known.within),
        landmarks=landmarks,
        progress=report_progress,
    )
    report_progress("measuring the quality")
    quality, notes, dosed = _quality(found, (here, there), (drawn, others), landmarks, known)
    inputs = (there.source, here.source, *files, *more, *listed, *dosed)
    return RegistrationResult(
        moving_name=there.name,
        fixed_name=here.name,
        registration=found,
        quality=quality,
        moving=there,
        fixed=here,
        moved=_moved(there.volume, found.transform, here.volume),
        fixed_structures=drawn,
        moving_structures=others,
        messages=unique(there.messages, here.messages, about, about_others, found.messages, notes),
        provenance=Provenance(
            inputs=inputs,
            parameters=parameters(images, known, options),
            conventions={"marks": "AAPM TG-132, Brock et al., Med. Phys. 44 (2017) e43"},
            steps=(f"{there.name} was registered to {here.name}: {found.transform.method}",),
        ),
    )


def _image(source: ImageSource, role: str, series: str | None, unit: str | None) -> Image:
    try:
        return as_image(source, role="image", series=series, stated=Stated(unit=unit)).used_as(role)
    except UnitError as error:
        if unit is not None:
            raise
        raise UnitError(
            f"{role}: the file does not say what a voxel holds",
            remedy=f"state `{role}_unit`: HU of a CT, unknown of an MR",
        ) from error


def _structures(
    given: StructureSource | None, image: Image, role: str
) -> tuple[tuple[Region, ...], tuple[Message, ...], tuple[InputFile, ...]]:
    if given is None:
        return (), (), ()
    if isinstance(given, str | Path):
        read = read_structures(given, image)
        regions = tuple(region for region in read.regions if not region.is_empty)
        return regions, read.messages, (input_file(role, Path(given)),)
    return regions_of(given), (), ()


def _landmarks(known: KnownPlaces) -> tuple[tuple[Points, Points] | None, tuple[InputFile, ...]]:
    """Landmarks of the fixed and the moving image, and their files."""
    given = (known.landmarks, known.moving_landmarks)
    if given == (None, None):
        return None, ()
    if None in given:
        raise InputError("landmarks of one image alone say nothing", remedy="give `landmarks` and `moving_landmarks`")
    points: list[Points] = []
    files: list[InputFile] = []
    for role, source in zip(("landmarks", "moving_landmarks"), given, strict=True):
        if isinstance(source, Mapping):
            points.append(source)
            continue
        read = read_landmarks(Path(str(source)))
        points.append({name: tuple(at.tolist()) for name, at in zip(read.names, read.points_mm, strict=True)})
        files.append(InputFile.of(role, Path(str(source))))
    return (points[0], points[1]), tuple(files)


def _within(drawn: Sequence[Region], names: Sequence[str]) -> Region | None:
    """What counts: the union of the structures of these names or roles."""
    if not names:
        return None
    if not drawn:
        raise InputError("`within` names structures, and none were given", remedy="give `structures`")
    return counted_region(drawn, names)


def _quality(
    found: Registration,
    images: tuple[Image, Image],
    drawn: tuple[Sequence[Region], Sequence[Region]],
    landmarks: tuple[Points, Points] | None,
    known: KnownPlaces,
) -> tuple[RegistrationQuality, tuple[Message, ...], tuple[InputFile, ...]]:
    notes: list[Message] = []
    target = None if landmarks is None else target_error(*landmarks, found.transform)
    if known_alone := (found.landmark_fit is not None and not found.starts):
        target = _left_out_error(found, target)
        text = "the target error is that of each landmark left out of the fit; those in it say less"
        notes += [Message("target-error-left-out", text, severity="note")] if target is not None else []
    if target is not None and not known_alone and any(t.taken and t.name == "landmarks" for t in found.starts):
        text = "the landmarks were the start as well: their error is a little smaller than that of other points"
        notes.append(Message("landmarks-were-start", text, severity="note"))
    agreements = []
    for one, other in _common(*drawn):
        agreement = structure_agreement(one, other, found.transform)
        if agreement is None:
            notes.append(
                Message("structure-not-compared", f"structure {one.name!r} does not come into the fixed image")
            )
        else:
            agreements.append(agreement)
    effects: tuple[DoseEffect, ...] = ()
    files: tuple[InputFile, ...] = ()
    if known.dose_map is not None:
        dose = as_dose(known.dose_map, role="dose")
        files = dose.inputs
        notes += dose.messages
        if found.uncertainty is None:
            text = "the uncertainty of the registration is not known: its effect on the dose was not worked out"
            notes.append(Message("dose-effect-unknown", text, "register with `checks`"))
        else:
            effects = dose_effects(dose.volume, drawn[0], found.uncertainty.per_axis_mm)
    grids = (images[0].grid, images[1].grid)
    # A lesion may grow or shrink from image to image: how well it fits says nothing of the registration.
    roles = identified(drawn[0]).roles
    lasting = [item for item in agreements if roles[item.name] not in (*LESIONS, Structure.ALL_TUMOURS)]
    judged = marks(
        grids,
        target,
        lasting,
        found.volumes,
        found.inverse,
        mirror_ratio=mirror_ratio(found.orientations),
        usable=found.usable,
    )
    if failed := [mark.criterion for mark in judged if mark.verdict == "fail"]:
        text = f"the registration fails by TG-132: {', '.join(failed)}"
        notes.append(Message("registration-fails", text, "look at the figure before you use it"))
    return RegistrationQuality(target, tuple(agreements), judged, effects), tuple(notes), files


def _left_out_error(found: Registration, target: TargetError | None) -> TargetError | None:
    """Target error of landmarks that made the transform: each by a fit of the others; None where that cannot be."""
    fit = found.landmark_fit
    if fit is None or target is None or fit.leave_one_out_mm is None:
        return None
    each = {name: float(error or 0.0) for name, error in zip(fit.names, fit.left_out_mm, strict=True)}
    errors = np.array(list(each.values()))
    return TargetError(
        float(errors.mean()), float(errors.std(ddof=1)), float(errors.max()), each, target.mean_before_mm
    )


def _common(fixed: Sequence[Region], moving: Sequence[Region]) -> list[tuple[Region, Region]]:
    """Structures of one name in both images."""
    others = {region.name: region for region in moving}
    return [(region, others[region.name]) for region in fixed if region.name in others]


def _moved(moving: Volume, transform: Transform, fixed: Volume) -> Volume:
    return warp(moving, transform, fixed.grid, how_for(moving.kind), outside=outside_of(moving.kind)).volume


def _placed(moving: Volume, transform: Transform, fixed: Volume) -> Volume:
    """The moving image on the fixed one's voxels, for the eye; empty where the headers place it elsewhere."""
    kind = moving.kind if moving.kind in SEEN_KINDS else Kind.UNKNOWN
    plain = moving.with_values(moving.values.astype(np.float32, copy=False), kind)
    return warp(plain, transform, fixed.grid, "values", outside=outside_of(kind), may_miss=True).volume


def _middle(region: Region) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    from hepatica.report.figures.images.planes import centre_of

    return np.asarray(centre_of(region), dtype=np.float64)
