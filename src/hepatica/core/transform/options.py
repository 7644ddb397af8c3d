"""What can be said of a transform beside its file."""

from __future__ import annotations

from hepatica.core.options import NonNegative, options
from hepatica.core.sources import TransformSource


@options
class TransformOptions:
    """How images of different frames of reference lie to each other.

    Attributes
    ----------
    transform : Path, Transform, a sequence of them, or None
        Brings what lies in another frame of reference over: DICOM Spatial Registration or Deformable Spatial
        Registration, ITK transform (.tfm), displacement field (.nii.gz, .mha, .nrrd). Several follow one another, from
        the fixed frame on.
    transform_uncertainty_mm : float or None
        Standard uncertainty (k = 1) of a point that it maps, along each axis; that of the file where it states one.
    """

    transform: TransformSource | tuple[TransformSource, ...] | None = None
    transform_uncertainty_mm: NonNegative | None = None
