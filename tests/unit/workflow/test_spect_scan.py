"""What a simulated scan can be told."""

import pytest

from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides import nuclide
from hepatica.workflow.spect.scan import MonteCarloOptions, ScanOptions, scan_windows


def test_windows_by_name_limits_and_all() -> None:
    lu = nuclide("Lu-177")
    usual = scan_windows(lu, ScanOptions())
    both = scan_windows(lu, ScanOptions(windows="208,113", more_windows=("84.7-101.7", "187.5-229.2")))
    assert [str(w) for w in usual] == ["187.5-229.2 keV", "166.7-187.5 keV", "229.2-250 keV"]
    assert {str(w) for w in both} > {str(w) for w in usual}
    assert "84.7-101.7 keV" in map(str, both)
    assert len(scan_windows(nuclide("Y-90"), ScanOptions(windows="all"))) == 5


@pytest.mark.parametrize("more", ["140", "140-", "a-b", "150-140"])
def test_other_windows_are_named_by_their_limits(more: str) -> None:
    with pytest.raises(InputError):
        scan_windows(nuclide("Tc-99m"), ScanOptions(more_windows=(more,)))


def test_unknown_names_are_refused() -> None:
    for wrong in ({"method": "monte-carlo"}, {"orbit": "peanut"}):
        with pytest.raises(UnknownNameError):
            ScanOptions(**wrong)  # type: ignore[arg-type]
    for wrong in ({"response": "none"}, {"dead_time_model": "sometimes"}):
        with pytest.raises(UnknownNameError):
            MonteCarloOptions(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="window of Tc-99m"):
        scan_windows(nuclide("Tc-99m"), ScanOptions(windows="300-400"))


def test_only_monte_carlo_stops_by_uncertainty() -> None:
    with pytest.raises(InputError, match="belong to the method montecarlo"):
        ScanOptions(montecarlo=MonteCarloOptions(uncertainty=0.1))
    assert MonteCarloOptions().settings(3).target_uncertainty == 0.04
    assert MonteCarloOptions(histories=1000).settings(3).target_uncertainty is None
    with pytest.raises(InputError, match="dead time"):
        MonteCarloOptions(dead_time_s=2.0)
