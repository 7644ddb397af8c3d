"""Numbers as they are printed: no more digits than they deserve, the same everywhere."""

from __future__ import annotations

import math


def three(value: float | None) -> str:
    """Three significant digits, two below 1: 1234, 123, 12.3, 1.23, 0.12, 0.0012; a dash for None.

    >>> three(1234.5), three(123.4), three(12.345), three(0.1234), three(0.00123), three(0.0), three(None)
    ('1234', '123', '12.3', '0.12', '0.0012', '0', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.995:
        return f"{value:.2g}"
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{value:.{digits}f}"


def significant(value: float | None) -> str:
    """Three significant digits below 1 too, where `three` has two.

    >>> significant(1234.5), significant(12.345), significant(0.2583), significant(0.00123), significant(None)
    ('1234', '12.3', '0.258', '0.00123', '–')
    """
    if value is None or not 0 < abs(value) < 0.9995:
        return three(value)
    return f"{value:.3g}"


def percent(value: float | None) -> str:
    """Percentage with one decimal, whole above 99.95 and at 0.

    >>> percent(12.345), percent(100.0), percent(0.0), percent(0.01)
    ('12.3', '100', '0', '< 0.1')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0 or value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 0.05 else "< 0.1"


LEAST_SHOWN = 1e-6
"""An uncertainty that is less than this of its value does not say how many digits of it to show."""


def with_uncertainty(value: float, sd: float | None) -> str:
    """Value ± standard uncertainty with the digits of the uncertainty; the value alone if it is unknown.

    >>> with_uncertainty(123.4, 2.13), with_uncertainty(123.4, None), with_uncertainty(47.2, 0.0)
    ('123.4 ± 2.1', '123', '47.2')
    >>> with_uncertainty(2.192e-6, 4.5e-8)
    '2.192e-06 ± 4.5e-08'
    >>> with_uncertainty(50.0, 1.2e-9)
    '50.0 ± 1.2e-09'
    """
    if sd is None or sd <= 0:
        return three(value)
    if 0 < abs(value) < 1e-3:
        after = max(0, 1 + math.floor(math.log10(abs(value))) - math.floor(math.log10(sd)))
        return f"{value:.{after}e} ± {sd:.1e}"
    if sd < LEAST_SHOWN * abs(value):
        return f"{three(value)} ± {sd:.1e}"
    digits = max(0, 1 - math.floor(math.log10(sd))) if sd < 10 else 0
    return f"{value:.{digits}f} ± {sd:.{digits}f}"
