"""What `holmium_mri` gives back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN, reported
from hepatica.core.image import Image
from hepatica.core.tables.table import Table
from hepatica.errors import InputError
from hepatica.imaging.mri.baseline import Baseline
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.fitting.fit import ROUTE_NAMES, DecayFit
from hepatica.imaging.mri.holmium import HolmiumMap, Ratio, StructureHolmium
from hepatica.imaging.mri.relaxivity import Relaxivity
from hepatica.imaging.mri.usable_range import UsableRange
from hepatica.workflow.result import Result, result

ACTIVITY_FILE, FLAGS_FILE = "activity.nii.gz", "flags.nii.gz"
COVERED_FILE = "covered.nii.gz"
PART_FILE = "activity-of-part.nii.gz"
"""Where the activity goes if a part of the liver was not measured: zeros there are no tissue without microspheres."""

NEAR_LUNG_FLAG, FIELD_FLAG, S0_FLAG, BASELINE_FLAG = 10, 20, 40, 80
"""Added to the route of a voxel in ``flags.nii.gz``."""

MISSING_SHARE = 0.02
"""Share of the liver that was not measured from which on there is no activity of the liver."""


WITH_ACTIVITY = ("lower-limit", "liver-not-measured", "s0-of-other-tissue", "mass-unlike-vial")
"""Messages that go with the image of the activity into what is made of it."""


@dataclass(frozen=True, slots=True)
class RouteShare:
    """How much of the liver was measured by each way.

    Attributes
    ----------
    route : str
        "own S0", "S0 of neighbours", "lower limit" or "nothing to go by".
    volume_ml : float
        Of the voxels, whole ones.
    """

    route: str
    volume_ml: float


@dataclass(frozen=True, slots=True)
class VialCheck:
    """What was found against what was given.

    Attributes
    ----------
    administered_mg, administered_sd_mg : float
        Mass of microspheres that reached the patient.
    found_mg, found_sd_mg : float
        By MR, in the liver.
    found_share, found_share_sd : float
        Of what was given.
    is_lower_limit : bool
        Whether dark voxels, or voxels that were not measured, make what was found a lower limit.
    """

    administered_mg: float
    administered_sd_mg: float
    found_mg: float
    found_sd_mg: float
    found_share: float
    found_share_sd: float
    is_lower_limit: bool = False


@result
class HolmiumResult(Result):
    """Microspheres in every voxel and structure.

    Attributes
    ----------
    after : MultiEcho
        The scan.
    fit : DecayFit
        R2* after treatment.
    baseline_map : Baseline
        R2* without holmium, on its voxels.
    holmium : HolmiumMap
        Concentration.
    flags : ndarray of uint8
        Route of each voxel (0 not asked for, 1 own S0, 2 S0 of neighbours, 3 a lower limit, 4 nothing to go by); 10
        more near a lung, 20 where the field is not known, 40 where S0 is of other tissue, 80 without a baseline.
    covered : ndarray of float32
        Part of each voxel that liver and tumours fill: what of a voxel at the border has the concentration.
    outlined : tuple of Region
        Structures on the scan's voxels.
    context : DicomContext or None
        Of the scan.
    agent, nuclide : str
        What was given.
    field_strength_t : float
        Of the scanner.
    echo_times_ms : tuple of float
        Echoes that were used.
    noise_sd, signal_to_noise : float
        Noise in the image's unit; median of the liver's signal at echo time zero over it.
    fat, inhomogeneity, baseline : str
        How each was dealt with.
    relaxivity : Relaxivity
        R2* to concentration.
    specific_activity_mbq_mg : float or None
        At the scan; None where none was stated.
    scanned_at : datetime or None
        Instant of the scan, and of the activities.
    usable : UsableRange
        Concentrations that the protocol can measure at this noise.
    vial : VialCheck or None
        Held against the mass given.
    routes : tuple of RouteShare
        Volume by way of measurement.
    structures : tuple of StructureHolmium
        Microspheres in each.
    ratios : tuple of Ratio
        Tumour to normal of each tumour.
    """

    verb = "holmium_mri"

    after: MultiEcho = field(metadata=HIDDEN)
    fit: DecayFit = field(metadata=HIDDEN)
    baseline_map: Baseline = field(metadata=HIDDEN)
    holmium: HolmiumMap = field(metadata=HIDDEN)
    flags: NDArray[np.uint8] = field(metadata=HIDDEN)
    covered: NDArray[np.float32] = field(metadata=HIDDEN)
    outlined: tuple[Region, ...] = field(metadata=HIDDEN)
    context: DicomContext | None = field(metadata=HIDDEN)
    agent: str
    nuclide: str
    field_strength_t: float
    echo_times_ms: tuple[float, ...]
    noise_sd: float
    signal_to_noise: float
    fat: str
    inhomogeneity: str
    baseline: str
    relaxivity: Relaxivity
    specific_activity_mbq_mg: float | None
    scanned_at: datetime | None
    usable: UsableRange
    vial: VialCheck | None
    routes: tuple[RouteShare, ...]
    structures: tuple[StructureHolmium, ...]
    ratios: tuple[Ratio, ...]

    @property
    @reported
    def grid(self) -> Grid:
        """Voxels of the scan."""
        return self.fit.grid

    @property
    def concentration(self) -> Volume:
        """Mg of microspheres per mL; zero where nothing is known, see `unmeasured`."""
        return Volume(self.grid, np.nan_to_num(self.holmium.concentration_mg_ml), Kind.UNKNOWN, name="mg/mL")

    @property
    def unmeasured(self) -> NDArray[np.bool_]:
        """Voxels of liver and tumours where nothing is known: no baseline, or dark without an S0."""
        return np.asarray((self.covered > 0) & ~self.holmium.known)

    @property
    def unmeasured_share(self) -> float:
        """Part of liver and tumours that was not measured."""
        return float(self.covered[self.unmeasured].sum()) / max(float(self.covered.sum()), 1e-9)

    @property
    def activity(self) -> Image:
        """Bq/mL at the instant of the scan; what `absorbed_dose` takes. Noise makes voxels negative in places.

        A voxel at the border of the liver has the concentration in its part inside: the total of a structure is the sum
        over its voxels by the part of each that it covers, as `Region.total` and every dose take it.
        What must be said of limits and of the few voxels that were not measured (zero) goes with it.

        Raises
        ------
        InputError
            If no specific activity was stated, or more than 2 % of the liver were not measured: zeros there would pass
            for tissue without microspheres.
        """
        if (share := self.unmeasured_share) > MISSING_SHARE:
            raise InputError(
                f"there is no activity of the liver: {100 * share:.2g} % of it were not measured, and zeros there "
                "would pass for tissue without microspheres",
                remedy="give a scan before that covers the liver, or take the `baseline` by structure",
            )
        return self.measured_activity

    @property
    def measured_activity(self) -> Image:
        """The same, zero where it was not measured, however much that is: see `unmeasured`."""
        image = self._activity()
        spoken = tuple(m for m in self.messages if m.code in WITH_ACTIVITY or m.severity == "critical")
        return replace(image, messages=(*image.messages, *spoken))

    def _activity(self) -> Image:
        """The activity, zero where it was not measured."""
        if self.specific_activity_mbq_mg is None:
            raise InputError(
                "there is no activity: masses of microspheres are all that was asked for",
                remedy="state `specific_activity_mbq_mg` and `calibrated_at`",
            )
        values = self.concentration.values * (self.covered > 0) * np.float32(1e6 * self.specific_activity_mbq_mg)
        return Image.from_array(
            values, unit="Bq/mL", grid=self.grid, time=self.scanned_at, nuclide=self.nuclide, modality="MR",
            name="activity by MR",
        )  # fmt: skip

    def __getitem__(self, name: str) -> StructureHolmium:
        """A structure by name.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        for one in self.structures:
            if one.name == name:
                return one
        raise InputError(f"no structure {name!r}; there are {', '.join(s.name for s in self.structures)}")

    def title(self) -> str:
        """The scan."""
        return (
            f"Holmium microspheres by MR: {self.field_strength_t:g} T, {len(self.echo_times_ms)} echoes from "
            f"{self.echo_times_ms[0]:.3g} ms, baseline by {self.baseline}"
        )

    def table(self) -> Table:
        """R2* and microspheres of each structure."""
        rows = [
            (
                s.name, s.volume_ml, s.r2star_before_per_s, s.r2star_after_per_s, _least(s.concentration_mg_ml, s),
                s.concentration_sd_mg_ml, _least(s.mass_mg, s), s.mass_sd_mg, _least(s.activity_mbq, s),
                s.activity_sd_mbq,
            )
            for s in self.structures
        ]  # fmt: skip
        columns = (
            "structure", "mL", "R2* before, 1/s", "R2* after, 1/s", "mg/mL", "sd, mg/mL", "mg", "sd, mg", "MBq",
            "sd, MBq",
        )  # fmt: skip
        return Table.of(columns, rows, "Microspheres", "structures")

    def tables(self) -> tuple[Table, ...]:
        """Structures, what of them was not measured, tumour to normal, and the ways of measurement."""
        parts = [(s.name, s.not_measured_ml, s.limit_ml, s.near_lung_ml) for s in self.structures]
        out = [self.table(), Table.of(("structure", "not measured, mL", "lower limit alone, mL", "near a lung, mL"),
                                      parts, "Not or not surely measured", "not-measured")]  # fmt: skip
        if self.ratios:
            rows = [
                (
                    r.name,
                    _at_least(r.tumour_to_normal) if r.is_lower_limit else r.tumour_to_normal,
                    r.tumour_to_normal_sd,
                )
                for r in self.ratios
            ]
            out.append(Table.of(("tumour", "T/N", "sd"), rows, "Tumour to normal liver", "tumour-to-normal"))
        out.append(Table.of(("R2* from", "mL"), [(r.route, r.volume_ml) for r in self.routes], "Voxels", "routes"))
        return tuple(out)

    def sentences(self) -> tuple[str, ...]:
        """Relaxivity, range, and the vial."""
        r2, u = self.relaxivity, self.usable
        own = "" if u.own_mg_ml is None else f"{u.own_mg_ml:.3g} mg/mL by three echoes, "
        reach = (
            f"At a signal of {u.signal_to_noise:.3g} times the noise usable up to {own}{u.neighbours_mg_ml:.3g} mg/mL "
            "by the S0 of neighbours; above, a lower limit is all."
        )
        out = [f"Relaxivity {r2.ml_per_mg_s} mL/(mg s): {r2.source}.", reach]
        if self.vial is not None:
            v = self.vial
            least = "at least " if v.is_lower_limit else ""
            out.append(
                f"Found {least}{v.found_mg:.4g} +- {v.found_sd_mg:.2g} mg of {v.administered_mg:.4g} mg given: "
                f"{100 * v.found_share:.0f} +- {100 * v.found_share_sd:.0f} %."
            )
        return tuple(out)

    def write(self, folder: Path) -> None:
        """Write maps as NIfTI and ``holmium.png``.

        ``activity.nii.gz`` (Bq/mL, where a specific activity was stated; named ``activity-of-part.nii.gz`` where more
        than 2 % of the liver were not measured, so that nothing takes it for the liver's), ``concentration.nii.gz`` and
        ``concentration-sd.nii.gz`` (mg/mL), ``r2star.nii.gz`` and ``r2star-before.nii.gz`` (1/s), all zero where
        nothing is known; ``covered.nii.gz`` (part of each voxel that liver and tumours fill, beside an activity); and
        ``flags.nii.gz`` (see `flags`), which says where that is.
        """
        from hepatica.io.itk import write_itk
        from hepatica.report.figures.mri import draw_holmium
        from hepatica.report.figures.outcome import save

        maps = {
            "concentration": self.holmium.concentration_mg_ml,
            "concentration-sd": self.holmium.total_sd_mg_ml,
            "r2star": self.fit.r2star_per_s,
            "r2star-before": self.baseline_map.r2star_per_s,
        }
        for name, values in maps.items():
            write_itk(Volume(self.grid, np.nan_to_num(values), Kind.UNKNOWN), folder / f"{name}.nii.gz")
        write_itk(Volume(self.grid, self.flags, Kind.LABEL), folder / FLAGS_FILE)
        if self.specific_activity_mbq_mg is not None:
            name = PART_FILE if self.unmeasured_share > MISSING_SHARE else ACTIVITY_FILE
            write_itk(self._activity().volume, folder / name)
            write_itk(Volume(self.grid, self.covered, Kind.UNKNOWN), folder / COVERED_FILE)
        figure = draw_holmium(
            self.grid, self.after.magnitude[0], self.baseline_map.r2star_per_s, self.fit.r2star_per_s,
            self.holmium.concentration_mg_ml, {region.name: region for region in self.outlined},
        )  # fmt: skip
        save(figure, folder / "holmium.png")


def route_shares(fit: DecayFit, within: NDArray[np.bool_]) -> tuple[RouteShare, ...]:
    """Volume of the voxels by how their R2* was found."""
    return tuple(
        RouteShare(name, float(((fit.route == number) & within).sum()) * fit.grid.voxel_volume_ml)
        for number, name in enumerate(ROUTE_NAMES)
        if number
    )


def _least(value: float | None, structure: StructureHolmium) -> float | str | None:
    """A number of a structure; marked where it is a lower limit."""
    return value if value is None or not structure.limit_ml else _at_least(value)


def _at_least(value: float) -> str:
    return f">= {value:.4g}"
