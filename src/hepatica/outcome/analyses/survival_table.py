"""What a table of patients says about survival: times, events, groups and covariates, every cell checked."""

from __future__ import annotations

import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core.options import Positive, options
from hepatica.core.tables.input_table import InputTable, TableCheck
from hepatica.errors import InputError
from hepatica.outcome.statistics.propensity import Target
from hepatica.outcome.statistics.survival import landmark

FloatArray = NDArray[np.float64]

_SPLIT = re.compile(r"^\s*(.+?)\s*(>=|>|<=|<)\s*([-+]?\d+(?:\.\d+)?)\s*$")
_NAMED_SPLIT = re.compile(r"^(.+?)_(ge|gt|le|lt)_?(\d+(?:\.\d+)?)$")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
_OPPOSITE = {">=": "<", ">": "<=", "<=": ">", "<": ">="}
_WORDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
MAX_GROUPS = 8
TIME_REMEDY = "state `time`, or `start_date` and `end_date`"


@options
class SurvivalColumns:
    """Further columns of the table.

    Attributes
    ----------
    patient_ids : str or None
        Column of patient ids; each may occur once.
    competing : str or None
        Column of a competing event (1/0), for incidence, Gray's test and the Fine-Gray model.
    strata : str or None
        Column of strata, such as the centre; tests and models compare within them.
    clusters : str or None
        Column of what rows belong to (patients, where rows are lesions); the Cox model's standard errors become robust.
    start_date : str or None
        Column of treatment dates, instead of times.
    end_date : str or None
        Column of dates of the event or when last seen.
    """

    patient_ids: str | None = None
    competing: str | None = None
    strata: str | None = None
    clusters: str | None = None
    start_date: str | None = None
    end_date: str | None = None


@options
class SurvivalModels:
    """What is modelled beside the groups.

    Attributes
    ----------
    covariates : tuple of str
        Numeric columns for the models.
    landmark : float or None
        Time at which groups are formed, in the unit of the times; earlier events are left out.
    balance : tuple of str
        Columns for propensity weights between two groups.
    balance_target : {"overlap", "all"}
        Whom the weighted groups stand for: those who might have been in either, or all.
    """

    covariates: tuple[str, ...] = ()
    landmark: Positive | None = None
    balance: tuple[str, ...] = ()
    balance_target: Target = "overlap"


@dataclass(frozen=True, slots=True)
class SurvivalQuestion:
    """What is asked of a table: columns of time, event and groups (or a cut, "dose_gy>=205"); the rest by options."""

    time: str | None
    event: str
    by: str | None
    columns: SurvivalColumns
    models: SurvivalModels


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalData:
    """The checked columns of a table, one entry per patient.

    Attributes
    ----------
    time : ndarray
        Time observed, in `unit`.
    event : ndarray of bool
        Whether the event happened then.
    competing : ndarray of bool or None
        Whether the competing event happened then; None where there is none.
    groups : tuple of str
        Group of each patient ("all" without groups).
    strata, cluster : tuple of str or None
        Stratum of each patient; what each row belongs to.
    columns : mapping of str to ndarray
        Covariates.
    unit : str
        Unit of the times, in words.
    """

    time: FloatArray
    event: NDArray[np.bool_]
    competing: NDArray[np.bool_] | None
    groups: tuple[str, ...]
    strata: tuple[str, ...] | None
    cluster: tuple[str, ...] | None
    columns: Mapping[str, FloatArray]
    unit: str

    @property
    def names(self) -> list[str]:
        """Groups, sorted."""
        return sorted(set(self.groups))

    def of_group(self, name: str) -> NDArray[np.bool_]:
        """Which patients belong to a group."""
        return np.array([g == name for g in self.groups])

    def causes(self) -> NDArray[np.int_] | None:
        """1 for the event, 2 for the competing one, 0 for the end of observation; None without a competing event."""
        if self.competing is None:
            return None
        return np.where(self.event, 1, np.where(self.competing, 2, 0))

    def from_landmark(self, at: float) -> SurvivalData:
        """Those still observed at a landmark, times counted from there."""
        left = self.event if self.competing is None else self.event | self.competing
        kept, time = landmark(self.time, left, at)
        return replace(
            self,
            time=time,
            event=self.event[kept],
            competing=None if self.competing is None else self.competing[kept],
            groups=_kept(self.groups, kept) or (),
            strata=_kept(self.strata, kept),
            cluster=_kept(self.cluster, kept),
            columns={name: v[kept] for name, v in self.columns.items()},
        )


def _kept(labels: tuple[str, ...] | None, kept: NDArray[np.bool_]) -> tuple[str, ...] | None:
    return None if labels is None else tuple(label for label, k in zip(labels, kept, strict=True) if k)


def survival_data(table: InputTable, question: SurvivalQuestion) -> SurvivalData:
    """The columns of a table, checked.

    Raises
    ------
    TableError
        Listing every wrong cell with row and column: a missing time, an event without one, both events marked, a
        patient that occurs twice, a group of a single patient, a covariate that is the same everywhere.
    InputError
        If a column is missing.
    """
    q, columns_of = question, question.columns
    check = table.check()
    time, unit = _times(check, q)
    event = _events(check, q, time)
    groups = _groups(check, q.by)
    wanted = dict.fromkeys((*q.models.covariates, *q.models.balance))
    columns = {name: check.varying(name) for name in wanted}
    strata, cluster = (
        None if name is None else tuple(check.texts(name)) for name in (columns_of.strata, columns_of.clusters)
    )
    if columns_of.patient_ids is not None:
        check.texts(columns_of.patient_ids, unique=True)
    other = None if columns_of.competing is None else _competing(check, columns_of.competing, event)
    _lonely(check, q.by, groups)
    check.done()
    return SurvivalData(
        np.asarray(time, dtype=np.float64),
        np.asarray(event) == 1,
        None if other is None else np.asarray(other) == 1,
        tuple(groups),
        strata,
        cluster,
        {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()},
        unit,
    )


def _times(check: TableCheck, q: SurvivalQuestion) -> tuple[list[float], str]:
    if q.time is not None:
        unit = next((u for u in ("months", "days", "years", "weeks") if u in q.time.lower()), "time units of the table")
        return check.numbers(q.time, at_least=0, optional=True), unit
    if q.columns.start_date is None or q.columns.end_date is None:
        raise InputError("neither a column of times is named nor two of dates", remedy=TIME_REMEDY)
    return check.months_between(q.columns.start_date, q.columns.end_date), "months"


def _events(check: TableCheck, q: SurvivalQuestion, time: list[float]) -> list[float]:
    event = check.yes_no(q.event)
    if q.time is not None:
        for index, (t, e) in enumerate(zip(time, event, strict=True)):
            if math.isnan(t):
                cell = check.table.columns[q.time][index]
                if not any(f.startswith(f"row {check.table.rows[index]}, column {q.time!r}") for f in check.faults):
                    what = "event without a time" if e == 1 else "no time of observation"
                    check.fault(index, q.time, f"{what} ({cell!r})")
    return event


def _competing(check: TableCheck, name: str, event: list[float]) -> list[float]:
    other = check.yes_no(name)
    for index, (a, b) in enumerate(zip(event, other, strict=True)):
        if a == 1 and b == 1:
            check.fault(index, name, "both the event and the competing event are marked; only the first can happen")
    return other


def _lonely(check: TableCheck, by: str | None, groups: Sequence[str]) -> None:
    """A group of one patient has no curve."""
    for name, count in Counter(groups).items():
        if count == 1 and name.lower() not in ("", "na", "nan") and len(groups) > 1:
            check.fault(groups.index(name), by or "", f"{name!r} is the group of this patient alone; no curve of one")


def _groups(check: TableCheck, by: str | None) -> list[str]:
    if by is None:
        return ["all"] * len(check.table)
    if check.has(by):
        groups = check.texts(by)
        if len(set(groups)) > MAX_GROUPS:
            raise InputError(
                f"{check.table.name}: column {by!r} has {len(set(groups))} different values; groups are at most "
                f"{MAX_GROUPS}. Write a cut, such as '{by}>=205'"
            )
        # "hazard ratio of 1 against 0" would leave the reader to guess which group is which.
        return [f"{by} = {g}" for g in groups] if set(groups) <= {"0", "1", "0.0", "1.0"} else groups
    name, sign, cut = _cut(check.table, by)
    if not sign or not check.has(name):
        raise InputError(
            f"{check.table.name}: there is no column {by!r}; columns: {', '.join(check.table.columns)}. A cut is "
            "written 'tumour_gy>=205'"
        )
    compare, limit = _COMPARE[sign], float(cut)
    values = check.numbers(name)
    return [f"{name} {sign} {cut}" if compare(v, limit) else f"{name} {_OPPOSITE[sign]} {cut}" for v in values]


def _cut(table: InputTable, by: str) -> tuple[str, str, str]:
    """Column, comparison and value of a cut written with signs or words; no sign if it is none."""
    if match := _SPLIT.match(by):
        name, sign, cut = match.groups()
        return name, sign, cut
    if match := _NAMED_SPLIT.match(by):
        stem, word, cut = match.groups()
        return _column_named(table, stem), _WORDS[word], cut
    return by, "", ""


def _column_named(table: InputTable, stem: str) -> str:
    """The column of a stem: itself, or the only one that contains it ("dose" for "tumour_dose_gy")."""
    if stem in table.columns:
        return stem
    found = [name for name in table.columns if stem.lower() in name.lower()]
    return found[0] if len(found) == 1 else stem
