"""Pictures that are kept in a case: proved by their hash, and gone with the patient."""

from __future__ import annotations

from pathlib import Path

import pytest

from hepatica import Case, InputError
from hepatica.case.pictures import PNG, keep_picture, kept_pictures
from hepatica.case.protect.erase import erase


def test_a_picture_is_kept_proved_and_erased(tmp_path: Path) -> None:
    case = Case.new(tmp_path / "case")
    names = [keep_picture(case.folder, PNG + bytes([n]), f"picture {n}", "A. Physicist") for n in range(2)]
    assert names == ["picture-1.png", "picture-2.png"]
    found = kept_pictures(case.situation())
    assert [(one.caption, one.by, one.png) for one in found] == [
        ("picture 0", "A. Physicist", PNG + b"\x00"),
        ("picture 1", "A. Physicist", PNG + b"\x01"),
    ]
    (case.folder / "pictures" / names[0]).write_bytes(PNG + b"another")
    assert [one.file for one in kept_pictures(case.situation())] == names[1:]
    assert "A. Physicist" not in (case.folder / "log.jsonl").read_text()
    erase(case.folder, "request")
    assert not (case.folder / "pictures").exists()


@pytest.mark.parametrize(
    ("png", "caption", "by"),
    [(b"GIF89a", "a", "b"), (PNG, " ", "b"), (PNG, "a", ""), (PNG + bytes(41 << 20), "a", "b")],
)
def test_what_is_no_picture_or_says_nothing_is_refused(tmp_path: Path, png: bytes, caption: str, by: str) -> None:
    case = Case.new(tmp_path / "case")
    with pytest.raises(InputError):
        keep_picture(case.folder, png, caption, by)
    assert kept_pictures(case.situation()) == ()


def test_a_reason_stands_in_the_log(tmp_path: Path) -> None:
    case = Case.new(tmp_path / "case")
    case.state({"patient.weight": "75 kg"}, reason="weighed again")
    situation = case.situation()
    (entry,) = situation.history.entries[-1:]
    assert situation.personal[entry.personal] == {"patient.weight": "75 kg", "reason": "weighed again"}
