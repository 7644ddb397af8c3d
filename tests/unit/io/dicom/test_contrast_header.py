"""What a CT header says of contrast agent, in the words that people type."""

from __future__ import annotations

import pytest

from hepatica.io.dicom.images.ct import names_no_agent


@pytest.mark.parametrize(
    "text",
    [
        "", "NONE", "no contrast", "No IV contrast", "without contrast", "w/o", "W/O CONTRAST", "non-contrast",
        "NONCONTRAST",
        "non enhanced", "ohne KM", "ohne Kontrastmittel", "sans injection", "sans produit de contraste",
        "sin contraste",
        "contrast not given", "Native", "unenhanced CT", "N/A",
    ],
)  # fmt: skip
def test_words_for_no_contrast(text: str) -> None:
    assert names_no_agent(text)


@pytest.mark.parametrize(
    "text",
    [
        "Iomeron 400",
        "CONTRAST",
        "IV",
        "ORAL & IV",
        "non-ionic 300",
        "NONIONIC",
        "no oral, Omnipaque 350 iv",
        "native, km",
    ],
)
def test_words_that_name_an_agent(text: str) -> None:
    assert not names_no_agent(text)
