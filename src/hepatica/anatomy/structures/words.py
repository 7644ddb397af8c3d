"""Words that people write into the names of structures, in six languages, and what each stands for."""

from __future__ import annotations

import functools
from enum import StrEnum

from hepatica.anatomy.structures.kinds import Structure
from hepatica.core.tables.shipped import toml_table


class Word(StrEnum):
    """What a word does in a name, beside naming an organ."""

    LIVER = "liver"
    TUMOUR = "tumour"
    GROSS = "gross tumour volume"
    TARGET = "target with margin"
    LUNG = "lung"
    HEALTHY = "healthy"
    TUMOUR_FREE = "free of tumour"
    SPARED = "spared"
    LESS = "less"
    WITH = "with"
    AND = "and"
    PLUS = "+"
    HYPHEN = "-"
    NON = "non"
    FREE = "free"
    ALL = "all"
    PERFUSED = "perfused"
    TERRITORY = "territory"
    LEFT = "left"
    RIGHT = "right"
    LOBE = "lobe"
    SEGMENT = "segment"
    NECROSIS = "necrosis"
    BODY = "body"
    DOME = "dome"
    MARGIN = "margin"
    ASIDE = "aside"
    REMNANT = "remnant"
    LIPIODOL = "lipiodol"
    NODE = "lymph node"
    SITE = "another site"
    VESSEL = "vessel"
    ARTERY = "artery"
    OUTDATED = "outdated"
    BENIGN = "benign"
    TISSUE = "tissue"
    NUMBER = "number"
    LENGTH = "length"
    FILLER = "filler"
    UNKNOWN = "unknown"


@functools.cache
def words() -> dict[tuple[str, ...], Word | Structure]:
    """Each word or phrase of the table, and what it stands for."""
    table = toml_table(__package__, "words.toml")
    found: dict[tuple[str, ...], Word | Structure] = {}
    for kinds, rows in ((Word, table["words"]), (Structure, table["structures"])):
        for kind, phrases in rows.items():
            found |= dict.fromkeys((tuple(phrase.split()) for phrase in phrases), kinds[kind])
    return found


LONE: dict[str, Word | Structure] = {
    "long": Word.LUNG,
    "met": Word.TUMOUR,
    "tm": Word.TUMOUR,
    "tu": Word.TUMOUR,
    "net": Word.TUMOUR,
    "nets": Word.TUMOUR,
    "rate": Structure.SPLEEN,
    "nl": Word.HEALTHY,
    "ntl": Word.HEALTHY,
    "fnl": Word.HEALTHY,
    "z": Word.ASIDE,
}
"""Words that mean this only where nothing else in the name is unknown: Dutch "long" is the lung, French "rate" the
spleen, English "met" a metastasis (Dutch: with), "NET" a neuroendocrine tumour, German "TU" and "Tm" a tumour."""

CANCERS = ("karzinom", "carcinom", "carcinoom", "metasta")
"""A word that is not in the table and holds one of these is a tumour: "Adenokarzinom", "cystadenocarcinoma"."""

COMPOUNDED = (
    "leber", "tumor", "tumoren", "lasion", "lasionen", "metastase", "metastasen", "lunge", "lungen", "herd", "herde",
    "lappen", "normal", "frei", "freie", "freies", "gesamt", "karzinom", "krebs", "nekrose", "parenchym", "gewebe",
    "lever", "long", "laesie", "laesies", "kwab", "uitzaaiing", "uitzaaiingen", "weefsel", "niere", "nieren", "nier",
    "milz", "pankreas", "magen", "darm", "knochen", "rand", "volumen", "volume", "ziel", "segment", "zyste", "arterie",
    "vene",
    "kuppel", "bewegung", "haut", "gefasse", "kapsel", "lymphknoten", "lesion", "tumour", "linker", "rechter",
)  # fmt: skip
"""German and Dutch words that are written together with others: Lebertumor, levermetastase, Lungenmetastasen."""

TRADITIONAL = str.maketrans(
    "臟腫轉膽腎腸體葉減無區總膚變灑結節雙與兩療動靜門脈關顯懸實質組織邊緣圍運導偽貳號"
    "積細狀餘損異緻顆長際後點乾術單複碼線蹟淨週軀個腦圖側顱",
    "脏肿转胆肾肠体叶减无区总肤变洒结节双与两疗动静门脉关显悬实质组织边缘围运导伪贰号"
    "积细状余损异致颗长际后点干术单复码线迹净周躯个脑图侧颅",
)
"""Traditional characters of these words to simplified ones."""
