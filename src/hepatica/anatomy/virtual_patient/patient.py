"""The virtual patient: anatomy, arteries and treatment on a grid, with everything about it known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.agent import Deposit, distribute, territories, tissues
from hepatica.anatomy.virtual_patient.body import SEX_SIZE, body_of
from hepatica.anatomy.virtual_patient.lattice import Lattice
from hepatica.anatomy.virtual_patient.sampling import (
    Sampled,
    box_of,
    ct_numbers,
    grown_grid,
    noisy,
    regions_of,
    sample,
)
from hepatica.anatomy.virtual_patient.settings import MAX_VOXELS, PatientSettings, Treatment
from hepatica.anatomy.virtual_patient.tumours import PlacedTumour, place
from hepatica.anatomy.virtual_patient.vessels.arteries import ArterialTree, grow_arteries
from hepatica.anatomy.virtual_patient.vessels.veins import hepatic_veins, portal_vein
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.region import Window, bounding_window
from hepatica.errors import InputError
from hepatica.transport.matter.media import density_from_hu

FIELD_MM = ((-172.0, -128.0, -165.0), (172.0, 132.0, 232.0))
"""Default field of view of the reference body: the trunk from the kidneys to the tops of the lungs."""

NECK_MM = 300.0
"""Its upper end where the neck is asked for."""

RANDOM = ("body", "arteries", "tumours", "tissue", "noise", "agent")
"""Each draws from a stream of its own: one setting more or less does not change the others' numbers."""

ORGANS_OF_AGENT = ("liver", "lung left", "lung right", "stomach", "duodenum", "gallbladder")


@dataclass(frozen=True, eq=False)
class VirtualPatient:
    """A patient whose anatomy and activity are known.

    Attributes
    ----------
    settings : PatientSettings
        What was asked for.
    hu : Volume
        Noise-free CT.
    ct : Volume
        CT with noise.
    regions : mapping of str to Region
        "body", "skin", "liver", "segment 1" to "segment 8", "lobe left" (segments 1 to 4), "lobe right" (5 to 8),
        "tumour 1", "tumour 1 necrosis", ..., "lung left", "lung right", "spleen", "stomach" and so on. Liver, lobes and
        segments include the tumours, a tumour its necrosis.
    tumours : tuple of PlacedTumour
        Where they are.
    tree : ArterialTree
        Hepatic arteries.
    deposits : tuple of Deposit
        Activity at the administration on `work_grid`, per compartment.
    work_grid : Grid
        The grid of the images, extended so that it holds all organs that take up activity.

    See Also
    --------
    virtual_patient : makes one.
    """

    settings: PatientSettings
    hu: Volume
    ct: Volume
    regions: Mapping[str, Region]
    tumours: tuple[PlacedTumour, ...]
    tree: ArterialTree
    deposits: tuple[Deposit, ...]
    work_grid: Grid
    _sampled: Sampled
    _territory: NDArray[np.int32]
    _field: Window
    _plain_hu: Volume

    @property
    def grid(self) -> Grid:
        """Grid of the images."""
        return self.hu.grid

    @property
    def treatment(self) -> Treatment:
        """What was given."""
        return self.settings.treatment

    @cached_property
    def density(self) -> Volume:
        """True mass density in g/mL, without contrast medium."""
        return density_from_hu(self._plain_hu)

    def activity(self, at: datetime | None = None) -> Volume:
        """True activity per voxel, Bq.

        Parameters
        ----------
        at : datetime or None
            Instant; the administration if None.

        Raises
        ------
        TimeError
            If it is before the administration.
        """
        at = self.treatment.administered_at if at is None else at
        values = self._sum({id(d): d.left_at(at, self.treatment) for d in self.deposits})
        return Volume(self.grid, values, Kind.ACTIVITY, at, "true activity")

    def concentration(self, at: datetime | None = None) -> Volume:
        """Bq/mL at a time; at the administration if not given."""
        there = self.activity(at)
        return there.with_values(there.values / np.float32(there.grid.voxel_volume_ml), Kind.ACTIVITY_CONCENTRATION)

    def time_integrated_activity(self) -> Volume:
        """True number of decays per voxel, from the administration on."""
        values = self._sum({id(d): d.decays_per_bq(self.treatment) for d in self.deposits})
        return Volume(self.grid, values, Kind.DECAYS, None, "true time-integrated activity")

    def _sum(self, factor: Mapping[int, float]) -> NDArray[np.float32]:
        out = np.zeros(self.work_grid.shape, dtype=np.float32)
        for deposit in self.deposits:
            out[deposit.window] += deposit.activity_bq * np.float32(factor[id(deposit)])
        return np.ascontiguousarray(out[self._field])

    def balance(self, at: datetime | None = None) -> dict[str, float]:
        """Where the administered activity is at an instant, Bq: compartments (in or out of the field), excreted.

        Together they are the administered activity, decayed to the instant.
        """
        at = self.treatment.administered_at if at is None else at
        out: dict[str, float] = {}
        decayed = 0.0
        for deposit in self.deposits:
            there = deposit.total_bq * deposit.left_at(at, self.treatment)
            out[deposit.compartment] = out.get(deposit.compartment, 0.0) + there
            decayed += replace(deposit, biological_half_life_s=None).left_at(at, self.treatment) * deposit.total_bq
        out["excreted"] = max(0.0, decayed - sum(out.values()))
        return out

    def territory(self, branch: str) -> Region:
        """Part of the liver that a branch feeds.

        Parameters
        ----------
        branch : str
            One of ``tree.names``: "right hepatic", "segment 6".

        Raises
        ------
        UnknownNameError
            If this patient has no such artery.
        """
        fed = np.zeros(len(self.tree.ends) + 1, dtype=bool)
        fed[self.tree.ends_of(branch)] = True
        window, liver = self._sampled.parts["liver"]
        full = np.zeros(self.work_grid.shape, dtype=np.float32)
        full[window] = np.where(fed[self._territory], liver, np.float32(0))
        return Region.from_coverage(f"territory of {branch}", self.grid, full[self._field], origin="arterial tree")

    def perfused(self) -> Region:
        """Part of the liver that the catheters reach."""
        first, *others = (self.territory(name) for name in self.treatment.catheters)
        for other in others:
            first = first | other
        return first.renamed("perfused volume", "arterial tree, below the catheters")

    def tumour_to_normal(self) -> float | None:
        """Mean concentration of viable tumour over normal liver where the catheters reach; None without both."""
        viable, normal = tissues(self._sampled, tuple(t.name for t in self.tumours))
        fed = np.zeros(len(self.tree.ends) + 1, dtype=bool)
        for name in self.treatment.catheters:
            fed[self.tree.ends_of(name)] = True
        reached = fed[self._territory]
        volume = {"tumour": float(viable[reached].sum()), "liver": float(normal[reached].sum())}
        held = {d.compartment: d.total_bq for d in self.deposits}
        if not all(volume.values()):
            return None
        concentration = {name: held.get(name, 0.0) / volume[name] for name in volume}
        return concentration["tumour"] / concentration["liver"] if concentration["liver"] else None

    def treated(self, treatment: Treatment) -> VirtualPatient:
        """The same patient after another treatment.

        Raises
        ------
        UnknownNameError
            If a catheter lies in a branch that this patient does not have.
        """
        settings = replace(self.settings, treatment=treatment)
        names = tuple(t.name for t in self.tumours)
        deposits = distribute(treatment, self.tree, self._territory, self._sampled, names, _stream(settings, "agent"))
        return replace(self, settings=settings, deposits=deposits)

    def __repr__(self) -> str:
        t = self.treatment
        tumours = ", ".join(f"{p.tumour.diameter_mm:.0f} mm in segment {p.tumour.segment}" for p in self.tumours)
        where = " + ".join(t.catheters)
        liver = self.regions["liver"].volume_ml if "liver" in self.regions else 0.0
        return (
            f"<VirtualPatient seed {self.settings.seed}: {self.settings.anatomy.sex}, liver {liver:.0f} mL, "
            f"{len(self.tumours)} tumours ({tumours or 'none'}), {len(self.tree.ends)} end arteries; "
            f"{t.activity_bq / 1e9:.3g} GBq {t.nuclide} {t.agent} through {where}; {self.grid}>"
        )


def virtual_patient(settings: PatientSettings | None = None, grid: Grid | None = None) -> VirtualPatient:
    """Make a virtual patient.

    Parameters
    ----------
    settings : PatientSettings or None
        What is asked for; by default a male with three tumours treated through the right hepatic artery.
    grid : Grid or None
        Any grid in LPS, oblique or not; the settings' voxels over the trunk if None. The anatomy does not depend on
        it: the patient lies in space with the middle of the liver's height at the origin.

    Returns
    -------
    VirtualPatient
        Images, regions, arteries and activity.

    Raises
    ------
    InputError
        If liver or tumours do not fit, or the grid is too large or does not meet the body.
    UnknownNameError
        If a catheter lies in a branch that this patient does not have.

    Examples
    --------
    >>> from hepatica.anatomy.virtual_patient.settings import VirtualCtOptions
    >>> patient = virtual_patient(PatientSettings(seed=7, ct=VirtualCtOptions(spacing_mm=8), tumours=1))
    >>> round(patient.activity().total / 1e9, 6)
    2.6
    """
    settings = settings or PatientSettings()
    settings.treatment.require_administered()
    grid = grid or default_grid(settings)
    if grid.size > MAX_VOXELS:
        raise InputError(f"{grid.size:.3g} voxels are too many ({MAX_VOXELS:g} at most); ask for larger voxels")
    body = body_of(settings, _stream(settings, "body"))
    lattice = Lattice.of(body)
    tree = grow_arteries(body, lattice, settings, _stream(settings, "arteries"))
    for name in settings.treatment.catheters:
        tree.branch(name)
    tumours = place(body, lattice, settings, _stream(settings, "tumours"))
    vessels = {"portal vein": portal_vein(body, lattice), "hepatic veins": hepatic_veins(body, lattice)}
    work_grid, field = grown_grid(grid, *box_of(body, *ORGANS_OF_AGENT))
    if work_grid.size > MAX_VOXELS:
        raise InputError("the grid lies too far from the body, whose liver is at the origin; place it there")
    sampled = sample(body, tumours, vessels, work_grid)
    territory = territories(sampled, tree)
    plain = ct_numbers(sampled, body, settings, tumours, _stream(settings, "tissue"), contrast="none")
    seen = plain
    if settings.ct.contrast != "none":
        seen = ct_numbers(sampled, body, settings, tumours, _stream(settings, "tissue"))
    hu = Volume(grid, np.ascontiguousarray(seen.values[field]), Kind.HU, name=seen.name)
    names = tuple(t.name for t in tumours)
    return VirtualPatient(
        settings=settings,
        hu=hu,
        ct=noisy(hu, settings.ct.noise_hu, _stream(settings, "noise")),
        regions={
            name: r for name, region in regions_of(sampled, tumours).items() if (r := _cropped(region, grid, field))
        },
        tumours=tumours,
        tree=tree,
        deposits=distribute(settings.treatment, tree, territory, sampled, names, _stream(settings, "agent")),
        work_grid=work_grid,
        _sampled=sampled,
        _territory=territory,
        _field=field,
        _plain_hu=plain.with_values(plain.values) if work_grid is grid else _field_of(plain, grid, field),
    )


def default_grid(settings: PatientSettings, frame: str | None = None) -> Grid:
    """Axial grid around the trunk with the settings' voxels."""
    scale = np.asarray(SEX_SIZE[settings.anatomy.sex]) * settings.anatomy.size
    low, high = np.asarray(FIELD_MM)
    high = np.array([high[0], high[1], NECK_MM if settings.ct.neck else high[2]])
    low, high = low * scale, high * scale
    spacing = np.asarray(settings.ct.spacing)
    shape = np.maximum(np.round((high - low) / spacing).astype(int), 1)
    origin = (low + high) / 2 - (shape - 1) / 2 * spacing
    return Grid.axial(
        shape.tolist(), spacing_mm=settings.ct.spacing, origin_mm=origin.tolist(), frame_of_reference=frame
    )


def _stream(settings: PatientSettings, purpose: str) -> np.random.Generator:
    return np.random.default_rng([settings.seed, RANDOM.index(purpose)])


def _field_of(volume: Volume, grid: Grid, field: Window) -> Volume:
    return Volume(grid, np.ascontiguousarray(volume.values[field]), volume.kind, volume.time, volume.name)


def _cropped(region: Region, grid: Grid, field: Window) -> Region | None:
    """Region on the field of the images; None if it lies outside."""
    if region.grid.shape == grid.shape:
        return Region(region.name, grid, region.window, region.coverage, region.origin)
    low = [max(w.start, f.start) for w, f in zip(region.window, field, strict=True)]
    high = [min(w.stop, f.stop) for w, f in zip(region.window, field, strict=True)]
    if any(b <= a for a, b in zip(low, high, strict=True)):
        return None
    part = region.coverage[
        tuple(slice(a - w.start, b - w.start) for a, b, w in zip(low, high, region.window, strict=True))
    ]
    inner = bounding_window(part > 0)
    if inner[0].stop == 0:
        return None
    i, j, k = (slice(a - f.start + n.start, a - f.start + n.stop) for a, f, n in zip(low, field, inner, strict=True))
    return Region(region.name, grid, (i, j, k), part[inner], region.origin)
