"""A scan as a verb is given it, and what is found of R2* in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.mri.checks import about_values, require_decay
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.fat import in_phase_echoes
from hepatica.imaging.mri.field import field_loss
from hepatica.imaging.mri.fitting.fit import DecayFit, Model, fit_decay
from hepatica.imaging.mri.fitting.noise import noise_sd
from hepatica.imaging.mri.fitting.prior import S0Prior
from hepatica.imaging.mri.options import MrReadingOptions, R2StarOptions
from hepatica.io.dicom.mr.read import MrStated, read_multi_echo
from hepatica.io.files import restore

MrSource = Path | str | MultiEcho
"""A multi-echo MR: a DICOM file or folder, or a `MultiEcho`."""

Mask = NDArray[np.bool_]

FEWEST_IN_PHASE = 2

MISFIT = 2.0
"""Chi-squared per degree of freedom of the middle voxel above which it is said that the decay is another one."""


def as_multi_echo(source: MrSource, *, role: str, series: tuple[str, ...], reading: MrReadingOptions) -> MultiEcho:
    """The scan itself: read where a path was given.

    Raises
    ------
    InputError
        If it is neither a path nor a `MultiEcho`, or series are chosen of one that is read already.
    HepaticaError
        As `read_multi_echo`.
    """
    if isinstance(source, MultiEcho):
        if series:
            raise InputError(f"{source.name}: is read already; `{role}_series` chooses among the series of a folder")
        return source.used_as(role)
    if not isinstance(source, str | Path):
        raise InputError(f"{role}: a scan is a path or a hepatica.MultiEcho, not {type(source).__name__}")
    restore(source)
    stated = MrStated(series, reading.field_strength, reading.phase_half_turn)
    return read_multi_echo(source, role=role, stated=stated)


@dataclass(frozen=True, slots=True, eq=False)
class FittedScan:
    """R2* of one scan.

    Attributes
    ----------
    fit : DecayFit
        By voxel.
    unsure : ndarray of bool
        Where the field is not known, so that its loss is not taken off.
    inhomogeneity : str
        How the field's gradients were dealt with: "none", "phase" or "fit".
    messages : tuple of Message
        What must be said of it.
    """

    fit: DecayFit
    unsure: Mask
    inhomogeneity: str
    messages: tuple[Message, ...]


def noise_of(scan: MultiEcho, reading: MrReadingOptions) -> float:
    """Standard deviation of the noise: stated, or from air in the image."""
    return noise_sd(scan) if reading.noise_level is None else reading.noise_level


def one_way(
    after: MultiEcho, before: MultiEcho | None, options: R2StarOptions
) -> tuple[R2StarOptions, tuple[Message, ...]]:
    """Options by which both scans are corrected for the field in the same way: by the phase of both, or not at all.

    A scan that is corrected has a lower R2* than one that is not: their difference would be taken for holmium.
    """
    if options.inhomogeneity != "auto" or before is None or options.baseline == "stated":
        return options, ()
    if (after.phase is None) == (before.phase is None) or options.baseline_r2star is not None:
        return options, ()
    lacks, has = (after, before) if after.phase is None else (before, after)
    text = f"{lacks.name} has no phase, {has.name} has: the field is corrected in neither, so that both are alike"
    note = Message("phase-of-one-scan", text, "give the phase images of both scans")
    return replace(options, inhomogeneity="none"), (note,)


def fitted(
    scan: MultiEcho, mask: Mask, noise: float, options: R2StarOptions, prior: S0Prior | None = None
) -> FittedScan:
    """R2* of a scan as the options ask for it.

    Raises
    ------
    InputError
        If too few echoes are in phase, a phase is asked for and there is none, or the signal grows from echo to echo.
    """
    notes: list[Message] = [*about_values(scan, mask)]
    echoes = None
    if options.fat == "in-phase":
        echoes = in_phase_echoes(scan.echo_times_s, scan.field_t)
        if len(echoes) < FEWEST_IN_PHASE:
            times = ", ".join(f"{1000 * t:.3g}" for t in scan.echo_times_s)
            period_ms = 1000 / (3.4e-6 * 42.577478518e6 * scan.field_t)
            raise InputError(
                f"{scan.name}: {len(echoes)} of the echoes ({times} ms) are in phase at {scan.field_t:g} T, where fat "
                f"and water meet every {period_ms:.2f} ms; two are needed",
                remedy="fit the fat, or leave it",
            )
    way = options.inhomogeneity
    if way == "auto":
        way = "none" if scan.phase is None else "phase"
    factor, unsure = None, np.zeros(scan.grid.shape, dtype=bool)
    if way == "phase":
        loss = field_loss(scan)
        factor, unsure = loss.factor, loss.unsure
        if lost := int((unsure & mask).sum()):
            text = (
                f"{scan.name}: the phase does not tell the field in {lost} voxels "
                f"({100 * lost / int(mask.sum()):.2g} % of those asked for); they are flagged"
            )
            notes.append(Message("field-unsure", text, severity="note"))
        # Where the phase is only noise the factor is too: nothing is taken off.
        factor = np.where(unsure, np.float32(1), factor)
    elif way == "none":
        text = f"{scan.name}: loss of signal by gradients of the field is not taken off; R2* is too high where it is"
        notes.append(Message("field-not-corrected", text, "give the phase images, or fit the slice's gradient"))
    if options.fat == "ignore":
        text = f"{scan.name}: fat is not looked at: in a fatty liver echoes out of phase change R2*"
        notes.append(Message("fat-ignored", text, "use echoes in phase, or fit the fat", severity="note"))
    model: Model = "fat" if options.fat == "fit" else "gradient" if way == "fit" else "plain"
    fit = fit_decay(
        scan, mask, noise=noise, model=model, factor=factor, echoes=echoes, prior=prior, threads=options.threads
    )  # fmt: skip
    require_decay(scan, fit)
    judged = fit.misfit[np.isfinite(fit.misfit)]
    if judged.size and float(np.median(judged)) > MISFIT:
        text = (
            f"{scan.name}: echoes lie {float(np.median(judged)) ** 0.5:.2g} times their noise off the fitted decay in "
            "half of the voxels: fat, the field, or noise that was measured too low"
        )
        notes.append(Message("decay-misfit", text, "fit the fat or use echoes in phase; look at the noise"))
    return FittedScan(fit, unsure, way, tuple(notes))


def require_alike(after: MultiEcho, before: MultiEcho) -> tuple[MultiEcho, tuple[Message, ...]]:
    """The scan before, checked against the one after.

    Raises
    ------
    InputError
        If the field strengths differ: R2* of tissue grows with the field.
    """
    if abs(after.field_t / before.field_t - 1) > 0.05:
        raise InputError(
            f"{before.name} was scanned at {before.field_t:g} T, {after.name} at {after.field_t:g} T: the R2* of one "
            "is no baseline of the other",
            remedy="give a scan before at the same field, or state `baseline_r2star`",
        )
    same = len(after.echo_times_s) == len(before.echo_times_s) and np.allclose(
        after.echo_times_s, before.echo_times_s, atol=1e-5
    )
    if same:
        return before, ()
    missing, from_name = _missing_echoes(after, before)
    if missing:
        text = (
            f"{from_name} lacks {', '.join(f'{time:.3g}' for time in missing)} ms of the other scan's echoes: R2* of "
            "both is not found in the same way, and a missing first echo hides the darkest voxels"
        )
        return before, (Message("echo-missing", text, "look for the echo's series, or scan both alike", "critical"),)
    text = f"{before.name} and {after.name} have different echo times"
    return before, (Message("echo-times-differ", text, "scan both with one protocol"),)


def _missing_echoes(after: MultiEcho, before: MultiEcho) -> tuple[tuple[float, ...], str]:
    """Echo times in ms that one scan has and the other lacks, which has no others; and which lacks them."""
    for one, other in ((after, before), (before, after)):
        missing = [t for t in other.echo_times_s if not np.isclose(t, one.echo_times_s, atol=1e-5).any()]
        if missing and len(other.echo_times_s) - len(missing) == len(one.echo_times_s):
            return tuple(1000 * t for t in missing), one.name
    return (), ""


def with_time(scan: MultiEcho, reading: MrReadingOptions) -> MultiEcho:
    """The scan at the instant that was stated, where its file says none.

    Raises
    ------
    InputError
        If the file says another one.
    """
    if reading.scanned_at is None or reading.scanned_at == scan.time:
        return scan
    if scan.time is not None:
        raise InputError(f"{scan.name}: was scanned at {scan.time}; {reading.scanned_at} was stated")
    return replace(scan, time=reading.scanned_at)
