"""One image laid onto another: starts, climbs, what speaks against the result, and how far off it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.by_landmarks import by_landmarks
from hepatica.anatomy.registration.deformable.deform import Bent, bend
from hepatica.anatomy.registration.deformable.settings import DeformableSettings
from hepatica.anatomy.registration.landmarks import LandmarkFit, Points, fit_landmarks
from hepatica.anatomy.registration.linear import Pair, TriedStart, best_start, refined
from hepatica.anatomy.registration.orientation import Orientation, oriented
from hepatica.anatomy.registration.prepared import holds_uptake, patient_alone
from hepatica.anatomy.registration.quality.measures import (
    FieldVolumes,
    InverseConsistency,
    field_volumes,
    inverse_consistency,
)
from hepatica.anatomy.registration.settings import RegistrationOptions
from hepatica.anatomy.registration.similarity import compared, similarity
from hepatica.anatomy.registration.starts import (
    Candidate,
    body_start,
    centre_start,
    head_feet_starts,
    header_start,
)
from hepatica.anatomy.registration.uncertainty import RegistrationUncertainty, uncertainty
from hepatica.core import Region, Volume
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.core.progress import Progress, silent
from hepatica.core.transform import Affine, Transform, warp_region
from hepatica.core.transform.transform import NOT_FOR_USE
from hepatica.errors import GeometryError, InputError

FloatArray = NDArray[np.float64]

MIN_SIMILARITY = 0.08
"""Below it, images are no more alike than two different parts of one body laid on each other (0.06 to 0.12 measured on
virtual patients; 0.2 to 0.5 where they are registered)."""

AFFINE_VOLUME = (0.7, 1.4)
"""Volume of the moving tissue per volume of the fixed beyond which an affine registration is no patient's: breathing
and a year of growth or shrinking change the trunk by less than a tenth along each axis."""

NOTHING_MM = 0.5
"""A registration that moves the patient by less on average changes nothing that images of radioembolization show."""

MIN_WITHIN = 0.02
"""Likeness within what counts, registered, below which that shows nothing of where it lies: an even organ without its
border. Livers of virtual patients have 0.13 (CT and MR) to 0.26 (two CTs)."""

UNUSABLE = ("moving-image-mirrored", "images-not-alike", "nothing-alike-within")
"""Messages after which a result must not be used: it has no uncertainty, fails, and its files say so."""

SMALL_SHARE = 0.5
"""Less of the fixed image's region than this in the moving one, and the reader is told."""


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """Where a point of the fixed image lies in the moving one, and how that was found.

    Attributes
    ----------
    transform : Transform
        From fixed to moving LPS mm.
    starts : tuple of TriedStart
        Every start and what came of it.
    similarity_before : float or None
        Likeness of the images (0 to 1) as their headers place them, at the points that both transforms put into the
        moving image; None where these are too few.
    similarity_after : float
        Likeness at the same points after registration; at all points that both images show where there is no before.
    shared : float
        Share of the region that counts in the fixed image that the moving image shows.
    kept : bool
        Whether the registration was kept; False where the images were more alike as their headers place them, which
        is then the transform.
    uncertainty : RegistrationUncertainty or None
        Of a mapped point in what counts; None where the whole patient counted, or the result must not be used.
    landmark_fit : LandmarkFit or None
        Of the landmarks alone.
    orientations : tuple of Orientation
        What was tried, most alike first.
    volumes : FieldVolumes
        Jacobian determinant over the region that counts.
    inverse : InverseConsistency or None
        Of this registration and one of the other direction, made for that; None of landmarks alone, whose fit the other
        way round is its inverse whatever they are worth.
    messages : tuple of Message
        What the reader must know.
    """

    transform: Transform
    starts: tuple[TriedStart, ...]
    similarity_before: float | None
    similarity_after: float
    shared: float
    kept: bool
    uncertainty: RegistrationUncertainty | None
    landmark_fit: LandmarkFit | None
    orientations: tuple[Orientation, ...]
    volumes: FieldVolumes
    inverse: InverseConsistency | None
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)

    @property
    def usable(self) -> bool:
        """Whether nothing says that it must not be used: mirrored, or not alike."""
        return not any(message.code in UNUSABLE for message in self.messages)


def register_volumes(
    fixed: Volume,
    moving: Volume,
    options: RegistrationOptions = RegistrationOptions(),
    *,
    within: Region | None = None,
    landmarks: tuple[Points, Points] | None = None,
    progress: Progress = silent,
) -> Registration:
    """Lay one image onto another.

    Parameters
    ----------
    fixed, moving : Volume
        CT, MR, PET or SPECT on any grids. What is found leads from points of the first to points of the second.
    options : RegistrationOptions
        Model, starts, what is checked.
    within : Region or None
        What counts, drawn on the fixed image: its patient as a whole if None.
    landmarks : pair of mapping of str to three floats, or None
        LPS mm by name, of the fixed and of the moving image; a start.
    progress : callable
        Called with each step.

    Raises
    ------
    InputError
        If landmarks are too few or without common names, or uptake would bend tissue.
    GeometryError
        If no patient is found, the images do not overlap, the structure lies elsewhere, landmarks lie on a line or fit
        mirrored, or the field that was found folds.
    UnitError
        If an image is none of anatomy or uptake, or a voxel is not finite.
    """
    if options.model == "deformable" and (holds_uptake(fixed) or holds_uptake(moving)):
        raise InputError(
            "uptake must not bend tissue: a tumour that takes up more would be made larger",
            remedy="give the CT that was acquired with the PET or SPECT; its transform holds for both",
        )
    progress("finding the patient in both images")
    pair = Pair.of(fixed, moving, within, options.count_rim_mm, options.seed)
    if options.landmarks_only:
        return _of_landmarks(pair, landmarks, options)
    fit = None if landmarks is None else fit_landmarks(*landmarks)
    progress("trying starts")
    matrix, tried = best_start(pair, _candidates(pair, options.starts, fit))
    orientations: tuple[Orientation, ...] = ()
    notes: list[Message] = []
    if options.checks:
        progress("trying orientations")
        matrix, orientations, notes = oriented(pair, matrix)
    progress("refining")
    linear: Literal["affine", "rigid"] = "affine" if options.model == "affine" else "rigid"
    matrix = refined(pair, matrix, linear)
    _require_patient(matrix)
    found = Transform.affine(
        matrix, fixed_frame=fixed.grid.frame_of_reference, moving_frame=moving.grid.frame_of_reference,
        method=f"{linear}, Mattes mutual information",
    )  # fmt: skip
    if options.model == "deformable":
        progress("bending")
        found, smoothed = _bent(pair, found)
        notes = [*notes, *smoothed]
    transform, kept, before, after, share, more = _kept(pair, found)
    doubts = [*notes, *_doubts(pair, transform, share)]
    unusable = any(note.code in UNUSABLE for note in doubts)
    points = pair.judging().points_mm
    sure, inverse = _how_sure(pair, transform, found, points, options, unusable=unusable, progress=progress)
    if sure is not None:
        transform = replace(transform, uncertainty_mm=sure.mean_mm)
    elif options.checks and not unusable:
        more.append(_not_known(pair))
    if unusable:
        transform = _not_for_use(transform)
    return Registration(
        transform=transform,
        starts=tried,
        similarity_before=before,
        similarity_after=after,
        shared=share,
        kept=kept,
        uncertainty=sure,
        landmark_fit=fit,
        orientations=orientations,
        volumes=field_volumes(transform, points),
        inverse=inverse,
        messages=(*doubts, *more),
    )


def _how_sure(
    pair: Pair, transform: Transform, found: Transform, points_mm: FloatArray, options: RegistrationOptions, *,
    unusable: bool, progress: Progress,
) -> tuple[RegistrationUncertainty | None, InverseConsistency | None]:  # fmt: skip
    """How far off the transform that is kept may be, at least as far as the way there and back misses."""
    progress("how far off it may be")
    if not options.checks:
        return None, None
    # Halves of a whole patient do not tell how far off an organ in it is; of what is not alike they tell nothing.
    sure = None if pair.within is None or unusable else uncertainty(pair, transform)
    progress("registering the other way round")
    inverse = inverse_consistency(transform, _back(pair, found, options), points_mm)
    return None if sure is None else sure.at_least(inverse.mean_mm / np.sqrt(6)), inverse


def _not_for_use(transform: Transform) -> Transform:
    """The same without an uncertainty, and the word in its method, which stands in its files."""
    return replace(transform, uncertainty_mm=None, method=f"{NOT_FOR_USE}; {transform.method}")


def _not_known(pair: Pair) -> Message:
    """That the uncertainty is not known, and why."""
    if pair.within is None:
        text = (
            "how far off the registration is was not worked out: the whole patient counted, and what its spine and "
            "ribs agree on says nothing of an organ that breathes (a liver was off by 6 mm where they agreed to 0.1 mm)"
        )
        return Message("uncertainty-not-known", text, "name the structure that matters, drawn on the fixed image")
    text = f"how far off it is within {pair.within.name!r} could not be worked out: its halves show too little"
    return Message("uncertainty-not-known", text, "let more count, or state an uncertainty of your own")


def _of_landmarks(pair: Pair, landmarks: tuple[Points, Points] | None, options: RegistrationOptions) -> Registration:
    """A registration by landmarks alone, with the likeness of the images that it brings about."""
    transform, fit, sure, notes = by_landmarks(pair, landmarks, options)
    _require_patient(transform.matrix)
    samples = pair.judging()
    before, after = compared(samples, pair.moving, replace(transform, steps=()), transform)
    alike, share = similarity(samples, pair.moving, transform)
    if before is not None and after is not None and after < before:
        text = f"the landmarks make the images less alike ({before:.3f} before, {after:.3f} after)"
        notes.append(Message("landmarks-against-images", text, "look at the figure; are names and sides right?"))
    doubts = [*notes, *_doubts(pair, transform, share)]
    if any(note.code in UNUSABLE for note in doubts):
        sure, transform = None, _not_for_use(transform)
    return Registration(
        transform=transform,
        starts=(),
        similarity_before=before,
        similarity_after=alike if after is None else after,
        shared=share,
        kept=True,
        uncertainty=sure,
        landmark_fit=fit,
        orientations=(),
        volumes=field_volumes(transform, samples.points_mm),
        inverse=None,
        messages=tuple(doubts),
    )


def _back(pair: Pair, found: Transform, options: RegistrationOptions) -> Transform:
    """A registration of the fixed image onto the moving one, from the inverse of the linear part of `found`."""
    linear = Transform(tuple(step for step in found.steps if isinstance(step, Affine)))
    start = linear.inverse()
    within = None if pair.within is None else warp_region(pair.within, start, pair.sources[1].grid)
    if within is not None and within.is_empty:
        within = None
    other = pair.swapped(within)
    matrix = refined(other, start.matrix, "affine" if options.model == "affine" else "rigid")
    back = Transform.affine(matrix, fixed_frame=found.moving_frame, moving_frame=found.fixed_frame)
    # A transform that was not bent is held against one that is not.
    return back if found.is_affine else _field_from(other, back).transform


def _candidates(pair: Pair, starts: Sequence[str], fit: LandmarkFit | None) -> list[Candidate]:
    one, other = pair.fixed_coarse, pair.moving_coarse
    found: list[Candidate] = []
    if "landmarks" in starts and fit is not None:
        found.append(Candidate("landmarks", fit.transform.matrix))
    if "headers" in starts:
        found.append(header_start())
    if "centres" in starts:
        found.append(centre_start(one, other))
    if "body" in starts:
        found.append(body_start(one, other))
    if "head-feet" in starts:
        found.extend(head_feet_starts(one, other, pair.seed))
    if not found:
        raise InputError(
            f"no start is left of {', '.join(starts) or 'none'}", remedy="give landmarks, or other `starts`"
        )
    return found


def _require_patient(matrix: FloatArray) -> None:
    volume = float(np.linalg.det(matrix[:3, :3]))
    if volume <= 0:
        raise GeometryError(f"the affine registration mirrors the patient (determinant {volume:.3g})")
    if not AFFINE_VOLUME[0] <= volume <= AFFINE_VOLUME[1]:
        raise GeometryError(
            f"the affine registration changes the patient's volume by a factor of {volume:.2f}; beyond "
            f"{AFFINE_VOLUME[0]:g} to {AFFINE_VOLUME[1]:g} it followed something else",
            remedy="register rigidly, or state what counts",
        )


def _bent(pair: Pair, start: Transform) -> tuple[Transform, list[Message]]:
    """The moving image bent from where it lies, if that is better by what was measured; what the reader must know."""
    bent = _field_from(pair, start)
    before, after = compared(pair.judging(), pair.moving, start, bent.transform)
    if before is not None and after is not None and after <= before:
        text = (
            f"bending did not make the images more alike ({before:.3f} rigidly, {after:.3f} bent): the rigid "
            "registration was kept"
        )
        return start, [Message("bending-not-kept", text, severity="warning")]
    notes = []
    if pair.within is not None:
        better, words = leaves_less(pair, start, bent.transform)
        if not better:
            text = f"within the structures bending leaves their halves no closer ({words}): the rigid was kept"
            return start, [Message("bending-not-kept", text, severity="warning")]
        text = f"the whole patient was bent; within the structures that leaves their halves closer ({words})"
        notes.append(Message("bent-within-structures", text, "compare with the rigid registration", "note"))
    if bent.contrast == "unlike":
        text = "images of two kinds were bent onto each other: on virtual patients the liver was 3 mm off on average"
        notes.append(
            Message("bent-across-kinds", text, "look at the figure; a rigid registration in the liver is surer")
        )
    if not bent.folded:
        return bent.transform, notes
    text = f"the deformation folded and was sought again with more smoothing ({bent.smoothing:g})"
    remedy = "look at the figure: small parts may be off by more than the uncertainty says"
    return bent.transform, [*notes, Message("field-smoothed-more", text, remedy)]


def _field_from(pair: Pair, start: Transform) -> Bent:
    """The whole patient bent: a structure alone holds too few edges, and its inside follows their noise.

    On virtual patients the liver was 2.0 mm off where only it counted, 1.8 mm where the whole patient did.
    """
    images = zip((pair.fixed, pair.moving), pair.sources, strict=True)
    fixed, moving = (patient_alone(prepared, source) for prepared, source in images)
    return bend(fixed, moving, start, DeformableSettings(rim_mm=pair.rim_mm))


def leaves_less(pair: Pair, start: Transform, bent: Transform) -> tuple[bool, str]:
    """Whether what is left to correct in the halves of what counts is less by the second transform; both in words.

    Likeness cannot tell: a field can always make images a little more alike. The halves are shifted rigidly, by points
    that the field was not made for. On virtual patients whose liver the bending made worse (breaths of 12 and 18 mm) it
    left more to them, on those whose it made better (36 mm) less.
    """
    found = [uncertainty(pair, transform) for transform in (start, bent)]
    if found[0] is None or found[1] is None:
        return False, "they could not be fitted"
    return found[1].mean_mm < found[0].mean_mm, f"{found[0].mean_mm:.1f} mm rigidly, {found[1].mean_mm:.1f} mm bent"


def _kept(pair: Pair, found: Transform) -> tuple[Transform, bool, float | None, float, float, list[Message]]:
    """The registration, or the headers' placing where the images are more alike by it."""
    headers = replace(found, steps=(), method="headers")
    samples = pair.judging()
    before, after = compared(samples, pair.moving, headers, found)
    alike, share = similarity(samples, pair.moving, found)
    if before is None or after is None:
        text = (
            "as their headers place them the images hardly overlap: there is nothing to compare the registration with"
        )
        return found, True, None, alike, share, [Message("no-overlap-before", text, severity="note")]
    if after > before:
        return found, True, before, after, share, []
    _, share = similarity(samples, pair.moving, headers)
    points = samples.points_mm
    if float(np.linalg.norm(found.points_mm(points) - points, axis=1).mean()) < NOTHING_MM:
        text = "the images lie on each other as their headers place them; that was kept"
        return headers, False, before, before, share, [Message("registered-already", text, severity="note")]
    text = (
        f"the registration did not make the images more alike ({before:.3f} before, {after:.3f} after): the headers' "
        "placing was kept"
    )
    return headers, False, before, before, share, [Message("registration-not-kept", text, severity="warning")]


def _doubts(pair: Pair, transform: Transform, share: float) -> list[Message]:
    notes = []
    alike, _ = similarity(pair.judging(whole=True), pair.moving, transform)
    if alike < MIN_SIMILARITY:
        text = (
            f"the images are hardly alike after registration (likeness {alike:.3f}; registered images of one patient "
            "have 0.2 to 0.5)"
        )
        remedy = "look at the figure; give landmarks or what counts; do not use the result unseen"
        notes.append(Message("images-not-alike", text, remedy, "critical"))
    if pair.within is not None and (inside := similarity(pair.judging(), pair.moving, transform)[0]) < MIN_WITHIN:
        text = f"within {pair.within.name!r} the images show nothing alike (likeness {inside:.3f})"
        remedy = "let more count: the organ with its border and its tumours, or the whole patient"
        notes.append(Message("nothing-alike-within", text, remedy, "critical"))
    if share < SMALL_SHARE:
        text = f"the moving image shows only {share:.0%} of the region that counts in the fixed one"
        notes.append(Message("small-overlap", text, "what lies beyond is extrapolated"))
    return notes
