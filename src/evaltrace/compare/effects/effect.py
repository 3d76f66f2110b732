"""The effect: the metric in both arms and the paired difference, the task being the unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import fsum
from typing import Literal

from evaltrace.compare.effects.alternatives import find_alternatives
from evaltrace.compare.effects.differences import (
    Clusters,
    mean_attempts,
    mean_difference,
    to_clusters,
    to_differences,
    usable_clusters,
)
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.planning.power import design_effect, find_smallest_visible
from evaltrace.compare.sides import Pair, Pairing, Trial, mean_value
from evaltrace.comparison import ArmValue, Effect, Finding, Interval, Metric
from evaltrace.stats.intervals import Bounds, effective_wilson, mean_t, plus_two
from evaltrace.stats.signflip import SignFlip, sign_flip
from evaltrace.stats.subsets import Subsets

MetricKind = Literal["binary", "fraction", "number"]
Better = Literal["higher", "lower"]

_TASKS = (
    "The tasks are a random sample of the tasks that matter; attempts at a task are independent."
)
_GROUPS = (
    "The groups of tasks are a random sample of the groups that matter; attempts at a task are "
    "independent."
)


def measure_effect(pairing: Pairing, metric: Metric, options: CompareOptions) -> Effect:
    """Measure the metric in both arms, and by how much the treatment differs."""
    found = to_differences(pairing.pairs, options)
    clusters, _ = usable_clusters(found.clusters)
    return Effect(
        baseline=_arm_value(pairing, metric, options, lambda pair: pair.valid_baseline),
        treatment=_arm_value(pairing, metric, options, lambda pair: pair.valid_treatment),
        difference=paired_interval(
            found.values, found.attempts, metric.kind, options, found.clusters
        ),
        confidence=1 - options.alpha,
        assumption=_TASKS if clusters is None else _GROUPS,
        design_effect=design_effect(found),
        smallest_visible=find_smallest_visible(pairing, metric, options),
        alternatives=find_alternatives(pairing, metric, options),
    )


def _arm_value(
    pairing: Pairing,
    metric: Metric,
    options: CompareOptions,
    valid: Callable[[Pair], list[Trial]],
) -> ArmValue:
    """Average the tasks' means of one arm, over all its tasks and over the paired ones."""
    tasks = [pair for pair in pairing.tasks if valid(pair)]
    means = _means(tasks, valid)
    paired = _means(pairing.pairs, valid)
    attempts = [len(valid(pair)) for pair in tasks]
    bounds, method = _arm_bounds(means, attempts, metric.kind, options, to_clusters(tasks, options))
    return ArmValue(
        mean=fsum(means) / len(means) if means else None,
        low=bounds.low,
        high=bounds.high,
        n_tasks=len(tasks),
        n_trials=sum(attempts),
        paired_mean=fsum(paired) / len(paired) if paired else None,
        method=method if means else None,
    )


def _means(tasks: Sequence[Pair], valid: Callable[[Pair], list[Trial]]) -> list[float]:
    return [mean for pair in tasks if (mean := mean_value(valid(pair))) is not None]


def _arm_bounds(
    means: Sequence[float],
    attempts: Sequence[float],
    kind: MetricKind,
    options: CompareOptions,
    clusters: Clusters | None,
) -> tuple[Bounds, str]:
    units, _ = usable_clusters(clusters)
    if units is None and kind == "number":
        return mean_t(means, options.alpha), "t interval of the tasks' means"
    if units is None:
        found = effective_wilson(means, mean_attempts(attempts), options.alpha)
        return found, "Wilson interval at the effective number of tasks"
    subsets = Subsets(len(means), units, options.subsets, options.seed)
    if kind == "number":
        return subsets.mean(means, None, options.alpha), "random subsets of groups"
    found = subsets.rate(means, mean_attempts(attempts), options.alpha)
    return found, "random subsets of groups, with two imaginary ones"


def paired_interval(
    differences: Sequence[float],
    attempts: Sequence[float],
    metric_kind: MetricKind,
    options: CompareOptions,
    clusters: Clusters | None = None,
) -> Interval:
    """Estimate the mean difference with the interval and the test that fit the data.

    `attempts` are those of each task (the harmonic mean of both arms), `clusters` their groups.
    Values within 0 to 1 get two imaginary tasks, so that the interval has a width whatever was
    seen; numbers without limits get none.
    """
    if not differences:
        return Interval(note="no pairs")
    units, notes = usable_clusters(clusters)
    named = None if units is None else tuple(units)
    bounds, method, test = _measured(
        tuple(differences), mean_attempts(attempts), metric_kind, options, named
    )
    if bounds.low is None:
        notes.append(f"too few {'tasks' if units is None else 'groups'} to bound the difference")
    return Interval(
        estimate=mean_difference(differences),
        low=bounds.low,
        high=bounds.high,
        p=test.mid_p,
        n=len(differences),
        method=method,
        test=_test_name(exact=test.exact, clustered=units is not None),
        note="; ".join(notes) or None,
    )


# A report asks for the same differences again: as run, of those that comply, per task solved.
@lru_cache(maxsize=4)
def _measured(
    differences: tuple[float, ...],
    attempts: float,
    kind: MetricKind,
    options: CompareOptions,
    clusters: tuple[str | None, ...] | None,
) -> tuple[Bounds, str, SignFlip]:
    units = None if clusters is None else list(clusters)
    bounds, method = _bounds(differences, attempts, kind, options, units)
    return bounds, method, sign_flip(differences, units, options.seed)


def _bounds(
    differences: Sequence[float],
    attempts: float,
    kind: MetricKind,
    options: CompareOptions,
    clusters: Clusters | None,
) -> tuple[Bounds, str]:
    if clusters is None and kind != "number":
        return plus_two(differences, attempts, options.alpha), "plus-two t interval"
    method = f"random subsets of {'tasks' if clusters is None else 'groups'}"
    subsets = Subsets(len(differences), clusters, options.subsets, options.seed)
    if kind == "number":
        return subsets.mean(differences, None, options.alpha), method
    found = subsets.mean(differences, attempts**-0.5, options.alpha)
    return found, f"{method}, with two imaginary ones"


def _test_name(*, exact: bool, clustered: bool) -> str:
    name = "exact sign-flip test" if exact else "sign-flip test by random flips"
    return f"{name}{' of whole groups' if clustered else ''}, mid-p"


def finding_of(interval: Interval, alpha: float, better: Better = "higher") -> Finding | None:
    """Say what an interval and its p allow to be said; None where there are no pairs.

    Better or worse: the interval excludes 0, and p <= alpha. Leaning: one of the two.
    """
    if interval.estimate is None:
        return None
    apart = (interval.low or 0.0) > 0 or (interval.high or 0.0) < 0
    unlikely = interval.p is not None and interval.p <= alpha
    if interval.estimate == 0 or not (apart or unlikely):
        return "no_difference_shown"
    is_better = (interval.estimate > 0) == (better == "higher")
    if apart and (unlikely or interval.p is None):
        return "better" if is_better else "worse"
    return "leaning_better" if is_better else "leaning_worse"
