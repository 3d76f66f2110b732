"""Published methods for paired amounts: t, equivalence, ranks, clusters, ratios of means."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from evaltrace.stats.arrays import Clusters, Vector, check_alpha, to_vector, unit_sums
from evaltrace.stats.intervals import UNBOUNDED, Bounds, mean_and_error
from evaltrace.stats.quantiles import t_above, t_quantile, t_two_sided


class PairedT(NamedTuple):
    """The t statistic of a mean, its two-sided p and the interval."""

    t: float
    p: float
    low: float
    high: float


class Equivalence(NamedTuple):
    """p of "outside the margins", and of each margin alone."""

    p: float
    p_lower: float
    p_upper: float


class SignedRank(NamedTuple):
    """The sum of positive ranks, its exact p, and the Hodges-Lehmann estimate with interval."""

    statistic: float
    p: float
    estimate: float
    low: float
    high: float


class ClusteredErrors(NamedTuple):
    """Standard errors of a mean: of independent tasks, and three for clusters of tasks."""

    plain: float
    cr0: float
    cr1: float
    cr3: float


def _pairs(values: ArrayLike, name: str = "d", length: int | None = None) -> Vector:
    vector = to_vector(values, name, length=length)
    if len(vector) < 2:
        raise ValueError(f"{name}: two values at least")
    return vector


def paired_t(d: ArrayLike, alpha: float = 0.05) -> PairedT:
    """Test and bound a mean of differences by t with n-1 degrees of freedom.

    ValueError for fewer than two values, or equal ones. Source: Student 1908.
    """
    check_alpha(alpha)
    vector = _pairs(d)
    mean, error = mean_and_error(vector)
    if error == 0:
        raise ValueError("d: values that are all equal have no t")
    freedom = len(vector) - 1
    half = t_quantile(1 - alpha / 2, freedom) * error
    return PairedT(mean / error, t_two_sided(mean / error, freedom), mean - half, mean + half)


def tost(d: ArrayLike, low: float, high: float) -> Equivalence:
    """Test whether a mean lies between two margins by two one-sided t tests.

    Source: Schuirmann 1987; Lakens 2017.
    """
    vector = _pairs(d)
    mean, error = mean_and_error(vector)
    if error == 0:
        raise ValueError("d: values that are all equal have no t")
    freedom = len(vector) - 1
    above, below = t_above((mean - low) / error, freedom), t_above((high - mean) / error, freedom)
    return Equivalence(max(above, below), above, below)


def wilcoxon(d: ArrayLike, alpha: float = 0.05) -> SignedRank:
    """Test symmetry about 0 by signed ranks, exactly; bound the pseudo-median.

    The interval runs between order statistics of all averages of two values. ValueError for
    zeros and ties: the exact distribution knows none. Source: Wilcoxon 1945; Hollander & Wolfe
    1973.
    """
    check_alpha(alpha)
    vector = _pairs(d)
    sizes = np.sort(np.abs(vector))
    if sizes[0] == 0 or (np.diff(sizes) == 0).any():
        raise ValueError("d: zeros and ties have no exact distribution of ranks")
    n = len(vector)
    ranks = np.argsort(np.argsort(np.abs(vector))) + 1
    statistic = int(ranks[vector > 0].sum())
    chances = _rank_sums(n)
    p = 2 * min(chances[: statistic + 1].sum(), chances[statistic:].sum())
    first, second = np.triu_indices(n)
    averages = np.sort((vector[first] + vector[second]) / 2)
    rank = max(1, int(np.searchsorted(chances.cumsum(), alpha / 2 - 1e-12)))
    return SignedRank(
        float(statistic),
        min(1.0, float(p)),
        float(np.median(averages)),
        float(averages[rank - 1]),
        float(averages[-rank]),
    )


def _rank_sums(n: int) -> Vector:
    """Give the distribution of the sum of positive ranks, each kept with probability 1/2."""
    chances = np.zeros(n * (n + 1) // 2 + 1)
    chances[0] = 1.0
    filled = 1
    for rank in range(1, n + 1):
        halves = chances[:filled] / 2
        chances[:filled] = halves
        chances[rank : rank + filled] += halves
        filled += rank
    return chances


def clustered_errors(d: ArrayLike, clusters: Clusters) -> ClusteredErrors:
    """Give standard errors of a mean whose values come in clusters.

    With residual sums u_g of G clusters of n_g among n: CR0 = sqrt(sum u_g^2)/n; CR1 = CR0
    sqrt(G/(G-1)); CR3, the jackknife, = sqrt((G-1)/G sum (u_g/(1 - n_g/n))^2)/n. All too small
    where clusters are few or unequal. ValueError for fewer than two clusters. Source: Liang & Zeger
    1986; Bell & McCaffrey 2002; Miller 2024 uses CR0, Inspect AI CR1.
    """
    vector = _pairs(d)
    mean, plain = mean_and_error(vector)
    n = len(vector)
    sums = unit_sums(np.column_stack([vector - mean, np.ones(n)]), clusters)
    groups = len(sums)
    if groups < 2:
        raise ValueError("clusters: two at least")
    residuals, sizes = sums.T
    cr0 = math.sqrt(math.fsum(residuals**2)) / n
    cr3 = math.sqrt((groups - 1) / groups * math.fsum((residuals / (1 - sizes / n)) ** 2)) / n
    return ClusteredErrors(plain, cr0, cr0 * math.sqrt(groups / (groups - 1)), cr3)


def _moments(top: ArrayLike, bottom: ArrayLike) -> tuple[Vector, np.ndarray, int]:
    """Give both means, the covariance matrix of the means, and n."""
    first = _pairs(top, "top")
    second = _pairs(bottom, "bottom", len(first))
    both = np.vstack([first, second])
    return both.mean(axis=1), np.cov(both) / len(first), len(first)


def fieller(top: ArrayLike, bottom: ArrayLike, alpha: float = 0.05) -> Bounds:
    """Bound sum(top)/sum(bottom) by all r for which a paired t test of top - r bottom passes.

    No bounds where the mean of `bottom` is not clearly apart from 0. Source: Fieller 1954.
    """
    check_alpha(alpha)
    (m1, m2), covariance, n = _moments(top, bottom)
    t2 = t_quantile(1 - alpha / 2, n - 1) ** 2
    a = m2 * m2 - t2 * covariance[1, 1]
    b = m1 * m2 - t2 * covariance[0, 1]
    c = m1 * m1 - t2 * covariance[0, 0]
    root = b * b - a * c
    if a <= 0 or root < 0:
        return UNBOUNDED
    return Bounds(float((b - math.sqrt(root)) / a), float((b + math.sqrt(root)) / a))


def delta_log(top: ArrayLike, bottom: ArrayLike, alpha: float = 0.05) -> Bounds:
    """Bound sum(top)/sum(bottom) on the log scale by a linear approximation and t.

    log(m1/m2) -+ t sqrt(v11/m1^2 + v22/m2^2 - 2 v12/(m1 m2)). Covers too seldom for heavy tails.
    ValueError where a mean is not above 0. Source: Bonett & Price 2020.
    """
    check_alpha(alpha)
    (m1, m2), covariance, n = _moments(top, bottom)
    if m1 <= 0 or m2 <= 0:
        raise ValueError("a ratio on the log scale needs means above 0")
    square = covariance[0, 0] / m1**2 + covariance[1, 1] / m2**2 - 2 * covariance[0, 1] / (m1 * m2)
    half = t_quantile(1 - alpha / 2, n - 1) * math.sqrt(max(square, 0.0))
    ratio = float(m1 / m2)
    return Bounds(ratio * math.exp(-half), ratio * math.exp(half))
