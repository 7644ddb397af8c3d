"""How much the data can carry: limits below which a statistic is refused or doubted, and plain words for results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.message import Message
from hepatica.errors import EvidenceError

FloatArray = NDArray[np.float64]
T = TypeVar("T")

MIN_EVENTS = 5
"""Fewer events (or fewer of either response) than this: no test, no model."""
MIN_PER_VARIABLE = 5
"""Fewer events per covariate: no model (Vittinghoff and McCulloch, Am J Epidemiol 2007;165:710)."""
GOOD_PER_VARIABLE = 10
"""Fewer events per covariate: the model is given with a warning (Peduzzi et al., J Clin Epidemiol 1995;48:1503)."""
Z95 = 1.959963984540054


def require_events(events: int, what: str, minimum: int = MIN_EVENTS) -> None:
    """Raise EvidenceError if there are too few events for `what`."""
    if events < minimum:
        raise EvidenceError(f"{what}: {events} events; at least {minimum} are needed, so no result is given")


def unless_refused(what: str, compute: Callable[[], T], messages: list[Message]) -> T | None:
    """Result, or None with the refusal as a message of the code "WHAT-refused"."""
    try:
        return compute()
    except EvidenceError as refusal:
        messages.append(Message(f"{what}-refused", str(refusal)))
        return None


@contextmanager
def located(where: str) -> Iterator[None]:
    """Name table and columns in a refusal raised inside the block."""
    try:
        yield
    except EvidenceError as refusal:
        raise EvidenceError(f"{where}: {refusal}") from refusal


def events_per_variable(events: int, variables: int, what: str) -> tuple[Message, ...]:
    """What to doubt about a model of many covariates; EvidenceError if there are far too many."""
    ratio = events / max(variables, 1)
    if ratio < MIN_PER_VARIABLE:
        raise EvidenceError(
            f"{what}: {events} events for {variables} covariates ({ratio:.1f} each); at least {MIN_PER_VARIABLE} each "
            "are needed, so no result is given; leave covariates out"
        )
    if ratio < GOOD_PER_VARIABLE:
        text = f"{what}: only {ratio:.1f} events per covariate; estimates may be biased and intervals too narrow"
        return (Message("few-events-per-covariate", text),)
    return ()


def standardized(
    columns: Mapping[str, FloatArray], rows: str = "patients"
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Covariates as columns of mean 0 and standard deviation 1, their means and their standard deviations.

    Raises
    ------
    EvidenceError
        If one is constant, or they are collinear.
    """
    x = np.stack(list(columns.values()), axis=1)
    mean, scale = np.asarray(x.mean(axis=0), dtype=np.float64), np.asarray(x.std(axis=0), dtype=np.float64)
    for name, column in columns.items():
        if np.ptp(column) == 0:
            raise EvidenceError(f"covariate {name!r} is the same for all {rows}; leave it out")
    x = (x - mean) / scale
    if np.linalg.matrix_rank(x) < len(columns):
        raise EvidenceError(f"covariates {', '.join(columns)} are collinear; leave one out")
    return x, mean, scale


def layers_of(strata: Sequence[object] | None, size: int) -> NDArray[np.str_]:
    """Stratum of each row as text; one for all without strata."""
    return np.array([""] * size if strata is None else [str(s) for s in strata])


def group_names(group: Sequence[object], what: str) -> list[str]:
    """Groups, sorted; EvidenceError if there is only one."""
    names = sorted({str(g) for g in group})
    if len(names) < 2:
        raise EvidenceError(f"{what} needs two groups; all patients are in {names[0]!r}")
    return names


def as_floats(values: ArrayLike, what: str) -> FloatArray:
    """One-dimensional finite floats; EvidenceError otherwise."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise EvidenceError(f"{what}: no data")
    if not np.isfinite(array).all():
        raise EvidenceError(f"{what}: {int((~np.isfinite(array)).sum())} values are missing or not finite")
    return array


def as_binary(values: ArrayLike, what: str) -> NDArray[np.bool_]:
    """One-dimensional yes/no values from 0/1 or booleans; EvidenceError otherwise."""
    array = as_floats(values, what)
    if not np.isin(array, (0.0, 1.0)).all():
        raise EvidenceError(f"{what}: values other than 0 and 1")
    return np.asarray(array == 1.0)


def same_length(**columns: Sequence[Any] | NDArray[Any]) -> int:
    """Length shared by all columns; EvidenceError naming them otherwise."""
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise EvidenceError("columns of different length: " + ", ".join(f"{k} {n}" for k, n in lengths.items()))
    return next(iter(lengths.values()))


def p_text(p: float) -> str:
    """A p value as it is printed."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def p_words(p: float, *, events: int) -> str:
    """What a p value does and does not say."""
    if p < 0.05:
        return "more than chance would explain in most samples of this size; association, not proof of cause"
    if events < 50:
        return f"no difference shown; with {events} events a real one could easily be missed"
    return "no difference shown"


def chi2_p(statistic: float, degrees: int) -> float:
    """Upper tail of the chi-square distribution."""
    from scipy import special

    return float(special.chdtrc(degrees, statistic))


def normal_p(z: float) -> float:
    """Two-sided p of a standard normal value."""
    return math.erfc(abs(z) / math.sqrt(2))
