"""The live view of `hepatica monitor`: one page of the terminal, or a line each few seconds where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hepatica.cli.streams import say
from hepatica.core.text.visible import one_line
from hepatica.monitoring.wording import not_judged

WORDS = {
    "waiting": ("WAITING: no frame has come", "yellow"),
    "watching": ("WATCHING", "green"),
    "degraded": ("DEGRADED: not everything is judged", "yellow"),
    "blind": ("BLIND: NOTHING IS JUDGED", "bold white on red"),
    "stopped": ("STOPPED", "cyan"),
}

BETWEEN_S = 5.0

BODY = "body, by the frames alone"
"""Name of the row: what is delivered by frames and meter together stands above."""

RESEARCH = "Alarms are for research and replay: no treatment may be stopped, changed or continued on them."


@contextmanager
def live_view(*, is_terminal: bool | None = None) -> Iterator[Any]:
    """A function that shows states on stderr while the block runs."""
    if not (sys.stderr.isatty() if is_terminal is None else is_terminal):
        yield Lines()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True, highlight=False), refresh_per_second=4, transient=True) as view:
        # A file is replayed faster than a screen can be painted.
        last = [0.0]

        def show(state: Any) -> None:
            now = time.monotonic()
            if now - last[0] >= 0.1 or state.watching in ("blind", "stopped"):
                last[0] = now
                view.update(page(state))

        yield show


class Lines:
    """A line where what is watched changes, at each alarm, and every few seconds."""

    def __init__(self) -> None:
        self._last, self._word, self._alarms = -BETWEEN_S, "", 0

    def __call__(self, state: Any) -> None:
        """Show a state, if there is something to say."""
        for alarm in state.alarms[self._alarms :]:
            say(f"[{alarm.at_s:7.1f} s] ALARM {alarm.kind}: {one_line(alarm.why)}")
        self._alarms = len(state.alarms)
        if state.watching != self._word or state.time_s - self._last >= BETWEEN_S:
            self._word, self._last = state.watching, state.time_s
            # By the time of the data: a silence that ends must not let the clock run back.
            say(f"[{state.time_s - state.silent_s:7.1f} s] {summary(state)}")


def summary(state: Any) -> str:
    """One line on a state."""
    word = WORDS[state.watching][0]
    notes = f" ({one_line('; '.join(reasons(state)))})" if reasons(state) else ""
    if not state.regions or not state.frames:
        return f"{word}{notes}: {state.rate_cps / 1e3:.3g} kcps"
    return (
        f"{word}{notes}: {_delivered(state)} of {state.planned_bq / 1e6:.4g} MBq, "
        f"{state.rate_cps / 1e3:.3g} kcps{_raised(state)}"
    )


def _delivered(state: Any) -> str:
    """What was delivered by all that measures it, as `live.json` and the result say it, with its interval."""
    low, high = state.delivered_limits_bq()
    return f"{state.delivered_bq / 1e6:.4g} MBq ({low / 1e6:.4g} to {high / 1e6:.4g}) delivered"


def _raised(state: Any) -> str:
    """Alarms so far, on one line: what has scrolled away is still there."""
    said = [f"{a.kind} {a.at_s:.0f} s{' (doubtful)' if a.doubtful else ''}" for a in state.alarms]
    return f"; alarms: {', '.join(said)}" if said else ""


def reasons(state: Any) -> list[str]:
    """What is wrong, and which tests are not judged and why, as `live.json` says it."""
    return [*state.notes, *not_judged(state)]


def page(state: Any) -> Any:
    """The whole page for a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    word, style = WORDS[state.watching]
    head = Text(f" {word} ", style=style)
    head.append(f"  {state.time_s:.1f} s   {state.rate_cps / 1e3:.3g} kcps   {state.frames} frames", style="default")
    if state.planned_bq:
        head.append(f"   vial {state.planned_bq / 1e6:.4g} MBq", style="default")
    if state.planned_bq and state.frames:
        head.append(f"   {_delivered(state)}", style="default")
    if state.silent_s > 1:
        head.append(f"   last frame {state.silent_s:.0f} s ago", style="red")
    notes = [Text(f"  ! {one_line(note)}", style="yellow") for note in reasons(state)]
    notes += [Text(f"  {one_line(remark)}", style="dim") for remark in state.remarks]
    regions = Table(box=None, header_style="dim")
    for name, justify in (
        ("region", "left"),
        ("MBq", "right"),
        ("95 %", "right"),
        ("share", "right"),
        ("expected, MBq", "right"),
        ("", "left"),
    ):
        regions.add_column(name, justify=justify)  # type: ignore[arg-type]
    most = max([state.planned_bq, 1.0])
    # While nothing is judged the last numbers are old: they are shown as such.
    faded = "dim" if state.watching in ("blind", "waiting") else "default"
    for one in state.regions if state.frames else ():
        bar = "█" * round(30 * min(one.delivered_bq / most, 1.0))
        share = "–" if one.share is None else f"{100 * one.share:.1f} %"
        regions.add_row(
            BODY if one.name == "body" else one_line(one.name),
            f"{one.delivered_bq / 1e6:.4g}", f"{one.low_bq / 1e6:.4g} – {one.high_bq / 1e6:.4g}",
            share, f"{one.expected_bq / 1e6:.4g}", bar, style=faded,
        )  # fmt: skip
    tests = Text("  ".join(_test(test) for test in state.tests), style="dim")
    alarms = [
        Text(f"ALARM {a.kind} at {a.at_s:.1f} s: {one_line(a.why)}{_doubtful(a)}", style="bold red")
        for a in state.alarms
    ]
    return Group(head, *notes, regions, tests, *alarms, Text(RESEARCH, style="dim"))


def _doubtful(alarm: Any) -> str:
    return f" [doubtful: {one_line(alarm.doubtful)}]" if alarm.doubtful else ""


def _test(test: Any) -> str:
    if not test.is_judged or test.statistic is None:
        return f"{test.kind} not judged"
    return f"{test.kind} {test.statistic:.1f}/{'–' if test.boundary is None else f'{test.boundary:.1f}'}"
