"""The patient's structures on the voxels of the dose, and what each one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hepatica.anatomy.segmentation.body_and_lungs.lungs import body_and_lungs
from hepatica.anatomy.structures.clinical import (
    ClinicalRegion,
    Structure,
    StructureOptions,
    about_whole_liver,
    clinical_regions,
    structure_of,
)
from hepatica.anatomy.structures.roles import about_unknown, identified
from hepatica.core import Grid, InputFile, Region
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.resample import resample_region
from hepatica.core.tables.sources import regions_of
from hepatica.errors import InputError
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.structures.regions import read_structures, wanted_regions
from hepatica.nuclides import agent
from hepatica.workflow.sources import StructureSource

NEEDED_WHOLE = (Structure.LIVER, Structure.TUMOUR, Structure.NECROSIS, Structure.PERFUSED)
"""Structures that others are made of."""

NOTHING_COVERED = "no structure covers a voxel of the dose; are structures and images of the same patient?"


@dataclass(frozen=True, slots=True, eq=False)
class StructureSet:
    """Structures on a grid.

    Attributes
    ----------
    clinical : tuple of ClinicalRegion
        Those given, then those that follow from them (all tumours, normal liver, ...); none is empty.
    source : InputFile or None
        The file; None where they were made from the CT or given as values.
    instance_uid : str
        SOP Instance UID of a DICOM file; empty for others.
    messages : tuple of Message
        What was skipped, filled or lost.
    given : path, sequence of Region, or None
        What they were made from, to make them again on other voxels.
    """

    clinical: tuple[ClinicalRegion, ...]
    source: InputFile | None = None
    instance_uid: str = ""
    messages: tuple[Message, ...] = ()
    given: StructureSource | None = None

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions alone."""
        return tuple(item.region for item in self.clinical)


def structures_on(
    grid: Grid, given: StructureSource | None, ct: Image, options: StructureOptions, *, has_ct: bool = True
) -> StructureSet:
    """Structures on a grid (the dose's, or the CT's), from a file, from values, or (None) body and lungs from the CT.

    Without a CT (`has_ct`) the body is what stands for it.

    Raises
    ------
    HepaticaError
        As `hepatica.io.structures.regions.read_structures` and `hepatica.anatomy.structures.clinical.clinical_regions`;
        InputError if every structure is empty.
    """
    source: InputFile | None = None
    uid = ""
    notes: tuple[Message, ...] = ()
    wanted = options.wanted_structures or None
    if given is None:
        regions = _from_ct(ct, grid)
        text = "no structures were given: body and lungs were taken from the CT by thresholds"
        if not has_ct:
            text = "no structures were given, and no CT: the body is all that has the uniform density"
        notes = (Message("structures-from-ct", text, "state `structures`"),)
    elif isinstance(given, str | Path):
        path = Path(given)
        found = read_structures(path, ct.with_voxels_of(grid), names=wanted, slice_mm=ct.grid.spacing_mm[2])
        regions, uid, notes = found.regions, found.instance_uid, found.messages
        _require_whole_liver(path, found.refused, options)
        source = input_file("structures", path)
    else:
        regions = tuple(resample_region(region, grid) for region in wanted_regions(regions_of(given), wanted))
    empty = about_empty([region.name for region in regions if region.is_empty])
    whole = [region for region in regions if not region.is_empty]
    if not whole:
        raise InputError(NOTHING_COVERED)
    clinical = clinical_regions(whole, roles=options.structure_roles, dome_margin_mm=options.lung_margin_mm)
    known = identified(whole, options.structure_roles)
    doubts = (*known.messages, *about_unknown(known, options.structure_roles))
    return StructureSet(
        clinical, source, uid, (*notes, *empty, *doubts, *about_whole_liver(clinical), *_about_goals(options)), given
    )


def _about_goals(options: StructureOptions) -> tuple[Message, ...]:
    """Which goals are shown where what decides it is not stated."""
    if options.agent is None:
        return ()
    limits = agent(options.agent).limits
    if all(limit.applies(options.indication, options.intent) is not None for limit in limits):
        return ()
    missing = [name for name in ("indication", "intent") if getattr(options, name) is None]
    text = f"{' and '.join(missing)} not stated: the goals for every {' and '.join(missing)} are shown"
    remedy = f"state {' and '.join(f'`{name}`' for name in missing)}"
    return (Message("goals-of-every-indication", text, remedy, severity="note"),)


def both_on(grid: Grid, drawn: StructureSet) -> tuple[StructureSet, StructureSet]:
    """The structures that touch other voxels: as they were drawn, and on those voxels, volumes kept.

    Raises
    ------
    InputError
        If none does.
    """
    there = [replace(item, region=resample_region(item.region, grid)) for item in drawn.clinical]
    kept = [n for n, item in enumerate(there) if not item.region.is_empty]
    if not kept:
        raise InputError(NOTHING_COVERED)
    notes = about_empty([item.region.name for item in there if item.region.is_empty])
    messages = drawn.messages + notes
    return (
        replace(drawn, clinical=tuple(drawn.clinical[n] for n in kept), messages=messages),
        replace(drawn, clinical=tuple(there[n] for n in kept), messages=messages),
    )


def about_empty(names: Sequence[str]) -> tuple[Message, ...]:
    """Structures that are left out, in one line."""
    if not names:
        return ()
    listed, several = ", ".join(map(repr, names)), len(names) > 1
    text = f"structure{'s' * several} {listed} cover{'' if several else 's'} nothing of the dose grid and "
    return (Message("structure-empty", f"{text}{'are' if several else 'is'} left out"),)


def _require_whole_liver(path: Path, refused: Sequence[str], options: StructureOptions) -> None:
    """Refuse a file without its tumour or liver: "all tumours" and "liver minus tumours" would be other structures."""
    roles = {name: structure_of(name, options.structure_roles) for name in refused}
    missing = [name for name, role in roles.items() if role in NEEDED_WHOLE]
    if missing:
        raise InputError(
            f"{path}: {' and '.join(repr(name) for name in missing)} cannot be read, on which other structures rest",
            remedy="mend it, or name those to go on with by `wanted_structures`",
        )


def _from_ct(ct: Image, grid: Grid) -> tuple[Region, ...]:
    return tuple(resample_region(region, grid) for region in body_and_lungs(ct.volume))
