"""Write docs/spect-study.md and its figures from what ``tools/studies/spect_study.py FOLDER`` measured.

Run: ``python tools/studies/spect_study_page.py FOLDER``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

DOCS = Path(__file__).resolve().parents[2] / "docs"
MARKS = ("<!-- study: written by tools/studies/spect_study_page.py -->", "<!-- end of study -->")
NAMES = {"none": "none", "dew": "window", "tew": "window", "upper": "window", "mc": "Monte Carlo"}
COLOURS = {"none": "#B35CB0", "window": "#1F5FBF", "Monte Carlo": "#1B7F5C", "truth": "#1A1F26"}
SPHERES = ("10", "13", "17", "22", "28", "37")
CAMERAS = {"Tc-99m": "LEHR", "Lu-177": "MEGP", "I-131": "HEGP", "Ho-166": "MEGP", "Re-188": "HEGP", "Y-90": "HEGP"}
Found = Mapping[str, Any]


def methods(found: Found) -> list[str]:
    """Corrections that were tried."""
    return [m for m in NAMES if m in found]


def percent(value: float | None) -> str:
    """A ratio to the truth as its deviation."""
    return "" if value is None else f"{100 * (value - 1):+.1f} %"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Markdown table."""
    return [f"| {' | '.join(r)} |" for r in (heads, ["---"] * len(heads), *rows)]


def nema_rows(results: Found) -> list[str]:
    """Eight to one, and spheres in inactive water."""
    warm, cold = [], []
    perfect = next(iter(results["nema"].values()))["warm"]["truth"]["spheres"]["37"]
    for name, scans in results["nema"].items():
        for m in methods(scans["warm"]):
            x = scans["warm"][m]
            corrected = x.get("sphere_37_corrected")
            warm.append(
                [
                    name, NAMES[m], percent(x["total"]), percent(x["background"]), percent(x["spheres"]["37"]),
                    percent(corrected), f"{100 * x['recovery']['37']:.0f}", f"{100 * x['recovery']['22']:.0f}",
                    f"{100 * x['insert_over_background']:.0f}", f"{x['resolution_mm']:.1f}",
                    f"{100 * x['dvh_distance']:.0f}",
                ]
            )  # fmt: skip
        for m in methods(scans["cold"]):
            x = scans["cold"][m]
            cold.append(
                [
                    name, NAMES[m], percent(x["total"]), f"{100 * x['background_over_sphere']:.2f} %",
                    percent(x["spheres"]["37"]), f"{100 * scans['cold']['other_over_primary']:.0f} %",
                ]
            )  # fmt: skip
    return [
        "Spheres to background 8 : 1, cold lung insert. Total activity, background and 37-mm sphere against the truth;",
        "the sphere after recovery correction; recovery of contrast of the 37- and 22-mm spheres; what is seen in the",
        "cold insert over the background; resolution in the image; mean distance of the 37-mm sphere's cumulative",
        "dose-volume histogram from the true one (in % of volume over 0 to 160 % of the mean dose). Spheres are",
        "compared with the truth on the same voxels: a border voxel holds both sides, so that a perfect image would",
        f"show {100 * perfect:.0f} % of the concentration in the 37-mm sphere.",
        "",
        *table(
            ["nuclide", "scatter", "total", "background", "37 mm", "37 mm corrected", "contrast 37, %", "22, %",
             "insert, %", "FWHM, mm", "DVH, %"],
            warm,
        ),
        "",
        "Spheres in inactive water. Background over the spheres' concentration; photons that scattered or went through",
        "lead, over those that did neither, in the projections:",
        "",
        *table(["nuclide", "scatter", "total", "background / sphere", "37 mm", "other / primary"], cold),
    ]  # fmt: skip


def patient_rows(results: Found) -> list[str]:
    """Dose in the virtual patient."""
    rows = []
    first = next(iter(results["patient"].values()))
    lesions = list(first["diameter_mm"])
    for name, found in results["patient"].items():
        for m in methods(found):
            x = found[m]
            doses = [percent(x[key]) for key in (*lesions, "normal liver", "lung right")]
            rows.append([name, NAMES[m], percent(x["total"]), *doses])
    heads = [f"{key} ({first['diameter_mm'][key]:.0f} mm)" for key in lesions]
    return table(["nuclide", "scatter", "total", *heads, "normal liver", "right lung"], rows)


def figure_dvh(results: Found) -> Any:
    """Dose-volume histogram of the 37-mm sphere, one panel a nuclide."""
    figure, axes = panels(len(results["nema"]))
    at = np.linspace(0, 1.6, 65)
    for axis, (name, scans) in zip(axes, results["nema"].items(), strict=True):
        axis.plot(100 * at, 100 * np.array(scans["warm"]["truth"]["dvh"]["volume"]), color=COLOURS["truth"], lw=2.2)
        for m in methods(scans["warm"]):
            curve = 100 * np.array(scans["warm"][m]["dvh"]["volume"])
            axis.plot(100 * at, curve, color=COLOURS[NAMES[m]], lw=1.6)
        axis.set(title=name, xlim=(0, 160), ylim=(0, 103), xlabel="dose / true mean, %", ylabel="volume, %")
    legend(figure, ["truth", *NAMES_SHOWN])
    return figure


def figure_recovery(results: Found) -> Any:
    """Recovery of contrast against diameter."""
    figure, axes = panels(len(results["nema"]))
    for axis, (name, scans) in zip(axes, results["nema"].items(), strict=True):
        for m in methods(scans["warm"]):
            values = [scans["warm"][m]["recovery"][d] for d in SPHERES]
            axis.plot([float(d) for d in SPHERES], values, "o-", ms=4, color=COLOURS[NAMES[m]], lw=1.6)
        axis.axhline(1, color=COLOURS["truth"], lw=0.8)
        axis.set(title=name, xlim=(8, 39), ylim=(0, 1.15), xlabel="sphere, mm", ylabel="recovery of contrast")
    legend(figure, NAMES_SHOWN)
    return figure


def figure_slices(folder: Path, results: Found) -> Any:
    """The slice through the spheres by every method, on one scale a nuclide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.0 * len(results["nema"]), 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, len(results["nema"]), squeeze=False)
    for column, name in enumerate(results["nema"]):
        with np.load(folder / "nema" / name / "slices-warm.npz") as kept:
            images = {NAMES[m]: kept[m] for m in kept.files}
        top = float(np.percentile(images["Monte Carlo"], 99.8))
        for row, shown in enumerate(NAMES_SHOWN):
            axis = axes[row, column]
            axis.set(xticks=[], yticks=[])
            if shown in images:
                axis.imshow(images[shown].T, cmap="inferno", vmin=0, vmax=top)
            else:
                axis.text(0.5, 0.5, "no window\nserves", ha="center", va="center", fontsize=8, transform=axis.transAxes)
                axis.set_frame_on(False)
            if row == 0:
                axis.set_title(name, fontsize=10)
            if column == 0:
                axis.set_ylabel(shown, fontsize=10)
    return figure


NAMES_SHOWN = ("none", "window", "Monte Carlo")


def panels(number: int) -> tuple[Any, list[Any]]:
    """Figure with a panel for each nuclide, three in a row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-number // 3)
    figure = Figure(figsize=(9.6, 2.9 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, 3, squeeze=False).ravel())
    for axis in axes[number:]:
        axis.remove()
    for axis in axes[:number]:
        axis.grid(color="#D5DBE1", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes[:number]


def legend(figure: Any, names: Sequence[str]) -> None:
    """One legend for all panels, below."""
    from matplotlib.lines import Line2D

    labels = {"none": "no scatter correction", "window": "from windows", "Monte Carlo": "Monte Carlo", "truth": "truth"}
    handles = [Line2D([], [], color=COLOURS[n], lw=2) for n in names]
    figure.legend(handles, [labels[n] for n in names], loc="outside lower center", ncols=4, frameon=False)


def main() -> None:
    """Figures and the measured part of the page."""
    folder = Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())
    drawn = {"dvh": figure_dvh(results), "recovery": figure_recovery(results), "slices": figure_slices(folder, results)}
    for name, figure in drawn.items():
        ending = "jpg" if name == "slices" else "png"  # grey levels take a third of the space as JPEG
        figure.savefig(DOCS / "images" / f"spect-study-{name}.{ending}", dpi=110)
    page = DOCS / "spect-study.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    lines = [
        MARKS[0], "", "### NEMA IEC phantom", "", *nema_rows(results), "",
        "![Slices through the spheres](images/spect-study-slices.jpg)", "",
        "![Recovery against diameter](images/spect-study-recovery.png)", "",
        "![Dose-volume histograms of the 37-mm sphere](images/spect-study-dvh.png)", "",
        "### Virtual patient", "",
        "Mean absorbed dose against the truth on the same voxels (all decays where the activity is):", "",
        *patient_rows(results), "", MARKS[1],
    ]  # fmt: skip
    page.write_text(before + "\n".join(lines) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
