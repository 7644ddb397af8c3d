"""A search outside liver and lungs as tables and sentences."""

from __future__ import annotations

from hepatica.core.tables.table import Cell, Table, with_doubt
from hepatica.planning.extrahepatic.uptake import ExtrahepaticSearch, ExtrahepaticTest, certainty


def uptake_table(search: ExtrahepaticSearch) -> Table:
    """Places found and organs drawn, with share, certainty, and dose where an activity was asked about."""
    rows: list[tuple[Cell, ...]] = [
        (
            place.site,
            f"found {n}",
            place.volume_ml,
            with_doubt(place.activity_share * 100.0),
            None if place.dose_gy is None else with_doubt(place.dose_gy),
            certainty(place.p_value),
            place.hint,
        )
        for n, place in enumerate(search.places, start=1)
    ]
    rows += [
        (organ.name, "drawn", None, with_doubt(organ.activity_share * 100.0), None, certainty(organ.p_value), "")
        for organ in search.organs
    ]
    columns = ("site", "", "mL", "% of the image", "Gy", "by noise alone", "may be")
    return Table.of(
        columns, rows, "Outside liver and lungs", "extrahepatic", formats=("", "", ".1f", ".3f", ".1f", "", "")
    )


def test_note(test: ExtrahepaticTest) -> str:
    """How the search was made, for reports."""
    blur = f"{test.response_mm:.0f} mm" if test.response_mm else "none"
    return (
        f"Found: noise alone would show a place in at most {test.false_positive_rate:.0%} of images without one; "
        f"{test.searched_ml / 1000:.1f} L searched outside liver, lungs and 10 mm around them, resolution (FWHM) "
        f"{blur}; a point must hold {100 * test.smallest_share:.2f} % of the image to be found. Shares: background and "
        "spill-out taken off, what blur carried out put back. Doses: all decays in place, in the mass within 41 % of "
        "the maximum. A position is no diagnosis: what lies there in most people is a hint. Within the margin, as in "
        "the gallbladder's bed, nothing can be told from the liver."
    )
