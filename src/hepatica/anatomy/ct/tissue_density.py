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
    oily = [there[name] for name in dict.fromkeys(options.iodised_oil)]
    settled = {*stated, *options.iodised_oil}
    organs = [item for item in structures if item.structure in SOFT_TISSUE_G_ML and not item.derived]
    enhanced = _enhanced(structures, hu)
    found = options.contrast_enhanced == "yes" or (
        options.contrast_enhanced == "auto" and bool(contrast_agent or enhanced)
    )
    # A copy (400 MB of a clinical CT) only where something is written into it.
    values = np.array(density.values, dtype=np.float32) if found or settled else density.values
    origins: dict[str, DensityOrigin] = {}
    notes: list[Message] = list(structure_doubts(hu, structures, settled))
    if found:
        taken = [item for item in organs if item.region.name not in settled]
        for item in _large_first(taken):
            _set_soft_tissue(values, hu, item)
            origins[item.region.name] = "reference"
        notes.append(_contrast_message(contrast_agent, enhanced, options, taken, density))
        notes += _dense_parts(taken, hu, values)
    elif options.contrast_enhanced == "no" and enhanced:
        listed = ", ".join(f"{name} {mean:.0f} HU" for name, mean in enhanced.items())
        text = f"the CT is stated to be without contrast agent, but {listed} is more than unenhanced tissue has"
        notes.append(Message("contrast-against-statement", text, "leave `contrast_enhanced` to be recognised"))
    if not found:
        tumours = [item for item in organs if item.structure is Structure.TUMOUR and item.region.name not in settled]
        dense = _dense_parts(tumours, hu, values, DENSE_TUMOUR_HU)
        notes += dense or ([] if options.contrast_enhanced == "no" or enhanced else _bright_tumours(tumours, hu))
    oil = _set_oil(values, hu, oily) if oily else None
    for item in _large_first(oily):
        origins[item.region.name] = "oil"
        notes += [_oil_message(item.region, density, values, oil), *_beyond_oil(item, hu)]
    for item in _large_first([there[name] for name in stated]):
        inside = item.region.coverage >= MOSTLY
        values[item.region.window][inside] = stated[item.region.name]
        if oil is not None:
            oil[item.region.window][inside] = 0
        origins[item.region.name] = "stated"
        notes.append(_stated_message(item.region, density, stated[item.region.name]))
    if not origins:
        return TissueDensity(density, origins, tuple(notes), _conventions(found, stated, oil))
    made = density.with_values(values)
    changed = made.values != density.values
    for item in structures:
        region = item.region
        if region.name not in origins and region.coverage[changed[region.window]].sum() > MOSTLY * region.voxels:
            origins[region.name] = "stated" if stated else "reference" if found else "oil"
    held = None if oil is None else density.with_values(oil, name="iodised oil")
    return TissueDensity(made, origins, tuple(notes), _conventions(found, stated, oil), held)


def _require_there(names: Iterable[str], there: Mapping[str, ClinicalRegion], what: str) -> None:
    for name in names:
        if name not in there:
            raise UnknownNameError(what, name, there)


def _stated_message(region: Region, density: Volume, stated_g_ml: float) -> Message:
    was = region.mass_g(density) / region.volume_ml if region.volume_ml else 0.0
    text = f"the density of {region.name!r} is stated: {stated_g_ml:g} g/mL in place of the CT's {was:.4g} g/mL"
    return Message("density-stated", text, severity="note")


def _set_oil(values: np.ndarray, hu: Volume, oily: Sequence[ClinicalRegion]) -> np.ndarray:
    """Density of tissue with oil in place of the CT's; the oil in g/mL. Fat, gas and air keep their density."""
    oil = np.zeros(values.shape, np.float32)
    for item in oily:
        window = item.region.window
        at = hu.values[window]
        inside = (item.region.coverage >= MOSTLY) & (at >= SOFT_TISSUE_HU[0])
        found = oil_g_ml(at, TISSUE_HU)
        values[window][inside] = density_with_oil(found, OIL_TISSUE_G_ML)[inside]
        oil[window][inside] = found[inside]
    return oil


def _oil_message(region: Region, density: Volume, values: np.ndarray, oil: np.ndarray | None) -> Message:
    def mean(array: np.ndarray) -> float:
        return float((region.coverage * array[region.window]).sum(dtype=np.float64)) / max(region.voxels, 1e-9)

    share = 0.0 if oil is None else mean(oil) / OIL_G_ML
    text = (
        f"{region.name!r} is stated to hold iodised oil: its CT numbers are {share * region.volume_ml:.2g} mL of oil "
        f"in tissue, {mean(values):.4g} g/mL in place of the CT's {mean(density.values):.4g} g/mL (at 120 kVp; the "
        "oil is uncertain by a fifth)"
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
    inside = (region.coverage > 0.99) & (values >= SOFT_TISSUE_HU[0]) & (values <= SOFT_TISSUE_HU[1])
    return float(values[inside].mean(dtype=np.float64)) if inside.any() else None


def _set_soft_tissue(values: np.ndarray, hu: Volume, item: ClinicalRegion) -> None:
    at = hu.values[item.region.window]
    soft = (item.region.coverage >= MOSTLY) & (at >= SOFT_TISSUE_HU[0]) & (at <= SOFT_TISSUE_HU[1])
    values[item.region.window][soft] = SOFT_TISSUE_G_ML[item.structure]


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
    taken: Sequence[ClinicalRegion], hu: Volume, values: np.ndarray, mean_above_hu: float = float("inf")
) -> list[Message]:
    """Structures with much that is denser than tissue, or denser than `mean_above_hu` on average.

    Iodine is hardly mass: with the CT's density the mass is too large, and the dose, energy over mass, too low.
    """
    notes = []
    for item in taken:
        region = item.region
        if region.is_empty:
            continue
        at = hu.values[region.window]
        above = float(region.coverage[at > SOFT_TISSUE_HU[1]].sum(dtype=np.float64)) / region.voxels
        mean = float((region.coverage * at).sum(dtype=np.float64)) / region.voxels
        if above <= SHARE_ABOVE and mean <= mean_above_hu:
            continue
        kept = float((region.coverage * values[region.window]).sum(dtype=np.float64)) / region.voxels
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
