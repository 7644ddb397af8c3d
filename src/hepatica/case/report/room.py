"""How much of a treatment its page has room for: the first page stays one page, and what it leaves out goes over."""

from __future__ import annotations

from dataclasses import dataclass, replace

ALL = 10_000


@dataclass(frozen=True, slots=True)
class Room:
    """What a page shows; everything else stands on the page after it.

    Attributes
    ----------
    notices : int
        Of what is not up to date, and what is wrong with the case.
    lesions : int
        The largest.
    goals : int
        Of each structure, those that are missed or exceeded first.
    questions, warnings : int
        Of verification; of the steps, beside every critical one up to `critical`.
    critical : int
        Critical warnings.
    reason_letters : int
        Of why a step is not done; 0 leaves the reason out.
    name_letters : int
        Of names of structures, disease and people.
    histograms : bool
        Whether the histograms are on it.
    """

    notices: int = ALL
    lesions: int = 5
    goals: int = ALL
    questions: int = 2
    warnings: int = 3
    critical: int = ALL
    reason_letters: int = 60
    name_letters: int = ALL
    histograms: bool = True

    @property
    def notice_letters(self) -> int:
        """Of a notice."""
        return 4 * self.name_letters


_LITTLE = Room(notices=6, reason_letters=0, name_letters=60)

ROOMS = (
    Room(),
    Room(notices=6, reason_letters=30, name_letters=60),
    _LITTLE,
    replace(_LITTLE, warnings=2, critical=4, notices=4),
    replace(_LITTLE, warnings=2, critical=4, notices=4, goals=2, lesions=4),
    replace(_LITTLE, warnings=2, critical=3, notices=4, goals=1, lesions=4, questions=1),
    replace(_LITTLE, warnings=1, critical=3, notices=3, goals=1, lesions=3, questions=1, name_letters=48),
    replace(_LITTLE, warnings=1, critical=2, notices=2, goals=1, lesions=3, questions=1, name_letters=36),
    replace(
        _LITTLE, warnings=1, critical=2, notices=2, goals=1, lesions=2, questions=1, name_letters=30, histograms=False
    ),
)
"""From all that is wanted to what is needed; the first that fits a page is taken."""

FULL = Room(ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL)
"""What the page after it shows."""
