"""Cross-calibration of a PET with the activity meter or well counter of the house, and its uncertainty for 90Y.

A cylinder is filled with a known activity of a nuclide that the scanner knows (18F), scanned, reconstructed as patients
are: true over shown concentration is the factor (EANM/EARL; NEMA NU 2). For 90Y three things come on top: the meter's
own factor for 90Y, the positrons per decay, and that they stand in the image. Relative standard uncertainties are added
in squares (GUM, JCGM 100:2008).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hepatica.core import Estimate
from hepatica.errors import InputError

PLAUSIBLE = (0.7, 1.4)
"""Factors beyond are refused: activities, their instants or the volume are wrong. Our choice."""


@dataclass(frozen=True, slots=True)
class Part:
    """A contribution to the uncertainty: its name and its relative standard uncertainty, None where it is not known."""

    name: str
    relative_sd: float | None


@dataclass(frozen=True, slots=True)
class CrossCalibration:
    """True over shown concentration, and what it rests on.

    Attributes
    ----------
    factor : float
        By which Bq/mL of an image of the calibration's nuclide are multiplied.
    parts : tuple of Part
        Of the uncertainty.
    """

    factor: float
    parts: tuple[Part, ...]

    @property
    def relative_sd(self) -> float | None:
        """Of the factor; None as soon as one part is not known."""
        found = 0.0
        for part in self.parts:
            if part.relative_sd is None:
                return None
            found += part.relative_sd**2
        return math.sqrt(found)

    @property
    def estimate(self) -> Estimate:
        """Factor and standard uncertainty."""
        sd = self.relative_sd
        return Estimate(self.factor, None if sd is None else sd * self.factor)

    def for_nuclide(
        self, positrons: Estimate, *, divided_by: float, meter_relative_sd: float | None
    ) -> CrossCalibration:
        """The factor for images of another nuclide.

        Parameters
        ----------
        positrons : Estimate
            Per decay of the nuclide.
        divided_by : float
            Positrons per decay that the scanner divided by (`RadionuclidePositronFraction`); where 18F was chosen at
            the console, 0.967.
        meter_relative_sd : float or None
            Of the meter's factor for this nuclide against that of the calibration's; None where it is not known.

        Raises
        ------
        InputError
            If a number of positrons is not positive.
        """
        if not positrons.value > 0 or not divided_by > 0:
            raise InputError(
                "positrons per decay must be above zero, of the nuclide and in what the scanner divided by"
            )
        sd = None if positrons.sd is None else positrons.sd / positrons.value
        return replace(
            self,
            factor=self.factor * divided_by / positrons.value,
            parts=(*self.parts, Part("positrons per decay", sd), Part("meter, for this nuclide", meter_relative_sd)),
        )


def cross_calibration(
    activity_bq: Estimate, volume_ml: Estimate, shown_bq_ml: Estimate, *, meter_relative_sd: float | None
) -> CrossCalibration:
    """From a cylinder of known activity.

    Parameters
    ----------
    activity_bq : Estimate
        In the cylinder at the instant of the image; its uncertainty that of reading and residual.
    volume_ml : Estimate
        Of the cylinder's content.
    shown_bq_ml : Estimate
        Mean of the image far from the walls.
    meter_relative_sd : float or None
        Of the meter itself (traceability, geometry of the vial); None where it is not known.

    Raises
    ------
    InputError
        If a quantity is not positive, or the factor is beyond 0.7 to 1.4.
    """
    given = {"activity": activity_bq, "volume": volume_ml, "noise of the image": shown_bq_ml}
    for name, estimate in given.items():
        if not 0 < estimate.value < math.inf:
            raise InputError(f"cross-calibration: {name}: {estimate.value:g} is not positive")
    factor = activity_bq.value / volume_ml.value / shown_bq_ml.value
    if not PLAUSIBLE[0] <= factor <= PLAUSIBLE[1]:
        raise InputError(
            f"cross-calibration: the cylinder holds {factor:.3g} times what the image shows, and a scanner is right "
            "within some per cent",
            remedy="check activity, residual, their instants, the volume, and the nuclide that the scanner was told",
        )
    parts = [Part(name, None if e.sd is None else e.sd / e.value) for name, e in given.items()]
    return CrossCalibration(factor, (*parts, Part("meter", meter_relative_sd)))
