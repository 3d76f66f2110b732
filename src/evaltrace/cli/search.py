"""`evaltrace search`: a text in traces or in a store, each place where it occurs marked."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaltrace.cli.naming import matching, sessions_of
from evaltrace.cli.viewing import bounded
from evaltrace.cli.widths import terminal_width, width_option
from evaltrace.errors import EvaltraceError, UnknownTask
from evaltrace.untrusted import printable_json

if TYPE_CHECKING:
    from evaltrace.trace import Trace
    from evaltrace.viewer.search import Found, Pattern

_PATIENCE_S = 20.0
"""Processor time that a regular expression has for one trace: some need ages for one text."""


@click.command()
@click.argument("text")
# Not readable for click: what cannot be read is our error, with advice.
@click.argument(
    "sources",
    metavar="[FILE|STORE]...",
    nargs=-1,
    type=click.Path(path_type=Path, readable=False),
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, readable=False),
    metavar="PATH",
    help="Search this store. Without it and without FILE: the store of this user.",
)
@click.option("--task", metavar="TASK", help="Only in traces of this name, as for `show`.")
@click.option("--regex", is_flag=True, help="TEXT is a regular expression; of files only.")
@click.option(
    "-i",
    "--ignore-case",
    is_flag=True,
    help="For --regex, which otherwise ignores case only if TEXT has no capitals.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Hits to print."
)
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Hits to leave out first.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json prints one hit a line, with the offsets of its marks.",
)
@width_option()
def search(
    text: str,
    sources: tuple[Path, ...],
    store: Path | None,
    task: str | None,
    regex: bool,
    ignore_case: bool,
    limit: int,
    offset: int,
    form: str,
    width: int | None,
) -> None:
    """Find the events of traces in which all words of TEXT occur.

    Searched are files of traces, and stores: instructions, answers, errors, messages, tool
    calls, with what went in and came out. Words are found in either case, without accents;
    "a phrase" in quotes as it stands, and words that begin* so. What is found is marked «so».

    \b
    Example:
      evaltrace search 'permission denied' traces.json
      evaltrace search timeout*
      evaltrace search --regex 'E[0-9]{4}:' traces.json --limit 100
      evaltrace search '"no such file"' traces.json --format json | jq .event_id
    """
    from itertools import islice

    from evaltrace.quantities import counted
    from evaltrace.viewer.search import Pattern

    wanted = Pattern(text, ignore_case or None) if regex else text
    places: tuple[Path | None, ...] = sources if store is None else (*sources, store)
    limit, offset = bounded(limit), bounded(offset)
    # Behind the last one asked for, to know whether there are more.
    hits = islice(_hits(places or (None,), wanted, task, offset + limit + 1), offset, None)
    shown = list(islice(hits, limit))
    _print(shown, form, width)
    if not shown:
        click.echo(f'No hit for "{text}".', err=True)
    elif next(hits, None) is not None:
        end = offset + limit
        click.echo(f"More than {counted(end, 'hit')}: --offset {end} shows the next.", err=True)


def _hits(
    places: tuple[Path | None, ...], wanted: str | Pattern, task: str | None, most: int
) -> Iterator[Found]:
    from evaltrace.files import is_database

    without = []
    for place in places:
        try:
            if place is None or is_database(place):
                yield from _hits_of_store(place, wanted, task, most)
            else:
                yield from _hits_of_file(place, wanted, task)
        except UnknownTask as error:
            without.append(error)
    if len(without) == len(places):
        raise without[0]


def _hits_of_store(
    place: Path | None, wanted: str | Pattern, task: str | None, most: int
) -> Iterator[Found]:
    from evaltrace.store import Store
    from evaltrace.viewer.search import hits_in_store

    if not isinstance(wanted, str):
        raise click.UsageError("--regex searches files: a store finds words.")
    with Store(place, read_only=True) as store:
        for session_id in [None] if task is None else sessions_of(store, task):
            yield from hits_in_store(store, wanted, session_id, most)


def _hits_of_file(place: Path, wanted: str | Pattern, task: str | None) -> Iterator[Found]:
    from evaltrace.files import read_traces
    from evaltrace.viewer.search import hits_in_trace

    traces = read_traces(place)
    for trace in traces if task is None else matching(traces, task, place):
        if isinstance(wanted, str):
            yield from hits_in_trace(trace, wanted)
        else:
            yield from _matches(trace, wanted)


def _matches(trace: Trace, pattern: Pattern) -> list[Found]:
    from evaltrace.viewer.search import hits_in_trace

    with _limited(trace.task_id):
        return list(hits_in_trace(trace, pattern))


@contextmanager
def _limited(name: str) -> Iterator[None]:
    """Stop what takes too much processor time: matching looks for signals as it goes."""

    def stop(_number: int, _frame: object) -> None:
        raise EvaltraceError(
            f"The regular expression takes more than {_PATIENCE_S:.0f} s for one trace",
            where=name,
            hint="Repetitions within repetitions, like (a+)+, need ages. Search for words instead.",
        )

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _print(found: list[Found], form: str, width: int | None) -> None:
    from evaltrace.viewer.events import to_json
    from evaltrace.viewer.search_text import found_lines

    if form == "json":
        for hit in found:
            click.echo(printable_json(to_json(hit)))
        return
    # click takes what makes it bold out where the output is no terminal.
    for line in found_lines(found, width or terminal_width(), True):
        click.echo(line)
