"""Compliance: whether each arm got what it was meant to get, and the effect of using it."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from msgspec import structs

from evaltrace.compare.effects.differences import (
    Clusters,
    Count,
    Differences,
    mean_attempts,
    to_differences,
    usable_clusters,
)
from evaltrace.compare.effects.effect import paired_interval
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pair, Pairing, Side, Trial
from evaltrace.compare.treatment.treated import Finder, Found, Treated
from evaltrace.compare.wording import counted, percent
from evaltrace.comparison import Compliance, Interval, Metric, ToolUse
from evaltrace.stats.intervals import Bounds
from evaltrace.stats.subsets import subset_ratio

HARDLY_USED = 0.2
"""Below this share of trials that call it, a tool's own effect cannot be told."""

_NO_TOOL = "The treatment is not a tool: there is no use of it to check."
_NOT_RANDOMISED = (
    "not randomised: the agent chose when to call the tool, so these attempts are others than "
    "the rest; a description, no effect"
)
_ALWAYS_USED = "the same as run: every attempt of the treatment used the tool, none of the baseline"
_EXCLUSION = "assumes that having the tool changes nothing where it is not called"


def judge_compliance(
    baseline: Side,
    treatment: Side,
    pairing: Pairing,
    treated: Treated,
    options: CompareOptions,
    metric: Metric,
) -> Compliance:
    """Count in which trials the treatment's tool was there and used, and what that does.

    `as_run` is the headline again; the rest is None where the treatment is no tool.
    """
    if not treated.is_tool:
        return Compliance(baseline=None, treatment=None, statement=_NO_TOOL)
    counts = _Counts(treated)
    before = _tool_use(baseline.trials, counts, is_treatment=False)
    after = _tool_use(treatment.trials, counts, is_treatment=True)
    as_run = _interval(pairing.pairs, options, metric)
    unused = [pair for pair in pairing.pairs if counts.is_unused(pair)]
    without_use = _interval(unused, options, metric) if unused else None
    return Compliance(
        baseline=before,
        treatment=after,
        use_rate=after.used / after.ran if after.ran else None,
        as_run=as_run,
        among_compliant=_among_compliant(pairing.pairs, counts, options, metric),
        complier=_complier(pairing.pairs, counts, as_run, without_use, options, metric),
        unused=without_use,
        statement=_statement(before, after),
    )


class _Counts:
    """What is counted of a trial: its value and its use of the tool, where both are known."""

    def __init__(self, treated: Treated) -> None:
        self.find_in = Finder(treated).find_in

    def use(self, trial: Trial) -> float | None:
        """Count 1 where the tool was called, 0 where it was not."""
        if trial.value is None:
            return None
        calls = self.find_in(trial).calls
        return None if calls is None else 1.0 if calls[0] else 0.0

    def value(self, trial: Trial) -> float | None:
        """Count the value where the use is known too."""
        return None if self.use(trial) is None else trial.value

    def of_user(self, trial: Trial) -> float | None:
        """Count the value of a trial that called the tool."""
        return trial.value if self.use(trial) else None

    def of_clean(self, trial: Trial) -> float | None:
        """Count the value of a trial that neither called nor had the tool."""
        clean = self.use(trial) == 0 and self.find_in(trial).status != "connected"
        return trial.value if clean else None

    def is_unused(self, pair: Pair) -> bool:
        """Tell whether no valid attempt of the treatment called the tool."""
        return all(self.use(trial) == 0 for trial in pair.valid_treatment)


def _interval(
    pairs: Sequence[Pair],
    options: CompareOptions,
    metric: Metric,
    baseline: Count | None = None,
    treatment: Count | None = None,
) -> Interval:
    if baseline is None:
        found = to_differences(pairs, options)
    else:
        found = to_differences(pairs, options, baseline, treatment)
    return paired_interval(found.values, found.attempts, metric.kind, options, found.clusters)


def _among_compliant(
    pairs: Sequence[Pair], counts: _Counts, options: CompareOptions, metric: Metric
) -> Interval:
    found = _interval(pairs, options, metric, counts.of_clean, counts.of_user)
    found.note = "; ".join(filter(None, (_NOT_RANDOMISED, found.note)))
    return found


def _complier(
    pairs: Sequence[Pair],
    counts: _Counts,
    as_run: Interval,
    unused: Interval | None,
    options: CompareOptions,
    metric: Metric,
) -> Interval:
    """Divide the difference by the difference in use; a note says where that means nothing."""
    effects = to_differences(pairs, options, counts.value)
    uses = to_differences(pairs, options, counts.use).values
    rate = fsum(uses) / len(uses) if uses else 0.0
    reason = _undefined(rate, unused, known=bool(uses))
    if reason is not None:
        return Interval(n=len(uses), note=reason)
    total = fsum(effects.values)
    if min(uses) == 1 and (len(uses), total / len(uses)) == (as_run.n, as_run.estimate):
        return structs.replace(as_run, note=_ALWAYS_USED)
    clusters, notes = usable_clusters(effects.clusters)
    bounds = _ratio_bounds(effects, uses, clusters, options, limited=metric.kind != "number")
    return Interval(
        estimate=total / fsum(uses),
        low=bounds.low,
        high=bounds.high,
        n=len(uses),
        method="difference divided by the difference in use, random subsets of "
        + ("groups" if clusters else "tasks"),
        note="; ".join((_EXCLUSION, *notes)),
    )


def _ratio_bounds(
    effects: Differences,
    uses: Sequence[float],
    clusters: Clusters | None,
    options: CompareOptions,
    *,
    limited: bool,
) -> Bounds:
    """Bound the ratio; rewards get two imaginary tasks of average use, as the headline does."""
    tops, bottoms, groups = effects.values, uses, clusters
    if limited:
        step = mean_attempts(effects.attempts) ** -0.5
        tops = [*tops, step, -step]
        bottoms = [*bottoms, *[fsum(uses) / len(uses)] * 2]
        groups = clusters and [*clusters, None, None]
    return subset_ratio(
        tops, bottoms, groups,
        alpha=options.alpha, seed=options.seed, count=options.subsets,
    )  # fmt: skip


def _undefined(rate: float, unused: Interval | None, *, known: bool) -> str | None:
    """Say why there is no effect of using the tool; None where there may be one."""
    if not known:
        return "not defined: no pair in which the use of the tool is known"
    if rate < HARDLY_USED:
        return (
            "not defined: the arms hardly differ in their use of the tool "
            f"({percent(rate)} of attempts, {percent(HARDLY_USED)} needed)"
        )
    if unused is None or unused.low is None or unused.high is None:
        return None
    if unused.low > 0 or unused.high < 0:
        return "not defined: the arms differ even in tasks in which the tool was never called"
    return None


def _tool_use(trials: Sequence[Trial], counts: _Counts, *, is_treatment: bool) -> ToolUse:
    """Count the trials of an arm by what became of the tool in them.

    Only trials whose agent started are looked at. Absent from a trial of the treatment is not
    connected; a baseline that is not given the tool has no trials that never used it.
    """
    found = ToolUse(
        trials=len(trials), ran=0, unknown=0, available=0, connected=0, not_connected=0, used=0,
        answered=0, never_used=0, contaminated=0, calls=0, failed_calls=0,
    )  # fmt: skip
    for trial in trials:
        told = counts.find_in(trial)
        if _has_started(trial, told):
            _add_trial(found, trial, told, is_treatment=is_treatment)
    found.contaminated_trials.sort()
    return found


def _has_started(trial: Trial, told: Found) -> bool:
    metrics = trial.trace.metrics
    return (
        trial.state == "running"
        or metrics.durations.agent_execution_s is not None
        or metrics.turns is not None
        or told.calls is not None
    )


def _add_trial(found: ToolUse, trial: Trial, told: Found, *, is_treatment: bool) -> None:
    counted, status, configured = told
    calls, failed = counted or (0, 0)
    found.ran += counted is not None
    found.unknown += counted is None
    found.available += status in ("connected", "not_connected") or configured
    found.connected += status == "connected"
    found.not_connected += status == "not_connected" or (is_treatment and status == "absent")
    found.used += calls > 0
    found.answered += calls > failed
    found.never_used += counted is not None and calls == 0 and (is_treatment or configured)
    found.calls += calls
    found.failed_calls += failed
    if not is_treatment and (status == "connected" or calls > 0):
        found.contaminated += 1
        found.contaminated_trials.append(trial.trace.task_id)


def _statement(before: ToolUse, after: ToolUse) -> str:
    if not after.ran:
        told = "Nothing tells whether the tool was called."
    else:
        rate = after.used / after.ran
        told = (
            f"Used in {after.used:,} of {counted(after.ran, 'trial')} that ran ({percent(rate)})."
        )
        if rate < HARDLY_USED:
            told += " Hardly used: the result says little about the tool."
    if after.not_connected:
        told += f" Not connected in {after.not_connected:,}."
    if after.unknown and after.ran:
        told += f" Use unknown in {after.unknown:,} more."
    if before.contaminated:
        told += f" {counted(before.contaminated, 'baseline trial')} had it too."
    return told
