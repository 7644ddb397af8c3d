"""Phantoms and tables as the structures that the transport kernels read, on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import PhysicsError
from hepatica.transport.matter.composition import Medium
from hepatica.transport.matter.photons import MOMENTA, MOMENTUM_RANGE, PhotonTables, build_photons
from hepatica.transport.matter.stepping import Ladder, StepModel, build_ladder
from hepatica.transport.runner.scoring import Scoring
from hepatica.transport.runner.source import alias_table

FloatArray = NDArray[np.float64]

MAX_SOURCE_VOXELS = 2**26


@dataclass(frozen=True, slots=True)
class Shells:
    """Radial tally of a point source: `linear` shells of `width_mm`, then `logarithmic` ones up to `last_mm`."""

    width_mm: float
    linear: int
    logarithmic: int
    last_mm: float

    @property
    def size(self) -> int:
        """Elements of a tally: the shells, and one for all beyond."""
        return self.linear + self.logarithmic + 1

    @property
    def edges_mm(self) -> FloatArray:
        """Edges of the shells, shape (linear + logarithmic + 1,)."""
        first = self.width_mm * np.arange(self.linear + 1)
        return np.concatenate([first, np.geomspace(first[-1], self.last_mm, self.logarithmic + 1)[1:]])


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """Voxels: spacing in mm, density in g/mL and index into `media`, arrays of one shape."""

    spacing_mm: tuple[float, float, float]
    density: NDArray[np.float32]
    medium_index: NDArray[np.uint8]
    media: tuple[Medium, ...]


@dataclass(frozen=True, slots=True)
class Twin:
    """Endless uniform matter in which every decay is followed a second time: index of its medium, density in g/mL."""

    medium_index: int
    density_g_ml: float


@cache
def tables_for(media: tuple[Medium, ...], model: StepModel) -> tuple[Ladder, PhotonTables]:
    """Electron and photon tables of media, built once."""
    return build_ladder(media, model), build_photons(media)


def with_more_photons(ladder: Ladder, factor: float) -> Ladder:
    """Ladder whose electrons make `factor` times as many bremsstrahlung photons, each to be counted as 1 / factor.

    The kernel keeps the electron's own course right: `Physics.photon_loss_share` is the chance that a photon costs the
    electron its energy.
    """
    photons = ladder.hard * ladder.photon_share
    hard = ladder.hard + (factor - 1) * photons
    share = np.divide(factor * photons, hard, out=np.zeros_like(hard), where=hard > 0)
    return replace(ladder, hard=hard, photon_share=share, photons_below=factor * ladder.photons_below)


class Upload:
    """Copies numpy's arrays to a device; on the CPU the kernels read numpy's own memory.

    Parameters
    ----------
    warp : module
        The warp module, see `launch.load_warp`.
    device : str
        "cpu" or "cuda".
    """

    def __init__(self, warp: Any, device: str) -> None:
        self._wp, self._device = warp, device

    def floats(self, values: Any) -> Any:
        """Numbers as float32."""
        flat = np.ascontiguousarray(np.asarray(values, dtype=np.float32).ravel())
        return self.shared(flat if flat.size else np.zeros(1, np.float32), self._wp.float32)

    def integers(self, values: Any) -> Any:
        """Numbers as int32."""
        flat = np.ascontiguousarray(np.asarray(values, dtype=np.int32).ravel())
        return self.shared(flat if flat.size else np.zeros(1, np.int32), self._wp.int32)

    def labels(self, values: Any) -> Any:
        """Labels as uint16."""
        flat = np.ascontiguousarray(np.asarray(values, dtype=np.uint16).ravel())
        return self.shared(flat if flat.size else np.zeros(1, np.uint16), self._wp.uint16)

    def shared(self, flat: NDArray[Any], dtype: Any) -> Any:
        """Array on the device; on the CPU it is numpy's own memory."""
        return self._wp.array(flat, dtype=dtype, device=self._device, copy=self._device != "cpu")

    def vectors(self, columns: Sequence[NDArray[Any]], dtype: Any) -> Any:
        """Arrays of one shape side by side as vectors of type `dtype`."""
        rows = np.stack([np.asarray(c, dtype=np.float32).ravel() for c in columns], axis=1)
        return self._wp.array(np.ascontiguousarray(rows), dtype=dtype, device=self._device)

    def alias(self, weights: NDArray[Any]) -> Any:
        """`device.AliasTable` of probabilities in any unit; one column where there is nothing to draw from."""
        from hepatica.transport.device.random import AliasTable

        table = AliasTable()
        keep, other = alias_table(weights if weights.size and weights.sum() > 0 else np.ones(1))
        table.columns, table.keep, table.other = len(keep), self.floats(keep), self.integers(other)
        return table

    def places(self, voxels: NDArray[Any], weights: NDArray[Any], shape: tuple[int, ...]) -> Any:
        """`device.Places` of voxels with activity: flat indices in a grid of that shape, and their decays in any unit.

        Raises
        ------
        PhysicsError
            If there are more of them than random numbers can tell apart.
        """
        from hepatica.transport.device.decays import Places

        if len(voxels) > MAX_SOURCE_VOXELS:
            raise PhysicsError(
                f"Monte Carlo: {len(voxels)} voxels hold activity, {MAX_SOURCE_VOXELS} is the limit; crop or resample"
            )
        places = Places()
        places.ny, places.nz = shape[1:]
        places.voxel, places.table = self.integers(voxels), self.alias(weights)
        return places

    def affine(self, matrix: NDArray[np.floating[Any]]) -> tuple[Any, Any]:
        """A 4 x 4 matrix as one of 3 x 3 and a vector."""
        return self._wp.mat33(*map(float, matrix[:3, :3].ravel())), self._wp.vec3(*map(float, matrix[:3, 3]))

    def geometry(self, phantom: Phantom, shells: Shells | None = None, scoring: Scoring | None = None) -> Any:
        """`device.Geometry` of a phantom, whose energy is counted in shells, by `scoring`, or in its own voxels."""
        from hepatica.transport.device.geometry import Geometry

        g = Geometry()
        g.weight = 1.0
        g.nx, g.ny, g.nz = phantom.density.shape
        g.sx, g.sy, g.sz = phantom.spacing_mm
        g.radial = int(shells is not None)
        if shells is not None:
            start = shells.width_mm * shells.linear
            g.shell_mm, g.shells, g.log_start_mm, g.log_shells = (
                shells.width_mm,
                shells.linear,
                start,
                shells.logarithmic,
            )
            g.log_per_unit = shells.logarithmic / np.log(shells.last_mm / start)
        g.density = self.floats(phantom.density)
        flat = np.ascontiguousarray(phantom.medium_index.ravel())
        g.medium = self.shared(flat, self._wp.uint8)
        if scoring is not None and scoring.same_voxels:
            scoring = None  # the matter's voxels are the score's
        g.scored = int(scoring is not None)
        g.label = self.labels([] if scoring is None else scoring.labels)
        g.mixed = self.integers([] if scoring is None else scoring.mixed)
        g.first_part = self.integers([] if scoring is None else scoring.first_part)
        g.part_label = self.labels([] if scoring is None else scoring.part_label)
        if scoring is not None:
            g.to_score, g.score_origin = self.affine(scoring.from_matter)
            g.score_nx, g.score_ny, g.score_nz = scoring.grid.shape
            g.score_size, g.parts = scoring.grid.size, len(scoring.part_label)
        return g

    def counting(self, geometry: Any, weight: float, twin: Twin | None = None, first_score: int = 0) -> Any:
        """The same voxels with another weight of what they count, in the endless matter of a twin if there is one."""
        from hepatica.transport.device.geometry import Geometry

        found: Any = Geometry()
        kind: Any = Geometry
        for name in kind.vars:
            setattr(found, name, getattr(geometry, name))
        found.weight = weight
        if twin is not None:
            found.endless, found.first_score = 1, first_score
            found.twin_medium, found.twin_density = twin.medium_index, twin.density_g_ml
        return found

    def physics(
        self,
        phantom: Phantom,
        ladder: Ladder,
        photons: PhotonTables,
        model: StepModel,
        *,
        more_photons: float = 1.0,
    ) -> Any:
        """`device.Physics` of a phantom's media; `more_photons` as in `with_more_photons`."""
        from hepatica.transport.device.physics import Physics

        wp, m = self._wp, Physics()
        ladder = ladder if more_photons == 1.0 else with_more_photons(ladder, more_photons)
        m.photon_loss_share = 1 / more_photons
        m.rungs, m.ratio = ladder.thickness.shape[1], model.ratio
        m.cutoff, m.photon_cutoff = model.cutoff_kev, model.photon_cutoff_kev
        m.log_top = float(np.log(ladder.energy_kev[0]))
        m.inverse_log_ratio = float(1 / np.log(ladder.energy_kev[0] / ladder.energy_kev[1]))
        m.energy, m.hard_limit = self.floats(ladder.energy_kev), self.floats(ladder.hard_limit_kev)
        m.step = self.vectors((ladder.thickness, ladder.spread, ladder.hard, ladder.photon_share), wp.vec4)
        m.reach = self.vectors((ladder.csda_range, ladder.photons_below, ladder.bend), wp.vec3)
        m.angle, m.brems = self.floats(ladder.angle), self.floats(ladder.photon_quantile)
        self.photons(m, photons)
        densest = [float(phantom.density[phantom.medium_index == n].max(initial=0)) for n in range(len(phantom.media))]
        m.majorant = self.floats((photons.total * np.array(densest)[:, None]).max(axis=0) * 1.000001)
        return m

    def photons(self, m: Any, tables: PhotonTables) -> None:
        """Fill the part of a `device.Physics` that photons need, but for the majorant."""
        logs = np.log(tables.energy_kev)
        m.photon_log_low, m.photon_per_log = float(logs[0]), float(1 / (logs[1] - logs[0]))
        m.attenuation = self.floats(tables.total)
        m.shares = self.vectors((tables.photoelectric, tables.coherent, tables.pair), self._wp.vec3)
        m.fluorescence = self.floats(tables.fluorescence)
        m.scattering, m.form = self.floats(tables.scattering_function), self.floats(tables.form_integral)
        span = np.log(MOMENTUM_RANGE)
        m.momentum_log_low = float(span[0])
        m.momentum_per_log = float((MOMENTA - 1) / (span[1] - span[0]))
