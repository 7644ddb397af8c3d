"""Write what ``tools/studies/spect_study_lung.py`` found into docs/spect-study.md: tables of the lung, and figures.

Run: ``python tools/studies/spect_study_lung_page.py FOLDER``, with runs-patient.jsonl, runs-torso.jsonl and those of
other nuclides in FOLDER. Between ``<!-- lung NAME -->`` and ``<!-- end of lung NAME -->`` everything is written anew; a
block whose runs are not there stays as it is.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core.lung_mean import SD_PER_INTERVAL
from hepatica.imaging.reconstruct.levels.lung import PER_MM
from spect_study_lung import PARTS, STATED_MM, draw

PAGE, IMAGES = Path("docs/spect-study.md"), Path("docs/images")
Run = dict[str, Any]
PATIENT = ("lung", "lung beyond 2 cm", "right lung beyond 2 cm", "liver", "tumour 1", "tumour 2", "tumour 3", "total")
TORSO = ("lung", "lung beyond 2 cm", "liver", "lesion 45 mm", "lesion 32 mm", "total")
ASKED = {"lung": "8 % (CT off: 10 %)", "lung beyond 2 cm": "6 %", "liver": "3 %", "total": "3 %", "tumour 1": "7 %",
         "tumour 2": "7 %", "lesion 45 mm": "7 %", "lesion 32 mm": "7 %"}  # fmt: skip
SHIFTS = {8.0: "CT 8 mm too high", 3.0: "CT 3 mm too high", -3.0: "CT 3 mm too low", -8.0: "CT 8 mm too low"}
OTHERS = {"I-131": "131I, 1 GBq, HEGP", "Re-188": "188Re, 1.5 GBq, HEGP", "Ho-166": "166Ho, 600 MBq, MEGP"}
STEPS = ("4", "7", "10", "15", "20", "end")
FAR_MM = 8.0


def loaded(file: Path) -> list[Run]:
    """Runs of a file with the default blur left, in the order of the seeds; none where it is not there."""
    runs = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return sorted((one for one in runs if one["blur"] is None), key=lambda one: one["seed"])


def header(cells: Sequence[str]) -> list[str]:
    """First two lines of a table."""
    return [f"| {' | '.join(cells)} |", "|" + " --- |" * len(cells)]


def differences(runs: Sequence[Run], keys: Sequence[str]) -> list[str]:
    """Mean and spread over the draws of each region, percent from the truth."""
    cells = []
    for key in keys:
        values = 100 * (np.array([one["end"][key] for one in runs]) - 1)
        spread = f" +- {values.std(ddof=1):.1f}" if len(runs) > 1 else ""
        cells.append(f"{values.mean():+.1f} %{spread}")
    return cells


def interval(one: Run, place_mm: float) -> tuple[float, float]:
    """The stated interval over the truth, where the place of the CT is said to be known within so much."""
    low, high = one["interval"]
    other = (SD_PER_INTERVAL * PER_MM * one["read"]) ** 2 * (place_mm**2 - one.get("stated", STATED_MM) ** 2)
    half = float(np.sqrt(((high - low) / 2) ** 2 + other))
    return (high + low) / 2 - half, (high + low) / 2 + half


def stated(runs: Sequence[Run], place_mm: float = STATED_MM) -> tuple[str, str]:
    """How often the interval holds the truth, and its half-width, percent of its middle; what is stated as the mean."""
    ends = np.array([interval(one, place_mm) for one in runs])
    holds = int(((ends[:, 0] <= 1) & (ends[:, 1] >= 1)).sum())
    half = 100 * (ends[:, 1] - ends[:, 0]) / ends.sum(axis=1)
    read = 100 * (float(np.mean([one["read"] for one in runs])) - 1)
    return f"{holds} of {len(runs)}, +-{half.min():.1f} to {half.max():.1f} %", f"{read:+.1f} %"


def draws(runs: Sequence[Run]) -> str:
    """How many."""
    return f"{len(runs)} draw{'s' if len(runs) > 1 else ''}"


def cases(runs: Sequence[Run], keys: Sequence[str]) -> str:
    """Of a phantom: CT in its place and beside it."""
    lines = header(["", *keys, "95 % interval of the true lung covers", "stated mean"])
    levels = [one for one in runs if one["how"] == "levels" and "stated" not in one]
    found = {"CT in its place": [one for one in levels if not one["shift"] and one["scatter"] == 1]}
    found |= {text: [one for one in levels if one["shift"] == mm] for mm, text in SHIFTS.items()}
    found["1 % more scatter in the scan than in the model"] = [one for one in levels if one["scatter"] != 1]
    for text, those in found.items():
        if those:
            lines.append(f"| {text}, {draws(those)} | {' | '.join([*differences(those, keys), *stated(those)])} |")
        if those and abs(those[0]["shift"]) == FAR_MM:
            blank = " |" * len(keys)
            lines.append(f"| the same, its place stated within 8 mm |{blank} {stated(those, FAR_MM)[0]} | |")
    lines.append(f"| asked for | {' | '.join(ASKED.get(key, '') for key in keys)} | 9 of 10, +-12 % | |")
    return "\n".join([*lines, "", by_iterations(found["CT in its place"], keys)])


def by_iterations(runs: Sequence[Run], keys: Sequence[str]) -> str:
    """Mean over the draws after some iterations."""
    lines = header(["iterations", *keys, "noise of liver voxels"])
    for n in STEPS:
        rows = [one["end"] if n == "end" else one["iterations"][n] for one in runs]
        cells = [f"{100 * (np.mean([row[key] for row in rows]) - 1):+.1f} %" for key in keys]
        noise = 100 * float(np.mean([row["noise of liver voxels"] for row in rows]))
        lines.append(f"| {n} | {' | '.join(cells)} | {noise:.0f} % |")
    return "\n".join(lines)


def parts(found: dict[str, list[Run]]) -> str:
    """What the uncertainty of the lungs' mean is made of, by phantom; means over the draws."""
    lines = header(["standard uncertainty, % of the mean", *PARTS, "together", "half-width of the interval"])
    for name, runs in found.items():
        cells = [f"{100 * np.mean([one['parts'][part] for one in runs]):.1f}" for part in PARTS]
        cells.append(f"{100 * np.mean([one['relative_sd'] for one in runs]):.1f}")
        ends = np.array([one["interval"] for one in runs])
        half = 100 * (ends[:, 1] - ends[:, 0]) / ends.sum(axis=1)
        cells.append(f"{half.mean():.1f} % ({(half <= 12).sum()} of {half.size} at most 12 %)")
        lines.append(f"| {name}, {draws(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def others(folder: Path) -> str:
    """Other nuclides in the torso."""
    lines = header(["torso", "draws", *TORSO, "95 % interval covers", "stated mean"])
    for name, text in OTHERS.items():
        runs = [one for one in loaded(folder / f"runs-torso-{name}.jsonl") if one["how"] == "levels"]
        if runs:
            lines.append(f"| {text} | {len(runs)} | {' | '.join([*differences(runs, TORSO), *stated(runs)])} |")
    return "\n".join(lines)


def replaced(page: str, name: str, made: str) -> str:
    """A page with another block of that name."""
    start, end = f"<!-- lung {name} -->", f"<!-- end of lung {name} -->"
    pattern: Callable[[str], str] = re.escape
    found, number = re.subn(
        f"{pattern(start)}.*?{pattern(end)}", lambda _: f"{start}\n\n{made}\n\n{end}", page, flags=re.DOTALL
    )
    if number != 1:
        raise SystemExit(f"{PAGE}: {number} blocks between {start} and {end}, expected one")
    return found


def main() -> None:
    """Write blocks and figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    page, in_place = PAGE.read_text(), {}
    for name, keys, image in (
        ("patient", PATIENT, "spect-study-iterations-patient.png"),
        ("torso", TORSO, "spect-study-iterations.png"),
    ):
        runs = loaded(folder / f"runs-{name}.jsonl")
        if not runs:
            continue
        page = replaced(page, name, cases(runs, keys))
        plain = [one for one in runs if not one["shift"] and one["scatter"] == 1]
        draw(plain, IMAGES / image)
        in_place[name] = [one for one in plain if one["how"] == "levels"]
        if by_voxels := [one for one in plain if one["how"] == "voxels"]:
            page = replaced(page, f"{name} by voxels", by_iterations(by_voxels, keys))
    if in_place:
        page = replaced(page, "parts", parts(in_place))
    if any((folder / f"runs-torso-{name}.jsonl").exists() for name in OTHERS):
        page = replaced(page, "of other nuclides", others(folder))
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
