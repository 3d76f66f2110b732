"""What is needed to get the same numbers again, and the problems met on the way."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from evaltrace.compare.effects.differences import count_clusters, to_clusters, usable_clusters
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.reading.metric import can_fail
from evaltrace.compare.sides import Pairing, Side
from evaltrace.compare.treatment.treated import Treated
from evaltrace.compare.wording import counted
from evaltrace.comparison import Effect, Method, Metric
from evaltrace.errors import Problem
from evaltrace.version import __version__

_COUNTING = {
    "valid": "A trial counts when its reward does: an error that took the reward's meaning makes "
    "it missing, a time limit or a refusal does not.",
    "as-fail": "Every started trial without a value that counts is counted as 0 (--on-missing "
    "as-fail).",
    "bounds": "The finding is the one that holds both when every missing value is the worst for "
    "the treatment and when it is the best (--on-missing bounds).",
}
_CHOOSING = {
    "all": "Several trials of a task are attempts at it: they are averaged before anything else.",
    "latest": "Of several trials of a task in an arm the latest counts.",
    "first": "Of several trials of a task in an arm the first counts.",
    "error": "No task has several trials in an arm.",
}


def describe_method(
    options: CompareOptions, metric: Metric, effect: Effect, treated: Treated, pairing: Pairing
) -> Method:
    """Say how the numbers were made, with the versions that made them."""
    import numpy
    import scipy

    clusters = to_clusters(pairing.pairs, options)
    return Method(
        seed=options.seed,
        alpha=options.alpha,
        subsets=options.subsets,
        on_duplicate=options.on_duplicate,
        on_missing=options.on_missing,
        cluster_by=options.cluster_by,
        clusters=count_clusters(clusters) if clusters else None,
        versions={
            "evaltrace": __version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
            "scipy": scipy.__version__,
        },
        notes=list(_notes(options, metric, effect, treated, pairing)),
    )


def _notes(
    options: CompareOptions, metric: Metric, effect: Effect, treated: Treated, pairing: Pairing
) -> Iterator[str]:
    yield treated.record.statement
    yield from _on_missing(options, metric)
    yield _CHOOSING[options.on_duplicate]
    clustered = usable_clusters(to_clusters(pairing.pairs, options))[0] is not None
    unit = "group" if clustered else "task"
    yield f"Tasks pair by {options.pair_by.replace('-', ' ')}; the {unit} is the unit."
    if pairing.renamed:
        names = counted(len(pairing.renamed), "name")
        yield f"{names} cut at 32 characters paired with the whole name."
    difference = effect.difference
    if difference.method:
        yield f"Difference: {difference.method}; p: {difference.test}."
    yield effect.assumption
    if metric.better == "lower":
        yield f"Lower {metric.name} is taken to be better."
    yield (
        f"Ratios of sums and whatever rests on groups: intervals over random subsets of the "
        f"{unit}s (Hartigan 1969), each {unit} kept with probability 1/2."
    )


def _on_missing(options: CompareOptions, metric: Metric) -> Iterator[str]:
    way = options.on_missing
    if (way == "as-fail" and not can_fail(metric)) or (way == "bounds" and metric.kind == "number"):
        yield f"--on-missing {way} says nothing of {metric.name}: only values that count are used."
        way = "valid"
    yield _COUNTING[way]


def gather_problems(own: Sequence[Problem], sides: Sequence[Side]) -> list[Problem]:
    """List the problems of the inputs, and for each kind of those in traces the first one."""
    return sorted({*own, *_of_traces(sides)}, key=lambda row: (row.path, row.code, row.message))


def _of_traces(sides: Iterable[Side]) -> Iterator[Problem]:
    for side in sides:
        found: dict[str, list[Problem]] = defaultdict(list)
        for trial in (*side.trials, *side.set_aside):
            for problem in trial.trace.problems:
                found[problem.code].append(problem)
        for rows in found.values():
            first = min(rows, key=lambda row: (row.path, row.message))
            more = f" (the first of {len(rows)} in {side.label})" if len(rows) > 1 else ""
            message = f"{first.message}{more}"
            yield Problem(code=first.code, path=first.path, message=message, hint=first.hint)
