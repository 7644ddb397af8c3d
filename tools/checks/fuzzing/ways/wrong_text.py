"""Damage to text that people and programs write: CSV, TOML, JSON, and headers of keys and values."""

from __future__ import annotations

import json
import re
from typing import Any

from fuzzing.case import Promise, Random
from fuzzing.ways.values import DATES, NUMBERS, TEXTS

DEEPEST = 100_000
"""Levels of brackets."""

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")

Found = tuple[bytes, str, Promise]


def encoded(rng: Random, text: str) -> Found:
    """The same text in another encoding, or with other ends of lines."""
    way = rng.choice(("utf-16", "utf-32", "bom", "latin-1", "crlf", "cr", "nul", "no last line end", "bad byte"))
    if way in ("utf-16", "utf-32"):
        return text.encode(way), way, Promise.SAME_IF_ANSWERED
    if way == "bom":
        return b"\xef\xbb\xbf" + text.encode(), way, Promise.SAME_IF_ANSWERED
    if way == "latin-1":
        return text.replace("a", "\u00e4", 3).encode("latin-1", "replace"), way, Promise.SOUND
    if way in ("crlf", "cr"):
        return text.replace("\n", "\r\n" if way == "crlf" else "\r").encode(), way, Promise.SAME_IF_ANSWERED
    if way == "no last line end":
        return text.rstrip("\n").encode(), way, Promise.SAME
    at = rng.randrange(len(text) + 1)
    piece = b"\0" if way == "nul" else rng.choice((b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"))
    return text[:at].encode() + piece + text[at:].encode(), way, Promise.SOUND


def _some(rng: Random) -> str:
    return rng.choice(rng.choice((NUMBERS, NUMBERS, TEXTS, DATES)))


def lines(rng: Random, text: str) -> Found:
    """Lines lost, doubled, moved, very long; numbers and words at the edge."""
    rows = text.splitlines(keepends=True) or [""]
    at = rng.randrange(len(rows))
    way = rng.choice(
        ("lost", "doubled", "moved", "long", "number", "number", "number", "word", "value", "value", "many")
    )
    if way == "lost":
        del rows[at]
    elif way == "doubled":
        rows.insert(at, rows[at])
    elif way == "moved":
        rows.insert(rng.randrange(len(rows)), rows.pop(at))
    elif way == "long":
        rows[at] = (
            rows[at].rstrip("\r\n") + rng.choice((" ", "a", ",", "0", '"', "#")) * rng.choice((5000, 200_000)) + "\n"
        )
    elif way == "many":
        rows[at:at] = [rows[at]] * rng.choice((100, 3000))
    elif way == "value":
        head, mark, _ = (
            re.split(r"(:=|[=:,;])", rows[at], maxsplit=1) if re.search(r"[=:,;]", rows[at]) else (rows[at], "", "")
        )
        rows[at] = f"{head}{mark} {_some(rng)}\n"
    else:
        pattern = _NUMBER if way == "number" else re.compile(r"\w+")
        whole = "".join(rows)
        places = list(pattern.finditer(whole))
        if places:
            place = rng.choice(places)
            new = rng.choice(NUMBERS) if way == "number" else _some(rng)
            return (
                (whole[: place.start()] + new + whole[place.end() :]).encode("utf-8", "replace"),
                f"{place[0][:20]!r} -> {new[:40]!r}",
                Promise.SOUND,
            )
    return "".join(rows).encode("utf-8", "replace"), f"line {at + 1} {way}", Promise.SOUND


def csv_text(rng: Random, text: str) -> Found:
    """Cells, columns and rows of a table, and how it is written."""
    way = rng.random()
    if way < 0.12:
        return lines(rng, text)
    if way < 0.2:
        return encoded(rng, text)
    rows = [row.split(",") for row in text.splitlines()]
    return _written_otherwise(rng, rows) if way < 0.4 else _other_cells(rng, rows)


def _written_otherwise(rng: Random, rows: list[list[str]]) -> Found:
    """The same cells, written as other programs write them."""
    way = rng.choice(("semicolons", "quoted", "empty lines", "spaces", "comment"))
    joint = {"semicolons": ";", "spaces": " , "}.get(way, ",")
    if way == "quoted":
        rows = [row if row[0][:1] == "#" else [f'"{cell}"' for cell in row] for row in rows]
    found = "\n".join(joint.join(row) for row in rows) + "\n"
    if way == "empty lines":
        found += "\n\n,,,\n"[: 2 + rng.randrange(3)]
    elif way == "comment":
        found = "# made by hand\n" + found
    same = way in ("quoted", "spaces")
    promise = Promise.SAME if same else Promise.SAME_IF_ANSWERED if way == "empty lines" else Promise.SOUND
    return found.encode(), f"table: {way}", promise


def _other_cells(rng: Random, rows: list[list[str]]) -> Found:
    """Cells, names, columns or rows changed, lost or doubled."""
    way = rng.choice(("cell", "cell", "cell", "whole column", "head", "short", "wide", "open quote", "column gone",
                      "column twice", "row twice"))  # fmt: skip
    number = rng.randrange(1, len(rows)) if len(rows) > 1 else 0
    column = rng.randrange(len(rows[0]))
    new = _some(rng)
    if way == "cell":
        rows[number] = [*rows[number][:column], new, *rows[number][column + 1 :]]
    elif way == "whole column":
        rows[1:] = [[*row[:column], new, *row[column + 1 :]] for row in rows[1:]]
    elif way == "head":
        rows[0][column] = rng.choice((*TEXTS, rows[0][0], rows[0][column].upper(), f" {rows[0][column]} "))
    elif way == "short":
        rows[number] = rows[number][:column]
    elif way == "wide":
        rows[number] += [new] * rng.choice((1, 3000))
    elif way == "column gone":
        rows = [row[:column] + row[column + 1 :] for row in rows]
    elif way == "column twice":
        rows = [[*row, *row[column : column + 1]] for row in rows]
    elif way == "row twice":
        rows.insert(number, list(rows[number]))
    else:
        rows[number][0] = '"' + rows[number][0]
    return ("\n".join(",".join(row) for row in rows) + "\n").encode(), f"table: {way}", Promise.SOUND


def toml_text(rng: Random, text: str) -> Found:
    """Lines, values and shape of a TOML file."""
    way = rng.choice(
        ("lines", "lines", "lines", "value", "value", "encoded", "deep", "inline", "twice", "comment", "type")
    )
    if way == "lines":
        return lines(rng, text)
    if way == "encoded":
        return encoded(rng, text)
    rows = text.splitlines()
    keyed = [n for n, row in enumerate(rows) if re.match(r"\s*[\w-]+\s*=", row)]
    if way == "comment" or not keyed:
        at = rng.randrange(len(rows) + 1)
        rows[at:at] = rng.choice((["# a comment"], ["", ""], ["   # [plan]"]))
        return "\n".join(rows).encode(), "toml: comment", Promise.SAME
    at = rng.choice(keyed)
    key = rows[at].split("=")[0].strip()
    if way == "deep":
        n = rng.choice((100, 900, DEEPEST))
        new = rng.choice(("[" * n + "]" * n, "{a=" * n + "1" + "}" * n, "[" * n))
        rows[at] = f"{key} = {new}"
        if rng.random() < 0.3:
            rows.append(f"[{'a.' * n}b]")
    elif way in ("value", "type"):
        new = rng.choice((json.dumps(_some(rng)), rng.choice(NUMBERS) or "0", "true", "[]", "{}", "[1, 2]", '["a"]',
        "nan", "inf",
                          "-inf", "1979-05-27T07:32:00Z", "1979-05-27", "07:32:00", "9" * 5000, "1e400", '""', "[[]]",
                          '"5 %"', '"1 Gy**9**9**9"', '"2 10**10**10*Gy"', '"-3 Gy"', '"1e400 kg"', '"nan Gy"',
                          '"5 parsec"', "0", "-1", '{a = 1}', "0xFFFFFFFFFFFFFFFFFF"))  # fmt: skip
        rows[at] = f"{key} = {new}"
    elif way == "inline":
        rows[at] = f"{key} = {{ {rows[at].split('#')[0]} }}"
    else:
        rows.insert(at, rows[at])
    return "\n".join(rows).encode("utf-8", "replace"), f"toml: {key} {way} {rows[at][:60]!r}", Promise.SOUND


def _nodes(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [where]
    children = value.items() if isinstance(value, dict) else enumerate(value[:6]) if isinstance(value, list) else ()
    for key, child in children:
        found += _nodes(child, (*where, key))
    return found


def _odd(rng: Random) -> Any:
    return rng.choice(
        (None, True, False, 0, -1, 1.5, float("nan"), float("inf"), 1e308, 10**400, -(2**63), [], {}, [[]], {"a": None},
         _some(rng), _some(rng), [1, 2, 3], [None], {"": {}}, ["a", 1], "1")
    )  # fmt: skip


def json_text(rng: Random, text: str) -> Found:
    """Nodes and shape of a JSON file."""
    way = rng.choice(("node", "node", "node", "node", "gone", "gone", "key", "added", "lines", "encoded", "deep",
    "twice", "layout",
                      "cut"))  # fmt: skip
    if way == "lines":
        return lines(rng, text)
    if way == "encoded":
        return encoded(rng, text)
    if way == "cut":
        return text[: rng.randrange(len(text.rstrip()))].encode(), "json: cut", Promise.CUT
    if way == "deep":
        n = rng.choice((500, 2000, DEEPEST))
        return (
            rng.choice(
                (
                    "[" * n + "]" * n,
                    '{"a":' * n + "1" + "}" * n,
                    "[" * n,
                    text.rstrip()[:-1] + ',"z":' + "[" * n + "]" * n + "}",
                )
            ).encode(),
            f"json: {n} deep",
            Promise.SOUND,
        )
    content = json.loads(text)
    if way == "layout":
        shuffled = dict(rng.sample(list(content.items()), len(content))) if isinstance(content, dict) else content
        return (
            json.dumps(shuffled, indent=rng.choice((None, 0, 7)), ensure_ascii=rng.random() < 0.5).encode(),
            "json: layout",
            Promise.SAME,
        )
    places = [place for place in _nodes(content) if place]
    if not places or way == "twice":
        found = json.dumps(content)
        return (found[:-1] + "," + found[1:]).encode(), "json: keys twice", Promise.SAME_IF_ANSWERED
    *inside, last = rng.choice(places)
    holder = content
    for step in inside:
        holder = holder[step]
    if way == "gone":
        del holder[last]
    elif way == "key" and isinstance(holder, dict):
        holder[_some(rng)] = holder.pop(last)
    elif way == "added" and isinstance(holder, dict):
        holder[rng.choice(("x", "unit", "nuclide", "", "kind"))] = _odd(rng)
    else:
        holder[last] = _odd(rng)
    said = f"json: {'.'.join(map(str, (*inside, last)))[:60]} {way}"
    return json.dumps(content).encode(), said, Promise.SOUND


_HOSTILE_LINES = (
    "ElementDataFile = /dev/zero", "ElementDataFile = ../outside.raw", "ElementDataFile = LIST",
    "ElementDataFile = LOCAL",
    "ElementDataFile = slice%03d.raw 0 999999999 1", "data file: /dev/zero", "datafile: LIST", "data file: ../x.raw",
    "!name of data file := /dev/zero", "!name of data file := ../x", "NDims = 10", "NDims = -1",
    "DimSize = 100000 100000 100000",
    "sizes: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "CompressedData = True", "encoding: bzip2", "encoding: ascii",
    "encoding: hex",
    "HeaderSize = -1", "HeaderSize = 99999999999", "byte skip: -1", "line skip: 999999999", "byte skip: 2147483648",
    "ElementNumberOfChannels = 1000000", "BinaryDataByteOrderMSB = True", "TransformMatrix = 0 0 0 0 0 0 0 0 0",
    "ElementType = MET_DOUBLE", "type: block", "block size: 1000000000", "kinds: vector domain domain",
    "centers: node node node",
    "space: nonsense", "space dimension: 7", "measurement frame: (nan,0,0) (0,1,0) (0,0,1)",
    "space directions: none none none",
    "space origin: (1e308,1e308,1e308)", "!matrix size [1] := 0", "!number of bytes per pixel := 1000",
    "data offset in bytes := -4",
    "!number format := bit", "imagedata byte order := MIDDLEENDIAN", "number of time frames := 5",
)  # fmt: skip


def header(rng: Random, content: bytes, ends: tuple[bytes, ...]) -> Found:
    """A header of keys and values, in front of its data or alone; the data stay."""
    _, end, mark = min(((at, at + len(mark), mark) for mark in ends if (at := content.find(mark)) >= 0),
                       default=(-1, -1, b""))  # fmt: skip
    if mark and not mark.endswith(b"\n"):
        # The key of the last line: its value is of the header too. After a blank line the data begin at once.
        end = content.find(b"\n", end) + 1
    head, data = (content[:end], content[end:]) if 0 < end < len(content) else (content, b"")
    text = head.decode("utf-8", "replace")
    way = rng.random()
    if way < 0.2:
        rows = text.splitlines(keepends=True)
        at = rng.randrange(len(rows) + (not data))
        line = rng.choice(_HOSTILE_LINES)
        rows.insert(at, line + "\n")
        if rng.random() < 0.5:
            key = re.split("[:=]", line, maxsplit=1)[0].strip()
            rows = [row for n, row in enumerate(rows) if n == at or re.split("[:=]", row, maxsplit=1)[0].strip() != key]
        return "".join(rows).encode() + data, f"header: {line}", Promise.SOUND
    found, how, promise = encoded(rng, text) if way < 0.28 else lines(rng, text)
    return found + data, f"header: {how}", Promise.SOUND if data else promise
