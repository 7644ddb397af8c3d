"""The plan on paper: one content, as a self-contained HTML page and as a PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatica.planning.planner.best_activity import Optimum
from hepatica.planning.planner.course import CoursePlan
from hepatica.version import __version__

NOTICE = "Research software, not a medical device. Every number must be checked by a qualified person before use."
COLOURS = {"violated": "#b3261e", "near": "#9a6700", "met": "#1a7f37", "stop": "#b3261e", "warning": "#9a6700"}
CURVES = (
    ("probability_tumour_reached", "tumour target reached", "#1a7f37"),
    ("probability_normal_liver_exceeded", "normal liver above its limit", "#b3261e"),
    ("probability_lung_exceeded", "lungs above their limit", "#1f5fbf"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A table with a heading; `marks` colours a row by a word of `COLOURS`."""

    heading: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...] = ()
    note: str = ""


def plan_blocks(plan: CoursePlan, document: Mapping[str, Any]) -> tuple[Block, ...]:
    """Everything the page says, in order."""
    blocks = [_given(plan), *(_methods(t) for t in plan.territories), _doses(plan), _limits(plan)]
    if document.get("voxel_plan"):
        blocks.append(_voxels(document["voxel_plan"]))
    if plan.optimum is not None:
        blocks.append(_chances(plan.optimum))
    blocks.append(_guardrails(plan))
    provenance = document["provenance"]
    rows = [("software", f"hepatica {__version__}"), ("made", provenance["created"])]
    rows += [(f"input: {i['role']}", f"{i['path']}  sha256 {i['sha256'][:16]}") for i in provenance["inputs"]]
    rows += [(f"convention: {k}", v) for k, v in provenance["conventions"].items()]
    rows += [("source", step) for step in provenance["steps"]]
    blocks.append(Block("Provenance", ("", ""), tuple(rows)))
    return tuple(blocks)


def _given(plan: CoursePlan) -> Block:
    rows = []
    for t in plan.territories:
        rx = t.given.prescription
        rows.append(
            (
                t.territory.name,
                t.given.carrier.name,
                t.chosen,
                f"{rx.activity_gbq:.3f}",
                f"{rx.activity_administered_gbq:.3f}",
                rx.constant.text,
            )
        )
    if len(rows) > 1:
        rows.append(("all", "", "", f"{plan.activity_gbq:.3f}", f"{plan.activity_administered_gbq:.3f}", ""))
    head = ("territory", "agent", "method", "in the vial, GBq", "to the patient, GBq", "dose constant")
    note = "In the vial: at the instant of administration, residual included."
    return Block("Activity", head, tuple(rows), (), note)


def _methods(t: Any) -> Block:
    rows = []
    for name, assessed in t.methods.items():
        rx, d = assessed.prescription, assessed.prescription.doses
        rows.append(
            (
                name + (" (chosen)" if name == t.chosen else ""),
                f"{rx.activity_gbq:.3f}",
                *(_gy(v) for v in (d.perfused_gy, d.tumour_gy, d.normal_liver_gy, d.lung_gy)),
                rx.source,
            )
        )
    head = ("method", "vial, GBq", "perfused, Gy", "tumour, Gy", "normal, Gy", "lungs, Gy", "source")
    return Block(f"Methods side by side: {t.territory.name}", head, tuple(rows))


def _gy(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _doses(plan: CoursePlan) -> Block:
    d = plan.doses
    rows = [(name, _gy(dose)) for name, dose in d.lesions_gy.items()]
    rows += [(f"normal liver in {name}", _gy(dose)) for name, dose in d.perfused_normal_gy.items()]
    rows += [("normal liver, whole", _gy(d.normal_liver_gy)), ("lungs", _gy(d.lung_gy))]
    if plan.course.earlier:
        rows += [
            ("normal liver with earlier treatments", _gy(d.normal_liver_cumulative_gy)),
            ("lungs with earlier treatments", _gy(d.lung_cumulative_gy)),
        ]
    return Block("Mean absorbed doses, all territories together", ("", "Gy"), tuple(rows))


def _limits(plan: CoursePlan) -> Block:
    rows, marks = [], []
    for c in plan.limits:
        sign = "≤" if c.limit.bound == "max" else "≥"
        status = f"{c.status} if {c.applies_if}" if c.applies_if else c.status
        rows.append((status, c.limit.text, f"{sign} {c.limit.value:.4g}", f"{c.value:.3g}", c.limit.source))
        marks.append(c.status)
    head = ("status", "limit or target", "Gy, GBq or fraction", "plan", "source")
    return Block("Limits and targets", head, tuple(rows), tuple(marks))


def _chances(optimum: Optimum) -> Block:
    rows = [
        *(
            (f"best activity, {name}", f"{activity:.3f} GBq to the patient")
            for name, activity in optimum.activity_gbq.items()
        ),
        ("every tumour reaches its target", f"{optimum.chances.tumour:.0%}"),
        ("normal liver above its limit", f"{optimum.chances.normal_exceeded:.1%}"),
        ("lungs above their limit", f"{optimum.chances.lung_exceeded:.1%}"),
        ("what stops a higher activity", optimum.binding),
    ]
    for name, value in optimum.value_of_knowing.items():
        gain = value["gain_in_probability"]
        rows.append((f"halving the uncertainty of {name.replace('_', ' ')}", f"changes the chance by {gain:+.1%}"))
    note = f"{optimum.samples} samples, seed {optimum.seed}."
    return Block("The activity with the best chance", ("", ""), tuple(rows), (), note)


def _voxels(voxel: Mapping[str, Any]) -> Block:
    rows = []
    for r in voxel["regions"]:
        d = r["d_percent_gy"]
        percentiles = (f"{d[x]:.1f}" if x in d else "–" for x in ("95", "70", "50", "5"))
        rows.append((r["name"], f"{r['volume_ml']:.1f}", f"{r['dose_mean_gy']:.1f}", *percentiles))
    head = ("structure", "mL", "mean, Gy", "D95", "D70", "D50", "D5")
    note = f"Dose engine {voxel['method']}; the scout's distribution scaled to the activities chosen. " + "; ".join(
        voxel["warnings"]
    )
    return Block(PREDICTED, head, tuple(rows), (), note)


def _guardrails(plan: CoursePlan) -> Block:
    rows = [(w.severity, w.message, w.id) for w in plan.review.warned]
    rows += [("note", text, "") for text in plan.doses.warnings]
    marks = tuple(w.severity for w in plan.review.warned)
    note = (
        f"{len(plan.review.quiet)} guardrails had nothing to say; {len(plan.review.not_evaluated)} lacked a fact "
        "and were not evaluated."
    )
    return Block("Guardrails", ("", "what to do", "id"), tuple(rows), marks, note)


_HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{ title }}</title><style>
body{font:15px/1.5 system-ui,sans-serif;color:#1b1f24;max-width:70rem;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .4rem;border-bottom:1px solid #d0d7de}
.notice{background:#fff4e5;border-left:4px solid #b35900;padding:.4rem .8rem;margin:.8rem 0}
table{border-collapse:collapse;width:100%;font-size:.9rem}th{font-weight:500;color:#57606a;text-align:left}
th,td{padding:.25rem .7rem .25rem 0;vertical-align:top;border-bottom:1px solid #eaeef2}
.note{color:#57606a;font-size:.85rem}svg,img{max-width:44rem;width:100%;height:auto}
figure{margin:1rem 0;break-inside:avoid}figcaption{color:#57606a;font-size:.85rem}
@media print{body{margin:0}h2{break-after:avoid}tr{break-inside:avoid}}
</style></head><body><h1>{{ title }}</h1><p class="notice">{{ notice }}</p>
{% for b in blocks %}<h2>{{ b.heading }}</h2>
{% if b.rows %}<table><thead><tr>{% for h in b.head %}<th>{{ h }}</th>{% endfor %}</tr></thead><tbody>
{% for row in b.rows %}{% set mark = b.marks[loop.index0] if loop.index0 < b.marks|length else "" %}
<tr>{% for cell in row %}
<td{% if loop.first and mark in colours %} style="color:{{ colours[mark] }};font-weight:600"{% endif %}>{{ cell }}</td>
{% endfor %}</tr>
{% endfor %}</tbody></table>{% else %}<p>none</p>{% endif %}
{% if b.note %}<p class="note">{{ b.note }}</p>{% endif %}
{% if b.heading == "The activity with the best chance" %}{{ figure }}{% endif %}
{% if b.heading == predicted %}{% for caption, data in pictures %}<figure><figcaption>{{ caption }}</figcaption>
<img alt="{{ caption }}" src="data:image/png;base64,{{ data }}"></figure>{% endfor %}{% endif %}{% endfor %}
</body></html>
"""


Pictures = Sequence[tuple[str, bytes]]
"""Captions and PNGs."""

PREDICTED = "Predicted from the scout, voxel by voxel"


def plan_html(plan: CoursePlan, document: Mapping[str, Any], pictures: Pictures = ()) -> str:
    """The page as HTML that needs nothing else; `pictures` stand under the voxel-based prediction."""
    from base64 import b64encode

    from jinja2 import Environment
    from markupsafe import Markup

    template = Environment(autoescape=True).from_string(_HTML)
    # The figure is made of numbers and fixed words only, nothing from the plan file.
    figure = Markup(_svg(plan.optimum)) if plan.optimum else ""
    return str(
        template.render(
            title=f"Plan: {plan.course.title}",
            notice=NOTICE,
            blocks=plan_blocks(plan, document),
            colours=COLOURS,
            figure=figure,
            predicted=PREDICTED,
            pictures=[(caption, b64encode(picture).decode("ascii")) for caption, picture in pictures],
        )
    )


def _points(optimum: Optimum, key: str) -> list[tuple[float, float]]:
    return [(point["activity_total_gbq"], point[key]) for point in optimum.curve]


def _svg(optimum: Optimum) -> str:
    """Trade-off curves: chance against total activity, the best one marked."""
    left, top, width, height = 60, 14, 560, 240
    most = optimum.curve[-1]["activity_total_gbq"]

    def at(x: float, y: float) -> str:
        return f"{left + x / most * width:.1f},{top + (1 - y) * height:.1f}"

    parts = [f'<svg viewBox="0 0 {left + width + 20} {top + height + 70}" role="img" font-size="12">']
    for n in range(5):
        y = n / 4
        parts.append(f'<path d="M{at(0, y)} L{at(most, y)}" stroke="#d8dee4"/>')
        parts.append(f'<text x="{left - 8}" y="{top + (1 - y) * height + 4:.0f}" text-anchor="end">{y:.0%}</text>')
        x = most * n / 4
        parts.append(
            f'<text x="{left + n / 4 * width:.0f}" y="{top + height + 18}" text-anchor="middle">{x:.2f}</text>'
        )
    best = sum(optimum.activity_gbq.values())
    parts.append(f'<path d="M{at(best, 0)} L{at(best, 1)}" stroke="#57606a" stroke-dasharray="4 3"/>')
    for n, (key, label, colour) in enumerate(CURVES):
        line = " L".join(at(x, y) for x, y in _points(optimum, key))
        parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x = left + n * 195
        parts.append(f'<text x="{x}" y="{top + height + 58}" fill="{colour}">{label}</text>')
    middle = left + width / 2
    parts.append(f'<text x="{middle}" y="{top + height + 36}" text-anchor="middle">administered activity, GBq</text>')
    return "".join([*parts, "</svg>"])


def write_plan_pdf(plan: CoursePlan, document: Mapping[str, Any], path: Path, pictures: Pictures = ()) -> None:
    """The same page as PDF (A4)."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.lib.units import mm
    from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

    styles = getSampleStyleSheet()
    small = styles["BodyText"].clone("small", fontSize=7.5, leading=9.5)
    story: list[Any] = [Paragraph(_escape(f"Plan: {plan.course.title}"), styles["Title"])]
    story += [Paragraph(_escape(NOTICE), styles["BodyText"]), Spacer(1, 4 * mm)]
    for block in plan_blocks(plan, document):
        heading = Paragraph(_escape(block.heading), styles["Heading3"])
        if not block.rows:
            story += [heading, Paragraph("none", small)]
            continue
        cells = [[Paragraph(f"<b>{_escape(h)}</b>", small) for h in block.head]]
        for n, row in enumerate(block.rows):
            colour = COLOURS.get(block.marks[n]) if n < len(block.marks) else None
            first = f'<font color="{colour}"><b>{_escape(row[0])}</b></font>' if colour else _escape(row[0])
            cells.append([Paragraph(first, small), *(Paragraph(_escape(c), small) for c in row[1:])])
        table = Table(cells, colWidths=_widths(block, A4[0] - 30 * mm), repeatRows=1)
        table.setStyle(
            TableStyle([("LINEBELOW", (0, 0), (-1, -1), 0.3, colors.lightgrey), ("VALIGN", (0, 0), (-1, -1), "TOP")])
        )
        story += [KeepTogether([heading, table]) if len(cells) < 12 else heading]
        story += [table] if len(cells) >= 12 else []
        if block.note:
            story.append(Paragraph(_escape(block.note), small))
        if plan.optimum is not None and block.heading == "The activity with the best chance":
            story.append(_drawing(plan.optimum))
        if block.heading == PREDICTED:
            story += [_picture(caption, data, A4[0] - 30 * mm, small) for caption, data in pictures]
    margin = 15 * mm
    page = SimpleDocTemplate(
        str(path),
        pagesize=A4,
        title=plan.course.title,
        author="hepatica",
        leftMargin=margin,
        rightMargin=margin,
        topMargin=margin,
        bottomMargin=margin,
    )
    page.build(story)


def _picture(caption: str, data: bytes, width: float, style: Any) -> Any:
    """A PNG over the page's width with its caption."""
    from io import BytesIO

    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image, KeepTogether, Paragraph

    columns, rows = ImageReader(BytesIO(data)).getSize()
    image = Image(BytesIO(data), width=width, height=width * rows / columns)
    return KeepTogether([Paragraph(_escape(caption), style), image])


def _widths(block: Block, total: float) -> list[float]:
    """Column widths by the longest text, within bounds."""
    columns: Sequence[tuple[str, ...]] = [block.head, *block.rows]
    longest = [min(60, max(12, *(len(row[n]) for row in columns if n < len(row)))) for n in range(len(block.head))]
    return [total * length / sum(longest) for length in longest]


def _drawing(optimum: Optimum) -> Any:
    from reportlab.graphics.shapes import Drawing, Line, PolyLine, String
    from reportlab.lib.colors import HexColor

    left, bottom, width, height = 40, 40, 400, 150
    most = optimum.curve[-1]["activity_total_gbq"]
    drawing = Drawing(left + width + 20, bottom + height + 14)
    for n in range(5):
        y = bottom + n / 4 * height
        drawing.add(Line(left, y, left + width, y, strokeColor=HexColor("#d8dee4")))
        drawing.add(String(left - 6, y - 3, f"{n / 4:.0%}", fontSize=7, textAnchor="end"))
        drawing.add(String(left + n / 4 * width, bottom - 12, f"{most * n / 4:.2f}", fontSize=7, textAnchor="middle"))
    best = left + sum(optimum.activity_gbq.values()) / most * width
    drawing.add(Line(best, bottom, best, bottom + height, strokeColor=HexColor("#57606a"), strokeDashArray=[4, 3]))
    for n, (key, label, colour) in enumerate(CURVES):
        flat = [v for x, y in _points(optimum, key) for v in (left + x / most * width, bottom + y * height)]
        drawing.add(PolyLine(flat, strokeColor=HexColor(colour), strokeWidth=1.4))
        drawing.add(String(left + n * 135, 4, label, fontSize=8, fillColor=HexColor(colour)))
    drawing.add(String(left + width / 2, 18, "administered activity, GBq", fontSize=8, textAnchor="middle"))
    return drawing


def _escape(text: str) -> str:
    from xml.sax.saxutils import escape

    # The PDF's built-in fonts lack these signs.
    return escape(text).replace("≤", "&lt;=").replace("≥", "&gt;=").replace("–", "-")
