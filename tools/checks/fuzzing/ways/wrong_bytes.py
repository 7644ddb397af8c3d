"""Damage that knows no format: bytes, and files of a folder."""

from __future__ import annotations

import gzip

from fuzzing.case import Case, Files, Promise, Random

ODD_NAMES = (
    "a", "x.nii", "image.dcm.txt", "[bold]x[/bold].dcm", "-rf.dcm", "ünï cödé.dcm", "b" * 200 + ".dcm", "x.mha",
    "%s%n.dcm", "=1+1.dcm", "a\nb.dcm", "\x1b[31m.dcm", "x.toml", "x.JSON", "x.csv", "x.xlsx",
)  # fmt: skip


def damaged(rng: Random, content: bytes, other: bytes = b"") -> tuple[bytes, str]:
    """Content with one to three pieces of damage, and what they are."""
    said = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content, how = rng.choice(_WAYS)(rng, content, other)
        said.append(how)
    return content, " + ".join(said)


def cut(rng: Random, content: bytes) -> tuple[bytes, str]:
    """Content that ends early, near its end as often as anywhere."""
    at = rng.choice(
        (
            rng.randrange(len(content) + 1),
            len(content) - rng.randrange(1, min(64, len(content)) + 1) if content else 0,
            int(len(content) * rng.uniform(0.3, 0.99)),
        )
    )
    return content[:at], f"cut to {at} of {len(content)} bytes"


def _place(rng: Random, content: bytes) -> int:
    """Somewhere, the head more often than the rest, where sizes and places stand."""
    if not content:
        return 0
    return rng.randrange(min(len(content), 600)) if rng.random() < 0.5 else rng.randrange(len(content))


def _flip(rng: Random, content: bytes, _: bytes) -> tuple[bytes, str]:
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20)) if content else 0):
        found[_place(rng, content)] ^= 1 << rng.randrange(8)
    return bytes(found), "bits flipped"


def _set(rng: Random, content: bytes, _: bytes) -> tuple[bytes, str]:
    found = bytearray(content)
    at = _place(rng, content)
    new = rng.choice((b"\0", b"\xff", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"-", b"\n", b"\\"))
    found[at : at + len(new)] = new
    return bytes(found), f"{new!r} set at {at}"


def _span(rng: Random, content: bytes, _: bytes) -> tuple[bytes, str]:
    at = _place(rng, content)
    size = rng.choice((1, 2, 7, 64, 512, 4096))
    piece = content[at : at + size]
    way = rng.choice(("zeroed", "removed", "doubled", "reversed", "repeated"))
    new = {
        "zeroed": bytes(len(piece)),
        "removed": b"",
        "doubled": piece * 2,
        "reversed": piece[::-1],
        "repeated": piece * rng.choice((3, 10, 100)),
    }[way]
    return content[:at] + new + content[at + size :], f"{size} bytes at {at} {way}"


def _insert(rng: Random, content: bytes, _: bytes) -> tuple[bytes, str]:
    at = _place(rng, content)
    new = rng.choice((rng.randbytes(rng.choice((1, 2, 8, 300))), b"\0" * 64, b"A" * 70_000, b"\r\n", b"\xef\xbb\xbf"))
    return content[:at] + new + content[at:], f"{len(new)} bytes inserted at {at}"


def _splice(rng: Random, content: bytes, other: bytes) -> tuple[bytes, str]:
    if not other:
        return _span(rng, content, other)
    at, there = _place(rng, content), _place(rng, other)
    return content[:at] + other[there:], f"from byte {at} on another file's from {there}"


def _cut(rng: Random, content: bytes, _: bytes) -> tuple[bytes, str]:
    return cut(rng, content)


_WAYS = (_flip, _flip, _set, _span, _insert, _splice, _cut)


def repacked(rng: Random, content: bytes) -> tuple[bytes, str, Promise]:
    """A gzip file whose content is the same but packed otherwise, or whose packing is damaged."""
    plain = gzip.decompress(content)
    way = rng.choice(
        ("other level", "two members", "garbage behind", "wrong sum", "cut", "bomb", "empty", "not packed")
    )
    if way == "other level":
        return gzip.compress(plain, rng.choice((0, 1, 9))), f"gzip: {way}", Promise.SAME
    if way == "two members":
        at = rng.randrange(1, len(plain))
        return gzip.compress(plain[:at]) + gzip.compress(plain[at:]), f"gzip: {way}", Promise.SAME
    if way == "garbage behind":
        return content + rng.randbytes(30), f"gzip: {way}", Promise.SAME_IF_ANSWERED
    if way == "wrong sum":
        return content[:-8] + rng.randbytes(4) + content[-4:], f"gzip: {way}", Promise.SAME_IF_ANSWERED
    if way == "cut":
        found, how = cut(rng, content)
        return found, f"gzip: {how}", Promise.CUT
    if way == "bomb":
        return gzip.compress(plain + bytes(64 << 20), 1), "gzip: 64 MiB of zeros behind", Promise.SAME_IF_ANSWERED
    return (gzip.compress(b"") if way == "empty" else plain), f"gzip: {way}", Promise.SAME_IF_ANSWERED


def folder(rng: Random, files: Files, others: Files) -> Case:
    """Files of a folder lost, doubled, renamed, emptied, exchanged, or joined by strangers."""
    names = sorted(files)
    name = rng.choice(names)
    found = dict(files)
    ways = ["doubled", "stranger", "junk beside", "empty beside", "emptied", "hidden"]
    ways += ["renamed", "lost", "swapped", "deeper"] if len(names) > 1 else ["deeper"]
    way = rng.choice(ways)
    promise = Promise.SOUND
    if way == "lost":
        del found[name]
        promise = Promise.SOUND
    elif way == "doubled":
        found[f"copy-{name}"] = files[name]
        # A copy is known by its SOP instance UID, which anonymisers empty.
        promise = Promise.SAME_IF_ANSWERED
    elif way == "renamed":
        new = rng.choice(ODD_NAMES)
        found[new] = found.pop(name)
        way = f"renamed {new!r}"
        promise = Promise.SAME
    elif way == "stranger" and others:
        stranger = rng.choice(sorted(others))
        found[f"stranger-{stranger}"] = others[stranger]
        way = f"stranger {stranger}"
    elif way == "swapped":
        second = rng.choice(names)
        found[name], found[second] = files[second], files[name]
        promise = Promise.SAME
    elif way == "emptied":
        found[name] = b""
        promise = Promise.CUT
    elif way == "hidden":
        found[f".{name}"] = rng.randbytes(50)
        promise = Promise.SAME
    elif way == "deeper":
        found[f"{'d/' * rng.choice((1, 30))}{name}"] = found.pop(name)
        promise = Promise.SAME_IF_ANSWERED
    else:
        found[rng.choice(("Thumbs.db", "notes.txt", "DICOMDIR", "zz.dcm", "result.json"))] = (
            b"" if way == "empty beside" else rng.randbytes(rng.choice((3, 400)))
        )
        promise = Promise.SAME_IF_ANSWERED
    return Case(found, f"folder: {name} {way}", promise)
