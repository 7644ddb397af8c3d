"""A measurement of organs on planar views: by structures of a CT, or by regions drawn on the views."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.kinds import LUNGS, Structure
from hepatica.core import Estimate, Region, Volume
from hepatica.core.message import Message
from hepatica.core.resample import resample_region
from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.planar.attenuation import narrow_mu_per_cm
from hepatica.imaging.planar.drawn import SINGLE_VIEW, DrawnMeasurement, DrawnOrgan, drawn_rates
from hepatica.imaging.planar.from_ct.montecarlo import OrganResponse
from hepatica.imaging.planar.from_ct.placing import cut_by_views, place_of, poorly, settled_at, turned
from hepatica.imaging.planar.from_ct.projected import ProjectedFit, ProjectedMeasurement
from hepatica.imaging.planar.from_ct.projection import (
    REST,
    BodyModel,
    Projected,
    explained_at,
)
from hepatica.imaging.planar.options import PlanarUncertaintyOptions
from hepatica.imaging.planar.organs import STILL, OrganRates, share_interval
from hepatica.imaging.planar.orientation import regions_turned
from hepatica.imaging.planar.rates import PlanarRates
from hepatica.imaging.planar.whole_body import OUTSIDE, Beyond, Outline, outline_of, with_outside

FloatArray = NDArray[np.float64]

CUT_AREA = 0.05
"""Of a structure's largest section, above which its section in the CT's last slice says that it goes on. Our choice."""

THICKEST_MM = 300.0
"""Of an organ from front to back; our choice."""

LUNG_GROUP, LIVER_GROUP, NORMAL_GROUP, TUMOURS_GROUP = "lungs", "liver", "normal liver", "all tumours"


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Organs of one time.

    Attributes
    ----------
    rates : OrganRates
        Of organs and sums of them: "liver" with its tumours, "normal liver", "lungs".
    roles : mapping of str to str
        What each is.
    whole : tuple of str
        Organs that make up the body (of drawn regions, all that are named).
    named : tuple of str
        Of these, without the rest of the body.
    outlines : mapping of str to ndarray, shape (views, x, z)
        For a picture.
    uncorrected : mapping of str to float
        Geometric mean of each without attenuation correction, scatter taken off where the windows allow it, cps.
    explained : float or None
        Share of the views that the CT's structures explain.
    offset_mm : tuple of float or None
        Place of the CT on the views.
    messages : tuple of Message
        What must be known.
    unknown : tuple of str
        Organs whose rate lacks an unknown part of them: there is no shunt of these.
    """

    rates: OrganRates
    roles: Mapping[str, str]
    whole: tuple[str, ...]
    named: tuple[str, ...]
    outlines: Mapping[str, FloatArray]
    uncorrected: Mapping[str, float]
    explained: float | None = None
    offset_mm: tuple[float, float] | None = None
    messages: tuple[Message, ...] = ()
    unknown: tuple[str, ...] = ()

    def shunt(self) -> tuple[Estimate, tuple[float, float]] | None:
        """Lungs over lungs and liver, with its 95 % interval; None without both."""
        pair = (LUNG_GROUP, LIVER_GROUP)
        if not all(name in self.rates.names and name not in self.unknown for name in pair):
            return None
        ratio, sds = self.rates.ratio(LUNG_GROUP, pair)
        sd = math.hypot(*sds.values())
        return Estimate(ratio, sd), share_interval(ratio, sd)

    def shunt_uncorrected(self) -> float | None:
        """The same by geometric means without attenuation correction."""
        lungs, liver = (self.uncorrected.get(name) for name in (LUNG_GROUP, LIVER_GROUP))
        return None if lungs is None or liver is None or lungs + liver <= 0 else lungs / (lungs + liver)


def grouped(roles: Mapping[str, Structure]) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Sums of organs, by name the parts of each, and what each sum is.

    Parameters
    ----------
    roles : mapping of str to Structure
        Of the parts, none inside another: the liver is that without its tumours.
    """
    tumours = [n for n, role in roles.items() if role is Structure.TUMOUR]
    livers = [n for n, role in roles.items() if role in (Structure.LIVER, Structure.PERFUSED)]
    groups: dict[str, tuple[str, ...]] = {}
    what: dict[str, str] = {}
    lungs = [n for n, role in roles.items() if role in LUNGS]
    if lungs:
        groups[LUNG_GROUP], what[LUNG_GROUP] = tuple(lungs), Structure.LUNG.value
    if livers:
        groups[LIVER_GROUP], what[LIVER_GROUP] = (*livers, *tumours), Structure.LIVER.value
    if livers and tumours:
        groups[NORMAL_GROUP], what[NORMAL_GROUP] = tuple(livers), Structure.NORMAL_LIVER.value
    if len(tumours) > 1:
        groups[TUMOURS_GROUP], what[TUMOURS_GROUP] = tuple(tumours), Structure.ALL_TUMOURS.value
    for name in tumours:
        groups[name], what[name] = (name,), Structure.TUMOUR.value
    done = {*lungs, *livers, *tumours}
    for role in dict.fromkeys(role for name, role in roles.items() if name not in done):
        parts = tuple(name for name, own in roles.items() if own is role)
        # Kidneys are one organ, two stomachs are not.
        if role is Structure.KIDNEY:
            groups["kidneys"], what["kidneys"] = parts, role.value
        else:
            for name in parts:
                groups[name], what[name] = (name,), role.value
    return groups, what


def _whole(groups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Groups that together hold every part once."""
    seen: set[str] = set()
    found = []
    for name, parts in groups.items():
        if not seen.intersection(parts):
            found.append(name)
            seen.update(parts)
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class CtModel:
    """A CT with its organs for the views: what does not change from time to time."""

    body: BodyModel
    roles: Mapping[str, Structure]
    mu_scale: float
    frame_of_reference: str | None
    mu_per_mm: float = 0.0
    response: OrganResponse | None = None
    cut: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)

    @property
    def cut_groups(self) -> tuple[tuple[tuple[str, ...], bool, bool], ...]:
        """What the CT cuts off, lungs as one: names, and whether at the head's and the feet's end."""
        by_kind: dict[str, list[str]] = {}
        for name in self.cut:
            by_kind.setdefault(LUNG_GROUP if self.roles[name] in LUNGS else name, []).append(name)
        return tuple(
            (tuple(names), any(self.cut[n][0] for n in names), any(self.cut[n][1] for n in names))
            for names in by_kind.values()
        )


def _ends(region: Region, hu: Volume) -> tuple[bool, bool]:
    """Whether the CT's last slices towards head and feet cut a structure off: `CUT_AREA` of its largest section."""
    here = region if region.grid.shape == hu.grid.shape else resample_region(region, hu.grid)
    axis = int(np.argmax(np.abs(hu.grid.affine[2, :3])))
    across = tuple(n for n in range(3) if n != axis)
    areas = here.coverage.sum(axis=across, dtype=np.float64)
    if not areas.size:
        return False, False
    window, last = here.window[axis], hu.grid.shape[axis] - 1
    low = window.start == 0 and areas[0] > CUT_AREA * areas.max()
    high = window.stop == last + 1 and areas[-1] > CUT_AREA * areas.max()
    found = (bool(high), bool(low))
    return found if hu.grid.affine[2, axis] > 0 else found[::-1]


def ct_model(
    hu: Volume,
    body: Region,
    regions: Mapping[str, Region],
    roles: Mapping[str, Structure],
    *,
    energy_kev: float,
    pixel_mm: tuple[float, float],
    mu_scale: float,
    margin_mm: float = 0.0,
) -> CtModel:
    """Of a CT and its structures; tumours go before the perfused part of the liver, that before the rest of it.

    The liver goes before the lungs, those before all others. A part of the liver that a catheter reached is drawn apart
    (perfused): uptake within one structure is taken as even, and half a liver that holds nothing is not.
    """
    order = {Structure.TUMOUR: 0, Structure.TUMOUR_ELSEWHERE: 0, Structure.PERFUSED: 1, Structure.LIVER: 2}
    order |= dict.fromkeys(LUNGS, 3)
    names = sorted(regions, key=lambda name: order.get(roles[name], 4))
    model = BodyModel.of(
        hu, body, {name: regions[name] for name in names}, energy_kev=energy_kev, pixel_mm=pixel_mm,
        margin_mm=margin_mm,
    )  # fmt: skip
    return CtModel(
        model,
        {name: roles[name] for name in names},
        mu_scale,
        hu.grid.frame_of_reference,
        narrow_mu_per_cm(energy_kev) / 10 * mu_scale,
        cut={name: ends for name in names for ends in [_ends(regions[name], hu)] if any(ends)},
    )


def measure_on_ct(
    rates: PlanarRates,
    ct: CtModel,
    *,
    place_mm: tuple[float, float] | None,
    offset_mm: tuple[float, float] | None,
    fwhm_mm: float | None,
    outside_mm: float | None = None,
    uncertainty: PlanarUncertaintyOptions,
) -> Measured:
    """Organs by the CT's structures, laid onto the views.

    Parameters
    ----------
    rates : PlanarRates
        Of one time.
    ct : CtModel
        The CT.
    place_mm : tuple of float or None
        LPS x and z of the views' first pixel, where views and CT have one frame of reference.
    offset_mm : tuple of float or None
        x and z of the CT's middle from the middle of the views, where it is stated: to the left and to the head.
    fwhm_mm : float or None
        Of the camera; found from the views if not given.
    outside_mm : float or None
        Thickness of what lies outside the CT, where it is stated.
    uncertainty : PlanarUncertaintyOptions
        Of the inputs.
    """
    blank = ProjectedMeasurement(rates, ct.body, (0.0, 0.0), 0.0, ct.mu_scale, response=ct.response)
    plain = blank.projected()
    pixel, shape, size = rates.pixel_mm, rates.rate.shape[1:], plain.body_mm.shape
    place = place_of(rates, plain, ct.body.place_mm, place_mm, offset_mm)
    settled, offset, notes = settled_at(blank, place, fwhm_mm, uncertainty)
    measurement, parts, fit, seen, beside = (
        settled.measurement, settled.parts, settled.fit, settled.seen, settled.beside,
    )  # fmt: skip
    explained = explained_at(rates.net, plain, offset)
    notes += [*poorly(explained), *beside.about(), *turned(rates, plain, place.explained_best)]
    if len(rates.sides) == 1:
        notes.append(SINGLE_VIEW)
    notes += cut_by_views(measurement, seen)
    path_mu = None if outside_mm is None else outside_mm * ct.mu_per_mm
    beyond = Beyond(beside, ct.cut_groups, path_mu)
    parts, more = with_outside(parts, rates, seen, fit, beyond, scattered_more=measurement.scattered_more())
    notes += [*more, *_about_montecarlo(fit, seen, ct.response)]
    groups, what = grouped(ct.roles)
    named = _whole(groups)
    others = tuple(name for name in (REST, OUTSIDE) if name in parts.names)
    for name in others:
        groups[name], what[name] = (name,), "remainder"
    on_it = {name: members for name, members in groups.items() if name != OUTSIDE}
    uncorrected, outlines = _as_seen(on_it, fit, seen)
    cut = tuple(name for name, members in on_it.items() if ct.cut.keys() & set(members))
    uncorrected = {name: cps for name, cps in uncorrected.items() if name not in cut}
    return Measured(
        parts.summed(groups), what, (*named, *others), named, outlines, uncorrected, explained,
        ((offset[0] + (size[0] - shape[0]) / 2) * pixel[0], -(offset[1] + (size[1] - shape[1]) / 2) * pixel[1]),
        (*rates.messages, *notes),
        () if OUTSIDE in parts.names else cut,
    )  # fmt: skip


def _as_seen(
    groups: Mapping[str, tuple[str, ...]], fit: ProjectedFit, seen: Projected
) -> tuple[dict[str, float], dict[str, FloatArray]]:
    """Geometric mean of each group as counted, and its outline on the views; the rest of the body has none."""
    index = {name: n for n, name in enumerate(fit.names)}
    counted = fit.cps[:, None] * seen.templates.sum(axis=(2, 3))
    uncorrected, outlines = {}, {}
    for name, members in groups.items():
        numbers = [index[m] for m in members]
        sums = np.maximum(counted[numbers].sum(axis=0), 0)
        uncorrected[name] = float(np.prod(sums) ** (1 / len(sums)))
        if name != REST:
            outline = (seen.thickness_mm[numbers].sum(axis=0) > 1.0).astype(np.float64)
            outlines[name] = np.stack([outline] * seen.templates.shape[1])
    return uncorrected, outlines


def _about_montecarlo(fit: ProjectedFit, seen: Projected, response: OrganResponse | None) -> tuple[Message, ...]:
    """How much of the counts the Monte Carlo takes for scatter; nothing where it was not asked."""
    if seen.other is None or response is None:
        return ()
    other = float((fit.cps[:, None, None, None] * seen.other).sum()) / max(float(fit.expected.sum()), 1e-30)
    text = (
        f"{100 * other:.0f} % of what the organs give the views scattered in the patient or came through lead, by "
        f"Monte Carlo of the organs on the CT and of the model of {response.camera}"
    )
    remedy = (
        "check that it is the camera of the views: another maker's high-energy collimator in its place moved lungs by "
        "1.7 points of 9 and tumours by 5 of 75 on virtual patients with 188Re"
    )
    return (Message("planar-scatter-simulated", text, remedy, "note"),)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnBody:
    """What is known of the body where regions are drawn on the views: shape (x, z)."""

    mu_t: FloatArray
    thickness_mm: FloatArray
    mu_per_mm: float
    stated: bool
    corrected: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """What is drawn beside the organs: background and body, shape (views, x, z), None where they are not drawn.

    Attributes
    ----------
    background, body : ndarray or None
        Coverage.
    whole : bool
        Whether the whole body is counted as well as the organs.
    scanned : bool
        Whether the views are a scan along the body.
    """

    background: FloatArray | None = None
    body: FloatArray | None = None
    whole: bool = True
    scanned: bool = False


def measure_drawn(
    rates: PlanarRates,
    regions: Mapping[str, FloatArray],
    roles: Mapping[str, Structure],
    beside: Beside,
    body: DrawnBody,
    *,
    thickness_mm: Mapping[str, float],
    uncertainty: PlanarUncertaintyOptions,
) -> Measured:
    """Organs by regions that are drawn on the views.

    Parameters
    ----------
    rates : PlanarRates
        Of one time.
    regions : mapping of str to ndarray, shape (views, x, z)
        Covered fraction of each pixel.
    roles : mapping of str to Structure
        What each is.
    beside : Beside
        Background and outline of the body.
    body : DrawnBody
        Attenuation and thickness.
    thickness_mm : mapping of str to float
        Of organs, by name or role.
    uncertainty : PlanarUncertaintyOptions
        Of the inputs.

    Raises
    ------
    InputError
        If a region lies outside one of the views, or holds nothing above background.
    """
    for name, coverage in regions.items():
        for side, view in zip(rates.sides, coverage, strict=True):
            if not view.any():
                raise InputError(
                    f"structure {name!r} covers no pixel of the {side} view", remedy="draw it inside both views"
                )
    notes: list[Message] = []
    if len(rates.sides) == 1:
        notes.append(SINGLE_VIEW)
    if beside.background is None:
        notes.append(Message("no-background", "no background region is drawn: what lies before and behind the organs "
                             "counts as theirs", "draw a region named background beside them"))  # fmt: skip
    organs = tuple(
        DrawnOrgan(name, coverage, thickness_mm.get(name, thickness_mm.get(roles[name].value)))
        for name, coverage in regions.items()
    )
    missing = [organ.name for organ in organs if organ.thickness_mm is None]
    if missing and body.corrected:
        text = (
            f"the thickness of {', '.join(missing)} is not known: no self-attenuation, and all background, are assumed"
        )
        notes.append(Message("organ-thickness-unknown", text, "state `organ_thickness_mm`"))
    outline: Outline | None = None
    if beside.whole:
        outline = outline_of(rates, beside.body)
        notes += outline.about(whole_body=beside.scanned)
    background = beside.background
    notes += regions_turned(rates, regions)
    measurement = DrawnMeasurement(rates, organs, background, body.mu_t, body.mu_per_mm, body.thickness_mm, outline)
    parts = drawn_rates(measurement, uncertainty, stated_thickness=body.stated)
    if outline is not None and outline.missed > 0:
        # What lies beside the outline may be the body's: one standard uncertainty of the rest.
        own = np.zeros((len(parts.names),) * 2)
        own[-1, -1] = (outline.missed * float(parts.cps.sum())) ** 2
        parts = replace(parts, covariance={**parts.covariance, "outline of the body": own})
    plain = DrawnMeasurement(rates, organs, background, np.zeros_like(body.mu_t), 0.0, body.thickness_mm, outline)
    bare = dict(zip(parts.names, plain.measure(STILL), strict=True))
    groups, what = grouped(roles)
    named = whole = _whole(groups)
    outlines = {name: np.clip(sum(regions[m] for m in members), 0, 1) for name, members in groups.items()}
    if outline is not None:
        groups[REST], what[REST] = (REST,), "remainder"
        whole = (*named, REST)
        outlines[REST] = outline.coverage
    return Measured(
        parts.summed(groups), what, whole, named, outlines,
        {name: float(sum(bare[m] for m in members)) for name, members in groups.items()},
        messages=(*rates.messages, *notes),
    )  # fmt: skip


def uniform_body(
    shape: tuple[int, int], thickness_mm: float | None, mu_per_mm: float, *, corrected: bool = True
) -> DrawnBody:
    """A body of one stated thickness; without one nothing is corrected."""
    thick = float(thickness_mm or 0.0)
    mu = mu_per_mm if corrected else 0.0
    return DrawnBody(np.full(shape, mu * thick), np.full(shape, thick), mu, corrected, corrected)


def kept(regions: Mapping[str, Structure], wanted: Sequence[str]) -> list[str]:
    """Names of the structures of a CT that are looked for on the views."""
    always = {Structure.TUMOUR, Structure.PERFUSED, Structure.LIVER, *LUNGS}
    known = {role.value for role in Structure}
    for word in wanted:
        if word not in known and word not in regions:
            raise UnknownNameError("organ on planar views", word, [*known, *regions])
        if word not in regions and word not in {role.value for role in regions.values()}:
            raise InputError(
                f"`planar_organs` {word}: no structure is one; there are {', '.join(regions)}",
                remedy="leave it out, or state `structure_roles`",
            )
    return [name for name, role in regions.items() if role in always or role.value in wanted or name in wanted]


def organ_thicknesses(
    stated: Mapping[str, float], roles: Mapping[str, Structure], body_mm: float | None
) -> dict[str, float]:
    """Thickness of every region by its name, from what is stated by name, role, lungs or kidneys.

    Raises
    ------
    UnknownNameError
        If no region is meant.
    InputError
        If an organ is thicker than the body, or than any organ.
    """
    meant: dict[str, list[str]] = {}
    for name, role in roles.items():
        words = [name.lower(), role.value]
        words += ["lungs", "lung"] if role in LUNGS else ["kidneys"] if role is Structure.KIDNEY else []
        for word in dict.fromkeys(words):
            meant.setdefault(word, []).append(name)
    found: dict[str, float] = {}
    # What names one region goes before what names several.
    for word, value in sorted(stated.items(), key=lambda item: -len(meant.get(item[0].lower(), ()))):
        if word.lower() not in meant:
            raise UnknownNameError("organ of a stated thickness", word, meant)
        if not 0 < value <= THICKEST_MM or (body_mm is not None and value > body_mm):
            of_body = "" if body_mm is None else f" in a body of {body_mm:g} mm"
            raise InputError(
                f"a thickness of {value:g} mm of {word}{of_body}", remedy="state `organ_thickness_mm` in mm"
            )
        found |= dict.fromkeys(meant[word.lower()], value)
    return found
