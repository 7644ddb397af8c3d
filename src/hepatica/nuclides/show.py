"""Nuclides as rows of a table, plain values for JSON, and HTML for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from hepatica.errors import UnknownNameError
from hepatica.nuclides.nuclide import NUCLIDE_NAMES, Line, Nuclide, nuclide

REFERENCE = "Y-90"
"""The nuclide that the others are compared with."""


@dataclass(frozen=True, slots=True)
class NuclideTable:
    """The comparison that a reader of the literature wants, one row per nuclide.

    Attributes
    ----------
    rows : tuple of dict
        Plain values with units in the keys; None where there is no value.
    """

    rows: tuple[dict[str, Any], ...]

    def _repr_html_(self) -> str:
        header = list(self.rows[0]) if self.rows else []
        body = [[_cell(row[key]) for key in header] for row in self.rows]
        return html_table(header, body)


def compare(names: Iterable[str] = NUCLIDE_NAMES, convention: str = "ensdf") -> NuclideTable:
    """Comparison table of nuclides.

    Parameters
    ----------
    names : iterable of str
        Nuclides.
    convention : str
        Dose constant. A convention of some nuclides only ("mird", "clinical") is used where it exists, "ensdf"
        elsewhere; each row says which.

    Raises
    ------
    UnknownNameError
        For an unknown nuclide, or a convention that none of the nuclides (nor 90Y) has.
    """
    chosen = [nuclide(name) for name in names]
    reference = nuclide(REFERENCE)
    known = {name for n in (*chosen, reference) for name in n.conventions}
    if convention not in known:
        raise UnknownNameError("dose convention", convention, known)
    return NuclideTable(tuple(comparison_row(n, reference, convention) for n in chosen))


def comparison_row(n: Nuclide, reference: Nuclide, convention: str) -> dict[str, Any]:
    """One row of the comparison."""
    used, used_reference = _convention(n, convention), _convention(reference, convention)
    constant = n.dose_constant_j_per_gbq(used)
    # The largest endpoint that at least 1 % of the decays have: what the literature calls the maximum.
    main = max((b for b in n.betas if b.yield_per_decay > 0.01), key=lambda b: b.endpoint_kev, default=None)
    ranges = {q: n.range_mm(q) for q in ("mean", "max", "csda_endpoint", "x90")}
    photons = sorted((p for p in n.photons if p.kind == "gamma"), key=lambda p: -p.yield_per_decay)
    return {
        "name": n.name,
        "half_life_h": n.half_life_h,
        "half_life_sd_h": n.half_life.sd / 3600 if n.half_life.sd is not None else None,
        "electron_energy_mev": n.electron_energy_mev,
        "electron_energy_sd_mev": n.electron_energy.sd,
        "photon_energy_mev": n.photon_energy_mev,
        "beta_mean_mev": n.beta_energy_mev,
        "beta_endpoint_mev": main.endpoint_kev / 1e3 if main else None,
        "range_mean_mm": ranges["mean"].value_mm if ranges["mean"] else None,
        "range_max_mm": ranges["max"].value_mm if ranges["max"] else None,
        "range_csda_mm": ranges["csda_endpoint"].value_mm if ranges["csda_endpoint"] else None,
        "range_x90_mm": ranges["x90"].value_mm if ranges["x90"] else None,
        "main_gamma_kev": photons[0].energy_kev if photons else None,
        "main_gamma_yield": photons[0].yield_per_decay if photons else None,
        "imaging": list(dict.fromkeys(i.mode for i in n.imaging)),
        "dose_constant_j_per_gbq": constant,
        "dose_convention": used,
        "gbq_per_gbq_of_y90": reference.dose_constant_j_per_gbq(used_reference) / constant if main else None,
    }


def _convention(n: Nuclide, wanted: str) -> str:
    return wanted if wanted in n.conventions else "ensdf"


def nuclide_dict(n: Nuclide, convention: str = "ensdf") -> dict[str, Any]:
    """Everything about a nuclide as plain values for JSON."""
    row = comparison_row(n, nuclide(REFERENCE), convention)
    return row | {
        "element": n.element,
        "atomic_number": n.z,
        "mass_number": n.mass_number,
        "q_value_kev": n.q_value_kev,
        "capture_yield": n.capture_yield,
        "positron_yield": n.positron.value,
        "positron_yield_sd": n.positron.sd,
        "production": n.production,
        "production_source": n.production_source,
        "conventions": [
            {"name": c.name, "j_per_gbq": c.j_per_gbq, "text": c.text, "source": c.source, "confidence": c.confidence}
            for c in n.conventions.values()
        ],
        "betas": [
            {
                "endpoint_kev": b.endpoint_kev,
                "endpoint_sd_kev": b.endpoint_sd_kev,
                "mean_kev": b.mean_kev,
                "mean_sd_kev": b.mean_sd_kev,
                "yield_per_decay": b.yield_per_decay,
                "yield_sd": b.yield_sd,
                "level_kev": b.level_kev,
                "forbiddenness": b.forbiddenness,
                "shape": b.shape,
            }
            for b in n.betas
        ],
        "electrons": [_line_dict(line) for line in n.electrons],
        "photons": [_line_dict(line) for line in n.photons],
        "imaging_modes": [
            {
                "mode": i.mode,
                "text": i.text,
                "windows_kev": [list(w) for w in i.windows_kev],
                "scatter_windows_kev": [list(w) for w in i.scatter_windows_kev],
                "collimator": i.collimator,
                "source": i.source,
                "confidence": i.confidence,
            }
            for i in n.imaging
        ],
        "ranges": [
            {"quantity": r.quantity, "value_mm": r.value_mm, "source": r.source, "confidence": r.confidence}
            for r in n.ranges
        ],
    }


def _line_dict(line: Line) -> dict[str, Any]:
    return {
        "energy_kev": line.energy_kev,
        "energy_sd_kev": line.energy_sd_kev,
        "yield_per_decay": line.yield_per_decay,
        "yield_sd": line.yield_sd,
        "kind": line.kind,
        "origin": line.origin,
    }


def strongest(lines: Sequence[Line], count: int) -> list[Line]:
    """The lines that carry most energy, in order of energy."""
    chosen = sorted(lines, key=lambda line: -line.energy_kev * line.yield_per_decay)[:count]
    return sorted(chosen, key=lambda line: line.energy_kev)


def nuclide_html(n: Nuclide) -> str:
    """A nuclide for a notebook: one table of numbers, one of dose constants."""
    half_life = n.half_life / 3600
    facts = [
        ["half-life", f"{half_life} h"],
        ["electrons per decay", f"{n.electron_energy} MeV"],
        ["photons per decay", f"{n.photon_energy_mev:.4f} MeV"],
        ["positrons per decay", f"{n.positron.value:.4g}"],
        ["made by", n.production],
        ["imaging", "; ".join(f"{i.mode}: {i.text}" for i in n.imaging)],
    ]
    constants = [[c.name, f"{c.j_per_gbq:.3f}", c.text, c.source] for c in n.conventions.values()]
    return (
        f"<h4>{escape(n.label)} ({escape(n.element)}-{n.mass_number})</h4>"
        + html_table(["", ""], facts)
        + html_table(["convention", "J/GBq", "meaning", "source"], constants)
    )


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Plain HTML table; text is escaped."""
    head = "".join(f"<th>{escape(text)}</th>" for text in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(value) if isinstance(value, list) else str(value)
