"""Whether a store is whole, what it holds, and its copy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from evaltrace.errors import Problem, StoreFailure
from evaltrace.store.connection import Connection
from evaltrace.store.creation import published
from evaltrace.store.forms import Stats
from evaltrace.store.header import has_log
from evaltrace.store.opening import MEMORY, code_of
from evaltrace.store.reading import sessions_of, totals_of
from evaltrace.store.retention import days
from evaltrace.store.rows import Unreadable, to_event
from evaltrace.store.writing import document_of, rows_of

_MOST = 100


def is_searchable(connection: sqlite3.Connection) -> bool:
    """Tell whether there is a search index that this SQLite can use.

    Raises its error for one that it could only read around.
    """
    question = "SELECT 1 FROM sqlite_master WHERE name = 'texts'"
    if connection.execute(question).fetchone() is None:
        return False
    try:
        connection.execute("SELECT rowid FROM texts LIMIT 0")
    except sqlite3.OperationalError as error:
        if "no such module" not in str(error):
            raise
        return False
    return True


def stats_of(connection: sqlite3.Connection, path: str, searchable: bool) -> Stats:
    """Count what a store holds."""
    sessions, events = connection.execute(
        "SELECT count(*), coalesce(sum(total_events), 0) FROM sessions"
    ).fetchone()
    first, last = (
        connection.execute(
            "SELECT started_at FROM sessions WHERE started_us IS NOT NULL"
            f" ORDER BY started_us {order}, key {order} LIMIT 1"
        ).fetchone()
        for order in ("ASC", "DESC")
    )
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [journal] = connection.execute("PRAGMA journal_mode").fetchone()
    return Stats(
        path=path,
        version=version,
        size_bytes=None if path == MEMORY else Path(path).stat().st_size,
        # Of a file that may not be written to, SQLite says what it would not use.
        journal="wal" if path != MEMORY and has_log(Path(path)) else journal,
        searchable=searchable,
        retention_days=days(connection),
        sessions=sessions,
        events=events,
        by_kind=_counts(connection, "kind"),
        by_status=_counts(connection, "status"),
        first_started_at=first[0] if first else None,
        last_started_at=last[0] if last else None,
    )


def _counts(connection: sqlite3.Connection, column: str) -> dict[str, int]:
    rows = connection.execute(
        f"SELECT {column}, count(*) FROM sessions GROUP BY {column} ORDER BY {column}"
    )
    return dict(rows.fetchall())


def problems_of(store: Connection, searchable: bool) -> list[Problem]:
    """Look for damage in a store: in the file, its links, its search index, its totals."""
    with store.alone() as connection:
        found = [
            Problem(code="store_damaged", path=store.place, message=message, hint=_RESTORE)
            for message in _damage(connection)
        ]
    if found:  # nothing else can be told of what cannot be read
        return found
    with store.snapshot() as connection:
        found += _broken_links(connection, store.place)
        found += _wrong_totals(connection, store.place)
        found += _unreadable(connection, store.place)
        if searchable:
            found += _unsearchable(connection, store.place)
    if searchable:
        found += _damaged_index(store)
    return found


_RESTORE = "Take the store from a backup; what can still be read: evaltrace store export."
_ADD_AGAIN = "Add the traces of the session again; that replaces it whole."
_WITHOUT = "Take the store from a backup, or export the other sessions by their ids."
_NEW = "Export the traces and add them to a new store: evaltrace store export."


def _damage(connection: sqlite3.Connection) -> list[str]:
    try:
        rows = connection.execute(f"PRAGMA integrity_check({_MOST})").fetchall()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [message for (message,) in rows if message != "ok"]


def _broken_links(connection: sqlite3.Connection, place: str) -> Iterator[Problem]:
    for table, key, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(_MOST):
        message = f"row {key} of {table} belongs to no row of {parent}"
        yield Problem(code="store_orphan", path=place, message=message, hint=_ADD_AGAIN)
    rows = connection.execute(
        "SELECT id FROM sessions WHERE key NOT IN (SELECT session_key FROM documents)"
    )
    for (session,) in rows.fetchmany(_MOST):
        message = f"session {session} has no document"
        yield Problem(code="store_orphan", path=place, message=message, hint=_ADD_AGAIN)


def _unreadable(connection: sqlite3.Connection, place: str) -> Iterator[Problem]:
    """Read everything; without a document it is told already."""
    rows = connection.execute(
        "SELECT id, key FROM sessions WHERE key IN (SELECT session_key FROM documents)"
    )
    for session, key in rows:
        try:
            sessions_of(connection, [key])
            totals_of(connection, key)
            document_of(connection, key)
            for row in rows_of(connection, key):
                to_event(row)
        except Unreadable as error:
            message = f"session {session} cannot be read ({error})"
            yield Problem(code="store_unreadable", path=place, message=message, hint=_WITHOUT)


def _wrong_totals(connection: sqlite3.Connection, place: str) -> Iterator[Problem]:
    """Count events again; what they cost is a sum of floats, and only nearly the same."""
    rows = connection.execute(
        "SELECT s.id, s.total_events, s.total_errors, coalesce(e.events, 0), coalesce(e.errors, 0),"
        " coalesce(t.events, 0), coalesce(t.errors, 0) FROM sessions AS s"
        " LEFT JOIN (SELECT session_key, count(*) AS events, sum(is_error) AS errors FROM events"
        "   GROUP BY session_key) AS e ON e.session_key = s.key"
        " LEFT JOIN (SELECT session_key, sum(events) AS events, sum(errors) AS errors FROM totals"
        "   GROUP BY session_key) AS t ON t.session_key = s.key"
        " WHERE s.total_events <> coalesce(e.events, 0) OR s.total_errors <> coalesce(e.errors, 0)"
        " OR s.total_events <> coalesce(t.events, 0) OR s.total_errors <> coalesce(t.errors, 0)"
    )
    for session, events, errors, *counted in rows.fetchmany(_MOST):
        message = (
            f"session {session} counts {events} events and {errors} errors,"
            f" there are {counted[0]} and {counted[1]} (by type {counted[2]} and {counted[3]})"
        )
        yield Problem(code="store_totals_wrong", path=place, message=message, hint=_ADD_AGAIN)


def _unsearchable(connection: sqlite3.Connection, place: str) -> Iterator[Problem]:
    everything = "SELECT key << 32 AS key FROM sessions UNION ALL SELECT key FROM events"
    indexed = "SELECT id AS key FROM texts_docsize"
    for one, other, what in (
        (everything, indexed, "cannot be found by a search"),
        (indexed, everything, "can be found, but are not there"),
    ):
        [number] = connection.execute(
            f"SELECT count(*) FROM ({one}) WHERE key NOT IN ({other})"
        ).fetchone()
        if number:
            message = f"{number} sessions and events {what}"
            yield Problem(code="store_search_wrong", path=place, message=message, hint=_NEW)


def _damaged_index(store: Connection) -> list[Problem]:
    """Let the index look at itself, which SQLite takes for writing: skipped where nobody may."""
    try:
        with store.rehearsal() as connection:
            connection.execute("INSERT INTO texts (texts) VALUES ('integrity-check')")
    except StoreFailure as error:
        cause = error.__cause__
        if isinstance(cause, sqlite3.Error) and code_of(cause) == sqlite3.SQLITE_READONLY:
            return []
        return [Problem(code="store_search_wrong", path=store.place, message=error.what, hint=_NEW)]
    return []


def back_up(store: Connection, target: Path) -> None:
    """Copy a store to a file that is not there yet; raises StoreFailure."""
    with published(target, new=True) as aside:
        copy = sqlite3.connect(aside, isolation_level=None)
        try:
            with store.alone() as connection:
                connection.backup(copy)
        finally:
            copy.close()
