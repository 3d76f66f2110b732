"""Questions about sessions and events, as SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

import msgspec

from evaltrace.store.forms import ArmTotals, Session, StoredEvent, TypeTotals
from evaltrace.store.live import add_totals
from evaltrace.store.rows import (
    EVENT_COLUMNS,
    SESSION_COLUMNS,
    Row,
    Unreadable,
    bounded,
    first_key,
    last_key,
    to_event,
    to_given_us,
    to_session,
    to_stored_event,
)
from evaltrace.store.writing import document_of, rows_of
from evaltrace.trace import Trace
from evaltrace.untrusted import clean, shorten

Time = str | datetime | None

_ALL = -1
_MANY = 500
_NEXT = 0x10FFFF
_SHORTEST = 8
_ERROR = 2_000
"""Characters of an event's error that its session ends with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which sessions: all that every given field fits; `task` may have * and ?."""

    status: str | None = None
    kind: str | None = None
    since: Time = None
    until: Time = None
    task: str | None = None
    arm: str | None = None
    agent: str | None = None


def session_keys(
    connection: sqlite3.Connection, chosen: Chosen, limit: int | None = None, offset: int = 0
) -> list[int]:
    """List the keys of sessions, those that started last first."""
    tests: list[str] = []
    values: list[Any] = []
    for name in ("status", "kind", "arm", "agent"):
        value = getattr(chosen, name)
        if value is not None:
            tests.append(f"{name} = ?")
            values.append(clean(value))
    if chosen.task is not None:
        pattern = any(sign in chosen.task for sign in "*?[")
        tests.append("(task GLOB ?)" if pattern else "(task = ?)")
        values.append(clean(chosen.task))
    for time, test in ((chosen.since, "started_us >= ?"), (chosen.until, "started_us <= ?")):
        if time is not None:
            tests.append(test)
            values.append(to_given_us(time))
    where = f"WHERE {' AND '.join(tests)} " if tests else ""
    rows = connection.execute(
        f"SELECT key FROM sessions {where}ORDER BY started_us DESC, key DESC LIMIT ? OFFSET ?",
        (*values, _ALL if limit is None else bounded(limit), bounded(offset)),
    )
    return [key for (key,) in rows]


def sessions_of(connection: sqlite3.Connection, keys: Iterable[int]) -> list[Session]:
    """Read sessions, in the order of their keys."""
    question = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE key = ?"
    return [to_session(_row(connection.execute(question, (key,)))) for key in keys]


def _row(cursor: sqlite3.Cursor) -> Row:
    """Take the row that has to be there: only a damaged index knows keys of no row."""
    row: Row | None = cursor.fetchone()
    if row is None:
        raise Unreadable(LookupError("an index names a session that is not there"))
    return row


def find_prefix(connection: sqlite3.Connection, text: str) -> int | None:
    """Find a session by its id, or by the beginning of one id only."""
    text = clean(text)
    found = connection.execute("SELECT key FROM sessions WHERE id = ?", (text,)).fetchone()
    if found is None and text:
        rows = connection.execute(
            "SELECT key FROM sessions WHERE id >= ? AND id < ? LIMIT 2", (text, text + chr(_NEXT))
        ).fetchall()
        found = rows[0] if len(rows) == 1 else None
    return None if found is None else int(found[0])


def short_id(connection: sqlite3.Connection, session_id: str) -> str:
    """Give as much of the beginning of an id as tells it from all others, but some."""
    length = _SHORTEST
    for question in (
        "SELECT max(id) FROM sessions WHERE id < ?",
        "SELECT min(id) FROM sessions WHERE id > ?",
    ):
        [near] = connection.execute(question, (session_id,)).fetchone()
        same = takewhile(lambda pair: pair[0] == pair[1], zip(near or "", session_id, strict=False))
        length = max(length, sum(1 for _ in same) + 1)
    return session_id[:length]


def near_ids(connection: sqlite3.Connection, text: str, number: int = 3) -> list[str]:
    """Name sessions whose ids begin like a text: the longer alike, the better."""
    text = clean(text)
    for length in range(len(text), 0, -1):
        begin = text[:length]
        rows = connection.execute(
            "SELECT id FROM sessions WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (begin, begin + chr(_NEXT), number),
        ).fetchall()
        if rows:
            return [name for (name,) in rows]
    return []


def stored_events(connection: sqlite3.Connection, keys: Sequence[int]) -> list[StoredEvent]:
    """Read events by their keys, in the order of these."""
    columns = ", ".join(f"e.{name.strip()}" for name in EVENT_COLUMNS.split(","))
    found: dict[int, StoredEvent] = {}
    for start in range(0, len(keys), _MANY):
        some = keys[start : start + _MANY]
        rows = connection.execute(
            f"SELECT s.id, {columns} FROM events AS e JOIN sessions AS s ON s.key = e.session_key"
            f" WHERE e.key IN ({', '.join('?' * len(some))})",
            some,
        )
        found.update((row[1], to_stored_event(row[1:], row[0])) for row in rows)
    return [found[key] for key in keys if key in found]  # one without a session is damage


def event_by_id(connection: sqlite3.Connection, key: int, event_id: str) -> StoredEvent | None:
    """Read the first event of a session that has an id."""
    rows = connection.execute(
        "SELECT min(key) FROM events WHERE session_key = ? AND id = ?", (key, clean(event_id))
    ).fetchone()
    return None if rows[0] is None else stored_events(connection, [rows[0]])[0]


def trace_of(connection: sqlite3.Connection, key: int, events: bool = True) -> Trace:
    """Read a whole trace, to the last field as it was added; of a live one, what there is.

    Without `events` it has none, as a trace whose events were left out.
    """
    names = (
        "live", "has_events", "total_tokens", "total_cost_usd", "input_tokens", "output_tokens",
        "cache_creation_tokens", "cache_read_tokens",
    )  # fmt: skip
    row = _row(connection.execute(f"SELECT {', '.join(names)} FROM sessions WHERE key = ?", (key,)))
    totals = dict(zip(names, row, strict=True))
    trace = document_of(connection, key)
    if totals["live"]:
        add_totals(trace, totals, totals_of(connection, key))
    if not events:
        trace.events = None
    elif totals["has_events"]:
        trace.events = [to_event(row) for row in rows_of(connection, key)]
    return trace


def totals_of(connection: sqlite3.Connection, key: int) -> list[TypeTotals]:
    """Read the sums over a session's events by type and status, most events first."""
    rows = connection.execute(
        "SELECT type, status, events, errors, duration_ms, input_tokens, output_tokens,"
        " cache_creation_tokens, cache_read_tokens, cost_usd FROM totals WHERE session_key = ?"
        " ORDER BY events DESC, type, status",
        (key,),
    )
    return [_to_totals(row) for row in rows]


def _to_totals(row: tuple[Any, ...]) -> TypeTotals:
    kind, status, *sums = row
    names = TypeTotals.__struct_fields__
    try:
        return msgspec.convert(
            dict(zip(names, (kind, status or None, *sums), strict=True)), TypeTotals
        )
    except msgspec.ValidationError as error:
        raise Unreadable(error) from None


def arm_totals(connection: sqlite3.Connection) -> list[ArmTotals]:
    """Count the sessions of each arm, and those that passed; those without an arm come first."""
    rows = connection.execute(
        "SELECT arm, count(*), sum(status = 'pass') FROM sessions GROUP BY arm ORDER BY arm"
    )
    return [ArmTotals(arm=arm, sessions=number, passed=passed) for arm, number, passed in rows]


def last_error(connection: sqlite3.Connection, key: int) -> str | None:
    """Read the text of the last event of a session that failed."""
    row = connection.execute(
        "SELECT key FROM events WHERE is_error = 1 AND key BETWEEN ? AND ?"
        " ORDER BY key DESC LIMIT 1",
        (first_key(key), last_key(key)),
    ).fetchone()
    if row is None:
        return None
    event = stored_events(connection, [row[0]])[0]
    said = event.error or event.text or event.output or event.name
    return None if said is None else shorten(said, _ERROR)
