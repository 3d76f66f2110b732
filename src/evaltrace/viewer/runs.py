"""The events of one run, as views ask for them, and those that are in memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from operator import itemgetter
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from evaltrace.store import is_error
from evaltrace.trace import Event, Trace
from evaltrace.viewer.clock import start_of
from evaltrace.viewer.events import final_error

Placed: TypeAlias = tuple[int, Event]
"""An event and its place among those of its run, from 1."""

_SIMILAR = 5000
"""Event ids among which a similar one is looked for."""

NAMED = 5
"""Events that are named where another was asked for."""


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


class Counts(NamedTuple):
    """How many events a run has of each type, and how many of these failed."""

    events: Counter[str]
    errors: Counter[str]


class Run(Protocol):
    """The events of one run, wherever they are kept."""

    trace: Trace | None
    """The trace that they are of, maybe without them; None for events of no trace."""

    title: Title | None
    started_at: str | None
    duration_s: float | None
    counts_to: int | None
    """How far children are counted; None: to the end."""

    lacks_events: bool
    """Whether there may be roots that a tree does not have: events whose parents are missing."""

    most_paths: int
    """Failures that a tree shows however many siblings stand before them."""

    def placed(self, chosen: Chosen = EVERY, after: int = 0) -> Iterator[Placed]:
        """Give the chosen events behind a place, as they were recorded."""

    def find(self, event_id: str) -> Placed | None:
        """Give the first event of an id."""

    def ids_like(self, text: str) -> list[str]:
        """Name some events whose ids begin like a text; without any, similar ones."""

    def counts(self) -> Counts:
        """Count the events, and those that failed, by their types."""

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

    def __init__(
        self,
        events: Iterable[Event | Placed],
        started_at: str | None = None,
        duration_s: float | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._events = _placed(events)
        self._by_id: dict[str, Placed] = {}
        for place, event in self._events:
            self._by_id.setdefault(event.id, (place, event))
        self._below: dict[str | None, list[Placed]] | None = None
        self.started_at = start_of(started_at, (event for _, event in self._events))
        self.duration_s, self.trace = duration_s, trace
        self.title = None if trace is None else title_of(trace, self.counts())
        self.counts_to, self.most_paths = None, 200
        self.lacks_events = False

    def placed(self, chosen: Chosen = EVERY, after: int = 0) -> Iterator[Placed]:
        """Give the chosen events behind a place, as they were recorded."""
        return (
            (place, event) for place, event in self._events if place > after and chosen.wants(event)
        )

    def find(self, event_id: str) -> Placed | None:
        """Give the first event of an id."""
        return self._by_id.get(event_id)

    def ids_like(self, text: str) -> list[str]:
        """Name some events whose ids begin like a text; without any, similar ones."""
        found = [event_id for event_id in self._by_id if event_id.startswith(text)]
        word = text.casefold()
        found = found or [event_id for event_id in self._by_id if word in event_id.casefold()]
        if not found and len(self._by_id) <= _SIMILAR:
            from difflib import get_close_matches

            found = get_close_matches(text, self._by_id, NAMED)
        return found[:NAMED]

    def counts(self) -> Counts:
        """Count the events, and those that failed, by their types."""
        failed = (event.type for _, event in self._events if is_error(event))
        return Counts(Counter(event.type for _, event in self._events), Counter(failed))

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


def _placed(events: Iterable[Event | Placed]) -> list[Placed]:
    """Give events their places, which only grow: of several sessions, or backwards, anew."""
    found = [
        given if isinstance(given, tuple) else (getattr(given, "seq", number), given)
        for number, given in enumerate(events, 1)
    ]
    if all(before[0] < after[0] for before, after in pairwise(found)):
        return found
    return [(number, event) for number, (_, event) in enumerate(found, 1)]


def title_of(trace: Trace, counts: Counts) -> Title:
    """Say what stands above the views of a trace; its events may be elsewhere."""
    known = trace.events is not None or counts.events
    return Title(
        trace_id=trace.trace_id,
        task_id=trace.task_id,
        status=trace.status,
        agent=trace.agent_config.agent.name,
        duration_s=trace.metrics.durations.total_s,
        events=counts.events.total() if known else None,
        errors=counts.errors.total() if known else None,
        error=final_error(trace),
    )
