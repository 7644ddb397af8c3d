"""Compressed pixel data in a process of its own: its death, its hanging and its greed are errors that name the file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import hepatica
from dicom_makers import ct_series, nm_volume, ramp, save, small_grid
from hepatica.core import Grid
from hepatica.errors import HepaticaError
from hepatica.io.dicom.codecs import pool
from hepatica.io.dicom.codecs.pool import WORKER, CodecError, CodecWorker
from hepatica.io.dicom.pixels import stored_values
from hepatica.io.dicom.tags import open_dicom
from hepatica.io.read import read_image

DAMAGED = Path(__file__).parents[3] / "data" / "damaged"
J2K, RLE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"
SOURCE = str(Path(hepatica.__file__).parents[1])

READY = "import sys, time, os, struct, json; from hepatica.io.dicom.codecs.exchange import send, receive; "
READY += (
    "source, sink = os.fdopen(0, 'rb', buffering=0), os.fdopen(1, 'wb', buffering=0); send(sink, {'ready': True}); "
)
ASKED = READY + "receive(source, most=99); "


@pytest.fixture
def slices(tmp_path: Path) -> list[Path]:
    """Three slices, larger than what a codec takes for an accident."""
    grid = small_grid()
    wide = Grid((40, 36, 3), grid.affine, grid.frame_of_reference)
    noise = np.random.default_rng(1).integers(0, 1000, wide.shape)
    return save(ct_series(wide, noise), tmp_path / "ct", syntax=J2K)


@pytest.mark.parametrize("name", ["j2k-496", "jls-138", "rle-180", "rle-505"])
def test_what_killed_the_program_is_an_error_that_names_the_file(name: str, slices: list[Path]) -> None:
    header = open_dicom(DAMAGED / f"{name}.dcm")
    with pytest.raises(HepaticaError, match=rf"{name}.dcm: "):
        stored_values(header)
    assert stored_values(open_dicom(slices[0])).shape == (1, 36, 40)


def test_one_process_serves_all_and_a_new_one_follows_a_dead_one(slices: list[Path]) -> None:
    found = []
    for path in slices:
        assert np.array_equal(stored_values(open_dicom(path))[0], pydicom.dcmread(path).pixel_array)
        found.append(WORKER.pid)
    assert found[0] is not None
    assert len(set(found)) == 1
    os.kill(found[0], 9)
    assert stored_values(open_dicom(slices[0])).shape == (1, 36, 40)
    assert WORKER.pid != found[0]


def test_uncompressed_files_start_none(tmp_path: Path) -> None:
    WORKER.close()
    grid = small_grid()
    read_image(save(ct_series(grid, ramp(grid)), tmp_path)[0].parent, role="ct")
    assert WORKER.pid is None


def test_compressed_volumes_of_many_frames(tmp_path: Path) -> None:
    grid = small_grid()
    save(nm_volume(grid, ramp(grid)), tmp_path / "plain")
    save(nm_volume(grid, ramp(grid)), tmp_path / "packed", syntax=RLE)
    plain, packed = (read_image(tmp_path / name, role="activity") for name in ("plain", "packed"))
    assert np.array_equal(plain.volume.values, packed.volume.values)


def test_threads_get_their_own_answers(slices: list[Path]) -> None:
    expected = [pydicom.dcmread(path).pixel_array for path in slices]
    wrong = []

    def read(which: int) -> None:
        for _ in range(5):
            same = np.array_equal(stored_values(open_dicom(slices[which]))[0], expected[which])
            wrong.extend([] if same else [which])

    threads = [threading.Thread(target=read, args=(n % 3,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.fixture
def worker_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a worker that runs something else, with a time limit of a quarter of a second."""
    monkeypatch.setattr(pool, "LEAST_S", 0.25)
    monkeypatch.setattr(pool, "SPARE_S", 0.25)
    made: list[CodecWorker] = []

    def make(program: str) -> CodecWorker:
        made.append(CodecWorker(program))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


def ask(worker: CodecWorker, count: int = 4) -> Any:
    return worker.decode(J2K, {"Rows": 2, "Columns": 2}, b"1234", count=count, claimed=2 * count)[0]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (ASKED + "time.sleep(60)", "did not end within"),
        (ASKED + "os._exit(3)", "broke down"),
        (ASKED + "os.kill(os.getpid(), 11)", "broke down"),
        (ASKED + "os.write(1, b'Warning: native code talks' * 100); time.sleep(9)", "broke down"),
        (ASKED + "send(sink, {'kind': '<i2', 'warnings': []}, bytes(6))", "4 values are needed"),
        (ASKED + "send(sink, {'kind': '<f8', 'warnings': []}, bytes(16))", "4 values are"),
        (ASKED + "send(sink, {'kind': '<i2', 'warnings': []}, bytes(9999))", "broke down"),
        (ASKED + "send(sink, {'error': 'no such codec', 'last': True})", "no such codec"),
        ("import os; os._exit(5)", "cannot be started"),
        ("raise SystemExit", "cannot be started"),
    ],
)  # fmt: skip
def test_a_worker_that_hangs_dies_or_lies(worker_of: Any, program: str, words: str) -> None:
    worker = worker_of(program)
    begun = time.monotonic()
    with pytest.raises(CodecError, match=words):
        ask(worker)
    # Python's own start takes most of it where other programs run.
    assert time.monotonic() - begun < 30


def test_an_interruption_leaves_no_answer_for_the_next_question(
    worker_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = READY + "exec('while True: receive(source, most=99); send(sink, "
    program += '{"kind": "<i2", "warnings": []}, bytes(8))\')'
    worker = worker_of(program)
    monkeypatch.setattr(pool, "LEAST_S", 30)
    first = worker.pid
    assert ask(worker).tolist() == [0, 0, 0, 0]
    real = pool.receive

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(worker)
    monkeypatch.setattr(pool, "receive", real)
    assert ask(worker).tolist() == [0, 0, 0, 0]
    assert worker.pid != first


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux")
def test_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MEMORY_BYTES", 100 << 20)
    worker = CodecWorker(
        "import hepatica.io.dicom.codecs.worker as w; w.decode = lambda *_: bytearray(1 << 30); w.main()"
    )
    try:
        with pytest.raises(CodecError, match=r"MemoryError|broke down"):
            ask(worker)
    finally:
        worker.close()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_does_not_outlive_its_parent(slices: list[Path]) -> None:
    """A script without a main guard, killed the hard way, while a fork of it still holds the other end of the pipe."""
    script = (
        "import sys, os, time; from pathlib import Path\n"
        "from hepatica.io.dicom.tags import open_dicom; from hepatica.io.dicom.pixels import stored_values\n"
        "from hepatica.io.dicom.codecs.pool import WORKER\n"
        f"values = stored_values(open_dicom(Path({str(slices[0])!r})))\n"
        "first = WORKER.pid\n"
        "if os.fork() == 0:\n"
        "    assert WORKER.pid is None\n"
        f"    again = stored_values(open_dicom(Path({str(slices[0])!r})))\n"
        "    assert (again == values).all()\n"
        "    print(first, WORKER.pid, os.getpid(), flush=True)\n"
        "    time.sleep(100)\n"
        "time.sleep(100)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": SOURCE}
    )
    assert parent.stdout is not None
    first, second, child = map(int, parent.stdout.readline().split())
    assert first != second
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30
    while is_alive(first) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_alive(first)
    assert is_alive(second)
    os.kill(child, 9)
    while is_alive(second) and time.monotonic() < until + 15:
        time.sleep(0.1)
    assert not is_alive(second)
    parent.stdout.close()


@pytest.mark.parametrize("syntax", [J2K, RLE])
def test_a_header_that_claims_too_much_is_refused_before_decoding(tmp_path: Path, syntax: str) -> None:
    grid = small_grid()
    (path,) = save(nm_volume(grid, ramp(grid)), tmp_path, syntax=RLE)
    file = pydicom.dcmread(path)
    file.file_meta.TransferSyntaxUID = syntax
    for rows, frames in ((65535, "2147483647"), (65535, "1"), (4096, "100000000000000000000")):
        file.Rows = file.Columns = rows
        with pydicom.config.disable_value_validation():
            file.NumberOfFrames = frames
        file.save_as(path)
        with pytest.raises(HepaticaError, match="claims"):
            stored_values(open_dicom(path))
