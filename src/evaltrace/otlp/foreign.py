"""Spans that others wrote, as events: one for each span."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from evaltrace.agentlogs.tools import kind_of
from evaltrace.cuts import cut_text
from evaltrace.otlp import names as n
from evaltrace.otlp.decoding import Mark, Span
from evaltrace.otlp.messages import gather, messages_of, parsed, said
from evaltrace.otlp.values import from_nanos, to_amount, to_integer
from evaltrace.trace import Event, Truncation, Usage
from evaltrace.untrusted import bounded, excerpt

TEXT_LIMIT = 100_000
"""Characters kept of a text that is read; what is cut is recorded in the trace."""

_NAME_LIMIT = 1000
"""Characters kept of a name: of a span, a model, a tool."""

_MODEL, _TOOL, _AGENT = "llm_call", "tool_call", "step"


@dataclass(slots=True)
class Reading:
    """A span while it is read: its attributes until they are taken, and what was cut."""

    span: Span
    left: dict[str, Any]
    cuts: list[Truncation] = field(default_factory=list)

    def take(self, names: tuple[str, ...]) -> Any:
        """Take the first of several attributes; others that say the same go with it."""
        found = next((self.left[name] for name in names if self.left.get(name) is not None), None)
        for name in names:
            if name in self.left and self.left[name] == found:
                del self.left[name]
        return found

    def text(self, names: tuple[str, ...]) -> str | None:
        """Take an attribute that is a text."""
        found = self.take(names)
        return found if isinstance(found, str) and found else None

    def cut(self, name: str, text: str | None, limit: int = TEXT_LIMIT) -> str | None:
        """Bound a text of the event."""
        if text is None:
            return None
        kept, cut = cut_text(f"events[{self.span.span_id}].{name}", text, limit)
        self.cuts += cut
        return kept


@dataclass(frozen=True, slots=True)
class Spent:
    """What a span reports to have used, itself and below it: as the conventions count."""

    given: int | None = None
    made: int | None = None
    read: int | None = None
    written: int | None = None
    usd: float | None = None

    def __bool__(self) -> bool:
        return any(v is not None for v in (self.given, self.made, self.read, self.written))


def spent_by(span: Span) -> Spent:
    """Give the tokens and the cost that a span reports."""
    given = span.attributes

    def count(names: tuple[str, ...]) -> int | None:
        found = (to_integer(given[name]) for name in names if given.get(name) is not None)
        return next((number for number in found if number is not None and number >= 0), None)

    prices = (to_amount(given[name]) for name in n.COSTS if name in given)
    known = (price for price in prices if price is not None)
    usd = next(known, None) if given.get(n.CURRENCY, "USD") == "USD" else None
    return Spent(
        count(n.INPUTS), count(n.OUTPUTS), count(n.CACHE_READS), count(n.CACHE_WRITES), usd
    )


def type_of(span: Span) -> str:
    """Give the type of the event that a span is."""
    given = span.attributes
    word = next((given[name] for name in n.OPERATIONS if isinstance(given.get(name), str)), None)
    if word is None and isinstance(given.get("sentry.op"), str):
        word = given["sentry.op"].removeprefix("gen_ai.")
    word = (word or "").lower()
    if word in n.CALLS_OF_TOOLS or given.get(n.MCP_METHOD) == "tools/call":
        return _TOOL
    if word in n.CALLS_OF_MODELS:
        return _MODEL
    if word in n.AGENT_STEPS:
        return _AGENT
    if not word and any(given.get(name) for name in n.TOOLS[:3]):
        return _TOOL
    if not word and any(given.get(name) for name in n.MODELS):
        return _MODEL
    plain = not word or word in ("chain", "unknown", "default", "task")
    return "span" if plain else excerpt(word, 100) or "span"


def read_event(
    span: Span, parent: str | None, usage: Usage | None, usd: float | None
) -> tuple[Event, list[Truncation]]:
    """Convert a span to an event; also give what was cut.

    `usage` and `usd` are what counts of what it reports. Attributes that no field of the event
    has room for stay in its data.
    """
    kind = type_of(span)
    reading = Reading(span, gather(span.attributes))
    asked, answered, marks = messages_of(span.marks)
    event = Event(
        id=span.span_id,
        type=kind,
        parent_id=parent,
        name=span.name,
        status="error" if span.failed else "ok" if span.succeeded else None,
        started_at=from_nanos(span.start),
        duration_ms=span.duration_ms,
        error=reading.cut("error", _error_of(span)),
        usage=usage,
        cost_usd=usd,
        model=reading.cut("model", reading.text(n.MODELS), _NAME_LIMIT),
        provider=reading.cut("provider", reading.text(n.PROVIDERS), _NAME_LIMIT),
    )
    facts: dict[str, Any] = {}
    if kind == _TOOL:
        facts = _read_tool(event, reading)
    else:
        _read_messages(event, reading, asked, answered)
    if kind == _AGENT:
        event.name = reading.text(n.AGENTS) or span.name
    _forget_counted(reading, usage, usd)
    named = event.name
    event.name = reading.cut("name", named, _NAME_LIMIT)
    facts |= bounded(_rest(span, reading, marks, named, parent), TEXT_LIMIT)
    event.data = facts or None
    return event, reading.cuts


def _read_tool(event: Event, reading: Reading) -> dict[str, Any]:
    span = reading.span
    name = reading.text(n.TOOLS) or span.name.removeprefix("execute_tool ")
    event.name = name
    event.input = bounded(parsed(reading.take(n.CALL_INPUTS)), TEXT_LIMIT)
    event.output = reading.cut("output", _as_text(reading.take(n.CALL_OUTPUTS)))
    is_mcp = any(key.startswith("mcp.") for key in span.attributes)
    facts: dict[str, Any] = {"kind": "mcp" if is_mcp else kind_of(name)}
    call_id = reading.text(n.CALL_IDS)
    return {"call_id": call_id, **facts} if call_id else facts


def _read_messages(event: Event, reading: Reading, asked: list[Any], answered: list[Any]) -> None:
    prompt = parsed(reading.take(n.PROMPTS))
    answer = parsed(reading.take(n.COMPLETIONS))
    event.input = bounded(asked if prompt is None and asked else prompt, TEXT_LIMIT)
    text, reasoning = said(answered if answer is None and answered else answer)
    if event.type == _MODEL:
        event.role = "assistant"
        event.text, event.reasoning = reading.cut("text", text), reading.cut("reasoning", reasoning)
        # Calls of tools are parts of an answer too, and have no text.
        if answer is not None and text is None and reasoning is None:
            event.output = reading.cut("output", _as_text(answer))
    elif answer is not None:
        event.output = reading.cut("output", text if text is not None else _as_text(answer))


def _forget_counted(reading: Reading, usage: Usage | None, usd: float | None) -> None:
    if usage is not None:
        for names in (n.INPUTS, n.OUTPUTS, n.CACHE_READS, n.CACHE_WRITES):
            reading.take(names)
    if usd is not None:
        reading.take(n.COSTS)


def _rest(
    span: Span, reading: Reading, marks: list[Mark], name: str | None, parent: str | None
) -> dict[str, Any]:
    """Give what else a span says; its name where the event has another one."""
    rest = dict(reading.left)
    if span.name != name:
        rest["span_name"] = span.name
    if span.parent_id is not None and parent is None:
        rest["parent_span_id"] = span.parent_id
    if span.scope is not None:
        rest["scope"] = span.scope
    if span.links:
        rest["links"] = span.links
    if marks:
        rest["span_events"] = [
            {"name": mark.name, "time": from_nanos(mark.time), **mark.attributes} for mark in marks
        ]
    return rest


def _error_of(span: Span) -> str | None:
    if not span.failed:
        return None
    told = (mark.attributes for mark in span.marks if mark.name == "exception")
    raised = [facts.get("exception.message") or facts.get("exception.type") for facts in told]
    message = span.message or next((text for text in raised if isinstance(text, str)), None)
    kind = span.attributes.get(n.ERROR_TYPE)
    return message or (kind if isinstance(kind, str) else "failed")


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
