"""What a user can say about a dose calculation beyond the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from hepatica.dosimetry.engines.dose_map import DoseSettings
from hepatica.errors import InputError, UnknownNameError
from hepatica.transport.matter.media import HuCalibration, load_calibration
from hepatica.transport.runner.settings import MonteCarloSettings

GridChoice = Literal["activity", "ct"] | float

TimeModel = Literal["mono", "bi"]
Tail = Literal["fit", "physical"]
PartialVolume = Literal["none", "region", "gtm", "yang"]


@dataclass(frozen=True, slots=True)
class DoseOptions:
    """How the activity image is to be understood, and where the dose is computed.

    Parameters
    ----------
    activity_unit : str or None
        Unit of a NIfTI or MetaImage, which states none: "MBq h" (time-integrated activity per voxel), "Bq/mL",
        "Bq" (per voxel), "counts". A DICOM image states its own.
    at : tuple of datetime
        Instant to which each activity image is decay-corrected, where the files do not say it; empty or one for each.
    administered_bq, administered_at : float, datetime or None
        Activity that the patient received and when; from the PET header where it is there.
    calibration_cps_per_mbq, calibration_sd : float or None
        Camera factor of a SPECT in counts, with its standard uncertainty. Without it, counts are scaled so that the
        image holds the administered activity.
    calibration_file : Path or None
        Camera calibration of `hepatica calibrate` instead: value, uncertainty and the conditions for which it holds. Of
        an image that is in Bq/mL already it gives the uncertainty alone.
    frame_duration_s : float or None
        Acquisition time of a SPECT in counts, where the file does not say it (with `calibration_file`: of all views of
        all heads added up).
    pvc : {"none", "region", "gtm", "yang"}
        Partial-volume correction: tumours by a recovery curve ("region"), the means of all structures by the geometric
        transfer matrix ("gtm"), or the activity image itself by iterative Yang ("yang").
    recovery_file : Path or None
        Recovery curve of `hepatica calibrate --source nema`, for "region".
    recovery_extrapolate : bool
        Use it beyond the sizes of its spheres.
    psf_mm, psf_sd_mm : float or None
        FWHM of the response in the image, and its standard uncertainty, for "gtm" and "yang".
    contour_sd_mm : float
        Standard uncertainty of where a surface was drawn, beyond the voxels it was drawn on.
    replicates_file : Path or None
        Replicates of the one activity image (``hepatica reconstruct --uncertainty``): the noise of its counts is then
        part of the uncertainty of every structure.
    lung_shunt, residual, outside : float
        Shares of the administered activity: that went to the lungs, that stayed in vial and tubing, that lies outside
        the field of view. Used where counts are scaled to the administered activity. `lung_shunt` is only taken off
        where the lungs lie outside the image (`lungs_in_image` False).
    lungs_in_image : bool
        Whether the lung activity is part of the image's counts.
    effective_half_life_s : float or None
        None: the agent stays where it is (permanent trapping) and decays physically.
    time_model : {"mono", "bi"}
        Time-activity curve for several images.
    tail : {"fit", "physical"}
        How the curve goes on after the last of them: as fitted, or with physical decay only (never less dose).
    density : DoseSettings
        Settings of the dose engine.
    hu_calibration : Path or None
        The site's own table HU -> g/mL; None for the built-in one.
    grid : {"activity", "ct"} or float
        Voxels of the dose: the activity image's, the CT's, or cubic ones of this size in mm.
    registered : bool
        The user states that images of different frames of reference are registered to each other.
    accept_nuclide : bool
        Take the image although its header names another nuclide.
    agent : str or None
        Agent, for its dose limits on the report.
    lung_margin_mm : float or None
        Also report the lungs without what lies within this distance of the liver.
    kinds : mapping of str to str or None
        Structure name -> what it is ("liver", "tumour", ...), where its name does not say; see
        `hepatica.anatomy.structures.clinical.Structure`.
    bin_gy : float or None
        Bin width of the dose-volume histograms; None chooses one.
    montecarlo : MonteCarloSettings or None
        When a Monte Carlo run stops, its seed and device; None for the engine's own defaults.
    series, ct_series : str or None
        SeriesInstanceUID of activity and CT, where a folder holds several that fit.
    slice_spacing_mm : float or None
        Distance between the slices of an NM volume that states none; negative to stack against row x column.
    rtdose_bits : {16, 32}
        Of a stored value of the RTDOSE: 16 is read everywhere (rounding 8e-6 of the highest dose), 32 is finer.

    Raises
    ------
    InputError
        If a number lies outside its range.
    """

    activity_unit: str | None = None
    at: tuple[datetime, ...] = ()
    administered_bq: float | None = None
    administered_at: datetime | None = None
    calibration_cps_per_mbq: float | None = None
    calibration_sd: float | None = None
    calibration_file: Path | None = None
    frame_duration_s: float | None = None
    pvc: PartialVolume = "none"
    recovery_file: Path | None = None
    recovery_extrapolate: bool = False
    psf_mm: float | None = None
    psf_sd_mm: float | None = None
    contour_sd_mm: float = 0.0
    replicates_file: Path | None = None
    lung_shunt: float = 0.0
    residual: float = 0.0
    outside: float = 0.0
    lungs_in_image: bool = False
    effective_half_life_s: float | None = None
    time_model: TimeModel = "mono"
    tail: Tail = "fit"
    settings: DoseSettings = field(default_factory=DoseSettings)
    hu_calibration: Path | None = None
    grid: GridChoice = "activity"
    registered: bool = False
    accept_nuclide: bool = False
    agent: str | None = None
    lung_margin_mm: float | None = None
    kinds: Mapping[str, str] | None = None
    bin_gy: float | None = None
    montecarlo: MonteCarloSettings | None = None
    series: str | None = None
    ct_series: str | None = None
    slice_spacing_mm: float | None = None
    rtdose_bits: int = 16

    def __post_init__(self) -> None:
        for name in ("lung_shunt", "residual", "outside"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be a fraction from 0 to below 1, not {getattr(self, name)}")
        if self.rtdose_bits not in (16, 32):
            raise InputError(f"an RTDOSE has 16 or 32 bits, not {self.rtdose_bits}")
        for what, name, known in (
            ("time model", self.time_model, get_args(TimeModel)),
            ("tail", self.tail, get_args(Tail)),
            ("partial-volume correction", self.pvc, get_args(PartialVolume)),
        ):
            if name not in known:
                raise UnknownNameError(what, name, known)
        for name in (
            "administered_bq",
            "calibration_cps_per_mbq",
            "frame_duration_s",
            "effective_half_life_s",
            "bin_gy",
            "psf_mm",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} must be positive, not {value}")
        self._require_partial_volume()
        if not isinstance(self.grid, str) and not 0.5 <= self.grid <= 20:
            raise InputError(f"the dose grid's voxels must be 0.5 to 20 mm wide, not {self.grid}")
        if self.lung_margin_mm is not None and self.lung_margin_mm < 0:
            raise InputError(f"the lung margin cannot be negative ({self.lung_margin_mm} mm)")

    def _require_partial_volume(self) -> None:
        """InputError unless everything that the correction needs is there, and nothing that it does not use."""
        if (self.pvc == "region") is (self.recovery_file is None):
            raise InputError(
                "partial-volume correction 'region' and a recovery curve (--recovery) need each other; got "
                f"{self.pvc!r} and {self.recovery_file}"
            )
        if (self.pvc in ("gtm", "yang")) is (self.psf_mm is None):
            raise InputError(
                "partial-volume correction 'gtm' or 'yang' and the width of the response (--psf) need each other; got "
                f"{self.pvc!r} and {self.psf_mm} mm"
            )
        for name in ("contour_sd_mm", "psf_sd_mm"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 100:
                raise InputError(f"{name} must lie between 0 and 100 mm, not {value}")
        if self.calibration_file is not None and self.calibration_cps_per_mbq is not None:
            raise InputError("give a camera factor or a calibration file, not both")

    def calibration_table(self) -> HuCalibration | None:
        """The site's own HU table; None for the built-in one.

        Raises
        ------
        InputError
            If the file is no such table.
        """
        return None if self.hu_calibration is None else load_calibration(self.hu_calibration)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what was not said is left out."""
        return {
            name: _plain(value)
            for name, value in asdict(self).items()
            if name not in ("settings", "montecarlo") and value is not None and value != ()
        }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value
