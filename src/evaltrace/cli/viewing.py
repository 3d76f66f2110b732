"""The views of one run that `show` prints: timeline, tree, summary, one event."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.bundles import Command, bundled
from evaltrace.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evaltrace.viewer.sources import Chosen, Run, Source

_ROWS = 1000
"""Events of a timeline that are printed for people."""

_SIBLINGS = 20
"""Children of an event that are printed for people."""

_UNITS = {"ms": 1.0, "s": 1000.0, "m": 60_000.0, "min": 60_000.0, "h": 3_600_000.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]+)", re.ASCII)


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A duration with its unit, in milliseconds."""

    name = "DURATION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read 500ms, 2s, 1.5m or 1h."""
        if isinstance(value, float):
            return value
        match = _DURATION.fullmatch(str(value).strip().lower())
        if match is None or match[2] not in _UNITS:
            self.fail(f"{value!r} is no duration: write 500ms, 2s, 1.5m or 1h.", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True, slots=True)
class View:
    """Which view of a run is wanted, and of which of its events."""

    kind: str | None
    event: str | None
    types: tuple[str, ...]
    errors: bool
    min_duration_ms: float | None
    limit: int | None
    offset: int

    def chosen(self) -> Chosen:
        """Give which events are wanted."""
        from evaltrace.viewer.sources import Chosen

        return Chosen(types=self.types, errors=self.errors, min_duration_ms=self.min_duration_ms)

    def most(self, form: str, usual: int) -> int | None:
        """Give how many are printed: None for all."""
        if self.limit is None:
            return None if form == "json" else usual
        return self.limit or None


def _to_view(given: dict[str, Any]) -> View | None:
    kind = given["kind"]
    asked = any(value not in (None, False, (), 0) for value in given.values())
    if kind is None and asked:
        kind = "event" if given["event"] is not None else "timeline"
    return View(**{**given, "kind": kind}) if kind else None


_OPTIONS: list[Callable[[Command], Command]] = [
    click.option("--timeline", "kind", flag_value="timeline", help="Events in the order of time."),
    click.option("--tree", "kind", flag_value="tree", help="Events below their parents."),
    click.option("--summary", "kind", flag_value="summary", help="Steps, totals, and what failed."),
    click.option("--event", metavar="ID", help="One event in full; with --tree, what is below it."),
    click.option("--type", "types", multiple=True, metavar="TYPE", help="Only events of the type."),
    click.option("--errors", is_flag=True, help="Only events that failed."),
    click.option(
        "--min-duration",
        "min_duration_ms",
        type=Duration(),
        help="Only events that took as long: 500ms, 2s, 1.5m.",
    ),
    click.option(
        "--limit",
        type=click.IntRange(min=0),
        show_default=f"{_ROWS:,} events, {_SIBLINGS} children of an event in a tree; json: all",
        help="How many to print, 0 for all.",
    ),
    click.option(
        "--offset",
        type=click.IntRange(min=0),
        default=0,
        help="How many to leave out first.",
    ),
]

view_options = bundled(
    "view",
    ("kind", "event", "types", "errors", "min_duration_ms", "limit", "offset"),
    _OPTIONS,
    _to_view,
)
"""Adds the options of a view, and passes a View, or None, as `view`."""


def print_view(source: Source, view: View, form: str, width: int) -> None:
    """Print the view of a run."""
    if view.kind == "summary":
        _print_summary(source, form, width)
        return
    from evaltrace.viewer.sources import run_of

    run = run_of(source)
    if run.title is not None and run.title.events is None:
        note = "The events of this trace were left out when it was written; --summary has totals."
        _note(note, form)
    elif view.kind == "timeline":
        _print_timeline(run, view, form, width)
    elif view.kind == "tree":
        _print_tree(run, view, form, width)
    else:
        _print_event(run, source, view, form, width)


def _print_summary(source: Source, form: str, width: int) -> None:
    from evaltrace.viewer import format_summary, get_session_summary

    if form == "json":
        _print_json(get_session_summary(source))
    else:
        click.echo(format_summary(source, totals=True, width=width), nl=False)


def _print_timeline(run: Run, view: View, form: str, width: int) -> None:
    from evaltrace.viewer.clock import is_short
    from evaltrace.viewer.rows import timeline_rows
    from evaltrace.viewer.timeline import timeline_lines

    most = view.most(form, _ROWS)
    counter = _Counted(most)
    wanted = None if most is None else most + 1
    rows = counter.pass_on(timeline_rows(run, view.chosen(), view.offset, wanted))
    if form == "json":
        for row in rows:
            _print_json(row)
    else:
        _print_title(run, width)
        # click takes the colour out where the output is no terminal.
        for line in timeline_lines(rows, width, True, is_short(run.duration_s)):
            click.echo(line)
    for note in _timeline_notes(run, view, counter):
        _note(note, form)


def _timeline_notes(run: Run, view: View, counter: _Counted) -> Iterable[str]:
    if not counter.passed:
        yield "No event like this." if not view.chosen().all() or view.offset else "No events."
    if counter.more:
        end = view.offset + counter.passed
        yield f"Events {view.offset + 1:,} to {end:,}; --offset {end} shows the next."
    yield from _left_out(run, view)


def _left_out(run: Run, view: View) -> Iterable[str]:
    if view.min_duration_ms is None:
        return
    unknown = run.count_unknown_durations(view.chosen())
    if unknown is None:
        yield "Events of unknown duration are left out."
    elif unknown:
        yield f"Left out because nobody knows how long they took: {unknown:,}."


class _Counted:
    """Passes items on up to a number, and knows whether there were more."""

    def __init__(self, most: int | None) -> None:
        self._most, self.passed, self.more = most, 0, False

    def pass_on(self, items: Iterable[Any]) -> Iterable[Any]:
        for item in items:
            if self.passed == self._most:
                self.more = True
                return
            self.passed += 1
            yield item


def _print_tree(run: Run, view: View, form: str, width: int) -> None:
    from evaltrace.viewer.tree import to_document, tree_branches
    from evaltrace.viewer.tree_text import tree_lines

    if view.event is not None:
        _found(run, view.event)
    limit = view.most(form, _SIBLINGS)
    branches = tree_branches(run, view.chosen(), view.event, limit, view.offset)
    shown = False
    if form == "json":
        document = to_document(run, branches)
        shown = bool(document["tree"])
        _print_json(document)
    else:
        _print_title(run, width)
        for line in tree_lines(branches, width, True):
            shown = True
            click.echo(line)
    if not shown:
        _note("No events." if view.chosen().all() else "No event like this.", form)
    for note in _left_out(run, view):
        _note(note, form)


def _print_event(run: Run, source: Source, view: View, form: str, width: int) -> None:
    from evaltrace.viewer.detail import detail_lines, detail_of, to_document
    from evaltrace.viewer.sources import cuts_of

    detail = detail_of(run, _found(run, view.event or ""), cuts_of(source))
    if form == "json":
        _print_json(to_document(detail))
        return
    for line in detail_lines(detail, width, True):
        click.echo(line)


def _found(run: Run, event_id: str) -> Any:
    found = run.find(event_id)
    if found is None:
        raise UnknownName(
            f'No event "{event_id}"',
            where=run.title.task_id if run.title else None,
            hint="--timeline lists the events with their ids.",
        )
    return found


def _print_title(run: Run, width: int) -> None:
    from evaltrace.viewer.timeline import title_lines

    if run.title is not None:
        for line in title_lines(run.title, width, True):
            click.echo(line)


def _print_json(value: Any) -> None:
    from evaltrace.viewer.events import to_json

    click.echo(to_json(value))


def _note(text: str, form: str) -> None:
    """Say something beside the view, where it does not get into the JSON."""
    click.echo(text, err=form == "json")
