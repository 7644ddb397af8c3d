"""A scout scan from files or from values."""

from __future__ import annotations

from hepatica.core.image import Stated
from hepatica.io.regions import drawn_structures
from hepatica.planning.scout.scan import Scout, ScoutOptions, scout_scan, together_with
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
    if ct is not None:
        image = together_with(image, ct, registered=reading.registered)
    drawn = drawn_structures(structures, ct or image, reading.structure_roles)
    return scout_scan(image, ct, drawn, registered=reading.registered, density=reading.density)
