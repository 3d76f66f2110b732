"""Amounts and counts in the sentences of a comparison."""

from __future__ import annotations

from evaltrace.figures import difference as signed
from evaltrace.figures import size as amount
from evaltrace.quantities import counted, percent

__all__ = ["amount", "compact", "counted", "percent", "signed"]


def compact(number: float) -> str:
    """Write a change with its sign in few characters: +340, +3.2k, -1.4M."""
    for unit, size in (("", 1.0), ("k", 1e3), ("M", 1e6)):
        if abs(number) < size * 999.5 or unit == "M":
            return f"{number:+.0f}" if not unit else f"{number / size:+.1f}{unit}"
    raise AssertionError
