"""Paired differences: what each task contributes to a comparison of the arms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum

from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pair, Trial, without_rounding
from evaltrace.compare.wording import percent
from evaltrace.stats.subsets import FEWEST_CLUSTERS

Clusters = list[str | None]
"""The group of each task; one without a name stands for itself."""

_DOMINANT = 0.3

Count = Callable[[Trial], float | None]
"""What is counted of a trial; None leaves it out."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Treatment minus baseline for each paired task, in the order of the tasks.

    `attempts` are the harmonic means of the attempts in both arms; `clusters` is None where
    nothing groups the tasks.
    """

    values: list[float]
    attempts: list[float]
    clusters: Clusters | None = None


def counted_value(trial: Trial) -> float | None:
    """Count what the pairing counts."""
    return trial.value


def to_differences(
    pairs: Sequence[Pair],
    options: CompareOptions,
    baseline: Count = counted_value,
    treatment: Count | None = None,
) -> Differences:
    """Take the difference of each task's means, where both arms have something to count."""
    if baseline is counted_value and treatment is None:
        return _as_paired(pairs, options)
    kept, values, attempts = [], [], []
    for pair in pairs:
        first = _counted(pair.baseline, baseline)
        second = _counted(pair.treatment, treatment or baseline)
        if first and second:
            kept.append(pair)
            level = fsum(first) / len(first)
            values.append(without_rounding(fsum(second) / len(second) - level, level))
            attempts.append(harmonic_mean(len(first), len(second)))
    return Differences(values, attempts, to_clusters(kept, options))


def _as_paired(pairs: Sequence[Pair], options: CompareOptions) -> Differences:
    """Take the differences that the pairs know already."""
    kept = [pair for pair in pairs if pair.difference is not None]
    return Differences(
        [pair.difference for pair in kept if pair.difference is not None],
        [harmonic_mean(len(pair.valid_baseline), len(pair.valid_treatment)) for pair in kept],
        to_clusters(kept, options),
    )


def _counted(trials: Sequence[Trial], count: Count) -> list[float]:
    return [value for value in map(count, trials) if value is not None]


def harmonic_mean(first: int, second: int) -> float:
    """Give the number of attempts in each arm that has the same noise as these two."""
    return 2 * first * second / (first + second)


def mean_difference(values: Sequence[float]) -> float:
    """Average differences; those that cancel out but for rounding give 0."""
    return without_rounding(fsum(values) / len(values), 1.0)


def mean_attempts(attempts: Sequence[float]) -> float:
    """Average the attempts of the tasks; 1 without any task."""
    return fsum(attempts) / len(attempts) if attempts else 1.0


def to_clusters(pairs: Sequence[Pair], options: CompareOptions) -> Clusters | None:
    """Name the group of each pair, where groups are asked for."""
    return None if options.cluster_by is None else [pair.cluster for pair in pairs]


def count_clusters(clusters: Clusters) -> int:
    """Count the groups; a task without one is a group of its own."""
    return len(_sizes(clusters))


def _sizes(clusters: Clusters) -> Counter[int | str]:
    return Counter(
        index if name is None else f"named {name}" for index, name in enumerate(clusters)
    )


def usable_clusters(clusters: Clusters | None) -> tuple[Clusters | None, list[str]]:
    """Give the clusters where there are enough of them, and what to say about them."""
    if clusters is None:
        return None, []
    sizes = _sizes(clusters)
    if len(sizes) < FEWEST_CLUSTERS:
        return None, [
            f"too few groups to generalise over groups ({len(sizes)} of the {FEWEST_CLUSTERS} "
            "needed): the tasks are the units"
        ]
    share = max(sizes.values()) / len(clusters)
    if share <= _DOMINANT:
        return clusters, []
    held = f"one group holds {percent(share)} of the tasks"
    return clusters, [f"{held}: the interval may be too narrow"]
