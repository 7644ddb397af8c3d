"""The process that decodes: native codecs meet damaged data here, and may die of them without harm.

It ends when its parent does: it reads the end of the pipe, or, should another process have inherited that, finds
another parent. While it decodes, a clock that needs no Python ends it after its time.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from hepatica.io.dicom.codecs.exchange import RawStream, receive, send

PARENT_CHECK_S = 5.0
"""How often an idle worker looks whether its parent is still there."""

MAX_REQUEST_BYTES = 1 << 40


def main() -> None:
    """Decode what comes on standard input until it ends."""
    source, sink = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    # Native code prints what it likes: not among the answers, nor on the user's screen.
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    # Ctrl-C goes to the whole group; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from pydicom import pixels

    assert pixels is not None
    _limit("RLIMIT_CORE", 0)
    at_rest, parent = _address_space(), os.getppid()
    send(sink, {"ready": True})
    while _is_wanted(source, parent):
        try:
            head, data = receive(source, most=MAX_REQUEST_BYTES)
        except EOFError:
            return
        if at_rest is not None:
            _limit("RLIMIT_AS", at_rest + int(head["memory"]))
        if not _answer(sink, head, bytes(data)):
            return


def _answer(sink: RawStream, head: dict[str, Any], data: bytes) -> bool:
    """Decode and send; False if this process must not be used again."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with Path(os.devnull).open("w", encoding="ascii") as null:
                faulthandler.dump_traceback_later(head["seconds"], exit=True, file=null)
                try:
                    values = decode(head["syntax"], head["attributes"], data)
                finally:
                    faulthandler.cancel_dump_traceback_later()
        except BaseException as error:  # noqa: BLE001 - sent to the parent, which raises; Rust's panic is no Exception
            # After those that may have left something broken behind this process is not used again.
            last = not isinstance(error, Exception) or isinstance(error, MemoryError)
            send(sink, {"error": f"{type(error).__name__}: {error}"[:500], "last": last})
            return not last
    told = [str(warning.message)[:500] for warning in caught][:20]
    kind = values.dtype.newbyteorder("<")
    send(sink, {"kind": kind.str, "warnings": told}, values.astype(kind, copy=False).reshape(-1).view("u1"))
    return True


def decode(syntax: str, attributes: dict[str, Any], data: bytes) -> Any:
    """All frames as a contiguous array of integers, by what pydicom finds installed for the transfer syntax."""
    import numpy as np
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value.encode("latin-1") if keyword.startswith("ExtendedOffset") else value)
    dataset.PixelData = data
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return np.ascontiguousarray(dataset.pixel_array)


def _is_wanted(source: Any, parent: int) -> bool:
    """Wait for a request; False if the parent is gone. On Windows the end of the pipe alone says so."""
    if os.name != "posix":
        return True
    while not select.select([source], [], [], PARENT_CHECK_S)[0]:
        if os.getppid() != parent:
            return False
    return True


def _address_space() -> int | None:
    """Bytes of address space in use; None where the system does not say, and memory is then not limited."""
    if sys.platform != "linux":
        return None
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _limit(name: str, amount: int) -> None:
    """Set a limit of this process, where the system has it; never above the one that the user set."""
    if sys.platform == "win32":
        return
    import resource

    number = getattr(resource, name, None)
    if number is None:
        return
    _, most = resource.getrlimit(number)
    resource.setrlimit(number, (amount if most == resource.RLIM_INFINITY else min(amount, most), most))
