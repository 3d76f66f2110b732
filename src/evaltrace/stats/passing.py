"""pass@k and pass^k of one task, without bias."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

_EXACT = 300
"""Attempts up to which whole numbers are counted; of more, the same product in floats."""


@lru_cache(maxsize=4096)
def any_of(n: int, c: int, k: int) -> float:
    """Estimate the probability that any of k attempts passes, from c passes in n: pass@k.

    1 - C(n-c, k)/C(n, k): the share of all choices of k of the n attempts that hold a pass.
    ValueError for k > n: nothing is extrapolated. Source: Chen et al. 2021, equation 1.
    """
    _check(n, c, k)
    return 1.0 - _share_of_choices(n, n - c, k)


@lru_cache(maxsize=4096)
def all_of(n: int, c: int, k: int) -> float:
    """Estimate the probability that all of k attempts pass, from c passes in n: pass^k.

    C(c, k)/C(n, k). ValueError for k > n. Source: Yao et al. 2024 (tau-bench).
    """
    _check(n, c, k)
    return _share_of_choices(n, c, k)


def _share_of_choices(n: int, c: int, k: int) -> float:
    """Give C(c, k)/C(n, k): the share of all choices of k that hold none but the c."""
    if k > c:
        return 0.0
    if n <= _EXACT:
        return math.comb(c, k) / math.comb(n, k)
    # The same as C(n-k, n-c)/C(n, n-c): the product with fewer factors.
    few, left = (k, c) if k <= n - c else (n - c, n - k)
    drawn = np.arange(few)
    return float(np.prod((left - drawn) / (n - drawn)))


def _check(n: int, c: int, k: int) -> None:
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"no estimate for {k} attempts from {c} passes in {n}")
