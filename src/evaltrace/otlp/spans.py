"""A trace as spans: one for the run, and below it one for each event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from evaltrace.cuts import cut_text
from evaltrace.otlp import names as n
from evaltrace.otlp.content import conversation, event_content
from evaltrace.otlp.facts import to_content, to_facts
from evaltrace.otlp.operations import operation_of, provider_of, usage_attributes
from evaltrace.otlp.values import (
    LAST_NANO,
    from_nanos,
    is_id,
    span_id_of,
    to_attributes,
    to_nanos,
    trace_id_of,
)
from evaltrace.store import is_error
from evaltrace.trace import Event, Trace, Truncation, Usage
from evaltrace.untrusted import clean
from evaltrace.version import __version__

LIMIT = 65_536
"""Characters kept of a text that is written; receivers refuse spans of more than a few MB."""

_UNSET, _OK, _ERROR = 0, 1, 2
_INTERNAL = 1
_MILLISECOND = 1_000_000
_GOOD = {"ok", "success", "pass", "passed", "completed"}


def to_otlp(
    trace: Trace,
    *,
    content: bool = False,
    limit: int = LIMIT,
    resource: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Convert a trace to one ExportTraceServiceRequest in its JSON form.

    The same trace gives the same identifiers each time. An event without a time gets its
    parent's, and is marked. Texts of people, models and tools are left out unless `content`
    is true; then each is cut at `limit` characters. `resource` is added to what names the
    source, as `{"service.name": "nightly"}`. Secrets that the trace has are in it.
    """
    spans = _Spans(trace, content, limit)
    source = {"service.name": "evaltrace", n.OWN + "version": __version__, **(resource or {})}
    scope = {"name": "evaltrace", "version": __version__}
    scoped = {"scope": scope, "spans": [spans.root(), *spans.of_events()]}
    return {
        "resourceSpans": [
            {"resource": {"attributes": to_attributes(source)}, "scopeSpans": [scoped]}
        ]
    }


class _Spans:
    """The spans of one trace, which know each other's identifiers and times."""

    def __init__(self, trace: Trace, content: bool, limit: int) -> None:
        self.trace, self.content, self.limit = trace, content, limit
        self.trace_id = trace_id_of(trace.trace_id)
        self.root_id = span_id_of(trace.trace_id, "root")
        self.events = trace.events or []
        self.first = {event.id: event for event in reversed(self.events)}
        self.ids = _span_ids(trace.trace_id, self.events)
        self.by_event = {
            event.id: span_id
            for event, span_id in zip(reversed(self.events), reversed(self.ids), strict=True)
        }
        self.start = self._start_of_root()
        self.starts: dict[str, int] = {}

    def root(self) -> dict[str, Any]:
        """Give the span of the run."""
        trace = self.trace
        operation, name = _root_operation(trace)
        attributes = {
            n.OPERATION: operation,
            n.AGENT_NAME: trace.agent_config.agent.name,
            n.AGENT_VERSION: trace.agent_config.agent.version,
            n.PROVIDER: provider_of(None, trace.agent_config.model),
            n.REQUEST_MODEL: (trace.agent_config.model or "").rpartition("/")[2] or None,
            n.ERROR_TYPE: trace.error.type if trace.error else None,
            n.TRACE_ID: trace.trace_id,
        }
        if not any(event.usage for event in self.events):
            # Only where no span below has any: receivers add them up.
            attributes |= usage_attributes(_whole_usage(trace))
        attributes |= {n.OWN + place: value for place, value in to_facts(trace).items()}
        if self.content:
            attributes |= self._content_of_root()
        span = self._span(self.root_id, name, attributes)
        span |= {"startTimeUnixNano": str(self.start), "endTimeUnixNano": str(self._end())}
        span["events"] = [self._evaluation(*item) for item in sorted((trace.rewards or {}).items())]
        span["status"] = self._status(*_root_status(trace))
        return span

    def of_events(self) -> Iterator[dict[str, Any]]:
        """Give the span of each event, in their order."""
        for number, (event, span_id) in enumerate(zip(self.events, self.ids, strict=True), 1):
            operation = operation_of(event, self.trace.agent_config.model)
            own = self._own(event, span_id) | {"seq": number}
            attributes = operation.attributes | usage_attributes(event.usage)
            attributes |= {n.EVENT + field: value for field, value in own.items()}
            if self.content:
                attributes |= event_content(event, operation, self.limit)
            span = self._span(span_id, operation.name, attributes, operation.kind)
            span["parentSpanId"] = self._parent(event) or self.root_id
            start = self._start(event)
            span |= {"startTimeUnixNano": str(start), "endTimeUnixNano": str(_end(start, event))}
            span["status"] = self._status(_status_of(event), event.error)
            yield span

    def _span(
        self, span_id: str, name: str, attributes: dict[str, Any], kind: int = _INTERNAL
    ) -> dict[str, Any]:
        return {
            "traceId": self.trace_id,
            "spanId": span_id,
            "name": clean(name[:256]),
            "kind": kind,
            "attributes": to_attributes(attributes),
        }

    def _own(self, event: Event, span_id: str) -> dict[str, Any]:
        """Give what the conventions have no word for, or spell in another way."""
        known = to_nanos(event.started_at)
        return {
            "type": event.type,
            "id": event.id if event.id != span_id else None,
            "parent_id": None if self._parent(event) else event.parent_id,
            "name": event.name,
            "status": event.status,
            "role": event.role,
            "untimed": True if known is None else None,
            "started_at": event.started_at if from_nanos(known) != event.started_at else None,
            "duration_ms": event.duration_ms,
            "model": event.model,
            "provider": event.provider,
            "cost_usd": event.cost_usd,
            "kind": _kind(event),
            "empty_usage": True if event.usage == Usage() else None,
        }

    def _parent(self, event: Event) -> str | None:
        return None if event.parent_id is None else self.by_event.get(event.parent_id)

    def _start(self, event: Event) -> int:
        """Give the start of an event: its own, or that of the nearest above that has one."""
        above: dict[str, None] = {}
        found = None
        while found is None:
            found = to_nanos(event.started_at)
            if found is None:
                found = self.starts.get(event.id)
            parent = None if event.parent_id is None else self.first.get(event.parent_id)
            above[event.id] = None
            if found is None and (parent is None or parent.id in above):
                found = self.start
            event = parent or event
        self.starts |= dict.fromkeys(above, found)
        return found

    def _start_of_root(self) -> int:
        origin = to_nanos(self.trace.origin.started_at)
        if origin is not None:
            return origin
        known = (to_nanos(event.started_at) for event in self.events)
        first = min((time for time in known if time is not None), default=None)
        return first or to_nanos(self.trace.agent_config.timestamp) or 0

    def _end(self) -> int:
        finished = to_nanos(self.trace.origin.finished_at)
        total = self.trace.metrics.durations.total_s
        if finished is None and total is not None:
            finished = self.start + round(total * 1000 * _MILLISECOND)
        if finished is None:
            ends = (_end(self._start(event), event) for event in self.events)
            finished = max(ends, default=self.start)
        return min(max(self.start, finished), LAST_NANO)

    def _evaluation(self, name: str, score: float) -> dict[str, Any]:
        attributes = {n.EVALUATION_NAME: name, n.SCORE: float(score), n.LABEL: self.trace.status}
        return {
            "name": n.EVALUATION,
            "timeUnixNano": str(self._end()),
            "attributes": to_attributes(attributes),
        }

    def _content_of_root(self) -> dict[str, Any]:
        cuts: list[Truncation] = list(self.trace.truncated)
        attributes: dict[str, Any] = {}
        for place, text in to_content(self.trace).items():
            attributes[n.OWN + place], cut = cut_text(place, text, self.limit)
            cuts += cut
        attributes |= conversation(
            attributes.get(n.OWN + "task_instruction"),
            attributes.get(n.OWN + "agent_response.result"),
        )
        if cuts:
            attributes[n.CUTS] = msgspec.json.encode(cuts).decode()
        return attributes

    def _status(self, code: int, message: str | None) -> dict[str, Any]:
        if code == _UNSET:
            return {}
        if code == _ERROR and message and self.content:
            return {"code": code, "message": clean(cut_text("", message, self.limit)[0])}
        return {"code": code}


def _end(start: int, event: Event) -> int:
    took = event.duration_ms or 0
    # Not of NaN, which compares with nothing, nor of what no clock reaches.
    return min(start + round(took * _MILLISECOND), LAST_NANO) if 0 < took < LAST_NANO else start


def _span_ids(trace_name: str, events: list[Event]) -> list[str]:
    taken: set[str] = set()
    ids = []
    for number, event in enumerate(events, 1):
        keeps = is_id(event.id, 16) and event.id not in taken
        span_id = event.id if keeps else span_id_of(trace_name, str(number))
        taken.add(span_id)
        ids.append(span_id)
    return ids


def _root_operation(trace: Trace) -> tuple[str, str]:
    """Give the operation of a run, and its span's name."""
    agent = trace.agent_config.agent.name
    steps = any(event.data and "agent_task" in event.data for event in trace.events or ())
    if steps and trace.origin.kind in ("recorder", "workflow"):
        return "invoke_workflow", f"invoke_workflow {trace.task.name}"
    return "invoke_agent", f"invoke_agent {agent}" if agent else "invoke_agent"


def _root_status(trace: Trace) -> tuple[int, str | None]:
    if trace.status in ("error", "cancelled") or (trace.status == "fail" and trace.error):
        return _ERROR, trace.error.message if trace.error else None
    return (_OK if trace.status == "pass" else _UNSET), None


def _status_of(event: Event) -> int:
    if is_error(event):
        return _ERROR
    return _OK if event.status in _GOOD else _UNSET


def _whole_usage(trace: Trace) -> Usage:
    tokens = trace.metrics.tokens
    return Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_creation_input_tokens=tokens.cache_creation,
        cache_read_input_tokens=tokens.cache_read,
    )


def _kind(event: Event) -> str | None:
    kind = (event.data or {}).get("kind") if event.type == "tool_call" else None
    return kind if isinstance(kind, str) else None
