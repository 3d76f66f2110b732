"""Which events fit some filters: found by the index that leaves the fewest to look at."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from evaltrace.store.forms import StoredEvent
from evaltrace.store.matching import Scope, matching_keys
from evaltrace.store.reading import stored_events
from evaltrace.store.rows import LARGEST, bounded, first_key, last_key
from evaltrace.store.terms import Query
from evaltrace.store.wording import words_of_event
from evaltrace.untrusted import clean

ALL = -1
"""The limit that is none."""

_GLANCE = 20_000
"""Events that are looked at in order before an index is asked: most filters fit many."""
_MOST_COUNTED = 200_000
_ORDERED = ("events_that_failed", "events_by_type", "events_by_parent")
"""Indexes that find what fits one value, in the order of the events."""

_GLANCED = "key, session_key, type, is_error, parent_id, duration_ms, at_us"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events: all that every given field fits; times are in microseconds since 1970."""

    session: int | None = None
    types: Sequence[str] | None = None
    start: int | None = None
    end: int | None = None
    errors: bool = False
    min_duration_ms: float | None = None
    parent_id: str | None = None
    roots: bool = False
    after: int | None = None
    query: Query | None = None

    @property
    def order(self) -> Literal["ASC", "DESC"]:
        """In which order the events are given."""
        return "DESC" if self.session is None else "ASC"

    @property
    def keys(self) -> tuple[int, int]:
        """The smallest and the largest key that an event may have."""
        if self.session is None:
            return 0, LARGEST
        first = bounded(first_key(self.session) + max(self.after or 0, 0) + 1)
        return first, bounded(last_key(self.session))


@dataclass(frozen=True, slots=True)
class _Test:
    """A condition in SQL, and the index that finds what fits it."""

    sql: str
    values: tuple[Any, ...]
    index: str


def find_events(
    connection: sqlite3.Connection, wanted: Wanted, limit: int, searchable: bool
) -> list[StoredEvent]:
    """Read events: of one session in order, of all sessions those stored last first."""
    if wanted.query is not None and not searchable:
        return _read_through(connection, wanted, wanted.query, limit)
    return stored_events(connection, _keys(connection, wanted, limit))


def _keys(connection: sqlite3.Connection, wanted: Wanted, limit: int) -> list[int]:
    """List the keys; of several types, each is asked for by itself."""
    types: Sequence[str | None] = [None] if wanted.types is None else sorted(set(wanted.types))
    keys: list[int] = []
    for kind in types:
        tests = _tests(wanted, kind)
        if wanted.query is not None:
            keys += _searched(connection, wanted, wanted.query, tests, limit)
        else:
            keys += _filtered(connection, wanted, tests, limit)
    if len(types) > 1:
        keys.sort(reverse=wanted.order == "DESC")
    return keys if limit == ALL else keys[:limit]


def _tests(wanted: Wanted, kind: str | None) -> list[_Test]:
    tests = []
    if wanted.roots or wanted.parent_id is not None:
        parent = None if wanted.roots else clean(wanted.parent_id or "")
        if wanted.session is None:
            tests.append(_Test("parent_id IS ?", (parent,), ""))
        else:
            sql = "session_key = ? AND parent_id IS ?"
            tests.append(_Test(sql, (wanted.session, parent), "events_by_parent"))
    if wanted.errors:
        tests.append(_Test("is_error = 1", (), "events_that_failed"))
    if kind is not None:
        tests.append(_Test("type = ?", (clean(kind),), "events_by_type"))
    if wanted.min_duration_ms is not None:
        least = float(wanted.min_duration_ms)
        tests.append(_Test("duration_ms >= ?", (least,), "events_by_duration"))
    if wanted.start is not None or wanted.end is not None:
        first = -LARGEST if wanted.start is None else wanted.start
        last = LARGEST if wanted.end is None else wanted.end
        tests.append(_Test("at_us BETWEEN ? AND ?", (first, last), "events_by_time"))
    return tests


def _searched(
    connection: sqlite3.Connection, wanted: Wanted, query: Query, tests: list[_Test], limit: int
) -> list[int]:
    where = "".join(f" AND {test.sql}" for test in tests)
    scope = Scope(keys=wanted.keys, order=wanted.order, events_where=where, values=_values(tests))
    return matching_keys(connection, query, scope, limit)


def _filtered(
    connection: sqlite3.Connection, wanted: Wanted, tests: list[_Test], limit: int
) -> list[int]:
    """Look at the first events in their order; where too few of them fit, ask an index."""
    where = " AND ".join(test.sql for test in tests) or "1"
    if len(tests) == 1 and tests[0].index in _ORDERED:
        return _indexed(connection, wanted, tests, tests[0].index, limit)
    if tests and limit == ALL:
        return _indexed(connection, wanted, tests, _best(connection, tests), limit)
    glance = f"LIMIT {_GLANCE}" if tests else ""
    found = _listed(
        connection,
        f"SELECT key FROM (SELECT {_GLANCED} FROM events WHERE key BETWEEN ? AND ?"
        f" ORDER BY key {wanted.order} {glance}) WHERE {where} LIMIT ?",
        (*wanted.keys, *_values(tests), limit),
    )
    if not tests or len(found) == limit or _all_seen(connection, wanted):
        return found
    return _indexed(connection, wanted, tests, _best(connection, tests), limit)


def _all_seen(connection: sqlite3.Connection, wanted: Wanted) -> bool:
    if wanted.session is None:
        return False
    [number] = connection.execute(
        "SELECT total_events FROM sessions WHERE key = ?", (wanted.session,)
    ).fetchone()
    return bool(number - (wanted.after or 0) <= _GLANCE)


def _best(connection: sqlite3.Connection, tests: list[_Test]) -> str:
    """Name the index that finds the fewest, by counting some of what each would find."""
    counts: list[tuple[int, str]] = []
    for test in tests:
        if not test.index:
            continue
        most = min((count for count, _ in counts), default=_MOST_COUNTED)
        [number] = connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM events INDEXED BY {test.index}"
            f" WHERE {test.sql} LIMIT ?)",
            (*test.values, most),
        ).fetchone()
        counts.append((number, test.index))
    return min(counts, default=(0, ""), key=lambda counted: counted[0])[1]


def _indexed(
    connection: sqlite3.Connection, wanted: Wanted, tests: list[_Test], index: str, limit: int
) -> list[int]:
    by = f"INDEXED BY {index}" if index else ""
    where = "".join(f" AND {test.sql}" for test in tests)
    return _listed(
        connection,
        f"SELECT key FROM events {by} WHERE key BETWEEN ? AND ?{where}"
        f" ORDER BY key {wanted.order} LIMIT ?",
        (*wanted.keys, *_values(tests), limit),
    )


def _values(tests: list[_Test]) -> tuple[Any, ...]:
    return tuple(value for test in tests for value in test.values)


def _listed(connection: sqlite3.Connection, question: str, values: Sequence[Any]) -> list[int]:
    return [key for (key,) in connection.execute(question, values)]


def _read_through(
    connection: sqlite3.Connection, wanted: Wanted, query: Query, limit: int
) -> list[StoredEvent]:
    """Read every event and look into it: for a SQLite without FTS5."""
    found: list[StoredEvent] = []
    for key in _keys(connection, replace(wanted, query=None), ALL):
        if len(found) == limit:
            break
        events = stored_events(connection, [key])
        found += [event for event in events if query.is_in(words_of_event(event))]
    return found
