"""structlog in both directions: log lines become events, and events become log lines.

`record_log_line` needs no structlog: a processor is a function over dictionaries.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

from evaltrace.errors import MissingPackage
from evaltrace.record.live import current_recording
from evaltrace.record.values import Room, to_message, to_text

SENTENCE = "log"
"""Type of an event that comes from a line whose name is a sentence."""

_NAME = re.compile(r"[A-Za-z_][\w.:-]{0,99}", re.ASCII)
_NO_VALUES = frozenset({"event", "exc_info", "stack_info", "_record", "_from_structlog"})
"""Keys of a line that are its name, or say how to write it."""
_BAD_LEVELS = frozenset({"error", "critical", "exception", "fatal"})

_LINES = {
    "trace_started": "pipeline.started",
    "trace_ended": "pipeline.completed",
    "step_started": "step.started",
    "step_completed": "step.completed",
}
"""What the lines of some events are called; the others are called as the event is."""
_NAMED = {"trace_started": "agent", "step_started": "agent_name", "step_completed": "agent_name"}
"""What the name of some events is called in their lines."""
_LEVELS = {"fail": "error", "error": "error", "blocked": "warning", "partial": "warning"}
"""Level of the line by the status of the event; info for any other."""
_NO_FIELDS = frozenset({"event_type", "event_id", "parent_id", "data", "output", "timestamp"})
"""Parts of an event that are no fields of its line: the trace numbers its events only at the
end, and processors of the user add the time."""
_TAKEN = frozenset(
    {"event", "exc_info", "stack_info", "stacklevel", "level", "logger", "timestamp"}
)
"""Words that mean something to loggers: what a caller calls so is called `data_...`."""

_mirroring: ContextVar[bool] = ContextVar("evaltrace_mirroring", default=False)
"""Set while one of the two directions is at work: what comes out of one never enters the other."""


def record_log_line(
    _logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Record a log line as an event of the current recording; a processor of structlog.

    A name is the type of the event, a sentence its text; the other keys are its data. The line
    goes on as it came. Outside of a recording it does nothing else.
    """
    run = current_recording()
    if run is None:
        return event_dict
    with _mirrored() as first:
        if first:
            event_type, data, fields = to_event(method_name, event_dict)
            run.event(event_type, data, **fields)
    return event_dict


def to_event(
    method_name: str, line: Mapping[str, Any]
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Turn a log line into the type, the data and the fields of an event."""
    name = to_text(line.get("event") or "", Room())
    data = {key: value for key, value in line.items() if key not in _NO_VALUES}
    data.setdefault("level", method_name)
    fields: dict[str, Any] = {}
    if method_name in _BAD_LEVELS or to_text(data["level"], Room()) in _BAD_LEVELS:
        fields["status"] = "error"
    error = _error_of(line.get("exc_info"))
    if error is not None:
        fields["error"] = error
    if _NAME.fullmatch(name):
        return name, data, fields
    return SENTENCE, data, {"text": name, **fields}


def mirror_to_log(logger: Any = None) -> Callable[[Mapping[str, Any]], None]:
    """Give a `mirror` for a recording that writes a log line for each event.

    `logger` is one of structlog's, by default `structlog.get_logger()`. Starts and ends are
    called `pipeline.started`, `step.started`, `step.completed` and `pipeline.completed`. Raw
    input and output are left out. Raises MissingPackage where structlog is not installed.
    """
    chosen = _default_logger() if logger is None else logger
    steps = _StepNumbers()

    def mirror(event: Mapping[str, Any]) -> None:
        numbered = steps.added_to(event)
        with _mirrored() as first:
            if first:
                name, level, fields = to_line(numbered)
                getattr(chosen, level)(name, **fields)

    return mirror


class _StepNumbers:
    """Counts the steps of each run in the order of their starts, as the trace will."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._started: dict[Any, int] = {}
        self._running: dict[Any, int] = {}

    def added_to(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give the event, with `step_number` if it is the start or the end of a step."""
        event_type, run, step = (event.get(key) for key in ("event_type", "trace_id", "event_id"))
        with self._lock:
            if event_type == "trace_ended":
                self._started.pop(run, None)
            elif event_type == "step_started":
                number = self._started[run] = self._started.get(run, 0) + 1
                self._running[step] = number
                return {**event, "step_number": number}
            elif event_type == "step_completed" and step in self._running:
                return {**event, "step_number": self._running.pop(step)}
        return event


def to_line(event: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Turn an event, as a mirror gets it, into name, level and fields of a log line.

    Its own fields come first; of its data those keys that are free.
    """
    event_type = str(event.get("event_type"))
    named = _NAMED.get(event_type, "name")
    fields = {
        named if key == "name" else key: value
        for key, value in event.items()
        if key not in _NO_FIELDS
    }
    for key, value in (event.get("data") or {}).items():
        if key in _TAKEN or key in fields:
            fields.setdefault(f"data_{key}", value)
        else:
            fields[key] = value
    level = _LEVELS.get(str(event.get("status")), "info")
    if event.get("error") is not None and level == "info":
        level = "error"
    return _LINES.get(event_type, event_type), level, fields


@contextmanager
def _mirrored() -> Iterator[bool]:
    """Tell whether this is the beginning, and not the echo, of an event or a line."""
    if _mirroring.get():
        yield False
        return
    token = _mirroring.set(True)
    try:
        yield True
    finally:
        _mirroring.reset(token)


def _error_of(exc_info: Any) -> str | None:
    """Name the exception of a line: an exception, what sys.exc_info() gives, or True for now."""
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) == 3 else exc_info
    if not isinstance(error, BaseException):
        return None
    return f"{type(error).__name__}: {to_message(error)}"


def _default_logger() -> Any:
    try:
        from structlog import get_logger
    except ImportError:
        hint = "Install it: python -m pip install 'evaltrace[logs]'"
        raise MissingPackage("Log lines need the package structlog", hint=hint) from None
    return get_logger()
