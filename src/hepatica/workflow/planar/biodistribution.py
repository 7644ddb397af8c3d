"""Where the activity is by planar views: shares of organs, their course in time, and the organs' doses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate, InputFile, Provenance
from hepatica.core.document import HIDDEN
from hepatica.core.message import unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.dosimetry.organs.organ_dose import OrganDose
from hepatica.dosimetry.time.organ_curve import OrganCurve
from hepatica.io.curve_files import with_curve
from hepatica.io.structures.regions import sources_of
from hepatica.workflow.planar.doses import doses_of
from hepatica.workflow.planar.factor import about_factor, with_side_windows
from hepatica.workflow.planar.measuring import Study, camera_of, counts_of, measure_times, windows_of
from hepatica.workflow.planar.options import BiodistributionOptions
from hepatica.workflow.planar.reading import PlanarInput, nuclide_of, times_of
from hepatica.workflow.planar.shown import ShownTime, TimeOfDistribution
from hepatica.workflow.planar.times import (
    above_at_start,
    curves_of,
    excreted_of,
    impossible_curves,
    require_time_model,
    retained_of,
    shares_of,
)
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource

FloatArray = NDArray[np.float64]

INTERVALS = (
    "95 %, of shares symmetric in their logit, of activities by a camera factor in their logarithm; symmetric and cut "
    "at the border where that is within two standard uncertainties"
)


@dataclass(frozen=True, slots=True)
class TumourDose:
    """Mean absorbed dose of a lesion by its own electrons.

    Attributes
    ----------
    tumour : str
        Its name.
    dose_gy : Estimate
        Gy.
    mass_g : float or None
        By the CT, or stated.
    """

    tumour: str
    dose_gy: Estimate
    mass_g: float | None = None


@result
class BiodistributionResult(Result):
    """Where the activity is.

    Attributes
    ----------
    nuclide : str
        What was imaged.
    administered_mbq : float or None
        Where it is known.
    shares_of : str
        What shares are of: the administered activity, the activity at the first views, or that of the named organs.
    times : tuple of TimeOfDistribution
        Each with its organs.
    curves : tuple of OrganCurve
        Of each organ.
    excreted : float or None
        Share of the administered activity that left the body until the last time, by several times.
    patient_sex : str or None
        Of the reference adult.
    organ_doses : tuple of OrganDose
        Mean absorbed doses.
    tumour_doses : tuple of TumourDose
        Of lesions whose mass is known.
    """

    verb = "biodistribution"

    nuclide: str
    administered_mbq: float | None
    shares_of: str
    times: tuple[TimeOfDistribution, ...]
    curves: tuple[OrganCurve, ...]
    excreted: float | None
    patient_sex: str | None
    organ_doses: tuple[OrganDose, ...]
    tumour_doses: tuple[TumourDose, ...]
    shown: tuple[ShownTime, ...] = field(default=(), metadata=HIDDEN)

    def title(self) -> str:
        """Shares of liver, tumours and lungs at the first time."""
        shares = {organ.name: organ.share for organ in self.times[0].organs}
        named = [name for name in ("liver", "all tumours", "lungs") if name in shares] or list(shares)[:3]
        text = ", ".join(f"{name} {_percent(shares[name])}" for name in named)
        return f"Biodistribution of {self.nuclide}: {text}"

    def table(self) -> Table:
        """Shares and activities at the first time."""
        return self._organs(self.times[0], "Organs", "organs")

    def _organs(self, time: TimeOfDistribution, title: str, name: str) -> Table:
        rows = []
        for organ in time.organs:
            activity, low, high = (None, None, None)
            if organ.activity_mbq is not None:
                activity = organ.activity_mbq.value
                low, high = organ.activity_95_mbq or (None, None)
            rows.append((
                organ.name, 100 * organ.share.value, None if organ.share.sd is None else 100 * organ.share.sd,
                100 * organ.share_95[0], 100 * organ.share_95[1], activity, low, high,
            ))  # fmt: skip
        heads = ("organ", "share, %", "± (k = 1), %", "95 % from, %", "95 % to, %", "activity, MBq", "from, MBq",
                 "to, MBq")  # fmt: skip
        return Table.of(heads, rows, title, name)

    def tables(self) -> tuple[Table, ...]:
        """Organs at each time; lung shunt; curves; doses."""
        found = []
        for number, time in enumerate(self.times, start=1):
            when = "" if time.hours is None else f", {time.hours:.3g} h"
            title = "Organs" if len(self.times) == 1 else f"Organs, time {number}{when}"
            found.append(self._organs(time, title, "organs" if number == 1 else f"organs-{number}"))
        shunts = [
            (number, 100 * t.lung_shunt.value, 100 * (t.lung_shunt.sd or 0.0), 100 * t.lung_shunt_95[0],
             100 * t.lung_shunt_95[1],
             None if t.lung_shunt_not_corrected is None else 100 * t.lung_shunt_not_corrected)
            for number, t in enumerate(self.times, start=1) if t.lung_shunt is not None and t.lung_shunt_95
        ]  # fmt: skip
        if shunts:
            heads = ("time", "lung shunt, %", "± (k = 1), %", "95 % from, %", "95 % to, %",
                     "without attenuation correction, %")  # fmt: skip
            found.append(Table.of(heads, shunts, "Lung shunt", "lung-shunt"))
        if self.curves:
            names = ("organ", "effective half-life, h", "± (k = 1), h", "residence time, h", "of it ± (k = 1), h")
            rows = [
                (c.organ, *((None, None) if c.effective_half_life_h is None else
                            (c.effective_half_life_h.value, c.effective_half_life_h.sd)),
                 c.residence_time_h.value, c.residence_time_h.sd) for c in self.curves
            ]  # fmt: skip
            found.append(Table.of(names, rows, "Course in time", "curves"))
        if self.organ_doses:
            dose_rows: list[tuple[str, float | None, float, float | None, float, float | None]] = [
                (d.organ.replace("_", " "), d.mass_g, d.dose_gy.value, d.dose_gy.sd, d.self_gy, d.photons_gy)
                for d in sorted(self.organ_doses, key=lambda d: -d.dose_gy.value)
            ]  # fmt: skip
            dose_rows += [
                (d.tumour, d.mass_g, d.dose_gy.value, d.dose_gy.sd, d.dose_gy.value, None) for d in self.tumour_doses
            ]
            heads = ("organ", "mass, g", "dose, Gy", "± (k = 1), Gy", "from itself, Gy", "by photons, Gy")
            found.append(Table.of(heads, dose_rows, "Absorbed dose of organs", "organ-doses"))
        return tuple(found)

    def sentences(self) -> tuple[str, ...]:
        """What the shares are of, and what was excreted."""
        said = [f"Shares are of {self.shares_of}."]
        if self.excreted is not None:
            said.append(f"{100 * self.excreted:.1f} % of the administered activity had left the body at the last time.")
        return tuple(said)

    def write(self, folder: Path) -> None:
        """Write ``biodistribution.html`` and ``.pdf``: views with outlines, shares, curves, doses."""
        from hepatica.report.files import document_files
        from hepatica.workflow.planar.report import Pages, biodistribution_document

        pages = Pages(
            f"Biodistribution of {self.nuclide}",
            self.tables(),
            self.times,
            self.shown,
            self.curves,
            self.patient_sex,
            self.sentences(),
            f"Shares of {self.shares_of}.",
        )
        document = biodistribution_document(pages, self.messages, self.provenance)
        for name, content in document_files(document, "biodistribution").items():
            (folder / name).write_bytes(content)


@verb
def biodistribution(
    planar: PlanarInput | Sequence[PlanarInput],
    *,
    structures: StructureSource | Sequence[StructureSource] = (),
    ct: ImageSource | None = None,
    options: BiodistributionOptions = BiodistributionOptions(),
    progress: Progress | None = None,
) -> BiodistributionResult:
    """Where the activity is by planar views at one or several times, and the absorbed dose of organs.

    Parameters
    ----------
    planar : path, or several
        NM files with anterior and posterior view, static or whole body, of one or several times.
    structures : path or regions
        Organs: drawn on the CT, or on the planar views; overlays of the files without.
    ct : path, Image or None
        CT of the patient, for attenuation and for the structures' place.
    options : BiodistributionOptions
        Counts, attenuation, organs, what was given, time, uncertainty.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    BiodistributionResult
        Shares and activities with 95 % intervals, lung shunt, curves, residence times, organ doses.

    Raises
    ------
    DicomError, InputError, GeometryError
        If views are of different patients, sizes, speeds or windows, are saturated, or a structure lies outside one.
    PhysicsError
        If no true rate fits the dead time, or a curve falls more slowly than by decay.

    Examples
    --------
    >>> found = hepatica.biodistribution("wholebody.dcm", structures="rtstruct.dcm", ct="ct")  # doctest: +SKIP
    >>> found.times[0].lung_shunt.value  # doctest: +SKIP
    0.159
    """
    report_progress = progress or silent
    report_progress("reading the planar views")
    reading, given = options.reading, options.given
    views = times_of(planar, reading, options.counts.dwell_s)
    chosen, overridden = nuclide_of(views, reading)
    require_time_model(options.time, len(views))
    study = Study(views, chosen, sources_of(structures), ct, options)
    measured = measure_times(study, report_progress)
    known = given.of(views)
    calibrated = about_factor(known, options, [one.rates for one in measured.times], chosen.name)
    if options.organs.normalise == "camera":
        known, more = with_side_windows(known, windows_of(study), counts_of(study), chosen, camera_of(study).camera)
        calibrated += more
    points, amounts = retained_of(measured.times, study, known, options.organs)
    report_progress("curves and doses")
    curves = curves_of(points, with_curve(options.time), chosen)
    roles = {name: role for one in measured.times for name, role in one.organs.roles.items()}
    body, masses = measured.times[0].organs.whole, {**measured.masses_g, **given.masses_g}
    doses, tumours, notes = doses_of(curves, roles, chosen, given, measured.masses_g, body)
    named = (("calibration", given.calibration_file), ("time curve", options.time.time_curve))
    files = tuple(InputFile.of(role, Path(path)) for role, path in named if isinstance(path, str | Path))
    return BiodistributionResult(
        nuclide=chosen.name,
        administered_mbq=None if known.administered_bq is None else known.administered_bq.value / 1e6,
        shares_of=shares_of(known, options.organs),
        times=tuple(point.shown for point in points),
        curves=curves,
        excreted=excreted_of(points, known, options.organs),
        patient_sex=given.patient_sex,
        organ_doses=doses,
        tumour_doses=tuple(TumourDose(name, dose, masses.get(name)) for name, dose in tumours.items()),
        shown=tuple(ShownTime(m.rates, m.organs) for m in measured.times),
        messages=unique(
            measured.messages, overridden, known.messages, given.about_sex(views), calibrated, amounts,
            *(c.messages for c in curves),
            impossible_curves(curves, chosen), above_at_start(curves, body), notes,
        ),
        provenance=Provenance(
            inputs=(*measured.inputs, *files),
            parameters=parameters(
                options, nuclide=chosen.name, blank=None, transmission_scan=None, calibration=None, time_curve=None
            ),
            tables={
                "S values": "dosimetry/organs/tables/s_values.csv, made by hepatica's own Monte Carlo",
                "photons": "transport/tables/photon_elements.txt (EPDL97-based, see sources.toml)",
            },
            conventions={"interval": INTERVALS},
            steps=("conjugate views", "shares of organs", "time-integrated activity", "organ doses by the MIRD schema"),
        ),
    )  # fmt: skip


def _percent(share: Estimate) -> str:
    spread = "" if share.sd is None or not math.isfinite(share.sd) else f" ± {100 * share.sd:.1f}"
    return f"{100 * share.value:.1f}{spread} %"
