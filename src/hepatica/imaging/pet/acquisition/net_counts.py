"""Whether an image holds what its list counted: the net counts of the list against those that the image stands for.

An image can look right and hold too little or too much: iterations that have not converged, a method that fails with
few counts, activity where none was sought. The counts of the list do not depend on any of these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.imaging.pet.list_mode import EVENTS_PER_SUBSET

BEYOND_SD = 3.0
"""So many standard deviations of its difference an image may be off the net counts: noise is once in 370 lists."""
BEYOND_SHARE = 0.05
"""And so much of the activity: what the reconstruction is asked to reach at clinical counts."""
CRITICAL_SHARE = 0.2
"""From here on no dose of such an image can be used."""
SPHERE_SHARE = 0.02
"""Of the activity, in a sphere of 37 mm: that by which the counts of a subset were chosen."""


@dataclass(frozen=True, slots=True)
class NetCounts:
    """What a list counted beside randoms and scatter, and what the image stands for.

    Attributes
    ----------
    net, net_sd : float
        Prompts less expected randoms and expected scatter; standard deviation of the prompts (Poisson).
    of_image : float
        Counts that the activity in the image makes.
    not_random : float
        Prompts less expected randoms.
    predicted_mbq, predicted_sd_mbq : float
        Activity at the start of the scan that makes the net counts.
    image_mbq : float
        What the image holds.
    image_sd_mbq : float or None
        Of that from counting; None where it is not known.
    """

    net: float
    net_sd: float
    of_image: float
    not_random: float
    predicted_mbq: float
    predicted_sd_mbq: float
    image_mbq: float
    image_sd_mbq: float | None = None

    @property
    def difference_sd_mbq(self) -> float:
        """Standard deviation of image less prediction: the larger of both.

        Both are made of the same coincidences. Of two such numbers with standard deviations a and b the difference has
        ``a^2 + b^2 - 2 r a b``, at most the larger one's where they share half of the smaller one's variance or more.
        """
        return max(self.predicted_sd_mbq, self.image_sd_mbq or 0.0)

    @property
    def difference(self) -> float:
        """Image over prediction, less one; infinite where the list has no net counts."""
        return self.image_mbq / self.predicted_mbq - 1 if self.predicted_mbq > 0 else math.inf

    @property
    def differs(self) -> bool:
        """Whether the image holds another activity than its list predicts, beyond noise."""
        off = abs(self.image_mbq - self.predicted_mbq)
        return off > BEYOND_SD * self.difference_sd_mbq and off > BEYOND_SHARE * abs(self.predicted_mbq)


def net_counts(
    prompts: int,
    randoms: float,
    scatter: float,
    activity_bq: NDArray[np.floating],
    counts_per_bq: NDArray[np.floating],
    first_look: NDArray[np.floating],
    image_sd_bq: float | None = None,
) -> NetCounts:
    """The net counts of a list, and those of an image.

    Parameters
    ----------
    prompts : int
        Of all beds.
    randoms, scatter : float
        Expected among them, as far as they were corrected for.
    activity_bq : ndarray
        Of each voxel of the image at the start of the scan.
    counts_per_bq : ndarray of the same shape
        True coincidences of all beds per becquerel of each voxel.
    first_look : ndarray of the same shape
        An image that is never below zero, in any unit: where the activity is. Counts per becquerel are their mean over
        it, as they differ with depth by some times.
    image_sd_bq : float or None
        Standard deviation of the image's total from counting, where it is known.
    """
    net, total = prompts - randoms - scatter, float(activity_bq.sum(dtype=np.float64))
    of_image = float((counts_per_bq * activity_bq).sum())
    each = float((counts_per_bq * first_look).sum() / first_look.sum())
    predicted = net / each
    sd = math.sqrt(prompts)
    own = None if image_sd_bq is None else image_sd_bq / 1e6
    return NetCounts(net, sd, of_image, prompts - randoms, predicted / 1e6, sd / each / 1e6, total / 1e6, own)


def about_ratio(over_counts: float | None, sd: float | None) -> tuple[Message, ...]:
    """What a dose says of an image that does not hold its list's counts, by the image's own record.

    Parameters
    ----------
    over_counts, sd : float or None
        Activity in the image over what the net counts predict, and the standard uncertainty of that by the counting
        of both; None where not known.
    """
    if over_counts is None or sd is None:
        return ()
    off = abs(over_counts - 1)
    if not (off > BEYOND_SD * sd and off > BEYOND_SHARE):
        return ()
    much = f"{100 * (over_counts - 1):+.0f} +- {100 * sd:.2g} %"
    text = f"the activity image does not hold what its list counted ({much}), and so do its doses"
    return (Message("total-not-of-counts", text, _REMEDY, "critical" if off > CRITICAL_SHARE else "warning"),)


_REMEDY = (
    "an image that is too high or too low wants more `iterations` where few were done, and with few counts larger "
    "voxels or a longer scan; one that is too low lacks activity that lies outside the body of the CT: state "
    "`activity_anywhere`, and check that CT and raw data lie on each other"
)


def about_counts(counts: NetCounts, beds: Sequence[float]) -> tuple[Message, ...]:
    """What must be said of an image that does not hold its list's counts, and of a list that has too few.

    Parameters
    ----------
    counts : NetCounts
    beds : sequence of float
        Coincidences of each bed that are not random.
    """
    found = []
    if counts.differs:
        by = "" if math.isinf(counts.difference) else f" ({100 * counts.difference:+.0f} %)"
        own = "" if counts.image_sd_mbq is None else f" +- {counts.image_sd_mbq:.2g}"
        text = (
            f"the list's net counts predict {counts.predicted_mbq:.4g} +- {counts.predicted_sd_mbq:.2g} MBq, the image "
            f"holds {counts.image_mbq:.4g}{own} MBq{by}: it is not what was counted"
        )
        severe = abs(counts.difference) > CRITICAL_SHARE
        found.append(Message("total-not-of-counts", text, _REMEDY, "critical" if severe else "warning"))
    if counts.net <= BEYOND_SD * counts.net_sd:
        text = (
            f"the list holds {counts.net:.0f} +- {counts.net_sd:.0f} coincidences that are neither random nor "
            "scattered: no activity is told from none"
        )
        found.append(Message("no-net-counts", text, "take a longer scan; look at the decision threshold", "critical"))
    elif min(beds) < EVENTS_PER_SUBSET:
        few = min(beds)
        text = (
            f"{few:.0f} coincidences that are not random are few (below {EVENTS_PER_SUBSET}): a sphere of 37 mm with "
            f"{100 * SPHERE_SHARE:g} % of the activity has {SPHERE_SHARE * few:.0f} of them; voxels and small "
            "structures mean nothing"
        )
        found.append(
            Message(
                "few-counts",
                text,
                "take a longer scan; of this one take the total and large structures with their uncertainty, by the "
                "method wls",
            )
        )
    return tuple(found)
