"""Lung shunt and uptake ratios from a scout's files: images and structures in, the values of planning out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.structures.clinical import Structure, structure_of, union
from hepatica.core import InputFile, Kind, Provenance, Region, Volume
from hepatica.core.image import Image, Stated
from hepatica.core.resample import resample, resample_region
from hepatica.errors import GeometryError, InputError
from hepatica.io.read import read_image
from hepatica.io.regions import read_structures
from hepatica.planning.prescriptions.dose_constants import DoseConstant
from hepatica.planning.scout.extrahepatic import ExtrahepaticUptake, extrahepatic_uptake, share_elsewhere
from hepatica.planning.scout.lung_shunt import (
    LungShunt,
    SpectOptions,
    spect_lung_shunt,
)
from hepatica.planning.scout.lungs import lung_mass_kg
from hepatica.planning.scout.uptake import UptakeRatio, overall_uptake_ratio, uptake_of, uptake_ratio
from hepatica.planning.scout.volumes import LiverVolumes, liver_volumes

SOFT_TISSUE_G_ML = 1.05
"""Density taken where no CT is given (Taranis' liver density); said in the warnings."""

LUNG_KINDS = (Structure.LUNG, Structure.LUNG_LEFT, Structure.LUNG_RIGHT)


@dataclass(frozen=True, slots=True, eq=False)
class Scout:
    """A scout scan with its structures on its own voxels.

    Attributes
    ----------
    image : Volume
        Counts, rate, Bq or Bq/mL.
    liver, lungs : Region or None
        Tumours belong to the liver; left and right lung are one.
    tumours, territories : mapping of str to Region
        By name.
    others : mapping of str to Region
        Structures that are none of these.
    density : Volume or None
        g/mL on the scout's grid, from the CT.
    ct_lung_mass_kg : float or None
        By densitovolumetry on the CT's own voxels.
    ct : Volume or None
        The CT as read, for pictures.
    warnings : tuple of str
        From reading.
    inputs : tuple of InputFile
        The files, with hashes.
    """

    image: Volume
    liver: Region | None
    lungs: Region | None
    tumours: Mapping[str, Region]
    territories: Mapping[str, Region]
    others: Mapping[str, Region] = field(default_factory=dict)
    density: Volume | None = None
    ct_lung_mass_kg: float | None = None
    ct: Volume | None = None
    warnings: tuple[str, ...] = ()
    inputs: tuple[InputFile, ...] = ()

    def need(self, *names: str) -> tuple[Region, ...]:
        """The regions called "liver" or "lungs", or InputError that says which is missing."""
        found = {"liver": self.liver, "lungs": self.lungs}
        out = []
        for name in names:
            region = found[name]
            if region is None:
                raise InputError(f"no structure among the regions is the {name}; name it with --kind 'NAME={name}'")
            out.append(region)
        return tuple(out)


def read_scout(
    scout: Path,
    regions: Path,
    *,
    ct: Path | None = None,
    unit: str | None = None,
    kinds: Mapping[str, str] | None = None,
    registered: bool = False,
) -> Scout:
    """A scout from its files.

    Parameters
    ----------
    scout : Path
        SPECT or PET: DICOM file or folder, NIfTI, MetaImage.
    regions : Path
        RTSTRUCT, SEG or label map, drawn on scout or CT.
    ct : Path, optional
        For masses and for the lungs' mass.
    unit : str, optional
        What a voxel of a NIfTI or MetaImage holds ("counts", "Bq/mL").
    kinds : mapping, optional
        What a structure is, where its name does not say.
    registered : bool
        The user's word that images of different frames of reference lie together.

    Raises
    ------
    HepaticaError
        As the readers; GeometryError if frames of reference differ.
    """
    image = read_image(scout, role="activity", stated=Stated(unit=unit))
    ct_image = None if ct is None else read_image(ct, role="ct")
    drawn_on = ct_image or image
    if ct_image is not None:
        _require_together(image, ct_image, registered=registered)
        image = replace(image, volume=_in_frame(image.volume, ct_image))
    found = read_structures(regions, drawn_on)
    density, mass = None, None
    named = {region.name: region for region in found.regions if not region.is_empty}
    sorted_ = {name: structure_of(name, kinds) for name in named}
    if ct_image is not None:
        from hepatica.transport.matter.media import density_from_hu

        lungs_ct = [named[name] for name, kind in sorted_.items() if kind in LUNG_KINDS]
        mass = lung_mass_kg(ct_image.volume, union(lungs_ct)) if lungs_ct else None
        # Air surrounds the CT.
        density = resample(density_from_hu(ct_image.volume), image.grid, "mean", outside=0.0)
    on_scout = {name: resample_region(region, image.grid) for name, region in named.items()}
    files = sorted(f for f in regions.rglob("*") if f.is_file()) if regions.is_dir() else None
    inputs = (image.source, *((ct_image.source,) if ct_image else ()), InputFile.of("regions", regions, files))
    answer = _scout_of(image, on_scout, sorted_, density, mass, tuple(map(str, found.messages)))
    return replace(answer, ct=None if ct_image is None else ct_image.volume, inputs=inputs)


def _scout_of(
    image: Image,
    regions: Mapping[str, Region],
    kinds: Mapping[str, Structure],
    density: Volume | None,
    lung_mass: float | None,
    warnings: tuple[str, ...],
) -> Scout:
    def of(*wanted: Structure) -> dict[str, Region]:
        return {name: region for name, region in regions.items() if kinds[name] in wanted and not region.is_empty}

    livers, lungs, tumours = of(Structure.LIVER), of(*LUNG_KINDS), of(Structure.TUMOUR)
    if len(livers) > 1:
        raise InputError(f"several structures are called liver: {', '.join(livers)}; say which with --kind")
    known = {Structure.LIVER, Structure.TUMOUR, Structure.PERFUSED, *LUNG_KINDS}
    liver = next(iter(livers.values()), None)
    if liver is not None and tumours:
        liver = (liver | union(list(tumours.values()))).renamed("liver")
    return Scout(
        image=image.volume,
        liver=liver,
        lungs=union(list(lungs.values())).renamed("lungs") if lungs else None,
        tumours=tumours,
        territories=of(Structure.PERFUSED),
        others={name: region for name, region in regions.items() if kinds[name] not in known},
        density=density,
        ct_lung_mass_kg=lung_mass,
        warnings=(*map(str, image.messages), *warnings),
    )


def _require_together(image: Image, ct: Image, *, registered: bool) -> None:
    if image.context is not None and ct.context is not None and image.context.patient_id != ct.context.patient_id:
        raise InputError(
            f"the scout is of patient {image.context.patient_id!r}, the CT of {ct.context.patient_id!r}: "
            "they must be of one patient"
        )
    if not registered and not image.grid.shares_frame(ct.grid):
        raise GeometryError(
            "scout and CT have different frames of reference; register them first, or state with --registered that "
            "they are"
        )


def _in_frame(volume: Volume, ct: Image) -> Volume:
    frame = ct.grid.frame_of_reference or volume.grid.frame_of_reference
    grid = volume.grid.with_frame_of_reference(frame)
    return Volume(grid, volume.values, volume.kind, volume.time, volume.name)


@dataclass(frozen=True, slots=True)
class ShuntAnswer:
    """What ``hepatica lsf`` says: the shunt, the lungs' mass, uptake elsewhere."""

    shunt: LungShunt
    lung_mass_kg: float | None
    share_elsewhere: float | None
    elsewhere: tuple[ExtrahepaticUptake, ...]
    warnings: tuple[str, ...]
    inputs: tuple[InputFile, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return self.shunt.as_dict() | {
            "lung_mass_kg": self.lung_mass_kg,
            "share_elsewhere": self.share_elsewhere,
            "extrahepatic": [blob.as_dict() for blob in self.elsewhere],
            "warnings": [*self.shunt.warnings, *self.warnings],
            "provenance": Provenance(self.inputs, steps=(f"lung shunt by {self.shunt.method}",)).as_dict(),
        }


def spect_shunt(
    scout: Scout, options: SpectOptions, *, planned: tuple[float, DoseConstant] | None = None
) -> ShuntAnswer:
    """Lung shunt of a SPECT/CT, with what lies outside liver and lungs (and its dose at a planned activity, GBq)."""
    liver, lungs = scout.need("liver", "lungs")
    shunt = spect_lung_shunt(scout.image, lungs, liver, density=scout.density, options=options)
    elsewhere = extrahepatic_uptake(scout.image, liver, lungs, organs=scout.others, planned=planned)
    share = share_elsewhere(scout.image, liver, lungs)
    warnings = list(scout.warnings)
    if share > 0.1:
        warnings.append(f"{share:.0%} of the image lies outside liver and lungs: find it before planning")
    if any(blob.may_be_free_pertechnetate for blob in elsewhere):
        from hepatica.planning.scout.extrahepatic import NOTE

        warnings.append(NOTE)
    return ShuntAnswer(shunt, scout.ct_lung_mass_kg, share, elsewhere, tuple(warnings), scout.inputs)


@dataclass(frozen=True, slots=True)
class UptakeAnswer:
    """What ``hepatica tn`` says: T/N per lesion and overall, masses, volumes."""

    lesions: tuple[UptakeRatio, ...]
    overall: UptakeRatio
    masses_kg: Mapping[str, float]
    volumes: LiverVolumes
    warnings: tuple[str, ...]
    inputs: tuple[InputFile, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "lesions": [lesion.as_dict() for lesion in self.lesions],
            "overall": self.overall.as_dict(),
            "masses_kg": dict(self.masses_kg),
            "volumes": self.volumes.as_dict(),
            "warnings": list(self.warnings),
            "provenance": Provenance(self.inputs, steps=("T/N from contents and masses of the structures",)).as_dict(),
        }


def uptake_of_scout(
    scout: Scout,
    *,
    territory: str | None = None,
    fwhm_mm: float | None = None,
    content_relative_sd: float | None = None,
    mass_relative_sd: float | None = None,
) -> UptakeAnswer:
    """T/N of every lesion against the normal liver (of a territory, if one is named), under both definitions."""
    (liver,) = scout.need("liver")
    if not scout.tumours:
        raise InputError("no structure among the regions is a tumour; name it with --kind 'NAME=tumour'")
    warnings = list(scout.warnings)
    density = scout.density
    if density is None:
        values = np.full(scout.image.grid.shape, SOFT_TISSUE_G_ML, dtype=np.float32)
        density = Volume(scout.image.grid, values, Kind.DENSITY)
        warnings.append(f"no CT was given: masses are volumes times {SOFT_TISSUE_G_ML} g/mL")
    normal = liver - union(list(scout.tumours.values()))
    tumours = dict(scout.tumours)
    if territory is not None:
        if territory not in scout.territories:
            from hepatica.errors import UnknownNameError

            raise UnknownNameError("territory", territory, scout.territories)
        normal = normal & scout.territories[territory]
        tumours = {name: region & scout.territories[territory] for name, region in tumours.items()}
        left_out = [name for name, region in tumours.items() if region.is_empty]
        warnings += [f"{name} lies outside {territory} and is left out" for name in left_out]
        tumours = {name: region.renamed(name) for name, region in tumours.items() if not region.is_empty}
    sds = {"content_relative_sd": content_relative_sd, "mass_relative_sd": mass_relative_sd}
    base = uptake_of(scout.image, normal.renamed("normal liver"), density, **sds)
    taken = [uptake_of(scout.image, region, density, **sds) for region in tumours.values()]
    lesions = tuple(uptake_ratio(lesion, base, fwhm_mm=fwhm_mm) for lesion in taken)
    masses = {lesion.name: lesion.mass_kg for lesion in taken} | {"normal liver": base.mass_kg}
    volumes = liver_volumes(liver, list(scout.tumours.values()), scout.territories)
    warnings += [w for lesion in lesions for w in (f"{lesion.name}: {text}" for text in lesion.warnings)]
    return UptakeAnswer(
        lesions,
        overall_uptake_ratio(taken, base),
        masses,
        volumes,
        (*warnings, *volumes.warnings),
        scout.inputs,
    )
