"""What the images of a plan hold: masses, T/N, lung shunt, territories, and activity where none should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hepatica.anatomy.structures.clinical import union
from hepatica.anatomy.structures.kinds import ORGANS, Structure
from hepatica.anatomy.structures.roles import structure_of
from hepatica.core import Estimate, Region
from hepatica.core.message import Message
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.extrahepatic.uptake import extrahepatic_search, share_elsewhere
from hepatica.planning.guardrails import Situation
from hepatica.planning.measured.deposits import Deposit, Deposits, deposits_of
from hepatica.planning.measured.values import (
    MASS_RELATIVE_SD,
    SMALLEST_SHARE,
    Measured,
    MeasuredLesion,
    MeasuredTerritory,
)
from hepatica.planning.scout.lung_shunt import LungMasses, SpectShuntOptions, spect_lung_shunt
from hepatica.planning.scout.scan import Scout
from hepatica.planning.scout.uptake import uptake_of, uptake_ratio
from hepatica.planning.scout.volumes import liver_volumes

PLAUSIBLE_LUNG_KG = (0.3, 2.0)
"""Outside of it the lungs in the CT are not whole, or not lungs; the guardrail `lung-mass-implausible` has the same."""

DOME_MARGIN_MM = 20.0
"""Margin at the liver dome whose effect on the shunt is looked at: the usual excursion of the diaphragm."""


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


def measured_on(
    scout: Scout,
    names: Mapping[str, str | None],
    roles: Mapping[str, str] | None = None,
    lung_mass_kg: float | None = None,
) -> Measured:
    """Everything that scout, CT and structures tell a plan.

    Parameters
    ----------
    scout : Scout
        With its CT; liver must be drawn.
    names : mapping of str to str or None
        Territory of the plan -> name of its structure, None for the whole liver.
    roles : mapping of str to str, optional
        The user's word on what structures are.
    lung_mass_kg : float or None
        As the plan states it: to it the shunt of lungs is completed that neither scout nor CT shows whole.
    """
    if scout.density is None:
        raise InputError("masses need the CT, for the density of every voxel", remedy="state `ct`")
    (liver,) = scout.need("liver")
    territories = territory_regions(scout, names)
    tumours = list(scout.tumours.values())
    normal = (liver - union(tumours) if tumours else liver).renamed("normal liver")
    found = {t: _territory(scout, region, normal, names[t]) for t, region in territories.items()}
    normal_kg = _masses_kg(scout, None, normal, [])[normal.name]
    unperfused = normal_kg - sum(one.normal_mass_kg or 0.0 for one in found.values())
    # A rim of border voxels is no liver that is spared.
    unperfused = unperfused if unperfused > 0.005 * normal_kg else 0.0
    messages = []
    if None in names.values() and scout.territories:
        drawn = ", ".join(scout.territories)
        text = f"the territory names no structure and the whole liver is taken, although {drawn} is drawn"
        messages.append(Message("whole-liver-taken", text, "name the structure under [images] territories"))
    if scout.lungs is None:
        text = "no lungs are drawn: shunt, lung mass and uptake outside the liver are not taken from the images"
        messages.append(Message("lungs-not-drawn", text, "draw the lungs on the CT"))
    lungs = _lungs(scout, liver, lung_mass_kg)
    return Measured(
        source="the images",
        territories=found,
        unperfused_normal_kg=unperfused,
        lung_shunt=lungs.shunt,
        lung_shunt_completed=lungs.completed,
        lung_mass_kg=lungs.mass_kg,
        facts=replace(
            _facts(scout, liver, normal, territories, lungs.facts),
            hepatic_reserve=unperfused / normal_kg,
            future_remnant_share=_remnant_share(scout, normal, roles),
        ),
        deposits=_deposits(scout, liver, roles),
        messages=(*messages, *lungs.messages),
    )


def _territory(scout: Scout, region: Region, normal: Region, structure: str | None) -> MeasuredTerritory:
    assert scout.density is not None
    here = (normal & region).renamed(normal.name)
    if here.is_empty:
        raise InputError(f"territory {region.name!r} holds no normal liver in the images")
    parts = [(tumour & region).renamed(tumour.name) for tumour in scout.tumours.values()]
    parts = [p for p in parts if p.volume_ml >= SMALLEST_SHARE * scout.tumours[p.name].volume_ml and not p.is_empty]
    masses = _masses_kg(scout, structure, here, parts)
    base = uptake_of(scout.image, here, scout.density, mass_kg=masses[here.name])
    lesions = []
    for part in parts:
        lesion = uptake_of(scout.image, part, scout.density, mass_kg=masses[part.name])
        ratio = uptake_ratio(lesion, base).tumour_to_normal.value
        lesions.append(MeasuredLesion(part.name, lesion.mass_kg, ratio))
    return MeasuredTerritory(base.mass_kg, tuple(lesions))


def _masses_kg(scout: Scout, structure: str | None, normal: Region, parts: Sequence[Region]) -> dict[str, float]:
    """Masses as `tumour_to_normal` takes them: on the CT's own voxels where the structures are known there."""
    assert scout.density is not None
    on_ct = scout.on_ct
    if on_ct is not None and on_ct.tumours and (structure is None or structure in on_ct.territories):
        return on_ct.masses_kg(structure)
    return {region.name: region.mass_g(scout.density) / 1000 for region in (normal, *parts)}


@dataclass(frozen=True, slots=True)
class _Lungs:
    """Shunt and mass of lungs that the scout shows whole; the completed shunt of those that it cuts off."""

    shunt: Estimate | None = None
    completed: Estimate | None = None
    mass_kg: float | None = None
    facts: Situation = field(default_factory=Situation)
    messages: tuple[Message, ...] = ()


def _lungs(scout: Scout, liver: Region, stated_kg: float | None) -> _Lungs:
    if scout.lungs is None or (scout.lungs - liver).is_empty:
        return _Lungs()
    how, notes = _completion(scout, stated_kg)
    masses = scout.lung_masses(how)
    found = spect_lung_shunt(
        scout.image,
        scout.lungs,
        liver,
        density=scout.density,
        options=how,
        masses=masses,
        position_sd_mm=scout.position_sd_mm,
    )
    facts = Situation(
        lung_shunt_method="spect",
        lungs_extrapolated_share=found.details.get("extrapolated_share_of_lungs"),
        dome_margin_effect=_dome_effect(scout, liver, found.lung_shunt.value),
    )
    messages = (*notes, *scout.about_lungs(how, found), *found.messages)
    mass = scout.lung_mass(how)
    measured_kg = mass.mass_kg if mass.origin in ("ct", "stated") else None
    if not scout.lungs_seen.whole:
        return _Lungs(None, _with_mass_sd(found.lung_shunt, masses, how), measured_kg, facts, messages)
    low, high = PLAUSIBLE_LUNG_KG
    if measured_kg is not None and not low <= measured_kg <= high:
        text = (
            f"the lungs weigh {measured_kg:.3g} kg in the CT: not whole, or no lungs; their mass is not taken from it"
        )
        return _Lungs(found.lung_shunt, None, None, facts, (*messages, Message("lung-mass-not-taken", text)))
    return _Lungs(found.lung_shunt, None, measured_kg, facts, messages)


def _with_mass_sd(shunt: Estimate, masses: LungMasses, how: SpectShuntOptions) -> Estimate:
    """A completed shunt with at least the uncertainty that the mass of the whole lungs brings.

    Lungs hold their uptake per gram times their mass m, so that S / (1 - S) grows with m: s(S) = S (1 - S) s(m) / m.
    """
    model = masses.whole if how.lung_mass_kg is None else None
    relative = (model.relative_sd if model is not None else None) or MASS_RELATIVE_SD
    by_mass = shunt.value * (1 - shunt.value) * relative
    return Estimate(shunt.value, max(shunt.sd or 0.0, by_mass))


def _completion(scout: Scout, stated_kg: float | None) -> tuple[SpectShuntOptions, tuple[Message, ...]]:
    """To what lungs that are cut off are completed: the plan's own mass where the CT does not show them whole."""
    seen_kg = scout.lung_in_view_kg
    if stated_kg is None or seen_kg is None or scout.lungs_seen.whole or scout.ct_shows_lungs_whole:
        return SpectShuntOptions(), ()
    if stated_kg < seen_kg:
        text = (
            f"the lungs weigh {stated_kg:.3g} kg in the plan, less than the {seen_kg:.3g} kg of them in view: the "
            "shunt is not completed to it"
        )
        return SpectShuntOptions(), (Message("lung-mass-below-seen", text, "correct `lung_mass_kg`", "critical"),)
    return SpectShuntOptions(lung_mass_kg=stated_kg), ()


def _dome_effect(scout: Scout, liver: Region, shunt: float) -> float | None:
    """Relative change of the shunt by the margin at the dome; None where the margin leaves no lung."""
    assert scout.lungs is not None
    try:
        margin = SpectShuntOptions(dome_margin_mm=DOME_MARGIN_MM)
        moved = spect_lung_shunt(scout.image, scout.lungs, liver, density=scout.density, options=margin)
    except InputError:
        return None
    return moved.lung_shunt.value / shunt - 1 if shunt > 0 else None


def _facts(
    scout: Scout, liver: Region, normal: Region, territories: Mapping[str, Region], lungs: Situation
) -> Situation:
    volumes = liver_volumes(liver, list(scout.tumours.values()), territories)
    total = float(scout.image.values.sum(dtype=np.float64))
    outside = [t.outside_liver_ml / (t.volume_ml + t.outside_liver_ml) for t in volumes.territories]
    known: dict[str, Any] = {
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


def _remnant_share(scout: Scout, normal: Region, roles: Mapping[str, str] | None) -> float | None:
    """Share of the normal liver in a future remnant, where one is drawn."""
    for region in scout.others.values():
        if structure_of(region, roles) is Structure.REMNANT:
            return (region & normal).volume_ml / normal.volume_ml
    return None


def _deposits(scout: Scout, liver: Region, roles: Mapping[str, str] | None) -> Deposits:
    """Organs that are drawn, and places that the search finds outside liver and lungs."""
    organs = {name: role for name in scout.others if (role := structure_of(scout.others[name], roles)) in ORGANS}
    drawn = {name: scout.others[name] for name in organs}
    if scout.lungs is not None:
        search = extrahepatic_search(scout.image, liver, scout.lungs, organs=drawn, roles=organs, density=scout.density)
        return deposits_of(search)
    assert scout.density is not None
    total = float(scout.image.values.sum(dtype=np.float64))
    places = []
    for name, role in organs.items():
        own = drawn[name] - liver
        if total > 0 and not own.is_empty and (mass := own.mass_g(scout.density) / 1000) > 0:
            places.append(
                Deposit(
                    name, role.value, False, Estimate(max(0.0, own.total(scout.image) / total)), Estimate(mass, 0.0)
                )
            )
    return Deposits(tuple(places))
