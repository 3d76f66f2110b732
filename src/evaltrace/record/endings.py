"""What a caller says at the end of a run, as the last line of its journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaltrace.record.identity import next_id
from evaltrace.record.lines import END, Line
from evaltrace.record.steps import ends_normally
from evaltrace.record.values import Room, to_message, to_plain, to_text


def to_end_line(
    outcome: str | None, metrics: Mapping[str, Any] | None, error: BaseException | str | None
) -> Line:
    """Turn outcome, metrics and error into a line; what stops a program cancels its run."""
    room = Room()
    plain = to_plain(metrics, room) if metrics else None
    line = Line(kind=END, id=next_id(), data=plain if isinstance(plain, dict) else None)
    line.outcome = None if outcome is None else to_text(outcome, room, 200)
    if isinstance(error, BaseException):
        if ends_normally(error):
            return line
        line.error_type, line.error = type(error).__name__, to_message(error)
        if not isinstance(error, Exception):  # something stops the program from outside
            line.outcome = line.outcome or "cancelled"
    elif error is not None:
        line.error = to_text(error, room)
    return line
