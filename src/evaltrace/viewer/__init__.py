"""Views for debugging: what happened, in what order, how long it took, and why it failed.

A source is a Trace, or a pair (Store, session id); the same comes out of both. As our users
name these functions, "trace" in `search_traces` and `get_trace_detail` means one event.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, cast

import msgspec

from evaltrace.errors import UnknownName
from evaltrace.trace import Event, Trace
from evaltrace.viewer.clock import is_short
from evaltrace.viewer.detail import detail_of, to_document
from evaltrace.viewer.events import (
    filter_by_duration,
    filter_by_type,
    filter_errors,
)
from evaltrace.viewer.rows import timeline_rows
from evaltrace.viewer.runs import Chosen, EventsRun, Run
from evaltrace.viewer.search import InvalidPattern, Pattern, hits_in_store, hits_in_trace
from evaltrace.viewer.sources import Source, named_event, run_of, session_of
from evaltrace.viewer.summary import Summary, summary_of
from evaltrace.viewer.summary_text import summary_lines
from evaltrace.viewer.timeline import timeline_lines
from evaltrace.viewer.tree import tree_branches
from evaltrace.viewer.tree_text import tree_lines

if TYPE_CHECKING:
    from evaltrace.store import Store

__all__ = [
    "InvalidPattern",
    "Source",
    "Summary",
    "filter_by_duration",
    "filter_by_type",
    "filter_errors",
    "format_summary",
    "format_timeline",
    "format_tree",
    "get_session_summary",
    "get_session_timeline",
    "get_trace_detail",
    "list_sessions",
    "search_traces",
]

Events: TypeAlias = "Source | Iterable[Event]"
"""What a timeline or a tree is made of: a source, or any events."""


def list_sessions(store: Store, limit: int = 20) -> list[dict[str, Any]]:
    """List the latest sessions of a store, as plain data."""
    return [msgspec.to_builtins(session) for session in store.get_sessions(limit)]


def get_session_timeline(
    source: Source,
    *,
    event_type: str | Iterable[str] | None = None,
    errors: bool = False,
    min_duration_ms: float | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """List the events of a run in the order of time, as plain data.

    Each has the fields of `viewer.rows.Row`: among them `offset_ms` from the start of the run,
    `duration_ms`, `type`, `name`, `status`, `depth`, `failed`, and the first words as `text`.
    """
    types = (event_type,) if isinstance(event_type, str) else tuple(event_type or ())
    chosen = Chosen(types=types, errors=errors, min_duration_ms=min_duration_ms)
    rows = timeline_rows(run_of(source), chosen, offset, limit)
    return [msgspec.to_builtins(row) for row in rows]


def get_session_summary(source: Source) -> dict[str, Any]:
    """Summarise a run: totals, steps, and the first and the last failure, as plain data."""
    document: dict[str, Any] = msgspec.to_builtins(summary_of(source))
    return document


def search_traces(
    query: str,
    source: Source | Store | Iterable[Trace],
    *,
    limit: int = 20,
    offset: int = 0,
    regex: bool = False,
) -> list[dict[str, Any]]:
    """Find the events in which all words of a query occur, in a run, in traces or in a store.

    A regular expression is looked for in traces only. Raises InvalidPattern, and UnknownName
    for a session that is not there.
    """
    if isinstance(source, Trace):
        source = [source]
    if not _is_session(source) and isinstance(source, Iterable):
        wanted = Pattern(query) if regex else query
        traces = cast("Iterable[Trace]", source)
        hits = (hit for trace in traces for hit in hits_in_trace(trace, wanted))
        return [msgspec.to_builtins(hit) for hit in islice(hits, offset, offset + limit)]
    if regex:
        raise InvalidPattern("A store is searched for words, not for regular expressions")
    if _is_session(source):
        store, session = session_of(source)
        found = hits_in_store(store, query, session.id, limit, offset)
    else:
        found = hits_in_store(cast("Store", source), query, None, limit, offset)
    return [msgspec.to_builtins(hit) for hit in found]


def get_trace_detail(event_id: str, source: Source) -> dict[str, Any] | None:
    """Give all there is of one event, raw input and output too; None if there is none.

    The beginning of its id is enough if only one event begins so.
    """
    run = run_of(source)
    try:
        placed = named_event(run, event_id)
    except UnknownName:
        return None
    return to_document(detail_of(run, placed))


def format_timeline(events: Events, width: int = 80, colour: bool = False) -> str:
    """Write events as a timeline, a line each, in lines of at most `width` columns."""
    run = _run(events)
    lines = timeline_lines(timeline_rows(run), width, colour, is_short(run.duration_s))
    return "".join(f"{line}\n" for line in lines)


def format_tree(
    events: Events, width: int = 80, colour: bool = False, *, limit: int | None = None
) -> str:
    """Write the events of a run as a tree, with `limit` children of each event, None for all."""
    lines = tree_lines(tree_branches(_run(events), limit=limit), width, colour)
    return "".join(f"{line}\n" for line in lines)


def format_summary(source: Source, *, totals: bool | None = None, width: int | None = None) -> str:
    """Write the summary of a run: its steps and its final error.

    What it took, and what its events were, comes after that where there are no steps, or where
    `totals` asks for it. Without a width no line is broken.
    """
    lines = summary_lines(summary_of(source), totals, width)
    return "".join(f"{line}\n" for line in lines)


def _run(events: Events) -> Run:
    if isinstance(events, Trace):
        return run_of(events)
    return run_of(events) if _is_session(events) else EventsRun(cast("Iterable[Event]", events))


def _is_session(source: object) -> TypeGuard[tuple[Store, str]]:
    return isinstance(source, tuple) and len(source) == 2 and isinstance(source[1], str)
