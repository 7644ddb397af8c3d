"""When a run ends and what it says of itself: one set of rules for every Monte Carlo."""

from dataclasses import dataclass

import pytest

from hepatica.errors import InputError
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.transport.runner import stopping
from hepatica.transport.runner.settings import MonteCarloSettings, StoppingOptions, media_from_text
from hepatica.transport.runner.stopping import RunClock, RunProgress


@dataclass
class Sums:
    histories: int = 0
    batches: int = 0


def clock(rules: StoppingOptions, uncertainty: float | None = None, elapsed_s: float = 0.0) -> RunClock:
    return RunClock(rules, lambda: uncertainty, min_batches=10, elapsed_s=elapsed_s)


def test_the_number_of_histories_ends_a_run_at_once() -> None:
    run = clock(StoppingOptions(histories=1000))
    assert not run.finished(Sums(999, 500))
    assert run.finished(Sums(1000, 1))


@pytest.mark.parametrize(
    ("rules", "uncertainty", "elapsed_s", "ends"),
    [
        (StoppingOptions(time_limit_s=5.0), None, 4.0, False),
        (StoppingOptions(time_limit_s=5.0), None, 6.0, True),
        (StoppingOptions(target_uncertainty=0.02), None, 0.0, False),
        (StoppingOptions(target_uncertainty=0.02), 0.03, 0.0, False),
        (StoppingOptions(target_uncertainty=0.02), 0.0201, 0.0, False),
        (StoppingOptions(target_uncertainty=0.02), 0.02, 0.0, True),
        (StoppingOptions(target_uncertainty=0.02, time_limit_s=5.0), 0.03, 6.0, True),
        (StoppingOptions(histories=1000, target_uncertainty=0.02), 0.01, 0.0, True),
    ],
)
def test_other_rules_wait_for_the_batches_that_an_uncertainty_needs(
    rules: StoppingOptions, uncertainty: float | None, elapsed_s: float, ends: bool
) -> None:
    run = clock(rules, uncertainty, elapsed_s)
    assert not run.finished(Sums(500, 9))
    assert run.finished(Sums(500, 10)) is ends


def test_progress_counts_this_run_and_all_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    asked: list[float] = []

    def uncertainty() -> float:
        asked.append(now[0])
        return 0.025

    run = RunClock(StoppingOptions(histories=10_000), uncertainty, min_batches=10, elapsed_s=60.0, histories=4000)
    now[0] = 110.0
    found = run.progress(Sums(6000, 12))
    assert found == RunProgress(6000, 10_000, 70.0, 200.0, 0.025)
    assert str(found) == "montecarlo: 6e+03 histories, 200 a second, uncertainty 2.5 %"
    now[0] = 111.0
    run.progress(Sums(6200, 13))
    assert asked == [110.0]  # renewed every two seconds only
    now[0] = 113.0
    run.progress(Sums(6600, 14))
    assert asked == [110.0, 113.0]


@pytest.mark.parametrize("settings", [MonteCarloSettings, ProjectionSettings])
def test_settings_rest_on_the_same_rules(settings: type[StoppingOptions]) -> None:
    assert settings(histories=1000, seed=3).has_rule
    with pytest.raises(InputError, match=r"when to stop.*`target_uncertainty` or `time_limit_s`"):
        settings()
    with pytest.raises(InputError, match="`target_uncertainty` must be above 0 to below 1, not 2"):
        settings(target_uncertainty=2.0)
    with pytest.raises(InputError, match="has no option `target_uncertanty`; did you mean `target_uncertainty`"):
        settings(target_uncertanty=0.02)  # type: ignore[call-arg]


def test_a_medium_as_text() -> None:
    assert media_from_text("0.5 = lung") == (0.5, "lung")
    assert media_from_text("inf = bone") == (float("inf"), "bone")
    with pytest.raises(InputError, match="'DENSITY = NAME' is expected"):
        media_from_text("lung")


def test_a_whole_number_may_be_written_as_a_float() -> None:
    kept = MonteCarloSettings(histories=1e5, seed=7.0, threads=2.0)  # type: ignore[arg-type]
    assert [type(n) for n in (kept.histories, kept.seed, kept.threads)] == [int, int, int]
    assert kept.histories == 100_000
    with pytest.raises(InputError, match="whole number"):
        MonteCarloSettings(histories=1000.5)  # type: ignore[arg-type]
