"""Write the tables and figures of docs/pet-study.md from what `pet_study.py` left in a folder.

Run: ``python tools/pet_study_page.py FOLDER``; the text around the marks in the page stays.
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

PAGE = Path(__file__).parents[1] / "docs" / "pet-study.md"
IMAGES = PAGE.parent / "images"
START, END = "<!-- study: written by tools/pet_study_page.py -->", "<!-- study: end -->"
SPHERES = (37, 28, 22, 17, 13, 10)
COLOURS = {"truth": "#222222", "PET, WLS": "#1f6f8b", "PET, OSEM": "#e07a1f"}
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
    return "### Clinical counts\n\n" + table(HEAD, rows) + "\n\n" + table(head, curves)


MOST_OF = 15
"""Realisations from which a curve is drawn."""


def recovery(found: Mapping[str, Any]) -> list[str]:
    """Recovery curve through the mean contrasts, each with its standard error."""
    root = np.sqrt(found["realisations"])
    spheres = []
    for d in SPHERES:
        contrast = Estimate(found["mean"][f"contrast {d}"], found["sd"][f"contrast {d}"] / root)
        spheres.append(SphereRecovery(sphere_volume_ml(d), contrast))
    curve = fit_recovery(spheres, Conditions("Y-90"), source="tools/pet_study.py")
    ends = [curve.at(sphere_volume_ml(d)) for d in (37.0, 10.0)]
    return [
        f"{curve.half_volume_ml:.2g}",
        f"{curve.exponent:.2f}",
        *(f"{end.value:.2f} ± {end.sd:.2f}" for end in ends),
    ]


def high(results: Mapping[str, Any]) -> str:
    """The whole reconstruction of all that was followed."""
    found = results["high"]
    rows = []
    for name in ("WLS", "OSEM"):
        if name in found:
            one = {"mean": found[name], "sd": dict.fromkeys(found[name], 0.0), "realisations": 1}
            row = row_of(name, one)
            spheres = (f"{found[name][f'sphere {d}']:.2f}" for d in SPHERES)
            rows.append([*row[:5], f"{100 * found[name]['insert']:.1f}", *spheres])
    text = f"### Many counts\n\n{found['trues']:,} trues and as many randoms, one list.\n\n"
    return text + table(HEAD, rows)


def week(results: Mapping[str, Any]) -> str:
    """Scanners and activities."""
    rows = []
    for key, found in results["week"].items():
        scanner, timed, gbq = key.split("|")
        for method in ("OSEM", "WLS"):
            mean = found[method]["mean"]
            counts = f"{found['trues'] / 1000:.0f} / {found['randoms'] / 1000:.0f} k"
            few = (f"{mean[f'sphere {d}']:.2f}" for d in (37, 22, 10))
            whole = over(mean["total"]), over(mean["background"]), f"{100 * mean['insert']:.0f}"
            lists = str(found[method]["realisations"])
            rows.append([scanner, timed, gbq, counts, method, lists, *whole, *few])
    head = ("scanner", "times", "GBq", "trues / randoms", "method", "lists", "total", "background", "cold insert, %")
    return "### As the activity falls\n\n" + table((*head, "37 mm", "22 mm", "10 mm"), rows)


def patient(results: Mapping[str, Any]) -> str:
    """Doses of the virtual patient, and their figure."""
    found = results["patient"]
    methods = [m for m in next(iter(found.values())) if m not in ("true Gy", "truth")]
    rows = [[name, f"{row['true Gy']:.1f}", *(over(row[m]["mean"]) for m in methods)] for name, row in found.items()]
    histograms(found)
    text = "### The virtual patient\n\n" + table(("region", "true mean dose, Gy", *methods), rows)
    return text + "\n\n![Cumulative dose-volume histograms beside the truth](images/pet-patient-dvh.png)"


def histograms(found: Mapping[str, Any]) -> None:
    """Cumulative dose-volume histograms of every region, by every method, beside the truth."""
    plt = pyplot()
    figure, axes = plt.subplots(1, len(found), figsize=(3.0 * len(found), 3.0), sharey=True, constrained_layout=True)
    at = np.linspace(0, 160, 65)
    for axis, (name, row) in zip(np.atleast_1d(axes), found.items(), strict=True):
        for method, entry in row.items():
            if method == "true Gy":
                continue
            style = "--" if method == "truth" else "-"
            volume = 100 * np.asarray(entry["dvh"]["volume"])
            axis.plot(at, volume, style, color=COLOURS.get(method), label=method, linewidth=1.6)
        axis.set(
            title=f"{name}, {row['true Gy']:.0f} Gy", xlabel="dose over true mean, %", xlim=(0, 160), ylim=(0, 102)
        )
    np.atleast_1d(axes)[0].set_ylabel("volume, %")
    np.atleast_1d(axes)[-1].legend(frameon=False, fontsize=8)
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


def main() -> None:
    """Put what is there between the marks of the page."""
    folder = Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())
    parts = {"high": high, "clinical": clinical, "week": week, "patient": patient}
    made = [write(results) for name, write in parts.items() if name in results]
    made = [text + (slices(folder) if text.startswith("### Clinical") else "") for text in made]
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{START}\n\n" + "\n\n".join(made) + f"\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
