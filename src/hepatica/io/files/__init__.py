"""Writing so that a result is whole or absent, the old one or the new one, whatever stops the run.

::

    with output_folder("out", force=True) as new:   # a hidden folder beside "out"; "out" is locked, and as it was
        (new / "dose.csv").write_text(...)
    # now "out" is what was written, in one step; had the block failed, it would be as it was

    with atomic_output("run.npz") as temporary:     # the same for one file
        temporary.write_bytes(...)

What is promised on which system stands in ``docs/durability.md``.
"""

from hepatica.io.files.manifest import MANIFEST
from hepatica.io.files.output import (
    atomic_output,
    identity,
    outcome,
    output_folder,
    refuse_existing,
    refuse_inputs,
    set_times,
    write_text,
)
from hepatica.io.files.work import restore

__all__ = [
    "MANIFEST",
    "atomic_output",
    "identity",
    "outcome",
    "output_folder",
    "refuse_existing",
    "refuse_inputs",
    "restore",
    "set_times",
    "write_text",
]
