"""Figures and findings of a comparison as words: every report writes them the same way.

Absent is "not known". Differences of metrics within 0 and 1 are in points (percentage
points), money in dollars, durations in seconds and minutes. Text from traces is not escaped
here.
"""

from __future__ import annotations

from evaltrace.comparison import (
    Analysis,
    ArmValue,
    Attempts,
    Comparison,
    Finding,
    Grade,
    Interval,
    Metric,
    Quantity,
    Verdict,
)
from evaltrace.figures import (
    NOT_KNOWN,
    amount,
    difference,
    in_points,
    is_known,
    signed,
    size,
)
from evaltrace.quantities import counted, grouped, plain

__all__ = [
    "ANALYSES",
    "FINDINGS",
    "GRADES",
    "NOT_KNOWN",
    "NO_WINNER",
    "RATE",
    "amount",
    "analysis_words",
    "attempts_words",
    "cause_words",
    "count",
    "count_of",
    "design",
    "difference",
    "difference_interval",
    "finding_words",
    "graded_counts",
    "in_points",
    "known_of",
    "level",
    "level_interval",
    "number",
    "p_only",
    "p_value",
    "passed",
    "percent",
    "plain_value",
    "ratio_interval",
    "share",
    "short_digest",
    "signed",
    "signed_amount",
    "size",
    "times",
    "verdict_words",
    "visible_words",
]

NO_WINNER = "~"
"""What stands in the place of a winner where none is shown."""

FINDINGS: dict[Finding, str] = {
    "better": "better",
    "leaning_better": "leaning better",
    "no_difference_shown": f"{NO_WINNER} no difference shown",
    "leaning_worse": "leaning worse",
    "worse": "worse",
}
GRADES: dict[Grade, str] = {"blocker": "blocker", "warning": "warning", "note": "note"}
"""Grades of the audit, from the one that forbids the conclusion downwards."""

ANALYSES = {
    "valid_only": "valid only",
    "as_run": "as run",
    "missing_as_fail": "missing as fail",
    "worst_case": "worst case",
    "best_case": "best case",
}
RATE = Metric(name="rate", field="rate", kind="binary", better="higher", pass_threshold=1.0)
"""A share of tasks, written like a metric that is 0 or 1."""


# Findings.


def finding_words(finding: Finding | None) -> str:
    """Say what may be said; None is what cannot be told, for want of pairs or of bounds."""
    return "cannot be told" if finding is None else FINDINGS[finding]


def verdict_words(verdict: Verdict) -> str:
    """Say the verdict in one sentence, after the finding where it does not name that itself.

    `Better, but 1 blocker in the audit: with-mcp solved 12 points more, ...`; whatever else
    weakens it is among its caveats.
    """
    if verdict.finding not in ("better", "worse"):
        return verdict.sentence
    blocked = f", but {counted(verdict.blockers, 'blocker')} in the audit"
    lead = verdict.finding.capitalize() + (blocked if verdict.blockers else "")
    return f"{lead}: {verdict.sentence}"


def analysis_words(analysis: Analysis) -> str:
    """Name a way to count what is missing."""
    return ANALYSES[analysis.name] + (" (primary)" if analysis.primary else "")


def cause_words(cause: str) -> str:
    """Write a cause of errors as words: `sandbox_failed` is `sandbox`."""
    return cause.removesuffix("_failed").replace("_", " ")


def graded_counts(grades: dict[Grade, int]) -> str:
    """Count the items of the audit: `1 blocker, 2 warnings, no notes`."""
    return ", ".join(
        counted(grades[grade], word) if grades.get(grade) else f"no {word}s"
        for grade, word in GRADES.items()
    )


def visible_words(comparison: Comparison) -> str:
    """Say what this design could have shown."""
    visible = comparison.reward.smallest_visible
    if visible is not None:
        return f"these data could have shown {size(visible, comparison.metric)} or more"
    if comparison.reward.difference.estimate is None:
        return "what these data could have shown is not known"
    return "so few data could hardly have shown any difference"


# The metric.


def level(value: float | None, metric: Metric) -> str:
    """Write a mean of the metric: `54.7 %` where it is a rate, `0.547`, `$1.20`."""
    if not is_known(value):
        return NOT_KNOWN
    if metric.kind == "binary":
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if metric.kind == "fraction" else amount(value, metric.unit)


def level_interval(found: ArmValue | Interval, metric: Metric) -> str:
    """Write a mean with its interval: `54.7 % (38.9 to 68.2)`."""
    value = found.mean if isinstance(found, ArmValue) else found.estimate
    ends = [
        level(end, metric).removesuffix(" %") if is_known(end) else None
        for end in (found.low, found.high)
    ]
    return level(value, metric) + (_between(ends) if is_known(value) else "")


def plain_value(value: float | None) -> str:
    """Write the value of one trial: `1`, `0.75`."""
    return plain(value, NOT_KNOWN) if is_known(value) else NOT_KNOWN


def difference_interval(found: Interval | None, metric: Metric) -> str:
    """Write a difference with its interval: `+20.7 points (+3.7 to +34.6)`."""
    if found is None or not is_known(found.estimate):
        return NOT_KNOWN
    ends = [signed(end, metric) if is_known(end) else None for end in (found.low, found.high)]
    return difference(found.estimate, metric) + _between(ends)


# Ratios and amounts.


def times(value: float | None) -> str:
    """Write a ratio: `1.38x`."""
    if not is_known(value):
        return NOT_KNOWN
    return f"{_ratio(value)}x"


def ratio_interval(found: Interval | None) -> str:
    """Write a ratio with its interval: `1.38x (1.29 to 1.46)`."""
    if found is None or not is_known(found.estimate):
        return NOT_KNOWN
    ends = [_ratio(end) if is_known(end) else None for end in (found.low, found.high)]
    return times(found.estimate) + _between(ends)


def signed_amount(value: float | None, unit: str | None) -> str:
    """Write a difference of a quantity: `+243.0k`, `-$0.02`."""
    if not is_known(value):
        return NOT_KNOWN
    text = amount(abs(value), unit)
    return text if text == "0" else ("-" if value < 0 else "+" if value > 0 else "") + text


def known_of(quantity: Quantity) -> str:
    """Say in how many pairs a quantity is known: `25 of 25 pairs`."""
    return f"{quantity.known_pairs:,} of {counted(quantity.pairs, 'pair')}"


# Tests, shares and counts.


def p_value(p: float | None, name: str = "p") -> str:
    """Write a p value: `p = 0.018`, `p < 0.001`."""
    text = p_only(p)
    return f"{name} {text}" if not is_known(p) or p < 0.001 else f"{name} = {text}"


def p_only(p: float | None, absent: str = NOT_KNOWN) -> str:
    """Write a p value for a column of them: `0.018`, `< 0.001`."""
    if not is_known(p):
        return absent
    if p < 0.001:
        return "< 0.001"
    return "1" if p >= 0.9995 else f"{p:.3f}"


def share(value: float | None) -> str:
    """Write a share of 1 in percent: `58 %`."""
    if not is_known(value):
        return NOT_KNOWN
    if 0 < value < 0.01 or 0.99 < value < 1:
        return f"{100 * value:.1f} %"
    return f"{100 * value:.0f} %"


def percent(confidence: float) -> str:
    """Write the confidence of an interval: `95 %`, `97.5 %`."""
    return f"{100 * confidence:.4g} %"


def number(value: float | None, digits: int = 1) -> str:
    """Write a mean of counts: `3`, `2.9`."""
    if not is_known(value):
        return NOT_KNOWN
    return f"{value:,.{digits}f}".removesuffix("." + digits * "0")


def count(value: int | None) -> str:
    """Write a count: `1,234`."""
    return grouped(value, NOT_KNOWN)


def count_of(part: int | None, whole: int | None) -> str:
    """Write a count with what it is a part of: `70 of 73`."""
    return f"{count(part)} of {count(whole)}"


def passed(number_passed: int, attempts: int) -> str:
    """Write the outcome of a task in an arm: `2/3`."""
    return f"{number_passed}/{attempts}"


def design(comparison: Comparison) -> str:
    """Say what the effect rests on: `25 tasks x 2 to 3 attempts`."""
    attempts = comparison.pairs.attempts
    sides = [side for side in (attempts.baseline, attempts.treatment) if side is not None]
    tasks = counted(comparison.pairs.tasks, "task")
    if not sides:
        return tasks
    fewest, most = min(side.fewest for side in sides), max(side.most for side in sides)
    if fewest == most:
        return f"{tasks} x {counted(most, 'attempt')}"
    return f"{tasks} x {fewest:,} to {most:,} attempts"


def attempts_words(attempts: Attempts) -> str:
    """Say how many attempts a task has: `2`, or `1 to 3 (mean 2.4)`."""
    if attempts.fewest == attempts.most:
        return count(attempts.most)
    return f"{attempts.fewest:,} to {attempts.most:,} (mean {number(attempts.mean)})"


def short_digest(digest: str) -> str:
    """Write the beginning of a digest, enough to tell two files apart: `sha256:4ec4e14e1b0c`."""
    return digest[: len("sha256:") + 12]


# Parts of a number.


def _ratio(value: float) -> str:
    if abs(value) >= 100:
        return grouped(value)
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _between(ends: list[str | None]) -> str:
    low, high = ends
    if low is None and high is None:
        return " (no interval)"
    if low is None:
        return f" (at most {high})"
    return f" (at least {low})" if high is None else f" ({low} to {high})"
