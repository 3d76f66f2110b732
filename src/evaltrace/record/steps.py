"""Steps: events that last as long as a block, and are the parents of what happens in it.

The step that code is in follows the context: tasks of asyncio belong to the step in which they
were started, and do not see each other's. A new thread is in no step; `parent_id=step.id`
says so, or `contextvars.copy_context().run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Protocol, Self

from evaltrace.record.fields import fill
from evaltrace.record.identity import next_id
from evaltrace.record.lines import CLOSE, Line
from evaltrace.record.values import Room, to_message, to_text

FAILED, BLOCKED, CANCELLED, SUCCESS, STARTED = "fail", "blocked", "cancelled", "success", "started"
"""The states of a step."""

_CURRENT: ContextVar[Step | None] = ContextVar("evaltrace_step", default=None)


class Run(Protocol):
    """What a step needs of its recording."""

    trace_id: str
    raw_limit: int

    def lose(self, error: BaseException) -> None:
        """Count an event that could not be recorded."""

    def write(self, line: Line) -> None:
        """Append a line."""

    def tell(self, event_type: str, line: Line) -> None:
        """Give an event to the mirror."""


class Step:
    """A step while it runs; see `Recording.step`. `id` names it as a `parent_id`."""

    def __init__(self, run: Run, kind: str, name: str, fields: Mapping[str, Any]) -> None:
        self.id = next_id()
        self.trace_id = run.trace_id
        self.outer: Step | None = None
        self._run, self._kind, self._name, self._fields = run, kind, name, fields
        self._close = Line(kind=CLOSE, id=self.id, type=kind)
        self._opened = 0.0
        self._parent = True
        self._token: Token[Step | None] | None = None

    def fail(self, message: str | BaseException) -> None:
        """Say that the step failed, and why."""
        self._end_as(FAILED, message)

    def block(self, message: str | BaseException) -> None:
        """Say that the step stops the run, and why: a review that does not let pass."""
        self._end_as(BLOCKED, message)

    def summary(self, text: Any) -> None:
        """Set the step's output, in a few words."""
        room = _room("output")
        self._close.output = to_text(text, room, self._run.raw_limit)
        self._close.cuts = room.cuts or None

    def alone(self) -> Self:
        """Be no parent of what happens in the block."""
        self._parent = False
        return self

    def __enter__(self) -> Self:
        self.outer = _CURRENT.get()
        line = Line(id=self.id, type=self._kind, status=STARTED)
        try:
            fill(line, None, {"name": self._name, **self._fields}, self._run.raw_limit)
        except Exception as error:
            self._run.lose(error)
        if line.parent is None:
            parent = current_step(self.trace_id)
            line.parent = parent.id if parent is not None else None
        if self._parent:
            self._token = _CURRENT.set(self)
        self._close.name = line.name
        self._run.write(line)
        self._opened = line.at
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            with suppress(ValueError):  # left in another context than it was entered in
                _CURRENT.reset(self._token)
        line = self._close
        if line.status is None:
            self._judge(error)
        self._run.write(line)
        line.duration_ms = round(max(line.at - self._opened, 0.0) * 1000, 3)
        self._run.tell(f"{self._kind}_completed", line)

    def _judge(self, error: BaseException | None) -> None:
        if error is None or ends_normally(error):
            self._close.status = SUCCESS
        else:
            self._end_as(FAILED if isinstance(error, Exception) else CANCELLED, error)

    def _end_as(self, status: str, message: str | BaseException) -> None:
        self._close.status = status
        if isinstance(message, BaseException):
            self._close.error_type = type(message).__name__
            message = to_message(message)
        self._close.error = to_text(message, _room("error"))


def current_step(trace_id: str) -> Step | None:
    """Give the innermost step of a trace that this code runs in; None outside of any."""
    step = _CURRENT.get()
    while step is not None and step.trace_id != trace_id:
        step = step.outer
    return step


def ends_normally(error: BaseException) -> bool:
    """Tell whether an exception is only the way a program or a generator ends."""
    if isinstance(error, Exception):
        return False
    # What a program exits with has a code.
    return isinstance(error, GeneratorExit) or getattr(error, "code", 1) in (None, 0)


def _room(field: str) -> Room:
    room = Room()
    room.field = field
    return room
