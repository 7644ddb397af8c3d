"""Lesions segmented before and after treatment, from whatever holds them: label map, SEG, RTSTRUCT or regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from hepatica.anatomy.structures.kinds import LESIONS, Structure
from hepatica.anatomy.structures.roles import STRUCTURE_ROLES_TEXT, identified
from hepatica.core import Grid, Kind, Provenance, Region
from hepatica.core.document import HIDDEN
from hepatica.core.image import Image, Stated
from hepatica.core.message import Message, unique
from hepatica.core.options import NonNegative, parameters, verb
from hepatica.core.tables.sources import regions_of
from hepatica.core.tables.table import Table
from hepatica.core.transform import Transform, warp_region
from hepatica.core.transform.options import TransformOptions
from hepatica.errors import InputError, NothingDrawnError, UnknownNameError
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.itk import is_itk_file, read_itk
from hepatica.io.structures.structures import Label, Structures
from hepatica.outcome.response.criteria import Response
from hepatica.outcome.response.segmentations import (
    SEGMENTED,
    Absent,
    Compared,
    NewLesion,
    SegmentedLesion,
    compare_segmentations,
    lesions_and_others,
    patient_responses,
    segmented_remnant,
    segmented_retention,
)
from hepatica.outcome.response.volumes import RemnantGrowth, Retention
from hepatica.report.figures.outcome import save
from hepatica.report.figures.response import draw_segmented
from hepatica.workflow.outcome.lipiodol import retention_table
from hepatica.workflow.outcome.remnant import remnant_table
from hepatica.workflow.registration.at_hand import AtHand, transform_for
from hepatica.workflow.registration.transforms import GivenTransform
from hepatica.workflow.registration.warp import write_label_map
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource, as_image, require_one_patient


@result
class SegmentedResponseResult(Result):
    """Response of every lesion and of all together, growth of the remnant, lipiodol."""

    verb = "segmented_response"

    lesions: tuple[SegmentedLesion, ...]
    new_lesions: tuple[NewLesion, ...]
    all_lesions: Mapping[str, Response]
    not_lesions: Mapping[str, str]
    """Structures of either file that do not count as lesions, and what they are."""
    remnant: RemnantGrowth | None
    lipiodol: tuple[Retention, ...]
    transform: Transform | None = None
    """From points of the later image to points of the earlier one, where one was given or found."""
    propagated: tuple[Region, ...] = field(default=(), metadata=HIDDEN)
    """Structures before on the voxels of the later image."""

    def table(self) -> Table:
        """Sizes and response of each lesion, and of all together."""
        columns = ("lesion", "before, mL", "after, mL", "change, %", "before, mm", "after, mm", *SEGMENTED)
        rows = [
            (
                s.name, s.before.volume_ml, None if s.after is None else s.after.volume_ml,
                None if s.relative_volume_change is None else 100 * s.relative_volume_change, s.before.longest_mm,
                None if s.after is None else s.after.longest_mm, *(s.responses[name].value for name in SEGMENTED),
            )
            for s in self.lesions
        ]  # fmt: skip
        rows += [
            (f"{n.name} (new)", None, n.after.volume_ml, None, None, n.after.longest_mm, *[""] * len(SEGMENTED))
            for n in self.new_lesions
        ]
        together = [("all together", *[None] * 5, *(found.value for found in self.all_lesions.values()))]
        title = "Segmented lesions (mRECIST and EASL: if the viable part was segmented)"
        return Table.of(columns, [*rows, *together] if rows else [], title, "lesions")

    def tables(self) -> tuple[Table, ...]:
        """Lesions, lipiodol, remnant; each where there is one."""
        return (
            *((self.table(),) if self.lesions or self.remnant is None else ()),
            *((retention_table(self.lipiodol),) if self.lipiodol else ()),
            *(() if self.remnant is None else (remnant_table([self.remnant]),)),
        )

    def write(self, folder: Path) -> None:
        """Write ``change.svg``; with a transform ``propagated.nii.gz``, the structures before on the later voxels."""
        rows = [
            (s.name, s.before.volume_ml, s.after.volume_ml, s.responses["volume"].value)
            for s in self.lesions
            if s.after is not None
        ]
        if self.remnant is not None:
            growth = self.remnant.found.growth
            rows.append(("future remnant", growth.before_ml, growth.after_ml, ""))
        if rows:
            save(draw_segmented(rows), folder / "change.svg")
        if self.propagated:
            write_label_map(self.propagated, folder / "propagated.nii.gz")


@verb
def segmented_response(
    before: StructureSource,
    after: StructureSource,
    *,
    before_image: ImageSource | None = None,
    after_image: ImageSource | None = None,
    interval_days: NonNegative | None = None,
    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None,
    absent_lesions: Absent = "gone",
    registration: TransformOptions = TransformOptions(),
) -> SegmentedResponseResult:
    """Response of lesions that were segmented before and after treatment.

    Lesions are compared by name, else by place, by a transform where the patient lay differently; liver, lungs, body,
    organs and what is made of others ("all tumours", "liver minus tumours") do not count. Structures named "liver" and
    "remnant" (or "future liver remnant", "FLR") give the growth of the remnant, one named "lipiodol" in the later file
    the share of each lesion that holds it.

    Parameters
    ----------
    before : path or regions
        Structures before treatment: label map (names in a .json beside it), SEG or RTSTRUCT.
    after : path or regions
        Structures after treatment, same names; a lesion without a voxel is gone, one of another name and place is new.
    before_image : path or Image, optional
        Image on whose voxels the lesions before are measured; an RTSTRUCT needs the one it was drawn on.
    after_image : path or Image, optional
        The same for the lesions after.
    interval_days : float or None
        Time between the two, for the growth of the remnant per week.
    structure_roles : mapping of str to str or None
        What a structure is, where its name does not say: 'Seg 5=tumour', 'A3=lymph_node'.
    absent_lesions : {"gone", "not-evaluated"}
        What a lesion is that the later file does not list: gone, or only not drawn.
    registration : TransformOptions
        The transform from the later image to the earlier one, by which lesions are matched by place: given, or found by
        registering `before_image` to `after_image`. Sizes are measured as drawn.

    Returns
    -------
    SegmentedResponseResult
        Lesions, remnant, lipiodol; ``save`` draws the change.

    Raises
    ------
    InputError
        If a file is of another kind, an RTSTRUCT comes without its image, or the files are of different patients.
    EvidenceError
        If a lesion cannot be measured.

    Examples
    --------
    >>> found = hepatica.segmented_response("lesions-1.nii.gz", "lesions-2.nii.gz")  # doctest: +SKIP
    >>> found.lesions[0].responses["mrecist"].value  # doctest: +SKIP
    'PR'
    """
    files = {role: Path(s) for role, s in (("before", before), ("after", after)) if isinstance(s, str | Path)}
    patients = {role: name for role, path in files.items() if (name := _patient(path))}
    if len(set(patients.values())) > 1:
        raise InputError(f"{before} is of patient {patients['before']!r}, {after} of {patients['after']!r}")
    old, new = _read(before, before_image, "before_image"), _read(after, after_image, "after_image")
    images = _images(before_image, after_image, registration)
    names = {*(r.name for r in (*old.regions, *new.regions)), *new.empty}
    if unknown := sorted(set(structure_roles or {}) - names):
        raise UnknownNameError("structure", unknown[0], sorted(names))
    known, later = (identified(found.regions, structure_roles) for found in (old, new))
    lesions, others = lesions_and_others(old.regions, known.roles)
    new_lesions, new_others = lesions_and_others(new.regions, later.roles)
    in_liver = [region for region in lesions if known.roles[region.name] is Structure.TUMOUR]
    remnant = segmented_remnant(others, new_others, in_liver, days=interval_days)
    moved = _propagated(old, new, images, registration, structure_roles)
    compared = Compared((), ())
    if lesions or new_lesions or remnant is None:
        nodes = {name for found in (known, later) for name, role in found.roles.items() if role is Structure.LYMPH_NODE}
        places = None if moved is None else {region.name: region for region in moved.regions}
        compared = compare_segmentations(
            lesions, new_lesions, nodes=nodes, empty=new.empty, absent=absent_lesions, propagated=places
        )
    roles = {**later.roles, **known.roles}
    return SegmentedResponseResult(
        lesions=compared.lesions,
        new_lesions=compared.new,
        all_lesions=patient_responses(compared.lesions, compared.new),
        not_lesions={name: role.value for name, role in roles.items() if role not in LESIONS},
        remnant=remnant,
        lipiodol=segmented_retention(new_lesions, new_others.get("lipiodol")),
        transform=None if moved is None else moved.given.transform,
        propagated=() if moved is None else tuple(region for region in moved.regions if not region.is_empty),
        messages=unique(
            old.messages, new.messages, known.messages, later.messages, () if moved is None else moved.messages,
            compared.messages, _not_counted(roles),
        ),
        provenance=Provenance(
            inputs=(
                *(input_file(role, path) for role, path in files.items()),
                *(image.source for image in images if image is not None),
                *(() if moved is None else moved.given.inputs),
            ),
            parameters=parameters(
                registration, interval_days=interval_days, structure_roles=structure_roles,
                absent_lesions=absent_lesions,
            ),
            steps=() if moved is None else (moved.step,),
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Propagated:
    """Structures before on the voxels of the later image, those that do not come into it empty."""

    given: GivenTransform
    regions: tuple[Region, ...]
    messages: tuple[Message, ...]
    step: str


def _images(
    before: ImageSource | None, after: ImageSource | None, registration: TransformOptions
) -> tuple[Image | None, Image | None]:
    """The images to register, where that is asked for: those on which the structures lie."""
    if registration.register is None:
        return None, None
    missing = [name for name, image in (("before_image", before), ("after_image", after)) if image is None]
    if missing:
        raise InputError(
            f"there is no image to `register`: {' and '.join(f'`{name}`' for name in missing)} not given",
            remedy="give both, or a `transform`",
        )
    if registration.moving_ct is not None:
        raise InputError("`moving_ct` is `before_image` here", remedy="leave it out")
    one, other = (_anatomy(image, role) for image, role in ((before, "before_image"), (after, "after_image")))
    require_one_patient((one.source, other.source))
    return one, other


def _anatomy(image: ImageSource | None, role: str) -> Image:
    """A CT or MR; of a file without a unit HU, as everywhere."""
    assert image is not None
    plain = isinstance(image, str | Path) and is_itk_file(Path(image))
    return as_image(image, role="ct" if plain else "image").used_as(role)


def _propagated(
    old: Structures,
    new: Structures,
    images: tuple[Image | None, Image | None],
    registration: TransformOptions,
    roles: Mapping[str, str] | None,
) -> _Propagated | None:
    """Structures before, brought over to the later image; None without transform and registration."""
    if not registration.moves:
        return None
    if not old.regions or not new.regions:
        raise InputError(
            f"nothing is drawn {'before' if not old.regions else 'after'}: there is no place to bring over or to",
            remedy="leave `transform` or `register` out",
        )
    there, here = images
    grids = (new.regions[0].grid if here is None else here.grid, old.regions[0].grid)
    known = {name: role for name, role in (roles or {}).items() if name in {region.name for region in new.regions}}
    at_hand = AtHand(here, "after_image", there, new.regions, known or None)
    given = transform_for(registration, grids, at_hand)
    regions = tuple(warp_region(region, given.transform, grids[0]) for region in old.regions)
    text = f"structures before were brought over to the later image by a {given.words()}; lesions are compared there"
    notes = [Message("structures-moved", text, "look at both images together", severity="note")]
    if lost := [region.name for region in regions if region.is_empty]:
        said = f"beyond the later image by the transform: {', '.join(map(repr, lost))}"
        notes.append(Message("structures-beyond", said, "they are matched by name alone"))
    return _Propagated(given, regions, unique(notes, given.messages), given.step(text))


def _patient(path: Path) -> str:
    from hepatica.io.dicom.tags import open_dicom

    if not path.is_file():
        raise InputError(f"{path}: no such file (name the label map, SEG or RTSTRUCT itself)")
    return "" if is_itk_file(path) else open_dicom(path).text("PatientID")


def _not_counted(roles: Mapping[str, Structure]) -> tuple[Message, ...]:
    """What to know of structures whose names say nothing."""
    unknown = [name for name, role in roles.items() if role is Structure.OTHER]
    if not unknown:
        return ()
    text = f"not counted as lesions, their names do not say what they are: {', '.join(map(repr, unknown))}"
    return (Message("structures-not-counted", text, "state `structure_roles`: 'NAME=tumour' for a lesion"),)


def _read(source: StructureSource, image: ImageSource | None, role: str) -> Structures:
    """Structures on the voxels of their image, or on their own; none where a later file holds nothing any more."""
    from hepatica.io.structures.regions import read_structures

    if not isinstance(source, str | Path):
        regions = regions_of(source)
        return Structures(tuple(regions), tuple(Label(n, r.name) for n, r in enumerate(regions, start=1)))
    path = Path(source)
    on: Image | Grid
    if image is not None:
        # The unit does not matter here, only the voxels; a file that does not say its unit may serve.
        is_plain = isinstance(image, str | Path) and is_itk_file(Path(image))
        on = as_image(image, role="image", stated=Stated(unit="HU") if is_plain else Stated())
    else:
        on = _own_grid(path, role)
    try:
        return read_structures(path, on)
    except NothingDrawnError as error:
        if role == "before_image":
            raise
        text = f"{error.args[0]}: everything that was there is gone"
        return Structures((), (), (Message("nothing-drawn", text, "make sure that it was looked for"),), error.names)


def _own_grid(path: Path, role: str) -> Grid:
    from hepatica.io.dicom.context import instance_of
    from hepatica.io.dicom.structures.rtstruct import RT_STRUCTURE_SET
    from hepatica.io.dicom.structures.seg import segmentation_grid
    from hepatica.io.dicom.tags import open_dicom

    if is_itk_file(path):
        return read_itk(path, Kind.LABEL)[0].grid
    if instance_of(open_dicom(path)).sop_class_uid == RT_STRUCTURE_SET:
        raise InputError(f"{path}: an RTSTRUCT has no voxels", remedy=f"name the image it was drawn on with `{role}`")
    return segmentation_grid(path)
