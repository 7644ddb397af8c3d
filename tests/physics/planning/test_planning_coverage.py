"""Stated 95 % intervals hold the truth 93-97 % of the time, on 1000 simulated patients each.

With 1000 patients and a true coverage of 95 %, the observed one has a standard deviation of 0.7 %: 93-97 % is three of
them. Seeds are fixed, so the result does not change from run to run.
"""

import math

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.nuclides import nuclide
from hepatica.planning.planner.best_activity import Aim, Problem, Uncertainty, dose_intervals
from hepatica.planning.prescriptions.compartments import Lesion, Partition
from hepatica.planning.prescriptions.dose_constants import dose_constant
from hepatica.planning.scout.lung_shunt import (
    PlanarShuntOptions,
    PlanarView,
    SpectShuntOptions,
    planar_lung_shunt,
    spect_lung_shunt,
)
from hepatica.planning.scout.uptake import Uptake, uptake_ratio

PATIENTS = 1000
LOW, HIGH = 0.93, 0.97


@pytest.mark.parametrize(("counts", "shunts"), [(2e5, (0.02, 0.25)), (2e4, (0.03, 0.10))], ids=["usual", "few counts"])
def test_planar_lung_shunt(counts: float, shunts: tuple[float, float]) -> None:
    rng = np.random.default_rng(20260301)
    border, scatter_sd = 0.05, 0.005
    hits = 0
    for _ in range(PATIENTS):
        truth = rng.uniform(*shunts)
        scatter = rng.normal(0.02, scatter_sd)
        liver, lungs = counts * (1 - truth), counts * truth
        # Two views seen through different depths: the geometric mean removes the factor.
        depth = rng.uniform(0.7, 1.4)
        drawn = 1 + border * rng.standard_normal(2)
        views = []
        for factor in (depth, 1 / depth):
            # Drawing errors are those of the region, the same in both views.
            in_liver = rng.poisson(liver * factor * drawn[1] + 1500 * 2.0)
            in_lungs = rng.poisson((lungs * drawn[0] + scatter * liver * drawn[1]) * factor + 2000 * 2.0)
            background = rng.poisson(4000 * 2.0)
            views.append(PlanarView(in_lungs, in_liver, 2000, 1500, background, 4000))
        options = PlanarShuntOptions(scatter_fraction=0.02, scatter_fraction_sd=scatter_sd, border_relative_sd=border)
        out = planar_lung_shunt(views[0], views[1], options)
        assert out.interval_95 is not None
        hits += out.interval_95.low <= truth <= out.interval_95.high
    assert LOW <= hits / PATIENTS <= HIGH


def test_spect_lung_shunt_from_noisy_images() -> None:
    rng = np.random.default_rng(20260302)
    grid = Grid.axial((12, 10, 12), spacing_mm=(9.0, 9.0, 9.0))
    masks = {name: np.zeros(grid.shape) for name in ("liver", "lungs")}
    masks["liver"][2:8, 2:8, 1:6] = 1
    masks["lungs"][2:10, 2:8, 6:11] = 1
    liver, lungs = (Region.from_coverage(name, grid, mask) for name, mask in masks.items())
    n_liver, n_lungs = masks["liver"].sum(), masks["lungs"].sum()
    hits = 0
    for _ in range(PATIENTS):
        truth = rng.uniform(0.02, 0.2)
        scatter = rng.normal(0, 0.004)
        total = 5000.0
        mean = masks["liver"] * total * (1 - truth) / n_liver
        mean += masks["lungs"] * total * (truth + scatter * (1 - truth)) / n_lungs
        image = Volume(grid, rng.poisson(np.maximum(mean, 0)).astype(np.float64), Kind.COUNTS)
        seen = [float((image.values * masks[name]).sum()) for name in ("lungs", "liver")]
        options = SpectShuntOptions(
            border_mm=0.0,
            lung_count_relative_sd=1 / math.sqrt(seen[0]),
            liver_count_relative_sd=1 / math.sqrt(seen[1]),
            residual_scatter_sd=0.004,
        )
        out = spect_lung_shunt(image, lungs, liver, options=options)
        assert out.interval_95 is not None
        hits += out.interval_95.low <= truth <= out.interval_95.high
    assert LOW <= hits / PATIENTS <= HIGH


def test_uptake_ratio() -> None:
    rng = np.random.default_rng(20260303)
    hits = 0
    for _ in range(PATIENTS):
        truth = math.exp(rng.uniform(math.log(1.2), math.log(12)))
        masses = rng.uniform(0.02, 0.4), rng.uniform(0.5, 1.5)
        sds = rng.uniform(0.02, 0.15), rng.uniform(0.02, 0.12), 0.02, 0.05
        e = 1 + np.array(sds) * rng.standard_normal(4)
        lesion = Uptake("lesion", truth * masses[0] * e[0], masses[0] * e[1], sds[0], sds[1])
        normal = Uptake("normal", masses[1] * e[2], masses[1] * e[3], sds[2], sds[3])
        out = uptake_ratio(lesion, normal)
        assert out.interval_95 is not None
        hits += out.interval_95.low <= truth <= out.interval_95.high
    assert LOW <= hits / PATIENTS <= HIGH


def test_planned_doses() -> None:
    rng = np.random.default_rng(20260304)
    constant = dose_constant(nuclide("Y-90"), "mird")
    u = Uncertainty(lung_shunt=0.01, tumour_to_normal=0.15, discordance=0.3, mass=0.08, lung_mass=0.1, calibration=0.05)

    def off(sd: float) -> float:
        return math.exp(math.sqrt(math.log1p(sd**2)) * rng.standard_normal())

    hits = {"tumour": 0, "normal liver": 0, "lungs": 0}
    for _ in range(PATIENTS):
        shunt, normal, mass = rng.uniform(0.03, 0.15), rng.uniform(0.6, 1.4), rng.uniform(0.03, 0.3)
        ratio, lung = rng.uniform(2, 8), rng.uniform(0.7, 1.2)
        # What the team measures, and what the therapy then does.
        logit = math.log(shunt / (1 - shunt)) + u.lung_shunt / (shunt * (1 - shunt)) * rng.standard_normal()
        measured = Partition(
            normal * off(u.mass),
            (Lesion("tumour", mass * off(u.mass), ratio * off(u.tumour_to_normal)),),
            1 / (1 + math.exp(-logit)),
            lung * off(u.lung_mass),
        )
        activity = measured.activity_for_normal_dose(40, constant)
        therapy = Partition(normal, (Lesion("tumour", mass, ratio * off(u.discordance)),), shunt, lung)
        truth = therapy.gy_per_gbq(constant)
        delivered = activity * off(u.calibration)
        intervals = dose_intervals(
            Problem({"all": measured}, constant, u, Aim(100, 40)), {"all": activity}, samples=2000
        )
        for name in hits:
            hits[name] += intervals[name].low <= delivered * truth[name] <= intervals[name].high
    for name, count in hits.items():
        assert LOW <= count / PATIENTS <= HIGH, (name, count)
