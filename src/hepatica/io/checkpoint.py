"""What an interrupted reconstruction leaves behind, so that the next run goes on from its last whole iteration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile
from hepatica.core.document import document
from hepatica.errors import InputError
from hepatica.imaging.reconstruct.algorithms import Start
from hepatica.imaging.reconstruct.background_term import Additive
from hepatica.io.arrays import Wanted, read_arrays
from hepatica.io.files import atomic_output
from hepatica.version import __version__

_ARRAYS = {
    "key": Wanted("U", 0), "image": Wanted("f", 3), "iterations": Wanted("iu", 0), "additive": Wanted("f", 3),
    "pixel_mm": Wanted("f", 1), "primary": Wanted("f", 3, optional=True), "shares": Wanted("f", 2, optional=True),
    "free": Wanted("b", 3, optional=True),
}  # fmt: skip


@dataclass(slots=True)
class Checkpoint:
    """Image and additive term after the last whole iteration.

    Attributes
    ----------
    path : Path or None
        The file; None keeps nothing.
    key : str
        Which run it belongs to.
    start : Start or None
        Where to go on; None to start anew.
    """

    path: Path | None
    key: str
    start: Start | None = None

    @classmethod
    def open(cls, path: Path | None, key: str) -> Checkpoint:
        """What the file holds, or nothing if it is not there.

        Raises
        ------
        InputError
            If it is of other inputs, settings or version, or damaged.
        """
        if path is None or not path.exists():
            return cls(path, key)
        try:
            stored = read_arrays(path, _ARRAYS)
            found = str(stored["key"])
            start = Start(stored["image"], int(stored["iterations"]), _stored_term(stored))
        except (InputError, ValueError) as error:
            raise InputError(
                f"checkpoint {path}: cannot be read ({error})", remedy="remove it to start anew"
            ) from error
        if found != key:
            raise InputError(
                f"checkpoint {path}: belongs to other projections, CT, settings or version", remedy="name another file"
            )
        return cls(path, key, start)

    @property
    def iterations(self) -> int:
        """Iterations that are done."""
        return 0 if self.start is None else self.start.iterations

    def keep(self, image: NDArray[np.float32], iterations: int, additive: Additive) -> None:
        """Write the state after an iteration, whole or not at all."""
        if self.path is None:
            return
        with atomic_output(self.path) as temporary, temporary.open("wb") as stream:
            term: dict[str, Any] = {"additive": additive.counts, "pixel_mm": additive.pixel_mm}
            if additive.primary is not None and additive.shares is not None:
                term |= {"primary": additive.primary, "shares": additive.shares}
            if additive.free is not None:
                term["free"] = additive.free
            np.savez(stream, **term, key=self.key, image=image, iterations=iterations)

    def done(self) -> None:
        """Remove the file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _stored_term(stored: Mapping[str, NDArray[Any]]) -> Additive:
    u, v = stored["pixel_mm"].tolist()
    free = stored.get("free")
    if "primary" not in stored or "shares" not in stored:
        return Additive(stored["additive"], pixel_mm=(u, v), free=free)
    return Additive(stored["additive"], stored["primary"], stored["shares"], (u, v), free=free)


def run_key(sources: Sequence[InputFile], parameters: Mapping[str, Any]) -> str:
    """Digest of everything that a run depends on."""
    inputs = " ".join(source.sha256 for source in sources)
    text = f"{__version__} {inputs} {json.dumps(document(parameters), sort_keys=True)}"
    return hashlib.sha256(text.encode()).hexdigest()
