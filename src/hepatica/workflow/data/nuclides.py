"""The nuclides of radioembolization."""

from __future__ import annotations

from hepatica.core import Provenance
from hepatica.core.options import verb
from hepatica.core.tables.table import Table
from hepatica.nuclides import NUCLIDE_NAMES, ConventionName, Nuclide
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.nuclides.comparison import NuclideRow, compare_nuclides
from hepatica.nuclides.nuclide_tables import comparison_notes, comparison_table, headline, nuclide_tables
from hepatica.workflow.result import Result, result


@result
class NuclidesResult(Result):
    """Nuclides side by side, and one in full where one was asked for."""

    verb = "list_nuclides"

    convention: str
    nuclides: tuple[NuclideRow, ...]
    nuclide: Nuclide | None = None

    def title(self) -> str:
        """What is shown, and where energies and half-lives come from."""
        what = "Nuclides of radioembolization" if self.nuclide is None else headline(self.nuclide)
        return f"{what}; energies per decay and half-lives of ENSDF (September 2023)"

    def table(self) -> Table:
        """One row for each nuclide."""
        return comparison_table(self.nuclides)

    def tables(self) -> tuple[Table, ...]:
        """The comparison; of one nuclide facts, dose constants, emissions, ranges and imaging."""
        return (self.table(), *(() if self.nuclide is None else nuclide_tables(self.nuclide)))

    def sentences(self) -> tuple[str, ...]:
        """What the columns hold."""
        return comparison_notes(self.nuclides)


@verb
def list_nuclides(nuclide: str | None = None, *, convention: ConventionName = "ensdf") -> NuclidesResult:
    """The nuclides of radioembolization side by side, or one in full.

    Parameters
    ----------
    nuclide : str or None
        Nuclide to show in full, such as Ho-166 or 90Y.
    convention : {"ensdf", "ensdf-all", "mird", "label", "clinical", "icrp107", "beta-only"}
        Dose constant: of the decay data, or a nuclide's own (mird and label of 90Y, clinical of 166Ho).

    Returns
    -------
    NuclidesResult
        The comparison; of one nuclide all branches and lines too.

    Raises
    ------
    UnknownNameError
        For an unknown nuclide, or a convention that it does not have.

    Examples
    --------
    >>> hepatica.list_nuclides("Ho-166", convention="clinical").nuclides[0].dose_constant_j_per_gbq
    15.87
    """
    chosen = None if nuclide is None else find_nuclide(nuclide)
    if chosen is not None:
        chosen.dose_constant_j_per_gbq(convention)  # raises for one it does not have
    return NuclidesResult(
        convention=convention,
        nuclides=compare_nuclides(NUCLIDE_NAMES if chosen is None else (chosen.name,), convention),
        nuclide=chosen,
        provenance=Provenance(
            parameters={"convention": convention},
            tables={
                "nuclides/nuclides.csv": "ENSDF, September 2023, through paceENSDF 0.6.3",
                "nuclides/photons.csv": "ENSDF; X rays by xraylib",
                "nuclides/ranges.csv": "literature, a source for each row",
            },
            conventions={"dose constant": convention},
        ),
    )
