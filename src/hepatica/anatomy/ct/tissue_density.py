"""Densities that the CT number does not give: stated ones, and those of soft tissue that holds contrast agent.

Iodine raises the CT number and hardly the density: liver at 141 HU reads as 1.10 g/mL and weighs 1.06, so its dose
would be 4 % low. Where contrast is recognised, soft tissue of drawn organs takes its reference density.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from hepatica.anatomy.ct.hounsfield import structure_doubts
from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure
from hepatica.anatomy.structures.kinds import LUNGS
from hepatica.core import Region, Volume
from hepatica.core.message import Message
from hepatica.core.numbers.units import parse_quantity
from hepatica.core.options import Fraction, Positive, Text, options
from hepatica.errors import InputError, UnitError, UnknownNameError
from hepatica.transport.matter.iodised_oil import (
    HU_PER_MG_ML,
    OIL_G_ML,
    OIL_IODINE_MG_ML,
    density_with_oil,
    oil_g_ml,
)

DensityOrigin = Literal["ct", "stated", "reference", "uniform", "oil"]

SOFT_TISSUE_G_ML: Mapping[Structure, float] = {
    Structure.LIVER: 1.06,
    Structure.LOBE: 1.06,
    Structure.NORMAL_LIVER: 1.06,
    Structure.PERFUSED: 1.06,
    Structure.PERFUSED_NORMAL: 1.06,
    Structure.TUMOUR: 1.06,
    Structure.ALL_TUMOURS: 1.06,
    Structure.SPLEEN: 1.06,
    Structure.KIDNEY: 1.05,
    Structure.HEART: 1.06,
}
"""Adult organs of ICRU Report 46 (1992), appendix A; a tumour of the liver is taken as liver."""

TELLING = frozenset(
    {Structure.LIVER, Structure.NORMAL_LIVER, Structure.LOBE, Structure.SPLEEN, Structure.KIDNEY, Structure.HEART}
)
"""Organs by which contrast is recognised."""

TISSUE_HU = 55.0
"""CT number of liver and tumour without contrast agent or oil, with `SOFT_TISSUE_G_ML` (`UNENHANCED_LIMIT_HU`)."""

OIL_TISSUE_G_ML = 1.06

MOSTLY = 0.5
"""Voxels covered by at least this take a structure's density."""

WHOLE = 0.99
"""Voxels covered by this belong to a structure alone."""

UNENHANCED_LIMIT_HU = 85.0
"""Unenhanced liver has 58.3 +- 8.9 HU (64 livers without a finding, Int J Legal Med 2019;133:1861), spleen and blood
some 10 HU less, kidney 30: a mean above 58.3 + 3 x 8.9 HU is no unenhanced soft tissue (iron and amiodarone apart)."""

SOFT_TISSUE_HU = (0.0, 300.0)
"""Voxels of an enhanced organ that are taken as its tissue: fat and gas lie below; iodised oil, calcification and coils
above."""

SHARE_ABOVE = 0.02
"""Share of an organ above `SOFT_TISSUE_HU` from which on the reader is told that it keeps its CT density."""

DENSE_TUMOUR_HU = 150.0
"""A tumour above this on a CT without contrast agent holds iodised oil or calcium: unenhanced soft tissue and blood
stay below 90 HU. Our choice, above what arterial contrast alone is likely to give."""

BRIGHT_TUMOUR_HU = 100.0
"""An unenhanced tumour is no brighter than liver (`UNENHANCED_LIMIT_HU`); above this, with organs that are not
enhanced, a late arterial phase is likely. Our choice, above that limit by the noise of small tumours."""

Densities = Mapping[str, float]


def structure_densities(texts: Sequence[str | Mapping[str, object]]) -> dict[str, float]:
    """Structure name -> g/mL from texts "NAME=1.06 g/mL", or from the mapping that a TOML file holds.

    Raises
    ------
    InputError
        If a text is no NAME=DENSITY, or one name is given two densities.
    UnitError
        If a density has no unit of density.

    Examples
    --------
    >>> structure_densities(["Liver=1.06 g/mL", "ROI 3 = 1.05 kg/L"])
    {'Liver': 1.06, 'ROI 3': 1.05}
    """
    found: dict[str, float] = {}
    for item in texts:
        for name, given in (item if isinstance(item, Mapping) else _name_and_density(str(item))).items():
            value = (
                given if isinstance(given, float | int) else parse_quantity(str(given), "g/mL", f"density of {name!r}")
            )
            if found.setdefault(name, float(value)) != float(value):
                raise InputError(f"structure {name!r} is given two densities: {found[name]:g} and {value:g} g/mL")
    return found


def _name_and_density(text: str) -> dict[str, object]:
    name, equals, density = text.rpartition("=")
    if not equals or not name.strip() or not density.strip():
        raise InputError(f"{text!r} is not NAME=DENSITY, such as 'Liver=1.06 g/mL'")
    return {name.strip(): density.strip()}


MIN_STATED_G_ML, MAX_STATED_G_ML = 0.05, 3.0
"""A stated density of a structure lies between inflated lung with emphysema and cortical bone with metal."""

STRUCTURE_DENSITY_TEXT = Text(structure_densities, "NAME=N g/mL", whole=True)
"""How an option ``structure_density: Annotated[Mapping[str, float] | None, STRUCTURE_DENSITY_TEXT]`` is read."""


@options
class DensityOptions:
    """Densities that the CT number does not give.

    Attributes
    ----------
    structure_density : mapping of str to float or None
        Density of a structure in g/mL in place of the CT's: 'Liver=1.06 g/mL'.
    contrast_enhanced : {"auto", "yes", "no"}
        Whether the CT is contrast-enhanced: recognised by its header and by the organs drawn, or as stated. Soft tissue
        of drawn organs then has its reference density.
    iodised_oil : tuple of str
        Structures that hold iodised oil: what is brighter than tissue there is taken as oil in tissue, not as bone.
    uniform_density_g_ml : float or None
        Density of the patient where there is no CT.
    outline_fraction : float or None
        Without a CT: share of the highest smoothed activity that outlines the body, with air around it; the whole image
        is the patient if not given.
    """

    structure_density: Annotated[Mapping[str, float] | None, STRUCTURE_DENSITY_TEXT] = None
    contrast_enhanced: Literal["auto", "yes", "no"] = "auto"
    iodised_oil: tuple[str, ...] = ()
    uniform_density_g_ml: Positive | None = None
    outline_fraction: Fraction | None = None

    def __post_init__(self) -> None:
        for name, value in (self.structure_density or {}).items():
            if not (isinstance(value, float | int) and MIN_STATED_G_ML <= value <= MAX_STATED_G_ML):
                raise UnitError(
                    f"density of {name!r}: {value} g/mL is not that of a tissue ({MIN_STATED_G_ML:g} to "
                    f"{MAX_STATED_G_ML:g} g/mL)"
                )
        if both := sorted(set(self.iodised_oil) & set(self.structure_density or {})):
            raise InputError(
                f"structure {both[0]!r} has a stated density and is stated to hold iodised oil, whose density follows "
                "from its CT numbers",
                remedy="state one of the two",
            )
        uniform = self.uniform_density_g_ml
        if uniform is not None and not MIN_STATED_G_ML <= uniform <= MAX_STATED_G_ML:
            raise UnitError(f"`uniform_density_g_ml`: {uniform:g} g/mL is not that of a tissue")
        if self.outline_fraction is not None and not 0 < self.outline_fraction < 1:
            raise InputError("`outline_fraction` is a share of the highest activity: above 0 and below 1")


@dataclass(frozen=True, slots=True, eq=False)
class TissueDensity:
    """Density of every voxel of a CT, and where that of each structure comes from.

    Attributes
    ----------
    density : Volume
        Kind.DENSITY in g/mL.
    origins : mapping of str to str
        Structure -> "stated", "reference" or "oil"; the CT's for all others.
    messages : tuple of Message
        Contrast recognised, densities set.
    conventions : mapping of str to str
        For the provenance.
    oil : Volume or None
        Iodised oil in g/mL of the voxel (Kind.DENSITY), part of `density`; None where none is stated.
    """

    density: Volume
    origins: Mapping[str, DensityOrigin]
    messages: tuple[Message, ...] = ()
    conventions: Mapping[str, str] | None = None
    oil: Volume | None = None

    def origin(self, name: str) -> DensityOrigin:
        """Where the density of a structure comes from."""
        return self.origins.get(name, "ct")


def tissue_density(
    density: Volume,
    hu: Volume,
    structures: Sequence[ClinicalRegion],
    options: DensityOptions = DensityOptions(),
    *,
    contrast_agent: str = "",
) -> TissueDensity:
    """The CT's density with what is stated, and with the reference density of enhanced soft tissue.

    Parameters
    ----------
    density, hu : Volume
        Kind.DENSITY by the HU calibration, and the CT, on one grid.
    structures : sequence of ClinicalRegion
        On the same grid.
    options : DensityOptions
        What is stated.
    contrast_agent : str
        As the header names it; empty where it names none.

    Raises
    ------
    UnknownNameError
        If a density is stated of a structure that is not there.
    GeometryError
        If grids differ.
    """
    stated = dict(options.structure_density or {})
    there = {item.region.name: item for item in structures}
    _require_there(stated, there, "structure with a stated density")
    _require_there(options.iodised_oil, there, "structure with iodised oil")
    settled = {*stated, *options.iodised_oil}
    organs = [item for item in structures if item.structure in SOFT_TISSUE_G_ML and not item.derived]
    enhanced = _enhanced(structures, hu)
    found = options.contrast_enhanced == "yes" or (
        options.contrast_enhanced == "auto" and bool(contrast_agent or enhanced)
    )
    painted = _Painted.of(density, written=found or bool(settled), oil=bool(options.iodised_oil))
    taken = [item for item in organs if item.region.name not in settled] if found else []
    for item in _large_first(taken):
        painted.reference(hu, item)
    inner_last = _large_first([there[name] for name in dict.fromkeys((*options.iodised_oil, *stated))])
    for item in inner_last:
        if item.region.name in stated:
            painted.stated(item, stated[item.region.name], structures)
        else:
            painted.oily(hu, density, item)
    notes: list[Message] = list(structure_doubts(hu, structures, settled))
    if found:
        notes.append(_contrast_message(contrast_agent, enhanced, options, taken, density))
        notes += _dense_parts(taken, hu, painted)
    elif options.contrast_enhanced == "no" and enhanced:
        listed = ", ".join(f"{name} {mean:.0f} HU" for name, mean in enhanced.items())
        text = f"the CT is stated to be without contrast agent, but {listed} is more than unenhanced tissue has"
        notes.append(Message("contrast-against-statement", text, "leave `contrast_enhanced` to be recognised"))
    if not found:
        tumours = [item for item in organs if item.structure is Structure.TUMOUR and item.region.name not in settled]
        dense = _dense_parts(tumours, hu, painted, DENSE_TUMOUR_HU)
        notes += dense or ([] if options.contrast_enhanced == "no" or enhanced else _bright_tumours(tumours, hu))
    for number, item in enumerate(inner_last):
        region = item.region
        if region.name in stated:
            inside = [other.region.name for other in inner_last[number + 1 :] if not (region & other.region).is_empty]
            notes.append(_stated_message(region, density, stated[region.name], inside))
        else:
            notes += [_oil_message(region, density, painted), *_beyond_oil(item, hu)]
    origins = painted.origins(structures, settled={name: "stated" if name in stated else "oil" for name in settled})
    said = _conventions(found, stated, painted.oil)
    return TissueDensity(painted.density(density), origins, tuple(notes), said, painted.oil_volume(density))


KINDS: tuple[DensityOrigin, ...] = ("ct", "reference", "stated", "oil")
BY_CT, REFERENCE, STATED, OIL = range(len(KINDS))


@dataclass(slots=True, eq=False)
class _Painted:
    """Density of every voxel while statements are laid over it, what each comes from, and the oil in it.

    Attributes
    ----------
    values : ndarray of float32
        g/mL; the CT's own array where nothing is written (a copy of a clinical CT has 400 MB).
    kinds : ndarray of uint8, or None
        Number among `KINDS`; None where nothing is written.
    oil : ndarray of float32, or None
        g/mL; None where none is stated.
    """

    values: np.ndarray
    kinds: np.ndarray | None
    oil: np.ndarray | None

    @classmethod
    def of(cls, density: Volume, *, written: bool, oil: bool) -> _Painted:
        if not written:
            return cls(density.values, None, None)
        shape = density.values.shape
        values = np.array(density.values, dtype=np.float32)
        return cls(values, np.zeros(shape, np.uint8), np.zeros(shape, np.float32) if oil else None)

    def reference(self, hu: Volume, item: ClinicalRegion) -> None:
        """Soft tissue of an enhanced organ takes its reference density."""
        at = hu.values[item.region.window]
        soft = (item.region.coverage >= MOSTLY) & (at >= SOFT_TISSUE_HU[0]) & (at <= SOFT_TISSUE_HU[1])
        self._set(item.region, soft, SOFT_TISSUE_G_ML[item.structure], REFERENCE)

    def stated(self, item: ClinicalRegion, density_g_ml: float, structures: Sequence[ClinicalRegion]) -> None:
        """Voxels that lie mostly in it take its density, but for those that it shares with lungs, or lungs with it.

        What the CT shows where liver and lung share a voxel is what both weigh there: by the density of either alone
        the other's mass would change.
        """
        inside = item.region.coverage >= MOSTLY
        is_lung = item.structure in LUNGS
        for other in structures:
            if (
                not other.derived
                and (other.structure in LUNGS) is not is_lung
                and other.structure is not Structure.BODY
            ):
                inside &= ~_shared(item.region, other.region)
        self._set(item.region, inside, density_g_ml, STATED)
        if self.oil is not None:
            self.oil[item.region.window][inside] = 0

    def oily(self, hu: Volume, density: Volume, item: ClinicalRegion) -> None:
        """What is brighter than tissue is oil in tissue; fat, gas and air have the CT's density, whatever is around."""
        if self.oil is None:  # cannot be: an oily structure is stated
            raise AssertionError
        window, inside = item.region.window, item.region.coverage >= MOSTLY
        at = hu.values[window]
        found = np.where(at >= SOFT_TISSUE_HU[0], oil_g_ml(at, TISSUE_HU), np.float32(0))
        made = np.where(at >= SOFT_TISSUE_HU[0], density_with_oil(found, OIL_TISSUE_G_ML), density.values[window])
        self._set(item.region, inside, made[inside], OIL)
        self.oil[window][inside] = found[inside]

    def _set(self, region: Region, where: np.ndarray, density_g_ml: float | np.ndarray, kind: int) -> None:
        if self.kinds is None:  # cannot be: something is written
            raise AssertionError
        self.values[region.window][where] = density_g_ml
        self.kinds[region.window][where] = kind

    def by_ct(self, region: Region) -> np.ndarray:
        """Voxels of a region's window that no statement has changed."""
        if self.kinds is None:
            return np.ones(region.coverage.shape, bool)
        return np.asarray(self.kinds[region.window] <= REFERENCE)

    def origins(
        self, structures: Sequence[ClinicalRegion], settled: Mapping[str, DensityOrigin]
    ) -> dict[str, DensityOrigin]:
        """What most of each structure has its density from, where that is not the CT; of settled ones as they are."""
        if self.kinds is None:
            return {}
        found: dict[str, DensityOrigin] = {}
        for item in structures:
            region = item.region
            if region.name in settled:
                found[region.name] = settled[region.name]
                continue
            held = np.bincount(self.kinds[region.window].ravel(), region.coverage.ravel(), minlength=len(KINDS))
            if (most := int(held[1:].argmax()) + 1) and held[1:].sum() > MOSTLY * region.voxels:
                found[region.name] = KINDS[most]
        return found

    def density(self, of_ct: Volume) -> Volume:
        return of_ct if self.kinds is None else of_ct.with_values(self.values)

    def oil_volume(self, of_ct: Volume) -> Volume | None:
        return None if self.oil is None else of_ct.with_values(self.oil, name="iodised oil")


def _shared(region: Region, other: Region) -> np.ndarray:
    """Voxels of a region's window that it shares with another one, none of both whole."""
    found = np.zeros(region.coverage.shape, bool)
    both = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(region.window, other.window, strict=True)]
    if any(low >= high for low, high in both):
        return found
    here, there = (
        tuple(slice(low - w.start, high - w.start) for (low, high), w in zip(both, one.window, strict=True))
        for one in (region, other)
    )
    partly = (region.coverage[here] > 0) & (region.coverage[here] < WHOLE)
    found[here] = partly & (other.coverage[there] > 1 - WHOLE) & (other.coverage[there] < WHOLE)
    return found


def _require_there(names: Iterable[str], there: Mapping[str, ClinicalRegion], what: str) -> None:
    for name in names:
        if name not in there:
            raise UnknownNameError(what, name, there)


def _stated_message(region: Region, density: Volume, stated_g_ml: float, inside: Sequence[str]) -> Message:
    was = region.mass_g(density) / region.volume_ml if region.volume_ml else 0.0
    text = f"the density of {region.name!r} is stated: {stated_g_ml:g} g/mL in place of the CT's {was:.4g} g/mL"
    if inside:
        text += f", but for what it shares with {', '.join(map(repr, inside))}, of which more is stated"
    return Message("density-stated", text, severity="note")


def _oil_message(region: Region, density: Volume, painted: _Painted) -> Message:
    def mean(array: np.ndarray) -> float:
        return float((region.coverage * array[region.window]).sum(dtype=np.float64)) / max(region.voxels, 1e-9)

    share = 0.0 if painted.oil is None else mean(painted.oil) / OIL_G_ML
    text = (
        f"{region.name!r} is stated to hold iodised oil: its CT numbers are {share * region.volume_ml:.2g} mL of oil "
        f"in tissue, {mean(painted.values):.4g} g/mL in place of the CT's {mean(density.values):.4g} g/mL (at 120 kVp; "
        "the oil is uncertain by a fifth)"
    )
    return Message("iodised-oil", text, severity="note")


def _beyond_oil(item: ClinicalRegion, hu: Volume) -> tuple[Message, ...]:
    """What is said of voxels brighter than oil alone can be: metal, or another kind of CT number."""
    at = hu.values[item.region.window]
    pure = TISSUE_HU + HU_PER_MG_ML * OIL_IODINE_MG_ML
    brighter = (item.region.coverage >= MOSTLY) & (at > pure)
    if not brighter.any():
        return ()
    text = (
        f"{int(brighter.sum())} voxels of {item.region.name!r}, stated to hold iodised oil, are brighter than oil "
        f"alone ({pure:.0f} HU; highest {float(at[brighter].max()):.0f} HU): that is metal, and its density here wrong"
    )
    return (Message("brighter-than-oil", text, "state no oil there, or a density"),)


def _conventions(found: bool, stated: Densities, oil: np.ndarray | None) -> dict[str, str]:
    said = {}
    if oil is not None:
        said["iodised oil"] = (
            f"{HU_PER_MG_ML:g} HU per mg/mL of iodine above {TISSUE_HU:g} HU; {OIL_IODINE_MG_ML:g} mg iodine and "
            f"{OIL_G_ML:g} g a mL of oil, in tissue of {OIL_TISSUE_G_ML:g} g/mL"
        )
    if found:
        said["density of enhanced soft tissue"] = "ICRU Report 46: liver, tumour, spleen, heart 1.06, kidney 1.05 g/mL"
    if stated:
        said["stated densities"] = ", ".join(f"{name} {value:g} g/mL" for name, value in stated.items())
    return said


def _large_first(items: Sequence[ClinicalRegion]) -> list[ClinicalRegion]:
    """Larger structures first, so that what lies inside (a tumour in the liver) has the last word."""
    return sorted(items, key=lambda item: -item.region.volume_ml)


def _enhanced(structures: Sequence[ClinicalRegion], hu: Volume) -> dict[str, float]:
    """Organs brighter than unenhanced tissue is, with their mean; tumours say nothing (iodised oil, calcification)."""
    roles = {item.structure for item in structures}
    # The liver with its tumours may hold iodised oil: what is left without them says more.
    looked_at = TELLING - ({Structure.LIVER} if Structure.NORMAL_LIVER in roles else set())
    means = {item.region.name: _soft_mean_hu(item.region, hu) for item in structures if item.structure in looked_at}
    return {name: mean for name, mean in means.items() if mean is not None and mean > UNENHANCED_LIMIT_HU}


def _soft_mean_hu(region: Region, hu: Volume) -> float | None:
    """Mean of the soft tissue of a region, border voxels left out; None where there is none."""
    if region.is_empty:
        return None
    values = hu.values[region.window]
    inside = (region.coverage > WHOLE) & (values >= SOFT_TISSUE_HU[0]) & (values <= SOFT_TISSUE_HU[1])
    return float(values[inside].mean(dtype=np.float64)) if inside.any() else None


def _contrast_message(
    agent: str,
    enhanced: Mapping[str, float],
    options: DensityOptions,
    taken: Sequence[ClinicalRegion],
    density: Volume,
) -> Message:
    how = []
    if options.contrast_enhanced == "yes":
        how.append("as stated")
    if agent:
        how.append(f"its header names {agent!r}")
    if enhanced:
        listed = ", ".join(f"{name} {mean:.0f} HU" for name, mean in enhanced.items())
        how.append(f"{listed}, where unenhanced tissue has less than {UNENHANCED_LIMIT_HU:g} HU")
    changes = []
    for item in taken:
        region = item.region
        by_ct = region.mass_g(density) / region.volume_ml
        changes.append(f"{region.name} {SOFT_TISSUE_G_ML[item.structure]:g} g/mL (by its CT numbers {by_ct:.4g})")
    done = f"soft tissue takes its reference density: {', '.join(changes)}" if changes else (
        "no soft organ is drawn, so that all densities are the CT's, too high where there is contrast agent"
    )  # fmt: skip
    return Message(
        "contrast-enhanced-ct",
        f"the CT is contrast-enhanced ({'; '.join(how)}); {done}",
        "state `structure_density`, or that there is no `contrast_enhanced`, if this is wrong",
    )


def _dense_parts(
    taken: Sequence[ClinicalRegion], hu: Volume, painted: _Painted, mean_above_hu: float = float("inf")
) -> list[Message]:
    """Structures with much that is denser than tissue, or denser than `mean_above_hu` on average.

    Iodine is hardly mass: with the CT's density the mass is too large, and the dose, energy over mass, too low. What
    lies in a structure whose density or oil is stated does not count: it does not have the CT's density.
    """
    notes = []
    for item in taken:
        region = item.region
        if region.is_empty:
            continue
        at, coverage = hu.values[region.window], region.coverage * painted.by_ct(region)
        voxels = float(coverage.sum(dtype=np.float64))
        if not voxels:
            continue
        above = float(coverage[at > SOFT_TISSUE_HU[1]].sum(dtype=np.float64)) / voxels
        mean = float((coverage * at).sum(dtype=np.float64)) / voxels
        if above <= SHARE_ABOVE and mean <= mean_above_hu:
            continue
        kept = float((coverage * painted.values[region.window]).sum(dtype=np.float64)) / voxels
        tissue = SOFT_TISSUE_G_ML[item.structure]
        text = (
            f"{region.name!r} has {mean:.0f} HU on average, {100 * above:.0f} % above {SOFT_TISSUE_HU[1]:g} HU "
            f"(iodised oil, calcification or metal?), and keeps the density of its CT numbers, {kept:.4g} g/mL; "
            f"iodine is hardly mass: at tissue's {tissue:g} g/mL its mean dose is about {kept / tissue:.3g} times that"
        )
        notes.append(Message("dense-structure", text, "state that it holds `iodised_oil`, or its `structure_density`"))
    return notes


def _bright_tumours(tumours: Sequence[ClinicalRegion], hu: Volume) -> list[Message]:
    """Tumours brighter than unenhanced ones beside organs that are not: a late arterial phase enhances them first."""
    means = {item.region.name: _soft_mean_hu(item.region, hu) for item in tumours}
    bright = [f"{name} {mean:.0f} HU" for name, mean in means.items() if mean is not None and mean > BRIGHT_TUMOUR_HU]
    if not bright:
        return []
    text = (
        f"{', '.join(bright)}: brighter than an unenhanced tumour, while no organ drawn is enhanced (arterial phase?); "
        "densities are the CT's, too high where there is contrast agent"
    )
    return [Message("contrast-possible", text, "state whether the CT is `contrast_enhanced`")]
