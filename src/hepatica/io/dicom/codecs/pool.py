"""The worker process as its parent sees it: started when the first compressed image comes, kept for the next."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.io.dicom.codecs.exchange import receive, send

START_S = 60.0
"""A machine under load may take long to start Python; no damaged file is involved."""

LEAST_S = 8.0
"""Time for any image; a slice of a CT takes 0.01 s."""

SLOWEST_BYTES_PER_S = 1e6
"""JPEG 2000, the slowest, gives six times as many on a core that it shares with four others (measured)."""

SPARE_S = 1.5
"""The worker stops itself after its time; this much later its parent does."""

MEMORY_FACTOR, MEMORY_BYTES = 4, 256 * 1024**2
"""Memory for a codec: JPEG 2000 holds 32 bits for each value of a tile, and a copy."""

PROGRAM = "from hepatica.io.dicom.codecs.worker import main; main()"


class CodecError(RuntimeError):
    """Pixel data could not be decoded; the caller says of which file."""


class _BrokeDownError(CodecError):
    """The process ended, or sent what is no answer."""


class CodecWorker:
    """One process that decodes; used by one thread at a time.

    Parameters
    ----------
    program : str
        What it runs; another one in tests.
    """

    def __init__(self, program: str = PROGRAM) -> None:
        self._program = program
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process number; None while there is none."""
        return None if self._process is None else self._process.pid

    def decode(
        self, syntax: str, attributes: Mapping[str, Any], data: bytes, *, count: int, claimed: int
    ) -> tuple[NDArray[Any], list[str]]:
        """Decoded values, and what the decoder warned of.

        Parameters
        ----------
        syntax : str
            UID of the transfer syntax.
        attributes : mapping
            Attributes of the image pixel module, by keyword.
        data : bytes
            The encapsulated pixel data.
        count : int
            How many values there must be.
        claimed : int
            Bytes that they take by BitsAllocated; time and memory follow from it.

        Returns
        -------
        ndarray of integers, shape (count,)
        list of str

        Raises
        ------
        CodecError
            If they cannot be decoded: the codec refuses, dies, or takes too long or too much memory.
        """
        seconds = LEAST_S + claimed / SLOWEST_BYTES_PER_S
        head = {
            "syntax": syntax,
            "attributes": dict(attributes),
            "seconds": seconds,
            "memory": MEMORY_FACTOR * (claimed + len(data)) + MEMORY_BYTES,
        }
        with self._lock:
            had_served = self._process is not None
            try:
                answer, values = self._exchange(head, data, seconds=seconds, most=4 * count)
            except _BrokeDownError:
                # Its end may come of what it decoded before, or of the system: this file is blamed only by a new one.
                if not had_served:
                    raise
                answer, values = self._exchange(head, data, seconds=seconds, most=4 * count)
            if answer.get("last"):
                self.close()
        if "error" in answer:
            raise CodecError(answer["error"])
        kind = np.dtype(answer["kind"])
        if kind.kind not in "iu" or len(values) != count * kind.itemsize:
            raise CodecError(f"decodes to {len(values)} bytes of {kind}; {count} values are needed")
        return np.frombuffer(values, dtype=kind).astype(kind.newbyteorder("="), copy=False), answer["warnings"]

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        try:
            process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def forget(self) -> subprocess.Popen[bytes] | None:
        """Let go of the process without ending it, in a fork, whose parent it belongs to."""
        process, self._process, self._lock = self._process, None, threading.Lock()
        for stream in (process.stdin, process.stdout) if process is not None else ():
            if stream is not None:
                stream.close()
        return process

    def _exchange(self, head: dict[str, Any], data: bytes, *, seconds: float, most: int) -> tuple[Any, bytearray]:
        process = self._running()
        begun = time.monotonic()
        watch = threading.Timer(seconds + SPARE_S, process.kill)
        watch.daemon = True
        watch.start()
        try:
            send(process.stdin, head, data)  # type: ignore[arg-type]
            return receive(process.stdout, most=most)  # type: ignore[arg-type]
        except (EOFError, OSError, ValueError, KeyError, TypeError) as error:
            too_long = time.monotonic() - begun >= seconds
            self.close()
            if too_long:
                raise CodecError(f"the decoder did not end within {seconds:.0f} s") from error
            raise _BrokeDownError(f"the decoder broke down ({_end(process.returncode)})") from error
        except BaseException:
            # Interrupted between question and answer: the next answer would be that of this question.
            process.kill()
            self.close()
            raise
        finally:
            watch.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, started if there is none or it has ended."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        try:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", f"import sys; sys.path[:] = {sys.path!r}; {self._program}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={**os.environ, **threads},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise CodecError(f"the decoder cannot be started ({error})") from error
        self._process = process
        watch = threading.Timer(START_S, process.kill)
        watch.daemon = True
        watch.start()
        try:
            receive(process.stdout, most=0)  # type: ignore[arg-type]
        except (EOFError, OSError, ValueError, KeyError) as error:
            self.close()
            raise CodecError(f"the decoder cannot be started ({_end(process.returncode)})") from error
        except BaseException:
            process.kill()
            self.close()
            raise
        finally:
            watch.cancel()
        return process


def _end(code: int | None) -> str:
    """How a process ended, in words."""
    return f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"


WORKER = CodecWorker()
"""The one that all images share."""

_INHERITED: list[subprocess.Popen[bytes] | None] = []
"""Processes of the parent of a fork: kept, so that nothing waits for what is not its child."""

atexit.register(WORKER.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _INHERITED.append(WORKER.forget()))
