"""`evaltrace show`: traces as text for people, or as JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaltrace.errors import UnknownTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evaltrace.trace import Trace

_IN_FULL = 3
"""Traces shown in full at once; more than these become a table."""


@click.command()
# Not readable for click: what cannot be read is our error, with advice.
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.argument("task", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json prints whole traces, one a line.",
)
@click.option(
    "--width",
    type=click.IntRange(min=40),
    show_default="those of the terminal, 80 when piped",
    help="Columns of the text.",
)
def show(file: Path, task: str | None, form: str, width: int | None) -> None:
    """Show the traces of FILE as a table, or those of TASK in full.

    FILE is a file of traces, JSONL of traces, one trace, or a Parquet data set (its
    folder); - is standard input. TASK is a task id, a trace id, the name of a task with or
    without its organisation, or a pattern with * and ?.

    \b
    Example:
      evaltrace show traces.json
      evaltrace show traces.json sgt-001__7A5Hxy2
      evaltrace show traces.json 'sgt-*' --format json | jq .test_reward
      cat a.json b.json | evaltrace show -
    """
    from evaltrace.files import read_traces

    traces = read_traces(file)
    if task is not None:
        traces = _matching(traces, task, file)
    if form == "json":
        _print_json(traces)
    elif task is None:
        _print_table(traces, width or _terminal_width())
    else:
        _print_matches(traces, width or _terminal_width())


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
