"""Intervals in closed form: one arm's rate, a paired difference, a typical ratio.

The task is the unit. Attempts are averaged into their task before anything here is called.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from evaltrace.stats.arrays import Vector, check_alpha, to_counts, to_rates, to_vector
from evaltrace.stats.quantiles import normal_quantile, t_quantile, t_two_sided


class Bounds(NamedTuple):
    """Both ends of an interval; None where the data do not bound it."""

    low: float | None
    high: float | None


class Ratio(NamedTuple):
    """A ratio with its interval and the p of "the ratio is 1"; None where undefined."""

    estimate: float | None
    low: float | None
    high: float | None
    p: float | None


UNBOUNDED = Bounds(None, None)


def mean_attempts(baseline: ArrayLike, treatment: ArrayLike | None = None) -> float | None:
    """Average the attempts per task; with two arms, the harmonic mean within each task first.

    A mean of k attempts has 1/k of the variance of one, so the harmonic mean of both arms'
    numbers is the k at which two equal arms would be as noisy. None without tasks.
    """
    first = to_vector(baseline, "attempts")
    if not len(first):
        return None
    first = to_counts(first, "attempts", len(first))
    if treatment is None:
        return float(first.mean())
    second = to_counts(treatment, "attempts", len(first))
    return float((2 / (1 / first + 1 / second)).mean())


def plus_two(
    d: ArrayLike,
    attempts: float,
    alpha: float = 0.05,
    *,
    quantile: Literal["t", "z"] = "t",
    limits: tuple[float, float] | None = (-1.0, 1.0),
) -> Bounds:
    """Bound the mean of paired differences of rewards by the plus-two interval.

    Two imaginary tasks, a win and a loss of h = 1/sqrt(attempts), join the n differences;
    then m = sum(d)/(n+2), v = [(sum(d^2) + 2h^2)/(n+2) - m^2] (n+2)/(n+1), and the interval is
    m -+ t(n+1) sqrt(v/(n+2)), clipped to `limits`. With quantile "z" the factor (n+2)/(n+1)
    and t give way to 1 and z: at one attempt this is the interval of Bonett and Price.

    Assumes tasks that are a random sample of those meant, independent of each other, and
    rewards between 0 and 1. `attempts` is `mean_attempts` of both arms. n = 0: no bounds.
    Source: Bonett & Price 2012 (one attempt, z); h = 1/sqrt(k) and t are our extension.
    """
    check_alpha(alpha)
    values = to_vector(d, "d")
    if not attempts >= 1:
        raise ValueError("attempts must be 1 or more")
    n = len(values)
    if n == 0:
        return UNBOUNDED
    mean, variance = joined(math.fsum(values), math.fsum(values**2), n, attempts)
    if quantile == "t":
        half = t_quantile(1 - alpha / 2, n + 1) * math.sqrt(variance / (n + 1))
    else:
        half = normal_quantile(1 - alpha / 2) * math.sqrt(variance / (n + 2))
    return _clipped(mean - half, mean + half, limits)


Number = TypeVar("Number", float, Vector)


def joined(total: Number, squares: Number, n: int, attempts: float) -> tuple[Number, Number]:
    """Give mean and variance (ddof 0) of n differences and the two imaginary ones.

    From the sums of the differences and of their squares; of many data sets at once where these
    are vectors.
    """
    mean = total / (n + 2)
    return mean, (squares + 2 / attempts) / (n + 2) - mean * mean


def _clipped(low: float, high: float, limits: tuple[float, float] | None) -> Bounds:
    lowest, highest = limits or (-math.inf, math.inf)
    return Bounds(min(max(low, lowest), highest), max(min(high, highest), lowest))


def wilson(p: float, n: float, alpha: float = 0.05) -> Bounds:
    """Bound a proportion by inverting the score test: Wilson's interval.

    Centre (p + z^2/2n)/(1 + z^2/n), half width z sqrt(p(1-p)/n + z^2/4n^2)/(1 + z^2/n).
    Assumes n independent trials. n = 0: no bounds.
    Source: Wilson 1927; Newcombe 1998, method 3; Brown, Cai & DasGupta 2001.
    """
    check_alpha(alpha)
    if n < 0 or not 0 <= p <= 1:
        raise ValueError("a proportion lies between 0 and 1, of 0 trials or more")
    return _score_interval(p, n, normal_quantile(1 - alpha / 2)) if n else UNBOUNDED


def _score_interval(p: float, n: float, z: float) -> Bounds:
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = (centre - half) / scale, (centre + half) / scale
    # At 0 and 1 the bound is exact; rounding would leave it a hair off.
    return Bounds(min(max(low, 0.0), p), max(min(high, 1.0), p))


def effective_tasks(x: ArrayLike, attempts: float) -> float:
    """Say how many single attempts at independent tasks would be as noisy as these means.

    n_eff = max(n, p(1-p)/v), where p is the mean and v = var/(n+2) the squared standard error
    of the task means joined by two imaginary ones, 1/2 -+ 1/(2 sqrt(attempts)).
    Source: Korn & Graubard 1998 (effective n); the imaginary tasks are our extension.
    """
    rates = to_rates(x, "x")
    if not attempts >= 1:
        raise ValueError("attempts must be 1 or more")
    n, h = len(rates), 0.5 / math.sqrt(attempts)
    joined = np.append(rates, (0.5 + h, 0.5 - h))
    p = math.fsum(joined) / (n + 2)
    v = math.fsum((joined - p) ** 2) / (n + 1) / (n + 2)
    return max(float(n), p * (1 - p) / v)


def effective_wilson(x: ArrayLike, attempts: float, alpha: float = 0.05) -> Bounds:
    """Bound one arm's mean reward: Wilson's interval at the effective number of tasks.

    `x` are the tasks' means over `attempts` each; z gives way to t with n - 1 degrees of
    freedom (1 where there is a single task). Assumes tasks that are a random sample of those
    meant, attempts independent given the task, rewards between 0 and 1. n = 0: no bounds.
    Source: Wilson 1927; Korn & Graubard 1998; the combination is measured in the docs.
    """
    check_alpha(alpha)
    rates = to_rates(x, "x")
    if not len(rates):
        return UNBOUNDED
    size = effective_tasks(rates, attempts)
    p = min(max(math.fsum(rates) / len(rates), 0.0), 1.0)
    return _score_interval(p, size, t_quantile(1 - alpha / 2, max(len(rates) - 1, 1)))


def mean_t(d: ArrayLike, alpha: float = 0.05) -> Bounds:
    """Bound a mean by the one-sample t interval: mean -+ t(n-1) s/sqrt(n).

    For quantities without limits. Assumes a mean that is about normal; it is of no width where
    all values are equal. n < 2: no bounds. Source: Student 1908.
    """
    check_alpha(alpha)
    values = to_vector(d, "d")
    n = len(values)
    if n < 2:
        return UNBOUNDED
    mean, error = mean_and_error(values)
    half = t_quantile(1 - alpha / 2, n - 1) * error
    return Bounds(mean - half, mean + half)


def mean_and_error(values: ArrayLike) -> tuple[float, float]:
    """Give the mean of two values or more and its standard error, s/sqrt(n)."""
    vector = to_vector(values)
    n = len(vector)
    mean = math.fsum(vector) / n
    return mean, math.sqrt(math.fsum((vector - mean) ** 2) / (n - 1) / n)


def geometric_ratio(b: ArrayLike, a: ArrayLike, alpha: float = 0.05) -> Ratio:
    """Compare paired amounts by the geometric mean of the tasks' ratios b/a, with paired t.

    exp(mean of log(b/a)) with exp of the t interval of the logs, p of the t test that the mean
    is 0. Answers "how much more on a typical task", not "how much more in total". Amounts must
    be above 0 (ValueError): leave out and count those that are not. n = 1: an estimate alone.
    """
    check_alpha(alpha)
    upper = to_vector(b, "b")
    lower = to_vector(a, "a", length=len(upper))
    if len(upper) and min(upper.min(), lower.min()) <= 0:
        raise ValueError("a ratio on the log scale needs amounts above 0")
    logs = np.log(upper) - np.log(lower)
    if len(logs) < 2:
        return Ratio(float(upper[0] / lower[0]) if len(logs) else None, None, None, None)
    mean, error = mean_and_error(logs)
    half = t_quantile(1 - alpha / 2, len(logs) - 1) * error
    p = t_two_sided(mean / error, len(logs) - 1) if error > 0 else float(mean == 0)
    return Ratio(math.exp(mean), _exp(mean - half), _exp(mean + half), p)


def _exp(x: float) -> float | None:
    """Leave the log scale; what overflows is no bound."""
    return math.exp(x) if x < 700 else None


def fixed_tasks(
    xa: ArrayLike, ka: ArrayLike, xb: ArrayLike, kb: ArrayLike, alpha: float = 0.05
) -> Bounds:
    """Bound the difference on exactly these tasks, as if only the attempts were drawn anew.

    mean(xb - xa) -+ z sqrt(sum(s_a^2/k_a + s_b^2/k_b))/n with s^2 = x(1-x)k/(k-1). Says nothing
    of other tasks. Assumes independent attempts at rewards of 0 or 1; measured coverage is
    94-95 % from 25 tasks and 3 attempts on. No bounds where a task has a single attempt.
    """
    check_alpha(alpha)
    first = to_rates(xa, "xa")
    second = to_rates(xb, "xb", length=(n := len(first)))
    counts = to_counts(ka, "ka", n), to_counts(kb, "kb", n)
    if n == 0 or min(counts[0].min(), counts[1].min()) < 2:
        return UNBOUNDED
    variances = first * (1 - first) / (counts[0] - 1) + second * (1 - second) / (counts[1] - 1)
    mean = math.fsum(second - first) / n
    half = normal_quantile(1 - alpha / 2) * math.sqrt(math.fsum(variances)) / n
    return _clipped(mean - half, mean + half, (-1.0, 1.0))
