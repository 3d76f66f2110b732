"""Sessions and events into the tables, and totals and search index with them.

Everything here runs within a transaction of its caller, but `to_pieces`, which does the work
that needs no lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from evaltrace.store.rows import (
    EVENT_COLUMNS,
    LARGEST,
    Row,
    Unreadable,
    first_key,
    from_document,
    last_key,
    to_document,
    to_event,
    to_event_row,
    to_session_fields,
)
from evaltrace.store.wording import joined, words_of_event, words_of_trace
from evaltrace.trace import Event, Trace

PIECE = 1_000
"""Events that are prepared, and written, at a time."""

LIVE, ASSUMED = 1, 2
"""What `sessions.live` is for a session of events; ASSUMED: the events came before its start."""

_TYPE, _STATUS, _FAILED = 3, 6, 25
_SUMMED = (8, 16, 17, 18, 19, 22)
"""Where a row has what totals add up: duration, four kinds of tokens, cost."""

_SUM_NAMES = (
    "duration_ms", "input_tokens", "output_tokens", "cache_creation_tokens", "cache_read_tokens",
    "cost_usd",
)  # fmt: skip

_MARKS = ", ".join("?" * (EVENT_COLUMNS.count(",") + 1))
_INSERT_EVENT = f"INSERT INTO events ({EVENT_COLUMNS}) VALUES ({_MARKS})"
_ADD_TOTALS = (
    f"INSERT INTO totals (session_key, type, status, events, errors, {', '.join(_SUM_NAMES)})"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (session_key, type, status) DO UPDATE SET"
    " events = events + excluded.events, errors = errors + excluded.errors, "
    + ", ".join(
        f"{n} = min(coalesce({n} + excluded.{n}, {n}, excluded.{n}), {LARGEST})" for n in _SUM_NAMES
    )
)
_ADD_WORDS = "INSERT INTO texts (rowid, text) VALUES (?, ?)"
_REMOVE_WORDS = "INSERT INTO texts (texts, rowid, text) VALUES ('delete', ?, ?)"


@dataclass(slots=True)
class Piece:
    """Some events of a session as rows, with their words and their totals."""

    rows: list[Row]
    words: list[str]
    totals: dict[tuple[str, str], list[Any]]


def to_pieces(events: Iterable[Event], size: int = PIECE) -> Iterator[Piece]:
    """Make rows of events, some at a time; their keys are yet to be filled in."""
    rest = iter(events)
    while some := list(islice(rest, size)):
        piece = Piece([], [], {})
        for event in some:
            row, kept = to_event_row(event, 0)
            piece.rows.append(row)
            piece.words.append(joined(words_of_event(kept)))
            _add(
                piece.totals.setdefault((row[_TYPE], row[_STATUS] or ""), [0] * 2 + [None] * 6), row
            )
        yield piece


def _add(sums: list[Any], row: Row) -> None:
    sums[0] += 1
    sums[1] += row[_FAILED]
    for index, at in enumerate(_SUMMED, start=2):
        if row[at] is not None:
            sums[index] = min((sums[index] or 0) + row[at], LARGEST)


def find_session(connection: sqlite3.Connection, session_id: str) -> tuple[int, int, int] | None:
    """Find a session by its id: its key, the number of its events, whether it is live."""
    found: tuple[int, int, int] | None = connection.execute(
        "SELECT key, total_events, live FROM sessions WHERE id = ?", (session_id,)
    ).fetchone()
    return found


def put_session(
    connection: sqlite3.Connection,
    trace: Trace,
    *,
    live: int,
    key: int | None = None,
    searchable: bool,
) -> int:
    """Insert a session without its events, under a key if one is given; give its key."""
    document, exact, kept = to_document(trace)
    fields: dict[str, Any] = {**to_session_fields(trace), "live": live, "key": key}
    names = ", ".join(fields)
    marks = ", ".join("?" * len(fields))
    cursor = connection.execute(
        f"INSERT INTO sessions ({names}) VALUES ({marks})", tuple(fields.values())
    )
    assert cursor.lastrowid is not None
    key = cursor.lastrowid
    connection.execute("INSERT INTO documents VALUES (?, ?, ?)", (key, document, exact))
    if searchable:
        words = joined(words_of_trace(kept))
        connection.execute(_ADD_WORDS, (first_key(key), words))
    return key


def change_session(
    connection: sqlite3.Connection,
    key: int,
    trace: Trace,
    changes: Mapping[str, Any],
    searchable: bool,
) -> None:
    """Replace what a session says of itself; its events and what they add up to stay."""
    before = document_of(connection, key)
    document, exact, kept = to_document(trace)
    if searchable:
        connection.execute(_REMOVE_WORDS, (first_key(key), joined(words_of_trace(before))))
        connection.execute(_ADD_WORDS, (first_key(key), joined(words_of_trace(kept))))
    connection.execute(
        "UPDATE documents SET document = ?, exact = ? WHERE session_key = ?", (document, exact, key)
    )
    settings = ", ".join(f"{name} = ?" for name in changes)
    connection.execute(f"UPDATE sessions SET {settings} WHERE key = ?", (*changes.values(), key))


def document_of(connection: sqlite3.Connection, key: int) -> Trace:
    """Read a session's trace without events."""
    found = connection.execute(
        "SELECT document, exact FROM documents WHERE session_key = ?", (key,)
    ).fetchone()
    if found is None:
        raise Unreadable(KeyError("a session has no document"))
    return from_document(*found)


def add_piece(connection: sqlite3.Connection, key: int, piece: Piece, searchable: bool) -> None:
    """Append events to a session, and add them to its totals."""
    [before, live] = connection.execute(
        "SELECT total_events, live FROM sessions WHERE key = ?", (key,)
    ).fetchone()
    first = first_key(key) + before + 1
    connection.executemany(
        _INSERT_EVENT,
        ((number, key, *row[2:]) for number, row in enumerate(piece.rows, start=first)),
    )
    if searchable:
        connection.executemany(_ADD_WORDS, enumerate(piece.words, start=first))
    connection.executemany(
        _ADD_TOTALS, [(key, *name, *sums) for name, sums in piece.totals.items()]
    )
    _count(connection, key, piece, bool(live))


def _count(connection: sqlite3.Connection, key: int, piece: Piece, live: bool) -> None:
    """Count events in their session; what a whole trace says it used stays as it says."""
    errors = sum(sums[1] for sums in piece.totals.values())
    connection.execute(
        "UPDATE sessions SET total_events = total_events + ?, total_errors = total_errors + ?,"
        " has_events = 1 WHERE key = ?",
        (len(piece.rows), errors, key),
    )
    if live:
        added = {
            name: total
            for index, name in enumerate(_SUM_NAMES[1:], start=3)
            if (total := _total(piece, index)) is not None
        }
        _count_used(connection, key, added)


def _total(piece: Piece, index: int) -> Any:
    known = [sums[index] for sums in piece.totals.values() if sums[index] is not None]
    return min(sum(known), LARGEST) if known else None


def _count_used(connection: sqlite3.Connection, key: int, added: dict[str, Any]) -> None:
    if not added:
        return
    columns = {("total_cost_usd" if name == "cost_usd" else name): n for name, n in added.items()}
    used = [n for name, n in columns.items() if name in ("input_tokens", "output_tokens")]
    if used:
        columns["total_tokens"] = min(sum(used), LARGEST)
    settings = ", ".join(f"{n} = min(coalesce({n}, 0) + ?, {LARGEST})" for n in columns)
    connection.execute(f"UPDATE sessions SET {settings} WHERE key = ?", (*columns.values(), key))


def remove_session(connection: sqlite3.Connection, key: int, searchable: bool) -> None:
    """Remove a session with everything that belongs to it."""
    if searchable:
        _forget_words(connection, key)
    connection.execute(
        "DELETE FROM events WHERE key BETWEEN ? AND ?", (first_key(key), last_key(key))
    )
    for table in ("totals", "documents"):
        connection.execute(f"DELETE FROM {table} WHERE session_key = ?", (key,))
    connection.execute("DELETE FROM sessions WHERE key = ?", (key,))


def _forget_words(connection: sqlite3.Connection, key: int) -> None:
    words = joined(words_of_trace(document_of(connection, key)))
    connection.execute(_REMOVE_WORDS, (first_key(key), words))
    # The index keeps no texts: it is told once more what it is to forget.
    for row in rows_of(connection, key):
        connection.execute(_REMOVE_WORDS, (row[0], joined(words_of_event(to_event(row)))))


def rows_of(connection: sqlite3.Connection, key: int) -> Iterator[Row]:
    """Read the rows of a session's events, in order, with memory for some of them."""
    return connection.execute(
        f"SELECT {EVENT_COLUMNS} FROM events WHERE key BETWEEN ? AND ? ORDER BY key",
        (first_key(key), last_key(key)),
    )


def put_trace(
    connection: sqlite3.Connection, trace: Trace, pieces: Iterable[Piece], searchable: bool
) -> bool:
    """Insert a whole trace in place of the one that has its id; tell whether it had none."""
    found = find_session(connection, to_session_fields(trace)["id"])
    if found is not None:
        remove_session(connection, found[0], searchable)
    old = found[0] if found else None
    key = put_session(connection, trace, live=0, key=old, searchable=searchable)
    for piece in pieces:
        add_piece(connection, key, piece, searchable)
    if trace.events is None:
        connection.execute("UPDATE sessions SET has_events = 0 WHERE key = ?", (key,))
    return found is None
