"""Numbers as a person reads them."""

from __future__ import annotations


def digits(number: float) -> str:
    """Three digits that count: 0.123, 1.23, 12.3, 123, 1,230,000; a small whole number is one: 5."""
    if number == int(number) and abs(number) < 100:
        return f"{number:.0f}"
    rounded = float(f"{number:.3g}")
    size = abs(rounded)
    return f"{rounded:,.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def plain(number: float) -> str:
    """A number that was chosen, as it was chosen: 2.4, 6, 1,500,000."""
    return f"{number:,.10g}"
