"""Differences of what was recorded: models that answered, sources of numbers, thresholds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from operator import attrgetter

from evaltrace.compare.audit.fields import differ_mostly, usual
from evaltrace.compare.audit.items import entry, label_of
from evaltrace.compare.audit.meant import Meant
from evaltrace.compare.audit.values import shown
from evaltrace.compare.sides import Side, Trial
from evaltrace.comparison import AuditItem, Grade
from evaltrace.trace import ModelUsage

_USAGE = "agent_response.model_usage"
_COST_SOURCE = attrgetter("trace.metrics.cost.source", "trace.metrics.cost.price_table")
_ALIAS = re.compile(r"(?:-latest|@latest|@default|:latest|:free)$")
_BUILD = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{6}|\d{3,4})(?:-v\d+)?(?::\d+)?")
"""What a provider adds to a name for one build of the model: its date or its number."""
_STEP = re.compile(r"steps/[^/;]+/")


def audit_records(baseline: Side, treatment: Side, meant: Meant) -> Iterator[AuditItem]:
    """Compare what the trials' own records say, and how their numbers came about."""
    mains = _main_models(baseline), _main_models(treatment)
    if meant.kind != "model":
        yield from _audit_answers(baseline, treatment, mains)
    if meant.kind not in ("model", "agent"):
        yield from _audit_subagents(baseline, treatment, mains)
    yield from _audit_costs(baseline, treatment)
    yield from _audit_sources(baseline, treatment)
    yield from _audit_thresholds(baseline, treatment)


# Which models answered.


_Models = tuple[Counter[str], Counter[str]]
"""How many trials of the baseline, and of the treatment, each model answered mainly."""


def _audit_answers(baseline: Side, treatment: Side, mains: _Models) -> Iterator[AuditItem]:
    before, after = mains
    apart = differ_mostly(before, after)
    if not (before and after) or (before.keys() == after.keys() and not apart):
        return
    values = (_shown_counts(before), _shown_counts(after))
    said = f"{values[0]} in {label_of(baseline.label)}, {values[1]} in {label_of(treatment.label)}"
    if not apart:
        message = (
            f"Not every trial was answered mainly by the same model: {said}; look for fallbacks, "
            "and leave out or run again what another model answered."
        )
        yield entry("warning", "answered_model", _USAGE, message, values)
        return
    grade: Grade = "warning" if _may_be_one(usual(before), usual(after)) else "blocker"
    message = (
        f"The arms were answered by different models: {said}; ask for one exact model in both, or "
        "name the model as the treatment."
    )
    yield entry(grade, "answered_model", _USAGE, message, values)


def _main_models(side: Side) -> Counter[str]:
    """Count the trials by the model that took most of their tokens."""
    found = Counter(map(_main_model, side.trials))
    return Counter({model: number for model, number in found.items() if model})


def _main_model(trial: Trial) -> str | None:
    usage = _usage(trial)
    if len(usage) < 2:
        return next(iter(usage), None)
    return max(sorted(usage), key=lambda name: _tokens(usage[name]))


def _usage(trial: Trial) -> dict[str, ModelUsage]:
    response = trial.trace.agent_response
    return (response.model_usage if response else None) or {}


def _tokens(usage: ModelUsage) -> int:
    parts = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
    )
    return sum(part or 0 for part in parts)


def _may_be_one(first: str, second: str) -> bool:
    """Tell whether names may mean one model: `x` and `x-20250929`, `vendor/x` and `x`.

    Two dates are two models, and so are `x` and `x-mini`.
    """
    short, long = sorted((_without_alias(first), _without_alias(second)), key=len)
    return short == long or (
        long.startswith(short) and _BUILD.fullmatch(long.removeprefix(short)) is not None
    )


def _without_alias(model: str) -> str:
    """Take off the vendor, and what says no more than `the newest` or `without a fee`."""
    return _ALIAS.sub("", model.rpartition("/")[2].lower()).replace("@", "-")


def _audit_subagents(baseline: Side, treatment: Side, mains: _Models) -> Iterator[AuditItem]:
    before, after = _other_models(baseline, mains[0]), _other_models(treatment, mains[1])
    if before.keys() != after.keys():
        values = (_shown_counts(before), _shown_counts(after))
        message = (
            f"Other models than the main one had a part: {values[0]} in "
            f"{label_of(baseline.label)}, {values[1]} in {label_of(treatment.label)}; look at what "
            "they were used for."
        )
        yield entry("note", "subagent_models", _USAGE, message, values)


def _other_models(side: Side, mains: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for trial in side.trials:
        usage = _usage(trial)
        if len(usage) > 1:
            main = _main_model(trial)
            found.update(name for name in usage if name != main)
    return Counter({name: number for name, number in found.items() if name not in mains})


def _shown_counts(counts: Counter[str]) -> str:
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return shown(", ".join(f"{name} ({number})" for name, number in rows) or "none")


# Where the numbers come from.


def _audit_costs(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    before, after = _cost_sources(baseline), _cost_sources(treatment)
    if not (before and after) or before.keys() == after.keys():
        return
    values = (_shown_counts(before), _shown_counts(after))
    apart = not before.keys() & after.keys()
    message = (
        f"Costs were found in different ways: {values[0]} in {label_of(baseline.label)}, "
        f"{values[1]} in {label_of(treatment.label)}; compute both with one price table before "
        "comparing them."
    )
    yield entry("warning" if apart else "note", "cost_source", "metrics.cost.source", message,
                values)  # fmt: skip


def _cost_sources(side: Side) -> Counter[str]:
    found: Counter[str] = Counter()
    for (source, table), number in Counter(map(_COST_SOURCE, side.trials)).items():
        if source:
            found[f"{source} by {table}" if table else source] += number
    return found


def _audit_sources(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    before, after = _log_sources(baseline), _log_sources(treatment)
    if not (before and after) or before.keys() & after.keys():
        return
    values = (_shown_counts(before), _shown_counts(after))
    message = (
        f"Tokens were read from different logs: {values[0]} in {label_of(baseline.label)}, "
        f"{values[1]} in {label_of(treatment.label)}; logs do not all count alike, so compare "
        "tokens and turns with care."
    )
    yield entry("note", "log_source", "sources.usage", message, values)


def _log_sources(side: Side) -> Counter[str]:
    """Count the trials by the file that usage was read from, whatever the step."""
    found: Counter[str] = Counter()
    given = Counter(trial.trace.sources.get("usage", "") for trial in side.trials)
    for source, number in given.items():
        if name := _STEP.sub("", source.partition(";")[0]).partition(":")[0]:
            found[name] += number
    return found


def _audit_thresholds(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    """Compare the rewards that counted as a pass: statuses keep no threshold of their own."""
    sides = ((baseline, treatment), (treatment, baseline))
    for strict, lax in sides:
        partial = max(_rewards(strict, "partial"), default=None)
        if partial is None:
            continue
        passed = min(_rewards(lax, "pass"), default=None)
        if passed is not None and partial >= passed:
            message = (
                f"The arms were aggregated with different pass thresholds: {passed:g} is a pass "
                f"in {label_of(lax.label)}, {partial:g} is only partial in "
                f"{label_of(strict.label)}; aggregate both with the same one."
            )
            yield entry("warning", "pass_threshold", "status", message)


def _rewards(side: Side, status: str) -> Iterator[float]:
    for trial in side.trials:
        reward = trial.trace.test_reward
        if trial.trace.status == status and reward is not None:
            yield reward
