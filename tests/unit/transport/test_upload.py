"""Tables made for a kernel: more photons, the same collisions."""

import numpy as np
import pytest

from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.stepping import StepModel, build_ladder
from hepatica.transport.runner.upload import with_more_photons


def test_more_photons_leave_the_collisions_as_they_are() -> None:
    ladder = build_ladder([medium("water")], StepModel(cutoff_kev=200.0, photon_cutoff_kev=60.0))
    more = with_more_photons(ladder, 30.0)
    photons, collisions = ladder.hard * ladder.photon_share, ladder.hard * (1 - ladder.photon_share)
    np.testing.assert_allclose(more.hard * more.photon_share, 30 * photons, rtol=1e-12)
    # Where photons are all there is the difference is rounding.
    rounding = np.finfo(float).eps * float(more.hard.max())
    np.testing.assert_allclose(more.hard * (1 - more.photon_share), collisions, rtol=1e-9, atol=rounding)
    assert more.photons_below[0, 0] == pytest.approx(30 * ladder.photons_below[0, 0])
