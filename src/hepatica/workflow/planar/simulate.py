"""The planar views that a gamma camera with two heads would count of a known activity."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN
from hepatica.core.message import unique
from hepatica.core.options import options, parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.imaging.planar.simulate import PlanarScanOptions, planar_views, require_heads
from hepatica.imaging.planar.views import PlanarViews
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.scan import MonteCarloScanOptions
from hepatica.imaging.spect.scan_facts import (
    MODELS,
    ScannedActivityOptions,
    WindowCounts,
    physics_tables,
)
from hepatica.nuclides import Nuclide
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource
from hepatica.workflow.spect.scanned import scanned


@options
class PlanarSimulationOptions:
    """All options of simulated planar views.

    Attributes
    ----------
    scan : PlanarScanOptions
        How they are acquired.
    montecarlo : MonteCarloScanOptions
        What only the Monte Carlo knows.
    stated : ScannedActivityOptions
        What the activity image does not say.
    """

    scan: PlanarScanOptions = PlanarScanOptions()
    montecarlo: MonteCarloScanOptions = MonteCarloScanOptions()
    stated: ScannedActivityOptions = ScannedActivityOptions()

    def __post_init__(self) -> None:
        self.montecarlo.require_fit(self.scan.as_spect())


@result
class PlanarSimulationResult(Result):
    """Simulated planar views.

    Attributes
    ----------
    views : PlanarViews
        Counts as acquired: what `biodistribution` takes.
    model : str
        What is simulated, one sentence.
    activity_mbq : float
        At the start.
    dwell_s : float
        Time for which a pixel was counted.
    energy_windows : tuple of WindowCounts
        Counts of both views in each window.
    scattered_share : tuple of float
        Of the counts in each window, scattered or through lead; empty of the analytic method.
    """

    verb = "simulate_planar"

    views: PlanarViews = field(metadata=HIDDEN)
    context: DicomContext | None = field(metadata=HIDDEN)
    scan: PlanarScanOptions = field(metadata=HIDDEN)
    nuclide: str
    activity_mbq: float
    start: datetime
    method: str
    model: str
    camera: GammaCamera
    technique: str
    dwell_s: float
    sides: tuple[str, ...]
    pixel_mm: float
    seed: int
    noise: bool
    energy_windows: tuple[WindowCounts, ...]
    scattered_share: tuple[float, ...]

    def title(self) -> str:
        """What was simulated."""
        return f"{self.activity_mbq:.4g} MBq {self.nuclide}, {self.camera.name}, {self.technique}; {self.model}"

    def table(self) -> Table:
        """Counts in each window."""
        shares = self.scattered_share or (None,) * len(self.energy_windows)
        rows = [
            (f"{w.low_kev:g}-{w.high_kev:g}", w.counts, w.sensitivity_cps_per_mbq, None if s is None else 100 * s)
            for w, s in zip(self.energy_windows, shares, strict=True)
        ]
        names = ("window, keV", "counts", "a head in air through holes, cps/MBq", "scattered or through lead, %")
        return Table.of(names, rows, "Energy windows", "windows")

    def write(self, folder: Path) -> None:
        """Write ``planar.dcm``: NM STATIC or WHOLE BODY, both views, all windows."""
        from hepatica.io.dicom.images.write import Emission
        from hepatica.io.dicom.planar.write import write_planar

        emission = Emission(
            nuclide=self.nuclide, start=self.start, frame_duration_s=self.dwell_s, agent=f"{self.nuclide} simulated"
        )
        context = self.context or DicomContext.invented()
        whole = self.technique == "whole-body"
        write_planar(
            folder / "planar.dcm", self.views, context, emission,
            scan=(self.scan.scan_speed, self.scan.field_mm) if whole else None, camera=self.camera.name,
            provenance=self.provenance,
        )  # fmt: skip


@verb
def simulate_planar(
    activity: ImageSource,
    *,
    ct: ImageSource,
    nuclide: str | Nuclide,
    camera: str | GammaCamera = "siemens-hegp",
    options: PlanarSimulationOptions = PlanarSimulationOptions(),
    progress: Progress | None = None,
) -> PlanarSimulationResult:
    """The planar views that a gamma camera with two heads would count of a known activity.

    Parameters
    ----------
    activity : path or Image
        Activity image in Bq/mL: DICOM, NIfTI, MetaImage.
    ct : path or Image
        CT for attenuation and scatter, in the same frame of reference.
    nuclide : str or Nuclide
        What is in the patient, such as I-131.
    camera : str or GammaCamera
        Camera by name: siemens-hegp, ge-megp, ...
    options : PlanarSimulationOptions
        The views, what only the Monte Carlo knows, and what the activity image does not say.
    progress : callable, optional
        Told each step.

    Returns
    -------
    PlanarSimulationResult
        ``views`` goes into `biodistribution`; ``save`` writes them as NM.

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
    >>> asked = hepatica.PlanarSimulationOptions(scan=hepatica.PlanarScanOptions(pixel_mm=20.0, columns=16))
    >>> found = hepatica.simulate_planar(pet, ct=ct, nuclide="I-131", options=asked)
    >>> found.views.counts.shape
    (2, 3, 16, 6)
    """
    report_progress = progress or silent
    chosen, head = find_nuclide(nuclide), gamma_camera(camera)
    scan, montecarlo, stated = options.scan, options.montecarlo, options.stated
    require_heads(scan, head)
    report_progress("reading")
    given = scanned(activity, ct, chosen, stated, montecarlo)
    source, hu, montecarlo = given.source, given.ct, given.montecarlo
    assert source.time is not None
    found = planar_views(
        source, hu.volume, camera=head, nuclide=chosen, scan=scan, montecarlo=montecarlo, progress=report_progress
    )
    views = found.views
    model = MODELS["analytic" if scan.method == "analytic" else montecarlo.detector_response]
    windows = tuple(
        WindowCounts(w.low_kev, w.high_kev, float(views.counts[:, n].sum()), found.sensitivity_cps_per_mbq[n])
        for n, w in enumerate(views.windows)
    )
    return PlanarSimulationResult(
        views=views,
        context=hu.context,
        scan=scan,
        nuclide=chosen.name,
        activity_mbq=source.total / 1e6,
        start=source.time,
        method=scan.method,
        model=model,
        camera=head,
        technique=scan.technique,
        dwell_s=scan.dwell_s,
        sides=views.sides,
        pixel_mm=scan.pixel_mm,
        seed=montecarlo.stopping.seed,
        noise=not scan.noise_free,
        energy_windows=windows,
        scattered_share=found.scattered_share,
        messages=unique(given.messages, found.messages),
        provenance=Provenance(
            inputs=given.inputs,
            parameters=parameters(
                scan, stated, *((montecarlo,) if scan.method == "montecarlo" else ()), nuclide=chosen.name,
                activity_mbq=source.total / 1e6, seed=montecarlo.stopping.seed, calibration=None,
            ),
            tables={"camera": head.source, **physics_tables(head, scan.as_spect(), montecarlo)},
            steps=("activity scaled and placed", f"planar views: {model}"),
        ),
    )  # fmt: skip
