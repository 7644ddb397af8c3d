"""What protects the person: an archive that only its key opens and that proves itself, and an erasure that is one."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pyrage
import pytest

from hepatica.case.case import Case
from hepatica.case.layout import FACTS, KEY, PERSONAL
from hepatica.case.protect.erase import erase
from hepatica.case.protect.pack import Lock, Unlocked, by_passphrase, pack, unpack
from hepatica.errors import InputError, OutputError


@pytest.fixture
def case(tmp_path: Path) -> Case:
    made = Case.new(tmp_path / "patient")
    labs = tmp_path / "labs.csv"
    labs.write_text("patient,date,bilirubin_mg_dl,albumin_g_dl\nMustermann,2026-03-01,0.9,4.0\n", encoding="utf-8")
    made.set(**{"patient.name": "Erika Mustermann", "treatment.agent": "glass"})
    made.add(labs, "labs")
    made.run("function")
    return made


@pytest.fixture
def key(tmp_path: Path) -> tuple[Lock, Unlocked]:
    identity = pyrage.x25519.Identity.generate()
    path = tmp_path / "key.txt"
    path.write_text(f"# created: today\n{identity}\n", encoding="ascii")
    return Lock((str(identity.to_public()),)), Unlocked(identity_file=path)


def test_a_packed_case_comes_back_as_it_was(case: Case, key: tuple[Lock, Unlocked], tmp_path: Path) -> None:
    archive = tmp_path / "case.age"
    pack(case.folder, archive, key[0])
    assert b"Mustermann" not in archive.read_bytes()
    unpack(archive, tmp_path / "restored", key[1])
    restored = Case.open(tmp_path / "restored")
    assert restored.steps() == case.steps()
    assert restored.history().last_hash == case.history().last_hash
    assert restored.run() == ()


def test_a_passphrase_will_do(case: Case, tmp_path: Path) -> None:
    phrase = tmp_path / "phrase.txt"
    phrase.write_text("correct horse battery\n", encoding="utf-8")
    pack(case.folder, tmp_path / "case.age", Lock.of((), phrase))
    unpack(tmp_path / "case.age", tmp_path / "restored", Unlocked(passphrase_file=phrase))
    phrase.write_text("another horse battery\n", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be opened"):
        unpack(tmp_path / "case.age", tmp_path / "again", Unlocked(passphrase_file=phrase))
    phrase.write_text("short\n", encoding="utf-8")
    with pytest.raises(InputError, match="at least 12"):
        Lock.of((), phrase)


def test_a_damaged_archive_leaves_nothing(case: Case, key: tuple[Lock, Unlocked], tmp_path: Path) -> None:
    archive = tmp_path / "case.age"
    pack(case.folder, archive, key[0])
    whole = archive.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-40] + bytes(40), b"", b"no archive"):
        archive.write_bytes(damaged)
        with pytest.raises(InputError):
            unpack(archive, tmp_path / "restored", key[1])
        assert not (tmp_path / "restored").exists()


def test_a_case_that_was_changed_before_it_was_packed_is_refused(
    case: Case, key: tuple[Lock, Unlocked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept,) = (case.folder / "images").glob("labs-1/*.csv")
    kept.write_text(kept.read_text(encoding="utf-8").replace("0.9", "9.0"), encoding="utf-8")
    with pytest.raises(InputError, match=r"labs\.csv changed: the archive could not be proved"):
        pack(case.folder, tmp_path / "case.age", key[0])
    # An archive of an older hepatica, or made by hand, is not believed either.
    monkeypatch.setattr("hepatica.case.protect.pack._require_whole", lambda _: None)
    pack(case.folder, tmp_path / "case.age", key[0])
    with pytest.raises(InputError, match="does not hold together"):
        unpack(tmp_path / "case.age", tmp_path / "restored", key[1])


def test_an_archive_cannot_write_outside_its_folder(key: tuple[Lock, Unlocked], tmp_path: Path) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        member = tarfile.TarInfo("case/../../evil.txt")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    archive = tmp_path / "inside" / "case.age"
    archive.parent.mkdir()
    recipient = pyrage.x25519.Recipient.from_str(key[0].recipients[0])
    archive.write_bytes(pyrage.encrypt(gzip.compress(plain.getvalue()), [recipient]))
    with pytest.raises(InputError, match="no whole case"):
        unpack(archive, tmp_path / "inside" / "restored", key[1])
    assert not list(tmp_path.rglob("evil.txt"))


def test_what_cannot_be_packed_is_refused(case: Case, key: tuple[Lock, Unlocked], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="public key"):
        pack(case.folder, tmp_path / "a.age", Lock(("age1nonsense",)))
    with pytest.raises(InputError, match="in the case itself"):
        pack(case.folder, case.folder / "a.age", key[0])
    pack(case.folder, tmp_path / "a.age", key[0])
    with pytest.raises(OutputError, match="already"):
        pack(case.folder, tmp_path / "a.age", key[0])
    other = tmp_path / "other.csv"
    other.write_text("patient,date,bilirubin_mg_dl\n", encoding="utf-8")
    case.add(other, "labs", reference=True)
    with pytest.raises(InputError, match="outside of the case"):
        pack(case.folder, tmp_path / "b.age", key[0])


def test_erasure_leaves_a_log_without_a_name(case: Case) -> None:
    lines = case.history().entries
    erase(case.folder, "request of the patient")
    left = [path for path in case.folder.rglob("*") if path.is_file()]
    assert all(b"Mustermann" not in path.read_bytes() for path in left)
    assert not (case.folder / KEY).exists()
    assert not (case.folder / PERSONAL).exists()
    history = case.history()
    assert history.problem == ""
    assert history.entries[: len(lines)] == lines
    assert history.entries[-1].what == "erased"
    with pytest.raises(InputError, match="erased"):
        case.set(**{"patient.name": "Somebody"})
    assert "Somebody" not in (case.folder / FACTS).read_text(encoding="utf-8")


def test_an_erasure_that_was_stopped_goes_on(case: Case) -> None:
    (case.folder / KEY).unlink()
    erase(case.folder, "request of the patient")
    assert not any((case.folder / "steps").iterdir())


def test_a_machine_that_looks_slow_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def busy(archive: bytes, passphrase: str) -> bytes:
        tries.append(passphrase)
        if len(tries) < 3:
            raise pyrage.DecryptError("Excessive work parameter for passphrase.")
        return archive

    monkeypatch.setattr(pyrage.passphrase, "decrypt", busy)
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert by_passphrase(b"case", "a long passphrase") == b"case"
    assert len(tries) == 3
    monkeypatch.setattr(pyrage.passphrase, "decrypt", lambda *_: (_ for _ in ()).throw(pyrage.DecryptError("no match")))
    with pytest.raises(pyrage.DecryptError, match="no match"):
        by_passphrase(b"case", "a long passphrase")
