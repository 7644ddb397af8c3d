"""The camera factor or the recovery curve of a camera, from images of a known source."""

from __future__ import annotations

import hashlib
import json
from dataclasses import field, replace
from pathlib import Path

from hepatica.core import Estimate, InputFile, Provenance
from hepatica.core.document import INLINE, document
from hepatica.core.image import Image, Stated
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.options.stated import require_unstated
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.calibration.exposures import (
    Exposures,
    PlanarImages,
    View,
    planar_exposures,
    tomographic_exposures,
)
from hepatica.imaging.calibration.measure import SourceImage, factor_of_source, recovery_of_spheres
from hepatica.imaging.calibration.options import (
    CameraExposureOptions,
    PhantomOptions,
    SourceImageOptions,
    SourceOptions,
)
from hepatica.imaging.calibration.penetration import calibrated_near_and_far, calibrated_with_water
from hepatica.imaging.calibration.source_in_air import size_not_stated, without_own_water
from hepatica.imaging.quantify.camera_factor import (
    CameraCalibration,
    calibrate_exposures,
)
from hepatica.imaging.quantify.recovery import RecoveryCurve
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.projections import Projections, Window
from hepatica.imaging.spect.scan_model import IN_AIR
from hepatica.imaging.spect.system import model_mismatch, reconstructed_mismatch, window_model
from hepatica.io.calibration_files import conditions_of, load_calibration, reconstruction_facts
from hepatica.nuclides import nuclide
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, as_image
from hepatica.workflow.spect.reconstruct import SpectResult

IN_WATER = ("cylinder", "sphere")
"""Sources whose projections are a second geometry."""

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
    messages: tuple[Message, ...]
    measured: CameraCalibration | RecoveryCurve
    if source.source in IN_WATER and (seen_in_water := _projections(image, stated)) is not None:
        measured, messages, files = _with_water(seen_in_water, source, phantom, exposure, stated, report_progress)
    elif source.source in ("planar", "point"):
        if isinstance(image, SpectResult):
            raise InputError(f"source {source.source} is measured in air, not in a reconstruction")
        read = _exposures(image, source.source, exposure, stated)
        measured = calibrate_exposures(
            read.exposures,
            source.known(nuclide(read.conditions.nuclide)),
            source=source.source,
            conditions=read.conditions,
            dead_time=exposure.dead_time,
            heads=exposure.heads,
        )
        turned = image if isinstance(image, Projections) else _projections(image, stated)
        measured, unknown = _of_bare_source(measured, phantom, turned)
        if stated.calibration is None:
            unknown = unique(unknown, _unlike_model(measured))
        else:
            measured, unknown = _near_and_far(measured, stated)
        messages, files = unique(read.messages, unknown), read.sources
    else:
        seen = _spect(image, exposure, stated)
        messages, files = seen.image.messages, (seen.image.source,)
        report_progress("measuring")
        if source.source == "nema":
            factor = stated.calibration
            factor = load_calibration(factor) if isinstance(factor, str | Path) else factor
            drawn, where = _with_regions(phantom, seen.image)
            measured, more = recovery_of_spheres(seen, source, drawn, factor, where)
            messages += more
        else:
            measured = factor_of_source(seen, source, phantom, exposure)
            measured = replace(measured, messages=unique(measured.messages, _beyond_model(measured)))
    own = measured.messages if isinstance(measured, CameraCalibration) else ()
    files += _first_factor(stated)
    used = parameters(source, phantom, exposure, stated, calibration=None, structures=None, blank=None)
    return CalibrationResult(
        measured=measured,
        messages=unique(messages, own),
        provenance=Provenance(inputs=files, parameters=used, tables={"nuclide": "ENSDF through paceENSDF 0.6.3"}),
    )  # fmt: skip


def _unlike_model(measured: CameraCalibration) -> tuple[Message, ...]:
    """Whether a factor in air is that of the camera's model, where camera and window are known."""
    known = measured.conditions
    camera = _modelled(measured)
    if camera is None or known.window_kev is None:
        return ()
    emitter = nuclide(known.nuclide)
    model = window_model(camera, emitter, Window(*known.window_kev))
    sized = measured.kept_in_air is not None
    return model_mismatch(measured.factor.value, model, camera, emitter, source_known=sized)


def _beyond_model(measured: CameraCalibration) -> tuple[Message, ...]:
    """Whether a factor in water is beyond what the camera's model explains, where camera and window are known."""
    known, camera = measured.conditions, _modelled(measured)
    if camera is None or known.window_kev is None:
        return ()
    emitter = nuclide(known.nuclide)
    return reconstructed_mismatch(
        measured.factor.value, window_model(camera, emitter, Window(*known.window_kev)), camera,
        scatter=known.reconstruction.get("scatter"), nuclide=emitter,
    )  # fmt: skip


def _modelled(measured: CameraCalibration) -> GammaCamera | None:
    """The camera, where its name is that of a modelled one; a name of the user's own has no model."""
    if measured.conditions.camera is None:
        return None
    try:
        return gamma_camera(measured.conditions.camera)
    except UnknownNameError:
        return None


def _of_bare_source(
    measured: CameraCalibration, phantom: PhantomOptions, turned: Projections | None
) -> tuple[CameraCalibration, tuple[Message, ...]]:
    """The factor of a source without its own water, where its size is stated; else what that leaves open."""
    known, camera = measured.conditions, _modelled(measured)
    emitter = nuclide(known.nuclide)
    if phantom.diameter_mm is None:
        return measured, size_not_stated(emitter)
    if camera is None or known.window_kev is None:
        raise InputError(
            "what the source's own water takes is computed for a modelled camera and an energy window",
            remedy="state `camera`, or leave `diameter_mm` out",
        )
    window = Window(*known.window_kev)
    return without_own_water(measured, phantom, turned, window, camera=camera, nuclide=emitter), ()


def _near_and_far(far: CameraCalibration, stated: SourceImageOptions) -> tuple[CameraCalibration, tuple[Message, ...]]:
    """The factor in air of before, with the counts through lead that this one at another distance fits."""
    near = stated.calibration
    near = load_calibration(near) if isinstance(near, str | Path) else near
    known, camera = far.conditions, _modelled(far)
    if near is None or near.source not in IN_AIR or camera is None or known.window_kev is None:
        raise InputError(
            "a second factor in air fits the counts through lead beside the first, of a modelled camera",
            remedy="give the first, of a dish or point in air, with `calibration`, and `camera`",
        )
    same = near.conditions.require_fit(known, "the first factor in air")
    window = Window(*known.window_kev)
    found = calibrated_near_and_far(near, far, window, camera=camera, nuclide=nuclide(known.nuclide))
    return found, unique(same, far.messages)


def _first_factor(stated: SourceImageOptions) -> tuple[InputFile, ...]:
    """The file of the factor that was given, or what it says as a value."""
    given = stated.calibration
    if given is None:
        return ()
    if isinstance(given, str | Path):
        return (InputFile.of("calibration", Path(given)),)
    text = json.dumps(document(given), sort_keys=True)
    return (InputFile("calibration", "camera factor", hashlib.sha256(text.encode()).hexdigest(), files=0),)


def _projections(image: CalibratedSource, stated: SourceImageOptions) -> Projections | None:
    """Projections as values, read where a file of them is named; None of anything else."""
    if isinstance(image, Projections) or not isinstance(image, str | Path):
        return image if isinstance(image, Projections) else None
    from hepatica.io.dicom.images.projections import read_projections
    from hepatica.io.dicom.scan import scan
    from hepatica.io.dicom.series import SeriesKind
    from hepatica.io.itk import is_itk_file

    path = Path(image)
    if is_itk_file(path) or reconstruction_facts(path) or not scan(path).of_kind(SeriesKind.NM_PROJECTIONS):
        return None
    return read_projections(path, series=stated.series, radius_mm=None).projections


def _with_water(
    data: Projections,
    source: SourceOptions,
    phantom: PhantomOptions,
    exposure: CameraExposureOptions,
    stated: SourceImageOptions,
    progress: Progress,
) -> tuple[CameraCalibration, tuple[Message, ...], tuple[InputFile, ...]]:
    """The factor in air with the counts through lead that the projections of a cylinder or ball of water fit."""
    air = stated.calibration
    air = load_calibration(air) if isinstance(air, str | Path) else air
    if air is None or air.source not in IN_AIR:
        raise InputError(
            f"projections of a {source.source} fit the counts through lead beside a factor in air",
            remedy="give the factor of a dish or point in air with `calibration`, or reconstruct the projections first",
        )
    if source.source == "cylinder" and phantom.length_mm is None:
        raise InputError("a cylinder needs `diameter_mm` and `length_mm`")
    if source.source == "sphere" and phantom.length_mm is not None:
        raise InputError("a sphere has no `length_mm`", remedy="leave it out, or state source cylinder")
    name = stated.camera or air.conditions.camera
    if name is None:
        raise InputError("the counts through lead are those of a camera", remedy="state `camera`")
    read = tomographic_exposures(data, data.source, exposure, stated)
    same = air.conditions.require_fit(replace(read.conditions, camera=name), "the factor in air")
    assert read.conditions.window_kev is not None
    # The budget of all counts: that of a source turned round.
    water = calibrate_exposures(
        read.exposures, source.known(nuclide(read.conditions.nuclide)), source="point", conditions=read.conditions,
        dead_time=exposure.dead_time, heads=exposure.heads,
    )  # fmt: skip
    found = calibrated_with_water(
        air, water, data, Window(*read.conditions.window_kev), phantom, camera=gamma_camera(name),
        nuclide=nuclide(read.conditions.nuclide), progress=progress,
    )  # fmt: skip
    return found, unique(read.messages, same), read.sources


def _exposures(
    image: ImageSource | Projections, source: str, exposure: CameraExposureOptions, stated: SourceImageOptions
) -> Exposures:
    """Exposures in planar images, or (source "point") in the projections of a TOMO scan."""
    if isinstance(image, Projections):
        return tomographic_exposures(image, image.source, exposure, stated)
    if not isinstance(image, Image):
        from hepatica.io.dicom.images.projections import read_projections
        from hepatica.io.dicom.scan import scan
        from hepatica.io.dicom.series import SeriesKind
        from hepatica.io.itk import is_itk_file

        path = Path(image)
        if not is_itk_file(path) and scan(path).of_kind(SeriesKind.NM_PROJECTIONS):
            if source != "point":
                raise InputError(
                    f"{path}: holds projections of a tomographic scan; only a point source is calibrated in them"
                )
            # The radius plays no part here.
            file = read_projections(path, series=stated.series, radius_mm=None)
            return tomographic_exposures(file.projections, file.source, exposure, stated, file.messages)
    require_unstated(stated, why="chooses a reconstruction or projections, not planar images", only=("series",))
    planar = _planar(image, exposure, stated)
    blank = None if exposure.blank is None else _planar(exposure.blank, exposure, stated)
    return planar_exposures(planar, blank, exposure, stated)


def _planar(source: ImageSource, exposure: CameraExposureOptions, stated: SourceImageOptions) -> PlanarImages:
    if isinstance(source, Image):
        return PlanarImages.of(source)
    from hepatica.io.dicom.images.planar import read_planar

    files = read_planar([Path(source)], unit=stated.activity_unit, energy_window=exposure.energy_window)
    views = tuple(View(v.image, v.duration_s, v.collimator) for file in files for v in file.views)
    return PlanarImages(tuple(file.image for file in files), views)


def _with_regions(phantom: PhantomOptions, image: Image) -> tuple[PhantomOptions, str]:
    """The phantom with its structures read, where a file was named, and what they are called in errors."""
    if not isinstance(phantom.structures, str | Path):
        return phantom, "structures"
    from hepatica.io.structures.regions import read_structures

    regions = read_structures(phantom.structures, image).regions
    return replace(phantom, structures=regions), str(phantom.structures)


def _spect(image: CalibratedSource, exposure: CameraExposureOptions, stated: SourceImageOptions) -> SourceImage:
    if isinstance(image, Projections):
        raise InputError("projections are calibrated with a point source in air", remedy="reconstruct them first")
    if isinstance(image, SpectResult):
        return SourceImage(image.image, image.conditions, exposure.head_time_s or image.head_time_s)
    facts = {} if isinstance(image, Image) else reconstruction_facts(Path(image))
    file = Path(image) / "spect.dcm" if facts and not isinstance(image, Image) and Path(image).is_dir() else image
    name = None if stated.nuclide is None else nuclide(stated.nuclide).name
    known = Stated(
        unit=stated.activity_unit, time=stated.activity_at, nuclide=name, override_nuclide=stated.accept_nuclide
    )
    read = as_image(file, role="activity", series=stated.series, stated=known)
    conditions = conditions_of(read, nuclide_name=stated.nuclide, camera=stated.camera)
    return SourceImage(read, conditions, exposure.head_time_s or facts.get("head_time_s"))
