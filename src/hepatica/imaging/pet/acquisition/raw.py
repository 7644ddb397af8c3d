"""Raw data of a PET scan as a value: a list of coincidences for each bed, the singles beside it, and when and where."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile
from hepatica.errors import InputError
from hepatica.imaging.pet.frame import RANDOM, SCATTERED, TRUE, Frame
from hepatica.imaging.pet.scanner import Scanner

Gates = NDArray[np.uint8]
Efficiencies = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Bed:
    """One bed position.

    Attributes
    ----------
    frame : Frame
        Prompts, singles, and what each prompt was where that is known.
    start_s : float
        Start of the bed after the start of the scan.
    live_fraction : float
        Share of the coincidences that dead time left.
    gate : ndarray of uint8, shape (prompts,), or None
        Phase of breathing of each prompt.

    Raises
    ------
    InputError
        If a number makes no sense or the gates are not those of the prompts.
    """

    frame: Frame
    start_s: float = 0.0
    live_fraction: float = 1.0
    gate: Gates | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start_s) and self.start_s >= 0 and 0 < self.live_fraction <= 1):
            raise InputError(
                f"a bed that begins {self.start_s:g} s into the scan with {self.live_fraction:g} of its coincidences "
                "left is none"
            )
        if self.gate is not None and self.gate.shape != (len(self.frame.prompts),):
            raise InputError(f"{len(self.frame.prompts)} prompts need one gate each, not {self.gate.shape}")

    @property
    def duration_s(self) -> float:
        """How long it lasted."""
        return self.frame.prompts.duration_s

    @property
    def bed_mm(self) -> float:
        """LPS z of the scanner's middle."""
        return self.frame.prompts.bed_mm

    @property
    def counted(self) -> Frame:
        """The frame with singles as they stand for the randoms that dead time left."""
        if self.live_fraction == 1:
            return self.frame
        return replace(self.frame, singles_cps=self.frame.singles_cps * np.sqrt(self.live_fraction))


@dataclass(frozen=True, slots=True, eq=False)
class PetRawData:
    """What a scanner wrote of a scan.

    Attributes
    ----------
    scanner : Scanner
        Whose crystals they are.
    beds : tuple of Bed
        In the order in which they were acquired.
    nuclide : str
        In hepatica's form ("Y-90").
    start : datetime
        Of the first bed; the scan's activity refers to it.
    axis_mm : tuple of float
        LPS x and y of the scanner's axis.
    frame_of_reference : str or None
        DICOM UID of the frame in which axis and beds stand.
    patient_id : str
        Whose they are; empty where nobody says.
    simulated : bool
        Whether no patient was ever in the scanner.
    crystal_efficiency : ndarray of float32, shape (crystals,), or None
        Of each crystal over the mean of all, as a scan of a uniform source found it; None where nobody measured.
    source : InputFile
        File and hash, for the provenance.

    Raises
    ------
    InputError
        If there is no bed, a bed is of another scanner, or the crystals' efficiencies are not theirs.
    """

    scanner: Scanner
    beds: tuple[Bed, ...]
    nuclide: str
    start: datetime
    axis_mm: tuple[float, float] = (0.0, 0.0)
    frame_of_reference: str | None = None
    patient_id: str = ""
    simulated: bool = False
    crystal_efficiency: Efficiencies | None = None
    source: InputFile = field(default_factory=lambda: InputFile("raw", "raw data", "", files=0))

    def __post_init__(self) -> None:
        if not self.beds:
            raise InputError("raw data of a PET need at least one bed")
        for bed in self.beds:
            if bed.frame.scanner != self.scanner:
                raise InputError(f"a bed of {bed.frame.scanner.name} is not one of {self.scanner.name}")
        if self.crystal_efficiency is not None:
            require_efficiencies(self.crystal_efficiency, self.scanner)

    @property
    def prompts(self) -> int:
        """Prompts of all beds."""
        return sum(len(bed.frame.prompts) for bed in self.beds)

    def number(self, kind: int) -> int | None:
        """Prompts of a kind of all beds; None where nobody knows."""
        numbers = [bed.frame.number(kind) for bed in self.beds]
        return None if None in numbers else sum(n for n in numbers if n is not None)

    @property
    def extent_mm(self) -> tuple[float, float]:
        """LPS z that the beds see, from the lowest to the highest."""
        half = self.scanner.length_mm / 2
        middles = [bed.bed_mm for bed in self.beds]
        return min(middles) - half, max(middles) + half

    def hashed(self) -> PetRawData:
        """The same with a hash of its lists as its source, for what was read from no file."""
        digest = hashlib.sha256()
        for bed in self.beds:
            prompts = bed.frame.prompts
            for values in (prompts.first, prompts.second, prompts.tof_bin, bed.frame.singles_cps):
                digest.update(np.ascontiguousarray(values).tobytes())
        if self.crystal_efficiency is not None:
            digest.update(np.ascontiguousarray(self.crystal_efficiency).tobytes())
        return replace(self, source=InputFile("raw", self.source.path, digest.hexdigest(), files=0))


def require_efficiencies(found: Efficiencies, scanner: Scanner) -> None:
    """InputError unless there is one efficiency for each crystal, none below zero, their mean 1 within 1 %.

    The mean belongs to the scanner's sensitivity, which the pattern must not change.
    """
    if found.shape != (scanner.crystals,):
        raise InputError(f"efficiencies of {found.shape} are not those of {scanner.crystals} crystals")
    if not np.isfinite(found).all() or float(found.min()) < 0:
        raise InputError("efficiencies of crystals must be finite numbers, none below zero")
    mean = float(found.mean(dtype=np.float64))
    if abs(mean - 1) > MEAN_IS_ONE:
        raise InputError(
            f"the crystals' efficiencies have a mean of {mean:.4g}, not 1",
            remedy="divide them by their mean; the whole scanner's is its `counted` and the cross-calibration",
        )


MEAN_IS_ONE = 0.01

KINDS = {"true": TRUE, "scattered": SCATTERED, "random": RANDOM}
"""What a prompt can be."""
