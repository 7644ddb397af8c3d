"""What was delivered: by line, by counts alone, less what was there before; and when it is no measured value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepatica.errors import InputError
from hepatica.monitoring.feed import Reading
from hepatica.monitoring.line import LineMeter
from hepatica.monitoring.options import WatchOptions
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.relative import drawn_bq, shares
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.monitoring.state import State
from hepatica.monitoring.watch import Watch
from hepatica.monitoring.wording import OVER_PLAN, stamped
from monitoring_makers import PLANNED, SHARES, boundaries, injection, mask, setup_of, spread


def watched(watch: Watch, *, line: bool = False) -> tuple[list[State], float]:
    """States of an uneventful injection and what truly arrived; the line reads 1 for 1 MBq a second, and 2 beside."""
    random, states, last = np.random.default_rng(3), [], 0.0
    for frame, readings, true in injection(setup_of()):
        passing = max(float(true.sum()) - last, 0.0) / 1e6 / frame.duration_s
        last = float(true.sum())
        for one in readings:
            if not line:
                watch.reading(one)
            elif one.kind == "vial" and one.at_s < 0:
                watch.reading(Reading("line", one.at_s, 2 + 0.1 * random.standard_normal()))
        if line:
            at = frame.start_s + frame.duration_s
            watch.reading(Reading("line", at, 2 + passing + 0.1 * random.standard_normal()))
        states.append(watch.frame(frame))
    return [*states, watch.stop()], last


UNSCALED = replace(setup_of().doubts, camera=0.25)


def test_the_line_measures_where_no_camera_factor_is_known() -> None:
    setup = setup_of(has_meter=False, doubts=UNSCALED)
    watch = Watch(setup, mask(), boundaries(), nuclide="Tc-99m", line=LineMeter(1e6, 0.03))
    states, true = watched(watch, line=True)
    end = states[-1]
    assert not end.not_measured
    # 3 % of its factor, 1 % of what stays in the line, 0.1 of 0.1 MBq/s over 80 s each half second.
    assert end.delivered_bq == pytest.approx(true, abs=2 * end.delivered_sd_bq)
    assert 0.03 * true < end.delivered_sd_bq < 0.04 * true
    assert watch.line.factor_by(true) == pytest.approx(1e6, rel=0.02)
    plain = Watch(setup, mask(), boundaries(), nuclide="Tc-99m")
    assert any("no camera factor" in why for why in watched(plain, line=True)[0][-1].not_measured)
    # No test rests on the line.
    assert [t.statistic for t in end.tests] == [t.statistic for t in plain.state().tests]


def test_a_line_with_a_gap_or_without_a_background_says_no_activity() -> None:
    line = LineMeter(1e6, 0.03)
    for n in range(20):
        line.take(float(n - 12), 2.0 + 0.01 * (n % 3))
    assert line.passed_bq(7.0) is not None
    line.take(20.0, 2.0)
    assert line.passed_bq(20.0) is None
    assert "total" in line.why_not
    bare = LineMeter(1e6, 0.03)
    bare.take(1.0, 5.0)
    assert "background" in bare.why_not


def test_counts_alone_are_shares_of_the_end_and_the_vial_makes_them_activities() -> None:
    setup = setup_of(has_meter=False, doubts=UNSCALED)
    watch = Watch(setup, mask(), boundaries(), nuclide="Tc-99m")
    states, true = [], []
    for frame, _, there in injection(setup_of()):
        states.append(watch.frame(frame))
        true.append(float(there.sum()))
    end = true[-1]
    total = drawn_bq(setup, 1000.0, 1000.0 * (1 - end / PLANNED) * 2 ** (-80 / setup.half_life_s), 80.0)
    assert total[0] == pytest.approx(end)
    found = shares(states, 0.5, setup, total)
    # All counts are taken alike, so shares of regions that fill while others do not would differ; here they hold.
    late = [(one, t / end) for one, t in zip(found, true, strict=True) if one.time_s > 10]
    z = np.array([(one.share - t) / one.share_sd for one, t in late])
    assert np.abs(z).mean() < 3
    assert np.abs([one.share - t for one, t in late]).max() < 0.05
    assert found[-1].activity_bq == pytest.approx(end, rel=0.04)
    assert shares(states, 0.5, setup, None)[-1].activity_bq is None
    with pytest.raises(InputError, match="belong together"):
        WatchOptions(vial_before=3.0)


def test_what_was_there_is_taken_off_each_region() -> None:
    setup = setup_of(already_there="apart")
    watch, random = Watch(setup, mask(), boundaries(), nuclide="Tc-99m"), np.random.default_rng(4)
    there = setup.response_cps_per_bq @ (SHARES * 50e6)
    true = np.zeros(5)
    for frame, readings, arrived in injection(setup):
        true = arrived
        for one in readings:
            watch.reading(one)
        watch.frame(replace(frame, values=frame.values + spread(random.poisson(0.5 * there), random)))
    end = watch.stop()
    held = {one.name: one for one in end.held}
    for n, name in enumerate(("target", "liver", "lungs")):
        # Limits are of the whole, the rest of what this injection brought.
        whole = held[name].delivered_bq - end.region(name).delivered_bq
        assert whole == pytest.approx(50e6 * SHARES[n], abs=0.02 * PLANNED)
        assert end.region(name).delivered_bq == pytest.approx(true[n], abs=0.05 * PLANNED)
    assert end.region("body").delivered_bq == pytest.approx(float(true.sum()), rel=0.06)


@pytest.mark.parametrize("already_there", ["counts", "apart"])
def test_more_than_the_vial_held_is_not_measured_although_what_was_there_counts(already_there: str) -> None:
    setup = setup_of(already_there=already_there)
    watch, random = Watch(setup, mask(), boundaries(), nuclide="Tc-99m"), np.random.default_rng(4)
    there = setup.response_cps_per_bq @ (SHARES * PLANNED)
    for frame, readings, _ in injection(setup):
        for one in readings:
            watch.reading(one)
        watch.frame(replace(frame, values=frame.values + spread(random.poisson(0.5 * there), random)))
    end = watch.stop()
    # Twice the vial in the field: all of one vial cannot be, the second of two can.
    assert any(why.startswith(OVER_PLAN) for why in end.not_measured) is (already_there == "counts")
    assert not end.held if already_there == "counts" else end.held


def test_tests_of_a_run_that_ended_blind_were_not_judged_at_its_end() -> None:
    watch = Watch(setup_of(), mask(), boundaries(), nuclide="Tc-99m")
    for frame, readings, _ in injection(watch.setup, seconds=30.0):
        for one in readings:
            watch.reading(one)
        seen = watch.frame(frame)
    assert any(test.is_judged for test in seen.tests)
    watch.silence(50.0)
    end = watch.stop()
    assert end.blind_since_s == 30.0
    assert not any(test.is_judged for test in end.tests)
    assert "blind" in {test.kind: test.why_not for test in end.tests}["reflux"]


@pytest.mark.parametrize("fault", ["half", "background", "mirrored", "upside down", "duration"])
def test_what_contradicts_the_meter_or_the_setup_is_not_measured(fault: str) -> None:
    setup = setup_of()
    if fault == "background":
        setup = setup.changed(background_cps=np.full(5, 400.0))
    watch = Watch(setup, mask(), boundaries(), nuclide="Tc-99m")
    # A header that says 1000 ms for 500 ms: the camera's clock seems to run at half its pace, rates are half of theirs.
    slow = 2.0 if fault == "duration" else 1.0
    changed = {
        "half": lambda values: np.floor(values / 2), "mirrored": lambda values: values[:, ::-1],
        "upside down": lambda values: values[::-1],
    }  # fmt: skip
    for frame, readings, _ in injection(setup_of()):
        for one in readings:
            watch.reading(one)
        values = changed.get(fault, lambda values: values)(frame.values)
        watch.frame(replace(frame, values=values, start_s=slow * frame.start_s, duration_s=slow * frame.duration_s))
    end = watch.stop()
    assert end.not_measured


def test_an_upper_limit_does_not_vanish_with_a_negative_estimate() -> None:
    setup = setup_of().changed(background_cps=np.full(5, 60.0))
    watch = Watch(setup, mask(), boundaries(), nuclide="Tc-99m")
    for frame, _, _ in injection(setup_of()):
        state = watch.frame(frame)
    low = min(state.regions, key=lambda one: one.high_bq)
    assert low.high_bq > 0.001 * PLANNED


def test_a_setup_names_the_number_that_is_none() -> None:
    document = Prepared(setup_of(), mask(), 4.0, "Tc-99m", "maa", FlowSettings()).as_document()
    with pytest.raises(InputError, match="planned_bq is None, not a number"):
        Prepared.from_document({**document, "planned_bq": None})


def test_a_clock_is_late_or_early_in_words() -> None:
    assert stamped(1.5, 4.5) == "readings of the meter are stamped 1.5 to 4.5 s late by the camera's clock"
    assert stamped(-1.5, -1.5) == "readings of the meter are stamped 1.5 s early by the camera's clock"


def test_pushed_in_percent_is_not_believed_at_all() -> None:
    watch = Watch(setup_of(), mask(), boundaries(), nuclide="Tc-99m")
    for frame, readings, _ in injection(watch.setup):
        for one in readings:
            watch.reading(replace(one, value=100 * one.value) if one.kind == "pushed" else one)
        state = watch.frame(frame)
    assert all(alarm.doubtful for alarm in state.alarms if alarm.kind == "no-delivery")
    assert sum("pushed" in note for note in state.notes) == 1
    assert {t.kind: t.why_not for t in state.tests}["no-delivery"] == "nobody says how much is pushed"
