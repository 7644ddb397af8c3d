"""Compare the numbers that two versions of hepatica give for the same calls.

Usage: ``compare_numbers.py CALLS.toml OLD_FOLDER NEW_FOLDER [--renames FILE] [--run] [--only PATTERN ...] [-v]``

CALLS.toml holds one ``[[call]]`` per call: ``name``, the arguments ``old`` and ``new`` (lists; ``{out}`` stands for a
folder of the call's own), and ``files``, what to compare of that folder beside the answer (.json, .csv, .nii.gz;
``new_files`` where their names changed). ``--run`` runs every ``new`` with the installed command into NEW_FOLDER.

A field goes by its keys joined by dots, an item of a list by its name or its place, a file as ``file NAME`` without its
ending. One that only moved deeper is found by itself. What else changed is said at the top for all calls, within one
call, in ``["dose".renamed]`` for the calls of one new command, or in a file for ``--renames``, which may hold all of
this but calls:

- ``[renamed]``: ``"old.path" = "new.path"``, any run of keys, ``*`` for any one key, ``^`` in front for the beginning,
  an empty new path for a level left out; ``"old_h" = { to = "new_s", times = 3600 }`` for another unit, with
  ``within = 1e-5`` for one that was rounded to so many digits;
- ``[gone]``: ``"old.path" = "reason"`` for what was dropped deliberately.

``within = 1e-6`` in a call lets that relative difference pass, where two runs never agree to the last digit.
The exit code is 1 where a number, a flag or a null differs, or an old number is missing and not named.
"""

from __future__ import annotations

import argparse
import array
import csv
import fnmatch
import gzip
import json
import math
import re
import shutil
import struct
import subprocess
import sys
import time
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

CLOSE = 1e-12
# Time, speed, version, place and sentences are not compared.
IGNORED = {"created", "version", "python", "path", "out", "seconds", "warnings", "messages", "frame_of_reference"}
# The first of these that tells all items of a list apart names them; one item alone is not named by its nuclide.
NAMING = ("name", "structure", "nuclide", "agent", "id", "region", "role", "patient", "model")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*(e[-+]?\d+)?|nan|inf)")
NIFTI_TYPES = {2: "B", 4: "h", 8: "i", 16: "f", 64: "d", 512: "H"}
SEP = "\n"  # between the keys of a path


def run(call: Mapping[str, Any], side: str, command: list[str], folder: Path) -> None:
    """Run one side of a call; keep answer, standard error and written files in a folder."""
    name, out = call["name"], folder / "out" / call["name"]
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    start, words = time.monotonic(), [word.replace("{out}", str(out)) for word in call[side]]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, cwd=folder)
    (folder / f"{name}.stderr").write_text(done.stderr)
    (folder / f"{name}.json").write_text(done.stdout if done.returncode == 0 else "")
    print(f"{name}: {time.monotonic() - start:.1f} s", done.stderr if done.returncode else "", flush=True)


def answer(folder: Path, name: str, files: list[str], called: list[str]) -> dict[str, Any]:
    """Every value that a call gave, by path: of its document, and of the files, each beneath what it is called."""
    held = [*leaves(json.loads((folder / f"{name}.json").read_text()))]
    for file, key in zip(files, called, strict=True):
        held += leaves(_read((folder / "out" / name / file).resolve()), f"file {Path(key).name.partition('.')[0]}")
    return {path: value for path, value in held if not IGNORED & set(path.split(SEP))}


def _read(path: Path) -> Any:
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".csv":
        rows = csv.DictReader(path.read_text().splitlines())
        return [{key: float(cell) if NUMBER.fullmatch(cell) else cell for key, cell in row.items()} for row in rows]
    data = gzip.decompress(path.read_bytes())
    values = array.array(NIFTI_TYPES[struct.unpack_from("<h", data, 70)[0]])
    values.frombytes(data[int(struct.unpack_from("<f", data, 108)[0]) :])
    return {"sum": math.fsum(values), "maximum": max(values), "checksum": zlib.crc32(values.tobytes())}


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that holds no others, with its path."""
    if isinstance(value, Mapping | list):
        for key, item in value.items() if isinstance(value, Mapping) else zip(_labels(value), value, strict=True):
            yield from leaves(item, f"{at}{SEP}{key}" if at else key)
    else:
        yield at, value


def _labels(items: list[Any]) -> list[str]:
    for key in NAMING:
        names = {item.get(key) if isinstance(item, Mapping) else None: None for item in items}
        if len(names) == len(items) > (key == "nuclide") and all(isinstance(name, str) for name in names):
            return [str(name) for name in names]
    return [str(n) for n in range(len(items))]


def pattern(text: str) -> str:
    """Regular expression of a run of keys."""
    keys = [f"([^{SEP}]*)" if key == "*" else re.escape(key) for key in text.removeprefix("^").split(".")]
    return f"{'^' if text.startswith('^') else f'(?:^|(?<={SEP}))'}{SEP.join(keys)}(?={SEP}|$)"


class Target(NamedTuple):
    """Where an old field is in the new answer, what its number is multiplied by, and how close both must be."""

    path: str
    times: float = 1.0
    within: float = CLOSE


def renamed(path: str, rules: Mapping[str, Any]) -> Target:
    """What the rules make of a path; each key is renamed once."""
    ordered, used = sorted(rules, key=lambda old: -old.count(".")), [{"within": CLOSE}]

    def swap(match: re.Match[str]) -> str:
        old = next(o for n, o in enumerate(ordered) if match[f"rule{n}"] is not None)
        rule = rules[old] if isinstance(rules[old], Mapping) else {"to": rules[old]}
        used.append(rule)
        stars = iter((re.match(pattern(old), match[0]) or match).groups())
        return SEP.join(next(stars) if key == "*" else key for key in rule["to"].split("."))

    every = "|".join(f"(?P<rule{n}>{pattern(old)})" for n, old in enumerate(ordered))
    done = re.sub(every, swap, path) if rules else path
    new = SEP.join(filter(None, done.split(SEP)))
    return Target(new, math.prod(rule.get("times", 1.0) for rule in used), max(rule.get("within", 0) for rule in used))


def paired(old: Mapping[str, Any], new: Mapping[str, Any], rules: Mapping[str, Any]) -> dict[str, Target]:
    """Where each old path went: renamed, or the same, or the only one left that ends so."""
    found: dict[str, Target] = {}
    for deeper in (False, True):
        left = new.keys() - {target.path for target in found.values()}
        for path in sorted(old.keys() - found.keys(), key=lambda path: (-path.count(SEP), path)):
            for wanted in (renamed(path, rules), Target(path)):
                same = [wanted.path] if wanted.path in new else []
                fits = [p for p in left if p.endswith(SEP + wanted.path)] if deeper else same
                if len(fits) == 1 and path not in found:
                    found[path] = wanted._replace(path=fits[0])
                    left -= set(fits)
    return found


def verdict(old: Any, new: Any, within: float) -> str:
    """One word on a pair of values."""
    if old == new or repr(old) == repr(new):
        return "equal"
    if {type(old), type(new)} <= {str, NoneType} and (not old) == (not new):
        return "text"
    numbers = isinstance(old, float | int) and isinstance(new, float | int)
    return "close" if numbers and abs(old - new) <= within * max(abs(old), abs(new)) else "differs"


def rules(call: Mapping[str, Any], tops: Sequence[Mapping[str, Any]], section: str) -> dict[str, Any]:
    """What was renamed, or is gone, in one call: of all calls, of its command, its own."""
    levels = [*tops, *(top.get(call["new"][0], {}) for top in tops), call]
    return {old: new for level in levels for old, new in level.get(section, {}).items()}


def compare(
    call: Mapping[str, Any], tops: Sequence[Mapping[str, Any]], folders: tuple[Path, Path], verbose: bool
) -> bool:
    """Compare one call and say how it went; True if all is well."""
    name, files = call["name"], call.get("files", [])
    try:
        old = answer(folders[0], name, files, files)
        new = answer(folders[1], name, call.get("new_files", files), files)
    except (OSError, json.JSONDecodeError) as error:
        print(f"FAILED  {name}: {error}")
        return False
    pairs = paired(old, new, rules(call, tops, "renamed"))
    gone = [pattern(text) for text in rules(call, tops, "gone")]
    found: dict[str, list[str]] = {w: [] for w in ("equal", "close", "gone", "differs", "missing", "no longer", "text")}
    for path, value in old.items():
        text = path.replace(SEP, ".")
        if path not in pairs:
            lost = "missing" if isinstance(value, float | int) else "no longer"
            found["gone" if any(re.search(p, path) for p in gone) else lost].append(f"{text}: {value!r}")
            continue
        target, times, within = pairs[path]
        mine = value * times if times != 1 and isinstance(value, float | int) else value
        line = f"{text}: {mine!r} -> {new[target]!r}" + (f"  ({target.replace(SEP, '.')})" if target != path else "")
        found[verdict(mine, new[target], max(within, call.get("within", 0)))].append(line)
    found["new"] = [path.replace(SEP, ".") for path in new.keys() - {target.path for target in pairs.values()}]
    bad = found["differs"] or found["missing"]
    counts = ", ".join(f"{len(lines)} {word}" for word, lines in found.items() if lines)
    print(f"{'DIFFERS' if bad else 'ok     '} {name}: {counts}")
    for word, lines in found.items():
        for line in lines if word not in ({"equal"} if verbose else {"equal", "close", "gone", "new"}) else []:
            if verbose or word != "text" or len(line) < 150:
                print(f"    {word}: {line}")
    return not bad


def main() -> int:
    """Run what is asked for and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("calls", "old", "new"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--renames", type=Path, metavar="FILE", help="TOML with what was renamed and what is gone")
    parser.add_argument("--run", action="store_true", help="run every `new` with the installed command first")
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="these calls alone: 'plan_*'")
    parser.add_argument("-v", "--verbose", action="store_true", help="list close, gone, new fields and long texts too")
    said = parser.parse_args()
    tops = [tomllib.loads(file.read_text()) for file in (said.renames, said.calls) if file]
    chosen = [call for call in tops[-1]["call"] if any(fnmatch.fnmatch(call["name"], p) for p in said.only)]
    said.new.mkdir(parents=True, exist_ok=True)
    for call in chosen if said.run else []:
        run(call, "new", ["hepatica"], said.new.resolve())
    good = [compare(call, tops, (said.old, said.new), said.verbose) for call in chosen]
    print(f"{sum(good)} of {len(good)} calls agree")
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
