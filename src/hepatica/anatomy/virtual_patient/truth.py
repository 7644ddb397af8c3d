"""The truth about a virtual patient as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepatica.anatomy.virtual_patient.patient import VirtualPatient


def truth(patient: VirtualPatient) -> dict[str, Any]:
    """Settings, structures with mass and activity, tumours, balance of the activity, arteries."""
    activity, density = patient.activity(), patient.density
    structures = {}
    for name, region in patient.regions.items():
        held = region.total(activity)
        structures[name] = {
            "volume_ml": region.volume_ml,
            "mass_g": region.mass_g(density),
            "activity_bq": held,
            "activity_share": held / patient.treatment.activity_bq,
        }
    return {
        "settings": patient.settings.as_dict(),
        "grid": patient.grid.as_dict(),
        "structures": structures,
        "tumours": [
            {
                "name": t.name,
                "diameter_mm": t.tumour.diameter_mm,
                "segment": t.tumour.segment,
                "necrotic_share": t.tumour.necrosis,
                "centre_lps_mm": t.centre_mm.tolist(),
            }
            for t in patient.tumours
        ],
        "tumour_to_normal": patient.tumour_to_normal(),
        "balance_bq": patient.balance(),
        "activity_in_field_bq": activity.total,
        "perfused_volume_ml": patient.perfused().volume_ml,
        "territories_ml": {name: patient.territory(name).volume_ml for name in patient.tree.names},
        "arteries": {"variant": patient.settings.variant, **patient.tree.statistics()},
    }
