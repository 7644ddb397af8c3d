"""What can be said of a transform beside its file, and how one is found where none is at hand."""

from __future__ import annotations

from typing import Literal

from hepatica.core.options import NonNegative, options
from hepatica.core.tables.sources import ImageSource, TransformSource
from hepatica.errors import InputError

Model = Literal["rigid", "affine", "deformable"]


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
        Standard uncertainty (k = 1) of a point that it maps, along each axis; that of the file or of the registration
        where it states one.
    register : {"rigid", "affine", "deformable"} or None
        Find the transform by registration, by this model, where none is at hand.
    moving_ct : path, Image or None
        CT that was acquired with what lies elsewhere, in its frame of reference: it drives the registration, uptake
        never does.
    within : sequence of str
        Structures in which the registration counts, by name or role; the liver where one is drawn, if none are named.
    """

    transform: TransformSource | tuple[TransformSource, ...] | None = None
    transform_uncertainty_mm: NonNegative | None = None
    register: Model | None = None
    moving_ct: ImageSource | None = None
    within: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_one_way(self)

    @property
    def moves(self) -> bool:
        """Whether something is to be brought over: a transform was given, or is to be found."""
        return self.transform is not None or self.register is not None


def require_one_way(stated: TransformOptions) -> None:
    """InputError if a transform is both given and to be found, or something is said of one that is neither."""
    if stated.transform is not None and stated.register is not None:
        raise InputError("`transform` gives what `register` would find", remedy="state one of them")
    if not stated.moves and stated.transform_uncertainty_mm is not None:
        raise InputError("`transform_uncertainty_mm` is that of a `transform`; none was given")
    if stated.register is None and (stated.moving_ct is not None or stated.within):
        name = "moving_ct" if stated.moving_ct is not None else "within"
        raise InputError(f"`{name}` is for a registration", remedy="state `register` rigid, affine or deformable")
