"""Measure planar biodistributions of virtual patients whose truth is known: errors of the shares, and coverage.

Run: ``python tools/studies/planar_study.py --agent lipiodol --patients 8 --repeats 10 --method montecarlo --histories
1e6``.

The truths are those of the literature: 131I-lipiodol with 61 % in tumours, 23 % in liver and 16 % in lungs (Becker),
188Re-SSS with 74.9 % in tumours, 15.8 % in liver and 9.3 % in lungs (Delaunay). Every patient has another body, liver,
tumours and tree. Views are simulated once without noise; each repeat draws Poisson noise and moves every input of the
measurement (attenuation, scatter, position, borders, width of the response, uneven uptake) at random by what its
uncertainty says, so that the share of 95 % intervals that hold the truth is a test of the whole chain.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.structures.kinds import Structure
from hepatica.anatomy.virtual_patient import Treatment, VirtualCtOptions, VirtualPatient, virtual_patient
from hepatica.anatomy.virtual_patient.settings import AnatomyOptions, PatientSettings, Tumour
from hepatica.errors import HepaticaError, InputError
from hepatica.imaging.planar.attenuation import photon_energy_kev
from hepatica.imaging.planar.from_ct.montecarlo import MARGIN_MM, PlanarMonteCarloOptions, organ_response
from hepatica.imaging.planar.from_ct.projected import ProjectedMeasurement, fitted_fwhm, projected_rates
from hepatica.imaging.planar.from_ct.projection import REST, place_of_ct
from hepatica.imaging.planar.measure import CtModel, ct_model, grouped
from hepatica.imaging.planar.options import PlanarCountsOptions, PlanarUncertaintyOptions
from hepatica.imaging.planar.organs import STILL, Move, organs_of, share_interval
from hepatica.imaging.planar.rates import count_rates
from hepatica.imaging.planar.simulate import PlanarScanOptions, SimulatedViews, planar_views
from hepatica.imaging.planar.views import frozen
from hepatica.imaging.spect.camera.cameras import gamma_camera
from hepatica.imaging.spect.scan import MonteCarloScanOptions
from hepatica.nuclides import nuclide
from hepatica.transport.runner.settings import StoppingOptions

AGENTS = {
    "lipiodol": ("I-131", 0.16, 0.61, 0.23, "siemens-hegp", ()),
    "sss": ("Re-188", 0.093, 0.749, 0.158, "siemens-hegp", ()),
    "holmium": ("Ho-166", 0.05, 0.65, 0.30, "siemens-megp", ()),
    "yttrium": ("Y-90", 0.05, 0.65, 0.30, "siemens-hegp", ()),
}
"""Nuclide; lungs, tumours and liver of the administered activity; camera; windows beside the usual ones."""

PIXEL_MM = 6.0
DISTANCE_MM = 240.0
ORGANS = ("liver", "lungs", "all tumours")
SHUNT = "lung shunt"


@dataclass(frozen=True, slots=True, eq=False)
class Disturbed(ProjectedMeasurement):
    """A measurement whose inputs are wrong by a known amount."""

    base: Move = STILL

    def seen(self, move: Move) -> Any:
        """Templates with both moves."""
        both = replace(
            move,
            attenuation=move.attenuation * self.base.attenuation,
            width_mm=move.width_mm + self.base.width_mm,
            shift_mm=tuple(a + b for a, b in zip(move.shift_mm, self.base.shift_mm, strict=True)),  # type: ignore[arg-type]
        )
        return super(Disturbed, self).seen(both)

    def fit(self, move: Move, seen: Any) -> Any:
        """The fit with both moves."""
        borders = dict(self.base.border_mm)
        for name, outward in move.border_mm.items():
            borders[name] = borders.get(name, 0.0) + outward
        both = replace(move, scatter=move.scatter * self.base.scatter, border_mm=borders)
        return super(Disturbed, self).fit(both, seen)


def patient_of(agent: str, seed: int) -> VirtualPatient:
    """A patient with the agent's shares; tumours, sex, size and tree by the seed."""
    name, lungs, tumour, liver, _, _ = AGENTS[agent]
    draw = np.random.default_rng([seed, 77])
    sizes = draw.uniform(35, 75), draw.uniform(20, 45)
    tumours = (Tumour(float(sizes[0]), 8), Tumour(float(sizes[1]), 4))
    anatomy = AnatomyOptions(sex=("male", "female")[seed % 2], size=float(draw.uniform(0.94, 1.06)))

    def made(ratio: float) -> VirtualPatient:
        treatment = Treatment(nuclide=name, catheters=("proper hepatic",), lung_shunt=lungs, tumour_to_normal=ratio)
        ct = VirtualCtOptions(spacing_mm=(PIXEL_MM,) * 3)
        return virtual_patient(PatientSettings(seed=seed, tumours=tumours, anatomy=anatomy, ct=ct, treatment=treatment))

    first = made(4.0)
    held = first.balance()
    return made(4.0 * (tumour / liver) * held["liver"] / held["tumour"])


def views_of(patient: VirtualPatient, agent: str, method: str, histories: int) -> SimulatedViews:
    """Expected counts of both views."""
    name, _, _, _, camera, more = AGENTS[agent]
    montecarlo = MonteCarloScanOptions()
    if method == "montecarlo":
        montecarlo = MonteCarloScanOptions(stopping=StoppingOptions(histories=histories), skip_spectrum=True)
    scan = PlanarScanOptions(
        method=method, pixel_mm=PIXEL_MM, columns=72, noise_free=True, frame_duration_s=300.0,  # type: ignore[arg-type]
        extra_energy_windows=more if method == "montecarlo" else (), distance_mm=DISTANCE_MM,
    )  # fmt: skip
    return planar_views(
        patient.activity(), patient.ct, camera=gamma_camera(camera), nuclide=nuclide(name), scan=scan,
        montecarlo=montecarlo,
    )  # fmt: skip


def organs_in(patient: VirtualPatient) -> tuple[dict[str, Any], dict[str, Structure]]:
    """Structures that are looked for, and what each is."""
    regions = {n: r for n, r in patient.regions.items() if n.startswith("tumour") and "necrosis" not in n}
    roles = dict.fromkeys(regions, Structure.TUMOUR)
    for name, role in (
        ("liver", Structure.LIVER),
        ("lung left", Structure.LUNG_LEFT),
        ("lung right", Structure.LUNG_RIGHT),
    ):
        regions[name], roles[name] = patient.regions[name], role
    return regions, roles


def truth_of(patient: VirtualPatient) -> dict[str, float]:
    """Shares by where the agent lodged, of patients whose agent lies wholly in the field.

    A voxel at a border holds activity of one side; counted by covered voxels a tumour of four voxels' radius would lose
    a sixth of what lodged in it.

    Raises
    ------
    InputError
        If some lies outside the field.
    """
    held, total = patient.balance(), patient.treatment.activity_bq
    if abs(patient.activity().total / total - 1) > 0.002:
        raise InputError("part of the agent lies outside the field of the images")
    tumour, lungs = held["tumour"] / total, held["lungs"] / total
    return {"all tumours": tumour, "lungs": lungs, "liver": tumour + held["liver"] / total}


def measured(
    model: CtModel,
    rates: Any,
    offset: tuple[float, float],
    base: Move,
    uncertainty: PlanarUncertaintyOptions,
    uneven: Any = 1.0,
) -> tuple[dict[str, Any], float, tuple[float, float]]:
    """Organs by name, the lung shunt without attenuation correction, and the shunt with its standard uncertainty."""
    measurement = Disturbed(rates, model.body, offset, 0.0, base=base, response=model.response)
    measurement = replace(measurement, fwhm_mm=fitted_fwhm(measurement))
    parts, fit, seen = projected_rates(measurement, uncertainty)
    parts = replace(parts, cps=parts.cps * uneven)
    groups, what = grouped(model.roles)
    groups[REST], what[REST] = (REST,), "remainder"
    summed = parts.summed(groups)
    found = organs_of(summed, what, ("lungs", "liver", REST))
    shunt, sds = summed.ratio("lungs", ("lungs", "liver"))
    counted = fit.cps[:, None] * seen.templates.sum(axis=(2, 3))
    index = {name: n for n, name in enumerate(fit.names)}
    bare = {
        name: math.sqrt(float(np.prod(counted[[index[m] for m in groups[name]]].sum(axis=0))))
        for name in ("lungs", "liver")
    }
    uncorrected = bare["lungs"] / (bare["lungs"] + bare["liver"])
    return {organ.name: organ for organ in found}, uncorrected, (shunt, math.hypot(*sds.values()))


def random_move(draw: np.random.Generator, names: tuple[str, ...], u: PlanarUncertaintyOptions) -> Move:
    """Every input moved by what its uncertainty says."""
    return Move(
        attenuation=1 + u.attenuation_sd * draw.standard_normal(),
        scatter=1 + u.scatter_sd * draw.standard_normal(),
        width_mm=u.resolution_sd_mm * draw.standard_normal(),
        shift_mm=(u.position_sd_mm * draw.standard_normal(), u.position_sd_mm * draw.standard_normal()),
        border_mm={name: u.border_sd_mm * draw.standard_normal() for name in names if name != REST},
    )


def one_patient(agent: str, seed: int, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Errors and coverage of one patient."""
    patient = patient_of(agent, seed)
    seen = views_of(patient, agent, asked.method, int(asked.histories))
    chosen = nuclide(AGENTS[agent][0])
    uncertainty = PlanarUncertaintyOptions()
    draw = np.random.default_rng([seed, 5])
    regions, roles = organs_in(patient)
    energy = photon_energy_kev(chosen, seen.views.windows[0])
    simulated = asked.scatter == "mc"
    model = ct_model(
        patient.ct, patient.regions["body"], regions, roles, energy_kev=energy, pixel_mm=seen.views.pixel_mm,
        mu_scale=1.0, margin_mm=MARGIN_MM if simulated else 0.0,
    )  # fmt: skip
    if simulated:
        # Where the heads stand is known to its uncertainty only.
        own = PlanarMonteCarloOptions(camera=asked.assumed or AGENTS[agent][4], seed=seed + 1)
        own = replace(own, distance_mm=DISTANCE_MM + own.distance_sd_mm * draw.standard_normal())
        model = replace(model, response=organ_response(
            patient.ct, model.body, mu_scale=1.0, nuclide=chosen, window=seen.views.windows[0], options=own,
        ))  # fmt: skip
    truth = truth_of(patient)
    true_shunt = truth["lungs"] / (truth["lungs"] + truth["liver"])
    rows = []
    for repeat in range(asked.repeats):
        noisy = frozen(seen.views, draw.poisson(seen.views.counts).astype(np.float64))
        counts = PlanarCountsOptions(planar_scatter=asked.scatter if asked.method == "montecarlo" else "none")
        rates = count_rates(noisy, 0, counts, half_life_s=chosen.half_life_s)
        still = ProjectedMeasurement(rates, model.body, (0.0, 0.0), 0.0, response=model.response)
        offset, _ = place_of_ct(rates.net, still.projected())
        base = STILL if repeat == 0 else random_move(draw, model.body.names, uncertainty)
        uneven = 1.0 if repeat == 0 else 1 + uncertainty.uniformity_sd * draw.standard_normal(len(model.body.names))
        found, bare, (shunt, shunt_sd) = measured(model, rates, offset, base, uncertainty, uneven)
        row: dict[str, Any] = {
            "seed": seed,
            "repeat": repeat,
            "shunt_ratio_uncorrected": bare / true_shunt,
        }
        low, high = share_interval(shunt, shunt_sd)
        row[SHUNT] = {"true": true_shunt, "found": shunt, "sd": shunt_sd, "held": bool(low <= true_shunt <= high)}
        for name in ORGANS:
            organ = found[name]
            row[name] = {"true": truth[name], "found": organ.share.value, "sd": organ.share.sd,
                         "held": bool(organ.share_95[0] <= truth[name] <= organ.share_95[1])}  # fmt: skip
        rows.append(row)
    return rows


def main() -> None:
    """Run the patients and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agent", choices=tuple(AGENTS), default="lipiodol")
    parser.add_argument("--patients", type=int, default=8)
    parser.add_argument("--first", type=int, default=1, help="seed of the first patient")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--method", choices=("analytic", "montecarlo"), default="montecarlo")
    parser.add_argument("--scatter", choices=("auto", "none", "tew", "upper", "mc"), default="auto")
    parser.add_argument("--assumed", help="camera that the correction by Monte Carlo takes in place of the true one")
    parser.add_argument("--histories", type=float, default=1e6)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rows, start = [], time.process_time()
    for seed in range(asked.first, asked.first + asked.patients):
        try:
            rows += one_patient(asked.agent, seed, asked)
        except HepaticaError as error:
            print(f"seed {seed}: left out: {error}", flush=True)
    print(f"{asked.agent}, {asked.method}: {len(rows)} measurements, {time.process_time() - start:.0f} s of processor")
    still = [row for row in rows if row["repeat"] == 0]
    for name in (*ORGANS, SHUNT):
        error = np.array([100 * (row[name]["found"] - row[name]["true"]) for row in still])
        moved = [row for row in rows if row["repeat"] > 0]
        held = np.mean([row[name]["held"] for row in moved]) if moved else math.nan
        z = np.std([(row[name]["found"] - row[name]["true"]) / row[name]["sd"] for row in moved]) if moved else math.nan
        print(
            f"{name}: error {error.mean():+.2f} points (largest {np.abs(error).max():.2f}), relative "
            f"{100 * np.std([r[name]['found'] / r[name]['true'] for r in still]):.1f} % sd; "
            f"covered {100 * held:.1f} %, spread {z:.2f} of the stated"
        )
    every = [row[name]["held"] for row in rows if row["repeat"] > 0 for name in ORGANS]
    if every:
        print(f"all organs: {100 * np.mean(every):.1f} % of {len(every)} intervals hold the truth")
    ratio = np.array([row["shunt_ratio_uncorrected"] for row in still])
    low, middle, high = (100 * (value - 1) for value in (ratio.min(), ratio.mean(), ratio.max()))
    print(f"lung shunt without attenuation correction: {middle:+.0f} % ({low:+.0f} to {high:+.0f} %)")
    if asked.out is not None:
        asked.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
