"""A registration by landmarks alone: closed form, with the error of those left out and what it is elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hepatica.anatomy.registration.landmarks import LandmarkFit, LandmarkKind, Points, expected_error_mm, fit_landmarks
from hepatica.anatomy.registration.linear import Pair
from hepatica.anatomy.registration.settings import RegistrationOptions
from hepatica.anatomy.registration.uncertainty import RegistrationUncertainty
from hepatica.core.message import Message
from hepatica.core.transform import Transform
from hepatica.errors import InputError


def kind_asked(options: RegistrationOptions) -> LandmarkKind:
    """Rigid or affine.

    Raises
    ------
    InputError
        If the model is deformable: landmarks are too few to bend tissue.
    """
    if options.model == "deformable":
        raise InputError("landmarks alone do not bend an image", remedy="state `model` rigid or affine")
    return options.model


def by_landmarks(
    pair: Pair, landmarks: tuple[Points, Points] | None, options: RegistrationOptions
) -> tuple[Transform, LandmarkFit, RegistrationUncertainty | None, list[Message]]:
    """Transform, its fit, its uncertainty over what counts, and what the reader must know.

    Raises
    ------
    InputError, GeometryError
        As `fit_landmarks`; InputError without landmarks.
    """
    kind = kind_asked(options)
    if landmarks is None:
        raise InputError("`landmarks_only` needs landmarks", remedy="give `landmarks` and `moving_landmarks`")
    fit = fit_landmarks(*landmarks, kind)
    frames = tuple(source.grid.frame_of_reference for source in pair.sources)
    found = replace(fit.transform, fixed_frame=frames[0], moving_frame=frames[1])
    spread = expected_error_mm(fit, kind, landmarks[0], pair.judging().points_mm)
    if spread is None:
        text = f"{len(fit.names)} landmarks are fitted exactly: how far off they are cannot be told"
        return found, fit, None, [Message("landmarks-too-few-to-judge", text, "give more, well apart")]
    sure = RegistrationUncertainty((spread,) * 3, spread, 0)
    return replace(found, uncertainty_mm=spread), fit, sure, _far(fit, pair, landmarks[0])


def _far(fit: LandmarkFit, pair: Pair, fixed: Points) -> list[Message]:
    """A warning where most of what counts lies beyond the landmarks: the fit is extrapolated there."""
    points = np.array([fixed[name] for name in fit.names], dtype=np.float64)
    reach = np.linalg.norm(points - points.mean(axis=0), axis=1).max()
    away = np.linalg.norm(pair.judging().points_mm - points.mean(axis=0), axis=1) > reach
    if away.mean() <= 0.5:
        return []
    text = f"{away.mean():.0%} of what counts lies further from the landmarks' middle than any of them"
    return [Message("landmarks-far-away", text, "the uncertainty says what that brings; add landmarks there")]
