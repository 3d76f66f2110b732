"""Where the noise of a paired comparison comes from: tasks that differ, attempts that vary.

Var(mean difference) = (between + within_a/k_a + within_b/k_b)/n for n tasks with k attempts.
Source: Miller 2024 (arXiv 2411.00640), section 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from evaltrace.stats.arrays import to_rates, to_vector

Attempts = Sequence[Sequence[float]]
"""The values of every attempt, task by task."""

ATTEMPTS_SHARE = 0.85
"""Share of attempts in the variance of a difference of single attempts, where it is unknown.

In simulated benchmarks of very different shape it lies between 0.77 and 0.99.
"""


class Parts(NamedTuple):
    """Variances; None where the data do not tell.

    `within_a`, `within_b`: of single attempts at one task, in each arm; `between`: of the
    tasks' true differences; `total`: of the observed differences of task means.
    """

    within_a: float | None
    within_b: float | None
    between: float | None
    total: float | None


def variance_parts(a: Attempts, b: Attempts) -> Parts:
    """Split the variance of the paired differences into tasks and attempts.

    within = mean of the tasks' sample variances (x(1-x)k/(k-1) for rewards of 0 and 1) over
    tasks with two attempts or more; between = max(0, total - within_a mean(1/k_a) - within_b
    mean(1/k_b)). `a` and `b` hold the same tasks, each with an attempt in both arms.
    """
    if len(a) != len(b):
        raise ValueError("both arms must hold the same tasks")
    mean_of = {row: _mean(row) for row in {*map(tuple, a), *map(tuple, b)}}
    d = [mean_of[tuple(b_row)] - mean_of[tuple(a_row)] for a_row, b_row in zip(a, b, strict=True)]
    total = variance(d)
    within_a, within_b = within_tasks(a), within_tasks(b)
    if total is None or within_a is None or within_b is None:
        return Parts(within_a, within_b, None, total)
    noise = within_a * _mean_inverse(a) + within_b * _mean_inverse(b)
    return Parts(within_a, within_b, max(0.0, total - noise), total)


def variance(values: Sequence[float]) -> float | None:
    """Give the sample variance; None of fewer than two values."""
    vector = to_vector(values)
    if len(vector) < 2:
        return None
    mean = math.fsum(vector) / len(vector)
    return math.fsum((vector - mean) ** 2) / (len(vector) - 1)


def within_tasks(rows: Attempts) -> float | None:
    """Average the variance between attempts of one task; None without a repeated task."""
    # Tasks have few outcomes between them: each is worked out once.
    of_outcome = {row: variance(row) for row in set(map(tuple, rows))}
    found = [value for row in rows if (value := of_outcome[tuple(row)]) is not None]
    return math.fsum(found) / len(found) if found else None


def _mean(row: Sequence[float]) -> float:
    if not len(row):
        raise ValueError("every task needs at least one attempt")
    return math.fsum(to_vector(row, "attempts")) / len(row)


def _mean_inverse(rows: Attempts) -> float:
    return math.fsum(1 / len(row) for row in rows) / len(rows)


def assume_parts(parts: Parts, attempts: float) -> Parts:
    """Fill in what the data do not tell: the other arm's noise, or the usual share of attempts.

    An arm without repeated attempts is taken to be as noisy as the other; where neither has
    any, attempts make up `ATTEMPTS_SHARE` of the variance at one attempt. Say so to the reader.
    """
    total = parts.total
    known = [value for value in (parts.within_a, parts.within_b) if value is not None]
    if known:
        within_a = known[0] if parts.within_a is None else parts.within_a
        within_b = known[-1] if parts.within_b is None else parts.within_b
        noise = (within_a + within_b) / attempts
        if parts.between is not None:
            between = parts.between
        elif total is not None:
            between = max(0.0, total - noise)
        else:
            between = _usual_between(within_a + within_b)
        return Parts(within_a, within_b, between, between + noise if total is None else total)
    if total is None:
        return parts
    # total = between + noise/k, with between and noise in the usual proportion.
    noise = total / (1 / attempts + (1 - ATTEMPTS_SHARE) / ATTEMPTS_SHARE)
    return Parts(noise / 2, noise / 2, _usual_between(noise), total)


def _usual_between(noise: float) -> float:
    return noise * (1 - ATTEMPTS_SHARE) / ATTEMPTS_SHARE


def parts_of_one_arm(rows: Attempts) -> Parts:
    """Guess the noise of a comparison of which only the baseline (rewards of 0 to 1) is known.

    Attempts of the treatment are taken to be as noisy as these; tasks to differ in their effect
    by the usual share. Without a repeated task, attempts are half of all variance, p(1-p)/2, as
    where pass rates are spread evenly between never and always.
    """
    within = within_tasks(rows)
    if within is None and rows:
        p = math.fsum(to_rates([_mean(row) for row in rows])) / len(rows)
        within = p * (1 - p) / 2
    if within is None:
        return Parts(None, None, None, None)
    attempts = 1 / _mean_inverse(rows)
    return assume_parts(Parts(within, within, None, None), attempts)
