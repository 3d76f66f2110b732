"""Where views look: a trace in memory, or a session of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from evaltrace.errors import UnknownName
from evaltrace.trace import Trace
from evaltrace.viewer.runs import EventsRun, Placed, Run
from evaltrace.viewer.stored import StoredRun

if TYPE_CHECKING:
    from evaltrace.store import Session, Store

Source: TypeAlias = "Trace | tuple[Store, str]"
"""A trace, or a store and the id of one of its sessions."""

_SHORT = 2000
"""Events of a session that is read whole."""


def run_of(source: Source) -> Run:
    """Give the events of a source. Raises UnknownName for a session that is not there."""
    if isinstance(source, Trace):
        return _run_of_trace(source)
    store, session = session_of(source)
    is_short = session.total_events <= _SHORT
    trace = store.read(session.id, events=is_short)
    if trace is None:  # deleted meanwhile
        raise _no_session(store, session.id)
    return _run_of_trace(trace) if is_short else StoredRun(store, session, trace)


def named_event(run: Run, name: str) -> Placed:
    """Find an event by its id, or by the beginning of it if only one begins so.

    A beginning may end in the ellipsis that views cut it with. Raises UnknownName.
    """
    beginning = name.removesuffix("…")
    found = run.find(name)
    near = [] if found else run.ids_like(beginning)
    begun = [event_id for event_id in near if beginning and event_id.startswith(beginning)]
    found = found or (run.find(begun[0]) if len(begun) == 1 else None)
    if found is not None:
        return found
    what = f'Several events begin with "{beginning}"' if begun else f'No event "{name}"'
    hint = f"Nearest: {', '.join(near)}" if near else "--timeline lists the events with their ids."
    raise UnknownName(what, where=run.title.task_id if run.title else None, hint=hint)


def session_of(source: tuple[Store, str]) -> tuple[Store, Session]:
    """Find the session of a source. Raises UnknownName for one that is not there."""
    store, session_id = source
    session = store.get_session(session_id)
    if session is None:
        raise _no_session(store, session_id)
    return store, session


def _no_session(store: Store, session_id: str) -> UnknownName:
    near = ", ".join(store.near_sessions(session_id))
    hint = f"Nearest: {near}" if near else "The store has none."
    return UnknownName(f'No session "{session_id}"', where=store.path, hint=hint)


def _run_of_trace(trace: Trace) -> EventsRun:
    duration_s = trace.metrics.durations.total_s
    return EventsRun(trace.events or [], trace.origin.started_at, duration_s, trace)
