"""Net counts of a list against the image made of it, and randoms that cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepatica.errors import InputError
from hepatica.imaging.pet.acquisition.net_counts import NetCounts, about_counts, net_counts
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.reconstruction import require_randoms_fit
from hepatica.imaging.pet.scanner import scanner

SEEN = np.array([1e-5, 2e-5, 4e-5])
HELD = np.array([1e9, 2e9, 0.0])
"""10 000 + 40 000 counts of 3 GBq."""


def test_an_image_of_its_counts_is_not_spoken_of() -> None:
    found = net_counts(250_000, 190_000.0, 10_000.0, HELD, SEEN, HELD / 7)
    assert found.net == pytest.approx(50_000)
    assert found.of_image == pytest.approx(50_000)
    assert found.predicted_mbq == pytest.approx(3000)
    # 500 counts of sqrt(250 000) over 50 000 counts of 3000 MBq
    assert found.predicted_sd_mbq == pytest.approx(30)
    assert not about_counts(found, [60_000.0])


@pytest.mark.parametrize(
    ("share", "severity"), [(0.94, "warning"), (1.1, "warning"), (1.3, "critical"), (-0.3, "critical")]
)
def test_an_image_of_other_counts_is(share: float, severity: str) -> None:
    (said,) = about_counts(net_counts(250_000, 190_000.0, 10_000.0, share * HELD, SEEN, HELD), [60_000.0])
    assert (said.code, said.severity) == ("total-not-of-counts", severity)
    assert "predict 3000 +- 30 MBq" in said.text


def test_a_difference_within_noise_or_five_per_cent_is_not() -> None:
    # 2.7 sd; and 4 % of a list whose sd is 1 %
    assert not net_counts(250_000, 190_000.0, 10_000.0, 1.027 * HELD, SEEN, HELD).differs
    assert not net_counts(250_000, 190_000.0, 10_000.0, 1.04 * HELD, SEEN, HELD).differs
    noisy = net_counts(250_000, 245_000.0, 0.0, 0.12 * HELD, SEEN, HELD)
    assert not noisy.differs


def test_a_difference_within_the_images_own_noise_is_not() -> None:
    # 283 +- 69 MBq beside 442 +- 42 MBq of the same 3924 coincidences, as a scan of one minute gave: 2.3 sd
    said = NetCounts(2432.0, 230.0, 2120.0, 3924.0, 442.3, 41.8, 283.0)
    assert said.differs
    assert not replace(said, image_sd_mbq=68.9).differs
    # an image that is sure of another total is still said, with its own uncertainty
    (told, *_) = about_counts(replace(said, image_mbq=150.0, image_sd_mbq=68.9), [20_000.0])
    assert (told.code, told.severity) == ("total-not-of-counts", "critical")
    assert "holds 150 +- 69 MBq" in told.text


def test_too_few_counts_are_said() -> None:
    few = net_counts(25_000, 19_000.0, 1_000.0, 0.1 * HELD, SEEN, HELD)
    assert [m.code for m in about_counts(few, [6_000.0])] == ["few-counts"]
    none = net_counts(25_000, 24_800.0, 0.0, 0.004 * HELD, SEEN, HELD)
    assert [(m.code, m.severity) for m in about_counts(none, [200.0])] == [("no-net-counts", "critical")]


def test_randoms_above_the_prompts_are_refused() -> None:
    mct, one = scanner("biograph_mct"), np.zeros(1, np.int32)
    events = Coincidences(mct, one, one + 300, one.astype(np.int16), 20.0)
    require_randoms_fit(10_000, 10_400.0, events)
    with pytest.raises(InputError, match=r"but all of the prompts are 10000.*4\.06 ns.*20 s"):
        require_randoms_fit(10_000, 10_600.0, events)
