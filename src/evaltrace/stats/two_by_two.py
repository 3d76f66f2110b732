"""Published methods for counts: one proportion, paired and unpaired tables of two by two.

Paired tables count tasks: `only_b` passed in b alone, `only_a` in a alone. Differences are b
minus a. These methods are for single attempts at each task.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from evaltrace.stats.arrays import check_alpha
from evaltrace.stats.compiled import special
from evaltrace.stats.intervals import UNBOUNDED, Bounds, wilson
from evaltrace.stats.quantiles import normal_quantile, normal_two_sided


class McNemar(NamedTuple):
    """Two-sided p: by chi-squared, the same with continuity correction, exact, and mid-p."""

    asymptotic: float
    corrected: float
    exact: float
    mid_p: float


class Estimate(NamedTuple):
    """An estimate with its standard error and interval."""

    estimate: float
    error: float
    low: float
    high: float


class StratifiedTest(NamedTuple):
    """A chi-squared statistic of one degree of freedom and its p."""

    statistic: float
    p: float


def _check(*counts: float) -> None:
    if any(not (math.isfinite(count) and count >= 0) for count in counts):
        raise ValueError("a count is a number of 0 or more")


def clopper_pearson(x: float, n: float, alpha: float = 0.05) -> Bounds:
    """Bound a proportion by inverting two one-sided binomial tests.

    Quantiles of Beta(x, n-x+1) and Beta(x+1, n-x). Never covers too seldom; wide.
    Source: Clopper & Pearson 1934.
    """
    check_alpha(alpha)
    _check(x, n - x)
    if n == 0:
        return UNBOUNDED
    low = float(special().betaincinv(x, n - x + 1, alpha / 2)) if x > 0 else 0.0
    high = float(special().betaincinv(x + 1, n - x, 1 - alpha / 2)) if x < n else 1.0
    return Bounds(low, high)


def mcnemar(only_b: int, only_a: int) -> McNemar:
    """Test whether as many tasks passed in b alone as in a alone.

    (b-c)^2/(b+c) against chi-squared, with (|b-c|-1)^2 if corrected; exact: twice the tail of
    Binomial(b+c, 1/2), mid-p with half the weight of the table seen. No flips: 1.
    Source: McNemar 1947; Fagerland, Lydersen & Laake 2013.
    """
    _check(only_b, only_a)
    n, fewer, gap = only_b + only_a, min(only_b, only_a), abs(only_b - only_a)
    if n == 0:
        return McNemar(1.0, 1.0, 1.0, 1.0)
    seen = math.comb(n, fewer) / 2**n
    tail = 2 * sum(math.comb(n, x) for x in range(fewer + 1)) / 2**n
    root = math.sqrt(n)
    return McNemar(
        normal_two_sided(gap / root),
        normal_two_sided(max(gap - 1, 0) / root),
        min(1.0, tail),
        tail - seen if gap else 1 - seen / 2,
    )


def wald(only_b: int, only_a: int, n: int, alpha: float = 0.05) -> Bounds:
    """Bound the paired difference by z sqrt(b + c - (b-c)^2/n)/n; covers too seldom for few."""
    check_alpha(alpha)
    _check(only_b, only_a, n - only_b - only_a)
    if n == 0:
        return UNBOUNDED
    gap = only_b - only_a
    half = normal_quantile(1 - alpha / 2) * math.sqrt(only_b + only_a - gap * gap / n) / n
    return Bounds(gap / n - half, gap / n + half)


def bonett_price(only_b: int, only_a: int, n: int, alpha: float = 0.05) -> Estimate:
    """Bound the paired difference with one imaginary task added to each kind of flip.

    The plus-two interval with z at one attempt. Source: Bonett & Price 2012.
    """
    check_alpha(alpha)
    _check(only_b, only_a, n - only_b - only_a)
    up, down = (only_b + 1) / (n + 2), (only_a + 1) / (n + 2)
    error = math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    half = normal_quantile(1 - alpha / 2) * error
    gap = up - down
    return Estimate(gap, error, max(gap - half, -1.0), min(gap + half, 1.0))


def tango(only_b: int, only_a: int, n: int, alpha: float = 0.05) -> Bounds:
    """Bound the paired difference by inverting the score test. Source: Tango 1998."""
    check_alpha(alpha)
    _check(only_b, only_a, n - only_b - only_a)
    if n == 0:
        return UNBOUNDED
    z = normal_quantile(1 - alpha / 2)
    seen = (only_b - only_a) / n

    def furthest(end: float) -> float:
        """Walk from the estimate towards `end` as far as the score test does not reject."""
        inside, outside = seen, end
        for _ in range(100):
            middle = (inside + outside) / 2
            if abs(_score(only_b, only_a, n, middle)) <= z:
                inside = middle
            else:
                outside = middle
        return inside

    return Bounds(furthest(-1.0), furthest(1.0))


def _score(only_b: int, only_a: int, n: int, difference: float) -> float:
    """Standardise the seen difference by its variance under a true difference."""
    linear = (2 * n - only_b + only_a) * difference - only_b - only_a
    constant = -only_a * difference * (1 - difference)
    root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
    down = (root - linear) / (4 * n)
    gap = only_b - only_a - n * difference
    square = n * (2 * down + difference * (1 - difference))
    return gap / math.sqrt(square) if square > 0 else math.copysign(math.inf, gap) if gap else 0.0


def newcombe(both: int, only_b: int, only_a: int, none: int, alpha: float = 0.05) -> Bounds:
    """Bound the paired difference by squaring and adding Wilson's distances, correlated.

    Source: Newcombe 1998, method 10.
    """
    check_alpha(alpha)
    _check(both, only_b, only_a, none)
    n = both + only_b + only_a + none
    if n == 0:
        return UNBOUNDED
    p_b, p_a = (both + only_b) / n, (both + only_a) / n
    (below_b, above_b), (below_a, above_a) = _distances(p_b, n, alpha), _distances(p_a, n, alpha)
    phi = _correlation(both, only_b, only_a, none)

    def length(of_b: float, of_a: float) -> float:
        return math.sqrt(max(of_b**2 - 2 * phi * of_b * of_a + of_a**2, 0.0))

    gap = p_b - p_a
    return Bounds(gap - length(below_b, above_a), gap + length(above_b, below_a))


def _distances(p: float, n: int, alpha: float) -> tuple[float, float]:
    """Say how far Wilson's bounds lie below and above the proportion."""
    low, high = wilson(p, n, alpha)
    return p - (0.0 if low is None else low), (1.0 if high is None else high) - p


def _correlation(both: int, only_b: int, only_a: int, none: int) -> float:
    """Correlate the two arms, drawn towards 0 by half a task of each kind."""
    n = both + only_b + only_a + none
    margins = (both + only_b) * (only_a + none) * (both + only_a) * (only_b + none)
    if margins == 0:
        return 0.0
    product = both * none - only_b * only_a
    corrected = max(product - n / 2, 0.0) if product > 0 else product
    return corrected / math.sqrt(margins)


def fisher_exact(passed_a: int, of_a: int, passed_b: int, of_b: int) -> float:
    """Test two unpaired proportions; all tables as likely as the one seen, or less, count.

    Source: Fisher 1935, section 21.1.
    """
    _check(passed_a, of_a - passed_a, passed_b, of_b - passed_b)
    passed = passed_a + passed_b
    ways = [
        math.comb(of_b, x) * math.comb(of_a, passed - x)
        for x in range(max(0, passed - of_a), min(of_b, passed) + 1)
    ]
    seen = math.comb(of_b, passed_b) * math.comb(of_a, passed_a)
    return sum(way for way in ways if way <= seen) / math.comb(of_a + of_b, passed)


def cochran_mantel_haenszel(strata: Iterable[tuple[int, int, int, int]]) -> StratifiedTest:
    """Test a common odds ratio of 1 over tables (a, b, c, d), without continuity correction.

    (sum of a - E a)^2 / sum of Var a. Holds the tasks fixed: of tasks whose effects differ it
    rejects too often. Source: Mantel & Haenszel 1959.
    """
    gap, spread = 0.0, 0.0
    for a, b, c, d in strata:
        _check(a, b, c, d)
        n = a + b + c + d
        if n < 2:
            continue
        gap += a - (a + b) * (a + c) / n
        spread += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1))
    statistic = gap * gap / spread if spread > 0 else 0.0
    return StratifiedTest(statistic, normal_two_sided(math.sqrt(statistic)))
