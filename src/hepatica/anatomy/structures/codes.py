"""What the codes of a structure mean: SNOMED CT, FMA, RTROIInterpretedType, and our own.

SNOMED CT: DICOM PS3.16 CID 7150 (categories), 7151 and 7159 (types), with the retired SRT codes that older files hold.
FMA: the Foundational Model of Anatomy, used by planning systems for RTSTRUCT. 99HEPATICA: the role itself, so that what
hepatica writes reads back as what it was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from hepatica.anatomy.structures.kinds import DERIVED, LESIONS, LIVER_PARTS, LUNGS, ORGANS, Structure
from hepatica.anatomy.structures.names import Meaning, meaning_of
from hepatica.core.region import Code, Region

OWN_SCHEME = "99HEPATICA"
ROI_TYPE = "RTROIInterpretedType"
"""Scheme of a `Code` that holds the type of an RTSTRUCT's region, which is no code."""
DERIVED_CODE = "derived"


ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
TISSUE = Code("85756007", "SCT", "Tissue")
_LIVER = Code("10200004", "SCT", "Liver")
_NEOPLASM = Code("108369006", "SCT", "Neoplasm")
_LUNG = Code("39607008", "SCT", "Lung")

WRITTEN: dict[Structure, tuple[Code, Code]] = {
    Structure.BODY: (ANATOMY, Code("38266002", "SCT", "Entire Body")),
    Structure.LIVER: (ANATOMY, _LIVER),
    Structure.LOBE: (ANATOMY, _LIVER),
    Structure.NORMAL_LIVER: (ANATOMY, _LIVER),
    Structure.PERFUSED: (ANATOMY, _LIVER),
    Structure.PERFUSED_NORMAL: (ANATOMY, _LIVER),
    Structure.REMNANT: (ANATOMY, _LIVER),
    Structure.TUMOUR: (ABNORMAL, _NEOPLASM),
    Structure.TUMOUR_ELSEWHERE: (ABNORMAL, _NEOPLASM),
    Structure.ALL_TUMOURS: (ABNORMAL, _NEOPLASM),
    Structure.NECROSIS: (ABNORMAL, Code("6574001", "SCT", "Necrosis")),
    Structure.LYMPH_NODE: (ANATOMY, Code("59441001", "SCT", "Lymph Node")),
    Structure.LUNG: (ANATOMY, _LUNG),
    Structure.LUNG_LESS_DOME: (ANATOMY, _LUNG),
    Structure.LUNG_LEFT: (ANATOMY, Code("44029006", "SCT", "Left Lung")),
    Structure.LUNG_RIGHT: (ANATOMY, Code("3341006", "SCT", "Right Lung")),
    Structure.STOMACH: (ANATOMY, Code("69695003", "SCT", "Stomach")),
    Structure.DUODENUM: (ANATOMY, Code("38848004", "SCT", "Duodenum")),
    Structure.SMALL_BOWEL: (ANATOMY, Code("30315005", "SCT", "Small intestine")),
    Structure.COLON: (ANATOMY, Code("71854001", "SCT", "Colon")),
    Structure.GALLBLADDER: (ANATOMY, Code("28231008", "SCT", "Gallbladder")),
    Structure.PANCREAS: (ANATOMY, Code("15776009", "SCT", "Pancreas")),
    Structure.SPLEEN: (ANATOMY, Code("78961009", "SCT", "Spleen")),
    Structure.KIDNEY: (ANATOMY, Code("64033007", "SCT", "Kidney")),
    Structure.HEART: (ANATOMY, Code("80891009", "SCT", "Heart")),
    Structure.OESOPHAGUS: (ANATOMY, Code("32849002", "SCT", "Esophagus")),
    Structure.SKIN: (ANATOMY, Code("39937001", "SCT", "Skin")),
    Structure.SPINE: (ANATOMY, Code("421060004", "SCT", "Spine")),
}
"""Property category and type that are written (DICOM PS3.16 CID 7150, 7151); tissue for every other structure. What is
more than these say stands in a modifier of our own scheme."""

_READ_SCT = {
    **{found.value: role for role, (_, found) in WRITTEN.items() if role not in DERIVED and role not in LIVER_PARTS},
    "10200004": Structure.LIVER,
    "39607008": Structure.LUNG,
    "108369006": Structure.TUMOUR,
    "372087000": Structure.TUMOUR,  # Neoplasm, primary
    "14799000": Structure.TUMOUR,  # Neoplasm, secondary
    "86049000": Structure.TUMOUR,  # Malignant neoplasm, primary
    "52988006": Structure.TUMOUR,  # Lesion
    "4147007": Structure.TUMOUR,  # Mass
    "27925004": Structure.TUMOUR,  # Nodule
    "128462008": Structure.TUMOUR,  # Metastasis
    "94391008": Structure.TUMOUR_ELSEWHERE,  # Pulmonary metastasis
    "94222008": Structure.TUMOUR_ELSEWHERE,  # Bony metastasis
    "14742008": Structure.COLON,  # Large intestine
    "2748008": Structure.SPINE,  # Spinal cord
    "61492009": Structure.LYMPH_NODE,  # Hepatic lymph node
    **dict.fromkeys(
        ("71133005", "277956007", "277957003", "277958008", "277959000", "277960005", "277961009", "277962002"),
        Structure.LOBE,  # Couinaud segments I to VIII
    ),
}  # fmt: skip
_READ_SRT = {
    "T-62000": Structure.LIVER, "T-28000": Structure.LUNG, "M-8FFFF": Structure.TUMOUR, "M-80006": Structure.TUMOUR,
    "M-01100": Structure.TUMOUR, "M-03000": Structure.TUMOUR, "M-03010": Structure.TUMOUR,
    "M-54000": Structure.NECROSIS,
    "T-57000": Structure.STOMACH, "T-58200": Structure.DUODENUM, "T-58000": Structure.SMALL_BOWEL,
    "T-59300": Structure.COLON, "T-59000": Structure.COLON, "T-63000": Structure.GALLBLADDER,
    "T-65000": Structure.PANCREAS, "T-C3000": Structure.SPLEEN, "T-71000": Structure.KIDNEY, "T-32000": Structure.HEART,
    "T-56000": Structure.OESOPHAGUS, "T-01000": Structure.SKIN, "T-D0010": Structure.BODY,
    "T-C4000": Structure.LYMPH_NODE,
}  # fmt: skip
_READ_FMA = {
    "7197": Structure.LIVER, "7195": Structure.LUNG, "7309": Structure.LUNG_RIGHT, "7310": Structure.LUNG_LEFT,
    "68877": Structure.LUNG, "7196": Structure.SPLEEN, "7148": Structure.STOMACH, "7206": Structure.DUODENUM,
    "7200": Structure.SMALL_BOWEL, "7201": Structure.COLON, "14543": Structure.COLON, "7202": Structure.GALLBLADDER,
    "7198": Structure.PANCREAS, "7203": Structure.KIDNEY, "7204": Structure.KIDNEY, "7205": Structure.KIDNEY,
    "7088": Structure.HEART, "7131": Structure.OESOPHAGUS, "7163": Structure.SKIN, "256135": Structure.BODY,
    "7647": Structure.SPINE, "13478": Structure.SPINE, "20394": Structure.BODY,
}  # fmt: skip
_INTERPRETED = {"EXTERNAL": Structure.BODY, "GTV": Structure.TUMOUR}
"""RTROIInterpretedType that says something; ORGAN is what many programs write for everything."""
_WIDENED = {"CTV", "PTV", "ITV"}


@dataclass(frozen=True, slots=True)
class Coded:
    """What a file's codes say of a structure.

    Attributes
    ----------
    structure : Structure or None
        None where they say nothing.
    exact : bool
        Whether it is the role itself, as hepatica wrote it: it goes before the name.
    derived : bool
        Whether the file says that it was made from others.
    text : str
        The code in words, for messages.
    """

    structure: Structure | None = None
    exact: bool = False
    derived: bool = False
    text: str = ""


NOTHING_CODED = Coded()


def coded_meaning(codes: Sequence[Code]) -> Coded:
    """What the codes of one structure say together: our own first, then types of SNOMED CT and FMA, then the ROI type.

    Parameters
    ----------
    codes : sequence of Code
        Types, categories, modifiers and ROI types (`ROI_TYPE`), in any order; unknown ones say nothing.
    """
    own = [code.value for code in codes if code.scheme == OWN_SCHEME]
    derived = DERIVED_CODE in own
    for value in own:
        if value in {role.value for role in Structure}:
            return Coded(Structure(value), True, derived, value.replace("_", " "))
    tables = {"SCT": _READ_SCT, "SRT": _READ_SRT, "SNM3": _READ_SRT, "FMA": _READ_FMA}
    for code in codes:
        found = tables.get(code.scheme, {}).get(code.value)
        if found is not None:
            return Coded(found, False, derived, code.meaning or f"{code.scheme} {code.value}")
    kind = next((code.value.strip().upper() for code in codes if code.scheme == ROI_TYPE), "")
    if kind in _INTERPRETED:
        return Coded(_INTERPRETED[kind], False, derived, kind)
    return Coded(Structure.OTHER, False, derived, kind) if kind in _WIDENED else Coded(derived=derived)


def agreed(name: str, coded: Coded) -> Meaning:
    """What name and codes say together.

    A name may say more than a code (a lobe, "liver minus tumours" is liver) and a code more than a name that says
    nothing. Where they contradict each other neither is taken, and the doubt is said; only what hepatica itself coded
    goes before the name, and the name of what is made of others before a code.
    """
    named = meaning_of(name)
    if coded.structure is None or named.structure is coded.structure:
        return named
    if coded.exact or (
        named.structure is Structure.OTHER and not named.doubt and coded.structure is not Structure.OTHER
    ):
        return Meaning(coded.structure)
    if named.structure in DERIVED or _says_more(named.structure, coded.structure):
        return named
    if named.doubt and coded.structure is not Structure.OTHER and coded.structure is not Structure.LIVER:
        return Meaning(coded.structure)
    if named.structure is Structure.OTHER:
        return named
    said = "a target with its margin" if coded.structure is Structure.OTHER else coded.structure.value.replace("_", " ")
    return Meaning(
        Structure.OTHER, f"{named.structure.value.replace('_', ' ')} by its name, {said} by its code ({coded.text})"
    )


def _says_more(named: Structure, coded: Structure) -> bool:
    """Whether a name only refines a code."""
    parts: dict[Structure, Collection[Structure]] = {
        Structure.LIVER: LIVER_PARTS,
        Structure.LUNG: LUNGS,
        Structure.TUMOUR: LESIONS | {Structure.NECROSIS},
        Structure.SMALL_BOWEL: {Structure.DUODENUM, Structure.BOWEL},
        Structure.COLON: {Structure.BOWEL},
        Structure.BODY: {Structure.SKIN},
        Structure.NECROSIS: {Structure.TUMOUR},
    }
    return named in parts.get(coded, ())


def roi_type(structure: Structure, *, derived: bool) -> str:
    """RTROIInterpretedType to write: GTV for a lesion, EXTERNAL, ORGAN; empty where no defined term is true."""
    if derived or structure in DERIVED:
        return ""
    if structure in LESIONS:
        return "GTV"
    if structure is Structure.BODY:
        return "EXTERNAL"
    return "ORGAN" if structure in (Structure.LIVER, *LUNGS, *ORGANS) else ""


def with_codes(region: Region, structure: Structure, *, derived: bool = False) -> Region:
    """A region that carries what it is, so that every writer states it and every reader finds it again."""
    category, kind, own = codes_of(structure, derived=derived)
    return replace(region, codes=(*own, kind, category))


def codes_to_write(region: Region) -> tuple[Code, Code, tuple[Code, ...]]:
    """Property category, type and modifiers of a region: what it carries, else what its name says."""
    coded = coded_meaning(region.codes)
    structure = agreed(region.name, coded).structure
    return codes_of(structure, derived=coded.derived)


def codes_of(structure: Structure, *, derived: bool) -> tuple[Code, Code, tuple[Code, ...]]:
    """Property category, type, and modifiers of our own scheme (the role; "derived") to write for a structure."""
    category, kind = WRITTEN.get(structure, (TISSUE, TISSUE))
    own = [Code(structure.value, OWN_SCHEME, structure.value.replace("_", " ").capitalize())]
    if derived:
        own.append(Code(DERIVED_CODE, OWN_SCHEME, "Made from other structures"))
    return category, kind, tuple(own)
