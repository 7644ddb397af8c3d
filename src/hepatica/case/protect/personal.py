"""What a case says about persons in its log, apart from the chain: encrypted under a key that can be destroyed."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hepatica.case.layout import KEY, PERSONAL
from hepatica.errors import InputError, OutputError
from hepatica.io.files import atomic_output
from hepatica.io.files.system import sync_file

KEY_BYTES = 32
"""Of the key as it is stored; keys for encryption (AES-256-GCM) and for hashes are derived from it."""

_NONCE_BYTES = 12
"""NIST SP 800-38D recommends 96 bits."""


@dataclass(frozen=True, slots=True)
class Personal:
    """What is kept apart in the folder of a case.

    Attributes
    ----------
    folder : Path
        Of the case.
    key : bytes or None
        None once it was destroyed: what was kept can then be neither read nor tested.
    """

    folder: Path
    key: bytes | None = field(repr=False)

    @classmethod
    def new(cls, folder: Path) -> Personal:
        """Draw a key that only the user may read.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        key = secrets.token_bytes(KEY_BYTES)
        try:
            with atomic_output(folder / KEY) as path:
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
                with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii") as stream:
                    stream.write(key.hex() + "\n")
        except OSError as error:
            raise OutputError(f"{folder / KEY}: cannot be written ({error.strerror})") from error
        return cls(folder, key)

    @classmethod
    def open(cls, folder: Path) -> Personal:
        """As it is; without a key where that was destroyed.

        Raises
        ------
        InputError
            If the key cannot be read, or is none.
        """
        path = folder / KEY
        try:
            key = bytes.fromhex(path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return cls(folder, None)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: the key of the case cannot be read ({error})") from error
        if len(key) != KEY_BYTES:
            raise InputError(f"{path}: is no key: {2 * KEY_BYTES} hexadecimal digits are expected")
        return cls(folder, key)

    def keep(self, content: Mapping[str, Any]) -> str:
        """Encrypt something, and give the keyed hash by which it is found again.

        Raises
        ------
        InputError
            If the key was destroyed.
        OutputError
            If it cannot be written.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        text = json.dumps(content, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()
        salt = secrets.token_bytes(_NONCE_BYTES)
        name = hmac.new(self._derived("hash"), salt + text, hashlib.sha256).hexdigest()
        sealed = AESGCM(self._derived("encryption")).encrypt(salt, text, name.encode())
        line = json.dumps({"hash": name, "nonce": salt.hex(), "sealed": sealed.hex()}) + "\n"
        path = self.folder / PERSONAL
        try:
            with path.open("ab") as stream:
                # A line that a killed run left unfinished is closed, and names nothing.
                stream.write(b"\n" + line.encode() if stream.tell() else line.encode())
            sync_file(path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
        return name

    def read(self) -> Mapping[str, Mapping[str, Any]]:
        """All that was kept, by keyed hash; empty where the key was destroyed.

        What was changed is left out, as what is missing is: a line of the log then has nothing to show.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        path = self.folder / PERSONAL
        if self.key is None or not path.exists():
            return {}
        box, found = AESGCM(self._derived("encryption")), {}
        for line in path.read_bytes().splitlines():
            try:
                content = json.loads(line)
                salt, name = bytes.fromhex(content["nonce"]), str(content["hash"])
                text = box.decrypt(salt, bytes.fromhex(content["sealed"]), name.encode())
                if hmac.compare_digest(hmac.new(self._derived("hash"), salt + text, hashlib.sha256).hexdigest(), name):
                    found[name] = json.loads(text)
            except (ValueError, KeyError, TypeError, InvalidTag):
                continue
        return found

    def digest(self, content: bytes) -> str:
        """Keyed hash of a text that could be guessed, such as a weight.

        Raises
        ------
        InputError
            If the key was destroyed.
        """
        return hmac.new(self._derived("digest"), content, hashlib.sha256).hexdigest()

    def _derived(self, use: str) -> bytes:
        """A key for one use (HKDF-Expand of RFC 5869 with one block)."""
        if self.key is None:
            raise InputError(f"{self.folder}: the personal part of this case was erased; it can only be read")
        return hmac.new(self.key, use.encode() + b"\x01", hashlib.sha256).digest()
