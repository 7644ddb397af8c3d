"""What an organ beside the liver holds does not jump with slivers of its border."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.planning.extrahepatic.background import Background
from hepatica.planning.extrahepatic.content import contents


@pytest.mark.parametrize("fwhm_mm", [0.0, 6.0])
def test_a_sliver_in_the_liver_counts_as_a_sliver(fwhm_mm: float) -> None:
    """An organ that touches the liver, once with a millionth of the liver's first voxels in it, as a turn leaves it.

    These hold 100 times what the organ's do: whole, they would make it tenfold.
    """
    shape = (24, 16, 16)
    inner = np.zeros(shape, dtype=bool)
    inner[:10] = True
    organ = np.zeros(shape)
    organ[10:14, 5:11, 5:11] = 1
    values = np.where(inner, 100.0, np.where(organ > 0, 1.0, 0.0))
    none = np.zeros(shape)
    seen = Background(values, none, none, fwhm_mm, 100.0, (5.0, 5.0, 5.0))
    touched = organ.copy()
    touched[9, 5:11, 5:11] = 1e-6
    one, other = (
        contents({"gallbladder": coverage}, seen, inner, (5.0, 5.0, 5.0), excess_only=False)["gallbladder"].amount
        for coverage in (organ, touched)
    )
    assert one.value > 0
    assert other.value == pytest.approx(one.value, rel=1e-4)
