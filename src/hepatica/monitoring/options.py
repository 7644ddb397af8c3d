"""Options of watching and of simulating an injection."""

from __future__ import annotations

from typing import Annotated, Literal

from hepatica.core.options import Fraction, Limits, NonNegative, Positive, options
from hepatica.errors import InputError

Injection = Literal["maa", "maa-c-arm", "ho-scout", "y90", "resin"]

AlreadyThere = Literal["unknown", "apart", "counts"]

FlowEvent = Literal["none", "off-target", "reflux", "stasis", "slip", "clogging", "spasm"]


@options
class WatchOptions:
    """How an injection is watched.

    Attributes
    ----------
    look_s : float
        Time between two looks of the sequential tests.
    false_alarms : float
        Share of uneventful injections in which each kind of alarm may be false, over the whole injection.
    rehearsals : int
        Uneventful injections that are simulated for the boundaries before the first frame.
    seed : int
        Of the rehearsals.
    meter_limit : float or None
        Largest value that the meter can show; at it the meter is saturated.
    line_mbq : float or None
        Activity that has passed a meter at the line for a reading of one over a second, MBq; without it the line is
        calibrated by what left the vial, and says nothing more than the vial.
    line_mbq_sd : float
        Its relative standard uncertainty.
    vial_before, vial_after : float or None
        Readings of the vial before and after, by one meter in one place, any unit: what left it, where nothing else
        says so.
    already_there : {"unknown", "apart", "counts"} or None
        What activity in the field at the first frame is: of an earlier injection or part of one ("apart", taken off),
        part of this one whose frames began late ("counts"); what the setup says, if not given.
    idle_s : float or None
        Of a folder that is being written: stop after so long without a new frame; on Ctrl-C alone, if not given.
    """

    look_s: Annotated[float, Limits(low=0.1, high=5.0)] = 0.5
    false_alarms: Annotated[Fraction, Limits(low=0.0005, high=0.2)] = 0.01
    rehearsals: Annotated[int, Limits(low=200, high=200_000)] = 4000
    seed: Annotated[int, Limits(low=0)] = 1
    meter_limit: Positive | None = None
    line_mbq: Positive | None = None
    line_mbq_sd: Annotated[Fraction, Limits(low=0.0, high=1.0)] = 0.1
    vial_before: Positive | None = None
    vial_after: NonNegative | None = None
    already_there: AlreadyThere | None = None
    idle_s: Positive | None = None

    def __post_init__(self) -> None:
        if (self.vial_before is None) != (self.vial_after is None):
            raise InputError("readings of the vial before and after belong together", remedy="state both")
        if self.vial_before is not None and (self.vial_after or 0.0) > self.vial_before:
            raise InputError(f"the vial reads more after ({self.vial_after:g}) than before ({self.vial_before:g})")


@options
class FrameOptions:
    """Which frames, and where they come from.

    Attributes
    ----------
    energy_window : int or None
        Which to take where a file holds several, from 1.
    detector : int or None
        As `energy_window`.
    listen_port : int or None
        Take frames by a DICOM listener on this port of this machine; they are kept in the folder. Needs pynetdicom.
    replay : bool
        The folder holds the frames of an injection that is over: they are replayed, and nothing is waited for.
    before_beads : int
        Of MR repeated in time: instants before the first beads, which give baseline and noise.
    """

    energy_window: Annotated[int, Limits(low=1)] | None = None
    detector: Annotated[int, Limits(low=1)] | None = None
    listen_port: Annotated[int, Limits(low=0, high=65535)] | None = None
    replay: bool = False
    before_beads: Annotated[int, Limits(low=3, high=1000)] = 5


@options
class InjectionOptions:
    """What is injected, and what happens.

    Attributes
    ----------
    injection : {"maa", "maa-c-arm", "ho-scout", "y90", "resin"}
        150 MBq 99mTc-MAA before a LEHR camera or a hybrid C-arm, 250 MBq 166Ho scout, 3 GBq 90Y glass, 1.5 GBq resin.
    flow_event : {"none", "off-target", "reflux", "stasis", "slip", "clogging", "spasm"}
        What goes wrong, at a random instant.
    branch : str
        Hepatic artery in which the catheter lies.
    frame_s : float
        Exposure of a frame.
    seed : int
        Of patient and injection.
    moves_mm : float
        By how much the patient moves to the head half-way; 0 for not at all.
    """

    injection: Injection = "maa"
    flow_event: FlowEvent = "none"
    branch: str = "right hepatic"
    frame_s: Annotated[float, Limits(low=0.05, high=10.0)] = 0.5
    seed: Annotated[int, Limits(low=0)] = 7
    moves_mm: Annotated[float, Limits(low=-100, high=100)] = 0.0
