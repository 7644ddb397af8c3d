"""The lung shunt of planar views: the same counts, corrections and organs as in a biodistribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hepatica.core import InputFile
from hepatica.core.message import Message, unique
from hepatica.core.options.stated import require_unstated
from hepatica.core.progress import Progress
from hepatica.errors import InputError
from hepatica.imaging.planar.measure import LIVER_GROUP, LUNG_GROUP, Measured
from hepatica.imaging.planar.options import PlanarAttenuationOptions
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.planning.intervals import Interval
from hepatica.planning.scout.lung_shunt import PLANAR_BIAS, LungShunt
from hepatica.workflow.planar.measuring import Study, measure_times
from hepatica.workflow.planar.options import BiodistributionOptions
from hepatica.workflow.planar.reading import PlanarInput, nuclide_of, times_of, usual_window
from hepatica.workflow.sources import ImageSource, StructureSource


@dataclass(frozen=True, slots=True, eq=False)
class ShuntOfViews:
    """A lung shunt, what must be known of it, and the files."""

    shunt: LungShunt
    messages: tuple[Message, ...]
    inputs: tuple[InputFile, ...]
    masses_g: Mapping[str, float]


def shunt_of_views(
    planar: PlanarInput | Sequence[PlanarInput],
    structures: Sequence[StructureSource],
    ct: ImageSource | None,
    options: BiodistributionOptions,
    *,
    unit: str | None,
    progress: Progress,
) -> ShuntOfViews:
    """Lungs over lungs and liver on the views of one time, as `biodistribution` measures both.

    Only shares count here, so that a file may leave out how long its views lasted, where none says it. Without a CT, a
    transmission scan or the body's thickness attenuation is not corrected, as the labels assume, and it is said.

    Parameters
    ----------
    planar : path, Image, views, or several
        Of one time.
    structures : sequence of path or regions
        Lungs and liver, drawn on the CT or on the views; overlay planes of the files without.
    ct : path, Image or None
        CT of the patient.
    options : BiodistributionOptions
        Reading, counts, attenuation, organs, uncertainty; what was given and time are of no effect.
    unit : str, optional
        What a pixel of a file that is no DICOM holds.
    progress : callable
        Told what is being done.

    Raises
    ------
    InputError
        If the views are of several times, or lungs or liver are missing.
    """
    require_unstated(
        options.organs, why="of shares of the body; a lung shunt is lungs over lungs and liver",
        only=("normalise", "retained"),
    )  # fmt: skip
    reading = options.reading
    window = None if reading.nuclide is None else usual_window(find_nuclide(reading.nuclide))
    views = times_of(planar, reading, options.counts.dwell_s, unit=unit, window=window, shares_alone=True)
    if len(views) > 1:
        raise InputError(
            f"a lung shunt is of one time; the files hold views of {len(views)}",
            remedy="give the views of one time; `biodistribution` measures several",
        )
    chosen, overridden = nuclide_of(views, reading)
    options = replace(options, absorption=_attenuation(options, ct), organs=replace(options.organs, normalise="organs"))
    found = measure_times(Study(views, chosen, structures, ct, options), progress)
    organs = found.times[0].organs
    uncorrected = options.absorption.attenuation == "none"
    bias = (PLANAR_BIAS,) if uncorrected or found.times[0].rates.scatter_method == "none" else ()
    messages = unique(bias, found.messages, overridden)
    return ShuntOfViews(lung_shunt_of(organs), messages, tuple(found.inputs), found.masses_g)


def _attenuation(options: BiodistributionOptions, ct: ImageSource | None) -> PlanarAttenuationOptions:
    """How attenuation is corrected: as stated, else by what there is of CT, transmission scan and thickness."""
    stated = options.absorption
    if stated.attenuation != "ct" or ct is not None or stated.body_thickness_mm is not None:
        return stated
    return replace(stated, attenuation="transmission" if options.flood.transmission_scan is not None else "none")


def lung_shunt_of(organs: Measured) -> LungShunt:
    """The lung shunt of measured organs, its uncertainty by source.

    Raises
    ------
    InputError
        If lungs or liver are missing, or not seen whole.
    """
    found = organs.shunt()
    if found is None:
        missing = [name for name in (LUNG_GROUP, LIVER_GROUP) if name not in organs.rates.names]
        raise InputError(
            f"the structures must name the lungs and one liver; missing: {' and '.join(missing)}"
            if missing
            else f"there is no lung shunt: {' and '.join(organs.unknown)} go on beyond CT and views",
            remedy="draw them, or state `structure_roles`" if missing else "give a CT, or views, of the whole organs",
        )
    shunt, interval = found
    index = {name: n for n, name in enumerate(organs.rates.names)}
    _, components = organs.rates.ratio(LUNG_GROUP, (LUNG_GROUP, LIVER_GROUP))
    lungs, liver = (float(organs.rates.cps[index[name]]) for name in (LUNG_GROUP, LIVER_GROUP))
    plain = organs.shunt_uncorrected()
    details = {} if plain is None else {"fraction_without_attenuation_correction": plain}
    return LungShunt(shunt, Interval(*interval), "planar", lungs, liver, components, details)
