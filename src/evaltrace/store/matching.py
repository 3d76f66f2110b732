"""Which texts the search index finds, newest or oldest first."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from evaltrace.store.reading import stored_events
from evaltrace.store.rows import seq_of
from evaltrace.store.terms import Query
from evaltrace.store.wording import words_of_event, words_of_trace
from evaltrace.store.writing import document_of

_MANY_WORDS = 500
"""Words that a beginning may have before the index is slow: it puts all they find together."""
_GLANCE = 1_000
"""Texts that are looked into in order before the index is asked for such a beginning."""
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The keys that are looked among, in which order, and what else their events must fit."""

    keys: tuple[int, int]
    order: Literal["ASC", "DESC"]
    events_where: str | None = None
    """A condition in SQL that begins with AND; with None, sessions are found too."""
    values: tuple[Any, ...] = ()


def matching_keys(
    connection: sqlite3.Connection, query: Query, scope: Scope, limit: int
) -> list[int]:
    """List the keys of at most `limit` texts that a query with terms finds; below 0 all."""
    if 0 <= limit <= _GLANCE:
        narrow = " ".join(
            match for match, start in query.matches if not _is_wide(connection, start)
        )
        if narrow != query.match:
            found = _glanced_at(connection, query, narrow, scope, limit)
            if found is not None:
                return found
    return _listed(connection, query.match, scope, limit)


def holds(connection: sqlite3.Connection, query: Query, key: int) -> bool:
    """Tell by reading it whether the text of a session or an event has all terms of a query."""
    if seq_of(key) == 0:
        return query.is_in(words_of_trace(document_of(connection, key >> 32)))
    events = stored_events(connection, [key])
    return any(query.is_in(words_of_event(event)) for event in events)


def _is_wide(connection: sqlite3.Connection, beginning: str | None) -> bool:
    if beginning is None:
        return False
    [number] = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM words WHERE term >= ? AND term < ? LIMIT ?)",
        (beginning, beginning + _LAST, _MANY_WORDS + 1),
    ).fetchone()
    return bool(number > _MANY_WORDS)


def _glanced_at(
    connection: sqlite3.Connection, query: Query, narrow: str, scope: Scope, limit: int
) -> list[int] | None:
    """Look into the first texts that fit a part of a query; None if that is not enough."""
    keys = _listed(connection, narrow, scope, _GLANCE)
    found = list(islice((key for key in keys if holds(connection, query, key)), limit))
    return found if len(found) == limit or len(keys) < _GLANCE else None


def _listed(connection: sqlite3.Connection, match: str, scope: Scope, limit: int) -> list[int]:
    """List the keys of texts that fit an expression of FTS5; with an empty one, of all."""
    # The index gives its rows in order; what it finds is looked at one by one.
    table, test = ("texts", "texts MATCH ? AND") if match else ("texts_docsize AS texts", "")
    events = "" if scope.events_where is None else "CROSS JOIN events ON events.key = texts.rowid"
    rows = connection.execute(
        f"SELECT texts.rowid FROM {table} {events} WHERE {test} texts.rowid BETWEEN ? AND ?"
        f"{scope.events_where or ''} ORDER BY texts.rowid {scope.order} LIMIT ?",
        (*([match] if match else []), *scope.keys, *scope.values, limit),
    )
    return [key for (key,) in rows]
