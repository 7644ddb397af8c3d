"""Probability of tumour response (TCP) and of toxicity (NTCP) from published models, and how far to trust it."""

from __future__ import annotations

import functools
import math
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated, Any, Literal

from hepatica.core import Estimate
from hepatica.core.document import INLINE, reported
from hepatica.core.message import Message
from hepatica.core.numbers.confidence import FROM_MEMORY, UNCERTAIN
from hepatica.core.options import Limits
from hepatica.errors import InputError, PhysicsError, UnknownNameError

FORMS = ("logistic", "lkb", "poisson", "d50", "point", "threshold")
Z95 = 1.959963984540054


INDICATIONS = {
    "hepatocellular carcinoma": ("HCC",),
    "intrahepatic cholangiocarcinoma": ("ICC",),
    "colorectal liver metastases": ("mCRC",),
}
"""Indication of a model by its tissue; the others hold for any."""


@dataclass(frozen=True, slots=True)
class ResponseModel:
    """One published relation between dose and response.

    Attributes
    ----------
    name : str
        Key in the table.
    kind : str
        "tcp" (tumour) or "ntcp" (toxicity).
    form : str
        "lkb", "logistic", "poisson" (curves); "d50", "point", "threshold" (one published dose, no curve).
    reference_dose_gy : Estimate
        50 % dose, or the dose of the point or threshold, Gy; sd from a published 95 % interval.
    slope : Estimate or None
        m of the Lyman model, gamma50 of the others.
    nuclide, agent, tissue, metric, endpoint : str
        What it was fitted on; metric is "mean_dose", "bed", "eud", "d95" or "d30".
    point_probability : float or None
        Of a "point".
    range_gy : tuple of float or None
        Doses that were fitted.
    smallest_lesion_ml, largest_lesion_ml : float or None
        Volumes of the lesions that it holds for; None where there is no such bound, or the table does not know it (then
        `absent` says so).
    alpha_beta_gy, repair_half_time_h : float or None
        With which a BED metric was formed.
    absent : tuple of str
        What a curve or its uncertainty would need and the table does not have.
    population, source, confidence, note : str
        Who was treated, publication, how sure the number is, remarks.
    """

    name: str
    kind: str
    form: str
    reference_dose_gy: Estimate
    slope: Estimate | None
    nuclide: str
    agent: str
    tissue: str
    metric: str
    endpoint: str
    point_probability: float | None = None
    range_gy: tuple[float, float] | None = None
    smallest_lesion_ml: float | None = None
    largest_lesion_ml: float | None = None
    alpha_beta_gy: float | None = None
    repair_half_time_h: float | None = None
    population: str = ""
    source: str = "given by the user"
    confidence: str = ""
    note: str = ""
    absent: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UnknownNameError("form of a response model", self.form, FORMS)
        if self.has_curve and self.slope is None:
            raise PhysicsError(f"{self.name}: a {self.form} model needs a slope")
        if not self.reference_dose_gy.value > 0 or (self.slope is not None and not self.slope.value > 0):
            raise PhysicsError(f"{self.name}: 50 % dose and slope must be positive")

    @property
    def lesions_ml(self) -> str:
        """Lesions that it was found on, in words; empty where that is not known."""
        low, high = self.smallest_lesion_ml, self.largest_lesion_ml
        bounds = [f"at least {low:g} mL"] if low is not None else []
        bounds += [f"at most {high:g} mL"] if high is not None else []
        return f"lesions of {' and '.join(bounds)}" if bounds else ""

    @property
    def has_curve(self) -> bool:
        """Whether a probability can be stated at any dose."""
        return self.form in ("logistic", "lkb", "poisson")

    @property
    @reported
    def d50_gy(self) -> float | None:
        """50 % dose; None where a point or threshold was published."""
        return self.reference_dose_gy.value if self.form not in ("point", "threshold") else None

    @property
    def indications(self) -> tuple[str, ...]:
        """Diseases that it was fitted on, as `hepatica.nuclides.agents.Indication`; ("*",) for any."""
        return INDICATIONS.get(self.tissue, ("*",))

    def treats(self, nuclide: str, agent: str = "") -> bool:
        """Whether it was fitted on this nuclide and agent; any agent fits where "" is given."""
        return nuclide == self.nuclide and (not agent or agent.lower() in self.agent.lower().split(" or "))


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says at a dose.

    Attributes
    ----------
    model : ResponseModel
        The model.
    model_dose_gy : float
        Where it was asked, in the model's metric.
    probability : float or None
        0 to 1; None where the publication gives no curve.
    probability_low, probability_high : float or None
        95 % interval from the uncertainties that are known; None where none is.
    interval_is_complete : bool
        Whether every uncertainty (50 % dose, slope, dose) is known; if not, the interval is too narrow.
    reading : str
        One sentence.
    messages : tuple of Message
        Where the model is used outside what it was fitted on.
    """

    model: ResponseModel = field(metadata=INLINE)
    model_dose_gy: float
    probability: float | None
    probability_low: float | None
    probability_high: float | None
    interval_is_complete: bool
    reading: str
    messages: tuple[Message, ...]


def response_probability(form: str, dose_gy: float, *, d50_gy: float, slope: float) -> float:
    """Probability 0 to 1 of a model curve.

    Parameters
    ----------
    form : str
        "lkb": normal distribution function of (D - D50) / (m D50) (Lyman, Radiat Res 1985;104:S13), for a mean or
        generalized equivalent uniform dose. "logistic": 1 / (1 + exp(-4 gamma50 (D / D50 - 1))).
        "poisson": 2 ** -exp((2 gamma50 / ln 2) (1 - D / D50)) (Okunieff et al., IJROBP 1995;32:1227).
    dose_gy, d50_gy : float
        Dose and 50 % dose in the same metric, Gy.
    slope : float
        m ("lkb") or gamma50, the normalized slope at 50 %.

    Examples
    --------
    >>> round(response_probability("lkb", 40.0, d50_gy=52.0, slope=0.28), 3)
    0.205
    """
    return _curve(form, _predictor(form, dose_gy, d50_gy, slope))


def _predictor(form: str, dose: float, d50: float, slope: float) -> float:
    if form == "lkb":
        return (dose - d50) / (slope * d50)
    if form == "logistic":
        return 4 * slope * (dose / d50 - 1)
    if form == "poisson":
        return 2 * slope / math.log(2) * (dose / d50 - 1)
    raise UnknownNameError("response curve", form, ("logistic", "lkb", "poisson"))


def _curve(form: str, t: float) -> float:
    if form == "lkb":
        return 0.5 * math.erfc(-t / math.sqrt(2))
    if form == "logistic":
        return 1 / (1 + math.exp(-t)) if t > 0 else math.exp(t) / (1 + math.exp(t))
    return math.exp(-math.log(2) * math.exp(min(-t, 700.0)))


def predict(
    model: ResponseModel,
    dose_gy: float,
    *,
    dose_sd_gy: float | None = None,
    nuclide: str = "",
    agent: str = "",
    lesion_ml: float | None = None,
    lesion: str = "",
) -> Prediction:
    """Evaluate a published model at a dose, with its parameter uncertainty and warnings about its use.

    Parameters
    ----------
    model : ResponseModel
        From `response_model`.
    dose_gy : float
        Dose in the model's metric, Gy.
    dose_sd_gy : float or None
        Its standard uncertainty; None if unknown.
    nuclide, agent : str
        What the patient was treated with, to be compared with what the model was fitted on; "" skips the comparison.
    lesion_ml : float or None
        Volume of the lesion, to be compared with those that the model was fitted on; None skips the comparison.
    lesion : str
        Its name, for the message.

    Notes
    -----
    The interval is that of the curve's argument (first order in 50 % dose, slope and dose), carried through the curve,
    so that it stays within 0 to 1.
    """
    if not (math.isfinite(dose_gy) and dose_gy >= 0):
        raise PhysicsError(f"{model.name}: dose must not be negative ({dose_gy} Gy)")
    messages = (*_doubts(model, dose_gy, nuclide, agent), *_size_doubts(model, lesion_ml, lesion))
    d50 = model.reference_dose_gy.value
    if not model.has_curve:
        return Prediction(model, dose_gy, None, None, None, False, _reading_without_curve(model, dose_gy), messages)
    slope = model.slope or Estimate(math.nan)
    t = _predictor(model.form, dose_gy, d50, slope.value)
    scale = _predictor(model.form, 2 * d50, d50, slope.value)  # dt / d(D / D50)
    parts = (
        None if model.reference_dose_gy.sd is None else scale * dose_gy / d50**2 * model.reference_dose_gy.sd,
        None if slope.sd is None else t / slope.value * slope.sd,
        None if dose_sd_gy is None else scale / d50 * dose_sd_gy,
    )
    known = [part for part in parts if part is not None]
    low = high = None
    probability = _curve(model.form, t)
    reading = f"{100 * probability:.0f} % {model.endpoint}"
    if known:
        half = Z95 * math.hypot(*known)
        low, high = _curve(model.form, t - half), _curve(model.form, t + half)
        reading += f" (95 % interval {100 * low:.0f} to {100 * high:.0f} %"
        reading += ")" if len(known) == 3 else "; too narrow, since " + _missing(parts) + " is not known)"
    return Prediction(model, dose_gy, probability, low, high, len(known) == 3, reading, messages)


def _missing(parts: tuple[float | None, float | None, float | None]) -> str:
    names = ("of the 50 % dose", "of the slope", "of the dose")
    return "the uncertainty " + " and ".join(n for n, p in zip(names, parts, strict=True) if p is None)


def _reading_without_curve(model: ResponseModel, dose_gy: float) -> str:
    side = "above" if dose_gy >= model.reference_dose_gy.value else "below"
    if model.form == "d50":
        what = f"the published 50 % dose for {model.endpoint}"
    elif model.form == "point":
        what = f"the dose published with {100 * (model.point_probability or 0):.0f} % {model.endpoint}"
    else:
        what = f"the published threshold for {model.endpoint}"
    return f"{side} {what} ({model.reference_dose_gy.value:g} Gy); no curve is at hand, so no probability is stated"


def _doubts(model: ResponseModel, dose_gy: float, nuclide: str, agent: str) -> tuple[Message, ...]:
    found = []
    if nuclide and nuclide != model.nuclide:
        text = f"{model.name} was fitted on {model.nuclide}, used here for {nuclide}"
        found.append(Message("model-of-other-nuclide", text))
    if agent and agent.lower() not in model.agent.lower().split(" or "):
        text = (
            f"{model.name} was fitted on {model.agent}, used here for {agent}: toxicity and response per gray "
            "differ between agents by up to a factor of four"
        )
        found.append(Message("model-of-other-agent", text))
    if model.range_gy and not model.range_gy[0] <= dose_gy <= model.range_gy[1]:
        low, high = model.range_gy
        text = f"{model.name} was fitted on {low:g} to {high:g} Gy; {dose_gy:.4g} Gy lies outside"
        found.append(Message("model-outside-range", text))
    if model.confidence in (FROM_MEMORY, UNCERTAIN):
        text = f"{model.name}: parameters are {model.confidence}"
        found.append(Message("model-confidence", text, f"check {model.source} before use"))
    return tuple(found)


def _size_doubts(model: ResponseModel, lesion_ml: float | None, lesion: str) -> tuple[Message, ...]:
    low, high = model.smallest_lesion_ml, model.largest_lesion_ml
    if lesion_ml is None or (lesion_ml >= (low or 0.0) and (high is None or lesion_ml <= high)):
        return ()
    text = (
        f"{model.name} was found on {model.lesions_ml}; {repr(lesion) if lesion else 'this one'} has {lesion_ml:.3g} "
        "mL, where images blur the dose otherwise and the number of cells is another"
    )
    return (Message("model-of-other-lesion-size", text),)


def size_not_compared(model: ResponseModel, why: str) -> tuple[Message, ...]:
    """What is said of a model of lesions of some sizes where that of the lesion is not known."""
    if not model.lesions_ml:
        return ()
    text = f"{model.name} was found on {model.lesions_ml} and holds for no others; {why}"
    return (Message("model-lesion-size-unknown", text, severity="note"),)


@functools.cache
def response_models() -> dict[str, ResponseModel]:
    """All published models of the table, by name."""
    return {row["name"]: _read(row) for row in _table("response_models.toml")["model"]}


def response_model(name: str) -> ResponseModel:
    """A published model by name.

    Raises
    ------
    UnknownNameError
        If it is not in the table; the message lists the names.
    """
    if name not in response_models():
        raise UnknownNameError("response model", name, response_models())
    return response_models()[name]


@dataclass(frozen=True, slots=True)
class Alpha:
    """A radiosensitivity for EUD: 1/Gy, with range where published, modality, source and confidence."""

    name: str
    alpha_per_gy: float
    modality: str
    source: str
    confidence: str
    low_per_gy: float | None = None
    high_per_gy: float | None = None


@functools.cache
def alphas() -> dict[str, Alpha]:
    """Sourced radiosensitivities for EUD and EUBED, by name."""
    return {row["name"]: Alpha(**row) for row in _table("alphas.toml")["alpha"]}


def alpha(name: str) -> Alpha:
    """A sourced radiosensitivity by name ("unified", "external-beam", "resin", "glass")."""
    if name not in alphas():
        raise UnknownNameError("radiosensitivity", name, alphas())
    return alphas()[name]


AlphaChoice = Annotated[Literal["unified", "external-beam", "resin", "glass"] | float, Limits(above=0)]
"""Option of a radiosensitivity: one of the table by name, or a number per Gy."""


def alpha_value(choice: str | float) -> float:
    """Radiosensitivity per Gy of an option.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    InputError
        If the number is not positive.
    """
    if isinstance(choice, str):
        return alpha(choice).alpha_per_gy
    if not choice > 0:
        raise InputError(f"`alpha_per_gy` must be positive, not {choice:g}")
    return choice


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files(__package__) / "tables" / name).read_text(encoding="utf-8"))


def _read(row: dict[str, Any]) -> ResponseModel:
    row = dict(row)
    low, high = row.pop("d50_low_gy", None), row.pop("d50_high_gy", None)
    sd = None if low is None else (high - low) / (2 * Z95)
    slope = row.pop("slope", None)
    slope_estimate = None if slope is None else Estimate(slope, row.pop("slope_sd", None))
    for name in ("range_gy", "absent"):
        if name in row:
            row[name] = tuple(row[name])
    dose = Estimate(row.pop("d50_gy"), sd)
    point = row.pop("probability", None)
    return ResponseModel(reference_dose_gy=dose, slope=slope_estimate, point_probability=point, **row)
