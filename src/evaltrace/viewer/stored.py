"""A session of a store, page by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from heapq import merge
from operator import itemgetter
from typing import TYPE_CHECKING

from evaltrace.trace import Trace
from evaltrace.viewer.clock import FIRST, start_of
from evaltrace.viewer.runs import EVERY, NAMED, Chosen, Counts, Placed, Title, title_of

if TYPE_CHECKING:
    from evaltrace.store import Session, Store

_PAGE = 500
"""Events that are read at once from a store."""

_FIRST_PAGE = 100


class StoredRun:
    """A session of a store that is too long to be read whole: asked for page by page."""

    trace: Trace | None
    title: Title | None

    def __init__(self, store: Store, session: Session, trace: Trace) -> None:
        self._store, self._session = store, session
        self._missing: list[str] | None = None
        self.lacks_events = False
        self.started_at = start_of_session(store, session)
        self.duration_s = session.duration_s
        self.counts_to: int | None = 100
        self.most_paths = 20
        self.trace, self.title = trace, title_of(trace, self.counts())

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
            after, page = events[-1].seq, _PAGE

    def find(self, event_id: str) -> Placed | None:
        """Give the first event of an id."""
        event = self._store.get_event(self._session.id, event_id)
        return None if event is None else (event.seq, event)

    def ids_like(self, text: str) -> list[str]:
        """Name some events whose ids begin like a text."""
        return self._store.event_ids(self._session.id, text, NAMED)

    def counts(self) -> Counts:
        """Count the events, and those that failed, by their types."""
        events, errors = Counter[str](), Counter[str]()
        totals = self._store.summary(self._session.id)
        for row in totals.by_type if totals else ():
            events[row.type] += row.events
            errors[row.type] += row.errors
        return Counts(events, +errors)

    def children(self, parent_id: str | None, after: int, limit: int) -> list[Placed]:
        """Give events right below another, or (None) those that are below no event."""
        found = self._children(parent_id, after, limit)
        if parent_id is not None:
            return found
        others = [self._children(parent, after, limit) for parent in self._missing_parents()]
        return list(merge(found, *others, key=itemgetter(0)))[:limit]

    def _missing_parents(self) -> list[str]:
        if self._missing is None:
            session_id = self._session.id
            self._missing, is_whole = self._store.missing_parents(session_id)
            if not is_whole and not self._missing and not self._children(None, 0, 1):
                # Without any root there would be no tree.
                self._missing, is_whole = self._store.missing_parents(session_id, thorough=True)
            self.lacks_events = not is_whole
        return self._missing

    def _children(self, parent_id: str | None, after: int, limit: int) -> list[Placed]:
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
        found = self.children(parent_id, after, self.counts_to or _PAGE)
        return sum(before is None or place < before for place, _ in found)

    def count_unknown_durations(self, chosen: Chosen) -> int | None:
        """Nobody counts them: every event would have to be read."""
        return None

    def last_failure(self) -> Placed | None:
        """Give the last event that failed; it is looked for from the end."""
        chosen, end, reach = Chosen(errors=True), self._session.total_events, _PAGE
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
