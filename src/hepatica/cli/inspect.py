"""``hepatica inspect``: what an image is, in what unit, at what time, and what is missing for dosimetry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def inspect(
    path: Annotated[Path, typer.Argument(help="DICOM file or folder, NIfTI or MetaImage file.")],
    unit: Annotated[
        str | None, typer.Option(help="What a voxel of a NIfTI or MetaImage holds, such as 'Bq/mL' or 'MBq h'.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what an image is: unit, reference time, decay correction, nuclide, geometry, and what is missing."""
    from hepatica.io.describe import describe
    from hepatica.io.image import Stated

    descriptions, skipped, warnings = describe(path, stated=Stated(unit=unit))
    if json:
        import json as encoder

        document = {
            "path": str(path),
            "series": [description.as_dict() for description in descriptions],
            "skipped": skipped,
            "warnings": warnings,
        }
        typer.echo(encoder.dumps(document, indent=2, ensure_ascii=False))
    else:
        _print(path, descriptions, skipped, warnings)
    if not descriptions:
        from hepatica.errors import InputError

        raise InputError(f"{path}: no image was found ({len(skipped)} files skipped)")


def _print(path: Path, descriptions: list[Any], skipped: list[str], warnings: list[str]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=False)
    for warning in warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    for description in descriptions:
        identity = description.identity
        title = f"{description.what}: {identity.get('description') or '(no description)'}"
        console.print(f"\n[bold]{escape(title)}[/]")
        console.print(_table(description))
    shown = skipped if len(skipped) <= 6 else [*skipped[:5], f"... and {len(skipped) - 5} more (all with --json)"]
    if skipped:
        console.print(f"\nnot used under {escape(str(path))} (files: {len(skipped)}):")
        for line in shown:
            console.print(f"  {escape(line)}")


def _table(description: Any) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(style="dim", no_wrap=True, min_width=17)
    table.add_column(overflow="fold")
    for name, text in rows(description):
        table.add_row(name, escape(text))
    for name, style, texts in (
        ("cannot be used", "bold red", description.problems),
        ("missing", "red", description.missing),
        ("note", "yellow", description.warnings),
    ):
        for text in texts:
            table.add_row(f"[{style}]{name}[/]", escape(text))
    if description.facts.get("kind") and not description.missing and not description.problems:
        table.add_row("[green]missing[/]", "nothing")
    return table


def rows(description: Any) -> list[tuple[str, str]]:
    """Rows of the table, those that say something."""
    identity, facts = description.identity, description.facts
    patient = " / ".join(filter(None, (identity.get("patient_name"), identity.get("patient_id"))))
    lines = [
        ("patient", patient),
        ("date", _day(identity.get("date") or "")),
        ("scanner", facts.get("scanner") or ""),
        ("series", identity.get("series") or ""),
        ("part", identity.get("part") or ""),
        ("images", _count(identity)),
        ("structures", ", ".join(facts.get("structures") or ())),
        ("unit", _unit(facts)),
        ("values", f"{facts['minimum']:.6g} to {facts['maximum']:.6g}" if "minimum" in facts else ""),
        ("in the image", _total(facts)),
        ("refers to", _clock(facts.get("time")) if facts.get("kind") not in (None, "hu", "label") else ""),
        ("decay correction", facts.get("time_rule") or ""),
        ("acquired", _acquired(facts)),
        ("nuclide", _nuclide(facts)),
        ("administered", _administered(facts)),
        ("grid", _grid(facts)),
        ("orientation", description.orientation),
    ]
    return [(name, text) for name, text in lines if text]


def _count(identity: dict[str, Any]) -> str:
    if "images" not in identity:
        return ""
    files = identity["files"]
    return f"{identity['images']} in {files} file{'s' if files > 1 else ''}"


def _day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 else text


def _clock(text: str | None) -> str:
    return text.replace("T", " ") if text else "unknown"


def _unit(facts: dict[str, Any]) -> str:
    unit = facts.get("unit")
    written = facts.get("unit_in_file")
    if not unit:
        return ""
    return f"{unit} (in the file: {written})" if written and written != unit else str(unit)


def _total(facts: dict[str, Any]) -> str:
    if (activity := facts.get("activity_in_image_mbq")) is not None:
        return f"{activity:.5g} MBq"
    if (counts := facts.get("counts_in_image")) is not None:
        return f"{counts:.6g} counts"
    return ""


def _acquired(facts: dict[str, Any]) -> str:
    if not facts.get("acquisition_start"):
        return ""
    parts = [_clock(facts["acquisition_start"])]
    if facts.get("frame_duration_s"):
        frame = "a projection" if facts.get("projections") else "a frame"
        parts.append(f"{facts['frame_duration_s']:g} s {frame}")
    if facts.get("projections"):
        parts.append(f"{facts['projections']} projections")
    parts += [f"{low:g}-{high:g} keV" for low, high in facts.get("energy_windows_kev") or ()]
    return ", ".join(parts)


def _nuclide(facts: dict[str, Any]) -> str:
    if not facts.get("nuclide"):
        return ""
    half_life_s = facts.get("half_life_s")
    parts = [facts["nuclide"], facts.get("radiopharmaceutical") or ""]
    if half_life_s:
        parts.append(f"half-life {half_life_s / 3600:.4g} h in the header")
    return ", ".join(filter(None, parts))


def _administered(facts: dict[str, Any]) -> str:
    if not facts.get("administered_mbq"):
        return ""
    weight = f", patient of {facts['weight_kg']:g} kg" if facts.get("weight_kg") else ""
    when = facts.get("administered_at")
    return f"{facts['administered_mbq']:.5g} MBq{f' at {_clock(when)}' if when else ''}{weight}"


def _grid(facts: dict[str, Any]) -> str:
    grid = facts.get("grid")
    if not grid:
        return ""
    size = " x ".join(map(str, grid["shape"]))
    spacing = " x ".join(f"{s:.4g}" for s in grid["spacing_mm"])
    frame = "" if grid["frame_of_reference"] else ", no frame of reference"
    return f"{size} voxels of {spacing} mm{frame}"
