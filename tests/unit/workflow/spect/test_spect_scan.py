"""What a simulated scan can be told, and that values are as good as files."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from hepatica.core import Grid
from hepatica.core.image import Image
from hepatica.errors import GeometryError, HepaticaError, InputError, TimeError, UnitError, UnknownNameError
from hepatica.imaging.spect.scan import MonteCarloScanOptions, ScanOptions, scan_windows, windows_named_again
from hepatica.imaging.spect.scan_facts import ScannedActivityOptions, SimulationOptions
from hepatica.nuclides import nuclide
from hepatica.transport.runner.settings import StoppingOptions
from hepatica.workflow.spect.simulate import simulate_spect

GRID = Grid.axial((20, 20, 8), spacing_mm=(10, 10, 10), origin_mm=(-95, -95, -35))
COARSE = ScanOptions(views=8, heads=1, pixel_mm=20.0, columns=16, radius_mm=180.0)


def test_windows_by_name_limits_and_all() -> None:
    lu = nuclide("Lu-177")
    usual = scan_windows(lu, ScanOptions())
    both = scan_windows(
        lu, ScanOptions(energy_windows=("208,113",), extra_energy_windows=("84.7-101.7", "187.5-229.2"))
    )
    assert [str(w) for w in usual] == ["187.5-229.2 keV", "166.7-187.5 keV", "229.2-250 keV"]
    assert {str(w) for w in both} > {str(w) for w in usual}
    assert "84.7-101.7 keV" in map(str, both)
    assert len(scan_windows(nuclide("Y-90"), ScanOptions(energy_windows=("all",)))) == 5


def test_a_window_that_is_named_again_is_acquired_once_and_said() -> None:
    lu = nuclide("Lu-177")
    scan = ScanOptions(extra_energy_windows=("166.7-187.5", "84.7-101.7", "84.7-101.7"))
    assert [str(w) for w in scan_windows(lu, scan)] == [
        "187.5-229.2 keV", "166.7-187.5 keV", "229.2-250 keV", "84.7-101.7 keV"
    ]  # fmt: skip
    (said,) = windows_named_again(lu, scan)
    assert (said.code, said.severity) == ("window-named-again", "note")
    assert "166.7-187.5 keV, 84.7-101.7 keV" in said.text
    assert windows_named_again(lu, ScanOptions(extra_energy_windows=("84.7-101.7",))) == ()


def test_a_sensitivity_of_a_head_is_by_any_way_in_the_table_of_a_scan() -> None:
    """2.02 cps/MBq by any way and 0.78 through holes had one name, and the reconstruction takes the first."""
    ct = Image.from_array(np.zeros(GRID.shape), unit="HU", grid=GRID)
    activity = Image.from_array(np.ones(GRID.shape), unit="kBq/mL", grid=GRID, time=datetime(2026, 3, 2, 10))
    few = MonteCarloScanOptions(stopping=StoppingOptions(histories=2000))
    found = simulate_spect(
        activity, ct=ct, nuclide="Y-90", camera="siemens-hegp",
        options=SimulationOptions(scan=replace(COARSE, method="montecarlo"), montecarlo=few),
    )  # fmt: skip
    table, window = found.table(), found.energy_windows[0]
    assert found.montecarlo is not None
    lead = found.montecarlo.sensitivity_by_way_of_lead_cps_per_mbq[0]
    assert lead > window.sensitivity_cps_per_mbq
    shown = table.rows[0][table.columns.index("sensitivity of a head, cps/MBq")]
    assert shown == pytest.approx(window.sensitivity_cps_per_mbq + lead)
    analytic = simulate_spect(activity, ct=ct, nuclide="Tc-99m", options=SimulationOptions(scan=COARSE))
    assert analytic.energy_windows[0].sensitivity_by_any_way_cps_per_mbq is None


@pytest.mark.parametrize("more", ["140", "140-", "a-b", "150-140"])
def test_other_windows_are_named_by_their_limits(more: str) -> None:
    with pytest.raises(InputError):
        scan_windows(nuclide("Tc-99m"), ScanOptions(extra_energy_windows=(more,)))


def test_unknown_names_are_refused() -> None:
    for wrong in ({"method": "monte-carlo"}, {"orbit": "peanut"}):
        with pytest.raises(UnknownNameError):
            ScanOptions(**wrong)  # type: ignore[arg-type]
    for wrong in ({"detector_response": "none"}, {"dead_time_model": "sometimes"}):
        with pytest.raises(UnknownNameError):
            MonteCarloScanOptions(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="window of Tc-99m"):
        scan_windows(nuclide("Tc-99m"), ScanOptions(energy_windows=("300-400",)))


def test_only_monte_carlo_stops_by_uncertainty() -> None:
    told = MonteCarloScanOptions(stopping=StoppingOptions(target_uncertainty=0.1), voxel_mm=8.0)
    with pytest.raises(InputError, match="`voxel_mm`, `target_uncertainty`: only with `method` montecarlo"):
        told.require_fit(ScanOptions())
    told.require_fit(ScanOptions(method="montecarlo"))
    MonteCarloScanOptions(stopping=StoppingOptions(seed=7)).require_fit(ScanOptions())
    assert MonteCarloScanOptions().settings().target_uncertainty == 0.04
    by_histories = MonteCarloScanOptions(stopping=StoppingOptions(histories=1000, seed=3)).settings()
    assert (by_histories.target_uncertainty, by_histories.seed) == (None, 3)
    with pytest.raises(InputError, match="dead_time_s"):
        MonteCarloScanOptions(dead_time_s=2.0)


def images(**facts: object) -> tuple[Image, Image]:
    """A water box with a warm middle."""
    x, y, _ = np.moveaxis(GRID.to_mm(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)
    body = (np.abs(x) < 80) & (np.abs(y) < 60)
    warm = np.where((np.abs(x) < 40) & (np.abs(y) < 30), 5e4, 0.0)
    known = {"time": datetime(2026, 3, 2, 10), "nuclide": "Tc-99m"} | facts
    return (
        Image.from_array(warm, unit="Bq/mL", grid=GRID, **known),  # type: ignore[arg-type]
        Image.from_array(np.where(body, 0.0, -1000.0), unit="HU", grid=GRID),
    )


def test_arrays_are_scanned() -> None:
    activity, ct = images()
    found = simulate_spect(activity, ct=ct, nuclide="Tc-99m", options=SimulationOptions(scan=COARSE))
    # Of LEHR's 4.64 cps/MBq below the peak 3.55 come through holes (docs/detector.md).
    (said,) = (message for message in found.messages if message.code == "side-windows-without-scatter")
    assert "108-129 keV (77%)" in said.text
    assert found.activity_mbq == pytest.approx(activity.volume.total / 1e6)
    assert found.truth.total == pytest.approx(activity.volume.total, rel=1e-4)
    assert found.energy_windows[0].counts == found.projections.counts[0].sum()
    assert str(found.table().rows[0][0]) == "126.5-154.6"
    assert found.as_dict()["montecarlo"] is None
    scaled = simulate_spect(
        activity,
        ct=ct,
        nuclide="Lu-177",
        camera="siemens-megp",
        options=SimulationOptions(scan=COARSE, stated=ScannedActivityOptions(total_bq=5e8)),
    )
    assert scaled.activity_mbq == pytest.approx(500)
    assert [window.low_kev for window in scaled.energy_windows] == [187.5, 166.7, 229.2]


@pytest.mark.parametrize(
    ("facts", "nuclide_name", "error", "message"),
    [
        ({"time": None}, "Tc-99m", TimeError, "refers to no instant; state `activity_at`"),
        ({}, "Lu-177", InputError, "shows Tc-99m, the scan is to be of Lu-177; state the activity with `total_bq`"),
    ],
)
def test_what_is_missing_is_said(
    facts: dict[str, object], nuclide_name: str, error: type[HepaticaError], message: str
) -> None:
    activity, ct = images(**facts)
    with pytest.raises(error, match=message):
        simulate_spect(activity, ct=ct, nuclide=nuclide_name, options=SimulationOptions(scan=COARSE))


def test_a_ct_is_no_activity() -> None:
    _, ct = images()
    with pytest.raises(UnitError):
        simulate_spect(ct, ct=ct, nuclide="Tc-99m", options=SimulationOptions(scan=COARSE))


def test_images_of_other_frames_of_reference_lie_together_if_that_is_stated() -> None:
    pet, ct = images()
    framed = [
        replace(image, volume=replace(image.volume, grid=image.grid.with_frame_of_reference(uid)))
        for image, uid in ((pet, "1.2.3"), (ct, "1.2.4"))
    ]
    asked = SimulationOptions(scan=COARSE)
    with pytest.raises(GeometryError, match=r"different frames of reference; .*state `registered`"):
        simulate_spect(framed[0], ct=framed[1], nuclide="Tc-99m", options=asked)
    stated = replace(asked, stated=ScannedActivityOptions(registered=True))
    found = simulate_spect(framed[0], ct=framed[1], nuclide="Tc-99m", options=stated)
    alone = simulate_spect(pet, ct=ct, nuclide="Tc-99m", options=asked)
    assert np.array_equal(found.projections.counts, alone.projections.counts)
    assert found.projections.frame_of_reference == "1.2.4"
    with pytest.raises(InputError, match="is an image already; `series` chooses one from a folder"):
        simulate_spect(pet, ct=ct, nuclide="Tc-99m", options=replace(asked, stated=ScannedActivityOptions(series="1")))
