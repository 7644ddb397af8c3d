from __future__ import annotations

import os
from pathlib import Path

import pytest

from hepatica.errors import InputError
from hepatica.io.secret_key import VARIABLE, key_file, read_secret

DRAWN = "3a91f7c05be2d846" * 4


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "settings"))
    return tmp_path / "settings"


def test_a_key_is_made_once_for_the_user_alone(settings: Path) -> None:
    made = read_secret()
    path = settings / "hepatica" / "anonymous.key"
    assert key_file() == path
    assert [file.name for file in path.parent.iterdir()] == ["anonymous.key"]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    assert read_secret() == made
    path.unlink()
    assert read_secret() != made


def test_a_drive_without_links_holds_a_key_too(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refused)
    assert read_secret() == read_secret()
    assert [file.name for file in (settings / "hepatica").iterdir()] == ["anonymous.key"]


def test_two_runs_agree_on_the_first_key(settings: Path) -> None:
    from hepatica.io import secret_key

    (settings / "hepatica").mkdir(parents=True)
    path = settings / "hepatica" / "anonymous.key"
    secret_key._make(path)
    first = path.read_text()
    secret_key._make(path)
    assert path.read_text() == first


def test_another_file_takes_its_place(tmp_path: Path, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hospital.key"
    path.write_text(DRAWN)
    path.chmod(0o640)
    assert read_secret(path).key == bytes.fromhex(DRAWN)
    monkeypatch.setenv(VARIABLE, str(path))
    assert read_secret().key == bytes.fromhex(DRAWN)
    assert not settings.exists()


def test_what_is_no_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.key"
    for text in ("", "abc", "xy" * 32, "ab" * 16, "ä" * 64):
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        with pytest.raises(InputError, match=r"some\.key"):
            read_secret(path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent.key"))
    with pytest.raises(InputError, match=r"absent\.key"):
        read_secret()
    assert not (tmp_path / "absent.key").exists()


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
def test_a_key_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "open.key"
    path.write_text(DRAWN)
    path.chmod(0o644)
    with pytest.raises(InputError, match="everybody"):
        read_secret(path)


@pytest.mark.parametrize("text", ["0" * 64, "ab" * 32, "12345678" * 8, "AaBbCcDdEe" * 7])
def test_a_key_that_can_be_guessed_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "guessed.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match="different digits"):
        read_secret(path)
