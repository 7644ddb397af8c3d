"""What a PET scan and its reconstruction can be told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from hepatica.core.options import Fraction, Limits, NonNegative, Positive, Unit, options
from hepatica.errors import InputError
from hepatica.imaging.pet.becquerels.cross_calibration import PLAUSIBLE
from hepatica.imaging.pet.list_mode import Method
from hepatica.imaging.pet.reconstruct.uncertainty import MIN_SAMPLES
from hepatica.imaging.pet.reconstruction import SCATTER_POSITRONS
from hepatica.imaging.spect.scan_facts import ScannedActivityOptions

PositronSource = Literal["selwyn-2007", "langhoff-1961", "greenberg-1956"]
PetPhantom = Literal["nema", "quest", "earl", "cylinder"]
"""Test objects that are scanned as well as patients."""

PHANTOM_AT = datetime(2026, 3, 2, 10)
"""Instant of a phantom's activity where none is stated: it has no calendar of its own. In PETSIRD it is in UTC."""


@options
class PetScanOptions:
    """How the PET is acquired.

    Attributes
    ----------
    bed_duration_s : float
        Of each bed position.
    beds : int
        Bed positions, one after another from the head to the feet.
    bed_overlap : float
        Share of the scanner's length that two neighbouring beds both see.
    centre_mm : float or None
        LPS z of the middle of all beds; by default the middle of the activity.
    axis_mm : tuple of float or None
        LPS x and y of the scanner's axis; by default the middle of the body.
    breathing_mm : float
        How far the activity moves towards the feet while the patient breathes in; the CT shows the end of expiration.
    displacements_mm : tuple of float
        In its place: how far the activity lies towards the head (LPS z) in each phase of equal duration.
    gates : int
        Phases of breathing.
    petsird : bool
        Write the list as PETSIRD too (``coincidences.petsird``).
    sinogram_span : int or None
        Write sinograms too (Interfile of STIR, ``sinogram/prompts.hs`` and ``randoms.hs``) with so many ring
        differences in a segment, odd; 1 compresses nothing.
    sinogram_mashing : int
        Views of the sinograms put together.
    sinogram_timings : int or None
        Bins of time of flight of the sinograms put together; by default all, which leaves none.
    no_dead_time : bool
        Coincidences are not lost to dead time.
    crystal_spread : float
        Relative standard deviation of the crystals' efficiency, drawn for each; the list then holds the pattern, by
        which the reconstruction normalises.
    matter_mm : float
        Voxels of the patient through which photons are followed.
    seed : int
        Of everything drawn; the same seed gives the same list.
    """

    bed_duration_s: Positive = 1200.0
    beds: Annotated[int, Limits(low=1, high=40)] = 1
    bed_overlap: Annotated[float, Unit("fraction"), Limits(low=0, below=0.9)] = 0.4
    centre_mm: float | None = None
    axis_mm: tuple[float, float] | None = None
    breathing_mm: NonNegative = 0.0
    displacements_mm: tuple[float, ...] = ()
    gates: Annotated[int, Limits(low=2, high=64)] = 6
    petsird: bool = False
    sinogram_span: Annotated[int, Limits(low=1)] | None = None
    sinogram_mashing: Annotated[int, Limits(low=1)] = 1
    sinogram_timings: Annotated[int, Limits(low=1)] | None = None
    no_dead_time: bool = False
    crystal_spread: Annotated[float, Unit("fraction"), Limits(low=0, high=0.3)] = 0.0
    matter_mm: Annotated[float, Limits(low=1, high=20)] = 4.0
    seed: Annotated[int, Limits(low=0)] = 1

    def __post_init__(self) -> None:
        if self.breathing_mm and self.displacements_mm:
            raise InputError("breathing is either `breathing_mm` or `displacements_mm`, not both")
        if self.sinogram_span is None and (self.sinogram_mashing > 1 or self.sinogram_timings is not None):
            raise InputError(
                "`sinogram_mashing` and `sinogram_timings` have no effect without `sinogram_span`",
                remedy="state it, 1 for no axial compression, or leave them out",
            )


@options
class PetPhantomOptions:
    """A phantom in place of a patient.

    Attributes
    ----------
    phantom : {"nema", "quest", "earl", "cylinder"} or None
        nema: image quality phantom, spheres of 10 to 37 mm, lung insert. quest: the same with a cold cylinder of water
        in the middle, as the 90Y study of Willowson et al. (2015). earl: as nema, spheres 10 times the background.
        cylinder: uniform, 20 cm wide and long.
    sphere_ratio : float or None
        Concentration in the spheres over that of the background; by default 8 (earl: 10).
    phantom_voxel_mm : float
        Voxels in which it is drawn.
    """

    phantom: PetPhantom | None = None
    sphere_ratio: Positive | None = None
    phantom_voxel_mm: Annotated[float, Limits(low=1, high=10)] = 2.5


@options
class PetSimulationOptions:
    """All options of a simulated PET.

    Attributes
    ----------
    scan : PetScanOptions
        How it is acquired.
    phantom : PetPhantomOptions
        A phantom in place of a patient.
    stated : ScannedActivityOptions
        What the activity image does not say.
    """

    scan: PetScanOptions = PetScanOptions()
    phantom: PetPhantomOptions = PetPhantomOptions()
    stated: ScannedActivityOptions = ScannedActivityOptions()


@options
class PetIterationOptions:
    """How a list of coincidences becomes an image.

    Attributes
    ----------
    method : {"wls", "osem", "bsrem", "aml"}
        Algorithm: wls is weighted least squares, linear in the counts: voxels go below zero, so that noise is not added
        up where nothing is; osem keeps them above zero; bsrem too, penalised with the relative-difference prior; aml
        goes below zero as far as the background of the lines allows.
    iterations : int or None
        Passes over the list; by default as many as make 36 updates by osem and aml, 96 by bsrem. Of wls steps, 8.
    subsets : int
        Parts of the list that are used one after another; fewer where it has not counts enough for so many. wls has
        none.
    prior_strength : float or None
        Of bsrem, weight of the prior over the sensitivity of the voxels, from 0.01 (many counts) to 1 (few); by
        default 0.05.
    prior_edge : float or None
        Of bsrem, gamma of the prior: larger keeps edges more; by default 2.
    noise_target : float or None
        Stop before the standard deviation of a voxel over the mean goes above this; in the body, or in
        `noise_structure`.
    noise_structure : str or None
        Structure in which noise is measured.
    point_spread_mm : float
        FWHM of the scanner's spread in the image; 0 for none.
    filter_mm : float
        FWHM of a Gaussian over the image afterwards; 0 for none.
    seed : int
        Of lines and photons that stand for all.
    """

    method: Method = "wls"
    iterations: Annotated[int, Limits(low=1)] | None = None
    subsets: Annotated[int, Limits(low=1)] = 12
    prior_strength: NonNegative | None = None
    prior_edge: NonNegative | None = None
    noise_target: Positive | None = None
    noise_structure: str | None = None
    point_spread_mm: NonNegative = 4.5
    filter_mm: NonNegative = 0.0
    seed: Annotated[int, Limits(low=0)] = 1

    def __post_init__(self) -> None:
        for name in ("prior_strength", "prior_edge"):
            if getattr(self, name) is not None and self.method != "bsrem":
                raise InputError(f"`{name}` belongs to the method bsrem, not to {self.method}", remedy="leave it out")
        if self.noise_structure is not None and self.noise_target is None:
            raise InputError("`noise_structure` has no effect without `noise_target`", remedy="state it, or leave both")


@options
class PetCorrectionOptions:
    """What is corrected for; without one the image is wrong on purpose, to show what it does.

    Attributes
    ----------
    skip_time_of_flight : bool
        Leave the time of flight unused.
    skip_attenuation : bool
        As if nothing was absorbed.
    skip_scatter : bool
        As if nothing was scattered.
    skip_randoms : bool
        As if every coincidence was of one decay.
    activity_anywhere : bool
        Seek activity outside the body too.
    scatter_positrons : int
        Followed for each of two estimates of the scatter.
    """

    skip_time_of_flight: bool = False
    skip_attenuation: bool = False
    skip_scatter: bool = False
    skip_randoms: bool = False
    activity_anywhere: bool = False
    scatter_positrons: Annotated[int, Limits(low=10_000)] = SCATTER_POSITRONS


@options
class PetImageOptions:
    """Voxels of the image, and what the CT is.

    Attributes
    ----------
    voxel_mm : tuple of float
        Along x, y and z.
    ct_series : str or None
        SeriesInstanceUID of the CT, if a folder holds several.
    registered : bool
        Raw data and CT are registered although their frames of reference differ.
    body_ends_with_ct : bool
        Nothing of the patient lies beyond the CT's ends, although the scanner saw farther.
    time_zone : str or None
        Offset from UTC of the scanner's clock, such as +01:00, where the CT states none and the raw data are in UTC.
    bed_mm : float or None
        Of an Interfile sinogram, which does not say it: LPS z of the scanner's middle.
    axis_mm : tuple of float or None
        Of an Interfile sinogram, LPS x and y of the scanner's axis.
    gate : int or None
        Only the coincidences of one phase of breathing, counted from 0.
    matter_mm : float
        Voxels of the patient through which photons are followed and absorbed; of 10 mm, whose voxels at the skin are
        half air, becquerels are 1 to 2 % lower than of 4 mm.
    """

    voxel_mm: tuple[float, float, float] = (4.0, 4.0, 4.0)
    ct_series: str | None = None
    registered: bool = False
    body_ends_with_ct: bool = False
    time_zone: str | None = None
    bed_mm: float | None = None
    axis_mm: tuple[float, float] | None = None
    gate: Annotated[int, Limits(low=0)] | None = None
    matter_mm: Annotated[float, Limits(low=1, high=20)] = 4.0


@options
class PetUncertaintyOptions:
    """How sure the becquerels are, and to what activity meter they are tied.

    Attributes
    ----------
    calibration_factor : float
        Cross-calibration: true over shown concentration of a cylinder of known activity, reconstructed as here without
        this factor. The image is multiplied by it.
    calibration_relative_sd : float or None
        Of that factor for the nuclide it was measured with: meter, volume, noise.
    meter_relative_sd : float or None
        Of the activity meter for this nuclide against that of the calibration.
    positrons : {"selwyn-2007", "langhoff-1961", "greenberg-1956"} or None
        Whose number of positrons per decay of 90Y; by default that of the table of nuclides, which is Selwyn's.
    samples : int or None
        Reconstructions of resampled lists, which give the noise of every voxel; none by default.
    skip_uncertainty : bool
        Leave out how sure total and structures are from counting, which takes as long again as the image.
    """

    calibration_factor: Annotated[float, Limits(low=PLAUSIBLE[0], high=PLAUSIBLE[1])] = 1.0
    calibration_relative_sd: Fraction | None = None
    meter_relative_sd: Fraction | None = None
    positrons: PositronSource | None = None
    samples: Annotated[int, Limits(low=MIN_SAMPLES)] | None = None
    skip_uncertainty: bool = False


@options
class PetOptions:
    """All options of a PET reconstruction.

    Attributes
    ----------
    iteration : PetIterationOptions
        How a list becomes an image.
    corrections : PetCorrectionOptions
        What is corrected for.
    uncertainty : PetUncertaintyOptions
        How sure the becquerels are.
    image : PetImageOptions
        Voxels, and what the CT is.
    """

    iteration: PetIterationOptions = PetIterationOptions()
    corrections: PetCorrectionOptions = PetCorrectionOptions()
    uncertainty: PetUncertaintyOptions = PetUncertaintyOptions()
    image: PetImageOptions = PetImageOptions()
