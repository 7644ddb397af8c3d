"""Monitoring against what is known exactly: Poisson counts, dead time, response, stated rates of false alarms."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from hepatica.imaging.quantify.dead_time import observed_rate
from hepatica.monitoring.arrival import Arrival, live_share
from hepatica.monitoring.faults.motion import Motion
from hepatica.monitoring.judging.boundaries import Watched
from hepatica.monitoring.response import masks_of, response_of
from hepatica.monitoring.setup import ROLES, Doubts
from hepatica.monitoring.simulation.flow import EVENTS, Flow, FlowSettings
from hepatica.monitoring.simulation.frames import instants
from hepatica.monitoring.simulation.scenes import Scene, scene, source_named
from monitoring_makers import PLANNED, RESPONSE, SHARES, boundaries, setup_of

CERTAIN = Doubts(0, 0, 0, 0, 0, 0, 0.01, 0, 0)


def test_few_counts_bias_nothing() -> None:
    """40 counts per second in all regions, a third of the looks without a count in the lungs' mask."""
    setup = setup_of(cps=40.0, doubts=CERTAIN)
    n, random = 4000, np.random.default_rng(2)
    arrival = Arrival(setup, n)
    true = SHARES * PLANNED * 0.5
    rate = setup.response_cps_per_bq @ true + setup.background_cps
    for look in range(120):
        arrival.predict(0.5)
        arrival.update(random.poisson(rate * 0.5, (n, 5)).astype(float), 0.5, 0.25 + 0.5 * look)
    decayed = 2 ** (-30.0 / setup.half_life_s)  # half of the 60 s that passed, within 0.1 %
    spread = arrival.mean_bq.std(axis=0)
    for name, mean, sd, value in zip(ROLES, arrival.mean_bq.mean(axis=0), spread, true, strict=False):
        # Five standard errors of the mean of 4000, what decay moves in a minute, and a quarter of the spread: so large
        # a bias takes 0.7 % from a 95 % interval (normal, 0.25 off). It is there because the variance comes from the
        # state: an estimate that happens to be high is corrected a little less.
        assert abs(mean - value) < 5 * sd / math.sqrt(n) + 2 * (1 - decayed) * value + sd / 4, name
    stated = np.sqrt(arrival.variance_bq2.mean(axis=0))
    # The trend is still, the filter is ready for a changing one: it states more than the spread, and not by half.
    assert (stated > spread * 0.97).all()
    assert (stated < spread * 1.4).all()


def test_intervals_hold_what_they_state() -> None:
    found = Watched.of(setup_of(1e3), FlowSettings(), look_s=0.5, injections=300, seed=(77, 1))
    inside = (found.low_bq <= found.true_bq) & (found.true_bq <= found.high_bq)
    there = found.true_bq > 1e-3 * PLANNED
    shares = [inside[..., n][there[..., n]].mean() for n in (0, 1, 2, 4, 5)]
    # 93 to 97 % are asked for; 300 injections, whose looks are not independent, show them to about 1 %.
    assert min(shares) > 0.92
    assert max(shares) < 0.985


def test_false_alarms_come_as_often_as_stated() -> None:
    found = Watched.of(setup_of(), FlowSettings(), look_s=0.5, injections=500, seed=(78, 1))
    for kind, largest in found.largest_while_false().items():
        count = int((largest >= boundaries().of(kind)).sum())
        # A rate of 1 % by 1000 rehearsals is known to a third: up to 2 % in truth; 1 in 10^4 at most beyond.
        assert count <= binom.ppf(0.9999, 500, 0.02), kind
    # A boundary that is set too low is noticed by the same comparison.
    low = {kind: np.quantile(boundaries().largest[kind], 0.9) for kind in boundaries().largest}
    caught = sum((largest >= low[kind]).mean() > 0.05 for kind, largest in found.largest_while_false().items())
    assert caught >= 5


@pytest.mark.parametrize("event", EVENTS)
def test_flow_conserves_activity(event: str) -> None:
    setup = setup_of()
    flow = Flow(setup, FlowSettings(event=event), 50, np.random.default_rng(4))
    for _ in range(300):
        flow.step(0.5)
        together = flow.arrived_bq.sum(axis=1)
        assert (together <= flow.infused_bq * (1 + 1e-9)).all()
        assert (flow.infused_bq <= flow.available_bq * (1 + 1e-9)).all()
    if event not in ("stasis", "clogging", "spasm"):
        # All that left the vial has come through after 90 s without more; only stasis keeps it.
        assert together == pytest.approx(flow.infused_bq, rel=0.01)
    if event == "off-target":
        assert flow.arrived_bq[:, 3] == pytest.approx(0.02 * PLANNED, rel=1e-6)


def test_dead_time_is_taken_back() -> None:
    """A camera that loses 20 % at 0.7 GBq of 166Ho (published) keeps exp(-n tau) = 0.8 there."""
    setup = scene_of("ho-scout").setup
    true = float((setup.response_cps_per_bq @ setup.expected_shares).sum()) * 0.7e9 * 1.0
    seen = observed_rate(true, tau_s=setup.tau_s, model="paralysable")
    # Background is part of the scene's rate, not of this one: 1 % of it.
    assert float(seen) / true == pytest.approx(0.8, abs=0.003)
    assert live_share(np.array([float(seen)]), setup.tau_s)[0] == pytest.approx(float(seen) / true, rel=1e-9)


_SCENES: dict[str, Scene] = {}


def scene_of(name: str) -> Scene:
    return _SCENES.setdefault(name, scene(source_named(name), spacing_mm=12.0))


def test_the_camera_keeps_counts_and_tells_regions_apart() -> None:
    made = scene_of("maa")
    response = made.setup.response_cps_per_bq
    for n in range(5):
        # Every count of a region is in some mask.
        assert response[:, n].sum() == pytest.approx(made.images[n].sum(), rel=1e-9)
    assert made.setup.complete_cps == pytest.approx(13e3, rel=0.02)
    assert (np.argmax(response, axis=0) == np.arange(5)).all()
    named = dict(zip(ROLES, made.images, strict=True))
    assert response_of(named, masks_of(named, dict(zip(ROLES, ROLES, strict=True)))) == pytest.approx(response)


def test_whole_frames_show_the_counts_of_the_shortcut() -> None:
    """Sums over masks of Poisson pixels are Poisson with the mean of the region-level model: mean and variance."""
    made = scene_of("maa")
    steady = FlowSettings(variation=0.0)
    run = list(instants(made, steady, seed=5, seconds=70.0))
    flat = made.mask.ravel()
    setup, chi2, cells = made.setup, 0.0, 0
    before = np.zeros(5)
    for one in run:
        counts = np.bincount(flat, weights=one.frame.values.ravel(), minlength=5)
        decayed = 2 ** (-(one.frame.start_s + 0.25) / setup.half_life_s)
        mean = (setup.response_cps_per_bq @ ((before + one.true_bq) / 2) * decayed + setup.background_cps) * 0.5
        chi2 += float(((counts - mean) ** 2 / mean).sum())
        cells += 5
        before = one.true_bq
    # chi-squared of n cells has mean n and variance 2 n (a little more at few counts): four standard deviations.
    assert abs(chi2 - cells) < 4 * math.sqrt(2.5 * cells)


def test_a_patient_who_moves_is_noticed_and_breathing_is_not() -> None:
    made = scene_of("maa")
    elsewhere = scene(source_named("maa"), spacing_mm=12.0, moved_mm=(0.0, 20.0), patient=made.patient)
    for moved, is_said in ((None, False), ((40.0, elsewhere.images), True)):
        motion, said = Motion(made.mask, made.pixel_mm), []
        for one in instants(made, FlowSettings(), seed=6, seconds=60.0, moved=moved):
            note = motion.take(one.frame.values, 0.5)
            said += [(one.frame.start_s, note)] if note else []
        assert bool(said) is is_said
        if is_said:
            assert 40 <= said[0][0] <= 47


def test_response_of_the_makers_is_what_a_camera_could_have() -> None:
    assert np.linalg.cond(RESPONSE / np.diag(RESPONSE)) < 10
