"""What can be asked of a store: sessions, events, hits, whole traces, totals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from evaltrace.store import checking, naming, reading, writing
from evaltrace.store.choosing import ALL, Wanted, find_events
from evaltrace.store.forms import ArmTotals, Hit, Session, Stats, StoredEvent, Totals
from evaltrace.store.opened import Opened
from evaltrace.store.reading import Chosen, Time
from evaltrace.store.rows import bounded, to_given_us
from evaltrace.store.searching import find_hits
from evaltrace.store.terms import to_query
from evaltrace.trace import Trace
from evaltrace.untrusted import clean


class Asking(Opened):
    """A store that answers questions; none of them changes it."""

    def read(self, session_id: str, *, events: bool = True) -> Trace | None:
        """Read the whole trace of a session, or without its events; None if there is none."""
        with self._connection.snapshot() as connection:
            found = writing.find_session(connection, clean(session_id))
            return None if found is None else reading.trace_of(connection, found[0], events)

    def read_all(self, **chosen: Any) -> Iterator[Trace]:
        """Read whole traces one at a time, as `get_sessions` chooses and orders them."""
        with self._connection.snapshot() as connection:
            keys = reading.session_keys(connection, Chosen(**chosen))
        for key in keys:
            with self._connection.snapshot() as connection:
                trace = reading.trace_of(connection, key)
            if trace is not None:
                yield trace

    def get_session(self, session_id: str) -> Session | None:
        """Find a session by its id, or by the beginning of it if only one begins so."""
        with self._connection.snapshot() as connection:
            key = reading.find_prefix(connection, session_id)
            return None if key is None else reading.sessions_of(connection, [key])[0]

    def short_ids(self, session_ids: Iterable[str]) -> list[str]:
        """Give for each id the shortest beginning, of 8 characters at least, that names it."""
        with self._connection.snapshot() as connection:
            return [reading.short_id(connection, clean(name)) for name in session_ids]

    def near_sessions(self, session_id: str) -> list[str]:
        """Name up to three sessions whose ids begin like a text."""
        with self._connection.snapshot() as connection:
            return reading.near_ids(connection, session_id)

    def sessions_named(self, name: str) -> list[Session]:
        """List the sessions that a name stands for, those that started last first.

        It is an id, a task id, or a task's name with or without its organisation, or a pattern
        of one with * and ?.
        """
        with self._connection.snapshot() as connection:
            return reading.sessions_of(connection, naming.keys_named(connection, name))

    def get_sessions(self, limit: int | None = 50, offset: int = 0, **chosen: Any) -> list[Session]:
        """List sessions, those that started last first.

        Choose by status, kind, since, until (times of the start), task (may have * and ?), arm
        and agent.
        """
        with self._connection.snapshot() as connection:
            keys = reading.session_keys(connection, Chosen(**chosen), limit, offset)
            return reading.sessions_of(connection, keys)

    def get_traces(  # noqa: PLR0913 - as recorders know it, and more filters
        self,
        session_id: str | None = None,
        event_type: str | list[str] | None = None,
        start_time: Time = None,
        end_time: Time = None,
        search_text: str | None = None,
        limit: int | None = 100,
        *,
        errors: bool = False,
        min_duration_ms: float | None = None,
        parent_id: str | None = None,
        roots: bool = False,
        after: int | None = None,
    ) -> list[StoredEvent]:
        """List events: of one session in order, of all sessions those stored last first.

        `roots` are those without a parent. To go on after a page of a session, give the `seq` of
        its last event as `after`.
        """
        query = None if search_text is None else to_query(search_text)
        with self._connection.snapshot() as connection:
            found = None
            if session_id is not None:
                found = writing.find_session(connection, clean(session_id))
            if (session_id is not None and found is None) or (query and not query.terms):
                return []
            wanted = Wanted(
                session=found[0] if found else None,
                types=[event_type] if isinstance(event_type, str) else event_type,
                start=to_given_us(start_time),
                end=to_given_us(end_time),
                errors=errors,
                min_duration_ms=min_duration_ms,
                parent_id=parent_id,
                roots=roots,
                after=after,
                query=query,
            )
            return find_events(
                connection, wanted, ALL if limit is None else bounded(limit), self._searchable
            )

    def get_event(self, session_id: str, event_id: str) -> StoredEvent | None:
        """Read an event with everything it has; of several with its id, the first one."""
        with self._connection.snapshot() as connection:
            found = writing.find_session(connection, clean(session_id))
            return None if found is None else reading.event_by_id(connection, found[0], event_id)

    def event_ids(self, session_id: str, beginning: str, limit: int = 10) -> list[str]:
        """List ids of a session's events that begin like a text."""
        with self._connection.snapshot() as connection:
            found = writing.find_session(connection, clean(session_id))
            return naming.ids_from(connection, found[0], beginning, limit) if found else []

    def missing_parents(
        self, session_id: str, limit: int = 100, *, thorough: bool = False
    ) -> tuple[list[str], bool]:
        """List ids that events of a session name as their parent and that no event has.

        Also tell whether these are all. Of very many parents only the first are looked for,
        unless `thorough`.
        """
        with self._connection.snapshot() as connection:
            found = writing.find_session(connection, clean(session_id))
            if found is None:
                return [], True
            return naming.missing_parents(connection, found[0], limit, thorough)

    def search(
        self, text: str, *, session_id: str | None = None, limit: int = 20, offset: int = 0
    ) -> list[Hit]:
        """Find all of some words, "phrases" and beginnings*: in one session in order.

        In all sessions, those stored last come first. Letters are looked for in either case,
        Latin ones without accents.
        """
        with self._connection.snapshot() as connection:
            found = None
            if session_id is not None:
                found = writing.find_session(connection, clean(session_id))
                if found is None:
                    return []
            key = found[0] if found else None
            return find_hits(connection, to_query(text), key, limit, offset, self._searchable)

    def summary(self, session_id: str) -> Totals | None:
        """Sum up a session by type and status of its events; no event is read for it."""
        with self._connection.snapshot() as connection:
            found = writing.find_session(connection, clean(session_id))
            if found is None:
                return None
            [session] = reading.sessions_of(connection, [found[0]])
            return Totals(session=session, by_type=reading.totals_of(connection, found[0]))

    def arms(self) -> list[ArmTotals]:
        """Count the sessions of each arm, and how many of them passed."""
        with self._connection.snapshot() as connection:
            return reading.arm_totals(connection)

    def stats(self) -> Stats:
        """Count what the store holds."""
        with self._connection.snapshot() as connection:
            return checking.stats_of(connection, self.path, self._searchable)
