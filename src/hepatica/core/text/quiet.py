"""Warnings of libraries, which mean nothing to the reader of a result, kept off the screen.

What matters to a number is a `Message` of the result or an error; the door that calls a library turns its warnings into
those (`hepatica.io.dicom.tags.pydicom_door`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

ANOTHER_MODULE = r"(?!hepatica(\.|$)|__main__$)"


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Ignore warnings that come from modules other than hepatica's and the caller's own, for the length of a block."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=ANOTHER_MODULE)
        yield
