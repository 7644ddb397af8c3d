"""The voxel-based part of a plan: scout, CT and structures to a predicted dose map and its numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from hepatica.core import Grid, InputFile, Volume
from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message
from hepatica.core.provenance import Provenance
from hepatica.core.tables.table import Table
from hepatica.dosimetry.engines.dose_map import DoseMap, EnergyBalance
from hepatica.dosimetry.metrics.region_dose import RegionDose, region_dose
from hepatica.errors import InputError
from hepatica.nuclides import Nuclide
from hepatica.planning.planner.course_plan import CoursePlan
from hepatica.planning.planner.methods import effective_half_life_s
from hepatica.planning.planner.tables import GY
from hepatica.planning.planner.voxel import (
    PlanImages,
    planned_decays,
    structures_of_interest,
    territory_activities,
    voxel_plan,
)
from hepatica.planning.prescriptions.dose_constants import dose_constant
from hepatica.planning.scout.scan import Scout
from hepatica.report.document import Picture
from hepatica.report.dose_report import DoseReport, ReportRegion
from hepatica.report.figures.dosimetry.dose import dvh_figure, png, slices_figure

MAP_CONVENTION = "ensdf"
"""Dose constant that the dose engines' decay data come to where all electrons stop in place."""

SAME_CONSTANT = 1e-3
"""Relative difference of dose constants that is rounding: 49.67 of MIRD and 49.70 of the decay data."""

MAX_SLICES = 12
"""Lesions that get their own slices on the page."""

PICTURE_DPI = 130

SHOWN_D = (95.0, 70.0, 50.0, 5.0)


@dataclass(frozen=True, slots=True, eq=False)
class VoxelPlan:
    """Predicted dose map and the numbers of each structure.

    Attributes
    ----------
    engine, nuclide : str
        That made it.
    structures : tuple of RegionDose
        Lesions, normal liver, lungs.
    energy_balance : EnergyBalance
        Of the map.
    dose_map : DoseMap
        The map itself.
    shown : tuple of ReportRegion
        The structures, for pictures.
    ct : Volume or None
        For pictures.
    messages : tuple of Message
        From reading, scaling, and the engine.
    inputs : tuple of InputFile
        Files read.
    """

    engine: str
    nuclide: str
    structures: tuple[RegionDose, ...]
    energy_balance: EnergyBalance
    dose_map: DoseMap = field(metadata=HIDDEN)
    shown: tuple[ReportRegion, ...] = field(metadata=HIDDEN)
    ct: Volume | None = field(metadata=HIDDEN)
    messages: tuple[Message, ...] = field(metadata=HIDDEN)
    inputs: tuple[InputFile, ...] = field(metadata=HIDDEN)

    @property
    @reported
    def grid(self) -> Grid:
        """Voxels of the map, with the frame of reference that its NIfTI cannot hold."""
        return self.dose_map.dose.grid

    @property
    def provenance(self) -> Provenance:
        """How the map came about, with the scout's files."""
        return self.dose_map.provenance.adding(inputs=self.inputs)

    def table(self) -> Table:
        """Doses of each structure."""
        rows = [
            (d.name, d.volume_ml, d.dose_mean_gy, *(d.d_percent_gy.get(x) for x in SHOWN_D)) for d in self.structures
        ]
        columns = ("structure", "mL", "mean, Gy", *(f"D{x:g}" for x in SHOWN_D))
        title = f"Predicted from the scout, voxel by voxel (engine {self.engine})"
        return Table.of(columns, rows, title, "predicted", formats=("", *[GY] * (len(columns) - 1)))

    def pictures(self) -> tuple[Picture, ...]:
        """Slices through every lesion and the dose-volume histograms."""
        report = DoseReport(self.dose_map.dose, self.shown, ct=self.ct)
        slices = [
            Picture("", f"Predicted dose through {item.dose.name}", png(slices_figure(report, item), dpi=PICTURE_DPI))
            for item in self.shown
            if item.is_lesion
        ]
        histograms = Picture("", "Predicted dose-volume histograms", png(dvh_figure(report), dpi=PICTURE_DPI))
        return (*slices[:MAX_SLICES], histograms)


def predict(plan: CoursePlan, images: PlanImages, scout: Scout) -> VoxelPlan:
    """Dose map that the plan's chosen activities would give if they went where the scout went.

    Raises
    ------
    InputError
        If territories carry different nuclides, or the scout lacks CT or liver.
    UnknownNameError
        If a territory's structure is not in the file.
    """
    nuclides = {t.given.carrier.nuclide.name: t.given.carrier.nuclide for t in plan.territories}
    if len(nuclides) > 1:
        raise InputError("the voxel plan takes one nuclide for all territories", remedy="make one plan for each")
    if scout.density is None:
        raise InputError("the voxel plan needs the CT, for the density of every voxel", remedy="state `ct`")
    (nuclide,) = nuclides.values()
    planned = planned_decays(
        scout.image,
        territory_activities(plan, images, scout),
        nuclide,
        lungs=scout.lungs,
        effective_half_life_s=effective_half_life_s(plan.course, plan.territories[0].given.carrier.agent),
    )
    dose_map = voxel_plan(planned, scout.density, nuclide, engine=images.engine)
    shown = tuple(
        ReportRegion(region, region_dose(dose_map, region), structure.value)
        for region, structure in structures_of_interest(images, scout)
    )
    return VoxelPlan(
        engine=dose_map.engine,
        nuclide=dose_map.nuclide,
        structures=tuple(item.dose for item in shown),
        energy_balance=dose_map.energy_balance,
        dose_map=dose_map,
        shown=shown,
        ct=scout.ct,
        messages=(*scout.messages, *_about_constants(plan, nuclide), *dose_map.messages),
        inputs=scout.inputs,
    )


def _about_constants(plan: CoursePlan, nuclide: Nuclide) -> tuple[Message, ...]:
    """What parts the doses of the methods from those of the map where both use the same masses."""
    energy = dose_constant(nuclide, MAP_CONVENTION)
    used = {t.given.prescription.constant.convention: t.given.prescription.constant.j_per_gbq for t in plan.territories}
    leaving = effective_half_life_s(plan.course, plan.territories[0].given.carrier.agent) is not None
    other = {name: value for name, value in used.items() if abs(value / energy.j_per_gbq - 1) > SAME_CONSTANT}
    if leaving or not other:
        return ()
    listed = " and ".join(f"{value:.4g} J/GBq ({name})" for name, value in other.items())
    text = f"the methods take {listed}, the dose map {energy.j_per_gbq:.4g} J/GBq ({MAP_CONVENTION}): doses differ so"
    return (Message("dose-constants-differ", text, severity="note"),)
