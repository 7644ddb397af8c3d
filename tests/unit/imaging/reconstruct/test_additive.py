"""The additive term that follows an image."""

import numpy as np
import pytest
from scipy import ndimage

from hepatica.errors import InputError
from hepatica.imaging.reconstruct.background_term import SPREADS_MM, Additive

PIXEL_MM = (5.0, 4.0)
SD = SPREADS_MM[1] / np.sqrt(8 * np.log(2)) / np.asarray(PIXEL_MM)


def scattered(primary: np.ndarray, share: float) -> np.ndarray:
    """A linear scatter of which the stand-in knows the width."""
    return np.asarray(share * ndimage.gaussian_filter(primary, (0, *SD), mode="constant", truncate=3.0), np.float32)


def views(seed: int, number: int = 6) -> np.ndarray:
    """Primary counts: a body with a hot spot that differs from view to view."""
    spots = np.random.default_rng(seed).uniform(8, 22, (number, 2))
    u, v = np.mgrid[:30, :28]
    body = 10.0 * (np.hypot(u - 15, v - 14) < 11)
    return np.array([body + 300 * np.exp(-((u - a) ** 2 + (v - b) ** 2) / 4) for a, b in spots], np.float32)


def test_what_the_stand_in_can_make_follows_exactly() -> None:
    first, later = views(1), views(2)
    term = Additive.following(scattered(first, 3.0), first, PIXEL_MM)
    assert term.shares is not None
    assert term.shares[0] == pytest.approx([0, 3, 0, 0], abs=1e-3)
    some = np.array([4, 1])
    np.testing.assert_allclose(term.at(first[some], some), term.counts[some], rtol=1e-5)
    wanted = scattered(later, 3.0)
    bright = wanted > 0.5 * wanted.max()
    got = term.at(later, np.arange(6))
    np.testing.assert_allclose(got[bright], wanted[bright], rtol=0.01)
    assert abs(got.sum() / wanted.sum() - 1) < 0.01


def test_windows_have_shares_of_their_own_and_a_term_may_stand_still() -> None:
    both = np.concatenate([views(1), views(1)])
    scatter = np.concatenate([scattered(views(1), 0.5), scattered(views(1), 4.0)])
    term = Additive.following(scatter, both, PIXEL_MM, windows=2)
    assert term.shares is not None
    assert term.shares[:, 1] == pytest.approx([0.5, 4.0], rel=1e-2)
    doubled = term.at(2 * both[[8]], np.array([8]))
    np.testing.assert_allclose(doubled.sum(), 2 * scatter[8].sum(), rtol=0.01)
    still = Additive(scatter)
    np.testing.assert_array_equal(still.at(5 * both[:2], np.array([0, 1])), scatter[:2])


def test_a_term_never_falls_to_nothing() -> None:
    first = views(1)
    term = Additive.following(np.zeros_like(first), first, PIXEL_MM)
    assert (term.at(first, np.arange(6)) == 0).all()
    term = Additive.following(scattered(first, 3.0), first, PIXEL_MM)
    assert (term.at(np.zeros_like(first), np.arange(6)) > 0).all()
    with pytest.raises(InputError, match="do not agree"):
        Additive.following(first[:3], first, PIXEL_MM)
