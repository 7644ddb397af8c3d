"""The projections that a gamma camera would count of a known activity."""

from __future__ import annotations

from dataclasses import field, replace
from datetime import datetime
from pathlib import Path

from hepatica.core import Provenance, Volume
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN
from hepatica.core.message import unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.montecarlo.spectrum import EnergySpectrum
from hepatica.imaging.spect.projections import Projections
from hepatica.imaging.spect.scan import (
    acquire,
    scan_grid,
    scan_windows,
    windows_named_again,
)
from hepatica.imaging.spect.scan_facts import (
    MonteCarloFacts,
    SimulationOptions,
    WindowCounts,
    concentration_on,
    montecarlo_facts,
    physics_tables,
    scan_model_text,
    window_counts,
)
from hepatica.io.files import write_text
from hepatica.nuclides import Nuclide
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource
from hepatica.workflow.spect.scanned import scanned


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
        every = [w.sensitivity_by_any_way_cps_per_mbq for w in self.energy_windows]
        rows = [
            (f"{w.low_kev:g}-{w.high_kev:g}", w.counts, w.sensitivity_cps_per_mbq, by_any_way, share)
            for w, by_any_way, share in zip(self.energy_windows, every, shares, strict=True)
        ]
        names = (
            "window, keV", "counts", "a head in air through holes, cps/MBq", "sensitivity of a head, cps/MBq",
            "scattered or through lead, %",
        )  # fmt: skip
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
        context = self.context or DicomContext.of_volume(self.truth, "SIMULATED")
        write_projections(folder / "projections.dcm", self.projections, context, emission, heads=self.heads)
        write_itk(self.truth, folder / "truth.nii.gz")
        if self.spectrum is None:
            return
        from hepatica.report.figures.outcome import save
        from hepatica.report.figures.spect import draw_energy_spectrum

        table = self.spectrum.table()
        write_text(folder / "spectrum.csv", table.csv())
        windows = [(window.low_kev, window.high_kev) for window in self.energy_windows]
        save(draw_energy_spectrum(table, windows), folder / "spectrum.png")


@verb
def simulate_spect(
    activity: ImageSource,
    *,
    ct: ImageSource,
    nuclide: str | Nuclide,
    camera: str | GammaCamera = "siemens-lehr",
    options: SimulationOptions = SimulationOptions(),
    progress: Progress | None = None,
) -> SimulationResult:
    """The projections that a gamma camera would count of a known activity.

    Parameters
    ----------
    activity : Path or Image
        Activity image in Bq/mL: DICOM, NIfTI, MetaImage.
    ct : Path or Image
        CT for attenuation and scatter, in the same frame of reference.
    nuclide : str or Nuclide
        What is in the patient, such as Tc-99m.
    camera : str or GammaCamera
        Camera by name: siemens-lehr, ge-megp, ...
    options : SimulationOptions
        The scan, what only the Monte Carlo knows, and what the activity image does not say.
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
    GeometryError
        If the frames of reference differ and are not stated to be registered.
    TimeError
        If the image refers to no instant.
    PhysicsError
        If no window sees a photon of the nuclide.

    Examples
    --------
    >>> ct = hepatica.Image.from_array(np.zeros((12, 12, 6)), unit="HU", spacing_mm=(20, 20, 20))
    >>> when = datetime(2026, 3, 2, 10)
    >>> pet = hepatica.Image.from_array(np.ones((12, 12, 6)), unit="kBq/mL", grid=ct.grid, time=when)
    >>> scan = hepatica.ScanOptions(views=8, pixel_mm=20.0, columns=16, radius_mm=200.0)
    >>> asked = hepatica.SimulationOptions(scan=scan)
    >>> found = hepatica.simulate_spect(pet, ct=ct, nuclide="Tc-99m", options=asked)
    >>> round(found.activity_mbq, 3), found.projections.shape
    (6.912, (8, 16, 6))
    """
    report_progress = progress or silent
    chosen, head = find_nuclide(nuclide), gamma_camera(camera)
    scan, montecarlo, stated = options.scan, options.montecarlo, options.stated
    scan_windows(chosen, scan)
    report_progress("reading")
    given = scanned(activity, ct, chosen, stated, montecarlo)
    source, hu, montecarlo = given.source, given.ct, given.montecarlo
    grid = scan_grid(hu.volume, scan, given.image.grid.frame_of_reference)
    found = acquire(
        source, hu.volume, grid, camera=head, nuclide=chosen, scan=scan, montecarlo=montecarlo,
        progress=report_progress,
    )  # fmt: skip
    assert source.time is not None
    shown, model = replace(found.projections, camera=head.name), scan_model_text(scan, montecarlo)
    return SimulationResult(
        projections=shown,
        truth=concentration_on(grid, source),
        spectrum=None if found.simulated is None else found.simulated.spectrum,
        context=hu.context,
        nuclide=chosen.name,
        activity_mbq=source.total / 1e6,
        start=source.time,
        method=scan.method,
        model=model,
        montecarlo=montecarlo_facts(found, montecarlo),
        camera=head if found.measured is None else found.measured.camera,
        views=scan.views,
        heads=scan.heads,
        frame_duration_s=scan.frame_duration_s,
        orbit=scan.orbit,
        radius_mm=scan.radius_mm if scan.orbit == "circular" else tuple(shown.orbit.radius_mm.round(2).tolist()),
        pixel_mm=scan.pixel_mm,
        seed=montecarlo.stopping.seed,
        noise=not scan.noise_free,
        energy_windows=window_counts(found),
        messages=unique(given.messages, windows_named_again(chosen, scan), found.messages),
        provenance=Provenance(
            inputs=given.inputs,
            parameters=parameters(
                scan, stated, *((montecarlo,) if scan.method == "montecarlo" else ()),
                nuclide=chosen.name, activity_mbq=source.total / 1e6, seed=montecarlo.stopping.seed, calibration=None,
                **({} if found.measured is None else {"penetration": found.measured.camera.penetration}),
            ),
            tables={"camera": head.source, **physics_tables(head, scan, montecarlo)},
            steps=("activity scaled and placed", f"projections: {model}"),
        ),
    )  # fmt: skip
