"""Watching an injection, alone or for a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hepatica.case.case import Case
from hepatica.case.injection.watched import Beside, WatchedRun, watched_run
from hepatica.core.message import Message
from hepatica.core.options import unit_of, verb, word_of
from hepatica.core.options.stated import stated_names
from hepatica.core.progress import Progress
from hepatica.errors import InputError
from hepatica.imaging.mri.options import HolmiumOptions
from hepatica.monitoring.options import FrameOptions, WatchOptions
from hepatica.workflow.monitoring.keeping import KeepOptions
from hepatica.workflow.monitoring.monitor import Live, MrGiven, Outlets, watch_injection
from hepatica.workflow.monitoring.result import MonitorResult


@verb
def monitor(  # noqa: PLR0913  (one group of options for each step)
    frames: Path | str,
    *,
    setup: Path | str | None = None,
    readings: Path | str | None = None,
    structures: Path | str | None = None,
    which: FrameOptions = FrameOptions(),
    watching: WatchOptions = WatchOptions(),
    keeping: KeepOptions = KeepOptions(),
    holmium: HolmiumOptions = HolmiumOptions(),
    live_view: Live | None = None,
    progress: Progress | None = None,
) -> MonitorResult:
    """What arrives where while an injection runs, by a gamma camera's frames and a meter; or a replay of it.

    Parameters
    ----------
    frames : Path
        Dynamic gamma camera file, to be replayed; or a folder in which frames arrive, watched until Ctrl-C.
    setup : Path
        Setup of the injection (JSON): regions, response of the camera, plan. Without it, and without one in the case,
        only rates are shown.
    readings : Path
        Readings of a meter: CSV of kind, time and value, which may grow; or a serial line (/dev/ttyUSB0).
    structures : Path
        Structures (RTSTRUCT, SEG, label map) on the grid of MR of holmium that was repeated in time, named as the
        setup's regions; the frames are then the files of that MR, to be replayed.
    which : FrameOptions
        Which frames.
    watching : WatchOptions
        How it is watched.
    keeping : KeepOptions
        Where it is kept: a log of states, a case.
    holmium : HolmiumOptions
        Of MR: relaxivity, specific activity.
    live_view : callable, optional
        Shown each state as it comes.
    progress : callable, optional
        Told each step.

    Returns
    -------
    MonitorResult
        Delivered activity of each region, alarms with reasons, the log of states.

    Raises
    ------
    InputError
        If frames, setup or readings cannot be used: another nuclide, masks of another size, no frame at all; or the
        case holds a watched injection of this treatment.
    DicomError
        If a file to be replayed is no gamma camera series with times.
    OutputError
        If another process watches the case, or nothing can be written there.

    Examples
    --------
    >>> found = hepatica.monitor("frames.dcm", setup="setup.json", readings="readings.csv")  # doctest: +SKIP
    >>> [alarm.kind for alarm in found.alarms]  # doctest: +SKIP
    ['stasis']
    """
    given: dict[str, Any] = {"readings": readings, "which": which, "watching": watching}
    drawn = None if structures is None else Path(structures)
    if drawn is not None:
        given["mr"] = MrGiven(drawn, holmium)
    if keeping.case is None:
        if keeping.treatment is not None:
            raise InputError("`treatment` is one of a case", remedy="state the `case`")
        return watch_injection(
            frames, setup=setup, outlets=Outlets(live_view, keeping.state_log, None, progress), **given
        )
    case = Case.open(keeping.case)
    stated = None if setup is None else Path(setup)
    source = _source(Path(frames), which)
    with watched_run(case, keeping.treatment, source, stated, watching.already_there) as run:
        outlets = Outlets(live_view, keeping.state_log, run.keeper, progress)
        found = watch_injection(frames, setup=run.setup, outlets=outlets, **given)
        beside = Beside(None if readings is None else Path(readings), drawn)
        # What is said of the run is part of what enters the case.
        found = replace(found, messages=(*run.messages, *found.messages))
        groups = (which, watching, holmium) if drawn is not None else (which, watching)
        return _entered(run, found, Path(frames), beside, options=_words(*groups))


def _entered(
    run: WatchedRun, found: MonitorResult, frames: Path, beside: Beside, *, options: Mapping[str, str]
) -> MonitorResult:
    said = [
        Message("not-entered", f"the case did not take the watched injection: {why}",
                f"mend it, and replay the frames with this case; what was watched is in {run.folder}",
                severity="critical")
        for why in run.enter(found, frames, beside, options)
    ]  # fmt: skip
    if run.keeper.live.trouble:
        said.append(Message("not-shown", f"not every state could be kept: {run.keeper.live.trouble}"))
    return replace(found, messages=(*found.messages, *said)) if said else found


def _source(frames: Path, which: FrameOptions) -> str:
    if which.listen_port is not None:
        return f"DICOM listener, port {which.listen_port}"
    name = frames.absolute().name
    return f"frames arriving in {name}" if frames.is_dir() and not which.replay else f"replay of {name}"


HOW = ("idle_s", "listen_port", "replay")
"""Options of how frames come; a replay of the case has no use for them."""


def _words(*given: Any) -> dict[str, str]:
    """Options that are not the usual ones, as a case states them."""
    names = [name for name in stated_names(*given) if name not in HOW]
    values = {name: getattr(one, name) for one in given for name in names if hasattr(one, name)}
    return {word_of(name).replace("_", "-"): _text(name, value) for name, value in values.items()}


def _text(name: str, value: Any) -> str:
    """A value with its unit, as a case states it."""
    unit = unit_of(name)[1]
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:.9g} {unit}" if unit else str(value)
