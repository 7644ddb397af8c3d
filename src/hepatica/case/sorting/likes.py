"""Series that are one another's like: reconstructed twice, reformatted, or two of which a treatment has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hepatica.case.sorting.seen import ONE_SCAN, Guess, Seen
from hepatica.io.dicom.series import SeriesKind

ALONE = (
    "scout-spect", "scout-planar", "scout-projections", "scout-ct", "therapy-ct", "scout-structures",
    "therapy-structures",
)  # fmt: skip
"""Roles of which a treatment has one."""

ONE_EACH_TIME = ("therapy-pet", "therapy-spect", "therapy-projections", "therapy-coincidences")
"""Roles of which a treatment has one at each time point."""

MULTI_ECHO_ALONE = ("baseline-mr", "therapy-mr")
"""Roles of which a treatment has one MR of several echoes; other MR may be beside it."""


def twice_reconstructed(seen: Sequence[Seen], found: Sequence[Guess | None]) -> list[Guess | None]:
    """A PET or SPECT without correction of attenuation is set aside where the same scan is there with it."""
    out = list(found)
    for number, (one, guess) in enumerate(zip(seen, found, strict=True)):
        if guess is None or guess.role == "unused" or not one.lacks_attenuation:
            continue
        text = "not corrected for attenuation"
        if any(_one_scan(one, other) and not other.lacks_attenuation for other in _of_role(seen, found, guess)):
            out[number] = Guess("unused", guess.treatment, f"{text}; the same scan is there with it")
        elif one.kind is SeriesKind.PET:
            out[number] = replace(guess, doubts=(*guess.doubts, text))
    return out


def reformatted(seen: Sequence[Seen], found: Sequence[Guess | None]) -> list[Guess | None]:
    """A CT or MR made from other images is set aside where an original of its role and frame is there."""
    out = list(found)
    for number, (one, guess) in enumerate(zip(seen, found, strict=True)):
        if guess is None or guess.role == "unused" or not one.is_derived:
            continue
        if one.kind not in (SeriesKind.CT, SeriesKind.MR):
            continue
        if any(not other.is_derived and other.frame == one.frame for other in _of_role(seen, found, guess)):
            out[number] = Guess("unused", guess.treatment, "made from other images that are there")
        else:
            out[number] = replace(guess, doubts=(*guess.doubts, "made from other images, which are not there"))
    return out


def rivals(seen: Sequence[Seen], found: Sequence[Guess]) -> list[Guess]:
    """Two images of a role of which a treatment has one, at all or at a time, are said."""
    out = []
    for number, guess in enumerate(found):
        same = [
            seen[other]
            for other, one in enumerate(found)
            if other != number
            and (one.role, one.treatment) == (guess.role, guess.treatment)
            and (
                guess.role in ALONE
                or (guess.role in ONE_EACH_TIME and _one_scan(seen[number], seen[other]))
                or (guess.role in MULTI_ECHO_ALONE and seen[number].is_multi_echo and seen[other].is_multi_echo)
            )
        ]
        names = ", ".join(repr(one.description or one.what) for one in same)
        out.append(replace(guess, doubts=(*guess.doubts, f"so is {names}: keep one")) if same else guess)
    return out


def fewer_echoes(seen: Sequence[Seen], found: Sequence[Guess]) -> list[Guess]:
    """MR of several echoes before and after a treatment whose echoes are not as many: one may be missing."""
    of = {
        role: [n for n, guess in enumerate(found) if guess.role == role and seen[n].is_multi_echo]
        for role in MULTI_ECHO_ALONE
    }
    before, after = of.values()
    out = list(found)
    for number in after:
        one = seen[number].what
        unlike = [seen[n].what for n in before if _count(seen[n].what) != _count(one)]
        if unlike:
            text = f"{_count(one)} echoes, {_count(unlike[0])} before treatment: is one missing?"
            out[number] = replace(found[number], doubts=(*found[number].doubts, text))
    return out


def _count(what: str) -> str:
    """Number of echoes as it is said: "multi-echo MR, 5 echoes, magnitude"."""
    return next((part.split()[0] for part in what.split(", ") if part.endswith("echoes")), "")


def _of_role(seen: Sequence[Seen], found: Sequence[Guess | None], guess: Guess) -> list[Seen]:
    """Series of the same role and treatment."""
    return [
        one
        for one, other in zip(seen, found, strict=True)
        if other is not None and (other.role, other.treatment) == (guess.role, guess.treatment)
    ]


def _one_scan(one: Seen, other: Seen) -> bool:
    return one.at is not None and other.at is not None and abs(one.at - other.at) < ONE_SCAN
