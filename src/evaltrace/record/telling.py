"""Events of a run as a mirror gets them: plain dictionaries."""

from __future__ import annotations

from typing import Any

from evaltrace.record.clocks import to_stamp
from evaltrace.record.lines import Line

_TOLD = {
    "parent": "parent_id", "name": "name", "status": "status", "duration_ms": "duration_ms",
    "text": "text", "error": "error", "output": "output", "model": "model",
    "provider": "provider", "cost_usd": "cost_usd", "usage": "usage", "data": "data",
    "outcome": "outcome",
}  # fmt: skip
"""Fields of a line that a mirror gets, and what they are called there."""


def to_told(trace_id: str, event_type: str, line: Line) -> dict[str, Any]:
    """Turn a line into what a mirror gets; what is absent is left out."""
    told: dict[str, Any] = {
        "trace_id": trace_id,
        "event_id": line.id,
        "event_type": event_type,
        "timestamp": to_stamp(line.at),
    }
    values = ((key, getattr(line, name)) for name, key in _TOLD.items())
    return told | {key: value for key, value in values if value is not None}
