"""Under which conditions a factor or a curve was measured; it holds for images made under the same ones."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.spect.projections import WINDOW_TOLERANCE_KEV

RESPONSE_BEFORE = "Gaussian of Anger's width"
"""Response of the projector in reconstructions whose files tell the detector but not yet the response."""

PENETRATION_TOLERANCE = 0.02
"""Counts through lead over the model's that differ by less are the same: with scatter by Monte Carlo they then move
activity of 90Y by less than 1 %, a quarter of the uncertainty of the fit."""

BLUR_LEFT = "remaining_blur_mm"
"""Setting of a reconstruction: blur that is left in the image, which by default follows the orbit. It changes what
small regions recover and no total, so that it does not refuse a factor."""

BLUR_TOLERANCE = 0.1
"""Relative difference of it from which on recovery is another: 20 % move that of a sphere of 3 cm by 0.06
(docs/spect-study.md)."""

VOXEL_TOLERANCE_MM = 0.05
"""Voxel sizes that differ by less are the same: headers round."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What was imaged with what; None or empty where it is not known.

    Attributes
    ----------
    nuclide : str
        In hepatica's form ("Lu-177").
    camera : str or None
        Camera with its collimator.
    window_kev : tuple of float or None
        Limits of the main energy window.
    voxel_mm : tuple of float or None
        Size of the voxels; None for a factor that does not depend on them.
    reconstruction : mapping
        Method and settings of the reconstruction, plain values ("method", "iterations", "scatter", ...).
    """

    nuclide: str
    camera: str | None = None
    window_kev: tuple[float, float] | None = None
    voxel_mm: tuple[float, float, float] | None = None
    reconstruction: Mapping[str, Any] = field(default_factory=dict)

    def require_fit(self, image: Conditions, what: str) -> tuple[Message, ...]:
        """Refuse an image made under other conditions.

        Parameters
        ----------
        image : Conditions
            Of the image on which the factor or curve is to be used.
        what : str
            Names the factor or curve for the message.

        Returns
        -------
        tuple of Message
            What could not be compared because one of the two does not say.

        Raises
        ------
        InputError
            If nuclide, camera, window, voxel size or a setting of the reconstruction differ; the message lists all.
        """
        wrong, unknown = [], []
        for name, mine, other, same in (
            ("nuclide", self.nuclide, image.nuclide, _equal),
            ("camera", self.camera, image.camera, _equal),
            ("energy window (keV)", self.window_kev, image.window_kev, _close(WINDOW_TOLERANCE_KEV)),
            ("voxel size (mm)", self.voxel_mm, image.voxel_mm, _close(VOXEL_TOLERANCE_MM)),
        ):
            if mine is None and name.startswith("voxel"):
                continue
            if mine is None or other is None:
                unknown.append(name)
            elif not same(mine, other):
                wrong.append(f"{name}: {_text(mine)} against {_text(other)}")
        for name, mine in self.reconstruction.items():
            if name == BLUR_LEFT:
                continue
            same = _close_number(PENETRATION_TOLERANCE) if name == "penetration" else _equal
            if name in image.reconstruction and not same(mine, image.reconstruction[name]):
                wrong.append(f"{name}: {_text(mine)} against {_text(image.reconstruction[name])}")
        if wrong:
            raise InputError(f"{what} was measured under other conditions than the image: {'; '.join(wrong)}")
        if self.reconstruction and not image.reconstruction:
            unknown.append("reconstruction")
        elif self.reconstruction:
            unknown += sorted((self.reconstruction.keys() ^ image.reconstruction.keys()) - {BLUR_LEFT})
        if not unknown:
            return ()
        text = f"{what}: could not be compared with the image: {', '.join(unknown)}"
        return (Message("conditions-unknown", text),)

    def blur_messages(self, image: Conditions, what: str) -> tuple[Message, ...]:
        """Whether an image has another blur left in it than a recovery curve, by another orbit."""
        mine, other = (conditions.reconstruction.get(BLUR_LEFT) for conditions in (self, image))
        if mine is None or other is None or abs(mine - other) <= BLUR_TOLERANCE * mine:
            return ()
        text = (
            f"{what} was measured with {mine:g} mm of blur left in its images, and this one has {other:g} mm, since "
            "its orbit was another one: small regions are corrected too "
            f"{'little' if other > mine else 'much'}"
        )
        remedy = (
            f"measure the curve at the patient's radius, or reconstruct its images and the patient's with one "
            f"`{BLUR_LEFT}` that is stated"
        )
        return (Message("other-blur-left", text, remedy),)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Conditions:
        """From its document; InputError where it does not fit."""
        if not isinstance(data, Mapping):
            raise InputError("conditions: expected a table of values")
        window, voxel = data.get("window_kev"), data.get("voxel_mm")
        pair = None if window is None else numbers(window, 2, "window_kev")
        triple = None if voxel is None else numbers(voxel, 3, "voxel_mm")
        nuclide = data.get("nuclide")
        if not isinstance(nuclide, str):
            raise InputError("conditions: the nuclide is missing")
        settings = data.get("reconstruction") or {}
        if not isinstance(settings, Mapping):
            raise InputError("conditions: reconstruction must be a table of settings")
        camera = data.get("camera")
        if not isinstance(camera, str | None):
            raise InputError(f"conditions: camera: {camera!r} is no name")
        return cls(
            nuclide,
            camera,
            None if pair is None else (pair[0], pair[1]),
            None if triple is None else (triple[0], triple[1], triple[2]),
            with_later_settings(settings),
        )


def with_later_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a reconstruction, with those that were always the same before files of hepatica told them."""
    if "detector" not in settings:
        return dict(settings)
    before: dict[str, Any] = {"response": RESPONSE_BEFORE}
    if settings.get("scatter") == "mc":
        before["penetration"] = 1.0
    return before | dict(settings)


def numbers(values: Any, count: int, what: str) -> tuple[float, ...]:
    """So many finite numbers, or InputError that names `what`."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != count:
        raise InputError(f"{what}: expected {count} numbers, not {values!r}")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= sys.float_info.max for v in values):
        raise InputError(f"{what}: {values!r} are not finite numbers")
    return tuple(float(v) for v in values)


def number(data: Mapping[str, Any], key: str, *, optional: bool = False) -> float | None:
    """The finite number under a key, None if it is missing and may be; InputError otherwise."""
    value = data.get(key)
    if value is None and optional:
        return None
    return numbers([value], 1, key)[0]


def deviation(data: Mapping[str, Any], key: str) -> float | None:
    """The standard uncertainty under a key, None if it is missing; InputError if it is negative or no number."""
    found = number(data, key, optional=True)
    if found is not None and found < 0:
        raise InputError(f"{key}: {found:g} is below zero")
    return found


def required(data: Mapping[str, Any], key: str) -> float:
    """The finite number under a key; InputError if there is none."""
    return numbers([data.get(key)], 1, key)[0]


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b)


def _close(tolerance: float) -> Any:
    def same(a: Sequence[float], b: Sequence[float]) -> bool:
        return len(a) == len(b) and max(abs(x - y) for x, y in zip(a, b, strict=True)) <= tolerance

    return same


def _close_number(tolerance: float) -> Any:
    def same(a: Any, b: Any) -> bool:
        if isinstance(a, int | float) and isinstance(b, int | float):
            return abs(a - b) <= tolerance
        return _equal(a, b)

    return same


def _text(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " x ".join(_text(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
