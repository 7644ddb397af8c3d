"""What is simulated: an activity image and a CT in one frame, and a camera as it was calibrated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hepatica.core import InputFile, Volume
from hepatica.core.image import Image, Stated
from hepatica.core.message import Message, unique
from hepatica.imaging.spect.scan import MonteCarloScanOptions
from hepatica.imaging.spect.scan_facts import ScannedActivityOptions, in_frame_of, scanned_activity
from hepatica.io.calibration_files import load_calibration
from hepatica.nuclides import Nuclide
from hepatica.workflow.sources import ImageSource, as_image


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """A patient before a camera.

    Attributes
    ----------
    image, ct : Image
        As they were read, in one frame of reference.
    source : Volume
        Becquerels per voxel at its instant.
    montecarlo : MonteCarloScanOptions
        With its calibration as a value.
    inputs : tuple of InputFile
        Files of all of them.
    messages : tuple of Message
        Of both images.
    """

    image: Image
    ct: Image
    source: Volume
    montecarlo: MonteCarloScanOptions
    inputs: tuple[InputFile, ...]
    messages: tuple[Message, ...]


def scanned(
    activity: ImageSource,
    ct: ImageSource,
    nuclide: Nuclide,
    stated: ScannedActivityOptions,
    montecarlo: MonteCarloScanOptions,
) -> Scanned:
    """Read what is simulated.

    Raises
    ------
    InputError, UnitError, TimeError, GeometryError
        As `scanned_activity` and `in_frame_of`.
    """
    of_camera: tuple[InputFile, ...] = ()
    if isinstance(montecarlo.calibration, str | Path):
        of_camera = (InputFile.of("calibration", Path(montecarlo.calibration)),)
        montecarlo = replace(montecarlo, calibration=load_calibration(montecarlo.calibration))
    known = Stated(unit=stated.activity_unit, time=stated.activity_at)
    hu = as_image(ct, role="ct", series=stated.ct_series)
    image = as_image(activity, role="activity", series=stated.series, stated=known)
    image = in_frame_of(hu, image, registered=stated.registered)
    return Scanned(
        image, hu, scanned_activity(image, nuclide, stated.total_bq), montecarlo,
        (image.source, hu.source, *of_camera), unique(image.messages, hu.messages),
    )  # fmt: skip
