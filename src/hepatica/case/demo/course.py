"""The demonstration patient taken through a case as a person would: heap added, facts stated, steps run and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hepatica.case.case import Case
from hepatica.core.progress import Progress
from hepatica.dosimetry.engines.registry import EngineName
from hepatica.errors import InputError
from hepatica.io.virtual.course import SCOUT_CAMERA

CHECKED_BY = "demonstration"

FIRST: Mapping[str, str] = {
    "disease.indication": "HCC",
    "treatment.agent": "glass",
    "treatment.intent": "lobectomy",
    "treatment.at": "2026-03-02T10:15+01:00",
    "treatment.aims.perfused": "110 Gy",
    "treatment.territory.name": "perfused volume",
    "treatment.scout-reconstruction.camera": SCOUT_CAMERA,
    "treatment.delivery.vial": "2.72 GBq",
    "treatment.delivery.calibrated_at": "2026-03-02T08:00+01:00",
    "treatment.delivery.reading_before": "100 uSv/h",
    "treatment.delivery.reading_before_at": "2026-03-02T09:50+01:00",
    "treatment.delivery.reading_after": "2 uSv/h",
    "treatment.delivery.reading_after_at": "2026-03-02T10:30+01:00",
    "treatment.dose.lungs_in_image": "true",
    "treatment.next.tolerance_bed": "250 Gy",
}
"""What a person states before the first treatment, and of its vial."""

SECOND: Mapping[str, str] = {
    "treatment.2.agent": "glass",
    "treatment.2.intent": "lobectomy",
    "treatment.2.at": "2026-06-01T10:00+02:00",
    "treatment.2.aims.perfused": "60 Gy",
    "treatment.2.territory.name": "perfused volume",
    "treatment.2.scout-reconstruction.camera": SCOUT_CAMERA,
}
"""The same of the second one."""

SCOUT = ("scout-projections", "scout-ct", "scout-structures")
"""Images of the scout, by which the second treatment is planned too."""


def demo_case(folder: Path, heap: Path, *, engine: EngineName, scatter: str, progress: Progress) -> Case:
    """Make the case, add the heap, and go through both treatments.

    Parameters
    ----------
    folder : Path
        Of the case, new.
    heap : Path
        What `write_demo_course` wrote.
    engine : str
        Dose engine.
    scatter : str
        Correction of the scout's scatter.
    progress : callable
        Told each step.

    Raises
    ------
    InputError
        If a step failed.
    """
    case = Case.new(folder)
    case.add(heap)
    case.set(**FIRST)
    case.set(**{"treatment.dose.engine": engine, "treatment.scout-reconstruction.scatter": scatter})
    case.run(progress=progress)
    case.check("registration", CHECKED_BY)
    case.set(**SECOND)
    case.set(**{"treatment.2.scout-reconstruction.scatter": scatter})
    for item in case.situation().catalogue:
        if item.role in SCOUT:
            case.take(item.name, item.role, treatment=0)
    case.run(progress=progress)
    if failed := [step for step in case.steps() if step.state == "failed"]:
        raise InputError(f"{failed[0].name} failed: {'; '.join(failed[0].reasons)}")
    return case
