"""A DICOM listener that keeps what a camera sends as files in a folder (needs pynetdicom, the extra "listen")."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hepatica.errors import InputError
from hepatica.io.dicom.images.write import NM_IMAGE

REFUSED, OUT_OF_RESOURCES, SUCCESS = 0xA900, 0xA700, 0x0000
"""Statuses of C-STORE (DICOM PS3.4, B.2.3)."""


@contextmanager
def listening(folder: Path, *, port: int, title: str = "HEPATICA", address: str = "127.0.0.1") -> Iterator[int]:
    """Take gamma camera images by C-STORE while the block runs, each as a file in a folder.

    Parameters
    ----------
    folder : Path
        Where they are written: a hidden name first, then the whole file under its own.
    port : int
        To listen on; 0 for any that is free.
    title : str
        Application entity title.
    address : str
        Of the interface; this machine alone by default.

    Yields
    ------
    int
        The port.

    Raises
    ------
    InputError
        If pynetdicom is not installed, or the port cannot be listened on.
    """
    try:
        from pynetdicom import AE, evt
        from pynetdicom.sop_class import Verification
    except ImportError as error:
        raise InputError(
            "a DICOM listener needs pynetdicom, which is not installed",
            remedy="install hepatica with its extra 'listen'",
        ) from error
    count = 0

    def store(event: Any) -> int:
        nonlocal count
        try:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            count += 1
            name = f"{count:06d}.dcm"
            dataset.save_as(folder / f".{name}", enforce_file_format=True)
            (folder / f".{name}").rename(folder / name)
        except OSError:
            return OUT_OF_RESOURCES
        except (ValueError, TypeError, AttributeError, KeyError):
            return REFUSED
        return SUCCESS

    entity = AE(ae_title=title)
    entity.add_supported_context(NM_IMAGE)
    entity.add_supported_context(Verification)
    try:
        server = entity.start_server((address, port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    except OSError as error:
        raise InputError(f"port {port} of {address} cannot be listened on ({error.strerror})") from error
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
