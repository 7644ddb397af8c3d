"""Decay, uncertainty, units, provenance."""

import json
import math
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hepatica.core import (
    Estimate,
    InputFile,
    Provenance,
    acquisition_decay_factor,
    decay_factor,
    decays_per_becquerel,
    seconds_between,
)
from hepatica.core.numbers.units import parse_fraction, parse_quantity, parse_time, unit_factor
from hepatica.errors import TimeError, UnitError


def test_decay_both_ways() -> None:
    half_life_s = 64.05 * 3600
    assert decay_factor(half_life_s, half_life_s) == pytest.approx(0.5)
    assert decay_factor(-2 * half_life_s, half_life_s) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("half_life_s", "mean_life_s"),
    [
        # ln 2 = 0.693147181. Y-90: 64.05 h = 230 580 s, over ln 2 = 332 656.6 s, the 92.405 h of textbooks;
        (230_580.0, 332_656.6),
        # Tc-99m: 6.0072 h = 21 625.92 s, 31 199.6 s; and F-18: 109.77 min = 6586.2 s, 9501.9 s
        (21_625.92, 31_199.6),
        (6_586.2, 9_501.9),
    ],
)
def test_decays_per_becquerel_is_the_mean_life(half_life_s: float, mean_life_s: float) -> None:
    assert decays_per_becquerel(half_life_s) == pytest.approx(mean_life_s, rel=1e-5)
    # and what is left after a mean life is 1/e = 0.36788 of it
    assert decay_factor(mean_life_s, half_life_s) == pytest.approx(0.36788, rel=2e-5)


def test_acquisition_factor_of_a_half_life() -> None:
    # (1 - 1/2) / ln 2 = 0.5 / 0.693147 = 0.721348; of two half-lives 0.75 / 1.386294 = 0.541011
    assert acquisition_decay_factor(3600.0, 3600.0) == pytest.approx(0.721348, rel=1e-6)
    assert acquisition_decay_factor(7200.0, 3600.0) == pytest.approx(0.541011, rel=1e-6)


def test_acquisition_factor_is_the_mean_over_the_frame() -> None:
    half_life_s, duration_s = 3600.0, 1800.0
    steps = 20000
    mean = sum(decay_factor((n + 0.5) * duration_s / steps, half_life_s) for n in range(steps)) / steps
    assert acquisition_decay_factor(duration_s, half_life_s) == pytest.approx(mean, rel=1e-9)
    assert acquisition_decay_factor(0.0, half_life_s) == 1.0


@pytest.mark.parametrize("half_life_s", [0.0, -1.0, math.nan])
def test_decay_refuses_a_bad_half_life(half_life_s: float) -> None:
    with pytest.raises(TimeError, match="half-life must be positive"):
        decay_factor(1.0, half_life_s)


def test_times_with_and_without_zone_do_not_mix() -> None:
    noon = datetime(2026, 3, 2, 12)
    assert seconds_between(noon, noon + timedelta(hours=2)) == 7200
    with pytest.raises(TimeError, match="one has a time zone"):
        seconds_between(noon, noon.replace(tzinfo=UTC))


def test_estimate_follows_the_gum() -> None:
    a, b = Estimate(10.0, 0.3), Estimate(4.0, 0.2)
    assert (a + b).sd == pytest.approx(math.hypot(0.3, 0.2))
    assert (a - b).value == 6.0
    assert (a * b).sd == pytest.approx(40 * math.hypot(0.03, 0.05))
    assert (a / b).sd == pytest.approx(2.5 * math.hypot(0.03, 0.05))
    assert (2 / b).sd == pytest.approx(0.5 * 0.05)
    assert (a * 0).sd == 0.0
    assert (a + Estimate(1.0)).sd is None
    assert str(Estimate(49.67, 0.05)) == "49.670 ± 0.050"
    assert "unknown" in str(Estimate(1.0))


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("2.1 GBq", "Bq", 2.1e9),
        ("60mCi", "GBq", 2.22),
        ("1.5 kg", "g", 1500.0),
        ("120 Gy", "Gy", 120.0),
        ("3e2 cc", "mL", 300.0),
        ("12 kBq/cc", "Bq/mL", 12000.0),
        ("64.05 h", "s", 230580.0),
        ("4.2 cps/MBq", "cps/MBq", 4.2),
        ("20 min", "s", 1200.0),
    ],
)
def test_quantities_in_the_clinics_spellings(text: str, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["3", "GBq", "3 foo", "3 kg Gy", "3 )(", "nan GBq", "", "3 Gy/", "1e999 Bq"])
def test_bad_quantities_are_refused(text: str) -> None:
    with pytest.raises(UnitError, match="administered"):
        parse_quantity(text, "Bq", "administered")


def test_time_integrated_activity_unit() -> None:
    assert unit_factor("MBq h", "Bq s") == 3.6e9


def test_fractions() -> None:
    assert parse_fraction("0.05") == parse_fraction("5 %") == 0.05
    with pytest.raises(UnitError, match="write '5 %'"):
        parse_fraction("5", "lung shunt")
    with pytest.raises(UnitError, match="outside 0 to 1"):
        parse_fraction("-0.1")
    with pytest.raises(UnitError, match="not a fraction"):
        parse_fraction("five")


def test_times() -> None:
    assert parse_time("2026-03-02T14:30") == datetime(2026, 3, 2, 14, 30)
    assert parse_time("2026-03-02 14:30+01:00").tzinfo is not None
    for bad in ("2026-03-02", "yesterday", "14:30"):
        with pytest.raises(TimeError, match="not a date with a time"):
            parse_time(bad)


def test_provenance_accumulates_and_is_json(tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(b"abc")
    source = InputFile.of("ct", tmp_path, [file])
    assert source.files == 1
    first = Provenance(inputs=(source,), parameters={"a": 1}).adding("read", tables={"ENSDF": "2024"})
    both = first.merged(Provenance(parameters={"a": 2}, conventions={"J/GBq": "ensdf"}, steps=("convolve",)))
    document = json.loads(json.dumps(both.as_dict()))
    assert document["parameters"] == {"a": 2}
    assert document["steps"] == ["read", "convolve"]
    assert document["inputs"][0]["sha256"] == source.sha256
    assert document["version"]


def test_seconds_between_count_true_hours_across_a_change_of_clocks() -> None:
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("America/New_York")
    before, after = datetime(2026, 3, 7, 12, tzinfo=zone), datetime(2026, 3, 8, 12, tzinfo=zone)
    assert seconds_between(before, after) == 23 * 3600


@pytest.mark.parametrize("text", ["0]", "1 Gy**(", "1 )", '1 "', "1 Gy/0", "1 Gy\n (", "1 '''", "1 \\"])
def test_text_that_is_no_unit_is_refused_in_our_words(text: str) -> None:
    with pytest.raises(UnitError):
        parse_quantity(text, "Gy", "dose")


@pytest.mark.parametrize(
    "text",
    [
        "1 Gy**9**9**9", "1 Gy^99999999999", "1 10**10**10*Gy", "1 Gy**(9**9)", "1 ((99**99)**9)**9*Gy",
        "1 (99**99)**99*Gy", "1 " + "9" * 5000 + "Gy", "1 " + "(" * 5000 + "Gy", "1 " + "Gy*" * 5000 + "1",
    ],
)  # fmt: skip
def test_a_power_without_end_is_refused_at_once(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(UnitError, match="is not known") as caught:
        parse_quantity(text, "Gy", "dose")
    assert time.monotonic() - started < 2
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["1 J/kg", "1 J*kg^-1", "1 J*kg**(-1)", "1 (m/s)^2", "1 m²/s²", "1 m**2*s**-2"])
def test_small_powers_are_units(text: str) -> None:
    assert parse_quantity(text, "Gy", "dose") == 1.0


@pytest.mark.parametrize(
    ("text", "unit"),
    [("120 Sv", "Gy"), ("12 rem", "Gy"), ("2 GHz", "GBq"), ("3 Gcps", "GBq"), ("5 cps/mL", "Bq/mL"), ("6 rpm", "Bq")],
)
def test_the_right_dimension_with_the_wrong_meaning_is_refused(text: str, unit: str) -> None:
    with pytest.raises(UnitError, match="of the same dimension"):
        parse_quantity(text, unit)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [("120 J/kg", "Gy", 120), ("12000 cGy", "Gy", 120), ("3 counts/s/MBq", "cps/MBq", 3), ("2 GBq*s", "Bq s", 2e9)],
)
def test_another_spelling_of_the_same_is_read(text: str, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == pytest.approx(value, rel=1e-12)
