"""Spans as plain records, out of requests in their JSON form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from evaltrace.errors import Problem
from evaltrace.otlp.values import from_attributes, read_id, to_integer
from evaltrace.untrusted import clean

_ERROR = 2
_CODES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}


@dataclass(slots=True)
class Mark:
    """Something that happened at one time within a span."""

    name: str
    time: int | None
    attributes: dict[str, Any]


@dataclass(slots=True)
class Span:
    """One span: times in nanoseconds since 1970, None where unknown."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start: int | None
    end: int | None
    attributes: dict[str, Any]
    failed: bool = False
    succeeded: bool = False
    message: str | None = None
    marks: list[Mark] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)
    scope: str | None = None
    links: list[dict[str, str]] = field(default_factory=list)
    far_parent: bool = False
    """Whether the parent is known to be of another process."""

    @property
    def duration_ms(self) -> float | None:
        """How long it took; None where an end is missing or the clock was put back."""
        if self.start is None or self.end is None or self.end < self.start:
            return None
        return (self.end - self.start) / 1_000_000


def decode_request(document: Any, place: str) -> Iterator[Span | Problem]:
    """Give the spans of a request; what is no span is a problem."""
    groups = document.get("resourceSpans") if isinstance(document, dict) else None
    if not isinstance(groups, list):
        yield _problem(place, "no request of spans: it has no list `resourceSpans`")
        return
    for group in _objects(groups, place, "group of spans"):
        if isinstance(group, Problem):
            yield group
            continue
        resource = group.get("resource")
        facts = from_attributes(resource.get("attributes")) if isinstance(resource, dict) else {}
        # Before version 1 of the protocol the scopes had another name.
        scopes = group.get("scopeSpans") or group.get("instrumentationLibrarySpans")
        for scoped in _objects(scopes, place, "group of spans"):
            yield from (scoped,) if isinstance(scoped, Problem) else _spans(scoped, place, facts)


def _spans(scoped: dict[str, Any], place: str, facts: dict[str, Any]) -> Iterator[Span | Problem]:
    scope = scoped.get("scope") or scoped.get("instrumentationLibrary")
    name = scope.get("name") if isinstance(scope, dict) else None
    for item in _objects(scoped.get("spans"), place, "span"):
        span = item if isinstance(item, Problem) else _span(item, place)
        if isinstance(span, Span):
            span.resource, span.scope = facts, _text(name)
        yield span


def _objects(value: Any, place: str, what: str) -> Iterator[dict[str, Any] | Problem]:
    if value is not None and not isinstance(value, list):
        yield _problem(place, f"no list where each {what} should be")
        return
    for item in value or ():
        yield item if isinstance(item, dict) else _problem(place, f"a {what} that is no object")


def _parts(value: Any) -> list[dict[str, Any]]:
    """Give the objects of a list within a span; what else is in it says nothing."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _span(item: dict[str, Any], place: str) -> Span | Problem:
    trace_id, span_id = read_id(item.get("traceId"), 32), read_id(item.get("spanId"), 16)
    if trace_id is None or span_id is None:
        return _problem(place, "a span without a valid traceId and spanId")
    status = item.get("status")
    code, message = _status(status if isinstance(status, dict) else {})
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=read_id(item.get("parentSpanId"), 16),
        name=_text(item.get("name")) or "span",
        start=_time(item.get("startTimeUnixNano")),
        end=_time(item.get("endTimeUnixNano")),
        attributes=from_attributes(item.get("attributes")),
        failed=code == _ERROR,
        succeeded=code == 1,
        message=message,
        marks=[_mark(mark) for mark in _parts(item.get("events"))],
        links=[_link(link) for link in _parts(item.get("links"))],
    )


def _status(status: dict[str, Any]) -> tuple[int, str | None]:
    code = status.get("code", 0)
    return (_CODES.get(code, 0) if isinstance(code, str) else code), _text(status.get("message"))


def _mark(item: dict[str, Any]) -> Mark:
    return Mark(
        _text(item.get("name")) or "event",
        _time(item.get("timeUnixNano")),
        from_attributes(item.get("attributes")),
    )


def _link(item: dict[str, Any]) -> dict[str, str]:
    names = {
        "trace_id": read_id(item.get("traceId"), 32),
        "span_id": read_id(item.get("spanId"), 16),
    }
    return {key: value for key, value in names.items() if value}


def _time(value: Any) -> int | None:
    return (to_integer(value) or None) if value is not None else None


def _text(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) and value else None


def _problem(place: str, message: str) -> Problem:
    hint = "Write OTLP/JSON as the protocol defines it: identifiers in hex, one request a document."
    return Problem(code="malformed_span", path=place, message=message, hint=hint)
