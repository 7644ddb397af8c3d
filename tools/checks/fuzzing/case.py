"""What is passed about: files in memory, a seed, a damaged case and what it promises, an answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

Files = dict[str, bytes]
"""Contents by name; a name may hold folders."""

Random = random.Random


class Promise(Enum):
    """What must hold of an answer to a damaged case, beside that it is sound (finite, whole, JSON)."""

    SOUND = "sound"
    """Nothing more: any sound answer or a refusal."""
    SAME_IF_ANSWERED = "same if answered"
    """What was touched bears on no value: an answer must be that of the seed."""
    SAME = "same"
    """What was touched is no damage: it must be answered, as the seed is."""
    CUT = "cut"
    """Something is gone: an answer must be that of the seed, or it must say that something is missing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one stage found.

    Attributes
    ----------
    digest : Any
        Compared with that of the seed; None where it is not compared.
    decoded_bytes : int
        Size of the voxels in memory.
    said : str
        All messages, to see whether something missing was said.
    """

    digest: Any = None
    decoded_bytes: int = 0
    said: str = ""


Stage = Callable[[Path], Answer]
"""Reads what lies in a folder by one public function; HepaticaError where it refuses."""


@dataclass(frozen=True, slots=True)
class Seed:
    """Sound files and how they are read.

    Attributes
    ----------
    name : str
        For reports.
    files : Files
        All that lies in the folder.
    stages : mapping
        Name of a reader -> the reader.
    damage : str
        Family of mutations that fits beside bytes: dicom, nifti, header, csv, toml, json, zip.
    target : str
        File that is damaged most; any of them if empty.
    named : bool
        Files are found by their names, so that none is renamed.
    """

    name: str
    files: Files
    stages: Mapping[str, Stage]
    damage: str
    target: str = ""
    named: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """Damaged files, how they were damaged, and what an answer must hold to."""

    files: Files
    how: str
    promise: Promise = Promise.SOUND


@dataclass(slots=True)
class Verdict:
    """What came of one case.

    Attributes
    ----------
    outcome : str
        answered, refused, or a failure: raised, leaked, died, hung, memory, wrong.
    place : str
        Where it failed; failures of one place are one finding.
    detail : str
        Traceback or comparison.
    stages : dict
        answered or refused, by stage.
    """

    outcome: str
    place: str = ""
    detail: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0
    stages: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether this is none of the outcomes that may be."""
        return self.outcome not in ("answered", "refused")
