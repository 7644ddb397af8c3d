"""What instructions for use and publications say on an alarm, as far as a source is held; nothing else is said."""

from __future__ import annotations

from collections.abc import Mapping

GLASS = (
    "TheraSphere package insert USA v12: an infusion takes less than 5 min, without contrast medium. No sentence of it "
    "on this alarm is held here; follow it as it stands."
)

NO_INSTRUCTIONS = "No sentence of the instructions for use is held here; follow them as they stand."

RESIN_STASIS = (
    f"{NO_INSTRUCTIONS} Published (104 procedures, EJNMMI Res 2015, s13550-015-0133-z): stasis ended 28 % of "
    "infusions of resin with water, and 11 % with 5 % glucose; 77 and 96 % of the activity were delivered."
)

OCCLUSION = (
    "Published (Hoang 2019): catheter or device were occluded in 11 of 478 administrations of resin and in 1 of 378 of "
    "glass."
)

BY_CARRIER: Mapping[str, Mapping[str, str]] = {
    "glass": {"": GLASS, "no-delivery": f"{GLASS} {OCCLUSION}"},
    "resin": {"stasis": RESIN_STASIS, "no-delivery": f"{NO_INSTRUCTIONS} {OCCLUSION}"},
}
"""Carrier -> alarm -> text; an empty alarm stands for those that have no text of their own. For spheres with holmium,
for 99mTc-MAA and for lipiodol with 131I or 188Re no source that speaks of an infusion's course is held."""


def said_of(carrier: str) -> dict[str, str]:
    """Texts of a carrier by kind of alarm; empty where no source is held."""
    return dict(BY_CARRIER.get(carrier, {}))
