"""The door for structures: RTSTRUCT, SEG, or a label map in NIfTI, MetaImage or NRRD, onto the voxels of an image."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.structures.drawn import DrawnStructures
from hepatica.anatomy.structures.kinds import Structure
from hepatica.anatomy.structures.roles import about_unknown, identified, own_codes
from hepatica.core import Grid, InputFile, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.core.image import NOTHING_STATED, Image, Stated
from hepatica.core.message import Message
from hepatica.core.tables.sources import StructureSource, regions_of
from hepatica.core.text.files import json_text, text_file
from hepatica.errors import AmbiguousSeriesError, DicomError, InputError, UnknownNameError
from hepatica.io.dicom.context import instance_of
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.dicom.series import SeriesKind
from hepatica.io.dicom.tags import open_dicom
from hepatica.io.files import restore
from hepatica.io.input_files import is_file
from hepatica.io.structures.slicer_segments import SlicerSegment, slicer_segments
from hepatica.io.structures.structures import Gathering, Label, Structures

__all__ = [
    "Label",
    "StructureWarning",
    "Structures",
    "drawn_in_all",
    "drawn_structures",
    "read_regions",
    "read_structures",
    "sources_of",
    "wanted_regions",
]

MAX_LABELS = 1000
"""A file with more different values than this is an image, not a label map."""


class StructureWarning(UserWarning):
    """Something about a structure that was read: what was filled, skipped or lost."""


def read_regions(path: Path | str, image: Grid | Image, *, names: Sequence[str] | None = None) -> tuple[Region, ...]:
    """The structures of a file as regions on an image; what must be known about them is given as `StructureWarning`.

    See `read_structures`, which returns the messages, types and colours too.
    """
    found = read_structures(path, image, names=names)
    for message in found.messages:
        warnings.warn(str(message), StructureWarning, stacklevel=2)
    return found.regions


def read_structures(
    path: Path | str,
    image: Grid | Image | Path | str,
    *,
    names: Sequence[str] | None = None,
    slice_mm: float | None = None,
) -> Structures:
    """The structures of a file on the voxels of an image.

    Parameters
    ----------
    path : Path
        An RTSTRUCT or SEG file, or a folder with exactly one; or a NIfTI, MetaImage or NRRD label map. Names of labels
        are taken from a .json ({"1": "liver"}, or {"1": {"name": "Seg 5", "role": "perfused"}}) or .csv (lines
        "1,liver" or "1,Seg 5,perfused") file of the same name beside it, else from the header of a segmentation of 3D
        Slicer (.seg.nrrd); without either they are called "label 1".
    image : Grid, Image or path
        The voxels to cover: an image or its path, or a grid. With an image, a file of another patient is refused.
    names : sequence of str, optional
        Structures to read; by default all. What is wrong with others then does not matter.
    slice_mm : float, optional
        Distance between the slices that an RTSTRUCT was drawn on, see `read_rtstruct`.

    Raises
    ------
    InputError
        If there is no such file, or its format is unknown.
    DicomError
        If it is damaged, of another kind, of another patient, or a structure that was named (or every one) has open
        contours; AmbiguousSeriesError if a folder holds several.
    GeometryError
        If it is in another frame of reference, a structure is wholly outside the image, or its contours have no inside.
    UnknownNameError
        If one of `names` is not in the file.
    """
    from hepatica.io.interfile.images import is_interfile
    from hepatica.io.itk import is_itk_file

    path = Path(path)
    if not isinstance(image, Grid):
        image = _image(image)
    grid = image if isinstance(image, Grid) else image.grid
    context = None if isinstance(image, Grid) else image.context
    if not is_file(path) and not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if is_itk_file(path) or is_interfile(path):
        return _label_map(path, grid, names)
    if path.is_dir():
        path = _only_file(path)
    return _dicom(path, grid, context, names, slice_mm)


def _image(source: object) -> Image:
    from hepatica.io.itk import is_itk_file
    from hepatica.io.read import read_image

    if isinstance(source, str | Path):
        # Only its voxels matter, so that a file that does not say its unit may serve.
        return read_image(source, stated=Stated(unit="HU") if is_itk_file(Path(source)) else NOTHING_STATED)
    if not isinstance(source, Image):
        raise InputError(
            f"the image whose voxels are covered is a hepatica.Image, a Grid or a path, not {type(source).__name__}"
        )
    return source


def _dicom(
    path: Path, grid: Grid, context: DicomContext | None, names: Sequence[str] | None, slice_mm: float | None
) -> Structures:
    from hepatica.io.dicom.structures.rtstruct import RT_STRUCTURE_SET, read_rtstruct
    from hepatica.io.dicom.structures.seg import LABEL_MAP, SEGMENTATION, read_seg

    header = open_dicom(path)
    sop_class = instance_of(header).sop_class_uid
    if sop_class == RT_STRUCTURE_SET:
        return read_rtstruct(path, grid, context=context, names=names, slice_mm=slice_mm)
    if sop_class in (SEGMENTATION, LABEL_MAP):
        return read_seg(path, grid, context=context, names=names)
    raise DicomError(
        f"holds no structures ({header.text('Modality') or sop_class}); RTSTRUCT, SEG or a label map is needed",
        path=path,
    )


def _only_file(folder: Path) -> Path:
    from hepatica.io.dicom.scan import scan

    found = scan(folder)
    files = [file for series in found.of_kind(SeriesKind.RTSTRUCT, SeriesKind.SEG) for file in series.files]
    if not files:
        kinds = ", ".join(series.kind.value for series in found) or "no DICOM series"
        raise DicomError(f"no RTSTRUCT or SEG; found: {kinds}", path=folder)
    if len(files) > 1:
        listed = "\n".join(f"  {file}" for file in files)
        raise AmbiguousSeriesError(f"{folder}: {len(files)} files hold structures; name one of them:\n{listed}")
    return files[0]


def _label_map(path: Path, grid: Grid, names: Sequence[str] | None) -> Structures:
    from scipy import ndimage

    segments = slicer_segments(path)
    known, messages = _known_labels(path, segments)
    layers, notes = _label_layers(path, segments)
    labels: list[Label] = []
    places: dict[int, tuple[int, int]] = {}
    for layer, values in enumerate(layer.values for layer in layers):
        for number in (int(n) for n in np.flatnonzero(np.bincount(values.ravel())) if n != 0):
            labels.append(known.get((layer, number), Label(number, f"label {number}")))
            places[id(labels[-1])] = layer, number
    absent = sorted(set(known) - set(places.values()))
    gathering = Gathering(path, labels, names, nameless=[known[place].name for place in absent])
    gathering.messages[:0] = [*notes, *messages]
    for place in absent:
        if gathering.wants(known[place].name):
            gathering.leave_empty(known[place].name, f"no voxel has the label {place[1]}")
    boxes = [ndimage.find_objects(layer.values) for layer in layers]
    for name, label in gathering.wanted():
        layer, number = places[id(label)]
        window = boxes[layer][number - 1]
        covered = (layers[layer].values[window] == number).astype(np.float32)
        drawn = Region(name, layers[layer].grid, window, covered, origin=f"{path.name}, label {number}")
        gathering.keep_on(grid, drawn, label)
    found = gathering.structures()
    gathering.require_any(found.regions, "voxels", "the label map")
    return found


def _label_layers(path: Path, segments: Sequence[SlicerSegment]) -> tuple[list[Volume], list[Message]]:
    """Label maps of a file, one for each layer of segments."""
    from hepatica.io.interfile.images import is_interfile, read_interfile
    from hepatica.io.itk import read_itk, read_label_layers

    several = max((segment.layer for segment in segments), default=0) > 0
    if several:
        read, notes = read_label_layers(path)
    else:
        volume, notes = (read_interfile if is_interfile(path) else read_itk)(path, Kind.LABEL)
        read = (volume,)
    return [volume.with_values(_small_labels(volume, path)) for volume in read], notes


def _known_labels(path: Path, segments: Sequence[SlicerSegment]) -> tuple[dict[tuple[int, int], Label], list[Message]]:
    """Label of each (layer, number) that the file or the one beside it names, and what to know about them."""
    inside = {
        (segment.layer, segment.number): Label(segment.number, segment.name, colour=segment.colour, codes=segment.codes)
        for segment in segments
        if segment.number
    }
    beside = {(0, label.number): label for label in _labels_beside(path) if label.number}
    if not beside or not inside:
        return beside or inside, []
    if any(layer for layer, _ in inside):
        raise InputError(f"{path}: has segments on several layers; a file beside it cannot name them")
    text = f"{path}: names of labels are taken from the file beside it, not from its own header"
    return inside | beside, [Message("label-names-beside", text, severity="note")]


def _small_labels(volume: Volume, path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    low, high = int(volume.values.min()), int(volume.values.max())
    if low < 0 or high > 1_000_000:
        raise InputError(f"{path}: values from {low} to {high} are no labels (whole numbers from 0)")
    values = np.ascontiguousarray(volume.values, dtype=np.int32)
    different = int(np.count_nonzero(np.bincount(values.ravel())))
    if different > MAX_LABELS:
        raise InputError(f"{path}: {different} different values; a label map has at most {MAX_LABELS}")
    return values


def _labels_beside(path: Path) -> list[Label]:
    """Labels from the file beside the label map; empty if there is none."""
    stem = path.name.removesuffix(".gz")
    stem = stem[: stem.rfind(".")]
    beside = [path.with_name(stem + suffix) for suffix in (".json", ".csv")]
    found = [file for file in beside if file.is_file()]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1].name} both name the labels; keep one")
    if not found:
        return []
    file = found[0]
    text = text_file(file, "names of labels")
    try:
        labels = _json_labels(json_text(text, file)) if file.suffix == ".json" else _csv_labels(text)
    except (ValueError, csv.Error) as error:
        raise InputError(f"{file}: cannot be read as names of labels ({error})") from error
    numbers = [label.number for label in labels]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"{file}: a label is named twice")
    return labels


def _json_labels(content: Any) -> list[Label]:
    if not isinstance(content, dict):
        raise ValueError('expected {"1": "liver", ...}')
    labels = []
    for key, value in content.items():
        # Any way round: {"1": "liver"}, {"liver": 1}, or {"1": {"name": "Seg 5", "role": "perfused"}}.
        where = f"{key!r}"
        if isinstance(value, int) and not isinstance(value, bool):
            labels.append(Label(_label_number(str(value), where), str(key)))
        elif isinstance(value, dict):
            codes = own_codes(str(value["role"]), derived=value.get("derived") is True) if "role" in value else ()
            labels.append(Label(_label_number(key, where), str(value.get("name", f"label {key}")), codes=codes))
        elif isinstance(value, str):
            labels.append(Label(_label_number(key, where), value))
        else:
            raise ValueError(f'{where}: expected "1": "liver", not {value!r}')
    return labels


def _label_number(text: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise ValueError(f"{where}: {text!r} is no number of a label")
    return int(text)


def _csv_labels(text: str) -> list[Label]:
    labels = []
    for line, row in enumerate(csv.reader(text.splitlines()), start=1):
        if not row or row[0].lstrip().startswith("#") or (line == 1 and not row[0].strip().isdigit()):
            continue
        if len(row) < 2:
            raise ValueError(f'line {line}: expected "1,liver"')
        codes = own_codes(row[2].strip()) if len(row) > 2 and row[2].strip() else ()
        labels.append(Label(_label_number(row[0], f"line {line}"), row[1].strip(), codes=codes))
    return labels


def sources_of(structures: StructureSource | Sequence[StructureSource]) -> list[StructureSource]:
    """Each file, or set of regions, of what may be one or several."""
    if isinstance(structures, str | Path | Region):
        return [structures]
    given: object = structures
    if not isinstance(given, Sequence):
        return [regions_of(given)]
    regions = [item for item in structures if isinstance(item, Region)]
    if len(regions) < len(structures):
        return [item for item in structures if not isinstance(item, Region)]
    return [regions] if regions else []


def wanted_regions(regions: Sequence[Region], names: Sequence[str] | None) -> Sequence[Region]:
    """The regions of these names, in their own order; all without names.

    Raises
    ------
    UnknownNameError
        If a name is not among them.
    """
    if names is None:
        return regions
    known = [region.name for region in regions]
    for name in names:
        if name not in known:
            raise UnknownNameError("structure", name, known)
    return [region for region in regions if region.name in names]


def drawn_structures(
    source: StructureSource,
    image: Grid | Image,
    roles: Mapping[str, str] | None = None,
    *,
    all_here: bool = True,
    names: Sequence[str] | None = None,
) -> DrawnStructures:
    """Structures of a file on the voxels of an image, or the regions that were given.

    With `all_here` every structure that is given a role must be there, else it may be in another file. With `names`
    only these are taken, and what is wrong with others does not matter.

    Raises
    ------
    InputError
        If it is neither a path nor regions; otherwise as `read_structures`.
    UnknownNameError
        If `roles` or `names` name a structure that is not there, or a role is unknown.
    """
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()
    if isinstance(source, str | Path):
        path = Path(source)
        restore(path)
        found = read_structures(path, image, names=names)
        given: Sequence[Region] = found.regions
        messages = found.messages
        inputs = (input_file("structures", path),)
    else:
        given = regions_of(source)
        if not given:
            raise InputError("structures are a file (RTSTRUCT, SEG, label map) or a list of regions, not an empty one")
        given = wanted_regions(given, names)
    regions = {region.name: region for region in given if not region.is_empty}
    known = [region.name for region in given]
    absent = [name for name in roles or {} if name not in known]
    if all_here and absent:
        raise UnknownNameError("structure", absent[0], known)
    what = identified(list(regions.values()), roles)
    return DrawnStructures(regions, what.roles, (*messages, *what.messages, *about_unknown(what, roles)), inputs)


def drawn_in_all(
    sources: Sequence[StructureSource], image: Grid | Image, roles: Mapping[str, str] | None = None
) -> DrawnStructures:
    """Structures of several files on the voxels of one image, as one set; see `drawn_structures`.

    Raises
    ------
    InputError
        If two files hold structures of one name.
    UnknownNameError
        If `roles` name a structure that none of them holds.
    """
    found = [drawn_structures(source, image, roles, all_here=len(sources) == 1) for source in sources]
    regions: dict[str, Region] = {}
    what: dict[str, Structure] = {}
    for one in found:
        if twice := sorted(set(regions) & set(one.regions)):
            raise InputError(
                f"several files hold structures of one name: {', '.join(twice)}",
                remedy="give one of them, or rename what is another structure",
            )
        regions |= one.regions
        what |= one.roles
    if absent := [name for name in roles or {} if name not in regions]:
        raise UnknownNameError("structure", absent[0], regions)
    messages = tuple(dict.fromkeys(message for one in found for message in one.messages))
    return DrawnStructures(regions, what, messages, tuple(file for one in found for file in one.inputs))
