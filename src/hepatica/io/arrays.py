"""NumPy archives (.npz) that hepatica wrote: kind and rank of each array are checked before it is read."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import HepaticaError, InputError

MAX_BYTES = 16_000_000_000
"""More than a hundred images of 256^3 in single precision; what claims more was not written by hepatica."""

SMALL_BYTES = 100_000
"""An array of no axis or one axis holds a number, a word or a few numbers."""

_LONGEST_HEADER = 4096
"""Characters; that of an array of plain numbers has a hundred."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an array must be.

    Attributes
    ----------
    kinds : str
        Letters of `numpy.dtype.kind`: "f", "iu", "U".
    axes : int
        Number of axes.
    optional : bool
        It may be absent.
    most_bytes : int or None
        More than this is refused; by default what such an array can need.
    may_be_empty : bool
        It may hold no number: a list of events of which there were none.
    """

    kinds: str
    axes: int
    optional: bool = False
    most_bytes: int | None = None
    may_be_empty: bool = False


def read_arrays(path: Path, wanted: Mapping[str, Wanted]) -> dict[str, NDArray[Any]]:
    """Arrays of an archive by name; other members are passed over.

    Parameters
    ----------
    path : Path
        The archive, as `numpy.savez` writes it.
    wanted : mapping
        What each array must be.

    Raises
    ------
    InputError
        If the archive cannot be read, an array is absent or of another kind, claims more than it holds, or holds a
        number that is not finite; the message names file and array.
    """
    found: dict[str, NDArray[Any]] = {}
    name = ""
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive, warnings.catch_warnings():
            warnings.simplefilter("error")
            members = archive.namelist()
            for name, what in wanted.items():
                if f"{name}.npy" in members:
                    found[name] = _array(archive, f"{name}.npy", what)
                elif not what.optional:
                    raise ValueError("is missing")
    except HepaticaError:
        raise
    except Exception as error:
        # zipfile, zlib and NumPy's reader of headers raise a dozen kinds of errors for damaged bytes.
        where = f"{name}: " if name else ""
        raise InputError(f"{path}: {where}cannot be read ({error or type(error).__name__})") from error
    for name, values in found.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(f"{path}: {name}: holds a number that is not finite")
    return found


def _array(archive: zipfile.ZipFile, member: str, what: Wanted) -> NDArray[Any]:
    info = archive.getinfo(member)
    most = what.most_bytes or (MAX_BYTES if what.axes > 2 else SMALL_BYTES)
    if info.file_size > most:
        raise ValueError(f"claims {info.file_size} bytes")
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"is of version {version}")
        shape, fortran, dtype = readers[version](stream, max_header_size=_LONGEST_HEADER)
        least = 0 if what.may_be_empty else 1
        if dtype.kind not in what.kinds or len(shape) != what.axes or min(shape, default=1) < least:
            raise ValueError(f"is an array of {dtype} and shape {shape}")
        count = int(np.prod(np.asarray(shape, dtype=object)))
        left = info.file_size - stream.tell()
        if count * dtype.itemsize != left:
            raise ValueError(f"claims {count} numbers of {dtype} in {left} bytes")
        raw = stream.read()
    if not count:
        return np.empty(shape, dtype)
    return np.frombuffer(raw, dtype=dtype).reshape(shape, order="F" if fortran else "C")
