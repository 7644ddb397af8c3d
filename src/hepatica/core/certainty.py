"""What the maker of an image knows of its becquerels: their common scale, counting, and what was counted.

Counting stands for all that a region has of its own and does not share: noise of the counts, and of a PET that hepatica
reconstructed the doubt of the scatter that was taken off, so many becquerels whatever the region holds.

It goes with the image wherever that goes: in memory as `Acquisition.certainty`, in hepatica's DICOM images as private
attributes, beside NIfTI in ``result.json``. Of an image that says nothing of it nothing is known, which is not zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hepatica.errors import InputError

UNKNOWN = -1.0
"""Written in place of a number that is not known."""

SAME_REGION = 0.03
"""Relative difference of volume and of content up to which two regions are one: rounding, and voxels of a border."""

SAME_NOISE = 0.1
"""Difference of content, in its own standard uncertainties, up to which two regions are one as well."""


@dataclass(frozen=True, slots=True)
class CountedRegion:
    """A region of which the maker of the image found how well its content is known by counting.

    It has no name: a region of the same volume and content is the same one, or one that is known as well.

    Attributes
    ----------
    volume_ml : float
        What the image shows of it.
    share_of_image : float
        Activity in it over that in the image; below zero where noise of an image without a bound at zero is.
    counting_relative_sd : float
        Standard uncertainty of its content by the noise of the counts, and of the scatter taken off, over the size of
        that content.
    """

    volume_ml: float
    share_of_image: float
    counting_relative_sd: float

    def is_like(self, volume_ml: float, share_of_image: float) -> bool:
        """Whether a region of that volume and content is taken for this one."""
        same_volume = abs(self.volume_ml - volume_ml) <= SAME_REGION * self.volume_ml
        # Contents nearer than a part of their noise are not told apart, however small they are.
        near = max(SAME_REGION, SAME_NOISE * self.counting_relative_sd) * abs(self.share_of_image)
        return same_volume and abs(self.share_of_image - share_of_image) <= near


@dataclass(frozen=True, slots=True)
class ImageCertainty:
    """How well the becquerels of an image are known; None is not known.

    Attributes
    ----------
    scale_relative_sd : float or None
        Relative standard uncertainty of the factor common to all voxels: camera factor, or cross-calibration, positrons
        per decay and activity meter. None as soon as one part of it is not known.
    counting_relative_sd : float or None
        Of the activity in the whole image, by the same.
    over_counts, over_counts_sd : float or None
        Activity in the image over the activity that the net counts of its list predict, and the standard uncertainty of
        that ratio by the noise of the counts (PET that hepatica reconstructed).
    counted : tuple of CountedRegion
        Regions whose counting noise was found.
    scan_relative_sd : float
        The part of `scale_relative_sd` that is this scan's own (scatter of activity beyond the field, counts through
        lead that were fitted): a calibration that is stated instead does not take it away.

    Raises
    ------
    InputError
        If they are no such numbers.
    """

    scale_relative_sd: float | None = None
    counting_relative_sd: float | None = None
    over_counts: float | None = None
    over_counts_sd: float | None = None
    counted: tuple[CountedRegion, ...] = ()
    scan_relative_sd: float = 0.0

    def __post_init__(self) -> None:
        numbers = [value for value in self._four if value is not None]
        numbers += [self.scan_relative_sd, *(n for r in self.counted for n in (r.volume_ml, r.counting_relative_sd))]
        finite = all(math.isfinite(region.share_of_image) for region in self.counted)
        if not finite or not all(0 <= value < math.inf for value in numbers):
            raise InputError(f"no certainty of an image: {self._four} and {len(self.counted)} regions")

    @property
    def _four(self) -> tuple[float | None, ...]:
        return (self.scale_relative_sd, self.counting_relative_sd, self.over_counts, self.over_counts_sd)

    @property
    def numbers(self) -> tuple[float, ...]:
        """The four numbers in the order of the attributes, `UNKNOWN` for one that is not known, and the scan's part."""
        four = tuple(UNKNOWN if value is None else value for value in self._four)
        return (*four, self.scan_relative_sd) if self.scan_relative_sd else four

    @property
    def region_numbers(self) -> tuple[float, ...]:
        """Volume, share and counting of every region, one after the other."""
        return tuple(n for r in self.counted for n in (r.volume_ml, r.share_of_image, r.counting_relative_sd))

    @classmethod
    def of_numbers(cls, numbers: Sequence[float], regions: Sequence[float] = ()) -> ImageCertainty:
        """From what `numbers` and `region_numbers` gave; InputError if it is not that."""
        if len(numbers) not in (4, 5) or len(regions) % 3:
            raise InputError(f"the certainty of an image is four numbers or five and three a region: {len(numbers)}")
        four = [None if float(value) == UNKNOWN else float(value) for value in numbers[:4]]
        each = [float(value) for value in regions]
        scale, counting, ratio, ratio_sd = four
        found = tuple(CountedRegion(*each[n : n + 3]) for n in range(0, len(each), 3))
        return cls(scale, counting, ratio, ratio_sd, found, float(numbers[4]) if len(numbers) == 5 else 0.0)

    @classmethod
    def of_document(cls, told: Mapping[str, Any]) -> ImageCertainty:
        """From a result's document; InputError if it is not that."""
        try:
            names = ("scale_relative_sd", "counting_relative_sd", "over_counts", "over_counts_sd")
            four = [None if told.get(name) is None else float(told[name]) for name in names]
            scan = float(told.get("scan_relative_sd") or 0.0)
            rows = told.get("counted") or ()
            regions = [
                CountedRegion(float(r["volume_ml"]), float(r["share_of_image"]), float(r["counting_relative_sd"]))
                for r in rows
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"no certainty of an image: {error!r}") from error
        scale, counting, ratio, ratio_sd = four
        return cls(scale, counting, ratio, ratio_sd, tuple(regions), scan)

    def counting_of(self, volume_ml: float, share_of_image: float) -> float | None:
        """Of a region by its volume and content, the largest of those that it may be; None where none is like it."""
        like = [r.counting_relative_sd for r in self.counted if r.is_like(volume_ml, share_of_image)]
        return max(like, default=None)

    def calibrated(self, stated_relative_sd: float | None) -> float | None:
        """Uncertainty of the scale: of a stated calibration with the scan's own part, of none (None) the image's."""
        if stated_relative_sd is None:
            return self.scale_relative_sd
        return math.hypot(stated_relative_sd, self.scan_relative_sd)

    def with_scale(self, relative_sd: float | None) -> ImageCertainty:
        """The same of an image with another scale."""
        return replace(self, scale_relative_sd=relative_sd)


NOT_STATED = ImageCertainty()
"""Of an image of someone else: nothing is known, and nothing is zero."""


def common_scale(scales: Sequence[float | None]) -> float | None:
    """Of several images of one patient the largest uncertainty: one camera scales them alike. None unless all say it.

    >>> common_scale((0.05, 0.03)), common_scale((0.05, None))
    (0.05, None)
    """
    known = [scale for scale in scales if scale is not None]
    return max(known) if known and len(known) == len(scales) else None
