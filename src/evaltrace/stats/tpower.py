"""Power in closed form: the noncentral t, and the normal formulas of the literature."""

from __future__ import annotations

import math

from evaltrace.stats.arrays import check_alpha
from evaltrace.stats.compiled import special
from evaltrace.stats.quantiles import normal_quantile, t_quantile

_POWER = 0.8


def chance_seen(
    difference: float,
    spread: float,
    n: float,
    attempts: float | None,
    alpha: float,
    groups: int | None = None,
) -> float:
    """Give the chance that the interval lies above 0 when `difference` is the truth.

    With `attempts` that of the plus-two t interval, its variance as expected at that difference;
    without, that of the one-sample t interval. `spread` is the variance of the differences.
    Where tasks come in `groups`, n is divided by the design effect, and the degrees of freedom
    are those of the groups.
    """
    units = n if groups is None else groups
    if attempts is None:
        freedom, error, mean = units - 1, math.sqrt(spread / n), difference
    else:
        floor = max(spread, difference * (1 - difference) / attempts)
        mean, freedom = difference * n / (n + 2), units + 1
        square = (n * (floor + difference**2) + 2 / attempts) / (n + 2) - mean**2
        error = math.sqrt(square / (n + 1))
    return 1 - float(special().nctdtr(freedom, mean / error, t_quantile(1 - alpha / 2, freedom)))


def fewest_tasks(alpha: float) -> int:
    """Give the units that a random-subset interval without imaginary ones needs: 6 for 95 %."""
    return math.ceil(math.log2(2 / alpha) - 1e-9)


def needed_tasks(
    difference: float, spread: float, *, alpha: float = 0.05, power: float = _POWER
) -> float:
    """Give the tasks for a difference by the normal formula, not rounded.

    (z(1-alpha/2) + z(power))^2 spread/difference^2 with spread = between + within_a/k_a +
    within_b/k_b. One or two tasks short below 25. Source: Miller 2024, section 5.
    """
    check_alpha(alpha)
    z = normal_quantile(1 - alpha / 2) + normal_quantile(power)
    return z * z * spread / difference**2


def detectable_difference(
    spread: float, tasks: float, *, alpha: float = 0.05, power: float = _POWER
) -> float:
    """Give the difference n tasks detect by the normal formula: z-sum sqrt(spread/tasks)."""
    return math.sqrt(needed_tasks(1.0, spread / tasks, alpha=alpha, power=power))


def t_power(difference: float, sd: float, tasks: int, *, alpha: float = 0.05) -> float:
    """Give the power of the paired t test, the far tail left out. Source: Student 1908."""
    if tasks < 2:
        raise ValueError("a t test needs two tasks")
    return chance_seen(difference, sd * sd, tasks, None, alpha)


def needed_tasks_of_t(
    difference: float, sd: float, *, alpha: float = 0.05, power: float = _POWER
) -> float:
    """Give the tasks the paired t test needs, as a real number, by bisection."""
    low, high = 2.0, 4.0
    while chance_seen(difference, sd * sd, high, None, alpha) < power:
        low, high = high, high * 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if chance_seen(difference, sd * sd, middle, None, alpha) < power:
            low = middle
        else:
            high = middle
    return high


def needed_tasks_of_proportions(
    p1: float, p2: float, correlation: float, *, alpha: float = 0.05, power: float = _POWER
) -> int:
    """Give the tasks a comparison of two paired pass rates needs, at one attempt each.

    The normal formula with spread p1(1-p1) + p2(1-p2) - 2 phi sqrt(p1(1-p1)p2(1-p2)), rounded
    up. Source: Bonett & Price 2012.
    """
    first, second = p1 * (1 - p1), p2 * (1 - p2)
    spread = first + second - 2 * correlation * math.sqrt(first * second)
    return math.ceil(needed_tasks(p2 - p1, spread, alpha=alpha, power=power))
