"""The same difference by other published methods, for readers who know those."""

from __future__ import annotations

from collections.abc import Iterator

from evaltrace.compare.effects.differences import (
    Clusters,
    mean_difference,
    to_differences,
    usable_clusters,
)
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pair, Pairing
from evaltrace.comparison import Interval, Metric
from evaltrace.stats.intervals import fixed_tasks
from evaltrace.stats.published import (
    bonett_price,
    clustered_errors,
    mcnemar,
    newcombe,
    paired_t,
    tango,
)
from evaltrace.stats.quantiles import t_quantile, t_two_sided

_FEWEST_TASKS = 25
_FEWEST_ATTEMPTS = 3


def find_alternatives(pairing: Pairing, metric: Metric, options: CompareOptions) -> list[Interval]:
    """Give the difference by every published method that fits the design.

    Tables of two by two for single attempts at 0 or 1; paired t; sandwich errors for clusters;
    "exactly these tasks" from 3 attempts at 25 tasks on.
    """
    pairs = pairing.pairs
    found = to_differences(pairs, options)
    clusters, _ = usable_clusters(found.clusters)
    rows: list[Interval] = []
    if metric.kind == "binary" and pairs and all(_attempts(pair) == (1, 1) for pair in pairs):
        rows += _by_table(pairs, options.alpha)
    if len(set(found.values)) > 1:
        rows.append(_by_t(found.values, options.alpha))
        rows += _by_clusters(found.values, clusters, options.alpha)
    if metric.kind == "binary" and _is_repeated(pairs):
        rows.append(_of_these_tasks(pairs, found.values, options.alpha))
    return rows


def _attempts(pair: Pair) -> tuple[int, int]:
    return len(pair.valid_baseline), len(pair.valid_treatment)


def _is_repeated(pairs: list[Pair]) -> bool:
    fewest = min((min(_attempts(pair)) for pair in pairs), default=0)
    return len(pairs) >= _FEWEST_TASKS and fewest >= _FEWEST_ATTEMPTS


def _by_table(pairs: list[Pair], alpha: float) -> Iterator[Interval]:
    cells = [(pair.baseline_mean == 1, pair.treatment_mean == 1) for pair in pairs]
    both, only_b = cells.count((True, True)), cells.count((False, True))
    only_a, none = cells.count((True, False)), cells.count((False, False))
    n = len(cells)
    for method, (low, high) in (
        ("Tango's score interval", tango(only_b, only_a, n, alpha)),
        ("Newcombe's interval, method 10", newcombe(both, only_b, only_a, none, alpha)),
        ("Bonett-Price interval", bonett_price(only_b, only_a, n, alpha)[2:]),
    ):
        yield Interval(
            estimate=(only_b - only_a) / n,
            low=low,
            high=high,
            p=mcnemar(only_b, only_a).mid_p,
            n=n,
            method=method,
            test="McNemar's test, mid-p",
        )


def _by_t(values: list[float], alpha: float) -> Interval:
    found = paired_t(values, alpha)
    return Interval(
        estimate=mean_difference(values),
        low=found.low,
        high=found.high,
        p=found.p,
        n=len(values),
        method="paired t interval",
        test="paired t test",
    )


def _by_clusters(
    values: list[float], clusters: Clusters | None, alpha: float
) -> Iterator[Interval]:
    if clusters is None:
        return
    errors, mean = clustered_errors(values, clusters), mean_difference(values)
    named = len({name for name in clusters if name is not None})
    freedom = named + clusters.count(None) - 1
    for name, error in (("CR1", errors.cr1), ("CR3", errors.cr3)):
        half = t_quantile(1 - alpha / 2, freedom) * error
        yield Interval(
            estimate=mean,
            low=mean - half,
            high=mean + half,
            p=t_two_sided(mean / error, freedom) if error > 0 else None,
            n=len(values),
            method=f"t interval with {name} clustered standard error",
            test=f"t test with {name} clustered standard error" if error > 0 else None,
        )


def _of_these_tasks(pairs: list[Pair], values: list[float], alpha: float) -> Interval:
    low, high = fixed_tasks(
        [pair.baseline_mean or 0.0 for pair in pairs],
        [len(pair.valid_baseline) for pair in pairs],
        [pair.treatment_mean or 0.0 for pair in pairs],
        [len(pair.valid_treatment) for pair in pairs],
        alpha,
    )
    return Interval(
        estimate=mean_difference(values),
        low=low,
        high=high,
        n=len(pairs),
        method="interval for a repetition on exactly these tasks",
        note="says nothing of other tasks",
    )
