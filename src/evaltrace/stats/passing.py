"""pass@k and pass^k of one task, without bias."""

from __future__ import annotations

import math
from functools import lru_cache


@lru_cache(maxsize=4096)
def any_of(n: int, c: int, k: int) -> float:
    """Estimate the probability that any of k attempts passes, from c passes in n: pass@k.

    1 - C(n-c, k)/C(n, k): the share of all choices of k of the n attempts that hold a pass.
    ValueError for k > n: nothing is extrapolated. Source: Chen et al. 2021, equation 1.
    """
    _check(n, c, k)
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


@lru_cache(maxsize=4096)
def all_of(n: int, c: int, k: int) -> float:
    """Estimate the probability that all of k attempts pass, from c passes in n: pass^k.

    C(c, k)/C(n, k). ValueError for k > n. Source: Yao et al. 2024 (tau-bench).
    """
    _check(n, c, k)
    return math.comb(c, k) / math.comb(n, k)


def _check(n: int, c: int, k: int) -> None:
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"no estimate for {k} attempts from {c} passes in {n}")
