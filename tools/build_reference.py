"""Write ``docs/reference.md``: every command with its options, and the vocabulary, from the code itself."""

from __future__ import annotations

from pathlib import Path

from hepatica.cli.command import GENERAL, option_name
from hepatica.core.options import Option, options_of
from hepatica.front_door import GROUPS, VERBS, Verb

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"

HEAD = """# Commands and options

Made by `make docs` from the code. A verb is one function of `hepatica` and one command; an option is one field, in
Python with its unit in the name (`administered_bq=2.1e9`), on the command line and in TOML as a word with text
(`--administered "2.1 GBq"`). Words that recur mean the same everywhere: [vocabulary](vocabulary.md).
"""


def page() -> str:
    """The whole page."""
    general = [f"| `{flag}` | {text} |" for flag, text in GENERAL.values()]
    parts = [HEAD, "Every command has, beside its own:", "", "| option | |", "|---|---|", *general, ""]
    parts += ["All of them, and what for: [every verb, once](verbs.md).", "", "| | commands |", "|---|---|"]
    parts += [f"| {group} | {', '.join(_links(group))} |" for group in GROUPS]
    parts.append("")
    for group in GROUPS:
        verbs = [verb for verb in VERBS if verb.group == group]
        if verbs:
            parts += [f"## {group}", ""]
        for verb in verbs:
            parts += _verb(verb)
    return "\n".join(parts).rstrip() + "\n"


def _links(group: str) -> list[str]:
    names = [verb.command for verb in VERBS if verb.group == group]
    return [f"[{name}](#{name.replace(' ', '-')})" for name in names]


def _verb(verb: Verb) -> list[str]:
    lines = [f"### {verb.command}", "", f"{verb.summary} In Python: `hepatica.{verb.function}`.", ""]
    options = options_of(verb.load())
    if options:
        lines += ["| option | in Python | what it is | holds | without it |", "|---|---|---|---|---|"]
        lines += [_row(option) for option in options]
    return [*lines, ""]


def _row(option: Option) -> str:
    shown = "required" if option.required else option.shown_default
    where = ".".join(option.path)
    cells = (f"`{option_name(option.name)}`", f"`{where}`", option.help, option.holds, shown)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
