"""A secret key, and what it makes of identifiers: the same of the same, and nothing that leads back without it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta

KEY_BYTES = 32
"""As long as the digest (RFC 2104, section 3)."""

DICOM_ROOT = "1.2.840.10008."
"""Root of the UIDs that the standard itself defines: SOP classes, transfer syntaxes, well-known instances."""

MIN_WEEKS, MAX_WEEKS = 52, 520
"""Dates go back by one to ten years: never by nothing, and never to before the agents existed."""

PSEUDONYM = "ANON-"

DRAWN, CHECK = 10, 6
"""Characters (of five bits) of a pseudonym that stand for the patient, and that only the key can make of them."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A key of HMAC-SHA-256 (RFC 2104).

    Attributes
    ----------
    key : bytes
        At least 32.
    """

    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) < KEY_BYTES:
            raise ValueError(f"a key has at least {KEY_BYTES} bytes")

    @property
    def name(self) -> str:
        """Which key it is, in eight characters that do not give it away."""
        return self._digest("name", "")[:4].hex()

    def pseudonym(self, identifier: str) -> str:
        """Stands for a patient: the same for the same identifier, and itself for a pseudonym of this key."""
        if self.owns(identifier):
            return identifier.strip()
        return self._checked(self.short(identifier.strip(), DRAWN))

    def owns(self, text: str) -> bool:
        """Whether a text is a pseudonym of this key: its last characters follow from the others by the key alone."""
        text = text.strip()
        if not (text.isascii() and text.startswith(PSEUDONYM)):
            return False
        drawn = text.removeprefix(PSEUDONYM)[:DRAWN]
        return hmac.compare_digest(text.encode(), self._checked(drawn).encode())

    def _checked(self, drawn: str) -> str:
        check = base64.b32encode(self._digest("pseudonym", drawn)).decode("ascii")[:CHECK]
        return f"{PSEUDONYM}{drawn}{check}"

    def short(self, text: str, characters: int = 6) -> str:
        """A short text of capitals and digits that stands for `text`."""
        return base64.b32encode(self._digest("text", text)).decode("ascii")[:characters]

    def uid(self, uid: str) -> str:
        """New unique identifier for an old one; those that DICOM itself defines stay.

        Made of a UUID (version 8 of RFC 9562: 122 bits of the digest) under 2.25, as DICOM PS3.5, B.2 has it.
        """
        if uid.startswith(DICOM_ROOT):
            return uid
        bits = int.from_bytes(self._digest("uid", uid)[:16])
        bits = bits & ~(0xF << 76) | 0x8 << 76
        bits = bits & ~(0x3 << 62) | 0x2 << 62
        return f"2.25.{bits}"

    def hash(self, digest: str) -> str:
        """A keyed hash in place of a plain one, by which a known or guessed file could be recognised."""
        return self._digest("hash", digest).hex()

    def shift(self, patient: str) -> timedelta:
        """What is added to every date of a patient.

        Whole weeks: times of day, days of the week and all intervals stay as they are, in any time zone. It follows
        from the pseudonym, so that a patient's number and pseudonym give the same.
        """
        drawn = int.from_bytes(self._digest("shift", self.pseudonym(patient))[:8])
        return -timedelta(weeks=MIN_WEEKS + drawn % (MAX_WEEKS - MIN_WEEKS + 1))

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.new(self.key, f"{purpose}\0{text}".encode(), hashlib.sha256).digest()
