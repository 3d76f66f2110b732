"""Random-subset intervals: the sign-flip test turned into an interval, for what is awkward.

The statistic is computed on many subsets in which every unit (a task, or a whole cluster of
tasks) is kept with probability 1/2; the interval runs from the alpha/2 point of those values to
the 1 - alpha/2 point. Up to 15 units all subsets are taken, and no seed matters; beyond that,
`count` random ones. Order statistics are k = floor((B+1) alpha/2) from either end of B values.

Assumes independent units whose contributions scatter about evenly around the truth; one cluster
with more than three in ten tasks strains that. A generalisation over clusters needs five.
Source: Hartigan 1969 ("typical values"); the imaginary units are our extension of Bonett & Price.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaltrace.stats.arrays import (
    Clusters,
    Vector,
    check_alpha,
    to_rates,
    to_vector,
    unit_sums,
)
from evaltrace.stats.bits import Kept, every_subset, kept_sums, random_subsets
from evaltrace.stats.intervals import UNBOUNDED, Bounds

FEWEST_CLUSTERS = 5
"""With fewer, an interval over clusters says nothing."""

_ENUMERATED = 15
_AT_A_TIME = 4
"""Ratios whose sums are in memory together."""

Rows = NDArray[np.float64]


class Subsets:
    """The subsets of `n` tasks, drawn once and shared by several statistics.

    `clusters` has a name for each task; tasks of one name are kept or left together.
    """

    def __init__(
        self, n: int, clusters: Clusters | None = None, count: int = 20_000, seed: int = 1
    ) -> None:
        if count < 100 or seed < 0:
            raise ValueError("at least 100 subsets, and a seed of 0 or more")
        if clusters is not None and len(clusters) != n:
            raise ValueError(f"clusters: expected {n} values, not {len(clusters)}")
        self._n, self._clusters, self._count, self._seed = n, clusters, count, seed
        self.units = len(unit_sums(np.ones((n, 1)), clusters))
        self._kept: dict[int, Kept] = {}
        self._sizes: dict[int, Vector] = {}

    def _draw(self, units: int) -> Kept:
        if units > _ENUMERATED:
            # One draw is wide enough for the imaginary units too, and serves every statistic.
            units = max(units, self.units + 2)
        if units not in self._kept:
            self._kept[units] = (
                every_subset(units)
                if units <= _ENUMERATED
                else random_subsets(units, self._count, self._seed)
            )
        return self._kept[units]

    def _sums(self, rows: Rows) -> Rows:
        return kept_sums(self._draw(len(rows)), rows)

    def _rows(self, *columns: ArrayLike) -> Rows:
        vectors = [to_vector(column, length=self._n) for column in columns]
        return unit_sums(np.column_stack(vectors), self._clusters)

    def mean(self, d: ArrayLike, pseudo: float | None = None, alpha: float = 0.05) -> Bounds:
        """Bound the mean of `d` over tasks; `pseudo` adds a unit of +pseudo and one of -pseudo.

        1/sqrt(attempts) for differences of rewards, sqrt(j/attempts) for those of pass@j, None
        for quantities without limits.
        """
        check_alpha(alpha)
        if self._n == 0:
            return UNBOUNDED
        rows = self._rows(d, np.ones(self._n))
        upright, upended = _sorted(rows), _sorted(rows * (-1.0, 1.0))
        # Either orientation is computed on the same rows, so that swapping arms mirrors exactly.
        mirrored = _is_after(upended, upright)
        rows = upended if mirrored else upright
        imaginary = [] if pseudo is None else [(pseudo, 1.0), (-pseudo, 1.0)]
        low, high = self._bounds_of_means(rows, imaginary, alpha)
        if low is None or high is None:
            return UNBOUNDED
        if np.array_equal(upright, upended):
            low, high = min(low, -high), max(high, -low)
        return Bounds(0.0 - high, 0.0 - low) if mirrored else Bounds(low, high)

    def rate(self, x: ArrayLike, attempts: float, alpha: float = 0.05) -> Bounds:
        """Bound one arm's mean reward, with imaginary units 1/2 -+ 1/(2 sqrt(attempts))."""
        check_alpha(alpha)
        if not attempts >= 1:
            raise ValueError("attempts must be 1 or more")
        if self._n == 0:
            return UNBOUNDED
        rows = _sorted(self._rows(to_rates(x, "x"), np.ones(self._n)))
        h = 0.5 / math.sqrt(attempts)
        return self._bounds_of_means(rows, [(0.5 + h, 1.0), (0.5 - h, 1.0)], alpha)

    def _bounds_of_means(
        self, rows: Rows, imaginary: list[tuple[float, float]], alpha: float
    ) -> Bounds:
        total, size = self._totals(np.vstack([rows, *imaginary]) if imaginary else rows)
        some = size > 0
        return _ends(total[some] / size[some], alpha)

    def _totals(self, rows: Rows) -> tuple[Vector, Vector]:
        """Add up values and tasks; units of one task each are counted once for all statistics."""
        if (rows[:, 1] != 1).any():
            total, size = self._sums(rows)
            return total, size
        units = len(rows)
        if units not in self._sizes:
            self._sizes[units] = self._sums(rows[:, 1:])[0]
        return self._sums(rows[:, :1])[0], self._sizes[units]

    def ratio(self, top: ArrayLike, bottom: ArrayLike, alpha: float = 0.05) -> Bounds:
        """Bound sum(top)/sum(bottom); None on the side on which too many subsets have no bottom.

        The ratio of two bills, or the complier effect (differences over differences in use).
        A subset of neither top nor bottom says nothing: it counts against both ends.
        """
        return self.ratios([(top, bottom)], alpha)[0]

    def ratios(
        self, amounts: Sequence[tuple[ArrayLike, ArrayLike]], alpha: float = 0.05
    ) -> list[Bounds]:
        """Bound several ratios as `ratio` does each: a few share a pass over the subsets."""
        check_alpha(alpha)
        if self._n == 0 or not amounts:
            return [UNBOUNDED] * len(amounts)
        oriented = [_oriented(self._rows(top, bottom)) for top, bottom in amounts]
        return [
            bounds
            for first in range(0, len(oriented), _AT_A_TIME)
            for bounds in self._bounds_of_ratios(oriented[first : first + _AT_A_TIME], alpha)
        ]

    def _bounds_of_ratios(self, oriented: list[tuple[Rows, bool]], alpha: float) -> list[Bounds]:
        sums = self._sums(np.hstack([rows for rows, _ in oriented]))
        found = []
        for (_, inverted), top, bottom in zip(oriented, sums[::2], sums[1::2], strict=True):
            ends = _ends(_quotients(top, bottom), alpha)
            found.append(_inverse(ends) if inverted else ends)
        return found

    def ratio_of_ratios(
        self,
        top_b: ArrayLike,
        bottom_b: ArrayLike,
        top_a: ArrayLike,
        bottom_a: ArrayLike,
        alpha: float = 0.05,
    ) -> Bounds:
        """Bound (sum top_b/sum bottom_b) / (sum top_a/sum bottom_a): cost per solved task.

        All amounts must be 0 or more (ValueError).
        """
        check_alpha(alpha)
        if self._n == 0:
            return UNBOUNDED
        rows = self._rows(top_b, bottom_b, top_a, bottom_a)
        if rows.min() < 0:
            raise ValueError("a ratio of ratios needs amounts of 0 or more")
        upright, swapped = _sorted(rows), _sorted(rows[:, [2, 3, 0, 1]])
        inverted = _is_after(swapped, upright)
        first = self._sums(swapped if inverted else upright)
        ends = _ends(_quotients(first[0] * first[3], first[1] * first[2]), alpha)
        return _inverse(ends) if inverted else ends


def _sorted(rows: Rows) -> Rows:
    """Bring units into an order that does not depend on the order of the input."""
    return rows[np.lexsort(rows.T[::-1])]


def _oriented(rows: Rows) -> tuple[Rows, bool]:
    """Order units, and swap amounts of 0 or more so that swapped arms give the same rows."""
    upright, swapped = _sorted(rows), _sorted(rows[:, ::-1])
    inverted = bool(rows.min() >= 0) and _is_after(swapped, upright)
    return (swapped if inverted else upright), inverted


def _is_after(rows: Rows, others: Rows) -> bool:
    return bool(rows.ravel().tolist() > others.ravel().tolist())


def _quotients(top: Vector, bottom: Vector) -> Vector:
    """Divide; x/0 is infinite with the sign of x, 0/0 is not a number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotients: Vector = top / bottom
    return quotients


def _ends(values: Vector, alpha: float) -> Bounds:
    """Read off the order statistics; undefined values count against both ends."""
    count = len(values)
    rank = math.floor((count + 1) * alpha / 2 + 1e-9)
    if rank < 1:
        return UNBOUNDED
    undefined = np.isnan(values)
    if undefined.any():
        low = float(np.partition(np.where(undefined, -np.inf, values), rank - 1)[rank - 1])
        high = float(np.partition(np.where(undefined, np.inf, values), count - rank)[count - rank])
    else:
        ordered = np.partition(values, (rank - 1, count - rank))
        low, high = float(ordered[rank - 1]), float(ordered[count - rank])
    return Bounds(low if math.isfinite(low) else None, high if math.isfinite(high) else None)


def _inverse(ends: Bounds) -> Bounds:
    """Turn the interval of a ratio of amounts into that of its inverse."""
    low, high = ends
    if low is None and high is None:
        return UNBOUNDED
    return Bounds(
        0.0 if high is None else 1 / high if high > 0 else None,
        None if low is None or low == 0 else 1 / low,
    )


def subset_mean(
    d: ArrayLike,
    clusters: Clusters | None = None,
    *,
    pseudo: float | None,
    alpha: float = 0.05,
    seed: int = 1,
    count: int = 20_000,
) -> Bounds:
    """Bound a mean of differences by random subsets; see `Subsets.mean`."""
    return Subsets(np.size(d), clusters, count, seed).mean(d, pseudo, alpha)


def subset_rate(
    x: ArrayLike,
    attempts: float,
    clusters: Clusters | None = None,
    *,
    alpha: float = 0.05,
    seed: int = 1,
    count: int = 20_000,
) -> Bounds:
    """Bound one arm's mean reward by random subsets; see `Subsets.rate`."""
    return Subsets(np.size(x), clusters, count, seed).rate(x, attempts, alpha)


def subset_ratio(
    top: ArrayLike,
    bottom: ArrayLike,
    clusters: Clusters | None = None,
    *,
    alpha: float = 0.05,
    seed: int = 1,
    count: int = 20_000,
) -> Bounds:
    """Bound a ratio of totals by random subsets; see `Subsets.ratio`."""
    return Subsets(np.size(top), clusters, count, seed).ratio(top, bottom, alpha)


def subset_ratio_of_ratios(  # noqa: PLR0913 - four amounts are the question
    top_b: ArrayLike,
    bottom_b: ArrayLike,
    top_a: ArrayLike,
    bottom_a: ArrayLike,
    clusters: Clusters | None = None,
    *,
    alpha: float = 0.05,
    seed: int = 1,
    count: int = 20_000,
) -> Bounds:
    """Bound a ratio of two ratios of totals by random subsets; see `Subsets.ratio_of_ratios`."""
    subsets = Subsets(np.size(top_b), clusters, count, seed)
    return subsets.ratio_of_ratios(top_b, bottom_b, top_a, bottom_a, alpha)
