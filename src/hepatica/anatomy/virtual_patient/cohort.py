"""Many virtual patients: everything that differs between people drawn from a table of published ranges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np

from hepatica.anatomy.virtual_patient.body import CIRRHOTIC_LIVER, density_of
from hepatica.anatomy.virtual_patient.patient import VirtualPatient, virtual_patient
from hepatica.anatomy.virtual_patient.read import reference_masses_g
from hepatica.anatomy.virtual_patient.settings import LIVER_LIMITS_ML, PatientSettings, Sex, Tumour, Variant
from hepatica.core.tables.shipped import csv_rows
from hepatica.errors import InputError
from hepatica.nuclides import nuclide

STREAM = 99
"""Keeps a patient's draws apart from the patient's own random numbers."""

MAX_SHARE_OF_LIVER = 0.45
NECROTIC_FROM_MM = 40.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """One row of the table.

    Attributes
    ----------
    quantity, value : str
        What is drawn; the value whose probability a "choice" gives.
    distribution : str
        "normal", "lognormal", "beta" or "choice".
    a, b : float
        Mean (median, probability) and standard deviation (of the logarithm); nan where there is none.
    low, high : float
        Limits.
    unit, source, confidence : str
        As in the other tables.
    """

    quantity: str
    value: str
    distribution: str
    a: float
    b: float
    low: float
    high: float
    unit: str
    source: str
    confidence: str


def ranges() -> tuple[Quantity, ...]:
    """The table that a cohort draws from, with source and confidence of each row."""
    return tuple(
        Quantity(
            row["quantity"],
            row["value"],
            row["distribution"],
            float(row["a"]),
            float(row["b"] or "nan"),
            float(row["low"] or "-inf"),
            float(row["high"] or "inf"),
            row["unit"],
            row["source"],
            row["confidence"],
        )
        for row in csv_rows(__package__, "cohort.csv")
    )


def cohort_settings(number: int, *, seed: int = 1, like: PatientSettings | None = None) -> tuple[PatientSettings, ...]:
    """Settings of the patients of a cohort.

    Parameters
    ----------
    number : int
        How many.
    seed : int
        Of the cohort; patient n is the same whatever the number of patients.
    like : PatientSettings or None
        What is the same for all: voxels, contrast, noise, nuclide and agent. The activity is drawn for 90Y and scaled
        to another nuclide by its energy per activity.

    Raises
    ------
    InputError
        If the number is not positive.
    """
    if number < 1:
        raise InputError(f"a cohort of {number} patients: at least 1")
    like = like or PatientSettings()
    return tuple(_one(seed, n, like) for n in range(number))


def cohort(number: int, *, seed: int = 1, like: PatientSettings | None = None) -> Iterator[VirtualPatient]:
    """The patients of a cohort, one after the other, each made when it is asked for.

    Parameters
    ----------
    number, seed, like
        As for `cohort_settings`.

    Yields
    ------
    VirtualPatient
        Patient 0, 1, ...

    Raises
    ------
    InputError
        If the number is not positive.

    Examples
    --------
    >>> from hepatica.anatomy.virtual_patient.settings import AnatomyOptions, VirtualCtOptions
    >>> small = PatientSettings(ct=VirtualCtOptions(spacing_mm=12), anatomy=AnatomyOptions(terminals=40))
    >>> [len(patient.tumours) > 0 for patient in cohort(2, like=small)]
    [True, True]
    """
    for settings in cohort_settings(number, seed=seed, like=like):
        yield virtual_patient(settings)


def _one(seed: int, number: int, like: PatientSettings) -> PatientSettings:
    random = np.random.default_rng([seed, number, STREAM])
    table: dict[str, list[Quantity]] = {}
    for row in ranges():
        table.setdefault(row.quantity, []).append(row)

    sex: Sex = "male" if random.uniform() < table["sex"][0].a else "female"
    size = _draw(table["size"][0], random)
    cirrhosis = bool(random.uniform() < table["cirrhosis"][0].a)
    reference = reference_masses_g(sex)["liver"] / density_of("liver") * size**3
    reference *= CIRRHOTIC_LIVER if cirrhosis else 1.0
    liver_ml = float(np.clip(reference * _draw(table["liver_volume"][0], random), *LIVER_LIMITS_ML))
    tumours = _tumours(table, liver_ml, random)
    variant = cast("Variant", _choose(table["variant"], random))
    four = cast("Literal['left', 'right']", _choose(table["segment_four"], random))
    catheters = _catheters(tumours, variant)
    shunt = _draw(table["lung_shunt"][0], random)
    ratio = _draw(table["tumour_to_normal"][0], random)
    lobar = 1.0 if len(catheters) > 1 else (0.65 if "right" in catheters[0] else 0.35)
    dose_constant = (
        nuclide("Y-90").dose_constant_j_per_gbq() / nuclide(like.treatment.nuclide).dose_constant_j_per_gbq()
    )
    perfused_l = liver_ml * lobar / 1000
    activity_bq = _draw(table["activity_concentration"][0], random) * perfused_l * 1e9 * dose_constant / (1 - shunt)
    treatment = replace(
        like.treatment,
        administered_bq=float(f"{activity_bq:.4g}"),
        catheters=catheters,
        lung_shunt=round(shunt, 4),
        tumour_to_normal=round(ratio, 3),
    )
    return replace(
        like,
        seed=int(np.random.default_rng([seed, number]).integers(2**31)),
        anatomy=replace(
            like.anatomy,
            sex=sex,
            size=round(size, 4),
            liver_ml=round(liver_ml, 1),
            cirrhosis=cirrhosis,
            variant=variant,
            segment_four=four,
        ),
        tumours=tumours,
        treatment=treatment,
    )


def _draw(row: Quantity, random: np.random.Generator) -> float:
    """A number from a row's distribution, drawn again while it lies outside the limits."""
    for _ in range(1000):
        if row.distribution == "normal":
            value = float(random.normal(row.a, row.b))
        elif row.distribution == "lognormal":
            value = row.a * math.exp(float(random.normal(0, row.b)))
        else:
            spread = row.a * (1 - row.a) / row.b**2 - 1
            value = float(random.beta(row.a * spread, (1 - row.a) * spread))
        if row.low <= value <= row.high:
            return value
    raise InputError(f"table of the cohort, {row.quantity}: the limits leave nothing of the distribution")


def _choose(rows: Sequence[Quantity], random: np.random.Generator) -> str:
    weights = np.array([row.a for row in rows])
    return rows[int(random.choice(len(rows), p=weights / weights.sum()))].value


def _tumours(table: Mapping[str, list[Quantity]], liver_ml: float, random: np.random.Generator) -> tuple[Tumour, ...]:
    number = int(_choose(table["tumour_number"], random))
    largest = _draw(table["largest_diameter"][0], random)
    diameters = [largest] + [largest * _draw(table["other_diameter"][0], random) for _ in range(number - 1)]
    # What would not fit into a liver that still works is made smaller, all in proportion.
    total = sum(math.pi / 6 * d**3 / 1000 for d in diameters)
    shrink = min(1.0, float(np.cbrt(MAX_SHARE_OF_LIVER * liver_ml / total)))
    out = []
    for d in diameters:
        diameter = max(8.0, round(d * shrink, 1))
        core = round(_draw(table["necrosis"][0], random), 3) if diameter > NECROTIC_FROM_MM else 0.0
        out.append(Tumour(diameter, None, core))
    return tuple(out)


def _catheters(tumours: Sequence[Tumour], variant: str) -> tuple[str, ...]:
    """Whole liver where there are more than three tumours, else the right lobe, where most of the liver is."""
    right = "replaced right hepatic" if variant in ("replaced right", "replaced both") else "right hepatic"
    left = "replaced left hepatic" if variant in ("replaced left", "replaced both") else "left hepatic"
    return (right, left) if len(tumours) > 3 else (right,)
