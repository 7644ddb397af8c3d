"""Uncertainty of what is drawn."""

import pytest

from hepatica.errors import InputError
from hepatica.imaging.quantify.uncertainty import Outline


def test_an_outline_in_worked_numbers() -> None:
    # One edge: 4^2 / 12 = 1.333333, 10^2 / (8 * 0.693147) = 18.033688, 1^2: 20.367021 mm^2; two edges 40.734043,
    # 6.382323 mm. A sphere of 20 mm has 4.18879 mL: 3 * 6.382323 / 20 = 0.957348.
    outline = Outline(4.0, 10.0, 1.0)
    assert outline.diameter_sd_mm == pytest.approx(6.382323, rel=1e-6)
    assert outline.volume_relative_sd(4.18879) == pytest.approx(0.957348, rel=1e-5)
    assert Outline(0.0).diameter_sd_mm == 0
    for volume_ml in (0.0, -1.0, float("inf")):
        with pytest.raises(InputError, match="a volume must be positive"):
            outline.volume_relative_sd(volume_ml)
    with pytest.raises(InputError, match="finite and not negative"):
        Outline(4.0, -1.0)
