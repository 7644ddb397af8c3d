"""Organs of every time: by a CT that is laid onto the views, or by structures drawn on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.body_and_lungs.body import body_region
from hepatica.anatomy.structures.kinds import LUNGS, Structure
from hepatica.anatomy.structures.masses import mass_of
from hepatica.core import InputFile, Region, Volume
from hepatica.core.message import Message
from hepatica.core.progress import Progress
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.planar.attenuation import mu_scale, narrow_mu_per_cm, photon_energy_kev
from hepatica.imaging.planar.from_ct.montecarlo import (
    MARGIN_MM,
    MONTECARLO_NUCLIDES,
    PlanarMonteCarloOptions,
    organ_response,
)
from hepatica.imaging.planar.measure import (
    Beside,
    CtModel,
    DrawnBody,
    Measured,
    ct_model,
    kept,
    measure_drawn,
    measure_on_ct,
    organ_thicknesses,
    uniform_body,
)
from hepatica.imaging.planar.options import PlanarCountsOptions
from hepatica.imaging.planar.rates import (
    SCATTER_IN_NARROW,
    SCATTER_LEFT,
    SCATTER_UNCORRECTED,
    SCATTER_UNKNOWN,
    PlanarRates,
    count_rates,
    recorded,
    scatter_method,
)
from hepatica.imaging.spect.camera.cameras import CAMERA_NAMES
from hepatica.imaging.spect.projections import Window
from hepatica.io.structures.regions import drawn_in_all
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.media import density_from_hu
from hepatica.workflow.planar.options import BiodistributionOptions
from hepatica.workflow.planar.reading import (
    DrawnOnViews,
    TimeOfViews,
    drawn_on_views,
    like_first,
    photopeak,
)
from hepatica.workflow.planar.transmission import transmission_of
from hepatica.workflow.sources import ImageSource, StructureSource, as_image, require_one_patient

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """All that is measured, and how."""

    times: Sequence[TimeOfViews]
    nuclide: Nuclide
    structures: Sequence[StructureSource]
    ct: ImageSource | None
    options: BiodistributionOptions

    @property
    def on_ct(self) -> bool:
        """Whether the structures are those of a CT."""
        if self.options.organs.drawn_on == "auto":
            return self.ct is not None
        return self.options.organs.drawn_on == "ct"


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredTime:
    """One time: its views, count rates and organs."""

    time: TimeOfViews
    rates: PlanarRates
    organs: Measured


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredTimes:
    """All times, masses of organs from the CT, what must be known, and the files."""

    times: list[MeasuredTime]
    masses_g: Mapping[str, float] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()


def measure_times(study: Study, progress: Progress) -> MeasuredTimes:
    """Organs of every time.

    Raises
    ------
    InputError
        If what attenuation or structures need is missing.
    """
    _require_fit(study)
    _require_one_way(study)
    inputs = [file for one in study.times for file in one.inputs]
    notes = [m for one in study.times if one.read is not None for m in one.read.messages]
    if study.on_ct:
        return _on_ct(study, inputs, notes, progress)
    return _drawn(study, inputs, notes, progress)


def _require_fit(study: Study) -> None:
    method = study.options.absorption.attenuation
    if study.options.organs.drawn_on == "ct" and study.ct is None:
        raise InputError("structures of a CT need the CT", remedy="give `ct`")
    if study.on_ct and not study.structures:
        raise InputError("the structures of the CT are needed", remedy="give `structures` that are drawn on it")
    if study.on_ct and study.options.absorption.organ_thickness_mm:
        raise InputError("`organ_thickness_mm` is of regions drawn on views: the CT shows that of its structures")
    if not study.on_ct and study.options.organs.planar_organs:
        raise InputError("`planar_organs` is of the structures of a CT: what is drawn on views is measured")
    if study.on_ct and method not in ("ct", "none"):
        raise InputError(f"`attenuation` {method}: structures of a CT are projected with its own attenuation")
    if not study.on_ct and method == "ct" and study.ct is None and study.options.absorption.body_thickness_mm is None:
        raise InputError(
            "attenuation needs a CT, a transmission scan or the thickness of the body",
            remedy="give `ct`, or state `attenuation` thickness and `body_thickness_mm`, or `attenuation` none",
        )
    if method == "transmission" and study.options.flood.transmission_scan is None:
        raise InputError("`attenuation` transmission needs `transmission_scan` and `blank`")
    if method == "thickness" and study.options.absorption.body_thickness_mm is None:
        raise InputError("`attenuation` thickness needs `body_thickness_mm`")


def camera_of(study: Study) -> PlanarMonteCarloOptions:
    """The Monte Carlo's options with the camera that the files name, where none is stated."""
    named = {view.collimator for time in study.times if time.read for file in time.read.files for view in file.views}
    known = sorted(name for name in named if name in CAMERA_NAMES)
    return study.options.montecarlo.named(known[0] if len(known) == 1 else "")


def counts_of(study: Study) -> PlanarCountsOptions:
    """How counts are corrected: by Monte Carlo where window scatter is known not to serve and organs are known.

    Raises
    ------
    InputError
        If Monte Carlo is wanted without a CT, its attenuation or a camera.
    """
    counts, able = study.options.counts, study.on_ct and study.options.absorption.attenuation == "ct"
    camera = camera_of(study).camera
    if counts.planar_scatter == "auto" and able and camera is not None and study.nuclide.name in MONTECARLO_NUCLIDES:
        return replace(counts, planar_scatter="mc")
    if counts.planar_scatter == "mc" and not able:
        raise InputError(
            "scatter by Monte Carlo needs the organs of a CT and its attenuation",
            remedy="give `ct` with structures drawn on it, or take another `planar_scatter`",
        )
    if counts.planar_scatter == "mc" and study.options.absorption.beam == "broad":
        raise InputError("`beam` broad stands for scatter that is not corrected; Monte Carlo simulates it")
    return counts


def windows_of(study: Study) -> list[tuple[tuple[Window, ...], int]]:
    """Energy windows of each time that were recorded, and the number of its photopeak."""
    wanted = study.options.reading.energy_window
    kept = [recorded(time.views, photopeak(time.views, study.nuclide, wanted)) for time in study.times]
    return [(views.windows, peak) for views, peak, _ in kept]


def _require_one_way(study: Study) -> None:
    """InputError where times were counted in other photopeaks, or their scatter would be taken off in other ways."""
    wanted = counts_of(study).planar_scatter
    found = [(windows[peak], scatter_method(windows, peak, wanted)) for windows, peak in windows_of(study)]
    for number, (window, method) in enumerate(found[1:], start=2):
        if not window.is_near(found[0][0]):
            raise InputError(
                f"time {number} was counted in {window}, time 1 in {found[0][0]}: one curve needs one photopeak",
                remedy="choose the window (`energy_window`), or measure the times apart",
            )
        if method != found[0][1]:
            raise InputError(
                f"the windows of time 1 allow scatter to be corrected by {found[0][1]}, those of time {number} by "
                f"{method}: the difference would look like excretion or uptake",
                remedy="state one `planar_scatter` that all times allow (none, with the coefficient of broad beams)",
            )


def _rates(study: Study, time: TimeOfViews) -> tuple[PlanarRates, float, float]:
    """Count rates of a time, the photons' energy, and the factor on the coefficient of a narrow beam."""
    peak = photopeak(time.views, study.nuclide, study.options.reading.energy_window)
    rates = count_rates(time.views, peak, counts_of(study), half_life_s=study.nuclide.half_life_s)
    if study.nuclide.name in MONTECARLO_NUCLIDES and rates.scatter_method != "mc":
        # Of any other method: what is left of the scatter is known for the upper window, and no smaller without one.
        others = tuple(m for m in rates.messages if m.code != SCATTER_LEFT.code)
        rates = replace(rates, messages=(*others, SCATTER_LEFT if rates.scatter_method == "upper" else SCATTER_UNKNOWN))
    if study.options.absorption.beam == "narrow" or study.options.absorption.attenuation_coefficient is not None:
        others = tuple(m for m in rates.messages if m.code != SCATTER_UNCORRECTED.code)
        if len(others) < len(rates.messages):
            rates = replace(rates, messages=(*others, SCATTER_IN_NARROW))
    energy = photon_energy_kev(study.nuclide, rates.window)
    scale = mu_scale(study.options.absorption, study.nuclide, energy, scatter=rates.scatter_method != "none")
    return rates, energy, scale


def _on_ct(study: Study, inputs: list[InputFile], notes: list[Message], progress: Progress) -> MeasuredTimes:
    assert study.ct is not None
    progress("reading the CT and its structures")
    ct = as_image(study.ct, role="ct", series=study.options.reading.ct_series)
    drawn = drawn_in_all(study.structures, ct, study.options.reading.structure_roles)
    notes += [*ct.messages, *drawn.messages]
    inputs += [ct.source, *drawn.inputs]
    require_one_patient(inputs)
    names = kept(drawn.roles, study.options.organs.planar_organs)
    if not names:
        raise InputError("the structures name neither liver, lungs nor tumours", remedy="state `structure_roles`")
    regions = {name: drawn.regions[name] for name in names}
    roles = {name: drawn.roles[name] for name in names}
    bodies = drawn.of(Structure.BODY)
    body = bodies[0] if bodies else body_region(ct.volume, limbs=True)
    found, model = [], None
    for number, time in enumerate(study.times, start=1):
        progress(f"fitting the views of time {number}")
        rates, energy, scale = _rates(study, time)
        if study.options.absorption.attenuation == "none":
            scale = 0.0
        if model is None or model.body.pixel_mm != time.views.pixel_mm:
            simulated = rates.scatter_method == "mc"
            model = ct_model(
                ct.volume, body, regions, roles, energy_kev=energy, pixel_mm=time.views.pixel_mm, mu_scale=scale,
                margin_mm=MARGIN_MM if simulated else 0.0,
            )  # fmt: skip
            if simulated:
                response = organ_response(
                    ct.volume, model.body, mu_scale=scale, nuclide=study.nuclide, window=rates.window,
                    options=camera_of(study), progress=progress,
                )  # fmt: skip
                model = replace(model, response=response)
        organs = measure_on_ct(
            rates, replace(model, mu_scale=scale), place_mm=_place(time, model),
            offset_mm=study.options.organs.offset_mm, fwhm_mm=study.options.organs.resolution_fwhm_mm,
            outside_mm=study.options.absorption.body_thickness_mm, uncertainty=study.options.uncertainty,
        )  # fmt: skip
        found.append(MeasuredTime(time, rates, organs))
    every = (*notes, *(m for one in found for m in one.organs.messages))
    whole = {name: region for name, region in regions.items() if model is None or name not in model.cut}
    return MeasuredTimes(found, _masses(ct.volume, whole, roles), every, tuple(inputs))


def _place(time: TimeOfViews, ct: CtModel) -> tuple[float, float] | None:
    """Place of the views in the CT's frame of reference, where they share one."""
    frame = time.read.frame_of_reference if time.read is not None else ct.frame_of_reference
    return time.views.place_mm if frame is not None and frame == ct.frame_of_reference else None


def _masses(hu: Volume, regions: Mapping[str, Region], roles: Mapping[str, Structure]) -> dict[str, float]:
    """Masses in g by name and by what an organ is; the liver's is with its tumours."""
    density = density_from_hu(hu)
    masses = {name: mass_of(region, density) for name, region in regions.items()}
    found = dict(masses)
    wanted_of = {"lungs": LUNGS, "liver": (Structure.LIVER,), "kidneys": (Structure.KIDNEY,),
                 "spleen": (Structure.SPLEEN,), "thyroid": (Structure.THYROID,)}  # fmt: skip
    for word, wanted in wanted_of.items():
        own = [masses.get(name) for name, role in roles.items() if role in wanted]
        # What the CT cuts off is weighed by nothing here.
        if own and None not in own:
            found[word] = sum(mass for mass in own if mass is not None)
    return found


def _drawn(study: Study, inputs: list[InputFile], notes: list[Message], progress: Progress) -> MeasuredTimes:
    first: DrawnOnViews | None = None
    found = []
    stated = dict(study.options.absorption.organ_thickness_mm)
    several = len(study.structures) == len(study.times) > 1
    # Structures stand in the order in which the files were named, times in that of their acquisition.
    places = sorted(study.times, key=lambda time: min(time.named, default=0))
    for number, time in enumerate(study.times):
        progress(f"counting the views of time {number + 1}")
        if first is None or several:
            own = [study.structures[places.index(time)]] if several else list(study.structures)
            drawn = drawn_on_views(time, own, study.options.reading.structure_roles)
            first = first or drawn
        else:
            drawn = like_first(first, study.times[0], time)
        notes += drawn.messages
        inputs += [file for file in drawn.inputs if file not in inputs]
        require_one_patient(inputs)
        thickness = organ_thicknesses(stated, drawn.roles, study.options.absorption.body_thickness_mm)
        rates, energy, scale = _rates(study, time)
        body, more = _body(study, time, rates, energy, scale, inputs)
        whole = study.options.organs.normalise != "organs"
        beside = Beside(drawn.background, drawn.body, whole, time.views.whole_body)
        organs = measure_drawn(
            rates, drawn.regions, drawn.roles, beside, body, thickness_mm=thickness,
            uncertainty=study.options.uncertainty,
        )  # fmt: skip
        found.append(MeasuredTime(time, rates, organs))
        notes += more
    every = (*notes, *(m for one in found for m in one.organs.messages))
    return MeasuredTimes(found, {}, every, tuple(inputs))


def _body(
    study: Study, time: TimeOfViews, rates: PlanarRates, energy_kev: float, scale: float, inputs: list[InputFile]
) -> tuple[DrawnBody, list[Message]]:
    """Attenuation and thickness of the body on the views' pixels."""
    absorption, shape = study.options.absorption, time.views.shape
    mu = narrow_mu_per_cm(energy_kev) * scale / 10
    if absorption.attenuation == "none":
        text = "no attenuation correction: lungs attenuate less than the liver, so the lung shunt reads high"
        return uniform_body(shape, absorption.body_thickness_mm, mu, corrected=False), [
            Message("no-attenuation-correction", text)
        ]
    if absorption.attenuation == "transmission":
        through, files = transmission_of(
            study.options.flood, time, rates, absorption, energy_kev=energy_kev, known=inputs
        )
        inputs += [file for file in files if file not in inputs]
        mu_t = scale * through
        return DrawnBody(mu_t, mu_t / mu, mu, stated=False), []
    if study.ct is not None and absorption.attenuation == "ct":
        return _ct_on_views(study, time, energy_kev, scale, mu, inputs)
    return uniform_body(shape, absorption.body_thickness_mm, mu), []


def _ct_on_views(
    study: Study, time: TimeOfViews, energy_kev: float, scale: float, mu: float, inputs: list[InputFile]
) -> tuple[DrawnBody, list[Message]]:
    """A CT's attenuation under structures that are drawn on the views."""
    from hepatica.imaging.planar.from_ct.projection import BodyModel, on_views, place_of_ct, stated_place

    ct = as_image(study.ct, role="ct", series=study.options.reading.ct_series)  # type: ignore[arg-type]
    if ct.source not in inputs:
        inputs.append(ct.source)
    require_one_patient(inputs)
    body = body_region(ct.volume, limbs=True)
    model = BodyModel.of(ct.volume, body, {}, energy_kev=energy_kev, pixel_mm=time.views.pixel_mm)
    seen = model.projected(mu_scale=scale)
    pixel, shape = time.views.pixel_mm, time.views.shape
    frame = None if time.read is None else time.read.frame_of_reference
    own = ct.grid.frame_of_reference
    if study.options.organs.offset_mm is not None:
        size = (seen.body_mm.shape[0], seen.body_mm.shape[1])
        offset, where = stated_place(study.options.organs.offset_mm, shape, size, pixel), "as stated"
    elif time.views.place_mm is not None and frame is not None and frame == own:
        x, z = time.views.place_mm
        offset = ((model.place_mm[0] - x) / pixel[0], (z - model.place_mm[1]) / pixel[1])
        where = "by their common frame of reference"
    else:
        rates, _, _ = _rates(study, time)
        try:
            offset, explained = place_of_ct(rates.net, seen)
        except GeometryError as fault:
            raise GeometryError(
                "the CT cannot be laid onto the views: no structures are drawn on it, and its body alone explains less "
                "than half of what they show",
                remedy="state `offset_mm`, its middle from the middle of the views, or give structures of the CT",
            ) from fault
        where = f"where its body explains {100 * explained:.0f} % of what they show"
    placed = on_views(seen, time.views.shape, offset)
    text = f"the CT is laid onto the views {where}"
    return DrawnBody(placed.mu_body, placed.body_mm, mu, stated=False), [
        *(one for one in ct.messages if one.severity == "critical"),
        Message("ct-placed-on-views", text, "state `offset_mm` if it is off", "note"),
    ]
