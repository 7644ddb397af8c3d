"""Convolution with an even kernel against the plain sum."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

from hepatica.errors import GeometryError
from hepatica.transport.kernels.convolution import convolve_even, even_fast_length


@pytest.mark.parametrize("half", [(13, 7, 10), (3, 2, 4), (1, 1, 1), (20, 1, 30), (13, 1, 1)])
def test_equals_the_full_convolution(half: tuple[int, int, int]) -> None:
    random = np.random.default_rng(5)
    values = random.random((13, 7, 10)).astype(np.float32)
    octant = random.random(half).astype(np.float32)
    whole = octant[np.ix_(*(np.abs(np.arange(1 - n, n)) for n in half))].astype(np.float64)
    expected = fftconvolve(values.astype(np.float64), whole)
    inside = tuple(slice(h - 1, h - 1 + n) for h, n in zip(half, values.shape, strict=True))
    np.testing.assert_allclose(
        convolve_even(values, octant, 1), expected[inside], rtol=2e-6, atol=1e-6 * expected.max()
    )


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(6)
    values, octant = random.random((2, 20, 11, 9)).astype(np.float32)
    whole = convolve_even(values, octant, 1)
    monkeypatch.setattr("hepatica.transport.kernels.convolution.BLOCK_BYTES", 1)
    np.testing.assert_array_equal(convolve_even(values, octant, 1), whole)


def test_single_voxel_image() -> None:
    assert convolve_even(np.full((1, 1, 1), 2, np.float32), np.full((1, 1, 1), 3, np.float32)) == pytest.approx(6)


def test_lengths_are_even_and_long_enough() -> None:
    for n in (1, 2, 3, 17, 97, 511, 512, 513):
        length = even_fast_length(n)
        assert length >= max(n, 2)
        assert length % 2 == 0


def test_needs_three_axes() -> None:
    with pytest.raises(GeometryError, match="three axes"):
        convolve_even(np.ones((3, 3), np.float32), np.ones((3, 3, 3), np.float32))
