"""Power by simulation: data sets drawn from the observed noise, judged by the default interval.

A data set takes tasks with replacement from those of the baseline. Their pass rates are first
drawn together towards the mean until attempts vary as much as they were seen to: few attempts
make rates look further apart than they are. The treatment's rate of a task is the baseline's
plus a shift and a normal deviation of variance `between`, cut at 0 and 1, the shift chosen so
that the mean moves by just the difference asked for. Attempts are 0 or 1; where they were seen
to vary less (partial rewards), their deviations are scaled down to what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaltrace.stats.arrays import Vector, check_alpha, to_rates
from evaltrace.stats.compiled import raw_stream
from evaltrace.stats.intervals import joined
from evaltrace.stats.quantiles import normal_quantile, t_quantile
from evaltrace.stats.tpower import chance_seen, fewest_tasks
from evaltrace.stats.variances import Parts

MOST_TASKS = 3000
MOST_ATTEMPTS = 50
"""Designs beyond these are not looked for."""

_DATA_SETS = 1000
_DEVIATIONS = 16
_QUANTILES = 65_536
_DRAWN_ATTEMPTS = 100
"""Of more, the mean is drawn as of so many, its deviations scaled down to the same variance."""

_AT_A_TIME = 16_384
_TASKS = (
    *range(5, 30),
    *range(30, 100, 5),
    *range(100, 300, 10),
    *range(300, 1000, 50),
    *range(1000, MOST_TASKS + 1, 250),
)
_ATTEMPTS = (*range(1, 11), 12, 15, 20, 25, 30, 40, MOST_ATTEMPTS)


class Design(NamedTuple):
    """A number of tasks and attempts with its power; None where no design in reach would do."""

    tasks: int | None
    attempts: int | None
    power: float | None


class _Model(NamedTuple):
    """Pass rates of tasks in both arms, (tasks,) and (tasks, deviations), and attempts' scale."""

    baseline: Vector
    treatment: NDArray[np.float64]
    scale: float


def simulated_power(
    rates: Sequence[float] | None,
    parts: Parts,
    difference: float,
    tasks: int,
    attempts: int,
    alpha: float = 0.05,
    seed: int = 1,
) -> float | None:
    """Estimate how often the default interval would exclude 0 on the right side.

    `rates` are the baseline's mean rewards by task, between 0 and 1; `parts` the noise, with no
    part unknown (`assume_parts`). From 1,000 data sets, so within 3 points. Without `rates` (a
    quantity without limits) exact, by the t interval on normal differences. None where the
    baseline leaves no room for the difference, or a part of the noise is unknown. 0 for so few
    tasks that no interval, or no p of the sign-flip test, can show anything.
    """
    return _simulation(_frozen(rates), parts, difference, alpha, seed).power(tasks, attempts)


def _frozen(rates: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if rates is None else tuple(rates)


class _Simulation:
    """The power of designs for one difference: what they share is worked out once."""

    def __init__(
        self,
        rates: tuple[float, ...] | None,
        parts: Parts,
        difference: float,
        alpha: float,
        seed: int,
    ) -> None:
        check_alpha(alpha)
        self._rates, self._parts, self._difference = rates, parts, difference
        self._alpha, self._seed = alpha, seed
        self._quantiles: dict[int, Vector] = {}

    def power(self, tasks: int, attempts: int) -> float | None:
        """Estimate the power of a design; see `simulated_power`."""
        if tasks < 2 or attempts < 1:
            raise ValueError("a design has two tasks or more, and an attempt at each")
        within_a, within_b, between, _ = self._parts
        if within_a is None or within_b is None or between is None:
            return None
        if tasks < fewest_tasks(self._alpha) - (self._rates is not None):
            return 0.0
        if self._rates is None:
            spread = between + (within_a + within_b) / attempts
            seen = chance_seen(abs(self._difference), spread or 1.0, tasks, None, self._alpha)
            return seen if spread else None
        return None if self._model is None else self._simulated(self._model, tasks, attempts)

    @cached_property
    def _model(self) -> _Model | None:
        within, between = self._parts.within_a, self._parts.between
        if self._rates is None or within is None or between is None:
            return None
        return _model(to_rates(self._rates, "rates"), within, between, self._difference)

    def _simulated(self, model: _Model, tasks: int, attempts: int) -> float:
        if attempts not in self._quantiles:
            self._quantiles = {attempts: _quantiles(model, attempts)}
        totals, squares = _totals(self._quantiles[attempts], tasks, self._seed)
        mean, variance = joined(totals, squares, tasks, attempts)
        half = t_quantile(1 - self._alpha / 2, tasks + 1) * np.sqrt(variance / (tasks + 1))
        return float((mean > half).mean())


# Tasks and attempts are looked for in turn, for the same difference.
_simulation = lru_cache(maxsize=1)(_Simulation)


def _model(rates: Vector, within: float, between: float, difference: float) -> _Model | None:
    """Turn what was seen into pass rates with just the noise and the difference wanted."""
    if difference < 0:
        rates, difference = 1 - rates, -difference
    if not len(rates) or (wanted := float(rates.mean()) + difference) > 1:
        return None
    mean = float(rates.mean())
    apart = float(((rates - mean) ** 2).mean())
    true = min(max(mean * (1 - mean) - within, 0.0), apart)
    baseline = mean + (math.sqrt(true / apart) if apart > 0 else 0.0) * (rates - mean)
    noise = float((baseline * (1 - baseline)).mean())
    scale = min(1.0, math.sqrt(within / noise)) if noise > 0 else 1.0
    deviations = np.array(
        [normal_quantile((step + 0.5) / _DEVIATIONS) for step in range(_DEVIATIONS)]
    )
    deviations *= math.sqrt(between / float((deviations**2).mean()))
    apart_b = baseline[:, None] + deviations
    low, high = -1 - deviations[-1], 1 + deviations[-1]
    for _ in range(50):
        shift = (low + high) / 2
        reached = float((apart_b + shift).clip(0, 1).mean())
        low, high = (shift, high) if reached < wanted else (low, shift)
    return _Model(baseline, (apart_b + high).clip(0, 1), scale)


def _totals(quantiles: Vector, tasks: int, seed: int) -> tuple[Vector, Vector]:
    """Add up the tasks' differences of every data set, and their squares.

    Tasks drawn at random are independent draws from one distribution: its quantiles are looked
    up by 16 random bits for each, from the raw stream of PCG64.
    """
    totals, squares = np.empty(_DATA_SETS), np.empty(_DATA_SETS)
    bits = raw_stream(seed)
    # A few data sets at a time stay in the processor's cache; four share whole draws of 64 bits.
    some = 4 * max(1, _AT_A_TIME // (4 * tasks))
    rows = np.empty((some, tasks))
    for first in range(0, _DATA_SETS, some):
        part = slice(first, first + some)
        d = rows[: totals[part].size]
        raw = bits.random_raw(d.size // 4)
        drawn = raw.astype("<u8", copy=False).view("<u2")
        quantiles.take(drawn.reshape(d.shape), out=d, mode="clip")  # 16 bits are never beyond
        d.sum(axis=1, out=totals[part])
        np.multiply(d, d, out=d)
        d.sum(axis=1, out=squares[part])
    return totals, squares


def _quantiles(model: _Model, attempts: int) -> Vector:
    """Give 65,536 quantiles of the difference of a task drawn at random, in order."""
    scale = model.scale * math.sqrt(min(1.0, _DRAWN_ATTEMPTS / attempts))
    attempts = min(attempts, _DRAWN_ATTEMPTS)
    # Tasks of one rate in the baseline have the same rates in the treatment.
    p_a, places, counts = np.unique(model.baseline, return_index=True, return_counts=True)
    p_b = model.treatment[places]
    passes_a, passes_b = _binomials(p_a, attempts), _binomials(p_b, attempts)
    chances = np.zeros((*p_b.shape, 2 * attempts + 1))
    for passed in range(attempts + 1):
        first = attempts - passed
        chances[:, :, first : first + attempts + 1] += passes_a[:, passed, None, None] * passes_b
    chances *= (counts / counts.sum() / p_b.shape[1])[:, None, None]
    gaps = np.arange(-attempts, attempts + 1) / attempts
    values = scale * gaps + (1 - scale) * (p_b - p_a[:, None])[:, :, None]
    order = np.argsort(values.ravel(), kind="stable")
    reached = np.cumsum(chances.ravel()[order])
    # In place: whatever is made on the way stays part of the process.
    steps = np.arange(_QUANTILES, dtype=np.float64)
    steps += 0.5
    steps /= _QUANTILES
    steps *= reached[-1]
    found: Vector = values.ravel()[order][np.searchsorted(reached, steps)]
    return found


def _binomials(p: NDArray[np.float64], attempts: int) -> NDArray[np.float64]:
    """Give the chances of 0 to `attempts` passes, along a new last axis."""
    passes = np.arange(attempts + 1)
    ways = np.array([math.comb(attempts, number) for number in range(attempts + 1)], dtype=float)
    chances: NDArray[np.float64] = ways * p[..., None] ** passes
    chances *= (1 - p[..., None]) ** (attempts - passes)
    return chances


def tasks_needed(
    rates: Sequence[float] | None,
    parts: Parts,
    difference: float,
    attempts: int,
    power: float = 0.8,
    alpha: float = 0.05,
    seed: int = 1,
) -> Design:
    """Find the tasks that show a difference with that power at so many attempts; rounded.

    By bisection over round numbers up to 3,000; multiply by the design effect where tasks come
    in clusters.
    """

    simulation = _simulation(_frozen(rates), parts, difference, alpha, seed)

    def reached(tasks: int) -> float | None:
        return simulation.power(tasks, attempts)

    tasks, found = _first(_TASKS, reached, power)
    return Design(tasks, attempts, found)


def attempts_needed(
    rates: Sequence[float] | None,
    parts: Parts,
    difference: float,
    tasks: int,
    power: float = 0.8,
    alpha: float = 0.05,
    seed: int = 1,
) -> Design:
    """Find the attempts at each of so many tasks that show a difference; None beyond 50.

    More attempts never make up for too few tasks where tasks differ in their effect.
    """

    simulation = _simulation(_frozen(rates), parts, difference, alpha, seed)

    def reached(attempts: int) -> float | None:
        return simulation.power(tasks, attempts)

    attempts, found = _first(_ATTEMPTS, reached, power)
    return Design(tasks, attempts, found)


def _first(
    sizes: Sequence[int], reached: Callable[[int], float | None], power: float
) -> tuple[int | None, float | None]:
    """Find the first size with that power, by bisection; with the power of the last, if none."""
    low, high = -1, len(sizes)
    found: float | None = None
    while high - low > 1:
        middle = (low + high) // 2
        value = reached(sizes[middle])
        if value is None:
            return None, None
        if value < power:
            low = middle
            found = value if high == len(sizes) else found
        else:
            high, found = middle, value
    return (sizes[high] if high < len(sizes) else None), found
