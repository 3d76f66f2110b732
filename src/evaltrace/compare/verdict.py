"""The verdict: what the data allow to be said, in one sentence, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence

from evaltrace.compare.wording import amount, counted, signed
from evaltrace.comparison import (
    AuditItem,
    Compliance,
    Effect,
    Finding,
    Interval,
    Metric,
    Pairs,
    Quantity,
    Sensitivity,
    Verdict,
)

_FEW_PAIRS = 10
_HARDLY_USED = 0.2


def give_verdict(
    label: str,
    metric: Metric,
    finding: Finding | None,
    effect: Effect,
    pairs: Pairs,
    cost: Quantity,
    evidence: tuple[Sequence[AuditItem], Compliance, Sensitivity],
) -> Verdict:
    """Put the finding into words, with its effect, interval, pairs and cost."""
    audit, compliance, sensitivity = evidence
    if finding is None:
        sentence = "No verdict: no task has a value that counts in both arms."
    else:
        parts = [_said(label, metric, finding, effect), _pairs(pairs), _cost(cost)]
        sentence = ", ".join(part for part in parts if part) + _visible(metric, finding, effect)
    return Verdict(
        finding=finding,
        sentence=sentence,
        robust=sensitivity.survives,
        blockers=sum(item.grade == "blocker" for item in audit),
        caveats=list(_caveats(audit, compliance, sensitivity, pairs)),
    )


def _said(label: str, metric: Metric, finding: Finding, effect: Effect) -> str:
    difference = effect.difference.estimate or 0.0
    interval = _interval(effect.difference, effect.confidence, metric)
    if finding == "no_difference_shown":
        return f"~ No difference shown: {label} at {signed(difference, metric)}{interval}"
    up = difference > 0
    verb = "solved" if metric.kind == "binary" else "scored"
    said = f"{label} {verb} {amount(difference, metric)} {'more' if up else 'less'}"
    if metric.kind == "number":
        more = "higher" if up else "lower"
        said = f"{label}: {metric.name} is {amount(difference, metric)} {more}"
    lead = "Leaning, not shown: " if finding.startswith("leaning") else ""
    return f"{lead}{said}{interval}"


def _interval(difference: Interval, confidence: float, metric: Metric) -> str:
    if difference.low is None or difference.high is None:
        return " (too few tasks for an interval)"
    low = signed(difference.low, metric).removesuffix(" points")
    high = signed(difference.high, metric).removesuffix(" points")
    return f", {100 * confidence:g} % interval {low} to {high}"


def _pairs(pairs: Pairs) -> str:
    tasks = counted(pairs.tasks, "task")
    both = (pairs.attempts.baseline, pairs.attempts.treatment)
    if None in both:
        return tasks
    fewest = min(side.fewest for side in both if side)
    most = max(side.most for side in both if side)
    if fewest == most:
        return f"{tasks} x {counted(fewest, 'attempt')}"
    return f"{tasks} x {fewest} to {most} attempts"


def _cost(cost: Quantity) -> str:
    if cost.ratio is None or cost.ratio.estimate is None:
        return "cost not known in enough pairs" if cost.known_pairs < cost.pairs else ""
    return f"at {cost.ratio.estimate:.2f} times the cost"


def _visible(metric: Metric, finding: Finding, effect: Effect) -> str:
    if finding != "no_difference_shown":
        return "."
    if effect.smallest_visible is None:
        return "; so few data could hardly have shown any difference."
    least = amount(effect.smallest_visible, metric)
    return f"; this data could have shown {least} or more."


def _caveats(
    audit: Sequence[AuditItem], compliance: Compliance, sensitivity: Sensitivity, pairs: Pairs
) -> list[str]:
    found = []
    blockers = sum(item.grade == "blocker" for item in audit)
    if blockers:
        found.append(
            f"{counted(blockers, 'blocker')} in the audit: the arms differ in more than the "
            "treatment, so the difference cannot be put down to it."
        )
    if sensitivity.survives is False:
        found.append("The finding depends on how errors and missing rewards are counted.")
    if sensitivity.missing.differential:
        found.append("One arm lost more trials to errors than the other.")
    if 0 < pairs.tasks < _FEW_PAIRS:
        found.append(f"{pairs.tasks} pairs are few: only a very large effect can show.")
    return [*found, *_doubts_of_use(compliance)]


def _doubts_of_use(compliance: Compliance) -> list[str]:
    found = []
    if compliance.use_rate is not None and compliance.use_rate < _HARDLY_USED:
        found.append("The tool was hardly used: the result says little about it.")
    if compliance.baseline is not None and compliance.baseline.contaminated:
        number = compliance.baseline.contaminated
        found.append(
            f"{number} trial{'' if number == 1 else 's'} of the baseline had the tool too."
        )
    return found
