"""Damage to the fields of NIfTI headers and to the members of zip files (workbooks, NumPy archives)."""

from __future__ import annotations

import gzip
import io
import itertools
import re
import struct
import zipfile
from functools import cache

from fuzzing.case import Promise, Random
from fuzzing.ways import wrong_bytes
from fuzzing.ways.values import NUMBERS, TEXTS

_NIFTI1 = {
    "sizeof_hdr": (0, "i", 1), "dim": (40, "h", 8), "intent_code": (68, "h", 1), "datatype": (70, "h", 1),
    "bitpix": (72, "h", 1),
    "pixdim": (76, "f", 8), "vox_offset": (108, "f", 1), "scl_slope": (112, "f", 1), "scl_inter": (116, "f", 1),
    "xyzt_units": (123, "b", 1), "qform_code": (252, "h", 1), "sform_code": (254, "h", 1), "quatern": (256, "f", 6),
    "srow": (280, "f", 12), "magic": (344, "i", 1), "extension": (348, "i", 1),
}  # fmt: skip

_IDLE_NIFTI1 = {
    "db_name": (14, 18),
    "descrip": (148, 80),
    "aux_file": (228, 24),
    "cal_max": (124, 4),
    "cal_min": (128, 4),
}

_WHOLE = (0, 1, -1, 2, 3, 4, 7, 8, 127, -128, 255, 512, 1024, 2048, 32767, -32768, 2**31 - 1, -(2**31))
_REAL = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e-40,
    1e38,
    -1e38,
    float("nan"),
    float("inf"),
    -float("inf"),
    352.0,
    351.5,
    1e9,
    0.001,
    2.0,
)


def nifti(rng: Random, content: bytes, *, packed: bool) -> tuple[bytes, str, Promise]:
    """One or two fields of a NIfTI-1 header at the edge."""
    plain = bytearray(gzip.decompress(content) if packed else content)
    said, promise = [], Promise.SOUND
    order = "<" if plain[:4] == b"\x5c\x01\0\0" else ">"
    if rng.random() < 0.12:
        name = rng.choice(sorted(_IDLE_NIFTI1))
        at, size = _IDLE_NIFTI1[name]
        plain[at : at + size] = rng.randbytes(size)
        said, promise = [f"{name} is noise"], Promise.SAME_IF_ANSWERED
    elif rng.random() < 0.12:
        found, how = wrong_bytes.cut(rng, bytes(plain))
        plain, promise, said = bytearray(found), Promise.CUT, [how]
    else:
        for _ in range(rng.choice((1, 1, 2))):
            name = rng.choice(sorted(_NIFTI1))
            at, kind, count = _NIFTI1[name]
            at += rng.randrange(count) * struct.calcsize(kind)
            value = rng.choice(_REAL if kind == "f" else _WHOLE)
            if kind != "f":
                bits = 8 * struct.calcsize(kind) - 1
                value = max(-(2**bits), min(2**bits - 1, int(value)))
            plain[at : at + struct.calcsize(kind)] = struct.pack(order + kind, value)
            said.append(f"{name} at {at} = {value}")
    return gzip.compress(bytes(plain), 1) if packed else bytes(plain), " + ".join(said), promise


@cache
def _bomb() -> bytes:
    """300 MB of spaces, packed to 300 kB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x", "w") as member:
        for _ in range(300):
            member.write(b" " * 1_000_000)
    return packed.getvalue()


_LAUGHS = "".join(f'<!ENTITY {b} "{f"&{a};" * 12}">' for a, b in itertools.pairwise("abcdefghi"))

_ENTITIES = (
    f'<!DOCTYPE x [<!ENTITY a "lollollollol">{_LAUGHS}]>',
    '<!DOCTYPE x [<!ENTITY i SYSTEM "file:///etc/passwd">]>',
    '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
)


def zipped(rng: Random, content: bytes) -> tuple[bytes, str, Promise]:
    """A zip file with a member damaged, gone, twice, under another name, swollen; or packed otherwise."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    way = rng.choice(
        (
            "xml",
            "xml",
            "xml",
            "xml",
            "bytes",
            "gone",
            "twice",
            "name",
            "bomb",
            "packing",
            "flags",
            "cut",
            "order",
            "deep",
        )
    )
    if way in ("packing", "order"):
        if way == "order":
            rng.shuffle(members)
        return _zip(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))), f"zip: {way}", Promise.SAME
    if way == "cut":
        found, how = wrong_bytes.cut(rng, content)
        return found, f"zip: {how}", Promise.CUT
    if way == "flags":
        found = bytearray(content)
        at = rng.choice([m.start() for m in re.finditer(b"PK\x01\x02|PK\x03\x04", content)]) + rng.choice(
            (6, 8, 10, 14, 20, 24, 28)
        )
        found[at : at + 2] = rng.choice((b"\1\0", b"\xff\xff", b"\x0e\0", b"\0\0", rng.randbytes(2)))
        return bytes(found), f"zip: directory at {at}", Promise.SAME_IF_ANSWERED
    number = rng.randrange(len(members))
    name, member = members[number]
    promise = Promise.SOUND
    how = way
    if way == "gone":
        del members[number]
    elif way == "twice":
        members.insert(rng.randrange(len(members) + 1), (name, rng.choice((member, b"", members[0][1]))))
    elif way == "name":
        members[number] = rng.choice(("../../x", "/etc/x", name.upper(), "x" * 60_000, "", "a\0b", name + "/")), member
    elif way == "bomb":
        return _bombed(members, number), f"zip: {name} is 300 MB", promise
    elif way == "deep" and member.lstrip()[:1] == b"<":
        at = member.find(b">", member.find(b"?>") + 2) + 1
        n = rng.choice((1000, 200_000))
        members[number] = name, member[:at] + b"<a>" * n + b"</a>" * n + member[at:]
    elif way == "xml" and member.lstrip()[:1] == b"<":
        found, how = _xml(rng, member.decode("utf-8", "replace"))
        members[number] = name, found.encode("utf-8", "replace")
    else:
        found_bytes, how = wrong_bytes.damaged(rng, member)
        members[number] = name, found_bytes
    return _zip(members, zipfile.ZIP_DEFLATED), f"zip: {name}: {how}", promise


def _zip(members: list[tuple[str, bytes]], packing: int) -> bytes:
    import warnings

    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", packing, compresslevel=1) as archive:
        warnings.simplefilter("ignore")
        for name, member in members:
            archive.writestr(zipfile.ZipInfo(name), member, packing)
    return packed.getvalue()


def _bombed(members: list[tuple[str, bytes]], number: int) -> bytes:
    """The packed stream of the bomb under the name of a member, without packing it anew."""
    packed = io.BytesIO(_bomb())
    with zipfile.ZipFile(packed) as archive:
        info = archive.infolist()[0]
        raw = packed.getvalue()[info.header_offset + 30 + len(info.filename) :][: info.compress_size]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, member in members:
            archive.writestr(name, member)
    names = [name for name, _ in members]
    whole = out.getvalue()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        infos = {i.filename: i for i in archive.infolist()}
    return _assembled([(n, infos[n].CRC, m) for n, (_, m) in zip(names, members, strict=True)], number, raw, info)


def _assembled(members: list[tuple[str, int, bytes]], number: int, raw: bytes, bomb: zipfile.ZipInfo) -> bytes:
    out, central = io.BytesIO(), io.BytesIO()
    for n, (name, own, member) in enumerate(members):
        swollen = n == number
        data, method = (raw, 8) if swollen else (member, 0)
        crc, size = (bomb.CRC, bomb.file_size) if swollen else (own, len(member))
        common = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 33, crc, len(data), size, len(name.encode()), 0)
        at = out.tell()
        out.write(b"PK\x03\x04" + common + name.encode() + data)
        central.write(b"PK\x01\x02\x14\0" + common + struct.pack("<HHHII", 0, 0, 0, 0, at) + name.encode())
    at, size = out.tell(), central.tell()
    out.write(
        central.getvalue() + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, len(members), len(members), size, at, 0)
    )
    return out.getvalue()


def _xml(rng: Random, text: str) -> tuple[str, str]:
    """An attribute or text of XML at the edge, an entity declared, or a tag gone."""
    way = rng.choice(("attribute", "attribute", "attribute", "text", "entity", "tag", "far"))
    if way == "entity":
        at = text.find("?>") + 2 if "?>" in text else 0
        body = re.sub(r">([^<]+)<", rf">&{rng.choice('ai')};<", text[at:], count=1)
        return text[:at] + rng.choice(_ENTITIES) + body, "entities"
    if way == "far":
        new = rng.choice(("XFD1048576", "ZZZZ99999999", "A0", "1A", "", "A-1", "A1:XFD1048576", "A99999999999999"))
        return re.sub(r'(r|ref)="[^"]*"', f'r="{new}"', text, count=rng.choice((1, 2, 0))), f"reference {new}"
    pattern = {"attribute": r'="([^"]*)"', "text": r">([^<>]+)<", "tag": r"<(/?[\w:]+)"}[way]
    places = list(re.finditer(pattern, text))
    if not places:
        return text[: len(text) // 2], "half of it"
    place = rng.choice(places)
    new = (
        ""
        if way == "tag"
        else rng.choice((*NUMBERS, *TEXTS, "n", "d", "e", "b", "s", "inlineStr", "str", "1048577")).replace('"', "")
    )
    return text[: place.start(1)] + new + text[place.end(1) :], f"{way} {place[1][:30]!r} -> {new[:30]!r}"
