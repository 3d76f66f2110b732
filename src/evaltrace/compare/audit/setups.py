"""Likely broken set-ups: tasks at zero in all attempts of an arm, failing alike each time.

A task that an image, a mirror or a credential broke in one arm only looks like an effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import median
from typing import Literal

from evaltrace.compare.audit.items import entry, label_of, some_of, verb
from evaltrace.compare.effects.differences import to_differences
from evaltrace.compare.effects.effect import finding_of, paired_interval
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.reading.metric import can_fail
from evaltrace.compare.sides import Pair, Pairing, Side, Trial
from evaltrace.compare.wording import counted
from evaltrace.comparison import AuditItem, Finding, Grade, Metric
from evaltrace.untrusted import one_line

_FEW_CALLS = 2
_SHORT = 0.1
_LONGEST_SHORT_S = 60.0
_NAME = 60

Sign = Literal[-1, 0, 1]


@dataclass(frozen=True, slots=True)
class _Sameness:
    """How attempts fail alike; `broken` where that hardly happens to an agent at work."""

    text: str
    broken: bool


def audit_setups(
    baseline: Side,
    treatment: Side,
    pairing: Pairing,
    metric: Metric | None,
    options: CompareOptions,
) -> Iterator[AuditItem]:
    """Point out tasks whose failures look like those of a broken set-up.

    Only of a reward is zero a failure; without a metric it is taken for one.
    """
    if metric is not None and not can_fail(metric):
        return
    usual = {side.label: _usual_seconds(side) for side in (baseline, treatment)}
    for arm, side, other in (("baseline", baseline, treatment), ("treatment", treatment, baseline)):
        found: dict[str, _Sameness] = {}
        for pair in pairing.pairs:
            zeros, others = pair.valid_baseline, pair.valid_treatment
            if side is treatment:
                zeros, others = others, zeros
            if _all_failed(zeros) and any(trial.passed for trial in others):
                sameness = find_sameness(zeros, usual[side.label])
                if sameness is not None:
                    found[pair.task] = sameness
        for broken in (True, False):
            told = {task: row.text for task, row in found.items() if row.broken is broken}
            if told and broken:
                grade = _grade(told, pairing, metric, options)
                yield _zero_in_one_arm(side, other, told, pairing, arm, grade)
            elif told:
                yield _zero_in_one_arm(side, other, told, pairing, arm, "note")
    yield from _same_everywhere(pairing, usual[baseline.label], usual[treatment.label])


def _all_failed(trials: Sequence[Trial]) -> bool:
    return bool(trials) and all(trial.value == 0 and trial.passed is False for trial in trials)


def _usual_seconds(side: Side) -> float | None:
    known = [
        seconds
        for trial in side.trials
        if (seconds := trial.trace.metrics.durations.agent_execution_s) is not None
    ]
    return median(known) if known else None


def find_sameness(trials: Sequence[Trial], usual_seconds: float | None) -> _Sameness | None:
    """Find in what failed attempts of one arm are alike; None where they are not.

    One attempt alone is alike to nothing: it must have stopped before it began.
    """
    calls = [trial.trace.metrics.tool_calls for trial in trials]
    if all(count is not None and count <= _FEW_CALLS for count in calls):
        most = max(count or 0 for count in calls)
        return _Sameness(f"at most {counted(most, 'tool call')} each", True)
    if usual_seconds is not None and _all_short(trials, usual_seconds):
        return _Sameness("over in under a tenth of the usual time", True)
    if len(trials) < 2:
        return None
    errors = {trial.trace.error.type if trial.trace.error else None for trial in trials}
    if len(errors) == 1 and (error := errors.pop()) is not None:
        return _Sameness(f"{one_line(error, _NAME)} in each attempt", True)
    return _same_tests(trials)


def _all_short(trials: Sequence[Trial], usual: float) -> bool:
    limit = min(_SHORT * usual, _LONGEST_SHORT_S)
    times = [trial.trace.metrics.durations.agent_execution_s for trial in trials]
    return all(seconds is not None and seconds < limit for seconds in times)


def _same_tests(trials: Sequence[Trial]) -> _Sameness | None:
    cases = [trial.read_cases() or {} for trial in trials]
    failed = set(map(_failed_tests, cases))
    if len(failed) != 1 or not (names := failed.pop()):
        return None
    if not any("passed" in tests.values() for tests in cases):
        return _Sameness("no test of the verifier passes in any attempt", True)
    return _Sameness(f"the same {counted(len(names), 'test')} in each attempt", False)


def _failed_tests(cases: dict[str, str]) -> frozenset[str] | None:
    failed = frozenset(name for name, status in cases.items() if status == "failed")
    return failed or None


# At zero in one arm, solved in the other.


def _zero_in_one_arm(
    side: Side, others: Side, told: dict[str, str], pairing: Pairing, arm: str, grade: Grade
) -> AuditItem:
    rest = [pair for pair in pairing.pairs if pair.task not in told]
    label, other = label_of(side.label), label_of(others.label)
    gone = fsum(pair.difference or 0 for pair in pairing.pairs if pair.task in told)
    share = gone / len(pairing.pairs)
    message = (
        f"{counted(len(told), 'task')} at 0 in every attempt of {label} and solved in "
        f"{other} {verb(len(told), 'fails', 'fail')} the same way each time ({_ways(told)}): "
        f"{_points(share)} of the difference of {_points(_mean(pairing.pairs))}, which is "
        f"{_points(_mean(rest))} without; "
    )
    if grade == "note":
        message += "hard for this arm, or a broken set-up."
    else:
        message += "look for a broken set-up before believing the difference."
    flagged = [pair for pair in pairing.pairs if pair.task in told]
    means = (
        f"{fsum(pair.baseline_mean or 0 for pair in flagged) / len(flagged):.3g} on average",
        f"{fsum(pair.treatment_mean or 0 for pair in flagged) / len(flagged):.3g} on average",
    )
    return entry(grade, "zero_in_one_arm", f"reward.{arm}", message, means, told)


def _grade(
    told: dict[str, str], pairing: Pairing, metric: Metric | None, options: CompareOptions
) -> Grade:
    """Grade tasks that look broken: a blocker where the finding hangs on them."""
    rest = [pair for pair in pairing.pairs if pair.task not in told]
    without, found = (_finding(pairs, metric, options) for pairs in (rest, pairing.pairs))
    # Where nothing is shown with or without them, no finding can hang on them.
    shown = without[1] is not None or found[1] is not None
    return "blocker" if shown and without != found else "warning"


def _ways(told: dict[str, str]) -> str:
    first = sorted(told)[0]
    return f"{some_of(list(told))}; {told[first]}"


def _mean(pairs: Sequence[Pair]) -> float | None:
    values = [pair.difference for pair in pairs if pair.difference is not None]
    return fsum(values) / len(values) if values else None


def _points(value: float | None) -> str:
    if value is None:
        return "nothing"
    if abs(value) > 1:
        return f"{value:+.3g}"
    figure = f"{100 * value:+.1f}".removesuffix(".0")
    return f"{'0' if figure in ('+0', '-0') else figure} points"


def _finding(
    pairs: Sequence[Pair], metric: Metric | None, options: CompareOptions
) -> tuple[Sign, Finding | None]:
    """Give the sign of the mean difference, and what the headline says where it is sure."""
    found = to_differences(pairs, options)
    rewards = all(abs(value) <= 1 for value in found.values)
    kind = metric.kind if metric is not None else "fraction" if rewards else "number"
    interval = paired_interval(found.values, found.attempts, kind, options, found.clusters)
    finding = finding_of(interval, options.alpha)
    mean = interval.estimate or 0.0
    sign: Sign = 1 if mean > 0 else -1 if mean < 0 else 0
    return sign, finding if finding in ("better", "worse") else None


# Failing alike in both arms.


def _same_everywhere(
    pairing: Pairing, baseline_seconds: float | None, treatment_seconds: float | None
) -> Iterator[AuditItem]:
    longest = [seconds for seconds in (baseline_seconds, treatment_seconds) if seconds is not None]
    found: dict[str, _Sameness] = {}
    for pair in pairing.pairs:
        trials = [*pair.valid_baseline, *pair.valid_treatment]
        if _all_failed(trials):
            sameness = find_sameness(trials, min(longest, default=None))
            if sameness is not None:
                found[pair.task] = sameness
    for broken in (True, False):
        told = {task: row.text for task, row in found.items() if row.broken is broken}
        if told:
            message = (
                f"{counted(len(told), 'task')} of {len(pairing.pairs)} "
                f"{verb(len(told), 'fails', 'fail')} the same way in all attempts of both arms "
                f"({_ways(told)}) and can show no difference; "
            )
            message += "check the set-up." if broken else "too hard, or a broken set-up."
            grade: Grade = "warning" if broken else "note"
            yield entry(grade, "same_failure_everywhere", "reward", message, tasks=told)
