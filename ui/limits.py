"""Ranges of the numbers that requests hold: what sliders give, and programs may send."""

from __future__ import annotations

STEPS = (1, 100)
SEEDS = (0, 2**31 - 1)


def require_within(request: object, **ranges: tuple[float, float]) -> None:
    """Check numbers of a request.

    Args:
        request: an object with these attributes.
        **ranges: lowest and highest value of each.

    Raises:
        ValueError: naming the first that is outside, or no number.
    """
    for name, (low, high) in ranges.items():
        value = getattr(request, name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and low <= value <= high):  # nan is not within, either
            raise ValueError(f"{name} {value!r}: expected a number from {low:g} to {high:g}")
