"""Point-kernel tables and voxel kernels: format, symmetry, errors."""

import numpy as np
import pytest

from hepatica.errors import InputError, PhysicsError, UnknownNameError
from hepatica.nuclides import nuclide
from hepatica.transport.kernels.voxel import COLUMNS, kernel_names, parse_point_kernel, point_kernel, voxel_kernel

HEADER = "# nuclide: Y-90\n# medium: water\n# density_g_ml: 1.0\n# code: none\n"
GOOD = f"{HEADER}{COLUMNS}\n0,1,0.5,0.01,0.1,nan\n1,2,0.4,0.01,0.1,0.1\n"


@pytest.mark.parametrize(("name", "medium"), kernel_names())
def test_every_shipped_table_reads(name: str, medium: str) -> None:
    kernel = point_kernel(name, medium)
    assert (kernel.nuclide, kernel.medium) == (name, medium)
    assert 0.985 < kernel.electron_sum <= 1 + 1e-6  # the rest is bremsstrahlung; seven digits are printed
    assert 0 <= kernel.photon_sum <= 1 + 1e-6
    assert kernel.r_mm.size == kernel.electron_fraction.size + 1
    with pytest.raises(ValueError, match="read-only"):
        kernel.electron_fraction[0] = 1


def test_unknown_kernels_list_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"known: .*Y-90 in water"):
        point_kernel("F-18")
    with pytest.raises(UnknownNameError, match="Y-90 in cheese"):
        point_kernel("Y-90", "cheese")


def test_a_good_table() -> None:
    kernel = parse_point_kernel(GOOD, "test")
    assert kernel.radius_of_fraction_mm(0.7) == pytest.approx(1.5)
    assert np.isnan(kernel.photon_rel_sd[0])
    with pytest.raises(PhysicsError, match=r"holds 0\.9000"):
        kernel.radius_of_fraction_mm(0.95)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# medium: water\n", "", "header entries"),
        (COLUMNS, "r,e,p", "columns"),
        ("\n1,2,0.4", "\n1.5,2,0.4", "join"),
        ("\n0,1,0.5", "\n0.1,1,0.5", "start at 0"),
        ("1,2,0.4", "1,2,0.6", "more than 1"),
        ("1,2,0.4", "1,2,-0.1", "negative"),
    ],
)
def test_bad_tables(old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_point_kernel(GOOD.replace(old, new), "test")


def test_voxel_kernel_follows_its_axes() -> None:
    y90 = nuclide("Y-90")
    one = voxel_kernel(y90, (2.0, 3.0, 5.0), half_shape=(6, 5, 4))
    other = voxel_kernel(y90, (5.0, 2.0, 3.0), half_shape=(4, 6, 5))
    turned = np.transpose(other.gy_per_decay, (1, 2, 0))
    assert one.gy_per_decay.shape == (6, 5, 4)
    near = np.s_[:3, :3, :2]
    np.testing.assert_allclose(one.gy_per_decay[near], turned[near], rtol=3e-3)
    assert one.integration_rel_error < 1e-3


def test_a_smaller_kernel_is_a_part_of_a_larger_one() -> None:
    i131 = nuclide("I-131")
    small = voxel_kernel(i131, (4.0, 4.0, 4.0), half_shape=(2, 3, 1))
    large = voxel_kernel(i131, (4.0, 4.0, 4.0), half_shape=(40, 30, 35))
    np.testing.assert_array_equal(small.gy_per_decay, large.gy_per_decay[:2, :3, :1])
    assert (np.diff(large.gy_per_decay[:, 0, 0]) < 0).all()


@pytest.mark.parametrize(
    ("spacing", "half", "density"),
    [((0, 1, 1), (2, 2, 2), 1.0), ((1, 1), (2, 2, 2), 1.0), ((1, 1, 1), (0, 2, 2), 1.0), ((1, 1, 1), (2, 2, 2), 0.0)],
)
def test_bad_requests(spacing: tuple[float, ...], half: tuple[int, ...], density: float) -> None:
    with pytest.raises(InputError, match="voxel kernel"):
        voxel_kernel(nuclide("Y-90"), spacing, half_shape=half, density_g_ml=density)


def test_a_voxel_without_an_edge_is_refused_by_its_edges() -> None:
    with pytest.raises(InputError, match="voxels of 4 x 0 x 4 mm; three edges above 0"):
        voxel_kernel(nuclide("Y-90"), (4.0, 0.0, 4.0), half_shape=(2, 2, 2))
