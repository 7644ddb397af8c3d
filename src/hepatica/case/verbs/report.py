"""The report of a case."""

from __future__ import annotations

from pathlib import Path

from hepatica.case.case import Case
from hepatica.case.report.result import CaseReportResult
from hepatica.case.verbs.shown import HERE
from hepatica.core.options import verb


@verb
def case_report(case: Path = HERE) -> CaseReportResult:
    """The report of the course: a first page for the tumour board, a part for each step, a physicist's annex.

    Parameters
    ----------
    case : path
        Folder of the case; the current one if not given.

    Returns
    -------
    CaseReportResult
        Numbers of the first page; ``save`` writes HTML, PDF, and as DICOM the PDF and a Radiopharmaceutical Radiation
        Dose report for each treatment.

    Raises
    ------
    InputError
        If there is no case, or a file of it is damaged.

    Examples
    --------
    >>> hepatica.case_report("patient-7").save("report")  # doctest: +SKIP
    """
    return Case.open(case).report()
