"""Everything the radiobiology says about one dose: the numbers behind `hepatica radiobiology`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hepatica.core import Provenance
from hepatica.dosimetry.radiobiology.bed import (
    DoseRate,
    Repair,
    Tissue,
    Treatment,
    bed_gy,
    course_bed_gy,
    eqd2_gy,
    isoeffective_dose_gy,
    lea_catcheside_factor,
    relative_effectiveness,
)
from hepatica.dosimetry.radiobiology.response_models import Prediction, ResponseModel, predict, response_models
from hepatica.errors import PhysicsError
from hepatica.nuclides import NUCLIDE_NAMES, nuclide


@dataclass(frozen=True, slots=True)
class Exposure:
    """A dose and how it came about.

    Attributes
    ----------
    dose_gy, dose_sd_gy : float, float or None
        Absorbed dose and its standard uncertainty (None if unknown), Gy.
    nuclide, agent : str
        "Y-90"; "glass" ("" if not stated).
    half_life_h : float
        Effective half-life in the tissue, h.
    """

    dose_gy: float
    dose_sd_gy: float | None
    nuclide: str
    agent: str
    half_life_h: float

    def __post_init__(self) -> None:
        if not self.dose_gy > 0:
            raise PhysicsError(f"absorbed dose must be positive, not {self.dose_gy:g} Gy")
        if self.dose_sd_gy is not None and self.dose_sd_gy < 0:
            raise PhysicsError(f"the uncertainty of the dose must not be negative ({self.dose_sd_gy:g} Gy)")

    @property
    def rate(self) -> DoseRate:
        """One exponential with the effective half-life."""
        return DoseRate.exponential(self.half_life_h)


@dataclass(frozen=True, slots=True)
class NuclideEffect:
    """What the same dose of another nuclide would do: factor, effectiveness, and the dose of the same BED."""

    nuclide: str
    half_life_h: float
    lea_catcheside_factor: float
    relative_effectiveness: float
    bed_gy: float
    isoeffective_dose_gy: float


@dataclass(frozen=True, slots=True)
class DoseEffect:
    """What a dose amounts to.

    Attributes
    ----------
    exposure : Exposure
        What was asked.
    tissue : Tissue
        Parameters used.
    bed_gy, eqd2_gy : float
        Of this treatment alone, Gy.
    course_bed_gy : float
        With earlier treatments of the same tissue, Gy (equal to `bed_gy` without any).
    bed_sd_gy : float or None
        From the uncertainty of the dose (first order); None if that is unknown. Radiobiological parameters are taken as
        given: vary them to see their weight.
    lea_catcheside_factor, relative_effectiveness, initial_dose_rate_gy_per_h : float
        G; BED per dose; dose rate at administration.
    nuclides : tuple of NuclideEffect
        All nuclides, with their physical half-lives.
    predictions : tuple of Prediction
        Published models of this tissue, those of the agent and nuclide first.
    provenance : Provenance
        Parameters, conventions, tables.
    """

    exposure: Exposure
    tissue: Tissue
    bed_gy: float
    eqd2_gy: float
    course_bed_gy: float
    bed_sd_gy: float | None
    lea_catcheside_factor: float
    relative_effectiveness: float
    initial_dose_rate_gy_per_h: float
    nuclides: tuple[NuclideEffect, ...]
    predictions: tuple[Prediction, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys."""
        e = self.exposure
        return {
            "dose_gy": e.dose_gy,
            "dose_sd_gy": e.dose_sd_gy,
            "nuclide": e.nuclide,
            "agent": e.agent or None,
            "half_life_h": e.half_life_h,
            "tissue": self.tissue.name,
            "alpha_beta_gy": self.tissue.alpha_beta_gy,
            "repair_half_time_h": self.tissue.repair.half_time_h,
            "second_repair_half_time_h": self.tissue.repair.second_half_time_h,
            "second_repair_share": self.tissue.repair.second_share,
            "bed_gy": self.bed_gy,
            "bed_sd_gy": self.bed_sd_gy,
            "eqd2_gy": self.eqd2_gy,
            "course_bed_gy": self.course_bed_gy,
            "course_eqd2_gy": eqd2_gy(self.course_bed_gy, self.tissue.alpha_beta_gy),
            "lea_catcheside_factor": self.lea_catcheside_factor,
            "relative_effectiveness": self.relative_effectiveness,
            "initial_dose_rate_gy_per_h": self.initial_dose_rate_gy_per_h,
            "nuclides": [
                {
                    "nuclide": n.nuclide,
                    "half_life_h": n.half_life_h,
                    "lea_catcheside_factor": n.lea_catcheside_factor,
                    "relative_effectiveness": n.relative_effectiveness,
                    "bed_gy": n.bed_gy,
                    "isoeffective_dose_gy": n.isoeffective_dose_gy,
                }
                for n in self.nuclides
            ],
            "models": [prediction_dict(p) for p in self.predictions],
            "provenance": self.provenance.as_dict(),
        }


def prediction_dict(p: Prediction) -> dict[str, Any]:
    """A prediction as plain values for JSON."""
    m = p.model
    return {
        "name": m.name,
        "kind": m.kind,
        "form": m.form,
        "metric": m.metric,
        "endpoint": m.endpoint,
        "nuclide": m.nuclide,
        "agent": m.agent,
        "d50_gy": m.d50_gy.value if m.form not in ("point", "threshold") else None,
        "reference_dose_gy": m.d50_gy.value,
        "reference_dose_sd_gy": m.d50_gy.sd,
        "slope": None if m.slope is None else m.slope.value,
        "model_dose_gy": p.dose_gy,
        "probability": p.probability,
        "probability_low": p.low,
        "probability_high": p.high,
        "interval_is_complete": p.interval_is_complete,
        "reading": p.reading,
        "warnings": list(p.warnings),
        "source": m.source,
        "confidence": m.confidence,
        "absent": list(m.absent),
        "note": m.note,
    }


def dose_effect(exposure: Exposure, tissue: Tissue, earlier: Sequence[Treatment] = ()) -> DoseEffect:
    """BED, EQD2, comparison of nuclides and published models at one dose.

    Parameters
    ----------
    exposure : Exposure
        The treatment; it starts at 0 h.
    tissue : Tissue
        `LIVER`, `TUMOUR`, or the user's own parameters. A name with "liver" takes toxicity models, any other tumour
        models.
    earlier : sequence of Treatment
        Earlier treatments of the same tissue, with negative start times.
    """
    rate, dose = exposure.rate, exposure.dose_gy
    g = lea_catcheside_factor(rate, tissue.repair)
    bed = bed_gy(dose, rate, tissue)
    course = course_bed_gy([*earlier, Treatment(0.0, dose, rate)], tissue)
    sd = None if exposure.dose_sd_gy is None else (1 + 2 * g * dose / tissue.alpha_beta_gy) * exposure.dose_sd_gy
    provenance = Provenance(
        parameters={
            "alpha_beta_gy": tissue.alpha_beta_gy,
            "repair_half_time_h": tissue.repair.half_time_h,
            "half_life_h": exposure.half_life_h,
        },
        tables={"radiobiology/response_models.toml": "each entry names its source"},
        conventions={"tissue parameters": f"{tissue.source} (confidence: {tissue.confidence or 'not stated'})"},
    )
    return DoseEffect(
        exposure=exposure,
        tissue=tissue,
        bed_gy=bed,
        eqd2_gy=eqd2_gy(bed, tissue.alpha_beta_gy),
        course_bed_gy=float(course),
        bed_sd_gy=sd,
        lea_catcheside_factor=g,
        relative_effectiveness=relative_effectiveness(dose, rate, tissue),
        initial_dose_rate_gy_per_h=rate.gy_per_h(dose, 0.0),
        nuclides=tuple(_nuclide_effect(name, exposure, tissue) for name in NUCLIDE_NAMES),
        predictions=_predictions(exposure, "ntcp" if "liver" in tissue.name else "tcp"),
        provenance=provenance,
    )


def _nuclide_effect(name: str, exposure: Exposure, tissue: Tissue) -> NuclideEffect:
    half_life_h = nuclide(name).half_life_h
    rate = DoseRate.exponential(half_life_h)
    return NuclideEffect(
        name,
        half_life_h,
        lea_catcheside_factor(rate, tissue.repair),
        relative_effectiveness(exposure.dose_gy, rate, tissue),
        bed_gy(exposure.dose_gy, rate, tissue),
        isoeffective_dose_gy(exposure.dose_gy, exposure.rate, rate, tissue),
    )


def _predictions(exposure: Exposure, kind: str) -> tuple[Prediction, ...]:
    """Models of radioembolization of one kind that take a mean dose or the BED of one, the fitting ones first."""
    usable = [
        m
        for m in response_models().values()
        if m.kind == kind and m.metric in ("mean_dose", "bed") and m.nuclide != "external"
    ]
    usable.sort(key=lambda m: (m.nuclide != exposure.nuclide, exposure.agent.lower() not in m.agent.lower(), m.form))
    found = []
    for model in usable:
        dose, sd = _model_dose(model, exposure)
        prediction = predict(model, dose, dose_sd_gy=sd, nuclide=exposure.nuclide, agent=exposure.agent)
        if model.metric == "bed":
            extra = f"{model.name} takes the mean of voxel BED; the BED of the mean dose stands in for it and is lower"
            prediction = replace(prediction, warnings=(*prediction.warnings, extra))
        found.append(prediction)
    return tuple(found)


def _model_dose(model: ResponseModel, exposure: Exposure) -> tuple[float, float | None]:
    """Dose in the model's metric, BED formed with the model's own parameters."""
    if model.metric != "bed":
        return exposure.dose_gy, exposure.dose_sd_gy
    if model.alpha_beta_gy is None or model.repair_half_time_h is None:
        raise PhysicsError(f"{model.name}: the table does not say with which alpha/beta and repair its BED was formed")
    tissue = Tissue(model.name, model.alpha_beta_gy, Repair(model.repair_half_time_h))
    bed = bed_gy(exposure.dose_gy, exposure.rate, tissue)
    if exposure.dose_sd_gy is None:
        return bed, None
    g = lea_catcheside_factor(exposure.rate, tissue.repair)
    return bed, (1 + 2 * g * exposure.dose_gy / tissue.alpha_beta_gy) * exposure.dose_sd_gy
