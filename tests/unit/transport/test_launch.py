"""Launches: threads share the histories of one stream, and what goes wrong in one of them reaches the caller."""

from typing import Any

import numpy as np
import pytest

from hepatica.errors import PhysicsError
from hepatica.transport.runner import launch
from hepatica.transport.runner.launch import Launcher, Sizes, load_warp


class Followed:
    """Stands for a kernel's launch: notes which histories each thread was given."""

    def __init__(self, lost_kev: float = 0.0, fail_at: int | None = None) -> None:
        self.ranges: list[tuple[int, int]] = []
        self._lost_kev, self._fail_at = lost_kev, fail_at

    def __call__(self, _kernel: object, *, dim: int, inputs: list[Any], device: str) -> None:
        _, seed, first, histories, workers, _stack, tally, counters = inputs
        assert (int(seed), workers, dim, device) == (7, 1, 1, "cpu")
        if self._fail_at is not None and int(first) <= self._fail_at < int(first) + histories:
            raise ValueError("a kernel failed")
        self.ranges.append((int(first), histories))
        tally.numpy()[:] += histories
        counters.numpy()[0] += histories
        counters.numpy()[launch.LOST] += self._lost_kev


def launcher(monkeypatch: pytest.MonkeyPatch, followed: Followed) -> Launcher:
    from hepatica.transport.device import decays

    monkeypatch.setattr(load_warp(), "launch", followed)
    monkeypatch.setattr(load_warp(), "load_module", lambda *_args, **_named: None)
    return Launcher(decays, "follow_decays", Sizes(tally=5, counters=4), "cpu")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_all_histories_once(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    followed = Followed()
    run = launcher(monkeypatch, followed)
    tally, counters = run.run([None], seed=7, first=100, histories=10, threads=threads)
    assert len(followed.ranges) == threads
    covered = sorted(n for first, histories in followed.ranges for n in range(first, first + histories))
    assert covered == list(range(100, 110))
    np.testing.assert_array_equal(tally, np.full(5, 10.0))
    assert counters[0] == 10
    # A second run starts from nothing.
    assert run.run([None], seed=7, first=0, histories=4, threads=threads)[0][0] == 4


@pytest.mark.parametrize("at", [0, 9])
def test_a_failure_in_any_thread_is_raised(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    run = launcher(monkeypatch, Followed(fail_at=at))
    with pytest.raises(ValueError, match="a kernel failed"):
        run.run([None], seed=7, first=0, histories=10, threads=2)


def test_energy_lost_to_a_full_stack_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    run = launcher(monkeypatch, Followed(lost_kev=12.0))
    with pytest.raises(PhysicsError, match="24 keV were lost"):
        run.run([None], seed=7, first=0, histories=10, threads=2)
