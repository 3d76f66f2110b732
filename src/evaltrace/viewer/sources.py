"""Where views look: a trace in memory, or a session of a store, page by page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from evaltrace.errors import UnknownName
from evaltrace.store import is_error
from evaltrace.trace import Event, Trace, Truncation
from evaltrace.viewer.clock import FIRST, start_of
from evaltrace.viewer.events import final_error

if TYPE_CHECKING:
    from evaltrace.store import Session, Store

Source: TypeAlias = "Trace | tuple[Store, str]"
"""A trace, or a store and the id of one of its sessions."""

Placed: TypeAlias = tuple[int, Event]
"""An event and its place among those of its run, from 1."""

PAGE = 500
"""Events that are read at once from a store."""

_FIRST_PAGE = 100

_SHORT = 2000
"""Events of a session that is read whole."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted; by default all."""

    types: tuple[str, ...] = ()
    errors: bool = False
    min_duration_ms: float | None = None

    def all(self) -> bool:
        """Tell whether every event is wanted."""
        return not self.types and not self.errors and self.min_duration_ms is None

    def wants(self, event: Event) -> bool:
        """Tell whether an event is wanted."""
        if self.types and event.type not in self.types:
            return False
        if self.errors and not is_error(event):
            return False
        least = self.min_duration_ms
        return least is None or (event.duration_ms is not None and event.duration_ms >= least)


EVERY = Chosen()


class Title(msgspec.Struct, kw_only=True):
    """What stands above a view; `events` is None where a trace holds none of its events."""

    trace_id: str
    task_id: str | None = None
    status: str
    agent: str | None = None
    duration_s: float | None = None
    events: int | None = None
    errors: int | None = None
    error: str | None = None


class Run(Protocol):
    """The events of one run, wherever they are kept."""

    title: Title | None
    started_at: str | None
    duration_s: float | None
    counts_to: int | None
    """How far children are counted; None: to the end."""

    most_paths: int
    """Failures that a tree shows however many siblings stand before them."""

    def placed(self, chosen: Chosen = EVERY, after: int = 0) -> Iterator[Placed]:
        """Give the chosen events behind a place, as they were recorded."""

    def find(self, event_id: str) -> Placed | None:
        """Give the first event of an id."""

    def children(self, parent_id: str | None, after: int, limit: int) -> list[Placed]:
        """Give events right below another, or (None) those that are below no event."""

    def count_children(
        self, parent_id: str | None, after: int = 0, before: int | None = None
    ) -> int:
        """Count those of these events that stand between two places, up to `counts_to`."""

    def count_unknown_durations(self, chosen: Chosen) -> int | None:
        """Count the events that only their unknown duration keeps from being chosen."""

    def last_failure(self) -> Placed | None:
        """Give the last event that failed."""


class EventsRun:
    """Events in memory."""

    counts_to: int | None
    title: Title | None

    def __init__(
        self,
        events: Iterable[Event | Placed],
        started_at: str | None = None,
        duration_s: float | None = None,
        title: Title | None = None,
    ) -> None:
        self._events = [
            given if isinstance(given, tuple) else (getattr(given, "seq", number), given)
            for number, given in enumerate(events, 1)
        ]
        self._by_id: dict[str, Placed] = {}
        for place, event in self._events:
            self._by_id.setdefault(event.id, (place, event))
        self._below: dict[str | None, list[Placed]] | None = None
        self.started_at = start_of(started_at, (event for _, event in self._events))
        self.duration_s, self.title = duration_s, title
        self.counts_to, self.most_paths = None, 200

    def placed(self, chosen: Chosen = EVERY, after: int = 0) -> Iterator[Placed]:
        """Give the chosen events behind a place, as they were recorded."""
        return (
            (place, event) for place, event in self._events if place > after and chosen.wants(event)
        )

    def find(self, event_id: str) -> Placed | None:
        """Give the first event of an id."""
        return self._by_id.get(event_id)

    def children(self, parent_id: str | None, after: int, limit: int) -> list[Placed]:
        """Give events right below another, or (None) those that are below no event."""
        below = self._family().get(parent_id, [])
        start = bisect_right(below, after, key=itemgetter(0))
        return below[start : start + limit]

    def count_children(
        self, parent_id: str | None, after: int = 0, before: int | None = None
    ) -> int:
        """Count those of these events that stand between two places."""
        below = self._family().get(parent_id, [])
        end = len(below) if before is None else bisect_left(below, before, key=itemgetter(0))
        return end - bisect_right(below, after, key=itemgetter(0))

    def count_unknown_durations(self, chosen: Chosen) -> int | None:
        """Count the events that only their unknown duration keeps from being chosen."""
        chosen = msgspec.structs.replace(chosen, min_duration_ms=None)
        return sum(e.duration_ms is None and chosen.wants(e) for _, e in self._events)

    def last_failure(self) -> Placed | None:
        """Give the last event that failed."""
        return next((placed for placed in reversed(self._events) if is_error(placed[1])), None)

    def _family(self) -> dict[str | None, list[Placed]]:
        if self._below is None:
            self._below = {}
            for place, event in self._events:
                parent = event.parent_id if event.parent_id in self._by_id else None
                self._below.setdefault(parent, []).append((place, event))
            self._open_circles(self._below)
        return self._below

    def _open_circles(self, below: dict[str | None, list[Placed]]) -> None:
        """Make a root of the first event of each circle of parents, so that all are reached."""
        roots = below.setdefault(None, [])
        seen: set[int] = set()
        for placed in chain(list(roots), self._events):
            place, event = placed
            if place in seen:
                continue
            if event.parent_id in self._by_id:
                below[event.parent_id].remove(placed)
                roots.append(placed)
            reached = [placed]
            while reached:
                place, event = reached.pop()
                first = self._by_id[event.id][0] == place
                # Of two events with one id, the first has the children.
                if place not in seen and first:
                    reached += below.get(event.id, [])
                seen.add(place)
        roots.sort(key=itemgetter(0))


class StoredRun:
    """A session of a store that is too long to be read whole: asked for page by page."""

    def __init__(self, store: Store, session: Session) -> None:
        self._store, self._session = store, session
        self.started_at = start_of_session(store, session)
        self.duration_s = session.duration_s
        self.counts_to: int | None = 100
        self.most_paths = 20
        self.title: Title | None = Title(
            trace_id=session.id,
            task_id=session.task_id,
            status=session.status,
            agent=session.agent,
            duration_s=session.duration_s,
            events=session.total_events,
            errors=session.total_errors,
            error=session.error,
        )

    def placed(self, chosen: Chosen = EVERY, after: int = 0) -> Iterator[Placed]:
        """Give the chosen events behind a place, as they were recorded."""
        page = _FIRST_PAGE
        while True:
            events = self._store.get_traces(
                self._session.id,
                list(chosen.types) or None,
                limit=page,
                errors=chosen.errors,
                min_duration_ms=chosen.min_duration_ms,
                after=after,
            )
            yield from ((event.seq, event) for event in events)
            if len(events) < page:
                return
            after, page = events[-1].seq, PAGE

    def find(self, event_id: str) -> Placed | None:
        """Give the first event of an id."""
        event = self._store.get_event(self._session.id, event_id)
        return None if event is None else (event.seq, event)

    def children(self, parent_id: str | None, after: int, limit: int) -> list[Placed]:
        """Give events right below another, or (None) those that have no parent."""
        events = self._store.get_traces(
            self._session.id,
            limit=limit,
            parent_id=parent_id,
            roots=parent_id is None,
            after=after,
        )
        return [(event.seq, event) for event in events]

    def count_children(
        self, parent_id: str | None, after: int = 0, before: int | None = None
    ) -> int:
        """Count those of these events that stand between two places, up to `counts_to`."""
        found = self.children(parent_id, after, self.counts_to or PAGE)
        return sum(before is None or place < before for place, _ in found)

    def count_unknown_durations(self, chosen: Chosen) -> int | None:
        """Nobody counts them: every event would have to be read."""
        return None

    def last_failure(self) -> Placed | None:
        """Give the last event that failed; it is looked for from the end."""
        chosen, end, reach = Chosen(errors=True), self._session.total_events, PAGE
        while True:
            found = None
            for found in self.placed(chosen, max(end - reach, 0)):  # noqa: B007
                pass
            if found is not None or reach >= end:
                return found
            reach *= 10


def start_of_session(store: Store, session: Session) -> str | None:
    """Choose the time that the offsets of a session are counted from."""
    return start_of(session.started_at, store.get_traces(session.id, limit=FIRST))


def run_of(source: Source) -> Run:
    """Give the events of a source. Raises UnknownName for a session that is not there."""
    if isinstance(source, Trace):
        return _run_of_trace(source)
    store, session = _session_of(source)
    trace = _short_trace(store, session)
    return StoredRun(store, session) if trace is None else _run_of_trace(trace)


def trace_of(source: Source) -> Trace | None:
    """Give the whole trace of a source; None for a session that is too long for that."""
    return source if isinstance(source, Trace) else _short_trace(*_session_of(source))


def cuts_of(source: Source) -> list[Truncation]:
    """Give what was cut of the texts of a run, where that can be known."""
    trace = trace_of(source)
    return trace.truncated if trace is not None else []


def _short_trace(store: Store, session: Session) -> Trace | None:
    return store.read(session.id) if session.total_events <= _SHORT else None


def _session_of(source: tuple[Store, str]) -> tuple[Store, Session]:
    store, session_id = source
    session = store.get_session(session_id)
    if session is None:
        near = ", ".join(store.near_sessions(session_id))
        raise UnknownName(
            f'No session "{session_id}"',
            where=store.path,
            hint=f"Nearest: {near}" if near else "The store has none.",
        )
    return store, session


def _run_of_trace(trace: Trace) -> EventsRun:
    events, duration_s = trace.events, trace.metrics.durations.total_s
    agent = trace.agent_config.agent
    title = Title(
        trace_id=trace.trace_id,
        task_id=trace.task_id,
        status=trace.status,
        agent=agent.name,
        duration_s=duration_s,
        events=None if events is None else len(events),
        errors=None if events is None else sum(map(is_error, events)),
        error=final_error(trace),
    )
    return EventsRun(events or [], trace.origin.started_at, duration_s, title)
