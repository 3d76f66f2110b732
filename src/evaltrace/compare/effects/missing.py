"""Missing values: how many trials of each arm have none that counts, and if one arm lost more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evaltrace.compare.effects.differences import to_differences, usable_clusters
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pairing, Trial
from evaltrace.comparison import Missing
from evaltrace.stats.signflip import sign_flip

_SURE = 0.05
_TIMES_MORE = 2
_MORE = 3


def valid_value(trial: Trial) -> float | None:
    """Count the value of a trial that ended and was scored, however the missing are counted."""
    return trial.value if trial.state == "valid" else None


def is_missing(trial: Trial) -> float:
    """Count 1 for a started trial without a valid value, whatever the reason."""
    return float(valid_value(trial) is None)


def count_missing(pairing: Pairing, options: CompareOptions) -> Missing:
    """Count started trials without a valid value, and test whether the arms differ in them.

    The test flips signs of each task's difference in the share that is missing, over the tasks
    started in both arms.
    """
    first, first_of = _count(pair.baseline for pair in pairing.tasks)
    second, second_of = _count(pair.treatment for pair in pairing.tasks)
    shares = to_differences(pairing.tasks, options, is_missing if first or second else _nothing)
    clusters, _ = usable_clusters(shares.clusters)
    p = sign_flip(shares.values, clusters, options.seed).mid_p
    differential = (p is not None and p < _SURE) or _is_lopsided(
        (first, first_of), (second, second_of)
    )
    return Missing(
        baseline=first,
        baseline_of=first_of,
        treatment=second,
        treatment_of=second_of,
        p=p,
        differential=differential,
        statement=_statement((first, first_of), (second, second_of), differential=differential),
    )


def _nothing(_: Trial) -> float:
    return 0.0


def _count(tasks: Iterable[Sequence[Trial]]) -> tuple[int, int]:
    missing = [valid_value(trial) is None for trials in tasks for trial in trials]
    return sum(missing), len(missing)


def _is_lopsided(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Tell whether one arm lost twice as many or more, of as many trials, and 3 at least."""
    if not (first[1] and second[1]):
        return False
    less, more = sorted((first, second), key=lambda arm: arm[0] / arm[1])
    expected = less[0] / less[1] * more[1]
    return more[0] >= _TIMES_MORE * expected and more[0] - expected >= _MORE


def _statement(first: tuple[int, int], second: tuple[int, int], *, differential: bool) -> str:
    if first[0] == second[0] == 0:
        return "Every started trial has a value that counts."
    counts = (
        f"{first[0]} of {first[1]} trials of the baseline and {second[0]} of {second[1]} of the "
        "treatment have no value that counts"
    )
    if not differential:
        return f"{counts}."
    return (
        f"{counts}: one arm lost more than the other, so the losses may belong to the treatment, "
        "and counting them as failures may be fairer."
    )
