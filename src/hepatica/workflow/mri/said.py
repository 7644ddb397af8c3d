"""What must be said of microspheres by MR: limits, what was not measured, and what cannot be."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.holmium import Ratio, StructureHolmium
from hepatica.imaging.mri.options import HolmiumOptions
from hepatica.workflow.mri.result import MISSING_SHARE, VialCheck

VIAL_TOLERANCE = 0.20
"""Found and given masses differ by less than this in most patients (89 +- 19 %, van de Maat 2013)."""

BELOW_ZERO_SDS = 3.0
"""Standard uncertainties below zero from which a mean is no noise."""


def about_order(after: MultiEcho, before: MultiEcho) -> tuple[Message, ...]:
    """Whether the scan before can be the one before.

    Raises
    ------
    InputError
        If both are the same images.
    """
    if after.source.sha256 and after.source.sha256 == before.source.sha256:
        raise InputError(
            f"{after.name}: the scans before and after treatment are the same images",
            remedy="give the scan `before` treatment",
        )
    if after.time is None or before.time is None:
        return ()
    # One of them may state a zone and the other none: the day then decides.
    aware = (after.time.tzinfo is None) == (before.time.tzinfo is None)
    late = before.time > after.time if aware else before.time.date() > after.time.date()
    if not late:
        return ()
    text = (
        f"the scan before is of {before.time:%Y-%m-%d %H:%M}, later than the scan after ({after.time:%Y-%m-%d %H:%M})"
    )
    return (Message("scans-swapped", text, "see which scan is which", "critical"),)


def about_negative(held: Sequence[StructureHolmium]) -> tuple[Message, ...]:
    """Structures whose mean is further below zero than noise explains: there is no negative holmium."""
    found = [
        s for s in held
        if s.concentration_mg_ml is not None and s.concentration_sd_mg_ml is not None
        and s.concentration_mg_ml < -BELOW_ZERO_SDS * s.concentration_sd_mg_ml
    ]  # fmt: skip
    if not found:
        return ()
    listed = ", ".join(f"{s.name} ({s.concentration_mg_ml:.3g} +- {s.concentration_sd_mg_ml:.2g} mg/mL)" for s in found)
    text = f"R2* is lower after treatment than before in {listed}, by more than the uncertainty: holmium cannot do that"
    remedy = "see whether the scans are swapped, of one protocol and scaling, and lie together"
    return (Message("negative-holmium", text, remedy, "critical"),)


def about_limits(held: Sequence[StructureHolmium]) -> tuple[Message, ...]:
    """Structures, the whole among them, with voxels that are only known from below."""
    dark = [s for s in held if s.limit_ml > 0]
    if not dark:
        return ()
    listed = ", ".join(f"{s.limit_ml:.3g} mL of {s.name}" for s in dark)
    text = f"{listed} are dark at the first echo: their concentration is a lower limit, and so are sums with them"
    return (Message("lower-limit", text, "a shorter first echo reaches further"),)


def about_whole(whole: StructureHolmium) -> tuple[Message, ...]:
    """What of the liver was not measured, and what lies near a lung."""
    notes = []
    if whole.not_measured_ml > 0:
        share = whole.not_measured_ml / whole.volume_ml
        text = (
            f"{whole.not_measured_ml:.3g} mL of {whole.name} ({100 * share:.2g} %) were not measured; their "
            "microspheres are not in the sum"
        )
        remedy = "look at the flags and at what the scan before covers; a baseline by structure fills such voxels"
        large = share > MISSING_SHARE
        notes.append(Message("liver-not-measured", text, remedy, "critical" if large else "note"))
    if whole.near_lung_ml > 0:
        text = f"{whole.near_lung_ml:.3g} mL of {whole.name} lie within 10 mm of a lung, whose field raises R2*"
        notes.append(Message("near-lung", text, severity="note"))
    return tuple(notes)


def about_ratios(ratios: Sequence[Ratio], tumours: int) -> tuple[Message, ...]:
    """Tumours without a T/N."""
    if len(ratios) == tumours:
        return ()
    text = (
        f"{tumours - len(ratios)} tumours have no ratio to normal liver: its mean is not above zero by more than twice "
        "its uncertainty, or one of both was not measured"
    )
    return (Message("no-tumour-to-normal", text, "look at scans and baseline"),)


def vial_check(whole: StructureHolmium, options: HolmiumOptions) -> tuple[VialCheck | None, tuple[Message, ...]]:
    """What was found against what was given, and what must be said of it."""
    given = options.administered_mg
    if given is None or whole.mass_mg is None or whole.mass_sd_mg is None:
        return None, ()
    share = whole.mass_mg / given
    sd = math.hypot(whole.mass_sd_mg / given, share * options.administered_mg_sd / given)
    partial = whole.limit_ml > 0 or whole.not_measured_ml > MISSING_SHARE * whole.volume_ml
    found = VialCheck(given, options.administered_mg_sd, whole.mass_mg, whole.mass_sd_mg, share, sd, partial)
    if abs(share - 1) <= max(VIAL_TOLERANCE, 2 * sd):
        return found, ()
    why = (
        "voxels that are dark or were not measured are in it as a lower limit or not at all"
        if partial and share < 1
        else "relaxivity, baseline or what lies outside the liver"
    )
    text = f"MR finds {percent(found)} of the {given:g} mg that were given: {why}"
    return found, (Message("mass-unlike-vial", text, "look at baseline, relaxivity and lower limits"),)


def percent(vial: VialCheck) -> str:
    """Share of what was given, in words: "at least 71 +- 5 %"."""
    least = "at least " if vial.is_lower_limit else ""
    return f"{least}{100 * vial.found_share:.0f} +- {100 * vial.found_share_sd:.0f} %"
