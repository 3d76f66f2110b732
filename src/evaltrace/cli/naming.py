"""Which traces of a file, and which sessions of a store, a TASK stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evaltrace.errors import UnknownTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evaltrace.store import Store
    from evaltrace.trace import Trace

NAMED = 5
"""Traces that are named where one of several is needed."""


def matching(traces: Iterable[Trace], task: str, file: Path) -> Iterator[Trace]:
    """Keep the traces that a name stands for. Raises UnknownTask with near names."""
    from fnmatch import fnmatchcase

    seen: set[str] = set()
    found, pattern = False, _to_pattern(task)
    for trace in traces:
        names = _names(trace)
        if task in names or any(fnmatchcase(name, pattern) for name in names):
            found = True
            yield trace
        seen |= names - {trace.trace_id}
    if not found:
        raise UnknownTask(f'No trace matches "{task}"', where=str(file), hint=_nearest(task, seen))


def sessions_of(store: Store, task: str | None) -> list[str]:
    """Give the ids of the sessions that a name, or the beginning of an id, stands for.

    Without a name, of all. Raises UnknownTask when there is none.
    """
    session = store.get_session(task) if task else None
    if session is not None:
        return [session.id]
    sessions = store.sessions_named(_to_pattern(task)) if task else store.get_sessions(limit=None)
    found = [session.id for session in sessions]
    if not found:
        near = ", ".join(store.near_sessions(task)) if task else ""
        what = f'No session matches "{task}"' if task else "The store is empty"
        raise UnknownTask(what, where=store.path, hint=f"Nearest: {near}" if near else None)
    return found


def several(number: int, names: list[str], where: str) -> UnknownTask:
    """Say that one trace is needed and that several match, some of them by their names."""
    more = ", ..." if number > len(names) else ""
    return UnknownTask(
        f"A view shows one trace, and {number:,} match",
        where=where,
        hint=f"Name one: {', '.join(names)}{more}",
    )


def _to_pattern(task: str) -> str:
    """Let a name be given as a table shows it, cut in its middle."""
    return task.replace("…", "*")


def _names(trace: Trace) -> set[str]:
    name, org = trace.task.name, trace.task.org
    names = {trace.task_id, trace.trace_id, name, name.rpartition("/")[2]}
    return names | {f"{org}/{name}"} if org else names


def _nearest(task: str, names: set[str]) -> str:
    from difflib import get_close_matches

    word = task.strip("*").lower()
    near = [name for name in sorted(names) if word and word in name.lower()]
    near = near or get_close_matches(task, sorted(names), n=3, cutoff=0.5)
    if not near:
        return "Without TASK, all traces of the file are listed."
    return "Nearest: " + ", ".join(near[:3])
