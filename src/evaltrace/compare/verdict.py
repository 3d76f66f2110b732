"""The verdict: what the data allow to be said, in one sentence, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evaltrace.compare.treatment.compliance import HARDLY_USED
from evaltrace.compare.wording import amount, counted, signed
from evaltrace.comparison import (
    AuditItem,
    BothDenominators,
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

_FEW = "few_pairs"
_BROKEN = ("zero_in_one_arm", "same_failure_everywhere")
_FEW_PAIRS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict rests on; `bounded`: it had to hold at worst and at best."""

    label: str
    metric: Metric
    finding: Finding | None
    bounded: bool
    effect: Effect
    pairs: Pairs
    denominators: BothDenominators
    cost: Quantity
    audit: Sequence[AuditItem]
    compliance: Compliance
    sensitivity: Sensitivity

    @property
    def blockers(self) -> int:
        """The differences between the arms that forbid a conclusion."""
        return sum(item.grade == "blocker" for item in self.audit)


def give_verdict(found: Evidence) -> Verdict:
    """Put the finding into words, with its effect, interval, pairs and cost."""
    if found.finding is None:
        sentence = "No verdict: no task has a value that counts in both arms."
    else:
        parts = [_said(found, found.finding), _pairs(found.pairs), _cost(found.cost)]
        sentence = ", ".join(part for part in parts if part) + _visible(found)
    return Verdict(
        finding=found.finding,
        sentence=sentence,
        robust=found.sensitivity.survives,
        blockers=found.blockers,
        caveats=list(_caveats(found)),
    )


def _said(found: Evidence, finding: Finding) -> str:
    metric, effect = found.metric, found.effect
    difference = effect.difference.estimate or 0.0
    interval = _interval(effect.difference, effect.confidence, metric)
    if finding == "no_difference_shown":
        return f"~ No difference shown: {found.label} at {signed(difference, metric)}{interval}"
    up = difference > 0
    verb = "solved" if metric.kind == "binary" else "scored"
    said = f"{found.label} {verb} {amount(difference, metric)} {'more' if up else 'less'}"
    if metric.kind == "number":
        more = "higher" if up else "lower"
        said = f"{found.label}: {metric.name} is {amount(difference, metric)} {more}"
    lead = "Leaning, not shown: " if finding.startswith("leaning") else ""
    return f"{lead}{said}{interval}"


def _interval(difference: Interval, confidence: float, metric: Metric) -> str:
    if difference.low is None or difference.high is None:
        return " (too few tasks for an interval)"
    low = signed(difference.low, metric).removesuffix(" points")
    high = signed(difference.high, metric).removesuffix(" points")
    told = f", {100 * confidence:g} % interval {low} to {high}"
    if difference.p_adjusted is None:
        return told
    return f"{told}, p = {difference.p_adjusted:.3f} after Holm's adjustment"


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
    if cost.ratio is not None and cost.ratio.estimate is not None:
        return f"at {cost.ratio.estimate:.2f} times the cost"
    if cost.known_pairs == cost.pairs:
        return ""
    return "cost not known in enough pairs" if cost.known_pairs else "cost not known"


def _visible(found: Evidence) -> str:
    if found.finding != "no_difference_shown":
        return "."
    if found.effect.smallest_visible is None:
        return "; so few data could hardly have shown any difference."
    least = amount(found.effect.smallest_visible, found.metric)
    return f"; this data could have shown {least} or more."


def _caveats(found: Evidence) -> Iterator[str]:
    yield from _doubts_of_audit([item.code for item in found.audit if item.grade == "blocker"])
    if found.finding is not None:
        yield from _doubts_of_data(found)
    running = found.denominators.baseline.running + found.denominators.treatment.running
    if running:
        yield f"{counted(running, 'trial')} had not ended: this is a look at a run in progress."
    yield from _doubts_of_use(found.compliance)


def _doubts_of_audit(blockers: Sequence[str]) -> Iterator[str]:
    differing = sum(code not in (_FEW, *_BROKEN) for code in blockers)
    if differing:
        yield (
            f"{counted(differing, 'blocker')} in the audit: the arms differ in more than the "
            "treatment, so the difference cannot be put down to it."
        )
    if any(code in _BROKEN for code in blockers):
        yield "The finding hangs on tasks that look broken in one arm: see the audit."
    if _FEW in blockers:
        yield "Fewer than half of the tasks can be compared: see the audit."


def _doubts_of_data(found: Evidence) -> Iterator[str]:
    if found.bounded and found.finding == "no_difference_shown":
        yield "Asked to hold at worst and at best: see the bounds under sensitivity."
    if found.sensitivity.survives is False:
        yield "The finding depends on how errors and missing rewards are counted."
    if found.sensitivity.missing.differential:
        yield "One arm has more trials without a value that counts than the other."
    if found.pairs.tasks < _FEW_PAIRS:
        are = "is" if found.pairs.tasks == 1 else "are"
        pairs = counted(found.pairs.tasks, "pair")
        yield f"{pairs} {are} few: only a very large effect can show."
    means = found.effect.baseline.mean, found.effect.treatment.mean
    if means == (0, 0) and found.metric.kind != "number":
        yield "Nothing was solved in either arm: these tasks cannot tell the arms apart."
    if means == (1, 1) and found.metric.kind != "number":
        yield "Everything was solved in both arms: these tasks cannot tell the arms apart."


def _doubts_of_use(compliance: Compliance) -> Iterator[str]:
    if compliance.use_rate is not None and compliance.use_rate < HARDLY_USED:
        yield "The tool was hardly used: the result says little about it."
    if compliance.baseline is not None and compliance.baseline.contaminated:
        trials = counted(compliance.baseline.contaminated, "trial")
        yield f"{trials} of the baseline had the tool too."
