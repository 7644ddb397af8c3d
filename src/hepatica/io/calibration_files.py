"""Calibrations and recovery curves from files, and for which images they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hepatica.core import Estimate
from hepatica.core.image import Image
from hepatica.core.lung_mean import LungMean
from hepatica.core.message import Message
from hepatica.core.text.files import json_file, text_file, toml_text
from hepatica.errors import InputError
from hepatica.imaging.quantify.acquisition_conditions import BLUR_LEFT, Conditions, with_later_settings
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.options import QuantificationOptions, calibration_source
from hepatica.imaging.quantify.recovery import RecoveryCurve
from hepatica.nuclides import nuclide

Loaded = TypeVar("Loaded")

RECONSTRUCTION_SETTINGS = (
    "method", "iterations", "subsets", "prior_strength", "scatter", "post_filter_mm", "detector", "response",
    "penetration", "attenuation", "attenuation_energy", "prior_edge", "relaxation", "window_smoothing_mm", BLUR_LEFT,
)  # fmt: skip
"""Settings of `hepatica reconstruct` on which factor and recovery depend."""


def camera_calibration(source: CameraCalibration | Estimate | Path | str | None) -> CameraCalibration | Estimate | None:
    """A calibration as a value, read where a file is named; a factor is in cps/MBq.

    Raises
    ------
    InputError
        If it is none, or the file holds none.
    """
    if isinstance(source, str):
        source = calibration_source(source)
    if isinstance(source, Path):
        return load_calibration(source)
    if source is None or isinstance(source, CameraCalibration | Estimate):
        return source
    raise InputError(
        f"`calibration` is a CameraCalibration, an Estimate in cps/MBq or a file, not {source!r}",
        remedy="write Estimate(4.6, 0.2) or '4.6 cps/MBq'",
    )


def camera_of(options: QuantificationOptions) -> CameraCalibration | Estimate | None:
    """The calibration of options as a value, read where a file was named; a factor is in cps/MBq.

    Raises
    ------
    InputError
        If it is none, or an uncertainty is given without a number or beside another.
    """
    found, sd = camera_calibration(options.calibration), options.calibration_sd_cps_per_mbq
    if sd is None:
        return found
    if not isinstance(found, Estimate) or found.sd is not None:
        raise InputError("`calibration_sd_cps_per_mbq` belongs to a camera factor that is given as a number alone")
    return replace(found, sd=sd)


def load_calibration(path: Path | str) -> CameraCalibration:
    """Camera calibration from a JSON or TOML file; InputError, naming the file, if it is none."""
    return _load(Path(path), CameraCalibration.from_dict)


def load_recovery(path: Path | str) -> RecoveryCurve:
    """Recovery curve from a JSON or TOML file; InputError, naming the file, if it is none."""
    return _load(Path(path), RecoveryCurve.from_dict)


def conditions_of(image: Image, *, nuclide_name: str | None = None, camera: str | None = None) -> Conditions:
    """Under which conditions an image was made, as far as its file, or ``result.json`` beside it, says."""
    facts = image.acquisition
    beside = _facts_beside(image)
    parameters = (beside.get("provenance") or {}).get("parameters") or {}
    windows = beside.get("energy_windows_kev") or facts.energy_windows_kev
    window = windows[0] if len(windows) == 1 else None
    name = nuclide_name or facts.nuclide or beside.get("nuclide")
    if name is None:
        raise InputError(f"{image.source.path}: names no nuclide", remedy="state `nuclide`")
    made_by = (parameters.get("camera") or {}).get("name") or facts.camera or None
    if camera is not None and made_by is not None and camera != made_by:
        raise InputError(f"{image.source.path} was reconstructed for camera {made_by}, stated is {camera}")
    told = parameters or facts.reconstruction
    if told.get("scatter") == "mc" and (lead := (parameters.get("camera") or {}).get("penetration")) is not None:
        told = {**told, "penetration": lead}
    settings = with_later_settings({key: told[key] for key in RECONSTRUCTION_SETTINGS if key in told})
    if len(windows) > 1:
        settings["windows_kev"] = [list(limits) for limits in windows]
    return Conditions(
        nuclide(name).name,
        camera or made_by,
        None if window is None else (float(window[0]), float(window[1])),
        image.grid.spacing_mm,
        settings,
    )


def head_time_of(image: Image) -> float | None:
    """Time of all views of all heads of a SPECT that hepatica reconstructed, in s; None of other images."""
    found: float | None = image.acquisition.head_time_s or _facts_beside(image).get("head_time_s")
    return found


def factor_in(image: Image) -> float | None:
    """Sensitivity of one head (cps/MBq) by which hepatica made an image of activity; None where that is not known."""
    parameters = (_facts_beside(image).get("provenance") or {}).get("parameters") or {}
    told = parameters or image.acquisition.reconstruction
    measured = told.get("sensitivity_cps_per_mbq")
    if not isinstance(measured, list | tuple) or len(measured) != 1:
        # By the camera's model: no measured factor made it, and none can be that one.
        return 0.0 if told.get("sensitivity") == "model" else None
    return float(measured[0])


def lung_mean_of(image: Image) -> tuple[LungMean | None, tuple[Message, ...]]:
    """How well the mean of an image's lungs is known: by the image itself, else by ``result.json`` beside it.

    A record that cannot be read is said, and taken as lungs of which that is not known.
    """
    told = _facts_beside(image).get("lung")
    if image.acquisition.lung is not None or not isinstance(told, Mapping):
        return image.acquisition.lung, ()
    levels = len(told.get("parts") or ()) or 1
    try:
        mean, sd = float(told["mean"]), float(told["mean_sd"])
        if not mean > 0:
            return LungMean(levels), ()
        low, high = (float(end) / mean for end in told["interval_95"])
        rest = (sd / mean, float(told["counting_relative_sd"]), float(told["share_of_image"]))
        return LungMean(levels, low, high, *rest), ()
    except (KeyError, TypeError, ValueError, InputError):
        text = f"result.json beside {image.name} holds no uncertainty of the lungs that can be read: it is not known"
        note = Message("lung-record-unreadable", text, "reconstruct again, or give the DICOM image that was written")
        return LungMean(levels), (note,)


def _facts_beside(image: Image) -> Mapping[str, Any]:
    """What was written beside an image; nothing of one that is no file, whatever lies at its name."""
    return reconstruction_facts(Path(image.source.path)) if image.source.files else {}


def reconstruction_facts(path: Path) -> Mapping[str, Any]:
    """What ``hepatica reconstruct`` wrote beside an image (``result.json``); empty if there is no such file."""
    file = (path if path.is_dir() else path.parent) / "result.json"
    if not path.exists() or not file.is_file():
        return {}
    try:
        facts = json_file(file)
    except InputError:
        # Another program's file of the same name: it says nothing about the reconstruction.
        return {}
    return facts if isinstance(facts, dict) and "head_time_s" in facts else {}


def _load(path: Path, make: Callable[[Mapping[str, Any]], Loaded]) -> Loaded:
    data = toml_text(text_file(path, "a TOML file"), path) if path.suffix == ".toml" else json_file(path)
    if not isinstance(data, dict):
        raise InputError(f"{path}: holds no table of values")
    try:
        return make(data)
    except InputError as error:
        raise InputError(f"{path}: {error.args[0]}", remedy=error.remedy) from error
