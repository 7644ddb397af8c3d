"""``hepatica concordance``: whether the activity went where the scout said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepatica.errors import InputError

if TYPE_CHECKING:
    from hepatica.workflow.planning.concordance import ConcordanceAnswer


def concordance(
    scout: Annotated[Path, typer.Argument(help="Planned dose: folder of hepatica plan, RTDOSE, NIfTI in Gy.")],
    therapy: Annotated[Path, typer.Argument(help="Delivered dose: folder of hepatica dose, RTDOSE, NIfTI in Gy.")],
    regions: Annotated[Path, typer.Option(help="RTSTRUCT, SEG or label map with tumours, liver, territories.")],
    isodose: Annotated[
        str | None, typer.Option(help="Level of the Dice overlap, '120 Gy'; the lesions' planned mean if left out.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="What a structure is: 'ROI 3=tumour'.")] = None,
    registered: Annotated[bool, typer.Option(help="Maps of different frames of reference lie together.")] = False,
    out: Annotated[Path | None, typer.Option(help="New folder for figures and JSON.")] = None,
    force: Annotated[bool, typer.Option(help="Replace the output folder if it is there.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Scout against therapy: dose difference, correlation, Bland-Altman, Dice, T/N both ways, catheter."""
    from hepatica.cli.show import progress, refuse_existing, warn
    from hepatica.core.units import parse_quantity
    from hepatica.workflow.planning.concordance import compare_scout_and_therapy

    refuse_existing(out, force=force)
    kinds = {}
    for pair in kind or []:
        name, sign, what = pair.partition("=")
        if not sign:
            raise InputError(f"--kind {pair!r}: write 'structure=kind'")
        kinds[name.strip()] = what.strip()
    level = None if isodose is None else parse_quantity(isodose, "Gy", "isodose")
    with progress() as tell:
        tell("comparing")
        answer = compare_scout_and_therapy(
            scout, therapy, regions, isodose_gy=level, kinds=kinds, registered=registered
        )
        if out is not None:
            tell("writing")
            answer.save(out, force=force)
    warn(answer.warnings)
    if json_output:
        from hepatica.cli.plan_show import print_json

        print_json(answer.as_dict())
    else:
        _print(answer, out)


def _print(answer: ConcordanceAnswer, out: Path | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from hepatica.cli.show import console
    from hepatica.core.numbers import three

    screen, result = console(), answer.result
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for n, name in enumerate(
        ("structure", "scout Gy", "therapy Gy", "change", "r", "Dice", "bias Gy", "95 % limits Gy")
    ):
        table.add_column(name, justify="left" if n == 0 else "right")

    def two(value: float | None) -> str:
        return "–" if value is None else f"{value:.2f}"

    for row in result.regions:
        b = row.bland_altman
        table.add_row(
            row.name, three(row.scout_gy), three(row.therapy_gy), f"{row.difference:+.0%}", two(row.correlation),
            two(row.dice), three(b.mean_gy), f"{three(b.low_gy)} to {three(b.high_gy)}",
        )  # fmt: skip
    screen.print(table)
    said = "planned mean of the lesions" if answer.isodose_is_mean else "as stated"
    screen.print(f"Dice at {three(result.isodose_gy)} Gy ({said})", markup=False)
    if result.ratio_scout is not None and result.ratio_therapy is not None:
        screen.print(f"T/N of all lesions: scout {result.ratio_scout:.2f}, therapy {result.ratio_therapy:.2f}")
    if result.shift_mm is not None and result.share_change is not None:
        flag = (
            "look whether the catheter was elsewhere"
            if result.catheter_changed
            else "no sign of another catheter place"
        )
        screen.print(
            f"centre of dose moved by {result.shift_mm:.1f} mm, share of a territory changed by up to "
            f"{result.share_change:.0%}: {flag}",
            markup=False,
        )
    if out is not None:
        screen.print(f"Figures: {out / 'concordance.png'}, {out / 'slices.png'}", markup=False)
