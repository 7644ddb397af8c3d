"""Whole or absent: nothing half-written under the name the user gave."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from hepatica.errors import OutputError
from hepatica.io.files import atomic_output, output_folder


def hidden_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def test_file_appears_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "dose.nii.gz"
    with atomic_output(target) as new:
        assert new.name == target.name
        new.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert not hidden_in(tmp_path)


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "dose.csv"
    target.write_text("old")

    def write_half() -> None:
        with atomic_output(target) as new:
            new.write_text("half")
            raise failure

    with pytest.raises(OutputError if isinstance(failure, OSError) else KeyboardInterrupt):
        write_half()
    assert target.read_text() == "old"
    assert not hidden_in(tmp_path)


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), atomic_output(tmp_path / "no" / "x"):
        pass


def test_folder_appears_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with output_folder(target) as new:
        (new / "a.txt").write_text("a")
        assert not target.exists()
    assert (target / "a.txt").read_text() == "a"
    assert not hidden_in(target.parent)


def test_existing_folder_needs_force(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with output_folder(target) as new:
        (new / "a").write_text("1")
        (new / "result.json").write_text('{"schema": "hepatica/test/1"}')
    with pytest.raises(OutputError, match="`force`"), output_folder(target):
        pass
    with output_folder(target, force=True) as new:
        (new / "b").write_text("2")
        assert (target / "a").exists()
    assert [path.name for path in target.iterdir()] == ["b"]
    assert not hidden_in(tmp_path)


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_interrupted_folder_leaves_the_old_one(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "result.json").write_text('{"schema": "hepatica/test/1"}')

    def write_half() -> None:
        with output_folder(target, force=True) as new:
            (new / "half").write_text("half")
            raise failure

    with pytest.raises(OutputError if isinstance(failure, OSError) else KeyboardInterrupt):
        write_half()
    assert [path.name for path in target.iterdir()] == ["result.json"]
    assert not hidden_in(tmp_path)


@pytest.mark.parametrize("content", [None, "", "[]", '{"schema": "other/1"}'])
def test_a_folder_of_somebody_else_is_never_replaced(tmp_path: Path, content: str | None) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "notes.txt").write_text("precious")
    if content is not None:
        (target / "result.json").write_text(content)
    with pytest.raises(OutputError, match="was not written by hepatica"), output_folder(target, force=True):
        pass
    assert (target / "notes.txt").read_text() == "precious"


def test_file_in_the_way_and_precious_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="not a folder"), output_folder(tmp_path / "file", force=True):
        pass
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="current folder"), output_folder(tmp_path, force=True):
        pass
    assert (tmp_path / "file").exists()


def test_a_full_disk_inside_a_folder_is_one_line_that_names_the_final_place(tmp_path: Path) -> None:
    def fill() -> None:
        with output_folder(tmp_path / "out") as folder, atomic_output(folder / "dose.dcm"):
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError as error:
                # pydicom tells of it so: another OSError with the stack trace as its text.
                raise OSError("With tag (7FE0,0010) got exception\nTraceback ...") from error

    with pytest.raises(OutputError) as caught:
        fill()
    assert str(caught.value) == (
        f"{tmp_path / 'out' / 'dose.dcm'}: cannot be written (No space left on device); nothing was left behind"
    )
    assert not hidden_in(tmp_path)
