"""Words that people write into the names of structures, in six languages, and what each stands for.

Folded as `hepatica.anatomy.structures.names.tokens` folds a name: lower case, no accents, simplified Chinese. A phrase of several words
goes before its parts. English, French, German, Spanish, Dutch, Chinese; the abbreviations are those of AAPM TG-263
(2018) and of radioembolization (TV, NTL, FLR).
"""

from __future__ import annotations

from enum import StrEnum

from hepatica.anatomy.structures.kinds import Structure


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
    BENIGN = "benign"
    TISSUE = "tissue"
    NUMBER = "number"
    LENGTH = "length"
    FILLER = "filler"
    UNKNOWN = "unknown"


WORDS: dict[Word | Structure, str] = {
    Word.LIVER: """
        liver, livers, hepar, hepatic, whole liver, tlv, wlv
        foie, hepatique, parenchyme hepatique; leber; higado, hepatico, hepatica; lever; 肝, 肝脏, 全肝
        """,
    Word.TUMOUR: """
        tumour, tumor, tumours, tumors, tumoural, tumoral, tumorous, tumourous, lesion, lesions, hcc, metastasis,
        metastases, metastatic, metastase, mets, icc, icca, cca, ccc, cholangiocarcinoma, carcinoma, neoplasm, neoplasia,
        neoplastic, malignancy, crlm, crlms, nelm, vtv, pvtt, tv, nodule, nodules, carcinoid
        tumeur, tumeurs, tumorale, tumoraux, tumorales, metastatique, chc, nodules tumoraux, neoplasie
        tumoren, lasion, lasionen, laesion, laesionen, metastasen, herd, herde, rundherd, raumforderung, karzinom,
        krebs, filia, filiae, tumorherd
        tumores, lesiones, tumoracion, nodulo, nodulos, neoplasico
        laesie, laesies, uitzaaiing, uitzaaiingen, letsel, letsels, gezwel, tumorweefsel
        肿瘤, 瘤, 癌, 病灶, 病变, 转移瘤, 转移灶, 转移, 肝癌, 肝细胞癌, 胆管癌, 结节
        """,
    Word.GROSS: "gtv, gtvs, gtvp, gtvn, gtvm, gtvt",
    Word.TARGET: "ctv, ctvs, ctvp, ctvn, ptv, ptvs, ptvp, ptvn, itv, itvs, igtv, planning target, clinical target, 靶区",
    Word.LUNG: "lung, lungs, pulmo, pulmonary; poumon, poumons, pulmonaire; lunge, lungen, lungenflugel; pulmon, "
    "pulmones, pulmonar; longen; 肺, 双肺, 全肺, 肺脏",
    Word.HEALTHY: """
        normal, healthy, uninvolved, nontumor, nontumour, nontumoral, nontumoural, nontumorous, unaffected, nontumours
        sain, saine, normale; gesund, gesunde, gesundes, gesunder, normales, normaler, tumorfrei, tumorfreie, tumorfreies
        sano, sana; gezond, gezonde, normaal; 正常, 健康
        """,
    Word.LESS: """
        minus, less, without, excl, excluding, except, sub, subtract, subtracted, w o, but not, beyond, outside, wo
        moins, sans, hors, excepte, sauf; ohne, abzuglich, abzueglich, ausser, ausserhalb, exkl
        menos, sin, excepto, fuera; zonder, min, behalve, buiten, exclusief; 减, 减去, 去除, 除去, 不含, 除外, 以外
        """,
    Word.WITH: "with, incl, including, inclusive; avec, inclus, y compris, comprenant; mit, inkl, inklusive, "
    "einschliesslich; con, incluido, incluyendo, incluida; inclusief, samen met; 含, 包括, 包含",
    Word.AND: "and, or; et, ou; und, oder; y, o; en; 和, 与, 及, 或",
    Word.NON: "non, not, no; pas; nicht, kein, keine; niet, geen; 非, 无, 没有, 未",
    Word.SPARED: "untreated, unperfused, nonperfused, spared, extrahepatic, unbehandelt, unbehandelte, non traite, onbehandeld, 未治疗",
    Word.FREE: "free, negative; exempt, libre, indemne; frei, freie, freies; vrij, vrije",
    Word.ALL: """
        all, total, whole, sum, combined, every, entire, union; tous, toutes, tout, toute, totale, somme, ensemble
        alle, aller, gesamt, gesamte, gesamtes, gesamter, samtliche, summe, ganze
        todos, todas, todo, toda, suma, entero; totaal, totale, som, gehele, hele; 全部, 所有, 总, 全, 合计
        """,
    Word.PERFUSED: """
        perfused, perfusion, perf, treated, target, targeted, treatment, embolized, embolised, infused
        perfuse, perfusee, traite, traitee, cible, embolise; perfundiert, perfundierte, perfundiertes, behandelt,
        behandelte, behandeltes, ziel, zielvolumen, bestrahlt
        perfundido, perfundida, tratado, tratada, objetivo; geperfundeerd, geperfundeerde, behandeld, behandelde,
        doelvolume, doelgebied; 灌注, 治疗, 治疗区
        """,
    Word.TERRITORY: """
        territory, territories, angiosome, angiosomes, target volume, treated volume, perfused volume, perfusion volume
        territoire, territoires, angiosome; territorium, territorien, versorgungsgebiet, perfusionsgebiet, angiosom
        territorio, territorios, angiosoma; stroomgebied, verzorgingsgebied; 灌注区, 灌注体积, 供血区
        """,
    Word.LEFT: "left, l, lt, lft; gauche, g; links, linke, linker, linkes, linken; izquierdo, izquierda, izq, izqdo; 左",
    Word.RIGHT: "right, r, rt, rgt; droit, droite, d, dt; rechts, rechte, rechter, rechtes, rechten; derecho, derecha, "
    "der, dcho, dcha; 右",
    Word.LOBE: "lobe, lobes, lobar, caudate, hemiliver; hemifoie; lappen; lobulo, lobulos; kwab, "
    "leverkwab; 叶, 肝叶, 左叶, 右叶, 尾叶, 尾状叶, 左肝, 右肝",
    Word.SEGMENT: "segment, segments, seg, couinaud, segmento, segmentos, segmente, sg; 段, 肝段",
    Word.NECROSIS: "necrosis, necrotic, necrose, nekrose, nekrotisch, nekrotische, necrotique, necrotico, necrotisch; "
    "坏死",
    Word.BODY: "body, external, patient, outline, body outline, body contour, whole body; corps, contour externe, "
    "contour corps, corps entier; korper, koerper, aussenkontur, patientenkontur, korperkontur; cuerpo, contorno "
    "externo, contorno; lichaam, lichaamscontour, buitencontour; 身体, 体表, 外轮廓, 体轮廓, 全身",
    Word.DOME: "dome, kuppel, leberkuppel, zwerchfellkuppel, domo, cupula, koepel, 膈顶, 肝顶",
    Word.MARGIN: """
        margin, margins, ring, shell, rim, halo, expanded, expansion, exp, prv, dilated, surface, capsule, edge, border,
        peritumoral, peritumoural, peritumor, peritumour, peri, wall around, vicinity, surrounding, around, near
        peritumorale, marge, couronne, bord, capsule hepatique; rand, saum, kapsel, peritumorales, peritumoraler, umgebung
        margen, anillo, borde, capsula; marge, schil, kapsel; 外扩, 边缘, 瘤周, 周围, 包膜
        """,
    Word.ASIDE: """
        motion, movement, breathing, respiratory, couch, table, bolus, marker, markers, fiducial, clip, clips, catheter,
        port, stent, artifact, artefact, dose, isodose, background, phantom, axis, bed, cavity, ablation, mould
        mouvement, respiration, respiratoire, artefact, fond
        bewegung, atmung, tisch, liege, katheter, hintergrund, atembewegung; movimiento, respiratorio, mesa, cateter, fondo
        beweging, ademhaling, tafel, achtergrond; 运动, 呼吸, 床, 导管, 伪影, 本底, 背景
        """,
    Word.REMNANT: "remnant, future remnant, future liver remnant, flr, futur foie restant, foie restant, "
    "restleber, leberrest, zukunftige restleber; remanente, remanente hepatico futuro; restlever, toekomstige restlever; "
    "残肝, 剩余肝, 未来残肝",
    Word.LIPIODOL: "lipiodol, lipiodolretention, ethiodol; 碘油",
    Word.NODE: "lymph node, lymph nodes, lymphnode, lymphnodes, node, nodes, nodal, adenopathy, lymphadenopathy; "
    "ganglion, ganglions, adenopathie; lymphknoten; ganglio, ganglios, adenopatia; lymfeklier, lymfeklieren; 淋巴结",
    Word.SITE: """
        bone, bones, brain, adrenal, peritoneal, peritoneum, rib, ribs, pleura, pleural, omentum, omental, mediastinum,
        mediastinal, os, cerveau, surrenale, peritoine, knochen, gehirn, nebenniere, peritoneum, hueso, cerebro, suprarrenal,
        bot, hersenen, bijnier, sternum, sacrum, pelvis, femur, 骨, 脑, 肾上腺, 腹膜
        """,
    Word.VESSEL: """
        artery, arteries, vein, veins, vessel, vessels, portal, aorta, vena, cava, ivc, duct, ducts, pvt, thrombus, tree,
        hepatic artery, hepatic vein, portal vein, bile, biliary, fissure, ligament, trunk, vasculature, bronchi, bronchus,
        trachea, hilum, hilus, porta hepatis; artere, arteres, veine, veines, vaisseau, vaisseaux, veine porte, bronches; arterie, arterien, vene, venen,
        gefass, gefasse, pfortader, gallengang; arteria, arterias, venas, vaso, vasos, conducto
        slagader, ader, aders, vaten, bloedvaten, galweg; 动脉, 静脉, 门静脉, 血管, 胆管, 肝动脉, 肝静脉, 气管
        """,
    Word.BENIGN: "benign, cyst, cysts, hemangioma, haemangioma, fnh, adenoma, kyste, kystes, hemangiome, benigne, zyste, "
    "zysten, hamangiom, quiste, quistes, hemangioma hepatico, cyste, cystes, 囊肿, 血管瘤, 良性",
    Word.TISSUE: "tissue, parenchyma, parenchym, tissu, parenchyme, gewebe, tejido, parenquima, weefsel, 组织, 实质",
    Word.LENGTH: "mm, cm, 毫米, 厘米",
    Word.FILLER: """
        of, the, in, du, de, la, le, les, des, del, den, dem, des, von, vom, im, van, het, op, di, volume, vol, roi,
        structure, struct, mask, contour, label, final, new, copy, v, a, b, c, e, f, ct, mr, mri, pet, spect, pre, post, au,
        dans, aus, volumen, region, gebied, organ, site, main, index, viable, solid, enhancing, vital, vitaler, viables, no., nr,
        nb, num, numero, number, 体积, 区, 号, 的
        """,
    Structure.STOMACH: "stomach, gastric, estomac, gastrique, magen, estomago, gastrico, maag, 胃",
    Structure.DUODENUM: "duodenum, duodenal, duodenum, zwolffingerdarm, zwoelffingerdarm, duodeno, twaalfvingerige darm, "
    "十二指肠",
    Structure.SMALL_BOWEL: "small bowel, small intestine, smallbowel, bowel small, jejunum, ileum, intestin grele, grele, "
    "dunndarm, duenndarm, intestino delgado, yeyuno, ileon, dunne darm, 小肠, 空肠, 回肠",
    Structure.COLON: "colon, large bowel, large intestine, bowel large, hepatic flexure, flexure, sigmoid, rectum, cecum, "
    "gros intestin, dickdarm, kolon, intestino grueso, dikke darm, 结肠, 大肠, 直肠",
    Structure.BOWEL: "bowel, bowels, bowelbag, bowel bag, intestine, intestines, gut, intestin, intestins, darm, darme, "
    "intestino, intestinos, darmen, 肠, 肠道",
    Structure.GALLBLADDER: "gallbladder, gall bladder, vesicule, vesicule biliaire, gallenblase, vesicula, vesicula biliar, "
    "galblaas, 胆囊",
    Structure.PANCREAS: "pancreas, pancreatic, pankreas, bauchspeicheldruse, bauchspeicheldruese, alvleesklier, 胰, 胰腺",
    Structure.SPLEEN: "spleen, splenic, milz, bazo, milt, 脾, 脾脏",
    Structure.KIDNEY: "kidney, kidneys, renal, rein, reins, niere, nieren, rinon, rinones, nier, 肾, 肾脏, 双肾",
    Structure.HEART: "heart, cardiac, myocardium, coeur, herz, corazon, hart, 心, 心脏",
    Structure.OESOPHAGUS: "oesophagus, esophagus, oesophage, speiserohre, speiseroehre, osophagus, esofago, slokdarm, 食管, "
    "食道",
    Structure.SKIN: "skin, peau, haut, piel, huid, 皮肤",
    Structure.BLADDER: "urinary bladder, bladder, vessie, harnblase, blase, vejiga, blaas, 膀胱",
    Structure.THYROID: "thyroid, thyroide, schilddruse, schilddruese, tiroides, schildklier, 甲状腺",
    Structure.SPINE: "spine, spinal cord, spinalcord, vertebra, vertebrae, vertebral, rachis, colonne, vertebre, vertebres, "
    "moelle, moelle epiniere, wirbel, wirbelsaule, wirbelsaeule, ruckenmark, columna, vertebras, medula espinal, wervel, "
    "wervelkolom, ruggenmerg, 脊柱, 脊髓, 椎体",
}
"""Words and phrases of each meaning, separated by commas or semicolons."""

LONE: dict[str, Word | Structure] = {
    "long": Word.LUNG,
    "met": Word.TUMOUR,
    "rate": Structure.SPLEEN,
    "nl": Word.HEALTHY,
    "ntl": Word.HEALTHY,
    "fnl": Word.HEALTHY,
    "z": Word.ASIDE,
}
"""Words that mean this only where nothing else in the name is unknown: Dutch "long" is the lung, French "rate" the
spleen, English "met" a metastasis (Dutch: with)."""

COMPOUNDED = (
    "leber", "tumor", "tumoren", "lasion", "lasionen", "metastase", "metastasen", "lunge", "lungen", "herd", "herde",
    "lappen", "normal", "frei", "freie", "freies", "gesamt", "karzinom", "krebs", "nekrose", "parenchym", "gewebe", "lever",
    "long", "laesie", "laesies", "kwab", "uitzaaiing", "uitzaaiingen", "weefsel", "niere", "nieren", "nier", "milz",
    "pankreas", "magen", "darm", "knochen", "rand", "volumen", "volume", "ziel", "segment", "zyste", "arterie", "vene",
    "kuppel", "bewegung", "haut", "gefasse", "kapsel", "lymphknoten", "lesion", "tumour", "linker", "rechter",
)  # fmt: skip
"""German and Dutch words that are written together with others: Lebertumor, levermetastase, Lungenmetastasen."""

TRADITIONAL = str.maketrans(
    "臟腫轉膽腎腸體葉減無區總膚變灑結節雙與兩療動靜門脈關顯懸實質組織邊緣圍運導偽貳號積細狀餘損異緻顆長際後點乾術單複碼線蹟淨週軀個腦圖側顱",
    "脏肿转胆肾肠体叶减无区总肤变洒结节双与两疗动静门脉关显悬实质组织边缘围运导伪贰号积细状余损异致颗长际后点干术单复码线迹净周躯个脑图侧颅",
)
"""Traditional characters of these words to simplified ones."""
