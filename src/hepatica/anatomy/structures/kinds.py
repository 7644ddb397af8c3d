"""What a structure of a patient can be."""

from __future__ import annotations

from enum import StrEnum


class Structure(StrEnum):
    """What a structure is. The values are those of `hepatica.nuclides.DoseLimit.structure` where a limit exists."""

    BODY = "body"
    LIVER = "liver"
    LOBE = "liver_lobe"
    TUMOUR = "tumour"
    ALL_TUMOURS = "all_tumours"
    NECROSIS = "necrosis"
    NORMAL_LIVER = "normal_liver"
    PERFUSED = "perfused"
    PERFUSED_NORMAL = "perfused_normal"
    REMNANT = "remnant"
    LIPIODOL = "lipiodol"
    LYMPH_NODE = "lymph_node"
    TUMOUR_ELSEWHERE = "tumour_elsewhere"
    LUNG = "lung"
    LUNG_LEFT = "lung_left"
    LUNG_RIGHT = "lung_right"
    LUNG_LESS_DOME = "lung_less_dome"
    STOMACH = "stomach"
    DUODENUM = "duodenum"
    SMALL_BOWEL = "small_bowel"
    COLON = "colon"
    BOWEL = "bowel"
    GALLBLADDER = "gallbladder"
    PANCREAS = "pancreas"
    SPLEEN = "spleen"
    KIDNEY = "kidney"
    HEART = "heart"
    OESOPHAGUS = "oesophagus"
    SKIN = "skin"
    BLADDER = "bladder"
    THYROID = "thyroid"
    SALIVARY = "salivary_gland"
    SPINE = "spine"
    OTHER = "other"


LUNGS = (Structure.LUNG, Structure.LUNG_LEFT, Structure.LUNG_RIGHT)

LESIONS = frozenset({Structure.TUMOUR, Structure.TUMOUR_ELSEWHERE, Structure.LYMPH_NODE})
"""What response criteria count: single lesions, wherever they are. Of these only TUMOUR belongs to the liver."""

DERIVED = frozenset(
    {Structure.ALL_TUMOURS, Structure.NORMAL_LIVER, Structure.PERFUSED_NORMAL, Structure.LUNG_LESS_DOME}
)
"""What is made of others, or stands for several of them, whoever drew it: never a lesion."""

LIVER_PARTS = frozenset(
    {
        Structure.LIVER,
        Structure.LOBE,
        Structure.NORMAL_LIVER,
        Structure.PERFUSED,
        Structure.PERFUSED_NORMAL,
        Structure.REMNANT,
    }
)
"""The liver and what is cut from it."""

ORGANS = frozenset(
    {
        Structure.STOMACH,
        Structure.DUODENUM,
        Structure.SMALL_BOWEL,
        Structure.COLON,
        Structure.BOWEL,
        Structure.GALLBLADDER,
        Structure.PANCREAS,
        Structure.SPLEEN,
        Structure.KIDNEY,
        Structure.HEART,
        Structure.OESOPHAGUS,
        Structure.SKIN,
        Structure.BLADDER,
        Structure.THYROID,
        Structure.SALIVARY,
        Structure.SPINE,
    }
)
"""Organs other than liver and lungs, that activity should not reach."""
