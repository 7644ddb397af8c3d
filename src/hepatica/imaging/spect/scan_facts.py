"""What goes into a simulated acquisition and what is said of it: activity, counts by window, the Monte Carlo run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from hepatica.core import Grid, Kind, Volume
from hepatica.core.image import Image
from hepatica.core.options import Positive, options
from hepatica.core.resample import resample
from hepatica.errors import GeometryError, InputError, TimeError
from hepatica.imaging.spect.camera.cameras import GammaCamera
from hepatica.imaging.spect.scan import AcquiredScan, MonteCarloScanOptions, ScanOptions
from hepatica.nuclides import Nuclide

MODELS = {
    "analytic": "analytic: primary photons, no scatter, no septal penetration",
    "table": "Monte Carlo with forced detection: scatter, bremsstrahlung, septal penetration and collimator scatter",
    "holes": "Monte Carlo with forced detection: scatter, bremsstrahlung, holes alone",
}
"""What is simulated, by method and detector response."""


@options
class ScannedActivityOptions:
    """The activity, where the image does not say it.

    Attributes
    ----------
    total_bq : float or None
        Scale the image to this activity at the start; needed where it shows another nuclide.
    activity_unit : str or None
        Unit of an activity image that states none: Bq/mL.
    activity_at : datetime or None
        Instant that it refers to, where it does not say.
    registered : bool
        Activity and CT are registered although their frames of reference differ.
    series : str or None
        SeriesInstanceUID of the activity, if a folder holds several.
    ct_series : str or None
        SeriesInstanceUID of the CT, if a folder holds several.
    """

    total_bq: Positive | None = None
    activity_unit: str | None = None
    activity_at: datetime | None = None
    registered: bool = False
    series: str | None = None
    ct_series: str | None = None


@options
class SimulationOptions:
    """All options of a simulated acquisition.

    Attributes
    ----------
    scan : ScanOptions
        How it is acquired.
    montecarlo : MonteCarloScanOptions
        What only the Monte Carlo knows.
    stated : ScannedActivityOptions
        What the activity image does not say.
    """

    scan: ScanOptions = ScanOptions()
    montecarlo: MonteCarloScanOptions = MonteCarloScanOptions()
    stated: ScannedActivityOptions = ScannedActivityOptions()

    def __post_init__(self) -> None:
        self.montecarlo.require_fit(self.scan)


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Counts of all views in one energy window, and what a head counts of a becquerel in air.

    Attributes
    ----------
    low_kev, high_kev : float
        Limits.
    counts : float
        Of all views.
    sensitivity_cps_per_mbq : float or None
        Through holes: all that an analytic scan counts. None where no line falls into the window.
    sensitivity_by_any_way_cps_per_mbq : float or None
        Through lead too, where the scan has such counts: what is measured in air, and what a reconstruction takes.
    """

    low_kev: float
    high_kev: float
    counts: float
    sensitivity_cps_per_mbq: float | None
    sensitivity_by_any_way_cps_per_mbq: float | None = None


@dataclass(frozen=True, slots=True)
class MonteCarloFacts:
    """What a Monte Carlo run says of itself.

    Attributes
    ----------
    detector_response : str
        "table" or "holes".
    sensitivity_by_way_of_lead_cps_per_mbq : tuple of float
        Beside that through holes, in each window.
    scattered_or_penetrating_share : tuple of float
        Of the counts in each window.
    penetration : float
        Counts through lead over those of the camera's model.
    efficiency : float
        Counts of a source in air over those of that model, by a calibration.
    dead_time_s, dead_time_model
        Of a head.
    live_fraction : tuple of float
        Share of the pulses that each view kept.
    pulses_per_s : tuple of float
        All pulses of a head in each view; empty without an energy spectrum.
    run : mapping
        Settings, tables and what was reached.
    """

    detector_response: str
    sensitivity_by_way_of_lead_cps_per_mbq: tuple[float, ...]
    scattered_or_penetrating_share: tuple[float, ...]
    penetration: float
    efficiency: float
    dead_time_s: float
    dead_time_model: str | None
    live_fraction: tuple[float, ...]
    pulses_per_s: tuple[float, ...]
    run: Mapping[str, Any]


def scanned_activity(image: Image, chosen: Nuclide, total_bq: float | None) -> Volume:
    """Becquerels per voxel of an image at its instant, scaled to a total where one is stated.

    Raises
    ------
    UnitError, TimeError
        If it is no activity, or refers to no instant.
    InputError
        If it is of another nuclide and no total is stated, or holds no activity.
    """
    volume = image.volume
    volume.require_kind(Kind.ACTIVITY_CONCENTRATION, Kind.ACTIVITY)
    if volume.time is None:
        raise TimeError(f"{image.source.path}: refers to no instant", remedy="state `activity_at`")
    other = image.acquisition.nuclide
    if other not in (None, chosen.name) and total_bq is None:
        raise InputError(
            f"{image.source.path} shows {other}, the scan is to be of {chosen.name}",
            remedy="state the activity with `total_bq`; the image then gives the distribution",
        )
    scale = volume.grid.voxel_volume_ml if volume.kind is Kind.ACTIVITY_CONCENTRATION else 1.0
    # Noise of a PET dips below zero; nothing emits negative photons.
    becquerels = np.maximum(volume.values, 0) * np.float32(scale)
    total = float(becquerels.sum(dtype=np.float64))
    if not total > 0:
        raise InputError(f"{image.source.path}: holds no activity")
    if total_bq is not None:
        becquerels = becquerels * np.float32(total_bq / total)
    return volume.with_values(becquerels, Kind.ACTIVITY)


def in_frame_of(ct: Image, image: Image, *, registered: bool) -> Image:
    """The activity image in the frame of reference of the CT.

    Raises
    ------
    GeometryError
        If the frames of reference differ and nobody states that the images are registered.
    """
    if not registered and not image.grid.shares_frame(ct.grid):
        raise GeometryError(
            f"{image.name} and {ct.name} have different frames of reference",
            remedy="register them first, or state `registered` if they lie together",
        )
    frame = ct.grid.frame_of_reference or image.grid.frame_of_reference
    return replace(image, volume=replace(image.volume, grid=image.grid.with_frame_of_reference(frame)))


def concentration_on(grid: Grid, activity: Volume) -> Volume:
    """Bq/mL of an activity on the camera's grid."""
    concentration = resample(activity, grid, "total").values / np.float32(grid.voxel_volume_ml)
    return Volume(grid, concentration, Kind.ACTIVITY_CONCENTRATION, activity.time, "truth")


def scan_model_text(scan: ScanOptions, montecarlo: MonteCarloScanOptions) -> str:
    """What is simulated, one sentence."""
    return MODELS["analytic" if scan.method == "analytic" else montecarlo.detector_response]


def window_counts(found: AcquiredScan) -> tuple[WindowCounts, ...]:
    """Counts and sensitivity of each window."""
    shown, made = found.projections, found.simulated
    every = [None] * len(shown.windows) if made is None else (1e6 * made.sensitivity_cps_per_bq.sum(axis=1)).tolist()
    return tuple(
        WindowCounts(window.low_kev, window.high_kev, float(counts.sum(dtype=np.float64)), holes, by_any_way)
        for window, counts, holes, by_any_way in zip(
            shown.windows, shown.counts, found.sensitivity_cps_per_mbq, every, strict=True
        )
    )


def montecarlo_facts(found: AcquiredScan, montecarlo: MonteCarloScanOptions) -> MonteCarloFacts | None:
    """What the run says of itself; None of the analytic method."""
    if found.simulated is None or found.measured is None:
        return None
    made, expected = found.simulated, found.simulated.expected
    return MonteCarloFacts(
        detector_response=montecarlo.detector_response,
        sensitivity_by_way_of_lead_cps_per_mbq=tuple(1e6 * float(x) for x in made.sensitivity_cps_per_bq[:, 1]),
        scattered_or_penetrating_share=tuple(
            float(other.sum() / max(float(counts.sum()), 1e-300))
            for other, counts in zip(expected.other, expected.total, strict=True)
        ),
        penetration=found.measured.camera.penetration,
        efficiency=found.measured.efficiency,
        dead_time_s=montecarlo.dead_time_s,
        dead_time_model=montecarlo.dead_time_model if montecarlo.dead_time_s else None,
        live_fraction=tuple(round(float(x), 6) for x in made.live_fraction),
        pulses_per_s=() if made.spectrum is None else tuple(float(x) for x in made.spectrum.cps_per_view),
        run=expected.provenance,
    )


def physics_tables(camera: GammaCamera, scan: ScanOptions, montecarlo: MonteCarloScanOptions) -> Mapping[str, str]:
    """Tables that a Monte Carlo rests on; none for the analytic method."""
    if scan.method == "analytic":
        return {}
    shipped = f"imaging/spect/camera/tables/detector_{camera.name}.txt.gz, made by hepatica's own Monte Carlo"
    return {
        "detector response": shipped if montecarlo.detector_response == "table" else "holes by formula",
        "photons": "transport/tables/photon_elements.txt and form_factors.txt (EPDL97-based, see sources.toml)",
        "decay": "ENSDF",
    }
