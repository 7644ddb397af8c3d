"""Tumour-to-normal ratio per lesion and overall, under both definitions, with uncertainty and partial-volume note.

- mass-concentration ratio T/N: (A_T / m_T) / (A_N / m_N); what the partition model takes.
- activity ratio R: A_T / A_N; what Kao's artery-specific model takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hepatica.anatomy.registration.quality.position import position_sd, shifted_images
from hepatica.anatomy.structures.clinical import union
from hepatica.anatomy.structures.masses import mass_of
from hepatica.core import Estimate, Grid, Kind, Region, Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message, unique
from hepatica.core.options import Fraction, Positive, options
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.intervals import Interval, NormalPair, root_sum_square
from hepatica.planning.scout.volumes import LiverVolumes, liver_volumes

SMALL_LESION_RECOVERY = 0.8
"""Below this expected recovery a lesion's T/N is called biased."""


SOFT_TISSUE_G_ML = 1.05
"""Density taken where no CT is given (Taranis' liver density); said in a message."""


@options
class UptakeOptions:
    """How T/N is taken.

    Attributes
    ----------
    territory : str or None
        Perfused structure in which T/N is taken; the whole liver if not given.
    response_mm : float or None
        Resolution of the image (FWHM), for the partial-volume note.
    count_relative_sd : float or None
        Relative standard uncertainty of each content.
    mass_relative_sd : float or None
        Relative standard uncertainty of each mass.
    """

    territory: str | None = None
    response_mm: Positive | None = None
    count_relative_sd: Fraction | None = None
    mass_relative_sd: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Uptake:
    """What one region holds and weighs.

    Attributes
    ----------
    name : str
        Of the region.
    content : float
        Counts or activity, any unit, the same for all.
    mass_kg : float
        In kg.
    content_relative_sd, mass_relative_sd : float or None
        Relative standard uncertainties; None where unknown.
    volume_ml : float or None
        For the partial-volume note.
    """

    name: str
    content: float
    mass_kg: float
    content_relative_sd: float | None = None
    mass_relative_sd: float | None = None
    volume_ml: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mass_kg) and self.mass_kg > 0):
            raise InputError(f"{self.name}: mass must be positive, not {self.mass_kg:g} kg")
        if not math.isfinite(self.content):
            raise InputError(f"{self.name}: content is not finite")

    @property
    def concentration(self) -> float:
        """Content per kg."""
        return self.content / self.mass_kg


@dataclass(frozen=True, slots=True)
class UptakeRatio:
    """Tumour against normal liver.

    Attributes
    ----------
    name : str
        Lesion, or "all lesions".
    tumour_to_normal : Estimate
        T/N by activity per mass, with its standard uncertainty (k = 1).
    interval_95 : Interval or None
        Fieller's, of T/N.
    activity_ratio : float
        R = A_T / A_N.
    expected_recovery : float or None
        Share of a uniform sphere's signal that a camera of the stated resolution leaves inside it.
    messages : tuple of Message
        Partial-volume note and others; each names the lesion.
    position_relative_sd : float or None
        Relative standard uncertainty of T/N by the transform that brought scout and structures together, which is in
        that of T/N where this is known; 0 where there was none, None where it is not known.
    """

    name: str
    tumour_to_normal: Estimate
    interval_95: Interval | None
    activity_ratio: float
    expected_recovery: float | None = None
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)
    position_relative_sd: float | None = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class LiverOnCt:
    """Liver, tumours and territories on the CT's own voxels, for their masses.

    Attributes
    ----------
    liver : Region
        With its tumours.
    tumours, territories : mapping of str to Region
        By name.
    density : Volume
        g/mL on the CT's grid.
    within : Grid
        Of the scout: only what lies in it counts.
    """

    liver: Region
    tumours: Mapping[str, Region]
    territories: Mapping[str, Region]
    density: Volume
    within: Grid

    def masses_kg(self, territory: str | None) -> dict[str, float]:
        """Mass of normal liver and of each lesion, of what lies in a territory where one is named."""
        normal, lesions = _parts(self.liver, self.tumours, self.territories, territory)
        return {region.name: mass_of(region, self.density, self.within) / 1000 for region in (normal, *lesions)}


def _parts(
    liver: Region, tumours: Mapping[str, Region], territories: Mapping[str, Region], territory: str | None
) -> tuple[Region, list[Region]]:
    """Normal liver and lesions, of the whole liver or in a territory; UnknownNameError if it is not there."""
    normal, lesions = liver - union(list(tumours.values())), list(tumours.values())
    if territory is not None:
        perfused = territories.get(territory)
        if perfused is None:
            raise UnknownNameError("territory", territory, territories)
        normal, lesions = normal & perfused, [(region & perfused).renamed(region.name) for region in lesions]
    return normal.renamed("normal liver"), lesions


def uptake_of(
    image: Volume,
    region: Region,
    density: Volume,
    *,
    content_relative_sd: float | None = None,
    mass_relative_sd: float | None = None,
    mass_kg: float | None = None,
) -> Uptake:
    """Content and mass of a region from an image (counts, Bq, Bq/mL) and a density (g/mL) on one grid.

    `mass_kg` takes the place of the density's mass where it is known from finer voxels.
    """
    if region.is_empty:
        raise InputError(f"region {region.name!r} is empty")
    mass = mass_kg or region.mass_g(density) / 1000
    return Uptake(region.name, region.total(image), mass, content_relative_sd, mass_relative_sd, region.volume_ml)


def uptake_ratio(
    lesion: Uptake, normal: Uptake, *, response_mm: float | None = None, position_relative_sd: float | None = 0.0
) -> UptakeRatio:
    """T/N of a lesion against normal liver; the uncertainty needs that of contents, masses and position.

    With the resolution of the image (`response_mm`, FWHM) the share of a lesion's contrast that it keeps is stated.

    Raises
    ------
    InputError
        If normal liver holds nothing, or the lesion less than nothing: there is no ratio.
    """
    if not normal.content > 0:
        raise InputError(f"{normal.name} holds no activity: T/N has no value; check regions and registration")
    if not lesion.content > 0:
        raise InputError(f"{lesion.name} holds no activity: it cannot be planned by its uptake")
    ratio = lesion.concentration / normal.concentration
    rel = [root_sum_square(u.content_relative_sd, u.mass_relative_sd) for u in (lesion, normal)]
    sd, interval = None, None
    if rel[0] is not None and rel[1] is not None and position_relative_sd is not None:
        pair = NormalPair(ratio, 1.0, math.hypot(rel[0], position_relative_sd) * ratio, rel[1])
        sd, interval = pair.ratio_sd(), pair.ratio_interval()
    messages = []
    recovery = None
    if response_mm is not None and lesion.volume_ml is not None:
        recovery = sphere_recovery(lesion.volume_ml, response_mm)
        if recovery < SMALL_LESION_RECOVERY:
            true = 1 + (ratio - 1) / recovery if ratio > 1 else ratio
            text = (
                f"{lesion.name}: partial volume: a {lesion.volume_ml:.1f}-mL sphere keeps {recovery:.0%} of its "
                f"contrast at {response_mm:g} mm FWHM; the true T/N may be about {true:.1f}. Not corrected here"
            )
            messages.append(Message("partial-volume", text))
    if ratio < 1:
        text = f"{lesion.name}: T/N below 1: the lesion takes up less than normal liver"
        messages.append(Message("uptake-below-normal", text))
    share = lesion.content / normal.content
    return UptakeRatio(
        lesion.name, Estimate(ratio, sd), interval, share, recovery, tuple(messages), position_relative_sd
    )


def overall_uptake_ratio(
    lesions: Sequence[Uptake], normal: Uptake, *, position_relative_sd: float | None = 0.0
) -> UptakeRatio:
    """T/N of all lesions taken as one: contents and masses added."""
    if not lesions:
        raise InputError("no lesions: there is no T/N")

    def together(values: list[float], relative: list[float | None]) -> float | None:
        known = [r for r in relative if r is not None]
        if len(known) < len(relative):
            return None
        return math.hypot(*(v * r for v, r in zip(values, known, strict=True))) / abs(math.fsum(values))

    contents, weights = [u.content for u in lesions], [u.mass_kg for u in lesions]
    every = Uptake(
        "all lesions",
        math.fsum(contents),
        math.fsum(weights),
        together(contents, [u.content_relative_sd for u in lesions]),
        together(weights, [u.mass_relative_sd for u in lesions]),
    )
    return uptake_ratio(every, normal, position_relative_sd=position_relative_sd)


@dataclass(frozen=True, slots=True)
class ScoutUptake:
    """T/N per lesion and overall, with the masses and volumes that it rests on.

    Attributes
    ----------
    lesions : tuple of UptakeRatio
        One by one.
    overall : UptakeRatio
        All lesions taken as one.
    masses_kg : mapping of str to float
        Of each lesion and of the normal liver.
    volumes : LiverVolumes
        Liver, tumours, territories.
    messages : tuple of Message
        What a reader must know.
    """

    lesions: tuple[UptakeRatio, ...]
    overall: UptakeRatio
    masses_kg: Mapping[str, float]
    volumes: LiverVolumes
    messages: tuple[Message, ...] = field(metadata=HIDDEN)


def scout_uptake(
    image: Volume,
    liver: Region,
    tumours: Mapping[str, Region],
    *,
    density: Volume | None = None,
    territories: Mapping[str, Region] | None = None,
    on_ct: LiverOnCt | None = None,
    options: UptakeOptions = UptakeOptions(),
    position_sd_mm: float | None = 0.0,
) -> ScoutUptake:
    """T/N of every lesion against the normal liver (of a territory, if one is named).

    Parameters
    ----------
    image : Volume
        Counts, Bq or Bq/mL.
    liver : Region
        With its tumours, on the image's grid.
    tumours, territories : mapping of str to Region
        By name, on the image's grid.
    density : Volume, optional
        g/mL, for masses; without it 1.05 g/mL is taken, and said.
    on_ct : LiverOnCt, optional
        The same on the CT's own voxels: masses are then those.
    options : UptakeOptions
        Territory, resolution, uncertainties.
    position_sd_mm : float or None
        Standard uncertainty along each axis of the transform that brought scout and structures together; 0 where there
        was none, None where it is not known.

    Raises
    ------
    InputError
        If there is no tumour, or a region holds nothing.
    UnknownNameError
        If the territory is not among the perfused structures.
    """
    if not tumours:
        raise InputError("no structure is a tumour", remedy="state `structure_roles`: 'NAME=tumour'")
    messages = []
    if density is None:
        density = Volume(image.grid, np.full(image.grid.shape, SOFT_TISSUE_G_ML, dtype=np.float32), Kind.DENSITY)
        text = f"no CT was given: masses are volumes times {SOFT_TISSUE_G_ML} g/mL"
        messages.append(Message("mass-without-ct", text, "give `ct`"))
    normal, lesions = _parts(liver, tumours, territories or {}, options.territory)
    messages += [
        Message("lesion-outside-territory", f"{region.name} lies outside {options.territory} and is left out")
        for region in lesions
        if region.is_empty
    ]
    masses = {} if on_ct is None else on_ct.masses_kg(options.territory)
    sds = (options.count_relative_sd, options.mass_relative_sd)
    here = [normal, *(region for region in lesions if not region.is_empty)]
    base, *taken = (
        uptake_of(
            image, region, density, content_relative_sd=sds[0], mass_relative_sd=sds[1], mass_kg=masses.get(region.name)
        )
        for region in here
    )
    *each, together = _position_relative_sd(image, here, [base, *taken], position_sd_mm)
    ratios = tuple(
        uptake_ratio(lesion, base, response_mm=options.response_mm, position_relative_sd=sd)
        for lesion, sd in zip(taken, each, strict=True)
    )
    overall = overall_uptake_ratio(taken, base, position_relative_sd=together)
    volumes = liver_volumes(liver, list(tumours.values()), territories or {})
    return ScoutUptake(
        lesions=ratios,
        overall=overall,
        masses_kg={lesion.name: lesion.mass_kg for lesion in taken} | {"normal liver": base.mass_kg},
        volumes=volumes,
        messages=unique(messages, *(row.messages for row in (*ratios, overall)), volumes.messages),
    )


def _position_relative_sd(
    image: Volume, regions: Sequence[Region], uptakes: Sequence[Uptake], sd_mm: float | None
) -> list[float | None]:
    """Of T/N of each lesion and of all as one; normal liver is the first of regions and uptakes."""
    if not sd_mm:
        return [sd_mm] * len(uptakes)
    masses = np.array([u.mass_kg for u in uptakes])
    here = np.array([u.content for u in uptakes])
    moved = np.array([[region.total(shifted) for region in regions] for shifted in shifted_images(image, sd_mm)])
    # One row for the place as it is, one for each shift; contents of lesions and then of all of them.
    contents = np.vstack([here, moved])
    lesions = np.column_stack([contents[:, 1:], contents[:, 1:].sum(axis=1)])
    weights = np.append(masses[1:], masses[1:].sum())
    if (contents[:, 0] <= 0).any():
        return [None] * len(uptakes)
    ratios = (lesions / weights) / (contents[:, :1] / masses[0])
    return [position_sd(row[0], row[1:]) / row[0] if row[0] > 0 else None for row in ratios.T.tolist()]


def sphere_recovery(volume_ml: float, fwhm_mm: float) -> float:
    """Mean over a uniform sphere of its own image blurred by an isotropic Gaussian, no background: 0 to 1.

    Notes
    -----
    Two points of the sphere at distance r; the overlap of a sphere with itself shifted by r is
    ``1 - 3r/4R + r^3/16R^3``, averaged over the blur's distance distribution (Maxwell).

    >>> round(sphere_recovery(26.52, 10.0), 2)
    0.73
    """
    if not (volume_ml > 0 and fwhm_mm > 0):
        raise InputError("a sphere's recovery needs a positive volume and resolution")
    radius = (3 * volume_ml * 1000 / (4 * math.pi)) ** (1 / 3)
    sigma = fwhm_mm / FWHM_PER_SD
    r = np.linspace(0, 2 * radius, 2001)
    overlap = 1 - 3 * r / (4 * radius) + r**3 / (16 * radius**3)
    distribution = math.sqrt(2 / math.pi) * r**2 / sigma**3 * np.exp(-(r**2) / (2 * sigma**2))
    return float(np.trapezoid(overlap * distribution, r))
