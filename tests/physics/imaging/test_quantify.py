"""Quantification against closed forms."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from scipy.integrate import quad

from hepatica.core import Estimate, Grid, Kind, Volume
from hepatica.core.constants import MEV_TO_J
from hepatica.dosimetry.time.one_image import permanent_trapping
from hepatica.imaging.quantify.activity import Administration, activity_by_administration, activity_by_camera_factor
from hepatica.nuclides import nuclide

NOON = datetime(2026, 3, 2, 12, 0)


def test_counts_of_a_long_frame_give_back_the_activity_at_its_start(oblique_grid: Grid) -> None:
    # Counts = factor x integral of A over the frame, by quadrature; 188Re decays by 2 % in 30 min.
    half_life = nuclide("Re-188").half_life_s
    counts, _ = quad(lambda t: 8.0 * 500.0 * 2 ** (-t / half_life), 0, 1800)
    image = Volume(oblique_grid, np.full(oblique_grid.shape, counts), Kind.COUNTS, NOON)
    result = activity_by_camera_factor(image, Estimate(8.0), half_life_s=half_life, frame_duration_s=1800.0)
    np.testing.assert_allclose(result.activity.values, 500.0 * 1e6, rtol=1e-6)


def test_administered_activity_gives_the_dose_constant(oblique_grid: Grid) -> None:
    # 1 GBq of 90Y without loss, all decays in place: 1 GBq x T / ln 2 x E = 49.73 J with ENSDF data (facts.md 1.1).
    y90 = nuclide("Y-90")
    image = Volume(oblique_grid, np.random.default_rng(1).random(oblique_grid.shape), Kind.COUNTS)
    given = Administration(Estimate(1e9), NOON)
    at = NOON + timedelta(hours=30)
    activity = activity_by_administration(image, given, half_life_s=y90.half_life_s, at=at).activity
    decays = permanent_trapping(activity, y90.half_life_s, since=NOON).decays
    energy = decays.total * y90.electron_energy_mev * MEV_TO_J
    assert energy == pytest.approx(y90.dose_constant_j_per_gbq(), rel=1e-5)
    assert energy == pytest.approx(49.73, rel=2e-3)
