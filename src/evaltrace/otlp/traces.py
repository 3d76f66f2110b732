"""Traces out of spans, whoever wrote these: one trace for each trace identifier."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from evaltrace.errors import Problem
from evaltrace.measures import status_of, sum_tokens
from evaltrace.otlp import facts, foreign, own
from evaltrace.otlp import names as n
from evaltrace.otlp.decoding import Span, decode_request
from evaltrace.otlp.requests import read_requests
from evaltrace.otlp.spending import counted
from evaltrace.otlp.sums import all_usage, calls_of, cost_of, model_usage
from evaltrace.otlp.values import from_nanos
from evaltrace.schema import fits, violations
from evaltrace.times import elapsed_s
from evaltrace.trace import (
    SCHEMA_VERSION,
    AgentResponse,
    Durations,
    Event,
    Tools,
    Trace,
    TraceError,
)
from evaltrace.untrusted import bounded, excerpt

_FACT_LIMIT = 10_000
_NO_METRICS: dict[str, Any] = {"tokens": {}, "cost": {}, "durations": {}}


def from_otlp(documents: Any, *, place: str = "otlp") -> list[Trace | Problem]:
    """Convert requests in their JSON form to traces; what cannot be used is a problem.

    `documents` is one request or an iterable of them, as a file of the collector has one a
    line; the spans of a trace may be in several. `place` is how a problem names the source.
    """
    given = [documents] if isinstance(documents, dict) else documents
    return _gathered(((document, place) for document in given), place)


def read_otlp(paths: Iterable[str | Path]) -> list[Trace | Problem]:
    """Read files of requests into traces; the spans of one may be in several files.

    Raises UnreadablePath.
    """
    files = [Path(path) for path in paths]
    placed = ((document, file.name) for file in files for document in read_requests(file))
    return _gathered(placed, files[0].name if len(files) == 1 else "otlp")


def _gathered(placed: Iterable[tuple[Any, str]], place: str) -> list[Trace | Problem]:
    groups: dict[str, list[Span]] = {}
    found: Counter[Problem] = Counter()
    for document, its_place in placed:
        items = [document] if isinstance(document, Problem) else decode_request(document, its_place)
        for item in items:
            if isinstance(item, Problem):
                found[item] += 1
            else:
                groups.setdefault(item.trace_id, []).append(item)
    # Each group is let go of once it is a trace: together they would be twice as large.
    traces = [to_trace(groups.pop(trace_id), place) for trace_id in list(groups)]
    return [*traces, *(_times(problem, number) for problem, number in found.items())]


def _times(problem: Problem, number: int) -> Problem:
    if number == 1:
        return problem
    return replace(problem, message=f"{problem.message} ({number:,} times)")


def to_trace(spans: Iterable[Span], place: str = "otlp") -> Trace:
    """Convert the spans of one trace, in any order and perhaps not all, to a trace."""
    found, problems = _distinct(spans, place)
    run = next((span for span in found if own.is_root(span)), None)
    if run is not None or any(map(own.is_event, found)):
        trace = _own_trace(run, found, place)
    else:
        trace = _foreign_trace(found, place)
    trace.problems += problems
    return trace


def _distinct(spans: Iterable[Span], place: str) -> tuple[list[Span], list[Problem]]:
    """Leave out spans that came twice, as after a retry; two that differ are a problem."""
    known: dict[str, Span] = {}
    problems = []
    for span in spans:
        first = known.setdefault(span.span_id, span)
        if first is not span and first != span:
            message = f"two spans of one trace have the id {span.span_id}: the first was read"
            hint = "Give each span an id of its own."
            problems.append(Problem(code="span_twice", path=place, message=message, hint=hint))
    return list(known.values()), problems


def _by_time(span: Span) -> tuple[bool, int]:
    return span.start is None, span.start or 0


# Traces that evaltrace wrote.


def _own_trace(run: Span | None, spans: list[Span], place: str) -> Trace:
    below = sorted((span for span in spans if span is not run), key=_by_time)
    mine = sorted((span for span in below if own.is_event(span)), key=own.seq_of)
    ids = {span.span_id: own.event_id(span) for span in mine}
    events = [own.to_event(span, ids) for span in mine]
    added = [span for span in below if not own.is_event(span)]
    first = run or mine[0]
    plain = facts.from_facts(run.attributes) if run else {}
    told = own.trace_id(run) if run else None
    trace = _trace(plain, told or first.trace_id, first, place)
    trace.truncated = [cut for span in (first, *mine) for cut in own.cuts_of(span)]
    if trace.error is not None and trace.error.message is None and run is not None:
        trace.error.message = run.message
    more = _foreign_events(added, ids)
    _put_events(trace, events, more)
    return trace


def _trace(plain: dict[str, Any], trace_id: str, first: Span, place: str) -> Trace:
    """Make a trace of plain values; blocks of a wrong shape are left out, and told."""
    task = plain.get("task_id")
    rest = {
        "schema_version": SCHEMA_VERSION,
        "trace_id": trace_id,
        "task_id": task if isinstance(task, str) else f"{_task_name(first)}__{trace_id[:8]}",
        "agent_config": {"agent": {}},
        "metrics": {},
        "origin": {"kind": "otlp"},
        "task": {"name": _task_name(first)},
        "tools": {},
        "status": "running",
        "sources": {},
    }
    whole = _merged(rest, plain)
    whole["metrics"] = _merged(_NO_METRICS, whole["metrics"])
    problems = []
    while plain and (fault := _fault(whole)) is not None:
        block, reason = fault
        for name in [block] if block in plain else list(plain):
            del plain[name]
            whole[name] = _NO_METRICS if name == "metrics" else rest.get(name)
        message = f"attributes evaltrace.{block} of a wrong shape were left out: {reason}"
        hint = "The rest of the trace was read."
        problems.append(Problem(code="malformed_span", path=place, message=message, hint=hint))
    trace = msgspec.convert(whole, Trace)
    trace.problems += problems
    return trace


def _fault(whole: dict[str, Any]) -> tuple[str, str] | None:
    """Give the block of a trace that cannot be, and why."""
    try:
        document = msgspec.to_builtins(msgspec.convert(whole, Trace))
    except msgspec.ValidationError as error:
        return re.split(r"[.\[`]", str(error).rpartition("`$.")[2])[0], str(error)
    if fits(document):
        return None
    [violation] = violations(document, limit=1)
    block = re.split(r"[.\[]", violation.path.removeprefix("$."))[0]
    return block, f"{violation.message} - at `{violation.path}`"


def _merged(under: dict[str, Any], over: Any) -> dict[str, Any]:
    merged = dict(under)
    for key, value in (over if isinstance(over, dict) else {}).items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merged(below, value) if both and isinstance(below, dict) else value
    return merged


def _task_name(span: Span) -> str:
    name = span.attributes.get("gen_ai.workflow.name") or span.name
    return excerpt(str(name), 200) or "run"


# Traces that others wrote.


def _foreign_trace(spans: list[Span], place: str) -> Trace:
    spans = sorted(spans, key=_by_time)
    known = {span.span_id for span in spans}
    roots = [span for span in spans if span.far_parent or span.parent_id not in known]
    # All of a circle: whoever starts first has to do.
    root = roots[0] if roots else spans[0]
    trace = _trace({}, root.trace_id, root, place)
    _put_origin(trace, spans, root)
    _put_agent(trace, spans, root)
    _put_verdict(trace, root)
    _put_context(trace, spans, root)
    _put_events(trace, [], _foreign_events(spans, {}))
    trace.agent_response = AgentResponse(is_error=root.failed, duration_ms=root.duration_ms)
    _put_sums(trace)
    return trace


def _put_sums(trace: Trace) -> None:
    events = trace.events or []
    usage = all_usage(events)
    if trace.agent_response is not None:
        trace.agent_response.usage = usage
        trace.agent_response.model_usage = model_usage(events)
    trace.metrics.tokens, trace.metrics.cost = sum_tokens(usage), cost_of(events)
    types = [event.type for event in events]
    trace.metrics.turns = types.count("llm_call")
    trace.metrics.tool_calls = types.count("tool_call")
    trace.sources |= {"tokens": "otlp: spans, each with what it reports beyond those below it"}


def joined(trace: Trace, other: Trace, *, is_origin: bool) -> Trace:
    """Give a trace with the events that another one of the same run has beyond its own.

    What else is known of the run is that of the one where it began: of `trace` if `is_origin`
    or the other has not ended.
    """
    own_ids = {event.id for event in trace.events or ()}
    more = {event.id: event for event in other.events or () if event.id not in own_ids}
    if not more:
        return trace
    cuts = [cut for cut in other.truncated if cut.field.partition("].")[0][7:] in more]
    events, cuts = [*(trace.events or ()), *more.values()], trace.truncated + cuts
    if not is_origin and other.status != "running":
        trace = other
    trace.events = sorted(events, key=lambda event: event.started_at or "")
    trace.truncated = cuts
    _put_parents(trace.events)
    trace.tools = Tools(calls=calls_of(trace.events))
    _put_sums(trace)
    return trace


def _put_parents(events: list[Event]) -> None:
    """Put spans under their parents that another process wrote."""
    ids = {event.id for event in events}
    for event in events:
        parent = (event.data or {}).get("parent_span_id")
        if event.parent_id is None and event.data and parent in ids and parent != event.id:
            event.parent_id = event.data.pop("parent_span_id")
            event.data = event.data or None


def _foreign_events(spans: list[Span], ids: dict[str, str]) -> list[tuple[Event, list[Any]]]:
    parents = {**{span.span_id: span.span_id for span in spans}, **ids}
    spent = counted(spans)
    return [
        foreign.read_event(span, parents.get(span.parent_id or ""), *spent[span.span_id])
        for span in spans
    ]


def _put_events(trace: Trace, events: list[Event], more: list[tuple[Event, list[Any]]]) -> None:
    trace.events = [*events, *(event for event, _ in more)] or None
    for _, cuts in more:
        trace.truncated += cuts
    trace.tools = Tools(calls=calls_of(trace.events or []))


def _put_origin(trace: Trace, spans: list[Span], root: Span) -> None:
    ends = [span.end for span in spans if span.end is not None]
    started = from_nanos(root.start)
    finished = from_nanos(root.end or max(ends, default=None))
    service = root.resource.get("service.name")
    if service and not str(service).startswith("unknown_service"):  # what the SDK makes up
        trace.origin.harness = excerpt(str(service), 200)
    trace.origin.started_at, trace.origin.finished_at = started, finished
    trace.origin.clock = "utc"
    trace.metrics.durations = Durations(total_s=elapsed_s(started, finished))
    trace.agent_config.timestamp = started


def _put_agent(trace: Trace, spans: list[Span], root: Span) -> None:
    agent = trace.agent_config.agent
    agent.name = _first(spans, n.AGENTS) or trace.origin.harness
    agent.version = _first(spans, (n.AGENT_VERSION,)) or _fact(root.resource, "service.version")
    model, provider = _first(spans, n.MODELS), _first(spans, n.PROVIDERS)
    trace.agent_config.model = f"{provider}/{model}" if model and provider else model


def _first(spans: list[Span], names: tuple[str, ...]) -> str | None:
    found = (_fact(span.attributes, name) for span in spans for name in names)
    return next((text for text in found if text), None)


def _fact(values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    return excerpt(value, 200) if isinstance(value, str) else None


def _put_verdict(trace: Trace, root: Span) -> None:
    """Give the rewards that evaluations of the root tell, else the status of the root."""
    trace.rewards = dict(_scores(root)) or None
    trace.test_reward = _reward(trace.rewards or {})
    if trace.test_reward is not None:
        trace.status = status_of(trace.test_reward, valid=True)
        trace.sources["test_reward"] = f"otlp: {n.EVALUATION} of the root span"
    elif root.end is not None:
        trace.status = "fail" if root.failed else "pass"
        trace.sources["status"] = "otlp: status of the root span"
    if root.failed:
        kind = _fact(root.attributes, n.ERROR_TYPE) or "failed"
        message = bounded(root.message, _FACT_LIMIT) if root.message else None
        trace.error = TraceError(
            type=kind, message=message, cause="agent_failed", reward_valid=True
        )


def _scores(root: Span) -> Iterator[tuple[str, float]]:
    for mark in root.marks:
        name, score = mark.attributes.get(n.EVALUATION_NAME), mark.attributes.get(n.SCORE)
        if mark.name == n.EVALUATION and isinstance(score, int | float):
            yield str(name or "reward"), float(score)


def _reward(rewards: dict[str, float]) -> float | None:
    known = (rewards[name] for name in ("reward", "outcome") if name in rewards)
    only = next(iter(rewards.values())) if len(rewards) == 1 else None
    return next(known, only)


def _put_context(trace: Trace, spans: list[Span], root: Span) -> None:
    told = {
        "resource": bounded(root.resource, _FACT_LIMIT) or None,
        "conversation_id": _first(spans, n.CONVERSATIONS),
    }
    trace.context = {key: value for key, value in told.items() if value} or None


__all__ = ["from_otlp", "read_otlp", "to_trace"]
