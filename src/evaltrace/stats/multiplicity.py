"""Adjusted p where several questions are asked at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaltrace.stats.arrays import to_rates


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p so that any false finding among them has probability alpha at most.

    The i-th smallest of m is multiplied by m - i + 1, then made monotone and cut at 1. Valid
    under any dependence. Source: Holm 1979.
    """
    values = to_rates(p, "p")
    order = np.argsort(values, kind="stable")
    steps = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(values[order] * steps).clip(max=1.0)
    return [float(value) for value in adjusted]


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjust p so that of what is called a finding a share of alpha at most is false.

    The i-th smallest of m is multiplied by m/i, then made monotone from above. Valid for
    independent or positively dependent tests. Source: Benjamini & Hochberg 1995.
    """
    values = to_rates(p, "p")
    m = len(values)
    order = np.argsort(values, kind="stable")[::-1]
    steps = m / np.arange(m, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum.accumulate(values[order] * steps).clip(max=1.0)
    return [float(value) for value in adjusted]
