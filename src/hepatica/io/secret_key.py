"""The key by which identity is taken out: one file in the user's settings, or one that a hospital keeps elsewhere."""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from pathlib import Path

from hepatica.core.privacy.secret import KEY_BYTES, Secret
from hepatica.errors import InputError, OutputError

VARIABLE = "HEPATICA_ANONYMOUS_KEY"
"""Environment variable that names another file."""

MIN_DIFFERENT = 10
"""Different hexadecimal digits of a key: of 64 drawn ones, fewer than ten differ once in 10^12 (16 over 9 sets of nine
digits, each with probability (9/16)^64); zeros, a repeated word and the like have fewer."""


def key_file() -> Path:
    """Where the key is: what `VARIABLE` names, else a file among the user's settings."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if sys.platform == "win32":
        settings = os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming"
    else:
        settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(settings) / "hepatica" / "anonymous.key"


def read_secret(path: Path | str | None = None) -> Secret:
    """The key of a file; the user's own one is made where it is not there yet.

    Parameters
    ----------
    path : Path or None
        A file of 64 hexadecimal digits; None for `key_file`.

    Raises
    ------
    InputError
        If a file that was named is not there, is no key or one that anybody could guess, or everybody may read it.
    OutputError
        If a new key cannot be written.
    """
    named = path is not None or VARIABLE in os.environ
    path = key_file() if path is None else Path(path)
    if not named and not path.exists():
        _make(path)
    try:
        if os.name == "posix" and path.stat().st_mode & stat.S_IRWXO:
            raise InputError(f"{path}: everybody may read this key", remedy="let nobody else read it (chmod 600)")
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the key cannot be read ({error})") from error
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * KEY_BYTES},}}", text) or len(text) % 2:
        raise InputError(f"{path}: is no key: {2 * KEY_BYTES} hexadecimal digits are expected")
    if len(set(text.lower())) < MIN_DIFFERENT:
        raise InputError(
            f"{path}: is no secret: it has only {len(set(text.lower()))} different digits",
            remedy="draw a new key (openssl rand -hex 32)",
        )
    return Secret(bytes.fromhex(text))


def _settle(hidden: Path, path: Path) -> None:
    """Give a file its name unless that is taken."""
    try:
        os.link(hidden, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without links, as network drives are.
        if not path.exists():
            hidden.replace(path)


def _make(path: Path) -> None:
    """Write a new key that only the user may read; one that another run makes meanwhile stays."""
    hidden = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(KEY_BYTES) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        _settle(hidden, path)
    except OSError as error:
        raise OutputError(f"{path}: a new key cannot be written ({error.strerror})") from error
    finally:
        hidden.unlink(missing_ok=True)
