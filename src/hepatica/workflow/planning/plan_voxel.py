"""The voxel-based part of a plan file: scout, CT and structures to a predicted dose map and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hepatica.anatomy.structures.clinical import Structure, union
from hepatica.core import Region, Volume
from hepatica.dosimetry.engines.dose_map import DoseMap
from hepatica.dosimetry.metrics.region_dose import RegionDose, region_dose
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.planner.course import CoursePlan
from hepatica.planning.planner.voxel import TerritoryActivity, planned_decays, voxel_plan
from hepatica.report import DoseReport, ReportRegion
from hepatica.workflow.planning.scout import Scout, ScoutOptions, read_scout

MOST_SLICES = 12
"""Lesions that get their own slices on the page."""

PICTURE_DPI = 130


@dataclass(frozen=True, slots=True)
class PlanImages:
    """What the table [images] of a plan file says; paths as written, relative to the plan file.

    Attributes
    ----------
    scout, ct, regions : Path
        Scout scan, CT, structures.
    territories : mapping of str to str
        Territory of the plan -> name of its structure.
    unit : str or None
        Of a NIfTI or MetaImage scout.
    kinds : mapping of str to str
        What a structure is, where its name does not say.
    method : str
        Dose engine.
    registered : bool
        Images of different frames of reference lie together.
    """

    scout: Path
    ct: Path
    regions: Path
    territories: Mapping[str, str]
    unit: str | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    method: str = "kernel"
    registered: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class VoxelAnswer:
    """Predicted dose map and the numbers of each structure; `shown` and `ct` are for its pictures."""

    dose_map: DoseMap
    regions: tuple[RegionDose, ...]
    warnings: tuple[str, ...]
    shown: tuple[ReportRegion, ...] = ()
    ct: Volume | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "method": self.dose_map.method,
            "nuclide": self.dose_map.nuclide,
            "regions": [region.as_dict() for region in self.regions],
            "energy_balance": self.dose_map.energy_balance.as_dict(),
            "warnings": list(self.warnings),
            "provenance": self.dose_map.provenance.as_dict(),
        }

    def pictures(self) -> tuple[tuple[str, bytes], ...]:
        """Slices through every lesion and the dose-volume histograms, each with a caption, as PNG."""
        from hepatica.report.figures.dose import dvh_figure, png, slices_figure

        report = DoseReport(self.dose_map.dose, self.shown, ct=self.ct)
        out = [
            (f"Predicted dose through {item.dose.name}", png(slices_figure(report, item), dpi=PICTURE_DPI))
            for item in self.shown
            if item.is_lesion
        ]
        return (*out[:MOST_SLICES], ("Predicted dose-volume histograms", png(dvh_figure(report), dpi=PICTURE_DPI)))


def predict(plan: CoursePlan, images: PlanImages) -> VoxelAnswer:
    """Dose map that the plan's chosen activities would give if they went where the scout went.

    Raises
    ------
    InputError
        If territories carry different nuclides, or the scout lacks CT or liver.
    UnknownNameError
        If a territory's structure is not in the file.
    """
    reading = ScoutOptions(
        ct=images.ct, activity_unit=images.unit, structure_roles=images.kinds, registered=images.registered
    )
    scout = read_scout(images.scout, images.regions, reading)
    nuclides = {t.given.carrier.nuclide.name: t.given.carrier.nuclide for t in plan.territories}
    if len(nuclides) > 1:
        raise InputError("the voxel plan takes one nuclide for all territories; make one plan for each")
    if scout.density is None:
        raise InputError("the voxel plan needs the CT, for the density of every voxel")
    of = next(iter(nuclides.values()))
    planned = planned_decays(scout.image, _activities(plan, images, scout), of, lungs=scout.lungs)
    dose_map = voxel_plan(planned, scout.density, of, method=images.method)
    shown = tuple(
        ReportRegion(region, region_dose(dose_map, region), structure.value)
        for region, structure in _regions_of_interest(images, scout)
    )
    regions = tuple(item.dose for item in shown)
    return VoxelAnswer(dose_map, regions, (*map(str, scout.messages), *dose_map.warnings), shown, scout.ct)


def _activities(plan: CoursePlan, images: PlanImages, scout: Scout) -> list[TerritoryActivity]:
    """Each territory's administered activity on its structure; the whole liver where one territory names none."""
    known = {**scout.territories, **scout.others}
    out = []
    for t in plan.territories:
        name = images.territories.get(t.territory.name)
        if name is None:
            if len(plan.territories) > 1:
                raise InputError(f"territory {t.territory.name!r} has no region; several territories need one each")
            (region,) = scout.need("liver")
        elif name in known:
            region = known[name]
        else:
            raise UnknownNameError("structure", name, known)
        given = t.given.prescription
        out.append(
            TerritoryActivity(
                region.renamed(t.territory.name), given.activity_administered_gbq, t.territory.target.lung_shunt
            )
        )
    return out


def _regions_of_interest(images: PlanImages, scout: Scout) -> list[tuple[Region, Structure]]:
    (liver,) = scout.need("liver")
    tumours = list(scout.tumours.values())
    out = [(region, Structure.TUMOUR) for region in tumours]
    normal = liver - union(tumours) if tumours else liver
    out.append((normal.renamed("normal liver"), Structure.NORMAL_LIVER))
    known = {**scout.territories, **scout.others}
    out += [
        ((known[name] & normal).renamed(f"normal liver in {t}"), Structure.PERFUSED_NORMAL)
        for t, name in images.territories.items()
    ]
    if scout.lungs is not None:
        out.append((scout.lungs - liver, Structure.LUNG))
    return [(region, structure) for region, structure in out if not region.is_empty]
