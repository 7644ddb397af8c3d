"""The numbers of the main job: the dose map, every structure, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from hepatica.anatomy.ct.hounsfield import LIVER_NOT_LIVER, MAY_BE_NO_HU
from hepatica.anatomy.ct.tissue_density import DensityOrigin
from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure
from hepatica.anatomy.structures.kinds import LIVER_PARTS, LUNGS
from hepatica.core import Estimate, Grid, Volume
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN, INLINE, reported
from hepatica.core.image import Image
from hepatica.core.lung_mean import INCLUDED, SD_PER_INTERVAL, LungMean, widened
from hepatica.core.numbers.wording import three
from hepatica.core.seen_field import SeenField
from hepatica.core.tables.table import NOT_STATED, Cell, Table, Unstated
from hepatica.dosimetry.engines.dose_map import DoseMap, EnergyBalance
from hepatica.dosimetry.engines.highest import HighestDose
from hepatica.dosimetry.metrics.region_dose import RegionDose
from hepatica.dosimetry.time.curves import CurveFit
from hepatica.dosimetry.time.trapezoid import PointCurve
from hepatica.errors import UnknownNameError
from hepatica.imaging.quantify.structure_activity import StructureActivity
from hepatica.imaging.quantify.uncertainty import RegionUncertainty
from hepatica.nuclides import agent
from hepatica.planning.extrahepatic.uptake import ExtrahepaticTest
from hepatica.planning.limits.dose_limits import SEEN_WHOLE
from hepatica.planning.measured.deposits import DepositDose
from hepatica.planning.scout.treated_lungs import TreatedLungs
from hepatica.report import LimitRow, OtherDose, ReportRegion, limit_rows
from hepatica.report.tables import agent_limits_table
from hepatica.workflow.dose.decays import DecayCount
from hepatica.workflow.dose.deposits import TreatedDeposits
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.dose.patient.patient import Patient
from hepatica.workflow.dose.patient.structures import StructureSet
from hepatica.workflow.result import Result, result

LUNGS_BY_SHUNT = "lungs by the shunt"
READS_LOW = 0.25
"""By so much a lung of 90Y SPECT that was found voxel by voxel may read too low: 10 to 24 % in phantoms of known truth
(docs/spect.md, docs/spect-study.md)."""
"""How tables and limits name the lung dose by the shunt."""

LIVER_LESIONS = (Structure.TUMOUR, Structure.ALL_TUMOURS)

CALIBRATION = "calibration"
COUNTING = "counting statistics"
LACKING = (COUNTING, "time integration", "position by the transform")
"""Parts of an uncertainty that an interval is said to lack; that nothing was recovered is said with the tumours."""

SHOWN_PERCENTS = (95.0, 70.0, 50.0, 5.0)


@dataclass(frozen=True, slots=True)
class CorrectedMean:
    """Partial-volume correction of a structure's mean dose."""

    factor: Estimate
    in_dose_map: bool
    background: str | None
    dose_mean_corrected_gy: float


@dataclass(frozen=True, slots=True, eq=False)
class StructureResult:
    """One structure: what it is, its dose, its activity and how well both are known."""

    item: ClinicalRegion = field(metadata=HIDDEN)
    dose: RegionDose = field(metadata=INLINE)
    activity: StructureActivity = field(metadata=HIDDEN)
    density_from: DensityOrigin = "ct"
    density_relative_sd: float = field(default=0.0, metadata=HIDDEN)
    lung: LungMean | None = field(default=None, metadata=HIDDEN)
    seen_share: float = 1.0
    """Share of its volume that lies in what the activity image sees; limits judge what is seen whole."""
    own_sd_gy: float | None = field(default=None, metadata=HIDDEN)
    """Standard uncertainty by counting and scale, Gy, where noise leaves no mean above zero to which it is relative."""

    voxels_supported: bool = True
    """Whether the image determines the dose of its single voxels: not of lungs in a SPECT of 90Y or by levels."""

    @property
    def not_judged(self) -> str:
        """Why no limit judges its dose; empty where they do. Lungs that are cut off are judged by lung doses."""
        if self.seen_share >= SEEN_WHOLE or self.item.structure in LUNGS:
            return ""
        return f"{100 * self.seen_share:.0f} % seen"

    @property
    @reported
    def qualifier(self) -> str:
        """What a limit that its mean keeps must say beside that: a part in view alone, noise that is not known."""
        said = [f"of the {100 * self.seen_share:.0f} % seen"] if self.seen_share < SEEN_WHOLE else []
        if self.dose_mean_interval_95_gy is not None:
            lacking = self.interval_from.partition("; ")[2]
            said += ["counting not known"] if COUNTING in lacking else []
        elif self.dose.dose_mean_gy < 0:
            said += ["below zero by noise that is not known"]
        return ", ".join(said)

    @property
    @reported
    def role(self) -> str:
        """What it is ("tumour", "normal_liver", ...)."""
        return self.item.structure.value

    @property
    @reported
    def derived(self) -> bool:
        """Whether it follows from others."""
        return self.item.derived

    @property
    @reported
    def decays(self) -> float:
        """Decays inside, before any partial-volume correction."""
        return self.activity.decays

    @property
    def mean(self) -> Estimate:
        """Mean dose with the correction and all known parts of its uncertainty, Gy."""
        of_engine = Estimate(self.dose.dose_mean_gy, self.dose.dose_mean_uncertainty_gy)
        if self.activity.uncertainty is None and self.own_sd_gy is not None:
            return Estimate(of_engine.value, math.hypot(self.own_sd_gy, of_engine.sd or 0.0))
        found = replace(self.activity, uncertainty=self.uncertainty).corrected_dose(of_engine)
        more = self.density_relative_sd
        if self.lung is not None and self.lung.interval is not None:
            more = math.hypot(more, self.lung.systematic_relative_sd)
        return found * Estimate(1.0, more) if more else found

    @property
    @reported
    def dose_mean_known_sd_gy(self) -> float | None:
        """Standard uncertainty of the corrected mean dose, as far as its parts are known."""
        return self.mean.sd

    @property
    @reported
    def dose_mean_interval_95_gy(self) -> tuple[float, float] | None:
        """95 % interval of the mean dose with all that is known; None where the scale of the image is not known.

        Around the mean before any partial-volume correction by a factor, which is what limits judge. Of lungs whose
        image says an interval it is that one, widened by what else is known: what the liver spills is in it. Of lungs
        by voxels of a SPECT that does not determine them the upper end is that of a mean that reads `READS_LOW` low.
        """
        chain, mean = self.uncertainty, self.dose.dose_mean_gy
        if self.lung is None or (ends := self.lung.interval) is None:
            if chain is None and self.own_sd_gy is not None:
                half = SD_PER_INTERVAL * (self.mean.sd or 0.0)
            elif chain is None or chain.calibration_relative_sd is None:
                return None
            else:
                half = SD_PER_INTERVAL * (self.mean.relative_sd or 0.0) * abs(mean)
            low = 1 - READS_LOW if self.lung_by_voxels else 1
            return max(0.0, mean - half), max(0.0, mean + half) / low
        # Noise of the counts is in the interval already.
        others = 0.0 if chain is None else replace(chain, counting_relative_sd=None).dose_relative_sd
        engine = Estimate(mean, self.dose.dose_mean_uncertainty_gy).relative_sd or 0.0
        return widened((ends[0] * mean, ends[1] * mean), math.hypot(others, engine, self.density_relative_sd))

    @property
    def lung_by_voxels(self) -> bool:
        """Whether it is a lung of a SPECT that does not determine its voxels and states no mean of it."""
        stated = self.lung is not None and self.lung.interval is not None
        return self.item.structure in LUNGS and not self.voxels_supported and not stated

    @property
    @reported
    def interval_from(self) -> str:
        """Where that interval comes from, what it holds, and after a semicolon what it lacks; empty without one."""
        not_known = () if self.uncertainty is None else self.uncertainty.not_known
        if self.lung is None or self.lung.interval is None:
            if self.dose_mean_interval_95_gy is None:
                return ""
            lacking = [name for name in not_known if name in LACKING]
            without = f"; without {' and '.join(lacking)}, not known" if lacking else ""
            known = "scale of the activity in the image, and what is known of counts, outline, time and engine"
            voxels = f", of a lung by voxels that reads up to {READS_LOW:.0%} low" if self.lung_by_voxels else ""
            return f"{known}{voxels}{without}"
        low, high = (100 * (end - 1) for end in self.lung.interval)
        more = ", and what is known of calibration, outline, time and engine"
        lacks = "; without the calibration, which is not known" if CALIBRATION in not_known else ""
        return f"reconstruction of the SPECT, {low:+.0f} to {high:+.0f} % ({', '.join(INCLUDED)}){more}{lacks}"

    @property
    @reported
    def partial_volume(self) -> CorrectedMean | None:
        """Correction of the mean; None where nothing was corrected."""
        found = self.activity
        if found.factor is None:
            return None
        return CorrectedMean(found.factor, found.in_image, found.background or None, self.mean.value)

    @property
    @reported
    def uncertainty(self) -> RegionUncertainty | None:
        """Its chain; None where the structure holds no activity."""
        found = self.activity.uncertainty
        if found is None or self.lung is None or self.lung.interval is None:
            return found
        return replace(found, counting_relative_sd=self.lung.counting_relative_sd)


@dataclass(frozen=True, slots=True, eq=False)
class DoseImages:
    """The images that a dose was made from."""

    activity: tuple[Image, ...]
    ct: Image | None


@result
class DoseNumbers(Result):
    """Absorbed dose of one treatment: all but its files.

    Attributes
    ----------
    dose_map : DoseMap
        Dose, density and decays on one grid.
    activity : tuple of Image
        The activity images.
    patient : Patient
        CT or what stands for it, structures and densities on its voxels, lungs.
    drawn : StructureSet
        Structures on the dose grid, and what they were made from.
    count : DecayCount
        Activity in the image, against what was administered.
    given : DoseOptions
        What the user said.
    structures : tuple of StructureResult
        Dose, activity and uncertainty of each.
    lung_doses : TreatedLungs or None
        Lung dose by the stated shunt and by the image, and which is judged; None where neither is known.
    seen_field : SeenField
        Where the activity image sees well, for whoever reads this dose.
    elsewhere : TreatedDeposits or None
        Uptake outside liver and lungs; None where these are not known, so that nothing was looked for.
    """

    verb: ClassVar[str] = "absorbed_dose"

    dose_map: DoseMap = field(metadata=HIDDEN)
    activity: tuple[Image, ...] = field(metadata=HIDDEN)
    patient: Patient = field(metadata=HIDDEN)
    drawn: StructureSet = field(metadata=HIDDEN)
    count: DecayCount = field(metadata=HIDDEN)
    given: DoseOptions = field(metadata=HIDDEN)
    structures: tuple[StructureResult, ...]
    seen_field: SeenField
    lung_doses: TreatedLungs | None = None
    elsewhere: TreatedDeposits | None = field(default=None, metadata=HIDDEN)

    @property
    def ct(self) -> Image | None:
        """The CT; None where there was none."""
        return self.patient.ct if self.patient.has_ct else None

    @property
    def dose(self) -> Volume:
        """Absorbed dose in Gy."""
        return self.dose_map.dose

    @property
    def context(self) -> DicomContext | None:
        """Whose images they are; of the CT, else of the activity image."""
        return self.patient.ct.context or self.activity[0].context

    @property
    @reported
    def deposits(self) -> tuple[DepositDose, ...]:
        """Organs drawn outside liver and lungs, and places with uptake, with their dose by the activity in them."""
        return () if self.elsewhere is None else self.elsewhere.doses

    @property
    @reported
    def extrahepatic_test(self) -> ExtrahepaticTest | None:
        """The test for such places; None where liver or lungs are not known, so that nothing was looked for."""
        return None if self.elsewhere is None else self.elsewhere.test

    @property
    @reported
    def engine(self) -> str:
        """Dose engine."""
        return self.dose_map.engine

    @property
    @reported
    def nuclide(self) -> str:
        """What was administered."""
        return self.dose_map.nuclide

    @property
    @reported
    def activity_in_image_mbq(self) -> float:
        """Activity that the image holds at the administration."""
        return self.count.activity_in_image_bq / 1e6

    @property
    @reported
    def activity_expected_mbq(self) -> float | None:
        """What should be in view of the activity administered; None where that is not known."""
        return None if self.count.expected_bq is None else self.count.expected_bq / 1e6

    @property
    @reported
    def activity_scale_relative_sd(self) -> float | None:
        """Relative standard uncertainty common to all voxels."""
        return self.count.scale_relative_sd

    @property
    @reported
    def activity_in_image_at(self) -> datetime | None:
        """Instant of `activity_in_image_mbq`: the administration, else the image's own."""
        image = self.activity[0]
        return self.given.quantification.administered_at or image.acquisition.administered_at or image.volume.time

    @property
    @reported
    def time_activity_curve(self) -> CurveFit | PointCurve | None:
        """Of the whole image, where several images or a curve were given."""
        return self.count.curve

    @property
    @reported
    def decays(self) -> float:
        """Decays in the dose grid."""
        return self.dose_map.decays.total

    @property
    @reported
    def energy_balance(self) -> EnergyBalance:
        """Where the emitted energy went."""
        return self.dose_map.energy_balance

    @property
    @reported
    def highest_dose(self) -> HighestDose:
        """Highest voxel dose, whether it can be trusted, and the highest in tissue."""
        return self.dose_map.highest

    @property
    @reported
    def grid(self) -> Grid:
        """Voxels of the dose."""
        return self.dose.grid

    @property
    @reported
    def limits(self) -> tuple[LimitRow, ...]:
        """Mean doses against the limits of the agent; empty where no agent was named."""
        asked = self.given.clinical
        if asked.agent is None:
            return ()
        return limit_rows(
            agent(asked.agent).limits,
            self.report_regions(),
            self._other_doses(),
            self._unknown_masses(),
            indication=asked.indication,
            intent=asked.intent,
        )

    @property
    @reported
    def images(self) -> DoseImages:
        """What the images say of themselves."""
        return DoseImages(self.activity, self.ct)

    @property
    @reported
    def options(self) -> Mapping[str, object]:
        """What the user said, plain values."""
        return self.given.parameters(self.engine)

    def _other_doses(self) -> tuple[OtherDose, ...]:
        if self.lung_doses is None or self.lung_doses.by_shunt is None:
            return ()
        shunt, judged = self.lung_doses.by_shunt, self.lung_doses.judged == "shunt"
        ends = shunt.interval_95_gy
        source = "" if ends is None else "lung shunt, activity and lung mass"
        return (OtherDose(LUNGS_BY_SHUNT, "lung", shunt.dose_lung_gy.value, judged, ends, source),)

    def _unknown_masses(self) -> Mapping[str, str]:
        image = None if self.lung_doses is None else self.lung_doses.by_image
        found = {} if image is None or image.mass_is_measured else {"lung": "the mass of the lungs is unknown"}
        if any(one.code in (*MAY_BE_NO_HU, LIVER_NOT_LIVER) for one in self.messages):
            found |= {role.value: "the CT may not be in HU" for role in (*LIVER_PARTS, *LIVER_LESIONS)}
        return found

    def report_regions(self) -> tuple[ReportRegion, ...]:
        """The structures as the report takes them."""
        return tuple(
            ReportRegion(
                found.item.region, found.dose, found.role, found.dose_mean_interval_95_gy, found.interval_from,
                found.not_judged, found.qualifier, found.voxels_supported,
            )
            for found in self.structures
        )  # fmt: skip

    def __getitem__(self, name: str) -> RegionDose:
        """Dose of the structure of that name.

        Raises
        ------
        UnknownNameError
            If there is none; the message lists the names.
        """
        return self.structure(name).dose

    def structure(self, name: str) -> StructureResult:
        """All of the structure of that name.

        Raises
        ------
        UnknownNameError
            If there is none; the message lists the names.
        """
        for found in self.structures:
            if found.dose.name == name:
                return found
        raise UnknownNameError("structure", name, [found.dose.name for found in self.structures])

    @property
    def states_uncertainty(self) -> bool:
        """Whether the engine states uncertainties of mean doses: one without is too badly known."""
        return self.dose_map.dose_sd is not None

    def title(self) -> str:
        """Nuclide, engine, activity."""
        return (
            f"Absorbed dose, {self.nuclide}, engine {self.engine}; activity in the image "
            f"{three(self.activity_in_image_mbq)} MBq"
        )

    def table(self) -> Table:
        """Dose of each structure, in mGy where no near-maximum reaches 1 Gy; its share in view where one is cut off."""
        gray = max(found.dose.d_percent_gy[2.0] for found in self.structures) >= 1
        unit, scale = ("Gy", 1.0) if gray else ("mGy", 1e3)
        cut = any(found.not_judged for found in self.structures)
        sure = any(found.dose_mean_interval_95_gy is not None for found in self.structures)
        rows: list[list[Cell]] = []
        for found in self.structures:
            dose = found.dose
            sd = dose.dose_mean_uncertainty_gy
            value = scale * dose.dose_mean_gy
            bare: Cell = Unstated(value) if self.states_uncertainty else value
            mean = bare if sd is None else Estimate(value, scale * sd)
            spread = (dose.dose_sd_gy, *(dose.d_percent_gy[n] for n in SHOWN_PERCENTS))
            numbers = (scale * value if found.voxels_supported else None for value in spread)
            part = [100 * found.seen_share] if cut else []
            ends = found.dose_mean_interval_95_gy
            shown = None if ends is None else f"{three(scale * ends[0])} to {three(scale * ends[1])}"
            interval = [NOT_STATED if shown is None else shown] if sure else []
            rows.append(
                [dose.name, dose.volume_ml, dose.mass_g, mean, *interval, *numbers, 100 * dose.activity_share, *part]
            )
        between = ("95 %",) if sure else ()
        heads = (f"{name}, {unit}" for name in ("mean", *between, "SD", *(f"D{n:g}" for n in SHOWN_PERCENTS)))
        names = ("structure", "mL", "g", *heads, "activity, %", *(("seen, %",) if cut else ()))
        return Table.of(names, rows, "", "doses")

    def uncertainty_table(self) -> Table | None:
        """Correction and uncertainty of each structure that holds activity.

        None where neither a correction was asked for nor calibration or contours have a known uncertainty: the size of
        the voxels alone says too little.
        """
        volume = self.given.partial_volume
        known = self.count.calibration_relative_sd is not None or volume.contour_sd_mm > 0
        moved = any(found.uncertainty.position_relative_sd for found in self.structures if found.uncertainty)
        if not (known or moved or volume.method != "none" or volume.replicates is not None):
            return None
        rows: list[list[Cell]] = []
        for found in self.structures:
            chain = found.uncertainty
            if chain is None:
                continue
            percents = (
                chain.volume_sd_percent, chain.recovery_sd_percent, chain.calibration_sd_percent,
                chain.time_integration_sd_percent, chain.counting_sd_percent,
                *((chain.position_sd_percent,) if moved else ()), chain.activity_sd_percent, chain.dose_sd_percent,
            )  # fmt: skip
            rows.append([found.dose.name, chain.recovery, found.mean, *percents])
        position = ("position",) if moved else ()
        parts = ("volume", "recovery", "calibration", "time", "counts", *position, "activity", "dose")
        heads = ("structure", "recovery", "mean, corrected, Gy", *(f"u({part}), %" for part in parts))
        heading = "Partial volume and uncertainty" if volume.method != "none" else "Uncertainty"
        return Table.of(heads, rows, f"{heading} (k = 1)", "uncertainty")

    def lung_table(self) -> Table | None:
        """Lung dose by shunt and by image, and which is judged; None where neither shunt nor interval is known."""
        lungs = self.lung_doses
        if lungs is None:
            return None
        shunt, image = lungs.by_shunt, lungs.by_image
        interval = None if image is None else image.interval_95_gy
        if shunt is None and interval is None:
            return None
        rows: list[list[Cell]] = []
        if shunt is not None:
            mass, source = 1000 * shunt.lung_mass_kg, shunt.lung_mass_from
            between = _between(shunt.interval_95_gy)
            rows.append([LUNGS_BY_SHUNT, 100 * shunt.lung_shunt, mass, shunt.dose_lung_gy, between, source, "shunt"])
        if image is not None:
            how = "whole lungs in view" if image.whole else "cut off: the part in view"
            how = how if image.mass_is_measured else "mass unknown"
            share = 100 * image.activity_share
            name, between = f"{image.structure} by the image", _between(interval)
            rows.append([name, share, image.mass_g, image.dose_mean_gy, between, how, "image"])
        shown = [[*row[:-1], "yes" if lungs.judged == row[-1] else "no"] for row in rows]
        columns = ("lungs", "activity, %", "g", "mean, Gy", "95 %, Gy", "mass", "judged")
        return Table.of(columns, shown, "Lung dose by lung shunt and by image", "lung-doses")

    def deposits_table(self) -> Table | None:
        """Organs and places outside liver and lungs; None where there are none."""
        return self.elsewhere.table() if self.elsewhere is not None and self.elsewhere.doses else None

    def tables(self) -> tuple[Table, ...]:
        """Doses; lungs where a shunt is stated; uptake elsewhere, uncertainties, limits where there are any."""
        found = [self.table(), *filter(None, [self.lung_table(), self.deposits_table(), self.uncertainty_table()])]
        if self.limits:
            found.append(agent_limits_table(self.limits, self.given.clinical.agent or ""))
        return tuple(found)


def _between(ends: tuple[float, float] | None) -> str | None:
    return None if ends is None else f"{three(ends[0])} to {three(ends[1])}"
