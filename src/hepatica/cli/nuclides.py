"""``hepatica nuclides``: the comparison table, or one nuclide in full."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from hepatica.nuclides import Line, Nuclide

WIDE = 100
"""From this many columns on the comparison also shows the radius of 90 % of the energy and uncertainties."""

LINES_SHOWN = 12


def nuclides(
    name: Annotated[str | None, typer.Argument(help="Nuclide to show in full, such as Ho-166 or 90Y.")] = None,
    convention: Annotated[
        str, typer.Option(help="Dose constant: ensdf, ensdf-all, or one of a nuclide's own (90Y: mird, label).")
    ] = "ensdf",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare the nuclides of radioembolization, or show one in full, with sources."""
    from hepatica.nuclides import nuclide
    from hepatica.nuclides.show import compare

    chosen = nuclide(name) if name is not None else None
    if chosen is not None:
        chosen.dose_constant_j_per_gbq(convention)  # raises for one it does not have
    if as_json:
        rows = [chosen.as_dict(convention)] if chosen else list(compare(convention=convention).rows)
        typer.echo(json.dumps(rows, indent=2, allow_nan=False))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if chosen is not None:
        _print_one(console, chosen, convention)
    else:
        _print_comparison(console, compare(convention=convention).rows)


def _print_comparison(console: Console, rows: tuple[dict[str, Any], ...]) -> None:
    from hepatica.nuclides import nuclide

    wide = console.width >= WIDE
    table = _table()
    heads = ["\n", "\nhalf-life", "electrons\nMeV", "photons\nMeV", "β mean/max\nMeV", "mean/max\nrange, mm"]
    heads += ["X90\nmm", "main γ\nkeV (%)", "\nimaging", "\nJ/GBq", "GBq per\nGBq 90Y"]
    if not wide:
        heads = ["\n", "\nT½", "e⁻\nMeV", "γ, X\nMeV", "β max\nMeV", "mean/max\nrange, mm"]
        heads += ["\nimaging", "\nJ/GBq", "GBq per\nGBq 90Y"]
    for head in heads:
        table.add_column(head, justify="left" if head in ("\n", "\nimaging") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*_comparison_cells(nuclide(row["name"]), row, wide=wide))
    console.print(table)
    conventions = sorted({f"{r['name']} {r['dose_convention']}" for r in rows if r["dose_convention"] != "ensdf"})
    console.print(
        "Energies per decay and half-lives: ENSDF (Sept 2023); electrons are beta, conversion and Auger together. "
        "J/GBq: all decays of 1 GBq, electrons only (= Gy in 1 kg)"
        + (f"; * convention: {', '.join(conventions)}." if conventions else ".")
        + " GBq per GBq 90Y: for the same J. Ranges in water from the literature (c: CSDA at the endpoint); "
        "`hepatica nuclides NAME` gives their sources and disagreements.",
        style="dim",
    )


def _comparison_cells(n: Nuclide, row: dict[str, Any], *, wide: bool) -> list[str]:
    sd, mean, largest = n.electron_energy.sd, row["beta_mean_mev"], row["beta_endpoint_mev"]
    cells = [n.label, _half_life(n), f"{row['electron_energy_mev']:.4f}", f"{row['photon_energy_mev']:.4f}"]
    if wide and sd is not None:
        cells[2] += f" ±{sd:.4f}"
    if largest:
        furthest = _short(row["range_max_mm"]) if row["range_max_mm"] else f"{_short(row['range_csda_mm'])}c"
        cells += [f"{mean:.3f}/{largest:.2f}" if wide else f"{largest:.2f}"]
        cells += [f"{_short(row['range_mean_mm'])}/{furthest}"]
    else:
        cells += ["–", "–"]
    if wide:
        strong = row["main_gamma_yield"] > 1e-4
        cells += [_short(row["range_x90_mm"])]
        cells += [f"{row['main_gamma_kev']:.0f} ({_short(100 * row['main_gamma_yield'])})" if strong else "–"]
    mark = "" if row["dose_convention"] == "ensdf" else "*"
    ratio = row["gbq_per_gbq_of_y90"]
    return [*cells, _imaging(n), f"{row['dose_constant_j_per_gbq']:.2f}{mark}", f"{ratio:.2f}" if ratio else "–"]


def _print_one(console: Console, n: Nuclide, convention: str) -> None:
    from hepatica.nuclides.generator import generator
    from hepatica.nuclides.show import strongest

    console.print(f"{n.label}  {n.element}-{n.name.split('-')[1]}, Z = {n.z}, {n.spin_parity}", style="bold")
    constant = n.conventions[convention]
    facts = _table(show_header=False)
    facts.add_column(no_wrap=True, style="bold")
    facts.add_column(overflow="fold")
    facts.add_row("half-life", f"{n.half_life / 3600} h" + (f" ({_half_life(n)})" if n.half_life_h > 48 else ""))
    facts.add_row("electrons", f"{n.electron_energy} MeV per decay (beta {n.beta_energy_mev:.4f})")
    facts.add_row("photons", f"{n.photon_energy_mev:.4f} MeV per decay")
    if n.positron_yield:
        facts.add_row("positrons", f"{1e6 * n.positron} per million decays (Selwyn 2007)")
    if n.capture_yield:
        facts.add_row("capture", f"{100 * n.capture_yield:.3g} % of decays")
    facts.add_row("dose", f"{constant.j_per_gbq:.3f} J/GBq, convention {convention}")
    facts.add_row("made by", f"{n.production}; source: {n.production_source}")
    if n.name in {"Y-90", "Re-188", "Ho-166", "Tc-99m"}:
        g = generator(n.name)
        grown = ", ".join(f"{100 * g.fraction_of_equilibrium(t * 3600):.0f} % at {t} h" for t in (12, 24, 40, 72))
        facts.add_row("generator", f"{g.parent}; of equilibrium {grown} after elution")
    console.print(facts)
    _section(console, "dose constants", ["name", "J/GBq", "meaning", "source · confidence"], _constants(n), right=(1,))
    if n.betas:
        strong = sorted(n.betas, key=lambda b: -b.yield_per_decay * b.mean_kev)[:LINES_SHOWN]
        rows = [
            [f"{b.endpoint_kev:.1f}", f"{b.mean_kev:.1f} ±{b.mean_sd_kev:.1f}", _percent(b.yield_per_decay), b.shape]
            for b in strong
        ]
        _section(
            console,
            f"beta-minus branches ({len(rows)} of {len(n.betas)})",
            ["endpoint keV", "mean keV", "%", "shape"],
            rows,
            right=(0, 1, 2),
        )
    for title, lines in (("photons", n.photons), ("conversion, Auger and pair electrons", n.electrons)):
        shown = strongest(lines, LINES_SHOWN)
        head = ["keV", "%", "± %", "kind", "origin"]
        _section(console, f"{title} ({len(shown)} of {len(lines)})", head, [_line(x) for x in shown], right=(0, 1, 2))
    ranges = [[r.quantity.replace("_", " "), f"{r.value_mm:g}", f"{r.source} · {r.confidence}"] for r in n.ranges]
    if ranges:
        _section(console, "ranges in water", ["quantity", "mm", "source · confidence"], ranges, right=(1,))
    modes = [
        [
            i.mode,
            f"{i.text} ({i.source} · {i.confidence})",
            " ".join(f"{low:g}-{high:g}" for low, high in i.windows_kev),
            i.collimator,
        ]
        for i in n.imaging
    ]
    _section(console, "imaging", ["mode", "how", "window keV", "collimator"], modes)
    console.print(
        "All lines with uncertainties: --json. ENSDF of September 2023, X rays and Auger xraylib.", style="dim"
    )


def _section(
    console: Console, title: str, heads: list[str], rows: list[list[str]], *, right: tuple[int, ...] = ()
) -> None:
    table = _table()
    for number, head in enumerate(heads):
        if number in right:
            table.add_column(head, justify="right", no_wrap=True)
        else:
            table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(f"\n{title}", style="bold")
    console.print(table)


def _table(**options: Any) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False, **options)


def _constants(n: Nuclide) -> list[list[str]]:
    return [[c.name, f"{c.j_per_gbq:.3f}", c.text, f"{c.source} · {c.confidence}"] for c in n.conventions.values()]


def _line(line: Line) -> list[str]:
    sd = "–" if line.yield_sd is None else _percent(line.yield_sd, 2)
    energy = f"{line.energy_kev:.2f}" if line.energy_kev < 100 else f"{line.energy_kev:.1f}"
    return [energy, _percent(line.yield_per_decay), sd, line.kind, line.origin]


def _percent(fraction: float, digits: int = 4) -> str:
    percent = 100 * fraction
    return f"{percent:.{digits}g}"


def _half_life(n: Nuclide) -> str:
    return f"{n.half_life_h:.2f} h" if n.half_life_h < 72 else f"{n.half_life_h / 24:.3f} d"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _imaging(n: Nuclide) -> str:
    names = {"spect-bremsstrahlung": "brems.", "pet": "PET", "mri": "MRI"}
    peaks = [mode.text.split(" keV")[0] for mode in n.imaging if mode.mode == "spect"]
    words = [", ".join(f"{float(peak):.0f}" for peak in peaks) + " keV"] if peaks else []
    # A nuclide may have several windows of one kind; the table names each kind once.
    return ", ".join(words + list(dict.fromkeys(names[mode.mode] for mode in n.imaging if mode.mode in names)))
