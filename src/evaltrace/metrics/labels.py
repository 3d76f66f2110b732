"""Label values: clean, short, and no more of them than a time series database likes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from evaltrace.untrusted import one_line

MOST_VALUES = 50
"""Values that one label has at most; what is rarer is counted together."""

REST = "other"
"""The value of what is rarer, and of nothing else: who calls a thing `other` lands there too."""

_WIDTH = 100

Sums: TypeAlias = dict[tuple[str, ...], tuple[float, ...]]
"""Label values, and the numbers that belong to them."""


def label(value: str | None) -> str:
    """Write a value from outside as a label; absent is empty, which Prometheus takes as absent."""
    return one_line(str(value), _WIDTH) if value else ""


def fold(
    rows: Iterable[tuple[Sequence[str | None], Sequence[float]]], most: int = MOST_VALUES
) -> Sums:
    """Sum rows of (label values, numbers) by label, with at most `most` values of each and REST.

    Those are kept whose first number is largest in all; of equals the first by name.
    """
    sums = _summed((tuple(map(label, values)), tuple(numbers)) for values, numbers in rows)
    width = len(next(iter(sums), ()))
    kept = [_most_frequent(sums, position, most) for position in range(width)]
    renamed = (
        (tuple(v if v in k else REST for v, k in zip(values, kept, strict=True)), numbers)
        for values, numbers in sums.items()
    )
    return dict(sorted(_summed(renamed).items()))


def _summed(rows: Iterable[tuple[tuple[str, ...], tuple[float, ...]]]) -> Sums:
    sums: Sums = {}
    for values, numbers in rows:
        before = sums.get(values, (0,) * len(numbers))
        sums[values] = tuple(a + b for a, b in zip(before, numbers, strict=True))
    return sums


def _most_frequent(sums: Sums, position: int, most: int) -> set[str]:
    weights: defaultdict[str, float] = defaultdict(float)
    for values, numbers in sums.items():
        weights[values[position]] += numbers[0]
    return set(sorted(weights, key=lambda value: (-weights[value], value))[:most])
