"""Steps: events that last as long as a block, and are the parents of what happens in it.

The step that code is in follows the context: tasks of asyncio belong to the step in which they
were started, and do not see each other's. A new thread is in no step; `parent_id=step.id`
says so, or `contextvars.copy_context().run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, Self

from evaltrace.record.fields import fill
from evaltrace.record.identity import next_id
from evaltrace.record.lines import CLOSE, Line
from evaltrace.record.values import Room, to_message, to_text

FAILED, BLOCKED, CANCELLED, SUCCESS, STARTED = "fail", "blocked", "cancelled", "success", "started"
"""The states of a step."""


class Place:
    """Where code is: in a step of a trace, within another place."""

    __slots__ = ("id", "outer", "trace_id")

    def __init__(self, id_: str, trace_id: str, outer: Place | None) -> None:
        self.id, self.trace_id, self.outer = id_, trace_id, outer


_CURRENT: ContextVar[Place | None] = ContextVar("evaltrace_step", default=None)


class Run(Protocol):
    """What a step needs of its recording."""

    trace_id: str
    raw_limit: int

    def lose(self, error: BaseException) -> None:
        """Count an event that could not be recorded."""

    def complain(self, what: str) -> None:
        """Warn of something."""

    def write(self, line: Line) -> None:
        """Append a line."""

    def tell(self, event_type: str, line: Line) -> None:
        """Give an event to the mirror."""


class Step:
    """A step while it runs; see `Recording.step`. `id` names it as a `parent_id`.

    Entered again, it is a further step of the same name.
    """

    def __init__(self, run: Run, kind: str, name: str, fields: Mapping[str, Any]) -> None:
        self.id = next_id()
        self._run, self._kind, self._name, self._fields = run, kind, name, fields
        self._close = Line(kind=CLOSE, id=self.id, type=kind)
        self._parent = True
        self._entered = False
        self._open: list[tuple[Line, Place, float]] = []

    def fail(self, message: str | BaseException) -> None:
        """Say that the step failed, and why."""
        self._end_as(FAILED, message)

    def block(self, message: str | BaseException) -> None:
        """Say that the step stops the run, and why: a review that does not let pass."""
        self._end_as(BLOCKED, message)

    def summary(self, text: Any) -> None:
        """Set the step's output, in a few words."""
        if not self._open:
            self._complain()
        room = _room("output")
        self._close.output = to_text(text, room, self._run.raw_limit)
        self._close.cuts = room.cuts or None

    def alone(self) -> Self:
        """Be no parent of what happens in the block."""
        self._parent = False
        return self

    def __enter__(self) -> Self:
        if self._entered:
            self.id = next_id()
            self._close = Line(kind=CLOSE, id=self.id, type=self._kind)
        self._entered = True
        trace_id = self._run.trace_id
        line = Line(id=self.id, type=self._kind, status=STARTED)
        try:
            fill(line, None, {"name": self._name, **self._fields}, self._run.raw_limit)
        except Exception as error:
            self._run.lose(error)
        if line.parent is None:
            line.parent = current_step(trace_id)
        self._close.name = line.name
        self._run.write(line)
        place = Place(self.id, trace_id, _CURRENT.get())
        self._open.append((self._close, place, line.at))
        if self._parent:
            _CURRENT.set(place)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if not self._open:
            self._complain()
            return
        self._close, place, opened = self._open.pop()
        self.id = place.id
        _leave(place)
        line = self._close
        if line.status is None:
            _judge(line, error)
        self._run.write(line)
        line.duration_ms = round(max(line.at - opened, 0.0) * 1000, 3)
        self._run.tell(f"{self._kind}_completed", line)
        if self._open:
            self._close, place, _ = self._open[-1]
            self.id = place.id

    def _complain(self) -> None:
        name = to_text(self._name, Room(), 50)
        self._run.complain(f"the {self._kind} {name} was used outside of its block")

    def _end_as(self, status: str, message: str | BaseException) -> None:
        if not self._open:
            self._complain()
        _end_line(self._close, status, message)


def _judge(line: Line, error: BaseException | None) -> None:
    if error is None or ends_normally(error):
        line.status = SUCCESS
    else:
        _end_line(line, FAILED if isinstance(error, Exception) else CANCELLED, error)


def _end_line(line: Line, status: str, message: Any) -> None:
    line.status = status
    # By its type: what an object says of its class may be made up, or raise.
    if issubclass(type(message), BaseException):
        line.error_type = type(message).__name__
        message = to_message(message)
    line.error = to_text(message, _room("error"))


def current_step(trace_id: str) -> str | None:
    """Give the id of the innermost step of a trace that this code is in; None outside of any."""
    place = _CURRENT.get()
    while place is not None and place.trace_id != trace_id:
        place = place.outer
    return None if place is None else place.id


def _leave(place: Place) -> None:
    """Be in a place no more, whether or not what began within it was left before.

    Where it was entered in another context, there is nothing to do.
    """
    inner, now = None, _CURRENT.get()
    while now is not None and now is not place:
        inner, now = now, now.outer
    if now is None:
        return
    if inner is None:
        _CURRENT.set(place.outer)
    else:
        inner.outer = place.outer


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
