"""What a series is taken for: by nuclide, frame of reference and date, with what is in doubt said."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hepatica.case.case import Case
from hepatica.case.sorting.rules import guesses
from hepatica.case.sorting.seen import Guess, Seen
from hepatica.io.dicom.series import SeriesKind as Kind
from hepatica.io.virtual.demo import write_demo_patient

AT = datetime(2026, 3, 12, 10)


def seen(kind: Kind, days: float | None = 0.0, **more: object) -> Seen:
    at = None if days is None else AT + timedelta(days=days)
    return Seen(kind=kind, what=kind.value, at=at, **more)  # type: ignore[arg-type]


def roles(*series: Seen, treatments: tuple[datetime | None, ...] = (AT,)) -> list[str]:
    return [guess.role for guess in guesses(series, treatments)]


def test_a_course_is_sorted() -> None:
    course = [
        seen(Kind.CT, -30, frame="A", has_contrast=True),
        seen(Kind.NM_RECON, -10, nuclide="Tc-99m", tracer="MAA", frame="B"),
        seen(Kind.CT, -10, frame="B"),
        seen(Kind.RTSTRUCT, -9, refers_to=("B",)),
        seen(Kind.PET, 1, nuclide="Y-90", frame="C"),
        seen(Kind.CT, 1, frame="C"),
        seen(Kind.RTSTRUCT, 2, refers_to=("C",)),
        seen(Kind.CT, 90, frame="D"),
        seen(Kind.RTSTRUCT, 91, refers_to=("D",)),
        seen(Kind.MR, 90, frame="E"),
        seen(Kind.CT_LOCALIZER, -10, frame="B"),
    ]
    assert roles(*course) == [
        "baseline-ct", "scout-spect", "scout-ct", "scout-structures", "therapy-pet", "therapy-ct", "therapy-structures",
        "follow-up-ct", "follow-up-structures", "follow-up-mr", "unused",
    ]  # fmt: skip
    assert not any(guess.doubts for guess in guesses(course, (AT,)))


@pytest.mark.parametrize(
    ("one", "role"),
    [
        (seen(Kind.NM_RECON, 1, nuclide="Ho-166", administered_bq=250e6), "scout-spect"),
        (seen(Kind.NM_RECON, 1, nuclide="Ho-166", administered_bq=6e9), "therapy-spect"),
        (seen(Kind.NM_RECON, -7, nuclide="Ho-166"), "scout-spect"),
        (seen(Kind.NM_RECON, -7, nuclide="Tc-99m", tracer="Mebrofenin"), "unused"),
        (seen(Kind.PET, -20, nuclide="F-18"), "unused"),
        (seen(Kind.NM_PROJECTIONS, 1, nuclide="Lu-177"), "therapy-projections"),
        (seen(Kind.NM_PLANAR, -7, nuclide="Tc-99m"), "scout-planar"),
        (seen(Kind.RTDOSE), "dose"),
    ],
)
def test_activity_by_its_nuclide(one: Seen, role: str) -> None:
    assert roles(one) == [role]


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ((seen(Kind.NM_RECON, 1),), "names no nuclide"),
        ((seen(Kind.NM_RECON, None),), "say which it is"),
        ((seen(Kind.PET, -5, nuclide="Y-90"),), "before the treatment"),
        ((seen(Kind.PET, 40, nuclide="Y-90"),), "40 days after"),
        ((seen(Kind.PET, -0.1, nuclide="Y-90"),), "2.4 h before the stated administration"),
        ((seen(Kind.PET, 1, nuclide="Y-90"),) * 2, "keep one"),
        ((seen(Kind.NM_RECON, -9, nuclide="Tc-99m"),), "with no tracer"),
        ((seen(Kind.NM_PLANAR, -9, nuclide="Tc-99m", tracer="MAA", description="FLOOD"),), "of the patient?"),
        (
            (seen(Kind.CT, 1, frame="C", is_derived=True), seen(Kind.PET, 1, nuclide="Y-90", frame="C"))[::-1],
            "made from other images, which are not there",
        ),
        ((seen(Kind.CT, None),), "before or after"),
        ((seen(Kind.CT, 2, frame="X"),), "shares no frame"),
        ((seen(Kind.RTSTRUCT, 2, refers_to=("X",)),), "on no image"),
        ((seen(Kind.NM_RECON, -9, nuclide="Tc-99m"), seen(Kind.NM_RECON, -9, nuclide="Tc-99m")), "keep one"),
    ],
)
def test_what_is_in_doubt_is_said(series: tuple[Seen, ...], said: str) -> None:
    assert said in "; ".join(guesses(series, (AT,))[-1].doubts)


def test_an_echo_that_is_missing_after_treatment_is_in_doubt() -> None:
    def echoes(count: int, days: float) -> Seen:
        return replace(seen(Kind.MR, days), what=f"multi-echo MR, {count} echoes, magnitude")

    before, after = guesses((echoes(5, -9), echoes(4, 1)), (AT,))
    assert (before.role, after.role) == ("baseline-mr", "therapy-mr")
    assert "4 echoes, 5 before treatment: is one missing?" in after.doubts
    assert not guesses((echoes(5, -9), echoes(5, 1)), (AT,))[1].doubts


def test_time_points_are_not_rivals() -> None:
    found = guesses([seen(Kind.NM_RECON, day, nuclide="Lu-177") for day in (1, 2, 4)], (AT,))
    assert [(guess.role, guess.doubts) for guess in found] == [("therapy-spect", ())] * 3


def test_a_treatment_without_instant_makes_dates_useless() -> None:
    (guess,) = guesses([seen(Kind.CT, -30)], (None,))
    assert "state treatment.at" in guess.doubts[0]


def test_the_treatment_is_that_of_the_date() -> None:
    second = AT + timedelta(days=100)
    found = guesses(
        [
            seen(Kind.PET, 1, nuclide="Y-90"),
            seen(Kind.NM_RECON, 80, nuclide="Tc-99m"),
            seen(Kind.PET, 101, nuclide="Y-90"),
        ],
        (AT, second),
    )
    assert [(guess.role, guess.treatment) for guess in found] == [
        ("therapy-pet", 1), ("scout-spect", 2), ("therapy-pet", 2),
    ]  # fmt: skip


def test_an_image_added_before_tells_what_is_drawn_on_it() -> None:
    known = {"B": Guess("scout-spect", 1)}
    found = guesses([seen(Kind.CT, -10, frame="B"), seen(Kind.RTSTRUCT, -9, refers_to=("B",))], (AT,), known)
    assert [guess.role for guess in found] == ["scout-ct", "scout-structures"]


def test_what_was_seen_is_kept_as_plain_values() -> None:
    one = seen(Kind.RTSTRUCT, -9, refers_to=("B", "C"), nuclide="Y-90", administered_bq=1e9)
    assert Seen.of(one.facts()) == one
    assert Seen.of(seen(Kind.CT, None).facts()) == seen(Kind.CT, None)


def test_an_image_is_sorted_anew_when_others_come(tmp_path: Path) -> None:
    """A CT that came alone is told by its date; once the PET in its frame of reference is there, it is the PET's."""
    case = Case.new(tmp_path / "case")
    case.set(**{"treatment.agent": "glass", "treatment.at": AT.isoformat()})
    folder = tmp_path / "images"
    write_demo_patient(folder, ct_spacing_mm=(12.0, 12.0, 12.0))
    (ct,) = case.add(folder / "ct").items
    assert ct.name == "ct-1"
    assert ct.role != "therapy-ct"
    case.add(folder / "pet")
    case.add(folder / "rtstruct.dcm")
    roles_now = {item.name: item.role for item in case.situation().catalogue}
    assert roles_now == {"ct-1": "therapy-ct", "pet-1": "therapy-pet", "structures-1": "therapy-structures"}
    case.take("ct-1", "unused")
    case.set(**{"treatment.at": (AT + timedelta(days=1)).isoformat()})
    assert case.situation().catalogue["ct-1"].role == "unused"
