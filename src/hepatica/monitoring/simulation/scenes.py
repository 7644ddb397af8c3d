"""A virtual patient on the table: where each region takes up, what the camera sees of it, and the usual injections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient import (
    PatientSettings,
    Treatment,
    VirtualCtOptions,
    VirtualPatient,
    virtual_patient,
)
from hepatica.errors import UnknownNameError
from hepatica.monitoring.response import PlanarCamera, masks_of, region_images, response_of
from hepatica.monitoring.setup import ROLES, Array, Doubts, Setup
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.nuclides import nuclide

GUARDS = ("duodenum", "stomach", "gallbladder")
"""Organs that get nothing: fed by the gastroduodenal, right gastric and cystic arteries."""

BACKGROUND_SHARE = 0.01
"""Of the counts at completion: natural background, other sources in the room (assumption)."""

OUTSIDE_SHARE = 0.02
"""Of the activity that is dissolved or elsewhere in the body (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An injection as it is usually given, and the camera before it.

    Attributes
    ----------
    name, title : str
        As it is called.
    nuclide, agent : str
        Nuclide and its carrier.
    activity_bq : float
        In the vial.
    complete_cps : float
        Counted in the whole field when all has arrived.
    fwhm_mm, attenuation_per_mm, scatter : float
        Of the camera at 100 mm and the window's energy.
    infusion_s : float
        How long it takes.
    pulse_s, pause_s : float
        Of a pulsed infusion; no pause if steady.
    residual : float
        Left in vial and line.
    loss_at_bq : float or None
        Activity at which the camera loses 20 % by dead time.
    """

    name: str
    title: str
    nuclide: str
    agent: str
    activity_bq: float
    complete_cps: float
    fwhm_mm: float
    attenuation_per_mm: float
    scatter: float
    infusion_s: float
    pulse_s: float = 0.0
    pause_s: float = 0.0
    residual: float = 0.01
    loss_at_bq: float | None = None

    @property
    def flow(self) -> FlowSettings:
        """How it runs."""
        return FlowSettings(pulse_s=self.pulse_s, pause_s=self.pause_s)


SOURCES = (
    Source(name="maa", title="150 MBq 99mTc-MAA, LEHR camera", nuclide="Tc-99m", agent="maa", activity_bq=150e6,
           complete_cps=13e3, fwhm_mm=8.0, attenuation_per_mm=0.012, scatter=0.35, infusion_s=60.0),
    Source(name="maa-c-arm", title="150 MBq 99mTc-MAA, hybrid C-arm", nuclide="Tc-99m", agent="maa", activity_bq=150e6,
           complete_cps=1e3, fwhm_mm=17.0, attenuation_per_mm=0.012, scatter=0.35, infusion_s=60.0),
    Source(name="ho-scout", title="250 MBq 166Ho scout", nuclide="Ho-166", agent="ho166-scout",
           activity_bq=250e6, complete_cps=1.7e3, fwhm_mm=11.0, attenuation_per_mm=0.015, scatter=0.8,
           infusion_s=300.0, loss_at_bq=0.7e9),
    Source(name="y90", title="3 GBq 90Y glass, bremsstrahlung", nuclide="Y-90", agent="glass", activity_bq=3e9,
           complete_cps=12e3, fwhm_mm=18.0, attenuation_per_mm=0.013, scatter=1.2, infusion_s=300.0, residual=0.0061),
    Source(name="resin", title="1.5 GBq 90Y resin, pulsed", nuclide="Y-90", agent="resin", activity_bq=1.5e9,
           complete_cps=6e3, fwhm_mm=18.0, attenuation_per_mm=0.013, scatter=1.2, infusion_s=480.0,
           pulse_s=6.0, pause_s=6.0, residual=0.0301),
)  # fmt: skip
"""Activities and the residuals of resin and glass are published (Hoang 2019: medians 3.01 and 0.61 %); 13 kcps is 150
MBq at 90 cps/MBq, 1 kcps the hybrid C-arm at (0.6-1.5)e-5 counts per decay (Beijst 2016), whose FWHM is 15-19 mm;
the 20 % loss at 0.7 GBq of 166Ho is published. Rates of 166Ho (from the ratio of the gamma yields) and 90Y (4
cps/MBq), scatter, attenuation and durations are assumptions."""


def source_named(name: str) -> Source:
    """The source of that name.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    for found in SOURCES:
        if found.name == name:
            return found
    raise UnknownNameError("source", name, [one.name for one in SOURCES])


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A setup with its pictures.

    Attributes
    ----------
    setup : Setup
        Of the injection.
    images : ndarray, shape (regions, 128, 128)
        Expected counts per second and becquerel of each region.
    mask : ndarray of int, shape (128, 128)
        Region that each pixel is counted for.
    pixel_mm : float
        Edge of a pixel.
    patient : VirtualPatient
        On the table.
    """

    setup: Setup
    images: Array
    mask: NDArray[np.int64]
    pixel_mm: float
    patient: VirtualPatient


def scene(
    source: Source, *, seed: int = 7, branch: str = "right hepatic", doubts: Doubts = Doubts(), spacing_mm: float = 8.0,
    moved_mm: tuple[float, float] = (0.0, 0.0), patient: VirtualPatient | None = None,
) -> Scene:  # fmt: skip
    """A virtual patient treated through a branch of the arterial tree, before a camera.

    Parameters
    ----------
    source : Source
        What is injected.
    seed : int
        Of the patient.
    branch : str
        Where the catheter lies; what this branch feeds is the target, the other liver is not.
    doubts : Doubts
        How wrong the setup may be.
    spacing_mm : float
        Voxels of the patient.
    moved_mm : tuple of float
        By how much the patient lies to the left and to the head; the masks stay where they were.
    patient : VirtualPatient, optional
        Instead of one of that seed.
    """
    treatment = Treatment(
        nuclide=source.nuclide, agent=source.agent, administered_bq=source.activity_bq, catheters=(branch,)
    )
    if patient is None:
        settings = PatientSettings(
            seed=seed, treatment=treatment, ct=VirtualCtOptions(spacing_mm=spacing_mm), tumours=2
        )
        patient = virtual_patient(settings)
    shares = _distributions(patient, branch)
    camera = PlanarCamera(name=source.title, sensitivity_cps_per_bq=1.0, fwhm_mm=source.fwhm_mm,
                          attenuation_per_mm=source.attenuation_per_mm, scatter=source.scatter)  # fmt: skip
    still = region_images(shares, patient.density, camera)
    mask = masks_of(still, dict(zip(shares, ROLES, strict=True)))
    images = region_images(shares, patient.density, camera, moved_mm=moved_mm) if any(moved_mm) else still
    expected = expected_shares(patient)
    scale = source.complete_cps / (float((response_of(still, mask) @ expected).sum()) * source.activity_bq)
    response = response_of(still, mask) * scale
    pixels = np.bincount(mask.ravel(), minlength=len(shares)) / mask.size
    tau = 0.0
    if source.loss_at_bq is not None:
        # exp(-n tau) = 0.8 at the rate of that activity.
        tau = -np.log(0.8) / (source.complete_cps * source.loss_at_bq / source.activity_bq)
    setup = Setup(
        tuple(shares), ROLES, response, source.complete_cps * BACKGROUND_SHARE * pixels,
        nuclide(source.nuclide).half_life_s, source.activity_bq, source.infusion_s, expected, tau_s=float(tau),
        goal_bq=0.85 * float(expected[0]) * source.activity_bq,
        limits_bq={name: 2 * float(expected[n]) * source.activity_bq for n, name in ((2, "lungs"), (1, "liver"))},
        residual=source.residual, doubts=doubts,
    )  # fmt: skip
    return Scene(setup, np.stack(list(images.values())) * scale, mask, camera.pixel_mm, patient)


OTHER_LIVER = 0.08
"""Of the activity that reaches liver which the catheter does not feed, through shunts in the liver (assumption)."""


def expected_shares(patient: VirtualPatient) -> Array:
    """Share of the activity for target, other liver, lungs, guards and the rest, as planned."""
    lungs = patient.treatment.lung_shunt
    return np.array([1 - lungs - OTHER_LIVER - OUTSIDE_SHARE, OTHER_LIVER, lungs, 0.0, OUTSIDE_SHARE])


def _distributions(patient: VirtualPatient, branch: str) -> dict[str, Array]:
    """Where one becquerel of each region is, on the grid of the images."""
    grid = patient.grid
    reached = patient.territory(branch).full().astype(np.float64)
    liver = patient.regions["liver"].full().astype(np.float64)
    uptake = patient.activity().values.astype(np.float64)
    lungs = sum(
        (patient.regions[name].full().astype(np.float64) for name in ("lung left", "lung right")), np.zeros(grid.shape)
    )
    guards = sum(
        (patient.regions[name].full().astype(np.float64) for name in GUARDS if name in patient.regions),
        np.zeros(grid.shape),
    )
    body = patient.regions["body"].full().astype(np.float64)
    found = {
        "target": uptake * reached,
        "liver": np.clip(liver - reached, 0, 1),
        "lungs": lungs,
        "guard": np.clip(guards - liver, 0, 1),
        "outside": np.clip(body - liver - lungs - guards, 0, 1),
    }
    return {name: values / values.sum() for name, values in found.items()}
