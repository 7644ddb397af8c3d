"""Commands that still stand the old way, each until its module here is deleted."""

from __future__ import annotations

import importlib
import importlib.util
import sys

from hepatica.errors import HepaticaError

COMMANDS = {
    "inspect": "inspect", "dose": "dose", "compare": "compare", "demo": "demo", "phantom": "phantom",
    "simulate": "simulate", "reconstruct": "reconstruct", "calibrate": "calibrate", "nuclides": "nuclides",
    "agents": "agents", "kernel": "kernel", "plan": "plan", "radiobiology": "radiobiology", "response": "response",
    "survival": "survival", "dose-response": "dose_response", "agreement": "agreement", "accuracy": "agreement",
    "adaptive": "adaptive", "vial": "vial", "lsf": "lsf", "tn": "tn", "compare-nuclides": "compare_nuclides",
    "concordance": "concordance",
}  # fmt: skip


def is_old(command: str) -> bool:
    """Whether a command still stands the old way."""
    return command in COMMANDS and importlib.util.find_spec(f"hepatica.cli.{COMMANDS[command]}") is not None


def run() -> None:
    """Run the old command."""
    import typer

    name = sys.argv[1]
    module = importlib.import_module(f"hepatica.cli.{COMMANDS[name]}")
    app = typer.Typer(name="hepatica", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.callback()
    def main() -> None:
        """Old commands."""

    found = getattr(module, name.replace("-", "_"))
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        app.command(name)(found)
    try:
        app()
    except HepaticaError as error:
        typer.echo(f"hepatica: {error}", err=True)
        sys.exit(2)
