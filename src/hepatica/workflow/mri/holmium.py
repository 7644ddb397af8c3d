"""From multi-echo MR before and after treatment to microspheres and becquerels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure, StructureOptions, union
from hepatica.anatomy.structures.kinds import LUNGS
from hepatica.core import Provenance, Region, decay_factor, seconds_between
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.transform.options import TransformOptions
from hepatica.errors import GeometryError, InputError, TimeError
from hepatica.imaging.mri.baseline import Baseline, s0_before, stated_baseline, structure_baseline, voxel_baseline
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.field import near_lung
from hepatica.imaging.mri.fitting.fit import DecayFit
from hepatica.imaging.mri.fitting.prior import CONTRAST_LOG_SD, S0Prior
from hepatica.imaging.mri.holmium import (
    HolmiumMap,
    Ratio,
    holmium_map,
    structure_holmium,
    tumour_ratio,
)
from hepatica.imaging.mri.mask import body_mask, structures_mask
from hepatica.imaging.mri.options import HolmiumOptions, MrReadingOptions, R2StarOptions
from hepatica.imaging.mri.relaxivity import relaxivity_for
from hepatica.imaging.mri.usable_range import usable_range
from hepatica.nuclides import Agent, nuclide, require_carried
from hepatica.nuclides import agent as find_agent
from hepatica.workflow.dose.patient.structures import StructureSet, structures_on
from hepatica.workflow.mri.result import (
    BASELINE_FLAG,
    FIELD_FLAG,
    NEAR_LUNG_FLAG,
    S0_FLAG,
    HolmiumResult,
    route_shares,
)
from hepatica.workflow.mri.said import (
    about_limits,
    about_negative,
    about_order,
    about_ratios,
    about_whole,
    vial_check,
)
from hepatica.workflow.mri.scans import (
    FittedScan,
    MrSource,
    as_multi_echo,
    fitted,
    noise_of,
    one_way,
    require_alike,
    with_time,
)
from hepatica.workflow.registration.transforms import GivenTransform, given_transform
from hepatica.workflow.sources import StructureSource, require_one_patient

Mask = NDArray[np.bool_]

AGENT, HOLMIUM = "ho166-plla", "Ho-166"
"""What was given where nothing else is said, and what it carries."""


@verb
def holmium_mri(  # noqa: PLR0913  (one group of options for each step)
    after: MrSource,
    *,
    before: MrSource | None = None,
    structures: StructureSource | None = None,
    reading: MrReadingOptions = MrReadingOptions(),
    r2star: R2StarOptions = R2StarOptions(),
    holmium: HolmiumOptions = HolmiumOptions(),
    clinical: StructureOptions = StructureOptions(),
    registration: TransformOptions = TransformOptions(),
    progress: Progress | None = None,
) -> HolmiumResult:
    """Holmium microspheres and their activity by multi-echo MR, before and after treatment.

    Parameters
    ----------
    after : path or MultiEcho
        Multi-echo gradient-echo MR after treatment: DICOM file or folder, all echoes (and phase) of one acquisition.
    before : path, MultiEcho or None
        The same before treatment. Without it a baseline R2* is to be stated.
    structures : path, sequence of Region, or None
        Liver, tumours, segments, lungs: RTSTRUCT, SEG or label map in the frame of the scan after.
    reading : MrReadingOptions
        What is taken of the files.
    r2star : R2StarOptions
        Fat, field, baseline.
    holmium : HolmiumOptions
        Relaxivity, specific activity, mass given.
    clinical : StructureOptions
        What structures are, and the agent (ho166-plla).
    registration : TransformOptions
        From the scan after (fixed) to the scan before (moving).
    progress : callable, optional
        Told each step.

    Returns
    -------
    HolmiumResult
        Microspheres in every voxel and structure; ``activity`` is an image that `absorbed_dose` takes.

    Raises
    ------
    HepaticaError
        InputError for echo times that are missing, equal or one, a field strength that is not the relaxivity's, or no
        baseline; DicomError where files are damaged or no echoes of one scan; GeometryError where scans or structures
        do not lie together; TimeError where the instant of the scan is not known.

    Examples
    --------
    >>> found = hepatica.holmium_mri("after", before="before", structures="rtstruct.dcm")  # doctest: +SKIP
    >>> found["liver"].mass_mg  # doctest: +SKIP
    571.2
    """
    report_progress = progress or silent
    report_progress("reading")
    later = with_time(as_multi_echo(after, role="after", series=reading.after_series, reading=reading), reading)
    earlier, about_scans = _before(before, later, reading)
    carrier = find_agent(clinical.agent or AGENT)
    require_carried(carrier, HOLMIUM)
    per_mg, about_activity = _specific_activity(holmium, carrier, later.time)
    r2, about_r2 = relaxivity_for(
        carrier.name, later.field_t, stated=holmium.stated_relaxivity, stated_field_t=holmium.relaxivity_field,
        holmium_share=holmium.holmium_share,
    )  # fmt: skip
    drawn = None if structures is None else structures_on(later.grid, structures, later.first_image, clinical)
    given = _registration(later, earlier, registration, reading)
    noise = noise_of(later, reading)
    asked = _asked(later, noise, drawn)
    r2star, about_phase = one_way(later, earlier, r2star)
    report_progress("baseline")
    base, s0, about_base = _baseline(later, earlier, given, asked, reading, r2star)
    report_progress("R2* after treatment")
    found = fitted(later, asked.mask, noise, r2star, s0)
    amount = holmium_map(found.fit, base, r2)
    near = near_lung(asked.lungs, later.grid.shape)
    held = tuple(
        structure_holmium(region, amount, found.fit, base, near, mbq_per_mg=per_mg,
                          mbq_per_mg_relative_sd=holmium.specific_activity_relative_sd)
        for region in asked.regions
    )  # fmt: skip
    signal = _signal_to_noise(found, asked)
    usable = usable_range(found.fit.echo_times_s, signal, r2.ml_per_mg_s.value, later.field_t, _median(base, asked))
    whole_held, ratios = held[asked.whole], _ratios(asked, amount)
    vial, about_vial = vial_check(whole_held, holmium)
    said = (
        *about_negative(held), *about_limits(held), *about_whole(whole_held), *_about_s0(found.fit, asked),
        *about_ratios(ratios, len(asked.tumours) if asked.normal else 0),
    )  # fmt: skip
    return HolmiumResult(
        after=later, fit=found.fit, baseline_map=base, holmium=amount,
        covered=asked.covered,
        flags=_flags(found, near, asked, base), outlined=asked.regions, context=later.context,
        agent=carrier.name,
        nuclide=HOLMIUM,
        field_strength_t=later.field_t,
        echo_times_ms=tuple(round(1000 * t, 6) for t in found.fit.echo_times_s),
        noise_sd=noise,
        signal_to_noise=signal,
        fat=r2star.fat,
        inhomogeneity=found.inhomogeneity,
        baseline=base.method,
        relaxivity=r2,
        specific_activity_mbq_mg=per_mg,
        scanned_at=later.time,
        usable=usable,
        vial=vial,
        routes=route_shares(found.fit, asked.regions[asked.whole].mask()),
        structures=held,
        ratios=ratios,
        messages=unique(
            later.messages, about_scans, about_r2, () if drawn is None else drawn.messages, asked.messages,
            about_phase, found.messages, about_base, base.messages, about_activity, said, about_vial,
        ),
        provenance=_provenance(later, earlier, drawn, given,
                               parameters(reading, r2star, holmium, clinical, registration)),
    )  # fmt: skip


def _before(
    source: MrSource | None, later: MultiEcho, reading: MrReadingOptions
) -> tuple[MultiEcho | None, tuple[Message, ...]]:
    """The scan before, where one was given: of the same patient and made alike."""
    earlier: MultiEcho | None = None
    notes: tuple[Message, ...] = ()
    if source is not None:
        earlier = as_multi_echo(source, role="before", series=reading.before_series, reading=reading)
        earlier, unlike = require_alike(later, earlier)
        notes = (*earlier.messages, *unlike, *about_order(later, earlier))
    require_one_patient([scan.source for scan in (later, earlier) if scan is not None])
    return earlier, notes


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What is looked at: the voxels, the structures and which of them is the whole."""

    mask: Mask
    covered: NDArray[np.float32]
    regions: tuple[Region, ...]
    clinical: tuple[ClinicalRegion, ...]
    whole: int
    messages: tuple[Message, ...]

    @property
    def tissue(self) -> NDArray[np.int16]:
        """Number of the tissue of each voxel: liver, and each tumour by itself; zero where nothing is drawn."""
        out = np.zeros(self.mask.shape, dtype=np.int16)
        livers = [item.region for item in self.clinical if item.structure is Structure.LIVER]
        tumours = [item.region for item in self.clinical if item.structure is Structure.TUMOUR]
        for number, region in enumerate([*livers[:1], *tumours], start=1):
            # A voxel at the liver's border is the liver's; a tumour's are those that it fills by half.
            out[region.full() > 0 if number == 1 and livers else region.mask()] = number
        return out

    @property
    def normal(self) -> list[Region]:
        """The liver without its tumours."""
        return [item.region for item in self.clinical if item.structure is Structure.NORMAL_LIVER]

    @property
    def tumours(self) -> list[Region]:
        """Every tumour, and all together."""
        return [i.region for i in self.clinical if i.structure in (Structure.TUMOUR, Structure.ALL_TUMOURS)]

    @property
    def lungs(self) -> list[Region]:
        """Lungs that are drawn."""
        return [item.region for item in self.clinical if item.structure in LUNGS]


LONGEST_HALF_LIVES = 10.0
"""From calibration to scan: past it a thousandth is left, and the instant is another one than meant."""

WHOLE = "liver with tumours"
OUTSIDE = 0.001
"""Part of liver and tumours outside the liver from which the sum of both is a structure of its own."""

NO_HOLMIUM = (*LUNGS, Structure.LUNG_LESS_DOME, Structure.BODY)
"""Structures that MR does not measure: dark, or all there is."""


def _asked(scan: MultiEcho, noise: float, drawn: StructureSet | None) -> _Asked:
    if drawn is None:
        mask = body_mask(scan, noise)
        if not mask.any():
            raise InputError(f"{scan.name}: no voxel of the first echo stands above the noise, {noise:.3g}")
        whole = Region.from_coverage("image", scan.grid, mask.astype(np.float32), origin="first echo above the noise")
        text = "no structures were given: the sum is over all tissue in the image, and lungs count as dark voxels"
        return _Asked(
            mask, whole.full(), (whole,), (), 0, (Message("no-structures", text, "state `structures` with the liver"),)
        )
    items = tuple(item for item in drawn.clinical if item.structure not in NO_HOLMIUM)
    livers = [n for n, item in enumerate(items) if item.structure is Structure.LIVER]
    if not livers:
        raise InputError("there is no liver among the structures", remedy="draw one, or state what is by its role")
    liver = items[livers[0]].region
    tumours = [item.region for item in items if item.structure is Structure.TUMOUR]
    inside = structures_mask([liver, *tumours], 0.0)
    # Of other organs R2* says nothing of holmium: breathing and bowel change it.
    shares = [float((item.region.mask() & inside).sum()) / max(item.region.mask().sum(), 1) for item in items]
    kept = [(n, item) for n, item in enumerate(items) if shares[n] > 0.5]
    order = [n for n, _ in kept]
    notes = []
    if not any(item.structure in LUNGS for item in drawn.clinical):
        text = "no lungs are drawn: voxels that their field may reach are not flagged"
        notes.append(Message("near-lung-not-known", text, "draw the lungs", severity="note"))
    regions = tuple(item.region for _, item in kept)
    covered = union([liver, *tumours]).full()
    number = order.index(livers[0])
    if float(np.maximum(covered - liver.full(), 0).sum()) > OUTSIDE * float(covered.sum()):
        # A label map gives each voxel to one structure: the liver's has holes where the tumours are.
        regions = (*regions, Region.from_coverage(WHOLE, scan.grid, covered, origin="liver and tumours together"))
        number = len(regions) - 1
    return _Asked(inside, covered, regions, drawn.clinical, number, tuple(notes))


def _registration(
    later: MultiEcho, earlier: MultiEcho | None, stated: TransformOptions, reading: MrReadingOptions
) -> GivenTransform | None:
    """The transform from the scan after to the scan before; None where they share a frame of reference.

    Raises
    ------
    GeometryError
        If they do not, and nothing says how they lie to each other.
    InputError
        If a transform is given and there is no scan before.
    """
    if stated.transform is None:
        if stated.transform_uncertainty_mm is not None:
            raise InputError("`transform_uncertainty_mm` is that of a `transform`; none was given")
        if earlier is not None and not reading.registered:
            _require_known_frames(later, earlier)
        if earlier is not None and not reading.registered and not later.grid.shares_frame(earlier.grid):
            raise GeometryError(
                f"{earlier.name} and {later.name} have different frames of reference: the baseline would be another "
                "tissue's",
                remedy="register the scan before to the scan after and give the `transform`, or state `registered`",
            )
        return None
    if earlier is None:
        raise InputError("`transform` brings the scan before over; there is none", remedy="give `before`")
    return given_transform(stated, later.grid, earlier.grid, registered=reading.registered)


def _require_known_frames(later: MultiEcho, earlier: MultiEcho) -> None:
    """GeometryError where files do not say their frame of reference: it is then not known how they lie."""
    for scan in (later, earlier):
        if scan.source.files and scan.grid.frame_of_reference is None:
            raise GeometryError(
                f"{scan.name}: its files state no frame of reference, so it is not known how the scans lie to each "
                "other",
                remedy="register the scan before to the scan after and give the `transform`, or state `registered`",
            )


def _baseline(
    later: MultiEcho, earlier: MultiEcho | None, given: GivenTransform | None, asked: _Asked,
    reading: MrReadingOptions, options: R2StarOptions,
) -> tuple[Baseline, S0Prior, tuple[Message, ...]]:  # fmt: skip
    """R2* without holmium, what the scan before and the structures say of S0, and what must be said."""
    way = options.baseline or ("stated" if earlier is None or options.baseline_r2star is not None else "voxel")
    if way == "stated":
        if options.baseline_r2star is None or options.baseline_r2star_sd is None:
            raise InputError(
                "there is no baseline: the whole liver's R2* by holmium is about as large as its own",
                remedy="give the scan `before` treatment, or state `baseline_r2star` and `baseline_r2star_sd`",
            )
        base = stated_baseline(later.grid, options.baseline_r2star, options.baseline_r2star_sd)
        unused = (
            ()
            if earlier is None
            else (Message("before-not-used", "the scan before is not used: a baseline is stated"),)
        )
        return base, S0Prior(asked.tissue), unused
    if earlier is None:
        raise InputError(f"a baseline by {way} needs the scan `before` treatment")
    noise = noise_of(earlier, reading)
    same = given is None and earlier.grid.matches(later.grid.with_frame_of_reference(earlier.grid.frame_of_reference))
    mask = asked.mask & body_mask(earlier, noise) if same else body_mask(earlier, noise)
    found = fitted(earlier, mask, noise, options)
    grid = later.grid
    if given is None:
        grid = grid.with_frame_of_reference(None) if reading.registered else grid
    way_there = None if given is None else given.transform
    base = voxel_baseline(found.fit, grid, way_there)
    s0 = S0Prior(asked.tissue, *s0_before(found.fit, grid, way_there))
    notes = (*found.messages, *(() if given is None else given.messages))
    if given is not None:
        text = f"the scan before was brought to the scan after by a {given.words()}"
        notes = (*notes, Message("before-moved", text, "look at both together", severity="note"))
    if way == "structure":
        base = structure_baseline(base, _innermost_last(asked))
    return base, s0, notes


def _innermost_last(asked: _Asked) -> list[Region]:
    """Regions that together hold every voxel, a smaller one after those that hold it."""
    return sorted(asked.regions, key=lambda region: -region.volume_ml)


def _specific_activity(
    options: HolmiumOptions, carrier: Agent, scanned_at: datetime | None
) -> tuple[float | None, tuple[Message, ...]]:
    """MBq per mg at the scan.

    Raises
    ------
    TimeError
        If the instant of the scan is not known.
    """
    if options.specific_activity_mbq_mg is None or options.calibrated_at is None:
        return None, ()
    if scanned_at is None:
        raise TimeError("the scan after refers to no instant", remedy="state `scanned_at`")
    calibrated_at, about = _on_clock_of(scanned_at, options.calibrated_at)
    elapsed = seconds_between(calibrated_at, scanned_at)
    value = options.specific_activity_mbq_mg * decay_factor(elapsed, nuclide(HOLMIUM).half_life_s)
    if elapsed > LONGEST_HALF_LIVES * nuclide(HOLMIUM).half_life_s:
        days = elapsed / 86400
        text = f"the specific activity was stated {days:.3g} days before the scan: {value:.3g} MBq/mg are left of it"
        return value, (
            *about,
            Message("specific-activity-decayed", text, "look at `calibrated_at`", "critical"),
        )
    usual = carrier.facts.get("specific_activity_mbq_mg")
    if usual is not None and isinstance(usual.value, tuple) and value > 2 * usual.value[1]:
        text = f"{value:.3g} MBq/mg at the scan is far above the {usual.value[0]:g} to {usual.value[1]:g} of treatments"
        return value, (
            *about,
            Message("specific-activity-high", text, "look at unit and instant"),
        )
    return value, about


def _on_clock_of(scanned_at: datetime, calibrated_at: datetime) -> tuple[datetime, tuple[Message, ...]]:
    """The vial's instant as the scanner's clock showed it, where the scan states no zone: as `absorbed_dose` does."""
    if scanned_at.tzinfo is not None or calibrated_at.tzinfo is None:
        return calibrated_at, ()
    clock = calibrated_at.replace(tzinfo=None)
    text = (
        f"the scan states no time zone: the specific activity at {calibrated_at.isoformat()} is taken as "
        f"{clock.isoformat(sep=' ')} of the scanner's clock"
    )
    return clock, (Message("specific-activity-zone", text, "state `calibrated_at` by the scanner's clock", "note"),)


def _signal_to_noise(found: FittedScan, asked: _Asked) -> float:
    known = found.fit.is_measured & asked.regions[asked.whole].mask()
    if not known.any():
        raise InputError(f"no voxel of {asked.regions[asked.whole].name} could be measured: all are dark")
    return float(np.exp(np.median(found.fit.log_s0[known])))


def _median(base: Baseline, asked: _Asked) -> float:
    values = base.r2star_per_s[asked.regions[asked.whole].mask()]
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else 0.0


def _flags(found: FittedScan, near: Mask, asked: _Asked, base: Baseline) -> NDArray[np.uint8]:
    flags = found.fit.route.copy()
    flags[near & asked.mask] += NEAR_LUNG_FLAG
    flags[found.unsure & asked.mask] += FIELD_FLAG
    flags[found.fit.borrowed] += S0_FLAG
    flags[np.isnan(base.r2star_per_s) & asked.mask] += BASELINE_FLAG
    return flags


def _ratios(asked: _Asked, amount: HolmiumMap) -> tuple[Ratio, ...]:
    """T/N of each tumour over the liver without tumours."""
    if not asked.normal:
        return ()
    found = [tumour_ratio(region, asked.normal[0], amount) for region in asked.tumours]
    return tuple(ratio for ratio in found if ratio is not None)


def _about_s0(fit: DecayFit, asked: _Asked) -> tuple[Message, ...]:
    """Dark voxels whose S0 rests on tissue that may be another."""
    volume_ml = float(asked.covered[fit.borrowed].sum()) * fit.grid.voxel_volume_ml
    if not volume_ml:
        return ()
    text = (
        f"{volume_ml:.3g} mL are too dark for an S0 of their own, and neither the scan before "
        f"nor bright voxels of the same structure tell it: it was taken from other tissue, whose log S0 is uncertain "
        f"by {CONTRAST_LOG_SD:g}, and that is in their uncertainty"
    )
    return (Message("s0-of-other-tissue", text, "give the scan `before`, or use a shorter first echo"),)


def _provenance(
    later: MultiEcho, earlier: MultiEcho | None, drawn: StructureSet | None, given: GivenTransform | None,
    stated: dict[str, object],
) -> Provenance:  # fmt: skip
    inputs = [later.source]
    inputs += [] if earlier is None else [earlier.source]
    inputs += [] if drawn is None or drawn.source is None else [drawn.source]
    inputs += [] if given is None else given.inputs
    return Provenance(
        inputs=tuple(inputs),
        parameters=stated,
        tables={"fat": "Hamilton 2011, six peaks"},
        conventions={
            "concentration": "mg of microspheres (not of holmium) per mL",
            "R2* of a voxel": "maximum likelihood of Rician magnitudes, expected information",
            "noise": "one channel, or channels combined to one complex image",
        },
        steps=(
            "R2* after treatment", "baseline R2* taken off", "increase over relaxivity",
            "mass to activity by the specific activity, decayed to the scan",
        ),
    )  # fmt: skip
