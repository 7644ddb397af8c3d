"""Which MR series of a heap are the echoes of one acquisition, exported as one series, as several, or as one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from hepatica.errors import HepaticaError
from hepatica.imaging.mri.echoes import SAME_ECHO_S
from hepatica.io.dicom.mr.components import MAGNITUDE, PHASE, REAL, component_of
from hepatica.io.dicom.mr.read import LONGEST_S
from hepatica.io.dicom.series import Series, SeriesKind, acquisition_start
from hepatica.io.dicom.tags import Header

FEWEST_ECHOES = 3
"""Two echoes are those of a fat-water scan (in and out of phase) as well."""

_SCAN = (
    "StudyInstanceUID", "FrameOfReferenceUID", "Rows", "Columns", "SliceThickness", "RepetitionTime", "FlipAngle",
    "MagneticFieldStrength",
)  # fmt: skip
"""What all echoes of one acquisition share in their headers."""


@dataclass(frozen=True, slots=True, eq=False)
class MultiEchoSeries:
    """Series of one acquisition.

    Attributes
    ----------
    series : tuple of Series
        Magnitude before phase, by echo time.
    echoes : int
        Different echo times.
    has_phase : bool
        Whether phase images, or real and imaginary parts, are among them.
    """

    series: tuple[Series, ...]
    echoes: int
    has_phase: bool

    @property
    def what(self) -> str:
        """In words."""
        return f"multi-echo MR, {self.echoes} echoes, magnitude{' and phase' if self.has_phase else ''}"

    @property
    def uids(self) -> tuple[str, ...]:
        """SeriesInstanceUIDs."""
        return tuple(sorted({one.uid for one in self.series}))

    @property
    def key(self) -> str:
        """What tells it from other acquisitions of the study."""
        header = self.series[0].headers[0]
        starts = [at for one in self.series if (at := _start(one.headers[0])) is not None]
        began = min(starts).isoformat() if starts else ""
        return f"multi-echo {header.text('StudyInstanceUID')} {header.text('FrameOfReferenceUID')} {began}"


def multi_echo_acquisitions(series: Sequence[Series]) -> tuple[MultiEchoSeries, ...]:
    """Acquisitions with three echoes or more among the series of a heap; what is none of one is left out.

    Parameters
    ----------
    series : sequence of Series
        Of one patient or of several, of any kind.

    Notes
    -----
    Gradient echoes of one study, frame of reference, matrix, slice thickness, repetition time, flip angle and field
    that began within an hour. Where an echo time is there twice (before and after a contrast agent) they are two
    acquisitions, and which image is of which cannot be told: none is made of them.
    """
    groups: dict[tuple[str, ...], list[tuple[Series, frozenset[tuple[str, int]]]]] = {}
    for one in series:
        if one.kind is SeriesKind.MR and (echoes := _echoes(one)):
            header = one.headers[0]
            groups.setdefault(tuple(header.text(word) for word in _SCAN), []).append((one, echoes))
    made = (_acquisition(together) for members in groups.values() for together in _within_an_hour(members))
    return tuple(one for one in made if one is not None)


def _acquisition(members: Sequence[tuple[Series, frozenset[tuple[str, int]]]]) -> MultiEchoSeries | None:
    every = [echo for _, echoes in members for echo in echoes]
    shown = {echo for component, echo in every if component in (MAGNITUDE, REAL)}
    if len(shown) < FEWEST_ECHOES or len(every) != len(set(every)):
        return None
    ordered = sorted(members, key=lambda m: (all(part == PHASE for part, _ in m[1]), min(echo for _, echo in m[1])))
    has_phase = any(part != MAGNITUDE for part, _ in every)
    return MultiEchoSeries(tuple(one for one, _ in ordered), len(shown), has_phase)


def _within_an_hour(
    members: Sequence[tuple[Series, frozenset[tuple[str, int]]]],
) -> Iterator[list[tuple[Series, frozenset[tuple[str, int]]]]]:
    """By the time at which they began; series that say none go together."""
    timed = [(at, m) for m in members if (at := _start(m[0].headers[0])) is not None]
    if len(timed) < len(members):
        yield list(members)
        return
    group: list[tuple[datetime, tuple[Series, frozenset[tuple[str, int]]]]] = []
    for at, member in sorted(timed, key=lambda pair: pair[0]):
        if group and (at - group[0][0]).total_seconds() > LONGEST_S:
            yield [m for _, m in group]
            group = []
        group.append((at, member))
    if group:
        yield [m for _, m in group]


def _start(header: Header) -> datetime | None:
    try:
        found = acquisition_start(header)
    except HepaticaError:
        return None  # its reader will say what is wrong with it
    return None if found is None else found.replace(tzinfo=None)


def _echoes(series: Series) -> frozenset[tuple[str, int]]:
    """Component and echo time of the images, in steps of `SAME_ECHO_S`; empty for what is no gradient echo."""
    try:
        return frozenset(
            (component, round(time_ms / 1000 / SAME_ECHO_S))
            for header in series.headers
            for component, time_ms in _images(header)
        )
    except HepaticaError:
        return frozenset()


def _images(header: Header) -> Iterator[tuple[str, float]]:
    per_frame = header.items("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        time_ms = header.number("EchoTime")
        if "GR" in [word.upper() for word in header.texts("ScanningSequence")] and time_ms:
            yield component_of(header), time_ms
        return
    if header.text("EchoPulseSequence").upper() not in ("GRADIENT", ""):
        return
    shared = header.item("SharedFunctionalGroupsSequence")
    for frame in per_frame:
        timing = frame.item("MREchoSequence") or (shared.item("MREchoSequence") if shared else None)
        kind = frame.item("MRImageFrameTypeSequence")
        time_ms = None if timing is None else timing.number("EffectiveEchoTime")
        if time_ms:
            yield component_of(header if kind is None else kind, header), time_ms
