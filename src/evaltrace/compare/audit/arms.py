"""Everything in which two arms differ besides the treatment, graded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from evaltrace.compare.audit.fields import are_alike
from evaltrace.compare.audit.items import entry, in_order, label_of, verb
from evaltrace.compare.audit.meant import to_meant
from evaltrace.compare.audit.records import audit_records
from evaltrace.compare.audit.runs import audit_runs
from evaltrace.compare.audit.settings import audit_settings
from evaltrace.compare.audit.setups import audit_setups
from evaltrace.compare.audit.tasks import audit_tasks
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pairing, Side
from evaltrace.compare.treatment.servers import (
    by_servers,
    configured_servers,
    seen_servers,
    shown_server,
    spelled,
)
from evaltrace.compare.treatment.treated import Finder, Treated
from evaltrace.compare.wording import counted
from evaltrace.comparison import AuditItem, Metric
from evaltrace.untrusted import one_line

_NAME = 60


def audit_arms(
    baseline: Side,
    treatment: Side,
    pairing: Pairing,
    treated: Treated,
    *,
    metric: Metric | None = None,
    options: CompareOptions | None = None,
) -> list[AuditItem]:
    """List in what the arms differ besides the treatment, the gravest first.

    A blocker means that the comparison does not answer the question, a warning that it may
    explain part of the effect; a note is worth knowing. Nothing is listed of arms that are alike.
    Without a metric it is taken for a reward; the options say when a difference counts as shown.
    """
    if not (baseline.trials and treatment.trials):
        return []
    meant = to_meant(treated)
    return in_order(
        [
            *_audit_shared(baseline, treatment),
            *_audit_treatment(baseline, treatment, treated),
            *audit_settings(baseline, treatment, meant),
            *_audit_servers(baseline, treatment, treated),
            *audit_records(baseline, treatment, meant),
            *audit_tasks(baseline, treatment, pairing, meant.kind),
            *audit_runs(baseline, treatment),
            *audit_setups(baseline, treatment, pairing, metric, options or CompareOptions()),
        ]
    )


def _audit_shared(baseline: Side, treatment: Side) -> Iterator[AuditItem]:
    """Point out trials that are in both arms: a path that was named twice."""
    known = {trial.trace.trace_id for trial in baseline.trials}
    shared = sum(trial.trace.trace_id in known for trial in treatment.trials)
    if shared:
        message = (
            f"{counted(shared, 'trial')} of {label_of(treatment.label)} "
            f"{verb(shared, 'is', 'are')} in {label_of(baseline.label)} too; name two different "
            "runs."
        )
        values = (counted(len(known), "trial"), counted(len(treatment.trials), "trial"))
        yield entry("warning", "same_trials", "trace_id", message, values)


def _audit_treatment(baseline: Side, treatment: Side, treated: Treated) -> Iterator[AuditItem]:
    """Point out a treatment that is in both arms, or in none."""
    if not treated.is_tool:
        yield from _audit_named(baseline, treatment, treated)
        return
    find_in = Finder(treated).find_in
    told = [[find_in(trial).status for trial in side.trials] for side in (baseline, treatment)]
    have = [sum(status not in (None, "absent") for status in arm) for arm in told]
    known = [sum(status is not None for status in arm) for arm in told]
    name = one_line(treated.record.name or "the treated servers", _NAME)
    texts = [f"{number} of {of} trials" for number, of in zip(have, known, strict=True)]
    values = (texts[0], texts[1])
    if known[1] and not have[1]:
        message = (
            f"{name} is in none of the trials of {label_of(treatment.label)} that tell, so there "
            "is no treatment; check its name, or swap the arms."
        )
        yield entry("blocker", "treatment_absent", "treatment", message, values)
    elif not known[1] and not any(map(treated.configured, treatment.trials)):
        message = (
            f"Nothing in the trials of {label_of(treatment.label)} tells that they had {name} and "
            f"those of {label_of(baseline.label)} had not; check its name."
        )
        yield entry("warning", "treatment_unseen", "treatment", message)
    elif 2 * have[0] > known[0]:
        message = (
            f"{name} is in most trials of {label_of(baseline.label)} that tell, so "
            f"{label_of(treatment.label)} adds nothing; take it out of the baseline."
        )
        yield entry("blocker", "treatment_in_both_arms", "treatment", message, values)


def _audit_named(baseline: Side, treatment: Side, treated: Treated) -> Iterator[AuditItem]:
    kind = treated.record.kind
    if kind not in ("model", "agent") or treated.record.guessed:
        return
    before, after = _named(baseline, kind), _named(treatment, kind)
    if not are_alike(before, after):
        return
    same = "the same" if len(before | after) == 1 else "the same in most trials, or mixed alike,"
    message = (
        f"The {kind} is meant to differ and is {same} in {label_of(baseline.label)} and "
        f"{label_of(treatment.label)}; check the arms, or name another treatment."
    )
    yield entry("blocker", "treatment_in_both_arms", "treatment", message)


def _named(side: Side, kind: str) -> Counter[tuple[str | None, ...]]:
    """Count the trials by the model, or by what makes the agent."""
    configs = [trial.trace.agent_config for trial in side.trials]
    if kind == "model":
        return Counter((config.model,) for config in configs)
    return Counter((c.agent.name, c.agent.version, c.agent.import_path) for c in configs)


def _audit_servers(baseline: Side, treatment: Side, treated: Treated) -> Iterator[AuditItem]:
    """Point out MCP servers that were seen in one arm's trials without being configured."""
    counts, known = zip(*(_seen(side) for side in (baseline, treatment)), strict=True)
    for name in sorted(counts[0].keys() | counts[1].keys()):
        if spelled(name) in treated.servers or not all(known):
            continue
        if treated.pattern is not None and treated.pattern.search(name):
            continue
        have = [arm[name] for arm in counts]
        if bool(have[0]) != bool(have[1]):
            yield _unasked(name, have, known, (baseline, treatment))


def _unasked(
    name: str, have: Sequence[int], known: Sequence[int], sides: tuple[Side, Side]
) -> AuditItem:
    texts = [f"{number} of {of} trials" for number, of in zip(have, known, strict=True)]
    named = shown_server(name, _NAME)
    message = (
        f"The MCP server {named}, which is not the treatment, was there without being configured "
        f"in {texts[0]} of {label_of(sides[0].label)} and {texts[1]} of "
        f"{label_of(sides[1].label)}; find out what brings it along."
    )
    values = (f"not configured and seen in {texts[0]}", f"not configured and seen in {texts[1]}")
    return entry("warning", "seen_servers", f"tools.mcp_servers.{named}", message, values)


def _seen(side: Side) -> tuple[Counter[str], int]:
    """Count trials by server seen and not configured, and those that tell what they saw."""
    counts: Counter[str] = Counter()
    known = 0
    for trial, number in by_servers(side.trials):
        if trial.trace.tools.mcp_servers is not None:
            known += number
            for name in seen_servers(trial) - configured_servers(trial):
                counts[name] += number
    return counts, known
