"""Pictures that a person keeps in a case: what was looked at, with what it shows, for the report of the course."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from hepatica.case.changing import changing
from hepatica.case.layout import PICTURES
from hepatica.case.state import Situation
from hepatica.errors import InputError
from hepatica.io.files import atomic_output

PNG = b"\x89PNG\r\n\x1a\n"
MOST_BYTES = 40 << 20


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """One picture.

    Attributes
    ----------
    file : str
        Its name in the folder of pictures.
    caption, by, at : str
        What it shows, who kept it, when.
    png : bytes
        The picture.
    """

    file: str
    caption: str
    by: str
    at: str
    png: bytes


def keep_picture(folder: Path, png: bytes, caption: str, by: str) -> str:
    """Write a picture into a case, with its hash in the log; its name.

    Raises
    ------
    InputError
        If it is no PNG, too large, or nobody says what it shows and who keeps it.
    OutputError
        If it cannot be written.
    """
    if not png.startswith(PNG) or len(png) > MOST_BYTES:
        raise InputError(f"a picture is a PNG of at most {MOST_BYTES >> 20} MB")
    if not caption.strip() or not by.strip():
        raise InputError("a picture needs what it shows, and who keeps it")
    digest = hashlib.sha256(png).hexdigest()
    with changing(folder) as log:
        place = folder / PICTURES
        place.mkdir(exist_ok=True)
        number = 1 + max((int(path.stem.split("-")[1]) for path in place.glob("picture-*.png")), default=0)
        name = f"picture-{number}.png"
        with atomic_output(place / name) as new:
            new.write_bytes(png)
        log.append("picture", {"file": name, "digest": digest}, {"caption": caption.strip(), "by": by.strip()})
    return name


def kept_pictures(situation: Situation) -> tuple[KeptPicture, ...]:
    """All of a case that are what was kept, in order; one that was changed or removed is left out."""
    found = []
    for entry in situation.history.about("picture"):
        path = situation.folder / PICTURES / str(entry.about["file"])
        said = situation.personal.get(entry.personal, {})
        if not path.is_file():
            continue
        png = path.read_bytes()
        if hashlib.sha256(png).hexdigest() == entry.about["digest"]:
            caption, by = str(said.get("caption", "")), str(said.get("by", ""))
            found.append(KeptPicture(path.name, caption, by, entry.at, png))
    return tuple(found)
