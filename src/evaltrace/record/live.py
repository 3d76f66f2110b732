"""A run while it is recorded: every event goes to the journal, the end makes a trace of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evaltrace.record.clocks import Clock
from evaltrace.record.endings import to_end_line
from evaltrace.record.faults import RecordingFailure, warn
from evaltrace.record.fields import fill
from evaltrace.record.finishing import Ending, finish
from evaltrace.record.identity import next_id
from evaltrace.record.journal import Journal
from evaltrace.record.lines import REWARD, Head, Line, encode_line
from evaltrace.record.options import Mirror
from evaltrace.record.steps import Step, current_step
from evaltrace.record.stores import TraceStore, add_to_store
from evaltrace.record.telling import to_told
from evaltrace.record.values import Room, to_message, to_number, to_text
from evaltrace.trace import Trace

_CURRENT: ContextVar[Recording | None] = ContextVar("evaltrace_recording", default=None)

_TELLING: ContextVar[bool] = ContextVar("evaltrace_telling", default=False)

RUNS: dict[str, Recording] = {}
"""The runs that this process records, by the ids of their traces."""


class Recording:
    """A live run. Its methods do not raise; what goes wrong is warned of, once.

    `trace_id` names it also for other processes. As a context manager it ends with the block:
    an exception makes it a failure (or partial, after successful steps) and goes on unchanged;
    an interrupt makes it cancelled.
    """

    def __init__(
        self,
        head: Head,
        folder: Path,
        clock: Clock,
        *,
        journal: Journal,
        mirror: Mirror | None = None,
        store: TraceStore | None = None,
    ) -> None:
        self.trace_id = head.trace_id
        self.folder = folder
        self.raw_limit = head.raw_limit
        self.rewards: dict[str, float] = {}
        self.trace: Trace | None = None
        self._head, self._clock, self._journal = head, clock, journal
        self._mirror, self._store = mirror, store
        self._spent, self._lost, self._warned = 0.0, 0, False
        self._entered: list[tuple[Token[Recording | None], int]] = []

    @property
    def path(self) -> Path:
        """Give the file of the trace; it is there once the run has ended."""
        return self.folder / self._head.file

    def event(
        self, /, event_type: str, data: Mapping[str, Any] | None = None, **fields: Any
    ) -> str:
        """Record that something happened, and give the id of the event, for its children.

        `fields` are those of `Event` (name, status, duration_ms, input, output, error, usage,
        model, provider, cost_usd, parent_id, ...); any other goes to the data. An event with a
        duration is taken to end now, unless `started_at` says when it began.
        """
        before = self._clock.spent()
        line = Line(id=next_id(), type=event_type)
        try:
            if type(event_type) is not str or not event_type.isascii():
                line.type = to_text(event_type, Room(), 200)
            line.at = self._clock.now()
            fill(line, data, fields, self.raw_limit)
            if line.parent is None:
                line.parent = current_step(self.trace_id)
            self._append(line)
        except Exception as error:
            self.lose(error)
        self._spent += self._clock.spent() - before
        return line.id

    def step(self, /, agent_name: str, task: str | None = None, **fields: Any) -> Step:
        """Record a step of an agent, for the time of a `with` block.

        The step fails with an exception of the block, or by `fail` or `block` of what `with`
        gives; `summary` sets its output.
        """
        return self.span("step", agent_name, {"agent_task": task, **fields})

    def span(self, kind: str, name: str, fields: Mapping[str, Any]) -> Step:
        """Give an event of any type that lasts as long as a `with` block."""
        return Step(self, kind, name, fields)

    def reward(self, value: float, name: str = "outcome") -> None:
        """Say how well the run did; several rewards have different names."""
        number, room = to_number(value), Room()
        if number is None:
            told = to_text(value, room, 50)
            self.lose(ValueError(f"a reward is a number of 0 or more, not {told}"))
            return
        name = to_text(name, room, 200)
        self.rewards[name] = number
        self.write(Line(kind=REWARD, name=name, value=number))

    def end(
        self,
        outcome: str | None = None,
        metrics: Mapping[str, Any] | None = None,
        *,
        error: BaseException | str | None = None,
    ) -> Trace | None:
        """End the run, write its trace, and give it; None where it was ended before.

        `outcome` is success, failure, partial or cancelled; without it, it follows from the
        steps and the error. `metrics` go beside those that follow from the events, and win.
        """
        try:
            trace = self._end(outcome, metrics, error)
            self.trace = trace or self.trace
        except RecordingFailure:
            raise
        except Exception as failure:
            self.lose(failure)
            return None
        return trace

    def __enter__(self) -> Self:
        self._entered.append((_CURRENT.set(self), os.getpid()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        process = os.getpid()
        if self._entered:
            token, process = self._entered.pop()
            with suppress(ValueError):  # left in another context than it was entered in
                _CURRENT.reset(token)
        # A forked child that leaves the block is not the one that began it.
        if not self._entered and not self._journal.ended and os.getpid() == process:
            self.end(error=error)

    def begin_anew(self) -> None:
        """Count from zero, as a forked child is a writer of its own."""
        self._spent, self._lost, self._journal.lost = 0.0, 0, 0

    def write(self, line: Line) -> None:
        """Append a line that is complete but for the time."""
        before = self._clock.spent()
        try:
            line.at = self._clock.now()
            self._append(line)
        except Exception as error:
            self.lose(error)
        self._spent += self._clock.spent() - before

    def is_ended(self) -> bool:
        """Tell whether the run was ended, here or by another process."""
        return self._journal.was_ended()

    def tell(self, event_type: str, line: Line) -> None:
        """Give an event to the mirror, if there is one; not those that it records itself."""
        if self._mirror is None or _TELLING.get():
            return
        token = _TELLING.set(True)
        try:
            self._mirror(to_told(self.trace_id, event_type, line))
        except Exception as error:
            self.complain("the mirror failed", error)
        finally:
            _TELLING.reset(token)

    def complain(self, what: str, error: BaseException | None = None) -> None:
        """Warn that something could not be recorded, once a run; raise where that was asked for."""
        reason = f": {to_message(error)}" if error is not None else ""
        text = f"Trace {self.trace_id} is not complete, {what}{reason}"
        if self._head.strict:
            raise RecordingFailure(text) from error
        if not self._warned:
            self._warned = True
            warn(text)

    def _append(self, line: Line) -> None:
        line.spent = int(self._spent * 1e6)
        line.lost = self._lost + self._journal.lost
        record = encode_line(line)
        if self._clock.failure is not None:
            self.complain("its clock failed", self._clock.failure)
        error = self._journal.append(record)
        if self.is_ended():
            self.complain("something was to be recorded after its end")
            return
        if error is not None:
            self.complain("the journal cannot be written", error)
        if self._mirror is not None and line.kind == "event":
            self.tell("step_started" if line.type == "step" else line.type or "", line)

    def lose(self, error: BaseException) -> None:
        """Count an event that could not be recorded, and warn."""
        if isinstance(error, RecordingFailure):
            raise error
        self._lost += 1
        self.complain("an event was lost", error)

    def _end(
        self,
        outcome: str | None,
        metrics: Mapping[str, Any] | None,
        error: BaseException | str | None,
    ) -> Trace | None:
        if self._journal.ended:
            self.complain("it was to be ended twice")
            return None
        line = to_end_line(outcome, metrics, error)
        self.write(line)
        if self._journal.ended:  # by another process, as the writing showed
            return None
        trace, failures = finish(Ending(self.folder, self._head, self._journal, line))
        RUNS.pop(self.trace_id, None)
        for what, failure in failures:
            self.complain(what, failure)
        if trace is None:
            if not failures:
                self.complain("it was to be ended twice")
            return None
        total_s = trace.metrics.durations.total_s
        line.status, line.duration_ms = trace.status, None if total_s is None else total_s * 1000
        self.tell("trace_ended", line)
        self._store_trace(trace)
        return trace

    def _store_trace(self, trace: Trace) -> None:
        try:
            add_to_store(trace, self._store, self._head.store)
        except Exception as error:
            self.complain("the store did not take it", error)


def current_recording() -> Recording | None:
    """Give the recording of the block that this code runs in; None outside of one."""
    return _CURRENT.get()
