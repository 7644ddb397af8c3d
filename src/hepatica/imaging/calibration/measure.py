"""Camera factor and recovery curve, measured in the reconstructed image of a known source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hepatica.core import Estimate, Kind, Region
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.errors import InputError, TimeError, UnitError
from hepatica.imaging.calibration.options import CameraExposureOptions, PhantomOptions, SourceOptions, with_sd
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.activity import Administration, activity_by_camera_factor
from hepatica.imaging.quantify.camera_factor import (
    CameraCalibration,
    ReconstructedSource,
    calibrate_known_activity,
    calibrate_reconstruction,
    decay_within_reason,
)
from hepatica.imaging.quantify.recovery import (
    GOOD_BACKGROUND,
    Filling,
    RecoveryCurve,
    fit_recovery,
    measure_recovery,
)
from hepatica.imaging.quantify.source_regions import (
    PhantomSpheres,
    cylinder_core,
    hottest_centre,
    named_spheres,
    nema_spheres,
    sphere_regions,
)
from hepatica.nuclides import Nuclide, nuclide

NEAR_WALLS_MM = 20.0
"""So far from the stated walls of a source its counts can lie by blur."""
MAX_BEYOND_WALLS = 0.2
"""Share of the counts farther than that from which on it is said; scatter that was not corrected makes a tenth."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceImage:
    """A reconstructed image with what calibration needs to know of it."""

    image: Image
    conditions: Conditions
    head_time_s: float | None

    @property
    def nuclide(self) -> Nuclide:
        """What emits."""
        return nuclide(self.conditions.nuclide)

    @property
    def decay_corrected(self) -> bool:
        """Whether the counts are those of the start of the scan."""
        return self.image.acquisition.decay_correction == "START"

    def required_head_time_s(self) -> float:
        """Time of all views of all heads; InputError if it is not known."""
        if self.head_time_s is None:
            raise InputError(
                f"{self.image.source.path}: does not say how long all views of all heads took",
                remedy="state it with `head_time_s`",
            )
        return self.head_time_s


def factor_of_source(
    seen: SourceImage, source: SourceOptions, phantom: PhantomOptions, exposure: CameraExposureOptions
) -> CameraCalibration:
    """Camera factor from the reconstruction of a sphere or cylinder in water, or of a patient of known activity.

    Raises
    ------
    UnitError, TimeError, InputError
        If the image is not in counts, corrected to the administration, or something is missing.
    """
    image, kind = seen.image, source.source
    if image.volume.kind is not Kind.COUNTS:
        raise UnitError(
            f"{image.source.path}: holds {image.volume.kind.meaning}; a camera factor is measured on counts",
            remedy="reconstruct without a sensitivity",
        )
    head_time_s = seen.required_head_time_s()
    region, background, volume = _regions(image, kind, phantom)
    beyond = _beyond_walls(image, kind, phantom)
    held = ReconstructedSource(
        image.volume, head_time_s, decay_corrected=seen.decay_corrected, region=region, background=background,
        volume_ml=volume, heads=exposure.heads,
    )  # fmt: skip
    if image.acquisition.decay_correction == "ADMIN":
        raise TimeError(
            f"{image.source.path}: is decay-corrected to the administration", remedy="reconstruct it without"
        )
    if kind in ("sphere", "cylinder"):
        found = calibrate_reconstruction(held, source.known(seen.nuclide), source=kind, conditions=seen.conditions)
        return replace(found, messages=(*found.messages, *beyond))
    given = Administration(
        source.activity,
        source.source_activity_at,
        residual_fraction=Estimate(source.source_residual_bq / source.activity.value, 0.0),
        lung_shunt_fraction=Estimate(source.lung_shunt, 0.0),
        outside_fraction=Estimate(source.outside, 0.0),
    )
    return calibrate_known_activity(held, given, half_life=seen.nuclide.half_life, conditions=seen.conditions)


def _beyond_walls(image: Image, kind: str, phantom: PhantomOptions) -> tuple[Message, ...]:
    """A message if many counts lie where the source, as stated, is not; nothing where a background is subtracted."""
    if kind not in ("sphere", "cylinder") or phantom.diameter_mm is None or phantom.shell:
        return ()
    centre, margin = phantom.centre_mm or hottest_centre(image.volume), max(phantom.margin_mm, NEAR_WALLS_MM)
    places = np.argwhere(image.volume.values > 0)
    away = np.abs(image.grid.to_mm(places) - centre)
    reach = phantom.diameter_mm / 2 + margin
    if kind == "cylinder" and phantom.length_mm is not None:
        beyond = (np.hypot(away[:, 0], away[:, 1]) > reach) | (away[:, 2] > phantom.length_mm / 2 + margin)
    else:
        beyond = np.linalg.norm(away, axis=1) > reach
    counts = image.volume.values[tuple(places.T)].astype(np.float64)
    share = float(counts[beyond].sum() / counts.sum()) if counts.size else 0.0
    if share <= MAX_BEYOND_WALLS:
        return ()
    text = (
        f"{share:.0%} of the counts lie more than {margin:g} mm beyond the {kind} as stated: its size or place is "
        "wrong, there is another source, or scatter was not corrected"
    )
    return (Message("counts-beyond-walls", text, "check diameter, length and centre", "critical"),)


def _regions(image: Image, kind: str, phantom: PhantomOptions) -> tuple[Region | None, Region | None, Estimate | None]:
    """Region of the source, of the background, and the volume of a cylinder's liquid."""
    if kind == "patient":
        return None, None, None
    if phantom.diameter_mm is None or (kind == "cylinder" and phantom.length_mm is None):
        raise InputError(f"source {kind} needs `diameter_mm` (and a cylinder `length_mm`)")
    centre = phantom.centre_mm or hottest_centre(image.volume)
    if kind == "sphere":
        around, shell = sphere_regions(
            image.grid, centre, phantom.diameter_mm, margin_mm=phantom.margin_mm, shell=phantom.shell
        )
        return around, shell, None
    assert phantom.length_mm is not None
    core, by_size_ml = cylinder_core(
        image.grid, centre, diameter_mm=phantom.diameter_mm, length_mm=phantom.length_mm, margin_mm=phantom.margin_mm
    )
    return core, None, with_sd(phantom.volume_ml or by_size_ml, phantom.volume_sd)


def recovery_of_spheres(
    seen: SourceImage,
    source: SourceOptions,
    phantom: PhantomOptions,
    factor: CameraCalibration | None,
    where: str = "structures",
) -> tuple[RecoveryCurve, tuple[Message, ...]]:
    """Recovery curve of the spheres of a phantom; what of the factor's conditions could not be compared.

    `where` names the origin of the structures in errors.

    Raises
    ------
    UnitError, TimeError, InputError
        If the image is in counts and there is no factor, refers to no instant, or the spheres cannot be found.
    """
    image = seen.image
    messages: tuple[Message, ...] = ()
    volume = image.volume
    if volume.kind is Kind.COUNTS:
        if factor is None:
            raise UnitError(f"{image.source.path}: is in counts", remedy="give the camera factor with `calibration`")
        head_time_s = seen.required_head_time_s()
        messages = factor.conditions.require_fit(seen.conditions, "the camera factor")
        volume = activity_by_camera_factor(
            volume, factor.factor, half_life_s=seen.nuclide.half_life_s, frame_duration_s=head_time_s,
            decay_corrected=seen.decay_corrected,
        ).activity  # fmt: skip
    elif factor is not None:
        raise UnitError(f"{image.source.path}: is in {volume.kind.unit} already; a camera factor does not apply")
    if volume.time is None:
        raise TimeError(f"{image.source.path}: refers to no instant", remedy="state `activity_at`")
    assert source.concentration_bq_ml is not None
    decay = decay_within_reason(source.source_activity_at, volume.time, seen.nuclide.half_life_s)
    spheres = _spheres(image, phantom, warm=source.background_bq_ml > 0, where=where)
    filling = Filling(
        spheres.spheres,
        spheres.diameters_mm,
        dict.fromkeys(spheres.spheres, source.concentration_bq_ml * decay),
        spheres.background if source.background_bq_ml else None,
        source.background_bq_ml * decay,
    )
    recoveries, level = measure_recovery(volume, filling)
    curve = fit_recovery(recoveries, seen.conditions, background_recovery=level, source=image.source.path)
    return curve, (*messages, *_unseen_messages(curve, filling), *_background_messages(curve))


def _unseen_messages(curve: RecoveryCurve, filling: Filling) -> tuple[Message, ...]:
    """Which spheres did not rise above the background."""
    smallest = min(sphere.diameter_mm for sphere in curve.spheres)
    unseen = sorted(size for size in filling.diameters_mm.values() if size < 0.99 * smallest)
    if not unseen:
        return ()
    text = (
        f"spheres of {', '.join(f'{size:g}' for size in unseen)} mm are left out: one does not rise above the noise; "
        f"the curve begins at {smallest:.3g} mm, {curve.range_ml[0]:.2g} mL"
    )
    return (Message("sphere-not-seen", text, "count longer, or fill more activity, for a curve of smaller volumes"),)


def _background_messages(curve: RecoveryCurve) -> tuple[Message, ...]:
    """What is said of a background that is not recovered as it should be."""
    level = curve.background_recovery
    if level is None or abs(level.value - 1) <= max(GOOD_BACKGROUND, 2 * (level.sd or 0.0)):
        return ()
    text = (
        f"the background of the phantom recovers {level.value:.3g} of its true concentration, and 1 is right: the "
        "curve holds the error of the activities, of their instants, of the camera factor or of the scatter correction"
    )
    return (Message("background-recovery", text, "find out which is wrong before the curve is used", "critical"),)


def _spheres(image: Image, phantom: PhantomOptions, *, warm: bool, where: str) -> PhantomSpheres:
    """Spheres with their diameters, and background: drawn structures, or the standard phantom at a place."""
    drawn = phantom.structures
    if drawn is None:
        if phantom.centre_mm is None:
            raise InputError(
                "source nema needs `centre_mm` (where the insert's axis meets the spheres' plane) or `structures`"
            )
        return nema_spheres(image.grid, phantom.centre_mm, margin_mm=phantom.margin_mm)
    if isinstance(drawn, str | Path):
        raise InputError(f"`structures` are regions here, not {drawn}", remedy="read the file first")
    return named_spheres(drawn, warm=warm, where=where)
