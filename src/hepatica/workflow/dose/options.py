"""What a user can say about quantification and dose beyond the images, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from hepatica.anatomy.structures.clinical import STRUCTURE_ROLES_TEXT
from hepatica.core import Estimate
from hepatica.core.options import Limits, NonNegative, Positive, Unit, options, parameters
from hepatica.dosimetry.engines.dose_map import DoseSettings
from hepatica.errors import InputError
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.structure_activity import PartialVolumeOptions
from hepatica.imaging.reconstruct.resampling import Ensemble
from hepatica.transport.matter.media import HuCalibration, load_calibration
from hepatica.transport.runner.settings import StoppingOptions
from hepatica.workflow.dose.calibration_files import CALIBRATION_TEXT, calibration_source, camera_calibration

EngineName = Literal["kernel", "local", "montecarlo"]
GridChoice = Literal["activity", "ct"] | float

Share = Annotated[float, Unit("fraction"), Limits(low=0, below=1)]


@options
class ImageOptions:
    """How an activity image is read.

    Attributes
    ----------
    activity_unit : str or None
        What a voxel of a NIfTI or MetaImage holds: "MBq h" (time-integrated), "Bq/mL", "Bq", "counts". A DICOM image
        states its own.
    activity_at : tuple of datetime
        Instant that each activity image refers to, where its file does not say.
    series : str or None
        SeriesInstanceUID of the activity, if a folder holds several.
    accept_nuclide : bool
        Take an image although its header names another nuclide.
    slice_spacing_mm : float or None
        Distance between slices of an NM volume that states none; negative to stack against row x column.
    """

    activity_unit: str | None = None
    activity_at: tuple[datetime, ...] = ()
    series: str | None = None
    accept_nuclide: bool = False
    slice_spacing_mm: float | None = None


@options
class CtOptions:
    """How the CT is read, and what its numbers mean.

    Attributes
    ----------
    ct_series : str or None
        SeriesInstanceUID of the CT, if a folder holds several.
    registered : bool
        State that images of different frames of reference are registered to each other.
    hu_table : Path or None
        The scanner's own table from CT number to density: CSV with hu,density_g_ml.
    """

    ct_series: str | None = None
    registered: bool = False
    hu_table: Path | None = None

    def calibration(self) -> HuCalibration | None:
        """The scanner's own HU table; None for the built-in one.

        Raises
        ------
        InputError
            If the file is no such table.
        """
        return None if self.hu_table is None else load_calibration(self.hu_table)


@options
class QuantificationOptions:
    """How counts become becquerels.

    Attributes
    ----------
    administered_bq : float or None
        Activity that the patient received; from the header where it is there.
    administered_at : datetime or None
        When it was administered.
    calibration : CameraCalibration, Estimate, Path or None
        Camera factor of a SPECT in counts, or the file calibration.json of a calibration, which brings its uncertainty
        and conditions. Without it counts are scaled so that the image holds the administered activity.
    calibration_sd_cps_per_mbq : float or None
        Standard uncertainty of a camera factor that is given as a number.
    frame_duration_s : float or None
        Time in which counts were collected, where the file does not say it; with a calibration file of all views of
        all heads added up.
    lung_shunt : float
        Share of the administered activity that went to the lungs; taken off where the lungs lie outside the image.
    residual : float
        Share left in vial and tubing.
    outside : float
        Share of the activity outside the field of view.
    lungs_in_image : bool
        The activity in the lungs is part of the image.
    """

    administered_bq: Positive | None = None
    administered_at: datetime | None = None
    calibration: Annotated[CameraCalibration | Estimate | Path | str | None, CALIBRATION_TEXT] = None
    calibration_sd_cps_per_mbq: NonNegative | None = None
    frame_duration_s: Positive | None = None
    lung_shunt: Share = 0.0
    residual: Share = 0.0
    outside: Share = 0.0
    lungs_in_image: bool = False

    @property
    def calibration_file(self) -> Path | None:
        """The calibration's file, where one was named."""
        source = self.calibration
        if isinstance(source, str):
            source = calibration_source(source)
        return source if isinstance(source, Path) else None

    def camera(self) -> CameraCalibration | Estimate | None:
        """The calibration as a value, read where a file was named; a factor is in cps/MBq.

        Raises
        ------
        InputError
            If it is none, or an uncertainty is given without a number or beside another.
        """
        found = camera_calibration(self.calibration)
        sd = self.calibration_sd_cps_per_mbq
        if sd is None:
            return found
        if not isinstance(found, Estimate) or found.sd is not None:
            raise InputError("`calibration_sd_cps_per_mbq` belongs to a camera factor that is given as a number alone")
        return replace(found, sd=sd)


@options
class TimeOptions:
    """How activity goes on in time.

    Attributes
    ----------
    effective_half_life_s : float or None
        Effective half-life of one image's agent. Without it the agent stays where it is and decays physically.
    time_model : {"mono", "bi"}
        Curve through several time points: one exponential or two.
    tail : {"fit", "physical"}
        After the last time point: as fitted, or physical decay alone (never less dose).
    """

    effective_half_life_s: Positive | None = None
    time_model: Literal["mono", "bi"] = "mono"
    tail: Literal["fit", "physical"] = "fit"


@options
class MonteCarloOptions:
    """The engine montecarlo beside its stopping rules.

    Attributes
    ----------
    device : {"cpu", "cuda"}
        Where it runs; never exchanged silently.
    parts : {"all", "beta", "photon"}
        Radiation followed: all, electrons with their bremsstrahlung, or gamma and X rays.
    checkpoint : Path or None
        File that keeps an interrupted run, to go on from.
    """

    device: Literal["cpu", "cuda"] = "cpu"
    parts: Literal["all", "beta", "photon"] = "all"
    checkpoint: Path | None = None


@options
class StructureOptions:
    """What structures are, and what is asked of them.

    Attributes
    ----------
    structure_roles : mapping of str to str or None
        What a structure is, where its name does not say: 'Seg 5=perfused'.
    lung_margin_mm : float or None
        Also report the lungs without what lies within this distance of the liver.
    agent : str or None
        Agent, for its dose limits: glass, resin, ...
    """

    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None
    lung_margin_mm: NonNegative | None = None
    agent: str | None = None


@options
class OutputOptions:
    """Voxels of the dose, and how it is written.

    Attributes
    ----------
    grid : {"activity", "ct"} or float
        Voxels of the dose: the activity image's, the CT's, or cubic ones of this size in mm ('3 mm').
    dvh_bin_gy : float or None
        Bin width of the histograms.
    rtdose_bits : {16, 32}
        Bits of the RTDOSE: 16 (read everywhere) or 32 (finer).
    """

    grid: Annotated[GridChoice, Unit("mm"), Limits(low=0.5, high=20)] = "activity"
    dvh_bin_gy: Positive | None = None
    rtdose_bits: Literal[16, 32] = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseOptions:
    """All groups of options of `absorbed_dose` together."""

    engine: EngineName
    images: ImageOptions
    scanner: CtOptions
    quantification: QuantificationOptions
    time: TimeOptions
    partial_volume: PartialVolumeOptions
    settings: DoseSettings
    stopping: StoppingOptions
    montecarlo: MonteCarloOptions
    clinical: StructureOptions
    output: OutputOptions

    def __post_init__(self) -> None:
        if self.engine != "montecarlo" and (
            self.stopping != StoppingOptions() or self.montecarlo != MonteCarloOptions()
        ):
            raise InputError(
                "stopping rules, seed, device, parts and checkpoint belong to the engine montecarlo, not to "
                f"{self.engine}",
                remedy="state `engine` montecarlo, or leave them out",
            )

    def parameters(self) -> Mapping[str, object]:
        """Plain values for the provenance; what was not said, or does not concern the engine, is left out."""
        volume = self.partial_volume
        if isinstance(volume.replicates, Ensemble):
            volume = replace(volume, replicates=None)
        groups = (
            self.images, self.scanner, self.quantification, self.time, volume, self.settings, self.clinical, self.output
        )  # fmt: skip
        followed = (self.stopping, self.montecarlo) if self.engine == "montecarlo" else ()
        return parameters(*groups, *followed)
