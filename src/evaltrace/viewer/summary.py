"""The summary of a run: what it took, which steps it had, and why it failed."""

from __future__ import annotations

from itertools import islice

import msgspec

from evaltrace.measures import counts_reward
from evaltrace.trace import Bottleneck, Event, TestSummary, Trace
from evaltrace.viewer.events import error_of, final_error
from evaltrace.viewer.rows import Row, RowMaker
from evaltrace.viewer.runs import Chosen, Placed, Run
from evaltrace.viewer.sources import Source, run_of

_PIPELINE = {"pass": "success", "partial": "partial", "fail": "failed", "error": "failed"}
"""What a pipeline calls the status of its trace."""

_STEP_STATUS = {"ok": "success", "error": "fail", "failed": "fail", "failure": "fail"}
_STEPS = Chosen(types=("step",))
_FAILURES = Chosen(errors=True)
_MOST_STEPS = 1000
"""Steps of a run that are given; a million would be no summary."""

_NEAR = 100
"""Failures among which the first is chosen that is no step."""

_DEEPEST = 20

_NAMED_TESTS = 5


class Step(msgspec.Struct, kw_only=True):
    """One step of a pipeline; `depth` counts the steps around it."""

    step_number: int
    agent_name: str
    agent_task: str | None = None
    status: str
    started_at: str | None = None
    duration_ms: float | None = None
    error_message: str | None = None
    output_summary: str | None = None
    event_id: str
    depth: int = 0


class Summary(msgspec.Struct, kw_only=True):
    """What is to be said of a run. `total_events` is None where the events were left out.

    `first_failure` and `last_failure` are events that failed, the innermost where a step failed
    because of one within it.
    """

    trace_id: str
    task_id: str | None = None
    intent: str | None = None
    kind: str | None = None
    status: str
    started_at: str | None = None
    completed_at: str | None = None
    duration_s: float | None = None
    phases: dict[str, float] = {}
    total_events: int | None = None
    total_errors: int | None = None
    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_cost_usd: float | None = None
    turns: int | None = None
    tool_calls: int | None = None
    events_by_type: dict[str, int] = {}
    errors_by_type: dict[str, int] = {}
    steps: list[Step] = []
    final_error: str | None = None
    first_failure: Row | None = None
    last_failure: Row | None = None
    bottlenecks: list[Bottleneck] = []
    reward: float | None = None
    reward_counts: bool | None = None
    tests: TestSummary | None = None
    failed_tests: list[str] = []


def summary_of(source: Source) -> Summary:
    """Summarise a run. Raises UnknownName for a session that is not there."""
    run = run_of(source)
    assert run.trace is not None  # as every source has one
    assert run.title is not None
    summary = _summary_of_trace(run.trace)
    if run.title.events is not None:
        _add_events(summary, run)
    return summary


def _summary_of_trace(trace: Trace) -> Summary:
    """Say what a trace says besides its events."""
    durations, tokens = trace.metrics.durations, trace.metrics.tokens
    return Summary(
        trace_id=trace.trace_id,
        task_id=trace.task_id,
        intent=(trace.trigger.intent_type if trace.trigger else None) or trace.task.name,
        kind=trace.origin.kind,
        status=_status(trace),
        started_at=trace.origin.started_at,
        completed_at=trace.origin.finished_at,
        duration_s=durations.total_s,
        phases=_phases(trace),
        total_tokens=tokens.total,
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        total_cost_usd=trace.metrics.cost.usd,
        turns=trace.metrics.turns,
        tool_calls=trace.metrics.tool_calls,
        bottlenecks=trace.bottlenecks or [],
        final_error=final_error(trace),
        reward=trace.test_reward,
        reward_counts=counts_reward(trace) if trace.test_reward is not None else None,
        tests=trace.tests.summary if trace.tests else None,
        failed_tests=_failed_tests(trace),
    )


def _add_events(summary: Summary, run: Run) -> None:
    """Add what the events of a run say: how many, its steps, its first and its last failure."""
    events, errors = run.counts()
    summary.total_events, summary.total_errors = events.total(), errors.total()
    summary.events_by_type = dict(events.most_common())
    summary.errors_by_type = dict(errors.most_common())
    steps = [event for _, event in islice(run.placed(_STEPS), _MOST_STEPS)]
    ids = {event.id for event in steps}
    summary.steps = [
        _step(event, number, _depth(event, ids, run)) for number, event in enumerate(steps, 1)
    ]
    make = RowMaker(run)
    first, last = _first_failure(run), run.last_failure()
    summary.first_failure = make.row(first) if first else None
    summary.last_failure = make.row(last) if last and first and last[0] != first[0] else None


def _first_failure(run: Run) -> Placed | None:
    """Find the first event that failed, rather than the step or the phase around it."""
    failures = list(islice(run.placed(_FAILURES), _NEAR))
    inner = (placed for placed in failures if placed[1].type not in ("step", "phase"))
    return next(inner, failures[0] if failures else None)


def _depth(event: Event, steps: set[str], run: Run) -> int:
    depth, parent = 0, event.parent_id
    for _ in range(_DEEPEST):
        found = run.find(parent) if parent else None
        if found is None:
            break
        depth += found[1].id in steps
        parent = found[1].parent_id
    return depth


def _step(event: Event, number: int, depth: int) -> Step:
    data = event.data or {}
    said = data.get("step_number")
    task = data.get("agent_task")
    status = event.status or "started"
    return Step(
        step_number=said if isinstance(said, int) else number,
        agent_name=event.name or "step",
        agent_task=task if isinstance(task, str) else None,
        status=_STEP_STATUS.get(status, status),
        started_at=event.started_at,
        duration_ms=event.duration_ms,
        error_message=error_of(event) or None,
        output_summary=event.output,
        event_id=event.id,
        depth=depth,
    )


def _status(trace: Trace) -> str:
    if trace.origin.kind == "harness":
        return trace.status
    said = (trace.metrics.manifest or {}).get("pipeline_status")
    return str(said) if said else _PIPELINE.get(trace.status, trace.status)


def _phases(trace: Trace) -> dict[str, float]:
    durations = msgspec.to_builtins(trace.metrics.durations)
    return {
        name.removesuffix("_s"): seconds
        for name, seconds in durations.items()
        if seconds is not None and name != "total_s"
    }


def _failed_tests(trace: Trace) -> list[str]:
    cases = trace.tests.cases if trace.tests else []
    return [case.name for case in cases if case.status == "failed"][:_NAMED_TESTS]
