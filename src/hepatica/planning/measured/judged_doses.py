"""Doses of a treatment beside the goals and limits that apply to it, from a result of `absorbed_dose`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatica.errors import InputError
from hepatica.planning.measured.earlier_results import result_file
from hepatica.planning.measured.treatment_results import administered_gbq_of

CALIBRATION = "calibration"
"""How a dose names the part of its uncertainty that is common to the whole image."""

LIFETIME, ALL_TREATMENTS = "cumulative", "all treatments together"
"""Words in the condition of a limit that is of all treatments together."""


@dataclass(frozen=True, slots=True)
class JudgedDose:
    """A mean dose beside a goal or limit that applies.

    Attributes
    ----------
    structure, role : str
        Its name, and what it is ("tumour", "normal_liver", "lung", ...).
    dose_gy : float
        Mean absorbed dose.
    sd_gy : float or None
        Standard uncertainty of what is known of it; None where nothing is.
    calibration_known : bool
        Whether that holds the calibration of the image.
    comparison : {">=", "<="}
        A goal to reach, or a limit to keep.
    limit_gy : float
        Its dose.
    condition, source : str
        For whom it holds, and where it comes from.
    earlier_gy : float or None
        What treatments before gave, where the limit is of all of them together; None where that is not known.
    is_aim : bool
        Whether a person stated it as the aim of this treatment.
    limit_id : str
        Of its row in the table of limits; empty for what a plan states itself.
    interval_gy : tuple of float or None
        95 % interval of `dose_gy` that need not lie around it, where one is known: of lungs by a SPECT.
    """

    structure: str
    role: str
    dose_gy: float
    sd_gy: float | None
    calibration_known: bool
    comparison: str
    limit_gy: float
    condition: str
    source: str
    earlier_gy: float | None = None
    is_aim: bool = False
    limit_id: str = ""
    interval_gy: tuple[float, float] | None = None

    @property
    def is_lifetime(self) -> bool:
        """Whether the limit is of all treatments together."""
        return LIFETIME in self.condition or ALL_TREATMENTS in self.condition

    @property
    def total_gy(self) -> float:
        """What is held against the limit: with what treatments before gave, where it is of all of them."""
        return self.dose_gy + (self.earlier_gy or 0.0)

    @property
    def interval_total_gy(self) -> tuple[float, float] | None:
        """The interval of that, where one is known."""
        before = self.earlier_gy or 0.0
        return None if self.interval_gy is None else (before + self.interval_gy[0], before + self.interval_gy[1])


@dataclass(frozen=True, slots=True)
class FoundElsewhere:
    """A place outside liver and lungs where the image after treatment shows activity.

    Attributes
    ----------
    name, organ, hint : str
        Where it is; organ that was drawn there; what lies there in most people.
    share : float
        Of the activity in the image.
    share_sd : float or None
        Its standard uncertainty; None where the image does not tell it.
    dose_gy : float
        Mean dose.
    dose_sd_gy : float or None
        Its standard uncertainty; None likewise.
    """

    name: str
    organ: str
    hint: str
    share: float
    share_sd: float | None
    dose_gy: float
    dose_sd_gy: float | None


@dataclass(frozen=True, slots=True)
class JudgedTreatment:
    """What a treatment gave, as far as goals and limits ask.

    Attributes
    ----------
    doses : tuple of JudgedDose
        Only what applies to indication and intent and was judged.
    elsewhere : tuple of FoundElsewhere
        Places found.
    administered_gbq : float or None
        That reached the patient; None where that is not known.
    """

    doses: tuple[JudgedDose, ...]
    elsewhere: tuple[FoundElsewhere, ...]
    administered_gbq: float | None


def judged_treatment(path: Path) -> JudgedTreatment:
    """From a result of `absorbed_dose`.

    Raises
    ------
    InputError
        If it is no such result.
    """
    document = result_file(path, "absorbed_dose")
    try:
        structures = {row["name"]: row for row in document["structures"]}
        doses = tuple(
            judged(row, structures.get(row["structure"]), document)
            for row in document.get("limits", ())
            if row["applies"] and not row["not_judged"]
        )
        places = tuple(
            FoundElsewhere(
                name=row["name"],
                organ=row["organ"],
                hint=row["hint"],
                share=row["activity_share"],
                share_sd=row["activity_share_sd"],
                dose_gy=row["dose_gy"],
                dose_sd_gy=row["dose_gy_sd"],
            )
            for row in document.get("deposits") or ()
            if row["found"]
        )
        return JudgedTreatment(doses, places, administered_gbq_of(document))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: no judged doses in it ({error!r})") from error


def judged(row: Mapping[str, Any], structure: Mapping[str, Any] | None, document: Mapping[str, Any]) -> JudgedDose:
    """One row. A dose of the map has what is known of its uncertainty, lungs by the shunt all of it or none."""
    shunt = (document.get("lung_doses") or {}).get("by_shunt") or {}
    if structure is None:
        # Lungs by the shunt: of a shunt and activity without an uncertainty that of the mass alone is less.
        ends = shunt.get("interval_95_gy")
        sd, role, known = None if ends is None else shunt.get("dose_lung_gy_sd"), "lung", ends is not None
    else:
        sd, role = structure.get("dose_mean_known_sd_gy"), str(structure["role"])
        known = CALIBRATION not in (structure.get("uncertainty") or {}).get("not_known", ())
    interval = shunt.get("interval_95_gy") if structure is None else structure.get("dose_mean_interval_95_gy")
    return JudgedDose(
        structure=str(row["structure"]),
        role=role,
        dose_gy=float(row["dose_mean_gy"]),
        sd_gy=None if sd is None else float(sd),
        calibration_known=known,
        comparison=str(row["comparison"]),
        limit_gy=float(row["limit_gy"]),
        condition=str(row["condition"]),
        source=str(row["source"]),
        limit_id=str(row.get("limit_id") or ""),
        interval_gy=None if interval is None else (float(interval[0]), float(interval[1])),
    )
