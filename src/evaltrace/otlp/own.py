"""Spans that evaltrace wrote, back as what they were."""

from __future__ import annotations

from typing import Any

import msgspec

from evaltrace.otlp import names as n
from evaltrace.otlp.decoding import Span
from evaltrace.otlp.operations import to_usage
from evaltrace.otlp.values import from_nanos, to_amount
from evaltrace.trace import Event, Truncation, Usage
from evaltrace.untrusted import one_line

_MAX_DEPTH = 200
"""Nesting of a value that is read: deeper ones could not be written again by every reader."""

_TEXTS = ("name", "status", "role", "model", "provider", "error")


def is_root(span: Span) -> bool:
    """Tell whether a span of ours stands for a run."""
    return n.TRACE_ID in span.attributes


def trace_id(span: Span) -> str | None:
    """Give the identifier of the trace that a span stands for, where it can be one."""
    told = _text(span.attributes.get(n.TRACE_ID))
    return told if told and told == one_line(told, 200) else None


def is_event(span: Span) -> bool:
    """Tell whether a span of ours stands for an event."""
    return isinstance(span.attributes.get(n.EVENT_TYPE), str)


def seq_of(span: Span) -> int:
    """Give the place of an event in its trace."""
    seq = span.attributes.get(n.EVENT + "seq")
    return seq if isinstance(seq, int) else 0


def to_event(span: Span, ids: dict[str, str]) -> Event:
    """Convert a span to the event that it was; `ids` tells those of events by span."""
    given = span.attributes
    own = {
        key.removeprefix(n.EVENT): value for key, value in given.items() if key.startswith(n.EVENT)
    }
    texts = {name: own[name] for name in _TEXTS if isinstance(own.get(name), str)}
    text, reasoning = _message(given, own)
    event = Event(
        id=event_id(span),
        type=own["type"],
        parent_id=_text(own.get("parent_id", ids.get(span.parent_id or ""))),
        started_at=_started(span, own),
        duration_ms=to_amount(own.get("duration_ms")),
        text=text,
        reasoning=reasoning,
        input=_json(given.get(n.ARGUMENTS, own.get("input"))),
        output=_text(given.get(n.RESULT, own.get("output"))),
        usage=_usage(given, own),
        cost_usd=to_amount(own.get("cost_usd")),
        data=_data(given, own),
    )
    for name, value in texts.items():
        setattr(event, name, value)
    return event


def event_id(span: Span) -> str:
    """Give the identifier of the event that a span was."""
    told = _text(span.attributes.get(n.EVENT + "id"))
    return span.span_id if told is None else told


def cuts_of(span: Span) -> list[Truncation]:
    """Give what was cut before the span was written."""
    told = span.attributes.get(n.CUTS)
    try:
        return msgspec.json.decode(told or "[]", type=list[Truncation])
    except (msgspec.DecodeError, TypeError):
        return []


def _started(span: Span, own: dict[str, Any]) -> str | None:
    if "started_at" in own:
        return _text(own["started_at"])
    return None if own.get("untimed") else from_nanos(span.start)


def _usage(given: dict[str, Any], own: dict[str, Any]) -> Usage | None:
    if own.get("empty_usage"):
        return Usage()
    names = (n.INPUT_TOKENS, n.OUTPUT_TOKENS, n.CACHE_READ, n.CACHE_WRITE)
    return to_usage(*(_count(given.get(name)) for name in names))


def _message(given: dict[str, Any], own: dict[str, Any]) -> tuple[str | None, str | None]:
    messages = _json(given.get(n.OUTPUT_MESSAGES))
    found = {"text": _text(own.get("text")), "reasoning": _text(own.get("reasoning"))}
    if isinstance(messages, list) and messages and isinstance(messages[0], dict):
        parts = messages[0].get("parts")
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and isinstance(part.get("content"), str):
                found[str(part.get("type"))] = part["content"]
    return found["text"], found["reasoning"]


def _data(given: dict[str, Any], own: dict[str, Any]) -> dict[str, Any] | None:
    if "data" in own:
        told = _json(own["data"])
        return told if isinstance(told, dict) else {"cut": told}
    known = {"call_id": given.get(n.CALL_ID), "kind": own.get("kind")}
    return {key: value for key, value in known.items() if value is not None} or None


def _json(value: Any) -> Any:
    """Read a value that was written as JSON; one that was cut, or is too deep, stays text."""
    if not isinstance(value, str):
        return value
    try:
        decoded = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value
    return decoded if _is_shallow(decoded, _MAX_DEPTH) else value


def _is_shallow(value: Any, depth: int) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_is_shallow(item, depth - 1) for item in items)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    counts = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if counts else None
