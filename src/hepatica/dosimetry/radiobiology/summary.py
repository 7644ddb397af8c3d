"""Everything that radiobiology says about one dose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from hepatica.core import Provenance
from hepatica.core.document import HIDDEN, INLINE, reported
from hepatica.core.message import Message
from hepatica.core.numbers.units import parse_quantity
from hepatica.core.options import Fraction, NonNegative, Positive, Text, options
from hepatica.core.options.values import value_class
from hepatica.dosimetry.radiobiology.bed import (
    TISSUES,
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
from hepatica.dosimetry.radiobiology.response_models import (
    Prediction,
    ResponseModel,
    predict,
    response_models,
    size_not_compared,
)
from hepatica.errors import InputError, PhysicsError
from hepatica.nuclides import NUCLIDE_NAMES, nuclide, require_carried


@value_class
@dataclass(frozen=True, slots=True)
class EarlierTreatment:
    """Dose to the same tissue in an earlier treatment, and how long before this one."""

    dose_gy: float
    before_h: float

    @classmethod
    def parse(cls, text: str) -> EarlierTreatment:
        """From "40 Gy @ 30 d".

        Raises
        ------
        InputError
            If it is not a dose and a time.
        """
        parts = re.split(r"\s*@\s*", str(text))
        if len(parts) != 2:
            raise InputError(f"{text!r}: write dose and time before this treatment, such as '40 Gy @ 30 d'")
        return cls(parse_quantity(parts[0], "Gy", "dose"), parse_quantity(parts[1], "h", "time before"))


@options
class ExposureOptions:
    """What the tissue was treated with.

    Attributes
    ----------
    nuclide : str
        Radionuclide.
    agent : str
        Carrier (glass, resin, PLLA, lipiodol), to check the models' range.
    effective_half_life_h : float or None
        Half-life in the tissue; the physical one if not given.
    """

    nuclide: str = "Y-90"
    agent: str = ""
    effective_half_life_h: Positive | None = None

    def __post_init__(self) -> None:
        require_carried(self.agent, self.nuclide)

    @property
    def half_life_h(self) -> float:
        """Effective half-life, or the physical one."""
        return nuclide(self.nuclide).half_life_h if self.effective_half_life_h is None else self.effective_half_life_h


@options
class TissueOptions:
    """Tissue that received a single dose.

    Attributes
    ----------
    tissue : {"tumour", "liver"} or None
        Sets alpha/beta, repair and models; tumour if not given.
    alpha_beta_gy : float or None
        alpha/beta in place of the tissue's own.
    repair_half_time_h : float or None
        Repair half-time in place of the tissue's own.
    slow_repair_half_time_h : float or None
        Half-time of a second repair component.
    slow_repair_share : float
        Share of that second component.
    dose_sd_gy : float or None
        Standard uncertainty of the dose.
    earlier : tuple of EarlierTreatment
        Earlier treatments of the same tissue: dose and time before this one, such as '40 Gy @ 30 d'.
    """

    tissue: Literal["tumour", "liver"] | None = None
    alpha_beta_gy: Positive | None = None
    repair_half_time_h: Positive | None = None
    slow_repair_half_time_h: Positive | None = None
    slow_repair_share: Fraction = 0.0
    dose_sd_gy: NonNegative | None = None
    earlier: Annotated[tuple[EarlierTreatment, ...], Text(EarlierTreatment.parse, "DOSE @ TIME")] = ()

    def __post_init__(self) -> None:
        if (self.slow_repair_half_time_h is None) != (self.slow_repair_share == 0):
            raise InputError("a second repair component has `slow_repair_half_time` and `slow_repair_share`, both")

    def parameters(self) -> Tissue:
        """Linear-quadratic parameters of the tissue, or those given."""
        tissue = TISSUES[self.tissue or "tumour"]
        if (self.alpha_beta_gy, self.repair_half_time_h, self.slow_repair_half_time_h) == (None, None, None):
            return tissue
        half_time_h = self.repair_half_time_h or tissue.repair.half_time_h
        return replace(
            tissue,
            alpha_beta_gy=self.alpha_beta_gy or tissue.alpha_beta_gy,
            repair=Repair(half_time_h, self.slow_repair_half_time_h, self.slow_repair_share),
            source="given by the user",
            confidence="",
        )

    def treatments(self, half_life_h: float) -> list[Treatment]:
        """Earlier treatments, which decayed with the same half-life."""
        rate = DoseRate.exponential(half_life_h)
        return [Treatment(-e.before_h, e.dose_gy, rate) for e in self.earlier]


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
    models : tuple of Prediction
        Published models of this tissue, those of the agent and nuclide first.
    provenance : Provenance
        Parameters, conventions, tables.
    """

    exposure: Exposure = field(metadata=INLINE)
    tissue: Tissue
    bed_gy: float
    eqd2_gy: float
    course_bed_gy: float
    bed_sd_gy: float | None
    lea_catcheside_factor: float
    relative_effectiveness: float
    initial_dose_rate_gy_per_h: float
    nuclides: tuple[NuclideEffect, ...]
    models: tuple[Prediction, ...]
    provenance: Provenance = field(metadata=HIDDEN)

    @property
    @reported
    def course_eqd2_gy(self) -> float:
        """EQD2 with earlier treatments."""
        return eqd2_gy(self.course_bed_gy, self.tissue.alpha_beta_gy)


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
        models=_predictions(exposure, "ntcp" if "liver" in tissue.name else "tcp"),
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
        unknown = size_not_compared(model, "a dose alone does not say how large the lesion is")
        prediction = replace(prediction, messages=(*prediction.messages, *unknown))
        if model.metric == "bed":
            text = f"{model.name} takes the mean of voxel BED; the BED of the mean dose stands in for it and is lower"
            messages = (*prediction.messages, Message("bed-of-mean-dose", text))
            prediction = replace(prediction, messages=messages)
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
