"""A scout scan from files or from values."""

from __future__ import annotations

from dataclasses import replace

from hepatica.core.image import Stated
from hepatica.core.progress import Progress, silent
from hepatica.io.structures.regions import drawn_structures
from hepatica.planning.scout.scan import Scout, ScoutOptions, scout_scan, together_with
from hepatica.workflow.registration.at_hand import AtHand, transform_for
from hepatica.workflow.registration.transforms import GivenTransform, moved_image
from hepatica.workflow.sources import ImageSource, StructureSource, as_image


def read_scout(
    scout: ImageSource,
    structures: StructureSource,
    reading: ScoutOptions = ScoutOptions(),
    progress: Progress | None = None,
) -> Scout:
    """A scout with its structures on its own voxels.

    Parameters
    ----------
    scout : path or Image
        SPECT or PET: DICOM file or folder, NIfTI, MetaImage.
    structures : path or regions
        RTSTRUCT, SEG or label map, drawn on scout or CT; or regions on the voxels of either.
    reading : ScoutOptions
        The CT, for masses, and what the files do not say.
    progress : callable, optional
        Told the steps of a registration.

    Raises
    ------
    HepaticaError
        As the readers; GeometryError if frames of reference differ.
    """
    image = as_image(scout, role="activity", series=reading.series, stated=Stated(unit=reading.activity_unit))
    ct = None if reading.ct is None else as_image(reading.ct, role="ct", series=reading.ct_series)
    given: GivenTransform | None = None
    step = ""
    if ct is not None and reading.registration.moves:
        at_hand = AtHand(ct, structures=structures, structure_roles=reading.structure_roles)
        grids = (ct.grid, image.grid)
        given = transform_for(
            reading.registration, grids, at_hand, registered=reading.registered, progress=progress or silent
        )
        image, about, step = moved_image(image, given, ct.grid)
        image = image.with_messages(*about)
    if ct is not None:
        image = together_with(image, ct, registered=reading.registered)
    drawn = drawn_structures(structures, ct or image, reading.structure_roles)
    found = scout_scan(image, ct, drawn, registered=reading.registered, density=reading.density)
    if given is None:
        return found
    inputs = (*found.inputs, *given.inputs)
    return replace(found, inputs=inputs, steps=(step,), position_sd_mm=given.transform.uncertainty_mm)
