"""Expected projections of an activity by Monte Carlo: built once for a patient and a camera, used for many images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.constants import ELECTRON_REST_KEV, KEV_ANGSTROM
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.camera.detector import DetectorResponse
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.emission import photon_spectrum
from hepatica.imaging.spect.montecarlo.emission import (
    EmissionMixture,
    electron_model,
    emission_mixture,
    highest_photon_kev,
)
from hepatica.imaging.spect.montecarlo.exits import rays_of, usual_transmission
from hepatica.imaging.spect.montecarlo.patient import Patient, patient_from_ct, patient_from_density
from hepatica.imaging.spect.montecarlo.response_tables import response_tables
from hepatica.imaging.spect.montecarlo.settings import (
    MonteCarloProjections,
    ProjectionSettings,
    RayWork,
    TallySums,
    without_negatives,
)
from hepatica.imaging.spect.projections import Orbit, Window
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.photons import ENERGIES, HIGHEST_KEV, LOWEST_KEV, MOMENTUM_RANGE, PhotonTables
from hepatica.transport.runner.launch import Launcher, Sizes, check_device, load_warp
from hepatica.transport.runner.stopping import RunClock, RunReport
from hepatica.transport.runner.upload import Upload, tables_for

MIN_BATCHES = 10
FIRST_BATCH = 2_000
BATCHES = 20
COUNTERS = 6
VOXEL_MM = 4.0
"""Voxels in which photons are followed."""
VIEWS_PER_EVENT = 20
"""Views that one emission or scatter is detected in: more of them cost fewer histories, but make the noise of the views
one and the same."""
PIXELS_PER_POINT = 3.0
"""A hole's image has no more points than pixels over this."""
PIXELS_PER_RAY = 64.0
"""A detector of few pixels has no more rays far from the normal than pixels over this."""
MOST_POINTS = 64.0
"""Points (or rays) of one event in one view at most; what asks for more gets heavier ones."""
BLOCK_MM = 20.0
"""Histories that start in a block of this size are followed one after another."""
SATELLITES = 0.05
"""Share of the rays that are also followed by way of a coherent scatter (a few per cent of the counts)."""
TARGET_SHARE = 0.5
"""Target bins are by default those above this share of the highest bin of the target window."""


@dataclass(frozen=True, slots=True, eq=False)
class SpectSetup:
    """What is imaged how.

    Parameters
    ----------
    camera : GammaCamera or str
        Camera, or its name.
    nuclide : Nuclide
        What emits.
    orbit : Orbit
        Views; the axis of rotation runs along z through the middle of `grid`.
    windows : sequence of Window
        Energy windows.
    grid : Grid
        Axial grid of the SPECT, as `Projections.grid` gives it: its voxels along i are the pixels along u, its slices
        the rows along v.
    response : DetectorResponse, optional
        Of the camera; by default the table shipped for it.
    internal_bremsstrahlung : bool
        Photons of the beta decay itself. Published simulations of 90Y mostly leave them out; they add a third to half
        to the photons that its electrons make in tissue.
    """

    camera: GammaCamera | str
    nuclide: Nuclide
    orbit: Orbit
    windows: Sequence[Window]
    grid: Grid
    response: DetectorResponse | None = None
    internal_bremsstrahlung: bool = True


class MonteCarloProjector:
    """Forward projection by Monte Carlo with forced detection.

    Parameters
    ----------
    patient : Volume
        CT in HU, or densities in g/mL (Kind.DENSITY).
    setup : SpectSetup
        Camera, nuclide, orbit, windows, pixels.
    voxel_mm : float
        Size of the voxels in which photons are followed.
    parts : int
        2: primary and other; 4: see `MonteCarloProjections.parts`.
    views_per_event : int
        Views in which an emission or scatter is detected, at random but evenly spread.
    work : RayWork
        How many points and rays; the mean of the counts does not depend on it.
    device : str
        "cpu" or "cuda".

    Raises
    ------
    GeometryError
        If patient and SPECT are in different frames of reference, or the grid is not axial.
    PhysicsError
        If no photon of the nuclide can be counted in the windows, or the camera has no response table.

    Notes
    -----
    Photons are positioned where a straight line from the point, at an angle drawn from the angular response, meets the
    plane of interaction. A detector covers the grid's columns and rows and no more; photons that start behind the
    collimator's face are not seen. Not followed: fluorescence and pairs made in the patient (their energy is lost),
    bremsstrahlung's correlation with the electron's direction (electrons start in any direction and stop within
    millimetres).

    Examples
    --------
    >>> from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
    >>> ProjectionSettings(target_uncertainty=0.04, seed=7).max_scatter
    50
    """

    def __init__(
        self,
        patient: Volume,
        setup: SpectSetup,
        *,
        voxel_mm: float = VOXEL_MM,
        parts: int = 2,
        views_per_event: int = VIEWS_PER_EVENT,
        work: RayWork = RayWork(),
        device: str = "cpu",
    ) -> None:
        check_device(device)
        _check_geometry(patient, setup.grid)
        if parts not in (2, 4) or views_per_event < 1 or not voxel_mm > 0:
            raise InputError("Monte Carlo projector: parts is 2 or 4, views_per_event and voxel_mm are positive")
        self.camera = gamma_camera(setup.camera)
        self.nuclide, self.orbit, self.grid = setup.nuclide, setup.orbit, setup.grid
        self.windows = tuple(setup.windows)
        self.device, self.parts, self.work = device, parts, work
        make = patient_from_density if patient.kind is Kind.DENSITY else patient_from_ct
        self.patient: Patient = make(patient, voxel_mm=voxel_mm)
        response = detector_response(self.camera) if setup.response is None else setup.response
        self.tables = response_tables(response, self.camera, self.windows, highest_photon_kev(self.nuclide))
        self.internal = setup.internal_bremsstrahlung
        self.mixture = emission_mixture(self.nuclide, self._importance, self.tables.lowest_kev, internal=self.internal)
        self.stride = max(1, round(self.orbit.views / views_per_event))
        self._load()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Windows, views, u and v."""
        return len(self.windows), self.orbit.views, self.grid.shape[0], self.grid.shape[2]

    def project(
        self,
        activity: Volume,
        settings: ProjectionSettings,
        *,
        target_bins: NDArray[np.bool_] | None = None,
        progress: RunReport | None = None,
    ) -> MonteCarloProjections:
        """Expected counts of an activity image.

        Parameters
        ----------
        activity : Volume
            Bq per voxel (Kind.ACTIVITY; the result is in counts per second) or decays per voxel (Kind.DECAYS; counts),
            on any grid in the patient's frame of reference.
        settings : ProjectionSettings
            When to stop.
        target_bins : ndarray of bool, shape (views, u, v), optional
            Bins that the target uncertainty is about; by default those above half of the highest of the target window.
        progress : callable, optional
            Called after every batch.

        Raises
        ------
        UnitError, GeometryError, InputError
            If the activity is of another kind, in another frame, negative, empty, or lies outside the CT.
        """
        flat = self._checked(activity, settings, target_bins)
        inputs = [
            self._geometry,
            self._physics,
            self._rays,
            self._camera(settings, activity),
            self._decays(activity, flat),
        ]
        sums = TallySums(self.parts, self.shape)

        def uncertainty() -> float | None:
            return self._uncertainty(sums, settings.target_window, target_bins)

        clock = RunClock(settings, uncertainty, min_batches=MIN_BATCHES)
        while not clock.finished(sums):
            size = _next_size(sums, settings)
            order = self._in_space(inputs[-1], settings.seed, sums.histories, size)
            made = self._launcher.run(
                [*inputs, order, self._wp.uint64(sums.histories)],
                seed=settings.seed,
                first=sums.histories,
                histories=size,
                threads=settings.threads,
            )
            sums.add(*made, size)
            if progress is not None:
                progress(clock.progress(sums))
        return self._result(sums, settings, activity.total, uncertainty(), clock.elapsed_s)

    # -----------------------------------------------------------------------------------------------------------------

    def _in_space(self, decays: Any, seed: int, first: int, histories: int) -> Any:
        """Order in which a batch is followed: by place, so that what is written to stays near the processor.

        On a GPU neighbours would wait for each other: there it is the order of the numbers.
        """
        from hepatica.transport.device.camera_views import find_places

        wp = self._wp
        if self.device != "cpu":
            return self._upload.integers(np.arange(histories))
        place = np.empty(histories, np.int32)
        inputs = [decays, wp.uint64(seed), wp.uint64(first), self._upload.shared(place, wp.int32)]
        wp.launch(find_places, dim=histories, inputs=inputs, device=self.device)
        return self._upload.integers(np.argsort(place, kind="stable"))

    def _importance(self, kev: NDArray[np.float64]) -> NDArray[np.float64]:
        tables = self.tables
        found = np.interp(np.log(np.maximum(kev, 1e-3)), np.log(tables.energy_kev), tables.importance)
        return np.where(kev >= tables.lowest_kev, found, 0.0)

    def _checked(
        self, activity: Volume, settings: ProjectionSettings, target_bins: NDArray[np.bool_] | None
    ) -> NDArray[np.float64]:
        activity.require_kind(Kind.ACTIVITY, Kind.DECAYS)
        activity.require_finite()
        activity.grid.require_shared_frame(self.grid, "activity and SPECT")
        flat = np.asarray(activity.values, dtype=np.float64).ravel()
        if (flat < 0).any():
            raise InputError(f"activity: {int((flat < 0).sum())} voxels are negative; set them to zero first")
        if not flat.sum() > 0:
            raise InputError("activity: there is none")
        if settings.target_window >= len(self.windows):
            raise InputError(f"target_window {settings.target_window}: there are {len(self.windows)} windows")
        if target_bins is not None and (target_bins.shape != self.shape[1:] or not target_bins.any()):
            raise InputError(f"target_bins needs the shape {self.shape[1:]} and at least one bin")
        voxels = np.flatnonzero(flat)
        index = np.stack(np.unravel_index(voxels, activity.grid.shape), axis=1)
        within = self.patient.covered.to_index(activity.grid.to_mm(index))
        outside = (np.abs(within - (np.asarray(self.patient.covered.shape) - 1) / 2) > _halves(self.patient)).any(
            axis=1
        )
        share = float(flat[voxels][outside].sum() / flat.sum())
        if share > 1e-3:
            raise InputError(
                f"{100 * share:.3g} % of the activity lies outside the CT: scatter needs the whole patient"
            )
        return flat

    @staticmethod
    def _uncertainty(sums: TallySums, window: int, target_bins: NDArray[np.bool_] | None) -> float | None:
        """Root mean square relative uncertainty of the target bins; None before there is one."""
        if sums.batches < 2:
            return None
        found = sums.relative_sd(window)[0]
        if target_bins is None:
            total = sums.parts[:, window].sum(axis=0)
            target_bins = total > TARGET_SHARE * np.sort(total, axis=None)[-10:].mean()
        chosen = np.minimum(found[target_bins], 1.0)
        return float(np.sqrt(np.mean(chosen**2))) if chosen.size else None

    def _result(
        self, sums: TallySums, settings: ProjectionSettings, total: float, reached: float | None, seconds: float
    ) -> MonteCarloProjections:
        per_history = total / sums.histories
        scaled = (without_negatives(sums.parts) * per_history).astype(np.float32)
        uncertainty = math.nan if reached is None else reached
        facts = {**self.provenance(), **settings.parameters()}
        facts |= {"histories": sums.histories, "batches": sums.batches, "reached_uncertainty": uncertainty}
        return MonteCarloProjections(
            primary=scaled[0],
            other=scaled[1:].sum(axis=0),
            relative_sd=sums.relative_sd().astype(np.float32),
            parts=scaled if self.parts == 4 else None,
            windows=self.windows,
            histories=sums.histories,
            batches=sums.batches,
            uncertainty=uncertainty,
            seconds=seconds,
            photons_per_decay=float(sums.counters[4]) / sums.histories,
            photon_kev_per_decay=float(sums.counters[5]) / sums.histories,
            provenance=facts | {"seconds": seconds},
        )

    def sensitivity_in_air(self) -> NDArray[np.float64]:
        """Counts per second and becquerel of one head where nothing scatters, shape (windows, 2).

        Through holes, and by all other ways. Bremsstrahlung is that of betas that stop in soft tissue.
        """
        spectrum = photon_spectrum(self.nuclide, inner=self.internal)
        energy, number = spectrum.points
        pairs = [line for line in self.nuclide.photons if line.kind == "annihilation"]
        energy = np.append(energy, [line.energy_kev for line in pairs])
        number = np.append(number, [line.yield_per_decay for line in pairs])
        tables = self.tables
        seen = (energy >= tables.lowest_kev) & (number > 0)
        place = np.interp(np.log(energy[seen]), np.log(tables.energy_kev), np.arange(tables.energy_kev.size))
        low = np.minimum(place.astype(int), tables.energy_kev.size - 2)
        part = (place - low)[:, None, None]
        chance = tables.chance.sum(axis=1)
        at = chance[low] * (1 - part) + chance[low + 1] * part
        return np.asarray(np.tensordot(number[seen], at, axes=1) / (4 * math.pi))

    def provenance(self) -> Mapping[str, Any]:
        """What the projections depend on besides activity and settings, plain values."""
        lines, electrons = self.mixture.expected
        return {
            "nuclide": self.nuclide.name,
            "camera": self.camera.name,
            "windows_kev": [[w.low_kev, w.high_kev] for w in self.windows],
            "voxel_mm": list(self.patient.grid.spacing_mm),
            "media": [medium.name for medium in self.patient.phantom.media],
            "attenuation_fit_error": self.patient.basis.worst,
            "lowest_photon_kev": self.tables.lowest_kev,
            "highest_tabulated_kev": float(self.tables.energy_kev[-1]),
            "internal_bremsstrahlung": self.internal,
            "bremsstrahlung_followed": self.mixture.photon_share < 1,
            "bremsstrahlung_share_expected": electrons / (lines + electrons),
            "views_per_event": math.ceil(self.orbit.views / self.stride),
            "device": self.device,
        }

    # -----------------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Everything that does not depend on the activity, on the device."""
        wp = self._wp = load_warp()
        from hepatica.transport.device import camera_views as module

        sizes = Sizes(self.parts * math.prod(self.shape), COUNTERS, scratch=self.patient.phantom.density.size)
        self._launcher = Launcher(module, "follow_histories", sizes, self.device)
        upload = self._upload = Upload(wp, self.device)
        phantom, model = self.patient.phantom, electron_model(self.tables.lowest_kev)
        ladder, photons = tables_for(phantom.media, model)
        self._geometry = upload.geometry(phantom)
        self._physics = upload.physics(phantom, ladder, photons, model, more_photons=self.mixture.more_photons)
        angle = np.deg2rad(self.orbit.angle_deg)
        self._place = upload.vectors((np.sin(angle), np.cos(angle), self.orbit.radius_mm), wp.vec3)
        self._rays, self._exits = rays_of(
            upload, self._geometry, self.patient, compton_norm(photons), self._place, self.orbit.views, self.device
        )
        self._source_tables = _source_tables(upload, self.mixture)

    def _camera(self, settings: ProjectionSettings, activity: Volume) -> Any:
        from hepatica.transport.device.forced_detection import STEPS, Camera

        upload, tables, grid = self._upload, self.tables, self.grid
        c = Camera()
        c.windows, c.views, c.columns, c.rows = self.shape
        c.stride, c.parts = self.stride, self.parts
        c.pixel_u, c.pixel_v = grid.spacing_mm[0], grid.spacing_mm[2]
        middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2) - self.patient.corner_mm
        c.axis_x, c.axis_y = float(middle[0]), float(middle[1])
        c.z_low = float(grid.origin_mm[2] - self.patient.corner_mm[2] - grid.spacing_mm[2] / 2)
        c.place = self._place
        c.energies, c.bins = tables.share.shape
        logs = np.log(tables.energy_kev)
        c.log_low, c.per_log = float(logs[0]), float((len(logs) - 1) / (logs[-1] - logs[0]))
        c.cosine = upload.floats(tables.cosine)
        c.near_place, c.far_place = map(upload.floats, tables.places(STEPS))
        c.near_bound, c.far_bound = map(upload.floats, tables.bounds())
        c.chance, c.chance_sum = upload.floats(tables.chance), upload.floats(tables.chance.sum(axis=(2, 3)))
        c.star = upload.floats(tables.star)
        c.importance, c.depth = upload.floats(tables.importance), upload.floats(tables.depth_mm)
        c.blur = upload.floats(tables.blur_mm)
        c.farthest_cosine = float(tables.cosine[-1])
        c.farthest_sine = math.sqrt(1 - c.farthest_cosine**2)
        c.lowest_kev, c.max_scatter = tables.lowest_kev, settings.max_scatter
        c.satellite = SATELLITES if settings.max_scatter else 0.0
        self._share_out(c, activity)
        return c

    def _share_out(self, c: Any, activity: Volume) -> None:
        """How many points and rays go where."""
        from hepatica.transport.device.forced_detection import DAMPING

        near, far = self.tables.sums()
        c.near_sum = self._upload.floats(near)
        brightest = self.tables.energy_kev[int(np.argmax(near))]
        table = self.patient.basis.table
        energy = np.geomspace(LOWEST_KEV, HIGHEST_KEV, ENERGIES)
        coefficients = [float(np.interp(brightest, energy, column)) for column in table.T[:2]]
        usual = usual_transmission(self._exits, self.patient, activity, np.array(coefficients))
        c.usual, c.relief = self._upload.floats(usual), self._upload.floats(usual ** (1 - DAMPING))
        c.typical = self.mixture.reference * self.stride / (4 * math.pi)
        reach = float(np.mean(self.orbit.radius_mm)) / self.tables.cosine[self.tables.near]
        hole_mm2 = math.pi * reach**2 * (1 - self.tables.cosine[self.tables.near] ** 2)
        pixels = hole_mm2 / (c.pixel_u * c.pixel_v)
        work = self.work
        c.points = float(min(max(pixels / PIXELS_PER_POINT, 1.0), work.near_points))
        c.most_points = MOST_POINTS
        c.near_check, c.far_check = work.near_check, 1.0 if work.exact else work.far_check
        rays = min(max(c.columns * c.rows / PIXELS_PER_RAY, 1.0), work.far_points)
        c.far_points = rays if far.any() else 0.0
        c.exact = int(work.exact)

    def _decays(self, activity: Volume, flat: NDArray[np.float64]) -> Any:
        from hepatica.transport.device.camera_views import Decays

        upload, s = self._upload, Decays()
        for name, value in self._source_tables.items():
            setattr(s, name, value)
        voxels = np.flatnonzero(flat)
        blocks = [max(1, round(BLOCK_MM / size)) for size in activity.grid.spacing_mm]
        index = np.unravel_index(voxels, activity.grid.shape)
        voxels = voxels[np.lexsort([at // size for at, size in zip(index, blocks, strict=True)])]
        s.places = upload.places(voxels, flat[voxels], activity.grid.shape)
        matrix = np.array(activity.grid.affine[:3], dtype=np.float64)
        matrix[:, 3] -= self.patient.corner_mm
        s.to_x, s.to_y, s.to_z = (self._wp.vec4(*row.tolist()) for row in matrix)
        return s


def compton_norm(photons: PhotonTables) -> NDArray[np.float64]:
    """One over the integral of Klein-Nishina's shape times S(x) over all directions, shape (media, ENERGIES)."""
    node, weight = np.polynomial.legendre.leggauss(96)
    # finer towards the forward direction, where S(x) rises: t = 1 - cos = 2 y^2
    y = (node + 1) / 2
    t, measure = 2 * y**2, 2 * math.pi * 4 * y * weight / 2
    kev = photons.energy_kev[:, None]
    eps = 1 / (1 + kev / ELECTRON_REST_KEV * t)
    shape = eps**2 * (eps + 1 / eps - t * (2 - t)) * measure
    grid = np.log(np.geomspace(*MOMENTUM_RANGE, photons.scattering_function.shape[1]))
    place = np.log(np.maximum(kev / KEV_ANGSTROM * np.sqrt(t / 2), 1e-6))
    return np.stack([1 / (shape * np.interp(place, grid, row)).sum(axis=1) for row in photons.scattering_function])


def _source_tables(upload: Upload, mixture: EmissionMixture) -> dict[str, Any]:
    found: dict[str, Any] = {
        "photon_share": mixture.photon_share,
        "photon_weight": 1 / mixture.more_photons,
        "reference": mixture.reference,
        "beta_bins": len(mixture.beta_weight),
        "beta_kev": upload.floats(mixture.beta_kev),
        "beta_weight": upload.floats(mixture.beta_weight),
    }
    for name, kev, share, weight in (
        ("line", mixture.line_kev, mixture.line_share, mixture.line_weight),
        ("electron", mixture.electron_kev, mixture.electron_share, mixture.electron_weight),
    ):
        found |= {
            f"{name}_kev": upload.floats(kev),
            f"{name}_weight": upload.floats(weight),
            f"{name}_table": upload.alias(share),
        }
    return found


def _next_size(sums: TallySums, settings: ProjectionSettings) -> int:
    """Histories of the next batch: an equal share of those wanted, or slowly growing where the end is open."""
    wanted = settings.histories
    if wanted is not None and settings.target_uncertainty is None and settings.time_limit_s is None:
        return -(-(wanted - sums.histories) // max(1, BATCHES - sums.batches))
    size = max(FIRST_BATCH, sums.histories // MIN_BATCHES)
    return size if wanted is None else min(size, wanted - sums.histories)


def _halves(patient: Patient) -> NDArray[np.float64]:
    return np.asarray(patient.covered.shape) / 2 + 1e-6


def _check_geometry(patient: Volume, grid: Grid) -> None:
    patient.require_kind(Kind.HU, Kind.DENSITY)
    patient.grid.require_shared_frame(grid, "CT and SPECT")
    if not grid.is_axial or not np.allclose(grid.direction, np.eye(3), atol=1e-6):
        raise GeometryError(f"SPECT needs a grid along the axes x, y and z; this is {grid}")
