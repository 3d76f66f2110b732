"""OTLP/JSON for tests, as other programs write it."""

from __future__ import annotations

from typing import Any

from evaltrace.otlp.values import to_attributes

TRACE = "5b8efff798038103d269b633813fc60c"
START = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z


def span(number: int, parent: int | None = None, /, **given: Any) -> dict[str, Any]:
    """A span of one second; `given` may have name, status, events and, else, attributes."""
    own = {key: given.pop(key) for key in ("name", "status", "events", "traceId") if key in given}
    attributes = given.pop("attributes", {})
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        **({"parentSpanId": f"{parent:016x}"} if parent else {}),
        "name": f"span {number}",
        "kind": 1,
        "startTimeUnixNano": str(START + number * 1_000_000_000),
        "endTimeUnixNano": str(START + (number + 1) * 1_000_000_000),
        **({"attributes": to_attributes({**attributes, **given})} if attributes or given else {}),
        "status": {},
        **own,
    }


def request(*spans: Any, **resource: Any) -> dict[str, Any]:
    """One request with these spans."""
    scoped = {"scope": {"name": "tests"}, "spans": list(spans)}
    attributes = to_attributes({"service.name": "my-agent", **resource})
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [scoped]}]}
