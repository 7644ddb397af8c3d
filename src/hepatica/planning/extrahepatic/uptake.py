"""Uptake outside liver and lungs: where, how much, how sure, and what dose it would mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.kinds import Structure
from hepatica.anatomy.structures.names import organ_of
from hepatica.core import Estimate, Grid, Kind, Region, Volume
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.core.options import Fraction, NonNegative, options
from hepatica.core.resample import resample, resample_region
from hepatica.errors import InputError, NowhereToLookError
from hepatica.planning.extrahepatic.background import Background, Mask, Values, background_of, blurred
from hepatica.planning.extrahepatic.content import Content, contents
from hepatica.planning.extrahepatic.position import landmarks, position_of
from hepatica.planning.extrahepatic.significance import FILTER_MM, Significance, significance, with_negatives

FREE_PERTECHNETATE_SITES = frozenset(
    {
        Structure.THYROID,
        Structure.SALIVARY,
        Structure.STOMACH,
        Structure.KIDNEY,
        Structure.BLADDER,
        Structure.SMALL_BOWEL,
        Structure.COLON,
        Structure.BOWEL,
    }
)
"""Where 99mTc goes that came off its particles: gastric wall, thyroid, salivary glands, kidneys and what they fill."""

MAX_SHARE_ELSEWHERE = 0.1
"""Share of the image outside liver and lungs above which the reader is told."""

TISSUE_G_ML = 1.04
"""Soft tissue (ICRU Report 44), where no CT tells the density of a place."""

CONTOUR = 0.41
"""Border of a place, in its highest excess: the contour that gives small spheres in PET and SPECT their volume (EANM
guideline for FDG PET: Boellaard et al., Eur J Nucl Med Mol Imaging 2015;42:328)."""

CONTOUR_REACH_MM = 60.0
"""A contour that runs farther from its peak is another place's, or the liver's."""

SECOND_OF_FIRST = 0.2
"""A peak lower than this beside a higher one may be noise on its flank."""

SHARE_BELOW_ZERO = 0.01
"""Share of the voxels away from liver and lungs below zero from which on the image's noise goes there: that of a linear
reconstruction, which half of the voxels show where nothing lies."""

SHARPNESS = 0.1
"""Standard uncertainty of that border, in resolutions: volumes of spheres in OSEM images of 12 to 18 mm come out at
0.66 to 1.3 times the truth where they are larger than the resolution, twice it where they are smaller."""

PERTECHNETATE = Message(
    "free-pertechnetate",
    "uptake in thyroid, stomach wall, salivary glands, kidneys or bladder may be free 99mTc-pertechnetate instead of "
    "particles",
    "check the time since injection, the labelling yield, and whether an artery explains the site",
)


FINEST_MM, MOST_VOXELS = 4.8, 1_500_000
"""Images of more voxels are searched in voxels of this size: well below the resolution of SPECT and PET."""

NEAR_MM = 40.0
"""Thickness of the shell around liver and lungs that tells what level tissue has."""


@options
class SearchOptions:
    """How places with uptake are looked for.

    Attributes
    ----------
    false_positive_rate : float
        Share of images without any deposit in which noise would show one, over all voxels searched together.
    margin_mm : float
        Skin around liver and lungs in which nothing is looked for (spill-out, breathing); a voxel at least, since the
        next one to an organ may hold a part of it.
    lowest_of_liver_mean : float
        A place's excess is at least this fraction of the liver's mean concentration: what is less harms nobody where
        the liver itself is to live, and unevenness of tissue looks like it.
    """

    false_positive_rate: Fraction = 0.05
    margin_mm: NonNegative = 10.0
    lowest_of_liver_mean: NonNegative = 0.05


@dataclass(frozen=True, slots=True)
class ExtrahepaticUptake:
    """One place outside liver and lungs that is brighter than noise makes it.

    Attributes
    ----------
    site : str
        The drawn organ that holds most of it, else its position by liver and body.
    organ : str
        Role of that organ; empty for a place in none.
    position : str
        Where it lies, whether or not an organ is drawn there.
    hint : str
        What lies there in most people, or what else may explain it; no finding.
    centre_lps_mm : tuple of float
        Centre of activity, LPS mm.
    liver_distance_mm : float
        From its centre to the liver's surface.
    volume_ml : float
        Within the contour of 41 % of its highest excess.
    mass_kg : Estimate
        Of that, by the CT's density or 1.04 g/mL; its uncertainty is that of the border.
    activity_share : Estimate
        Of everything in the image: background and spill-out taken off, what blur carried out of it put back. Its
        uncertainty is None where the background is so even that it does not tell the image's noise.
    dose_gy : Estimate or None
        Mean dose within the contour at the activity asked about, all decays in place; None without an activity.
    p_value : float
        Probability that noise alone shows a place as bright anywhere in an image without one.
    below_resolution : bool
        Whether it is no larger than the image can tell: its volume is then too large and its dose too low.
    at_image_edge : bool
        Whether it touches the edge of the image, so that a part of it may be missing.
    outside_body : bool or None
        Whether it lies outside the body that the CT shows; None without a CT.
    may_be_free_pertechnetate : bool
        Whether the site is one where free pertechnetate goes.
    """

    site: str
    organ: str
    position: str
    hint: str
    centre_lps_mm: tuple[float, float, float]
    liver_distance_mm: float
    volume_ml: float
    mass_kg: Estimate
    activity_share: Estimate
    dose_gy: Estimate | None
    p_value: float
    below_resolution: bool = False
    at_image_edge: bool = False
    outside_body: bool | None = None
    may_be_free_pertechnetate: bool = False


@dataclass(frozen=True, slots=True)
class OrganUptake:
    """What a drawn organ outside liver and lungs holds, whatever the test says.

    Attributes
    ----------
    name : str
        Of the structure.
    organ : str
        Its role.
    mass_kg : float
        Outside the liver.
    activity_share : Estimate
        Of everything in the image; spill-out of liver and lungs taken off, what blur carried out of it put back.
    p_value : float
        As of a place, at the organ's highest voxel in the volume searched; 1 where all of it lies within the margin.
    """

    name: str
    organ: str
    mass_kg: float
    activity_share: Estimate
    p_value: float


@dataclass(frozen=True, slots=True)
class ExtrahepaticTest:
    """The test for uptake outside liver and lungs.

    Attributes
    ----------
    false_positive_rate : float
        Share of images without a deposit in which noise shows one, at most.
    searched_ml : float
        Volume in which it looked: liver, lungs and their margin are not in it.
    response_mm : float
        Resolution of the image (FWHM), from the liver's edge; 0 where it is sharp.
    smallest_share : float
        Share of the image that a point away from the liver must hold so that the test finds it.
    """

    false_positive_rate: float
    searched_ml: float
    response_mm: float
    smallest_share: float


@dataclass(frozen=True, slots=True)
class ExtrahepaticSearch:
    """What the search outside liver and lungs came to.

    Attributes
    ----------
    places : tuple of ExtrahepaticUptake
        Largest share first.
    organs : tuple of OrganUptake
        Every organ that is drawn.
    test : ExtrahepaticTest
        What was tested, and how sharply.
    highest_share_per_kg : float
        Largest share per mass over about 1 mL in the volume searched: more than any organ there holds.
    """

    places: tuple[ExtrahepaticUptake, ...]
    organs: tuple[OrganUptake, ...]
    test: ExtrahepaticTest
    highest_share_per_kg: float = field(metadata=HIDDEN)

    def messages(self, *, technetium: bool = True) -> tuple[Message, ...]:
        """What a reader must know; free pertechnetate only of 99mTc."""
        found = [_about(place) for place in self.places]
        if technetium and any(place.may_be_free_pertechnetate for place in self.places):
            found.append(PERTECHNETATE)
        return tuple(found)


def certainty(p_value: float) -> str:
    """Probability of noise alone, in words."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def _about(place: ExtrahepaticUptake) -> Message:
    dose = "" if place.dose_gy is None else f", {_text(place.dose_gy, '.0f')} Gy"
    more = f" ({place.hint})" if place.hint else ""
    share = _text(place.activity_share * 100.0, ".2f")
    doubt = " (uncertainty not known)" if place.activity_share.sd is None else ""
    text = (
        f"uptake outside liver and lungs: {place.site}{more}: {share} % of the image{dose}{doubt}, "
        f"{certainty(place.p_value)}"
    )
    return Message("uptake-found-elsewhere", text, "look for the artery that feeds it before treatment")


def _text(value: Estimate, form: str) -> str:
    return f"{value.value:{form}}" if value.sd is None else f"{value.value:{form}} ± {value.sd:{form}}"


def extrahepatic_search(  # noqa: PLR0913 - what is known of one image, all but the first three by keyword
    image: Volume,
    liver: Region,
    lungs: Region,
    *,
    organs: Mapping[str, Region] | None = None,
    roles: Mapping[str, Structure] | None = None,
    density: Volume | None = None,
    energy_j: float | None = None,
    seen: Region | None = None,
    options: SearchOptions = SearchOptions(),
) -> ExtrahepaticSearch:
    """Places outside liver and lungs that noise does not explain, and what the organs drawn there hold.

    Parameters
    ----------
    image : Volume
        Counts, rate, Bq, Bq/mL or decays.
    liver, lungs : Region
        On the image's grid.
    organs : mapping of str to Region
        Organs drawn, on the image's grid, by name.
    roles : mapping of str to Structure
        What they are, where the name alone does not say.
    density : Volume, optional
        g/mL on the image's grid, from the CT: masses, and where the body ends.
    energy_j : float, optional
        Energy that all decays of the activity asked about leave (J), for doses.
    seen : Region, optional
        Where the scanner sees well, on the image's grid: beyond it single counts make bright voxels, and nothing is
        looked for. None for everywhere.
    options : SearchOptions
        Rate of false alarms, margin, smallest excess.

    Raises
    ------
    InputError
        If the liver holds no activity.
    UnitError, GeometryError
        If the image is none of these, or a region is on another grid.
    """
    image.require_kind(Kind.COUNTS, Kind.COUNT_RATE, Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION, Kind.DECAYS)
    image.require_finite()
    drawn = {name: region for name, region in (organs or {}).items() if not region.is_empty}
    for region in (liver, lungs, *drawn.values(), *([] if seen is None else [seen])):
        region.grid.require_match(image.grid, f"region {region.name!r} and {image.name or 'image'}")
    exact = _held(image, liver, lungs, drawn)
    grid = _search_grid(image.grid)
    if grid is not image.grid:
        image = resample(image, grid, "total" if image.kind.extensive else "mean")
        liver, lungs = resample_region(liver, grid), resample_region(lungs, grid)
        drawn = {name: resample_region(region, grid) for name, region in drawn.items()}
        density = None if density is None else resample(density, grid, "mean")
        seen = None if seen is None else resample_region(seen, grid)
    scene = _scene(image, liver, lungs, density, options, seen)
    marked = _marked(scene, options)
    places = _places(scene, marked, drawn, roles or {}, energy_j)
    return ExtrahepaticSearch(
        places=tuple(sorted(places, key=lambda place: -place.activity_share.value)),
        organs=_organ_uptake(scene, drawn, roles or {}, exact),
        test=ExtrahepaticTest(
            options.false_positive_rate,
            float(scene.domain.sum()) * image.grid.voxel_volume_ml,
            scene.seen.response_mm,
            _smallest_share(scene, options),
        ),
        highest_share_per_kg=_highest(scene),
    )


def _search_grid(grid: Grid) -> Grid:
    """Voxels of at least 4.8 mm where there are many: finer ones only make work."""
    finest = [max(mm, FINEST_MM) for mm in grid.spacing_mm]
    return grid if grid.size <= MOST_VOXELS else grid.with_spacing(finest)


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    image: Volume
    liver: Region
    lungs: Region
    density: Volume | None
    inner: Mask
    domain: Mask
    body: Region | None
    seen: Background
    test: Significance
    total: float


def _scene(
    image: Volume, liver: Region, lungs: Region, density: Volume | None, options: SearchOptions, well: Region | None
) -> _Scene:
    from scipy import ndimage

    values = image.values.astype(np.float64)
    own_liver = liver.mask()
    inner = own_liver | lungs.mask()
    total = float(values.sum())
    if not (inner.any() and own_liver.any() and float(values[own_liver].mean()) > 0 and total > 0):
        raise InputError("the liver holds no activity: nothing to compare extrahepatic uptake with")
    spacing = image.grid.spacing_mm
    distance = ndimage.distance_transform_edt(~inner, sampling=spacing)
    margin = max(options.margin_mm, *spacing)
    domain = distance > margin
    if well is not None:
        domain &= well.mask()
    if not domain.any():
        raise NowhereToLookError("liver and lungs fill the image: there is nowhere to look for uptake outside them")
    seen = background_of(values, own_liver, inner & ~own_liver, distance, domain, spacing)
    near = domain & (distance <= margin + NEAR_MM)
    test = significance(seen, domain, near, spacing)
    if float((values[domain] < 0).mean()) > SHARE_BELOW_ZERO:
        along = int(np.argmax(np.abs(image.grid.affine[2, :3])))
        test = with_negatives(test, seen, domain, spacing, along)
    return _Scene(image, liver, lungs, density, inner, domain, _body(density), seen, test, total)


def _body(density: Volume | None) -> Region | None:
    """Body by density: above 0.3 g/mL, holes filled slice by slice; None without a CT."""
    from scipy import ndimage

    if density is None:
        return None
    labels, count = ndimage.label(density.values > 0.3)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    mask = labels == int(np.argmax(sizes))
    filled = np.stack([ndimage.binary_fill_holes(mask[:, :, k]) for k in range(mask.shape[2])], axis=2)
    return Region.from_coverage("body", density.grid, filled)


def _marked(scene: _Scene, options: SearchOptions) -> list[tuple[Mask, float]]:
    """Each place as the voxels within its contour, with its greatest height."""
    from scipy import ndimage

    test = scene.test
    least = options.lowest_of_liver_mean * scene.seen.liver_mean
    hot = scene.domain & (test.height > test.threshold(options.false_positive_rate)) & (test.excess > least)
    if not hot.any():
        return []
    structure = np.ones((3, 3, 3))
    labels, _ = ndimage.label(hot, structure=structure)
    sharp = _sharp(scene)
    found: list[tuple[Mask, float]] = []
    taken = np.zeros(hot.shape, dtype=bool)
    for peak in _peaks(scene, labels):
        level = CONTOUR * float(sharp[_around(peak)].max())
        window = _around(peak, [round(CONTOUR_REACH_MM / mm) for mm in scene.image.grid.spacing_mm])
        above, _ = ndimage.label((sharp[window] >= level) & ~scene.inner[window], structure=structure)
        own = above == above[tuple(p - w.start for p, w in zip(peak, window, strict=True))]
        mask = np.zeros(hot.shape, dtype=bool)
        mask[window] = own & (above > 0)
        mask[peak] = True
        if not (mask & taken).any():
            found.append((mask, float(test.height[peak])))
            taken |= mask
    return found


def _around(peak: tuple[int, ...], reach: Sequence[int] = (1, 1, 1)) -> tuple[slice, ...]:
    return tuple(slice(max(0, p - n), p + n + 1) for p, n in zip(peak, reach, strict=True))


def _peaks(scene: _Scene, labels: NDArray[np.int32]) -> list[tuple[int, ...]]:
    """Highest voxel of each group of voxels, and lower ones apart from it that its own blur cannot make."""
    from scipy import ndimage

    excess = np.where(labels > 0, scene.test.excess, 0.0)
    local = np.argwhere((labels > 0) & (excess >= ndimage.maximum_filter(excess, size=3)))
    order = sorted((tuple(int(n) for n in p) for p in local), key=lambda p: -float(excess[p]))
    spacing = np.array(scene.image.grid.spacing_mm)
    apart = 1.5 * math.hypot(FILTER_MM, scene.seen.response_mm)
    kept: dict[int, list[tuple[int, ...]]] = {}
    for peak in order:
        others = kept.setdefault(int(labels[peak]), [])
        near = any(float(np.linalg.norm((np.array(peak) - other) * spacing)) < apart for other in others)
        if not others or (not near and excess[peak] > SECOND_OF_FIRST * excess[others[0]]):
            others.append(peak)
    return sorted((peak for peaks in kept.values() for peak in peaks), key=lambda p: -float(excess[p]))


def _sharp(scene: _Scene) -> Values:
    """Excess in single voxels where these are not noisy, else smoothed by half the image's resolution."""
    width = 0.5 * scene.seen.response_mm
    return blurred(scene.seen.rest - scene.seen.level, width, scene.image.grid.spacing_mm)


def _places(
    scene: _Scene,
    marked: Sequence[tuple[Mask, float]],
    drawn: Mapping[str, Region],
    roles: Mapping[str, Structure],
    energy_j: float | None,
) -> list[ExtrahepaticUptake]:
    grid = scene.image.grid
    shapes = {str(n): mask.astype(np.float64) for n, (mask, _) in enumerate(marked)}
    held = contents(shapes, scene.seen, scene.inner, grid.spacing_mm, excess_only=True) if shapes else {}
    marks = landmarks(scene.liver, scene.lungs, scene.body) if marked else None
    found = []
    for n, (mask, height) in enumerate(marked):
        assert marks is not None
        at = np.argwhere(mask)
        weights = np.clip((scene.seen.rest - scene.seen.level)[mask], 1e-12, None)
        centre = grid.to_mm((weights[:, None] * at).sum(axis=0) / weights.sum())
        where, distance = position_of(centre, marks)
        site, organ = _site(mask, drawn, roles)
        near = (organ,) if organ else where.near
        volume = float(mask.sum()) * grid.voxel_volume_ml
        mass = _mass_kg(scene, mask, volume)
        outside = None if scene.body is None else float(scene.body.full()[mask].mean()) < 0.5
        share = _share(held[str(n)], scene.total)
        found.append(
            ExtrahepaticUptake(
                site=site or where.text,
                organ=organ.value if organ else "",
                position=where.text,
                hint=""
                if organ
                else "outside the body: injection site, catheter or contamination"
                if outside
                else where.hint,
                centre_lps_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
                liver_distance_mm=distance,
                volume_ml=volume,
                mass_kg=mass,
                activity_share=share,
                dose_gy=None if energy_j is None else share * Estimate(energy_j, 0.0) / mass,
                p_value=scene.test.p_value(height),
                below_resolution=_diameter_mm(volume) < 1.5 * scene.seen.response_mm,
                at_image_edge=bool((at.min(axis=0) <= 1).any() or (at.max(axis=0) >= np.array(grid.shape) - 2).any()),
                outside_body=outside,
                may_be_free_pertechnetate=not outside and bool(set(near) & FREE_PERTECHNETATE_SITES),
            )
        )
    return found


def _diameter_mm(volume_ml: float) -> float:
    return math.cbrt(6000 * volume_ml / math.pi)


def _mass_kg(scene: _Scene, mask: Mask, volume_ml: float) -> Estimate:
    """Mass of a place, with the uncertainty of its border."""
    density = TISSUE_G_ML if scene.density is None else float(scene.density.values[mask].mean())
    # Gas in the gut holds no activity: its wall does.
    mass = volume_ml * max(density, 0.5 * TISSUE_G_ML) / 1000
    border = max(SHARPNESS * scene.seen.response_mm, 0.5 * max(scene.image.grid.spacing_mm) / math.sqrt(3))
    return Estimate(mass, mass * min(1.0, 6 * border / _diameter_mm(volume_ml)))


def _share(content: Content, total: float) -> Estimate:
    amount = content.amount
    return Estimate(amount.value / total, None if amount.sd is None else amount.sd / total)


def _site(mask: Mask, drawn: Mapping[str, Region], roles: Mapping[str, Structure]) -> tuple[str, Structure | None]:
    """Drawn organ that holds most of a place, if it holds a fifth of it at least."""
    best, most = "", 0.2 * float(mask.sum())
    for name, region in drawn.items():
        inside = float(region.coverage[mask[region.window]].sum())
        if inside >= most:
            best, most = name, inside
    return best, (roles.get(best) or organ_of(best)) if best else None


def _held(image: Volume, liver: Region, lungs: Region, drawn: Mapping[str, Region]) -> dict[str, float]:
    """Share of the image in each organ on the image's own voxels: what an image without blur holds."""
    total = float(image.values.sum(dtype=np.float64))
    own = {name: region - liver - lungs for name, region in drawn.items()}
    return {n: max(0.0, region.total(image) / total) for n, region in own.items() if total > 0 and not region.is_empty}


def _organ_uptake(
    scene: _Scene, drawn: Mapping[str, Region], roles: Mapping[str, Structure], exact: Mapping[str, float]
) -> tuple[OrganUptake, ...]:
    """Share of each organ that is drawn and reaches beyond liver and lungs."""
    grid = scene.image.grid
    inside = np.maximum(scene.liver.full(), scene.lungs.full())
    shapes: dict[str, NDArray[np.float64]] = {}
    for name, region in drawn.items():
        if (roles.get(name) or organ_of(name)) is None:
            continue
        own = np.clip(np.minimum(region.full(), 1 - inside), 0, 1).astype(np.float64)
        if float(own.sum()) > 0:
            shapes[name] = own
    if not shapes:
        return ()
    held = contents(shapes, scene.seen, scene.inner, grid.spacing_mm, excess_only=False)
    out = []
    for name, own in shapes.items():
        organ = roles.get(name) or organ_of(name)
        assert organ is not None
        weight = own if scene.density is None else own * scene.density.values
        mass = float(weight.sum()) * grid.voxel_volume_ml * (TISSUE_G_ML if scene.density is None else 1.0) / 1000
        looked = (own > 0) & scene.domain
        p = scene.test.p_value(float(scene.test.height[looked].max())) if looked.any() else 1.0
        share = _share(held[name], scene.total)
        if not scene.seen.response_mm:
            share = Estimate(exact.get(name, 0.0), share.sd)
        if mass > 0:
            out.append(OrganUptake(name, organ.value, mass, share, p))
    return tuple(out)


def _smallest_share(scene: _Scene, options: SearchOptions) -> float:
    """Share of a point, in the middle of the background, whose smoothed image just reaches the threshold."""
    limit = scene.test.threshold(options.false_positive_rate)
    least = limit * float(np.median(scene.test.spread[scene.domain]))
    least = max(least, options.lowest_of_liver_mean * scene.seen.liver_mean)
    width = math.hypot(FILTER_MM, scene.seen.response_mm)
    # Volume under a Gaussian of unit height: (pi / (4 ln 2))^(3/2) FWHM^3.
    voxels = math.sqrt(math.pi / (4 * math.log(2))) ** 3 * width**3 / (1000 * scene.image.grid.voxel_volume_ml)
    return least * voxels / scene.total


def _highest(scene: _Scene) -> float:
    """Largest share of the image per kg over about 1 mL in the volume searched."""
    from scipy import ndimage

    size = [max(1, round(10.0 / mm)) for mm in scene.image.grid.spacing_mm]
    smooth = ndimage.uniform_filter(scene.image.values.astype(np.float64), size=size)
    highest = float(np.max(smooth, where=scene.domain, initial=0.0))
    return highest / scene.total / (scene.image.grid.voxel_volume_ml * TISSUE_G_ML / 1000)


def share_elsewhere(image: Volume, liver: Region, lungs: Region, *, margin_mm: float = 10.0) -> float:
    """Share of the image's content outside liver and lungs (grown by a margin), 0 to 1; above 0.1 is a warning."""
    from scipy import ndimage

    values = image.values.astype(np.float64)
    inner = liver.mask() | lungs.mask()
    outside = ndimage.distance_transform_edt(~inner, sampling=image.grid.spacing_mm) > margin_mm
    total = float(values.sum())
    if not total > 0:
        raise InputError("the image holds no activity")
    return float(np.clip(values[outside].sum() / total, 0, 1)) if math.isfinite(total) else math.nan


def about_share_elsewhere(share: float) -> tuple[Message, ...]:
    """A warning where much of the image lies outside liver and lungs."""
    if share <= MAX_SHARE_ELSEWHERE:
        return ()
    text = f"{share:.0%} of the image lies outside liver and lungs"
    return (Message("uptake-elsewhere", text, "find it before planning"),)
