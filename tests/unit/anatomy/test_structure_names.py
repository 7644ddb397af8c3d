"""What the names of structures mean, in six languages, with the traps."""

import time

import numpy as np
import pytest

from hepatica.anatomy.structures.names import meaning_of
from hepatica.anatomy.structures.roles import about_unknown, identified
from hepatica.core import Grid, Region

NAMES = {
    "liver": "Liver|foie|Leber|hígado|lever|肝|肝脏|肝臟|Whole Liver|liver with tumours|lever met tumoren|"
    "Leber mit Tumor|liver incl. GTV|TLV|foie entier|liver_v2|Liver contour|gesamte Leber|LIVER_CT|Hígado total|"
    "hele lever|liver minus vessels|Liver + GTV|Foie avec tumeurs|liver parenchyma|Leberparenchym|肝包括肿瘤",
    "tumour": "GTV|GTVp|GTV2|gtv_1|Tumour 1|tumor_3|Lesion-4|HCC seg 8|liver tumour|Liver_GTV|Läsion 2|Laesion|"
    "tumeur|tumeur foie droit|Lebertumor|Leberläsion 3|Metastase Segment 7|lesión|tumor hepático|levertumor|"
    "levermetastase|腫瘤|肿瘤1|肝癌|转移瘤|Met 1|liver met|met|CHC|tumour minus necrosis|tumour with necrosis|"
    "tumour without margin|HCC|target lesion 1|viable tumour|TV|tumor segmento 4|PVTT|perfused tumour|"
    "Lebermetastase rechts|tumor thrombus|tumor in right lobe|lésion hépatique|Lésion|tumeur du lobe droit|"
    "hepatic metastasis|Tumor der Leber|ICC 2|Herd S7|lesion 25 mm|uitzaaiing|肝肿瘤|肝右叶肿瘤|nódulo 1|"
    "viable tumor 2|GTV_L|colon liver met|肝臟腫瘤|métastase|tumour 2 without X",
    "normal_liver": "Liver-GTV|liver minus tumours|Normal Liver|tumour-free liver|non-tumour liver|Leber ohne Tumor|"
    "foie sain|Liver - GTV|Lebernormalgewebe|hígado sano|hígado no tumoral|gezonde lever|niet-tumor lever|"
    "gesunde Leber|正常肝|正常肝脏|肝减肿瘤|非肿瘤肝|无瘤肝|foie non tumoral|foie moins tumeurs|hígado sin tumor|"
    "lever zonder tumor|lever min tumor|tumorfreie Leber|Leber tumorfrei|NTL|NL|FNL|normal tissue|nontumor liver|"
    "uninvolved liver|non tumorous liver|liver without lesions|Liver\\GTV|parenchyme sain|肝臟去除腫瘤|"
    "healthy liver parenchyma|liver w/o HCC|liver excluding GTVs|Normalgewebe Leber|foie hors tumeur|"
    "Liver minus all tumours|foie indemne de tumeur|healthy|非腫瘤肝臟",
    "perfused": "perfused volume|perfused|target volume|treated volume|territory right|angiosome 2|"
    "territoire traité|Zielvolumen|perfundiertes Volumen|灌注区|perfused liver|treated lobe|Perfusionsgebiet|"
    "volumen perfundido|territory of tumour 1|geperfundeerd volume|治疗区|territorio derecho",
    "perfused_normal": "Perfused minus tumours|normal perfused|perfused normal liver|perfused - GTV|"
    "Zielvolumen ohne Tumor|perfused volume without tumour|normal liver in territory right",
    "all_tumours": "all tumours|total tumour|GTV_total|sum of lesions|alle Tumoren|Gesamttumor|toutes les lésions|"
    "todos los tumores|全部肿瘤|GTV all|tumour 1 or tumour 2|tumour 1 and 2|alle tumoren|所有肿瘤|GTV1+GTV2",
    "necrosis": "necrosis|tumour 2 necrosis|necrotic core|Nekrose|nécrose|坏死|tumor necrótico|Tumornekrose",
    "lung": "Lungs|Lunge|poumons|pulmones|longen|long|双肺|肺|lung minus tumours|Lungs-GTV|Lungen|both lungs|"
    "Lung_L+R|lungs total|Lung L + Lung R|normal lung|雙肺",
    "lung_left": "Lung_L|left lung|Lunge links|linke Lunge|poumon gauche|Poumon G|pulmón izquierdo|linkerlong|左肺|"
    "long links|Lt Lung|LungLeft|linker long|Lung_L-GTV|linker Lungenflügel",
    "lung_right": "right lung|Lung_R|rechte Lunge|poumon droit|poumon D|pulmón derecho|右肺|long_R|rechter long|"
    "pulmon dcho",
    "lung_less_dome": "lungs beyond 20 mm of the liver|lung minus dome|Lungs minus liver dome",
    "liver_lobe": "lobe left|lobe droit|right lobe|Segment VIII|seg 4a|Segment 4|lóbulo derecho|Leberlappen rechts|"
    "rechter Leberlappen|right lobe without lesions|左叶|肝右叶|foie droit|left liver|caudate lobe|S4 liver|"
    "leverkwab|liver left lobe|Leber links|normal liver right lobe|Lebersegment 4|S8",
    "body": "External|body|BODY|Körper|Aussenkontur|corps|patient outline|体表|Body contour|contorno externo",
    "remnant": "FLR|future liver remnant|remnant|Restleber|futur foie restant|future remnant",
    "tumour_elsewhere": "lung met|Lungenmetastase|lung tumour|kidney tumour|bone metastasis|Knochenmetastase|"
    "肺转移瘤|tumeur du poumon|longmetastase|Tumor outside liver|extrahepatic tumour",
    "lymph_node": "lymph node 1|Lymphknoten|ganglion|LN node|淋巴结|lymph node metastasis|GTV nodal|"
    "Lymphknotenmetastase",
    "stomach": "stomach|Magen|estomac|estómago|maag|胃|Stomach wall",
    "duodenum": "duodenum|Duodenum|duodénum|十二指肠|Zwölffingerdarm|duodeno|twaalfvingerige darm",
    "small_bowel": "SmallBowel|small bowel|Dünndarm|intestin grêle|小肠|Bowel_Small|intestino delgado",
    "colon": "colon|Colon|côlon|Dickdarm|结肠|hepatic flexure",
    "bowel": "bowel|Bowel_Bag|intestine|Darm|肠|small bowel and colon",
    "gallbladder": "gallbladder|gall bladder|Gallenblase|vésicule biliaire|胆囊|膽囊|galblaas|GallBladder|vesícula",
    "pancreas": "pancreas|Pankreas|páncreas|胰腺",
    "spleen": "spleen|Milz|rate|bazo|milt|脾|脾臟",
    "kidney": "kidney|Kidney_L|Niere links|rein gauche|riñón|nier|肾|腎|Left Kidney|Kidneys",
    "heart": "heart|Herz|coeur|cœur|corazón|hart|心",
    "skin": "skin|Haut|peau|piel|huid",
    "oesophagus": "esophagus|Speiseröhre|œsophage",
    "spine": "spine|SpinalCord|Wirbelsäule",
    "lipiodol": "lipiodol|碘油|Ethiodol",
    "other": "PTV|CTV|PTV minus GTV|Couch|CouchSurface|liver dome motion|liver dome|peritumoral|GTV+5mm|GTV ring|"
    "tumour margin|hepatic artery|portal vein|liver vessels|liver motion|ITV liver|liver cyst|hemangioma|"
    "benign lesion|long axis|dose rate|Segment_1|label 3|ROI 7|liver-tumour|Leber-Tumor|liver and spleen|"
    "stomach/duodenum|without tumour|kein Tumor|not liver|extrahepatic|liver minus PTV|liver surface|"
    "untreated liver|non-perfused liver|liver minus perfused||isodose 50|lung liver interface|right upper lobe lung|"
    "lung perfusion|liver PRV05|GTV 5mm|PTV_liver|zLiver|Liverpool|delivery|tumour bed|peri-tumoral|GTV_ring|"
    "liver minus necrosis|肿瘤外扩|liver capsule|background liver|colon metastasis|Tumorbewegung|"
    "Leberkuppelbewegung|pas de tumeur|no tumour|liver and tumour|ablation zone|Gefässe|all lung mets",
}  # fmt: skip


@pytest.mark.parametrize("role", NAMES)
def test_names_in_six_languages(role: str) -> None:
    wrong = {name: found for name in NAMES[role].split("|") if (found := meaning_of(name).structure.value) != role}
    assert wrong == {}


def test_capitals_and_underscores_do_not_matter() -> None:
    for names in NAMES.values():
        for name in names.split("|"):
            if "GTV" in name.upper() or name == "Segment_1" or " - " in name:
                continue
            assert meaning_of(name.lower()).structure == meaning_of(f"  {name.lower()} ").structure, name


@pytest.mark.parametrize(
    "name",
    ["PTV", "CTV 1", "Liver-Tumour", "Leber-Läsion", "liver and tumour", "stomach/duodenum", "lung and liver",
     "liver minus PTV", "parenchyma", "colon metastasis", "GTV 5mm", "Lesion not treated"],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_not_decided(name: str) -> None:
    found = meaning_of(name)
    assert found.structure == "other"
    assert found.doubt


@pytest.mark.parametrize(
    "name", ["lungen" * 9 + "x", "lungen" * 500, "肝" * 5000, "liver - " * 400, "minus " * 300, "-+/\\" * 99]
)
def test_a_hostile_name_takes_no_time(name: str) -> None:
    started = time.perf_counter()
    meaning_of(name)
    assert time.perf_counter() - started < 1


def test_hundreds_of_names_are_tried() -> None:
    assert sum(len(names.split("|")) for names in NAMES.values()) > 400


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (
            "tumour",
            (
                "Leberzellkarzinom S8|hepatocarcinoma S8|hepatocellulair carcinoom S8|carcinome hépatocellulaire|TU1|"
                "Tm 1|NET met 2|Adenokarzinom S4|portal vein tumour thrombus"
            ),
        ),
        ("perfused", "Perfusionsvolumen|perfusievolume|Behandlungsvolumen|Zielgebiet"),
        ("normal_liver", "Leber abzgl. Tumor"),
        ("tumour_elsewhere", "prostate tumour|breast tumour"),
        ("other", "tumour track|pseudo-lesion|liver block|hepatic artery"),
    ],
)
def test_names_that_were_misread(role: str, names: str) -> None:
    assert {n: meaning_of(n).structure.value for n in names.split("|")} == dict.fromkeys(names.split("|"), role)


@pytest.mark.parametrize("name", ["tumour feeder artery", "tumour vessel", "GTV_avoid", "GTV old", "lungs minus PTV"])
def test_what_is_not_surely_the_tumour_or_the_lungs_is_in_doubt(name: str) -> None:
    found = meaning_of(name)
    assert found.structure.value == "other"
    assert found.doubt


def test_names_that_say_nothing_are_said_in_one_message() -> None:
    names = ["Xyz", "Segment_1", "A3", "couch", "GTV_avoid", "Lebertumor"]
    grid = Grid.axial((2, 2, 2), spacing_mm=(1, 1, 1), origin_mm=(0, 0, 0))
    regions = [Region.from_coverage(name, grid, np.ones(grid.shape, np.float32)) for name in names]
    (message,) = about_unknown(identified(regions), None)
    assert [name for name in names if repr(name) in message.text] == ["Xyz", "Segment_1", "A3"]
    stated = {"Xyz": "tumour", "Segment_1": "other", "A3": "liver"}
    assert about_unknown(identified(regions, stated), stated) == ()
