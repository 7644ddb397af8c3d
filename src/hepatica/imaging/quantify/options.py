"""How counts become becquerels, as far as a user says it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

from hepatica.core import Estimate
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.numbers.units import parse_quantity
from hepatica.core.options import Fraction, Limits, NonNegative, Positive, Text, Unit, options
from hepatica.errors import InputError
from hepatica.imaging.quantify.activity import Administration
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.lungs_in_view import LungsInView

STATED_AGAINST_HEADER = 0.01
"""Relative difference between stated and header activity from which on a warning is given."""

Share = Annotated[float, Unit("fraction"), Limits(low=0, below=1)]


def calibration_source(text: str) -> Path | Estimate:
    """A camera factor in cps/MBq ('4.6 cps/MBq'), or the path of a calibration file (.json, .toml)."""
    if Path(text).suffix in (".json", ".toml"):
        return Path(text)
    return Estimate(parse_quantity(text, "cps/MBq", "`calibration`"))


CALIBRATION_TEXT = Text(calibration_source, "quantity in cps/MBq, or FILE")
"""How an option ``calibration`` is read from text."""


@options
class QuantificationOptions:
    """How counts become becquerels.

    Attributes
    ----------
    administered_bq : float or None
        Activity that the patient received; from the header where it is there.
    administered_sd_bq : float or None
        Its standard uncertainty.
    administered_at : datetime or None
        When.
    administered_result : path or None
        Result of the delivered activity: activity with its uncertainty, instant, residual and lung shunt come from it.
    calibration : CameraCalibration, Estimate, Path or None
        Camera factor of a SPECT in counts, or a calibration file of `hepatica calibrate`, which brings its uncertainty
        and conditions. Without it counts are scaled so that the image holds the administered activity.
    calibration_sd_cps_per_mbq : float or None
        Standard uncertainty of a camera factor that is given as a number.
    frame_duration_s : float or None
        Time in which counts were collected, where the file does not say it; with a calibration file of all views of
        all heads added up.
    lung_shunt : float
        Share of the administered activity that went to the lungs: gives their dose beside that of the image, and is
        taken off where the lungs lie outside the image.
    lung_shunt_sd : float or None
        Its standard uncertainty, of the share itself; with that of activity and lung mass it gives the lung dose by the
        shunt its interval.
    residual : float
        Share left in vial and tubing.
    outside : float
        Share of the activity outside the field of view.
    lungs_in_image : bool
        The activity in the lungs is part of the image.
    """

    administered_bq: Positive | None = None
    administered_sd_bq: NonNegative | None = None
    administered_at: datetime | None = None
    administered_result: Path | None = None
    calibration: Annotated[CameraCalibration | Estimate | Path | str | None, CALIBRATION_TEXT] = None
    calibration_sd_cps_per_mbq: NonNegative | None = None
    frame_duration_s: Positive | None = None
    lung_shunt: Share = 0.0
    lung_shunt_sd: Fraction | None = None
    residual: Share = 0.0
    outside: Share = 0.0
    lungs_in_image: bool = False

    def __post_init__(self) -> None:
        if self.administered_sd_bq is not None and self.administered_bq is None:
            raise InputError(
                "`administered_sd_bq` is the uncertainty of an activity that is not stated",
                remedy="state `administered_bq`",
            )
        if self.lung_shunt_sd is not None and not self.lung_shunt and self.administered_result is None:
            raise InputError(
                "`lung_shunt_sd` is the uncertainty of a shunt that is not stated", remedy="state `lung_shunt`"
            )

    @property
    def calibration_file(self) -> Path | None:
        """The calibration's file, where one was named."""
        source = self.calibration
        if isinstance(source, str):
            source = calibration_source(source)
        return source if isinstance(source, Path) else None


def administration_of(
    image: Image, options: QuantificationOptions, lungs: LungsInView | None = None
) -> Administration | None:
    """What was given, as the user says or else as the image's header does; None if neither does.

    A shunt is not taken off again for lungs that the image shows (`lungs`): not at all where they are whole in view,
    and but for what is out of view where they are cut off.
    """
    facts = image.acquisition
    activity_bq = options.administered_bq or facts.administered_bq
    if activity_bq is None:
        return None
    shown = lungs if lungs is not None and options.lung_shunt and lungs.shows(options.lung_shunt) else None
    sd_bq = options.administered_sd_bq if options.administered_bq is not None else None
    return Administration(
        Estimate(activity_bq, sd_bq),
        options.administered_at or facts.administered_at,
        residual_fraction=_share(options.residual),
        lung_shunt_fraction=_share(options.lung_shunt, options.lung_shunt_sd),
        lungs_in_view=options.lungs_in_image or (shown is not None and shown.whole),
        outside_fraction=_share(options.outside),
        lung_share_in_view=0.0 if shown is None else shown.share,
    )


def _share(stated: float, sd: float | None = None) -> Estimate:
    """A share; none is exactly none, and one that is stated may have an uncertainty that nobody stated."""
    return Estimate(stated, sd if stated else 0.0)


def overruled(image: Image, options: QuantificationOptions) -> tuple[Message, ...]:
    """What is said where the user says something else than the header about the administration."""
    facts, found = image.acquisition, []
    if options.administered_bq and facts.administered_bq:
        difference = options.administered_bq / facts.administered_bq - 1
        if abs(difference) > STATED_AGAINST_HEADER:
            text = (
                f"the activity administered is stated as {options.administered_bq / 1e6:.4g} MBq, the header says "
                f"{facts.administered_bq / 1e6:.4g} MBq; what is stated is used"
            )
            found.append(Message("administered-overruled", text))
    if options.administered_at and facts.administered_at and options.administered_at != facts.administered_at:
        text = (
            f"the administration is stated at {options.administered_at.isoformat(sep=' ')}, the header says "
            f"{facts.administered_at.isoformat(sep=' ')}; what is stated is used"
        )
        found.append(Message("administration-time-overruled", text))
    return tuple(found)
