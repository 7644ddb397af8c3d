"""Run the study of docs/pet-study.md: 90Y PET of a phantom and a patient of known truth, simulated and reconstructed.

Run: ``python tools/studies/pet_study.py FOLDER PART [--scanner mct] [--quick]``, PART one of

- ``pool``: follow positrons into coincidences, one chunk of some hundred thousand trues at a time (minutes each)
- ``high``: all chunks of a scanner as one list through the whole reconstruction; ``--untimed`` without time of flight
- ``clinical``: 20 noise realisations of 0.17 M trues and 0.68 M randoms, by method, with and without time of flight
- ``week``: 3 GBq and what is left of it after up to seven days, by scanner, with and without time of flight
- ``patient``: PET of the virtual patient, and its dose beside the truth and, where it is there, that of SPECT

Every image leaves its numbers in a file in FOLDER and is not made again: a part that was stopped, or that
``--minutes`` of processor time ended, goes on where it was. ``python tools/studies/pet_study_page.py FOLDER`` writes
the page of what is there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.phantoms.objects import NEMA_SPHERES_MM, nema_grid, nema_phantom
from hepatica.anatomy.virtual_patient import (
    PatientSettings,
    Treatment,
    Tumour,
    VirtualCtOptions,
    VirtualPatient,
    virtual_patient,
)
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.resample import resample, resample_region
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import Efficiency, sensitivity, survival
from hepatica.imaging.pet.followed import CoincidenceSimulator, Followed
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.list_mode import ListData, ListIterations, reconstruct_list
from hepatica.imaging.pet.randoms import drawn_randoms, expected_randoms, number_of_randoms, own_singles_cps
from hepatica.imaging.pet.reconstruct.model_lines import DrawnLines, drawn_model_lines
from hepatica.imaging.pet.reconstruction import PetModel, annihilation_attenuation, body_on, reconstruct_frame
from hepatica.imaging.pet.run import Run
from hepatica.imaging.pet.scanner import Scanner, scanner
from hepatica.imaging.pet.scatter import expected_scatter
from hepatica.imaging.spect.montecarlo.patient import Patient, patient_from_density
from hepatica.nuclides import nuclide
from hepatica.transport.matter.media import density_from_hu

Float32 = NDArray[np.float32]
Y90 = nuclide("Y-90")
RATIO = 8.0
"""Concentration in the spheres over that around them, as in QUEST (Willowson et al., EJNMMI Phys 2015;2:28)."""
NEMA_MIDDLE_MM = -27.0
"""LPS z of the phantom's middle, where the scanner's middle is put."""
CHUNK = {"nema": 58_000_000, "patient": 40_000_000}
"""Positrons: enough for a frame of 10 minutes of 3 GBq, of the patient of 2 GBq."""
TRUES, RANDOMS = 170_000, 680_000
"""3 GBq in 20 min as QUEST's randoms fraction of 80 % and a true rate of 140 cps have it."""
FRAME_S = 600.0
METHODS: Mapping[str, ListIterations] = {
    "OSEM": ListIterations(3, 12),
    "WLS": ListIterations(8, 1, "wls"),
    "AML": ListIterations(3, 12, "aml"),
    "BSREM": ListIterations(8, 12, "bsrem", prior_strength=0.05),
}
REALISATIONS = {"OSEM": 20, "WLS": 20, "AML": 10, "BSREM": 5}
LUNG, LUNG_AWAY_MM, LUNG_SEEN_MM, COVERED = "right lung in the bed", 20.0, 90.0, 0.5
"""Part of the lung that is measured: its distance from the liver, and from the middle of the bed along the axis."""
INSERT_ROI_MM = 30.0
"""NEMA NU 2-2018, section 7: the lung insert is measured in a circle of 30 mm on its axis."""


@dataclass(frozen=True)
class Asked:
    """How much is asked for, and whether time of flight is left unused (`untimed`, of `high`).

    `lists` is the number of noise realisations of each activity (None: as many as the part has), `minutes` of processor
    time after which no new image is begun.
    """

    methods: tuple[str, ...]
    lists: int | None = None
    minutes: float = float("inf")
    quick: bool = False
    untimed: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.process_time() > 60 * self.minutes


@dataclass(frozen=True)
class Scene:
    """A known activity: matter, activity of 1 Bq/mL or of 1 Bq in all, regions, voxels of the image, the bed."""

    patient: Patient
    activity: Volume
    regions: Mapping[str, Region]
    grid: Grid
    bed_mm: float


@cache
def nema_scene() -> Scene:
    """NEMA IEC body phantom: background of 1 Bq/mL, spheres of 8."""
    phantom = nema_phantom(nema_grid((2.0, 2.0, 2.0)))
    filled = {"background": 1.0} | {f"sphere {d:g} mm": RATIO for d in NEMA_SPHERES_MM}
    grid = nema_grid((4.0, 4.0, 4.0))
    regions = {key: resample_region(region, grid) for key, region in phantom.regions.items()}
    matter = patient_from_density(density_from_hu(phantom.hu), voxel_mm=4.0)
    return Scene(matter, phantom.activity(filled, time=None), regions, grid, NEMA_MIDDLE_MM)


@cache
def study_patient() -> VirtualPatient:
    """Right lobe treated: tumours of 45, 35 and 22 mm at T/N 4, lung shunt 5 % (the patient of docs/spect-study.md)."""
    tumours = (Tumour(45.0, segment=6), Tumour(35.0, segment=8), Tumour(22.0, segment=5))
    treated = Treatment(tumour_to_normal=4.0, lung_shunt=0.05)
    return virtual_patient(
        PatientSettings(seed=11, tumours=tumours, treatment=treated, ct=VirtualCtOptions(spacing_mm=3.0))
    )


@cache
def patient_scene() -> Scene:
    """The virtual patient, the scanner at the liver; of the right lung what the bed sees well, apart from the liver."""
    made = study_patient()
    activity = made.activity()
    one = activity.with_values(activity.values / np.float32(activity.total), Kind.ACTIVITY)
    whole = made.regions["liver"]
    lesions = {key: region for key, region in made.regions.items() if key.startswith("tumour")}
    liver = whole
    for lesion in lesions.values():
        liver = liver - lesion
    middle = float(whole.grid.to_mm([[(s.start + s.stop) / 2 for s in whole.window]])[0, 2])
    grid = made.hu.grid.with_spacing((4.0, 4.0, 4.0))
    regions = {**lesions, "normal liver": liver, LUNG: lung_in_bed(made.regions["lung right"], whole, middle)}
    regions = {key: resample_region(region, grid) for key, region in regions.items()}
    matter = patient_from_density(density_from_hu(made.hu), voxel_mm=4.0)
    return Scene(matter, one, regions, grid, middle)


def lung_in_bed(lung: Region, liver: Region, bed_mm: float) -> Region:
    """Part of the lung that is well inside the bed, and not beside the liver, of which it would hold a share."""
    from scipy.ndimage import distance_transform_edt

    grid = lung.grid
    away = distance_transform_edt(liver.full() < COVERED, sampling=grid.spacing_mm)
    z = grid.origin_mm[2] + grid.spacing_mm[2] * np.arange(grid.shape[2])
    seen = np.abs(z - bed_mm) < LUNG_SEEN_MM
    return Region.from_coverage(LUNG, grid, lung.full() * (away > LUNG_AWAY_MM) * seen)


SCENES = {"nema": nema_scene, "patient": patient_scene}


# ---------------------------------------------------------------------------------------------------------------------
# What the scanner sees


@dataclass(frozen=True)
class Pool:
    """Coincidences of so many positrons, from which frames are drawn; singles per positron of each crystal."""

    seen: Followed
    positrons: float
    bremsstrahlung: NDArray[np.float64]


def add_chunk(folder: Path, what: str, of: Scanner, number: int, positrons: float) -> None:
    """Follow one chunk."""
    scene, started = SCENES[what](), time.monotonic()
    scale = positrons / Y90.positron_yield / float(scene.activity.values.sum(dtype=np.float64))
    decays = scene.activity.with_values(scene.activity.values * np.float32(scale), Kind.DECAYS)
    run = Run(seed=10 + number, threads=1)
    simulator = CoincidenceSimulator(of, scene.patient, Y90, bed_mm=scene.bed_mm, run=run)
    seen = simulator.frame(decays, 1.0)
    electrons = simulator.bremsstrahlung_cps(decays, 1.0, electrons=400_000)
    e = seen.events
    np.savez(
        chunk_file(folder, what, of, number), first=e.first, second=e.second, tof=e.tof_bin, scattered=seen.scattered,
        singles=seen.singles_cps, brems=electrons, positrons=positrons,
    )  # fmt: skip
    trues = int((~seen.scattered).sum())
    print(f"{what} {of.name} {number}: {trues} trues, {len(e) - trues} scattered, {time.monotonic() - started:.0f} s")


def chunk_file(folder: Path, what: str, of: Scanner, number: int) -> Path:
    """Where a chunk lies."""
    short = "".join(c for c in of.name.lower() if c.isalnum())
    return folder / f"pool-{what}-{short}-{number}.npz"


def pool_of(folder: Path, what: str, of: Scanner) -> Pool:
    """All chunks of a scene and scanner."""
    files = [f for n in range(1, 100) if (f := chunk_file(folder, what, of, n)).exists()]
    if not files:
        raise SystemExit(f"no chunk of {what} for {of.name}: run `pool` first")
    kept = [dict(np.load(f)) for f in files]
    lists = {key: np.concatenate([k[key] for k in kept]) for key in ("first", "second", "tof", "scattered")}
    bed = SCENES[what]().bed_mm
    events = Coincidences(of, lists["first"], lists["second"], lists["tof"], 1.0, bed)
    positrons = float(sum(k["positrons"] for k in kept))
    singles, brems = (sum(k[key] for k in kept) / positrons for key in ("singles", "brems"))
    return Pool(Followed(events, lists["scattered"], singles), positrons, brems)


def drawn_frame(pool: Pool, positrons: float, duration_s: float, seed: int, *, randoms: float | None = None) -> Frame:
    """A frame of so many positrons drawn from a pool, and the randoms of its singles.

    With `randoms` the singles are scaled so that so many are expected.
    """
    rng, events = np.random.default_rng([seed, 5]), pool.seen.events
    share = positrons / pool.positrons
    if share > 1:
        raise SystemExit(f"a frame of {positrons:.3g} positrons needs {share:.2f} times the pool: add chunks")
    chosen = np.flatnonzero(rng.random(len(events)) < share)
    per_second = positrons / duration_s
    singles = (pool.seen.singles_cps + pool.bremsstrahlung) * per_second + own_singles_cps(events.scanner)
    if randoms is not None:
        singles = singles * np.sqrt(randoms / number_of_randoms(events.scanner, singles, duration_s))
    random = drawn_randoms(events.scanner, singles, duration_s, bed_mm=events.bed_mm, seed=seed)
    parts = [events.taken(chosen), random]
    kinds = np.concatenate([pool.seen.scattered[chosen].astype(np.uint8), np.full(len(random), 2, np.uint8)])
    order = rng.permutation(len(kinds))
    first, second, tof = (
        np.concatenate([getattr(p, key) for p in parts])[order] for key in ("first", "second", "tof_bin")
    )
    return Frame(Coincidences(events.scanner, first, second, tof, duration_s, events.bed_mm), singles, kinds[order])


# ---------------------------------------------------------------------------------------------------------------------
# Images


class Imager:
    """Reconstructs frames of one scene and scanner with one sensitivity; scatter is that of the pool, by weight."""

    def __init__(self, folder: Path, what: str, of: Scanner, *, timed: bool = True) -> None:
        self.scene, self.pool = SCENES[what](), pool_of(folder, what, of)
        used = of if timed else of.untimed
        bed, grid = self.scene.bed_mm, self.scene.grid
        self.timed, self.body = timed, body_on(self.scene.patient, grid)
        self.projector = LineProjector(used, grid, bed, 4.5, threads=1)
        self.matter = LineProjector(of.untimed, self.scene.patient.grid, bed, 0.0, threads=1)
        self.mu = annihilation_attenuation(self.scene.patient)
        self.efficiency = Efficiency.modelled(used)
        stored = folder / f"sensitivity-{what}-{chunk_file(folder, what, of, 0).stem}.npy"
        if not stored.exists():
            seen = sensitivity(self.efficiency, self.projector, self.survives, within=self.body)
            print(f"sensitivity of {of.name}: a voxel is known to {100 * seen.relative_sd:.1f} %")
            np.save(stored, seen.image)
        self.sensitivity = np.load(stored)

    @cached_property
    def lines(self) -> DrawnLines:
        """Lines of the model, which least squares need."""
        return drawn_model_lines(
            self.efficiency, self.projector, self.survives, within=self.body, seen=self.sensitivity, duration_s=FRAME_S
        )

    def survives(self, events: Coincidences) -> Float32:
        """Share of pairs that leave the scene."""
        return survival(self.mu, self.matter, events)

    def data(self, frame: Frame, weight: float, methods: Iterable[str]) -> ListData:
        """A frame's list; `weight`: its positrons over those of the pool. Only WLS needs lines of the model."""
        events, seen = frame.prompts, self.pool.seen
        if not self.timed:
            events = events.without_time_of_flight()
            seen = replace(seen, events=seen.events.without_time_of_flight())
        background = expected_randoms(events, frame.singles_cps)
        background += expected_scatter(events, seen, self.efficiency, weight)
        able = self.efficiency.of(events.first, events.second) * self.survives(events)
        if "WLS" not in methods:
            return ListData(events, background / able, self.sensitivity)
        model = expected_randoms(self.lines.lines, frame.singles_cps)
        model += expected_scatter(self.lines.lines, seen, self.efficiency, weight)
        return ListData(events, background / able, self.sensitivity, self.lines.with_background(model))


def measured(image: Float32, scene: Scene, positrons: float, seen: Float32) -> dict[str, float]:
    """Ratios to the truth of the NEMA phantom on the same voxels, from annihilations per mm^3 of so many positrons.

    The total is that of the voxels that the scanner sees at least a tenth as well as the best one of
    their column along the axis.
    """
    truth = resample(scene.activity, scene.grid, "total").values.astype(np.float64)
    shown = image.astype(np.float64) * float(np.prod(scene.grid.spacing_mm)) / positrons * truth.sum()
    core = scene.regions["core"]
    within = seen > 0.1 * seen.max(axis=2, keepdims=True)
    inside = shown[core.window][core.coverage > 0.99]
    found = {
        "total": float(shown[within].sum() / truth[within].sum()),
        "background": mean_in(shown, core) / mean_in(truth, core),
        "background_cov": float(inside.std() / inside.mean()),
        "insert": float(shown[cold(scene.grid)].mean()) / mean_in(truth, core),
    }
    for d in NEMA_SPHERES_MM:
        region = scene.regions[f"sphere {d:g} mm"]
        level, perfect = mean_in(truth, core), mean_in(truth, region)
        found[f"sphere {d:g}"] = mean_in(shown, region) / perfect
        found[f"contrast {d:g}"] = (mean_in(shown, region) - mean_in(shown, core)) / (perfect - level)
    return found


def cold(grid: Grid) -> NDArray[np.bool_]:
    """Voxels in a circle of 30 mm on the axis of the NEMA phantom's insert, 25 mm and more from its ends."""
    x, y, z = (grid.origin_mm[a] + grid.spacing_mm[a] * np.arange(grid.shape[a]) for a in range(3))
    inside = np.hypot(x[:, None], y[None, :]) < INSERT_ROI_MM / 2
    return inside[:, :, None] & (np.abs(z - NEMA_MIDDLE_MM) < 72)


def mean_in(values: NDArray[np.float64], region: Region) -> float:
    """Mean over a region by covered share."""
    weight = region.coverage.astype(np.float64)
    return float((values[region.window] * weight).sum() / weight.sum())


# ---------------------------------------------------------------------------------------------------------------------
# Parts


def run_high(folder: Path, of: Scanner, asked: Asked) -> dict[str, Any]:
    """All of a pool with as many randoms as trues, through the whole reconstruction, beside what is there of others."""
    scene, pool = nema_scene(), pool_of(folder, "nema", of)
    model = PetModel(time_of_flight=not asked.untimed)
    trues = int((~pool.seen.scattered).sum())
    frame = drawn_frame(pool, pool.positrons, FRAME_S, 1, randoms=trues)
    found: dict[str, Any] = {"trues": trues, "randoms": trues}
    for name in asked.methods:
        chosen = replace(METHODS[name], iterations=1) if asked.quick else METHODS[name]
        image = reconstruct_frame(frame, scene.patient, Y90, scene.grid, chosen, model=model, run=Run(threads=1))
        seconds = FRAME_S * decay_share(FRAME_S)
        annihilations = image.activity.values * np.float32(Y90.positron_yield * seconds / 1000)
        found[name] = measured(annihilations, scene, pool.positrons, image.sensitivity.image)
        found["scatter"], found["expected randoms"] = image.scatter, image.randoms
        np.save(folder / f"high-{name}-{asked.untimed}.npy", image.activity.values)
        print(name, found[name], image.sensitivity.relative_sd, flush=True)
    file = folder / "results.json"
    before = json.loads(file.read_text()).get("high", {}) if file.exists() else {}
    return {**before, f"{of.name}|{'non-TOF' if asked.untimed else 'TOF'}": found}


def decay_share(duration_s: float) -> float:
    """Decays of a frame over activity at its start times its duration."""
    rate = np.log(2) / Y90.half_life_s
    return float(-np.expm1(-rate * duration_s) / (rate * duration_s))


def run_clinical(folder: Path, of: Scanner, asked: Asked) -> dict[str, Any]:
    """Noise realisations of clinical counts."""
    found: dict[str, Any] = {}
    for timed in (True, False):
        imager = Imager(folder, "nema", of, timed=timed)
        share = TRUES / float((~imager.pool.seen.scattered).sum())
        positrons = imager.pool.positrons * share
        for number in range(20 if asked.lists is None else asked.lists):
            wanted = [m for m in asked.methods if number < REALISATIONS[m] and (timed or m in ("OSEM", "WLS"))]
            missing = [name for name in wanted if not realisation_file(folder, name, timed, number).exists()]
            if not missing or asked.is_over:
                continue
            frame = drawn_frame(imager.pool, positrons, FRAME_S, 100 + number, randoms=RANDOMS)
            data = imager.data(frame, share, missing)
            for name in missing:
                image = reconstruct_list(data, imager.projector, METHODS[name], within=imager.body)
                row = measured(image, imager.scene, positrons, imager.sensitivity)
                realisation_file(folder, name, timed, number).write_text(json.dumps(row))
                if number == 0:
                    np.save(folder / f"clinical-{name}-{timed}.npy", image)
                print(timed, number, name, {k: round(v, 3) for k, v in row.items()}, flush=True)
        for name in METHODS:
            files = [realisation_file(folder, name, timed, n) for n in range(20)]
            rows = [json.loads(f.read_text()) for f in files if f.exists()]
            if rows:
                found[f"{name}, {'TOF' if timed else 'non-TOF'}"] = summary(rows)
    return found


def realisation_file(folder: Path, name: str, timed: bool, number: int) -> Path:
    """Where the numbers of a realisation lie."""
    return folder / f"clinical-{name}-{timed}-{number}.json"


def summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Mean and standard deviation of every number."""
    keys = rows[0] if rows else ()
    values = {key: [row[key] for row in rows] for key in keys}
    return {
        "realisations": len(rows),
        "mean": {key: float(np.mean(v)) for key, v in values.items()},
        "sd": {key: float(np.std(v, ddof=1)) if len(v) > 1 else 0.0 for key, v in values.items()},
    }


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("part", choices=("pool", "high", "clinical", "week", "patient"))
    parser.add_argument("--scanner", default="biograph_mct")
    parser.add_argument("--object", default="nema", choices=tuple(SCENES), help="of the pool")
    parser.add_argument("--chunk", type=int, default=1, help="number of the chunk that is added to the pool")
    parser.add_argument("--positrons", type=float, help="of the chunk")
    parser.add_argument("--methods", default="OSEM,WLS", help=f"of {', '.join(METHODS)}, separated by commas")
    parser.add_argument("--lists", type=int, help="noise realisations, in place of as many as the part has")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="of processor time, then no more images")
    parser.add_argument("--untimed", action="store_true", help="high: leave the time of flight unused")
    parser.add_argument("--quick", action="store_true", help="few positrons and iterations, to see that it runs")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    of = scanner(given.scanner)
    if given.part == "pool":
        number = given.positrons or (2e6 if given.quick else CHUNK[given.object])
        if not chunk_file(given.folder, given.object, of, given.chunk).exists():
            add_chunk(given.folder, given.object, of, given.chunk, number)
        return
    asked = Asked(tuple(given.methods.split(",")), given.lists, given.minutes, given.quick, given.untimed)
    file = given.folder / "results.json"
    made = part_of(given.folder, given.part, of, asked)
    results = json.loads(file.read_text()) if file.exists() else {}
    results[given.part] = made
    file.write_text(json.dumps(results, indent=1))
    print(f"{given.part}: {file}")


def part_of(folder: Path, part: str, of: Scanner, asked: Asked) -> dict[str, Any]:
    """Numbers of a part."""
    if part == "high":
        return run_high(folder, of, asked)
    if part == "clinical":
        return run_clinical(folder, of, asked)
    if part == "week":
        from pet_study_week import run_week

        return run_week(folder, asked)
    from pet_study_patient import run_patient

    return run_patient(folder, of, asked)


if __name__ == "__main__":
    main()
