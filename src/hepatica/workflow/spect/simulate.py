"""The projections that a gamma camera would count of a known activity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core import Kind, Provenance, Volume
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN
from hepatica.core.image import Image, Stated
from hepatica.core.message import unique
from hepatica.core.options import Positive, options, parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.resample import resample
from hepatica.core.table import Table
from hepatica.errors import InputError, TimeError
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.montecarlo.spectrum import EnergySpectrum
from hepatica.imaging.spect.projections import Projections
from hepatica.imaging.spect.scan import (
    AcquiredScan,
    MonteCarloScanOptions,
    ScanOptions,
    acquire,
    scan_grid,
    scan_windows,
)
from hepatica.nuclides import Nuclide
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, as_image
from hepatica.workflow.spect.reading import known_context

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
        Instant that the image refers to, where it does not say.
    """

    total_bq: Positive | None = None
    activity_unit: str | None = None
    activity_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Counts of all views in one energy window, and what the camera counts of a becquerel in air."""

    low_kev: float
    high_kev: float
    counts: float
    sensitivity_cps_per_mbq: float | None


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
    dead_time_s: float
    dead_time_model: str | None
    live_fraction: tuple[float, ...]
    pulses_per_s: tuple[float, ...]
    run: Mapping[str, Any]


@result
class SimulationResult(Result):
    """A simulated acquisition.

    Attributes
    ----------
    projections : Projections
        Counts as acquired: what `reconstruct_spect` takes.
    truth : Volume
        Bq/mL on the camera's grid.
    spectrum : EnergySpectrum or None
        Pulse heights, by Monte Carlo.
    model : str
        What is simulated, one sentence.
    activity_mbq : float
        At the start.
    radius_mm : float or tuple of float
        Of the circular orbit, or of each view.
    """

    verb = "simulate_spect"

    projections: Projections = field(metadata=HIDDEN)
    truth: Volume = field(metadata=HIDDEN)
    spectrum: EnergySpectrum | None = field(metadata=HIDDEN)
    context: DicomContext | None = field(metadata=HIDDEN)
    nuclide: str
    activity_mbq: float
    start: datetime
    method: str
    model: str
    montecarlo: MonteCarloFacts | None
    camera: GammaCamera
    views: int
    heads: int
    frame_duration_s: float
    orbit: str
    radius_mm: float | tuple[float, ...]
    pixel_mm: float
    seed: int
    noise: bool
    energy_windows: tuple[WindowCounts, ...]

    def title(self) -> str:
        """What was simulated."""
        return f"{self.activity_mbq:.4g} MBq {self.nuclide}, {self.camera.name}; {self.model}"

    def table(self) -> Table:
        """Counts in each window."""
        shares = [None] * len(self.energy_windows) if self.montecarlo is None else [
            100 * share for share in self.montecarlo.scattered_or_penetrating_share
        ]  # fmt: skip
        rows = [
            (f"{w.low_kev:g}-{w.high_kev:g}", w.counts, w.sensitivity_cps_per_mbq, share)
            for w, share in zip(self.energy_windows, shares, strict=True)
        ]
        names = ("window, keV", "counts", "sensitivity of a head, cps/MBq", "scattered or through lead, %")
        return Table.of(names, rows, "Energy windows", "windows")

    def tables(self) -> tuple[Table, ...]:
        """Windows, and what the Monte Carlo reached."""
        if self.montecarlo is None:
            return (self.table(),)
        run, live = self.montecarlo.run, self.montecarlo.live_fraction
        rows = [
            ("histories", run["histories"]),
            ("uncertainty per bin, %", 100 * run["reached_uncertainty"]),
            ("time, s", run["seconds"]),
            ("pulses kept in the worst view, %", 100 * min(live)),
        ]
        return self.table(), Table.of(("what", "value"), rows, "Monte Carlo", "montecarlo")

    def write(self, folder: Path) -> None:
        """Write ``projections.dcm`` (NM TOMO) and ``truth.nii.gz``; by Monte Carlo ``spectrum.csv`` and ``.png``."""
        from hepatica.io.dicom.images.projections import write_projections
        from hepatica.io.dicom.images.write import Emission
        from hepatica.io.itk import write_itk

        emission = Emission(
            nuclide=self.nuclide, start=self.start, frame_duration_s=self.frame_duration_s,
            agent=f"{self.nuclide} simulated",
        )  # fmt: skip
        context = known_context(self.context, self.truth, "SIMULATED")
        write_projections(folder / "projections.dcm", self.projections, context, emission, heads=self.heads)
        write_itk(self.truth, folder / "truth.nii.gz")
        if self.spectrum is None:
            return
        from hepatica.report.figures.outcome import save
        from hepatica.report.figures.spect import draw_energy_spectrum

        table = self.spectrum.table()
        (folder / "spectrum.csv").write_text(table.csv(), encoding="utf-8")
        windows = [(window.low_kev, window.high_kev) for window in self.energy_windows]
        save(draw_energy_spectrum(table, windows), folder / "spectrum.png")


@verb
def simulate_spect(
    activity: ImageSource,
    *,
    ct: ImageSource,
    nuclide: str,
    camera: str | GammaCamera = "siemens-lehr",
    scan: ScanOptions = ScanOptions(),
    montecarlo: MonteCarloScanOptions = MonteCarloScanOptions(),
    stated: ScannedActivityOptions = ScannedActivityOptions(),
    progress: Progress | None = None,
) -> SimulationResult:
    """The projections that a gamma camera would count of a known activity.

    Parameters
    ----------
    activity : Path or Image
        Activity image in Bq/mL: DICOM, NIfTI, MetaImage.
    ct : Path or Image
        CT for attenuation and scatter, in the same frame of reference.
    nuclide : str
        What is in the patient, such as Tc-99m.
    camera : str or GammaCamera
        Camera by name: siemens-lehr, ge-megp, ...
    scan : ScanOptions
        How the scan is acquired.
    montecarlo : MonteCarloScanOptions
        What only the Monte Carlo knows.
    stated : ScannedActivityOptions
        What the activity image does not say.
    progress : callable, optional
        Told each step.

    Returns
    -------
    SimulationResult
        ``projections`` goes into `reconstruct_spect`; ``save`` writes them with the truth.

    Raises
    ------
    InputError
        If the image is of another nuclide and no total is stated, or activity lies outside the field.
    TimeError
        If the image refers to no instant.
    PhysicsError
        If no window sees a photon of the nuclide.

    Examples
    --------
    >>> ct = Image.from_array(np.zeros((12, 12, 6)), unit="HU", spacing_mm=(20, 20, 20))
    >>> pet = Image.from_array(np.ones((12, 12, 6)), unit="kBq/mL", grid=ct.grid, time=datetime(2026, 3, 2, 10))
    >>> scan = ScanOptions(views=8, pixel_mm=20.0, columns=16, radius_mm=200.0)
    >>> found = simulate_spect(pet, ct=ct, nuclide="Tc-99m", scan=scan)
    >>> round(found.activity_mbq, 3), found.projections.shape
    (6.912, (8, 16, 6))
    """
    report_progress = progress or silent
    chosen, head = find_nuclide(nuclide), gamma_camera(camera)
    montecarlo.require_fit(scan)
    scan_windows(chosen, scan)
    report_progress("reading")
    known = Stated(unit=stated.activity_unit, time=stated.activity_at)
    image, hu = as_image(activity, role="activity", stated=known), as_image(ct, role="ct")
    source = _becquerels(image, chosen, stated.total_bq)
    grid = scan_grid(hu.volume, scan, hu.grid.frame_of_reference or image.grid.frame_of_reference)
    found = acquire(
        source, hu.volume, grid, camera=head, nuclide=chosen, scan=scan, montecarlo=montecarlo,
        progress=report_progress,
    )  # fmt: skip
    assert source.time is not None
    concentration = resample(source, grid, "total").values / np.float32(grid.voxel_volume_ml)
    shown, model = found.projections, MODELS[_physics(scan, montecarlo)]
    return SimulationResult(
        projections=shown,
        truth=Volume(grid, concentration, Kind.ACTIVITY_CONCENTRATION, source.time, "truth"),
        spectrum=None if found.simulated is None else found.simulated.spectrum,
        context=hu.context,
        nuclide=chosen.name,
        activity_mbq=source.total / 1e6,
        start=source.time,
        method=scan.method,
        model=model,
        montecarlo=_montecarlo_facts(found, montecarlo),
        camera=head,
        views=scan.views,
        heads=scan.heads,
        frame_duration_s=scan.frame_duration_s,
        orbit=scan.orbit,
        radius_mm=scan.radius_mm if scan.orbit == "circular" else tuple(shown.orbit.radius_mm.round(2).tolist()),
        pixel_mm=scan.pixel_mm,
        seed=montecarlo.stopping.seed,
        noise=not scan.noise_free,
        energy_windows=_counts(found),
        messages=unique(image.messages, hu.messages),
        provenance=Provenance(
            inputs=(image.source, hu.source),
            parameters=parameters(
                scan, stated, *((montecarlo,) if scan.method == "montecarlo" else ()),
                nuclide=chosen.name, activity_mbq=source.total / 1e6, seed=montecarlo.stopping.seed,
            ),
            tables={"camera": head.source, **_physics_tables(head, scan, montecarlo)},
            steps=("activity scaled and placed", f"projections: {model}"),
        ),
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
def _becquerels(image: Image, chosen: Nuclide, total_bq: float | None) -> Volume:
    """Becquerels per voxel at the image's instant."""
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


def _physics(scan: ScanOptions, montecarlo: MonteCarloScanOptions) -> str:
    return "analytic" if scan.method == "analytic" else montecarlo.detector_response


def _counts(found: AcquiredScan) -> tuple[WindowCounts, ...]:
    shown = found.projections
    return tuple(
        WindowCounts(window.low_kev, window.high_kev, float(counts.sum(dtype=np.float64)), sensitivity)
        for window, counts, sensitivity in zip(shown.windows, shown.counts, found.sensitivity_cps_per_mbq, strict=True)
    )


def _montecarlo_facts(found: AcquiredScan, told: MonteCarloScanOptions) -> MonteCarloFacts | None:
    if found.simulated is None:
        return None
    made, expected = found.simulated, found.simulated.expected
    return MonteCarloFacts(
        detector_response=told.detector_response,
        sensitivity_by_way_of_lead_cps_per_mbq=tuple(1e6 * float(x) for x in made.sensitivity_cps_per_bq[:, 1]),
        scattered_or_penetrating_share=tuple(
            float(other.sum() / max(float(counts.sum()), 1e-300))
            for other, counts in zip(expected.other, expected.total, strict=True)
        ),
        dead_time_s=told.dead_time_s,
        dead_time_model=told.dead_time_model if told.dead_time_s else None,
        live_fraction=tuple(round(float(x), 6) for x in made.live_fraction),
        pulses_per_s=() if made.spectrum is None else tuple(float(x) for x in made.spectrum.cps_per_view),
        run=expected.provenance,
    )


def _physics_tables(camera: GammaCamera, scan: ScanOptions, montecarlo: MonteCarloScanOptions) -> Mapping[str, str]:
    """Tables that a Monte Carlo rests on; none for the analytic method."""
    if scan.method == "analytic":
        return {}
    shipped = f"imaging/spect/camera/tables/detector_{camera.name}.txt.gz, made by hepatica's own Monte Carlo"
    return {
        "detector response": shipped if montecarlo.detector_response == "table" else "holes by formula",
        "photons": "transport/tables/photon_elements.txt and form_factors.txt (EPDL97-based, see sources.toml)",
        "decay": "ENSDF",
    }
