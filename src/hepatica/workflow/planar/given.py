"""What was given to the patient, the camera factor, and whom organ doses are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from hepatica.core import Estimate
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.options import Fraction, Positive, Text, Unit, options
from hepatica.core.options.kinds import Limits
from hepatica.errors import InputError
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.io.calibration_files import load_calibration
from hepatica.workflow.planar.reading import TimeOfViews


def mass_from_text(text: str) -> tuple[str, float]:
    """Organ and mass in kg: "liver = 1.6"."""
    name, _, value = text.rpartition("=")
    try:
        number = float(value.replace("kg", "").strip())
    except ValueError:
        number = 0.0
    if not name.strip() or not 0 < number < 200:
        raise InputError(f"mass {text!r}: 'ORGAN = KG' is expected, such as 'liver = 1.6'")
    return name.strip(), number


SEXES = ("F", "M")
CALIBRATION = "calibration.json"
"""What `calibrate` writes."""

HEAVIEST_KG = 10.0
"""Of an organ; livers with tumours reach some kg. Our choice."""


@options
class TransmissionOptions:
    """A transmission scan with a flood source.

    Attributes
    ----------
    transmission_scan : Path, Image or None
        With the patient before the source, of the matrix of the views.
    blank : Path, Image or None
        The same without the patient.
    """

    transmission_scan: Path | str | Image | None = None
    blank: Path | str | Image | None = None

    def __post_init__(self) -> None:
        if (self.transmission_scan is None) != (self.blank is None):
            raise InputError("a transmission scan needs both `transmission_scan` and `blank`")


@options
class PlanarGivenOptions:
    """What was given, the camera factor, and the patient.

    Attributes
    ----------
    administered_bq : float or None
        Activity in the patient after the administration; the files' if not given.
    administered_sd_bq : float or None
        Its standard uncertainty.
    administered_at : datetime or None
        When; the files' if not given.
    calibration : Path, CameraCalibration or None
        Camera factor in air, for activities by counts, or the folder of its result; made with the same scatter
        correction.
    patient_sex : {"female", "male"} or None
        Of the reference adult for organ doses; without it there are none.
    organ_mass_kg : tuple
        Masses of organs: 'liver = 1.6'; without, those of the CT, else the reference adult's.
    gut_content : {"contents", "wall"}
        Whether what stomach and bowel hold lies in their contents or in their walls.
    voiding_interval_s : float or None
        Between two emptyings of the bladder, for what passes through it to be in organ doses; without it that is not.
    urine_share : float
        Of what is excreted, by urine.
    """

    administered_bq: Positive | None = None
    administered_sd_bq: Annotated[float, Unit("Bq"), Limits(low=0)] | None = None
    administered_at: datetime | None = None
    calibration: Path | str | CameraCalibration | None = None
    patient_sex: Literal["female", "male"] | None = None
    organ_mass_kg: Annotated[tuple[tuple[str, float], ...], Text(mass_from_text, "ORGAN = KG")] = ()
    gut_content: Literal["contents", "wall"] = "contents"
    voiding_interval_s: Annotated[float, Unit("s"), Limits(above=0, high=86400)] | None = None
    urine_share: Fraction = 1.0

    def __post_init__(self) -> None:
        if self.voiding_interval_s is None and self.urine_share != 1.0:
            raise InputError("`urine_share` is of a bladder that is emptied: state `voiding_interval_s`")
        for name, kg in self.organ_mass_kg:
            if not 0 < kg <= HEAVIEST_KG:
                raise InputError(f"a mass of {kg:g} kg of {name}", remedy="state `organ_mass_kg` in kg")

    def of(self, views: Sequence[TimeOfViews]) -> KnownAdministration:
        """What is stated, else what the files say."""
        facts = [file.image.acquisition for one in views if one.read is not None for file in one.read.files]
        bq = self.administered_bq or next((f.administered_bq for f in facts if f.administered_bq), None)
        at = self.administered_at or next((f.administered_at for f in facts if f.administered_at), None)
        notes = []
        if at is None:
            text = "the instant of the administration is not known: times count from the first views"
            notes.append(Message("administration-unknown", text, "state `administered_at`"))
            at = views[0].views.time
        file = self.calibration_file
        factor = load_calibration(file) if isinstance(file, Path) else file
        amount = None if bq is None else Estimate(bq, self.administered_sd_bq or 0.0)
        return KnownAdministration(amount, at, factor, tuple(notes))

    @property
    def calibration_file(self) -> Path | CameraCalibration | None:
        """The calibration, of a folder of results the file in it."""
        if not isinstance(self.calibration, str | Path):
            return self.calibration
        path = Path(self.calibration)
        return path / CALIBRATION if path.is_dir() else path

    def about_sex(self, views: Sequence[TimeOfViews]) -> tuple[Message, ...]:
        """A message if the files' PatientSex is not that of the reference adult."""
        facts = [file.image.context for one in views if one.read is not None for file in one.read.files]
        found = {context.sex for context in facts if context is not None and context.sex in SEXES}
        if self.patient_sex is None or not found or found == {self.patient_sex[0].upper()}:
            return ()
        text = (
            f"the views' PatientSex is {' and '.join(sorted(found))}, organ doses are of the {self.patient_sex} adult"
        )
        return (Message("other-sex", text, "check the patient, or state the other `patient_sex`"),)

    @property
    def masses_g(self) -> Mapping[str, float]:
        """Stated masses in g."""
        return {name: 1000 * kg for name, kg in self.organ_mass_kg}


@dataclass(frozen=True, slots=True, eq=False)
class KnownAdministration:
    """Activity and instant of the administration, and the camera factor; None where not known."""

    administered_bq: Estimate | None
    administered_at: datetime | None
    calibration: CameraCalibration | None
    messages: tuple[Message, ...] = ()
