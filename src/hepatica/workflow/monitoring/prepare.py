"""The setup of a watched injection from CT, structures, plan and one frame of the camera."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Literal

from hepatica.anatomy.segmentation.body_and_lungs.body import body_region
from hepatica.anatomy.structures.clinical import STRUCTURE_ROLES_TEXT
from hepatica.anatomy.structures.drawn import DrawnStructures
from hepatica.anatomy.structures.kinds import LUNGS, Structure
from hepatica.core import InputFile, Provenance
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.core.options import Fraction, Limits, NonNegative, Positive, options, parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.planar.attenuation import photon_energy_kev, tabulated_broad_share
from hepatica.imaging.planar.even_uptake import Head, seen_by_head, uneven_uptake, within
from hepatica.imaging.planar.measure import CtModel, ct_model
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.projections import Window
from hepatica.io.calibration_files import load_calibration
from hepatica.io.dicom.images.dynamic import DynamicFile, read_dynamic
from hepatica.io.dicom.images.planar import PlanarView, read_planar
from hepatica.io.files import write_text
from hepatica.io.monitoring.folder import by_number
from hepatica.io.structures.regions import drawn_structures
from hepatica.monitoring.prepare import PlannedInjection, Sight, prepared_injection
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.setup import Doubts
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.nuclides import Nuclide
from hepatica.nuclides import agent as find_agent
from hepatica.planning.measured.treatment_results import planned_treatment
from hepatica.workflow.monitoring.arrival import about_goal, about_missing
from hepatica.workflow.monitoring.planned import plan_limits
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource, as_image, require_one_patient

CALIBRATED, MODELLED = 0.03, 0.10
"""Standard uncertainty of a camera factor that was measured without a statement of its own, and of a camera's model."""

GUARDS = (
    Structure.STOMACH, Structure.DUODENUM, Structure.SMALL_BOWEL, Structure.BOWEL, Structure.COLON,
    Structure.GALLBLADDER, Structure.PANCREAS,
)  # fmt: skip
"""Organs that must get nothing: fed by branches that leave the hepatic arteries or lie beside them."""


@options
class InjectionCameraOptions:
    """The camera before the patient.

    Attributes
    ----------
    camera : str or None
        Camera and collimator by name ("siemens-lehr"): resolution, and without a calibration the sensitivity.
    calibration : Path or None
        Camera factor of one head in air.
    resolution_fwhm_mm : float or None
        Of the response at the middle of the patient, where no camera is named.
    sensitivity_cps_per_mbq : float or None
        Of one head in air, where there is neither calibration nor camera.
    factor_sd : float or None
        Relative standard uncertainty of the sensitivity; that of its source if not given. Above 0.15 the camera alone
        measures shares, and no activity.
    head : {"anterior", "posterior"} or None
        Which side the frames are of, where the header does not say.
    offset_mm : tuple of float or None
        Middle of the CT from the middle of the frame: to the patient's left and towards the head. Needed where frames
        and CT have no common frame of reference.
    offset_sd_mm : float
        Standard uncertainty of that, or of how the patient lies.
    empty_field : bool
        The frames are of the empty field, with the patient and without activity: they are the background.
    camera_dead_time_s : float
        Paralysable dead time per event in the window; 0 where the camera corrects it.
    """

    camera: str | None = None
    calibration: Path | str | None = None
    resolution_fwhm_mm: Positive | None = None
    sensitivity_cps_per_mbq: Positive | None = None
    factor_sd: Annotated[Fraction, Limits(above=0, below=0.5)] | None = None
    head: Literal["anterior", "posterior"] | None = None
    offset_mm: tuple[float, float] | None = None
    offset_sd_mm: NonNegative = 8.0
    empty_field: bool = False
    camera_dead_time_s: Annotated[float, Limits(low=0, below=1e-3)] = 0.0


@options
class PlannedInjectionOptions:
    """What is to be injected, where the plan does not say it.

    Attributes
    ----------
    planned_bq : float or None
        Activity in vial or syringe at the start; the plan's if not given.
    infusion_s : float
        How long the infusion is meant to take.
    residual : float
        Share that stays behind in vial and line.
    lung_shunt : float or None
        Expected share of the lungs; the plan's if not given.
    other_liver : float
        Expected share of the liver that is not the target (assumption).
    elsewhere : float
        Expected share outside all organs drawn (assumption).
    goal_bq : float or None
        Activity that the target needs; what the plan sends there, if not given.
    lung_activity_limit_bq : float or None
        Largest activity of the lungs; that of the plan's dose limit, if not given.
    target_activity_limit_bq : float or None
        Largest activity of the target; that at which its normal liver has the dose that the plan allows it (what
        earlier treatments left included), if not given.
    other_liver_activity_limit_bq : float or None
        Largest activity of the liver that is not the target; none if not given.
    pulse_s, pause_s : float
        Of a pulsed infusion; no pause if steady.
    has_meter : bool
        Whether a meter will be read.
    target : str or None
        Structure that is treated; the perfused volume, else the whole liver.
    territory : str or None
        Of the plan, where it has several; it is the target if a structure has its name.
    structure_roles : mapping of str to str or None
        What a structure is, where its name does not say.
    ct_series : str or None
        SeriesInstanceUID of the CT, if a folder holds several.
    """

    planned_bq: Positive | None = None
    infusion_s: Annotated[float, Limits(low=5, high=7200)] = 300.0
    residual: Annotated[Fraction, Limits(low=0, below=1)] = 0.01
    lung_shunt: Annotated[Fraction, Limits(low=0, below=1)] | None = None
    other_liver: Annotated[Fraction, Limits(low=0, below=1)] = 0.05
    elsewhere: Annotated[Fraction, Limits(low=0, below=1)] = 0.02
    goal_bq: Positive | None = None
    lung_activity_limit_bq: Positive | None = None
    target_activity_limit_bq: Positive | None = None
    other_liver_activity_limit_bq: Positive | None = None
    pulse_s: NonNegative = 0.0
    pause_s: NonNegative = 0.0
    has_meter: bool = True
    target: str | None = None
    territory: str | None = None
    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None
    ct_series: str | None = None


@result
class InjectionSetupResult(Result):
    """What the monitor needs before the first frame."""

    verb = "prepare_injection"

    nuclide: str
    agent: str
    planned_bq: float
    complete_cps: float
    sensitivity_cps_per_mbq: float
    sensitivity_from: str
    side: str
    place_from: str
    structures: dict[str, tuple[str, ...]]
    expected_share: dict[str, float]
    goal_bq: float | None
    lung_activity_limit_bq: float | None
    limits_bq: dict[str, float]
    prepared: Prepared = field(metadata=HIDDEN)

    def title(self) -> str:
        """What is expected."""
        return (
            f"{self.agent}, {self.planned_bq / 1e6:.4g} MBq of {self.nuclide}: {self.complete_cps / 1e3:.3g} kcps when "
            f"all has arrived, {self.side} head, {self.sensitivity_cps_per_mbq:.3g} cps/MBq ({self.sensitivity_from})"
        )

    def table(self) -> Table:
        """Each region: what it is made of, what it is to get, how much of it its own mask sees."""
        setup = self.prepared.setup
        response = setup.response_cps_per_bq
        rows = [
            (name, setup.roles[n], ", ".join(self.structures.get(name, ())), 100 * setup.expected_shares[n],
             response[n, n] * 1e6, 100 * response[n, n] / response[:, n].sum(), int((self.prepared.mask == n).sum()))
            for n, name in enumerate(setup.regions)
        ]  # fmt: skip
        columns = ("region", "role", "structures", "expected, %", "in its mask, cps/MBq", "of its counts, %", "pixels")
        return Table.of(columns, rows, "Regions before the camera", "regions")

    def write(self, folder: Path) -> None:
        """Write ``setup.json`` and ``masks.png``."""
        from hepatica.report.figures.monitoring import masks_png

        write_text(folder / "setup.json", json.dumps(self.prepared.as_document(), indent=1) + "\n")
        setup = self.prepared.setup
        (folder / "masks.png").write_bytes(masks_png(self.prepared.mask, setup.regions))


@verb
def prepare_injection(
    view: Path | str,
    *,
    ct: ImageSource,
    structures: StructureSource,
    agent: str,
    plan: Path | str | None = None,
    seen_by: InjectionCameraOptions = InjectionCameraOptions(),
    planned: PlannedInjectionOptions = PlannedInjectionOptions(),
    progress: Progress | None = None,
) -> InjectionSetupResult:
    """The setup of a watched injection from CT, structures, plan and one frame of the camera.

    Parameters
    ----------
    view : Path
        A frame of the camera as it stands for the injection, best of the empty field; or a folder of frames.
    ct : Path
        CT of the patient as he lies.
    structures : Path
        Drawn on it: liver, lungs, the treated part, organs that must get nothing.
    agent : str
        What is injected: glass, maa.
    plan : Path
        Result of the plan: activity, lung shunt, limit of the lungs.
    seen_by : InjectionCameraOptions
        The camera.
    planned : PlannedInjectionOptions
        What is injected, where the plan does not say it.
    progress : callable, optional
        Told each step.

    Returns
    -------
    InjectionSetupResult
        ``save`` writes the ``setup.json`` that `monitor` takes.

    Raises
    ------
    InputError
        If nothing says the activity, the sensitivity, the resolution or the place of the CT before the camera; if liver
        or target are not drawn; if files are of several patients.
    UnknownNameError
        If agent, camera, territory or target are not known.

    Examples
    --------
    >>> planned = hepatica.PlannedInjectionOptions(planned_bq=150e6)
    >>> made = hepatica.prepare_injection("empty.dcm", ct="ct", structures="rs.dcm", agent="maa")  # doctest: +SKIP
    >>> made.save("prepared")  # doctest: +SKIP
    """
    say = progress or silent
    carrier = find_agent(agent)
    say("reading the CT, its structures and a frame")
    frames, geometry = _frames(Path(view), carrier.nuclide)
    image = as_image(ct, role="ct", series=planned.ct_series)
    drawn = drawn_structures(structures, image, planned.structure_roles)
    inputs = (frames.source, image.source, *drawn.inputs)
    require_one_patient(inputs)
    groups, roles = _groups(drawn, planned)
    window = _window(frames)
    energy = photon_energy_kev(carrier.nuclide, window)
    bodies = drawn.of(Structure.BODY)
    named = [name for members in groups.values() for name in members]
    model = ct_model(
        image.volume, bodies[0] if bodies else body_region(image.volume), {name: drawn.regions[name] for name in named},
        {name: drawn.roles[name] for name in named}, energy_kev=energy, pixel_mm=frames.pixel_mm, mu_scale=1.0,
    )  # fmt: skip
    head, notes, sensitivity_from, sd = _head(seen_by, carrier.nuclide, window, energy, frames, geometry, model)
    say("the regions before the camera")
    groups["outside"], roles["outside"] = (model.body.names[-1],), "outside"
    images = seen_by_head(model.body, groups, head)
    moved = [
        seen_by_head(model.body, groups, replace(head, offset_mm=(head.offset_mm[0] + x, head.offset_mm[1] + z)))
        for x, z in _around(seen_by.offset_sd_mm)
    ]
    uneven = uneven_uptake(
        model.body, groups, [name for name, role in drawn.roles.items() if role is Structure.TUMOUR], head
    )
    background = None
    if seen_by.empty_field:
        background = frames.counts.sum(axis=0) / float(frames.duration_s.sum())
    else:
        text = "no frame of the empty field: the background is taken as 1 % of the counts at completion"
        notes.append(Message("background-assumed", text, "take one, and say so (`empty_field`)"))
    injection, more = _injection(carrier.name, carrier.nuclide, plan, planned)
    sight = Sight(
        images=images, moved=tuple(moved), roles=roles, pixel_mm=frames.pixel_mm[0], uneven=uneven,
        background_cps=background, tau_s=0.0 if "DTIM" in frames.corrected else seen_by.camera_dead_time_s,
    )  # fmt: skip
    made = prepared_injection(
        sight, injection, replace(Doubts(), camera=seen_by.factor_sd or sd), has_meter=planned.has_meter
    )
    made = replace(made, head=head.side, row_to_left=frames.row_to_left, column_to_head=frames.column_to_head)
    setup = made.setup
    return InjectionSetupResult(
        nuclide=made.nuclide, agent=made.agent, planned_bq=setup.planned_bq, complete_cps=setup.complete_cps,
        sensitivity_cps_per_mbq=head.sensitivity_cps_per_bq * 1e6, sensitivity_from=sensitivity_from, side=head.side,
        place_from="as stated" if seen_by.offset_mm is not None else "common frame of reference",
        structures={name: tuple(members) for name, members in groups.items()},
        expected_share=dict(zip(setup.regions, setup.expected_shares.tolist(), strict=True)), goal_bq=setup.goal_bq,
        lung_activity_limit_bq=injection.limits_bq.get("lungs"), limits_bq=dict(setup.limits_bq), prepared=made,
        messages=(*image.messages, *drawn.messages, *notes, *more, *about_goal(made.setup), *about_missing(made.setup)),
        provenance=Provenance(
            inputs=(*inputs, *_plan_input(plan)), parameters=parameters(seen_by, planned, agent=agent),
            steps=("structures projected with the CT's attenuation", "masks by what shows most in each pixel"),
        ),
    )  # fmt: skip


def _plan_input(plan: Path | str | None) -> tuple[InputFile, ...]:
    if plan is None:
        return ()
    path = Path(plan)
    return (InputFile.of("plan", path / "result.json" if path.is_dir() else path),)


def _frames(view: Path, wanted: Nuclide) -> tuple[DynamicFile, PlanarView]:
    """The first file of frames, and how it stands to the patient."""
    path = view
    if view.is_dir():
        files = sorted((one for one in view.iterdir() if one.is_file() and one.name[0] != "."), key=by_number)
        if not files:
            raise InputError(f"{view}: holds no frame as yet", remedy="take one of the empty field first")
        path = files[0]
    frames = read_dynamic(path)
    if frames.nuclide not in ("", wanted.name):
        raise InputError(f"{path}: the header says {frames.nuclide}, the agent is of {wanted.name}")
    if abs(frames.pixel_mm[0] / frames.pixel_mm[1] - 1) > 0.01:
        raise InputError(f"{path}: pixels of {frames.pixel_mm[0]:g} x {frames.pixel_mm[1]:g} mm are not square")
    return frames, read_planar([path], all_windows=True)[0].views[0]


def _window(frames: DynamicFile) -> Window:
    if len(frames.windows_kev) != 1:
        raise InputError(f"{frames.source.path}: has {len(frames.windows_kev)} energy windows; monitoring takes one")
    return Window(*frames.windows_kev[0])


def _groups(
    drawn: DrawnStructures, planned: PlannedInjectionOptions
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Structures of each region, and what it is."""

    def of(*wanted: Structure) -> tuple[str, ...]:
        return tuple(name for name, role in drawn.roles.items() if role in wanted)

    # A territory has the name of its structure.
    target = planned.target or (planned.territory if planned.territory in drawn.regions else None)
    if target is not None and target not in drawn.regions:
        raise InputError(f"no structure is called {target!r}; there are {', '.join(drawn.regions)}")
    tumours = of(Structure.TUMOUR)
    treated = (target,) if target is not None else of(Structure.PERFUSED)
    liver = tuple(name for name in of(Structure.LIVER) if name not in treated)
    if not treated:
        treated, liver = liver, ()
    if not treated:
        raise InputError("neither the treated part nor the liver is drawn", remedy="name one (`target`)")
    if len(treated) > 1:
        raise InputError(f"several parts are treated ({', '.join(treated)})", remedy="name one (`target`)")
    inside = tuple(name for name in tumours if within(drawn.regions[name], drawn.regions[treated[0]]) > 0.5)
    beside = tuple(name for name in tumours if name not in inside and liver)
    found = {
        "target": tuple(dict.fromkeys((*treated, *inside))),
        "liver": (*liver, *beside),
        "lungs": of(*LUNGS),
        "guard": of(*GUARDS),
    }
    groups = {name: members for name, members in found.items() if members}
    return groups, {name: name for name in groups}


def _head(
    asked: InjectionCameraOptions, nuclide: Nuclide, window: Window, energy_kev: float, frames: DynamicFile,
    view: PlanarView, model: CtModel,
) -> tuple[Head, list[Message], str, float]:  # fmt: skip
    """The head, what must be known of it, where its sensitivity is from, and the standard uncertainty of that."""
    side = view.view or asked.head
    if side is None:
        raise InputError(
            f"{frames.source.path}: does not say whether it is anterior or posterior", remedy="state `head`"
        )
    notes: list[Message] = []
    if asked.head is not None and view.view not in (None, asked.head):
        raise InputError(f"{frames.source.path}: is of the {view.view} head by its header, stated is {asked.head}")
    camera = None if asked.camera is None else gamma_camera(asked.camera)
    depth_mm = float(model.body.shares.sum(axis=(0, 2)).max() * model.body.grid.spacing_mm[1])
    fwhm = asked.resolution_fwhm_mm
    if fwhm is None:
        if camera is None:
            raise InputError("nothing says how sharp the camera sees", remedy="state `camera` or `resolution_fwhm_mm`")
        fwhm = camera.system_fwhm_mm(depth_mm / 2 + AIR_MM, energy_kev)
    if asked.calibration is not None:
        held = load_calibration(asked.calibration)
        if held.conditions.nuclide != nuclide.name:
            raise InputError(f"{asked.calibration}: is of {held.conditions.nuclide}, the agent of {nuclide.name}")
        limits = held.conditions.window_kev
        if limits is not None and not Window(*limits).is_near(window):
            raise InputError(f"{asked.calibration}: was measured in {Window(*limits)}, the frames are of {window}")
        factor, sd = held.factor.value / 1e6, (held.factor.sd or 0.0) / held.factor.value or CALIBRATED
        where = "calibration"
    elif asked.sensitivity_cps_per_mbq is not None:
        factor, sd, where = asked.sensitivity_cps_per_mbq / 1e6, CALIBRATED, "as stated"
    elif camera is not None:
        factor, sd, where = _modelled(camera, nuclide, window), MODELLED, f"model of {camera.name}"
        text = f"no camera factor: the sensitivity is that of the model of {camera.name}, uncertain by 10 %"
        notes.append(Message("camera-factor-modelled", text, "give `calibration`"))
    else:
        raise InputError("nothing says the camera's sensitivity", remedy="give `calibration` or state `camera`")
    mirrored = view.row_to_left == -1 if view.row_to_left is not None else side == "posterior"
    rows, columns = frames.counts.shape[1:]
    offset = asked.offset_mm or _offset(view, model, frames, (rows, columns))
    head = Head(
        side=side, sensitivity_cps_per_bq=factor, fwhm_mm=fwhm, broad=_broad(nuclide, notes), shape=(rows, columns),
        offset_mm=offset, mirrored=mirrored, upwards=view.column_to_head,
    )  # fmt: skip
    return head, notes, where, sd


AIR_MM = 40.0
"""From the skin to the face of the collimator (assumption)."""

BROAD = 0.7
"""Coefficient of broad beams over that of a narrow one, of a nuclide that is not in the table: 0.63 to 0.78 are."""


BREMSSTRAHLUNG_BROAD = {"Y-90": 0.42}
"""The same of bremsstrahlung, against a narrow beam at the window's middle: own Monte Carlo as in build_broad_beam.py
(medium-energy collimator, 75 to 225 keV) of a disc in a trunk against one with no tissue around it, whose own betas
make the bremsstrahlung; 99mTc so found is 2 % above the table."""


def _broad(nuclide: Nuclide, notes: list[Message]) -> float:
    if (found := tabulated_broad_share(nuclide)) is not None:
        return found
    if (found := BREMSSTRAHLUNG_BROAD.get(nuclide.name)) is not None:
        text = (
            f"scatter of {nuclide.name} is that of one trunk and a medium-energy collimator: {found:g} of a narrow beam"
        )
        notes.append(Message("scatter-of-bremsstrahlung", text, severity="note"))
        return found
    text = f"how much scatter of {nuclide.name} is counted is not tabulated: as of other nuclides (0.7)"
    notes.append(Message("scatter-assumed", text))
    return BROAD


def _modelled(camera: GammaCamera, nuclide: Nuclide, window: Window) -> float:
    """Sensitivity by the camera's model, which knows photon lines alone."""
    try:
        return float(camera.sensitivity_cps_per_bq(nuclide, window))
    except PhysicsError as error:
        raise InputError(
            f"the model of {camera.name} gives no counts of {nuclide.name} in {window}: no photon line lies there",
            remedy="give `calibration` or state `sensitivity_cps_per_mbq`, of this nuclide and window",
        ) from error


def _offset(view: PlanarView, model: CtModel, frames: DynamicFile, shape: tuple[int, int]) -> tuple[float, float]:
    frame = view.image.grid.frame_of_reference
    if view.place_mm is None or frame is None or frame != model.frame_of_reference:
        raise InputError(
            f"{frames.source.path}: nothing says where the CT lies before the camera: they have no common frame of "
            "reference",
            remedy="state `offset_mm`: the middle of the CT from the middle of the frame",
        )
    pixel = model.body.pixel_mm
    size = model.body.mu_per_mm.shape
    sign_x = -1 if view.row_to_left == -1 else 1
    sign_z = 1 if view.column_to_head else -1
    middle = (
        view.place_mm[0] + sign_x * (shape[1] - 1) / 2 * pixel[0],
        view.place_mm[1] + sign_z * (shape[0] - 1) / 2 * pixel[1],
    )
    place = model.body.place_mm
    own = (place[0] + (size[0] - 1) / 2 * pixel[0], place[1] - (size[2] - 1) / 2 * pixel[1])
    return own[0] - middle[0], own[1] - middle[1]


def _around(sd_mm: float) -> list[tuple[float, float]]:
    return [(sd_mm, 0.0), (-sd_mm, 0.0), (0.0, sd_mm), (0.0, -sd_mm)] if sd_mm else []


def _injection(
    agent: str, nuclide: Nuclide, plan: Path | str | None, asked: PlannedInjectionOptions
) -> tuple[PlannedInjection, list[Message]]:
    """What is to be injected: what is stated, else the plan's."""
    notes: list[Message] = []
    planned_bq, shunt, goal = asked.planned_bq, asked.lung_shunt, asked.goal_bq
    limits: dict[str, float] = {}
    if plan is not None:
        held = planned_treatment(Path(plan), asked.territory)
        if held.nuclide != nuclide.name:
            raise InputError(f"{plan}: is of {held.nuclide}, the agent of {nuclide.name}")
        notes += held.messages
        planned_bq = planned_bq or held.planned_gbq * 1e9
        shunt = held.lung_shunt if shunt is None else shunt
        goal = goal or held.administered_gbq * 1e9 * (1 - (shunt or 0.0))
        limits = plan_limits(Path(plan), held, asked.territory)
    if planned_bq is None:
        raise InputError("nothing says how much is injected", remedy="give `plan` or state `planned_bq`")
    if shunt is None:
        text = "no lung shunt is known: nothing is expected in the lungs"
        notes.append(Message("lung-shunt-unknown", text, "state `lung_shunt` or give `plan`"))
    stated = {
        "lungs": asked.lung_activity_limit_bq, "target": asked.target_activity_limit_bq,
        "liver": asked.other_liver_activity_limit_bq,
    }  # fmt: skip
    limits |= {role: bq for role, bq in stated.items() if bq is not None}
    shares = {"liver": asked.other_liver, "lungs": shunt or 0.0, "outside": asked.elsewhere}
    return PlannedInjection(
        nuclide=nuclide.name, agent=agent, planned_bq=planned_bq, infusion_s=asked.infusion_s, shares=shares,
        residual=asked.residual, goal_bq=goal, limits_bq=limits,
        flow=FlowSettings(pulse_s=asked.pulse_s, pause_s=asked.pause_s),
    ), notes  # fmt: skip
