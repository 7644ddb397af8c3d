"""How MR images of holmium are made and read, as far as a user says it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from hepatica.core import Estimate
from hepatica.core.options import Limits, NonNegative, Positive, Unit, options
from hepatica.errors import InputError
from hepatica.imaging.mri.baseline import BaselineMethod

FieldStrength = Annotated[float, Unit("T"), Limits(low=0.05, high=14.0)]
Milligrams = Annotated[float, Unit("mg"), Limits(above=0)]
MilligramsSd = Annotated[float, Unit("mg"), Limits(low=0)]


@options
class MrReadingOptions:
    """What is taken of the files.

    Attributes
    ----------
    after_series, before_series : tuple of str
        SeriesInstanceUIDs of the scan after and before treatment, where a folder holds others; by default all MR
        series of the folder, which must be one acquisition.
    field_strength : float or None
        Field strength, where the files do not say it.
    noise_level : float or None
        Standard deviation of the noise in the image's unit; by default from air in the image.
    phase_half_turn : float or None
        Value of half a turn in the phase images, where their unit is not known (4096 of Siemens, 3142 for mrad).
    scanned_at : datetime or None
        Instant of the scan after treatment, where its files do not say it.
    registered : bool
        State that scans of different frames of reference lie together.
    """

    after_series: tuple[str, ...] = ()
    before_series: tuple[str, ...] = ()
    field_strength: FieldStrength | None = None
    noise_level: Positive | None = None
    phase_half_turn: Positive | None = None
    scanned_at: datetime | None = None
    registered: bool = False


@options
class R2StarOptions:
    """How R2* is found, before and after.

    Attributes
    ----------
    fat : {"ignore", "in-phase", "fit"}
        Fat beside water: not looked at; only echoes in phase with it; a share of fat fitted in every voxel.
    inhomogeneity : {"auto", "none", "phase", "fit"}
        Loss by the field's gradients: by the phase where there is one (auto), not corrected, by the phase, or a
        gradient across the slice fitted in every voxel.
    baseline : {"voxel", "structure", "stated"} or None
        R2* without holmium: each voxel's own before treatment, the mean of its structure, or a number. By default each
        voxel's own where a scan before is given, else the number.
    baseline_r2star : float or None
        The number, 1/s.
    baseline_r2star_sd : float or None
        Its standard uncertainty, 1/s.
    threads : int or None
        CPU threads.
    """

    fat: Literal["ignore", "in-phase", "fit"] = "ignore"
    inhomogeneity: Literal["auto", "none", "phase", "fit"] = "auto"
    baseline: BaselineMethod | None = None
    baseline_r2star: Annotated[float, Limits(low=-100, high=1000)] | None = None
    baseline_r2star_sd: Annotated[float, Limits(low=0, high=1000)] | None = None
    threads: Annotated[int, Limits(low=1)] | None = None

    def __post_init__(self) -> None:
        if self.fat == "fit" and self.inhomogeneity == "fit":
            raise InputError(
                "fat and the slice's gradient cannot both be fitted to magnitudes",
                remedy="use echoes in phase, or the phase",
            )
        if (self.baseline_r2star is None) != (self.baseline_r2star_sd is None):
            raise InputError("`baseline_r2star` and `baseline_r2star_sd` belong together", remedy="state both")
        if self.baseline_r2star is not None and self.baseline not in (None, "stated"):
            raise InputError(f"a stated `baseline_r2star` contradicts the baseline by {self.baseline}")


@options
class HolmiumOptions:
    """From R2* to microspheres and becquerels.

    Attributes
    ----------
    holmium_share : float or None
        Share of holmium in the mass of this batch; the agent's by default.
    relaxivity : float or None
        Measured r2*, mL/(mg s) of microspheres; by default static dephasing.
    relaxivity_sd : float or None
        Its standard uncertainty, mL/(mg s); 5 % where it is not stated.
    relaxivity_field : float or None
        Field strength at which it was measured.
    specific_activity_mbq_mg : float or None
        Activity per mass of microspheres at `calibrated_at`; without it masses are all.
    specific_activity_sd_mbq_mg : float
        Its standard uncertainty.
    calibrated_at : datetime or None
        Instant of the specific activity.
    administered_mg : float or None
        Mass of microspheres that reached the patient, to hold what is found against.
    administered_mg_sd : float
        Its standard uncertainty.
    """

    holmium_share: Annotated[float, Unit("fraction"), Limits(above=0, high=1)] | None = None
    relaxivity: Positive | None = None
    relaxivity_sd: NonNegative | None = None
    relaxivity_field: FieldStrength | None = None
    specific_activity_mbq_mg: Positive | None = None
    specific_activity_sd_mbq_mg: NonNegative = 0.0
    calibrated_at: datetime | None = None
    administered_mg: Milligrams | None = None
    administered_mg_sd: MilligramsSd = 0.0

    def __post_init__(self) -> None:
        if (self.specific_activity_mbq_mg is None) != (self.calibrated_at is None):
            raise InputError(
                "a specific activity and the instant it holds at belong together",
                remedy="state `specific_activity_mbq_mg` and `calibrated_at`",
            )
        if self.relaxivity is None and (self.relaxivity_sd is not None or self.relaxivity_field is not None):
            raise InputError("uncertainty or field of a relaxivity that is not stated", remedy="state `relaxivity`")

    @property
    def specific_activity_relative_sd(self) -> float:
        """Relative standard uncertainty of the specific activity."""
        known = self.specific_activity_mbq_mg
        return 0.0 if known is None else self.specific_activity_sd_mbq_mg / known

    @property
    def stated_relaxivity(self) -> Estimate | None:
        """The measured relaxivity with its uncertainty, mL/(mg s)."""
        return None if self.relaxivity is None else Estimate(self.relaxivity, self.relaxivity_sd)


@options
class MrSimulationOptions:
    """The scan that is simulated, and the tissue.

    Attributes
    ----------
    field_strength : float
        Of the scanner.
    echoes : int
        Gradient echoes.
    first_echo_s, echo_spacing_s : float
        Time of the first, and from one to the next.
    signal_to_noise : float
        Of the liver at echo time zero.
    mr_spacing_mm : tuple of float
        Voxel along i, j, k of the CT.
    administered_mg : float
        Mass of microspheres in the image of the activity, which gives its distribution.
    holmium_share : float
        Share of holmium in their mass.
    liver_r2star, tumour_r2star : float
        Without holmium, 1/s.
    liver_fat : float
        Share of fat in the liver's signal.
    even_field : bool
        Leave out what air and lungs do to the field.
    moved_mm : tuple of float
        By how much the patient lay elsewhere in the scan before, along x, y, z.
    seed : int
        Of noise and tissue.
    """

    field_strength: FieldStrength = 1.5
    echoes: Annotated[int, Limits(low=2, high=64)] = 10
    first_echo_s: Annotated[float, Limits(above=0, high=0.1)] = 0.0012
    echo_spacing_s: Annotated[float, Limits(above=0, high=0.1)] = 0.0012
    signal_to_noise: Positive = 50.0
    mr_spacing_mm: Annotated[tuple[float, float, float], Limits(low=0.5, high=20)] = (2.5, 2.5, 4.0)
    administered_mg: Milligrams = 600.0
    holmium_share: Annotated[float, Unit("fraction"), Limits(above=0, high=1)] = 0.17
    liver_r2star: NonNegative = 38.0
    tumour_r2star: NonNegative = 22.0
    liver_fat: Annotated[float, Unit("fraction"), Limits(low=0, high=0.5)] = 0.03
    even_field: bool = False
    moved_mm: Annotated[tuple[float, float, float], Limits(low=-100, high=100)] = (0.0, 0.0, 0.0)
    seed: Annotated[int, Limits(low=0)] = 1

    @property
    def echo_times_s(self) -> tuple[float, ...]:
        """Echo times, s."""
        return tuple(self.first_echo_s + n * self.echo_spacing_s for n in range(self.echoes))
