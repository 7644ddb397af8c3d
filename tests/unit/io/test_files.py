"""Old or new, whole, whatever stops a run; and only what hepatica wrote is ever replaced."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from file_faults import ERRORS, Counted, failing, killing, no_exchange, watched
from hepatica.errors import OutputError
from hepatica.io.files import MANIFEST, atomic_output, output_folder, refuse_inputs, restore, set_times, system, work


def hidden_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def write_result(target: Path, text: str, *, force: bool = True) -> None:
    with output_folder(target, force=force) as new:
        (new / "a.txt").write_text(text)
        (new / "deep").mkdir()
        with atomic_output(new / "deep" / "b.txt") as inner:
            inner.write_text(text)


def held(target: Path) -> str | None:
    """Which result a folder holds, which must be whole; None for no folder."""
    if not target.exists():
        return None
    names = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert names == {"a.txt", "deep/b.txt", MANIFEST}
    first, second = (target / "a.txt").read_text(), (target / "deep" / "b.txt").read_text()
    assert first == second
    return first


SITUATIONS: dict[str, tuple[str | None, Callable[[], contextlib.AbstractContextManager[None]]]] = {
    "new": (None, contextlib.nullcontext),
    "replaced by exchange": ("old", contextlib.nullcontext),
    "replaced without exchange": ("old", no_exchange),
}


def steps_of(folder: Path, situation: str) -> int:
    before, how = SITUATIONS[situation]
    if before is not None:
        write_result(folder / "out", before)
    counted = Counted(-1, failing(0))
    with how(), watched(folder, counted):
        write_result(folder / "out", "new")
    return len(counted.steps)


def prepared(folder: Path, situation: str) -> Path:
    before, _ = SITUATIONS[situation]
    folder.mkdir()
    if before is not None:
        write_result(folder / "out", before)
    return folder / "out"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("situation", SITUATIONS)
def test_killed_at_any_step_leaves_old_or_new(tmp_path: Path, situation: str) -> None:
    before, how = SITUATIONS[situation]
    (tmp_path / "count").mkdir()
    seen = set()
    for at in range(steps_of(tmp_path / "count", situation)):
        out = prepared(tmp_path / str(at), situation)
        child = os.fork()
        if child == 0:
            with how(), watched(out.parent, Counted(at, killing(signal.SIGKILL))):
                write_result(out, "new")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        if before is not None:
            restore(out)  # as every reader does
            assert held(out) in ("old", "new")
        write_result(out.parent / "beside", "x")
        assert not hidden_in(out.parent)
        now = held(out)
        assert now in (before, "new")
        seen.add(now)
    assert seen == {before, "new"}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C raises as in a shell: a process that was started in the background inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_interrupted_at_any_step_says_what_is_there(tmp_path: Path, interruptible: None, situation: str) -> None:
    before, how = SITUATIONS[situation]
    (tmp_path / "count").mkdir()
    said = set()
    for at in range(steps_of(tmp_path / "count", situation)):
        out = prepared(tmp_path / str(at), situation)
        with (
            pytest.raises(KeyboardInterrupt) as stop,
            how(),
            watched(out.parent, Counted(at, killing(signal.SIGINT))),
        ):
            write_result(out, "new")
        write_result(out.parent / "beside", "x")
        assert not hidden_in(out.parent)
        kept = "nothing was written" + ("" if before is None else f"; {out} is as it was")
        assert str(stop.value) == {before: kept, "new": f"{out} is the new result"}[held(out)]
        said.add(held(out))
    assert said == {before, "new"}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_whatever_step_fails_old_or_new_is_there_and_the_error_says_so(tmp_path: Path, situation: str) -> None:
    before, how = SITUATIONS[situation]
    (tmp_path / "count").mkdir()
    for at in range(steps_of(tmp_path / "count", situation)):
        out = prepared(tmp_path / str(at), situation)
        error, number = None, ERRORS[at % len(ERRORS)]
        try:
            with how(), watched(out.parent, Counted(at, failing(number))):
                write_result(out, "new")
        except OutputError as caught:
            error = str(caught)
        write_result(out.parent / "beside", "x")
        assert not hidden_in(out.parent)
        assert held(out) == (before if error and "is the new result" not in error else "new")
        if error is not None:
            assert os.strerror(number) in error
            assert "\n" not in error
            assert ".hepatica" not in error


def test_a_file_is_old_or_new_whatever_step_fails(tmp_path: Path) -> None:
    def write(text: str) -> None:
        with atomic_output(tmp_path / "run.npz") as new:
            assert new.name == "run.npz"
            new.write_text(text)

    counted = Counted(-1, failing(0))
    write("old")
    with watched(tmp_path, counted):
        write("old")
    for at in range(len(counted.steps)):
        write("old")
        try:
            with watched(tmp_path, Counted(at, failing(errno.EIO))):
                write("new")
            expected = "new"
        except OutputError:
            expected = "old"
        found = (tmp_path / "run.npz").read_text()
        # Put in place, and the system did not confirm that it is on the disk: new, and said so.
        assert found == expected or counted.steps[at][0] == "fsync"
        with atomic_output(tmp_path / "beside"):
            (work.work_folder(tmp_path / "beside") / "new" / "beside").write_text("x")
        assert not hidden_in(tmp_path)


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), atomic_output(tmp_path / "no" / "x"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_takes_the_folders_with_it_that_it_made(tmp_path: Path) -> None:
    with pytest.raises(OutputError), output_folder(tmp_path / "a" / "b" / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_needs_force(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_result(tmp_path / "out", "1", force=False)
    with pytest.raises(OutputError, match="`force`"):
        write_result(tmp_path / "out", "2", force=False)
    write_result(tmp_path / "out", "2")
    assert held(tmp_path / "out") == "2"


def add_notes(out: Path) -> None:
    (out / "notes.txt").write_text("precious")


def add_below(out: Path) -> None:
    (out / "deep" / "notes.txt").write_text("precious")


def add_folder(out: Path) -> None:
    (out / "mine").mkdir()


def add_link(out: Path) -> None:
    (out / "link").symlink_to(out.parent)


def edit(out: Path) -> None:
    (out / "a.txt").write_text("filled in by hand")


def forget(out: Path) -> None:
    (out / MANIFEST).unlink()


def be_old(out: Path) -> None:
    forget(out)
    (out / "result.json").write_text('{\n "schema": "hepatica/dose/3"}')


FOREIGN = {
    add_notes: "it holds notes.txt, which hepatica did not write",
    add_below: "it holds deep/notes.txt, which hepatica did not write",
    add_folder: "it holds mine, which hepatica did not write",
    add_link: "it holds link, which hepatica did not write",
    edit: "a.txt was changed after hepatica wrote it",
    forget: "was not written by hepatica",
    be_old: "an older version of hepatica wrote it",
}


@pytest.mark.parametrize("late", [False, True], ids=["before", "meanwhile"])
@pytest.mark.parametrize("change", FOREIGN, ids=lambda change: change.__name__)
@pytest.mark.parametrize("how", [contextlib.nullcontext, no_exchange])
def test_what_is_not_hepaticas_is_never_replaced(
    tmp_path: Path,
    change: Callable[[Path], None],
    how: Callable[[], contextlib.AbstractContextManager[None]],
    late: bool,
) -> None:
    out = tmp_path / "out"
    write_result(out, "old")
    if not late:
        change(out)

    def replace() -> None:
        with output_folder(out, force=True) as new:
            (new / "a.txt").write_text("new")
            if late:
                change(out)

    with pytest.raises(OutputError, match=FOREIGN[change]), how():
        replace()
    assert (out / "a.txt").read_text() == ("filled in by hand" if change is edit else "old")
    assert not hidden_in(tmp_path)


def test_what_desktops_leave_does_not_keep_a_result(tmp_path: Path) -> None:
    write_result(tmp_path / "out", "old")
    (tmp_path / "out" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1\0\0")
    (tmp_path / "out" / "deep" / "Thumbs.db").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(8))
    (tmp_path / "out" / "._a.txt").write_bytes(bytes.fromhex("0005160700020000"))
    (tmp_path / "out" / "desktop.ini").write_bytes("\r\n[.ShellClassInfo]\r\n".encode("utf-16"))
    (tmp_path / "out" / ".directory").write_text("[Desktop Entry]\nIcon=x\n")
    (tmp_path / "out" / "a.txt").unlink()
    write_result(tmp_path / "out", "new")
    assert held(tmp_path / "out") == "new"


@pytest.mark.parametrize("name", ["._mydata", "desktop.ini", ".directory", "ehthumbs.db", "Thumbs.db", ".DS_Store"])
def test_a_file_of_a_user_is_kept_whatever_its_name(tmp_path: Path, name: str) -> None:
    write_result(tmp_path / "out", "old")
    (tmp_path / "out" / "deep" / name).write_text("precious")
    with pytest.raises(OutputError, match=f"it holds deep/{name}, which hepatica did not write"):
        write_result(tmp_path / "out", "new")
    assert (tmp_path / "out" / "deep" / name).read_text() == "precious"


@pytest.fixture
def cut_in_two(tmp_path: Path) -> Path:
    """An output without its name: a run was killed between the two renames that replace it."""
    out = tmp_path / "r"
    write_result(out, "old")
    child = os.fork()
    if child == 0:
        os.chdir(tmp_path)
        rename = Path.rename

        def killed(self: Path, target: Path) -> Path:
            if self.name == "new":
                os.kill(os.getpid(), signal.SIGKILL)
            return rename(self, target)

        Path.rename = killed  # type: ignore[assignment, method-assign]
        with no_exchange():
            write_result(out, "new")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not out.exists()
    return out


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_old_and_new_are_kept_beside_what_somebody_else_made_meanwhile(
    cut_in_two: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut_in_two.mkdir()
    (cut_in_two / "notes.txt").write_text("mine")
    write_result(cut_in_two.with_name("beside"), "x")
    assert held(cut_in_two.with_name("r.recovered-1")) == "new"
    assert held(cut_in_two.with_name("r.recovered-2")) == "old"
    assert [path.name for path in cut_in_two.iterdir()] == ["notes.txt"]
    assert "r.recovered-1, the one before it" in caplog.text
    assert not hidden_in(cut_in_two.parent)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_an_empty_folder_made_meanwhile_gives_way(cut_in_two: Path) -> None:
    cut_in_two.mkdir()
    write_result(cut_in_two.with_name("beside"), "x")
    assert held(cut_in_two) == "new"
    assert not hidden_in(cut_in_two.parent)
    assert sorted(path.name for path in cut_in_two.parent.iterdir()) == ["beside", "r"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_file_made_meanwhile_stays(cut_in_two: Path) -> None:
    cut_in_two.write_text("mine")
    write_result(cut_in_two.with_name("beside"), "x")
    assert cut_in_two.read_text() == "mine"
    assert held(cut_in_two.with_name("r.recovered-1")) == "new"


def test_what_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    write_result(out, "old")

    def refused(_: Path, *, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(work.shutil, "rmtree", refused)
        write_result(out, "new")
        assert f"cannot be removed from {work.work_folder(out)} (Permission denied)" in caplog.text
        with pytest.raises(
            OutputError, match=r"an earlier run left in .*\.out\.hepatica cannot be removed .Permission"
        ):
            write_result(out, "newer")
    assert held(out) == "new"
    write_result(out, "newest")
    assert held(out) == "newest"
    assert not hidden_in(tmp_path)


def test_the_list_of_files_is_one_that_sha256sum_checks(tmp_path: Path) -> None:
    write_result(tmp_path / "out", "x")
    lines = (tmp_path / "out" / MANIFEST).read_text().splitlines()
    assert lines[0].startswith("#")
    assert [line.split("  ")[1] for line in lines[1:]] == ["a.txt", "deep/b.txt"]


def test_file_in_the_way_and_precious_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="not a folder"):
        write_result(tmp_path / "file", "x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="current folder"):
        write_result(tmp_path, "x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_result(tmp_path / ("long" * 100), "x")
    with pytest.raises(OutputError, match="no name"):
        write_result(tmp_path / "a\0b", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    write_result(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to("real")
    write_result(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert held(tmp_path / "real") == "new"


def test_a_long_name_has_a_hidden_folder_too(tmp_path: Path) -> None:
    write_result(tmp_path / ("ä" * 120), "x")
    assert [path.name for path in tmp_path.iterdir()] == ["ä" * 120]


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


@contextlib.contextmanager
def another_process(out: Path, *, then: str = "time.sleep(60)") -> Iterator[subprocess.Popen[str]]:
    """A process that is writing `out`."""
    program = (
        "import sys, time\nfrom hepatica.io.files import output_folder\n"
        "with output_folder(sys.argv[1], force=True) as new:\n"
        f" (new / 'half').write_text('x')\n print('in', flush=True)\n {then}"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(out)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_run_is_refused_while_the_first_writes_and_leaves_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "WAIT_S", 0.1)
    out = tmp_path / "out"
    with another_process(out) as process:
        with pytest.raises(OutputError, match=f"is being written by another run of hepatica .process {process.pid} "):
            write_result(out, "second")
        write_result(tmp_path / "beside", "x")  # sweeps, but not what lives
        assert (work.work_folder(out) / "new" / "half").exists()
    write_result(tmp_path / "beside", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["beside"]


def test_a_second_run_waits_for_a_first_that_is_about_to_end(tmp_path: Path) -> None:
    with another_process(tmp_path / "out", then="time.sleep(0.3)"):
        write_result(tmp_path / "out", "second")
    assert held(tmp_path / "out") == "second"


def test_only_what_hepatica_made_is_swept(tmp_path: Path) -> None:
    for name, files in {".x.hepatica": ["notes"], ".y.hepatica": ["lock"], ".z.hepatica": ["new"]}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("mine")
    write_result(tmp_path / "out", "x")
    assert len(hidden_in(tmp_path)) == 3


WRITERS = """
import json, sys, time
from datetime import UTC, datetime
from pathlib import Path
from hepatica.errors import OutputError
from hepatica.io.files import output_folder
done = 0
for n in range(60):
    try:
        with output_folder(sys.argv[1], force=True) as new:
            for name in "ab":
                (new / name).write_text(f"{sys.argv[2]}{n}")
        done += 1
    except OutputError as error:
        assert "is being written by another run" in str(error), error
print(done)
"""


def test_two_writers_never_mix_and_never_lose(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with output_folder(out) as new:
        for name in "ab":
            (new / name).write_text("first")
    command = [sys.executable, "-c", WRITERS, str(out)]
    both = [subprocess.Popen([*command, who], stdout=subprocess.PIPE, text=True) for who in "12"]
    while any(process.poll() is None for process in both):
        folder = os.open(out, os.O_RDONLY)  # there is one at every moment
        try:
            found = []
            for name in "ab":
                with contextlib.suppress(FileNotFoundError):  # of one that was taken out, files are being removed
                    file = os.open(name, os.O_RDONLY, dir_fd=folder)
                    found.append(os.read(file, 99))
                    os.close(file)
            assert len(set(found)) <= 1
        finally:
            os.close(folder)
        time.sleep(0.002)
    assert [process.communicate()[0] for process in both] == ["60\n", "60\n"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_inputs_are_never_replaced_however_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, case = tmp_path / "case" / "out", tmp_path / "case"
    write_result(out, "old")
    (case / "ct").mkdir()
    (case / "ct" / "hard.dcm").hardlink_to(out / "a.txt")
    (case / "soft").symlink_to(out / "deep")
    (case / "inside").mkdir()
    (case / "inside" / "soft.dcm").symlink_to(out / "a.txt")
    (case / "pet").mkdir()
    (case / "pet" / "1.dcm").write_text("x")
    monkeypatch.chdir(case)
    for given in (
        "out",
        "out/a.txt",
        "../case/out/deep",
        out / "not-yet.npz",
        ".",
        case,
        "soft",
        "soft/b.txt",
        "ct",
        "inside",
    ):
        with pytest.raises(OutputError, match="nothing is written there"):
            refuse_inputs(out, ["pet", given])
    refuse_inputs(out, ["pet", case / "pet" / "1.dcm", "liver", "nothing-there"])
    refuse_inputs(case / "other", ["pet"])
    with pytest.raises(OutputError, match=r"other lies in .*case, which is read"):
        refuse_inputs(case / "other", [case])  # the next reading would find what is written among the images
    with pytest.raises(OutputError, match="lies in pet, which is read"):
        refuse_inputs(case / "pet" / "deep" / "new", ["pet"])


def test_the_system_exchanges_or_says_that_it_cannot(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    if system.exchange(tmp_path / "a", tmp_path / "b"):
        assert (tmp_path / "a" / "b").exists()
        with pytest.raises(OSError, match="No such file"):
            system.exchange(tmp_path / "a", tmp_path / "c")
    else:
        assert (tmp_path / "a" / "a").exists()


def test_readers_pass_by_what_is_being_written(tmp_path: Path) -> None:
    from hepatica.core.provenance import InputFile

    (tmp_path / "1.dcm").write_text("x")
    alone = InputFile.of("ct", tmp_path)
    with output_folder(tmp_path / "out"):
        assert InputFile.of("ct", tmp_path) == alone


def test_the_list_and_the_folder_keep_the_time_that_was_given_to_them(tmp_path: Path) -> None:
    """One true time beside shifted ones would give the shift away."""
    long_ago = datetime(2020, 1, 2, 3, 4, tzinfo=UTC)
    with output_folder(tmp_path / "out") as new:
        (new / "below").mkdir()
        (new / "below" / "x.txt").write_text("x")
        set_times(new, long_ago)
    out = tmp_path / "out"
    assert (out / MANIFEST).is_file()
    assert {path.stat().st_mtime for path in (out, *out.rglob("*"))} == {long_ago.timestamp()}
