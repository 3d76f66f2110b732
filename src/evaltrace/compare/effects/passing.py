"""pass@k and pass^k: any or all of k attempts pass, in both arms and as paired differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import NamedTuple

from evaltrace.compare.effects.differences import (
    Clusters,
    harmonic_mean,
    mean_attempts,
    mean_difference,
    to_clusters,
    usable_clusters,
)
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pair, Pairing, Trial
from evaltrace.comparison import Interval, PassAtK
from evaltrace.stats.intervals import Bounds, effective_wilson, plus_two
from evaltrace.stats.passing import all_of, any_of
from evaltrace.stats.subsets import Subsets

_EACH = 10

Estimate = Callable[[int, int, int], float]
"""From attempts, passes and k, the chance that k attempts pass."""


class _Row(NamedTuple):
    """A pair with its outcomes: attempts and passes of both arms."""

    pair: Pair
    of_baseline: int
    baseline: int
    of_treatment: int
    treatment: int

    @property
    def fewest(self) -> int:
        return min(self.of_baseline, self.of_treatment)


def measure_pass_at_k(pairing: Pairing, options: CompareOptions) -> list[PassAtK]:
    """Estimate pass@k and pass^k for each k up to 10 that half of the pairs have attempts for.

    Beyond 10 for some k, up to the most attempts. Unbiased, never extrapolated: pairs with fewer
    than k attempts in an arm are dropped and counted. Empty without a pair whose trials pass or
    fail.
    """
    rows = [row for pair in pairing.pairs if (row := _row(pair)).fewest > 0]
    most = sorted((row.fewest for row in rows), reverse=True)[: (len(rows) + 1) // 2]
    draws = _Draws(options)
    return [_measure(rows, k, draws) for k in _numbers(most[-1] if most else 0)]


def _numbers(most: int) -> list[int]:
    """Choose the k to show: each up to 10, then about doubled ones, and the most attempts."""
    further, size = [15, 20, 30], 50
    while size < most:
        further += (size, 2 * size, 4 * size)
        size *= 10
    shown = {k for k in (*range(1, _EACH + 1), *further, most) if 0 < k <= most}
    return sorted(shown)


def _row(pair: Pair) -> _Row:
    return _Row(pair, *_outcomes(pair.valid_baseline), *_outcomes(pair.valid_treatment))


def _outcomes(trials: Sequence[Trial]) -> tuple[int, int]:
    known = [trial.passed for trial in trials if trial.passed is not None]
    return len(known), sum(known)


class _Draws:
    """Random subsets of the rows kept at each k, drawn anew only where rows were dropped."""

    def __init__(self, options: CompareOptions) -> None:
        self.options = options
        self._last: tuple[int, Clusters | None, Subsets] | None = None

    def of(self, rows: Sequence[_Row]) -> tuple[Clusters | None, Subsets]:
        """Give the usable clusters of the rows, and their subsets; k only ever grows."""
        if self._last is None or self._last[0] != len(rows):
            options = self.options
            clusters, _ = usable_clusters(to_clusters([row.pair for row in rows], options))
            subsets = Subsets(len(rows), clusters, options.subsets, options.seed)
            self._last = len(rows), clusters, subsets
        return self._last[1:]


def _measure(rows: Sequence[_Row], k: int, draws: _Draws) -> PassAtK:
    kept = [row for row in rows if row.fewest >= k]
    curve = _Curve(kept, k, draws)
    any_baseline, any_treatment, any_difference = curve.intervals(any_of)
    all_baseline, all_treatment, all_difference = curve.intervals(all_of)
    return PassAtK(
        k=k,
        tasks=len(kept),
        dropped=len(rows) - len(kept),
        baseline_any_of=any_baseline,
        treatment_any_of=any_treatment,
        difference_any_of=any_difference,
        baseline_all_of=all_baseline,
        treatment_all_of=all_treatment,
        difference_all_of=all_difference,
    )


class _Curve:
    """The points of both curves at one k; an estimate from n attempts is as noisy as n/k."""

    def __init__(self, rows: Sequence[_Row], k: int, draws: _Draws) -> None:
        self._rows, self._k, self._alpha = rows, k, draws.options.alpha
        self._clusters, self._subsets = draws.of(rows)

    def intervals(self, estimate: Estimate) -> tuple[Interval, Interval, Interval]:
        """Give the baseline's, the treatment's, and the difference."""
        rows, k = self._rows, self._k
        baseline = [estimate(row.of_baseline, row.baseline, k) for row in rows]
        treatment = [estimate(row.of_treatment, row.treatment, k) for row in rows]
        return (
            self._arm(baseline, [row.of_baseline for row in rows]),
            self._arm(treatment, [row.of_treatment for row in rows]),
            self._difference(baseline, treatment),
        )

    def _arm(self, values: Sequence[float], attempts: Sequence[int]) -> Interval:
        equivalent = mean_attempts(attempts) / self._k
        if self._clusters is None:
            bounds = effective_wilson(values, equivalent, self._alpha)
            method = "Wilson interval at the effective number of tasks"
        else:
            bounds = self._subsets.rate(values, equivalent, self._alpha)
            method = "random subsets of groups, with two imaginary ones"
        return _interval(values, bounds, method)

    def _difference(self, baseline: Sequence[float], treatment: Sequence[float]) -> Interval:
        values = [b - a for a, b in zip(baseline, treatment, strict=True)]
        attempts = mean_attempts(
            [harmonic_mean(row.of_baseline, row.of_treatment) for row in self._rows]
        )
        if self._k == 1 and self._clusters is None:
            # The mean pass rate: the same interval as everywhere else.
            bounds, method = plus_two(values, attempts, self._alpha), "plus-two t interval"
        else:
            bounds = self._subsets.mean(values, sqrt(self._k / attempts), self._alpha)
            what = "tasks" if self._clusters is None else "groups"
            method = f"random subsets of {what}, with two imaginary ones"
        return _interval(values, bounds, method)


def _interval(values: Sequence[float], bounds: Bounds, method: str) -> Interval:
    return Interval(
        estimate=mean_difference(values),
        low=bounds.low,
        high=bounds.high,
        n=len(values),
        method=method,
    )
