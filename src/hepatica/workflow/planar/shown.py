"""One time of a biodistribution as it is reported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hepatica.core import Estimate
from hepatica.imaging.planar.measure import Measured
from hepatica.imaging.planar.organs import PlanarOrgan
from hepatica.imaging.planar.rates import PlanarRates


@dataclass(frozen=True, slots=True)
class TimeOfDistribution:
    """Where the activity was at one time.

    Attributes
    ----------
    start : datetime or None
        Start of the views.
    hours : float or None
        After the administration.
    sides : tuple of str
        Views there are.
    scatter_method : str
        By which scatter was taken off.
    retained : float
        Share of the administered activity that is in the body, decay aside.
    organs : tuple of PlanarOrgan
        Each with share and activity.
    lung_shunt : Estimate or None
        Lungs over lungs and liver.
    lung_shunt_95 : tuple of float or None
        95 % interval.
    lung_shunt_not_corrected : float or None
        The same by geometric means without attenuation correction.
    explained : float or None
        Share of the views that the CT's structures explain.
    """

    start: datetime | None
    hours: float | None
    sides: tuple[str, ...]
    scatter_method: str
    retained: float
    organs: tuple[PlanarOrgan, ...]
    lung_shunt: Estimate | None
    lung_shunt_95: tuple[float, float] | None
    lung_shunt_not_corrected: float | None
    explained: float | None


@dataclass(frozen=True, slots=True, eq=False)
class ShownTime:
    """What the report draws of a time."""

    rates: PlanarRates
    measured: Measured
