"""Two structures whose colours look alike never have the same dashes."""

from itertools import combinations

from hepatica.report.figures.palette import ALIKE, ORGAN_COLOURS, difference, structure_styles


def test_structures_that_look_alike_differ_in_their_dashes() -> None:
    kinds = [*ORGAN_COLOURS, *["tumour"] * 6, "necrosis", *["other"] * 4]
    styles = structure_styles(kinds)
    assert len(set(styles)) == len(kinds)
    alike = [
        (a, b)
        for a, b in combinations(styles, 2)
        if a.dashes == b.dashes and difference(*(s.colour for s in (a, b))) < ALIKE
    ]
    assert alike == []


def test_organs_come_to_their_own_colour_whatever_stands_before_them() -> None:
    styles = structure_styles(["other", "tumour", "liver"])
    assert styles[2] == (ORGAN_COLOURS["liver"], "solid")


def test_differences_of_colours_are_those_of_lab() -> None:
    """White is L* 100, black L* 0, both without colour; red against green of sRGB is 170.6 (Bruce Lindbloom, CIE76)."""
    assert abs(difference("#FFFFFF", "#000000") - 100) < 0.05
    assert abs(difference("#FF0000", "#00FF00") - 170.6) < 0.5
    assert difference("#123456", "#123456") == 0
