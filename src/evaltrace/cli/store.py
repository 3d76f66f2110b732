"""`evaltrace store`: traces that last, and what can be asked of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.search import search as search_places
from evaltrace.cli.storing import (
    Moment,
    add,
    export,
    find_session,
    lines_option,
    opened,
    store_option,
)
from evaltrace.cli.viewing import Duration
from evaltrace.cli.widths import terminal_width, width_option
from evaltrace.untrusted import one_line, printable, printable_json

if TYPE_CHECKING:
    from evaltrace.store import Session, StoredEvent

_TO_THE_MINUTE, _CLOCK = slice(5, 16), slice(11, 23)
_TEXT, _NAME = 200, 24
_BETWEEN, _LEAST = 2, 8
"""Columns between the parts of a table; those that the last part needs, or it is left out."""


@click.group()
def store() -> None:
    """Keep traces in one SQLite file, find them again, look into them.

    A SESSION is one run. It is named by its id or the beginning of it.

    \b
    Example:
      evaltrace store add traces.json
      evaltrace store sessions --status fail
      evaltrace store search "permission denied"
    """


store.add_command(add)


@store.command("sessions")
@click.option("--status", metavar="STATUS", help="pass, partial, fail, error, cancelled, running.")
@click.option("--kind", metavar="KIND", help="harness, recorder, workflow or otlp.")
@click.option("--task", metavar="NAME", help="The task; may have * and ?.")
@click.option("--arm", metavar="LABEL", help="The arm.")
@click.option("--since", type=Moment(), help="Only those that started then or later.")
@click.option("--until", type=Moment(), help="Only those that started then or earlier.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Leave out the first ones.")
@lines_option
@width_option("table")
@store_option
def list_sessions(
    limit: int,
    offset: int,
    form: str,
    width: int | None,
    store: Path | None,
    **chosen: Any,
) -> None:
    """List sessions, those that started last first.

    \b
    Example:
      evaltrace store sessions --since 24h
      evaltrace store sessions --status fail --format json | jq -r .id
    """
    with opened(store) as source:
        found = source.get_sessions(limit, offset, **chosen)
        ids = source.short_ids(session.id for session in found)
    if form == "json":
        _print_lines(found)
    else:
        _print_sessions(found, ids, width)


_SESSION = ("session", "started", "status", "events", "errors", "duration", "cost", "task")


def _print_sessions(found: Sequence[Session], ids: Sequence[str], width: int | None) -> None:
    rows = [_session_row(session, name) for session, name in zip(found, ids, strict=True)]
    _print_table(_SESSION, rows, width)


def _session_row(session: Session, name: str) -> list[Any]:
    from evaltrace.quantities import dollars, span

    started = (session.started_at or "")[_TO_THE_MINUTE].replace("T", " ")
    return [
        one_line(name, _TEXT), started, session.status, session.total_events,
        session.total_errors, span(session.duration_s, ""), dollars(session.total_cost_usd, ""),
        session.task,
    ]  # fmt: skip


@store.command("events")
@click.argument("session", required=False)
@click.option("--type", "types", metavar="TYPE", multiple=True, help="May be repeated.")
@click.option("--errors", is_flag=True, help="Only what failed.")
@click.option("--min-duration", type=Duration(), help="Only what took as long: 500ms, 2s, 1m.")
@click.option("--since", type=Moment(), help="Only what began then or later.")
@click.option("--until", type=Moment(), help="Only what began then or earlier.")
@click.option("--text", metavar="TEXT", help='Only with all these words, "phrases", beginnings*.')
@click.option("--limit", type=click.IntRange(min=0), default=100, show_default=True)
@click.option("--after", type=click.IntRange(min=0), help="Go on after this number of a SESSION.")
@lines_option
@width_option("table")
@store_option
def list_events(
    session: str | None,
    types: tuple[str, ...],
    errors: bool,
    min_duration: float | None,
    since: datetime | None,
    until: datetime | None,
    text: str | None,
    limit: int,
    after: int | None,
    form: str,
    width: int | None,
    store: Path | None,
) -> None:
    """List the events of SESSION in order, or of all sessions, those stored last first.

    \b
    Example:
      evaltrace store events 4f0c --errors
      evaltrace store events --type llm_call --min-duration 30s
    """
    if after is not None and session is None:
        raise click.UsageError("--after is for one SESSION: name it.")
    with opened(store) as source:
        found = source.get_traces(
            find_session(source, session).id if session is not None else None,
            list(types) or None,
            since,
            until,
            text,
            limit,
            errors=errors,
            min_duration_ms=min_duration,
            after=after,
        )
        ids = source.short_ids(event.session_id for event in found)
    if form == "json":
        _print_lines(found)
        return
    rows = [_event_row(event) for event in found]
    if session is None:
        whole = [[name, *row] for name, row in zip(ids, rows, strict=True)]
        _print_table(("session", *_EVENT), whole, width)
    else:
        _print_table(_EVENT, rows, width)


_EVENT = ("no", "time", "type", "name", "status", "duration", "text")


def _event_row(event: StoredEvent) -> list[Any]:
    from evaltrace.quantities import span

    length = None if event.duration_ms is None else event.duration_ms / 1000
    said = event.error or event.text or event.output or ""
    return [
        event.seq, (event.started_at or "")[_CLOCK].rstrip("Z"), event.type,
        one_line(event.name or "", _NAME), event.status or "", span(length, ""),
        one_line(said, _TEXT),
    ]  # fmt: skip


@store.command("search")
@click.argument("text")
@click.option("--session", metavar="SESSION", help="Only in this session.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Leave out the first ones.")
@lines_option
@width_option("table")
@store_option
def search(text: str, session: str | None, store: Path | None, **chosen: Any) -> None:
    """Find sessions and events with all the words of TEXT, "phrases" and beginnings*.

    This is `evaltrace search` in a store only. In all sessions, those stored last come first.

    \b
    Example:
      evaltrace store search "permission denied"
      evaltrace store search 'Timeout* "no such file"' --format json
    """
    context = click.get_current_context()
    context.invoke(search_places, text=text, task=session, store=store, **chosen)


@store.command("prune")
@click.option("--days", type=click.IntRange(min=0), help="Instead of the days that are set.")
@click.option("--set-days", type=click.IntRange(min=0), help="Set for how many days all is kept.")
@click.option("--benchmark", is_flag=True, help="Also traces of benchmarks, which stay otherwise.")
@click.option("--yes", is_flag=True, help="Remove them; without it, they are only listed.")
@width_option("table")
@store_option
def prune(
    days: int | None,
    set_days: int | None,
    benchmark: bool,
    yes: bool,
    width: int | None,
    store: Path | None,
) -> None:
    """Remove sessions that ended longer ago than they are kept: 30 days unless set.

    Without --yes it says what would go. A session that is running never goes.

    \b
    Example:
      evaltrace store prune
      evaltrace store prune --days 90 --yes
    """
    from evaltrace.quantities import counted

    with opened(store, read_only=not (yes or set_days is not None)) as source:
        if set_days is not None:
            source.set_retention_days(set_days)
        kept = source.get_retention_days() if days is None else days
        if yes:
            removed = source.cleanup_old_traces(kept, benchmark=benchmark)
            click.echo(f"Removed {counted(removed, 'session')} older than {kept} days.", err=True)
            return
        found = source.expired(kept, benchmark=benchmark)
        ids = source.short_ids(session.id for session in found)
    if found:
        _print_sessions(found, ids, width)
    click.echo(
        f"{counted(len(found), 'session')} older than {kept} days; --yes removes them.", err=True
    )


@store.command("stats")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@store_option
def stats(form: str, store: Path | None) -> None:
    """Count what the store holds, and the sessions of each arm that passed.

    \b
    Example:
      evaltrace store stats
    """
    with opened(store) as source:
        counts, arms = source.stats(), source.arms()
    if form == "json":
        import msgspec

        whole = {**msgspec.to_builtins(counts), "arms": msgspec.to_builtins(arms)}
        click.echo(printable_json(msgspec.json.encode(whole)))
        return
    for name, value in _facts(counts):
        click.echo(printable(f"{name:10} {value}"))
    for arm in arms:
        label = "without an arm" if arm.arm is None else f"arm {one_line(arm.arm, _TEXT)}"
        click.echo(f"{'passed':10} {arm.passed} of {arm.sessions}, {label}")


def _facts(counts: Any) -> Iterable[tuple[str, str]]:
    from evaltrace.quantities import grouped

    size = "" if counts.size_bytes is None else f", {counts.size_bytes / 1e6:,.1f} MB"
    yield "store", f"{counts.path} (version {counts.version}{size})"
    yield "sessions", f"{grouped(counts.sessions)}{_parts(counts.by_status)}"
    yield "kinds", _parts(counts.by_kind).strip(" ()") or "none"
    yield "events", grouped(counts.events)
    if counts.first_started_at:
        yield "started", f"{counts.first_started_at} to {counts.last_started_at}"
    yield "kept for", f"{counts.retention_days} days (benchmarks for ever)"
    if counts.journal not in ("wal", "memory"):
        yield "journal", f"{counts.journal}: this file system lets only one program in at a time"
    if not counts.searchable:
        yield "search", "without an index (this SQLite has no FTS5): everything is read"


def _parts(numbers: dict[str, int]) -> str:
    parts = ", ".join(f"{name} {number:,}" for name, number in numbers.items())
    return f" ({parts})" if parts else ""


store.add_command(export)


@store.command("check")
@store_option
def check(store: Path | None) -> None:
    """Look for damage in the store; exit 1 when there is some. Nothing is changed.

    \b
    Example:
      evaltrace store check
    """
    with opened(store) as source:
        problems = source.check()
        place = source.path
    for problem in problems:
        hint = f"\n  {problem.hint}" if problem.hint else ""
        click.echo(printable(f"{problem.code}: {problem.message}{hint}"))
    if problems:
        sys.exit(1)
    click.echo(printable(f"No damage in {place}"), err=True)


@store.command("backup")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path, readable=False))
@store_option
def back_up(target: Path, store: Path | None) -> None:
    """Copy the store to a new FILE, while others may go on writing to it.

    \b
    Example:
      evaltrace store backup runs-2026-02.db
    """
    with opened(store) as source:
        source.backup(target)
    click.echo(printable(f"Copied to {target}"), err=True)


def _print_table(names: Sequence[str], rows: Sequence[list[Any]], width: int | None) -> None:
    """Print as many columns as fit, the first one whole; the last gets the room that is left."""
    from evaltrace.reports.answers import render_grid
    from evaltrace.reports.columns import columns, head, line_of

    if not rows:
        click.echo("None found.", err=True)
        return
    widths = [max(map(columns, map(str, column))) for column in zip(names, *rows, strict=True)][:-1]
    # Whoever copies a session from the first column needs all of it.
    wide = max(width or terminal_width(), widths[0])
    ends = list(accumulate(size + _BETWEEN for size in widths))
    number = sum(end - _BETWEEN <= wide for end in ends)
    room = wide - ends[-1]
    if room < _LEAST:
        shown = [row[:number] for row in rows]
    else:
        shown = [[*row[:-1], head(line_of(row[-1]), room)] for row in rows]
    click.echo(render_grid(names[: len(shown[0])], shown, wide), nl=False)


def _print_lines(items: Iterable[Any]) -> None:
    from evaltrace.store import to_json

    for item in items:
        click.echo(printable_json(to_json(item)))
