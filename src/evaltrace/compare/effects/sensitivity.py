"""Sensitivity: whether the finding survives other ways to count what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from msgspec import structs

from evaltrace.compare.effects.differences import Count, counted_value, to_differences
from evaltrace.compare.effects.effect import finding_of, paired_interval
from evaltrace.compare.effects.missing import count_missing, valid_value
from evaltrace.compare.effects.tipping import find_tipping_point
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.reading.metric import can_fail
from evaltrace.compare.sides import Pair, Pairing, Trial
from evaltrace.compare.wording import counted, signed
from evaltrace.comparison import Analysis, Interval, Metric, Missing, Sensitivity

Name = Literal["valid_only", "as_run", "missing_as_fail", "worst_case", "best_case"]


def judge_sensitivity(pairing: Pairing, metric: Metric, options: CompareOptions) -> Sensitivity:
    """Count errors and missing values in five ways, and compare what each allows to be said.

    The primary one is the one the pairing was made for: valid values only, or missing ones as
    failures. `survives` is None where there is no finding, or where something is missing and
    the metric has no worst value to put in its place.
    """
    primary: Name = "valid_only"
    if options.on_missing == "as-fail" and can_fail(metric):
        primary = "missing_as_fail"
    missing = count_missing(pairing, options)
    if missing.baseline == missing.treatment == 0:
        analyses = _all_the_same(pairing.tasks, metric, options, primary)
    else:
        analyses = [_analyse(way, pairing.tasks, metric, options, primary) for way in _WAYS]
    chosen = next(row for row in analyses if row.primary)
    survives = _survives(chosen, analyses, missing)
    tipping = _tipping_point(chosen, pairing.tasks, metric, options)
    return Sensitivity(
        survives=survives,
        analyses=analyses,
        missing=missing,
        tipping_point=tipping,
        statement=_statement(chosen, analyses, missing, metric, tipping),
    )


def _is_bounded(metric: Metric) -> bool:
    return metric.kind != "number"


def _recorded(trial: Trial) -> float | None:
    return trial.recorded


def _or_else(missing: float) -> Count:
    def count(trial: Trial) -> float:
        value = valid_value(trial)
        return missing if value is None else value

    return count


def _good(metric: Metric) -> Count:
    return _or_else(1.0 if metric.better == "higher" else 0.0)


def _bad(metric: Metric) -> Count:
    return _or_else(0.0 if metric.better == "higher" else 1.0)


class _Way(NamedTuple):
    """A way to count the trials of either arm, and the metrics it makes sense for."""

    name: Name
    meaning: str
    baseline: Callable[[Metric], Count]
    treatment: Callable[[Metric], Count | None]
    applies: Callable[[Metric], bool] = lambda _: True


_WAYS = (
    _Way(
        "valid_only", "values that count; errors of the set-up are left out",
        lambda _: valid_value, lambda _: valid_value,
    ),
    _Way(
        "as_run", "every recorded value, whatever the error",
        lambda _: _recorded, lambda _: _recorded,
    ),
    _Way(
        "missing_as_fail", "every started trial without a value that counts is a failure",
        lambda _: _or_else(0.0), lambda _: _or_else(0.0), can_fail,
    ),
    _Way(
        "worst_case", "all missing trials go against the treatment",
        _good, _bad, _is_bounded,
    ),
    _Way(
        "best_case", "all missing trials go in favour of the treatment",
        _bad, _good, _is_bounded,
    ),
)  # fmt: skip


def _analyse(
    way: _Way, tasks: Sequence[Pair], metric: Metric, options: CompareOptions, primary: Name
) -> Analysis:
    difference = Interval(note="not applicable: the metric has no value for a missing trial")
    if way.applies(metric):
        counted_so = to_differences(tasks, options, way.baseline(metric), way.treatment(metric))
        difference = paired_interval(
            counted_so.values,
            counted_so.attempts,
            _kind_of(way, tasks, metric),
            options,
            counted_so.clusters,
        )
    return Analysis(
        name=way.name,
        meaning=way.meaning,
        primary=way.name == primary,
        difference=difference,
        finding=finding_of(difference, options.alpha, metric.better),
    )


def _all_the_same(
    tasks: Sequence[Pair], metric: Metric, options: CompareOptions, primary: Name
) -> list[Analysis]:
    """Give one analysis under every name that applies: with nothing missing they are equal."""
    # What the pairs know is what every way would count again.
    known = _WAYS[0]._replace(baseline=lambda _: counted_value, treatment=lambda _: None)
    first = _analyse(known, tasks, metric, options, primary)
    return [
        structs.replace(
            first, name=way.name, meaning=way.meaning, primary=way.name == primary,
            difference=structs.replace(first.difference),
        ) if way.applies(metric) else _analyse(way, tasks, metric, options, primary)
        for way in _WAYS
    ]  # fmt: skip


def _kind_of(
    way: _Way, tasks: Sequence[Pair], metric: Metric
) -> Literal["binary", "fraction", "number"]:
    """Tell which values a way counts: what stands beside an error may lie beyond 0 and 1."""
    if way.name == "as_run":
        for pair in tasks:
            recorded = (trial.recorded for trial in (*pair.baseline, *pair.treatment))
            if any(value is not None and not 0 <= value <= 1 for value in recorded):
                return "number"
    return metric.kind


def _survives(chosen: Analysis, analyses: Sequence[Analysis], missing: Missing) -> bool | None:
    if chosen.finding is None:
        return None
    findings = {row.finding for row in analyses if row.finding is not None}
    if len(findings) > 1:
        return False
    complete = missing.baseline == missing.treatment == 0
    return True if complete or all(row.finding for row in analyses) else None


def _tipping_point(
    chosen: Analysis, tasks: Sequence[Pair], metric: Metric, options: CompareOptions
) -> int | None:
    shown = chosen.name == "valid_only" and chosen.finding in ("better", "worse")
    if not shown or chosen.difference.estimate is None or not _is_bounded(metric):
        return None
    return find_tipping_point(tasks, metric, options, chosen.difference.estimate)


_SHORT: dict[Name, str] = {
    "valid_only": "without the missing trials",
    "as_run": "as recorded",
    "missing_as_fail": "as failures",
    "worst_case": "at worst",
    "best_case": "at best",
}


def _statement(
    chosen: Analysis,
    analyses: Sequence[Analysis],
    missing: Missing,
    metric: Metric,
    tipping: int | None,
) -> str:
    if missing.baseline == missing.treatment == 0:
        return "Nothing is missing: every way to count gives the same difference."
    told = ", ".join(
        f"{_SHORT[row.name]} {signed(row.difference.estimate, metric)}"
        for row in analyses
        if row.difference.estimate is not None
    )
    if not told:
        return missing.statement
    return f"Difference {told}. {_judged(chosen, analyses)}" + _undone(missing, tipping)


def _judged(chosen: Analysis, analyses: Sequence[Analysis]) -> str:
    others = [row for row in analyses if row.finding not in (chosen.finding, None)]
    if others:
        told = ", ".join(
            f"{_SHORT[row.name]} it is {str(row.finding).replace('_', ' ')}" for row in others
        )
        return f"The finding depends on how missing trials are counted: {told}."
    if all(row.finding for row in analyses):
        return "The finding is the same in all of them."
    return "How much they matter cannot be bounded."


def _undone(missing: Missing, tipping: int | None) -> str:
    if tipping is None:
        return ""
    others = counted(missing.treatment, "missing attempt")
    return f" It takes {tipping} of the treatment's {others} to undo it."
