"""The events of a live run, folded into its trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaltrace.errors import Problem
from evaltrace.quantities import counted, span
from evaltrace.record.clocks import to_stamp
from evaltrace.record.events import Gathered, Moment
from evaltrace.record.lines import Head, Line
from evaltrace.record.places import HIDDEN, SUFFIX
from evaltrace.record.stages import Stages
from evaltrace.record.totals import Totals
from evaltrace.record.values import to_count, to_number
from evaltrace.record.verdicts import Verdict, judge
from evaltrace.trace import (
    Agent,
    AgentConfig,
    AgentResponse,
    Cost,
    Durations,
    Event,
    Metrics,
    Origin,
    Task,
    Tokens,
    Tools,
    Trace,
)

ABANDONED = "the program ended without ending the trace"


def to_trace(found: Gathered, *, abandoned: bool = False) -> Trace:
    """Fold what was recorded into a trace.

    A run without an end is still running, or cancelled if it is `abandoned`.
    """
    moments = found.moments()
    events = [moment.event for moment in moments]
    steps = _number_steps(events)
    totals, stages = Totals(), Stages()
    for moment in moments:
        totals.add(moment.event)
        stages.add(moment.event, moment.at)
    end = found.end
    if end is None and abandoned:
        end = Line(at=found.last, outcome="cancelled", error=ABANDONED, error_type="abandoned")
    verdict = None if end is None else judge(steps, end, found.rewards, found.last_error)
    duration = None if end is None else round(max(end.at - found.head.started, 0.0), 6)
    trace = _outline(found.head, end, totals)
    trace.events, trace.truncated = events, [*found.head.cuts, *found.cuts()]
    trace.tools = Tools(calls=totals.tools)
    given = dict(end.data) if end is not None and end.data else {}
    if end is not None and duration is not None:
        trace.bottlenecks = stages.bottlenecks(found.head.started, end.at)
    account = _account(found, totals, steps, verdict, duration)
    account["recording"] = _recording(found, moments, duration)
    trace.metrics = _metrics(totals, duration, {**account, **given}, given, trace.sources)
    _add_verdict(trace, verdict, found, totals)
    trace.problems = _problems(found, verdict)
    return trace


def _outline(head: Head, end: Line | None, totals: Totals) -> Trace:
    started = to_stamp(head.started)
    return Trace(
        trace_id=head.trace_id,
        task_id=f"{head.task_type}__{head.trace_id[:8]}",
        task_instruction=head.instruction,
        agent_config=AgentConfig(
            agent=Agent(name=head.agent), model=head.model or totals.model, timestamp=started
        ),
        metrics=Metrics(tokens=Tokens(), cost=Cost(), durations=Durations()),
        status="running",
        origin=Origin(
            kind="recorder",
            started_at=started,
            finished_at=None if end is None else to_stamp(max(end.at, head.started)),
            clock="utc",
        ),
        task=Task(name=head.task or head.task_type),
        arm=head.arm,
        trigger=head.trigger,
        context=head.context,
        tools=Tools(),
    )


def _number_steps(events: Sequence[Event]) -> list[Event]:
    """Number the steps in their order, and give those at the top level."""
    steps = [event for event in events if event.type == "step"]
    for number, step in enumerate(steps, start=1):
        step.data = {**(step.data or {}), "step_number": number}
    within = {step.id: True for step in steps}
    parents = {event.id: event.parent_id for event in events}
    return [step for step in steps if not _is_within(step.parent_id, within, parents)]


def _is_within(name: str | None, within: dict[str, bool], parents: dict[str, str | None]) -> bool:
    """Tell whether an event is a step or below one; `within` keeps what is known."""
    path = []
    while name is not None and name not in within:
        path.append(name)
        within[name] = False  # parents that go round in a circle lead to no step
        name = parents[name]
    found = name is not None and within[name]
    within.update(dict.fromkeys(path, found))
    return found


def _account(
    found: Gathered,
    totals: Totals,
    steps: Sequence[Event],
    verdict: Verdict | None,
    duration: float | None,
) -> dict[str, Any]:
    """Give the recorder's own account of a run."""
    plan = found.head.plan or " -> ".join(step.name or "step" for step in steps)
    return {
        "outcome": verdict.outcome if verdict is not None else None,
        "pipeline_status": verdict.pipeline if verdict is not None else "running",
        "duration_seconds": duration,
        "duration_human": None if duration is None else span(duration),
        **totals.account(),
        "execution_plan_summary": plan or None,
    }


def _recording(
    found: Gathered, moments: Sequence[Moment], duration: float | None
) -> dict[str, Any]:
    """Say how the recording itself went."""
    # Of several writers the times add up, and may be more than the run's.
    share = min(round(found.spent_s / duration, 6), 1.0) if duration else None
    return {
        "events": len(moments),
        "lost": found.lost,
        "writers": found.writers,
        "share_of_time": share,
    }


def _metrics(
    totals: Totals,
    duration: float | None,
    manifest: dict[str, Any],
    given: dict[str, Any],
    sources: dict[str, str],
) -> Metrics:
    """Take numbers from the events, and those they do not tell from the caller's metrics."""
    tokens, cost, turns = totals.tokens, totals.cost_usd, totals.llm_calls
    if totals.usage is not None:
        sources["tokens"] = "sum over the events with usage"
    elif to_count(given.get("total_tokens_consumed")) is not None:
        tokens = Tokens(total=to_count(given["total_tokens_consumed"]))
        sources["tokens"] = "total_tokens_consumed of the caller's metrics"
    if cost is not None:
        sources["cost"] = "sum over the events with a cost"
    elif to_number(given.get("total_cost_usd")) is not None:
        cost = to_number(given["total_cost_usd"])
        sources["cost"] = "total_cost_usd of the caller's metrics"
    if turns is None:
        turns = to_count(given.get("total_llm_calls"))
    calls = totals.tools
    return Metrics(
        tokens=tokens,
        cost=Cost(usd=cost, source=None if cost is None else "reported"),
        # The agent is what was recorded: that is its time, which comparisons ask for.
        durations=Durations(total_s=duration, agent_execution_s=duration),
        turns=turns,
        tool_calls=None if calls is None else sum(row.count for row in calls),
        manifest=manifest,
    )


def _add_verdict(trace: Trace, verdict: Verdict | None, found: Gathered, totals: Totals) -> None:
    if found.rewards:
        trace.rewards = dict(found.rewards)
    if verdict is None:
        return
    trace.status, trace.error, trace.test_reward = verdict.status, verdict.error, verdict.reward
    if verdict.reward is not None and trace.rewards is None:
        trace.rewards = {"outcome": verdict.reward}
    if verdict.reward_from is not None:
        trace.sources["test_reward"] = verdict.reward_from
    if totals.usage is not None or totals.llm_calls is not None:
        duration = trace.metrics.durations.total_s
        trace.agent_response = AgentResponse(
            subtype=verdict.outcome,
            is_error=verdict.status != "pass",
            usage=totals.usage,
            model_usage=totals.model_usage,
            num_turns=trace.metrics.turns,
            duration_ms=None if duration is None else round(duration * 1000, 3),
            total_cost_usd=trace.metrics.cost.usd,
        )


def _problems(found: Gathered, verdict: Verdict | None) -> list[Problem]:
    path = f"{HIDDEN}/{found.head.trace_id}{SUFFIX}"
    problems = []
    if found.torn:
        lines = counted(found.torn, "line")
        problems.append(
            Problem(
                code="journal_torn",
                path=path,
                message=f"{lines} cut short by a kill or a full disk",
                hint="All other events were read.",
            )
        )
    if found.lost:
        message = f"{counted(found.lost, 'event')} could not be recorded"
        hint = "Look for space on the disk, and for warnings of the recorder."
        problems.append(Problem(code="events_lost", path=path, message=message, hint=hint))
    if found.strays:
        message = f"{counted(found.strays, 'event')} with a parent that is not in the trace"
        hint = "A parent is a step, or what `event` gave."
        problems.append(Problem(code="parent_unknown", path=path, message=message, hint=hint))
    if verdict is not None and verdict.odd is not None:
        message = f"{verdict.odd!r:.60} is no outcome; {verdict.outcome} follows from the steps"
        hint = "Outcomes are success, failure, partial and cancelled."
        problems.append(Problem(code="outcome_unknown", path=path, message=message, hint=hint))
    return problems
