"""Lines of a PET scanner through voxels: integrals, their transpose, time of flight, geometry."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.errors import GeometryError, InputError, UnknownNameError
from hepatica.imaging.pet import efficiency
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import Efficiency, Sensitivity, sensitivity
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.scanner import Scanner, TimeOfFlight, scanner, scanner_names
from hepatica.transport.runner.launch import load_warp
from hepatica.transport.runner.upload import Upload

MCT = scanner("biograph_mct")


def drawn(of: Scanner, count: int, seed: int = 1, bed_mm: float = 0.0) -> Coincidences:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, of.crystals, (2, 4 * count)).astype(np.int32)
    kept = np.flatnonzero(of.accepts(first, second) & (first != second))[:count]
    bins = 1 if of.time_of_flight is None else of.time_of_flight.bins
    return Coincidences(of, first[kept], second[kept], rng.integers(0, bins, len(kept)).astype(np.int16), 1.0, bed_mm)


@pytest.mark.parametrize("timed", [True, False])
def test_back_is_the_transpose_of_forward(oblique_grid: Grid, timed: bool) -> None:
    # both are sums of the same products in single precision, of some 1e4 of them: 1e-6 is far above their rounding
    of = MCT if timed else MCT.untimed
    bed = float(oblique_grid.to_mm(np.array([[12, 9, 7]]))[0, 2])
    events = drawn(of, 4000, bed_mm=bed)
    rng = np.random.default_rng(2)
    image, values = rng.random(oblique_grid.shape, np.float32), rng.random(len(events), np.float32)
    projector = LineProjector(of, oblique_grid, bed, point_spread_mm=5.0)
    there = float(projector.forward(image, events).astype(float) @ values)
    back = float((projector.back(values, events).astype(float) * image).sum())
    assert there > 0
    assert back == pytest.approx(there, rel=1e-6)


def test_a_line_through_a_ball_measures_its_chord() -> None:
    # Joseph's sampling of a ball of 60 mm in voxels of 4 mm whose border is shared by volume: chords of 60 mm and more
    # are right within a voxel's width, their mean within half a
    # per cent (voxels a fifteenth of the radius: the second moment of a voxel over that of the chord)
    grid = Grid.axial((36, 36, 36), spacing_mm=(4, 4, 4), origin_mm=(-60.0, -80.0, -50.0))
    middle, radius = np.array([10.0, -10.0, 20.0]), 60.0
    fine = [np.linspace(-1.5, 1.5, 4)] * 3
    axes = [grid.origin_mm[a] + (4 * np.arange(36)[:, None] + fine[a]).ravel() for a in range(3)]
    r2 = sum(np.meshgrid(*[(axes[a] - middle[a]) ** 2 for a in range(3)], indexing="ij"))
    ball = (r2 < radius**2).reshape(36, 4, 36, 4, 36, 4).mean(axis=(1, 3, 5))
    plain = MCT.untimed
    events = drawn(plain, 15000)
    ends = plain.positions_mm()
    a, b = ends[events.first], ends[events.second]
    u = (b - a) / np.linalg.norm(b - a, axis=1)[:, None]
    off = np.linalg.norm(np.cross(middle - a, u), axis=1)
    chord = 2 * np.sqrt(np.maximum(radius**2 - off**2, 0))
    found = LineProjector(plain, grid).forward(ball, events)
    long = chord > radius
    assert long.sum() > 250
    assert np.abs(found[long] - chord[long]).max() < 4.0
    assert found[long].mean() == pytest.approx(chord[long].mean(), rel=5e-3)
    assert not found[off > radius + 8].any()


def test_bins_of_time_of_flight_add_up_to_the_line() -> None:
    # the weights are made whole over 3 standard deviations; what is left is their linear interpolation: 1e-3
    grid = Grid.axial((20, 20, 20), spacing_mm=(8, 8, 8), origin_mm=(-76, -76, -76))
    image = np.random.default_rng(1).random(grid.shape, np.float32)
    few = drawn(MCT, 400)
    total = np.zeros(len(few))
    for n in range(MCT.time_of_flight.bins):
        total += LineProjector(MCT, grid).forward(image, replace(few, tof_bin=np.full(len(few), n, np.int16)))
    plain = few.without_time_of_flight()
    whole = LineProjector(plain.scanner, grid).forward(image, plain)
    seen = whole > 50
    assert seen.sum() > 50
    np.testing.assert_allclose(total[seen], whole[seen], rtol=3e-3)
    assert total.sum() == pytest.approx(whole.sum(), rel=1e-3)


def test_a_high_bin_lies_towards_the_first_crystal() -> None:
    grid = Grid.axial((61, 61, 3), spacing_mm=(10, 10, 20), origin_mm=(-300, -300, -20))
    across = np.int32(MCT.crystals_per_ring // 2)
    middle_ring = np.int32(MCT.rings // 2 * MCT.crystals_per_ring)
    first = np.array([middle_ring], np.int32)  # at +x
    events = Coincidences(MCT, first, first + across, np.array([9], np.int16), 1.0)
    line = LineProjector(MCT, grid).back(np.ones(1), events)
    x = grid.origin_mm[0] + 10 * np.arange(61)
    where = float((line.sum(axis=(1, 2)) * x).sum() / line.sum())
    # three bins of 312 ps from the middle, each 46.8 mm
    assert where == pytest.approx(3 * MCT.time_of_flight.bin_mm, abs=2.0)


def test_any_number_of_threads_gives_the_same_line_integrals() -> None:
    grid = Grid.axial((16, 16, 16), spacing_mm=(8, 8, 8), origin_mm=(-60, -60, -60))
    image, events = np.random.default_rng(1).random(grid.shape, np.float32), drawn(MCT, 501)
    one, three = (LineProjector(MCT, grid, threads=n).forward(image, events) for n in (1, 3))
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("name", scanner_names())
def test_shipped_scanners_are_whole(name: str) -> None:
    of = scanner(name)
    # flat modules beside each other in the ring do not overlap in front (a published pitch may be that at a depth,
    # where there is more room); between their places are those that are empty, to a quarter of one at the mean depth
    side = 2 * of.radius_mm * np.tan(np.pi / of.modules_around)
    width = (of.module_crystals - 1) * of.pitch_mm[0] + of.crystal_mm[0]
    assert width <= side
    places = of.module_crystals * of.pitch_mm[0]
    assert side * (1 + of.depth_mm / of.radius_mm) - places == pytest.approx(
        of.module_gap * of.pitch_mm[0], abs=0.25 * of.pitch_mm[0]
    )
    inside = of.positions_mm()
    assert len(inside) == of.crystals
    assert np.einsum("ij,ij->i", inside, of.normals()).max() < 0
    assert len(of.sources) == 3


def test_a_scanner_is_found_by_any_of_its_names() -> None:
    assert scanner("Siemens Biograph mCT") == scanner("MCT") == MCT
    with pytest.raises(UnknownNameError, match="biograph_mct"):
        scanner("biograf")


def test_coincidences_refuse_what_cannot_be() -> None:
    row = np.array([1], np.int32)
    ok = np.zeros(1, np.int16)
    with pytest.raises(InputError, match="coincides with itself"):
        Coincidences(MCT, row, row, ok, 1.0)
    with pytest.raises(InputError, match="crystal 32448 does not exist"):
        Coincidences(MCT, row, np.array([MCT.crystals], np.int32), ok, 1.0)
    with pytest.raises(InputError, match="bin of time of flight 13"):
        Coincidences(MCT, row, row + 1, np.array([13], np.int16), 1.0)
    with pytest.raises(InputError, match="of 0 s"):
        Coincidences(MCT, row, row + 1, ok, 0.0)
    with pytest.raises(InputError, match="odd number of bins"):
        TimeOfFlight(12, 300.0, 500.0)


def test_sensitivity_is_drawn_until_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    # rounds of lines add up to the same sensitivity as one draw, as far apart as they say they are
    grid = Grid.axial((7, 7, 5), spacing_mm=(30, 30, 30), origin_mm=(-90, -90, -60))
    projector = LineProjector(MCT, grid, threads=1)
    inner = np.zeros(grid.shape, bool)
    inner[1:6, 1:6, 1:4] = True

    def seen(**given: object) -> Sensitivity:
        ones = lambda events: np.ones(len(events), np.float32)  # noqa: E731
        return sensitivity(Efficiency.modelled(MCT), projector, ones, **given)  # type: ignore[arg-type]

    one = seen(lines=1 << 17, seed=3)
    monkeypatch.setattr(efficiency, "ROUND_LINES", 1 << 14)
    monkeypatch.setattr(efficiency, "MOST_LINES", 1 << 17)
    many = seen(within=inner, seed=4)
    assert not many.image[~inner].any()
    assert many.relative_sd < efficiency.SENSITIVITY_SD or many.relative_sd < 2 * one.relative_sd
    ratio = many.image[inner] / one.image[inner]
    assert ratio.mean() == pytest.approx(1, abs=0.01)
    assert ratio.std() == pytest.approx(np.hypot(one.relative_sd, many.relative_sd), rel=0.5)


def test_lines_of_another_bed_are_refused() -> None:
    grid = Grid.axial((4, 4, 4), spacing_mm=(8, 8, 8), origin_mm=(0, 0, 0))
    with pytest.raises(GeometryError, match="at 10 mm"):
        LineProjector(MCT, grid, bed_mm=10.0).back(np.ones(3), drawn(MCT, 3))
    with pytest.raises(GeometryError, match="shape"):
        LineProjector(MCT, grid).forward(np.ones((3, 3, 3)), drawn(MCT, 3))


def test_a_line_through_an_edge_reads_nothing_behind_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    # these lines leave the grid where a layer is sampled, in single precision a hair beyond the first empty voxel; what
    # follows the image in memory was read with a weight of 1e-6, and where it was not a number neither was the answer
    grid = Grid.axial((30, 23, 22), spacing_mm=(10, 10, 235 / 24), origin_mm=(-145.0, -110.0, -129.8125))
    plain = MCT.untimed
    first, second = np.array([[7564, 6316, 6940], [32259, 29139, 14163]], np.int32)
    events = Coincidences(plain, first, second, np.zeros(3, np.int16), 60.0, bed_mm := -26.159832107967603)

    def floats(upload: Upload, values: NDArray[np.float32]) -> object:
        flat = np.append(np.ravel(values), np.full(2000, np.nan, np.float32))
        return upload.shared(flat, load_warp().float32)

    monkeypatch.setattr(Upload, "floats", floats)
    found = LineProjector(plain, grid, bed_mm).forward(np.ones(grid.shape, np.float32), events)
    assert np.isfinite(found).all()
    assert (found > 0).all()
