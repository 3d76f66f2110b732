"""The store as programs use it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from evaltrace.errors import Problem, UnknownName
from evaltrace.store import checking, reading, retention, writing
from evaltrace.store.asking import Asking
from evaltrace.store.forms import Counts, Session
from evaltrace.store.live import end_trace, new_trace, to_status
from evaltrace.store.reading import Time
from evaltrace.store.rows import to_session_fields
from evaltrace.store.writing import ASSUMED, LIVE
from evaltrace.times import to_utc
from evaltrace.trace import Event, Trace, Trigger
from evaltrace.untrusted import clean

_AT_ONCE = 100
"""Traces that are added in one transaction, of a few events each."""


class Store(Asking):
    """Sessions and their events in one SQLite file, for several threads and programs at once.

    `save_trace` and `get_traces` are named as recorders know them: "trace" is one event there.
    Everywhere else a trace is a whole Trace. All methods raise StoreFailure for a store that
    cannot be opened, read or written. A path of ":memory:" lives in this process only.
    """

    # Live sessions.

    def start_session(  # noqa: PLR0913 - all of them are facts about one run
        self,
        task: str,
        *,
        agent: str | None = None,
        trace_id: str | None = None,
        started_at: Time = None,
        trigger: Trigger | None = None,
        context: dict[str, Any] | None = None,
        model: str | None = None,
        arm: str | None = None,
        kind: Literal["recorder", "workflow", "otlp"] = "recorder",
        instruction: str | None = None,
    ) -> Session:
        """Begin a session; one that events were saved to before is begun with them.

        Without `started_at` it starts now. Raises UnknownName for an id that is taken.
        """
        trace = new_trace(
            trace_id or str(uuid4()),
            task,
            self._time(started_at),
            agent=agent,
            model=model,
            trigger=trigger,
            context=context,
            arm=arm,
            kind=kind,
            instruction=instruction,
        )
        with self._connection.transaction() as connection:
            fields = to_session_fields(trace)
            found = writing.find_session(connection, fields["id"])
            if found is None:
                key = writing.put_session(connection, trace, live=LIVE, searchable=self._searchable)
            else:
                key, _, live = found
                if live != ASSUMED:
                    raise UnknownName("this session has begun already", where=trace.trace_id)
                changes = _described(fields) | {"live": LIVE}
                writing.change_session(connection, key, trace, changes, self._searchable)
            return reading.sessions_of(connection, [key])[0]

    def end_session(self, session_id: str, status: str, completed_at: Time = None) -> Session:
        """End a session: pass, fail, partial, error, cancelled, or success, completed, failed.

        Without `completed_at` it ends now. Events that come later are still kept. Raises
        UnknownName for a session that is not there, or that is a whole trace.
        """
        final = to_status(status)
        with self._connection.transaction() as connection:
            found = writing.find_session(connection, clean(session_id))
            if found is None or not found[2]:
                what = "no such session" if found is None else "not a live session"
                raise UnknownName(what, where=session_id)
            key = found[0]
            trace = writing.document_of(connection, key)
            error = reading.last_error(connection, key)
            end_trace(trace, final, self._time(completed_at), error)
            changes = _described(to_session_fields(trace)) | {"live": LIVE}
            writing.change_session(connection, key, trace, changes, self._searchable)
            return reading.sessions_of(connection, [key])[0]

    def save_trace(self, event: Event, session_id: str) -> None:
        """Save one event at the end of its session (see `save_traces`)."""
        self.save_traces([event], session_id)

    def save_traces(self, events: Iterable[Event], session_id: str) -> int:
        """Save events at the end of their session, and give their number.

        A session that has not begun is begun for them, one that has ended takes them too. They
        are written in pieces of 1,000: each whole or not at all; as they are given, secrets too.
        """
        saved = 0
        for piece in writing.to_pieces(events):
            with self._connection.transaction() as connection:
                key = self._session_key(connection, session_id)
                writing.add_piece(connection, key, piece, self._searchable)
            saved += len(piece.rows)
        return saved

    def _session_key(self, connection: Any, session_id: str) -> int:
        found = writing.find_session(connection, clean(session_id))
        if found is not None:
            return found[0]
        trace = new_trace(session_id, "unknown", None)
        return writing.put_session(connection, trace, live=ASSUMED, searchable=self._searchable)

    def _time(self, given: Time) -> str | None:
        moment = self._clock() if given is None else given
        return to_utc(moment if isinstance(moment, str) else moment.isoformat())

    # Whole traces.

    def add(self, trace: Trace) -> bool:
        """Add a trace, in place of one with the same id; tell whether it is new.

        It is kept as it is given: `evaltrace.redact.to_redacted` takes secrets out of it before.
        """
        with self._connection.transaction() as connection:
            pieces = writing.to_pieces(trace.events or ())
            return writing.put_trace(connection, trace, pieces, self._searchable)

    def add_all(self, traces: Iterable[Trace]) -> Counts:
        """Add traces as `add` does, some at a time, with memory for these.

        Where reading them fails, those that came before are added.
        """
        counts = Counts()
        waiting: list[tuple[Trace, list[writing.Piece]]] = []
        events = 0
        try:
            for trace in traces:
                number = len(trace.events or ())
                is_large = number > writing.PIECE
                if not is_large:
                    waiting.append((trace, list(writing.to_pieces(trace.events or ()))))
                    events += number
                if is_large or len(waiting) >= _AT_ONCE or events >= writing.PIECE:
                    some, waiting, events = waiting, [], 0
                    _count(counts, self._put(some))
                if is_large:
                    _count(counts, [self.add(trace)])
        finally:
            _count(counts, self._put(waiting))
        return counts

    def _put(self, waiting: list[tuple[Trace, list[writing.Piece]]]) -> list[bool]:
        if not waiting:
            return []
        with self._connection.transaction() as connection:
            return [
                writing.put_trace(connection, trace, pieces, self._searchable)
                for trace, pieces in waiting
            ]

    # Keeping it in order.

    def get_retention_days(self) -> int:
        """Tell for how many days traces are kept; 30 unless set."""
        with self._connection.snapshot() as connection:
            return retention.days(connection)

    def set_retention_days(self, days: int) -> None:
        """Set for how many days traces are kept; 0 or more, or ValueError."""
        with self._connection.transaction() as connection:
            retention.set_days(connection, days)

    def expired(
        self, retention_days: int | None = None, *, benchmark: bool = False
    ) -> list[Session]:
        """List the sessions that `cleanup_old_traces` would remove, the oldest first."""
        with self._connection.snapshot() as connection:
            keys = retention.expired_keys(connection, self._clock(), retention_days, benchmark)
            return reading.sessions_of(connection, keys)

    def cleanup_old_traces(
        self, retention_days: int | None = None, *, dry_run: bool = False, benchmark: bool = False
    ) -> int:
        """Remove sessions that ended longer ago than traces are kept; give their number.

        Never one that is running; traces of benchmarks only if `benchmark` is set. `dry_run`
        only counts. The space is given back to the disk.
        """
        with self._connection.snapshot() as connection:
            keys = retention.expired_keys(connection, self._clock(), retention_days, benchmark)
        if dry_run:
            return len(keys)
        removed = 0
        for key in keys:
            with self._connection.transaction() as connection:
                # Somebody may have replaced it meanwhile.
                again = retention.expired_keys(
                    connection, self._clock(), retention_days, benchmark, only=key
                )
                for found in again:
                    writing.remove_session(connection, found, self._searchable)
                removed += len(again)
        retention.give_back(self._connection)
        return removed

    def check(self) -> list[Problem]:
        """Look for damage: in the file, its links, its search index, its totals."""
        return checking.problems_of(self._connection, self._searchable)

    def backup(self, path: str | Path) -> None:
        """Copy the store to a new file, while others go on writing: whole or not at all."""
        checking.back_up(self._connection, Path(path))


def _described(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the events of a session add up to."""
    counted = ("tokens", "total_cost_usd", "has_events")
    return {name: value for name, value in fields.items() if not name.endswith(counted)}


def _count(counts: Counts, new: list[bool]) -> None:
    counts.added += sum(new)
    counts.replaced += len(new) - sum(new)
