"""A structure has one colour wherever it is named."""

from __future__ import annotations

from hepatica.report.figures.palette import ALIKE, SCREEN_COLOURS, difference, styles_by_name

KINDS = {
    "Liver": "liver", "Tumour 1": "tumour", "Tumour 2": "tumour", "Tumour 7": "tumour", "Perfused right": "perfused",
    "Lungs": "lung", "Stomach": "other", "Gallbladder": "other", "normal liver": "normal_liver",
}  # fmt: skip


def test_a_colour_depends_on_the_name_not_on_the_order() -> None:
    styles = styles_by_name(KINDS)
    assert styles_by_name(dict(reversed(KINDS.items()))) == styles
    assert len(set(styles.values())) == len(KINDS)
    for name in ("Liver", "Tumour 1", "Tumour 7", "Perfused right"):
        assert styles_by_name({name: KINDS[name]})[name] == styles[name]


def test_many_structures_still_differ_as_long_as_styles_are_left() -> None:
    styles = styles_by_name({f"Tumour {n}": "tumour" for n in range(1, 33)})
    assert len(set(styles.values())) == 32


def test_screen_colours_are_seen_on_white_and_on_black() -> None:
    for colour in SCREEN_COLOURS:
        parts = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue  # WCAG 2.2, relative luminance
        assert 1.05 / (luminance + 0.05) >= 3
        assert (luminance + 0.05) / 0.05 >= 3
    pairs = [(a, b) for n, a in enumerate(SCREEN_COLOURS) for b in SCREEN_COLOURS[:n]]
    assert min(difference(a, b) for a, b in pairs) >= ALIKE
