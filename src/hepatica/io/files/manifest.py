"""The list of its files that a result carries: only what hepatica wrote, unchanged since, is ever replaced.

The list is a hidden file that ``sha256sum -c .hepatica.sha256`` understands.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hepatica.core.provenance import sha256

MANIFEST = ".hepatica.sha256"

HEAD = "# files that hepatica wrote here"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

LITTER = {
    ".DS_Store": b"\0\0\0\1Bud1",
    "Thumbs.db": _OLE,
    "ehthumbs.db": _OLE,
    "desktop.ini": b"[.ShellClassInfo]",
    ".directory": b"[Desktop Entry]",
}
"""Hidden files that desktops leave where somebody looks, by name, and how they begin."""

APPLE_DOUBLE = b"\0\5\x16\7"
"""How a file ``._name`` begins that macOS writes beside a file on a foreign file system (RFC 1740)."""

MAX_LITTER_BYTES = 4 * 1024**2
"""A larger file is somebody's."""


def write_manifest(folder: Path) -> None:
    """List every file below a folder with its hash.

    Raises
    ------
    OSError
        If a file cannot be read, or the list not be written.
    """
    lines = [f"{sha256(folder / name)}  {name}" for name in sorted(_files(folder))]
    dated = folder.stat()
    (folder / MANIFEST).write_bytes("\n".join([HEAD, *lines, ""]).encode("utf-8", "surrogateescape"))
    # A result without identity is dated otherwise than today, and so is its list.
    for path in (folder / MANIFEST, folder):
        os.utime(path, ns=(dated.st_atime_ns, dated.st_mtime_ns))


def foreign(folder: Path) -> str | None:
    """Why a folder may not be replaced: what it holds beside the unchanged files of one result of hepatica.

    Returns
    -------
    str or None
        "it holds notes.txt, which hepatica did not write"; None for an empty folder or a result as it was written
        (files that are missing, and what desktops leave, do not matter).

    Raises
    ------
    OSError
        If it cannot be read.
    """
    found = sorted(_files(folder))
    known = _listed(folder)
    if known is None:
        if not any(folder.iterdir()):
            return None
        if _is_old_result(folder):
            return "an older version of hepatica wrote it, without a list of its files"
        return "it was not written by hepatica"
    folders = {parent.as_posix() for name in known for parent in Path(name).parents}
    for name in (*found, *_links_and_folders(folder)):
        if name in folders or _is_litter(folder / name):
            continue
        if name not in known or not (folder / name).is_file():
            return f"it holds {name}, which hepatica did not write"
        if known[name] != sha256(folder / name):
            return f"{name} was changed after hepatica wrote it"
    return None


def changed_files(folder: Path, endings: tuple[str, ...]) -> tuple[str, ...]:
    """Files with these endings, of those that the list of a result names, that are not what hepatica wrote.

    Raises
    ------
    OSError
        If one cannot be read.
    """
    known = _listed(folder) or {}
    return tuple(
        name
        for name, digest in known.items()
        if name.endswith(endings) and (folder / name).is_file() and sha256(folder / name) != digest
    )


def altered_files(folder: Path, *, thorough: bool = False) -> tuple[str, ...]:
    """Files of those that the list of a result names that are gone or not what hepatica wrote.

    Parameters
    ----------
    folder : Path
        Of the result.
    thorough : bool
        Hash every file, also those that are no younger than the list.

    Raises
    ------
    OSError
        If one cannot be read.
    """
    known = _listed(folder) or {}
    written = (folder / MANIFEST).stat().st_mtime_ns if known else 0
    found = []
    for name, digest in known.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is gone")
        elif (thorough or path.stat().st_mtime_ns > written) and sha256(path) != digest:
            found.append(f"{name} was changed after it was written")
    return tuple(found)


def _is_litter(path: Path) -> bool:
    """Whether a desktop left a file: by its name and by what it holds."""
    mark = APPLE_DOUBLE if path.name.startswith("._") else LITTER.get(path.name)
    if mark is None or path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_LITTER_BYTES:
        return False
    with path.open("rb") as stream:
        first = stream.read(1024)
    if path.name == "desktop.ini" and first.startswith(b"\xff\xfe"):  # as Windows writes it
        first = first.decode("utf-16", "replace").encode("utf-8", "replace")
    return first.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n ").startswith(mark)


def _files(folder: Path) -> Iterator[str]:
    """Names of plain files below a folder, but the list itself."""
    for place, _, names in os.walk(folder):
        for name in names:
            inside = (Path(place) / name).relative_to(folder).as_posix()
            if inside != MANIFEST and not (Path(place) / name).is_symlink():
                yield inside


def _links_and_folders(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place) / name
            if path.is_symlink() or name in folders:
                yield path.relative_to(folder).as_posix()


def _listed(folder: Path) -> dict[str, str] | None:
    """Name to hash of the list in a folder; None where there is none of ours."""
    path = folder / MANIFEST
    if path.is_symlink() or not path.is_file():
        return None
    lines = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    if lines[0] != HEAD:
        return None
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines[1:] if line)}


def _is_old_result(folder: Path) -> bool:
    path = folder / "result.json"
    return path.is_file() and b'"schema": "hepatica/' in path.read_bytes()[:200]
