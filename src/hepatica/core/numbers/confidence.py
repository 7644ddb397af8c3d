"""How well a source is known, in words: a closed vocabulary that every shipped table uses and every reader sees."""

from __future__ import annotations

from collections.abc import Mapping

READ_AT_THE_SOURCE = "read at the source"
FROM_MEMORY = "from memory of the publication"
UNCERTAIN = "uncertain"
WELL_ESTABLISHED = "well established"
COMMON_PRACTICE = "common practice"

MEANING: Mapping[str, str] = {
    READ_AT_THE_SOURCE: "the number was read in the publication, label or file that is named",
    WELL_ESTABLISHED: "general knowledge of the field that many publications repeat; not re-read in the one named",
    FROM_MEMORY: "known from the publication named, which was not re-read: check it before clinical use",
    UNCERTAIN: "an indication only: check it before any use",
    COMMON_PRACTICE: "what experienced teams do; no single publication stands for it",
    "computed": "computed by hepatica, or by its tools, from the source named",
    "fitted": "a distribution put through numbers that were read at the source",
    "assumption": "chosen by us, without a source",
    "not found": "looked for and not found; the value is left empty",
    "not applicable": "there can be no such value (a liquid has no spheres)",
}
"""Each word of the vocabulary and what it means."""
