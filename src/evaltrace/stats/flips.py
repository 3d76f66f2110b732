"""Tasks whose outcome differs between two arms: how much of that is luck."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from evaltrace.stats.arrays import Vector

_EXACT = 200
"""Attempts of both arms up to which whole numbers are counted; beyond, floats in linear time."""

Row = tuple[int, int, int, int]
"""(passed_a, of_a, passed_b, of_b) of one task."""


def chance_of_difference(passed_a: int, of_a: int, passed_b: int, of_b: int) -> float:
    """Give the probability that attempts of one noise, dealt to two arms, differ this much.

    Given the passes of both arms together, those of b are hypergeometric if the labels mean
    nothing; P(|passed_b/of_b - passed_a/of_a| >= what was seen). Two arms of no difference: 1.
    Source: Fisher 1935, section 21.
    """
    _check(passed_a, of_a, passed_b, of_b)
    return _chance(passed_a + passed_b, of_a, of_b, abs(passed_b * of_a - passed_a * of_b))


# Tasks have few outcomes between them, and few tables are ever asked for twice as often.
@lru_cache(maxsize=4096)
def _chance(passed: int, of_a: int, of_b: int, gap: int) -> float:
    """Give P(|x_b of_a - x_a of_b| >= gap) when `passed` passes are dealt at random."""
    first, last = max(0, passed - of_a), min(of_b, passed)
    if of_a + of_b > _EXACT:
        x = np.arange(first, last + 1, dtype=np.float64)
        apart = np.abs(x * of_a - (passed - x) * of_b) >= gap
        return min(1.0, float(_deals(passed, of_a, of_b)[apart].sum()))
    ways = sum(
        math.comb(of_b, x) * math.comb(of_a, passed - x)
        for x in range(first, last + 1)
        if abs(x * of_a - (passed - x) * of_b) >= gap
    )
    return ways / math.comb(of_a + of_b, passed)


# The same passes are held against several gaps.
@lru_cache(maxsize=64)
def _deals(passed: int, of_a: int, of_b: int) -> Vector:
    """Give the hypergeometric chances of all numbers of passes that b can be dealt."""
    x = np.arange(max(0, passed - of_a), min(of_b, passed), dtype=np.float64)
    return _from_ratios((of_b - x) * (passed - x) / ((x + 1) * (of_a - passed + x + 1)))


def _from_ratios(ratios: Vector) -> Vector:
    """Turn the ratio of each chance to the one before into chances that add up to 1."""
    logs = np.concatenate([[0.0], np.log(ratios).cumsum()])
    chances: Vector = np.exp(logs - logs.max())
    chances /= chances.sum()
    return chances


def likelihood_higher(passed_a: int, of_a: int, passed_b: int, of_b: int) -> float:
    """Give the probability that b's true pass rate is above a's, both being unknown before.

    P(p_b > p_a) with uniform priors, as a finite sum: of of_a + 1 and of_b + 1 uniform draws,
    the (passed_a + 1)-th of a comes before the (passed_b + 1)-th of b. A key to sort by, no
    test: the largest of many is large by luck.
    """
    _check(passed_a, of_a, passed_b, of_b)
    return _likelihood(passed_a, of_a, passed_b, of_b)


@lru_cache(maxsize=4096)
def _likelihood(passed_a: int, of_a: int, passed_b: int, of_b: int) -> float:
    failed_a, draws = of_a - passed_a, of_b + 1
    if of_a + of_b > _EXACT:
        j = np.arange(draws, dtype=np.float64)
        ratios = (passed_a + j + 1) / (j + 1) * (draws - j) / (failed_a + draws - j)
        return min(1.0, float(_from_ratios(ratios)[: passed_b + 1].sum()))
    ways = sum(
        math.comb(passed_a + j, j) * math.comb(failed_a + draws - j, draws - j)
        for j in range(passed_b + 1)
    )
    return ways / math.comb(of_a + of_b + 2, of_a + 1)


def chance_flips(rows: Iterable[Row], step: float) -> tuple[int, float]:
    """Count the tasks that moved by `step` or more, and those that would by luck alone.

    The expectation is exact, given each task's passes in both arms together; its ratio to the
    count is the share of them to be expected false. Source: Tusher, Tibshirani & Chu 2001.
    """
    observed, expected = 0, []
    for passed_a, of_a, passed_b, of_b in rows:
        _check(passed_a, of_a, passed_b, of_b)
        gap = math.ceil(step * of_a * of_b * (1 - 1e-12) - 1e-9)
        observed += abs(passed_b * of_a - passed_a * of_b) >= gap
        expected.append(_chance(passed_a + passed_b, of_a, of_b, gap))
    return observed, math.fsum(expected)


def _check(passed_a: int, of_a: int, passed_b: int, of_b: int) -> None:
    if not (0 <= passed_a <= of_a and 0 <= passed_b <= of_b and of_a and of_b):
        raise ValueError("each arm needs an attempt, and no more passes than attempts")
