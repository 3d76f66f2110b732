"""Differences of the runs: which harness, when, how many at a time, and what answered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from evaltrace.compare.audit.items import entry, label_of
from evaltrace.compare.audit.values import shown
from evaltrace.compare.sides import Side, Trial
from evaltrace.compare.wording import counted
from evaltrace.comparison import AuditItem, Grade
from evaltrace.times import parse_time
from evaltrace.untrusted import one_line

_SHORT = 44
_EXACT = re.compile(r"\d+(?:\.\w+)+")
_DAY = 24 * 3600
_UNSURE_OF_CHANCE = 0.05
_MUCH_MORE = 2
_RULES = ("max_retries", "include_exceptions", "exclude_exceptions",
          "wait_multiplier", "min_wait_sec", "max_wait_sec")  # fmt: skip


def audit_runs(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    """Compare how and when the jobs of both arms ran."""
    yield from _audit_harness(baseline, treatment)
    yield from _audit_concurrency(baseline, treatment)
    yield from _audit_retry(baseline, treatment)
    yield from _audit_retries(baseline, treatment)
    yield from _audit_windows(baseline, treatment)
    yield from _audit_provider(baseline, treatment)


def _values(side: Side, value: Callable[[Trial], str | None]) -> Counter[str]:
    found = Counter(map(value, side.trials))
    return Counter({text: number for text, number in found.items() if text})


def _joined(values: Iterable[Any]) -> str:
    return shown(", ".join(sorted(map(str, values))), "ref")


def _differs(
    grade: Grade, code: str, field: str, what: str, rows: tuple[tuple[Side, str], ...], advice: str
) -> AuditItem:
    (before, first), (after, second) = rows
    message = (
        f"{what}: {one_line(first, _SHORT)} in {label_of(before.label)}, "
        f"{one_line(second, _SHORT)} in {label_of(after.label)}; {advice}."
    )
    return entry(grade, code, field, message, (first, second))


def _audit_harness(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    for field, what, value in (
        ("origin.harness", "The harness differs", _harness),
        ("origin.harness_version", "The harness's version differs", _harness_version),
    ):
        before, after = _values(baseline, value), _values(treatment, value)
        if before and after and before.keys() != after.keys():
            sure = field == "origin.harness" or all(map(_EXACT.fullmatch, [*before, *after]))
            rows = ((baseline, _joined(before)), (treatment, _joined(after)))
            advice = "run both arms with the same one" if sure else "one is known only roughly"
            grade: Grade = "warning" if sure else "note"
            yield _differs(grade, field.partition(".")[2], field, what, rows, advice)


def _harness(trial: Trial) -> str | None:
    return trial.trace.origin.harness


def _harness_version(trial: Trial) -> str | None:
    return trial.trace.origin.harness_version


def _audit_concurrency(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    before, after = (
        {row.concurrency for row in side.inputs if row.concurrency is not None}
        for side in (baseline, treatment)
    )
    if before and after and before != after:
        much = max(before | after) >= _MUCH_MORE * min(before | after)
        yield _differs(
            "warning" if much else "note",
            "concurrency",
            "inputs.concurrency",
            "The number of trials run at a time differs",
            ((baseline, _joined(before)), (treatment, _joined(after))),
            "load makes time limits and rate limits bite, so run both arms with the same",
        )


def _audit_retry(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    for key in _RULES:
        before, after = _rules(baseline, key), _rules(treatment, key)
        if before and after and before.keys() != after.keys():
            yield _differs(
                "warning" if key == "max_retries" else "note",
                "retry",
                f"inputs.retry.{key}",
                f"The harness's rule for retries differs in {key}",
                ((baseline, _any_of(before)), (treatment, _any_of(after))),
                "a retry erases a failed trial, so give both arms the same rule",
            )


def _rules(side: Side, key: str) -> dict[str, Any]:
    rules = (row.retry for row in side.inputs if row.retry is not None and key in row.retry)
    return {str(rule[key]): rule[key] for rule in rules}


def _any_of(values: dict[str, Any]) -> str:
    return " or ".join(shown(values[key]) for key in sorted(values))[:80]


def _audit_retries(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    numbers = [
        [row.retries for row in side.inputs if row.retries is not None]
        for side in (baseline, treatment)
    ]
    if baseline.whole and treatment.whole and all(numbers):
        before, after = sum(numbers[0]), sum(numbers[1])
        if before != after:
            yield _differs(
                "note",
                "retries",
                "inputs.retries",
                "The harness ran failed trials again, and kept no trace of their first try",
                ((baseline, str(before)), (treatment, str(after))),
                "their cost and tokens are missing from the totals",
            )


# When the arms ran.


def _audit_windows(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    before, after = _window(baseline), _window(treatment)
    if before is None or after is None:
        return
    first, second = sorted([before, after])
    gap = (second[0] - first[1]).total_seconds()
    if gap <= 0:
        return
    order = "baseline first" if before < after else "treatment first"
    yield _differs(
        "warning" if gap >= _DAY else "note",
        "run_window",
        "origin.started_at",
        f"The arms ran one after the other, {_duration(gap)} apart ({order})",
        ((baseline, _shown_window(before)), (treatment, _shown_window(after))),
        "models, providers and load may have changed meanwhile, so interleave the arms",
    )


Window = tuple[datetime, datetime]


def _window(side: Side) -> Window | None:
    """Give the first start and the last end; None without times that name their zone."""
    origins = [trial.trace.origin for trial in side.trials]
    starts = [time for origin in origins if (time := _zoned(origin.started_at))]
    ends = [time for origin in origins if (time := _zoned(origin.finished_at))]
    return (min(starts), max([*ends, *starts])) if starts else None


def _zoned(stamp: str | None) -> datetime | None:
    time = parse_time(stamp)
    return time if time is not None and time.tzinfo is not None else None


def _shown_window(window: Window) -> str:
    first, last = window
    same_day = first.date() == last.date()
    end = f"{last:%H:%M}" if same_day else f"{last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M} to {end} UTC"


def _duration(seconds: float) -> str:
    for size, unit in ((_DAY, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return counted(round(seconds / size), unit)
    return "less than a minute"


def _audit_provider(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    from evaltrace.stats.flips import chance_of_difference

    failed = [
        sum(_provider_failed(trial) for trial in side.trials) for side in (baseline, treatment)
    ]
    total = [len(side.trials) for side in (baseline, treatment)]
    if chance_of_difference(failed[0], total[0], failed[1], total[1]) >= _UNSURE_OF_CHANCE:
        return
    texts = [f"{number} of {of} trials" for number, of in zip(failed, total, strict=True)]
    yield _differs(
        "warning",
        "provider_errors",
        "error.cause",
        "The model's provider failed more often in one arm",
        ((baseline, texts[0]), (treatment, texts[1])),
        "what failed is missing from that arm, so run it again",
    )


def _provider_failed(trial: Trial) -> bool:
    error = trial.trace.error
    return error is not None and error.cause == "model_provider_failed"
