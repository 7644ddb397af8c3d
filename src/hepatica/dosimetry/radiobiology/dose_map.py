"""BED, EUD and published models for the structures of a dose map."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from hepatica.anatomy.structures.clinical import (
    STRUCTURE_ROLES_TEXT,
    Structure,
    clinical_regions,
    require_roles,
    structure_of,
)
from hepatica.core import Provenance, Region, Volume
from hepatica.core.document import HIDDEN, INLINE
from hepatica.core.message import Message
from hepatica.core.options import Positive, options, parameters
from hepatica.dosimetry.metrics.dvh import DvhCurve, dose_volume_histogram
from hepatica.dosimetry.radiobiology.bed import LIVER, TUMOUR, DoseRate, Tissue
from hepatica.dosimetry.radiobiology.regions import RegionRadiobiology, bed_volume, region_radiobiology
from hepatica.dosimetry.radiobiology.response_models import (
    AlphaChoice,
    Prediction,
    ResponseModel,
    alpha_value,
    predict,
    response_models,
    size_not_compared,
)
from hepatica.dosimetry.radiobiology.summary import ExposureOptions
from hepatica.errors import InputError
from hepatica.nuclides import nuclide
from hepatica.nuclides.agents import Indication

TUMOURS = (Structure.TUMOUR, Structure.ALL_TUMOURS)
LIVERS = (Structure.LIVER, Structure.LOBE, Structure.NORMAL_LIVER, Structure.PERFUSED, Structure.PERFUSED_NORMAL)


@options
class DoseMapOptions:
    """How the structures of a dose map are summed up.

    Attributes
    ----------
    structure_roles : mapping of str to str or None
        What a structure is, where its name does not say it.
    alpha_per_gy : {"unified", "external-beam", "resin", "glass"} or float
        Radiosensitivity of EUD and EUBED.
    eud_exponent : float or None
        Exponent of a generalized EUD: 1 is the mean, large the maximum, negative counts cold spots.
    clonogens_per_ml : float or None
        Density of clonogenic cells, for a Poisson TCP of each tumour.
    indication : {"HCC", "ICC", "mCRC", "other"} or None
        Disease: published models of others are left out.
    """

    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None
    alpha_per_gy: AlphaChoice = "unified"
    eud_exponent: float | None = None
    clonogens_per_ml: Positive | None = None
    indication: Indication | None = None

    def __post_init__(self) -> None:
        require_roles(self.structure_roles)


@dataclass(frozen=True, slots=True)
class StructurePrediction:
    """What a published model says of one structure."""

    structure: str
    prediction: Prediction = field(metadata=INLINE)


@dataclass(frozen=True, slots=True)
class MapEffect:
    """Radiobiology of a dose map.

    Attributes
    ----------
    nuclide, agent, half_life_h : str, str, float
        What the tissue was treated with.
    structures : tuple of RegionRadiobiology
        One per structure that is tumour or liver.
    models : tuple of StructurePrediction
        Published models of each.
    histograms : tuple of (str, DvhCurve, DvhCurve)
        (structure, cumulative histogram of dose, of BED).
    bed : mapping of str to Volume
        "liver" or "tumour": BED of every voxel with that tissue's parameters.
    messages : tuple of Message
        What was assumed.
    provenance : Provenance
        Parameters and conventions.
    """

    nuclide: str
    agent: str
    half_life_h: float
    structures: tuple[RegionRadiobiology, ...]
    models: tuple[StructurePrediction, ...]
    histograms: tuple[tuple[str, DvhCurve, DvhCurve], ...] = field(metadata=HIDDEN)
    bed: Mapping[str, Volume] = field(metadata=HIDDEN)
    messages: tuple[Message, ...] = field(metadata=HIDDEN)
    provenance: Provenance = field(metadata=HIDDEN)


def map_effect(
    dose: Volume,
    regions: Sequence[Region],
    exposure: ExposureOptions,
    asked: DoseMapOptions,
    means_gy: Mapping[str, float] = {},
) -> MapEffect:
    """Radiobiology of every structure that is tumour or liver; others are left out with a message.

    What follows from the drawn structures is added: all tumours, the liver and the perfused volume without them. A
    model of toxicity is asked for the tissue that it was fitted on: the normal liver as a whole, or its perfused part;
    the liver or perfused volume as drawn stands for it only where no tumour is drawn. Mean doses that are known
    (`means_gy`, by structure: energy over mass) are taken as they are; those of the map are by volume, as BED and EUD.

    Raises
    ------
    InputError
        If no structure is a tumour or liver, or a role is given to a structure that is not there.
    GeometryError
        If a structure is empty or on another grid than the dose.
    """
    source, alpha = nuclide(exposure.nuclide), alpha_value(asked.alpha_per_gy)
    rate = DoseRate.exponential(exposure.half_life_h)
    messages: list[Message] = []
    found: list[RegionRadiobiology] = []
    models: list[StructurePrediction] = []
    histograms = []
    bed: dict[str, Volume] = {}
    regions = (*regions, *_derived(regions, asked.structure_roles))
    given = tissues_of(regions, asked.structure_roles or {}, messages)
    roles = {region.name: structure_of(region, asked.structure_roles or {}) for region, _ in given}
    for region, tissue in given:
        name = "tumour" if tissue is TUMOUR else "liver"
        if name not in bed:
            bed[name] = bed_volume(dose, rate, tissue)
        summed = region_radiobiology(
            dose,
            region,
            rate,
            tissue,
            alpha_per_gy=alpha,
            eud_exponent=asked.eud_exponent,
            clonogens_per_ml=asked.clonogens_per_ml if tissue is TUMOUR else None,
        )
        summed = replace(summed, dose_mean_gy=means_gy.get(region.name, summed.dose_mean_gy))
        found.append(summed)
        histogram = dose_volume_histogram(dose, region)
        histograms.append((region.name, histogram.cumulative(), dose_volume_histogram(bed[name], region).cumulative()))
        metrics = {"mean_dose": summed.dose_mean_gy, "bed": summed.bed_mean_gy, "eud": summed.eud_gy}
        metrics |= {f"d{x}": histogram.d_percent(x) for x in (95, 30)}
        role = roles[region.name]
        for model in _models_for(tissue, role, roles.values(), asked.indication):
            # Below zero is noise of the image, of which no model speaks.
            if (value := metrics.get(model.metric)) is not None and value >= 0:
                together = role is Structure.ALL_TUMOURS
                models.append(_prediction(model, value, region, source.name, exposure.agent, together=together))
    if not found:
        raise InputError(
            f"no structure is a tumour or liver by its name: {', '.join(region.name for region in regions)}",
            remedy="state `structure_roles`",
        )
    return MapEffect(
        nuclide=source.name,
        agent=exposure.agent,
        half_life_h=rate.half_lives_h[0],
        structures=tuple(found),
        models=tuple(models),
        histograms=tuple(histograms),
        bed=bed,
        messages=tuple(messages),
        provenance=Provenance(
            parameters=parameters(asked, nuclide=source.name, half_life_h=rate.half_lives_h[0])
            | {"alpha_per_gy": alpha},
            conventions={"EUD": "Niemierko 1997", "EUBED": "Jones and Hoban 2000, same alpha"},
        ),
    )


def _models_for(
    tissue: Tissue, role: Structure, roles: Collection[Structure], indication: Indication | None
) -> Iterator[ResponseModel]:
    """Published models of radionuclide therapy that a structure may be asked by, tumour or the liver they are of."""
    for model in models_of(indication):
        is_asked = tissue is TUMOUR or role is _normal_role(model, roles)
        if is_asked and model.nuclide != "external" and model.kind == ("tcp" if tissue is TUMOUR else "ntcp"):
            yield model


def _prediction(
    model: ResponseModel, value: float, region: Region, nuclide_name: str, agent: str, *, together: bool
) -> StructurePrediction:
    """What a model says of a structure; of all tumours together the size of a lesion is not compared."""
    prediction = predict(
        model, value, nuclide=nuclide_name, agent=agent, lesion_ml=None if together else region.volume_ml,
        lesion=region.name,
    )  # fmt: skip
    if together:
        unknown = size_not_compared(model, f"{region.name!r} is all tumours together: look at each")
        prediction = replace(prediction, messages=(*prediction.messages, *unknown))
    return StructurePrediction(region.name, prediction)


def _derived(regions: Sequence[Region], roles: Mapping[str, str] | None) -> tuple[Region, ...]:
    """Tumours and livers that follow from those that were drawn."""
    clinical = clinical_regions(regions, roles=roles)
    return tuple(
        item.region for item in clinical[len(regions) :] if item.structure in TUMOURS or item.structure in LIVERS
    )


def _normal_role(model: ResponseModel, roles: Collection[Structure]) -> Structure:
    """Which structure is the tissue that a model of toxicity was fitted on."""
    whole = (Structure.PERFUSED_NORMAL, Structure.PERFUSED)
    normal, drawn = whole if model.tissue.startswith("perfused") else (Structure.NORMAL_LIVER, Structure.LIVER)
    return normal if normal in roles else drawn


def models_of(indication: Indication | None) -> tuple[ResponseModel, ...]:
    """Published models that hold for a disease; all where none is stated."""
    wanted = {"*", indication}
    return tuple(m for m in response_models().values() if indication is None or wanted & {*m.indications})


def tissues_of(
    regions: Sequence[Region], roles: Mapping[str, str], messages: list[Message]
) -> list[tuple[Region, Tissue]]:
    """Structures that are tumour or liver, each with its tissue; what is neither gets a message."""
    names = [region.name for region in regions]
    if absent := sorted(set(roles) - set(names)):
        raise InputError(f"roles given for structures that are not there: {', '.join(absent)}; there are: {names}")
    found = []
    for region in regions:
        role = structure_of(region, roles)
        if role in TUMOURS or role in LIVERS:
            found.append((region, TUMOUR if role in TUMOURS else LIVER))
        else:
            text = f"{region.name!r}: neither tumour nor liver by its name; no radiobiology"
            messages.append(Message("structure-left-out", text, "state `structure_roles` if it is"))
    return found
