"""One damaged case from a seed and a number, the same every time."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from fuzzing.case import Case, Files, Promise, Random, Seed
from fuzzing.seeds import seeds
from fuzzing.ways import wrong_binary, wrong_bytes, wrong_dicom, wrong_text

SUFFIXES = (
    ".nii",
    ".nii.gz",
    ".mha",
    ".mhd",
    ".nrrd",
    ".hv",
    ".dcm",
    ".csv",
    ".xlsx",
    ".toml",
    ".json",
    ".fcsv",
    ".tfm",
    ".txt",
    "",
    ".gz",
)

_STRANGERS = ("ct", "nm", "pet", "projections", "rtstruct", "seg")

HEADER_ENDS = (b"ElementDataFile", b"\n\n")

_LENGTHS_KNOWN = (".nii", ".gz", ".mha", ".nrrd", ".xlsx", ".npz", ".dcm")
"""Formats that say how long they are, so that a cut can be seen."""


def make_case(formats: Mapping[str, tuple[Seed, ...]], name: str, seed: int, number: int) -> tuple[Seed, Case]:
    """The case of that number of a format."""
    rng = Random(f"{name}/{seed}/{number}")
    group = formats[name]
    chosen = group[rng.randrange(len(group))]
    return chosen, _case(rng, chosen, _other(rng))


def _other(rng: Random) -> Files:
    """Files of some made seed, for splices and strangers; DICOM ones mostly."""
    made = seeds()
    group = made[rng.choice(_STRANGERS if rng.random() < 0.7 else sorted(made))]
    return dict(rng.choice(group).files)


def _case(rng: Random, seed: Seed, other: Files) -> Case:
    files = dict(seed.files)
    whole_folder = not seed.target and not seed.named
    chance = rng.random()
    if whole_folder and chance < 0.1:
        return wrong_bytes.folder(rng, files, other)
    if seed.target and chance < 0.03:
        return _renamed(rng, files, seed.target)
    name = seed.target if seed.target and rng.random() < 0.9 else rng.choice(sorted(files))
    content = files[name]
    stranger = other[sorted(other)[0]]
    damage = seed.damage if name == seed.target or not seed.target else "bytes"
    if damage == "bytes" or chance > 0.8:
        files[name], how, promise = _plain(rng, name, content, stranger)
    else:
        try:
            files[name], how, promise = _fitting(rng, damage, name, content, stranger)
        except (ValueError, struct.error, zlib.error, UnicodeDecodeError, IndexError, KeyError):
            # The seed is not of the form that this damage takes apart (another syntax, no element to exchange).
            files[name], how, promise = _plain(rng, name, content, stranger)
    return Case(files, f"{name}: {how}", promise)


def _plain(rng: Random, name: str, content: bytes, other: bytes) -> tuple[bytes, str, Promise]:
    if name.endswith(".gz") and rng.random() < 0.5:
        return wrong_bytes.repacked(rng, content)
    if rng.random() < 0.25 and content:
        found, how = wrong_bytes.cut(rng, content)
        return found, how, Promise.CUT if name.endswith(_LENGTHS_KNOWN) else Promise.SOUND
    found, how = wrong_bytes.damaged(rng, content, other)
    return found, how, Promise.SOUND


def _fitting(rng: Random, damage: str, name: str, content: bytes, other: bytes) -> tuple[bytes, str, Promise]:
    if damage == "dicom":
        return wrong_dicom.wrong(rng, content, other)
    if damage == "nifti":
        return wrong_binary.nifti(rng, content, packed=name.endswith(".gz"))
    if damage == "zip":
        return wrong_binary.zipped(rng, content)
    if damage == "header":
        return wrong_text.header(rng, content, HEADER_ENDS)
    text = content.decode("utf-8")
    return {"csv": wrong_text.csv_text, "toml": wrong_text.toml_text, "json": wrong_text.json_text}[damage](rng, text)


def _renamed(rng: Random, files: Files, target: str) -> Case:
    """The one file under another suffix, alone."""
    new = f"z{rng.choice(SUFFIXES)}"
    return Case({new: files[target]}, f"{target} renamed {new}")
