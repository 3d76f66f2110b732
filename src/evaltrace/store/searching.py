"""Words looked for: in all sessions of a store, in one, in a trace that is in no store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice

from evaltrace.store.forms import Hit
from evaltrace.store.matching import Scope, holds, matching_keys
from evaltrace.store.reading import stored_events
from evaltrace.store.rows import LARGEST, bounded, first_key, last_key, seq_of
from evaltrace.store.terms import Query, to_query
from evaltrace.store.wording import Words, words_of_event, words_of_trace
from evaltrace.store.writing import document_of
from evaltrace.trace import Event, Trace


def hits_in(trace: Trace, text: str) -> Iterator[Hit]:
    """Search a trace that is in no store, as a store would: its own texts first, then events."""
    query = to_query(text)
    words = words_of_trace(trace)
    if query.is_in(words):
        yield _hit_of_trace(query, trace.trace_id, words, trace.origin.started_at)
    for seq, event in enumerate(trace.events or (), start=1):
        words = words_of_event(event)
        if query.is_in(words):
            yield _hit_of_event(query, trace.trace_id, seq, event, words)


def find_hits(
    connection: sqlite3.Connection,
    query: Query,
    session: int | None,
    limit: int,
    offset: int,
    searchable: bool,
) -> list[Hit]:
    """Find hits: in one session in order, in all sessions those stored last first."""
    if not query.terms:
        return []
    end = bounded(limit + offset)
    if not searchable:
        every = _all_keys(connection, session)
        found = (key for key in every if holds(connection, query, key))
        return list(_hits(connection, query, islice(found, bounded(offset), end)))
    scope = Scope(keys=_range(session), order="DESC" if session is None else "ASC")
    keys = matching_keys(connection, query, scope, end)
    return list(_hits(connection, query, keys[offset:]))


def _range(session: int | None) -> tuple[int, int]:
    return (0, LARGEST) if session is None else (first_key(session), last_key(session))


def _all_keys(connection: sqlite3.Connection, session: int | None) -> Iterator[int]:
    first, last = _range(session)
    order = "DESC" if session is None else "ASC"
    rows = connection.execute(
        "SELECT key FROM (SELECT key << 32 AS key FROM sessions UNION ALL SELECT key FROM events)"
        f" WHERE key BETWEEN ? AND ? ORDER BY key {order}",
        (first, last),
    )
    return (key for (key,) in rows)


def _hits(connection: sqlite3.Connection, query: Query, keys: Iterable[int]) -> Iterator[Hit]:
    for key in keys:
        if seq_of(key) == 0:
            trace = document_of(connection, key >> 32)
            words = words_of_trace(trace)
            yield _hit_of_trace(query, trace.trace_id, words, trace.origin.started_at)
            continue
        for event in stored_events(connection, [key]):
            words = words_of_event(event)
            yield _hit_of_event(query, event.session_id, event.seq, event, words)


def _hit_of_trace(query: Query, session_id: str, words: Words, started_at: str | None) -> Hit:
    field, text, marks = query.excerpt(words)
    return Hit(session_id=session_id, field=field, text=text, marks=marks, started_at=started_at)


def _hit_of_event(query: Query, session_id: str, seq: int, event: Event, words: Words) -> Hit:
    field, text, marks = query.excerpt(words)
    return Hit(
        session_id=session_id,
        event_id=event.id,
        seq=seq,
        type=event.type,
        field=field,
        text=text,
        marks=marks,
        started_at=event.started_at,
    )
