"""The result of watching an injection."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.document import HIDDEN
from hepatica.core.tables.table import Table
from hepatica.io.files import write_text
from hepatica.monitoring.relative import Share
from hepatica.monitoring.state import Alarm, RegionState, State, Test
from hepatica.workflow.result import Result, result

FOR_RESEARCH = "Alarms are for research and replay: no treatment may be stopped, changed or continued on them."


@dataclass(frozen=True, slots=True)
class FrameFaults:
    """Frames that did not come as they should, or were not used."""

    lost: int = 0
    doubled: int = 0
    late: int = 0
    clock_jumps: int = 0
    frozen: int = 0
    overlapping: int = 0
    unusable: int = 0


@result
class MonitorResult(Result):
    """What was delivered where, every alarm, and how well it was watched.

    Attributes
    ----------
    is_measured : bool
        Whether what was delivered is a measured value; `not_measured` says why not, and there is then no value.
    measured_by : str
        What counts in the delivered activity: "camera", "camera and meter", "camera and line", "MR"; empty where there
        is none.
    flow_had_ended : bool or None
        Whether nothing more was on its way when watching ended; None without a setup or a frame.
    states : tuple of State
        As they were logged, about one a second.
    pictures : ndarray, shape (pictures, rows, columns)
        Sums of frames for the page.
    mask : ndarray of int or None
        Regions.
    """

    verb = "monitor"

    nuclide: str
    agent: str
    frames_used: int
    duration_s: float
    first_cps: float
    largest_cps: float
    frame_faults: FrameFaults
    planned_bq: float | None
    is_measured: bool
    not_measured: tuple[str, ...]
    delivered_bq: float | None
    delivered_bq_sd: float | None
    delivered_share: float | None
    measured_by: str
    flow_had_ended: bool | None
    drawn_bq: float | None
    drawn_bq_sd: float | None
    arrival: tuple[Share, ...]
    blind_since_s: float | None
    already_there_bq: float | None
    delivery: tuple[RegionState, ...]
    residual_bq: float | None
    residual_bq_sd: float | None
    false_alarms: float | None
    rehearsals: int | None
    alarms: tuple[Alarm, ...]
    tests: tuple[Test, ...]
    notes: tuple[str, ...]
    states: tuple[State, ...] = field(default=(), metadata=HIDDEN)
    pictures: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 1, 1)), metadata=HIDDEN)
    mask: NDArray[np.int64] | None = field(default=None, metadata=HIDDEN)

    def title(self) -> str:
        """What was delivered, as far as anything says it."""
        alarms = f"{len(self.alarms)} alarm{'' if len(self.alarms) == 1 else 's'}"
        if self.not_measured and self.delivery:
            return f"{self.nuclide}: what was delivered is not measured ({'; '.join(self.not_measured)}); {alarms}"
        if self.delivered_bq is None or self.planned_bq is None:
            rates = f"{self.first_cps / 1e3:.3g} kcps at first, {self.largest_cps / 1e3:.3g} kcps at most"
            return f"{self.frames_used} frames in {self.duration_s:.4g} s: {rates}; nothing is decided without a setup"
        return (
            f"{self.nuclide}: {self.delivered_bq / 1e6:.4g} ± {(self.delivered_bq_sd or 0) / 1e6:.2g} MBq of "
            f"{self.planned_bq / 1e6:.4g} MBq arrived in {self.duration_s:.4g} s; {alarms}"
        )

    def table(self) -> Table:
        """What each region holds."""
        if not self.delivery:
            rates = [(s.time_s, s.rate_cps) for s in self.states]
            return Table.of(("s", "counts per second"), rates, "Rate of the whole field", "rate")
        rows = [
            ("body, by the frames alone" if r.name == "body" else r.name,
             r.role, r.delivered_bq / 1e6, r.low_bq / 1e6, r.high_bq / 1e6,
             None if r.share is None else 100 * r.share, r.expected_bq / 1e6)
            for r in self.delivery
        ]  # fmt: skip
        columns = ("region", "role", "MBq", "95 % from", "to", "share, %", "expected, MBq")
        what = "Delivered" if self.is_measured else "Last estimate, not measured"
        # The heading of a report, and the file, are of this name.
        name = "delivered-by-region" if self.is_measured else "last-estimate-not-measured-by-region"
        return Table.of(columns, rows, f"{what}, decay taken back to the start", name)

    def tables(self) -> tuple[Table, ...]:
        """Activities, alarms, tests."""
        if not self.delivery:
            return (self.table(), *self._arrival())
        alarms = [(a.at_s, a.kind, a.region, a.why, a.chance, a.doubtful) for a in self.alarms]
        tests = [(t.kind, t.statistic, t.boundary, t.is_judged, t.why_not) for t in self.tests]
        return (
            self.table(),
            *self._arrival(),
            Table.of(("at, s", "alarm", "region", "why", "chance when nothing happens", "doubtful"), alarms, "Alarms",
                     "alarms", (".1f", "", "", "", ".2g", "")),
            Table.of(("test", "statistic, SD", "boundary, SD", "judged at the end", "why not"), tests,
                     "Sequential tests", "tests"),
        )  # fmt: skip

    def _arrival(self) -> tuple[Table, ...]:
        """A(t) as a share of the end, some twenty instants."""
        some = self.arrival[:: max(1, len(self.arrival) // 20)]
        rows = [
            (one.time_s, 100 * one.share, 100 * one.share_sd, *(None if bq is None else bq / 1e6
             for bq in (one.activity_bq, one.activity_sd_bq)))
            for one in some
        ]  # fmt: skip
        columns = ("s", "of the end, %", "SD, %", "MBq by the vial", "SD, MBq")
        return (Table.of(columns, rows, "Arrived, by all counts alike", "arrival"),) if rows else ()

    def sentences(self) -> tuple[str, ...]:
        """What the alarms may be used for; what the instructions for use say."""
        allowed = dict.fromkeys(alarm.allowed for alarm in self.alarms)
        rate = "" if self.false_alarms is None else (
            f"Each kind of alarm is false in {100 * self.false_alarms:.3g} % of uneventful injections, over the whole "
            f"injection, by {self.rehearsals} simulated ones of this setup."
        )  # fmt: skip
        return tuple(text for text in (*allowed, rate, FOR_RESEARCH) if text)

    @property
    def is_usable(self) -> bool:
        """Whether a frame came, and the case took what was watched for it."""
        return self.frames_used > 0 and all(one.code != "not-entered" for one in self.messages)

    def measured_values(self) -> dict[str, Any]:
        """Activity in the body and its uncertainty, and what alarms there were."""
        if self.delivered_bq is None or not self.is_measured:
            return {}
        return {
            "nuclide": self.nuclide,
            "agent": self.agent,
            "delivered_bq": self.delivered_bq,
            "delivered_bq_sd": self.delivered_bq_sd,
            "measured_by": self.measured_by,
            "flow_had_ended": self.flow_had_ended,
            "planned_bq": self.planned_bq,
            "blind_since_s": self.blind_since_s,
            "already_there_bq": self.already_there_bq,
            "alarms": [alarm.kind for alarm in self.alarms],
        }

    def write(self, folder: Path) -> None:
        """Write ``states.jsonl`` (each logged state) and ``monitor.png`` (curves and frames)."""
        lines = [json.dumps(state.as_dict(), ensure_ascii=False, allow_nan=False) for state in self.states]
        write_text(folder / "states.jsonl", "".join(f"{line}\n" for line in lines))
        if self.states:
            from hepatica.report.figures.monitoring import monitor_png

            (folder / "monitor.png").write_bytes(monitor_png(curves_of(self), self.pictures, self.mask))


def curves_of(found: MonitorResult) -> dict[str, Any]:
    """What the figure draws, as plain values."""
    times = [state.time_s for state in found.states]
    names = [region.name for region in found.delivery]
    bands = {
        name: np.array([[r.delivered_bq, r.low_bq, r.high_bq] for r in (s.region(name) for s in found.states)]) / 1e6
        for name in names
    }
    marks = [(alarm.at_s, f"{alarm.kind} (doubtful)" if alarm.doubtful else alarm.kind) for alarm in found.alarms]
    watching = [state.watching for state in found.states]
    rate = [state.rate_cps / 1e3 for state in found.states]
    return {"time_s": times, "bands_mbq": bands, "marks": marks, "watching": watching, "rate_kcps": rate,
            "is_measured": found.is_measured,
            "planned_mbq": None if found.planned_bq is None else found.planned_bq / 1e6}  # fmt: skip
