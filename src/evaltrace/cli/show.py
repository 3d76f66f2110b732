"""`evaltrace show`: traces as text for people, or as JSON lines; views of one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaltrace.cli.naming import NAMED, matching, sessions_of, several
from evaltrace.cli.viewing import View, print_view, view_options
from evaltrace.cli.widths import terminal_width, width_option
from evaltrace.errors import UnknownTask
from evaltrace.untrusted import printable_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evaltrace.store import Store
    from evaltrace.trace import Trace

_IN_FULL = 3
"""Traces shown in full at once; more than these become a table."""


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
@width_option()
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
    without its organisation, or a pattern with * and ?; of a store, the beginning of a trace id
    will do.

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

    columns = width or terminal_width()
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
        traces = matching(traces, task, file)
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
        if number <= NAMED:
            others.append(trace.task_id)
    if found is None:
        raise UnknownTask("No trace to view", where=where)
    if number > 1:
        raise several(number, others, where)
    return found


def _show_stored(
    place: Path | None, task: str | None, view: View | None, form: str, width: int
) -> None:
    from evaltrace.store import Store

    if view is None and task is None and form == "text":
        _print_sessions(place, width)
        return
    with Store(place, read_only=True) as store:
        if view is not None:
            print_view((store, _session_of(store, task)), view, form, width)
        elif task is None:
            _print_json(store.read_all())
        else:
            # As text, nothing of the events is shown: one session may have a million.
            _print(_traces_of(store, task, events=form == "json"), task, form, width)


def _print_sessions(place: Path | None, width: int) -> None:
    from evaltrace.cli.store import list_sessions

    click.get_current_context().invoke(list_sessions, store=place, width=width)


def _session_of(store: Store, task: str | None) -> str:
    """Find the one session that is meant."""
    ids = sessions_of(store, task)
    if len(ids) > 1:
        raise several(len(ids), store.short_ids(ids[:NAMED]), store.path)
    return ids[0]


def _traces_of(store: Store, task: str, events: bool) -> Iterator[Trace]:
    for session_id in sessions_of(store, task):
        trace = store.read(session_id, events=events)
        if trace is not None:
            yield trace


def _print_json(traces: Iterable[Trace]) -> None:
    import msgspec

    for trace in traces:
        click.echo(printable_json(msgspec.json.encode(trace)))


def _print_table(traces: Iterable[Trace], width: int) -> None:
    from evaltrace.reports.terminal import render_table

    click.echo(render_table(traces, width), nl=False)


def _print_matches(traces: Iterator[Trace], width: int) -> None:
    from itertools import chain, islice

    from evaltrace.reports.terminal import render_trace

    first = list(islice(traces, _IN_FULL + 1))
    if len(first) > _IN_FULL:
        _print_table(chain(first, traces), width)
        click.echo("\nSeveral traces match: name one, as the table does, to see it in full.")
        return
    # click takes the colour out where the output is no terminal.
    click.echo("\n".join(render_trace(trace, width, colour=True) for trace in first), nl=False)
