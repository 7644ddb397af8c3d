"""The camera factor or the recovery curve of a camera, from images of a known source."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from hepatica.core import Estimate, InputFile, Kind, Provenance, Region
from hepatica.core.document import INLINE
from hepatica.core.image import Image, Stated
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.table import Table
from hepatica.errors import InputError, TimeError, UnitError
from hepatica.imaging.calibration.options import (
    CameraExposureOptions,
    PhantomOptions,
    SourceImageOptions,
    SourceOptions,
    with_sd,
)
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.activity import Administration, activity_by_camera_factor
from hepatica.imaging.quantify.camera_factor import (
    CameraCalibration,
    ReconstructedSource,
    calibrate_exposures,
    calibrate_known_activity,
    calibrate_reconstruction,
    decay_within_reason,
)
from hepatica.imaging.quantify.recovery import Filling, RecoveryCurve, fit_recovery, measure_recovery
from hepatica.imaging.quantify.source_regions import (
    PhantomSpheres,
    cylinder_core,
    hottest_centre,
    named_spheres,
    nema_spheres,
    sphere_regions,
)
from hepatica.imaging.spect.projections import Projections
from hepatica.io.calibration_files import conditions_of, load_calibration, reconstruction_facts
from hepatica.nuclides import Nuclide, nuclide
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, as_image
from hepatica.workflow.spect.exposures import read_exposures
from hepatica.workflow.spect.reconstruct import SpectResult

CalibratedSource = ImageSource | Projections | SpectResult
"""An image of a source: planar, projections, or reconstructed."""


@result
class CalibrationResult(Result):
    """A camera factor or a recovery curve, and where it comes from.

    Attributes
    ----------
    measured : CameraCalibration or RecoveryCurve
        What other verbs take as `calibration` or `recovery`.
    """

    verb = "calibrate_camera"

    measured: CameraCalibration | RecoveryCurve = field(metadata=INLINE)

    @property
    def calibration(self) -> CameraCalibration | None:
        """The camera factor, if that was measured."""
        return self.measured if isinstance(self.measured, CameraCalibration) else None

    @property
    def curve(self) -> RecoveryCurve | None:
        """The recovery curve, if that was measured."""
        return self.measured if isinstance(self.measured, RecoveryCurve) else None

    def title(self) -> str:
        """The factor with its uncertainty, or the curve."""
        found = self.measured
        if isinstance(found, RecoveryCurve):
            return f"Recovery = 1 / (1 + ({found.half_volume_ml:.3g} mL / v)^{found.exponent:.3f})"
        start = f"Camera factor of one head: {found.factor.value:.4g} cps/MBq"
        if found.factor.sd is None:
            return f"{start} (uncertainty not known)"
        return f"{start} ± {found.factor.sd:.2g} ({found.factor_sd_percent:.2g} %, k = 1)"

    def table(self) -> Table:
        """Contributions to the uncertainty, or the recovery of each sphere."""
        found = self.measured
        if isinstance(found, CameraCalibration):
            parts = [(part.name, part.sd_percent, part.basis) for part in found.budget]
            return Table.of(("uncertainty from", "%", "basis"), parts, "Budget", "budget")
        rows: list[tuple[str, float | None, float | None, Estimate, float | None]] = [
            ("sphere", sphere.diameter_mm, sphere.volume_ml, sphere.mean, sphere.maximum) for sphere in found.spheres
        ]
        if found.background_recovery is not None:
            rows.append(("background", None, None, found.background_recovery, None))
        return Table.of(("of", "diameter, mm", "mL", "mean", "highest voxel"), rows, "Recovery", "recovery")

    def write(self, folder: Path) -> None:
        """Write ``calibration.json``, or ``recovery.json`` and ``recovery.png``: what other commands take."""
        name = "calibration.json" if self.calibration is not None else "recovery.json"
        (folder / name).write_text(json.dumps(self.as_dict(), indent=1, allow_nan=False), encoding="utf-8")
        if self.curve is not None:
            from hepatica.report.figures.calibration import draw_recovery
            from hepatica.report.figures.outcome import save

            save(draw_recovery(self.curve), folder / "recovery.png")


@verb
def calibrate_camera(
    image: CalibratedSource,
    *,
    source: SourceOptions,
    phantom: PhantomOptions = PhantomOptions(),
    exposure: CameraExposureOptions = CameraExposureOptions(),
    stated: SourceImageOptions = SourceImageOptions(),
    progress: Progress | None = None,
) -> CalibrationResult:
    """The camera factor or the recovery curve from images of a known source.

    Parameters
    ----------
    image : Path, Image, Projections or SpectResult
        Planar NM, NM TOMO (point), or reconstructed SPECT: DICOM, NIfTI, or the folder of a reconstruction.
    source : SourceOptions
        What the source is, and how much is in it.
    phantom : PhantomOptions
        Where it lies in a reconstructed image.
    exposure : CameraExposureOptions
        How it was counted.
    stated : SourceImageOptions
        What the image does not say.
    progress : callable, optional
        Told each step.

    Returns
    -------
    CalibrationResult
        ``measured`` is the factor or the curve; ``save`` writes it as the file that other commands take.

    Raises
    ------
    InputError, UnitError, TimeError, DicomError
        If something is missing, impossible or contradicts the image.
    GeometryError
        If the phantom does not lie in the image.

    Examples
    --------
    >>> from datetime import datetime
    >>> when = datetime(2026, 3, 2, 8)
    >>> known = {"time": when, "nuclide": "Lu-177", "frame_duration_s": 600.0}
    >>> dish = Image.from_array([[[3540.0]] * 10] * 10, unit="counts", spacing_mm=(4, 4, 4), **known)
    >>> source = SourceOptions(source="planar", source_activity_bq=50e6, source_activity_at=when)
    >>> round(calibrate_camera(dish, source=source).calibration.factor.value, 2)
    11.8
    """
    report_progress = progress or silent
    report_progress("reading")
    if source.source in ("planar", "point"):
        if isinstance(image, SpectResult):
            raise InputError(f"source {source.source} is measured in air, not in a reconstruction")
        found = _in_air(image, source, exposure, stated)
    else:
        seen = _spect(image, exposure, stated)
        report_progress("measuring")
        measure = _recovery if source.source == "nema" else _factor
        found = measure(seen, source, phantom, exposure, stated)
    own = found.value.messages if isinstance(found.value, CameraCalibration) else ()
    return CalibrationResult(
        measured=found.value,
        messages=unique(found.messages, own),
        provenance=_provenance(found.sources, source, phantom, exposure, stated),
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """What was measured, what was said on the way, and of which files."""

    value: CameraCalibration | RecoveryCurve
    messages: tuple[Message, ...]
    sources: tuple[InputFile, ...]


def _in_air(
    image: ImageSource | Projections,
    source: SourceOptions,
    exposure: CameraExposureOptions,
    stated: SourceImageOptions,
) -> _Measured:
    assert source.source in ("planar", "point")
    read = read_exposures(image, source=source.source, exposure=exposure, stated=stated)
    found = calibrate_exposures(
        read.exposures, source.known(nuclide(read.conditions.nuclide)), source=source.source,
        conditions=read.conditions, dead_time=exposure.dead_time, heads=exposure.heads,
    )  # fmt: skip
    return _Measured(found, read.messages, read.sources)


# ---------------------------------------------------------------------------------------------------------------------
# Reconstructions


@dataclass(frozen=True, slots=True, eq=False)
class _Spect:
    """A reconstructed image with what calibration needs to know of it."""

    image: Image
    conditions: Conditions
    head_time_s: float | None

    @property
    def nuclide(self) -> Nuclide:
        return nuclide(self.conditions.nuclide)

    @property
    def decay_corrected(self) -> bool:
        return self.image.acquisition.decay_correction == "START"

    def required_head_time_s(self) -> float:
        if self.head_time_s is None:
            raise InputError(
                f"{self.image.source.path}: does not say how long all views of all heads took",
                remedy="state it with `head_time_s`",
            )
        return self.head_time_s


def _spect(image: CalibratedSource, exposure: CameraExposureOptions, stated: SourceImageOptions) -> _Spect:
    if isinstance(image, Projections):
        raise InputError("projections are calibrated with a point source in air", remedy="reconstruct them first")
    if isinstance(image, SpectResult):
        return _Spect(image.image, image.conditions, exposure.head_time_s or image.head_time_s)
    facts = {} if isinstance(image, Image) else reconstruction_facts(Path(image))
    file = Path(image) / "spect.dcm" if facts and not isinstance(image, Image) and Path(image).is_dir() else image
    name = None if stated.nuclide is None else nuclide(stated.nuclide).name
    known = Stated(unit=stated.activity_unit, time=stated.activity_at, nuclide=name)
    read = as_image(file, role="activity", stated=known)
    conditions = conditions_of(read, nuclide_name=stated.nuclide, camera=stated.camera)
    return _Spect(read, conditions, exposure.head_time_s or facts.get("head_time_s"))


def _factor(
    seen: _Spect,
    source: SourceOptions,
    phantom: PhantomOptions,
    exposure: CameraExposureOptions,
    _stated: SourceImageOptions,
) -> _Measured:
    image, kind = seen.image, source.source
    if image.volume.kind is not Kind.COUNTS:
        raise UnitError(
            f"{image.source.path}: holds {image.volume.kind.meaning}; a camera factor is measured on counts",
            remedy="reconstruct without a sensitivity",
        )
    head_time_s = seen.required_head_time_s()
    region, background, volume = _regions(image, kind, phantom)
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
        return _Measured(found, image.messages, (image.source,))
    given = Administration(
        source.activity,
        source.source_activity_at,
        residual_fraction=Estimate(source.residual_bq / source.activity.value, 0.0),
        lung_shunt_fraction=Estimate(source.lung_shunt, 0.0),
        outside_fraction=Estimate(source.outside_fraction, 0.0),
    )
    found = calibrate_known_activity(held, given, half_life=seen.nuclide.half_life, conditions=seen.conditions)
    return _Measured(found, image.messages, (image.source,))


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


def _recovery(
    seen: _Spect,
    source: SourceOptions,
    phantom: PhantomOptions,
    _exposure: CameraExposureOptions,
    stated: SourceImageOptions,
) -> _Measured:
    image, messages = seen.image, seen.image.messages
    volume, factor = image.volume, stated.calibration
    if isinstance(factor, str | Path):
        factor = load_calibration(factor)
    if volume.kind is Kind.COUNTS:
        if factor is None:
            raise UnitError(f"{image.source.path}: is in counts", remedy="give the camera factor with `calibration`")
        head_time_s = seen.required_head_time_s()
        messages += factor.conditions.require_fit(seen.conditions, "the camera factor")
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
    spheres = _spheres(image, phantom, warm=source.background_bq_ml > 0)
    filling = Filling(
        spheres.spheres,
        spheres.diameters_mm,
        dict.fromkeys(spheres.spheres, source.concentration_bq_ml * decay),
        spheres.background if source.background_bq_ml else None,
        source.background_bq_ml * decay,
    )
    recoveries, level = measure_recovery(volume, filling)
    curve = fit_recovery(recoveries, seen.conditions, background_recovery=level, source=image.source.path)
    return _Measured(curve, messages, (image.source,))


def _spheres(image: Image, phantom: PhantomOptions, *, warm: bool) -> PhantomSpheres:
    """Spheres with their diameters, and background: drawn structures, or the standard phantom at a place."""
    drawn = phantom.structures
    if drawn is None:
        if phantom.centre_mm is None:
            raise InputError(
                "source nema needs `centre_mm` (where the insert's axis meets the spheres' plane) or `structures`"
            )
        return nema_spheres(image.grid, phantom.centre_mm, margin_mm=phantom.margin_mm)
    if not isinstance(drawn, str | Path):
        return named_spheres(drawn, warm=warm, where="structures")
    from hepatica.io.regions import read_structures

    return named_spheres(read_structures(drawn, image).regions, warm=warm, where=str(drawn))


def _provenance(
    sources: tuple[InputFile, ...],
    source: SourceOptions,
    phantom: PhantomOptions,
    exposure: CameraExposureOptions,
    stated: SourceImageOptions,
) -> Provenance:
    told = parameters(source, phantom, exposure, stated, calibration=None, structures=None, blank=None)
    return Provenance(inputs=sources, parameters=told, tables={"nuclide": "ENSDF through paceENSDF 0.6.3"})
