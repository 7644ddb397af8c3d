"""What speaks against a proposed structure: bowel taken for lung, unlike kidneys, fat, noise; and large lesions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.organs.growing import CENTRES_HU, Brightness
from hepatica.anatomy.segmentation.organs.liver import _enclosed
from hepatica.anatomy.segmentation.quality import StructureQuality, lung_doubt, quality_of, with_kidneys_compared
from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Grid, Kind, Region, Volume

MM = 4.0


def ball(shape: tuple[int, int, int], centre: tuple[float, ...], radius: float) -> NDArray[np.bool_]:
    at = np.indices(shape)
    return np.asarray(sum((axis - c) ** 2 for axis, c in zip(at, centre, strict=True)) <= radius**2)


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize(
    ("centre", "radius", "hu", "said"),
    [
        ((15, 15, 10), 8.5, -950.0, "does not go on beyond the image's upper edge"),  # 165 mL of gas
        ((15, 15, 35), 8.5, -800.0, ""),  # half of as much, cut by the upper edge where it is widest: a lung's base
        ((15, 15, 20), 14.0, -800.0, ""),  # 730 mL: a whole lung
        ((15, 15, 20), 14.0, -450.0, "-450 HU on average"),  # stool
    ],
)
def test_bowel_is_no_lung(centre: tuple[int, int, int], radius: float, hu: float, said: str, upside_down: bool) -> None:
    shape = (30, 30, 36)
    values = np.where(ball(shape, centre, radius), hu, 30.0)
    grid = Grid(shape, np.diag([MM, MM, -MM if upside_down else MM, 1.0]))
    if upside_down:
        values = values[:, :, ::-1]
    lung = Region.from_coverage("lung left", grid, (values < -300).astype(np.float32))
    doubt = lung_doubt(lung, Volume(grid, values.astype(np.float32), Kind.HU))
    assert said in doubt
    assert bool(doubt) == bool(said)


def kidney(side: str, volume_ml: float) -> StructureQuality:
    return StructureQuality(f"kidney {side}", volume_ml, 30.0, 4.0, 0.02, 0.0, None, "plausible")


def test_unlike_kidneys_are_both_doubtful() -> None:
    other = StructureQuality("liver", 1500.0, 55.0, 4.0, 0.02, 0.0, None, "plausible")
    alike = with_kidneys_compared([kidney("left", 130.0), kidney("right", 160.0), other])
    assert [item.verdict for item in alike] == ["plausible"] * 3
    unlike = with_kidneys_compared([kidney("left", 93.0), kidney("right", 144.0), other])
    assert [item.verdict for item in unlike] == ["doubtful", "doubtful", "plausible"]
    assert "kidney left has 93 mL and kidney right 144 mL" in unlike[0].reasons[-1]
    assert with_kidneys_compared([kidney("left", 93.0)])[0].verdict == "plausible"


@pytest.mark.parametrize(
    ("structure", "radius", "mean_hu", "sd_hu", "said"),
    [
        (Structure.LIVER, 18.0, 55.0, 4.0, ""),
        (Structure.LIVER, 18.0, 22.0, 4.0, "22 HU (fatty)"),
        (Structure.SPLEEN, 9.0, 45.0, 4.0, ""),
        (Structure.SPLEEN, 9.0, 45.0, 7.6, "noise leaves 8 HU"),
    ],
)
def test_ct_numbers_speak_against_a_structure(
    structure: Structure, radius: float, mean_hu: float, sd_hu: float, said: str
) -> None:
    grid = Grid.axial((40, 40, 40), spacing_mm=(MM, MM, MM))
    region = Region.from_coverage("it", grid, ball(grid.shape, (20, 20, 20), radius).astype(np.float32))
    quality = quality_of(region, structure, brightness=Brightness(mean_hu, sd_hu, np.zeros_like(CENTRES_HU)))
    assert quality.verdict == ("doubtful" if said else "plausible")
    assert said in " ".join(quality.reasons)


@pytest.mark.parametrize(("place", "is_taken_in"), [(0.8, True), (0.2, False)])
def test_a_large_lesion_at_the_wall_is_liver_and_what_lies_elsewhere_is_not(place: float, is_taken_in: bool) -> None:
    """A lesion 56 mm wide under the wall, wider than the small dents' closing reaches (40 mm).

    A ball of 40 mm enters its opening by 40 - sqrt(40^2 - 28^2) = 11 mm of 44: a quarter stays out.
    """
    shape = (50, 50, 50)
    inside = ball(shape, (25, 25, 25), 18.5)
    lesion = ball(shape, (38, 25, 25), 7.0) & inside
    liver = ball(shape, (25, 25, 25), 17.5) & ~lesion
    depth = 18.5 - np.sqrt(sum((axis - 25.0) ** 2 for axis in np.indices(shape)))
    torso: Any = SimpleNamespace(
        body=np.ones(shape, bool),
        lungs=np.zeros(shape, bool),
        smooth=np.full(shape, 40.0, np.float32),
        inside_ribs_mm=(depth * MM).astype(np.float32),
        below_diaphragm_mm=np.full(shape, 50.0, np.float32),
    )
    found = _enclosed(liver, torso, np.full(shape, place, np.float32))
    assert ((found & lesion).sum() > 0.7 * lesion.sum()) == is_taken_in
