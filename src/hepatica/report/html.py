"""A document as one HTML file: pictures inside, nothing loaded from anywhere, prints on A4."""

from __future__ import annotations

import base64
from itertools import groupby

from hepatica.core.text.visible import visible
from hepatica.report.document import Document, Picture
from hepatica.report.figures import palette


def html_page(document: Document) -> str:
    """Complete HTML document; every text is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hepatica.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_shown,
    )  # fmt: skip
    environment.filters["data_uri"] = _data_uri
    environment.filters["css_text"] = _css_text
    groups = [list(found) for _, found in groupby(document.all_sections(), key=lambda section: section.half)]
    return environment.get_template("document.html.jinja").render(
        document=document,
        groups=groups,
        colours={
            "ink": palette.INK,
            "muted": palette.MUTED,
            "rule": palette.RULE,
            "accent": palette.ACCENT,
            **palette.STATUS_COLOURS,
        },
    )


def _shown(value: object) -> object:
    """Texts with hidden characters written out; what is HTML already stays."""
    return visible(value) if type(value) is str else value


def _css_text(value: str) -> str:
    """A text as it stands between quotes in a style sheet: all but letters, digits and spaces as numbers."""
    return "".join(c if c.isalnum() or c == " " else f"\\{ord(c):06x}" for c in visible(value))


def _data_uri(picture: Picture) -> str:
    kind, data = ("svg+xml", picture.svg) if picture.svg else ("png", picture.png)
    return f"data:image/{kind};base64," + base64.b64encode(data).decode("ascii")
