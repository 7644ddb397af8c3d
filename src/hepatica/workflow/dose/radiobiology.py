"""What a dose, or a dose map, does to tissue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path

from hepatica.core import InputFile, Provenance, Region, Volume
from hepatica.core.document import INLINE
from hepatica.core.message import Message, unique
from hepatica.core.options import Positive, parameters, verb
from hepatica.core.tables.sources import regions_of
from hepatica.core.tables.table import Cell, Table
from hepatica.dosimetry.radiobiology.dose_map import DoseMapOptions, MapEffect, map_effect
from hepatica.dosimetry.radiobiology.response_models import Prediction
from hepatica.dosimetry.radiobiology.summary import (
    DoseEffect,
    Exposure,
    ExposureOptions,
    TissueOptions,
    dose_effect,
)
from hepatica.errors import InputError
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.itk import write_itk
from hepatica.nuclides import nuclide
from hepatica.planning.limits.dose_limits import SEEN_WHOLE
from hepatica.planning.measured.earlier_results import is_result, result_file
from hepatica.planning.measured.treatment_results import absorbed_dose_of
from hepatica.report.figures.outcome import draw_bed_histograms, draw_dose_effect, save
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import DoseSource, StructureSource, as_dose


@result
class RadiobiologyResult(Result):
    """What a dose amounts to (`DoseEffect`), or each structure of a dose map (`MapEffect`)."""

    verb = "radiobiology"

    effect: DoseEffect | MapEffect = field(metadata=INLINE)

    def title(self) -> str:
        """Nuclide and tissue."""
        e = self.effect
        if isinstance(e, MapEffect):
            return f"{e.nuclide}, EUD with alpha {e.structures[0].alpha_per_gy:g} per Gy"
        t = e.tissue
        return f"{e.exposure.nuclide}, {t.name}: alpha/beta {t.alpha_beta_gy:g} Gy, repair {t.repair.half_time_h:g} h"

    def table(self) -> Table:
        """BED, EQD2 and EUD: of the dose, or of each structure."""
        if isinstance(self.effect, MapEffect):
            return _structures(self.effect)
        return _quantities(self.effect)

    def tables(self) -> tuple[Table, ...]:
        """BED and its kin, nuclides compared, published models."""
        e = self.effect
        if isinstance(e, MapEffect):
            rows = [(m.structure, *_reading(m.prediction)) for m in e.models]
            return (self.table(), Table.of(("structure", *_MODEL_COLUMNS), rows, "Published models", "models"))
        models = Table.of(_MODEL_COLUMNS, [_reading(p) for p in e.models], "Published models", "models")
        return (self.table(), _nuclides(e), models)

    def write(self, folder: Path) -> None:
        """Write the figure ``bed.svg``, and of a dose map the BED of every voxel as ``bed-TISSUE.nii.gz``."""
        if isinstance(self.effect, MapEffect):
            save(draw_bed_histograms(self.effect.histograms), folder / "bed.svg")
            for tissue, volume in self.effect.bed.items():
                write_itk(volume, folder / f"bed-{tissue}.nii.gz")
        else:
            save(draw_dose_effect(self.effect), folder / "bed.svg")


_MODEL_COLUMNS = ("model", "fitted on", "dose, Gy", "what it says", "confidence")


def _reading(p: Prediction) -> tuple[str, str, float, str, str]:
    return p.model.name, f"{p.model.nuclide} {p.model.agent}", p.model_dose_gy, p.reading, p.model.confidence


def _structures(e: MapEffect) -> Table:
    columns = ["structure", "mL", "dose, Gy", "BED, Gy", "EQD2, Gy", "EUD, Gy", "EUBED, Gy"]
    rows: list[list[Cell]] = [
        [r.name, r.volume_ml, r.dose_mean_gy, r.bed_mean_gy, r.eqd2_mean_gy, r.eud_gy, r.eubed_gy] for r in e.structures
    ]
    for column, values in (
        ("generalized EUD, Gy", [r.generalized_eud_gy for r in e.structures]),
        ("Poisson TCP", [r.poisson_tcp for r in e.structures]),
    ):
        if any(value is not None for value in values):
            columns.append(column)
            rows = [[*row, value] for row, value in zip(rows, values, strict=True)]
    return Table.of(columns, rows, "Structures", "structures")


def _quantities(e: DoseEffect) -> Table:
    return Table.of(("quantity", "value", "unit"), list(_rows(e)), "Dose", "dose")


def _rows(e: DoseEffect) -> Iterator[tuple[str, float, str]]:
    yield "absorbed dose", e.exposure.dose_gy, "Gy"
    yield "BED", e.bed_gy, "Gy"
    if e.bed_sd_gy is not None:
        yield "BED, standard uncertainty from the dose", e.bed_sd_gy, "Gy"
    yield "EQD2", e.eqd2_gy, "Gy"
    yield "relative effectiveness", e.relative_effectiveness, ""
    yield "Lea-Catcheside factor G", e.lea_catcheside_factor, ""
    yield "initial dose rate", e.initial_dose_rate_gy_per_h, "Gy/h"
    if e.course_bed_gy != e.bed_gy:
        yield "BED with earlier treatments", e.course_bed_gy, "Gy"


def _nuclides(e: DoseEffect) -> Table:
    columns = (
        "nuclide", "half-life, h", "G", "effectiveness", "BED, Gy", f"same effect as this {e.exposure.nuclide}, Gy",
    )  # fmt: skip
    rows = [
        (n.nuclide, n.half_life_h, n.lea_catcheside_factor, n.relative_effectiveness, n.bed_gy, n.isoeffective_dose_gy)
        for n in e.nuclides
    ]
    title = f"{e.exposure.dose_gy:g} Gy of every nuclide (physical half-lives)"
    return Table.of(columns, rows, title, "nuclides")


@verb
def radiobiology(
    dose_gy: Positive | None = None,
    *,
    dose_map: DoseSource | None = None,
    structures: StructureSource | None = None,
    exposure: ExposureOptions = ExposureOptions(),
    tissue: TissueOptions = TissueOptions(),
    map_options: DoseMapOptions = DoseMapOptions(),
) -> RadiobiologyResult:
    """BED, EQD2, EUD and published TCP and NTCP models of a dose or a dose map.

    Parameters
    ----------
    dose_gy : float or None
        Absorbed dose.
    dose_map : path, Volume or Image, optional
        Dose map in Gy instead: RTDOSE, NIfTI, MetaImage.
    structures : path or regions, optional
        Structures on the map: RTSTRUCT, SEG, label map.
    exposure : ExposureOptions
        What the tissue was treated with.
    tissue : TissueOptions
        Tissue that received a single dose.
    map_options : DoseMapOptions
        How the structures of a dose map are summed up.

    Returns
    -------
    RadiobiologyResult
        BED and models; ``save`` writes a figure, and the BED of every voxel of a map.

    Raises
    ------
    InputError
        If there is neither dose nor map, or both, or a map without structures.
    UnitError
        If the map is no dose in Gy.

    Examples
    --------
    >>> round(hepatica.radiobiology(52.0, tissue=TissueOptions(tissue="liver")).effect.bed_gy, 1)
    92.6
    """
    if (dose_gy is None) == (dose_map is None):
        raise InputError("radiobiology is of one dose or of one dose map", remedy="state `dose` or `dose_map`")
    if dose_gy is not None:
        if structures is not None or map_options != DoseMapOptions():
            raise InputError("structures, their roles and EUD are those of a dose map", remedy="state `dose_map`")
        return _of_dose(dose_gy, exposure, tissue)
    if tissue != TissueOptions():
        raise InputError(
            "tissue, repair, uncertainty and earlier treatments are those of a single dose; on a map the structures "
            "decide",
            remedy="leave them out, or state `dose`",
        )
    if structures is None or dose_map is None:
        raise InputError("a dose map needs structures", remedy="state `structures`")
    return _of_map(dose_map, structures, exposure, map_options)


def _of_dose(dose_gy: float, exposure: ExposureOptions, tissue: TissueOptions) -> RadiobiologyResult:
    hours = exposure.half_life_h
    treated = Exposure(dose_gy, tissue.dose_sd_gy, nuclide(exposure.nuclide).name, exposure.agent, hours)
    effect = dose_effect(treated, tissue.parameters(), tissue.treatments(hours))
    return RadiobiologyResult(
        effect=effect,
        messages=unique(*(p.messages for p in effect.models)),
        provenance=effect.provenance.adding(parameters=parameters(exposure, tissue, dose_gy=dose_gy)),
    )


def _of_map(
    dose_map: DoseSource, structures: StructureSource, exposure: ExposureOptions, asked: DoseMapOptions
) -> RadiobiologyResult:
    found = as_dose(dose_map, role="dose")
    dose, inputs = found.volume, found.inputs
    regions, notes = _regions(structures, dose)
    means: Mapping[str, float] = {}
    if isinstance(structures, str | Path):
        drawn = input_file("structures", Path(structures))
        means = means_of_result(dose_map, drawn)
        inputs += (drawn,)
    if found.seen_field is not None:
        # What the image cuts off is not known, and is no dose of zero.
        parts = [found.seen_field.seen_part(region) for region in regions if not region.is_empty]
        regions = tuple(region for region in parts if region.volume_ml > 0)
    effect = map_effect(dose, regions, exposure, asked, means)
    effect, cut = _seen_whole(effect, dose_map)
    return RadiobiologyResult(
        effect=effect,
        messages=unique(found.messages, notes, effect.messages, cut, *(m.prediction.messages for m in effect.models)),
        provenance=Provenance(inputs=inputs, conventions=MEAN_OF_RESULT if means else {}).merged(effect.provenance),
    )


def _seen_whole(effect: MapEffect, dose_map: DoseSource) -> tuple[MapEffect, tuple[Message, ...]]:
    """Without the models of structures that the image of the dose does not see whole, by the result beside the map."""
    file = Path(dose_map) / "result.json" if isinstance(dose_map, str | Path) else None
    if file is None or not file.is_file() or not is_result(file, "absorbed_dose"):
        return effect, ()
    rows = result_file(file, "absorbed_dose").get("structures") or ()
    shares = {str(row["name"]): float(row.get("seen_share", 1.0)) for row in rows}
    cut = [one.name for one in effect.structures if shares.get(one.name, 1.0) < SEEN_WHOLE]
    if not cut:
        return effect, ()
    listed = ", ".join(f"{name} {100 * shares[name]:.0f} %" for name in cut)
    text = (
        f"the activity image sees a part of these structures alone ({listed}): no model predicts anything of them, and "
        "dose, BED and EUD are those of this part"
    )
    note = Message("structure-not-seen-whole", text, "take an image that sees them whole")
    return replace(effect, models=tuple(one for one in effect.models if one.structure not in cut)), (note,)


MEAN_OF_RESULT = {"mean dose": "that of the absorbed dose (energy over mass); BED and EUD over voxels, by volume"}


def means_of_result(dose_map: DoseSource, structures: InputFile) -> Mapping[str, float]:
    """Mean doses that the result of the dose map has of the same structures, by name, Gy; none of another file."""
    file = Path(dose_map) / "result.json" if isinstance(dose_map, str | Path) else None
    if file is None or not file.is_file() or not is_result(file, "absorbed_dose"):
        return {}
    document = result_file(file, "absorbed_dose")
    inputs = document.get("provenance", {}).get("inputs", ())
    if not any(one.get("role") == "structures" and one.get("sha256") == structures.sha256 for one in inputs):
        return {}
    return {name: gray for name, (_, gray) in absorbed_dose_of(file).structures.items()}


def _regions(source: StructureSource, dose: Volume) -> tuple[tuple[Region, ...], tuple[Message, ...]]:
    if not isinstance(source, str | Path):
        return regions_of(source), ()
    from hepatica.io.structures.regions import read_structures

    found = read_structures(source, dose.grid)
    return found.regions, found.messages
