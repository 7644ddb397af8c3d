"""What is asked of a registration."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from hepatica.core.options import Limits, options
from hepatica.core.transform.options import Model

__all__ = ["STARTS", "Model", "RegistrationOptions", "Start"]

Start = Literal["headers", "centres", "body", "head-feet", "landmarks"]
STARTS: tuple[Start, ...] = get_args(Start)


@options
class RegistrationOptions:
    """How one image is laid onto another.

    Attributes
    ----------
    model : {"rigid", "affine", "deformable"}
        What may change: position and turn; also scale and shear; also the shape of the tissue.
    starts : sequence of {"headers", "centres", "body", "head-feet", "landmarks"}
        Where to begin; the one from which the images come out most alike is kept. Landmarks are a start where they are
        given.
    landmarks_only : bool
        Whether to register by the landmarks alone, rigidly or affinely, whatever the images show.
    count_rim_mm : float
        What counts around the structures to count in, so that their borders do.
    checks : bool
        Whether to try the moving image turned by half and mirrored, to register the other way round for the inverse
        consistency, and to fit halves for the uncertainty; without it a registration takes a third of the time and
        its uncertainty is not known.
    seed : int
        Of the points at which the images are compared.
    """

    model: Model = "rigid"
    starts: tuple[Start, ...] = STARTS
    landmarks_only: bool = False
    count_rim_mm: Annotated[float, Limits(low=0.0, high=50.0)] = 5.0
    checks: bool = True
    seed: Annotated[int, Limits(low=0)] = 1
