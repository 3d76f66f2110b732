"""The tipping point: how many missing attempts would have to fail to undo a finding."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import fsum

from evaltrace.compare.effects.differences import to_differences
from evaltrace.compare.effects.effect import paired_interval
from evaltrace.compare.effects.missing import valid_value
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pair, Trial
from evaltrace.comparison import Metric


def find_tipping_point(
    tasks: Sequence[Pair], metric: Metric, options: CompareOptions, estimate: float
) -> int | None:
    """Count the treatment's missing attempts that must be against it for 0 to be in the interval.

    Against the finding is a failure where the estimate is above 0, a success where it is below;
    the attempts are taken in the order that moves the mean difference most. None where all of
    them together would not do. Only for values within 0 to 1.
    """
    against = 0.0 if estimate > 0 else 1.0
    order = _by_weight(tasks, estimate, against)

    def is_undone(number: int) -> bool:
        chosen = set(order[:number])
        differences = to_differences(
            tasks,
            options,
            valid_value,
            lambda trial: against if id(trial) in chosen else valid_value(trial),
        )
        found = paired_interval(
            differences.values, differences.attempts, metric.kind, options, differences.clusters
        )
        low, high = found.low, found.high
        return low is None or high is None or low <= 0 <= high

    number = bisect_left(range(len(order) + 1), True, key=is_undone)
    return number if number <= len(order) else None


def _by_weight(tasks: Sequence[Pair], estimate: float, against: float) -> list[int]:
    """Order the treatment's missing attempts by how far each would move the mean difference."""
    weighted = []
    for pair in tasks:
        baseline = _values(pair.baseline)
        if not baseline:
            continue
        values = _values(pair.treatment)
        missing = [trial for trial in pair.treatment if valid_value(trial) is None]
        for trial in missing:
            before = fsum(values) / len(values) if values else None
            values.append(against)
            if before is None:
                # A task that joins the pairs moves the mean by how far it lies from it.
                moved = against - fsum(baseline) / len(baseline) - estimate
            else:
                moved = fsum(values) / len(values) - before
            weighted.append((-abs(moved), id(trial)))
    # Sorted by weight alone: equal ones stay in the order of the tasks.
    return [trial for _, trial in sorted(weighted, key=lambda entry: entry[0])]


def _values(trials: Sequence[Trial]) -> list[float]:
    return [value for trial in trials if (value := valid_value(trial)) is not None]
