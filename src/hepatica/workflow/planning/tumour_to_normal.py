"""Tumour-to-normal ratio from a scout, with masses and volumes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hepatica.anatomy.structures.clinical import union
from hepatica.core import Kind, Provenance, Region, Volume
from hepatica.core.message import Message, unique
from hepatica.core.options import Fraction, Positive, options, parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.table import Table
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.scout.uptake import UptakeRatio, overall_uptake_ratio, uptake_of, uptake_ratio
from hepatica.planning.scout.volumes import LiverVolumes, liver_volumes
from hepatica.workflow.planning.scout import Scout, ScoutOptions, read_scout
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource

SOFT_TISSUE_G_ML = 1.05
"""Density taken where no CT is given (Taranis' liver density); said in a message."""


@options
class UptakeOptions:
    """How T/N is taken.

    Attributes
    ----------
    territory : str or None
        Perfused structure in which T/N is taken; the whole liver if not given.
    response_mm : float or None
        Resolution of the image (FWHM), for the partial-volume note.
    count_relative_sd : float or None
        Relative standard uncertainty of each content.
    mass_relative_sd : float or None
        Relative standard uncertainty of each mass.
    """

    territory: str | None = None
    response_mm: Positive | None = None
    count_relative_sd: Fraction | None = None
    mass_relative_sd: Fraction | None = None


@result
class UptakeResult(Result):
    """T/N per lesion and overall, masses, volumes."""

    verb = "tumour_to_normal"

    lesions: tuple[UptakeRatio, ...]
    overall: UptakeRatio
    masses_kg: Mapping[str, float]
    volumes: LiverVolumes

    def title(self) -> str:
        """Normal liver and involvement."""
        normal, v = self.masses_kg["normal liver"], self.volumes
        return f"Normal liver {normal:.3f} kg; liver {v.liver_ml:.0f} mL, involvement {v.involvement:.1%}"

    def table(self) -> Table:
        """Each lesion and all together, by both definitions."""
        rows = []
        for row in (*self.lesions, self.overall):
            mass, interval = self.masses_kg.get(row.name), row.interval_95
            low, high = (None, None) if interval is None else interval.as_document()
            grams = None if mass is None else 1000 * mass
            rows.append((row.name, grams, row.tumour_to_normal, low, high, row.activity_ratio, row.expected_recovery))
        columns = ("lesion", "g", "T/N", "95 % from", "95 % to", "A_T/A_N", "expected recovery")
        return Table.of(columns, rows, "Tumour to normal liver", "tumour-to-normal")

    def tables(self) -> tuple[Table, ...]:
        """T/N, and the territories if there are any."""
        rows = [(t.name, t.volume_ml, t.tumour_ml, t.normal_ml, 100 * t.involvement) for t in self.volumes.territories]
        columns = ("territory", "mL", "tumour, mL", "normal, mL", "involvement, %")
        return (self.table(), *([Table.of(columns, rows, "Territories", "territories")] if rows else []))


@verb
def tumour_to_normal(
    scout: ImageSource,
    *,
    structures: StructureSource,
    reading: ScoutOptions = ScoutOptions(),
    uptake: UptakeOptions = UptakeOptions(),
    progress: Progress | None = None,
) -> UptakeResult:
    """Tumour-to-normal ratio of each lesion and overall, by both definitions.

    Parameters
    ----------
    scout : path or Image
        SPECT or PET: DICOM, NIfTI, MetaImage.
    structures : path or regions
        Liver and tumours: RTSTRUCT, SEG or label map.
    reading : ScoutOptions
        The CT, and what the files do not say.
    uptake : UptakeOptions
        How T/N is taken.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    UptakeResult
        Ratio by activity per mass and of activities, per lesion and overall; masses and volumes.

    Raises
    ------
    InputError
        If there is no liver or no tumour, or one of them holds nothing.
    UnknownNameError
        If the territory is not among the perfused structures.

    Examples
    --------
    >>> answer = hepatica.tumour_to_normal(scout, structures=[liver, tumour])
    >>> round(answer.overall.tumour_to_normal.value, 2)
    4.0
    """
    report_progress = progress or silent
    report_progress("reading the scout")
    found = read_scout(scout, structures, reading)
    report_progress("measuring uptake")
    return uptake_of_scout(found, uptake, reading)


def uptake_of_scout(scout: Scout, uptake: UptakeOptions, reading: ScoutOptions = ScoutOptions()) -> UptakeResult:
    """T/N of every lesion against the normal liver (of a territory, if one is named)."""
    (liver,) = scout.need("liver")
    if not scout.tumours:
        raise InputError("no structure is a tumour", remedy="state `structure_roles`: 'NAME=tumour'")
    messages = list(scout.messages)
    density = scout.density
    if density is None:
        values = np.full(scout.image.grid.shape, SOFT_TISSUE_G_ML, dtype=np.float32)
        density = Volume(scout.image.grid, values, Kind.DENSITY)
        text = f"no CT was given: masses are volumes times {SOFT_TISSUE_G_ML} g/mL"
        messages.append(Message("mass-without-ct", text, "give `ct`"))
    normal, tumours, left_out = _in_territory(scout, liver, uptake.territory)
    messages += left_out
    content_sd, mass_sd = uptake.count_relative_sd, uptake.mass_relative_sd
    base, *taken = (
        uptake_of(scout.image, region, density, content_relative_sd=content_sd, mass_relative_sd=mass_sd)
        for region in (normal.renamed("normal liver"), *tumours)
    )
    lesions = tuple(uptake_ratio(lesion, base, response_mm=uptake.response_mm) for lesion in taken)
    overall = overall_uptake_ratio(taken, base)
    volumes = liver_volumes(liver, list(scout.tumours.values()), scout.territories)
    return UptakeResult(
        lesions=lesions,
        overall=overall,
        masses_kg={lesion.name: lesion.mass_kg for lesion in taken} | {"normal liver": base.mass_kg},
        volumes=volumes,
        messages=unique(messages, *(row.messages for row in (*lesions, overall)), volumes.messages),
        provenance=Provenance(
            scout.inputs,
            parameters=parameters(uptake, reading, ct=None),
            steps=("T/N from contents and masses of the structures",),
        ),
    )


def _in_territory(scout: Scout, liver: Region, territory: str | None) -> tuple[Region, list[Region], list[Message]]:
    """Normal liver, lesions, and what to know of those left out, in a territory or in the whole liver."""
    normal = liver - union(list(scout.tumours.values()))
    if territory is None:
        return normal, list(scout.tumours.values()), []
    if territory not in scout.territories:
        raise UnknownNameError("territory", territory, scout.territories)
    perfused = scout.territories[territory]
    inside = {name: (region & perfused).renamed(name) for name, region in scout.tumours.items()}
    left_out = [
        Message("lesion-outside-territory", f"{name} lies outside {territory} and is left out")
        for name, region in inside.items()
        if region.is_empty
    ]
    return normal & perfused, [region for region in inside.values() if not region.is_empty], left_out
