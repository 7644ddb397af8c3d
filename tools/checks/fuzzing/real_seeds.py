"""Real images of the folder that HEPATICA_DATA names, cut to a few small slices, headers as their makers wrote them."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import stages
from fuzzing.case import Files, Seed
from fuzzing.seeds import images_of

SIDE = 20
"""Columns and rows that are kept."""


def real_seeds(data: Path, names: tuple[str, ...]) -> Iterator[Seed]:
    """Seeds of what is there, of these formats or of all."""
    from hepatica.core import Grid

    for name, make in _dicom(data):
        if names and name.split("-")[0] not in names:
            continue
        role = "ct" if "ct" in name else "planar" if "planar" in name else "activity"
        yield Seed(name.split("-")[0], make(), images_of(role), "dicom")
    grid = Grid.axial((30, 30, 60), spacing_mm=(20, 20, 20), origin_mm=(-300, -300, -600))
    on = {"inspect": stages.inspected(), "structures": stages.structures(grid)}
    for path in sorted((data / "seg-liver").glob("*.dcm")):
        yield Seed("seg", {"a.dcm": path.read_bytes()}, on, "dicom")
    for path in (
        data / "torso-ct-tia/ct.nii.gz",
        data / "torso-ct-tia/tia.nii.gz",
        data / "ct-mr-small/example_seg.nii.gz",
    ):
        if path.is_file():
            content = _nifti(path)
            yield Seed(
                "nii.gz",
                {"a.nii.gz": gzip.compress(content)},
                images_of("activity", "a.nii.gz", "counts"),
                "nifti",
                "a.nii.gz",
            )
            yield Seed("nii", {"a.nii": content}, images_of("activity", "a.nii", "counts"), "nifti", "a.nii")
    yield from _interfile(data)


def _dicom(data: Path) -> Iterator[tuple[str, Callable[[], Files]]]:
    archives = {
        "ct-torso": data / "torso-ct-tia/ct-dicom.tar.xz", "ct-small": data / "ct-mr-small/example_ct_dicom.tar.xz",
        "pet-earl": data / "pet-earl/EARL-Anon.tar.xz", "pet-nema": data / "pet-no-units/pet_recon_1.tar.xz",
    }  # fmt: skip
    for name, path in archives.items():
        if path.is_file():
            yield name, lambda path=path: _series(path)
    files = {
        "ct-enhanced": data / "ct-enhanced/ect.dcm", "nm-jaszczak": data / "nm-jaszczak/jaszczak_recon_tomo.dcm",
        "planar-lines": data / "nm-jaszczak/static_line_x.dcm", "planar-dynamic": data / "nm-dynamic/mcr.dcm",
        "planar-iodine": data / "nm-i131-planar/petridish.dcm",
        "planar-background": data / "nm-i131-planar/background.dcm",
    }  # fmt: skip
    for name, path in files.items():
        if path.is_file():
            yield name, lambda path=path: {"a.dcm": _cropped(path.read_bytes(), frames=4)}


def _series(path: Path) -> Files:
    """Three slices of the middle of a series in an archive, without unpacking it to a disk."""
    with tarfile.open(path) as archive:
        members = sorted((m for m in archive.getmembers() if m.isfile()), key=lambda m: m.name)
        contents = [(Path(m.name).name, archive.extractfile(m)) for m in members]
        kept = [(name, stream.read()) for name, stream in contents if stream is not None]
    kept = [(name, content) for name, content in kept if content[128:132] == b"DICM" or content[:4] == b"\x08\0\5\0"]
    kept.sort(key=lambda pair: _height(pair[1]))
    middle = len(kept) // 2
    return {name: _cropped(content) for name, content in kept[middle - 1 : middle + 2]}


def _height(content: bytes) -> float:
    import pydicom

    header = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, force=True)
    return float(header.ImagePositionPatient[2])


def _cropped(content: bytes, frames: int = 1) -> bytes:
    """A file with a corner of its pixels and some of its frames, in explicit little endian."""
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian

    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    count = int(dataset.get("NumberOfFrames") or 1)
    pixels = dataset.pixel_array.reshape(count, dataset.Rows, dataset.Columns)
    kept = min(frames, count) if count > 1 else 1
    rows, columns = (
        slice((n - SIDE) // 2, (n - SIDE) // 2 + SIDE) if n > SIDE else slice(None) for n in pixels.shape[1:]
    )
    pixels = np.ascontiguousarray(pixels[:kept, rows, columns])
    if count > 1:
        _keep_frames(dataset, kept, count)
    dataset.Rows, dataset.Columns = pixels.shape[1:]
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return out.getvalue()


def _keep_frames(dataset: Any, kept: int, count: int) -> None:
    dataset.NumberOfFrames = kept
    for element in dataset:
        if element.VR == "US" and count == element.VM and count > 1:
            element.value = list(element.value)[:kept]
        if element.keyword == "PerFrameFunctionalGroupsSequence":
            element.value = element.value[:kept]
        if element.keyword == "PhaseInformationSequence":
            for phase in element.value:
                phase.NumberOfFramesInPhase = kept
        if element.keyword == "NumberOfSlices" and element.value == count:
            element.value = kept


def _nifti(path: Path) -> bytes:
    """A NIfTI file with a corner of its voxels, its own header kept."""
    import nibabel

    image = nibabel.load(path)
    small = image.slicer[40:52, 30:42, 60:66] if min(image.shape) > 66 else image.slicer[:12, :12, :6]
    return bytes(small.to_bytes())


def _interfile(data: Path) -> Iterator[Seed]:
    """Headers of real files with as few voxels as they now say."""
    headers = sorted((data / "lu-dotatate").glob("*.h33")) if (data / "lu-dotatate").is_dir() else []
    found = [(path.name, path.read_bytes()) for path in headers]
    gates = data / "pet-gates/pet-gates.tar.xz"
    if gates.is_file():
        with tarfile.open(gates) as archive:
            wanted = [
                (Path(m.name).name, archive.extractfile(m)) for m in archive.getmembers() if m.name.endswith(".hv")
            ]
            found += [(name, stream.read()) for name, stream in wanted if stream is not None]
    for name, content in found:
        text = content.decode("latin-1")
        for axis, size in ((1, 6), (2, 5), (3, 4)):
            text = re.sub(rf"(matrix size *\[{axis}\] *:= *)\d+", rf"\g<1>{size}", text)
        text = re.sub(r"((?:number of slices|total number of images) *:= *)\d+", r"\g<1>4", text)
        beside = re.search(r"name of data file *:= *(\S+)", text)
        width = re.search(r"number of bytes per pixel *:= *(\d+)", text)
        if beside and width:
            voxels = np.random.default_rng(1).integers(0, 50, 120 * int(width[1])).astype(np.uint8).tobytes()
            if "float" in text:
                voxels = np.random.default_rng(1).uniform(0, 9, 120).astype("<f4").tobytes()
            files = {name: text.encode("latin-1"), Path(beside[1]).name: voxels}
            yield Seed("interfile", files, images_of("activity", name, "counts"), "header", name)
