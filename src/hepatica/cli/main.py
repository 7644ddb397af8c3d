"""The ``hepatica`` command. Each verb is a file beside this one; it is imported only when it is run or listed."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from hepatica.cli.adaptive import adaptive
from hepatica.cli.agents import agents
from hepatica.cli.agreement import accuracy, agreement
from hepatica.cli.calibrate import calibrate
from hepatica.cli.compare import compare
from hepatica.cli.compare_nuclides import compare_nuclides
from hepatica.cli.concordance import concordance
from hepatica.cli.demo import demo
from hepatica.cli.dose import dose
from hepatica.cli.dose_response import dose_response
from hepatica.cli.inspect import inspect
from hepatica.cli.kernel import kernel
from hepatica.cli.lsf import lsf
from hepatica.cli.nuclides import nuclides
from hepatica.cli.phantom import phantom
from hepatica.cli.plan import plan
from hepatica.cli.radiobiology import radiobiology
from hepatica.cli.reconstruct import reconstruct
from hepatica.cli.release import release
from hepatica.cli.response import response
from hepatica.cli.simulate import simulate
from hepatica.cli.survival import survival
from hepatica.cli.tn import tn
from hepatica.cli.vial import vial
from hepatica.errors import HepaticaError
from hepatica.version import __version__

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""

app = typer.Typer(
    name="hepatica",
    help="Transarterial radioembolization: from images to absorbed dose. Research software, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hepatica {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Transarterial radioembolization: from images to absorbed dose. Research software, not a medical device."""


app.command()(inspect)
app.command()(dose)
app.command()(compare)
app.command()(demo)
app.command()(phantom)
app.command()(simulate)
app.command()(reconstruct)
app.command()(calibrate)
app.command()(nuclides)
app.command()(agents)
app.command()(kernel)
app.add_typer(plan, name="plan")
app.command()(radiobiology)
app.command()(release)
app.command()(response)
app.command()(survival)
app.command("dose-response")(dose_response)
app.command()(agreement)
app.command()(accuracy)
app.command()(adaptive)
app.add_typer(vial, name="vial")
app.command()(lsf)
app.command()(tn)
app.command("compare-nuclides")(compare_nuclides)
app.command()(concordance)


def run() -> None:
    """Run the command line; an error that hepatica raises on purpose is one line on stderr and exit code 2."""
    # A batch system stops a job by SIGTERM, which would end Python without removing what is half written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except HepaticaError as error:
        typer.echo(f"hepatica: {error}", err=True)
        sys.exit(2)
    except SystemExit as end:
        # typer turns Ctrl-C into this exit code without a word.
        if end.code == INTERRUPTED:
            typer.echo("hepatica: interrupted; no result was written", err=True)
        raise


if __name__ == "__main__":
    run()
