"""Sessions that are recorded event by event, as traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaltrace.errors import UnknownName
from evaltrace.store.forms import TypeTotals
from evaltrace.times import elapsed_s
from evaltrace.trace import (
    Agent,
    AgentConfig,
    Cost,
    Durations,
    Metrics,
    Origin,
    Status,
    Task,
    Tokens,
    Tools,
    Trace,
    TraceError,
)

_STATUSES: dict[str, Status] = {
    "pass": "pass", "success": "pass", "completed": "pass",
    "fail": "fail", "failure": "fail", "failed": "fail",
    "partial": "partial", "error": "error", "cancelled": "cancelled", "running": "running",
}  # fmt: skip
_REWARDS: dict[str, float] = {"pass": 1.0, "fail": 0.0}
_SHORT = 8


def to_status(word: str) -> Status:
    """Give the status of a trace for a recorder's word; raises UnknownName for any other word."""
    if word not in _STATUSES:
        raise UnknownName("no such status", where=word, hint=f"One of {', '.join(_STATUSES)}.")
    return _STATUSES[word]


def new_trace(session_id: str, task: str, started_at: str | None, **known: Any) -> Trace:
    """Begin the trace of a session; `known` may have agent, model, kind, arm, trigger, context."""
    return Trace(
        trace_id=session_id,
        task_id=known.get("task_id") or f"{task}__{session_id[:_SHORT]}",
        task_instruction=known.get("instruction"),
        agent_config=AgentConfig(
            agent=Agent(name=known.get("agent")), model=known.get("model"), timestamp=started_at
        ),
        metrics=Metrics(tokens=Tokens(), cost=Cost(), durations=Durations()),
        status="running",
        origin=Origin(kind=known.get("kind") or "recorder", started_at=started_at, clock="utc"),
        task=Task(name=task),
        arm=known.get("arm"),
        trigger=known.get("trigger"),
        context=known.get("context"),
        tools=Tools(),
        events=[],
    )


def end_trace(trace: Trace, status: Status, completed_at: str | None, error: str | None) -> None:
    """Say in a trace how its session ended; `error` is that of its last event that failed."""
    trace.status = status
    trace.origin.finished_at = completed_at
    trace.metrics.durations.total_s = elapsed_s(trace.origin.started_at, completed_at)
    reward = _REWARDS.get(status)
    if reward is not None:
        trace.test_reward, trace.rewards = reward, {"outcome": reward}
        trace.sources["test_reward"] = "outcome of the session: pass is 1, fail is 0"
    if status in ("fail", "error"):
        trace.error = TraceError(type="failed", message=error, reward_valid=status == "fail")
    elif status == "cancelled":
        trace.error = TraceError(type="cancelled", message=error, cause="cancelled")


def add_totals(trace: Trace, totals: dict[str, Any], by_type: Sequence[TypeTotals]) -> None:
    """Put what the events add up to into a trace; `totals` are columns of its session."""
    trace.metrics.turns = _number_of(("llm_call",), by_type)
    trace.metrics.tool_calls = _number_of(("tool_call", "tool_called"), by_type)
    given, sent = totals["input_tokens"], totals["output_tokens"]
    created, read = totals["cache_creation_tokens"], totals["cache_read_tokens"]
    parts = [part for part in (given, sent, created, read) if part is not None]
    trace.metrics.tokens = Tokens(
        input=given,
        output=sent,
        cache_creation=created,
        cache_read=read,
        total=totals["total_tokens"],
        total_with_cache=sum(parts) if parts else None,
    )
    if totals["total_cost_usd"] is not None:
        trace.metrics.cost = Cost(usd=totals["total_cost_usd"], source="reported")


def _number_of(types: Sequence[str], by_type: Sequence[TypeTotals]) -> int | None:
    """Count the events of some types; None without any, as nobody may have recorded them."""
    return sum(row.events for row in by_type if row.type in types) or None
