"""Amounts in sentences: points for rewards, plain numbers with their unit for the rest."""

from __future__ import annotations

from evaltrace.comparison import Metric

_UNITS = {"usd": " dollars", "s": " s", "ms": " ms", "tokens": " tokens"}


def signed(value: float | None, metric: Metric) -> str:
    """Write a difference with its sign and unit: +7.4 points, -0.02 dollars."""
    if value is None:
        return "unknown"
    if metric.kind == "number":
        figure = f"{value:+.3g}" if abs(value) < 1000 else f"{value:+,.0f}"
        return f"{figure}{_UNITS.get(metric.unit or '', '')}"
    figure = f"{100 * value:+.1f}"
    return f"{'0.0' if figure in ('+0.0', '-0.0') else figure} points"


def amount(value: float | None, metric: Metric) -> str:
    """Write the size of a difference with its unit: 7.4 points."""
    return signed(None if value is None else abs(value), metric).lstrip("+")


def counted(number: int, word: str) -> str:
    """Write a count and its word in the right number: 1 task, 2 tasks."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def compact(number: float) -> str:
    """Write a change with its sign in few characters: +340, +3.2k, -1.4M."""
    for unit, size in (("", 1.0), ("k", 1e3), ("M", 1e6)):
        if abs(number) < size * 999.5 or unit == "M":
            return f"{number:+.0f}" if not unit else f"{number / size:+.1f}{unit}"
    raise AssertionError
