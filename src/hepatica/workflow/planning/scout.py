"""A scout scan from files or from values."""

from __future__ import annotations

from dataclasses import replace

from hepatica.core.image import Stated
from hepatica.core.transform.options import TransformOptions
from hepatica.io.regions import drawn_structures
from hepatica.planning.scout.scan import Scout, ScoutOptions, scout_scan, together_with
from hepatica.workflow.registration.transforms import GivenTransform, given_transform, moved_image
from hepatica.workflow.sources import ImageSource, StructureSource, as_image


def read_scout(scout: ImageSource, structures: StructureSource, reading: ScoutOptions = ScoutOptions()) -> Scout:
    """A scout with its structures on its own voxels.

    Parameters
    ----------
    scout : path or Image
        SPECT or PET: DICOM file or folder, NIfTI, MetaImage.
    structures : path or regions
        RTSTRUCT, SEG or label map, drawn on scout or CT; or regions on the voxels of either.
    reading : ScoutOptions
        The CT, for masses, and what the files do not say.

    Raises
    ------
    HepaticaError
        As the readers; GeometryError if frames of reference differ.
    """
    image = as_image(scout, role="activity", series=reading.series, stated=Stated(unit=reading.activity_unit))
    ct = None if reading.ct is None else as_image(reading.ct, role="ct", series=reading.ct_series)
    given: GivenTransform | None = None
    if ct is not None and reading.transform is not None:
        stated = TransformOptions(
            transform=reading.transform, transform_uncertainty_mm=reading.transform_uncertainty_mm
        )
        given = given_transform(stated, ct.grid, image.grid, registered=reading.registered)
        image, about, _ = moved_image(image, given, ct.grid)
        image = image.with_messages(*about)
    if ct is not None:
        image = together_with(image, ct, registered=reading.registered)
    drawn = drawn_structures(structures, ct or image, reading.structure_roles)
    found = scout_scan(image, ct, drawn, registered=reading.registered, density=reading.density)
    return found if given is None else replace(found, inputs=(*found.inputs, *given.inputs))
