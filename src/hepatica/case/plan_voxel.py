"""The voxel-based part of a plan file: scout, CT and structures to a predicted dose map and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hepatica.case.scout import Scout, read_scout
from hepatica.core import Region
from hepatica.dosimetry.dose_map import DoseMap
from hepatica.dosimetry.metrics import RegionDose, region_dose
from hepatica.dosimetry.regions import union
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.course import CoursePlan
from hepatica.planning.voxel import TerritoryActivity, planned_decays, voxel_plan


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
    """Predicted dose map and the numbers of each structure."""

    dose_map: DoseMap
    regions: tuple[RegionDose, ...]
    warnings: tuple[str, ...]

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


def predict(plan: CoursePlan, images: PlanImages) -> VoxelAnswer:
    """Dose map that the plan's chosen activities would give if they went where the scout went.

    Raises
    ------
    InputError
        If territories carry different nuclides, or the scout lacks CT or liver.
    UnknownNameError
        If a territory's structure is not in the file.
    """
    scout = read_scout(
        images.scout, images.regions, ct=images.ct, unit=images.unit, kinds=images.kinds, registered=images.registered
    )
    nuclides = {t.given.carrier.nuclide.name: t.given.carrier.nuclide for t in plan.territories}
    if len(nuclides) > 1:
        raise InputError("the voxel plan takes one nuclide for all territories; make one plan for each")
    if scout.density is None:
        raise InputError("the voxel plan needs the CT, for the density of every voxel")
    of = next(iter(nuclides.values()))
    planned = planned_decays(scout.image, _activities(plan, images, scout), of, lungs=scout.lungs)
    dose_map = voxel_plan(planned, scout.density, of, method=images.method)
    regions = tuple(region_dose(dose_map, region) for region in _regions_of_interest(images, scout))
    return VoxelAnswer(dose_map, regions, (*scout.warnings, *dose_map.warnings))


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


def _regions_of_interest(images: PlanImages, scout: Scout) -> list[Region]:
    (liver,) = scout.need("liver")
    out = list(scout.tumours.values())
    normal = liver - union(out) if out else liver
    out.append(normal.renamed("normal liver"))
    known = {**scout.territories, **scout.others}
    out += [(known[name] & normal).renamed(f"normal liver in {t}") for t, name in images.territories.items()]
    if scout.lungs is not None:
        out.append(scout.lungs - liver)
    return [region for region in out if not region.is_empty]
