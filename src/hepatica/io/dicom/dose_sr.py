"""Radiopharmaceutical Radiation Dose report as DICOM SR: one administration, and the doses of organs that it gave.

Tree of templates TID 10021 (report), 10022 (administration) and 10023 (organ dose) of DICOM PS3.16, made of the content
items of highdicom. Tumours are no organ of CID 10044 and have no place in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from hepatica.core.context import DicomContext, uid_of
from hepatica.errors import DicomError
from hepatica.io.dicom.images.write import NUCLIDE_CODES
from hepatica.io.dicom.objects import MANUFACTURER, RESEARCH_ONLY, new_object, save_object
from hepatica.version import __version__

RADIOPHARMACEUTICAL_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.68"

MGY_PER_GY, MBQ_PER_BQ = 1000.0, 1e-6

SITES = {"liver": ("10200004", "Liver"), "lungs": ("39607008", "Lung")}
"""Organ -> SNOMED code (CID 10044)."""


class OrganDose(NamedTuple):
    """Mean dose of an organ.

    Attributes
    ----------
    organ : {"liver", "lungs"}
        Which.
    dose_gy : float
        Mean absorbed dose.
    mass_kg : float or None
        Of the organ.
    method : str
        How it was found, in words.
    """

    organ: str
    dose_gy: float
    mass_kg: float | None
    method: str


@dataclass(frozen=True, slots=True)
class Administration:
    """What was administered, and what it gave.

    Attributes
    ----------
    agent, nuclide : str
        Agent in words, nuclide in hepatica's form ("Y-90").
    half_life_s : float
        Of the nuclide.
    activity_bq : float
        That reached the patient.
    started_at : datetime
        Instant of the administration.
    doses : tuple of OrganDose
        Doses that were measured.
    comment : str
        Uncertainty and what else the reader must know.
    """

    agent: str
    nuclide: str
    half_life_s: float
    activity_bq: float
    started_at: datetime
    doses: tuple[OrganDose, ...] = ()
    comment: str = ""


def write_dose_sr(path: Path, administration: Administration, context: DicomContext) -> Path:
    """Write the report into the study of `context`.

    Raises
    ------
    DicomError
        If there is no code for the nuclide.
    """
    if administration.nuclide not in NUCLIDE_CODES:
        known = ", ".join(NUCLIDE_CODES)
        raise DicomError(f"there is no DICOM code for {administration.nuclide} (there is for {known})", path=path)
    dataset = new_object(context, RADIOPHARMACEUTICAL_DOSE_SR, "SR", description="Radiation dose")
    dataset.ContentDate, dataset.ContentTime = dataset.InstanceCreationDate, dataset.InstanceCreationTime
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.PerformedProcedureCodeSequence = []
    dataset.ReferencedPerformedProcedureStepSequence = []
    root = _tree(administration, context)
    for element in root:
        dataset[element.tag] = element
    if "RelationshipType" in dataset:
        del dataset.RelationshipType  # the root has none above it
    return save_object(dataset, path)


def _code(value: str, scheme: str, meaning: str) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(value=value, scheme_designator=scheme, meaning=meaning)


def _item(kind: str, name: tuple[str, str, str], value: Any, relation: str = "CONTAINS", **more: Any) -> Any:
    """A content item of highdicom: "Code", "Num", "Text", "UIDRef", "DateTime"."""
    from highdicom import sr

    made = getattr(sr, f"{kind}ContentItem")
    return made(name=_code(*name), value=value, relationship_type=relation, **more)


def _container(name: tuple[str, str, str], items: Sequence[Any], template: str = "", relation: str = "CONTAINS") -> Any:
    from highdicom import sr

    found = sr.ContainerContentItem(name=_code(*name), template_id=template or None, relationship_type=relation)
    found.ContentSequence = sr.ContentSequence(items, is_root=False)
    return found


def _tree(administration: Administration, context: DicomContext) -> Any:
    reported = _item(
        "Code", ("121058", "DCM", "Procedure reported"),
        _code("113502", "DCM", "Radiopharmaceutical Administration"), "HAS CONCEPT MOD",
    )  # fmt: skip
    intent = _item(
        "Code", ("363703001", "SCT", "Has Intent"),
        _code("262202000", "SCT", "Therapeutic Intent"), "HAS CONCEPT MOD",
    )  # fmt: skip
    reported.ContentSequence = [intent]
    language = _item(
        "Code", ("121049", "DCM", "Language of Content Item and Descendants"),
        _code("en", "RFC5646", "English"), "HAS CONCEPT MOD",
    )  # fmt: skip
    comment = " ".join(filter(None, (RESEARCH_ONLY, administration.comment)))
    return _container(
        ("113500", "DCM", "Radiopharmaceutical Radiation Dose Report"),
        [
            language,
            reported,
            *_observer(),
            _event(administration, context),
            _item("Text", ("121106", "DCM", "Comment"), comment),
        ],
        template="10021",
    )


def _observer() -> list[Any]:
    relation = "HAS OBS CONTEXT"
    return [
        _item("Code", ("121005", "DCM", "Observer Type"), _code("121007", "DCM", "Device"), relation),
        _item("UIDRef", ("121012", "DCM", "Device Observer UID"), uid_of("hepatica", __version__), relation),
        _item("Text", ("121013", "DCM", "Device Observer Name"), f"hepatica {__version__}", relation),
        _item("Text", ("121014", "DCM", "Device Observer Manufacturer"), MANUFACTURER, relation),
    ]


def _event(administration: Administration, context: DicomContext) -> Any:
    """TID 10022."""
    one = administration
    agent = _item(
        "Code", ("349358000", "SCT", "Radiopharmaceutical agent"),
        _code(_short_code(one.agent), "99HEPATICA", one.agent[:64]),
    )  # fmt: skip
    agent.ContentSequence = [
        _item("Code", ("89457008", "SCT", "Radionuclide"), _code(*NUCLIDE_CODES[one.nuclide]), "HAS PROPERTIES"),
        _item(
            "Num", ("304283002", "SCT", "Radionuclide Half Life"), one.half_life_s, "HAS PROPERTIES",
            unit=_code("s", "UCUM", "seconds"),
        ),
    ]  # fmt: skip
    # The same treatment of the same study is the same event, in every report of it.
    event = uid_of("administration", context.study_uid, one.nuclide, one.started_at.isoformat())
    activity = one.activity_bq * MBQ_PER_BQ
    return _container(
        ("113502", "DCM", "Radiopharmaceutical Administration"),
        [
            agent,
            _item("UIDRef", ("113503", "DCM", "Radiopharmaceutical Administration Event UID"), event),
            _item("DateTime", ("123003", "DCM", "Radiopharmaceutical Start DateTime"), one.started_at),
            _item("Num", ("113507", "DCM", "Administered activity"), activity,
                  unit=_code("MBq", "UCUM", "Megabecquerel")),
            _item("Code", ("410675002", "SCT", "Route of administration"),
                  _code("58100008", "SCT", "Intra-arterial route")),
            *map(_organ, one.doses),
        ],
        template="10022",
    )  # fmt: skip


def _short_code(agent: str) -> str:
    """Code value of an agent: DICOM has no codes for microspheres (CID 4021)."""
    return "".join(c for c in agent.upper() if c.isascii() and c.isalnum())[:16] or "MICROSPHERES"


def _organ(dose: OrganDose) -> Any:
    """TID 10023."""
    value, meaning = SITES[dose.organ]
    items = [
        _item("Code", ("363698007", "SCT", "Finding Site"), _code(value, "SCT", meaning)),
        _item(
            "Num", ("113518", "DCM", "Organ Dose"), dose.dose_gy * MGY_PER_GY, unit=_code("mGy", "UCUM", "milligray")
        ),
    ]
    if dose.mass_kg is not None:
        items.append(_item("Num", ("118538004", "SCT", "Mass"), dose.mass_kg * 1000.0, unit=_code("g", "UCUM", "gram")))
    items.append(_item("Text", ("370129005", "SCT", "Measurement Method"), dose.method))
    return _container(("113517", "DCM", "Organ Dose Information"), items, template="10023")
