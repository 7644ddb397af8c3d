"""Tables of nuclides: side by side, and everything about one."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.tables.table import Cell, Table
from hepatica.errors import UnknownNameError
from hepatica.nuclides.comparison import NuclideRow, strongest
from hepatica.nuclides.generator import generator
from hepatica.nuclides.nuclide import Line, Nuclide

MAX_LINES_SHOWN = 12
"""Lines and branches of a nuclide that its tables show, the strongest ones; the document holds all."""

_MODES = {"spect-bremsstrahlung": "brems.", "pet": "PET", "spect": "SPECT", "mri": "MRI"}

ELUTION_HOURS = (12, 24, 40, 72)


def comparison_table(rows: Sequence[NuclideRow]) -> Table:
    """One row for each nuclide."""
    columns = (
        "nuclide", "T½, h", "electrons, MeV", "photons, MeV", "β max, MeV", "mean range, mm",
        "max range, mm", "main γ, keV", "%", "imaging", "J/GBq", "by", "GBq per GBq 90Y",
    )  # fmt: skip
    return Table.of(columns, [_cells(row) for row in rows], "Side by side", "nuclides", formats=(".4g",) * len(columns))


def comparison_notes(rows: Sequence[NuclideRow]) -> tuple[str, ...]:
    """What a reader must know of the columns, and of the cells that hold something else than their column says."""
    csda = [row.name for row in rows if row.range_max_mm is None and row.range_csda_mm is not None]
    published = [f"{row.name} {row.dose_convention}" for row in rows if row.dose_convention != "ensdf"]
    kind = "all decays of 1 GBq, electrons only" + (f"; published: {', '.join(published)}" if published else "")
    notes = (
        "Electrons are beta, conversion and Auger together.",
        f"J/GBq: {kind} (= Gy in 1 kg). GBq per GBq 90Y: for the same J.",
        "Ranges in water, from the literature; a nuclide in full shows their sources and disagreements.",
    )
    return (*notes, f"Max range of {', '.join(csda)}: CSDA range at the endpoint.") if csda else notes


def nuclide_tables(n: Nuclide) -> tuple[Table, ...]:
    """Facts, dose constants, emissions, ranges and imaging of one nuclide, those that it has."""
    constants = [(c.name, f"{c.j_per_gbq:.3f}", c.text, c.source, c.confidence) for c in n.conventions.values()]
    betas = sorted(n.betas, key=lambda b: -b.yield_per_decay * b.mean_kev)[:MAX_LINES_SHOWN]
    beta_rows = [
        (f"{b.endpoint_kev:.1f}", f"{b.mean_kev:.1f} ± {b.mean_sd_kev:.1f}", _percent(b.yield_per_decay), b.shape)
        for b in betas
    ]
    imaging = [
        (i.mode, i.text, " ".join(f"{low:g}-{high:g}" for low, high in i.windows_kev), i.collimator, i.source,
         i.confidence)
        for i in n.imaging
    ]  # fmt: skip
    found = (
        Table.of(("what", "value"), _facts(n), "Facts", "facts"),
        Table.of(("name", "J/GBq", "meaning", "source", "confidence"), constants, "Dose constants", "constants"),
        Table.of(
            ("endpoint, keV", "mean, keV", "%", "shape"), beta_rows,
            f"Beta-minus branches ({len(betas)} of {len(n.betas)})", "betas",
        ),
        _lines("Photons", n.photons, "photons"),
        _lines("Conversion, Auger and pair electrons", n.electrons, "electrons"),
        Table.of(
            ("quantity", "mm", "source", "confidence"),
            [(r.quantity.replace("_", " "), r.value_mm, r.source, r.confidence) for r in n.ranges],
            "Ranges in water", "ranges",
        ),
        Table.of(
            ("mode", "how", "window, keV", "collimator", "source", "confidence"), imaging, "Imaging", "imaging"
        ),
    )  # fmt: skip
    return tuple(table for table in found if table.rows)


def headline(n: Nuclide) -> str:
    """Name, element, charge and spin."""
    return f"{n.label}: {n.element}-{n.name.split('-')[1]}, Z = {n.z}, {n.spin_parity}"


def _cells(row: NuclideRow) -> tuple[Cell, ...]:
    strong = row.main_gamma_yield is not None and row.main_gamma_yield > 1e-4
    furthest = row.range_max_mm if row.range_max_mm is not None else row.range_csda_mm
    return (
        row.name,
        row.half_life_h.value,
        row.electron_energy_mev.value,
        row.photon_energy_mev,
        row.beta_endpoint_mev,
        row.range_mean_mm,
        furthest,
        row.main_gamma_kev if strong else None,
        100 * row.main_gamma_yield if strong and row.main_gamma_yield is not None else None,
        ", ".join(_MODES.get(mode, mode) for mode in row.imaging),
        row.dose_constant_j_per_gbq,
        row.dose_convention,
        row.gbq_per_gbq_of_y90,
    )


def _facts(n: Nuclide) -> list[tuple[str, Cell]]:
    rows: list[tuple[str, Cell]] = [
        ("half-life, h", n.half_life / SECONDS_PER_HOUR),
        ("electrons per decay, MeV", n.electron_energy),
        ("of these beta particles, MeV", n.beta_energy_mev),
        ("photons per decay, MeV", n.photon_energy_mev),
    ]
    if n.positron_yield:
        rows.append(("positrons per million decays (Selwyn 2007)", 1e6 * n.positron))
    if n.capture_yield:
        rows.append(("electron capture, % of decays", 100 * n.capture_yield))
    rows.append(("made by", f"{n.production}; source: {n.production_source}"))
    try:
        source = generator(n.name)
    except UnknownNameError:
        return rows
    grown = ", ".join(
        f"{100 * source.fraction_of_equilibrium(t * SECONDS_PER_HOUR):.0f} % at {t} h" for t in ELUTION_HOURS
    )
    return [*rows, ("generator", f"{source.parent}; of equilibrium {grown} after elution")]


def _lines(title: str, lines: Sequence[Line], name: str) -> Table:
    shown = strongest(lines, MAX_LINES_SHOWN)
    rows = [
        (
            f"{x.energy_kev:.2f}",
            _percent(x.yield_per_decay),
            "–" if x.yield_sd is None else _percent(x.yield_sd, 2),
            x.kind,
            x.origin,
        )
        for x in shown
    ]
    return Table.of(("keV", "%", "± %", "kind", "origin"), rows, f"{title} ({len(shown)} of {len(lines)})", name)


def _percent(fraction: float, digits: int = 4) -> str:
    return f"{100 * fraction:.{digits}g}"
