"""What the images of a plan hold: masses, T/N, lung shunt, territories, and activity where none should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from hepatica.anatomy.structures.clinical import union
from hepatica.anatomy.structures.kinds import ORGANS, Structure
from hepatica.anatomy.structures.roles import structure_of
from hepatica.core import Estimate, Region
from hepatica.core.message import Message
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.guardrails import Situation
from hepatica.planning.planner.deposits import Deposit, Deposits
from hepatica.planning.planner.measured import SMALLEST_SHARE, Measured, MeasuredLesion, MeasuredTerritory
from hepatica.planning.scout.extrahepatic import SearchOptions, extrahepatic_uptake, share_elsewhere
from hepatica.planning.scout.lung_shunt import SpectShuntOptions, grown, spect_lung_shunt
from hepatica.planning.scout.scan import Scout
from hepatica.planning.scout.uptake import uptake_of, uptake_ratio
from hepatica.planning.scout.volumes import liver_volumes

PLAUSIBLE_LUNG_KG = (0.3, 2.0)
"""Outside of it the lungs in the CT are not whole, or not lungs; the guardrail `lung-mass-implausible` has the same."""

MIN_CUT_CM2 = 2.0
"""Section of lung at the edge of the image from which on the lungs count as cut off: an apex rounds off with less."""

DOME_MARGIN_MM = 20.0
"""Margin at the liver dome whose effect on the shunt is looked at: the usual excursion of the diaphragm."""

TISSUE_KG_ML = 1.04e-3
"""Mass of a place that was found, per mL: as `extrahepatic_uptake` takes it."""


def territory_regions(scout: Scout, names: Mapping[str, str | None]) -> dict[str, Region]:
    """Region of each territory of the plan; the whole liver where the only one names no structure.

    Raises
    ------
    InputError
        If one of several names none.
    UnknownNameError
        If a structure is not in the file.
    """
    known = {**scout.territories, **scout.others}
    out = {}
    for territory, name in names.items():
        if name is None:
            if len(names) > 1:
                raise InputError(f"territory {territory!r} has no structure; several territories need one each")
            (region,) = scout.need("liver")
        elif name in known:
            region = known[name]
        else:
            raise UnknownNameError("structure", name, known)
        out[territory] = region.renamed(territory)
    return out


def measured_on(scout: Scout, names: Mapping[str, str | None], roles: Mapping[str, str] | None = None) -> Measured:
    """Everything that scout, CT and structures tell a plan.

    Parameters
    ----------
    scout : Scout
        With its CT; liver must be drawn.
    names : mapping of str to str or None
        Territory of the plan -> name of its structure, None for the whole liver.
    roles : mapping of str to str, optional
        The user's word on what structures are.
    """
    if scout.density is None:
        raise InputError("masses need the CT, for the density of every voxel", remedy="state `ct`")
    (liver,) = scout.need("liver")
    territories = territory_regions(scout, names)
    tumours = list(scout.tumours.values())
    normal = liver - union(tumours) if tumours else liver
    perfused = union(list(territories.values()))
    rest = normal - perfused
    unperfused = 0.0 if rest.is_empty else rest.mass_g(scout.density) / 1000
    normal_kg = normal.mass_g(scout.density) / 1000
    # A rim of border voxels is no liver that is spared.
    unperfused = unperfused if unperfused > 0.005 * normal_kg else 0.0
    messages = []
    if None in names.values() and scout.territories:
        drawn = ", ".join(scout.territories)
        text = f"the territory names no structure and the whole liver is taken, although {drawn} is drawn"
        messages.append(Message("whole-liver-taken", text, "name the structure under [images] territories"))
    shunt, lung_kg, lung_facts, lung_messages = _lungs(scout, liver)
    return Measured(
        source="the images",
        territories={t: _territory(scout, region, normal) for t, region in territories.items()},
        unperfused_normal_kg=unperfused,
        lung_shunt=shunt,
        lung_mass_kg=lung_kg,
        facts=replace(
            _facts(scout, liver, normal, territories, lung_facts),
            hepatic_reserve=unperfused / normal_kg,
            future_remnant_share=_remnant_share(scout, normal, roles),
        ),
        deposits=Deposits(tuple(_deposits(scout, liver, roles)), _highest_elsewhere(scout, liver)),
        messages=(*messages, *lung_messages),
    )


def _territory(scout: Scout, region: Region, normal: Region) -> MeasuredTerritory:
    assert scout.density is not None
    here = normal & region
    if here.is_empty:
        raise InputError(f"territory {region.name!r} holds no normal liver in the images")
    base = uptake_of(scout.image, here.renamed("normal liver"), scout.density)
    lesions = []
    for tumour in scout.tumours.values():
        part = (tumour & region).renamed(tumour.name)
        if part.is_empty or part.volume_ml < SMALLEST_SHARE * tumour.volume_ml:
            continue
        lesion = uptake_of(scout.image, part, scout.density)
        ratio = uptake_ratio(lesion, base).tumour_to_normal.value
        lesions.append(MeasuredLesion(tumour.name, lesion.mass_kg, ratio))
    return MeasuredTerritory(base.mass_kg, tuple(lesions))


def _lungs(scout: Scout, liver: Region) -> tuple[Estimate | None, float | None, Situation, list[Message]]:
    """Shunt and mass where whole lungs are in the image, facts of them, and what is to be said."""
    if scout.lungs is None or (scout.lungs - liver).is_empty:
        return None, None, Situation(), []
    found = spect_lung_shunt(scout.image, scout.lungs, liver, density=scout.density)
    facts = Situation(
        lung_shunt_method="spect",
        lungs_extrapolated_share=found.details.get("extrapolated_share_of_lungs"),
        dome_margin_effect=_dome_effect(scout, liver, found.lung_shunt.value),
    )
    mass, messages = scout.ct_lung_mass_kg, list(found.messages)
    low, high = PLAUSIBLE_LUNG_KG
    cut = _cut_off(scout.lungs)
    if cut or (mass is not None and not low <= mass <= high):
        why = "cut off by the edge of the image" if cut else "not whole, or no lungs"
        weight = "" if mass is None else f"{mass:.3g} kg in the CT, "
        text = (
            f"the lungs are {weight}{why}: neither their mass nor the shunt in them ({found.lung_shunt.value:.3g}, at "
            "least) is taken from the images"
        )
        messages.append(Message("lungs-cut-off", text, "state `lung_shunt` and `lung_mass`, from a scan of all lungs"))
        return None, None, facts, messages
    return found.lung_shunt, mass, facts, messages


def _dome_effect(scout: Scout, liver: Region, shunt: float) -> float | None:
    """Relative change of the shunt by the margin at the dome; None where the margin leaves no lung."""
    assert scout.lungs is not None
    try:
        margin = SpectShuntOptions(dome_margin_mm=DOME_MARGIN_MM)
        moved = spect_lung_shunt(scout.image, scout.lungs, liver, density=scout.density, options=margin)
    except InputError:
        return None
    return moved.lung_shunt.value / shunt - 1 if shunt > 0 else None


def _cut_off(lungs: Region) -> bool:
    """Whether lung touches the first or last slice along the body, with more than an apex."""
    axis = int(np.abs(lungs.grid.direction[2]).argmax())
    pixel_cm2 = 10 * lungs.grid.voxel_volume_ml / lungs.grid.spacing_mm[axis]
    window = lungs.window[axis]
    ends = ((0, window.start == 0), (-1, window.stop == lungs.grid.shape[axis]))
    return any(
        at_edge and float(np.take(lungs.coverage, index, axis=axis).sum()) * pixel_cm2 >= MIN_CUT_CM2
        for index, at_edge in ends
    )


def _facts(
    scout: Scout, liver: Region, normal: Region, territories: Mapping[str, Region], lungs: Situation
) -> Situation:
    volumes = liver_volumes(liver, list(scout.tumours.values()), territories)
    total = float(scout.image.values.sum(dtype=np.float64))
    outside = [t.outside_liver_ml / (t.volume_ml + t.outside_liver_ml) for t in volumes.territories]
    known = {
        "liver_ml": volumes.liver_ml,
        "tumour_ml": volumes.tumour_ml,
        "involvement": volumes.involvement,
        "perfused_ml": max(t.volume_ml for t in volumes.territories),
        "territory_outside_liver_share": max(outside),
        "territories_overlap_ml": 0.0,
        "tumour_outside_territories_share": (
            volumes.tumour_outside_territories_ml / volumes.tumour_ml if volumes.tumour_ml else None
        ),
        "normal_liver_counts_share": normal.total(scout.image) / total if total > 0 else None,
        "voxel_mm": float(max(scout.image.grid.spacing_mm)),
        "lung_shunt_method": lungs.lung_shunt_method,
        "lungs_extrapolated_share": lungs.lungs_extrapolated_share,
        "dome_margin_effect": lungs.dome_margin_effect,
        "share_elsewhere": share_elsewhere(scout.image, liver, scout.lungs) if scout.lungs is not None else None,
    }
    return Situation(**known)


def _highest_elsewhere(scout: Scout, liver: Region) -> float | None:
    """Largest share of the scout per kg, over about 1 mL, outside liver and lungs with their margin."""
    from scipy import ndimage

    total = float(scout.image.values.sum(dtype=np.float64))
    if scout.lungs is None or not total > 0:
        return None
    margin = SearchOptions().margin_mm
    near = grown(liver, margin).mask() | grown(scout.lungs, margin).mask()
    size = [max(1, round(10.0 / mm)) for mm in scout.image.grid.spacing_mm]
    smooth = ndimage.uniform_filter(scout.image.values.astype(np.float64), size=size)
    highest = float(np.max(smooth, where=~near, initial=0.0))
    return highest / total / (scout.image.grid.voxel_volume_ml * TISSUE_KG_ML)


def _remnant_share(scout: Scout, normal: Region, roles: Mapping[str, str] | None) -> float | None:
    """Share of the normal liver in a future remnant, where one is drawn."""
    for region in scout.others.values():
        if structure_of(region, roles) is Structure.REMNANT:
            return (region & normal).volume_ml / normal.volume_ml
    return None


def _deposits(scout: Scout, liver: Region, roles: Mapping[str, str] | None) -> Iterator[Deposit]:
    """Organs that are drawn, and places that the search finds outside liver and lungs."""
    assert scout.density is not None
    total = float(scout.image.values.sum(dtype=np.float64))
    if not total > 0:
        return
    organs = {name: role for name in scout.others if (role := structure_of(scout.others[name], roles)) in ORGANS}
    for name, role in organs.items():
        own = scout.others[name] - liver
        if own.is_empty or not (mass := own.mass_g(scout.density) / 1000) > 0:
            continue
        yield Deposit(name, role.value, False, max(0.0, own.total(scout.image) / total), mass)
    if scout.lungs is None:
        return
    drawn = {name: scout.others[name] for name in organs}
    for blob in extrahepatic_uptake(scout.image, liver, scout.lungs, organs=drawn):
        organ = organs[blob.site].value if blob.site in organs else ""
        x, y, z = blob.centre_lps_mm
        name = blob.site if organ else f"at {x:.0f}, {y:.0f}, {z:.0f} mm"
        mass = blob.volume_ml * TISSUE_KG_ML
        yield Deposit(name, organ, True, blob.activity_share, mass, blob.may_be_free_pertechnetate)
