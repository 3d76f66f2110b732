"""`evaltrace show`: traces as text for people, or as JSON lines; views of one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaltrace.cli.viewing import View, print_view, view_options
from evaltrace.errors import UnknownTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evaltrace.store import Store
    from evaltrace.trace import Trace

_IN_FULL = 3
"""Traces shown in full at once; more than these become a table."""

_NAMED = 5
"""Traces that are named where a view needs one of several."""


@click.command()
# Not readable for click: what cannot be read is our error, with advice.
@click.argument("file", required=False, type=click.Path(path_type=Path, readable=False))
@click.argument("task", required=False)
@view_options
@click.option(
    "--store",
    type=click.Path(path_type=Path, readable=False),
    metavar="PATH",
    help="Look into this store; then no FILE is named. Without both: the store of this user.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json prints whole traces, or the events of a timeline, one a line.",
)
@click.option(
    "--width",
    type=click.IntRange(min=40),
    show_default="those of the terminal, 80 when piped",
    help="Columns of the text.",
)
def show(
    file: Path | None,
    task: str | None,
    view: View | None,
    store: Path | None,
    form: str,
    width: int | None,
) -> None:
    """Show the traces of FILE as a table, TASK in full, or a view of its events.

    FILE is a file of traces, JSONL of traces, one trace, a Parquet data set (its folder), or
    a store; - is standard input. TASK is a task id, a trace id, the name of a task with or
    without its organisation, or a pattern with * and ?.

    A view shows one trace: what happened in it, when, for how long, and what failed.

    \b
    Example:
      evaltrace show traces.json
      evaltrace show traces.json sgt-001__7A5Hxy2
      evaltrace show traces.json sgt-001__7A5Hxy2 --summary
      evaltrace show traces.json sgt-001__7A5Hxy2 --timeline --errors
      evaltrace show traces.json sgt-001__7A5Hxy2 --event e12
      evaltrace show traces.json 'sgt-*' --format json | jq .test_reward
      cat a.json b.json | evaltrace show -
    """
    from evaltrace.files import is_database

    columns = width or _terminal_width()
    if store is not None:
        if task is not None:
            raise click.UsageError("With --store, name a task or a session, and no FILE.")
        _show_stored(store, None if file is None else str(file), view, form, columns)
    elif file is None or is_database(file):
        _show_stored(file, task, view, form, columns)
    else:
        _show_file(file, task, view, form, columns)


def _show_file(file: Path, task: str | None, view: View | None, form: str, width: int) -> None:
    from evaltrace.files import read_traces

    traces = read_traces(file)
    if task is not None:
        traces = _matching(traces, task, file)
    if view is not None:
        print_view(_the_only(traces, str(file)), view, form, width)
    else:
        _print(traces, task, form, width)


def _print(traces: Iterator[Trace], task: str | None, form: str, width: int) -> None:
    if form == "json":
        _print_json(traces)
    elif task is None:
        _print_table(traces, width)
    else:
        _print_matches(traces, width)


def _the_only(traces: Iterable[Trace], where: str) -> Trace:
    """Take the one trace that a view is of; of several, name some."""
    found: Trace | None = None
    others: list[str] = []
    number = 0
    for number, trace in enumerate(traces, 1):
        found = trace if found is None else found
        if number <= _NAMED:
            others.append(trace.task_id)
    if found is None:
        raise UnknownTask("No trace to view", where=where)
    if number > 1:
        raise _several(number, others, where)
    return found


def _several(number: int, names: list[str], where: str) -> UnknownTask:
    more = ", ..." if number > len(names) else ""
    return UnknownTask(
        f"A view shows one trace, and {number:,} match",
        where=where,
        hint=f"Name one: {', '.join(names)}{more}",
    )


def _show_stored(
    place: Path | None, task: str | None, view: View | None, form: str, width: int
) -> None:
    from evaltrace.store import Store
    from evaltrace.viewer import format_summary

    if view is None and task is None and form == "text":
        _print_sessions(place, width)
        return
    with Store(place, read_only=True) as store:
        if view is not None:
            print_view((store, _session_of(store, task)), view, form, width)
        elif task is None:
            _print_json(store.read_all())
        elif form == "text" and _is_long(store, task):
            click.echo(format_summary((store, task), totals=True, width=width), nl=False)
        else:
            _print(_traces_of(store, task), task, form, width)


def _print_sessions(place: Path | None, width: int) -> None:
    from evaltrace.cli.store import list_sessions

    # Without their events: one session may have a million.
    click.get_current_context().invoke(list_sessions, store=place, width=width)


def _session_of(store: Store, task: str | None) -> str:
    """Find the session that is meant: by its id, the beginning of it, or its task."""
    ids = _ids_of(store, task)
    if len(ids) > 1:
        raise _several(len(ids), ids[:_NAMED], store.path)
    return ids[0]


def _ids_of(store: Store, task: str | None) -> list[str]:
    session = store.get_session(task) if task else None
    if session is not None:
        return [session.id]
    found = [session.id for session in store.get_sessions(limit=None, task=task)]
    if not found:
        near = ", ".join(store.near_sessions(task)) if task else ""
        what = f'No session matches "{task}"' if task else "The store is empty"
        raise UnknownTask(what, where=store.path, hint=f"Nearest: {near}" if near else None)
    return found


def _is_long(store: Store, task: str) -> bool:
    """Tell whether one session is meant that is too long to be read whole."""
    from evaltrace.viewer.sources import trace_of

    return store.get_session(task) is not None and trace_of((store, task)) is None


def _traces_of(store: Store, task: str) -> Iterator[Trace]:
    for session_id in _ids_of(store, task):
        trace = store.read(session_id)
        if trace is not None:
            yield trace


def _matching(traces: Iterable[Trace], task: str, file: Path) -> Iterator[Trace]:
    from fnmatch import fnmatchcase

    seen: set[str] = set()
    found = False
    for trace in traces:
        names = _names(trace)
        if task in names or any(fnmatchcase(name, task) for name in names):
            found = True
            yield trace
        seen |= names - {trace.trace_id}
    if not found:
        raise UnknownTask(f'No trace matches "{task}"', where=str(file), hint=_nearest(task, seen))


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


def _print_json(traces: Iterable[Trace]) -> None:
    import msgspec

    for trace in traces:
        click.echo(msgspec.json.encode(trace))


def _print_table(traces: Iterable[Trace], width: int) -> None:
    from evaltrace.reports.terminal import render_table

    click.echo(render_table(traces, width), nl=False)


def _print_matches(traces: Iterator[Trace], width: int) -> None:
    from itertools import chain, islice

    from evaltrace.reports.terminal import render_trace

    first = list(islice(traces, _IN_FULL + 1))
    if len(first) > _IN_FULL:
        _print_table(chain(first, traces), width)
        click.echo("\nSeveral traces match: name one by its task id to see it in full.")
        return
    # click takes the colour out where the output is no terminal.
    click.echo("\n".join(render_trace(trace, width, colour=True) for trace in first), nl=False)


def _terminal_width() -> int:
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
