"""A structure has one colour wherever it is named."""

from __future__ import annotations

import numpy as np
import pytest

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
        assert (luminance + 0.05) / (0.0144 + 0.05) >= 3  # the card of the dark page, #1b2129
    pairs = _pairs()
    assert min(difference(a, b) for a, b in pairs) >= ALIKE


def _pairs() -> list[tuple[str, str]]:
    return [(a, b) for n, a in enumerate(SCREEN_COLOURS) for b in SCREEN_COLOURS[:n]]


BLIND = {
    "red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""Linear RGB as who sees no red, green or blue light sees it: Machado et al., IEEE TVCG 2009;15:1291, severity 1."""


@pytest.mark.parametrize("kind", BLIND)
def test_screen_colours_are_told_apart_by_the_colour_blind(kind: str) -> None:
    assert min(difference(_seen(a, kind), _seen(b, kind)) for a, b in _pairs()) >= 1.2 * ALIKE


def _seen(colour: str, kind: str) -> str:
    parts = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(BLIND[kind]) @ linear, 0, 1)
    back = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * part):02X}" for part in back)
