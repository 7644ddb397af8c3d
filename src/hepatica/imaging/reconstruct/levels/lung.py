"""The mean of a lung that was found as levels, with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hepatica.core import Estimate
from hepatica.core.lung_mean import SD_PER_INTERVAL, LungMean
from hepatica.core.message import Message
from hepatica.imaging.reconstruct.levels.update import Levels
from hepatica.imaging.spect.projector import Float32

PER_MM = 0.015
"""Relative change of the lungs' mean, as the CT shows them, by a CT a millimetre too high or too low: one 8 mm too high
read 12 % less, and 10 % in ten draws with blur left in it, one 3 mm too high 6 % less (docs/spect-study.md), by its
attenuation, by hot voxels that take it up, and by the emptier top. One too low reads more, by the liver that then lies
in the lung, and what that is `spilt` shows. One phantom says it: moving CT and
lungs in the finished fit does not, since hot voxels are found anew (held, a tenth of it; held to their counts, six
times as much)."""

MODEL = 0.03
"""Relative standard uncertainty of the lungs' mean that is left where scatter, CT and camera are known: the rim of a
liver that the iterations have not resolved is taken for a little more or less lung. From a thorax without Monte Carlo,
whose scatter is known exactly: 2.2 to 3.4 % low after 6 to 24 iterations (tests/physics/spect/test_spect_lung.py).
Phantoms with Monte Carlo were off by 0 to 3 % (docs/spect-study.md)."""

MUCH_SPILT = 0.2
"""Share of the lungs' activity above the level beside the liver from which on it is said: with the CT in its place at
most 6 % were found, with one 8 mm too low 27 and 35 % (docs/spect-study.md). Our choice."""


@dataclass(frozen=True, slots=True)
class LungPart:
    """A part of a lung at one level, in the unit of the image; its uncertainty is that of counting."""

    name: str
    volume_ml: float
    mean: Estimate


@dataclass(frozen=True, slots=True)
class LungReading:
    """What the counts say of the lungs.

    Attributes
    ----------
    mean : Estimate
        Of the image over both lungs as the CT shows them, each voxel by its share in them, in the unit of the image;
        all uncertainties below together, without the calibration of the camera.
    interval_95 : tuple of float
        Of the true mean, not around `mean`: what the liver spills into the lung beside it is known by its sign, so that
        the interval lies around the mean without half of it.
    share_of_image : float
        Activity in the lungs over that in the image.
    parts : tuple of LungPart
        Levels.
    share_beside_liver : float
        Of the lungs' volume that lies so near to liver or hot spots that it is found voxel by voxel.
    counting_relative_sd : float
        Noise of the counts in the levels.
    scatter_relative_sd : float
        Uncertainty of the amount of scatter.
    registration_relative_sd : float
        Place of the CT: attenuation, and where the lung is.
    border_relative_sd : float
        What the liver spills into the lung beside it: the difference to the level beside it, of which anything between
        nothing and all may be spilt; root mean square.
    model_relative_sd : float
        What the levels leave where everything else is known.
    scatter_scale : float
        Scattered over primary counts of liver and hot spots, over what the model says.
    """

    mean: Estimate
    interval_95: tuple[float, float]
    share_of_image: float
    parts: tuple[LungPart, ...]
    share_beside_liver: float
    counting_relative_sd: float
    scatter_relative_sd: float
    registration_relative_sd: float
    border_relative_sd: float
    model_relative_sd: float
    scatter_scale: float

    @property
    def told(self) -> LungMean:
        """What travels with the image: the interval over the mean, in no unit."""
        levels, mean = max(1, len(self.parts)), self.mean.value
        if not mean:
            return LungMean(levels)
        low, high = (end / mean for end in self.interval_95)
        return LungMean(levels, low, high, self.mean.relative_sd, self.counting_relative_sd, self.share_of_image)

    def doubts(self) -> tuple[Message, ...]:
        """Whether much of what lies in the lungs of the CT is the liver's."""
        low, high = self.interval_95
        spilt = math.sqrt(3) * self.border_relative_sd
        if spilt < MUCH_SPILT or low + high > 2 * self.mean.value:
            return ()
        text = (
            f"{spilt:.0%} of what lies in the lungs of the CT lies above their level beside the liver: the CT is too "
            "low, so that liver lies in its lungs, or the lung is much fuller there; the lungs' mean is too high by "
            "anything up to that"
        )
        return (Message("liver-in-lungs-of-ct", text, "register CT and SPECT by the liver's dome"),)

    def message(self, nuclide: str) -> Message:
        """What a reader of the image must know of its lungs."""
        below, above = (end / self.mean.value - 1 if self.mean.value else 0.0 for end in self.interval_95)
        text = (
            f"the lungs of this {nuclide} SPECT are {len(self.parts)} levels fitted to the counts, beside liver and "
            f"hot spots found voxel by voxel: their true mean lies {100 * below:+.0f} to {100 * above:+.0f} % from "
            "that of the image (95 %, without the calibration of the camera, which is common to the whole image), a "
            "dose of single voxels or a dose-volume histogram of the lung is not supported by the counts"
        )
        return Message("lung-as-levels", text)


@dataclass(frozen=True, slots=True, eq=False)
class LungUncertainty:
    """What the lung's uncertainty is made of, beside counting.

    Attributes
    ----------
    scatter : float
        Relative standard uncertainty of scattered counts.
    registration_mm : float
        Standard uncertainty of the CT's place along the patient.
    """

    scatter: float
    registration_mm: float


def lung_reading(
    levels: Levels, lungs: Sequence[Float32], voxel_ml: float, unit: float, about: LungUncertainty
) -> LungReading:
    """Mean of the lungs and its uncertainty.

    Parameters
    ----------
    levels : Levels
        Finished image and fit.
    lungs : sequence of ndarray
        Share of each voxel in each lung.
    voxel_ml : float
        Volume of a voxel.
    unit : float
        What the image's unit is per unit of activity in a voxel: 1 / mL for Bq/mL, 1 for counts.
    about : LungUncertainty
        Of scatter and registration.

    Notes
    -----
    The lung holds ``sum_j s_j f_j``, s the share of voxel j in it and f the finished image: what `dose` reads of the
    same image and lungs. A voxel at the border has a share of the level and counts with its share, as any image's does,
    so that a lung with sharp edges reads low there. Error of the scattered counts moves the levels by
    ``-N^-1 A (d / expected)``, N the information of the fit, d the error. What lies in the lung beside the liver above
    the level next to it is the liver's, or the lung's own, or in part: evenly distributed between nothing and all of
    it, s, which has its middle at s / 2 and a standard deviation of s / sqrt(12). The interval is around the
    mean less that half. Where counting does not tell the level of some part from none, the lungs may be empty and all
    that they hold the liver's: the lower end is then that of a spill between nothing and all they hold. The mean stays
    what `dose` reads, and its standard uncertainty the root mean square about it.
    """
    both = np.minimum(np.sum(lungs, axis=0, dtype=np.float32), 1)
    voxels = float(both.sum(dtype=np.float64))
    regions, fit = levels.regions, levels.fit
    weights = np.zeros(len(fit.levels))
    beside = float((both * regions.hot * levels.image).sum(dtype=np.float64))
    for number, part in enumerate(regions.parts):
        # What the image has there, so that reading it with the same lungs gives the same mean.
        weights[2 + number] = float((both * part).sum(dtype=np.float64))
    held = beside + float(weights[2:] @ fit.levels[2:])
    # The image of the hot voxels is scaled by their level, which is 1 within the noise.
    weights[0] = beside / fit.levels[0] if fit.levels[0] else 0.0
    scattered = fit.answer_to(levels.patterns, about.scatter * levels.scattered)
    near = float((both * regions.hot).sum(dtype=np.float64))
    spilt = beside - near * _level_beside(levels, both)
    parts = (
        math.sqrt(max(0.0, float(weights @ fit.covariance @ weights))),
        abs(float(weights @ scattered)),
        PER_MM * about.registration_mm * held,
        abs(spilt) / math.sqrt(3),
        MODEL * held,
    )
    squares = [part**2 for part in parts]
    mean = Estimate(held / voxels * unit, math.sqrt(sum(squares)) / voxels * unit)
    # Between nothing and all: root mean square spilt / sqrt(3) about nothing, spilt / sqrt(12) about the half.
    others = sum(squares) - spilt**2 / 3
    ends = []
    for sign, at_most in ((-1, held if _may_be_empty(levels) else spilt), (1, spilt)):
        around = SD_PER_INTERVAL * math.sqrt(others + at_most**2 / 12)
        ends.append(max(0.0, (held - at_most / 2 + sign * around) / voxels * unit))
    low, high = ends
    counting, scatter, registration, border, model = (part / held if held else 0.0 for part in parts)
    return LungReading(
        mean, (low, high), held / float(levels.image.sum(dtype=np.float64)), _parts(levels, voxel_ml, unit),
        near / voxels, counting, scatter, registration, border, model, levels.scatter_scale,
    )  # fmt: skip


def _may_be_empty(levels: Levels) -> bool:
    """Whether counting does not tell some part of a lung from an empty one."""
    fit = levels.fit
    sd = np.sqrt(np.diag(fit.covariance))
    return any(fit.levels[2 + n] < SD_PER_INTERVAL * sd[2 + n] for n in levels.regions.lungs)


def _level_beside(levels: Levels, both: Float32) -> float:
    """Mean level of the lungs outside hot voxels."""
    cold = both * ~levels.regions.hot
    total = float(cold.sum(dtype=np.float64))
    return float((levels.image * cold).sum(dtype=np.float64)) / total if total else 0.0


def _parts(levels: Levels, voxel_ml: float, unit: float) -> tuple[LungPart, ...]:
    fit, found = levels.fit, []
    for number in levels.regions.lungs:
        level, sd = float(fit.levels[2 + number]), math.sqrt(float(fit.covariance[2 + number, 2 + number]))
        volume = float(levels.regions.parts[number].sum(dtype=np.float64)) * voxel_ml
        found.append(LungPart(levels.regions.names[number], volume, Estimate(level * unit, sd * unit)))
    return tuple(found)
