"""Write the tables and figures of docs/pet-study.md from what `pet_study.py` left in a folder.

Run: ``python tools/studies/pet_study_page.py FOLDER``; the text around the marks in the page stays, and so do tables of
parts that the folder does not hold.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.phantoms.objects import nema_grid
from hepatica.core import Estimate
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.blurred.sphere import sphere_volume_ml
from hepatica.imaging.quantify.recovery import SphereRecovery, fit_recovery

PAGE = Path(__file__).parents[2] / "docs" / "pet-study.md"
IMAGES = PAGE.parent / "images"
START, END = "<!-- study: written by tools/studies/pet_study_page.py -->", "<!-- study: end -->"
SPHERES = (37, 28, 22, 17, 13, 10)
COLOURS = {"truth": "#222222", "PET, WLS, filtered": "#1f6f8b", "PET, OSEM, filtered": "#e07a1f"}
COLOURS |= {"SPECT, Monte Carlo": "#7a3b8f", "SPECT, plain": "#999999"}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def over(value: float) -> str:
    """Difference from 1 in per cent."""
    return f"{100 * (value - 1):+.1f} %"


def with_sd(found: Mapping[str, Any], key: str) -> str:
    """Mean and spread of one realisation."""
    return f"{found['mean'][key]:.2f} ± {found['sd'][key]:.2f}"


def row_of(name: str, found: Mapping[str, Any]) -> list[str]:
    """A line of the table of realisations."""
    mean = found["mean"]
    return [
        name,
        str(found["realisations"]),
        over(mean["total"]),
        over(mean["background"]),
        f"{mean['background_cov']:.1f}",
        f"{100 * mean['insert']:.0f} ± {100 * found['sd']['insert']:.0f}",
        *(with_sd(found, f"sphere {d}") for d in SPHERES),
    ]


HEAD = ("method", "lists", "total", "background", "noise of a voxel", "cold insert, %", *(f"{d} mm" for d in SPHERES))


def clinical(results: Mapping[str, Any]) -> str:
    """Realisations of clinical counts."""
    rows = [row_of(name, found) for name, found in results["clinical"].items()]
    curves = [[name, *recovery(one)] for name, one in results["clinical"].items() if one["realisations"] > MOST_OF]
    head = ("recovery of contrast, 1 / (1 + (a / v)^b)", "a, mL", "b", "at 26.5 mL", "at 0.52 mL")
    return CLINICAL + "\n\n" + table(HEAD, rows) + "\n\n" + table(head, curves)


MOST_OF = 15
"""Realisations from which a curve is drawn."""


def recovery(found: Mapping[str, Any]) -> list[str]:
    """Recovery curve through the mean contrasts, each with its standard error."""
    root = np.sqrt(found["realisations"])
    spheres = []
    for d in SPHERES:
        contrast = Estimate(found["mean"][f"contrast {d}"], found["sd"][f"contrast {d}"] / root)
        spheres.append(SphereRecovery(sphere_volume_ml(d), contrast))
    curve = fit_recovery(spheres, Conditions("Y-90"), source="tools/studies/pet_study.py")
    ends = [curve.at(sphere_volume_ml(d)) for d in (37.0, 10.0)]
    return [
        f"{curve.half_volume_ml:.2g}",
        f"{curve.exponent:.2f}",
        *(f"{end.value:.2f} ± {end.sd:.2f}" for end in ends),
    ]


def high(results: Mapping[str, Any]) -> str:
    """The whole reconstruction of all that was followed."""
    rows = []
    for key, found in results["high"].items():
        scanner, timed = key.split("|")
        for name in (method for method in METHODS if method in found):
            one = {"mean": found[name], "sd": dict.fromkeys(found[name], 0.0), "realisations": 1}
            _, _, *row = row_of(name, one)
            spheres = (f"{found[name][f'sphere {d}']:.3f}" for d in SPHERES)
            counts = f"{found['trues'] / 1e6:.2f} / {found['scatter'] / 1e6:.2f} / {found['randoms'] / 1e6:.2f} M"
            insert = f"{100 * found[name]['insert']:.1f}"
            rows.append([scanner, timed, counts, name, *row[:3], insert, *spheres])
    _, _, *names = HEAD
    head = ("scanner", "times", "trues / scattered, estimated / randoms", "method", *names)
    return f"{HIGH}\n\nOne list, voxels of 4 mm.\n\n" + table(head, rows)


def week(results: Mapping[str, Any]) -> str:
    """Scanners and activities."""
    rows = []
    for key, found in results["week"].items():
        scanner, timed, gbq = key.split("|")
        for method in (m for m in METHODS if m in found):
            mean = found[method]["mean"]
            counts = f"{found['trues'] / 1000:.0f} / {found['scattered'] / 1000:.0f} / {found['randoms'] / 1000:.0f} k"
            few = (f"{mean[f'sphere {d}']:.2f}" for d in (37, 28, 22, 17, 13, 10))
            whole = (spread(found[method], "total"), spread(found[method], "background"))
            noise = f"{mean['background_cov']:.1f}"
            rest = (noise, spread(found[method], "insert"), *few)
            rows.append([scanner, timed, gbq, counts, method, str(found[method]["realisations"]), *whole, *rest])
    head = ("scanner", "times", "GBq", "trues / scattered / randoms", "method", "lists", "total", "background")
    head = (*head, "noise of a voxel", "cold insert, %", *(f"{d} mm" for d in SPHERES))
    week_figure(results["week"])
    text = "3 GBq, what is left of it after 2.7 days (1.5) and 6.9 (0.5); one bed of ten minutes, voxels of 4 mm.\n\n"
    return WEEK + "\n\n" + text + table(head, rows) + "\n\n![Bias and noise as counts fall](images/pet-week.png)"


def spread(found: Mapping[str, Any], key: str) -> str:
    """Mean in per cent (of total and background the difference from the truth), and the spread of lists."""
    mean, sd = 100 * found["mean"][key], 100 * found["sd"][key]
    text = f"{mean:.0f}" if key == "insert" else f"{mean - 100:+.1f} %"
    return text if found["realisations"] == 1 else f"{text} ± {sd:.0f}"


METHODS = ("OSEM", "WLS", "AML", "BSREM")
HIGH, CLINICAL = "### Many counts", "### Clinical counts"
WEEK, PATIENT = "### As the activity falls", "### The virtual patient"
SHOWN = {
    "background": "background, % off",
    "insert": "cold insert, % of background",
    "background_cov": "noise of a voxel",
}
LINES = {"Siemens Biograph mCT": "#1f6f8b", "Siemens Biograph Vision 600": "#e07a1f"}
LINES |= {"GE Discovery 690": "#7a3b8f", "GE Discovery ST": "#555555"}


def week_figure(found: Mapping[str, Any]) -> None:
    """Bias of background and cold insert, and noise, by scanner and times against the activity; a row for a method."""
    plt = pyplot()
    methods = [m for m in METHODS if any(m in row for row in found.values())]
    size = (4.2 * len(SHOWN), 3.2 * len(methods) + 0.6)
    figure, axes = plt.subplots(len(methods), len(SHOWN), figsize=size, constrained_layout=True, squeeze=False)
    for row, method in zip(axes, methods, strict=True):
        for axis, number in zip(row, SHOWN, strict=True):
            panel(axis, found, method, number)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8, handlelength=3.5)
    figure.savefig(IMAGES / "pet-week.png", dpi=110)
    plt.close(figure)


def panel(axis: Any, found: Mapping[str, Any], method: str, number: str) -> None:
    """One number of a method by scanner and times against the activity."""
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for key, row in found.items():
        scanner, timed, gbq = key.split("|")
        if method in row:
            value = row[method]["mean"][number]
            shown = value if number == "background_cov" else 100 * (value - (number == "background"))
            lines.setdefault((scanner, timed), []).append((float(gbq), shown))
    for (scanner, timed), points in lines.items():
        filled = LINES[scanner] if timed == "TOF" else "white"
        style = {"marker": "o", "color": LINES[scanner], "markerfacecolor": filled, "markersize": 5}
        name = f"{scanner.split(' ', 1)[1]}, {timed}"
        axis.plot(*zip(*points, strict=True), "-" if timed == "TOF" else "--", label=name, **style)
    axis.set(xlabel="activity, GBq", ylabel=SHOWN[number], title=method, xscale="log", xlim=(3.5, 0.42))
    axis.set_xticks([3, 1.5, 0.5], ["3", "1.5", "0.5"])
    axis.minorticks_off()
    axis.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)


def patient(results: Mapping[str, Any]) -> str:
    """Doses of the virtual patient, and their figure."""
    found = results["patient"]
    methods = [m for m in next(iter(found.values())) if m not in ("true Gy", "truth")]
    rows = [[name, f"{row['true Gy']:.1f}", *(over(row[m]["mean"]) for m in methods)] for name, row in found.items()]
    wide = [[name, *(f"{row[m]['spread']:.2f}" for m in ("truth", *methods))] for name, row in found.items()]
    apart = [[name, *(f"{100 * distance(row, m):.0f}" for m in methods)] for name, row in found.items()]
    histograms(found)
    parts = (
        PATIENT,
        "Mean dose against the true one:",
        table(("region", "true mean dose, Gy", *methods), rows),
        "How far histograms lie from the true one, mean percentage points of volume up to 1.6 of the true mean dose:",
        table(("region", *methods), apart),
        "How far voxels spread (standard deviation over mean):",
        table(("region", "truth", *methods), wide),
        "![Cumulative dose-volume histograms beside the truth](images/pet-patient-dvh.png)",
    )
    return "\n\n".join(parts)


def distance(row: Mapping[str, Any], method: str) -> float:
    """Mean difference of two cumulative histograms, share of the volume."""
    shown, truth = (np.asarray(row[m]["dvh"]["volume"]) for m in (method, "truth"))
    return float(np.abs(shown - truth).mean())


def histograms(found: Mapping[str, Any]) -> None:
    """Cumulative dose-volume histograms of every region beside the truth; those of PET behind the filter."""
    plt = pyplot()
    figure, axes = plt.subplots(1, len(found), figsize=(3.0 * len(found), 3.4), sharey=True, constrained_layout=True)
    at = np.linspace(0, 160, 65)
    for axis, (name, row) in zip(np.atleast_1d(axes), found.items(), strict=True):
        for method, colour in COLOURS.items():
            if method not in row:
                continue
            style = "--" if method == "truth" else "-"
            volume = 100 * np.asarray(row[method]["dvh"]["volume"])
            axis.plot(at, volume, style, color=colour, label=method, linewidth=1.6)
        axis.set(
            title=f"{name}, {row['true Gy']:.0f} Gy", xlabel="dose over true mean, %", xlim=(0, 160), ylim=(0, 102)
        )
        axis.title.set_fontsize(9)
    np.atleast_1d(axes)[0].set_ylabel("volume, %")
    handles, labels = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    figure.savefig(IMAGES / "pet-patient-dvh.png", dpi=110)
    plt.close(figure)


def slices(folder: Path) -> str:
    """Slice through the spheres by method, with and without time of flight."""
    names = [(m, t) for t in (True, False) for m in ("OSEM", "WLS") if (folder / f"clinical-{m}-{t}.npy").exists()]
    if not names:
        return ""
    from scipy.ndimage import gaussian_filter

    middle = round(float(nema_grid((4.0, 4.0, 4.0)).to_index((0.0, 0.0, 0.0))[2]))
    plt = pyplot()
    figure, axes = plt.subplots(1, len(names), figsize=(3.4 * len(names), 3.0), constrained_layout=True)
    for axis, (method, timed) in zip(np.atleast_1d(axes), names, strict=True):
        image = gaussian_filter(np.load(folder / f"clinical-{method}-{timed}.npy").astype(float), 5 / 2.3548 / 4)
        at = slice(middle - 1, middle + 3)
        shown = image[:, :, at].mean(axis=2)
        top = float(np.percentile(shown, 99.7))
        axis.imshow(shown.T, cmap="gray_r", vmin=0, vmax=top, interpolation="nearest")
        axis.set_title(f"{method}, {'TOF' if timed else 'non-TOF'}", fontsize=10)
        axis.set_axis_off()
    figure.savefig(IMAGES / "pet-nema-slices.png", dpi=110)
    plt.close(figure)
    return "\n\n![Slice through the spheres, clinical counts, 5-mm filter](images/pet-nema-slices.png)"


def pyplot() -> Any:
    """Matplotlib without a screen."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def sections(text: str) -> dict[str, str]:
    """Parts of the page by their heading."""
    parts = [part.strip() for part in text.split("\n### ") if part.strip()]
    whole = [part if part.startswith("### ") else f"### {part}" for part in parts]
    return {part.split("\n", 1)[0]: part for part in whole}


def main() -> None:
    """Put what is there between the marks of the page; parts that are not there stay as they are."""
    folder = Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    within, after = rest.split(END)
    kept = sections("\n" + within.strip())
    parts = {
        HIGH: ("high", high),
        CLINICAL: ("clinical", clinical),
        WEEK: ("week", week),
        PATIENT: ("patient", patient),
    }
    for heading, (name, write) in parts.items():
        if results.get(name):
            kept[heading] = write(results) + (slices(folder) if name == "clinical" else "")
    made = "\n\n".join(kept[heading] for heading in parts if heading in kept)
    PAGE.write_text(f"{before}{START}\n\n{made}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
