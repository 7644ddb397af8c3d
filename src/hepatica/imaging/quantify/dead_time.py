"""Counts that a gamma camera loses because it is busy with others.

Two limits: a *non-paralysable* detector ignores what comes while it is busy, ``m = n / (1 + n tau)``; a *paralysable*
one is kept busy by it, ``m = n exp(-n tau)`` (Knoll, Radiation Detection and Measurement, chapter 4). n is the true
rate, m the observed one, tau the dead time per event. A camera is busy with every photon it sees, in a window or not:
tau must have been measured against the same rate that it is used with.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.errors import InputError, PhysicsError, UnknownNameError

DeadTimeModel = Literal["paralysable", "non-paralysable"]
FloatArray = NDArray[np.float64]


def observed_rate(true_cps: ArrayLike, *, tau_s: float, model: DeadTimeModel) -> FloatArray:
    """Rate that a head records of a true rate, both in counts per second.

    Raises
    ------
    InputError
        If a rate or tau is negative or not finite.
    UnknownNameError
        If the model is not known.

    Examples
    --------
    >>> float(observed_rate(100_000.0, tau_s=1e-6, model="non-paralysable").round())
    90909.0
    """
    true = _checked(true_cps, tau_s, model)
    if model == "paralysable":
        return np.asarray(true * np.exp(-true * tau_s))
    return np.asarray(true / (1 + true * tau_s))


def true_rate(observed_cps: ArrayLike, *, tau_s: float, model: DeadTimeModel) -> FloatArray:
    """Rate that would have been recorded without dead time; of a paralysable head the lower of the two that fit.

    Raises
    ------
    PhysicsError
        If no true rate gives the observed one: it lies above the largest that the head can record.
    InputError, UnknownNameError
        As for `observed_rate`.
    """
    observed = _checked(observed_cps, tau_s, model)
    if not tau_s:
        return observed
    most = 1 / (math.e * tau_s) if model == "paralysable" else 1 / tau_s
    if (observed >= most).any():
        raise PhysicsError(
            f"an observed rate of {float(observed.max()):.4g} cps is above the largest that a {model} head with a dead "
            f"time of {tau_s:g} s records, {most:.4g} cps"
        )
    if model == "non-paralysable":
        return np.asarray(observed / (1 - observed * tau_s))
    from scipy.special import lambertw

    return np.asarray(-lambertw(-observed * tau_s, k=0).real / tau_s)


def live_fraction(counts: ArrayLike, view_s: float, *, tau_s: float, model: DeadTimeModel) -> FloatArray:
    """Share of the true counts that each view kept, from its recorded counts in all windows, shape of `counts`.

    As a factor of the reconstruction's weights it corrects the loss and leaves the counts' statistics as they are.
    Errors as for `true_rate`.
    """
    if not view_s > 0:
        raise InputError(f"the time per view must be positive, not {view_s} s")
    observed = np.asarray(counts, dtype=np.float64) / view_s
    true = true_rate(observed, tau_s=tau_s, model=model)
    return np.divide(observed, true, out=np.ones_like(true), where=true > 0)


def _checked(rate: ArrayLike, tau_s: float, model: DeadTimeModel) -> FloatArray:
    if model not in get_args(DeadTimeModel):
        raise UnknownNameError("dead-time model", model, get_args(DeadTimeModel))
    array = np.asarray(rate, dtype=np.float64)
    if not (np.isfinite(array).all() and (array >= 0).all() and 0 <= tau_s < math.inf):
        raise InputError("dead time: rates and tau must be finite and not negative")
    return array
