"""CT numbers to density: the default, a site's own table, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.errors import InputError, UnitError
from hepatica.transport.matter.media import (
    HuCalibration,
    calibration_messages,
    default_calibration,
    density_from_hu,
    load_calibration,
)


def ct(*hu: float) -> Volume:
    return Volume(Grid.axial((len(hu), 1, 1), spacing_mm=(1, 2, 3)), np.reshape(hu, (-1, 1, 1)), Kind.HU)


def test_default_against_the_published_fits() -> None:
    # Schneider 2000: 1.018 + 0.893e-3 H below 14 HU, 1.03 to 23 HU, 1.017 + 0.592e-3 H above 100 HU, air 1.21e-3.
    density = density_from_hu(ct(-1000, -98, 0, 20, 200, 1600)).values.ravel()
    expected = [0.00121, 1.018 - 0.0893 + 0.893e-3 * 2, 1.018, 1.03, 1.017 + 0.1184, 1.017 + 0.9472]
    np.testing.assert_allclose(density, expected, rtol=1e-3)


def test_default_in_tissues() -> None:
    # ICRU-44 densities (1989, [K/h]): adipose 0.95, muscle 1.05, liver 1.06; lung inflated 0.26. CT numbers at 120 kV.
    density = density_from_hu(ct(-90, 45, 60, -740)).values.ravel()
    np.testing.assert_allclose(density, [0.95, 1.05, 1.06, 0.26], rtol=0.04)


def test_negative_hu_is_not_clipped_at_zero() -> None:
    density = density_from_hu(ct(-800, -500, -100, 0)).values.ravel()
    assert (np.diff(density) > 0.1).any()
    assert density[0] < 0.25


def test_outside_the_table_the_end_values_hold_and_metal_is_named() -> None:
    volume = ct(-3024, -1024, 3071, 12000)
    np.testing.assert_allclose(density_from_hu(volume).values.ravel(), [0.00121, 0.00121, 2.793, 2.793], rtol=1e-6)
    (message,) = calibration_messages(volume)
    assert "2 voxels" in message.text
    assert "3000 HU" in message.text
    assert calibration_messages(ct(-3024, 3000)) == ()
    other = density_from_hu(volume).values.copy()
    other.ravel()[3] = 1.2
    (message,) = calibration_messages(volume, density=volume.with_values(other, Kind.DENSITY))
    assert "1 voxels" in message.text


def test_the_default_rises_everywhere() -> None:
    table = default_calibration()
    assert (np.diff(table.density_g_ml) >= 0).all()
    assert "Schneider" in table.source


def test_a_sites_own_table(tmp_path: Path) -> None:
    file = tmp_path / "our-scanner.csv"
    file.write_text("# phantom 2026-01\nHU, density_g_ml\n-1000, 0.001\n0, 1.0\n1000,1.6\n")
    table = load_calibration(file)
    assert table.name == "our-scanner"
    np.testing.assert_allclose(density_from_hu(ct(-500, 500), table).values.ravel(), [0.5005, 1.3], rtol=1e-6)


def test_a_table_may_have_quotes_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "scanner.csv"
    file.write_text('\ufeff"hu","density_g_ml"\r\n"-1000","0.001"\r\n"0","1"\r\n', encoding="utf-8")
    assert load_calibration(file).hu == (-1000.0, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1000,0\n0,1\n", "first line must be 'hu,density_g_ml'"),
        ("", "first line"),
        ("hu,density_g_ml\n0,1\n", "at least two points"),
        ("hu,density_g_ml\n0,1\n-5,1.1\n", "HU must rise"),
        ("hu,density_g_ml\n0,1\n0,1.1\n", "HU must rise"),
        ("hu,density_g_ml\n0,1\n5,0.9\n", "density falls from 1 to 0.9 at 5 HU"),
        ("hu,density_g_ml\n-1000,-0.1\n5,0.9\n", "not g/mL"),
        ("hu,density_g_ml\n-1000,1\n5,1000\n", "not g/mL"),
        ("hu,density_g_ml\n-1000,a\n5,1\n", "line 2: '-1000,a' is not two numbers"),
        ("hu,density_g_ml\n-1000,1,3\n5,1\n", "line 2"),
        ("hu,density_g_ml\n-1000,nan\n5,1\n", "not a finite number"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        load_calibration(file)


def test_unreadable_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_calibration(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary.csv: not an HU calibration \(UTF-16, not UTF-8\)"):
        load_calibration(tmp_path / "binary.csv")


def test_only_finite_hu() -> None:
    with pytest.raises(UnitError, match="NaN"):
        density_from_hu(ct(0, float("nan")))
    with pytest.raises(UnitError, match="needed"):
        density_from_hu(ct(0).with_values(ct(0).values, Kind.DENSITY))


def test_a_calibration_in_code() -> None:
    with pytest.raises(InputError, match="at least two points"):
        HuCalibration("x", (0.0,), (1.0,))
