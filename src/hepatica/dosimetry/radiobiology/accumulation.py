"""Two treatments of the same tissue added up: absorbed dose voxel by voxel, and the BED of the course.

Absorbed doses add; their effect does not, because the quadratic term of the linear-quadratic model is that of each
treatment on its own where repair lies between them. So the BED of the course stands beside the sum
(`hepatica.dosimetry.radiobiology.bed.course_bed_gy`). Regeneration of the liver and repopulation of the tumour between
the treatments are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np

from hepatica.anatomy.structures.clinical import STRUCTURE_ROLES_TEXT, require_roles
from hepatica.core import Kind, Region, Volume
from hepatica.core.document import HIDDEN
from hepatica.core.lung_mean import SD_PER_INTERVAL
from hepatica.core.message import Message
from hepatica.core.options import NonNegative, Positive, options
from hepatica.core.transform.energy import added_doses
from hepatica.dosimetry.radiobiology.bed import TUMOUR, DoseRate, Tissue, Treatment, course_bed_gy, eqd2_gy
from hepatica.dosimetry.radiobiology.dose_map import tissues_of
from hepatica.nuclides import nuclide

UNCOVERED_SHARE = 1e-3
"""Share of a structure beyond the second dose map from which on its sum is said to be too low."""


@options
class CourseOptions:
    """How the two treatments follow one another.

    Attributes
    ----------
    nuclide : str
        Of the first treatment.
    second_nuclide : str or None
        Of the second one; that of the first if not given.
    interval_days : float
        From the first administration to the second. Weeks apart the damage of one is repaired before the next.
    effective_half_life_h : float or None
        In the tissue, of both; the physical ones if not given.
    structure_roles : mapping of str to str or None
        What a structure is, where its name does not say it.
    """

    nuclide: str = "Y-90"
    second_nuclide: str | None = None
    interval_days: NonNegative = 42.0
    effective_half_life_h: Positive | None = None
    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None

    def __post_init__(self) -> None:
        require_roles(self.structure_roles)

    def rates(self) -> tuple[DoseRate, DoseRate]:
        """How both treatments deliver their dose."""
        names = (self.nuclide, self.second_nuclide or self.nuclide)
        first, second = (
            DoseRate.exponential(self.effective_half_life_h or nuclide(name).half_life_h) for name in names
        )
        return first, second


@dataclass(frozen=True, slots=True)
class StructureSum:
    """One structure after both treatments.

    Attributes
    ----------
    name : str
        Of the structure.
    volume_ml : float
        On the voxels of the first dose map.
    first_dose_mean_gy, second_dose_mean_gy, dose_mean_gy : float
        Means of each treatment and of the sum: by mass, as *dose* states them, where densities are known, else by
        volume.
    dose_mean_by : {"mass", "volume"}
        Which.
    bed_mean_gy, eqd2_mean_gy : float or None
        Of the course, with the parameters of tumour or liver, by volume; None of what is neither.
    uncovered_share : float
        Share of its volume beyond the second dose map, which counts as no dose.
    first_seen_share, second_seen_share : float or None
        Share of its volume, as it was drawn, that the activity image behind each dose sees well; None of a map that
        does not say where its image sees.
    dose_mean_interval_95_gy : tuple of float or None
        Of the sum, by the scales of both activities alone, taken as one that errs alike in both; None where one is not
        known.
    """

    name: str
    volume_ml: float
    first_dose_mean_gy: float
    second_dose_mean_gy: float
    dose_mean_gy: float
    dose_mean_by: Literal["mass", "volume"]
    bed_mean_gy: float | None
    eqd2_mean_gy: float | None
    uncovered_share: float
    first_seen_share: float | None = None
    second_seen_share: float | None = None
    dose_mean_interval_95_gy: tuple[float, float] | None = None

    @property
    def seen_share(self) -> float:
        """The smaller of both shares, as far as they are known."""
        return min(share for share in (self.first_seen_share, self.second_seen_share, 1.0) if share is not None)

    def with_scales(self, scales: tuple[float | None, float | None]) -> StructureSum:
        """The same with its interval from relative standard uncertainties of both doses' scales."""
        one, other = scales
        if one is None or other is None or min(self.first_dose_mean_gy, self.second_dose_mean_gy) < 0:
            # Below zero the noise of the counts rules, which a scale does not hold.
            return self
        half = SD_PER_INTERVAL * (one * self.first_dose_mean_gy + other * self.second_dose_mean_gy)
        return replace(self, dose_mean_interval_95_gy=(max(0.0, self.dose_mean_gy - half), self.dose_mean_gy + half))


@dataclass(frozen=True, slots=True, eq=False)
class CourseDose:
    """Both treatments on the voxels of the first.

    Attributes
    ----------
    dose : Volume
        Sum in Gy.
    bed : mapping of str to Volume
        "tumour" or "liver": BED of the course with that tissue's parameters.
    structures : tuple of StructureSum
        In their order.
    messages : tuple of Message
        What the reader must know.
    """

    dose: Volume = field(metadata=HIDDEN)
    bed: Mapping[str, Volume] = field(metadata=HIDDEN)
    structures: tuple[StructureSum, ...]
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)


def course_dose(
    first: Volume, second: Volume, regions: Sequence[Region], course: CourseOptions, density: Volume | None = None
) -> CourseDose:
    """Two dose maps on the same voxels added up; NaN in the second is what it does not show.

    Parameters
    ----------
    first, second : Volume
        In Gy, on the same voxels.
    regions : sequence of Region
        On these voxels.
    course : CourseOptions
        How the treatments follow one another.
    density : Volume or None
        Mass density in g/mL on these voxels, by which doses are averaged; by volume if None.

    Raises
    ------
    GeometryError
        If they, or a structure, are on other voxels.
    InputError
        If a role is given to a structure that is not there.
    """
    shown = ~np.isnan(second.values)
    later = second.filled(0.0)
    total = added_doses(first, later)
    messages: list[Message] = []
    tissues = {region.name: tissue for region, tissue in tissues_of(regions, course.structure_roles or {}, messages)}
    bed: dict[str, Volume] = {}
    for tissue in tissues.values():
        if _word(tissue) not in bed:
            bed[_word(tissue)] = _course_bed(first, later, course, tissue)
    rows = [_row(region, (first, later), density, shown, bed, tissues.get(region.name)) for region in regions]
    for row in rows:
        if row.uncovered_share > UNCOVERED_SHARE:
            text = (
                f"structure {row.name!r}: {row.uncovered_share:.1%} of it lie beyond the second dose map and count as "
                "no dose: its sum is too low"
            )
            messages.append(Message("structure-beyond-dose", text, "use a dose map that holds all of it"))
    return CourseDose(total, bed, tuple(rows), tuple(messages))


def _word(tissue: Tissue) -> str:
    return "tumour" if tissue is TUMOUR else "liver"


def _course_bed(first: Volume, second: Volume, course: CourseOptions, tissue: Tissue) -> Volume:
    rates = course.rates()
    treatments = [
        Treatment(start_h, volume.values.astype(np.float64), rate)
        for start_h, volume, rate in zip((0.0, 24 * course.interval_days), (first, second), rates, strict=True)
    ]
    name = f"BED of both treatments (alpha/beta {tissue.alpha_beta_gy:g} Gy)"
    return Volume(first.grid, np.asarray(course_bed_gy(treatments, tissue)), Kind.DOSE, name=name)


def _row(
    region: Region, doses: tuple[Volume, Volume], density: Volume | None,
    shown: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    bed: Mapping[str, Volume], tissue: Tissue | None,
) -> StructureSum:  # fmt: skip
    def mean(volume: Volume) -> float:
        return region.total(volume) / region.volume_ml

    mass = None if density is None else region.mass_g(density)
    if density is None or not mass:
        means = [mean(dose) for dose in doses]
    else:
        energies = (dose.with_values(dose.values * density.values) for dose in doses)
        means = [region.total(energy) / mass for energy in energies]
    uncovered = Volume(doses[0].grid, (~shown).astype(np.float32), Kind.FRACTION)
    effect = None if tissue is None else mean(bed[_word(tissue)])
    return StructureSum(
        name=region.name,
        volume_ml=region.volume_ml,
        first_dose_mean_gy=means[0],
        second_dose_mean_gy=means[1],
        dose_mean_gy=sum(means),
        dose_mean_by="mass" if mass else "volume",
        bed_mean_gy=effect,
        eqd2_mean_gy=None if effect is None or tissue is None else eqd2_gy(effect, tissue.alpha_beta_gy),
        uncovered_share=mean(uncovered),
    )
