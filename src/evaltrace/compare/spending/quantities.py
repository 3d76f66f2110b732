"""Quantities: what trials took of something, in both arms and as paired ratios.

Means and ratios are over the trials that count, so that an attempt that crashed early makes no
arm look cheap; what the other trials of the pairs took is kept apart, as lost. `ratio` compares
the sums of the tasks' means, `typical` what a typical task takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import exp, fsum
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaltrace.compare.effects.differences import to_clusters, usable_clusters
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.reading.fields import LARGEST
from evaltrace.compare.sides import Pair, Trial
from evaltrace.compare.wording import counted
from evaltrace.comparison import Amount, Interval, Quantity
from evaltrace.stats.intervals import Bounds, Ratio, geometric_ratio
from evaltrace.stats.subsets import Subsets
from evaltrace.trace import Metrics

ENOUGH_KNOWN = 0.8
"""Share of the pairs that must know a quantity before the arms are compared in it."""

_FEWEST_SOLVED = 3

Vector = NDArray[np.float64]
Places = NDArray[np.intp]
"""Indices of pairs."""

Read = Callable[[Metrics], float | None]


@dataclass(frozen=True, slots=True)
class Spent:
    """What the trials of one arm took: each one's amount, and the tasks' means.

    `known` are the amounts of the trials that count and know it, `lost` those of the trials
    that know it and do not count; `trials` count, `uncounted` do not. `means` has each task's
    mean over `known`; not a number where there is none.
    """

    known: Vector
    lost: Vector
    trials: int
    uncounted: int
    means: Vector


class Asked(NamedTuple):
    """A quantity to measure, its unit, and the path in `trace.metrics` that leads to it."""

    name: str
    unit: str
    path: str


class Arm:
    """The trials of one arm, pair after pair."""

    def __init__(self, trials: Sequence[Sequence[Trial]]) -> None:
        self.trials = [trial for row in trials for trial in row]
        self.counts = np.array([trial.value is not None for trial in self.trials], dtype=bool)
        self._metrics = [trial.trace.metrics for trial in self.trials]
        self._task = np.repeat(np.arange(len(trials)), [len(row) for row in trials])
        self._tasks = len(trials)

    def amounts(self, read: Read) -> Vector:
        """Read a quantity off all trials; not a number where it is unknown."""
        return to_amounts(map(read, self._metrics))

    def read_all(self, paths: Sequence[str]) -> list[Spent]:
        """Read several quantities off all trials, which are gone through once."""
        # Of a single path the getter gives no tuple: the first one is asked for twice.
        read: Callable[[Metrics], tuple[float | None, ...]] = attrgetter(paths[0], *paths)
        rows = to_amounts(chain.from_iterable(map(read, self._metrics)))
        amounts = rows.reshape(-1, 1 + len(paths))[:, 1:]
        return [self._spent(column) for column in np.ascontiguousarray(amounts.T)]

    def _spent(self, amounts: Vector) -> Spent:
        """Tell the trials that count from the others."""
        known = ~np.isnan(amounts)
        counting = known & self.counts
        return Spent(
            known=amounts[counting],
            lost=amounts[known & ~self.counts],
            trials=(trials := int(self.counts.sum())),
            uncounted=len(amounts) - trials,
            means=self.means(amounts, counting),
        )

    def means(self, amounts: Vector, chosen: NDArray[np.bool_]) -> Vector:
        """Average the chosen trials of each task; not a number where there is none."""
        tasks = self._task[chosen]
        sums = np.bincount(tasks, weights=amounts[chosen], minlength=self._tasks)
        numbers = np.bincount(tasks, minlength=self._tasks)
        means = np.full(self._tasks, np.nan)
        np.divide(sums, numbers, out=means, where=numbers > 0)
        return means


def to_amounts(values: Iterable[float | None]) -> Vector:
    """Turn amounts into a vector; what is unknown (see `to_amount`) is not a number."""
    given = list(values)
    try:
        amounts = np.array(given, dtype=np.float64)
    except OverflowError:
        amounts = np.array([to_amount(value) for value in given], dtype=np.float64)
    amounts[~((amounts >= 0) & (amounts <= LARGEST))] = np.nan
    return amounts


def to_amount(value: float | None) -> float | None:
    """Give the amount of a quantity; None for what is unknown, below 0 or beyond any sense."""
    return value if value is not None and 0 <= value <= LARGEST else None


class Meter:
    """Measures quantities over the same pairs; random subsets are drawn once for all."""

    def __init__(self, pairs: Sequence[Pair], options: CompareOptions) -> None:
        self._options = options
        self.baseline = Arm([pair.baseline for pair in pairs])
        self.treatment = Arm([pair.treatment for pair in pairs])
        self._solved = np.array([is_solved(pair) for pair in pairs], dtype=bool)
        self._clusters, self._notes = usable_clusters(to_clusters(pairs, options))
        self._subsets: dict[bytes, Subsets] = {}

    def measure(self, asked: Sequence[Asked]) -> Iterator[Quantity]:
        """Measure quantities: amounts always, ratios where enough pairs know them."""
        paths = [row.path for row in asked]
        arms = self.baseline.read_all(paths), self.treatment.read_all(paths)
        spent = list(zip(*arms, strict=True))
        known = [known_in_both(baseline.means, treatment.means) for baseline, treatment in spent]
        bounds = self._bound_ratios(spent, known)
        for number, (row, both) in enumerate(zip(asked, spent, strict=True)):
            yield self._quantity(row.name, row.unit, *both, known[number], bounds.get(number))

    def _bound_ratios(
        self, spent: Sequence[tuple[Spent, Spent]], known: Sequence[Places]
    ) -> dict[int, Bounds]:
        """Bound the ratios of sums by their number, those known to the same pairs together."""
        alike: dict[bytes, list[int]] = {}
        for number, places in enumerate(known):
            if is_enough(len(places), len(self._solved)):
                alike.setdefault(places.tobytes(), []).append(number)
        found: dict[int, Bounds] = {}
        for numbers in alike.values():
            places = known[numbers[0]]
            sums = [(spent[n][1].means[places], spent[n][0].means[places]) for n in numbers]
            bounds = self.subsets(places).ratios(sums, self._options.alpha)
            found |= zip(numbers, bounds, strict=True)
        return found

    def _quantity(
        self,
        name: str,
        unit: str,
        baseline: Spent,
        treatment: Spent,
        places: Places,
        bounds: Bounds | None,
    ) -> Quantity:
        pairs = len(self._solved)
        return Quantity(
            name=name,
            unit=unit,
            baseline=_amount(baseline),
            treatment=_amount(treatment),
            ratio=bounds and self._ratio(baseline, treatment, places, bounds),
            typical=bounds and self._typical(baseline, treatment, places),
            solved_by_both=bounds and self._solved_by_both(baseline, treatment, places),
            known_pairs=len(places),
            pairs=pairs,
            note=describe_known(name, len(places), pairs),
        )

    def subsets(self, places: Places) -> Subsets:
        """Give the random subsets of these pairs."""
        key = places.tobytes()
        if key not in self._subsets:
            clusters = self._clusters and [self._clusters[place] for place in places]
            options = self._options
            self._subsets[key] = Subsets(len(places), clusters, options.subsets, options.seed)
        return self._subsets[key]

    def method(self, statistic: str) -> str:
        """Name the method of a ratio."""
        return f"{statistic}, random subsets of {'groups' if self._clusters else 'tasks'}"

    def _ratio(self, baseline: Spent, treatment: Spent, places: Places, bounds: Bounds) -> Interval:
        first, second = baseline.means[places], treatment.means[places]
        if not fsum(first) > 0:
            return Interval(n=len(places), note="the baseline spent nothing")
        low, high = bounds
        notes = list(self._notes)
        if low is None or high is None:
            notes.append("the data do not bound the ratio")
        return Interval(
            estimate=fsum(second) / fsum(first),
            low=low,
            high=high,
            n=len(places),
            method=self.method("ratio of the sums of task means"),
            note="; ".join(notes) or None,
        )

    def _typical(self, baseline: Spent, treatment: Spent, known: Places) -> Interval:
        places = known[(baseline.means[known] > 0) & (treatment.means[known] > 0)]
        found = self._geometric(baseline.means[places], treatment.means[places], places)
        zeros = len(known) - len(places)
        method = "geometric mean of the tasks' ratios"
        by_t = f"{method}, paired t on logarithms"
        return Interval(
            estimate=found.estimate,
            low=found.low,
            high=found.high,
            p=found.p,
            n=len(places),
            method=self.method(method) if self._clusters else by_t,
            test=None if found.p is None else "paired t test of the logarithms",
            note=f"{counted(zeros, 'task')} with 0 left out" if zeros else None,
        )

    def _geometric(self, baseline: Vector, treatment: Vector, places: Places) -> Ratio:
        if not self._clusters or not len(places):
            return geometric_ratio(treatment, baseline, self._options.alpha)
        logs = np.log(treatment) - np.log(baseline)
        low, high = self.subsets(places).mean(logs, None, self._options.alpha)
        return Ratio(
            exp(fsum(logs) / len(logs)),
            None if low is None else exp(low),
            None if high is None else exp(high),
            None,
        )

    def _solved_by_both(self, baseline: Spent, treatment: Spent, known: Places) -> Interval:
        solved = known[self._solved[known]]
        if len(solved) < _FEWEST_SOLVED:
            return Interval(n=len(solved), note="fewer than 3 tasks solved by both arms")
        return self._typical(baseline, treatment, solved)


def known_in_both(baseline: Vector, treatment: Vector) -> Places:
    """Give the places of the pairs in which both arms have a mean."""
    return np.flatnonzero(~np.isnan(baseline) & ~np.isnan(treatment))


def is_solved(pair: Pair) -> bool:
    """Tell whether more than half of the valid attempts pass in both arms."""
    arms = (pair.valid_baseline, pair.valid_treatment)
    return all(2 * sum(trial.passed is True for trial in arm) > len(arm) for arm in arms)


def is_enough(known: int, pairs: int) -> bool:
    """Tell whether so many pairs know a quantity that the arms may be compared in it."""
    return known > 0 and known >= ENOUGH_KNOWN * pairs


def describe_known(name: str, known: int, pairs: int) -> str | None:
    """Say in how many pairs a quantity is known, where it is not known in all."""
    if known == pairs:
        return None if pairs else "no pairs"
    words = name.replace("_", " ")
    told = f"{words} known for {known} of {counted(pairs, 'pair')}"
    return told if is_enough(known, pairs) else f"{told}: too few for a ratio"


def _amount(spent: Spent) -> Amount:
    total, known = fsum(spent.known), len(spent.known)
    return Amount(
        total=total if known else None,
        mean=total / known if known else None,
        p90=float(np.quantile(spent.known, 0.9)) if known else None,
        known=known,
        trials=spent.trials,
        lost=None if spent.uncounted and not len(spent.lost) else fsum(spent.lost),
        lost_known=len(spent.lost),
        uncounted=spent.uncounted,
    )
